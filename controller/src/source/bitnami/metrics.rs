//! The metrics of their controller, under its names: alerts and dashboards that were made for it go on working.
//!
//! Two of them name things of others: `unseal_errors_total` namespaces, `condition_info` objects. How many they name is bounded.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::engine::lease::Leadership;
use crate::engine::object::{Key, Meta};
use crate::managed::reason::{ALREADY_EXISTS, Reason, Standing};
use crate::source::bitnami::http::ByRequest;
use crate::source::bitnami::reason::ERR_UNSEAL;
use crate::source::bitnami::status::Status;

const PREFIX: &str = "sealed_secrets_controller";

/// By which chart and mixin tell installations apart.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// How many objects `condition_info` names, those that are not synced first, and how many namespaces `unseal_errors_total` does:
/// what goes wrong in others has none.
const MOST_OBJECTS: usize = 10_000;
const MOST_NAMESPACES: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    revision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFault {
    reason: &'static str,
    namespace: String,
}

/// What is counted. A copy counts into the same numbers.
#[derive(Clone)]
pub struct TheirMetrics {
    requests: Counter,
    errors: Family<ByFault, Counter>,
    namespaces: Arc<Mutex<HashSet<String>>>,
    pub http: Family<ByRequest, Counter>,
    /// `None` where no object is named.
    conditions: Option<Arc<Conditions>>,
}

impl TheirMetrics {
    pub fn new(leadership: &Leadership, names_objects: bool) -> Self {
        let conditions =
            Conditions { leadership: leadership.clone(), most: MOST_OBJECTS, known: Mutex::default() };
        Self {
            requests: Counter::default(),
            errors: Family::default(),
            namespaces: Arc::default(),
            http: Family::default(),
            conditions: names_objects.then(|| Arc::new(conditions)),
        }
    }

    pub fn register(&self, registry: &mut Registry) {
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { revision: env!("CARGO_PKG_VERSION") }).set(1);
        let all = registry.sub_registry_with_prefix(PREFIX);
        all.register("build_info", "The version", build);
        all.register("unseal_requests", "SealedSecrets of bitnami.com looked at", self.requests.clone());
        all.register("unseal_errors", "Those that came to nothing, by reason", self.errors.clone());
        all.register("http_requests", "Requests of kubeseal", self.http.clone());
        if let Some(conditions) = &self.conditions {
            all.register_collector(Box::new(Arc::clone(conditions)));
        }
    }

    /// Something was said of an object, or, without a reason, could not be.
    pub fn count(&self, namespace: &str, reason: Option<Reason>) {
        let fault = match reason {
            None => "status",
            Some(reason) => {
                self.requests.inc();
                match reason {
                    reason if reason.standing == Standing::Good => return,
                    ERR_UNSEAL => "unseal",
                    ALREADY_EXISTS => "unmanaged",
                    _ => "update",
                }
            }
        };
        let mut known = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let is_named = known.contains(namespace) || known.len() < MOST_NAMESPACES;
        let namespace = if is_named { namespace } else { "" };
        known.insert(namespace.to_owned());
        self.errors.get_or_create(&ByFault { reason: fault, namespace: namespace.to_owned() }).inc();
    }

    /// An object says this.
    pub fn seen(&self, meta: &Meta, status: &Status) {
        let Some(conditions) = &self.conditions else { return };
        conditions.set(
            meta.key(),
            status.synced_as_number().map(|synced| {
                let instance =
                    meta.labels.get(INSTANCE).map(|instance| instance.as_str()).unwrap_or_default();
                Said { synced, instance: instance.into() }
            }),
        );
    }

    /// One is gone.
    pub fn forget(&self, key: &Key) {
        self.conditions.iter().for_each(|conditions| conditions.set(key.clone(), None));
    }
}

/// What objects say of themselves; only the replica that leads tells it.
struct Conditions {
    leadership: Leadership,
    most: usize,
    known: Mutex<BTreeMap<Key, Said>>,
}

struct Said {
    /// 1 if it is synced, -1 if not, 0 if that is not known.
    synced: i64,
    instance: Box<str>,
}

impl Conditions {
    fn set(&self, key: Key, said: Option<Said>) {
        let mut known = self.lock();
        known.remove(&key);
        let Some(said) = said else { return };
        if known.len() >= self.most {
            let room = known.iter().find(|(_, other)| other.synced == 1).map(|(key, _)| key.clone());
            match room.filter(|_| said.synced != 1) {
                Some(other) => known.remove(&other),
                None => return,
            };
        }
        known.insert(key, said);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Said>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conditions(..)")
    }
}

impl Collector for Conditions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if !self.leadership.is_leader() {
            return Ok(());
        }
        let help = "What SealedSecrets say of themselves: -1 (false), 0 (unknown), 1 (true)";
        let mut all = encoder.encode_descriptor("condition_info", help, None, MetricType::Gauge)?;
        for (key, Said { synced, instance }) in &*self.lock() {
            let labels = [
                ("namespace", key.namespace()),
                ("name", key.name()),
                ("condition", "Synced"),
                ("ss_app_kubernetes_io_instance", instance),
            ];
            ConstGauge::new(*synced).encode(all.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::metrics::text;
    use crate::managed::reason::IMMUTABLE;
    use crate::page;
    use crate::source::bitnami::reason::{BUSY, UNSEALED};

    fn metrics(names_objects: bool, most: usize) -> (TheirMetrics, Registry, Leadership) {
        let (leadership, mut registry) = (Leadership::new(), Registry::default());
        leadership.lead_alone();
        let mut metrics = TheirMetrics::new(&leadership, names_objects);
        metrics.conditions = metrics
            .conditions
            .map(|_| Arc::new(Conditions { leadership: leadership.clone(), most, known: Mutex::default() }));
        metrics.register(&mut registry);
        (metrics, registry, leadership)
    }

    fn see(metrics: &TheirMetrics, name: &str, synced: &str) {
        let meta = json!({"name": name, "namespace": "shop", "labels": {INSTANCE: "chart"}});
        let meta: Meta = serde_json::from_value(meta).unwrap();
        let conditions = json!([{"type": "Other", "status": "True"}, {"type": "Synced", "status": synced}]);
        metrics.seen(&meta, &serde_json::from_value(json!({"conditions": conditions})).unwrap());
    }

    #[test]
    fn conditions_have_the_labels_of_their_controller_and_go_with_their_objects() {
        let (metrics, registry, _) = metrics(true, 10);
        for (name, synced) in [("a", "True"), ("b", "False"), ("c", "Unknown")] {
            see(&metrics, name, synced);
        }
        for (name, value) in [("a", 1), ("b", -1), ("c", 0)] {
            let line = format!(
                "sealed_secrets_controller_condition_info{{namespace=\"shop\",name=\"{name}\",condition=\"Synced\",\
                 ss_app_kubernetes_io_instance=\"chart\"}} {value}\n"
            );
            assert!(text(&registry).contains(&line), "{line} in\n{}", text(&registry));
        }
        assert!(text(&registry).contains("sealed_secrets_controller_build_info{revision=\""));
        see(&metrics, "b", "True");
        assert!(!text(&registry).contains(" -1\n"));
        metrics.forget(&Key::new("shop", "a"));
        assert!(!text(&registry).contains("name=\"a\""));
    }

    #[test]
    fn the_page_has_every_one_of_them() {
        let (metrics, registry, _) = metrics(true, 2);
        see(&metrics, "a", "True");
        metrics.count("shop", Some(ERR_UNSEAL));
        metrics.http.get_or_create(&ByRequest { path: "x", code: 200, method: "get" }).inc();
        let served = page::metrics_served(&text(&registry));
        assert_eq!(served, page::metrics_said("### Metrics of sealed-secrets"));
    }

    #[test]
    fn only_so_many_are_named_and_those_that_are_not_synced_first() {
        let (metrics, registry, _) = metrics(true, 2);
        for (name, synced) in
            [("a", "True"), ("b", "True"), ("c", "True"), ("d", "False"), ("e", "False"), ("f", "False")]
        {
            see(&metrics, name, synced);
        }
        let text = text(&registry);
        let named: Vec<_> = ["a", "b", "c", "d", "e", "f"]
            .into_iter()
            .filter(|name| text.contains(&format!("name=\"{name}\"")))
            .collect();
        assert_eq!(named, ["d", "e"]);
    }

    #[test]
    fn no_object_is_named_where_nobody_wants_that_or_another_replica_leads() {
        let (metrics, registry, _) = metrics(false, 2);
        see(&metrics, "a", "False");
        assert!(!text(&registry).contains("condition_info"));
        let leadership = Leadership::new();
        let (metrics, mut registry) = (TheirMetrics::new(&leadership, true), Registry::default());
        metrics.register(&mut registry);
        see(&metrics, "a", "False");
        assert!(!text(&registry).contains("condition_info"));
        leadership.lead_alone();
        assert!(text(&registry).contains("condition_info"));
    }

    #[test]
    fn errors_have_the_reasons_of_their_controller_and_name_so_many_namespaces() {
        let (metrics, registry, _) = metrics(true, 2);
        let all = [Some(UNSEALED), Some(ERR_UNSEAL), Some(ALREADY_EXISTS), Some(IMMUTABLE), Some(BUSY), None];
        all.into_iter().for_each(|reason| metrics.count("shop", reason));
        let all = text(&registry);
        for (reason, count) in [("unseal", 1), ("unmanaged", 1), ("update", 2), ("status", 1)] {
            let line = format!("unseal_errors_total{{reason=\"{reason}\",namespace=\"shop\"}} {count}\n");
            assert!(all.contains(&line), "{line} in\n{all}");
        }
        assert!(all.contains("sealed_secrets_controller_unseal_requests_total 5\n"), "{all}");
        (0..2 * MOST_NAMESPACES).for_each(|index| metrics.count(&index.to_string(), Some(ERR_UNSEAL)));
        let all = text(&registry);
        assert_eq!(all.matches("reason=\"unseal\"").count(), MOST_NAMESPACES + 1);
        assert!(
            all.contains(&format!("reason=\"unseal\",namespace=\"\"}} {}\n", MOST_NAMESPACES + 1)),
            "{all}"
        );
    }
}
