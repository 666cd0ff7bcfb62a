//! One SealedSecret: asks what there is, opens it, does what was decided, and says so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PartialObjectMeta};
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource};
use rand::Rng;
use sealant::sealed_secret::unseal;

use crate::engine::lease::Leadership;
use crate::engine::metrics::{ByReason, ByVerb, Metrics};
use crate::engine::store::{Key, Mirror};
use crate::keys::opening::Opener;
use crate::managed::decide::{self, Policy, Verdict, Write};
use crate::managed::reason::{Reason, Standing};
use crate::managed::status::{self, News};
use crate::managed::write::{self, Trouble};
use crate::source::sealed::resource::{SealedSecret, Status};

/// What a watch brings: a SealedSecret, or one that cannot be read.
pub type Seen = DeserializeGuard<SealedSecret>;

/// The longest wait before something is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The first wait.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);

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

/// When to look at it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When something changes.
    Wait,
    /// Later, even if nothing changes.
    After(Duration),
}

/// Makes Secrets out of SealedSecrets.
pub struct Reconciler {
    pub client: Client,
    pub sealed: Arc<Mirror<Seen>>,
    pub secrets: Arc<Mirror<PartialObjectMeta<Secret>>>,
    pub opener: Opener,
    pub policy: Policy,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    pub leadership: Leadership,
    memory: Mutex<HashMap<Key, Memory>>,
    /// Goes up when identities go: what was right before has to be looked at again.
    epoch: AtomicU64,
}

/// What is known of one SealedSecret.
#[derive(Debug, Clone, Default)]
struct Memory {
    settled: Option<Settled>,
    /// How often in a row it has failed.
    attempts: u32,
    /// How often it was written lately, and when last.
    writes: (u32, Option<Instant>),
    reason: Option<Reason>,
}

impl Memory {
    /// How often it was written lately.
    fn lately(&self) -> u32 {
        let (count, last) = self.writes;
        if last.is_some_and(|last| last.elapsed() < LONGEST_WAIT) { count } else { 0 }
    }
}

/// When nothing was left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settled {
    uid: Option<String>,
    generation: Option<i64>,
    secret_version: Option<String>,
    epoch: u64,
}

/// What has come out.
struct Outcome {
    verdict: Verdict,
    written: Write,
    secret_version: Option<String>,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, written: Write::Nothing, secret_version: None }
    }
}

impl Reconciler {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        client: Client,
        sealed: Arc<Mirror<Seen>>,
        secrets: Arc<Mirror<PartialObjectMeta<Secret>>>,
        opener: Opener,
        policy: Policy,
        recorder: Recorder,
        metrics: Arc<Metrics>,
        leadership: Leadership,
    ) -> Self {
        Self {
            client,
            sealed,
            secrets,
            opener,
            policy,
            recorder,
            metrics,
            leadership,
            memory: Mutex::default(),
            epoch: AtomicU64::new(0),
        }
    }

    /// Looks at one SealedSecret.
    pub async fn reconcile(&self, key: &Key) -> Next {
        match tokio::time::timeout(PATIENCE_FOR_ALL, self.look_at(key)).await {
            Ok(next) => next,
            Err(_) => {
                tracing::warn!(sealed_secret = %key, "it took too long, and is tried again");
                self.again(key)
            }
        }
    }

    async fn look_at(&self, key: &Key) -> Next {
        let Some(seen) = self.sealed.get(key) else {
            self.forget(key);
            return Next::Wait;
        };
        let sealed = match &seen.0 {
            Ok(sealed) => sealed,
            Err(invalid) => return self.conclude_invalid(key, invalid).await,
        };
        if sealed.metadata.deletion_timestamp.is_some() || self.is_settled(key, sealed) {
            return Next::Wait;
        }
        let epoch = self.epoch.load(Ordering::SeqCst);
        let previous = sealed.status.clone().unwrap_or_default();
        let work = tokio::time::timeout(PATIENCE, self.work(sealed)).await;
        let outcome = match work {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Trouble::Conflict)) if self.attempts(key) < CONFLICTS_UNSAID => return self.soon(key),
            Ok(Err(Trouble::Conflict)) => {
                self.metrics.conflicts.inc();
                Verdict::new(Reason::Conflict, crate::managed::reason::IS_CONTESTED).into()
            }
            Ok(Err(Trouble::Refused(verdict))) => verdict.into(),
            Err(_) => Verdict::new(Reason::ApiServerUnavailable, crate::managed::reason::NO_ANSWER).into(),
        };
        if outcome.verdict.reason == Reason::ApiServerUnavailable && self.attempts(key) < FAILURES_UNSAID {
            return self.again(key);
        }
        self.conclude(key, &sealed.metadata, &previous, outcome, epoch).await
    }

    /// One that is not as the CustomResourceDefinition says; its status may be readable all the same.
    async fn conclude_invalid(&self, key: &Key, invalid: &InvalidObject) -> Next {
        let previous = match write::current_status(&self.client, key).await {
            Ok(status) => status,
            Err(_) => return self.again(key),
        };
        let verdict = Verdict::new(Reason::Invalid, format!("it cannot be read: {}", invalid.error));
        self.conclude(key, &invalid.metadata, &previous, verdict.into(), 0).await
    }

    async fn work(&self, sealed: &SealedSecret) -> Result<Outcome, Trouble> {
        if let Some(verdict) = decide::before_opening(sealed, &self.policy) {
            return Ok(verdict.into());
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), sealed.namespace());
        let current = secrets.get_opt(sealed.name()).await?;
        let outcome = self.work_on(sealed, current.as_ref()).await;
        write::wipe(current);
        outcome
    }

    async fn work_on(&self, sealed: &SealedSecret, current: Option<&Secret>) -> Result<Outcome, Trouble> {
        if let Some(verdict) = decide::about_current(sealed, current) {
            return Ok(verdict.into());
        }
        let opening = self.opener.open(Arc::new(sealed.clone()));
        let Ok(opened) = tokio::time::timeout(PATIENCE_TO_OPEN, opening).await else {
            return Ok(Verdict::new(Reason::Busy, crate::managed::reason::TAKES_LONG).into());
        };
        let secret = match opened.and_then(|keys| unseal(&sealed.sealed, &keys)) {
            Ok(secret) => secret,
            Err(error) => {
                if !error.details().is_empty() {
                    let (namespace, name) = (sealed.namespace(), sealed.name());
                    tracing::info!(namespace, name, "it could not be opened: {}", error.details().join("\n"));
                }
                return Ok(decide::not_opened(&error).into());
            }
        };
        self.audit(sealed);
        let desired = decide::desired(sealed);
        let write = match decide::write(sealed, current, &desired, &secret.items) {
            Ok(write) => write,
            Err(verdict) => return Ok(verdict.into()),
        };
        if write != Write::Nothing {
            write::is_current(&self.client, sealed).await?;
            if !self.leadership.is_leader() {
                return Err(Trouble::Conflict);
            }
        }
        let written = write::secret(&self.client, &write, current, &desired, &secret.items).await?;
        self.count_write(&write);
        let is_right =
            written.as_ref().is_none_or(|it| decide::is_right(sealed, it, &desired, &secret.items));
        let verdict = match is_right {
            true => Verdict::new(Reason::Unsealed, crate::managed::reason::IN_SYNC),
            false => Verdict::new(Reason::Conflict, crate::managed::reason::CHANGED_AT_ONCE),
        };
        let secret_version =
            written.as_ref().or(current).and_then(|secret| secret.metadata.resource_version.clone());
        write::wipe(written);
        Ok(Outcome { verdict, written: write, secret_version })
    }

    /// Says what has come out, where it is not said yet.
    async fn conclude(
        &self,
        key: &Key,
        object: &ObjectMeta,
        previous: &Status,
        outcome: Outcome,
        epoch: u64,
    ) -> Next {
        let Outcome { verdict, written, secret_version } = outcome;
        let generation = object.generation;
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let new = status::after(previous, &verdict, generation, secret_version.clone(), now);
        self.metrics.reconciles.get_or_create(&ByReason { reason: verdict.reason.name() }).inc();
        if new != *previous {
            if !self.leadership.is_leader() {
                return self.soon(key);
            }
            match write::status(&self.client, object, &new).await {
                Ok(()) => drop(self.metrics.writes.get_or_create(&ByVerb { verb: "status" }).inc()),
                Err(Trouble::Conflict) => return self.soon(key),
                Err(Trouble::Refused(why)) => {
                    tracing::warn!(sealed_secret = %key, reason = why.reason.name(), "the status could not be written: {}", why.message);
                    return self.again(key);
                }
            }
        }
        if let Some(news) = status::news(previous, &verdict, generation, &written) {
            self.tell(object, &news).await;
        }
        self.settle(key, object, &verdict, &written, secret_version, epoch)
    }

    fn settle(
        &self,
        key: &Key,
        object: &ObjectMeta,
        verdict: &Verdict,
        written: &Write,
        secret_version: Option<String>,
        epoch: u64,
    ) -> Next {
        if *written != Write::Nothing {
            let mut memory = self.memory();
            let known = memory.entry(key.clone()).or_default();
            known.writes = (known.lately() + 1, Some(Instant::now()));
        }
        if verdict.reason.standing() != Standing::Good {
            return self.later(key, verdict);
        }
        let settled =
            Settled { uid: object.uid.clone(), generation: object.generation, secret_version, epoch };
        let mut memory = self.memory();
        let known = memory.entry(key.clone()).or_default();
        known.settled = Some(settled);
        known.reason = Some(verdict.reason);
        known.attempts = 0;
        Next::Wait
    }

    /// Whether nothing can have changed since everything was right: then not even a question is asked.
    fn is_settled(&self, key: &Key, sealed: &SealedSecret) -> bool {
        if decide::before_opening(sealed, &self.policy).is_some() {
            return false;
        }
        let Some(secret) = self.secrets.get(key) else { return false };
        let epoch = self.epoch.load(Ordering::SeqCst);
        let now = Settled {
            uid: sealed.metadata.uid.clone(),
            generation: sealed.metadata.generation,
            secret_version: secret.metadata.resource_version.clone(),
            epoch,
        };
        let mut memory = self.memory();
        let known = memory.entry(key.clone()).or_default();
        let by_status = epoch == 0
            && known.settled.is_none()
            && sealed.status.as_ref().is_some_and(|status| {
                status.is_true("Ready")
                    && status.is_true("Synced")
                    && status.observed_generation == now.generation
                    && status.secret_resource_version == now.secret_version
            });
        let settled = by_status || known.settled.as_ref() == Some(&now);
        if settled {
            known.settled = Some(now);
            known.reason = Some(Reason::Unsealed);
        }
        settled
    }

    /// Whether this is the Secret as we left it.
    pub fn knows_secret(&self, key: &Key, version: Option<&str>) -> bool {
        let memory = self.memory();
        let settled = memory.get(key).and_then(|known| known.settled.as_ref());
        settled.is_some_and(|settled| settled.secret_version.as_deref() == version)
    }

    /// How long to wait before a Secret is repaired: whoever fights with us over one is answered more and more slowly.
    pub fn wait_before_repair(&self, key: &Key) -> Option<Duration> {
        let lately = self.memory().get(key).map_or(0, Memory::lately);
        lately.checked_sub(REPAIRS_AT_ONCE).map(|more| wait(more + 1))
    }

    /// Looks at everything again: identities have gone.
    pub fn distrust(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets what it knows: another replica may have changed everything.
    pub fn start_anew(&self) {
        self.memory().clear();
    }

    /// Starts with the shortest wait again: somebody has changed something.
    pub fn reset(&self, key: &Key) {
        if let Some(known) = self.memory().get_mut(key) {
            known.attempts = 0;
        }
    }

    fn forget(&self, key: &Key) {
        self.memory().remove(key);
    }

    /// Counts SealedSecrets by what is said of them; one that does not lead says nothing.
    pub fn count_objects(&self, leads: bool) {
        let mut counts: HashMap<Reason, i64> = HashMap::new();
        for reason in self.memory().values().filter_map(|known| known.reason).filter(|_| leads) {
            *counts.entry(reason).or_default() += 1;
        }
        for reason in Reason::ALL {
            let count = counts.get(&reason).copied().unwrap_or_default();
            self.metrics.objects.get_or_create(&ByReason { reason: reason.name() }).set(count);
        }
    }

    fn later(&self, key: &Key, verdict: &Verdict) -> Next {
        let mut memory = self.memory();
        let known = memory.entry(key.clone()).or_default();
        known.settled = None;
        known.reason = Some(verdict.reason);
        known.attempts = known.attempts.saturating_add(1);
        if verdict.reason.is_retried() { Next::After(wait(known.attempts)) } else { Next::Wait }
    }

    /// After a conflict, which is nobody's fault.
    fn soon(&self, key: &Key) -> Next {
        self.metrics.conflicts.inc();
        match self.again(key) {
            Next::After(delay) => Next::After(delay / 4),
            Next::Wait => Next::Wait,
        }
    }

    /// What could not be done or said, whatever it was, is tried again.
    fn again(&self, key: &Key) -> Next {
        let mut memory = self.memory();
        let known = memory.entry(key.clone()).or_default();
        known.settled = None;
        known.attempts = known.attempts.saturating_add(1);
        Next::After(wait(known.attempts))
    }

    fn attempts(&self, key: &Key) -> u32 {
        self.memory().get(key).map_or(0, |known| known.attempts)
    }

    async fn tell(&self, object: &ObjectMeta, news: &News) {
        let event = Event {
            type_: if news.warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.to_owned(),
            note: Some(shortened(&news.message)),
            action: "Unseal".to_owned(),
            secondary: None,
        };
        let (name, namespace) = (object.name.clone(), object.namespace.clone());
        let regarding = k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some(SealedSecret::api_version(&()).into_owned()),
            kind: Some(SealedSecret::kind(&()).into_owned()),
            name,
            namespace,
            uid: object.uid.clone(),
            ..Default::default()
        };
        // An event is for people; nothing depends on it.
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            tracing::debug!("an event could not be written: {error}");
        }
    }

    /// Who reads logs of a cluster learns that something was opened, never what was in it.
    fn audit(&self, sealed: &SealedSecret) {
        self.metrics.unseals.inc();
        let data_keys: Vec<&str> = sealed.spec().data_keys.iter().map(|entry| entry.id.as_str()).collect();
        tracing::info!(
            target: "audit",
            namespace = sealed.namespace(),
            name = sealed.name(),
            uid = sealed.metadata.uid.as_deref().unwrap_or_default(),
            generation = sealed.metadata.generation.unwrap_or_default(),
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
        self.metrics.writes.get_or_create(&ByVerb { verb }).inc();
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<Key, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait after so many tries: twice as long each time, and not all at once.
fn wait(attempts: u32) -> Duration {
    let longest = SHORTEST_WAIT.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1).min(16)));
    longest.min(LONGEST_WAIT).mul_f64(rand::thread_rng().gen_range(0.5..1.0))
}

/// Events hold up to 1024 bytes.
fn shortened(message: &str) -> String {
    match message.char_indices().find(|(at, _)| *at > 1000) {
        Some((at, _)) => format!("{}...", &message[..at]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_events_are_cut_where_the_api_server_would_refuse_them() {
        assert_eq!(shortened("short"), "short");
        for long in ["x".repeat(5000), "\u{1F511}".repeat(1000)] {
            let note = shortened(&long);
            assert!(note.len() <= 1024 && note.ends_with("..."), "{}", note.len());
        }
    }

    #[test]
    fn waits_grow_up_to_a_minute_and_differ() {
        for (attempts, longest) in [(1, 500), (2, 1000), (5, 8000), (9, 60_000), (u32::MAX, 60_000)] {
            let waits: Vec<Duration> = (0..50).map(|_| wait(attempts)).collect();
            let bounds = Duration::from_millis(longest / 2)..=Duration::from_millis(longest);
            assert!(waits.iter().all(|wait| bounds.contains(wait)), "{attempts}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }
}
