//! The cases of the suite of sealed-secrets, by their numbers, with objects that the real kubeseal makes.

use std::path::Path;

use super::*;

const ELSEWHERE: &str = "elsewhere";

/// A cluster with a key of our own making.
fn with_key() -> Cluster {
    let cluster = cluster_for_both();
    install_crd(&cluster);
    cluster.kubectl_ok(&["create", "namespace", ELSEWHERE]);
    let made = sealant::bitnami::generate(jiff::Timestamp::now(), Duration::from_secs(24 * 3600)).unwrap();
    let key = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "sealed-secrets-key-mine", "namespace": peer::OWN, "labels": {KEY_LABEL: "active"}},
        "stringData": {"tls.key": &*made.key, "tls.crt": made.certificate}});
    cluster.apply(&key.to_string()).ok();
    cluster
}

fn seal(cluster: &Cluster, scope: &str, name: &str, change: &dyn Fn(&mut Value)) -> Value {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": PLACE,
        "labels": {"app": "db"}}, "stringData": {"password": "hunter2"}});
    change(&mut secret);
    peer::kubeseal(cluster, &Peer::certificate(cluster), scope, &secret)
}

fn same(_secret: &mut Value) {}

#[track_caller]
fn wait_for_event(cluster: &Cluster, namespace: &str, name: &str, reason: &str) -> Told {
    let mut found = None;
    wait_until(|| {
        let mut events = cluster.events(namespace).into_iter();
        found = events.find(|event| event.name == name && event.reason == reason);
        found.is_some()
    });
    found.unwrap()
}

/// C1 to C4, and C15 to C17: made, changed, renamed and immutable.
#[test]
fn their_objects_are_made_changed_and_kept_as_their_suite_has_it() {
    let cluster = &with_key();
    let ours = start(cluster);
    let apply = |object: &Value| cluster.apply(&object.to_string()).ok();
    // C1, C15
    let typed = |secret: &mut Value| {
        secret["type"] = "kubernetes.io/dockerconfigjson".into();
        secret["stringData"] = json!({".dockerconfigjson": "{}"});
    };
    apply(&seal(cluster, "strict", "docker", &typed));
    let made = cluster.wait_for_items(PLACE, "docker", &[(".dockerconfigjson", "{}")]);
    assert_eq!(
        (&made["type"], &made["metadata"]["labels"]),
        (&json!("kubernetes.io/dockerconfigjson"), &json!({"app": "db"}))
    );
    let is_told =
        |generation: i64| move |object: &Value| object["status"]["observedGeneration"] == generation;
    let said = synced(&cluster.wait(BITNAMI, PLACE, "docker", is_told(1)));
    assert_eq!((&said["status"], &said["lastUpdateTime"]), (&json!("True"), &said["lastTransitionTime"]));
    assert_eq!(
        wait_for_event(cluster, PLACE, "docker", "Unsealed").message,
        "SealedSecret unsealed successfully"
    );

    // C2, C3, C4
    apply(&seal(cluster, "strict", "db", &same));
    let first = wait_for_password(cluster, "db", "hunter2");
    cluster.wait(BITNAMI, PLACE, "db", is_told(1));
    // Times have seconds.
    sleep(Duration::from_millis(1100));
    apply(&seal(cluster, "strict", "db", &|secret| secret["stringData"]["password"] = "other".into()));
    let second = wait_for_password(cluster, "db", "other");
    assert_eq!(first["metadata"]["uid"], second["metadata"]["uid"]);
    let said = synced(&cluster.wait(BITNAMI, PLACE, "db", is_told(2)));
    assert_ne!(said["lastUpdateTime"], said["lastTransitionTime"]);
    let mut renamed = seal(cluster, "strict", "db", &same);
    let item = renamed["spec"]["encryptedData"]["password"].take();
    renamed["spec"]["encryptedData"] = json!({"renamed": item});
    apply(&renamed);
    cluster.wait_for_items(PLACE, "db", &[("renamed", "hunter2")]);
    let more = seal(cluster, "strict", "db", &|secret| secret["stringData"] = json!({"more": "x"}));
    renamed["spec"]["encryptedData"]["more"] = more["spec"]["encryptedData"]["more"].clone();
    apply(&renamed);
    cluster.wait_for_items(PLACE, "db", &[("more", "x"), ("renamed", "hunter2")]);

    // A4: deleted and made again, it has its Secret again, before or after the garbage collector has come.
    let old = cluster.get(BITNAMI, PLACE, "db").unwrap()["metadata"]["uid"].clone();
    cluster.kubectl(&["replace", "--force", "-f", "-"]).stdin(renamed.to_string()).run().ok();
    let again = cluster
        .wait(BITNAMI, PLACE, "db", |object| object["metadata"]["uid"] != old && !synced(object).is_null());
    let its_own =
        |secret: &Value| secret["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"];
    let made = cluster.wait("secret", PLACE, "db", its_own);
    assert_eq!(items_of(&made).len(), 2);
    sleep(Duration::from_secs(1));
    assert!(
        cluster
            .get("secret", PLACE, "db")
            .is_some_and(|secret| secret["metadata"]["uid"] == made["metadata"]["uid"])
    );

    // C16, C17
    apply(&seal(cluster, "strict", "fixed", &|secret| secret["immutable"] = true.into()));
    assert_eq!(wait_for_password(cluster, "fixed", "hunter2")["immutable"], true);
    cluster.wait(BITNAMI, PLACE, "fixed", is_told(1));
    let changed = |secret: &mut Value| {
        secret["immutable"] = true.into();
        secret["stringData"]["password"] = "other".into();
    };
    apply(&seal(cluster, "strict", "fixed", &changed));
    wait_for_failure(cluster, "fixed", "ErrUpdateFailed", "the target Secret is immutable");
    assert_eq!(cluster.get(BITNAMI, PLACE, "fixed").unwrap()["status"]["observedGeneration"], 2);
    wait_for_password(cluster, "fixed", "hunter2");
    ours.stop();
}

/// C5 to C12: what there is of others already.
#[test]
fn what_others_have_is_theirs_or_given_as_their_suite_has_it() {
    let cluster = &with_key();
    let ours = start(cluster);
    let there = |name: &str, annotations: &[&str], data: Value| {
        let annotations: serde_json::Map<String, Value> = annotations
            .iter()
            .map(|key| (format!("sealedsecrets.bitnami.com/{key}"), "true".into()))
            .collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": PLACE, "annotations": annotations, "labels": {"old": "1"}}});
        cluster.apply(&secret.to_string()).ok();
    };
    let old = || json!({"old": "1"});
    there("managed", &["managed"], old());
    there("both", &["managed", "patch"], old());
    there("patched", &["patch"], old());
    there("plain", &[], old());
    // C8: nothing is in it at all.
    let empty = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "empty", "namespace": PLACE,
        "annotations": {"sealedsecrets.bitnami.com/patch": "true"}}});
    cluster.apply(&empty.to_string()).ok();
    let names = ["managed", "both", "patched", "empty", "plain"];
    for name in names {
        cluster.apply(&seal(cluster, "strict", name, &same).to_string()).ok();
    }
    let (only, added) = ([("password", "hunter2")], [("old", "1"), ("password", "hunter2")]);
    let owners = |secret: &Value| secret["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len);
    for (name, items, labels, owned) in [
        ("managed", &only[..], json!({"app": "db"}), 1),
        ("both", &added, json!({"app": "db", "old": "1"}), 1),
        ("patched", &added, json!({"app": "db", "old": "1"}), 0),
        ("empty", &only, json!({"app": "db"}), 0),
    ] {
        cluster.wait_for_items(PLACE, name, items);
        let is_so = |secret: &Value| secret["metadata"]["labels"] == labels && owners(secret) == owned;
        cluster.wait("secret", PLACE, name, is_so);
    }
    wait_for_failure(cluster, "plain", "ErrUpdateFailed", "it is not managed by its SealedSecret");
    assert_eq!(
        items_of(&cluster.get("secret", PLACE, "plain").unwrap()),
        [("old".to_owned(), "1".to_owned())]
    );

    // C9, C10: deleted, and made again, with an owner. C11, C12, where theirs leaves what was deleted away: ours makes it, for
    // nothing is in the way any more, and says so in docs/controller.md.
    for name in names {
        let before = cluster.get("secret", PLACE, name).unwrap()["metadata"]["uid"].clone();
        cluster.kubectl_ok(&["delete", "secret", name, "-n", PLACE]);
        let again = cluster.wait("secret", PLACE, name, |secret| secret["metadata"]["uid"] != before);
        assert_eq!(items_of(&again), [("password".to_owned(), "hunter2".to_owned())], "{name}");
        assert_eq!(owners(&again), 1, "{name}");
        cluster.wait(BITNAMI, PLACE, name, |object| synced(object)["status"] == "True");
    }
    // What nobody has sealed is not made again by anybody.
    there("nobody", &["managed"], old());
    cluster.kubectl_ok(&["delete", "secret", "nobody", "-n", PLACE]);
    sleep(Duration::from_secs(1));
    assert!(cluster.get("secret", PLACE, "nobody").is_none());
    ours.stop();
}

/// C13, C14, and C18 to C25: sealed for another key, or moved to where it was not sealed for.
#[test]
fn what_was_not_sealed_for_here_does_not_open_as_their_suite_has_it() {
    let cluster = &with_key();
    let ours = start(cluster);
    let other =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bitnami/keys/rsa2048-unknown.cert.pem");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c13", "namespace": PLACE},
        "stringData": {"password": "hunter2"}});
    let foreign = peer::kubeseal(cluster, &other, "strict", &secret);
    let mut cases = vec![(foreign, false)];
    for (name, scope, place, opens) in [
        ("c18", "strict", PLACE, false),
        ("c20", "strict", ELSEWHERE, false),
        ("c22", "cluster-wide", PLACE, true),
        ("c23", "cluster-wide", ELSEWHERE, true),
        ("c24", "namespace-wide", PLACE, true),
        ("c25", "namespace-wide", ELSEWHERE, false),
    ] {
        let sealed_as = if place == PLACE { "other" } else { name };
        let mut object = seal(cluster, scope, sealed_as, &same);
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = place.into();
        cases.push((object, opens));
    }
    for (object, _) in &cases {
        cluster.apply(&object.to_string()).ok();
    }
    for (object, opens) in &cases {
        let (name, namespace) = (name_of(object), object["metadata"]["namespace"].as_str().unwrap());
        match opens {
            true => drop(cluster.wait_for_items(namespace, &name, &[("password", "hunter2")])),
            false => {
                // C14, C19, C21
                let told = wait_for_event(cluster, namespace, &name, "ErrUnsealFailed");
                assert_eq!(
                    told.message, "Failed to unseal: no key could decrypt secret (password)",
                    "{name}"
                );
                assert!(cluster.get("secret", namespace, &name).is_none(), "{name}");
            }
        }
    }
    ours.stop();
}
