//! Secrets that the real kubectl wrote in plaintext become SealedSecrets, which Python with the real age opens to the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealant_test_support::{Output, Sandbox};
use serde_json::json;

use super::{commit, objects, opened_by_age, repository, unsealed};

/// The manifest of a Secret.
fn kubectl(test: &Sandbox, words: &[&str]) -> String {
    let create = ["create", "secret", "generic", "--dry-run=client", "-n", "shop", "-o", "yaml"];
    test.program("kubectl", &create).with_peers().args(words).run().ok().text().to_owned()
}

/// No value is ever said.
fn migrate(test: &Sandbox, words: &[&str]) -> Output {
    let output = test.sealant(&["migrate", "secrets"]).args(words).run();
    let said = format!("{}{}", output.stderr, String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("hunter2"), "{said}");
    output
}

fn first_commit(test: &Sandbox) -> String {
    test.program("git", &["log", "--reverse", "--format=%h", "--abbrev=10"]).run().ok().text()[..10]
        .to_owned()
}

#[test]
fn secrets_among_other_objects_are_sealed_in_their_places() {
    let test = repository();
    let db = kubectl(&test, &["db", "--from-literal=password=hunter2-old"]);
    let pod = "# of the shop\napiVersion: v1\nkind: ConfigMap\nmetadata:\n    name:   odd   # stays\n";
    test.write("apps/all.yaml", format!("{pod}---\n{db}"));
    commit(&test);
    let binary: Vec<u8> = (0..=255).collect();
    test.write(test.tmp().join("blob"), &binary);
    let from_file = format!("--from-file=blob={}", test.tmp().join("blob").display());
    let db =
        kubectl(&test, &["db", "--from-literal=password=hunter2-new", &from_file, "--type=example.com/db"])
            .replace("metadata:\n", "metadata: # which one\n  labels: {app: shop}\n")
            .replace("data:\n", "data:\n  # hunter2-before\n");
    let plain = "# for tests\napiVersion: v1\nkind: Secret\nmetadata:\n  name: texts\n  namespace: shop\n  annotations:\n    \
                 kubectl.kubernetes.io/last-applied-configuration: '{\"a\": \"hunter2-text\"}'\nstringData:\n  a: \"hunter2-text\"\n";
    test.write("apps/all.yaml", format!("{pod}---\n{db}---\n{plain}"));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one", "namespace": "shop"}, "stringData": {"a": "hunter2-list"}},
    ]});
    test.write("apps/list.json", list.to_string());
    let before = test.read_text("apps/all.yaml");

    // These are left alone: a sops file, a template, a quote, one without values, other kinds.
    test.write(
        "apps/sops.yaml",
        plain
            .replace("  annotations:\n", "")
            .lines()
            .filter(|line| !line.contains("last-applied"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    test.sealant(&["encrypt", "-i", "apps/sops.yaml"]).run().ok();
    let others = [
        ("apps/sops.yaml", test.read_text("apps/sops.yaml")),
        ("apps/chart/templates/secret.yaml", "kind: Secret\n{{ if .x }}\ndata: {{ .y }}\n".to_owned()),
        ("apps/README.md", "Write it so:\n\n    kind: Secret\n  data: x\n".to_owned()),
        ("apps/empty.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: later}\n".to_owned()),
        ("apps/pod.yaml", "kind: Pod\nspec: {volumes: [{secret: {secretName: Secret}}]}\n".to_owned()),
    ];
    others.iter().for_each(|(name, content)| test.write(name, content));

    let dry = migrate(&test, &["--dry-run", "."]).ok();
    assert_eq!(test.read_text("apps/all.yaml"), before);
    let since = format!("apps/all.yaml, since commit {}", first_commit(&test));
    assert!(dry.stderr.contains(&since), "{dry}");

    let done = migrate(&test, &["."]).ok();
    for said in [
        "apps/all.yaml: 2 values of shop/db, strict",
        "apps/list.json: 1 value of shop/one, strict",
        "2 migrated",
        "Git's history keeps the plaintext of these, for everybody who has a clone:",
        &since,
        "`sealant edit apps/all.yaml`",
    ] {
        assert!(done.stderr.contains(said), "{said}: {done}");
    }
    // In no commit yet.
    assert!(!done.stderr.contains("apps/list.json, since"), "{done}");
    let after = test.read_text("apps/all.yaml");
    assert!(
        after.starts_with(&format!("{pod}---\n")) && after.contains("metadata: # which one\n"),
        "{after}"
    );
    assert!(after.contains("# for tests\n") && !after.contains("hunter2"), "{after}");
    for encoded in [BASE64.encode("hunter2-new"), BASE64.encode(&binary)] {
        assert!(!after.contains(&encoded), "{after}");
    }
    let all = objects(&after);
    assert_eq!(all.len(), 3);
    assert_eq!(
        opened_by_age(&test, &all[1]),
        json!({"password": BASE64.encode("hunter2-new"), "blob": BASE64.encode(&binary)})
    );
    assert_eq!(opened_by_age(&test, &all[2]), json!({"a": BASE64.encode("hunter2-text")}));
    assert_eq!(all[1]["spec"]["template"]["type"], "example.com/db");
    assert_eq!(unsealed(&test, "apps/all.yaml")[0]["metadata"]["labels"], json!({"app": "shop"}));
    let list: serde_json::Value = serde_json::from_slice(&test.read("apps/list.json")).expect("JSON");
    assert_eq!(list["items"][0], json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}));
    assert_eq!(opened_by_age(&test, &list["items"][1]), json!({"a": BASE64.encode("hunter2-list")}));
    for (name, content) in others {
        assert_eq!(test.read_text(name), content, "{name}");
    }

    // What it advises.
    test.write(test.home("editor"), "#!/bin/sh\nsed -i s/hunter2-new/changed/ \"$1\"\n");
    let _ = test.program("chmod", &["+x"]).arg(test.home("editor")).run().ok();
    let editor = test.home("editor").display().to_string();
    test.sealant(&["edit", "apps/all.yaml"]).env("EDITOR", editor).run().ok();
    let changed = opened_by_age(&test, &objects(&test.read_text("apps/all.yaml"))[1]);
    assert_eq!(changed["password"], BASE64.encode("changed"));
    let after = test.read_text("apps/all.yaml");

    // Nothing to do, and so nothing to say of the history.
    let again = migrate(&test, &["apps"]).ok();
    assert!(again.stderr.contains("0 migrated, 2 migrated already"), "{again}");
    assert!(!again.stderr.contains("since commit"), "{again}");
    assert_eq!(test.read_text("apps/all.yaml"), after);
}

#[test]
fn what_cannot_be_sealed_is_named_and_the_others_go_on() {
    let test = repository();
    let good = kubectl(&test, &["good", "--from-literal=password=hunter2-good"]);
    let nowhere = good.replace("  namespace: shop\n", "").replace("name: good", "name: nowhere");
    let with = |name: &str, from: &str, to: &str| good.replace("name: good", name).replace(from, to);
    let nameless = with("generateName: x-", "", "");
    let field = with("name: field", "kind: Secret\n", "kind: Secret\nstringdata: {a: hunter2}\n");
    let base64 = with("name: base64", "password: ", "password: '*'  # ");
    let several =
        "apiVersion: v1\nkind: SecretList\nitems: [{metadata: {name: a}, data: {a: aHVudGVyMg==}}]\n";
    let bad = [&nowhere, &nameless, &field, &base64, several].map(|text| format!("{text}---\n")).concat();
    test.write("apps/all.yaml", format!("{bad}# hunter2-good\n{good}"));
    test.write("elsewhere/db.yaml", &good);
    commit(&test);
    let done = migrate(&test, &["."]).code(1);
    for why in [
        "Secret nowhere: it has no namespace, and its values are bound to one",
        "`sealant migrate secrets --namespace NAME apps/all.yaml`",
        "the Secret has no name",
        "a Secret has no field `stringdata`",
        "data.password is not base64",
        "a SecretList cannot hold SealedSecrets",
        "elsewhere/db.yaml: no recipients are named",
        "still has the value of password in plaintext",
    ] {
        assert!(done.stderr.contains(why), "{why}: {done}");
    }
    let after = test.read_text("apps/all.yaml");
    assert!(after.starts_with(&bad) && after.contains("kind: SealedSecret"), "{after}");
    assert_eq!(test.read_text("elsewhere/db.yaml"), good);

    test.write("apps/nowhere.yaml", &nowhere);
    migrate(&test, &["--namespace", "shop", "apps/nowhere.yaml"]).ok();
    let object = &objects(&test.read_text("apps/nowhere.yaml"))[0];
    assert_eq!(object["metadata"]["namespace"], "shop");
    assert_eq!(opened_by_age(&test, object), json!({"password": BASE64.encode("hunter2-good")}));
    test.write("apps/nowhere.yaml", &nowhere);
    migrate(&test, &["--scope", "cluster", "apps/nowhere.yaml"]).ok();
    assert_eq!(objects(&test.read_text("apps/nowhere.yaml"))[0]["spec"]["scope"], "cluster");
    let nothing = migrate(&test, &["apps/nowhere.yaml"]);
    assert!(nothing.status == 0 && nothing.stderr.is_empty(), "{nothing}");
}
