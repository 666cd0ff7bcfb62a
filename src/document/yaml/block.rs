//! Where the lines of a block scalar begin and end.
//!
//! The parser's span of one may lack leading blank lines and run into trailing ones; what may be replaced are the
//! lines that make its value, from the beginning of the first to the end of the last.

use super::spell::{Chomp, Header};
use crate::document::Span;

/// The lines of a block scalar.
pub(super) struct Lines<'t> {
    /// From the line below the header to the end of the last line, its break left out; where there are no lines, the
    /// end of the header's line.
    pub span: Span,
    /// The value as go-yaml reads it.
    pub text: &'t str,
}

/// Finds the lines of the block scalar whose header begins at `header_at`, whose content the parser saw ending at
/// `content_end`, and whose value it read as `text`. An error says why go-yaml cannot read it.
pub(super) fn lines<'t>(
    source: &str,
    header_at: usize,
    content_end: usize,
    text: &'t str,
) -> Result<Lines<'t>, &'static str> {
    let header = Header::parse(&source[header_at..]).ok_or("a block scalar without an indicator")?;
    let start = header_at + first_line(&source[header_at..]).len();
    let body = without_next_indent(source, start, content_end.max(start));
    let first = lines_of(body).find(|line| !is_blank(line));
    if header.digit.is_none() && first.is_some_and(|line| line.trim_start_matches(' ').starts_with('\t')) {
        return Err("a tab in the indentation of a block scalar");
    }
    let inner = text.lines().find(|line| !line.is_empty()).map_or(0, blanks);
    let indent = first.map_or(usize::MAX, |line| blanks(line).saturating_sub(inner));
    let kept = match header.chomp {
        Chomp::Keep => body,
        Chomp::Clip | Chomp::Strip => without_trailing_blank_lines(body, indent),
    };
    // At the end of a file without a final line break, go-yaml's scalar has none either.
    let last = last_line(body);
    let is_content = !is_blank(last) || last.len() > indent;
    let ends_file = start + body.len() == source.len() && is_content;
    let text = if ends_file { text.strip_suffix('\n').unwrap_or(text) } else { text };
    let span = match kept.is_empty() {
        true => {
            let header_end = without_break(&source[..start]).len();
            Span::new(header_end, header_end)
        }
        false => Span::new(start, start + without_break(kept).len()),
    };
    Ok(Lines { span, text })
}

fn blanks(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_blank(line: &str) -> bool {
    line.trim_matches(' ').is_empty()
}

/// What YAML takes for the end of a line: a line feed, a carriage return, or both.
const BREAKS: [char; 2] = ['\n', '\r'];

/// The first line with its break.
fn first_line(text: &str) -> &str {
    let end =
        text.find(BREAKS).map_or(text.len(), |at| at + if text[at..].starts_with("\r\n") { 2 } else { 1 });
    &text[..end]
}

/// What follows the last break.
fn last_line(text: &str) -> &str {
    &text[text.rfind(BREAKS).map_or(0, |at| at + 1)..]
}

/// All lines, without their breaks.
fn lines_of(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let line = first_line(text);
        text = &text[line.len()..];
        (!line.is_empty()).then(|| without_break(line))
    })
}

fn without_break(text: &str) -> &str {
    let rest = text.strip_suffix('\n').unwrap_or(text);
    rest.strip_suffix('\r').unwrap_or(rest)
}

/// The parser may have gone on into the indentation of the next line.
fn without_next_indent(source: &str, start: usize, end: usize) -> &str {
    let body = source.get(start..end).unwrap_or_default();
    let last = last_line(body);
    let is_indentation = end < source.len() && last.trim_matches([' ', '\t']).is_empty();
    if is_indentation { &body[..body.len() - last.len()] } else { body }
}

/// Lines of spaces at the end are no part of the value, unless they are longer than the indent.
fn without_trailing_blank_lines(body: &str, indent: usize) -> &str {
    let mut kept = body;
    loop {
        let shorter = without_break(kept);
        let last = last_line(shorter);
        if shorter.is_empty() || !is_blank(last) || last.len() > indent {
            return kept;
        }
        kept = &shorter[..shorter.len() - last.len()];
    }
}
