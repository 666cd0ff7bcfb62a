//! Many files in one run: read and parsed in parallel, their data keys asked for in one request, transformed in
//! parallel. One file is a run of one.
//!
//! Owns the order of these phases and nothing else: what is done to a file is the caller's.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rayon::prelude::*;

use crate::document::{Document, Format};
use crate::encrypted_file::{EncryptedFile, OpenedFile, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::Snapshot;
use crate::journal::{self, Action, Entry};
use crate::keys::{KeyService, KeySet, WrappedDataKey};
use crate::policy::Recipe;
use crate::sealed_secret::{OpenedKeys, SealedSecret, place, wrapped_data_keys};
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
    pub file: EncryptedFile,
}

/// An encrypted file and its data keys.
pub struct Opened {
    pub path: PathBuf,
    pub snapshot: Snapshot,
    pub file: OpenedFile,
}

/// A document in SOPS's format and its data key.
pub struct OpenedDocument {
    pub path: PathBuf,
    pub file: Encrypted,
    pub key: DataKey,
}

/// Parses encrypted files. Results are in the order of the sources.
pub fn parse(sources: Vec<Source>) -> Vec<Result<Parsed>> {
    parse_as(sources, EncryptedFile::parse)
}

/// Parses one encrypted file.
pub fn parse_one(source: Source) -> Result<Parsed> {
    parse(vec![source]).pop().unwrap_or_else(|| Err(no_answer()))
}

fn parse_as(
    sources: Vec<Source>,
    parse: impl Fn(Format, SecretBytes) -> Result<EncryptedFile> + Sync,
) -> Vec<Result<Parsed>> {
    let parse = |Source { path, format, bytes, snapshot }| {
        let file = parse(format, bytes).map_err(|error| error.in_file(&path))?;
        Ok(Parsed { path, snapshot, file })
    };
    sources.into_par_iter().map(parse).collect()
}

/// Reads encrypted files and opens their data keys. Results are in the order of the sources.
pub async fn open(service: &KeyService<'_>, sources: Vec<Source>) -> Vec<Result<Opened>> {
    open_parsed(service, parse(sources)).await
}

async fn open_parsed(service: &KeyService<'_>, parsed: Vec<Result<Parsed>>) -> Vec<Result<Opened>> {
    let parsed = parsed.into_iter().map(|result| Ok((result?, ()))).collect();
    let opened = unwrap(service, parsed).await;
    opened.into_iter().map(|result| result.map(|(opened, ())| opened)).collect()
}

/// As [`open`], for work that knows documents in SOPS's format alone: SealedSecrets are refused.
pub async fn open_documents(service: &KeyService<'_>, sources: Vec<Source>) -> Vec<Result<OpenedDocument>> {
    let parsed = parse_as(sources, |format, bytes| match EncryptedFile::parse(format, bytes)? {
        EncryptedFile::Sealed(_) => {
            Err(Error::new(Kind::Other, "this is a SealedSecret, not a SOPS document")
                .advise("Unseal it: `sealant unseal FILE`."))
        }
        document => Ok(document),
    });
    let only = |result: Result<Opened>| {
        let Opened { path, file, .. } = result?;
        match file {
            OpenedFile::Document(file, key) => Ok(OpenedDocument { path, file: *file, key }),
            OpenedFile::Sealed(..) => Err(no_answer()),
        }
    };
    open_parsed(service, parsed).await.into_iter().map(only).collect()
}

/// Opens the data keys of files in one request. What was decided about a file goes along with it; one that failed
/// before stays failed.
pub async fn unwrap<T>(
    service: &KeyService<'_>,
    parsed: Vec<Result<(Parsed, T)>>,
) -> Vec<Result<(Opened, T)>> {
    let wanted: Vec<Result<(Parsed, T, Vec<WrappedDataKey>)>> = parsed
        .into_iter()
        .map(|result| {
            let (parsed, decided) = result?;
            let wrapped = parsed.file.data_keys().map_err(|error| error.in_file(&parsed.path))?;
            Ok((parsed, decided, wrapped))
        })
        .collect();
    let all: Vec<&WrappedDataKey> = wanted.iter().flatten().flat_map(|(.., wrapped)| wrapped).collect();
    let answers = service.unwrap_many(&all).await;
    let wanted = journal::recorded(service.host(), wanted, |wanted| {
        let mut answers = answers.iter();
        let files = wanted.iter().flatten();
        let entry = |(Parsed { path, file, .. }, _, wrapped): &(Parsed, T, Vec<WrappedDataKey>)| {
            let error =
                answers.by_ref().take(wrapped.len()).filter_map(|answer| answer.as_ref().err()).last();
            let keys = service.used(wrapped);
            Entry { objects: file.objects(), keys, ..Entry::new(Action::Open, path) }.ended(error)
        };
        files.map(entry).collect()
    });
    let mut answers = answers.into_iter();
    let pair = |result: Result<(Parsed, T, Vec<WrappedDataKey>)>| {
        let (Parsed { path, snapshot, file }, decided, wrapped) = result?;
        // All answers of a file are taken, whether one of them is an error or not.
        let keys: Vec<_> = answers.by_ref().take(wrapped.len()).collect();
        let keys = keys.into_iter().collect::<Result<Vec<_>>>();
        let file = keys.and_then(|keys| file.opened(keys)).map_err(|error| error.in_file(&path))?;
        Ok((Opened { path, snapshot, file }, decided))
    };
    wanted.into_iter().map(pair).collect()
}

/// Opens the data keys of several versions of one document.
pub async fn open_versions(
    service: &KeyService<'_>,
    file: &Path,
    wrapped: &[&WrappedDataKey],
) -> Vec<Result<DataKey>> {
    let opened = service.unwrap_many(wrapped).await;
    journal::recorded(service.host(), opened, |opened| {
        let entry = |(wrapped, opened): (&&WrappedDataKey, &Result<_>)| {
            let entry = Entry::new(Action::Open, file).ended(opened.as_ref().err());
            Entry { keys: service.used([*wrapped]), ..entry }
        };
        wrapped.iter().zip(opened).map(entry).collect()
    })
}

/// Opens the data keys of SealedSecrets that are in files: of one item each, or of all. Results are in the order of
/// what is wanted.
pub async fn open_sealed(
    service: &KeyService<'_>,
    wanted: &[(&Path, &SealedSecret, Option<&str>)],
) -> Vec<Result<OpenedKeys>> {
    let specs: Vec<_> = wanted.iter().map(|(_, sealed, item)| (&sealed.spec, *item)).collect();
    let opened = OpenedKeys::open_for(service, &specs).await;
    journal::recorded(service.host(), opened, |opened| {
        let entry = |((path, sealed, item), opened): (&(&Path, &SealedSecret, Option<&str>), &Result<_>)| {
            let entry = Entry::new(Action::Open, path).ended(opened.as_ref().err());
            let keys = wrapped_data_keys(&sealed.spec).map(|keys| service.used(&keys)).unwrap_or_default();
            Entry { objects: vec![place(sealed)], item: item.map(str::to_owned), keys, ..entry }
        };
        wanted.iter().zip(opened).map(entry).collect()
    })
}

/// As [`open_sealed`], for one item of one.
pub async fn open_item(
    service: &KeyService<'_>,
    file: &Path,
    sealed: &SealedSecret,
    item: &str,
) -> Result<OpenedKeys> {
    open_sealed(service, &[(file, sealed, Some(item))]).await.pop().unwrap_or_else(|| Err(no_answer()))
}

/// Reads one encrypted file and opens its data keys.
pub async fn open_one(service: &KeyService<'_>, source: Source) -> Result<Opened> {
    open_one_parsed(service, parse_one(source)?).await
}

/// Opens the data keys of a file that was read.
pub async fn open_one_parsed(service: &KeyService<'_>, parsed: Parsed) -> Result<Opened> {
    open_parsed(service, vec![Ok(parsed)]).await.pop().unwrap_or_else(|| Err(no_answer()))
}

/// As [`open_one`], for a document in SOPS's format.
pub async fn open_document(service: &KeyService<'_>, source: Source) -> Result<OpenedDocument> {
    open_documents(service, vec![source]).await.pop().unwrap_or_else(|| Err(no_answer()))
}

/// A plaintext file and how it is to be encrypted.
pub struct Plain {
    /// As it is named in messages.
    pub path: PathBuf,
    /// What it counts as for rules.
    pub name: Option<PathBuf>,
    /// The file into which the result goes; `None` is standard output.
    pub place: Option<PathBuf>,
    pub document: Box<dyn Document>,
    pub recipe: Recipe,
}

/// Encrypts files, each under a new data key. Results are in the order of the files.
pub async fn encrypt(service: &KeyService<'_>, files: &[Plain], now: Timestamp) -> Vec<Result<Ciphertext>> {
    encrypt_checked(service, files, now, |_, _, _| Ok(())).await
}

/// As [`encrypt`], but what `check` refuses is no result: it gets the file, what was made of it, and the data key.
pub async fn encrypt_checked(
    service: &KeyService<'_>,
    files: &[Plain],
    now: Timestamp,
    check: impl Fn(&Plain, &Ciphertext, &DataKey) -> Result<()> + Sync,
) -> Vec<Result<Ciphertext>> {
    let sets: Vec<&KeySet> = files.iter().map(|file| &file.recipe.keys).collect();
    let new_keys = service.new_data_keys(&sets).await;
    files
        .par_iter()
        .zip(new_keys.into_par_iter())
        .map(|(file, new_key)| {
            let write = || {
                let (key, wrapped) = new_key?;
                let Recipe { selection, mac_only_encrypted, .. } = &file.recipe;
                let metadata = Metadata::new(wrapped, selection.clone(), *mac_only_encrypted);
                let written = sops::encrypt(&*file.document, metadata, &key, now, None)?;
                check(file, &written, &key).map(|()| written)
            };
            write().map_err(|error| error.in_file(&file.path))
        })
        .collect()
}
