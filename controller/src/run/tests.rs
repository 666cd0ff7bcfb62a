//! Everything that is counted, and the whole of the controller against an API server that says what a test wants.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, Parser};
use serde_json::{Value, json};

use super::*;
use crate::engine::metrics::{ByCode, ByReason, ByState, ByVerb};
use crate::engine::mock;
use crate::keys::metrics::{ByOrigin, ByOutcome};
use crate::page;
use crate::settings::Cli;
use crate::source::Kind;
use crate::source::bitnami::Bitnami;
use crate::source::sealed::Sealed;
use crate::source::wishes::{Wishes, granted, wish};

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const ALERTS: &str = include_str!("../../../deploy/components/monitoring/alerts.yaml");

/// A controller that looks after each kind that there is, whatever flags they want for that, and does nothing yet.
async fn with_all_kinds() -> Arc<Parts> {
    let is_off = |flag: &&clap::Arg| flag.get_default_values() == ["false"];
    let command = Cli::command();
    let wanted = command.get_arguments().filter(is_off).filter_map(clap::Arg::get_long);
    let wanted = wanted.map(|flag| format!("--{flag}=true"));
    let flags = ["sealant-controller".to_owned()].into_iter().chain(wanted);
    let settings = Cli::try_parse_from(flags).unwrap().settings;
    let (client, _) = mock::start_slow(Duration::ZERO, |_| (404, "{}".to_owned())).await;
    let parts = Parts::new(settings, "home".to_owned(), client, "me", source::KINDS).unwrap();
    let wanted = "a kind that no flag of true or false switches on needs its flags here";
    assert_eq!(parts.kinds.len(), source::KINDS.len(), "{wanted}");
    parts
}

/// Each metric with its labels, as it is served when everything that all kinds share has happened once. Of those that only one
/// kind has, labels are known where it has counted something by then.
async fn served() -> page::Metrics {
    let parts = with_all_kinds().await;
    let (metrics, of_keys) = (&parts.metrics, &parts.key_metrics);
    let (kind, reason, verb, standing) = ("x", "x", "x", "x");
    metrics.reconciles.get_or_create(&ByReason { kind, reason }).inc();
    metrics.writes.get_or_create(&ByVerb { kind, verb }).inc();
    metrics.objects.get_or_create(&ByState { kind, reason, standing }).set(1);
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
    let served = page::metrics_served(&metrics::text(&parts.registry));
    // A kind may have more, of another program: it looks at them itself.
    served.into_iter().filter(|(name, _)| !names_in(name).is_empty()).collect()
}

/// Whoever adds a metric says what it means and what to do about it, and nothing is said of one that is not there.
#[tokio::test]
async fn the_page_has_every_metric() {
    assert_eq!(page::metrics_said("## Metrics"), served().await);
}

/// Words that look like names of metrics.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("sealant_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn alerts_are_explained_and_are_about_metrics_that_there_are() {
    let rules: Value = serde_yaml::from_str(ALERTS).unwrap();
    let rules: Vec<&Value> = rules["spec"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    let names: Vec<_> = rules.iter().filter_map(|rule| rule["alert"].as_str()).collect();
    assert_eq!(names, page::column_of(OPERATIONS, "### Alerts", 1));
    let served = served().await;
    let said = said_by_all_kinds().await;
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
            for pair in selector.0.split(',') {
                let (label, value) = pair.split_once(['=', '!']).unwrap();
                assert!(labels.contains(label), "{alert}: {name} has no label {label}");
                let values = value.trim_matches(['=', '~', '"']).split('|');
                for value in values.filter(|_| name == "sealant_objects") {
                    assert!(said.contains(&(label.to_owned(), value.to_owned())), "{alert}: {label} {value}");
                }
            }
        }
    }
}

/// The values of labels of `sealant_objects`, whatever kind says them: alerts need no change for another kind, and none of them
/// is about a reason that nobody has.
async fn said_by_all_kinds() -> BTreeSet<(String, String)> {
    let parts = with_all_kinds().await;
    parts.kinds.iter().for_each(|kind| kind.count(true));
    let text = metrics::text(&parts.registry);
    let samples = text.lines().filter(|line| line.starts_with("sealant_objects{"));
    let labels = samples.filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0.split(',')));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('"').to_owned())
    };
    labels.flatten().map(pair).collect()
}

/// A controller that leads, beside an API server with one wish.
struct Running {
    parts: Arc<Parts>,
    asked: mock::Log,
    /// Whether what failed at first does so no more.
    is_mended: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
    _workers: JoinSet<()>,
    _stop: watch::Sender<bool>,
}

impl Running {
    /// At first the API server answers with a code whatever is asked for with such words in it, or not at all.
    async fn start(flags: &[&str], kinds: &[Kind], fault: (&'static str, Option<u16>)) -> Self {
        let is_mended = Arc::<AtomicBool>::default();
        let mended = Arc::clone(&is_mended);
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
                "GET" if path.contains(fault.0) && !mended.load(Ordering::SeqCst) => {
                    fault.1.map_or(mock::Reply::Silent, status)
                }
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
        let flags = [&["sealant-controller", "--leader-elect=false", "--concurrency=2"][..], flags].concat();
        let settings = Cli::try_parse_from(flags).unwrap().settings;
        let parts = Parts::new(settings, "home".to_owned(), client.clone(), "me", kinds).unwrap();
        let mut tasks = super::start(&parts);
        let (stop, stopped) = watch::channel(false);
        tasks.spawn(hold_lease(Arc::clone(&parts), client, "me".to_owned(), stopped.clone()));
        let workers = start_workers(&parts, &stopped);
        Self { parts, asked, is_mended, _tasks: tasks, _workers: workers, _stop: stop }
    }

    fn mend(&self) {
        self.is_mended.store(true, Ordering::SeqCst);
    }

    fn count(&self, start: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(start)).count()
    }

    fn counts(&self, sample: &str) -> bool {
        metrics::text(&self.parts.registry).contains(sample)
    }

    /// Waits until something is so.
    async fn until(&self, is_so: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not come to that: {:?}", self.asked);
    }
}

/// Where the controller makes its first identity: that is a duty of the leader for a kind that is there.
const MADE_AT_HOME: &str = "POST /api/v1/namespaces/home/secrets";
const WISH_GRANTED: &str = "PATCH /api/v1/namespaces/shop/secrets/w";

/// A kind that nobody has installed, or that the API server fails at, holds up no other: what is to be done for others is done,
/// the controller is well, and says so. When it is there, its objects are looked after.
#[tokio::test]
async fn a_kind_that_is_not_there_yet_holds_up_no_other() {
    for code in [404, 500] {
        let kinds = [Kind::of::<Sealed>(), Kind::of::<Wishes>()];
        let running = Running::start(&[], &kinds, ("/wishes", Some(code))).await;
        let is_refused = || running.counts("sealant_refused_watches{kind=\"wishes.example.com\"} 1");
        running.until(|| running.count(MADE_AT_HOME) > 0 && is_refused() == (code == 404)).await;
        assert!(running.parts.is_ready() && running.parts.is_alive(), "{code}");
        assert!(running.parts.leadership.is_leader(), "{code}");
        assert_eq!((running.count(MADE_AT_HOME), running.count(WISH_GRANTED)), (1, 0), "{code}");
        running.mend();
        // Its object is looked after, and its leader's duty done.
        let is_done = || running.count(WISH_GRANTED) > 0 && running.count(MADE_AT_HOME) == 2;
        running.until(|| is_done() && !is_refused()).await;
        running.until(|| running.counts("wishes_granted_total 1")).await;
    }
}

/// Nor does one whose keys cannot be read, at a start: its own objects wait for them, and no others.
#[tokio::test]
async fn keys_that_cannot_be_read_hold_up_their_own_kind_alone() {
    for asked_for in ["/secrets/sealed-secrets-key", "kube-system/secrets?"] {
        let kinds = [Kind::of::<Bitnami>(), Kind::of::<Wishes>()];
        let running = Running::start(&["--bitnami"], &kinds, (asked_for, Some(500))).await;
        running.until(|| running.count(WISH_GRANTED) > 0).await;
        let bitnami = &running.parts.kinds[0];
        assert!(running.parts.is_ready() && bitnami.listed() != Listed::Complete, "{asked_for}");
        running.mend();
        running.until(|| bitnami.listed() == Listed::Complete).await;
    }
}

/// Nor does one of which nothing is heard at all, but for a while.
#[tokio::test]
async fn a_kind_that_nobody_hears_of_holds_the_others_up_for_a_while_only() {
    let kinds = [Kind::of::<Sealed>(), Kind::of::<Wishes>()];
    let running = Running::start(&[], &kinds, ("/wishes", None)).await;
    let listed = |index: usize| running.parts.kinds[index].listed();
    running.until(|| listed(0) == Listed::Complete && running.count("GET /apis/example.com") > 0).await;
    assert_eq!(listed(1), Listed::NotYet);
    let parts = &running.parts;
    running.until(|| parts.secrets.listed() == Listed::Complete).await;
    assert!(!parts.is_ready_after(Duration::ZERO) && parts.is_ready_after(HOLDS_UP));
}
