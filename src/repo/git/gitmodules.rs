//! What `.gitmodules` says, and said: where submodules are, and were.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use super::Git;
use super::blobs::Blobs;
use super::tree::{ObjectId, Tree};
use crate::error::Result;
use crate::os;

const NAME: &str = ".gitmodules";

/// The most that it may hold.
const LIMIT: u64 = 1 << 20;

/// The paths of submodules, by their names, as they are staged: none where there is no such file.
pub fn paths_by_name(git: &Git) -> Result<HashMap<PathBuf, PathBuf>> {
    let staged = format!(":{NAME}");
    let args = ["config", "--null", "--blob", &staged, "--get-regexp", r"^submodule\..*\.path$"];
    let answer = git.ask(args)?;
    let entry = |entry: &[u8]| {
        let at = entry.iter().position(|&byte| byte == b'\n')?;
        let name = entry[..at].strip_prefix(b"submodule.")?.strip_suffix(b".path")?;
        Some((os::name_of(name).into(), os::name_of(&entry[at + 1..]).into()))
    };
    Ok(answer.stdout.split(|&byte| byte == 0).filter_map(entry).collect())
}

/// Where the history of HEAD has had submodules, and the index has none, each with a commit that it had there.
pub fn former_places(git: &Git) -> Result<Vec<(PathBuf, ObjectId)>> {
    let args = [
        "log",
        "--full-history",
        "-m",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--format=%H",
        "HEAD",
        "--",
        NAME,
    ];
    let log = git.run(args)?;
    let mut versions: Vec<(String, ObjectId)> = Vec::new();
    let mut commit = String::new();
    for line in String::from_utf8_lossy(&log).lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix(':') {
            None => commit = line.to_owned(),
            Some(raw) => {
                let id = raw.split_whitespace().nth(3).and_then(|id| ObjectId::parse(id.as_bytes()));
                versions.extend(id.filter(|id| !id.is_null()).map(|id| (commit.clone(), id)));
            }
        }
    }
    let mut blobs = Blobs::open(git)?;
    let mut paths: HashMap<ObjectId, BTreeSet<PathBuf>> = HashMap::new();
    for (_, id) in &versions {
        if !paths.contains_key(id) {
            let text = blobs.read_up_to(id, LIMIT).ok().flatten();
            paths.insert(id.clone(), text.map(|text| paths_in(&text)).unwrap_or_default());
        }
    }
    let all: BTreeSet<&PathBuf> = paths.values().flatten().collect();
    let names: Vec<_> = all.iter().map(|path| path.as_path()).collect();
    let today = if names.is_empty() { Tree::default() } else { Tree::of_index_at(git, &names)? };
    let former: HashSet<&PathBuf> = all.into_iter().filter(|path| today.submodule(path).is_none()).collect();
    let mut found = BTreeSet::new();
    for (commit, id) in &versions {
        let gone: BTreeSet<PathBuf> =
            paths[id].iter().filter(|path| former.contains(path)).cloned().collect();
        if !gone.is_empty() {
            let tree = Tree::of_commit_at(git, commit, &gone)?;
            let had = gone.iter().filter_map(|path| Some((path.clone(), tree.submodule(path)?.clone())));
            found.extend(had);
        }
    }
    Ok(found.into_iter().collect())
}

/// The paths in one version, as Git writes them.
fn paths_in(text: &[u8]) -> BTreeSet<PathBuf> {
    let path = |line: &[u8]| {
        let value =
            line.trim_ascii().strip_prefix(b"path")?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        Some(PathBuf::from(os::name_of(value)))
    };
    text.split(|&byte| byte == b'\n').filter_map(path).filter(|path| path.is_relative()).collect()
}

/// Which of these commits a repository has.
pub fn commits_in(git: &Git, commits: &BTreeSet<&ObjectId>) -> Result<HashSet<ObjectId>> {
    let asked: String = commits.iter().map(|commit| format!("{}\n", commit.as_str())).collect();
    let told = git.run_on(["cat-file", "--batch-check"], asked.as_bytes())?;
    let told = String::from_utf8_lossy(&told);
    let commit = |line: &str| {
        let mut words = line.split(' ');
        let id = ObjectId::parse(words.next()?.as_bytes())?;
        (words.next() == Some("commit")).then_some(id)
    };
    Ok(told.lines().filter_map(commit).collect())
}
