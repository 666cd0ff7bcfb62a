use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, STRANGER, encrypt, sandbox, with_secret};

const TEXT: &str = "# all of it\ndb:\n  password: hunter2\n  port: 5432\nhosts: [a, b]\n";

fn git(test: &Sandbox, args: &[&str]) {
    let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    let _ = test.program("git", &who).args(args).run().ok();
}

fn committed() -> Sandbox {
    let test = with_secret(TEXT);
    git(&test, &["init", "-q"]);
    git(&test, &["add", "."]);
    git(&test, &["commit", "-qm", "first"]);
    test
}

fn set(test: &Sandbox, path: &str, value: &str) {
    let _ = test.sealant(&["set", "secret.yaml", path, value]).run().ok();
}

#[test]
fn a_file_is_compared_with_the_last_commit() {
    let test = committed();
    assert_eq!(test.sealant(&["diff", "secret.yaml"]).run().ok().text(), "");
    set(&test, "[\"db\"][\"password\"]", "\"correct\"");
    let output = test.sealant(&["diff", "secret.yaml"]).run().code(1);
    assert_eq!(
        output.text(),
        "--- HEAD:secret.yaml\n+++ secret.yaml\n@@ -1,5 +1,5 @@\n # all of it\n db:\n-  password: hunter2\n\
         +  password: correct\n   port: 5432\n hosts: [a, b]\n"
    );
    git(&test, &["commit", "-qam", "second"]);
    assert_eq!(test.sealant(&["diff", "secret.yaml"]).run().ok().text(), "");
    let output = test.sealant(&["diff", "--from", "HEAD~1", "--names-only"]).run().code(1);
    assert_eq!(output.text(), "secret.yaml\n~ [\"db\"][\"password\"]\n");
}

#[test]
fn without_a_file_all_encrypted_ones_are_compared() {
    let test = committed();
    test.write("plain.yaml", "a: 1\n");
    encrypt(&test, "sub/new.yaml", "n: 1\n");
    git(&test, &["add", "."]);
    set(&test, "[\"db\"][\"port\"]", "1");
    let names = |folder: &str| {
        let output = test.sealant(&["diff", "--names-only"]).cwd(folder).run().code(1);
        output.text().to_owned()
    };
    let new = format!("+ recipient {RECIPIENT}\n+ unencrypted_suffix: _unencrypted\n+ [\"n\"]\n");
    assert_eq!(names(""), format!("secret.yaml\n~ [\"db\"][\"port\"]\nsub/new.yaml\n{new}"));
    assert_eq!(names("sub"), format!("new.yaml\n{new}"));
}

#[test]
fn two_files_are_compared_encrypted_or_not() {
    let test = with_secret(TEXT);
    test.write("plain.yaml", TEXT);
    assert_eq!(test.sealant(&["diff", "plain.yaml", "secret.yaml"]).run().ok().text(), "");
    test.write("plain.yaml", TEXT.replace("# all", "# some"));
    let output = test.sealant(&["diff", "secret.yaml", "plain.yaml"]).run().code(1);
    assert!(output.text().contains("-# all of it\n+# some of it\n"), "{output}");
    let output = test.sealant(&["diff", "--names-only", "secret.yaml", "plain.yaml"]).run().code(1);
    assert_eq!(output.text(), "plain.yaml\n~ comments or layout only\n");
    let piped = test.sealant(&["diff", "-", "secret.yaml"]).stdin(TEXT).run().ok();
    assert_eq!(piped.text(), "");
}

#[test]
fn who_can_decrypt_is_part_of_it() {
    let test = with_secret(TEXT);
    test.write("other.yaml", TEXT);
    let two = format!("{RECIPIENT},{STRANGER}");
    test.sealant(&["encrypt", "-i", "--age", &two, "--encrypted-regex", "^db$", "other.yaml"]).run().ok();
    let output = test.sealant(&["diff", "secret.yaml", "other.yaml"]).run().code(1);
    assert_eq!(
        output.text(),
        format!(
            "--- secret.yaml\n+++ other.yaml\n@@ who can decrypt, and what is encrypted @@\n\
             -unencrypted_suffix: _unencrypted\n+recipient {STRANGER}\n+encrypted_regex: ^db$\n"
        )
    );
}

/// The config with these recipients and names.
fn config(test: &Sandbox, keys: &[(&str, &str)]) {
    let age: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let names: Vec<String> = keys.iter().map(|(key, name)| format!("    {key}: {name}\n")).collect();
    let (age, names) = (age.join(","), names.concat());
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {age}\nsealant:\n  recipients:\n{names}"));
}

#[test]
fn recipients_have_their_names_also_those_that_were_removed() {
    let test = sandbox();
    config(&test, &[(RECIPIENT, "Anna"), (STRANGER, "Ben")]);
    test.write("secret.yaml", "a: 1\n");
    test.write("sub/secret.yaml", "a: 1\n");
    test.sealant(&["encrypt", "-i", "secret.yaml", "sub/secret.yaml"]).run().ok();
    git(&test, &["init", "-q"]);
    git(&test, &["add", "."]);
    git(&test, &["commit", "-qm", "first"]);
    config(&test, &[(RECIPIENT, "Anna")]);
    let run = test.sealant(&["updatekeys", "--yes", "."]).env("SOPS_AGE_KEY", IDENTITY);
    run.run().ok();
    let gone = format!("-recipient {STRANGER} (Ben)\n");
    let diff = |args: &[&str]| test.sealant(&["diff"]).args(args).env("SOPS_AGE_KEY", IDENTITY).run();
    let output = diff(&["secret.yaml"]).code(1);
    assert!(output.text().ends_with(&format!("what is encrypted @@\n{gone}")), "{output}");
    let names = diff(&["--names-only"]).code(1);
    assert_eq!(names.text().matches(&gone.replacen('-', "- ", 1)).count(), 2, "{names}");
    git(&test, &["commit", "-qam", "Ben leaves"]);
    let output = diff(&["HEAD~1..HEAD", "secret.yaml"]).code(1);
    assert!(output.text().contains(&gone), "{output}");
    // The other way round he comes.
    let output = diff(&["--from", "HEAD", "--to", "HEAD~1", "secret.yaml"]).code(1);
    assert!(output.text().contains(&gone.replacen('-', "+", 1)), "{output}");
    let json = diff(&["--format", "json", "HEAD~1", "secret.yaml"]).code(1);
    let fact = format!("\"fact\": \"recipient {STRANGER}\",\n        \"name\": \"Ben\"");
    assert!(json.text().contains(&fact), "{json}");
}

#[test]
fn values_are_shown_to_programs_on_request_only() {
    let test = committed();
    set(&test, "[\"db\"][\"password\"]", "\"correct\"");
    set(&test, "[\"new\"]", "1");
    let json = |flags: &[&str]| {
        let output = test.sealant(&["diff", "--format", "json", "secret.yaml"]).args(flags).run().code(1);
        output.text().to_owned()
    };
    let names = json(&[]);
    assert!(!names.contains("hunter2") && !names.contains("correct"), "{names}");
    assert!(
        names.contains("\"path\": \"[\\\"db\\\"][\\\"password\\\"]\",\n        \"change\": \"changed\""),
        "{names}"
    );
    let values = json(&["--show-values"]);
    assert!(values.contains("\"old\": \"hunter2\",\n        \"new\": \"correct\""), "{values}");
    let _ = test.sealant(&["diff", "--show-values", "secret.yaml"]).run().code(8);
    let redacted = test.sealant(&["diff", "--redact", "secret.yaml"]).run().code(1);
    assert_eq!(redacted.text(), "secret.yaml\n~ [\"db\"][\"password\"]\n+ [\"new\"]\n");
}

#[test]
fn colours_are_for_terminals() {
    let test = committed();
    set(&test, "[\"db\"][\"port\"]", "1");
    let shown = test.sealant(&["diff", "secret.yaml"]).on_terminal().finish().code(1);
    assert!(shown.text().contains("\x1b[31m-  port: 5432\x1b[0m"), "{shown}");
    let piped = test.sealant(&["diff", "secret.yaml"]).run().code(1);
    assert!(!piped.text().contains('\x1b'), "{piped}");
}

#[test]
fn what_cannot_be_compared_does_not_look_like_a_difference() {
    let test = with_secret(TEXT);
    let outside = test.sealant(&["diff", "secret.yaml"]).run().code(2);
    assert!(outside.stderr.contains("sealant diff OLD NEW"), "{outside}");
    let test = committed();
    test.write("broken.yaml", test.read_text("secret.yaml").replacen("port", "prt", 1));
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--from", "nowhere", "secret.yaml"], 2, "nowhere: no such commit or branch"),
        (&["--from=--output=x", "secret.yaml"], 8, "is not a revision"),
        (&["nowhere.yaml"], 100, "no such file here or in HEAD"),
        (&["secret.yaml", "nowhere.yaml"], 100, "nowhere.yaml: no such file"),
        (&["a", "b", "c"], 64, "--from HEAD"),
        (&["-", "-"], 8, "standard input"),
        (&["secret.yaml", "broken.yaml"], 25, "broken.yaml:4: db.prt"),
    ];
    for (args, code, message) in cases {
        let output = test.sealant(&["diff"]).args(args).run();
        assert!(output.status == code && output.stderr.contains(message), "{args:?}\n{output}");
        assert!(!output.stderr.contains("hunter2"), "{output}");
    }
}

#[test]
fn a_deleted_file_is_compared_too() {
    let test = committed();
    std::fs::remove_file(test.path("secret.yaml")).expect("the file goes");
    let output = test.sealant(&["diff"]).run().code(1);
    assert!(output.text().starts_with("--- HEAD:secret.yaml\n+++ /dev/null\n"), "{output}");
    assert!(output.text().contains("-  password: hunter2\n"), "{output}");
}

/// What is printed may be read in a pager, whose terminal it would command as well.
#[test]
fn no_value_that_is_shown_commands_the_terminal() {
    let test = sandbox();
    let yaml = "a: \"x\\e[2J\\u202ey\\x7f\\u0085\"\nb: |\n  \u{202e}tab\there\n";
    test.write("old.yaml", "a: 1\n");
    test.write("new.yaml", yaml);
    test.write("old.bin", "a\r\n\n ::error::x\n");
    test.write("new.bin", "\x1b[2Ja\rb\r\n\n ::error::x\n");
    for (extension, expected) in [("yaml", "\\u{202e}tab\there"), ("bin", "+\\x1b[2Ja\\r")] {
        let (old, new) = (format!("old.{extension}"), format!("new.{extension}"));
        for args in [&["diff", &old, &new][..], &["--color", "always", "diff", &old, &new]] {
            let output = test.sealant(args).run().code(1);
            let shown = output.text();
            for hidden in ["\x1b[2J", "\u{202e}", "\x7f", "\u{85}", "a\r+", "  ::error"] {
                assert!(!shown.contains(hidden), "{hidden:?}: {output}");
            }
            assert!(shown.contains(expected), "{output}");
        }
    }
}

/// A commit in front of the files, as `git diff` takes it.
#[test]
fn a_commit_may_stand_in_front_of_the_files() {
    let test = committed();
    git(&test, &["branch", "old"]);
    test.sealant(&["set", "secret.yaml", "db.password", "second"]).run().ok();
    git(&test, &["commit", "-qam", "second"]);
    test.sealant(&["set", "secret.yaml", "db.password", "third"]).run().ok();
    let diff = |args: &[&str]| test.sealant(&["diff"]).args(args).run();
    for (args, old, new) in [
        (&["old"][..], "hunter2", "third"),
        (&["HEAD"], "second", "third"),
        (&["HEAD~1", "secret.yaml"], "hunter2", "third"),
        (&["old..HEAD"], "hunter2", "second"),
        (&["old", "HEAD"], "hunter2", "second"),
        (&["old", "HEAD", "secret.yaml"], "hunter2", "second"),
        (&["old..", "secret.yaml"], "hunter2", "second"),
        (&["--from", "old", "--to", "HEAD"], "hunter2", "second"),
    ] {
        let output = diff(args).code(1);
        assert!(output.text().contains(old) && output.text().contains(new), "{args:?}\n{output}");
    }
    diff(&["HEAD..HEAD"]).ok();
    for (args, missing) in [
        (&["HEAD~9"][..], "HEAD~9: no such file, commit or branch"),
        (&["HEAD~9", "secret.yaml"], "HEAD~9: no such file, commit or branch"),
        (&["older"], "older: no such file, commit or branch"),
        (&["old..older"], "old..older: no such file, commit or branch"),
        (&["other.yaml"], "other.yaml: no such file here or in HEAD"),
    ] {
        let output = diff(args).code(100);
        assert!(output.stderr.contains(missing), "{args:?}\n{output}");
    }
    let outside = diff(&["../other"]).code(2);
    assert!(!outside.stderr.contains("commit or branch"), "{outside}");
    // A file that is called so is the file.
    test.write("old", "a: 1\n");
    let output = diff(&["old"]);
    assert!(!output.text().contains("hunter2"), "{output}");
}

#[test]
fn of_a_folder_what_is_below_it_is_compared() {
    let test = committed();
    encrypt(&test, "sub/a.yaml", "a: 1\n");
    encrypt(&test, "sub/deep/b.yaml", "b: 1\n");
    test.write("sub/plain.yaml", "c: 1\n");
    git(&test, &["add", "."]);
    git(&test, &["commit", "-qm", "second"]);
    test.sealant(&["set", "sub/a.yaml", "a", "2"]).run().ok();
    set(&test, "db.port", "1");
    let names = |args: &[&str]| test.sealant(&["diff", "--names-only"]).args(args).run();
    assert_eq!(names(&["sub"]).code(1).text(), "sub/a.yaml\n~ [\"a\"]\n");
    assert_eq!(names(&["sub/", "--from", "HEAD"]).code(1).text(), "sub/a.yaml\n~ [\"a\"]\n");
    let output = names(&["HEAD~1", "HEAD", "sub"]).code(1);
    let files: Vec<&str> = output.text().lines().filter(|line| line.ends_with("yaml")).collect();
    assert_eq!(files, ["HEAD:sub/a.yaml", "HEAD:sub/deep/b.yaml"]);
    names(&["HEAD", "HEAD", "sub"]).ok();
    // One that only a commit has.
    git(&test, &["rm", "-qrf", "sub"]);
    let output = names(&["sub"]).code(1);
    assert!(
        output.text().contains("HEAD:sub/a.yaml\n") && output.text().contains("HEAD:sub/deep/b.yaml\n"),
        "{output}"
    );
}

#[test]
fn what_is_advised_about_a_commits_version_names_the_file() {
    let test = committed();
    git(&test, &["commit", "-q", "--allow-empty", "-m", "second"]);
    set(&test, "db.port", "1");
    test.write(test.home(super::KEYS_TXT), "");
    let other = super::identity(&test, "other.txt");
    let output = test.sealant(&["diff", "HEAD~1", "secret.yaml", "--identity", "other.txt"]).run().code(128);
    assert!(
        output.stderr.contains(&format!("`sealant recipient add {other} --for secret.yaml`")),
        "{output}"
    );
    assert!(!output.stderr.contains("--for HEAD"), "{output}");
}
