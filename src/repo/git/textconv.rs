//! What `git diff`, `git log -p` and `git show` show of an encrypted file.
//!
//! Whatever happens there is something to show: the file as it is, where it cannot be opened. Nothing is kept. What was
//! decrypted is shown so that it cannot command a terminal or a pager. What no MAC
//! covers is shown in plaintext in one case alone, while Git has a conflict at the file, and is called not verified.

use super::merge::markers::{self, Marked};
use super::resolve::{Conflicted, Sides, Stages};
use std::path::Path;

use crate::batch::{self, Source};
use crate::document::Format;
use crate::encrypted_file::{OpenedFile, meant};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::KeyService;
use crate::sealed_secret;
use crate::secret::SecretBytes;
use crate::shown;
use crate::sops::MacCheck;

/// What is shown of a file.
pub struct Shown {
    pub text: SecretBytes,
    pub remark: Option<Remark>,
}

/// What has to be said about it.
pub enum Remark {
    /// It should have been one that can be opened.
    AsItIs(Error),
    /// The sides of a conflict have no MAC yet.
    NotVerified,
}

/// The plaintext of a file, or the file as it is.
pub async fn textconv(host: &dyn Host, service: &KeyService<'_>, source: Source) -> Shown {
    if meant(source.format, &source.bytes).is_none() {
        return Shown { text: source.bytes, remark: None };
    }
    let text = source.bytes.clone();
    match open(host, service, source).await {
        Ok(Shown { text, remark }) => Shown { text: shown::plaintext(text), remark },
        Err(error) if error.kind() == Kind::NoDataKey => Shown { text, remark: None },
        Err(error) => Shown { text, remark: Some(Remark::AsItIs(error)) },
    }
}

/// A conflict that our merge driver has left, with its markers, while Git has one at the file. Anybody can commit a file
/// with markers, so elsewhere they are no reason to open what no MAC covers.
async fn open_conflict(
    host: &dyn Host,
    service: &KeyService<'_>,
    path: &Path,
    format: Format,
    marked: &Marked,
) -> Result<Option<SecretBytes>> {
    let Some(Conflicted::Document { ours, theirs }) = Conflicted::read(format, marked) else {
        return Ok(None);
    };
    // What Git takes out of its objects is in a folder of no repository.
    let Ok(Some(stages)) = Stages::read(host, path) else { return Ok(None) };
    let sides = Sides::open(service, path, &ours, &theirs, &stages).await?;
    let (Ok(ours), Ok(theirs)) = (std::str::from_utf8(&sides.ours), std::str::from_utf8(&sides.theirs))
    else {
        return Ok(None);
    };
    Ok(Some(SecretBytes::new(markers::marked(ours, theirs, markers::MARKER_SIZE).into_bytes())))
}

async fn open(host: &dyn Host, service: &KeyService<'_>, source: Source) -> Result<Shown> {
    let format = source.format;
    if let Some(marked) = Marked::read(&source.bytes)?
        && let Some(text) = open_conflict(host, service, &source.path, format, &marked).await?
    {
        return Ok(Shown { text, remark: Some(Remark::NotVerified) });
    }
    let text = match batch::open_one(service, source).await?.file {
        OpenedFile::Document(file, key) => file.decrypt(&key, MacCheck::Verify)?.bytes,
        OpenedFile::Sealed(file, keys) => sealed_secret::manifests(&file.unseal(&keys)?, format)?,
    };
    Ok(Shown { text, remark: None })
}
