use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, STRANGER, at_home, encrypted, identity, sandbox, shown};

const PLAIN: &str = "# note\na: 1.10\n\nb: [x, \"y\"]   # end\n";

fn rule(test: &Sandbox, recipients: &[&str]) {
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {}\n", recipients.join(",")));
}

/// Lines of `after` that are not in `before`, and the other way round.
fn changed(before: &str, after: &str) -> (usize, usize) {
    let only = |a: &str, b: &str| a.lines().filter(|line| !b.lines().any(|other| other == *line)).count();
    (only(before, after), only(after, before))
}

#[test]
fn what_stays_stays_byte_for_byte() {
    let test = at_home();
    let newcomer = identity(&test, "newcomer.txt");
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT, STRANGER]);
    rule(&test, &[RECIPIENT, STRANGER, &newcomer]);
    let before = test.read_text("a.yaml");
    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().ok();
    assert_eq!(output.text(), format!("a.yaml\n  + {newcomer}\n"));
    let after = test.read_text("a.yaml");
    assert_eq!(changed(&before, &after).0, 0, "no line went:\n{after}");
    let output = test.sealant(&["decrypt", "--identity", "newcomer.txt", "a.yaml"]).run().ok();
    assert_eq!(output.text(), PLAIN);

    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().ok();
    assert_eq!((output.text(), output.stderr.as_str()), ("", "note: a.yaml: already up to date\n"));
    assert_eq!(test.read_text("a.yaml"), after);

    test.write("b.yaml", &after);
    let output = test.sealant(&["updatekeys", "-y", "a.yaml", "b.yaml"]).run().ok();
    assert_eq!(output.stderr, "note: 2 files: already up to date\n");
}

#[test]
fn a_newcomer_is_named_by_the_config_alone() {
    let test = at_home();
    let nina = identity(&test, "nina.txt");
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    rule(&test, &[RECIPIENT]);
    let add = |who: &str| test.sealant(&["updatekeys", "--yes", "--add", who, "a.yaml"]).run();
    let unknown = add("Nina");
    assert!(
        unknown.status != 0 && unknown.stderr.contains("`Nina` is neither a key nor a name"),
        "{unknown}"
    );
    assert!(unknown.stderr.contains("`git switch BRANCH`"), "{unknown}");
    let unnamed = add(&nina).code(8);
    assert!(unnamed.stderr.contains("`git switch BRANCH`"), "{unnamed}");
    assert!(!test.read_text("a.yaml").contains(&nina));
    // A name for a key that the rule does not name lets nobody in.
    let names = format!("sealant:\n  recipients:\n    {nina}: Nina\n");
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n{names}"));
    add("Nina").code(8);
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{nina}\n{names}"));
    let added = add("Nina").ok();
    assert_eq!(added.text(), format!("a.yaml\n  + {nina} (Nina)\n"));
    let alone = test.sealant(&["updatekeys"]).run().code(64);
    assert!(alone.stderr.contains("`sealant updatekeys .`") && !alone.stderr.contains("pipe"), "{alone}");
}

#[test]
fn who_is_removed_is_warned_about_and_with_rotate_shut_out() {
    let test = at_home();
    let leaver = identity(&test, "leaver.txt");
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT, &leaver]);
    rule(&test, &[RECIPIENT]);
    let before = test.read_text("a.yaml");
    let output = test.sealant(&["updatekeys", "--dry-run", "a.yaml"]).run().ok();
    assert_eq!(output.text(), format!("a.yaml\n  - {leaver}\n"));
    assert_eq!(test.read_text("a.yaml"), before);
    let output = test.sealant(&["updatekeys", "--dry-run", "--rotate", "a.yaml"]).run().ok();
    assert_eq!(output.text(), format!("a.yaml\n  - {leaver}\n  a new data key\n"));
    let output = test.sealant(&["updatekeys", "--yes", "a.yaml"]).run().ok();
    assert!(output.stderr.starts_with("warning: people who are removed can still decrypt"), "{output}");
    let token = |text: &str| text.lines().nth(1).unwrap_or_default().to_owned();
    assert_eq!(token(&test.read_text("a.yaml")), token(&before));

    let output = test.sealant(&["updatekeys", "--yes", "--rotate", "a.yaml"]).run().ok();
    assert_eq!((output.text(), output.stderr.as_str()), ("a.yaml\n  a new data key\n", "1 file updated\n"));
    assert_ne!(token(&test.read_text("a.yaml")), token(&before));
    assert_eq!(test.sealant(&["decrypt", "a.yaml"]).run().ok().text(), PLAIN);
}

#[test]
fn groups_and_threshold_come_from_the_rule_and_shares_stay() {
    let test = at_home();
    let [b, c, d] = ["b.txt", "c.txt", "d.txt"].map(|file| identity(&test, file));
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    let groups = |third: &str| {
        let config = format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{RECIPIENT}]\n      \
             - age: [{b}]\n      - age: [{third}]\n"
        );
        test.write(".sops.yaml", config);
    };
    groups(&c);
    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().ok();
    assert_eq!(
        output.text(),
        format!(
            "a.yaml\n  keys from 2 of 3 groups are needed, instead of 1 of 1\n  group 2\n    + {b}\n  group 3\n    + {c}\n"
        )
    );
    let opens = |identities: &[&str], code| {
        let mut run = test.sealant(&["decrypt", "a.yaml"]).env("HOME", "/").env("XDG_CONFIG_HOME", "/");
        for identity in identities {
            run = run.arg("--identity").arg(identity);
        }
        let output = run.run().code(code);
        assert!(code != 0 || output.text() == PLAIN, "{output}");
    };
    test.write("own.txt", IDENTITY);
    opens(&["own.txt"], 128);
    for pair in [["own.txt", "b.txt"], ["own.txt", "c.txt"], ["b.txt", "c.txt"]] {
        opens(&pair, 0);
    }

    // Nobody of the third group is here, and yet its share can be wrapped for a new one of it.
    groups(&format!("{c}, {d}"));
    let before = test.read_text("a.yaml");
    test.sealant(&["updatekeys", "-y", "--identity", "b.txt", "a.yaml"]).run().ok();
    assert_eq!(changed(&before, &test.read_text("a.yaml")).0, 0);
    for pair in [["own.txt", "d.txt"], ["b.txt", "d.txt"], ["b.txt", "c.txt"]] {
        opens(&pair, 0);
    }
    opens(&["c.txt", "d.txt"], 128);
}

#[test]
fn without_a_terminal_it_wants_to_be_told() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    rule(&test, &[RECIPIENT, STRANGER]);
    let before = test.read("a.yaml");
    let output = test.sealant(&["updatekeys", "a.yaml"]).run().code(1);
    assert!(output.stderr.contains("Add --yes to go on without being asked"), "{output}");
    assert_eq!(test.read("a.yaml"), before);
}

#[test]
fn it_asks_once_for_all_files() {
    let test = at_home();
    for file in ["d/a.yaml", "d/b.yaml"] {
        encrypted(&test, file, PLAIN, &[RECIPIENT]);
    }
    rule(&test, &[RECIPIENT, STRANGER]);
    let before = test.read("d/a.yaml");
    let mut terminal = test.sealant(&["updatekeys", "d"]).on_terminal();
    terminal.wait_for("Change these 2 files? [y/N] ");
    terminal.send_line("n");
    terminal.wait_for("cancelled: nothing was changed");
    terminal.finish().code(1);
    assert_eq!(test.read("d/a.yaml"), before);
    let mut terminal = test.sealant(&["updatekeys", "d"]).on_terminal();
    terminal.wait_for("Change these 2 files? [y/N] ");
    terminal.send_line("y");
    terminal.wait_for("2 files updated");
    terminal.finish().ok();
    assert!(test.read_text("d/a.yaml").contains(STRANGER) && test.read_text("d/b.yaml").contains(STRANGER));
}

#[test]
fn foreign_keys_stay_and_new_ones_are_refused() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    let entry = "    pgp:\n        - fp: 85D77543\n          created_at: \"2026-01-01T00:00:00Z\"\n          enc: |-\n            \
                 -----BEGIN PGP MESSAGE-----\n          odd: 1\n";
    let with_pgp = test
        .read_text("a.yaml")
        .replace("    unencrypted_suffix:", &format!("{entry}    unencrypted_suffix:"));
    test.write("a.yaml", &with_pgp);
    test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n    pgp: 85D77543\n"),
    );
    test.sealant(&["updatekeys", "-y", "a.yaml"]).run().ok();
    assert_eq!(changed(&with_pgp, &test.read_text("a.yaml")).0, 0);

    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n    pgp: 85D77543,FFFF\n"));
    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().code(1);
    assert!(output.stderr.contains("the data key cannot be wrapped for pgp FFFF"), "{output}");
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n    pgp: 85D77543\n"));
    test.sealant(&["updatekeys", "-y", "--rotate", "a.yaml"]).run().code(1);
    rule(&test, &[RECIPIENT]);
    test.sealant(&["updatekeys", "-y", "a.yaml"]).run().ok();
    assert!(!test.read_text("a.yaml").contains("pgp"));
}

#[test]
fn without_an_identity_it_says_which_and_other_files_go_on() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[STRANGER]);
    encrypted(&test, "b.yaml", PLAIN, &[RECIPIENT]);
    rule(&test, &[RECIPIENT, STRANGER]);
    let output = test.sealant(&["updatekeys", "-y", "a.yaml", "b.yaml"]).run().code(128);
    assert!(output.stderr.contains("error: a.yaml: no identity opens the data key"), "{output}");
    assert!(output.stderr.contains(".config/sops/age/keys.txt"), "{output}");
    assert!(test.read_text("b.yaml").contains(STRANGER));
}

#[test]
fn a_data_key_that_is_not_the_files_is_not_handed_on() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    encrypted(&test, "b.yaml", PLAIN, &[RECIPIENT]);
    let enc = |text: &str| {
        let from = text.find("-----BEGIN").unwrap_or_default();
        text[from..text.find("-----END").unwrap_or_default()].to_owned()
    };
    let (a, b) = (test.read_text("a.yaml"), test.read_text("b.yaml"));
    test.write("a.yaml", a.replace(&enc(&a), &enc(&b)));
    rule(&test, &[RECIPIENT, STRANGER]);
    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().code(51);
    assert!(output.stderr.contains("a: the ciphertext cannot be decrypted"), "{output}");
}

/// The block of metadata of an encrypted YAML file.
fn block(text: &str) -> &str {
    &text[text.find("\nsops:\n").expect("metadata") + 1..]
}

#[test]
fn nobody_comes_into_a_file_that_does_not_verify_and_whoever_goes_goes() {
    let test = at_home();
    encrypted(&test, "prod.yaml", "password: prod-secret\nuser: admin\n", &[RECIPIENT, STRANGER]);
    let prod = test.read_text("prod.yaml");
    let newcomer = identity(&test, "newcomer.txt");
    let user = prod.lines().find(|line| line.starts_with("user:")).expect("a value");
    let without_mac: String =
        block(&prod).split_inclusive('\n').filter(|line| !line.starts_with("    mac:")).collect();
    let forged = [
        ("block.yaml", format!("harmless_unencrypted: 1\n{}", block(&prod)), "MAC mismatch"),
        ("no-mac.yaml", format!("harmless_unencrypted: 1\n{without_mac}"), "the file has no MAC"),
        ("no-mac-at-all.yaml", prod.replace(block(&prod), &without_mac), "the file has no MAC"),
        ("shortened.yaml", prod.replace(&format!("{user}\n"), ""), "MAC mismatch"),
        ("moved.yaml", prod.replace("user:", "name:"), "name: the ciphertext cannot be decrypted"),
        ("in-plaintext.yaml", prod.replace(user, "user: ''"), "MAC mismatch"),
    ];
    for (file, text, why) in &forged {
        test.write(file, text);
        rule(&test, &[RECIPIENT, STRANGER, &newcomer]);
        for args in [&["updatekeys", "--yes", file][..], &["updatekeys", "--rotate", "--yes", file]] {
            let output = test.sealant(args).run();
            assert!(matches!(output.status, 25 | 51), "{file}: {output}");
            assert!(output.stderr.contains(why), "{file}: {output}");
            assert_eq!(&test.read_text(file), text);
        }
        let output = test.sealant(&["updatekeys", "--yes", file]).called_as("sops").run().ok();
        assert!(output.stderr.contains("it is not what was encrypted: "), "as sops does, but told: {output}");
        assert!(test.read_text(file).contains(&newcomer));

        test.write(file, text);
        rule(&test, &[RECIPIENT]);
        test.sealant(&["updatekeys", "--yes", file]).run().ok();
        assert!(!test.read_text(file).contains(STRANGER), "{file}");
    }
}

#[test]
fn there_has_to_be_a_rule() {
    let test = sandbox();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().code(61);
    assert!(output.stderr.contains("there is no config"), "{output}");
    assert!(output.stderr.contains("Run `sealant init` to make a config"), "{output}");
    test.write(".sops.yaml", "");
    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().code(61);
    assert!(
        shown(&test, &output.stderr).contains("help: Add a rule to WORK/.sops.yaml, such as"),
        "{output}"
    );
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: x\n    age: {RECIPIENT}\n"));
    let output = test.sealant(&["updatekeys", "-y", "a.yaml"]).run().code(1);
    assert!(output.stderr.contains("no matching creation rules found for `a.yaml`"), "{output}");
}

#[test]
fn files_that_change_alike_are_listed_together() {
    let test = at_home();
    for (file, recipients) in
        [("a.yaml", &[RECIPIENT][..]), ("b.yaml", &[STRANGER]), ("c.yaml", &[RECIPIENT])]
    {
        encrypted(&test, file, PLAIN, recipients);
    }
    rule(&test, &[RECIPIENT, STRANGER]);
    let output = test.sealant(&["updatekeys", "--dry-run", "a.yaml", "b.yaml", "c.yaml"]).run().ok();
    assert_eq!(output.text(), format!("a.yaml\nc.yaml\n  + {STRANGER}\nb.yaml\n  + {RECIPIENT}\n"));
    let output = test.sealant(&["updatekeys", "--dry-run", "--rotate", "a.yaml", "c.yaml"]).run().ok();
    assert_eq!(output.text(), format!("a.yaml\nc.yaml\n  + {STRANGER}\n  a new data key\n"));
}

#[test]
fn programs_read_json() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    rule(&test, &[RECIPIENT]);
    encrypted(&test, "b.yaml", PLAIN, &[STRANGER]);
    let output =
        test.sealant(&["updatekeys", "--dry-run", "--format", "json", "a.yaml", "b.yaml"]).run().ok();
    let expected = format!(
        r#"[
  {{
    "file": "a.yaml",
    "up_to_date": true,
    "groups": []
  }},
  {{
    "file": "b.yaml",
    "up_to_date": false,
    "groups": [
      {{
        "group": 1,
        "added": [
          "{RECIPIENT}"
        ],
        "removed": [
          "{STRANGER}"
        ]
      }}
    ]
  }}
]
"#
    );
    assert_eq!(output.text(), expected);
}

#[test]
fn one_newcomer_is_let_in_and_nobody_else() {
    let test = at_home();
    let (nina, leaver) = (identity(&test, "nina.txt"), identity(&test, "leaver.txt"));
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT, &leaver]);
    rule(&test, &[RECIPIENT, STRANGER, &nina]);
    let output = test.sealant(&["updatekeys", "-y", "--add", &nina, "a.yaml"]).run().ok();
    assert_eq!(output.text(), format!("a.yaml\n  + {nina}\n"));
    let note =
        format!("also differs from its creation rule, and stays unchanged:\n  + {STRANGER}\n  - {leaver}\n");
    assert!(output.stderr.contains(&note), "{output}");
    let file = test.read_text("a.yaml");
    assert!(!file.contains(STRANGER) && file.contains(&leaver), "{file}");
    for identity in ["nina.txt", "leaver.txt"] {
        let output = test.sealant(&["decrypt", "--identity", identity, "a.yaml"]).run().ok();
        assert_eq!(output.text(), PLAIN);
    }
    let output = test.sealant(&["updatekeys", "-y", "--add", &nina, "a.yaml"]).run().ok();
    assert!(output.stderr.contains("already up to date"), "{output}");
    // Whom no rule names comes in by no command.
    rule(&test, &[RECIPIENT]);
    let output = test.sealant(&["updatekeys", "-y", "--add", STRANGER, "a.yaml"]).run().code(8);
    assert!(output.stderr.contains("its creation rule does not name"), "{output}");
    // Nor into what was changed by hand.
    rule(&test, &[RECIPIENT, &leaver, STRANGER]);
    test.write("a.yaml", test.read_text("a.yaml").replace("\nb: [", "\nc: more\nb: ["));
    test.sealant(&["updatekeys", "-y", "--add", STRANGER, "a.yaml"]).run().code(51);
    assert!(!test.read_text("a.yaml").contains(STRANGER));
}

#[test]
fn the_prompt_says_who_comes_in_by_whose_line() {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - age: >-\n      {RECIPIENT},\n      {STRANGER}\n\
             sealant: {{recipients: {{{STRANGER}: Nina}}}}\n"
        ),
    );
    let mut terminal = test.sealant(&["updatekeys", "--add", STRANGER, "a.yaml"]).on_terminal();
    let seen = terminal.wait_for("[y/N] ").replace('\r', "");
    terminal.send_line("n");
    terminal.finish().code(1);
    assert!(seen.contains(&format!("{STRANGER} (Nina) gets access:")), "{seen}");
    assert!(
        seen.contains("named by .sops.yaml:4") && seen.contains("will read 3 values in 1 file"),
        "{seen}"
    );
}

/// A file that was encrypted by flags alone keeps nobody from updating the others.
#[test]
fn a_folder_passes_by_what_no_rule_is_about() {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n"));
    encrypted(&test, "secrets/a.yaml", "a: 1\n", &[RECIPIENT]);
    encrypted(&test, "other.yaml", "a: 1\n", &[RECIPIENT]);
    let before = test.read("other.yaml");
    let output = test.sealant(&["updatekeys", "--yes", "."]).run().ok();
    assert!(
        output.stderr.contains("no creation rule matches these") && output.stderr.contains("  other.yaml\n"),
        "{output}"
    );
    assert_eq!(test.read("other.yaml"), before);
    let named = test.sealant(&["updatekeys", "--yes", "other.yaml"]).run().code(1);
    assert!(
        named.stderr.contains("`mv other.yaml secrets/other.yaml && sealant updatekeys secrets/other.yaml`"),
        "{named}"
    );
}
