//! Other master keys, or another data key, for files that are encrypted already.
//!
//! Owns who may stay in a file and who has to go, and the ways to bring that about: under a new data key ([`rotate`])
//! or under the old one ([`update_keys`], [`rewrap`]). Nobody gets anything of a file that does not verify as a whole;
//! for an old data key, [`KeyService::rekey_many`] sees to it.

mod change;
mod recipients;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use rayon::prelude::*;

use crate::batch::{self, Opened, OpenedDocument, Parsed, Source};
use crate::document::Document;
use crate::encrypted_file::{self, EncryptedFile, KeyedPart, OpenedFile, no_answer};
use crate::error::{Error, Kind, Result};
use crate::keys::{Content, KeyService, KeySet, Rekey};
use crate::sealed_secret::{self, NewDataKey, OpenedKeys, SealedFile, SealedSecret};
use crate::secret::DataKey;
use crate::sops::{Ciphertext, Encrypted, MacCheck};

pub use change::{Change, GroupChange, Sharing, SharingChange};
pub use recipients::{
    GroupsChange, Readers, Regrouping, Wish, names, recipients, refuse_new_foreign, regrouped,
};
pub use settings::select;

/// For whom files are to be encrypted.
pub trait Decide: Sync {
    /// The master keys for a document or a SealedSecret.
    fn keys(&self, parsed: &Parsed, holder: KeyedPart<'_>) -> Result<KeySet>;

    /// Whether a document with this data key may be for them: asked before anybody gets what it did not have. The data keys of
    /// SealedSecrets are told apart without being opened.
    fn admit(&self, path: &Path, data_key: &DataKey, keys: &KeySet) -> Result<()>;
}

/// Encrypts files again, all that has a data key under a new one for the master keys that `decide` names. Results are in
/// the order of the sources.
pub async fn rotate(
    service: &KeyService<'_>,
    sources: Vec<Source>,
    now: Timestamp,
    check: MacCheck,
    decide: &impl Decide,
) -> Vec<Result<Ciphertext>> {
    let Divided { order, documents, sealed } =
        Divided::of(batch::unwrap(service, decided(sources, decide)).await);
    let documents = rotate_documents(service, documents, now, check, decide).await;
    order.join(documents, rotate_sealed(service, sealed).await)
}

async fn rotate_documents(
    service: &KeyService<'_>,
    files: Vec<(OpenedDocument, KeySet)>,
    now: Timestamp,
    check: MacCheck,
    decide: &impl Decide,
) -> Vec<Result<Ciphertext>> {
    let open = |(OpenedDocument { path, file, key, .. }, keys): &(OpenedDocument, KeySet)| {
        decide.admit(path, key, keys)?;
        Plaintext::of(file, key, check)
    };
    let plaintexts: Vec<Result<Plaintext>> = files.par_iter().map(open).collect();
    let verified = files.iter().zip(&plaintexts).filter(|(_, plaintext)| plaintext.is_ok());
    let sets: Vec<&KeySet> = verified.map(|((_, keys), _)| keys).collect();
    let mut new_keys = service.new_data_keys(&sets).await.into_iter();
    let with_key = |plaintext: Result<Plaintext>| {
        let plaintext = plaintext?;
        Ok((plaintext, new_keys.next().unwrap_or_else(|| Err(no_answer()))?))
    };
    let ready: Vec<Result<_>> = plaintexts.into_iter().map(with_key).collect();
    let write = |((OpenedDocument { path, file, key, .. }, _), ready): (&(OpenedDocument, _), Result<_>)| {
        let write = || {
            let (Plaintext { document, warning }, (new_key, wrapped)): (Plaintext, (DataKey, _)) = ready?;
            let metadata = file.metadata.for_keys(wrapped);
            let mut written = file.write(&*document, metadata, key, Some(&new_key), now)?;
            written.warnings.extend(warning);
            Ok(written)
        };
        write().map_err(|error: Error| error.in_file(path))
    };
    files.par_iter().zip(ready).map(write).collect()
}

/// A document in plaintext that is about to get a new data key, and what to say about it.
struct Plaintext {
    document: Box<dyn Document>,
    warning: Option<String>,
}

impl Plaintext {
    fn of(file: &Encrypted, key: &DataKey, check: MacCheck) -> Result<Self> {
        match file.open(key, MacCheck::Verify) {
            Err(error) if check == MacCheck::Ignore && error.kind() == Kind::MacMismatch => {
                let document = file.open(key, MacCheck::Ignore)?;
                Ok(Self { document, warning: Some(unverified(&error)) })
            }
            opened => Ok(Self { document: opened?, warning: None }),
        }
    }
}

/// What is said where sops goes on with a file that does not verify.
fn unverified(error: &Error) -> String {
    format!("more people can read it from now on, though it is not what was encrypted: {}", error.message())
}

async fn rotate_sealed(
    service: &KeyService<'_>,
    files: Vec<(Sealed, Vec<KeySet>)>,
) -> Vec<Result<Ciphertext>> {
    let verified: Vec<Result<()>> = files.par_iter().map(|(file, _)| file.verify()).collect();
    let fit = files.iter().zip(&verified).filter(|(_, verified)| verified.is_ok());
    let sets: Vec<&KeySet> = fit.flat_map(|((_, sets), _)| sets).collect();
    let mut new_keys = NewDataKey::make(service, &sets).await.into_iter();
    let rotate = |((file, sets), verified): (&(Sealed, Vec<KeySet>), Result<()>)| {
        verified?;
        let new_keys: Vec<_> = new_keys.by_ref().take(sets.len()).collect();
        let rotated = file.objects().zip(new_keys);
        let rotated =
            rotated.map(|((sealed, keys), key)| sealed_secret::rotate(sealed, keys, key?).map(Some));
        file.rewritten(rotated.collect())
    };
    files.iter().zip(verified).map(rotate).collect()
}

/// Wraps the data keys of files for the master keys that `decide` names, and changes nothing else. Whoever is not in a
/// file that does not verify does not come in, unless `check` is to ignore that, as sops does; going works all the same.
/// Results are in the order of the sources.
pub async fn update_keys(
    service: &KeyService<'_>,
    sources: Vec<Source>,
    check: MacCheck,
    decide: &impl Decide,
) -> Vec<Result<Ciphertext>> {
    let Divided { order, documents, sealed } =
        Divided::of(batch::unwrap(service, decided(sources, decide)).await);
    let documents = update_documents(service, documents, check, decide).await;
    order.join(documents, update_sealed(service, sealed).await)
}

async fn update_documents(
    service: &KeyService<'_>,
    files: Vec<(OpenedDocument, KeySet)>,
    check: MacCheck,
    decide: &impl Decide,
) -> Vec<Result<Ciphertext>> {
    let contents: Vec<Checked<_>> = files
        .iter()
        .map(|(file, keys)| Checked { file, keys, decide, check, ignored: OnceLock::new() })
        .collect();
    let requests: Vec<_> = files
        .iter()
        .zip(&contents)
        .map(|((OpenedDocument { file, key, .. }, keys), content)| Rekey {
            data_key: key,
            content,
            wrapped: &file.metadata.keys,
            keys,
        })
        .collect();
    let wrapped = service.rekey_many(&requests).await;
    drop(requests);
    let write = |((file, content), wrapped): ((&(OpenedDocument, KeySet), Checked<'_, _>), Result<_>)| {
        let OpenedDocument { path, file, .. } = &file.0;
        let bytes = wrapped.and_then(|keys| file.with_metadata(&file.metadata.for_keys(keys)));
        let warnings = content.ignored.into_inner().map(|error| unverified(&error)).into_iter().collect();
        bytes.map(|bytes| Ciphertext { bytes, warnings }).map_err(|error| error.in_file(path))
    };
    files.iter().zip(contents).zip(wrapped).map(write).collect()
}

/// A document that is verified before somebody comes in, or goes on without as sops does.
struct Checked<'f, D> {
    file: &'f OpenedDocument,
    keys: &'f KeySet,
    decide: &'f D,
    check: MacCheck,
    /// Why it would have been refused.
    ignored: OnceLock<Error>,
}

impl<D: Decide> Content for Checked<'_, D> {
    fn verify(&self, data_key: &DataKey) -> Result<()> {
        self.decide.admit(&self.file.path, data_key, self.keys)?;
        match (self.file.file.verify(data_key), self.check) {
            (Err(error), MacCheck::Ignore) => {
                let _ = self.ignored.set(error);
                Ok(())
            }
            (Err(error), MacCheck::Verify) => Err(error.advise(
                "Sealant adds no recipients to a file that was changed without sealant or sops: restore it from Git. \
                 Removing recipients works all the same.",
            )),
            (Ok(()), _) => Ok(()),
        }
    }
}

async fn update_sealed(
    service: &KeyService<'_>,
    files: Vec<(Sealed, Vec<KeySet>)>,
) -> Vec<Result<Ciphertext>> {
    let all = files.iter().flat_map(|(file, sets)| file.objects().zip(sets));
    let requests: Vec<_> = all.map(|((sealed, opened), keys)| (sealed, opened, keys)).collect();
    let mut updated = sealed_secret::update_keys(service, &requests).await.into_iter();
    let write = |(file, sets): &(Sealed, Vec<KeySet>)| {
        let updated: Vec<_> = updated.by_ref().take(sets.len()).map(|result| result.map(Some)).collect();
        file.rewritten(updated)
    };
    files.iter().map(write).collect()
}

/// Moves what transit keys have wrapped to the newest versions of these keys, and changes nothing else. `None` for a file
/// of which nothing changes. Results are in the order of the files.
pub async fn rewrap(
    service: &KeyService<'_>,
    files: Vec<Result<Parsed>>,
) -> Vec<Result<(Parsed, Option<Vec<u8>>)>> {
    let (mut documents, mut sealed) = (Vec::new(), Vec::new());
    for parsed in files.iter().flatten() {
        match &parsed.file {
            EncryptedFile::Document(file) => documents.push(&file.metadata.keys),
            EncryptedFile::Sealed(file) => sealed.extend(file.objects.iter().map(|(_, sealed)| sealed)),
        }
    }
    let mut documents = service.rewrap_many(&documents).await.into_iter();
    let mut sealed = sealed_secret::rewrap(service, &sealed).await.into_iter();
    let mut write = |file: &EncryptedFile| match file {
        EncryptedFile::Document(file) => {
            let keys = documents.next().unwrap_or_else(|| Err(no_answer()))?;
            keys.map(|keys| file.with_metadata(&file.metadata.for_keys(keys))).transpose()
        }
        EncryptedFile::Sealed(file) => {
            let new: Vec<_> = sealed.by_ref().take(file.objects.len()).collect();
            let new = new.into_iter().collect::<Result<Vec<Option<SealedSecret>>>>()?;
            new.iter().any(Option::is_some).then(|| file.rewritten(&new)).transpose()
        }
    };
    files
        .into_iter()
        .map(|result| {
            let parsed = result?;
            let bytes = write(&parsed.file).map_err(|error| error.in_file(&parsed.path))?;
            Ok((parsed, bytes))
        })
        .collect()
}

/// Parses files and decides for whom each should be.
fn decided(sources: Vec<Source>, decide: &impl Decide) -> Vec<Result<(Parsed, Vec<KeySet>)>> {
    let decide = |result: Result<Parsed>| {
        let parsed = result?;
        let holders = parsed.file.holders();
        let sets = holders.into_iter().map(|holder| decide.keys(&parsed, holder)).collect::<Result<Vec<_>>>();
        let sets = sets.map_err(|error| error.in_file(&parsed.path))?;
        Ok((parsed, sets))
    };
    batch::parse(sources).into_par_iter().map(decide).collect()
}

/// A file with SealedSecrets, opened.
struct Sealed {
    path: PathBuf,
    file: SealedFile,
    keys: Vec<OpenedKeys>,
}

impl Sealed {
    fn objects(&self) -> impl Iterator<Item = (&SealedSecret, &OpenedKeys)> {
        self.file.objects.iter().map(|(_, sealed)| sealed).zip(&self.keys)
    }

    /// Opens all items.
    fn verify(&self) -> Result<()> {
        let open = |(sealed, keys)| sealed_secret::opened(sealed, keys).map(drop);
        self.objects().try_for_each(open).map_err(|error| error.in_file(&self.path))
    }

    fn rewritten(&self, new: Vec<Result<Option<SealedSecret>>>) -> Result<Ciphertext> {
        let write = || {
            let new = new.into_iter().collect::<Result<Vec<_>>>()?;
            encrypted_file::write_sealed(&self.file, &new)
        };
        write().map_err(|error: crate::Error| error.in_file(&self.path))
    }
}

/// Files divided by their formats, which are worked on apart from each other; each with the master keys that were
/// decided on, one set for a document and one for each SealedSecret.
struct Divided {
    order: Order,
    documents: Vec<(OpenedDocument, KeySet)>,
    sealed: Vec<(Sealed, Vec<KeySet>)>,
}

/// How results of documents and of SealedSecrets come back into the order of the files.
struct Order(Vec<Result<Which>>);

enum Which {
    Document,
    Sealed,
}

impl Divided {
    fn of(files: Vec<Result<(Opened, Vec<KeySet>)>>) -> Self {
        let (mut documents, mut sealed) = (Vec::new(), Vec::new());
        let which = |result: Result<(Opened, Vec<KeySet>)>| {
            let (Opened { path, file, .. }, mut sets) = result?;
            Ok(match file {
                OpenedFile::Document(file, key) => {
                    let keys = sets.pop().ok_or_else(no_answer)?;
                    documents.push((OpenedDocument { path, file: *file, key }, keys));
                    Which::Document
                }
                OpenedFile::Sealed(file, keys) => {
                    sealed.push((Sealed { path, file, keys }, sets));
                    Which::Sealed
                }
            })
        };
        let order = Order(files.into_iter().map(which).collect());
        Self { order, documents, sealed }
    }
}

impl Order {
    fn join<T>(self, documents: Vec<Result<T>>, sealed: Vec<Result<T>>) -> Vec<Result<T>> {
        let (mut documents, mut sealed) = (documents.into_iter(), sealed.into_iter());
        let next = |which: Result<Which>| {
            let result = match which? {
                Which::Document => documents.next(),
                Which::Sealed => sealed.next(),
            };
            result.unwrap_or_else(|| Err(no_answer()))
        };
        self.0.into_iter().map(next).collect()
    }
}
