//! Why a server did not do what it was asked for, as every kind has it.
//!
//! What an answer means is the kind's to say. Words of others are quoted in one line, shortened.

use std::fmt;

use crate::error::{Error, Kind};

/// Longer words of somebody else are cut.
const MOST_WORDS: usize = 600;

/// A request that failed. It can stand for many keys, and so be said many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub cause: Cause,
    pub message: String,
    pub advice: Option<String>,
}

/// What a failure means for what we do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There are no credentials, or none that can be used.
    Credentials,
    /// The credentials have ended: others may have taken their place.
    Expired,
    /// The caller may not do this.
    Denied,
    /// There is no such key.
    Missing,
    /// The key is switched off, or about to be deleted.
    Unusable,
    /// It is not this key that has encrypted this, or not with this context.
    NotOpened,
    /// Asked too often.
    Throttled,
    /// Another try may succeed.
    Busy,
    /// Nobody answers there, or nobody whom we trust.
    Down,
    /// Only a file names whose credentials are to be used.
    Unnamed,
    /// Anything else.
    Other,
}

/// What a key was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Encrypt,
    Decrypt,
}

impl Problem {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), advice: None }
    }

    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// The same, about what we were at.
    pub fn after(self, doing: &str) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }

    /// An answer that cannot be one of this service.
    pub fn not_understood(service: &str) -> Self {
        Self::new(Cause::Other, format!("the answer cannot be read: is it that of {service}?"))
    }

    /// What a service says of it: the code, or else the status of its answer, and its own words.
    pub fn said(cause: Cause, meaning: &str, status: u16, code: &str, words: &str) -> Self {
        let words = plain(words);
        let code = if code.is_empty() { status.to_string() } else { plain(code) };
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        Self::new(cause, format!("{meaning} ({code}){said}"))
    }

    /// A failure of the connection to a host.
    pub fn on_the_way(host: &str, error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::new(Cause::Down, format!("{host} gave no answer in time"));
        }
        let mut deepest: &dyn std::error::Error = error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        let cause = if error.is_connect() || error.is_builder() { Cause::Down } else { Cause::Busy };
        Self::new(cause, format!("{host} cannot be reached: {}", plain(&deepest.to_string())))
    }

    /// Whether asking again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self.cause, Cause::Throttled | Cause::Busy | Cause::Down)
    }

    /// As an error about settings or files of the user's that cannot be used.
    pub fn of_settings(self) -> Error {
        let error = Error::new(Kind::Other, self.message);
        match self.advice {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }

    /// As an error of the library, about a key and what it was asked for.
    pub fn error(self, key: &dyn fmt::Display, operation: Operation, advice: Option<String>) -> Error {
        // Only what cannot be opened lacks a key, to sops as to us.
        let kind = match operation {
            Operation::Encrypt => Kind::Other,
            Operation::Decrypt => Kind::NoDataKey,
        };
        let error = Error::new(kind, format!("{key}: {}", self.message))
            .passing(self.may_pass())
            .refused(self.cause == Cause::Unnamed);
        match self.advice.or(advice) {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }
}

impl From<Error> for Problem {
    /// A setting that cannot be read.
    fn from(error: Error) -> Self {
        Self { advice: error.advice().map(str::to_owned), ..Self::new(Cause::Other, error.message()) }
    }
}

/// Words of somebody else, in one line, not too long.
fn plain(words: &str) -> String {
    let words = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
