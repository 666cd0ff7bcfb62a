//! Files that are named like options, where Git or others put their names behind our lines.

use super::*;

const NAMES: [&str; 4] = ["--help.yaml", "-h.yaml", "--identity=q.yaml", "--version.yaml"];

#[test]
fn a_file_named_like_an_option_is_shown_and_merged() {
    let test = repository();
    let sealant = env!("CARGO_BIN_EXE_sealant");
    program(&test, sealant, &["git", "install"]).run().ok();
    let text = |one: &str, two: &str| format!("a: {one}\nb: x\nc: x\nd: x\ne: {two}\n");
    let write = |name: &str, text: &str| {
        test.write(format!("secrets/{name}"), text);
        let name = format!("./{name}");
        program(&test, sealant, &["encrypt", "-i", &name]).cwd("secrets").run().ok();
    };
    let encrypt_all = |one: &str, two: &str| {
        for name in NAMES {
            write(name, &text(one, two));
            std::fs::rename(test.path(format!("secrets/{name}")), test.path(name)).unwrap();
        }
    };
    let commit = |message: &str| {
        git(&test, &["add", "."]).run().ok();
        git(&test, &["commit", "-qm", message, "--no-verify"]).run().ok();
    };
    encrypt_all("old", "old");
    commit("base");
    for line in ["sealant git textconv --", "sealant git textconv"] {
        git(&test, &["config", "diff.sealant.textconv", line]).run().ok();
        encrypt_all("new", "old");
        let output = git(&test, &["diff"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(output.text().matches("-a: old\n+a: new\n").count(), NAMES.len(), "{line} {output}");
    }
    // And both sides of a merge.
    let set = |key: &str, value: &str| {
        git(&test, &["checkout", "-q", "."]).run().ok();
        for name in NAMES {
            let path = format!("./{name}");
            let value = format!("\"{value}\"");
            let set = program(&test, sealant, &["set", &path, key, &value]);
            set.env("SOPS_AGE_KEY", IDENTITY).run().ok();
        }
    };
    git(&test, &["checkout", "-q", "-f", "-b", "branch"]).run().ok();
    set("[\"a\"]", "theirs");
    commit("theirs");
    git(&test, &["checkout", "-q", "main"]).run().ok();
    set("[\"e\"]", "ours");
    commit("ours");
    git(&test, &["merge", "-q", "branch"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    for name in NAMES {
        let path = format!("./{name}");
        let shown = program(&test, sealant, &["decrypt", &path]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(shown.text(), text("theirs", "ours"), "{name}");
    }
}

#[test]
fn a_file_named_like_an_option_does_not_switch_off_the_hook() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    assert!(hook(&test, &["--help"]).run().ok().text().contains("Usage:"));
    for name in ["--help", "-h", "--fix", "--quiet", "-q", "--config=x", "--color=never", "-"] {
        add(&test, name, "x\n");
        for args in [&[name][..], &[name, "secrets/a.yaml"], &["--fix", name]] {
            let output = hook(&test, args).run().code(1);
            assert!(!lines(&output).is_empty(), "{args:?} {output}");
            git(&test, &["checkout", "-q", "secrets/a.yaml"]).run().ok();
        }
    }
}

#[test]
fn markers_are_opened_for_a_conflict_alone() {
    let test = repository();
    let sealant = env!("CARGO_BIN_EXE_sealant");
    program(&test, sealant, &["git", "install"]).run().ok();
    let keyed = |run: Run| run.env("SOPS_AGE_KEY", IDENTITY);
    add(&test, "secrets/a.yaml", "admin: PLANTED\nb: x\n");
    program(&test, sealant, &["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qm", "base"]).run().ok();
    let good = test.read_text("secrets/a.yaml");
    // Somebody without a key puts markers around what was there once, and commits it.
    let (line, rest) = good.split_once('\n').unwrap();
    let forged = format!("<<<<<<< ours\n{line}\n=======\n>>>>>>> theirs\n{rest}");
    test.write("secrets/a.yaml", &forged);
    let show = |args: &[&str]| keyed(git(&test, args)).run().ok();
    assert!(!show(&["diff"]).text().contains("admin: PLANTED\n+"), "{}", show(&["diff"]));
    git(&test, &["commit", "-qam", "forged", "--no-verify"]).run().ok();
    for args in [&["log", "-p", "-1"][..], &["show"]] {
        let output = show(args);
        assert!(
            output.text().contains("+<<<<<<< ours") && output.text().contains("+admin: ENC["),
            "{output}"
        );
    }
    let output = keyed(program(&test, sealant, &["git", "textconv", "secrets/a.yaml"])).run().ok();
    assert_eq!(output.text(), forged);
    // While there is a conflict they are.
    git(&test, &["reset", "-q", "--hard", "HEAD~1"]).run().ok();
    let set = |value: &str| {
        keyed(program(&test, sealant, &["set", "secrets/a.yaml", "[\"b\"]", value])).run().ok();
        git(&test, &["commit", "-qam", "set"]).run().ok();
    };
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    set("\"theirs\"");
    git(&test, &["checkout", "-q", "main"]).run().ok();
    set("\"ours\"");
    assert_ne!(keyed(git(&test, &["merge", "-q", "branch"])).run().status, 0);
    let output = show(&["diff"]);
    assert!(
        output.text().contains("b: theirs") && output.stderr.contains("without verification"),
        "{output}"
    );
}
