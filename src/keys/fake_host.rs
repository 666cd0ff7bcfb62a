//! For the tests of this module: a host that gives what a test puts into it and writes down what it was asked for, and
//! keys to put into it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ::age::secrecy::{ExposeSecret, SecretString as Passphrase};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Recipient;
use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host};
use crate::secret::{SecretBytes, SecretString};

#[derive(Default)]
pub(super) struct FakeHost {
    env: HashMap<&'static str, String>,
    files: Mutex<HashMap<PathBuf, Vec<u8>>>,
    passphrase: Option<&'static str>,
    answer: Option<&'static str>,
    may_run_plugins: bool,
    /// What the program of this name prints for a recipient; `*` stands for every recipient.
    programs: HashMap<(&'static str, String), String>,
    calls: Mutex<Vec<String>>,
}

impl FakeHost {
    pub(super) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.insert(name, value.into());
        self
    }

    pub(super) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.lock().unwrap().insert(path.into(), content.as_ref().to_vec());
        self
    }

    pub(super) fn passphrase(mut self, passphrase: &'static str) -> Self {
        self.passphrase = Some(passphrase);
        self
    }

    /// What is answered to a question, by default nothing.
    pub(super) fn answer(mut self, answer: &'static str) -> Self {
        self.answer = Some(answer);
        self
    }

    pub(super) fn with_plugins(mut self) -> Self {
        self.may_run_plugins = true;
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
            .lock()
            .unwrap()
            .get(path)
            .cloned()
            .map(Zeroizing::new)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_private(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.files.lock().unwrap().insert(path.into(), content.to_vec());
        Ok(())
    }

    fn ask_passphrase(&self, prompt: &str) -> Result<SecretString> {
        self.called(format!("ask {prompt}"));
        self.passphrase
            .map(|passphrase| Zeroizing::new(passphrase.to_owned()))
            .ok_or_else(|| Error::new(Kind::Other, "there is no terminal to ask at"))
    }

    fn ask_line(&self, prompt: &str) -> Result<String> {
        self.called(format!("ask {prompt}"));
        Ok(self.answer.unwrap_or_default().to_owned())
    }

    fn confirm(&self, question: &str) -> Result<bool> {
        self.called(format!("confirm {question}"));
        Ok(true)
    }

    fn output_of(&self, command: &Command) -> Result<SecretBytes> {
        let program = command.program.to_str().unwrap();
        let recipient = command.env.iter().find(|(name, _)| name == "SOPS_AGE_RECIPIENT").unwrap();
        let recipient = recipient.1.to_str().unwrap();
        self.called(format!("run {program} for {recipient}"));
        self.programs
            .iter()
            .find(|((name, asked_for), _)| *name == program && [recipient, "*"].contains(&asked_for.as_str()))
            .map(|(_, prints)| Zeroizing::new(prints.clone().into_bytes()))
            .ok_or_else(|| Error::new(Kind::Other, format!("{program} exited with 1")))
    }

    fn may_run_plugins(&self) -> bool {
        self.may_run_plugins
    }

    fn note(&self, message: &str) {
        self.called(format!("note {message}"));
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A new X25519 identity as its text, and its recipient.
pub(super) struct Pair {
    pub(super) secret: String,
    pub(super) recipient: Recipient,
}

pub(super) fn pair() -> Pair {
    let identity = ::age::x25519::Identity::generate();
    Pair {
        secret: identity.to_string().expose_secret().to_owned(),
        recipient: Recipient::as_written(&identity.to_public().to_string()),
    }
}

/// An age file that is encrypted with a passphrase.
pub(super) fn with_passphrase(content: &str, passphrase: &str, work_factor: u8) -> Vec<u8> {
    let mut recipient = ::age::scrypt::Recipient::new(Passphrase::from(passphrase));
    recipient.set_work_factor(work_factor);
    let encryptor = ::age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
    let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.finish().unwrap()
}
