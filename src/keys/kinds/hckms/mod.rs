//! Keys of Huawei Cloud KMS (`hckms/keysource.go` of getsops/sops).
//!
//! Owns how such a key is named and written down, the requests to KMS and their signature, and the access keys they are
//! signed with, which are found where Huawei's client in sops finds them. A request goes to a host of Huawei that is made of
//! a checked region, or to one of the user's own settings. Never puts a credential or a data key into an error.

mod key;

#[cfg(feature = "huawei")]
mod credentials;
#[cfg(feature = "huawei")]
mod problem;
#[cfg(feature = "huawei")]
mod signature;
#[cfg(feature = "huawei")]
mod worker;

pub use self::key::Key;
#[cfg(feature = "huawei")]
pub(super) use self::worker::Kms;
use crate::error::Result;
use crate::keys::entry::{Fields, get, set, text_or_empty};
use crate::keys::kind::{self, Complaint, MasterKey, Names};
use crate::keys::{KeyKind, WrappedKey};
#[cfg(feature = "huawei")]
use crate::{host::Host, keys::Credentials};

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "hckms",
            flag: "hckms",
            variable: "SOPS_HUAWEICLOUD_KMS_IDS",
            a_key: "a key of Huawei Cloud KMS",
            is_supported: cfg!(feature = "huawei"),
            fields: &["key_id", "created_at", "enc"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        match as_written(&text_or_empty(entry, "key_id")?) {
            MasterKey::Foreign { kind, id } => WrappedKey::foreign(kind, id, entry),
            key => Ok(WrappedKey { key, enc: text_or_empty(entry, "enc")?, entry: entry.clone() }),
        }
    }

    fn complaint(&self, id: &str) -> Option<Complaint> {
        key::complaint(id)
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        let mut entry = wrapped.entry.clone();
        let MasterKey::HcKms(key) = &wrapped.key else { return entry };
        set(&mut entry, "enc", Some(wrapped.enc.clone().into()));
        if get(&entry, "key_id").is_none() {
            set(&mut entry, "key_id", Some(key.id().into()));
        }
        entry
    }

    #[cfg(feature = "huawei")]
    fn credentials(&self, host: &dyn Host) -> Option<Credentials> {
        Some(Credentials {
            cloud: "huawei",
            found: credentials::described(host),
            none: "no credentials".to_owned(),
            advice: "Set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK.",
        })
    }
}

/// A key as a rule or a flag names it. What is no key stays as it is written: a file may have it.
pub(crate) fn as_written(id: &str) -> MasterKey {
    let foreign = |_| MasterKey::Foreign { kind: KeyKind::HcKms, id: id.to_owned() };
    Key::parse(id).map_or_else(foreign, MasterKey::HcKms)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "tr-west-1:0d0466b0-e727-4d9c-b35d-f84bb474a37f";

    #[test]
    fn an_entry_that_was_read_stays_as_it_is() {
        for entry in [
            json!({"key_id": ID, "created_at": "2026-01-31T12:00:00Z", "enc": "a"}),
            json!({"enc": "a", "Key_ID": ID, "extra": [1]}),
            json!({"key_id": "nowhere", "enc": "a"}),
        ] {
            let wrapped = WrappedKey::read(KeyKind::HcKms, entry.as_object().unwrap()).unwrap();
            assert_eq!(Value::Object(wrapped.to_entry()), entry);
        }
    }

    #[test]
    fn a_new_entry_is_in_the_order_of_sops() {
        let entry = json!({"created_at": "2026-01-31T12:00:00Z"}).as_object().cloned().unwrap();
        let wrapped = WrappedKey { key: as_written(ID), enc: "a".to_owned(), entry };
        let expected = format!(r#"{{"created_at":"2026-01-31T12:00:00Z","enc":"a","key_id":"{ID}"}}"#);
        assert_eq!(Value::Object(wrapped.to_entry()).to_string(), expected);
    }
}
