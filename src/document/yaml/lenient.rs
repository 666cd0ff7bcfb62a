//! What a YAML text says, whatever of it sops or we could not take: keys of any type or twice, roots of any kind.
//!
//! For looking at files that do not parse, never for changing them. A text that is no YAML is read as far as it goes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScanError, Tag};

use super::parse::full_tag;
use super::resolve::resolve;
use crate::secret::SecretString;

/// How deep collections may be in one another, which takes memory before anything is read of them.
pub const MAX_LEVELS: usize = 10_000;

/// The most characters of a key, line breaks behind it among them: the parser waits for its end with all that is in it.
const MAX_KEY: usize = 1 << 20;

/// The most nodes that are read.
const MAX_NODES: usize = 1 << 22;

/// The nodes of a text in the order in which they begin.
#[derive(Default)]
pub struct Lenient {
    pub nodes: Vec<LenientNode>,
    /// All of the text was read.
    pub is_whole: bool,
    /// Not all was, since there is more than we read, or there may be.
    pub bound: Option<Bound>,
    /// Where the parser is stricter than other readers, what they would take instead.
    mend: Option<Mend>,
}

/// What to put in the place of some bytes.
type Mend = (Range<usize>, &'static str);

/// How often a text is mended, and how many bytes are read for that in all.
const MOST_MENDS: usize = 64;
const MOST_READ: usize = 1 << 26;

/// More than anything is indented that is no attack.
const INDENT: &str = "                                                                ";

/// What is read no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Levels,
    Key,
    Nodes,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Levels => {
                write!(
                    f,
                    "collections are nested more than {MAX_LEVELS} levels deep, too deep to look for Secrets"
                )
            }
            Self::Key => {
                write!(f, "a key may have more than {MAX_KEY} characters, too many to look for Secrets")
            }
            Self::Nodes => write!(f, "it has more than {MAX_NODES} values, too many to look for Secrets"),
        }
    }
}

/// A value, or the key of one.
pub struct LenientNode {
    /// The byte at which it begins.
    pub at: usize,
    pub kind: LenientKind,
}

/// What a node is. Other nodes are named by their positions.
pub enum LenientKind {
    /// What a scalar stands for, also where a tag spells it in base64.
    Scalar(SecretString),
    /// Keys and values, each key as often as it appears.
    Map(Vec<(usize, usize)>),
    List(Vec<usize>),
    /// `None` for an alias of nothing.
    Alias(Option<usize>),
}

impl Lenient {
    /// Reads a text.
    pub fn read(text: &str) -> Self {
        let mut options = granit_parser::Options::default();
        options.emit_unresolved_aliases = true;
        options.max_buffered_comment_events = usize::MAX;
        options.simple_key_max_lookahead = MAX_KEY;
        options.flow_nesting_limit = MAX_LEVELS;
        options.block_nesting_limit = MAX_LEVELS;
        let mut parser = Parser::new_from_str_with_options(text, options);
        let mut reader = Reader::default();
        while let Some(next) = parser.next_event() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    reader.read.bound = bound_of(&error, text);
                    reader.read.mend = mend(&error, text);
                    return reader.read;
                }
            };
            if reader.read.nodes.len() >= MAX_NODES {
                reader.read.bound = Some(Bound::Nodes);
                return reader.read;
            }
            reader.event(&event, span.start.byte_offset().unwrap_or(0));
        }
        reader.read.is_whole = true;
        reader.read
    }

    /// Reads a text that go-yaml may take although our parser does not; the other text is the one that was read, with as
    /// many lines.
    pub fn read_as_others(text: &str) -> (Self, Cow<'_, str>) {
        let (mut text, mut read) = (Cow::from(text), Self::read(text));
        let mut left = MOST_MENDS.min(MOST_READ / text.len().max(1));
        while let Some((place, instead)) = read.mend.take().filter(|_| left > 0) {
            text.to_mut().replace_range(place, instead);
            read = Self::read(&text);
            left -= 1;
        }
        (read, text)
    }

    /// The node that one stands for, be it by an alias.
    pub fn resolve(&self, node: usize) -> usize {
        // What an alias names is no alias.
        match self.nodes[node].kind {
            LenientKind::Alias(Some(target)) => target,
            _ => node,
        }
    }

    /// The text of a scalar, or of what an alias stands for; `None` for a collection.
    pub fn text(&self, node: usize) -> Option<&str> {
        match &self.nodes[self.resolve(node)].kind {
            LenientKind::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// Whether the parser may have ended at a bound. Where a key is too long it tells the begin of the key, or what comes behind
/// it and has no place there.
fn bound_of(error: &ScanError, text: &str) -> Option<Bound> {
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => Some(Bound::Levels),
        ErrorKind::SimpleKeyExpected if text.len() > MAX_KEY => Some(Bound::Key),
        _ if error.marker().index() > MAX_KEY => Some(Bound::Key),
        _ => None,
    }
}

/// What go-yaml takes: quoted texts over lines that are not indented, comments without a blank before them, and a dash as a
/// value in braces.
fn mend(error: &ScanError, text: &str) -> Option<Mend> {
    let at = error.marker().byte_offset()?;
    let (before, rest) = (text.get(..at)?, text.get(at..)?);
    match error.kind() {
        ErrorKind::InvalidQuotedScalarIndent | ErrorKind::TabInIndentation => {
            let line = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
            Some((line..line, INDENT))
        }
        ErrorKind::CommentNotSeparated if rest.starts_with('#') => Some((at..at, " ")),
        ErrorKind::PlainScalarStartsWithDashFlowIndicator if rest.starts_with('-') => Some((at..at + 1, "x")),
        _ => None,
    }
}

/// A collection that has not ended.
struct Open {
    node: usize,
    /// The key whose value comes next.
    key: Option<usize>,
}

#[derive(Default)]
struct Reader {
    read: Lenient,
    open: Vec<Open>,
    anchors: HashMap<usize, usize>,
}

impl Reader {
    fn event(&mut self, event: &Event<'_>, at: usize) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = *style == granit_parser::ScalarStyle::Plain;
                let text = meaning(text, is_plain, tag.as_deref());
                self.add(LenientKind::Scalar(text), *anchor, at);
            }
            Event::Alias(id) => {
                let target = self.anchors.get(id).copied();
                self.add(LenientKind::Alias(target), 0, at);
            }
            Event::UnresolvedAlias(_) => _ = self.add(LenientKind::Alias(None), 0, at),
            Event::MappingStart(_, anchor, _) => self.start(LenientKind::Map(Vec::new()), *anchor, at),
            Event::SequenceStart(_, anchor, _) => self.start(LenientKind::List(Vec::new()), *anchor, at),
            Event::MappingEnd | Event::SequenceEnd => _ = self.open.pop(),
            _ => {}
        }
    }

    fn start(&mut self, kind: LenientKind, anchor: usize, at: usize) {
        let node = self.add(kind, anchor, at);
        self.open.push(Open { node, key: None });
    }

    fn add(&mut self, kind: LenientKind, anchor: usize, at: usize) -> usize {
        let node = self.read.nodes.len();
        self.read.nodes.push(LenientNode { at, kind });
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        let Some(open) = self.open.last_mut() else { return node };
        match (&mut self.read.nodes[open.node].kind, open.key.take()) {
            (LenientKind::Map(entries), Some(key)) => entries.push((key, node)),
            (LenientKind::Map(_), None) => open.key = Some(node),
            (LenientKind::List(items), _) => items.push(node),
            (LenientKind::Scalar(_) | LenientKind::Alias(_), _) => {}
        }
        node
    }
}

/// The string that a scalar stands for, else its text.
fn meaning(text: &str, is_plain: bool, tag: Option<&Tag>) -> SecretString {
    let tag = tag.map(full_tag).filter(|tag| &**tag != "!");
    let value = tag.and_then(|tag| resolve(text, is_plain, Some(&tag)).ok());
    let own = value.as_ref().and_then(|value| value.as_str()).unwrap_or(text);
    SecretString::new(own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_too_deep_is_read_no_further() {
        for (begin, end) in [("[", "]"), ("{\"a\":", "}"), ("{a: ", "}")] {
            for (levels, expected) in [(MAX_LEVELS - 1, false), (MAX_LEVELS + 1, true)] {
                let read = Lenient::read(&format!("{}1{}", begin.repeat(levels), end.repeat(levels)));
                let bound = expected.then_some(Bound::Levels);
                assert_eq!((read.bound, read.is_whole), (bound, !expected), "{begin} {levels}");
            }
            assert_eq!(Lenient::read(&begin.repeat(MAX_LEVELS + 1)).bound, Some(Bound::Levels), "{begin}");
        }
        let read = Lenient::read("a: [\n");
        assert!(!read.is_whole && read.bound.is_none());
    }

    #[test]
    fn what_only_our_parser_refuses_is_mended_a_few_times() {
        for text in [
            "a: \"x\ny\"\nb: c",
            "a: 'x\n\ty'",
            "a: \"x\"#c",
            "a: |#c\n b\n",
            "a: [-]",
            "a: [-,b]",
            "a: [x]#c\n",
        ] {
            assert!(!Lenient::read(text).is_whole, "{text}");
            let (read, mended) = Lenient::read_as_others(text);
            assert!(read.is_whole && mended.lines().count() == text.lines().count(), "{text}");
        }
        assert!(!Lenient::read_as_others("a: [}").0.is_whole);
        assert!(!Lenient::read_as_others(&"- [-]\n".repeat(MOST_MENDS + 1)).0.is_whole);
    }

    #[test]
    fn what_ends_at_a_bound_is_told() {
        let breaks = |count: usize| Lenient::read(&format!("{{\"kind\"{}: Secret}}", "\n".repeat(count)));
        assert!(breaks(70_000).is_whole);
        for read in [
            breaks(MAX_KEY + 1),
            Lenient::read(&format!("{{{}: b}}", "a".repeat(MAX_KEY + 1))),
            Lenient::read(&format!("{}: b", "a".repeat(MAX_KEY + 1))),
            Lenient::read(&format!("a: b\n[{}]: b", "a, ".repeat(MAX_KEY / 2))),
        ] {
            assert_eq!((read.bound, read.is_whole), (Some(Bound::Key), false));
        }
    }
}
