//! Keys of Google Cloud KMS (`gcpkms/keysource.go` of getsops/sops).
//!
//! Owns how such a key is named and written down. Sealant does not use these keys: they are kept verbatim.

use crate::error::Result;
use crate::keys::entry::{Fields, text_or_empty};
use crate::keys::kind::{self, Names};
use crate::keys::{KeyKind, WrappedKey};

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "gcp_kms",
            flag: "gcp-kms",
            variable: "SOPS_GCP_KMS_IDS",
            a_key: "a key of Google Cloud KMS",
            is_supported: false,
            fields: &["resource_id", "created_at", "enc"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        WrappedKey::foreign(KeyKind::GcpKms, text_or_empty(entry, "resource_id")?, entry)
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        wrapped.entry.clone()
    }
}
