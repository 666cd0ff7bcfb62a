//! The audit log: a line for each file that a command opens or writes.
//!
//! Owns the form of the lines and who asks for them; the library says what happens, as a [`Journal`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cli::args::{STDIN, plain_path};
use crate::config::{Configs, Lookup};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::journal::{Entry, Journal};
use crate::keys::vault::user_audit_log;
use crate::os;
use crate::shown::typed;

/// Whether the user wants a log, and where it is or would be.
pub fn log_of(host: &dyn Host) -> Result<(bool, Option<PathBuf>)> {
    let settings = user_audit_log(host)?;
    if let Some(Some(path)) = settings {
        return match path.is_absolute() {
            true => Ok((true, Some(path))),
            false => {
                let message = format!("`audit.log` has to be an absolute path, not `{}`", path.display());
                Err(Error::new(Kind::Config, message))
            }
        };
    }
    let state = host.env("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(host.home()?.join(".local/state")));
    Ok((settings.is_some(), state.map(|state| state.join("sealant/audit.jsonl"))))
}

pub fn no_place() -> Error {
    Error::new(Kind::Write, "there is no home folder to keep the audit log in")
        .advise("Set XDG_STATE_HOME, or name the log in your settings: `audit: {log: PATH}`.")
}

pub fn hash(line: &[u8]) -> String {
    format!("{:x}", Sha256::digest(line))
}

/// The log of what this process does.
pub struct AuditLog {
    command: String,
    working_dir: PathBuf,
    configs: Configs,
    /// What is known, by folder.
    required: Mutex<HashMap<PathBuf, bool>>,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'e> {
    time: String,
    version: &'static str,
    command: &'e str,
    user: String,
    /// Where users have numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    host: &'e str,
    #[serde(flatten)]
    entry: Entry,
    /// The hash of the line before.
    prev: Option<String>,
}

impl AuditLog {
    pub fn new(command: &str, lookup: Lookup) -> Self {
        let working_dir = lookup.working_dir.clone();
        let configs = Configs::new(lookup);
        Self { command: command.to_owned(), working_dir, configs, required: Mutex::default() }
    }

    /// Whether the config of a file says that there has to be a log, or that of the file that a link leads to.
    fn is_required(&self, file: &Path) -> Result<bool> {
        let real = os::real_path(self.working_dir.join(file));
        Ok(self.is_required_by_config(file)?
            || real.map_or(Ok(false), |real| self.is_required_by_config(&real))?)
    }

    fn is_required_by_config(&self, file: &Path) -> Result<bool> {
        let folder = file.parent().unwrap_or(file).to_path_buf();
        let mut known = self.required.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(required) = known.get(&folder) {
            return Ok(*required);
        }
        let required = self.configs.requires_audit_log(file)?;
        known.insert(folder, required);
        Ok(required)
    }
}

impl Journal for AuditLog {
    fn record(&self, host: &dyn Host, entries: &[Entry]) -> Result<()> {
        let (wanted, path) = log_of(host)?;
        let mut logged = Vec::new();
        for entry in entries {
            if wanted || self.is_required(&entry.file)? {
                let file = match entry.file.to_str() {
                    Some(STDIN) => entry.file.clone(),
                    _ => self.working_dir.join(plain_path(&entry.file)),
                };
                logged.push(Entry { file, ..entry.clone() });
            }
        }
        if logged.is_empty() {
            return Ok(());
        }
        let path = path.ok_or_else(no_place)?;
        let (user, machine) = (host.env_text(os::USER)?.unwrap_or_default(), os::host_name());
        let time = host.now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let cannot = |error: Error| {
            error.advise(format!(
                "The audit log must be written before anything is decrypted or changed: make it a file that only you \
                 can read and write (`{}`).",
                os::how_to_keep(&typed(&path))
            ))
        };
        fs::append(&path, |last| {
            let (mut text, mut prev) = (String::new(), last.map(hash));
            for entry in logged {
                let line = Line {
                    time: time.clone(),
                    version: env!("CARGO_PKG_VERSION"),
                    command: &self.command,
                    user: user.clone(),
                    uid: os::user_id(),
                    host: &machine,
                    entry,
                    prev,
                };
                let line = serde_json::to_string(&line).unwrap_or_default();
                prev = Some(hash(line.as_bytes()));
                text += &(line + "\n");
            }
            text
        })
        .map_err(cannot)
    }
}
