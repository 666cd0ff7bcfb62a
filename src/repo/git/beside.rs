//! Commits outside HEAD's history: other branches, reflogs, a merge in progress.
//!
//! Owns which these are, which of them something other than a reflog names, and where each has parted from HEAD.

use std::collections::HashSet;

use super::ancestry::{Ancestry, Line};
use super::tree::ObjectId;
use super::{Git, changes, history, sides};
use crate::error::Result;

/// The commits beside HEAD's.
pub struct Beside<'a> {
    ancestry: &'a Ancestry,
    /// What leads to HEAD, once something does.
    head: Option<Line>,
    named: HashSet<ObjectId>,
}

impl<'a> Beside<'a> {
    pub fn of(git: &Git, ancestry: &'a Ancestry) -> Result<Self> {
        let head = changes::head_id(git)?;
        let line = match &head {
            Some(head) => Some(ancestry.line([ancestry.number(head).ok_or_else(history::not_understood)?])),
            None => None,
        };
        let names = sides::named(git)?;
        let not = head.as_ref().map_or(Vec::new(), |head| vec!["--not", head.as_str()]);
        let listed = git
            .run(["rev-list"].into_iter().chain(names.iter().map(String::as_str)).chain(not).chain(["--"]))?;
        let named = commits_in(&listed)?.into_iter().flatten().collect();
        Ok(Self { ancestry, head: line, named })
    }

    /// Whether HEAD does not lead to a commit.
    pub fn has(&self, commit: usize) -> bool {
        self.head.as_ref().is_none_or(|head| !head.has(commit))
    }

    /// Whether more than a reflog leads to it.
    pub fn is_named(&self, commit: &ObjectId) -> bool {
        self.named.contains(commit)
    }

    /// The last commits that it and HEAD have in common.
    pub fn forks(&self, commit: usize) -> Vec<usize> {
        self.head.as_ref().map_or(Vec::new(), |head| self.ancestry.forks(commit, head))
    }
}

/// Of each line the commits that it names.
pub(super) fn commits_in(listed: &[u8]) -> Result<Vec<Vec<ObjectId>>> {
    let lines = listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let names = |line: &[u8]| {
        let names = line.split(|byte| *byte == b' ').map(ObjectId::parse);
        names.collect::<Option<Vec<_>>>().ok_or_else(history::not_understood)
    };
    lines.map(names).collect()
}
