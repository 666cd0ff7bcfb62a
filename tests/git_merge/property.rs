//! Random edits on two branches merge as Git would merge the plaintexts, or conflict where it would.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pollster::block_on;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRng, TestRunner};
use sealant::batch;
use sealant::cli::host::Terminal;
use sealant::cli::ui::{ColorWhen, Ui};
use sealant::config::Selection;
use sealant::document::{self, Format};
use sealant::keys::{Identities, KeyService, KeySet, MasterKey};
use sealant::repo::git::merge::lines::Marked;
use sealant::repo::git::merge::{Merge, Outcome, Versions};
use sealant::secret::{DataKey, SecretBytes};
use sealant::sops::{self, Encrypted, MacCheck, Metadata};
use sealant_test_support::Sandbox;

use crate::repo::new_identity;

const CASES: u32 = 160;

#[derive(Debug, Clone)]
enum Edit {
    Change(Index, u8),
    Remove(Index),
    Insert(Index, u8, u8),
    Comment(Index, u8),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (any::<Index>(), 0..4_u8).prop_map(|(at, value)| Edit::Change(at, value)),
        1 => any::<Index>().prop_map(Edit::Remove),
        3 => (any::<Index>(), 0..20_u8, 0..3_u8).prop_map(|(at, key, value)| Edit::Insert(at, key, value)),
        1 => (any::<Index>(), 0..3_u8).prop_map(|(at, text)| Edit::Comment(at, text)),
    ]
}

/// Lines of a flat document, each with its key.
type Text = Vec<(String, String)>;

fn edited(base: &Text, edits: &[Edit]) -> Text {
    let mut text = base.clone();
    for edit in edits {
        if text.is_empty() {
            break;
        }
        match edit {
            Edit::Change(at, value) => {
                let line = at.get_mut(&mut text);
                if !line.0.is_empty() {
                    line.1 = format!("planted{value}");
                }
            }
            Edit::Remove(at) => _ = text.remove(at.index(text.len())),
            Edit::Insert(at, key, value) => {
                let key = format!("n{key}");
                if !text.iter().any(|line| line.0 == key) {
                    text.insert(at.index(text.len() + 1), (key, format!("planted{value}")));
                }
            }
            Edit::Comment(at, note) => {
                text.insert(at.index(text.len() + 1), (String::new(), format!("planted note {note}")))
            }
        }
    }
    text
}

fn yaml(text: &Text) -> String {
    let line = |(key, value): &(String, String)| match key.as_str() {
        "" => format!("# {value}\n"),
        key => format!("{key}: {value}\n"),
    };
    // A document needs a value.
    text.iter().map(line).chain(["end: x\n".to_owned()]).collect()
}

/// The values of a flat document; `None` when a key stands in it twice.
fn values(text: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (key, value) in
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": "))
    {
        if found.insert(key.to_owned(), value.to_owned()).is_some() {
            return None;
        }
    }
    Some(found)
}

/// What a merge by keys gives.
fn by_keys(base: &str, ours: &str, theirs: &str) -> Option<BTreeMap<String, String>> {
    let [base, ours, theirs] = [values(base)?, values(ours)?, values(theirs)?];
    let mut merged = BTreeMap::new();
    let keys = base.keys().chain(ours.keys()).chain(theirs.keys());
    for key in keys {
        let [b, o, t] = [base.get(key), ours.get(key), theirs.get(key)];
        let value = match () {
            () if o == t || t == b => o,
            () if o == b => t,
            () => return None,
        };
        if let Some(value) = value {
            merged.insert(key.clone(), value.clone());
        }
    }
    Some(merged)
}

struct Case<'a> {
    test: &'a Sandbox,
    merge: Merge<'a>,
    key: &'a DataKey,
    wrapped: sealant::keys::WrappedDataKey,
}

impl Case<'_> {
    fn encrypted(&self, text: &str, onto: Option<&Encrypted>) -> Encrypted {
        let document = document::parse(Format::Yaml, SecretBytes::new(text.into()), false).expect("YAML");
        let metadata = Metadata::new(self.wrapped.clone(), Selection::default(), false);
        let file =
            sops::encrypt(&*document, metadata, self.key, self.merge.now, onto).expect("can be encrypted");
        Encrypted::parse(Format::Yaml, SecretBytes::new(file.bytes)).expect("reads back")
    }

    fn decrypted(&self, file: Vec<u8>, check: MacCheck) -> String {
        let file = Encrypted::parse(Format::Yaml, SecretBytes::new(file)).expect("an encrypted file");
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

    fn check(&self, base: &str, ours: &str, theirs: &str) -> Result<bool, TestCaseError> {
        let before = self.encrypted(base, None);
        let [mine, other] = [ours, theirs].map(|text| self.encrypted(text, Some(&before)));
        let bytes = |file: &Encrypted| SecretBytes::new(file.document().source().as_bytes().to_vec());
        let versions = Versions { base: Some(bytes(&before)), ours: bytes(&mine), theirs: bytes(&other) };
        let by_git = self.by_git(base, ours, theirs);
        let by_keys = by_keys(base, ours, theirs);
        let of_git = by_git.as_deref().and_then(values);
        match block_on(self.merge.file(&versions)) {
            Outcome::Clean { file, .. } => {
                let text = self.decrypted(file, MacCheck::Verify);
                prop_assert_eq!(values(&text), by_keys);
                if let Some(by_git) = by_git {
                    prop_assert_eq!(text, by_git);
                }
                Ok(true)
            }
            Outcome::Conflict { file, .. } => {
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
    let host = Terminal::new(&ui, false);
    let service = KeyService::new(&host, Identities::none().with_file(&file));
    let keys = KeySet::any_of(vec![MasterKey::Age(recipient.parse().expect("a recipient"))]);
    let key = DataKey::generate();
    let groups = block_on(service.wrap_many(&[(&key, &keys)])).pop().expect("an answer").expect("wrapped");
    let merge = Merge {
        host: &host,
        service: &service,
        path: "s.yaml".as_ref(),
        format: Format::Yaml,
        rule: &|| Ok(None),
        marker_size: 7,
        now: Timestamp::now(),
    };
    let case = Case { test: &test, merge, key: &key, wrapped: batch::wrapped_set(groups, &keys) };

    let edits = || proptest::collection::vec(any_edit(), 0..5);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(Default::default()));
    let clean = std::cell::Cell::new(0);
    let result = runner.run(&(1..12_usize, edits(), edits()), |(length, ours, theirs)| {
        let base: Text =
            (0..length).map(|number| (format!("k{number}"), format!("planted-{number}"))).collect();
        let [ours, theirs] = [ours, theirs].map(|edits| yaml(&edited(&base, &edits)));
        if case.check(&yaml(&base), &ours, &theirs)? {
            clean.set(clean.get() + 1);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let clean: u32 = clean.get();
    assert!(
        (CASES / 10..CASES).contains(&clean),
        "{clean} of {CASES} came together: the edits try too little"
    );
}
