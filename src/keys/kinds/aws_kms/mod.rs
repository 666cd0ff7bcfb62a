//! Keys of AWS KMS (`kms/keysource.go` of getsops/sops).
//!
//! Owns how such a key is named and written down, the requests to KMS and STS, and the credentials they are signed with,
//! which are found where the AWS SDK of sops finds them. A request goes to a host of AWS, made of a checked region and
//! partition, or to an endpoint of the user's own settings. Never puts a credential or a data key into an error.

mod key;
mod sealed;

#[cfg(feature = "aws")]
mod credentials;
#[cfg(all(feature = "aws", feature = "cli"))]
mod objects;
#[cfg(feature = "aws")]
mod origin;
#[cfg(feature = "aws")]
mod problem;
#[cfg(feature = "aws")]
mod profiles;
#[cfg(feature = "aws")]
mod requests;
#[cfg(feature = "aws")]
mod sts;
#[cfg(feature = "aws")]
mod worker;

use std::collections::BTreeMap;

pub use self::key::{Key, parse_context};
pub use self::sealed::AwsKmsEntry;
#[cfg(feature = "aws")]
pub use self::worker::Kms;
use crate::error::Result;
use crate::keys::entry::{Fields, get, set, text, text_or_empty};
use crate::keys::kind::{self, Complaint, MasterKey, Names, Resources};
use crate::keys::{KeyKind, WrappedKey};
#[cfg(feature = "aws")]
use crate::{host::Host, keys::Credentials};

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "kms",
            flag: "kms",
            variable: "SOPS_KMS_ARN",
            a_key: "a key of AWS KMS",
            is_supported: cfg!(feature = "aws"),
            fields: &["arn", "role", "context", "created_at", "enc", "aws_profile"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let field = |name| text_or_empty(entry, name);
        let (arn, role, profile) = (field("arn")?, field("role")?, field("aws_profile")?);
        let context = context_of(entry);
        let known = context.clone().unwrap_or_default();
        let key =
            Key::new(&arn, Some(&role), known.clone(), Some(&profile)).ok().filter(|_| context.is_some());
        match key {
            Some(key) => {
                Ok(WrappedKey { key: MasterKey::Kms(key), enc: field("enc")?, entry: entry.clone() })
            }
            None => {
                WrappedKey::foreign(KeyKind::Kms, key::id(&arn, Some(&role), &known, Some(&profile)), entry)
            }
        }
    }

    fn complaint(&self, id: &str) -> Option<Complaint> {
        key::complaint(id)
    }

    fn resources(&self) -> Option<&'static Resources> {
        Some(&Resources {
            begins: "arn:",
            dividers: &[':', '/'],
            check: key::check_beginning,
            variables: &["AWS_"],
        })
    }

    #[cfg(feature = "aws")]
    fn credentials(&self, host: &dyn Host) -> Option<Credentials> {
        let origin = origin::Origin::of_user(host);
        let is_found = |origin: &origin::Origin| origin.is_found().then(|| origin.to_string());
        Some(Credentials {
            cloud: "aws",
            none: origin.as_ref().map(ToString::to_string).unwrap_or_default(),
            found: origin.map(|origin| is_found(&origin)),
            advice: "Log in (`aws sso login`, `aws configure`), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY.",
        })
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        let mut entry = wrapped.entry.clone();
        let MasterKey::Kms(key) = &wrapped.key else { return entry };
        if get(&entry, "arn").is_none() {
            entry = new_entry(key, &entry);
        }
        set(&mut entry, "enc", Some(wrapped.enc.clone().into()));
        entry
    }
}

/// An entry in the order in which sops writes it, with a profile even where there is none.
fn new_entry(key: &Key, given: &Fields) -> Fields {
    let mut entry = Fields::new();
    entry.insert("arn".to_owned(), key.arn().into());
    entry.insert("aws_profile".to_owned(), key.profile().unwrap_or_default().into());
    if !key.context().is_empty() {
        let pairs = key.context().iter().map(|(name, value)| (name.clone(), value.as_str().into()));
        entry.insert("context".to_owned(), pairs.collect::<Fields>().into());
    }
    if let Some(created_at) = get(given, "created_at") {
        entry.insert("created_at".to_owned(), created_at.clone());
    }
    entry.insert("enc".to_owned(), "".into());
    if let Some(role) = key.role() {
        entry.insert("role".to_owned(), role.into());
    }
    entry
}

/// The encryption context of an entry; a part that is null counts as none, as with sops. `None` for what is no context.
fn context_of(entry: &Fields) -> Option<BTreeMap<String, String>> {
    let Some(context) = get(entry, "context") else { return Some(BTreeMap::new()) };
    let pairs = context.as_object()?;
    let given = pairs.iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, _)| Some((name.clone(), text(pairs, name).ok()??))).collect()
}

/// A key as a rule or a flag names it. What is no ARN of a key stays as it is written: a file may have it.
pub(crate) fn as_written(
    arn: &str,
    role: Option<&str>,
    context: BTreeMap<String, String>,
    profile: Option<&str>,
) -> MasterKey {
    let id = key::id(arn, role, &context, profile);
    match Key::new(arn, role, context, profile) {
        Ok(key) => MasterKey::Kms(key),
        Err(_) => MasterKey::Foreign { kind: KeyKind::Kms, id },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ARN: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd";

    fn read(entry: &Value) -> WrappedKey {
        WrappedKey::read(KeyKind::Kms, entry.as_object().unwrap()).unwrap()
    }

    #[test]
    fn an_entry_that_was_read_stays_as_it_is() {
        for entry in [
            json!({"arn": ARN, "created_at": "2026-01-31T12:00:00Z", "enc": "AQI=", "aws_profile": ""}),
            json!({"enc": "AQI=", "Arn": ARN, "context": {"z": "1", "a": null, "n": 1}, "extra": [1]}),
            json!({"arn": ARN, "role": "arn:aws:iam::1:role/r", "enc": "AQI=", "aws_profile": "p"}),
            json!({"arn": "arn:aws:kms:evil.example.com/:1:key/x", "enc": "AQI="}),
            json!({"arn": ARN, "context": "x", "enc": "AQI="}),
        ] {
            assert_eq!(Value::Object(read(&entry).to_entry()), entry);
        }
    }

    #[test]
    fn a_key_is_what_its_entry_says() {
        let read = read(
            &json!({"arn": ARN, "context": {"z": "1", "a": null, "n": 1}, "aws_profile": "p", "enc": ""}),
        );
        let MasterKey::Kms(key) = read.key else { panic!("it is a key") };
        assert_eq!(key.id(), format!("{ARN}|n:1,z:1|p"));
    }

    #[test]
    fn a_new_entry_is_in_the_order_of_sops() {
        let context = [("b", "2"), ("a", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let key = Key::new(ARN, Some("arn:aws:iam::1:role/r"), context.into(), None).unwrap();
        let entry = json!({"created_at": "2026-01-31T12:00:00Z"}).as_object().cloned().unwrap();
        let wrapped = WrappedKey { key: MasterKey::Kms(key), enc: "AQI=".to_owned(), entry };
        let expected = format!(
            r#"{{"arn":"{ARN}","aws_profile":"","context":{{"a":"1","b":"2"}},"created_at":"2026-01-31T12:00:00Z","enc":"AQI=","role":"arn:aws:iam::1:role/r"}}"#
        );
        assert_eq!(Value::Object(wrapped.to_entry()).to_string(), expected);
    }
}
