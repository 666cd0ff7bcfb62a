//! An encrypted file, whichever of the two formats it has: the one place that tells them apart.
//!
//! Every command that takes both goes through here. What is done to a file is the caller's.

use std::path::Path;

use memchr::memmem;

use crate::document::{self, Format};
use crate::error::{Error, Kind, Result};
use crate::keys::WrappedDataKey;
use crate::sealed_secret::{self, OpenedKeys, SealedFile, SealedSecret};
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{self, Ciphertext, Encrypted, Nature};

/// An encrypted file, read but not opened.
pub enum EncryptedFile {
    /// A document in SOPS's format.
    Document(Box<Encrypted>),
    /// A manifest with SealedSecrets.
    Sealed(SealedFile),
}

/// What of an encrypted file has master keys of its own.
#[derive(Clone, Copy)]
pub enum KeyedPart<'f> {
    Document(&'f WrappedDataKey),
    Sealed(&'f SealedSecret),
}

/// An encrypted file and its data keys.
pub enum OpenedFile {
    Document(Box<Encrypted>, DataKey),
    /// The data keys of each SealedSecret, in the order of the file.
    Sealed(SealedFile, Vec<OpenedKeys>),
}

/// Which of the two formats a file has that is encrypted, or is meant to be and is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    Document,
    Sealed,
}

/// What a file is, of the type that its name gives; one of SealedSecrets alone is encrypted. An error for what cannot be
/// read as that type.
pub fn nature(format: Format, file: &SecretBytes) -> Result<Nature> {
    if let Some(text) = document::of_utf16(file) {
        let nature = nature(format, &text)?;
        return Ok(if nature.is_meant() && !may_be_wide(format) {
            Nature::Damaged(in_utf16())
        } else {
            nature
        });
    }
    let may_be_sealed = may_hold_sealed(format, file);
    if !may_be_sealed && !sops::may_be_more_than_plaintext(format, file) {
        return Ok(Nature::Plaintext);
    }
    if format == Format::Binary {
        // Any text at all can be a binary file, and may have entries of any name.
        let envelope = document::parse(format, file.clone(), true).map(|document| Nature::of(&*document));
        return Ok(envelope.ok().filter(Nature::is_meant).unwrap_or(Nature::Plaintext));
    }
    let document = document::parse(format, file.clone(), true)?;
    let sealed = sealed_secret::objects(&*document);
    let roots = document.tree().documents();
    Ok(match Nature::of(&*document) {
        Nature::Plaintext if !sealed.is_empty() && roots.iter().all(|root| sealed.contains(root)) => {
            Nature::Encrypted
        }
        nature => nature,
    })
}

/// What a file of this type is meant to be, though it may be broken: in folders full of other files, one that is encrypted
/// must not be skipped. `None` is plaintext.
pub fn meant(format: Format, file: &SecretBytes) -> Option<Meant> {
    if let Some(text) = document::of_utf16(file) {
        return meant(format, &text);
    }
    let document = || sops::is_meant_to_be_encrypted(format, file).then_some(Meant::Document);
    if !may_hold_sealed(format, file) {
        return document();
    }
    match document::parse(format, file.clone(), true) {
        // A SealedSecret that somebody has encrypted with sops has to be decrypted first.
        Ok(parsed) if !matches!(parsed.metadata(), Ok(None)) => document(),
        Ok(parsed) if sealed_secret::objects(&*parsed).is_empty() => document(),
        Ok(_) => Some(Meant::Sealed),
        // Perhaps somebody else's.
        Err(_) if holds(file, GROUP) => Some(Meant::Sealed),
        Err(_) => document(),
    }
}

/// Whether a file is meant to be an encrypted one, by what is in it.
pub fn is_encrypted(path: &Path, file: &SecretBytes) -> bool {
    meant(format_in(Format::of_path(path), file), file).is_some()
}

/// The type of a file: that of its name, unless the file is encrypted in another one. What is damaged in the type of its
/// name stays of that type.
pub fn format_in(by_name: Format, file: &SecretBytes) -> Format {
    if let Some(text) = document::of_utf16(file) {
        return format_in(by_name, &text);
    }
    let others = sops::other_types(by_name, file);
    if others.is_empty() || matches!(sops::nature_as(by_name, file), Some(Nature::Encrypted)) {
        return sealed_format_in(by_name, file).unwrap_or(by_name);
    }
    let mut damaged = None;
    for &format in others {
        match sops::nature_as(format, file) {
            Some(Nature::Encrypted) => return format,
            Some(Nature::Damaged(_)) => damaged = damaged.or(Some(format)),
            _ => {}
        }
    }
    let sealed = sealed_format_in(by_name, file).or(damaged);
    sealed.filter(|_| meant(by_name, file).is_none()).unwrap_or(by_name)
}

/// The type of several versions of a file: that of the first one that is encrypted in another type than its name gives.
pub fn format_among<'f>(by_name: Format, versions: impl IntoIterator<Item = &'f SecretBytes>) -> Format {
    let formats = versions.into_iter().map(|version| format_in(by_name, version));
    formats.into_iter().find(|format| *format != by_name).unwrap_or(by_name)
}

/// The type of manifests of SealedSecrets under a name that is not one of manifests.
fn sealed_format_in(by_name: Format, file: &SecretBytes) -> Option<Format> {
    if matches!(by_name, Format::Yaml | Format::Json) || !sealed_secret::looks_sealed(file) {
        return None;
    }
    let holds_sealed = |format: &Format| {
        let parsed = document::parse(*format, file.clone(), true);
        parsed.is_ok_and(|parsed| !sealed_secret::objects(&*parsed).is_empty())
    };
    [Format::Json, Format::Yaml].into_iter().find(holds_sealed)
}

/// What the `apiVersion` of our own SealedSecrets begins with.
const GROUP: &str = "sealant.dev/";

fn holds(file: &[u8], needle: &str) -> bool {
    memmem::find(file, needle.as_bytes()).is_some()
}

fn may_hold_sealed(format: Format, file: &[u8]) -> bool {
    matches!(format, Format::Yaml | Format::Json) && sealed_secret::looks_sealed(file)
}

/// Whether files of a type may be in UTF-16: where sops reads them.
pub fn may_be_wide(format: Format) -> bool {
    format == Format::Yaml
}

/// What is said of an encrypted file of any other type.
pub fn in_utf16() -> Error {
    Error::new(Kind::Read, "is in UTF-16, which is supported only for encrypted YAML files")
        .advise("Write it in UTF-8, for example with `iconv -f UTF-16 -t UTF-8 FILE`.")
}

impl EncryptedFile {
    /// Reads a file. An error of kind [`Kind::Other`] when it is not encrypted.
    pub fn parse(format: Format, bytes: SecretBytes) -> Result<Self> {
        if let Some(text) = document::of_utf16(&bytes) {
            return if may_be_wide(format) { Self::parse(format, text) } else { Err(in_utf16()) };
        }
        if !may_hold_sealed(format, &bytes) {
            return Encrypted::parse(format, bytes).map(Box::new).map(Self::Document);
        }
        let document = document::parse(format, bytes, true)?;
        // A SealedSecret that somebody has encrypted with sops has to be decrypted first.
        match sealed_secret::objects(&*document).is_empty() || document.metadata()?.is_some() {
            true => Encrypted::of(document).map(Box::new).map(Self::Document),
            false => SealedFile::of(document).map(Self::Sealed),
        }
    }

    pub fn holders(&self) -> Vec<KeyedPart<'_>> {
        match self {
            Self::Document(file) => vec![KeyedPart::Document(&file.metadata.keys)],
            Self::Sealed(file) => file.objects.iter().map(|(_, sealed)| KeyedPart::Sealed(sealed)).collect(),
        }
    }

    /// The SealedSecrets in it, for people.
    pub fn objects(&self) -> Vec<String> {
        match self {
            Self::Document(_) => Vec::new(),
            Self::Sealed(file) => {
                file.objects.iter().map(|(_, sealed)| sealed_secret::place(sealed)).collect()
            }
        }
    }

    /// How many values whoever opens it reads.
    pub fn count_values(&self) -> Result<usize> {
        match self {
            Self::Document(file) => {
                let leaves = sops::reasons(file.document(), &file.metadata.selection)?;
                Ok(leaves.iter().filter(|leaf| leaf.encrypted && !leaf.is_comment).count())
            }
            Self::Sealed(file) => {
                Ok(file.objects.iter().map(|(_, sealed)| sealed.spec.encrypted_data.len()).sum())
            }
        }
    }

    /// When a document was encrypted last. SealedSecrets do not say so.
    pub fn last_modified(&self) -> Option<&str> {
        match self {
            Self::Document(file) => Some(&file.metadata.last_modified),
            Self::Sealed(_) => None,
        }
    }

    /// The data keys that it takes to open all of it.
    pub fn data_keys(&self) -> Result<Vec<WrappedDataKey>> {
        match self {
            Self::Document(file) => Ok(vec![file.metadata.keys.clone()]),
            Self::Sealed(file) => {
                let used = file.objects.iter().map(|(_, sealed)| sealed_secret::used_data_keys(&sealed.spec));
                let used = used.collect::<Result<Vec<_>>>()?;
                Ok(used.into_iter().flatten().map(|(_, wrapped)| wrapped).collect())
            }
        }
    }

    /// The file with what [`EncryptedFile::data_keys`] were opened to.
    pub fn opened(self, keys: Vec<DataKey>) -> Result<OpenedFile> {
        let mut keys = keys.into_iter();
        match self {
            Self::Document(file) => {
                keys.next().map(|key| OpenedFile::Document(file, key)).ok_or_else(no_answer)
            }
            Self::Sealed(file) => {
                let mut open = |sealed: &SealedSecret| {
                    let used = sealed_secret::used_data_keys(&sealed.spec)?;
                    let pairs: Vec<_> = used.iter().map(|(entry, _)| *entry).zip(keys.by_ref()).collect();
                    OpenedKeys::of(pairs)
                };
                let opened =
                    file.objects.iter().map(|(_, sealed)| open(sealed)).collect::<Result<Vec<_>>>()?;
                Ok(OpenedFile::Sealed(file, opened))
            }
        }
    }
}

impl KeyedPart<'_> {
    /// Its data keys, as they are wrapped.
    pub fn data_keys(&self) -> Result<Vec<WrappedDataKey>> {
        match self {
            Self::Document(wrapped) => Ok(vec![(*wrapped).clone()]),
            Self::Sealed(sealed) => sealed_secret::wrapped_data_keys(&sealed.spec),
        }
    }
}

/// A file with what became of each of its SealedSecrets, in their order; `None` stays as it is.
pub fn write_sealed(file: &SealedFile, new: &[Option<SealedSecret>]) -> Result<Ciphertext> {
    let bytes = file.rewritten(new)?;
    let mut warnings = Vec::new();
    for sealed in new.iter().flatten() {
        let size = sealed_secret::manifest(sealed, file.document.format())?.len();
        warnings.extend(sealed_secret::warnings(sealed, size));
    }
    Ok(Ciphertext { bytes, warnings })
}

pub(crate) fn no_answer() -> Error {
    Error::new(Kind::NoDataKey, "the key service gave no answer")
}
