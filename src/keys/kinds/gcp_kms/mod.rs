//! Keys of Google Cloud KMS (`gcpkms/keysource.go` of getsops/sops).
//!
//! Owns how such a key is named and written down, the requests to KMS, and the credentials they are made with, which are
//! found where Google's client in sops finds them. A request goes to Google, or to the endpoint of the user's own
//! settings; a credential to the servers that its own file names. Never puts a credential or a data key into an error.

mod key;
mod sealed;

#[cfg(feature = "gcp")]
mod credentials;
#[cfg(all(feature = "gcp", feature = "cli"))]
mod objects;
#[cfg(feature = "gcp")]
mod problem;
#[cfg(feature = "gcp")]
mod subject;
#[cfg(feature = "gcp")]
mod tokens;
#[cfg(feature = "gcp")]
mod worker;

pub use self::key::Key;
pub use self::sealed::GcpKmsEntry;
#[cfg(feature = "gcp")]
pub use self::worker::Kms;
use crate::error::Result;
use crate::keys::entry::{Fields, get, set, text_or_empty};
use crate::keys::kind::{self, Complaint, MasterKey, Names, Resources};
use crate::keys::{KeyKind, WrappedKey};
#[cfg(feature = "gcp")]
use crate::{host::Host, keys::Credentials};

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "gcp_kms",
            flag: "gcp-kms",
            variable: "SOPS_GCP_KMS_IDS",
            a_key: "a key of Google Cloud KMS",
            is_supported: cfg!(feature = "gcp"),
            fields: &["resource_id", "created_at", "enc"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let id = text_or_empty(entry, "resource_id")?;
        match Key::parse(&id) {
            Ok(key) => {
                let enc = text_or_empty(entry, "enc")?;
                Ok(WrappedKey { key: MasterKey::GcpKms(key), enc, entry: entry.clone() })
            }
            Err(_) => WrappedKey::foreign(KeyKind::GcpKms, id, entry),
        }
    }

    fn complaint(&self, id: &str) -> Option<Complaint> {
        key::complaint(id)
    }

    fn resources(&self) -> Option<&'static Resources> {
        Some(&Resources {
            begins: "projects/",
            dividers: &['/'],
            check: key::check_beginning,
            variables: &["GOOGLE_", "GCE_METADATA_HOST", "SOPS_GCP_KMS_"],
        })
    }

    #[cfg(feature = "gcp")]
    fn credentials(&self, host: &dyn Host) -> Option<Credentials> {
        Some(Credentials {
            cloud: "gcp",
            found: credentials::described(host),
            none: "no credentials, unless this machine has a service account of Google".to_owned(),
            advice: "Log in: `gcloud auth application-default login`.",
        })
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        let mut entry = wrapped.entry.clone();
        let MasterKey::GcpKms(key) = &wrapped.key else { return entry };
        set(&mut entry, "enc", Some(wrapped.enc.clone().into()));
        if get(&entry, "resource_id").is_none() {
            set(&mut entry, "resource_id", Some(key.resource_id().into()));
        }
        entry
    }
}

/// A key as a rule or a flag names it. What is no resource ID stays as it is written: a file may have it.
pub(crate) fn as_written(resource_id: &str) -> MasterKey {
    // As sops has it.
    let id = resource_id.replace(' ', "");
    Key::parse(&id).map_or_else(|_| MasterKey::Foreign { kind: KeyKind::GcpKms, id }, MasterKey::GcpKms)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k";

    #[test]
    fn an_entry_that_was_read_stays_as_it_is() {
        for entry in [
            json!({"resource_id": ID, "created_at": "2026-01-31T12:00:00Z", "enc": "CiQA"}),
            json!({"enc": "CiQA", "Resource_ID": ID, "extra": [1]}),
            json!({"resource_id": "projects/p", "enc": "CiQA"}),
            json!({"resource_id": format!("{ID}/cryptoKeyVersions/1"), "enc": "CiQA"}),
        ] {
            let wrapped = WrappedKey::read(KeyKind::GcpKms, entry.as_object().unwrap()).unwrap();
            assert_eq!(Value::Object(wrapped.to_entry()), entry);
        }
    }

    #[test]
    fn a_new_entry_is_in_the_order_of_sops() {
        let entry = json!({"created_at": "2026-01-31T12:00:00Z"}).as_object().cloned().unwrap();
        let wrapped = WrappedKey { key: as_written(ID), enc: "CiQA".to_owned(), entry };
        let expected =
            format!(r#"{{"created_at":"2026-01-31T12:00:00Z","enc":"CiQA","resource_id":"{ID}"}}"#);
        assert_eq!(Value::Object(wrapped.to_entry()).to_string(), expected);
    }
}
