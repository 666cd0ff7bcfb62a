//! The data keys that an object needs, and how each is told from all others.

use std::collections::BTreeSet;

use sealant::keys::WrappedDataKey;
use sha2::{Digest, Sha256};

use crate::engine::object::Ref;
use crate::engine::queue::Tenant;

/// How long all that is tried of a data key may be: an age file of this length has hundreds of stanzas.
pub const LONGEST_TRIED: usize = 64 << 10;

/// What a data key is remembered under.
pub type Print = [u8; 32];

/// The data keys of one object.
#[derive(Debug)]
pub struct Wanted {
    pub object: Ref,
    keys: Vec<(WrappedDataKey, Print)>,
}

impl Wanted {
    pub fn new(object: Ref, keys: Vec<WrappedDataKey>) -> Self {
        let namespace = object.key.namespace();
        let with_print = |key| {
            let print = fingerprint(namespace, &key);
            (key, print)
        };
        let keys = keys.into_iter().map(with_print).collect();
        Self { object, keys }
    }

    /// Each data key, and what it is remembered under.
    pub fn keys(&self) -> impl Iterator<Item = (&WrappedDataKey, &Print)> {
        self.keys.iter().map(|(key, print)| (key, print))
    }

    pub fn prints(&self) -> Vec<Print> {
        self.keys.iter().map(|(_, print)| *print).collect()
    }

    /// The servers that may have to be asked.
    pub fn servers(&self) -> BTreeSet<&str> {
        let wraps = self.keys.iter().flat_map(|(key, _)| key.groups.iter().flatten());
        wraps.filter_map(|wrap| wrap.key.server()).collect()
    }

    /// How much there is to try.
    pub fn length_tried(&self) -> usize {
        let age = |key: &WrappedDataKey| {
            let wraps = key.groups.iter().flatten().filter(|wrap| wrap.key.recipient().is_some());
            wraps.map(|wrap| wrap.enc.len()).sum::<usize>().min(LONGEST_TRIED)
        };
        self.keys.iter().map(|(key, _)| age(key)).sum()
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        /// What a wrap takes beside its text.
        const WRAP: usize = 512;
        let wraps = self.keys.iter().flat_map(|(key, _)| key.groups.iter().flatten());
        WRAP + wraps.map(|wrap| WRAP + 2 * wrap.enc.len()).sum::<usize>()
    }
}

impl Tenant for Wanted {
    fn tenant(&self) -> &str {
        self.object.tenant()
    }
}

/// Namespace, threshold, and each master key with what it has wrapped: never an id or a commitment, which anybody can write.
fn fingerprint(namespace: &str, wrapped: &WrappedDataKey) -> Print {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(namespace);
    add(&wrapped.threshold.to_string());
    for group in &wrapped.groups {
        add("group");
        for key in group {
            add(key.key.kind().name());
            add(&key.key.to_string());
            add(&key.enc);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use sealant::keys::{MasterKey, WrappedKey, generate_identity};

    use super::*;

    #[test]
    fn a_data_key_is_remembered_by_all_that_opens_it_and_by_its_namespace() {
        let key = |enc: &str| WrappedKey {
            key: MasterKey::Age(generate_identity(false, jiff::Timestamp::UNIX_EPOCH).recipient),
            enc: enc.to_owned(),
            entry: serde_json::Map::new(),
        };
        let (a, b) = (key("a"), key("b"));
        let wrapped = |groups: Vec<Vec<&WrappedKey>>, threshold| WrappedDataKey {
            groups: groups.into_iter().map(|group| group.into_iter().cloned().collect()).collect(),
            threshold,
        };
        let same_key = WrappedKey { enc: "c".to_owned(), ..a.clone() };
        let prints: BTreeSet<Print> = [
            fingerprint("x", &wrapped(vec![vec![&a]], 0)),
            fingerprint("y", &wrapped(vec![vec![&a]], 0)),
            fingerprint("x", &wrapped(vec![vec![&same_key]], 0)),
            fingerprint("x", &wrapped(vec![vec![&a, &b]], 0)),
            fingerprint("x", &wrapped(vec![vec![&a], vec![&b]], 2)),
            fingerprint("x", &wrapped(vec![vec![&a], vec![&b]], 1)),
        ]
        .into();
        assert_eq!(prints.len(), 6);
        assert!(prints.contains(&fingerprint("x", &wrapped(vec![vec![&a]], 0))));
    }
}
