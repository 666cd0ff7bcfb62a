//! The data keys that a running rebase or cherry-pick has made here, so that its later steps keep them.
//!
//! Owns one file in the folder in which Git keeps the state of such a sequence. Git removes that folder when the sequence
//! ends, and nothing of a working tree gets there; but a whole clone may come out of somebody's archive, so we trust
//! only entries that are marked with a secret of the user's own. The clone is not the place to remember this: somebody
//! who could read an older key of ours could bring that back, or one that was made for another path.

use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use sha2::Sha256;

use super::Git;
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

/// The commits where a running rebase, or several cherry-picks, reverts or patches, began and where they lead to, as far as Git tells;
/// `None` when nothing is under way. What a config says in between, on the way from one to the other, is nobody's decision.
pub fn ends(git: &Git<'_>) -> Result<Option<Vec<String>>> {
    let state = git.path_of(["rev-parse", "--absolute-git-dir"])?;
    let Some(folder) = FOLDERS.iter().find(|name| state.join(name).is_dir()) else { return Ok(None) };
    let files: &[&str] = match *folder {
        "sequencer" => &["head"],
        "rebase-apply" if !state.join("rebase-apply/rebasing").exists() => &["../ORIG_HEAD"],
        _ => &["onto", "orig-head"],
    };
    let read = |file: &str| fs::read_found(&state.join(folder).join(file), MAX_BYTES).ok();
    let text = |file: &str| read(file).map(|text| String::from_utf8_lossy(&text).into_owned());
    let mut ends: Vec<String> =
        files.iter().filter_map(|file| text(file)).map(|name| name.trim().to_owned()).collect();
    // The last commit that is picked. What takes commits back leads to none that there is.
    let todo = text("todo").unwrap_or_default();
    let last = todo.lines().rev().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let last =
        last.filter(|words| words.len() > 1 && !words[0].starts_with('#')).find_map(|words| match words[0] {
            "pick" | "p" => Some(words[1].to_owned()),
            _ => None,
        });
    ends.extend(last.filter(|_| *folder == "sequencer"));
    ends.retain(|name| name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Ok(Some(ends))
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
