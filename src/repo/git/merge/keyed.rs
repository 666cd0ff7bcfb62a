//! Documents by their keys: whether what a merge of lines gave is what a merge by keys gives, and the changes of one side
//! made in the other's text where lines do not merge.
//!
//! Values are compared by their digests, and are nobody's to read here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Data;

use crate::document::{self, Document, Format, NodeId, NodeKind, TreePath, WithCopies, to_data};
use crate::error::Result;
use crate::secret::{SecretBytes, SecretString};
use crate::sops::digest;

/// What a document says, without its spelling and the order of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Map(BTreeMap<String, Self>),
    List(Vec<Self>),
    Leaf([u8; 32]),
}

impl Shape {
    /// One for each document of a stream.
    pub fn of(document: &dyn Document) -> Result<Vec<Self>> {
        let tree = document.tree();
        let roots = tree.documents().iter();
        let shape = |&root: &NodeId| {
            if tree.has_aliases() {
                // Refuses those that grow without bounds.
                to_data(document, root)?;
            }
            Self::at(document, root)
        };
        roots.map(shape).collect()
    }

    fn at(document: &dyn Document, node: NodeId) -> Result<Self> {
        let (tree, source) = (document.tree(), document.source());
        let target = tree.resolve(node);
        Ok(match tree[target].kind {
            NodeKind::Map => {
                let mut map = BTreeMap::new();
                for entry in tree.entries(target) {
                    let mut key = tree[entry].key.get(source).to_owned();
                    // Some formats take a key twice. None takes this character.
                    while map.contains_key(&key) {
                        key.push('\0');
                    }
                    map.insert(key, Self::at(document, entry)?);
                }
                Self::Map(map)
            }
            NodeKind::List => {
                Self::List(tree.entries(target).map(|item| Self::at(document, item)).collect::<Result<_>>()?)
            }
            _ => Self::Leaf(digest(&document.value(target)?)),
        })
    }
}

/// Three versions of a document, and what is said to have come of them. A stream without documents is an empty one.
pub struct Claim<'s> {
    pub base: &'s [Shape],
    pub ours: &'s [Shape],
    pub theirs: &'s [Shape],
    pub merged: &'s [Shape],
}

/// What is believed of what a merge by keys gives no answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    Nothing,
    /// Lists that both sides changed: lines have an answer.
    Lists,
    /// And values that both sides changed: of a text that is to hold one side of each conflict.
    Sides,
}

impl Claim<'_> {
    /// Whether it is what a merge by keys gives.
    pub fn holds(&self, trust: Trust) -> bool {
        let Self { base, ours, theirs, merged } = *self;
        let count = ours.len();
        if theirs.len() == count && merged.len() == count && (base.len() == count || base.is_empty()) {
            return (0..count)
                .all(|at| holds(base.get(at), ours.get(at), theirs.get(at), merged.get(at), trust));
        }
        let list = |shapes: &[Shape]| Some(Shape::List(shapes.to_vec()));
        let [base, ours, theirs, merged] = [base, ours, theirs, merged].map(list);
        holds(base.as_ref(), ours.as_ref(), theirs.as_ref(), merged.as_ref(), trust)
    }
}

type Maybe<'s> = Option<&'s Shape>;

fn holds(base: Maybe, ours: Maybe, theirs: Maybe, merged: Maybe, trust: Trust) -> bool {
    if ours == theirs || theirs == base {
        return merged == ours;
    }
    if ours == base {
        return merged == theirs;
    }
    let nothing = BTreeMap::new();
    match (base, ours, theirs, merged) {
        (Some(Shape::Map(_)) | None, Some(Shape::Map(o)), Some(Shape::Map(t)), Some(Shape::Map(m))) => {
            let b = match base {
                Some(Shape::Map(base)) => base,
                _ => &nothing,
            };
            let keys: BTreeSet<&String> = [b, o, t, m].into_iter().flat_map(BTreeMap::keys).collect();
            keys.into_iter().all(|key| holds(b.get(key), o.get(key), t.get(key), m.get(key), trust))
        }
        (Some(Shape::List(_)), Some(Shape::List(_)), Some(Shape::List(_)), Some(Shape::List(_))) => {
            trust != Trust::Nothing
        }
        _ => trust == Trust::Sides && (merged == ours || merged == theirs),
    }
}

/// How many changes are made one by one, each of which reads the whole text.
const MOST_CHANGES: usize = 200;

/// Our text with the changes of the other side, key by key; new keys come last in their map. `None` where that cannot be
/// done without losing anything: in streams of several documents, and when the other side changed comments.
pub fn grafted(
    base: Option<&dyn Document>,
    ours: &dyn Document,
    theirs: &dyn Document,
) -> Result<Option<SecretBytes>> {
    let root = |document: &dyn Document| match document.tree().documents() {
        [root] => Some(*root),
        _ => None,
    };
    let (Some(_), Some(root_of_theirs)) = (root(ours), root(theirs)) else { return Ok(None) };
    let before = base.and_then(|base| Some((base, root(base)?)));
    if before.is_none() && base.is_some_and(|base| !base.tree().documents().is_empty()) {
        return Ok(None);
    }
    if comments(theirs) != base.map(comments).unwrap_or_default() {
        return Ok(None);
    }
    let mut changes = Vec::new();
    collect(before, (theirs, root_of_theirs), &mut Vec::new(), &mut changes)?;
    if changes.len() > MOST_CHANGES {
        return Ok(None);
    }
    let format = ours.format();
    let mut text = SecretBytes::new(ours.source().as_bytes().to_vec());
    for (path, data) in changes {
        let document = document::parse(format, text.clone(), false)?;
        let edits = match data {
            Some(data) => path.set(&*document, &data, WithCopies::Refuse)?,
            None => path.unset(&*document, WithCopies::Refuse)?,
        };
        if let Some(edits) = edits {
            text = SecretBytes::new(edits.apply(document.source()).as_bytes().to_vec());
        }
    }
    Ok(Some(text))
}

fn comments(document: &dyn Document) -> Vec<SecretString> {
    // Binary documents have none.
    if document.format() == Format::Binary {
        return Vec::new();
    }
    let tree = document.tree();
    let nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
    let comments = nodes.filter(|&node| tree[node].kind == NodeKind::Comment);
    comments.map(|node| SecretString::new(tree[node].text.get(document.source()).to_owned())).collect()
}

type At<'d> = (&'d dyn Document, NodeId);

/// What one side set and removed.
fn collect<'d>(
    before: Option<At<'d>>,
    (document, map): At<'d>,
    keys: &mut Vec<&'d str>,
    changes: &mut Vec<(TreePath, Option<Data>)>,
) -> Result<()> {
    let entries = |(document, map): At<'d>| {
        let (tree, source) = (document.tree(), document.source());
        let entries = tree.entries(map);
        entries.map(|entry| (tree[entry].key.get(source), tree.resolve(entry))).collect::<Vec<_>>()
    };
    let (old, new) = (before.map(entries).unwrap_or_default(), entries((document, map)));
    for (key, _) in old.iter().filter(|(key, _)| !new.iter().any(|(other, _)| other == key)) {
        keys.push(key);
        changes.push((TreePath::of_keys(keys), None));
        keys.pop();
    }
    let old: BTreeMap<&str, NodeId> = old.into_iter().collect();
    for (key, node) in new {
        let before = before.and_then(|(base, _)| Some((base, *old.get(key)?)));
        let is_map = |(document, node): At<'_>| document.tree()[node].kind == NodeKind::Map;
        keys.push(key);
        match before {
            Some(before) if is_map(before) && is_map((document, node)) => {
                collect(Some(before), (document, node), keys, changes)?;
            }
            Some((base, old)) if Shape::at(base, old)? == Shape::at(document, node)? => {}
            _ => changes.push((TreePath::of_keys(keys), Some(to_data(document, node)?))),
        }
        keys.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(format: Format, text: &str) -> Box<dyn Document> {
        document::parse(format, SecretBytes::new(text.into()), false).unwrap()
    }

    fn holds(base: &str, ours: &str, theirs: &str, merged: &str, trust: Trust) -> bool {
        let shape = |text: &str| match text {
            "" => Vec::new(),
            text => Shape::of(&*parse(Format::Yaml, text)).unwrap(),
        };
        let [base, ours, theirs, merged] = [base, ours, theirs, merged].map(shape);
        Claim { base: &base, ours: &ours, theirs: &theirs, merged: &merged }.holds(trust)
    }

    #[test]
    fn a_merge_is_held_against_what_keys_say() {
        use Trust::{Lists, Nothing, Sides};
        assert!(holds("a: 1\nb: 1\n", "a: 2\nb: 1\n", "a: 1\nb: 2\n", "b: 2\na: 2\n", Nothing));
        assert!(!holds("a: 1\nb: 1\n", "a: 2\nb: 1\n", "a: 1\nb: 2\n", "a: 2\nb: 1\n", Lists));
        assert!(!holds("a: 1\n", "a: 2\n", "a: 3\n", "a: 3\n", Lists));
        assert!(holds("a: {}\n", "a: {b: 1}\n", "a: {c: 1}\n", "a: {b: 1, c: 1}\n", Nothing));
        assert!(!holds(
            "a: {x: 1}\nb: {}\n",
            "a: {}\nb: {x: 1}\n",
            "a: {x: 2}\nb: {}\n",
            "a: {}\nb: {x: 2}\n",
            Lists
        ));
        assert!(holds("", "a: 1\n", "b: 1\n", "a: 1\nb: 1\n", Nothing));
        assert!(!holds("", "a: 1\n", "a: 2\n", "a: 2\n", Lists));
        assert!(!holds("a: [1]\n", "a: [1, 2]\n", "a: [0, 1]\n", "a: [0, 1, 2]\n", Nothing));
        assert!(holds("a: [1]\n", "a: [1, 2]\n", "a: [0, 1]\n", "a: [0, 1, 2]\n", Lists));
        assert!(!holds("a: 1\n", "a: 1\nb: 1\n", "a: 1\n", "a: 1\nb: '1'\n", Lists));
        assert!(holds("a: 1\n", "a: 2\n---\nb: 1\n", "a: 1\n---\nb: 2\n", "a: 3\n", Lists));
        assert!(holds("a: 1\nb: 1\n", "a: 2\nb: 2\n", "a: 3\nb: 1\n", "a: 3\nb: 2\n", Sides));
        assert!(!holds("a: 1\nb: 1\n", "a: 2\nb: 2\n", "a: 3\nb: 1\n", "a: 3\nb: 1\n", Sides));
    }

    #[test]
    fn changes_are_made_in_the_text_of_the_other_side() {
        let graft = |format, base: &str, ours: &str, theirs: &str| {
            let base = (!base.is_empty()).then(|| parse(format, base));
            let text = grafted(base.as_deref(), &*parse(format, ours), &*parse(format, theirs)).unwrap()?;
            Some(String::from_utf8(text.to_vec()).unwrap())
        };
        let (base, ours) = ("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1,\n  \"o\": 2\n}\n");
        let theirs = "{\n  \"a\": 1,\n  \"t\": {\"x\": [1]}\n}\n";
        let merged = graft(Format::Json, base, ours, theirs).unwrap();
        let shape = |text| Shape::of(&*parse(Format::Json, text)).unwrap();
        assert_eq!(shape(&merged), shape("{\"a\": 1, \"o\": 2, \"t\": {\"x\": [1]}}"));
        assert!(merged.starts_with("{\n  \"a\": 1,\n  \"o\": 2,\n  \"t\":"), "{merged}");
        assert_eq!(
            graft(Format::Yaml, "a: {b: 1, c: 2}\n", "a: {b: 1, c: 3}\n", "a: {c: 2}\n").unwrap(),
            "a: {c: 3}\n"
        );
        assert_eq!(graft(Format::Yaml, "a: 1\n", "a: 2\n", "a: 1\n# new\nb: 1\n"), None);
        assert_eq!(graft(Format::Yaml, "a: 1\n---\nb: 1\n", "a: 2\n---\nb: 1\n", "a: 1\n---\nb: 2\n"), None);
        assert_eq!(graft(Format::Yaml, "", "a: 1\n", "b: 1\n").unwrap(), "a: 1\nb: 1\n");
    }
}
