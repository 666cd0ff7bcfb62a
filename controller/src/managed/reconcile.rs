//! One SealedSecret: reads what there is, opens it, does what was decided, and says so.
//!
//! ```text
//! Watch ──> Store (slim) ──> Queue ──> Reconciler::reconcile
//!                                        settled? ............ nothing is asked
//!                                        read it, weighed by its size
//!                                        before_opening ...... a verdict without a key
//!                                        the Secret, ownership, the Opener
//!                                        decide::write ──> is it still current? ──> write::secret
//!                                        conclude: status, event, log, and when to look again
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::GetParams;
use kube::core::Request;
use sealant::sealed_secret::unseal;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::engine::api::ApiServer;
use crate::engine::events::{Event, Events};
use crate::engine::lease::Leadership;
use crate::engine::metrics::{ByReason, ByVerb, Metrics};
use crate::engine::object::{Bare, Key, Meta};
use crate::engine::retry::wait;
use crate::engine::store::Store;
use crate::keys::opening::Opener;
use crate::managed::decide::{self, Desired, Verdict, Write};
use crate::managed::memory::{Memory, Settled};
use crate::managed::reason::{self, Again, Reason, Standing};
use crate::managed::secret::{self, Items, Secret};
use crate::managed::status;
use crate::managed::write::{self, Trouble};
use crate::source::sealed::ask::{self, Policy};
use crate::source::sealed::resource::{self, Found, SealedSecret, Slim};

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

/// How long opening may take where no server is asked; `opening.rs` knows how long servers are waited for.
const PATIENCE_TO_OPEN: Duration = Duration::from_secs(30);

/// How long the API server may let us wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one SealedSecret may keep a worker, with all that is said of it.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(90);

/// A SealedSecret that was read longer ago is looked at once more before anything is written for it.
const FRESH: Duration = Duration::from_millis(100);

/// How many bytes of large SealedSecrets are worked on at once, and from how many on one is large. Each takes several
/// times its size: as it was read, the Secret that there is, its values, and the Secret that is written.
const LARGE_AT_ONCE: u32 = 8 << 20;
const LARGE: u32 = 32 << 10;

/// When to look at it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When something changes.
    Wait,
    /// Soon: nothing is wrong with it.
    Soon(Duration),
    /// Later, even if nothing changes, within the quota of what is wrong.
    Retry(Duration),
}

/// What the reconciler needs of others.
pub struct Context {
    pub api: ApiServer,
    pub opener: Opener,
    pub policy: Policy,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub leadership: Leadership,
}

/// Makes Secrets out of SealedSecrets.
pub struct Reconciler {
    context: Context,
    pub sealed: Arc<Store<Slim>>,
    /// The versions of the Secrets that are ours by their label.
    pub secrets: Arc<Store<Box<str>>>,
    memory: Memory,
    room: Semaphore,
    /// Goes up when identities go: what was right before has to be looked at again.
    epoch: AtomicU32,
}

/// What has come out.
struct Outcome {
    verdict: Verdict,
    written: Write,
    secret_version: Option<String>,
    /// What only the operator may know of it.
    details: String,
    /// Whether a server may open it one day that does not today.
    has_servers: bool,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        let details = String::new();
        Self { verdict, written: Write::Nothing, secret_version: None, details, has_servers: false }
    }
}

/// A SealedSecret in work.
struct Job<'j> {
    sealed: &'j SealedSecret,
    desired: Desired,
    read: Instant,
    /// Once it is open.
    values: Option<Items>,
}

impl Reconciler {
    pub fn new(context: Context, watches: usize) -> Self {
        Self {
            context,
            sealed: Arc::new(Store::new(watches)),
            secrets: Arc::new(Store::new(watches)),
            memory: Memory::default(),
            room: Semaphore::new(LARGE_AT_ONCE as usize),
            epoch: AtomicU32::new(0),
        }
    }

    /// What is kept of a SealedSecret.
    pub fn slim(&self, found: &Found) -> Slim {
        Slim::of(found, ask::is_held(found, &self.context.policy))
    }

    /// Looks at one SealedSecret.
    pub async fn reconcile(&self, key: &Key) -> Next {
        match tokio::time::timeout(PATIENCE_FOR_ALL, self.look_at(key)).await {
            Ok(next) => next,
            Err(_) => {
                tracing::warn!(sealed_secret = %key, "it took too long, and is tried again");
                self.retry_failed(key)
            }
        }
    }

    async fn look_at(&self, key: &Key) -> Next {
        let Some(slim) = self.sealed.get(key) else {
            self.memory.forget(key);
            return Next::Wait;
        };
        if slim.is_being_deleted || self.is_settled(key, &slim) {
            return Next::Wait;
        }
        let _room = self.room_for(slim.weight).await;
        let epoch = self.epoch.load(Ordering::SeqCst);
        let read = Instant::now();
        let found = match tokio::time::timeout(PATIENCE, self.read(key)).await {
            Ok(Ok(Some(found))) => found,
            // The watch brings its end.
            Ok(Ok(None)) => return Next::Wait,
            Ok(Err(_)) | Err(_) => return self.retry_failed(key),
        };
        if found.meta.is_being_deleted {
            return Next::Wait;
        }
        let Found { meta, spec, status: previous } = found;
        let outcome = match spec {
            Err(error) => Verdict::new(Reason::Invalid, format!("it cannot be read: {error}")).into(),
            Ok(spec) => {
                let is_new = previous.conditions.is_empty() && self.memory.attempts(key) == 0;
                let sealed = SealedSecret::new(meta.clone(), spec);
                match tokio::time::timeout(PATIENCE, self.work(&sealed, read, is_new)).await {
                    Ok(Ok(outcome)) => outcome,
                    Ok(Err(Trouble::Conflict)) if self.memory.attempts(key) < CONFLICTS_UNSAID => {
                        return self.retry_conflict(key);
                    }
                    Ok(Err(Trouble::Conflict)) => {
                        self.context.metrics.conflicts.inc();
                        Verdict::new(Reason::Conflict, reason::IS_CONTESTED).into()
                    }
                    Ok(Err(Trouble::Refused(verdict))) => verdict.into(),
                    Err(_) => Verdict::new(Reason::ApiServerUnavailable, reason::NO_ANSWER).into(),
                }
            }
        };
        let is_outage = outcome.verdict.reason == Reason::ApiServerUnavailable;
        if is_outage && self.memory.attempts(key) < FAILURES_UNSAID {
            return self.retry_failed(key);
        }
        self.conclude(key, &meta, &previous, outcome, epoch).await
    }

    /// Large ones wait for each other, and small ones for nobody.
    async fn room_for(&self, weight: u32) -> Option<SemaphorePermit<'_>> {
        match weight > LARGE {
            true => self.room.acquire_many(weight.min(LARGE_AT_ONCE)).await.ok(),
            false => None,
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Found>, Trouble> {
        let request = Request::new(resource::path(key.namespace())).get(key.name(), &GetParams::default());
        Ok(self.context.api.find(request).await?)
    }

    async fn work(&self, sealed: &SealedSecret, read: Instant, is_new: bool) -> Result<Outcome, Trouble> {
        if let Some(verdict) = ask::before_opening(&sealed.meta, sealed.spec(), &self.context.policy) {
            return Ok(verdict.into());
        }
        let mut job = Job { sealed, desired: ask::desired(sealed), read, values: None };
        // Nothing was ever said of a new one, and there is no Secret of ours: then there is mostly none at all.
        if is_new && self.secrets.get(&sealed.meta.key()).is_none() {
            match self.make(&mut job, None).await {
                Err(Trouble::Conflict) => {}
                made => return made,
            }
        }
        let secrets = Request::new(secret::path(&job.desired.namespace));
        let current: Option<Secret> =
            self.context.api.find(secrets.get(&job.desired.name, &GetParams::default())).await?;
        self.make(&mut job, current).await
    }

    /// Brings the Secret to what it should be.
    async fn make(&self, job: &mut Job<'_>, current: Option<Secret>) -> Result<Outcome, Trouble> {
        if let Some(verdict) = decide::about_current(&job.desired, current.as_ref()) {
            return Ok(verdict.into());
        }
        if job.values.is_none() {
            match self.open(job.sealed).await {
                Ok(values) => job.values = Some(values),
                Err(outcome) => return Ok(outcome),
            }
        }
        let (desired, items) = (&job.desired, job.values.as_ref().unwrap_or(const { &Items::new() }));
        let write = match decide::write(current.as_ref(), desired, items) {
            Ok(write) => write,
            Err(verdict) => return Ok(verdict.into()),
        };
        if write != Write::Nothing {
            self.may_write(job).await?;
        }
        let written = write::secret(&self.context.api, &write, current.as_ref(), desired, items).await?;
        self.count_write(&write);
        let is_right = written.as_ref().is_none_or(|it| decide::is_right(it, desired, items));
        let verdict = match is_right {
            true => Verdict::new(Reason::Unsealed, reason::IN_SYNC),
            false => Verdict::new(Reason::Conflict, reason::CHANGED_AT_ONCE),
        };
        let secret_version = written.or(current).map(|secret| secret.meta.resource_version);
        Ok(Outcome { written: write, secret_version, ..verdict.into() })
    }

    async fn open(&self, sealed: &SealedSecret) -> Result<Items, Outcome> {
        let opening = self.context.opener.open(Arc::new(sealed.clone()));
        let Ok(opened) = tokio::time::timeout(PATIENCE_TO_OPEN, opening).await else {
            return Err(Verdict::new(Reason::Busy, reason::TAKES_LONG).into());
        };
        match opened.and_then(|keys| unseal(&sealed.sealed, &keys)) {
            Ok(secret) => {
                self.audit(sealed);
                Ok(secret.items)
            }
            Err(error) => {
                let has_servers = ask::servers(sealed.spec()).next().is_some();
                let details = error.details().join("\n");
                Err(Outcome { details, has_servers, ..ask::not_opened(&error).into() })
            }
        }
    }

    /// A write is bound to the Secret, and nothing else would keep one with an old view of the SealedSecret from
    /// writing old values over new ones.
    async fn may_write(&self, job: &Job<'_>) -> Result<(), Trouble> {
        let meta = &job.sealed.meta;
        let told = self.sealed.get(&meta.key());
        let is_newer =
            |told: &Slim| told.identity == resource::identity(meta) && told.generation > meta.generation;
        if told.as_ref().is_some_and(is_newer) {
            return Err(Trouble::Conflict);
        }
        if job.read.elapsed() > FRESH {
            let request = Request::new(resource::path(&meta.namespace));
            let found: Bare =
                self.context.api.ask(request.get_metadata(&meta.name, &GetParams::default())).await?;
            if !is_same(meta, &found.metadata) {
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
        previous: &resource::Status,
        outcome: Outcome,
        epoch: u32,
    ) -> Next {
        let Outcome { verdict, written, secret_version, details, has_servers } = outcome;
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let new = status::after(previous, &verdict, meta.generation, secret_version.clone(), now);
        self.context.metrics.reconciles.get_or_create(&ByReason { reason: verdict.reason.name() }).inc();
        if new != *previous {
            if !self.context.leadership.is_leader() {
                return self.retry_conflict(key);
            }
            match write::status(&self.context.api, resource::path(&meta.namespace), meta, &new).await {
                Ok(()) => drop(self.context.metrics.writes.get_or_create(&ByVerb { verb: "status" }).inc()),
                Err(Trouble::Conflict) => return self.retry_conflict(key),
                Err(Trouble::Refused(why)) => {
                    tracing::warn!(sealed_secret = %key, reason = why.reason.name(), "the status could not be written: {}", why.message);
                    return self.retry_failed(key);
                }
            }
        }
        if let Some(news) = status::news(previous, &verdict, meta.generation, &written) {
            if !details.is_empty() {
                let (namespace, name) = (key.namespace(), key.name());
                tracing::info!(namespace, name, "it could not be opened: {details}");
            }
            self.context.events.tell(Event {
                namespace: meta.namespace.clone(),
                about: resource::owner(meta),
                warning: news.warning,
                reason: news.reason,
                note: news.message,
            });
        }
        if written != Write::Nothing {
            self.memory.wrote(key, Instant::now());
        }
        if verdict.reason.standing() != Standing::Good {
            return self.retry(key, verdict.reason, has_servers);
        }
        let settled = |version: String| Settled {
            identity: resource::identity(meta),
            generation: meta.generation,
            secret_version: version.into(),
            epoch,
        };
        self.memory.settle(key, secret_version.map(settled));
        Next::Wait
    }

    /// Whether nothing can have changed since everything was right: then not even a question is asked.
    fn is_settled(&self, key: &Key, slim: &Slim) -> bool {
        let Some(version) = self.secrets.get(key).filter(|_| !slim.is_held) else { return false };
        let epoch = self.epoch.load(Ordering::SeqCst);
        let by_status = epoch == 0 && slim.right_version.as_ref() == Some(&version);
        let now =
            Settled { identity: slim.identity, generation: slim.generation, secret_version: version, epoch };
        self.memory.is_settled(key, &now, by_status)
    }

    /// Whether this is the Secret as we left it.
    pub fn knows_secret(&self, key: &Key, version: &str) -> bool {
        self.memory.knows(key, version)
    }

    /// How long to wait before a Secret is repaired: whoever fights with us over one is answered more and more slowly.
    pub fn wait_before_repair(&self, key: &Key) -> Option<Duration> {
        let lately = self.memory.writes(key, Instant::now());
        lately.checked_sub(REPAIRS_AT_ONCE).map(|more| wait(more + 1, LONGEST_WAIT))
    }

    /// Looks at everything again: identities have gone.
    pub fn distrust(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets what it knows: another replica may have changed everything.
    pub fn forget_all(&self) {
        self.memory.forget_all();
    }

    /// Starts with the shortest wait again: somebody has changed something.
    pub fn reset(&self, key: &Key) {
        self.memory.reset(key);
    }

    /// Counts SealedSecrets by what is said of them; one that does not lead says nothing.
    pub fn count_objects(&self, leads: bool) {
        let counts = if leads { self.memory.count() } else { HashMap::new() };
        for reason in Reason::ALL {
            let count = counts.get(&reason).copied().unwrap_or_default();
            self.context.metrics.objects.get_or_create(&ByReason { reason: reason.name() }).set(count);
        }
    }

    /// After a verdict.
    fn retry(&self, key: &Key, reason: Reason, has_servers: bool) -> Next {
        let attempts = self.memory.fail(key, Some(reason));
        let longest = match reason.standing() {
            Standing::Stalled => LONGEST_STALLED,
            _ => LONGEST_WAIT,
        };
        match reason.again() {
            Again::ByItself => Next::Retry(wait(attempts, longest)),
            Again::ByServers if has_servers => Next::Retry(wait(attempts, longest)),
            Again::ByServers | Again::OnChange => Next::Wait,
        }
    }

    /// After a conflict, which is nobody's fault.
    fn retry_conflict(&self, key: &Key) -> Next {
        self.context.metrics.conflicts.inc();
        Next::Soon(wait(self.memory.fail(key, None), LONGEST_WAIT) / 4)
    }

    /// What could not be done or said, whatever it was.
    fn retry_failed(&self, key: &Key) -> Next {
        Next::Soon(wait(self.memory.fail(key, None), LONGEST_WAIT))
    }

    /// Who reads logs of a cluster learns that something was opened, never what was in it.
    fn audit(&self, sealed: &SealedSecret) {
        self.context.metrics.unseals.inc();
        let data_keys: Vec<&str> = sealed.spec().data_keys.iter().map(|entry| entry.id.as_str()).collect();
        tracing::info!(
            target: "audit",
            namespace = sealed.namespace(),
            name = sealed.name(),
            uid = sealed.meta.uid,
            generation = sealed.meta.generation.unwrap_or_default(),
            scope = sealed.spec().scope.unwrap_or_default().name(),
            data_keys = data_keys.join(","),
            items = sealed.spec().encrypted_data.len(),
            "unsealed"
        );
    }

    fn count_write(&self, write: &Write) {
        let verb = match write {
            Write::Nothing => return,
            Write::Create => "create",
            Write::Update(_) => "update",
            Write::Recreate => "recreate",
        };
        self.context.metrics.writes.get_or_create(&ByVerb { verb }).inc();
    }
}

fn is_same(seen: &Meta, found: &Meta) -> bool {
    seen.uid == found.uid
        && seen.generation == found.generation
        && resource::annotations_of_ours(seen).eq(resource::annotations_of_ours(found))
        && !found.is_being_deleted
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_sealed_secret_that_has_changed_is_not_the_one_that_was_seen() {
        let meta = |change: Value| -> Meta {
            let mut body = json!({"name": "db", "uid": "u", "generation": 1, "resourceVersion": "1",
                "annotations": {"theirs": "1", "sealant.dev/x": "1"}});
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            serde_json::from_value(body).unwrap()
        };
        let seen = meta(json!({}));
        let same = json!({"resourceVersion": "2", "annotations": {"theirs": "2", "sealant.dev/x": "1"}});
        assert!(is_same(&seen, &meta(same)));
        for change in [
            json!({"uid": "v"}),
            json!({"generation": 2}),
            json!({"annotations": {"sealant.dev/x": "1", "sealant.dev/suspend": "true"}}),
            json!({"annotations": {}}),
            json!({"deletionTimestamp": "2026-11-22T00:00:00Z"}),
        ] {
            assert!(!is_same(&seen, &meta(change.clone())), "{change}");
        }
    }
}
