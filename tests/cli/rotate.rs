use super::{RECIPIENT, STRANGER, at_home, encrypted, identity};

const PLAIN: &str = "# note\na: 1.10\n\nb: [x, \"y\"]   # end\n";

/// The ciphertexts of a file.
fn tokens(text: &str) -> Vec<&str> {
    text.split("ENC[").skip(1).filter_map(|rest| rest.split(']').next()).collect()
}

fn initialization_vectors(text: &str) -> Vec<&str> {
    text.split("iv:").skip(1).filter_map(|rest| rest.split(',').next()).collect()
}

#[test]
fn every_ciphertext_is_new_and_the_plaintext_the_same() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    let before = test.read_text("a.yaml");
    let output = test.sealant(&["rotate", "a.yaml"]).run().ok();
    assert!(output.stderr.contains(&format!("so the file keeps these:\n  {RECIPIENT}\n")), "{output}");
    assert_eq!(test.read_text("a.yaml"), before, "printed, not written");

    let after = output.text();
    assert_eq!(tokens(after).len(), tokens(&before).len());
    assert!(tokens(after).iter().all(|token| !tokens(&before).contains(token)));
    let old = initialization_vectors(&before);
    assert!(initialization_vectors(after).iter().all(|iv| !old.contains(iv)));
    test.write("b.yaml", after);
    assert_eq!(test.sealant(&["decrypt", "b.yaml"]).run().ok().text(), PLAIN);
}

#[test]
fn recipients_come_and_go() {
    let test = at_home();
    let (leaver, newcomer) = (identity(&test, "leaver.txt"), identity(&test, "newcomer.txt"));
    for file in ["d/a.yaml", "d/b.json", "d/c.env"] {
        let plain = if file.ends_with("json") { "{\"a\": 1}\n" } else { "a=1\n" };
        let plain = if file.ends_with("yaml") { "a: 1\n" } else { plain };
        encrypted(&test, file, plain, &[RECIPIENT, &leaver]);
    }
    test.sealant(&["rotate", "-i", "--add-age", &newcomer, "--rm-age", &leaver, "d"]).run().ok();
    for file in ["d/a.yaml", "d/b.json", "d/c.env"] {
        test.sealant(&["decrypt", file]).run().ok();
        test.sealant(&["decrypt", "--identity", "newcomer.txt", file])
            .env("HOME", "/")
            .env("XDG_CONFIG_HOME", "/")
            .run()
            .ok();
        test.sealant(&["decrypt", "--identity", "leaver.txt", file])
            .env("HOME", "/")
            .env("XDG_CONFIG_HOME", "/")
            .run()
            .code(128);
    }
    let output = test.sealant(&["rotate", "-i", "--rm-age", &leaver, "d"]).run().ok();
    assert!(output.stderr.contains(&format!("warning: no file names {leaver}")), "{output}");
    let output =
        test.sealant(&["rotate", "--rm-age", &format!("{RECIPIENT},{newcomer}"), "d/a.yaml"]).run().code(8);
    assert!(output.stderr.contains("nobody would be left who can decrypt the file"), "{output}");
}

#[test]
fn a_stranger_in_the_file_is_refused_by_name() {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT, STRANGER]);
    encrypted(&test, "b.yaml", PLAIN, &[RECIPIENT]);
    let (a, b) = (test.read("a.yaml"), test.read("b.yaml"));
    let output = test.sealant(&["rotate", "-i", "a.yaml", "b.yaml"]).run().code(8);
    assert!(output.stderr.contains(&format!("its creation rule does not name:\n  {STRANGER}\n")), "{output}");
    assert_eq!(test.read("a.yaml"), a);
    assert_ne!(test.read("b.yaml"), b);

    test.sealant(&["rotate", "--allow-recipient", STRANGER, "a.yaml"]).run().ok();
    test.sealant(&["rotate", "--rm-age", STRANGER, "a.yaml"]).run().ok();
    let output = test.sealant(&["rotate", "-i", "--add-age", STRANGER, "b.yaml"]).run().ok();
    assert!(output.stderr.contains("or the next rotation will reject them"), "{output}");
}

#[test]
fn a_file_that_fewer_can_open_than_the_rule_asks_for_is_refused() {
    let test = at_home();
    let other = identity(&test, "other.txt");
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT, &other]);
    test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - key_groups:\n      - age: [{RECIPIENT}]\n      - age: [{other}]\n"),
    );
    let output = test.sealant(&["rotate", "a.yaml"]).run().code(8);
    assert!(
        output.stderr.contains("keys from 1 of 1 groups to decrypt, and its creation rule asks for 2 of 2"),
        "{output}"
    );
    test.sealant(&["updatekeys", "--rotate", "--yes", "a.yaml"]).run().ok();
    test.sealant(&["rotate", "-i", "--identity", "other.txt", "a.yaml"]).run().ok();
    test.sealant(&["decrypt", "a.yaml"]).run().code(128);
    assert_eq!(test.sealant(&["decrypt", "--identity", "other.txt", "a.yaml"]).run().ok().text(), PLAIN);
}

#[test]
fn a_changed_file_is_not_rotated() {
    let test = at_home();
    encrypted(&test, "a.yaml", "a: 1\nb_unencrypted: 2\n", &[RECIPIENT]);
    let changed = test.read_text("a.yaml").replace("b_unencrypted: 2", "b_unencrypted: 3");
    test.write("a.yaml", &changed);
    test.sealant(&["rotate", "-i", "a.yaml"]).run().code(51);
    assert_eq!(test.read_text("a.yaml"), changed);
}

#[test]
fn a_key_that_nothing_can_be_wrapped_for_is_refused() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    let with_pgp = test.read_text("a.yaml").replace(
        "    lastmodified:",
        "    pgp:\n        - created_at: \"2026-01-01T00:00:00Z\"\n          enc: x\n          fp: 85D77543\n    lastmodified:",
    );
    test.write("a.yaml", &with_pgp);
    let output = test.sealant(&["rotate", "-i", "a.yaml"]).run().code(8);
    assert!(output.stderr.contains("--rm-pgp '85D77543'"), "{output}");
    assert_eq!(test.read_text("a.yaml"), with_pgp);
    test.sealant(&["rotate", "-i", "--rm-pgp", "85D77543", "a.yaml"]).run().ok();
    assert!(!test.read_text("a.yaml").contains("pgp"));
    let output = test.sealant(&["rotate", "--add-pgp", "85D77543", "a.yaml"]).run().code(1);
    assert!(
        output.stderr.starts_with("error: --add-pgp: `85D77543` is not the name of a PGP key"),
        "{output}"
    );
}

#[test]
fn one_broken_file_holds_up_no_other() {
    let test = at_home();
    for file in ["d/a.yaml", "d/c.yaml"] {
        encrypted(&test, file, PLAIN, &[RECIPIENT]);
    }
    test.write("d/b.yaml", "a: ENC[AES256_GCM,\nsops: [\n");
    test.write("d/README.md", "nothing encrypted here\n");
    let before = test.read("d/a.yaml");
    let output = test.sealant(&["rotate", "-i", "d"]).run().code(2);
    assert!(output.stderr.contains("error: d/b.yaml:"), "{output}");
    assert_ne!(test.read("d/a.yaml"), before);
    let output = test.sealant(&["rotate", "-i", "--dry-run", "d/a.yaml", "d/c.yaml"]).run().ok();
    assert_eq!(output.text(), "would write d/a.yaml\nwould write d/c.yaml\n");
}

#[test]
fn a_kill_leaves_every_file_old_or_new() {
    let test = at_home();
    for file in 0..40 {
        encrypted(&test, &format!("d/{file}.yaml"), PLAIN, &[RECIPIENT]);
    }
    let script = "\"$0\" rotate -q -i d 2>/dev/null & sleep 0.0$1; kill -9 $!; wait $! || true";
    for delay in ["1", "2", "4"] {
        test.program("sh", &["-c", script, env!("CARGO_BIN_EXE_sealant"), delay]).run().ok();
        for file in 0..40 {
            let path = format!("d/{file}.yaml");
            assert_eq!(test.sealant(&["decrypt", &path]).run().ok().text(), PLAIN);
        }
    }
    test.sealant(&["rotate", "-q", "-i", "d"]).run().ok();
}

#[test]
fn a_flag_that_names_nobody_is_told_of() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    let output = test.sealant(&["rotate", "--add-age", "", "--rm-age", " , ", "a.yaml"]).run().ok();
    for flag in ["--add-age", "--rm-age"] {
        let warning = format!("warning: {flag} is empty, and is ignored\n");
        assert!(output.stderr.contains(&warning), "{output}");
    }
    let output = test.sealant(&["encrypt", "--age", "", "a.yaml"]).run().code(203);
    assert!(output.stderr.starts_with("warning: --age is empty"), "{output}");
}
