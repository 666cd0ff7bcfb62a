//! One object after another, against an API server that says what a test wants.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::engine::metrics::ByState;
use crate::engine::mock;
use crate::engine::object::Bare;
use crate::keys::metrics::KeyMetrics;
use crate::managed::memory::Settled;
use crate::managed::slim::{self, Held};
use crate::settings::Cli;
use crate::source::permitted::Permitted;
use crate::source::wishes::{LAMP, LOUD, ROOM, Wish, Wishes, fulfilled, granted, wish};
use crate::source::{self, Startup};

/// An API server with one wish, and what it answers to the write of its Secret.
async fn managed(answer: impl Fn() -> (u16, String) + Send + Sync + 'static) -> (Managed<Wishes>, mock::Log) {
    let none = (404, "{}".to_owned());
    managed_with(wish(), move |asked| if asked.starts_with("PATCH") { answer() } else { none.clone() }).await
}

/// An API server with this wish, and what it answers to questions about its Secret.
async fn managed_with(
    wish: Value,
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> (Managed<Wishes>, mock::Log) {
    let (managed, asked, _) = managed_by(Wishes::default(), wish, answer).await;
    (managed, asked)
}

/// What was sent: each body, with what it was sent to.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// The same, by this source.
async fn managed_by(
    source: Wishes,
    wish: Value,
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> (Managed<Wishes>, mock::Log, Sent) {
    let (body, sent) = (wish.to_string(), Sent::default());
    let seen = Arc::clone(&sent);
    let answer = move |asked: &str, body: &[u8]| {
        seen.lock().unwrap().push((word(asked), serde_json::from_slice(body).unwrap_or_default()));
        answer(asked)
    };
    let answer = move |asked: &str, sent: &[u8]| {
        let (status, body) = match asked.split_once(' ') {
            Some(("GET", path)) if path.contains("/wishes/w") => (200, body.clone()),
            Some((_, path)) if path.contains("/secrets/w") => answer(asked, sent),
            Some(("PATCH" | "POST", _)) => {
                answer(asked, sent);
                (200, "{}".to_owned())
            }
            _ => (404, "{}".to_owned()),
        };
        mock::Reply::Says(status, body)
    };
    let (client, asked) = mock::start_with(Duration::ZERO, answer).await;
    let metrics = Arc::new(Metrics::new());
    let api = ApiServer::new(client, Arc::clone(&metrics));
    let leadership = Leadership::new();
    leadership.lead_alone();
    let (secrets, breaker) = (Arc::new(Store::new(1)), Arc::default());
    let events = Events::start(api.clone(), "test", "one", Arc::clone(&metrics));
    let queue = Arc::new(Queue::new(1, metrics.queue_seconds.clone()));
    let marks = Arc::new(source::marks(&[source::Kind::of::<Wishes>()]));
    let context =
        Context { api, events, metrics, leadership, queue, secrets, breaker, marks, rooms: Arc::default() };
    let managed = Managed::new(source, context, 1);
    let wish: Wish = serde_json::from_value(wish).unwrap();
    managed.objects.apply(0, Event::Listed(wish), |wish| managed.slim(wish));
    (managed, asked, sent)
}

fn made(version: &str) -> Bare {
    let meta = json!({"metadata": {"name": "w", "namespace": "shop", "resourceVersion": version}});
    serde_json::from_value(meta).unwrap()
}

/// What a request was about.
fn word(asked: &str) -> String {
    let (method, path) = asked.split_once(' ').unwrap();
    format!("{method} {}", path.rsplit("/shop/").next().unwrap().split('?').next().unwrap())
}

fn words(asked: &mock::Log) -> Vec<String> {
    asked.lock().unwrap().iter().map(|asked| word(asked)).collect()
}

fn sent_to(sent: &Sent, what: &str) -> Value {
    let sent = sent.lock().unwrap();
    sent.iter().find(|(word, _)| word == what).unwrap_or_else(|| panic!("{sent:?}")).1.clone()
}

/// Status, events, reasons and words are those of the kind, and none are those of another.
#[tokio::test]
async fn what_is_said_is_in_the_words_of_its_kind() {
    let granted = |_: &str| (201, granted("7").to_string());
    let say = async |wish: Value| {
        let (managed, _, sent) = managed_by(Wishes::default(), wish, granted).await;
        assert_eq!(managed.reconcile(&Key::new("shop", "w")).await, Next::Wait);
        managed.context.events.written().await;
        (sent_to(&sent, "PATCH wishes/w/status")["status"].clone(), sent_to(&sent, "POST events"))
    };
    let (status, event) = say(wish()).await;
    assert_eq!(status, fulfilled("7"));
    assert_eq!([&event["reason"], &event["action"], &event["type"]], ["Granted", "Grant", "Normal"]);
    let mut wish = wish();
    wish["text"] = "two unicorns".into();
    let (status, event) = say(wish).await;
    assert_eq!(status, json!({"said": "TooMuch", "of": 1, "by": 0, "secret": null}));
    assert_eq!([&event["reason"], &event["note"]], ["TooMuch", "there is one at most"]);
    assert_eq!(event["type"], "Warning");
}

/// What any Secret can come to is said by the names that the kind has for it.
#[tokio::test]
async fn a_kind_has_its_own_names_for_what_all_kinds_share() {
    let shared = reason::SHARED.iter().map(|shared| Wishes::WORDS.of(*shared));
    assert!(shared.into_iter().all(|own| Wishes::REASONS.contains(&own)));
    let mut foreign = granted("7");
    foreign["metadata"]["ownerReferences"] = json!([]);
    let mut key = foreign.clone();
    key["metadata"]["labels"] = json!({LAMP: "lit"});
    key["metadata"]["annotations"] = json!({ROOM: "yes"});
    let said = ["it was not wished for", "it holds keys of the controller"];
    for (secret, said) in [foreign, key].into_iter().zip(said) {
        let mut wish = wish();
        wish["status"] = json!({"said": "Granted", "of": 1});
        let answer = move |_: &str| (200, secret.to_string());
        let (managed, asked, sent) = managed_by(Wishes::default(), wish, answer).await;
        assert!(matches!(managed.reconcile(&Key::new("shop", "w")).await, Next::Retry(_)));
        managed.context.events.written().await;
        assert_eq!(words(&asked), ["GET wishes/w", "GET secrets/w", "PATCH wishes/w/status", "POST events"]);
        assert_eq!(sent_to(&sent, "PATCH wishes/w/status")["status"]["said"], "Taken");
        let event = sent_to(&sent, "POST events");
        assert_eq!([&event["reason"], &event["note"]], ["Taken", &*format!("the Secret w exists: {said}")]);
        managed.count(true);
        let taken = ByState { kind: Wishes::NAME, reason: "Taken", standing: "stalled" };
        assert_eq!(managed.context.metrics.objects.get_or_create(&taken).get(), 1);
    }
}

/// What the program fails on is that object's matter alone, and said of it, wherever it fails.
#[tokio::test]
async fn an_object_that_the_controller_fails_on_says_so() {
    let mut wish = wish();
    wish["text"] = "a curse".into();
    let (managed, _, sent) = managed_by(Wishes::default(), wish, |_| (404, "{}".to_owned())).await;
    // As with all that this kind calls too much.
    assert_eq!(managed.reconcile(&Key::new("shop", "w")).await, Next::Wait);
    managed.context.events.written().await;
    assert_eq!(sent_to(&sent, "PATCH wishes/w/status")["status"]["said"], "TooMuch");
    assert_eq!(sent_to(&sent, "POST events")["note"], reason::PANICKED);
    // When the watch told of it, and when it was looked at.
    assert_eq!(managed.context.metrics.panics.get(), 2);
}

/// A status that cannot be written is a failure like others: it takes longer and longer, in the quota of all of them.
#[tokio::test]
async fn a_status_that_nobody_can_write_is_tried_more_and_more_slowly() {
    for (code, at_once) in [(404, 0), (409, CONFLICTS_UNSAID)] {
        let (managed, _) = managed(|| (404, "{}".to_owned())).await;
        let refused = json!({"kind": "Status", "code": code}).to_string();
        let (client, _) = mock::start_slow(Duration::ZERO, move |_| (code, refused.clone())).await;
        let mut refusing = managed.context();
        refusing.api = ApiServer::new(client, Arc::clone(&managed.context.metrics));
        let found: Wish = serde_json::from_value(wish()).unwrap();
        let refusing = Managed::new(Wishes::default(), refusing, 1);
        let (key, status, mut waits) = (Key::new("shop", "w"), refusing.source.status(&found), Vec::new());
        for _ in 0..10 {
            let done = Verdict::new(Wishes::WORDS.right, "").into();
            waits.push(refusing.conclude(&key, found.meta(), status, done, 0).await);
        }
        let soon = waits.iter().filter(|next| matches!(next, Next::Soon(_))).count();
        assert_eq!(soon, at_once as usize, "{code}: {waits:?}");
        assert!(matches!(waits[9], Next::Retry(wait) if wait > Duration::from_secs(25)), "{code}: {waits:?}");
    }
}

/// An annotation that decides what is written changes without a new generation, while the controller runs and while it is
/// down.
#[tokio::test]
async fn an_annotation_that_asks_for_something_is_no_less_than_a_generation() {
    let granted = |_: &str| (200, granted("7").to_string());
    let annotated = |key: &str| {
        let mut wish = wish();
        wish["status"] = fulfilled("7");
        wish["metadata"]["annotations"] = json!({key: "yes"});
        wish
    };
    let key = Key::new("shop", "w");
    for (annotation, is_looked_at) in [("theirs", false), (LOUD, true)] {
        let (managed, asked, sent) = managed_by(Wishes::default(), annotated(annotation), granted).await;
        see(&managed, "7");
        let looked = async || {
            managed.reconcile(&key).await;
            std::mem::take(&mut *asked.lock().unwrap()).iter().any(|asked| asked.contains("/wishes/w"))
        };
        assert_eq!(looked().await, is_looked_at, "{annotation}");
        let loud = sent.lock().unwrap().iter().any(|(_, body)| body["data"]["text"] == "QSBQT05Z");
        assert_eq!(loud, is_looked_at, "{annotation}");
        // It was settled without the annotation, and the watch tells of it.
        let plain: Wish = serde_json::from_value(wish()).unwrap();
        let plain = managed.slim(&plain);
        managed.memory.settle(
            &key,
            Some(Settled {
                seen: slim::seen(plain.identity, plain.revision),
                secret_version: "7".into(),
                losses: 0,
            }),
        );
        assert_eq!(looked().await, is_looked_at, "{annotation}");
    }
}

/// A Secret of somebody else who has room for it: their values stay, and it stays theirs.
#[tokio::test]
async fn what_others_keep_in_a_secret_with_room_stays() {
    let theirs = |text: Option<&str>| {
        let mut secret = json!({"metadata": {"name": "w", "namespace": "shop", "resourceVersion": "7", "uid": "s",
            "labels": {"theirs": "1"}, "annotations": {ROOM: "yes"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true}]},
            "data": {"theirs": "MQ=="}});
        if let Some(text) = text {
            secret["data"]["text"] = text.into();
        }
        secret
    };
    let answer = move |asked: &str| match asked.starts_with("GET") {
        true => (200, theirs(None).to_string()),
        false => (200, theirs(Some("YSBwb255")).to_string()),
    };
    let mut wish = wish();
    wish["status"] = json!({"said": "Taken", "of": 1});
    let (managed, asked, sent) = managed_by(Wishes::default(), wish, answer).await;
    assert_eq!(managed.reconcile(&Key::new("shop", "w")).await, Next::Wait);
    let expected = ["GET wishes/w", "GET secrets/w", "PATCH secrets/w", "PATCH wishes/w/status"];
    assert_eq!(words(&asked)[..4], expected);
    let secret = sent_to(&sent, "PATCH secrets/w");
    assert_eq!(secret["data"], json!({"text": "YSBwb255"}));
    assert!(secret["metadata"].get("ownerReferences").is_none());
    assert_eq!(sent_to(&sent, "PATCH wishes/w/status")["status"]["said"], "Granted");
}

/// A kind that has keys says by itself when some have gone: what was right is looked at again then.
#[tokio::test]
async fn what_was_right_is_looked_at_again_when_keys_of_its_kind_have_gone() {
    let (held, keys) = watch::channel(Keys::Unknown);
    let mut wish = wish();
    wish["status"] = fulfilled("7");
    let granted = |_: &str| (200, granted("7").to_string());
    let (managed, asked, _) = managed_by(Wishes::by(keys), wish, granted).await;
    for event in [Event::Begun, Event::<Wish>::Complete] {
        managed.objects.apply(1, event, |wish| managed.slim(wish));
    }
    see(&managed, "7");
    assert!(managed.listed() == Listed::NotYet && managed.keys().is_some());
    held.send_replace(Keys::Unavailable);
    assert_eq!(managed.listed(), Listed::Unavailable);
    // What nobody can open now is left as it is.
    let key = Key::new("shop", "w");
    assert_eq!((managed.reconcile(&key).await, words(&asked).len()), (Next::Wait, 0));
    held.send_replace(Keys::Held(Held::default()));
    assert_eq!((managed.reconcile(&key).await, words(&asked).len()), (Next::Wait, 0));
    held.send_replace(Keys::Held(Held { losses: 1, ..Held::default() }));
    assert_eq!(managed.reconcile(&key).await, Next::Wait);
    assert_eq!(words(&asked), ["GET wishes/w", "GET secrets/w"]);
}

#[tokio::test]
async fn a_kind_that_only_its_source_knows_becomes_a_secret() {
    let (managed, asked) = managed(|| (201, granted("7").to_string())).await;
    let key = Key::new("shop", "w");
    assert_eq!(managed.reconcile(&key).await, Next::Wait);
    managed.context.events.written().await;
    let expected = ["GET wishes/w", "PATCH secrets/w", "PATCH wishes/w/status", "POST events"];
    assert_eq!(words(&asked), expected);
    // It is settled: as long as the Secret is this one, nothing is asked.
    see(&managed, "7");
    assert_eq!(managed.saw_secret(&key, Some("7")), None);
    assert_eq!(managed.saw_secret(&key, Some("8")), Some(Duration::ZERO));
    assert_eq!(managed.saw_secret(&Key::new("shop", "x"), Some("8")), None);
    assert_eq!((managed.reconcile(&key).await, words(&asked).len()), (Next::Wait, 4));
    see(&managed, "8");
    managed.reconcile(&key).await;
    assert!(words(&asked).len() > 4);
}

/// The watch tells of this version of the Secret.
fn see(managed: &Managed<Wishes>, version: &str) {
    let version_of = |found: &Bare| found.metadata.resource_version.as_str().into();
    managed.context.secrets.apply(0, Event::Changed(made(version)), version_of);
}

/// What is right by its status costs nothing at a start, unless this controller makes Secrets otherwise than the one
/// that says so: then each is looked at once, and none of them before others.
#[tokio::test]
async fn an_upgrade_looks_at_what_is_right_only_when_its_number_says_so() {
    let mut wish = wish();
    wish["status"] = fulfilled("7");
    let start = async |writer: u32| {
        let granted = |_: &str| (200, granted("7").to_string());
        let (mut managed, asked) = managed_with(wish.clone(), granted).await;
        managed.writer = writer;
        see(&managed, "7");
        let key = Key::new("shop", "w");
        let is_outdated = managed.is_outdated(&key);
        assert_eq!(managed.reconcile(&key).await, Next::Wait);
        (is_outdated, words(&asked))
    };
    assert_eq!(start(Wishes::WRITER).await, (false, Vec::new()));
    let looked = ["GET wishes/w", "GET secrets/w"].map(str::to_owned).to_vec();
    assert_eq!(start(Wishes::WRITER + 1).await, (true, looked));
}

/// Whoever annotates Secrets all the time makes us write a status now and then.
#[tokio::test]
async fn a_new_version_alone_is_said_later_and_once() {
    let version = Arc::new(AtomicU32::new(7));
    let current = Arc::clone(&version);
    let granted = move |_: &str| (200, granted(&current.load(Ordering::SeqCst).to_string()).to_string());
    let mut wish = wish();
    wish["status"] = fulfilled("7");
    let (managed, asked) = managed_with(wish, granted).await;
    let key = Key::new("shop", "w");
    for number in 8..12 {
        version.store(number, Ordering::SeqCst);
        see(&managed, &number.to_string());
        let next = managed.reconcile(&key).await;
        assert!(matches!(next, Next::Soon(wait) if wait > Duration::from_secs(20)), "{next:?}");
        // It is known all the same.
        assert_eq!(managed.reconcile(&key).await, Next::Wait);
    }
    assert!(!words(&asked).iter().any(|asked| asked.starts_with("PATCH")), "{asked:?}");
    managed.memory.make_due(&key);
    assert_eq!(managed.reconcile(&key).await, Next::Wait);
    assert_eq!(words(&asked).last().unwrap(), "PATCH wishes/w/status");
    let count = words(&asked).len();
    assert_eq!((managed.reconcile(&key).await, words(&asked).len()), (Next::Wait, count));
}

/// An API server that is busy is left alone, and nothing is said of any object; one that fails at an object is said
/// of that object, when it has failed three times.
#[tokio::test]
async fn an_outage_is_nothing_that_is_said_of_an_object() {
    let answers = |code: u16| {
        let details = json!({"retryAfterSeconds": u8::from(code == 429)});
        move || (code, json!({"kind": "Status", "code": code, "details": details}).to_string())
    };
    let key = Key::new("shop", "w");
    let is_said = |asked: &mock::Log| words(asked).iter().any(|asked| asked.ends_with("/status"));
    let (busy, asked) = managed(answers(429)).await;
    for _ in 0..FAILURES_UNSAID + 2 {
        assert!(matches!(busy.reconcile(&key).await, Next::Retry(_)));
    }
    assert!(!is_said(&asked), "{asked:?}");
    assert_eq!(busy.context.metrics.outages.get(), 4);
    let start = Instant::now();
    busy.context.breaker.closed().await;
    assert!(start.elapsed() > Duration::from_millis(500), "{:?}", start.elapsed());

    // One that says that it is not there may not know the kind yet: only the watch brings its end.
    let gone = Key::new("shop", "gone");
    let wish = json!({"metadata": {"name": "gone", "namespace": "shop"}, "text": "x"});
    let wish: Wish = serde_json::from_value(wish).unwrap();
    busy.objects.apply(0, Event::Listed(wish), |wish| busy.slim(wish));
    assert!(matches!(busy.reconcile(&gone).await, Next::Retry(_)));

    let (failing, asked) = managed(answers(500)).await;
    for _ in 0..FAILURES_UNSAID {
        assert!(matches!(failing.reconcile(&key).await, Next::Retry(_)));
    }
    assert!(!is_said(&asked), "{asked:?}");
    assert!(matches!(failing.reconcile(&key).await, Next::Retry(_)));
    assert!(is_said(&asked), "{asked:?}");
}

/// Large ones wait for each other, and hold no worker meanwhile.
#[tokio::test]
async fn a_large_one_without_room_gives_its_worker_back() {
    let (managed, asked) = managed(|| (201, granted("7").to_string())).await;
    let key = Key::new("shop", "w");
    let mut large = managed.objects.get(&key).unwrap();
    large.weight = LARGE + 1;
    managed.objects.apply(0, Event::Changed(made("5")), |_| large.clone());
    let others = managed.large.enter(&Key::new("hostile", "w"), LARGE_AT_ONCE).unwrap();
    assert!(matches!(managed.reconcile(&key).await, Next::Soon(_)) && words(&asked).is_empty());
    drop(others);
    // It is called.
    assert_eq!(managed.context.queue.next().await.key, key);
    assert_eq!(managed.reconcile(&key).await, Next::Wait);
}

/// A Secret of another type cannot be changed into the one that is asked for: that is said once, and looked at less and less
/// often.
#[tokio::test]
async fn a_secret_of_another_type_is_said_once_and_asked_for_less_and_less() {
    let secret = || {
        let mut secret = granted("7");
        secret["type"] = "kubernetes.io/tls".into();
        (200, secret.to_string())
    };
    let (managed, asked, sent) = managed_by(Wishes::default(), wish(), move |asked| match asked {
        _ if asked.starts_with("GET") => secret(),
        _ => (409, "{}".to_owned()),
    })
    .await;
    let key = Key::new("shop", "w");
    let mut waits = Vec::new();
    for _ in 0..9 {
        let Next::Retry(wait) = managed.reconcile(&key).await else { panic!("{asked:?}") };
        waits.push(wait);
        // The watch tells of what was said.
        let mut said = wish();
        said["status"] = sent_to(&sent, "PATCH wishes/w/status")["status"].clone();
        managed.see(serde_json::from_value(said).unwrap());
    }
    managed.context.events.written().await;
    assert!(waits[8] > Duration::from_secs(30), "{waits:?}");
    let event = sent_to(&sent, "POST events");
    assert_eq!([&event["reason"], &event["note"]], ["Taken", "it cannot change"]);
    let status = sent_to(&sent, "PATCH wishes/w/status");
    assert_eq!(status["status"]["said"], "Taken");
    assert!(!words(&asked)[2..].iter().any(|asked| asked.starts_with("PATCH secrets")), "{asked:?}");
}

/// The leader may come to its duties again before a watch tells what it has made: it is one key all the same.
#[tokio::test]
async fn a_key_that_was_made_is_not_made_again_under_another_name() {
    let (managed, _, sent) = managed_by(Wishes::default(), wish(), |_| (200, "{}".to_owned())).await;
    let settings = Cli::try_parse_from(["sealant-controller"]).unwrap().settings;
    let mut startup = Startup {
        settings: &settings,
        namespace: "home",
        context: managed.context.clone(),
        permitted: Permitted::new(Vec::new(), &[]),
        key_metrics: KeyMetrics::new(&managed.context.metrics),
        registry: &mut Registry::default(),
        watches: 1,
    };
    let wishes = Wishes::start(&mut startup).unwrap().unwrap();
    for _ in 0..2 {
        wishes.lead(Objects { is_empty: true, is_partial: false }).await.unwrap();
    }
    let sent = sent.lock().unwrap();
    let made = sent.iter().filter(|(word, _)| word.starts_with("POST") && word.ends_with("/secrets"));
    let names: Vec<&Value> = made.map(|(_, manifest)| &manifest["metadata"]["name"]).collect();
    assert_eq!(names, ["lamp", "lamp"]);
}
