//! What the watches have seen: of each object only what is needed, so that a hundred thousand of them fit.
//!
//! It counts as complete once each watch has listed everything. A list that begins again takes nothing away before it
//! is complete. What cannot be looked at, since its kind is not there, rights are missing or the API server fails at it, holds
//! up nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::object::Key;
use crate::engine::watch::{Event, Object};

/// What an event has changed.
#[derive(Debug)]
pub struct Change<V> {
    pub key: Key,
    pub old: Option<V>,
    pub new: Option<V>,
    /// It was found by a list, not told by a watch.
    pub listed: bool,
}

/// How far all that there is is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Something was not listed yet.
    NotYet,
    /// Nothing of it can be looked at now.
    Unavailable,
    /// Everything was listed once, or what can be looked at of it.
    Complete,
}

/// Objects of one kind, from one watch or, one for each namespace, from several.
#[derive(Debug)]
pub struct Store<V> {
    state: Mutex<State<V>>,
    watches: usize,
}

#[derive(Debug)]
struct State<V> {
    entries: HashMap<Key, Entry<V>>,
    /// How many lists each watch has begun.
    lists: HashMap<u32, u32>,
    complete: HashSet<u32>,
    /// Watches that cannot list now.
    unavailable: HashSet<u32>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    watch: u32,
    /// The last list of its watch that has found it.
    list: u32,
}

impl<V: Clone> Store<V> {
    pub fn new(watches: usize) -> Self {
        let state = State {
            entries: HashMap::new(),
            lists: HashMap::new(),
            complete: HashSet::new(),
            unavailable: HashSet::new(),
        };
        Self { state: Mutex::new(state), watches }
    }

    /// Takes an event of a watch in, and says what has changed by it.
    pub fn apply<T: Object>(&self, watch: u32, event: Event<T>, value: impl Fn(&T) -> V) -> Vec<Change<V>> {
        let mut state = self.lock();
        match event {
            Event::Begun => {
                *state.lists.entry(watch).or_default() += 1;
                Vec::new()
            }
            Event::Listed(object) => vec![state.put(watch, object.meta().key(), value(&object), true)],
            Event::Complete => {
                state.complete.insert(watch);
                state.unavailable.remove(&watch);
                state.remove_unlisted(watch)
            }
            Event::Changed(object) => vec![state.put(watch, object.meta().key(), value(&object), false)],
            Event::Gone(key) => vec![state.remove(key, false)],
            Event::Unavailable => {
                state.unavailable.insert(watch);
                Vec::new()
            }
        }
    }

    pub fn get(&self, key: &Key) -> Option<V> {
        self.lock().entries.get(key).map(|entry| entry.value.clone())
    }

    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// How many are such.
    pub fn count(&self, is_such: impl Fn(&V) -> bool) -> usize {
        self.lock().entries.values().filter(|entry| is_such(&entry.value)).count()
    }

    pub fn keys(&self) -> Vec<Key> {
        self.lock().entries.keys().cloned().collect()
    }

    pub fn values(&self) -> Vec<V> {
        self.lock().entries.values().map(|entry| entry.value.clone()).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Whether there may be objects that we cannot see now.
    pub fn is_partial(&self) -> bool {
        !self.lock().unavailable.is_empty()
    }

    /// Whether each watch has listed everything once, or cannot now.
    pub fn listed(&self) -> Listed {
        let state = self.lock();
        match (state.complete.is_empty(), state.complete.union(&state.unavailable).count() == self.watches) {
            (_, false) => Listed::NotYet,
            (true, true) => Listed::Unavailable,
            (false, true) => Listed::Complete,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> State<V> {
    fn put(&mut self, watch: u32, key: Key, value: V, listed: bool) -> Change<V>
    where
        V: Clone,
    {
        let list = self.lists.get(&watch).copied().unwrap_or_default();
        let entry = Entry { value: value.clone(), watch, list };
        let old = self.entries.insert(key.clone(), entry).map(|entry| entry.value);
        Change { key, old, new: Some(value), listed }
    }

    fn remove(&mut self, key: Key, listed: bool) -> Change<V> {
        let old = self.entries.remove(&key).map(|entry| entry.value);
        Change { key, old, new: None, listed }
    }

    fn remove_unlisted(&mut self, watch: u32) -> Vec<Change<V>> {
        let list = self.lists.get(&watch).copied().unwrap_or_default();
        let is_gone = |entry: &Entry<V>| entry.watch == watch && entry.list != list;
        let gone = self.entries.iter().filter(|(_, entry)| is_gone(entry)).map(|(key, _)| key.clone());
        let gone: Vec<Key> = gone.collect();
        gone.into_iter().map(|key| self.remove(key, true)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::object::{Bare, Meta};

    fn object(namespace: &str, name: &str) -> Bare {
        let metadata = Meta { name: name.to_owned(), namespace: namespace.to_owned(), ..Meta::default() };
        Bare { metadata }
    }

    fn apply(store: &Store<()>, watch: u32, event: Event<Bare>) -> Vec<Change<()>> {
        store.apply(watch, event, |_| ())
    }

    #[test]
    fn a_namespace_that_is_refused_holds_up_no_other() {
        let store = Store::new(2);
        let list = |watch| [Event::Begun, Event::Complete].map(|event| drop(apply(&store, watch, event)));
        apply(&store, 0, Event::Unavailable);
        assert!(store.listed() == Listed::NotYet && store.is_partial());
        list(1);
        assert!(store.listed() == Listed::Complete && store.is_partial());
        list(0);
        assert!(store.listed() == Listed::Complete && !store.is_partial());
        apply(&store, 1, Event::Unavailable);
        assert!(store.listed() == Listed::Complete && store.is_partial());
        let all = Store::new(2);
        apply(&all, 0, Event::Unavailable);
        assert_eq!(all.listed(), Listed::NotYet);
        apply(&all, 1, Event::Unavailable);
        assert_eq!(all.listed(), Listed::Unavailable);
    }

    /// A list that comes as a stream tells of what goes meanwhile.
    #[test]
    fn what_goes_before_the_list_is_complete_is_not_in_it() {
        let store = Store::new(1);
        for event in [Event::Begun, Event::Listed(object("a", "x")), Event::Gone(Key::new("a", "x"))] {
            apply(&store, 0, event);
            assert_eq!(store.listed(), Listed::NotYet);
        }
        apply(&store, 0, Event::Complete);
        assert!(store.listed() == Listed::Complete && store.values().is_empty());
    }

    #[test]
    fn a_new_list_shows_what_has_gone_meanwhile_in_its_own_namespace() {
        let store = Store::new(2);
        for (watch, namespace) in [(0, "a"), (1, "b")] {
            apply(&store, watch, Event::Begun);
            apply(&store, watch, Event::Listed(object(namespace, "x")));
            assert_eq!(store.listed(), Listed::NotYet);
            apply(&store, watch, Event::Complete);
        }
        assert_eq!(store.listed(), Listed::Complete);
        apply(&store, 0, Event::Changed(object("a", "y")));

        // A list that breaks off takes nothing away.
        apply(&store, 0, Event::Begun);
        apply(&store, 0, Event::Begun);
        let change = apply(&store, 0, Event::Listed(object("a", "y"))).remove(0);
        assert!(change.old.is_some() && change.listed);
        assert_eq!(store.keys().len(), 3);
        let gone = apply(&store, 0, Event::Complete);
        assert_eq!(gone.iter().map(|change| change.key.to_string()).collect::<Vec<_>>(), ["a/x"]);
        let mut left = store.keys();
        left.sort();
        assert_eq!(left, [Key::new("a", "y"), Key::new("b", "x")]);
    }
}
