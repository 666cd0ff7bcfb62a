//! `sealant migrate`, on what the real programs wrote.

mod ansible_vault;
mod sealed_secrets;

use sealant_test_support::Sandbox;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_sealant"))
}

/// A repository with an identity, and a rule for `apps/`.
fn repository() -> Sandbox {
    let test = sandbox();
    test.sealant(&["keygen", "--default"]).run().ok();
    git(&test, &["init", "-q", "-b", "main"]);
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^apps/\n    age: {}\n", own(&test)));
    test
}

fn own(test: &Sandbox) -> String {
    test.sealant(&["keygen", "-y"]).run().ok().text().trim().to_owned()
}

fn stranger(test: &Sandbox) -> String {
    let file = test.tmp().join("stranger.txt");
    if !file.exists() {
        test.sealant(&["keygen", "-o", &file.display().to_string()]).run().ok();
    }
    test.sealant(&["keygen", "-y", &file.display().to_string()]).run().ok().text().trim().to_owned()
}

fn git(test: &Sandbox, words: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@t"];
    let _ = test.program("git", &identity).args(words).run().ok();
}

fn commit(test: &Sandbox) {
    git(test, &["add", "-A"]);
    git(test, &["commit", "-q", "-m", "x"]);
}
