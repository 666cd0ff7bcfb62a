use super::{RECIPIENT, at_home, encrypted, shown};

#[test]
fn values_are_in_the_environment() {
    let test = at_home();
    encrypted(
        &test,
        "a.yaml",
        "# c\ns: |\n  x\n  y\nf: 1.0\nt: 2001-01-01\nb: yes\nn: null\n---\ns: other\n",
        &[RECIPIENT],
    );
    let output =
        test.sealant(&["exec-env", "a.yaml", "printf '%s|' \"$s\" $f $t $b \"$n\" $HOME"]).run().ok();
    assert_eq!(shown(&test, output.text()), "x\ny\n|1.0|2001-01-01T00:00:00Z|yes|<nil>|HOME/|");
    let output = test.sealant(&["exec-env", "--pristine", "a.yaml", "echo \"$HOME\" $f"]).run().ok();
    assert_eq!(output.text(), " 1.0\n");
}

#[test]
fn it_does_as_sops_does() {
    let test = at_home();
    for (file, plaintext) in [
        (
            "a.yaml",
            "f: 1.0\ne: 2e-10\nbig: 1e21\nt: 2001-01-01T01:02:03Z\nb: true\nn: null\nempty: ''\nhex: 0x1F\n",
        ),
        ("a.json", "{\"a\": 1, \"f\": 1.5, \"s\": \"x\\ny\", \"n\": null}\n"),
        ("a.env", "A=1\n# c\nB=x=y\nC=a\\nb\n"),
        ("a.txt", "the whole file\n"),
    ] {
        encrypted(&test, file, plaintext, &[RECIPIENT]);
        let args = ["exec-env", "--pristine", file, "env | sort"];
        let theirs = test.sops(&args).run().ok();
        assert_eq!(test.sealant(&args).run().ok().text(), theirs.text(), "{file}");
    }
}

#[test]
fn the_exit_code_is_the_childs() {
    let test = at_home();
    encrypted(&test, "a.env", "A=1\n", &[RECIPIENT]);
    for (command, code) in [("exit 7", 7), ("kill -9 $$", 137), ("true", 0), ("no-such-command 2>&-", 127)] {
        test.sealant(&["exec-env", "a.env", command]).run().code(code);
    }
    test.sealant(&["exec-env", "--same-process", "a.env", "exit $((A + 5))"]).run().code(6);
    let output = test.sealant(&["exec-env", "a.env", "--", "no-such-program", "x"]).run().code(1);
    assert!(output.stderr.contains("`no-such-program` cannot be started"), "{output}");
    test.sealant(&["exec-env", "a.env"]).run().code(64);
}

#[test]
fn without_a_shell_arguments_arrive_as_they_are() {
    let test = at_home();
    encrypted(&test, "a.env", "A=1\n", &[RECIPIENT]);
    let output = test.sealant(&["exec-env", "a.env", "--", "printf", "<%s>", "$A", "--x", "a b"]).run().ok();
    assert_eq!(output.text(), "<$A><--x><a b>");
}

#[test]
fn what_no_environment_can_hold_is_refused() {
    let test = at_home();
    for (plaintext, message) in [
        ("a: 1\nb:\n  c: 2\n", "a.yaml:3: \"b\" cannot become an environment variable: its value is nested"),
        ("a=b: 1\n", "a.yaml:1: \"a=b\" cannot become an environment variable: the name"),
        ("a: \"x\\0y\"\n", "its value contains a zero byte"),
    ] {
        encrypted(&test, "a.yaml", plaintext, &[RECIPIENT]);
        let output = test.sealant(&["exec-env", "a.yaml", "true"]).run().code(1);
        assert!(output.stderr.contains(message) && output.stderr.contains("help:"), "{output}");
        let whole = "`sealant exec-file a.yaml 'COMMAND {}'`";
        assert_eq!(output.stderr.contains(whole), message.contains("its value"), "{output}");
    }
}

#[test]
fn a_changed_file_runs_nothing() {
    let test = at_home();
    encrypted(&test, "a.yaml", "a: 1\nb_unencrypted: 2\n", &[RECIPIENT]);
    test.write("a.yaml", test.read_text("a.yaml").replace("b_unencrypted: 2", "b_unencrypted: 3"));
    let output = test.sealant(&["exec-env", "a.yaml", "echo ran"]).run().code(51);
    assert_eq!(output.text(), "");
}

#[test]
fn signals_reach_the_child() {
    let test = at_home();
    encrypted(&test, "a.env", "A=1\n", &[RECIPIENT]);
    for signal in ["TERM", "INT", "HUP", "USR1"] {
        let script = format!(
            "mkfifo ready.{signal}; trap '' PIPE; \
             \"$0\" exec-env a.env 'trap \"echo got {signal}; exit 9\" {signal}; echo > ready.{signal}; while :; do sleep 0.01; done' & \
             read x < ready.{signal}; kill -{signal} $!; wait $!"
        );
        // A shell starts what is in its background with INT ignored, but for one that is interactive.
        let output = test.program("bash", &["-mc", &script, env!("CARGO_BIN_EXE_sealant")]).run().code(9);
        assert_eq!(output.text(), format!("got {signal}\n"));
    }
}

#[test]
fn ctrl_c_at_a_terminal_comes_once() {
    let test = at_home();
    encrypted(&test, "a.env", "A=1\n", &[RECIPIENT]);
    let script = "trap 'echo got; n=x$n' INT; echo ready; while [ \"$n\" = '' ]; do sleep 0.02; done; sleep 0.3; echo $n end; exit 3";
    let mut terminal = test.sealant(&["exec-env", "a.env", script]).on_terminal();
    terminal.wait_for("ready");
    terminal.send("\x03");
    let output = terminal.finish().code(3);
    assert!(output.text().contains("\nx end"), "{output}");
}

#[test]
fn values_are_taken_out_of_what_the_command_prints() {
    let test = at_home();
    encrypted(
        &test,
        "a.yaml",
        "password: hunter2\nshort: abc\nkey: |\n  first line\n  second line\nempty: ''\n",
        &[RECIPIENT],
    );
    // In pieces, on both streams, as others print it; and what is no value comes at once.
    let script = "printf 'a hun'; printf 'ter2 $'; printf '%s' \"$password\" | base64; echo \"$key\" >&2; \
                  printf '%s' \"$key\" | base64 >&2; echo $short; exit 3";
    let output = test.sealant(&["exec-env", "--redact", "a.yaml", script]).run().code(3);
    assert_eq!(output.text(), "a [redacted] $[redacted]==\nabc\n");
    assert_eq!(
        output.stderr,
        "warning: not redacted, because values of fewer than 4 bytes appear in any text: short\n[redacted]\n[redacted]=\n"
    );
    // As programs print Basic auth.
    let script = "printf 'user:%s' \"$password\" | base64";
    let output = test.sealant(&["exec-env", "--redact", "a.yaml", script]).run().ok();
    assert_eq!(output.text(), "dXNlcjp[redacted]\n");
    // The command gets the values as they are.
    let output =
        test.sealant(&["exec-env", "--redact", "a.yaml", "printf %s \"$password\" | wc -c"]).run().ok();
    assert_eq!(output.text().trim(), "7");
    test.sealant(&["exec-env", "--redact", "--same-process", "a.yaml", "true"]).run().code(64);
}

#[test]
fn a_prompt_is_shown_before_its_line_ends() {
    let test = at_home();
    encrypted(&test, "a.env", "A=hunter2\n", &[RECIPIENT]);
    let script = "printf 'Go on? '; read answer; echo \"$answer$A\"";
    let mut terminal = test.sealant(&["exec-env", "--redact", "a.env", script]).on_terminal();
    terminal.wait_for("Go on? ");
    terminal.send("yes\r");
    let output = terminal.finish().ok();
    assert!(output.text().contains("yes[redacted]") && !output.text().contains("hunter2"), "{output}");
}

#[test]
fn who_reads_no_more_stops_the_command() {
    let test = at_home();
    encrypted(&test, "a.env", "A=hunter2\n", &[RECIPIENT]);
    let script = "\"$0\" exec-env --redact a.env 'yes $A' | head -n 1";
    let output = test.program("sh", &["-c", script, env!("CARGO_BIN_EXE_sealant")]).run().ok();
    assert_eq!(output.text(), "[redacted]\n");
}

#[test]
fn github_is_told_what_to_mask_before_anything_is_printed() {
    let test = at_home();
    encrypted(
        &test,
        "a.yaml",
        "password: 100%ter\nkey: \"one line\\nother line\"\nshort: abc\n",
        &[RECIPIENT],
    );
    let args = ["exec-env", "--mask", "github", "a.yaml", "echo ran"];
    let output = test.sealant(&args).env("GITHUB_ACTIONS", "true").run().ok();
    let lines: Vec<_> = output.text().lines().collect();
    for value in ["100%25ter", "MTAwJXRlcg", "100%2525ter", "one line", "other line", "one line%0Aother line"]
    {
        assert!(lines.contains(&format!("::add-mask::{value}").as_str()), "{value}: {output}");
    }
    assert_eq!(lines.last(), Some(&"ran"));
    assert!(lines[..lines.len() - 1].iter().all(|line| line.starts_with("::add-mask::")), "{output}");
    // Elsewhere nobody would take them out of the log again.
    for other in ["", "false"] {
        let output = test.sealant(&args).env("GITHUB_ACTIONS", other).run().code(8);
        assert!(output.text().is_empty() && output.stderr.contains("--redact"), "{output}");
    }
}

#[test]
fn variables_that_run_code_are_refused_unless_they_are_named() {
    let test = at_home();
    let text = "LD_PRELOAD=./evil.so\nPATH=/nowhere\nA=1\n";
    encrypted(&test, "app env.env", text, &[RECIPIENT]);
    let output = test.sealant(&["exec-env", "app env.env", "echo $A"]).run().code(8);
    assert_eq!(output.text(), "");
    let message =
        "error: app env.env: sets LD_PRELOAD, PATH, which lets anybody who can write the file run code\n";
    assert!(output.stderr.starts_with(message), "{output}");
    assert!(
        output
            .stderr
            .contains("`sealant exec-env --allow-env LD_PRELOAD --allow-env PATH 'app env.env' COMMAND`"),
        "{output}"
    );
    assert!(!output.stderr.contains("evil"), "no value is shown: {output}");
    let output = test.sealant(&["exec-env", "--allow-env", "PATH", "app env.env", "echo $A"]).run().code(8);
    assert!(output.stderr.contains("sets LD_PRELOAD, which"), "{output}");

    encrypted(&test, "proxy.env", "https_proxy=http://evil\nSSL_CERT_FILE=evil.pem\nA=1\n", &[RECIPIENT]);
    let output = test.sealant(&["exec-env", "proxy.env", "echo $A"]).run().code(8);
    let message = "error: proxy.env: sets https_proxy, SSL_CERT_FILE, which lets anybody who can write the file read \
                   what the command sends\n";
    assert!(output.stderr.starts_with(message) && output.text().is_empty(), "{output}");
    let proxy = ["exec-env", "--allow-env", "https_proxy", "--allow-env", "SSL_CERT_FILE", "proxy.env"];
    assert_eq!(test.sealant(&proxy).arg("echo $https_proxy").run().ok().text(), "http://evil\n");

    encrypted(&test, "path.env", "PATH=/nowhere\n", &[RECIPIENT]);
    let named = ["exec-env", "--allow-env", "PATH", "path.env", "echo $PATH"];
    assert_eq!(test.sealant(&named).run().ok().text(), "/nowhere\n");
    let as_sops = test.sealant(&["exec-env", "path.env", "echo $PATH"]).called_as("sops").run().ok();
    assert_eq!(as_sops.text(), "/nowhere\n");
    assert!(as_sops.stderr.starts_with("warning: path.env: sets PATH"), "{as_sops}");
}

#[test]
fn no_file_names_the_server_that_gets_ones_own_token() {
    let test = at_home();
    let address = "VAULT_ADDR=http://127.0.0.1:1\n";
    for (token, is_allowed) in
        [("", false), ("VAULT_TOKEN=\n", false), ("BAO_TOKEN=t\n", false), ("VAULT_TOKEN=t\n", true)]
    {
        encrypted(&test, "app.env", &format!("{address}{token}"), &[RECIPIENT]);
        let output = test.sealant(&["exec-env", "app.env", "echo $VAULT_ADDR"]).run();
        let output = output.code(if is_allowed { 0 } else { 8 });
        assert_eq!(output.stderr.contains("sets VAULT_ADDR, which"), !is_allowed, "{token}{output}");
    }
}
