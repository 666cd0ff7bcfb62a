//! What holds for every document: generated texts are encrypted, edited, damaged and decrypted.
//!
//! A run is the same every time, unless `PROPTEST_CASES` asks for another number of cases: then they are new ones.

#[path = "../common/mod.rs"]
mod common;
mod json;
mod lines;
mod yaml;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRng, TestRunner};
use sealant::document::{self, Document, Format, TreePath, to_data};
use sealant::sops::{self, Encrypted, MacCheck};
use sealant::{Error, Kind};

/// A plaintext file.
#[derive(Clone)]
pub struct Source {
    pub format: Format,
    pub text: String,
}

impl fmt::Debug for Source {
    /// Line by line, so that a file that fails can be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} bytes:", self.format, self.text.len())?;
        for line in self.text.split_inclusive('\n') {
            writeln!(f, "    {line:?}")?;
        }
        Ok(())
    }
}

fn any_source() -> impl Strategy<Value = Source> {
    prop_oneof![6 => yaml::yaml(), 2 => json::json(), 1 => lines::dotenv(), 1 => lines::ini()]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        3 => Just(Rule::default()),
        1 => Just(Rule::new("encrypted_regex", "^[ab]")),
        1 => Just(Rule::new("unencrypted_regex", "^[ab]")),
        1 => Just(Rule::new("encrypted_suffix", "c")),
        1 => Just(Rule::new("encrypted_comment_regex", "[aeiou]")),
        1 => Just(Rule::new("unencrypted_comment_regex", " [aeiou]")),
        1 => Just(Rule::new("encrypted_regex", "^[ab]").mac_only_encrypted()),
    ]
}

/// Runs a property on `factor` times as many cases as usual. A file that is rightly refused is no case; that most files
/// are none would be an error of the generators.
fn check<S: Strategy>(factor: u32, cases: S, property: impl Fn(S::Value) -> TestCaseResult) {
    #[expect(clippy::disallowed_methods, reason = "a test has no host")]
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config { failure_persistence: None, ..Config::default() };
    let cases_wanted = if asked { default.cases } else { 64 * factor };
    let config = Config { cases: cases_wanted, max_global_rejects: cases_wanted / 2 + 16, ..default };
    let mut runner = match asked {
        true => TestRunner::new(config),
        false => TestRunner::new_with_rng(config, TestRng::deterministic_rng(Default::default())),
    };
    if let Err(error) = runner.run(&cases, property) {
        panic!("{error}");
    }
}

/// What a failure of encryption means: a refusal by name is no case, anything else is a failed one.
fn refused(error: &Error) -> TestCaseError {
    let by_name = [
        "an alias of an encrypted one",
        "an alias of a collection",
        "a merge key",
        "a clear block scalar at the end of a file",
        "a clear integer beyond 2^53",
        "also matches ciphertexts",
    ];
    match by_name.iter().any(|name| error.message().contains(name))
        || matches!(error.kind(), Kind::Read | Kind::EmptyFile)
    {
        true => TestCaseError::reject(error.to_string()),
        false => TestCaseError::fail(error.to_string()),
    }
}

fn fail(error: impl fmt::Display) -> TestCaseError {
    TestCaseError::fail(format!("{error:#}"))
}

/// Encrypts a file, which must give no warning.
fn encrypt_source(source: &Source, rule: &Rule) -> Result<Encrypted, TestCaseError> {
    let written = encrypt(source.format, source.text.as_bytes(), rule).map_err(|error| refused(&error))?;
    prop_assert!(written.warnings.is_empty(), "encrypting warns: {:?}", written.warnings);
    encrypted(source.format, &written.bytes).map_err(fail)
}

fn decrypted(file: &Encrypted) -> Result<String, TestCaseError> {
    let plaintext = file.decrypt(&data_key(), MacCheck::Verify).map_err(fail)?;
    prop_assert!(plaintext.warnings.is_empty(), "decrypting warns: {:?}", plaintext.warnings);
    Ok(String::from_utf8(plaintext.bytes.to_vec()).expect("a text"))
}

#[test]
fn what_is_encrypted_and_decrypted_is_what_it_was() {
    check(16, (any_source(), any_rule()), |(source, rule)| {
        let file = encrypt_source(&source, &rule)?;
        prop_assert_eq!(decrypted(&file)?, source.text, "from {}", file.document().source());
        Ok(())
    });
}
