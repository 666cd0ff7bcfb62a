//! Which leaves are encrypted: the one place that decides it, for all commands.
//!
//! After `shouldBeEncrypted` and the walks of `sops.go`: a rule is tested against every key on the way to a leaf, or
//! against the comments that appear before it or before a collection that holds it.

use crate::config::Selection;
use crate::document::{Document, Format, NodeId, NodeKind, Step, ValueKind};
use crate::error::Result;
use crate::sops::cipher::Token;
use crate::sops::metadata;

/// A leaf or comment of a document, with what a rule says of it.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// The scalar or comment.
    pub node: NodeId,
    /// Where it appears: the alias through which it was reached, else the node itself.
    pub at: NodeId,
    pub is_comment: bool,
    /// Whether the rule says that it is encrypted.
    pub selected: bool,
    /// What the rule matched, be it that this makes it encrypted or clear.
    pub because: Option<Match<'a>>,
    /// The keys on the way to it, each followed by a colon: what its ciphertext is bound to.
    pub path: &'a str,
}

/// What a rule matched on the way to a leaf.
#[derive(Debug, Clone, Copy)]
pub enum Match<'a> {
    Key(&'a str),
    Comment(NodeId),
}

/// What one open collection adds to the decision.
#[derive(Debug, Default)]
struct Level<'a> {
    /// Number of keys on the way to it.
    keys: usize,
    /// Length of its path.
    path: usize,
    /// The first key on the way to it that matches the rule.
    key: Option<&'a str>,
    /// The first comment that is active in it and matches the rule.
    comment: Option<NodeId>,
}

/// What of a document is no leaf of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exempt {
    /// All that is taken for metadata, whatever it holds.
    Metadata,
    /// Of the metadata the fields that sops knows: what else is in them may be plaintext that somebody put there.
    KnownMetadata,
    /// Nothing: there are no metadata, whatever the names of its entries.
    Nothing,
}

/// Calls `visit` for each leaf and comment of a plaintext document in document order: the metadata and empty comments
/// left out, aliases expanded.
pub fn for_each(
    document: &dyn Document,
    selection: &Selection,
    visit: &mut dyn FnMut(Leaf<'_>) -> Result<()>,
) -> Result<()> {
    visit_all(document, selection, false, Exempt::Metadata, visit)
}

/// As [`for_each`], for an encrypted document: items of lists may stand for comments.
pub fn for_each_encrypted(
    document: &dyn Document,
    selection: &Selection,
    visit: &mut dyn FnMut(Leaf<'_>) -> Result<()>,
) -> Result<()> {
    visit_all(document, selection, true, Exempt::Metadata, visit)
}

/// Whether a scalar of a document, or one that an alias stands for, holds something that is no ciphertext. A map or a list
/// that one stands for has no text of its own: ask about what is in it.
pub fn is_clear(document: &dyn Document, leaf: NodeId) -> bool {
    let tree = document.tree();
    let leaf = tree.resolve(leaf);
    let text = tree[leaf].text.get(document.source());
    match Token::parse(text) {
        // What follows a ciphertext is read by nobody, and may be what was to be hidden.
        Ok(token) => text.trim_end() != token.text() || !token.is_well_formed(),
        // sops leaves alone what is empty.
        Err(_) => !document.value(leaf).is_ok_and(|value| value.is_blank()),
    }
}

/// Whether a comment of a document holds something that is no ciphertext.
pub fn is_clear_comment(document: &dyn Document, comment: NodeId) -> bool {
    let text = document.tree()[comment].text.get(document.source()).trim();
    !text.is_empty() && !is_ciphertext(text)
}

/// Whether a text is a ciphertext and nothing else.
pub fn is_ciphertext(text: &str) -> bool {
    Token::parse(text).is_ok_and(|token| token.text() == text && token.is_well_formed())
}

/// What a rule says is encrypted, and is not.
#[derive(Debug, Default)]
pub struct InPlaintext {
    /// Where they appear, one after another: an alias of a map or a list stands for all that is in it.
    pub values: Vec<NodeId>,
    /// sops encrypts comments, too, and reads ones in plaintext without a word.
    pub comments: Vec<NodeId>,
}

/// The values and comments that a rule says are encrypted, and that are not: those that encrypting would encrypt, and
/// what is in the metadata and not exempt.
pub fn in_plaintext(document: &dyn Document, selection: &Selection, exempt: Exempt) -> Result<InPlaintext> {
    let mut found = InPlaintext::default();
    visit_all(document, selection, true, exempt, &mut |leaf| {
        if !leaf.selected {
            return Ok(());
        }
        if document.tree()[leaf.node].kind == NodeKind::Comment {
            if is_clear_comment(document, leaf.node) {
                found.comments.push(leaf.node);
            }
        } else if is_clear(document, leaf.node) && found.values.last() != Some(&leaf.at) {
            found.values.push(leaf.at);
        }
        Ok(())
    })?;
    Ok(found)
}

fn visit_all(
    document: &dyn Document,
    selection: &Selection,
    encrypted: bool,
    exempt: Exempt,
    visit: &mut dyn FnMut(Leaf<'_>) -> Result<()>,
) -> Result<()> {
    let (source, tree) = (document.source(), document.tree());
    for &root in tree.documents() {
        let metadata: Vec<_> = tree.entries(root).filter(|&entry| document.is_metadata(entry)).collect();
        let is_metadata = |node| {
            let before = metadata.partition_point(|&entry| entry <= node);
            before.checked_sub(1).is_some_and(|at| tree.contains(metadata[at], node))
        };
        let is_exempt = |node| match exempt {
            Exempt::Metadata => is_metadata(node),
            Exempt::KnownMetadata => is_metadata(node) && metadata::is_known(document, node),
            Exempt::Nothing => false,
        };
        let mut walk = Walk { document, selection, encrypted, path: String::new(), levels: Vec::new() };
        tree.walk(source, root, &mut |keys, step| match step {
            Step::Enter(node) | Step::Leave(node) if exempt == Exempt::Metadata && is_metadata(node) => {
                Ok(())
            }
            Step::Enter(_) => {
                walk.enter(keys);
                Ok(())
            }
            Step::Leave(_) => {
                walk.leave();
                Ok(())
            }
            Step::Comment(node) if is_exempt(node) || tree[node].text.get(source).is_empty() => Ok(()),
            Step::Leaf { at, .. } if is_exempt(at) => Ok(()),
            Step::Comment(node) => walk.comment(node, visit),
            Step::Leaf { node, at } => walk.leaf(keys, node, at, visit),
        })?;
    }
    Ok(())
}

struct Walk<'a> {
    document: &'a dyn Document,
    selection: &'a Selection,
    /// Whether the document is an encrypted one.
    encrypted: bool,
    path: String,
    levels: Vec<Level<'a>>,
}

impl<'a> Walk<'a> {
    /// The path and the match of a node of which `keys` lead to: its own key is the last, unless it is a list's item.
    fn descend(&mut self, keys: &[&'a str]) -> Option<&'a str> {
        let (known, path, found) =
            self.levels.last().map_or((0, 0, None), |level| (level.keys, level.path, level.key));
        self.path.truncate(path);
        let Some(key) = keys.last().filter(|_| keys.len() > known) else { return found };
        self.path.push_str(key);
        self.path.push(':');
        found.or_else(|| self.selection.matches_key(key).then_some(*key))
    }

    /// The root's own path is a lone colon.
    fn bound_path(&self) -> &str {
        if self.path.is_empty() { ":" } else { &self.path }
    }

    fn enter(&mut self, keys: &[&'a str]) {
        let key = self.descend(keys);
        self.levels.push(Level { keys: keys.len(), path: self.path.len(), key, comment: None });
    }

    fn leave(&mut self) {
        self.levels.pop();
        self.forget_comments();
    }

    /// An entry ends the reach of the comments before it.
    fn forget_comments(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.comment = None;
        }
    }

    /// What the rule matches, given the key that it matches.
    fn found(&self, key: Option<&'a str>) -> Option<Match<'a>> {
        match self.selection.is_comment_rule() {
            true => self.levels.iter().find_map(|level| level.comment).map(Match::Comment),
            false => key.map(Match::Key),
        }
    }

    fn selects(&self, found: Option<Match<'_>>) -> bool {
        self.document.format() == Format::Binary || found.is_some() == self.selection.encrypts_matches()
    }

    /// A comment is under the rule itself. With a rule that comments switch encryption on by, the one that does so
    /// stays clear; with one that they switch it off by, it is already in force for itself.
    fn comment(&mut self, node: NodeId, visit: &mut dyn FnMut(Leaf<'_>) -> Result<()>) -> Result<()> {
        let path = self.levels.last().map_or(0, |level| level.path);
        self.path.truncate(path);
        let text = self.document.tree()[node].text.get(self.document.source());
        let matches = self.selection.is_comment_rule() && self.selection.matches_comment(text);
        let key = self.levels.last().and_then(|level| level.key);
        let before = self.found(key);
        if let Some(level) = self.levels.last_mut().filter(|_| matches) {
            level.comment.get_or_insert(node);
        }
        let because = if self.selection.encrypts_matches() { before } else { self.found(key) };
        let selected = self.selects(because);
        visit(Leaf { node, at: node, is_comment: true, selected, because, path: self.bound_path() })
    }

    fn leaf(
        &mut self,
        keys: &[&'a str],
        node: NodeId,
        at: NodeId,
        visit: &mut dyn FnMut(Leaf<'_>) -> Result<()>,
    ) -> Result<()> {
        let key = self.descend(keys);
        let because = self.found(key);
        let selected = self.selects(because);
        let is_comment = selected && self.stands_for_comment(node);
        visit(Leaf { node, at, is_comment, selected, because, path: self.bound_path() })?;
        if !is_comment {
            self.forget_comments();
        }
        Ok(())
    }

    /// sops writes an encrypted comment of a list as an item of it. What looks like one in the clear part is a value,
    /// and in the MAC.
    fn stands_for_comment(&self, node: NodeId) -> bool {
        let tree = self.document.tree();
        let in_list = tree.parent(node).is_some_and(|parent| tree[parent].kind == NodeKind::List);
        let text = tree[node].text.get(self.document.source());
        self.encrypted
            && in_list
            && Token::is_like(text)
            && matches!(Token::parse(text).and_then(|token| token.kind()), Ok(ValueKind::Comment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;
    use crate::secret::SecretBytes;

    fn selected(rule: (&str, &str), text: &str) -> Vec<String> {
        let document =
            document::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec()), false).unwrap();
        let selection = Selection::from_field(rule.0, rule.1).unwrap();
        let mut found = Vec::new();
        for_each(&*document, &selection, &mut |leaf| {
            if leaf.selected {
                let text = document.tree()[leaf.node].text.get(document.source());
                found.push(format!("{}{}", leaf.path, text.trim()));
            }
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn a_key_rule_covers_what_is_below_the_key() {
        let text = "a: 1\nb_enc: {c: 2, l: [3]}\n# note\nd: 4\n";
        assert_eq!(selected(("encrypted_suffix", "_enc"), text), ["b_enc:c:2", "b_enc:l:3"]);
        assert_eq!(selected(("unencrypted_regex", "^b"), text), ["a:1", ":note", "d:4"]);
    }

    #[test]
    fn what_is_neither_empty_nor_a_ciphertext_is_in_clear() {
        let (iv, tag) = ("A".repeat(43), "A".repeat(22));
        let token = format!("ENC[AES256_GCM,data:AA==,iv:{iv}=,tag:{tag}==,type:str]");
        let text =
            format!("a: {token}\nb: ''\nc: ~\nd: 1\ne: ENC[AES256_GCM,x]\nf: {token} x\ng_unencrypted: 2\n");
        let document = document::parse(Format::Yaml, SecretBytes::new(text.into_bytes()), true).unwrap();
        let found = in_plaintext(&*document, &Selection::default(), Exempt::Metadata).unwrap();
        let keys = found.values.iter().map(|&node| document.tree()[node].key.get(document.source()));
        assert_eq!(keys.collect::<Vec<_>>(), ["d", "e", "f"]);
    }

    #[test]
    fn what_an_alias_stands_for_is_in_clear_where_it_appears() {
        for entry in [
            "p: *map",
            "p: *list",
            "p: {<<: *map}",
            "p: {<<: [*map, *list]}",
            "p: [*map]",
            "p: {q: [{r: *list}]}",
            "p: *text",
            "p: {q: *nested}",
        ] {
            let text = format!(
                "map: &map {{k: hunter2, l: hunter2}}\nlist: &list [hunter2]\ntext: &text hunter2\nnested: &nested {{k: *map}}\n{entry}\n"
            );
            let document = document::parse(Format::Yaml, SecretBytes::new(text.into_bytes()), true).unwrap();
            let selection = Selection::from_field("encrypted_regex", "^p$").unwrap();
            let found = in_plaintext(&*document, &selection, Exempt::Nothing).unwrap();
            let lines: Vec<_> = found.values.iter().map(|&node| document.line(node)).collect();
            assert!(!lines.is_empty() && lines.iter().all(|line| *line == 5), "{entry}: {lines:?}");
        }
        let empty = "map: &map {k: '', l: ~}\np: *map\nq: {<<: *map}\n";
        let document = document::parse(Format::Yaml, SecretBytes::new(empty.into()), true).unwrap();
        let found = in_plaintext(&*document, &Selection::default(), Exempt::Nothing).unwrap();
        assert!(found.values.is_empty());
    }

    #[test]
    fn a_comment_rule_covers_the_entry_below_the_comment() {
        let text = "# sops:enc\n# second\na: {b: 1}\nc: 2\n";
        assert_eq!(selected(("encrypted_comment_regex", "sops:enc"), text), [":second", "a:b:1"]);
        assert_eq!(selected(("unencrypted_comment_regex", "sops:enc"), text), ["c:2"]);
    }
}
