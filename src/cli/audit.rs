use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cli::Context;
use crate::cli::args::STDIN;
use crate::cli::repository::plain_path;
use crate::config::{Configs, Lookup};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::journal::{Entry, Journal};
use crate::keys::vault::user_audit_log;

/// Verify the audit log: that no line was changed, taken out or put in
///
/// Each line of the log holds the SHA-256 of the line before it, so lines that are missing at its beginning or in between
/// are noticed. What is missing at its end, and a log that was written anew as a whole, only those notice who have kept
/// the hash of its last line elsewhere: it is printed.
///
/// The log is kept when your own settings, `$XDG_CONFIG_HOME/sealant/config.yaml`, say `audit: {}`, or when the config of
/// a repository says `sealant: {audit: true}`. It is $XDG_STATE_HOME/sealant/audit.jsonl, unless your settings name
/// another file: `audit: {log: /var/log/sealant.jsonl}`. Nothing is decrypted when it cannot be written, nor when others
/// may read or write it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant audit
  sealant audit /var/log/sealant.jsonl
  jq 'select(.command == \"decrypt\")' ~/.local/state/sealant/audit.jsonl")]
pub struct Args {
    /// The log, if not your own
    #[arg(value_name = "FILE")]
    log: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let path = match args.log {
        Some(path) => path,
        None => log_of(context.host)?.1.ok_or_else(no_place)?,
    };
    let (mut number, mut last, mut broken) = (0_usize, None, Vec::new());
    fs::read_lines(&path, |line| {
        number += 1;
        let found: Option<Value> = serde_json::from_slice(line).ok();
        let prev = found.as_ref().and_then(|line| line.get("prev")).and_then(Value::as_str);
        // The first of a log follows none.
        if found.is_none() || prev != last.as_deref() {
            broken.push(number);
        }
        last = Some(hash(line));
        Ok(())
    })
    .map_err(|error| match error.kind() {
        Kind::NoFile => {
            error.advise("Nothing was written down yet. `sealant help audit` says how to ask for a log.")
        }
        _ => error,
    })?;
    for line in &broken {
        let what = match line {
            1 => "is not how a log begins: lines before it are missing, or it was changed",
            _ => "is not what followed the line before it",
        };
        context.ui.line(format!("{}:{line}: {what}", path.display()))?;
    }
    let last = last.unwrap_or_else(|| "none".to_owned());
    context.ui.say(format!("{number} lines, {} broken; the hash of the last is {last}", broken.len()));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { Kind::Other.exit_code().into() })
}

/// Whether the user wants a log, and where it is or would be.
fn log_of(host: &dyn Host) -> Result<(bool, Option<PathBuf>)> {
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

fn no_place() -> Error {
    Error::new(Kind::Write, "there is no home folder to keep the audit log in")
        .advise("Set XDG_STATE_HOME, or name the log in your settings: `audit: {log: PATH}`.")
}

fn hash(line: &[u8]) -> String {
    format!("{:x}", Sha256::digest(line))
}

/// What this process does is one command, whoever of it opens files.
static JOURNAL: OnceLock<AuditLog> = OnceLock::new();

/// Lets what is done from now on be written down, as of this command.
pub(super) fn begin(command: &str, lookup: Lookup) {
    let _ = JOURNAL.set(AuditLog::new(command, lookup));
}

/// Where it is written down.
pub(super) fn journal() -> Option<&'static dyn Journal> {
    JOURNAL.get().map(|log| log as &dyn Journal)
}

/// The log of what this process does.
struct AuditLog {
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
    uid: u32,
    host: &'e str,
    #[serde(flatten)]
    entry: Entry,
    /// The hash of the line before.
    prev: Option<String>,
}

impl AuditLog {
    fn new(command: &str, lookup: Lookup) -> Self {
        let working_dir = lookup.working_dir.clone();
        let configs = Configs::new(lookup);
        Self { command: command.to_owned(), working_dir, configs, required: Mutex::default() }
    }

    /// Whether the config of a file says that there has to be a log, or that of the file that a link leads to.
    fn is_required(&self, file: &Path) -> Result<bool> {
        let real = self.working_dir.join(file).canonicalize();
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
        let (user, machine) = (host.env_text("USER")?.unwrap_or_default(), fs::host_name());
        let time = host.now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let cannot = |error: Error| {
            error.advise(
                "The audit log has to be written before anything is decrypted or changed: make it a file that you \
                 alone may read and write (`chmod 600 FILE`).",
            )
        };
        fs::append(&path, |last| {
            let (mut text, mut prev) = (String::new(), last.map(hash));
            for entry in logged {
                let line = Line {
                    time: time.clone(),
                    version: env!("CARGO_PKG_VERSION"),
                    command: &self.command,
                    user: user.clone(),
                    uid: fs::user_id(),
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
