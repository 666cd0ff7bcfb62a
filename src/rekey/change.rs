//! What a creation rule changes about who can open a file: for people who are asked, and for programs.

use serde::{Serialize, Serializer};

use super::recipients::names;
use crate::keys::{KeySet, MasterKey, WrappedDataKey};
use crate::names::Names;

/// What of a file's master keys a creation rule changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Those groups in which something changes.
    pub groups: Vec<GroupChange>,
    /// Of how many groups keys are needed, before and after, when that or the number of groups changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<SharingChange>,
}

/// How a data key was shared, and how it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SharingChange {
    pub before: Sharing,
    pub after: Sharing,
}

/// How many groups there are, and of how many of them it takes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sharing {
    pub required: usize,
    pub groups: usize,
}

impl Sharing {
    /// As a file says that a data key is shared out. What is written there counts, be it a number that nothing can be
    /// shared out by: somebody has changed it.
    pub fn of(wrapped: &WrappedDataKey) -> Self {
        let groups = wrapped.groups.len();
        let required =
            if groups > 1 && wrapped.threshold > 0 { wrapped.threshold } else { wrapped.required() };
        Self { required, groups }
    }
}

/// What changes in a group of master keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupChange {
    /// From 1.
    pub group: usize,
    #[serde(serialize_with = "as_text")]
    pub added: Vec<MasterKey>,
    #[serde(serialize_with = "as_text")]
    pub removed: Vec<MasterKey>,
}

fn as_text<S: Serializer>(keys: &[MasterKey], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(keys.iter().map(ToString::to_string))
}

impl Change {
    /// What has to change so that exactly those of `rule` can open these data keys of a file.
    pub fn between(current: &[WrappedDataKey], rule: &KeySet) -> Self {
        let before: Vec<_> = current.iter().map(names).collect();
        let count = before.iter().map(Vec::len).chain([rule.groups.len()]).max().unwrap_or_default();
        let change = |index: usize| {
            let old = || before.iter().map(|groups| groups.get(index).map_or(&[][..], Vec::as_slice));
            let new = rule.groups.get(index).map_or(&[][..], Vec::as_slice);
            let added = new
                .iter()
                .filter(|name| old().any(|old| !old.iter().any(|key| key.is_named_by(name))))
                .cloned()
                .collect();
            let mut removed: Vec<MasterKey> = Vec::new();
            for key in old().flatten().filter(|key| !key.is_among(new)) {
                if !removed.contains(key) {
                    removed.push(key.clone());
                }
            }
            GroupChange { group: index + 1, added, removed }
        };
        let groups =
            (0..count).map(change).filter(|group| !(group.added.is_empty() && group.removed.is_empty()));
        let after = Sharing { required: rule.required(), groups: rule.groups.len() };
        let sharing = current.iter().map(|current| SharingChange { before: Sharing::of(current), after });
        Self { groups: groups.collect(), sharing: sharing.into_iter().find(|found| found.before != after) }
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.sharing.is_none()
    }

    /// In words, line by line, with what keys are called.
    pub fn lines(&self, called: &Names) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(SharingChange { before, after }) = self.sharing {
            let Sharing { required, groups } = before;
            lines.push(format!(
                "  keys from {} of {} groups are needed, instead of {required} of {groups}",
                after.required, after.groups
            ));
        }
        let several = self.sharing.is_some() || self.groups.iter().any(|group| group.group > 1);
        for group in &self.groups {
            let indent = if several { "    " } else { "  " };
            if several {
                lines.push(format!("  group {}", group.group));
            }
            let named = |key: &MasterKey| called.beside(key.id(), key.to_string());
            lines.extend(group.added.iter().map(|key| format!("{indent}+ {}", named(key))));
            lines.extend(group.removed.iter().map(|key| format!("{indent}- {}", named(key))));
        }
        lines
    }

    /// Whether somebody can open more than before.
    pub fn lets_in(&self) -> bool {
        self.sharing.is_some() || self.groups.iter().any(|group| !group.added.is_empty())
    }

    /// Whether somebody can open less than before.
    pub fn removes(&self) -> bool {
        self.groups.iter().any(|group| !group.removed.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::recipients::tests::{file, keys};
    use super::*;

    #[test]
    fn changes_are_told_group_by_group() {
        let change = |before, rule| {
            Change::between(&[file(before, 0)], &keys(rule, None)).lines(&Names::default()).join("\n")
        };
        assert_eq!(change("a b", "b a"), "");
        assert_eq!(change("a b", "c a"), "  + c\n  - b");
        assert_eq!(change("a | b", "a | b c"), "  group 2\n    + c");
        assert_eq!(
            change("a b", "a | b"),
            "  keys from 2 of 2 groups are needed, instead of 1 of 1\n  group 1\n    - b\n  group 2\n    + b"
        );
    }

    #[test]
    fn several_data_keys_are_brought_in_line_together() {
        let change = |before: &[&str], rule| {
            let data_keys: Vec<_> = before.iter().map(|names| file(names, 0)).collect();
            Change::between(&data_keys, &keys(rule, None)).lines(&Names::default()).join("\n")
        };
        assert_eq!(change(&["a b", "b a"], "a b"), "");
        assert_eq!(change(&["a b", "b c", "c"], "a b"), "  + a\n  + b\n  - c");
        assert_eq!(change(&[], "a"), "");
    }
}
