//! Master keys: who can open a data key, and the service that wraps data keys for them and unwraps them again.
//!
//! Owns the kinds of master keys, their identities, key groups and Shamir's secret sharing. Knows no file format:
//! whoever reads a document's metadata makes a [`WrappedDataKey`] of it, and whoever writes one takes the
//! [`WrappedKey`]s that [`KeyService::new_data_keys`] returns. Never prints, prompts or reads the environment by itself:
//! that is the [`Host`](crate::host::Host)'s.

mod age;
mod age_pq;
mod decoded;
#[cfg(test)]
mod fake_host;
mod identities;
mod identity;
mod keygen;
mod plugin;
mod service;
mod shamir;
mod ssh_pem;
pub mod vault;

use std::fmt;

use serde_json::{Map, Value};

pub use self::age::{Recipient, stanzas, takes_passphrase};
pub(crate) use self::decoded::LENIENT;
pub use self::identities::{Identities, SourceReport};
pub use self::identity::holds_only_identities;
pub use self::keygen::{NewIdentity, generate_identity, recipients_of};
pub use self::service::{Content, KeyService, Rekey};
pub use self::vault::{TransitKey, Vault, version_of};
use crate::error::{Error, Kind, Result};

/// The kinds of master keys that a SOPS file can name, by sops's identifiers (`KeyTypeIdentifier` of its key sources,
/// which are also the names of the lists in the metadata).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    Age,
    HcVault,
    Pgp,
    Kms,
    GcpKms,
    AzureKv,
    HcKms,
}

impl KeyKind {
    pub const ALL: [Self; 7] =
        [Self::Age, Self::HcVault, Self::Pgp, Self::Kms, Self::GcpKms, Self::AzureKv, Self::HcKms];

    /// The order in which sops tries the keys of a group (`DefaultDecryptionOrder`); kinds that are not named come
    /// after it, in the file's order.
    pub const DEFAULT_ORDER: [Self; 2] = [Self::Age, Self::Pgp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::HcVault => "hc_vault",
            Self::Pgp => "pgp",
            Self::Kms => "kms",
            Self::GcpKms => "gcp_kms",
            Self::AzureKv => "azure_kv",
            Self::HcKms => "hckms",
        }
    }

    /// How sops's flags name it: `--KIND`, `--add-KIND`, `--rm-KIND`.
    pub fn flag(self) -> &'static str {
        match self {
            Self::HcVault => "hc-vault-transit",
            Self::GcpKms => "gcp-kms",
            Self::AzureKv => "azure-kv",
            Self::Age | Self::Pgp | Self::Kms | Self::HcKms => self.name(),
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A decryption order without the names that mean nothing, which sops passes over.
    pub fn known_of_order(order: &str) -> String {
        order.split(',').filter(|name| Self::from_name(name.trim()).is_some()).collect::<Vec<_>>().join(",")
    }

    /// Parses a decryption order as `--decryption-order` and `SOPS_DECRYPTION_ORDER` have it: names with commas.
    pub fn parse_order(order: &str) -> Result<Vec<Self>> {
        let mut kinds = Vec::new();
        for name in order.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let kind = Self::from_name(name).ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                Error::new(Kind::Other, format!("unknown key type `{name}` in the decryption order"))
                    .advise(format!("the key types are {known}"))
            })?;
            if kinds.contains(&kind) {
                return Err(Error::new(
                    Kind::DuplicateOrder,
                    format!("the key type {kind} stands twice in the decryption order"),
                ));
            }
            kinds.push(kind);
        }
        Ok(kinds)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that wraps a data key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MasterKey {
    Age(Recipient),
    /// A transit key of Vault or OpenBao.
    Vault(TransitKey),
    /// A key that Sealant does not speak, or an entry of a file that names no key: named in messages, and kept
    /// verbatim in files.
    Foreign {
        kind: KeyKind,
        id: String,
    },
}

impl MasterKey {
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Age(_) => KeyKind::Age,
            Self::Vault(_) => KeyKind::HcVault,
            Self::Foreign { kind, .. } => *kind,
        }
    }

    /// Its name as flags and configs have it, without the kind.
    pub fn id(&self) -> &str {
        match self {
            Self::Age(recipient) => recipient.as_str(),
            Self::Vault(key) => key.uri(),
            Self::Foreign { id, .. } => id,
        }
    }
}

impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(recipient) => recipient.fmt(f),
            Self::Vault(key) => key.fmt(f),
            Self::Foreign { kind, id } => write!(f, "{kind} {id}"),
        }
    }
}

/// Who shall be able to open a data key: any one master key of a group yields the group's share, and `threshold`
/// shares make the data key. One group is never split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    pub groups: Vec<Vec<MasterKey>>,
    /// `None`, like sops's 0, means every group.
    pub threshold: Option<usize>,
}

impl KeySet {
    /// A set of one group: any one of the keys opens the data key.
    pub fn any_of(keys: Vec<MasterKey>) -> Self {
        Self { groups: vec![keys], threshold: None }
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
    /// The ciphertext as it stands in the file: for age a whole armored age file.
    pub enc: String,
    /// What a SOPS file's entry holds besides: all of it for a foreign key and for a transit key that was read,
    /// `created_at` for a new one, nothing for age.
    pub entry: Map<String, Value>,
}

impl WrappedKey {
    /// What a SOPS file holds for a key that Sealant does not speak. The id is put together as sops shows such keys
    /// (`ToString` of its key sources).
    pub fn foreign(kind: KeyKind, entry: Map<String, Value>) -> Self {
        let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = match kind {
            KeyKind::Age => field("recipient").to_owned(),
            KeyKind::HcVault => {
                format!("{}/v1/{}/keys/{}", field("vault_address"), field("engine_path"), field("key_name"))
            }
            KeyKind::Pgp => field("fp").to_owned(),
            KeyKind::Kms if field("role").is_empty() => field("arn").to_owned(),
            KeyKind::Kms => format!("{}+{}", field("arn"), field("role")),
            KeyKind::GcpKms => field("resource_id").to_owned(),
            KeyKind::AzureKv => format!("{}/keys/{}/{}", field("vault_url"), field("name"), field("version")),
            KeyKind::HcKms => field("key_id").to_owned(),
        };
        let enc = field("enc").to_owned();
        Self { key: MasterKey::Foreign { kind, id }, enc, entry }
    }

    /// How it is named where somebody is told who could open a data key.
    pub(crate) fn wanted(&self) -> String {
        match &self.key {
            MasterKey::Age(recipient) => recipient.short(),
            MasterKey::Vault(key) => format!("{} {key}", KeyKind::HcVault),
            MasterKey::Foreign { kind: KeyKind::HcVault, .. } => {
                format!("{} (not the name of a transit key)", self.key)
            }
            MasterKey::Foreign { kind, .. } => format!("{} (Sealant does not speak {kind})", self.key),
        }
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
    use serde_json::json;

    use super::*;

    fn entry(value: Value) -> Map<String, Value> {
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
                json!({"vault_address": "https://v", "engine_path": "transit", "key_name": "k"}),
                "hc_vault https://v/v1/transit/keys/k",
            ),
        ];
        for (kind, value, shown) in cases {
            let wrapped = WrappedKey::foreign(kind, entry(value.clone()));
            assert_eq!(wrapped.key.to_string(), shown);
            assert_eq!(Value::Object(wrapped.entry), value);
        }
    }

    #[test]
    fn a_decryption_order_names_each_kind_once() {
        assert_eq!(KeyKind::parse_order("pgp, age").unwrap(), [KeyKind::Pgp, KeyKind::Age]);
        assert_eq!(KeyKind::parse_order("").unwrap(), []);
        assert_eq!(KeyKind::parse_order("age,pgp,age").unwrap_err().kind(), Kind::DuplicateOrder);
        assert_eq!(KeyKind::known_of_order("age,vault, pgp,"), "age, pgp");
        let unknown = KeyKind::parse_order("age,vault").unwrap_err();
        assert_eq!(unknown.to_string(), "unknown key type `vault` in the decryption order");
        assert!(unknown.advice().unwrap().contains("hc_vault"));
    }

    #[test]
    fn threshold_zero_means_every_group() {
        let file =
            |groups, threshold| WrappedDataKey { groups: vec![Vec::new(); groups], threshold }.required();
        assert_eq!([file(1, 0), file(1, 3), file(3, 0), file(3, 1), file(3, 2)], [1, 1, 3, 2, 2]);
        let set = |groups, threshold| KeySet { groups: vec![Vec::new(); groups], threshold }.required();
        assert_eq!([set(1, Some(2)), set(3, None), set(3, Some(0)), set(3, Some(2))], [1, 3, 3, 2]);
    }
}
