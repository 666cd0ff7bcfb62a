//! Keys, objects and Secrets as their controller has them, against an API server that says what a test wants.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::engine::api::ApiServer;
use crate::engine::events::Events;
use crate::engine::lease::Leadership;
use crate::engine::metrics::Metrics;
use crate::engine::mock::{self, Reply};
use crate::engine::object::Bare;
use crate::engine::queue::Queue;
use crate::engine::store::Store;
use crate::engine::watch::Event;
use crate::managed::Next;
use crate::managed::decide::{self, Write};
use crate::managed::reconcile::{Context, Managed};
use crate::managed::secret::Secret;
use crate::managed::write::NOT_THERE;
use crate::source;
use crate::source::bitnami::settings::KeyOrder;
use crate::source::wishes::{ROOM, Wishes, wish};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bitnami").join(name);
    std::io::read_to_string(std::fs::File::open(path).unwrap()).unwrap()
}

/// The Secrets with keys, as a backup has them: those with a label, or the one without.
fn backup(label: Option<&str>) -> Vec<Value> {
    let list: Value = serde_json::from_str(&file("keys/backup-list.json")).unwrap();
    let mut items = list["items"].as_array().unwrap().clone();
    items.retain(|item| item["metadata"]["labels"][bitnami::KEY_LABEL].as_str() == label);
    assert!(!items.is_empty());
    items
}

fn active() -> Vec<Value> {
    backup(Some("active"))
}

/// An object of the fixtures.
fn object(name: &str) -> Value {
    let mut object: Value = serde_yaml::from_str(&file(&format!("manifests/{name}.yaml"))).unwrap();
    object["metadata"]["generation"] = 1.into();
    object["metadata"]["resourceVersion"] = "5".into();
    object
}

fn found(object: Value) -> Found {
    serde_json::from_value(object).unwrap()
}

/// What was written: method and path, with the body.
type Written = Arc<Mutex<Vec<(String, Value)>>>;

/// The kind in a cluster with these keys, this object and, if there is one, its Secret.
async fn managed(keys: &[Value], object: Value, secret: Option<Value>) -> (Managed<Bitnami>, Written) {
    managed_in(keys, object, secret, |_, _| None).await
}

/// The same, where the cluster answers otherwise to some requests.
async fn managed_in(
    keys: &[Value],
    object: Value,
    secret: Option<Value>,
    otherwise: impl Fn(&str, &[u8]) -> Option<Reply> + Send + Sync + 'static,
) -> (Managed<Bitnami>, Written) {
    managed_by(KeyOrder::CertNotBefore, keys, object, secret, otherwise).await
}

/// The same, with keys in this order.
async fn managed_by(
    order: KeyOrder,
    keys: &[Value],
    object: Value,
    secret: Option<Value>,
    otherwise: impl Fn(&str, &[u8]) -> Option<Reply> + Send + Sync + 'static,
) -> (Managed<Bitnami>, Written) {
    let written = Written::default();
    let shared = Arc::clone(&written);
    let keys = keys.to_vec();
    let (of_object, of_secret) = (object.clone(), secret.clone());
    let answer = move |asked: &str, body: &[u8]| {
        let (method, path) = asked.split_once(' ').unwrap();
        let says = |code: u16, body: &Value| Reply::Says(code, body.to_string());
        if let Some(reply) = otherwise(asked, body) {
            return reply;
        }
        match method {
            "GET" if path.contains("sendInitialEvents") => says(422, &json!({"kind": "Status", "code": 422})),
            "GET" if path.contains("watch=") => Reply::Silent,
            "GET" if path.contains("limit=") => {
                says(200, &json!({"metadata": {"resourceVersion": "7"}, "items": keys}))
            }
            "GET" if path.ends_with("/secrets/sealed-secrets-key") => says(200, &backup(None)[0]),
            "GET" if path.contains("/sealedsecrets/") => says(200, &of_object),
            "GET" => match &of_secret {
                Some(secret) => says(200, secret),
                None => says(404, &json!({"kind": "Status", "code": 404})),
            },
            _ => {
                let body: Value = serde_json::from_slice(body).unwrap_or_default();
                let place =
                    format!("{method} {}", path.rsplit('/').next().unwrap().split('?').next().unwrap());
                shared.lock().unwrap().push((place, body.clone()));
                let mut made = body;
                made["metadata"]["resourceVersion"] = "9".into();
                says(200, &made)
            }
        }
    };
    let (client, _) = mock::start_with(Duration::ZERO, answer).await;
    let metrics = Arc::new(Metrics::new());
    let api = ApiServer::new(client, Arc::clone(&metrics));
    let leadership = Leadership::new();
    leadership.lead_alone();
    let context = Context {
        events: Events::start(api.clone(), "test", "one", Arc::clone(&metrics)),
        queue: Arc::new(Queue::new(1, metrics.queue_seconds.clone())),
        secrets: Arc::new(Store::new(1)),
        breaker: Arc::default(),
        rooms: Arc::default(),
        marks: Arc::new(source::marks(source::KINDS)),
        api: api.clone(),
        metrics: Arc::clone(&metrics),
        leadership,
    };
    if let Some(secret) = secret {
        let secret: Bare = serde_json::from_value(secret).unwrap();
        let version = |found: &Bare| found.metadata.resource_version.as_str().into();
        context.secrets.apply(0, Event::Changed(secret), version);
    }
    let (ring_sender, ring) = watch::channel(Keyring::default());
    let (keys_sender, keys) = watch::channel(Keys::Unknown);
    let keeper = Keeper {
        api: api.clone(),
        namespace: "kube-system".to_owned(),
        metrics: Arc::clone(&metrics),
        counts: KeyCounts::default(),
        marks: Arc::clone(&context.marks),
        order,
        ring: ring_sender,
        keys: keys_sender,
    };
    let renewal = Renewal {
        api,
        namespace: "kube-system".to_owned(),
        leadership: context.leadership.clone(),
        ring: ring.clone(),
        keys: keys.clone(),
        rule: Rule::default(),
        valid_for: Duration::from_secs(3600),
        spare: Mutex::default(),
    };
    let metrics = KeyMetrics::new(&metrics);
    let their_metrics = TheirMetrics::new(&context.leadership, true);
    let pool = Arc::new(Pool::start(metrics.panics.clone()).unwrap());
    let mut known = keys.clone();
    let permitted = Permitted::new(Vec::new(), source::KINDS);
    let bitnami =
        Bitnami { pool, permitted, keeper, ring, keys, renewal, desk: None, metrics, their_metrics };
    let managed = Managed::new(bitnami, context, 1);
    managed.see(found(object));
    let running = Arc::new(managed);
    let keeping = Arc::clone(&running);
    let task = tokio::spawn(async move { keeping.source().run().await });
    known.wait_for(|keys| keys.held().is_some()).await.unwrap();
    task.abort();
    let _ = task.await;
    (Arc::into_inner(running).unwrap(), written)
}

/// The Secret that their controller makes of an object of the fixtures.
fn theirs(case: &str) -> Value {
    let cases: Vec<Value> = serde_json::from_str(&file("unseal-cases.json")).unwrap();
    let mut secret = cases.iter().find(|found| found["id"] == case).unwrap()["expect_secret"].clone();
    secret["metadata"]["resourceVersion"] = "7".into();
    secret["metadata"]["uid"] = "s".into();
    secret
}

fn places(written: &Written) -> Vec<String> {
    written.lock().unwrap().iter().map(|(place, _)| place.clone()).collect()
}

#[tokio::test]
async fn a_secret_is_made_as_their_controller_makes_it() {
    let (managed, written) = managed(&active(), object("strict"), None).await;
    assert_eq!(managed.look(&Key::new("myns", "mysecret")).await, Next::Wait);
    assert_eq!(places(&written), ["PATCH mysecret", "PATCH status", "POST events"]);
    let written = written.lock().unwrap();
    let (secret, theirs) = (&written[0].1, theirs("strict"));
    assert_eq!(secret["data"], theirs["data"]);
    let metadata = &secret["metadata"];
    assert_eq!(metadata["ownerReferences"], theirs["metadata"]["ownerReferences"]);
    // No mark of ours.
    assert_eq!([&metadata["labels"], &metadata["annotations"]], [&json!({}); 2]);
    let status = &written[1].1["status"];
    assert_eq!(
        [&status["observedGeneration"], &status["conditions"][0]["status"]],
        [&json!(1), &json!("True")]
    );
    let event = &written[2].1;
    assert_eq!([&event["reason"], &event["note"]], ["Unsealed", "SealedSecret unsealed successfully"]);
}

/// Their controller has made it, and ours comes in its place: nothing is written, and nothing said.
#[tokio::test]
async fn what_their_controller_has_made_is_taken_over_without_a_write() {
    for (name, case) in
        [("strict", "strict"), ("namespace-wide", "namespace-wide"), ("mixed-keys", "mixed-keys")]
    {
        let mut object = object(name);
        object["status"] = json!({"observedGeneration": 1, "conditions": [{"type": "Synced", "status": "True",
            "lastUpdateTime": "2026-11-22T00:00:00Z", "lastTransitionTime": "2026-11-22T00:00:00Z"}]});
        let key = found(object.clone()).meta.key();
        let (managed, written) = managed(&active(), object, Some(theirs(case))).await;
        assert_eq!(managed.look(&key).await, Next::Wait, "{name}");
        assert_eq!(places(&written), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn what_does_not_open_is_said_in_their_words_and_the_secret_stays() {
    let broken: Value = serde_json::from_str(&file("keys/bad-key-secrets.json")).unwrap();
    // Broken keys stop no other, and neither are they used.
    let keys = [broken["items"].as_array().unwrap().clone(), active()].concat();
    let cases = [
        ("two-items-unknown-key", "no key could decrypt secret (a, b)"),
        ("invalid-base64", "illegal base64 data at input byte 12 (foo)"),
        ("strict-renamed", "no key could decrypt secret (foo)"),
        ("v1-and-encrypted-data", reason::BLOB_AND_ITEMS),
        ("v1-data-blob", reason::BLOB),
        ("template-data-parse-error", "template, line 1, column "),
        (
            "template-data-forbidden-func",
            "template, line 1, column 4: the function `env` is refused: a template reads nothing but the items of its own \
             object (bad)",
        ),
    ];
    for (name, message) in cases {
        let key = found(object(name)).meta.key();
        let (managed, written) = managed(&keys, object(name), None).await;
        let KeyCounts { keys, broken, .. } = &managed.source().keeper.counts;
        assert_eq!((keys.get(), broken.get()), (4, 4));
        assert_eq!(managed.look(&key).await, Next::Wait, "{name}");
        assert_eq!(places(&written), ["PATCH status", "POST events"], "{name}");
        let written = written.lock().unwrap();
        let synced = &written[0].1["status"]["conditions"][0];
        let template = name == "template-data-parse-error";
        let is_said = |said: &Value, start: &str| {
            let said = said.as_str().unwrap();
            if template {
                said.starts_with(&format!("{start}{message}"))
            } else {
                said == format!("{start}{message}")
            }
        };
        assert!(synced["status"] == "False" && is_said(&synced["message"], ""), "{name}: {synced}");
        let event = &written[1].1;
        assert!(
            event["reason"] == "ErrUnsealFailed" && is_said(&event["note"], reason::FAILED),
            "{name}: {event}"
        );
    }
}

/// Items that templates make are in the Secret beside the others; what fails says a place and never a value.
#[tokio::test]
async fn templates_make_items_and_their_errors_say_no_values() {
    let made = async |change: &dyn Fn(&mut Value)| {
        let mut object = object("template-data");
        change(&mut object["spec"]["template"]["data"]);
        let key = found(object.clone()).meta.key();
        let (managed, written) = managed(&active(), object, None).await;
        assert_eq!(managed.look(&key).await, Next::Wait);
        let written = written.lock().unwrap();
        written.iter().map(|(place, body)| format!("{place} {body}")).collect::<Vec<_>>()
    };
    let expected: Value = serde_json::from_str::<Value>(&file("unseal-cases.json")).unwrap();
    let case = expected.as_array().unwrap().iter().find(|case| case["id"] == "template-data").unwrap();
    let all = made(&|_| ()).await.join("\n");
    for (item, value) in case["expect_secret"]["data"].as_object().unwrap() {
        assert!(all.contains(&format!("\"{item}\":{value}")), "{item}: {all}");
    }
    // hunter2 is in it.
    for text in [
        "{{ fail .password }}",
        "{{ mustFromJson .password }}",
        "{{ regexFind (print \"(\" .password) \"x\" }}",
    ] {
        let all = made(&|data| data["bar"] = text.into()).await;
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all.iter().all(|said| !said.contains("hunter2")), "{all:?}");
        assert!(all[0].contains("template, line 1, column"), "{all:?}");
    }
}

/// `managed` gives all of a Secret, `patch` room in it, and neither a Secret with a key.
#[test]
fn what_may_be_written_is_theirs_or_was_given() {
    let decided = |change: &dyn Fn(&mut Value)| {
        let mut secret = json!({"metadata": {"name": "mysecret", "namespace": "myns", "uid": "s", "resourceVersion": "7",
            "labels": {"old": "1"}, "annotations": {}}, "data": {"old": "MQ=="}});
        change(&mut secret);
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let desired =
            resource::desired(&found(object("strict")), &Permitted::new(Vec::new(), source::KINDS)).unwrap();
        let marks = source::marks(source::KINDS);
        let desired = decide::claimed(&desired, Some(&secret), &marks).map_err(|verdict| verdict.message)?;
        let items = BTreeMap::from([("foo".to_owned(), b"bar".to_vec().into())]);
        let write = decide::write(Some(&secret), &desired, &items).map_err(|verdict| verdict.message)?;
        let Write::Update(removals) = write else { return Err(format!("{write:?}")) };
        Ok((desired.owned, removals.data.len(), removals.labels.len(), removals.annotations.len()))
    };
    let annotated = |keys: &'static [&'static str]| {
        move |secret: &mut Value| {
            for key in keys {
                secret["metadata"]["annotations"][key] = "true".into();
            }
        }
    };
    assert!(decided(&|_| {}).unwrap_err().starts_with("the Secret mysecret exists: it is not managed"));
    assert_eq!(decided(&annotated(&[bitnami::MANAGED])), Ok((true, 1, 1, 1)));
    assert_eq!(decided(&annotated(&[bitnami::PATCH])), Ok((false, 0, 0, 0)));
    assert_eq!(decided(&annotated(&[bitnami::PATCH, bitnami::MANAGED])), Ok((true, 0, 0, 0)));
    for label in [bitnami::KEY_LABEL, "sealant.dev/identity"] {
        let key = move |secret: &mut Value| {
            annotated(&[bitnami::PATCH, bitnami::MANAGED])(secret);
            secret["metadata"]["labels"][label] = "active".into();
        };
        assert!(decided(&key).unwrap_err().ends_with("it holds keys of the controller"), "{label}");
    }
}

#[test]
fn a_template_makes_no_key_and_no_token() {
    let refused = |template: Value| {
        let mut object = object("strict");
        object["spec"]["template"] = template;
        resource::desired(&found(object), &Permitted::new(Vec::new(), source::KINDS))
            .err()
            .map(|verdict| verdict.message)
    };
    let label = |key: &str| json!({"metadata": {"labels": {key: "active"}}});
    for template in [
        label(bitnami::KEY_LABEL),
        label("sealant.dev/identity"),
        label("sealant.dev/managed"),
        json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "x"}}}),
        json!({"type": "kubernetes.io/service-account-token"}),
    ] {
        assert!(refused(template.clone()).is_some(), "{template}");
    }
    let annotations =
        json!({bitnami::MANAGED: "true", bitnami::PATCH: "true", bitnami::CLUSTER_WIDE: "true"});
    assert_eq!(refused(json!({"type": "kubernetes.io/tls", "metadata": {"annotations": annotations}})), None);
}

/// A Secret that somebody else's object makes gives its author no key.
#[tokio::test]
async fn a_secret_that_was_made_from_an_object_is_no_key() {
    let mut keys = active();
    for key in &mut keys {
        key["metadata"]["ownerReferences"] = json!([{"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "name": "x", "uid": "u", "controller": true}]);
    }
    let (managed, _) = managed(&keys, object("strict"), None).await;
    // The one without a label, which nothing has made, is all that is left.
    assert_eq!(managed.source().ring.borrow().keys.len(), 1);
}

/// Which key is sealed for is what their controller takes: by the time that the flag says.
#[tokio::test]
async fn the_key_that_is_sealed_for_is_theirs() {
    let expected: Value = serde_json::from_str(&file("keys/keyring.json")).unwrap();
    for (order, name) in [
        (KeyOrder::CertNotBefore, "CertNotBefore"),
        (KeyOrder::SecretCreationTimestamp, "SecretCreationTimestamp"),
    ] {
        let (managed, _) = managed_by(order, &active(), object("strict"), None, |_, _| None).await;
        let current = managed.source().ring.borrow().current.clone().unwrap();
        let key = expected["current_key"][name].as_str().unwrap();
        assert_eq!(*current.certificate, *file(&format!("keys/{key}.cert.pem")), "{name}");
    }
    // A certificate of another key is sealed for by nobody.
    let mut keys = active();
    keys.truncate(1);
    keys[0]["data"]["tls.crt"] = backup(None)[0]["data"]["tls.crt"].clone();
    let (managed, _) = managed(&keys, object("strict"), None).await;
    let ring = managed.source().ring.borrow().clone();
    assert_eq!((ring.keys.len(), ring.current.unwrap().name), (2, "sealed-secrets-key".to_owned()));
}

/// A cluster with one Secret, as the API server keeps it: what we apply takes the place of what we have applied before,
/// whatever kind asks for it, and what others have put there stays.
#[derive(Default)]
struct OneSecret {
    /// What others have made of it, if they have.
    theirs: Option<Value>,
    ours: Option<Value>,
    writes: u32,
}

impl OneSecret {
    fn found(&self) -> Option<Value> {
        let mut found = self.theirs.clone().or_else(|| self.ours.clone())?;
        for part in ["/data", "/metadata/annotations", "/metadata/labels"] {
            let ours = self.ours.as_ref().and_then(|ours| ours.pointer(part)?.as_object().cloned());
            let all = found.pointer_mut(part).and_then(Value::as_object_mut);
            all.into_iter().for_each(|all| all.extend(ours.clone().unwrap_or_default()));
        }
        if let Some(owners) = self.ours.as_ref().and_then(|ours| ours.pointer("/metadata/ownerReferences")) {
            found["metadata"]["ownerReferences"] = owners.clone();
        }
        found["metadata"]["resourceVersion"] = self.version().into();
        found["metadata"]["uid"] = "s".into();
        Some(found)
    }

    fn version(&self) -> String {
        (100 + self.writes).to_string()
    }

    fn answer(&mut self, asked: &str, body: &[u8]) -> Option<Reply> {
        if !asked.contains("/secrets/mysecret") {
            return None;
        }
        if asked.starts_with("PATCH") {
            let applied: Value = serde_json::from_slice(body).unwrap_or_default();
            // Bound to what is there, or to nothing.
            let seen = &applied["metadata"]["resourceVersion"];
            let there =
                self.found().map_or(NOT_THERE.into(), |found| found["metadata"]["resourceVersion"].clone());
            if *seen != there {
                return Some(Reply::Says(409, json!({"kind": "Status", "code": 409}).to_string()));
            }
            self.ours = Some(applied);
            self.writes += 1;
        }
        Some(match self.found() {
            Some(found) => Reply::Says(200, found.to_string()),
            None => Reply::Says(404, json!({"kind": "Status", "code": 404}).to_string()),
        })
    }
}

/// Objects of two kinds that want one Secret: the first has it, or has the room in it, and the other says so. Neither takes out
/// what the other has put there, round after round.
#[tokio::test]
async fn of_two_kinds_that_want_one_secret_the_first_has_it() {
    let of_somebody = json!({"metadata": {"name": "mysecret", "namespace": "myns", "labels": {}, "annotations": {
        bitnami::PATCH: "true", ROOM: "yes"}}, "data": {"theirs": "MQ=="}});
    for theirs in [None, Some(of_somebody)] {
        let world = Arc::new(Mutex::new(OneSecret { theirs: theirs.clone(), ..OneSecret::default() }));
        let shared = Arc::clone(&world);
        let mut wish = wish();
        (wish["metadata"]["name"], wish["metadata"]["namespace"]) = ("mysecret".into(), "myns".into());
        let of_wish = wish.clone();
        let otherwise = move |asked: &str, body: &[u8]| match asked.contains("/wishes/mysecret") {
            true => Some(Reply::Says(200, of_wish.to_string())),
            false => shared.lock().unwrap().answer(asked, body),
        };
        let (bitnami, _) = managed_in(&active(), object("strict"), None, otherwise).await;
        let context = bitnami.context();
        let wishes = Managed::new(Wishes::default(), context.clone(), 1);
        wishes.see(serde_json::from_value(wish).unwrap());
        let (key, mut kept) = (Key::new("myns", "mysecret"), None);
        for round in 0..5 {
            let [first, second] = [bitnami.look(&key).await, wishes.look(&key).await];
            assert_eq!(first, Next::Wait, "{round}: {theirs:?}");
            assert!(matches!(second, Next::Retry(_)), "{round}: {theirs:?}");
            let found = world.lock().unwrap().found();
            assert_eq!(*kept.get_or_insert_with(|| found.clone()), found, "{round}: {theirs:?}");
            // The watch tells of it.
            let version = |found: &Bare| found.metadata.resource_version.as_str().into();
            context.secrets.apply(
                0,
                Event::Changed(serde_json::from_value(found.unwrap()).unwrap()),
                version,
            );
        }
        assert_eq!(world.lock().unwrap().writes, 1, "{theirs:?}");
        let is_there =
            |value: &str| kept.as_ref().and_then(|kept| kept.as_ref()?["data"].get(value)).is_some();
        assert!(is_there("foo") && !is_there("text") && is_there("theirs") == theirs.is_some());
    }
}
