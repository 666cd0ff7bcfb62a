//! What is counted, for Prometheus. No value and no name of an object or an item is ever a label.

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
pub struct ByOutcome {
    pub outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByOrigin {
    pub from: &'static str,
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
    pub outdated: Family<OfKind, Gauge>,
    pub queued: Gauge,
    pub oldest_queued: Gauge<f64, AtomicU64>,
    pub queue_seconds: Histogram,
    pub leader: Gauge,
    pub lease_changes: Counter,
    pub lease_failures: Counter,
    pub identities: Gauge,
    pub broken_identities: Gauge,
    pub seconds: Family<OfKind, Histogram, fn() -> Histogram>,
    pub recipients_published: Gauge<f64, AtomicU64>,
    pub lists: Family<OfKind, Counter>,
    pub watch_failures: Family<OfKind, Counter>,
    pub unreadable: Family<OfKind, Counter>,
    pub events_lost: Counter,
    pub outages: Counter,
    pub api_requests: Family<ByCode, Counter>,
    pub data_keys: Family<ByOrigin, Counter>,
    pub vault_seconds: Family<ByOutcome, Histogram, fn() -> Histogram>,
    pub waiting_for_vault: Gauge,
    pub memory: Gauge,
}

/// From a millisecond to a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            writes: Family::default(),
            unseals: Counter::default(),
            conflicts: Counter::default(),
            panics: Counter::default(),
            objects: Family::default(),
            outdated: Family::default(),
            queued: Gauge::default(),
            oldest_queued: Gauge::default(),
            queue_seconds: seconds(),
            leader: Gauge::default(),
            lease_changes: Counter::default(),
            lease_failures: Counter::default(),
            identities: Gauge::default(),
            broken_identities: Gauge::default(),
            seconds: Family::new_with_constructor(seconds),
            recipients_published: Gauge::default(),
            lists: Family::default(),
            watch_failures: Family::default(),
            unreadable: Family::default(),
            events_lost: Counter::default(),
            outages: Counter::default(),
            api_requests: Family::default(),
            data_keys: Family::default(),
            vault_seconds: Family::new_with_constructor(seconds),
            waiting_for_vault: Gauge::default(),
            memory: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        // Dashboards look for it under this name, whatever program it is.
        let memory = self.memory.clone();
        self.registry.register("process_resident_memory_bytes", "Memory that is in use", memory);
        let all = self.registry.sub_registry_with_prefix("sealant");
        all.register("build", "The version", build);
        all.register("reconciles", "Objects looked at, by outcome", self.reconciles.clone());
        all.register("writes", "Writes of Secrets and statuses", self.writes.clone());
        all.register("unseals", "SealedSecrets opened", self.unseals.clone());
        all.register("conflicts", "Writes refused because the object had changed", self.conflicts.clone());
        all.register("panics", "Bugs in the controller", self.panics.clone());
        all.register("objects", "Objects by what is said of them", self.objects.clone());
        all.register("outdated", "Objects whose Secret is of an older release", self.outdated.clone());
        all.register("queued", "Objects that wait", self.queued.clone());
        all.register("oldest_queued_seconds", "How long the oldest waits", self.oldest_queued.clone());
        all.register("queue_seconds", "How long objects have waited", self.queue_seconds.clone());
        all.register("leader", "1 for the replica that writes", self.leader.clone());
        all.register(
            "lease_changes",
            "Changes of this replica between leading and not",
            self.lease_changes.clone(),
        );
        all.register("lease_failures", "Renewals of the Lease that failed", self.lease_failures.clone());
        all.register("identities", "Identities in use", self.identities.clone());
        all.register("broken_identities", "Identities that cannot be used", self.broken_identities.clone());
        all.register("reconcile_seconds", "How long one object takes", self.seconds.clone());
        all.register(
            "recipients_published_timestamp_seconds",
            "When the recipients were last published by this replica",
            self.recipients_published.clone(),
        );
        all.register("lists", "Lists of all objects that were started", self.lists.clone());
        all.register("watch_failures", "Lists and watches that failed", self.watch_failures.clone());
        all.register("unreadable", "Objects that could not be read", self.unreadable.clone());
        all.register("events_lost", "Events that were not written", self.events_lost.clone());
        all.register(
            "outages",
            "Requests that failed because the API server was busy or gone",
            self.outages.clone(),
        );
        all.register("api_requests", "Requests to the API server", self.api_requests.clone());
        all.register("data_keys", "Data keys, by where they came from", self.data_keys.clone());
        all.register("vault_seconds", "How long servers took to open data keys", self.vault_seconds.clone());
        all.register("waiting_for_vault", "Objects that wait for servers", self.waiting_for_vault.clone());
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

/// How many bytes of memory this process uses, as the kernel counts them.
pub fn resident_memory() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::page;
    use crate::source::sealed::reason;

    const OPERATIONS: &str = include_str!("../../../docs/operations.md");
    const ALERTS: &str = include_str!("../../../deploy/components/monitoring/alerts.yaml");

    /// Each metric with its labels, as it is served when everything has happened once.
    fn served() -> BTreeMap<String, BTreeSet<String>> {
        let metrics = Metrics::new();
        let (kind, reason, verb) = ("x", "x", "x");
        metrics.reconciles.get_or_create(&ByReason { kind, reason }).inc();
        metrics.writes.get_or_create(&ByVerb { kind, verb }).inc();
        metrics.objects.get_or_create(&ByReason { kind, reason }).set(1);
        metrics.outdated.get_or_create(&OfKind { kind }).set(1);
        metrics.seconds.get_or_create(&OfKind { kind }).observe(1.0);
        for family in [&metrics.lists, &metrics.watch_failures, &metrics.unreadable] {
            family.get_or_create(&OfKind { kind }).inc();
        }
        metrics.api_requests.get_or_create(&ByCode { method: "GET".to_owned(), code: 200 }).inc();
        metrics.data_keys.get_or_create(&ByOrigin { from: "x" }).inc();
        metrics.vault_seconds.get_or_create(&ByOutcome { outcome: "x" }).observe(1.0);
        let text = metrics.text();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let name = |(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => String::from(name),
        };
        let labels = |name: &str| {
            let samples = text.lines().filter(|line| line.starts_with(name));
            let inner = samples.filter_map(|line| line.split_once('{')?.1.split_once('}'));
            let pairs = inner.flat_map(|(labels, _)| labels.split(','));
            let names = pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
            names.filter(|name| name != "le").collect()
        };
        types.map(name).map(|name| (name.clone(), labels(&name))).collect()
    }

    /// Whoever adds a metric says what it means and what to do about it, and nothing is said of one that is not there.
    #[test]
    fn the_page_has_every_metric() {
        let said: BTreeSet<_> =
            page::column_of(OPERATIONS, "## Metrics", 1).into_iter().map(str::to_owned).collect();
        assert_eq!(said, served().into_keys().collect());
        let labels = page::column_of(OPERATIONS, "## Metrics", 2);
        let labels =
            labels.into_iter().map(|cell| cell.split(", ").map(|label| label.trim_matches('`').to_owned()));
        let said: BTreeMap<String, BTreeSet<String>> = page::column_of(OPERATIONS, "## Metrics", 1)
            .into_iter()
            .map(str::to_owned)
            .zip(labels.map(|cell| cell.filter(|label| !label.is_empty()).collect()))
            .collect();
        assert_eq!(said, served());
    }

    /// Words that look like names of metrics.
    fn names_in(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words
            .filter(|word| word.starts_with("sealant_") || word.starts_with("process_"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn alerts_are_explained_and_are_about_metrics_that_there_are() {
        let rules: Value = serde_yaml::from_str(ALERTS).unwrap();
        let rules: Vec<&Value> = rules["spec"]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .collect();
        let names: Vec<_> = rules.iter().filter_map(|rule| rule["alert"].as_str()).collect();
        assert_eq!(names, page::column_of(OPERATIONS, "### Alerts", 1));
        let served = served();
        for rule in rules {
            let (alert, expr) = (&rule["alert"], rule["expr"].as_str().unwrap());
            let severity = rule["labels"]["severity"].as_str().unwrap();
            assert!(["critical", "warning"].contains(&severity), "{alert}");
            assert!(rule["annotations"]["summary"].is_string() && rule["for"].is_string(), "{alert}");
            let used = names_in(expr);
            assert!(!used.is_empty(), "{alert}");
            for name in used {
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let labels = served.get(&name).or_else(|| served.get(family?));
                let labels = labels.unwrap_or_else(|| panic!("{alert}: {name} is not there"));
                let (_, after) = expr.split_once(&name).unwrap();
                let Some(selector) = after.strip_prefix('{').and_then(|after| after.split_once('}')) else {
                    continue;
                };
                for label in selector.0.split(',').map(|pair| pair.split(['=', '!']).next().unwrap()) {
                    assert!(labels.contains(label), "{alert}: {name} has no label {label}");
                }
            }
            for used in expr
                .split("reason")
                .skip(1)
                .filter_map(|part| part.split('"').nth(1))
                .flat_map(|one| one.split('|'))
            {
                assert!(reason::ALL.iter().any(|known| known.name == used), "{alert}: {used}");
            }
        }
    }

    #[test]
    fn memory_is_what_the_kernel_says() {
        assert!(resident_memory().unwrap() > 1 << 20);
    }
}
