//! Several replicas and restarts, with the rights in single namespaces that ship: each test has controllers of its own.
// Its files are those of a test.
mod bitnami;
mod hostile;

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::tenant::Tenant;
use crate::common::*;
use sealant::keys::{MasterKey, NewIdentity};
use sealant::sealed_secret::{Options, Scope};
use sealant_test_support::Cluster;
use serde_json::{Value, json};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(cluster);

fn place(name: &str) -> Tenant {
    Tenant::new(&CLUSTER, name)
}

/// The first identity is made once, and never again where there was one.
#[test]
fn the_first_identity_is_made_once_and_only_where_nothing_is_sealed() {
    let empty = place("first");
    let (a, b) = (empty.start("a"), empty.start("b"));
    let made = CLUSTER.wait("secret", &empty.namespace, "sealant-identity", |_| true);
    assert_eq!(made["metadata"]["labels"]["sealant.dev/identity"], "active");
    let published = CLUSTER.wait("configmap", &empty.namespace, "sealant-recipients", |_| true);
    let recipients = published["data"]["recipients"].as_str().unwrap();
    assert_eq!(recipients.lines().count(), 1);
    let file = items_of(&made).remove(0).1;
    assert!(file.contains(&format!("# public key: {recipients}")), "not the one of the identity");
    for controller in [a, b] {
        controller.stop();
    }
    // People have sealed for it: another one would open nothing of theirs.
    CLUSTER.kubectl_ok(&["delete", "secret", "sealant-identity", "-n", &empty.namespace]);
    let again = empty.start("again");
    again.wait_for_log("recipients of one are published");
    assert!(CLUSTER.get("secret", &empty.namespace, "sealant-identity").is_none());

    let sealed = place("sealed");
    sealed.apply_many(&identity(), 0..1);
    let c = sealed.start("c");
    c.wait_for_log("there is no identity");
    CLUSTER.wait_for_reason(&sealed.namespace, "s0", "NoIdentity");
    assert!(CLUSTER.get("secret", &sealed.namespace, "sealant-identity").is_none());

    // One that cannot be read is one all the same.
    let broken = place("unusable");
    let mut secret = identity_secret("team", &identity());
    secret["stringData"]["key.agekey"] = "AGE-SECRET-KEY-1HUNTER2".into();
    CLUSTER.kubectl(&["apply", "-n", &broken.namespace, "-f", "-"]).stdin(secret.to_string()).run().ok();
    let d = broken.start("d");
    d.wait_for_log("there is no identity that can be used");
    assert!(CLUSTER.get("secret", &broken.namespace, "sealant-identity").is_none());
}

/// A5, A8: the leader is killed in the middle of 1000 objects, and the other one finishes: nothing is lost, written
/// twice or told twice. A restart then has nothing to do, and does nothing. It is 1000 and not 5000, for kubectl alone
/// takes a minute for those.
#[test]
fn when_the_leader_is_killed_in_the_middle_the_other_finishes_and_a_restart_does_nothing() {
    const COUNT: usize = 1000;
    let (place, identity) = (place("killed"), identity());
    place.give(&identity);
    let a = place.start("a");
    place.wait_for_holder("a", LIMIT);
    let b = place.start("b");
    std::thread::scope(|scope| {
        scope.spawn(|| place.apply_many(&identity, 0..COUNT));
        wait_until(|| a.metric("sealant_writes_total", "create") >= 100.0);
        a.signal("KILL");
    });
    place.wait_for_holder("b", LIMIT);
    place.wait_for_all(COUNT);
    // All are there. What the first had asked for and nobody waited for any more is no answered request in the log.
    let writes = place.writes_of_secrets();
    assert!(writes.values().all(|&count| count == 1), "{writes:?}");
    assert!((COUNT - 64..=COUNT).contains(&writes.len()), "{}", writes.len());
    let told = CLUSTER.events(&place.namespace);
    let mut told: Vec<_> =
        told.into_iter().filter(|event| event.reason == "Unsealed").map(|event| event.name).collect();
    told.sort();
    let count = told.len();
    told.dedup();
    // What the first had written and not yet said when it was killed is said by the other, as what it is.
    assert_eq!(told.len(), count, "something is told twice");
    assert!((COUNT - 64..=COUNT).contains(&count), "{count}");

    b.stop();
    let before = [place.names_and_versions("secret"), place.names_and_versions(SEALED)];
    let asked = place.requests().len();
    let c = place.start("c");
    let start = Instant::now();
    while c.metric("sealant_objects", "reason=\"Unsealed\"") < COUNT as f64 {
        assert!(start.elapsed() < LIMIT, "{}", c.log());
        sleep(Duration::from_millis(100));
    }
    let since = place.requests().split_off(asked);
    let work: Vec<_> = since
        .iter()
        .filter(|request| request.is_write() || request.resource == "secrets" && request.verb == "get")
        .collect();
    assert!(work.iter().all(|request| request.resource == "leases"), "{work:#?}");
    assert_eq!([c.metric("sealant_writes_total", ""), c.metric("sealant_unseals_total", "")], [0.0, 0.0]);
    assert_eq!(before, [place.names_and_versions("secret"), place.names_and_versions(SEALED)]);
    // And it is awake.
    place.apply_many(&identity, COUNT..COUNT + 1);
    CLUSTER.wait_for_items(&place.namespace, &format!("s{COUNT}"), &[("a", "1")]);
}

/// A5: one that is told to stop lets the other begin at once; one that is stopped past its lease in the middle of its
/// work, and goes on, writes nothing any more.
#[test]
fn one_of_two_replicas_writes_and_a_stale_leader_does_no_harm() {
    const COUNT: usize = 200;
    let (place, identity) = (place("replicas"), identity());
    place.give(&identity);
    let a = place.start("a");
    place.wait_for_holder("a", LIMIT);
    let b = place.start("b");
    place.apply_many(&identity, 0..1);
    place.wait_for_all(1);
    assert_eq!(b.metric("sealant_writes_total", ""), 0.0);
    a.stop();
    assert!(a.log().contains("this replica no longer leads: stopping"), "{}", a.log());
    place.wait_for_holder("b", Duration::from_secs(8));

    let c = place.start("c");
    std::thread::scope(|scope| {
        scope.spawn(|| place.apply_many(&identity, 1..COUNT));
        wait_until(|| b.metric("sealant_writes_total", "create") >= 20.0);
        b.signal("STOP");
    });
    place.wait_for_holder("c", LIMIT);
    place.wait_for_all(COUNT);
    assert!(c.metric("sealant_writes_total", "create") > 0.0);
    let before = [place.names_and_versions("secret"), place.names_and_versions(SEALED)];
    b.signal("CONT");
    b.wait_for_log("this replica no longer leads");
    // It goes on with what it had in hand, and is refused.
    wait_until(|| b.metric("sealant_queued", "") == 0.0);
    place.apply_many(&identity, COUNT..COUNT + 1);
    place.wait_for_all(COUNT + 1);
    assert_eq!(place.writes_of_secrets(), (0..=COUNT).map(|index| (format!("s{index}"), 1)).collect());
    let after = [place.names_and_versions("secret"), place.names_and_versions(SEALED)];
    for (before, after) in before.into_iter().zip(after) {
        assert!(before.is_subset(&after));
    }
    assert_eq!(place.holder(), "c");
    assert_eq!([b.metric("sealant_leader", ""), c.metric("sealant_leader", "")], [0.0, 1.0]);
}

/// Identities from files: they come, change and go without a restart.
#[test]
fn identities_of_files_are_read_again_when_they_change() {
    let (place, identity) = (place("files"), identity());
    let folder = CLUSTER.ca_file().with_file_name("identities");
    std::fs::create_dir(&folder).unwrap();
    let controller = place.start_with("a", &[&format!("--identity-file={}", folder.display())]);
    place.apply_many(&identity, 0..1);
    CLUSTER.wait_for_reason(&place.namespace, "s0", "NoIdentity");
    // Files are configured, though there is none yet: none is made.
    assert!(CLUSTER.get("secret", &place.namespace, "sealant-identity").is_none());
    std::fs::write(folder.join("ignored.txt"), "not an identity").unwrap();
    std::fs::write(folder.join("team.agekey"), identity.file.as_bytes()).unwrap();
    CLUSTER.wait_for_items(&place.namespace, "s0", &[("a", "1")]);
    let is_published =
        |map: &serde_json::Value| map["data"]["recipients"] == format!("{}\n", identity.recipient);
    let published = CLUSTER.wait("configmap", &place.namespace, "sealant-recipients", is_published);
    std::fs::write(folder.join("team.agekey"), "AGE-SECRET-KEY-1HUNTER2").unwrap();
    CLUSTER.wait_for_reason(&place.namespace, "s0", "NoIdentity");
    controller.wait_for_log("team.agekey: line 1 holds a damaged identity");
    std::fs::write(folder.join("team.agekey"), identity.file.as_bytes()).unwrap();
    CLUSTER.wait_for_reason(&place.namespace, "s0", "Unsealed");
    // What is published comes back by itself.
    CLUSTER.kubectl_ok(&["delete", "configmap", "sealant-recipients", "-n", &place.namespace]);
    let is_new =
        |map: &serde_json::Value| is_published(map) && map["metadata"]["uid"] != published["metadata"]["uid"];
    CLUSTER.wait("configmap", &place.namespace, "sealant-recipients", is_new);
    assert!(!controller.log().contains("HUNTER2") && !controller.log().contains("AGE-SECRET-KEY"));
}

/// With the roles of `deploy/namespaced`, and a namespace of its own beside the one that it looks after.
#[test]
fn a_controller_of_single_namespaces_looks_at_no_other() {
    let (here, identity) = (Tenant::apart(&CLUSTER, "here"), identity());
    let there = CLUSTER.new_namespace("there");
    here.give(&identity);
    let controller = here.start("a");
    CLUSTER.apply(&json(&seal(&secret(&there, "db", &[("a", "1")]), &identity))).ok();
    here.apply_many(&identity, 0..1);
    here.wait_for_all(1);
    CLUSTER.wait("configmap", &here.own, "sealant-recipients", |_| true);
    assert!(CLUSTER.get("secret", &there, "db").is_none());
    let refused: Vec<_> = here.requests().into_iter().filter(|request| request.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(!controller.log().contains("\"level\":\"WARN\""), "{}", controller.log());
    let account = format!("system:serviceaccount:{}:sealant-controller", here.own);
    for (verb, what, namespace) in [
        ("get", "secrets", &there),
        ("list", "secrets", &there),
        ("patch", "secrets", &here.own),
        ("delete", "secrets", &here.own),
    ] {
        let may = CLUSTER.kubectl(&["auth", "can-i", verb, what, "-n", namespace, "--as", &account]).run();
        assert_eq!(may.text().trim(), "no", "{verb} {what} in {namespace}");
    }
}

/// Two controllers in one cluster, each with its selector: a SealedSecret belongs to one of them, and the other writes no
/// status over its own.
#[test]
fn two_controllers_share_a_namespace_by_a_label() {
    let (blue, identity) = (Tenant::apart(&CLUSTER, "blue"), identity());
    let green = Tenant::beside(&blue, "green");
    blue.give(&identity);
    let apply = |name: &str, class: Option<&str>| {
        let mut object: serde_json::Value =
            serde_json::from_str(&json(&seal(&secret(&blue.namespace, name, &[("a", name)]), &identity)))
                .unwrap();
        if let Some(class) = class {
            object["metadata"]["labels"]["class"] = class.into();
        }
        CLUSTER.apply(&object.to_string()).ok();
    };
    let _without = blue.start_with("a", &["--selector=!class"]);
    let with = green.start_with("b", &["--selector=class in (green)"]);
    apply("plain", None);
    apply("labelled", Some("green"));
    apply("nobodys", Some("red"));
    CLUSTER.wait_for_reason(&blue.namespace, "plain", "Unsealed");
    CLUSTER.wait_for_reason(&blue.namespace, "labelled", "NoIdentity");
    green.give(&identity);
    CLUSTER.wait_for_items(&blue.namespace, "labelled", &[("a", "labelled")]);
    assert_eq!(with.metric("sealant_unseals_total", ""), 1.0);
    // It goes over to the other one by its label, and its Secret stays.
    let label = ["label", SEALED, "labelled", "class-", "-n", &blue.namespace];
    CLUSTER.kubectl_ok(&label);
    apply("labelled", None);
    let patch = ["patch", "secret", "labelled", "--type=merge", "-p", r#"{"stringData": {"a": "changed"}}"#];
    let before = with.metric("sealant_writes_total", "");
    CLUSTER.kubectl(&patch).args(&["-n", &blue.namespace]).run().ok();
    CLUSTER.wait_for_items(&blue.namespace, "labelled", &[("a", "labelled")]);
    assert_eq!(with.metric("sealant_writes_total", ""), before);
    assert_eq!(
        CLUSTER.get(SEALED, &blue.namespace, "nobodys").unwrap()["status"]["conditions"],
        serde_json::Value::Null
    );
}

/// One of several namespaces gives it no rights: the others go on, and nothing is taken for empty that cannot be seen.
#[test]
fn a_namespace_without_rights_holds_up_no_other() {
    let (here, identity) = (Tenant::apart(&CLUSTER, "open"), identity());
    let there = CLUSTER.new_namespace("closed");
    CLUSTER.apply(&json(&seal(&secret(&there, "db", &[("a", "1")]), &identity))).ok();
    let controller = here.start_with("a", &[&format!("--watch-namespaces={there}")]);
    controller.wait_for_log("no first identity is made until they can");
    assert!(CLUSTER.get("secret", &here.own, "sealant-identity").is_none());
    here.give(&identity);
    here.apply_many(&identity, 0..1);
    here.wait_for_all(1);
    here.open(&there);
    CLUSTER.wait_for_items(&there, "db", &[("a", "1")]);
}

/// An identity that goes while nobody looks is missed at the next start, though the status says that all is well.
#[test]
fn an_identity_that_went_while_the_controller_was_down_is_missed() {
    let (place, kept, lost) = (place("missed"), identity(), identity());
    place.give(&kept);
    let second = identity_secret("second", &lost).to_string();
    CLUSTER.kubectl(&["apply", "-n", &place.own, "-f", "-"]).stdin(second).run().ok();
    CLUSTER.apply(&json(&seal(&secret(&place.namespace, "kept", &[("a", "1")]), &kept))).ok();
    CLUSTER.apply(&json(&seal(&secret(&place.namespace, "lost", &[("a", "1")]), &lost))).ok();
    let first = place.start("a");
    CLUSTER.wait_for_reason(&place.namespace, "lost", "Unsealed");
    CLUSTER.wait_for_reason(&place.namespace, "kept", "Unsealed");
    first.stop();
    CLUSTER.kubectl_ok(&["delete", "secret", "second", "-n", &place.own]);
    let second = place.start("b");
    CLUSTER.wait_for_reason(&place.namespace, "lost", "NoIdentity");
    // Nothing was asked for the other one.
    assert_eq!(second.metric("sealant_unseals_total", ""), 0.0);
    CLUSTER.wait_for_items(&place.namespace, "lost", &[("a", "1")]);
}

/// What the controller of commit 79ed1a3 has left behind, written here as it wrote it: by its manager, with its annotations
/// and its statuses, whose conditions each have the whole message. Today's starts, and nothing is written: not for what is
/// right, and not for what is stuck.
#[test]
fn an_upgrade_writes_nothing() {
    let (place, own, foreign) = (place("upgrade"), identity(), identity());
    place.give(&own);
    let namespace = &place.namespace;
    let template = json!({"type": "example.com/shop", "immutable": true,
        "metadata": {"labels": {"app": "shop"}, "annotations": {"note": "x"}}});
    let make = |name: &str, identity, change: &dyn Fn(&mut Value)| {
        let mut sealed: Value =
            serde_json::from_str(&json(&seal(&secret(namespace, name, &[("a", "1")]), identity))).unwrap();
        change(&mut sealed);
        CLUSTER.apply(&sealed.to_string()).ok();
        CLUSTER.get(SEALED, namespace, name).unwrap()
    };
    let right = [
        make("s0", &own, &|_| {}),
        make("s1", &own, &|sealed| sealed["spec"]["deletionPolicy"] = "Retain".into()),
        make("s2", &own, &|sealed| sealed["spec"]["template"] = template.clone()),
    ];
    for sealed in &right {
        let made = made_by_79ed1a3(sealed);
        let apply = ["apply", "--server-side", "--field-manager=sealant-controller", "-o", "json", "-f", "-"];
        let made = CLUSTER.kubectl(&apply).stdin(made.to_string()).run().ok();
        let made: Value = serde_json::from_str(made.text()).unwrap();
        let message = "the Secret matches the SealedSecret";
        set_status(
            sealed,
            &["Ready", "Synced"],
            "Unsealed",
            message,
            Some(&made["metadata"]["resourceVersion"]),
        );
    }
    // In the words of today: where a release says it in others, they are written once.
    let wanted = format!(
        "no identity opens the data key\nwanted, any of:\n  {}\nthe log of the controller says what went wrong",
        foreign.recipient
    );
    let not_opened = make("stuck", &foreign, &|_| {});
    set_status(&not_opened, &["Stalled"], "NoIdentity", &wanted, None);
    let taken = make("taken", &own, &|_| {});
    CLUSTER.kubectl_ok(&["create", "secret", "generic", "taken", "-n", namespace, "--from-literal=a=theirs"]);
    let message = "the Secret taken exists: it was not made from this SealedSecret; annotate it with sealant.dev/adopt: \"true\" to have it taken over";
    set_status(&taken, &["Stalled"], "AlreadyExists", message, None);

    let before = (place.names_and_versions(SEALED), place.names_and_versions("secret"));
    let controller = place.start("a");
    wait_until(|| controller.metric("sealant_objects", "reason=\"Unsealed\"") == 3.0);
    wait_until(|| controller.metric("sealant_reconciles_total", "reason=\"NoIdentity\"") > 0.0);
    wait_until(|| controller.metric("sealant_reconciles_total", "reason=\"AlreadyExists\"") > 1.0);
    assert_eq!(controller.metric("sealant_writes_total", ""), 0.0);
    assert_eq!(controller.metric("sealant_unseals_total", ""), 0.0);
    assert_eq!((place.names_and_versions(SEALED), place.names_and_versions("secret")), before);
    let written: Vec<_> = place
        .requests()
        .into_iter()
        .filter(|request| {
            request.is_write() && !["leases", "configmaps"].contains(&request.resource.as_str())
        })
        .collect();
    assert!(written.is_empty(), "{written:#?}");
    // One that is looked at because its Secret has changed is right, too: nothing but its status follows, a while later.
    CLUSTER.kubectl_ok(&["label", "secret", "s0", "theirs=1", "-n", namespace]);
    wait_until(|| controller.metric("sealant_reconciles_total", "reason=\"Unsealed\"") > 0.0);
    assert_eq!(controller.metric("sealant_writes_total", ""), 0.0);
    let secret = CLUSTER.get("secret", namespace, "s0").unwrap();
    assert_eq!(secret["metadata"]["annotations"], json!({"sealant.dev/sealed-secret": "s0"}));
}

/// The Secret of a SealedSecret with one item, as `controller/src/writes.rs` of 79ed1a3 applied it.
fn made_by_79ed1a3(sealed: &Value) -> Value {
    let (meta, template) = (&sealed["metadata"], &sealed["spec"]["template"]);
    let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert("sealant.dev/managed".to_owned(), "true".into());
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert("sealant.dev/sealed-secret".to_owned(), meta["name"].clone());
    let mut made = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "labels": labels, "annotations": annotations},
        "type": template["type"].as_str().unwrap_or("Opaque"),
        "data": {"a": "MQ=="},
    });
    if sealed["spec"]["deletionPolicy"] != "Retain" {
        made["metadata"]["ownerReferences"] = json!([{"apiVersion": "sealant.dev/v1alpha1", "kind": "SealedSecret",
            "name": meta["name"], "uid": meta["uid"], "controller": true}]);
    }
    if template["immutable"] == true {
        made["immutable"] = true.into();
    }
    made
}

/// A status, as `controller/src/status.rs` of 79ed1a3 wrote it.
fn set_status(sealed: &Value, holding: &[&str], reason: &str, message: &str, version: Option<&Value>) {
    let generation = &sealed["metadata"]["generation"];
    let names = if version.is_some() { vec!["Ready", "Synced"] } else { vec!["Ready", "Stalled", "Synced"] };
    let condition = |name: &&str| {
        json!({"type": name, "status": if holding.contains(name) { "True" } else { "False" },
            "observedGeneration": generation, "lastTransitionTime": "2026-11-22T00:00:00Z",
            "reason": reason, "message": message})
    };
    let conditions: Vec<Value> = names.iter().map(condition).collect();
    let mut status = json!({"observedGeneration": generation, "conditions": conditions});
    if let Some(version) = version {
        status["secretResourceVersion"] = version.clone();
    }
    let (name, namespace) = (name_of(sealed), sealed["metadata"]["namespace"].as_str().unwrap());
    let patch = json!({"status": status}).to_string();
    let patch =
        ["patch", SEALED, &name, "-n", namespace, "--subresource=status", "--type=merge", "-p", &patch];
    CLUSTER.kubectl(&patch).args(&["--field-manager=sealant-controller"]).run().ok();
}

/// The API server keeps what a program with other types cannot read. Such an object stops nothing, at the start neither,
/// and is looked after as any other; and nothing of it is logged by whoever reads it.
#[test]
fn an_object_with_a_time_that_no_program_can_hold_is_one_like_any_other() {
    let (place, identity) = (place("times"), identity());
    place.give(&identity);
    let value = |text: &str| format!("{PLANTED}{text}");
    let apply = |name: &str, text: &str| {
        CLUSTER.apply(&json(&seal(&secret(&place.namespace, name, &[("a", &value(text))]), &identity))).ok();
    };
    apply("bad", "1");
    let first = place.start_with("a", &["--log-level=trace"]);
    CLUSTER.wait_for_items(&place.namespace, "bad", &[("a", &value("1"))]);
    CLUSTER.wait_for_reason(&place.namespace, "bad", "Unsealed");
    // All three kinds that are watched.
    for (kind, namespace, name) in [
        (SEALED, &place.namespace, "bad"),
        ("secret", &place.namespace, "bad"),
        ("secret", &place.own, "team"),
    ] {
        let mut object = CLUSTER.get(kind, namespace, name).unwrap();
        object["metadata"]["managedFields"][0]["time"] = "9999-12-31T23:59:59Z".into();
        object["metadata"]["labels"]["times"] = "odd".into();
        CLUSTER.kubectl(&["replace", "-f", "-"]).stdin(object.to_string()).run().ok();
        let kept = CLUSTER.get(kind, namespace, name).unwrap().to_string();
        assert!(kept.contains("9999-12-31T23:59:59Z"), "{kept}");
    }
    let patch = ["patch", "secret", "bad", "--type=merge", "-p", r#"{"stringData": {"a": "by hand"}}"#];
    let look_after = |controller: &Controller| {
        CLUSTER.kubectl(&patch).args(&["-n", &place.namespace]).run().ok();
        CLUSTER.wait_for_items(&place.namespace, "bad", &[("a", &value("1"))]);
        assert!(!controller.log().contains("AGE-SECRET-KEY"), "{}", controller.log());
    };
    look_after(&first);
    first.stop();
    let second = place.start_with("b", &["--log-level=trace"]);
    look_after(&second);
    apply("good", "2");
    CLUSTER.wait_for_items(&place.namespace, "good", &[("a", &value("2"))]);
    apply("bad", "3");
    CLUSTER.wait_for_items(&place.namespace, "bad", &[("a", &value("3"))]);
    assert_nothing_leaked(&CLUSTER, &[&first, &second]);
    assert_eq!(second.metric("sealant_unreadable_total", ""), 0.0);
}

/// Who may create SealedSecrets cannot make the controller need more memory than it has: neither by the list that it
/// begins with, nor by what it works on at once.
#[test]
fn many_of_the_largest_take_no_more_memory_than_a_few() {
    const COUNT: usize = 24;
    let (place, identity) = (place("large"), identity());
    place.give(&identity);
    let most = "x".repeat((1 << 20) - 1);
    let options = Options { scope: Some(Scope::Cluster), ..Options::default() };
    let key = vec![MasterKey::Age(identity.recipient.clone())];
    let mut large = seal_for(&secret(&place.namespace, "s0", &[("a", &most)]), &options, key);
    let named = |index| {
        large.metadata.name = format!("s{index}");
        json(&large)
    };
    CLUSTER.apply(&(0..COUNT).map(named).collect::<String>()).ok();
    let controller = place.start("a");
    place.wait_for_all(COUNT);
    let peak = controller.peak_memory();
    eprintln!("{COUNT} of the largest: {} MB at most", peak >> 10);
    assert!(peak < 80 << 10, "{peak} kB");
}
