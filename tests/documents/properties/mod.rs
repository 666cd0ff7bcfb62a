//! What holds for every document: generated texts are encrypted, edited, damaged and decrypted.
//!
//! A run is the same every time, unless `PROPTEST_CASES` asks for another number of cases: then they are new ones.

mod json;
mod lines;
mod sealed;
mod yaml;

use std::collections::HashSet;
use std::fmt;

use crate::common::*;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseResult, TestRng, TestRunner};
use sealant::document::{Document, Edits, Format, NodeKind, TreePath, WithCopies, to_data};
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
    let config = Config { cases: cases_wanted, max_global_rejects: cases_wanted + 16, ..default };
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
        "a merge key (<<) whose value",
        "a comment would then apply to other values",
        "times as large",
        "a plaintext block scalar at the end of a file",
        "a plaintext integer beyond 2^53",
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

#[test]
fn aliases_of_collections_come_back_and_stand_for_what_they_stood_for() {
    let choices = proptest::collection::vec(any::<(u8, u8, u8)>(), 1..8);
    let stream = proptest::collection::vec(choices, 1..3);
    check(8, (stream, any_rule()), |(documents, rule)| {
        let documents: Vec<_> =
            documents.iter().map(|choices| crate::common::anchored::anchored(choices)).collect();
        let source = Source { format: Format::Yaml, text: documents.join("---\n") };
        let file = encrypt_source(&source, &rule)?;
        prop_assert_eq!(&decrypted(&file)?, &source.text, "from {}", file.document().source());
        let plain = parse(source.format, source.text.as_bytes()).map_err(fail)?;
        let mut found = Vec::new();
        file.for_each_value(&data_key(), &mut |leaf, value| {
            found.push((leaf.path.to_owned(), value.clone()))
        })
        .map_err(fail)?;
        let meant = values(&*plain).map_err(fail)?;
        prop_assert_eq!(found.len(), meant.len());
        for ((path, value), (meant_path, meant)) in found.iter().zip(&meant) {
            prop_assert!(path == meant_path && value.same(meant), "{path} {meant_path}");
        }
        Ok(())
    });
}

#[test]
fn with_anchors_and_tags_anywhere_values_stay_what_they_are() {
    check(8, (yaml::marked_yaml(), any_rule()), |(source, rule)| {
        let written =
            encrypt(source.format, source.text.as_bytes(), &rule).map_err(|error| refused(&error))?;
        let file = encrypted(source.format, &written.bytes).map_err(fail)?;
        let text = decrypted(&file)?;
        let (before, after) =
            (parse(source.format, source.text.as_bytes()), parse(source.format, text.as_bytes()));
        same_values(&*after.map_err(fail)?, &*before.map_err(fail)?).map_err(fail)?;
        prop_assert_eq!(written.warnings.is_empty(), text == source.text, "{:?} {}", written.warnings, text);
        Ok(())
    });
}

/// The IVs of a file, its MAC's and that of its spellings included.
fn ivs(file: &Encrypted) -> Vec<String> {
    let tokens = file.document().source().split(",iv:").skip(1);
    tokens.filter_map(|rest| rest.split_once(",tag:")).map(|(iv, _)| iv.to_owned()).collect()
}

#[test]
fn no_initialization_vector_is_used_twice() {
    check(2, (any_source(), any_rule()), |(source, rule)| {
        let documents = parse(source.format, source.text.as_bytes()).map_err(|error| refused(&error))?;
        let (first, second) = (encrypt_source(&source, &rule)?, encrypt_source(&source, &rule)?);
        // The metadata stand once in each document of a stream.
        let copies = documents.tree().documents().len();
        let all: Vec<_> = ivs(&first).into_iter().chain(ivs(&second)).collect();
        let different: HashSet<_> = all.iter().collect();
        let of_metadata = |file: &Encrypted| {
            let kept = [&file.metadata.spellings, &file.metadata.aliases];
            (copies - 1) * (1 + kept.into_iter().flatten().count())
        };
        prop_assert_eq!(different.len() + of_metadata(&first) + of_metadata(&second), all.len());
        Ok(())
    });
}

#[test]
fn encrypting_onto_an_older_state_keeps_the_ciphertexts_of_what_is_equal() {
    check(4, (any_source(), any_source(), any_rule()), |(source, other, rule)| {
        let old = encrypt_source(&source, &rule)?;
        let encrypt_onto = |source: &Source| -> Result<Encrypted, TestCaseError> {
            let plain = parse(source.format, source.text.as_bytes()).map_err(|error| refused(&error))?;
            let written = sops::encrypt(&*plain, rule.metadata(), &data_key(), moment(1), Some(&old));
            encrypted(source.format, &written.map_err(|error| refused(&error))?.bytes).map_err(fail)
        };
        let same = encrypt_onto(&source)?;
        prop_assert_eq!(tokens(&same).map_err(fail)?, tokens(&old).map_err(fail)?);

        // A ciphertext may come to stand elsewhere under its path, but never for another value.
        let new = encrypt_onto(&other)?;
        prop_assert_eq!(decrypted(&new)?, other.text);
        let (before, after) = (opened(&old)?, opened(&new)?);
        for (path, token, value) in &after {
            match before.iter().find(|(_, old, _)| old == token) {
                Some((old_path, _, old_value)) => prop_assert_eq!((path, value), (old_path, old_value)),
                None => {
                    let free = before.iter().find(|(p, t, v)| {
                        (p, v) == (path, value) && !after.iter().any(|(_, used, _)| used == t)
                    });
                    prop_assert!(free.is_none(), "{path} {value} could have kept {free:?}");
                }
            }
        }
        Ok(())
    });
}

/// The encrypted values of a file: path, ciphertext and what is in it.
fn opened(file: &Encrypted) -> Result<Vec<(String, String, String)>, TestCaseError> {
    let document = file.document();
    let mut found = Vec::new();
    file.for_each_value(&data_key(), &mut |leaf, value| {
        let token = document.tree()[leaf.node].text.get(document.source()).trim_end();
        if leaf.selected && token.starts_with("ENC[") {
            let value = format!("{value:?} {}", String::from_utf8_lossy(&value.to_plaintext()));
            found.push((leaf.path.to_owned(), token.to_owned(), value.replace("float", "int")));
        }
    })
    .map_err(fail)?;
    Ok(found)
}

/// A change of a document by a path.
#[derive(Debug, Clone)]
enum Change {
    Set(serde_json::Value),
    Unset,
}

fn any_change() -> impl Strategy<Value = Change> {
    let data = select(vec![
        serde_json::json!("new"),
        serde_json::json!(""),
        serde_json::json!("two\nlines\n"),
        serde_json::json!("yes"),
        serde_json::json!("# no comment"),
        serde_json::json!(17),
        serde_json::json!(1.5),
        serde_json::json!(true),
        serde_json::json!(null),
        serde_json::json!({"n": {"m": ["x", {"y": 1}]}}),
        serde_json::json!([]),
        serde_json::json!({}),
    ]);
    prop_oneof![2 => data.prop_map(Change::Set), 1 => Just(Change::Unset)]
}

/// A path to one of a document's nodes, or to one that is missing: `number` chooses it.
fn a_path(document: &dyn Document, number: usize) -> Option<String> {
    let (tree, source) = (document.tree(), document.source());
    let root = *tree.documents().first()?;
    let nodes: Vec<_> = tree.descendants(root).filter(|&node| tree[node].kind != NodeKind::Comment).collect();
    let mut at = *nodes.get(number / 2 % nodes.len().max(1)).unwrap_or(&root);
    let missing = match tree[at].kind {
        NodeKind::Map => "[\"zz\"]",
        NodeKind::List => "[99]",
        _ => "",
    };
    let mut path = if number.is_multiple_of(2) { String::new() } else { missing.to_owned() };
    while let Some(parent) = tree.parent(at) {
        path = match tree[parent].kind {
            NodeKind::List => format!("[{}]{path}", tree.entries(parent).position(|entry| entry == at)?),
            _ => format!("[\"{}\"]{path}", tree[at].key.get(source)),
        };
        at = parent;
    }
    (!path.is_empty()).then_some(path)
}

/// The text after a change; nothing when there is nothing to change.
fn after(document: &dyn Document, path: &TreePath, change: &Change) -> sealant::Result<Option<Edits>> {
    match change {
        Change::Set(data) => path.set(document, data, WithCopies::Refuse),
        Change::Unset => path.unset(document, WithCopies::Refuse),
    }
}

/// What a change does to data.
fn changed(mut data: serde_json::Value, path: &str, change: &Change) -> serde_json::Value {
    let pointer = path.replace("[\"", "/").replace("\"]", "").replace('[', "/").replace(']', "");
    let (parent, last) = pointer.rsplit_once('/').expect("a path has steps");
    let target = match data.pointer_mut(parent) {
        Some(target) => target,
        None => return data,
    };
    match (target, change) {
        (serde_json::Value::Object(map), Change::Set(new)) => _ = map.insert(last.to_owned(), new.clone()),
        (serde_json::Value::Object(map), Change::Unset) => _ = map.shift_remove(last),
        (serde_json::Value::Array(items), change) => {
            let at: usize = last.parse().expect("a position");
            match change {
                Change::Set(new) if at < items.len() => items[at] = new.clone(),
                Change::Set(new) => items.push(new.clone()),
                Change::Unset if at < items.len() => _ = items.remove(at),
                Change::Unset => {}
            }
        }
        (_, _) => {}
    }
    data
}

fn data(document: &dyn Document) -> sealant::Result<serde_json::Value> {
    document.tree().documents().first().map_or(Ok(serde_json::Value::Null), |&root| to_data(document, root))
}

#[test]
fn a_change_of_an_encrypted_file_is_the_same_change_of_its_plaintext() {
    let source = prop_oneof![4 => yaml::yaml(), 1 => json::json()];
    check(8, (source, any_rule(), any::<usize>(), any_change()), |(source, rule, number, change)| {
        let file = encrypt_source(&source, &rule)?;
        let plain = parse(source.format, source.text.as_bytes()).map_err(fail)?;
        let Some(path) = a_path(&*plain, number) else { return Ok(()) };
        // Keys that a path cannot say.
        prop_assume!(!path.contains('~') && !path.contains("a/") && !path.contains("/y"));
        let steps = TreePath::parse(&path).map_err(fail)?;

        let edits = match after(&*plain, &steps, &change) {
            Ok(edits) => edits.unwrap_or_default(),
            Err(error) => return Err(TestCaseError::reject(error.to_string())),
        };
        let edited = edits.apply(plain.source()).to_string();
        let again = parse(source.format, edited.as_bytes())
            .map_err(|error| fail(format!("{path}: {error} in {edited}")))?;
        prop_assert_eq!(
            data(&*again).map_err(fail)?,
            changed(data(&*plain).map_err(fail)?, &path, &change),
            "{} in {:?}",
            path,
            edited
        );

        let edits = |opened: &dyn Document| Ok(Some(after(opened, &steps, &change)?.unwrap_or_default()));
        let write = file.change(&data_key(), MacCheck::Verify, moment(1), edits, |_, _| Ok(()));
        let written = write.map_err(|error| refused(&error))?.expect("edits, be they empty");
        let new = encrypted(source.format, &written.bytes).map_err(fail)?;
        let new_text = decrypted(&new)?;
        if source.format == Format::Json {
            // A file that shows no layout of its own takes that of its metadata.
            let new = parse(source.format, new_text.as_bytes()).map_err(fail)?;
            prop_assert_eq!(data(&*new).map_err(fail)?, data(&*again).map_err(fail)?);
        } else {
            prop_assert_eq!(new_text, edited, "after {} of {}", path, source.text);
        }
        Ok(())
    });
}

/// Damage to one byte.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Replace(u8),
    Insert(u8),
    Delete,
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![
        3 => select(b" \t\n\r#:-,'\"[]{}&*!|>%@`~=\\/+01aAeExtT_.".to_vec()),
        1 => any::<u8>(),
    ];
    prop_oneof![
        2 => byte.clone().prop_map(Damage::Replace),
        1 => byte.prop_map(Damage::Insert),
        1 => Just(Damage::Delete),
    ]
}

/// What the MAC of a file protects: its values in their order, and of the encrypted ones their paths.
fn protected(file: &Encrypted) -> sealant::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    file.for_each_value(&data_key(), &mut |leaf, value| {
        if !value.is_blank() && (leaf.selected || !file.metadata.mac_only_encrypted) {
            let path = if leaf.selected { leaf.path } else { "" };
            let text = format!("{value:?} {}", String::from_utf8_lossy(&value.to_plaintext()));
            found.push((path.to_owned(), text));
        }
    })?;
    Ok(found)
}

/// The places of a file that no ciphertext covers, up to where its metadata begin.
fn between_ciphertexts(bytes: &[u8]) -> Vec<usize> {
    let (mut places, mut inside) = (Vec::new(), false);
    for (at, &byte) in bytes.iter().enumerate() {
        inside |= bytes[at..].starts_with(b"ENC[");
        if !inside {
            places.push(at);
        }
        inside &= byte != b']';
        if bytes[at..].starts_with(b"sops") {
            break;
        }
    }
    places
}

#[test]
fn damage_to_one_byte_never_gives_other_values() {
    let cases = (any_source(), any_rule(), any::<bool>(), any::<Index>(), any_damage());
    check(16, cases, |(source, rule, anywhere, at, damage)| {
        let file = encrypt_source(&source, &rule)?;
        let meant = protected(&file).map_err(fail)?;
        let mut bytes = file.document().source().as_bytes().to_vec();
        let at = match anywhere {
            true => at.index(bytes.len()),
            false => *at.get(&between_ciphertexts(&bytes)),
        };
        match damage {
            Damage::Replace(byte) => bytes[at] = byte,
            Damage::Insert(byte) => bytes.insert(at, byte),
            Damage::Delete => _ = bytes.remove(at),
        }
        let Ok(damaged) = encrypted(source.format, &bytes) else { return Ok(()) };
        if damaged.decrypt(&data_key(), MacCheck::Verify).is_ok() {
            let found = protected(&damaged).map_err(fail)?;
            prop_assert_eq!(found, meant, "byte {} of {}", at, String::from_utf8_lossy(&bytes));
        }
        Ok(())
    });
}
