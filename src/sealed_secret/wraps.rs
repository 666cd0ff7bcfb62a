//! The entries of `dataKeys` as the key service knows them, and back.
//!
//! The one place that knows which field of an entry means what to which kind of master key.

use serde_json::Map;

use super::cipher::Commitment;
use super::types::{AgeEntry, DataKeyEntry, GroupEntry, VaultEntry};
use crate::error::{Error, Kind, Result};
use crate::keys::{KeySet, MasterKey, Recipient, TransitKey, WrappedDataKey, WrappedKey};

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
        let entry = Self { id: commitment.id(), commitment: commitment.to_base64(), ..Self::default() };
        entry.rewrapped(wrapped)
    }

    /// The entry of the same data key, wrapped otherwise.
    pub(super) fn rewrapped(&self, wrapped: &WrappedDataKey) -> Result<Self> {
        let mut groups = wrapped.groups.iter().map(|group| to_group(group)).collect::<Result<Vec<_>>>()?;
        let mut entry = Self { id: self.id.clone(), commitment: self.commitment.clone(), ..Self::default() };
        if groups.len() > 1 {
            entry.shamir_threshold = u32::try_from(wrapped.required()).ok();
            entry.key_groups = groups;
        } else if let Some(only) = groups.pop() {
            (entry.age, entry.hc_vault) = (only.age, only.hc_vault);
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
        if let Some(recipient) = wrapped.key.recipient() {
            entry.age.push(AgeEntry { recipient: recipient.as_str().to_owned(), enc: wrapped.enc.clone() });
        } else if let Some(key) = wrapped.key.transit() {
            entry.hc_vault.push(to_vault(key, &wrapped.enc));
        } else {
            return Err(refuse(&wrapped.key));
        }
    }
    Ok(entry)
}

fn of_vault(entry: &VaultEntry) -> Result<WrappedKey> {
    let VaultEntry { address, namespace, engine_path, key_name, enc } = entry;
    let key = TransitKey::new(address, namespace.as_deref(), engine_path, key_name)?;
    Ok(WrappedKey { key: MasterKey::Vault(key), enc: enc.clone(), entry: Map::new() })
}

fn to_vault(key: &TransitKey, enc: &str) -> VaultEntry {
    VaultEntry {
        address: key.address().to_owned(),
        namespace: key.namespace().map(str::to_owned),
        engine_path: key.engine().to_owned(),
        key_name: key.name().to_owned(),
        enc: enc.to_owned(),
    }
}

/// An error for a master key that no entry can name.
fn refuse(key: &MasterKey) -> Error {
    Error::new(Kind::Conflict, format!("a SealedSecret cannot be for {key}"))
        .advise("Its recipients are age recipients, and transit keys of Vault or OpenBao.")
}

/// An error when a SealedSecret cannot be for one of these master keys.
pub fn refuse_foreign(keys: &KeySet) -> Result<()> {
    let foreign = |key: &&MasterKey| key.recipient().is_none() && key.transit().is_none();
    keys.groups.iter().flatten().find(foreign).map_or(Ok(()), |key| Err(refuse(key)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::keys::KeyKind;

    fn beside_vault(change: impl FnOnce(&mut VaultEntry)) -> DataKeyEntry {
        let mut vault = VaultEntry {
            address: "https://vault:8200".to_owned(),
            namespace: Some("team/a".to_owned()),
            engine_path: "team/transit".to_owned(),
            key_name: "shop".to_owned(),
            enc: "vault:v1:x".to_owned(),
        };
        change(&mut vault);
        DataKeyEntry {
            hc_vault: vec![vault],
            ..sealed(&[("a", "1")], &[&Person::new()]).spec.data_keys.remove(0)
        }
    }

    #[test]
    fn an_entry_is_what_it_was_on_its_way_through_the_key_service() {
        let entry = beside_vault(|_| {});
        let wrapped = entry.wrapped().unwrap();
        let names: Vec<_> = wrapped.groups[0].iter().map(|wrapped| wrapped.key.to_string()).collect();
        assert_eq!(names[1], "https://vault:8200/v1/team/transit/keys/shop (namespace team/a)");
        assert_eq!(entry.rewrapped(&wrapped).unwrap(), entry);
    }

    #[test]
    fn a_transit_key_that_leads_elsewhere_is_refused() {
        let cases: [fn(&mut VaultEntry); 5] = [
            |vault| vault.engine_path = "transit/decrypt/../../auth/token".to_owned(),
            |vault| vault.key_name = "..".to_owned(),
            |vault| vault.key_name = "a/b".to_owned(),
            |vault| vault.namespace = Some("a/../b".to_owned()),
            |vault| vault.address = "https://vault:8200/v1/evil?".to_owned(),
        ];
        for change in cases {
            let mut spec = sealed(&[("a", "1")], &[&Person::new()]).spec;
            spec.data_keys[0].hc_vault = beside_vault(change).hc_vault;
            assert_ne!(refusal(spec.check()), "not refused");
        }
    }

    #[test]
    fn a_sealed_secret_is_for_no_master_key_that_it_cannot_name() {
        let pgp = MasterKey::Foreign { kind: KeyKind::Pgp, id: "85D77543".to_owned() };
        let error = refuse_foreign(&KeySet::any_of(vec![Person::new().key(), pgp])).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (Kind::Conflict, "a SealedSecret cannot be for pgp 85D77543")
        );
        assert!(refuse_foreign(&any_of(&[&Person::new()])).is_ok());
    }
}
