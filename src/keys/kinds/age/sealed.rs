//! How an age recipient is in a SealedSecret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Recipient;
use crate::error::Result;
use crate::keys::entry::Fields;
use crate::keys::sealed::{Entry, LONGEST_ENC, LONGEST_NAME};
use crate::keys::{KeyKind, MasterKey, WrappedKey};

/// A data key or a share of one, wrapped for an age recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgeEntry {
    /// The recipient: age1..., or an SSH public key.
    #[schemars(length(max = LONGEST_NAME))]
    pub recipient: String,

    /// An age file, ASCII-armored.
    #[schemars(length(max = LONGEST_ENC))]
    pub enc: String,
}

impl Entry for AgeEntry {
    const KIND: KeyKind = KeyKind::Age;
    const ASKS_A_SERVER: bool = false;

    fn read(&self) -> Result<WrappedKey> {
        let key = MasterKey::Age(Recipient::as_written(&self.recipient));
        Ok(WrappedKey { key, enc: self.enc.clone(), entry: Fields::new() })
    }

    fn of(key: &MasterKey, enc: &str) -> Option<Self> {
        let recipient = key.recipient()?.as_str().to_owned();
        Some(Self { recipient, enc: enc.to_owned() })
    }

    fn enc_mut(&mut self) -> &mut String {
        &mut self.enc
    }
}
