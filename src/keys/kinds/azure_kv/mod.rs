//! Keys of Azure Key Vault (`azkv/keysource.go` of getsops/sops).
//!
//! Owns how such a key is named and written down, the requests to vaults, and the credentials they are made with, which
//! are found where Azure's client in sops finds them. A request goes to a host of Azure, or to one that the user has
//! named; a credential to the servers of Microsoft's identities, or to the authority of the user's own settings. Never puts
//! a credential or a data key into an error.

mod key;
mod sealed;

#[cfg(feature = "azure")]
mod arc;
#[cfg(feature = "azure")]
mod challenge;
#[cfg(feature = "azure")]
mod credentials;
#[cfg(feature = "azure")]
mod problem;
#[cfg(feature = "azure")]
mod tokens;
#[cfg(feature = "azure")]
mod worker;

pub use self::key::Key;
pub use self::sealed::AzureKvEntry;
#[cfg(feature = "azure")]
pub(super) use self::worker::Vaults;
use crate::error::Result;
use crate::keys::entry::{Fields, get, set, text_or_empty};
use crate::keys::kind::{self, Complaint, MasterKey, Names, Resources};
use crate::keys::{KeyKind, WrappedKey};
#[cfg(feature = "azure")]
use crate::{host::Host, keys::Credentials};

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "azure_kv",
            flag: "azure-kv",
            variable: "SOPS_AZURE_KEYVAULT_URLS",
            a_key: "a key of Azure Key Vault",
            is_supported: cfg!(feature = "azure"),
            fields: &["vault_url", "name", "version", "created_at", "enc"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let field = |name| text_or_empty(entry, name);
        match as_written(&field("vault_url")?, &field("name")?, &field("version")?) {
            MasterKey::Foreign { kind, id } => WrappedKey::foreign(kind, id, entry),
            key => Ok(WrappedKey { key, enc: field("enc")?, entry: entry.clone() }),
        }
    }

    fn complaint(&self, id: &str) -> Option<Complaint> {
        key::complaint(id)
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        let mut entry = wrapped.entry.clone();
        let MasterKey::AzureKv(key) = &wrapped.key else { return entry };
        set(&mut entry, "enc", Some(wrapped.enc.clone().into()));
        if get(&entry, "vault_url").is_none() {
            set(&mut entry, "name", Some(key.name().into()));
            set(&mut entry, "vault_url", Some(key.vault_url().into()));
            set(&mut entry, "version", Some(key.version().unwrap_or_default().into()));
        }
        entry
    }

    fn resources(&self) -> Option<&'static Resources> {
        Some(&Resources {
            begins: key::SCHEME,
            dividers: &['/'],
            check: key::check_beginning,
            variables: &["AZURE_", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET"],
        })
    }

    #[cfg(feature = "azure")]
    fn credentials(&self, host: &dyn Host) -> Option<Credentials> {
        Some(Credentials {
            cloud: "azure",
            found: credentials::described(host),
            none: "no credentials, unless this machine has a managed identity of Azure".to_owned(),
            advice: "Log in: `az login`.",
        })
    }
}

/// A key as a rule or a flag names it. What is no key stays as it is written: a file may have it.
pub(crate) fn as_written(vault_url: &str, name: &str, version: &str) -> MasterKey {
    let foreign = |_| MasterKey::Foreign { kind: KeyKind::AzureKv, id: key::id(vault_url, name, version) };
    Key::new(vault_url, name, version).map_or_else(foreign, MasterKey::AzureKv)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const VAULT: &str = "https://v.vault.azure.net";

    #[test]
    fn an_entry_that_was_read_stays_as_it_is() {
        for entry in [
            json!({"vault_url": VAULT, "name": "k", "version": "1", "created_at": "2026-01-31T12:00:00Z", "enc": "a"}),
            json!({"enc": "a", "Vault_URL": "https://v.vault.azure.net/", "name": "k", "extra": [1]}),
            json!({"vault_url": "https://evil.test/x", "name": "k", "version": "1", "enc": "a"}),
        ] {
            let wrapped = WrappedKey::read(KeyKind::AzureKv, entry.as_object().unwrap()).unwrap();
            assert_eq!(Value::Object(wrapped.to_entry()), entry);
        }
    }

    #[test]
    fn a_new_entry_is_in_the_order_of_sops() {
        let entry = json!({"created_at": "2026-01-31T12:00:00Z"}).as_object().cloned().unwrap();
        let wrapped = WrappedKey { key: as_written(VAULT, "k", "1"), enc: "a".to_owned(), entry };
        let expected = format!(
            r#"{{"created_at":"2026-01-31T12:00:00Z","enc":"a","name":"k","vault_url":"{VAULT}","version":"1"}}"#
        );
        assert_eq!(Value::Object(wrapped.to_entry()).to_string(), expected);
    }
}
