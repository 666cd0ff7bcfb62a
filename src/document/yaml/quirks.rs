//! YAML that go-yaml v3 cannot read, or reads as something else than the parser does.
//!
//! sops could not read such a file back, or would compute another MAC: it is refused by name. Found by comparing the two
//! over the YAML test suite; facts about `scannerc.go` of `go.yaml.in/yaml/v3`.

/// The offset in a gap between two tokens of block context at which a line is indented with a tab; `begins_line` says
/// whether the gap begins with a line.
pub(super) fn tab_in_indentation(gap: &str, begins_line: bool) -> Option<usize> {
    let mut start = 0;
    for (number, line) in gap.split_inclusive('\n').enumerate() {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if (begins_line || number > 0) && line[..indent].contains('\t') {
            return Some(start);
        }
        start += line.len();
    }
    None
}

/// Whether a tab stands behind a dash on its line.
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
    if token.starts_with(['?', ':']) {
        return Some("a plain value that begins with `?` or `:` inside of braces or brackets");
    }
    let mark_ends = token.ends_with('?') && after.starts_with([' ', '\t', '\r', '\n']);
    if mark_ends || token.contains("? ") || token.contains("?\t") || token.contains("?\n") {
        return Some("a question mark before a blank inside of braces or brackets");
    }
    None
}

/// Why go-yaml does not see the colon of a key inside a flow collection, if it does not. `after` is the text that
/// follows the key.
pub(super) fn key_in_flow(is_plain: bool, after: &str) -> Option<&'static str> {
    let rest = after.trim_start_matches([' ', '\t']);
    let Some(value) = rest.strip_prefix(':') else {
        let later = rest.trim_start();
        let moved = later.len() < rest.len() && (later.starts_with(':') || later.starts_with('#'));
        return moved.then_some("a colon on another line than its key inside of braces or brackets");
    };
    let blank = value.is_empty() || value.starts_with([' ', '\t', '\r', '\n']);
    (is_plain && !blank).then_some("a colon without a blank behind it inside of braces or brackets")
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
            "a: {b:,}\n",
            "a: {?b: c}\n",
            "a: [:b]\n",
            "a: [b ? c]\n",
            "a: {\"b\"\n  : c}\n",
            "a: {b: !!str , c: d}\n",
            "a:\n  -\tb\n",
            "a:\n  b: 1\n\t\n  c: 2\n",
            "\ta: b\n",
        ] {
            let refused = refusal(Format::Yaml, text);
            assert!(refused.contains("sops cannot read") || refused.contains("a tab"), "{text:?}: {refused}");
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
