//! YAML documents: streams of maps, read once by granit-parser for the exact byte range of every token.
//!
//! Owns what a YAML text means to sops (types as go-yaml v3 has them, comments where go-yaml attaches them) and how
//! a token of it is replaced. It refuses what go-yaml cannot read, since sops could not either.

mod aliases;
mod block;
mod change;
mod lenient;
mod parse;
mod quirks;
mod resolve;
mod spell;

use std::collections::HashMap;

use serde_json::Value as Data;

use self::spell::{Chomp, Header, Place};
use super::{Document, Edits, Format, NodeId, NodeKind, Span, Style, Tree, Value, reconcile};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretString;

pub use self::aliases::{
    Copies, WrittenAlias, WrittenOut, check_merge_keys, check_start, put_back, write_out,
};
pub(super) use self::change::emit_node;
pub use self::change::{yaml_entry, yaml_of};
pub use self::lenient::{Bound, Lenient, LenientKind};
pub use self::parse::BREAKS_OF_OTHERS;

/// A YAML file: its text and the tree of its documents.
pub struct YamlDocument {
    source: SecretString,
    tree: Tree,
    /// Where the headers of untagged block scalars begin; their spans are the lines below.
    headers: HashMap<NodeId, usize>,
    /// Tags of scalars, in full.
    tags: HashMap<NodeId, Box<str>>,
    /// Tags of collections, in full, and where they begin.
    collection_tags: HashMap<NodeId, (Box<str>, usize)>,
    /// The anchors of all documents by name, in the order of the text.
    anchors: Vec<(NodeId, Box<str>)>,
    /// For each document of the stream, in order.
    parts: Vec<Part>,
    /// How far it indents what is below an entry, in columns.
    indent_unit: usize,
    /// `\n` or `\r\n`: what ends its first line.
    newline: &'static str,
    /// The scalar with which a file without a final line break ends, but for metadata.
    last_in_file: Option<NodeId>,
}

/// One document of the stream.
#[derive(Debug, Clone, Copy)]
struct Part {
    root: NodeId,
    /// Where its text ends: before the marker of the next, else at the end of the file.
    end: usize,
    /// A `---` says that there is a document.
    marked: bool,
    /// It has no content but comments, and this says so, where anything does.
    null: Option<Span>,
    metadata: Option<NodeId>,
}

impl YamlDocument {
    fn in_flow(&self, node: NodeId) -> bool {
        self.tree.parent(node).is_some_and(|parent| self.tree[parent].style == Style::Flow)
    }

    fn slice(&self, span: Span) -> &str {
        self.source.get(span.range()).unwrap_or_default()
    }

    fn column(&self, offset: usize) -> usize {
        column(&self.source, offset)
    }

    /// The style that a leaf has once it holds a token: aliases and tagged scalars lose theirs, and inside a flow
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

    /// The header of a block scalar and where it is, if the leaf is an untagged one.
    fn block_header(&self, leaf: NodeId) -> Option<(Header, usize)> {
        let at = *self.headers.get(&leaf)?;
        Some((Header::parse(self.source.get(at..)?)?, at))
    }

    /// The indent of the lines of a block scalar.
    fn block_indent(&self, leaf: NodeId) -> usize {
        let node = &self.tree[leaf];
        let blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let text = node.text.get(&self.source);
        let inner = text.lines().find(|line| !line.is_empty()).map_or(0, blanks);
        let mut lines = self.slice(node.span).lines();
        let first = lines.find(|line| !line.trim_matches(' ').is_empty());
        first.map_or_else(|| self.child_indent(leaf), |line| blanks(line).saturating_sub(inner))
    }

    /// The indent of lines below an entry of a map or an item of a list, as go-yaml chooses it.
    fn child_indent(&self, node: NodeId) -> usize {
        let Some(parent) = self.tree.parent(node) else { return 0 };
        let column = self.column(self.tree[node].key_span.start());
        change::child_indent(self.tree[parent].kind, column, self.indent_unit)
    }

    /// Whether a leaf must not become a block scalar, which would take what follows on its line for its own, and
    /// would lose its last line break at the end of a file that has none.
    fn must_stay_on_line(&self, leaf: NodeId) -> bool {
        self.is_followed(leaf) || self.last_in_file == Some(leaf)
    }

    /// Whether something else follows a node on its last line.
    fn is_followed(&self, node: NodeId) -> bool {
        let behind = self.source.get(self.tree[node].span.end()..).unwrap_or_default();
        behind.lines().next().is_some_and(|rest| !rest.trim().is_empty())
    }

    fn place(&self, leaf: NodeId) -> Place<'_> {
        if self.in_flow(leaf) {
            return FLOW;
        }
        let indent = match self.headers.contains_key(&leaf) {
            true => self.block_indent(leaf),
            false => self.child_indent(leaf),
        };
        Place { flow: false, one_line: self.must_stay_on_line(leaf), indent, newline: self.newline }
    }

    /// Puts a value where a block scalar stands: into its lines, with another header if it needs one, else in quotes
    /// where its header was.
    fn put_in_block(&self, leaf: NodeId, value: &Value, header: Header, at: usize) -> Edits {
        let node = &self.tree[leaf];
        let indicators = Span::new(at, at + header.indicators().len());
        let fits = |text: &&str| !(text.ends_with('\n') && self.last_in_file == Some(leaf));
        match value.as_str().filter(fits).and_then(|text| Some((text, header.for_text(text)?))) {
            Some((text, fitting)) => {
                let lines = spell::block_lines(text, fitting, self.place(leaf));
                let starts_line = self.source[..node.span.start()].ends_with(['\n', '\r']);
                let line_break = if starts_line { "" } else { self.newline };
                let mut edits = Edits::replace(node.span, format!("{line_break}{}", *lines));
                if fitting != header {
                    edits.push(indicators, fitting.indicators());
                }
                edits
            }
            None => {
                let line_end = self.source[..node.span.start()].trim_end_matches(['\n', '\r']).len();
                let mut edits = Edits::replace(indicators, spell::value(value, Style::Plain, FLOW).as_str());
                edits.push(Span::new(line_end, node.span.end()), "");
                edits
            }
        }
    }
}

/// Bytes from the beginning of its line to `offset`; a byte order mark does not count.
fn column(source: &str, offset: usize) -> usize {
    let line = source[..offset].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let mark = if line == 0 && source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    (offset - line).saturating_sub(mark)
}

/// Where one line is all there is.
const FLOW: Place<'_> = Place { flow: true, one_line: true, indent: 0, newline: "\n" };

impl Document for YamlDocument {
    fn format(&self) -> Format {
        Format::Yaml
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn into_source(self: Box<Self>) -> SecretString {
        self.source
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

    /// A plain scalar can be a ciphertext, which nothing but a string begins as.
    fn borrowed(&self, leaf: NodeId) -> Option<&str> {
        let leaf = self.tree.resolve(leaf);
        let node = &self.tree[leaf];
        let text = node.text.get(&self.source);
        let is_string = node.style != Style::Plain || text.starts_with("ENC[");
        (is_string && !self.tags.contains_key(&leaf)).then_some(text)
    }

    fn put_token(&self, leaf: NodeId, token: &str) -> Edits {
        let node = &self.tree[leaf];
        if node.kind == NodeKind::Comment {
            return Edits::replace(node.span, token);
        }
        if self.headers.contains_key(&leaf) {
            return Edits::replace(
                node.span,
                format!("{:indent$}{token}", "", indent = self.block_indent(leaf)),
            );
        }
        let text = match self.style_with_token(leaf) {
            Style::DoubleQuoted => format!("\"{token}\""),
            Style::SingleQuoted => format!("'{token}'"),
            _ => token.to_owned(),
        };
        Edits::replace(node.span, text)
    }

    fn spelling_after_token(&self, leaf: NodeId, value: &Value) -> SecretString {
        if self.tree[leaf].kind == NodeKind::Comment {
            return SecretString::new(self.slice(self.tree[leaf].span).to_owned());
        }
        if let Some((header, _)) = self.block_header(leaf) {
            let text = value.as_str().unwrap_or_default();
            return match header.for_text(text) {
                Some(fitting) if fitting == header => spell::block_lines(text, header, self.place(leaf)),
                _ => SecretString::default(),
            };
        }
        spell::value(value, self.style_with_token(leaf), self.place(leaf))
    }

    fn spelling(&self, leaf: NodeId) -> &str {
        self.slice(self.tree[leaf].span)
    }

    fn put_value(&self, leaf: NodeId, value: &Value) -> Result<Edits> {
        let node = &self.tree[leaf];
        if let Some((header, at)) = self.block_header(leaf) {
            return Ok(self.put_in_block(leaf, value, header, at));
        }
        let text = spell::value(value, node.style, self.place(leaf));
        Ok(if node.span.is_empty() {
            self.put_in_nothing(leaf, &text)
        } else {
            Edits::replace(node.span, text.as_str())
        })
    }

    fn put_spelling(&self, leaf: NodeId, spelling: &str) -> Edits {
        Edits::replace(self.tree[leaf].span, spelling)
    }

    fn put_comment(&self, leaf: NodeId, text: &str) -> Result<Edits> {
        let node = &self.tree[leaf];
        if text.contains(['\n', '\r']) {
            let error = Error::new(Kind::Emit, "a comment in a YAML file cannot span several lines");
            return Err(error.on_line(self.line(leaf)));
        }
        Ok(match node.kind {
            NodeKind::Comment => Edits::replace(node.span, text),
            _ => Edits::replace(Span::new(node.key_span.start(), node.span.end()), format!("#{text}")),
        })
    }

    fn put_empty(&self, list: NodeId) -> Edits {
        let Some(last) = self.tree.entries(list).last().filter(|_| self.tree[list].style != Style::Flow)
        else {
            return Edits::default();
        };
        // It may stand as far left as its key, where brackets would not belong to the key.
        let indent = self.column(self.tree[last].key_span.start()).max(self.child_indent(list));
        Edits::insert(self.tree[last].span.end(), format!("{}{:indent$}[]", self.newline, ""))
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

    fn carry_metadata(&self, from: &dyn Document) -> Result<Edits> {
        self.copy_metadata(from)
    }

    /// A block scalar ends without a line break where its file does, unless its header strips line breaks anyway.
    fn open_end(&self) -> Option<NodeId> {
        if self.source.ends_with('\n') {
            return None;
        }
        let leaf = self.tree.last(|node| node.kind == NodeKind::Scalar)?;
        let node = &self.tree[leaf];
        let stripped = self.block_header(leaf).is_some_and(|(header, _)| header.chomp == Chomp::Strip);
        let block = matches!(node.style, Style::Literal | Style::Folded) && !stripped;
        (block && node.span.end() == self.source.len()).then_some(leaf)
    }

    fn is_metadata(&self, node: NodeId) -> bool {
        let before = self.parts.partition_point(|part| part.root <= node);
        let part = before.checked_sub(1).map(|at| self.parts[at]);
        part.and_then(|part| part.metadata).is_some_and(|block| self.tree.contains(block, node))
    }
}
