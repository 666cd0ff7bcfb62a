//! The SOPS file format: which leaves are encrypted, their ciphertexts, the MAC and the metadata.
//!
//! Works on parsed documents, knows no files and no key service: whoever calls it brings the data key. What is written
//! is what sops 3.13 reads, and what any sops since 3.0 wrote is read.

mod aliases;
mod by_hand;
mod cipher;
mod contents;
mod decrypt;
mod encrypt;
pub mod kubernetes;
mod leaves;
mod mac;
mod metadata;
mod nature;
mod reasons;
mod spelling;

use std::collections::HashMap;

use jiff::Timestamp;

pub use by_hand::{changed_by_hand, have_one_mac, only_added};
pub use contents::{Contents, Known, all_contents, contents, digest, encrypted_contents};
pub use decrypt::{MacCheck, Plaintext};
pub use encrypt::{Ciphertext, is_encrypted};
pub use leaves::{
    Exempt, InPlaintext, Leaf, Match, for_each as for_each_leaf,
    for_each_encrypted as for_each_encrypted_leaf, in_plaintext, is_ciphertext, is_clear, is_clear_comment,
};
use memchr::memmem;
pub use metadata::{Metadata, SOPS_VERSION};
pub use nature::{
    Nature, holds_ciphertexts, is_meant_to_be_encrypted, may_be_more_than_plaintext, nature_as, other_types,
};
pub use reasons::{Reason, reasons};

use crate::document::{self, Document, Edits, Format, Losses, NodeId, Step, Value};
use crate::error::{Error, Kind, Result};
use crate::keys::Content;
use crate::secret::{DataKey, SecretBytes};
use cipher::Token;
use encrypt::Origin;

/// Encrypts a plaintext document. `metadata` says for whom and by which rule ([`Metadata::new`]).
///
/// With `onto`, an encrypted older state of the document under the same data key, unchanged values keep their
/// ciphertexts.
pub fn encrypt(
    document: &dyn Document,
    metadata: Metadata,
    key: &DataKey,
    now: Timestamp,
    onto: Option<&Encrypted>,
) -> Result<Ciphertext> {
    if let Some(line) = encrypt::line_of_metadata(document) {
        return Err(already_encrypted().on_line(line));
    }
    refuse_nothing(document)?;
    let reuse = onto
        .map(|old| encrypt::Reuse::of(&*old.document, &old.metadata, key, Origin::Elsewhere))
        .transpose()?;
    encrypt::encrypt(document, metadata, key, now, reuse)
}

fn refuse_nothing(document: &dyn Document) -> Result<()> {
    if document.tree().documents().is_empty() {
        return Err(match document.source().is_empty() {
            true => Error::new(Kind::EmptyFile, "there is nothing in the file to encrypt"),
            false => Error::new(Kind::Read, "broken YAML: no document, only comments"),
        });
    }
    Ok(())
}

/// What is said of a file that holds metadata, or an entry that would be taken for it.
pub fn already_encrypted() -> Error {
    Error::new(Kind::AlreadyEncrypted, "the file is encrypted already: it has sops metadata")
        .advise("change it with `sealant edit FILE`, its recipients with `sealant updatekeys FILE`")
}

/// How ciphertexts begin.
pub(crate) const TOKEN: &str = "ENC[AES256_GCM";

/// Whether a file may be encrypted, without parsing it: for folders full of other files.
pub fn looks_encrypted(file: &[u8]) -> bool {
    holds(file, document::METADATA_KEY) && holds(file, TOKEN)
}

fn holds(file: &[u8], needle: &str) -> bool {
    memmem::find(file, needle.as_bytes()).is_some()
}

/// Whether a file is encrypted, as `sops filestatus` tells it; no key is needed.
pub fn status(format: Format, file: SecretBytes) -> Result<bool> {
    let document = match document::parse(format, file, true) {
        // Anything at all can be a binary file; an encrypted one is JSON.
        Err(_) if format == Format::Binary => return Ok(false),
        document => document?,
    };
    document.metadata()?.map_or(Ok(false), |data| Metadata::is_complete(&data))
}

/// An encrypted file, read but not opened.
pub struct Encrypted {
    document: Box<dyn Document>,
    pub metadata: Metadata,
}

/// Gets a ciphertext: what makes its path, and its bytes.
pub type VisitCiphertext<'v> = dyn FnMut(&dyn Fn() -> String, &[u8]) + 'v;

/// Hands each ciphertext in a text to `visit`, as [`Encrypted::for_each_ciphertext`] does, whatever the text is otherwise:
/// blanks, line breaks and marks of quoting may have got into it.
pub fn for_each_ciphertext_in(text: &str, visit: &mut dyn FnMut(&[u8])) {
    const BEGIN: &str = "ENC[";
    for rest in text.split(BEGIN).skip(1) {
        let Some((inside, _)) = rest.split_once(']') else { continue };
        let is_kept = |char: &char| !char.is_whitespace() && !matches!(char, '\\' | '"' | '\'');
        let token: String = BEGIN.chars().chain(inside.chars().filter(is_kept)).chain([']']).collect();
        if let Ok(token) = Token::parse(&token) {
            visit(&token.decoded());
        }
    }
}

/// What to do about a file that was changed by hand.
const RESTORE: &str = "restore the file from Git: `git log --oneline -- FILE` lists its versions";

/// How many values of a document a data key is tried on, and how long each may be.
const MOST_SAMPLES: usize = 3;
const LONGEST_SAMPLE: usize = 64 << 10;

/// A ciphertext of a document, and what it is bound to: its data key opens it, and no other.
pub struct Sample {
    token: Box<str>,
    aad: Box<str>,
}

impl Sample {
    /// Its bytes, however they are written down.
    pub fn decoded(&self) -> Option<Vec<u8>> {
        Token::parse(&self.token).ok().map(|token| token.decoded())
    }
}

/// A data key that is tried on other documents, one after another.
pub struct Trial(cipher::Cipher);

impl Trial {
    pub fn of(key: &DataKey) -> Self {
        Self(cipher::Cipher::new(key))
    }

    /// Whether it is the data key of the document with this ciphertext.
    pub fn opens(&self, sample: &Sample) -> bool {
        Token::parse(&sample.token).is_ok_and(|token| self.0.decrypt(&token, &sample.aad).is_ok())
    }
}

impl Encrypted {
    /// The MAC as it is encrypted; `None` for a document without one.
    pub fn sealed_mac(&self) -> Option<Sample> {
        let (mac, aad) = (self.metadata.mac.as_deref()?, self.metadata.mac_aad().ok()?);
        Some(Sample { token: mac.into(), aad: aad.into() })
    }

    /// The first few values as they are encrypted: where somebody has spoiled the MAC, they still tell of the data key.
    pub fn samples(&self) -> Vec<Sample> {
        let (tree, source) = (self.document.tree(), self.document.source());
        let mut samples = Vec::new();
        for &root in tree.documents() {
            // An error ends the walk.
            let _ = tree.walk(source, root, &mut |keys, step| {
                let Step::Leaf { node, at } = step else { return Ok(()) };
                let token = tree[node].text.get(source);
                let is_one = token.len() <= LONGEST_SAMPLE && !self.document.is_metadata(at);
                if is_one && Token::parse(token).is_ok() {
                    let path: String = keys.iter().flat_map(|key| [key, ":"]).collect();
                    let aad = if path.is_empty() { ":".into() } else { path.into() };
                    samples.push(Sample { token: token.into(), aad });
                }
                match samples.len() < MOST_SAMPLES {
                    true => Ok(()),
                    false => Err(Error::new(Kind::Other, "there are enough")),
                }
            });
        }
        samples.truncate(MOST_SAMPLES);
        samples
    }

    /// Reads an encrypted file. An error of kind [`Kind::Other`] when it has no sops metadata.
    pub fn parse(format: Format, file: SecretBytes) -> Result<Self> {
        Self::of(document::parse(format, file, true)?)
    }

    /// An encrypted document; errors as for [`Encrypted::parse`].
    pub fn of(document: Box<dyn Document>) -> Result<Self> {
        let Some(data) = document.metadata()? else {
            return Err(match nature::holds_tokens(&*document) {
                true => nature::without_metadata(),
                false => Error::new(Kind::Other, "the file is not encrypted: sops metadata not found").advise(
                    match document.source().trim().is_empty() {
                        // What a shell does before it starts a program that was to read the file.
                        true => "the file is empty; if `> FILE` has just emptied it, bring it back with `git restore FILE`",
                        false => "encrypt it with `sealant encrypt -i FILE`",
                    },
                ),
            });
        };
        let metadata = Metadata::from_data(&data)?;
        Ok(Self { document, metadata })
    }

    pub fn document(&self) -> &dyn Document {
        &*self.document
    }

    pub fn format(&self) -> Format {
        self.document.format()
    }

    /// How many values are encrypted. No key is needed.
    pub fn count_encrypted(&self) -> Result<usize> {
        let mut count = 0;
        self.for_each_token(&mut |_, _| count += 1)?;
        Ok(count)
    }

    /// Calls `visit` with each encrypted value and its ciphertext; comments are left out. No key is needed.
    pub fn for_each_token(&self, visit: &mut dyn FnMut(NodeId, &str)) -> Result<()> {
        let (tree, source) = (self.document.tree(), self.document.source());
        leaves::for_each_encrypted(&*self.document, &self.metadata.selection, &mut |leaf| {
            let text = tree[leaf.node].text.get(source);
            if !leaf.is_comment && text.starts_with(TOKEN) {
                visit(leaf.at, text.trim_end());
            }
            Ok(())
        })
    }

    /// Calls `visit` with everything that looks like a ciphertext, comments and what no rule covers included: its path, which
    /// is made when it is asked for, since all paths together may be far longer than the document; and its bytes. No key
    /// is needed.
    pub fn for_each_ciphertext(&self, visit: &mut VisitCiphertext<'_>) {
        let (tree, source) = (self.document.tree(), self.document.source());
        let nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
        for node in nodes.filter(|&node| !self.document.is_metadata(node)) {
            if let Ok(token) = Token::parse(tree[node].text.get(source)) {
                visit(&|| tree.path_of(source, node), &token.decoded());
            }
        }
    }

    /// What is wrong with how values are spelled, though none has changed: what was kept of it does not open.
    pub fn lost_spellings(&self, key: &DataKey) -> Vec<&'static str> {
        decrypt::lost(&cipher::Cipher::new(key), &self.metadata)
    }

    /// The plaintext file.
    pub fn decrypt(&self, key: &DataKey, check: MacCheck) -> Result<Plaintext> {
        decrypt::decrypt(&*self.document, &self.metadata, key, check, decrypt::Purpose::File)
    }

    /// The plaintext as another format is made of it: with the types that the ciphertexts say, also where the file that sops
    /// would write has lost them.
    pub fn decrypt_to_convert(&self, key: &DataKey, check: MacCheck) -> Result<Plaintext> {
        decrypt::decrypt(&*self.document, &self.metadata, key, check, decrypt::Purpose::Conversion)
    }

    /// The plaintext as a document in which the metadata still stands, for [`Encrypted::write`].
    pub fn open(&self, key: &DataKey, check: MacCheck) -> Result<Box<dyn Document>> {
        // Without a final line break the last value may be one that reads otherwise when the metadata follow it.
        let ends_open = self.format() == Format::Yaml && !self.document.source().ends_with('\n');
        if ends_open || self.format() == Format::Binary {
            return self.adopt(self.decrypt(key, check)?.bytes);
        }
        let plaintext =
            decrypt::decrypt(&*self.document, &self.metadata, key, check, decrypt::Purpose::Writing)?;
        document::parse(self.format(), plaintext.bytes, true)
    }

    /// A plaintext that was edited apart from its file, as a document with this file's metadata in its place where
    /// that leaves all values as they are.
    pub fn adopt(&self, plaintext: SecretBytes) -> Result<Box<dyn Document>> {
        // What its author has encrypted so may stay so.
        let edited = match self.document.tree().repeated().is_some() || self.format() == Format::Dotenv {
            true => document::parse_any(self.format(), plaintext, false)?,
            false => document::parse(self.format(), plaintext, false)?,
        };
        refuse_nothing(&*edited)?;
        if let Some(line) = encrypt::line_of_metadata(&*edited) {
            return Err(Error::new(
                Kind::AlreadyEncrypted,
                "the plaintext has an entry that is named like sops metadata",
            )
            .on_line(line));
        }
        // What would change the last value is left to the code that writes new metadata.
        if self.format() == Format::Binary || edited.open_end().is_some() {
            return Ok(edited);
        }
        let with_metadata = edited.carry_metadata(&*self.document)?.apply(edited.source());
        document::parse(self.format(), document::to_bytes(self.format(), with_metadata), true)
    }

    /// A plaintext that was edited together with the metadata in it, as a document with the metadata that it is to
    /// have. Recipients may have gone; new ones are refused, for nobody has wrapped the data key for them.
    pub fn adopt_with_metadata(&self, plaintext: SecretBytes) -> Result<(Box<dyn Document>, Metadata)> {
        let document = document::parse(self.format(), plaintext, true)?;
        let data = document.metadata()?.ok_or_else(|| {
            Error::new(Kind::Read, "the metadata is gone").advise("keep at least the recipients in it")
        })?;
        let metadata = Metadata::from_data(&data)?;
        let (old, new) = (&self.metadata.keys, &metadata.keys);
        let is_part = new.groups.len() == old.groups.len()
            && new.threshold == old.threshold
            && new
                .groups
                .iter()
                .zip(&old.groups)
                .all(|(new, old)| !new.is_empty() && new.iter().all(|key| old.contains(key)));
        if !is_part {
            return Err(Error::new(
                Kind::Conflict,
                "recipients can be removed in an editor, but not added or changed",
            )
            .advise("add them with `sealant updatekeys FILE`"));
        }
        Ok((document, metadata))
    }

    /// Encrypts a changed state of this file (of [`Encrypted::open`] or [`Encrypted::adopt`]) under `new_key` if there
    /// is one, else under the old key, whose ciphertexts unchanged values then keep.
    pub fn write(
        &self,
        plaintext: &dyn Document,
        metadata: Metadata,
        key: &DataKey,
        new_key: Option<&DataKey>,
        now: Timestamp,
    ) -> Result<Ciphertext> {
        let reuse = match new_key {
            None => Some(encrypt::Reuse::of(&*self.document, &self.metadata, key, Origin::Decrypted)?),
            Some(_) => None,
        };
        encrypt::encrypt(plaintext, metadata, new_key.unwrap_or(key), now, reuse)
    }

    /// Encrypts what came of several states of a file, all under one data key: what is in one of them keeps its
    /// ciphertext, that of the first if several have it.
    pub fn write_onto(
        states: &[&Self],
        plaintext: &dyn Document,
        metadata: Metadata,
        key: &DataKey,
        now: Timestamp,
    ) -> Result<Ciphertext> {
        let mut reuse: Option<encrypt::Reuse<'_>> = None;
        for state in states {
            let more = encrypt::Reuse::of(&*state.document, &state.metadata, key, Origin::Decrypted)?;
            reuse = Some(match reuse {
                Some(reuse) => reuse.and(more),
                None => more,
            });
        }
        encrypt::encrypt(plaintext, metadata, key, now, reuse)
    }

    /// This file after `change`, encrypted under the same data key: what is unchanged keeps its ciphertext. `None` when
    /// `change` gives no edits; empty ones only renew the time and the MAC. `review` sees the plaintext before and after,
    /// and may refuse what came of it.
    pub fn change(
        &self,
        key: &DataKey,
        check: MacCheck,
        now: Timestamp,
        change: impl FnOnce(&dyn Document) -> Result<Option<Edits>>,
        review: impl FnOnce(&dyn Document, &dyn Document) -> Result<()>,
    ) -> Result<Option<Ciphertext>> {
        let plaintext = self.open(key, check)?;
        let Some(edits) = change(&*plaintext)? else { return Ok(None) };
        let text = edits.apply(plaintext.source());
        let text = document::to_bytes(self.format(), text);
        let changed = match self.format() {
            Format::Binary => self.adopt(document::binary_content(text)?)?,
            format => document::parse(format, text, true)?,
        };
        if changed.metadata()? != plaintext.metadata()? {
            return Err(Error::new(
                Kind::SetFormat,
                "sops would take an entry of this name for its metadata",
            )
            .advise("choose a name that does not begin with `sops`"));
        }
        review(&*plaintext, &*changed)?;
        self.write(&*changed, self.metadata.clone(), key, None, now).map(Some)
    }

    /// This file in another type, with the same ciphertexts, MAC and recipients. Comments go where the type has none, and
    /// so do spellings and names of aliases, which are of the old text. What the type cannot hold is an error of kind [`Kind::Emit`].
    pub fn written_as(&self, format: Format) -> Result<Vec<u8>> {
        let text = document::convert(&*self.document, format, Losses::Refused)?;
        let document = document::parse(format, text, true)?;
        let mut metadata = self.metadata.clone();
        (metadata.spellings, metadata.aliases) = (None, None);
        let edits = document.put_metadata(Some(&metadata.to_data(format)))?;
        Ok(document::to_bytes(format, edits.apply(document.source())).to_vec())
    }

    /// This file with other metadata and nothing else changed: for new recipients of the same data key. The MAC and
    /// the time stay.
    pub fn with_metadata(&self, metadata: &Metadata) -> Result<Vec<u8>> {
        let edits = self.document.put_metadata(Some(&metadata.to_data(self.document.format())))?;
        Ok(document::to_bytes(self.format(), edits.apply(self.document.source())).to_vec())
    }

    /// The values of the first document as environment variables. The MAC is verified.
    pub fn variables(&self, key: &DataKey) -> Result<Vec<(String, SecretBytes)>> {
        self.decrypt(key, MacCheck::Verify)?;
        let mut values = HashMap::new();
        // By their types in the ciphertexts: a float `1` is `1.0` to sops, whatever the text of the file makes of it.
        self.for_each_value(key, &mut |leaf, value| _ = values.insert(leaf.at, value.clone()))?;
        document::variables(&*self.document, &|node| values.get(&node).cloned())
    }

    /// Calls `visit` with the path and value of every leaf that is no comment, opened where it was encrypted.
    pub fn for_each_value(&self, key: &DataKey, visit: &mut dyn FnMut(&Leaf<'_>, &Value)) -> Result<()> {
        decrypt::for_each_value(&*self.document, &self.metadata, key, &mut |leaf, value| {
            if !leaf.is_comment {
                visit(leaf, value);
            }
        })
    }
}

impl Content for Encrypted {
    /// Opens all values, and verifies the MAC, which has to be there. An error of kind [`Kind::MacMismatch`] where one
    /// does not open, too: it is not what was encrypted here, or this is not the file's data key.
    fn verify(&self, key: &DataKey) -> Result<()> {
        let verified = self.decrypt(key, MacCheck::Verify).map(drop);
        verified.map_err(|error| match error.kind() {
            Kind::Decrypt => error.with_kind(Kind::MacMismatch),
            _ => error,
        })
    }
}
