use sealant_test_support::{Output, Sandbox};

use super::{IDENTITY, KEYS_TXT, RECIPIENT, sandbox};

/// What a stranger writes into names, and would like a terminal or the log of a job to act on.
const PLANTED: &str = "\u{1b}]0;pwned\u{7}\u{1b}[2J\u{202e}\r\n::error::pwned\n##[error]pwned\u{2028}";

/// The same as it is spelt in a YAML string.
const SPELT: &str = r"\e]0;pwned\a\e[2J\u202e\r\n::error::pwned\n##[error]pwned\u2028";

/// The files of a stranger's repository.
fn cloned() -> (Sandbox, Vec<String>) {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), IDENTITY);
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: secrets/\n    age: {RECIPIENT}\n"));
    let name = |what: &str| format!("secrets/{what}{PLANTED}.yaml");
    let plain = format!("\"key{SPELT}\": hunter2\n");
    test.write("secrets/begin.yaml", &plain);
    test.sealant(&["encrypt", "-i", "secrets/begin.yaml"]).run().ok();
    let encrypted = test.read_text("secrets/begin.yaml");
    let stranger =
        encrypted.replace(&format!("recipient: {RECIPIENT}"), &format!("recipient: \"age1stranger{SPELT}\""));
    assert_ne!(encrypted, stranger);
    let sealed = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {c: d}\n";
    test.write("sealed.yaml", sealed);
    let sealed = test.sealant(&["seal", "--age", RECIPIENT, "sealed.yaml"]).run().ok().text().to_owned();
    let files = [
        (name("plain"), plain.clone()),
        (name("encrypted"), encrypted),
        (name("stranger"), stranger),
        (name("damaged"), format!("\"a{SPELT}\": [\n")),
        (name("sealed"), sealed.replace("name: a", &format!("name: \"a{SPELT}\""))),
        (format!("secrets/::stop-commands::{PLANTED}.yaml"), plain),
        ("::warning::at the top.yaml".to_owned(), "a: b\n".to_owned()),
    ];
    for (name, text) in &files {
        test.write(name, text);
    }
    let git = |args: &[&str]| test.program("git", args).run().ok();
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]);
    (test, files.into_iter().map(|(name, _)| name).collect())
}

/// Nothing that was planted does anything where this is shown.
fn search(what: &str, output: &Output) {
    let all = [String::from_utf8_lossy(&output.stdout).into_owned(), output.stderr.clone()].concat();
    // Lines of CSV end so.
    let all = all.replace("\r\n", "\n");
    for c in ['\u{1b}', '\u{7}', '\u{202e}', '\u{2028}', '\r'] {
        assert!(!all.contains(c), "{what}: {c:?} is in it\n{all:?}");
    }
    // These print what is in a file, which was asked for.
    let prints_contents = ["textconv", "decrypt", "diff", "seal\"", "unseal", "get", "generate"]
        .map(|name| what.contains(name));
    assert!(prints_contents.contains(&true) || !all.contains("##["), "{what}\n{all:?}");
    for line in all.lines() {
        assert!(!line.trim_start().starts_with("::"), "{what}: {line:?}");
        assert!(!line.starts_with("pwned"), "{what}: {line:?}");
    }
}

#[test]
fn no_command_shows_what_strangers_write_as_it_is() {
    let (test, files) = cloned();
    let mut shown = 0;
    for command in [
        &["check"][..],
        &["check", "--verify"],
        &["check", "--format", "sarif"],
        &["check", "--format", "json"],
        &["updatekeys", "--dry-run"],
        &["status"],
        &["status", "--ages"],
        &["who-can-decrypt"],
        &["who-can-decrypt", "--format", "csv"],
        &["inspect"],
        &["inspect", "--format", "json"],
        &["explain"],
        &["explain", "--format", "json"],
        &["filestatus"],
        &["encrypt", "--dry-run", "-i"],
        &["decrypt", "--dry-run", "-i"],
        &["rotate", "--dry-run", "-i"],
        &["rewrap", "--dry-run"],
        &["get"],
        &["set"],
        &["unset"],
        &["edit"],
        &["exec-env"],
        &["exec-file"],
        &["seal"],
        &["unseal"],
        &["hook", "pre-commit"],
        &["git", "textconv"],
        &["resolve"],
        &["argocd", "generate"],
        &["argocd", "discover"],
        &["no-such-command"],
        &["sops", "decrypt"],
        &["sops", "filestatus"],
        &["sops", "updatekeys", "-y"],
    ] {
        let names: Vec<&str> = files.iter().map(String::as_str).chain(["secrets", "."]).collect();
        for name in names {
            let args = [command, &[name]].concat();
            let output = test.sealant(&args).env("EDITOR", "true").run();
            search(&format!("{args:?}"), &output);
            shown += usize::from(format!("{}{}", output.text(), output.stderr).contains("pwned"));
        }
    }
    assert!(shown > 60, "the planted words are seldom shown: {shown}");
    for args in [
        &["doctor"][..],
        &["doctor", "--format", "json"],
        &["who-can-decrypt"],
        &["blast-radius", RECIPIENT],
        &["blast-radius", "--format", "csv", RECIPIENT],
        &["updatekeys", "--yes", "secrets"],
        &["diff", &files[1], &files[2]],
        &["diff", "--names-only", &files[1], &files[0]],
        &["set", &files[0], &format!("[\"x{SPELT}\"]"), "1"],
        &["get", &files[1], "[\"\\u001b[2J\\n::error::x\"]"],
        &["encrypt", "--age", PLANTED, "sealed.yaml"],
        &["rotate", "--add-age", PLANTED, &files[1]],
        &["check", "--fix", "secrets"],
    ] {
        search(&format!("{args:?}"), &test.sealant(args).run());
    }
}

#[test]
fn a_config_of_a_stranger_is_quoted_safely() {
    let test = sandbox();
    for rule in [
        format!("age: \"age1{SPELT}\""),
        format!("path_regex: \"({SPELT}\""),
        format!("\"agee{SPELT}\": x"),
        format!("hc_vault_transit_uri: \"https://v{SPELT}/v1/transit/keys/k\""),
        format!("path_regex: \"^a{SPELT}$\"\n    age: {RECIPIENT}"),
    ] {
        test.write(".sops.yaml", format!("creation_rules:\n  - {rule}\n"));
        test.write("a.yaml", "a: b\n");
        for args in
            [&["encrypt", "a.yaml"][..], &["explain", "a.yaml"], &["doctor"], &["check", "."], &["init"]]
        {
            search(&format!("{args:?} {rule}"), &test.sealant(args).run());
        }
    }
}

#[test]
fn a_question_lists_recipients_safely() {
    let (test, files) = cloned();
    let mut terminal = test.sealant(&["--color", "never", "updatekeys", &files[2]]).on_terminal();
    let before = terminal.wait_for("[y/N]");
    assert!(before.contains("age1stranger\\x1b]0;pwned\\x07"), "{before:?}");
    assert!(!before.contains('\u{1b}') && !before.contains('\u{202e}'), "{before:?}");
    assert!(before.lines().all(|line| !line.trim_start().starts_with("::")), "{before:?}");
    terminal.send_line("n");
    let _ = terminal.finish();
}

/// A guess is about what somebody sees, and never about another repository.
#[test]
fn a_file_that_is_not_there_is_looked_for_in_the_repository_alone() {
    let test = super::sandbox();
    test.program("git", &["init", "-q", "repo"]).run().ok();
    test.write("alpha.yaml", "a: 1\n");
    test.write("repo/bravissimo.yaml", "a: 1\n");
    test.write("repo/deep/charlie.yaml", "a: 1\n");
    test.write("repo/deep/er/delta.yaml", "a: 1\n");
    let said = |folder: &str, file: &str| test.sealant(&["decrypt", file]).cwd(folder).run().code(100).stderr;
    assert!(!said("repo", "alpha.yaml").contains("../alpha.yaml"));
    assert!(!said("repo/deep/er", "alpha.yaml").contains("../alpha.yaml"));
    assert!(said("repo/deep/er", "bravissimo.yaml").contains("Did you mean ../../bravissimo.yaml?"));
    assert!(said("repo", "delta.yaml").contains("Did you mean deep/er/delta.yaml?"));
    assert!(said("repo", "deep/char").contains("Did you mean deep/charlie.yaml?"));
    // Below before above.
    test.write("repo/deep/er/bravissimo.yaml", "a: 1\n");
    assert!(said("repo/deep", "bravissimo.yaml").contains("Did you mean er/bravissimo.yaml?"));
}
