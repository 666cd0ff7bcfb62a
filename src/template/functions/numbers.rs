//! sprig's functions on numbers.

use num_bigint::BigInt;

use super::super::error::Fault;
use super::super::numbers::{NotNumber, Precision, atoi, format_float, parse_float, parse_int, scale};
use super::super::printf;
use super::super::run::Run;
use super::super::value::{Of, Value};
use super::{Any, Float, Function, Int, Result, Text, any, int, rest, string_of, takes, takes_more, text};
use crate::secret::SecretBytes;

pub const TABLE: &[Function] = &[
    takes("atoi", &[Text], |_, values| Ok(Value::Int(atoi(text(values, 0))))),
    takes("int", &[Any], |_, values| Ok(Value::Int(to_int(&any(values, 0))))),
    takes("int64", &[Any], |_, values| Ok(Value::Int64(to_int(&any(values, 0))))),
    takes("float64", &[Any], |_, values| Ok(Value::Float(to_float(&any(values, 0))))),
    takes("toDecimal", &[Any], |run, values| {
        let text = string_of(run, &any(values, 0))?;
        Ok(Value::Int64(parse_int(text.bytes(), 8).unwrap_or_default()))
    }),
    takes("add1", &[Any], |_, values| Ok(Value::Int64(to_int(&any(values, 0)).wrapping_add(1)))),
    takes_more("add", &[], Any, |_, values| {
        Ok(Value::Int64(values.iter().fold(0, |sum, value| sum.wrapping_add(to_int(value)))))
    }),
    takes("sub", &[Any, Any], |_, values| {
        Ok(Value::Int64(to_int(&any(values, 0)).wrapping_sub(to_int(&any(values, 1)))))
    }),
    takes("div", &[Any, Any], |_, values| divided(values, i64::wrapping_div)),
    takes("mod", &[Any, Any], |_, values| divided(values, i64::wrapping_rem)),
    takes_more("mul", &[Any], Any, |_, values| {
        let first = to_int(&any(values, 0));
        let product =
            rest(values, 1).iter().fold(first, |product, value| product.wrapping_mul(to_int(value)));
        Ok(Value::Int64(product))
    }),
    takes_more("max", &[Any], Any, |_, values| most(values, |a, b| b > a)),
    takes_more("biggest", &[Any], Any, |_, values| most(values, |a, b| b > a)),
    takes_more("min", &[Any], Any, |_, values| most(values, |a, b| b < a)),
    takes_more("maxf", &[Any], Any, |_, values| Ok(Value::Float(fold_floats(values, max_float)))),
    takes_more("minf", &[Any], Any, |_, values| {
        Ok(Value::Float(fold_floats(values, |a, b| -max_float(-a, -b))))
    }),
    takes("add1f", &[Any], |run, values| decimals(run, &[any(values, 0), Value::Int(1)], Decimal::plus)),
    takes_more("addf", &[], Any, |run, values| {
        let mut all = vec![Value::Float(0.0)];
        all.extend_from_slice(values);
        decimals(run, &all, Decimal::plus)
    }),
    takes_more("subf", &[Any], Any, |run, values| decimals(run, values, Decimal::minus)),
    takes_more("mulf", &[Any], Any, |run, values| decimals(run, values, Decimal::times)),
    takes_more("divf", &[Any], Any, |run, values| decimals(run, values, Decimal::by)),
    takes("ceil", &[Any], |_, values| Ok(Value::Float(to_float(&any(values, 0)).ceil()))),
    takes("floor", &[Any], |_, values| Ok(Value::Float(to_float(&any(values, 0)).floor()))),
    takes_more("round", &[Any, Int], Float, round),
    takes("until", &[Int], |run, values| {
        let count = int(values, 0);
        numbers(run, &steps(0, count, if count < 0 { -1 } else { 1 })?)
    }),
    takes("untilStep", &[Int, Int, Int], |run, values| {
        numbers(run, &steps(int(values, 0), int(values, 1), int(values, 2))?)
    }),
    takes_more("seq", &[], Int, sequence),
    takes("duration", &[Any], |run, values| {
        let seconds = match any(values, 0) {
            Value::Text(text) => match parse_int(text.bytes(), 10) {
                Ok(number) | Err(NotNumber::Int(number)) => number,
                Err(_) => 0,
            },
            Value::Int64(number) => number,
            _ => 0,
        };
        run.text(SecretBytes::new(duration(seconds.wrapping_mul(1_000_000_000)).into_bytes()))
    }),
    takes("durationRound", &[Any], |run, values| {
        let nanoseconds = match any(values, 0) {
            Value::Text(text) => parse_duration(text.bytes()).unwrap_or_default(),
            Value::Int64(number) => number,
            _ => 0,
        };
        run.text(SecretBytes::new(rounded(nanoseconds.unsigned_abs()).into_bytes()))
    }),
];

/// The first float that is above all whole numbers: 2 to the 63rd.
const MOST: f64 = 9_223_372_036_854_775_808.0;

/// `cast.ToInt64`: 0 for anything but a number. Floats that are too large become what they become on amd64.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
pub fn to_int(value: &Value) -> i64 {
    match value {
        Value::Bool(value) => i64::from(*value),
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Byte(number) => i64::from(*number),
        Value::Uint64(number) => *number as i64,
        Value::Float(number) if (-MOST..MOST).contains(number) => *number as i64,
        Value::Float(_) => i64::MIN,
        Value::Text(text) => parse_int(without_zero_decimals(text.bytes()), 0).unwrap_or_default(),
        _ => 0,
    }
}

/// Without `.0` at the end, with any number of zeros.
fn without_zero_decimals(text: &[u8]) -> &[u8] {
    let zeros = text.iter().rev().take_while(|byte| **byte == b'0').count();
    let rest = &text[..text.len() - zeros];
    match rest.strip_suffix(b".") {
        Some(whole) if zeros > 0 => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`
#[allow(clippy::cast_precision_loss)]
pub fn to_float(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Byte(number) => f64::from(*number),
        Value::Uint64(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(text) => parse_float(text.bytes()).unwrap_or_default(),
        _ => 0.0,
    }
}

fn divided(values: &[Value], divide: fn(i64, i64) -> i64) -> Result {
    match to_int(&any(values, 1)) {
        0 => Err(Fault::value("divides by 0")),
        by => Ok(Value::Int64(divide(to_int(&any(values, 0)), by))),
    }
}

fn most(values: &[Value], is_more: fn(i64, i64) -> bool) -> Result {
    let first = to_int(&any(values, 0));
    let found = rest(values, 1).iter().map(to_int).fold(first, |a, b| if is_more(a, b) { b } else { a });
    Ok(Value::Int64(found))
}

fn fold_floats(values: &[Value], choose: fn(f64, f64) -> f64) -> f64 {
    rest(values, 1).iter().map(to_float).fold(to_float(&any(values, 0)), choose)
}

/// `math.Max`
#[allow(clippy::float_cmp)]
fn max_float(a: f64, b: f64) -> f64 {
    match () {
        () if a == f64::INFINITY || b == f64::INFINITY => f64::INFINITY,
        () if a.is_nan() || b.is_nan() => f64::NAN,
        () if a == 0.0 && a == b => {
            if a.is_sign_negative() {
                b
            } else {
                a
            }
        }
        () => a.max(b),
    }
}

/// `math.Pow` of 10, for whole numbers: its last digit is not that of other algorithms.
fn power_of_ten(places: i64) -> f64 {
    if places == 0 {
        return 1.0;
    }
    if places == 1 {
        return 10.0;
    }
    let (mut result, mut exponent) = (1.0f64, 0i64);
    // 10 = 0.625 * 2^4
    let (mut square, mut square_exponent) = (0.625f64, 4i64);
    let mut left = places.unsigned_abs();
    while left != 0 {
        if square_exponent.abs() > 1 << 12 {
            exponent += square_exponent;
            break;
        }
        if left & 1 == 1 {
            result *= square;
            exponent += square_exponent;
        }
        square *= square;
        square_exponent <<= 1;
        if square < 0.5 {
            square += square;
            square_exponent -= 1;
        }
        left >>= 1;
    }
    if places < 0 {
        result = 1.0 / result;
        exponent = -exponent;
    }
    scale(result, i32::try_from(exponent).unwrap_or(if exponent > 0 { 5000 } else { -5000 }))
}

fn round(_: &mut Run, values: &[Value]) -> Result {
    let at = match values.get(2) {
        Some(Value::Float(at)) => *at,
        _ => 0.5,
    };
    let power = power_of_ten(int(values, 1));
    let digit = power * to_float(&any(values, 0));
    let part = if digit.is_infinite() { f64::NAN } else { digit - digit.trunc() };
    let whole = if part >= at { digit.ceil() } else { digit.floor() };
    Ok(Value::Float(whole / power))
}

/// How many numbers a list may have.
const MAX_COUNT: i128 = 100_000;

/// `untilStep`
fn steps(from: i64, to: i64, step: i64) -> Result<Vec<i64>> {
    let is_down = to < from;
    if (is_down && step >= 0) || (!is_down && step <= 0) {
        return Ok(Vec::new());
    }
    let distance = (i128::from(to) - i128::from(from)).abs();
    let size = i128::from(step).abs();
    if (distance + size - 1) / size > MAX_COUNT {
        return Err(Fault::bound("makes a list of more than 100000 numbers"));
    }
    let next =
        |number: &i64| number.checked_add(step).filter(|next| if is_down { *next > to } else { *next < to });
    Ok(std::iter::successors((from != to).then_some(from), next).collect())
}

fn numbers(run: &mut Run, found: &[i64]) -> Result {
    run.list(Of::Ints, found.iter().map(|number| Value::Int(*number)).collect())
}

fn sequence(run: &mut Run, values: &[Value]) -> Result {
    let found = match *values {
        [Value::Int(end)] => {
            let step = if end < 1 { -1 } else { 1 };
            steps(1, end.saturating_add(step), step)?
        }
        [Value::Int(start), Value::Int(end)] => {
            let step = if end < start { -1 } else { 1 };
            steps(start, end.saturating_add(step), step)?
        }
        [Value::Int(start), Value::Int(step), Value::Int(end)] => {
            if end < start && step > 0 {
                return run.copy(b"");
            }
            let beyond = if end < start { -1 } else { 1 };
            steps(start, end.saturating_add(beyond), step)?
        }
        _ => return run.copy(b""),
    };
    run.steps(found.len())?;
    let mut out = run.buffer();
    for (index, number) in found.iter().enumerate() {
        if index > 0 {
            out.push(b" ");
        }
        printf::print(run, &mut out, &[Value::Int(*number)])?;
    }
    run.written(out)
}

/// A number as sprig computes with floats: its digits, and a power of ten.
#[derive(Clone)]
struct Decimal {
    digits: BigInt,
    exponent: i64,
}

/// How far apart two numbers may be.
const MAX_DIGITS: i64 = 5000;

impl Decimal {
    fn of(value: f64) -> Result<Self> {
        if !value.is_finite() {
            return Err(Fault::value("got a number that is infinite or not a number"));
        }
        let text = format_float(value, 'e', Precision::Shortest);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i64 = exponent.parse().unwrap_or_default();
        let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
        let digits: String = digits.chars().filter(|char| *char != '.').collect();
        let exponent = exponent - i64::try_from(places).unwrap_or_default();
        let digits: BigInt = digits.parse().unwrap_or_default();
        let exponent = if digits == BigInt::ZERO { 0 } else { exponent };
        Ok(Self { digits, exponent })
    }

    fn shifted(&self, exponent: i64) -> Result<BigInt> {
        Ok(&self.digits * ten_to(self.exponent - exponent)?)
    }

    fn plus(self, other: &Self) -> Result<Self> {
        let exponent = self.exponent.min(other.exponent);
        Ok(Self { digits: self.shifted(exponent)? + other.shifted(exponent)?, exponent })
    }

    fn minus(self, other: &Self) -> Result<Self> {
        let exponent = self.exponent.min(other.exponent);
        Ok(Self { digits: self.shifted(exponent)? - other.shifted(exponent)?, exponent })
    }

    fn times(self, other: &Self) -> Result<Self> {
        Ok(Self { digits: self.digits * &other.digits, exponent: self.exponent + other.exponent })
    }

    /// With 16 places, rounded away from 0 where it is in the middle.
    fn by(self, other: &Self) -> Result<Self> {
        if other.digits == BigInt::ZERO {
            return Err(Fault::value("divides by 0"));
        }
        let shift = self.exponent - other.exponent + 16;
        let (above, below) = match shift {
            0.. => (&self.digits * ten_to(shift)?, other.digits.clone()),
            _ => (self.digits.clone(), &other.digits * ten_to(-shift)?),
        };
        let quotient = &above / &below;
        let left = &above - &quotient * &below;
        let is_half = BigInt::from(left.magnitude().clone()) * 2 >= BigInt::from(below.magnitude().clone());
        let one = if (above < BigInt::ZERO) == (below < BigInt::ZERO) { 1 } else { -1 };
        let digits = if is_half { quotient + one } else { quotient };
        Ok(Self { digits, exponent: -16 })
    }

    fn to_float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or_default()
    }
}

fn ten_to(exponent: i64) -> Result<BigInt> {
    match u32::try_from(exponent) {
        Ok(power) if exponent <= MAX_DIGITS => Ok(BigInt::from(10).pow(power)),
        _ => Err(Fault::bound("numbers are further apart than can be computed with")),
    }
}

fn decimals(run: &mut Run, values: &[Value], compute: fn(Decimal, &Decimal) -> Result<Decimal>) -> Result {
    let mut sum = Decimal::of(to_float(&any(values, 0)))?;
    for value in rest(values, 1) {
        sum = compute(sum, &Decimal::of(to_float(value))?)?;
        run.steps(usize::try_from(sum.digits.bits() / 64).unwrap_or(usize::MAX))?;
        if sum.digits.bits() > 100_000 {
            return Err(Fault::bound("a number has more digits than are allowed"));
        }
    }
    Ok(Value::Float(sum.to_float()))
}

const SECOND: u64 = 1_000_000_000;

/// `time.Duration.String`
fn duration(nanoseconds: i64) -> String {
    let whole = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let fraction = |value: u64, unit: u64| {
        let places = unit.ilog10() as usize;
        let digits = format!("{:0places$}", value % unit);
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() { (value / unit).to_string() } else { format!("{}.{digits}", value / unit) }
    };
    match whole {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{whole}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(whole, 1_000)),
        1_000_000..SECOND => format!("{sign}{}ms", fraction(whole, 1_000_000)),
        _ => {
            let minutes = whole / SECOND / 60;
            let seconds = fraction(whole - minutes * 60 * SECOND, SECOND);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn rounded(nanoseconds: u64) -> String {
    let hour = 3600 * SECOND;
    let units = [
        (hour * 24 * 365, "y"),
        (hour * 24 * 30, "mo"),
        (hour * 24, "d"),
        (hour, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
    ];
    match units.into_iter().find(|(unit, _)| nanoseconds > *unit) {
        Some((unit, name)) => format!("{}{name}", nanoseconds / unit),
        None => "0s".to_owned(),
    }
}

/// `time.ParseDuration`, without its error.
fn parse_duration(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (is_negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(rest);
        let mut value: u64 = if whole == 0 { 0 } else { rest[..whole].parse().ok()? };
        rest = &rest[whole..];
        let (mut fraction, mut fraction_scale, mut places) = (0u64, 1f64, 0);
        if let Some(after) = rest.strip_prefix('.') {
            places = digits(after);
            for digit in after[..places].bytes() {
                if fraction > (1 << 62) / 10 {
                    break;
                }
                fraction = fraction * 10 + u64::from(digit - b'0');
                fraction_scale *= 10.0;
            }
            rest = &after[places..];
        }
        if whole + places == 0 {
            return None;
        }
        let end = rest.find(|char: char| char == '.' || char.is_ascii_digit()).unwrap_or(rest.len());
        let unit: u64 = match &rest[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        rest = &rest[end..];
        value = value.checked_mul(unit).filter(|value| *value <= 1 << 63)?;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        if fraction > 0 {
            value = value.checked_add((fraction as f64 * (unit as f64 / fraction_scale)) as u64)?;
        }
        total = total.checked_add(value).filter(|total| *total <= 1 << 63)?;
    }
    match (is_negative, i64::try_from(total)) {
        (true, Ok(total)) => Some(-total),
        (true, Err(_)) => Some(i64::MIN),
        (false, total) => total.ok(),
    }
}
