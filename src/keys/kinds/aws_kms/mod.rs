//! Keys of AWS KMS (`kms/keysource.go` of getsops/sops).
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
            name: "kms",
            flag: "kms",
            variable: "SOPS_KMS_ARN",
            a_key: "a key of AWS KMS",
            is_supported: false,
            fields: &["arn", "role", "context", "created_at", "enc", "aws_profile"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let (arn, role) = (text_or_empty(entry, "arn")?, text_or_empty(entry, "role")?);
        WrappedKey::foreign(KeyKind::Kms, id(arn, Some(role)), entry)
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        wrapped.entry.clone()
    }
}

/// How sops shows a key: `ARN`, or `ARN+ROLE`.
pub(crate) fn id(arn: String, role: Option<String>) -> String {
    match role {
        Some(role) if !role.is_empty() => format!("{arn}+{role}"),
        _ => arn,
    }
}
