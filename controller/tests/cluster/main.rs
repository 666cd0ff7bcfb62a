//! What one controller does in a real cluster, with the rights that ship; beside it several replicas, a real OpenBao,
//! and the commands of its page, each with a cluster of its own.
//!
//! C1 to C26 and A1 to A15, here and beside it, are the cases that every controller of sealed Secrets should pass: `checklist.rs` has
//! them all.

#![allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]

mod bad_input;
mod chart;
mod checklist;
#[path = "../common/mod.rs"]
mod common;
mod docs;
mod examples;
mod identities;
mod install;
mod kubeseal;
mod migrate;
mod replicas;
mod tools;
mod vault;

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::*;
use sealant::document::{Format, parse};
use sealant::host::Closed;
use sealant::keys::{Identities, KeyService, MasterKey, NewIdentity};
use sealant::sealed_secret::{
    DeletionPolicy, OpenedKeys, Options, Rewrite, Scope, SealedSecret, Template, manifest, objects, read,
    rewrite, rotate,
};
use sealant::secret::SecretBytes;
use sealant_test_support::{Cluster, argocd_health};
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

    #[track_caller]
    fn nothing_leaked(&self) {
        assert_nothing_leaked(&self.world.cluster, &[&self.world.controller]);
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
            assert!(start.elapsed() < LIMIT, "no event {reason} of {name}");
            sleep(Duration::from_millis(50));
        }
    }
}

/// C1, C15, and what people see of it.
#[test]
fn a_sealed_secret_becomes_a_secret() {
    let place = place("new");
    let mut sealed = place.sealed("db", &[("username", "admin"), ("password", "hunter2")]);
    let template = json!({"type": "kubernetes.io/basic-auth", "metadata": {"labels": {"app": "shop"}, "annotations": {"note": "x"}}});
    sealed.spec.template = Some(serde_json::from_value(template).unwrap());
    place.apply(&sealed);
    place.kubectl(&["wait", "--for=condition=Ready", "sls/db", "--timeout=60s"]);
    let secret = place.items("db", &[("username", "admin"), ("password", "hunter2")]);
    assert_eq!(secret["type"], "kubernetes.io/basic-auth");
    let labels = json!({"app": "shop", "sealant.dev/managed": "true"});
    let annotations = json!({"note": "x", "sealant.dev/made-by": "sealedsecrets.sealant.dev/db"});
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

    let columns = place.kubectl(&["get", "sls"]);
    assert!(
        columns.contains("READY") && columns.contains("True") && columns.contains("Unsealed"),
        "{columns}"
    );
    // The API server publishes the schema of a new resource some time after it serves it.
    let explain = ["explain", "sealedsecrets.sealant.dev.spec.dataKeys.commitment"];
    wait_until(|| place.world.cluster.kubectl(&explain).run().text().contains("base64 of 32 bytes"));
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
        "the Secret had been changed; it matches the SealedSecret again"
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

/// C5 is our adoption, A3. C11: what nobody has sealed is not made, deleted or not.
#[test]
fn a_secret_of_somebody_else_is_left_alone_unless_it_asks_to_be_adopted() {
    let place = place("foreign");
    for name in ["db", "other", "plain"] {
        place.kubectl(&["create", "secret", "generic", name, "--from-literal=theirs=1"]);
    }
    place.kubectl(&["delete", "secret", "plain"]);
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
    assert!(place.secret("plain").is_none());
    // One that belongs to somebody else is not ours to take, whatever it carries.
    place.kubectl(&["create", "configmap", "x"]);
    let uid = place.kubectl(&["get", "configmap", "x", "-o", "jsonpath={.metadata.uid}"]);
    let owned = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
        "name": "owned", "namespace": place.namespace, "annotations": {"sealant.dev/adopt": "true"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": uid, "controller": true}],
    }});
    place.world.cluster.apply(&owned.to_string()).ok();
    let before = place.secret("owned");
    place.apply(&place.sealed("owned", &[("ours", "2")]));
    place.reason("owned", "AlreadyExists");
    assert!(place.event("owned", "AlreadyExists").contains("ConfigMap x"));
    assert_eq!(before, place.secret("owned"));
}

/// C6, C7, C8, C10, C12: Bitnami's annotations, by which a Secret is merged into, mean nothing here: it is untouched.
#[test]
fn the_annotations_of_others_do_not_open_a_secret_to_us() {
    let place = place("annotated");
    let (managed, patch) = ("sealedsecrets.bitnami.com/managed=true", "sealedsecrets.bitnami.com/patch=true");
    let cases: [(&str, &[&str], &[&str]); 5] = [
        ("c6-managed-and-patched", &["--from-literal=theirs=1"], &[managed, patch]),
        ("c7-patched", &["--from-literal=theirs=1"], &[patch]),
        ("c8-patched-and-empty", &[], &[patch]),
        ("c10-managed", &["--from-literal=theirs=1"], &[managed]),
        ("c12-patched", &["--from-literal=theirs=1"], &[patch]),
    ];
    for (name, values, annotations) in cases {
        place.kubectl(&[&["create", "secret", "generic", name], values].concat());
        place.kubectl(&[&["annotate", "secret", name], annotations].concat());
    }
    let all = || cases.map(|(name, ..)| place.secret(name));
    let before = all();
    let sealed: String = cases.iter().map(|(name, ..)| json(&place.sealed(name, &[("ours", "2")]))).collect();
    place.world.cluster.apply(&sealed).ok();
    let expected: Vec<_> = cases.iter().map(|(name, ..)| ((*name).to_owned(), "AlreadyExists")).collect();
    place.world.cluster.wait_for_reasons(&place.namespace, &expected);
    assert_eq!(before, all());
    // C10, C12: once it is gone, nothing is in the way any more, and ours is made.
    for name in ["c10-managed", "c12-patched"] {
        place.kubectl(&["delete", "secret", name]);
        let made = place.items(name, &[("ours", "2")]);
        assert_eq!(made["metadata"]["ownerReferences"][0]["kind"], "SealedSecret");
    }
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

/// C16, C17 with our reason, A14, and another type.
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
    let made = place.items("db", &[("a", "3")]);
    assert_eq!(made["type"], "example.com/other");
    // What the API server would not take is not worth a Secret that is there.
    typed.spec.template =
        Some(Template { kind: Some("kubernetes.io/tls".to_owned()), ..Template::default() });
    place.apply(&typed);
    place.reason("db", "Refused");
    assert_eq!(place.secret("db").unwrap()["metadata"]["uid"], made["metadata"]["uid"]);
}

/// A Secret that cannot go, since something holds it, is not as it should be; when it has gone it is made again.
#[test]
fn a_secret_that_is_being_deleted_is_waited_for() {
    let place = place("held");
    place.apply(&place.sealed("db", &[("a", "1")]));
    let made = place.items("db", &[("a", "1")]);
    let hold = r#"{"metadata": {"finalizers": ["example.com/hold"]}}"#;
    place.kubectl(&["patch", "secret", "db", "--type=merge", "-p", hold]);
    place.kubectl(&["delete", "secret", "db", "--wait=false"]);
    let waiting = place.reason("db", "Terminating");
    assert_eq!(condition(&waiting, "Reconciling")["status"], "True");
    place.kubectl(&["patch", "secret", "db", "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#]);
    place.reason("db", "Unsealed");
    assert_ne!(place.items("db", &[("a", "1")])["metadata"]["uid"], made["metadata"]["uid"]);
}

/// C18 and C19 another name, C20 and C21 another namespace, C22, C23, C24 and C25 the same for wider scopes.
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

/// A9: our annotation, too, is followed at once.
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
    assert_eq!(argocd_health(&suspended.to_string()).0, "Suspended");
    place.kubectl(&["annotate", "sls", "db", "sealant.dev/suspend-"]);
    place.items("db", &[("a", "2")]);
    let resumed = place.reason("db", "Unsealed");
    assert_eq!(argocd_health(&resumed.to_string()).0, "Healthy");
}

/// A12: a rotation keeps template, labels, annotations and comments byte for byte, and pods do not restart for it.
#[test]
fn a_rotation_changes_neither_the_rest_of_the_file_nor_the_secret() {
    let place = place("rotate");
    let service = || {
        KeyService::new(
            &Closed,
            Identities::none()
                .with_text("team", SecretBytes::new(place.world.identity.file.as_bytes().to_vec())),
        )
    };
    let mut sealed = place.sealed("db", &[("a", "1"), ("b", "2")]);
    sealed.spec.template =
        Some(serde_json::from_value(json!({"metadata": {"labels": {"app": "shop"}}})).unwrap());
    let yaml = manifest(&sealed, Format::Yaml).unwrap();
    let commented = format!("# Asked for by the shop.\n{yaml}")
        .replace("  template:\n", "  template:   # kept\n")
        .replace("metadata:\n  name: db\n", "metadata:\n  labels: {team: shop}   # theirs\n  name: db\n");
    assert!(commented.contains("# kept") && commented.contains("# theirs"), "{commented}");
    place.world.cluster.apply(&commented).ok();
    let before = place.items("db", &[("a", "1"), ("b", "2")]);

    let document = parse(Format::Yaml, SecretBytes::new(commented.clone().into_bytes()), false).unwrap();
    let node = objects(&*document)[0];
    let old = read(&*document, node).unwrap();
    let opened = wait_for(OpenedKeys::open(&service(), &[&old.spec])).remove(0).unwrap();
    let key = new_key(vec![MasterKey::Age(place.world.identity.recipient.clone())]);
    let new = rotate(&old, &opened, key).unwrap();
    let rotated = rewrite(&*document, &[Rewrite { node, old: &old, new: &new }]).unwrap();
    let rotated = String::from_utf8(rotated).unwrap();
    let rest = |text: &str| -> Vec<String> {
        let mut inside = false;
        let kept = text.lines().filter(|line| {
            let is_ours = ["  dataKeys:", "  encryptedData:"].iter().any(|key| line.starts_with(key));
            inside = is_ours || (inside && line.starts_with("   "));
            !inside
        });
        kept.map(str::to_owned).collect()
    };
    assert_eq!(rest(&rotated), rest(&commented));
    assert!(rest(&rotated).len() > 8 && rotated != commented, "{rotated}");
    place.world.cluster.apply(&rotated).ok();
    place.reason("db", "Unsealed");
    let seen = place.world.cluster.get(SEALED, &place.namespace, "db").unwrap();
    assert_eq!(seen["status"]["observedGeneration"], 2);
    assert_eq!(
        place.secret("db").unwrap()["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
}

/// One that looks after many namespaces by name has two connections to each, and little else.
#[test]
fn many_namespaces_cost_two_watches_each() {
    const COUNT: usize = 40;
    let cluster = &WORLD.cluster;
    let names: Vec<String> = (0..COUNT).map(|index| format!("many-{index}")).collect();
    let namespace =
        |name: &String| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    cluster.apply(&names.iter().map(|name| namespace(name).to_string()).collect::<String>()).ok();
    let own = cluster.new_namespace("own-of-many");
    let start = |watched: &[String]| {
        let flags = [format!("--namespace={own}"), format!("--watch-namespaces={}", watched.join(","))];
        let begun = Instant::now();
        let controller = Controller::start(&cluster.kubeconfig(), &flags.each_ref().map(String::as_str));
        controller.wait_for_log("this replica leads");
        (controller, begun.elapsed())
    };
    let cost = |controller: &Controller| {
        let open = std::fs::read_dir(format!("/proc/{}/fd", controller.pid())).unwrap();
        let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:")).count();
        (sockets, controller.memory() as usize)
    };
    let (few, _) = start(&names[..1]);
    let (sockets_of_one, memory_of_one) = cost(&few);
    few.stop();
    let (many, took) = start(&names);
    let before = many.metric("sealant_api_requests_total", "");
    sleep(Duration::from_secs(10));
    let requests = many.metric("sealant_api_requests_total", "") - before;
    let (sockets, memory) = cost(&many);
    let each = (memory.saturating_sub(memory_of_one)) / (COUNT - 1);
    let lists = many.metric("sealant_lists_total", "");
    eprintln!(
        "{COUNT} namespaces: ready in {took:?}, {sockets} sockets ({sockets_of_one} with one), {each} kB each, {lists} lists, {requests} requests in 10 s"
    );
    assert!(sockets <= sockets_of_one + 2 * COUNT, "{sockets} sockets, {sockets_of_one} with one namespace");
    assert!(lists <= (2 * COUNT + 1) as f64 && requests <= 20.0 && each < 400);
    assert_eq!(many.metric("sealant_watch_failures_total", ""), 0.0);
}

/// A13: there is nothing to ask that would open, rotate or verify anything, and nothing takes input.
#[test]
fn no_endpoint_opens_anything() {
    let place = place("endpoints");
    let sealed = json(&place.sealed("db", &[("a", PLANTED)]));
    for port in [place.world.controller.metrics, place.world.controller.health] {
        for path in ["/v1/verify", "/v1/rotate", "/v1/cert.pem", "/", "/metrics/x", "/debug/pprof"] {
            for method in ["GET", "POST"] {
                let answer = ask(port, method, path, &sealed).unwrap();
                assert!(answer.starts_with("HTTP/1.1 404") && answer.len() < 300, "{path}: {answer}");
            }
        }
    }
    let answer = ask(place.world.controller.metrics, "POST", "/metrics", &sealed).unwrap();
    assert!(!answer.contains(PLANTED), "{answer}");
    assert!(answer.contains("\n# EOF\n"), "{answer}");
    place.nothing_leaked();
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
    let audit = format!("\"kind\":\"{SEALED}\",\"namespace\":\"{}\",\"name\":\"good\"", place.namespace);
    assert!(everything[0].contains(&audit), "{audit} in\n{}", everything[0]);
    for text in everything {
        assert!(!text.contains("planted-7f3a") && !text.contains("planted-by-hand"), "{text}");
        assert!(!text.contains("cGxhbnRlZC"), "{text}");
    }
}
