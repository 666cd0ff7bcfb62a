//! What a file says of itself, against what its creation rule says: nothing new gets into a weaker place.

use sealant_test_support::{Output, Run, Sandbox};

use super::{IDENTITY, KEYS_TXT, RECIPIENT, STRANGER, at_home, decrypted, encrypted};

const PLAIN: &str = "password: hunter2\nuser: anna\n";

/// A repository with a file that is encrypted by this rule.
fn repository(rule: &str, file: &str, plain: &str, flags: &[&str]) -> Sandbox {
    let test = at_home();
    set_rule(&test, rule);
    test.write(file, plain);
    test.sealant(&["encrypt", "-i", "--quiet"]).args(flags).args(&[file]).run().ok();
    test
}

fn set_rule(test: &Sandbox, rule: &str) {
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n{rule}"));
}

/// What somebody without a key changes in a file.
fn forge(test: &Sandbox, file: &str, from: &str, to: &str) {
    let text = test.read_text(file);
    assert!(text.contains(from), "{from} in:\n{text}");
    test.write(file, text.replacen(from, to, 1));
}

fn set(test: &Sandbox, file: &str, path: &str) -> Run {
    test.sealant(&["set", "--string", file, path, "planted-new"])
}

#[test]
fn a_forged_selection_gets_no_new_value_whatever_the_field_and_the_format() {
    let explicit = "    unencrypted_suffix: _unencrypted\n";
    let formats = [
        ("a.yaml", PLAIN, "    unencrypted_suffix: _unencrypted", "    ", ": "),
        (
            "a.json",
            "{\"password\": \"hunter2\", \"user\": \"anna\"}\n",
            "\"unencrypted_suffix\": \"_unencrypted\"",
            "\"",
            "\": \"",
        ),
        ("a.env", "password=hunter2\nuser=anna\n", "sops_unencrypted_suffix=_unencrypted", "sops_", "="),
    ];
    let fields = [
        ("unencrypted_suffix", "ken"),
        ("encrypted_suffix", "r"),
        ("encrypted_regex", "^(password|user)$"),
        ("unencrypted_regex", "^token$"),
    ];
    for (file, plain, line, before, between) in formats {
        for (field, pattern) in fields {
            // This one has to cover exactly what is encrypted.
            let plain = if field == "encrypted_suffix" {
                plain.replace("password", "passwor")
            } else {
                plain.to_owned()
            };
            for rule in [explicit, ""] {
                let test = repository(rule, file, &plain, &[]);
                let end = if file.ends_with(".json") { "\"" } else { "" };
                forge(&test, file, line, &format!("{before}{field}{between}{pattern}{end}"));
                let state = test.read_text(file);
                let output = set(&test, file, "[\"token\"]").run().code(8);
                let help = if rule.is_empty() { "--plaintext" } else { "sealant updatekeys --settings a." };
                assert!(
                    output.stderr.contains("token would be in plaintext") && output.stderr.contains(help),
                    "{output}"
                );
                assert!(!output.stderr.contains("planted"), "{output}");
                assert_eq!(test.read_text(file), state, "{file} {field}");
            }
        }
    }
}

#[test]
fn a_forged_selection_by_comments_gets_no_new_value_either() {
    let test = repository("    unencrypted_suffix: _unencrypted\n", "a.yaml", PLAIN, &[]);
    forge(&test, "a.yaml", "unencrypted_suffix: _unencrypted", "unencrypted_comment_regex: ^public");
    let editor = test.editor("printf '#public\\ntoken: planted-new\\n' >> \"$1\"");
    let output = test.sealant(&["edit", "a.yaml"]).env("EDITOR", editor).run().code(8);
    assert!(output.stderr.contains("token would be in plaintext"), "{output}");
    let output = test.sealant(&["check", "a.yaml"]).run().code(1);
    assert!(output.text().contains("it is unknown what that leaves in plaintext [settings]"), "{output}");
}

#[test]
fn an_ini_file_is_held_against_its_rule_too() {
    let test =
        repository("    unencrypted_suffix: _unencrypted\n", "a.ini", "[db]\npassword = hunter2\n", &[]);
    let text = test.read_text("a.ini");
    let line =
        text.lines().find(|line| line.starts_with("unencrypted_suffix")).expect("the selection").to_owned();
    forge(&test, "a.ini", &line, "encrypted_regex = ^password$");
    let output = set(&test, "a.ini", "[\"db\"][\"token\"]").run().code(8);
    assert!(output.stderr.contains("db.token would be in plaintext"), "{output}");
}

#[test]
fn what_is_asked_for_in_plaintext_is_written_so_and_a_present_one_is_told() {
    let test = repository("", "a.yaml", "password: x\nhost: h\n", &["--encrypted-regex", "^password$"]);
    set(&test, "a.yaml", "[\"port\"]").args(&["--plaintext"]).run().ok();
    let output = set(&test, "a.yaml", "[\"host\"]").run().ok();
    assert_eq!(
        output.stderr,
        "warning: a.yaml: in plaintext, as the file's `encrypted_regex: ^password$` says: host\n"
    );
    assert!(test.read_text("a.yaml").starts_with("password: ENC["));
    assert_eq!(decrypted(&test, "a.yaml"), "password: x\nhost: planted-new\nport: planted-new\n");
    // An explicit rule is stronger than the flag.
    set_rule(&test, "    unencrypted_suffix: _unencrypted\n");
    set(&test, "a.yaml", "[\"more\"]").args(&["--plaintext"]).run().code(8);
    test.sealant(&["set", "--plaintext", "a.yaml", "[\"host\"]", "\"other\""]).run().code(8);
    set(&test, "a.yaml", "[\"password\"]").run().ok();
}

#[test]
fn a_secret_of_kubernetes_is_judged_by_its_own_values() {
    let secret = "apiVersion: v1\nkind: Secret\nstringData:\n    p: hunter2\n";
    let test = repository("", "a.yaml", secret, &[]);
    forge(&test, "a.yaml", "encrypted_regex: ^(data|stringData)$", "encrypted_regex: ^p$");
    let output = set(&test, "a.yaml", "[\"stringData\"][\"q\"]").run().code(8);
    assert!(output.stderr.contains("stringData.q would be in plaintext"), "{output}");
    set(&test, "a.yaml", "[\"immutable\"]").run().ok();
}

/// The MAC of such a file covers nothing that is in plaintext, so anybody can make a Secret of it.
#[test]
fn what_is_made_a_secret_of_kubernetes_gets_no_new_value_beside_its_fields() {
    for (file, plain, from, to) in [
        ("a.yaml", PLAIN, "password:", "apiVersion: v1\nkind: Secret\npassword:"),
        (
            "a.json",
            "{\"password\": \"hunter2\", \"user\": \"anna\"}\n",
            "\"password\":",
            "\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"password\":",
        ),
    ] {
        let test = repository("    mac_only_encrypted: true\n", file, plain, &[]);
        forge(&test, file, from, to);
        let (old, new) = ("unencrypted_suffix", "encrypted_regex");
        forge(&test, file, old, new);
        forge(&test, file, "_unencrypted", "^(password|user)$");
        let state = test.read_text(file);
        let output = set(&test, file, "[\"token\"]").run().code(8);
        assert!(output.stderr.contains("token would be in plaintext"), "{output}");
        assert_eq!(test.read_text(file), state);
    }
}

/// A key `db:password` is no place of its own for whoever looks at joined keys.
#[test]
fn what_was_encrypted_does_not_excuse_plaintext_of_the_same_path() {
    let plain = "'db:password': hunter2\n'db:user': anna\n";
    let test = repository("", "a.yaml", plain, &[]);
    forge(&test, "a.yaml", "unencrypted_suffix: _unencrypted", "unencrypted_regex: ^db$");
    let editor = test.editor("printf 'db:\\n    password: hunter2\\n    user: anna\\n' > \"$1\"");
    let output = test.sealant(&["edit", "a.yaml"]).env("EDITOR", editor).run().ok();
    assert!(output.stderr.contains("warning: a.yaml: in plaintext"), "{output}");
    assert!(output.stderr.contains("db.password"), "{output}");
}

#[test]
fn what_edit_adds_is_refused_or_named_and_what_was_there_is_let_be() {
    let forged = |rule: &str| {
        let test = repository(rule, "a.yaml", PLAIN, &[]);
        forge(&test, "a.yaml", "unencrypted_suffix: _unencrypted", "encrypted_regex: ^(password|user)$");
        test
    };
    let edit = |test: &Sandbox, commands: &str| {
        let editor = test.editor(commands);
        test.sealant(&["edit", "a.yaml"]).env("EDITOR", editor).run()
    };
    let adds = "printf 'token: planted\\n# planted too\\n' >> \"$1\"";
    let test = forged("    unencrypted_suffix: _unencrypted\n");
    let before = test.read_text("a.yaml");
    let output = edit(&test, adds).code(8);
    assert!(output.stderr.contains("token, the comment on line 4 would be in plaintext"), "{output}");
    assert!(output.stderr.contains("`sealant updatekeys --settings a.yaml`"), "{output}");
    assert_eq!(test.read_text("a.yaml"), before);
    edit(&test, "sed -i s/hunter2/other/ \"$1\"").ok();

    let test = forged("");
    let output = edit(&test, adds).ok();
    assert!(output.stderr.contains("warning: a.yaml: in plaintext"), "{output}");
    assert!(output.stderr.contains("token, the comment on line 4"), "{output}");
}

/// Repositories as people have them: a rule, what was given when a file was encrypted, the rule now, and a value.
#[test]
fn everyday_differences_are_in_nobodys_way() {
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n    password: hunter2\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n    password: hunter2\n";
    let flat = "password: hunter2\nhost: h\n";
    let flux = &["--encrypted-regex", "^(data|stringData)$"][..];
    let only = &["--encrypted-regex", "^password$"][..];
    let (none, two) = ("", &["--age", "BOTH"][..]);
    let cases: [(&str, &[&str], &str, &str, &str); 10] = [
        (none, &[], none, flat, "[\"password\"]"),
        (none, flux, none, config_map, "[\"data\"][\"password\"]"),
        (none, flux, none, config_map, "[\"data\"][\"new\"]"),
        (none, &[], none, secret, "[\"stringData\"][\"new\"]"),
        (none, only, none, flat, "[\"host\"]"),
        (none, &["--unencrypted-suffix", "_plain"], none, flat, "[\"port_unencrypted\"]"),
        (none, &["--mac-only-encrypted"], "    mac_only_encrypted: true\n", flat, "[\"password\"]"),
        // Rules that have changed since: tightened, loosened, other readers.
        (
            "    encrypted_regex: ^password$\n",
            &[],
            "    encrypted_regex: ^(password|host)$\n",
            flat,
            "[\"password\"]",
        ),
        (
            "    unencrypted_suffix: _plain\n",
            &[],
            "    encrypted_regex: ^password$\n",
            flat,
            "[\"password\"]",
        ),
        (none, two, none, flat, "[\"password\"]"),
    ];
    for (at_first, flags, now, plain, path) in cases {
        let both = format!("{RECIPIENT},{STRANGER}");
        let flags: Vec<&str> =
            flags.iter().map(|flag| if *flag == "BOTH" { &both[..] } else { *flag }).collect();
        let test = repository(at_first, "a.yaml", plain, &flags);
        set_rule(&test, now);
        let case = format!("{at_first:?} {flags:?} {now:?} {path}");
        let output = set(&test, "a.yaml", path).run();
        assert_eq!(output.status, 0, "set: {case}: {output}");
        let editor = test.editor("sed -i s/planted-new/edited/ \"$1\"");
        let output = test.sealant(&["edit", "a.yaml"]).env("EDITOR", editor).run();
        assert_eq!(output.status, 0, "edit: {case}: {output}");
        let output = test.sealant(&["unset", "a.yaml", path]).run();
        assert_eq!(output.status, 0, "unset: {case}: {output}");
        let rm = ["rotate", "-i", "--rm-age", STRANGER, "a.yaml"];
        let output = test.sealant(&rm).run();
        assert_eq!(output.status, 0, "rotate: {case}: {output}");
        let output = test.sealant(&["updatekeys", "--yes", "a.yaml"]).run();
        assert_eq!(output.status, 0, "updatekeys: {case}: {output}");
        let output = test.sealant(&["check", "--verify", "a.yaml"]).run();
        assert!(!output.text().contains("[broken]"), "check: {case}: {output}");
        assert!(!now.is_empty() || !output.text().contains("settings]"), "check: {case}: {output}");
    }
}

/// Where no rule says what is secret, the settings of a file are what somebody wrote into it, and names tell.
#[test]
fn what_a_forged_selection_leaves_in_plaintext_is_told_by_its_name() {
    let plain = "db:\n    host: h\n    password: planted\nreplicas: 3\ntokens: [a]\n";
    for forged in [
        "encrypted_regex: ^nothing$",
        "unencrypted_regex: .",
        "encrypted_suffix: _x",
        "encrypted_comment_regex: x",
    ] {
        for rule in [Some(""), None] {
            let test = repository("", "a.yaml", plain, &[]);
            if rule.is_none() {
                std::fs::remove_file(test.path(".sops.yaml")).expect("a config");
            }
            test.sealant(&["check", "a.yaml"]).run().ok();
            let text = test.read_text("a.yaml").replace("unencrypted_suffix: _unencrypted", forged);
            let (_, metadata) = text.split_once("sops:").expect("metadata");
            test.write("a.yaml", format!("{plain}sops:{metadata}"));
            let output = test.sealant(&["check", "a.yaml"]).run().code(1);
            let expected = format!(
                "a.yaml:3: its own `{forged}` leaves these in plaintext, and no rule does: db.password [own-settings]"
            );
            assert!(output.text().contains(&expected), "{forged}: {output}");
            assert!(!output.text().contains("planted") && !output.text().contains("host"), "{output}");
            test.write("a.yaml", test.read_text("a.yaml").replace("planted", "\"${PASSWORD}\""));
            let output = test.sealant(&["check", "a.yaml"]).run();
            assert!(!output.text().contains("[own-settings]"), "{output}");
        }
    }
}

/// A password need be no text, nor right below its name.
#[test]
fn what_a_forged_selection_leaves_in_plaintext_is_told_whatever_it_looks_like() {
    for (plain, told) in [
        ("password: 123456\n", Some("password")),
        ("apiKey: 1.5\n", Some("apiKey")),
        ("password: {value: planted}\n", Some("password.value")),
        ("db_password:\n    - value: 12\n", Some("db_password[0].value")),
        ("token:\n    data:\n        text: planted\n", Some("token.data.text")),
        ("# note\npassword: planted\n", Some("password")),
        ("password: {main: planted}\n", Some("password.main")),
        ("GITHUB_TOKEN: planted\n", Some("GITHUB_TOKEN")),
        ("dbPwd: planted\n", Some("dbPwd")),
        ("secret_key: planted\n", Some("secret_key")),
        ("ssh_key: planted\n", Some("ssh_key")),
        ("ssh_key: ssh-ed25519 AAAAC3Nz planted\n", None),
        ("existingSecret: planted\npasswordRef: {name: planted}\ntoken_url: planted\n", None),
        ("password: true\n", None),
        ("password: {minLength: 8, policy: strict}\n", None),
        ("value: planted\n", None),
    ] {
        let by_comment = plain.starts_with('#').then_some("unencrypted_comment_regex: note");
        for forged in
            ["encrypted_regex: ^nothing$", "encrypted_comment_regex: x"].into_iter().chain(by_comment)
        {
            let test = repository("", "a.yaml", plain, &[]);
            let text = test.read_text("a.yaml").replace("unencrypted_suffix: _unencrypted", forged);
            let (_, metadata) = text.split_once("sops:").expect("metadata");
            test.write("a.yaml", format!("{plain}sops:{metadata}"));
            let output = test.sealant(&["check", "a.yaml"]).run();
            let found = output.text().lines().find(|line| line.ends_with("[own-settings]"));
            let says = |path: &str| {
                found.is_some_and(|line| line.ends_with(&format!("no rule does: {path} [own-settings]")))
            };
            assert!(told.map_or(found.is_none(), says), "{forged}: {plain}: {output}");
        }
    }
}

#[test]
fn updatekeys_mends_the_selection_only_when_asked_and_shows_what_it_encrypts() {
    let rule = "    unencrypted_suffix: _unencrypted\n";
    let test = repository(
        "",
        "a.yaml",
        "password: x\nhost: h # where\nl: [1]\n",
        &["--encrypted-regex", "^password$"],
    );
    set_rule(&test, rule);
    let before = test.read_text("a.yaml");
    let output = test.sealant(&["updatekeys", "--yes", "a.yaml"]).run().ok();
    assert!(output.stderr.contains("`sealant updatekeys --settings a.yaml`"), "{output}");
    assert!(output.stderr.contains("already up to date"), "{output}");
    assert_eq!(test.read_text("a.yaml"), before);

    let output = test.sealant(&["updatekeys", "--settings", "--dry-run", "a.yaml"]).run().ok();
    assert!(output.text().starts_with(
        "a.yaml\n  unencrypted_suffix: _unencrypted instead of encrypted_regex: ^password$\n    encrypts the comment on line 2\n"
    ), "{output}");
    assert!(output.text().contains("    encrypts host\n    encrypts l[0]\n"), "{output}");
    let output = test.sealant(&["updatekeys", "--settings", "a.yaml"]).run();
    assert!(output.status != 0 && output.stderr.contains("--yes"), "{output}");
    assert_eq!(test.read_text("a.yaml"), before);
    test.sealant(&["updatekeys", "--settings", "--yes", "a.yaml"]).run().ok();
    let after = test.read_text("a.yaml");
    assert_eq!(after.lines().next(), before.lines().next(), "what was encrypted keeps its ciphertext");
    assert!(after.contains("\nhost: ENC[") && after.contains("unencrypted_suffix: _unencrypted"), "{after}");
    assert!(!after.contains("encrypted_regex"), "{after}");
    assert_eq!(decrypted(&test, "a.yaml"), "password: x\nhost: h # where\nl: [1]\n");
    test.sealant(&["check", "--verify", "a.yaml"]).run().ok();
    let output = test.sealant(&["updatekeys", "--settings", "--yes", "a.yaml"]).run().ok();
    assert_eq!(output.stderr, "note: a.yaml: already up to date\n");

    // And together with a new data key.
    let test = repository("", "a.yaml", "password: x\nhost: h\n", &["--encrypted-regex", "^password$"]);
    set_rule(&test, rule);
    test.sealant(&["updatekeys", "--settings", "--rotate", "--yes", "a.yaml"]).run().ok();
    assert!(test.read_text("a.yaml").contains("\nhost: ENC["));
    assert_eq!(decrypted(&test, "a.yaml"), "password: x\nhost: h\n");
}

#[test]
fn no_rule_turns_an_encrypted_value_into_plaintext() {
    let test = repository("", "a.yaml", PLAIN, &[]);
    let before = test.read_text("a.yaml");
    for rule in [
        "    encrypted_regex: ^nothing$\n",
        "    unencrypted_regex: ^password$\n",
        "    encrypted_comment_regex: x\n",
    ] {
        set_rule(&test, rule);
        let output = test.sealant(&["updatekeys", "--settings", "--yes", "a.yaml"]).run().code(8);
        assert!(output.stderr.contains("password"), "{output}");
        assert!(output.stderr.contains("sealant decrypt -i"), "{output}");
        test.sealant(&["updatekeys", "--yes", "a.yaml"]).run().ok();
        assert_eq!(test.read_text("a.yaml"), before);
    }
}

#[test]
fn check_reports_settings_that_hide_less_than_the_rule() {
    let test = repository("", "a.yaml", "password: x\nhost: h\n", &["--encrypted-regex", "^password$"]);
    test.sealant(&["check", "a.yaml"]).run().ok();
    set_rule(&test, "    unencrypted_suffix: _unencrypted\n");
    let output = test.sealant(&["check", "a.yaml"]).run().code(1);
    let settings = "encrypts by `encrypted_regex: ^password$`, but .sops.yaml:2 says `unencrypted_suffix: \
                    _unencrypted`: which leaves a value in plaintext [settings]";
    assert!(output.text().contains(settings), "{output}");
    assert!(output.stderr.contains("  sealant updatekeys --settings a.yaml\n"), "{output}");
}

#[test]
fn a_threshold_that_was_lowered_is_seen() {
    let test = at_home();
    let groups = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{RECIPIENT}]\n      - age: [{RECIPIENT}]\n"
    );
    test.write(".sops.yaml", groups);
    test.write("a.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "a.yaml"]).run().ok();
    let before = test.read_text("a.yaml");
    forge(&test, "a.yaml", "shamir_threshold: 2", "shamir_threshold: 1");
    let output = set(&test, "a.yaml", "[\"token\"]").run().code(8);
    assert!(
        output.stderr.contains("1 of 2 groups") && output.stderr.contains("updatekeys --rotate a.yaml"),
        "{output}"
    );
    let output = test.sealant(&["updatekeys", "--yes", "a.yaml"]).run().ok();
    assert_eq!(output.text(), "a.yaml\n  keys from 2 of 2 groups are needed, instead of 1 of 2\n");
    assert_eq!(test.read_text("a.yaml"), before);
}

#[test]
fn by_the_name_sops_it_is_a_warning() {
    let test = repository("    unencrypted_suffix: _unencrypted\n", "a.yaml", PLAIN, &[]);
    forge(&test, "a.yaml", "unencrypted_suffix: _unencrypted", "encrypted_regex: ^(password|user)$");
    let output = test.sealant(&["sops", "set", "a.yaml", "[\"token\"]", "\"x\""]).run().ok();
    assert!(output.stderr.contains("warning: a.yaml: token would be in plaintext"), "{output}");
    assert!(test.read_text("a.yaml").contains("\ntoken: x\n"));
}

/// Adds a line to the end of an editor's file.
fn appended(test: &Sandbox, lines: &str) -> Output {
    let editor = test.editor(&format!("printf '{lines}' >> \"$1\""));
    test.sealant(&["edit", "a.yaml"]).env("EDITOR", editor).run()
}

#[test]
fn a_forged_comment_puts_no_new_value_in_plaintext() {
    let rule = "    unencrypted_comment_regex: public\n";
    for (file, plain, metadata) in [("a.yaml", PLAIN, "sops:\n"), ("a.env", "password=x\n", "sops_")] {
        let test = repository(rule, file, plain, &[]);
        // What is empty is in plaintext anywhere, and under no MAC either.
        let empty = if file == "a.env" { "token=" } else { "token: ''" };
        forge(&test, file, metadata, &format!("# public\n{empty}\n{metadata}"));
        test.sealant(&["check", "--verify", file]).run().ok();
        let before = test.read_text(file);
        let output = set(&test, file, "[\"token\"]").run().code(8);
        assert!(
            output.stderr.contains("token would be in plaintext by `unencrypted_comment_regex"),
            "{output}"
        );
        assert_eq!(test.read_text(file), before);
        set(&test, file, "[\"token\"]").args(&["--plaintext"]).run().ok();
        assert!(test.read_text(file).contains("planted-new"));
        // What is in plaintext already can be changed there, and it is told.
        let output = set(&test, file, "[\"token\"]").run().ok();
        assert!(output.stderr.is_empty() || output.stderr.contains("in plaintext"), "{output}");
    }
    let test = repository(rule, "a.yaml", PLAIN, &[]);
    forge(&test, "a.yaml", "sops:\n", "# public\nsops:\n");
    let before = test.read_text("a.yaml");
    appended(&test, "token: planted-new\\n").code(8);
    assert_eq!(test.read_text("a.yaml"), before);
    // One's own comment is one's own.
    appended(&test, "user2: planted-secret\\n# is public\\nport: 1\\n").code(8);
    forge(&test, "a.yaml", "# public\n", "");
    appended(&test, "token: planted-new\\n# is public\\nport: 1\\n").ok();
    let after = test.read_text("a.yaml");
    assert!(after.contains("token: ENC[") && after.contains("# is public\nport: 1\n"), "{after}");
    let editor = test.editor("printf 'host: h\\n' >> \"$1\"");
    test.sealant(&["edit", "--plaintext", "a.yaml"]).env("EDITOR", editor).run().ok();

    // Where comments say what is encrypted, a value without one is in plaintext only if it is asked for.
    let test = repository("    encrypted_comment_regex: secret\n", "a.yaml", "# secret\na: x\nb: y\n", &[]);
    set(&test, "a.yaml", "[\"token\"]").run().code(8);
    set(&test, "a.yaml", "[\"a\"]").run().ok();
    let output = set(&test, "a.yaml", "[\"b\"]").run().ok();
    assert!(output.stderr.contains("in plaintext, as the file's"), "{output}");
    set(&test, "a.yaml", "[\"token\"]").args(&["--plaintext"]).run().ok();
    let output = appended(&test, "c: d\\n").ok();
    assert!(output.stderr.contains("in plaintext, as the file's"), "{output}");
    // sops knows nothing of it.
    test.sealant(&["sops", "set", "a.yaml", "[\"more\"]", "\"x\""]).run().ok();
    assert!(test.read_text("a.yaml").contains("more: x\n"));
}

/// A repository with a SealedSecret, and what was in it.
fn sealed(rule: &str) -> Sandbox {
    let test = at_home();
    set_rule(&test, rule);
    test.write(
        "plain.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {password: old}\n",
    );
    std::fs::create_dir(test.path("apps")).expect("a folder");
    test.sealant(&["seal", "plain.yaml", "--output", "apps/db.yaml"]).run().ok();
    test
}

const MOVES: [(&str, &str); 3] =
    [("namespace: shop", "namespace: evil"), ("name: db", "name: mine"), ("scope: strict", "scope: cluster")];

fn blind(test: &Sandbox) -> Run {
    test.sealant(&["set", "--value-stdin", "apps/db.yaml", "token"]).stdin("planted-new")
}

#[test]
fn nothing_is_sealed_for_a_place_that_somebody_wrote_into_the_file() {
    for (from, to) in MOVES {
        let test = sealed("");
        forge(&test, "apps/db.yaml", from, to);
        let moved = test.read_text("apps/db.yaml");
        let output = blind(&test).run().code(8);
        assert!(output.stderr.contains("its item `password` does not open as sealed for"), "{output}");
        test.write(
            "more.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {b: planted}\n",
        );
        test.sealant(&["seal", "--merge-into", "apps/db.yaml", "more.yaml"]).run().code(8);
        test.sealant(&["seal", "--merge-into", "apps/db.yaml", "--from-file", "b=more.yaml"]).run().code(8);
        let run =
            test.sealant(&["seal", "--onto", "apps/db.yaml", "--output", "apps/db.yaml", "more.yaml"]).run();
        assert_ne!(run.status, 0, "{run}");
        assert_eq!(test.read_text("apps/db.yaml"), moved);
    }
}

#[test]
fn without_an_identity_flags_and_rules_say_the_place() {
    for (from, to) in MOVES {
        let test = sealed("");
        std::fs::remove_file(test.home(KEYS_TXT)).expect("the identity to go");
        let place = ["--namespace", "shop", "--name", "db", "--scope", "strict"];
        let output = blind(&test).args(&place).run().ok();
        assert!(output.stderr.contains("apps/db.yaml: sealed for shop/db, strict"), "{output}");
        forge(&test, "apps/db.yaml", from, to);
        blind(&test).args(&place).run().code(8);
        set_rule(&test, "    sealant: {scope: strict, namespace: shop, name: db}\n");
        let output = blind(&test).run().code(8);
        assert!(output.stderr.contains(".sops.yaml:2"), "{output}");
        let output = test.sealant(&["check", "apps/db.yaml"]).run().code(1);
        assert!(output.text().trim_end().ends_with("[binding]"), "{output}");
        test.sealant(&["unset", "apps/db.yaml", "token"]).run().ok();
    }
}

/// The command that an advice gives.
fn advised(output: &Output) -> Vec<String> {
    let (_, after) = output.stderr.split_once("say so: `sealant ").expect("an advice with a command");
    let (command, _) = after.split_once('`').expect("its end");
    shlex::split(command).expect("a command of a shell")
}

#[test]
fn nothing_is_sealed_for_a_place_that_only_the_file_names() {
    let secret =
        |place: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{{place}}}\nstringData: {{b: x}}\n");
    for (scope, asserted) in [
        ("strict", vec!["--namespace", "shop", "--name", "db"]),
        ("namespace", vec!["--namespace", "shop"]),
        ("cluster", vec!["--scope", "cluster"]),
    ] {
        let test = sealed("");
        test.sealant(&["seal", "plain.yaml", "--output", "apps/db.yaml", "--scope", scope]).run().ok();
        test.write("more.yaml", secret("name: db"));
        let merge = ["seal", "--merge-into", "apps/db.yaml", "more.yaml"];
        let before = test.read_text("apps/db.yaml");
        // Those that are there open it.
        blind(&test).run().ok();
        test.write("apps/db.yaml", &before);
        // The reader was taken out, as by who puts in a data key of their own and items for another place.
        std::fs::remove_file(test.home(KEYS_TXT)).expect("the identity to go");
        for run in [blind(&test), blind(&test).args(&["-q"]), test.sealant(&merge)] {
            let output = run.run().code(8);
            assert!(output.stderr.contains("only the file itself says that it belongs to"), "{output}");
            assert_eq!(test.read_text("apps/db.yaml"), before);
            let command = advised(&output);
            assert!(command.windows(asserted.len()).any(|words| words == asserted), "{command:?}");
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            test.sealant(&command).stdin("new").run().ok();
            assert_ne!(test.read_text("apps/db.yaml"), before);
            test.write("apps/db.yaml", &before);
        }
        // A part of it is not enough where it lets the values be opened elsewhere.
        blind(&test).args(&["--name", "db"]).run().code(8);
        if scope != "cluster" {
            blind(&test).args(&["--scope", scope]).run().code(8);
            blind(&test).args(&["--namespace", "shop"]).run().ok();
            set_rule(&test, "    sealant: {namespace: shop}\n");
        } else {
            set_rule(&test, "    sealant: {scope: cluster}\n");
        }
        blind(&test).run().ok();
    }
    // A Secret that says for what namespace it is says it, too.
    let test = sealed("");
    std::fs::remove_file(test.home(KEYS_TXT)).expect("the identity to go");
    test.write("more.yaml", secret("name: db, namespace: shop"));
    let merge = ["seal", "--merge-into", "apps/db.yaml", "more.yaml"];
    test.sealant(&merge).run().ok();
    forge(&test, "apps/db.yaml", MOVES[2].0, MOVES[2].1);
    test.sealant(&merge).run().code(8);
}

#[test]
fn of_two_sealed_secrets_of_one_name_none_is_guessed() {
    let test = sealed("");
    let ours = test.read_text("apps/db.yaml");
    // Somebody's own, for our identity, before ours.
    test.write("plain.yaml", test.read_text("plain.yaml").replace("shop", "evil"));
    test.sealant(&["seal", "plain.yaml", "--output", "apps/db.yaml"]).run().ok();
    let both = format!("{}---\n{ours}", test.read_text("apps/db.yaml"));
    test.write("apps/db.yaml", &both);
    test.write("more.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {b: x}\n");
    for args in [
        &["seal", "--merge-into", "apps/db.yaml", "more.yaml"][..],
        &["seal", "--merge-into", "apps/db.yaml", "--name", "db", "--from-file", "b=more.yaml"],
        &["seal", "--onto", "apps/db.yaml", "--output", "apps/db.yaml", "more.yaml"],
    ] {
        let output = test.sealant(args).run().code(8);
        assert!(output.stderr.contains("no namespace says which one to use"), "{output}");
        assert_eq!(test.read_text("apps/db.yaml"), both);
    }
    // One that has the item, beside ours which has not.
    test.sealant(&["set", "--value-stdin", "apps/db.yaml", "evil/db/token"]).stdin("x").run().ok();
    let output = blind(&test).run().code(91);
    assert!(output.stderr.contains("does not say which one"), "{output}");
    let args = ["seal", "--merge-into", "apps/db.yaml", "--namespace", "shop", "more.yaml"];
    let output = test.sealant(&args).run().ok();
    assert!(output.stderr.contains("sealed for shop/db"), "{output}");
}

#[test]
fn an_empty_sealed_secret_does_not_say_where_it_belongs() {
    let test = sealed("");
    test.sealant(&["unset", "apps/db.yaml", "password"]).run().ok();
    forge(&test, "apps/db.yaml", MOVES[2].0, MOVES[2].1);
    let before = test.read_text("apps/db.yaml");
    blind(&test).run().code(8);
    let editor = test.editor(r#"sed -i 's/^stringData:.*/stringData: {token: planted-new}/' "$1""#);
    let output = test.sealant(&["edit", "apps/db.yaml"]).env("EDITOR", editor).run().code(8);
    assert!(output.stderr.contains("only the file itself says that it belongs to any namespace"), "{output}");
    test.write(
        "more.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {b: x}\n",
    );
    let onto = ["seal", "--onto", "apps/db.yaml", "--output", "apps/db.yaml", "more.yaml"];
    test.sealant(&onto).run().code(8);
    assert_eq!(test.read_text("apps/db.yaml"), before);
}

#[test]
fn a_data_key_that_nobody_here_opens_leaves_the_place_unknown() {
    let test = sealed("");
    test.sealant(&["seal", "--age", STRANGER, "plain.yaml", "--output", "apps/db.yaml"]).run().ok();
    // An item of the mover's own opens there.
    test.sealant(&[
        "seal",
        "--merge-into",
        "apps/db.yaml",
        "--from-file",
        "a=plain.yaml",
        "--namespace",
        "shop",
        "--age",
        RECIPIENT,
    ])
    .run()
    .ok();
    blind(&test).run().code(8);
}

#[test]
fn an_item_that_the_mover_has_added_does_not_hide_the_move() {
    let test = sealed("");
    forge(&test, "apps/db.yaml", MOVES[1].0, MOVES[1].1);
    std::fs::remove_file(test.home(KEYS_TXT)).expect("the identity to go");
    // By a name that comes before, under a data key of their own.
    test.sealant(&["set", "--value-stdin", "--namespace", "shop", "apps/db.yaml", "a"]).stdin("x").run().ok();
    test.write(test.home(KEYS_TXT), IDENTITY);
    blind(&test).run().code(8);
}

#[test]
fn a_secret_of_another_name_or_namespace_is_not_merged() {
    let test = sealed("");
    let secret =
        |place: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{{place}}}\nstringData: {{b: x}}\n");
    for (place, says) in
        [("name: other", "the Secret's is `other`"), ("name: db, namespace: else", "the Secret's is `else`")]
    {
        test.write("more.yaml", secret(place));
        let output = test.sealant(&["seal", "--merge-into", "apps/db.yaml", "more.yaml"]).run().code(8);
        assert!(output.stderr.contains(says), "{output}");
    }
    test.write("more.yaml", secret("name: db"));
    let output = test.sealant(&["seal", "--merge-into", "apps/db.yaml", "more.yaml"]).run().ok();
    assert!(output.stderr.contains("sealed for shop/db, strict"), "{output}");
    encrypted(&test, "doc.yaml", "a: 1\n", &[RECIPIENT]);
    let output = test.sealant(&["set", "doc.yaml", "[\"a\"]", "2", "--namespace", "shop"]).run().code(8);
    assert!(output.stderr.contains("are for SealedSecrets"), "{output}");
}

#[test]
fn a_new_sealed_secret_is_for_the_place_of_its_rule_too() {
    let test = sealed("    sealant: {namespace: shop}\n");
    let plain = test.read_text("plain.yaml");
    let elsewhere = plain.replace("namespace: shop", "namespace: evil");
    for (plain, flags) in [(plain, &["--scope", "cluster"][..]), (elsewhere, &[])] {
        test.write("plain.yaml", plain);
        let output = test.sealant(&["seal", "plain.yaml", "--output", "new.yaml"]).args(flags).run().code(8);
        assert!(output.stderr.contains("the SealedSecret says"), "{output}");
        assert!(!test.path("new.yaml").exists());
    }
}
