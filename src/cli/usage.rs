//! What is told of a command line that cannot be run, and how it ends.
//!
//! Owns that nothing is repeated which may be a secret: a word that nobody has asked for can be the value of `set` behind a
//! misspelt flag, or a password that was pasted into the wrong place, and CI keeps what is printed.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::ui;
use crate::error::Kind;

/// What stands for a word that is not repeated.
const NOT_SHOWN: &str = "(not shown: it may be a secret)";

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
pub fn tell(error: clap::Error, takes_value: bool, no_color: bool) {
    ui::usage(&without_words(error, takes_value), no_color);
}

/// Whether any word of a command line may be a value that is to be encrypted, also one that looks like a flag: of `set`.
pub fn takes_value(args: &[OsString]) -> bool {
    args.iter().skip(1).any(|word| word == "set")
}

/// Takes the words out of a usage error that nobody has asked for. A flag that is not there is named, for then it is misspelt,
/// unless it may be the value.
fn without_words(mut error: clap::Error, takes_value: bool) -> clap::Error {
    let hidden = || ContextValue::String(NOT_SHOWN.to_owned());
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => flag(word).filter(|_| !takes_value).map(str::to_owned),
        _ => None,
    };
    if error.kind() == ErrorKind::UnknownArgument {
        error.insert(ContextKind::InvalidArg, flag.map_or_else(hidden, ContextValue::String));
        if takes_value || error.get(ContextKind::SuggestedArg).is_none() {
            error.remove(ContextKind::Suggested);
        }
    }
    // An empty one stands for a value that is missing.
    let is_given = |value: &ContextValue| !matches!(value, ContextValue::String(text) if text.is_empty());
    if error.get(ContextKind::InvalidValue).is_some_and(is_given) {
        error.insert(ContextKind::InvalidValue, hidden());
        error.remove(ContextKind::SuggestedValue);
    }
    error
}

/// The name of a flag that a word begins with.
fn flag(word: &str) -> Option<&str> {
    let name = word.split('=').next()?;
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (name.starts_with('-') && is_name(name)).then_some(name)
}

/// The exit code of a usage error: that of sops.
pub fn exit_code(error: &clap::Error) -> u8 {
    let wrong_number = Kind::NoFile.exit_code();
    // A positional argument stands as `<NAME>` where it is missing and as itself where it is too much.
    let names = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => vec![name.as_str()],
        Some(ContextValue::Strings(names)) => names.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let positional =
        !names.is_empty() && names.iter().all(|name| !name.trim_start_matches('<').starts_with('-'));
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        ErrorKind::MissingRequiredArgument | ErrorKind::UnknownArgument if positional => wrong_number,
        _ => Kind::Other.exit_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands::help;

    #[test]
    fn usage_errors_have_the_codes_of_sops() {
        let code = |line: &str| {
            let error = help::command().try_get_matches_from(line.split(' ')).unwrap_err();
            exit_code(&error)
        };
        let cases = [
            ("sealant --help", 0),
            ("sealant --version", 0),
            ("sealant encrypt --help", 0),
            ("sealant", 1),
            ("sealant encrpt", 1),
            ("sealant encrypt --nonsense", 1),
            ("sealant encrypt --color pink a", 1),
            ("sealant encrypt --encrypted-regex a --encrypted-suffix b c", 1),
            ("sealant set a", 100),
            ("sealant set a b c d", 100),
            ("sealant explain", 100),
        ];
        for (line, expected) in cases {
            assert_eq!(code(line), expected, "{line}");
        }
    }
}
