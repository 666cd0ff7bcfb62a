//! Every fixture: files as people have them keep their bytes, files that cannot be kept are refused by name.

use std::collections::HashSet;

use crate::common::*;
use anyhow::{Result, bail, ensure};
use sealant::document::{Document, Format, NodeId, Style, Value};
use sealant::sops::{Encrypted, MacCheck, for_each_leaf};
use sealant::{Error, Kind};

/// The rules under which every manifest has to keep its bytes.
fn rules() -> [(&'static str, Rule); 5] {
    let secrets = "(?i)pass|secret|token|key|data";
    [
        ("default", Rule::default()),
        ("encrypted_regex", Rule::new("encrypted_regex", secrets)),
        ("unencrypted_suffix", Rule::new("unencrypted_suffix", "e")),
        ("encrypted_comment_regex", Rule::new("encrypted_comment_regex", "[aeiou]")),
        ("mac_only_encrypted", Rule::new("encrypted_regex", secrets).mac_only_encrypted()),
    ]
}

/// Manifests that a rule cuts where they cannot be cut: the rule, the file, the line, and why.
const CUT_WRONGLY: &[(&str, &str, usize, &str)] = &[
    ("encrypted_regex", "block-at-end-of-file-no-newline.yaml", 3, OPEN_END),
    ("encrypted_regex", "block-folded-at-end-of-file-no-newline.yaml", 2, OPEN_END),
    ("encrypted_regex", "block-keep-at-end-of-file-no-newline.yaml", 2, OPEN_END),
    ("unencrypted_suffix", "anchors-nested-and-redefined.yaml", 14, "an alias of an encrypted one"),
    ("unencrypted_suffix", "anchors-unencrypted.yaml", 9, "an alias of an encrypted one"),
    ("encrypted_comment_regex", "anchors-comments.yaml", 6, "a comment would then apply to other values"),
    ("encrypted_comment_regex", "block-at-end-of-file-no-newline.yaml", 3, OPEN_END),
    ("encrypted_comment_regex", "block-folded-at-end-of-file-no-newline.yaml", 2, OPEN_END),
    ("encrypted_comment_regex", "block-keep-at-end-of-file-no-newline.yaml", 2, OPEN_END),
    ("encrypted_comment_regex", "rails-database.yml", 10, "an alias of an encrypted one"),
    ("mac_only_encrypted", "block-at-end-of-file-no-newline.yaml", 3, OPEN_END),
    ("mac_only_encrypted", "block-folded-at-end-of-file-no-newline.yaml", 2, OPEN_END),
    ("mac_only_encrypted", "block-keep-at-end-of-file-no-newline.yaml", 2, OPEN_END),
];

const OPEN_END: &str = "a plaintext block scalar at the end of a file without a final line break";

/// Calls `check` with each manifest, encrypted under each rule that can be used for it.
fn for_each_encrypted(check: impl Fn(&Fixture, &Rule, &[u8]) -> Result<()>) {
    let mut problems = Problems::default();
    for (name, rule) in rules() {
        for fixture in fixtures("manifests") {
            if CUT_WRONGLY.iter().any(|(rule, file, ..)| (*rule, *file) == (name, &fixture.name)) {
                continue;
            }
            problems.check(format_args!("{} under {name}", fixture.name), || {
                let written = encrypt(fixture.format, &fixture.bytes, &rule)?;
                ensure!(written.warnings.is_empty(), "encrypting warns: {:?}", written.warnings);
                check(&fixture, &rule, &written.bytes)
            });
        }
    }
    problems.report();
}

/// Writes a changed state of an encrypted file, a second later.
fn write(old: &Encrypted, plaintext: &dyn Document) -> Result<Vec<u8>> {
    let written = old.write(plaintext, old.metadata.clone(), &data_key(), None, moment(1))?;
    ensure!(written.warnings.is_empty(), "writing warns: {:?}", written.warnings);
    Ok(written.bytes)
}

#[test]
fn a_manifest_comes_back_byte_for_byte_and_without_a_warning() {
    for_each_encrypted(|fixture, _, written| same_bytes(&decrypt(fixture.format, written)?, &fixture.bytes));
}

#[test]
fn a_manifest_that_a_rule_cuts_wrongly_is_refused_with_the_line() {
    for (name, file, line, why) in CUT_WRONGLY {
        let (_, rule) = rules().into_iter().find(|(rule, _)| rule == name).expect("a rule");
        let fixture =
            fixtures("manifests").into_iter().find(|fixture| fixture.name == *file).expect("a file");
        let error = encrypt(fixture.format, &fixture.bytes, &rule).expect_err(file);
        assert_eq!(error.kind(), Kind::Encrypt, "{file} under {name}: {error}");
        assert_eq!(error.line(), Some(*line), "{file} under {name}: {error}");
        assert!(error.message().contains(why), "{file} under {name}: {error}");
    }
}

#[test]
fn a_file_that_was_opened_and_not_changed_keeps_every_ciphertext() {
    for_each_encrypted(|fixture, _, written| {
        let old = encrypted(fixture.format, written)?;
        let again = write(&old, &*old.open(&data_key(), MacCheck::Verify)?)?;
        same_bytes(
            lasting(fixture.format, &again)?.as_bytes(),
            lasting(fixture.format, written)?.as_bytes(),
        )?;
        same_bytes(&decrypt(fixture.format, &again)?, &fixture.bytes)
    });
}

#[test]
fn a_file_that_was_edited_and_not_changed_keeps_every_ciphertext() {
    for_each_encrypted(|fixture, _, written| {
        let old = encrypted(fixture.format, written)?;
        let again = write(&old, &*old.adopt(decrypt(fixture.format, written)?)?)?;
        same_bytes(
            lasting(fixture.format, &again)?.as_bytes(),
            lasting(fixture.format, written)?.as_bytes(),
        )?;
        same_bytes(&decrypt(fixture.format, &again)?, &fixture.bytes)
    });
}

#[test]
fn an_edit_of_one_value_changes_one_ciphertext_and_nothing_else() {
    for_each_encrypted(|fixture, rule, written| {
        let old = encrypted(fixture.format, written)?;
        let plain = fixture.parse()?;
        let mut leaves = selected(&*plain, &rule.selection)?;
        // A tag goes with the value that it says the type of, and in empty lines there is nothing to change.
        leaves.retain(|&leaf| {
            !plain.spelling(leaf).starts_with('!') && !plain.spelling(leaf).trim().is_empty()
        });
        // And what is at an anchor changes with its copies.
        let mut shared = HashSet::new();
        for_each_leaf(&*plain, &rule.selection, &mut |leaf| {
            if leaf.node != leaf.at {
                shared.insert(leaf.node);
            }
            Ok(())
        })?;
        leaves.retain(|leaf| !shared.contains(leaf));
        for &leaf in [leaves.first(), leaves.last()].into_iter().flatten() {
            let text = with_other_text(&*plain, leaf)?;
            let again = write(&old, &*old.adopt(secret(&text))?)?;
            same_bytes(&decrypt(fixture.format, &again)?, &text)?;

            let (before, after) = (tokens(&old)?, tokens(&encrypted(fixture.format, &again)?)?);
            ensure!(before.len() == after.len(), "{} ciphertexts of {}", after.len(), before.len());
            let changed: Vec<_> = before.iter().zip(&after).filter(|(old, new)| old != new).collect();
            let [(old_token, new_token)] = changed[..] else {
                bail!("{} ciphertexts changed", changed.len())
            };
            let ((old_body, old_rest), (body, rest)) =
                (halves(fixture.format, written)?, halves(fixture.format, &again)?);
            same_bytes(body.as_bytes(), old_body.replace(&old_token.1, &new_token.1).as_bytes())?;
            ensure!(rest == old_rest, "the metadata changed");
        }
        Ok(())
    });
}

/// The file with another text in the place of a leaf: one that any style can hold.
fn with_other_text(plain: &dyn Document, leaf: NodeId) -> Result<Vec<u8>> {
    if plain.format() == Format::Binary {
        return Ok(b"changed".to_vec());
    }
    let edits = match plain.tree()[leaf].style {
        Style::Literal | Style::Folded => {
            let (spelling, letter) = (plain.spelling(leaf), |c: char| c.is_ascii_alphabetic());
            plain.put_spelling(leaf, &spelling.replacen(letter, "changed", 1))
        }
        _ => plain.put_value(leaf, &Value::str("changed"))?,
    };
    Ok(edits.apply(plain.source()).as_bytes().to_vec())
}

/// What a refused file is refused for: the error's kind, its line, and a part of its message.
const REFUSED: &[(&str, Kind, usize, &str)] = &[
    ("dotenv-already-encrypted.env", Kind::AlreadyEncrypted, 2, "encrypted already"),
    ("dotenv-line-without-equals.env", Kind::Read, 2, "has no \"=\""),
    ("ini-already-encrypted.ini", Kind::AlreadyEncrypted, 4, "encrypted already"),
    ("ini-comment-behind-section.ini", Kind::Read, 1, "a comment after the bracket of a section"),
    ("ini-duplicate-key-in-section.ini", Kind::Read, 3, "appears twice, on lines 2 and 3"),
    ("ini-line-without-delimiter.ini", Kind::Read, 3, "not a section, comment or KEY = VALUE"),
    ("ini-unclosed-section.ini", Kind::Read, 1, "a section whose bracket is not closed"),
    ("json-already-encrypted.json", Kind::AlreadyEncrypted, 1, "encrypted already"),
    ("json-clear-integer-beyond-2-to-53.json", Kind::Encrypt, 1, "a plaintext integer beyond 2^53"),
    ("json-comment.json", Kind::Read, 2, "JSON has no comments"),
    ("json-duplicate-key-escaped.json", Kind::Read, 1, "the key \"password\" appears twice"),
    ("json-duplicate-key.json", Kind::Read, 3, "appears twice, on lines 2 and 3"),
    ("json-invalid-utf-8.json", Kind::Read, 1, "invalid UTF-8 at byte 35"),
    ("json-missing-brace.json", Kind::Read, 5, "ends where a comma or the end of the object is expected"),
    ("json-root-array.json", Kind::Read, 1, "must be an object"),
    ("json-root-string.json", Kind::Read, 1, "must be an object"),
    ("json-single-quotes.json", Kind::Read, 1, "JSON has no single quotes"),
    ("json-trailing-comma.json", Kind::Read, 3, "JSON has no comma after the last entry"),
    ("json-two-values.json", Kind::Read, 2, "the end of the document is expected here"),
    ("yaml-alias-as-key.yaml", Kind::Encrypt, 3, "an alias as a key"),
    ("yaml-alias-bomb.yaml", Kind::Read, 6, "aliases expand to more than 100000 nodes"),
    ("yaml-alias-growth.yaml", Kind::Encrypt, 5, "more than 64 times as large"),
    ("yaml-alias-undefined.yaml", Kind::Read, 2, "found unknown anchor"),
    ("yaml-already-encrypted.yaml", Kind::AlreadyEncrypted, 2, "encrypted already"),
    (
        "yaml-anchor-in-encrypted-part-aliased-from-clear.yaml",
        Kind::Encrypt,
        2,
        "a plaintext value is an alias of an encrypted one",
    ),
    ("yaml-bad-indentation.yaml", Kind::Read, 3, "did not find expected key"),
    ("yaml-block-scalar-first-line-tab.yaml", Kind::Read, 1, "a tab in the indentation of a block scalar"),
    ("yaml-control-character.yaml", Kind::Read, 2, "unexpected character"),
    ("yaml-document-end-first.yaml", Kind::Encrypt, 2, "begins with `...`"),
    ("yaml-document-end-without-start.yaml", Kind::Read, 3, "needs a `---` before it"),
    ("yaml-duplicate-key-other-quotes.yaml", Kind::Read, 3, "the key \"password\" appears twice"),
    ("yaml-duplicate-key-second-document.yaml", Kind::Read, 4, "the key \"password\" appears twice"),
    ("yaml-duplicate-key.yaml", Kind::Read, 4, "the key \"password\" appears twice"),
    ("yaml-escaped-slash.yaml", Kind::Read, 1, "the escape `\\/`, which sops cannot read"),
    ("yaml-integer-beyond-64-bits.yaml", Kind::Encrypt, 2, "the integer does not fit in 64 bits"),
    ("yaml-integer-beyond-int64.yaml", Kind::Encrypt, 2, "the integer does not fit in 64 bits"),
    ("yaml-invalid-utf-8.yaml", Kind::Read, 2, "invalid UTF-8 at byte 26"),
    ("yaml-key-boolean.yaml", Kind::Encrypt, 1, "the key `true` is not a string"),
    ("yaml-key-collection.yaml", Kind::Encrypt, 1, "a map or a list cannot be a key here"),
    ("yaml-key-integer.yaml", Kind::Encrypt, 2, "the key `123` is not a string"),
    ("yaml-key-null.yaml", Kind::Encrypt, 2, "the key `~` is not a string"),
    ("yaml-line-of-a-tab.yaml", Kind::Read, 3, "a tab in the indentation"),
    ("yaml-line-separator.yaml", Kind::Read, 1, "U+2028, which is a line break to sops"),
    ("yaml-merge-key-of-a-list.yaml", Kind::Encrypt, 3, "neither a map nor a list of maps"),
    ("yaml-merge-key-of-a-text.yaml", Kind::Encrypt, 3, "neither a map nor a list of maps"),
    ("yaml-merge-key-of-lists.yaml", Kind::Encrypt, 3, "neither a map nor a list of maps"),
    ("yaml-merge-key-of-nothing.yaml", Kind::Encrypt, 3, "neither a map nor a list of maps"),
    ("yaml-merge-key-second-document.yaml", Kind::Encrypt, 4, "neither a map nor a list of maps"),
    ("yaml-root-scalar.yaml", Kind::Read, 1, "must be a map, not a single value"),
    ("yaml-root-sequence.yaml", Kind::Read, 1, "must be a map, not a list"),
    ("yaml-tab-indentation.yaml", Kind::Read, 2, "tabs disallowed"),
    ("yaml-unclosed-bracket.yaml", Kind::Read, 2, "illegal placement of ':'"),
    ("yaml-unclosed-quote.yaml", Kind::Read, 2, "invalid indentation in multiline quoted scalar"),
    ("yaml-unknown-escape.yaml", Kind::Read, 1, "found unknown escape character"),
    ("yaml-version-1.2-directive.yaml", Kind::Read, 2, "a version other than 1.1"),
];

/// Words and numbers that stand as values in the refused files, and that no error may show.
const PLANTED: [&str; 5] =
    ["siskin", "dunnock", "9007199254740993", "18446744073709551616", "9223372036854775808"];

#[test]
fn a_file_that_cannot_be_kept_is_refused_by_name_and_line() {
    let names: Vec<_> = fixtures("refused").into_iter().map(|fixture| fixture.name).collect();
    assert_eq!(names, REFUSED.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    for (fixture, (name, kind, line, fragment)) in fixtures("refused").iter().zip(REFUSED) {
        let error = refusal(fixture);
        assert_eq!((error.kind(), error.line()), (*kind, Some(*line)), "{name}: {error}");
        assert!(error.message().contains(fragment), "{name}: {error}");
    }
}

#[test]
fn no_refusal_shows_a_value() {
    for fixture in fixtures("refused") {
        let shows = |text: &str| PLANTED.iter().any(|planted| text.contains(planted));
        assert!(shows(&String::from_utf8_lossy(&fixture.bytes)), "{} has no planted value", fixture.name);
        let error = refusal(&fixture);
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        texts.extend(error.advice().map(str::to_owned));
        assert!(!texts.iter().any(|text| shows(text)), "{}: {texts:?}", fixture.name);
    }
}

fn refusal(fixture: &Fixture) -> Error {
    match encrypt(fixture.format, &fixture.bytes, &Rule::default()) {
        Ok(_) => panic!("{} is accepted", fixture.name),
        Err(error) => error,
    }
}
