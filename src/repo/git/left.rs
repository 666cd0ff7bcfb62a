//! What places have lost: contents that were there in one commit, and were not in the next.
//!
//! Whatever came into the place afterwards, or was there before, says nothing of those who could read what has left it: so every
//! loss counts of what leads to HEAD, and of other branches where that never had the content. A merge counts as a change of
//! each of its parents: what a branch has moved away was in the other parent until the two were merged.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::Git;
use super::history::{cannot_read, field, is_file, not_understood};
use super::tree::{Entry, ObjectId, Tree};
use super::{changes, sides};
use crate::config::is_config;
use crate::error::Result;

/// Places, each with contents that were there.
pub type Contents = BTreeMap<PathBuf, BTreeSet<ObjectId>>;

/// A content that has left its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub path: PathBuf,
    pub content: ObjectId,
    /// The file that came into the place.
    pub next: Option<ObjectId>,
    /// The last commits in which it was there: of a merge, all its parents that have it.
    pub before: Vec<String>,
    /// The first in which it was not.
    pub after: String,
}

/// What has another content, or none, where a file was.
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
    "--format=tformat:%x01%H %P",
];

/// Whether a file has ever left its place in what leads to HEAD, or has since.
pub fn any(git: &Git) -> Result<bool> {
    let Some(head) = changes::head(git)? else { return Ok(false) };
    let since = ["diff-index", "-z", "--name-only", "--no-renames", "--diff-filter=DT", &head, "--"];
    let ever = LOSSES.iter().copied().chain(["--diff-filter=DT", "-1", &head, "--"]);
    Ok(!git.run(since)?.is_empty() || !git.run(ever)?.is_empty())
}

/// What the configs of the index ever were in what leads to HEAD, as long as these are files that have never left their places.
pub fn configs_ever(git: &Git, index: &Tree) -> Result<BTreeSet<(PathBuf, ObjectId)>> {
    let configs: Vec<&PathBuf> = index.iter().map(|(path, _)| path).filter(|path| is_config(path)).collect();
    let mut found = BTreeSet::new();
    let Some(head) = changes::head(git)?.filter(|_| !configs.is_empty()) else { return Ok(found) };
    // Every commit is looked at: by default Git leaves out what a merge takes from one of its parents.
    let history = ["--full-history", "--sparse", "--root", &head, "--"];
    let args = LOSSES.iter().chain(&history).map(OsStr::new);
    git.stream(args.chain(configs.iter().map(|path| path.as_os_str())), |output| {
        each_change(output, |_, Change { path, next, .. }| found.extend(next.map(|next| (path, next))))
    })?;
    Ok(found)
}

/// When these contents have left their places. `head` is what HEAD leads to, and what is there.
pub fn losses(git: &Git, head: Option<&(String, Tree)>, wanted: &Contents) -> Result<Vec<Loss>> {
    let (mut found, mut unknown) = (Vec::new(), wanted.clone());
    if let Some((head, tree)) = head.filter(|_| !wanted.is_empty()) {
        found = of_commits(git, &[head.as_str()], wanted)?;
        let is_there = |path: &Path, id: &ObjectId| tree.get(path) == Some(&Entry::File(id.clone()));
        let lost: HashSet<(&Path, &ObjectId)> =
            found.iter().map(|loss| (loss.path.as_path(), &loss.content)).collect();
        for (path, contents) in &mut unknown {
            contents.retain(|id| !is_there(path, id) && !lost.contains(&(path.as_path(), id)));
        }
        unknown.retain(|_, contents| !contents.is_empty());
    }
    if !unknown.is_empty() {
        let mut all = vec!["--ignore-missing", "--all", "--reflog"];
        let kept = sides::kept(git)?;
        all.extend(kept.iter().map(String::as_str));
        found.extend(of_commits(git, &all, &unknown)?);
    }
    Ok(found)
}

/// What was lost on the way to some commits.
fn of_commits(git: &Git, commits: &[&str], wanted: &Contents) -> Result<Vec<Loss>> {
    let mut losses = Vec::new();
    let args = LOSSES.iter().chain(&["--diff-filter=DTM"]).chain(commits).chain(&["--"]).map(OsStr::new);
    git.stream(args, |output| {
        losses = read(output, wanted)?;
        Ok(())
    })?;
    for of_merge in losses.chunk_by_mut(|one, other| one.after == other.after) {
        if of_merge[0].before.len() > 1 {
            keep_parents_with(git, of_merge)?;
        }
    }
    Ok(losses)
}

/// Of what was lost by one merge, keeps those of its parents that have it.
fn keep_parents_with(git: &Git, losses: &mut [Loss]) -> Result<()> {
    let paths: BTreeSet<PathBuf> = losses.iter().map(|loss| loss.path.clone()).collect();
    for parent in losses[0].before.clone() {
        let tree = Tree::of_commit_at(git, &parent, &paths)?;
        for loss in &mut *losses {
            if tree.get(&loss.path) != Some(&Entry::File(loss.content.clone())) {
                loss.before.retain(|kept| *kept != parent);
            }
        }
    }
    Ok(())
}

/// Reads losses of contents that are wanted, newest first. Those of a merge name all its parents.
fn read(output: &mut dyn BufRead, wanted: &Contents) -> Result<Vec<Loss>> {
    let (mut losses, mut of_commit): (Vec<Loss>, HashSet<Change>) = (Vec::new(), HashSet::new());
    each_change(output, |(after, before), change| {
        // A merge is listed once for each parent.
        if losses.last().is_none_or(|loss| loss.after != *after) {
            of_commit.clear();
        }
        let Change { path, content: Some(content), next } = &change else { return };
        let is_wanted = wanted.get(path).is_some_and(|contents| contents.contains(content));
        if is_wanted && next.as_ref() != Some(content) && !of_commit.contains(&change) {
            let (path, content, next) = (path.clone(), content.clone(), next.clone());
            losses.push(Loss { path, content, next, before: before.clone(), after: after.clone() });
            of_commit.insert(change);
        }
    })?;
    Ok(losses)
}

/// What became of a path: the files that were, and are, there.
#[derive(PartialEq, Eq, Hash)]
struct Change {
    path: PathBuf,
    content: Option<ObjectId>,
    next: Option<ObjectId>,
}

/// Reads changes, each with its commit and the parents of that.
fn each_change(output: &mut dyn BufRead, mut each: impl FnMut(&(String, Vec<String>), Change)) -> Result<()> {
    let mut header: Option<(String, Vec<String>)> = None;
    while let Some(entry) = field(output).map_err(cannot_read)? {
        match entry.strip_prefix(b"\n").unwrap_or(&entry) {
            [] => {}
            [1, names @ ..] => {
                let names = String::from_utf8_lossy(names);
                let mut names = names.split_whitespace().map(str::to_owned);
                header = Some((names.next().ok_or_else(not_understood)?, names.collect()));
            }
            [b':', change @ ..] => {
                let path = field(output).map_err(cannot_read)?.ok_or_else(not_understood)?;
                let path = PathBuf::from(OsString::from_vec(path));
                let words: Vec<&[u8]> = change.split(|byte| *byte == b' ').collect();
                let [old_mode, new_mode, old, new, _] = words[..] else { return Err(not_understood()) };
                let file = |mode: &[u8], id: &[u8]| -> Result<Option<ObjectId>> {
                    let id = ObjectId::parse(id).ok_or_else(not_understood)?;
                    Ok(Some(id).filter(|id| is_file(mode) && !id.is_null()))
                };
                let (content, next) = (file(old_mode, old)?, file(new_mode, new)?);
                each(header.as_ref().ok_or_else(not_understood)?, Change { path, content, next });
            }
            _ => return Err(not_understood()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_places_lose_is_read_once_of_a_merge() {
        let id = |digit: &str| ObjectId::parse(digit.repeat(40).as_bytes()).unwrap();
        let line = |mode: &str, new: &str, path: &str| {
            format!("\n:100644 {mode} {} {} X\0{path}\0", "a".repeat(40), new.repeat(40))
        };
        let lost = |path: &str| line("000000", "0", path);
        let text = format!(
            "\u{1}m p q\0{}\u{1}m p q\0{}{}\u{1}c d\0{}{}{}{}{}",
            lost("one"),
            lost("one"),
            lost("two"),
            lost("two"),
            lost("three\n"),
            lost("other"),
            line("100644", "b", "one"),
            line("100755", "a", "two"),
        );
        let wanted = ["one", "two", "three\n"].map(|path| (PathBuf::from(path), BTreeSet::from([id("a")])));
        let wanted = Contents::from(wanted);
        let found = read(&mut text.as_bytes(), &wanted).unwrap();
        let loss = |after: &str, before: &[&str], path: &str, next: Option<ObjectId>| Loss {
            path: path.into(),
            content: id("a"),
            next,
            before: before.iter().map(|&name| name.to_owned()).collect(),
            after: after.to_owned(),
        };
        let expected = [
            loss("m", &["p", "q"], "one", None),
            loss("m", &["p", "q"], "two", None),
            loss("c", &["d"], "two", None),
            loss("c", &["d"], "three\n", None),
            loss("c", &["d"], "one", Some(id("b"))),
        ];
        assert_eq!(found, expected);
        assert!(read(&mut &b":100644 000000 a b D\0x\0"[..], &wanted).is_err());
    }
}
