//! What a user of the command line sees: help, messages, exit codes, files.

mod advice;
mod audit;
mod check;
mod claims;
mod copied;
mod decrypt;
mod diff;
mod doctor;
mod edit;
mod encrypt;
mod exec_env;
mod exec_file;
mod explain;
mod export;
mod filestatus;
mod folders;
mod get;
mod groups;
mod help;
mod hostile;
mod init;
mod install;
mod keygen;
mod link;
mod links;
mod migrate;
mod prompts;
mod recipient;
mod rotate;
mod sealed;
mod sealed_changes;
mod set;
mod shell;
mod sops;
mod status;
mod texts;
mod unset;
mod updatekeys;
mod usage;
mod who_can_decrypt;

use std::path::PathBuf;

use sealant_test_support::{Sandbox, under_test};

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_sealant"))
}

/// The program, for a shell.
fn program() -> PathBuf {
    under_test(env!("CARGO_BIN_EXE_sealant"))
}

/// A sandbox in which our identity lies where it is looked for.
fn at_home() -> Sandbox {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), IDENTITY);
    test
}

/// Makes an identity file, and returns its recipient.
fn identity(test: &Sandbox, file: &str) -> String {
    test.sealant(&["keygen", "-o", file]).run().ok();
    test.sealant(&["keygen", "-y", file]).run().ok().text().trim().to_owned()
}

/// Writes an encrypted file.
fn encrypted(test: &Sandbox, file: &str, plaintext: &str, recipients: &[&str]) {
    test.write(file, plaintext);
    let output = test.sealant(&["encrypt", "-i", "--age", &recipients.join(","), file]).run().ok();
    assert_eq!(output.stderr, "");
}

/// A sandbox with an identity, and this text in `secret.yaml`, encrypted for it.
fn with_secret(text: &str) -> Sandbox {
    let test = at_home();
    encrypt(&test, "secret.yaml", text);
    test
}

/// Writes a file, encrypted for our identity.
fn encrypt(test: &Sandbox, name: &str, text: &str) {
    encrypted(test, name, text, &[RECIPIENT]);
}

fn decrypted(test: &Sandbox, name: &str) -> String {
    test.sealant(&["decrypt", name]).run().ok().text().to_owned()
}

/// The lines of a file that are not in another.
fn new_lines(old: &str, new: &str) -> Vec<String> {
    let old: Vec<_> = old.lines().collect();
    new.lines().filter(|line| !old.contains(line)).map(|line| line.trim().to_owned()).collect()
}

/// A text in which the folders of the test have names that do not change.
fn shown(test: &Sandbox, text: &str) -> String {
    let [work, home] = [test.path("file"), test.home("file")]
        .map(|folder| folder.parent().expect("a folder in the sandbox").display().to_string());
    text.replace(&work, "WORK").replace(&home, "HOME")
}

/// An identity and its recipient.
const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const RECIPIENT: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
const STRANGER: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";
const KEYS_TXT: &str = ".config/sops/age/keys.txt";
