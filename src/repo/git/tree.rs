//! What the index or a commit holds: paths, and the objects that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::os;
use crate::repo::git::{Git, revision};

/// How many paths Git is asked for at once: a command line has an end.
const PATHS_AT_ONCE: usize = 200;

/// The tree without a file, which every repository has, by SHA-1 and by SHA-256.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const EMPTY_TREE_SHA256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

/// The name that Git has for an object: hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(String);

impl ObjectId {
    /// A name that Git has printed.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let is_name = matches!(name.len(), 40 | 64) && name.iter().all(u8::is_ascii_hexdigit);
        is_name.then(|| Self(String::from_utf8_lossy(name).into_owned()))
    }

    /// Git writes it where there is no object.
    pub fn is_null(&self) -> bool {
        self.0.bytes().all(|digit| digit == b'0')
    }

    /// Whether it is that of a file without a byte.
    fn is_of_empty_file(&self) -> bool {
        matches!(
            self.as_str(),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
                | "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
        )
    }

    /// As it is shown to people.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    File(ObjectId),
    /// A symbolic link, whose target is the content of the object.
    Link(ObjectId),
    /// A submodule, with the commit that is chosen: its files belong to another repository.
    Submodule(ObjectId),
    /// A merge has left several versions, and nobody has chosen one.
    Unmerged,
}

/// All that a commit would hold, or holds. Paths are relative to the top folder.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
    /// Of an index, the files that are only announced (`git add -N`): it lists each like an empty file, and no commit gets it.
    announced: BTreeSet<PathBuf>,
}

impl Tree {
    /// One file.
    pub fn of_file(path: &Path, id: &ObjectId) -> Self {
        Self { entries: BTreeMap::from([(path.to_path_buf(), Entry::File(id.clone()))]), ..Self::default() }
    }

    /// What is staged. Git's folder is the top of the working tree.
    pub fn of_index(git: &Git) -> Result<Self> {
        let mut staged = Self::parse(&git.run(["ls-files", "--stage", "-z"])?)?;
        staged.leave_announced_out(git)?;
        Ok(staged)
    }

    fn leave_announced_out(&mut self, git: &Git) -> Result<()> {
        let is_empty = |entry: &Entry| matches!(entry, Entry::File(id) if id.is_of_empty_file());
        let empty = self.entries.iter().filter(|(_, entry)| is_empty(entry));
        let empty: Vec<PathBuf> = empty.map(|(path, _)| path.clone()).collect();
        let Some(Entry::File(id)) = empty.first().and_then(|path| self.entries.get(path)) else {
            return Ok(());
        };
        let nothing = if id.0.len() == 40 { EMPTY_TREE } else { EMPTY_TREE_SHA256 };
        let mut staged = BTreeSet::new();
        for chunk in empty.chunks(PATHS_AT_ONCE) {
            let args = [
                "diff-index",
                "--cached",
                "--ita-invisible-in-index",
                "--name-only",
                "--no-renames",
                "-z",
                nothing,
                "--",
            ];
            let args = args.into_iter().map(OsStr::new).chain(chunk.iter().map(|path| path.as_os_str()));
            staged.extend(git.paths_of(args)?);
        }
        self.announced = empty.into_iter().filter(|path| !staged.contains(path)).collect();
        self.entries.retain(|path, _| !self.announced.contains(path));
        Ok(())
    }

    /// What is staged at some paths, each named from the top.
    pub fn of_index_at(git: &Git, names: &[&Path]) -> Result<Self> {
        let mut found = Self::default();
        for chunk in names.chunks(PATHS_AT_ONCE) {
            let args = ["ls-files", "--stage", "-z", "--"].map(OsStr::new);
            let listed = git.run(args.into_iter().chain(chunk.iter().map(|name| name.as_os_str())))?;
            found.entries.extend(Self::parse(&listed)?.entries);
        }
        Ok(found)
    }

    /// The commit of the submodule at a path; `None` if that is no submodule.
    pub fn submodule(&self, name: &Path) -> Option<&ObjectId> {
        match self.get(name)? {
            Entry::Submodule(commit) => Some(commit),
            _ => None,
        }
    }

    /// What a commit holds.
    pub fn of_commit(git: &Git, name: &str) -> Result<Self> {
        Self::parse(&git.run(["ls-tree", "-r", "-z", "--full-tree", revision(name)?])?)
    }

    /// What a commit holds at some paths, each named from the top.
    pub fn of_commit_at(git: &Git, name: &str, paths: &BTreeSet<PathBuf>) -> Result<Self> {
        let mut found = Self::default();
        let paths: Vec<&PathBuf> = paths.iter().collect();
        for chunk in paths.chunks(PATHS_AT_ONCE) {
            let args = ["ls-tree", "-r", "-z", "--full-tree", revision(name)?, "--"].map(OsStr::new);
            let listed = git.run(args.into_iter().chain(chunk.iter().map(|path| path.as_os_str())))?;
            found.entries.extend(Self::parse(&listed)?.entries);
        }
        Ok(found)
    }

    /// The content that a commit has at a path, named from the top; `None` where there is no file.
    pub fn entry_of_commit(git: &Git, name: &str, path: &Path) -> Result<Option<ObjectId>> {
        let args = ["ls-tree", "-z", "--full-tree", revision(name)?, "--"].map(OsStr::new);
        let tree = Self::parse(&git.run(args.into_iter().chain([path.as_os_str()]))?)?;
        Ok(match tree.get(path) {
            Some(Entry::File(id) | Entry::Link(id)) => Some(id.clone()),
            _ => None,
        })
    }

    /// The lines of both are `MODE ... ID ...<tab>PATH`, of the index with a number of a merge's side behind the id, of
    /// a commit with the type before it.
    fn parse(output: &[u8]) -> Result<Self> {
        let entries = listed(output, |words| {
            Some(match words {
                [mode, "blob" | "commit" | "tree", id] => entry(mode, id),
                [mode, id, "0"] => entry(mode, id),
                [_, _, _] => Entry::Unmerged,
                _ => return None,
            })
        });
        Ok(Self { entries: entries.collect::<Result<_>>()?, ..Self::default() })
    }

    /// The commits of submodules in what Git lists as staged, without those from which both sides of a merge come.
    pub fn gitlinks_in(output: &[u8]) -> Result<Vec<(PathBuf, ObjectId)>> {
        let entries = listed(output, |words| match words {
            [_, _, "1"] => Some(Entry::Unmerged),
            [mode, id, _] => Some(entry(mode, id)),
            _ => None,
        });
        let commit = |read: Result<(PathBuf, Entry)>| match read {
            Ok((path, Entry::Submodule(id))) => Some(Ok((path, id))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        };
        entries.filter_map(commit).collect()
    }

    /// The files in what Git lists of conflicts: several versions of each path.
    pub fn versions_in(output: &[u8]) -> Result<Vec<(PathBuf, ObjectId)>> {
        let entries = listed(output, |words| match words {
            [mode, id, _] => Some(entry(mode, id)),
            _ => None,
        });
        let file = |read: Result<(PathBuf, Entry)>| match read {
            Ok((path, Entry::File(id))) => Some(Ok((path, id))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        };
        entries.filter_map(file).collect()
    }

    /// All submodules, with their commits.
    pub fn submodules(&self) -> impl Iterator<Item = (&PathBuf, &ObjectId)> {
        self.iter().filter_map(|(path, entry)| match entry {
            Entry::Submodule(commit) => Some((path, commit)),
            _ => None,
        })
    }

    /// Those of these names that are of submodules.
    pub fn submodules_among<'p>(&self, names: impl IntoIterator<Item = &'p PathBuf>) -> Vec<PathBuf> {
        names.into_iter().filter(|name| self.submodule(name).is_some()).cloned().collect()
    }

    /// Adds what the commit of a submodule holds, in its place.
    pub fn add_below(&mut self, submodule: &Path, tree: &Self) {
        self.entries.extend(tree.iter().map(|(path, entry)| (submodule.join(path), entry.clone())));
    }

    /// Leaves out what is at other paths.
    pub fn keep(&mut self, wanted: impl Fn(&Path) -> bool) {
        self.entries.retain(|path, _| wanted(path));
    }

    /// Whether a file is only announced, so that it is not here.
    pub fn announces(&self, path: &Path) -> bool {
        self.announced.contains(path)
    }

    pub fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Entry)> {
        self.entries.iter()
    }

    /// The path itself, if something is there, or all that is below it.
    pub fn at_or_below<'t>(&'t self, path: &'t Path) -> impl Iterator<Item = (&'t PathBuf, &'t Entry)> {
        let all = path.as_os_str().is_empty();
        let range = self.entries.range(path.to_path_buf()..);
        range.take_while(move |(entry, _)| all || entry.starts_with(path))
    }
}

/// What Git lists, each behind words that `entry` reads: paths end at a zero byte.
fn listed<'o>(
    output: &'o [u8],
    entry: impl Fn(&[&str]) -> Option<Entry> + 'o,
) -> impl Iterator<Item = Result<(PathBuf, Entry)>> + 'o {
    output.split(|byte| *byte == 0).filter(|line| !line.is_empty()).map(move |line| {
        let read = line.iter().position(|&byte| byte == b'\t').and_then(|tab| {
            let words: Vec<&str> = str::from_utf8(&line[..tab]).ok()?.split(' ').collect();
            Some((PathBuf::from(os::name_of(&line[tab + 1..])), entry(&words)?))
        });
        read.ok_or_else(|| Error::new(Kind::Read, "Git lists its files in an unknown form"))
    })
}

fn entry(mode: &str, id: &str) -> Entry {
    let id = ObjectId(id.to_owned());
    match mode {
        "120000" => Entry::Link(id),
        "160000" => Entry::Submodule(id),
        _ => Entry::File(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_are_read() {
        let index =
            b"100644 aa 0\ta b\x00120000 bb 0\tl\x00160000 cc 0\ts\x00100644 dd 1\tx\x00100644 dd 2\tx\0";
        let tree = Tree::parse(index).unwrap();
        let found: Vec<_> =
            tree.iter().map(|(path, entry)| (path.to_str().unwrap(), entry.clone())).collect();
        let id = |id: &str| ObjectId(id.to_owned());
        assert_eq!(
            found,
            [
                ("a b", Entry::File(id("aa"))),
                ("l", Entry::Link(id("bb"))),
                ("s", Entry::Submodule(id("cc"))),
                ("x", Entry::Unmerged),
            ]
        );
        let commit =
            b"100755 blob aa\td/\xff\n\x00100644 blob ab\td/e\x00100644 blob bb\tda\x00160000 commit cc\ts\0";
        let tree = Tree::parse(commit).unwrap();
        assert_eq!(tree.at_or_below(Path::new("d")).count(), 2);
        assert_eq!(tree.at_or_below(Path::new("")).count(), 4);
        assert_eq!(tree.get(Path::new("s")), Some(&Entry::Submodule(id("cc"))));
        assert!(Tree::parse(b"nonsense\0").is_err());
    }
}
