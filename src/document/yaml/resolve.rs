//! What a YAML scalar stands for, exactly as go-yaml v3 (`go.yaml.in/yaml/v3`, `resolve.go`) decides it.
//!
//! Own code, because the MAC of sops depends on it and no crate resolves so: `yes` is a string, `0777` is octal,
//! `1_000` an integer, `2001-01-01` a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use jiff::tz::Offset;
use zeroize::Zeroizing;

use crate::document::Value;
use crate::error::{Error, Kind, Result};

const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// The value of a scalar: its text, whether it is written plain, and its tag in full, if it has one.
///
/// An error for integers that do not fit 64 bits (sops cannot walk them) and for texts that are not what a tag says.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Value> {
    let short = tag.map(|tag| tag.strip_prefix(TAG_PREFIX).unwrap_or("!"));
    let value = match short {
        None if !plain => return Ok(Value::str(text)),
        None | Some("bool" | "int" | "float" | "null" | "timestamp") => resolve_plain(text)?,
        Some("binary") => return decode_binary(text),
        Some(_) => return Ok(Value::str(text)),
    };
    let fits = match (short, &value) {
        (None, _)
        | (Some("bool"), Value::Bool(_))
        | (Some("int"), Value::Int(_))
        | (Some("float"), Value::Float(_))
        | (Some("null"), Value::Null)
        | (Some("timestamp"), Value::Time(_)) => true,
        (Some("float"), Value::Int(int)) => return Ok(Value::Float(*int as f64)),
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    Err(Error::new(Kind::Read, format!("the value is not what its tag !!{} says", short.unwrap_or_default())))
}

/// Whether a plain scalar with this text is a string.
pub(super) fn is_plain_string(text: &str) -> bool {
    matches!(resolve_plain(text), Ok(Value::Str(_)))
}

fn decode_binary(text: &str) -> Result<Value> {
    let compact: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect());
    match STANDARD.decode(compact.as_bytes()) {
        Ok(bytes) => Ok(Value::Str(Zeroizing::new(bytes))),
        Err(_) => Err(Error::new(Kind::Read, "the value of a !!binary is not base64")),
    }
}

fn resolve_plain(text: &str) -> Result<Value> {
    let known = match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => Some(Value::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Value::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Value::Float(f64::NEG_INFINITY)),
        _ => None,
    };
    if let Some(value) = known {
        return Ok(value);
    }
    let number = match text.as_bytes()[0] {
        b'0'..=b'9' => match timestamp(text) {
            Some(time) => Some(Value::Time(time)),
            None => number(&text.replace('_', ""))?,
        },
        b'+' | b'-' => number(&text.replace('_', ""))?,
        b'.' => float(text),
        _ => None,
    };
    Ok(number.unwrap_or_else(|| Value::str(text)))
}

/// A number without its underscores; `None` when it is not a number.
fn number(text: &str) -> Result<Option<Value>> {
    if let Some((negative, radix, digits)) = integer_parts(text) {
        let magnitude = u128::from_str_radix(digits, radix).ok();
        let signed = magnitude.and_then(|m| i128::try_from(m).ok()).map(|m| if negative { -m } else { m });
        return match signed.and_then(|int| i64::try_from(int).ok()) {
            Some(int) => Ok(Some(Value::Int(int))),
            None => Err(Error::new(
                Kind::Encrypt,
                "the integer does not fit in 64 bits, and sops cannot preserve it",
            )
            .advise("quote it, so that it is a string")),
        };
    }
    Ok(float(text))
}

/// Sign, base and digits of an integer as Go's `strconv.ParseInt(s, 0, 64)` takes it: `0x`, `0o`, `0b`, a leading `0`
/// for octal, in either case.
fn integer_parts(text: &str) -> Option<(bool, u32, &str)> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = |prefix: &str| {
        body.len() > 2 && body.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let (radix, digits) = if lower("0x") {
        (16, &body[2..])
    } else if lower("0o") {
        (8, &body[2..])
    } else if lower("0b") {
        (2, &body[2..])
    } else if body.len() > 1 && body.starts_with('0') {
        (8, &body[1..])
    } else {
        (10, body)
    };
    let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    valid.then_some((negative, radix, digits))
}

/// A number with a point or an exponent. What no float can hold is a text to go-yaml (`strconv.ParseFloat` fails), `12e45678`
/// for instance: passwords and identifiers look like that.
fn float(text: &str) -> Option<Value> {
    let float = is_float(text).then(|| text.parse().ok()).flatten();
    float.filter(|float: &f64| float.is_finite()).map(Value::Float)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(body);
    let mut rest = &body[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if whole == 0 && length == 0 {
            return false;
        }
        rest = &fraction[length..];
    } else if whole == 0 {
        return false;
    }
    let Some(exponent) = rest.strip_prefix(['e', 'E']) else { return rest.is_empty() };
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

/// A timestamp as RFC 3339 with nanoseconds: `Y-M-D`, `Y-M-DTh:m:s[.f](Z|+hh:mm)` or `Y-M-D h:m:s[.f]`, in which
/// months, days, hours, minutes and seconds may have one digit.
fn timestamp(text: &str) -> Option<String> {
    let mut rest = text;
    let year = take_number(&mut rest, 4, 4)?;
    let month = take_char(&mut rest, '-').and_then(|()| take_number(&mut rest, 1, 2))?;
    let day = take_char(&mut rest, '-').and_then(|()| take_number(&mut rest, 1, 2))?;
    let date =
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let zoned = match rest.as_bytes()[0] {
        b'T' | b't' => true,
        b' ' => false,
        _ => return None,
    };
    rest = &rest[1..];
    let hour = take_number(&mut rest, 1, 2)?;
    let minute = take_char(&mut rest, ':').and_then(|()| take_number(&mut rest, 1, 2))?;
    let second = take_char(&mut rest, ':').and_then(|()| take_number(&mut rest, 1, 2))?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut fraction = String::new();
    if let Some(digits) = rest.strip_prefix(['.', ',']) {
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return None;
        }
        fraction = digits[..length.min(9)].trim_end_matches('0').to_owned();
        rest = &digits[length..];
    }
    let offset = if zoned { take_offset(&mut rest)? } else { "Z".to_owned() };
    if !rest.is_empty() {
        return None;
    }
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{dot}{fraction}{offset}"))
}

fn take_char(rest: &mut &str, c: char) -> Option<()> {
    *rest = rest.strip_prefix(c)?;
    Some(())
}

fn take_number(rest: &mut &str, least: usize, most: usize) -> Option<u32> {
    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    let (digits, after) = rest.split_at(length);
    *rest = after;
    digits.parse().ok()
}

fn take_offset(rest: &mut &str) -> Option<String> {
    if take_char(rest, 'Z').is_some() {
        return Some("Z".to_owned());
    }
    let sign = rest.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    *rest = &rest[1..];
    let hours = take_number(rest, 2, 2)?;
    let minutes = take_char(rest, ':').and_then(|()| take_number(rest, 2, 2))?;
    if hours > 24 || minutes > 60 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    if seconds == 0 {
        return Some("Z".to_owned());
    }
    Offset::from_seconds(seconds).ok()?;
    Some(format!("{sign}{hours:02}:{minutes:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match resolve(text, true, None) {
            Ok(value) => format!("{value:?} {}", String::from_utf8_lossy(&value.to_plaintext())),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn plain_scalars_resolve_as_in_go_yaml() {
        for (text, expected) in [
            ("", "null "),
            ("~", "null "),
            ("Null", "null "),
            ("nULL", "str nULL"),
            ("yes", "str yes"),
            ("on", "str on"),
            ("y", "str y"),
            ("True", "bool True"),
            ("tRUE", "str tRUE"),
            ("0777", "int 511"),
            ("08", "float 8"),
            ("12e45678", "str 12e45678"),
            ("1e400", "str 1e400"),
            ("-1e999", "str -1e999"),
            (".5e999", "str .5e999"),
            ("1e-400", "float 0"),
            ("0o17", "int 15"),
            ("0x1F", "int 31"),
            ("-0x1f", "int -31"),
            ("0b101", "int 5"),
            ("1_000", "int 1000"),
            ("12345_54321", "int 1234554321"),
            ("_1", "str _1"),
            ("+12", "int 12"),
            ("-0", "int 0"),
            ("1:30", "str 1:30"),
            ("1.10", "float 1.1"),
            ("1e3", "float 1000"),
            ("12e03", "float 12000"),
            (".5", "float 0.5"),
            ("+.5", "float 0.5"),
            (".", "str ."),
            ("1.", "float 1"),
            ("1e", "str 1e"),
            ("-.inf", "float -Inf"),
            (".NaN", "float NaN"),
            ("-", "str -"),
            ("0x", "str 0x"),
            ("2020-01-02", "time 2020-01-02T00:00:00Z"),
            ("2020-1-2", "time 2020-01-02T00:00:00Z"),
            ("2020-13-02", "str 2020-13-02"),
            ("2020-02-30", "str 2020-02-30"),
            ("2020-01-02 03:04:05", "time 2020-01-02T03:04:05Z"),
            ("2020-01-02T03:04:05.678Z", "time 2020-01-02T03:04:05.678Z"),
            ("2001-12-14t21:59:43.10-05:00", "time 2001-12-14T21:59:43.1-05:00"),
            ("2001-12-14T21:59:43+00:00", "time 2001-12-14T21:59:43Z"),
            ("2001-12-14 21:59:43.10 -5", "str 2001-12-14 21:59:43.10 -5"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("-9223372036854775808", "int -9223372036854775808"),
        ] {
            assert_eq!(show(text), expected, "for {text:?}");
        }
        assert!(show("9223372036854775808").starts_with("error: the integer does not fit in 64 bits"));
        assert!(show("123456789012345678901234567890").starts_with("error"));
    }

    #[test]
    fn tags_say_what_a_scalar_is() {
        let tagged = |text, tag: &str| resolve(text, true, Some(&format!("{TAG_PREFIX}{tag}")));
        assert_eq!(tagged("12", "str").unwrap().kind().unwrap().name(), "str");
        assert_eq!(tagged("3", "float").unwrap().kind().unwrap().name(), "float");
        assert_eq!(*tagged("aGVs\nbG8=", "binary").unwrap().to_plaintext(), b"hello");
        assert!(tagged("3.5", "int").is_err());
        assert_eq!(resolve("12", true, Some("!custom")).unwrap().kind().unwrap().name(), "str");
    }
}
