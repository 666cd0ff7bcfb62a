use super::{RECIPIENT, STRANGER, encrypted, sandbox};

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    let test = sandbox();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = test.sealant(&["completion", shell]).run().ok();
        assert!(script.text().contains("updatekeys"), "{shell}");
    }
    let bash = test.sealant(&["completion", "bash"]).run().ok();
    test.program("bash", &["-n"]).stdin(bash.stdout).run().ok();
}

#[test]
fn every_command_has_a_page() {
    let test = sandbox();
    test.sealant(&["man", "--dir", "man/man1"]).run().ok();
    let page = test.read_text("man/man1/sealant-encrypt.1");
    assert_eq!(page, test.sealant(&["man", "encrypt"]).run().ok().text());
    assert!(page.contains(".TH sealant-encrypt 1") && page.contains(".SH EXAMPLES\n.nf\n"), "{page}");
    assert!(test.read_text("man/man1/sealant.1").contains("sealant\\-encrypt(1)"));
}

#[test]
fn bash_offers_keys_names_topics_and_programs() {
    let test = sandbox();
    encrypted(&test, "a.yaml", "database:\n  password: x\n  user: y\nhosts:\n- name: z\n", &[RECIPIENT]);
    let names = format!("sealant: {{recipients: {{'{RECIPIENT}': Anna, '{STRANGER}': Ben}}}}");
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n{names}\n"));
    test.write("completion", &test.sealant(&["completion", "bash"]).run().ok().stdout);
    // What the shell does on TAB at the end of a line.
    let offered = |words: &[&str]| -> Vec<String> {
        let script = "PATH=$BIN:$PATH; source completion; COMP_WORDS=(sealant \"$@\"); COMP_CWORD=$#; \
                      _sealant_asking sealant \"${COMP_WORDS[$COMP_CWORD]}\" \"\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let bin = std::path::Path::new(env!("CARGO_BIN_EXE_sealant")).parent().unwrap();
        let run = test.program("bash", &["-c", script, "-"]).args(words).env("BIN", bin);
        run.run().ok().text().lines().map(str::to_owned).collect()
    };
    for (words, expected) in [
        (&["get", "a.yaml", ""][..], &["database.password", "database.user", "hosts\\[0\\].name"][..]),
        (&["set", "a.yaml", "database.u"], &["database.user"]),
        (&["get", "--format", "json", "a.yaml", "h"], &["hosts\\[0\\].name"]),
        (&["recipient", "rm", ""], &["Anna", "Ben"]),
        (&["who-can-decrypt", "--recipient", "B"], &["Ben"]),
        (&["help", "exp"], &["explain", "export"]),
        (&["help", "git", "ins"], &["install"]),
        (&["help", "exit"], &["exit-codes"]),
        (&["check", "--ver"], &["--verify"]),
        (&["completion", ""], &["bash", "elvish", "fish", "powershell", "zsh"]),
    ] {
        let offered = offered(words);
        let offered: Vec<&str> =
            offered.iter().map(String::as_str).filter(|word| !word.starts_with("--help")).collect();
        assert_eq!(offered, expected, "{words:?}");
    }
    assert!(offered(&["exec-env", "a.yaml", "bas"]).contains(&"bash".to_owned()));
    for broken in [&["get", "none.yaml", ""][..], &["get"], &[]] {
        let output = test.sealant(&["__complete"]).args(broken).run().ok();
        assert_eq!((output.text(), output.stderr.as_str()), ("", ""));
    }
}
