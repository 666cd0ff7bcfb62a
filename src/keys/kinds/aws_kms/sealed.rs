//! How a key of AWS KMS is in a SealedSecret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::error::Result;
use crate::keys::entry::Fields;
use crate::keys::sealed::{Entry, LONGEST_ENC, LONGEST_NAME, texts};
use crate::keys::{KeyKind, MasterKey, WrappedKey};

/// A data key or a share of one, wrapped by a key of AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsKmsEntry {
    /// The ARN of the key, or of an alias of it: arn:aws:kms:...
    #[schemars(length(max = LONGEST_NAME))]
    pub arn: String,

    /// The role that people assume to use the key. The controller uses it as itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LONGEST_NAME))]
    pub role: Option<String>,

    /// The encryption context, without which KMS does not open it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub context: BTreeMap<String, String>,

    /// The profile in people's own AWS settings to use the key with. The controller has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LONGEST_NAME))]
    pub profile: Option<String>,

    /// What KMS made of the data key, in base64.
    #[schemars(length(max = LONGEST_ENC))]
    pub enc: String,
}

impl Entry for AwsKmsEntry {
    const KIND: KeyKind = KeyKind::Kms;

    fn read(&self) -> Result<WrappedKey> {
        let Self { arn, role, context, profile, enc } = self;
        let key = Key::new(arn, role.as_deref(), context.clone(), profile.as_deref())?;
        Ok(WrappedKey { key: MasterKey::Kms(key), enc: enc.clone(), entry: Fields::new() })
    }

    fn of(key: &MasterKey, enc: &str) -> Option<Self> {
        let MasterKey::Kms(key) = key else { return None };
        Some(Self {
            arn: key.arn().to_owned(),
            role: key.role().map(str::to_owned),
            context: key.context().clone(),
            profile: key.profile().map(str::to_owned),
            enc: enc.to_owned(),
        })
    }

    fn enc_mut(&mut self) -> &mut String {
        &mut self.enc
    }
}
