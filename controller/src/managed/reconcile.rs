//! One object that asks for a Secret: reads what there is, gets the values, does what was decided, and says so.
//!
//! ```text
//! Watch ──> Store (slim) ──> Queue ──> Managed::reconcile
//!                                        settled? ............ nothing is asked
//!                                        read it, weighed by its size
//!                                        Source::desired ..... or a verdict without the values
//!                                        the Secret, and whose it is (decide::about_current)
//!                                        Source::values ...... later? Then it goes, and comes back with the answer
//!                                        decide::write ──> is it still current? ──> write::secret
//!                                        conclude: status, event, log, and when to look again
//! ```
//!
//! What kind of object it is, only its [`Source`] knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use kube::api::GetParams;
use kube::core::Request;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::engine::api::{ApiServer, Failure};
use crate::engine::events::{Event, Events};
use crate::engine::lease::Leadership;
use crate::engine::metrics::{ByReason, ByVerb, Metrics, OfKind};
use crate::engine::object::{Bare, Key, Meta, Ref};
use crate::engine::queue::{Lane, Queue};
use crate::engine::retry::{Breaker, wait};
use crate::engine::store::{Change, Store};
use crate::engine::watch::{Event as Seen, Object, Watch, What};
use crate::managed::decide::{self, Desired, Verdict, Write};
use crate::managed::memory::{Memory, Settled};
use crate::managed::reason::{self, Again, Reason, Standing};
use crate::managed::secret::{self, Items, Secret};
use crate::managed::slim::{self, Held, Slim};
use crate::managed::status::{self, Status};
use crate::managed::write::{self, Trouble};
use crate::managed::{Next, Place, Reconcile, Tell};
use crate::source::{NoValues, Refused, Source};

/// The longest wait before something is tried again that may pass by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The longest wait where a person has to do something first.
const LONGEST_STALLED: Duration = Duration::from_secs(600);

/// How many times in a row a Secret is repaired without a wait.
const REPAIRS_AT_ONCE: u32 = 10;

/// How often the API server may fail in a row before that is said: mostly it has passed by then.
const FAILURES_UNSAID: u32 = 2;

/// And how often somebody else may be faster: mostly the next try goes well.
const CONFLICTS_UNSAID: u32 = 6;

/// How long the API server may let us wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one object may keep a worker, with all that is said of it.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(90);

/// An object that was read longer ago is looked at once more before anything is written for it. Until then it is enough that
/// the watch has told of no newer one.
const FRESH: Duration = Duration::from_secs(1);

/// How many bytes of large objects are worked on at once, and from how many on one is large. Each takes several
/// times its size: as it was read, the Secret that there is, its values, and the Secret that is written.
const LARGE_AT_ONCE: u32 = 8 << 20;
const LARGE: u32 = 32 << 10;

/// How metrics call objects that nothing was said of yet.
const PENDING: &str = "Pending";

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
}

/// Makes Secrets out of the objects of a source.
pub struct Managed<S> {
    source: S,
    context: Context,
    objects: Store<Slim>,
    memory: Memory,
    room: Semaphore,
    /// The keys that the source has, if it takes any.
    keys: Option<watch::Receiver<Option<Held>>>,
    /// Of this controller.
    writer: u32,
    /// How long the API server may let us wait.
    patience: Duration,
}

/// What has come out.
struct Outcome {
    verdict: Verdict,
    written: Write,
    secret_version: Option<String>,
    /// What only the operator may know of it.
    details: String,
    /// Whether the next try may bring the values, though nothing has changed that is seen from here.
    may_pass: bool,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        let details = String::new();
        Self { verdict, written: Write::Nothing, secret_version: None, details, may_pass: false }
    }
}

impl From<Refused> for Outcome {
    fn from(Refused { verdict, details, may_pass }: Refused) -> Self {
        Self { details, may_pass, ..verdict.into() }
    }
}

/// Why nothing has come out.
enum Stop {
    Trouble(Trouble),
    /// The values come later, if this ends.
    Later(BoxFuture<'static, ()>),
    /// They may come after a while.
    Full,
}

impl<T: Into<Trouble>> From<T> for Stop {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

/// An object in work.
struct Job<'j, F> {
    found: &'j F,
    desired: Desired,
    read: Instant,
    /// Once they are known.
    values: Option<Items>,
}

impl<S: Source> Managed<S> {
    pub fn new(source: S, context: Context, watches: usize) -> Self {
        Self {
            keys: source.keys(),
            source,
            context,
            objects: Store::new(watches),
            memory: Memory::new(S::WORDS.right.name),
            room: Semaphore::new(LARGE_AT_ONCE as usize),
            writer: status::WRITER,
            patience: PATIENCE,
        }
    }

    /// Looks at one object.
    async fn reconcile(&self, key: &Key) -> Next {
        match tokio::time::timeout(PATIENCE_FOR_ALL, self.look_at(key)).await {
            Ok(next) => next,
            Err(_) => {
                tracing::warn!(kind = S::KIND, object = %key, "it took too long, and is tried again");
                self.retry_failed(key)
            }
        }
    }

    async fn look_at(&self, key: &Key) -> Next {
        let Some(slim) = self.objects.get(key) else {
            self.memory.forget(key);
            return Next::Wait;
        };
        if slim.is_being_deleted || self.is_settled(key, &slim) {
            return Next::Wait;
        }
        let _room = self.room_for(slim.weight).await;
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
        let outcome = match tokio::time::timeout(self.patience, self.work(key, &found, read)).await {
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
        if self.context.breaker.answered() {
            tracing::info!("the API server answers again");
        }
        let has_failed = outcome.verdict.reason == reason::API_SERVER_UNAVAILABLE;
        if has_failed && self.memory.attempts(key) < FAILURES_UNSAID {
            return self.retry_failed(key);
        }
        self.conclude(key, found.meta(), self.source.status(&found), outcome, losses).await
    }

    /// Large ones wait for each other, and small ones for nobody.
    async fn room_for(&self, weight: u32) -> Option<SemaphorePermit<'_>> {
        match weight > LARGE {
            true => self.room.acquire_many(weight.min(LARGE_AT_ONCE)).await.ok(),
            false => None,
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<S::Found>, Trouble> {
        let at = Request::new(self.source.path(key.namespace()));
        Ok(self.context.api.find(at.get(key.name(), &GetParams::default())).await?)
    }

    async fn work(&self, key: &Key, found: &S::Found, read: Instant) -> Result<Outcome, Stop> {
        let desired = match self.source.desired(found) {
            Ok(desired) => desired,
            Err(verdict) => return Ok(verdict.into()),
        };
        let mut job = Job { found, desired, read, values: None };
        // Nothing was ever said of a new one, and there is no Secret of ours: then there is mostly none at all.
        let is_new = self.source.status(found).is_empty() && self.memory.attempts(key) == 0;
        if is_new && self.context.secrets.get(key).is_none() {
            match self.make(&mut job, None).await {
                Err(Stop::Trouble(Trouble::Conflict)) => {}
                made => return made,
            }
        }
        let secrets = Request::new(secret::path(&job.desired.namespace));
        let current: Option<Secret> =
            self.context.api.find(secrets.get(&job.desired.name, &GetParams::default())).await?;
        self.make(&mut job, current).await
    }

    /// Brings the Secret to what it should be.
    async fn make(&self, job: &mut Job<'_, S::Found>, current: Option<Secret>) -> Result<Outcome, Stop> {
        if let Some(verdict) = decide::about_current(&job.desired, current.as_ref()) {
            return Ok(verdict.into());
        }
        let items = match job.values.take() {
            Some(items) => items,
            None => match self.source.values(job.found).await {
                Ok(items) => items,
                Err(NoValues::Refused(refused)) => return Ok(refused.into()),
                Err(NoValues::Later(later)) => return Err(Stop::Later(later)),
                Err(NoValues::Full) => return Err(Stop::Full),
            },
        };
        let items = &*job.values.insert(items);
        let desired = &job.desired;
        let write = match decide::write(current.as_ref(), desired, items) {
            Ok(write) => write,
            Err(verdict) => return Ok(verdict.into()),
        };
        if write != Write::Nothing {
            self.may_write(job.found.meta(), job.read).await?;
        }
        let written = write::secret(&self.context.api, &write, current.as_ref(), desired, items).await?;
        self.count_write(&write);
        let is_right = written.as_ref().is_none_or(|it| decide::is_right(it, desired, items));
        let verdict = match is_right {
            true => Verdict::new(S::WORDS.right, S::WORDS.in_sync),
            false => Verdict::new(reason::CONFLICT, reason::CHANGED_AT_ONCE),
        };
        let secret_version = written.or(current).map(|secret| secret.meta.resource_version);
        Ok(Outcome { written: write, secret_version, ..verdict.into() })
    }

    /// A write is bound to the Secret, and nothing else would keep one with an old view of the object from writing old
    /// values over new ones.
    async fn may_write(&self, meta: &Meta, read: Instant) -> Result<(), Trouble> {
        let told = self.objects.get(&meta.key());
        let is_newer =
            |told: &Slim| told.identity == slim::identity(meta) && told.generation > meta.generation;
        if told.as_ref().is_some_and(is_newer) {
            return Err(Trouble::Conflict);
        }
        if read.elapsed() > FRESH {
            let at = Request::new(self.source.path(&meta.namespace));
            let found: Bare =
                self.context.api.ask(at.get_metadata(&meta.name, &GetParams::default())).await?;
            if !is_same(meta, &found.metadata, S::ANNOTATIONS) {
                return Err(Trouble::Conflict);
            }
        }
        if self.context.leadership.is_leader() { Ok(()) } else { Err(Trouble::Conflict) }
    }

    /// Says what has come out, where it is not said yet.
    async fn conclude(
        &self,
        key: &Key,
        meta: &Meta,
        previous: &S::Status,
        outcome: Outcome,
        losses: u32,
    ) -> Next {
        let Outcome { verdict, written, secret_version, details, may_pass } = outcome;
        let generation = meta.generation;
        let new = previous.after(status::Outcome {
            verdict: &verdict,
            generation,
            secret_version: secret_version.as_deref(),
        });
        self.context
            .metrics
            .reconciles
            .get_or_create(&ByReason { kind: S::KIND, reason: verdict.reason.name })
            .inc();
        let settled = |version: String| Settled {
            identity: slim::identity(meta),
            generation: meta.generation,
            secret_version: version.into(),
            losses,
        };
        // Somebody has changed what is not ours: all is right, and the status may say so a little later.
        if new != *previous
            && written == Write::Nothing
            && verdict.reason.standing == Standing::Good
            && previous.is_but_for_version(&new)
            && let Some(wait) = self.memory.owe_status(key, Instant::now())
        {
            self.memory.settle(key, secret_version.map(settled));
            return Next::Soon(wait);
        }
        if new != *previous {
            if !self.context.leadership.is_leader() {
                return self.retry_conflict(key);
            }
            let path = self.source.path(&meta.namespace);
            let write = write::status(&self.context.api, path, meta, &new);
            let written = tokio::time::timeout(self.patience, write).await;
            match written.unwrap_or(Err(Trouble::Outage(Failure::Silent))) {
                Ok(()) => self.count_write_as("status"),
                Err(Trouble::Conflict) => return self.retry_conflict(key),
                Err(Trouble::Outage(failure)) => return self.retry_outage(key, &failure),
                Err(Trouble::Refused(why)) => {
                    tracing::warn!(kind = S::KIND, object = %key, reason = why.reason.name, "the status could not be written: {}", why.message);
                    return self.retry_failed(key);
                }
            }
        }
        self.memory.owe_nothing(key);
        if let Some(news) = status::news(previous, &verdict, generation, &written, S::WORDS) {
            if !details.is_empty() {
                let (namespace, name) = (key.namespace(), key.name());
                tracing::info!(namespace, name, "it could not be opened: {details}");
            }
            self.context.events.tell(Event {
                namespace: meta.namespace.clone(),
                about: self.source.claim(meta),
                warning: news.warning,
                reason: news.reason,
                action: S::ACTION,
                note: news.message,
            });
        }
        if written != Write::Nothing {
            self.memory.wrote(key, Instant::now());
        }
        if verdict.reason.standing != Standing::Good {
            return self.retry(key, verdict.reason, may_pass);
        }
        self.memory.settle(key, secret_version.map(settled));
        Next::Wait
    }

    /// Whether nothing can have changed since everything was right: then not even a question is asked.
    fn is_settled(&self, key: &Key, slim: &Slim) -> bool {
        let Some(version) = self.context.secrets.get(key).filter(|_| !slim.is_held) else { return false };
        let held = self.held();
        let by_status = slim.right_version.as_ref() == Some(&version)
            && slim.writer == self.writer
            && slim.may_be_opened(&held);
        let Slim { identity, generation, .. } = *slim;
        let state = Settled { identity, generation, secret_version: version, losses: held.losses };
        self.memory.is_settled(key, &state, by_status, Instant::now())
    }

    fn held(&self) -> Held {
        self.keys.as_ref().and_then(|keys| keys.borrow().clone()).unwrap_or_default()
    }

    fn is_of_another_writer(&self, slim: &Slim) -> bool {
        slim.right_version.is_some() && slim.writer != self.writer
    }

    /// How many there are of those.
    fn outdated(&self) -> i64 {
        i64::try_from(self.objects.count(|slim| self.is_of_another_writer(slim))).unwrap_or(i64::MAX)
    }

    /// How long to wait before a Secret is repaired: whoever fights with us over one is answered more and more slowly.
    fn wait_before_repair(&self, key: &Key) -> Option<Duration> {
        let lately = self.memory.writes(key, Instant::now());
        lately.checked_sub(REPAIRS_AT_ONCE).map(|more| wait(more + 1, LONGEST_WAIT))
    }

    /// How urgently an object is to be looked at that the watch tells of, if it is.
    fn saw(&self, change: &Change<Slim>) -> Option<Lane> {
        let is_new = match (&change.old, &change.new) {
            (Some(old), Some(new)) => new.differs_from(old),
            _ => true,
        };
        // Who begins to lead looks at everything.
        if !is_new || !self.context.leadership.leads() {
            return None;
        }
        self.memory.reset(&change.key);
        Some(if change.listed { Lane::Backlog } else { Lane::Fresh })
    }

    /// Gives the worker back until then: everything is read again afterwards, and nothing of it takes memory meanwhile.
    fn look_again_after(&self, key: &Key, later: BoxFuture<'static, ()>) -> Next {
        let (queue, object) = (Arc::clone(&self.context.queue), Ref { kind: S::KIND, key: key.clone() });
        tokio::spawn(async move {
            later.await;
            queue.push(object, Lane::Fresh);
        });
        Next::Wait
    }

    /// After a verdict.
    fn retry(&self, key: &Key, reason: Reason, may_pass: bool) -> Next {
        let attempts = self.memory.fail(key, Some(reason.name));
        let longest = match reason.standing {
            Standing::Stalled => LONGEST_STALLED,
            _ => LONGEST_WAIT,
        };
        match reason.again {
            Again::ByItself => Next::Retry(wait(attempts, longest)),
            Again::ByServers if may_pass => Next::Retry(wait(attempts, longest)),
            Again::ByServers | Again::OnChange => Next::Wait,
        }
    }

    /// After a conflict, which is nobody's fault.
    fn retry_conflict(&self, key: &Key) -> Next {
        self.context.metrics.conflicts.inc();
        Next::Soon(wait(self.memory.fail(key, None), LONGEST_WAIT) / 4)
    }

    /// The API server is busy or gone: that is a state of its own and not of the object, of which nothing is said.
    fn retry_outage(&self, key: &Key, failure: &Failure) -> Next {
        self.context.metrics.outages.inc();
        if self.context.breaker.failed(failure.retry_after()) {
            tracing::warn!("what is to be done waits: {failure}");
        }
        self.retry_failed(key)
    }

    /// What could not be done or said, whatever it was.
    fn retry_failed(&self, key: &Key) -> Next {
        Next::Soon(wait(self.memory.fail(key, None), LONGEST_WAIT))
    }

    fn count_write(&self, write: &Write) {
        let verb = match write {
            Write::Nothing => return,
            Write::Create => "create",
            Write::Update(_) => "update",
            Write::Recreate => "recreate",
        };
        self.count_write_as(verb);
    }

    fn count_write_as(&self, verb: &'static str) {
        self.context.metrics.writes.get_or_create(&ByVerb { kind: S::KIND, verb }).inc();
    }
}

impl<S: Source> Reconcile for Managed<S> {
    fn kind(&self) -> &'static str {
        S::KIND
    }

    fn watch(self: Arc<Self>, place: Place, tell: Tell) -> BoxFuture<'static, ()> {
        let Place { index, namespace, selector } = place;
        let path = self.source.path(&namespace);
        let what = What { kind: S::KIND, path, namespace, labels: selector, bare: false };
        let (api, metrics) = (self.context.api.clone(), Arc::clone(&self.context.metrics));
        let take = move |event: Seen<S::Found>| {
            for change in self.objects.apply(index, event, |found| self.source.slim(found)) {
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

    fn is_complete(&self) -> bool {
        let has_keys = self.keys.as_ref().is_none_or(|keys| keys.borrow().is_some());
        has_keys && self.objects.is_complete()
    }

    fn is_refused(&self) -> bool {
        self.objects.is_refused()
    }

    fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn keys(&self) -> Vec<Key> {
        self.objects.keys()
    }

    fn is_outdated(&self, key: &Key) -> bool {
        self.objects.get(key).is_some_and(|slim| self.is_of_another_writer(&slim))
    }

    fn keys_in_use(&self) -> Option<watch::Receiver<Option<Held>>> {
        self.keys.clone()
    }

    fn forget_all(&self) {
        self.memory.forget_all();
    }

    fn count(&self, leads: bool) {
        let counts = if leads { self.memory.count() } else { HashMap::new() };
        for reason in S::REASONS {
            let count = counts.get(reason.name).copied().unwrap_or_default();
            let label = ByReason { kind: S::KIND, reason: reason.name };
            self.context.metrics.objects.get_or_create(&label).set(count);
        }
        // Nothing was said of these yet.
        let pending =
            if leads { self.objects.len().saturating_sub(counts.values().sum::<i64>() as usize) } else { 0 };
        let label = ByReason { kind: S::KIND, reason: PENDING };
        self.context.metrics.objects.get_or_create(&label).set(i64::try_from(pending).unwrap_or(i64::MAX));
        let outdated = if leads { self.outdated() } else { 0 };
        self.context.metrics.outdated.get_or_create(&OfKind { kind: S::KIND }).set(outdated);
    }
}

/// Whether an object still asks for what it asked for. Annotations that begin so ask something of us, and change without a
/// new generation.
fn is_same(seen: &Meta, found: &Meta, annotations: &str) -> bool {
    let ours = |meta: &Meta| -> Vec<(String, String)> {
        let all = meta.annotations.iter().filter(|(key, _)| key.starts_with(annotations));
        all.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    seen.uid == found.uid
        && seen.generation == found.generation
        && ours(seen) == ours(found)
        && !found.is_being_deleted
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
