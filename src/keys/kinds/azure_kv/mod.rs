//! Keys of Azure Key Vault (`azkv/keysource.go` of getsops/sops).
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
            name: "azure_kv",
            flag: "azure-kv",
            variable: "SOPS_AZURE_KEYVAULT_URLS",
            a_key: "a key of Azure Key Vault",
            is_supported: false,
            fields: &["vault_url", "name", "version", "created_at", "enc"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let field = |name| text_or_empty(entry, name);
        WrappedKey::foreign(
            KeyKind::AzureKv,
            id(&field("vault_url")?, &field("name")?, &field("version")?),
            entry,
        )
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        wrapped.entry.clone()
    }
}

/// How sops shows a key: its URL with the version, also where there is none.
pub(crate) fn id(vault_url: &str, name: &str, version: &str) -> String {
    format!("{vault_url}/keys/{name}/{version}")
}
