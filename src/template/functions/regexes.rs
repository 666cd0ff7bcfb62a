//! Regular expressions, by the `regex` crate, which is linear as Go's are.
//!
//! Go's way to write one is changed into that crate's ([`translated`]). What differs: a text that is not UTF-8 is an error, one
//! that repeats repetitions gets too large earlier, names of Unicode's classes may be written in more ways, and letters that
//! came after Unicode 15 are known.

use std::fmt::Write;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::super::buffer::Buffer;
use super::super::error::Fault;
use super::super::run::Run;
use super::super::text::chars;
use super::super::unicode::{is_digit, is_letter};
use super::super::value::{List, Of, Value};
use super::{Function, Int, Result, Text, int, takes, text};

pub const TABLE: &[Function] = &[
    takes("regexMatch", &[Text, Text], |run, values| {
        let found = compiled(run, values)?;
        Ok(Value::Bool(found.is_some_and(|regex| regex.is_match(text(values, 1)))))
    }),
    takes("mustRegexMatch", &[Text, Text], |run, values| {
        let regex = compiled(run, values)?.ok_or(BAD)?;
        Ok(Value::Bool(regex.is_match(text(values, 1))))
    }),
    takes("regexFind", &[Text, Text], find),
    takes("mustRegexFind", &[Text, Text], find),
    takes("regexFindAll", &[Text, Text, Int], find_all),
    takes("mustRegexFindAll", &[Text, Text, Int], find_all),
    takes("regexSplit", &[Text, Text, Int], split),
    takes("mustRegexSplit", &[Text, Text, Int], split),
    takes("regexReplaceAll", &[Text, Text, Text], |run, values| replace(run, values, true)),
    takes("mustRegexReplaceAll", &[Text, Text, Text], |run, values| replace(run, values, true)),
    takes("regexReplaceAllLiteral", &[Text, Text, Text], |run, values| replace(run, values, false)),
    takes("mustRegexReplaceAllLiteral", &[Text, Text, Text], |run, values| replace(run, values, false)),
    takes("regexQuoteMeta", &[Text], |run, values| {
        let mut out = run.buffer();
        for byte in text(values, 0) {
            if br"\.+*?()|[]{}^$".contains(byte) {
                out.push(b"\\");
            }
            out.push(&[*byte]);
        }
        run.written(out)
    }),
];

/// A value can be in an expression, so nothing of it is shown.
const BAD: Fault = Fault::value("got a text that is not a regular expression");
const TOO_LARGE: Fault = Fault::bound("got a regular expression that is too large");

/// What an expression costs, in steps: the crate makes a program of it, of at most so many bytes.
const COST: usize = 5000;
const MAX_SIZE: usize = 1 << 18;
const MAX_PATTERN: usize = 4096;

fn regex(run: &mut Run, values: &[Value]) -> Result<Regex> {
    compiled(run, values)?.ok_or(BAD)
}

/// The regular expression in the first value, if it is one.
fn compiled(run: &mut Run, values: &[Value]) -> Result<Option<Regex>> {
    let pattern = text(values, 0);
    if std::str::from_utf8(text(values, 1)).is_err() {
        return Err(Fault::value("got a text that is not UTF-8"));
    }
    // Each character of the text may have to be held against each part of the program.
    run.steps(text(values, 1).len().saturating_mul(pattern.len()) / 64)?;
    if let Some(regex) = run.regex(pattern) {
        return Ok(Some(regex.clone()));
    }
    if pattern.len() > MAX_PATTERN {
        return Err(TOO_LARGE);
    }
    run.steps(COST)?;
    let Some(translated) = std::str::from_utf8(pattern).ok().and_then(translated) else { return Ok(None) };
    let built =
        RegexBuilder::new(&translated).size_limit(MAX_SIZE).dfa_size_limit(MAX_SIZE).nest_limit(100).build();
    match built {
        Ok(regex) => {
            run.keep_regex(pattern, regex.clone());
            Ok(Some(regex))
        }
        Err(regex::Error::CompiledTooBig(_)) => Err(TOO_LARGE),
        Err(_) => Ok(None),
    }
}

fn find(run: &mut Run, values: &[Value]) -> Result {
    let regex = regex(run, values)?;
    let found = regex.find(text(values, 1)).map(|found| found.as_bytes());
    run.copy(found.unwrap_or_default())
}

/// Where it matches, at most so often; all of them for a negative number.
fn matches(regex: &Regex, text: &[u8], count: i64) -> Vec<(usize, usize)> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = regex.find_iter(text).map(|found| (found.start(), found.end()));
    found.filter(|(from, to)| from != to || is_between(text, *from)).take(count).collect()
}

/// Whether a position is not within a character: there, Go finds no empty match.
fn is_between(text: &[u8], at: usize) -> bool {
    !(1..=at.min(3)).any(|back| chars(&text[at - back..]).next().is_some_and(|(_, length)| length > back))
}

fn find_all(run: &mut Run, values: &[Value]) -> Result {
    let regex = regex(run, values)?;
    let text = text(values, 1);
    let found: Vec<_> =
        matches(&regex, text, int(values, 2)).into_iter().map(|(from, to)| &text[from..to]).collect();
    if found.is_empty() {
        return Ok(Value::List(List::nil(Of::Texts)));
    }
    run.texts(&found)
}

/// `regexp.Split`
fn split(run: &mut Run, values: &[Value]) -> Result {
    let regex = regex(run, values)?;
    let (found, count) = (text(values, 1), int(values, 2));
    if count == 0 {
        return Ok(Value::List(List::nil(Of::Texts)));
    }
    if !text(values, 0).is_empty() && found.is_empty() {
        return run.texts(&[b""]);
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for (from, to) in matches(&regex, found, count) {
        if usize::try_from(count).is_ok_and(|count| parts.len() + 1 == count) {
            break;
        }
        end = from;
        if to != 0 {
            parts.push(&found[begin..end]);
        }
        begin = to;
    }
    if end != found.len() {
        parts.push(&found[begin..]);
    }
    run.texts(&parts)
}

fn replace(run: &mut Run, values: &[Value], expands: bool) -> Result {
    let regex = regex(run, values)?;
    let (found, replacement) = (text(values, 1), text(values, 2));
    let mut out = run.buffer();
    let mut from = 0;
    for captures in regex.captures_iter(found) {
        let Some(whole) = captures.get(0) else { continue };
        if whole.is_empty() && !is_between(found, whole.start()) {
            continue;
        }
        out.push(&found[from..whole.start()]);
        if expands {
            expand(&mut out, &regex, &captures, replacement);
        } else {
            out.push(replacement);
        }
        from = whole.end();
        if out.is_over() {
            break;
        }
    }
    out.push(&found[from..]);
    run.written(out)
}

/// `regexp.Expand`: `$1`, `${name}` and `$$`.
fn expand(out: &mut Buffer, regex: &Regex, captures: &Captures<'_>, template: &[u8]) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        out.push(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"$") {
            out.push(b"$");
            rest = after;
            continue;
        }
        let Some((name, after)) = group_name(rest) else {
            out.push(b"$");
            continue;
        };
        rest = after;
        let is_number =
            name.bytes().all(|byte| byte.is_ascii_digit()) && !(name.len() > 1 && name.starts_with('0'));
        let group = if is_number {
            name.parse().ok().and_then(|number: usize| captures.get(number))
        } else {
            let index = regex.capture_names().position(|known| known == Some(name));
            index.and_then(|index| captures.get(index))
        };
        out.push(group.map(|group| group.as_bytes()).unwrap_or_default());
    }
    out.push(rest);
}

fn group_name(text: &[u8]) -> Option<(&str, &[u8])> {
    let (text, is_braced) = match text.strip_prefix(b"{") {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let length: usize = chars(text)
        .take_while(|(char, _)| is_letter(*char) || is_digit(*char) || *char == '_')
        .map(|(_, length)| length)
        .sum();
    let name = std::str::from_utf8(&text[..length]).ok().filter(|name| !name.is_empty())?;
    let after = &text[length..];
    let after = if is_braced { after.strip_prefix(b"}")? } else { after };
    Some((name, after))
}

/// The classes of POSIX.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\t\n\x0c\r ";

/// An expression of Go's in the way in which the crate writes it, or none where Go has none.
fn translated(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut names = Vec::new();
    // What was just written can be repeated, and was not yet.
    let mut last = Last::Nothing;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        match next {
            '\\' => {
                rest = escape(after, &mut out, false)?;
                last = Last::Item;
            }
            '[' => {
                rest = class(after, &mut out)?;
                last = Last::Item;
            }
            '(' => {
                rest = group(after, &mut out, &mut names)?;
                last = Last::Nothing;
            }
            '*' | '+' | '?' | '{' => match (repetition(rest), last) {
                (Some(_), Last::Nothing) => return None,
                (Some(_), Last::Repetition) => return None,
                (Some(length), Last::Item) => {
                    let (operator, after) = rest.split_at(length);
                    if !is_moderate(operator) {
                        return None;
                    }
                    out.push_str(operator);
                    rest = after;
                    if let Some(after) = rest.strip_prefix('?') {
                        out.push('?');
                        rest = after;
                    }
                    last = Last::Repetition;
                }
                (None, _) => {
                    out.push_str(r"\{");
                    rest = after;
                    last = Last::Item;
                }
            },
            '|' => {
                out.push('|');
                rest = after;
                last = Last::Nothing;
            }
            '}' | ']' | '#' | '&' | '-' | '~' => {
                out.push('\\');
                out.push(next);
                rest = after;
                last = Last::Item;
            }
            _ => {
                out.push(next);
                rest = after;
                last = Last::Item;
            }
        }
    }
    Some(out)
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Item,
    Repetition,
}

/// How long the operator is that a text begins with; none for a `{` that is only a character.
fn repetition(text: &str) -> Option<usize> {
    if !text.starts_with('{') {
        return Some(1);
    }
    let end = text.find('}')?;
    let within = text.get(1..end)?;
    let is_number = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'))
    };
    let (least, most) = within.split_once(',').unwrap_or((within, ""));
    (is_number(least) && (most.is_empty() || is_number(most))).then_some(end + 1)
}

/// Whether an operator repeats no more often than Go allows.
fn is_moderate(operator: &str) -> bool {
    let mut counts = operator.split(|char: char| !char.is_ascii_digit()).filter(|count| !count.is_empty());
    counts.all(|count| count.parse::<usize>().is_ok_and(|count| count <= 1000))
}

/// What is written after a backslash, up to where it ends.
fn escape<'p>(text: &'p str, out: &mut String, is_in_class: bool) -> Option<&'p str> {
    let next = text.chars().next()?;
    let after = &text[next.len_utf8()..];
    let set = |out: &mut String, set: &str| {
        let _ = if is_in_class { write!(out, "{set}") } else { write!(out, "[{set}]") };
    };
    match next {
        'd' => set(out, "0-9"),
        'w' => set(out, WORD),
        's' => set(out, SPACE),
        'D' => out.push_str("[^0-9]"),
        'W' => {
            let _ = write!(out, "[^{WORD}]");
        }
        'S' => {
            let _ = write!(out, "[^{SPACE}]");
        }
        'b' | 'B' if !is_in_class => {
            let _ = write!(out, r"(?-u:\{next})");
        }
        'A' | 'z' if !is_in_class => {
            out.push('\\');
            out.push(next);
        }
        'Q' if !is_in_class => {
            let (literal, after) = after.split_once(r"\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(literal));
            return Some(after);
        }
        'p' | 'P' => {
            let (name, after) = match after.strip_prefix('{') {
                Some(named) => named.split_once('}')?,
                None => after.split_at(after.chars().next()?.len_utf8()),
            };
            let (name, is_negated) = match name.strip_prefix('^') {
                Some(name) => (name, true),
                None => (name, false),
            };
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return None;
            }
            let letter = if is_negated == (next == 'P') { 'p' } else { 'P' };
            let name = if name == "Any" { "any" } else { name };
            let _ = write!(out, r"\{letter}{{{name}}}");
            return Some(after);
        }
        'a' => out.push_str(r"\x07"),
        'f' => out.push_str(r"\x0c"),
        'n' => out.push_str(r"\n"),
        'r' => out.push_str(r"\r"),
        't' => out.push_str(r"\t"),
        'v' => out.push_str(r"\x0b"),
        'x' => {
            let (digits, after) = match after.strip_prefix('{') {
                Some(named) => named.split_once('}')?,
                None => after.split_at_checked(2)?,
            };
            let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
            char::from_u32(code)?;
            let _ = write!(out, r"\x{{{code:x}}}");
            return Some(after);
        }
        '0'..='7' => {
            let length = text.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            // \1 alone would be a reference to a group.
            if next != '0' && length == 1 {
                return None;
            }
            let code = u32::from_str_radix(&text[..length], 8).ok()?;
            let _ = write!(out, r"\x{{{code:x}}}");
            return Some(&text[length..]);
        }
        _ if next.is_ascii_punctuation() => out.push_str(&format!(r"\x{:02x}", u32::from(next))),
        _ => return None,
    }
    Some(after)
}

/// What is written after `[`, with its `]`.
fn class<'p>(text: &'p str, out: &mut String) -> Option<&'p str> {
    out.push('[');
    let mut rest = text;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut is_first = true;
    loop {
        let next = rest.chars().next()?;
        let after = &rest[next.len_utf8()..];
        match next {
            ']' if !is_first => {
                out.push(']');
                return Some(after);
            }
            '[' if after.starts_with(':') && after.contains(":]") => {
                let (name, after) = after.split_once(":]")?;
                if !CLASSES.contains(&name.trim_start_matches([':', '^'])) {
                    return None;
                }
                let _ = write!(out, "[{name}:]");
                rest = after;
            }
            '\\' => rest = escape(after, out, true)?,
            '-' => {
                // Go wants one that is itself to be at an end, or escaped; the crate takes it as it is where there is a range.
                if is_first || after.starts_with(']') {
                    out.push_str(r"\-");
                } else {
                    out.push('-');
                }
                rest = after;
            }
            '[' | ']' | '&' | '~' | '#' => {
                out.push('\\');
                out.push(next);
                rest = after;
            }
            _ => {
                out.push(next);
                rest = after;
            }
        }
        is_first = false;
    }
}

/// What is written after `(`, as far as it says of which kind it is.
fn group<'p>(text: &'p str, out: &mut String, names: &mut Vec<&'p str>) -> Option<&'p str> {
    out.push('(');
    let Some(after) = text.strip_prefix('?') else { return Some(text) };
    let named = after.strip_prefix("P<").or_else(|| after.strip_prefix('<'));
    if let Some(named) = named {
        let (name, after) = named.split_once('>')?;
        let fits = |char: char| char == '_' || char.is_ascii_alphanumeric();
        if name.is_empty() || !name.chars().all(fits) {
            return None;
        }
        // Of two with one name, the first has it.
        if !names.contains(&name) {
            names.push(name);
            let _ = write!(out, "?P<{name}>");
        }
        return Some(after);
    }
    let end = after.find([':', ')'])?;
    let flags = &after[..end];
    if !flags.chars().all(|char| matches!(char, 'i' | 'm' | 's' | 'U' | '-')) {
        return None;
    }
    out.push('?');
    out.push_str(&after[..=end]);
    Some(&after[end + 1..])
}
