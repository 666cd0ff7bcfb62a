//! How old encrypted values are, from the history of their repository.
//!
//! A value is as old as its ciphertext: as the first commit that has it, in whatever file. Setting a value makes a
//! new ciphertext, and so does a rotation of the data key, which leaves all values as they are: without a key these
//! look alike. New recipients and a new version of a transit key do not.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::Path;

use jiff::Timestamp;

use crate::encrypted_file::{EncryptedFile, format_in, meant};
use crate::error::Result;
use crate::repo::git::Git;
use crate::repo::git::history::{Content, History, Scope};
use crate::repo::values::{Mark, Values};

/// Since when something has been in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    pub time: Timestamp,
    /// It may be older: what came before is not in this clone.
    pub at_least: bool,
}

/// Since when the history of HEAD has had each of these ciphertexts and wrapped data keys; what is missing was not
/// committed yet. Only files are read whose names have one of these extensions.
pub fn first_seen(
    git: &Git<'_>,
    wanted: &HashSet<Mark>,
    extensions: &HashSet<Option<OsString>>,
) -> Result<HashMap<Mark, Since>> {
    let has_extension = |path: &Path| extensions.contains(&extension(path));
    let history = History::read(git, &Scope::default(), has_extension)?;
    let first = history.first_commits();
    let all: Vec<usize> = (0..history.blobs.len()).collect();
    let look = |blob: usize, content: Content| {
        let Content::Bytes(bytes) = content else { return Vec::new() };
        let format = format_in(history.blobs[blob].format, &bytes);
        if meant(format, &bytes).is_none() {
            return Vec::new();
        }
        // What is broken in an old version is not what this is about.
        let found = EncryptedFile::parse(format, bytes).and_then(|file| Values::of(&file));
        found
            .map(|found| found.marks().filter(|mark| wanted.contains(*mark)).copied().collect())
            .unwrap_or_default()
    };
    let mut seen: HashMap<Mark, Since> = HashMap::new();
    history.read_blobs(git, &all, look, |blob, marks: Vec<Mark>| {
        let commit = &history.commits[first[blob]];
        let since = Since { time: commit.time, at_least: history.is_shallow && commit.parents.is_empty() };
        for mark in marks {
            let known = seen.entry(mark).or_insert(since);
            if since.time < known.time {
                *known = since;
            }
        }
    })?;
    Ok(seen)
}

/// What a file's name ends with, by which it is known to be of one kind with others.
pub fn extension(path: &Path) -> Option<OsString> {
    path.extension().map(OsString::from)
}
