//! What one controller does in a real cluster, with the rights that ship.
//!
//! C1 to C26 and A1 to A15 are the cases that every controller of sealed Secrets should pass.

mod common;

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::*;
use sealant::keys::{MasterKey, NewIdentity};
use sealant::sealed_secret::{DeletionPolicy, Options, Scope, SealedSecret, Template};
use sealant_test_support::Cluster;
use serde_json::{Value, json};

struct World {
    cluster: Cluster,
    identity: NewIdentity,
    controller: Controller,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let cluster = cluster();
    let identity = identity();
    let secret = identity_secret("team", &identity).to_string();
    cluster.kubectl(&["apply", "-n", "sealant-system", "-f", "-"]).stdin(secret).run().ok();
    let kubeconfig = cluster.kubeconfig_of("sealant-system", "sealant-controller");
    let controller = Controller::start(&kubeconfig, &["--namespace=sealant-system", "--pod-name=one"]);
    controller.wait_for_log("this replica leads");
    World { cluster, identity, controller }
});

/// A namespace of its own for a test.
struct Place {
    world: &'static World,
    namespace: String,
}

fn place(name: &str) -> Place {
    let world = &*WORLD;
    Place { world, namespace: world.cluster.new_namespace(name) }
}

impl Place {
    fn sealed(&self, name: &str, items: &[(&str, &str)]) -> SealedSecret {
        seal(&secret(&self.namespace, name, items), &self.world.identity)
    }

    #[track_caller]
    fn apply(&self, sealed: &SealedSecret) {
        self.world.cluster.apply(&json(sealed)).ok();
    }

    #[track_caller]
    fn items(&self, name: &str, items: &[(&str, &str)]) -> Value {
        self.world.cluster.wait_for_items(&self.namespace, name, items)
    }

    #[track_caller]
    fn reason(&self, name: &str, reason: &str) -> Value {
        self.world.cluster.wait_for_reason(&self.namespace, name, reason)
    }

    #[track_caller]
    fn kubectl(&self, args: &[&str]) -> String {
        self.world.cluster.kubectl(args).args(&["-n", &self.namespace]).run().ok().text().to_owned()
    }

    fn secret(&self, name: &str) -> Option<Value> {
        self.world.cluster.get("secret", &self.namespace, name)
    }

    #[track_caller]
    fn wait_until_gone(&self, name: &str) {
        self.kubectl(&["wait", "--for=delete", &format!("secret/{name}"), "--timeout=60s"]);
    }

    #[track_caller]
    fn event(&self, name: &str, reason: &str) -> String {
        let start = Instant::now();
        loop {
            let field = format!("involvedObject.name={name},reason={reason}");
            let note = self.kubectl(&[
                "get",
                "events",
                "--field-selector",
                &field,
                "-o",
                "jsonpath={.items[*].message}",
            ]);
            if !note.is_empty() {
                return note;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no event {reason} of {name}");
            sleep(Duration::from_millis(50));
        }
    }
}

/// C1, C15, and what people see of it.
#[test]
fn a_sealed_secret_becomes_a_secret_within_a_second() {
    let place = place("new");
    let mut sealed = place.sealed("db", &[("username", "admin"), ("password", "hunter2")]);
    let template = json!({"type": "kubernetes.io/basic-auth", "metadata": {"labels": {"app": "shop"}, "annotations": {"note": "x"}}});
    sealed.spec.template = Some(serde_json::from_value(template).unwrap());
    place.apply(&sealed);
    place.kubectl(&["wait", "--for=condition=Ready", "sls/db", "--timeout=60s"]);
    let secret = place.items("db", &[("username", "admin"), ("password", "hunter2")]);
    assert_eq!(secret["type"], "kubernetes.io/basic-auth");
    let labels = json!({"app": "shop", "sealant.dev/managed": "true"});
    let annotations = json!({"note": "x", "sealant.dev/sealed-secret": "db"});
    assert_eq!((&secret["metadata"]["labels"], &secret["metadata"]["annotations"]), (&labels, &annotations));
    let sealed = place.reason("db", "Unsealed");
    let owner = json!([{"apiVersion": "sealant.dev/v1alpha1", "kind": "SealedSecret", "name": "db",
                        "uid": sealed["metadata"]["uid"], "controller": true}]);
    assert_eq!(secret["metadata"]["ownerReferences"], owner);
    assert_eq!(condition(&sealed, "Synced")["status"], "True");
    assert_eq!(
        [condition(&sealed, "Stalled"), condition(&sealed, "Reconciling")],
        [Value::Null, Value::Null]
    );
    assert_eq!(sealed["status"]["secretResourceVersion"], secret["metadata"]["resourceVersion"]);
    assert_eq!(place.event("db", "Unsealed"), "made the Secret");

    let time = |object: &Value| {
        object["metadata"]["creationTimestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    assert!(time(&secret).duration_since(time(&sealed)) <= jiff::SignedDuration::from_secs(1));
    let columns = place.kubectl(&["get", "sls"]);
    assert!(
        columns.contains("READY") && columns.contains("True") && columns.contains("Unsealed"),
        "{columns}"
    );
    let explained = place.kubectl(&["explain", "sealedsecrets.sealant.dev.spec.dataKeys.commitment"]);
    assert!(explained.contains("base64 of 32 bytes"), "{explained}");
}

/// C2, C3, C4.
#[test]
fn what_changes_is_followed_and_what_goes_is_gone() {
    let place = place("changes");
    let mut sealed = place.sealed("db", &[("a", "1"), ("b", "2")]);
    sealed.spec.template =
        Some(serde_json::from_value(json!({"metadata": {"labels": {"x": "1", "y": "1"}}})).unwrap());
    place.apply(&sealed);
    let first = place.items("db", &[("a", "1"), ("b", "2")]);
    let mut sealed = place.sealed("db", &[("a", "1"), ("c", "3")]);
    sealed.spec.template = Some(serde_json::from_value(json!({"metadata": {"labels": {"x": "2"}}})).unwrap());
    place.apply(&sealed);
    let second = place.items("db", &[("a", "1"), ("c", "3")]);
    assert_eq!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(second["metadata"]["labels"], json!({"x": "2", "sealant.dev/managed": "true"}));
    assert_eq!(place.reason("db", "Unsealed")["status"]["observedGeneration"], 2);
    // The same values again are no reason to touch it.
    let mut sealed = place.sealed("db", &[("a", "1"), ("c", "3")]);
    sealed.spec.template = Some(serde_json::from_value(json!({"metadata": {"labels": {"x": "2"}}})).unwrap());
    place.apply(&sealed);
    place
        .world
        .cluster
        .wait(SEALED, &place.namespace, "db", |sealed| sealed["status"]["observedGeneration"] == 3);
    assert_eq!(
        place.secret("db").unwrap()["metadata"]["resourceVersion"],
        second["metadata"]["resourceVersion"]
    );
}

/// C9, A2.
#[test]
fn a_secret_that_somebody_changes_is_repaired() {
    let place = place("drift");
    place.apply(&place.sealed("db", &[("a", "1")]));
    place.items("db", &[("a", "1")]);
    place.reason("db", "Unsealed");
    let patch = |patch: &str| place.kubectl(&["patch", "secret", "db", "--type=merge", "-p", patch]);
    patch(r#"{"stringData": {"a": "changed"}}"#);
    place.items("db", &[("a", "1")]);
    assert_eq!(
        place.event("db", "Repaired"),
        "the Secret had been changed; it is as the SealedSecret says again"
    );
    patch(r#"{"stringData": {"b": "added"}}"#);
    place.items("db", &[("a", "1")]);
    let is_labelled = |secret: &Value| secret["metadata"]["labels"]["sealant.dev/managed"] == "true";
    patch(r#"{"metadata": {"labels": {"sealant.dev/managed": null}}}"#);
    place.world.cluster.wait("secret", &place.namespace, "db", is_labelled);
    patch(r#"{"metadata": {"ownerReferences": null}}"#);
    place.world.cluster.wait("secret", &place.namespace, "db", |secret| {
        secret["metadata"]["ownerReferences"][0]["name"] == "db"
    });
    let old = place.secret("db").unwrap();
    place.kubectl(&["delete", "secret", "db"]);
    let new = place.items("db", &[("a", "1")]);
    assert_ne!(old["metadata"]["uid"], new["metadata"]["uid"]);
    // Labels of others stay.
    patch(r#"{"metadata": {"labels": {"other": "x"}}}"#);
    patch(r#"{"stringData": {"a": "changed"}}"#);
    assert_eq!(place.items("db", &[("a", "1")])["metadata"]["labels"]["other"], "x");
}

/// C5 (by adoption), C11, A3; C6 to C8, C10 and C12: there is nothing by which a Secret is merged into.
#[test]
fn a_secret_of_somebody_else_is_left_alone_unless_it_asks_to_be_adopted() {
    let place = place("foreign");
    place.kubectl(&["create", "secret", "generic", "db", "--from-literal=theirs=1"]);
    place.kubectl(&["create", "secret", "generic", "other", "--from-literal=theirs=1"]);
    for (key, value) in
        [("sealedsecrets.bitnami.com/managed", "true"), ("sealedsecrets.bitnami.com/patch", "true")]
    {
        place.kubectl(&["annotate", "secret", "db", &format!("{key}={value}")]);
    }
    let before = [place.secret("db"), place.secret("other")];
    place.apply(&place.sealed("db", &[("ours", "2")]));
    place.apply(&place.sealed("other", &[("ours", "2")]));
    let blocked = place.reason("db", "AlreadyExists");
    place.reason("other", "AlreadyExists");
    assert_eq!(condition(&blocked, "Stalled")["status"], "True");
    assert!(place.event("db", "AlreadyExists").contains("sealant.dev/adopt"));
    assert_eq!(before, [place.secret("db"), place.secret("other")]);
    place.kubectl(&["annotate", "secret", "db", "sealant.dev/adopt=true"]);
    place.items("db", &[("ours", "2")]);
    place.reason("db", "Unsealed");
    place.kubectl(&["delete", "secret", "other"]);
    place.items("other", &[("ours", "2")]);
}

/// A4, A15.
#[test]
fn the_secret_goes_with_its_sealed_secret_unless_it_is_to_be_retained() {
    let place = place("deletion");
    place.apply(&place.sealed("db", &[("a", "1")]));
    let mut retained = place.sealed("kept", &[("a", "1")]);
    retained.spec.deletion_policy = Some(DeletionPolicy::Retain);
    place.apply(&retained);
    place.items("db", &[("a", "1")]);
    assert_eq!(place.items("kept", &[("a", "1")])["metadata"]["ownerReferences"], Value::Null);
    place.kubectl(&["delete", "sls", "db", "kept"]);
    place.wait_until_gone("db");
    let kept = place.secret("kept").unwrap();
    // What was retained belongs to a new SealedSecret of its name.
    place.apply(&place.sealed("kept", &[("a", "2")]));
    let again = place.items("kept", &[("a", "2")]);
    assert_eq!(again["metadata"]["uid"], kept["metadata"]["uid"]);
    // Deleted and made again at once: the Secret is there in the end, and owned by the new one.
    let sealed = place.sealed("kept", &[("a", "3")]);
    place.kubectl(&["delete", "sls", "kept", "--wait=false"]);
    place.kubectl(&["wait", "--for=delete", "sls/kept", "--timeout=60s"]);
    place.apply(&sealed);
    let owner = place.reason("kept", "Unsealed")["metadata"]["uid"].clone();
    place.world.cluster.wait("secret", &place.namespace, "kept", |secret| {
        items_of(secret) == [("a".to_owned(), "3".to_owned())]
            && secret["metadata"]["ownerReferences"][0]["uid"] == owner
    });
}

/// C16, C17, A14, and another type.
#[test]
fn an_immutable_secret_is_made_again_only_when_its_sealed_secret_says_so() {
    let place = place("immutable");
    let sealed = |value: &str| {
        let mut sealed = place.sealed("db", &[("a", value)]);
        sealed.spec.template = Some(Template { immutable: Some(true), ..Template::default() });
        sealed
    };
    place.apply(&place.sealed("db", &[("a", "1")]));
    place.items("db", &[("a", "1")]);
    place.apply(&sealed("1"));
    place.world.cluster.wait("secret", &place.namespace, "db", |secret| secret["immutable"] == true);
    place.reason("db", "Unsealed");
    place.apply(&sealed("2"));
    let stalled = place.reason("db", "Immutable");
    assert_eq!(stalled["status"]["observedGeneration"], 3);
    assert_eq!(condition(&stalled, "Stalled")["status"], "True");
    assert!(place.event("db", "Immutable").contains("sealant.dev/on-immutable"));
    place.items("db", &[("a", "1")]);
    place.kubectl(&["annotate", "sls", "db", "sealant.dev/on-immutable=Recreate"]);
    place.items("db", &[("a", "2")]);
    let mut typed = place.sealed("db", &[("a", "3")]);
    typed.spec.template =
        Some(Template { kind: Some("example.com/other".to_owned()), ..Template::default() });
    place.apply(&typed);
    assert_eq!(place.items("db", &[("a", "3")])["type"], "example.com/other");
}

#[test]
fn a_template_cannot_ask_for_a_token_or_for_our_own_labels() {
    let place = place("template");
    let templates = [
        json!({"type": "kubernetes.io/service-account-token", "metadata": {"annotations": {"note": "x"}}}),
        json!({"type": "bootstrap.kubernetes.io/token"}),
        json!({"metadata": {"labels": {"sealant.dev/identity": "active"}}}),
        json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}}}),
    ];
    for (index, template) in templates.into_iter().enumerate() {
        let name = format!("t{index}");
        let mut sealed = place.sealed(&name, &[("a", "1")]);
        sealed.spec.template = Some(serde_json::from_value(template).unwrap());
        place.apply(&sealed);
        let found = place.reason(&name, "TemplateForbidden");
        assert_eq!(condition(&found, "Stalled")["status"], "True");
        assert!(place.secret(&name).is_none());
    }
}

/// C18 to C25.
#[test]
fn a_sealed_secret_opens_only_where_its_scope_allows() {
    let (here, there) = (place("here"), place("there"));
    let sealed = |scope: Scope| {
        let options = Options { scope: Some(scope), ..Options::default() };
        let key = MasterKey::Age(here.world.identity.recipient.clone());
        seal_for(&secret(&here.namespace, "db", &[("a", "1")]), &options, vec![key])
    };
    for (scope, other_name, other_namespace) in
        [(Scope::Strict, false, false), (Scope::Namespace, true, false), (Scope::Cluster, true, true)]
    {
        for (place, opens) in [(&here, other_name), (&there, other_namespace)] {
            let mut moved = sealed(scope);
            moved.metadata.name = format!("moved-{scope}");
            moved.metadata.namespace = Some(place.namespace.clone());
            place.apply(&moved);
            if opens {
                place.items(&moved.metadata.name, &[("a", "1")]);
            } else {
                place.reason(&moved.metadata.name, "BadCiphertext");
                place.event(&moved.metadata.name, "BadCiphertext");
                assert!(place.secret(&moved.metadata.name).is_none());
            }
        }
    }
    let mut widened = sealed(Scope::Strict);
    (widened.metadata.name, widened.spec.scope) = ("widened".to_owned(), Some(Scope::Cluster));
    here.apply(&widened);
    here.reason("widened", "BadCiphertext");
}

/// A9 for our annotation.
#[test]
fn nothing_is_written_while_a_sealed_secret_is_suspended() {
    let place = place("suspend");
    place.apply(&place.sealed("db", &[("a", "1")]));
    place.items("db", &[("a", "1")]);
    place.reason("db", "Unsealed");
    place.kubectl(&["annotate", "sls", "db", "sealant.dev/suspend=true"]);
    place.event("db", "Suspended");
    place.kubectl(&["patch", "secret", "db", "--type=merge", "-p", r#"{"stringData": {"a": "by hand"}}"#]);
    place.apply(&place.sealed("db", &[("a", "2")]));
    sleep(Duration::from_secs(2));
    place.items("db", &[("a", "by hand")]);
    let suspended = place.world.cluster.get(SEALED, &place.namespace, "db").unwrap();
    assert_eq!(condition(&suspended, "Synced")["reason"], "Suspended");
    assert_eq!(suspended["status"]["observedGeneration"], 1);
    place.kubectl(&["annotate", "sls", "db", "sealant.dev/suspend-"]);
    place.items("db", &[("a", "2")]);
    place.reason("db", "Unsealed");
}

/// A7, and what can be wrong with a SealedSecret: each has its condition, and none holds up the others.
#[test]
fn a_broken_sealed_secret_says_what_is_wrong_and_stops_no_other() {
    let place = place("broken");
    let broken = |name: &str, spoil: &dyn Fn(&mut SealedSecret)| {
        let mut sealed = place.sealed(name, &[("a", "1"), ("b", "2")]);
        spoil(&mut sealed);
        place.apply(&sealed);
    };
    broken("swapped", &|sealed| {
        let items = &mut sealed.spec.encrypted_data;
        let (a, b) = (items["a"].clone(), items["b"].clone());
        items.extend([("a".to_owned(), b), ("b".to_owned(), a)]);
    });
    broken("truncated", &|sealed| {
        sealed.spec.encrypted_data.get_mut("a").unwrap().pop();
    });
    broken("unknown-key", &|sealed| sealed.spec.data_keys.clear());
    broken("twice", &|sealed| sealed.spec.data_keys.extend(sealed.spec.data_keys.clone()));
    broken("bad-item", &|sealed| {
        let value = sealed.spec.encrypted_data["a"].clone();
        sealed.spec.encrypted_data.insert("not a key".to_owned(), value);
    });
    place.apply(&place.sealed("good", &[("a", "1")]));
    place.items("good", &[("a", "1")]);
    for name in ["swapped", "truncated", "unknown-key", "twice", "bad-item"] {
        place.reason(name, "BadCiphertext");
        assert!(place.secret(name).is_none(), "{name}");
    }
}

/// C13, C14, A1, A6: and it heals by itself when the identity comes.
#[test]
fn a_sealed_secret_waits_for_its_identity() {
    let place = place("identity");
    let stranger = identity();
    place.apply(&seal(&secret(&place.namespace, "db", &[("a", "1")]), &stranger));
    let waiting = place.reason("db", "NoIdentity");
    assert_eq!(condition(&waiting, "Stalled")["status"], "True");
    place.event("db", "NoIdentity");
    assert!(place.secret("db").is_none());
    // A broken identity harms nobody.
    let mut broken = identity_secret("broken", &stranger);
    broken["stringData"]["key.agekey"] = "AGE-SECRET-KEY-1HUNTER2".into();
    let apply = |secret: &Value| {
        let args = ["apply", "-n", "sealant-system", "-f", "-"];
        place.world.cluster.kubectl(&args).stdin(secret.to_string()).run().ok();
    };
    apply(&broken);
    apply(&identity_secret("stranger", &stranger));
    place.items("db", &[("a", "1")]);
    place.reason("db", "Unsealed");
    let is_published = |map: &Value| {
        map["data"]["recipients"].as_str().is_some_and(|text| text.contains(stranger.recipient.as_str()))
    };
    place.world.cluster.wait("configmap", "sealant-system", "sealant-recipients", is_published);
    // When it goes, that is said, and the Secret stays.
    place.world.cluster.kubectl_ok(&["delete", "secret", "stranger", "broken", "-n", "sealant-system"]);
    place.reason("db", "NoIdentity");
    place.items("db", &[("a", "1")]);
}

#[test]
fn a_secret_that_was_made_from_a_sealed_secret_is_never_an_identity() {
    let world = &*WORLD;
    let stranger = identity();
    let here = place("never");
    let sealed =
        seal(&secret("sealant-system", "smuggled", &[("key.agekey", &stranger.file)]), &world.identity);
    world.cluster.apply(&json(&sealed)).ok();
    world.cluster.wait_for_items("sealant-system", "smuggled", &[("key.agekey", &stranger.file)]);
    // As it would be if somebody could set the label.
    let label = ["label", "secret", "smuggled", "sealant.dev/identity=active", "-n", "sealant-system"];
    world.cluster.kubectl_ok(&label);
    world.controller.wait_for_log("Secret smuggled: it was made from a SealedSecret");
    here.apply(&seal(&secret(&here.namespace, "db", &[("a", "1")]), &stranger));
    here.reason("db", "NoIdentity");
    world.cluster.kubectl_ok(&["delete", "sls", "smuggled", "-n", "sealant-system"]);
}

#[test]
fn no_plaintext_is_in_logs_events_status_or_metrics() {
    const PLANTED: &str = "planted-7f3a9c41-value";
    let place = place("planted");
    let values = [("a", PLANTED), ("tls.crt", PLANTED), (".dockerconfigjson", PLANTED)];
    place.apply(&place.sealed("good", &values));
    place.items("good", &values);
    // Types that the API server checks: it quotes what it does not like.
    for (name, kind) in [("docker", "kubernetes.io/dockerconfigjson"), ("tls", "kubernetes.io/tls")] {
        let mut sealed = place.sealed(name, &values);
        sealed.spec.template = Some(Template { kind: Some(kind.to_owned()), ..Template::default() });
        place.apply(&sealed);
        place.reason(name, "Refused");
        place.event(name, "Refused");
    }
    let mut moved = place.sealed("moved", &values);
    moved.metadata.name = "elsewhere".to_owned();
    place.apply(&moved);
    place.reason("elsewhere", "BadCiphertext");
    place.kubectl(&[
        "patch",
        "secret",
        "good",
        "--type=merge",
        "-p",
        r#"{"stringData": {"a": "planted-by-hand"}}"#,
    ]);
    place.event("good", "Repaired");
    let everything = [
        place.world.controller.log(),
        place.kubectl(&["get", "events", "-o", "yaml"]),
        place.kubectl(&["get", "sls", "-o", "yaml"]),
        get(place.world.controller.metrics, "/metrics").unwrap(),
    ];
    assert!(everything.iter().all(|text| text.len() > 500));
    let audit = format!("\"namespace\":\"{}\",\"name\":\"good\"", place.namespace);
    assert!(everything[0].contains(&audit), "{audit} in\n{}", everything[0]);
    for text in everything {
        assert!(!text.contains("planted-7f3a") && !text.contains("planted-by-hand"), "{text}");
        assert!(!text.contains("cGxhbnRlZC"), "{text}");
    }
}
