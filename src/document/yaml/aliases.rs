//! Aliases of collections written out as copies in one line of flow style, and copies put back as aliases.
//!
//! From text to text, and pure: which aliases have to be written out, and whether it may be done at all, is for others to
//! say. A copy has neither anchors nor comments, so no alias behind it comes to mean something else.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{YamlDocument, quirks, spell};
use crate::document::path::Part;
use crate::document::tree::AliasBudget;
use crate::document::{Document, Edits, NodeId, NodeKind, Span, Style, Value};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretString;

/// How many times its size a text may have once aliases are written out.
const MAX_GROWTH: usize = 64;

/// Up to how many bytes it may grow all the same: an anchor of hundreds of lines, used hundreds of times, is honest work.
const HARMLESS: usize = 4 << 20;

/// The key under which YAML merges maps into the one that holds it.
const MERGE: &str = "<<";

/// An alias that was written out: where, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenAlias {
    /// The number of its document in the stream.
    document: usize,
    path: Vec<Part>,
    name: String,
}

/// For each alias that is to be written out, which leaves of its copy will be ciphertexts, in document order.
pub type Copies = HashMap<NodeId, Vec<bool>>;

/// A YAML text in which aliases are written out.
pub struct WrittenOut {
    pub text: SecretString,
    pub aliases: Vec<WrittenAlias>,
}

/// Writes aliases of collections out. `source` is the text of the document whose aliases are named.
pub fn write_out(source: &str, copies: &Copies) -> Result<WrittenOut> {
    let document = YamlDocument::parse(SecretString::new(source.to_owned()))?;
    let mut nodes: Vec<NodeId> = copies.keys().copied().collect();
    nodes.sort_unstable();
    let most = source.len().saturating_mul(MAX_GROWTH).max(HARMLESS);
    let (mut edits, mut size) = (Edits::default(), source.len());
    let (mut aliases, mut budget) = (Vec::new(), AliasBudget::default());
    for alias in nodes {
        let mut copy =
            Copy { document: &document, leaves: copies[&alias].iter(), out: SecretString::default() };
        copy.node(alias, &mut budget).map_err(|error| error.on_line(document.line(alias)))?;
        size += copy.out.len();
        if size > most {
            let message =
                format!("expanded, its aliases make the file more than {MAX_GROWTH} times as large");
            return Err(Error::new(Kind::Encrypt, message)
                .on_line(document.line(alias))
                .advise("write the repeated parts out, or remove the aliases"));
        }
        edits.merge(Edits::replace(document.tree[alias].span, copy.out.as_str()));
        aliases.extend(document.written_alias(alias));
    }
    Ok(WrittenOut { text: edits.apply(source), aliases })
}

/// Puts aliases back in place of their copies: where the path leads to a collection in flow style, the name means an
/// anchor there, and the copy says what that anchor's collection says. All else stays written out.
pub fn put_back(text: SecretString, aliases: &[WrittenAlias]) -> SecretString {
    if aliases.is_empty() {
        return text;
    }
    let Ok(document) = YamlDocument::parse(text.clone()) else { return text };
    let mut edits = Edits::default();
    let mut last = None;
    let mut found: Vec<_> = aliases.iter().filter_map(|alias| document.copy_of(alias)).collect();
    found.sort_unstable_by_key(|(copy, _)| *copy);
    for (copy, name) in found {
        if last.is_none_or(|last| !document.tree.contains(last, copy)) {
            edits.push(document.with_tag(copy), format!("*{name}"));
            last = Some(copy);
        }
    }
    edits.apply(&text)
}

/// Refuses a text that begins with the end of a document, which go-yaml cannot read.
pub fn check_start(document: &dyn Document) -> Result<()> {
    let is_nothing = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let source = document.source().trim_start_matches('\u{feff}');
    let number = source.lines().take_while(is_nothing).count();
    let first = source.lines().nth(number).unwrap_or_default();
    match first.strip_prefix("...").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
    {
        true => Err(Error::new(Kind::Encrypt, "a file that begins with `...`, which sops cannot read")
            .on_line(number + 1)
            .advise("remove that line")),
        false => Ok(()),
    }
}

/// Refuses what is under a merge key and is not a map: go-yaml does not read such a file, or no longer once sops has
/// written it.
pub fn check_merge_keys(document: &dyn Document) -> Result<()> {
    let (tree, source) = (document.tree(), document.source());
    // In quotes it merges nothing.
    let is_merge = |&node: &NodeId| {
        let spelled = || source.get(tree[node].key_span.range()).unwrap_or_default();
        tree[node].key.get(source) == MERGE && quirks::is_bare(spelled())
    };
    let is_map = |node: NodeId| tree[tree.resolve(node)].kind == NodeKind::Map;
    let nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
    for node in nodes.filter(is_merge).filter(|&node| !document.is_metadata(node)) {
        let merges_maps = match tree[node].kind {
            NodeKind::List => tree.entries(node).all(is_map),
            _ => is_map(node),
        };
        if !merges_maps {
            let path = tree.path_of(source, node);
            let message = format!("{path}: a merge key (<<) whose value is neither a map nor a list of maps");
            return Err(Error::new(Kind::Encrypt, format!("{message}, which sops cannot read"))
                .on_line(document.line(node))
                .advise("give the key another name, or merge maps"));
        }
    }
    Ok(())
}

/// One copy while it is written.
struct Copy<'a> {
    document: &'a YamlDocument,
    /// Whether the next leaf will be a ciphertext.
    leaves: std::slice::Iter<'a, bool>,
    out: SecretString,
}

impl Copy<'_> {
    fn node(&mut self, node: NodeId, budget: &mut AliasBudget) -> Result<()> {
        let document = self.document;
        let tree = &document.tree;
        budget.spend(tree, &document.source, node)?;
        let target = tree.resolve(node);
        let (open, close) = match tree[target].kind {
            NodeKind::Map => ("{", "}"),
            NodeKind::List => ("[", "]"),
            _ => return self.leaf(target),
        };
        if let Some((tag, _)) = document.collection_tags.get(&target) {
            self.out.push_str(&short_tag(tag));
            self.out.push(' ');
        }
        self.out.push_str(open);
        budget.depth += 1;
        for (at, entry) in tree.entries(target).enumerate() {
            if at > 0 {
                self.out.push_str(", ");
            }
            if tree[target].kind == NodeKind::Map {
                self.out.push_str(&document.key_in_flow(entry));
                self.out.push_str(": ");
            }
            self.node(entry, budget)?;
        }
        budget.depth -= 1;
        self.out.push_str(close);
        Ok(())
    }

    fn leaf(&mut self, leaf: NodeId) -> Result<()> {
        let document = self.document;
        let node = &document.tree[leaf];
        let text = node.text.get(&document.source);
        let becomes_ciphertext = self.leaves.next().copied().unwrap_or(true);
        let value = document.value(leaf)?;
        if let Some(tag) = document.tags.get(&leaf) {
            self.out.push_str(&short_tag(tag));
            self.out.push(' ');
        }
        // What is a text has to stay one, and a ciphertext is one.
        let quoted =
            becomes_ciphertext && matches!(value, Value::Str(_)) && !document.tags.contains_key(&leaf);
        if node.style == Style::Plain && text.is_empty() && matches!(value, Value::Null) {
            self.out.push_str("null");
        } else if node.style == Style::Plain && !quoted && fits_flow(text, &value) {
            self.out.push_str(text);
        } else {
            self.out.push_str(&spell::double_quoted(text));
        }
        Ok(())
    }
}

/// Whether a plain scalar of block style reads as the same inside of braces. Times and the like hold colons.
fn fits_flow(text: &str, value: &Value) -> bool {
    let is_text = matches!(value, Value::Str(_));
    let ends_it = |c| matches!(c, ',' | '[' | ']' | '{' | '}' | '?' | '\n' | '\r') || (is_text && c == ':');
    !text.is_empty() && !text.contains(ends_it)
}

/// A tag as it is written, where no `%TAG` is known.
fn short_tag(tag: &str) -> String {
    match tag.strip_prefix("tag:yaml.org,2002:") {
        Some(name) => format!("!!{name}"),
        None if tag.starts_with('!') => tag.to_owned(),
        None => format!("!<{tag}>"),
    }
}

impl YamlDocument {
    fn key_in_flow(&self, entry: NodeId) -> SecretString {
        let node = &self.tree[entry];
        let (key, spelled) = (node.key.get(&self.source), self.slice(node.key_span));
        // In quotes it would merge nothing.
        match key == MERGE && quirks::is_bare(spelled) {
            true => SecretString::new(MERGE.to_owned()),
            false => spell::double_quoted(key),
        }
    }

    fn written_alias(&self, alias: NodeId) -> Option<WrittenAlias> {
        let mut path = Vec::new();
        let mut at = alias;
        while let Some(parent) = self.tree.parent(at) {
            path.push(match self.tree[parent].kind {
                NodeKind::List => Part::Index(self.tree.entries(parent).position(|entry| entry == at)?),
                _ => Part::Key(self.tree[at].key.get(&self.source).to_owned()),
            });
            at = parent;
        }
        path.reverse();
        let document = self.tree.documents().iter().position(|&root| root == at)?;
        let name = self.slice(self.tree[alias].span).strip_prefix('*')?.to_owned();
        Some(WrittenAlias { document, path, name })
    }

    /// The copy that an alias may take the place of.
    fn copy_of<'a>(&self, alias: &'a WrittenAlias) -> Option<(NodeId, &'a str)> {
        let tree = &self.tree;
        let root = *tree.documents().get(alias.document)?;
        let copy = alias.path.iter().try_fold(root, |at, part| match part {
            Part::Key(key) => tree.entry(&self.source, at, key),
            Part::Index(index) if tree[at].kind == NodeKind::List => tree.entries(at).nth(*index),
            Part::Index(_) => None,
        })?;
        let within = tree[copy].span.range();
        let is_copy = |node: NodeId| match tree[node].kind {
            NodeKind::Alias(_) => false,
            // The one behind it, or an empty place for it, is where it was behind the alias.
            NodeKind::Comment => !within.contains(&tree[node].span.start()),
            _ => true,
        };
        let anchor = self.anchor_before(root, copy, &alias.name)?;
        (tree[copy].style == Style::Flow
            && tree.descendants(copy).all(is_copy)
            && !tree.contains(anchor, copy)
            && self.says_the_same(copy, anchor))
        .then_some((copy, &alias.name))
    }

    /// What a name means at a node: the last anchor of that name before it.
    fn anchor_before(&self, root: NodeId, node: NodeId, name: &str) -> Option<NodeId> {
        let before = self.anchors.partition_point(|(anchor, _)| *anchor < node);
        let is_it =
            |(anchor, other): &&(NodeId, Box<str>)| **other == *name && self.tree.contains(root, *anchor);
        self.anchors[..before].iter().rev().find(is_it).map(|(anchor, _)| *anchor)
    }

    /// Whether two subtrees have the same keys in the same order, and values of the same kinds.
    fn says_the_same(&self, copy: NodeId, anchor: NodeId) -> bool {
        let tree = &self.tree;
        let anchor = tree.resolve(anchor);
        if tree[copy].kind != tree[anchor].kind {
            return false;
        }
        let tag = |node| self.collection_tags.get(&node).map(|(tag, _)| tag);
        match tree[copy].kind {
            NodeKind::Map | NodeKind::List => {
                let key = |node: NodeId| tree[node].key.get(&self.source);
                let mut entries = tree.entries(anchor);
                tag(copy) == tag(anchor)
                    && tree
                        .entries(copy)
                        .all(|a| entries.next().is_some_and(|b| key(a) == key(b) && self.says_the_same(a, b)))
                    && entries.next().is_none()
            }
            _ => {
                let same = |a: &Value, b: &Value| a.kind() == b.kind() && a.same(b);
                self.tags.get(&copy) == self.tags.get(&anchor)
                    && matches!((self.value(copy), self.value(anchor)), (Ok(a), Ok(b)) if same(&a, &b))
            }
        }
    }

    /// Where a collection is with its tag, if it has one.
    fn with_tag(&self, collection: NodeId) -> Span {
        let span = self.tree[collection].span;
        let start = self.collection_tags.get(&collection).map_or(span.start(), |(_, start)| *start);
        Span::new(start, span.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All aliases of collections written out, with ciphertexts or without.
    fn all(text: &str, becomes_ciphertext: bool) -> Result<WrittenOut> {
        let document = YamlDocument::parse(SecretString::new(text.to_owned())).unwrap();
        let tree = &document.tree;
        let nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
        let is_copy = |&node: &NodeId| {
            matches!(tree[node].kind, NodeKind::Alias(_))
                && matches!(tree[tree.resolve(node)].kind, NodeKind::Map | NodeKind::List)
        };
        write_out(text, &nodes.filter(is_copy).map(|node| (node, vec![becomes_ciphertext; 100])).collect())
    }

    #[test]
    fn a_copy_is_one_line_without_anchors_and_comments() {
        for (anchor, copy) in [
            ("{a: 1}", "{\"a\": 1}"),
            ("{}", "{}"),
            ("\n  b: x # c\n  # c\n  c: &c 0x1F\n  d: *c", "{\"b\": x, \"c\": 0x1F, \"d\": 0x1F}"),
            (
                "\n  - a,b\n  - http://x\n  - |\n    l\n    m\n  - 'q'",
                "[\"a,b\", \"http://x\", \"l\\nm\\n\", \"q\"]",
            ),
            (
                "\n  e:\n  t: !!str 5\n  o: !own {x: !<tag:e.org,1:y> 'z'}",
                "{\"e\": null, \"t\": !!str 5, \"o\": !own {\"x\": !<tag:e.org,1:y> \"z\"}}",
            ),
            (
                "\n  <<: {a: 2001-01-01T01:02:03Z}\n  \"<<\\t\": ~",
                "{<<: {\"a\": 2001-01-01T01:02:03Z}, \"<<\\t\": ~}",
            ),
        ] {
            let text = format!("x: &x {anchor}\ny: *x # behind\nz: [*x,*x]\n");
            let written = all(&text, false).unwrap();
            assert_eq!(*written.text, format!("x: &x {anchor}\ny: {copy} # behind\nz: [{copy},{copy}]\n"));
            assert_eq!(*put_back(written.text, &written.aliases), text);
        }
        assert!(all("x: &x {a: b}\ny: *x\n", true).unwrap().text.contains("y: {\"a\": \"b\"}"));
    }

    #[test]
    fn an_alias_comes_back_only_where_the_copy_says_the_same() {
        let text = "x: &x {a: 1, b: [c]}\ny: *x\n---\nz: &x {d: 1}\nl:\n  - *x\n";
        let WrittenOut { text: out, aliases } = all(text, false).unwrap();
        assert_eq!(
            serde_json::to_string(&aliases[1]).unwrap(),
            r#"{"document":1,"path":["l",0],"name":"x"}"#
        );
        let back = |from: &str, to: &str| {
            assert!(out.contains(from), "{from}");
            put_back(SecretString::new(out.replacen(from, to, 1)), &aliases).contains("y: *x")
        };
        assert!(back("z:", "z:"));
        for (from, to) in [
            ("{a: 1,", "{a: 2,"),
            ("{a: 1,", "{a: '1',"),
            ("{a: 1,", "{e: 1,"),
            ("{a: 1, b: [c]}", "{b: [c], a: 1}"),
            ("[c]", "[c, d]"),
            ("&x {a", "&y {a"),
            ("&x {a", "!t &x {a"),
            ("y: {", "y: !t {"),
            ("\"b\": [", "\"b\": [ # note\n "),
            ("y: {\"a\": 1, \"b\": [c]}", "y:\n  a: 1\n  b: [c]"),
            ("y:", "w: &x {}\ny:"),
        ] {
            assert!(!back(from, to), "{from} {to}");
        }
    }

    #[test]
    fn what_would_grow_without_measure_is_refused() {
        let more = |n: usize| format!("l{}: &l{} [{}]\n", n + 1, n + 1, vec![format!("*l{n}"); 9].join(","));
        let text = |length: usize| {
            let levels = (0..4).map(more).collect::<String>();
            format!("l0: &l0 [{}]\n{levels}", "x".repeat(length))
        };
        assert!(all(&text(8), true).is_ok());
        let keys = (0..300).map(|n| format!("  k{n}: value\n")).collect::<String>();
        let uses = (0..300).map(|n| format!("u{n}: *a\n")).collect::<String>();
        assert!(all(&format!("a: &a\n{keys}{uses}"), false).is_ok());
        let error = all(&text(1000), true).err().unwrap();
        assert!(error.message().contains("64 times as large"), "{error}");
    }

    #[test]
    fn what_merges_no_map_is_refused() {
        let check =
            |text: &str| check_merge_keys(&YamlDocument::parse(SecretString::new(text.to_owned())).unwrap());
        for value in ["x", "", "~", "true", "*s", "*l", "[1]", "[*m, *l]", "[[{a: 1}]]", "[*s]"] {
            for place in ["{}", "c:\n  {}", "c:\n  - {}", "c_unencrypted: {}", "a: 1\n---\nc:\n  {}"] {
                let anchors = "s: &s x\nl: &l [{a: 1}]\nm: &m {b: 1}\n";
                let entry = place.replace("{}", &format!("<<: {value}"));
                let entry = entry.replace("c_unencrypted: <<", "c_unencrypted:\n  <<");
                let text = match entry.split_once("---\n") {
                    Some((first, second)) => format!("{first}---\n{anchors}{second}\n"),
                    None => format!("{anchors}{entry}\n"),
                };
                assert!(check(&text).is_err(), "{text}");
            }
        }
        let text = "m: &m {b: 1}\na: {<<: *m}\nb: {<<: [*m, {c: 1}]}\nc: {<<: {}}\nd: {<<: []}\n\"<<\": x\n";
        assert!(check(text).is_ok());
    }
}
