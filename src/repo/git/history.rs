//! The history of a repository: which versions its files had, and when.
//!
//! One `git log` and one `git cat-file --batch`, however many files and commits there are. Renames play no part: a
//! version is known by its content, under whatever name it stood. Of a merge those files count that are as in none of
//! its parents. Submodules and links are no files.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rayon::prelude::*;

use super::Git;
use crate::batch::{CHUNK_BYTES, CHUNK_FILES};
use crate::document::{Format, MAX_BINARY, MAX_SOURCE};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// The name of an object of Git, of either hash that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectId {
    bytes: [u8; 32],
    length: u8,
}

/// Which part of the history to look at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// All branches and tags, those of remotes too, and not only what leads to HEAD.
    pub all: bool,
    /// Nothing but these files and folders, as seen from the folder in which Git is started.
    pub paths: Vec<PathBuf>,
}

/// A commit that changed something.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    pub id: ObjectId,
    /// When it was made: the earlier of the author's and the committer's time.
    pub time: Timestamp,
    /// There is nothing before it, or nothing is known of it.
    pub is_first: bool,
}

/// A version of a file: its content came into its place by a commit.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    pub commit: usize,
    pub path: usize,
    pub blob: usize,
}

/// A content that some file had, and as what it is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// When a content was last replaced by another, or removed, by a commit.
    pub replaced: HashMap<ObjectId, Timestamp>,
    /// What came before its first commits is not here (`git clone --depth`).
    pub is_shallow: bool,
    /// There is a commit to which HEAD leads.
    pub has_head: bool,
}

/// What became of reading a content.
pub enum Content {
    Bytes(SecretBytes),
    /// It has more bytes than such a file may have.
    TooLarge,
    /// It is not in this clone.
    Missing,
}

impl ObjectId {
    fn parse(hex: &[u8]) -> Option<Self> {
        let (mut bytes, length) = ([0; 32], hex.len() / 2);
        if !matches!(hex.len(), 40 | 64) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self { bytes, length: u8::try_from(length).ok()? })
    }

    /// Git writes it where there is no object.
    fn is_null(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }

    /// As Git shows it to people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bytes[..usize::from(self.length)].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `%x01` begins a commit, so that its line is known from what follows it.
const LOG: &[&str] = &[
    "--literal-pathspecs",
    "-c",
    "log.showSignature=false",
    "-c",
    "log.showRoot=true",
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
    "--format=tformat:%x01%H %at %ct %P",
];

impl History {
    /// Reads the names of all versions of files of which `wanted` says by their paths that they matter. An empty history
    /// when there is no commit yet.
    pub fn read(git: &Git<'_>, scope: &Scope, wanted: impl Fn(&Path) -> bool) -> Result<Self> {
        let facts = git.run(["rev-parse", "--is-shallow-repository"])?;
        let mut history = Self { is_shallow: facts.starts_with(b"true"), ..Self::default() };
        // Before the first commit HEAD leads nowhere, and Git takes that for an error.
        let has_head = git.run(["rev-parse", "--verify", "--quiet", "HEAD"]).is_ok();
        history.has_head = has_head;
        if !has_head && !scope.all {
            return Ok(history);
        }
        let mut args: Vec<&OsStr> = LOG.iter().map(OsStr::new).collect();
        args.extend(scope.all.then_some(OsStr::new("--all")));
        args.extend(has_head.then_some(OsStr::new("HEAD")));
        args.push(OsStr::new("--"));
        args.extend(scope.paths.iter().map(|path| path.as_os_str()));
        let mut reader =
            LogReader { history: &mut history, wanted, paths: HashMap::new(), blobs: HashMap::new() };
        git.stream(args, &[], &mut |output| reader.read(output))?;
        Ok(history)
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
        let names: String = blobs.iter().map(|&blob| format!("{}\n", self.blobs[blob].id)).collect();
        git.stream(["cat-file", "--batch"], names.as_bytes(), &mut |output| {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            for (at, &blob) in blobs.iter().enumerate() {
                let content = read_object(output, limit(self.blobs[blob].format)).map_err(cannot_read)?;
                if let Content::Bytes(content) = &content {
                    bytes += content.len();
                }
                chunk.push((blob, content));
                if chunk.len() == CHUNK_FILES || bytes > CHUNK_BYTES || at + 1 == blobs.len() {
                    let looked: Vec<(usize, T)> =
                        chunk.par_drain(..).map(|(blob, content)| (blob, look(blob, content))).collect();
                    looked.into_iter().for_each(|(blob, result)| found(blob, result));
                    bytes = 0;
                }
            }
            Ok(())
        })
    }
}

/// The files of a commit: their contents by their paths from the top of the repository.
pub fn tree(git: &Git<'_>, commit: &str) -> Result<Vec<(PathBuf, ObjectId)>> {
    let mut files = Vec::new();
    git.stream(["ls-tree", "-r", "-z", "--full-tree", commit], &[], &mut |output| {
        while let Some(entry) = field(output).map_err(cannot_read)? {
            // `100644 blob ID<TAB>PATH`
            let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
                return Err(not_understood());
            };
            let mut words = entry[..tab].split(|byte| *byte == b' ');
            let (mode, id) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            if is_file(mode) {
                let id = ObjectId::parse(id).ok_or_else(not_understood)?;
                files.push((PathBuf::from(OsStr::from_bytes(&entry[tab + 1..])), id));
            }
        }
        Ok(())
    })?;
    Ok(files)
}

/// The commits to which HEAD and branches lead, those of remotes too.
pub fn tips(git: &Git<'_>, has_head: bool) -> Result<Vec<String>> {
    let args = ["rev-list", "--no-walk=unsorted", "--branches", "--remotes", "HEAD"];
    let names = git.run(if has_head { &args[..] } else { &args[..4] })?;
    Ok(String::from_utf8_lossy(&names).lines().map(str::to_owned).collect())
}

struct LogReader<'a, W> {
    history: &'a mut History,
    wanted: W,
    paths: HashMap<OsString, usize>,
    blobs: HashMap<Blob, usize>,
}

impl<W: Fn(&Path) -> bool> LogReader<'_, W> {
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
        let is_first = words.next().is_none_or(<[u8]>::is_empty);
        self.history.commits.push(Commit { id, time, is_first });
        Ok(())
    }

    /// `:MODE MODE ID ID STATUS`, or with a mode and an id for each parent of a merge: `::MODE MODE MODE ID ID ID STATUS`.
    fn change(&mut self, line: &[u8], path: Vec<u8>) -> Result<()> {
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
            let replaced = self.history.replaced.entry(*id).or_insert(time);
            *replaced = time.max(*replaced);
        }
        let path = OsString::from_vec(path);
        if new.is_null()
            || !modes.last().is_some_and(|mode| is_file(mode))
            || !(self.wanted)(Path::new(&path))
        {
            return Ok(());
        }
        let blob = Blob { id: *new, format: Format::of_path(Path::new(&path)) };
        let history = &mut *self.history;
        let blob = *self.blobs.entry(blob).or_insert_with(|| {
            history.blobs.push(blob);
            history.blobs.len() - 1
        });
        let path = *self.paths.entry(path).or_insert_with_key(|path| {
            history.paths.push(PathBuf::from(path));
            history.paths.len() - 1
        });
        history.versions.push(Version { commit, path, blob });
        Ok(())
    }
}

fn is_file(mode: &[u8]) -> bool {
    mode.starts_with(b"100")
}

/// What stands before the next zero byte; `None` at the end.
fn field(output: &mut dyn BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut field = Vec::new();
    let read = output.read_until(0, &mut field)?;
    if field.last() == Some(&0) {
        field.pop();
    }
    Ok((read > 0).then_some(field))
}

fn limit(format: Format) -> usize {
    if format == Format::Binary { MAX_BINARY } else { MAX_SOURCE }
}

/// `ID blob SIZE`, a line break, the content, and a line break again.
fn read_object(output: &mut dyn BufRead, limit: usize) -> std::io::Result<Content> {
    let mut head = String::new();
    output.read_line(&mut head)?;
    let mut words = head.split_whitespace().skip(1);
    let size: u64 = match (words.next(), words.next().map(str::parse)) {
        (Some("blob"), Some(Ok(size))) => size,
        (Some("missing"), _) => return Ok(Content::Missing),
        _ => return Err(std::io::Error::other("Git answered something else than was asked for")),
    };
    let too_large = size > limit as u64;
    let mut bytes = Vec::new();
    if too_large {
        std::io::copy(&mut output.take(size), &mut std::io::sink())?;
    } else {
        bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        output.read_exact(&mut bytes)?;
    }
    output.read_exact(&mut [0])?;
    Ok(if too_large { Content::TooLarge } else { Content::Bytes(SecretBytes::new(bytes)) })
}

fn cannot_read(error: std::io::Error) -> Error {
    Error::new(Kind::Read, "what Git says cannot be read").caused_by(error)
}

fn not_understood() -> Error {
    Error::new(Kind::Read, "what Git says of the history cannot be understood")
        .advise("Sealant knows Git 2.31 and newer; if yours is, please report this.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: &str) -> String {
        digit.repeat(40)
    }

    fn parsed(text: &str) -> Result<History> {
        let mut history = History::default();
        let mut reader = LogReader {
            history: &mut history,
            wanted: |_: &Path| true,
            paths: HashMap::new(),
            blobs: HashMap::new(),
        };
        reader.read(&mut text.as_bytes())?;
        Ok(history)
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
        let times: Vec<_> = history.commits.iter().map(|c| (c.time.as_second(), c.is_first)).collect();
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

    #[test]
    fn objects_are_read_one_after_the_other() {
        let mut text: &[u8] = b"aa blob 3\na\nb\nbb missing\ncc blob 9\n123456789\ndd blob 0\n\n";
        let mut next = || match read_object(&mut text, 5).unwrap() {
            Content::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Content::TooLarge => "too large".to_owned(),
            Content::Missing => "missing".to_owned(),
        };
        assert_eq!([next(), next(), next(), next()], ["a\nb", "missing", "too large", ""]);
        assert!(read_object(&mut &b"aa tree 3\n"[..], 5).is_err());
    }
}
