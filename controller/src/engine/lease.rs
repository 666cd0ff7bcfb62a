//! Which replica writes: the one that holds the Lease.
//!
//! A Lease cannot fence: who has been stopped for a while may still believe that it leads. So it goes by its own clock
//! here, and each write is bound to what was seen (`managed/write.rs`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::engine::api::Failure;
use crate::engine::health::Pulse;
use crate::engine::metrics::Metrics;

/// How long a Lease is good for without being renewed.
const DURATION: Duration = Duration::from_secs(15);

/// How long the leader tries to renew it before it steps down.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// How long one try may take: an API server may need a second or two for each request.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Whether we lead.
#[derive(Clone)]
pub struct Leadership(Arc<State>);

struct State {
    leads: watch::Sender<bool>,
    /// Until when; `None` for a controller that is alone.
    until: Mutex<Option<Instant>>,
    alone: AtomicBool,
}

impl Leadership {
    /// Of one that does not lead yet.
    pub fn new() -> Self {
        let (leads, _) = watch::channel(false);
        Self(Arc::new(State { leads, until: Mutex::new(None), alone: AtomicBool::new(false) }))
    }

    /// Leads without asking anybody.
    pub fn lead_alone(&self) {
        self.0.alone.store(true, Ordering::SeqCst);
        self.0.leads.send_replace(true);
    }

    /// Whether we lead at this instant, by our own clock.
    pub fn is_leader(&self) -> bool {
        let until = *self.0.until.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.alone.load(Ordering::SeqCst) || until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether we lead as far as has been told: a moment later than by the clock.
    pub fn leads(&self) -> bool {
        *self.0.leads.borrow()
    }

    /// Tells of changes.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.0.leads.subscribe()
    }

    fn set(&self, until: Option<Instant>) {
        // Who was stopped for a while has let things pass, though nobody else may have led meanwhile: that begins again.
        let lapsed = !self.is_leader();
        *self.0.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let leads = until.is_some();
        self.0.leads.send_if_modified(|known| std::mem::replace(known, leads) != leads || (leads && lapsed));
    }
}

/// Leads without a Lease until it is told to stop.
pub async fn lead_alone(leadership: &Leadership, pulse: &Pulse, mut stop: watch::Receiver<bool>) {
    leadership.lead_alone();
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => pulse.beat(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// What to do about a Lease.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Create,
    /// Take it, or renew it.
    Take,
    Wait,
}

/// What was seen of a Lease, and since when it is like this.
struct Seen {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    since: Instant,
}

/// One replica among several.
pub struct Candidate {
    leases: Api<Lease>,
    name: String,
    identity: String,
    leadership: Leadership,
    pulse: Pulse,
    metrics: Arc<Metrics>,
    seen: Option<Seen>,
    /// The Lease as we have written it last: it is renewed without looking.
    held: Option<Lease>,
}

impl Candidate {
    pub fn new(
        leases: Api<Lease>,
        [name, identity]: [&str; 2],
        leadership: Leadership,
        pulse: Pulse,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (name, identity) = (name.to_owned(), identity.to_owned());
        Self { leases, name, identity, leadership, pulse, metrics, seen: None, held: None }
    }

    /// Tries to lead, and to go on leading, until it is told to stop; then lets somebody else.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            self.pulse.beat();
            // A renewal counts from when it was begun.
            let begun = Instant::now();
            match timeout(PATIENCE, self.attempt(begun)).await {
                Ok(Ok(true)) => self.lead(begun),
                Ok(Ok(false)) => self.follow("another replica holds the lease"),
                Ok(Err(error)) => self.could_not_renew(&error.to_string()),
                Err(_) => self.could_not_renew("no answer in time"),
            }
        }
        let led = self.leadership.is_leader();
        self.follow("stopping");
        if led && !matches!(timeout(EVERY, self.release()).await, Ok(Ok(()))) {
            tracing::warn!("the lease could not be released");
        }
    }

    fn lead(&self, begun: Instant) {
        if !self.leadership.is_leader() {
            self.metrics.lease_changes.inc();
            tracing::info!(identity = self.identity, "this replica leads");
        }
        self.leadership.set(Some(begun + RENEW_WITHIN));
    }

    fn follow(&self, why: &str) {
        if *self.leadership.0.leads.borrow() {
            self.metrics.lease_changes.inc();
            tracing::info!(identity = self.identity, "this replica no longer leads: {why}");
        }
        self.leadership.set(None);
    }

    fn could_not_renew(&self, why: &str) {
        self.metrics.lease_failures.inc();
        tracing::warn!("the lease could not be renewed: {why}");
        if !self.leadership.is_leader() {
            self.follow("the lease could not be renewed");
        }
    }

    /// Creates, takes or renews the Lease; `false` when somebody else has it.
    async fn attempt(&mut self, now: Instant) -> Result<bool, Failure> {
        if let Some(held) = self.held.take() {
            let claim = self.claim(Some(held));
            match self.leases.replace(&self.name, &PostParams::default(), &claim).await {
                Ok(held) => return Ok(self.hold(held)),
                // Somebody has changed it: that may have been a label.
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let lease = self.leases.get_opt(&self.name).await?;
        let spec = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let is_ours = spec.is_some_and(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let written = match (self.evaluate(spec, lease.is_some(), now), lease) {
            (Action::Create, _) => self.leases.create(&PostParams::default(), &self.claim(None)).await,
            (Action::Take, lease) => {
                let claim = self.claim(lease);
                self.leases.replace(&self.name, &PostParams::default(), &claim).await
            }
            (Action::Wait, _) => return Ok(false),
        };
        match written {
            Ok(held) => Ok(self.hold(held)),
            // Somebody was faster.
            Err(error) if is_conflict(&error) && !is_ours => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn hold(&mut self, lease: Lease) -> bool {
        self.held = Some(lease);
        true
    }

    /// Whether a Lease has run out is told by our own clock alone: those of others may be wrong.
    fn evaluate(&mut self, spec: Option<&LeaseSpec>, exists: bool, now: Instant) -> Action {
        if !exists {
            return Action::Create;
        }
        let holder = spec.and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty());
        let renewed = spec.and_then(|spec| spec.renew_time.clone());
        let is_known =
            self.seen.as_ref().is_some_and(|seen| seen.holder == holder && seen.renewed == renewed);
        if !is_known {
            self.seen = Some(Seen { holder: holder.clone(), renewed, since: now });
        }
        let since = self.seen.as_ref().map_or(now, |seen| seen.since);
        let duration = spec.and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok());
        let duration = duration.map_or(DURATION, Duration::from_secs);
        match holder {
            None => Action::Take,
            Some(holder) if holder == self.identity => Action::Take,
            Some(_) if now.duration_since(since) >= duration => Action::Take,
            Some(_) => Action::Wait,
        }
    }

    fn claim(&self, lease: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let old = lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let is_ours = old.holder_identity.as_deref() == Some(&self.identity);
        let metadata = lease.map_or_else(
            || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            |lease| lease.metadata,
        );
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: old.acquire_time.filter(|_| is_ours).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(
                old.lease_transitions.unwrap_or_default().saturating_add(i32::from(!is_ours)),
            ),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    async fn release(&self) -> Result<(), Failure> {
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else { return Ok(()) };
        let Some(spec) = lease.spec.as_mut() else { return Ok(()) };
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        spec.holder_identity = None;
        self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
        Ok(())
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

#[cfg(test)]
mod tests {
    use kube::Client;
    use serde_json::{Value, json};

    use super::*;
    use crate::engine::mock;

    fn candidate() -> Candidate {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let leases = Api::namespaced(client, "x");
        Candidate::new(leases, ["lease", "me"], Leadership::new(), Pulse::new(), Arc::new(Metrics::new()))
    }

    fn held_by(holder: Option<&str>, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            lease_duration_seconds: Some(10),
            ..LeaseSpec::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_when_nobody_renews_it_whatever_its_times_say() {
        let mut me = candidate();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(me.evaluate(None, false, at(0)), Action::Create);
        assert_eq!(me.evaluate(None, true, at(0)), Action::Take);
        assert_eq!(me.evaluate(Some(&held_by(Some("me"), 0)), true, at(0)), Action::Take);
        assert_eq!(me.evaluate(Some(&held_by(None, 0)), true, at(0)), Action::Take);
        let other = |renewed| held_by(Some("other"), renewed);
        assert_eq!(me.evaluate(Some(&other(0)), true, at(0)), Action::Wait);
        assert_eq!(me.evaluate(Some(&other(0)), true, at(9)), Action::Wait);
        assert_eq!(me.evaluate(Some(&other(1)), true, at(9)), Action::Wait);
        assert_eq!(me.evaluate(Some(&other(1)), true, at(18)), Action::Wait);
        assert_eq!(me.evaluate(Some(&other(1)), true, at(19)), Action::Take);
    }

    /// Nothing renews a Lease, and the kubelet must not take it for stuck.
    #[tokio::test(start_paused = true)]
    async fn who_leads_alone_is_alive_all_the_time() {
        let (leadership, pulse) = (Leadership::new(), Pulse::new());
        let (stop, stopped) = watch::channel(false);
        let (shared, beats) = (leadership.clone(), pulse.clone());
        let leads = tokio::spawn(async move { lead_alone(&shared, &beats, stopped).await });
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert!(leadership.is_leader() && pulse.is_alive());
        }
        stop.send_replace(true);
        leads.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_whose_lease_had_run_out_begins_again() {
        let me = candidate();
        me.lead(Instant::now());
        let mut changes = me.leadership.changes();
        tokio::time::advance(Duration::from_secs(9)).await;
        me.lead(Instant::now());
        assert!(!changes.has_changed().unwrap());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!me.leadership.is_leader());
        me.lead(Instant::now());
        assert!(changes.has_changed().unwrap() && *changes.borrow_and_update());
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_cannot_renew_stops_by_itself() {
        let me = candidate();
        me.lead(Instant::now());
        assert!(me.leadership.is_leader());
        tokio::time::advance(Duration::from_secs(9)).await;
        me.could_not_renew("x");
        assert!(me.leadership.is_leader() && *me.leadership.changes().borrow());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!me.leadership.is_leader());
        me.could_not_renew("x");
        assert!(!*me.leadership.changes().borrow());
        assert_eq!((me.metrics.lease_changes.get(), me.metrics.lease_failures.get()), (2, 2));
    }

    /// Each request takes longer than a second, and one write is refused because somebody has set a label meanwhile.
    #[tokio::test]
    async fn a_slow_api_server_is_no_reason_to_step_down_and_the_holder_does_not_look() {
        let lease = |version: &str| {
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "lease", "resourceVersion": version},
                "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}})
        };
        let writes = std::sync::atomic::AtomicUsize::new(0);
        let (client, asked) = mock::start_slow(Duration::from_millis(1100), move |asked| {
            let status =
                |code: u16| json!({"kind": "Status", "code": code, "reason": "NotFound"}).to_string();
            match asked.split(' ').next() {
                Some("GET") if writes.load(Ordering::SeqCst) == 0 => (404, status(404)),
                Some("GET") => (200, lease("9").to_string()),
                _ => match writes.fetch_add(1, Ordering::SeqCst) {
                    1 => (409, status(409)),
                    _ => (200, Value::to_string(&lease("1"))),
                },
            }
        })
        .await;
        let leadership = Leadership::new();
        let leases = Api::namespaced(client, "x");
        let metrics = Arc::new(Metrics::new());
        let me =
            Candidate::new(leases, ["lease", "me"], leadership.clone(), Pulse::new(), Arc::clone(&metrics));
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(me.run(stopped));
        let mut changes = leadership.changes();
        timeout(Duration::from_secs(20), changes.wait_for(|leads| *leads)).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert!(leadership.is_leader() && !changes.has_changed().unwrap());
        assert_eq!((metrics.lease_changes.get(), metrics.lease_failures.get()), (1, 0));
        let asked: Vec<String> = asked.lock().unwrap().iter().map(|asked| asked[..3].to_owned()).collect();
        assert!(
            asked.starts_with(&["GET", "POS", "PUT", "GET", "PUT", "PUT"].map(str::to_owned)),
            "{asked:?}"
        );
    }
}
