//! All versions that files ever had, for operations that could give somebody access to a file that was not for them
//! before.
//!
//! Git tells a merge driver the final path of a file alone, and not which commits it merges. Where a side has moved a file
//! there, the place that it comes from may be in no working tree any more. So nothing is guessed: every commit counts of
//! which Git still knows, however old it is and however many there are.

use std::path::PathBuf;

use super::history::History;
use super::{Git, changes};
use crate::error::{Error, Kind, Result};
use crate::fs;

/// Files in which Git keeps names of commits that no reference need have: of what was fetched, of what is under way, and
/// of what was there before.
const FILES: [&str; 11] = [
    "FETCH_HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "rebase-merge/orig-head",
    "rebase-merge/autostash",
    "rebase-apply/orig-head",
    "rebase-apply/autostash",
];

/// Those of them that name what is under way in a working tree.
const UNDER_WAY: [&str; 6] = [
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "rebase-merge/orig-head",
    "rebase-apply/orig-head",
];

/// The most that such a file holds: there is a line for each branch of a remote.
const LIMIT: u64 = 16 << 20;

/// The history of every commit that is left.
pub fn history(git: &Git) -> Result<History> {
    History::read_all(git, &all(git)?)
}

/// The arguments that name every commit that is left in any way: by a reference, by what one ever led to (its reflog; all stashes,
/// and the heads of other worktrees), and by files of Git's own, of whose names some may lead nowhere.
pub fn all(git: &Git) -> Result<Vec<String>> {
    Ok([named(git)?, vec!["--reflog".to_owned(), "HEAD".to_owned()]].concat())
}

/// Those without what only reflogs know: work that somebody has done again.
pub(super) fn named(git: &Git) -> Result<Vec<String>> {
    let mut names = ["--ignore-missing", "--all"].map(str::to_owned).to_vec();
    names.extend(kept(git)?);
    Ok(names)
}

/// The names in files of Git's own, for each working tree of the repository.
fn kept(git: &Git) -> Result<Vec<String>> {
    names_of(git.place.git_dirs()?.iter().flat_map(|folder| FILES.map(|file| folder.join(file))))
}

/// What this working tree has: HEAD, if it leads anywhere, and what is under way.
pub fn here(git: &Git) -> Result<Vec<String>> {
    let mut here: Vec<String> =
        changes::head(git)?.map(|head| head.as_str().to_owned()).into_iter().collect();
    let own = git.place.git_dirs()?.into_iter().next();
    let under_way = names_of(own.iter().flat_map(|folder| UNDER_WAY.map(|file| folder.join(file))))?;
    here.extend(under_way.into_iter().filter(|name| changes::is_commit(git, name)));
    Ok(here)
}

fn names_of(files: impl Iterator<Item = PathBuf>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in files {
        match fs::read_found(&path, LIMIT) {
            Ok(text) => names.extend(names_in(&text)),
            Err(error) if error.kind() == Kind::NoFile => {}
            Err(error) => return Err(Error::in_file(error, path)),
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// What each line begins with, where that is the name of a commit.
fn names_in(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| is_name(word)).map(str::to_owned).collect()
}

fn is_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
