//! Commands that change files, on SealedSecrets.

use sealant_test_support::Sandbox;

use super::{at_home, identity, new_lines};

const ALICE: &str = include_str!("../../fixtures/sealed/alice.agekey");
const BOB: &str = include_str!("../../fixtures/sealed/bob.agekey");
const STRICT: &str = include_str!("../../fixtures/sealed/objects/strict.yaml");
const TWO_DATA_KEYS: &str = include_str!("../../fixtures/sealed/objects/several-data-keys.yaml");
const REFUSED: &str = include_str!("../../fixtures/sealed/refused/swapped-items.yaml");

fn recipient(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a public key")
}

/// A sandbox with the identities of alice and bob, and an object that both can open.
fn with_sealed(text: &str) -> Sandbox {
    let test = at_home();
    test.write(test.home(".config/sops/age/keys.txt"), format!("{ALICE}{BOB}"));
    test.write("db.yaml", text);
    test
}

/// A sandbox without any identity.
fn without_identity(test: &Sandbox) {
    std::fs::remove_file(test.home(".config/sops/age/keys.txt")).expect("the identity to go");
}

/// The lines below `encryptedData`.
fn items(text: &str) -> Vec<&str> {
    let below = text.lines().skip_while(|line| *line != "  encryptedData:").skip(1);
    below.take_while(|line| line.starts_with("    ")).collect()
}

#[test]
fn an_item_is_printed_byte_by_byte() {
    let test = with_sealed(STRICT);
    let get = |path: &str| test.sealant(&["get", "db.yaml", path]).run().ok().stdout;
    assert_eq!(get("a"), b"hunter2");
    assert_eq!(get("db/a"), b"hunter2");
    assert_eq!(get("[\"stringData\"][\"a\"]"), b"hunter2");
    assert_eq!(get("binary.key"), [0, 255, 10, 13, 128]);
    assert_eq!(get("empty"), b"");
    let output = test.sealant(&["get", "--format", "json", "db.yaml", "a"]).run().ok();
    assert_eq!(output.text(), "\"hunter2\"\n");
    let output = test.sealant(&["get", "--format", "json", "db.yaml", "binary.key"]).run().code(4);
    assert!(output.stderr.contains("item `binary.key` is not UTF-8"), "{output}");
    let output = test.sealant(&["get", "db.yaml", "aa"]).run().code(91);
    assert!(output.stderr.contains("there is no item `aa`"), "{output}");

    test.write("db.yaml", REFUSED);
    let output = test.sealant(&["get", "db.yaml", "a"]).run();
    assert!(output.status != 0 && output.stdout.is_empty(), "{output}");
}

#[test]
fn an_item_is_set_without_an_identity() {
    let test = with_sealed(STRICT);
    without_identity(&test);
    let place = ["--namespace", "shop"];
    test.sealant(&["set", "db.yaml", "a", "\"planted-new\""]).run().code(8);
    let output = test.sealant(&["set", "db.yaml", "a", "\"planted-new\""]).args(&place).run().ok();
    assert!(output.stderr.contains("no creation rule names recipients, so the file keeps these"), "{output}");
    let blind = test.read_text("db.yaml");
    let changed: Vec<String> = new_lines(STRICT, &blind)
        .into_iter()
        .filter(|line| items(&blind).iter().any(|item| item.trim() == line))
        .collect();
    assert_eq!(changed.len(), 1, "only the item that was set: {changed:?}");
    assert!(changed[0].starts_with("a: ") && !blind.contains("planted-new"));
    assert_eq!(blind.matches("commitment:").count(), 2);

    let output = test.sealant(&["set", "--json", "db.yaml", "new", "5432"]).run().code(7);
    assert!(output.stderr.contains("an item of a SealedSecret is a string"), "{output}");
    let output = test.sealant(&["set", "db.yaml", "not a key", "\"x\""]).run();
    assert!(output.status != 0, "{output}");
    assert_eq!(test.read_text("db.yaml"), blind);

    test.write("raw.bin", [0, 1, 255, 10]);
    test.sealant(&["set", "--value-file", "db.yaml", "raw", "raw.bin"]).args(&place).run().ok();
    test.sealant(&["set", "--value-stdin", "db.yaml", "line"])
        .args(&place)
        .stdin("planted-line\n")
        .run()
        .ok();
    test.sealant(&["unset", "db.yaml", "empty"]).run().ok();
    let output = test.sealant(&["unset", "db.yaml", "empty"]).run().code(1);
    assert!(output.stderr.contains("With --idempotent"), "{output}");
    test.sealant(&["unset", "--idempotent", "db.yaml", "empty"]).run().ok();

    test.write(test.home(".config/sops/age/keys.txt"), format!("{ALICE}{BOB}"));
    let get = |path: &str| test.sealant(&["get", "db.yaml", path]).run().ok().stdout;
    assert_eq!(get("a"), b"planted-new");
    assert_eq!(get("raw"), [0, 1, 255, 10]);
    assert_eq!(get("line"), b"planted-line\n");
    assert_eq!(get("b"), b"before");
    let before = test.read("db.yaml");
    test.sealant(&["set", "--idempotent", "db.yaml", "a", "\"planted-new\""]).run().ok();
    assert_eq!(test.read("db.yaml"), before);
}

#[test]
fn who_stands_in_the_file_and_not_in_the_rule_gets_no_new_value() {
    let test = with_sealed(STRICT);
    let alice = recipient(ALICE);
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {alice}\n"));
    for args in [&["set", "db.yaml", "a", "\"x\""][..], &["rotate", "-i", "db.yaml"]] {
        let output = test.sealant(args).run().code(8);
        assert!(output.stderr.contains("recipients that its creation rule does not name"), "{output}");
    }
    assert_eq!(test.read_text("db.yaml"), STRICT);

    test.sealant(&["updatekeys", "--yes", "db.yaml"]).run().ok();
    let narrowed = test.read_text("db.yaml");
    assert_eq!(narrowed.matches("recipient: ").count(), 1);
    assert_eq!(items(&narrowed), items(STRICT), "updatekeys leaves the items alone");
    let output = test.sealant(&["updatekeys", "--yes", "db.yaml"]).run().ok();
    assert!(output.stderr.contains("already up to date"), "{output}");
    test.sealant(&["set", "db.yaml", "a", "\"x\""]).run().ok();
    assert_eq!(test.sealant(&["get", "db.yaml", "a"]).run().ok().stdout, b"x");
}

#[test]
fn rotation_makes_one_new_data_key_of_all() {
    let test = with_sealed(TWO_DATA_KEYS);
    let newcomer = identity(&test, "newcomer.txt");
    test.sealant(&["rotate", "-i", "--add-age", &newcomer, "db.yaml"]).run().ok();
    let after = test.read_text("db.yaml");
    assert_eq!(after.matches("commitment:").count(), 1);
    assert!(items(&after).iter().all(|item| !items(TWO_DATA_KEYS).contains(item)));
    let output = test
        .sealant(&["get", "--identity", "newcomer.txt", "db.yaml", "b"])
        .env("HOME", "/")
        .env("XDG_CONFIG_HOME", "/")
        .run()
        .ok();
    assert_eq!(output.stdout, b"set");
    assert!(after.ends_with("app: shop\n"), "the template is as it was");
}

#[test]
fn nobody_comes_into_one_that_does_not_open_and_whoever_goes_goes() {
    let test = with_sealed(&STRICT.replace("name: db", "name: other"));
    let before = test.read_text("db.yaml");
    let rule = |recipients: &[&str]| {
        test.write(".sops.yaml", format!("creation_rules:\n  - age: {}\n", recipients.join(",")));
    };
    let newcomer = identity(&test, "newcomer.txt");
    rule(&[recipient(ALICE), recipient(BOB), &newcomer]);
    for args in [&["updatekeys", "--yes", "db.yaml"][..], &["updatekeys", "--rotate", "--yes", "db.yaml"]] {
        let output = test.sealant(args).run().code(25);
        assert!(output.stderr.contains("does not open as one that was sealed for"), "{output}");
        assert_eq!(test.read_text("db.yaml"), before);
    }
    rule(&[recipient(ALICE)]);
    test.sealant(&["updatekeys", "--yes", "db.yaml"]).run().ok();
    assert!(!test.read_text("db.yaml").contains(recipient(BOB)));
}

#[test]
fn it_is_edited_as_the_secret_that_it_makes() {
    let test = with_sealed(STRICT);
    let editor = |script: &str| test.sealant(&["edit", "db.yaml"]).env("EDITOR", script);
    test.write("seen/other", "");
    let output = editor("cp -t seen").run().code(200);
    assert!(output.stderr.contains("nothing was changed"), "{output}");
    let seen = test.read_text("seen/db.yaml");
    assert!(seen.contains("kind: Secret\n") && seen.contains("stringData:\n  .dockerconfigjson"), "{seen}");
    assert!(seen.contains("data:\n  binary.key: AP8KDYA=\n"), "{seen}");

    editor("sed -i s/hunter2/planted-edited/").run().ok();
    let edited = test.read_text("db.yaml");
    let changed: Vec<&str> =
        items(&edited).into_iter().filter(|item| !items(STRICT).contains(item)).collect();
    assert!(changed.len() == 1 && changed[0].starts_with("    a: "), "{changed:?}");
    assert_eq!(test.sealant(&["get", "db.yaml", "a"]).run().ok().text(), "planted-edited");
    assert!(!edited.contains("planted"));

    for (script, message) in [
        ("sed -i 's/name: db/name: other/'", "the name of a SealedSecret cannot be edited"),
        ("sed -i 's/kind: Secret/kind: ConfigMap/'", "only Secrets can be sealed"),
        ("truncate -s 0", "there were 1 Secrets in the file, and now there are 0"),
    ] {
        let output = editor(script).run();
        assert!(output.status != 0 && output.stderr.contains(message), "{output}");
        assert_eq!(test.read_text("db.yaml"), edited);
    }
}

#[test]
fn differences_are_those_of_the_secrets() {
    let test = with_sealed(STRICT);
    test.write("new.yaml", STRICT);
    test.sealant(&["set", "new.yaml", "a", "\"planted-diff\""]).run().ok();
    let output = test.sealant(&["diff", "db.yaml", "new.yaml"]).run().code(1);
    assert!(output.text().contains("-  a: hunter2\n+  a: planted-diff\n"), "{output}");
    let output = test.sealant(&["diff", "--names-only", "db.yaml", "new.yaml"]).run().code(1);
    assert!(
        output.text().contains("~ [\"stringData\"][\"a\"]") && !output.text().contains("planted"),
        "{output}"
    );
    test.sealant(&["diff", "db.yaml", "db.yaml"]).run().ok();
}

#[test]
fn documents_and_sealed_secrets_are_worked_on_in_one_run() {
    let test = with_sealed(STRICT);
    let alice = recipient(ALICE);
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {alice}\n"));
    test.write("d/plain.yaml", "kind: SealedSecretList # of sealant.dev/\n");
    test.write("d/doc.yaml", "a: planted-doc\n");
    test.sealant(&["encrypt", "-i", "d/doc.yaml"]).run().ok();
    test.write("d/one.yaml", format!("{STRICT}---\nkind: ConfigMap\n---\n{TWO_DATA_KEYS}"));
    test.write("d/two.json", include_str!("../../fixtures/sealed/objects/strict-by-default.json"));
    let before = test.read_text("d/one.yaml");

    let output = test.sealant(&["status", "d"]).run().ok();
    assert!(["doc.yaml", "one.yaml", "two.json"].iter().all(|file| output.text().contains(file)), "{output}");
    let output = test.sealant(&["rewrap", "d"]).run().ok();
    assert!(output.stderr.contains("0 of 3 files rewrapped"), "{output}");
    let output = test.sealant(&["updatekeys", "--rotate", "--yes", "d"]).run().ok();
    assert!(!output.text().contains("plain.yaml"), "{output}");
    for file in ["d/one.yaml", "d/two.json"] {
        assert_eq!(
            test.read_text(file).matches("recipient").count(),
            if file.ends_with("yaml") { 2 } else { 1 }
        );
    }
    assert!(test.read_text("d/one.yaml").contains("---\nkind: ConfigMap\n---\n"));
    assert_ne!(test.read_text("d/one.yaml"), before);
    let output = test.sealant(&["get", "d/one.yaml", "a"]).run().code(91);
    assert!(output.stderr.contains("holds several SealedSecrets"), "{output}");
    test.sealant(&["decrypt", "--output-dir", "plain", "d"]).run().ok();
    assert_eq!(test.read_text("plain/d/doc.yaml"), "a: planted-doc\n");
    assert!(!test.path("plain/d/one.yaml").exists(), "SealedSecrets are for `unseal`");
}

#[test]
fn a_sealed_secret_is_not_encrypted_once_more() {
    let test = with_sealed(STRICT);
    let alice = recipient(ALICE);
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: yaml$\n    age: {alice}\n"));
    let output = test.sealant(&["encrypt", "db.yaml"]).run().code(203);
    assert!(output.stderr.contains("this is a SealedSecret: its values are encrypted already"), "{output}");
    let output = test.sealant(&["explain", "db.yaml"]).run().ok();
    assert!(output.text().contains("the file's recipients differ from these"), "{output}");

    test.write("d/sealed.yaml", STRICT);
    test.write("d/plain.yaml", "a: 1\n");
    test.sealant(&["encrypt", "-i", "d"]).run().ok();
    assert_eq!(test.read_text("d/sealed.yaml"), STRICT);
    assert!(test.read_text("d/plain.yaml").contains("sops:"));
    test.write("d/mixed.yaml", format!("{STRICT}---\nkind: Secret\nstringData: {{a: planted}}\n"));
    let output = test.sealant(&["encrypt", "-i", "d"]).run().code(8);
    assert!(output.stderr.contains("is in one file with other objects"), "{output}");
}
