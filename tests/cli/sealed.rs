//! `seal`, `unseal`, `inspect` and `fetch-recipient`, as a user sees them.

use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use sealant_test_support::{Output, Sandbox};
use serde_json::Value;

use super::{RECIPIENT, STRANGER, at_home, identity, new_lines, sandbox};

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: shop
  labels: {app: shop}
stringData:
  password: hunter2
  user: planted-user
";

/// Another Secret, of a name and with a value.
fn secret(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\nstringData: {{v: '{value}'}}\n"
    )
}

/// A sandbox with an identity, and `sealed.yaml` for it.
fn with_sealed() -> Sandbox {
    let test = at_home();
    test.write("plain.yaml", SECRET);
    seal(&test, &["--output", "sealed.yaml", "plain.yaml"]).ok();
    test
}

/// Seals for our identity. What is planted is in no message.
fn seal(test: &Sandbox, args: &[&str]) -> Output {
    seal_stdin(test, args, "")
}

fn seal_stdin(test: &Sandbox, args: &[&str], stdin: &str) -> Output {
    let run = test.sealant(&["seal", "--age", RECIPIENT]).args(args).stdin(stdin);
    let output = run.run();
    for planted in ["hunter2", "planted", "aHVudGVyMg"] {
        assert!(!output.stderr.contains(planted), "{output}");
    }
    output
}

/// Writes the Secret as a SOPS document.
fn encrypt_with_sops(test: &Sandbox, file: &str, recipients: &str) {
    test.write(file, SECRET);
    test.sealant(&["encrypt", "-i", "--age", recipients, file]).run().ok();
}

fn unsealed(test: &Sandbox, file: &str) -> String {
    test.sealant(&["unseal", file]).run().ok().text().to_owned()
}

/// The ciphertext of an item.
fn item(test: &Sandbox, file: &str, item: &str) -> String {
    let text = test.read_text(file);
    let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{item}: ")));
    line.expect("the item").to_owned()
}

#[test]
fn a_secret_is_sealed_and_comes_back() {
    let test = with_sealed();
    let sealed = test.read_text("sealed.yaml");
    assert!(sealed.starts_with("apiVersion: sealant.dev/v1alpha1\nkind: SealedSecret\n"), "{sealed}");
    assert!(!sealed.contains("hunter2"));
    assert_eq!(
        unsealed(&test, "sealed.yaml"),
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\n  labels:\n    app: shop\n\
         stringData:\n  password: hunter2\n  user: planted-user\n"
    );
    let value = test.sealant(&["unseal", "--item", "password", "sealed.yaml"]).run().ok();
    assert_eq!(value.text(), "hunter2");
    let output = test.sealant(&["unseal", "--item", "passwd", "sealed.yaml"]).run().code(91);
    assert!(output.stderr.contains("The items are password, user."), "{output}");
}

#[test]
fn what_comes_through_a_pipe_stays_what_it_is() {
    let test = at_home();
    let json = r#"{"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "db", "creationTimestamp": null},
        "data": {"password": "aHVudGVyMg=="}}"#;
    let output = seal_stdin(&test, &["-n", "shop"], json).ok();
    let sealed: Value = serde_json::from_str(output.text()).expect("JSON");
    assert_eq!(sealed["metadata"]["namespace"], "shop");
    let plain = test.sealant(&["unseal"]).stdin(output.text()).run().ok();
    let plain: Value = serde_json::from_str(plain.text()).expect("JSON");
    assert_eq!(plain["stringData"]["password"], "hunter2");

    let yaml = seal_stdin(&test, &["-n", "shop", "--format", "yaml"], json).ok();
    assert!(yaml.text().starts_with("apiVersion: sealant.dev/v1alpha1\n"), "{yaml}");
    seal_stdin(&test, &["-n", "shop", "-o", "x.yaml"], json).ok();
    assert!(test.read_text("x.yaml").starts_with("apiVersion: sealant.dev/v1alpha1\n"));
}

#[test]
fn streams_and_lists_become_streams_or_lists() {
    let test = at_home();
    let indented = secret("b", "hunter2").replace('\n', "\n  ");
    let stream = format!("{}---\napiVersion: v1\nkind: List\nitems:\n- {indented}\n---\n", secret("a", "1"));
    let yaml = seal_stdin(&test, &[], &stream).ok();
    assert_eq!(yaml.text().matches("---\napiVersion: sealant.dev/v1alpha1\n").count(), 1, "{yaml}");
    let json = seal_stdin(&test, &["--format", "json"], &stream).ok();
    let list: Value = serde_json::from_str(json.text()).expect("JSON");
    assert_eq!((&list["kind"], list["items"].as_array().expect("items").len()), (&Value::from("List"), 2));
    // As programs write several in JSON, one after the other.
    let values = ["a", "b"].map(|name| {
        format!("{{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {{\"name\": \"{name}\", \"namespace\": \"x\"}}, \"data\": {{\"v\": \"\"}}}}\n")
    });
    let followed = seal_stdin(&test, &[], &values.concat()).ok();
    for sealed in [yaml, json, followed] {
        let plain = test.sealant(&["unseal", "--format", "yaml"]).stdin(sealed.text()).run().ok();
        let names: Vec<_> = plain.text().lines().filter(|line| line.starts_with("  name: ")).collect();
        assert_eq!(names, ["  name: a", "  name: b"]);
    }
}

#[test]
fn scopes_bind_to_what_they_say() {
    let test = at_home();
    test.write("plain.yaml", SECRET);
    let moved = |scope: &str, from: &str, to: &str| {
        let sealed = seal(&test, &["--scope", scope, "plain.yaml"]).ok();
        test.sealant(&["unseal"]).stdin(sealed.text().replacen(from, to, 1)).run().status
    };
    let (name, namespace) = (("name: db", "name: other"), ("namespace: shop", "namespace: other"));
    assert_eq!([moved("strict", name.0, name.1), moved("strict", namespace.0, namespace.1)], [25, 25]);
    assert_eq!([moved("namespace", name.0, name.1), moved("namespace", namespace.0, namespace.1)], [0, 25]);
    assert_eq!([moved("cluster-wide", name.0, name.1), moved("cluster", namespace.0, namespace.1)], [0, 0]);
    let output = seal(&test, &["--scope", "global", "plain.yaml"]).code(64);
    assert!(output.stderr.contains("[possible values: strict, namespace, cluster]"), "{output}");
}

#[test]
fn what_cannot_be_sealed_is_refused_with_advice() {
    let test = with_sealed();
    encrypt_with_sops(&test, "sops.yaml", RECIPIENT);
    let cases = [
        (SECRET.replace("  namespace: shop\n", ""), 1, "Name it in metadata.namespace, or with --namespace."),
        (
            SECRET.replace("kind: Secret", "kind: ConfigMap"),
            2,
            "this is a ConfigMap, and only Secrets can be sealed",
        ),
        (SECRET.replace("stringData", "stringdata"), 2, "a Secret has no field `stringdata`"),
        (SECRET.split("stringData").next().expect("a text").to_owned(), 1, "--allow-empty-data"),
        (test.read_text("sealed.yaml"), 203, "this is a SealedSecret already"),
        (test.read_text("sops.yaml"), 203, "`sealant decrypt FILE | sealant seal --filename-override FILE`"),
        (String::new(), 92, "there is no Secret in it"),
        (format!("{SECRET}---\nkind: Pod\napiVersion: v1\n"), 2, "Move the Secrets to a file of their own"),
    ];
    for (text, code, message) in cases {
        let output = seal_stdin(&test, &[], &text).code(code);
        assert!(output.stderr.contains(message), "{output}");
        assert_eq!(output.text(), "");
    }
    let output = seal(&test, &["-n", "other", "plain.yaml"]).code(8);
    assert!(output.stderr.contains("has the namespace `shop`, but --namespace says `other`"), "{output}");
    let nobody = test.sealant(&["seal"]).stdin(SECRET).run().code(1);
    assert!(nobody.stderr.contains("with --output or --filename-override"), "{nobody}");
}

#[test]
fn flags_that_cannot_go_together_are_refused() {
    let test = with_sealed();
    let cases: [&[&str]; 6] = [
        &["--merge-into", "sealed.yaml", "--onto", "sealed.yaml", "plain.yaml"],
        &["--merge-into", "sealed.yaml", "-i", "plain.yaml"],
        &["--merge-into", "sealed.yaml", "--raw", "--from-file", "plain.yaml"],
        &["--from-file", "plain.yaml", "plain.yaml"],
        &["--from-file", "plain.yaml", "--name", "x", "-i"],
        &["--allow-recipient", STRANGER, "plain.yaml"],
    ];
    for args in cases {
        let output = seal(&test, args).code(8);
        assert_eq!(output.text(), "");
    }
}

#[test]
fn plaintext_is_replaced_only_on_demand() {
    let test = at_home();
    test.write("plain.yaml", SECRET);
    test.write("apps/plain.yaml", SECRET);
    for args in [["--output", "plain.yaml", "plain.yaml"], ["--output-dir", ".", "plain.yaml"]] {
        let output = seal(&test, &args).code(8);
        assert!(
            output.stderr.contains("this file holds a Secret in plaintext, which would be lost"),
            "{output}"
        );
    }
    let output = seal(&test, &["--from-file", "plain.yaml", "--name", "x", "-n", "shop", "-o", "plain.yaml"]);
    assert!(output.code(8).stderr.contains("plaintext"));
    assert_eq!(test.read_text("plain.yaml"), SECRET);
    seal(&test, &["-i", "plain.yaml"]).ok();
    assert!(unsealed(&test, "plain.yaml").contains("hunter2"));
}

#[test]
fn of_a_folder_only_secrets_that_a_rule_is_for_are_sealed() {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^apps/\n    age: {RECIPIENT}\n"));
    let others = [
        ("apps/config.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {a: Secret}\n".to_owned()),
        ("apps/template.yaml", "kind: Secret\nmetadata: {name: {{ .Values.name }}}\n".to_owned()),
        ("apps/notes.md", SECRET.to_owned()),
        ("else/plain.yaml", SECRET.to_owned()),
    ];
    for (file, text) in &others {
        test.write(file, text);
    }
    test.write("apps/a.yaml", SECRET);
    test.write("apps/deep/b.json", r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b", "namespace": "shop"}, "data": {"v": "aHVudGVyMg=="}}"#);
    let output = test.sealant(&["seal", "-i", "."]).run().ok();
    assert!(
        output
            .stderr
            .contains("which stay in plaintext:\n  else/plain.yaml\n2 sealed, 1 in plaintext, 3 no Secrets"),
        "{output}"
    );
    assert!(
        output.stderr.contains(
            "note: skipped, because it is a template and not a manifest yet: ./apps/template.yaml:2"
        )
    );
    for (file, text) in &others {
        assert_eq!(test.read_text(file), *text);
    }
    assert!(unsealed(&test, "apps/a.yaml").contains("hunter2"));
    assert!(test.read_text("apps/deep/b.json").starts_with("{\n  \"apiVersion\": \"sealant.dev/v1alpha1\""));
    let again = test.sealant(&["seal", "-i", "."]).run().ok();
    assert!(again.stderr.contains("0 sealed, 2 sealed already, 1 in plaintext, 3 no Secrets"), "{again}");

    let plain = test.sealant(&["unseal", "--output-dir", "plain", "apps"]).run().ok();
    assert!(plain.stderr.contains("2 unsealed, 3 no SealedSecrets"), "{plain}");
    let mode = std::fs::metadata(test.path("plain/apps/a.yaml")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_rule_is_that_of_the_file_or_of_where_it_goes() {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^apps/\n    age: {RECIPIENT}\n"));
    test.write("plain.yaml", SECRET);
    test.write("apps/x", "");
    test.sealant(&["seal", "-o", "apps/db.yaml", "plain.yaml"]).run().ok();
    test.sealant(&["seal", "-o", "apps/db2.yaml"]).stdin(SECRET).run().ok();
    test.sealant(&["seal", "--filename-override", "apps/z.yaml"]).stdin(SECRET).run().ok();
    let output = test.sealant(&["seal", "plain.yaml"]).run().code(1);
    for part in [
        "no matching creation rules found for `plain.yaml`",
        "path_regex `^apps/` does not match",
        "`mv plain.yaml apps/plain.yaml && sealant seal -i apps/plain.yaml`. Or name recipients with --age",
    ] {
        assert!(output.stderr.contains(part), "{part}\n{output}");
    }
}

#[test]
fn files_become_a_secret() {
    let test = at_home();
    test.write("tls.key", "hunter2");
    let place = ["--name", "tls", "-n", "shop"];
    let args = ["--from-file", "tls.key", "--from-file", "other=-", "-o", "x.yaml"];
    seal_stdin(&test, &[&place[..], &args].concat(), "planted\n").ok();
    assert!(
        unsealed(&test, "x.yaml").ends_with("stringData:\n  other: |\n    planted\n  tls.key: hunter2\n")
    );
    let output = seal(&test, &["--from-file", "tls.key", "-n", "shop"]).code(1);
    assert!(output.stderr.contains("with --name NAME"), "{output}");
    let output = seal(&test, &["--from-file", "-", "--name", "x"]).code(1);
    assert!(output.stderr.contains("--from-file KEY=PATH"), "{output}");
    seal(&test, &[&place[..], &["--from-file", "nothing"]].concat()).code(100);
}

#[test]
fn a_raw_value_can_be_put_into_an_object_by_hand() {
    let test = with_sealed();
    let args = ["--raw", "--name", "db", "-n", "shop", "--from-file", "more=-"];
    let raw = seal_stdin(&test, &args, "planted").ok();
    let head =
        "# To be put into spec of a SealedSecret of scope strict (namespace `shop`, name `db`)\nspec:\n";
    assert!(raw.text().starts_with(head), "{raw}");
    let (keys, items) = raw.text()[head.len()..].split_once("  encryptedData:\n").expect("both parts");
    let by_hand = test
        .read_text("sealed.yaml")
        .replace("  dataKeys:\n", keys)
        .replace("  encryptedData:\n", &format!("  encryptedData:\n{items}"));
    test.write("sealed.yaml", by_hand);
    assert!(unsealed(&test, "sealed.yaml").contains("  more: planted\n"));

    let anywhere =
        seal_stdin(&test, &["--raw", "--scope", "cluster", "--from-file", "k=-", "--format", "json"], "x");
    let json: Value = serde_json::from_str(anywhere.ok().text()).expect("JSON");
    assert!(json["spec"]["encryptedData"]["k"].is_string());
    seal(&test, &["--raw", "--name", "db", "-n", "shop"]).code(1);
}

#[test]
fn values_are_merged_without_an_identity() {
    let test = with_sealed();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    let dressed = test.read_text("sealed.yaml").replace("  encryptedData:\n", "  encryptedData: # ours\n");
    test.write("sealed.yaml", &dressed);
    let blind = |args: &[&str]| {
        let run = test.sealant(&["seal", "--merge-into", "sealed.yaml"]).args(args);
        run.env("HOME", "/").env("XDG_CONFIG_HOME", "/").stdin("planted").run()
    };
    let output = blind(&["--from-file", "password=-"]).code(8);
    assert!(output.stderr.contains("--namespace shop --name db --from-file"), "{output}");
    let output = blind(&["--namespace", "shop", "--from-file", "password=-"]).ok();
    assert_eq!(
        output.stderr,
        "sealed.yaml: 1 value sealed into it\nsealed.yaml: sealed for shop/db, strict\n"
    );
    let after = test.read_text("sealed.yaml");
    assert!(after.contains("  encryptedData: # ours\n"));
    assert!(after.contains(dressed.lines().find(|line| line.starts_with("    user: ")).expect("an item")));
    assert!(
        unsealed(&test, "sealed.yaml").ends_with("stringData:\n  password: planted\n  user: planted-user\n")
    );

    // A manifest goes into the file's one object, and flags cannot move that.
    test.write("more.yaml", secret("db", "hunter2"));
    blind(&["more.yaml"]).ok();
    assert!(unsealed(&test, "sealed.yaml").contains("  v: hunter2\n"));
    for args in [["--scope", "cluster", "more.yaml"], ["-n", "other", "more.yaml"]] {
        assert!(blind(&args).code(8).stderr.contains("bound to their place"));
    }
    let before = test.read("sealed.yaml");
    assert_eq!(blind(&["--dry-run", "more.yaml"]).ok().text(), "would write sealed.yaml\n");
    assert_eq!(test.read("sealed.yaml"), before);
}

#[test]
fn values_are_merged_into_the_object_of_their_name() {
    let test = at_home();
    test.write("plain.yaml", format!("{}---\n{}", secret("a", "1"), secret("b", "2")));
    seal(&test, &["-i", "plain.yaml"]).ok();
    let a = item(&test, "plain.yaml", "v");
    test.write("more.yaml", secret("b", "hunter2"));
    let output = test.sealant(&["seal", "--merge-into", "plain.yaml", "more.yaml"]).run().ok();
    assert!(
        output
            .stderr
            .contains(&format!("so new values are encrypted for those of the file:\n  {RECIPIENT}\n")),
        "{output}"
    );
    assert_eq!(item(&test, "plain.yaml", "v"), a);
    assert!(unsealed(&test, "plain.yaml").contains("v: hunter2"));
    test.write("more.yaml", secret("c", "hunter2"));
    let output = test.sealant(&["seal", "--merge-into", "plain.yaml", "more.yaml"]).run().code(8);
    assert!(output.stderr.contains("it has no SealedSecret `c`"), "{output}");
    assert!(output.stderr.contains("The file has a, b."), "{output}");
}

#[test]
fn who_wrote_himself_into_an_object_gets_nothing_new() {
    let test = at_home();
    test.write("plain.yaml", SECRET);
    seal(&test, &["--age", STRANGER, "-o", "sealed.yaml", "plain.yaml"]).ok();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    test.write("plain.yaml", SECRET.replace("hunter2", "hunter3"));
    for flag in ["--merge-into", "--onto"] {
        let before = test.read("sealed.yaml");
        let output = test.sealant(&["seal", flag, "sealed.yaml", "plain.yaml"]).run().code(8);
        assert!(output.stderr.contains(&format!("does not name:\n  {STRANGER}\n")), "{output}");
        assert_eq!((output.text(), test.read("sealed.yaml")), ("", before));
    }
    test.sealant(&["seal", "--onto", "sealed.yaml", "--allow-recipient", STRANGER, "plain.yaml"]).run().ok();
}

#[test]
fn what_did_not_change_keeps_its_ciphertext() {
    let test = with_sealed();
    let commented = test.read_text("sealed.yaml").replace("spec:\n", "# ours\nspec:\n");
    test.write("sealed.yaml", &commented);
    let onto = ["--onto", "sealed.yaml", "--output", "sealed.yaml", "plain.yaml"];
    seal(&test, &onto).ok();
    assert_eq!(test.read_text("sealed.yaml"), commented);

    test.write("plain.yaml", SECRET.replace("hunter2", "hunter3"));
    seal(&test, &onto).ok();
    let after = test.read_text("sealed.yaml");
    let items: Vec<_> =
        new_lines(&commented, &after).into_iter().filter(|line| line.contains(": ")).collect();
    assert!(items.iter().any(|line| line.starts_with("password: ")), "{items:?}");
    assert!(!items.iter().any(|line| line.starts_with("user: ")), "{items:?}");
    assert!(after.contains("# ours\n") && unsealed(&test, "sealed.yaml").contains("hunter3"));

    // Somebody who is new reads what is new, and is told of.
    test.write("plain.yaml", SECRET.replace("hunter2", "hunter4"));
    let newcomer = identity(&test, "newcomer.txt");
    let output = seal(&test, &[&["--age", &newcomer], &onto[..]].concat()).ok();
    assert!(output.stderr.contains("cannot read the unchanged values"), "{output}");
    assert!(output.stderr.contains(&newcomer), "{output}");

    let run = test.sealant(&["seal"]).args(&onto).env("HOME", "/").env("XDG_CONFIG_HOME", "/");
    run.run().code(128);
    test.write("plain.yaml", SECRET.replace("name: db", "name: other"));
    assert!(
        seal(&test, &onto).code(8).stderr.contains("it has no SealedSecret of the same name: there are db")
    );
}

#[test]
fn of_several_those_that_open_are_printed() {
    let test = with_sealed();
    let other = test.sealant(&["seal", "--age", STRANGER]).stdin(secret("theirs", "hunter2")).run().ok();
    let stream = format!("{}---\n{}", test.read_text("sealed.yaml"), other.text());
    let line = stream.lines().position(|line| line == "---").expect("a marker") + 2;
    test.write("both.yaml", &stream);
    let output = test.sealant(&["unseal", "both.yaml"]).run().code(128);
    assert!(output.text().contains("password: hunter2\n") && !output.text().contains("theirs"), "{output}");
    let message = format!("both.yaml:{line}: SealedSecret shop/theirs: no identity opens the data key");
    assert!(output.stderr.contains(&message), "{output}");
    // A file is whole or not there.
    for args in [["--output", "plain-too.yaml", "both.yaml"], ["--output-dir", "out", "both.yaml"]] {
        test.sealant(&["unseal"]).args(&args).run().code(128);
    }
    assert!(!test.path("plain-too.yaml").exists() && !test.path("out/both.yaml").exists());
    test.sealant(&["unseal", "-i", "both.yaml"]).run().code(128);
    assert_eq!(test.read_text("both.yaml"), stream);
    let output = test.sealant(&["unseal", "--item", "v", "both.yaml"]).run().code(8);
    assert!(output.stderr.contains("there are 2"), "{output}");
}

#[test]
fn each_command_names_the_one_that_fits() {
    let test = with_sealed();
    encrypt_with_sops(&test, "sops.yaml", RECIPIENT);
    test.write("bitnami.yaml", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: x}\n");
    let cases = [
        (["decrypt", "sealed.yaml"], "Unseal it: `sealant unseal sealed.yaml`."),
        (["unseal", "sops.yaml"], "Decrypt it: `sealant decrypt sops.yaml`."),
        (["unseal", "bitnami.yaml"], "kubeseal --recovery-unseal"),
        (["unseal", "plain.yaml"], "`sealant seal` makes one"),
        (["inspect", "plain.yaml"], "neither a SealedSecret nor a SOPS document"),
    ];
    for (args, message) in cases {
        let output = test.sealant(&args).run().code(1);
        assert!(output.stderr.contains(message), "{output}");
        assert_eq!(output.text(), "");
    }
}

/// An object of the fixtures.
fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sealed/objects").join(name);
    std::fs::read_to_string(path).expect("a fixture")
}

#[test]
fn anybody_can_look_at_what_is_encrypted() {
    let test = sandbox();
    for name in ["beside-vault.yaml", "several-data-keys.yaml", "two-of-three.yaml", "no-items.yaml"] {
        test.write(format!("sealed/{name}"), fixture(name));
    }
    test.write("sealed/other.yaml", "kind: ConfigMap\n");
    assert_snapshot!(test.sealant(&["inspect", "sealed"]).run().ok().text());
    let stdin = test.sealant(&["inspect", "--format", "json"]).stdin(fixture("several-data-keys.yaml"));
    let json: Value = serde_json::from_str(stdin.run().ok().text()).expect("JSON");
    let readers: Vec<_> = json[0]["readers"].as_array().expect("readers").iter().map(|r| &r["all"]).collect();
    assert_eq!(readers, [true, false, false]);
    assert_eq!((&json[0]["type"], &json[0]["scope"]), (&Value::from("SealedSecret"), &Value::from("strict")));
}

#[test]
fn inspect_takes_sops_documents_too() {
    let test = at_home();
    encrypt_with_sops(&test, "a.yaml", &format!("{RECIPIENT},{STRANGER}"));
    let json = test.sealant(&["inspect", "--format", "json", "a.yaml"]).run().ok();
    let json: Value = serde_json::from_str(json.text()).expect("JSON");
    let found = &json[0];
    assert_eq!((&found["type"], &found["encrypted_values"]), (&Value::from("SOPS"), &Value::from(2)));
    assert_eq!(found["selection"], "encrypted_regex: ^(data|stringData)$");
    assert_eq!(found["groups"][0][1]["recipient"], STRANGER);
    let text = test.sealant(&["inspect", "a.yaml"]).run().ok();
    let lines: Vec<_> = text.text().lines().collect();
    assert_eq!(
        lines[..2],
        [
            "a.yaml: SOPS document (yaml)",
            "  encrypted   2 values, chosen by encrypted_regex: ^(data|stringData)$"
        ]
    );
    assert_eq!(lines[3..], [format!("  readers     {RECIPIENT}"), format!("              {STRANGER}")]);
}

#[test]
fn what_is_odd_in_an_object_is_told() {
    let test = with_sealed();
    for n in 0..8 {
        let args = ["--merge-into", "sealed.yaml", "--from-file", &format!("k{n}=-")];
        let output = seal_stdin(&test, &args, "planted").ok();
        assert_eq!(
            output.stderr.contains("there are 9 data keys: `sealant rotate` replaces them with one"),
            n == 7,
            "{output}"
        );
    }
    let text = test.sealant(&["inspect", "sealed.yaml"]).run().ok();
    assert!(text.text().contains("  warning     there are 9 data keys: `sealant rotate`"), "{text}");

    test.write(
        "plain.yaml",
        SECRET.replace("stringData:", "type: kubernetes.io/service-account-token\nstringData:"),
    );
    let output = seal(&test, &["plain.yaml"]).ok();
    assert!(
        output.stderr.contains("warning: plain.yaml: db: the controller makes Secrets of type"),
        "{output}"
    );
}

#[test]
fn recipients_are_fetched_from_files() {
    let test = sandbox();
    let fetch = |text: &str| {
        test.write("recipients", text);
        test.sealant(&["fetch-recipient", "--file", "recipients"]).run()
    };
    assert_eq!(
        fetch(&format!("# prod\n{RECIPIENT}\n{STRANGER}\n")).ok().text(),
        format!("{RECIPIENT}\n{STRANGER}\n")
    );
    let map =
        format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  recipients: |\n    {STRANGER}\n    {RECIPIENT}\n");
    let both = fetch(&map).ok().text().to_owned();
    assert_eq!(both, format!("{STRANGER}\n{RECIPIENT}\n"));
    // As they are printed, flags take them.
    test.write("plain.yaml", SECRET);
    let sealed = test.sealant(&["seal", "--age", &both, "plain.yaml"]).run().ok();
    assert!(sealed.text().contains(RECIPIENT) && sealed.text().contains(STRANGER));
    let json =
        test.sealant(&["fetch-recipient", "--file", "-", "--format", "json"]).stdin(RECIPIENT).run().ok();
    assert_eq!(serde_json::from_str::<Value>(json.text()).expect("JSON")["recipients"][0], RECIPIENT);

    let output = fetch(&format!("{RECIPIENT}\n{}\n", super::IDENTITY)).code(2);
    assert!(output.stderr.contains("recipients:2: this is not an age recipient"), "{output}");
    assert!(!output.stderr.contains("AGE-SECRET-KEY"), "{output}");
    assert!(fetch("").code(2).stderr.contains("there are no recipients in it"));
}

#[test]
fn recipients_do_not_come_from_just_anywhere() {
    let test = sandbox();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--url", "http://example.com/"], 1, "fetched only over https"),
        (&["--url", "http://127.0.0.1:1/"], 1, "Connection refused"),
        (&["--url", "x", "--file", "y"], 64, "cannot be used with"),
        (&["--kubeconfig", "nothing"], 100, "nothing: there is no kubeconfig"),
        (&[], 100, "there is no kubeconfig"),
    ];
    for (args, code, message) in cases {
        let output = test.sealant(&["fetch-recipient"]).args(args).run().code(code);
        assert!(output.stderr.contains(message), "{output}");
    }
}

/// JSON has several objects in a List, which says so in plaintext.
#[test]
fn a_list_of_sealed_secrets_is_not_plaintext() {
    let test = super::at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^apps/\n    age: {RECIPIENT}\n"));
    let secret = |name: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"b\"}},\"stringData\":{{\"p\":\"hunter2\"}}}}"
        )
    };
    let list =
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{},{}]}}", secret("a"), secret("c"));
    test.write("apps/l.json", list);
    test.sealant(&["seal", "-i", "apps/l.json"]).run().ok();
    test.sealant(&["check"]).run().ok();
    let sealed = test.read_text("apps/l.json");
    for (from, to) in
        [("\"List\"", "\"hunter2List\""), ("\"items\"", "\"password\": \"hunter2\",\n  \"items\"")]
    {
        test.write("apps/l.json", sealed.replacen(from, to, 1));
        test.sealant(&["check"]).run().code(1);
    }
}
