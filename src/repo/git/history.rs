//! The history of a repository: which versions its files had, and when.
//!
//! One `git log` and one `git cat-file --batch`, however many files and commits there are. Renames play no part: a
//! version is known by its content, under whatever name it stood. Of a merge those files count that are as in none of
//! its parents. Submodules and links are no files; of submodules, their commits are known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io::BufRead;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rayon::prelude::*;

use super::Git;
use super::blobs::Blobs;
pub use super::tree::ObjectId;
use crate::batch::{CHUNK_BYTES, CHUNK_FILES};
use crate::config::is_config;
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::os;
use crate::secret::SecretBytes;

/// Which part of the history to look at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// All branches and tags, those of remotes too, and not only what leads to HEAD.
    pub all: bool,
    /// Nothing but these files and folders, named from the top of the working tree.
    pub paths: Vec<PathBuf>,
}

/// A commit that changed something.
#[derive(Debug, Clone)]
pub struct Commit {
    pub id: ObjectId,
    /// When it was made: the earlier of the author's and the committer's time.
    pub time: Timestamp,
    /// Those before it, as far as they are known.
    pub parents: Vec<ObjectId>,
}

/// A version of a file: its content came into its place by a commit.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    pub commit: usize,
    pub path: usize,
    pub blob: usize,
}

/// A content that some file had, and as what it is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Blob {
    pub id: ObjectId,
    pub format: Format,
}

/// What `git log` tells, newest first.
#[derive(Debug, Default)]
pub struct History {
    pub commits: Vec<Commit>,
    pub paths: Vec<PathBuf>,
    pub blobs: Vec<Blob>,
    pub versions: Vec<Version>,
    /// What each version took the place of in each parent of its commit; empty unless it was asked for.
    pub before: Vec<Vec<ObjectId>>,
    /// Every content that a config ever had, links among them; where one was removed, the name that stands for nothing.
    pub configs: BTreeMap<PathBuf, BTreeSet<ObjectId>>,
    /// The commits that have changed a config.
    pub config_changes: Vec<usize>,
    /// A config was once a link: what changes behind it changes no config by its name.
    pub has_linked_configs: bool,
    /// Every commit that a submodule ever had at a path, newest first.
    pub gitlinks: BTreeMap<PathBuf, Vec<ObjectId>>,
    /// When a content was last replaced by another, or removed, by a commit.
    pub replaced: HashMap<ObjectId, Timestamp>,
    /// What came before its first commits is not here (`git clone --depth`).
    pub is_shallow: bool,
    /// There is a commit to which HEAD leads.
    pub has_head: bool,
}

/// The most changes of files that a history may have, and the most that the names of all files may be long, in bytes: several
/// times those of the largest repositories that there are. One tree that holds another one many times over, and so on, is
/// a few hundred bytes that Git lists without an end.
pub(super) const MOST_CHANGES: usize = 50_000_000;
const MOST_NAMES: usize = 64 << 20;

/// What became of reading a content.
pub enum Content {
    Bytes(SecretBytes),
    /// It has more bytes than such a file may have.
    TooLarge,
    /// It is not to be had: in a partial clone, for instance.
    Unread(Error),
}

/// `%x01` begins a commit, so that its line is known from what follows it.
const LOG: &[&str] = &[
    "log",
    "-z",
    "--raw",
    "--no-abbrev",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-decorate",
    "--no-notes",
    "--diff-merges=combined",
    "--full-history",
    "--root",
    "--format=tformat:%x01%H %at %ct %P",
];

/// Before the first commit HEAD leads nowhere, and Git takes that for an error.
fn has_head(git: &Git<'_>) -> Result<bool> {
    Ok(git.ask(["rev-parse", "--verify", "--quiet", "HEAD"])?.code == Some(0))
}

/// Whether this clone lacks what came before some commits.
pub fn is_shallow(git: &Git<'_>) -> Result<bool> {
    Ok(git.run(["rev-parse", "--is-shallow-repository"])?.starts_with(b"true"))
}

/// The arguments that say which commits and which paths.
fn of_scope<'p>(
    scope: &Scope,
    has_head: bool,
    paths: impl IntoIterator<Item = &'p Path>,
) -> impl Iterator<Item = &'p OsStr> {
    let commits = scope.all.then_some("--all").into_iter().chain(has_head.then_some("HEAD"));
    commits.chain(["--"]).map(OsStr::new).chain(paths.into_iter().map(Path::as_os_str))
}

impl History {
    /// Reads the names of all versions of files of which `wanted` says by their paths that they matter. An empty history
    /// when there is no commit yet.
    pub fn read(git: &Git<'_>, scope: &Scope, wanted: impl Fn(&Path) -> bool) -> Result<Self> {
        let mut history = Self { is_shallow: is_shallow(git)?, ..Self::default() };
        let has_head = has_head(git)?;
        history.has_head = has_head;
        if !has_head && !scope.all {
            return Ok(history);
        }
        let paths = scope.paths.iter().map(PathBuf::as_path);
        history.add(git, of_scope(scope, has_head, paths), wanted)?;
        Ok(history)
    }

    /// The same of all that leads to some commits, which arguments of Git's name.
    pub fn read_all(git: &Git<'_>, commits: &[String]) -> Result<Self> {
        let mut history = Self { is_shallow: is_shallow(git)?, ..Self::default() };
        let commits = commits.iter().map(String::as_str).chain(["--"]);
        history.add(git, commits.map(OsStr::new), |_| true)?;
        Ok(history)
    }

    /// The same, with what each version took the place of.
    pub fn read_all_with_before(git: &Git<'_>, commits: &[String]) -> Result<Self> {
        let mut history = Self { is_shallow: is_shallow(git)?, ..Self::default() };
        let commits = commits.iter().map(String::as_str).chain(["--"]).map(OsStr::new);
        let mut reader = LogReader { keeps_before: true, ..LogReader::new(&mut history, |_: &Path| true) };
        git.stream(LOG.iter().map(OsStr::new).chain(commits), |output| reader.read(output))
            .map_err(told_of_an_end)?;
        Ok(history)
    }

    fn add<'a>(
        &mut self,
        git: &Git<'_>,
        of: impl Iterator<Item = &'a OsStr>,
        wanted: impl Fn(&Path) -> bool,
    ) -> Result<()> {
        let mut reader = LogReader::new(self, wanted);
        git.stream(LOG.iter().map(OsStr::new).chain(of), |output| reader.read(output)).map_err(told_of_an_end)
    }

    /// Whether a path leads to something in some commit.
    pub fn knows(git: &Git<'_>, scope: &Scope, path: &Path) -> Result<bool> {
        let has_head = has_head(git)?;
        if !has_head && !scope.all {
            return Ok(false);
        }
        let args = LOG.iter().chain(&["-1"]).map(OsStr::new).chain(of_scope(scope, has_head, [path]));
        Ok(!git.run(args)?.is_empty())
    }

    /// Since when each content has been there, by its first commit.
    pub fn first_commits(&self) -> Vec<usize> {
        self.commits_by_blob(|new, known| self.commits[new].time < self.commits[known].time)
    }

    /// The newest commit by which each content came.
    pub fn last_commits(&self) -> Vec<usize> {
        self.commits_by_blob(|new, known| self.commits[new].time > self.commits[known].time)
    }

    fn commits_by_blob(&self, is_better: impl Fn(usize, usize) -> bool) -> Vec<usize> {
        let mut found = vec![usize::MAX; self.blobs.len()];
        for version in &self.versions {
            let known = &mut found[version.blob];
            if *known == usize::MAX || is_better(version.commit, *known) {
                *known = version.commit;
            }
        }
        found
    }

    /// Reads contents, each once, looks at them in parallel, and hands on what was found in the order of `blobs`. As
    /// many as fit into memory are there at a time.
    pub fn read_blobs<T: Send>(
        &self,
        git: &Git<'_>,
        blobs: &[usize],
        look: impl Fn(usize, Content) -> T + Sync,
        mut found: impl FnMut(usize, T),
    ) -> Result<()> {
        let ids: Vec<&ObjectId> = blobs.iter().map(|&blob| &self.blobs[blob].id).collect();
        let mut objects = Blobs::open(git)?;
        let small_enough = |at: usize, size: u64| {
            let limit = self.blobs[blobs[at]].format.most_bytes() as u64;
            Ok((size <= limit).then_some(((), limit)))
        };
        let (mut chunk, mut bytes, mut read) = (Vec::new(), 0, 0);
        let mut finish = |chunk: &mut Vec<(usize, Content)>| {
            let looked: Vec<(usize, T)> =
                chunk.par_drain(..).map(|(blob, content)| (blob, look(blob, content))).collect();
            looked.into_iter().for_each(|(blob, result)| found(blob, result));
        };
        for (at, content) in objects.each(&ids, small_enough) {
            read += 1;
            let content = match content {
                Ok(Some(((), content))) => Content::Bytes(content),
                Ok(None) => Content::TooLarge,
                Err(error) => Content::Unread(error),
            };
            if let Content::Bytes(content) = &content {
                bytes += content.len();
            }
            chunk.push((blobs[at], content));
            if chunk.len() == CHUNK_FILES || bytes > CHUNK_BYTES {
                finish(&mut chunk);
                bytes = 0;
            }
        }
        if read < blobs.len() {
            return Err(Error::new(Kind::Read, "`git cat-file` ended too early"));
        }
        finish(&mut chunk);
        Ok(())
    }
}

/// The commits to which HEAD and branches lead, those of remotes too.
pub fn tips(git: &Git<'_>, has_head: bool) -> Result<Vec<String>> {
    let args = ["rev-list", "--no-walk=unsorted", "--branches", "--remotes", "HEAD"];
    let names = git.run(if has_head { &args } else { &args[..4] })?;
    Ok(String::from_utf8_lossy(&names).lines().map(str::to_owned).collect())
}

/// Git runs out of time, or of memory, before we do.
fn told_of_an_end(error: Error) -> Error {
    if error.advice().is_some() { error } else { error.advise(WITHOUT_AN_END) }
}

struct LogReader<'a, W> {
    history: &'a mut History,
    wanted: W,
    keeps_before: bool,
    paths: HashMap<OsString, usize>,
    blobs: HashMap<Blob, usize>,
    /// How many changes may still come, and how long the names of new files may be.
    changes_left: usize,
    names_left: usize,
}

impl<'a, W: Fn(&Path) -> bool> LogReader<'a, W> {
    fn new(history: &'a mut History, wanted: W) -> Self {
        let (paths, blobs) = (HashMap::new(), HashMap::new());
        let (changes_left, names_left) = (MOST_CHANGES, MOST_NAMES);
        Self { history, wanted, keeps_before: false, paths, blobs, changes_left, names_left }
    }

    fn read(&mut self, output: &mut dyn BufRead) -> Result<()> {
        while let Some(entry) = field(output).map_err(cannot_read)? {
            match entry.strip_prefix(b"\n").unwrap_or(&entry) {
                [] => {}
                [1, commit @ ..] => self.commit(commit)?,
                [b':', ..] => {
                    let path = field(output).map_err(cannot_read)?.ok_or_else(not_understood)?;
                    self.change(entry.strip_prefix(b"\n").unwrap_or(&entry), path)?;
                }
                _ => return Err(not_understood()),
            }
        }
        Ok(())
    }

    /// `ID AUTHORED COMMITTED PARENTS`
    fn commit(&mut self, line: &[u8]) -> Result<()> {
        let mut words = line.split(|byte| *byte == b' ');
        let id = words.next().and_then(ObjectId::parse).ok_or_else(not_understood)?;
        let mut time = || {
            let seconds: i64 = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
            Timestamp::from_second(seconds).ok()
        };
        // Commits can have times that no calendar has.
        let (authored, committed) = (time(), time());
        let time = match (authored, committed) {
            (Some(authored), Some(committed)) => authored.min(committed),
            (one, other) => one.or(other).unwrap_or(Timestamp::UNIX_EPOCH),
        };
        let parents = words.filter(|word| !word.is_empty()).map(ObjectId::parse);
        let parents = parents.collect::<Option<_>>().ok_or_else(not_understood)?;
        self.history.commits.push(Commit { id, time, parents });
        Ok(())
    }

    /// `:MODE MODE ID ID STATUS`, or with a mode and an id for each parent of a merge: `::MODE MODE MODE ID ID ID STATUS`.
    fn change(&mut self, line: &[u8], path: Vec<u8>) -> Result<()> {
        self.changes_left = self.changes_left.checked_sub(1).ok_or_else(without_an_end)?;
        let parents = line.iter().take_while(|byte| **byte == b':').count();
        let words: Vec<&[u8]> = line[parents..].split(|byte| *byte == b' ').collect();
        let (modes, ids) = words.split_at_checked(parents + 1).ok_or_else(not_understood)?;
        let ids: Vec<ObjectId> = ids.iter().take(parents + 1).filter_map(|id| ObjectId::parse(id)).collect();
        let commit = self.history.commits.len().checked_sub(1).ok_or_else(not_understood)?;
        let ([old @ .., new], true) = (&ids[..], ids.len() == parents + 1) else {
            return Err(not_understood());
        };
        let time = self.history.commits[commit].time;
        for id in old.iter().filter(|id| !id.is_null()) {
            let replaced = self.history.replaced.entry(id.clone()).or_insert(time);
            *replaced = time.max(*replaced);
        }
        let path = os::name_of(&path);
        if is_config(Path::new(&path)) {
            self.history.configs.entry(PathBuf::from(&path)).or_default().insert(new.clone());
            self.history.has_linked_configs |= modes.iter().any(|mode| mode.starts_with(b"120"));
            if self.history.config_changes.last() != Some(&commit) {
                self.history.config_changes.push(commit);
            }
        }
        if modes.last().is_some_and(|mode| mode.starts_with(b"160")) {
            let commits = self.history.gitlinks.entry(PathBuf::from(&path)).or_default();
            if commits.last() != Some(new) {
                commits.push(new.clone());
            }
        }
        if new.is_null()
            || !modes.last().is_some_and(|mode| is_file(mode))
            || !(self.wanted)(Path::new(&path))
        {
            return Ok(());
        }
        let blob = Blob { id: new.clone(), format: Format::of_path(Path::new(&path)) };
        let history = &mut *self.history;
        let blob = *self.blobs.entry(blob).or_insert_with_key(|blob| {
            history.blobs.push(blob.clone());
            history.blobs.len() - 1
        });
        let path = match self.paths.get(&path) {
            Some(&known) => known,
            None => {
                self.names_left = self.names_left.checked_sub(path.len()).ok_or_else(without_an_end)?;
                history.paths.push(PathBuf::from(&path));
                self.paths.insert(path, history.paths.len() - 1);
                history.paths.len() - 1
            }
        };
        history.versions.push(Version { commit, path, blob });
        if self.keeps_before {
            history.before.push(old.to_vec());
        }
        Ok(())
    }
}

pub(super) fn is_file(mode: &[u8]) -> bool {
    mode.starts_with(b"100")
}

/// What is before the next zero byte; `None` at the end.
pub(super) fn field(output: &mut dyn BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut field = Vec::new();
    let read = output.read_until(0, &mut field)?;
    if field.last() == Some(&0) {
        field.pop();
    }
    Ok((read > 0).then_some(field))
}

pub(super) fn cannot_read(error: std::io::Error) -> Error {
    Error::new(Kind::Read, "Git's output cannot be read").caused_by(error)
}

const WITHOUT_AN_END: &str = "In a partial clone, `git fetch --refetch --no-filter` fetches what is missing. If nothing \
                              is missing and the disk was not just slow, somebody may have made a commit with \
                              endlessly nested folders. `git log --oneline --all` lists the commits: delete the \
                              branch of one that nobody knows.";

pub fn without_an_end() -> Error {
    Error::new(Kind::Read, "the history lists more files than any real repository has").advise(WITHOUT_AN_END)
}

pub fn not_understood() -> Error {
    Error::new(Kind::Read, "Git's output about the history cannot be understood")
        .advise("Sealant needs Git 2.31 or newer; if yours is, please report this.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: &str) -> String {
        digit.repeat(40)
    }

    fn parsed(text: &str) -> Result<History> {
        let mut history = History::default();
        LogReader::new(&mut history, |_: &Path| true).read(&mut text.as_bytes())?;
        Ok(history)
    }

    #[test]
    fn a_history_without_an_end_is_not_read_to_its_end() {
        let change = |path: &str| format!(":000000 100644 {} {} A\0{path}\0", id("0"), id("a"));
        let text = format!("\u{1}{} 1 1 \0{}{}{}", id("a"), change("a"), change("b"), change("a"));
        let read = |changes_left, names_left| {
            let mut history = History::default();
            let mut reader = LogReader::new(&mut history, |_: &Path| true);
            (reader.changes_left, reader.names_left) = (changes_left, names_left);
            reader.read(&mut text.as_bytes())
        };
        assert!(read(3, 2).is_ok());
        for (changes, names) in [(2, 2), (3, 1)] {
            let error = read(changes, names).unwrap_err().to_string();
            assert!(error.contains("more files than any real repository has"), "{error}");
        }
    }

    #[test]
    fn commits_merges_and_removals_are_read() {
        let text = format!(
            "\u{1}{a} 100 200 {b} {c}\0\0::100644 100644 100644 {d} {e} {f} MM\0:odd\n\0\
             \u{1}{b} 90 80 \0\n:000000 100644 {null} {d} A\0:odd\n\0:160000 160000 {a} {b} M\0sub\0\
             :100644 000000 {e} {null} D\0gone\0",
            a = id("a"),
            b = id("b"),
            c = id("c"),
            d = id("d"),
            e = id("e"),
            f = id("f"),
            null = id("0"),
        );
        let history = parsed(&text).unwrap();
        let times: Vec<_> =
            history.commits.iter().map(|c| (c.time.as_second(), c.parents.is_empty())).collect();
        assert_eq!(times, [(100, false), (80, true)]);
        assert_eq!(history.paths, [PathBuf::from(":odd\n")]);
        let versions: Vec<_> = history.versions.iter().map(|v| (v.commit, v.path, v.blob)).collect();
        assert_eq!(versions, [(0, 0, 0), (1, 0, 1)]);
        let replaced = |digit: &str| {
            history.replaced.get(&ObjectId::parse(id(digit).as_bytes()).unwrap()).map(|time| time.as_second())
        };
        assert_eq!(["d", "e", "f"].map(replaced), [Some(100), Some(100), None]);
        assert_eq!((history.first_commits(), history.last_commits()), (vec![0, 1], vec![0, 1]));
        assert!(parsed("hello\0").is_err() && parsed(":100644 100644 x y M\0a\0").is_err());
    }
}
