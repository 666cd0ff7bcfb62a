//! The YAML of a config as a tree in which every key and value knows its line.
//!
//! Owns the reading of events, aliases and merge keys. It knows no schema. Only a config comes through here, which
//! holds no secrets: documents have a reader of their own that keeps their bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle};

use crate::error::{Error, Kind, Result};
use crate::hints::yaml_error;

/// How many nodes a config may have once its aliases are expanded.
const MAX_NODES: usize = 100_000;

/// How deep an aliased value may be. Without a bound, aliases of aliases would go deeper than the stack.
const MAX_ALIASED_DEPTH: usize = 64;

/// A value and the 1-based line on which it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
    /// Whether an anchor is on it or inside of it.
    pub(super) anchored: bool,
    /// As it is written, where that takes several lines: a folded list of keys does.
    written: Option<Arc<str>>,
}

impl Node {
    /// The 1-based line on which a part of the text is; the first one where that cannot be seen, as it has escapes.
    pub(super) fn line_of(&self, part: &str) -> usize {
        let lines = self.written.iter().flat_map(|written| written.lines());
        self.line + lines.map(|line| line.contains(part)).position(|holds| holds).unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Scalar { text: String, quoted: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Node,
}

impl Value {
    /// What it is, in words for an error message.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar { .. } => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// The first document of a YAML text, and the line on which a second one begins, if there is one.
pub(super) fn parse(text: &str) -> Result<(Node, Option<usize>)> {
    let mut builder =
        Builder { text, parser: Parser::new_from_str(text), last: 1, anchors: BTreeMap::new(), nodes: 0 };
    let root = loop {
        match builder.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd, line) => {
                return Ok((Node { line, value: Value::Null, anchored: false, written: None }, None));
            }
            (event, line) => break builder.node(event, line)?,
        }
    };
    loop {
        match builder.next()? {
            (Event::DocumentStart(..), line) => return Ok((root, Some(line))),
            (Event::StreamEnd, _) => return Ok((root, None)),
            _ => {}
        }
    }
}

struct Builder<'a> {
    text: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    /// The line on which the last event ended.
    last: usize,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    /// The next event that is no comment, with its line.
    fn next(&mut self) -> Result<(Event<'a>, usize)> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    self.last = span.end.line();
                    return Ok((event, span.start.line()));
                }
                Some(Err(error)) => return Err(yaml_error(Kind::Config, &error, self.text)),
                None => return Ok((Event::StreamEnd, 1)),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize) -> Result<Node> {
        self.count(1, line)?;
        let written = (matches!(event, Event::Scalar(..)) && self.last > line).then(|| {
            let lines = self.text.lines().skip(line - 1).take(self.last - line + 1);
            Arc::from(lines.collect::<Vec<_>>().join("\n"))
        });
        let (value, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, line),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted =
                    style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let null = !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let scalar = || Value::Scalar { text: text.into_owned(), quoted };
                (if null { Value::Null } else { scalar() }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map()?, anchor),
            _ => return Err(Error::new(Kind::Config, "not a value").on_line(line)),
        };
        let anchored = anchor != 0
            || match &value {
                Value::List(items) => items.iter().any(|item| item.anchored),
                Value::Map(entries) => entries.iter().any(|entry| entry.value.anchored),
                _ => false,
            };
        let node = Node { line, value, anchored, written };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// A copy of the anchored node. Its lines stay those of the definition: that is where a mistake is mended.
    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node> {
        let target = self.anchors.get(&anchor);
        let mut node = target.cloned().ok_or_else(|| {
            Error::new(Kind::Config, "an alias appears inside its own anchor").on_line(line)
        })?;
        node.anchored = false;
        let (size, depth) = measure(&node);
        if depth > MAX_ALIASED_DEPTH {
            let message =
                format!("the value of this alias is nested more than {MAX_ALIASED_DEPTH} levels deep");
            return Err(Error::new(Kind::Config, message).on_line(line));
        }
        self.count(size, line)?;
        Ok(node)
    }

    fn list(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, line) => items.push(self.node(event, line)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, line) => (self.node(event, line)?.value, line),
            };
            let Value::Scalar { text: key, quoted } = key else {
                return Err(Error::new(Kind::Config, "a key has to be a string").on_line(line));
            };
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line)?;
            if key == "<<" && !quoted {
                merged.extend(merge_sources(value)?);
                continue;
            }
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let message = format!("key `{key}` appears twice; the first is on line {}", first.line);
                return Err(Error::new(Kind::Config, message).on_line(line));
            }
            entries.push(Entry { key, line, value });
        }
        for entry in merged {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry);
            }
        }
        Ok(Value::Map(entries))
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<()> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("the config has more than {MAX_NODES} values, aliases expanded");
            return Err(Error::new(Kind::Config, message).on_line(line));
        }
        Ok(())
    }
}

/// How many nodes there are in a node, and how deep they are nested.
fn measure(node: &Node) -> (usize, usize) {
    let add = |(size, depth): (usize, usize), inner: &Node| {
        let (inner_size, inner_depth) = measure(inner);
        (size + inner_size, depth.max(inner_depth + 1))
    };
    match &node.value {
        Value::Null | Value::Scalar { .. } => (1, 1),
        Value::List(items) => items.iter().fold((1, 1), add),
        Value::Map(entries) => entries.iter().map(|entry| &entry.value).fold((1, 1), add),
    }
}

/// The entries that a merge key brings in: of a mapping, or of each mapping of a list, the first one winning.
fn merge_sources(node: Node) -> Result<Vec<Entry>> {
    match node.value {
        Value::Map(entries) => Ok(entries),
        Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => Ok(items
            .into_iter()
            .map(merge_sources)
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect()),
        other => {
            let message = format!("`<<` merges mappings, not {}", other.describe());
            Err(Error::new(Kind::Config, message).on_line(node.line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Scalar { text, .. } => format!("{text}@{}", node.line),
            Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entry = |entry: &Entry| format!("{}@{}:{}", entry.key, entry.line, show(&entry.value));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn tree(text: &str) -> String {
        parse(text).map(|(node, _)| show(&node)).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn keys_and_values_know_their_lines() {
        assert_eq!(tree("# head\na: 1\nb:\n  - x\n  - {c: ~}\n"), "{a@2:1@2 b@3:[x@4 {c@5:null}]}");
        assert_eq!(tree("a: |\n  text\n"), "{a@1:text\n@2}");
    }

    #[test]
    fn an_alias_is_what_it_stands_for() {
        assert_eq!(tree("k: &k\n  - x\na: *k\n"), "{k@1:[x@2] a@3:[x@2]}");
        assert_eq!(
            tree("k: &k {a: 1, b: 2}\nm:\n  <<: *k\n  a: 3\n"),
            "{k@1:{a@1:1@1 b@1:2@1} m@2:{a@4:3@4 b@1:2@1}}"
        );
        assert_eq!(tree("a: {<<: [{x: 1}, {x: 2, y: 3}]}"), "{a@1:{x@1:1@1 y@1:3@1}}");
    }

    #[test]
    fn an_empty_text_is_nothing() {
        assert_eq!(tree(""), "null");
        assert_eq!(tree("# only a comment\n"), "null");
        assert_eq!(tree("---\n"), "null");
    }

    #[test]
    fn a_second_document_is_seen() {
        assert_eq!(parse("a: 1\n---\nb: 2\n").unwrap().1, Some(2));
        assert_eq!(parse("--- \na: 1\n...\n").unwrap().1, None);
    }

    #[test]
    fn what_is_no_config_is_refused_with_its_line() {
        assert_eq!(tree("a: 1\nb: 2\na: 3\n"), "line 3: key `a` appears twice; the first is on line 1");
        assert_eq!(tree("a: 1\n? [x]\n: 2\n"), "line 2: a key has to be a string");
        assert_eq!(tree("a:\n  <<: x\n"), "line 2: `<<` merges mappings, not a string");
        assert_eq!(tree("a:\n  b: [\n"), "line 2: broken YAML: unclosed bracket '['");
        assert!(tree("a: *nope\n").starts_with("line 1: broken YAML: "), "{}", tree("a: *nope\n"));
        assert_eq!(tree("a: &a [*a]\n"), "line 1: an alias appears inside its own anchor");
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..10 {
            let items = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert_eq!(tree(&text), "line 5: the config has more than 100000 values, aliases expanded");
    }

    #[test]
    fn aliases_cannot_go_deeper_than_the_stack() {
        let mut text = "a0: &a0 x\n".to_owned();
        for level in 1..9 {
            let (open, close) = ("[".repeat(30), "]".repeat(30));
            text.push_str(&format!("a{level}: &a{level} {open}*a{}{close}\n", level - 1));
        }
        assert_eq!(tree(&text), "line 5: the value of this alias is nested more than 64 levels deep");
    }
}
