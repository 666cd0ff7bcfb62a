//! Encrypted files that somebody edited without a key, or merged as text.

use super::*;

const TEXT: &str = "name: a\nuser: b\npassword: c\n";

fn sealant(test: &Sandbox, args: &[&str]) -> Run {
    program(test, env!("CARGO_BIN_EXE_sealant"), args).env("SOPS_AGE_KEY", IDENTITY)
}

/// A repository with a committed file that encrypts `user` and `password`, and leaves `name` as it is.
fn with_file(more: &str) -> Sandbox {
    let test = repository();
    test.write(".sops.yaml", format!("{}    unencrypted_regex: ^name$\n{more}", rule()));
    test.write("secrets/a.yaml", TEXT);
    sealant(&test, &["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qm", "a"]).run().ok();
    test
}

/// What somebody does with an editor.
type Edit<'a> = &'a dyn Fn(&str) -> String;

/// What the hook says once a file was changed by this edit of its lines.
fn after(test: &Sandbox, change: Edit<'_>) -> Vec<String> {
    let before = test.read_text("secrets/a.yaml");
    let changed = change(&before);
    assert_ne!(changed, before);
    add(test, "secrets/a.yaml", &changed);
    let output = hook(test, &[]).run();
    let opens = sealant(test, &["decrypt", "secrets/a.yaml"]).run();
    assert_eq!(opens.status == 0, output.status == 0, "{changed}\n{output}\n{opens}");
    let found = lines(&output);
    git(test, &["checkout", "-q", "HEAD", "--", "secrets/a.yaml"]).run().ok();
    found
}

fn swapped(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    [&[lines[0], lines[2], lines[1]], &lines[3..]].concat().join("\n") + "\n"
}

#[test]
fn what_was_changed_by_hand_does_not_come_into_a_commit() {
    let test = with_file("");
    let without = |text: &str, key: &str| {
        text.split_inclusive('\n').filter(|line| !line.starts_with(key)).collect::<String>()
    };
    let changes: [(Edit<'_>, &str); 6] = [
        (
            &|text| without(text, "user:"),
            "secrets/a.yaml:2: the file was changed without sealant or sops, at password or",
        ),
        (&|text| without(text, "password:"), "secrets/a.yaml:2: the file was changed"),
        (&swapped, "secrets/a.yaml:2: the file was changed without sealant or sops, at password or"),
        (
            &|text| text.replace("user:", "login:"),
            "secrets/a.yaml:2: the file was changed without sealant or sops, at login or",
        ),
        (
            &|text| text.replace("name: a", "name: z"),
            "secrets/a.yaml:1: the file was changed without sealant or sops, at name or",
        ),
        (
            &|text| text.replace("lastmodified: \"2", "lastmodified: \"1"),
            "secrets/a.yaml:1: the file was changed",
        ),
    ];
    for (change, expected) in changes {
        let found = after(&test, change);
        assert!(
            found.len() == 1 && found[0].starts_with(expected) && found[0].ends_with("[altered]"),
            "{found:?}"
        );
    }
    // What the MAC does not bind is no concern of it.
    assert_eq!(after(&test, &|text| format!("\n\n{text}")), Vec::<String>::new());
    let spelled = |text: &str| text.replace("user: ENC", "user:   ENC");
    assert_eq!(after(&test, &spelled), Vec::<String>::new());
    let narrow = with_file("    mac_only_encrypted: true\n");
    assert_eq!(after(&narrow, &|text| text.replace("name: a", "name: z")), Vec::<String>::new());
}

#[test]
fn what_sealant_and_sops_write_is_not_altered() {
    let test = with_file("");
    let commands: [&[&str]; 5] = [
        &["set", "secrets/a.yaml", "user", "other"],
        &["unset", "secrets/a.yaml", "user"],
        &["rotate", "-i", "secrets/a.yaml"],
        &["updatekeys", "--yes", "--rotate", "secrets/a.yaml"],
        &["set", "--plaintext", "secrets/a.yaml", "name", "other"],
    ];
    for command in commands {
        sealant(&test, command).run().ok();
        git(&test, &["add", "."]).run().ok();
        let output = hook(&test, &[]).run();
        assert!(!output.text().contains("[altered]"), "{command:?}\n{output}");
        git(&test, &["commit", "-q", "--no-verify", "--allow-empty", "-m", "x"]).run().ok();
    }
    test.sops(&["set", "secrets/a.yaml", "[\"password\"]", "\"d\""]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    git(&test, &["add", "."]).run().ok();
    assert!(!hook(&test, &[]).run().text().contains("[altered]"));
}

/// Its MAC is that of an older version, and its recipients are not.
#[test]
fn a_file_with_new_recipients_comes_back_with_them() {
    let test = with_file("");
    test.write(
        ".sops.yaml",
        test.read_text(".sops.yaml").replace(RECIPIENT, &format!("{RECIPIENT},{STRANGER}")),
    );
    sealant(&test, &["updatekeys", "--yes", "secrets/a.yaml"]).run().ok();
    git(&test, &["commit", "-qam", "recipients"]).run().ok();
    let text = test.read_text("secrets/a.yaml");
    let changed: String = text.split_inclusive('\n').filter(|line| !line.starts_with("user:")).collect();
    test.write("secrets/a.yaml", changed);
    let output = sealant(&test, &["decrypt", "secrets/a.yaml"]).run();
    assert!(output.stderr.contains("`git restore --source=HEAD secrets/a.yaml`"), "{output}");
}

#[test]
fn a_branch_that_changed_a_file_by_hand_is_found_since_its_base() {
    let test = with_file("");
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    let text = test.read_text("secrets/a.yaml");
    let changed: String = text.split_inclusive('\n').filter(|line| !line.starts_with("user:")).collect();
    add(&test, "secrets/a.yaml", changed);
    git(&test, &["commit", "-qm", "by hand", "--no-verify"]).run().ok();
    let check = |args: &[&str]| sealant(&test, &[&["check"], args].concat()).run();
    let output = check(&["--base", "main"]).code(1);
    assert!(
        output
            .text()
            .contains("secrets/a.yaml:2: the file was changed without sealant or sops, at password or"),
        "{output}"
    );
    let back = "git restore --source=";
    assert!(output.stderr.contains(back) && !output.stderr.contains("--source=HEAD"), "{output}");
    let line = output.stderr.lines().find(|line| line.contains(back)).expect("a line to type").trim();
    let command = line.split("    # ").next().unwrap_or(line);
    program(&test, "sh", &["-ec", command]).run().ok();
    assert_eq!(test.read_text("secrets/a.yaml"), text);
    check(&["--base", "main"]).ok();
    sealant(&test, &["decrypt", "secrets/a.yaml"]).run().ok();
}

#[test]
fn what_a_merge_made_as_text_is_found_and_merged_again() {
    let test = with_file("");
    let branch = |name: &str, user: &str| {
        git(&test, &["checkout", "-qb", name, "main"]).run().ok();
        sealant(&test, &["set", "secrets/a.yaml", "user", user]).run().ok();
        git(&test, &["commit", "-qam", name]).run().ok();
    };
    branch("one", "x");
    branch("two", "y");
    assert_ne!(git(&test, &["merge", "-q", "one"]).run().status, 0);
    // Of each conflict another side, as somebody does who sees only text.
    let (mut ours, mut side, mut kept) = (true, None, String::new());
    for line in test.read_text("secrets/a.yaml").split_inclusive('\n') {
        match &line[..line.len().min(7)] {
            "<<<<<<<" => side = Some(true),
            "=======" => side = Some(false),
            ">>>>>>>" => (side, ours) = (None, !ours),
            _ if side.is_none_or(|side| side == ours) => kept += line,
            _ => {}
        }
    }
    add(&test, "secrets/a.yaml", &kept);
    sealant(&test, &["decrypt", "secrets/a.yaml"]).run().code(51);
    let output = hook(&test, &[]).run().code(1);
    assert!(output.text().contains("[altered]"), "{output}");
    let again = "git checkout -m secrets/a.yaml && sealant resolve secrets/a.yaml && git add secrets/a.yaml";
    assert!(output.stderr.contains(again), "{output}");
    sealant(&test, &["git", "install"]).run().ok();
    git(&test, &["checkout", "-m", "secrets/a.yaml"]).run().ok();
    sealant(&test, &["resolve", "--theirs", "secrets/a.yaml"]).run().ok();
    git(&test, &["add", "secrets/a.yaml"]).run().ok();
    hook(&test, &[]).run().ok();
    let opened = sealant(&test, &["decrypt", "secrets/a.yaml"]).run().ok();
    assert_eq!(opened.text(), TEXT.replace("user: b", "user: x"));
}
