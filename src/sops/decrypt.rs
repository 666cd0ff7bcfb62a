//! From an encrypted document to its plaintext, byte for byte as its author wrote it.

use std::collections::HashSet;

use crate::config::Selection;
use crate::document::{self, Document, Edits, Format, NodeId, Value, ValueKind};
use crate::error::{Error, Kind, Result};
use crate::secret::{DataKey, SecretBytes, SecretString};
use crate::sops::cipher::{Cipher, Token};
use crate::sops::leaves::{self, Leaf};
use crate::sops::mac::{self, Mac};
use crate::sops::metadata::Metadata;
use crate::sops::spelling::Spellings;

/// What is done about the MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacCheck {
    Verify,
    /// `--ignore-mac`: values still have to open at their places.
    Ignore,
}

/// A decrypted file.
pub struct Plaintext {
    pub bytes: SecretBytes,
    /// What a person should know, such as comments that could not be opened.
    pub warnings: Vec<String>,
}

/// Decrypts a document. With `keep_metadata` the `sops` block stays where it is, for commands that write it back.
pub(super) fn decrypt(
    document: &dyn Document,
    metadata: &Metadata,
    key: &DataKey,
    check: MacCheck,
    keep_metadata: bool,
) -> Result<Plaintext> {
    let cipher = Cipher::new(key);
    let spellings = Spellings::decrypt(&cipher, metadata);
    let mut opened = open_values(document, metadata, &cipher, Mac::new(metadata.mac_only_encrypted))?;
    if check == MacCheck::Verify {
        verify_mac(document, metadata, &cipher, &mut opened)?;
    }
    let warnings = std::mem::take(&mut opened.warnings);
    if document.format() == Format::Binary && !keep_metadata {
        let value = opened.found.into_iter().next().map_or_else(|| Value::str(""), |found| found.value);
        return Ok(Plaintext { bytes: value.to_plaintext(), warnings });
    }
    let rest = if keep_metadata { Edits::default() } else { document.put_metadata(None)? };
    let text = spell(document, &metadata.selection, &opened.found, &spellings, rest)?;
    Ok(Plaintext { bytes: SecretBytes::new(text.as_bytes().to_vec()), warnings })
}

/// Opens the values and encrypted comments of a document one by one, for those who need each with its path.
pub(super) fn for_each_value(
    document: &dyn Document,
    metadata: &Metadata,
    key: &DataKey,
    visit: &mut dyn FnMut(&Leaf<'_>, &Value),
) -> Result<()> {
    let cipher = Cipher::new(key);
    leaves::for_each(document, &metadata.selection, &mut |leaf| {
        if !leaf.is_comment {
            visit(&leaf, &open(document, &cipher, &leaf)?.0);
        } else if leaf.selected
            && let Ok(value) = open_comment(document, &cipher, &leaf)
        {
            visit(&leaf, &value);
        }
        Ok(())
    })
}

/// What a ciphertext held.
struct Found {
    /// Its number among the ciphertexts of the document.
    number: usize,
    at: NodeId,
    value: Value,
    is_comment: bool,
}

struct Opened {
    /// In document order; comments that do not open are left out.
    found: Vec<Found>,
    mac: Option<Mac>,
    /// A clear number that sops hashed otherwise before 3.13.2.
    ambiguous: bool,
    warnings: Vec<String>,
}

fn open_values(
    document: &dyn Document,
    metadata: &Metadata,
    cipher: &Cipher,
    mut mac: Mac,
) -> Result<Opened> {
    let (mut found, mut number, mut warnings, mut ambiguous) = (Vec::new(), 0, Vec::new(), false);
    leaves::for_each(document, &metadata.selection, &mut |leaf| {
        if leaf.is_comment {
            if leaf.selected {
                match open_comment(document, cipher, &leaf) {
                    Ok(value) => found.push(Found { number, at: leaf.at, value, is_comment: true }),
                    Err(why) => {
                        warnings.push(format!("line {}: the comment {why}", document.line(leaf.node)))
                    }
                }
                number += 1;
            }
            return Ok(());
        }
        let (value, encrypted) = open(document, cipher, &leaf)?;
        mac.add(&value, leaf.selected);
        if encrypted {
            found.push(Found { number, at: leaf.at, value, is_comment: false });
            number += 1;
        } else {
            ambiguous |= mac::is_ambiguous_in_json(&value);
        }
        Ok(())
    })?;
    Ok(Opened { found, mac: Some(mac), ambiguous, warnings })
}

/// The value of a leaf, and whether it was encrypted.
fn open(document: &dyn Document, cipher: &Cipher, leaf: &Leaf<'_>) -> Result<(Value, bool)> {
    let (tree, source) = (document.tree(), document.source());
    let at = |error: Error| {
        let path = tree.path_of(source, leaf.at);
        Error::new(error.kind(), format!("{path}: {}", error.message()))
            .on_line(document.line(leaf.at))
            .advise(error.advice().unwrap_or("restore the file from Git").to_owned())
    };
    let value = document.value(leaf.node).map_err(at)?;
    if !leaf.selected || value.is_blank() {
        return Ok((value, false));
    }
    let Some(text) = value.as_str() else {
        let found = value.kind().map_or("null", ValueKind::name);
        return Err(at(Error::new(Kind::Decrypt, format!("expected a ciphertext, found a clear {found}"))));
    };
    let token = Token::parse(text).map_err(at)?;
    let kind = token.kind().map_err(at)?;
    let bytes = cipher.decrypt(&token, leaf.path).map_err(at)?;
    let value = Value::from_plaintext(kind, bytes)
        .ok_or_else(|| at(Error::new(Kind::Decrypt, format!("what was encrypted is no {}", kind.name()))))?;
    Ok((value, true))
}

/// The text of an encrypted comment; an error says what becomes of one that does not open.
fn open_comment(document: &dyn Document, cipher: &Cipher, leaf: &Leaf<'_>) -> Result<Value, &'static str> {
    let text = document.tree()[leaf.node].text.get(document.source());
    let token = Token::parse(text).map_err(|_| "was not encrypted")?;
    match decrypt_comment(cipher, &token, leaf.path) {
        Ok(bytes) if std::str::from_utf8(&bytes).is_ok() => Ok(Value::Str(bytes)),
        _ => Err("does not open and stays encrypted"),
    }
}

/// go-yaml may have attached a comment to an outer collection: its path is one of those above.
fn decrypt_comment(cipher: &Cipher, token: &Token<'_>, path: &str) -> Result<SecretBytes> {
    let mut path = path;
    loop {
        match cipher.decrypt(token, path) {
            Err(_) if path.len() > 1 => {
                let above = path[..path.len() - 1].rfind(':').map_or("", |at| &path[..=at]);
                path = if above.is_empty() { ":" } else { above };
            }
            result => return result,
        }
    }
}

/// Whether a data key opens the MAC's ciphertext. A file without one is not checked.
pub(super) fn check_key(metadata: &Metadata, key: &DataKey) -> Result<()> {
    let Some(mac) = &metadata.mac else { return Ok(()) };
    let opens = Token::parse(mac).and_then(|token| Cipher::new(key).decrypt(&token, &metadata.mac_aad()?));
    opens.map(drop).map_err(|_| {
        Error::new(Kind::MacMismatch, "what was wrapped for us is not the data key of this file, or its MAC or lastmodified was changed")
            .advise("restore the file from Git")
    })
}

fn verify_mac(
    document: &dyn Document,
    metadata: &Metadata,
    cipher: &Cipher,
    opened: &mut Opened,
) -> Result<()> {
    let mismatch = |message: &str| {
        Err(Error::new(Kind::MacMismatch, message.to_owned()).advise(
            "the file was changed without sealant or sops: restore it from Git, or look at it with --ignore-mac",
        ))
    };
    let Some(mac) = &metadata.mac else { return mismatch("the file has no MAC") };
    let stored = Token::parse(mac).and_then(|token| cipher.decrypt(&token, &metadata.mac_aad()?));
    let Ok(stored) = stored else { return mismatch("the MAC does not open: it or lastmodified was changed") };
    let computed = opened.mac.take().map(Mac::finish).unwrap_or_default();
    if same(&stored, &computed) {
        return Ok(());
    }
    if document.format() == Format::Json && opened.ambiguous {
        let old = Mac::with_json_floats(metadata.mac_only_encrypted);
        let again = open_values(document, metadata, cipher, old)?;
        if same(&stored, &again.mac.map(Mac::finish).unwrap_or_default()) {
            return Ok(());
        }
    }
    mismatch("MAC mismatch: a value, or the order of values, is not what was encrypted")
}

fn same(stored: &[u8], computed: &SecretString) -> bool {
    use subtle::ConstantTimeEq;
    stored.ct_eq(computed.as_bytes()).into()
}

/// Puts the values into the text: as they were spelled where that is known and still says the same.
fn spell(
    document: &dyn Document,
    selection: &Selection,
    found: &[Found],
    spellings: &Spellings,
    rest: Edits,
) -> Result<SecretString> {
    let write = |keep: &dyn Fn(usize) -> bool| -> Result<SecretString> {
        let mut edits = rest.clone();
        for Found { number, at, value, is_comment } in found {
            edits.merge(match spellings.get(*number).filter(|_| keep(*number)) {
                Some(spelling) => document.put_spelling(*at, spelling),
                None if *is_comment => document.put_comment(*at, value.as_str().unwrap_or_default())?,
                None => document.put_value(*at, value)?,
            });
        }
        Ok(edits.apply(document.source()))
    };
    let text = write(&|_| true)?;
    if spellings.is_empty() {
        return Ok(text);
    }
    match misspelled(document.format(), selection, &text, found) {
        Some(wrong) if wrong.is_empty() => Ok(text),
        Some(wrong) => write(&|number| !wrong.contains(&number)),
        None => write(&|_| false),
    }
}

/// The numbers of the values that a text does not say; `None` when it has other leaves altogether.
fn misspelled(
    format: Format,
    selection: &Selection,
    text: &SecretString,
    found: &[Found],
) -> Option<HashSet<usize>> {
    let document = document::parse(format, SecretBytes::new(text.as_bytes().to_vec()), true).ok()?;
    let (mut wrong, mut number) = (HashSet::new(), 0);
    let mut meant = found.iter().peekable();
    leaves::for_each(&*document, selection, &mut |leaf| {
        if !leaf.selected {
            return Ok(());
        }
        let value = match leaf.is_comment {
            true => Value::str(document.tree()[leaf.node].text.get(document.source())),
            false => document.value(leaf.node)?,
        };
        if !value.is_blank() {
            if let Some(found) = meant.next_if(|found| found.number == number)
                && !(found.is_comment == leaf.is_comment && found.value.same(&value))
            {
                wrong.insert(number);
            }
            number += 1;
        }
        Ok(())
    })
    .ok()?;
    meant.next().is_none().then_some(wrong)
}
