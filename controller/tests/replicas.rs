//! Several replicas and restarts, with the rights in single namespaces that ship: each test has controllers of its own.

mod common;

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::tenant::Tenant;
use common::*;
use sealant_test_support::Cluster;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(cluster);

fn place(name: &str) -> Tenant {
    Tenant::new(&CLUSTER, name)
}

/// A8.
#[test]
fn a_restart_with_nothing_to_do_writes_nothing_and_opens_nothing() {
    const COUNT: usize = 200;
    let (place, identity) = (place("restart"), identity());
    place.give(&identity);
    let first = place.start("first");
    place.apply_many(&identity, COUNT);
    place.wait_for_all(COUNT);
    first.signal("TERM");
    first.wait_for_log("does not lead any more: stopping");
    assert!(first.metric("sealant_unseals_total", "") == 0.0 || first.log().contains("unsealed"));
    let before = [place.names_and_versions("secret"), place.names_and_versions(SEALED)];

    let second = place.start("second");
    let start = Instant::now();
    while second.metric("sealant_sealedsecrets", "reason=\"Unsealed\"") < COUNT as f64 {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", second.log());
        sleep(Duration::from_millis(100));
    }
    assert_eq!(second.metric("sealant_writes_total", ""), 0.0);
    assert_eq!(second.metric("sealant_unseals_total", ""), 0.0);
    assert_eq!(before, [place.names_and_versions("secret"), place.names_and_versions(SEALED)]);
    // And it is awake.
    place.apply_many(&identity, COUNT + 1);
    place.wait_for_all(COUNT + 1);
}

/// A5.
#[test]
fn one_of_two_replicas_writes_and_the_other_takes_over() {
    let (place, identity) = (place("replicas"), identity());
    place.give(&identity);
    let a = place.start("a");
    place.wait_for_holder("a", Duration::from_secs(10));
    let b = place.start("b");
    place.apply_many(&identity, 1);
    place.wait_for_all(1);
    assert_eq!(b.metric("sealant_writes_total", ""), 0.0);

    // One that is told to stop lets the other begin at once.
    a.signal("TERM");
    place.wait_for_holder("b", Duration::from_secs(8));
    place.apply_many(&identity, 2);
    place.wait_for_all(2);

    // One that is stopped does not know of it. When it goes on, it writes nothing any more.
    let c = place.start("c");
    let by_b = b.metric("sealant_writes_total", "");
    assert!(by_b > 0.0);
    b.signal("STOP");
    place.wait_for_holder("c", Duration::from_secs(25));
    place.apply_many(&identity, 3);
    place.wait_for_all(3);
    let before = [place.names_and_versions("secret"), place.names_and_versions(SEALED)];
    b.signal("CONT");
    b.wait_for_log("does not lead any more");
    sleep(Duration::from_secs(3));
    assert_eq!(b.metric("sealant_writes_total", ""), by_b);
    assert_eq!(before, [place.names_and_versions("secret"), place.names_and_versions(SEALED)]);
    assert_eq!(place.holder(), "c");
    assert_eq!(c.metric("sealant_leader", ""), 1.0);
}

/// A5: nothing is lost and nothing is told twice.
#[test]
fn when_the_leader_is_killed_in_the_middle_the_other_finishes() {
    const COUNT: usize = 300;
    let (place, identity) = (place("killed"), identity());
    place.give(&identity);
    let a = place.start("a");
    place.wait_for_holder("a", Duration::from_secs(10));
    let _b = place.start("b");
    std::thread::scope(|scope| {
        scope.spawn(|| place.apply_many(&identity, COUNT));
        let start = Instant::now();
        while a.metric("sealant_writes_total", "create") < 30.0 {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", a.log());
            sleep(Duration::from_millis(10));
        }
        a.signal("KILL");
    });
    place.wait_for_holder("b", Duration::from_secs(25));
    place.wait_for_all(COUNT);
    let made = CLUSTER.kubectl_ok(&[
        "get",
        "events",
        "-n",
        &place.namespace,
        "-o",
        "jsonpath={range .items[?(@.message==\"made the Secret\")]}{.involvedObject.name}{\"\\n\"}{end}",
    ]);
    let mut names: Vec<&str> = made.lines().collect();
    let told = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), told);
}

#[test]
fn the_first_identity_is_made_once_and_only_where_nothing_is_sealed() {
    let empty = place("first");
    let (_a, _b) = (empty.start("a"), empty.start("b"));
    let made = CLUSTER.wait("secret", &empty.namespace, "sealant-identity", |_| true);
    assert_eq!(made["metadata"]["labels"]["sealant.dev/identity"], "active");
    let published = CLUSTER.wait("configmap", &empty.namespace, "sealant-recipients", |_| true);
    let recipients = published["data"]["recipients"].as_str().unwrap();
    assert_eq!(recipients.lines().count(), 1);
    let file = items_of(&made).remove(0).1;
    assert!(file.contains(&format!("# public key: {recipients}")), "not the one of the identity");

    let sealed = place("sealed");
    sealed.apply_many(&identity(), 1);
    let c = sealed.start("c");
    c.wait_for_log("there is no identity");
    CLUSTER.wait_for_reason(&sealed.namespace, "s0", "NoIdentity");
    assert!(CLUSTER.get("secret", &sealed.namespace, "sealant-identity").is_none());
}

#[test]
fn a_controller_of_single_namespaces_looks_at_no_other() {
    let (here, identity) = (place("here"), identity());
    let there = CLUSTER.new_namespace("there");
    here.give(&identity);
    let controller = here.start("a");
    CLUSTER.apply(&json(&seal(&secret(&there, "db", &[("a", "1")]), &identity))).ok();
    here.apply_many(&identity, 1);
    here.wait_for_all(1);
    assert!(CLUSTER.get("secret", &there, "db").is_none());
    assert!(!controller.log().contains("\"level\":\"WARN\""), "{}", controller.log());
    let account = format!("system:serviceaccount:{}:sealant-controller", here.namespace);
    let may = CLUSTER.kubectl(&["auth", "can-i", "get", "secrets", "-n", &there, "--as", &account]).run();
    assert_eq!(may.text().trim(), "no");
}
