//! Paths into a document as sops spells them, `["key"][0]`, and what is done at their end.

mod copies;
mod spelled;

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Data;

pub use self::copies::WithCopies;
pub use self::spelled::Spelled;
use super::{Document, Edits, Format, NodeId, NodeKind, to_data};
use crate::document;
use crate::error::{Error, Kind, Result};
use crate::hints;
use crate::secret::SecretBytes;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Part {
    Key(String),
    Index(usize),
}

/// A path from the root of a document: keys in quotes and positions of list items, each in brackets. Comments do not
/// count as items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePath(Vec<Part>);

impl TreePath {
    /// Reads a path. The empty text is the root.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (part, after) = parse_part(rest).ok_or_else(|| {
                Error::new(Kind::TreePath, format!("`{text}` is not a path into a document")).advise(format!(
                    "write keys in quotes and positions as numbers, each in brackets: '{}'",
                    suggestion(text)
                ))
            })?;
            parts.push(part);
            rest = after;
        }
        Ok(Self(parts))
    }

    /// The path through maps that these keys lead to.
    pub fn of_keys(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Part::Key((*key).to_owned())).collect())
    }

    /// The path without its last step; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, way) = self.0.split_last()?;
        Some(Self(way.to_vec()))
    }

    /// The keys on the way, if it goes through maps alone.
    pub fn keys(&self) -> Option<Vec<&str>> {
        fn key(part: &Part) -> Option<&str> {
            match part {
                Part::Key(key) => Some(key),
                Part::Index(_) => None,
            }
        }
        self.0.iter().map(key).collect()
    }

    /// The node at the end of the path, in the first document of the file.
    pub fn find(&self, document: &dyn Document) -> Result<NodeId> {
        match self.walk(document)? {
            (node, []) => Ok(document.tree().resolve(node)),
            (at, [missing, ..]) => {
                let message = match self.0.len() {
                    1 => format!("{missing} not found"),
                    _ => format!("{missing} of {self} not found"),
                };
                let error = Error::new(Kind::TreePath, message);
                Err(match (self.merged(document), self.with_slashes(document)) {
                    (Some(path), _) => {
                        error.advise(format!("it is merged into this map: its path is '{path}'"))
                    }
                    (None, Some(path)) => error.advise(format!("keys are separated by dots: '{path}'")),
                    (None, None) => match self.elsewhere(document) {
                        Some(path) => error.advise(format!("did you mean {path}?")),
                        None => with_hint(error, document, at, missing),
                    },
                })
            }
        }
    }

    /// The path that leads to something when the slashes of the only key are read as the dots between keys.
    fn with_slashes(&self, document: &dyn Document) -> Option<String> {
        let [Part::Key(key)] = &self.0[..] else { return None };
        let dotted = key.trim_matches('/').replace('/', ".");
        let path = Spelled::parse(&dotted).ok()?.within(document, &|_| false).ok()?;
        let is_there = key.contains('/') && path.walk(document).is_ok_and(|(_, rest)| rest.is_empty());
        is_there.then_some(dotted)
    }

    /// Where the only key of this path is, if it is in one place, deeper in the document.
    fn elsewhere(&self, document: &dyn Document) -> Option<String> {
        let [Part::Key(key)] = &self.0[..] else { return None };
        let (tree, source) = (document.tree(), document.source());
        let nodes = tree.documents().first().into_iter().flat_map(|&root| tree.descendants(root));
        let is_it = |node: &NodeId| {
            tree.parent(*node).is_some_and(|parent| tree[parent].kind == NodeKind::Map)
                && tree[*node].key.get(source) == key
                && !document.is_metadata(*node)
        };
        let mut found = nodes.filter(is_it);
        match (found.next(), found.next()) {
            (Some(only), None) => Some(Paths::of(document).to(only)),
            _ => None,
        }
    }

    /// Puts `data` at the end of the path; what is missing on the way is made, a position behind the last item appends.
    /// `None` when that is there already.
    ///
    /// Behind an alias of a collection the copy is written out first, and the anchor stays as it is.
    pub fn set(&self, document: &dyn Document, data: &Data, copies: WithCopies) -> Result<Option<Edits>> {
        if self.0.is_empty() {
            return Err(Error::new(Kind::SetFormat, "the root of a document cannot be replaced"));
        }
        self.refuse_metadata(document)?;
        self.refuse_repeated(document)?;
        self.untied(document, |document| self.set_in(document, data, copies))
    }

    fn set_in(&self, document: &dyn Document, data: &Data, copies: WithCopies) -> Result<Option<Edits>> {
        let (node, rest) = self.walk(document)?;
        let Some((step, deeper)) = rest.split_first() else {
            if to_data(document, node)? == *data {
                return Ok(None);
            }
            let edits = document.replace(node, data)?;
            return self.check(document, edits, Some(data), copies).map(Some);
        };
        let entry = wrapped(deeper, data);
        let kind = document.tree()[node].kind;
        let edits = match (kind, step) {
            (NodeKind::Map, Part::Key(key)) => document.insert(node, Some(key), None, &entry),
            (NodeKind::List, Part::Index(_)) => document.insert(node, None, None, &entry),
            (NodeKind::Map, Part::Index(_)) | (NodeKind::List, Part::Key(_)) => {
                let error = Error::new(Kind::SetFormat, format!("{step} of {self} does not fit"));
                Err(with_hint(error, document, node, step))
            }
            _ => document.replace(node, &wrapped(rest, data)),
        };
        self.check(document, edits?, Some(data), copies).map(Some)
    }

    /// What to tell a person whose path makes a key that is another one but for a letter or two.
    pub fn nearly(&self, document: &dyn Document) -> Option<String> {
        if let Some(dotted) = self.with_slashes(document).filter(|_| self.find(document).is_err()) {
            return Some(format!("{self} is new; keys are separated by dots, and {dotted} existed already"));
        }
        let (at, rest) = self.walk(document).ok()?;
        let (tree, at) = (document.tree(), document.tree().resolve(at));
        let Part::Key(new) = rest.first().filter(|_| tree[at].kind == NodeKind::Map)? else { return None };
        // Short names are near to one another without being meant for one another.
        if new.chars().count() < 4 {
            return None;
        }
        let entries = tree.entries(at).filter(|&entry| !document.is_metadata(entry));
        let known = hints::misspelt(new, entries.map(|entry| tree[entry].key.get(document.source())))?;
        let way = TreePath(self.0[..self.0.len() - rest.len()].to_vec());
        let [new, known] = [new, known].map(|key| format!("{way}{}", Part::Key(key.to_owned())));
        Some(format!("{new} is new; {known} existed already"))
    }

    /// This path with what is not there yet as one key, where keys beside it have dots in them; `None` elsewhere.
    pub fn as_one_key(&self, document: &dyn Document) -> Option<Self> {
        let (at, rest) = self.walk(document).ok()?;
        let (tree, at) = (document.tree(), document.tree().resolve(at));
        let is_dotted = |entry: NodeId| tree[entry].key.get(document.source()).contains('.');
        let entries = tree.entries(at).filter(|&entry| !document.is_metadata(entry));
        if rest.len() < 2 || tree[at].kind != NodeKind::Map || !entries.into_iter().any(is_dotted) {
            return None;
        }
        let way = &self.0[..self.0.len() - rest.len()];
        let key = Self(rest.to_vec()).keys()?.join(".");
        Some(Self(way.iter().cloned().chain([Part::Key(key)]).collect()))
    }

    /// The list on this path and how many items it has, where the position in it has none right before it. A list that
    /// the path would make has no items.
    pub fn gap(&self, document: &dyn Document) -> Option<(Self, usize)> {
        let (at, rest) = self.walk(document).ok()?;
        let (tree, at) = (document.tree(), document.tree().resolve(at));
        let is_list = tree[at].kind == NodeKind::List;
        let items = |nth: usize| if nth == 0 && is_list { tree.entries(at).count() } else { 0 };
        let mut rest_with_items = rest.iter().enumerate().map(|(nth, part)| (part, items(nth)));
        let nth =
            rest_with_items.position(|(part, items)| matches!(part, Part::Index(index) if *index > items))?;
        Some((Self(self.0[..self.0.len() - rest.len() + nth].to_vec()), items(nth)))
    }

    /// Removes what is at the end of the path; `None` when there is nothing. Behind an alias as for [`TreePath::set`].
    pub fn unset(&self, document: &dyn Document, copies: WithCopies) -> Result<Option<Edits>> {
        if self.0.is_empty() {
            return Err(Error::new(Kind::SetFormat, "the root of a document cannot be removed"));
        }
        self.refuse_repeated(document)?;
        match self.walk(document)? {
            (_, []) => self.untied(document, |document| {
                let (node, _) = self.walk(document)?;
                self.check(document, document.remove(&[node])?, None, copies).map(Some)
            }),
            _ => Ok(None),
        }
    }

    /// Refuses to change one of two entries of the same name: which one is meant?
    fn refuse_repeated(&self, document: &dyn Document) -> Result<()> {
        let (tree, source) = (document.tree(), document.source());
        let Some(mut node) = tree.documents().first().copied().filter(|_| tree.repeated().is_some()) else {
            return Ok(());
        };
        for part in &self.0 {
            let at = tree.resolve(node);
            let is_it =
                |key: &String| tree.entries(at).filter(|&entry| tree[entry].key.get(source) == key).count();
            if matches!(part, Part::Key(key) if tree[at].kind == NodeKind::Map && is_it(key) > 1) {
                return Err(Error::new(Kind::SetFormat, format!("{part} of {self} appears more than once"))
                    .advise("remove all but one of them with `sealant edit FILE`"));
            }
            let Some(next) = part.step(document, node) else { break };
            node = next;
        }
        Ok(())
    }

    /// Makes sure that edits say what is meant and nothing else. In YAML a comment can end up in a block scalar,
    /// and what is changed at an anchor changes at its aliases.
    fn check(
        &self,
        document: &dyn Document,
        edits: Edits,
        data: Option<&Data>,
        with_copies: WithCopies,
    ) -> Result<Edits> {
        let (Format::Yaml, Ok(mut meant)) = (document.format(), all_data(document)) else { return Ok(edits) };
        let copies = self.copies(document)?;
        if with_copies == WithCopies::Refuse {
            self.refuse_copies(&copies)?;
        }
        if let Some(first) = meant.first_mut() {
            std::iter::once(self).chain(&copies).for_each(|path| put(first, &path.0, data));
        }
        let text = edits.clone().apply(document.source());
        let changed = document::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec()), true);
        match changed.and_then(|changed| all_data(&*changed)) {
            Ok(found) if found.iter().zip(&meant).all(|(a, b)| same(a, b)) && found.len() == meant.len() => {
                Ok(edits)
            }
            _ => {
                Err(Error::new(Kind::SetFormat, format!("a change of {self} would change other values, too"))
                    .advise("change the file with `sealant edit FILE`"))
            }
        }
    }

    /// Goes as far as the document does: the node that was reached, and what is left of the path.
    fn walk(&self, document: &dyn Document) -> Result<(NodeId, &[Part])> {
        let Some(&root) = document.tree().documents().first() else {
            return Err(Error::new(Kind::TreePath, "the file holds no document"));
        };
        let mut node = root;
        for (done, part) in self.0.iter().enumerate() {
            match part.step(document, node) {
                Some(next) => node = next,
                None => return Ok((node, &self.0[done..])),
            }
        }
        Ok((node, &[]))
    }

    fn refuse_metadata(&self, document: &dyn Document) -> Result<()> {
        let tree = document.tree();
        let (Some(&root), Some(Part::Key(key))) = (tree.documents().first(), self.0.first()) else {
            return Ok(());
        };
        match tree.entry(document.source(), root, key) {
            Some(entry) if document.is_metadata(entry) => {
                Err(Error::new(Kind::SetFormat, format!("{self} is metadata, not a value of the document"))
                    .advise("to change recipients, use `sealant updatekeys FILE` or `sealant rotate -i --add-age KEY FILE`"))
            }
            _ => Ok(()),
        }
    }
}

impl Part {
    /// Where the step leads from a node, aliases followed.
    fn step(&self, document: &dyn Document, node: NodeId) -> Option<NodeId> {
        let tree = document.tree();
        let at = tree.resolve(node);
        match self {
            Self::Key(key) => {
                tree.entry(document.source(), at, key).filter(|&entry| !document.is_metadata(entry))
            }
            Self::Index(index) if tree[at].kind == NodeKind::List => tree.entries(at).nth(*index),
            Self::Index(_) => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "[{key:?}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| part.fmt(f))
    }
}

fn parse_part(text: &str) -> Option<(Part, &str)> {
    let inner = text.strip_prefix('[')?;
    for quote in ['"', '\''] {
        if let Some(key) = inner.strip_prefix(quote) {
            let end = key.find(&format!("{quote}]"))?;
            return Some((Part::Key(key[..end].to_owned()), &key[end + 2..]));
        }
    }
    let (index, rest) = inner.split_once(']')?;
    Some((Part::Index(index.parse().ok()?), rest))
}

/// How the paths of nodes are written: for those who ask for many.
pub struct Paths<'d> {
    document: &'d dyn Document,
    /// The positions of list items.
    positions: HashMap<NodeId, usize>,
}

impl<'d> Paths<'d> {
    pub fn of(document: &'d dyn Document) -> Self {
        let tree = document.tree();
        let nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
        let lists = nodes.filter(|&node| tree[node].kind == NodeKind::List);
        let positions =
            lists.flat_map(|list| tree.entries(list).enumerate().map(|(at, item)| (item, at))).collect();
        Self { document, positions }
    }

    /// The path of a node. In a stream of several documents its number is before it.
    pub fn to(&self, node: NodeId) -> String {
        let tree = self.document.tree();
        let (mut parts, mut at) = (Vec::new(), node);
        while let Some(parent) = tree.parent(at) {
            parts.push(match self.positions.get(&at) {
                Some(&position) => Part::Index(position),
                None => Part::Key(tree[at].key.get(self.document.source()).to_owned()),
            });
            at = parent;
        }
        parts.reverse();
        match tree.documents().iter().position(|&root| root == at) {
            Some(number) if tree.documents().len() > 1 => {
                format!("document {}: {}", number + 1, TreePath(parts))
            }
            _ => TreePath(parts).to_string(),
        }
    }
}

/// The error with what there is at `at`, from where a step leads nowhere.
fn with_hint(error: Error, document: &dyn Document, at: NodeId, step: &Part) -> Error {
    match hint(document, document.tree().resolve(at), step) {
        Some(hint) => error.advise(hint),
        None => error,
    }
}

fn hint(document: &dyn Document, at: NodeId, missing: &Part) -> Option<String> {
    let tree = document.tree();
    let entries = || tree.entries(at).filter(|&entry| !document.is_metadata(entry));
    match (tree[at].kind, missing) {
        (NodeKind::Map, Part::Key(key)) => {
            let keys: Vec<_> = entries().map(|entry| tree[entry].key.get(document.source())).collect();
            let nearest = Part::Key(hints::nearest(key, keys.iter().copied())?.to_owned());
            Some(format!("did you mean {nearest}?"))
        }
        (NodeKind::Map, Part::Index(_)) => {
            Some("it leads into a map, whose keys are written in quotes".to_owned())
        }
        (NodeKind::List, Part::Index(_)) => Some(match entries().count() {
            0 => "the list is empty".to_owned(),
            count => format!("the last item of the list is [{}]", count - 1),
        }),
        (NodeKind::List, Part::Key(_)) => {
            Some("it leads into a list, whose items have positions: [0] is the first".to_owned())
        }
        _ => Some("what comes before it is a value, with nothing below it".to_owned()),
    }
}

/// A path that `a.b.0` may be meant to be, else an example of one.
fn suggestion(text: &str) -> String {
    let is_name =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !text.split('.').all(is_name) {
        return "[\"list\"][0]".to_owned();
    }
    let part = |word: &str| match word.parse() {
        Ok(index) => Part::Index(index),
        Err(_) => Part::Key(word.to_owned()),
    };
    TreePath(text.split('.').map(part).collect()).to_string()
}

fn all_data(document: &dyn Document) -> Result<Vec<Data>> {
    document.tree().documents().iter().map(|&root| to_data(document, root)).collect()
}

/// Puts data at the end of a path, or removes what is there.
fn put(tree: &mut Data, path: &[Part], data: Option<&Data>) {
    let Some((step, rest)) = path.split_first() else {
        return *tree = data.cloned().unwrap_or_default();
    };
    match (tree, step, data) {
        (Data::Object(map), Part::Key(key), None) if rest.is_empty() => _ = map.shift_remove(key),
        (Data::Array(items), Part::Index(at), None) if rest.is_empty() && *at < items.len() => {
            items.remove(*at);
        }
        (Data::Object(map), Part::Key(key), _) if map.contains_key(key) => put(&mut map[key], rest, data),
        (Data::Array(items), Part::Index(at), _) if *at < items.len() => put(&mut items[*at], rest, data),
        (_, _, None) => {}
        (Data::Object(map), Part::Key(key), Some(data)) => _ = map.insert(key.clone(), wrapped(rest, data)),
        (Data::Array(items), Part::Index(_), Some(data)) => items.push(wrapped(rest, data)),
        (other, _, Some(data)) => *other = wrapped(path, data),
    }
}

/// Whether data are equal, but for the spelling of numbers and the order of keys.
fn same(a: &Data, b: &Data) -> bool {
    match (a, b) {
        (Data::Number(a), Data::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Data::Array(a), Data::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Data::Object(a), Data::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// `data` at the end of what the steps make: maps of one entry, lists of one item.
fn wrapped(steps: &[Part], data: &Data) -> Data {
    steps.iter().rev().fold(data.clone(), |data, step| match step {
        Part::Key(key) => Data::Object([(key.clone(), data)].into_iter().collect()),
        Part::Index(_) => Data::Array(vec![data]),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{self, Format};
    use crate::secret::SecretBytes;

    fn yaml(text: &str) -> Box<dyn Document> {
        document::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec()), false).unwrap()
    }

    fn set(text: &str, path: &str, data: Data) -> String {
        let document = yaml(text);
        let edits = TreePath::parse(path).unwrap().set(&*document, &data, WithCopies::Refuse).unwrap();
        edits.unwrap_or_default().apply(document.source()).to_string()
    }

    fn unset(text: &str, path: &str) -> String {
        let document = yaml(text);
        TreePath::parse(path)
            .unwrap()
            .unset(&*document, WithCopies::Refuse)
            .unwrap()
            .unwrap()
            .apply(document.source())
            .to_string()
    }

    #[test]
    fn paths_read_as_sops_writes_them() {
        let path = TreePath::parse("[\"a\"]['b'][0]").unwrap();
        assert_eq!(path.to_string(), "[\"a\"][\"b\"][0]");
        assert_eq!(TreePath::parse("[\"odd[key]\"]").unwrap().0, [Part::Key("odd[key]".to_owned())]);
        for broken in ["a", "[\"a\"", "[a]", "[\"a\"]x"] {
            assert_eq!(TreePath::parse(broken).unwrap_err().kind(), Kind::TreePath, "for {broken}");
        }
    }

    #[test]
    fn a_path_with_dots_is_told_how_to_be_written() {
        let advice = |text| TreePath::parse(text).unwrap_err().advice().unwrap().to_owned();
        assert!(advice("db.hosts.0").ends_with("'[\"db\"][\"hosts\"][0]'"));
        assert!(advice("[a]").ends_with("'[\"list\"][0]'"));
    }

    #[test]
    fn where_a_path_leads_nowhere_it_is_said_what_is_there() {
        let document = yaml("password: x\nlist: [1, 2]\nnone: []\nmap: {a: 1}\n");
        let advice = |path| {
            let error = TreePath::parse(path).unwrap().find(&*document).unwrap_err();
            error.advice().unwrap_or_default().to_owned()
        };
        assert_eq!(advice("[\"pasword\"]"), "did you mean [\"password\"]?");
        assert_eq!(advice("[\"other\"]"), "");
        assert_eq!(advice("[\"list\"][2]"), "the last item of the list is [1]");
        assert_eq!(advice("[\"none\"][0]"), "the list is empty");
        assert!(advice("[\"list\"][\"a\"]").starts_with("it leads into a list"));
        assert!(advice("[\"map\"][0]").starts_with("it leads into a map"));
        assert!(advice("[\"password\"][\"a\"][0]").starts_with("what comes before it is a value"));
    }

    #[test]
    fn a_new_key_that_is_nearly_another_is_told_of() {
        let document = yaml("password: x\nhost1: y\nmap: {proto: 1}\n");
        let near = |path| TreePath::parse(path).unwrap().nearly(&*document);
        assert_eq!(near("[\"pasword\"]").unwrap(), "[\"pasword\"] is new; [\"password\"] existed already");
        assert_eq!(
            near("[\"map\"][\"prot\"]").unwrap(),
            "[\"map\"][\"prot\"] is new; [\"map\"][\"proto\"] existed already"
        );
        for other in
            ["[\"password\"]", "[\"host2\"]", "[\"mpa\"]", "[\"map\"][\"user\"]", "[\"password_old\"]"]
        {
            assert_eq!(near(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_value_is_not_set() {
        let document =
            document::parse(Format::Yaml, SecretBytes::new(b"a: 1\nsops:\n  mac: x\n".to_vec()), true)
                .unwrap();
        for path in ["", "[\"sops\"]", "[\"sops\"][\"mac\"]"] {
            let refused =
                TreePath::parse(path).unwrap().set(&*document, &json!(1), WithCopies::Refuse).unwrap_err();
            assert_eq!(refused.kind(), Kind::SetFormat, "for {path}");
        }
    }

    #[test]
    fn a_scalar_is_replaced_in_its_style() {
        assert_eq!(set("a: 'x' # c\nb: 1\n", "[\"a\"]", json!("y")), "a: 'y' # c\nb: 1\n");
        assert_eq!(set("a: x\n", "[\"a\"]", json!("yes")), "a: \"yes\"\n");
        assert_eq!(set("a: |\n  x\n  y\nb: 1\n", "[\"a\"]", json!("one\n")), "a: |\n  one\nb: 1\n");
        assert_eq!(set("a:\nb: 1\n", "[\"a\"]", json!("x")), "a: x\nb: 1\n");
    }

    #[test]
    fn what_is_missing_is_made() {
        assert_eq!(set("a: 1\n", "[\"b\"]", json!("x")), "a: 1\nb: x\n");
        assert_eq!(set("a: 1", "[\"b\"]", json!("x")), "a: 1\nb: x");
        assert_eq!(set("a:\n  b: 1\nc: 2\n", "[\"a\"][\"d\"]", json!(true)), "a:\n  b: 1\n  d: true\nc: 2\n");
        assert_eq!(set("a: 1\n", "[\"b\"][\"c\"][0]", json!(1)), "a: 1\nb:\n    c:\n        - 1\n");
        assert_eq!(set("l:\n- x # c\nz: 1\n", "[\"l\"][9]", json!("w")), "l:\n- x # c\n- w\nz: 1\n");
        assert_eq!(set("a: {b: 1}\n", "[\"a\"][\"c\"]", json!("x, y")), "a: {b: 1, c: 'x, y'}\n");
        assert_eq!(set("a: {}\n", "[\"a\"][\"c\"]", json!(1)), "a: {c: 1}\n");
        assert_eq!(set("a: x\n", "[\"a\"][\"b\"]", json!(1)), "a:\n    b: 1\n");
    }

    #[test]
    fn what_has_an_explicit_key_or_an_anchor_is_changed_where_it_is() {
        for (before, path, data, after) in [
            ("? a\n: 1\nb: 2\n", "[\"a\"]", json!("x"), "? a\n: x\nb: 2\n"),
            ("? a\n: 1\n", "[\"b\"]", json!("x"), "? a\n: 1\nb: x\n"),
            ("? a # c\n? b\n", "[\"a\"]", json!("x"), "? a # c\n: x\n? b\n"),
            ("m:\n  ? a", "[\"m\"][\"a\"]", json!({"b": 1}), "m:\n  ? a\n  :\n    b: 1"),
            ("? a\n: b: 1\n", "[\"a\"][\"c\"]", json!(2), "? a\n: b: 1\n  c: 2\n"),
            ("{a: , \"b\":, c}\n", "[\"b\"]", json!(1), "{a: , \"b\": 1, c}\n"),
            ("{a: , \"b\":, c}\n", "[\"c\"]", json!(1), "{a: , \"b\":, c: 1}\n"),
            ("{a: , \"b\":}\n", "[\"c\"]", json!(1), "{a: , \"b\":, c: 1}\n"),
            ("{a: }\n", "[\"c\"]", json!(1), "{a: , c: 1}\n"),
            ("&k a: 1\n", "[\"b\"]", json!(2), "&k a: 1\nb: 2\n"),
            ("a: &x # c\n", "[\"a\"]", json!(2), "a: &x 2 # c\n"),
            ("a: !!null\nb: 1\n", "[\"a\"]", json!(2), "a: 2\nb: 1\n"),
            ("null # c\n", "[\"a\"]", json!(2), "--- # c\na: 2\n"),
        ] {
            assert_eq!(set(before, path, data), after, "{before}");
        }
        assert_eq!(unset("? a\n: 1\n? b # c\nc: 3\n", "[\"a\"]"), "? b # c\nc: 3\n");
        assert_eq!(unset("? a\n: 1\n? b # c\n: 2\nc: 3\n", "[\"b\"]"), "? a\n: 1\nc: 3\n");
        assert_eq!(unset("m:\n- ? a\n  : 1\n  ? b\n", "[\"m\"][0][\"a\"]"), "m:\n- ? b\n");
    }

    #[test]
    fn collections_replace_and_are_replaced() {
        assert_eq!(
            set("a: 1 # c\nb: 2\n", "[\"a\"]", json!({"x": [1, 2]})),
            "a:\n    x:\n        - 1\n        - 2 # c\nb: 2\n"
        );
        assert_eq!(set("a:\n  x: 1\n  y: 2\nb: 2\n", "[\"a\"]", json!("s")), "a: s\nb: 2\n");
        assert_eq!(set("a: 1\n", "[\"a\"]", json!(1)), "a: 1\n");
    }

    #[test]
    fn entries_go_with_their_lines() {
        assert_eq!(unset("a: 1\nb: 2 # c\nc: 3\n", "[\"b\"]"), "a: 1\nc: 3\n");
        assert_eq!(unset("a: 1\nb: 2", "[\"b\"]"), "a: 1");
        assert_eq!(unset("l:\n  - a: 1\n    b: 2\n", "[\"l\"][0][\"a\"]"), "l:\n  - b: 2\n");
        assert_eq!(unset("m:\n  a: 1\nz: 2\n", "[\"m\"][\"a\"]"), "m: {}\nz: 2\n");
        assert_eq!(unset("a: {b: 1, c: 2, d: 3}\n", "[\"a\"][\"c\"]"), "a: {b: 1, d: 3}\n");
        assert_eq!(unset("a: {b: 1, c: 2}\n", "[\"a\"][\"b\"]"), "a: {c: 2}\n");
        assert_eq!(unset("t: |\n  x\n\n  y\nz: 1\n", "[\"t\"]"), "z: 1\n");
        let document = yaml("a: 1\n");
        assert!(TreePath::parse("[\"b\"]").unwrap().unset(&*document, WithCopies::Refuse).unwrap().is_none());
    }
}
