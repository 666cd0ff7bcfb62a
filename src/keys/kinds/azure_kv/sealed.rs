//! How a key of Azure Key Vault is in a SealedSecret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::error::Result;
use crate::keys::entry::Fields;
use crate::keys::sealed::{Entry, LONGEST_ENC, LONGEST_NAME};
use crate::keys::{KeyKind, MasterKey, WrappedKey};

/// A data key or a share of one, wrapped by a key of Azure Key Vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureKvEntry {
    /// Where the vault is: `https://VAULT.vault.azure.net`.
    #[schemars(length(max = LONGEST_NAME))]
    pub vault_url: String,

    /// The name of the key.
    #[schemars(length(max = LONGEST_NAME))]
    pub name: String,

    /// The version of the key that has wrapped the data key.
    #[schemars(length(max = LONGEST_NAME))]
    pub version: String,

    /// What the vault made of the data key, in base64 for URLs.
    #[schemars(length(max = LONGEST_ENC))]
    pub enc: String,
}

impl Entry for AzureKvEntry {
    const KIND: KeyKind = KeyKind::AzureKv;

    fn read(&self) -> Result<WrappedKey> {
        let key = MasterKey::AzureKv(Key::new(&self.vault_url, &self.name, &self.version)?);
        Ok(WrappedKey { key, enc: self.enc.clone(), entry: Fields::new() })
    }

    fn of(key: &MasterKey, enc: &str) -> Option<Self> {
        let MasterKey::AzureKv(key) = key else { return None };
        Some(Self {
            vault_url: key.vault_url().to_owned(),
            name: key.name().to_owned(),
            version: key.version().unwrap_or_default().to_owned(),
            enc: enc.to_owned(),
        })
    }

    fn enc_mut(&mut self) -> &mut String {
        &mut self.enc
    }
}
