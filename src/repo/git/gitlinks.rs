//! The commits of submodules that trees have, and had.
//!
//! Owns that this is what Git has at paths, whatever `.gitmodules` says of it: that can be spelled in many ways, and anybody writes it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Git;
use super::gitmodules::NAME;
use super::history::History;
use super::tree::{ObjectId, Tree};
use crate::error::Result;
use crate::os;

/// How many paths Git is asked for by name.
const MOST_NAMED: usize = 200;

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

/// The commits before those in which a branch had no longer a submodule at one of these paths. What was merged is one step.
pub fn before_leaving(git: &Git, head: &str, paths: &BTreeSet<&Path>) -> Result<Vec<(PathBuf, ObjectId)>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let log =
        ["log", "--first-parent", "-m", "--raw", "-z", "--no-abbrev", "--no-renames", "--format=%x01%P"];
    let log = log.into_iter().chain([head, "--"]).map(OsStr::new);
    // Anybody can write many paths there. Git then lists all, and we choose.
    let named = Some(paths).filter(|paths| paths.len() <= MOST_NAMED).into_iter().flatten();
    let listed = git.run(log.chain(named.map(|path| path.as_os_str())))?;
    let (mut before, mut found) = (None, Vec::new());
    let mut parts = listed.split(|&byte| byte == 0);
    // `%x01` and the parents, then `:MODE MODE ID ID STATUS` and a path for each change.
    while let Some(part) = parts.next() {
        let part = part.trim_ascii_start();
        if let Some(parents) = part.strip_prefix(b"\x01") {
            before = parents.split(|&byte| byte == b' ').next().and_then(ObjectId::parse);
        } else if let Some(raw) = part.strip_prefix(b":") {
            let path = PathBuf::from(os::name_of(parts.next().unwrap_or_default()));
            let modes: Vec<&[u8]> = raw.split(|&byte| byte == b' ').take(2).collect();
            let is_link = |mode: &[u8]| mode == b"160000";
            let has_left = matches!(modes[..], [then, now] if is_link(then) && !is_link(now))
                && paths.contains(path.as_path());
            found.extend(before.clone().filter(|_| has_left).map(|before| (path, before)));
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
