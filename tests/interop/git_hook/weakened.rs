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
        (None, &["secrets/a.yaml", "secrets/b.yaml", ".sops.yaml"][..]),
        (Some("creation_rules: []\n"), &["secrets/a.yaml", "secrets/b.yaml", ".sops.yaml"]),
        (Some(&narrower), &["secrets/b.yaml", ".sops.yaml"]),
        (Some(&fewer), &["secrets/a.yaml", "secrets/b.yaml", ".sops.yaml"]),
        (Some(&excluded), &["secrets/a.yaml", "secrets/b.yaml", ".sops.yaml"]),
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
    add(&test, "secrets/.sops.yaml", rule().replace("^secrets/", "."));
    assert_eq!(hook(&test, &[]).run().ok().text(), "");
    // For all that is there it says as much.
    add(&test, "secrets/.sops.yaml", rule().replace("^secrets/", "yaml$"));
    let found = lines(&hook(&test, &[]).run().ok());
    assert!(found.len() == 1 && found[0].ends_with("[config-change]"), "{found:?}");
    add(&test, ".sops.yaml", rule().replace("^secrets/", "^vault/"));
    git(&test, &["rm", "-qf", "secrets/.sops.yaml"]).run().ok();
    git(&test, &["mv", "secrets", "vault"]).run().ok();
    assert_eq!(hook(&test, &[]).run().ok().text(), "");
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
    let (_, words) = new.split_once("on the PATH, so ").unwrap();
    let words = words.split_once('\'').unwrap().0;
    let old: String = new
        .replace(words, "nobody can tell whether a secret would be committed in clear")
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
        assert_eq!(weakened(&output), ["secrets/c.yaml", ".sops.yaml"], "{output}");
    }
}

#[test]
fn a_config_behind_a_link_or_one_that_is_named_is_no_weaker_unseen() {
    for is_named in [false, true] {
        let test = repository();
        git(&test, &["rm", "-qf", ".sops.yaml"]).run().ok();
        add(&test, "conf.yaml", rule());
        let (config, told): (&[&str], _) = match is_named {
            true => (&["--config", "conf.yaml"], "conf.yaml"),
            false => {
                std::os::unix::fs::symlink("conf.yaml", test.path(".sops.yaml")).unwrap();
                (&[], ".sops.yaml")
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
        assert_eq!(weakened(&output), ["secrets/a.yaml", told], "{is_named} {output}");
        git(&test, &["commit", "-qm", "b", "--no-verify"]).run().ok();
        let output = sealant(&["check", "--base", "main"]).run().code(1);
        assert_eq!(weakened(&output), ["secrets/a.yaml", told], "{is_named} {output}");
    }
}

/// Another commit of a submodule is one line of a diff, and can say anything.
#[test]
fn a_config_in_a_submodule_does_not_change_unseen() {
    let other = unborn();
    git(&other, &["commit", "-qm", "rules"]).run().ok();
    let test = repository();
    git(&test, &["rm", "-qf", ".sops.yaml"]).run().ok();
    let url = other.path("").display().to_string();
    git(&test, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "rules"])
        .run()
        .ok();
    std::os::unix::fs::symlink("rules/.sops.yaml", test.path(".sops.yaml")).unwrap();
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qnm", "the rules of all"]).run().ok();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    let check = || program(&test, env!("CARGO_BIN_EXE_sealant"), &["check", "--base", "main"]).run();
    assert!(!check().ok().text().contains("[config-change]"));
    test.write("rules/.sops.yaml", rule().replace("secrets/", "elsewhere/"));
    git(&test, &["commit", "-qnam", "elsewhere"]).cwd("rules").run().ok();
    git(&test, &["commit", "-qnam", "new rules"]).run().ok();
    let output = check().code(1);
    assert!(output.text().contains("it leads into the submodule `rules`"), "{output}");
    let weaker = "rules/.sops.yaml:1: no rule matches files such as `rules/secrets/a` any more";
    assert!(output.text().contains(weaker), "{output}");
}

/// Git, like Linux, follows links of folders on the way to a config.
#[test]
fn a_config_behind_a_link_of_a_folder_is_no_weaker_unseen() {
    let link = |test: &Sandbox, to: &str, at: &str| {
        let _ = std::fs::remove_file(test.path(at));
        std::os::unix::fs::symlink(to, test.path(at)).unwrap();
        git(test, &["add", "-A"]).run().ok();
    };
    type Change<'c> = &'c dyn Fn(&Sandbox);
    let weaker = rule().replace("^secrets/", "^elsewhere/");
    let changes: [Change; 4] = [
        &|test| add(test, "real/rules.yaml", &weaker),
        &|test| {
            add(test, "other/rules.yaml", &weaker);
            link(test, "other", "conf");
        },
        &|test| drop(git(test, &["rm", "-q", "conf"]).run().ok()),
        &|test| {
            std::fs::remove_file(test.path(".sops.yaml")).unwrap();
            add(test, ".sops.yaml", &weaker);
        },
    ];
    for change in changes {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        git(&test, &["init", "-q", "-b", "main"]).run().ok();
        add(&test, "real/rules.yaml", rule());
        link(&test, "real", "conf");
        link(&test, "conf/rules.yaml", ".sops.yaml");
        git(&test, &["commit", "-qm", "first"]).run().ok();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        assert_eq!(lines(&hook(&test, &[]).run().ok()), [""; 0]);
        change(&test);
        let output = hook(&test, &[]).run();
        assert!(output.status != 0, "{output}");
        git(&test, &["commit", "-qm", "b", "--no-verify"]).run().ok();
        let output = check_base(&test, &[]).run();
        assert!(output.status != 0, "{output}");
    }
}

pub(super) const OTHER: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

fn check_base(test: &Sandbox, args: &[&str]) -> Run {
    program(test, env!("CARGO_BIN_EXE_sealant"), &[&["check", "--base", "main"], args].concat())
}

/// A repository in which nothing is committed but a config; from there a branch begins.
fn with_config(name: &str, config: &str) -> Sandbox {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    git(&test, &["init", "-q", "-b", "main"]).run().ok();
    add(&test, name, config);
    git(&test, &["commit", "-qm", "first"]).run().ok();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    test
}

/// What the hook says, and then, in CI, `check --base`, each with this exit code.
fn seen_by_both(test: &Sandbox, code: i32) -> Vec<String> {
    let by_hook = hook(test, &[]).run();
    assert_eq!(by_hook.status, code, "{by_hook}");
    git(test, &["commit", "-qm", "b", "--no-verify"]).run().ok();
    let by_check = check_base(test, &[]).run();
    assert_eq!(by_check.status, code, "{by_check}");
    assert_eq!(lines(&by_hook), lines(&by_check));
    lines(&by_check)
}

/// A config with one rule for `secrets/`, which says this, too.
fn with(rest: &str) -> String {
    format!("{}{rest}", rule())
}

#[test]
fn what_a_config_says_less_is_seen_where_no_file_shows_it() {
    let pin = "    sealant: {scope: strict, namespace: shop}\n";
    let groups = |threshold: &str| {
        format!(
            "creation_rules:\n  - path_regex: ^secrets/\n    key_groups: [{{age: [{RECIPIENT}]}}, {{age: [{OTHER}]}}]\n{threshold}"
        )
    };
    let before = format!(
        "creation_rules:\n  - {{path_regex: ^secrets/db, age: {RECIPIENT}, mac_only_encrypted: true}}\n"
    );
    let before = before + rule().strip_prefix("creation_rules:\n").unwrap();
    for (then, now, says) in [
        (with(pin), with(""), "no longer pinned to the namespace `shop`"),
        (with(pin), with(&pin.replace("strict", "cluster")), "pinned to the scope `cluster`"),
        (with(pin), with(&pin.replace("shop", "evil")), "pinned to the namespace `evil`"),
        (groups(""), groups("    shamir_threshold: 1\n"), "`secrets/a`: 1, and by"),
        (
            groups(""),
            groups("").replace(&format!("[{RECIPIENT}]"), &format!("[{RECIPIENT}, {OTHER}]")),
            "this one now suffices to open files such as `secrets/a`",
        ),
        (with(""), with("    mac_only_encrypted: true\n"), "`mac_only_encrypted`"),
        (with(""), with("    encrypted_regex: ^b$\n"), "`encrypted_regex: ^b$`"),
        (with(""), with("    unencrypted_regex: .\n"), "key such as `a` is no longer encrypted"),
        (with("    encrypted_suffix: _s\n"), with("    encrypted_suffix: a_s\n"), "key such as `_s`"),
        // What is above a value counts, too.
        (
            with("    encrypted_regex: ^password$\n"),
            with("    unencrypted_regex: ^[^p]\n"),
            "the value of a key such as `a.password` is no longer encrypted",
        ),
        (
            with("    encrypted_comment_regex: ^secret$\n"),
            with("    unencrypted_comment_regex: ^public$\n"),
            "a value with comments such as `public` and `secret` is no longer encrypted",
        ),
        (
            with("    unencrypted_comment_regex: ^public$\n"),
            with("    encrypted_comment_regex: .\n"),
            "a value without a comment is no longer encrypted",
        ),
        // Not all that lies there need be a manifest of Kubernetes.
        (
            with(""),
            with("    encrypted_regex: ^(data|stringData)$\n"),
            "key such as `a` is no longer encrypted",
        ),
        (
            format!("creation_rules:\n  - {{age: {RECIPIENT}, encrypted_regex: ^password$}}\n"),
            format!("creation_rules:\n  - {{age: {RECIPIENT}}}\n"),
            "without a path_regex",
        ),
        (
            with("    unencrypted_comment_regex: pub\n"),
            with("    unencrypted_comment_regex: p\n"),
            "comment such as `p`",
        ),
        (with(""), rule().replace(&format!("    age: {RECIPIENT}\n"), ""), "no recipients are named"),
        (
            with(""),
            rule().replace("    path_regex: ^secrets/\n  ", "").replace("path_regex: ^secrets/\n    ", ""),
            "without a path_regex",
        ),
        (with(""), rule().replace("^secrets/", "^secrets/prod/"), "no rule matches files such as"),
        (with(""), rule().replace("^secrets/", "^secrets/$"), "no rule matches files such as"),
        (with("sealant: {audit: true}\n"), with(""), "audit log"),
        (with(""), "creation_rules: []\n".to_owned(), "no rule matches files such as"),
        (with(""), before, "`secrets/db` covers only encrypted values"),
        (with(""), with("sealant: {check: {exclude: ['secrets/**']}}\n"), "exclude: secrets/**"),
    ] {
        for name in [".sops.yaml", ".sealant.yaml", "deploy/live/.sops.yaml"] {
            let test = with_config(name, &then);
            add(&test, name, &now);
            let found = seen_by_both(&test, 1);
            assert!(found.iter().all(|line| line.starts_with(&format!("{name}:"))), "{found:?}");
            let found: Vec<_> = found.iter().filter(|line| line.ends_with(ID)).collect();
            assert!(
                found.iter().any(|line| line.replace("deploy/live/secrets", "secrets").contains(says)),
                "{now} {found:?}"
            );
        }
    }
}

#[test]
fn a_config_that_goes_or_is_covered_by_another_is_seen_where_no_file_shows_it() {
    let link = |test: &Sandbox, to: &str| {
        std::fs::remove_file(test.path(".sops.yaml")).unwrap();
        std::os::unix::fs::symlink(to, test.path(".sops.yaml")).unwrap();
    };
    type Change<'c> = &'c dyn Fn(&Sandbox);
    let changes: [(&str, Change); 6] = [
        (".sops.yaml", &|test| drop(git(test, &["rm", "-q", ".sops.yaml"]).run().ok())),
        (".sops.yaml", &|test| drop(git(test, &["mv", ".sops.yaml", ".sops.yml"]).run().ok())),
        ("secrets/.sops.yaml", &|test| add(test, "secrets/.sops.yaml", "stores: {}\n")),
        ("secrets/.sealant.yaml", &|test| {
            add(test, "secrets/.sealant.yaml", format!("creation_rules: [{{age: {RECIPIENT}}}]\n"));
        }),
        (".sops.yaml", &|test| {
            add(test, "other.yaml", rule().replace("secrets", "elsewhere").replace(RECIPIENT, OTHER));
            link(test, "other.yaml");
        }),
        (".sops.yaml", &|test| {
            add(test, "a/b/.sops.yaml", "creation_rules: []\n");
            link(test, "a/b/.sops.yaml");
        }),
    ];
    for (config, change) in changes {
        let test = with_config(".sops.yaml", &rule());
        change(&test);
        git(&test, &["add", "-A"]).run().ok();
        let found = seen_by_both(&test, 1);
        assert!(found.iter().any(|line| line.starts_with(config) && line.ends_with(ID)), "{found:?}");
    }
}

/// A config in a folder that is as strict takes nothing from the one above but its own files.
#[test]
fn what_the_config_above_loses_is_seen_however_many_folders_have_one_of_their_own() {
    let above = |pattern: &str| rule().replace("^secrets/", pattern);
    for (pattern, folders) in [
        ("(^|/)secrets/", &["secrets"][..]),
        ("^apps/[^/]+/secrets/", &["apps/a", "apps/b"]),
        ("(^|/)secrets/", &["secrets", "a/secrets", "b"]),
    ] {
        let then = above(pattern);
        for (now, says) in [
            ("creation_rules: []\n".to_owned(), "no rule matches files such as"),
            (format!("{then}    mac_only_encrypted: true\n"), "`mac_only_encrypted`"),
            (format!("{then}    encrypted_regex: ^b$\n"), "`encrypted_regex: ^b$`"),
            (format!("{then}sealant: {{check: {{exclude: ['**/secrets/**']}}}}\n"), "`check` skips"),
        ] {
            let test = with_config(".sops.yaml", &then);
            add(&test, ".sops.yaml", &now);
            for folder in folders {
                add(&test, &format!("{folder}/.sops.yaml"), above("."));
            }
            let found = seen_by_both(&test, 1);
            let is_told =
                |line: &String| line.starts_with(".sops.yaml:") && line.ends_with(ID) && line.contains(says);
            assert!(found.iter().any(is_told), "{pattern}: {now}: {found:?}");
        }
        let test = with_config(".sops.yaml", &then);
        add(&test, ".sops.yaml", then.replace(RECIPIENT, OTHER));
        folders.iter().for_each(|folder| add(&test, &format!("{folder}/.sops.yaml"), above(".")));
        let found = seen_by_both(&test, 0);
        assert!(found.iter().any(|line| line.ends_with("[config-change]")), "{pattern}: {found:?}");
    }
}

#[test]
fn who_is_added_to_a_rule_is_told_and_nobody_is_kept_from_it() {
    let test = with_config(".sops.yaml", &with(""));
    let names = format!("sealant: {{recipients: {{{OTHER}: Anna}}}}\n");
    add(&test, ".sops.yaml", with(&names).replace(RECIPIENT, &format!("{RECIPIENT},{OTHER}")));
    let found = seen_by_both(&test, 0);
    let expected = format!(
        "files such as `secrets/a` have these new recipients: {OTHER} (Anna); .sops.yaml:2 in commit "
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!(".sops.yaml:3: warning: {expected}")), "{found:?}");
    assert!(found[0].ends_with("does not name them [config-change]"), "{found:?}");
    let json = check_base(&test, &["--format", "json"]).run().ok();
    assert!(
        json.text().contains("\"level\": \"warning\"") || json.text().contains("\"level\":\"warning\""),
        "{json}"
    );
    let sarif: serde_json::Value =
        serde_json::from_str(check_base(&test, &["--format", "sarif"]).run().ok().text()).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["level"], "warning");
}

#[test]
fn what_is_done_to_configs_every_day_is_refused_by_nobody() {
    let all = format!("creation_rules:\n  - age: {RECIPIENT}\n");
    let mine =
        format!("creation_rules:\n  - {{path_regex: ^app/, age: {RECIPIENT}, encrypted_regex: password}}\n");
    let spelled = format!(
        "keys:\n  - &me {RECIPIENT}\ncreation_rules:\n  # ours\n  - age: *me\n    path_regex: \"^secrets/\"\n"
    );
    for (then, now, is_silent) in [
        (&all, &(mine.clone() + all.strip_prefix("creation_rules:\n").unwrap()), false),
        (&rule(), &spelled, true),
        (&rule(), &rule().replace("^secrets/", "^(secrets|vault)/"), true),
        (&all, &rule(), false),
        (&rule(), &rule().replace("^secrets/", "^secrets/.*"), true),
        (&with("    encrypted_regex: ^a$\n"), &with("    unencrypted_suffix: _unencrypted\n"), true),
        (&rule(), &with("sealant: {check: {exclude: ['tests/**']}}\n"), false),
    ] {
        let test = with_config(".sops.yaml", then);
        add(&test, ".sops.yaml", now);
        let found = seen_by_both(&test, 0);
        assert_eq!(found.is_empty(), is_silent, "{now} {found:?}");
    }
    // Another name for the config; and a rule that goes along with its files.
    let test = with_config(".sops.yaml", &rule());
    git(&test, &["mv", ".sops.yaml", ".sealant.yaml"]).run().ok();
    assert_eq!(seen_by_both(&test, 0), [""; 0]);
    // A folder with its config.
    let test = with_config("deploy/live/.sops.yaml", &rule());
    git(&test, &["checkout", "-q", "main"]).run().ok();
    add(&test, "deploy/live/secrets/a.yaml", "a: x\n");
    git(&test, &["commit", "-qm", "a"]).run().ok();
    git(&test, &["checkout", "-q", "-B", "branch"]).run().ok();
    git(&test, &["mv", "deploy", "apps"]).run().ok();
    let found = lines(&hook(&test, &[]).run().code(1));
    assert!(found.len() == 1 && found[0].ends_with("[plaintext]"), "{found:?}");
    let test = with_secrets();
    git(&test, &["rm", "-qrf", "secrets"]).run().ok();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    add(&test, ".sops.yaml", rule().replace("^secrets/", "^vault/").replace(RECIPIENT, OTHER));
    assert_eq!(seen_by_both(&test, 0).len(), 1);
}

#[test]
fn an_exclude_that_comes_along_with_a_secret_hides_it_from_nobody() {
    let key = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
    let exclude = "sealant: {check: {exclude: ['tests/**']}}\n";
    for (then, now) in [(rule(), with(exclude)), ("stores: {}\n".to_owned(), exclude.to_owned())] {
        let test = with_config(".sops.yaml", &then);
        add(&test, ".sops.yaml", &now);
        add(&test, "tests/a.yaml", SECRET);
        add(&test, "tests/key.txt", format!("{key}\n"));
        let found = seen_by_both(&test, 1);
        let of = |file: &str| found.iter().any(|line| line.starts_with(file) && line.ends_with(ID));
        assert!(of("tests/a.yaml:5: ") && of("tests/key.txt:1: "), "{found:?}");
        assert!(found.iter().any(|line| line.starts_with(".sops.yaml:1: warning: `check` skips `tests/**`")));
        // It is agreed on from now on.
        git(&test, &["checkout", "-q", "main"]).run().ok();
        git(&test, &["merge", "-q", "branch"]).run().ok();
        add(&test, "tests/b.yaml", SECRET);
        assert_eq!(hook(&test, &[]).run().ok().text(), "");
    }
}

/// The same text is another pattern in another folder.
#[test]
fn an_exclude_of_a_config_in_a_folder_hides_nothing_that_the_one_above_does_not() {
    let config = rule().replace("^secrets/", "yaml$") + "sealant: {check: {exclude: ['test/**']}}\n";
    let test = with_config(".sops.yaml", &config);
    add(&test, "app/.sops.yaml", &config);
    let found = seen_by_both(&test, 1);
    let says = "`check` skips files such as `app/test/yaml` (`exclude: test/**`)";
    assert!(found.len() == 1 && found[0].starts_with(&format!("app/.sops.yaml:1: {says}")), "{found:?}");
    // One that goes along with its files hides what was hidden.
    add(&test, "app/.sops.yaml", config.replace("test/**", "lib/**"));
    add(&test, ".sops.yaml", config.replace("test/**", "app/lib/**"));
    git(&test, &["commit", "-qm", "c", "--no-verify"]).run().ok();
    git(&test, &["mv", "-f", "app/.sops.yaml", ".sops.yaml"]).run().ok();
    add(&test, ".sops.yaml", config.replace("test/**", "app/lib/**"));
    assert_eq!(lines(&hook(&test, &[]).run().ok()), [""; 0]);
}

#[test]
fn configs_that_are_too_large_to_compare_are_no_weaker_unseen() {
    let test = with_config(".sops.yaml", &rule());
    add(&test, ".sops.yaml", rule() + &format!("  - {{path_regex: '\\pL{{90}}', age: {RECIPIENT}}}\n"));
    let found = seen_by_both(&test, 1);
    assert!(found[0].contains("too large to compare"), "{found:?}");
}

/// Two branches that were merged into each other have parted at two commits, and Git takes the newer one by dates that
/// whoever commits writes.
#[test]
fn of_several_commits_at_which_branches_have_parted_each_counts() {
    let stranger = rule().replace(RECIPIENT, &format!("{RECIPIENT},{OTHER}"));
    let loose = rule().replace("    age:", "    encrypted_regex: ^a$\n    age:");
    for (old, expected) in [(&loose, "[weakened-config]"), (&stranger, "[config-change]")] {
        let test = with_config(".sops.yaml", old);
        let commit = |message: &str, day: u8, args: &[&str]| {
            let date = format!("2026-01-0{day}T00:00:00Z");
            let run = git(&test, &[&["commit", "-qm", message, "--no-verify"], args].concat());
            run.env("GIT_COMMITTER_DATE", &date).env("GIT_AUTHOR_DATE", &date).run().ok();
        };
        git(&test, &["branch", "-m", "feature"]).run().ok();
        commit("feature", 3, &["--allow-empty"]);
        git(&test, &["checkout", "-q", "main"]).run().ok();
        add(&test, ".sops.yaml", rule());
        commit("stricter", 2, &[]);
        git(&test, &["branch", "bad"]).run().ok();
        git(&test, &["merge", "-q", "--no-ff", "-m", "both", "feature"]).run().ok();
        git(&test, &["checkout", "-q", "bad"]).run().ok();
        git(&test, &["merge", "-q", "--no-ff", "--no-commit", "feature"]).run().ok();
        add(&test, ".sops.yaml", old);
        commit("both", 4, &[]);
        let bases = git(&test, &["merge-base", "--all", "main", "HEAD"]).run().ok();
        assert_eq!(bases.text().lines().count(), 2, "{bases}");
        let range = hook(&test, &[]).env("PRE_COMMIT_FROM_REF", "main").env("PRE_COMMIT_TO_REF", "HEAD");
        for output in [check_base(&test, &[]).run(), range.run()] {
            assert!(output.text().contains(expected), "{expected} {output}");
        }
        // What the other side has as well no merge changes.
        git(&test, &["checkout", "-q", "main"]).run().ok();
        add(&test, ".sops.yaml", old);
        commit("older again", 5, &[]);
        git(&test, &["checkout", "-q", "bad"]).run().ok();
        assert_eq!(check_base(&test, &[]).run().ok().text(), "");
    }
}

/// Histories without a commit in common are compared as they are.
#[test]
fn a_history_of_its_own_hides_no_weaker_config() {
    let test = with_config(".sops.yaml", &rule());
    git(&test, &["checkout", "-q", "--orphan", "other"]).run().ok();
    add(&test, ".sops.yaml", "creation_rules: []\n");
    git(&test, &["commit", "-qm", "other", "--no-verify"]).run().ok();
    let range = hook(&test, &[]).env("PRE_COMMIT_FROM_REF", "main").env("PRE_COMMIT_TO_REF", "HEAD");
    assert_eq!(weakened(&range.run().code(1)), [".sops.yaml"]);
}

/// Whoever runs `publish` sends what they can decrypt to where the config says: a change of that is told.
#[test]
fn where_publish_sends_files_and_how_protected_is_told() {
    let to = |place: &str, more: &str| {
        format!("destination_rules:\n  - path_regex: ^secrets/\n    {place}\n{more}")
    };
    let for_whom = |rule: &str| to("s3_bucket: shop", &format!("    recreation_rule:\n      {rule}\n"));
    let ours = format!("age: {RECIPIENT}");
    let other = "age1gde3ncmahlqd9gg50tanl99r960llztrhfapnmx853s4tjum03uqfssgdh";
    let both = format!("age: {RECIPIENT},{other}");
    let table = [
        (String::new(), to("s3_bucket: shop", ""), vec![("config-change", "s3://shop/; in commit")]),
        (to("s3_bucket: shop", ""), to("s3_bucket: shop", ""), vec![]),
        (to("s3_bucket: shop", ""), String::new(), vec![]),
        (to("s3_bucket: shop", ""), to("s3_bucket: mine", ""), vec![("config-change", "s3://mine/")]),
        (to("s3_bucket: shop", ""), to("gcs_bucket: shop", ""), vec![("config-change", "gcs://shop/")]),
        (
            to("s3_bucket: shop", ""),
            to("vault_path: shop", ""),
            vec![("config-change", "secret/data/shop/, decrypted; in commit")],
        ),
        (
            to("vault_path: shop", ""),
            to("vault_path: shop", "    vault_address: https://vault.example.com\n"),
            vec![("config-change", "https://vault.example.com/v1/secret/data/shop/")],
        ),
        // A rule before it is for the same files.
        (
            to("s3_bucket: shop", ""),
            to("s3_bucket: shop", "")
                .replace("rules:\n", "rules:\n  - path_regex: ^secrets/a\n    s3_bucket: mine\n"),
            vec![("config-change", "s3://mine/")],
        ),
        (to("s3_bucket: shop", ""), for_whom(&ours), vec![]),
        (to("s3_bucket: shop", ""), for_whom(&both), vec![("config-change", other)]),
        (for_whom(&ours), for_whom(&both), vec![("config-change", other)]),
        (for_whom(&both), for_whom(&ours), vec![]),
        (
            for_whom(&ours),
            for_whom(&format!("{ours}\n      unencrypted_regex: pass")),
            vec![("weakened-config", "is sent in plaintext by `sealant publish`")],
        ),
        (
            for_whom(&ours),
            for_whom(&format!("{ours}\n      mac_only_encrypted: true")),
            vec![("weakened-config", "is protected less")],
        ),
    ];
    for (before, after, expected) in table {
        let test = repository();
        add(&test, ".sops.yaml", format!("{}{before}", rule()));
        git(&test, &["commit", "-qam", "rules", "--allow-empty"]).run().ok();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        add(&test, ".sops.yaml", format!("{}{after}", rule()));
        git(&test, &["commit", "-qam", "b", "--no-verify", "--allow-empty"]).run().ok();
        let output = program(&test, env!("CARGO_BIN_EXE_sealant"), &["check", "--base", "main"]).run();
        let found = lines(&output);
        assert_eq!(found.len(), expected.len(), "{before}{after}{output}");
        for (line, (id, text)) in found.iter().zip(expected) {
            assert!(line.contains(text) && line.ends_with(&format!("[{id}]")), "{after}{output}");
        }
    }
}

/// Which creation rule a file has says for whom it was: the widest one hides no other.
#[test]
fn what_publish_sends_is_compared_with_each_creation_rule() {
    let other = "age1gde3ncmahlqd9gg50tanl99r960llztrhfapnmx853s4tjum03uqfssgdh";
    let rules = format!(
        "creation_rules:\n  - path_regex: ^prod/\n    age: {RECIPIENT}\n  - age: {RECIPIENT},{other}\ndestination_rules:\n  - \
         s3_bucket: shop\n"
    );
    let again = format!("{rules}    recreation_rule:\n      age: {RECIPIENT},{other}\n");
    let ours = format!("{rules}    recreation_rule:\n      age: {RECIPIENT}\n");
    for (before, after, expected) in
        [(&rules, &again, 1), (&rules, &ours, 0), (&ours, &rules, 1), (&again, &rules, 0)]
    {
        let test = repository();
        add(&test, ".sops.yaml", before);
        git(&test, &["commit", "-qam", "rules"]).run().ok();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        add(&test, ".sops.yaml", after);
        git(&test, &["commit", "-qam", "b", "--no-verify"]).run().ok();
        let output = program(&test, env!("CARGO_BIN_EXE_sealant"), &["check", "--base", "main"]).run();
        let found = lines(&output);
        let is_told = |line: &&String| line.contains(other) && line.ends_with("[config-change]");
        assert_eq!(found.iter().filter(is_told).count(), expected, "{before}{after}{output}");
    }
}
