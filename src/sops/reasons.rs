//! Why a leaf is encrypted or stays clear, in words and without any value: what `explain` tells.

use serde::Serialize;

use crate::config::Selection;
use crate::document::{Document, Format};
use crate::error::Result;
use crate::sops::encrypt::is_encrypted;
use crate::sops::leaves::{self, Leaf, Match};

/// What a rule says of a leaf or comment, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub line: usize,
    /// The keys to it, joined by `.`; of a comment those to what it appears in.
    pub path: String,
    pub is_comment: bool,
    pub encrypted: bool,
    pub why: String,
}

/// What a rule says of each leaf and comment of a document, in their order.
pub fn reasons(document: &dyn Document, selection: &Selection) -> Result<Vec<Reason>> {
    let mut reasons = Vec::new();
    let for_each = if is_encrypted(document) { leaves::for_each_encrypted } else { leaves::for_each };
    for_each(document, selection, &mut |leaf| {
        reasons.push(reason(document, selection, &leaf));
        Ok(())
    })?;
    Ok(reasons)
}

fn reason(document: &dyn Document, selection: &Selection, leaf: &Leaf<'_>) -> Reason {
    let place = match leaf.is_comment {
        true => document.tree().parent(leaf.at).unwrap_or(leaf.at),
        false => leaf.at,
    };
    // A value that the format cannot hold is for `encrypt` to complain of.
    let is_blank = !leaf.is_comment && document.value(leaf.node).is_ok_and(|value| value.is_blank());
    Reason {
        line: if document.format() == Format::Binary { 1 } else { document.line(leaf.at) },
        path: document.tree().path_of(document.source(), place),
        is_comment: leaf.is_comment,
        encrypted: leaf.selected && !is_blank,
        why: match is_blank && leaf.selected {
            true => "null and the empty string are never encrypted".to_owned(),
            false => why(document, selection, leaf),
        },
    }
}

fn why(document: &dyn Document, selection: &Selection, leaf: &Leaf<'_>) -> String {
    match leaf.because {
        _ if document.format() == Format::Binary => "a binary file is encrypted as a whole".to_owned(),
        Some(Match::Key(key)) => format!("the key `{key}` matches {selection}"),
        Some(Match::Comment(node)) => {
            format!("the comment on line {} matches {selection}", document.line(node))
        }
        None if selection.is_comment_rule() => format!("no comment before it matches {selection}"),
        None if *selection == Selection::default() => format!("the default: no key matches {selection}"),
        None => format!("no key matches {selection}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;
    use crate::secret::SecretBytes;

    fn told(rule: Option<(&str, &str)>, text: &str) -> Vec<String> {
        let document =
            document::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec()), false).unwrap();
        let selection = rule.map_or_else(Selection::default, |(field, pattern)| {
            Selection::from_field(field, pattern).unwrap()
        });
        let reasons = reasons(&*document, &selection).unwrap();
        let shown = |reason: Reason| {
            let state = if reason.encrypted { "encrypted" } else { "clear" };
            let what = if reason.is_comment { "comment in " } else { "" };
            format!("{} {what}{}: {state}, {}", reason.line, reason.path, reason.why)
        };
        reasons.into_iter().map(shown).collect()
    }

    #[test]
    fn keys_are_named() {
        let text = "a: 1\nb: {c: [2]}\n# note\nd: ''\n";
        let rule = "encrypted_regex: ^[bd]$";
        assert_eq!(
            told(Some(("encrypted_regex", "^[bd]$")), text),
            [
                format!("1 a: clear, no key matches {rule}"),
                format!("2 b.c[0]: encrypted, the key `b` matches {rule}"),
                format!("3 comment in : clear, no key matches {rule}"),
                "4 d: clear, null and the empty string are never encrypted".to_owned(),
            ]
        );
    }

    #[test]
    fn comments_are_named_by_their_lines() {
        let text = "# a secret\na: {b: 1}\nc: 2\n";
        let rule = "encrypted_comment_regex: secret";
        assert_eq!(
            told(Some(("encrypted_comment_regex", "secret")), text),
            [
                format!("1 comment in : clear, no comment before it matches {rule}"),
                format!("2 a.b: encrypted, the comment on line 1 matches {rule}"),
                format!("3 c: clear, no comment before it matches {rule}"),
            ]
        );
    }

    #[test]
    fn the_default_is_said_to_be_one() {
        let rule = "unencrypted_suffix: _unencrypted";
        assert_eq!(
            told(None, "a: 1\nb_unencrypted: 2\n"),
            [
                format!("1 a: encrypted, the default: no key matches {rule}"),
                format!("2 b_unencrypted: clear, the key `b_unencrypted` matches {rule}"),
            ]
        );
    }
}
