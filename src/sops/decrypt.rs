//! From an encrypted document to its plaintext, byte for byte as its author wrote it.

use std::collections::{BTreeSet, HashSet};

use crate::config::Selection;
use crate::document::{self, Document, Edits, Format, NodeId, NodeKind, Value, ValueKind};
use crate::error::{Error, Kind, Result};
use crate::secret::{DataKey, SecretBytes, SecretString};
use crate::sops::RESTORE;
use crate::sops::aliases::{self, Aliases};
use crate::sops::cipher::{Cipher, Token};
use crate::sops::leaves::{self, Leaf};
use crate::sops::mac::{self, Mac};
use crate::sops::metadata::Metadata;
use crate::sops::spelling::{self, Spellings};

/// What is done about the MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacCheck {
    Verify,
    /// `--ignore-mac`: values still have to open at their places.
    Ignore,
}

/// What a plaintext is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The file that was encrypted.
    File,
    /// To be changed and written back: the metadata stay where they are.
    Writing,
    /// To become a file of another type: a whole number that is a float is spelled as one.
    Conversion,
}

/// A decrypted file.
pub struct Plaintext {
    pub bytes: SecretBytes,
    /// What a person should know, such as comments that could not be opened.
    pub warnings: Vec<String>,
}

/// Decrypts a document.
pub(super) fn decrypt(
    document: &dyn Document,
    metadata: &Metadata,
    key: &DataKey,
    check: MacCheck,
    purpose: Purpose,
) -> Result<Plaintext> {
    let keep_metadata = purpose == Purpose::Writing;
    let cipher = Cipher::new(key);
    let spellings = Spellings::decrypt(&cipher, metadata);
    let Opened { mut edits, spelled, mac, ambiguous, mut warnings } =
        open_values(document, metadata, &cipher, &spellings, Hashing::Today, purpose)?;
    warnings.extend(lost(&cipher, metadata).into_iter().map(str::to_owned));
    warnings
        .extend(document::repeated(document).map(|(what, _)| format!("{what}: most programs take the last")));
    if check == MacCheck::Verify {
        verify_mac(document, metadata, &cipher, &mac.finish(), ambiguous)?;
    }
    if document.format() == Format::Binary && !keep_metadata {
        let bytes = spelled.into_iter().next().map(|file| file.value.into_plaintext()).unwrap_or_default();
        return Ok(Plaintext { bytes, warnings });
    }
    if !keep_metadata {
        edits.merge(document.put_metadata(None)?);
    }
    let text = spell(document, &metadata.selection, edits, &spelled, &spellings)?;
    let text = Aliases::decrypt(&cipher, metadata).put_back(text);
    Ok(Plaintext { bytes: document::to_bytes(document.format(), text), warnings })
}

/// What is told of entries of the metadata that were made for another state of the file.
pub(super) fn lost(cipher: &Cipher, metadata: &Metadata) -> Vec<&'static str> {
    let spellings = Spellings::are_lost(cipher, metadata).then_some(spelling::LOST);
    let aliases = Aliases::are_lost(cipher, metadata).then_some(aliases::LOST);
    spellings.into_iter().chain(aliases).collect()
}

/// Opens the values and encrypted comments of a document one by one, for those who need each with its path.
pub(super) fn for_each_value(
    document: &dyn Document,
    metadata: &Metadata,
    key: &DataKey,
    visit: &mut dyn FnMut(&Leaf<'_>, &Value),
) -> Result<()> {
    let cipher = Cipher::new(key);
    leaves::for_each_encrypted(document, &metadata.selection, &mut |leaf| {
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

/// A value whose spelling was kept, or the whole of a binary file.
struct Spelled {
    /// Its number among the ciphertexts of the document.
    number: usize,
    at: NodeId,
    value: Value,
    is_comment: bool,
}

/// What the ciphertexts of a document held.
struct Opened {
    /// Puts the values in their places, but for those whose spelling was kept.
    edits: Edits,
    spelled: Vec<Spelled>,
    mac: Mac,
    /// A clear number that sops hashed otherwise before 3.13.2.
    ambiguous: bool,
    warnings: Vec<String>,
}

/// How clear JSON numbers go into the MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hashing {
    Today,
    /// As sops before 3.13.2 did it.
    OldJson,
}

fn open_values(
    document: &dyn Document,
    metadata: &Metadata,
    cipher: &Cipher,
    spellings: &Spellings,
    hashing: Hashing,
    purpose: Purpose,
) -> Result<Opened> {
    let (edits, spelled, warnings) = (Edits::default(), Vec::new(), Vec::new());
    let mac = Mac::new(metadata.mac_only_encrypted);
    let mut opened = Opened { edits, spelled, mac, ambiguous: false, warnings };
    let is_json = document.format() == Format::Json;
    let is_binary = document.format() == Format::Binary;
    let mut number = 0;
    let mut unopened = Vec::new();
    let mut commented = HashSet::new();
    leaves::for_each_encrypted(document, &metadata.selection, &mut |leaf| {
        let is_comment = leaf.is_comment;
        let value = if is_comment {
            if !leaf.selected {
                return Ok(());
            }
            if document.tree()[leaf.at].kind != NodeKind::Comment {
                commented.insert(leaf.at);
            }
            match open_comment(document, cipher, &leaf) {
                Ok(text) => Some(text),
                // An item of a list would come into the plaintext as a value that no MAC covers.
                Err(why) if document.tree()[leaf.node].kind != NodeKind::Comment => {
                    let message = format!("an item of a list that stands for a comment {why}");
                    return Err(at_leaf(document, &leaf, Error::new(Kind::Decrypt, message)));
                }
                Err(why) => {
                    unopened.push((leaf.node, why));
                    None
                }
            }
        } else {
            let (value, encrypted) = open(document, cipher, &leaf)?;
            let old = if is_json && !encrypted {
                mac::in_old_json(&value, document.spelling(leaf.at))
            } else {
                None
            };
            opened.ambiguous |= old.is_some();
            opened
                .mac
                .add(old.as_ref().filter(|_| hashing == Hashing::OldJson).unwrap_or(&value), leaf.selected);
            if !encrypted {
                return Ok(());
            }
            Some(value)
        };
        match value {
            Some(value) if is_binary || spellings.get(number).is_some() => {
                opened.spelled.push(Spelled { number, at: leaf.at, value, is_comment });
            }
            Some(Value::Float(float)) if purpose == Purpose::Conversion && float.fract() == 0.0 => {
                opened.edits.merge(document.put_spelling(leaf.at, &format!("{float:?}")));
            }
            Some(value) => opened.edits.merge(put(document, leaf.at, &value, is_comment)?),
            None => {}
        }
        number += 1;
        Ok(())
    })?;
    let tree = document.tree();
    let lists: BTreeSet<NodeId> = commented.iter().filter_map(|&item| tree.parent(item)).collect();
    for list in lists.into_iter().filter(|&list| tree.entries(list).all(|item| commented.contains(&item))) {
        opened.edits.merge(document.put_empty(list));
    }
    opened.warnings = tell(document, &unopened);
    Ok(opened)
}

/// What a person is told of comments that could not be opened: of the first few where they stand.
fn tell(document: &dyn Document, unopened: &[(NodeId, &str)]) -> Vec<String> {
    const SHOWN: usize = 10;
    let shown = unopened.iter().take(SHOWN);
    let mut warnings: Vec<_> =
        shown.map(|(node, why)| format!("line {}: the comment {why}", document.line(*node))).collect();
    if unopened.len() > SHOWN {
        warnings.push(format!("the same is true of {} more comments", unopened.len() - SHOWN));
    }
    warnings
}

/// Puts what was decrypted in the place of its ciphertext.
fn put(document: &dyn Document, at: NodeId, value: &Value, is_comment: bool) -> Result<Edits> {
    match is_comment {
        true => document.put_comment(at, &document::comment_text(document.format(), value)?),
        false => document.put_value(at, value),
    }
}

/// The value of a leaf, and whether it was encrypted.
fn open(document: &dyn Document, cipher: &Cipher, leaf: &Leaf<'_>) -> Result<(Value, bool)> {
    let tree = document.tree();
    let at = |error: Error| at_leaf(document, leaf, error);
    let whole;
    // A ciphertext is most of a large file: it is read where it is.
    let text = match document.borrowed(leaf.node).filter(|text| leaf.selected && Token::is_like(text)) {
        Some(text) => text,
        None => {
            whole = document.value(leaf.node).map_err(at)?;
            if !leaf.selected || whole.is_blank() {
                return Ok((whole, false));
            }
            whole.as_str().ok_or_else(|| {
                let found = whole.kind().map_or("null", ValueKind::name);
                at(Error::new(Kind::Decrypt, format!("expected a ciphertext, found a plaintext {found}")))
            })?
        }
    };
    // It is one place in the text for several values, which sops never writes.
    if matches!(tree[tree.resolve(leaf.at)].kind, NodeKind::Map | NodeKind::List) {
        return Err(at(Error::new(Kind::Decrypt, "an alias of a collection in the encrypted part")));
    }
    let token = Token::parse(text).map_err(at)?;
    let kind = token.kind().map_err(at)?;
    let bytes = cipher.decrypt(&token, leaf.path).map_err(at)?;
    let value = Value::from_plaintext(kind, bytes).ok_or_else(|| {
        at(Error::new(Kind::Decrypt, format!("the decrypted value is not a valid {}", kind.name())))
    })?;
    Ok((value, true))
}

fn at_leaf(document: &dyn Document, leaf: &Leaf<'_>, error: Error) -> Error {
    let path = document.tree().path_of(document.source(), leaf.at);
    Error::new(error.kind(), format!("{path}: {}", error.message()))
        .on_line(document.line(leaf.at))
        .by_hand()
        .advise(error.advice().unwrap_or(RESTORE).to_owned())
}

/// The text of an encrypted comment; an error says what becomes of one that does not open.
fn open_comment(document: &dyn Document, cipher: &Cipher, leaf: &Leaf<'_>) -> Result<Value, &'static str> {
    let text = document.tree()[leaf.node].text.get(document.source());
    let token = Token::parse(text).map_err(|_| "was not encrypted")?;
    let takes_bytes = matches!(document.format(), Format::Dotenv | Format::Ini);
    match decrypt_comment(cipher, &token, leaf.path) {
        Ok(bytes) if takes_bytes || std::str::from_utf8(&bytes).is_ok() => Ok(Value::Str(bytes)),
        _ => Err("cannot be decrypted and stays encrypted"),
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

fn verify_mac(
    document: &dyn Document,
    metadata: &Metadata,
    cipher: &Cipher,
    computed: &SecretString,
    ambiguous: bool,
) -> Result<()> {
    let mismatch = |message: &str| {
        Err(Error::new(Kind::MacMismatch, message.to_owned()).by_hand().advise(
            "the file was changed without sealant or sops. Back to the last commit: `git restore --source=HEAD FILE`; \
             `git log --oneline -- FILE` lists older versions. To look at it as it is: `sealant decrypt --ignore-mac FILE`; to \
             keep what it says then: `sealant edit --ignore-mac FILE`",
        ))
    };
    let Some(mac) = &metadata.mac else { return mismatch("the file has no MAC") };
    let stored = Token::parse(mac).and_then(|token| cipher.decrypt(&token, &metadata.mac_aad()?));
    let Ok(stored) = stored else {
        return mismatch("the MAC cannot be decrypted: it or lastmodified was changed");
    };
    if same(&stored, computed) {
        return Ok(());
    }
    if ambiguous {
        let spellings = Spellings::default();
        let again = open_values(document, metadata, cipher, &spellings, Hashing::OldJson, Purpose::File)?;
        if same(&stored, &again.mac.finish()) {
            return Ok(());
        }
    }
    mismatch("MAC mismatch: a value, or the order of values, was changed")
}

fn same(stored: &[u8], computed: &SecretString) -> bool {
    use subtle::ConstantTimeEq;
    stored.ct_eq(computed.as_bytes()).into()
}

/// Puts the values into the text, those with a kept spelling as they were spelled where that still says the same.
fn spell(
    document: &dyn Document,
    selection: &Selection,
    edits: Edits,
    spelled: &[Spelled],
    spellings: &Spellings,
) -> Result<SecretString> {
    let write = |mut edits: Edits, keep: &dyn Fn(usize) -> bool| -> Result<SecretString> {
        for Spelled { number, at, value, is_comment } in spelled {
            edits.merge(match spellings.get(*number).filter(|_| keep(*number)) {
                Some(spelling) => document.put_spelling(*at, spelling),
                None => put(document, *at, value, *is_comment)?,
            });
        }
        Ok(edits.apply(document.source()))
    };
    if spelled.is_empty() {
        return write(edits, &|_| true);
    }
    let text = write(edits.clone(), &|_| true)?;
    match misspelled(document, selection, &text, spelled) {
        Some(wrong) if wrong.is_empty() => Ok(text),
        Some(wrong) => write(edits, &|number| !wrong.contains(&number)),
        None => write(edits, &|_| false),
    }
}

/// Whether what is spelled is what was encrypted: the sign of a zero is in its spelling alone.
fn says(spelled: &Value, encrypted: &Value) -> bool {
    encrypted.same(spelled) || (encrypted.is_zero_float() && spelled.is_zero_float())
}

/// The numbers of the values that a text does not say as they are spelled in it; `None` when it has another number of
/// them altogether.
fn misspelled(
    encrypted: &dyn Document,
    selection: &Selection,
    text: &SecretString,
    spelled: &[Spelled],
) -> Option<HashSet<usize>> {
    let bytes = document::to_bytes(encrypted.format(), text.clone());
    let document = document::parse(encrypted.format(), bytes, true).ok()?;
    let (mut wrong, mut number) = (HashSet::new(), 0);
    let mut meant = spelled.iter().peekable();
    for_each_encrypted(&*document, selection, leaves::for_each, &mut |leaf, value| {
        if let Some(spelled) = meant.next_if(|spelled| spelled.number == number)
            && !(spelled.is_comment == leaf.is_comment && says(value, &spelled.value))
        {
            wrong.insert(number);
        }
        number += 1;
    })
    .ok()?;
    let mut expected = 0;
    for_each_encrypted(encrypted, selection, leaves::for_each_encrypted, &mut |_, _| expected += 1).ok()?;
    (number == expected).then_some(wrong)
}

/// A walk over a document, plain or encrypted.
type ForEach = fn(&dyn Document, &Selection, &mut dyn FnMut(Leaf<'_>) -> Result<()>) -> Result<()>;

/// The leaves and comments that are ciphertexts in an encrypted document, and their plaintexts in a plain one.
fn for_each_encrypted(
    document: &dyn Document,
    selection: &Selection,
    for_each_leaf: ForEach,
    visit: &mut dyn FnMut(&Leaf<'_>, &Value),
) -> Result<()> {
    for_each_leaf(document, selection, &mut |leaf| {
        if leaf.selected {
            let value = match leaf.is_comment {
                true => document.comment(leaf.node),
                false => document.value(leaf.node)?,
            };
            if !value.is_blank() {
                visit(&leaf, &value);
            }
        }
        Ok(())
    })
}
