//! What the watches have seen: a copy of the objects that counts as complete once each watch has listed them. And how
//! soon a watch that has failed begins anew.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Resource;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event};

/// The longest wait before a watch begins anew: what has changed meanwhile is seen only then.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// After how many seconds the API server ends a watch, which then goes on where it was: so one whose connection is dead
/// is not waited for much longer.
const WATCH: u32 = 50;

/// How many objects one answer to a list holds: SealedSecrets can have a megabyte each.
const PAGE: u32 = 100;

/// How everything is watched.
pub fn watching() -> watcher::Config {
    watcher::Config::default().timeout(WATCH).page_size(PAGE)
}

/// The waits of a watch that has failed.
#[derive(Default)]
pub struct Waits(DefaultBackoff);

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0.next()?.min(LONGEST_WAIT))
    }
}

impl Backoff for Waits {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What an event has changed.
#[derive(Debug)]
pub struct Change<K> {
    pub key: Key,
    pub old: Option<Arc<K>>,
    pub new: Option<Arc<K>>,
    /// It was found by a list, not told by a watch.
    pub listed: bool,
}

/// Objects of one kind, from one watch or, one for each namespace, from several.
#[derive(Debug)]
pub struct Mirror<K> {
    state: Mutex<State<K>>,
    watches: usize,
}

#[derive(Debug)]
struct State<K> {
    objects: HashMap<Key, Arc<K>>,
    /// What the lists that are under way have found, by watch.
    listing: HashMap<usize, HashSet<Key>>,
    complete: HashSet<usize>,
    /// Watches that we may not have.
    refused: HashSet<usize>,
    /// Which watch an object is from.
    from: HashMap<Key, usize>,
}

impl<K: Resource> Mirror<K> {
    pub fn new(watches: usize) -> Self {
        let state = State {
            objects: HashMap::new(),
            listing: HashMap::new(),
            complete: HashSet::new(),
            refused: HashSet::new(),
            from: HashMap::new(),
        };
        Self { state: Mutex::new(state), watches }
    }

    /// Takes an event of a watch in, and says what has changed by it.
    pub fn apply(&self, watch: usize, event: Event<K>) -> Vec<Change<K>> {
        let mut state = self.lock();
        match event {
            Event::Init => {
                state.listing.insert(watch, HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let change = state.put(watch, object, true);
                state.listing.entry(watch).or_default().insert(change.key.clone());
                vec![change]
            }
            Event::InitDone => {
                let found = state.listing.remove(&watch).unwrap_or_default();
                state.complete.insert(watch);
                state.refused.remove(&watch);
                let of_watch =
                    state.from.iter().filter(|(key, from)| **from == watch && !found.contains(*key));
                let gone: Vec<Key> = of_watch.map(|(key, _)| key.clone()).collect();
                gone.into_iter().map(|key| state.remove(key, true)).collect()
            }
            Event::Apply(object) => vec![state.put(watch, object, false)],
            Event::Delete(object) => vec![state.remove(Key::of(&object), false)],
        }
    }

    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.lock().objects.get(key).cloned()
    }

    pub fn keys(&self) -> Vec<Key> {
        self.lock().objects.keys().cloned().collect()
    }

    /// A watch was refused: the others go on without it.
    pub fn refuse(&self, watch: usize) {
        self.lock().refused.insert(watch);
    }

    /// Whether there may be objects that we must not see.
    pub fn is_refused(&self) -> bool {
        !self.lock().refused.is_empty()
    }

    /// Whether each watch has listed everything once, or, if there are others, was refused.
    pub fn is_complete(&self) -> bool {
        let state = self.lock();
        !state.complete.is_empty() && state.complete.union(&state.refused).count() == self.watches
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource> State<K> {
    fn put(&mut self, watch: usize, object: K, listed: bool) -> Change<K> {
        let (key, new) = (Key::of(&object), Arc::new(object));
        self.from.insert(key.clone(), watch);
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        Change { key, old, new: Some(new), listed }
    }

    fn remove(&mut self, key: Key, listed: bool) -> Change<K> {
        self.from.remove(&key);
        let old = self.objects.remove(&key);
        Change { key, old, new: None, listed }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::*;

    fn object(namespace: &str, name: &str) -> ConfigMap {
        let metadata = ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    #[test]
    fn a_namespace_that_is_refused_holds_up_no_other() {
        let mirror = Mirror::<ConfigMap>::new(2);
        let list = |watch| [Event::Init, Event::InitDone].map(|event| drop(mirror.apply(watch, event)));
        mirror.refuse(0);
        assert!(!mirror.is_complete() && mirror.is_refused());
        list(1);
        assert!(mirror.is_complete() && mirror.is_refused());
        list(0);
        assert!(mirror.is_complete() && !mirror.is_refused());
        mirror.refuse(1);
        assert!(mirror.is_complete() && mirror.is_refused());
        let all = Mirror::<ConfigMap>::new(2);
        all.refuse(0);
        all.refuse(1);
        assert!(!all.is_complete());
    }

    #[test]
    fn a_new_list_shows_what_has_gone_meanwhile_in_its_own_namespace() {
        let mirror = Mirror::new(2);
        for (watch, namespace) in ["a", "b"].into_iter().enumerate() {
            mirror.apply(watch, Event::Init);
            mirror.apply(watch, Event::InitApply(object(namespace, "x")));
            assert!(!mirror.is_complete());
            mirror.apply(watch, Event::InitDone);
        }
        assert!(mirror.is_complete());
        mirror.apply(0, Event::Apply(object("a", "y")));

        mirror.apply(0, Event::Init);
        let change = mirror.apply(0, Event::InitApply(object("a", "y"))).remove(0);
        assert!(change.old.is_some() && change.listed);
        let gone = mirror.apply(0, Event::InitDone);
        assert_eq!(gone.iter().map(|change| change.key.to_string()).collect::<Vec<_>>(), ["a/x"]);
        let mut left = mirror.keys();
        left.sort();
        assert_eq!(left, [Key::new("a", "y"), Key::new("b", "x")]);
    }
}
