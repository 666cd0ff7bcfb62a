//! What `.gitmodules` says, and said: where submodules are, and were.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::blobs::Blobs;
use super::tree::{Entry, ObjectId, Tree};
use super::{Git, revision};
use crate::error::Result;
use crate::os;

const NAME: &str = ".gitmodules";

/// The most that it may hold.
const LIMIT: u64 = 1 << 20;

/// How many paths Git is asked for by name.
const MOST_NAMED: usize = 200;

/// The paths of submodules, by their names, as they are staged: none where there is no such file.
pub fn paths_by_name(git: &Git) -> Result<HashMap<PathBuf, PathBuf>> {
    let staged = format!(":{NAME}");
    let args = ["config", "--null", "--blob", &staged, "--get-regexp", r"^submodule\..*\.path$"];
    let answer = git.ask(args)?;
    let entry = |entry: &[u8]| {
        let at = entry.iter().position(|&byte| byte == b'\n')?;
        let name = entry[..at].strip_prefix(b"submodule.")?.strip_suffix(b".path")?;
        Some((PathBuf::from(os::name_of(name)), PathBuf::from(os::name_of(&entry[at + 1..]))))
    };
    let entries = answer.stdout.split(|&byte| byte == 0).filter_map(entry);
    Ok(entries.filter(|(_, path)| is_within(path)).collect())
}

/// Where the history of a commit has had submodules otherwise than the index has them, each with a commit that it had there.
pub fn former_places(git: &Git, commit: &str) -> Result<Vec<(PathBuf, ObjectId)>> {
    let commit = revision(commit)?;
    let own = PathBuf::from(NAME);
    let versions = contents_at(git, commit, &BTreeSet::from([own]))?;
    let mut blobs = Blobs::open(git)?;
    let mut read = |id: &ObjectId| blobs.read_up_to(id, LIMIT).ok().flatten();
    let today = match Tree::of_index_at(git, &[Path::new(NAME)])?.get(Path::new(NAME)) {
        Some(Entry::File(id)) => read(id).map(|text| entries_in(&text)).unwrap_or_default(),
        _ => BTreeSet::new(),
    };
    let ever: BTreeSet<SubmoduleEntry> =
        versions.iter().filter_map(|(_, id)| read(id)).flat_map(|text| entries_in(&text)).collect();
    let former: BTreeSet<PathBuf> = ever.difference(&today).map(|entry| entry.path.clone()).collect();
    Ok(if former.is_empty() { Vec::new() } else { contents_at(git, commit, &former)?.into_iter().collect() })
}

/// The names of all that was ever at these paths, by what Git lists of changes: of a submodule, commits.
fn contents_at(git: &Git, commit: &str, paths: &BTreeSet<PathBuf>) -> Result<BTreeSet<(PathBuf, ObjectId)>> {
    let log = [
        "log",
        "--full-history",
        "-m",
        "--raw",
        "-z",
        "--no-abbrev",
        "--no-renames",
        "--format=",
        commit,
        "--",
    ];
    // Anybody can write many paths there. Git then lists all once, and we choose.
    let named = if paths.len() > MOST_NAMED { None } else { Some(paths) };
    let named = named.into_iter().flatten().map(|path| path.as_os_str());
    let listed = git.run(log.map(OsStr::new).into_iter().chain(named))?;
    let mut found = BTreeSet::new();
    let mut parts = listed.split(|&byte| byte == 0);
    // `:MODE MODE ID ID STATUS`, and the path.
    while let Some(part) = parts.next() {
        let Some(raw) = part.strip_prefix(b":") else { continue };
        let path = PathBuf::from(os::name_of(parts.next().unwrap_or_default()));
        let ids = raw.split(|&byte| byte == b' ').skip(2).take(2).filter_map(ObjectId::parse);
        if paths.contains(&path) {
            found.extend(ids.filter(|id| !id.is_null()).map(|id| (path.clone(), id)));
        }
    }
    Ok(found)
}

/// What one version says of a submodule.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SubmoduleEntry {
    path: PathBuf,
    name: Vec<u8>,
    url: Vec<u8>,
}

/// The submodules in one version, as Git writes them.
fn entries_in(text: &[u8]) -> BTreeSet<SubmoduleEntry> {
    let setting = |lines: &[&[u8]], name: &[u8]| {
        let value = lines.iter().filter_map(|line| {
            let value = line.strip_prefix(name)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
            Some(
                value
                    .strip_prefix(b"\"")
                    .and_then(|value| value.strip_suffix(b"\""))
                    .unwrap_or(value)
                    .to_vec(),
            )
        });
        value.collect::<Vec<_>>()
    };
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let sections = lines.chunk_by(|_, line| !line.starts_with(b"["));
    let entries = sections.flat_map(|section| {
        let name = section.first().map(|line| line.to_vec()).unwrap_or_default();
        let url = setting(section, b"url").concat();
        let paths = setting(section, b"path").into_iter().map(|path| PathBuf::from(os::name_of(&path)));
        paths
            .map(move |path| SubmoduleEntry { path, name: name.clone(), url: url.clone() })
            .collect::<Vec<_>>()
    });
    entries.filter(|entry| is_within(&entry.path)).collect()
}

/// Whether a path is one in a repository. Anybody can write anything there.
fn is_within(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
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
