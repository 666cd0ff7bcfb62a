//! SealedSecrets of `bitnami.com`: looked after in the place of the controller of sealed-secrets, with its keys, for whoever
//! asks for it with `--bitnami`.
//!
//! What it made is right as it is: nothing is written because another controller has come. A Secret is known by its owner
//! reference alone, and carries no mark of ours. Status, reasons and the words of what does not open are theirs.

mod http;
mod keyring;
mod limit;
mod metrics;
mod pool;
mod reason;
mod renewal;
mod resource;
pub mod settings;
mod status;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use sealant::bitnami;
use tokio::sync::watch;

use crate::engine::endpoints;
use crate::engine::metrics::OfKind;
use crate::engine::object::Key;
use crate::keys::metrics::KeyMetrics;
use crate::managed::decide::{Desired, Verdict};
use crate::managed::reason::{PANICKED, Reason, Words};
use crate::managed::secret::Items;
use crate::managed::slim::{About, Keys};
use crate::source::permitted::Permitted;
use crate::source::{NoValues, Objects, Source, Startup};
use http::Desk;
use keyring::{Keeper, KeyCounts, Keyring};
use metrics::TheirMetrics;
use pool::Pool;
use renewal::{Renewal, Rule};
use resource::Found;
use status::Status;

/// How long opening may take, with the wait for others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Those SealedSecrets, and what opens them.
pub struct Bitnami {
    pool: Arc<Pool>,
    permitted: Permitted,
    keeper: Keeper,
    ring: watch::Receiver<Keyring>,
    keys: watch::Receiver<Keys>,
    renewal: Renewal,
    /// Where kubeseal is answered, and by whom.
    desk: Option<(SocketAddr, Arc<Desk>)>,
    metrics: KeyMetrics,
    their_metrics: TheirMetrics,
}

impl Source for Bitnami {
    type Found = Found;
    type Status = Status;

    const NAME: &'static str = "sealedsecrets.bitnami.com";
    const API_VERSION: &'static str = bitnami::API_VERSION;
    const KIND: &'static str = bitnami::KIND;
    const PREFIX: &'static str = bitnami::PREFIX;
    const ACTION: &'static str = "Unseal";
    const REASONS: &'static [Reason] = &reason::ALL;
    const WORDS: &'static Words = &reason::WORDS;
    const LABELS_OF_KEYS: &'static [&'static str] = &[bitnami::KEY_LABEL];
    const LABELLED: bool = false;

    fn start(startup: &mut Startup<'_>) -> anyhow::Result<Option<Self>> {
        let settings = &startup.settings.bitnami;
        if !settings.bitnami {
            return Ok(None);
        }
        let (context, counts) = (&startup.context, KeyCounts::default());
        counts.register(startup.registry);
        let (ring_sender, ring) = watch::channel(Keyring::default());
        let (keys_sender, keys) = watch::channel(Keys::Unknown);
        let keeper = Keeper {
            api: context.api.clone(),
            namespace: settings.bitnami_key_namespace.clone(),
            metrics: Arc::clone(&context.metrics),
            counts,
            marks: Arc::clone(&context.marks),
            order: settings.bitnami_key_order_priority,
            ring: ring_sender,
            keys: keys_sender,
        };
        let renewal = Renewal {
            api: context.api.clone(),
            namespace: settings.bitnami_key_namespace.clone(),
            leadership: context.leadership.clone(),
            ring: ring.clone(),
            keys: keys.clone(),
            rule: Rule::of(settings),
            valid_for: settings.bitnami_key_ttl,
            spare: Mutex::default(),
        };
        let metrics = startup.key_metrics.clone();
        let their_metrics =
            TheirMetrics::new(&context.leadership, !settings.bitnami_metrics_omit_secret_labels);
        their_metrics.register(startup.registry);
        let pool = Arc::new(Pool::start(metrics.panics.clone()).context("no threads for opening")?);
        let desk = settings.bitnami_address.map(|address| {
            let (pool, http) = (Arc::clone(&pool), their_metrics.http.clone());
            (address, Arc::new(Desk::new(pool, ring.clone(), &settings.bitnami_key_namespace, http)))
        });
        let permitted = startup.permitted.clone();
        Ok(Some(Self { pool, permitted, keeper, ring, keys, renewal, desk, metrics, their_metrics }))
    }

    fn about(&self, found: &Found) -> About {
        let is_never_settled = self.desired(found).is_err();
        About { is_valid: true, is_never_settled, weight: found.weight(), ..About::default() }
    }

    fn status<'f>(&self, found: &'f Found) -> &'f Status {
        &found.status
    }

    fn keys(&self) -> Option<watch::Receiver<Keys>> {
        Some(self.keys.clone())
    }

    fn seen(&self, found: &Found) {
        self.their_metrics.seen(&found.meta, &found.status);
    }

    fn forget(&self, key: &Key) {
        self.pool.forget(key);
        self.their_metrics.forget(key);
    }

    fn said(&self, key: &Key, reason: Option<Reason>) {
        self.their_metrics.count(key.namespace(), reason);
    }

    fn desired(&self, found: &Found) -> Result<Desired, Verdict> {
        resource::desired(found, &self.permitted)
    }

    async fn values(&self, found: &Found) -> Result<Items, NoValues> {
        let ring = self.ring.borrow().clone();
        let opening = self.pool.open(found.meta.key(), Arc::clone(&found.sealed), ring);
        match tokio::time::timeout(PATIENCE, opening).await {
            Ok(Ok(items)) => {
                self.audit(found);
                Ok(items)
            }
            Ok(Err(pool::Failed::NotOpened(why))) => Err(reason::not_opened(&why).into()),
            Ok(Err(pool::Failed::NotRendered(why))) => Err(reason::not_rendered(&why).into()),
            Ok(Err(pool::Failed::Panicked)) => Err(Verdict::new(reason::ERR_UNSEAL, PANICKED).into()),
            Err(_) => Err(Verdict::new(reason::BUSY, reason::TAKES_LONG).into()),
        }
    }

    async fn run(&self) {
        if let Some((address, desk)) = &self.desk {
            let served = endpoints::serve(*address, http::PATIENCE, Arc::clone(desk).answer()).await;
            if let Err(error) = served {
                tracing::error!("cannot serve kubeseal at {address}: {error}");
                return;
            }
        }
        self.keeper.run().await;
    }

    fn is_alive(&self) -> bool {
        self.pool.is_alive()
    }

    async fn lead(&self, _objects: Objects) -> anyhow::Result<Option<Duration>> {
        self.renewal.fulfil().await
    }
}

impl Bitnami {
    /// Who reads logs of a cluster learns that something was opened, never what was in it.
    fn audit(&self, found: &Found) {
        self.metrics.unseals.get_or_create(&OfKind { kind: Self::NAME }).inc();
        tracing::info!(
            target: "audit",
            kind = Self::NAME,
            namespace = found.meta.namespace,
            name = found.meta.name,
            uid = found.meta.uid,
            generation = found.meta.generation.unwrap_or_default(),
            scope = found.sealed.scope.name(),
            items = found.sealed.items.len(),
            "unsealed"
        );
    }
}

#[cfg(test)]
mod tests;
