//! JSON texts with all the spellings of numbers and strings, and any white space.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Source;
use sealant::document::Format;

/// A JSON document.
pub fn json() -> impl Strategy<Value = Source> {
    (map(value()), select(vec!["", "\n", "\n\n", " "]), select(vec!["", "\n", "\u{feff}"]), any::<bool>())
        .prop_map(|(text, end, start, crlf)| {
            let text = format!("{start}{text}{end}");
            let text = if crlf { text.replace('\n', "\r\n") } else { text };
            Source { format: Format::Json, text }
        })
}

fn value() -> impl Strategy<Value = String> {
    let literal = select(vec![
        "0",
        "-0",
        "1",
        "-12",
        "1.0",
        "1.10",
        "1e3",
        "1E+2",
        "-2.5e-7",
        "9007199254740993",
        "9223372036854775807",
        "18446744073709551616",
        "1e21",
        "123456789012345678",
        "0.1",
        "true",
        "false",
        "null",
        "{}",
        "[]",
        "[ ]",
    ]);
    let leaf = prop_oneof![2 => literal.prop_map(str::to_owned), 3 => string()];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            map(inner.clone()),
            (vec(inner, 1..4), separator()).prop_map(|(items, comma)| format!("[{}]", items.join(&comma))),
        ]
    })
}

fn string() -> impl Strategy<Value = String> {
    let part = select(vec![
        "a",
        "bc",
        " ",
        "é",
        "😀",
        "'",
        "#",
        "<",
        "&",
        "\u{2028}",
        "\\n",
        "\\t",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u00e9",
        "\\u0041",
        "\\ud83d\\ude00",
        "\\u001F",
        "\\b",
        "\\u0000",
        "\u{7f}",
    ]);
    vec(part, 0..6).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn map(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let key = prop_oneof![8 => "[a-e]{1,2}", 2 => "[a-e]_unencrypted", 1 => select(vec!["", "é", "a b", "a:b"]).prop_map(str::to_owned)];
    (
        vec((key, inner), 0..4),
        separator(),
        select(vec![":", ": ", " : ", ":\n  "]),
        select(vec!["", " ", "\n\t"]),
    )
        .prop_map(|(entries, comma, colon, padding)| {
            let mut seen = Vec::new();
            let mut parts = Vec::new();
            for (name, value) in entries {
                if !seen.contains(&name) {
                    parts.push(format!("\"{name}\"{colon}{value}"));
                    seen.push(name);
                }
            }
            format!("{{{padding}{}{padding}}}", parts.join(&comma))
        })
}

fn separator() -> impl Strategy<Value = String> {
    select(vec![",", ", ", " ,\n", ",\n  ", ",\n\n\t"]).prop_map(str::to_owned)
}
