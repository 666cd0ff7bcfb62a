//! Variables for others to read: quoted for each, and nothing that could become more than a value.

use serde_json::json;

use super::{at_home, encrypt};

const VALUES: &str =
    r#"{"PLAIN": "abc", "ODD": "it's $HOME `id` \\ \"x\" #", "LINES": "one\ntwo", "NUMBER": 7}"#;

#[test]
fn a_shell_reads_what_was_encrypted() {
    let test = at_home();
    encrypt(&test, "a.json", VALUES);
    let exported = test.sealant(&["export", "a.json"]).run().ok();
    assert_eq!(exported.stderr, "");
    for shell in ["sh", "bash"] {
        let script = "eval \"$1\"; printf '%s|%s|%s|%s' \"$PLAIN\" \"$ODD\" \"$LINES\" \"$NUMBER\"";
        let output = test.program(shell, &["-euc", script, "-", exported.text()]).run().ok();
        assert_eq!(output.text(), "abc|it's $HOME `id` \\ \"x\" #|one\ntwo|7");
    }
}

#[test]
fn each_format_takes_what_its_readers_read_alike() {
    let test = at_home();
    encrypt(&test, "a.json", VALUES);
    let export = |format: &str, only: &str| {
        test.sealant(&["export", "--format", format, "--only", only, "a.json"])
            .env("GITHUB_ACTIONS", "true")
            .run()
    };
    assert_eq!(export("dotenv", "PLAIN,LINES").ok().text(), "PLAIN=abc\nLINES='one\ntwo'\n");
    assert_eq!(export("docker", "PLAIN,ODD").ok().text(), "PLAIN=abc\nODD=it's $HOME `id` \\ \"x\" #\n");
    for (format, only) in [("dotenv", "ODD"), ("docker", "LINES")] {
        let output = export(format, only).code(4);
        assert!(output.text().is_empty() && !output.stderr.contains("two"), "{output}");
    }
    let json: serde_json::Value = serde_json::from_str(export("json", "PLAIN,LINES").ok().text()).unwrap();
    assert_eq!(json, json!({"PLAIN": "abc", "LINES": "one\ntwo"}));

    let output = export("github", "LINES").ok();
    assert!(output.stderr.contains("::add-mask::one%0Atwo\n"), "{output}");
    let mark = output.text().lines().next().unwrap().strip_prefix("LINES<<").unwrap();
    assert!(mark.len() > 32, "{output}");
    assert_eq!(output.text(), format!("LINES<<{mark}\none\ntwo\n{mark}\n"));
    let again = export("github", "LINES").ok();
    assert!(!again.text().contains(mark), "the mark is new each time");
    test.sealant(&["export", "--format", "github", "a.json"]).run().code(8);
}

#[test]
fn what_a_name_could_do_is_refused() {
    let test = at_home();
    encrypt(&test, "a.json", r#"{"A": "1", "PATH": "/x", "a b; id": "2"}"#);
    let output = test.sealant(&["export", "a.json"]).run().code(8);
    assert!(output.stderr.contains("PATH") && output.text().is_empty(), "{output}");
    let output = test.sealant(&["export", "--only", "a b; id", "a.json"]).run().code(8);
    assert!(output.stderr.contains("not a valid variable name"), "{output}");
    assert_eq!(test.sealant(&["export", "--only", "PATH", "a.json"]).run().ok().text(), "export PATH='/x'\n");
    test.sealant(&["export", "--only", "B", "a.json"]).run().code(91);
}

#[test]
fn the_last_of_several_files_counts() {
    let test = at_home();
    encrypt(&test, "a.env", "A=1\nB=1\n");
    encrypt(&test, "b.env", "B=2\n");
    assert_eq!(test.sealant(&["export", "a.env", "b.env"]).run().ok().text(), "export A='1'\nexport B='2'\n");
    let run = |args: &[&str]| test.sealant(&["exec-env"]).args(args).run().ok().text().to_owned();
    assert_eq!(run(&["--file", "b.env", "a.env", "echo $A$B"]), "12\n");
    assert_eq!(run(&["--only", "B", "--file", "b.env", "a.env", "echo ${A:-none}$B"]), "none2\n");
    let output = test.sealant(&["exec-env", "a.env", "b.env", "env"]).run().code(64);
    assert!(output.stderr.contains("`sealant exec-env --file b.env a.env env`"), "{output}");
}

#[test]
fn dotenv_that_was_written_for_a_shell_is_told_and_stays_as_it_is() {
    let test = at_home();
    encrypt(&test, "a.env", "export A=12345\nB=\"two words\"\nC = x\nD=x # note\nE=it's\n");
    let output = test.sealant(&["exec-env", "a.env", "env"]).run().ok();
    let warnings = output.stderr.lines().filter(|line| line.starts_with("warning: a.env: ")).count();
    assert_eq!(warnings, 4, "{output}");
    for part in ["\"export A\"", "quotes around B", "\"C \"", "after `#`"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert!(output.text().contains("B=\"two words\"\n"), "{output}");
    assert!(!output.stderr.contains("12345") && !output.stderr.contains("two words"), "{output}");
}
