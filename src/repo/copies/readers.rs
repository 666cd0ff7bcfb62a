//! Who reads a file, and whether somebody else does elsewhere.
//!
//! Owns the comparison of readers by the keys that they need, one rule beside another; what files have in common is
//! [`prints`](super::prints)'.

use std::collections::BTreeSet;

use crate::encrypted_file::EncryptedFile;
use crate::keys::{KeySet, MasterKey, Shares, TooMany, WrappedDataKey};
use crate::rekey::names;

/// Who can read something: whoever has enough keys for one of its data keys, or for what `publish` makes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Readers {
    pub own: BTreeSet<Shares<String>>,
    /// To whom else `publish` gives it.
    pub sent_to: Option<Shares<String>>,
}

impl Readers {
    pub fn of(keys: &KeySet) -> Self {
        let own = Some(keys.shares()).filter(|_| !keys.groups.is_empty());
        Self::new(own.into_iter().collect(), keys.sent_to.as_ref())
    }

    pub fn new(own: BTreeSet<Shares<String>>, sent_to: Option<&Shares<String>>) -> Self {
        let own = Self { own, sent_to: None };
        let sent = sent_to.map(|to| Self { own: BTreeSet::from([to.clone()]), sent_to: None });
        let is_more = sent.is_some_and(|sent| is_wider(&sent, &own));
        Self { sent_to: sent_to.filter(|_| is_more).cloned(), ..own }
    }

    /// Those that a file lists, of all its data keys.
    pub fn listed(data_keys: &[WrappedDataKey]) -> Self {
        Self {
            own: data_keys.iter().flat_map(|wrapped| Self::of(&listed_in(wrapped)).own).collect(),
            sent_to: None,
        }
    }

    /// Those of a place, and whether a rule names them; else they are those that are `listed`.
    pub fn of_place(rule: Option<&KeySet>, listed: impl FnOnce() -> Self) -> (Self, bool) {
        match rule {
            None => (listed(), false),
            Some(rule) if rule.is_only_sent() => (Self::new(listed().own, rule.sent_to.as_ref()), false),
            Some(rule) => (Self::of(rule), true),
        }
    }

    /// All ways to read it.
    pub fn ways(&self) -> impl Iterator<Item = &Shares<String>> {
        self.own.iter().chain(&self.sent_to)
    }

    /// Those that are not among others.
    pub fn strangers_to(&self, others: &Self) -> BTreeSet<&str> {
        let known: BTreeSet<&str> = others.ways().flat_map(Shares::keys).map(String::as_str).collect();
        self.ways().flat_map(Shares::keys).map(String::as_str).filter(|name| !known.contains(name)).collect()
    }

    /// The fewest who can read it together, and could not there, though both name them. Where that is too much to tell, nobody is
    /// named.
    pub fn enough_beyond(&self, others: &Self) -> Option<BTreeSet<&str>> {
        let others: Vec<&Shares<String>> = others.ways().collect();
        self.ways().find_map(|way| match way.enough_beyond(&others) {
            Ok(who) => who.map(|who| who.into_iter().map(String::as_str).collect()),
            Err(TooMany) => Some(BTreeSet::new()),
        })
    }

    /// Anybody with one of these keys.
    pub fn each_of(keys: &[MasterKey]) -> Self {
        let alone = |key: &MasterKey| KeySet::any_of(vec![key.clone()]).shares();
        Self { own: keys.iter().map(alone).collect(), sent_to: None }
    }

    /// These, and others as well.
    pub fn and(&self, others: &Self) -> Self {
        Self { own: self.own.union(&others.own).cloned().collect(), sent_to: self.sent_to.clone() }
    }

    /// Nobody.
    pub fn nobody() -> Self {
        Self { own: BTreeSet::new(), sent_to: None }
    }

    /// Whether these are all among those to whom it is sent.
    pub fn are_sent_to(&self, some: &BTreeSet<&str>) -> bool {
        let is_sent = |name: &&str| self.sent_to.iter().flat_map(Shares::keys).any(|to| to == name);
        !some.is_empty() && some.iter().all(is_sent)
    }
}

/// Whom a file lists, of one data key.
pub(super) fn listed_in(wrapped: &WrappedDataKey) -> KeySet {
    KeySet::of_groups(names(wrapped), (wrapped.groups.len() > 1).then(|| wrapped.required()))
}

/// Who reads a document, or any encrypted file of a place with a creation rule: whom `rule` names, else its own list.
pub fn readers(file: &EncryptedFile, rule: &KeySet) -> KeySet {
    let listed = || file.data_keys().ok()?.first().map(listed_in);
    match listed().filter(|_| rule.is_only_sent()) {
        Some(listed) => KeySet { sent_to: rule.sent_to.clone(), ..listed },
        None => rule.clone(),
    }
}

/// These readers without those to whom `publish` sends something.
pub fn alone(keys: &KeySet) -> KeySet {
    KeySet { sent_to: None, ..keys.clone() }
}

/// Whether some of these readers are not among the others, or need fewer keys.
pub fn lets_others_in(here: &KeySet, there: &KeySet) -> bool {
    is_wider(&Readers::of(here), &Readers::of(there))
}

/// Whether some who read here today, or with fewer keys, could do so then, and not there. `today` is `None` where that is unknown.
pub fn let_same_others_in(then: &KeySet, today: Option<&KeySet>, there: &KeySet) -> bool {
    let (then, there) = (Readers::of(then), Readers::of(there));
    let Some(today) = today.map(Readers::of) else { return is_wider(&then, &there) };
    let strangers = then.strangers_to(&there);
    today.strangers_to(&there).iter().any(|name| strangers.contains(name))
        || then.enough_beyond(&there).is_some()
}

/// Whether two sets of master keys mean the same readers.
pub fn is_for_same(one: &KeySet, other: &KeySet) -> bool {
    are_same(&Readers::of(one), &Readers::of(other))
}

/// Whether some may read here who may not read there, or with fewer keys.
pub(super) fn is_wider(here: &Readers, there: &Readers) -> bool {
    !here.strangers_to(there).is_empty() || here.enough_beyond(there).is_some()
}

pub(super) fn are_same(one: &Readers, other: &Readers) -> bool {
    one == other || !(is_wider(one, other) || is_wider(other, one))
}

/// Somebody who reads a place, or all who do, where several of them have to open it.
pub struct Person(KeySet);

impl Person {
    /// All who read a place.
    pub fn all_of(readers: &KeySet) -> Vec<Self> {
        let [keys] = &readers.groups[..] else { return vec![Self(readers.clone())] };
        let alone = |key: &MasterKey| Self(KeySet::any_of(vec![key.clone()]));
        let sent = readers.sent_to.as_ref().map(|_| KeySet { groups: Vec::new(), ..readers.clone() });
        keys.iter().map(alone).chain(sent.map(Self)).collect()
    }

    pub fn is_among(&self, readers: &KeySet) -> bool {
        !lets_others_in(&self.0, readers)
    }

    /// The same for all who can use the same keys.
    pub fn holders(&self) -> String {
        Readers::of(&self.0).ways().flat_map(Shares::keys).cloned().collect::<Vec<_>>().join("\n")
    }

    fn is_alone(&self) -> bool {
        self.0.groups.len() < 2
    }

    /// Whether readers have them, or some of them, and those of before have not.
    pub fn is_new(&self, readers: &KeySet, before: Option<&KeySet>) -> bool {
        match self.is_alone() {
            true => self.is_among(readers) && !before.is_some_and(|before| self.is_among(before)),
            false => {
                let nobody = KeySet::of_groups(Vec::new(), None);
                let_same_others_in(readers, Some(&self.0), before.unwrap_or(&nobody))
            }
        }
    }

    /// Whether they can read what is for others, as far as they can what is for `readers`.
    pub fn could_read(&self, readers: &KeySet, others: &KeySet) -> bool {
        match self.is_alone() {
            true => self.is_among(others),
            false => !lets_others_in(readers, others),
        }
    }
}
