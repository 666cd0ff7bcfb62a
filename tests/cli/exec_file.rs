use std::path::Path;
use std::time::Duration;

use sealant_test_support::{Output, Sandbox};

use super::{RECIPIENT, at_home, encrypted};

const PLAIN: &str = "# note\na: 1.10\nb: hunter2\n";

fn with_file() -> Sandbox {
    let test = at_home();
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    test
}

/// Asserts that the file whose path the command printed on its first line is gone, with its folder; returns the rest.
#[track_caller]
fn wiped(output: &Output) -> &str {
    let (path, rest) = output.text().split_once('\n').expect("a line");
    let folder = Path::new(path).parent().expect("a folder");
    assert!(path.starts_with('/') && !folder.exists(), "{path} is left behind\n{output}");
    rest
}

#[test]
fn it_is_read_out_of_a_pipe_and_gone_afterwards() {
    let test = with_file();
    let output =
        test.sealant(&["exec-file", "a.yaml", "echo {}; test -p {} && cat {}; exit 3"]).run().code(3);
    assert_eq!(wiped(&output), PLAIN);
    let output =
        test.sealant(&["exec-file", "a.yaml", "--", "sh", "-c", "echo $1; cat $1", "sh", "{}"]).run().ok();
    assert_eq!(wiped(&output), PLAIN);
}

#[test]
fn a_file_can_be_read_twice_and_has_the_name_that_it_is_given() {
    let test = with_file();
    let command = "echo {}; stat -c '%a %n' {} | sed 's:/.*/::'; cat {} {}";
    let output =
        test.sealant(&["exec-file", "--no-fifo", "--filename", "x.yaml", "a.yaml", command]).run().ok();
    assert_eq!(wiped(&output), format!("600 x.yaml\n{PLAIN}{PLAIN}"));
    for name in ["a/b", "..", "/x"] {
        test.sealant(&["exec-file", "--filename", name, "a.yaml", "echo ran"]).run().code(8);
    }
}

#[test]
fn a_command_that_does_not_take_the_file_is_told_of() {
    let output = with_file().sealant(&["exec-file", "a.yaml", "true"]).run().ok();
    assert_eq!(output.stderr, "note: the command does not contain {}, which stands for the decrypted file\n");
}

#[test]
fn it_can_be_of_another_type() {
    let test = with_file();
    let output = test.sealant(&["exec-file", "--output-type", "json", "a.yaml", "cat {}"]).run().ok();
    assert_eq!(output.text(), "{\n\t\"a\": 1.1,\n\t\"b\": \"hunter2\"\n}\n");
}

#[test]
fn a_pipe_that_nobody_opens_or_reads_to_its_end_holds_up_nothing() {
    let test = at_home();
    let long = format!("a: {}\n", "x".repeat(1 << 20));
    encrypted(&test, "a.yaml", &long, &[RECIPIENT]);
    let limit = Duration::from_secs(10);
    let output = test.sealant(&["exec-file", "a.yaml", "echo {}"]).limit(limit).run().ok();
    assert_eq!(wiped(&output), "");
    let output = test.sealant(&["exec-file", "a.yaml", "echo {}; head -c 6 {}"]).limit(limit).run().ok();
    assert_eq!(wiped(&output), "a: xxx");
    let output = test
        .sealant(&["exec-file", "a.yaml", "echo {}; exec 3<{}; sleep 0.2; exit 4"])
        .limit(limit)
        .run()
        .code(4);
    assert_eq!(wiped(&output), "");
    let output = test.sealant(&["exec-file", "a.yaml", "echo {}; wc -c <{}"]).limit(limit).run().ok();
    assert_eq!(wiped(&output).trim(), long.len().to_string());
}

#[test]
fn a_signal_ends_the_command_and_wipes_the_file() {
    let test = with_file();
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        let script = format!(
            "mkfifo ready; \"$0\" exec-file --no-fifo a.yaml 'echo {{}}; echo > ready; exec sleep 30' & \
             read x < ready; kill -{signal} $!; rm ready; wait $!"
        );
        let run = test.program("bash", &["-mc", &script, env!("CARGO_BIN_EXE_sealant")]);
        let output = run.limit(Duration::from_secs(20)).run().code(code);
        wiped(&output);
    }
}

#[test]
fn the_plaintext_is_in_no_argument() {
    let test = with_file();
    let output =
        test.sealant(&["exec-file", "a.yaml", "cat /proc/$PPID/cmdline /proc/$$/cmdline"]).run().ok();
    assert!(!output.text().contains("hunter2"), "{output}");
}

#[test]
fn another_user_reads_it_and_can_put_nothing_beside_it() {
    let test = with_file();
    let command =
        "echo {}; id -un; cat {}; stat -c %a:%U $(dirname {}); touch {}x 2> /dev/null || echo refused";
    for flags in [&[][..], &["--no-fifo"]] {
        let args = [&["exec-file", "--user", "nobody"], flags, &["a.yaml", command]].concat();
        let output = test.sealant(&args).env("XDG_RUNTIME_DIR", test.tmp()).run();
        if test.program("id", &["-u"]).run().ok().text() == "0\n" {
            assert_eq!(wiped(&output.ok()), format!("nobody\n{PLAIN}711:root\nrefused\n"));
        } else {
            let output = output.code(1);
            assert!(output.stderr.contains("Only root can run commands as another user."), "{output}");
        }
    }
    let output = test.sealant(&["exec-file", "--user", "nosuchuser", "a.yaml", "echo {}"]).run().code(1);
    assert_eq!(output.stderr, "error: there is no user `nosuchuser` in /etc/passwd\n");
}

#[test]
fn a_command_in_the_background_has_it_for_as_long_as_it_runs() {
    let test = with_file();
    let command = "sleep 0.2; cat {} {} > made; mv made read";
    for flag in ["--background", "--no-fifo"] {
        test.sealant(&["sops", "exec-file", "--background", flag, "a.yaml", command]).run().ok();
        let wait = "until test -e read; do sleep 0.05; done; cat read; rm read";
        let output = test.program("sh", &["-c", wait]).limit(Duration::from_secs(20)).run().ok();
        assert_eq!(output.text(), format!("{PLAIN}{PLAIN}"));
    }
}
