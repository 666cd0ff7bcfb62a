//! What is staged is looked at, with the real Git and the real pre-commit framework on the other side.

// Tests are outside of the doors that the library has.
mod altered;
mod archives;
mod base;
mod framework;
mod hook;
mod hostile;
mod install;
mod manifests;
mod names;
mod requests;
mod weakened;

use std::path::Path;

use sealant_test_support::{Run, Sandbox};

const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const RECIPIENT: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
const STRANGER: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: hunter2\n";
const PLANTED: &str = "hunter2";

/// A rule by which what is in `secrets/` is encrypted.
fn rule() -> String {
    format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n")
}

/// A program in an environment in which Git knows who commits, and finds `sealant`.
fn program(test: &Sandbox, program: impl AsRef<Path>, args: &[&str]) -> Run {
    let folder = Path::new(env!("CARGO_BIN_EXE_sealant")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let run = test.program(program, args).env("PATH", path).env("GIT_CONFIG_NOSYSTEM", "1");
    run.env("GIT_AUTHOR_NAME", "a")
        .env("GIT_AUTHOR_EMAIL", "a@example.com")
        .env("GIT_COMMITTER_NAME", "a")
        .env("GIT_COMMITTER_EMAIL", "a@example.com")
}

fn git(test: &Sandbox, args: &[&str]) -> Run {
    program(test, "git", args)
}

/// A repository without any commit, in which a config is staged.
fn unborn() -> Sandbox {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    git(&test, &["init", "-q", "-b", "main"]).run().ok();
    test.write(".sops.yaml", rule());
    git(&test, &["add", ".sops.yaml"]).run().ok();
    test
}

/// A repository with a first commit, a config in it.
fn repository() -> Sandbox {
    let test = unborn();
    git(&test, &["commit", "-qm", "first"]).run().ok();
    test
}

fn add(test: &Sandbox, file: &str, text: impl AsRef<[u8]>) {
    test.write(file, text);
    git(test, &["add", "-f", "--", file]).run().ok();
}

fn hook(test: &Sandbox, args: &[&str]) -> Run {
    program(test, env!("CARGO_BIN_EXE_sealant"), &["hook", "pre-commit"]).args(args)
}

/// The lines that say what was found.
fn lines(output: &sealant_test_support::Output) -> Vec<String> {
    assert!(!output.to_string().contains(PLANTED), "{output}");
    output.text().lines().map(str::to_owned).collect()
}
