//! SealedSecrets that somebody has spoilt: each says what is wrong with it, gives nothing away, stops no other, and is
//! well again as soon as it is right.

use sealant::sealed_secret::{Changes, GroupEntry, change};
use sealant::secret::SecretBytes;

use super::*;

/// A value that must not be found anywhere.
fn value(text: &str) -> String {
    format!("{PLANTED}{text}")
}

fn spec(object: &mut Value) -> &mut Value {
    &mut object["spec"]
}

fn item<'o>(object: &'o mut Value, name: &str) -> &'o mut Value {
    &mut object["spec"]["encryptedData"][name]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

type Spoil<'s> = Box<dyn Fn(&mut Value) + 's>;

/// A7, and C18 to C25 once more; the whole list of what can be wrong with a SealedSecret.
#[test]
fn a_broken_sealed_secret_says_what_is_wrong_and_stops_no_other() {
    let (place, elsewhere) = (place("broken"), place("elsewhere"));
    let (a, b) = (value("a"), value("b"));
    let values = [("a", a.as_str()), ("b", b.as_str())];
    let good = |name: &str| place.sealed(name, &values);
    let object = |sealed: &SealedSecret| serde_json::from_str::<Value>(&json(sealed)).unwrap();
    let other = object(&good("other"));
    // One that was sealed by somebody, and of which somebody else has set the item `b` since.
    let set = {
        let sealed = good("old-key-after-set");
        let item = Some(SecretBytes::new(value("set").into_bytes()));
        let changes = Changes::from([("b".to_owned(), item)]);
        change(&sealed, &changes, new_key(vec![MasterKey::Age(place.world.identity.recipient.clone())]))
            .unwrap()
    };
    let stranger = identity();
    let foreign = object(&seal(&secret(&place.namespace, "x", &values), &stranger));

    let cases: Vec<(&str, &str, &str, Spoil<'_>)> = vec![
        (
            "moved-to-another-name",
            "BadCiphertext",
            "`a`",
            Box::new(|object| {
                object["metadata"]["name"] = "moved-to-another-name".into();
            }),
        ),
        (
            "moved-to-another-namespace",
            "BadCiphertext",
            "`a`",
            Box::new(|object| {
                *object =
                    serde_json::from_str(&json(&elsewhere.sealed("moved-to-another-namespace", &values)))
                        .unwrap();
                object["metadata"]["namespace"] = place.namespace.clone().into();
            }),
        ),
        (
            "renamed-item",
            "BadCiphertext",
            "`c`",
            Box::new(|object| {
                let moved = item(object, "a").take();
                spec(object)["encryptedData"].as_object_mut().unwrap().remove("a");
                *item(object, "c") = moved;
            }),
        ),
        (
            "swapped-items",
            "BadCiphertext",
            "`a`",
            Box::new(|object| {
                let (a, b) = (item(object, "a").take(), item(object, "b").take());
                (*item(object, "a"), *item(object, "b")) = (b, a);
            }),
        ),
        (
            "widened-scope",
            "BadCiphertext",
            "`a`",
            Box::new(|object| spec(object)["scope"] = "cluster".into()),
        ),
        (
            "other-scope",
            "BadCiphertext",
            "`a`",
            Box::new(|object| spec(object)["scope"] = "namespace".into()),
        ),
        (
            "truncated-base64",
            "BadCiphertext",
            "`a`",
            Box::new(|object| {
                let short = text(item(object, "a"));
                *item(object, "a") = short[..short.len() - 1].into();
            }),
        ),
        (
            "truncated-ciphertext",
            "BadCiphertext",
            "`a`",
            Box::new(|object| {
                let short = text(item(object, "a"));
                *item(object, "a") = short[..short.len() - 8].into();
            }),
        ),
        (
            "other-base64",
            "BadCiphertext",
            "`a`",
            Box::new(|object| {
                *item(object, "a") = format!("{}\n", text(item(object, "a"))).into();
            }),
        ),
        ("plaintext-item", "BadCiphertext", "`a`", Box::new(|object| *item(object, "a") = "hunter2".into())),
        (
            "unknown-data-key",
            "BadCiphertext",
            "00000000",
            Box::new(|object| {
                let (_, rest) = text(item(object, "a"))
                    .split_once(':')
                    .map(|(id, rest)| (id.to_owned(), rest.to_owned()))
                    .unwrap();
                *item(object, "a") = format!("00000000:{rest}").into();
            }),
        ),
        ("no-data-keys", "BadCiphertext", "`a`", Box::new(|object| spec(object)["dataKeys"] = json!([]))),
        (
            "same-id-twice",
            "BadCiphertext",
            "two data keys",
            Box::new(|object| {
                let again = spec(object)["dataKeys"][0].clone();
                spec(object)["dataKeys"].as_array_mut().unwrap().push(again);
            }),
        ),
        (
            "same-id-other-key",
            "BadCiphertext",
            "id does not match",
            Box::new(|object| {
                let mut again = other["spec"]["dataKeys"][0].clone();
                again["id"] = spec(object)["dataKeys"][0]["id"].clone();
                spec(object)["dataKeys"].as_array_mut().unwrap().push(again);
            }),
        ),
        (
            "other-commitment",
            "BadCiphertext",
            "",
            Box::new(|object| {
                let (id, commitment) = (
                    other["spec"]["dataKeys"][0]["id"].clone(),
                    other["spec"]["dataKeys"][0]["commitment"].clone(),
                );
                let key = &mut spec(object)["dataKeys"][0];
                (key["id"], key["commitment"]) = (id.clone(), commitment);
                for name in ["a", "b"] {
                    let (_, rest) = text(item(object, name))
                        .split_once(':')
                        .map(|(id, rest)| (id.to_owned(), rest.to_owned()))
                        .unwrap();
                    *item(object, name) = format!("{}:{rest}", text(&id)).into();
                }
            }),
        ),
        // What a reviewer opens is one thing, and what the cluster would open is another.
        (
            "wrappings-of-different-keys",
            "BadCiphertext",
            "",
            Box::new(|object| {
                let for_stranger = foreign["spec"]["dataKeys"][0].clone();
                let mut key = for_stranger.clone();
                let ours = spec(object)["dataKeys"][0]["age"][0].clone();
                key["age"].as_array_mut().unwrap().push(ours);
                spec(object)["dataKeys"][0] = key;
                spec(object)["encryptedData"] = foreign["spec"]["encryptedData"].clone();
            }),
        ),
        (
            "broken-wrapping",
            "NoIdentity",
            "",
            Box::new(|object| {
                spec(object)["dataKeys"][0]["age"][0]["enc"] = "no age file".into();
            }),
        ),
        (
            "sealed-for-another",
            "NoIdentity",
            "",
            Box::new(|object| {
                *object = serde_json::from_str(&json(&seal(
                    &secret(&place.namespace, "sealed-for-another", &values),
                    &stranger,
                )))
                .unwrap();
            }),
        ),
        // Whoever made the first data key may have kept it: nothing that was set later opens with it.
        (
            "old-key-after-set",
            "BadCiphertext",
            "`b`",
            Box::new(|object| {
                *object = serde_json::from_str(&json(&set)).unwrap();
                let old = text(item(object, "a")).split_once(':').unwrap().0.to_owned();
                let (new, rest) = text(item(object, "b"))
                    .split_once(':')
                    .map(|(id, rest)| (id.to_owned(), rest.to_owned()))
                    .unwrap();
                assert_ne!(old, new);
                *item(object, "b") = format!("{old}:{rest}").into();
            }),
        ),
        (
            "key-with-spaces",
            "BadCiphertext",
            "not a key",
            Box::new(|object| *item(object, "not a key") = item(object, "a").clone()),
        ),
        (
            "key-with-dots",
            "BadCiphertext",
            "..x",
            Box::new(|object| *item(object, "..x") = item(object, "a").clone()),
        ),
        (
            "long-key",
            "BadCiphertext",
            "xxxx",
            Box::new(|object| *item(object, &"x".repeat(254)) = item(object, "a").clone()),
        ),
        (
            "too-much",
            "BadCiphertext",
            "bytes together",
            Box::new(|object| {
                let half = "x".repeat((1 << 19) + 50);
                let [one, two] = [("a", half.as_str()), ("b", half.as_str())]
                    .map(|item| place.sealed("too-much", &[item]));
                let mut both = serde_json::from_str::<Value>(&json(&one)).unwrap();
                let two = serde_json::from_str::<Value>(&json(&two)).unwrap();
                both["spec"]["dataKeys"].as_array_mut().unwrap().push(two["spec"]["dataKeys"][0].clone());
                both["spec"]["encryptedData"]["b"] = two["spec"]["encryptedData"]["b"].clone();
                *object = both;
            }),
        ),
        (
            "group-of-one",
            "BadCiphertext",
            "only one key group",
            Box::new(|object| {
                let age = spec(object)["dataKeys"][0]["age"].take();
                spec(object)["dataKeys"][0] = json!({
                    "id": spec(object)["dataKeys"][0]["id"], "commitment": spec(object)["dataKeys"][0]["commitment"],
                    "keyGroups": [{"age": age}],
                });
            }),
        ),
        (
            "token",
            "TemplateForbidden",
            "service-account-token",
            Box::new(|object| {
                spec(object)["template"] = json!({"type": "kubernetes.io/service-account-token",
                "metadata": {"annotations": {"note": "x"}}});
            }),
        ),
        (
            "token-of-an-account",
            "TemplateForbidden",
            "kubernetes.io/service-account.name",
            Box::new(|object| {
                spec(object)["template"] =
                    json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}}});
            }),
        ),
        (
            "bootstrap-token",
            "TemplateForbidden",
            "bootstrap",
            Box::new(|object| {
                spec(object)["template"] = json!({"type": "bootstrap.kubernetes.io/token"});
            }),
        ),
        (
            "our-label",
            "TemplateForbidden",
            "sealant.dev/identity",
            Box::new(|object| {
                spec(object)["template"] =
                    json!({"metadata": {"labels": {"sealant.dev/identity": "active"}}});
            }),
        ),
        // A11: nothing that is random is rendered.
        (
            "random-function",
            "TemplateForbidden",
            "`randAlphaNum` is refused",
            Box::new(|object| {
                spec(object)["template"] = json!({"data": {"x": "{{ randAlphaNum 20 }}"}});
            }),
        ),
        // What only the API server can know; it may quote what it does not like, and we do not.
        (
            "bad-label",
            "Refused",
            "metadata.labels",
            Box::new(|object| {
                spec(object)["template"] = json!({"metadata": {"labels": {"x": value("label with spaces")}}});
            }),
        ),
        (
            "missing-item-of-type",
            "Refused",
            "data[tls.crt]",
            Box::new(|object| {
                spec(object)["template"] = json!({"type": "kubernetes.io/tls"});
            }),
        ),
    ];

    place.apply(&good("untouched"));
    let before = place.items("untouched", &values);
    let mut manifests = String::new();
    for (name, _, _, spoil) in &cases {
        let mut object = object(&good(if *name == "moved-to-another-name" { "another" } else { name }));
        spoil(&mut object);
        manifests += &object.to_string();
    }
    place.world.cluster.apply(&manifests).ok();
    let expected: Vec<_> = cases.iter().map(|(name, reason, ..)| ((*name).to_owned(), *reason)).collect();
    let found = place.world.cluster.wait_for_reasons(&place.namespace, &expected);
    let events = place.world.cluster.events(&place.namespace);
    for (name, reason, words, _) in &cases {
        let status = |condition: &str| self::condition(&found[*name], condition)["status"].clone();
        assert_eq!(
            [status("Ready"), status("Stalled"), status("Synced")],
            ["False", "True", "False"],
            "{name}"
        );
        let message = text(&condition(&found[*name], "Ready")["message"]);
        assert!(message.contains(words), "{name}: {message}");
        // C14, C19, C21: the event says the same.
        let event = events.iter().find(|event| event.name == *name && event.reason == *reason).unwrap();
        assert_eq!((event.kind.as_str(), event.message.as_str()), ("Warning", message.as_str()));
    }
    let secrets: Vec<String> =
        place.world.cluster.list("secrets", &place.namespace).iter().map(name_of).collect();
    assert_eq!(secrets, ["untouched"]);

    // What is new beside them is done at once, and what was right is as it was.
    place.apply(&good("new"));
    place.items("new", &values);
    assert_eq!(
        place.secret("untouched").unwrap()["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );

    let right: String = cases.iter().map(|(name, ..)| json(&good(name))).collect();
    place.world.cluster.apply(&right).ok();
    let expected: Vec<_> = cases.iter().map(|(name, ..)| ((*name).to_owned(), "Unsealed")).collect();
    place.world.cluster.wait_for_reasons(&place.namespace, &expected);
    for secret in place.world.cluster.list("secrets", &place.namespace) {
        assert_eq!(
            items_of(&secret),
            [("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())],
            "{}",
            name_of(&secret)
        );
    }
    place.nothing_leaked();
}

#[test]
fn what_is_large_or_unusual_becomes_a_secret_all_the_same() {
    let place = place("large");
    let cluster = &place.world.cluster;
    // As much as a Secret may hold.
    let most = "x".repeat((1 << 20) - 1);
    place.apply(&place.sealed("most", &[("a", &most), ("b", "y")]));
    place.items("most", &[("a", &most), ("b", "y")]);

    let mut keys: Vec<MasterKey> = (0..499).map(|_| MasterKey::Age(identity().recipient)).collect();
    keys.push(MasterKey::Age(place.world.identity.recipient.clone()));
    let many = seal_for(&secret(&place.namespace, "many", &[("a", "1")]), &Options::default(), keys);
    place.apply(&many);
    place.items("many", &[("a", "1")]);

    // Three groups, any two of which will do: we are in two.
    let ours = || vec![MasterKey::Age(place.world.identity.recipient.clone())];
    let groups = vec![ours(), vec![MasterKey::Age(identity().recipient)], ours()];
    let shared = seal_with(&secret(&place.namespace, "shared", &[("a", "1")]), new_key_of(groups, 2));
    assert!(matches!(shared.spec.data_keys[0].key_groups.as_slice(), [GroupEntry { .. }, _, _]));
    place.apply(&shared);
    place.items("shared", &[("a", "1")]);

    // Fields that nobody knows: kubectl says so, and who insists loses them.
    let mut unknown: Value = serde_json::from_str(&json(&place.sealed("unknown", &[("a", "1")]))).unwrap();
    unknown["spec"]["recipients"] = json!(["age1"]);
    let refused = cluster.apply(&unknown.to_string()).code(1);
    assert!(refused.stderr.contains("recipients"), "{refused}");
    let insist = ["create", "--validate=ignore", "-f", "-"];
    cluster.kubectl(&insist).stdin(unknown.to_string()).run().ok();
    place.items("unknown", &[("a", "1")]);
    assert_eq!(cluster.get(SEALED, &place.namespace, "unknown").unwrap()["spec"]["recipients"], Value::Null);

    // No values at all.
    let options = Options { allow_empty: true, ..Options::default() };
    place.apply(&seal_for(&secret(&place.namespace, "empty", &[]), &options, ours()));
    place.reason("empty", "Unsealed");
    assert_eq!(items_of(&place.secret("empty").unwrap()), []);
}

/// A10: what the status says is what happened last, in the same order, and it is not written when it says so already.
#[test]
fn the_status_is_always_that_of_the_last_outcome() {
    let place = place("status");
    let message = |reason: &str| text(&condition(&place.reason("db", reason), "Ready")["message"]);
    let spoilt = |name: &str| {
        let mut sealed = place.sealed("db", &[("a", "1"), ("b", "2")]);
        sealed.spec.encrypted_data.get_mut(name).unwrap().pop();
        place.apply(&sealed);
    };
    spoilt("a");
    let first = message("BadCiphertext");
    assert!(first.contains("`a`"), "{first}");
    spoilt("b");
    let second = message("BadCiphertext");
    assert!(second.contains("`b`") && second != first, "{second}");
    place.kubectl(&["create", "secret", "generic", "db", "--from-literal=theirs=1"]);
    place.apply(&place.sealed("db", &[("a", "1")]));
    let blocked = place.reason("db", "AlreadyExists");
    let names = |sealed: &Value| -> Vec<String> {
        sealed["status"]["conditions"].as_array().unwrap().iter().map(|known| text(&known["type"])).collect()
    };
    assert_eq!(names(&blocked), ["Ready", "Stalled", "Synced"]);
    let (health, why) = argocd_health(&blocked.to_string());
    assert!(health == "Degraded" && why.starts_with("AlreadyExists: "), "{health}: {why}");
    // It is tried again and again; as long as nothing changes, nothing is written.
    let tries = || place.world.controller.metric("sealant_reconciles_total", "reason=\"AlreadyExists\"");
    let before = tries();
    wait_until(|| tries() >= before + 2.0);
    let version = |sealed: &Value| sealed["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&place.reason("db", "AlreadyExists")), version(&blocked));
    place.kubectl(&["delete", "secret", "db"]);
    let good = place.reason("db", "Unsealed");
    assert_eq!(names(&good), ["Ready", "Synced"]);
    for name in ["Ready", "Synced"] {
        assert_eq!(condition(&good, name)["observedGeneration"], good["metadata"]["generation"]);
    }
}

/// A9: a change of metadata alone counts. Our scope is in the spec; annotations and labels are looked at, too.
#[test]
fn a_change_of_metadata_alone_is_followed() {
    let place = place("metadata");
    let mut sealed = place.sealed("db", &[("a", "1")]);
    sealed.spec.template = Some(Template { immutable: Some(true), ..Template::default() });
    place.apply(&sealed);
    place.items("db", &[("a", "1")]);
    let mut changed = place.sealed("db", &[("a", "2")]);
    changed.spec.template = Some(Template { immutable: Some(true), ..Template::default() });
    place.apply(&changed);
    let generation = place.reason("db", "Immutable")["metadata"]["generation"].clone();
    place.kubectl(&["annotate", "sls", "db", "sealant.dev/on-immutable=Recreate"]);
    place.items("db", &[("a", "2")]);
    assert_eq!(place.reason("db", "Unsealed")["metadata"]["generation"], generation);
}

/// 409: others write to the same objects at the same time. Nothing is lost, and nothing of theirs is undone.
#[test]
fn who_writes_at_the_same_time_is_a_conflict_and_no_harm() {
    let place = place("conflict");
    let cluster = &place.world.cluster;
    let conflicts = || {
        let requests = cluster.requests_of("sealant-system", "sealant-controller");
        requests.iter().filter(|request| request.namespace == place.namespace && request.code == 409).count()
    };
    let names: Vec<String> = (0..30).map(|index| format!("s{index}")).collect();
    let mut round = 0;
    while conflicts() == 0 {
        round += 1;
        assert!(round < 20, "no conflict in {round} rounds");
        let all: String =
            names.iter().map(|name| json(&place.sealed(name, &[("a", &round.to_string())]))).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| cluster.apply(&all).ok());
            for count in 0..6 {
                let label = format!("round=r{round}-{count}");
                place.kubectl(&["label", "sls", "--all", "--overwrite", &label]);
                place.kubectl(&["label", "secrets", "--all", "--overwrite", &label]);
            }
        });
    }
    let expected: Vec<_> = names.iter().map(|name| (name.clone(), "Unsealed")).collect();
    cluster.wait_for_reasons(&place.namespace, &expected);
    for secret in cluster.list("secrets", &place.namespace) {
        assert_eq!(items_of(&secret), [("a".to_owned(), round.to_string())], "{}", name_of(&secret));
    }
}

/// 409: a Secret that somebody makes between our look and our write is theirs, and nothing is merged into it.
#[test]
fn a_secret_that_somebody_makes_at_the_same_moment_is_theirs() {
    const COUNT: usize = 30;
    let place = place("race");
    let cluster = &place.world.cluster;
    let lost = || {
        let requests = cluster.requests_of("sealant-system", "sealant-controller");
        let ours = requests.iter().filter(|request| request.namespace == place.namespace);
        ours.filter(|request| request.resource == "secrets" && request.code == 409).count()
    };
    let mut rounds = 0;
    while lost() == 0 {
        assert!(rounds < 20, "nobody was faster in {rounds} rounds");
        // One after the other: a Secret comes while the controller is busy with its SealedSecret.
        let pairs = (0..COUNT).map(|index| {
            let name = format!("s{rounds}-{index}");
            let theirs = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"theirs": "1"},
                "metadata": {"name": name, "namespace": place.namespace}});
            json(&place.sealed(&name, &[("ours", "2")])) + &theirs.to_string()
        });
        // Where ours is first, theirs is refused.
        let _ = cluster.kubectl(&["create", "-f", "-"]).stdin(pairs.collect::<String>()).run();
        rounds += 1;
    }
    let outcome = |secret: &Value| match &items_of(secret)[..] {
        [(name, _)] if name == "theirs" => "AlreadyExists",
        [(name, _)] if name == "ours" => "Unsealed",
        merged => panic!("{merged:?}"),
    };
    wait_until(|| cluster.list("secrets", &place.namespace).len() == COUNT * rounds);
    let secrets = cluster.list("secrets", &place.namespace);
    let expected: Vec<_> = secrets.iter().map(|secret| (name_of(secret), outcome(secret))).collect();
    assert!(expected.iter().any(|(_, reason)| *reason == "AlreadyExists"));
    cluster.wait_for_reasons(&place.namespace, &expected);
}
