//! From a plaintext document to an encrypted one: leaves and comments become ciphertexts, the metadata is written.
//!
//! What was written is read again and decrypted before it is returned: it either gives back the bytes it was made of,
//! or at least its values, and then a warning says so.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::config::{Selection, SelectionKind};
use crate::document::{self, Document, Edits, Format, NodeId, Value, ValueKind};
use crate::error::{Error, Kind, Result};
use crate::secret::{DataKey, SecretBytes, SecretString};
use crate::sops::aliases;
use crate::sops::cipher::{Cipher, Token};
use crate::sops::decrypt::{self, MacCheck, Purpose};
use crate::sops::leaves::{self, Leaf};
use crate::sops::mac::{self, Mac};
use crate::sops::metadata::Metadata;
use crate::sops::spelling::Spellings;

/// An encrypted file.
#[derive(Debug)]
pub struct Ciphertext {
    pub bytes: Vec<u8>,
    /// What a person should know, such as spellings that will not come back.
    pub warnings: Vec<String>,
}

/// Ciphertexts of older states of a document: what is unchanged keeps its own.
pub struct Reuse<'d> {
    /// That of the first counts most.
    states: Vec<OlderDocument<'d>>,
    /// What was taken: no ciphertext is at two places.
    used: HashSet<&'d str>,
}

struct OlderDocument<'d> {
    document: &'d dyn Document,
    /// By fingerprint and number in the document.
    tokens: HashMap<[u8; 32], BTreeMap<usize, NodeId>>,
    /// The number that the next value has if nothing was added or removed before it.
    next: usize,
}

/// Where the values come from that may keep ciphertexts of an older state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The older state was decrypted, and its text changed. What is a whole float in it may read as an integer there.
    Decrypted,
    /// Somewhere else: what has another type than in the older state was changed.
    Elsewhere,
}

impl<'d> Reuse<'d> {
    /// The ciphertexts of a document under the data key that will be used again.
    pub(super) fn of(
        document: &'d dyn Document,
        metadata: &Metadata,
        key: &DataKey,
        origin: Origin,
    ) -> Result<Self> {
        let spellings = Spellings::decrypt(&Cipher::new(key), metadata);
        let mut tokens: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        let mut number = 0;
        decrypt::for_each_value(document, metadata, key, &mut |leaf, value| {
            if leaf.selected && !value.is_blank() {
                let mut keep = |value: &Value| {
                    let print = fingerprint(leaf.path, value, leaf.is_comment);
                    tokens.entry(print).or_default().insert(number, leaf.node);
                };
                keep(value);
                if origin == Origin::Decrypted && spellings.get(number).is_none() {
                    read_back(document, leaf.at, value).iter().for_each(keep);
                }
                number += 1;
            }
        })?;
        Ok(Self { states: vec![OlderDocument { document, tokens, next: 0 }], used: HashSet::new() })
    }

    /// Also what another state has.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.states.extend(other.states);
        self
    }

    fn take(&mut self, leaf: &Leaf<'_>, value: &Value) -> Option<&'d str> {
        let print = fingerprint(leaf.path, value, leaf.is_comment);
        let Self { states, used } = self;
        for state in states {
            state.next += 1;
            while let Some(token) = state.take(&print) {
                if used.insert(token) {
                    return Some(token);
                }
            }
        }
        None
    }
}

impl<'d> OlderDocument<'d> {
    /// Of several that are equal (items of a list, entries of the documents of a stream) the one that stood nearest to
    /// where the value is now.
    fn take(&mut self, print: &[u8; 32]) -> Option<&'d str> {
        let expected = self.next.saturating_sub(1);
        let equal = self.tokens.get_mut(print)?;
        let before = equal.range(..expected).next_back().map(|(&number, _)| number);
        let after = equal.range(expected..).next().map(|(&number, _)| number);
        let number = match (before, after) {
            (Some(before), Some(after)) if expected - before < after - expected => before,
            (before, after) => after.or(before)?,
        };
        self.next = number + 1;
        let text = self.document.tree()[equal.remove(&number)?].text.get(self.document.source());
        Some(Token::parse(text).ok()?.text())
    }
}

/// The integer that a decrypted float reads as, where its text is that of one.
fn read_back(document: &dyn Document, at: NodeId, value: &Value) -> Option<Value> {
    let Value::Float(_) = value else { return None };
    let integer = Value::from_plaintext(ValueKind::Int, value.to_plaintext())?;
    let text = |value| document.spelling_after_token(at, value);
    (text(value) == text(&integer)).then_some(integer)
}

/// What makes two values the same ciphertext: place, kind and byte form.
fn fingerprint(path: &str, value: &Value, is_comment: bool) -> [u8; 32] {
    let class = match value.kind() {
        _ if is_comment => 0,
        Some(ValueKind::Int) => 1,
        Some(ValueKind::Bool) => 2,
        Some(ValueKind::Time) => 3,
        Some(ValueKind::Float) => 4,
        _ => 5_u8,
    };
    let mut hash = Sha256::new();
    hash.update((path.len() as u64).to_be_bytes());
    hash.update(path);
    hash.update([class]);
    value.with_plaintext(|bytes| hash.update(bytes));
    hash.finalize().into()
}

/// Encrypts a plaintext document, which may still hold the metadata of the file it came from. `metadata` says for
/// whom and by which rule; its MAC, time and spellings are made here.
pub(super) fn encrypt(
    document: &dyn Document,
    mut metadata: Metadata,
    key: &DataKey,
    now: Timestamp,
    mut reuse: Option<Reuse<'_>>,
) -> Result<Ciphertext> {
    let meant = document;
    let expanded = aliases::expand(document, &metadata.selection)?;
    let document = expanded.as_ref().map_or(document, |expanded| &*expanded.document);
    let cipher = Cipher::new(key);
    metadata.last_modified = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut writer = Writer {
        document,
        selection: &metadata.selection,
        cipher: &cipher,
        mac: Mac::new(metadata.mac_only_encrypted),
        edits: Edits::default(),
        spellings: Spellings::default(),
        count: 0,
        open_end: document.open_end(),
    };
    leaves::for_each(document, &metadata.selection, &mut |leaf| {
        if leaf.is_comment { writer.comment(&leaf, &mut reuse) } else { writer.leaf(&leaf, &mut reuse) }
    })?;
    let Writer { mac, mut edits, spellings, .. } = writer;
    metadata.mac = Some(cipher.encrypt(mac.finish().as_bytes(), ValueKind::Str, &metadata.mac_aad()?)?);
    metadata.spellings = spellings.encrypt(&cipher, &metadata)?;
    let aliases = expanded.as_ref().map(|expanded| expanded.aliases.encrypt(&cipher, &metadata));
    metadata.aliases = aliases.transpose()?.flatten();
    edits.merge(document.put_metadata(Some(&metadata.to_data(document.format())))?);
    let text = edits.apply(document.source());
    check(meant, text, key)
}

struct Writer<'a> {
    document: &'a dyn Document,
    selection: &'a Selection,
    cipher: &'a Cipher,
    mac: Mac,
    edits: Edits,
    spellings: Spellings,
    /// How many leaves and comments became ciphertexts.
    count: usize,
    open_end: Option<NodeId>,
}

impl Writer<'_> {
    fn comment(&mut self, leaf: &Leaf<'_>, reuse: &mut Option<Reuse<'_>>) -> Result<()> {
        if !leaf.selected {
            return Ok(());
        }
        let value = self.document.comment(leaf.node);
        let token = self.token(leaf, &value, ValueKind::Comment, reuse)?;
        if self.selection.kind() == SelectionKind::UnencryptedCommentRegex
            && self.selection.matches_comment(&token)
        {
            let message =
                format!("unencrypted_comment_regex `{}` also matches ciphertexts", self.selection.pattern());
            return Err(
                Error::new(Kind::Encrypt, message).advise("make it match nothing that begins with ENC[")
            );
        }
        self.put(leaf, &value, &token);
        Ok(())
    }

    fn leaf(&mut self, leaf: &Leaf<'_>, reuse: &mut Option<Reuse<'_>>) -> Result<()> {
        if let Some(file) = self.document.payload().filter(|file| !file.is_empty() && reuse.is_none()) {
            self.mac.add_file(file);
            let token = self.cipher.encrypt(file, ValueKind::Str, leaf.path)?;
            self.edits.merge(self.document.put_token(leaf.at, &token));
            return Ok(());
        }
        let value = self.document.value(leaf.node).map_err(|error| self.at(leaf, error))?;
        if !leaf.selected {
            self.mac.add(&value, false);
            return self.stay_clear(leaf, &value);
        }
        if value.is_blank() {
            self.mac.add(&value, true);
            return self.refuse_open_end(leaf);
        }
        let (value, token) = self.value_and_token(leaf, value, reuse)?;
        self.mac.add(&value, true);
        self.put(leaf, &value, &token);
        Ok(())
    }

    /// Puts a ciphertext in its place, and remembers what stood there if that does not come back by itself.
    fn put(&mut self, leaf: &Leaf<'_>, value: &Value, token: &str) {
        let spelling = self.document.spelling(leaf.at);
        if *self.document.spelling_after_token(leaf.at, value) != spelling {
            self.spellings.keep(self.count, spelling);
        }
        self.edits.merge(self.document.put_token(leaf.at, token));
        self.count += 1;
    }

    /// The ciphertext of a value, and the value in it. That is `0` for `-0.0`, of which the spelling is kept: sops would put
    /// the other sign under the same IV. A ciphertext that holds `-0`, for sops has made it, stays while the value does.
    fn value_and_token(
        &self,
        leaf: &Leaf<'_>,
        value: Value,
        reuse: &mut Option<Reuse<'_>>,
    ) -> Result<(Value, String)> {
        let kind = value.kind().unwrap_or(ValueKind::Str);
        if !value.is_zero_float() {
            let token = self.token(leaf, &value, kind, reuse)?;
            return Ok((value, token));
        }
        if let Some(token) = reuse.as_mut().and_then(|reuse| reuse.take(leaf, &value)) {
            return Ok((value, token.to_owned()));
        }
        let value = Value::Float(0.0);
        let token = self.token(leaf, &value, kind, reuse)?;
        Ok((value, token))
    }

    fn token(
        &self,
        leaf: &Leaf<'_>,
        value: &Value,
        kind: ValueKind,
        reuse: &mut Option<Reuse<'_>>,
    ) -> Result<String> {
        match reuse.as_mut().and_then(|reuse| reuse.take(leaf, value)) {
            Some(token) => Ok(token.to_owned()),
            None => value.with_plaintext(|bytes| self.cipher.encrypt(bytes, kind, leaf.path)),
        }
    }

    fn stay_clear(&self, leaf: &Leaf<'_>, value: &Value) -> Result<()> {
        self.refuse_open_end(leaf)?;
        if self.document.format() == Format::Json && mac::is_ambiguous_in_json(value) {
            let message = "a plaintext integer beyond 2^53, which versions of sops hash differently";
            return Err(self
                .at(leaf, Error::new(Kind::Encrypt, message))
                .advise("quote it, so that it is a string"));
        }
        Ok(())
    }

    fn refuse_open_end(&self, leaf: &Leaf<'_>) -> Result<()> {
        if self.open_end != Some(leaf.node) {
            return Ok(());
        }
        let message =
            "a plaintext block scalar at the end of a file without a final line break, which would get one";
        Err(self.at(leaf, Error::new(Kind::Encrypt, message)).advise("end the file with a line break"))
    }

    fn at(&self, leaf: &Leaf<'_>, error: Error) -> Error {
        at_leaf(self.document, leaf, error)
    }
}

/// An error with the place of a leaf.
pub(super) fn at_leaf(document: &dyn Document, leaf: &Leaf<'_>, error: Error) -> Error {
    let path = document.tree().path_of(document.source(), leaf.at);
    let line = error.line().unwrap_or_else(|| document.line(leaf.at));
    let with_place = Error::new(error.kind(), format!("{path}: {}", error.message())).on_line(line);
    match error.advice() {
        Some(advice) => with_place.advise(advice.to_owned()),
        None => with_place,
    }
}

/// Whether a document holds metadata, or a key that would be taken for it.
pub fn is_encrypted(document: &dyn Document) -> bool {
    line_of_metadata(document).is_some()
}

/// The line on which a document's metadata begin, or what would be taken for them.
pub(super) fn line_of_metadata(document: &dyn Document) -> Option<usize> {
    let tree = document.tree();
    let mut entries = tree.documents().iter().flat_map(|&root| tree.entries(root));
    let first = &tree[entries.find(|&entry| document.is_metadata(entry))?];
    let span = if first.key_span.is_empty() { first.span } else { first.key_span };
    Some(document.line_of(span.start()))
}

/// Reads what is to be written and decrypts it. Values that differ are an error, bytes that differ a warning.
fn check(document: &dyn Document, text: SecretString, key: &DataKey) -> Result<Ciphertext> {
    let written = document::parse(document.format(), document::to_bytes(document.format(), text), true)
        .map_err(|error| does_not_read_back(&error.to_string()))?;
    let data = written.metadata()?.ok_or_else(|| does_not_read_back("it has no metadata"))?;
    let metadata = Metadata::from_data(&data)?;
    let opened = decrypt::decrypt(&*written, &metadata, key, MacCheck::Verify, Purpose::File)
        .map_err(|error| does_not_read_back(&error.to_string()))?;
    let warnings = compare(document, opened.bytes)?;
    let mut bytes = document::to_bytes(written.format(), written.into_source());
    Ok(Ciphertext { bytes: std::mem::take(&mut *bytes), warnings })
}

fn does_not_read_back(why: &str) -> Error {
    Error::new(Kind::Encrypt, format!("the result would not read back as intended: {why}"))
        .advise("nothing was written; encrypt the file with --input-type binary, and report this as a bug")
}

/// Compares what came back with the plaintext that a document stands for.
fn compare(document: &dyn Document, back: SecretBytes) -> Result<Vec<String>> {
    if let Some(file) = document.payload() {
        return if *back == *file { Ok(Vec::new()) } else { Err(does_not_read_back("the file differs")) };
    }
    let meant = document.plaintext_file()?;
    if *back == *meant {
        return Ok(Vec::new());
    }
    let format = document.format();
    let back =
        document::parse_any(format, back, false).map_err(|error| does_not_read_back(&error.to_string()))?;
    let meant = document::parse_any(format, meant, false)?;
    match first_difference(&*meant, &*back) {
        Some(Difference::Value(place)) => Err(does_not_read_back(&place)),
        Some(Difference::Spelling(line)) => {
            Ok(vec![format!("line {line}: the file will not come back byte for byte, only its values")])
        }
        None => Ok(Vec::new()),
    }
}

enum Difference {
    Value(String),
    Spelling(usize),
}

fn first_difference(a: &dyn Document, b: &dyn Document) -> Option<Difference> {
    let values = |document: &dyn Document| -> Result<Vec<(String, Value)>> {
        let mut values = Vec::new();
        leaves::for_each(document, &Selection::default(), &mut |leaf| {
            if !leaf.is_comment {
                values.push((leaf.path.to_owned(), document.value(leaf.node)?));
            }
            Ok(())
        })?;
        Ok(values)
    };
    let (Ok(left), Ok(right)) = (values(a), values(b)) else {
        return Some(Difference::Value("a value does not read back".to_owned()));
    };
    let pairs = left.iter().zip(&right);
    if let Some(((path, _), _)) = pairs.clone().find(|((p, v), (q, w))| p != q || !v.same(w)) {
        return Some(Difference::Value(format!("the value at {path} differs")));
    }
    if left.len() != right.len() {
        return Some(Difference::Value("it has a different number of values".to_owned()));
    }
    let line = a.source().lines().zip(b.source().lines()).take_while(|(x, y)| x == y).count() + 1;
    (a.source() != b.source()).then_some(Difference::Spelling(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{MasterKey, Recipient, WrappedDataKey, WrappedKey};
    use crate::sops::Encrypted;

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn parse(format: Format, text: &str) -> Box<dyn Document> {
        document::parse(format, SecretBytes::new(text.into()), false).unwrap()
    }

    fn encrypt_onto(format: Format, text: &str, key: &DataKey, onto: Option<&Encrypted>) -> String {
        let recipient = MasterKey::Age(Recipient::as_written("age1x"));
        let wrapped = WrappedKey { key: recipient, enc: "x".to_owned(), entry: Default::default() };
        let keys = WrappedDataKey { groups: vec![vec![wrapped]], threshold: 0 };
        let metadata = Metadata::new(keys, Selection::default(), false);
        let file = crate::sops::encrypt(&*parse(format, text), metadata, key, now(), onto).unwrap();
        String::from_utf8(file.bytes).unwrap()
    }

    fn read(format: Format, text: &str) -> Encrypted {
        Encrypted::parse(format, SecretBytes::new(text.into())).unwrap()
    }

    /// The ciphertext under `a` of a file.
    fn token(text: &str) -> String {
        let at = text.find("ENC[").unwrap();
        text[at..].split_inclusive(']').next().unwrap_or_default().to_owned()
    }

    /// Whether the value of `a` keeps its ciphertext when a file with `old` is replaced by one with `new`.
    fn keeps(format: Format, old: &str, new: &str) -> bool {
        let key = DataKey::generate();
        let old = encrypt_onto(format, old, &key, None);
        token(&encrypt_onto(format, new, &key, Some(&read(format, &old)))) == token(&old)
    }

    #[test]
    fn what_has_another_type_gets_another_ciphertext() {
        use Format::{Json, Yaml};
        let values =
            ["1", "1.0", "'1'", "1000000", "1000000.0", "true", "'true'", "2020-01-02", "'2020-01-02'"];
        for old in values {
            for new in values {
                let [old, new] = [old, new].map(|value| format!("a: {value}\n"));
                assert_eq!(keeps(Yaml, &old, &new), old == new, "{old}{new}");
            }
        }
        assert!(keeps(Yaml, "a: 1.10\n", "a: 1.1\n"));
        assert!(!keeps(Json, "{\"a\": 1.0}", "{\"a\": 1}"));
        assert!(!keeps(Json, "{\"a\": 1}", "{\"a\": \"1\"}"));
    }

    #[test]
    fn a_float_that_reads_as_an_integer_keeps_its_ciphertext_when_something_else_changes() {
        // To sops before 3.13.2 every number of JSON was a float.
        for (format, float) in [(Format::Json, "{\"a\": 5432, \"b\": 1}"), (Format::Yaml, "a: 5432\nb: 1\n")]
        {
            let key = DataKey::generate();
            let cipher = Cipher::new(&key);
            let by_sops = cipher.encrypt(b"5432", ValueKind::Float, "a:").unwrap();
            let text = encrypt_onto(format, float, &key, None);
            let old = read(format, &text.replace(&token(&text), &by_sops));
            let plain = old.open(&key, MacCheck::Ignore).unwrap();
            assert!(plain.source().contains("5432"), "it reads as an integer");
            let file = old.write(&*plain, old.metadata.clone(), &key, None, now()).unwrap();
            assert_eq!(token(&String::from_utf8(file.bytes).unwrap()), by_sops);
        }
    }
}
