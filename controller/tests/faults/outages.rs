//! The API server is killed, has forgotten, refuses, or does not know the resource any more: whatever it is, the
//! controller heals by itself when it has passed. One test for all, since everybody in the cluster feels each.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::*;
use sealant::keys::MasterKey;
use sealant::sealed_secret::{DeletionPolicy, Options, SealedSecret, Template};
use sealant_test_support::{ApiRequest, Cluster, Peers};
use serde_json::{Value, json};

const OWN: &str = "sealant-system";
const NAME: &str = "sealant-controller";

struct World {
    // In the order in which they end.
    controller: Controller,
    cluster: Cluster,
    recipient: MasterKey,
    namespace: String,
}

/// A1, A15, and each outage in turn.
#[test]
fn it_outlives_every_outage_of_the_api_server() {
    let world = World::start();
    let mut steps: Vec<(&str, f64)> = Vec::new();
    world.apply("bystander", "1");
    let bystander = world.value("bystander", "1");
    let told = world.reason("bystander", "Unsealed");
    let mut step = |name, run: fn(&World)| {
        let start = Instant::now();
        run(&world);
        if world.cluster.get("secret", &world.namespace, "bystander").is_some() {
            assert_eq!(world.value("bystander", "1"), bystander, "{name}");
            assert_eq!(world.reason("bystander", "Unsealed")["status"], told["status"], "{name}");
        } else {
            assert_eq!(name, "uninstalled");
        }
        steps.push((name, start.elapsed().as_secs_f64()));
        assert_nothing_leaked(&world.cluster, &[&world.controller]);
    };
    step("killed", an_api_server_that_was_killed);
    step("forgotten", an_api_server_that_has_forgotten);
    step("throttled", an_api_server_that_wants_no_more);
    step("forbidden", rights_that_are_taken_away);
    step("unreadable", a_resource_that_cannot_be_read);
    step("rights", every_right_is_used);
    step("uninstalled", a_resource_that_is_uninstalled);
    // Where time goes, for who works on this.
    eprintln!("{steps:.1?}");
    // An identity has not gone because the API server had.
    assert!(!world.controller.log().contains("there is no identity"), "{}", world.controller.log());
}

impl World {
    /// In a cluster without an identity: the controller makes the first.
    fn start() -> Self {
        let cluster = cluster();
        let kubeconfig = cluster.kubeconfig_of(OWN, NAME);
        let controller = Controller::start(&kubeconfig, &["--pod-name=one"]);
        let published = cluster.wait("configmap", OWN, "sealant-recipients", |_| true);
        let recipient = published["data"]["recipients"].as_str().unwrap().trim();
        let recipient = MasterKey::Age(recipient.parse().unwrap());
        let namespace = cluster.new_namespace("outage");
        Self { cluster, controller, recipient, namespace }
    }

    fn sealed(&self, name: &str, value: &str) -> SealedSecret {
        let value = format!("{PLANTED}{value}");
        let secret = secret(&self.namespace, name, &[("a", &value)]);
        seal_for(&secret, &Options::default(), vec![self.recipient.clone()])
    }

    #[track_caller]
    fn apply(&self, name: &str, value: &str) {
        self.cluster.apply(&json(&self.sealed(name, value))).ok();
    }

    #[track_caller]
    fn value(&self, name: &str, value: &str) -> Value {
        self.cluster.wait_for_items(&self.namespace, name, &[("a", &format!("{PLANTED}{value}"))])
    }

    #[track_caller]
    fn reason(&self, name: &str, reason: &str) -> Value {
        self.cluster.wait_for_reason(&self.namespace, name, reason)
    }

    #[track_caller]
    fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl_ok(&[args, &["-n", &self.namespace]].concat())
    }

    fn requests(&self) -> Vec<ApiRequest> {
        self.cluster.requests_of(OWN, NAME)
    }
}

fn an_api_server_that_was_killed(world: &World) {
    world.apply("killed", "1");
    world.value("killed", "1");
    world.reason("killed", "Unsealed");
    world.cluster.stop();
    let before = world.requests().len();
    world.controller.wait_for_log("this replica no longer leads: the lease could not be renewed");
    world.cluster.start_again();
    world.apply("killed", "2");
    world.value("killed", "2");
    // What was right is not written again.
    world.reason("killed", "Unsealed");
    let writes = world
        .requests()
        .split_off(before)
        .into_iter()
        .filter(|request| request.is_write() && request.code < 300 && request.resource.starts_with("se"));
    assert_eq!(
        writes.map(|request| request.resource).collect::<Vec<_>>(),
        ["secrets", "sealedsecrets/status"]
    );
}

/// 410: what has happened while nobody looked cannot be watched any more, and is found all the same.
fn an_api_server_that_has_forgotten(world: &World) {
    for name in ["changed", "deleted", "edited", "gone"] {
        world.apply(name, "1");
        world.value(name, "1");
    }
    // A list comes as a stream, and is a watch to the audit log.
    let lists = || world.controller.metric("sealant_lists_total", "kind=\"sealedsecrets.sealant.dev\"");
    let before = lists();
    world.controller.signal("STOP");
    // Its connections are gone with this: what happens now is in no buffer of them, from which it could go on.
    world.cluster.stop();
    world.cluster.start_again();
    world.apply("changed", "2");
    world.apply("new", "1");
    world.kubectl(&["delete", "secret", "deleted"]);
    world.kubectl(&[
        "patch",
        "secret",
        "edited",
        "--type=merge",
        "-p",
        r#"{"stringData": {"a": "by hand"}}"#,
    ]);
    world.kubectl(&["delete", SEALED, "gone"]);
    world.cluster.stop();
    world.cluster.compact();
    world.cluster.start_again();
    world.controller.signal("CONT");
    world.value("changed", "2");
    for name in ["new", "deleted", "edited"] {
        world.value(name, "1");
    }
    world.kubectl(&["wait", "--for=delete", "secret/gone", "--timeout=300s"]);
    // A watch that goes on from where it was would not list.
    assert!(lists() > before, "nothing was listed again");
}

/// 429, from the real priority and fairness of the API server: one request at a time, and somebody keeps the only seat.
fn an_api_server_that_wants_no_more(world: &World) {
    let flow = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
         "metadata": {"name": "one"},
         "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "lendablePercent": 0,
                  "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}}},
        {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
         "metadata": {"name": "one"},
         "spec": {"priorityLevelConfiguration": {"name": "one"}, "matchingPrecedence": 2, "rules": [{
             "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": NAME, "namespace": OWN}}],
             "resourceRules": [{"verbs": ["get", "create", "patch"], "apiGroups": [""], "resources": ["secrets"],
                                "namespaces": [world.namespace]}]}]}},
    ]})
    .to_string();
    world.apply("throttled", "1");
    world.value("throttled", "1");
    world.reason("throttled", "Unsealed");
    world.cluster.kubectl(&["create", "-f", "-"]).stdin(flow).run().ok();
    let dispatched =
        || world.cluster.kubectl_ok(&["get", "--raw=/debug/api_priority_and_fairness/dump_priority_levels"]);
    wait_until(|| dispatched().contains("\none, "));
    // A request whose body never ends.
    let mut seat = Command::new(Peers::get().program("kubectl"))
        .args(["create", "--raw", &format!("/api/v1/namespaces/{}/secrets", world.namespace), "-f", "-"])
        .env("KUBECONFIG", world.cluster.kubeconfig_of(OWN, NAME))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| {
        let levels = dispatched();
        let one = levels.lines().find(|line| line.starts_with("one, ")).unwrap_or_default();
        one.split(',').nth(5).is_some_and(|executing| executing.trim() == "1")
    });
    world.apply("throttled", "2");
    let outages = || world.controller.metric("sealant_outages_total", "");
    let before = outages();
    wait_until(|| outages() > before + 3.0);
    world.controller.wait_for_log("all work is paused: the API server refuses it (429");
    // That is nothing that the SealedSecret has to say.
    let waiting = world.cluster.get(SEALED, &world.namespace, "throttled").unwrap();
    assert_eq!(condition(&waiting, "Ready")["reason"], "Unsealed", "{waiting}");
    assert_eq!(waiting["status"]["observedGeneration"], 1, "{waiting}");
    drop(seat.stdin.take());
    seat.wait().unwrap();
    world.value("throttled", "2");
    world.reason("throttled", "Unsealed");
}

/// 403.
fn rights_that_are_taken_away(world: &World) {
    let role = world.cluster.get("clusterrole", "", NAME).unwrap();
    let mut less = json!({"apiVersion": role["apiVersion"], "kind": role["kind"], "metadata": {"name": NAME}, "rules": role["rules"]});
    let full = less.to_string();
    let rules = less["rules"].as_array_mut().unwrap();
    let secrets = rules.iter_mut().find(|rule| rule["resources"] == json!(["secrets"])).unwrap();
    secrets["verbs"] = json!(["get", "list", "watch"]);
    let replace = |role: String| world.cluster.kubectl(&["replace", "-f", "-"]).stdin(role).run().ok();
    replace(less.to_string());
    world.apply("forbidden", "1");
    let refused = world.reason("forbidden", "Refused");
    assert_eq!(condition(&refused, "Stalled")["status"], "True");
    assert!(condition(&refused, "Ready")["message"].as_str().unwrap().contains("403"), "{refused}");
    replace(full);
    world.value("forbidden", "1");
    world.reason("forbidden", "Unsealed");
}

/// A7: one that does not decode, because the API server has let it through, stops nothing.
fn a_resource_that_cannot_be_read(world: &World) {
    let crd = world.cluster.kubectl_ok(&["get", "crd", SEALED, "-o", "json"]);
    let mut crd: Value = serde_json::from_str(&crd).unwrap();
    crd["metadata"] = json!({"name": SEALED});
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    *crd.pointer_mut(spec).unwrap() = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    world
        .cluster
        .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"])
        .stdin(crd.to_string())
        .run()
        .ok();
    let good = json(&world.sealed("unreadable", "1"));
    let mut bad: Value = serde_json::from_str(&good).unwrap();
    bad["spec"]["encryptedData"] = json!({"a": 5});
    // The old schema is in force for a moment.
    wait_until(|| world.cluster.apply(&bad.to_string()).status == 0);
    let invalid = world.reason("unreadable", "Invalid");
    assert_eq!(condition(&invalid, "Stalled")["status"], "True");
    world.apply("readable", "1");
    world.value("readable", "1");
    // Looked at again, it is not written again.
    let tries = || world.controller.metric("sealant_reconciles_total", "reason=\"Invalid\"");
    let before = tries();
    world.kubectl(&["label", SEALED, "unreadable", "x=y"]);
    wait_until(|| tries() > before);
    assert_eq!(world.reason("unreadable", "Invalid")["status"], invalid["status"]);
    world.cluster.apply(&good).ok();
    world.value("unreadable", "1");
    install(&world.cluster);
}

/// The roles that ship are enough, for nothing was refused but what this test has taken away, and hold nothing more.
fn every_right_is_used(world: &World) {
    // What has not happened yet: an immutable Secret is made again, and the same event is told twice.
    let immutable = |value: &str| {
        let mut sealed = world.sealed("immutable", value);
        sealed.spec.template = Some(Template { immutable: Some(true), ..Template::default() });
        sealed.metadata.annotations.insert("sealant.dev/on-immutable".to_owned(), "Recreate".to_owned());
        world.cluster.apply(&json(&sealed)).ok();
        world.value("immutable", value);
    };
    immutable("1");
    immutable("2");
    world.apply("repaired", "1");
    world.value("repaired", "1");
    world.reason("repaired", "Unsealed");
    for _ in 0..2 {
        world.kubectl(&[
            "patch",
            "secret",
            "repaired",
            "--type=merge",
            "-p",
            r#"{"stringData": {"a": "by hand"}}"#,
        ]);
        world.value("repaired", "1");
    }

    let start = Instant::now();
    loop {
        let requests = world.requests();
        let unused = unused_rights(world, &requests);
        if unused.is_empty() {
            // An API server that has just been started refuses everything for a moment, as long as it knows no roles.
            let answered = |allowed: bool| -> BTreeSet<(&str, &str)> {
                let answered = requests
                    .iter()
                    .filter(|request| (request.code < 300) == allowed && (allowed || request.code == 403));
                answered.map(|request| (request.verb.as_str(), request.resource.as_str())).collect()
            };
            let refused: Vec<_> = answered(false).difference(&answered(true)).copied().collect();
            assert!(refused.is_empty(), "{refused:#?}");
            return;
        }
        assert!(start.elapsed() < LIMIT, "nothing has used {unused:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn unused_rights(world: &World, requests: &[ApiRequest]) -> Vec<String> {
    let roles =
        [world.cluster.get("clusterrole", "", NAME).unwrap(), world.cluster.get("role", OWN, NAME).unwrap()];
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut unused = Vec::new();
    for role in &roles {
        let namespace = role["metadata"]["namespace"].as_str();
        for rule in role["rules"].as_array().unwrap() {
            for (group, resource) in texts(&rule["apiGroups"]).into_iter().zip(texts(&rule["resources"])) {
                let names = texts(&rule["resourceNames"]);
                for verb in texts(&rule["verbs"]) {
                    if verb == "list" {
                        // For API servers that have no streaming lists.
                        continue;
                    }
                    let used = requests.iter().any(|request| {
                        (&request.verb, &request.group, &request.resource) == (&verb, &group, &resource)
                            && namespace.is_none_or(|namespace| namespace == request.namespace)
                            && (names.is_empty() || names.contains(&request.name))
                            && request.code < 300
                    });
                    // Who makes something by an apply patches it, and needs both.
                    let by_apply = verb == "create"
                        && requests.iter().any(|request| {
                            (request.verb.as_str(), request.code, &request.resource)
                                == ("patch", 201, &resource)
                                && namespace.is_none_or(|namespace| namespace == request.namespace)
                        });
                    if !used && !by_apply {
                        unused.push(format!("{verb} {group}/{resource} in {namespace:?}"));
                    }
                }
            }
        }
    }
    unused
}

/// A15: who removes the resource removes all SealedSecrets, and with them their Secrets; those that are to be retained
/// stay, and belong to their SealedSecrets again when these come back.
fn a_resource_that_is_uninstalled(world: &World) {
    let mut retained = world.sealed("retained", "1");
    retained.spec.deletion_policy = Some(DeletionPolicy::Retain);
    world.cluster.apply(&json(&retained)).ok();
    let kept = world.value("retained", "1");
    // The garbage collector looks for new resources every half a minute. One that goes before it was seen leaves what it
    // owned behind.
    world.apply("collected", "1");
    world.value("collected", "1");
    world.kubectl(&["delete", SEALED, "collected"]);
    world.kubectl(&["wait", "--for=delete", "secret/collected", "--timeout=300s"]);
    world.apply("owned", "1");
    world.value("owned", "1");
    world.cluster.kubectl_ok(&["delete", "crd", SEALED, "--timeout=300s"]);
    world.kubectl(&["wait", "--for=delete", "secret/owned", "--timeout=300s"]);
    let still = world.cluster.get("secret", &world.namespace, "retained").unwrap();
    assert_eq!(still["metadata"]["resourceVersion"], kept["metadata"]["resourceVersion"]);
    install(&world.cluster);
    world.cluster.apply(&json(&retained)).ok();
    world.reason("retained", "Unsealed");
    let again = world.value("retained", "1");
    assert_eq!(again["metadata"]["uid"], kept["metadata"]["uid"]);
    world.apply("owned", "2");
    world.value("owned", "2");
}
