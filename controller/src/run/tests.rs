//! Everything that is counted, and the whole of the controller against an API server that says what a test wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::engine::metrics::{ByCode, ByReason, ByVerb, Metrics};
use crate::engine::mock;
use crate::keys::metrics::{ByOrigin, ByOutcome, KeyMetrics};
use crate::page;
use crate::settings::Cli;
use crate::source::bitnami::KeyCounts;
use crate::source::sealed::reason;
use crate::source::wishes::{self, granted, wish};

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const ALERTS: &str = include_str!("../../../deploy/components/monitoring/alerts.yaml");

/// Each metric with its labels, as it is served when everything has happened once.
fn served() -> BTreeMap<String, BTreeSet<String>> {
    let (metrics, mut registry) = (Metrics::new(), Registry::default());
    let of_keys = KeyMetrics::new(&metrics);
    metrics.register(&mut registry);
    of_keys.register(&mut registry);
    KeyCounts::default().register(&mut registry);
    let (kind, reason, verb) = ("x", "x", "x");
    metrics.reconciles.get_or_create(&ByReason { kind, reason }).inc();
    metrics.writes.get_or_create(&ByVerb { kind, verb }).inc();
    metrics.objects.get_or_create(&ByReason { kind, reason }).set(1);
    metrics.outdated.get_or_create(&OfKind { kind }).set(1);
    metrics.refused.get_or_create(&OfKind { kind }).set(1);
    metrics.seconds.get_or_create(&OfKind { kind }).observe(1.0);
    for family in [&metrics.lists, &metrics.watch_failures, &metrics.unreadable] {
        family.get_or_create(&OfKind { kind }).inc();
    }
    metrics.api_requests.get_or_create(&ByCode { method: "GET".to_owned(), code: 200 }).inc();
    of_keys.unseals.get_or_create(&OfKind { kind }).inc();
    of_keys.data_keys.get_or_create(&ByOrigin { from: "x" }).inc();
    of_keys.vault_seconds.get_or_create(&ByOutcome { outcome: "x" }).observe(1.0);
    let text = metrics::text(&registry);
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

/// An API server with one wish, which knows the kind only after a while.
async fn without_wishes() -> (Client, mock::Log, Arc<AtomicBool>) {
    let is_installed = Arc::<AtomicBool>::default();
    let installed = Arc::clone(&is_installed);
    let status = |code: u16| mock::Reply::Says(code, json!({"kind": "Status", "code": code}).to_string());
    let answer = move |asked: &str, _: &[u8]| {
        let (method, path) = asked.split_once(' ').unwrap();
        let is_list = method == "GET" && path.contains("limit=");
        let list = |items: Value| {
            let list = json!({"metadata": {"resourceVersion": "7"}, "items": items});
            mock::Reply::Says(200, list.to_string())
        };
        match method {
            "GET" if path.contains("sendInitialEvents") => status(422),
            "GET" if path.contains("watch=") => mock::Reply::Silent,
            "GET" if path.contains("/wishes") && !installed.load(Ordering::SeqCst) => status(404),
            "GET" if path.contains("/wishes") && is_list => list(json!([wish()])),
            "GET" if path.contains("/wishes/w") => mock::Reply::Says(200, wish().to_string()),
            "GET" if is_list => list(json!([])),
            "GET" => status(404),
            "POST" if path.contains("/secrets") => {
                mock::Reply::Says(201, json!({"metadata": {"name": "made"}}).to_string())
            }
            "PATCH" if path.contains("/secrets/w") => mock::Reply::Says(201, granted("9").to_string()),
            _ => mock::Reply::Says(200, json!({}).to_string()),
        }
    };
    let (client, asked) = mock::start_with(Duration::ZERO, answer).await;
    (client, asked, is_installed)
}

/// A kind that nobody has installed holds up no other: what is to be done for others is done, the controller is well, and
/// says so. When it is installed, its objects are looked after.
#[tokio::test]
async fn a_kind_that_is_not_there_yet_holds_up_no_other() {
    let (client, asked, is_installed) = without_wishes().await;
    let flags = ["sealant-controller", "--leader-elect=false", "--concurrency=2"];
    let settings = Cli::try_parse_from(flags).unwrap().settings;
    let kinds = [source::sealed::KIND, wishes::KIND];
    let parts = Parts::new(settings, "home".to_owned(), client.clone(), "me", &kinds).unwrap();
    let tasks = start(&parts);
    let (_stop, stopped) = watch::channel(false);
    let lease = tokio::spawn(hold_lease(Arc::clone(&parts), client, "me".to_owned(), stopped.clone()));
    let workers = start_workers(&parts, &stopped);
    let is_asked = |start: &str| asked.lock().unwrap().iter().any(|asked| asked.starts_with(start));
    let until = async |is_so: &dyn Fn() -> bool| {
        for _ in 0..1000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not come to that: {asked:?}");
    };
    let refused =
        || metrics::text(&parts.registry).contains("sealant_refused_watches{kind=\"wishes.example.com\"} 1");
    // The first identity is a duty of the leader for the kind that is there.
    until(&|| is_asked("POST /api/v1/namespaces/home/secrets") && refused()).await;
    assert!(parts.is_ready() && parts.is_alive() && parts.leadership.is_leader());
    assert!(!is_asked("PATCH /api/v1/namespaces/shop/secrets/w"));
    let made = || {
        asked.lock().unwrap().iter().filter(|asked| asked.starts_with("POST /api/v1/namespaces/home")).count()
    };
    assert_eq!(made(), 1);

    is_installed.store(true, Ordering::SeqCst);
    // Its object is looked after, and its leader's duty done.
    until(&|| is_asked("PATCH /api/v1/namespaces/shop/secrets/w") && made() == 2 && !refused()).await;
    until(&|| metrics::text(&parts.registry).contains("wishes_granted_total 1")).await;
    drop((tasks, workers));
    lease.abort();
}
