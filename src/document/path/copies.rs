//! Values that are written once, at an anchor, and are the values of its aliases, too: where else they are.

use std::collections::HashMap;

use super::{Part, TreePath};
use crate::document::{self, Copies, Document, Edits, Format, NodeId, NodeKind, Span};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// What is done where a change at an anchor changes copies of the value, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WithCopies {
    /// The change is refused, and the copies are named.
    #[default]
    Refuse,
    Change,
}

/// How many copies of one value are looked for.
const MOST_COPIES: usize = 1000;

impl TreePath {
    /// The paths at which the first document says the same as at this one, for an alias leads there: what is changed here
    /// changes there. This path is not among them.
    pub fn copies(&self, document: &dyn Document) -> Result<Vec<TreePath>> {
        let tree = document.tree();
        if !tree.has_aliases() {
            return Ok(Vec::new());
        }
        let (node, rest) = self.walk(document)?;
        let mut aliases: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        let nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
        for node in nodes {
            if let NodeKind::Alias(target) = tree[node].kind {
                aliases.entry(target).or_default().push(node);
            }
        }
        let mut found = Vec::new();
        let mut open = vec![(node, rest.to_vec())];
        while let Some((node, rest)) = open.pop() {
            if found.len() + open.len() > MOST_COPIES {
                let message = format!("{self} has more than {MOST_COPIES} copies");
                return Err(
                    Error::new(Kind::SetFormat, message).advise("change the file with `sealant edit FILE`")
                );
            }
            let way = way_to(document, node);
            let up = std::iter::successors(Some(node), |&node| tree.parent(node));
            for (at, depth) in up.zip((0..=way.len()).rev()) {
                let below: Vec<Part> = way[depth..].iter().chain(&rest).cloned().collect();
                open.extend(aliases.get(&at).into_iter().flatten().map(|&alias| (alias, below.clone())));
            }
            found.push(TreePath(way.into_iter().chain(rest).collect()));
        }
        found.retain(|path| path != self);
        found.sort_by_key(ToString::to_string);
        Ok(found)
    }

    /// The alias of a collection through which the path leads on: what is changed behind it becomes another thing than the
    /// anchor.
    pub fn copy_on_the_way(&self, document: &dyn Document) -> Option<TreePath> {
        self.alias_on_the_way(document).map(|alias| TreePath(way_to(document, alias)))
    }

    fn alias_on_the_way(&self, document: &dyn Document) -> Option<NodeId> {
        let tree = document.tree();
        if document.format() != Format::Yaml || !tree.has_aliases() {
            return None;
        }
        let is_copy = |node: NodeId| {
            let target = tree.resolve(node);
            target != node && matches!(tree[target].kind, NodeKind::Map | NodeKind::List)
        };
        let mut node = *tree.documents().first()?;
        for part in &self.0 {
            if is_copy(node) {
                return Some(node);
            }
            node = part.step(document, node)?;
        }
        None
    }

    /// Makes a change to a document in which the copy that the path leads through is written out.
    pub(super) fn untied(
        &self,
        document: &dyn Document,
        change: impl FnOnce(&dyn Document) -> Result<Option<Edits>>,
    ) -> Result<Option<Edits>> {
        let Some(alias) = self.alias_on_the_way(document) else { return change(document) };
        let written = document::write_out(document.source(), &Copies::from([(alias, Vec::new())]))?;
        let text = SecretBytes::new(written.text.as_bytes().to_vec());
        let untied = document::parse(Format::Yaml, text, true)?;
        let whole = Span::new(0, document.source().len());
        Ok(change(&*untied)?.map(|edits| Edits::replace(whole, edits.apply(untied.source()).as_str())))
    }

    /// Where the map that the path leads into has merged the next key from, if it has.
    pub(super) fn merged(&self, document: &dyn Document) -> Option<TreePath> {
        let (at, rest) = self.walk(document).ok()?;
        let Some(key @ Part::Key(_)) = rest.first() else { return None };
        let merge = Part::Key("<<".to_owned());
        let merged = merge.step(document, at)?;
        let has_key = |node: NodeId| key.step(document, node).is_some();
        let mut way = self.0[..self.0.len() - rest.len()].to_vec();
        way.push(merge);
        if !has_key(merged) {
            let tree = document.tree();
            way.push(Part::Index(tree.entries(tree.resolve(merged)).position(has_key)?));
        }
        way.extend_from_slice(rest);
        Some(TreePath(way))
    }

    /// An error for a change that would change copies, too.
    pub(super) fn refuse_copies(&self, copies: &[TreePath]) -> Result<()> {
        const SHOWN: usize = 5;
        if copies.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> = copies.iter().take(SHOWN).map(ToString::to_string).collect();
        if copies.len() > SHOWN {
            names.push(format!("{} more", copies.len() - SHOWN));
        }
        let message =
            format!("{self} is at an anchor, so changing it also changes its copies: {}", names.join(", "));
        Err(Error::new(Kind::SetFormat, message).advise(
            "change all of them with --with-copies, or replace the aliases by copies with `sealant edit FILE`",
        ))
    }
}

/// The path to a node of a document.
fn way_to(document: &dyn Document, node: NodeId) -> Vec<Part> {
    let tree = document.tree();
    let (mut way, mut at) = (Vec::new(), node);
    while let Some(parent) = tree.parent(at) {
        way.push(match tree[parent].kind {
            NodeKind::List => {
                Part::Index(tree.entries(parent).position(|entry| entry == at).unwrap_or_default())
            }
            _ => Part::Key(tree[at].key.get(document.source()).to_owned()),
        });
        at = parent;
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::testing::read;

    const TEXT: &str = "x: &x\n  pw: a\n  n: &n {k: 1}\ny: *x\nz: {m: [*n, *x]}\n";

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn copies(text: &str, at: &str) -> Vec<String> {
        path(at).copies(&*read(Format::Yaml, text)).unwrap().iter().map(ToString::to_string).collect()
    }

    fn set(text: &str, at: &str, with_copies: WithCopies) -> Result<String> {
        let document = read(Format::Yaml, text);
        let edits = path(at).set(&*document, &json!("new"), with_copies)?.unwrap();
        Ok(edits.apply(document.source()).to_string())
    }

    #[test]
    fn copies_are_found_through_aliases_of_aliases() {
        assert_eq!(copies(TEXT, "[\"x\"][\"pw\"]"), ["[\"y\"][\"pw\"]", "[\"z\"][\"m\"][1][\"pw\"]"]);
        assert_eq!(
            copies(TEXT, "[\"x\"][\"n\"][\"new\"]"),
            ["[\"y\"][\"n\"][\"new\"]", "[\"z\"][\"m\"][0][\"new\"]", "[\"z\"][\"m\"][1][\"n\"][\"new\"]"]
        );
        assert!(copies(TEXT, "[\"z\"]").is_empty());
        assert_eq!(copies("a: &a 1\nb: *a\n---\nc: &a 1\nd: *a\n", "[\"a\"]"), ["[\"b\"]"]);
    }

    #[test]
    fn copies_without_end_are_not_counted() {
        let more = |n: usize| format!("l{}: &l{} [{}]\n", n + 1, n + 1, vec![format!("*l{n}"); 8].join(","));
        let text = format!("l0: &l0 {{a: 1}}\n{}", (0..8).map(more).collect::<String>());
        let error = path("[\"l0\"][\"a\"]").copies(&*read(Format::Yaml, &text)).unwrap_err();
        assert!(error.message().contains("more than 1000 copies"), "{error}");
    }

    #[test]
    fn a_change_at_an_anchor_is_refused_or_changes_all_copies() {
        let refused = set(TEXT, "[\"x\"][\"pw\"]", WithCopies::Refuse).unwrap_err();
        assert!(refused.message().contains("[\"y\"][\"pw\"], [\"z\"][\"m\"][1][\"pw\"]"), "{refused}");
        let changed = set(TEXT, "[\"x\"][\"pw\"]", WithCopies::Change).unwrap();
        assert_eq!(changed, TEXT.replace("pw: a", "pw: new"));
        let changed = set(TEXT, "[\"x\"][\"n\"][\"new\"]", WithCopies::Change).unwrap();
        assert_eq!(changed, TEXT.replace("{k: 1}", "{k: 1, new: new}"));
    }

    #[test]
    fn a_change_in_a_copy_writes_this_copy_out() {
        let changed = set(TEXT, "[\"y\"][\"pw\"]", WithCopies::Refuse).unwrap();
        assert_eq!(changed, TEXT.replace("y: *x", "y: {\"pw\": new, \"n\": {\"k\": 1}}"));
        let changed = set(TEXT, "[\"z\"][\"m\"][0][\"l\"]", WithCopies::Refuse).unwrap();
        assert_eq!(changed, TEXT.replace("[*n,", "[{\"k\": 1, l: new},"));
        let document = read(Format::Yaml, TEXT);
        let unset = path("[\"y\"][\"n\"]").unset(&*document, WithCopies::Refuse).unwrap().unwrap();
        assert_eq!(*unset.apply(TEXT), TEXT.replace("y: *x", "y: {\"pw\": \"a\"}"));
    }

    #[test]
    fn what_is_merged_is_told_with_its_path() {
        let text = "b: &b {user: x}\nm:\n  <<: *b\nn:\n  <<: [{a: 1}, *b]\n";
        let advice = |at| path(at).find(&*read(Format::Yaml, text)).unwrap_err().advice().unwrap().to_owned();
        assert!(advice("[\"m\"][\"user\"]").contains("'[\"m\"][\"<<\"][\"user\"]'"));
        assert!(advice("[\"n\"][\"user\"]").contains("'[\"n\"][\"<<\"][1][\"user\"]'"));
    }
}
