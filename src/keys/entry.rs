//! One entry of a list of wrapped data keys in a file's metadata.
//!
//! Owns how leniently sops reads such entries: names in whatever case, a text in whatever type it was written.

use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};

/// The fields of an entry, or of the metadata around it.
pub(crate) type Fields = Map<String, Value>;

/// The field with this name, in whatever case (sops decodes so).
pub(crate) fn get<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    let found = fields
        .get(name)
        .or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
    found.filter(|value| !value.is_null())
}

/// Sets the field that [`get`] reads, or removes it.
pub(crate) fn set(fields: &mut Fields, name: &str, value: Option<Value>) {
    let alike = || fields.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    let name = Some(name.to_owned())
        .filter(|name| fields.contains_key(name))
        .or_else(alike)
        .unwrap_or_else(|| name.to_owned());
    match value {
        Some(value) => {
            if fields.get(&name) != Some(&value) {
                fields.insert(name, value);
            }
        }
        None => _ = fields.shift_remove(&name),
    }
}

/// A text, or what sops takes for one.
pub(crate) fn text(fields: &Fields, name: &str) -> Result<Option<String>> {
    match get(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Bool(bool)) => Ok(Some(u8::from(*bool).to_string())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(unusable(format!("`{name}` is not a string"))),
    }
}

/// As [`text`]; empty where there is none.
pub(crate) fn text_or_empty(fields: &Fields, name: &str) -> Result<String> {
    text(fields, name).map(Option::unwrap_or_default)
}

/// An error for metadata that say nothing that can be gone by.
pub(crate) fn unusable(message: impl std::fmt::Display) -> Error {
    Error::new(Kind::Other, format!("the sops metadata cannot be used: {message}"))
}
