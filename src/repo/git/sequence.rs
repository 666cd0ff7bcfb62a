//! The data keys that a running rebase or cherry-pick has made here, so that its later steps keep them.
//!
//! Owns one file in the folder in which Git keeps the state of such a sequence. Git removes that folder when the sequence
//! ends, and nothing of a working tree gets there; but a whole clone may come out of somebody's archive, so we trust
//! only entries that are marked with a secret of the user's own. The clone is not the place to remember this: somebody
//! who could read an older key of ours could bring that back, or one that was made for another path.

use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use sha2::Sha256;

use super::{Git, root_of};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::host::Host;
use crate::os;
use crate::secret::{DataKey, SecretBytes};

/// Where Git keeps the state of a rebase, of a rebase by patches, and of several cherry-picks or reverts.
const FOLDERS: [&str; 3] = ["rebase-merge", "rebase-apply", "sequencer"];

/// Our file in one of them.
const NAME: &str = "sealant-data-keys";

/// Goes in front of the marked text, so that the mark is no use for anything else.
const PREFIX: &[u8] = b"sealant.dev/sequence/v2\0";

/// The user's secret, in the folder of their settings.
const SECRET: &str = "sealant/sequence.key";

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

/// From where to where a running sequence goes: names of commits.
pub struct Course {
    /// Onto what; none where that is unknown.
    pub began: Vec<String>,
    /// The commits that are brought there, by the last of them; none where commits are taken back, or patches are no commits.
    pub leads_to: Vec<String>,
    /// Where these left what they are brought to.
    pub forks: Vec<String>,
}

/// That of a rebase, or of several cherry-picks, reverts or patches; `None` when nothing is under way. What a config says on the way
/// is nobody's decision.
pub fn course(git: &Git<'_>) -> Result<Option<Course>> {
    let state = git.path_of(["rev-parse", "--absolute-git-dir"])?;
    let Some(folder) = FOLDERS.iter().find(|name| state.join(name).is_dir()) else { return Ok(None) };
    let text = |file: &str| {
        let read = fs::read_found(&state.join(folder).join(file), MAX_BYTES).ok();
        read.map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let commit = |name: String| Some(name.trim().to_owned()).filter(|name| is_whole_name(name));
    let is_rebase = *folder != "rebase-apply" || state.join("rebase-apply/rebasing").exists();
    let (began, leads_to) = match *folder {
        "sequencer" => (text("head").and_then(commit), last_pick(git, &text("todo").unwrap_or_default())?),
        _ if !is_rebase => (text("../ORIG_HEAD").and_then(commit), None),
        _ => match text("onto").and_then(commit) {
            Some(onto) => (Some(onto), text("orig-head").and_then(commit)),
            // A rebase by patches writes them down when it stops.
            None => (start_in_reflog(git)?, text("../ORIG_HEAD").and_then(commit)),
        },
    };
    let forks = match (&began, &leads_to) {
        (Some(began), Some(leads_to)) => {
            let bases = git.ask(["merge-base", "--all", began, leads_to])?.stdout;
            String::from_utf8_lossy(&bases).lines().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Ok(Some(Course { began: began.into_iter().collect(), leads_to: leads_to.into_iter().collect(), forks }))
}

/// Whether something can be under way in the repository of a folder, without asking Git.
pub fn may_be_under_way(folder: &Path) -> bool {
    let state = root_of(folder).map(|top| top.join(".git"));
    // What is not a folder leads to one, and without one the environment may name a repository.
    state.is_none_or(|state| !state.is_dir() || FOLDERS.iter().any(|name| state.join(name).exists()))
}

fn is_whole_name(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The last commit that is picked. Its name is cut short, and anybody can give a tag that name.
fn last_pick(git: &Git<'_>, todo: &str) -> Result<Option<String>> {
    let words = todo.lines().rev().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let last = words
        .filter(|words| words.len() > 1 && !words[0].starts_with('#'))
        .find_map(|words| matches!(words[0], "pick" | "p").then(|| words[1].to_owned()));
    let is_short = |name: &String| name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(short) = last.filter(is_short) else { return Ok(None) };
    let found = git.run(["rev-parse", &format!("--disambiguate={short}")])?;
    let found = String::from_utf8_lossy(&found).into_owned();
    let mut commits = Vec::new();
    for name in found.lines() {
        if git.ask(["cat-file", "-t", name])?.stdout.starts_with(b"commit") {
            commits.push(name.to_owned());
        }
    }
    Ok(commits.pop().filter(|_| commits.is_empty()))
}

/// Onto what the last rebase began, by what Git has noted of HEAD.
fn start_in_reflog(git: &Git<'_>) -> Result<Option<String>> {
    let log = git
        .ask(["log", "-g", "-z", "--no-show-signature", "--format=%H %gs", "-n", "10000", "HEAD", "--"])?
        .stdout;
    let log = String::from_utf8_lossy(&log).into_owned();
    let mut lines = log.split('\0').filter_map(|line| line.split_once(' '));
    // What begins it may be a pull, or called as somebody likes.
    Ok(lines.find(|(_, what)| what.contains(" (start): checkout")).map(|(name, _)| name.to_owned()))
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
