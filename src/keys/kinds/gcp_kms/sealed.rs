//! How a key of Google Cloud KMS is in a SealedSecret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::error::Result;
use crate::keys::entry::Fields;
use crate::keys::sealed::{Entry, LONGEST_ENC, LONGEST_NAME};
use crate::keys::{KeyKind, MasterKey, WrappedKey};

/// A data key or a share of one, wrapped by a key of Google Cloud KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpKmsEntry {
    /// The key: projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.
    #[schemars(length(max = LONGEST_NAME))]
    pub resource_id: String,

    /// What KMS made of the data key, in base64.
    #[schemars(length(max = LONGEST_ENC))]
    pub enc: String,
}

impl Entry for GcpKmsEntry {
    const KIND: KeyKind = KeyKind::GcpKms;

    fn read(&self) -> Result<WrappedKey> {
        let key = MasterKey::GcpKms(Key::parse(&self.resource_id)?);
        Ok(WrappedKey { key, enc: self.enc.clone(), entry: Fields::new() })
    }

    fn of(key: &MasterKey, enc: &str) -> Option<Self> {
        let MasterKey::GcpKms(key) = key else { return None };
        Some(Self { resource_id: key.resource_id().to_owned(), enc: enc.to_owned() })
    }

    fn enc_mut(&mut self) -> &mut String {
        &mut self.enc
    }
}
