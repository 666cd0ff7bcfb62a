//! `migrate`, as a user sees it. What the real kubeseal makes is in `tests/interop/migrate`.

use std::path::Path;

use sealant_test_support::Sandbox;

use super::{RECIPIENT, at_home};

/// A file of kubeseal's, and the key that opens it.
const STRICT: &str = "manifests/strict.yaml";
const KEY: &str = "keys/rsa4096-a.key.pem";

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bitnami").join(name).display().to_string()
}

/// A sandbox with an identity, a rule for everything, and `db.yaml` as kubeseal wrote it.
fn with_file() -> Sandbox {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: yaml$\n    age: {RECIPIENT}\n"));
    test.write("db.yaml", std::fs::read(fixture(STRICT)).expect("a fixture"));
    test
}

#[test]
fn what_is_not_converted_says_how_it_goes_by_hand() {
    let test = at_home();
    let help = test.sealant(&["migrate", "--help"]).run().ok().text().to_owned();
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(
        names.len() > 6 && names.contains(&"ansible-vault") && names.contains(&"sealed-secrets"),
        "{help}"
    );
    let converted =
        ["sealed-secrets", "ansible-vault", "secrets", "sops-secret", "ksops", "git-crypt", "dotenvx"];
    for name in names.into_iter().filter(|name| !converted.contains(name)) {
        let said = test.sealant(&["migrate", name, "--any", "file.yaml"]).run().code(1);
        assert!(said.stderr.contains("help: ") && said.stderr.contains('`'), "{said}");
    }
    // What it says of files of sops.
    test.sealant(&["status"]).run().ok();
}

#[test]
fn a_file_that_is_encrypted_with_sops_too_is_named() {
    let test = with_file();
    let before = test.read_text("db.yaml");
    test.sealant(&["encrypt", "-i", "--encrypted-regex", "^encryptedData$", "db.yaml"]).run().ok();
    let migrate = ["migrate", "sealed-secrets", "--key", &fixture(KEY), "db.yaml"];
    let refused = test.sealant(&migrate).run().code(203);
    assert!(refused.stderr.contains("`sealant decrypt -i db.yaml`"), "{refused}");
    test.sealant(&["decrypt", "-i", "db.yaml"]).run().ok();
    assert_eq!(test.read_text("db.yaml"), before);
    test.sealant(&migrate).run().ok();
    let value = test.sealant(&["unseal", "--item", "foo", "db.yaml"]).run().ok();
    assert_eq!(value.text(), "bar");
}

#[test]
fn recipients_of_flags_come_before_those_of_the_rule_and_somebody_has_to_be_named() {
    let test = with_file();
    test.write(".sops.yaml", "creation_rules: []\n");
    let migrate = ["migrate", "sealed-secrets", "--key", &fixture(KEY)];
    let refused = test.sealant(&migrate).run().code(1);
    assert!(
        refused.stderr.contains("no recipients are named") && refused.stderr.contains("--age"),
        "{refused}"
    );
    let done = test.sealant(&migrate).args(&["--age", RECIPIENT]).run().ok();
    assert!(done.stderr.contains("db.yaml: 1 value of myns/mysecret, strict"), "{done}");
    assert_eq!(test.sealant(&["unseal", "--item", "foo", "db.yaml"]).run().ok().text(), "bar");
}

#[test]
fn what_is_no_key_or_no_file_of_theirs_is_said() {
    let test = with_file();
    let run = |words: &[&str]| test.sealant(&["migrate", "sealed-secrets"]).args(words).run();
    let certificate = fixture("keys/rsa4096-a.cert.pem");
    for key in ["missing.pem", "db.yaml", &certificate] {
        let refused = run(&["--key", key, "db.yaml"]);
        assert!(refused.status != 0 && refused.stderr.contains(key), "{key}: {refused}");
    }
    let none = run(&["db.yaml"]).code(64);
    assert!(none.stderr.contains("no way to open the SealedSecrets was given"), "{none}");
    let key = fixture(KEY);
    test.write("other.yaml", "kind: Pod\n");
    let nothing = run(&["--key", &key, "other.yaml"]).code(1);
    assert!(
        nothing.stderr.contains("other.yaml: there is no SealedSecret of bitnami.com in it"),
        "{nothing}"
    );
    let stdin = run(&["--key", &key, "-"]).code(8);
    assert!(stdin.stderr.contains("standard input cannot be replaced"), "{stdin}");
    let nowhere = run(&["--cluster-keys", "--kubeconfig", "none.yaml", "db.yaml"]).code(100);
    assert!(nowhere.stderr.contains("none.yaml: there is no kubeconfig"), "{nowhere}");
    let both = run(&["--key", &key, "--live-secrets", "db.yaml"]).code(64);
    assert!(both.stderr.contains("cannot be used with"), "{both}");
}
