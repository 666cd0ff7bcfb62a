use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use sealant_test_support::Output;

use super::*;

const FOUND: &str = "a value is in plaintext, but .sops.yaml:2 says to encrypt it [plaintext]";

#[test]
fn what_is_staged_counts_and_not_what_stands_in_the_working_tree() {
    for test in [unborn(), repository()] {
        hook(&test, &[]).run().ok();
        add(&test, "secrets/a.yaml", "a: hunter2\n");
        // What is staged is in plaintext, whatever is done in the working tree.
        program(&test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/a.yaml"]).run().ok();
        let output = hook(&test, &[]).run().code(1);
        assert_eq!(lines(&output), [format!("secrets/a.yaml:1: {FOUND}")]);
        // And the other way round.
        git(&test, &["add", "secrets"]).run().ok();
        test.write("secrets/a.yaml", "a: hunter2\n");
        test.write("secrets/unstaged.yaml", "a: hunter2\n");
        let output = hook(&test, &[]).run().ok();
        assert_eq!((output.text(), output.stderr.as_str()), ("", ""));
    }
}

#[test]
fn the_config_is_the_one_that_is_staged() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    // In the working tree nothing is secret, or nothing can be read, or there is no config.
    for text in [Some("creation_rules: []\n"), Some("nonsense: ["), None] {
        match text {
            Some(text) => test.write(".sops.yaml", text),
            None => std::fs::remove_file(test.path(".sops.yaml")).unwrap(),
        }
        let output = hook(&test, &[]).run().code(1);
        assert_eq!(lines(&output), [format!("secrets/a.yaml:1: {FOUND}")]);
    }
    // A config that nobody commits makes nothing clean, nor does one above the repository.
    add(&test, "apps/a.yaml", SECRET);
    test.write("apps/.sealant.yaml", "sealant: {check: {exclude: ['**']}}\n");
    test.write(".git/info/exclude", ".sealant.yaml\n");
    assert_eq!(lines(&hook(&test, &[]).run().code(1)).len(), 2);
    test.write(".git/info/exclude", "");
    // One that comes along with what it hides does not, either, and is told.
    git(&test, &["add", "apps"]).run().ok();
    let found = lines(&hook(&test, &[]).run().code(1));
    assert_eq!(found.len(), 3, "{found:?}");
    let has = |rule: &str| found.iter().any(|line| line.ends_with(rule));
    assert!(has("[weakened-config]") && has("[config-change]"), "{found:?}");
    // One that makes no sense makes nothing clean, either.
    add(&test, ".sops.yaml", "creation_rules: 1\n");
    let output = hook(&test, &[]).run().code(5);
    assert_eq!(output.stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{output}");
}

#[test]
fn where_a_config_is_staged_all_that_it_is_about_is_looked_at() {
    let test = repository();
    git(&test, &["rm", "-qf", ".sops.yaml"]).run().ok();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    add(&test, "apps/secrets/a.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "no rules"]).run().ok();
    let found = |file: &str| format!("{file}:1: {FOUND}");
    // A new one, below a folder.
    add(&test, "apps/.sops.yaml", rule());
    let expected = [found("apps/secrets/a.yaml")];
    assert_eq!(lines(&hook(&test, &[]).run().code(1)), expected);
    // As the pre-commit framework calls it.
    assert_eq!(lines(&hook(&test, &["apps/.sops.yaml"]).run().code(1)), expected);
    git(&test, &["commit", "-qm", "rules below"]).run().ok();
    hook(&test, &[]).run().ok();
    let between = |from: &str, to: &str| {
        hook(&test, &[]).env("PRE_COMMIT_FROM_REF", from).env("PRE_COMMIT_TO_REF", to).run()
    };
    assert_eq!(lines(&between("HEAD~1", "HEAD").code(1)), expected);
    // One that is deleted, under which nothing was secret: the one above counts now.
    add(&test, ".sops.yaml", rule().replace("^secrets/", "secrets/"));
    add(&test, "apps/.sops.yaml", "creation_rules: []\n");
    git(&test, &["commit", "-qm", "rules above"]).run().ok();
    hook(&test, &[]).run().ok();
    git(&test, &["rm", "-q", "apps/.sops.yaml"]).run().ok();
    assert_eq!(lines(&hook(&test, &[]).run().code(1)), expected);
    git(&test, &["commit", "-qm", "one config"]).run().ok();
    assert_eq!(lines(&between("HEAD~1", "HEAD").code(1)), expected);
}

#[test]
fn a_config_that_is_not_staged_fails_the_commit() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    git(&test, &["init", "-q", "-b", "main"]).run().ok();
    let output = program(&test, env!("CARGO_BIN_EXE_sealant"), &["init", "--git"]).run().ok();
    assert!(output.stderr.contains("git add .sops.yaml .gitattributes "), "{output}");
    add(&test, "secrets/deep/db.yaml", "a: hunter2\n");
    let told = "error: .sops.yaml: this config is not staged, but files that it covers are";
    for args in [&[][..], &["secrets/deep/db.yaml"], &["--fix"]] {
        let output = hook(&test, args).run().code(5);
        assert_eq!(output.stderr.matches(told).count(), 1, "{output}");
        assert!(output.stderr.contains("git add .sops.yaml"), "{output}");
    }
    let output = hook(&test, &["db.yaml"]).cwd("secrets/deep").run().code(5);
    assert!(output.stderr.contains(told), "{output}");
    // What is announced is not staged, though Git lists it.
    git(&test, &["add", "-N", ".sops.yaml"]).run().ok();
    let output = hook(&test, &[]).run().code(5);
    assert!(output.stderr.contains(told), "{output}");
    git(&test, &["rm", "-q", "--cached", "--ignore-unmatch", ".sops.yaml"]).run().ok();
    assert_ne!(git(&test, &["commit", "-qm", "x"]).run().status, 0);
    // A commit of one file does not carry a config that is staged beside it.
    git(&test, &["add", "."]).run().ok();
    assert_eq!(lines(&hook(&test, &[]).run().code(1)).len(), 1);
    let output = git(&test, &["commit", "-qm", "x", "secrets"]).run();
    assert!(output.status != 0 && output.stderr.contains(told), "{output}");
    // What Git ignores is somebody's own, and what is beside the staged files is about others.
    git(&test, &["rm", "-q", "--cached", ".sops.yaml"]).run().ok();
    test.write(".git/info/exclude", "/.sops.yaml\n");
    hook(&test, &[]).run().ok();
    test.write("other/.sops.yaml", rule());
    hook(&test, &[]).run().ok();
    add(&test, "other/x", "x");
    let output = hook(&test, &[]).run().code(5);
    assert!(output.stderr.contains("error: other/.sops.yaml: "), "{output}");
}

/// The commit does not get it, so it takes nothing from the rule above it.
#[test]
fn a_config_that_is_only_announced_hides_no_rule() {
    for config in ["creation_rules: []\n", "creation_rules:\n  - path_regex: ^nothing/\n"] {
        let test = repository();
        test.write("secrets/sub/.sops.yaml", config);
        add(&test, "secrets/sub/p.yaml", "a: hunter2\n");
        add(&test, "secrets/empty", "");
        git(&test, &["add", "-N", "secrets/sub/.sops.yaml"]).run().ok();
        assert_ne!(hook(&test, &[]).run().status, 0, "{config}");
        // It is staged, empty.
        test.write("secrets/sub/.sops.yaml", "");
        git(&test, &["add", "secrets/sub/.sops.yaml"]).run().ok();
        assert_ne!(hook(&test, &[]).run().status, 0);
    }
}

#[test]
fn a_config_that_is_named_is_the_staged_one_too() {
    let test = repository();
    add(&test, "apps/a.yaml", "a: hunter2\n");
    add(&test, "conf/rules.yaml", rule().replace("^secrets/", "apps/"));
    test.write("conf/rules.yaml", "nonsense: [");
    hook(&test, &[]).run().ok();
    let found = [format!("apps/a.yaml:1: {}", FOUND.replace(".sops.yaml", "rules.yaml"))];
    assert_eq!(lines(&hook(&test, &["--config", "conf/rules.yaml"]).run().code(1)), found);
    let output = hook(&test, &["--config", "rules.yaml"]).cwd("conf").run().code(1);
    assert_eq!(lines(&output), found);
    // What somebody has in the environment is no rule of the repository.
    hook(&test, &[]).env("SOPS_CONFIG", "conf/rules.yaml").run().ok();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    test.write("../tmp/none.yaml", "creation_rules: []\n");
    for config in ["../tmp/none.yaml", "none.yaml"] {
        let output = hook(&test, &[]).env("SOPS_CONFIG", config).run().code(1);
        assert_eq!(lines(&output), [format!("secrets/a.yaml:1: {FOUND}")]);
    }
    git(&test, &["rm", "-qf", "secrets/a.yaml"]).run().ok();
    test.write("conf/unstaged.yaml", "creation_rules: []\n");
    hook(&test, &["--config", "conf/unstaged.yaml"]).run().code(61);
    // One of another place is nobody's to stage.
    test.write("../tmp/rules.yaml", rule().replace("^secrets/", "apps/"));
    assert_eq!(lines(&hook(&test, &["--config", "../tmp/rules.yaml"]).run().code(1)), found);
}

#[test]
fn a_config_that_is_a_link_is_followed_within_the_repository() {
    let test = repository();
    test.write("conf/rules.yaml", rule().replace("^secrets/", "^x"));
    std::fs::create_dir_all(test.path("team/deep")).unwrap();
    symlink("../../conf/rules.yaml", test.path("team/deep/.sops.yaml")).unwrap();
    test.write("team/deep/x.yaml", "a: hunter2\n");
    git(&test, &["add", "."]).run().ok();
    // The working tree has it as a file of its own, which does not count.
    std::fs::remove_file(test.path("team/deep/.sops.yaml")).unwrap();
    test.write("team/deep/.sops.yaml", "");
    let output = hook(&test, &[]).run().code(1);
    assert_eq!(lines(&output), [format!("team/deep/x.yaml:1: {FOUND}")]);
    std::fs::remove_file(test.path("team/deep/.sops.yaml")).unwrap();
    symlink(test.path("conf/rules.yaml"), test.path("team/deep/.sops.yaml")).unwrap();
    git(&test, &["add", "."]).run().ok();
    let output = hook(&test, &[]).run().code(5);
    assert!(output.stderr.contains("a link that leads to no file in the repository"), "{output}");
}

#[test]
fn an_object_that_another_stands_in_for_is_looked_at_itself() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    let id = |file: &str| git(&test, &["rev-parse", &format!(":{file}")]).run().ok().text().trim().to_owned();
    add(&test, "empty", "");
    git(&test, &["replace", &id("secrets/a.yaml"), &id("empty")]).run().ok();
    assert_eq!(git(&test, &["show", ":secrets/a.yaml"]).run().ok().text(), "");
    assert_eq!(lines(&hook(&test, &[]).run().code(1)), [format!("secrets/a.yaml:1: {FOUND}")]);
}

#[test]
fn every_way_to_commit_is_looked_at() {
    let test = repository();
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["git", "install"]).run().ok();
    test.write("secrets/a.yaml", "a_unencrypted: 1\nb: 2\n");
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qm", "clean"]).run().ok();
    std::fs::create_dir_all(test.path("deep/er")).unwrap();

    let head = || git(&test, &["rev-parse", "HEAD"]).run().ok().stdout;
    let clean = head();
    let refused = |output: Output| {
        assert_ne!(output.status, 0, "{output}");
        assert!(output.to_string().contains("secrets/a.yaml:1: "), "{output}");
        assert!(!output.to_string().contains(PLANTED), "{output}");
        assert_eq!(head(), clean);
    };
    test.write("secrets/a.yaml", "a: hunter2\n");
    // With these, Git tells the hook of an index of its own.
    refused(git(&test, &["commit", "-qam", "x"]).run());
    refused(git(&test, &["commit", "-qm", "x", "--", "secrets/a.yaml"]).run());
    refused(git(&test, &["commit", "-qm", "x", "-i", "secrets/a.yaml"]).run());
    refused(git(&test, &["commit", "-qam", "x"]).cwd("deep/er").run());
    refused(git(&test, &["commit", "-qm", "x", "../../secrets/a.yaml"]).cwd("deep/er").run());
    // A commit of other files does not carry it.
    git(&test, &["reset", "-q"]).run().ok();
    test.write("README.md", "hello\n");
    git(&test, &["add", "README.md"]).run().ok();
    git(&test, &["commit", "-qm", "other", "README.md"]).run().ok();
    let clean = head();
    git(&test, &["checkout", "-q", "--detach"]).run().ok();
    git(&test, &["add", "secrets"]).run().ok();
    assert_ne!(git(&test, &["commit", "-qm", "x"]).run().status, 0);
    assert_ne!(git(&test, &["commit", "-q", "--amend", "-m", "x"]).run().status, 0);
    assert_eq!(head(), clean);
    // A working tree elsewhere has an index of its own, and the same hook.
    git(&test, &["worktree", "add", "-q", "../else where", "main"]).run().ok();
    test.write("../else where/secrets/a.yaml", "a: hunter2\n");
    let commit = |args: &[&str]| git(&test, args).cwd("../else where").run();
    let output = commit(&["commit", "-qam", "x"]);
    assert!(output.status != 0 && output.to_string().contains("secrets/a.yaml:1: "), "{output}");
    git(&test, &["checkout", "-q", "."]).cwd("../else where").run().ok();
    commit(&["commit", "-q", "--allow-empty", "-m", "clean"]).ok();
}

#[test]
fn odd_entries_of_the_index_stop_nothing_and_hide_nothing() {
    let test = repository();
    let other = Sandbox::new("");
    git(&other, &["init", "-q"]).run().ok();
    other.write("secrets/in.yaml", SECRET);
    git(&other, &["add", "."]).run().ok();
    git(&other, &["commit", "-qm", "x"]).run().ok();
    let url = other.path("").display().to_string();
    git(&test, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "secrets/sub"])
        .run()
        .ok();

    let odd = Path::new("secrets").join(OsStr::from_bytes(b"\xff.yaml"));
    test.write(&odd, "a: hunter2\n");
    test.write("secrets/a b.yaml", "a: hunter2\n");
    test.write("secrets/line\nbreak.yaml", "a: hunter2\n");
    test.write("secrets/-x.yaml", "a: hunter2\n");
    test.write("secrets/binary.dat", [0, 159, 146, 150].repeat(1000));
    test.write("secrets/empty.yaml", "");
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n", "0a".repeat(32));
    test.write("secrets/lfs.yaml", &pointer);
    test.write("apps/lfs.yaml", &pointer);
    test.write("apps/no-lfs.yaml", format!("version https://git-lfs.github.com/spec/v1: x\n{SECRET}"));
    test.write("outside.yaml", "a: 1\n");
    symlink(test.path("outside.yaml"), test.path("secrets/link.yaml")).unwrap();
    symlink("/nowhere", test.path("secrets/dangling.yaml")).unwrap();
    // Larger than anything that a key was left in, and of no known type.
    program(&test, "truncate", &["-s", "40M", "large.bin"]).run().ok();
    git(&test, &["-c", "core.bigFileThreshold=1m", "add", "--", "."]).run().ok();

    let output = hook(&test, &[]).run().code(1);
    let mut found: Vec<_> =
        lines(&output).iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    found.sort();
    let expected = [
        "apps/no-lfs.yaml:6",
        "secrets/-x.yaml:1",
        "secrets/a b.yaml:1",
        "secrets/binary.dat:1",
        "secrets/dangling.yaml:1",
        "secrets/lfs.yaml:1",
        "secrets/line\\nbreak.yaml:1",
        "secrets/link.yaml:1",
        "secrets/\u{fffd}.yaml:1",
    ];
    assert_eq!(found, expected, "{output}");
    let named = hook(&test, &["--", "secrets/-x.yaml"]).arg(test.path(&odd)).run().code(1);
    // The framework names no links, so those that are staged are looked at all the same.
    let mut found: Vec<_> =
        lines(&named).iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    found.sort();
    let expected =
        ["secrets/-x.yaml:1", "secrets/dangling.yaml:1", "secrets/link.yaml:1", "secrets/\u{fffd}.yaml:1"];
    assert_eq!(found, expected, "{named}");
}

#[test]
fn files_that_are_named_are_looked_at_though_they_are_not_changed() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    add(&test, "secrets/deep/b.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "too late"]).run().ok();
    hook(&test, &[]).run().ok();
    let count = |output: Output| lines(&output).len();
    assert_eq!(count(hook(&test, &["secrets/a.yaml"]).run().code(1)), 1);
    assert_eq!(count(hook(&test, &["secrets"]).run().code(1)), 2);
    assert_eq!(count(hook(&test, &["../a.yaml", "b.yaml"]).cwd("secrets/deep").run().code(1)), 2);
    let output = hook(&test, &["none.yaml"]).run().ok();
    assert!(output.stderr.contains("none.yaml: not staged"), "{output}");
    hook(&test, &["/etc/passwd"]).run().code(100);
}

#[test]
fn commits_take_the_place_of_the_index() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "bad"]).run().ok();
    git(&test, &["rm", "-q", "secrets/a.yaml"]).run().ok();
    add(&test, "secrets/b.yaml", "b: hunter2\n");
    let between = |from: &str, to: &str, args: &[&str]| {
        hook(&test, args).env("PRE_COMMIT_FROM_REF", from).env("PRE_COMMIT_TO_REF", to).run()
    };
    assert_eq!(lines(&between("HEAD~1", "HEAD", &[]).code(1)), [format!("secrets/a.yaml:1: {FOUND}")]);
    assert_eq!(lines(&between("HEAD~1", "HEAD", &["secrets/a.yaml"]).code(1)).len(), 1);
    between("HEAD", "HEAD", &[]).ok();
    between("HEAD~1", "HEAD~1", &[]).ok();
    // The rules are those of the commit, too.
    add(&test, ".sops.yaml", "creation_rules: []\n");
    assert_eq!(lines(&between("HEAD~1", "HEAD", &[]).code(1)).len(), 1);
    let output = between("HEAD~1", "HEAD", &["--fix"]).code(1);
    assert!(output.stderr.contains("--fix changes nothing here"), "{output}");
    // What Git does not know is not clean.
    for (from, to) in [("HEAD", "none"), ("none", "HEAD"), ("--output=x", "HEAD"), ("HEAD", "--help")] {
        let output = between(from, to, &[]);
        assert!(output.status > 1 || output.stderr.contains("not the name of a commit"), "{output}");
    }
    assert!(!test.path("x").exists());
}

#[test]
fn fix_encrypts_what_is_staged_as_it_stands_and_stages_nothing() {
    let test = repository();
    let both = |file: &str| git(&test, &["show", &format!(":{file}")]).run().ok().text().to_owned();
    add(&test, "secrets/a b.yaml", "a: hunter2\n");
    add(&test, "secrets/partly.yaml", "a: hunter2\n");
    test.write("secrets/partly.yaml", "a: hunter2\nb: 3\n");
    add(&test, "apps/unruly.yaml", SECRET);
    test.write("secrets/later.yaml", "a: hunter2\n");
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/later.yaml"]).run().ok();
    add(&test, "secrets/later.yaml", format!("added: hunter2\n{}", test.read_text("secrets/later.yaml")));
    // What is staged says for whom, not what is beside it.
    test.write(".sops.yaml", "creation_rules: []\n");

    let output = hook(&test, &["--fix"]).run().code(1);
    let _ = lines(&output);
    assert!(output.stderr.contains("encrypted secrets/a b.yaml: look at it, and stage it"), "{output}");
    assert!(output.stderr.contains("secrets/partly.yaml: not changed: the working tree"), "{output}");
    assert!(
        output.stderr.contains(
            "sealant edit secrets/later.yaml && git add secrets/later.yaml    # first remove line 1"
        ),
        "{output}"
    );
    assert!(
        output
            .stderr
            .contains("mv apps/unruly.yaml secrets/unruly.yaml && sealant encrypt -i secrets/unruly.yaml"),
        "{output}"
    );
    assert_eq!(test.read_text("secrets/partly.yaml"), "a: hunter2\nb: 3\n");
    assert_eq!(test.read_text("apps/unruly.yaml"), SECRET);
    assert_eq!(both("secrets/a b.yaml"), "a: hunter2\n");
    let decrypt = ["decrypt", "secrets/a b.yaml"];
    let output =
        program(&test, env!("CARGO_BIN_EXE_sealant"), &decrypt).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    assert_eq!(output.text(), "a: hunter2\n");
    git(&test, &["add", "secrets/a b.yaml"]).run().ok();
    hook(&test, &["secrets/a b.yaml"]).run().ok();
    // As the advice says: what came in goes out, and comes in as a ciphertext.
    let later = test.read_text("secrets/later.yaml").replace("added: hunter2\n", "");
    test.write("secrets/later.yaml", later);
    let editor = test.editor("echo 'added: hunter2' >> \"$1\"");
    let edit = program(&test, env!("CARGO_BIN_EXE_sealant"), &["edit", "secrets/later.yaml"]);
    edit.env("SOPS_AGE_KEY", IDENTITY).env("EDITOR", editor).run().ok();
    git(&test, &["add", "secrets/later.yaml"]).run().ok();
    hook(&test, &["secrets/later.yaml"]).run().ok();
    // From a subfolder it is the same file.
    git(&test, &["checkout", "-q", ".sops.yaml"]).run().ok();
    test.write("secrets/deep/c.yaml", "c: hunter2\n");
    git(&test, &["add", "secrets/deep"]).run().ok();
    hook(&test, &["--fix", "c.yaml"]).cwd("secrets/deep").run().code(1);
    assert!(test.read_text("secrets/deep/c.yaml").contains("ENC[AES256_GCM,"));
}

#[test]
fn where_nobody_can_look_the_commit_fails() {
    let test = repository();
    let elsewhere = Sandbox::new("");
    let outside = program(&elsewhere, env!("CARGO_BIN_EXE_sealant"), &["hook", "pre-commit"]).run().code(2);
    assert!(outside.stderr.contains("is not inside a Git repository"), "{outside}");
    // The content of what is staged is gone.
    add(&test, "secrets/a.yaml", "a: 1\n");
    add(&test, "secrets/b.yaml", "a: hunter2\n");
    let id = git(&test, &["rev-parse", ":secrets/a.yaml"]).run().ok().text().trim().to_owned();
    let object = test.path(format!(".git/objects/{}/{}", &id[..2], &id[2..]));
    std::fs::remove_file(object).unwrap();
    let output = hook(&test, &[]).run().code(2);
    assert!(output.stderr.contains("secrets/a.yaml: Git does not have the content"), "{output}");
    assert_eq!(lines(&output), [format!("secrets/b.yaml:1: {FOUND}")]);
    // A merge that is not done.
    git(&test, &["reset", "-q", "--hard"]).run().ok();
    let conflict = "git checkout -qb one && echo a > f && git add f && git commit -qm a && \
                    git checkout -q main && echo b > f && git add f && git commit -qm b && ! git merge -q one";
    program(&test, "sh", &["-ec", conflict]).run().ok();
    let output = hook(&test, &[]).run().code(2);
    assert!(output.stderr.contains("f: has a conflict that is not resolved"), "{output}");
    // And no Git at all.
    let output = hook(&test, &[]).env("PATH", "/nowhere").run().code(2);
    assert!(output.stderr.contains("`git` cannot be started"), "{output}");
}

#[test]
fn what_git_leaves_unanswered_is_not_clean() {
    let test = repository();
    for number in 0..300 {
        test.write(format!("secrets/{number}.yaml"), format!("a: hunter{number}\n"));
    }
    git(&test, &["add", "."]).run().ok();
    let real = program(&test, "sh", &["-c", "command -v git"]).run().ok().text().trim().to_owned();
    for answer in [
        "exit 1",
        "echo 'fatal: out of luck' >&2; exit 128",
        "printf nonsense",
        "read id; echo \"$id blob 1000\"; printf short",
        "read id; echo \"$id commit 1\"; echo x; cat > rest",
        "while read id; do echo \"0000$id blob 1\"; echo x; done",
    ] {
        let script = format!(
            "#!/bin/sh\nreal={real}\ncase $* in *cat-file*) {answer};; *) exec \"$real\" \"$@\";; esac\n"
        );
        test.write("../bin/git", script);
        program(&test, "chmod", &["+x", "../bin/git"]).run().ok();
        let path = format!("{}:{}", test.path("../bin").display(), std::env::var("PATH").unwrap());
        let output = hook(&test, &[]).env("PATH", path).run().code(2);
        assert_eq!(output.stderr.matches("error:").count(), 1, "{output}");
        assert!(output.stderr.contains("git cat-file"), "{output}");
    }
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    let test = repository();
    let other = unborn();
    git(&other, &["commit", "-qm", "x"]).run().ok();
    let url = other.path("").display().to_string();
    git(&test, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub"]).run().ok();
    git(&test, &["commit", "-qm", "sub"]).run().ok();
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["git", "install"]).cwd("sub").run().ok();
    assert!(test.path("sub/.gitattributes").exists() && !test.path(".gitattributes").exists());
    test.write("sub/secrets/a.yaml", "a: hunter2\n");
    git(&test, &["add", "."]).cwd("sub").run().ok();
    let output = git(&test, &["commit", "-qm", "x"]).cwd("sub").run();
    assert!(output.status != 0 && output.stderr.contains("secrets/a.yaml:1: "), "{output}");
    // Only its own config counts for it, as in a clone by itself.
    git(&test, &["rm", "-qf", ".sops.yaml"]).cwd("sub").run().ok();
    git(&test, &["reset", "-q", "secrets"]).cwd("sub").run().ok();
    git(&test, &["commit", "-qnm", "no rules"]).cwd("sub").run().ok();
    git(&test, &["add", "secrets"]).cwd("sub").run().ok();
    git(&test, &["commit", "-qm", "x"]).cwd("sub").run().ok();
    // To the other it is one entry, whatever is in it; but not what became of its rules.
    git(&test, &["add", "sub"]).run().ok();
    let output = hook(&test, &[]).run().code(1);
    assert_eq!(output.text().lines().count(), 1, "{output}");
    assert!(output.text().contains("no rule matches files such as `sub/secrets/a` any more"), "{output}");
}

#[test]
fn thousands_of_files_are_looked_at() {
    let test = repository();
    for number in 0..3000 {
        test.write(format!("secrets/{}/{number}.yaml", number % 50), "");
        test.write(format!("apps/{}/{number}.yaml", number % 50), format!("kind: ConfigMap\nn: {number}\n"));
    }
    test.write("apps/0/last.yaml", SECRET);
    test.write("secrets/49/last.yaml", "a: hunter2\n");
    git(&test, &["add", "."]).run().ok();
    assert_eq!(lines(&hook(&test, &[]).run().code(1)).len(), 2);
}

#[test]
fn nothing_in_a_file_hides_plaintext_from_the_hook() {
    let sealed = "apiVersion: sealant.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a, namespace: b}\nspec: {encryptedData: {}}\n";
    let secret = SECRET.replace("stringData:\n  a: hunter2\n", "data:\n  a: ''\n");
    for (file, text, expected) in [
        ("secrets/a.yaml", format!("{sealed}---\npassword: hunter2\n"), "6 plaintext"),
        ("secrets/a.yaml", "sops:\n  password: hunter2\n".to_owned(), "2 plaintext"),
        ("secrets/a.json", "{\"sops\":{\"pw\":\"hunter2\"}}".to_owned(), "1 plaintext"),
        ("secrets/a.ini", "[sops]\npw = hunter2\n".to_owned(), "2 plaintext"),
        ("secrets/a.env", "sops_pw=hunter2\n".to_owned(), "1 plaintext"),
        ("secrets/a.yaml", "# pw: hunter2\n".to_owned(), "1 comment"),
        ("secrets/a.env", "#PASSWORD=hunter2\n".to_owned(), "1 comment"),
        ("a.yaml", SECRET.replace("Secret", "\"\\x53ecret\""), "5 kubernetes-secret"),
        ("a.yaml", format!("x: &x {{stringData: {{p: hunter2}}}}\n{secret}<<: *x\n"), "1 kubernetes-secret"),
        ("a.yaml", SECRET.replace("  a: hunter2", "  a: ${hunter2}"), "5 kubernetes-secret"),
        ("a.yaml", "kind: Secret\n{{ if .x }}\nstringData: {p: hunter2}\n".to_owned(), "3 kubernetes-secret"),
    ] {
        let test = repository();
        add(&test, file, &text);
        let (line, id) = expected.split_once(' ').unwrap();
        let found = lines(&hook(&test, &[]).run().code(1));
        assert!(
            matches!(&found[..], [found] if found.starts_with(&format!("{file}:{line}: ")) && found.ends_with(&format!("[{id}]"))),
            "{found:?}: {text}"
        );
    }
}

#[test]
fn a_copy_for_other_readers_is_found_among_all_that_is_staged() {
    let test = repository();
    let developer = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    let rules = format!("{}  - path_regex: ^dev/\n    age: {RECIPIENT},{developer}\n", rule());
    add(&test, ".sops.yaml", rules);
    test.write("secrets/a.yaml", "a: hunter2\n");
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    git(&test, &["add", "secrets"]).run().ok();
    git(&test, &["commit", "-qm", "a secret", "--no-verify"]).run().ok();
    let secret = test.read_text("secrets/a.yaml");
    // What is in the working tree does not count.
    test.write("secrets/a.yaml", "");
    add(&test, "dev/copy.yaml", &secret);
    let output = hook(&test, &[]).run().code(1);
    let found = lines(&output);
    assert!(
        found.iter().any(|line| line.starts_with("dev/copy.yaml:")
            && line.contains("secrets/a.yaml")
            && line.ends_with("[copied]")),
        "{output}"
    );
}

#[test]
fn what_cannot_be_read_is_told_whatever_the_rule_selects() {
    for regex in [".*", "^(data|stringData|password|token)$", "(?i)(pass|token|secret|data)"] {
        let test = repository();
        add(&test, ".sops.yaml", format!("{}    encrypted_regex: {regex}\n", rule()));
        git(&test, &["commit", "-qm", "rules"]).run().ok();
        add(&test, "secrets/a.env", "password=\"hunter2\nmore\"\n");
        add(&test, "secrets/b.json", "[{\"password\": \"hunter2\"}]");
        // A line break to go-yaml, also within a comment.
        add(&test, "secrets/c.yaml", "a: 1 # x\u{2028}password: hunter2\n");
        add(&test, "secrets/.sops.yml", "password: hunter2\n");
        let output = hook(&test, &[]).run().code(1);
        let found: BTreeSet<_> =
            lines(&output).iter().filter_map(|line| line.split(':').next().map(str::to_owned)).collect();
        let expected = ["secrets/.sops.yml", "secrets/a.env", "secrets/b.json", "secrets/c.yaml"];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{regex} {output}");
    }
    let test = repository();
    let secret =
        "apiVersion: v1 # x\u{2028}kind: Secret\u{2028}metadata: {name: a}\u{2028}stringData: {p: hunter2}\n";
    add(&test, "apps/a.yaml", secret);
    let output = hook(&test, &[]).run().code(1);
    assert!(lines(&output).iter().any(|line| line.ends_with("[kubernetes-secret]")), "{output}");

    // The usual rule of Flux is about Secrets alone, and these are some to the API server.
    let test = repository();
    add(&test, ".sops.yaml", format!("{}    encrypted_regex: ^(data|stringData)$\n", rule()));
    git(&test, &["commit", "-qm", "rules"]).run().ok();
    let secret = |kind: &str| format!("apiVersion: v1\n{kind}\n1: a\nstringData: {{p: hunter2}}\n");
    for (at, kind) in [
        "kind: \"\\x53ecret\"",
        "kind: !!binary U2VjcmV0",
        "\"kind\" : >-\n  Secret",
        "x: &k Secret\nkind: *k",
    ]
    .iter()
    .enumerate()
    {
        add(&test, &format!("secrets/{at}.yaml"), secret(kind));
    }
    add(&test, "secrets/4.json", "{\"kind\": \"\\u0053ecret\", \"data\": {\"p\": \"aHVudGVyMg==\"},}\n");
    add(&test, "secrets/5.yaml", "a: [}\nkind: \"\\x53ecret\" # {{ a }}\nstringData: {p: hunter2}\n");
    // Honest templates are let be.
    add(&test, "secrets/6.yaml", "{{ if .a }}\nkind: ConfigMap\ndata:\n  a: {{ .b }}\n   c: d\n{{ end }}\n");
    let output = hook(&test, &[]).run().code(1);
    let found: BTreeSet<_> =
        lines(&output).iter().filter_map(|line| line.split(':').next().map(str::to_owned)).collect();
    let expected =
        ["0.yaml", "1.yaml", "2.yaml", "3.yaml", "4.json", "5.yaml"].map(|name| format!("secrets/{name}"));
    assert!(found.iter().eq(&expected), "{output}");
}
