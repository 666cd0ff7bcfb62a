//! Transit keys of Vault and OpenBao.
//!
//! Owns the requests to transit engines, many data keys in one, and the servers they go to. Where a token may go is
//! decided by [`Settings`], which come from the user and never from a file of a repository. Never puts a token, a
//! credential or a data key into an error.

mod sealed;
mod transit_key;

#[cfg(feature = "vault")]
mod allow;
#[cfg(feature = "vault")]
mod connection;
#[cfg(feature = "vault")]
mod kv;
#[cfg(feature = "vault")]
mod login;
#[cfg(feature = "vault")]
mod problem;
#[cfg(feature = "vault")]
mod server;
#[cfg(feature = "vault")]
mod servers;
#[cfg(feature = "vault")]
mod settings;
#[cfg(feature = "vault")]
mod tls;
#[cfg(feature = "vault")]
mod transit;
#[cfg(feature = "vault")]
mod user_file;

#[cfg(feature = "vault")]
pub use self::login::token_path;
pub use self::sealed::VaultEntry;
#[cfg(feature = "vault")]
pub use self::servers::{Access, Vault, WhoAmI};
#[cfg(feature = "vault")]
pub use self::settings::{Auth, Method, Settings};
#[cfg(feature = "vault")]
pub use self::transit::KeyVersions;
pub use self::transit_key::{TransitKey, version_of};
#[cfg(feature = "vault")]
pub use self::user_file::{settings_file, user_audit_log};
use crate::error::Result;
use crate::keys::entry::{Fields, get, set, text_or_empty};
use crate::keys::kind::{self, MasterKey, Names};
use crate::keys::{KeyKind, WrappedKey};

pub(crate) struct Room;

impl kind::Room for Room {
    fn names(&self) -> &'static Names {
        &Names {
            name: "hc_vault",
            flag: "hc-vault-transit",
            variable: "SOPS_VAULT_URIS",
            a_key: "a transit key",
            is_supported: true,
            fields: &["vault_address", "engine_path", "key_name", "created_at", "enc"],
        }
    }

    fn read(&self, entry: &Fields) -> Result<WrappedKey> {
        let field = |name| text_or_empty(entry, name);
        let (address, engine, name) = (field("vault_address")?, field("engine_path")?, field("key_name")?);
        match TransitKey::new(&address, None, &engine, &name) {
            Ok(key) => {
                Ok(WrappedKey { key: MasterKey::Vault(key), enc: field("enc")?, entry: entry.clone() })
            }
            Err(_) => {
                WrappedKey::foreign(KeyKind::HcVault, format!("{address}/v1/{engine}/keys/{name}"), entry)
            }
        }
    }

    fn write(&self, wrapped: &WrappedKey) -> Fields {
        let mut entry = wrapped.entry.clone();
        let MasterKey::Vault(key) = &wrapped.key else { return entry };
        set(&mut entry, "enc", Some(wrapped.enc.clone().into()));
        // What a file has of these is as good, be it spelled with a slash more.
        for (name, value) in
            [("engine_path", key.engine()), ("key_name", key.name()), ("vault_address", key.address())]
        {
            if get(&entry, name).is_none() {
                set(&mut entry, name, Some(value.into()));
            }
        }
        entry
    }
}
