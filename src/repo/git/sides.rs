//! The commits whose files a merge may bring together under other names.
//!
//! Git tells a merge driver the final path of a file alone. Where a side has moved it there, the place that it comes from may
//! be in no working tree any more. Nothing here is proof of anything: what is found is only looked at, and a commit more
//! does no harm.

use super::Git;
use crate::error::{Error, Kind, Result};
use crate::fs;

/// What Git calls the commits of a merge, a rebase, a cherry-pick or a stash that is under way, and the one before.
const NAMES: [&str; 8] = [
    "HEAD",
    "ORIG_HEAD",
    "FETCH_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "refs/stash",
];

/// Where a rebase keeps the name of the commit that the branch was at.
const FILES: [&str; 2] = ["rebase-merge/orig-head", "rebase-apply/orig-head"];

/// How many branches are looked at, those that were changed last.
const BRANCHES: &str = "--count=50";

/// The most that a file with the name of a commit holds.
const LIMIT: u64 = 1 << 10;

/// The names of the commits: of what is under way, of the newest branches, and of where HEAD has parted from each.
pub fn commits(git: &Git) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in NAMES.into_iter().map(str::to_owned).chain(kept(git)?) {
        let commit = format!("{name}^{{commit}}");
        let answer = git.ask(["rev-parse", "--verify", "--quiet", &commit])?;
        if answer.code == Some(0) {
            found.extend(lines(&answer.stdout));
        }
    }
    let args = ["for-each-ref", "--sort=-committerdate", BRANCHES, "--format=%(objectname)"];
    found.extend(lines(&git.run(args.into_iter().chain(["refs/heads", "refs/remotes"]))?));
    let mut all = found.clone();
    for commit in &found {
        let answer = git.ask(["merge-base", "HEAD", commit])?;
        if answer.code == Some(0) {
            all.extend(lines(&answer.stdout));
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// The names in files of Git's own.
fn kept(git: &Git) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in FILES {
        let path = git.path_of(["rev-parse", "--git-path", file])?;
        match fs::read_found(&path, LIMIT) {
            Ok(text) => names.extend(lines(&text).filter(|name| is_name(name))),
            Err(error) if error.kind() == Kind::NoFile => {}
            Err(error) => return Err(Error::in_file(error, path)),
        }
    }
    Ok(names)
}

fn is_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn lines(text: &[u8]) -> impl Iterator<Item = String> {
    String::from_utf8_lossy(text).lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}
