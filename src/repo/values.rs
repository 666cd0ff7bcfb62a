//! The encrypted values of a file, each known by its ciphertext: what is compared between versions of it.
//!
//! A ciphertext is random, so the same one in two places is a single value that was encrypted once. This needs no key.

use sha2::{Digest, Sha256};

use crate::document::Paths;
use crate::encrypted_file::EncryptedFile;
use crate::error::Result;
use crate::keys::WrappedDataKey;
use crate::sealed_secret;
use crate::sops::Encrypted;

/// What is left of the SHA-256 of a text, to know it again by.
pub type Mark = [u8; 16];

/// An encrypted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Where it appears in its file.
    pub path: String,
    /// Of its ciphertext.
    pub mark: Mark,
    /// Which of the file's data keys it is encrypted with.
    pub data_key: usize,
}

/// A data key that a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    pub wrapped: WrappedDataKey,
    /// Wherever one of these appears, it is the same data key.
    pub marks: Vec<Mark>,
}

/// What a file has of values and data keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    pub data_keys: Vec<HeldKey>,
    pub values: Vec<Value>,
}

impl Values {
    /// Those of a file.
    pub fn of(file: &EncryptedFile) -> Result<Self> {
        match file {
            EncryptedFile::Document(file) => Self::of_document(file),
            EncryptedFile::Sealed(file) => {
                let mut found = Self::default();
                for (_, sealed) in &file.objects {
                    let (place, start) = (sealed_secret::place(sealed), found.values.len());
                    for (entry, wrapped) in sealed_secret::used_data_keys(&sealed.spec)? {
                        let data_key = found.data_keys.len();
                        found.data_keys.push(HeldKey { wrapped, marks: vec![mark(&entry.commitment)] });
                        for item in sealed_secret::items_of(&sealed.spec, &entry.id) {
                            let text = sealed.spec.encrypted_data.get(item).map_or("", String::as_str);
                            let path = format!("{place}: {item}");
                            found.values.push(Value { path, mark: mark(text), data_key });
                        }
                    }
                    found.values[start..].sort_by(|a, b| a.path.cmp(&b.path));
                }
                Ok(found)
            }
        }
    }

    /// All that a value or a data key can be known again by.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        let of_keys = self.data_keys.iter().flat_map(|key| &key.marks);
        of_keys.chain(self.values.iter().map(|value| &value.mark))
    }

    fn of_document(file: &Encrypted) -> Result<Self> {
        let wrapped = file.metadata.keys.clone();
        let wraps = wrapped.groups.iter().flatten().filter(|wrapped| !wrapped.enc.is_empty());
        let marks = wraps.map(|wrapped| mark(wrapped.enc.trim())).collect();
        let paths = Paths::of(file.document());
        let mut values = Vec::new();
        file.for_each_token(&mut |node, token| {
            values.push(Value { path: paths.to(node), mark: mark(token), data_key: 0 });
        })?;
        Ok(Self { data_keys: vec![HeldKey { wrapped, marks }], values })
    }
}

/// What a ciphertext is known again by.
pub(super) fn mark(text: &str) -> Mark {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut mark = Mark::default();
    mark.copy_from_slice(&digest[..16]);
    mark
}
