//! What of an encrypted file may be elsewhere, too, and who may read it where it is.
//!
//! Owns which of its bytes say so: wrapped data keys, ciphertexts, and what shows that an open data key is its own.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::prints::{Print, Prints};
use super::readers::Readers;
use crate::encrypted_file::{EncryptedFile, KeyedPart};
use crate::keys::{self, KeySet};
use crate::secret::DataKey;
use crate::sops::{Sample, Trial};
use crate::{sealed_secret, sops};

/// Anything shorter is not a wrapped data key, but may be the same mistake in several files.
pub(super) const SHORTEST_KEY: usize = 16;

/// Ciphertexts, and where each is.
pub(super) type Values = Vec<(Print, Box<str>)>;

/// What of a document or a SealedSecret may be elsewhere, too, and who may read it where it is.
pub struct Held {
    pub(super) readers: Readers,
    /// A creation rule names the readers; otherwise they come from the file's own list.
    pub(super) by_rule: bool,
    pub(super) keys: Vec<Print>,
    /// Those of the keys that nobody makes without the data key: the MAC, and commitments.
    pub(super) proofs: Vec<Print>,
    pub(super) values: Values,
    /// Shows, once a data key is open, whether it belongs to this document: the MAC, and a few values.
    pub(super) samples: Vec<Sample>,
    /// It has none of our formats.
    pub(super) is_foreign: bool,
}

/// What of an encrypted file may be elsewhere, too: of a document, or of each SealedSecret, with the line that it begins on.
/// `rule` is whom the creation rule of its place names.
pub fn held(file: &EncryptedFile, rule: Option<&KeySet>) -> Vec<(usize, Held)> {
    let lines = match file {
        EncryptedFile::Document(_) => vec![1],
        EncryptedFile::Sealed(file) => {
            file.objects.iter().map(|(node, _)| file.document.line(*node)).collect()
        }
    };
    lines.into_iter().zip(file.holders()).map(|(line, holder)| (line, Held::of(file, holder, rule))).collect()
}

/// The same for an encrypted file that cannot be parsed: breaking a file does not hide copies of it.
pub fn held_in_broken(text: &str, rule: Option<&KeySet>) -> Held {
    let mut values = Vec::new();
    sops::for_each_ciphertext_in(text, &mut |bytes| {
        values.push((Print::of("value", bytes), "a value".into()))
    });
    sealed_secret::for_each_ciphertext_in(text, &mut |bytes| {
        values.push((Print::of("value", bytes), "a value".into()))
    });
    let (readers, by_rule) = Readers::of_place(rule, Readers::nobody);
    Held {
        readers,
        by_rule,
        keys: prints_of_keys(keys::decoded_in(text)),
        proofs: Vec::new(),
        values,
        samples: Vec::new(),
        is_foreign: false,
    }
}

impl Held {
    pub(super) fn of(file: &EncryptedFile, holder: KeyedPart<'_>, rule: Option<&KeySet>) -> Self {
        // A key that cannot be read is wrapped for nobody.
        let data_keys = holder.data_keys().unwrap_or_default();
        let wrapped = data_keys.iter().flat_map(|wrapped| wrapped.groups.iter().flatten());
        let mut keys = prints_of_keys(wrapped.map(|key| key.decoded()));
        let (mut values, mut samples, mut proofs) = (Vec::new(), Vec::new(), Vec::new());
        let mut names = Names { left: MOST_PATHS };
        let mut add = |path: &dyn Fn() -> String, bytes: &[u8]| {
            values.push((Print::of("value", bytes), names.name(path)));
        };
        match (file, holder) {
            (EncryptedFile::Document(file), _) => {
                file.for_each_ciphertext(&mut add);
                let mac = file.sealed_mac();
                proofs.extend(mac.as_ref().and_then(Sample::decoded).map(|bytes| Print::of("value", &bytes)));
                samples = file.samples();
                samples.extend(mac);
            }
            (_, KeyedPart::Sealed(sealed)) => {
                sealed_secret::for_each_ciphertext(&sealed.spec, &mut |item, bytes| {
                    add(&|| item.to_owned(), bytes);
                });
                let commitments = sealed_secret::commitments(&sealed.spec);
                proofs.extend(commitments.map(|bytes| Print::of("commitment", &bytes)));
            }
            (EncryptedFile::Sealed(_), KeyedPart::Document(_)) => {}
        }
        keys.extend(&proofs);
        let (readers, by_rule) = Readers::of_place(rule, || Readers::listed(&data_keys));
        Self { readers, by_rule, keys, proofs, values, samples, is_foreign: false }
    }

    /// Leaves out what has stayed where this was, its data keys among it.
    #[must_use]
    pub fn without(mut self, stayed: &Prints) -> Self {
        if self.keys.iter().any(|print| stayed.has(print)) {
            self.samples.clear();
        }
        self.keys.retain(|print| !stayed.has(print));
        self.values.retain(|(print, _)| !stayed.has(print));
        self
    }

    /// Whether this data key opens its MAC, or one of its first values.
    pub fn is_of(&self, trial: &Trial) -> bool {
        self.samples.iter().any(|sample| trial.opens(sample))
    }

    pub(super) fn prints(&self) -> impl Iterator<Item = Print> + '_ {
        self.keys.iter().copied().chain(self.values.iter().map(|(print, _)| *print))
    }
}

/// Whether something of an encrypted file may be in these bytes.
pub fn may_hold_remains(bytes: &[u8]) -> bool {
    static SIGNS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"ENC\[|-----BEGIN AGE ENCRYPTED|vault:v[0-9]|sealant\.dev/").ok());
    SIGNS.as_ref().is_none_or(|signs| signs.is_match(bytes))
}

pub(super) fn prints_of_keys(decoded: impl Iterator<Item = Vec<u8>>) -> Vec<Print> {
    decoded.filter(|bytes| bytes.len() >= SHORTEST_KEY).map(|bytes| Print::of("key", &bytes)).collect()
}

/// How many bytes the paths of one file's values may have together. A key may be above many of them.
const MOST_PATHS: usize = 64 << 10;

/// Calls values by their paths, as long as these are not too long.
struct Names {
    left: usize,
}

impl Names {
    /// A comment has no path.
    fn name(&mut self, path: &dyn Fn() -> String) -> Box<str> {
        let path = if self.left == 0 { None } else { Some(path()) };
        self.left = path.as_ref().and_then(|path| self.left.checked_sub(path.len())).unwrap_or(0);
        match path {
            Some(path) if path.is_empty() => "a comment".into(),
            Some(path) if self.left > 0 => path.into(),
            _ => "a value".into(),
        }
    }
}

/// Whether two files are of one of these data keys. Ciphertexts in common prove nothing, since anybody can put one where nobody
/// decrypts it; of SealedSecrets the commitment says which key it is.
pub fn are_of_one_key(one: &EncryptedFile, other: &EncryptedFile, keys: &[&DataKey]) -> bool {
    let (one, other) = (held(one, None), held(other, None));
    let proofs: HashSet<Print> = one.iter().flat_map(|(_, held)| held.proofs.iter().copied()).collect();
    let is_of = |trial: &Trial, file: &[(usize, Held)]| file.iter().any(|(_, held)| held.is_of(trial));
    other.iter().flat_map(|(_, held)| &held.proofs).any(|print| proofs.contains(print))
        || keys.iter().map(|key| Trial::of(key)).any(|trial| is_of(&trial, &one) && is_of(&trial, &other))
}
