//! SealedSecrets of `bitnami.com`: looked after in the place of the controller of sealed-secrets, with its keys, for whoever
//! asks for it with `--bitnami`.
//!
//! What it made is right as it is: nothing is written because another controller has come. A Secret is known by its owner
//! reference alone, and carries no mark of ours. Status, reasons and the words of what does not open are theirs.

mod keyring;
mod pool;
mod reason;
mod resource;
pub mod settings;
mod status;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sealant::bitnami;
use tokio::sync::watch;

use crate::engine::metrics::OfKind;
use crate::engine::object::Key;
use crate::keys::metrics::KeyMetrics;
use crate::managed::decide::{Desired, Verdict};
use crate::managed::reason::{PANICKED, Reason, Words};
use crate::managed::secret::Items;
use crate::managed::slim::{About, Keys};
use crate::source::policy::Policy;
use crate::source::{NoValues, Source, Startup};
use keyring::{Keeper, KeyCounts, Keyring};
use pool::Pool;
use resource::Found;
use status::Status;

/// How long opening may take, with the wait for others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Those SealedSecrets, and what opens them.
pub struct Bitnami {
    pool: Pool,
    policy: Policy,
    keeper: Keeper,
    ring: watch::Receiver<Keyring>,
    keys: watch::Receiver<Keys>,
    metrics: KeyMetrics,
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
            ring: ring_sender,
            keys: keys_sender,
        };
        let metrics = startup.key_metrics.clone();
        let pool = Pool::start(metrics.panics.clone()).context("no threads for opening")?;
        let policy = startup.policy.clone();
        Ok(Some(Self { pool, policy, keeper, ring, keys, metrics }))
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

    fn forget(&self, key: &Key) {
        self.pool.forget(key);
    }

    fn desired(&self, found: &Found) -> Result<Desired, Verdict> {
        resource::desired(found, &self.policy)
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
        self.keeper.run().await;
    }

    fn is_alive(&self) -> bool {
        self.pool.is_alive()
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
