//! Spellings of values that do not come back by themselves, kept encrypted in the metadata.
//!
//! The ciphertext of `1.10` holds sops's canonical text `1.1`, for sops re-uses the IV of a value that it takes for
//! unchanged. What the author wrote is kept here, bound to the time of the last change: once sops has written the file
//! it is gone, and the canonical text stands.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::ValueKind;
use crate::error::{Error, Kind, Result};
use crate::secret::SecretString;
use crate::sops::cipher::{Cipher, Token};
use crate::sops::metadata::{Kept, Metadata};

/// What is told where the entry does not open.
pub const LOST: &str = "sealant_spelling does not match the file, so values such as `1.10` and `0x1F` are decrypted \
                        as sops spells them";

/// Spellings by the number of the leaf or comment among the encrypted ones, in document order.
#[derive(Default)]
pub struct Spellings(Vec<(usize, SecretString)>);

impl Spellings {
    /// Remembers how the leaf with this number is spelled; numbers must rise.
    pub fn keep(&mut self, leaf: usize, spelling: &str) {
        self.0.push((leaf, SecretString::new(spelling.to_owned())));
    }

    pub fn get(&self, leaf: usize) -> Option<&str> {
        let found = self.0.binary_search_by_key(&leaf, |(leaf, _)| *leaf).ok()?;
        Some(&self.0[found].1)
    }

    /// The entry of the metadata; `None` when there is nothing to keep.
    pub fn encrypt(&self, cipher: &Cipher, metadata: &Metadata) -> Result<Option<String>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let entries: Vec<(usize, &str)> = self.0.iter().map(|(leaf, text)| (*leaf, text.as_str())).collect();
        seal(&entries, Kept::Spellings, cipher, metadata).map(Some)
    }

    /// Reads the entry. What does not open was written for another state of the file, and is left out.
    pub fn decrypt(cipher: &Cipher, metadata: &Metadata) -> Self {
        Self::read(cipher, metadata).unwrap_or_default()
    }

    /// Whether there is an entry that does not open. That there was one and is no more, nobody can tell: sops takes it out
    /// whenever it writes the file.
    pub fn are_lost(cipher: &Cipher, metadata: &Metadata) -> bool {
        metadata.spellings.is_some() && Self::read(cipher, metadata).is_none()
    }

    fn read(cipher: &Cipher, metadata: &Metadata) -> Option<Self> {
        let mut entries: Vec<(usize, String)> = unseal(Kept::Spellings, cipher, metadata)?;
        entries.sort_by_key(|(leaf, _)| *leaf);
        Some(Self(entries.into_iter().map(|(leaf, text)| (leaf, SecretString::new(text))).collect()))
    }
}

/// What is kept, as an entry of the metadata that is bound to the time of the last change.
pub(super) fn seal(
    data: &impl Serialize,
    what: Kept,
    cipher: &Cipher,
    metadata: &Metadata,
) -> Result<String> {
    let text = serde_json::to_string(data).map(SecretString::new).map_err(|error| {
        Error::new(Kind::Encrypt, format!("cannot write {}", what.name())).caused_by(error)
    })?;
    cipher.encrypt(text.as_bytes(), ValueKind::Str, &metadata.kept_aad(what)?)
}

/// What was kept; `None` when there is nothing, or nothing for this state of the file.
pub(super) fn unseal<T: DeserializeOwned>(what: Kept, cipher: &Cipher, metadata: &Metadata) -> Option<T> {
    let token = Token::parse(metadata.kept(what)?).ok()?;
    let text = cipher.decrypt(&token, &metadata.kept_aad(what).ok()?).ok()?;
    serde_json::from_slice(&text).ok()
}
