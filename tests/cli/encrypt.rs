use sealant_test_support::Sandbox;

use super::{IDENTITY, KEYS_TXT, RECIPIENT, STRANGER, sandbox};

const FILE: &str = "# note\npassword: hunter2   # inline\nport: 0x1F\nname_unencrypted: shop\n";

/// A sandbox with a config for everything under `secrets/`.
fn repository() -> Sandbox {
    let test = sandbox();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n"));
    test
}

fn decrypted(test: &Sandbox, file: &str) -> String {
    test.sealant(&["decrypt", file]).env("SOPS_AGE_KEY", IDENTITY).run().ok().text().to_owned()
}

/// The ciphertext of the line that begins so.
fn token(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.trim_start().starts_with(key)).expect(key);
    line[line.find("ENC[").expect(line)..=line.find(']').expect(line)].to_owned()
}

#[test]
fn only_values_change_and_decrypting_gives_the_bytes_back() {
    let test = repository();
    test.write("secrets/a.yaml", FILE);
    test.sealant(&["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    let encrypted = test.read_text("secrets/a.yaml");
    assert!(encrypted.contains("\nname_unencrypted: shop\n"), "{encrypted}");
    assert!(!encrypted.contains("hunter2") && !encrypted.contains("note"), "{encrypted}");
    assert_eq!(decrypted(&test, "secrets/a.yaml"), FILE);
}

#[test]
fn the_result_goes_to_standard_output_unless_told_otherwise() {
    let test = repository();
    test.write("secrets/a.yaml", FILE);
    let printed = test.sealant(&["encrypt", "secrets/a.yaml"]).run().ok();
    assert_eq!(test.read_text("secrets/a.yaml"), FILE);
    test.write("copy.yaml", &printed.stdout);
    assert_eq!(decrypted(&test, "copy.yaml"), FILE);
    test.sealant(&["encrypt", "--output", "other.yaml", "secrets/a.yaml"]).run().ok();
    assert_eq!(decrypted(&test, "other.yaml"), FILE);
}

#[test]
fn folders_patterns_and_several_files_run_at_once() {
    let test = repository();
    for name in ["secrets/a.yaml", "secrets/deep/b.json", "secrets/c.env", "notes/d.yaml"] {
        test.write(name, if name.ends_with("json") { "{\"k\": \"v\"}\n" } else { "k: v\n" });
    }
    test.write("secrets/c.env", "K=v\n");
    test.sealant(&["encrypt", "-i", "."]).run().ok();
    for name in ["secrets/a.yaml", "secrets/deep/b.json", "secrets/c.env"] {
        assert!(test.read_text(name).contains("ENC["), "{name}");
    }
    assert_eq!(test.read_text("notes/d.yaml"), "k: v\n", "no rule matches it");
    assert!(!test.read_text(".sops.yaml").contains("ENC["), "a config is no secret");

    test.sealant(&["encrypt", "-i", "."]).run().ok();
    test.sealant(&["decrypt", "--output-dir", "plain", "secrets/**/*.json", "secrets/a.yaml"])
        .env("SOPS_AGE_KEY", IDENTITY)
        .run()
        .ok();
    assert_eq!(test.read_text("plain/secrets/deep/b.json"), "{\"k\": \"v\"}\n");
    assert_eq!(test.read_text("plain/secrets/a.yaml"), "k: v\n");
}

#[test]
fn a_dry_run_says_what_it_would_write() {
    let test = repository();
    test.write("secrets/a.yaml", FILE);
    let output = test.sealant(&["encrypt", "-i", "--dry-run", "secrets"]).run().ok();
    assert_eq!(output.text(), "would write secrets/a.yaml\n");
    assert_eq!(test.read_text("secrets/a.yaml"), FILE);
}

#[test]
fn one_broken_file_does_not_hold_up_the_others() {
    let test = repository();
    test.write("secrets/a.yaml", "k: v\n");
    test.write("secrets/b.yaml", "k: [\n");
    test.write("secrets/c.yaml", "k: v\n");
    let output = test.sealant(&["encrypt", "-i", "secrets"]).run().code(2);
    assert!(output.stderr.contains("error: secrets/b.yaml:"), "{}", output.stderr);
    assert!(test.read_text("secrets/a.yaml").contains("ENC["));
    assert_eq!(test.read_text("secrets/b.yaml"), "k: [\n");
    assert!(test.read_text("secrets/c.yaml").contains("ENC["));
}

#[test]
fn an_older_state_stays_where_nothing_comes_under_its_data_key() {
    let test = repository();
    let onto = |text: &str| {
        test.write("secrets/a.yaml", text);
        let args =
            ["encrypt", "--onto", "secrets/a.enc.yaml", "--output", "secrets/a.enc.yaml", "secrets/a.yaml"];
        let output = test.sealant(&args).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(decrypted(&test, "secrets/a.enc.yaml"), text);
        (test.read_text("secrets/a.enc.yaml"), output.stderr)
    };
    test.write("secrets/a.yaml", "# note\na: one\nb: two\n");
    test.sealant(&["encrypt", "--output", "secrets/a.enc.yaml", "secrets/a.yaml"]).run().ok();
    let before = test.read_text("secrets/a.enc.yaml");
    // Nothing changed: not a byte.
    assert_eq!(onto("# note\na: one\nb: two\n"), (before.clone(), String::new()));
    // Something is gone, or has moved.
    let (after, stderr) = onto("b: two\na: one\n");
    assert_eq!((token(&before, "a:"), token(&before, "b:")), (token(&after, "a:"), token(&after, "b:")));
    assert_eq!(stderr, "");
    for changed in
        ["b: two\na: changed\n", "b: two\na: changed\nc: new\n", "b: two\na: changed\nc: new\n# new\n"]
    {
        let before = test.read_text("secrets/a.enc.yaml");
        let (after, stderr) = onto(changed);
        assert_ne!(token(&before, "b:"), token(&after, "b:"), "{changed}");
        assert!(stderr.starts_with("note: secrets/a.yaml: a new data key"), "{stderr}");
    }
}

#[test]
fn nothing_comes_under_the_data_key_of_an_older_state_that_somebody_else_made() {
    let test = super::at_home();
    // For the right recipient alone, and yet its data key is its author's.
    super::encrypted(&test, "old.yaml", "x: y\n", &[RECIPIENT]);
    test.write("plain.yaml", "x: y\npassword: hunter2\n");
    let onto = ["encrypt", "--age", RECIPIENT, "--onto", "old.yaml", "--output", "old.yaml", "plain.yaml"];
    let old = test.read_text("old.yaml");
    let output = test.sealant(&onto).run().ok();
    assert!(output.stderr.contains("old.yaml does not contain all of them"), "{output}");
    let new = test.read_text("old.yaml");
    assert_ne!(token(&old, "x:"), token(&new, "x:"));
    // What their data key opens is told by what they wrapped: put into the new file, it opens nothing.
    let wrapped = |text: &str| {
        let start = text.find("-----BEGIN").expect("a wrapped key");
        let end = text.find("-----END").expect("its end");
        text[start..end].to_owned()
    };
    test.write("stolen.yaml", new.replace(&wrapped(&new), &wrapped(&old)));
    assert_ne!(test.sealant(&["decrypt", "stolen.yaml"]).run().status, 0);
}

#[test]
fn of_a_kubernetes_secret_only_the_values_are_encrypted() {
    let test = repository();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n";
    test.write("secrets/db.yaml", secret);
    let output = test.sealant(&["encrypt", "-i", "secrets/db.yaml"]).run().ok();
    assert!(output.stderr.contains("only data and stringData"), "{}", output.stderr);
    let encrypted = test.read_text("secrets/db.yaml");
    assert!(encrypted.contains("kind: Secret\nmetadata:\n  name: db\n"), "{encrypted}");
    assert!(encrypted.contains("encrypted_regex: ^(data|stringData)$"), "{encrypted}");
    assert_eq!(decrypted(&test, "secrets/db.yaml"), secret);
}

#[test]
fn a_secret_that_carries_its_plaintext_in_an_annotation_is_refused() {
    let test = repository();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    \
        kubectl.kubernetes.io/last-applied-configuration: |\n      {\"stringData\":{\"p\":\"hunter2\"}}\n  name: db\n\
        stringData:\n  p: hunter2\n";
    test.write("secrets/db.yaml", secret);
    let output = test.sealant(&["encrypt", "-i", "secrets/db.yaml"]).run().code(23);
    assert!(output.stderr.starts_with("error: secrets/db.yaml:"), "{}", output.stderr);
    assert!(output.stderr.contains("--strip-last-applied"), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    assert_eq!(test.read_text("secrets/db.yaml"), secret);

    test.sealant(&["encrypt", "-i", "--strip-last-applied", "secrets/db.yaml"]).run().ok();
    let plain = decrypted(&test, "secrets/db.yaml");
    assert!(!plain.contains("last-applied") && plain.contains("  p: hunter2\n"), "{plain}");
}

#[test]
fn standard_input_is_named_by_a_flag() {
    let test = repository();
    let unnamed = test.sealant(&["encrypt", "-"]).stdin(FILE).run().code(8);
    assert!(unnamed.stderr.contains("--filename-override"), "{}", unnamed.stderr);
    let named =
        test.sealant(&["encrypt", "--filename-override", "secrets/x.yaml", "-"]).stdin(FILE).run().ok();
    let plain = test
        .sealant(&["decrypt", "--filename-override", "x.yaml"])
        .stdin(named.stdout)
        .env("SOPS_AGE_KEY", IDENTITY)
        .run()
        .ok();
    assert_eq!(plain.text(), FILE);
}

#[test]
fn standard_input_is_called_as_the_file_that_it_becomes() {
    let test = repository();
    test.write("secrets/other.yaml", "a: 1\n");
    let output = test.sealant(&["encrypt", "--output", "secrets/x.env"]).stdin("A=hunter2\n").run().ok();
    assert_eq!(output.stderr, "");
    let encrypted = test.read_text("secrets/x.env");
    assert!(encrypted.starts_with("A=ENC[") && encrypted.contains(RECIPIENT), "{encrypted}");
    assert_eq!(decrypted(&test, "secrets/x.env"), "A=hunter2\n");
    let no_rule = test.sealant(&["encrypt", "--output", "other.env"]).stdin("A=hunter2\n").run().code(1);
    assert!(no_rule.stderr.contains("no matching creation rules found for `other.env`"), "{no_rule}");
}

#[test]
fn the_type_of_standard_input_is_found_and_said() {
    let test = repository();
    let encrypt = |text: &str, flags: &[&str]| {
        test.sealant(&["encrypt", "--age", RECIPIENT]).args(flags).stdin(text).run().ok()
    };
    let cases = [
        ("a: hunter2\n", "taken as yaml", "a: ENC["),
        ("{\"a\": \"hunter2\"}\n", "taken as json", "{\"a\": \"ENC["),
        ("[s]\na = hunter2\n", "taken as ini", "[s]\na = ENC["),
        ("A=hunter2\n", "taken as dotenv", "A=ENC["),
        ("hunter2\n", "encrypted as a whole", "{"),
        // A password in base64 has no key that could stay in plaintext.
        ("hunter2=\n", "encrypted as a whole", "{"),
    ];
    for (text, note, start) in cases {
        let output = encrypt(text, &[]);
        let expected = format!("note: standard input: {note}");
        assert!(output.stderr.starts_with(&expected) && output.text().starts_with(start), "{output}");
        assert!(!output.text().contains("hunter2"), "{output}");
        // It is decrypted as what it is, without a flag.
        let plain =
            test.sealant(&["decrypt"]).stdin(output.stdout.clone()).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(plain.text(), text);
        let whole = encrypt(text, &["--input-type", "binary"]);
        assert!(whole.text().contains("\"data\": \"ENC[") && whole.stderr.is_empty(), "{whole}");
    }
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {p: hunter2}\n";
    let output = encrypt(secret, &[]);
    assert!(output.text().contains("kind: Secret\n") && output.text().contains("{p: 'ENC["), "{output}");
}

#[test]
fn flags_go_before_the_rule() {
    let test = repository();
    test.write("secrets/a.yaml", "public: 1\nsecret_enc: 2\n");
    test.sealant(&["encrypt", "-i", "--age", STRANGER, "--encrypted-suffix", "_enc", "secrets/a.yaml"])
        .run()
        .ok();
    let encrypted = test.read_text("secrets/a.yaml");
    assert!(encrypted.contains("public: 1\n") && encrypted.contains(STRANGER), "{encrypted}");
    assert!(!encrypted.contains(RECIPIENT), "{encrypted}");
}

#[test]
fn who_names_nobody_hears_how_to() {
    let test = sandbox();
    test.write("a.yaml", FILE);
    let output = test.sealant(&["encrypt", "a.yaml"]).run().code(1);
    assert!(output.stderr.contains("sealant init"), "{}", output.stderr);
}

#[test]
fn a_file_that_no_rule_matches_hears_of_the_rules() {
    let test = repository();
    test.write("other/a.yaml", FILE);
    let output = test.sealant(&["encrypt", "other/a.yaml"]).run().code(1);
    assert!(output.stderr.contains("^secrets/"), "{}", output.stderr);
}

#[test]
fn what_cannot_be_encrypted_has_the_exit_codes_of_sops() {
    let test = repository();
    test.write("secrets/empty.yaml", "");
    test.write("secrets/comment.yaml", "# nothing\n");
    test.write("secrets/list.yaml", "- a\n");
    test.write("secrets/key.yaml", "1: a\n");
    test.write("secrets/twice.yaml", "a: 1\na: 2\n");
    test.write("secrets/sops.yaml", "sops: {a: 1}\n");
    test.write("secrets/latin.yaml", b"a: \xe4\n");
    test.write("secrets/deep.yaml", format!("a: {}{}\n", "[".repeat(10_000), "]".repeat(10_000)));
    for (file, code) in [
        ("secrets/missing.yaml", 100),
        ("secrets/empty.yaml", 92),
        ("secrets/comment.yaml", 2),
        ("secrets/list.yaml", 2),
        ("secrets/key.yaml", 23),
        ("secrets/twice.yaml", 2),
        ("secrets/sops.yaml", 203),
        ("secrets/latin.yaml", 2),
        ("secrets/deep.yaml", 2),
    ] {
        let output = test.sealant(&["encrypt", file]).run().code(code);
        assert!(output.stderr.starts_with(&format!("error: {file}")), "{}", output.stderr);
        assert!(output.stdout.is_empty());
    }
    for flags in [["-i", "--output"], ["--output", "--output-dir"]] {
        let mut run = test.sealant(&["encrypt", "secrets/key.yaml"]);
        for flag in flags {
            run = run.arg(flag);
            run = if flag == "-i" { run } else { run.arg("x") };
        }
        run.run().code(8);
    }
}

#[test]
fn a_read_only_file_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let test = repository();
    test.write("secrets/a.yaml", FILE);
    let folder = test.path("secrets");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    let output = test.sealant(&["encrypt", "-i", "secrets/a.yaml"]).run();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    // root may write anywhere.
    if output.status != 0 {
        assert_eq!(output.status, 3, "{}", output.stderr);
        assert_eq!(test.read_text("secrets/a.yaml"), FILE);
    }
}

#[test]
fn mode_and_link_of_a_file_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let test = repository();
    test.write("secrets/real.yaml", FILE);
    std::fs::set_permissions(test.path("secrets/real.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real.yaml", test.path("secrets/link.yaml")).unwrap();
    test.sealant(&["encrypt", "-i", "secrets/link.yaml"]).run().ok();
    assert!(test.path("secrets/link.yaml").is_symlink());
    let mode = std::fs::metadata(test.path("secrets/real.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(decrypted(&test, "secrets/real.yaml"), FILE);
}

#[test]
fn an_old_state_whose_data_key_strangers_have_gives_none() {
    let test = super::at_home();
    test.write("plain.yaml", "a: 1\n");
    super::encrypted(&test, "old.yaml", "a: 1\n", &[RECIPIENT, STRANGER]);
    let old = test.read_text("old.yaml");
    let onto = |recipients: &str| {
        test.sealant(&["encrypt", "--age", recipients, "--onto", "old.yaml", "plain.yaml"]).run().ok()
    };
    let alone = onto(RECIPIENT);
    assert!(alone.stderr.contains("old.yaml is for other recipients"), "{alone}");
    assert_ne!(token(alone.text(), "a:"), token(&old, "a:"));
    assert!(!alone.text().contains(STRANGER), "{alone}");
    let both = onto(&[RECIPIENT, STRANGER].join(","));
    assert_eq!((both.text(), both.stderr.as_str()), (old.as_str(), ""));
}

#[test]
fn an_old_state_that_was_changed_is_refused() {
    let test = super::at_home();
    test.write("plain.yaml", "a: 1\nb_unencrypted: 1\n");
    super::encrypted(&test, "old.yaml", "a: 1\nb_unencrypted: 1\n", &[RECIPIENT]);
    let old = test.read_text("old.yaml");
    let onto = |old: String| {
        test.write("old.yaml", old);
        test.sealant(&["encrypt", "--age", RECIPIENT, "--onto", "old.yaml", "plain.yaml"]).run()
    };
    let output = onto(old.replace("b_unencrypted: 1", "b_unencrypted: 2")).code(51);
    assert!(output.stderr.starts_with("error: old.yaml: MAC mismatch"), "{output}");
    assert!(output.stderr.contains("remove --onto"), "{output}");
    onto(old).ok();
}

#[test]
fn in_a_folder_what_only_looks_encrypted_is_not_passed_by() {
    let test = sandbox();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^d/\n    age: {RECIPIENT}\n"));
    test.write("d/values.yaml", "password: hunter2\nsops:\n  enabled: true\n");
    test.write("d/a.yaml", "a: 1\n");
    test.write("d/b.yaml", "b: 1\n");
    test.sealant(&["encrypt", "-i", "d/b.yaml"]).run().ok();
    let output = test.sealant(&["encrypt", "-i", "d"]).run().code(203);
    assert!(output.stderr.starts_with("error: d/values.yaml: an entry has the name"), "{output}");
    let summary = "\n1 encrypted, 1 encrypted already, 1 failed\n";
    assert!(output.stderr.ends_with(summary), "{output}");
}

#[test]
fn in_a_folder_plaintext_in_encrypted_files_is_named_and_nothing_is_encrypted_twice() {
    let test = sandbox();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^d/\n    age: {RECIPIENT}\n"));
    test.write("d/good.yaml", "a: 1 # one\n");
    test.write("d/good.txt", "hello\n");
    test.sealant(&["encrypt", "-i", "d"]).run().ok();
    let good = test.read_text("d/good.yaml");
    let block = &good[good.find("sops:\n").unwrap()..];
    let token = good.strip_prefix("a: ").unwrap().split_once(" #").unwrap().0.to_owned();
    let again = test.sealant(&["encrypt", "-i", "d"]).run().ok();
    assert!(again.stderr.contains("0 encrypted, 2 encrypted already"), "{again}");
    for (file, text, expected) in [
        ("d/forged.yaml", format!("password: hunter2\n{block}"), "not all of it: password is in"),
        ("d/comment.yaml", format!("# hunter2\n{good}"), "not all of it: a comment is in"),
        ("d/bare.yaml", format!("a: {token}\n"), "sops metadata not found"),
        ("d/bare.txt", format!("{{\"data\": \"{token}\"}}\n"), "sops metadata not found"),
        ("d/reserved.yaml", "sops: {enabled: true}\n".to_owned(), "the name under which"),
        ("d/half.yaml", format!("a: hunter2\n{}", block.replace("version:", "x:")), "it has no version"),
    ] {
        test.write(file, &text);
        for args in [&["encrypt", "-i", "d"][..], &["encrypt", "-i", file]] {
            let output = test.sealant(args).run().code(203);
            let named = args.contains(&file);
            let expected = if named && text.contains("  version:") { "encrypted already" } else { expected };
            assert!(output.stderr.contains(expected), "{output}");
            assert!(output.stderr.contains(file) && !output.stderr.contains("hunter2"), "{output}");
            assert_eq!(test.read_text(file), text);
        }
        std::fs::remove_file(test.path(file)).unwrap();
    }
    // A key in another spelling is the same key.
    for key in ["\"\\x73ops\":", "!!binary c29wcw==:"] {
        let text = good.replacen("sops:", key, 1);
        test.write("d/good.yaml", &text);
        test.sealant(&["encrypt", "-i", "d"]).run().ok();
        assert_eq!(test.read_text("d/good.yaml"), text);
        let status = test.sealant(&["filestatus", "d/good.yaml"]).run().ok();
        assert_eq!(status.text(), "{\"encrypted\":true}\n");
        let plain = test.sealant(&["decrypt", "d/good.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(plain.text(), "a: 1 # one\n");
    }
}

#[test]
fn a_tab_is_told_of_on_its_own_line() {
    let test = sandbox();
    for (text, line) in [("a: b\n\tc: d\n", 2), ("a:\n  b: c\n\td: e\n", 3)] {
        test.write("a.yaml", text);
        let output = test.sealant(&["encrypt", "--age", RECIPIENT, "a.yaml"]).run().code(2);
        assert!(output.stderr.starts_with(&format!("error: a.yaml:{line}: broken YAML")), "{output}");
        assert!(output.stderr.contains("Indent with spaces"), "{output}");
    }
}

#[test]
fn a_result_that_is_only_shown_is_said_to_be() {
    let test = sandbox();
    test.write("plain.yaml", "password: hunter2\n");
    let shown = test
        .sealant(&["--color", "never", "encrypt", "--age", RECIPIENT, "plain.yaml"])
        .on_terminal()
        .finish()
        .ok();
    assert!(
        shown.text().contains("note: this was only printed, and plain.yaml is still in plaintext"),
        "{shown}"
    );
    let piped = test.sealant(&["encrypt", "--age", RECIPIENT, "plain.yaml"]).run().ok();
    assert_eq!(piped.stderr, "");
    let in_place =
        test.sealant(&["encrypt", "--age", RECIPIENT, "-i", "plain.yaml"]).on_terminal().finish().ok();
    assert_eq!(in_place.text(), "");
}

#[test]
fn a_name_of_the_config_stands_for_its_key() {
    let test = sandbox();
    let names = format!("sealant: {{recipients: {{'{RECIPIENT}': Anna, '{STRANGER}': Ben}}}}\n");
    test.write(".sops.yaml", format!("creation_rules: [{{age: '{RECIPIENT},{STRANGER}'}}]\n{names}"));
    test.write(test.home(KEYS_TXT), IDENTITY);
    test.write("a.yaml", "password: hunter2\n");
    let output = test.sealant(&["encrypt", "-i", "--age", "anna,Ben", "a.yaml"]).run().ok();
    // Whoever wrote the config may have called another key so.
    for (name, key) in [("anna", RECIPIENT), ("Ben", STRANGER)] {
        assert!(output.stderr.contains(&format!("the config calls this key `{name}`: {key}")), "{output}");
    }
    assert!(test.read_text("a.yaml").contains(RECIPIENT) && test.read_text("a.yaml").contains(STRANGER));
    test.sealant(&["rotate", "-i", "--rm-age", "Ben", "a.yaml"]).run().ok();
    assert!(!test.read_text("a.yaml").contains(STRANGER));
    test.sealant(&["updatekeys", "--add", "Ben", "--yes", "a.yaml"]).run().ok();
    assert!(test.read_text("a.yaml").contains(STRANGER));

    test.write("b.yaml", "password: hunter2\n");
    let wrong = test.sealant(&["encrypt", "--age", "Bert", "b.yaml"]).run();
    assert!(wrong.stderr.contains("Anna (...6uxd3x4euskwqtdy)") && wrong.status != 0, "{wrong}");
    // A name is the repository's, and a variable is for all repositories; sops knows no names.
    let variable = test.sealant(&["encrypt", "b.yaml"]).env("SOPS_AGE_RECIPIENTS", "Anna").run();
    assert!(variable.stderr.contains("`Anna` is not an age recipient"), "{variable}");
    let as_sops = test.sealant(&["sops", "-e", "--age", "Anna", "b.yaml"]).run();
    assert!(as_sops.status != 0 && as_sops.stdout.is_empty(), "{as_sops}");
}

#[test]
fn a_name_that_looks_like_a_key_is_no_name() {
    let test = sandbox();
    test.write(".sops.yaml", format!("sealant: {{recipients: {{'{STRANGER}': '{RECIPIENT}'}}}}\n"));
    test.write("a.yaml", "password: hunter2\n");
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    assert!(!test.read_text("a.yaml").contains(STRANGER));
}

/// The rule of the input would let others read what lies where a stricter rule is.
#[test]
fn a_result_is_for_the_readers_of_the_place_that_it_goes_to() {
    let test = super::at_home();
    let developer = super::identity(&test, "developer.txt");
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^prod/\n    age: {RECIPIENT}\n  - path_regex: ^(dev|deep)/\n    age: {RECIPIENT},{developer}\n"
        ),
    );
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {v: hunter2}\n";
    for (command, input) in [("encrypt", FILE), ("seal", secret)] {
        test.write("dev/new.yaml", input);
        std::fs::create_dir_all(test.path("prod/dev")).expect("a folder");
        std::fs::create_dir_all(test.path("elsewhere")).expect("a folder");
        for (flags, place) in [
            (["--output", "prod/new.yaml"], "prod/new.yaml"),
            (["--output-dir", "prod"], "prod/dev/new.yaml"),
        ] {
            let refused = test.sealant(&[command]).args(&flags).arg("dev/new.yaml").run().code(8);
            let advised =
                format!("sealant {command} --filename-override {place} --output {place} dev/new.yaml");
            assert!(refused.stderr.contains(&advised) && refused.stderr.contains(&developer), "{refused}");
            assert!(!test.path(place).exists(), "{place}");
            let words: Vec<&str> = advised.split(' ').skip(1).collect();
            test.sealant(&words).run().ok();
            let written = test.read_text(place);
            assert!(written.contains(RECIPIENT) && !written.contains(&developer), "{written}");
            std::fs::remove_file(test.path(place)).expect("a file");
        }
        // Fewer readers are no harm, nor is a place that no rule is for, or a name or a recipient that somebody gives.
        test.write("prod/in.yaml", input);
        for words in [
            &["--output", "dev/out.yaml", "prod/in.yaml"][..],
            &["--output", "elsewhere/out.yaml", "dev/new.yaml"],
            &["--output", "prod/out.yaml", "--filename-override", "dev/x.yaml", "dev/new.yaml"],
            &["--output", "prod/out.yaml", "--age", &developer, "dev/new.yaml"],
        ] {
            test.sealant(&[command]).args(words).run().ok();
        }
        std::fs::remove_file(test.path("prod/out.yaml")).expect("a file");
    }
    test.write("dev/new.yaml", FILE);
    test.sealant(&["sops", "encrypt", "--output", "prod/sops.yaml", "dev/new.yaml"]).run().ok();
}
