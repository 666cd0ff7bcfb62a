//! Edits of a source text: ranges and what takes their place, applied in one pass.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::document::Span;
use crate::secret::SecretString;

/// Replacements of ranges of one source text. Ranges must not overlap; insertions are empty ranges.
#[derive(Debug, Clone, Default)]
pub struct Edits(Vec<Edit>);

#[derive(Debug, Clone)]
struct Edit {
    range: Range<usize>,
    text: SecretString,
}

impl Edits {
    /// One replacement of `span` by `text`.
    pub fn replace(span: Span, text: impl Into<String>) -> Self {
        let mut edits = Self::default();
        edits.push(span, text);
        edits
    }

    /// One insertion of `text` before the byte `at`.
    pub fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(Span::new(at, at), text)
    }

    pub fn push(&mut self, span: Span, text: impl Into<String>) {
        self.0.push(Edit { range: span.range(), text: Zeroizing::new(text.into()) });
    }

    /// Takes over all edits of another set; of two insertions at one place, the earlier added comes first.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The source with all edits in place.
    pub fn apply(mut self, source: &str) -> SecretString {
        self.0.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let removed: usize = self.0.iter().map(|edit| edit.range.len()).sum();
        let added: usize = self.0.iter().map(|edit| edit.text.len()).sum();
        let mut result = Zeroizing::new(String::with_capacity(source.len().saturating_sub(removed) + added));
        let mut at = 0;
        for edit in &self.0 {
            debug_assert!(edit.range.start >= at, "edits overlap at byte {}", edit.range.start);
            result.push_str(source.get(at..edit.range.start).unwrap_or_default());
            result.push_str(&edit.text);
            at = edit.range.end.max(at);
        }
        result.push_str(source.get(at..).unwrap_or_default());
        result
    }
}

/// The line end of a text: that of its first line.
pub(super) fn line_end(source: &str) -> &'static str {
    match source.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_in_the_order_of_the_source() {
        let mut edits = Edits::replace(Span::new(4, 5), "X");
        edits.merge(Edits::replace(Span::new(0, 1), "long"));
        edits.merge(Edits::insert(5, "!"));
        assert_eq!(*edits.apply("a b cd"), "long b X!d");
    }
}
