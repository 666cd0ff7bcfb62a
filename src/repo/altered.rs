//! Encrypted files that were changed without Sealant or sops: edited by hand, or merged as text. Nobody can open them, and Git
//! knows what they were before.
//!
//! Owns which versions of a file are compared. What a MAC binds is for `sops` to say. No key is needed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::document::Format;
use crate::encrypted_file::format_in;
use crate::error::Result;
use crate::host::Host;
use crate::repo::check::{Finding, Rule};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes};
use crate::secret::SecretBytes;
use crate::sops::{self, Encrypted};

/// How many versions of a file we look through for the one that its MAC was made for, and how many bytes of them.
const MOST_VERSIONS: usize = 100;
const MOST_BYTES: u64 = 64 << 20;

/// Earlier versions of files.
#[derive(Default)]
pub struct Earlier(Vec<(PathBuf, ObjectId)>);

impl Earlier {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is an earlier version of a file.
    pub fn has(&self, path: &Path) -> bool {
        self.0.iter().any(|(of, _)| of == path)
    }

    /// Those that commits have at these paths.
    pub fn in_commits(git: &Git, commits: &[String], paths: &BTreeSet<PathBuf>) -> Result<Self> {
        let mut versions = Vec::new();
        for commit in commits {
            let tree = Tree::of_commit_at(git, commit, paths)?;
            versions.extend(tree.iter().filter_map(|(path, entry)| match entry {
                Entry::File(id) => Some((path.clone(), id.clone())),
                _ => None,
            }));
        }
        Ok(Self(versions))
    }

    /// The same, and the sides of conflicts that were resolved since the last commit.
    pub fn and_sides(mut self, git: &Git) -> Result<Self> {
        self.0.extend(changes::resolved(git, Path::new(""))?);
        Ok(self)
    }

    /// The same for a file whose content is an object of Git.
    pub fn look_in(&self, path: &Path, id: &ObjectId, blobs: &mut Blobs) -> Result<Option<Finding>> {
        let mut versions = self.0.iter().filter(|(of, _)| of == path).peekable();
        if versions.peek().is_none() || versions.any(|(_, version)| version == id) {
            return Ok(None);
        }
        blobs.read_up_to(id, limit(path))?.map_or(Ok(None), |now| self.look(path, &now, blobs))
    }

    /// What is wrong with a file: it has the MAC of an earlier version, and not its values.
    pub fn look(&self, path: &Path, now: &SecretBytes, blobs: &mut Blobs) -> Result<Option<Finding>> {
        let Some(file) = encrypted(path, now) else { return Ok(None) };
        for (_, id) in self.0.iter().filter(|(of, _)| of == path) {
            let before = blobs.read(id, limit(path))?;
            if *before == **now {
                return Ok(None);
            }
            let Some(before) = encrypted(path, &before) else { continue };
            // What cannot be compared is broken in another way, which is told already.
            if let Ok(Some(change)) = sops::changed_by_hand(&file, &before) {
                // What is missing is not there to be named.
                let place =
                    change.path.map(|path| format!(", at {path} or just before it")).unwrap_or_default();
                let message = format!(
                    "the file was changed without sealant or sops{place}: it can no longer be decrypted"
                );
                return Ok(Some(Finding::new(change.line, Rule::Altered, message)));
            }
        }
        Ok(None)
    }
}

/// How to get a file back that was changed by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// It was in conflict, and Git can bring that back.
    InMerge,
    /// This commit has the version that its MAC was made for.
    Commit(String),
}

impl Whole {
    /// As [`Whole::find`], but `None` where values were only added: whoever removes these has the file back.
    pub fn of_replaced(host: &dyn Host, file: &Path, now: &SecretBytes) -> Result<Option<Self>> {
        let Some(whole) = Self::find(host, file, now)? else { return Ok(None) };
        let Self::Commit(commit) = &whole else { return Ok(Some(whole)) };
        let (git, name) = Git::of_file(host, file)?;
        let Some(id) = Tree::entry_of_commit(&git, commit, &name)? else { return Ok(None) };
        let before = Blobs::open(&git)?.read(&id, limit(&name))?;
        let versions = encrypted(&name, now).zip(encrypted(&name, &before));
        let only_added = versions.map(|(now, before)| sops::only_added(&now, &before)).transpose()?;
        Ok((only_added == Some(false)).then_some(whole))
    }

    /// Looks where a file is whole; `None` where Git does not know.
    pub fn find(host: &dyn Host, file: &Path, now: &SecretBytes) -> Result<Option<Self>> {
        let (git, name) = Git::of_file(host, file)?;
        if !changes::resolved(&git, &name)?.is_empty() {
            return Ok(Some(Self::InMerge));
        }
        let Some(file) = encrypted(&name, now) else { return Ok(None) };
        let most = MOST_VERSIONS.to_string();
        let args = ["log", "--format=%H", "--max-count", &most, "--"].map(OsStr::new);
        let commits = git.run(args.into_iter().chain([name.as_os_str()]))?;
        let commits = String::from_utf8_lossy(&commits).into_owned();
        let mut blobs = Blobs::open(&git)?;
        let (mut found, mut newest, mut left) = (Vec::new(), None, MOST_BYTES);
        for commit in commits.lines() {
            let Some(id) = Tree::entry_of_commit(&git, commit, &name)? else { continue };
            let Some(bytes) = blobs.read_up_to(&id, left)? else { break };
            left -= bytes.len() as u64;
            newest.get_or_insert_with(|| id.clone());
            match encrypted(&name, &bytes) {
                Some(version) if sops::have_one_mac(&file, &version) => found.push((commit, id, version)),
                _ if !found.is_empty() => break,
                _ => {}
            }
        }
        // The MAC was made for the oldest of those that have it. Later ones may have other recipients and the same values.
        let Some((.., first)) = found.last() else { return Ok(None) };
        let is_whole = |version: &Encrypted| matches!(sops::changed_by_hand(version, first), Ok(None));
        let whole = found.iter().find(|(.., version)| is_whole(version));
        Ok(whole.map(|(commit, id, _)| match newest.as_ref() == Some(id) {
            true => Self::Commit("HEAD".to_owned()),
            false => Self::Commit(commit.get(..10).unwrap_or(commit).to_owned()),
        }))
    }
}

fn encrypted(path: &Path, bytes: &SecretBytes) -> Option<Encrypted> {
    if !sops::looks_encrypted(bytes) {
        return None;
    }
    Encrypted::parse(format_in(Format::of_path(path), bytes), bytes.clone()).ok()
}

fn limit(path: &Path) -> u64 {
    Format::of_path(path).most_bytes() as u64
}
