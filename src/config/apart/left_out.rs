//! Which texts a search leaves out: an automaton that reads along with the patterns, so that a text which is left out never
//! takes the place of one that is not.
//!
//! Owns the two kinds that there are: keys with an ending, and paths below folders. Each takes about as many nodes as it has
//! bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

#[derive(Debug)]
pub(super) struct LeftOut {
    nodes: Vec<Node>,
    start: At,
}

/// A node, by its number.
pub(super) type At = usize;

/// Nothing of what is left out has been read.
const OFF: At = 0;

/// Below a folder that is left out.
const INSIDE: At = 1;

#[derive(Debug, Clone, Default)]
struct Node {
    /// Where these bytes lead.
    next: BTreeMap<u8, At>,
    /// Where all others lead.
    other: At,
    /// A text that ends here is left out.
    is_end: bool,
}

impl LeftOut {
    pub fn nothing() -> Self {
        Self { nodes: vec![Node::default()], start: OFF }
    }

    /// Texts with this ending. A node is how much of it has been read.
    pub fn ending(ending: &str) -> Self {
        let ending = ending.as_bytes();
        let after = |read: usize, next: u8| {
            let text: Vec<u8> = ending[..read].iter().copied().chain([next]).collect();
            (0..=ending.len()).rev().find(|&length| text.ends_with(&ending[..length])).unwrap_or(OFF)
        };
        let node = |read: usize| {
            let next = ending.iter().map(|&next| (next, after(read, next))).filter(|(_, at)| *at != OFF);
            Node { next: next.collect(), other: OFF, is_end: read == ending.len() }
        };
        Self { nodes: (0..=ending.len()).map(node).collect(), start: OFF }
    }

    /// The paths of these folders, and all below them. A folder whose name is no text has none.
    pub fn below(folders: &BTreeSet<PathBuf>) -> Self {
        let inside = Node { other: INSIDE, is_end: true, ..Node::default() };
        let mut tree = Self { nodes: vec![Node::default(), inside, Node::default()], start: 2 };
        for folder in folders.iter().filter_map(|folder| folder.to_str()) {
            let end = folder.bytes().fold(tree.start, |at, next| tree.grown(at, next));
            tree.nodes[end].is_end = true;
            tree.nodes[end].next.insert(b'/', INSIDE);
        }
        tree
    }

    /// The node after a byte; makes it if it is missing.
    fn grown(&mut self, at: At, next: u8) -> At {
        if at == INSIDE {
            return INSIDE;
        }
        let new = self.nodes.len();
        let to = *self.nodes[at].next.entry(next).or_insert(new);
        if to == new {
            self.nodes.push(Node::default());
        }
        to
    }

    pub fn start(&self) -> At {
        self.start
    }

    pub fn after(&self, at: At, next: u8) -> At {
        let node = &self.nodes[at];
        node.next.get(&next).copied().unwrap_or(node.other)
    }

    /// Whether a text that ends here is left out.
    pub fn is_end(&self, at: At) -> bool {
        self.nodes[at].is_end
    }

    /// Whether every text that goes on from here is.
    pub fn is_all(&self, at: At) -> bool {
        let node = &self.nodes[at];
        node.is_end && node.next.is_empty() && node.other == at
    }

    /// The bytes that lead elsewhere from here than others do.
    pub fn marked(&self, at: At) -> impl Iterator<Item = u8> {
        self.nodes[at].next.keys().copied()
    }

    pub fn marks(&self, at: At, byte: u8) -> bool {
        self.nodes[at].next.contains_key(&byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(left_out: &LeftOut, text: &str) -> bool {
        left_out.is_end(text.bytes().fold(left_out.start(), |at, next| left_out.after(at, next)))
    }

    #[test]
    fn texts_of_an_ending_are_left_out() {
        let left_out = LeftOut::ending("abab_");
        for (text, expected) in [
            ("abab_", true),
            ("ababab_", true),
            ("aabab_", true),
            ("x_abab_", true),
            ("", false),
            ("abab", false),
            ("ab_", false),
            ("abab__", false),
            ("abab_a", false),
        ] {
            assert_eq!(has(&left_out, text), expected, "{text}");
        }
        assert!((0..left_out.nodes.len()).all(|at| !left_out.is_all(at)));
        assert!(!has(&LeftOut::nothing(), "a"));
    }

    #[test]
    fn paths_below_folders_are_left_out() {
        let folders = ["a", "a/b", "apps/shop", "apps/a", "gr\u{f6}\u{df}e"].map(PathBuf::from);
        let left_out = LeftOut::below(&BTreeSet::from(folders));
        for (text, expected) in [
            ("a", true),
            ("a/x", true),
            ("a/b/c", true),
            ("apps/shop/x", true),
            ("apps/a", true),
            ("gr\u{f6}\u{df}e/x", true),
            ("apps", false),
            ("apps/x", false),
            ("apps/shops/x", false),
            ("ap", false),
            ("ab/a/x", false),
            ("x/a/b", false),
            ("gr\u{f6}/x", false),
        ] {
            assert_eq!(has(&left_out, text), expected, "{text}");
        }
    }
}
