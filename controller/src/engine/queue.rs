//! What is still to be done: each key at most once, never two of one key at a time, new things before old ones, and fair
//! by tenant: who has much to do waits for themselves alone.
//!
//! What is tried again because something went wrong shares one quota, in which tenants take turns, too.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// One key in so many comes from the backlog, though there is something new.
const BACKLOG_EVERY: u32 = 8;

/// How many keys of the quota there are in a second, and how many at once after a pause.
const QUOTA: f64 = 50.0;
const BURST: f64 = 200.0;

/// What is worked on for somebody.
pub trait Tenant {
    /// For whom.
    fn tenant(&self) -> &str;
}

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
    /// How long keys have waited.
    waits: Histogram,
}

#[derive(Debug)]
struct State<K> {
    fresh: Line<K>,
    backlog: Line<K>,
    /// Where a key waits, and since when. One that has been moved to the other lane stays in the first, and is passed over there.
    waiting: HashMap<K, (Lane, Instant)>,
    /// Those that a worker has, and whether they are wanted again.
    running: HashMap<K, Option<Lane>>,
    /// How many of each tenant.
    running_of: HashMap<Arc<str>, usize>,
    /// How many of one tenant at most.
    most_of_one: usize,
    /// What is planned, and what of it is within the quota.
    timers: BTreeMap<At, K>,
    retries: BTreeMap<At, K>,
    timer_of: HashMap<K, At>,
    /// What waits for the quota alone.
    due: Due<K>,
    count: u64,
    taken: u32,
    quota: Quota,
}

/// When, and a number that no other timer has.
type At = (Instant, u64);

impl<K: Clone + Eq + Hash + Tenant> Queue<K> {
    /// A queue in which workers have so many keys of one tenant at most.
    pub fn new(most_of_one: usize, waits: Histogram) -> Self {
        let state = State {
            fresh: Line::new(),
            backlog: Line::new(),
            waiting: HashMap::new(),
            running: HashMap::new(),
            running_of: HashMap::new(),
            most_of_one: most_of_one.max(1),
            timers: BTreeMap::new(),
            retries: BTreeMap::new(),
            timer_of: HashMap::new(),
            due: Due::new(),
            count: 0,
            taken: 0,
            quota: Quota { left: BURST, at: None },
        };
        Self { state: Mutex::new(state), changed: Notify::new(), waits }
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
        self.plan(key, delay, false);
    }

    /// Adds a key later, within the quota of what went wrong, unless it comes sooner.
    pub fn retry_after(&self, key: K, delay: Duration) {
        self.plan(key, delay, true);
    }

    fn plan(&self, key: K, delay: Duration, in_quota: bool) {
        let mut state = self.lock();
        let at = (Instant::now() + delay, state.count);
        let comes_sooner = state.timer_of.get(&key).is_some_and(|known| *known <= at)
            || (in_quota && state.due.contains(&key));
        if state.waiting.contains_key(&key) || comes_sooner {
            return;
        }
        state.cancel(&key);
        state.count += 1;
        let timers = if in_quota { &mut state.retries } else { &mut state.timers };
        timers.insert(at, key.clone());
        state.timer_of.insert(key, at);
        drop(state);
        self.changed.notify_one();
    }

    /// Forgets what waits and what is planned.
    pub fn clear(&self) {
        let mut state = self.lock();
        (state.fresh, state.backlog) = (Line::new(), Line::new());
        state.waiting.clear();
        state.timers.clear();
        state.retries.clear();
        state.timer_of.clear();
        state.due = Due::new();
        state.running.values_mut().for_each(|again| *again = None);
    }

    /// The next key. It has to be given back with [`Queue::done`].
    pub async fn next(&self) -> K {
        loop {
            let changed = self.changed.notified();
            let (key, next_timer) = self.lock().take(Instant::now());
            if let Some((key, since)) = key {
                self.waits.observe(since.elapsed().as_secs_f64());
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
        let again = state.running.remove(key);
        if let Some(count) = state.running_of.get_mut(key.tenant()) {
            *count -= 1;
            if *count == 0 {
                state.running_of.remove(key.tenant());
            }
        }
        if let Some(Some(lane)) = again {
            state.push(key.clone(), lane);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// How many keys wait to be taken, without those planned for later.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How long the oldest of them has waited.
    pub fn oldest(&self) -> Duration {
        let oldest = self.lock().waiting.values().map(|(_, since)| *since).min();
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash + Tenant> State<K> {
    fn push(&mut self, key: K, lane: Lane) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = (*again).max(Some(lane));
            return;
        }
        let known = self.waiting.get(&key).copied();
        if known.is_some_and(|(known, _)| known >= lane) {
            return;
        }
        let since = known.map_or_else(Instant::now, |(_, since)| since);
        self.waiting.insert(key.clone(), (lane, since));
        match lane {
            Lane::Fresh => self.fresh.push(key),
            Lane::Backlog => self.backlog.push(key),
        }
    }

    fn cancel(&mut self, key: &K) {
        if let Some(at) = self.timer_of.remove(key) {
            self.timers.remove(&at);
            self.retries.remove(&at);
        }
        self.due.cancel(key);
    }

    /// The next key, or when to look again.
    fn take(&mut self, now: Instant) -> (Option<(K, Instant)>, Option<Instant>) {
        let next_timer = self.ripen(now);
        let backlog_first = self.taken % BACKLOG_EVERY == BACKLOG_EVERY - 1;
        let lanes = if backlog_first { [Lane::Backlog, Lane::Fresh] } else { [Lane::Fresh, Lane::Backlog] };
        for lane in lanes {
            if let Some(key) = self.take_from(lane) {
                self.taken = self.taken.wrapping_add(1);
                let since = self.waiting.remove(&key).map_or(now, |(_, since)| since);
                *self.running_of.entry(key.tenant().into()).or_default() += 1;
                self.running.insert(key.clone(), None);
                return (Some((key, since)), None);
            }
        }
        (None, next_timer)
    }

    fn take_from(&mut self, lane: Lane) -> Option<K> {
        let line = match lane {
            Lane::Fresh => &mut self.fresh,
            Lane::Backlog => &mut self.backlog,
        };
        let (waiting, running_of, most) = (&self.waiting, &self.running_of, self.most_of_one);
        line.take(
            |tenant| running_of.get(tenant).is_none_or(|count| *count < most),
            |key| waiting.get(key).is_some_and(|(known, _)| *known == lane),
        )
    }

    /// Moves what was planned for now into the backlog, and says when to look again.
    fn ripen(&mut self, now: Instant) -> Option<Instant> {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            self.timer_of.remove(&key);
            self.push(key, Lane::Backlog);
        }
        while let Some(entry) = self.retries.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            self.timer_of.remove(&key);
            self.due.push(key);
        }
        let mut next_turn = None;
        while !self.due.is_empty() {
            if !self.quota.take(now) {
                next_turn = Some(now + self.quota.until_next());
                break;
            }
            if let Some(key) = self.due.pop() {
                self.push(key, Lane::Backlog);
            }
        }
        let first = |timers: &BTreeMap<At, K>| timers.first_key_value().map(|((at, _), _)| *at);
        [first(&self.timers), first(&self.retries), next_turn].into_iter().flatten().min()
    }
}

/// Keys that wait for the quota, one of each tenant in turn.
#[derive(Debug)]
struct Due<K> {
    line: Line<K>,
    /// Those in the line, and whether they are still wanted there.
    keys: HashMap<K, bool>,
}

impl<K: Clone + Eq + Hash + Tenant> Due<K> {
    fn new() -> Self {
        Self { line: Line::new(), keys: HashMap::new() }
    }

    fn push(&mut self, key: K) {
        if self.keys.insert(key.clone(), true).is_none() {
            self.line.push(key);
        }
    }

    /// Its place stays, and is passed over.
    fn cancel(&mut self, key: &K) {
        if let Some(is_wanted) = self.keys.get_mut(key) {
            *is_wanted = false;
        }
    }

    fn contains(&self, key: &K) -> bool {
        self.keys.get(key).copied().unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn pop(&mut self) -> Option<K> {
        let keys = &mut self.keys;
        self.line.take(|_| true, |key| keys.remove(key).unwrap_or_default())
    }
}

/// Keys of many tenants, one of each in turn.
#[derive(Debug)]
pub struct Line<K> {
    turns: VecDeque<Arc<str>>,
    keys: HashMap<Arc<str>, VecDeque<K>>,
}

impl<K: Tenant> Line<K> {
    pub fn new() -> Self {
        Self { turns: VecDeque::new(), keys: HashMap::new() }
    }

    pub fn push(&mut self, key: K) {
        if let Some(keys) = self.keys.get_mut(key.tenant()) {
            return keys.push_back(key);
        }
        let tenant: Arc<str> = key.tenant().into();
        self.turns.push_back(Arc::clone(&tenant));
        self.keys.insert(tenant, [key].into());
    }

    /// The next key, of the next tenant.
    pub fn pop(&mut self) -> Option<K> {
        self.take(|_| true, |_| true)
    }

    /// The next key that is still wanted, of the next tenant that may have one more.
    fn take(&mut self, may: impl Fn(&str) -> bool, mut is_wanted: impl FnMut(&K) -> bool) -> Option<K> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            if !may(&tenant) {
                self.turns.push_back(tenant);
                continue;
            }
            let keys = self.keys.get_mut(&tenant)?;
            let found = std::iter::from_fn(|| keys.pop_front()).find(&mut is_wanted);
            match keys.is_empty() {
                true => drop(self.keys.remove(&tenant)),
                false => self.turns.push_back(tenant),
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// So many in a second.
#[derive(Debug)]
struct Quota {
    left: f64,
    at: Option<Instant>,
}

impl Quota {
    fn take(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.left = (self.left + passed * QUOTA).min(BURST);
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }

    fn until_next(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.left) / QUOTA).max(0.001))
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::engine::metrics::Metrics;

    fn queue(most_of_one: usize) -> Queue<&'static str> {
        Queue::new(most_of_one, Metrics::new().queue_seconds.clone())
    }

    impl Tenant for &'static str {
        fn tenant(&self) -> &str {
            self.split('/').next().unwrap_or_default()
        }
    }

    fn take(queue: &Queue<&'static str>) -> Option<&'static str> {
        Some(queue.lock().take(Instant::now()).0?.0)
    }

    #[test]
    fn what_is_new_comes_first_and_each_key_once() {
        let queue = queue(100);
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
        let queue = queue(100);
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
        let queue = queue(100);
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
        queue.push("d", Lane::Fresh);
        queue.push_after("e", Duration::ZERO);
        queue.clear();
        assert!(take(&queue).is_none() && queue.len() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn how_long_keys_wait_counts_from_when_they_came() {
        let waits = Metrics::new().queue_seconds.clone();
        let queue = Queue::new(100, waits.clone());
        assert_eq!(queue.oldest(), Duration::ZERO);
        queue.push("a", Lane::Backlog);
        tokio::time::advance(Duration::from_secs(3)).await;
        queue.push("b", Lane::Fresh);
        // One that becomes urgent has still waited since it came.
        queue.push("a", Lane::Fresh);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(queue.oldest(), Duration::from_secs(5));
        queue.next().await;
        queue.next().await;
        assert_eq!(queue.oldest(), Duration::ZERO);
        let mut text = String::new();
        let mut registry = Registry::default();
        registry.register("waits", "x", waits);
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("waits_sum 7.0") && text.contains("waits_count 2"), "{text}");
    }

    #[test]
    fn tenants_take_turns_and_none_has_all_workers() {
        let queue = queue(2);
        for key in ["big/1", "big/2", "big/3", "big/4", "small/1", "small/2", "tiny/1"] {
            queue.push(key, Lane::Fresh);
        }
        let all: Vec<_> = std::iter::from_fn(|| take(&queue)).collect();
        assert_eq!(all, ["big/1", "small/1", "tiny/1", "big/2", "small/2"]);
        queue.done(&"big/2");
        assert_eq!([take(&queue), take(&queue)], [Some("big/3"), None]);
    }

    #[test]
    fn what_was_there_before_is_not_forgotten_for_what_is_new() {
        let queue = queue(100);
        queue.push("old/1", Lane::Backlog);
        let new = ["a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8", "a/9"];
        new.iter().for_each(|key| queue.push(*key, Lane::Fresh));
        let first: Vec<_> = (0..8).filter_map(|_| take(&queue)).collect();
        assert!(first.contains(&"old/1") && first[0] == "a/1", "{first:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_went_wrong_is_tried_again_within_a_quota() {
        const KEYS: usize = 500;
        let names: Vec<&'static str> =
            (0..KEYS).map(|index| &*Box::leak(format!("t{}/{index}", index % 7).into_boxed_str())).collect();
        let queue = queue(KEYS);
        let start = Instant::now();
        names.iter().for_each(|name| queue.retry_after(*name, Duration::ZERO));
        queue.push_after("free/1", Duration::ZERO);
        let mut times = Vec::new();
        for _ in 0..=KEYS {
            let key = queue.next().await;
            times.push((key, start.elapsed().as_secs_f64()));
        }
        let free = times.iter().find(|(key, _)| *key == "free/1").unwrap();
        assert!(free.1 < 0.1, "{free:?}");
        let last = times.last().unwrap().1;
        let least = (KEYS as f64 - BURST) / QUOTA;
        assert!((least - 0.5..least + 1.0).contains(&last), "{last}");
    }

    /// However much of one tenant is tried again: what another has to try again does not wait behind it.
    #[tokio::test(start_paused = true)]
    async fn tenants_take_turns_in_the_quota() {
        const KEYS: usize = 3000;
        let name = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let queue = queue(KEYS);
        (0..KEYS).for_each(|index| queue.retry_after(name(format!("big/{index}")), Duration::ZERO));
        queue.retry_after("small/1", Duration::from_secs(10));
        queue.retry_after("small/2", Duration::from_secs(10));
        // One that comes sooner is not tried again for what was planned, and one that fails once more comes once.
        queue.retry_after("big/gone", Duration::ZERO);
        let start = Instant::now();
        let (mut of_small, mut count) = (Vec::new(), 0);
        loop {
            let Ok(key) = tokio::time::timeout(Duration::from_secs(5), queue.next()).await else { break };
            queue.done(&key);
            count += 1;
            if count == 1 {
                queue.push("big/gone", Lane::Fresh);
                queue.push("big/2999", Lane::Fresh);
                queue.retry_after("big/2999", Duration::ZERO);
            }
            if key.starts_with("small") {
                of_small.push(start.elapsed().as_secs_f64());
            }
        }
        assert!(of_small.len() == 2 && of_small.iter().all(|at| (10.0..10.5).contains(at)), "{of_small:?}");
        assert_eq!(count, KEYS + 3);
    }
}
