//! One object after another, against an API server that says what a test wants.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::engine::mock;
use crate::engine::object::Bare;
use crate::source::wishes::{Wish, Wishes, fulfilled, granted, wish};

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
    let context = Context { api, events, metrics, leadership, queue, secrets, breaker };
    let managed = Managed::new(source, context, 1);
    let wish: Wish = serde_json::from_value(wish).unwrap();
    managed.objects.apply(0, Event::Listed(wish), |wish| managed.source.slim(wish));
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

/// Status, events, reasons and words are those of the kind, and none are those of another.
#[tokio::test]
async fn what_is_said_is_in_the_words_of_its_kind() {
    let granted = |_: &str| (201, granted("7").to_string());
    let say = async |wish: Value| {
        let (managed, _, sent) = managed_by(Wishes::default(), wish, granted).await;
        assert_eq!(managed.reconcile(&Key::new("shop", "w")).await, Next::Wait);
        managed.context.events.written().await;
        let of = |what: &str| {
            let sent = sent.lock().unwrap();
            sent.iter().find(|(word, _)| word == what).unwrap_or_else(|| panic!("{sent:?}")).1.clone()
        };
        (of("PATCH wishes/w/status")["status"].clone(), of("POST events"))
    };
    let (status, event) = say(wish()).await;
    assert_eq!(status, fulfilled("7"));
    assert_eq!([&event["reason"], &event["action"], &event["type"]], ["Granted", "Grant", "Normal"]);
    let mut wish = wish();
    wish["text"] = "two unicorns".into();
    let (status, event) = say(wish).await;
    assert_eq!(status, json!({"said": "TooMuch", "of": 1, "secret": null}));
    assert_eq!([&event["reason"], &event["note"]], ["TooMuch", "there is one at most"]);
    assert_eq!(event["type"], "Warning");
}

/// A kind that has keys says by itself when some have gone: what was right is looked at again then.
#[tokio::test]
async fn what_was_right_is_looked_at_again_when_keys_of_its_kind_have_gone() {
    let (held, keys) = watch::channel(None);
    let mut wish = wish();
    wish["status"] = fulfilled("7");
    let granted = |_: &str| (200, granted("7").to_string());
    let (managed, asked, _) = managed_by(Wishes { keys: Some(keys) }, wish, granted).await;
    for event in [Event::Begun, Event::<Wish>::Complete] {
        managed.objects.apply(1, event, |wish| managed.source.slim(wish));
    }
    see(&managed, "7");
    assert!(!managed.is_complete() && managed.keys_in_use().is_some());
    held.send_replace(Some(Held::default()));
    let key = Key::new("shop", "w");
    assert_eq!((managed.reconcile(&key).await, words(&asked).len()), (Next::Wait, 0));
    held.send_replace(Some(Held { losses: 1, ..Held::default() }));
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
    assert_eq!(start(WRITER).await, (false, Vec::new()));
    let looked = ["GET wishes/w", "GET secrets/w"].map(str::to_owned).to_vec();
    assert_eq!(start(WRITER + 1).await, (true, looked));
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
    busy.objects.apply(0, Event::Listed(wish), |wish| busy.source.slim(wish));
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
    let others = managed.room.try_acquire_many(LARGE_AT_ONCE).unwrap();
    assert!(matches!(managed.reconcile(&key).await, Next::Soon(_)) && words(&asked).is_empty());
    assert!(managed.room_for(LARGE).is_ok());
    drop(others);
    assert_eq!(managed.reconcile(&key).await, Next::Wait);
}
