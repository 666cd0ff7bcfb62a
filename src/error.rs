//! The library's one error type: what failed, where, what to do next, and the exit code that tells a script.
//!
//! An error never holds plaintext or key material: messages name paths, keys and lines, never values.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::shown::shown;

/// The result of everything in this library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was. Each kind has one exit code; where sops has a code for it, it is sops's
/// (`cmd/sops/codes/codes.go` of getsops/sops).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Anything without a code of its own.
    Other,
    /// The input can't be read or does not parse.
    Read,
    /// The output can't be written.
    Write,
    /// The document can't be expressed in the format asked for.
    Emit,
    /// The config is wrong.
    Config,
    /// An encryption context for KMS keys has the wrong form.
    Context,
    /// The value or the index given to `set` is wrong.
    SetFormat,
    /// Arguments that exclude each other, or a file that says otherwise than its creation rule.
    Conflict,
    /// A value can't be encrypted.
    Encrypt,
    /// The MAC's own ciphertext is broken.
    DecryptMac,
    /// A value can't be decrypted: changed, moved, or of another data key.
    Decrypt,
    /// The file's content is not what was encrypted.
    MacMismatch,
    /// A config that was asked for does not exist.
    ConfigNotFound,
    /// A path into a document does not lead anywhere.
    TreePath,
    /// There is nothing in the file to encrypt.
    EmptyFile,
    /// The arguments make no command. sops has the code of [`Kind::NoFile`] for it, or 1.
    Usage,
    /// No such file.
    NoFile,
    /// A decryption order names a key type twice.
    DuplicateOrder,
    /// No identity opens the data key.
    NoDataKey,
    /// `edit` ended without a change.
    NotModified,
    /// No editor could be run.
    NoEditor,
    /// The file is encrypted already.
    AlreadyEncrypted,
}

/// Every kind with its exit code and its meaning: what `sealant help exit-codes` prints.
pub const EXIT_CODES: &[(Kind, u8, &str)] = &[
    (
        Kind::Other,
        1,
        "any other failure; for check, hook, diff, doctor, audit and status --max-age: something was found",
    ),
    (Kind::Read, 2, "the input cannot be read or does not parse"),
    (Kind::Write, 3, "the output cannot be written"),
    (Kind::Emit, 4, "the document cannot be written in the requested format"),
    (Kind::Config, 5, "the config is wrong"),
    (Kind::Context, 6, "an encryption context for KMS keys has the wrong form"),
    (Kind::SetFormat, 7, "the value or index given to set is wrong"),
    (
        Kind::Conflict,
        8,
        "arguments contradict each other, or the file contradicts its rule (recipients, settings, place)",
    ),
    (Kind::Encrypt, 23, "a value cannot be encrypted"),
    (Kind::DecryptMac, 24, "the ciphertext of the MAC is broken"),
    (Kind::Decrypt, 25, "a value cannot be decrypted: it was changed, moved, or belongs to another data key"),
    (Kind::MacMismatch, 51, "the MAC does not match: the file is not what was encrypted"),
    (Kind::ConfigNotFound, 61, "the requested config does not exist"),
    (Kind::Usage, 64, "the arguments are wrong: see --help"),
    (Kind::TreePath, 91, "the path into the document leads nowhere"),
    (Kind::EmptyFile, 92, "the file is empty"),
    (Kind::NoFile, 100, "no such file; by the name sops, also a wrong number of arguments"),
    (Kind::DuplicateOrder, 112, "a key type appears twice in the decryption order"),
    (Kind::NoDataKey, 128, "no identity opens the data key"),
    (Kind::NotModified, 200, "edit: nothing was changed"),
    (Kind::NoEditor, 201, "no editor could be run, or it failed"),
    (Kind::AlreadyEncrypted, 203, "the file is encrypted already"),
];

impl Kind {
    /// The exit code of the process for a failure of this kind.
    pub fn exit_code(self) -> u8 {
        EXIT_CODES.iter().find(|(kind, ..)| *kind == self).map_or(1, |(_, code, _)| *code)
    }
}

/// Why an operation failed, where, and what to do about it.
///
/// Displayed as `FILE:LINE: MESSAGE`, causes chained by `: `, and a line for each of its list; the advice is apart
/// ([`Error::advice`]). Texts of others in it are displayed as [`shown`] does it.
#[derive(thiserror::Error)]
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    lines: Vec<String>,
    details: Vec<String>,
    file: Option<PathBuf>,
    line: Option<usize>,
    advice: Option<String>,
    where_named: Option<(String, String)>,
    passing: bool,
    refused: bool,
    by_hand: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind`; `message` is lower case, without a final stop, and names no value.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            lines: Vec::new(),
            details: Vec::new(),
            file: None,
            line: None,
            advice: None,
            where_named: None,
            passing: false,
            refused: false,
            by_hand: false,
            source: None,
        }))
    }

    /// The same error with the file in which it happened, unless it already names one.
    #[must_use]
    pub fn in_file(mut self, file: impl AsRef<Path>) -> Self {
        self.0.file.get_or_insert_with(|| file.as_ref().to_path_buf());
        self
    }

    /// The same error with the 1-based line on which it happened, unless it already names one.
    #[must_use]
    pub fn on_line(mut self, line: usize) -> Self {
        self.0.line.get_or_insert(line);
        self
    }

    /// The same error with the thing that it is about at its beginning: one of several in a file.
    #[must_use]
    pub fn about(mut self, thing: impl fmt::Display) -> Self {
        self.0.message = format!("{thing}: {}", self.0.message);
        self
    }

    /// The same error with lines below its message, as they should appear.
    #[must_use]
    pub fn listing(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.0.lines.extend(lines);
        self
    }

    /// The same error with lines below those, for whoever runs the program alone: they say which identities, files and servers
    /// there are here. The controller hands them to nobody else.
    #[must_use]
    pub fn detailing(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.0.details.extend(details);
        self
    }

    /// The same error with what its reader should do next: a sentence, or a command to run.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self.0.where_named = None;
        self
    }

    /// The same error with this advice if it is about a file that is not there, and has none yet.
    #[must_use]
    pub fn advise_if_missing(self, advice: impl Into<String>) -> Self {
        match (self.kind(), self.advice()) {
            (Kind::NoFile, None) => self.advise(advice),
            _ => self,
        }
    }

    /// The same error with what to do instead where the file's creation rule names `key`, which is the reader's own: only
    /// whoever knows the rules can tell.
    #[must_use]
    pub fn advise_where_named(mut self, key: impl Into<String>, advice: impl Into<String>) -> Self {
        self.0.where_named = Some((key.into(), advice.into()));
        self
    }

    /// That key, and what to do.
    pub fn where_named(&self) -> Option<(&str, &str)> {
        self.0.where_named.as_ref().map(|(key, advice)| (key.as_str(), advice.as_str()))
    }

    /// Says that it may go away by itself: a server is down, sealed or busy.
    #[must_use]
    pub fn passing(mut self, passing: bool) -> Self {
        self.0.passing = passing;
        self
    }

    /// Whether it may go away by itself, so that trying again makes sense.
    pub fn may_pass(&self) -> bool {
        self.0.passing
    }

    /// Says that the settings of whoever runs the program keep it from a server.
    #[must_use]
    pub fn refused(mut self, refused: bool) -> Self {
        self.0.refused = refused;
        self
    }

    /// Whether the settings of whoever runs the program keep it from a server.
    pub fn is_refused(&self) -> bool {
        self.0.refused
    }

    /// Says that a file was changed without a key: Git may know what it was before.
    #[must_use]
    pub fn by_hand(mut self) -> Self {
        self.0.by_hand = true;
        self
    }

    /// Whether a file was changed without a key.
    pub fn is_by_hand(&self) -> bool {
        self.0.by_hand
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same failure with another exit code: for a command in which it means something else.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The file in which it happened, if it is known.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The 1-based line on which it happened, if it is known.
    pub fn line(&self) -> Option<usize> {
        self.0.line
    }

    /// What failed, without place, cause and advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What appears below the message, line by line.
    pub fn lines(&self) -> &[String] {
        &self.0.lines
    }

    /// What appears below that, for whoever runs the program alone.
    pub fn details(&self) -> &[String] {
        &self.0.details
    }

    /// All that appears below the message for whoever runs the program.
    pub fn below(&self) -> impl Iterator<Item = &String> {
        self.0.lines.iter().chain(&self.0.details)
    }

    /// Where, what and why, in one line.
    pub fn headline(&self) -> String {
        let Inner { file, line, message, source, .. } = &*self.0;
        let place = match (file, line) {
            (Some(file), Some(line)) => format!("{}:{line}: ", file.display()),
            (Some(file), None) => format!("{}: ", file.display()),
            (None, Some(line)) => format!("line {line}: "),
            (None, None) => String::new(),
        };
        let cause = source.as_ref().map(|source| format!(": {source}")).unwrap_or_default();
        shown(&(place + message + &cause)).into_owned()
    }

    /// What to do next, if there is anything to say.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        self.below().try_for_each(|line| write!(f, "\n{}", shown(line)))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_what_and_why() {
        let error = Error::new(Kind::Read, "cannot read the identity")
            .in_file("a/b.yaml")
            .on_line(3)
            .caused_by("permission denied");
        assert_eq!(error.to_string(), "a/b.yaml:3: cannot read the identity: permission denied");
    }

    #[test]
    fn texts_of_others_begin_no_line_and_command_no_terminal() {
        let error =
            Error::new(Kind::Read, "`a\u{1b}[2J` is wrong").in_file("x\n::error::y").caused_by("no\r\nway");
        let error = error.listing(["  wanted\n::error::z".to_owned()]);
        let expected = "x\\n::error::y: `a\\x1b[2J` is wrong: no\\r\\nway\n  wanted\\n::error::z";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_innermost_place_wins() {
        let error = Error::new(Kind::Read, "x").in_file("inner").in_file("outer").on_line(1).on_line(2);
        assert_eq!(error.to_string(), "inner:1: x");
    }

    #[test]
    fn every_exit_code_stands_once() {
        let codes: std::collections::BTreeSet<_> = EXIT_CODES.iter().map(|(_, code, _)| code).collect();
        assert_eq!(codes.len(), EXIT_CODES.len());
    }
}
