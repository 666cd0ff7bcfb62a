//! Which leaves of a document are encrypted: the one type for the six kinds of rule that sops has.
//!
//! Owns what a rule is called, what it matches and what it means when nothing is said. It knows no documents: the walk
//! asks it about one key or one comment at a time.

use std::fmt;

use regex::Regex;

use crate::config::re2::{self, Patterns};
use crate::error::{Error, Kind, Result};

/// Which keys or comments a [`Selection`] looks at, and whether what it finds is encrypted or left clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SelectionKind {
    UnencryptedSuffix,
    EncryptedSuffix,
    UnencryptedRegex,
    EncryptedRegex,
    UnencryptedCommentRegex,
    EncryptedCommentRegex,
}

impl SelectionKind {
    /// Every kind, in the order in which sops writes them.
    pub const ALL: [Self; 6] = [
        Self::UnencryptedSuffix,
        Self::EncryptedSuffix,
        Self::UnencryptedRegex,
        Self::EncryptedRegex,
        Self::UnencryptedCommentRegex,
        Self::EncryptedCommentRegex,
    ];

    /// The kind that a field of the config or of a file's metadata stands for.
    pub fn from_field(field: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.field_name() == field)
    }

    /// Its name in the config and in a file's metadata.
    pub fn field_name(self) -> &'static str {
        match self {
            Self::UnencryptedSuffix => "unencrypted_suffix",
            Self::EncryptedSuffix => "encrypted_suffix",
            Self::UnencryptedRegex => "unencrypted_regex",
            Self::EncryptedRegex => "encrypted_regex",
            Self::UnencryptedCommentRegex => "unencrypted_comment_regex",
            Self::EncryptedCommentRegex => "encrypted_comment_regex",
        }
    }
}

/// Which leaves of a document are encrypted.
#[derive(Clone)]
pub struct Selection {
    kind: SelectionKind,
    pattern: String,
    /// Compiled from `pattern` for the four kinds that are regular expressions.
    regex: Option<Regex>,
}

impl Selection {
    /// The selection that sops implies and writes when nothing else is said.
    pub const DEFAULT_SUFFIX: &'static str = "_unencrypted";

    /// What is used for Kubernetes Secrets when nothing else is said.
    pub const KUBERNETES_REGEX: &'static str = "^(data|stringData)$";

    /// The selection of this kind; an error when `pattern` is empty, or a regular expression that does not compile.
    pub fn new(kind: SelectionKind, pattern: impl Into<String>) -> Result<Self> {
        Self::compiled_by(kind, pattern.into(), re2::compile_of_file)
    }

    /// As [`Selection::new`], with a pattern that is one of many.
    pub(super) fn among(kind: SelectionKind, pattern: String, patterns: &Patterns) -> Result<Self> {
        Self::compiled_by(kind, pattern, |pattern| patterns.compile(pattern))
    }

    fn compiled_by(
        kind: SelectionKind,
        pattern: String,
        compile: impl FnOnce(&str) -> Result<Regex, String>,
    ) -> Result<Self> {
        let field = kind.field_name();
        if pattern.is_empty() {
            return Err(Error::new(Kind::Config, format!("{field} is empty")));
        }
        let is_suffix = matches!(kind, SelectionKind::UnencryptedSuffix | SelectionKind::EncryptedSuffix);
        let regex = if is_suffix { None } else { Some(of_field(field, &pattern, compile)?) };
        Ok(Self { kind, pattern, regex })
    }

    /// The selection that a field of the config or of a file's metadata asks for.
    pub fn from_field(field: &str, pattern: &str) -> Result<Self> {
        let kind = SelectionKind::from_field(field)
            .ok_or_else(|| Error::new(Kind::Config, format!("`{field}` does not select values")))?;
        Self::new(kind, pattern)
    }

    /// `encrypted_regex: ^(data|stringData)$`: the values of a Kubernetes Secret, and nothing else of it.
    pub fn kubernetes() -> Self {
        Self {
            kind: SelectionKind::EncryptedRegex,
            pattern: Self::KUBERNETES_REGEX.to_owned(),
            regex: re2::compile_of_file(Self::KUBERNETES_REGEX).ok(),
        }
    }

    pub fn kind(&self) -> SelectionKind {
        self.kind
    }

    /// Its name in the config and in a file's metadata.
    pub fn field_name(&self) -> &'static str {
        self.kind.field_name()
    }

    /// The suffix or the regular expression, as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether it looks at comments; else it looks at keys.
    pub fn is_comment_rule(&self) -> bool {
        matches!(self.kind, SelectionKind::UnencryptedCommentRegex | SelectionKind::EncryptedCommentRegex)
    }

    /// Whether what matches is encrypted and all else stays clear; otherwise it is the other way round.
    pub fn encrypts_matches(&self) -> bool {
        matches!(
            self.kind,
            SelectionKind::EncryptedSuffix
                | SelectionKind::EncryptedRegex
                | SelectionKind::EncryptedCommentRegex
        )
    }

    /// Whether a key, one element of a leaf's path, matches. Never, for a rule about comments.
    pub fn matches_key(&self, key: &str) -> bool {
        !self.is_comment_rule() && self.matches(key)
    }

    /// Whether a comment's text, without its `#`, matches. Never, for a rule about keys.
    pub fn matches_comment(&self, text: &str) -> bool {
        self.is_comment_rule() && self.matches(text)
    }

    fn matches(&self, text: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(text),
            None => text.ends_with(&self.pattern),
        }
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self { kind: SelectionKind::UnencryptedSuffix, pattern: Self::DEFAULT_SUFFIX.to_owned(), regex: None }
    }
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.pattern) == (other.kind, &other.pattern)
    }
}

impl Eq for Selection {}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field_name(), self.pattern)
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selection({self})")
    }
}

/// Compiles a regular expression of a config or a file's metadata; the error names the field.
pub(super) fn compile(field: &str, pattern: &str, patterns: &Patterns) -> Result<Regex> {
    of_field(field, pattern, |pattern| patterns.compile(pattern))
}

fn of_field(
    field: &str,
    pattern: &str,
    compile: impl FnOnce(&str) -> Result<Regex, String>,
) -> Result<Regex> {
    compile(pattern).map_err(|reason| {
        Error::new(Kind::Config, format!("{field} `{pattern}` is not a regular expression: {reason}"))
            .advise("Patterns use Go's RE2 syntax, as in sops: https://pkg.go.dev/regexp/syntax")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(field: &str, pattern: &str) -> Selection {
        Selection::from_field(field, pattern).unwrap()
    }

    #[test]
    fn every_kind_comes_back_from_its_field_name() {
        for kind in SelectionKind::ALL {
            let selection = selection(kind.field_name(), "x");
            assert_eq!(selection.kind(), kind);
            assert_eq!(selection.pattern(), "x");
            assert_eq!(selection.to_string(), format!("{}: x", kind.field_name()));
        }
    }

    #[test]
    fn keys_are_matched_by_suffix_and_by_unanchored_regex() {
        assert!(selection("unencrypted_suffix", "_plain").matches_key("port_plain"));
        assert!(!selection("unencrypted_suffix", "_plain").matches_key("_plain_port"));
        assert!(!selection("encrypted_suffix", "a.c").matches_key("abc"));
        assert!(selection("encrypted_regex", "pass").matches_key("my_password"));
        assert!(!selection("unencrypted_regex", "^pass$").matches_key("my_password"));
    }

    #[test]
    fn rules_about_comments_match_no_keys_and_the_other_way_round() {
        let comments = selection("encrypted_comment_regex", "secret");
        assert!(
            comments.is_comment_rule()
                && comments.matches_comment(" a secret")
                && !comments.matches_key("secret")
        );
        let keys = selection("encrypted_regex", "secret");
        assert!(!keys.is_comment_rule() && !keys.matches_comment("secret") && keys.matches_key("secret"));
    }

    #[test]
    fn half_of_the_kinds_encrypt_what_matches() {
        let encrypting: Vec<_> = SelectionKind::ALL
            .into_iter()
            .filter(|kind| Selection::new(*kind, "x").unwrap().encrypts_matches())
            .map(SelectionKind::field_name)
            .collect();
        assert_eq!(encrypting, ["encrypted_suffix", "encrypted_regex", "encrypted_comment_regex"]);
    }

    #[test]
    fn without_a_rule_the_suffix_of_sops_is_implied() {
        assert_eq!(Selection::default().to_string(), "unencrypted_suffix: _unencrypted");
        assert!(Selection::default().matches_key("port_unencrypted"));
    }

    #[test]
    fn the_kubernetes_preset_takes_the_values_of_a_secret() {
        let preset = Selection::kubernetes();
        assert_eq!(preset, selection("encrypted_regex", "^(data|stringData)$"));
        assert!(
            preset.matches_key("data") && preset.matches_key("stringData") && !preset.matches_key("metadata")
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let message = |field, pattern| Selection::from_field(field, pattern).unwrap_err().to_string();
        assert_eq!(message("encrypted_regex", ""), "encrypted_regex is empty");
        assert_eq!(message("encrypted_regexp", "x"), "`encrypted_regexp` does not select values");
        assert_eq!(
            message("encrypted_regex", "a**"),
            "encrypted_regex `a**` is not a regular expression: two repetition operators in a row: `**`"
        );
    }
}
