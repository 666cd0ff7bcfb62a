//! What Sealant's tests share: a private place for one test, and the programs that run in it.
//!
//! ```no_run
//! use sealant_test_support::Sandbox;
//!
//! # let sealant = "";
//! // let sealant = env!("CARGO_BIN_EXE_sealant");
//! let test = Sandbox::new(sealant);
//! test.write("secret.yaml", "password: hunter2\n");
//! let encrypted = test.sealant(&["encrypt", "--age", "age1...", "secret.yaml"]).run().ok();
//! test.write("secret.enc.yaml", &encrypted.stdout);
//! let decrypted = test.sops(&["decrypt", "secret.enc.yaml"]).env("SOPS_AGE_KEY", "AGE-SECRET-KEY-1...").run().ok();
//! assert_eq!(decrypted.text(), "password: hunter2\n");
//! ```
//!
//! Every helper panics when it fails: in a test there is nobody to hand an error to. Nothing is ever skipped: a program
//! that is missing is a failed test, whose message says how to get the program.

// This crate is the outside for the programs under test: reading the environment and writing files is its purpose.
#![allow(clippy::disallowed_methods)]

mod answering;
mod argocd;
mod authority;
mod azure_kv;
mod bao;
mod capture;
mod cluster;
mod flux;
mod forge;
mod gate;
mod gcp_kms;
mod huawei_kms;
mod moto;
mod pages;
mod peers;
mod run;
mod server;
mod stand_in;
mod terminal;
mod toy;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

pub use answering::Answering;
pub use argocd::{PluginServer, argocd_health};
pub use azure_kv::AzureKv;
pub use bao::{AuditRequest, Bao, BaoProxy};
pub use cluster::{ApiRequest, Cluster};
pub use flux::Flux;
pub use forge::Forge;
pub use gate::{Gate, Seen};
pub use gcp_kms::GcpKms;
pub use huawei_kms::HuaweiKms;
pub use moto::Moto;
pub use pages::Page;
pub use peers::Peers;
pub use run::{Output, Run, Usage};
pub use stand_in::{PLANTED, StandIn};
pub use terminal::Terminal;
pub use toy::AGE_PLUGIN_TOY;

const UNDER_TEST: &str = "SEALANT_UNDER_TEST";

/// The program under test: the one that Cargo has built, or another that stands for it, as `tests/windows/run` has one.
pub fn under_test(built: impl Into<PathBuf>) -> PathBuf {
    std::env::var_os(UNDER_TEST).map_or_else(|| built.into(), PathBuf::from)
}

/// The files of one test, removed with it:
///
/// | folder | is |
/// |---|---|
/// | `work/` | the current directory; relative paths of [`path`](Self::path), [`write`](Self::write) and [`read`](Self::read) start here |
/// | `home/` | `HOME`, and with `.config` in it `XDG_CONFIG_HOME` |
/// | `tmp/` | `TMPDIR` |
/// | `bin/` | scripts made by [`editor`](Self::editor) |
pub struct Sandbox {
    root: TempDir,
    sealant: PathBuf,
    scripts: AtomicUsize,
}

impl Sandbox {
    /// `sealant` is the program under test. Only Cargo knows where it is, and tells only the tests of the package that
    /// owns it: pass `env!("CARGO_BIN_EXE_sealant")`.
    pub fn new(sealant: impl Into<PathBuf>) -> Self {
        let root = tempfile::Builder::new().prefix("sealant-test-").tempdir().expect("a temporary directory");
        for folder in ["work", "home/.config", "tmp", "bin"] {
            fs::create_dir_all(root.path().join(folder)).expect("a folder in the temporary directory");
        }
        Self { root, sealant: under_test(sealant), scripts: AtomicUsize::new(0) }
    }

    /// Where a file of the working directory is. An absolute path stays as it is.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(path)
    }

    /// Where a file of the home directory is, for instance `home(".config/sops/age/keys.txt")`.
    pub fn home(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("home").join(path)
    }

    /// `TMPDIR`: look here for what a program left behind.
    pub fn tmp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// Writes a file, and makes the folders above it.
    #[track_caller]
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// The bytes of a file.
    #[track_caller]
    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(path);
        fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// The text of a file.
    #[track_caller]
    pub fn read_text(&self, path: impl AsRef<Path>) -> String {
        let bytes = self.read(&path);
        String::from_utf8(bytes).unwrap_or_else(|_| panic!("{} is not UTF-8", path.as_ref().display()))
    }

    /// The program under test.
    pub fn sealant(&self, args: &[&str]) -> Run {
        self.program(&self.sealant, args).of_windows(std::env::var_os(UNDER_TEST).is_some())
    }

    /// The real sops of today.
    #[track_caller]
    pub fn sops(&self, args: &[&str]) -> Run {
        self.real_sops("sops", args)
    }

    /// The real sops 3.11, which many people still have and which writes some things differently.
    #[track_caller]
    pub fn sops_3_11(&self, args: &[&str]) -> Run {
        self.real_sops("sops-3.11", args)
    }

    /// The real age, with its plugins on the `PATH`.
    #[track_caller]
    pub fn age(&self, args: &[&str]) -> Run {
        self.peer("age", args)
    }

    /// The real age-keygen.
    #[track_caller]
    pub fn age_keygen(&self, args: &[&str]) -> Run {
        self.peer("age-keygen", args)
    }

    /// The real kubeseal.
    #[track_caller]
    pub fn kubeseal(&self, args: &[&str]) -> Run {
        self.peer("kubeseal", args)
    }

    /// Any other program: a path, or a name on the `PATH` such as `git`.
    pub fn program(&self, program: impl AsRef<Path>, args: &[&str]) -> Run {
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
        Run::new(program.as_ref(), args, self.path(""))
            .env("PATH", path)
            .env("HOME", self.home(""))
            .env("XDG_CONFIG_HOME", self.home(".config"))
            .env("TMPDIR", self.tmp())
    }

    /// Makes an editor for `EDITOR` or `SOPS_EDITOR` out of shell commands, and returns its path. The file to edit is
    /// `"$1"`, and each run is a new `sh -eu`:
    ///
    /// ```no_run
    /// # let test = sealant_test_support::Sandbox::new("");
    /// let editor = test.editor(r#"sed -i s/hunter2/correct-horse/ "$1""#);
    /// test.sealant(&["edit", "secret.enc.yaml"]).env("EDITOR", editor).run().ok();
    /// ```
    pub fn editor(&self, commands: &str) -> PathBuf {
        let number = self.scripts.fetch_add(1, Ordering::Relaxed);
        let path = self.root.path().join(format!("bin/editor-{number}"));
        self.write(&path, format!("#!/bin/sh\nset -eu\n{commands}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the script becomes executable");
        if std::env::var_os(UNDER_TEST).is_some() {
            // What Windows starts, which runs the script.
            fs::copy(self.sealant.with_file_name("relay.exe"), path.with_added_extension("exe"))
                .expect("the tests of Windows have a relay");
        }
        path
    }

    #[track_caller]
    fn real_sops(&self, name: &str, args: &[&str]) -> Run {
        // Without this, sops asks the network for its newest version.
        self.peer(name, args).env("SOPS_DISABLE_VERSION_CHECK", "1")
    }

    #[track_caller]
    fn peer(&self, name: &str, args: &[&str]) -> Run {
        self.program(Peers::get().program(name), args).with_peers()
    }
}
