//! Texts of the formats that go by lines: dotenv and INI.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Source;
use sealant::document::Format;

/// Joins lines, with or without a last line break.
fn joined(format: Format) -> impl Fn((Vec<String>, &'static str, bool)) -> Source {
    move |(lines, newline, ends)| {
        let text = lines.join(newline);
        Source { format, text: if ends && !lines.is_empty() { text + newline } else { text } }
    }
}

fn newline() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("\n"), 1 => Just("\r\n")]
}

fn comment() -> impl Strategy<Value = String> {
    "[ a-z#;:'\"=é]{0,8}"
}

/// A dotenv file.
pub fn dotenv() -> impl Strategy<Value = Source> {
    let name = prop_oneof![6 => "[A-C]{1,2}", 1 => "[A-C]_unencrypted", 1 => "export [A-C]", 1 => "[A-C] "];
    let value = prop_oneof![3 => "[a-z0-9]{0,8}", 2 => "[ a-z#=\"'\\\\$é:]{0,8}", 1 => "[a-z]\\\\n[a-z]"];
    let line = prop_oneof![
        5 => (name, value).prop_map(|(name, value)| format!("{name}={value}")),
        1 => comment().prop_map(|text| format!("#{text}")),
        1 => Just(String::new()),
    ];
    (vec(line, 1..8), newline(), any::<bool>()).prop_map(joined(Format::Dotenv))
}

/// An INI file.
pub fn ini() -> impl Strategy<Value = Source> {
    let sign = select(vec!["=", " = ", ":", "  =  ", "= "]);
    let value = prop_oneof![
        4 => "[a-z0-9/.]{1,8}",
        1 => "[a-z][ a-z,=é]{0,6}[a-z]",
        1 => "\"[ a-z;#]{0,6}\"",
        1 => "`[ a-z;#]{0,6}`",
        1 => "'[a-z]{1,3}'",
        1 => Just(String::new()),
    ];
    let entry = (sign, value, prop_oneof![4 => Just(""), 1 => Just(" ; c"), 1 => Just("  ")]);
    let line = prop_oneof![
        5 => entry.prop_map(|(sign, value, end)| Line::Entry(format!("{sign}{value}{end}"))),
        1 => (select(vec![";", "#", "; "]), comment()).prop_map(|(mark, text)| Line::Text(format!("{mark}{text}"))),
        1 => Just(Line::Text(String::new())),
        1 => Just(Line::Section),
    ];
    // Names are given by number: an INI file has each key once in a section.
    let numbered = vec(line, 1..8).prop_map(|lines| {
        let name = |(at, line)| match line {
            Line::Entry(rest) if at % 4 == 3 => format!("k{at}_unencrypted{rest}"),
            Line::Entry(rest) => format!("k{at}{rest}"),
            Line::Section => format!("[s{at}]"),
            Line::Text(text) => text,
        };
        lines.into_iter().enumerate().map(name).collect()
    });
    (numbered, newline(), any::<bool>()).prop_map(joined(Format::Ini))
}

#[derive(Debug, Clone)]
enum Line {
    Entry(String),
    Section,
    Text(String),
}
