use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, sandbox};

/// A sandbox with an identity file that a passphrase protects.
fn locked() -> Sandbox {
    let test = sandbox();
    test.write("key.txt", IDENTITY);
    let encrypt = ["-e", "-j", "batchpass", "-o", "key.age", "key.txt"];
    test.age(&encrypt).env("AGE_PASSPHRASE", "correct horse").with_peers().run().ok();
    test
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    let test = locked();
    let mut terminal = test.sealant(&["keygen", "-y", "key.age"]).on_terminal();
    terminal.wait_for("Enter passphrase for identity file key.age: ");
    terminal.send_hidden_line("correct horse");
    let output = terminal.finish().ok();
    assert!(output.text().contains(RECIPIENT) && !output.text().contains("correct horse"), "{output}");
}

/// Whoever mistypes a passphrase is asked again, and told so at last.
#[test]
fn a_passphrase_is_asked_for_again_after_a_mistake() {
    let test = locked();
    test.write("a.yaml", "a: 1\n");
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    let decrypt = |passphrases: &[&str]| {
        let mut terminal = test.sealant(&["decrypt", "--identity", "key.age", "a.yaml"]).on_terminal();
        for (at, passphrase) in passphrases.iter().enumerate() {
            terminal.wait_for(["Enter passphrase for", "(2 tries left)", "(1 try left)"][at]);
            terminal.wait_for(": ");
            terminal.send_hidden_line(passphrase);
        }
        terminal.finish()
    };
    assert!(decrypt(&["corect horse", "correct horse"]).ok().text().contains("a: 1"));
    let output = decrypt(&["1", "2", "3"]).code(128);
    assert!(
        output.text().contains("a.yaml: wrong passphrase for key.age, and nothing else opens the data key"),
        "{output}"
    );
    assert!(!output.text().contains("add your recipient"), "{output}");
}

#[test]
fn without_a_terminal_it_says_so() {
    let output = locked().sealant(&["keygen", "-y", "key.age"]).run().code(2);
    assert_eq!(
        output.stderr,
        "error: key.age: encrypted with a passphrase, but there is no terminal to ask for a passphrase\n"
    );
}

#[test]
fn what_a_program_is_waited_for_is_said() {
    let test = sandbox();
    let run = test.sealant(&["doctor"]).env("SOPS_AGE_KEY_CMD", format!("sh -c 'sleep 4; echo {IDENTITY}'"));
    let output = run.run().ok();
    assert_eq!(output.stderr, "note: waiting for `sh`\n");
    assert!(output.text().contains(RECIPIENT), "{output}");
}
