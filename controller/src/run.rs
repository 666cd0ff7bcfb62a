//! Puts the parts together: watches fill the stores and the queue, workers empty the queue while this replica leads.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::FutureExt;
use hyper::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::Api;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::api::ApiServer;
use crate::engine::endpoints;
use crate::engine::events::Events;
use crate::engine::health::Pulse;
use crate::engine::lease::{self, Candidate, Leadership};
use crate::engine::metrics::{Metrics, OfKind, resident_memory};
use crate::engine::object::{Bare, Ref};
use crate::engine::queue::{Lane, Queue};
use crate::engine::retry::Breaker;
use crate::engine::store::{Change, Store};
use crate::engine::watch::{Event, Watch, What};
use crate::keys::identities::{self, Keeper, Ring};
use crate::keys::opening::Opener;
use crate::keys::vault::ControllerHost;
use crate::managed::decide::MANAGED;
use crate::managed::reconcile::{Context, Managed};
use crate::managed::secret::{self, MANAGER};
use crate::managed::{Next, Place, Reconcile};
use crate::settings::Settings;
use crate::source::sealed::Sealed;
use crate::source::sealed::ask::Policy;

/// How long objects that are worked on may take when the controller is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long events may take after that.
const EPILOGUE: Duration = Duration::from_secs(2);

/// How often numbers are counted, and duties of the leader tried again that could not be done.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// How often the duties of the leader are looked at again: somebody may have deleted or edited what is published.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How long the API server may say nothing at all on a connection.
const SILENCE: Duration = Duration::from_secs(75);

/// How long the duties of the leader may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the parts share.
struct Parts {
    settings: Settings,
    namespace: String,
    client: Client,
    api: ApiServer,
    queue: Arc<Queue<Ref>>,
    /// What is looked after, each a kind of its own.
    kinds: Vec<Arc<dyn Reconcile>>,
    secrets: Arc<Store<Box<str>>>,
    breaker: Arc<Breaker>,
    ring: watch::Receiver<Option<Arc<Ring>>>,
    leadership: Leadership,
    /// Whether all that there is was put into the queue since we lead: before that, nothing is worked on.
    begun: watch::Sender<bool>,
    lease_pulse: Pulse,
    opener_pulse: Pulse,
    metrics: Arc<Metrics>,
}

/// Runs until it is told to stop.
pub async fn run(mut settings: Settings) -> anyhow::Result<()> {
    // Two watches of one namespace would take each other's objects away.
    settings.watch_namespaces.sort();
    settings.watch_namespaces.dedup();
    let host: &'static ControllerHost = Box::leak(Box::new(ControllerHost::new(&settings.vault)));
    host.vault().map_err(|error| {
        let error = ControllerHost::by_flags(&error.to_string());
        anyhow::anyhow!("the settings of Vault are wrong: {error}")
    })?;
    let mut config = kube::Config::infer().await.map_err(|error| {
        anyhow::anyhow!("there is neither a cluster around us nor a kubeconfig (KUBECONFIG): {error}")
    })?;
    // It would keep a worker for minutes; we try again ourselves, and do others meanwhile.
    config.default_retry = false;
    // Longer than a watch may be silent.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let namespace = settings.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    // The Lease waits for no other request of ours.
    let for_lease = Client::try_from(config.clone()).context("no client for this cluster")?;
    let client = Client::try_from(config).context("no client for this cluster")?;
    let identity =
        settings.pod_name.clone().unwrap_or_else(|| format!("{MANAGER}-{:08x}", rand::random::<u32>()));

    let metrics = Arc::new(Metrics::new());
    let opener_pulse = Pulse::new();
    let opener =
        Opener::start(Arc::clone(&metrics), opener_pulse.clone()).context("no thread for opening")?;
    let opening = opener.clone();
    let (ring_sender, ring) = watch::channel(None);
    let (held, keys) = watch::channel(None);
    let api = ApiServer::new(client.clone(), Arc::clone(&metrics));
    let watches = settings.watch_namespaces.len().max(1);
    let events = Events::start(api.clone(), MANAGER, &identity, Arc::clone(&metrics));
    let leadership = Leadership::new();
    let secrets = Arc::new(Store::new(watches));
    let breaker = Arc::new(Breaker::default());
    // A tenant with much to do leaves the others some workers.
    let queue = Arc::new(Queue::new(settings.concurrency as usize * 3 / 4, metrics.queue_seconds.clone()));
    let context = Context {
        api: api.clone(),
        events: events.clone(),
        metrics: Arc::clone(&metrics),
        leadership: leadership.clone(),
        queue: Arc::clone(&queue),
        secrets: Arc::clone(&secrets),
        breaker: Arc::clone(&breaker),
    };
    let policy = Policy { allowed_types: settings.allow_type.clone() };
    let sealed = Sealed { opener, policy, keys, metrics: Arc::clone(&metrics) };
    // Another kind is one more line.
    let kinds: Vec<Arc<dyn Reconcile>> = vec![Arc::new(Managed::new(sealed, context.clone(), watches))];
    let keeper = Keeper {
        api: api.clone(),
        namespace: namespace.clone(),
        files: settings.identity_file.clone(),
        host,
        opener: opening.clone(),
        metrics: Arc::clone(&metrics),
        kinds: kinds.iter().map(|kind| kind.kind()).collect(),
        ring: ring_sender,
        held,
    };
    let parts = Arc::new(Parts {
        settings,
        namespace,
        client,
        api,
        queue,
        kinds,
        secrets,
        breaker,
        ring,
        leadership,
        begun: watch::Sender::new(false),
        lease_pulse: Pulse::new(),
        opener_pulse,
        metrics,
    });

    serve(&parts).await?;
    let mut essential = JoinSet::new();
    essential.spawn(async move { opening.has_ended().await });
    essential.spawn(keeper.run());
    watch_all(&parts, &mut essential);
    essential.spawn(lead(Arc::clone(&parts)));
    for kind in &parts.kinds {
        essential.spawn(follow_keys(Arc::clone(&parts), Arc::clone(kind)));
    }
    essential.spawn(keep_house(Arc::clone(&parts)));
    let (stop, stopped) = watch::channel(false);
    let (stop_lease, lease_stopped) = watch::channel(false);
    let mut lease = tokio::spawn(hold_lease(Arc::clone(&parts), for_lease, identity, lease_stopped));
    let mut workers = start_workers(&parts, &stopped);

    let failed = tokio::select! {
        told = until_told_to_stop() => { told?; false }
        // Without it we would look well and do nothing: whoever has started us starts us again.
        _ = essential.join_next() => true,
        _ = &mut lease => true,
    };
    tracing::info!("stopping");
    stop.send_replace(true);
    let finished = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!("some objects were still being worked on when the time to stop ran out");
    }
    // The next one must not begin before we have ended.
    stop_lease.send_replace(true);
    if !lease.is_finished() {
        lease.await.context("the lease was not released")?;
    }
    // What was told before the end is written, if that takes a moment.
    let _ = tokio::time::timeout(EPILOGUE, events.written()).await;
    anyhow::ensure!(!failed, "a part of the controller has ended");
    Ok(())
}

async fn until_told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no signals")?;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

/// One that cannot see what there is does not lead: another may see it.
async fn hold_lease(parts: Arc<Parts>, client: Client, identity: String, stop: watch::Receiver<bool>) {
    let mut stopped = stop.clone();
    tokio::select! {
        () = parts.until_ready() => {}
        _ = stopped.wait_for(|stop| *stop) => return,
    }
    let (leadership, pulse) = (parts.leadership.clone(), parts.lease_pulse.clone());
    if !parts.settings.leader_elect {
        return lease::lead_alone(&leadership, &pulse, stop).await;
    }
    let leases = Api::namespaced(client, &parts.namespace);
    let metrics = Arc::clone(&parts.metrics);
    Candidate::new(leases, [MANAGER, &identity], leadership, pulse, metrics).run(stop).await;
}

async fn serve(parts: &Arc<Parts>) -> anyhow::Result<()> {
    let metrics = Arc::clone(&parts.metrics);
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let numbers: endpoints::Answer =
        Arc::new(move |path| (path == "/metrics").then(|| (StatusCode::OK, OPEN_METRICS, metrics.text())));
    let health = Arc::clone(parts);
    let health: endpoints::Answer = Arc::new(move |path| match path {
        "/healthz" if health.is_alive() => Some((StatusCode::OK, "text/plain", "ok\n".to_owned())),
        "/healthz" => Some((StatusCode::SERVICE_UNAVAILABLE, "text/plain", "stuck\n".to_owned())),
        "/readyz" if health.is_ready() => Some((StatusCode::OK, "text/plain", "ok\n".to_owned())),
        "/readyz" => {
            Some((StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not everything is listed yet\n".to_owned()))
        }
        _ => None,
    });
    let Settings { metrics_address, health_address, .. } = parts.settings;
    let taken = |address| format!("cannot serve at {address}");
    endpoints::serve(metrics_address, numbers).await.with_context(|| taken(metrics_address))?;
    endpoints::serve(health_address, health).await.with_context(|| taken(health_address))
}

impl Parts {
    /// Whether everything was listed once.
    fn is_ready(&self) -> bool {
        let is_complete = self.kinds.iter().all(|kind| kind.is_complete());
        is_complete && self.secrets.is_complete() && self.ring.borrow().is_some()
    }

    /// Whether what has to go round goes round.
    fn is_alive(&self) -> bool {
        self.lease_pulse.is_alive() && self.opener_pulse.is_alive()
    }

    async fn until_ready(&self) {
        while !self.is_ready() {
            // It waits for others, and does not stand still.
            self.lease_pulse.beat();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn push_all_of(&self, kind: &dyn Reconcile) {
        for key in kind.keys() {
            let is_outdated = kind.is_outdated(&key);
            let object = Ref { kind: kind.kind(), key };
            match is_outdated {
                true => self.queue.retry_after(object, Duration::ZERO),
                false => self.queue.push(object, Lane::Backlog),
            }
        }
    }

    /// A Secret was seen that was made by the controller.
    fn saw_secret(&self, change: &Change<Box<str>>) {
        if !self.leadership.leads() {
            return;
        }
        for kind in &self.kinds {
            let object = Ref { kind: kind.kind(), key: change.key.clone() };
            match kind.saw_secret(&change.key, change.new.as_deref()) {
                None => {}
                Some(Duration::ZERO) => self.queue.push(object, Lane::Fresh),
                Some(wait) => self.queue.push_after(object, wait),
            }
        }
    }

    /// Looks at one object.
    async fn reconcile(&self, object: &Ref) -> Next {
        match self.kinds.iter().find(|kind| kind.kind() == object.kind) {
            Some(kind) => kind.reconcile(&object.key).await,
            None => Next::Wait,
        }
    }
}

fn watch_all(parts: &Arc<Parts>, tasks: &mut JoinSet<()>) {
    let namespaces: Vec<String> = match parts.settings.watch_namespaces.as_slice() {
        [] => vec![String::new()],
        names => names.to_vec(),
    };
    for (index, namespace) in (0..).zip(namespaces) {
        for kind in &parts.kinds {
            let (shared, name) = (Arc::clone(parts), kind.kind());
            let tell = Box::new(move |key, lane| shared.queue.push(Ref { kind: name, key }, lane));
            let selector = parts.settings.selector.clone();
            let place = Place { index, namespace: namespace.clone(), selector };
            tasks.spawn(Arc::clone(kind).watch(place, tell));
        }

        let shared = Arc::clone(parts);
        let take = move |event: Event<Bare>| {
            let version = |found: &Bare| found.metadata.resource_version.as_str().into();
            let changes = shared.secrets.apply(index, event, version);
            changes.iter().for_each(|change| shared.saw_secret(change));
        };
        let secrets = What {
            kind: "secrets",
            path: secret::path(&namespace),
            namespace,
            labels: Some(format!("{MANAGED}=true")),
            bare: true,
        };
        tasks.spawn(Watch::new(parts.api.clone(), secrets, Arc::clone(&parts.metrics), take).run());
    }
}

fn start_workers(parts: &Arc<Parts>, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    for _ in 0..parts.settings.concurrency {
        workers.spawn(work(Arc::clone(parts), stop.clone()));
    }
    workers
}

/// Takes keys from the queue as long as this replica leads.
async fn work(parts: Arc<Parts>, mut stop: watch::Receiver<bool>) {
    let mut begun = parts.begun.subscribe();
    loop {
        let next = async {
            // The sender lives as long as the parts do.
            let _ = begun.wait_for(|begun| *begun).await;
            parts.breaker.closed().await;
            parts.queue.next().await
        };
        let object = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            object = next => object,
        };
        if parts.leadership.is_leader() {
            let start = Instant::now();
            let next = AssertUnwindSafe(parts.reconcile(&object)).catch_unwind().await;
            let took = start.elapsed().as_secs_f64();
            parts.metrics.seconds.get_or_create(&OfKind { kind: object.kind }).observe(took);
            match next {
                Ok(Next::Wait) => {}
                Ok(Next::Soon(delay)) => parts.queue.push_after(object.clone(), delay),
                Ok(Next::Retry(delay)) => parts.queue.retry_after(object.clone(), delay),
                Err(_) => {
                    parts.metrics.panics.inc();
                    tracing::error!(kind = object.kind, object = %object.key, "a bug in the controller: it panicked");
                    parts.queue.retry_after(object.clone(), Duration::from_secs(60));
                }
            }
        }
        // What is dropped without leading comes again with the leadership.
        parts.queue.done(&object);
    }
}

/// Looks at everything when this replica begins to lead, and does what the leader alone does.
async fn lead(parts: Arc<Parts>) {
    parts.until_ready().await;
    let mut leads = parts.leadership.changes();
    let mut rings = parts.ring.clone();
    let mut known = rings.borrow_and_update().clone();
    leads.mark_changed();
    let mut done = true;
    loop {
        tokio::select! {
            () = tokio::time::sleep(if done { LOOK_AGAIN } else { HOUSEKEEPING }) => {
                // A first identity is made where there never was one, not where all have just gone.
                if !done || known.as_ref().is_some_and(|ring| !ring.is_empty()) {
                    done = fulfil_duties(&parts).await;
                }
            }
            changed = leads.changed() => {
                if changed.is_err() {
                    return;
                }
                let is_leader = *leads.borrow_and_update();
                done = take_over(&parts, is_leader).await;
            }
            changed = rings.changed() => {
                if changed.is_err() {
                    return;
                }
                known = rings.borrow_and_update().clone();
                done = fulfil_duties(&parts).await;
            }
        }
    }
}

/// Begins to lead, or ceases to; `false` when something could not be done.
async fn take_over(parts: &Parts, is_leader: bool) -> bool {
    parts.queue.clear();
    parts.metrics.leader.set(i64::from(is_leader));
    if is_leader {
        for kind in &parts.kinds {
            kind.forget_all();
            parts.push_all_of(&**kind);
        }
    }
    parts.begun.send_replace(is_leader);
    !is_leader || fulfil_duties(parts).await
}

/// Looks at all objects of a kind when the keys change that they are opened with.
async fn follow_keys(parts: Arc<Parts>, kind: Arc<dyn Reconcile>) {
    let Some(mut keys) = kind.keys_in_use() else { return std::future::pending().await };
    while keys.changed().await.is_ok() {
        if parts.leadership.is_leader() {
            parts.push_all_of(&*kind);
        }
    }
}

/// Counts.
async fn keep_house(parts: Arc<Parts>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        ticks.tick().await;
        parts.metrics.queued.set(i64::try_from(parts.queue.len()).unwrap_or(i64::MAX));
        parts.metrics.oldest_queued.set(parts.queue.oldest().as_secs_f64());
        if let Some(bytes) = resident_memory() {
            parts.metrics.memory.set(bytes);
        }
        parts.kinds.iter().for_each(|kind| kind.count(parts.leadership.is_leader()));
    }
}

/// The first identity, and the recipients; `false` when something could not be done.
async fn fulfil_duties(parts: &Parts) -> bool {
    let Some(ring) = parts.ring.borrow().clone() else { return true };
    if !parts.leadership.is_leader() {
        return true;
    }
    let work = async {
        match ring.is_empty() {
            true => make_first_identity(parts, &ring).await,
            false => {
                let maps: Api<ConfigMap> = Api::namespaced(parts.client.clone(), &parts.namespace);
                Ok(identities::publish(&maps, &ring, &parts.metrics, &parts.leadership).await?)
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, work).await.context("the API server gave no answer");
    let outcome = outcome.flatten();
    outcome
        .inspect_err(|error| tracing::warn!("identities or recipients could not be written: {error:#}"))
        .is_ok()
}

/// Only where nothing is configured and nothing is sealed: a second identity could open nothing that is there.
async fn make_first_identity(parts: &Parts, ring: &Ring) -> anyhow::Result<()> {
    let settings = &parts.settings;
    if ring.is_configured() {
        tracing::warn!("there is no identity that can be used");
        return Ok(());
    }
    if !settings.identity_file.is_empty() || settings.vault.is_used() {
        return Ok(());
    }
    if parts.kinds.iter().any(|kind| kind.is_refused()) {
        anyhow::bail!("a namespace cannot be looked at: no first identity is made meanwhile");
    }
    if !parts.kinds.iter().all(|kind| kind.is_empty()) || !settings.generate_identity {
        tracing::warn!("there is no identity: label a Secret with sealant.dev/identity: active");
        return Ok(());
    }
    if identities::were_published(&Api::namespaced(parts.client.clone(), &parts.namespace)).await? {
        tracing::warn!("there is no identity, but recipients of one are published: bring its Secret back");
        return Ok(());
    }
    Ok(identities::generate(&parts.api, &parts.namespace).await?)
}
