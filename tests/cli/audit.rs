use std::os::unix::fs::PermissionsExt;
use std::thread;

use sealant_test_support::Sandbox;
use serde_json::{Value, json};

use super::{IDENTITY, RECIPIENT, STRANGER, at_home, encrypt, encrypted};

const LOG: &str = ".local/state/sealant/audit.jsonl";
const SETTINGS: &str = ".config/sealant/config.yaml";
const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {a: hunter2}\n";

/// Somebody who wants a log, with a file to open.
fn logging() -> Sandbox {
    let test = at_home();
    encrypt(&test, "a.yaml", "password: hunter2\n");
    test.write(test.home(SETTINGS), "audit: {}\n");
    test
}

fn log(test: &Sandbox) -> Vec<Value> {
    let text = test.read_text(test.home(LOG));
    assert!(!text.contains("hunter2") && !text.contains(IDENTITY), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `COMMAND ACTION FILE: OUTCOME` of each line.
fn told(test: &Sandbox) -> Vec<String> {
    let work = test.path("x").parent().unwrap().display().to_string();
    let line = |line: &Value| {
        let [command, action, file, outcome] =
            ["command", "action", "file", "outcome"].map(|key| line[key].as_str().unwrap().to_owned());
        let file = file.strip_prefix(&format!("{work}/")).unwrap().to_owned();
        format!("{command} {action} {file}: {outcome}")
    };
    log(test).iter().map(line).collect()
}

#[test]
fn what_is_opened_is_written_down_with_the_key_that_did_it() {
    let test = logging();
    test.sealant(&["decrypt", "a.yaml"]).env("USER", "anna").run().ok();
    let [open, write] = &log(&test)[..] else { panic!("{:?}", log(&test)) };
    assert_eq!(open["keys"], json!([RECIPIENT]));
    assert_eq!((&open["user"], &open["version"]), (&json!("anna"), &json!(env!("CARGO_PKG_VERSION"))));
    assert!(
        open["uid"].is_u64() && open["host"].is_string() && open["time"].as_str().unwrap().ends_with('Z')
    );
    assert_eq!((&open["prev"], write["prev"].as_str().map(str::len)), (&Value::Null, Some(64)));
    let text = test.read("a.yaml");
    test.sealant(&["decrypt", "--filename-override", "a.yaml"]).stdin(text).run().ok();
    assert_eq!(log(&test)[2]["file"], "standard input");
    let mode = std::fs::metadata(test.home(LOG)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn every_command_that_opens_or_writes_leaves_a_line() {
    let test = logging();
    let editor = test.editor(r#"sed -i s/hunter2/correct-horse/ "$1""#);
    test.write("plain.yaml", "x: hunter2\n");
    test.write("db.yaml", SECRET);
    let run = |args: &[&str]| test.sealant(args).env("EDITOR", &editor).run().ok();
    run(&["get", "a.yaml", "[\"password\"]"]);
    run(&["set", "a.yaml", "[\"b\"]", "\"hunter2\""]);
    run(&["edit", "a.yaml"]);
    run(&["exec-env", "a.yaml", "true"]);
    run(&["rotate", "-i", "a.yaml"]);
    run(&["encrypt", "-i", "--age", RECIPIENT, "plain.yaml"]);
    run(&["seal", "-i", "--age", RECIPIENT, "db.yaml"]);
    run(&["unseal", "db.yaml"]);
    run(&["get", "db.yaml", "a"]);
    run(&["check", "--verify", "plain.yaml"]);
    // These open nothing.
    run(&["status", "."]);
    run(&["inspect", "a.yaml"]);
    run(&["decrypt", "-i", "--dry-run", "."]);
    assert_eq!(
        told(&test),
        [
            "get open a.yaml: ok",
            "set open a.yaml: ok",
            "set write a.yaml: ok",
            "edit open a.yaml: ok",
            "edit write a.yaml: ok",
            "exec-env open a.yaml: ok",
            "rotate open a.yaml: ok",
            "rotate write a.yaml: ok",
            "encrypt write plain.yaml: ok",
            "seal write db.yaml: ok",
            "unseal open db.yaml: ok",
            "unseal write db.yaml: ok",
            "get open db.yaml: ok",
            "check open plain.yaml: ok",
            "decrypt open a.yaml: ok",
            "decrypt open plain.yaml: ok",
        ]
    );
    let lines = log(&test);
    assert_eq!((&lines[10]["objects"], &lines[12]["item"]), (&json!(["shop/db"]), &json!("a")));
    let output = test.sealant(&["audit"]).run().ok();
    assert!(output.stderr.starts_with("16 lines, 0 broken; the hash of the last is "), "{output}");
}

#[test]
fn who_fails_is_written_down_too() {
    let test = logging();
    encrypted(&test, "other.yaml", "a: hunter2\n", &[STRANGER]);
    std::fs::remove_file(test.home(LOG)).unwrap();
    test.sealant(&["decrypt", "other.yaml"]).run().code(128);
    assert_eq!(told(&test), ["decrypt open other.yaml: no key"]);
    assert_eq!(log(&test)[0].get("keys"), None);
}

#[test]
fn where_nothing_can_be_written_down_nothing_is_shown() {
    let test = logging();
    let nowhere = test.path("folder");
    std::fs::create_dir(&nowhere).unwrap();
    test.write(test.home(SETTINGS), format!("audit: {{log: {}}}\n", nowhere.display()));
    let before = test.read("a.yaml");
    test.write("db.yaml", SECRET);
    for args in [
        &["decrypt", "a.yaml"][..],
        &["get", "a.yaml", "[\"password\"]"],
        &["exec-env", "a.yaml", "env"],
        &["rotate", "-i", "a.yaml"],
        &["seal", "--age", RECIPIENT, "db.yaml"],
    ] {
        let output = test.sealant(args).run().code(3);
        assert_eq!(output.text(), "", "{args:?}");
        assert!(
            output.stderr.contains("cannot be appended to") && !output.stderr.contains("hunter2"),
            "{output}"
        );
    }
    assert_eq!(test.read("a.yaml"), before);
    test.write(test.home(SETTINGS), "audit: {logs: /tmp/x}\n");
    test.sealant(&["decrypt", "a.yaml"]).run().code(5);
    // Other mistakes are told where it matters.
    test.write(test.home(SETTINGS), "vault: {alow: []}\n");
    test.sealant(&["decrypt", "a.yaml"]).run().ok();
    test.write(test.home(SETTINGS), "audit: {log: here.jsonl}\n");
    assert!(test.sealant(&["decrypt", "a.yaml"]).run().code(5).stderr.contains("has to be an absolute path"));
}

#[test]
fn a_log_that_is_open_to_others_is_none() {
    let test = logging();
    test.sealant(&["decrypt", "a.yaml"]).run().ok();
    let chmod = |mode| std::fs::set_permissions(test.home(LOG), PermissionsExt::from_mode(mode)).unwrap();
    let before = test.read(test.home(LOG));
    for mode in [0o644, 0o640, 0o620, 0o602] {
        chmod(mode);
        let output = test.sealant(&["decrypt", "a.yaml"]).run().code(3);
        assert_eq!(output.text(), "");
        for part in ["others may read or write it", "chmod 600"] {
            assert!(output.stderr.contains(part), "{output}");
        }
    }
    assert_eq!(test.read(test.home(LOG)), before);
    // A link to where the log should be is the person's own.
    chmod(0o600);
    std::fs::copy(test.home(LOG), test.path("elsewhere.jsonl")).unwrap();
    std::fs::remove_file(test.home(LOG)).unwrap();
    std::os::unix::fs::symlink(test.path("elsewhere.jsonl"), test.home(LOG)).unwrap();
    test.sealant(&["decrypt", "a.yaml"]).run().ok();
    assert_eq!(log(&test).len(), 4);
}

#[test]
fn a_link_is_no_way_around_the_log() {
    let test = at_home();
    encrypt(&test, "repo/deep/a.yaml", "password: hunter2\n");
    test.write("repo/.sops.yaml", "sealant: {audit: true}\n");
    test.write("other/.sops.yaml", "creation_rules: []\n");
    std::os::unix::fs::symlink(test.path("repo/deep/a.yaml"), test.path("other/link.yaml")).unwrap();
    std::os::unix::fs::symlink(test.path("repo/deep"), test.path("other/folder")).unwrap();
    test.sealant(&["decrypt", "link.yaml"]).cwd(test.path("other")).run().ok();
    test.sealant(&["decrypt", "other/folder/a.yaml"]).run().ok();
    assert_eq!(told(&test).len(), 4);
    assert!(told(&test)[0].starts_with("decrypt open other/link.yaml"), "{:?}", told(&test));
}

#[test]
fn a_repository_can_ask_for_a_log_and_not_say_where() {
    let test = at_home();
    encrypt(&test, "repo/a.yaml", "password: hunter2\n");
    encrypt(&test, "b.yaml", "password: hunter2\n");
    test.write("repo/.sops.yaml", "sealant: {audit: true}\n");
    test.sealant(&["decrypt", "b.yaml"]).run().ok();
    assert!(!test.home(LOG).exists());
    test.sealant(&["decrypt", "repo/a.yaml"]).run().ok();
    assert_eq!(told(&test).len(), 2);
    // Whatever name the program is called by.
    test.sealant(&["decrypt", "a.yaml"]).called_as("sops").cwd(test.path("repo")).run().ok();
    assert_eq!(told(&test)[2], "sops decrypt open repo/a.yaml: ok");
    test.write("repo/.sops.yaml", "sealant: {audit: {log: /tmp/x}}\n");
    test.sealant(&["decrypt", "repo/a.yaml"]).run().code(5);
    // To open a file takes no config, so another mistake in one keeps nobody from it.
    for config in ["creation_rule: []\n", "[", "sealant: {check: 7}\n"] {
        test.write("repo/.sops.yaml", config);
        test.sealant(&["decrypt", "repo/a.yaml"]).run().ok();
    }
    test.write("repo/.sops.yaml", "our_own: 1\nsealant: {audit: true}\n");
    test.sealant(&["decrypt", "repo/a.yaml"]).run().ok();
    assert_eq!(told(&test).len(), 6);
}

#[test]
fn a_changed_log_is_seen() {
    let test = logging();
    let output = test.sealant(&["audit"]).run().code(100);
    assert!(output.stderr.contains("Nothing has been logged yet"), "{output}");
    for _ in 0..3 {
        test.sealant(&["decrypt", "a.yaml"]).run().ok();
    }
    let text = test.read_text(test.home(LOG));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let whole = test.sealant(&["audit"]).run().ok().stderr;
    let tampered = [
        [&lines[..2], &lines[3..]].concat().concat(),
        text.replacen("\"decrypt\"", "\"encrypt\"", 1),
        format!("{}{}{}", lines[0], lines[2], lines[1]),
        format!("{}{{}}\n{}", lines[0], lines[1..].concat()),
        format!("{}x\n", text),
    ];
    for log in tampered {
        test.write(test.home(LOG), log);
        let output = test.sealant(&["audit"]).run().code(1);
        assert!(output.text().contains("is not what followed the line before it"), "{output}");
    }
    // What is cut off at the beginning.
    for gone in [1, 5] {
        test.write("cut.jsonl", lines[gone..].concat());
        let output = test.sealant(&["audit", "cut.jsonl"]).run().code(1);
        assert!(output.text().starts_with("cut.jsonl:1: is not how a log begins"), "{output}");
        assert!(output.stderr.contains(" lines, 1 broken;"), "{output}");
    }
    // What is cut off at the end changes the last hash.
    test.write("cut.jsonl", lines[..4].concat());
    assert_ne!(test.sealant(&["audit", "cut.jsonl"]).run().ok().stderr, whole);
    // After a crash in the middle of a line the log goes on, and says so.
    test.write(test.home(LOG), text.trim_end());
    test.sealant(&["decrypt", "a.yaml"]).run().ok();
    assert_eq!(log(&test).len(), 8);
    test.sealant(&["audit"]).run().ok();
}

#[test]
fn processes_at_the_same_time_make_one_chain() {
    let test = logging();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| test.sealant(&["decrypt", "a.yaml"]).run().ok());
        }
    });
    assert_eq!(log(&test).len(), 12);
    test.sealant(&["audit"]).run().ok();
}
