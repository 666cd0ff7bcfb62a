//! Master keys: who can open a data key, and the service that wraps data keys for them and unwraps them again.
//!
//! Owns the kinds of master keys, how each is written down in an entry of its own, their identities, key groups and
//! Shamir's secret sharing. Knows no file format: whoever reads a document's metadata makes a [`WrappedDataKey`] of it, and whoever writes one takes the
//! [`WrappedKey`]s that [`KeyService::new_data_keys`] returns. Never prints, prompts or reads the environment by itself:
//! that is the [`Host`](crate::host::Host)'s.

mod allowed;
mod decoded;
mod entry;
#[cfg(test)]
mod fake_host;
mod groups;
mod kind;
mod kinds;
#[cfg(feature = "keyservice")]
pub mod remote;
mod sealed;
mod service;
mod shamir;
mod shares;
mod started_by;
mod unopened;
#[cfg(any(feature = "vault", feature = "cloud"))]
pub(crate) mod web;

pub use self::allowed::Allowed;
pub(crate) use self::decoded::LENIENT;
pub use self::decoded::decoded_in;
pub(crate) use self::entry::{Fields, get, set, text, unusable};
pub use self::kind::{Credentials, KeyKind, MasterKey, Names};
pub use self::kinds::age::{
    AgeEntry, Identities, NewIdentity, Recipient, SourceReport, generate_identity, holds_only_identities,
    lock_identity, looks_secret, recipients_of, stanzas, takes_passphrase,
};
pub use self::kinds::aws_kms::{self as aws, AwsKmsEntry};
pub use self::kinds::azure_kv::AzureKvEntry;
pub use self::kinds::gcp_kms::GcpKmsEntry;
pub use self::kinds::hc_vault as vault;
#[cfg(feature = "vault")]
pub use self::kinds::hc_vault::Vault;
pub use self::kinds::hc_vault::{TransitKey, VaultEntry, version_of};
pub use self::kinds::pgp::{self, Fingerprint};
pub(crate) use self::kinds::{azure_kv as azure, gcp_kms as gcp, hckms as huawei};
pub(crate) use self::sealed::Entry;
pub use self::service::{Content, KeyService, Rekey};
pub use self::shares::{Shares, TooMany};
pub use self::started_by::StartedBy;
#[cfg(any(feature = "vault", feature = "cloud"))]
pub use self::web::PROXY_VARIABLES;
use crate::error::Result;

/// Who is able to open a data key: any one master key of a group yields the group's share, and `threshold`
/// shares make the data key. One group is never split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    pub groups: Vec<Vec<MasterKey>>,
    /// `None`, like sops's 0, means every group.
    pub threshold: Option<usize>,
    /// Where else what they read goes: a place of Vault, or others for whom `publish` encrypts it. Only comparisons of places
    /// have this; nothing is wrapped for it.
    pub sent_to: Option<Shares<String>>,
}

impl KeySet {
    /// A set of one group: any one of the keys opens the data key.
    pub fn any_of(keys: Vec<MasterKey>) -> Self {
        Self::of_groups(vec![keys], None)
    }

    /// Those of several groups.
    pub fn of_groups(groups: Vec<Vec<MasterKey>>, threshold: Option<usize>) -> Self {
        Self { groups, threshold, sent_to: None }
    }

    /// No rule says who can open it, and another one where it goes.
    pub fn is_only_sent(&self) -> bool {
        self.groups.is_empty() && self.sent_to.is_some()
    }

    /// The names of these keys, as a file or rule may spell them otherwise, and how they are shared out.
    pub fn shares(&self) -> Shares<String> {
        let names = |group: &Vec<MasterKey>| group.iter().map(MasterKey::holders).collect();
        Shares::new(self.groups.iter().map(names), self.required())
    }

    /// How many groups it takes to make the data key.
    pub fn required(&self) -> usize {
        match self.threshold {
            _ if self.groups.len() < 2 => self.groups.len(),
            None | Some(0) => self.groups.len(),
            Some(threshold) => threshold,
        }
    }
}

/// A data key, or one share of it, wrapped for one master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    pub key: MasterKey,
    /// The ciphertext as it is in the file: for age a whole armored age file.
    pub enc: String,
    /// What a SOPS file's entry holds besides: all of it for a foreign key and for a transit key that was read,
    /// `created_at` for a new one, nothing for age.
    pub entry: Fields,
}

impl WrappedKey {
    /// What a file's list of keys of this kind holds.
    pub(crate) fn read(kind: KeyKind, entry: &Fields) -> Result<Self> {
        kind.room().read(entry)
    }

    /// The entry of it in a SOPS file.
    pub(crate) fn to_entry(&self) -> Fields {
        self.key.kind().room().write(self)
    }

    /// An entry that is kept verbatim, whose key is named as sops names it (`ToString` of its key sources).
    fn foreign(kind: KeyKind, id: String, entry: &Fields) -> Result<Self> {
        let enc = entry::text_or_empty(entry, "enc")?;
        Ok(Self { key: MasterKey::Foreign { kind, id }, enc, entry: entry.clone() })
    }
}

/// A data key as a file holds it: each group's share (or, with one group, the key itself) wrapped for every key of
/// the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedDataKey {
    pub groups: Vec<Vec<WrappedKey>>,
    /// As written in the file; 0 means every group.
    pub threshold: usize,
}

impl WrappedDataKey {
    /// How many groups have to be opened. Shamir's sharing never works with fewer than two shares.
    pub fn required(&self) -> usize {
        match (self.groups.len(), self.threshold) {
            (0 | 1, _) => 1,
            (groups, 0) => groups,
            (_, threshold) => threshold.max(2),
        }
    }

    /// Whether it is split as `keys` ask for: into as many groups, of which as many are needed.
    pub fn is_shared_as(&self, keys: &KeySet) -> bool {
        self.groups.len() == keys.groups.len() && self.required() == keys.required()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(value: Value) -> Fields {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn foreign_keys_are_named_as_sops_names_them() {
        let cases = [
            (KeyKind::Pgp, json!({"fp": "85D77543", "enc": "x"}), "pgp 85D77543"),
            (KeyKind::Kms, json!({"arn": "arn:aws:kms:k", "role": "r"}), "kms arn:aws:kms:k+r"),
            (
                KeyKind::AzureKv,
                json!({"vault_url": "https://v", "name": "n", "version": "1"}),
                "azure_kv https://v/keys/n/1",
            ),
            (
                KeyKind::HcVault,
                json!({"vault_address": "nowhere", "engine_path": "transit", "key_name": "k"}),
                "hc_vault nowhere/v1/transit/keys/k",
            ),
        ];
        for (kind, value, shown) in cases {
            let wrapped = WrappedKey::read(kind, &entry(value.clone())).unwrap();
            assert_eq!(wrapped.key.to_string(), shown);
            assert_eq!(Value::Object(wrapped.entry), value);
        }
    }

    #[test]
    fn threshold_zero_means_every_group() {
        let file =
            |groups, threshold| WrappedDataKey { groups: vec![Vec::new(); groups], threshold }.required();
        assert_eq!([file(1, 0), file(1, 3), file(3, 0), file(3, 1), file(3, 2)], [1, 1, 3, 2, 2]);
        let set = |groups, threshold| KeySet::of_groups(vec![Vec::new(); groups], threshold).required();
        assert_eq!([set(1, Some(2)), set(3, None), set(3, Some(0)), set(3, Some(2))], [1, 3, 3, 2]);
    }
}
