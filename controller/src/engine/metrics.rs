//! What any controller counts, for Prometheus. No value and no name of an object or an item is ever a label.
//!
//! Each part registers what it counts: here is what the engine does, and what the keys do is in `keys/metrics.rs`.

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
    pub kind: &'static str,
    pub reason: &'static str,
}

/// A reason with what it means, so that an alert has to know no kind's reasons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByState {
    pub kind: &'static str,
    pub reason: &'static str,
    pub standing: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByVerb {
    pub kind: &'static str,
    pub verb: &'static str,
}

/// Requests to the API server, by the code of the answer, or 0 when there was none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByCode {
    pub method: String,
    pub code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    pub kind: &'static str,
}

/// What is counted of objects, requests and replicas.
pub struct Metrics {
    pub reconciles: Family<ByReason, Counter>,
    pub writes: Family<ByVerb, Counter>,
    pub conflicts: Counter,
    pub panics: Counter,
    pub objects: Family<ByState, Gauge>,
    pub outdated: Family<OfKind, Gauge>,
    pub refused: Family<OfKind, Gauge>,
    pub queued: Gauge,
    pub oldest_queued: Gauge<f64, AtomicU64>,
    pub queue_seconds: Histogram,
    pub leader: Gauge,
    pub lease_changes: Counter,
    pub lease_failures: Counter,
    pub seconds: Family<OfKind, Histogram, fn() -> Histogram>,
    pub lists: Family<OfKind, Counter>,
    pub watch_failures: Family<OfKind, Counter>,
    pub unreadable: Family<OfKind, Counter>,
    pub events_lost: Counter,
    pub outages: Counter,
    pub api_requests: Family<ByCode, Counter>,
    pub memory: Gauge,
}

/// How names of metrics begin that are ours.
pub const PREFIX: &str = "sealant";

/// From a millisecond to a minute.
pub fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            reconciles: Family::default(),
            writes: Family::default(),
            conflicts: Counter::default(),
            panics: Counter::default(),
            objects: Family::default(),
            outdated: Family::default(),
            refused: Family::default(),
            queued: Gauge::default(),
            oldest_queued: Gauge::default(),
            queue_seconds: seconds(),
            leader: Gauge::default(),
            lease_changes: Counter::default(),
            lease_failures: Counter::default(),
            seconds: Family::new_with_constructor(seconds),
            lists: Family::default(),
            watch_failures: Family::default(),
            unreadable: Family::default(),
            events_lost: Counter::default(),
            outages: Counter::default(),
            api_requests: Family::default(),
            memory: Gauge::default(),
        }
    }

    pub fn register(&self, registry: &mut Registry) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        // Dashboards look for it under this name, whatever program it is.
        let memory = self.memory.clone();
        registry.register("process_resident_memory_bytes", "Memory in use", memory);
        let all = registry.sub_registry_with_prefix(PREFIX);
        all.register("build", "The version", build);
        all.register("reconciles", "Objects looked at, by outcome", self.reconciles.clone());
        all.register("writes", "Writes of Secrets and statuses", self.writes.clone());
        all.register("conflicts", "Writes refused because the object had changed", self.conflicts.clone());
        all.register("panics", "Bugs in the controller", self.panics.clone());
        all.register("objects", "Objects by what is said of them", self.objects.clone());
        all.register("outdated", "Objects whose Secret is of an older release", self.outdated.clone());
        all.register(
            "refused_watches",
            "Watches that are refused, or whose kind is not installed",
            self.refused.clone(),
        );
        all.register("queued", "Objects waiting in the queue", self.queued.clone());
        all.register(
            "oldest_queued_seconds",
            "How long the oldest object has been waiting",
            self.oldest_queued.clone(),
        );
        all.register("queue_seconds", "How long objects have waited", self.queue_seconds.clone());
        all.register("leader", "1 for the replica that writes", self.leader.clone());
        all.register(
            "lease_changes",
            "How often this replica became the leader or ceased to be",
            self.lease_changes.clone(),
        );
        all.register("lease_failures", "Failed renewals of the Lease", self.lease_failures.clone());
        all.register("reconcile_seconds", "How long reconciling one object takes", self.seconds.clone());
        all.register("lists", "Full lists of objects that were started", self.lists.clone());
        all.register("watch_failures", "Failed lists and watches", self.watch_failures.clone());
        all.register("unreadable", "Objects that could not be read", self.unreadable.clone());
        all.register("events_lost", "Events that could not be written", self.events_lost.clone());
        all.register(
            "outages",
            "Requests that failed because the API server was busy or gone",
            self.outages.clone(),
        );
        all.register("api_requests", "Requests to the API server", self.api_requests.clone());
    }
}

/// All that is registered, as Prometheus reads it.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    if encode(&mut text, registry).is_err() {
        text.clear();
        let _ = write!(text, "# the metrics could not be written\n# EOF\n");
    }
    text
}

/// How many bytes of memory this process uses, as the kernel counts them.
pub fn resident_memory() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_kernel_says() {
        assert!(resident_memory().unwrap() > 1 << 20);
    }
}
