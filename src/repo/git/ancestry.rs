//! Which commits lead to which, of a history that was read.
//!
//! Owns that Git is asked once, and not for each commit: a crafted repository has thousands.

use std::collections::{HashMap, HashSet};

use super::history::History;
use super::tree::ObjectId;

/// The commits of a history, by their index in it, each with its parents.
#[derive(Debug)]
pub struct Ancestry {
    numbers: HashMap<ObjectId, usize>,
    parents: Vec<Vec<usize>>,
}

/// Commits and all their ancestors.
#[derive(Debug)]
pub struct Line(Vec<bool>);

impl Line {
    pub fn has(&self, commit: usize) -> bool {
        self.0[commit]
    }
}

impl Ancestry {
    pub fn of(history: &History) -> Self {
        let commits = history.commits.iter();
        let numbers: HashMap<ObjectId, usize> =
            commits.clone().enumerate().map(|(number, commit)| (commit.id.clone(), number)).collect();
        let parents =
            commits.map(|commit| commit.parents.iter().filter_map(|id| numbers.get(id).copied()).collect());
        Self { parents: parents.collect(), numbers }
    }

    pub fn number(&self, commit: &ObjectId) -> Option<usize> {
        self.numbers.get(commit).copied()
    }

    /// The parents of a commit.
    pub fn parents(&self, commit: usize) -> &[usize] {
        &self.parents[commit]
    }

    /// These commits and all their ancestors.
    pub fn line(&self, to: impl IntoIterator<Item = usize>) -> Line {
        let mut line = Line(vec![false; self.parents.len()]);
        let mut next: Vec<usize> = to.into_iter().collect();
        while let Some(commit) = next.pop() {
            if !std::mem::replace(&mut line.0[commit], true) {
                next.extend(&self.parents[commit]);
            }
        }
        line
    }

    /// The last commits that a commit and a line have in common, as `git merge-base --all` has them.
    pub fn forks(&self, commit: usize, line: &Line) -> Vec<usize> {
        let (mut seen, mut next, mut common) = (HashSet::new(), vec![commit], Vec::new());
        while let Some(commit) = next.pop() {
            if !seen.insert(commit) {
                continue;
            }
            match line.has(commit) {
                true => common.push(commit),
                false => next.extend(&self.parents[commit]),
            }
        }
        if common.len() > 1 {
            let before = self.line(common.iter().flat_map(|commit| self.parents[*commit].iter().copied()));
            common.retain(|commit| !before.has(*commit));
        }
        common.sort_unstable();
        common
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::git::history::Commit;

    /// `7` is a merge of `6` and `4`; `5` and `4` have parted at `2`, and `4` has merged `3`, which is on the way to `5`.
    #[test]
    fn lines_and_their_last_common_commits() {
        let id = |number: usize| ObjectId::parse(format!("{number:040}").as_bytes()).unwrap();
        let parents: [&[usize]; 8] = [&[], &[0], &[1], &[2], &[2, 3], &[3], &[5], &[6, 4]];
        let commits = (0..8).rev().map(|number| Commit {
            id: id(number),
            time: jiff::Timestamp::UNIX_EPOCH,
            parents: parents[number].iter().map(|parent| id(*parent)).collect(),
        });
        let history = History { commits: commits.collect(), ..History::default() };
        let ancestry = Ancestry::of(&history);
        let at = |number: usize| ancestry.number(&id(number)).unwrap();
        let line = ancestry.line([at(6)]);
        let on_it: Vec<usize> = (0..8).filter(|number| line.has(at(*number))).collect();
        assert_eq!(on_it, [0, 1, 2, 3, 5, 6]);
        assert_eq!(ancestry.forks(at(4), &line), [at(3)]);
        assert_eq!(ancestry.forks(at(5), &line), [at(5)]);
        assert_eq!(ancestry.forks(at(7), &ancestry.line([at(4)])), [at(4)]);
        assert!(ancestry.number(&id(9)).is_none());
    }
}
