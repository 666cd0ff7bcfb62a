//! A host for the tests of this module: it gives what a test puts into it, and writes down what it was asked for.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host};
use crate::secret::{SecretBytes, SecretString};

#[derive(Default)]
pub(super) struct FakeHost {
    env: HashMap<&'static str, String>,
    files: HashMap<PathBuf, Vec<u8>>,
    passphrase: Option<&'static str>,
    /// What the program of this name prints for a recipient; `*` stands for every recipient.
    programs: HashMap<(&'static str, String), String>,
    calls: Mutex<Vec<String>>,
}

impl FakeHost {
    pub(super) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.insert(name, value.into());
        self
    }

    pub(super) fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), content.as_ref().to_vec());
        self
    }

    pub(super) fn passphrase(mut self, passphrase: &'static str) -> Self {
        self.passphrase = Some(passphrase);
        self
    }

    pub(super) fn program(mut self, name: &'static str, recipient: &str, prints: impl Into<String>) -> Self {
        self.programs.insert((name, recipient.to_owned()), prints.into());
        self
    }

    /// What was asked for so far, besides the environment.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn called(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Host for FakeHost {
    fn env(&self, name: &str) -> Option<OsString> {
        self.env.get(name).map(OsString::from)
    }

    fn home(&self) -> Option<PathBuf> {
        Some("/home/u".into())
    }

    fn read_secret(&self, path: &Path) -> io::Result<SecretBytes> {
        self.called(format!("read {}", path.display()));
        self.files
            .get(path)
            .cloned()
            .map(Zeroizing::new)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn ask_passphrase(&self, prompt: &str) -> Result<SecretString> {
        self.called(format!("ask {prompt}"));
        self.passphrase
            .map(|passphrase| Zeroizing::new(passphrase.to_owned()))
            .ok_or_else(|| Error::new(Kind::Other, "there is no terminal to ask at"))
    }

    fn ask_line(&self, prompt: &str) -> Result<String> {
        self.called(format!("ask {prompt}"));
        Ok(String::new())
    }

    fn confirm(&self, question: &str) -> Result<bool> {
        self.called(format!("confirm {question}"));
        Ok(true)
    }

    fn output_of(&self, command: &Command) -> Result<SecretBytes> {
        let program = command.program.to_str().unwrap();
        let recipient = command
            .env
            .iter()
            .find(|(name, _)| name == "SOPS_AGE_RECIPIENT")
            .unwrap();
        let recipient = recipient.1.to_str().unwrap();
        self.called(format!("run {program} for {recipient}"));
        self.programs
            .iter()
            .find(|((name, asked_for), _)| *name == program && [recipient, "*"].contains(&asked_for.as_str()))
            .map(|(_, prints)| Zeroizing::new(prints.clone().into_bytes()))
            .ok_or_else(|| Error::new(Kind::Other, format!("{program} exited with 1")))
    }

    fn may_run_plugins(&self) -> bool {
        false
    }

    fn note(&self, _: &str) {}

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}
