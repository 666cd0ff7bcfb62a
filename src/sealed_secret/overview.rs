//! What anybody can see of a SealedSecret without a key: its place, its items, and who can read which of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::seal::id_of;
use super::types::{DeletionPolicy, Scope, SealedSecret, Spec, Template};
use crate::error::Result;
use crate::keys::{WrappedDataKey, version_of};

/// A SealedSecret, seen from outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    pub name: String,
    pub namespace: Option<String>,
    pub scope: Scope,
    pub deletion_policy: DeletionPolicy,
    pub items: Vec<ItemOverview>,
    pub data_keys: Vec<DataKeyOverview>,
    /// Who can read something alone: first those who can read everything.
    pub readers: Vec<Reader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// An item and the data key that it is encrypted with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemOverview {
    pub name: String,
    pub data_key: String,
}

/// A data key and for whom it is wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataKeyOverview {
    pub id: String,
    /// How many items use it.
    pub items: usize,
    /// Of how many groups it takes a master key.
    pub required: usize,
    pub groups: Vec<Vec<WrapOverview>>,
}

/// A master key for which a data key is wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrapOverview {
    pub recipient: String,
    /// Of the transit key, when the data key was wrapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl WrapOverview {
    /// The holders of a data key, by groups.
    pub fn groups(wrapped: &WrappedDataKey) -> Vec<Vec<Self>> {
        let holder = |wrapped: &crate::keys::WrappedKey| Self {
            recipient: wrapped.key.to_string(),
            version: version_of(&wrapped.enc),
        };
        wrapped.groups.iter().map(|group| group.iter().map(holder).collect()).collect()
    }
}

/// A master key that opens items by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reader {
    pub recipient: String,
    /// Whether it opens all items.
    pub all: bool,
    pub items: Vec<String>,
}

/// What can be seen of a SealedSecret without a key.
pub fn overview(sealed: &SealedSecret) -> Result<Overview> {
    let spec = &sealed.spec;
    let items: Vec<ItemOverview> = spec
        .encrypted_data
        .iter()
        .map(|(name, text)| ItemOverview {
            name: name.clone(),
            data_key: id_of(text).unwrap_or_default().to_owned(),
        })
        .collect();
    let data_keys = spec.data_keys.iter().map(|entry| {
        let wrapped = entry.wrapped()?;
        Ok(DataKeyOverview {
            id: entry.id.clone(),
            items: items.iter().filter(|item| item.data_key == entry.id).count(),
            required: wrapped.required(),
            groups: WrapOverview::groups(&wrapped),
        })
    });
    let data_keys = data_keys.collect::<Result<Vec<_>>>()?;
    Ok(Overview {
        name: sealed.metadata.name.clone(),
        namespace: sealed.metadata.namespace.clone(),
        scope: spec.scope.unwrap_or_default(),
        deletion_policy: spec.deletion_policy.unwrap_or_default(),
        readers: readers(&items, &data_keys),
        items,
        data_keys,
        template: spec.template.clone(),
    })
}

/// Where a SealedSecret belongs, for people: `namespace/name`.
pub fn place(sealed: &SealedSecret) -> String {
    match &sealed.metadata.namespace {
        Some(namespace) => format!("{namespace}/{}", sealed.metadata.name),
        None => sealed.metadata.name.clone(),
    }
}

/// The items that are encrypted with a data key.
pub fn items_of<'s>(spec: &'s Spec, data_key: &str) -> impl Iterator<Item = &'s str> {
    let of_key = spec.encrypted_data.iter().filter(move |(_, text)| id_of(text) == Some(data_key));
    of_key.map(|(name, _)| name.as_str())
}

fn readers(items: &[ItemOverview], data_keys: &[DataKeyOverview]) -> Vec<Reader> {
    // In the order in which the file names them.
    let (mut names, mut opens) = (Vec::new(), BTreeMap::<&str, BTreeSet<&str>>::new());
    for data_key in data_keys.iter().filter(|data_key| data_key.required == 1) {
        for holder in data_key.groups.iter().flatten() {
            let name = holder.recipient.as_str();
            opens.entry(name).or_insert_with(|| {
                names.push(name);
                BTreeSet::new()
            });
            opens.entry(name).or_default().insert(&data_key.id);
        }
    }
    let reader = |name: &str| {
        let is_open = |item: &&ItemOverview| opens[name].contains(item.data_key.as_str());
        let found: Vec<String> = items.iter().filter(is_open).map(|item| item.name.clone()).collect();
        Reader { recipient: name.to_owned(), all: found.len() == items.len(), items: found }
    };
    let mut readers: Vec<Reader> = names.into_iter().map(reader).collect();
    readers.sort_by_key(|reader| !reader.all);
    readers
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::keys::KeySet;

    #[test]
    fn who_reads_everything_comes_before_who_reads_some() {
        let [a, b, c] = [(); 3].map(|()| Person::new());
        let first = sealed(&[("x", "1"), ("y", "2")], &[&c, &a]);
        let found = overview(&set(&first, "y", "3", &[&a, &b])).unwrap();
        let readers: Vec<_> =
            found.readers.iter().map(|r| (&r.recipient, r.all, r.items.join(","))).collect();
        let name = |person: &Person| person.key().to_string();
        let (a, b, c) = (name(&a), name(&b), name(&c));
        assert_eq!(readers[0], (&a, true, "x,y".to_owned()));
        assert!(readers[1..].contains(&(&b, false, "y".to_owned())));
        assert!(readers[1..].contains(&(&c, false, "x".to_owned())));
        assert_eq!(found.data_keys.iter().map(|key| key.items).collect::<Vec<_>>(), [1, 1]);
        assert_eq!((found.name.as_str(), found.scope), ("db", Scope::Strict));
    }

    #[test]
    fn nobody_reads_alone_what_is_shared_out() {
        let [a, b] = [(); 2].map(|()| Person::new());
        let groups = KeySet::of_groups(vec![vec![a.key()], vec![b.key()]], None);
        let sealed =
            super::super::seal(&secret(&[("x", "1")]), &Default::default(), new_key(&groups)).unwrap();
        let found = overview(&sealed).unwrap();
        assert!(found.readers.is_empty());
        assert_eq!((found.data_keys[0].required, found.data_keys[0].groups.len()), (2, 2));
    }
}
