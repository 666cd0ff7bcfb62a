//! SealedSecrets of bitnami.com: made by the real kubeseal, before and after the real controller of sealed-secrets.

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sealant::bitnami::Certificate;
use sealant_test_support::{ApiRequest, Cluster};
use serde_json::{Value, json};

use crate::common::peer::{self, Peer, install_crd};
use crate::common::*;

const BITNAMI: &str = "sealedsecrets.bitnami.com";
const KEY_LABEL: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";
const PLACE: &str = "shop";

/// How many objects there are at the hand-over.
const COUNT: usize = 200;

/// A cluster in which our controller may look after their objects.
fn cluster_for_both() -> Cluster {
    let cluster = cluster();
    for component in ["bitnami", "bitnami-keys"] {
        let rights = deploy().join("components").join(component).join("rbac.yaml");
        cluster.kubectl(&["apply", "-f"]).arg(rights).run().ok();
    }
    cluster.kubectl_ok(&["create", "namespace", PLACE]);
    cluster
}

fn start(cluster: &Cluster) -> Controller {
    let controller = start_with(cluster, "one", &[]);
    controller.wait_for_log("this replica leads");
    controller
}

fn start_with(cluster: &Cluster, name: &str, flags: &[&str]) -> Controller {
    let kubeconfig = cluster.kubeconfig_of("sealant-system", "sealant-controller");
    let name = format!("--pod-name={name}");
    let always = ["--namespace=sealant-system", "--bitnami", &name];
    Controller::start(&kubeconfig, &[&always, flags].concat())
}

/// The real controller, at ports that nobody else has: the second is that of its metrics.
fn start_theirs(cluster: &Cluster) -> (Peer, u16) {
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, metrics) = (port(), port());
    let flags = [format!("--listen-addr={listen}"), format!("--listen-metrics-addr={metrics}")];
    (Peer::start(cluster, &[&flags[0], &flags[1], "--kubeclient-qps=-1"]), metrics.port())
}

/// Waits until something is so that takes a while to look at: an audit log, or hundreds of objects.
#[track_caller]
fn wait_long_until(mut is_so: impl FnMut() -> bool) {
    wait_until(|| {
        let is_so = is_so();
        if !is_so {
            sleep(Duration::from_millis(400));
        }
        is_so
    });
}

/// Writes in the namespace of the objects, but for events, that their controller and ours have asked for.
fn writes(cluster: &Cluster) -> [Vec<String>; 2] {
    let is_one = |request: &ApiRequest| {
        request.namespace == PLACE
            && request.is_write()
            && request.resource != "events"
            && request.name != "own"
    };
    [(peer::OWN, peer::ACCOUNT), ("sealant-system", "sealant-controller")].map(|(namespace, name)| {
        let all = cluster.requests_of(namespace, name).into_iter().filter(is_one);
        all.map(|request| format!("{} {} {}", request.verb, request.resource, request.name)).collect()
    })
}

/// The samples of their metrics in what a controller serves: names, and labels with their values.
fn their_metrics(port: u16) -> BTreeMap<String, BTreeSet<BTreeSet<String>>> {
    // In one piece, which an answer to a newer HTTP need not be.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let mut all = BTreeMap::<String, BTreeSet<BTreeSet<String>>>::new();
    for line in text.lines().filter(|line| line.starts_with("sealed_secrets_controller_")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut labels: BTreeSet<String> = labels
            .trim_end_matches('}')
            .split(',')
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect();
        if name.ends_with("condition_info") {
            labels.insert(format!("is {value}"));
        }
        all.entry(name.to_owned()).or_default().insert(labels);
    }
    all
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
    let cluster = &cluster_for_both();
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
    let (theirs, _) = start_theirs(cluster);
    let certificate = Peer::certificate(cluster);
    let secret = |index: usize| {
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": format!("value {index}")},
            "metadata": {"name": format!("s{index}"), "namespace": PLACE, "labels": {"app": "db"}}})
    };
    let of_scope = |(first, scope): (usize, &&str)| {
        let secrets: Vec<Value> = (first..COUNT).step_by(3).map(secret).collect();
        peer::kubeseal_all(cluster, &certificate, scope, &secrets)
    };
    let mut all: Vec<Value> =
        ["strict", "namespace-wide", "cluster-wide"].iter().enumerate().flat_map(of_scope).collect();
    // One does not open.
    let mut broken = sealed(cluster, "strict", "x", "x");
    broken["metadata"]["name"] = "broken".into();
    broken["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "shop"});
    all.push(broken);
    cluster.apply(&all.iter().map(Value::to_string).collect::<String>()).ok();
    let are_synced = |status: &str| {
        let is_so = |object: &&Value| synced(object)["status"] == status;
        cluster.list(BITNAMI, PLACE).iter().filter(is_so).count()
    };
    wait_long_until(|| are_synced("True") == COUNT && are_synced("False") == 1);
    for secret in cluster.list("secrets", PLACE).iter().filter(|secret| name_of(secret) != "own") {
        let index = name_of(secret)[1..].to_owned();
        assert_eq!(items_of(secret), [("password".to_owned(), format!("value {index}"))]);
    }
    drop(theirs);

    // A8, checklist 11 of the reference: ours comes, opens all of them, and writes nothing.
    let before = versions(cluster);
    assert!(before.len() >= 2 * COUNT + 2);
    let ours = start(cluster);
    let labels = "kind=\"sealedsecrets.bitnami.com\",reason=\"Unsealed\"";
    wait_until(|| ours.metric("sealant_objects", labels) == COUNT as f64);
    wait_until(|| ours.metric("sealant_objects", "kind=\"sealedsecrets.bitnami.com\",reason=\"Err") == 1.0);
    assert_eq!(versions(cluster), before);
    assert_eq!(writes(cluster)[1], [""; 0]);

    // Both at once, by mistake: once theirs has written what it always writes at its start, neither writes anything.
    let (theirs, metrics) = start_theirs(cluster);
    let at_start = writes(cluster)[0].len();
    wait_long_until(|| writes(cluster)[0].len() >= at_start + COUNT);
    sleep(Duration::from_secs(3));
    let (together, start_of_both) = (writes(cluster), Instant::now());
    assert_eq!(together[1], [""; 0]);
    // Meanwhile: the same metrics, and the same is said of each object.
    let [theirs_say, ours_say] = [metrics, ours.metrics].map(their_metrics);
    assert_eq!(
        theirs_say["sealed_secrets_controller_condition_info"],
        ours_say["sealed_secrets_controller_condition_info"]
    );
    let errors = "sealed_secrets_controller_unseal_errors_total";
    assert_eq!(theirs_say[errors], ours_say[errors]);
    let names = |all: &BTreeMap<String, _>| all.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&theirs_say), names(&ours_say));
    sleep(Duration::from_secs(8).saturating_sub(start_of_both.elapsed()));
    assert_eq!(writes(cluster), together);
    assert_eq!(versions(cluster), before);
    drop(theirs);
    cluster.kubectl_ok(&["delete", BITNAMI, "-n", PLACE, "broken"]);

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
    let at_start = writes(cluster)[0].len();
    let (theirs, _) = start_theirs(cluster);
    wait_long_until(|| writes(cluster)[0].len() >= at_start + COUNT);
    sleep(Duration::from_secs(3));
    assert_eq!(versions(cluster), before);
    drop(theirs);
    assert_nothing_leaked(cluster, &[&ours]);
}

/// What a test compares of an object and its Secret: values, labels, annotations, and whether it is synced.
fn outcome(cluster: &Cluster, name: &str) -> Value {
    let object = cluster.wait(BITNAMI, PLACE, name, |object| {
        !synced(object).is_null()
            && object["status"]["observedGeneration"] == object["metadata"]["generation"]
    });
    let secret = cluster.get("secret", PLACE, name).unwrap_or_default();
    let reason = ["Unsealed", "ErrUnsealFailed"].into_iter().find(|reason| {
        cluster.events(PLACE).iter().any(|event| event.name == name && event.reason == *reason)
    });
    json!([
        secret["data"],
        secret["type"],
        secret["metadata"]["labels"],
        secret["metadata"]["annotations"],
        synced(&object)["status"],
        reason
    ])
}

/// `template.data` by the real controller and by ours, one after the other, of the same objects.
#[test]
fn templates_make_what_the_real_controller_makes_of_them() {
    let cluster = &cluster_for_both();
    Peer::install(cluster);
    let (theirs, _) = start_theirs(cluster);
    let certificate = Peer::certificate(cluster);
    let secret = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": PLACE,
            "labels": {"app": "db"}, "annotations": {"note": "x"}},
            "stringData": {"password": format!("{PLANTED}p"), "user": "anna", "db-host": "db.shop", "raw": "plain"}})
    };
    let dockerconfig = "{\"auths\":{\"r\":{\"auth\":\"{{ printf \"%s:%s\" .user .password | b64enc }}\"}}}";
    let cases = [
        (
            "url",
            json!({"url": "postgres://{{ .user }}:{{ .password | urlquery }}@{{ index . \"db-host\" }}/x"}),
        ),
        ("docker", json!({".dockerconfigjson": dockerconfig})),
        ("missing", json!({"a": "{{ .nope }}|{{ index . \"nope\" }}|{{ default \"d\" .nope }}"})),
        ("siblings", json!({"name": "anna", "hello": "hello {{ .name }}", "user": "not this"})),
        ("null", json!({"raw": null, "all": "{{ .raw }}"})),
        (
            "control",
            json!({"a": "{{ if eq .user \"anna\" }}yes{{ else }}no{{ end }}{{ range $i, $x := until 3 }}{{ $i }}{{ end }}"}),
        ),
        (
            "sprig",
            json!({"a": "{{ .user | upper | quote | nindent 2 }} {{ .password | sha256sum | trunc 8 }} {{ dict \"a\" 1 | toJson }}"}),
        ),
        ("parse-error", json!({"a": "{{ .user"})),
        ("exec-error", json!({"a": "{{ fail .password }}"})),
        ("forbidden", json!({"a": "{{ env \"PATH\" }}"})),
    ];
    let objects: Vec<Value> = cases
        .iter()
        .map(|(name, data)| {
            let mut object = peer::kubeseal(cluster, &certificate, "strict", &secret(name));
            object["spec"]["template"]["data"] = data.clone();
            object
        })
        .collect();
    let text: String = objects.iter().map(Value::to_string).collect();
    let all = || -> BTreeMap<&str, Value> {
        cluster.apply(&text).ok();
        let ends = |name: &str| cluster.events(PLACE).iter().any(|event| event.name == name);
        wait_until(|| cases.iter().all(|(name, _)| ends(name)));
        cases.iter().map(|(name, _)| (*name, outcome(cluster, name))).collect()
    };
    let by_theirs = all();
    // It can fail: some are made, and some fail.
    assert_eq!(by_theirs.values().filter(|outcome| outcome[4] == "True").count(), 7, "{by_theirs:#?}");
    drop(theirs);
    cluster.kubectl_ok(&["delete", BITNAMI, "-n", PLACE, "--all"]);
    wait_until(|| cluster.list("secrets", PLACE).is_empty());
    cluster.kubectl_ok(&["delete", "events", "-n", PLACE, "--all"]);
    let ours = start(cluster);
    assert_eq!(all(), by_theirs);
    // Where theirs fails with the value in its words, ours says a place.
    let failed = cluster.get(BITNAMI, PLACE, "exec-error").unwrap();
    let said = synced(&failed)["message"].to_string();
    assert!(said.contains("line 1, column") && !said.contains(PLANTED), "{said}");
    assert_nothing_leaked(cluster, &[&ours]);
    ours.stop();
}

/// The keys that there are, the oldest first, by their names.
fn keys(cluster: &Cluster) -> Vec<Value> {
    let mut keys = cluster.list("secrets", peer::OWN);
    keys.retain(|secret| secret["metadata"]["labels"][KEY_LABEL] == "active");
    keys.sort_by_key(|secret| secret["metadata"]["creationTimestamp"].as_str().map(str::to_owned));
    keys
}

/// Made when that is asked for, by one of two replicas, one after the other, as the real controller makes them: it reads them, and
/// opens what the real kubeseal has sealed for any of them. None is ever changed.
#[test]
fn keys_are_made_when_asked_for_and_theirs_reads_them() {
    let cluster = &cluster_for_both();
    install_crd(cluster);
    // Nobody asks: there is no key, and none is made.
    let quiet = start(cluster);
    quiet.wait_for_log("keys for SealedSecrets of bitnami.com: 0");
    sleep(Duration::from_secs(3));
    quiet.stop();
    assert_eq!(keys(cluster), [Value::Null; 0]);

    let period = Duration::from_secs(12);
    let flags = ["--bitnami-key-renew-period=12s"];
    let replicas = ["one", "two"].map(|name| start_with(cluster, name, &flags));
    wait_until(|| keys(cluster).len() == 1);
    let first = keys(cluster).remove(0);
    // One dies in the middle of it: the other goes on, and makes no second key for the same time.
    let leader = replicas.iter().position(|replica| replica.metric("sealant_leader", "") == 1.0).unwrap();
    wait_until(|| keys(cluster).len() == 2);
    replicas[leader].signal("KILL");
    wait_until(|| keys(cluster).len() == 3);
    replicas[1 - leader].stop();
    let made = keys(cluster);
    let certificate = |key: &Value| items_of(key).into_iter().find(|(name, _)| name == "tls.crt").unwrap().1;
    let since = |key: &Value| Certificate::read(certificate(key).as_bytes()).unwrap().not_before();
    for pair in made.windows(2) {
        let between = Duration::try_from(since(&pair[1]).duration_since(since(&pair[0]))).unwrap();
        assert!(between >= period, "{between:?}");
    }
    for key in &made {
        let name = name_of(key);
        assert!(
            name.starts_with("sealed-secrets-key") && name.len() == "sealed-secrets-key".len() + 5,
            "{name}"
        );
        assert_eq!(key["type"], "kubernetes.io/tls");
        assert_eq!(key["metadata"]["labels"], json!({KEY_LABEL: "active"}));
        assert_eq!(key["metadata"]["annotations"], Value::Null);
        let mut items: Vec<_> = key["data"].as_object().unwrap().keys().collect();
        items.sort();
        assert_eq!(items, ["tls.crt", "tls.key"]);
    }
    assert_eq!(made[0]["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);

    // Theirs takes them as its own, and makes none.
    Peer::install(cluster);
    let (theirs, _) = start_theirs(cluster);
    for (index, key) in made.iter().enumerate() {
        let file = cluster.ca_file().with_file_name("made.pem");
        std::fs::write(&file, certificate(key)).unwrap();
        let name = format!("s{index}");
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": PLACE},
            "stringData": {"password": name}});
        cluster.apply(&peer::kubeseal(cluster, &file, "strict", &secret).to_string()).ok();
        wait_for_password(cluster, &name, &name);
    }
    assert_eq!(keys(cluster), made);
    drop(theirs);
}
