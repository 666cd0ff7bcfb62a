//! YAML that go-yaml v3 cannot read, or reads as something else than the parser does.
//!
//! sops could not read such a file back, or would compute another MAC: it is refused by name. Found by comparing the two
//! over the YAML test suite; facts about `scannerc.go` of `go.yaml.in/yaml/v3`.

/// The offset in a gap between two tokens of block context at which a line is indented with a tab that go-yaml does not
/// take; `begins_line` says whether the gap begins with a line. Blank lines behind a plain scalar are read as if they
/// were within it, so tabs may stand to the right of `plain`, the column of its collection.
pub(super) fn tab_in_indentation(gap: &str, begins_line: bool, plain: Option<usize>) -> Option<usize> {
    let (mut start, mut plain) = (0, plain);
    for (number, line) in gap.split_inclusive('\n').enumerate() {
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tab = line[..blanks].find('\t').filter(|_| begins_line || number > 0);
        if tab.is_some_and(|tab| plain.is_none_or(|column| tab <= column)) {
            return Some(start);
        }
        plain = plain.filter(|_| line.trim().is_empty());
        start += line.len();
    }
    None
}

/// Whether a tab follows a dash on its line.
pub(super) fn tab_behind(after_dash: &str) -> bool {
    after_dash[..after_dash.len() - after_dash.trim_start_matches([' ', '\t']).len()].contains('\t')
}

/// Whether a double-quoted token holds the escape `\/`, which go-yaml does not know.
pub(super) fn has_escaped_slash(token: &str) -> bool {
    let mut escaped = false;
    token.chars().any(|c| {
        let found = escaped && c == '/';
        escaped = c == '\\' && !escaped;
        found
    })
}

/// Whether go-yaml reads an anchor of this name to its end.
pub(super) fn is_anchor_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Why go-yaml reads a plain scalar inside a flow collection as something else, if it does. `after` is the text that
/// follows it.
pub(super) fn plain_in_flow(token: &str, after: &str) -> Option<&'static str> {
    match token.as_bytes().first() {
        Some(b'?') => return Some("a plain text that begins with `?` inside braces or brackets"),
        Some(b':') => return Some("a plain text that begins with `:` inside braces or brackets"),
        _ => {}
    }
    let mark_ends = token.ends_with('?') && after.starts_with([' ', '\t', '\r', '\n']);
    if mark_ends || token.contains("? ") || token.contains("?\t") || token.contains("?\n") {
        return Some("a question mark before a space inside braces or brackets");
    }
    None
}

/// Whether a text that follows a plain key inside a flow collection begins with a colon that go-yaml takes for part of
/// the key: without a blank behind it, and without a value.
pub(super) fn is_colon_of_key(after: &str) -> bool {
    after.strip_prefix(':').is_some_and(|rest| rest.starts_with([',', '}', ']']))
}

/// The offset of the `?` of an explicit key in the gap before the key's token.
pub(super) fn question_mark(gap: &str) -> Option<usize> {
    if !gap.contains('?') {
        return None;
    }
    let (mut found, mut comment, mut before) = (None, false, ' ');
    for (at, c) in gap.char_indices() {
        let begins = matches!(before, ' ' | '\t' | '\n' | '\r' | ',' | '{' | '[' | '}' | ']' | '"' | '\'');
        comment = c != '\n' && (comment || (c == '#' && begins));
        if c == '?' && !comment && begins && gap[at + 1..].chars().next().is_none_or(char::is_whitespace) {
            found = Some(at);
        }
        before = c;
    }
    found
}

/// Whether a key is plain, given all that is spelled of it: `?`, anchor and tag included. `!!str` is as good as quotes.
pub(super) fn is_bare(key: &str) -> bool {
    let mut rest = behind_comments(key.strip_prefix('?').unwrap_or(key));
    while rest.starts_with(['&', '!']) {
        let word = rest.split_whitespace().next().unwrap_or_default();
        if word == "!!str" {
            return false;
        }
        rest = behind_comments(&rest[word.len()..]);
    }
    !rest.starts_with(['"', '\'', '|', '>'])
}

/// Where the anchor and the tag with which a line begins are in it, if it has them.
pub(super) fn properties(line: &str) -> Option<(usize, usize)> {
    let start = line.len() - line.trim_start_matches([' ', '\t']).len();
    let mut end = start;
    loop {
        let blanks = line[end..].len() - line[end..].trim_start_matches([' ', '\t']).len();
        let rest = &line[end + blanks..];
        if !rest.starts_with(['&', '!']) {
            return (end > start).then_some((start, end));
        }
        end += blanks + rest.find([' ', '\t', '\r', '\n']).unwrap_or(rest.len());
    }
}

/// What follows blanks, line breaks and comments.
pub(super) fn behind_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, below)| below).trim_start();
    }
    rest
}

/// Why go-yaml does not see the colon of an implicit key inside a flow collection, if it does not. `after` is the text
/// that follows the key.
pub(super) fn key_in_flow(token: &str, is_plain: bool, after: &str) -> Option<&'static str> {
    let rest = after.trim_start_matches([' ', '\t']);
    let Some(value) = rest.strip_prefix(':') else {
        let moved = behind_comments(rest).starts_with(':');
        return moved.then_some("a colon on another line than its key inside braces or brackets");
    };
    if token.contains('\n') {
        return Some("a key of several lines inside braces or brackets");
    }
    let blank = value.is_empty() || value.starts_with([' ', '\t', '\r', '\n']);
    (is_plain && !blank).then_some("a colon without a space after it inside braces or brackets")
}

#[cfg(test)]
mod tests {
    use crate::document::testing::{read, refusal};
    use crate::document::{Format, NodeKind};

    #[test]
    fn what_sops_could_not_read_is_refused() {
        for text in [
            "a: \"https:\\/\\/x\"\n",
            "a: &an:chor b\n",
            "a: [b:]\n",
            "a: {?b: c}\n",
            "a: [:b]\n",
            "a: [b ? c]\n",
            "a: {\"b\"\n  : c}\n",
            "a: {b: !!str , c: d}\n",
            "a:\n  -\tb\n",
            "a:\n  b: 1\n\t\n  c: 2\n",
            "a:\n  b: 1\n  \t\n",
            "a: 'b'\n  \t\n",
            "a: {}\n\t\n",
            "a: b\n  # c\n  \t\n",
            "a: {b\n  c: d}\n",
            "a: {\"b\" # c\n  : d}\n",
            "%FOO bar\n---\na: b\n",
            "a: b\n...\n%FOO\n---\na: b\n",
            "\ta: b\n",
        ] {
            let refused = refusal(Format::Yaml, text);
            assert!(
                refused.contains("sops cannot read")
                    || refused.contains("sops reads differently")
                    || refused.contains("a tab"),
                "{text:?}: {refused}"
            );
        }
    }

    #[test]
    fn what_looks_like_it_is_read() {
        for text in [
            "a: 'https:\\/\\/x'\n",
            "a: \"\\\\/\"\n",
            "a: {\"b\":c, d: e?, f}\n",
            "a: [b?c, 'd ? e']\n",
            "a: b\t# c\n",
            "a: b\n \t\n",
            "a: b\n \t# c\nd: e\n",
            "%TAG !x! tag:x,2000:\n---\na: b\n",
            "# %FOO\n---\na: b\n",
            "a: {? b\n  c : d}\n",
            "a: {b:\n\tc}\n",
        ] {
            assert!(!read(Format::Yaml, text).tree().is_empty(), "{text:?}");
        }
    }

    #[test]
    fn an_empty_item_with_a_comment_has_its_own_dash() {
        let document = read(Format::Yaml, "l:\n  - # empty\n  - |\n    text\n  - x\n");
        let tree = document.tree();
        let dashes: Vec<_> = (tree.descendants(tree.documents()[0]))
            .filter(|&node| tree.parent(node).is_some_and(|parent| tree[parent].kind == NodeKind::List))
            .filter(|&node| tree[node].kind == NodeKind::Scalar)
            .map(|node| document.line_of(tree[node].key_span.start()))
            .collect();
        assert_eq!(dashes, [2, 3, 5]);
    }
}
