//! Many files in one run: read and parsed in parallel, their data keys asked for in one request, transformed in
//! parallel. One file is a run of one.
//!
//! Owns the order of these phases and nothing else: what is done to a file is the caller's.

use std::path::PathBuf;

use jiff::Timestamp;
use rayon::prelude::*;

use crate::document::{Document, Format};
use crate::error::{Error, Kind, Result};
use crate::fs::Snapshot;
use crate::keys::{KeyService, KeySet, WrappedDataKey, WrappedKey};
use crate::policy::Recipe;
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{self, Ciphertext, Encrypted, Metadata};

/// How many files are in memory at once.
pub const CHUNK_FILES: usize = 256;

/// How many bytes of files are in memory at once, unless one file alone is larger.
pub const CHUNK_BYTES: usize = 64 << 20;

/// A file that was read.
pub struct Source {
    /// As it is named in messages; for rules, the path that stands for it.
    pub path: PathBuf,
    pub format: Format,
    pub bytes: SecretBytes,
    /// What it was when it was read, so that no other writer's work is overwritten.
    pub snapshot: Snapshot,
}

/// An encrypted file that was parsed.
pub struct Parsed {
    pub path: PathBuf,
    pub snapshot: Snapshot,
    pub file: Encrypted,
}

/// An encrypted file and its data key.
pub struct Opened {
    pub path: PathBuf,
    pub snapshot: Snapshot,
    pub file: Encrypted,
    pub key: DataKey,
}

/// Parses encrypted files. Results stand in the order of the sources.
pub fn parse(sources: Vec<Source>) -> Vec<Result<Parsed>> {
    let parse = |Source { path, format, bytes, snapshot }| {
        let file = Encrypted::parse(format, bytes).map_err(|error| error.in_file(&path))?;
        Ok(Parsed { path, snapshot, file })
    };
    sources.into_par_iter().map(parse).collect()
}

/// Reads encrypted files and opens their data keys. Results stand in the order of the sources.
pub async fn open(service: &KeyService<'_>, sources: Vec<Source>) -> Vec<Result<Opened>> {
    let parsed = parse(sources).into_iter().map(|result| Ok((result?, ()))).collect();
    let opened = unwrap(service, parsed).await;
    opened.into_iter().map(|result| result.map(|(opened, ())| opened)).collect()
}

/// Opens the data keys of files in one request. What was decided about a file goes along with it; one that failed
/// before stays failed.
pub async fn unwrap<T>(
    service: &KeyService<'_>,
    parsed: Vec<Result<(Parsed, T)>>,
) -> Vec<Result<(Opened, T)>> {
    let wrapped: Vec<&WrappedDataKey> =
        parsed.iter().flatten().map(|(parsed, _)| &parsed.file.metadata.keys).collect();
    let mut keys = service.unwrap_many(&wrapped).await.into_iter();
    let pair = |result: Result<(Parsed, T)>| {
        let (Parsed { path, snapshot, file }, decided) = result?;
        let key = keys.next().unwrap_or_else(|| Err(no_answer())).map_err(|error| error.in_file(&path))?;
        Ok((Opened { path, snapshot, file, key }, decided))
    };
    parsed.into_iter().map(pair).collect()
}

/// Reads one encrypted file and opens its data key.
pub async fn open_one(service: &KeyService<'_>, source: Source) -> Result<Opened> {
    open(service, vec![source]).await.pop().unwrap_or_else(|| Err(no_answer()))
}

/// A plaintext file and how it is to be encrypted.
pub struct Plain {
    /// As it is named in messages.
    pub path: PathBuf,
    pub document: Box<dyn Document>,
    pub recipe: Recipe,
}

/// Encrypts files, each under a new data key. Results stand in the order of the files.
pub async fn encrypt(service: &KeyService<'_>, files: &[Plain], now: Timestamp) -> Vec<Result<Ciphertext>> {
    let keys: Vec<DataKey> = files.iter().map(|_| DataKey::generate()).collect();
    let requests: Vec<_> = keys.iter().zip(files).map(|(key, file)| (key, &file.recipe.keys)).collect();
    let wrapped = service.wrap_many(&requests).await;
    files
        .par_iter()
        .zip(keys.par_iter())
        .zip(wrapped.into_par_iter())
        .map(|((file, key), wrapped)| {
            let write = || {
                let Recipe { keys, selection, mac_only_encrypted, .. } = &file.recipe;
                let keys = wrapped_set(wrapped?, keys);
                let metadata = Metadata::new(keys, selection.clone(), *mac_only_encrypted);
                sops::encrypt(&*file.document, metadata, key, now, None)
            };
            write().map_err(|error| error.in_file(&file.path))
        })
        .collect()
}

/// What a file holds of a data key that was wrapped for a set of keys.
pub fn wrapped_set(groups: Vec<Vec<WrappedKey>>, keys: &KeySet) -> WrappedDataKey {
    let threshold = if groups.len() > 1 { keys.required() } else { 0 };
    WrappedDataKey { groups, threshold }
}

pub(crate) fn no_answer() -> Error {
    Error::new(Kind::NoDataKey, "the key service gave no answer")
}
