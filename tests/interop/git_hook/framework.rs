//! The real pre-commit framework runs what `.pre-commit-hooks.yaml` says.

use sealant_test_support::Peers;

use super::*;

/// The framework, with our program on the `PATH`.
pub fn pre_commit(test: &Sandbox, args: &[&str]) -> Run {
    with_framework(program(test, "python3", &["-m", "pre_commit"]).args(args))
}

fn with_framework(run: Run) -> Run {
    run.env("PYTHONPATH", Peers::get().directory().join("pre-commit")).env("PYTHONDONTWRITEBYTECODE", "1")
}

/// A clone of ours, as far as the framework looks at it, at a tag.
fn ours() -> Sandbox {
    let ours = Sandbox::new("");
    git(&ours, &["init", "-q"]).run().ok();
    ours.write(".pre-commit-hooks.yaml", include_str!("../../../.pre-commit-hooks.yaml"));
    git(&ours, &["add", "."]).run().ok();
    git(&ours, &["commit", "-qm", "hooks"]).run().ok();
    git(&ours, &["tag", "v1"]).run().ok();
    ours
}

/// A repository that uses the framework.
fn with_config(ours: &Sandbox, more: &str) -> Sandbox {
    let test = repository();
    let repo = ours.path("").display().to_string();
    let repo = repo.trim_end_matches('/');
    add(
        &test,
        ".pre-commit-config.yaml",
        format!("repos:\n- repo: {repo}\n  rev: v1\n  hooks:\n  - id: sealant-system\n{more}"),
    );
    git(&test, &["commit", "-qm", "framework"]).run().ok();
    test
}

#[test]
fn the_manifest_is_valid() {
    let ours = ours();
    pre_commit(&ours, &["validate-manifest", ".pre-commit-hooks.yaml"]).run().ok();
    let manifest = ours.read_text(".pre-commit-hooks.yaml");
    assert!(manifest.contains("- id: sealant\n") && manifest.contains("language: rust"));
}

#[test]
fn a_commit_cannot_carry_a_secret_in_clear() {
    let ours = ours();
    let test = with_config(&ours, "");
    pre_commit(&test, &["install"]).run().ok();
    let commit = || with_framework(git(&test, &["commit", "-qm", "x"])).run();
    add(&test, "apps/secret.yaml", SECRET);
    add(&test, "secrets/a b.yaml", "a: hunter2\n");
    add(&test, "secrets/key store.bin", [0, 159, 146, 150]);
    let output = commit();
    assert_ne!(output.status, 0, "{output}");
    assert!(!output.to_string().contains(PLANTED), "{output}");
    for found in [
        "apps/secret.yaml:5: a Kubernetes Secret has a value in plaintext",
        "secrets/a b.yaml:1: a value is in plaintext",
        "secrets/key store.bin:1: is in plaintext",
    ] {
        assert!(output.to_string().contains(found), "{output}");
    }
    // What is in the working tree makes what is staged no better.
    let args = ["encrypt", "-i", "--age", RECIPIENT, "apps/secret.yaml", "secrets"];
    program(&test, env!("CARGO_BIN_EXE_sealant"), &args).run().ok();
    assert_ne!(commit().status, 0);
    git(&test, &["add", "."]).run().ok();
    test.write("secrets/a b.yaml", "a: hunter2\n");
    let output = commit().ok();
    assert!(output.to_string().contains("Passed"), "{output}");
    let committed = git(&test, &["show", "HEAD:secrets/a b.yaml"]).run().ok();
    assert!(committed.text().contains("ENC[AES256_GCM,") && !committed.text().contains(PLANTED));
}

#[test]
fn commits_are_looked_at_and_all_files() {
    let ours = ours();
    let test = with_config(&ours, "");
    let base = git(&test, &["rev-parse", "HEAD"]).run().ok().text().trim().to_owned();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "bad"]).run().ok();
    add(&test, "README.md", "hello\n");
    git(&test, &["commit", "-qm", "good"]).run().ok();
    let between =
        |from: &str, to: &str| pre_commit(&test, &["run", "--from-ref", from, "--to-ref", to]).run();
    let output = between(&base, "HEAD").code(1);
    assert!(output.text().contains("secrets/a.yaml:1: "), "{output}");
    between("HEAD~1", "HEAD").ok();
    let output = pre_commit(&test, &["run", "--all-files"]).run().code(1);
    assert!(output.text().contains("secrets/a.yaml:1: "), "{output}");
}

#[test]
fn a_push_of_what_was_committed_without_the_hook_is_refused() {
    let ours = ours();
    let test = with_config(&ours, "");
    git(&test, &["init", "-q", "--bare", "../origin.git"]).run().ok();
    git(&test, &["remote", "add", "origin", "../origin.git"]).run().ok();
    git(&test, &["push", "-q", "origin", "main"]).run().ok();
    pre_commit(&test, &["install", "--hook-type", "pre-push"]).run().ok();
    let push = |branch: &str| with_framework(git(&test, &["push", "-q", "origin", branch])).run();
    add(&test, "README.md", "hello\n");
    git(&test, &["commit", "-qm", "good"]).run().ok();
    push("main").ok();
    git(&test, &["checkout", "-qb", "new"]).run().ok();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "bad"]).run().ok();
    // What is in the working tree and in the index is better already.
    program(&test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    git(&test, &["add", "."]).run().ok();
    let output = push("new");
    assert!(output.status != 0 && output.to_string().contains("secrets/a.yaml:1: "), "{output}");
    git(&test, &["rev-parse", "-q", "--verify", "new"]).cwd("../origin.git").run().code(1);
}

#[test]
fn files_that_are_split_over_processes_are_all_looked_at() {
    let ours = ours();
    let test = with_config(&ours, "    require_serial: false\n");
    let long = "long".repeat(40);
    for number in 0..2000 {
        test.write(format!("apps/{long}/{number}.yaml"), "kind: ConfigMap\n");
    }
    for number in [0, 999, 1999] {
        test.write(format!("apps/{long}/{number}.yaml"), SECRET);
    }
    git(&test, &["add", "."]).run().ok();
    let output = pre_commit(&test, &["run", "--verbose"]).run().code(1);
    assert_eq!(output.text().matches("a Kubernetes Secret has a value in plaintext").count(), 3, "{output}");
    // Each process tells how many files it had.
    assert!(output.text().matches(" checked, ").count() > 1, "{output}");
}

#[test]
fn fix_is_an_argument_like_others() {
    let ours = ours();
    let test = with_config(&ours, "    args: [--fix, --]\n");
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    let output = pre_commit(&test, &["run"]).run().code(1);
    assert!(output.text().contains("files were modified by this hook"), "{output}");
    assert!(test.read_text("secrets/a.yaml").contains("ENC[AES256_GCM,"));
    pre_commit(&test, &["run"]).run().code(1);
    git(&test, &["add", "."]).run().ok();
    pre_commit(&test, &["run"]).run().ok();
}

#[test]
fn a_file_that_is_named_like_a_flag_is_a_file() {
    let ours = ours();
    for (more, weak) in [("", "--help"), ("", "--config=weak.yaml"), ("    args: [--fix, --]\n", "--help")] {
        let test = with_config(&ours, more);
        test.write(weak, "");
        test.write("weak.yaml", "creation_rules: []\n");
        test.write("secrets/a.yaml", "a: hunter2\n");
        git(&test, &["add", "."]).run().ok();
        let output = pre_commit(&test, &["run"]).run().code(1);
        assert!(output.text().contains("secrets/a.yaml:1: "), "{weak}: {output}");
    }
    assert_eq!(ours.read_text(".pre-commit-hooks.yaml").matches("\n  args: [\"--\"]\n").count(), 2);
}

#[test]
fn links_are_looked_at_alone_and_beside_files() {
    let ours = ours();
    // As in a config of somebody's own, which asks for files.
    let own = "- repo: local\n  hooks:\n  - {id: mine, name: mine, entry: sealant hook pre-commit --, language: system}\n";
    for (own, with_file) in [("", false), ("", true), (own, true)] {
        let test = with_config(&ours, if own.is_empty() { "" } else { "    stages: [manual]\n" });
        let config = test.read_text(".pre-commit-config.yaml");
        add(&test, ".pre-commit-config.yaml", format!("{config}{own}"));
        git(&test, &["commit", "-qnm", "config", "--allow-empty"]).run().ok();
        std::fs::create_dir_all(test.path("secrets")).unwrap();
        std::os::unix::fs::symlink("../../elsewhere.yaml", test.path("secrets/link.yaml")).unwrap();
        git(&test, &["add", "secrets/link.yaml"]).run().ok();
        if with_file {
            add(&test, "README.md", "hello\n");
        }
        let output = pre_commit(&test, &["run"]).run().code(1);
        assert!(
            output.text().contains("secrets/link.yaml:1: ") && output.text().contains("[link]"),
            "{output}"
        );
    }
}
