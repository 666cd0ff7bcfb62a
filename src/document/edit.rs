//! Edits of a source text: ranges and what takes their place, applied in one pass.

use crate::document::Span;
use crate::secret::SecretString;

/// Replacements of ranges of one source text. Ranges must not overlap; insertions are empty ranges.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    list: Vec<Edit>,
    /// The texts of all edits, one behind the other: documents can have hundreds of thousands.
    texts: SecretString,
}

#[derive(Debug, Clone, Copy)]
struct Edit {
    span: Span,
    text: Span,
}

impl Edits {
    /// One replacement of `span` by `text`.
    pub fn replace(span: Span, text: impl AsRef<str>) -> Self {
        let mut edits = Self::default();
        edits.push(span, text);
        edits
    }

    /// One insertion of `text` before the byte `at`.
    pub fn insert(at: usize, text: impl AsRef<str>) -> Self {
        Self::replace(Span::new(at, at), text)
    }

    /// One replacement of `span` by several texts behind one another.
    pub fn replace_by_parts(span: Span, parts: &[&str]) -> Self {
        let mut edits = Self::default();
        edits.texts.reserve_exact(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| edits.texts.push_str(part));
        edits.list.push(Edit { span, text: Span::new(0, edits.texts.len()) });
        edits
    }

    pub fn push(&mut self, span: Span, text: impl AsRef<str>) {
        let start = self.texts.len();
        self.texts.push_str(text.as_ref());
        self.list.push(Edit { span, text: Span::new(start, self.texts.len()) });
    }

    /// Takes over all edits of another set; of two insertions at one place, the earlier added comes first.
    pub fn merge(&mut self, other: Self) {
        if self.list.is_empty() {
            *self = other;
            return;
        }
        for edit in &other.list {
            self.push(edit.span, other.texts.get(edit.text.range()).unwrap_or_default());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The source with all edits in place.
    pub fn apply(mut self, source: &str) -> SecretString {
        // Wiping touches spare capacity, too, which until then takes no memory.
        self.texts.shrink_to_fit();
        self.list.sort_by_key(|edit| (edit.span.start(), edit.span.end()));
        let removed: usize = self.list.iter().map(|edit| edit.span.range().len()).sum();
        let length = (source.len() + self.texts.len()).saturating_sub(removed);
        let mut result = SecretString::new(String::with_capacity(length));
        let mut at = 0;
        for edit in &self.list {
            debug_assert!(edit.span.start() >= at, "edits overlap at byte {}", edit.span.start());
            result.push_str(source.get(at..edit.span.start()).unwrap_or_default());
            result.push_str(self.texts.get(edit.text.range()).unwrap_or_default());
            at = edit.span.end().max(at);
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
