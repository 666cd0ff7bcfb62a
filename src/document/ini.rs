//! INI documents in the dialect that sops reads (gopkg.in/ini.v1 with its default options and repeated sections, and
//! `stores/ini/store.go`), since the MAC depends on every value.
//!
//! - All values are strings. A section is a map; keys before the first section are in one called `DEFAULT`.
//! - `=` or `:` ends a key. Keys may be in `"`, `"""` or backticks; a key `-` is numbered (`#1`).
//! - `#` and `;` begin a comment, after a plain value too, wherever they are in it. Values may be in `"` or `'`
//!   (which do not protect a `#`), and in `"""` or backticks (which do, and go over several lines). A `\` at the end
//!   of a line continues it.
//! - Comment lines belong to what follows them: they are one comment, the first thing in their section, or *after* their
//!   key. Comments that nothing follows, which sops drops, are the last thing in the last section here.
//!
//! Where sops joins the comment after a value to the lines above its key, here are two comments: of such a pair, sops
//! can decrypt the first alone. Comments are in no MAC. What sops would skip (text behind a closing quote or bracket) is
//! refused, and so is what it would read in another way once `[sops]` or a ciphertext is there.
//!
//! Metadata are the section `[sops]`, under flat keys, newlines in values as the two characters `\n` (3.13.0 and 3.13.1
//! wrote real ones).

use std::collections::HashMap;

use super::edit::line_end;
use super::flat::{end_of_line, flatten, remove_lines, text_of, unflatten};
use super::reconcile::{reconcile_entries, to_value};
use super::*;

/// The section of the keys that are before the first one.
pub(super) const DEFAULT: &str = "DEFAULT";
const COMMENT: [char; 2] = ['#', ';'];
const DELIMITER: [char; 2] = ['=', ':'];

/// An INI document.
pub struct IniDocument {
    source: SecretString,
    tree: Tree,
    metadata: Option<NodeId>,
}

impl IniDocument {
    pub fn parse(source: SecretString) -> Result<Self> {
        let tree = Parser::new(&source).document()?;
        let metadata = tree.entry(&source, tree.documents()[0], METADATA_KEY);
        Ok(Self { source, tree, metadata })
    }

    fn root(&self) -> NodeId {
        self.tree.documents()[0]
    }

    fn line_start(&self, at: usize) -> usize {
        self.source[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// The line end of the line that holds the byte `at`, or of the document if that is its last one.
    fn line_end_at(&self, at: usize) -> &'static str {
        let rest = &self.source[at..];
        line_end(if rest.contains('\n') { rest } else { &self.source })
    }

    /// What follows a value on its line.
    fn rest_of_line(&self, leaf: NodeId) -> &str {
        let end = self.tree[leaf].span.end();
        &self.source[end..end_of_line(&self.source, end)]
    }

    /// A value as it is written in the place of a leaf.
    fn spelled_at(&self, leaf: NodeId, value: &Value) -> Result<String> {
        let spelled = spelled(&text_of(value)?, self.tree[leaf].style, self.rest_of_line(leaf));
        spelled.ok_or_else(|| not_writable(self.tree[leaf].key.get(&self.source)).on_line(self.line(leaf)))
    }

    /// A line for a new key, aligned like that of `sibling`.
    fn entry_line(&self, key: &str, text: &str, sibling: Option<NodeId>) -> Result<String> {
        let Some(sibling) = sibling else {
            return entry_line(key, text, 0, " = ");
        };
        let node = &self.tree[sibling];
        let between = &self.source[node.key_span.end()..node.span.start()];
        let blanks = between.len() - between.trim_start().len();
        match between.trim_start().chars().next() {
            Some(':') if blanks == 0 => entry_line(key, text, 0, ": "),
            Some(_) if blanks == 0 => entry_line(key, text, 0, "="),
            _ => entry_line(key, text, node.key_span.end() - node.key_span.start() + blanks - 1, " = "),
        }
    }

    /// A new section at the end of the file, an empty line before it.
    fn append_section(&self, name: &str, data: &Data) -> Result<Edits> {
        let Data::Object(map) = data else {
            return Err(no_section(name));
        };
        let eol = line_end(&self.source);
        let section = section_lines(name, map, eol)?;
        let at = self.metadata.map_or(self.source.len(), |metadata| self.section_span(metadata).start());
        let text = match &self.source[..at] {
            "" if self.metadata.is_some() => format!("{section}{eol}{eol}"),
            "" => section + eol,
            above if above.ends_with('\n') => format!("{eol}{section}{eol}"),
            _ => format!("{eol}{eol}{section}"),
        };
        Ok(Edits::insert(at, text))
    }

    /// All lines of a section, and an empty line before it.
    fn section_span(&self, section: NodeId) -> Span {
        let span = self.tree[section].span;
        let start = self.line_start(span.start());
        let above = self.source[..start].strip_suffix(self.line_end_at(start));
        let above = above.filter(|above| above.is_empty() || above.ends_with('\n'));
        Span::new(above.map_or(start, str::len), span.end())
    }

    fn metadata_entries(&self) -> Vec<(&str, NodeId)> {
        let entries = self.metadata.into_iter().flat_map(|section| self.tree.entries(section));
        entries.map(|entry| (self.tree[entry].key.get(&self.source), entry)).collect()
    }
}

impl Document for IniDocument {
    fn format(&self) -> Format {
        Format::Ini
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
        let text = self.tree[leaf].text.get(&self.source);
        Ok(if self.is_metadata(leaf) { Value::str(&escaped(text)) } else { Value::Str(raw::of_text(text)) })
    }

    fn put_token(&self, leaf: NodeId, token: &str) -> Edits {
        Edits::replace(self.tree[leaf].span, in_style(token, self.tree[leaf].style))
    }

    fn spelling_after_token(&self, leaf: NodeId, value: &Value) -> SecretString {
        SecretString::new(match self.tree[leaf].kind {
            NodeKind::Comment => comment_lines(&text_of(value).unwrap_or_default()),
            _ => self.spelled_at(leaf, value).unwrap_or_default(),
        })
    }

    fn spelling(&self, leaf: NodeId) -> &str {
        &self.source[self.tree[leaf].span.range()]
    }

    fn put_value(&self, leaf: NodeId, value: &Value) -> Result<Edits> {
        Ok(Edits::replace(self.tree[leaf].span, self.spelled_at(leaf, value)?))
    }

    fn put_spelling(&self, leaf: NodeId, spelling: &str) -> Edits {
        Edits::replace(self.tree[leaf].span, spelling)
    }

    fn put_comment(&self, leaf: NodeId, text: &str) -> Result<Edits> {
        let start = self.tree[leaf].span.start();
        let above = self.source[self.line_start(start)..start].trim_start().starts_with(COMMENT);
        if text.contains('\n') && !above {
            let error = Error::new(Kind::Emit, "a comment after a value cannot span several lines");
            return Err(error.on_line(self.line(leaf)));
        }
        Ok(Edits::replace(self.tree[leaf].span, comment_lines(text)))
    }

    fn replace(&self, node: NodeId, data: &Data) -> Result<Edits> {
        let key = self.tree[node].key.get(&self.source);
        if self.tree[node].kind == NodeKind::Map {
            let mut edits = self.append_section(key, data)?;
            edits.merge(self.remove(&[node])?);
            return Ok(edits);
        }
        self.put_value(node, &scalar(key, data)?)
    }

    fn insert(
        &self,
        container: NodeId,
        key: Option<&str>,
        before: Option<NodeId>,
        data: &Data,
    ) -> Result<Edits> {
        let key = key.unwrap_or_default();
        if container == self.root() {
            return self.append_section(key, data);
        }
        let last = self.tree.entries(container).last();
        let line = self.entry_line(key, &text_of(&scalar(key, data)?)?, before.or(last))?;
        let eol = line_end(&self.source);
        let header = self.tree[container].key_span.end();
        let at = match before {
            Some(sibling) => self.line_start(self.tree[sibling].key_span.start()),
            None => end_of_line(&self.source, last.map_or(header, |last| self.tree[last].span.end())),
        };
        let complete = at == 0 || self.source[..at].ends_with('\n');
        Ok(Edits::insert(at, if complete { line + eol } else { format!("{eol}{line}") }))
    }

    fn remove(&self, nodes: &[NodeId]) -> Result<Edits> {
        let lines = nodes.iter().map(|&node| match self.tree[node].kind {
            NodeKind::Map => self.section_span(node),
            _ => Span::new(self.line_start(self.tree[node].key_span.start()), self.tree[node].span.end()),
        });
        let line_end = nodes.first().map_or("\n", |&node| self.line_end_at(self.tree[node].span.start()));
        Ok(remove_lines(&self.source, lines.collect(), line_end))
    }

    fn metadata(&self) -> Result<Option<Data>> {
        let entries = self.metadata_entries().into_iter();
        let flat =
            entries.map(|(key, entry)| (key, self.tree[entry].text.get(&self.source).replace("\\n", "\n")));
        self.metadata.map(|_| unflatten(flat)).transpose()
    }

    fn put_metadata(&self, metadata: Option<&Data>) -> Result<Edits> {
        let Some(metadata) = metadata else {
            return self.metadata.map_or(Ok(Edits::default()), |section| self.remove(&[section]));
        };
        let mut wanted = flatten(metadata)?;
        for (_, data) in &mut wanted {
            *data = escaped(data.as_str().unwrap_or_default()).into();
        }
        let Some(section) = self.metadata else {
            return self.append_section(METADATA_KEY, &Data::Object(wanted.into_iter().collect()));
        };
        let wanted: Vec<_> = wanted.iter().map(|(key, data)| (key.as_str(), data)).collect();
        reconcile_entries(self, section, &self.metadata_entries(), &wanted)
    }

    fn is_metadata(&self, node: NodeId) -> bool {
        self.metadata.is_some_and(|section| self.tree.contains(section, node))
    }
}

fn scalar(key: &str, data: &Data) -> Result<Value> {
    if data.is_array() || data.is_object() { Err(nested(key)) } else { Ok(to_value(data)) }
}

pub(super) fn no_section(name: &str) -> Error {
    Error::new(Kind::Emit, format!("in an INI file {name:?} must be a section, so its value must be a map"))
}

pub(super) fn nested(key: &str) -> Error {
    Error::new(
        Kind::Emit,
        format!("an INI file cannot hold a nested value below a section, as that of {key:?} is"),
    )
}

fn escaped(text: &str) -> String {
    text.replace('\n', "\\n")
}

fn not_writable(key: &str) -> Error {
    Error::new(
        Kind::Emit,
        format!("the value of {key:?} cannot be written in an INI file: no kind of quotes can hold it"),
    )
}

/// The header and the keys of a section, aligned at their `=` as sops does, without the last line end.
fn section_lines(name: &str, map: &serde_json::Map<String, Data>, eol: &str) -> Result<String> {
    let header = header(name)?;
    let width = map.keys().map(|key| key_width(key)).max().unwrap_or(0);
    let lines = map.iter().map(|(key, data)| entry_line(key, &text_of(&scalar(key, data)?)?, width, " = "));
    Ok(std::iter::once(Ok(header)).chain(lines).collect::<Result<Vec<_>>>()?.join(eol))
}

/// The line that begins a section.
pub(super) fn header(name: &str) -> Result<String> {
    if name.is_empty() || name.contains('\n') {
        return Err(Error::new(Kind::Emit, format!("{name:?} cannot be the name of a section")));
    }
    Ok(format!("[{name}]"))
}

/// A key and its value, the delimiter after `width` bytes.
pub(super) fn entry_line(key: &str, text: &str, width: usize, delimiter: &str) -> Result<String> {
    let name = spelled_key(key)
        .ok_or_else(|| Error::new(Kind::Emit, format!("{key:?} cannot be a key of an INI file")))?;
    // As ini.v1 chooses it.
    let style = if text.contains(['\n', '`']) { Style::Folded } else { Style::Plain };
    let value = spelled(text, style, "").ok_or_else(|| not_writable(key))?;
    let padding = " ".repeat(width.saturating_sub(name.len()));
    Ok(format!("{name}{padding}{delimiter}{value}"))
}

/// The length that a key takes in a line.
pub(super) fn key_width(key: &str) -> usize {
    spelled_key(key).map_or(0, |name| name.len())
}

/// A key in the plainest quotes from which it is read back.
fn spelled_key(key: &str) -> Option<String> {
    let quotes = ["", "`", "\"", "\"\"\""].iter().map(|quote| format!("{quote}{key}{quote}"));
    quotes.into_iter().find(|name| {
        let line = format!("{name} = value");
        let entry = !name.contains('\n') && !name.starts_with(COMMENT) && !name.starts_with('[');
        entry
            && key != "-"
            && Key::read(&line, 0).is_ok_and(|read| read.name == key && read.end == name.len() + 2)
    })
}

/// The text of a comment whose first line goes behind a marker that is there.
pub(super) fn comment_lines(text: &str) -> String {
    let mut lines = text.split('\n');
    let mut comment = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        comment.push_str(if line.trim_start().starts_with(COMMENT) { "\n" } else { "\n; " });
        comment.push_str(line);
    }
    comment
}

fn quote(style: Style) -> &'static str {
    match style {
        Style::Plain | Style::Flow => "",
        Style::SingleQuoted => "'",
        Style::DoubleQuoted => "\"",
        Style::Literal => "`",
        Style::Folded => "\"\"\"",
    }
}

fn in_style(text: &str, style: Style) -> String {
    [quote(style), text, quote(style)].concat()
}

/// A value in its present quotes, else in the first ones from which it is read back, before `rest` on its line.
fn spelled(text: &str, style: Style, rest: &str) -> Option<String> {
    let styles =
        [style, Style::Plain, Style::DoubleQuoted, Style::Literal, Style::Folded, Style::SingleQuoted];
    styles.into_iter().map(|style| in_style(text, style)).find(|spelling| {
        let line = SecretString::new(format!("{spelling}{rest}"));
        let read = Scalar::read(&line, 0);
        read.is_ok_and(|read| read.text.get(&line) == text && read.span == Span::new(0, spelling.len()))
    })
}

/// A key that was read from a line, and where its value begins.
struct Key<'s> {
    name: &'s str,
    span: Span,
    /// The byte after the delimiter.
    end: usize,
}

impl<'s> Key<'s> {
    /// Reads the key of the line that begins at `start`.
    fn read(source: &'s str, start: usize) -> Result<Self, &'static str> {
        let line = &source[start..end_of_line(source, start)];
        let quote = match line.as_bytes() {
            [b'"', b'"', b'"', _, _, _, _, ..] => "\"\"\"",
            [b'"', ..] => "\"",
            [b'`', ..] => "`",
            _ => "",
        };
        let close = if quote.is_empty() {
            0
        } else {
            let inside = line[quote.len()..].find(quote).ok_or("the quote around the key is not closed")?;
            inside + 2 * quote.len()
        };
        let delimiter = close
            + line[close..].find(DELIMITER).ok_or("a line that is not a section, comment or KEY = VALUE")?;
        let (name, length) = if quote.is_empty() {
            (&line[..delimiter], line[..delimiter].trim_end().len())
        } else if line[close..delimiter].trim().is_empty() {
            (&line[quote.len()..close - quote.len()], close)
        } else {
            return Err("text between a quoted key and its \"=\", which sops would drop");
        };
        if name.trim().is_empty() {
            return Err("a key without a name");
        }
        Ok(Self { name: name.trim(), span: Span::new(start, start + length), end: start + delimiter + 1 })
    }
}

/// A value that was read.
struct Scalar {
    span: Span,
    style: Style,
    text: Text,
    /// The comment behind it, from its marker to its last character.
    comment: Option<Span>,
    /// The first byte of the line after it.
    end: usize,
}

impl Scalar {
    /// Reads the value that follows the byte `from`.
    fn read(source: &str, from: usize) -> Result<Self, &'static str> {
        let end = end_of_line(source, from);
        let blank = source[from..end].len() - source[from..end].trim_start().len();
        let start = from + blank;
        let line = &source[start..end];
        match line.as_bytes() {
            [] => {
                let at = from + source[from..end].trim_end_matches(['\r', '\n']).len();
                Ok(Self {
                    span: Span::new(at, at),
                    style: Style::Plain,
                    text: Text::default(),
                    comment: None,
                    end,
                })
            }
            b"\"\"\"" => Err("the quote around the value is not closed"),
            [b'"', b'"', b'"', ..] => Self::quoted(source, start, end, Style::Folded),
            [b'`', ..] => Self::quoted(source, start, end, Style::Literal),
            _ if line.trim_end().ends_with('\\') => Ok(Self::continued(source, start, end)),
            _ => Ok(Self::plain(source, start, end)),
        }
    }

    /// A value in quotes that go to the last such quote of the line or, if there is none, of the first line with one.
    fn quoted(source: &str, start: usize, end: usize, style: Style) -> Result<Self, &'static str> {
        let quote = quote(style);
        let inside = start + quote.len();
        let (mut line, mut end) = (Span::new(inside, end), end);
        let close = loop {
            if let Some(at) = source[line.range()].rfind(quote) {
                let rest = &source[line.start() + at + quote.len()..end];
                let first = line.start() == inside;
                if first || !rest.trim_end().ends_with('\\') {
                    break line.start() + at;
                }
            }
            if end == source.len() {
                return Err("the quote around the value is not closed");
            }
            line = Span::new(end, end_of_line(source, end));
            end = line.end();
        };
        let span = Span::new(start, close + quote.len());
        let rest = source[span.end()..end].trim();
        if !rest.is_empty() && !rest.starts_with(COMMENT) {
            return Err("text after the closing quote of a value, which sops would drop");
        }
        let at = end - source[span.end()..end].trim_start().len();
        let comment = (!rest.is_empty()).then(|| Span::new(at, at + rest.len()));
        Ok(Self { span, style, text: Text::Source(Span::new(inside, close)), comment, end })
    }

    /// A value whose lines end in `\`, up to the first that does not or is empty.
    fn continued(source: &str, start: usize, end: usize) -> Self {
        let first = source[start..end].trim_end();
        let mut text = SecretString::new(first[..first.len() - 1].to_owned());
        let mut span = Span::new(start, start + first.len());
        let mut end = end;
        while end < source.len() {
            let line = &source[end..end_of_line(source, end)];
            let content = line.trim_end_matches(['\r', '\n']);
            span = Span::new(
                start,
                end + if line.trim().is_empty() { content.len() } else { line.trim_end().len() },
            );
            end += line.len();
            text.push_str(line.trim());
            if line.trim().is_empty() || !text.ends_with('\\') {
                break;
            }
            text.pop();
        }
        Self { span, style: Style::Plain, text: Text::new(source, span, &text), comment: None, end }
    }

    /// A value up to a comment or the end of its line.
    fn plain(source: &str, start: usize, end: usize) -> Self {
        let line = source[start..end].trim_end();
        let value = &line[..line.find(COMMENT).unwrap_or(line.len())];
        let comment = (value.len() < line.len()).then(|| Span::new(start + value.len(), start + line.len()));
        let value = value.trim_end();
        let span = Span::new(start, start + value.len());
        let style = match value.as_bytes() {
            [b'"', inside @ .., b'"'] if !inside.contains(&b'"') => Style::DoubleQuoted,
            [b'\'', inside @ .., b'\''] if !inside.contains(&b'\'') => Style::SingleQuoted,
            _ => Style::Plain,
        };
        let quote = quote(style).len();
        let text = Text::Source(Span::new(span.start() + quote, span.end() - quote));
        Self { span, style, text, comment, end }
    }
}

/// Reads a document line by line.
struct Parser<'s> {
    source: &'s str,
    builder: TreeBuilder,
    /// The keys of the open section, and where each is.
    keys: HashMap<String, usize>,
    /// How many keys called `-` the open section has.
    numbered: usize,
    /// The comment lines for the next key or section, from their markers to the beginnings of the next lines.
    comments: Vec<Span>,
    /// Where the last key or header ends.
    end: usize,
}

impl<'s> Parser<'s> {
    fn new(source: &'s str) -> Self {
        let builder = TreeBuilder::default();
        Self { source, builder, keys: HashMap::new(), numbered: 0, comments: Vec::new(), end: 0 }
    }

    fn document(mut self) -> Result<Tree> {
        self.builder.add(NodeKind::Map, Style::Plain, None, Span::new(0, 0), Text::default());
        let mut at = if self.source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut metadata = None;
        while at < self.source.len() {
            let end = end_of_line(self.source, at);
            let start = end - self.source[at..end].trim_start().len();
            at = match self.source[start..end].chars().next() {
                None => end,
                Some('#' | ';') => {
                    self.comments.push(Span::new(start, end));
                    end
                }
                Some('[') => {
                    let name = self.section(start, end)?;
                    if name == METADATA_KEY
                        && let Some(first) = metadata.replace(start)
                    {
                        return Err(self.twice(&format!("the section [{METADATA_KEY}]"), first, start));
                    }
                    end
                }
                Some(_) => self.entry(start)?,
            };
        }
        self.orphaned_comments();
        self.builder.close(self.end);
        Ok(self.builder.finish(self.source.len()))
    }

    fn section(&mut self, start: usize, end: usize) -> Result<&'s str> {
        let line = &self.source[start..end];
        let close =
            line.rfind(']').ok_or_else(|| self.error(start, "a section whose bracket is not closed"))?;
        let (name, rest) = (&line[1..close], &line[close + 1..]);
        if name.is_empty() {
            return Err(self.error(start, "a section without a name"));
        }
        if rest.trim_start().starts_with(COMMENT) {
            let error = self.error(start, "a comment after the bracket of a section");
            return Err(error.advise(
                "move it to the line above: sops would take the \"]\" of its ciphertext for the section's",
            ));
        }
        if !rest.trim().is_empty() {
            return Err(self.error(start, "text after the bracket of a section, which sops would drop"));
        }
        if name == METADATA_KEY {
            self.orphaned_comments();
        }
        self.open(name, start, Some(Span::new(start + 1, start + close)));
        self.end = start + close + 1;
        self.pending_comments();
        Ok(name)
    }

    /// Begins a section, and ends the one before it.
    fn open(&mut self, name: &str, start: usize, key: Option<Span>) {
        if self.builder.depth() > 1 {
            self.builder.close(self.end);
        }
        let key_span = key.unwrap_or_default();
        let key = Text::new(self.source, key_span, name);
        self.builder.add(
            NodeKind::Map,
            Style::Plain,
            Some((key, key_span)),
            Span::new(start, start),
            Text::default(),
        );
        self.keys.clear();
        self.numbered = 0;
    }

    /// Reads a key and its value; returns the first byte of the next line.
    fn entry(&mut self, start: usize) -> Result<usize> {
        let key = Key::read(self.source, start).map_err(|message| self.error(start, message))?;
        let value = Scalar::read(self.source, key.end).map_err(|message| self.error(start, message))?;
        if self.builder.depth() == 1 {
            self.open(DEFAULT, start, None);
        }
        let mut name = key.name.to_owned();
        if name == "-" {
            self.numbered += 1;
            name = format!("#{}", self.numbered);
        }
        let text = Text::new(self.source, key.span, &name);
        self.builder.add(NodeKind::Scalar, value.style, Some((text, key.span)), value.span, value.text);
        self.end = value.span.end();
        self.pending_comments();
        self.comment(value.comment);
        match self.keys.insert(name, start) {
            Some(first) => Err(self.twice(&format!("the key {:?} of one section", key.name), first, start)),
            None => Ok(value.end),
        }
    }

    /// Adds the comment lines above a key or section as one comment.
    fn pending_comments(&mut self) {
        let lines = std::mem::take(&mut self.comments);
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
            return;
        };
        if lines.windows(2).all(|pair| pair[0].end() == pair[1].start()) {
            return self.comment(Some(Span::new(first.start(), last.end())));
        }
        let joined: SecretString =
            SecretString::new(lines.iter().map(|line| &self.source[line.range()]).collect());
        let text = without_marker(joined.trim());
        let start = first.start() + joined.trim().len() - text.len();
        let end = last.start() + self.source[last.range()].trim_end().len();
        let text = Text::Owned(text.to_owned().into_boxed_str().into());
        self.builder.add(NodeKind::Comment, Style::Plain, None, Span::new(start, end), text);
    }

    /// Adds a comment that is in the source in one piece.
    fn comment(&mut self, span: Option<Span>) {
        let Some(span) = span else { return };
        let text = self.source[span.range()].trim_end();
        let end = span.start() + text.len();
        let span = Span::new(end - without_marker(text).len(), end);
        self.builder.add(NodeKind::Comment, Style::Plain, None, span, Text::Source(span));
    }

    /// Adds the comments after the last key of the last section.
    fn orphaned_comments(&mut self) {
        if let (1, Some(first)) = (self.builder.depth(), self.comments.first()) {
            self.open(DEFAULT, first.start(), None);
        }
        self.pending_comments();
    }

    fn twice(&self, what: &str, first: usize, second: usize) -> Error {
        let line = |at: usize| 1 + self.source[..at].matches('\n').count();
        let message = format!("{what} appears twice, on lines {} and {}", line(first), line(second));
        self.error(second, &message).advise("remove or rename one of the two")
    }

    fn error(&self, at: usize, message: &str) -> Error {
        Error::new(Kind::Read, message).on_line(1 + self.source[..at].matches('\n').count())
    }
}

/// A comment without its marker, as sops strips it.
fn without_marker(comment: &str) -> &str {
    let marker = if comment.starts_with('#') { '#' } else { ';' };
    comment.trim_start_matches([marker, ' '])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::document::testing::{TOKEN, assert_round_trip, read, refusal};

    /// The values and comments of a document in sops's order, sections as `[name]`.
    fn listed(source: &str) -> Vec<String> {
        let document = read(Format::Ini, source);
        let (tree, source) = (document.tree(), document.source());
        let mut list = Vec::new();
        for node in tree.descendants(tree.documents()[0]) {
            let (key, text) = (tree[node].key.get(source), tree[node].text.get(source));
            list.push(match tree[node].kind {
                NodeKind::Map => format!("[{key}]"),
                NodeKind::Comment => format!("#{text}"),
                _ => format!("{key}={text}"),
            });
        }
        list
    }

    #[test]
    fn values_are_those_of_sops() {
        let value = |line: &str| listed(&format!("[s]\n{line}\n")).swap_remove(1);
        assert_eq!(value("a = b"), "a=b");
        assert_eq!(value(" a b\t:  c = d "), "a b=c = d");
        assert_eq!(value("a ="), "a=");
        assert_eq!(value("a = 'b c' ; d"), "a=b c");
        assert_eq!(value("a = \" b \""), "a= b ");
        assert_eq!(value("a = \"b'"), "a=\"b'");
        assert_eq!(value("a = \"b\"c\""), "a=\"b\"c\"");
        assert_eq!(value("a = \"b;c\""), "a=\"b");
        assert_eq!(value("a = `b;c`"), "a=b;c");
        assert_eq!(value("a = `b`c`"), "a=b`c");
        assert_eq!(value("a = \"\"\"b\"c\"\"\""), "a=b\"c");
        assert_eq!(value("a = \"\"\"b\n c\n\"\"\""), "a=b\n c\n");
        assert_eq!(value("a = `b\nc`"), "a=b\nc");
        assert_eq!(value("a = `b\nc` \\\nd` # e"), "a=b\nc` \\\nd");
        assert_eq!(value("a = b \\\n  c;d \\\n e"), "a=b c;d e");
        assert_eq!(value("a = b\\\n\nc = d"), "a=b");
        assert_eq!(value("- = b"), "#1=b");
        assert_eq!(value("`a=b` = c"), "a=b=c");
        assert_eq!(value("\"\"\"a\"\"\" = c"), "a=c");
        assert_eq!(value("\"a:b\": c"), "a:b=c");
    }

    #[test]
    fn sections_and_comments_stand_in_the_order_of_sops() {
        let source = "\u{feff}; one\n;; two\nloose = 1\n# three\n[a]\n\n  # five\n\n# six\nk = 1 # seven\n[a]\nk = 2\n; eight\n";
        assert_eq!(
            listed(source),
            [
                "[DEFAULT]",
                "loose=1",
                "#one\n;; two",
                "[a]",
                "#three",
                "k=1",
                "#five\n# six",
                "#seven",
                "[a]",
                "k=2",
                "#eight"
            ]
        );
        assert_eq!(listed("k = 1\n; a\n[sops]\nmac = m\n"), ["[DEFAULT]", "k=1", "#a", "[sops]", "mac=m"]);
        assert_eq!(listed("; a\n"), ["[DEFAULT]", "#a"]);
    }

    #[test]
    fn documents_come_back_byte_for_byte() {
        for source in [
            "",
            "\n",
            "[a]",
            "[a]\n",
            "[a]\nk=v",
            "[a]\nk=v\n\n\n",
            "k = 1\n; c\n",
            "; c",
            "; a\n[s]\n;b\n#c\nk: v ; d\n\n[t]\nlong  = \"x y\"\ns     = 'z'\n",
            "[a]\r\n; c\r\n; d\r\nk = v\r\nl = \r\n\r\n[b]\r\n",
            "[a]\r\nk = v",
            "[a]\nk = \"\"\"multi\nline\"\"\" ; c\nb = `x;y`\n",
            "[a]\nk = one \\\n  two \\\n  three\nl = \\\n\nm = 1\n",
            "[a]\n  ; x\n\n  ; y\n  k = v\n",
            "[a]\nk = v\n; tail\n\n; tail\n",
            "[a]\n- = x\n- = y\n`k` = z\n[a]\nk=1\n",
        ] {
            assert_round_trip(Format::Ini, source);
        }
    }

    #[test]
    fn the_metadata_is_the_last_section() {
        let data = json!({"age": [{"enc": "a\nb\n", "recipient": "r"}], "mac": "m"});
        let with = |source: &str| {
            read(Format::Ini, source).put_metadata(Some(&data)).unwrap().apply(source).to_string()
        };
        let lines = "[sops]\nage__list_0__map_enc       = a\\nb\\n\nage__list_0__map_recipient = r\nmac                        = m";
        assert_eq!(with("[a]\nk=v\n"), format!("[a]\nk=v\n\n{lines}\n"));
        assert_eq!(with("[a]\nk=v"), format!("[a]\nk=v\n\n{lines}"));
        assert_eq!(with(""), format!("{lines}\n"));
        assert_eq!(with("[a]\r\nk=v\r\n"), format!("[a]\r\nk=v\r\n\r\n{}\r\n", lines.replace('\n', "\r\n")));
        let old = "[sops]\nage__list_0__map_enc = \"\"\"a\nb\n\"\"\"\nage__list_0__map_recipient=r\nlastmodified  = x\n\n[a]\nk = v";
        assert_eq!(with(old), old.replace("lastmodified  = x", "mac           = m"));
    }

    #[test]
    fn values_are_written_so_that_they_are_read_back() {
        let put = |source: &str, value: &str| {
            let document = read(Format::Ini, source);
            let leaf = document.tree().descendants(document.tree().documents()[0]).nth(1).unwrap();
            document.put_value(leaf, &Value::str(value)).map(|edits| edits.apply(source).to_string())
        };
        assert_eq!(put("[s]\nk=\n", "v").unwrap(), "[s]\nk=v\n");
        assert_eq!(put("[s]\nk = 'x' ; c\n", "it's").unwrap(), "[s]\nk = it's ; c\n");
        assert_eq!(put("[s]\nk = x\n", " v").unwrap(), "[s]\nk = \" v\"\n");
        assert_eq!(put("[s]\nk = x\n", "a;b").unwrap(), "[s]\nk = `a;b`\n");
        assert_eq!(put("[s]\nk = x\n", "\"v\"").unwrap(), "[s]\nk = `\"v\"`\n");
        assert_eq!(put("[s]\nk = x\n", "a`\nb").unwrap(), "[s]\nk = \"\"\"a`\nb\"\"\"\n");
        assert_eq!(put("[s]\nk = x\n", "v\\").unwrap(), "[s]\nk = \"v\\\"\n");
        assert_eq!(put("[s]\nk = x\n", "`\"\"\"\nb").unwrap_err().kind(), Kind::Emit);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_its_line() {
        let refused = |source: &str| refusal(Format::Ini, source);
        assert_eq!(
            refused("[a]\nk=1\n[b]\nk=1\nk=2"),
            "line 5: the key \"k\" of one section appears twice, on lines 4 and 5"
        );
        assert_eq!(refused("[sops]\n[sops]"), "line 2: the section [sops] appears twice, on lines 1 and 2");
        assert_eq!(refused("[a]\nk"), "line 2: a line that is not a section, comment or KEY = VALUE");
        assert_eq!(refused("[a"), "line 1: a section whose bracket is not closed");
        assert_eq!(refused("[]"), "line 1: a section without a name");
        assert_eq!(refused("[a] b"), "line 1: text after the bracket of a section, which sops would drop");
        assert_eq!(refused("[a] ; b"), "line 1: a comment after the bracket of a section");
        assert_eq!(refused("a = \"\"\""), "line 1: the quote around the value is not closed");
        assert_eq!(refused("= b"), "line 1: a key without a name");
        assert_eq!(refused("\"a = b"), "line 1: the quote around the key is not closed");
        assert_eq!(
            refused("`a` b = c"),
            "line 1: text between a quoted key and its \"=\", which sops would drop"
        );
        assert_eq!(refused("a = `b\nc"), "line 1: the quote around the value is not closed");
        assert_eq!(
            refused("a = `b` c"),
            "line 1: text after the closing quote of a value, which sops would drop"
        );
    }

    #[test]
    fn entries_and_sections_are_inserted_and_removed() {
        let source = "[a]\nk   = 1\nkey = 2\n\n[b]\nx=1";
        let document = read(Format::Ini, source);
        let (tree, root) = (document.tree(), document.tree().documents()[0]);
        let [a, b] = ["a", "b"].map(|name| tree.entry(source, root, name).unwrap());
        let key = tree.entry(source, a, "key").unwrap();
        let apply = |edits: Result<Edits>| edits.unwrap().apply(source).to_string();
        assert_eq!(
            apply(document.insert(a, Some("z"), None, &json!(1.5))),
            source.replace("\n\n", "\nz   = 1.5\n\n")
        );
        assert_eq!(
            apply(document.insert(a, Some("a=b"), Some(key), &json!("x"))),
            source.replace("key", "`a=b` = x\nkey")
        );
        assert_eq!(apply(document.insert(b, Some("y"), None, &json!(true))), format!("{source}\ny=true"));
        assert_eq!(
            apply(document.insert(root, Some("c"), None, &json!({"k": 1}))),
            format!("{source}\n\n[c]\nk = 1")
        );
        assert_eq!(apply(document.remove(&[key])), source.replace("key = 2\n", ""));
        assert_eq!(apply(document.remove(&[b])), "[a]\nk   = 1\nkey = 2");
        assert_eq!(apply(document.remove(&[a])), "\n[b]\nx=1");
        for (container, name, data) in
            [(root, "c", json!(1)), (a, "c", json!([])), (a, "-", json!(1)), (a, "x\ny", json!(1))]
        {
            assert_eq!(document.insert(container, Some(name), None, &data).unwrap_err().kind(), Kind::Emit);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_document_comes_back(
            source in "(a|b|k = v\n|\\[s\\]\n|\\[t\\]\n|; c|# d|;|#|=|:|\n|\r\n| |\t|\"|\"\"\"|'|`|\\\\|\\\\\n|é|-|x = ){0,14}"
        ) {
            if IniDocument::parse(SecretString::new(source.clone())).is_ok() {
                let encrypted = assert_round_trip(Format::Ini, &source);
                prop_assert_eq!(encrypted.ends_with('\n'), source.ends_with('\n') || source.is_empty());
                prop_assert!(encrypted.contains(TOKEN));
            }
        }
    }
}
