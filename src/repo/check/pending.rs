//! Keys that a rule names but a file is not wrapped for yet, if nothing else is wrong with its readers: somebody asks
//! for access, and somebody who has it can grant it.

use crate::config::{Policy, RuleRef};
use crate::keys::{MasterKey, WrappedDataKey};
use crate::names::Names;
use crate::policy;
use crate::rekey::{self, Change};

/// Who is waiting for access to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub rule: RuleRef,
    /// Each with the line of the config that names it.
    pub keys: Vec<(MasterKey, usize)>,
    /// Who can grant it: anybody who can open the file alone.
    pub readers: Vec<MasterKey>,
    pub names: Names,
}

impl Pending {
    /// `None` if more is needed than giving somebody access, or if it takes several people to open the file.
    pub(super) fn of(change: &Change, current: &[WrappedDataKey], policy: &Policy) -> Option<Self> {
        if change.removes() || change.sharing.is_some() || policy.key_groups.len() != 1 {
            return None;
        }
        let line_of = |wanted: &MasterKey| {
            let keys = policy.key_groups.iter().flatten();
            keys.filter(|key| policy::master_key(&key.spec).is_ok_and(|key| key == *wanted))
                .map(|key| key.line)
                .next()
        };
        let added = change.groups.iter().flat_map(|group| &group.added);
        let keys = added.map(|key| (key.clone(), line_of(key).unwrap_or(policy.rule.line))).collect();
        let mut readers = Vec::new();
        for key in current.iter().flat_map(rekey::names).flatten() {
            if !readers.contains(&key) {
                readers.push(key);
            }
        }
        Some(Self { rule: policy.rule.clone(), keys, readers, names: policy.names.clone() })
    }

    /// Who can give access, as people know them.
    pub fn helpers(&self) -> String {
        let shown = |key: &MasterKey| {
            let short = key.recipient().map_or_else(|| key.to_string(), |recipient| recipient.short());
            self.names.short(key.id()).unwrap_or(short)
        };
        self.readers.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}
