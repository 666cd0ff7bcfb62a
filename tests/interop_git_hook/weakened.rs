//! Configs that are changed along with what they are about, and variables that would switch the hook off.

use super::*;

const ID: &str = "[weakened-config]";

fn weakened(output: &sealant_test_support::Output) -> Vec<String> {
    let found = lines(output).into_iter().filter(|line| line.ends_with(ID));
    found.map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

/// With an encrypted file and one in plaintext, both of which the rule covers, and the plaintext not committed.
fn with_secrets() -> Sandbox {
    let test = repository();
    test.write("secrets/a.yaml", "a: hunter2\nb: hunter2\n");
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qm", "a"]).run().ok();
    add(&test, "secrets/b.yaml", "b: hunter2\n");
    test
}

#[test]
fn a_config_that_is_deleted_or_weakened_hides_nothing() {
    let narrower = rule().replace("^secrets/", "^secrets/a");
    let fewer = format!("{}    encrypted_regex: ^a$\n", rule());
    let excluded = format!("{}sealant: {{check: {{exclude: ['secrets/**']}}}}\n", rule());
    for (config, expected) in [
        (None, &["secrets/a.yaml", "secrets/b.yaml"][..]),
        (Some("creation_rules: []\n"), &["secrets/a.yaml", "secrets/b.yaml"]),
        (Some(&narrower), &["secrets/b.yaml"]),
        (Some(&fewer), &["secrets/a.yaml", "secrets/b.yaml"]),
        (Some(&excluded), &["secrets/a.yaml", "secrets/b.yaml"]),
    ] {
        let test = with_secrets();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        match config {
            Some(config) => add(&test, ".sops.yaml", config),
            None => drop(git(&test, &["rm", "-qf", ".sops.yaml"]).run().ok()),
        }
        let output = hook(&test, &[]).run().code(1);
        assert_eq!(weakened(&output), expected, "{config:?} {output}");
        // In CI HEAD has it already.
        git(&test, &["commit", "-qm", "b", "--no-verify"]).run().ok();
        hook(&test, &[]).run().ok();
        let check = program(&test, env!("CARGO_BIN_EXE_sealant"), &["check", "--base", "main"]);
        let output = check.run().code(1);
        assert_eq!(weakened(&output), expected, "{config:?} {output}");
        let range = hook(&test, &[]).env("PRE_COMMIT_FROM_REF", "main").env("PRE_COMMIT_TO_REF", "HEAD");
        assert_eq!(weakened(&range.run().code(1)), expected);
    }
}

#[test]
fn a_config_that_says_as_much_is_no_finding() {
    let test = with_secrets();
    git(&test, &["rm", "-qf", "--cached", "secrets/b.yaml"]).run().ok();
    // A rule is moved into the folder, another comes before it, files move with their rule.
    git(&test, &["rm", "-qf", ".sops.yaml"]).run().ok();
    add(&test, "secrets/.sops.yaml", rule().replace("^secrets/", "yaml$"));
    hook(&test, &[]).run().ok();
    add(&test, ".sops.yaml", rule().replace("^secrets/", "^vault/"));
    git(&test, &["rm", "-qf", "secrets/.sops.yaml"]).run().ok();
    git(&test, &["mv", "secrets", "vault"]).run().ok();
    hook(&test, &[]).run().ok();
}

#[test]
fn variables_of_the_framework_do_not_switch_off_the_hook_of_git() {
    let commit = |test: &Sandbox| {
        let commit = git(test, &["commit", "-qm", "b"]).env("PRE_COMMIT", "1");
        let output = commit.env("PRE_COMMIT_FROM_REF", "HEAD").env("PRE_COMMIT_TO_REF", "HEAD").run();
        assert!(output.status != 0 && output.stderr.contains("secrets/b.yaml:1: "), "{output}");
    };
    let test = with_secrets();
    let install =
        |test: &Sandbox| program(test, env!("CARGO_BIN_EXE_sealant"), &["git", "install"]).run().ok();
    install(&test);
    commit(&test);
    // A hook of somebody's own, and one that an older version has written.
    let new = test.read_text(".git/hooks/pre-commit");
    let new_words = "in plaintext";
    assert!(new.contains(new_words));
    let old: String = new
        .replace(new_words, "in clear")
        .split_inclusive('\n')
        .filter(|line| !line.contains("PRE_COMMIT") && !line.contains("Git has asked"))
        .map(str::to_owned)
        .collect();
    for text in ["#!/bin/sh\nsealant hook pre-commit\n", &old] {
        test.write(".git/hooks/pre-commit", text);
        commit(&test);
    }
    let doctor = program(&test, env!("CARGO_BIN_EXE_sealant"), &["doctor"]).run();
    assert!(doctor.text().contains("of another version"), "{doctor}");
    install(&test);
    assert_eq!(test.read_text(".git/hooks/pre-commit"), new);
    // An old one is taken out, too.
    test.write(".git/hooks/pre-commit", &old);
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["git", "install", "--uninstall"]).run().ok();
    assert!(!test.path(".git/hooks/pre-commit").exists());
}

#[test]
fn a_config_that_git_ignores_is_told() {
    let test = with_secrets();
    test.write("secrets/.sops.yaml", rule());
    test.write(".gitignore", "/secrets/.sops.yaml\n");
    let output = hook(&test, &[]).run().code(1);
    assert!(output.stderr.contains("secrets/.sops.yaml: Git ignores this config"), "{output}");
}

#[test]
fn a_rule_that_names_as_many_others_is_weaker_too() {
    let selecting = |regex: &str| format!("{}    encrypted_regex: {regex}\n", rule());
    for (file, now) in
        [("user: bob\npassword: hunter2\n", "^user$"), ("password: hunter2\nx1: 1\nuser: a\n", "^(user|x1)$")]
    {
        let test = repository();
        add(&test, ".sops.yaml", selecting("^password$"));
        git(&test, &["commit", "-qam", "rules"]).run().ok();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        add(&test, ".sops.yaml", selecting(now));
        test.write("secrets/c.yaml", file);
        program(&test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/c.yaml"]).run().ok();
        git(&test, &["add", "."]).run().ok();
        let output = hook(&test, &[]).run().code(1);
        assert_eq!(weakened(&output), ["secrets/c.yaml"], "{output}");
    }
}

#[test]
fn a_config_behind_a_link_or_one_that_is_named_is_no_weaker_unseen() {
    for is_named in [false, true] {
        let test = repository();
        git(&test, &["rm", "-qf", ".sops.yaml"]).run().ok();
        add(&test, "conf.yaml", rule());
        let config: &[&str] = match is_named {
            true => &["--config", "conf.yaml"],
            false => {
                std::os::unix::fs::symlink("conf.yaml", test.path(".sops.yaml")).unwrap();
                &[]
            }
        };
        test.write("secrets/a.yaml", "a: hunter2\n");
        let sealant = |args: &[&str]| program(&test, env!("CARGO_BIN_EXE_sealant"), &[config, args].concat());
        sealant(&["encrypt", "-i", "secrets/a.yaml"]).run().ok();
        git(&test, &["add", "."]).run().ok();
        git(&test, &["commit", "-qm", "a"]).run().ok();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();

        add(&test, "conf.yaml", rule().replace("secrets/", "elsewhere/"));
        add(&test, "secrets/a.yaml", "a: hunter2\n");
        let output = sealant(&["hook", "pre-commit"]).run().code(1);
        assert_eq!(weakened(&output), ["secrets/a.yaml"], "{is_named} {output}");
        git(&test, &["commit", "-qm", "b", "--no-verify"]).run().ok();
        let output = sealant(&["check", "--base", "main"]).run().code(1);
        assert_eq!(weakened(&output), ["secrets/a.yaml"], "{is_named} {output}");
    }
}
