//! YAML documents: streams of maps, read once by granit-parser for the exact byte range of every token.
//!
//! Owns what a YAML text means to sops (types as go-yaml v3 has them, comments where go-yaml attaches them) and how
//! a token of it is replaced. It refuses what go-yaml cannot read, since sops could not either.

mod change;
mod parse;
mod resolve;
mod spell;

use std::collections::HashMap;

use serde_json::Value as Data;

use self::spell::{Header, Place};
use super::{Document, Edits, Format, NodeId, NodeKind, Span, Style, Tree, Value, reconcile};
use crate::error::Result;
use crate::secret::SecretString;

pub(super) use self::change::emit;

/// A YAML file: its text and the tree of its documents.
pub struct YamlDocument {
    source: SecretString,
    tree: Tree,
    /// Tags of scalars, in full.
    tags: HashMap<NodeId, Box<str>>,
    /// For each document of the stream, in order.
    parts: Vec<Part>,
    /// `\n` or `\r\n`: what ends its first line.
    newline: &'static str,
}

/// One document of the stream.
#[derive(Debug, Clone, Copy)]
struct Part {
    root: NodeId,
    /// Where its text ends: before the marker of the next, else at the end of the file.
    end: usize,
    /// It has no content but comments.
    empty: bool,
    metadata: Option<NodeId>,
}

impl YamlDocument {
    fn in_flow(&self, node: NodeId) -> bool {
        self.tree.parent(node).is_some_and(|parent| self.tree[parent].style == Style::Flow)
    }

    fn slice(&self, span: Span) -> &str {
        self.source.get(span.range()).unwrap_or_default()
    }

    /// Bytes from the beginning of its line to `offset`.
    fn column(&self, offset: usize) -> usize {
        offset - self.source[..offset].rfind('\n').map_or(0, |at| at + 1)
    }

    /// The style that a leaf has once a token stands in it: aliases and tagged scalars lose theirs, and inside a flow
    /// collection single quotes mark what was plain (a bare `ENC[...]` would be read as a list).
    fn style_with_token(&self, leaf: NodeId) -> Style {
        let node = &self.tree[leaf];
        let bare = self.tags.contains_key(&leaf) || matches!(node.kind, NodeKind::Alias(_));
        match node.style {
            Style::Plain if self.in_flow(leaf) => Style::SingleQuoted,
            _ if bare && self.in_flow(leaf) => Style::SingleQuoted,
            _ if bare => Style::Plain,
            style => style,
        }
    }

    /// The header of a block scalar and the indent of its lines, if the leaf is an untagged one.
    fn block_header(&self, leaf: NodeId) -> Option<(Header<'_>, usize)> {
        let node = &self.tree[leaf];
        if !matches!(node.style, Style::Literal | Style::Folded) || self.tags.contains_key(&leaf) {
            return None;
        }
        let mut lines = self.slice(node.span).lines();
        let header = Header::parse(lines.next()?)?;
        let blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let text = node.text.get(&self.source);
        let first = text.lines().find(|line| !line.is_empty()).map_or(0, blanks);
        let indent = lines
            .find(|line| !line.trim_matches(' ').is_empty())
            .map(|line| blanks(line).saturating_sub(first));
        Some((header, indent.unwrap_or_else(|| self.child_indent(leaf))))
    }

    /// The indent of lines below an entry of a map or an item of a list, as go-yaml chooses it.
    fn child_indent(&self, node: NodeId) -> usize {
        let Some(parent) = self.tree.parent(node) else { return 0 };
        let column = self.column(self.tree[node].key_span.start());
        change::child_indent(self.tree[parent].kind, column, self.indent_unit())
    }

    fn place(&self, leaf: NodeId, indent: usize) -> Place<'_> {
        Place { flow: self.in_flow(leaf), indent, newline: self.newline }
    }

    fn spell(&self, leaf: NodeId, value: &Value, style: Style) -> SecretString {
        match self.block_header(leaf) {
            Some((header, indent)) => spell::value(value, style, Some(header), self.place(leaf, indent)),
            None => spell::value(value, style, None, self.place(leaf, self.child_indent(leaf))),
        }
    }
}

impl Document for YamlDocument {
    fn format(&self) -> Format {
        Format::Yaml
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn value(&self, leaf: NodeId) -> Result<Value> {
        let leaf = self.tree.resolve(leaf);
        let node = &self.tree[leaf];
        let tag = self.tags.get(&leaf).map(AsRef::as_ref);
        resolve::resolve(node.text.get(&self.source), node.style == Style::Plain, tag)
            .map_err(|error| error.on_line(self.line(leaf)))
    }

    fn put_token(&self, leaf: NodeId, token: &str) -> Edits {
        let node = &self.tree[leaf];
        if node.kind == NodeKind::Comment {
            return Edits::replace(node.span, token);
        }
        let text = match (self.style_with_token(leaf), self.block_header(leaf)) {
            (_, Some((_, indent))) => {
                let header = self.slice(node.span).lines().next().unwrap_or_default();
                format!("{header}{}{:indent$}{token}", self.newline, "")
            }
            (Style::DoubleQuoted, _) => format!("\"{token}\""),
            (Style::SingleQuoted, _) => format!("'{token}'"),
            _ => token.to_owned(),
        };
        Edits::replace(node.span, text)
    }

    fn spelling_after_token(&self, leaf: NodeId, value: &Value) -> SecretString {
        self.spell(leaf, value, self.style_with_token(leaf))
    }

    fn spelling(&self, leaf: NodeId) -> &str {
        self.slice(self.tree[leaf].span)
    }

    fn put_value(&self, leaf: NodeId, value: &Value) -> Result<Edits> {
        let node = &self.tree[leaf];
        let text = self.spell(leaf, value, node.style);
        Ok(if node.span.is_empty() {
            Edits::insert(self.after_indicator(leaf), format!(" {}", *text))
        } else {
            Edits::replace(node.span, text.as_str())
        })
    }

    fn put_spelling(&self, leaf: NodeId, spelling: &str) -> Edits {
        Edits::replace(self.tree[leaf].span, spelling)
    }

    fn put_comment(&self, leaf: NodeId, text: &str) -> Result<Edits> {
        let node = &self.tree[leaf];
        Ok(match node.kind {
            NodeKind::Comment => Edits::replace(node.span, text),
            _ => Edits::replace(Span::new(node.key_span.start(), node.span.end()), format!("#{text}")),
        })
    }

    fn replace(&self, node: NodeId, data: &Data) -> Result<Edits> {
        self.replace_entry(node, data)
    }

    fn insert(
        &self,
        container: NodeId,
        key: Option<&str>,
        before: Option<NodeId>,
        data: &Data,
    ) -> Result<Edits> {
        self.insert_entry(container, key, before, data)
    }

    fn remove(&self, nodes: &[NodeId]) -> Result<Edits> {
        self.remove_entries(nodes)
    }

    /// sops uses the first document's and leaves out those of the others.
    fn metadata(&self) -> Result<Option<Data>> {
        reconcile::nested_metadata(self, self.parts.first().and_then(|part| part.metadata))
    }

    fn put_metadata(&self, metadata: Option<&Data>) -> Result<Edits> {
        let mut edits = Edits::default();
        for part in &self.parts {
            edits.merge(match (part.metadata, metadata) {
                (None, None) => Edits::default(),
                (Some(block), None) => self.remove_metadata(part, block)?,
                (Some(block), Some(metadata)) => reconcile::reconcile(self, block, metadata)?,
                (None, Some(metadata)) => self.append_metadata(part, metadata)?,
            });
        }
        Ok(edits)
    }

    fn is_metadata(&self, node: NodeId) -> bool {
        let before = self.parts.partition_point(|part| part.root <= node);
        let part = before.checked_sub(1).map(|at| self.parts[at]);
        part.and_then(|part| part.metadata).is_some_and(|block| self.tree.contains(block, node))
    }
}
