//! What is written down of work on secrets: which files were opened or written, by which keys, and with what outcome.
//!
//! Never a value, and of keys only their names. Where it is kept, and whether, is the host's to say.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::host::Host;

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Its data keys were asked for, to decrypt or to change it.
    Open,
    /// A result is about to be written, or printed.
    Write,
}

/// What is written down of one file.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub action: Action,
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
    /// The SealedSecrets in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// The one item that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The master keys that opened it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// `ok`, or what kind of failure it was.
    pub outcome: String,
}

fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Entry {
    pub fn new(action: Action, file: &Path) -> Self {
        let (file, outcome) = (file.to_path_buf(), "ok".to_owned());
        Self { action, file, objects: Vec::new(), item: None, keys: Vec::new(), outcome }
    }

    /// The same with what became of it.
    #[must_use]
    pub fn ended(self, error: Option<&Error>) -> Self {
        // Without the message: it quotes names from files.
        let outcome = match error.map(Error::kind) {
            None => self.outcome,
            Some(Kind::NoDataKey) => "no key".to_owned(),
            Some(kind) => format!("failed ({})", kind.exit_code()),
        };
        Self { outcome, ..self }
    }
}

/// Where entries are kept.
pub trait Journal: Send + Sync {
    /// Writes entries down, for good, before anybody gets to see what they are about.
    fn record(&self, host: &dyn Host, entries: &[Entry]) -> Result<()>;
}

/// Writes down what is about to be done to one file.
pub fn record(host: &dyn Host, entry: Entry) -> Result<()> {
    host.journal().map_or(Ok(()), |journal| journal.record(host, &[entry]))
}

/// Hands results on when they have been written down: where that fails, nobody gets them.
pub fn recorded<T>(
    host: &dyn Host,
    results: Vec<Result<T>>,
    entries: impl FnOnce(&[Result<T>]) -> Vec<Entry>,
) -> Vec<Result<T>> {
    let Some(journal) = host.journal() else { return results };
    match journal.record(host, &entries(&results)) {
        Ok(()) => results,
        Err(error) => {
            let again = |_| {
                let copy = Error::new(error.kind(), error.to_string());
                Err(copy.advise(error.advice().unwrap_or("Free some disk space for the audit log.")))
            };
            results.into_iter().map(again).collect()
        }
    }
}
