use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, sandbox};

const PLAIN: &str = "# note\ndb:\n  password: hunter2\n  ports: [1, 2]\n  on: true\nlast: 1.50\n";

/// A sandbox with `a.yaml`, encrypted.
fn encrypted() -> Sandbox {
    let test = sandbox();
    test.write("a.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    test
}

fn decrypt(test: &Sandbox, args: &[&str]) -> sealant_test_support::Output {
    let args = [&["decrypt"], args].concat();
    test.sealant(&args).env("SOPS_AGE_KEY", IDENTITY).run()
}

#[test]
fn a_value_is_extracted_as_it_is() {
    let test = encrypted();
    for (path, value) in [
        ("[\"db\"][\"password\"]", "hunter2"),
        ("['db']['ports'][1]", "2\n"),
        ("[\"db\"][\"on\"]", "true\n"),
        ("[\"db\"][\"ports\"]", "- 1\n- 2\n"),
    ] {
        assert_eq!(decrypt(&test, &["--extract", path, "a.yaml"]).ok().text(), value, "{path}");
    }
    let missing = decrypt(&test, &["--extract", "[\"db\"][\"user\"]", "a.yaml"]).code(91);
    assert!(missing.stderr.contains("[\"user\"]"), "{}", missing.stderr);
}

#[test]
fn another_format_is_written_as_sops_writes_it() {
    let test = encrypted();
    let json = decrypt(&test, &["--output-type", "json", "a.yaml"]).ok();
    assert_eq!(
        json.text(),
        "{\n\t\"db\": {\n\t\t\"password\": \"hunter2\",\n\t\t\"ports\": [\n\t\t\t1,\n\t\t\t2\n\t\t],\n\t\t\"on\": true\n\t},\n\t\"last\": 1.5\n}\n"
    );
    decrypt(&test, &["--output-type", "dotenv", "a.yaml"]).code(4);
}

#[test]
fn plaintext_is_written_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let test = encrypted();
    decrypt(&test, &["--output", "plain.yaml", "a.yaml"]).ok();
    assert_eq!(test.read_text("plain.yaml"), PLAIN);
    let mode = std::fs::metadata(test.path("plain.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_was_changed_is_refused_and_can_be_looked_at() {
    let test = encrypted();
    let file = test.read_text("a.yaml").replace("\n  ports", "\n  extra_unencrypted: 1\n  ports");
    test.write("a.yaml", file);
    let output = decrypt(&test, &["a.yaml"]).code(51);
    assert!(output.stderr.contains("--ignore-mac"), "{}", output.stderr);
    assert!(output.stdout.is_empty());
    let looked_at = decrypt(&test, &["--ignore-mac", "a.yaml"]).ok();
    assert!(looked_at.text().contains("extra_unencrypted: 1\n"), "{}", looked_at.text());
}

#[test]
fn a_value_that_was_moved_or_cut_is_refused_with_its_line() {
    let test = encrypted();
    let file = test.read_text("a.yaml");
    let moved = file.replace("  password:", "  passwort:");
    test.write("a.yaml", moved);
    let output = decrypt(&test, &["a.yaml"]).code(25);
    assert!(output.stderr.contains("a.yaml:3: db.passwort"), "{}", output.stderr);
    test.write("a.yaml", file.replacen(",iv:", ",", 1));
    // A comment stays as it is, the next value is refused by the MAC or by itself.
    assert_ne!(decrypt(&test, &["a.yaml"]).status, 101);
}

#[test]
fn who_has_no_identity_hears_where_it_was_looked_for() {
    let test = encrypted();
    let output = test.sealant(&["decrypt", "a.yaml"]).run().code(128);
    for expected in [RECIPIENT, "SOPS_AGE_KEY_FILE", "keys.txt", "sealant keygen"] {
        assert!(output.stderr.contains(expected), "{expected} is missing: {}", output.stderr);
    }
}

#[test]
fn a_plain_file_is_named_as_such() {
    let test = sandbox();
    test.write("a.yaml", PLAIN);
    let output = decrypt(&test, &["a.yaml"]).code(1);
    assert!(output.stderr.contains("not encrypted"), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
}

#[test]
fn what_many_files_lack_alike_is_explained_once() {
    let test = encrypted();
    test.write("b.yaml", test.read("a.yaml"));
    let output = test.sealant(&["decrypt", "--output-dir", "out", "a.yaml", "b.yaml"]).run().code(128);
    assert_eq!(output.stderr.matches("looked for identities in:").count(), 1, "{output}");
    assert!(
        output.stderr.ends_with("error: b.yaml: no identity at hand opens the data key, as above\n"),
        "{output}"
    );
}

#[test]
fn a_merge_conflict_is_named_as_such() {
    let test = encrypted();
    let text = test.read_text("a.yaml");
    let (first, rest) = text.split_once('\n').expect("several lines");
    test.write("a.yaml", format!("{first}\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n{rest}"));
    let output = decrypt(&test, &["a.yaml"]).code(2);
    assert!(output.stderr.starts_with("error: a.yaml:2: a merge conflict of Git begins here\n"), "{output}");
}
