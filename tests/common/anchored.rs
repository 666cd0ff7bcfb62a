//! YAML texts with anchors of collections, and aliases of them in every place: from a list of numbers, so that whoever
//! makes the numbers finds small cases.

use std::fmt::Write;

/// What the leaves are.
const SCALARS: &[&str] = &[
    "text",
    "\"a, b\"",
    "'q: r'",
    "1.10",
    "0x1F",
    "true",
    "null",
    "~",
    "''",
    "2001-01-01",
    "!!str 5",
    "!own x",
    "a,b",
    "\"\\u00e9\\n\"",
    "-7",
    "1e3",
    "{}",
    "[]",
];

/// A document of as many entries as there are choices. Each is an anchor of a collection, which may have aliases of those
/// before it, or a use of one.
pub fn anchored(choices: &[(u8, u8, u8)]) -> String {
    let mut text = String::from("s: &s value\n");
    // Names with what they mean by now: whether it is a map.
    let mut known: Vec<(String, bool)> = Vec::new();
    for (at, &(kind, a, b)) in choices.iter().enumerate() {
        let scalar = |n: u8| SCALARS[usize::from(n) % SCALARS.len()];
        // A few names, so that some come to mean something else. Within its collection a name means that one.
        let name = format!("n{}", (usize::from(a) + at) % 4);
        let pick = |n: u8, maps: bool| {
            let fit: Vec<&String> = known
                .iter()
                .filter(|(other, map)| (*map || !maps) && *other != name)
                .map(|(name, _)| name)
                .collect();
            (!fit.is_empty()).then(|| format!("*{}", fit[usize::from(n) % fit.len()]))
        };
        let (any, map) = (pick(a, false), pick(b, true));
        let inner = any.clone().unwrap_or_else(|| "*s".to_owned());
        let (x, y) = (scalar(a), scalar(b));
        let mut define = |text: &mut String, value: &str, is_map: bool| {
            _ = writeln!(text, "k{at}: &{name} {value}");
            known.retain(|(other, _)| *other != name);
            known.push((name.clone(), is_map));
        };
        let merged = map.clone().unwrap_or_else(|| "{m: 1}".to_owned());
        let used = any.unwrap_or_else(|| "{u: 1}".to_owned());
        match kind % 12 {
            0 => define(&mut text, &format!("{{k: {y}, \"j\": [z, {inner}]}}"), true),
            1 => define(
                &mut text,
                &format!("\n  k: {x} # note\n  # above\n  j:\n    - {y}\n    - {inner}"),
                true,
            ),
            2 => define(&mut text, &format!("\n  - {x}\n  - k: {y}\n    j: {inner}"), false),
            3 => define(
                &mut text,
                &format!("!own\n  t: |\n    l {{}}\n    m\n  f: >-\n    x\n    y\n  <<: {merged}"),
                true,
            ),
            4 => _ = writeln!(text, "k{at}: {used}"),
            5 => _ = writeln!(text, "k{at}: {used} # behind"),
            6 => _ = writeln!(text, "k{at}:\n  <<: {merged}\n  own: {x}"),
            7 => _ = writeln!(text, "k{at}: {{<<: [{merged}, {{o: 1}}], z: {used}}}"),
            8 => _ = writeln!(text, "k{at}:\n- {used}\n-   {used}\n- - {used}\n  - {y}"),
            9 => _ = writeln!(text, "k{at}: [{used},{used}, {y}]"),
            10 => _ = writeln!(text, "? k{at}\n: {used}"),
            _ => _ = writeln!(text, "k{at}_unencrypted: {x}\nl{at}:\n  {used}"),
        }
    }
    text
}
