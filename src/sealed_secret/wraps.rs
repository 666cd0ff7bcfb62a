//! The entries of `dataKeys` as the key service knows them, and back.
//!
//! The one place that knows which field of an entry means what to which kind of master key.

use serde_json::{Map, Value};

use super::cipher::Commitment;
use super::types::{AgeEntry, DataKeyEntry, GroupEntry, VaultEntry};
use crate::error::{Error, Kind, Result};
use crate::keys::{KeyKind, KeySet, MasterKey, Recipient, WrappedDataKey, WrappedKey};

impl DataKeyEntry {
    /// Each group's wrappings: one group, unless it is shared out.
    pub(super) fn groups(&self) -> Vec<(&[AgeEntry], &[VaultEntry])> {
        if self.key_groups.is_empty() {
            return vec![(&self.age, &self.hc_vault)];
        }
        self.key_groups.iter().map(|group| (&group.age[..], &group.hc_vault[..])).collect()
    }

    /// How many wrappings it has.
    pub(super) fn wraps(&self) -> usize {
        self.groups().iter().map(|(age, vault)| age.len() + vault.len()).sum()
    }

    /// It as the key service unwraps it.
    pub fn wrapped(&self) -> Result<WrappedDataKey> {
        let group = |(age, vault): (&[AgeEntry], &[VaultEntry])| {
            let age = age.iter().map(|entry| Ok(of_age(entry)));
            age.chain(vault.iter().map(of_vault)).collect::<Result<Vec<_>>>()
        };
        Ok(WrappedDataKey {
            groups: self.groups().into_iter().map(group).collect::<Result<_>>()?,
            threshold: self.shamir_threshold.map_or(0, |threshold| threshold as usize),
        })
    }

    /// The entry of a data key with this commitment.
    pub(super) fn new(commitment: &Commitment, wrapped: &WrappedDataKey) -> Result<Self> {
        let mut groups = wrapped.groups.iter().map(|group| to_group(group)).collect::<Result<Vec<_>>>()?;
        let mut entry = Self { id: commitment.id(), commitment: commitment.to_base64(), ..Self::default() };
        match (groups.pop(), groups.is_empty()) {
            (Some(only), true) => (entry.age, entry.hc_vault) = (only.age, only.hc_vault),
            (last, _) => {
                groups.extend(last);
                entry.key_groups = groups;
                entry.shamir_threshold = u32::try_from(wrapped.required()).ok();
            }
        }
        Ok(entry)
    }
}

fn of_age(entry: &AgeEntry) -> WrappedKey {
    let key = MasterKey::Age(Recipient::as_written(&entry.recipient));
    WrappedKey { key, enc: entry.enc.clone(), entry: Map::new() }
}

fn to_group(group: &[WrappedKey]) -> Result<GroupEntry> {
    let mut entry = GroupEntry::default();
    for wrapped in group {
        match &wrapped.key {
            MasterKey::Age(recipient) => {
                entry
                    .age
                    .push(AgeEntry { recipient: recipient.as_str().to_owned(), enc: wrapped.enc.clone() });
            }
            key => entry.hc_vault.push(to_vault(wrapped).ok_or_else(|| refuse(key))?),
        }
    }
    Ok(entry)
}

/// What `of_vault` keeps of an entry, by the names in a SOPS file. Goes with both when `MasterKey` has Vault's keys.
const VAULT_FIELDS: [&str; 4] = ["vault_address", "namespace", "engine_path", "key_name"];

fn of_vault(entry: &VaultEntry) -> Result<WrappedKey> {
    let namespace = entry.namespace.clone().unwrap_or_default();
    let values = [entry.address.clone(), namespace, entry.engine_path.clone(), entry.key_name.clone()];
    let fields = VAULT_FIELDS.into_iter().zip(values).chain([("enc", entry.enc.clone())]);
    let fields = fields.map(|(name, value)| (name.to_owned(), Value::String(value)));
    Ok(WrappedKey::foreign(KeyKind::HcVault, fields.collect()))
}

fn to_vault(wrapped: &WrappedKey) -> Option<VaultEntry> {
    let [address, namespace, engine_path, key_name] =
        VAULT_FIELDS.map(|name| Some(wrapped.entry.get(name)?.as_str()?.to_owned()));
    Some(VaultEntry {
        address: address?,
        namespace: namespace.filter(|namespace| !namespace.is_empty()),
        engine_path: engine_path?,
        key_name: key_name?,
        enc: wrapped.enc.clone(),
    })
}

/// An error for a master key that no entry can name.
fn refuse(key: &MasterKey) -> Error {
    Error::new(Kind::Conflict, format!("a SealedSecret cannot be for {key}"))
        .advise("Its recipients are age recipients, and transit keys of Vault or OpenBao.")
}

/// An error when a SealedSecret cannot be for one of these master keys.
pub fn refuse_foreign(keys: &KeySet) -> Result<()> {
    let foreign = |key: &&MasterKey| !matches!(key.kind(), KeyKind::Age | KeyKind::HcVault);
    keys.groups.iter().flatten().find(foreign).map_or(Ok(()), |key| Err(refuse(key)))
}
