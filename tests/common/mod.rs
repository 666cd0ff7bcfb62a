//! What the tests of documents share: fixtures, a data key, and ways to look at encrypted files.

// Each test binary uses a part of it; and tests are outside of the doors that the library has.
#![allow(dead_code, clippy::disallowed_methods)]

pub mod anchored;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use sealant::Result;
use sealant::config::Selection;
use sealant::document::{self, Document, Format, NodeId, Value};
use sealant::keys::{MasterKey, Recipient, WrappedDataKey, WrappedKey};
use sealant::secret::{DataKey, SecretBytes};
use sealant::sops::{self, Ciphertext, Encrypted, MacCheck, Metadata, for_each_leaf};

/// A file that a test starts from.
pub struct Fixture {
    pub name: String,
    pub path: PathBuf,
    pub format: Format,
    pub bytes: Vec<u8>,
}

impl Fixture {
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, path: path.to_owned(), format: Format::of_path(path), bytes }
    }

    pub fn parse(&self) -> Result<Box<dyn Document>> {
        parse(self.format, &self.bytes)
    }
}

/// The files of a folder of `fixtures/`, by name.
pub fn fixtures(folder: &str) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file of the fixtures").path()).collect();
    paths.sort();
    paths.iter().map(|path| Fixture::read(path)).collect()
}

/// Which leaves are encrypted, and what the MAC covers.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    pub selection: Selection,
    pub mac_only_encrypted: bool,
}

impl Rule {
    pub fn new(field: &str, pattern: &str) -> Self {
        let selection = Selection::from_field(field, pattern).expect("a rule");
        Self { selection, mac_only_encrypted: false }
    }

    pub fn mac_only_encrypted(self) -> Self {
        Self { mac_only_encrypted: true, ..self }
    }

    /// The metadata of a new file under this rule.
    pub fn metadata(&self) -> Metadata {
        Metadata::new(somebody(), self.selection.clone(), self.mac_only_encrypted)
    }
}

/// A data key that is everybody's.
pub fn data_key() -> DataKey {
    DataKey::from_slice(&[7; DataKey::LEN]).expect("32 bytes")
}

/// What files hold for a recipient, where no test opens it.
fn somebody() -> WrappedDataKey {
    let key = MasterKey::Age(Recipient::as_written(
        "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun",
    ));
    let enc = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl+/==\n-----END AGE ENCRYPTED FILE-----\n".to_owned();
    WrappedDataKey { groups: vec![vec![WrappedKey { key, enc, entry: Default::default() }]], threshold: 0 }
}

/// A moment; each number is another one.
pub fn moment(number: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_790_000_000 + number).expect("a time")
}

pub fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::new(bytes.to_vec())
}

/// Reads a plaintext file.
pub fn parse(format: Format, bytes: &[u8]) -> Result<Box<dyn Document>> {
    document::parse(format, secret(bytes), false)
}

/// Encrypts a plaintext file.
pub fn encrypt(format: Format, bytes: &[u8], rule: &Rule) -> Result<Ciphertext> {
    sops::encrypt(&*parse(format, bytes)?, rule.metadata(), &data_key(), moment(0), None)
}

/// Reads an encrypted file.
pub fn encrypted(format: Format, bytes: &[u8]) -> Result<Encrypted> {
    Encrypted::parse(format, secret(bytes))
}

/// Decrypts a file under [`data_key`], of which nothing has to be said.
pub fn decrypt(format: Format, bytes: &[u8]) -> anyhow::Result<SecretBytes> {
    let plaintext = encrypted(format, bytes)?.decrypt(&data_key(), MacCheck::Verify)?;
    ensure!(plaintext.warnings.is_empty(), "decrypting warns: {:?}", plaintext.warnings);
    Ok(plaintext.bytes)
}

/// Whether two files are equal; an error shows the first line that is not.
pub fn same_bytes(found: &[u8], expected: &[u8]) -> anyhow::Result<()> {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let line = expected[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
    let show = |bytes: &[u8]| {
        let start = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |found| found + 1);
        let line: Vec<u8> = bytes[start..].iter().copied().take(120).collect();
        String::from_utf8_lossy(&line).into_owned()
    };
    bail!("line {line} is {:?} instead of {:?}", show(found), show(expected));
}

/// Problems of many files, so that one does not hide the others.
#[derive(Default)]
pub struct Problems {
    checked: usize,
    found: Vec<String>,
}

impl Problems {
    pub fn check(&mut self, name: impl std::fmt::Display, check: impl FnOnce() -> anyhow::Result<()>) {
        self.checked += 1;
        if let Err(error) = check() {
            self.found.push(format!("{name}: {error:#}"));
        }
    }

    /// Takes over what another thread has found.
    pub fn add(&mut self, other: Self) {
        self.checked += other.checked;
        self.found.extend(other.found);
    }

    /// Panics if there are problems, or if there was nothing to check.
    #[track_caller]
    pub fn report(self) -> usize {
        let Self { checked, found } = self;
        assert!(found.is_empty(), "{} of {checked} fail:\n{}", found.len(), found.join("\n"));
        assert!(checked > 0, "there was nothing to check");
        checked
    }
}

/// The ciphertexts of a file, metadata left out, in document order: each with the path that it is bound to.
pub fn tokens(file: &Encrypted) -> Result<Vec<(String, String)>> {
    let document = file.document();
    let mut tokens = Vec::new();
    for_each_leaf(document, &file.metadata.selection, &mut |leaf| {
        let text = document.tree()[leaf.node].text.get(document.source()).trim_end();
        if leaf.selected && text.starts_with("ENC[") {
            tokens.push((leaf.path.to_owned(), text.to_owned()));
        }
        Ok(())
    })?;
    Ok(tokens)
}

/// A file without what every writing of it changes: its MAC, the time, and the spellings and aliases bound to it.
pub fn lasting(format: Format, bytes: &[u8]) -> anyhow::Result<String> {
    let Metadata { mac, last_modified, spellings, aliases, .. } = encrypted(format, bytes)?.metadata;
    let mut text = String::from_utf8(bytes.to_vec())?;
    for changing in [mac, Some(last_modified), spellings, aliases].iter().flatten() {
        text = text.replace(changing, "~");
    }
    Ok(text)
}

/// The two halves of an encrypted file: its text without metadata, and what of these lasts.
pub fn halves(format: Format, bytes: &[u8]) -> anyhow::Result<(String, serde_json::Value)> {
    let file = encrypted(format, bytes)?;
    let body = file.document().put_metadata(None)?.apply(file.document().source()).to_string();
    let mut metadata = file.document().metadata()?.unwrap_or_default();
    for changing in ["mac", "lastmodified", "sealant_spelling", "sealant_aliases"] {
        metadata.as_object_mut().and_then(|block| block.remove(changing));
    }
    Ok((body, metadata))
}

/// The values of a document with the keys on the way to each: what has to agree where bytes do not.
pub fn values(document: &dyn Document) -> Result<Vec<(String, Value)>> {
    let mut values = Vec::new();
    for_each_leaf(document, &Selection::default(), &mut |leaf| {
        if !leaf.is_comment {
            values.push((leaf.path.to_owned(), document.value(leaf.node)?));
        }
        Ok(())
    })?;
    Ok(values)
}

/// The texts of the comments of a document, in order.
pub fn comments(document: &dyn Document) -> Result<Vec<String>> {
    let mut comments = Vec::new();
    for_each_leaf(document, &Selection::default(), &mut |leaf| {
        if leaf.is_comment {
            comments.push(document.tree()[leaf.node].text.get(document.source()).to_owned());
        }
        Ok(())
    })?;
    Ok(comments)
}

/// Whether two documents have the same values; an error shows the first that is not.
pub fn same_values(left: &dyn Document, right: &dyn Document) -> anyhow::Result<()> {
    let (left, right) = (values(left)?, values(right)?);
    let show = |(path, value): &(String, Value)| {
        format!("{path} {value:?} {}", String::from_utf8_lossy(&value.to_plaintext()))
    };
    let different = |((p, v), (q, w)): &(&(String, Value), &(String, Value))| p != q || !v.same(w);
    if let Some((a, b)) = left.iter().zip(&right).find(different) {
        bail!("{} is not {}", show(a), show(b));
    }
    ensure!(left.len() == right.len(), "{} values are not {}", left.len(), right.len());
    Ok(())
}

/// Leaves that a rule encrypts and that are written in their own place, not through an alias.
pub fn selected(document: &dyn Document, selection: &Selection) -> Result<Vec<NodeId>> {
    let mut nodes = Vec::new();
    for_each_leaf(document, selection, &mut |leaf| {
        if leaf.selected && !leaf.is_comment && leaf.node == leaf.at && !document.value(leaf.node)?.is_blank()
        {
            nodes.push(leaf.node);
        }
        Ok(())
    })?;
    Ok(nodes)
}
