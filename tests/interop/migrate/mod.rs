//! `sealant migrate`, on what the real programs wrote.

mod ansible_vault;
mod dotenvx;
mod git_crypt;
mod ksops;
mod sealed_secrets;
mod secrets;
mod sops_secret;

use std::path::Path;

use sealant_test_support::{Peers, Sandbox};
use serde_json::Value;

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

/// The Secrets that a file makes, for us.
fn unsealed(test: &Sandbox, file: &str) -> Vec<Value> {
    let output = test.sealant(&["unseal", file]).run().ok();
    output.text().split("\n---\n").map(|text| serde_yaml::from_str(text).expect("YAML")).collect()
}

/// The values of an object, for Python with the real age.
fn opened_by_age(test: &Sandbox, object: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sealed/decrypt.py");
    let run = test.program("python3", &[]).arg(script).with_peers();
    let run = run.arg(test.home(".config/sops/age/keys.txt"));
    let run = run.env("PYTHONPATH", Peers::get().directory().join("pycryptodome"));
    serde_json::from_str(run.stdin(object.to_string()).run().ok().text()).expect("values")
}

fn objects(text: &str) -> Vec<Value> {
    let text = format!("\n{text}");
    let texts = text.split("\n---\n").filter(|text| !text.trim().is_empty());
    let objects = texts.map(|text| serde_yaml::from_str::<Value>(text).expect("YAML"));
    objects.filter(|object| !object.is_null()).collect()
}
