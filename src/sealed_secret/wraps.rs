//! The wrappings of a data key: a list for each kind of master key that a SealedSecret can be for.
//!
//! The one place that names these kinds. What an entry of a list holds and means is the kind's own
//! (`keys::sealed::Entry`); everything else here is the same for all of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cipher::Commitment;
use super::types::{DataKeyEntry, MAX_WRAPS};
use crate::error::{Error, Kind, Result};
use crate::keys::{
    AgeEntry, AwsKmsEntry, AzureKvEntry, Entry, GcpKmsEntry, KeyKind, KeySet, MasterKey, VaultEntry,
    WrappedDataKey, WrappedKey,
};

/// The lists of a group, and what is done with all of them.
macro_rules! lists {
    ($($(#[$doc:meta])* $list:ident: $Entry:ty,)+) => {
        /// Master keys, any of which opens a data key, or one share of it.
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct GroupEntry {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Vec::is_empty")]
                #[schemars(length(max = MAX_WRAPS))]
                pub $list: Vec<$Entry>,
            )+
        }

        impl GroupEntry {
            /// The kinds of its lists.
            const KINDS: &[KeyKind] = &[$(<$Entry>::KIND),+];

            /// How many wrappings it has.
            pub fn len(&self) -> usize {
                [$(self.$list.len()),+].iter().sum()
            }

            /// How many of them a server is asked to open.
            pub fn asked_of_servers(&self) -> usize {
                [$(if <$Entry>::ASKS_A_SERVER { self.$list.len() } else { 0 }),+].iter().sum()
            }

            fn read(&self) -> Result<Vec<WrappedKey>> {
                let mut wrapped = Vec::with_capacity(self.len());
                $(for entry in &self.$list { wrapped.push(entry.read()?); })+
                Ok(wrapped)
            }

            fn push(&mut self, key: &MasterKey, enc: &str) -> Result<()> {
                $(if let Some(entry) = <$Entry>::of(key, enc) {
                    self.$list.push(entry);
                    return Ok(());
                })+
                Err(refuse(key))
            }

            /// It without what was wrapped: who can open a data key.
            pub(super) fn clear(&mut self) {
                $(self.$list.iter_mut().for_each(|entry| entry.enc_mut().clear());)+
            }

            /// What two sides have made of the wrappings of one data key.
            pub(super) fn merged(base: &Self, ours: &Self, theirs: &Self) -> Self {
                Self { $($list: merged(&base.$list, &ours.$list, &theirs.$list)),+ }
            }
        }
    };
}

lists! {
    /// age recipients, any of which opens it.
    age: AgeEntry,

    /// Keys of Vault's or OpenBao's transit engine, any of which opens it.
    hc_vault: VaultEntry,

    /// Keys of AWS KMS, any of which opens it.
    aws_kms: AwsKmsEntry,

    /// Keys of Google Cloud KMS, any of which opens it.
    gcp_kms: GcpKmsEntry,

    /// Keys of Azure Key Vault, any of which opens it.
    azure_kv: AzureKvEntry,
}

impl GroupEntry {
    /// Whether it is wrapped for nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of(wrapped: &[WrappedKey]) -> Result<Self> {
        let mut group = Self::default();
        wrapped.iter().try_for_each(|wrapped| group.push(&wrapped.key, &wrapped.enc))?;
        Ok(group)
    }
}

impl DataKeyEntry {
    /// Each group's wrappings: one group, unless it is shared out.
    pub fn groups(&self) -> &[GroupEntry] {
        match self.key_groups.is_empty() {
            true => std::slice::from_ref(&self.wraps),
            false => &self.key_groups,
        }
    }

    /// How many wrappings it has.
    pub(super) fn count(&self) -> usize {
        self.groups().iter().map(GroupEntry::len).sum()
    }

    /// It as the key service unwraps it.
    pub fn wrapped(&self) -> Result<WrappedDataKey> {
        Ok(WrappedDataKey {
            groups: self.groups().iter().map(GroupEntry::read).collect::<Result<_>>()?,
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
        let mut groups =
            wrapped.groups.iter().map(|group| GroupEntry::of(group)).collect::<Result<Vec<_>>>()?;
        let mut entry = Self { id: self.id.clone(), commitment: self.commitment.clone(), ..Self::default() };
        if groups.len() > 1 {
            entry.shamir_threshold = u32::try_from(wrapped.required()).ok();
            entry.key_groups = groups;
        } else if let Some(only) = groups.pop() {
            entry.wraps = only;
        }
        Ok(entry)
    }
}

/// An error for a master key that no entry can name.
fn refuse(key: &MasterKey) -> Error {
    let kinds: Vec<&str> = GroupEntry::KINDS.iter().map(|kind| kind.names().a_key).collect();
    Error::new(Kind::Conflict, format!("a SealedSecret cannot have the recipient {key}"))
        .advise(format!("It can be for {}.", kinds.join(", or ")))
}

/// An error when a SealedSecret cannot have one of these master keys.
pub fn refuse_foreign(keys: &KeySet) -> Result<()> {
    keys.groups.iter().flatten().try_for_each(|key| GroupEntry::default().push(key, ""))
}

/// Wrappings of one data key: who was on both sides and is gone from one goes, who is new on one comes. Two wrappings
/// for one master key are as good as one another: what they hold is checked against the commitment.
fn merged<E: Entry>(base: &[E], ours: &[E], theirs: &[E]) -> Vec<E> {
    let name = |entry: &E| {
        let mut name = entry.clone();
        name.enc_mut().clear();
        name
    };
    let find = |side: &[E], wanted: &E| side.iter().find(|entry| name(entry) == name(wanted)).cloned();
    let mut merged: Vec<E> = Vec::new();
    for entry in ours {
        match (find(base, entry), find(theirs, entry)) {
            (Some(_), None) => {}
            (Some(base), Some(theirs)) if base == *entry => merged.push(theirs),
            _ => merged.push(entry.clone()),
        }
    }
    let new = theirs.iter().filter(|entry| find(base, entry).is_none() && find(ours, entry).is_none());
    merged.extend(new.cloned());
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::*;
    use super::*;

    fn beside_vault(change: impl FnOnce(&mut VaultEntry)) -> DataKeyEntry {
        let mut vault = VaultEntry {
            address: "https://vault:8200".to_owned(),
            namespace: Some("team/a".to_owned()),
            engine_path: "team/transit".to_owned(),
            key_name: "shop".to_owned(),
            enc: "vault:v1:x".to_owned(),
        };
        change(&mut vault);
        let mut entry = sealed(&[("a", "1")], &[&Person::new()]).spec.data_keys.remove(0);
        entry.wraps.hc_vault = vec![vault];
        entry
    }

    #[test]
    fn an_entry_is_what_it_was_on_its_way_through_the_key_service() {
        let entry = beside_vault(|_| {});
        let wrapped = entry.wrapped().unwrap();
        let names: Vec<_> = wrapped.groups[0].iter().map(|wrapped| wrapped.key.to_string()).collect();
        assert_eq!(names[1], "https://vault:8200/v1/team/transit/keys/shop (namespace team/a)");
        assert_eq!(entry.rewrapped(&wrapped).unwrap(), entry);
    }

    /// One of each kind, beside an age recipient.
    fn in_clouds(change: impl FnOnce(&mut GroupEntry)) -> DataKeyEntry {
        let mut entry = sealed(&[("a", "1")], &[&Person::new()]).spec.data_keys.remove(0);
        let clouds = json!({
            "awsKms": [
                {"arn": "arn:aws:kms:eu-west-1:1:key/k", "enc": "AQI="},
                {"arn": "arn:aws:kms:eu-west-1:1:alias/a", "role": "arn:aws:iam::1:role/r", "context": {"app": "shop"},
                 "profile": "p", "enc": "AQI="},
            ],
            "gcpKms": [{"resourceId": "projects/p/locations/l/keyRings/r/cryptoKeys/k", "enc": "CiQA"}],
            "azureKv": [{"vaultUrl": "https://v.vault.azure.net", "name": "k", "version": "1", "enc": "a-_"}],
        });
        let clouds: GroupEntry = serde_json::from_value(clouds).unwrap();
        entry.wraps = GroupEntry { age: entry.wraps.age, ..clouds };
        change(&mut entry.wraps);
        entry
    }

    #[test]
    fn each_kind_is_written_as_it_was_read() {
        let entry = in_clouds(|_| {});
        let wrapped = entry.wrapped().unwrap();
        let names: Vec<_> = wrapped.groups[0].iter().skip(1).map(|wrapped| wrapped.key.to_string()).collect();
        assert_eq!(
            names,
            [
                "kms arn:aws:kms:eu-west-1:1:key/k",
                "kms arn:aws:kms:eu-west-1:1:alias/a+arn:aws:iam::1:role/r|app:shop|p",
                "gcp_kms projects/p/locations/l/keyRings/r/cryptoKeys/k",
                "azure_kv https://v.vault.azure.net/keys/k/1",
            ]
        );
        assert_eq!(entry.rewrapped(&wrapped).unwrap(), entry);
        let text = serde_json::to_value(&entry).unwrap();
        assert_eq!(serde_json::from_value::<DataKeyEntry>(text.clone()).unwrap(), entry);
        let fields: Vec<_> = text.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["id", "commitment", "age", "awsKms", "gcpKms", "azureKv"]);
        assert_eq!((entry.wraps.len(), entry.wraps.asked_of_servers()), (5, 4));
    }

    #[test]
    fn what_names_no_key_of_a_cloud_is_refused() {
        let cases: [fn(&mut GroupEntry); 5] = [
            |group| group.aws_kms[0].arn = "arn:aws:kms:evil.example.com/:1:key/k".to_owned(),
            |group| group.aws_kms[0].arn = "arn:aws:s3:eu-west-1:1:key/k".to_owned(),
            |group| group.gcp_kms[0].resource_id.push_str("/../k"),
            |group| group.azure_kv[0].vault_url = "https://evil.test/#".to_owned(),
            |group| group.azure_kv[0].version = "1/../../secrets".to_owned(),
        ];
        for change in cases {
            let mut spec = sealed(&[("a", "1")], &[&Person::new()]).spec;
            spec.check().unwrap();
            let group = in_clouds(change).wraps;
            spec.data_keys[0].wraps = GroupEntry { age: spec.data_keys[0].wraps.age.clone(), ..group };
            assert_ne!(refusal(spec.check()), "not refused");
        }
    }

    #[test]
    fn those_who_come_and_go_on_two_sides_come_together_in_each_list() {
        let base = in_clouds(|_| {}).wraps;
        let ours = GroupEntry { gcp_kms: Vec::new(), ..base.clone() };
        let mut theirs = base.clone();
        theirs.aws_kms[0].enc = "AQIDBA==".to_owned();
        theirs.azure_kv.push(AzureKvEntry { name: "other".to_owned(), ..base.azure_kv[0].clone() });
        let merged = GroupEntry::merged(&base, &ours, &theirs);
        assert_eq!(merged, GroupEntry { gcp_kms: Vec::new(), ..theirs });
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
            spec.data_keys[0].wraps.hc_vault = beside_vault(change).wraps.hc_vault;
            assert_ne!(refusal(spec.check()), "not refused");
        }
    }

    #[test]
    fn a_sealed_secret_is_for_no_master_key_that_it_cannot_name() {
        let pgp = MasterKey::Foreign { kind: KeyKind::Pgp, id: "85D77543".to_owned() };
        let error = refuse_foreign(&KeySet::any_of(vec![Person::new().key(), pgp])).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (Kind::Conflict, "a SealedSecret cannot have the recipient pgp 85D77543")
        );
        assert!(refuse_foreign(&any_of(&[&Person::new()])).is_ok());
    }
}
