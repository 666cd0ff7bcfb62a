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
    let start = source[header_at..].find('\n').map_or(source.len(), |at| header_at + at + 1);
    let body = without_next_indent(source, start, content_end.max(start));
    let first = body.lines().find(|line| !is_blank(line));
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
    let last = &body[body.rfind('\n').map_or(0, |at| at + 1)..];
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

fn without_break(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest))
}

/// The parser may have gone on into the indentation of the next line.
fn without_next_indent(source: &str, start: usize, end: usize) -> &str {
    let body = source.get(start..end).unwrap_or_default();
    let last = body.rfind('\n').map_or(0, |at| at + 1);
    if end < source.len() && body[last..].trim_matches([' ', '\t']).is_empty() { &body[..last] } else { body }
}

/// Lines of blanks at the end are no part of the value, unless they are longer than the indent.
fn without_trailing_blank_lines(body: &str, indent: usize) -> &str {
    let mut kept = body;
    loop {
        let shorter = without_break(kept);
        let last = &shorter[shorter.rfind('\n').map_or(0, |at| at + 1)..];
        if shorter.is_empty() || !is_blank(last) || last.len() > indent {
            return kept;
        }
        kept = &shorter[..shorter.len() - last.len()];
    }
}
