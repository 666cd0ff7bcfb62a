//! What is remembered of each object while this replica leads: when nothing was left to do for it, and how often it has
//! failed. Knows no cluster; the time is handed in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::object::Key;
#[cfg(doc)]
use crate::managed::slim;
use crate::managed::status::News;

/// How long a status may lack the newest version of the Secret, where nothing else has changed: whoever annotates Secrets
/// all the time costs one write in this time.
pub const STATUS_AFTER: Duration = Duration::from_secs(30);

/// Writes that are longer ago do not count any more.
const LATELY: Duration = Duration::from_secs(60);

/// When nothing was left to do: as long as nothing of this has changed, nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// [Which](slim::seen) object it was, and what it asked for.
    pub seen: u64,
    pub secret_version: Box<str>,
    /// Of the keys that we hold: how often some have gone.
    pub losses: u32,
}

/// What is known of one object.
#[derive(Debug, Clone, Default)]
struct Known {
    settled: Option<Settled>,
    /// Whether that is by its status alone.
    is_believed: bool,
    /// How often in a row it has failed.
    attempts: u32,
    /// How often it was written lately, and when last: most were not.
    writes: Option<Box<(u32, Instant)>>,
    /// What was last said of it, by the name of its reason.
    reason: Option<&'static str>,
    /// Since when its status lacks the newest version of the Secret.
    owed: Option<Instant>,
    /// Whether the log says that its status cannot be written.
    is_unsaid: bool,
}

/// What is known of all of them.
#[derive(Debug)]
pub struct Memory {
    known: Mutex<HashMap<Key, Known>>,
    /// What people are still to be told of writes: of few objects at a time.
    untold: Mutex<HashMap<Key, News>>,
    /// What is said of those that are right.
    right: &'static str,
}

impl Memory {
    /// With the name of the reason of those that are right.
    pub fn new(right: &'static str) -> Self {
        Self { known: Mutex::default(), untold: Mutex::default(), right }
    }

    /// Whether nothing can have changed since everything was right. What nothing is known of yet is believed to be right
    /// where `by_status` says so; after a word of our own the status that a watch tells of may be an older one.
    pub fn is_settled(&self, key: &Key, state: &Settled, by_status: bool, now: Instant) -> bool {
        let mut all = self.lock();
        if let Some(known) = all.get(key).filter(|known| known.is_known()) {
            return !known.is_due(now) && known.settled.as_ref() == Some(state);
        }
        if by_status {
            let known = all.entry(key.clone()).or_default();
            (known.settled, known.is_believed) = (Some(state.clone()), true);
            known.reason = Some(self.right);
        }
        by_status
    }

    /// Its status no longer says that it is right. Returns whether that was all by which it was believed to be.
    pub fn doubt(&self, key: &Key) -> bool {
        let mut all = self.lock();
        let Some(known) = all.get_mut(key).filter(|known| known.is_believed) else { return false };
        *known = Known { settled: None, is_believed: false, reason: None, ..known.clone() };
        true
    }

    /// Nothing is left to do.
    pub fn settle(&self, key: &Key, state: Option<Settled>) {
        let mut all = self.lock();
        let known = all.entry(key.clone()).or_default();
        (known.settled, known.is_believed) = (state, false);
        known.reason = Some(self.right);
        known.attempts = 0;
    }

    /// Its status lacks the newest version of its Secret. Returns how long it may, and `None` when it is time to write it.
    pub fn owe_status(&self, key: &Key, now: Instant) -> Option<Duration> {
        let mut all = self.lock();
        let known = all.entry(key.clone()).or_default();
        if known.is_due(now) {
            return None;
        }
        let since = *known.owed.get_or_insert(now);
        Some(STATUS_AFTER.saturating_sub(now.saturating_duration_since(since)))
    }

    /// Everything is said of it.
    pub fn owe_nothing(&self, key: &Key) {
        if let Some(known) = self.lock().get_mut(key) {
            (known.owed, known.is_unsaid) = (None, false);
        }
        self.lock_untold().remove(key);
    }

    /// Its status cannot be written. Returns whether that is new.
    pub fn cannot_say(&self, key: &Key) -> bool {
        !std::mem::replace(&mut self.lock().entry(key.clone()).or_default().is_unsaid, true)
    }

    /// It has failed once more, for this reason if there is a verdict. Returns how often in a row.
    pub fn fail(&self, key: &Key, reason: Option<&'static str>) -> u32 {
        let mut all = self.lock();
        let known = all.entry(key.clone()).or_default();
        (known.settled, known.is_believed) = (None, false);
        known.reason = reason.or(known.reason);
        known.attempts = known.attempts.saturating_add(1);
        known.attempts
    }

    /// Its Secret was written, of which people are to be told when its status is.
    pub fn wrote(&self, key: &Key, news: Option<&News>, now: Instant) {
        let mut all = self.lock();
        let known = all.entry(key.clone()).or_default();
        known.writes = Some(Box::new((known.lately(now) + 1, now)));
        drop(all);
        let news = news.map(|news| (key.clone(), news.clone()));
        self.lock_untold().extend(news);
    }

    /// What nobody was told of a write, for the status could not be written then.
    pub fn untold(&self, key: &Key) -> Option<News> {
        self.lock_untold().get(key).cloned()
    }

    /// How often its Secret was written lately.
    pub fn writes(&self, key: &Key, now: Instant) -> u32 {
        self.lock().get(key).map_or(0, |known| known.lately(now))
    }

    /// As if the time had passed in which its status may lack something.
    #[cfg(test)]
    pub fn make_due(&self, key: &Key) {
        if let Some(owed) = self.lock().get_mut(key).and_then(|known| known.owed.as_mut()) {
            *owed -= STATUS_AFTER;
        }
    }

    pub fn attempts(&self, key: &Key) -> u32 {
        self.lock().get(key).map_or(0, |known| known.attempts)
    }

    /// Whether this is the version of the Secret as we left it.
    pub fn knows(&self, key: &Key, version: &str) -> bool {
        let all = self.lock();
        let settled = all.get(key).and_then(|known| known.settled.as_ref());
        settled.is_some_and(|settled| &*settled.secret_version == version)
    }

    /// Somebody has changed something: it starts with the shortest wait again.
    pub fn reset(&self, key: &Key) {
        if let Some(known) = self.lock().get_mut(key) {
            known.attempts = 0;
        }
    }

    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
        self.lock_untold().remove(key);
    }

    pub fn forget_all(&self) {
        self.lock().clear();
        self.lock_untold().clear();
    }

    /// How many objects there are of each reason.
    pub fn count(&self) -> HashMap<&'static str, i64> {
        let mut counts = HashMap::new();
        for reason in self.lock().values().filter_map(|known| known.reason) {
            *counts.entry(reason).or_default() += 1;
        }
        counts
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_untold(&self) -> MutexGuard<'_, HashMap<Key, News>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether anything is known that does not come from its status.
    fn is_known(&self) -> bool {
        self.settled.is_some() || self.reason.is_some() || self.attempts > 0 || self.owed.is_some()
    }

    fn is_due(&self, now: Instant) -> bool {
        self.owed.is_some_and(|since| now.saturating_duration_since(since) >= STATUS_AFTER)
    }

    fn lately(&self, now: Instant) -> u32 {
        let recent = self.writes.as_deref().filter(|(_, last)| now.saturating_duration_since(*last) < LATELY);
        recent.map_or(0, |(count, _)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed::slim::{Revision, seen};

    fn of(identity: u64, generation: i64, annotations: u64) -> u64 {
        seen(identity, Revision { generation: Some(generation), annotations })
    }

    fn at(generation: i64, version: &str, losses: u32) -> Settled {
        Settled { seen: of(1, generation, 0), secret_version: version.into(), losses }
    }

    #[test]
    fn what_is_settled_stays_so_until_something_changes() {
        let (memory, key) = (Memory::new("Right"), Key::new("shop", "db"));
        let now = Instant::now();
        assert!(!memory.is_settled(&key, &at(1, "7", 0), false, now));
        // What the status says counts only as long as nothing is known.
        assert!(memory.is_settled(&key, &at(1, "7", 0), true, now));
        assert!(memory.is_settled(&key, &at(1, "7", 0), false, now) && memory.knows(&key, "7"));
        let others = [of(2, 1, 0), of(1, 1, 5), of(1, 0, 1)].map(|seen| Settled { seen, ..at(1, "7", 0) });
        for other in [at(2, "7", 0), at(1, "8", 0), at(1, "7", 1)].into_iter().chain(others) {
            assert!(!memory.is_settled(&key, &other, true, now), "{other:?}");
        }
        assert_eq!(memory.count(), [("Right", 1)].into());
        memory.fail(&key, Some("Immutable"));
        assert!(!memory.knows(&key, "7") && memory.count() == [("Immutable", 1)].into());
        memory.forget(&key);
        assert!(memory.count().is_empty());
    }

    #[test]
    fn what_has_failed_is_not_believed_to_be_right_by_an_older_status() {
        let (memory, key, now) = (Memory::new("Right"), Key::new("shop", "db"), Instant::now());
        memory.settle(&key, Some(at(1, "7", 0)));
        // The watch has not told of the status that says so.
        memory.fail(&key, Some("VaultUnavailable"));
        assert!(!memory.is_settled(&key, &at(1, "7", 0), true, now) && !memory.doubt(&key));
        memory.reset(&key);
        assert!(!memory.is_settled(&key, &at(1, "7", 0), true, now));
        memory.settle(&key, Some(at(1, "7", 0)));
        assert!(memory.is_settled(&key, &at(1, "7", 0), true, now) && !memory.doubt(&key));
        // Who begins to lead may have been told of an older status as well.
        memory.forget_all();
        assert!(memory.is_settled(&key, &at(1, "7", 0), true, now) && memory.doubt(&key));
        assert!(!memory.is_settled(&key, &at(1, "7", 0), false, now) && !memory.doubt(&key));
    }

    #[test]
    fn a_status_that_lacks_a_version_is_written_after_a_while() {
        let (memory, key, now) = (Memory::new("Right"), Key::new("shop", "db"), Instant::now());
        memory.settle(&key, Some(at(1, "7", 0)));
        assert_eq!(memory.owe_status(&key, now), Some(STATUS_AFTER));
        assert_eq!(memory.owe_status(&key, now + STATUS_AFTER / 3), Some(STATUS_AFTER * 2 / 3));
        let is_settled = |at_time| memory.is_settled(&key, &at(1, "7", 0), false, at_time);
        assert!(is_settled(now + STATUS_AFTER / 2) && !is_settled(now + STATUS_AFTER));
        assert_eq!(memory.owe_status(&key, now + STATUS_AFTER), None);
        memory.owe_nothing(&key);
        assert!(is_settled(now + STATUS_AFTER));
    }

    /// A settled object takes little: of a hundred thousand, all that is kept fits into a small container.
    #[test]
    #[allow(clippy::disallowed_methods)]
    fn what_is_kept_of_a_hundred_thousand_objects_is_small() {
        use crate::engine::object::{Bare, Meta};
        use crate::engine::store::Store;
        use crate::engine::watch::{Event, Object};
        use crate::managed::slim::Slim;
        use crate::source::sealed::resource::{self, Found};

        const COUNT: usize = 100_000;
        const ALONE: &str = "SEALANT_TEST_ALONE";
        // In a process of its own: other tests take and give back memory meanwhile.
        if std::env::var_os(ALONE).is_none() {
            let name = std::thread::current().name().unwrap().to_owned();
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            assert!(alone.args([&*name, "--exact"]).env(ALONE, "1").status().unwrap().success());
            return;
        }
        let pages = || {
            let statm = std::io::read_to_string(std::fs::File::open("/proc/self/statm").unwrap()).unwrap();
            statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
        };
        let before = pages();
        let (sealed, secrets, memory) =
            (Store::<Slim>::new(1), Store::<Box<str>>::new(1), Memory::new("Right"));
        let found: Found = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "x", "namespace": "shop-of-somebody", "uid": "u", "generation": 3},
            "spec": {"encryptedData": {"a": "x".repeat(1800)}},
            "status": {"observedGeneration": 3, "secretResourceVersion": "123456789", "conditions": [
                {"type": "Ready", "status": "True", "reason": "Unsealed", "message": "the Secret is right",
                 "lastTransitionTime": "2026-11-28T00:00:00Z"}]},
        }))
        .unwrap();
        let about = resource::about(&found, false);
        let slim = Slim::of(found.meta(), resource::PREFIX, &found.status, about);
        for index in 0..COUNT {
            let meta = Meta {
                name: format!("database-of-{index}"),
                namespace: format!("shop-of-somebody-{}", index % 100),
                resource_version: format!("{}", 123_000_000 + index),
                ..Meta::default()
            };
            let object = || Bare { metadata: meta.clone() };
            sealed.apply(0, Event::Listed(object()), |_| slim.clone());
            let version = |object: &Bare| object.metadata.resource_version.as_str().into();
            secrets.apply(0, Event::Listed(object()), version);
            memory.settle(&meta.key(), Some(at(3, "123456789", 0)));
        }
        let each = (pages() - before) * 4096 / COUNT;
        eprintln!("{each} bytes of each");
        // Some 700, in whole pages.
        assert!(each < 750, "{each} bytes of each");
        assert!(!sealed.is_empty() && secrets.keys().len() == COUNT && memory.count().len() == 1);
    }

    #[test]
    fn failures_in_a_row_and_recent_writes_are_counted() {
        let (memory, key, now) = (Memory::new("Right"), Key::new("shop", "db"), Instant::now());
        assert_eq!([memory.fail(&key, None), memory.fail(&key, None)], [1, 2]);
        memory.reset(&key);
        assert_eq!(memory.attempts(&key), 0);
        memory.wrote(&key, None, now);
        let news = News { warning: false, reason: "Right", message: "x".to_owned() };
        memory.wrote(&key, Some(&news), now + LATELY / 2);
        assert_eq!(memory.untold(&key), Some(news));
        memory.owe_nothing(&key);
        assert_eq!(memory.untold(&key), None);
        assert_eq!(memory.writes(&key, now + LATELY), 2);
        assert_eq!(memory.writes(&key, now + LATELY * 2), 0);
    }
}
