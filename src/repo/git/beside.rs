//! Commits beside those that HEAD leads to: of other branches, of reflogs, of what is being merged.
//!
//! Owns which these are, which of them something other than a reflog names, and where each has parted from HEAD.

use std::collections::{HashMap, HashSet};

use super::tree::ObjectId;
use super::{Git, changes, history, sides};
use crate::error::{Error, Kind, Result};

/// The commits beside HEAD's.
pub struct Beside {
    head: Option<String>,
    commits: HashSet<ObjectId>,
    named: HashSet<ObjectId>,
    /// Where each has parted from HEAD.
    forks: HashMap<ObjectId, Vec<ObjectId>>,
}

impl Beside {
    pub fn of(git: &Git) -> Result<Self> {
        let head = changes::head(git)?;
        let beside = |names: Vec<String>| {
            let not = head.as_deref().map_or(Vec::new(), |head| vec!["--not", head]);
            let names = names.iter().map(String::as_str);
            let listed = git.run(["rev-list"].into_iter().chain(names).chain(not).chain(["--"]))?;
            Ok::<_, Error>(commits_in(&listed)?.into_iter().flatten().collect())
        };
        let (commits, named) = (beside(sides::all(git)?)?, beside(sides::named(git)?)?);
        Ok(Self { commits, named, forks: HashMap::new(), head })
    }

    /// Whether HEAD does not lead to a commit.
    pub fn has(&self, commit: &ObjectId) -> bool {
        self.commits.contains(commit)
    }

    /// Whether more than a reflog leads to it.
    pub fn is_named(&self, commit: &ObjectId) -> bool {
        self.named.contains(commit)
    }

    /// The last commits that it and HEAD have in common.
    pub fn forks(&mut self, git: &Git, commit: &ObjectId) -> Result<Vec<ObjectId>> {
        if let Some(known) = self.forks.get(commit) {
            return Ok(known.clone());
        }
        let Some(head) = &self.head else { return Ok(Vec::new()) };
        let args = ["merge-base", "--all", head, commit.as_str()];
        let answer = git.ask(args)?;
        let forks: Vec<ObjectId> = match answer.code {
            Some(0) => commits_in(&answer.stdout)?.into_iter().flatten().collect(),
            Some(1) => Vec::new(),
            _ => return Err(answer.into_error(&args)),
        };
        if self.forks.len() >= MOST_COMMITS {
            let message =
                format!("more than {MOST_COMMITS} commits of other branches have changed encrypted files");
            return Err(
                Error::new(Kind::Read, message).advise("Delete branches that are not needed any more.")
            );
        }
        self.forks.insert(commit.clone(), forks.clone());
        Ok(forks)
    }
}

/// The most commits of which it is asked where they have parted: a minute of Git's time.
const MOST_COMMITS: usize = 10_000;

/// Of each line the commits that it names.
pub(super) fn commits_in(listed: &[u8]) -> Result<Vec<Vec<ObjectId>>> {
    let lines = listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let names = |line: &[u8]| {
        let names = line.split(|byte| *byte == b' ').map(ObjectId::parse);
        names.collect::<Option<Vec<_>>>().ok_or_else(history::not_understood)
    };
    lines.map(names).collect()
}
