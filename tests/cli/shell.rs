use std::path::Path;

use sealant_test_support::Sandbox;

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

/// A folder with a document, and a config with names.
fn with_names() -> Sandbox {
    let test = sandbox();
    encrypted(&test, "a.yaml", "database:\n  password: x\n  user: y\nhosts:\n- name: z\n", &[RECIPIENT]);
    let names = format!("sealant: {{recipients: {{'{RECIPIENT}': Anna, '{STRANGER}': Ben}}}}");
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n{names}\n"));
    test
}

/// Where our program is, for a PATH.
fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("a folder")
}

#[test]
fn bash_offers_keys_names_topics_and_programs() {
    let test = with_names();
    test.write("completion", &test.sealant(&["completion", "bash"]).run().ok().stdout);
    // What the shell does on TAB at the end of a line.
    let offered = |words: &[&str]| -> Vec<String> {
        let script = "PATH=$BIN:$PATH; source completion; COMP_WORDS=(sealant \"$@\"); COMP_CWORD=$#; \
                      _sealant_asking sealant \"${COMP_WORDS[$COMP_CWORD]}\" \"\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let run = test.program("bash", &["-c", script, "-"]).args(words).env("BIN", bin());
        run.run().ok().text().lines().map(str::to_owned).collect()
    };
    for (words, expected) in [
        (&["get", "a.yaml", ""][..], &["database.password", "database.user", "hosts\\[0\\].name"][..]),
        (&["set", "a.yaml", "database.u"], &["database.user"]),
        (&["get", "--format", "json", "a.yaml", "h"], &["hosts\\[0\\].name"]),
        (&["recipient", "rm", ""], &["Anna", "Ben"]),
        (&["who-can-decrypt", "--recipient", "B"], &["Ben"]),
        (&["encrypt", "--age", "A"], &["Anna"]),
        (&["updatekeys", "--add", ""], &["Anna", "Ben"]),
        (&["help", "exp"], &["explain", "export"]),
        (&["help", "git", "ins"], &["install"]),
        (&["help", "exit"], &["exit-codes"]),
        (&["help", "config"], &["config-schema"]),
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

#[test]
fn fish_offers_the_same() {
    let test = with_names();
    test.write("completion.fish", &test.sealant(&["completion", "fish"]).run().ok().stdout);
    for (line, expected) in [
        ("get a.yaml database.", &["database.password", "database.user"][..]),
        ("recipient rm ", &["Anna", "Ben"]),
        ("who-can-decrypt --recipient ", &["Anna", "Ben"]),
        ("encrypt --age ", &["Anna", "Ben"]),
        ("rotate --rm-age B", &["Ben"]),
        ("help git ins", &["install"]),
        ("upd", &["updatekeys"]),
        ("check --ver", &["--verify"]),
    ] {
        let script = format!("set -p PATH $BIN; source completion.fish; complete -C 'sealant {line}'");
        let output = test.program("fish", &["--no-config", "-c", &script]).env("BIN", bin()).run().ok();
        // Behind a tab is what fish says of an offer.
        let offered: Vec<&str> = output.text().lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(offered, expected, "{line}");
    }
}

#[test]
fn zsh_completes_what_is_typed() {
    let test = with_names();
    test.write("_sealant", &test.sealant(&["completion", "zsh"]).run().ok().stdout);
    let mut zsh = test.program("zsh", &["-f", "-i"]).env("BIN", bin()).on_terminal();
    // Enter shows the line, and runs nothing.
    zsh.send_line("PATH=$BIN:$PATH; autoload -U compinit; compinit -u -D; source ./_sealant");
    zsh.send_line(
        "zle-line-finish() { [[ $BUFFER == exit ]] && return; print -r -- \" <${(j: :)${(z)BUFFER}}>\"; BUFFER= }; zle -N zle-line-finish",
    );
    for (typed, expected) in [
        ("get a.yaml database.p\t", "<sealant get a.yaml database.password>"),
        ("recipient rm B\t", "<sealant recipient rm Ben>"),
        ("encrypt --age A\t", "<sealant encrypt --age Anna>"),
        ("help git ins\t", "<sealant help git install>"),
        ("upda\t", "<sealant updatekeys>"),
        ("check --veri\t", "<sealant check --verify>"),
    ] {
        zsh.send(format!("sealant {typed}\r"));
        zsh.wait_for(expected);
    }
    // An end of input gets lost while the shell is between two prompts; a line does not.
    zsh.send_line("exit");
    zsh.finish().ok();
}

#[test]
fn a_page_is_shown_on_a_terminal() {
    let test = sandbox();
    let terminal = test.sealant(&["man", "git", "install"]).env("MANPAGER", "cat").on_terminal();
    let shown = terminal.finish().ok();
    assert!(shown.text().contains("sealant-git-install(1)") && !shown.text().contains(".TH"), "{shown}");
    let terminal = test.sealant(&["man", "encrypt"]).env("PATH", test.path("")).on_terminal();
    let output = terminal.finish();
    assert!(output.status == 1 && output.text().contains("`sealant help encrypt` says the same"), "{output}");
}
