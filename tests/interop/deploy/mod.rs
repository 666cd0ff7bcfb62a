//! What programs deploy through us: the real kustomize, the real helm, and Argo CD's real plugin server.

mod argocd;
mod health;
mod ksops;
mod plugin_server;

use std::path::{Path, PathBuf};

use sealant_test_support::{Output, Run, Sandbox};

const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const RECIPIENT: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";

/// A value that may come out in the place that a test says, and nowhere else.
const PLANTED: &str = "planted-hunter2";

/// The program under test.
fn sealant() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sealant"))
}

/// A sandbox that is a repository.
fn repository() -> Sandbox {
    let test = Sandbox::new(sealant());
    test.write(".git/HEAD", "ref: refs/heads/main\n");
    test
}

/// A Secret in plaintext, its keys not in the order of the alphabet.
fn secret(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n# a note\nstringData:\n  password: {PLANTED}-{name}   # why\n  a: |\n    b\n\n    c\n"
    )
}

/// Writes a file that the real sops has encrypted.
fn sops_encrypted(test: &Sandbox, path: &str, text: impl AsRef<[u8]>, flags: &[&str]) {
    test.write(path, text);
    let args = [&["encrypt", "-i", "--age", RECIPIENT], flags, &[path]].concat();
    test.sops(&args).run().ok();
    assert!(test.read_text(path).contains("ENC[AES256_GCM,"));
}

fn sops_secret(test: &Sandbox, path: &str, name: &str) {
    sops_encrypted(test, path, secret(name), &["--encrypted-regex", "^(data|stringData)$"]);
}

/// Writes a SealedSecret, and returns its text.
fn sealed(test: &Sandbox, path: &str, name: &str, scope: &str) -> String {
    let run = test.sealant(&["seal", "-n", "shop", "--scope", scope, "--age", RECIPIENT]);
    test.write(path, run.stdin(secret(name)).run().ok().stdout);
    test.read_text(path)
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: b\n")
}

/// With a `PATH` on which kustomize and helm find the program under test, and it finds them.
#[track_caller]
fn on_path(run: Run) -> Run {
    let ours = sealant().parent().unwrap().display();
    let peers = sealant_test_support::Peers::get().directory().display();
    run.env("PATH", format!("{ours}:{peers}:/usr/local/bin:/usr/bin:/bin"))
}

/// It failed, said this, and printed nothing: no value either.
#[track_caller]
fn refused(output: Output, said: &str) {
    assert!(output.status != 0 && output.stdout.is_empty(), "{output}");
    assert!(output.stderr.contains(said), "{said:?} is not said\n{output}");
    assert!(!output.stderr.contains(PLANTED) && !output.stderr.contains("ENC["), "{output}");
}

fn link(test: &Sandbox, name: &str, target: impl Into<PathBuf>) {
    std::os::unix::fs::symlink(target.into(), test.path(name)).unwrap();
}
