//! Why a template has no text: where, in which function, and what kind of fault it was, never a value.
//!
//! What is said of a fault is written in this program ([`Fault`] takes nothing else), so that no value can get into it. Names
//! of functions, fields and variables are the template's own, which is in plaintext wherever it is.

use std::fmt;

/// The result of everything that a template does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a template fails by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// It is not a template.
    Syntax,
    /// It calls a function that there is not.
    UnknownFunction,
    /// It calls a function that exists elsewhere and is refused here: it is random, or asks clock, network or environment.
    RefusedFunction,
    /// A value is not what is done with it.
    Value,
    /// The template itself says so, with `fail`.
    Failed,
    /// It is too large, takes too long, or goes too deep.
    Bound,
}

/// A fault of a template, with its place in the text.
///
/// ```
/// use sealant::template::{ErrorKind, Template};
///
/// let error = Template::parse("config", "user: {{ .user | uper }}").unwrap_err();
/// assert_eq!((error.kind(), error.line(), error.column()), (ErrorKind::UnknownFunction, 1, 18));
/// assert_eq!(error.to_string(), "line 1, column 18: there is no function `uper`");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    line: usize,
    column: usize,
    message: String,
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The line of the template, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The character of that line, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.kind)
    }
}

impl std::error::Error for Error {}

/// What is wrong, from where it happens: it knows no place yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: ErrorKind,
    pub what: &'static str,
}

impl Fault {
    /// A value that does not fit.
    pub const fn value(what: &'static str) -> Self {
        Self { kind: ErrorKind::Value, what }
    }

    /// Too much of something.
    pub const fn bound(what: &'static str) -> Self {
        Self { kind: ErrorKind::Bound, what }
    }

    pub const fn syntax(what: &'static str) -> Self {
        Self { kind: ErrorKind::Syntax, what }
    }
}

/// A fault at a byte of the template, and the thing that it is about, by the name that the template gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub at: usize,
    pub fault: Fault,
    pub about: Option<String>,
}

/// How much of a name of the template is shown.
const SHOWN: usize = 60;

impl Located {
    pub fn new(at: usize, fault: Fault) -> Self {
        Self { at, fault, about: None }
    }

    /// A fault of a function, a field, a variable or a template.
    pub fn about(at: usize, name: &str, fault: Fault) -> Self {
        let short: String = name.chars().take(SHOWN).collect();
        Self { at, fault, about: Some(short.escape_debug().to_string()) }
    }

    /// With line and column in the text that it is a fault of.
    pub fn in_text(self, text: &str) -> Error {
        let before = text.get(..self.at.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let Fault { kind, what } = self.fault;
        let message = match (kind, self.about) {
            (ErrorKind::UnknownFunction | ErrorKind::RefusedFunction, Some(name)) => {
                what.replacen("{}", &format!("`{name}`"), 1)
            }
            (_, Some(name)) => format!("`{name}` {what}"),
            (_, None) => what.to_owned(),
        };
        Error { kind, line, column, message }
    }
}
