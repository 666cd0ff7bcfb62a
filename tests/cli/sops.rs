use sealant_test_support::{Output, Run, Sandbox};

use super::{IDENTITY, RECIPIENT, STRANGER, sandbox};

const PLAIN: &str = "user: admin\npassword:   swordfish  # keep\n";

/// A sandbox with `p.yaml`, and `e.yaml`, which is it encrypted.
fn filled() -> Sandbox {
    let test = sandbox();
    test.write("p.yaml", PLAIN);
    sops(&test, &["-e", "-a", RECIPIENT, "--output", "e.yaml", "p.yaml"]).run().ok();
    test
}

fn sops(test: &Sandbox, args: &[&str]) -> Run {
    test.sealant(args).called_as("sops").env("SOPS_AGE_KEY", IDENTITY)
}

/// How a command line ends: its exit code, and the first line of what it says. Nothing is printed.
#[track_caller]
fn ends(args: &[&str], code: i32, message: &str) -> Output {
    let output = sops(&filled(), args).run().code(code);
    assert_eq!(output.stderr.lines().next().unwrap_or_default(), message, "{output}");
    assert_eq!(output.text(), "");
    output
}

#[test]
fn it_is_called_by_its_name_or_as_a_command() {
    let test = filled();
    let by_path = test.sealant(&["-d", "e.yaml"]).called_as("/usr/local/bin/sops");
    let command = test.sealant(&["sops", "-d", "e.yaml"]);
    let flags_of_ours = test.sealant(&["--color", "never", "sops", "-d", "e.yaml"]);
    for run in [by_path, command, flags_of_ours] {
        let output = run.env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!((output.text(), &*output.stderr), (PLAIN, ""));
    }
}

#[test]
fn the_version_is_one_of_sops() {
    let test = sandbox();
    let version = format!("sops 3.13.3 (sealant {})\n", env!("CARGO_PKG_VERSION"));
    for args in [
        &["--version"][..],
        &["-v"],
        &["--version", "--disable-version-check"],
        &["--check-for-updates", "-v"],
    ] {
        let output = sops(&test, args).run().ok();
        assert_eq!((output.text(), &*output.stderr), (&*version, ""));
    }
    assert_eq!(test.sealant(&["sops", "-v"]).run().ok().text(), version);
}

#[test]
fn flags_may_stand_behind_the_file() {
    let test = filled();
    let lines: [&[&str]; 5] = [
        &["e.yaml", "-d"],
        &["e.yaml", "--decrypt", "--output-type=yaml"],
        &["decrypt", "e.yaml", "--input-type", "yaml"],
        &["-d", "e.yaml", "--", "-d"],
        &["decrypt", "e.yaml", "--verbose=false", "--config", "p.yaml"],
    ];
    for args in lines {
        assert_eq!(sops(&test, args).run().ok().text(), PLAIN, "{args:?}");
    }
    sops(&test, &["decrypt", "e.yaml", "-i"]).run().ok();
    assert_eq!(test.read_text("e.yaml"), PLAIN);
}

#[test]
fn what_goes_well_is_not_talked_about() {
    let test = filled();
    let lines: [&[&str]; 10] = [
        &["-d", "e.yaml"],
        &["-d", "--input-type", "other", "e.yaml"],
        &["-e", "-a", RECIPIENT, "p.yaml"],
        &["encrypt", "-a", RECIPIENT, "-i", "p.yaml"],
        &["set", "e.yaml", "[\"user\"]", "\"x\""],
        &["--set", "[\"user\"] \"y\"", "e.yaml"],
        &["unset", "e.yaml", "[\"user\"]"],
        &["rotate", "-i", "e.yaml"],
        &["exec-env", "e.yaml", "true"],
        &["exec-file", "--no-fifo", "e.yaml", "cat {} > /dev/null"],
    ];
    for args in lines {
        let output = sops(&test, args).run().ok();
        assert_eq!(output.stderr, "", "{args:?}");
    }
    let verbose = sops(&test, &["rotate", "--verbose", "-i", "e.yaml"]).run().ok();
    assert!(verbose.stderr.contains("no creation rule names recipients"), "{verbose}");
}

#[test]
fn it_keeps_the_bytes_of_files() {
    let test = filled();
    sops(&test, &["--encrypt", "--in-place", "--indent", "8", "--age", RECIPIENT, "p.yaml"]).run().ok();
    assert!(test.read_text("p.yaml").contains("password:   ENC["));
    sops(&test, &["-r", "-i", "p.yaml"]).run().ok();
    sops(&test, &["--decrypt", "--in-place", "p.yaml"]).run().ok();
    assert_eq!(test.read_text("p.yaml"), PLAIN);
}

#[test]
fn files_and_arguments_that_are_missing() {
    let none = "error: no file was given";
    for args in
        [&[][..], &["-d"], &["edit"], &["rotate"], &["filestatus"], &["--config", "p.yaml", "updatekeys"]]
    {
        ends(args, 100, none);
    }
    ends(&["updatekeys"], 1, "error: there is no .sops.yaml here");
    ends(&["-d", "nowhere"], 100, "error: nowhere: no such file");
    ends(&["encrypt", "nowhere"], 100, "error: nowhere: no such file");
    ends(&["-r", "nowhere"], 100, "error: nowhere: no such file");
    ends(&["rotate", "nowhere"], 2, "error: nowhere: no such file");
    ends(&["set", "nowhere", "[\"a\"]", "1"], 2, "error: nowhere: no such file");
    ends(&["filestatus", "nowhere"], 1, "error: nowhere: no such file");
    ends(&["updatekeys", "nowhere"], 1, "error: nowhere: no such file");
    ends(&["set", "e.yaml"], 100, "error: set takes a file, the path of a value, and the value as JSON");
    ends(&["unset", "e.yaml"], 100, "error: unset takes a file, and the path of a value");
    ends(&["exec-env", "e.yaml"], 1, "error: it takes a file, and a command in one argument");
    let change = ["rotate", "--add-age", STRANGER, "nowhere"];
    ends(&change, 49, "error: nowhere: no such file, so there are no recipients to change");
    ends(&["-d", "."], 2, "error: .: is a folder, not a file");
    ends(&["-d", "*.yaml"], 100, "error: *.yaml: no such file");
}

#[test]
fn arguments_that_are_wrong() {
    ends(&["-d", "--nonsense", "e.yaml"], 1, "error: unexpected argument '--nonsense' found");
    ends(
        &["-d", "--input-type"],
        1,
        "error: a value is required for '--input-type <TYPE>' but none was supplied",
    );
    let both = "error: --in-place and --output cannot be combined";
    ends(&["-d", "-i", "--output", "x", "e.yaml"], 8, both);
    ends(&["rotate", "-i", "--output", "x", "e.yaml"], 8, both);
    ends(&["decrypt", "-i"], 8, "error: --in-place has no place: standard input is read");
    ends(&["encrypt"], 8, "error: standard input has no name to choose a creation rule by");
    ends(&["--set", "[\"a\"]", "e.yaml"], 7, "error: --set takes a path, a space, and a value as JSON");
    ends(
        &["set", "e.yaml", "[\"a\"]", "x"],
        7,
        "error: the value is not JSON: expected value at line 1 column 1",
    );
    ends(&["-d", "--extract", "x", "e.yaml"], 91, "error: `x` is not a path into a document");
    let order = ["-d", "--decryption-order", "age,age", "e.yaml"];
    ends(&order, 112, "error: the key type age appears twice in the decryption order");
    ends(
        &["-e", "-a", RECIPIENT, "e.yaml"],
        203,
        "error: e.yaml: the file is encrypted already: it has sops metadata",
    );
}

#[test]
fn programs_look_for_these_words() {
    ends(&["-d", "p.yaml"], 1, "error: p.yaml: the file is not encrypted: sops metadata not found");
    let test = filled();
    test.write("changed.yaml", test.read_text("e.yaml").replacen("user: ", "#user: ", 1));
    let output = sops(&test, &["-d", "changed.yaml"]).run().code(51);
    assert!(output.stderr.contains("MAC mismatch"), "{output}");
    let output = sops(&test, &["e.yaml"]).env("EDITOR", "true").run().code(200);
    assert_eq!(output.stderr, "error: File has not changed, exiting.\n");
}

#[test]
fn only_the_first_file_is_worked_on() {
    let test = filled();
    let output = sops(&test, &["-d", "e.yaml", "p.yaml"]).run().ok();
    assert_eq!(output.stderr, "warning: only the first file is used: p.yaml is ignored\n");
    assert_eq!(output.text(), PLAIN);
}

#[test]
fn a_dash_is_a_file() {
    let test = filled();
    test.write("-", test.read("e.yaml"));
    let args = ["-d", "--input-type", "yaml", "--output-type", "yaml", "-"];
    assert_eq!(sops(&test, &args).run().ok().text(), PLAIN);
}

#[test]
fn the_config_is_that_of_the_working_directory() {
    let test = filled();
    test.write("repo/.sops.yaml", format!("unknown: 1\ncreation_rules:\n  - age: {RECIPIENT}\n"));
    test.write("repo/below/p.yaml", PLAIN);
    sops(&test, &["-e", "repo/below/p.yaml"]).run().code(1);
    sops(&test, &["-e", "below/p.yaml"]).cwd("repo").run().ok();
    sops(&test, &["-e", "../../p.yaml"]).cwd("repo/below").run().ok();
    let nowhere = sops(&test, &["--config", "nowhere", "-d", "e.yaml"]).run().code(1);
    assert!(nowhere.stderr.starts_with("error: nowhere: no such file"), "{nowhere}");
}

#[test]
fn a_kubernetes_secret_is_a_file_like_others() {
    let test = sandbox();
    let applied = "  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{\"data\": {\"a\": \"eA==\"}}'\n";
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n{applied}data:\n  a: eA==\n");
    test.write("secret.yaml", secret);
    let all = sops(&test, &["-e", "-a", RECIPIENT, "secret.yaml"]).run().ok();
    assert!(all.text().starts_with("apiVersion: ENC[") && all.stderr.is_empty(), "{all}");
    let args = ["-e", "-a", RECIPIENT, "--encrypted-regex", "^data$", "secret.yaml"];
    let some = sops(&test, &args).run().ok();
    assert!(some.text().starts_with("apiVersion: v1\n"), "{some}");
    assert!(some.stderr.starts_with("warning: secret.yaml:6: the annotation "), "{some}");
}

#[test]
fn rotate_keeps_whom_the_file_names_and_says_so() {
    let test = filled();
    let both = format!("{RECIPIENT},{STRANGER}");
    sops(&test, &["-e", "-i", "-a", &both, "p.yaml"]).run().ok();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    for args in [&["-r", "-i", "p.yaml"], &["rotate", "-i", "p.yaml"]] {
        let output = sops(&test, args).run().ok();
        let warning = "warning: p.yaml: the file names recipients that its creation rule does not name:";
        assert!(output.stderr.starts_with(warning) && output.stderr.contains(STRANGER), "{output}");
        assert!(test.read_text("p.yaml").contains(STRANGER));
    }
    let refused = test.sealant(&["rotate", "-i", "p.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run().code(8);
    assert!(refused.stderr.contains(STRANGER), "{refused}");
}

#[test]
fn updatekeys_takes_its_answer_from_standard_input() {
    let test = filled();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n"));
    let updatekeys = || sops(&test, &["updatekeys", "e.yaml"]);
    updatekeys().stdin("n\n").run().ok();
    assert!(!test.read_text("e.yaml").contains(STRANGER));
    let silent = updatekeys().run().code(1);
    assert!(silent.stderr.contains("a confirmation was needed, but not given"), "{silent}");
    updatekeys().stdin("y\n").run().ok();
    assert!(test.read_text("e.yaml").contains(STRANGER));
}

#[test]
fn flags_before_a_command_are_for_all_commands() {
    let test = filled();
    let args = ["--mac-only-encrypted", "encrypt", "-a", RECIPIENT, "--encrypted-regex", "^pass", "p.yaml"];
    assert!(sops(&test, &args).run().ok().text().contains("mac_only_encrypted: true"));
}

#[test]
fn other_flags_before_a_command_have_no_effect() {
    let test = filled();
    let output = sops(&test, &["-i", "decrypt", "e.yaml"]).run().ok();
    let warning =
        "warning: --in-place has no effect before the command (nor in sops): put it after the command\n";
    assert_eq!((output.text(), &*output.stderr), (PLAIN, warning));
}

#[test]
fn without_any_keys_it_says_so() {
    let local = "error: this machine's keys may not be used, and no other key service is named";
    ends(&["--enable-local-keyservice=false", "-d", "e.yaml"], 128, local);
    ends(&["--enable-local-keyservice=false", "-e", "-a", RECIPIENT, "p.yaml"], 1, local);
    ends(
        &["keyservice", "--network", "udp"],
        1,
        "error: `udp` is not a network: --network takes tcp or unix",
    );
}

#[test]
fn it_helps() {
    let test = sandbox();
    for args in [&["--help"][..], &["-h"], &["-help"], &["help"], &["help", "encrypt"], &["encrypt", "-h"]] {
        let output = sops(&test, args).run().ok();
        assert!(output.text().contains("Usage: sops") && output.stderr.is_empty(), "{output}");
    }
    let script = sops(&test, &["completion", "bash"]).run().ok();
    assert!(script.text().contains("updatekeys"));
    test.program("bash", &["-n"]).stdin(script.stdout).run().ok();
}
