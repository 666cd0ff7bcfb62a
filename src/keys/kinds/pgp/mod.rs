//! PGP keys, as gpg has them (`pgp/keysource.go` of getsops/sops).
//!
//! Owns how such a key is named and written down. Sealant does not use these keys: they are kept verbatim.

use crate::error::Result;
use crate::keys::entry::{Fields, text_or_empty};
use crate::keys::kind::{self, Names};
use crate::keys::{KeyKind, WrappedKey};

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names { name: "pgp", flag: "pgp", variable: "SOPS_PGP_FP", fields: &["created_at", "enc", "fp"] }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        WrappedKey::foreign(KeyKind::Pgp, text_or_empty(entry, "fp")?, entry)
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        wrapped.entry.clone()
    }
}
