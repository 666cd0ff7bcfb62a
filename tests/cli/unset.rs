use super::{decrypted, new_lines, with_secret};

const TEXT: &str = "# all of it\ndb:\n  password: hunter2 # old\n  port: 5432\n\nhosts: [a, b]\n";

#[test]
fn a_value_goes_with_its_line() {
    let test = with_secret(TEXT);
    let before = test.read_text("secret.yaml");
    test.sealant(&["unset", "secret.yaml", "[\"db\"][\"password\"]"]).run().ok();
    let changed = new_lines(&before, &test.read_text("secret.yaml"));
    assert!(
        changed.iter().all(|line| line.starts_with("mac:") || line.starts_with("lastmodified:")),
        "{changed:?}"
    );
    test.sealant(&["unset", "secret.yaml", "[\"hosts\"][0]"]).run().ok();
    assert_eq!(decrypted(&test, "secret.yaml"), "# all of it\ndb:\n  port: 5432\n\nhosts: [b]\n");
}

#[test]
fn what_is_missing_is_an_error_unless_idempotent() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    let unset = |args: &[&str]| test.sealant(&["unset"]).args(args).run();
    let output = unset(&["secret.yaml", "[\"db\"][\"user\"]"]).code(1);
    assert!(output.stderr.contains("[\"user\"] of [\"db\"][\"user\"] not found"), "{output}");
    let _ = unset(&["--idempotent", "secret.yaml", "[\"db\"][\"user\"]"]).ok();
    for (args, code) in [
        (["secret.yaml", ""].as_slice(), 7),
        (&["secret.yaml", "db..x"], 7),
        (&["secret.yaml"], 64),
        (&["secret.yaml", "[\"sops\"]"], 1),
    ] {
        let _ = unset(args).code(code);
    }
    assert_eq!(test.read("secret.yaml"), before);
}

#[test]
fn what_is_removed_at_an_anchor_is_removed_from_its_copies_or_not_at_all() {
    let text = "x: &x\n  password: hunter2\n  user: app\ny: *x\n";
    let test = with_secret(text);
    let refused = test.sealant(&["unset", "secret.yaml", "[\"x\"][\"user\"]"]).run();
    assert!(refused.stderr.contains("[\"y\"][\"user\"]"), "{}", refused.stderr);
    let told = test.sealant(&["unset", "--with-copies", "secret.yaml", "[\"x\"][\"user\"]"]).run().ok();
    assert!(told.stderr.contains("[\"y\"][\"user\"] is a copy"), "{}", told.stderr);
    assert_eq!(decrypted(&test, "secret.yaml"), text.replace("  user: app\n", ""));
    // The anchor itself cannot go while an alias needs it.
    let refused = test.sealant(&["unset", "--with-copies", "secret.yaml", "[\"x\"]"]).run();
    assert!(refused.stderr.contains("would change other values"), "{}", refused.stderr);
}
