//! Numbers as Go reads and writes them: `strconv`, and how values of other types become numbers.

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNumber {
    Syntax,
    /// It is one beyond this, which is the last that there is.
    Int(i64),
    Uint,
}

/// `strconv.ParseUint`, for 64 bits; base 0 is what the prefix says.
pub fn parse_uint(text: &[u8], base: u64) -> Result<u64, NotNumber> {
    let (digits, radix) = match (base, text) {
        (_, []) => return Err(NotNumber::Syntax),
        (0, [b'0', kind, digits @ ..]) if !digits.is_empty() => match kind.to_ascii_lowercase() {
            b'b' => (digits, 2),
            b'o' => (digits, 8),
            b'x' => (digits, 16),
            _ => (&text[1..], 8),
        },
        (0, [b'0', digits @ ..]) => (digits, 8),
        (0, _) => (text, 10),
        (base, _) => (text, base),
    };
    let mut value: u64 = 0;
    let mut has_underscores = false;
    for &byte in digits {
        let digit = match byte {
            b'_' if base == 0 => {
                has_underscores = true;
                continue;
            }
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => return Err(NotNumber::Syntax),
        };
        if u64::from(digit) >= radix {
            return Err(NotNumber::Syntax);
        }
        let next = value.checked_mul(radix).and_then(|value| value.checked_add(u64::from(digit)));
        value = next.ok_or(NotNumber::Uint)?;
    }
    if has_underscores && !underscores_fit(text) {
        return Err(NotNumber::Syntax);
    }
    Ok(value)
}

/// `strconv.ParseInt`, for 64 bits.
pub fn parse_int(text: &[u8], base: u64) -> Result<i64, NotNumber> {
    let (is_negative, digits) = match text {
        [b'+', digits @ ..] => (false, digits),
        [b'-', digits @ ..] => (true, digits),
        _ => (false, text),
    };
    let beyond = if is_negative { i64::MIN } else { i64::MAX };
    match parse_uint(digits, base) {
        Ok(value) if is_negative && value == 1 << 63 => Ok(i64::MIN),
        Ok(value) => match i64::try_from(value) {
            Ok(value) if is_negative => Ok(-value),
            Ok(value) => Ok(value),
            Err(_) => Err(NotNumber::Int(beyond)),
        },
        Err(NotNumber::Uint) => Err(NotNumber::Int(beyond)),
        Err(error) => Err(error),
    }
}

/// `strconv.Atoi` without its error: the nearest number, or 0.
pub fn atoi(text: &[u8]) -> i64 {
    match parse_int(text, 10) {
        Ok(value) | Err(NotNumber::Int(value)) => value,
        Err(_) => 0,
    }
}

fn underscores_fit(text: &[u8]) -> bool {
    let text = match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    };
    let prefix = match text {
        [b'0', kind, ..] => kind.to_ascii_lowercase(),
        _ => 0,
    };
    let has_prefix = matches!(prefix, b'b' | b'o' | b'x');
    let (mut saw, begin) = if has_prefix { (b'0', 2) } else { (b'^', 0) };
    for &byte in &text[begin..] {
        let is_digit = byte.is_ascii_digit() || (prefix == b'x' && byte.is_ascii_hexdigit());
        saw = match byte {
            _ if is_digit => b'0',
            b'_' if saw != b'0' => return false,
            b'_' => b'_',
            _ if saw == b'_' => return false,
            _ => b'!',
        };
    }
    saw != b'_'
}

/// `strconv.ParseFloat`, for 64 bits.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (sign, digits) = match lower.as_slice() {
        [b'+', digits @ ..] => (1.0, digits),
        [b'-', digits @ ..] => (-1.0, digits),
        digits => (1.0, digits),
    };
    match digits {
        b"inf" | b"infinity" => return Some(sign * f64::INFINITY),
        b"nan" if lower.len() == 3 => return Some(f64::NAN),
        [b'0'..=b'9' | b'.' | b'_', ..] => {}
        _ => return None,
    }
    let has_underscores = digits.contains(&b'_');
    if has_underscores && !underscores_fit(&lower) {
        return None;
    }
    let plain: String = digits.iter().filter(|byte| **byte != b'_').map(|byte| char::from(*byte)).collect();
    let value = match plain.strip_prefix("0x") {
        Some(hex) => parse_hex_float(hex)?,
        None => {
            let fits = plain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-'));
            plain.parse::<f64>().ok().filter(|_| fits)?
        }
    };
    value.is_finite().then_some(sign * value)
}

fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i64 = exponent.parse().ok().filter(|exponent: &i64| exponent.abs() < 100_000)?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    let mut shift = exponent - 4 * i64::try_from(part.len()).ok()?;
    for digit in whole.chars().chain(part.chars()) {
        let digit = u64::from(digit.to_digit(16)?);
        if value >> 59 == 0 {
            value = value << 4 | digit;
        } else {
            // What is lost still decides which way is rounded.
            value |= u64::from(digit != 0);
            shift += 4;
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let float = value as f64;
    Some(scale(float, i32::try_from(shift).ok()?))
}

/// `math.Ldexp`.
pub fn scale(mut value: f64, mut exponent: i32) -> f64 {
    while exponent > 1000 {
        value *= 2f64.powi(1000);
        exponent -= 1000;
    }
    while exponent < -1000 && value != 0.0 {
        value *= 2f64.powi(-1000);
        exponent += 1000;
    }
    value * 2f64.powi(exponent)
}

/// How many digits a float is written with, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As few as name it.
    Shortest,
    Digits(usize),
}

/// `strconv.FormatFloat`, for `e`, `f` and `g`, and their capitals.
pub fn format_float(value: f64, verb: char, precision: Precision) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-Inf" } else { "+Inf" }.to_owned();
    }
    let exponent = |text: &str| {
        let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        (digits.to_owned(), exponent)
    };
    let as_exponent = |(digits, exponent): (String, i32)| {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    };
    let text = match (verb.to_ascii_lowercase(), precision) {
        ('e', Precision::Shortest) => as_exponent(exponent(&format!("{value:e}"))),
        ('e', Precision::Digits(count)) => as_exponent(exponent(&format!("{value:.count$e}"))),
        ('f', Precision::Shortest) => format!("{value}"),
        ('f', Precision::Digits(count)) => format!("{value:.count$}"),
        (_, Precision::Shortest) => {
            let found = exponent(&format!("{value:e}"));
            if found.1 < -4 || found.1 >= 6 { as_exponent(found) } else { format!("{value}") }
        }
        (_, Precision::Digits(count)) => general(value, count.max(1)),
    };
    if verb.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

/// Mantissa and exponent of a float, and whether it is below 0.
fn parts(value: f64) -> (bool, u64, i64) {
    let bits = value.to_bits();
    let exponent = i64::try_from(bits >> 52 & 0x7ff).unwrap_or_default();
    let mantissa = bits & ((1 << 52) - 1);
    match exponent {
        0 => (bits >> 63 == 1, mantissa, -1074),
        _ => (bits >> 63 == 1, mantissa | 1 << 52, exponent - 1075),
    }
}

/// `%b`: a whole number, and a power of two.
pub fn format_binary(value: f64) -> String {
    let (is_negative, mantissa, exponent) = parts(value);
    format!("{}{mantissa}p{exponent:+}", if is_negative { "-" } else { "" })
}

/// `%x`: in base 16, with an exponent of 2.
pub fn format_hex(value: f64, precision: Precision, upper: bool) -> String {
    let (is_negative, mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // One digit before the point, and room above it.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent += 60 - i64::from(shift);
    }
    let mut digits = 15;
    if let Precision::Digits(count) = precision
        && count < 15
    {
        let drop = 60 - 4 * count;
        let extra = mantissa & ((1 << drop) - 1);
        mantissa >>= drop;
        if extra | (mantissa & 1) > 1 << (drop - 1) {
            mantissa += 1;
        }
        mantissa <<= drop;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
        digits = count;
    }
    let all = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let part = match precision {
        Precision::Shortest => all.trim_end_matches('0').to_owned(),
        Precision::Digits(count) => format!("{}{}", &all[..digits], "0".repeat(count.saturating_sub(15))),
    };
    let sign = if is_negative { "-" } else { "" };
    let point = if part.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    let text = format!("{sign}0x{}{point}{part}p{exponent_sign}{:02}", mantissa >> 60 & 1, exponent.abs());
    if upper { text.to_ascii_uppercase() } else { text }
}

/// `%g` with a number of digits: zeros at the end are left out.
fn general(value: f64, count: usize) -> String {
    let text = format!("{value:.*e}", count - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let significant = digits.bytes().filter(u8::is_ascii_digit).count();
    let signed = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let mut limit = signed(count);
    if limit > signed(significant) && signed(significant) > exponent {
        limit = signed(significant);
    }
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let places = usize::try_from(signed(significant) - 1 - exponent).unwrap_or_default();
    format!("{value:.places$}")
}
