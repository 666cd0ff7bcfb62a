//! Typed scalar values, and the byte form in which sops encrypts and hashes them.

use std::fmt;

use zeroize::Zeroizing;

use crate::secret::SecretBytes;

/// The type of a value, named as in `type:` of sops's ciphertexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueKind {
    Str,
    Int,
    Float,
    Bool,
    Time,
    Bytes,
    Comment,
}

impl ValueKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Time => "time",
            Self::Bytes => "bytes",
            Self::Comment => "comment",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Str, Self::Int, Self::Float, Self::Bool, Self::Time, Self::Bytes, Self::Comment]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A typed scalar value. Its `Debug` shows the type alone.
#[derive(Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A point in time as RFC 3339 text with its offset, fraction without trailing zeros (Go's RFC3339Nano).
    Time(String),
    /// Text; bytes that are not UTF-8 come from YAML's `!!binary` and from binary documents.
    Str(SecretBytes),
}

impl Value {
    pub fn str(text: &str) -> Self {
        Self::Str(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// The type under which the value is encrypted; `None` for null, which never is.
    pub fn kind(&self) -> Option<ValueKind> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => ValueKind::Bool,
            Self::Int(_) => ValueKind::Int,
            Self::Float(_) => ValueKind::Float,
            Self::Time(_) => ValueKind::Time,
            Self::Str(_) => ValueKind::Str,
        })
    }

    /// The byte form that is encrypted and hashed (`ToBytes` of sops: `True`/`False`, floats never with an exponent).
    pub fn to_plaintext(&self) -> SecretBytes {
        Zeroizing::new(match self {
            Self::Null => Vec::new(),
            Self::Bool(true) => b"True".to_vec(),
            Self::Bool(false) => b"False".to_vec(),
            Self::Int(int) => int.to_string().into_bytes(),
            Self::Float(float) => go_float(*float).into_bytes(),
            Self::Time(text) => text.clone().into_bytes(),
            Self::Str(bytes) => bytes.to_vec(),
        })
    }

    /// The byte form, of which a text is the very same bytes.
    pub fn into_plaintext(self) -> SecretBytes {
        match self {
            Self::Str(bytes) => bytes,
            other => other.to_plaintext(),
        }
    }

    /// Hands the byte form to `use_it`, without a copy of a text.
    pub fn with_plaintext<T>(&self, use_it: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Str(bytes) => use_it(bytes),
            other => use_it(&other.to_plaintext()),
        }
    }

    /// The value with this byte form; `None` when the bytes are no such value.
    pub fn from_plaintext(kind: ValueKind, bytes: SecretBytes) -> Option<Self> {
        let text = || std::str::from_utf8(&bytes).ok();
        Some(match kind {
            ValueKind::Str | ValueKind::Bytes | ValueKind::Comment => Self::Str(bytes),
            ValueKind::Int => Self::Int(text()?.parse().ok()?),
            ValueKind::Float => Self::Float(match text()? {
                "+Inf" => f64::INFINITY,
                "-Inf" => f64::NEG_INFINITY,
                "NaN" => f64::NAN,
                number => number.parse().ok()?,
            }),
            ValueKind::Bool => Self::Bool(match text()? {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
                "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
                _ => return None,
            }),
            ValueKind::Time => Self::Time(text().filter(|text| is_time(text))?.to_owned()),
        })
    }

    /// Whether two values are the same in all that sops can tell: equal byte forms of equal types, where a whole float
    /// counts as the integer as which it is read back.
    pub fn same(&self, other: &Self) -> bool {
        let number = |kind| matches!(kind, Some(ValueKind::Int | ValueKind::Float));
        let alike = self.kind() == other.kind() || (number(self.kind()) && number(other.kind()));
        alike && self.with_plaintext(|ours| other.with_plaintext(|theirs| ours == theirs))
    }

    /// Whether it is the float zero, of either sign: to sops, which looks up its IVs by values, both are one.
    pub fn is_zero_float(&self) -> bool {
        matches!(self, Self::Float(float) if *float == 0.0)
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Whether it is left as it is in an encrypted part: null and the empty string (sops encrypts neither).
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Str(bytes) => bytes.is_empty(),
            _ => false,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().map_or("null", ValueKind::name))
    }
}

/// Whether a text is a time as RFC 3339 has it, and nothing else: it is written without quotes.
fn is_time(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | ':' | '.' | 'T' | 'Z');
    text.chars().all(is_part) && text.parse::<jiff::Timestamp>().is_ok()
}

/// Go's `strconv.FormatFloat(x, 'f', -1, 64)`: shortest digits that come back, never an exponent.
fn go_float(float: f64) -> String {
    if float.is_nan() {
        "NaN".to_owned()
    } else if float.is_infinite() {
        if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        float.to_string()
    }
}

/// Go's `strconv.FormatFloat(x, 'g', -1, 64)`: an exponent of at least two digits below 1e-4 and from 1e21 on
/// (`exponent_from` 21, as encoding/json does) or from 1e6 on (6, as go-yaml does).
pub(super) fn go_float_short(float: f64, exponent_from: i32) -> String {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if float == 0.0 || (-4..exponent_from).contains(&exponent) {
        return float.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_forms_are_those_of_sops() {
        let plain = |value: Value| String::from_utf8(value.to_plaintext().to_vec()).unwrap();
        assert_eq!(plain(Value::Bool(true)), "True");
        assert_eq!(plain(Value::Float(1e21)), "1000000000000000000000");
        assert_eq!(plain(Value::Float(1.0)), "1");
        assert_eq!(plain(Value::Float(-0.0)), "-0");
        assert_eq!(plain(Value::Float(1.5e-7)), "0.00000015");
        assert_eq!(plain(Value::Float(f64::NEG_INFINITY)), "-Inf");
    }

    #[test]
    fn short_floats_are_those_of_go() {
        assert_eq!(go_float_short(1e6, 6), "1e+06");
        assert_eq!(go_float_short(123456.0, 6), "123456");
        assert_eq!(go_float_short(1e21, 21), "1e+21");
        assert_eq!(go_float_short(1.5e-7, 21), "1.5e-07");
        assert_eq!(go_float_short(0.0001, 6), "0.0001");
        assert_eq!(go_float_short(0.0, 6), "0");
    }

    #[test]
    fn a_time_is_a_time_and_nothing_else() {
        let read = |text: &str| {
            let bytes = Zeroizing::new(text.as_bytes().to_vec());
            Value::from_plaintext(ValueKind::Time, bytes).is_some()
        };
        assert!(read("2020-01-02T00:00:00Z"));
        assert!(read("2020-01-02T03:04:05.678+02:00"));
        for text in ["", "x", "2020-01-02", "2020-01-02T00:00:00Z\nevil: 1", "2020-01-02T00:00:00Z[UTC]"] {
            assert!(!read(text), "{text:?}");
        }
    }

    #[test]
    fn a_whole_float_is_the_same_as_its_integer() {
        assert!(Value::Float(2.0).same(&Value::Int(2)));
        assert!(!Value::str("2").same(&Value::Int(2)));
        assert!(!Value::Bool(true).same(&Value::str("True")));
    }
}
