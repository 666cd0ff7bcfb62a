//! What the parts of the controller share.

use std::sync::Arc;
use std::time::Instant;

use kube::Client;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::engine::api::ApiServer;
use crate::engine::events::Events;
use crate::engine::health::Pulse;
use crate::engine::lease::Leadership;
use crate::engine::metrics::Metrics;
use crate::engine::object::Ref;
use crate::engine::queue::Queue;
use crate::engine::retry::Breaker;
use crate::engine::store::Store;
use crate::keys::metrics::KeyMetrics;
use crate::managed::Reconcile;
use crate::managed::reconcile::Context;
use crate::managed::secret::MANAGER;
use crate::settings::Settings;
use crate::source::permitted::Permitted;
use crate::source::{self, Kind, Startup};

/// What the parts share.
pub(super) struct Parts {
    pub settings: Settings,
    pub started: Instant,
    /// That of the controller.
    pub namespace: String,
    pub api: ApiServer,
    pub events: Events,
    pub queue: Arc<Queue<Ref>>,
    /// What is looked after.
    pub kinds: Vec<Arc<dyn Reconcile>>,
    pub secrets: Arc<Store<Box<str>>>,
    pub breaker: Arc<Breaker>,
    pub leadership: Leadership,
    /// Whether all that there is was put into the queue since we lead: before that, nothing is worked on.
    pub begun: watch::Sender<bool>,
    pub lease_pulse: Pulse,
    pub metrics: Arc<Metrics>,
    /// Everything that is counted.
    pub registry: Arc<Registry>,
    #[cfg(test)]
    pub key_metrics: KeyMetrics,
}

impl Parts {
    /// Those of a controller that looks after these kinds, as far as its settings want them.
    pub fn new(
        settings: Settings,
        namespace: String,
        client: Client,
        identity: &str,
        kinds: &[Kind],
    ) -> anyhow::Result<Arc<Self>> {
        let (metrics, mut registry) = (Arc::new(Metrics::new()), Registry::default());
        metrics.register(&mut registry);
        let key_metrics = KeyMetrics::new(&metrics);
        key_metrics.register(&mut registry);
        let api = ApiServer::new(client, Arc::clone(&metrics));
        let watches = settings.watch_namespaces.len().max(1);
        let events = Events::start(api.clone(), MANAGER, identity, Arc::clone(&metrics));
        let (leadership, breaker) = (Leadership::new(), Arc::new(Breaker::default()));
        let secrets = Arc::new(Store::new(watches));
        // A tenant with much to do leaves the others some workers.
        let most_of_one = settings.concurrency as usize * 3 / 4;
        let queue = Arc::new(Queue::new(most_of_one, metrics.queue_seconds.clone()));
        let context = Context {
            api: api.clone(),
            events: events.clone(),
            metrics: Arc::clone(&metrics),
            leadership: leadership.clone(),
            queue: Arc::clone(&queue),
            secrets: Arc::clone(&secrets),
            breaker: Arc::clone(&breaker),
            marks: Arc::new(source::marks(kinds)),
            rooms: Arc::default(),
        };
        let mut startup = Startup {
            settings: &settings,
            namespace: &namespace,
            context,
            permitted: Permitted::of(&settings, kinds),
            key_metrics: key_metrics.clone(),
            registry: &mut registry,
            watches,
        };
        let mut started = Vec::new();
        for kind in kinds {
            started.extend((kind.start)(&mut startup)?);
        }
        Ok(Arc::new(Self {
            kinds: started,
            started: Instant::now(),
            settings,
            namespace,
            api,
            events,
            queue,
            secrets,
            breaker,
            leadership,
            begun: watch::Sender::new(false),
            lease_pulse: Pulse::new(),
            metrics,
            registry: Arc::new(registry),
            #[cfg(test)]
            key_metrics,
        }))
    }
}
