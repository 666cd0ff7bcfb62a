//! What is still to be done: each key at most once, new things before old ones, never two of one key at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What was there when we came, and what is tried again.
    Backlog,
    /// What somebody has just changed: it never waits behind a backlog.
    Fresh,
}

/// A queue of keys, for many workers.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    fresh: VecDeque<K>,
    backlog: VecDeque<K>,
    /// Where a key waits. One that has been moved to the other lane stays in the first, and is passed over there.
    waiting: HashMap<K, Lane>,
    /// Those that a worker has, and whether they are wanted again.
    running: HashMap<K, Option<Lane>>,
    timers: BTreeMap<(Instant, u64), K>,
    timer_of: HashMap<K, (Instant, u64)>,
    count: u64,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    pub fn new() -> Self {
        let state = State {
            fresh: VecDeque::new(),
            backlog: VecDeque::new(),
            waiting: HashMap::new(),
            running: HashMap::new(),
            timers: BTreeMap::new(),
            timer_of: HashMap::new(),
            count: 0,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Adds a key now; what was planned for it later is done with it.
    pub fn push(&self, key: K, lane: Lane) {
        let mut state = self.lock();
        state.cancel(&key);
        state.push(key, lane);
        drop(state);
        self.changed.notify_one();
    }

    /// Adds a key later, unless it comes sooner.
    pub fn push_after(&self, key: K, delay: Duration) {
        let mut state = self.lock();
        let at = (Instant::now() + delay, state.count);
        if state.waiting.contains_key(&key) || state.timer_of.get(&key).is_some_and(|known| *known <= at) {
            return;
        }
        state.cancel(&key);
        state.count += 1;
        state.timers.insert(at, key.clone());
        state.timer_of.insert(key, at);
        drop(state);
        self.changed.notify_one();
    }

    /// The next key. It has to be given back with [`Queue::done`].
    pub async fn next(&self) -> K {
        loop {
            let changed = self.changed.notified();
            let (key, next_timer) = self.lock().take(Instant::now());
            if let Some(key) = key {
                // Others may have waited for the same notification.
                self.changed.notify_one();
                return key;
            }
            match next_timer {
                None => changed.await,
                Some(at) => tokio::select! { () = changed => {}, () = sleep_until(at) => {} },
            }
        }
    }

    /// Says that a worker has finished with a key.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        if let Some(Some(lane)) = state.running.remove(key) {
            state.push(key.clone(), lane);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// How many keys wait to be taken, without those planned for later.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn push(&mut self, key: K, lane: Lane) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = (*again).max(Some(lane));
            return;
        }
        if self.waiting.get(&key).is_some_and(|known| *known >= lane) {
            return;
        }
        self.waiting.insert(key.clone(), lane);
        self.lane(lane).push_back(key);
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<K> {
        match lane {
            Lane::Fresh => &mut self.fresh,
            Lane::Backlog => &mut self.backlog,
        }
    }

    fn cancel(&mut self, key: &K) {
        if let Some(at) = self.timer_of.remove(key) {
            self.timers.remove(&at);
        }
    }

    /// The next key, or when to look again.
    fn take(&mut self, now: Instant) -> (Option<K>, Option<Instant>) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            self.timer_of.remove(&key);
            self.push(key, Lane::Backlog);
        }
        for lane in [Lane::Fresh, Lane::Backlog] {
            while let Some(key) = self.lane(lane).pop_front() {
                if self.waiting.get(&key) == Some(&lane) {
                    self.waiting.remove(&key);
                    self.running.insert(key.clone(), None);
                    return (Some(key), None);
                }
            }
        }
        (None, self.timers.first_key_value().map(|((at, _), _)| *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(queue: &Queue<&'static str>) -> Option<&'static str> {
        queue.lock().take(Instant::now()).0
    }

    #[test]
    fn what_is_new_comes_first_and_each_key_once() {
        let queue = Queue::new();
        for key in ["a", "b", "a", "c"] {
            queue.push(key, Lane::Backlog);
        }
        queue.push("c", Lane::Fresh);
        queue.push("d", Lane::Fresh);
        queue.push("d", Lane::Backlog);
        assert_eq!(queue.len(), 4);
        let all: Vec<_> = std::iter::from_fn(|| take(&queue)).collect();
        assert_eq!(all, ["c", "d", "a", "b"]);
    }

    #[test]
    fn a_key_that_somebody_works_on_comes_again_afterwards() {
        let queue = Queue::new();
        queue.push("a", Lane::Backlog);
        assert_eq!(take(&queue), Some("a"));
        queue.push("a", Lane::Fresh);
        assert_eq!(take(&queue), None);
        queue.done(&"a");
        assert_eq!(take(&queue), Some("a"));
        queue.done(&"a");
        assert_eq!(take(&queue), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_planned_comes_in_its_time_unless_it_comes_sooner() {
        let queue = Queue::new();
        let start = Instant::now();
        queue.push_after("a", Duration::from_secs(5));
        queue.push_after("a", Duration::from_secs(9));
        queue.push_after("b", Duration::from_secs(2));
        queue.push_after("c", Duration::from_secs(1));
        queue.push("c", Lane::Fresh);
        let mut taken = Vec::new();
        for _ in 0..3 {
            let key = queue.next().await;
            queue.done(&key);
            taken.push((key, start.elapsed().as_secs()));
        }
        assert_eq!(taken, [("c", 0), ("b", 2), ("a", 5)]);
        assert!(take(&queue).is_none());
    }
}
