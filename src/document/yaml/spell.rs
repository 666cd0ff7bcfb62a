//! How values are written in YAML: the style that go-yaml v3 chooses for a string, and each style's spelling.
//!
//! Own code: an edit replaces one token of a text, and no emitter writes a token for a given place and style.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::resolve::is_plain_string;
use crate::document::value::go_float_short;
use crate::document::{Style, Value};
use crate::secret::SecretString;

/// Where a scalar appears.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Inside a flow collection.
    pub flow: bool,
    /// Something follows on its line, such as a comment.
    pub one_line: bool,
    /// Spaces before the lines of a block scalar.
    pub indent: usize,
    /// The document's line break.
    pub newline: &'a str,
}

/// A block scalar's header: indicator, indentation digit, chomping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub folded: bool,
    pub digit: Option<u8>,
    pub chomp: Chomp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl Header {
    /// Reads the line that begins at a `|` or `>`.
    pub fn parse(line: &str) -> Option<Self> {
        let folded = match line.as_bytes().first()? {
            b'|' => false,
            b'>' => true,
            _ => return None,
        };
        let mut header = Self { folded, digit: None, chomp: Chomp::Clip };
        for byte in line.bytes().skip(1).take(2) {
            match byte {
                b'1'..=b'9' => header.digit = Some(byte - b'0'),
                b'-' => header.chomp = Chomp::Strip,
                b'+' => header.chomp = Chomp::Keep,
                _ => break,
            }
        }
        Some(header)
    }

    /// The indicators alone, without what follows them.
    pub fn indicators(&self) -> String {
        let mut text = String::from(if self.folded { '>' } else { '|' });
        text.extend(self.digit.map(|digit| (b'0' + digit) as char));
        text.push_str(match self.chomp {
            Chomp::Strip => "-",
            Chomp::Clip => "",
            Chomp::Keep => "+",
        });
        text
    }

    /// This header with the chomping that a text needs; `None` when no block scalar of this kind can hold it.
    pub fn for_text(&self, text: &str) -> Option<Self> {
        let body = text.strip_suffix('\n');
        let ends_twice = body.is_some_and(|body| body.is_empty() || body.ends_with('\n'));
        let chomp = match (self.chomp, body) {
            (_, None) => Chomp::Strip,
            (Chomp::Keep, Some(_)) => Chomp::Keep,
            (_, Some(_)) if ends_twice => Chomp::Keep,
            (_, Some(_)) => Chomp::Clip,
        };
        let starts_blank = text.trim_start_matches('\n').starts_with([' ', '\t']);
        let fits =
            !text.is_empty() && Traits::of(text).block_chars && (!starts_blank || self.digit.is_some());
        fits.then_some(Self { chomp, ..*self })
    }
}

/// Writes a value in the given style if it can carry it, else in the one that go-yaml would choose.
pub(super) fn value(value: &Value, style: Style, place: Place<'_>) -> SecretString {
    let text = match value {
        Value::Null => return Zeroizing::new("null".to_owned()),
        Value::Bool(bool) => return Zeroizing::new(bool.to_string()),
        Value::Int(int) => return Zeroizing::new(int.to_string()),
        Value::Float(number) => return Zeroizing::new(float(*number)),
        Value::Time(time) => return Zeroizing::new(time.clone()),
        Value::Str(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return binary(bytes),
        },
    };
    match style {
        Style::DoubleQuoted => double_quoted(text),
        // Inside a flow collection single quotes around a ciphertext mark a plain scalar (see `put_token`).
        Style::SingleQuoted if place.flow && Traits::of(text).can_be_plain(text, true) => plain(text),
        Style::SingleQuoted if Traits::of(text).single_quoted => single_quoted(text),
        Style::SingleQuoted => double_quoted(text),
        _ => string(text, place),
    }
}

/// Writes a string as go-yaml does: plain if that reads back as the same string, in quotes or as a literal otherwise.
pub(super) fn string(text: &str, place: Place<'_>) -> SecretString {
    let traits = Traits::of(text);
    if text.contains('\n') && !place.one_line && traits.block {
        let header = Header { folded: false, digit: None, chomp: Chomp::Clip };
        return match header.for_text(text) {
            Some(header) => {
                let lines = block_lines(text, header, place);
                Zeroizing::new(format!("{}{}{}", header.indicators(), place.newline, *lines))
            }
            None => double_quoted(text),
        };
    }
    if text.contains('\n') || !is_plain_string(text) || is_old_bool(text) || is_base60(text) {
        return double_quoted(text);
    }
    if traits.can_be_plain(text, place.flow) {
        plain(text)
    } else if traits.single_quoted {
        single_quoted(text)
    } else {
        double_quoted(text)
    }
}

fn plain(text: &str) -> SecretString {
    Zeroizing::new(text.to_owned())
}

fn binary(bytes: &[u8]) -> SecretString {
    use base64::Engine;
    let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(bytes));
    Zeroizing::new(format!("!!binary {}", *encoded))
}

/// A float as go-yaml writes it.
pub(super) fn float(float: f64) -> String {
    if float.is_nan() {
        ".nan".to_owned()
    } else if float.is_infinite() {
        if float > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        go_float_short(float, 6)
    }
}

pub(super) fn single_quoted(text: &str) -> SecretString {
    Zeroizing::new(format!("'{}'", text.replace('\'', "''")))
}

pub(super) fn double_quoted(text: &str) -> SecretString {
    let mut out = Zeroizing::new(String::with_capacity(text.len() + 2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => _ = write!(out, "\\x{:02X}", c as u32),
            c if (c as u32) < 0x1_0000 => _ = write!(out, "\\u{:04X}", c as u32),
            c => _ = write!(out, "\\U{:08X}", c as u32),
        }
    }
    out.push('"');
    out
}

/// The lines of a block scalar below its header, without the final line break; the header must be one that
/// [`Header::for_text`] gave.
pub(super) fn block_lines(text: &str, header: Header, place: Place<'_>) -> SecretString {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let mut out = Zeroizing::new(String::with_capacity(text.len() + 16));
    let mut lines = Zeroizing::new(Vec::new());
    if header.folded {
        unfold(body, &mut lines);
    } else {
        lines.extend(body.split('\n').map(str::to_owned));
    }
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push_str(place.newline);
        }
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', place.indent));
            out.push_str(line);
        }
    }
    out
}

/// The lines of a folded scalar that reads back as `body`: a break between two lines of text is written twice, one
/// next to a line that begins with a space is written as it is (YAML 1.2, 8.1.3).
fn unfold(body: &str, lines: &mut Vec<String>) {
    let is_text = |line: &str| !line.is_empty() && !line.starts_with([' ', '\t']);
    let mut before: Option<&str> = None;
    let mut gap = 0;
    for line in body.split('\n') {
        if line.is_empty() {
            gap += 1;
            continue;
        }
        let doubled = before.is_some_and(is_text) && is_text(line);
        let blanks = gap + usize::from(doubled);
        lines.extend(std::iter::repeat_n(String::new(), blanks));
        lines.push(line.to_owned());
        before = Some(line);
        gap = 0;
    }
    lines.extend(std::iter::repeat_n(String::new(), gap));
}

/// What a string's characters allow, after libyaml's `yaml_emitter_analyze_scalar` as go-yaml has it.
struct Traits {
    single_quoted: bool,
    /// go-yaml would write it as a block scalar.
    block: bool,
    /// A block scalar can hold its characters.
    block_chars: bool,
    plain_block: bool,
    plain_flow: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let special = text.chars().any(|c| c != '\n' && c != '\t' && (!is_printable(c) || c == '\u{feff}'));
        let tab = text.contains('\t');
        let breaks = text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        let space_break = text.contains(" \n");
        let break_space = text.contains("\n ");
        let edge = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
        let (flow_indicators, block_indicators) = indicators(text);
        let plain = !special && !tab && !space_break && !break_space && !breaks && !edge && !text.is_empty();
        Self {
            single_quoted: !special && !tab && !breaks,
            block: !special && !space_break && !text.ends_with(' '),
            block_chars: !special,
            plain_block: plain && !block_indicators,
            plain_flow: plain && !flow_indicators,
        }
    }

    fn can_be_plain(&self, text: &str, flow: bool) -> bool {
        (if flow { self.plain_flow } else { self.plain_block }) && is_plain_string(text)
    }
}

/// Whether a text has indicators that forbid it as a plain scalar in flow and in block context.
fn indicators(text: &str) -> (bool, bool) {
    let (mut flow, mut block) = (false, false);
    if text.starts_with("---") || text.starts_with("...") {
        (flow, block) = (true, true);
    }
    let mut before_blank = true;
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let blank_follows = chars.peek().is_none_or(|(_, next)| matches!(next, ' ' | '\t' | '\n' | '\r'));
        match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`'
                if at == 0 =>
            {
                (flow, block) = (true, true);
            }
            '?' | ':' if at == 0 => {
                flow = true;
                block |= blank_follows;
            }
            '-' if at == 0 && blank_follows => (flow, block) = (true, true),
            ',' | '?' | '[' | ']' | '{' | '}' => flow = true,
            ':' => {
                flow = true;
                block |= blank_follows;
            }
            '#' if before_blank => (flow, block) = (true, true),
            _ => {}
        }
        before_blank = matches!(c, ' ' | '\t' | '\n' | '\r');
    }
    (flow, block)
}

/// YAML's printable characters (without the byte order mark), as libyaml has them.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// YAML 1.1 booleans, which go-yaml reads as strings and quotes for the sake of other readers.
fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// YAML 1.1 numbers of base 60: `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`.
fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.contains(':') {
        return false;
    }
    let (main, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = main.split(':');
    let first = parts.next().unwrap_or_default();
    let sixty = |part: &str| match part.as_bytes() {
        [a] => a.is_ascii_digit(),
        [a, b] => (b'0'..=b'5').contains(a) && b.is_ascii_digit(),
        _ => false,
    };
    first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && parts.all(sixty)
        && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Place<'_> = Place { flow: false, one_line: false, indent: 4, newline: "\n" };

    #[test]
    fn strings_get_the_style_that_go_yaml_gives_them() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("123", "\"123\""),
            ("yes", "\"yes\""),
            ("1:30", "\"1:30\""),
            ("a: b", "'a: b'"),
            ("#x", "'#x'"),
            (" lead", "' lead'"),
            ("-", "'-'"),
            ("~", "\"~\""),
            ("it's", "it's"),
            ("'q", "'''q'"),
            ("tab\there", "\"tab\\there\""),
            ("\u{1}", "\"\\x01\""),
            ("é☃", "é☃"),
            ("a, b [c]", "a, b [c]"),
            ("trail \nnext", "\"trail \\nnext\""),
            ("multi\nline", "|-\n    multi\n    line"),
            ("multi\nline\n", "|\n    multi\n    line"),
            ("multi\nline\n\n", "|+\n    multi\n    line\n"),
            ("", "\"\""),
        ] {
            assert_eq!(*string(text, BLOCK), expected, "for {text:?}");
        }
        let flow = Place { flow: true, one_line: true, ..BLOCK };
        assert_eq!(*string("a, b", flow), "'a, b'");
        assert_eq!(*string("a\nb", flow), "\"a\\nb\"");
    }

    #[test]
    fn folded_scalars_are_unfolded() {
        let text = "one two\nthree\n  code\nfour";
        let header = Header::parse(">- # c").unwrap().for_text(text).unwrap();
        assert_eq!(*block_lines(text, header, BLOCK), "    one two\n\n    three\n      code\n    four");
    }
}
