//! The messages, field by field as `keyservice.proto` numbers them.

use std::collections::HashMap;
use std::fmt;

use prost::{Message, Oneof};
use serde_json::Value;
use zeroize::Zeroize;

use crate::error::{Error, Kind, Result};
use crate::keys::entry::{Fields, set};
use crate::keys::{KeyKind, MasterKey, WrappedKey};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Key {
    #[prost(oneof = "KeyType", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub key_type: Option<KeyType>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum KeyType {
    #[prost(message, tag = "1")]
    Kms(KmsKey),
    #[prost(message, tag = "2")]
    Pgp(OneText),
    #[prost(message, tag = "3")]
    GcpKms(OneText),
    #[prost(message, tag = "4")]
    AzureKeyvault(ThreeTexts),
    #[prost(message, tag = "5")]
    Vault(ThreeTexts),
    #[prost(message, tag = "6")]
    Age(OneText),
    #[prost(message, tag = "7")]
    Hckms(OneText),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KmsKey {
    #[prost(string, tag = "1")]
    pub arn: String,
    #[prost(string, tag = "2")]
    pub role: String,
    #[prost(map = "string, string", tag = "3")]
    pub context: HashMap<String, String>,
    #[prost(string, tag = "4")]
    pub aws_profile: String,
}

/// A key with one field: its fingerprint, recipient or id.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OneText {
    #[prost(string, tag = "1")]
    pub text: String,
}

/// A key with three: server, engine and name, or vault, name and version.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ThreeTexts {
    #[prost(string, tag = "1")]
    pub first: String,
    #[prost(string, tag = "2")]
    pub second: String,
    #[prost(string, tag = "3")]
    pub third: String,
}

/// What is to be wrapped, or unwrapped, for a key. It may be secret.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct Request {
    #[prost(message, optional, tag = "1")]
    pub key: Option<Key>,
    #[prost(bytes = "vec", tag = "2")]
    pub bytes: Vec<u8>,
}

/// What came of it. It may be secret.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct Response {
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").finish_non_exhaustive()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The fields of entries that travel, by kind, in the order of their numbers.
const fn texts(kind: KeyKind) -> &'static [&'static str] {
    match kind {
        KeyKind::Age => &["recipient"],
        KeyKind::Pgp => &["fp"],
        KeyKind::GcpKms => &["resource_id"],
        KeyKind::HcKms => &["key_id"],
        KeyKind::HcVault => &["vault_address", "engine_path", "key_name"],
        KeyKind::AzureKv => &["vault_url", "name", "version"],
        KeyKind::Kms => &["arn", "role", "aws_profile"],
    }
}

impl Key {
    /// A key of a file.
    pub fn of(key: &MasterKey) -> Self {
        let entry = WrappedKey { key: key.clone(), enc: String::new(), entry: Fields::new() }.to_entry();
        Self::of_entry(key.kind(), &entry)
    }

    /// A key as the entry of a file has it.
    pub fn of_entry(kind: KeyKind, entry: &Fields) -> Self {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut fields = texts(kind).iter().map(|name| text(name));
        let mut next = || fields.next().unwrap_or_default();
        let one = |text| OneText { text };
        let key_type = match kind {
            KeyKind::Age => KeyType::Age(one(next())),
            KeyKind::Pgp => KeyType::Pgp(one(next())),
            KeyKind::GcpKms => KeyType::GcpKms(one(next())),
            KeyKind::HcKms => KeyType::Hckms(one(next())),
            KeyKind::HcVault => KeyType::Vault(ThreeTexts { first: next(), second: next(), third: next() }),
            KeyKind::AzureKv => {
                KeyType::AzureKeyvault(ThreeTexts { first: next(), second: next(), third: next() })
            }
            KeyKind::Kms => {
                let context = entry.get("context").and_then(Value::as_object);
                let pair = |(name, value): (&String, &Value)| {
                    (name.clone(), value.as_str().unwrap_or_default().to_owned())
                };
                let context = context.into_iter().flatten().map(pair).collect();
                KeyType::Kms(KmsKey { arn: next(), role: next(), context, aws_profile: next() })
            }
        };
        Self { key_type: Some(key_type) }
    }

    /// The entry that a file would have of it, with this ciphertext.
    pub fn wrapped(&self, enc: String) -> Result<WrappedKey> {
        let missing = || Error::new(Kind::Other, "the request names no key");
        let (kind, values, context) = match self.key_type.as_ref().ok_or_else(missing)? {
            KeyType::Age(key) => (KeyKind::Age, vec![&key.text], None),
            KeyType::Pgp(key) => (KeyKind::Pgp, vec![&key.text], None),
            KeyType::GcpKms(key) => (KeyKind::GcpKms, vec![&key.text], None),
            KeyType::Hckms(key) => (KeyKind::HcKms, vec![&key.text], None),
            KeyType::Vault(key) => (KeyKind::HcVault, vec![&key.first, &key.second, &key.third], None),
            KeyType::AzureKeyvault(key) => {
                (KeyKind::AzureKv, vec![&key.first, &key.second, &key.third], None)
            }
            KeyType::Kms(key) => {
                (KeyKind::Kms, vec![&key.arn, &key.role, &key.aws_profile], Some(&key.context))
            }
        };
        let mut entry = Fields::new();
        for (name, value) in texts(kind).iter().zip(values).filter(|(_, value)| !value.is_empty()) {
            set(&mut entry, name, Some(value.as_str().into()));
        }
        if let Some(context) = context.filter(|context| !context.is_empty()) {
            set(&mut entry, "context", serde_json::to_value(context).ok());
        }
        set(&mut entry, "enc", Some(enc.into()));
        WrappedKey::read(kind, &entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_travels_and_arrives() {
        for (kind, entry) in [
            (
                KeyKind::Age,
                r#"{"recipient": "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy"}"#,
            ),
            (KeyKind::Pgp, r#"{"fp": "0123456789ABCDEF0123456789ABCDEF01234567"}"#),
            (
                KeyKind::HcVault,
                r#"{"vault_address": "https://v:8200", "engine_path": "a/b", "key_name": "k"}"#,
            ),
            (
                KeyKind::Kms,
                r#"{"arn": "arn:aws:kms:eu-west-1:1:key/k", "role": "arn:aws:iam::1:role/r", "aws_profile": "p",
                    "context": {"a": "1", "b": "2"}}"#,
            ),
            (KeyKind::GcpKms, r#"{"resource_id": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}"#),
            (KeyKind::AzureKv, r#"{"vault_url": "https://v.vault.azure.net", "name": "k", "version": "1"}"#),
            (KeyKind::HcKms, r#"{"key_id": "eu-west-101:0123abcd"}"#),
        ] {
            let entry: Fields = serde_json::from_str(entry).unwrap();
            let sent = Key::of_entry(kind, &entry);
            let got = Key::decode(&sent.encode_to_vec()[..]).unwrap();
            let wrapped = got.wrapped("x".to_owned()).unwrap();
            assert_eq!(wrapped.enc, "x");
            assert_eq!(wrapped.key.kind(), kind);
            for (name, value) in entry {
                assert_eq!(wrapped.entry.get(&name).unwrap_or(&value), &value, "{kind}: {name}");
            }
            if wrapped.key.is_supported() {
                assert_eq!(Key::of(&wrapped.key), sent, "{kind}");
            }
        }
        assert!(Key::default().wrapped(String::new()).is_err());
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let request = Request { key: None, bytes: b"hunter2".to_vec() };
        let response = Response { bytes: b"hunter2".to_vec() };
        assert_eq!(format!("{request:?}{response:?}"), "Request { key: None, .. }Response { .. }");
    }
}
