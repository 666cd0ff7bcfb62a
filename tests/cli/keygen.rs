use std::os::unix::fs::PermissionsExt;

use super::{IDENTITY, KEYS_TXT, RECIPIENT, program, sandbox};

#[test]
fn an_identity_goes_to_standard_output() {
    let output = sandbox().sealant(&["keygen"]).run().ok();
    let lines: Vec<_> = output.text().lines().collect();
    assert!(lines[0].starts_with("# created: 2") && lines[2].starts_with("AGE-SECRET-KEY-1"), "{output}");
    assert_eq!(output.stderr, format!("{}\n", lines[1].replace("# p", "P")));
}

#[test]
fn a_file_is_private_and_never_overwritten() {
    let test = sandbox();
    let output = test.sealant(&["keygen", "-o", "key.txt"]).run().ok();
    assert_eq!(output.text(), "");
    assert_eq!(test.path("key.txt").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let recipient = test.sealant(&["keygen", "-y", "key.txt"]).run().ok();
    assert_eq!(output.stderr, format!("Public key: {}", recipient.text()));

    let before = test.read("key.txt");
    for args in [&["keygen", "-o", "key.txt"][..], &["keygen", "-y", "-o", "key.txt", "key.txt"]] {
        let output = test.sealant(args).run().code(3);
        assert!(output.stderr.starts_with("error: key.txt: already exists"), "{output}");
    }
    assert_eq!(test.read("key.txt"), before);
}

#[test]
fn the_real_age_takes_an_identity() {
    let test = sandbox();
    for flags in [&["keygen", "-o", "a.txt"][..], &["keygen", "--pq", "-o", "pq.txt"]] {
        test.sealant(flags).run().ok();
        let file = flags.last().unwrap();
        let ours = test.sealant(&["keygen", "-y", file]).run().ok();
        assert_eq!(ours.text(), test.age_keygen(&["-y", file]).run().ok().text());
    }
}

#[test]
fn recipients_come_from_a_file_or_standard_input() {
    let test = sandbox();
    test.write("key.txt", format!("# mine\n{IDENTITY}\n"));
    let expected = format!("{RECIPIENT}\n");
    assert_eq!(test.sealant(&["keygen", "-y", "key.txt"]).run().ok().text(), expected);
    assert_eq!(test.sealant(&["keygen", "-y"]).stdin(IDENTITY).run().ok().text(), expected);
    let output = test.sealant(&["keygen", "-y"]).stdin(RECIPIENT).run().code(2);
    assert!(output.stderr.starts_with("error: standard input: line 1 holds a recipient"), "{output}");
}

#[test]
fn the_default_file_grows() {
    let test = sandbox();
    test.sealant(&["keygen", "--default"]).run().ok();
    let path = test.home(KEYS_TXT);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let first = test.read_text(&path);
    // As an editor may leave it.
    test.write(&path, first.trim_end());
    test.sealant(&["keygen", "--default"]).run().ok();
    let both = test.read_text(&path);
    assert!(both.starts_with(&first));
    let recipients = test.sealant(&["keygen", "-y"]).arg(&path).run().ok();
    assert_eq!(recipients.text().lines().count(), 2);
}

#[test]
fn nothing_is_added_to_an_encrypted_default_file() {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), "age-encryption.org/v1\n");
    let output = test.sealant(&["keygen", "--default"]).run().code(8);
    assert!(output.stderr.contains("nothing can be added"), "{output}");
    assert_eq!(test.read_text(test.home(KEYS_TXT)), "age-encryption.org/v1\n");
}

#[test]
fn others_who_can_read_the_output_are_warned_of() {
    let test = sandbox();
    let line = format!("umask 022; {} keygen > key.txt", program().display());
    let output = test.program("sh", &["-c", &line]).run().ok();
    assert!(output.stderr.starts_with("warning: others can read the file"), "{output}");
}

#[test]
fn without_a_file_one_s_own_recipients_are_printed() {
    let test = sandbox();
    let none = test.sealant(&["keygen", "-y"]).run().code(100);
    assert!(none.stderr.contains("`sealant keygen --default`"), "{none}");
    test.write(test.home(KEYS_TXT), IDENTITY);
    assert_eq!(test.sealant(&["keygen", "-y"]).run().ok().text(), format!("{RECIPIENT}\n"));
    let mut terminal = test.sealant(&["keygen", "-y"]).on_terminal();
    terminal.wait_for(RECIPIENT);
    terminal.finish().ok();
    // What is piped in is another one's, and never taken for one's own.
    let other = test.sealant(&["keygen"]).run().ok();
    let piped = test.sealant(&["keygen", "-y"]).stdin(other.stdout.clone()).run().ok();
    assert!(other.text().contains(piped.text().trim()), "{piped}");
    test.sealant(&["keygen", "-y", "-"]).run().code(2);
}

#[test]
fn an_identity_with_a_passphrase_opens_with_it() {
    let test = sandbox();
    let made = |passphrases: [&str; 2], file: &str| {
        let mut terminal = test.sealant(&["keygen", "--passphrase", "-o", file]).on_terminal();
        for (prompt, passphrase) in ["new identity: ", "Repeat it: "].into_iter().zip(passphrases) {
            terminal.wait_for(prompt);
            terminal.send_hidden_line(passphrase);
        }
        terminal.finish()
    };
    let differing = made(["correct horse", "correct house"], "none.txt").code(64);
    assert!(differing.text().contains("differ") && !test.path("none.txt").exists(), "{differing}");
    made(["correct horse", "correct horse"], "key.txt").ok();
    let text = test.read_text("key.txt");
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{text}");
    let mut terminal = test.age(&["-d", "key.txt"]).on_terminal();
    terminal.wait_for("passphrase");
    terminal.send_hidden_line("correct horse");
    let opened = terminal.finish().ok();
    assert!(opened.text().contains("AGE-SECRET-KEY-1"), "{opened}");
    let mut terminal = test.sealant(&["keygen", "-y", "key.txt"]).on_terminal();
    terminal.wait_for("key.txt");
    terminal.send_hidden_line("correct horse");
    assert!(terminal.finish().ok().text().contains("age1"));
}

#[test]
fn an_identity_that_git_would_take_is_told_of() {
    let test = sandbox();
    test.program("git", &["init", "-q", "repo"]).run().ok();
    let output = test.sealant(&["keygen", "-o", "key.txt"]).cwd("repo").run().ok();
    assert!(output.stderr.contains("key.txt is in a Git repository"), "{output}");
    test.write("repo/.gitignore", "*.key\n");
    let ignored = test.sealant(&["keygen", "-o", "repo/mine.key"]).run().ok();
    assert!(ignored.stderr.starts_with("Public key: "), "{ignored}");
}
