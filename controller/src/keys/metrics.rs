//! What is counted of keys: which there are, what they have opened, and how long servers took.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::engine::metrics::{Metrics, OfKind, PREFIX, seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByOutcome {
    pub outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByOrigin {
    pub from: &'static str,
}

/// What keys do. A copy counts into the same numbers.
#[derive(Clone)]
pub struct KeyMetrics {
    pub unseals: Family<OfKind, Counter>,
    pub identities: Gauge,
    pub broken_identities: Gauge,
    pub recipients_published: Gauge<f64, AtomicU64>,
    pub data_keys: Family<ByOrigin, Counter>,
    pub vault_seconds: Family<ByOutcome, Histogram, fn() -> Histogram>,
    pub waiting_for_vault: Gauge,
    /// Those of the whole controller.
    pub panics: Counter,
}

impl KeyMetrics {
    pub fn new(of_controller: &Metrics) -> Self {
        Self {
            unseals: Family::default(),
            identities: Gauge::default(),
            broken_identities: Gauge::default(),
            recipients_published: Gauge::default(),
            data_keys: Family::default(),
            vault_seconds: Family::new_with_constructor(seconds),
            waiting_for_vault: Gauge::default(),
            panics: of_controller.panics.clone(),
        }
    }

    pub fn register(&self, registry: &mut Registry) {
        let all = registry.sub_registry_with_prefix(PREFIX);
        all.register("unseals", "Objects opened", self.unseals.clone());
        all.register("identities", "Identities in use", self.identities.clone());
        all.register("broken_identities", "Identities that cannot be used", self.broken_identities.clone());
        all.register(
            "recipients_published_timestamp_seconds",
            "When the recipients were last published by this replica",
            self.recipients_published.clone(),
        );
        all.register("data_keys", "Data keys, by where they came from", self.data_keys.clone());
        all.register("vault_seconds", "How long servers took to open data keys", self.vault_seconds.clone());
        all.register("waiting_for_vault", "Objects waiting for servers", self.waiting_for_vault.clone());
    }
}
