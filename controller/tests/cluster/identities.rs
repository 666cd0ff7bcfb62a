//! Identities come, go, break and are retired at run time.

use super::*;

/// Applies a Secret in the controller's namespace.
fn configure(secret: &Value) {
    let args = ["apply", "-n", "sealant-system", "-f", "-"];
    WORLD.cluster.kubectl(&args).stdin(secret.to_string()).run().ok();
}

fn published() -> String {
    let map = WORLD.cluster.get("configmap", "sealant-system", "sealant-recipients").unwrap();
    map["data"]["recipients"].as_str().unwrap_or_default().to_owned()
}

/// C13, C14, A1, A6: identities are added, corrupted, relabelled and removed, and what waits for one heals by itself.
#[test]
fn a_sealed_secret_waits_for_its_identity() {
    let place = place("identity");
    let stranger = identity();
    let recipient = stranger.recipient.as_str().to_owned();
    let value = format!("{PLANTED}identity");
    place.apply(&place.sealed("other", &[("a", "1")]));
    let other = place.items("other", &[("a", "1")]);
    place.apply(&seal(&secret(&place.namespace, "db", &[("a", &value)]), &stranger));
    let waiting = place.reason("db", "NoIdentity");
    assert_eq!(condition(&waiting, "Stalled")["status"], "True");
    place.event("db", "NoIdentity");
    assert!(place.secret("db").is_none());

    let right = identity_secret("stranger", &stranger);
    let mut broken = right.clone();
    broken["stringData"]["key.agekey"] = "AGE-SECRET-KEY-1HUNTER2".into();
    let mut of_no_role = right.clone();
    of_no_role["metadata"]["labels"]["sealant.dev/identity"] = "compromised".into();
    let mut retired = right.clone();
    retired["metadata"]["labels"]["sealant.dev/identity"] = "retired".into();

    // One that is broken harms nobody.
    configure(&broken);
    place.world.controller.wait_for_log("Secret stranger/key.agekey: ");
    place.reason("db", "NoIdentity");
    // Added.
    configure(&right);
    place.items("db", &[("a", &value)]);
    place.reason("db", "Unsealed");
    let is_published =
        |map: &Value| map["data"]["recipients"].as_str().is_some_and(|text| text.contains(&recipient));
    place.world.cluster.wait("configmap", "sealant-system", "sealant-recipients", is_published);
    // Corrupted, declared bad by a label that is no role, or removed: that is said, and the Secret stays as it is.
    type Break<'b> = (&'b str, Box<dyn Fn() + 'b>);
    let breaks: [Break<'_>; 3] = [
        ("corrupted", Box::new(|| configure(&broken))),
        ("of no role", Box::new(|| configure(&of_no_role))),
        (
            "removed",
            Box::new(|| {
                drop(place.world.cluster.kubectl_ok(&[
                    "delete",
                    "secret",
                    "stranger",
                    "-n",
                    "sealant-system",
                ]))
            }),
        ),
    ];
    for (what, spoil) in breaks {
        spoil();
        let lost = place.reason("db", "NoIdentity");
        assert_eq!(condition(&lost, "Synced")["status"], "False", "{what}");
        place.items("db", &[("a", &value)]);
        configure(&right);
        place.reason("db", "Unsealed");
    }
    // Retired: it opens, and nobody is told to seal for it.
    configure(&retired);
    place.world.cluster.wait("configmap", "sealant-system", "sealant-recipients", |map| !is_published(map));
    place.apply(&seal(&secret(&place.namespace, "late", &[("a", &value)]), &stranger));
    place.items("late", &[("a", &value)]);
    assert!(published().contains(place.world.identity.recipient.as_str()));
    place.world.cluster.kubectl_ok(&["delete", "secret", "stranger", "-n", "sealant-system"]);
    place.reason("late", "NoIdentity");

    let now = place.secret("other").unwrap();
    assert_eq!(now["metadata"]["resourceVersion"], other["metadata"]["resourceVersion"]);
    place.nothing_leaked();
    for text in [place.world.controller.log(), published()] {
        assert!(!text.contains("AGE-SECRET-KEY"), "{text}");
    }
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
    world.controller.wait_for_log("Secret smuggled: the controller has made it");
    here.apply(&seal(&secret(&here.namespace, "db", &[("a", "1")]), &stranger));
    here.reason("db", "NoIdentity");
    world.cluster.kubectl_ok(&["delete", "sls", "smuggled", "-n", "sealant-system"]);
}
