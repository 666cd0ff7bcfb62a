//! YAML texts with all the spellings that people use: styles, indents, comments in every place, streams.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Source;
use sealant::document::Format;

/// A collection or a scalar, with how it is laid out.
#[derive(Debug, Clone)]
enum Node {
    /// A scalar or flow collection: what is behind the colon. Line breaks in it are indented when it is written.
    Inline(String),
    Block(Block),
    Map(Layout, Vec<Entry>),
    List(Layout, Vec<Item>),
}

#[derive(Debug, Clone)]
struct Block {
    /// Without the digit.
    indicators: (&'static str, &'static str),
    comment: Option<String>,
    lines: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Layout {
    indent: usize,
    /// Of a list below a key: its dashes are in the column of the key.
    flush: bool,
    /// Of what is in an item: it begins behind the dash.
    compact: bool,
    blanks: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    before: Vec<Gap>,
    key: String,
    node: Node,
    comment: Option<String>,
}

#[derive(Debug, Clone)]
struct Item {
    before: Vec<Gap>,
    node: Node,
    comment: Option<String>,
}

/// A line between two entries.
#[derive(Debug, Clone)]
enum Gap {
    Blank(usize),
    /// A comment in the column of the entry, or this far from it.
    Comment(isize, String),
}

/// A stream of documents whose bytes are kept: anchors, aliases and tags are in plaintext parts alone.
pub fn yaml() -> impl Strategy<Value = Source> {
    stream(false)
}

/// A stream of documents with anchors, aliases and tags anywhere.
pub fn marked_yaml() -> impl Strategy<Value = Source> {
    stream(true)
}

fn stream(marks: bool) -> impl Strategy<Value = Source> {
    (
        vec(document(marks), 1..=3),
        any::<bool>(),
        any::<bool>(),
        prop_oneof![5 => Just(false), 1 => Just(true)],
        prop_oneof![4 => Just("\n"), 1 => Just("\r\n")],
        prop_oneof![4 => Just(true), 1 => Just(false)],
    )
        .prop_map(|(documents, stream, marker, bom, newline, ends)| {
            let mut text = String::new();
            let count = if stream { documents.len() } else { 1 };
            for (at, document) in documents[..count].iter().enumerate() {
                if at > 0 || marker {
                    text.push_str("---\n");
                }
                text.push_str(document);
            }
            if !ends {
                text.truncate(text.trim_end_matches('\n').len());
            }
            let text = text.replace('\n', newline);
            Source { format: Format::Yaml, text: if bom { format!("\u{feff}{text}") } else { text } }
        })
}

/// One document, which ends in a line break.
fn document(marks: bool) -> impl Strategy<Value = String> {
    let layout = prop_oneof![5 => Just(0_usize), 1 => 1..4_usize];
    let block = (layout, entries(node(marks)), vec(gap(), 0..2), shared(), any::<bool>()).prop_map(
        move |(indent, entries, after, shared, closed)| {
            let mut text = String::new();
            if marks {
                text.push_str(&format!(
                    "{0:indent$}s: &s value\n{0:indent$}m_unencrypted: &m {{k: 1}}\n",
                    ""
                ));
            }
            write_map(&entries, indent, false, &mut text);
            for line in shared {
                text.push_str(&format!("{:indent$}{line}\n", ""));
            }
            write_gaps(&after, indent, &mut text);
            if closed && after.is_empty() {
                text.push_str("...\n");
            }
            text
        },
    );
    let flow = (flow_map(flow()), inline_comment()).prop_map(|(text, comment)| format!("{text}{comment}\n"));
    let empty = vec(gap(), 0..2).prop_map(|gaps| {
        let mut text = String::new();
        write_gaps(&gaps, 0, &mut text);
        text
    });
    prop_oneof![12 => block, 2 => flow, 1 => empty]
}

/// Anchors and their aliases, in a part that stays clear.
fn shared() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        6 => Just(vec![]),
        1 => Just(vec!["shared_unencrypted: &a value", "again_unencrypted: *a"]),
        1 => Just(vec!["shared_unencrypted: &a {x: 1, y: [2, z]}", "again_unencrypted: [*a, *a] # twice"]),
        1 => Just(vec!["shared_unencrypted: &a {x: 1}", "more_unencrypted: {<<: *a, z: !!str 3}"]),
    ]
}

fn node(marks: bool) -> impl Strategy<Value = Node> {
    let marked = select(vec![
        "*s",
        "*m",
        "&s other",
        "&t new",
        "!!str 1",
        "!!int 2",
        "!!float 3",
        "!!binary aGVsbG8=",
        "!own x",
        "!!str",
        "&t !!str x",
        "!!str &t 'x'",
        "!!null ''",
        "!!timestamp 2001-01-01",
        "[*s, *s]",
        "{<<: *m}",
        "&m {k: 2}",
        "&t",
        "!!str |\n text",
        "&t >-\n text",
    ]);
    let leaf = prop_oneof![
        6 => scalar().prop_map(Node::Inline),
        2 => block().prop_map(Node::Block),
        1 => flow().prop_map(Node::Inline),
        1 => many_lines().prop_map(Node::Inline),
        // The last, for smaller cases are looked for among those before.
        if marks { 3 } else { 0 } => marked.prop_map(|text| Node::Inline(text.to_owned())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let items = vec((vec(gap(), 0..2), inner.clone(), comment()), 1..4).prop_map(|items| {
            items.into_iter().map(|(before, node, comment)| Item { before, node, comment }).collect()
        });
        prop_oneof![
            (layout(), entries(inner)).prop_map(|(layout, entries)| Node::Map(layout, entries)),
            (layout(), items).prop_map(|(layout, items)| Node::List(layout, items)),
        ]
    })
}

fn layout() -> impl Strategy<Value = Layout> {
    (
        prop_oneof![3 => Just(2_usize), 2 => Just(4_usize), 1 => 1..7_usize],
        any::<bool>(),
        any::<bool>(),
        1..3_usize,
    )
        .prop_map(|(indent, flush, compact, blanks)| Layout { indent, flush, compact, blanks })
}

/// Entries of a map, each key once.
fn entries(node: impl Strategy<Value = Node>) -> impl Strategy<Value = Vec<Entry>> {
    vec((vec(gap(), 0..3), key(), node, comment()), 1..5).prop_map(|entries| {
        let mut seen = Vec::new();
        let mut kept = Vec::new();
        for (before, (name, key), node, comment) in entries {
            if !seen.contains(&name) {
                seen.push(name);
                kept.push(Entry { before, key, node, comment });
            }
        }
        kept
    })
}

/// A key and how it is spelled.
fn key() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        8 => "[a-e]{1,2}",
        2 => "[a-e]_unencrypted",
        1 => select(vec!["é", "a b", "a:b", "x/y.z", "-k", "no", "null_", "k#x", "123a"]).prop_map(str::to_owned),
    ];
    (name, 0..8).prop_map(|(name, style)| match style {
        0 => (name.clone(), format!("\"{name}\"")),
        1 => (name.clone(), format!("'{name}'")),
        _ => (name.clone(), name),
    })
}

fn gap() -> impl Strategy<Value = Gap> {
    prop_oneof![
        2 => select(vec![0_usize, 0, 0, 2]).prop_map(Gap::Blank),
        3 => (select(vec![0_isize, 0, 0, -9, -1, 1, 2]), comment_text()).prop_map(|(shift, text)| Gap::Comment(shift, text)),
    ]
}

fn comment_text() -> impl Strategy<Value = String> {
    prop_oneof![4 => " [a-z]{1,6}", 1 => "[!#]?[ a-zé:\"'-]{0,6}"]
}

fn comment() -> impl Strategy<Value = Option<String>> {
    prop_oneof![4 => Just(None), 1 => comment_text().prop_map(Some)]
}

fn inline_comment() -> impl Strategy<Value = String> {
    comment().prop_map(|comment| comment.map(|text| format!(" #{text}")).unwrap_or_default())
}

/// Scalars on one line, the odd spellings among them.
fn scalar() -> impl Strategy<Value = String> {
    let typed = select(vec![
        "1",
        "-7",
        "1.10",
        "1.0",
        "1e3",
        "12e03",
        "+12",
        "0x1F",
        "0o17",
        "0777",
        "0b11",
        "1_000",
        "-0",
        "0.0",
        "-0.0",
        ".5",
        "5.",
        ".inf",
        "-.INF",
        ".NaN",
        "9223372036854775807",
        "1e400",
        "true",
        "TRUE",
        "False",
        "yes",
        "on",
        "n",
        "~",
        "null",
        "Null",
        "",
        "2001-01-01",
        "2001-1-2",
        "2001-12-14t21:59:43.10-05:00",
        "2001-12-14 21:59:43.10",
        "1:30",
        "190:20:30",
        ".",
        "-",
        "0x",
        "08",
        "1__0",
        "_1",
        "=",
        "<<",
    ]);
    prop_oneof![
        3 => typed.prop_map(str::to_owned),
        4 => plain(),
        2 => double_quoted(),
        2 => single_quoted(),
    ]
}

fn plain() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        3 => "[a-z]{1,8}",
        2 => "[a-z0-9é☃/$(%@!*=+._-][a-z0-9é /:#=+*&!?,\\[{}\\].\"'|>@%`\\\\-]{0,10}",
    ];
    text.prop_filter("a plain scalar of YAML", |text: &String| {
        !text.starts_with(['!', '*', '%', '@', '-', '?'])
            && !text.contains(": ")
            && !text.contains(" #")
            && !text.ends_with([' ', ':'])
    })
}

fn double_quoted() -> impl Strategy<Value = String> {
    let part = select(vec![
        "a",
        "bc",
        " ",
        "é",
        "😀",
        "'",
        "#",
        ": ",
        "{",
        ",",
        "\\n",
        "\\t",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\\x41",
        "\\U0001F600",
        "\\e",
        "\\0",
        "\\N",
        "\\_",
        "\\L",
        "\\r",
    ]);
    vec(part, 0..6).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn single_quoted() -> impl Strategy<Value = String> {
    let part = select(vec!["a", "bc", " ", "é", "''", "\"", "\\", "#", ": ", "{", ",", "\\n"]);
    vec(part, 0..6).prop_map(|parts| format!("'{}'", parts.concat()))
}

/// Scalars in flow style over several lines.
fn many_lines() -> impl Strategy<Value = String> {
    let word = || "[a-z]{1,4}( [a-z]{1,3})?";
    (word(), select(vec!["\n", "\n\n", "\n\n\n"]), word(), select(vec!["", "'", "\""]))
        .prop_map(|(first, gap, second, quote)| format!("{quote}{first}{gap}{second}{quote}"))
}

fn block() -> impl Strategy<Value = Block> {
    let line = prop_oneof![
        4 => "[a-z#:-]{1,5}( [a-z]{1,3})?",
        1 => Just(String::new()),
        1 => " {1,2}[a-z]{1,3}",
        1 => "[a-z]{1,3} ",
        1 => "[a-z]\t[a-z]",
    ];
    (select(vec!["|", ">"]), select(vec!["", "-", "+"]), comment(), vec(line, 0..5))
        .prop_map(|(style, chomp, comment, lines)| Block { indicators: (style, chomp), comment, lines })
}

/// Scalars and collections in flow style.
fn flow() -> impl Strategy<Value = String> {
    flow_scalar().prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..3), separator())
                .prop_map(|(items, separator)| format!("[{}]", items.join(&separator))),
            flow_map(inner),
        ]
    })
}

fn flow_scalar() -> impl Strategy<Value = String> {
    scalar().prop_filter("a scalar of a flow collection", |text| {
        text.starts_with(['"', '\''])
            || (!text.is_empty()
                && text != "-"
                && text != "<<"
                && !text.contains([',', '[', ']', '{', '}', '?', ':', '#']))
    })
}

fn flow_map(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (vec((key(), inner), 0..3), separator(), any::<bool>()).prop_map(|(entries, separator, trailing)| {
        let mut seen = Vec::new();
        let mut parts = Vec::new();
        for ((name, key), value) in entries {
            if !seen.contains(&name) {
                seen.push(name);
                parts.push(format!("{key}: {value}"));
            }
        }
        let comma = if trailing && !parts.is_empty() { "," } else { "" };
        format!("{{{}{comma}}}", parts.join(&separator))
    })
}

fn separator() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(", ".to_owned()),
        1 => Just(" , ".to_owned()),
        1 => Just(",\n".to_owned()),
        1 => comment_text().prop_map(|text| format!(", #{text}\n")),
    ]
}

fn write_gaps(gaps: &[Gap], column: usize, out: &mut String) {
    for gap in gaps {
        match gap {
            Gap::Blank(blanks) => out.push_str(&" ".repeat(*blanks)),
            Gap::Comment(shift, text) => {
                out.push_str(&" ".repeat(column.saturating_add_signed(*shift)));
                out.push('#');
                out.push_str(text);
            }
        }
        out.push('\n');
    }
}

/// Writes entries of a map; the first is on the present line if something is there already.
fn write_map(entries: &[Entry], column: usize, started: bool, out: &mut String) {
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 || !started {
            write_gaps(&entry.before, column, out);
            out.push_str(&" ".repeat(column));
        }
        out.push_str(&entry.key);
        out.push(':');
        write_node(&entry.node, column, true, &entry.comment, out);
    }
}

fn write_list(layout: Layout, items: &[Item], column: usize, started: bool, out: &mut String) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 || !started {
            write_gaps(&item.before, column, out);
            out.push_str(&" ".repeat(column));
        }
        out.push('-');
        let inner = column + 1 + layout.blanks;
        match &item.node {
            Node::Map(inside, entries) if inside.compact => {
                out.push_str(&" ".repeat(layout.blanks));
                write_map(entries, inner, true, out);
            }
            Node::List(inside, items) if inside.compact => {
                out.push_str(&" ".repeat(layout.blanks));
                write_list(*inside, items, inner, true, out);
            }
            node => write_node(node, column, false, &item.comment, out),
        }
    }
}

/// Writes what comes after a colon or dash, up to the end of its last line.
fn write_node(node: &Node, column: usize, keyed: bool, comment: &Option<String>, out: &mut String) {
    let comment = comment.as_ref().map(|text| format!(" #{text}")).unwrap_or_default();
    match node {
        Node::Inline(text) => {
            let text = text.replace('\n', &format!("\n{}", " ".repeat(column + 1)));
            let blank = if text.is_empty() { "" } else { " " };
            out.push_str(&format!("{blank}{text}{comment}\n"));
        }
        Node::Block(block) => write_block(block, column, out),
        Node::Map(layout, entries) => {
            out.push_str(&format!("{comment}\n"));
            write_map(entries, column + layout.indent, false, out);
        }
        Node::List(layout, items) => {
            out.push_str(&format!("{comment}\n"));
            let indent = if keyed && layout.flush { 0 } else { layout.indent };
            write_list(*layout, items, column + indent, false, out);
        }
    }
}

fn write_block(block: &Block, column: usize, out: &mut String) {
    let (style, chomp) = block.indicators;
    let first = block.lines.iter().find(|line| !line.is_empty());
    let digit = if first.is_some_and(|line| line.starts_with(' ')) { "2" } else { "" };
    let comment = block.comment.as_ref().map(|text| format!(" #{text}")).unwrap_or_default();
    out.push_str(&format!(" {style}{digit}{chomp}{comment}\n"));
    for line in &block.lines {
        let indent = if line.is_empty() { 0 } else { column + 2 };
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
}
