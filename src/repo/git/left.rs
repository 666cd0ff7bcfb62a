//! What places have lost: contents that were there in one commit, and were not in the next.
//!
//! Whatever came into the place afterwards, or was there before, says nothing of those who could read what has left it: so every
//! loss counts of what leads to HEAD. A merge counts as a change of each of its parents: what a branch has moved away was in the
//! other parent until the two were merged. What only other commits have is [`super::beside`]'s.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::Git;
use super::at_places::Before;
use super::history::{MOST_CHANGES, cannot_read, field, is_file, not_understood, without_an_end};
use super::tree::ObjectId;
use super::{changes, sides};
use crate::config::is_config;
use crate::error::Result;
use crate::os;

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
    pub before: Vec<ObjectId>,
    /// The first in which it was not.
    pub after: ObjectId,
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
    "--diff-merges=separate",
    "--format=tformat:%x01%H",
];

/// Whether a file has ever left its place in some commit, or has since the last one.
pub fn any(git: &Git) -> Result<bool> {
    let Some(head) = changes::head(git)? else { return Ok(true) };
    let since = ["diff-index", "-z", "--name-only", "--no-renames", "--diff-filter=DT", &head, "--"];
    let all = sides::all(git)?;
    let ever = LOSSES.iter().copied().chain(["--diff-filter=DT", "-1"]);
    let ever = ever.chain(all.iter().map(String::as_str)).chain(["--"]);
    Ok(!git.run(since)?.is_empty() || !git.run(ever)?.is_empty())
}

/// A config of some commit: a file, or something else that has its name.
pub struct EverConfig {
    pub path: PathBuf,
    pub file: Option<ObjectId>,
}

/// What configs ever were in some commit, as long as these have never left their places.
pub fn configs_ever(git: &Git) -> Result<Vec<EverConfig>> {
    let mut found = BTreeSet::new();
    let all = sides::all(git)?;
    let args = LOSSES.iter().copied().chain(["--root"]).chain(all.iter().map(String::as_str)).chain(["--"]);
    git.stream(args, |output| {
        each_change(output, |_, change| {
            if is_config(&change.path) {
                found.insert((change.path, change.next));
            }
        })
    })?;
    Ok(found.into_iter().map(|(path, file)| EverConfig { path, file }).collect())
}

/// When these contents have left their places, of what leads to a commit.
pub fn losses(git: &Git, head: &str, wanted: &Contents) -> Result<Vec<Loss>> {
    let mut losses = lost(git, head, wanted)?;
    let changes: Vec<(&ObjectId, &Path)> = losses.iter().map(|loss| (&loss.after, &*loss.path)).collect();
    let before = Before::read(git, &changes)?;
    for loss in &mut losses {
        let having = before.having(&loss.after, &loss.path, |id| *id == loss.content);
        loss.before = having.cloned().collect();
    }
    Ok(losses)
}

/// The same, without the last commits in which it was there.
pub fn lost(git: &Git, head: &str, wanted: &Contents) -> Result<Vec<Loss>> {
    let mut losses = Vec::new();
    if !wanted.is_empty() {
        let args = LOSSES.iter().copied().chain(["--diff-filter=DTM", head, "--"]);
        git.stream(args, |output| {
            losses = read(output, wanted)?;
            Ok(())
        })?;
    }
    Ok(losses)
}

/// The files that merges have at these places, where one of their parents has another or none.
pub fn merged(git: &Git, places: &[&Path]) -> Result<BTreeSet<(ObjectId, PathBuf, ObjectId)>> {
    let mut found = BTreeSet::new();
    each_merged(git, places, |merge, change| {
        if let Some(next) = change.next {
            found.insert((merge.clone(), change.path, next));
        }
    })?;
    Ok(found)
}

/// The merges that have something else at these places than one of their parents.
pub fn merges_at(git: &Git, places: &[&Path]) -> Result<BTreeSet<ObjectId>> {
    let mut found = BTreeSet::new();
    each_merged(git, places, |merge, _| _ = found.insert(merge.clone()))?;
    Ok(found)
}

fn each_merged(git: &Git, places: &[&Path], mut each: impl FnMut(&ObjectId, Change)) -> Result<()> {
    let all = sides::all(git)?;
    for some in places.chunks(PLACES_AT_ONCE) {
        let args = LOSSES.iter().copied().chain(["--merges", "--full-history"]);
        let args = args.chain(all.iter().map(String::as_str)).chain(["--"]).map(OsStr::new);
        git.stream(args.chain(some.iter().map(|place| place.as_os_str())), |output| {
            each_change(output, &mut each)
        })?;
    }
    Ok(())
}

/// The merges on the way to a commit that took one of these contents from one of their parents, changed or not, while another
/// parent has something else there. Only merges whose configs differ from those of a parent, or all (`is_any`).
pub fn taken(
    git: &Git,
    head: &str,
    wanted: &Contents,
    is_any: bool,
) -> Result<BTreeSet<(ObjectId, PathBuf, ObjectId)>> {
    let (mut found, mut of_configs) = (BTreeSet::new(), HashSet::new());
    git.stream(LOSSES.iter().copied().chain(["--merges", head, "--"]), |output| {
        each_change(output, |merge, Change { path, content, next }| {
            if is_config(&path) {
                of_configs.insert(merge.clone());
            }
            let (Some(contents), true) = (wanted.get(&path), next.is_some()) else { return };
            let taken = [content, next].into_iter().flatten().filter(|content| contents.contains(content));
            found.extend(taken.map(|content| (merge.clone(), path.clone(), content)));
        })
    })?;
    found.retain(|(merge, ..)| is_any || of_configs.contains(merge));
    Ok(found)
}

/// A command line has an end.
const PLACES_AT_ONCE: usize = 200;

/// The most losses of contents that may be in a file of today: each takes some kilobytes.
const MOST_LOSSES: usize = 100_000;

/// Reads losses of contents that are wanted, newest first, without what was before.
fn read(output: &mut dyn BufRead, wanted: &Contents) -> Result<Vec<Loss>> {
    let (mut losses, mut of_commit): (Vec<Loss>, HashSet<Change>) = (Vec::new(), HashSet::new());
    let mut too_many = false;
    each_change(output, |after, change| {
        // A merge is listed once for each parent.
        if losses.last().is_none_or(|loss| loss.after != *after) {
            of_commit.clear();
        }
        let Change { path, content: Some(content), next } = &change else { return };
        let is_wanted = wanted.get(path).is_some_and(|contents| contents.contains(content));
        if is_wanted && next.as_ref() != Some(content) && !of_commit.contains(&change) {
            let (path, content, next) = (path.clone(), content.clone(), next.clone());
            too_many |= losses.len() >= MOST_LOSSES;
            if !too_many {
                losses.push(Loss { path, content, next, before: Vec::new(), after: after.clone() });
                of_commit.insert(change);
            }
        }
    })?;
    if too_many { Err(without_an_end()) } else { Ok(losses) }
}

/// What became of a path: the files that were, and are, there.
#[derive(PartialEq, Eq, Hash)]
struct Change {
    path: PathBuf,
    content: Option<ObjectId>,
    next: Option<ObjectId>,
}

/// Reads changes, each with its commit.
fn each_change(output: &mut dyn BufRead, mut each: impl FnMut(&ObjectId, Change)) -> Result<()> {
    let (mut header, mut left): (Option<ObjectId>, _) = (None, MOST_CHANGES);
    while let Some(entry) = field(output).map_err(cannot_read)? {
        match entry.strip_prefix(b"\n").unwrap_or(&entry) {
            [] => {}
            [1, commit @ ..] => header = Some(ObjectId::parse(commit).ok_or_else(not_understood)?),
            // Comparing a merge with all of its parents at once would not show what came from which.
            [b':', b':', ..] => return Err(not_understood()),
            [b':', change @ ..] => {
                left = left.checked_sub(1).ok_or_else(without_an_end)?;
                let path = field(output).map_err(cannot_read)?.ok_or_else(not_understood)?;
                let path = PathBuf::from(os::name_of(&path));
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
        let [m, c] = ["1", "2"].map(|digit| digit.repeat(40));
        let text = format!(
            "\u{1}{m}\0{}\u{1}{m}\0{}{}\u{1}{c}\0{}{}{}{}{}",
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
        let loss = |after: &str, path: &str, next: Option<ObjectId>| Loss {
            path: path.into(),
            content: id("a"),
            next,
            before: Vec::new(),
            after: id(after),
        };
        let expected = [
            loss("1", "one", None),
            loss("1", "two", None),
            loss("2", "two", None),
            loss("2", "three\n", None),
            loss("2", "one", Some(id("b"))),
        ];
        assert_eq!(found, expected);
        assert!(read(&mut &b":100644 000000 a b D\0x\0"[..], &wanted).is_err());
    }
}
