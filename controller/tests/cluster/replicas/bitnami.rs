//! SealedSecrets of bitnami.com: made by the real kubeseal, before and after the real controller of sealed-secrets.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use sealant_test_support::Cluster;
use serde_json::{Value, json};

use crate::common::peer::{self, Peer, install_crd};
use crate::common::*;

const BITNAMI: &str = "sealedsecrets.bitnami.com";
const KEY_LABEL: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";
const PLACE: &str = "shop";

fn start(cluster: &Cluster) -> Controller {
    let kubeconfig = cluster.kubeconfig_of("sealant-system", "sealant-controller");
    let flags = ["--namespace=sealant-system", "--bitnami"];
    let controller = Controller::start(&kubeconfig, &flags);
    controller.wait_for_log("this replica leads");
    controller
}

/// The real controller, at ports that nobody else has.
fn start_theirs(cluster: &Cluster) -> Peer {
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = [format!("--listen-addr={}", port()), format!("--listen-metrics-addr={}", port())];
    Peer::start(cluster, &[&flags[0], &flags[1], "--kubeclient-qps=-1"])
}

/// What kubeseal makes of a Secret of this name.
fn sealed(cluster: &Cluster, scope: &str, name: &str, value: &str) -> Value {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": PLACE,
        "labels": {"app": "db"}}, "stringData": {"password": value}});
    peer::kubeseal(cluster, &Peer::certificate(cluster), scope, &secret)
}

/// The versions of all that there is, by kind and name.
fn versions(cluster: &Cluster) -> BTreeMap<String, Value> {
    let of = |kind: &'static str| {
        let objects = cluster.list(kind, PLACE).into_iter();
        objects.map(move |object| {
            (format!("{kind} {}", name_of(&object)), object["metadata"]["resourceVersion"].clone())
        })
    };
    of(BITNAMI).chain(of("secrets")).collect()
}

fn synced(object: &Value) -> Value {
    condition(object, "Synced")
}

/// Waits until the status says so of the newest generation, and an event of this reason is there.
#[track_caller]
fn wait_for_failure(cluster: &Cluster, name: &str, reason: &str, message: &str) {
    cluster.wait(BITNAMI, PLACE, name, |found| {
        let said = synced(found);
        said["status"] == "False"
            && said["message"].as_str().is_some_and(|said| said.contains(message))
            && found["status"]["observedGeneration"] == found["metadata"]["generation"]
    });
    wait_until(|| cluster.events(PLACE).iter().any(|event| event.name == name && event.reason == reason));
}

#[track_caller]
fn wait_for_password(cluster: &Cluster, name: &str, value: &str) -> Value {
    cluster.wait_for_items(PLACE, name, &[("password", value)])
}

/// Their controller stops and ours starts: nothing is written. From then on ours does what theirs does, and more. When theirs
/// comes back, no object changes.
#[test]
fn a_cluster_of_sealed_secrets_is_taken_over_without_a_write_and_given_back() {
    let cluster = &cluster();
    let rights = deploy().join("components/bitnami/rbac.yaml");
    cluster.kubectl(&["apply", "-f"]).arg(rights).run().ok();
    cluster.kubectl_ok(&["create", "namespace", PLACE]);
    let identity = identity();
    let secret = identity_secret("team", &identity).to_string();
    cluster.kubectl(&["apply", "-n", "sealant-system", "-f", "-"]).stdin(secret).run().ok();

    // Their kind is not installed yet, which holds up nothing else.
    let early = start(cluster);
    early.wait_for_log("this kind is not installed here");
    let own = crate::common::secret(PLACE, "own", &[("password", "own")]);
    cluster.apply(&json(&seal(&own, &identity))).ok();
    wait_for_password(cluster, "own", "own");
    install_crd(cluster);
    early.wait_for_log("can be watched");
    early.stop();

    Peer::install(cluster);
    let theirs = start_theirs(cluster);
    for (index, scope) in ["strict", "namespace-wide", "cluster-wide"].iter().cycle().take(12).enumerate() {
        cluster
            .apply(&sealed(cluster, scope, &format!("s{index}"), &format!("value {index}")).to_string())
            .ok();
    }
    for index in 0..12 {
        wait_for_password(cluster, &format!("s{index}"), &format!("value {index}"));
        cluster.wait(BITNAMI, PLACE, &format!("s{index}"), |found| synced(found)["status"] == "True");
    }
    drop(theirs);

    let before = versions(cluster);
    let ours = start(cluster);
    let labels = "kind=\"sealedsecrets.bitnami.com\",reason=\"Unsealed\"";
    wait_until(|| ours.metric("sealant_objects", labels) == 12.0);
    assert_eq!(versions(cluster), before);
    let writes: Vec<_> = cluster
        .requests_of("sealant-system", "sealant-controller")
        .into_iter()
        .filter(|request| request.namespace == PLACE && !["get", "list", "watch"].contains(&&*request.verb))
        .filter(|request| request.name != "own" && request.resource != "events")
        .map(|request| format!("{} {} {}", request.verb, request.resource, request.name))
        .collect();
    assert_eq!(writes, [""; 0]);

    // A2: what somebody has edited or deleted comes back.
    let edit = json!({"data": {"password": "eA=="}}).to_string();
    cluster.kubectl_ok(&["patch", "secret", "s0", "-n", PLACE, "--type=merge", "-p", &edit]);
    wait_for_password(cluster, "s0", "value 0");
    cluster.kubectl_ok(&["delete", "secret", "s1", "-n", PLACE]);
    let again = wait_for_password(cluster, "s1", "value 1");
    assert_eq!(again["metadata"]["labels"], json!({"app": "db"}));
    assert_eq!(again["metadata"]["ownerReferences"][0]["apiVersion"], "bitnami.com/v1alpha1");

    // A label goes with the template that had it, though their controller has set it; those of others stay.
    cluster.kubectl_ok(&["label", "secret", "s3", "-n", PLACE, "theirs=1"]);
    let unlabelled = json!([{"op": "remove", "path": "/spec/template/metadata/labels"}]).to_string();
    cluster.kubectl_ok(&["patch", BITNAMI, "s3", "-n", PLACE, "--type=json", "-p", &unlabelled]);
    cluster.wait("secret", PLACE, "s3", |secret| secret["metadata"]["labels"] == json!({"theirs": "1"}));

    // C1, C18, C22, A9: new ones of each scope, and under another name.
    for (scope, opens) in [("strict", false), ("namespace-wide", true), ("cluster-wide", true)] {
        let mut moved = sealed(cluster, scope, "new", scope);
        cluster.apply(&moved.to_string()).ok();
        wait_for_password(cluster, "new", scope);
        moved["metadata"]["name"] = format!("moved-{scope}").into();
        cluster.apply(&moved.to_string()).ok();
        match opens {
            true => drop(wait_for_password(cluster, &format!("moved-{scope}"), scope)),
            false => {
                let said = "no key could decrypt secret (password)";
                wait_for_failure(cluster, "moved-strict", "ErrUnsealFailed", said);
                assert!(cluster.get("secret", PLACE, "moved-strict").is_none());
            }
        }
    }

    // C5 to C7, A3: a Secret of somebody else is given, in whole or in part, while its SealedSecret waits for that.
    for (name, annotations, items) in [
        ("managed", json!({"sealedsecrets.bitnami.com/managed": "true"}), vec![("password", "mine")]),
        (
            "patched",
            json!({"sealedsecrets.bitnami.com/patch": "true"}),
            vec![("old", "1"), ("password", "mine")],
        ),
    ] {
        let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": PLACE,
            "labels": {"old": "1"}}, "stringData": {"old": "1"}});
        cluster.apply(&theirs.to_string()).ok();
        cluster.apply(&sealed(cluster, "strict", name, "mine").to_string()).ok();
        wait_for_failure(cluster, name, "ErrUpdateFailed", "it is not managed by its SealedSecret");
        let given = json!({"metadata": {"annotations": annotations}}).to_string();
        cluster.kubectl_ok(&["patch", "secret", name, "-n", PLACE, "--type=merge", "-p", &given]);
        cluster.wait_for_items(PLACE, name, &items);
        let is_patched = name == "patched";
        let labels = if is_patched { json!({"app": "db", "old": "1"}) } else { json!({"app": "db"}) };
        let found = cluster.wait("secret", PLACE, name, |secret| secret["metadata"]["labels"] == labels);
        assert_eq!(found["metadata"]["ownerReferences"].is_null(), is_patched, "{found}");
    }

    // A6: a key that is taken away opens nothing any more, and opens again when it is back.
    let relabel = |role: &str| {
        let label = format!("{KEY_LABEL}={role}");
        let keys =
            cluster.kubectl_ok(&["get", "secrets", "-n", "kube-system", "-l", KEY_LABEL, "-o", "name"]);
        let key = keys.lines().next().unwrap().to_owned();
        cluster.kubectl_ok(&["label", &key, "-n", "kube-system", "--overwrite", &label]);
    };
    relabel("compromised");
    ours.wait_for_log("keys for SealedSecrets of bitnami.com: 0");
    wait_for_failure(cluster, "s2", "ErrUnsealFailed", "no key could decrypt secret (password)");
    wait_for_password(cluster, "s2", "value 2");
    relabel("active");
    cluster.wait(BITNAMI, PLACE, "s2", |found| synced(found)["status"] == "True");

    // Given back: their controller finds all as it would have made it.
    cluster.kubectl_ok(&["delete", BITNAMI, "-n", PLACE, "moved-strict", "managed", "patched", "s3"]);
    wait_until(|| ["managed", "s3"].iter().all(|name| cluster.get("secret", PLACE, name).is_none()));
    ours.stop();
    let before = versions(cluster);
    let theirs = start_theirs(cluster);
    let told = || {
        cluster.events(PLACE).iter().filter(|event| event.message.contains("unsealed successfully")).count()
    };
    sleep(Duration::from_secs(8));
    assert!(told() > 0);
    assert_eq!(versions(cluster), before);
    drop(theirs);
    assert_nothing_leaked(cluster, &[&ours]);
}
