//! Which versions have the same data key, and texts that occur again and again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::repo::values::Mark;
use crate::repo::who_can_decrypt::Share;

/// Which versions have the same data key, and what can be done about it.
#[derive(Default)]
pub(super) struct Classes {
    parents: Vec<usize>,
    shares: Vec<Option<Share>>,
    by_mark: HashMap<Mark, usize>,
}

impl Classes {
    pub(super) fn add(&mut self, share: Option<Share>) -> usize {
        self.parents.push(self.parents.len());
        self.shares.push(share);
        self.parents.len() - 1
    }

    /// What this appears under is the same data key as wherever else it appears.
    pub(super) fn join(&mut self, class: usize, mark: Mark) {
        let other = *self.by_mark.entry(mark).or_insert(class);
        let (root, other) = (self.root(class), self.root(other));
        if root != other {
            self.parents[root] = other;
            // The less it takes, the more it counts.
            self.shares[other] = match (self.shares[root], self.shares[other]) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }

    /// What stands for all that have the same data key, as far as is known.
    pub(super) fn root(&mut self, mut class: usize) -> usize {
        while self.parents[class] != class {
            self.parents[class] = self.parents[self.parents[class]];
            class = self.parents[class];
        }
        class
    }

    pub(super) fn share(&mut self, class: usize) -> Option<Share> {
        let root = self.root(class);
        self.shares[root]
    }
}

/// Texts that occur again and again.
#[derive(Default)]
pub(super) struct Interned {
    numbers: HashMap<Arc<str>, usize>,
    texts: Vec<Arc<str>>,
}

impl Interned {
    pub(super) fn of(&mut self, text: &str) -> usize {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let text: Arc<str> = text.into();
        self.numbers.insert(Arc::clone(&text), self.texts.len());
        self.texts.push(text);
        self.texts.len() - 1
    }

    pub(super) fn text(&self, number: usize) -> &str {
        &self.texts[number]
    }
}
