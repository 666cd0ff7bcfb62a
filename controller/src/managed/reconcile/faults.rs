//! Each request of each kind of work fails once in each way that a request can fail: what comes of it is right all the same,
//! nothing is written twice, nothing is said of the object meanwhile, and the API server is left alone as long as it wants.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::engine::mock::{self, Reply};
use crate::engine::object::Bare;
use crate::managed::write::NOT_THERE;
use crate::source::wishes::{Wish, Wishes, fulfilled, granted, wish};

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// With this code, and nothing is done.
    Code(u16),
    /// The connection ends, before it is done or after.
    LostBefore,
    LostAfter,
    /// It is done, and no answer comes.
    Silent,
}

const FAULTS: [Fault; 7] = [
    Fault::Code(409),
    Fault::Code(429),
    Fault::Code(500),
    Fault::Code(503),
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::Silent,
];

/// How long the API server asks to be left alone with a 429.
const ALONE: Duration = Duration::from_secs(3);

/// An API server that keeps one wish and its Secret as a real one does: each write has to be bound to what is there.
#[derive(Debug, Clone, Default)]
struct World {
    wish: Value,
    secret: Option<Value>,
    version: u64,
    /// What was done: creates, updates and deletions of the Secret, and writes of the status.
    done: Vec<&'static str>,
    /// The reasons and the words of events.
    told: Vec<(Value, Value)>,
    /// Which request fails, and how.
    fault: Option<(usize, Fault)>,
    count: usize,
}

impl World {
    fn answer(&mut self, asked: &str, body: &[u8]) -> Reply {
        let (method, path) = asked.split_once(' ').unwrap();
        if path.contains("/events") {
            let event: Value = serde_json::from_slice(body).unwrap_or_default();
            self.told.push((event["reason"].clone(), event["note"].clone()));
            return says(201, json!({}));
        }
        let fault = self.fault.filter(|(at, _)| *at == self.count).map(|(_, fault)| fault);
        self.count += 1;
        match fault {
            None => self.act(method, path, body),
            Some(Fault::LostBefore) => Reply::Lost,
            Some(Fault::Code(code)) => says(code, refused(code)),
            Some(Fault::LostAfter) => {
                self.act(method, path, body);
                Reply::Lost
            }
            Some(Fault::Silent) => {
                self.act(method, path, body);
                Reply::Silent
            }
        }
    }

    fn act(&mut self, method: &str, path: &str, body: &[u8]) -> Reply {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_of_secret = path.contains("/secrets");
        match method {
            "GET" if is_of_secret => self.secret.clone().map_or_else(not_found, |it| says(200, it)),
            "GET" => says(200, self.wish.clone()),
            "POST" if path.contains("dryRun=All") => says(201, body),
            "DELETE" if self.secret.as_ref().is_some_and(|it| is_bound(&body["preconditions"], it)) => {
                self.secret = None;
                self.done.push("delete");
                says(200, json!({"kind": "Status", "status": "Success"}))
            }
            "PATCH" if is_of_secret => self.write_secret(body),
            "PATCH" if path.contains("/status") && is_bound(&body["metadata"], &self.wish) => {
                self.wish["status"] = body["status"].clone();
                self.wish["metadata"]["resourceVersion"] = self.next_version();
                self.done.push("status");
                says(200, self.wish.clone())
            }
            _ => says(409, refused(409)),
        }
    }

    /// What the server-side apply of the only manager makes of it.
    fn write_secret(&mut self, mut body: Value) -> Reply {
        let is_there = self.secret.is_some();
        let may = match &self.secret {
            None => body["metadata"]["resourceVersion"] == NOT_THERE,
            Some(found) => is_bound(&body["metadata"], found),
        };
        if !may {
            return says(409, refused(409));
        }
        body["metadata"]["resourceVersion"] = self.next_version();
        body["metadata"]["uid"] = "s".into();
        self.done.push(if is_there { "update" } else { "create" });
        self.secret = Some(body.clone());
        says(if is_there { 200 } else { 201 }, body)
    }

    fn next_version(&mut self) -> Value {
        self.version += 1;
        self.version.to_string().into()
    }
}

fn is_bound(said: &Value, found: &Value) -> bool {
    said["resourceVersion"] == found["metadata"]["resourceVersion"]
        && (said["uid"].is_null() || said["uid"] == found["metadata"]["uid"])
}

fn says(code: u16, body: Value) -> Reply {
    Reply::Says(code, body.to_string())
}

fn not_found() -> Reply {
    says(404, refused(404))
}

fn refused(code: u16) -> Value {
    let alone = if code == 429 { ALONE.as_secs() } else { 0 };
    json!({"kind": "Status", "status": "Failure", "code": code, "details": {"retryAfterSeconds": alone}})
}

/// What there is at the beginning.
fn scenarios() -> Vec<(&'static str, World)> {
    let new = World { wish: wish(), version: 100, ..World::default() };
    let mut secret = granted("7");
    secret["metadata"]["uid"] = "s".into();
    let mut changed = World { secret: Some(secret), ..new.clone() };
    changed.wish["text"] = "two ponies".into();
    changed.wish["metadata"]["generation"] = 2.into();
    changed.wish["status"] = fulfilled("7");
    let mut deleted = new.clone();
    deleted.wish["status"] = fulfilled("7");
    let mut immutable = changed.clone();
    immutable.wish["immutable"] = true.into();
    if let Some(secret) = &mut immutable.secret {
        secret["immutable"] = true.into();
    }
    vec![
        ("a new one", new),
        ("one that has changed", changed),
        ("one whose Secret was deleted", deleted),
        ("one whose Secret cannot change", immutable),
    ]
}

/// Whether something may have been done though nobody has said so.
fn is_answer_lost(fault: Option<(usize, Fault)>) -> bool {
    matches!(fault, Some((_, Fault::LostAfter | Fault::Silent)))
}

/// What has come of a world: all that was done, and how often something failed.
async fn run(what: &str, world: World) -> (World, usize) {
    let (world, fault) = (Arc::new(Mutex::new(world.clone())), world.fault);
    let shared = Arc::clone(&world);
    let answer = move |asked: &str, body: &[u8]| shared.lock().unwrap().answer(asked, body);
    let (client, _) = mock::start_with(Duration::ZERO, answer).await;
    let metrics = Arc::new(Metrics::new());
    let api = ApiServer::new(client, Arc::clone(&metrics));
    let leadership = Leadership::new();
    leadership.lead_alone();
    let events = Events::start(api.clone(), "test", "one", Arc::clone(&metrics));
    let queue = Arc::new(Queue::new(1, metrics.queue_seconds.clone()));
    let (secrets, breaker) = (Arc::new(Store::new(1)), Arc::<Breaker>::default());
    let marks = Arc::default();
    let (rooms, breaker_of_all) = (Arc::default(), Arc::clone(&breaker));
    let context =
        Context { api, events, metrics, leadership, queue, secrets, breaker: breaker_of_all, marks, rooms };
    let mut managed = Managed::new(Wishes::default(), context, 1);
    managed.patience = Duration::from_millis(300);
    let key = Key::new("shop", "w");
    let watch = |managed: &Managed<Wishes>| {
        let world = world.lock().unwrap();
        let found: Wish = serde_json::from_value(world.wish.clone()).unwrap();
        managed.objects.apply(0, Event::Changed(found), |wish| managed.slim(wish));
        if let Some(secret) = world.secret.clone() {
            let found: Bare = serde_json::from_value(secret).unwrap();
            let version = |found: &Bare| found.metadata.resource_version.as_str().into();
            managed.context.secrets.apply(0, Event::Changed(found), version);
        }
    };
    let mut failures = 0;
    loop {
        watch(&managed);
        let next = managed.reconcile(&key).await;
        let waits = match next {
            Next::Wait => break,
            Next::Soon(waits) | Next::Retry(waits) => waits,
        };
        if waits > Duration::from_secs(20) {
            // The Secret was found right, and its new version is said a little later.
            managed.memory.make_due(&key);
            continue;
        }
        // The first wait of all; a conflict, which is nobody's fault, has a quarter of it.
        let shortest = if matches!(fault, Some((_, Fault::Code(409)))) { 62 } else { 250 };
        let bounds = Duration::from_millis(shortest)..=Duration::from_millis(500);
        assert!(bounds.contains(&waits), "{what}: {waits:?}");
        let alone = breaker.pause();
        match fault {
            Some((_, Fault::Code(429))) => {
                assert!(alone > ALONE / 2 && alone <= ALONE, "{what}: {alone:?}");
            }
            Some((_, Fault::Code(409 | 500))) => assert_eq!(alone, Duration::ZERO, "{what}"),
            _ => assert!(alone < Duration::from_millis(50), "{what}: {alone:?}"),
        }
        failures += 1;
        assert!(failures < 5, "{what}: {next:?} for ever");
    }
    // All is settled: nothing more is asked.
    watch(&managed);
    let asked = world.lock().unwrap().count;
    assert_eq!(managed.reconcile(&key).await, Next::Wait, "{what}");
    assert_eq!(world.lock().unwrap().count, asked, "{what}");
    managed.context.events.written().await;
    let writes =
        world.lock().unwrap().done.iter().filter(|done| ["create", "update"].contains(*done)).count();
    let known = managed.memory.writes(&key, Instant::now());
    assert!(known == u32::try_from(writes).unwrap() || is_answer_lost(fault), "{what}: {known} of {writes}");
    let world = world.lock().unwrap().clone();
    (world, failures)
}

#[tokio::test]
async fn a_request_that_fails_costs_a_try_and_nothing_else() {
    for (name, begin) in scenarios() {
        let (right, failures) = run(name, begin.clone()).await;
        assert_eq!(failures, 0, "{name}");
        let requests = right.count;
        for (at, fault) in (0..requests).flat_map(|at| FAULTS.map(|fault| (at, fault))) {
            let what = format!("{name}: request {at} of {requests}: {fault:?}");
            let (found, failures) = run(&what, World { fault: Some((at, fault)), ..begin.clone() }).await;
            assert!(failures <= 1, "{what}: {failures} failures");
            assert_eq!(found.done, right.done, "{what}");
            // What was written is told, though the status cannot be written at once.
            if at == requests - 1 {
                assert_eq!(found.told, right.told, "{what}");
            }
            let [found_secret, right_secret] = [&found, &right].map(|world| world.secret.clone().unwrap());
            assert_eq!(found_secret["data"], right_secret["data"], "{what}");
            let status = &found.wish["status"];
            let generation = &found.wish["metadata"]["generation"];
            let version = &found_secret["metadata"]["resourceVersion"];
            assert_eq!(
                *status,
                json!({"said": "Granted", "of": generation, "by": 0, "secret": version}),
                "{what}"
            );
        }
    }
}
