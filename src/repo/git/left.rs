//! The places that files have left: in which commits they were last there, and from which on they were not.
//!
//! Dates are anybody's to write, so the order is that of the commits themselves, and what leads to HEAD comes before other
//! branches. A merge counts as a change of each of its parents: what a branch has moved away was in the other parent until
//! the two were merged.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::Git;
use super::history::{History, cannot_read, field, not_understood};
use super::tree::{Entry, Tree};
use super::{changes, sides};
use crate::error::Result;

/// Between which commits a file has left its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The last in which it was there: of a merge, all its parents that have it.
    pub before: Vec<String>,
    /// The first in which it was not; `None` for what is not committed yet.
    pub after: Option<String>,
}

/// What leaves no file where one was.
const LOSSES: &[&str] = &[
    "log",
    "-z",
    "--raw",
    "--no-abbrev",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-decorate",
    "--no-notes",
    "--topo-order",
    "-m",
    "--diff-filter=DT",
    "--format=tformat:%x01%H %P",
];

/// Whether a file has ever left its place in what leads to HEAD, or has since.
pub fn any(git: &Git) -> Result<bool> {
    let Some(head) = changes::head(git)? else { return Ok(false) };
    let since = ["diff-index", "-z", "--name-only", "--no-renames", "--diff-filter=DT", &head, "--"];
    Ok(!git.run(since)?.is_empty() || !git.run(LOSSES.iter().copied().chain(["-1", &head, "--"]))?.is_empty())
}

/// When these paths, of which no file is there any more, were left. `history` has all versions of them.
pub fn places(git: &Git, history: &History, gone: &BTreeSet<PathBuf>) -> Result<HashMap<PathBuf, Left>> {
    let mut found = HashMap::new();
    let head = changes::head(git)?;
    if let Some(head) = head.as_ref().filter(|_| !gone.is_empty()) {
        let tree = Tree::of_commit(git, head)?;
        let is_file = |path: &&PathBuf| matches!(tree.get(path), Some(Entry::File(_)));
        let left = || Left { before: vec![head.clone()], after: None };
        found.extend(gone.iter().filter(is_file).map(|path| (path.clone(), left())));
        add(git, &[head.as_str()], gone, &mut found)?;
    }
    if gone.len() > found.len() {
        let mut all = vec!["--ignore-missing", "--all", "--reflog"];
        let kept = sides::kept(git)?;
        all.extend(kept.iter().map(String::as_str));
        add(git, &all, gone, &mut found)?;
    }
    // On some branch they are there to this day.
    for version in &history.versions {
        let path = &history.paths[version.path];
        if gone.contains(path) && !found.contains_key(path) {
            let commit = history.commits[version.commit].id.as_str().to_owned();
            found.insert(path.clone(), Left { before: vec![commit.clone()], after: Some(commit) });
        }
    }
    Ok(found)
}

/// Adds those that were left on the way to some commits, each by the newest.
fn add(
    git: &Git,
    commits: &[&str],
    gone: &BTreeSet<PathBuf>,
    found: &mut HashMap<PathBuf, Left>,
) -> Result<()> {
    let mut losses = Vec::new();
    let args = LOSSES.iter().chain(commits).chain(&["--"]).map(OsStr::new);
    git.stream(args, |output| {
        let is_new = |path: &Path| gone.contains(path) && !found.contains_key(path);
        losses = read(output, is_new)?;
        Ok(())
    })?;
    for loss in losses {
        let mut before: BTreeMap<&PathBuf, Vec<String>> = BTreeMap::new();
        for parent in &loss.parents {
            let tree = match loss.parents.len() {
                1 => None,
                _ => Some(Tree::of_commit_at(git, parent, &loss.paths)?),
            };
            let has = |path: &&PathBuf| {
                tree.as_ref().is_none_or(|tree| matches!(tree.get(path), Some(Entry::File(_))))
            };
            for path in loss.paths.iter().filter(has) {
                before.entry(path).or_default().push(parent.clone());
            }
        }
        for (path, before) in before {
            let left = Left { before, after: Some(loss.commit.clone()) };
            found.entry(path.clone()).or_insert(left);
        }
    }
    Ok(())
}

/// Files that were there in a parent of a commit, and are not in it.
#[derive(Debug, PartialEq, Eq)]
struct Loss {
    commit: String,
    parents: Vec<String>,
    paths: BTreeSet<PathBuf>,
}

/// Reads losses, newest first; of each path that is new to `is_new` the first.
fn read(output: &mut dyn BufRead, is_new: impl Fn(&Path) -> bool) -> Result<Vec<Loss>> {
    let (mut losses, mut known): (Vec<Loss>, BTreeSet<PathBuf>) = (Vec::new(), BTreeSet::new());
    let mut header: Option<(String, Vec<String>)> = None;
    while let Some(entry) = field(output).map_err(cannot_read)? {
        match entry.strip_prefix(b"\n").unwrap_or(&entry) {
            [] => {}
            [1, names @ ..] => {
                let names = String::from_utf8_lossy(names);
                let mut names = names.split_whitespace().map(str::to_owned);
                header = Some((names.next().ok_or_else(not_understood)?, names.collect()));
            }
            [b':', ..] => {
                let path = field(output).map_err(cannot_read)?.ok_or_else(not_understood)?;
                let path = PathBuf::from(OsString::from_vec(path));
                let (commit, parents) = header.as_ref().ok_or_else(not_understood)?;
                // A merge is listed once for each parent.
                let is_same = losses.last().is_some_and(|loss| loss.commit == *commit);
                let was_file = entry.strip_prefix(b"\n").unwrap_or(&entry).starts_with(b":100");
                if !was_file || !is_new(&path) || !known.insert(path.clone()) {
                    continue;
                }
                if !is_same {
                    let (commit, parents) = (commit.clone(), parents.clone());
                    losses.push(Loss { commit, parents, paths: BTreeSet::new() });
                }
                losses.last_mut().ok_or_else(not_understood)?.paths.insert(path);
            }
            _ => return Err(not_understood()),
        }
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_loss_of_a_path_counts_and_a_merge_is_one() {
        let id = "a".repeat(40);
        let lost = |path: &str| format!("\n:100644 000000 {id} {} D\0{path}\0", "0".repeat(40));
        let text = format!(
            "\u{1}m p q\0{}\u{1}m p q\0{}{}\u{1}c d\0{}{}",
            lost("one"),
            lost("one"),
            lost("two"),
            lost("two"),
            lost("three\n")
        );
        let found = read(&mut text.as_bytes(), |path| path != Path::new("other")).unwrap();
        let loss = |commit: &str, parents: &[&str], paths: &[&str]| Loss {
            commit: commit.to_owned(),
            parents: parents.iter().map(|&name| name.to_owned()).collect(),
            paths: paths.iter().map(PathBuf::from).collect(),
        };
        assert_eq!(found, [loss("m", &["p", "q"], &["one", "two"]), loss("c", &["d"], &["three\n"])]);
        assert!(read(&mut &b":100644 000000 a b D\0x\0"[..], |_| true).is_err());
    }
}
