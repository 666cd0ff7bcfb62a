//! One object that asks for a Secret: reads what there is, gets the values, does what was decided, and says so.
//!
//! ```text
//! Watch ──> Store (slim) ──> Queue ──> Managed::reconcile
//!                                        settled? ............ nothing is asked
//!                                        read it, weighed by its size
//!                                        Source::desired ..... or a verdict without the values
//!                                        the Secret, and whose it is (decide::claimed)
//!                                        Source::values ...... later? Then it goes, and comes back with the answer
//!                                        decide::write ──> is it still current? ──> write::secret
//!                                        conclude: status, event, log, and when to look again
//! ```
//!
//! What kind of object it is, only its [`Source`] knows. Here is the way of one object through all of it. Whether there is
//! anything to do is in `settled`, what is done for it in `apply`, how it is said in `report`, and when it is looked at again
//! in `requeue`.

mod apply;
#[cfg(test)]
mod faults;
mod report;
mod requeue;
mod settled;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::engine::api::{ApiServer, Failure};
use crate::engine::bulk::Bulk;
use crate::engine::events::Events;
use crate::engine::lease::Leadership;
use crate::engine::metrics::Metrics;
use crate::engine::object::{Key, Ref};
use crate::engine::queue::{Lane, Queue};
use crate::engine::retry::Breaker;
use crate::engine::store::{Listed, Store};
use crate::engine::watch::{Event, Object, Watch, What};
use crate::managed::decide::{Marks, Verdict};
use crate::managed::memory::Memory;
use crate::managed::reason;
use crate::managed::rooms::Rooms;
use crate::managed::slim::{About, Keys, Slim};
use crate::managed::write::Trouble;
use crate::managed::{Next, Place, Reconcile, Tell};
use crate::source::{Objects, Source};
use apply::Stop;

/// How often the API server may fail in a row before that is said: mostly it has passed by then.
const FAILURES_UNSAID: u32 = 2;

/// And how often somebody else may be faster: mostly the next try goes well.
const CONFLICTS_UNSAID: u32 = 6;

/// How long the API server may let us wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one object may keep a worker, with all that is said of it.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(90);

/// How many bytes of large objects are worked on at once, and from how many on one is large. Each takes several
/// times its size: as it was read, the Secret that there is, its values, and the Secret that is written.
const LARGE_AT_ONCE: u32 = 8 << 20;
const LARGE: u32 = 32 << 10;

/// What it needs of others.
#[derive(Clone)]
pub struct Context {
    pub api: ApiServer,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub leadership: Leadership,
    /// What is to be looked at.
    pub queue: Arc<Queue<Ref>>,
    /// The versions of the Secrets that are ours by their label, whatever asks for them.
    pub secrets: Arc<Store<Box<str>>>,
    /// Open while the API server wants to be left alone.
    pub breaker: Arc<Breaker>,
    /// What Secrets are marked with that are not asked for: keys.
    pub marks: Arc<Marks>,
    /// Which kinds have room in Secrets of others.
    pub rooms: Arc<Rooms>,
}

/// Makes Secrets out of the objects of a source.
pub struct Managed<S> {
    source: S,
    context: Context,
    objects: Store<Slim>,
    memory: Memory,
    large: Bulk,
    /// The keys that the source has, if it takes any.
    keys: Option<watch::Receiver<Keys>>,
    /// Of this controller.
    writer: u32,
    /// How long the API server may let us wait.
    patience: Duration,
}

impl<S: Source> Managed<S> {
    pub fn new(source: S, context: Context, watches: usize) -> Self {
        Self {
            keys: source.keys(),
            source,
            large: Bulk::new(LARGE_AT_ONCE, {
                let queue = Arc::clone(&context.queue);
                move |key| queue.push(Ref { kind: S::NAME, key }, Lane::Fresh)
            }),
            context,
            objects: Store::new(watches),
            memory: Memory::new(S::WORDS.right.name),
            writer: S::WRITER,
            patience: PATIENCE,
        }
    }

    /// What it shares with others.
    #[cfg(test)]
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Its source.
    #[cfg(test)]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// As if a watch had told of an object.
    #[cfg(test)]
    pub fn see(&self, found: S::Found) {
        self.objects.apply(0, Event::Changed(found), |found| self.slim(found));
    }

    /// Looks at one object, and waits until what is told of it is written.
    #[cfg(test)]
    pub async fn look(&self, key: &Key) -> Next {
        let next = self.reconcile(key).await;
        self.context.events.written().await;
        next
    }

    /// What is kept of an object. One that its source fails on is looked at, which says so.
    fn slim(&self, found: &S::Found) -> Slim {
        let about = catch_unwind(AssertUnwindSafe(|| {
            self.source.seen(found);
            self.source.about(found)
        }));
        let about = about.unwrap_or_else(|_| {
            self.panicked(&found.meta().key());
            About { is_never_settled: true, ..About::default() }
        });
        Slim::of(found.meta(), S::PREFIX, self.source.status(found), about)
    }

    fn panicked(&self, key: &Key) {
        self.context.metrics.panics.inc();
        tracing::error!(kind = S::NAME, object = %key, "a bug in the controller: it panicked");
    }

    /// Looks at one object.
    async fn reconcile(&self, key: &Key) -> Next {
        match tokio::time::timeout(PATIENCE_FOR_ALL, self.look_at(key)).await {
            Ok(next) => next,
            Err(_) => {
                tracing::warn!(kind = S::NAME, object = %key, "it took longer than {PATIENCE_FOR_ALL:?} and is tried again");
                self.retry_failed(key)
            }
        }
    }

    async fn look_at(&self, key: &Key) -> Next {
        let Some(slim) = self.to_do(key) else {
            self.large.leave(key);
            return Next::Wait;
        };
        // Large ones wait for each other, without a worker, and small ones for nobody.
        let seat = (slim.weight > LARGE).then(|| self.large.enter(key, slim.weight));
        if matches!(seat, Some(None)) {
            return self.wait_for_room();
        }
        let losses = self.held().losses;
        let read = Instant::now();
        let found = match tokio::time::timeout(self.patience, self.read(key)).await {
            Ok(Ok(Some(found))) => found,
            // The watch brings its end; an API server that has just been started may not know the kind yet.
            Ok(Ok(None)) => return self.retry_failed(key),
            Ok(Err(Trouble::Outage(failure))) => return self.retry_outage(key, &failure),
            Err(_) => return self.retry_outage(key, &Failure::Silent),
            Ok(Err(_)) => return self.retry_failed(key),
        };
        if found.meta().is_being_deleted {
            return Next::Wait;
        }
        let work = AssertUnwindSafe(self.work(key, &found, read)).catch_unwind();
        let worked = tokio::time::timeout(self.patience, work).await.map(|worked| {
            worked.unwrap_or_else(|_| {
                self.panicked(key);
                Ok(Verdict::new(reason::REFUSED, reason::PANICKED).into())
            })
        });
        let outcome = match worked {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Stop::Later(later))) => return self.look_again_after(key, later),
            Ok(Err(Stop::Full)) => return self.retry_failed(key),
            Ok(Err(Stop::Trouble(Trouble::Conflict))) if self.memory.attempts(key) < CONFLICTS_UNSAID => {
                return self.retry_conflict(key);
            }
            Ok(Err(Stop::Trouble(Trouble::Conflict))) => {
                self.context.metrics.conflicts.inc();
                Verdict::new(reason::CONFLICT, S::WORDS.is_contested).into()
            }
            Ok(Err(Stop::Trouble(Trouble::Refused(verdict)))) => verdict.into(),
            Ok(Err(Stop::Trouble(Trouble::Outage(failure)))) => return self.retry_outage(key, &failure),
            Err(_) => return self.retry_outage(key, &Failure::Silent),
        };
        if self.context.breaker.answered(read.into()) {
            tracing::info!("the API server answers again");
        }
        let has_failed = outcome.verdict.reason == reason::API_SERVER_UNAVAILABLE;
        if has_failed && self.memory.attempts(key) < FAILURES_UNSAID {
            return self.retry_failed(key);
        }
        self.conclude(key, found.meta(), self.source.status(&found), outcome, losses).await
    }

    /// What is known of an object for which there is something to do.
    fn to_do(&self, key: &Key) -> Option<Slim> {
        let Some(slim) = self.objects.get(key) else {
            self.memory.forget(key);
            self.context.rooms.leave(key, S::NAME);
            self.source.forget(key);
            return None;
        };
        // When its keys are known, it is looked at.
        let has_keys = self.keys_listed() == Listed::Complete;
        (has_keys && !slim.is_being_deleted && !self.is_settled(key, &slim)).then_some(slim)
    }

    /// How far the keys are known that its objects are opened with, if they take any.
    fn keys_listed(&self) -> Listed {
        match self.keys.as_ref().map(|keys| keys.borrow()).as_deref() {
            Some(Keys::Unknown) => Listed::NotYet,
            Some(Keys::Unavailable) => Listed::Unavailable,
            Some(Keys::Held(_)) | None => Listed::Complete,
        }
    }
}

impl<S: Source> Reconcile for Managed<S> {
    fn kind(&self) -> &'static str {
        S::NAME
    }

    fn watch(self: Arc<Self>, place: Place, tell: Tell) -> BoxFuture<'static, ()> {
        let Place { index, namespace, selector } = place;
        let path = S::path(&namespace);
        let what = What { kind: S::NAME, path, namespace, labels: selector, bare: false };
        let (api, metrics) = (self.context.api.clone(), Arc::clone(&self.context.metrics));
        let take = move |event: Event<S::Found>| {
            for change in self.objects.apply(index, event, |found| self.slim(found)) {
                if change.new.is_none() {
                    self.source.forget(&change.key);
                }
                if let Some(lane) = self.saw(&change) {
                    tell(change.key, lane);
                }
            }
        };
        Box::pin(Watch::new(api, what, metrics, take).run())
    }

    fn reconcile<'r>(&'r self, key: &'r Key) -> BoxFuture<'r, Next> {
        Box::pin(Self::reconcile(self, key))
    }

    fn saw_secret(&self, key: &Key, version: Option<&str>) -> Option<Duration> {
        let is_as_we_left_it = version.is_some_and(|version| self.memory.knows(key, version));
        if is_as_we_left_it || self.objects.get(key).is_none() {
            return None;
        }
        Some(self.wait_before_repair(key).unwrap_or_default())
    }

    fn is_labelled(&self) -> bool {
        S::LABELLED
    }

    fn listed(&self) -> Listed {
        match (self.objects.listed(), self.keys_listed()) {
            (Listed::NotYet, _) | (_, Listed::NotYet) => Listed::NotYet,
            (Listed::Unavailable, _) | (_, Listed::Unavailable) => Listed::Unavailable,
            (Listed::Complete, Listed::Complete) => Listed::Complete,
        }
    }

    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.source.run().await })
    }

    fn is_alive(&self) -> bool {
        self.source.is_alive()
    }

    fn lead(&self) -> BoxFuture<'_, anyhow::Result<Option<Duration>>> {
        let objects = Objects { is_empty: self.objects.is_empty(), is_partial: self.objects.is_partial() };
        Box::pin(self.source.lead(objects))
    }

    fn objects(&self) -> Vec<Key> {
        self.objects.keys()
    }

    fn is_outdated(&self, key: &Key) -> bool {
        self.objects.get(key).is_some_and(|slim| self.is_of_another_writer(&slim))
    }

    fn keys(&self) -> Option<watch::Receiver<Keys>> {
        self.keys.clone()
    }

    fn forget_all(&self) {
        self.memory.forget_all();
        self.large.clear();
        self.context.rooms.leave_all(S::NAME);
    }

    fn count(&self, leads: bool) {
        self.count_by_reason(leads);
    }
}
