use super::{IDENTITY, RECIPIENT, program, sandbox};

/// How a command line ends: its exit code, and the first line of what it says.
#[track_caller]
fn ends(args: &[&str], code: i32, message: &str) {
    let test = sandbox();
    test.write("a.yaml", "a: 1\n");
    test.write("b.yaml", "b: 1\n");
    test.write("folder/c.yaml", "c: 1\n");
    let output = test.sealant(args).run().code(code);
    assert_eq!(output.stderr.lines().next().unwrap_or_default(), message, "{output}");
    assert_eq!(output.text(), "");
}

#[test]
fn usage_errors_end_with_64() {
    ends(&["encrpt"], 64, "error: unrecognized subcommand 'encrpt'");
    ends(&["decrypt", "--nonsense"], 64, "error: unexpected argument '--nonsense' found");
    ends(&["help", "nonsense"], 64, "error: there is no help on `nonsense`");
    ends(&["man", "nonsense"], 64, "error: there is no command `nonsense`");
}

#[test]
fn advice_about_arguments_looks_like_all_advice() {
    let test = sandbox();
    let runs = [(test.sealant(&["keygn"]), 64), (test.sealant(&["--descrypt", "a"]).called_as("sops"), 1)];
    for (run, code) in runs {
        let output = run.run().code(code);
        assert!(output.stderr.contains("\n  help: A similar"), "{output}");
    }
    let output = test.sealant(&["keygn"]).on_terminal().finish().code(64);
    assert!(output.text().contains("help:\x1b[0m A similar") && !output.text().contains("tip"), "{output}");
}

#[test]
fn a_wrong_number_of_arguments_ends_with_64() {
    ends(&["set", "a.yaml"], 64, "error: the following required arguments were not provided:");
    ends(
        &["get", "a.yaml", "b", "c"],
        64,
        "error: unexpected argument '(not shown: it may be a secret)' found",
    );
    ends(&["explain"], 64, "error: the following required arguments were not provided:");
}

#[test]
fn arguments_that_exclude_each_other_end_with_8() {
    let cases: [(&[&str], &str); 6] = [
        (&["-i", "--output", "x", "a.yaml"], "--in-place, --output and --output-dir cannot be combined"),
        (&["a.yaml", "b.yaml"], "the results of several files cannot go into one output"),
        (&["--output", "x", "folder"], "the results of several files cannot go into one output"),
        (&["-i", "-"], "the result for standard input has no file to go to"),
        (&["-i", "-", "a.yaml"], "standard input (`-`) cannot be read along with files"),
        (
            &["-i", "--filename-override", "x", "folder"],
            "--filename-override names one file, and a folder or pattern was given",
        ),
    ];
    for (args, message) in cases {
        for command in ["encrypt", "decrypt"] {
            ends(&[&[command], args].concat(), 8, &format!("error: {message}"));
        }
    }
}

#[test]
fn what_is_not_there_is_looked_for_nearby() {
    let test = sandbox();
    test.write("secrets/a.yaml", "a: 1\n");
    test.write("sub/x", "");
    for (folder, typed, meant) in [
        (".", "secrets/b.yaml", "secrets/a.yaml"),
        (".", "secret/a.yaml", "secrets/a.yaml"),
        (".", "a.yaml", "secrets/a.yaml"),
        ("sub", "secrets/a.yaml", "../secrets/a.yaml"),
    ] {
        let output = test.sealant(&["decrypt", typed]).cwd(folder).run().code(100);
        assert!(output.stderr.contains(&format!("Did you mean {meant}?")), "{output}");
        assert!(!output.stderr.contains("sealant edit"), "{output}");
    }
    let none = test.sealant(&["decrypt", "secrets/*.yml"]).run().code(100);
    assert!(none.stderr.starts_with("error: no file matches `secrets/*.yml`"), "{none}");
}

#[test]
fn what_is_wrong_with_a_key_is_said_with_the_flag() {
    ends(&["encrypt", "--age", "nonsense", "a.yaml"], 1, "error: --age: `nonsense` is not an age recipient");
    let test = sandbox();
    test.write("a.yaml", "a: 1\n");
    let output = test.sealant(&["encrypt", "a.yaml"]).env("SOPS_AGE_RECIPIENTS", "nonsense").run().code(1);
    assert!(output.stderr.starts_with("error: SOPS_AGE_RECIPIENTS: `nonsense`"), "{output}");
    let order = ["decrypt", "--decryption-order", "age,age", "a.yaml"];
    ends(&order, 112, "error: the key type age appears twice in the decryption order");
    let rules = ["encrypt", "--encrypted-regex", "(", "--age", RECIPIENT, "a.yaml"];
    ends(&rules, 5, "error: encrypted_regex `(` is not a regular expression: unclosed group");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let test = sandbox();
    let sealant = program().display().to_string();
    // The reader is gone before anything is written.
    let line = format!("{{ sleep 0.2; {sealant} help exit-codes; echo $? >&2; }} | true");
    let output = test.program("sh", &["-c", &line]).run().ok();
    assert_eq!(output.stderr, "0\n");
    let full = format!("{sealant} help exit-codes > /dev/full");
    let output = test.program("sh", &["-c", &full]).run().code(3);
    assert!(output.stderr.starts_with("error: standard output cannot be written: "), "{output}");
}

#[test]
fn colours_are_for_terminals() {
    let test = sandbox();
    let explain = |args: &[&str]| test.sealant(&[args, &["help", "nonsense"]].concat());
    assert!(!explain(&[]).run().code(64).stderr.contains('\x1b'));
    assert!(explain(&["--color", "always"]).run().code(64).stderr.contains('\x1b'));
    assert!(explain(&[]).on_terminal().finish().code(64).text().contains('\x1b'));
    let never = test.sealant(&["--color", "never", "encyrpt"]).on_terminal().finish().code(64);
    assert!(!never.text().contains('\x1b'), "{never}");
    let plain = [explain(&[]).env("NO_COLOR", "1"), explain(&["--color", "never"])];
    for run in plain {
        assert!(!run.on_terminal().finish().code(64).text().contains('\x1b'));
    }
}

#[test]
fn what_others_wrote_cannot_command_the_terminal() {
    let output = sandbox().sealant(&["help", "\x1b]0;owned\x07"]).run().code(64);
    assert!(!output.stderr.contains('\x1b'), "{output}");
}

#[test]
fn no_usage_error_of_set_repeats_the_value() {
    let test = sandbox();
    let wrong: [&[&str]; 9] = [
        &["set", "a.yaml", "[\"a\"]", "x", "hunter2"],
        &["set", "a.yaml", "[\"a\"]", "--hunter2", "--value-stdin"],
        &["set", "--hunter2", "a.yaml"],
        &["set", "a.yaml", "--hunter2"],
        &["set", "a.yaml", "[\"a\"]", "--strin", "hunter2"],
        &["set", "a.yaml", "[\"a\"]", "--string=hunter2"],
        &["set", "a.yaml", "[\"a\"]", "--color=hunter2", "x"],
        &["--nonsense", "set", "a.yaml", "hunter2"],
        &["set", "a.yaml", "[\"a\"]", "-hunter2", "x"],
    ];
    for args in wrong {
        for run in
            [test.sealant(args), test.sealant(args).called_as("sops"), test.sealant(&["sops"]).args(args)]
        {
            let output = run.run();
            assert!(
                output.status != 0 && !output.to_string().split_once('\n').unwrap().1.contains("hunter2"),
                "{output}"
            );
        }
    }
}

/// A password that was pasted into the wrong place, in every command.
#[test]
fn no_usage_error_repeats_a_word_that_nobody_asked_for() {
    let test = sandbox();
    let listed = test.sealant(&["--help"]).run().ok();
    let begins = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let lines = listed.text().lines().skip_while(|line| *line != "Start:").filter(begins);
    let names: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.starts_with('-')).collect();
    assert!(names.len() > 30, "{names:?}");
    // These take any words, and run them; or say of a flag what kubeseal says, which takes no values as words.
    let names = names.into_iter().filter(|name| !["exec-env", "sops", "kubeseal"].contains(name));
    for name in names {
        for words in [
            &["a", "b", "c", "d", "hunter2 x", "--no-such-flag"][..],
            &["--no-such-flag=hunter2 x"],
            &["--color", "hunter2 x"],
            &["--color=hunter2 x"],
            &["--quiet=hunter2 x"],
            &["-Zhunter2 x"],
        ] {
            for run in [test.sealant(&[name]).args(words), test.sealant(words).arg(name)] {
                let output = run.run();
                let said = output.to_string();
                let (_, said) = said.split_once('\n').expect("the command line, and what it says");
                assert!(output.status != 0 && !said.contains("hunter2"), "{output}");
            }
        }
        if name != "set" {
            let output = test.sealant(&[name, "--no-such-flag=x"]).run();
            assert!(output.stderr.contains("unexpected argument '--no-such-flag' found"), "{output}");
        }
    }
}

/// What other programs understand is answered by what does the same here, and a file that is there is edited.
#[test]
fn words_of_other_programs_are_answered() {
    let test = sandbox();
    test.write("a b.yaml", "a: 1\n");
    test.write("folder/a.yaml", "a: 1\n");
    for (args, answer) in [
        (&["-d", "a b.yaml"][..], "sealant decrypt 'a b.yaml' (or: sealant sops -d 'a b.yaml')"),
        (&["-e", "a b.yaml"], "sealant encrypt 'a b.yaml'"),
        (&["-i", "a b.yaml"], "sealant encrypt -i 'a b.yaml'"),
        (&["-d", "none.yaml"], "sealant decrypt FILE"),
        (
            &["seal", "--cert", "x.pem", "a b.yaml"],
            "sealant seal --age \"$(sealant fetch-recipient)\" 'a b.yaml'",
        ),
        (&["seal", "--cert", "a b.yaml"], "sealant seal --age \"$(sealant fetch-recipient)\" FILE"),
        (&["seal", "--fetch-cert"], "sealant fetch-recipient"),
        (&["seal", "--validate"], "sealant check FILE"),
        (&["seal", "--re-encrypt"], "sealant updatekeys FILE"),
        (&["seal", "-w", "x.yaml", "a b.yaml"], "sealant seal --output OUT 'a b.yaml'"),
        (&["import", "a b.yaml"], "sealant encrypt -i 'a b.yaml'"),
        (&["merge"], "sealant resolve FILE"),
        (&["edit", "-i", "a b.yaml"], "sealant edit 'a b.yaml'"),
        (&["updatekeys", "-f", "a b.yaml"], "sealant updatekeys 'a b.yaml'"),
        (&["encrypt", "-r", "age1x", "a b.yaml"], "Name a recipient with --age"),
        (&["create", "a b.yaml"], "sealant edit 'a b.yaml'"),
        (&["new"], "sealant edit secrets/app.yaml"),
        (&["new", "secrets/b.yaml"], "sealant edit secrets/b.yaml"),
        (&["a b.yaml", "encrypt"], "The command comes first: sealant encrypt 'a b.yaml'"),
        (
            &["migrate", "a b.yaml"],
            "takes a word before the file. For example: sealant migrate sealed-secrets",
        ),
        (&["recipient", "a b.yaml"], "For example: sealant recipient list"),
        (&["git", "uninstall"], "sealant git install --uninstall"),
        (&["keygen", "foo"], "sealant keygen --output key.txt"),
        (&["-r", RECIPIENT, "-o", "x", "a b.yaml"], "--output x 'a b.yaml'"),
        (&["updatekeys", "-r", "age1x", "a b.yaml"], "sealant updatekeys --add KEY 'a b.yaml'"),
        (&["set", "-i", "a b.yaml", "db.user", "x"], "sealant set 'a b.yaml' PATH"),
        (&["set", "password=hunter2", "a b.yaml"], "`sealant set 'a b.yaml' password`"),
        (&["encrypt", "a b.yaml", "--namespace", "shop"], "sealant seal --namespace NAMESPACE 'a b.yaml'"),
        (&["unlock", "a b.yaml"], "sealant decrypt -i 'a b.yaml'"),
        (&["open", "a b.yaml"], "sealant edit 'a b.yaml'"),
        (&["env", "a b.yaml"], "sealant exec-env 'a b.yaml' printenv"),
        (&["log", "a b.yaml"], "git log -p 'a b.yaml'"),
        (&["login"], "sealant vault login"),
        (&["describe", "a b.yaml"], "sealant inspect 'a b.yaml'"),
        (&["apply", "a b.yaml"], "sealant decrypt 'a b.yaml' | kubectl apply -f -"),
        (&["share", "Ben"], "sealant recipient add NAME KEY (`sealant init` prints their KEY"),
        (&["revoke", "Ben"], "sealant recipient rm NAME"),
        (&["-e", "-i", "a b.yaml"], "sealant encrypt -i 'a b.yaml'"),
        (&["restore", "a b.yaml"], "git restore 'a b.yaml'"),
        (&["add", "Ben", "age1xyz"], "sealant recipient add NAME KEY"),
        (&["add", "a b.yaml"], "sealant encrypt -i 'a b.yaml'"),
        (&["check", "--json"], "For JSON: sealant check --format json"),
        (&["recipient", "list", "-o", "json"], "For JSON: sealant recipient list --format json"),
        (&["decrypt", "--format", "json", "a b.yaml"], "For JSON: sealant decrypt --output-type json"),
        (&["decrypt", "--output", "json", "a b.yaml"], "invalid value 'json' for '--output <FILE>'"),
        (&["decrypt", "-r", "folder"], "sealant decrypt --output-dir DIR folder"),
        (&["check", "-r", "folder"], "sealant check folder"),
        (
            &["get", "a b.yaml", "a", "b"],
            "A path is one word, with dots between its keys: sealant get 'a b.yaml'",
        ),
        (&["init", "Anna"], "sealant recipient add NAME KEY"),
        (&["key"], "`sealant keygen --default` makes an identity, `sealant keygen -y`"),
        (&["reencrypt", "a b.yaml"], "`sealant rotate 'a b.yaml'`"),
        (&["get", "a b.yaml"], "For example: sealant get secrets.enc.yaml database.password"),
        (&["recipient", "add"], "For example: sealant recipient add Anna age1..."),
        (&["set", "a b.yaml", "password", "hunter2", "three"], "sealant set FILE PATH 'VALUE'"),
    ] {
        let output = test.sealant(args).run().code(64);
        assert!(output.stderr.contains(answer), "{args:?}\n{output}");
    }
    // age's way to name an identity would replace files.
    test.write("keys.txt", IDENTITY);
    let mistaken = test.sealant(&["decrypt", "-i", "keys.txt", "a b.yaml"]).run().code(8);
    assert!(mistaken.stderr.contains("sealant decrypt --identity keys.txt 'a b.yaml'"), "{mistaken}");
    // kubectl's way to ask for a type would leave plaintext in a file of that name.
    let typed = test.sealant(&["decrypt", "-o", "yaml", "a b.yaml"]).run().code(64);
    assert!(typed.stderr.contains("--output-type yaml") && !test.path("yaml").exists(), "{typed}");
    let missing = test.sealant(&["secrets/none.yaml"]).run().code(64);
    assert!(
        missing.stderr.contains("There is no such file. To make it: sealant edit secrets/none.yaml"),
        "{missing}"
    );
    for args in [["decrypt", "-r", "age1x"], ["edit", "--json", "a b.yaml"]] {
        let output = test.sealant(&args).run().code(64);
        assert!(!output.stderr.contains("help:"), "{output}");
    }
    // No editor for what is misspelt, or is not there.
    for word in ["chekc", "none.yaml", "."] {
        let output = test.sealant(&[word]).env("EDITOR", "touch opened").run().code(64);
        assert!(!test.path("opened").exists(), "{output}");
    }
    test.write("check", "a: 1\n");
    assert!(test.sealant(&["check"]).run().stderr.contains("checked"));
    for named in ["a b.yaml", "./check"] {
        let output = test.sealant(&[named]).env("EDITOR", "true").run();
        assert!(output.stderr.contains("is not encrypted"), "{output}");
    }
    for (name, meant) in [("cat", "decrypt"), ("view", "decrypt"), ("list", "status"), ("run", "exec-env")] {
        let usage = format!("Usage: sealant {meant}");
        assert!(test.sealant(&["help", name]).run().ok().text().contains(&usage), "{name}");
    }
}
