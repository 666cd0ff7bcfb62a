//! The data keys that a running rebase or cherry-pick has made here, so that its later steps keep them.
//!
//! Owns one file in the folder in which Git keeps the state of such a sequence. Git removes that folder when the sequence
//! ends, and nothing of a working tree gets there; but a whole clone may come out of somebody's archive, so we trust
//! only entries that are marked with a secret of the user's own. The clone is not the place to remember this: somebody
//! who could read an older key of ours could bring that back, or one that was made for another path.

use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use sha2::Sha256;

use super::{Git, place, root_of};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::host::Host;
use crate::os;
use crate::secret::{DataKey, SecretBytes};

/// Where Git keeps the state of a rebase, of a rebase by patches, and of several cherry-picks or reverts.
const FOLDERS: [&str; 3] = ["rebase-merge", "rebase-apply", "sequencer"];

/// What Git leaves there where a merge, a squash, or one cherry-pick or revert, is not committed yet.
const STOPPED: [&str; 4] = ["MERGE_HEAD", "SQUASH_MSG", "CHERRY_PICK_HEAD", "REVERT_HEAD"];

/// Our file in one of them.
const NAME: &str = "sealant-data-keys";

/// Goes in front of the marked text, so that the mark is no use for anything else.
const PREFIX: &[u8] = b"sealant.dev/sequence/v2\0";

/// The user's secret, in the folder of their settings.
const SECRET: &str = "sealant/sequence.key";

/// Each of them has its configs read, in each step.
const MOST_PATCHES: usize = 256;

/// Far more than any sequence needs.
const MAX_BYTES: u64 = 16 << 20;

/// What the running sequence, if any, has made for one path.
#[derive(Debug, Default)]
pub struct Sequence {
    path: Vec<u8>,
    /// `None` when nothing is under way.
    file: Option<PathBuf>,
    /// Where the user's secret is.
    secret: Option<PathBuf>,
    made: Vec<String>,
}

impl Sequence {
    /// For a file whose place Git has said, as seen from the top of the working tree, where Git starts us. What cannot be
    /// read has made nothing: then there are more new data keys than need be.
    pub fn of_path(host: &dyn Host, path: &Path) -> Self {
        let path = os::slashed(path);
        Git::of(host, Path::new(".")).and_then(|git| Self::read(&git, host, path)).unwrap_or_default()
    }

    /// For a file that a person named.
    pub fn of_file(host: &dyn Host, file: &Path) -> Self {
        let read = |(git, name): (Git<'_>, PathBuf)| Self::read(&git, host, os::slashed(&name));
        Git::of_file(host, file).and_then(read).unwrap_or_default()
    }

    fn read(git: &Git<'_>, host: &dyn Host, path: Vec<u8>) -> Result<Self> {
        let state = git.path_of(["rev-parse", "--absolute-git-dir"])?;
        let folder = FOLDERS.iter().map(|name| state.join(name)).find(|folder| folder.is_dir());
        let file = folder.filter(|folder| !folder.is_symlink()).map(|folder| folder.join(NAME));
        let file = file.filter(|file| !file.is_symlink());
        let made = match &file {
            Some(file) => lines(file)?,
            None => Vec::new(),
        };
        Ok(Self { path, file, secret: host.config_dir().map(|folder| folder.join(SECRET)), made })
    }

    /// Whether an earlier step made this data key for this path.
    pub fn has_made(&self, key: &DataKey) -> bool {
        let secret = self.secret.as_deref().filter(|_| !self.made.is_empty()).and_then(read_secret);
        secret.is_some_and(|secret| self.made.contains(&self.mark(&secret, key)))
    }

    /// Lets later steps know of a data key that was made in this one. Where the user can have no secret, they do not, and
    /// there are more new data keys than need be.
    pub fn remember(&self, host: &dyn Host, key: &DataKey) -> Result<()> {
        let Some((file, secret)) = self.file.as_ref().zip(self.secret.as_deref()) else { return Ok(()) };
        let Some(secret) = read_secret(secret).or_else(|| new_secret(host, secret)) else { return Ok(()) };
        let mut known = lines(file)?;
        known.push(self.mark(&secret, key));
        fs::write_atomic(file, (known.join("\n") + "\n").as_bytes(), Mode::Private)
    }

    fn mark(&self, secret: &[u8], key: &DataKey) -> String {
        let mut mark = [0; 32];
        let info = [PREFIX, &self.path].concat();
        // It fails only for lengths that this does not have.
        let _ = Hkdf::<Sha256>::new(Some(secret), key.as_bytes()).expand(&info, &mut mark);
        mark.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where what is under way began: a rebase, a merge that has stopped, or cherry-picks, reverts or patches.
pub struct Course {
    /// The commit, or all of which it may be one, and HEAD: Git leaves notes of where something began that is long over. None where it is
    /// unknown.
    pub began: Vec<String>,
    /// It is one step: our side is then what it began on.
    pub is_one_step: bool,
}

impl Course {
    /// That of one step, which begins on HEAD.
    pub fn of_head(git: &Git<'_>) -> Result<Self> {
        let found = git.run(["rev-parse", "--revs-only", "--end-of-options", "HEAD"])?;
        Ok(Self { began: commits(&found), is_one_step: true })
    }
}

/// `None` when nothing is under way. What a config says after the beginning is nobody's decision yet.
pub fn course(git: &Git<'_>) -> Result<Option<Course>> {
    let state = git.path_of(["rev-parse", "--absolute-git-dir"])?;
    let text = |file: &str| {
        let read = fs::read_found(&state.join(file), MAX_BYTES).ok();
        String::from_utf8_lossy(&read.unwrap_or_else(|| SecretBytes::new(Vec::new()))).into_owned()
    };
    let began = match FOLDERS.iter().find(|name| state.join(name).is_dir()) {
        Some(&"rebase-merge") => commits(text("rebase-merge/onto").as_bytes()).into_iter().take(1).collect(),
        Some(&"sequencer") => commits(text("sequencer/head").as_bytes()).into_iter().take(1).collect(),
        Some(_) => {
            let noted = [text("rebase-apply/onto"), text("ORIG_HEAD")].concat();
            before_patches(git, text("rebase-apply/next").trim(), commits(noted.as_bytes()))?
        }
        None if STOPPED.iter().any(|name| state.join(name).exists()) => {
            return Ok(Some(Course::of_head(git)?));
        }
        None => return Ok(None),
    };
    // The notes of what is long over may name what Git has not any more.
    let head = Course::of_head(git)?.began;
    let is_unknown = began.is_empty();
    let mut found = head;
    for commit in began.into_iter().take(MOST_PATCHES + 2) {
        let is_there = git.ask(["cat-file", "-e", &format!("{commit}^{{commit}}")])?.code == Some(0);
        if is_there && !found.contains(&commit) {
            found.push(commit);
        }
    }
    let found = if is_unknown { Vec::new() } else { found };
    Ok(Some(Course { began: found, is_one_step: false }))
}

/// Where patches began, of which this is the number of the next: on one of so many commits, since some may have been left out, or
/// where Git says as well. None of too many.
fn before_patches(git: &Git<'_>, next: &str, noted: Vec<String>) -> Result<Vec<String>> {
    if !next.parse::<usize>().is_ok_and(|next| (1..=MOST_PATCHES).contains(&next)) {
        return Ok(Vec::new());
    }
    if Course::of_head(git)?.began.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = commits(&git.run(["rev-list", "--first-parent", "-n", next, "HEAD", "--"])?);
    for commit in noted {
        let is_before = git.ask(["merge-base", "--is-ancestor", &commit, "HEAD"])?.code == Some(0);
        if is_before && !found.contains(&commit) {
            found.push(commit);
        }
    }
    Ok(found)
}

/// The names of commits in what Git says.
fn commits(said: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(said)
        .split_whitespace()
        .filter(|name| is_whole_name(name))
        .map(str::to_owned)
        .collect()
}

/// Whether something can be under way in the repository of a folder, without asking Git.
pub fn may_be_under_way(host: &dyn Host, folder: &Path) -> bool {
    // Which of them the environment is about is for Git to say.
    if place::is_named(host) {
        return true;
    }
    let Ok(folder) = place::real(folder) else { return true };
    let Some(top) = root_of(&folder) else { return false };
    place::git_dir_of(top)
        .map_or(true, |state| FOLDERS.iter().chain(&STOPPED).any(|name| state.join(name).exists()))
}

fn is_whole_name(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn read_secret(path: &Path) -> Option<SecretBytes> {
    fs::read_found(path, DataKey::LEN as u64).ok().filter(|secret| secret.len() == DataKey::LEN)
}

/// A new secret. Where another process makes one at the same time, the last one counts.
fn new_secret(host: &dyn Host, path: &Path) -> Option<SecretBytes> {
    host.write_private(path, DataKey::generate().as_bytes()).ok()?;
    read_secret(path)
}

fn lines(file: &Path) -> Result<Vec<String>> {
    let bytes = match fs::read_found(file, MAX_BYTES) {
        Err(error) if error.kind() == Kind::NoFile => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::new(Kind::Read, "this is not a list of data keys").in_file(file))?;
    Ok(text.lines().map(str::to_owned).collect())
}
