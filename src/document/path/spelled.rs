//! Paths as people type them: `database.password`, `hosts[0].name`, `["an.odd.key"]`.
//!
//! Owns what a dot is: a key that is there wins over a split at its dots. What a document's type or kind keeps flat is for
//! whoever asks.

use super::{Part, TreePath, parse_part};
use crate::document::{Document, NodeId, NodeKind};
use crate::error::{Error, Kind, Result};

/// A path as it was typed. Where it leads says a document alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelled(Spelling);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Spelling {
    /// Keys in quotes and positions, each in brackets.
    Brackets(TreePath),
    /// Something else, such as keys with dots between them.
    Dots(String),
}

impl Spelled {
    /// Reads a path in brackets, as sops does.
    pub fn in_brackets(text: &str) -> Result<Self> {
        TreePath::parse(text).map(Spelling::Brackets).map(Self)
    }

    /// Reads a path. `.` alone is the root, as the empty text is.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let spelling = match TreePath::parse(text) {
            Ok(path) => Spelling::Brackets(path),
            Err(_) if text == "." => Spelling::Brackets(TreePath(Vec::new())),
            // With a bracket in front it can be nothing but brackets, one of which is broken.
            Err(error) if text.starts_with('[') && split(text).is_none() => return Err(error),
            Err(_) => Spelling::Dots(text.to_owned()),
        };
        Ok(Self(spelling))
    }

    /// The path in the first document of a file. `is_flat` says of a map that its keys are never split, and nothing new
    /// is put below them.
    pub fn within(&self, document: &dyn Document, is_flat: &dyn Fn(NodeId) -> bool) -> Result<TreePath> {
        let text = match &self.0 {
            Spelling::Brackets(path) => return Ok(path.clone()),
            Spelling::Dots(text) => text.strip_prefix('.').unwrap_or(text),
        };
        let Some(&root) = document.tree().documents().first() else {
            return rest_of(text, text, false).map(TreePath);
        };
        let mut furthest = Reached { way: Vec::new(), node: root, rest: text };
        if let Some(way) = found(document, Reached { way: Vec::new(), node: root, rest: text }, &mut furthest)
        {
            return Ok(TreePath(way));
        }
        let Reached { mut way, node, rest } = furthest;
        way.extend(rest_of(text, rest, is_flat(document.tree().resolve(node)))?);
        Ok(TreePath(way))
    }
}

/// How far a text leads into a document.
#[derive(Clone)]
struct Reached<'t> {
    way: Vec<Part>,
    node: NodeId,
    /// What is left of the text, without the dot in front.
    rest: &'t str,
}

/// The way to what is there, the longest keys first; else `furthest` is where most of the text leads.
fn found<'t>(document: &dyn Document, at: Reached<'t>, furthest: &mut Reached<'t>) -> Option<Vec<Part>> {
    if at.rest.is_empty() {
        return Some(at.way);
    }
    if at.rest.len() < furthest.rest.len() {
        *furthest = at.clone();
    }
    steps(document, &at).into_iter().find_map(|(part, rest)| {
        let node = part.step(document, at.node)?;
        let way = at.way.iter().cloned().chain([part]).collect();
        found(document, Reached { way, node, rest }, furthest)
    })
}

/// The steps with which a text may go on, each with what is left behind it.
fn steps<'t>(document: &dyn Document, at: &Reached<'t>) -> Vec<(Part, &'t str)> {
    let tree = document.tree();
    let (node, text) = (tree.resolve(at.node), at.rest);
    let in_brackets = parse_part(text).map(|(part, rest)| (part, without_dot(rest)));
    let mut steps: Vec<_> = in_brackets.into_iter().collect();
    match tree[node].kind {
        NodeKind::List => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let index = text[..digits].parse().ok().filter(|_| is_end(&text[digits..]));
            steps.extend(index.map(|index| (Part::Index(index), without_dot(&text[digits..]))));
        }
        NodeKind::Map => {
            let keys = tree.entries(node).map(|entry| tree[entry].key.get(document.source()));
            let mut keys: Vec<&str> =
                keys.filter(|key| text.strip_prefix(*key).is_some_and(is_end)).collect();
            keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
            steps.extend(
                keys.iter().map(|key| (Part::Key((*key).to_owned()), without_dot(&text[key.len()..]))),
            );
        }
        _ => {}
    }
    steps
}

/// Whether a key or a position ends before this.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

fn without_dot(rest: &str) -> &str {
    rest.strip_prefix('.').unwrap_or(rest)
}

/// The steps of which nothing is there yet.
fn rest_of(text: &str, rest: &str, is_flat: bool) -> Result<Vec<Part>> {
    if is_flat {
        return Ok(vec![Part::Key(rest.to_owned())]);
    }
    split(rest).ok_or_else(|| {
        Error::new(Kind::TreePath, format!("`{text}` is not a path into a document")).advise(
            "write keys separated by dots, positions in brackets, and unusual keys in brackets and quotes: \
             'database.users[0][\"full.name\"]'",
        )
    })
}

/// Splits keys at dots and reads what is in brackets.
fn split(text: &str) -> Option<Vec<Part>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (part, after) = match rest.starts_with('[') {
            true => parse_part(rest)?,
            false => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                (Part::Key(rest[..end].to_owned()), &rest[end..])
            }
        };
        let is_nothing = matches!(&part, Part::Key(key) if key.is_empty() && !rest.starts_with('['));
        // A dot is between two steps, never at the end.
        let after = match after.strip_prefix('.') {
            Some("") => return None,
            Some(after) => after,
            None => after,
        };
        if is_nothing {
            return None;
        }
        parts.push(part);
        rest = after;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{self, Format};
    use crate::secret::SecretBytes;

    const TEXT: &str = "db: {password: x, 'a.b': 1, a: {b: 2, c: 3}, 'odd[0]': 4}\nhosts: [{name: h}, [7]]\n'x.y': 1\n\
                        flat: {k: v}\n'5': five\n";

    fn within(path: &str) -> String {
        let document =
            document::parse(Format::Yaml, SecretBytes::new(TEXT.as_bytes().to_vec()), false).unwrap();
        let flat = TreePath::of_keys(&["flat"]).find(&*document).unwrap();
        let path = Spelled::parse(path).and_then(|path| path.within(&*document, &|node| node == flat));
        path.map_or_else(|error| error.message().to_owned(), |path| path.to_string())
    }

    #[test]
    fn a_key_that_is_there_wins_over_a_split() {
        for (typed, meant) in [
            ("db.password", r#"["db"]["password"]"#),
            (".db.password", r#"["db"]["password"]"#),
            ("db.a.b", r#"["db"]["a.b"]"#),
            ("db.a.c", r#"["db"]["a"]["c"]"#),
            ("db.odd[0]", r#"["db"]["odd[0]"]"#),
            ("x.y", r#"["x.y"]"#),
            ("5", r#"["5"]"#),
            ("hosts[0].name", r#"["hosts"][0]["name"]"#),
            ("hosts.0.name", r#"["hosts"][0]["name"]"#),
            ("hosts[1][0]", r#"["hosts"][1][0]"#),
            (r#"db["a"].c"#, r#"["db"]["a"]["c"]"#),
            (r#"["db"]["a"]["b"]"#, r#"["db"]["a"]["b"]"#),
            (".", ""),
            ("", ""),
        ] {
            assert_eq!(within(typed), meant, "{typed}");
        }
    }

    #[test]
    fn what_is_new_is_split_at_its_dots_where_nothing_is_flat() {
        for (typed, meant) in [
            ("new", r#"["new"]"#),
            ("new.deep[0].er", r#"["new"]["deep"][0]["er"]"#),
            ("db.new", r#"["db"]["new"]"#),
            ("db.a.new", r#"["db"]["a"]["new"]"#),
            ("hosts[2]", r#"["hosts"][2]"#),
            ("x.z", r#"["x"]["z"]"#),
            ("flat.tls.crt", r#"["flat"]["tls.crt"]"#),
            ("flat.k[0]", r#"["flat"]["k"][0]"#),
        ] {
            assert_eq!(within(typed), meant, "{typed}");
        }
        for broken in ["a..b", "a.", "a[", "[a]", "a[x]", "a.[\"b\"", "..", "[\"a\""] {
            assert!(within(broken).ends_with("is not a path into a document"), "{broken}");
        }
    }
}
