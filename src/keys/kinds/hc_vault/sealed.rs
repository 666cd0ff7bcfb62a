//! How a transit key is in a SealedSecret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TransitKey;
use crate::error::Result;
use crate::keys::entry::Fields;
use crate::keys::sealed::{Entry, LONGEST_ENC, LONGEST_NAME};
use crate::keys::{KeyKind, MasterKey, WrappedKey};

/// A data key or a share of one, wrapped by a key of Vault's or OpenBao's transit engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultEntry {
    /// Where the server is: `https://vault.example:8200`.
    #[schemars(length(max = LONGEST_NAME))]
    pub address: String,

    /// The namespace in it that holds the transit engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LONGEST_NAME))]
    pub namespace: Option<String>,

    /// Where the transit engine is mounted.
    #[schemars(length(max = LONGEST_NAME))]
    pub engine_path: String,

    /// The name of the key.
    #[schemars(length(max = LONGEST_NAME))]
    pub key_name: String,

    /// What the transit engine made of the data key: vault:v1:...
    #[schemars(length(max = LONGEST_ENC))]
    pub enc: String,
}

impl Entry for VaultEntry {
    const KIND: KeyKind = KeyKind::HcVault;

    fn read(&self) -> Result<WrappedKey> {
        let Self { address, namespace, engine_path, key_name, enc } = self;
        let key = TransitKey::new(address, namespace.as_deref(), engine_path, key_name)?;
        Ok(WrappedKey { key: MasterKey::Vault(key), enc: enc.clone(), entry: Fields::new() })
    }

    fn of(key: &MasterKey, enc: &str) -> Option<Self> {
        let key = key.transit()?;
        Some(Self {
            address: key.address().to_owned(),
            namespace: key.namespace().map(str::to_owned),
            engine_path: key.engine().to_owned(),
            key_name: key.name().to_owned(),
            enc: enc.to_owned(),
        })
    }

    fn enc_mut(&mut self) -> &mut String {
        &mut self.enc
    }
}
