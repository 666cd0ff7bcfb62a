//! Which data keys a rebase or cherry-pick that is under way has made here, so that its later steps keep them.
//!
//! Owns one file in the folder in which Git keeps the state of such a sequence. Git removes that folder when the sequence
//! ends, and nothing of a working tree gets there. It is no memory of the clone: whoever could read an older key of ours
//! could bring it back, and one that was made for another path as well.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Git;
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::host::Host;
use crate::secret::DataKey;

/// Where Git keeps the state of a rebase, of a rebase by patches, and of several cherry-picks or reverts.
const FOLDERS: [&str; 3] = ["rebase-merge", "rebase-apply", "sequencer"];

/// Our file in one of them.
const NAME: &str = "sealant-data-keys";

/// Before what is hashed, so that the digest is of use for nothing else.
const PREFIX: &[u8] = b"sealant.dev/sequence/v1\0";

/// Far more than any sequence makes.
const MAX_BYTES: u64 = 16 << 20;

/// What the sequence that is under way, if there is one, has made for one path.
#[derive(Debug, Default)]
pub struct Sequence {
    path: Vec<u8>,
    /// `None` when nothing is under way.
    file: Option<PathBuf>,
    made: Vec<String>,
}

impl Sequence {
    /// For a file whose place Git has said, as seen from the top of the working tree, where Git starts us. What cannot be
    /// read has made nothing: then there are more new data keys than need be.
    pub fn of_path(host: &dyn Host, path: &Path) -> Self {
        let path = path.as_os_str().as_bytes().to_vec();
        Git::of(host, Path::new(".")).and_then(|git| Self::read(&git, path)).unwrap_or_default()
    }

    /// For a file that a person has named.
    pub fn of_file(host: &dyn Host, file: &Path) -> Self {
        let read = |(git, name): (Git<'_>, PathBuf)| Self::read(&git, name.into_os_string().into_vec());
        Git::of_file(host, file).and_then(read).unwrap_or_default()
    }

    fn read(git: &Git<'_>, path: Vec<u8>) -> Result<Self> {
        let state = git.path_of(["rev-parse", "--absolute-git-dir"])?;
        let folder = FOLDERS.iter().map(|name| state.join(name)).find(|folder| folder.is_dir());
        let file = folder.map(|folder| folder.join(NAME));
        let made = match &file {
            Some(file) => lines(file)?,
            None => Vec::new(),
        };
        Ok(Self { path, file, made })
    }

    /// Whether an earlier step has made this data key for this path.
    pub fn has_made(&self, key: &DataKey) -> bool {
        self.made.contains(&self.digest(key))
    }

    /// Lets later steps know of a data key that was made in this one.
    pub fn remember(&self, key: &DataKey) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut known = lines(file)?;
        known.push(self.digest(key));
        fs::write_atomic(file, (known.join("\n") + "\n").as_bytes(), Mode::Private)
    }

    fn digest(&self, key: &DataKey) -> String {
        let mut hash = Sha256::new();
        hash.update(PREFIX);
        hash.update((self.path.len() as u64).to_be_bytes());
        hash.update(&self.path);
        hash.update(key.as_bytes());
        format!("{:x}", hash.finalize())
    }
}

fn lines(file: &Path) -> Result<Vec<String>> {
    let bytes = match fs::read(file, MAX_BYTES) {
        Err(error) if error.kind() == Kind::NoFile => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::new(Kind::Read, "this is no list of data keys").in_file(file))?;
    Ok(text.lines().map(str::to_owned).collect())
}
