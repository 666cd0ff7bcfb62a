//! What differs between two states of a file: its values by their paths, who can decrypt it, its text.
//!
//! Works on files that are read and opened. Which states are compared, and what is shown of them, is the caller's.

use std::collections::HashMap;
use std::time::Duration;

use similar::TextDiff;

use crate::config::Selection;
use crate::document::{self, Document, Format, Paths, Value};
use crate::error::Result;
use crate::keys::MasterKey;
use crate::names::Names;
use crate::sealed_secret::{self, OpenedKeys, SealedFile, SealedSecret};
use crate::secret::{DataKey, SecretBytes, SecretString};
use crate::sops::{self, Encrypted, MacCheck, Metadata};

/// How long to look for the shortest difference of two texts; then a longer one will do.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Lines around a change.
const CONTEXT: usize = 3;

/// A file at one time, in plaintext.
pub struct FileState {
    /// `None` for a file that is not there.
    document: Option<Box<dyn Document>>,
    text: SecretBytes,
    /// What the metadata of an encrypted file say. `None` for a plain file.
    facts: Option<Vec<Fact>>,
}

/// What the metadata of an encrypted file say of who can decrypt what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Somebody can decrypt the file, or what is named before `recipient` in the place.
    Recipient {
        place: String,
        key: MasterKey,
    },
    Setting(String),
}

impl Fact {
    /// The recipient that it is about.
    pub fn recipient(&self) -> Option<&MasterKey> {
        match self {
            Self::Recipient { key, .. } => Some(key),
            Self::Setting(_) => None,
        }
    }

    /// The fact with what people call the recipient.
    pub fn named(&self, names: &Names) -> String {
        match self {
            Self::Recipient { place, key } => {
                format!("{place}recipient {}", names.beside(key.id(), key.to_string()))
            }
            Self::Setting(text) => text.clone(),
        }
    }
}

impl FileState {
    /// Of a file that is not there.
    pub fn absent() -> Self {
        Self { document: None, text: SecretBytes::default(), facts: Some(Vec::new()) }
    }

    /// Of a file that is not encrypted.
    pub fn plain(format: Format, text: SecretBytes) -> Result<Self> {
        let document = document::parse(format, text.clone(), false)?;
        Ok(Self { document: Some(document), text, facts: None })
    }

    /// Of an encrypted file.
    pub fn encrypted(file: &Encrypted, key: &DataKey, check: MacCheck) -> Result<Self> {
        let plain = Self::plain(file.format(), file.decrypt(key, check)?.bytes)?;
        Ok(Self { facts: Some(facts(&file.metadata)), ..plain })
    }

    /// Of a file with SealedSecrets: the Secrets that they make.
    pub fn sealed(file: &SealedFile, keys: &[OpenedKeys]) -> Result<Self> {
        let format = file.document.format();
        let plain = Self::plain(format, sealed_secret::manifests(&file.unseal(keys)?, format)?)?;
        let facts = file.objects.iter().map(|(_, sealed)| facts_of_sealed(sealed));
        Ok(Self { facts: Some(facts.flatten().collect()), ..plain })
    }

    /// The values in document order, each with its path. Those that an alias repeats share the alias's path.
    fn values(&self) -> Result<Vec<(String, Vec<Value>)>> {
        let Some(document) = self.document.as_deref() else { return Ok(Vec::new()) };
        let paths = Paths::of(document);
        let mut values: Vec<(String, Vec<Value>)> = Vec::new();
        sops::for_each_leaf(document, &Selection::default(), &mut |leaf| {
            if leaf.is_comment {
                return Ok(());
            }
            let path = paths.to(leaf.at);
            let value = document.value(leaf.node)?;
            match values.last_mut() {
                Some((last, values)) if *last == path => values.push(value),
                _ => values.push((path, vec![value])),
            }
            Ok(())
        })?;
        Ok(values)
    }
}

/// What the metadata say of who can decrypt what.
fn facts(metadata: &Metadata) -> Vec<Fact> {
    let groups = &metadata.keys.groups;
    let several = groups.len() > 1;
    let mut facts = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let place = if several { format!("key group {}: ", number + 1) } else { String::new() };
        facts.extend(group.iter().map(|wrapped| recipient(&place, &wrapped.key)));
    }
    let mut setting = |text: String| facts.push(Fact::Setting(text));
    if several {
        setting(format!("key groups needed: {}", metadata.keys.required()));
    }
    let selection = &metadata.selection;
    setting(format!("{}: {}", selection.field_name(), selection.pattern()));
    if metadata.mac_only_encrypted {
        setting("mac_only_encrypted: true".to_owned());
    }
    facts
}

/// What a SealedSecret says of who can decrypt all of it, and where.
fn facts_of_sealed(sealed: &SealedSecret) -> Vec<Fact> {
    let name = &sealed.metadata.name;
    let scope = sealed.spec.scope.unwrap_or_default();
    let mut facts = vec![Fact::Setting(format!("{name}: scope {scope}"))];
    // Those who can read a part of it alone come and go with the items that they can read.
    if let Some(keys) = sealed_secret::recipients(&sealed.spec).ok().flatten() {
        let place = format!("{name}: ");
        facts.extend(keys.groups.iter().flatten().map(|key| recipient(&place, key)));
        if keys.groups.len() > 1 {
            facts.push(Fact::Setting(format!("{name}: key groups needed: {}", keys.required())));
        }
    }
    facts
}

fn recipient(place: &str, key: &MasterKey) -> Fact {
    Fact::Recipient { place: place.to_owned(), key: key.clone() }
}

/// What happened to something between two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
    Changed,
}

/// A value that is not the same in two states.
#[derive(Debug)]
pub struct ValueChange {
    pub path: String,
    pub change: Change,
    /// More than one where an alias stands for a collection.
    pub old: Vec<Value>,
    pub new: Vec<Value>,
}

/// The difference of two states.
#[derive(Debug)]
pub struct Difference {
    pub values: Vec<ValueChange>,
    /// Recipients and rules that came or went; empty unless both states are encrypted.
    pub facts: Vec<(Change, Fact)>,
    /// The plaintexts differ, if only in comments or layout.
    pub text: bool,
}

impl Difference {
    pub fn of(old: &FileState, new: &FileState) -> Result<Self> {
        Ok(Self {
            values: value_changes(old.values()?, new.values()?),
            facts: match (&old.facts, &new.facts) {
                (Some(old), Some(new)) => fact_changes(old, new),
                _ => Vec::new(),
            },
            text: old.text != new.text,
        })
    }

    pub fn is_empty(&self) -> bool {
        !self.text && self.values.is_empty() && self.facts.is_empty()
    }
}

fn value_changes(old: Vec<(String, Vec<Value>)>, new: Vec<(String, Vec<Value>)>) -> Vec<ValueChange> {
    let mut left: HashMap<String, (usize, Vec<Value>)> =
        new.into_iter().enumerate().map(|(at, (path, values))| (path, (at, values))).collect();
    let mut changes = Vec::new();
    for (path, old) in old {
        let (change, new) = match left.remove(&path) {
            Some((_, new)) if same(&old, &new) => continue,
            Some((_, new)) => (Change::Changed, new),
            None => (Change::Removed, Vec::new()),
        };
        changes.push(ValueChange { path, change, old, new });
    }
    let mut added: Vec<_> = left.into_iter().collect();
    added.sort_by_key(|(_, (at, _))| *at);
    changes.extend(added.into_iter().map(|(path, (_, new))| ValueChange {
        path,
        change: Change::Added,
        old: Vec::new(),
        new,
    }));
    changes
}

fn same(old: &[Value], new: &[Value]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.same(new))
}

fn fact_changes<F: Clone + PartialEq>(old: &[F], new: &[F]) -> Vec<(Change, F)> {
    let gone = old.iter().filter(|fact| !new.contains(fact)).map(|fact| (Change::Removed, fact.clone()));
    let come = new.iter().filter(|fact| !old.contains(fact)).map(|fact| (Change::Added, fact.clone()));
    gone.chain(come).collect()
}

/// The plaintexts' difference as a unified diff without a header; `None` when one of them is no text.
pub fn unified(old: &FileState, new: &FileState) -> Option<SecretString> {
    let (old, new) = (std::str::from_utf8(&old.text).ok()?, std::str::from_utf8(&new.text).ok()?);
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    Some(SecretString::new(diff.unified_diff().context_radius(CONTEXT).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> FileState {
        FileState::plain(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec())).unwrap()
    }

    fn changes(old: &str, new: &str) -> Vec<(Change, String)> {
        let difference = Difference::of(&yaml(old), &yaml(new)).unwrap();
        difference.values.into_iter().map(|value| (value.change, value.path)).collect()
    }

    #[test]
    fn values_are_compared_by_path() {
        let found = changes("a: 1\nb: {c: x, d: [1, 2]}\n", "b: {d: [1, 3, 4], c: x}\ne: null\n");
        let expected = [
            (Change::Removed, "[\"a\"]"),
            (Change::Changed, "[\"b\"][\"d\"][1]"),
            (Change::Added, "[\"b\"][\"d\"][2]"),
            (Change::Added, "[\"e\"]"),
        ];
        assert_eq!(found, expected.map(|(change, path)| (change, path.to_owned())));
    }

    #[test]
    fn types_and_documents_count() {
        assert_eq!(changes("a: 1\n", "a: '1'\n"), [(Change::Changed, "[\"a\"]".to_owned())]);
        assert_eq!(
            changes("---\na: 1\n---\na: 1\n", "---\na: 1\n---\na: 2\n"),
            [(Change::Changed, "document 2: [\"a\"]".to_owned())]
        );
        assert_eq!(
            changes("x: &x {a: 1, b: 2}\ny: *x\n", "x: &x {a: 1, b: 3}\ny: *x\n"),
            [(Change::Changed, "[\"x\"][\"b\"]".to_owned()), (Change::Changed, "[\"y\"]".to_owned())]
        );
    }

    #[test]
    fn comments_and_layout_are_a_difference_of_the_text_alone() {
        let difference = Difference::of(&yaml("a: 1\n"), &yaml("a:  1 # one\n")).unwrap();
        assert!(difference.values.is_empty() && difference.text && !difference.is_empty());
        assert!(Difference::of(&yaml("a: 1\n"), &yaml("a: 1\n")).unwrap().is_empty());
    }

    #[test]
    fn a_text_is_shown_with_what_is_around_a_change() {
        let text = unified(&yaml("a: 1\nb: 2\n"), &yaml("a: 1\nb: 3\n")).unwrap();
        assert_eq!(*text, "@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n");
        let binary = FileState::plain(Format::Binary, SecretBytes::new(vec![0xff])).unwrap();
        assert!(unified(&yaml("a: 1\n"), &binary).is_none());
    }

    #[test]
    fn facts_come_and_go() {
        let facts = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            fact_changes(&facts("a b c"), &facts("b d c")),
            [(Change::Removed, "a".to_owned()), (Change::Added, "d".to_owned())]
        );
    }
}
