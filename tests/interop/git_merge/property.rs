//! Random edits on two branches merge as Git would merge the plaintexts, or conflict where it would.

use std::cell::Cell;

use jiff::Timestamp;
use pollster::block_on;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRng, TestRunner};
use sealant::cli::host::Terminal;
use sealant::cli::ui::{ColorWhen, Ui};
use sealant::config::Selection;
use sealant::document::{self, Format};
use sealant::keys::{Identities, KeyService, KeySet, MasterKey, WrappedDataKey};
use sealant::repo::git::merge::markers::Marked;
use sealant::repo::git::merge::{Merge, MergeResult, Versions};
use sealant::secret::{DataKey, SecretBytes};
use sealant::sops::{self, Encrypted, MacCheck, Metadata};
use sealant_test_support::Sandbox;
use serde_json::Value as Data;

use super::repo::new_identity;

const CASES: u32 = 240;

#[derive(Debug, Clone)]
enum Edit {
    Change(Index, Index, u8),
    Remove(Index),
    Insert(Index, u8, u8),
    InsertInto(Index, u8, u8),
    Rename(Index, u8),
    Comment(Index, u8),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), at(), 0..4_u8).prop_map(|(at, within, value)| Edit::Change(at, within, value)),
        1 => at().prop_map(Edit::Remove),
        3 => (at(), 0..20_u8, 0..3_u8).prop_map(|(at, key, value)| Edit::Insert(at, key, value)),
        3 => (at(), 0..20_u8, 0..3_u8).prop_map(|(at, key, value)| Edit::InsertInto(at, key, value)),
        1 => (at(), 0..3_u8).prop_map(|(at, name)| Edit::Rename(at, name)),
        1 => (at(), 0..3_u8).prop_map(|(at, text)| Edit::Comment(at, text)),
    ]
}

type Leaf = (String, String);

/// What is at the top of a document.
#[derive(Debug, Clone)]
enum Item {
    Leaf(Leaf),
    Map(String, Vec<Leaf>),
    Comment(String),
}

impl Item {
    fn key(&self) -> &str {
        match self {
            Self::Leaf((key, _)) | Self::Map(key, _) => key,
            Self::Comment(_) => "",
        }
    }
}

fn edited(base: &[Item], edits: &[Edit]) -> Vec<Item> {
    let mut items = base.to_vec();
    for edit in edits {
        if items.is_empty() {
            break;
        }
        match edit {
            Edit::Change(at, within, value) => match at.get_mut(&mut items) {
                Item::Leaf(leaf) => leaf.1 = format!("planted{value}"),
                Item::Map(_, leaves) => within.get_mut(leaves).1 = format!("planted{value}"),
                Item::Comment(text) => *text = format!("planted note {value}"),
            },
            Edit::Remove(at) => _ = items.remove(at.index(items.len())),
            Edit::Insert(at, key, value) => {
                let key = format!("n{key}");
                if !items.iter().any(|item| item.key() == key) {
                    items.insert(at.index(items.len() + 1), Item::Leaf((key, format!("planted{value}"))));
                }
            }
            Edit::InsertInto(at, key, value) => {
                if let Item::Map(_, leaves) = at.get_mut(&mut items)
                    && !leaves.iter().any(|leaf| leaf.0 == format!("n{key}"))
                {
                    leaves.insert(at.index(leaves.len() + 1), (format!("n{key}"), format!("planted{value}")));
                }
            }
            Edit::Rename(at, name) => {
                let new = format!("renamed{name}");
                let is_free = !items.iter().any(|item| item.key() == new);
                if let Item::Map(key, _) = at.get_mut(&mut items)
                    && is_free
                {
                    *key = new;
                }
            }
            Edit::Comment(at, note) => {
                items.insert(at.index(items.len() + 1), Item::Comment(format!("planted note {note}")));
            }
        }
    }
    items
}

fn text(format: Format, items: &[Item]) -> String {
    if format == Format::Json {
        let leaves = |leaves: &[Leaf]| {
            leaves.iter().map(|(key, value)| (key.clone(), Data::from(value.as_str()))).collect()
        };
        let entry = |item: &Item| match item {
            Item::Leaf((key, value)) => Some((key.clone(), Data::from(value.as_str()))),
            Item::Map(key, entries) => Some((key.clone(), Data::Object(leaves(entries)))),
            Item::Comment(_) => None,
        };
        let data: serde_json::Map<_, _> = items.iter().filter_map(entry).collect();
        return serde_json::to_string_pretty(&data).expect("JSON") + "\n";
    }
    let leaf = |indent: &str, (key, value): &Leaf| format!("{indent}{key}: {value}\n");
    let item = |item: &Item| match item {
        Item::Leaf(entry) => leaf("", entry),
        Item::Map(key, leaves) => {
            format!("{key}:\n") + &leaves.iter().map(|entry| leaf("  ", entry)).collect::<String>()
        }
        Item::Comment(text) => format!("# {text}\n"),
    };
    // A document needs a value.
    items.iter().map(item).chain(["end: x\n".to_owned()]).collect()
}

/// What a document says; `None` when it cannot be read, for instance because a key is in it twice.
fn values(format: Format, text: &str) -> Option<Data> {
    let document = document::parse(format, SecretBytes::new(text.into()), false).ok()?;
    document::to_data(&*document, *document.tree().documents().first()?).ok()
}

/// What a merge by keys gives; an error for a conflict.
fn by_keys(base: Option<&Data>, ours: Option<&Data>, theirs: Option<&Data>) -> Result<Option<Data>, ()> {
    if ours == theirs || theirs == base {
        return Ok(ours.cloned());
    }
    if ours == base {
        return Ok(theirs.cloned());
    }
    let empty = serde_json::Map::new();
    let (base, Some(Data::Object(ours)), Some(Data::Object(theirs))) = (base, ours, theirs) else {
        return Err(());
    };
    let base = match base {
        None => &empty,
        Some(Data::Object(base)) => base,
        Some(_) => return Err(()),
    };
    let mut merged = serde_json::Map::new();
    for key in base.keys().chain(ours.keys()).chain(theirs.keys()) {
        if let Some(value) = by_keys(base.get(key), ours.get(key), theirs.get(key))? {
            merged.insert(key.clone(), value);
        }
    }
    Ok(Some(Data::Object(merged)))
}

struct Case<'a> {
    test: &'a Sandbox,
    host: &'a Terminal<'a>,
    service: &'a KeyService<'a>,
    format: Format,
    key: &'a DataKey,
    wrapped: &'a WrappedDataKey,
}

impl Case<'_> {
    fn encrypted(&self, text: &str, onto: Option<&Encrypted>) -> Encrypted {
        let document =
            document::parse(self.format, SecretBytes::new(text.into()), false).expect("a document");
        let metadata = Metadata::new(self.wrapped.clone(), Selection::default(), false);
        let file = sops::encrypt(&*document, metadata, self.key, Timestamp::UNIX_EPOCH, onto)
            .expect("can be encrypted");
        Encrypted::parse(self.format, SecretBytes::new(file.bytes)).expect("reads back")
    }

    fn decrypted(&self, file: Vec<u8>, check: MacCheck) -> String {
        let file = Encrypted::parse(self.format, SecretBytes::new(file)).expect("an encrypted file");
        String::from_utf8(file.decrypt(self.key, check).expect("opens").bytes.to_vec()).expect("a text")
    }

    /// What Git makes of the plaintexts; `None` for a conflict.
    fn by_git(&self, base: &str, ours: &str, theirs: &str) -> Option<String> {
        for (name, text) in [("base", base), ("ours", ours), ("theirs", theirs)] {
            self.test.write(name, text);
        }
        let merged = self.test.program("git", &["merge-file", "-p", "ours", "base", "theirs"]).run();
        (merged.status == 0).then(|| merged.text().to_owned())
    }

    /// Whether it came together.
    fn check(&self, base: &str, ours: &str, theirs: &str) -> Result<bool, TestCaseError> {
        let before = self.encrypted(base, None);
        let [mine, other] = [ours, theirs].map(|text| self.encrypted(text, Some(&before)));
        let bytes = |file: &Encrypted| SecretBytes::new(file.document().source().as_bytes().to_vec());
        let versions = Versions { base: Some(bytes(&before)), ours: bytes(&mine), theirs: bytes(&other) };
        let by_git = self.by_git(base, ours, theirs);
        let [base, ours, theirs] = [base, ours, theirs].map(|text| values(self.format, text));
        let by_keys = by_keys(base.as_ref(), ours.as_ref(), theirs.as_ref()).ok().flatten();
        let merge = Merge {
            host: self.host,
            service: self.service,
            path: std::path::Path::new("merged"),
            format: self.format,
            rule: &|| Ok(None),
            let_in: &|_, _| Ok(()),
            has_made: &|_| false,
            marker_size: 7,
            now: Timestamp::UNIX_EPOCH,
        };
        match block_on(merge.file(&versions)) {
            MergeResult::Clean { file, .. } => {
                let text = self.decrypted(file, MacCheck::Verify);
                prop_assert_eq!(values(self.format, &text), by_keys);
                if let Some(by_git) = by_git {
                    prop_assert_eq!(text, by_git);
                }
                Ok(true)
            }
            MergeResult::Conflict { file, .. } => {
                let of_git = by_git.as_deref().and_then(|text| values(self.format, text));
                prop_assert!(of_git.is_none() || of_git != by_keys, "Git merges these");
                let text = String::from_utf8(file).expect("a text");
                prop_assert!(!text.contains("planted"), "{}", text);
                let marked = Marked::read(text.as_bytes()).expect("markers").expect("markers");
                for side in [&marked.ours, &marked.theirs] {
                    self.decrypted(side.to_vec(), MacCheck::Ignore);
                }
                Ok(false)
            }
            other => Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }
}

#[test]
fn random_edits_merge_as_git_would_or_conflict_where_it_would() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let file = test.home("keys.txt");
    let recipient = new_identity(&test, &file);
    let ui = Ui::new(ColorWhen::Never, true, true);
    let host = Terminal::new(&ui).asking_nobody();
    let service = KeyService::new(&host, Identities::none().with_file(&file));
    let keys = KeySet::any_of(vec![MasterKey::Age(recipient.parse().expect("a recipient"))]);
    let (key, wrapped) =
        block_on(service.new_data_keys(&[&keys])).pop().expect("an answer").expect("wrapped");

    let edits = || proptest::collection::vec(any_edit(), 0..5);
    // As in tests/documents/properties: the same cases each time, unless another number is asked for.
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config { failure_persistence: None, ..Config::default() };
    let config = Config { cases: if asked { default.cases } else { CASES }, ..default };
    let total = config.cases;
    let mut runner = match asked {
        true => TestRunner::new(config),
        false => TestRunner::new_with_rng(config, TestRng::deterministic_rng(Default::default())),
    };
    let clean = Cell::new(0);
    let cases = (select(&[Format::Yaml, Format::Json][..]), 1..10_usize, edits(), edits());
    let result = runner.run(&cases, |(format, length, ours, theirs)| {
        let leaf = |number| (format!("k{number}"), format!("planted-{number}"));
        let item = |number| match number % 3 {
            1 => Item::Map(format!("m{number}"), (0..=number % 4).map(leaf).collect()),
            _ => Item::Leaf(leaf(number)),
        };
        let base: Vec<Item> = (0..length).map(item).collect();
        let [ours, theirs] = [ours, theirs].map(|edits| text(format, &edited(&base, &edits)));
        let case = Case { test: &test, host: &host, service: &service, format, key: &key, wrapped: &wrapped };
        clean.set(clean.get() + u32::from(case.check(&text(format, &base), &ours, &theirs)?));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!((total / 10..total).contains(&clean.get()), "{} of {total} came together", clean.get());
}
