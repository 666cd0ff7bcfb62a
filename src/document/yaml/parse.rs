//! From the parser's events to a tree: spans that can be replaced, comments where go-yaml would attach them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, Placement, ScalarStyle, StructureStyle, Tag};

use super::change::SOPS_INDENT;
use super::resolve::resolve;
use super::{Part, YamlDocument, block, column, quirks};
use crate::document::edit::line_end;
use crate::document::{
    MAX_DEPTH, METADATA_KEY, NodeId, NodeKind, Span, Style, Text, Tree, TreeBuilder, Value,
};
use crate::error::{Error, Kind, Result};
use crate::hints::yaml_error;
use crate::secret::SecretString;

/// The most comment lines between a key and its value.
const MAX_COMMENT_LINES: usize = 1 << 20;

/// How deep the parser itself follows collections, which it does without recursion.
const MAX_NESTING: usize = 1 << 20;

/// The most characters of a key (YAML 1.2 and go-yaml: 1024).
const MAX_KEY: usize = 1024;

impl YamlDocument {
    /// Reads a stream of documents. An error for what is not YAML, for what go-yaml cannot read, for roots that are no
    /// maps, keys that are no strings or stand twice, and nesting deeper than [`MAX_DEPTH`].
    pub fn parse(source: SecretString) -> Result<Self> {
        refuse_breaks_of_others(&source)?;
        let mut options = granit_parser::Options::default();
        options.emit_anchor_events = true;
        options.max_buffered_comment_events = MAX_COMMENT_LINES;
        options.simple_key_max_lookahead = MAX_KEY;
        // Ours is the bound that is named in errors; the parser looks further ahead than events show.
        options.flow_nesting_limit = MAX_NESTING;
        options.block_nesting_limit = MAX_NESTING;
        let mut parser = Parser::new_from_str_with_options(&source, options);
        let mut reader = Reader::new(&source);
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| yaml_error(Kind::Read, &error, &source))?;
            let bytes = Span::new(span.start.byte_offset().unwrap_or(0), span.end.byte_offset().unwrap_or(0));
            let tag = span
                .tag_span()
                .and_then(|tag| Some(Span::new(tag.start.byte_offset()?, tag.end.byte_offset()?)));
            reader.read(event, bytes, tag)?;
        }
        let Reader { builder, mut parts, tags, collection_tags, headers, named: anchors, .. } = reader;
        let tree = builder.finish(source.len());
        for part in &mut parts {
            part.metadata = tree.entry(&source, part.root, METADATA_KEY);
        }
        let newline = line_end(&source);
        let indent_unit = indent_unit(&source, &tree);
        let last_in_file = last_in_file(&source, &tree, &parts);
        Ok(Self {
            source,
            tree,
            headers,
            tags,
            collection_tags,
            anchors,
            parts,
            newline,
            indent_unit,
            last_in_file,
        })
    }
}

/// NEL, line separator and paragraph separator.
pub const BREAKS_OF_OTHERS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Refuses characters that YAML 1.1, and so go-yaml, takes for the end of a line, also of a comment, and YAML 1.2 does not.
fn refuse_breaks_of_others(source: &str) -> Result<()> {
    let found = BREAKS_OF_OTHERS.into_iter().filter_map(|character| source.find(character)).min();
    let Some(at) = found else { return Ok(()) };
    let line = 1 + source[..at].matches('\n').count();
    let character = source[at..].chars().next().map_or(0, u32::from);
    let message = format!("broken YAML: the character U+{character:04X}, which is a line break to sops");
    let advice = format!("write it as \"\\u{character:04X}\", in double quotes");
    Err(Error::new(Kind::Read, message).on_line(line).advise(advice))
}

/// The scalar with which a file without a final line break ends, but for metadata.
fn last_in_file(source: &str, tree: &Tree, parts: &[Part]) -> Option<NodeId> {
    let part = parts.last().filter(|_| !source.ends_with('\n'))?;
    let is_metadata = |&node: &NodeId| part.metadata.is_some_and(|block| tree.contains(block, node));
    let scalar = |node: &NodeId| tree[*node].kind == NodeKind::Scalar && !is_metadata(node);
    let last = tree.descendants(part.root).filter(scalar).last()?;
    let metadata = part.metadata.map_or(Span::new(source.len(), source.len()), |block| {
        Span::new(tree[block].key_span.start(), tree[block].span.end())
    });
    let between = source.get(tree[last].span.end()..metadata.start())?;
    // The break before the metadata comes and goes with them.
    let between = between.trim_end_matches(' ').strip_suffix('\n').unwrap_or(between);
    let behind = source.get(metadata.end()..)?;
    let ends = between.trim().is_empty() && !between.contains('\n') && behind.trim().is_empty();
    ends.then_some(last)
}

/// How far a file indents: the first block map below an entry of a root shows it, other than metadata.
fn indent_unit(source: &str, tree: &Tree) -> usize {
    let first_key = |map| tree.entries(map).next().map(|entry| column(source, tree[entry].key_span.start()));
    let is_block_map = |&node: &NodeId| {
        let node = &tree[node];
        node.kind == NodeKind::Map && node.style != Style::Flow && node.key.get(source) != METADATA_KEY
    };
    let shown = tree.documents().iter().find_map(|&root| {
        let inner = tree.entries(root).filter(is_block_map).find_map(first_key)?;
        inner.checked_sub(first_key(root)?).filter(|unit| (2..=8).contains(unit))
    });
    shown.unwrap_or(SOPS_INDENT)
}

/// What the reader has to know of an open collection.
struct Open {
    node: NodeId,
    kind: NodeKind,
    flow: bool,
    /// Column of its keys or dashes.
    column: usize,
    /// The key whose value comes next.
    key: Option<(Text, Span)>,
    keys: HashSet<String>,
}

struct PendingComment {
    span: Span,
    column: usize,
}

struct Reader<'s> {
    source: &'s str,
    builder: TreeBuilder,
    open: Vec<Open>,
    headers: HashMap<NodeId, usize>,
    tags: HashMap<NodeId, Box<str>>,
    collection_tags: HashMap<NodeId, (Box<str>, usize)>,
    parts: Vec<Part>,
    anchors: HashMap<usize, NodeId>,
    /// The texts of the document's keys that have anchors.
    key_anchors: HashMap<usize, Box<str>>,
    /// The names of the document's anchors.
    names: HashMap<usize, Box<str>>,
    /// The anchors of the documents that ended.
    named: Vec<(NodeId, Box<str>)>,
    /// The anchor of the last leaf, 0 if it has none.
    last_anchor: usize,
    /// Comments on lines of their own whose collection the next event decides.
    pending: Vec<PendingComment>,
    /// A place kept for the comment behind the flow collection that began last.
    flow_comment: Option<NodeId>,
    /// The node that was added last, if it is a leaf, for a comment behind it on its line.
    last_leaf: Option<NodeId>,
    /// Where the tokens that were read so far end.
    at: usize,
    /// The column of the collection of the plain scalar that was read last, until something else is read.
    plain_in: Option<usize>,
    /// Where the last token ended before comments were read: a dash may be before one of them.
    before_comments: Option<usize>,
    /// Comments were attached to a collection that ended, and no further token was read since.
    footed: bool,
    in_document: bool,
    /// Whether a `---` began the document.
    explicit: bool,
}

impl<'s> Reader<'s> {
    fn new(source: &'s str) -> Self {
        Self {
            source,
            builder: TreeBuilder::default(),
            open: Vec::new(),
            headers: HashMap::new(),
            tags: HashMap::new(),
            collection_tags: HashMap::new(),
            parts: Vec::new(),
            anchors: HashMap::new(),
            key_anchors: HashMap::new(),
            names: HashMap::new(),
            named: Vec::new(),
            last_anchor: 0,
            pending: Vec::new(),
            flow_comment: None,
            last_leaf: None,
            at: 0,
            plain_in: None,
            before_comments: None,
            footed: false,
            in_document: false,
            explicit: false,
        }
    }

    fn fail<T>(&self, offset: usize, kind: Kind, message: impl Into<String>) -> Result<T> {
        let line = 1 + self.source.as_bytes()[..offset.min(self.source.len())]
            .iter()
            .filter(|&&b| b == b'\n')
            .count();
        Err(Error::new(kind, message).on_line(line))
    }

    fn read(&mut self, event: Event<'_>, span: Span, tag_span: Option<Span>) -> Result<()> {
        match event {
            Event::DocumentStart(explicit, version) => {
                self.start_document(explicit, version.map(|v| v.minor), span)
            }
            Event::DocumentEnd => self.end_document(span),
            Event::StreamEnd => self.end_stream(),
            Event::Comment(_, placement) => self.comment(span, placement == Placement::Right),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), span, tag_span)
            }
            Event::Alias(id) => self.alias(id, span),
            Event::Anchor(_, name) if !quirks::is_anchor_name(&name) => {
                self.ambiguous(span.start(), &format!("the anchor name `{name}`"))
            }
            Event::Anchor(id, name) => {
                self.names.insert(id, name.into());
                Ok(())
            }
            Event::MappingStart(style, anchor, tag) => {
                self.start(NodeKind::Map, style, anchor, tag.as_deref().zip(tag_span), span)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.start(NodeKind::List, style, anchor, tag.as_deref().zip(tag_span), span)
            }
            Event::MappingEnd | Event::SequenceEnd => self.end(span),
            _ => Ok(()),
        }
    }

    /// Moves on to a token. Refuses a tab in the indentation before it, which go-yaml cannot read in block context.
    fn advance(&mut self, to: usize) -> Result<()> {
        let plain = self.plain_in.take();
        if let Some(gap) = self.source.get(self.at..to).filter(|gap| gap.contains('\t') && !self.in_flow())
            && let Some(offset) = quirks::tab_in_indentation(gap, self.at == 0, plain)
        {
            return self.fail(self.at + offset, Kind::Read, "broken YAML: a tab in the indentation");
        }
        self.at = self.at.max(to);
        Ok(())
    }

    fn in_flow(&self) -> bool {
        self.open.last().is_some_and(|open| open.flow)
    }

    /// What follows a byte.
    fn after(&self, offset: usize) -> &'s str {
        self.source.get(offset..).unwrap_or_default()
    }

    /// An error that says what sops could not read.
    fn unreadable<T>(&self, offset: usize, what: &str) -> Result<T> {
        self.fail(offset, Kind::Read, format!("{what}, which sops cannot read"))
            .map_err(|error: Error| error.advise("write it in quotes, or in another way"))
    }

    /// An error that says what sops takes for something else than YAML 1.2 has it.
    fn ambiguous<T>(&self, offset: usize, what: &str) -> Result<T> {
        self.fail(offset, Kind::Read, format!("{what}, which sops reads differently"))
            .map_err(|error: Error| error.advise("write it in quotes, or with a space"))
    }

    fn start_document(&mut self, explicit: bool, minor: Option<u32>, span: Span) -> Result<()> {
        if !explicit && self.in_document {
            return self.fail(
                span.start(),
                Kind::Read,
                "broken YAML: a document after `...` needs a `---` before it",
            );
        }
        self.refuse_directives(span.start())?;
        if minor.is_some_and(|minor| minor != 1) {
            return self.fail(
                span.start(),
                Kind::Read,
                "`%YAML` with a version other than 1.1, which sops cannot read",
            );
        }
        self.finish_document(span.start());
        self.in_document = true;
        self.explicit = explicit;
        self.anchors.clear();
        self.key_anchors.clear();
        // Without a marker it is the span of the first token.
        self.advance(if explicit { span.end() } else { span.start() })
    }

    /// Refuses directives before the document that begins at `marker` that are none of YAML 1.1.
    fn refuse_directives(&self, marker: usize) -> Result<()> {
        let from = self.before_comments.unwrap_or(self.at);
        let gap = self.source.get(from..marker).unwrap_or_default();
        if !gap.contains('%') {
            return Ok(());
        }
        let mut at = from;
        for line in gap.split_inclusive('\n') {
            let name = line.trim_start_matches('\u{feff}').strip_prefix('%');
            let name = name.map(|rest| rest.split_whitespace().next().unwrap_or_default());
            if let Some(name) = name.filter(|name| !matches!(*name, "YAML" | "TAG")) {
                return self
                    .fail(at, Kind::Read, format!("the directive `%{name}`, which sops cannot read"))
                    .map_err(|error: Error| error.advise("remove that line"));
            }
            at += line.len();
        }
        Ok(())
    }

    /// The root stays open: comments up to the next document belong to it.
    fn end_document(&mut self, span: Span) -> Result<()> {
        if self.source.get(span.range()) == Some("...") {
            self.advance(span.start())?;
            if let Some(part) = self.parts.last_mut() {
                part.end = span.start();
            }
            self.at = span.end();
        }
        Ok(())
    }

    fn end_stream(&mut self) -> Result<()> {
        self.advance(self.source.len())?;
        self.finish_document(self.source.len());
        Ok(())
    }

    /// Closes the document before; `end` is where its text ends if no `...` said so.
    fn finish_document(&mut self, end: usize) {
        if let Some(part) = self.parts.last_mut().filter(|part| part.end == usize::MAX) {
            part.end = end;
        }
        if self.builder.container().is_some() {
            self.flush_comments(0);
            self.builder.close(self.at);
        }
        let first = self.named.len();
        let anchors = self.anchors.drain();
        self.named.extend(anchors.filter_map(|(id, node)| Some((node, self.names.remove(&id)?))));
        self.named[first..].sort_unstable_by_key(|(node, _)| *node);
    }

    fn add(
        &mut self,
        kind: NodeKind,
        style: Style,
        key: Option<(Text, Span)>,
        span: Span,
        text: Text,
    ) -> NodeId {
        self.builder.add(kind, style, key, span, text)
    }

    fn add_comment(&mut self, span: Span) -> NodeId {
        self.add(NodeKind::Comment, Style::Plain, None, span, Text::Source(span))
    }

    fn comment(&mut self, span: Span, right: bool) -> Result<()> {
        // A comment in a block scalar's header is reported after the scalar; behind a tag it is replaced with it.
        if span.start() >= self.at {
            self.before_comments.get_or_insert(self.at);
            self.advance(span.start())?;
            self.at = span.end();
        } else if self.last_leaf.is_some_and(|leaf| self.tags.contains_key(&leaf)) {
            return Ok(());
        }
        let text = Span::new(span.start() + 1, span.end());
        let column = column(self.source, span.start());
        // Behind a dash it belongs to what begins there.
        let line_start = span.start() - column;
        let item = self.source[line_start..span.start()].trim_end().ends_with('-')
            && self
                .before_comments
                .is_some_and(|from| self.find_indicator(from, span.start(), b"-") < span.start());
        if !right || item || self.builder.container().is_none() {
            self.pending.push(PendingComment { span: text, column });
            return Ok(());
        }
        if let Some(place) =
            self.flow_comment.take().filter(|_| !self.open.last().is_some_and(|open| open.flow))
        {
            self.builder.set_comment(place, text);
            return Ok(());
        }
        let comment = self.add_comment(text);
        if let Some(leaf) = self.last_leaf.take()
            && self.builder.swap_last_two()
        {
            self.moved(leaf, comment);
        }
        Ok(())
    }

    /// The last leaf has changed its number.
    fn moved(&mut self, from: NodeId, to: NodeId) {
        if let Some(header) = self.headers.remove(&from) {
            self.headers.insert(to, header);
        }
        if let Some(tag) = self.tags.remove(&from) {
            self.tags.insert(to, tag);
        }
        if let Some(target) = self.anchors.get_mut(&self.last_anchor).filter(|target| **target == from) {
            *target = to;
        }
    }

    /// Adds the pending comments but the last `keep` to the innermost open collection.
    fn flush_comments(&mut self, keep: usize) {
        let count = self.pending.len().saturating_sub(keep);
        let comments: Vec<_> = self.pending.drain(..count).collect();
        for comment in comments {
            self.add_comment(comment.span);
        }
    }

    /// What is before a node in its collection: the key in a map, the dash in a block list.
    fn take_key(&mut self, node_start: usize) -> Result<Option<(Text, Span)>> {
        let dash = self.find_indicator(self.before_comments.unwrap_or(self.at), node_start, b"-");
        let Some(open) = self.open.last_mut() else { return Ok(None) };
        if open.kind == NodeKind::Map {
            return Ok(open.key.take());
        }
        if open.flow {
            return Ok(None);
        }
        self.before_comments = None;
        if open.column == usize::MAX {
            open.column = column(self.source, dash);
        }
        self.advance(dash)?;
        self.at = dash + 1;
        let rest = self.source.get(dash + 1..).unwrap_or_default();
        if quirks::tab_behind(rest) {
            return self.unreadable(dash, "a tab after a dash");
        }
        Ok(Some((Text::default(), Span::new(dash, dash + 1))))
    }

    /// How many of the pending comments are behind the key or dash of a node: all, if it has none.
    fn comments_behind(&self, key: &Option<(Text, Span)>) -> usize {
        let start = key.as_ref().map_or(0, |(_, span)| span.start());
        self.pending.len() - self.pending.iter().take_while(|comment| comment.span.start() < start).count()
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.kind == NodeKind::Map && open.key.is_none())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
        tag_span: Option<Span>,
    ) -> Result<()> {
        let empty = span.is_empty() && style == ScalarStyle::Plain;
        if self.open.is_empty() {
            let null = empty || matches!(resolve(text, style == ScalarStyle::Plain, None), Ok(Value::Null));
            return self.scalar_root(null, empty, span, tag_span);
        }
        // `!` says no more than that there is a tag.
        let tag = tag.map(full_tag).filter(|tag| &**tag != "!");
        if self.expects_key() {
            return self.key(text, style, anchor, tag.as_deref().zip(tag_span), span);
        }
        self.refuse_quirks(style, span, None)?;
        self.refuse_tab_in_flow(style, span)?;
        if empty && tag.is_some() && self.in_flow() {
            let what =
                "a tag without a value inside braces or brackets, which sops cannot read in some places";
            return self
                .fail(span.start(), Kind::Read, what)
                .map_err(|error: Error| error.advise("write null"));
        }
        let key = self.take_key(span.start())?;
        self.flush_comments(if empty { self.comments_behind(&key) } else { 0 });
        let mut header = None;
        let (span, text) = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let at = self.find_indicator(self.at, span.start(), b"|>");
                header = Some(at);
                match block::lines(self.source, at, span.end(), text) {
                    Ok(lines) => (lines.span, Text::new(self.source, span, lines.text)),
                    Err(why) => return self.fail(at, Kind::Read, format!("broken YAML: {why}")),
                }
            }
            _ if empty => (Span::new(self.at, self.at), Text::default()),
            _ => (span, Text::new(self.source, inner(span, style), text)),
        };
        let span = match (&tag, tag_span) {
            (Some(_), Some(tag)) => Span::new(tag.start(), span.end().max(tag.end())),
            _ => span,
        };
        self.advance(header.unwrap_or(span.start()))?;
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let node = self.add(NodeKind::Scalar, style, key, span, text);
        self.at = self.at.max(span.end());
        if style == Style::Plain && !empty {
            self.plain_in = self.open.last().map(|open| open.column);
        }
        match (tag, header) {
            (Some(tag), _) => _ = self.tags.insert(node, tag),
            (None, Some(header)) => _ = self.headers.insert(node, header),
            (None, None) => {}
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        self.forget_line();
        self.last_leaf = Some(node);
        self.last_anchor = anchor;
        Ok(())
    }

    /// A further token in block context: comments after it do not be behind what came before.
    fn forget_line(&mut self) {
        self.before_comments = None;
        self.last_leaf = None;
        self.footed = false;
        if !self.open.last().is_some_and(|open| open.flow) {
            self.flow_comment = None;
        }
    }

    fn scalar_root(&mut self, null: bool, empty: bool, span: Span, tag: Option<Span>) -> Result<()> {
        if !null {
            return self.fail(
                span.start(),
                Kind::Read,
                "the top level of a YAML document must be a map, not a single value",
            );
        }
        let null = match empty {
            // An anchor or tag is that of the map that the metadata make, if a marker is before it.
            true => quirks::properties(self.after(self.at)).filter(|_| !self.explicit),
            false => Some((self.start_with_properties(self.at, span, tag) - self.at, span.end() - self.at)),
        };
        let null = null
            .map_or(Span::new(self.at, self.at), |(start, end)| Span::new(self.at + start, self.at + end));
        let null = Some(null);
        let at = Span::new(self.at, self.at);
        let root = self.add(NodeKind::Map, Style::Plain, None, at, Text::default());
        self.flush_comments(0);
        self.parts.push(Part { root, end: usize::MAX, marked: self.explicit, null, metadata: None });
        self.at = self.at.max(span.end());
        Ok(())
    }

    fn key(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<(&str, Span)>,
        span: Span,
    ) -> Result<()> {
        let (text, span) = self.with_colon(text, style, span)?;
        let text = &*text;
        let merge = text == "<<" && style == ScalarStyle::Plain;
        // The string that it stands for: a tag can spell it in base64.
        let value = if merge {
            Ok(Value::str(text))
        } else {
            resolve(text, style == ScalarStyle::Plain, tag.map(|(tag, _)| tag))
        };
        let Some(name) = value.as_ref().ok().and_then(Value::as_str) else {
            let error = self.fail(span.start(), Kind::Encrypt, format!("the key `{text}` is not a string"));
            return error.map_err(|error: Error| error.advise("quote it: sops only knows string keys"));
        };
        let start = self.key_start(span, tag.map(|(_, tag)| tag));
        self.refuse_quirks(style, span, Some(start))?;
        self.advance(start)?;
        self.flush_comments(0);
        self.forget_line();
        self.at = span.end();
        if style == ScalarStyle::Plain {
            self.plain_in = self.open.last().map(|open| open.column);
        }
        if anchor != 0 {
            self.key_anchors.insert(anchor, name.into());
        }
        let key = Text::new(self.source, inner(span, style), name);
        let whole = Span::new(start, span.end());
        let duplicate = match self.open.last_mut() {
            Some(open) => {
                open.key = Some((key, whole));
                !open.keys.insert(name.to_owned())
            }
            None => false,
        };
        if duplicate { self.repeat(name, start) } else { Ok(()) }
    }

    /// go-yaml looks for keys that appear twice in the first document alone.
    fn repeat(&mut self, key: &str, at: usize) -> Result<()> {
        let is_metadata = self.open.len() == 1 && key == METADATA_KEY;
        if self.parts.len() == 1 || is_metadata {
            return self
                .fail(at, Kind::Read, format!("the key {key:?} appears twice in one map"))
                .map_err(|error: Error| error.advise("remove or rename one of the two"));
        }
        if self.builder.tree().repeated().is_some() {
            return Ok(());
        }
        let first = self.open.last().and_then(|open| self.builder.open_entry(self.source, open.node, key));
        let first = first.map_or(at, |first| self.builder.tree()[first].key_span.start());
        self.builder.repeat(key, first, at);
        Ok(())
    }

    /// A plain key inside of braces with the colon behind it, where that is part of it to go-yaml: `{a:}`.
    fn with_colon<'t>(&self, text: &'t str, style: ScalarStyle, span: Span) -> Result<(Cow<'t, str>, Span)> {
        if style != ScalarStyle::Plain || !self.in_flow() || !quirks::is_colon_of_key(self.after(span.end()))
        {
            return Ok((Cow::Borrowed(text), span));
        }
        let braces = self
            .open
            .last()
            .is_some_and(|open| self.after(self.builder.tree()[open.node].span.start()).starts_with('{'));
        if !braces {
            return self.ambiguous(span.start(), "a colon without a space after it inside brackets");
        }
        Ok((Cow::Owned(format!("{text}:")), Span::new(span.start(), span.end() + 1)))
    }

    /// Where an entry of a map begins, given the token of its key: at its `?`, its anchor or its tag.
    fn key_start(&self, key: Span, tag: Option<Span>) -> usize {
        let from = match self.open.last().filter(|open| open.keys.is_empty()) {
            Some(open) => self.builder.tree()[open.node].span.start(),
            None => self.before_comments.unwrap_or(self.at),
        };
        let gap = self.source.get(from..key.start()).unwrap_or_default();
        match quirks::question_mark(gap) {
            Some(at) => from + at,
            None => self.start_with_properties(from, key, tag),
        }
    }

    /// Where a scalar begins with the anchor and the tag that are before it on its line, but behind `from`.
    fn start_with_properties(&self, from: usize, scalar: Span, tag: Option<Span>) -> usize {
        let mut start = tag.map_or(scalar.start(), Span::start);
        while let Some(before) = self.source.get(from..start) {
            let before = before.trim_end_matches([' ', '\t']);
            let word = before.rfind([' ', '\t', '\n', '\r', ',', '{', '[']).map_or(0, |at| at + 1);
            if !before[word..].starts_with(['&', '!']) {
                break;
            }
            start = from + word;
        }
        start
    }

    /// Refuses a plain item inside of brackets before which a tab is in place of the indentation: once it is in
    /// quotes, the parser does not read it.
    fn refuse_tab_in_flow(&self, style: ScalarStyle, span: Span) -> Result<()> {
        let in_brackets = self.open.last().is_some_and(|open| open.flow && open.kind == NodeKind::List);
        let Some(block) = self.open.iter().rev().find(|open| !open.flow).filter(|_| in_brackets) else {
            return Ok(());
        };
        let line = self.source[..span.start()].rfind('\n').map_or(0, |at| at + 1);
        let gap = &self.source[line..span.start()];
        let tab = gap.find(|c| c != ' ').filter(|&at| at <= block.column && gap[at..].starts_with('\t'));
        match tab.filter(|_| gap.trim().is_empty() && style == ScalarStyle::Plain) {
            Some(_) => {
                self.fail(line, Kind::Read, "broken YAML: tabs disallowed in the indentation of brackets")
            }
            None => Ok(()),
        }
    }

    /// Refuses scalars that go-yaml would read otherwise; of a key, where its entry begins.
    fn refuse_quirks(&self, style: ScalarStyle, span: Span, key_start: Option<usize>) -> Result<()> {
        let token = self.source.get(span.range()).unwrap_or_default();
        if style == ScalarStyle::DoubleQuoted && quirks::has_escaped_slash(token) {
            return self.unreadable(span.start(), "the escape `\\/`");
        }
        let is_plain = style == ScalarStyle::Plain;
        if !self.in_flow() || (is_plain && span.is_empty()) {
            return Ok(());
        }
        let after = self.after(span.end());
        let why = is_plain.then(|| quirks::plain_in_flow(token, after)).flatten();
        let of_key = |start| {
            let explicit = self.after(start).starts_with('?');
            if explicit { None } else { quirks::key_in_flow(token, is_plain, after) }
        };
        match why.or_else(|| key_start.and_then(of_key)) {
            Some(why) if token.starts_with('?') => self.ambiguous(span.start(), why),
            Some(why) => self.unreadable(span.start(), why),
            None => Ok(()),
        }
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<()> {
        if self.expects_key() {
            return self.fail(span.start(), Kind::Encrypt, "an alias as a key");
        }
        if let Some(key) = self.key_anchors.get(&id).cloned() {
            return self.alias_of_key(&key, span);
        }
        let Some(&target) = self.anchors.get(&id) else {
            return self.fail(span.start(), Kind::Read, "an alias of nothing");
        };
        if self.open.iter().any(|open| open.node == target) {
            return self.fail(span.start(), Kind::Read, "an alias inside the value that it refers to");
        }
        self.flush_comments(0);
        let key = self.take_key(span.start())?;
        self.advance(span.start())?;
        let node = self.add(NodeKind::Alias(target), Style::Plain, key, span, Text::default());
        self.at = span.end();
        self.forget_line();
        self.last_leaf = Some(node);
        Ok(())
    }

    /// It stands for the text that the key is, which no quotes around it could change.
    fn alias_of_key(&mut self, key: &str, span: Span) -> Result<()> {
        self.flush_comments(0);
        let own_key = self.take_key(span.start())?;
        self.advance(span.start())?;
        let text = Text::new(self.source, span, key);
        let node = self.add(NodeKind::Scalar, Style::DoubleQuoted, own_key, span, text);
        self.at = span.end();
        self.forget_line();
        self.last_leaf = Some(node);
        self.last_anchor = 0;
        Ok(())
    }

    fn start(
        &mut self,
        kind: NodeKind,
        style: StructureStyle,
        anchor: usize,
        tag: Option<(&Tag, Span)>,
        span: Span,
    ) -> Result<()> {
        let flow = style == StructureStyle::Flow;
        if self.open.len() >= MAX_DEPTH {
            return self.fail(
                span.start(),
                Kind::Read,
                format!("collections nest deeper than {MAX_DEPTH} levels"),
            );
        }
        if self.expects_key() {
            let failed = self.fail(span.start(), Kind::Encrypt, "a map or a list cannot be a key here");
            return failed
                .map_err(|error| error.advise("if it is a template, such as {{ .name }}, put it in quotes"));
        }
        if self.open.is_empty() && kind == NodeKind::List {
            return self.fail(
                span.start(),
                Kind::Read,
                "the top level of a YAML document must be a map, not a list",
            );
        }
        let in_flow = self.open.last().is_some_and(|open| open.flow);
        let in_list = self.open.last().is_some_and(|open| open.kind == NodeKind::List);
        let key = self.take_key(span.start())?;
        // go-yaml hands the comment behind a flow collection to its first item, behind a list's item to the list.
        self.flush_comments(self.comments_behind(&key));
        if flow && !in_flow && in_list {
            self.flush_comments(0);
            self.flow_comment = Some(self.add_comment(Span::default()));
        }
        if flow {
            self.advance(span.start())?;
            self.at = span.end();
        }
        let style = if flow { Style::Flow } else { Style::Plain };
        let node = self.add(kind, style, key, Span::new(span.start(), span.end()), Text::default());
        if self.open.is_empty() {
            let marked = self.explicit;
            self.parts.push(Part { root: node, end: usize::MAX, marked, null: None, metadata: None });
        }
        let column = match kind {
            NodeKind::List => usize::MAX,
            _ if flow => 0,
            _ => column(self.source, span.start()),
        };
        self.open.push(Open { node, kind, flow, column, key: None, keys: HashSet::new() });
        self.flush_comments(0);
        if flow && !in_flow && !in_list {
            self.flow_comment = Some(self.add_comment(Span::default()));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        if let Some((tag, at)) = tag.map(|(tag, at)| (full_tag(tag), at)).filter(|(tag, _)| &**tag != "!") {
            self.collection_tags.insert(node, (tag, at.start()));
        }
        self.last_leaf = None;
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<()> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let root = self.open.is_empty();
        if open.flow {
            self.flush_comments(0);
            self.at = self.at.max(span.end());
        } else if !root {
            let inside = self.comments_inside(&open, span.start());
            self.flush_comments(self.pending.len() - inside);
        }
        let end = if open.flow { span.end() } else { self.last_end() };
        if root {
            self.builder.set_end(open.node, end);
        } else {
            self.builder.close(end);
        }
        self.last_leaf = None;
        Ok(())
    }

    /// How many of the pending comments belong into a block collection that ends; the token at `next` follows.
    ///
    /// As go-yaml attaches them: a group of lines right behind the last entry and indented more than what follows
    /// belongs to the innermost collection, a second one to the map that holds it, others by their column.
    fn comments_inside(&mut self, open: &Open, next: usize) -> usize {
        let Some(first) = self.pending.first() else { return 0 };
        // At the end of a document as if its metadata followed, in the column of the root.
        let root_column = self.open.first().map_or(0, |root| root.column);
        let ends = next >= self.source.len();
        let next_column = if ends { root_column } else { column(self.source, next).max(root_column) };
        let breaks =
            |from: usize, to: usize| self.source.get(from..to).map_or(0, |gap| gap.matches('\n').count());
        let (column, mut end) = (first.column, first.span.start());
        let group = self.pending.iter().take_while(|comment| {
            let together = comment.column == column && breaks(end, comment.span.start()) <= 1;
            end = comment.span.end();
            together
        });
        let group = group.count();
        let in_list = self.open.last().is_some_and(|outer| outer.kind == NodeKind::List);
        if self.footed {
            let takes = column > next_column && open.kind == NodeKind::Map && !in_list;
            return if takes { group } else { 0 };
        }
        if breaks(self.builder.last_end(), first.span.start()) <= 1 && column > next_column {
            self.footed = true;
            return group;
        }
        let outer = self.open.last().map_or(0, |outer| outer.column);
        let least =
            if open.kind == NodeKind::List && open.column == outer { usize::MAX } else { open.column };
        self.pending.iter().take_while(|comment| comment.column >= least).count()
    }

    /// Where the last node that is no comment ends.
    fn last_end(&self) -> usize {
        self.builder.last_end()
    }

    /// The first of `indicators` behind `from`, with anchors, tags and comments between.
    fn find_indicator(&self, from: usize, before: usize, indicators: &[u8]) -> usize {
        let bytes = self.source.as_bytes();
        let mut at = from;
        while at < before.max(from + 1).min(bytes.len()) {
            match bytes[at] {
                byte if indicators.contains(&byte) => return at,
                b'&' | b'!' => {
                    while at < bytes.len() && !bytes[at].is_ascii_whitespace() {
                        at += 1;
                    }
                }
                b'#' => {
                    while at < bytes.len() && bytes[at] != b'\n' {
                        at += 1;
                    }
                }
                _ => at += 1,
            }
        }
        at
    }
}

/// The text of a scalar token without its quotes.
fn inner(span: Span, style: ScalarStyle) -> Span {
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            Span::new(span.start() + 1, span.end().saturating_sub(1))
        }
        _ => span,
    }
}

pub(super) fn full_tag(tag: &Tag) -> Box<str> {
    format!("{}{}", tag.handle(), tag.suffix()).into()
}
