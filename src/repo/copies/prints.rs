//! What files have in common, without the files: digests of what is random in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::held::{Held, prints_of_keys};
use super::readers::{alone, lets_others_in, listed_in};
use crate::encrypted_file::EncryptedFile;
use crate::keys::{KeySet, WrappedDataKey};

/// A digest of something random, which is nowhere else by chance.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Print([u8; 16]);

impl Print {
    pub fn of(kind: &str, bytes: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(kind).chain_update(bytes).finalize();
        let mut print = [0; 16];
        print.copy_from_slice(&digest[..16]);
        Self(print)
    }
}

/// What files hold, without the files.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Prints(HashSet<Print>);

impl Prints {
    pub fn of(held: &[(usize, Held)]) -> Self {
        Self(held.iter().flat_map(|(_, held)| held.prints()).collect())
    }

    /// Those of its data keys alone, as they are wrapped.
    pub fn of_keys(file: &EncryptedFile) -> Self {
        Self(Wrapped::all_of(file).into_iter().flat_map(|wrapped| wrapped.wraps.0).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, print: &Print) -> bool {
        self.0.contains(print)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Print> {
        self.0.iter()
    }

    pub fn add(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// Parts of this, of each of which all or nothing is in each of these.
    pub fn parts<'p>(&self, of: impl Iterator<Item = &'p Self>) -> Vec<Self> {
        let mut parts = vec![self.clone()];
        for other in of {
            let split = |part: &Self| [part.in_common(other), part.without(other)];
            parts = parts.iter().flat_map(split).filter(|part| !part.is_empty()).collect();
        }
        parts
    }

    /// The part of this that others have, too.
    #[must_use]
    pub fn in_common(&self, others: &Self) -> Self {
        Self(self.0.intersection(&others.0).copied().collect())
    }

    /// The part that others do not have.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).copied().collect())
    }
}

/// What all files that are there hold, by their paths.
#[derive(Default)]
pub struct Places<'c>(pub(super) HashMap<Print, BTreeSet<&'c Path>>);

impl<'c> Places<'c> {
    /// Adds what is in a file, or will be.
    pub fn add(&mut self, path: &'c Path, prints: &Prints) {
        for print in &prints.0 {
            self.0.entry(*print).or_default().insert(path);
        }
    }

    /// The files that have something of this, each with what it has.
    pub fn of(&self, prints: &Prints) -> BTreeMap<&'c Path, Prints> {
        let mut found: BTreeMap<&Path, Prints> = BTreeMap::new();
        for print in &prints.0 {
            for path in self.0.get(print).into_iter().flatten() {
                found.entry(path).or_default().0.insert(*print);
            }
        }
        found
    }
}

/// A data key of a file, as it is wrapped.
pub struct Wrapped {
    wraps: Prints,
    listed: KeySet,
}

impl Wrapped {
    /// All of a file.
    pub fn all_of(file: &EncryptedFile) -> Vec<Self> {
        let of = |wrapped: &WrappedDataKey| {
            let wraps = wrapped.groups.iter().flatten().map(|key| key.decoded());
            Self { wraps: Prints(prints_of_keys(wraps).into_iter().collect()), listed: listed_in(wrapped) }
        };
        file.data_keys().map(|all| all.iter().map(of).collect()).unwrap_or_default()
    }

    /// Whether both have a wrap in common: whoever adds others to a list, or takes some out, cannot make new ones.
    pub fn is_same(&self, other: &Self) -> bool {
        !self.wraps.in_common(&other.wraps).is_empty()
    }

    /// Whether its list has everybody whom a rule names.
    pub fn is_for_all_of(&self, rule: &KeySet) -> bool {
        !lets_others_in(&alone(rule), &self.listed)
    }

    /// Its list, which anybody can have changed.
    pub fn listed(&self) -> &KeySet {
        &self.listed
    }
}
