//! What `git diff`, `git log -p` and `git show` show of an encrypted file.
//!
//! Whatever happens there is something to show: the file as it is, where it cannot be opened. Nothing is kept.

use super::merge::markers::{self, Marked};
use super::resolve::{Conflicted, Sides, Stages};
use std::path::Path;

use crate::batch::{self, Source};
use crate::document::Format;
use crate::encrypted_file::{OpenedFile, is_meant_to_be_encrypted};
use crate::error::{Error, Kind, Result};
use crate::keys::KeyService;
use crate::sealed_secret;
use crate::secret::SecretBytes;
use crate::sops::MacCheck;

/// The plaintext of a file, or the file as it is; and why, when it should have been one that can be opened.
pub async fn textconv(service: &KeyService<'_>, source: Source) -> (SecretBytes, Option<Error>) {
    if !is_meant_to_be_encrypted(source.format, &source.bytes) {
        return (source.bytes, None);
    }
    let as_it_is = source.bytes.clone();
    match open(service, source).await {
        Ok(text) => (text, None),
        Err(error) if error.kind() == Kind::NoDataKey => (as_it_is, None),
        Err(error) => (as_it_is, Some(error)),
    }
}

/// A conflict that our merge driver has left, with its markers. Both sides are shown as they open: the MAC of neither is
/// made yet.
async fn open_conflict(
    service: &KeyService<'_>,
    path: &Path,
    format: Format,
    marked: &Marked,
) -> Result<Option<SecretBytes>> {
    let Some(Conflicted::Document { ours, theirs }) = Conflicted::read(format, marked) else {
        return Ok(None);
    };
    let sides = Sides::open(service, path, &ours, &theirs, &Stages::default()).await?;
    let (Ok(ours), Ok(theirs)) = (std::str::from_utf8(&sides.ours), std::str::from_utf8(&sides.theirs))
    else {
        return Ok(None);
    };
    Ok(Some(SecretBytes::new(markers::marked(ours, theirs, markers::MARKER_SIZE).into_bytes())))
}

async fn open(service: &KeyService<'_>, source: Source) -> Result<SecretBytes> {
    let format = source.format;
    if let Some(marked) = Marked::read(&source.bytes)?
        && let Some(text) = open_conflict(service, &source.path, format, &marked).await?
    {
        return Ok(text);
    }
    match batch::open_one(service, source).await?.file {
        OpenedFile::Document(file, key) => Ok(file.decrypt(&key, MacCheck::Verify)?.bytes),
        OpenedFile::Sealed(file, keys) => sealed_secret::manifests(&file.unseal(&keys)?, format),
    }
}
