//! Puts the parts together: watches fill the stores and the queue, workers empty the queue while this replica leads.

mod parts;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::FutureExt;
use hyper::StatusCode;
use kube::Client;
use kube::api::Api;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::endpoints;
use crate::engine::lease::{self, Candidate};
use crate::engine::metrics::{self, OfKind, resident_memory};
use crate::engine::object::{Bare, Ref};
use crate::engine::queue::Lane;
use crate::engine::store::{Change, Listed};
use crate::engine::watch::{Event, Watch, What};
use crate::managed::decide::MANAGED;
use crate::managed::secret::{self, MANAGER};
use crate::managed::{Next, Place, Reconcile};
use crate::settings::Settings;
use crate::source;
use parts::Parts;

/// How long objects that are worked on may take when the controller is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long events may take after that.
const EPILOGUE: Duration = Duration::from_secs(2);

/// How often numbers are counted, and duties of the leader tried again that could not be done.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// How long the API server may say nothing at all on a connection.
const SILENCE: Duration = Duration::from_secs(75);

/// How long a kind may hold up the others, after a start, as long as it is not known.
const HOLDS_UP: Duration = Duration::from_secs(30);

/// How long the duties of the leader may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until it is told to stop.
pub async fn run(mut settings: Settings) -> anyhow::Result<()> {
    // Two watches of one namespace would take each other's objects away.
    settings.watch_namespaces.sort();
    settings.watch_namespaces.dedup();
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
    let parts = Parts::new(settings, namespace, client, &identity, source::KINDS)?;

    serve(&parts).await?;
    let mut essential = start(&parts);
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
    let _ = tokio::time::timeout(EPILOGUE, parts.events.written()).await;
    anyhow::ensure!(!failed, "a part of the controller has ended");
    Ok(())
}

/// Everything but the workers and the Lease: what has to go on for all of it.
fn start(parts: &Arc<Parts>) -> JoinSet<()> {
    let mut essential = JoinSet::new();
    watch_all(parts, &mut essential);
    essential.spawn(lead(Arc::clone(parts)));
    for kind in &parts.kinds {
        essential.spawn(Arc::clone(kind).run());
        essential.spawn(follow_keys(Arc::clone(parts), Arc::clone(kind)));
        essential.spawn(fulfil_duties(Arc::clone(parts), Arc::clone(kind)));
    }
    essential.spawn(keep_house(Arc::clone(parts)));
    essential
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
    let registry = Arc::clone(&parts.registry);
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let numbers = endpoints::by_path(move |path| {
        (path == "/metrics").then(|| (StatusCode::OK, OPEN_METRICS, metrics::text(&registry)))
    });
    let health = Arc::clone(parts);
    let health = endpoints::by_path(move |path| match path {
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
    let patience = endpoints::PATIENCE;
    endpoints::serve(metrics_address, patience, numbers).await.with_context(|| taken(metrics_address))?;
    endpoints::serve(health_address, patience, health).await.with_context(|| taken(health_address))
}

impl Parts {
    /// Whether everything was listed once, or cannot be now. A kind that nobody has installed, that we may not look at, or that
    /// the API server fails at, holds up no other; nor does one whose keys cannot be read. One of which nothing is heard holds
    /// the others up for a while only.
    fn is_ready(&self) -> bool {
        self.is_ready_after(self.started.elapsed())
    }

    fn is_ready_after(&self, time: Duration) -> bool {
        let listed: Vec<Listed> = self.kinds.iter().map(|kind| kind.listed()).collect();
        self.secrets.listed() == Listed::Complete
            && (time >= HOLDS_UP || !listed.contains(&Listed::NotYet))
            && listed.contains(&Listed::Complete)
    }

    /// Whether what has to go round goes round.
    fn is_alive(&self) -> bool {
        self.lease_pulse.is_alive() && self.kinds.iter().all(|kind| kind.is_alive())
    }

    async fn until_ready(&self) {
        while !self.is_ready() {
            // It waits for others, and does not stand still.
            self.lease_pulse.beat();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn push_all_of(&self, kind: &dyn Reconcile) {
        for key in kind.objects() {
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
    let is_labelled = parts.kinds.iter().all(|kind| kind.is_labelled());
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
            labels: is_labelled.then(|| format!("{MANAGED}=true")),
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

/// Looks at everything when this replica begins to lead.
async fn lead(parts: Arc<Parts>) {
    parts.until_ready().await;
    let mut leads = parts.leadership.changes();
    leads.mark_changed();
    while leads.changed().await.is_ok() {
        let is_leader = *leads.borrow_and_update();
        parts.queue.clear();
        parts.metrics.leader.set(i64::from(is_leader));
        if is_leader {
            for kind in &parts.kinds {
                kind.forget_all();
                parts.push_all_of(&**kind);
            }
        }
        parts.begun.send_replace(is_leader);
    }
}

/// Does what only the leader does for a kind, beside its objects.
async fn fulfil_duties(parts: Arc<Parts>, kind: Arc<dyn Reconcile>) {
    parts.until_ready().await;
    let mut leads = parts.leadership.changes();
    let mut keys = kind.keys();
    loop {
        leads.mark_unchanged();
        keys.iter_mut().for_each(watch::Receiver::mark_unchanged);
        let wait = match parts.leadership.is_leader() {
            true => fulfil(&*kind).await,
            false => None,
        };
        let later = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        let changed = async {
            match &mut keys {
                Some(keys) => keys.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = later => {}
            changed = leads.changed() => if changed.is_err() { return },
            // Whoever has sent them is essential, too.
            changed = changed => if changed.is_err() { return },
        }
    }
}

/// Returns when to do it again, if nothing changes.
async fn fulfil(kind: &dyn Reconcile) -> Option<Duration> {
    // One that cannot be looked at may be there in a moment.
    if kind.listed() != Listed::Complete {
        return Some(HOUSEKEEPING);
    }
    let outcome = tokio::time::timeout(PATIENCE, kind.lead()).await.context("the API server gave no answer");
    match outcome.flatten() {
        Ok(again) => again,
        Err(error) => {
            tracing::warn!(
                kind = kind.kind(),
                "the leader's work for this kind failed; trying again: {error:#}"
            );
            Some(HOUSEKEEPING)
        }
    }
}

/// Looks at all objects of a kind when the keys change that they are opened with.
async fn follow_keys(parts: Arc<Parts>, kind: Arc<dyn Reconcile>) {
    let Some(mut keys) = kind.keys() else { return std::future::pending().await };
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
