//! Whether a config differs from an earlier one in nothing but keys that were added to lists, and names.
//!
//! Owns what an access request may change. It compares what was read, so spelling, comments, anchors and order count for
//! nothing, and whatever else differs makes it none.

use std::collections::BTreeSet;
use std::path::Path;

use super::yaml::{self, Entry, Node, Value};
use super::{Configs, RuleKey};
use crate::error::Result;

/// The fields of a rule that list keys.
const LISTS: [&str; 7] = ["age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri"];

impl Configs {
    /// The keys that were added to each rule of a config since `before`, if nothing else differs but added names. `None` for
    /// a config that was not there before, or differs in something else.
    pub fn additions(&self, before: &Self, path: &Path) -> Result<Option<Vec<Vec<RuleKey>>>> {
        if !self.source.exists(path) || !before.source.exists(path) {
            return Ok(None);
        }
        let (earlier, _) = yaml::parse(&before.read(path)?)?;
        let (today, _) = yaml::parse(&self.read(path)?)?;
        if !only_adds(&earlier, &today) {
            return Ok(None);
        }
        let (earlier, today) = (before.load(path.to_path_buf())?, self.load(path.to_path_buf())?);
        let keys = |policies: Vec<Result<super::Policy>>| -> Result<Vec<Vec<RuleKey>>> {
            policies.into_iter().map(|policy| Ok(policy?.key_groups.concat())).collect()
        };
        let (earlier, mut today) = (keys(earlier.policies())?, keys(today.policies())?);
        for (keys, known) in today.iter_mut().zip(&earlier) {
            keys.retain(|key| !known.iter().any(|other| other.spec == key.spec));
        }
        Ok(Some(today))
    }
}

/// The top of the config.
fn only_adds(earlier: &Node, today: &Node) -> bool {
    let (Some(earlier), Some(today)) = (entries(earlier), entries(today)) else { return false };
    // What else is on top is for anchors, and counts where it is used.
    ["creation_rules", "destination_rules", "stores", "sealant"].into_iter().all(|name| {
        match (name, value(earlier, name), value(today, name)) {
            (_, None, None) => true,
            ("creation_rules", Some(earlier), Some(today)) => rules(earlier, today),
            ("sealant", earlier, Some(today)) => own(earlier, today),
            (_, Some(earlier), Some(today)) => is_same(earlier, today),
            _ => false,
        }
    })
}

fn rules(earlier: &Node, today: &Node) -> bool {
    let (Value::List(earlier), Value::List(today)) = (&earlier.value, &today.value) else { return false };
    earlier.len() == today.len() && earlier.iter().zip(today).all(|(earlier, today)| rule(earlier, today))
}

fn rule(earlier: &Node, today: &Node) -> bool {
    let (Some(before), Some(now)) = (entries(earlier), entries(today)) else {
        return is_same(earlier, today);
    };
    if value(before, "key_groups").is_some() || value(now, "key_groups").is_some() {
        return is_same(earlier, today);
    }
    fields(before, now).into_iter().all(|name| match (value(before, name), value(now, name)) {
        (Some(before), Some(now)) if LISTS.contains(&name) => match (keys(before), keys(now)) {
            (Some(before), Some(now)) => !before.is_empty() && before.is_subset(&now),
            _ => false,
        },
        (Some(before), Some(now)) => is_same(before, now),
        (None, None) => true,
        _ => false,
    })
}

/// What sops does not know: names may be added.
fn own(earlier: Option<&Node>, today: &Node) -> bool {
    let (Some(before), Some(now)) = (earlier.map_or(Some(&[][..]), entries), entries(today)) else {
        return false;
    };
    fields(before, now).into_iter().all(|name| match (value(before, name), value(now, name)) {
        (before, Some(now)) if name == "recipients" => {
            let (Some(before), Some(now)) = (before.map_or(Some(&[][..]), entries), entries(now)) else {
                return false;
            };
            before.iter().all(|entry| value(now, &entry.key).is_some_and(|now| is_same(&entry.value, now)))
        }
        (Some(before), Some(now)) => is_same(before, now),
        (None, None) => true,
        _ => false,
    })
}

fn fields<'n>(one: &'n [Entry], other: &'n [Entry]) -> BTreeSet<&'n str> {
    one.iter().chain(other).map(|entry| entry.key.as_str()).collect()
}

fn entries(node: &Node) -> Option<&[Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        Value::Null => Some(&[]),
        _ => None,
    }
}

fn value<'n>(entries: &'n [Entry], name: &str) -> Option<&'n Node> {
    let found = entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value);
    found.filter(|node| !matches!(node.value, Value::Null))
}

/// The keys of a text with commas, or of a list of such texts.
fn keys(node: &Node) -> Option<BTreeSet<&str>> {
    let texts: Vec<&Node> = match &node.value {
        Value::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut found = BTreeSet::new();
    for node in texts {
        match &node.value {
            Value::Scalar { text, .. } => {
                found.extend(text.split(',').map(str::trim).filter(|key| !key.is_empty()));
            }
            Value::Null => {}
            _ => return None,
        }
    }
    Some(found)
}

fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar { text, quoted }, Value::Scalar { text: other, quoted: other_quoted }) => {
            text == other && quoted == other_quoted
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().all(|entry| {
                    let same = other.iter().find(|other| other.key == entry.key);
                    same.is_some_and(|other| is_same(&entry.value, &other.value))
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adds(earlier: &str, today: &str) -> bool {
        only_adds(&yaml::parse(earlier).unwrap().0, &yaml::parse(today).unwrap().0)
    }

    const BEFORE: &str = "creation_rules:\n  - path_regex: ^a/\n    age: x\n  - age: [x, y]\n";

    #[test]
    fn keys_and_names_may_be_added_however_they_are_written() {
        for today in [
            "creation_rules:\n  - {age: 'x,z', path_regex: ^a/}\n  - age: [z, y, x]\n",
            "keys: [&z z]\ncreation_rules:\n  # me\n  - path_regex: ^a/\n    age: [x, *z]\n  - age: x,y\n",
            "creation_rules:\n  - path_regex: ^a/\n    age: x\n  - age: [x, y, z]\nsealant: {recipients: {z: Zoe}}\n",
        ] {
            assert!(adds(BEFORE, today), "{today}");
        }
        assert!(adds("sealant: {recipients: {x: X}}\n", "sealant: {recipients: {z: Z, x: X}}\n"));
    }

    #[test]
    fn whatever_else_differs_makes_it_none() {
        for today in [
            "creation_rules:\n  - path_regex: ^a/\n    age: z\n  - age: [x, y]\n",
            "creation_rules:\n  - path_regex: ^a\n    age: x,z\n  - age: [x, y]\n",
            "creation_rules:\n  - path_regex: ^a/\n    age: x,z\n    pgp: f\n  - age: [x, y]\n",
            "creation_rules:\n  - path_regex: ^a/\n    age: x,z\n    encrypted_regex: ^z$\n  - age: [x, y]\n",
            "creation_rules:\n  - path_regex: ^a/\n    age: x\n  - age: [x, y]\n  - age: z\n",
            "creation_rules:\n  - age: [x, y]\n  - path_regex: ^a/\n    age: x,z\n",
            "creation_rules:\n  - path_regex: ^a/\n    key_groups: [{age: [x, z]}]\n  - age: [x, y]\n",
            "creation_rules:\n  - path_regex: ^a/\n    age: x,z\n  - age: [x, y]\nsealant: {check: {exclude: [b]}}\n",
            "creation_rules:\n  - path_regex: ^a/\n    age: x,z\n  - age: [x, y]\nstores: {yaml: {indent: 2}}\n",
        ] {
            assert!(!adds(BEFORE, today), "{today}");
        }
        let groups = |keys: &str| format!("creation_rules: [{{key_groups: [{{age: [{keys}]}}]}}]\n");
        assert!(adds(&groups("x"), &groups("x")) && !adds(&groups("x"), &groups("x, z")));
        assert!(!adds("sealant: {recipients: {x: X}}\n", "sealant: {recipients: {x: Z}}\n"));
        assert!(!adds("sealant: {audit: true}\n", "sealant: {recipients: {x: X}}\n"));
        assert!(!adds("sealant: {audit: true}\n", "a: &a b\n"));
    }
}
