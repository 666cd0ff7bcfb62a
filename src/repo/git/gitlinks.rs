//! The commits of submodules that trees have, and had.
//!
//! Owns that this is what Git has at paths, whatever `.gitmodules` says of it: that can be spelled in many ways, and anybody writes it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use super::Git;
use super::gitmodules::NAME;
use super::history::History;
use super::tree::{ObjectId, Tree};
use crate::error::Result;
use crate::os;

/// By their paths; several of one where two sides of a merge differ.
pub type Gitlinks = BTreeMap<PathBuf, BTreeSet<ObjectId>>;

/// Those that are staged; in a conflict, those of both sides.
pub fn staged(git: &Git) -> Result<Gitlinks> {
    let listed = git.run(["ls-files", "--stage", "-z"])?;
    let mut found = Gitlinks::new();
    for (path, commit) in Tree::gitlinks_in(&listed)? {
        found.entry(path).or_default().insert(commit);
    }
    Ok(found)
}

/// Those of a commit.
pub fn of_commit(git: &Git, commit: &ObjectId) -> Result<Gitlinks> {
    let tree = Tree::of_commit(git, commit.as_str())?;
    let gitlink = |(path, commit): (&PathBuf, &ObjectId)| (path.clone(), BTreeSet::from([commit.clone()]));
    Ok(tree.submodules().map(gitlink).collect())
}

/// All that the history of some commits ever had, newest first. Nobody has a submodule of a repository that never had a `.gitmodules`.
pub fn ever(git: &Git, commits: &[String]) -> Result<BTreeMap<PathBuf, Vec<ObjectId>>> {
    if commits.is_empty() {
        return Ok(BTreeMap::new());
    }
    let first = ["log", "-1", "--full-history", "--format=%H"].into_iter();
    let first = git.run(first.chain(commits.iter().map(String::as_str)).chain(["--", NAME]))?;
    if first.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(History::read_all(git, commits)?.gitlinks)
}

/// A commit that takes a submodule away from a path, or brings another commit there.
pub struct Change {
    pub path: PathBuf,
    pub then: ObjectId,
    pub now: ObjectId,
    /// The commits before: of a merge, all that it merges.
    pub before: Vec<ObjectId>,
}

/// All such changes in the history of some commits. No path is named to Git: anybody can write many, and long ones.
pub fn changes(git: &Git, commits: &[String]) -> Result<Vec<Change>> {
    let log =
        ["log", "--full-history", "-m", "--raw", "-z", "--no-abbrev", "--no-renames", "--format=%x01%P"];
    let listed = git.run(log.into_iter().chain(commits.iter().map(String::as_str)).chain(["--"]))?;
    let (mut before, mut found) = (Vec::new(), Vec::new());
    let mut parts = listed.split(|&byte| byte == 0);
    // `%x01` and the parents, then `:MODE MODE ID ID STATUS` and a path for each change.
    while let Some(part) = parts.next() {
        let part = part.trim_ascii_start();
        if let Some(parents) = part.strip_prefix(b"\x01") {
            before = parents.split(|&byte| byte == b' ').filter_map(ObjectId::parse).collect();
        } else if let Some(raw) = part.strip_prefix(b":") {
            let path = parts.next().unwrap_or_default();
            let words: Vec<&[u8]> = raw.split(|&byte| byte == b' ').collect();
            if let [b"160000", _, then, now, ..] = words[..]
                && let (Some(then), Some(now)) = (ObjectId::parse(then), ObjectId::parse(now))
            {
                found.push(Change {
                    path: PathBuf::from(os::name_of(path)),
                    then,
                    now,
                    before: before.clone(),
                });
            }
        }
    }
    Ok(found)
}

/// Which of these commits a repository has.
pub fn commits_in<'i>(
    git: &Git,
    commits: impl IntoIterator<Item = &'i ObjectId>,
) -> Result<HashSet<ObjectId>> {
    let asked: BTreeSet<&ObjectId> = commits.into_iter().collect();
    if asked.is_empty() {
        return Ok(HashSet::new());
    }
    let asked: String = asked.iter().map(|commit| format!("{}\n", commit.as_str())).collect();
    let told = git.run_on(["cat-file", "--batch-check"], asked.as_bytes())?;
    let told = String::from_utf8_lossy(&told);
    let commit = |line: &str| {
        let mut words = line.split(' ');
        let id = ObjectId::parse(words.next()?.as_bytes())?;
        (words.next() == Some("commit")).then_some(id)
    };
    Ok(told.lines().filter_map(commit).collect())
}
