//! From the real controller of sealed-secrets to ours, by `sealant migrate`: with the keys of the cluster, and with its Secrets.

use std::path::Path;
use std::process::{Command, Output};

use sealant_test_support::{Cluster, Sandbox};
use serde_json::{Value, json};

use crate::common::peer::{self, Peer};
use crate::common::*;

const PLACE: &str = "shop";
const THEIRS: &str = "sealedsecrets.bitnami.com";

/// Runs `sealant migrate sealed-secrets` in a folder, before a cluster. No value is ever said.
fn migrate(test: &Sandbox, cluster: &Cluster, words: &[&str]) -> Output {
    let output = Command::new(sealant())
        .args(["migrate", "sealed-secrets"])
        .args(words)
        .current_dir(test.path(""))
        .env_clear()
        .env("HOME", test.home(""))
        .env("PATH", "/usr/bin:/bin")
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .expect("it starts");
    let said =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat();
    assert!(!said.contains("hunter2") && !said.contains("PRIVATE KEY"), "{said}");
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn read(test: &Sandbox, file: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&test.read(file)).expect("JSON")
}

/// Each Secret has the same UID in the end, and was never gone: had it been, it would have another.
#[test]
fn objects_move_over_and_their_secrets_stay() {
    let cluster = Cluster::start_with_controllers();
    install(&cluster);
    cluster.kubectl_ok(&["create", "namespace", PLACE]);
    let identity = identity();
    let keys = identity_secret("team", &identity).to_string();
    cluster.kubectl(&["apply", "-n", "sealant-system", "-f", "-"]).stdin(keys).run().ok();
    let kubeconfig = cluster.kubeconfig_of("sealant-system", "sealant-controller");
    let ours = Controller::start(&kubeconfig, &["--namespace=sealant-system"]);

    Peer::install(&cluster);
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = [format!("--listen-addr={}", port()), format!("--listen-metrics-addr={}", port())];
    let theirs = Peer::start(&cluster, &[&flags[0], &flags[1], "--kubeclient-qps=-1"]);
    let test = Sandbox::new(sealant());
    let rule = format!("creation_rules:\n  - path_regex: ^apps/\n    age: {}\n", identity.recipient);
    test.write(".sops.yaml", rule);
    for name in ["keyed", "live"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": PLACE},
            "stringData": {"password": format!("hunter2 of {name}")}});
        let sealed = peer::kubeseal(&cluster, &Peer::certificate(&cluster), "strict", &secret).to_string();
        cluster.apply(&sealed).ok();
        test.write(format!("apps/{name}.json"), sealed);
        cluster.wait_for_items(PLACE, name, &[("password", &format!("hunter2 of {name}"))]);
        cluster.wait(THEIRS, PLACE, name, |found| condition(found, "Synced")["status"] == "True");
    }
    let uid = |name: &str| cluster.get("secret", PLACE, name).expect("a Secret")["metadata"]["uid"].clone();
    let before = ["keyed", "live"].map(uid);

    // A file with other ciphertexts than the cluster has names a Secret that it may not have.
    let forged = test.read_text("apps/live.json").replace("\"password\"", "\"other\"");
    test.write("apps/forged.json", &forged);
    let refused = migrate(&test, &cluster, &["--live-secrets", "--allow-copied", "apps/forged.json"]);
    assert!(said(&refused).contains("has other values than the file"), "{}", said(&refused));
    assert!(!refused.status.success() && test.read_text("apps/forged.json") == forged);
    std::fs::remove_file(test.path("apps/forged.json")).expect("a file");

    let keyed = migrate(&test, &cluster, &["--cluster-keys", "apps/keyed.json"]);
    assert!(keyed.status.success(), "{}", said(&keyed));
    let live = migrate(&test, &cluster, &["--live-secrets", "apps/live.json"]);
    assert!(live.status.success(), "{}", said(&live));

    for name in ["keyed", "live"] {
        let object = read(&test, format!("apps/{name}.json"));
        assert_eq!(object["apiVersion"], "sealant.dev/v1alpha1");
        // The steps of docs/moving-over.md.
        cluster.kubectl_ok(&["delete", THEIRS, name, "--namespace", PLACE, "--cascade=orphan"]);
        cluster.kubectl_ok(&["annotate", "secret", name, "--namespace", PLACE, "sealant.dev/adopt=true"]);
        cluster.kubectl(&["apply", "--server-side", "-f", "-"]).stdin(object.to_string()).run().ok();
        cluster.wait("sealedsecrets.sealant.dev", PLACE, name, |found| {
            condition(found, "Ready")["status"] == "True"
        });
        let secret = cluster.wait("secret", PLACE, name, |secret| {
            secret["metadata"]["ownerReferences"][0]["apiVersion"] == "sealant.dev/v1alpha1"
        });
        assert_eq!(items_of(&secret), [("password".to_owned(), format!("hunter2 of {name}"))]);
    }
    assert_eq!(["keyed", "live"].map(uid), before);
    assert_eq!(cluster.list(THEIRS, PLACE).len(), 0);
    drop(theirs);
    ours.stop();
}

/// One apply hands a Secret over where we look after both kinds, and then the old object may go in whichever way. Each Secret has the
/// same UID in the end.
#[test]
fn one_apply_hands_over_where_we_look_after_both_kinds() {
    let cluster = Cluster::start_with_controllers();
    install(&cluster);
    for component in ["bitnami", "bitnami-keys"] {
        let rights = deploy().join("components").join(component).join("rbac.yaml");
        cluster.kubectl(&["apply", "-f"]).arg(rights).run().ok();
    }
    cluster.kubectl_ok(&["create", "namespace", PLACE]);
    let identity = identity();
    let keys = identity_secret("team", &identity).to_string();
    cluster.kubectl(&["apply", "-n", "sealant-system", "-f", "-"]).stdin(keys).run().ok();
    Peer::install(&cluster);
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = [format!("--listen-addr={}", port()), format!("--listen-metrics-addr={}", port())];
    let theirs = Peer::start(&cluster, &[&flags[0], &flags[1]]);
    let certificate = Peer::certificate(&cluster);
    drop(theirs);
    let kubeconfig = cluster.kubeconfig_of("sealant-system", "sealant-controller");
    let ours = Controller::start(&kubeconfig, &["--namespace=sealant-system", "--bitnami"]);

    let cases = [("background", "same"), ("foreground", "same"), ("other", "new")];
    for (name, value) in cases {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": PLACE},
            "stringData": {"password": "same"}});
        cluster.apply(&peer::kubeseal(&cluster, &certificate, "strict", &secret).to_string()).ok();
        cluster.wait_for_items(PLACE, name, &[("password", "same")]);
        let uid = cluster.get("secret", PLACE, name).expect("a Secret")["metadata"]["uid"].clone();
        let keys = vec![sealant::keys::MasterKey::Age(identity.recipient.clone())];
        let sealed =
            seal_for(&crate::common::secret(PLACE, name, &[("password", value)]), &Default::default(), keys);
        cluster.apply(&crate::common::json(&sealed)).ok();
        if value == "new" {
            let refused = cluster.wait("sealedsecrets.sealant.dev", PLACE, name, |found| {
                condition(found, "Ready")["status"] == "False"
            });
            let message = condition(&refused, "Ready")["message"].to_string();
            assert!(message.contains("it belongs to SealedSecret other, and has other values"), "{message}");
            let secret = cluster.get("secret", PLACE, name).expect("a Secret");
            assert_eq!(items_of(&secret), [("password".to_owned(), "same".to_owned())]);
            continue;
        }
        cluster.wait("sealedsecrets.sealant.dev", PLACE, name, |found| {
            condition(found, "Ready")["status"] == "True"
        });
        let superseded = format!("superseded by sealedsecrets.sealant.dev/{name}");
        cluster.wait(THEIRS, PLACE, name, |found| {
            condition(found, "Synced")["message"].as_str().is_some_and(|said| said.starts_with(&superseded))
        });
        cluster.kubectl_ok(&["delete", THEIRS, name, "-n", PLACE, &format!("--cascade={name}")]);
        // The garbage collector takes no longer.
        std::thread::sleep(std::time::Duration::from_secs(2));
        let secret = cluster.get("secret", PLACE, name).expect("a Secret");
        assert_eq!(secret["metadata"]["uid"], uid, "{name}");
        assert_eq!(secret["metadata"]["ownerReferences"].as_array().map(Vec::len), Some(1));
        assert_eq!(secret["metadata"]["ownerReferences"][0]["apiVersion"], "sealant.dev/v1alpha1");
        assert_eq!(items_of(&secret), [("password".to_owned(), "same".to_owned())]);
    }
    ours.stop();
}
