//! What is counted, for Prometheus. No value and no name of an item is ever a label.

use std::fmt::Write;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    pub reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByVerb {
    pub verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    pub kind: &'static str,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    pub reconciles: Family<ByReason, Counter>,
    pub writes: Family<ByVerb, Counter>,
    pub unseals: Counter,
    pub conflicts: Counter,
    pub panics: Counter,
    pub objects: Family<ByReason, Gauge>,
    pub queued: Gauge,
    pub leader: Gauge,
    pub identities: Gauge,
    pub broken_identities: Gauge,
    pub seconds: Histogram,
    pub recipients_published: Gauge<f64, AtomicU64>,
    pub lists: Family<OfKind, Counter>,
    pub watch_failures: Family<OfKind, Counter>,
    pub unreadable: Family<OfKind, Counter>,
    pub events_lost: Counter,
    pub outages: Counter,
}

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sealant"),
            reconciles: Family::default(),
            writes: Family::default(),
            unseals: Counter::default(),
            conflicts: Counter::default(),
            panics: Counter::default(),
            objects: Family::default(),
            queued: Gauge::default(),
            leader: Gauge::default(),
            identities: Gauge::default(),
            broken_identities: Gauge::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 4.0, 9)),
            recipients_published: Gauge::default(),
            lists: Family::default(),
            watch_failures: Family::default(),
            unreadable: Family::default(),
            events_lost: Counter::default(),
            outages: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let all = &mut self.registry;
        all.register("build", "The version", build);
        all.register("reconciles", "SealedSecrets looked at, by outcome", self.reconciles.clone());
        all.register("writes", "Writes to the API server", self.writes.clone());
        all.register("unseals", "SealedSecrets opened", self.unseals.clone());
        all.register("conflicts", "Writes that somebody else was faster than", self.conflicts.clone());
        all.register("panics", "Errors in the controller itself", self.panics.clone());
        all.register("sealedsecrets", "SealedSecrets by what is said of them", self.objects.clone());
        all.register("queued", "SealedSecrets that wait", self.queued.clone());
        all.register("leader", "1 for the replica that writes", self.leader.clone());
        all.register("identities", "Identities at hand", self.identities.clone());
        all.register("broken_identities", "Identities that cannot be used", self.broken_identities.clone());
        all.register("reconcile_seconds", "How long one SealedSecret takes", self.seconds.clone());
        all.register(
            "recipients_published_timestamp_seconds",
            "When the recipients were last published by this replica",
            self.recipients_published.clone(),
        );
        all.register("lists", "Lists of all objects that were begun", self.lists.clone());
        all.register("watch_failures", "Lists and watches that failed", self.watch_failures.clone());
        all.register("unreadable", "Objects that could not be read", self.unreadable.clone());
        all.register("events_lost", "Events that were not written", self.events_lost.clone());
        all.register("outages", "Times the API server was too busy, or gone", self.outages.clone());
    }

    /// All of them, as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
            let _ = write!(text, "# the metrics could not be written\n# EOF\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::column;

    #[test]
    fn the_page_has_every_metric() {
        let metrics = Metrics::new();
        metrics.reconciles.get_or_create(&ByReason { reason: "x" }).inc();
        metrics.writes.get_or_create(&ByVerb { verb: "x" }).inc();
        metrics.objects.get_or_create(&ByReason { reason: "x" }).set(1);
        for family in [&metrics.lists, &metrics.watch_failures, &metrics.unreadable] {
            family.get_or_create(&OfKind { kind: "x" }).inc();
        }
        let text = metrics.text();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let names = types.map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        });
        assert_eq!(names.collect::<Vec<_>>(), column("## Metrics", 1));
    }
}
