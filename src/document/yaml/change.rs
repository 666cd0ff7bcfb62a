//! Entries of a YAML document added, replaced and removed, and data written as YAML text, laid out as sops does it.

use serde_json::Value as Data;
use zeroize::Zeroizing;

use super::spell::{self, Place};
use super::{FLOW, Part, YamlDocument, quirks};
use crate::document::convert::{comment_lines, lacks_default, refuse_too_large};
use crate::document::ini::DEFAULT as DEFAULT_SECTION;
use crate::document::{
    Document, Edits, Format, METADATA_KEY, Node, NodeId, NodeKind, Span, Style, Tree, reconcile,
};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretString;

/// How far sops indents what is below an entry.
pub(super) const SOPS_INDENT: usize = 4;

/// The column of what is below an entry of a map in `column`, or below an item whose dash appears there (go-yaml's
/// `yaml_emitter_increase_indent`).
pub(super) fn child_indent(parent: NodeKind, column: usize, unit: usize) -> usize {
    match parent {
        NodeKind::List => column + 2,
        _ => unit * ((column + unit) / unit),
    }
}

impl YamlDocument {
    /// Right behind the `:` of an entry's key, or the dash of an item; `None` for a key without a colon.
    fn after_indicator(&self, node: NodeId) -> Option<usize> {
        let key = self.tree[node].key_span;
        if self.tree.parent(node).is_none_or(|parent| self.tree[parent].kind != NodeKind::Map) {
            return Some(key.end());
        }
        let behind = quirks::behind_comments(&self.source[key.end()..]).strip_prefix(':')?;
        let is_colon = behind.is_empty() || behind.starts_with([' ', '\t', '\r', '\n']) || self.in_flow(node);
        is_colon.then_some(self.source.len() - behind.len())
    }

    /// Puts a text where an entry or item has no value.
    pub(super) fn put_in_nothing(&self, leaf: NodeId, text: &str) -> Edits {
        let key = self.tree[leaf].key_span;
        let Some(at) = self.after_indicator(leaf) else {
            let column = self.column(key.start());
            return match self.in_flow(leaf) {
                true => Edits::insert(key.end(), format!(": {text}")),
                false => self.insert_line(self.line_end(key.end()), &format!(": {text}"), column),
            };
        };
        let behind = &self.source[at..];
        let word = behind.trim_start_matches([' ', '\t']);
        let anchor = match word.starts_with('&') {
            true => behind.len() - word.len() + word.find(char::is_whitespace).unwrap_or(word.len()),
            false => 0,
        };
        Edits::insert(at + anchor, format!(" {text}"))
    }

    /// Behind the line on which a byte appears.
    fn line_end(&self, offset: usize) -> usize {
        self.source[offset..].find('\n').map_or(self.source.len(), |at| offset + at + 1)
    }

    fn writer(&self) -> Writer<'_> {
        Writer { unit: self.indent_unit, newline: self.newline, one_line: false }
    }

    /// Where what a node covers begins: its key or dash.
    fn entry_start(&self, node: NodeId) -> usize {
        let node = &self.tree[node];
        if node.key_span.is_empty() { node.span.start() } else { node.key_span.start() }
    }

    pub(super) fn replace_entry(&self, node: NodeId, data: &Data) -> Result<Edits> {
        let old = &self.tree[node];
        let scalar = !matches!(old.kind, NodeKind::Map | NodeKind::List);
        if self.in_flow(node) || (old.style == Style::Flow && !scalar) {
            let mut text = String::new();
            write_flow(data, &mut text);
            return Ok(match old.span.is_empty() {
                true => self.put_in_nothing(node, &text),
                false => Edits::replace(old.span, text),
            });
        }
        if scalar && !matches!(data, Data::Object(_) | Data::Array(_)) && matches!(old.kind, NodeKind::Scalar)
        {
            return self.put_value(node, &reconcile::to_value(data));
        }
        let Some(parent) = self.tree.parent(node) else {
            return Err(Error::new(Kind::SetFormat, "the root of a document cannot be replaced"));
        };
        let mut text = String::new();
        let column = self.column(old.key_span.start());
        let one_line = self.is_followed(node) || !self.source.ends_with('\n');
        let writer = Writer { one_line, ..self.writer() };
        writer.write_value(data, self.tree[parent].kind, column, &mut text);
        let Some(behind) = self.after_indicator(node) else {
            return Ok(self.insert_line(self.line_end(old.key_span.end()), &format!(":{text}"), column));
        };
        Ok(Edits::replace(Span::new(behind, old.span.end().max(behind)), text))
    }

    pub(super) fn insert_entry(
        &self,
        container: NodeId,
        key: Option<&str>,
        before: Option<NodeId>,
        data: &Data,
    ) -> Result<Edits> {
        let last = self.last_entry(container);
        let metadata = || self.tree.entries(container).next();
        if self.tree[container].style == Style::Flow {
            let before = before.or_else(|| if last.is_none() { metadata() } else { None });
            return Ok(self.insert_flow(container, key, before, last, data));
        }
        let Some(last) = last else {
            return match metadata() {
                None => self.insert_first(container, key, data),
                Some(block) => {
                    let start = self.tree[block].key_span.start();
                    let column = self.column(start);
                    Ok(self.insert_behind(start - column, key, data, column))
                }
            };
        };
        let column = self.column(self.tree[last].key_span.start());
        if let Some(before) = before {
            let mut entry = String::new();
            self.writer().write_entry(key, data, column, &mut entry);
            let text = format!("{entry}{}{:column$}", self.newline, "");
            return Ok(Edits::insert(self.tree[before].key_span.start(), text));
        }
        Ok(self.insert_behind(self.line_end(self.tree[last].span.end()), key, data, column))
    }

    /// Adds an entry at the beginning of a line, or behind a last line without a line break: there it must not need
    /// one, and what was the end of the file must not get one.
    fn insert_behind(&self, at: usize, key: Option<&str>, data: &Data, column: usize) -> Edits {
        let ends_open = at > 0 && !self.source[..at].ends_with('\n');
        let mut entry = String::new();
        Writer { one_line: !self.source.ends_with('\n'), ..self.writer() }
            .write_entry(key, data, column, &mut entry);
        let mut edits = self.insert_line(at, &entry, column);
        if let Some(leaf) = self.open_end().filter(|_| ends_open)
            && let Some((header, at)) = self.block_header(leaf)
            && let Some(fitting) = header.for_text(self.tree[leaf].text.get(&self.source))
        {
            edits.push(Span::new(at, at + header.indicators().len()), fitting.indicators());
        }
        edits
    }

    /// Adds whole lines at the beginning of a line, or behind a last line without a line break.
    fn insert_line(&self, at: usize, entry: &str, column: usize) -> Edits {
        let text = if at == 0 || self.source[..at].ends_with('\n') {
            format!("{:column$}{entry}{}", "", self.newline)
        } else {
            format!("{}{:column$}{entry}", self.newline, "")
        };
        Edits::insert(at, text)
    }

    fn insert_first(&self, container: NodeId, key: Option<&str>, data: &Data) -> Result<Edits> {
        if let Some(part) = self.parts.iter().find(|part| part.root == container) {
            let mut edits = part.without_null();
            edits.merge(self.insert_behind(part.end, key, data, 0));
            return Ok(edits);
        }
        let data = match key {
            Some(key) => Data::Object([(key.to_owned(), data.clone())].into_iter().collect()),
            None => Data::Array(vec![data.clone()]),
        };
        self.replace_entry(container, &data)
    }

    fn insert_flow(
        &self,
        container: NodeId,
        key: Option<&str>,
        before: Option<NodeId>,
        last: Option<NodeId>,
        data: &Data,
    ) -> Edits {
        let mut entry = String::new();
        if let Some(key) = key {
            entry.push_str(&spell::string(key, FLOW));
            entry.push_str(": ");
        }
        write_flow(data, &mut entry);
        match (before, last) {
            (Some(before), _) => Edits::insert(self.entry_start(before), format!("{entry}, ")),
            (None, Some(last)) => Edits::insert(self.flow_end(last), format!(", {entry}")),
            (None, None) => Edits::insert(self.tree[container].span.start() + 1, entry),
        }
    }

    /// Where an entry of a flow collection ends: a key without a value ends behind its colon, if it has one, and the
    /// blank or comment without which that would be part of the key.
    fn flow_end(&self, node: NodeId) -> usize {
        let Node { span, key_span, .. } = &self.tree[node];
        if !span.is_empty() {
            return span.end();
        }
        let Some(colon) = self.after_indicator(node).filter(|_| !key_span.is_empty()) else {
            return span.end().max(key_span.end());
        };
        let behind = &self.source[colon..];
        let gap = &behind[..behind.len() - quirks::behind_comments(behind).len()];
        let needed = match gap.rfind('#') {
            Some(comment) => gap[comment..].find('\n').map_or(gap.len(), |end| comment + end + 1),
            None => gap.find([' ', '\t', '\n']).map_or(0, |blank| blank + 1),
        };
        let rest = &behind[needed..];
        let word = rest.trim_start_matches([' ', '\t']);
        let anchor = match word.starts_with('&') {
            true => {
                rest.len() - word.len()
                    + word.find([' ', '\t', '\r', '\n', ',', '}', ']']).unwrap_or(word.len())
            }
            false => 0,
        };
        colon + needed + anchor
    }

    /// Behind the comma that follows an entry of a flow collection, if one does.
    fn behind_comma(&self, end: usize) -> usize {
        let rest = quirks::behind_comments(&self.source[end..]);
        rest.strip_prefix(',').map_or(end, |behind| self.source.len() - behind.len())
    }

    pub(super) fn remove_entries(&self, nodes: &[NodeId]) -> Result<Edits> {
        let mut edits = Edits::default();
        let Some(container) = nodes.first().and_then(|&node| self.tree.parent(node)) else {
            return Ok(edits);
        };
        let entries: Vec<_> = self.tree.entries(container).collect();
        let flow = self.tree[container].style == Style::Flow;
        if !flow && entries.iter().all(|entry| nodes.contains(entry)) && self.tree.parent(container).is_some()
        {
            let empty = if self.tree[container].kind == NodeKind::Map {
                Data::Object(Default::default())
            } else {
                Data::Array(vec![])
            };
            return self.replace_entry(container, &empty);
        }
        let stays = |entry: &&NodeId| !nodes.contains(entry);
        let first = entries.iter().position(|entry| stays(&entry)).unwrap_or_default();
        for (at, &node) in entries.iter().enumerate().filter(|(_, node)| nodes.contains(node)) {
            let next = entries.get(at + 1).copied();
            let span = if !flow && first > 0 && at < first && !self.is_alone(entries[0]) {
                // What is behind the dash goes, and the first that stays comes there.
                if at > 0 {
                    continue;
                }
                Span::new(self.tree[node].key_span.start(), self.entry_start(entries[first]))
            } else if !flow {
                self.block_lines(node)
            } else if let Some(&before) = entries[..at].iter().rev().find(stays) {
                let first = entries[at - 1] == before || nodes.contains(&entries[at - 1]);
                debug_assert!(first);
                Span::new(self.flow_end(entries[at - 1]), self.flow_end(node))
            } else if let Some(next) = next {
                Span::new(self.entry_start(node), self.entry_start(next))
            } else {
                Span::new(self.entry_start(node), self.behind_comma(self.flow_end(node)))
            };
            edits.push(span, "");
        }
        Ok(edits)
    }

    /// Whether there is nothing before an entry in its line, such as the dash of a list that its map is in.
    fn is_alone(&self, node: NodeId) -> bool {
        let start = self.tree[node].key_span.start();
        self.source[start - self.column(start)..start].trim_matches(' ').is_empty()
    }

    /// The lines of a block entry. One that begins behind a dash leaves that line's beginning.
    fn block_lines(&self, node: NodeId) -> Span {
        let start = self.tree[node].key_span.start();
        let end = self.line_end(self.last_byte(node));
        let at_eof = end == self.source.len() && !self.source.ends_with('\n');
        let from = if self.is_alone(node) { start - self.column(start) } else { start };
        Span::new(if at_eof { self.line_break_before(from) } else { from }, end)
    }

    fn last_byte(&self, node: NodeId) -> usize {
        let indicator = self.after_indicator(node).unwrap_or_else(|| self.tree[node].key_span.end());
        self.tree[node].span.end().max(indicator)
    }

    fn line_break_before(&self, offset: usize) -> usize {
        let before = &self.source[..offset];
        let shorter =
            before.strip_suffix('\n').map_or(before, |rest| rest.strip_suffix('\r').unwrap_or(rest));
        shorter.len()
    }

    /// Adds the metadata at the end of a document, in the column of its root's keys.
    pub(super) fn append_metadata(&self, part: &Part, metadata: &Data) -> Result<Edits> {
        let root = &self.tree[part.root];
        if root.style == Style::Flow {
            return self.insert_entry(part.root, Some(METADATA_KEY), None, metadata);
        }
        let column = self.root_column(part);
        let mut block = String::new();
        let writer = Writer { unit: SOPS_INDENT, ..self.writer() };
        writer.write_entry(Some(METADATA_KEY), metadata, column, &mut block);
        let starts_line = part.end == 0 || self.source[..part.end].ends_with('\n');
        if part.null.is_some() && !starts_line && part.end < self.source.len() {
            return Err(Error::new(Kind::Read, "a document without content on the line of its end marker")
                .on_line(self.line_of(part.end)));
        }
        let mut edits = part.without_null();
        edits.merge(self.insert_line(part.end, &block, column));
        Ok(edits)
    }

    /// Adds the metadata of another YAML document, as it appears there, to every document of this stream: that of the
    /// document with the same number, if there is one.
    pub(super) fn copy_metadata(&self, from: &dyn Document) -> Result<Edits> {
        let mut edits = Edits::default();
        let tree = from.tree();
        let flow = |tree: &Tree, root: NodeId| tree[root].style == Style::Flow;
        let mut last = None;
        for (at, part) in self.parts.iter().enumerate() {
            let root = tree.documents().get(at).copied();
            let own = root.and_then(|root| tree.entries(root).find(|&entry| from.is_metadata(entry)));
            last = own.or(last);
            let Some(block) = last else { continue };
            let entry = Span::new(tree[block].key_span.start(), tree[block].span.end());
            let text = from.source().get(entry.range()).unwrap_or_default();
            let was_flow = tree.parent(block).is_some_and(|root| flow(tree, root));
            edits.merge(match (was_flow, flow(&self.tree, part.root), self.tree.entries(part.root).last()) {
                (true, true, Some(last)) => Edits::insert(self.flow_end(last), format!(", {text}")),
                (true, true, None) => Edits::insert(self.tree[part.root].span.start() + 1, text),
                (false, false, _) => {
                    let column = self.root_column(part);
                    let text = moved(text, super::column(from.source(), entry.start()), column);
                    let mut edits = part.without_null();
                    edits.merge(self.insert_line(part.end, &text, column));
                    edits
                }
                _ => self.append_metadata(part, &reconcile::to_data(from, block)?)?,
            });
        }
        Ok(edits)
    }

    /// The column of a root's keys.
    fn root_column(&self, part: &Part) -> usize {
        let first = self.tree.entries(part.root).next();
        first.map_or(0, |entry| self.column(self.tree[entry].key_span.start()))
    }

    /// The inverse of [`YamlDocument::append_metadata`].
    pub(super) fn remove_metadata(&self, part: &Part, block: NodeId) -> Result<Edits> {
        if self.tree[part.root].style == Style::Flow {
            return self.remove_entries(&[block]);
        }
        // Without a marker there would be no document any more.
        let alone = !part.marked && self.tree.entries(part.root).nth(1).is_none();
        let nothing = if alone { format!("{{}}{}", self.newline) } else { String::new() };
        Ok(Edits::replace(self.block_lines(block), nothing))
    }
}

impl Part {
    /// Takes out what says that the document is null, and leaves that there is one.
    fn without_null(&self) -> Edits {
        match self.null {
            Some(null) if !null.is_empty() => Edits::replace(null, if self.marked { "" } else { "---" }),
            _ => Edits::default(),
        }
    }
}

/// An entry in block style that appeared in column `from`, as it reads in column `to`.
fn moved(entry: &str, from: usize, to: usize) -> String {
    let mut lines = entry.split_inclusive('\n');
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        let blank_line = line[blanks..].trim_end().is_empty();
        let indent = if blank_line { 0 } else { to + blanks.saturating_sub(from) };
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(&line[blanks..]);
    }
    out
}

/// Writes data in block style.
struct Writer<'a> {
    unit: usize,
    newline: &'a str,
    /// Something follows on the last line that is written.
    one_line: bool,
}

impl Writer<'_> {
    /// An entry or item without the indentation of its first line and without its last line break.
    fn write_entry(&self, key: Option<&str>, data: &Data, column: usize, out: &mut String) {
        match key {
            Some(key) => {
                out.push_str(&spell::string(key, FLOW));
                out.push(':');
                self.write_value(data, NodeKind::Map, column, out);
            }
            None => {
                out.push('-');
                self.write_value(data, NodeKind::List, column, out);
            }
        }
    }

    /// What is behind a colon or a dash: a space and a scalar or an empty collection, or nested lines.
    fn write_value(&self, data: &Data, parent: NodeKind, column: usize, out: &mut String) {
        let indent = child_indent(parent, column, self.unit);
        let entries: Vec<(Option<&str>, &Data)> = match data {
            Data::Object(map) => map.iter().map(|(key, data)| (Some(key.as_str()), data)).collect(),
            Data::Array(items) => items.iter().map(|data| (None, data)).collect(),
            _ => Vec::new(),
        };
        if entries.is_empty() {
            out.push(' ');
            let place = Place { flow: false, one_line: self.one_line, indent, newline: self.newline };
            return write_scalar(data, place, out);
        }
        for (at, (key, data)) in entries.into_iter().enumerate() {
            if at == 0 && parent == NodeKind::List {
                out.push(' ');
            } else {
                out.push_str(self.newline);
                out.extend(std::iter::repeat_n(' ', indent));
            }
            self.write_entry(key, data, indent, out);
        }
    }
}

fn write_scalar(data: &Data, place: Place<'_>, out: &mut String) {
    match data {
        Data::Object(_) => out.push_str("{}"),
        Data::Array(_) => out.push_str("[]"),
        Data::String(text) => out.push_str(&spell::string(text, place)),
        other => out.push_str(&spell::value(&reconcile::to_value(other), Style::Plain, place)),
    }
}

fn write_flow(data: &Data, out: &mut String) {
    match data {
        Data::Object(map) => {
            out.push('{');
            for (at, (key, data)) in map.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                out.push_str(&spell::string(key, FLOW));
                out.push_str(": ");
                write_flow(data, out);
            }
            out.push('}');
        }
        Data::Array(items) => {
            out.push('[');
            for (at, data) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_flow(data, out);
            }
            out.push(']');
        }
        scalar => write_scalar(scalar, FLOW, out),
    }
}

/// How far what is below an entry is indented in manifests of Kubernetes.
const MANIFEST_INDENT: usize = 2;

/// Data as a YAML document in block style, indented as manifests of Kubernetes are.
pub fn yaml_of(data: &Data) -> String {
    let mut out = String::new();
    let writer = Writer { unit: MANIFEST_INDENT, newline: "\n", one_line: false };
    match data {
        Data::Object(map) if !map.is_empty() => {
            for (key, data) in map {
                writer.write_entry(Some(key), data, 0, &mut out);
                out.push('\n');
            }
        }
        other => {
            write_flow(other, &mut out);
            out.push('\n');
        }
    }
    out
}

/// A line (or more, for a text of several lines) of such a document: an entry of a map in this column.
pub fn yaml_entry(key: &str, text: &str, column: usize) -> SecretString {
    let indent = column + MANIFEST_INDENT;
    let spelled = spell::string(text, Place { flow: false, one_line: false, indent, newline: "\n" });
    let mut out = SecretString::new(String::with_capacity(column + key.len() + spelled.len() + 8));
    out.extend(std::iter::repeat_n(' ', column));
    out.extend([spell::string(key, FLOW).as_str(), ": ", &spelled, "\n"]);
    out
}

/// One node of any document as YAML lines, laid out as sops does it: block style, comments on lines of their own.
/// Metadata are left out.
pub(in crate::document) fn emit_node(document: &dyn Document, node: NodeId) -> Result<SecretString> {
    let mut emitter = Emitter { document, out: Zeroizing::new(String::new()) };
    match document.tree()[node].kind {
        NodeKind::Map | NodeKind::List => emitter.collection(node, 0, Begin::Nothing)?,
        _ => {
            emitter.value(node, NodeKind::Map, 0)?;
            emitter.out.remove(0);
        }
    }
    emitter.out.push('\n');
    Ok(emitter.out)
}

/// What a collection begins behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Nothing,
    /// A key, on whose line nothing of it goes.
    Key,
    /// A dash, behind which its first entry goes; the comments before that are above the dash.
    Dash,
}

/// Writes nodes of any document in block style.
struct Emitter<'d> {
    document: &'d dyn Document,
    out: SecretString,
}

impl Emitter<'_> {
    fn collection(&mut self, node: NodeId, column: usize, begin: Begin) -> Result<()> {
        let document = self.document;
        let (tree, node) = (document.tree(), document.tree().resolve(node));
        let is_map = tree[node].kind == NodeKind::Map;
        let children: Vec<_> = tree.children(node).filter(|&child| !document.is_metadata(child)).collect();
        let mut begun = begin != Begin::Dash;
        if lacks_default(document, node) {
            self.line(column);
            self.out.push_str(&format!("{DEFAULT_SECTION}: {{}}"));
        }
        for &child in &children {
            refuse_too_large(&self.out, Format::Yaml)?;
            if tree[child].kind == NodeKind::Comment {
                if begun {
                    self.comment(child, column);
                }
                continue;
            }
            self.comments_of_item(child, is_map, column);
            match std::mem::replace(&mut begun, true) {
                true => self.line(column),
                false => self.out.push(' '),
            }
            if is_map {
                let key = tree[child].key.get(document.source());
                self.out.extend([spell::string(key, FLOW).as_str(), ":"]);
            } else {
                self.out.push('-');
            }
            self.value(child, tree[node].kind, column)?;
        }
        if tree.entries(node).all(|entry| document.is_metadata(entry)) && !lacks_default(document, node) {
            match children.iter().any(|&child| comment_lines(document, child).next().is_some()) && begun
                || begin == Begin::Nothing
            {
                true => self.line(column),
                false => self.out.push(' '),
            }
            self.out.push_str(if is_map { "{}" } else { "[]" });
        }
        Ok(())
    }

    /// What is behind a colon or a dash.
    fn value(&mut self, node: NodeId, parent: NodeKind, column: usize) -> Result<()> {
        let target = self.document.tree().resolve(node);
        let indent = child_indent(parent, column, SOPS_INDENT);
        if matches!(self.document.tree()[target].kind, NodeKind::Map | NodeKind::List) {
            let begin = if parent == NodeKind::List { Begin::Dash } else { Begin::Key };
            return self.collection(target, indent, begin);
        }
        let place = Place { flow: false, one_line: false, indent, newline: "\n" };
        self.out.push(' ');
        self.out.push_str(&spell::value(&self.document.value(target)?, Style::Plain, place));
        Ok(())
    }

    /// The comments with which a collection in a list begins: they go above its dash.
    fn comments_of_item(&mut self, item: NodeId, in_map: bool, column: usize) {
        let tree = self.document.tree();
        let mut at = tree.resolve(item);
        while !in_map && matches!(tree[at].kind, NodeKind::Map | NodeKind::List) {
            let mut first = None;
            for child in tree.children(at) {
                if tree[child].kind != NodeKind::Comment {
                    first = Some(child);
                    break;
                }
                self.comment(child, column);
            }
            match first.filter(|_| tree[at].kind == NodeKind::List) {
                Some(inner) => at = tree.resolve(inner),
                None => break,
            }
        }
    }

    fn comment(&mut self, comment: NodeId, column: usize) {
        for (number, line) in comment_lines(self.document, comment).enumerate() {
            self.line(column);
            self.out.extend([if number == 0 { "#" } else { "# " }, line]);
        }
    }

    fn line(&mut self, column: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n(' ', column));
    }
}
