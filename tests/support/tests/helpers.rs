//! The helpers themselves, on `sh`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use sealant_test_support::{Run, Sandbox};

/// Instead of Sealant: this crate does not know where it is.
fn test() -> Sandbox {
    Sandbox::new("/bin/sh")
}

fn sh(test: &Sandbox, script: &str) -> Run {
    test.program("sh", &["-c", script])
}

/// What a helper says when it fails.
fn complaint<T>(action: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(action)).err().expect("should have panicked");
    *panic.downcast::<String>().expect("a formatted message")
}

#[test]
fn output_is_kept_apart_and_the_exit_code_is_checked() {
    let test = test();
    let output = sh(&test, "cat; echo oops >&2; exit 3").stdin("hello").run().code(3);
    assert_eq!((output.text(), output.stderr.as_str()), ("hello", "oops\n"));

    let message = complaint(|| output.ok());
    for part in ["$ sh -c cat;", "expected exit code 0", "exit code: 3", "hello", "oops"] {
        assert!(message.contains(part), "{part:?} is missing in {message}");
    }
    assert_eq!(sh(&test, "kill -TERM $$").run().status, 128 + 15);
}

#[test]
fn the_environment_holds_only_what_a_test_gave() {
    let test = test();
    let output = sh(&test, "env | cut -d= -f1 | sort; pwd").env("MINE", "1").cwd("").run().ok();
    let text = output.text();
    let names: Vec<_> = text.lines().filter(|line| !["PWD", "OLDPWD", "SHLVL", "_"].contains(line)).collect();
    let work = test.path("").canonicalize().unwrap();
    assert_eq!(names, ["HOME", "MINE", "PATH", "TMPDIR", "XDG_CONFIG_HOME", work.to_str().unwrap()]);
}

#[test]
fn what_hangs_is_killed_with_its_children() {
    let test = test();
    let began = Instant::now();
    let second = Duration::from_secs(1);
    let message = complaint(|| sh(&test, "echo begun; sleep 50; echo never").limit(second).run());
    assert!(message.contains("was not done after 1s") && message.contains("begun"), "{message}");

    let message = complaint(|| sh(&test, "sleep 50 & echo $! > child").limit(second).run());
    assert!(message.contains("left a process behind"), "{message}");
    let stat = format!("/proc/{}/stat", test.read_text("child").trim());
    // A killed process whose parent is gone may wait to be buried: state Z.
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(" Z ")) {
        assert!(began.elapsed() < Duration::from_secs(20), "the child is still alive");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn without_a_terminal_a_prompt_fails_at_once() {
    let test = test();
    sh(&test, "cat </dev/tty || exit 9").run().code(9);
}

#[test]
fn a_terminal_shows_prompts_and_hides_passphrases() {
    let test = test();
    let script =
        "printf 'Name: '; read -r name; stty -echo; printf 'Passphrase: '; read -r pass </dev/tty; stty echo
        test -t 1 && echo; echo \"$name/$pass\" > typed; echo bye; exit 7";
    let mut terminal = sh(&test, script).on_terminal();
    terminal.wait_for("Name: ");
    terminal.send_line("alice");
    assert_eq!(terminal.wait_for("Passphrase: "), "alice\r\n");
    terminal.send_hidden_line("hunter2");
    terminal.wait_for("bye");
    let output = terminal.finish().code(7);
    assert_eq!(output.text(), "Name: alice\r\nPassphrase: \r\nbye\r\n");
    assert_eq!(test.read_text("typed"), "alice/hunter2\n");
}

#[test]
fn a_terminal_that_does_not_show_the_text_fails_with_what_it_showed() {
    let test = test();
    let mut ended = sh(&test, "echo something else").on_terminal();
    let message = complaint(|| ended.wait_for("Passphrase:"));
    assert!(message.contains("it has ended") && message.contains("something else"), "{message}");

    let mut waiting = sh(&test, "sleep 50").limit(Duration::from_millis(300)).on_terminal();
    let message = complaint(|| waiting.wait_for("Passphrase:"));
    assert!(message.contains("its time is up"), "{message}");

    let mut interrupted = test.program("cat", &[]).on_terminal();
    interrupted.send_line("hello");
    // Once from the terminal's echo, once from cat, which is therefore running.
    interrupted.wait_for("hello");
    interrupted.wait_for("hello");
    interrupted.send("\x03");
    assert_eq!(interrupted.finish().status, 128 + 2);
}

#[test]
fn an_editor_is_a_script_that_gets_the_file() {
    let test = test();
    test.write("folder/file", "password: hunter2\n");
    let editor = test.editor(r#"sed -i s/hunter2/better/ "$1""#);
    test.program(editor, &["folder/file"]).run().ok();
    assert_eq!(test.read_text("folder/file"), "password: better\n");
}

#[test]
fn peers_run_and_read_each_other() {
    let test = test();
    assert!(test.sops(&["--version"]).run().ok().text().starts_with("sops 3.13.3"));
    assert!(test.sops_3_11(&["--version"]).run().ok().text().starts_with("sops 3.11.0"));

    test.age_keygen(&["-o", "key.txt"]).run().ok();
    let recipient = test.age_keygen(&["-y", "key.txt"]).run().ok();
    test.write("secret.yaml", "password: hunter2\n");
    let encrypted = test.sops(&["encrypt", "--age", recipient.text().trim(), "secret.yaml"]).run().ok();
    test.write("secret.enc.yaml", &encrypted.stdout);
    let decrypt =
        test.sops_3_11(&["decrypt", "secret.enc.yaml"]).env("SOPS_AGE_KEY_FILE", test.path("key.txt"));
    assert_eq!(decrypt.run().ok().text(), "password: hunter2\n");
}

#[test]
fn age_finds_its_plugin() {
    let test = test();
    let encrypt =
        test.age(&["-e", "-j", "batchpass", "-o", "out.age"]).env("AGE_PASSPHRASE", "correct horse");
    encrypt.stdin("hello").run().ok();
    let decrypt = test.age(&["-d", "-j", "batchpass", "out.age"]).env("AGE_PASSPHRASE", "correct horse");
    assert_eq!(decrypt.run().ok().text(), "hello");
}

#[test]
fn kubeseal_seals_for_a_certificate() {
    let test = test();
    let new_key = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-noenc",
        "-subj",
        "/CN=test",
        "-keyout",
        "key",
        "-out",
        "certificate",
    ];
    test.program("openssl", &new_key).run().ok();
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: app, namespace: team}, stringData: {password: hunter2}}";
    let sealed = test.kubeseal(&["--cert=certificate", "--format=yaml"]).stdin(secret).run().ok();
    let unseal = test.kubeseal(&["--recovery-unseal", "--recovery-private-key=key"]);
    let unsealed = unseal.stdin(sealed.stdout).run().ok();
    assert!(unsealed.text().contains(r#""password": "aHVudGVyMg==""#), "{unsealed}");
}
