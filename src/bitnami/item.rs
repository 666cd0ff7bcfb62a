//! Opening the items of a SealedSecret.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey,
};

use ::base64::Engine as _;

use super::base64;
use super::key::SealingKey;
use super::object::SealedSecret;
use crate::keys::LENIENT;
use crate::secret::SecretBytes;

/// How many keys are tried in vain for all items of an object: each takes two milliseconds, and whoever writes an object
/// decides how many items it has.
const MOST_IN_VAIN: usize = 256;

/// How many bytes R can have: as many as the modulus of an RSA key.
const LENGTHS: [usize; 6] = [128, 192, 256, 384, 512, 1024];

/// Fewer digits of base64 in a row are no item.
const SHORTEST_RUN: usize = 40;

/// The length of R, and R, which no other item has; `None` of what is no item.
pub fn start_of(item: &[u8]) -> Option<&[u8]> {
    let (length, _) = item.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length));
    item.get(..2 + length).filter(|_| LENGTHS.contains(&length))
}

/// The same of all that may be an item in a text of any form, such as a template of a manifest. Each run of digits is looked at
/// once, with what follows on the next lines as far as R goes.
pub fn starts_in(text: &[u8]) -> Vec<Vec<u8>> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let run = rest.iter().position(|byte| !is_digit(byte)).unwrap_or(rest.len());
        if run >= SHORTEST_RUN {
            let digits = |count: usize| -> Vec<u8> {
                let in_lines = rest.iter().take_while(|byte| is_digit(byte) || byte.is_ascii_whitespace());
                in_lines.filter(|byte| is_digit(byte)).take(count).copied().collect()
            };
            let decoded = |count: usize| LENIENT.decode(digits(count)).unwrap_or_default();
            let length = decoded(4).first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
            let item = length
                .filter(|length| LENGTHS.contains(length))
                .map(|length| decoded((length + 2).div_ceil(3) * 4));
            found.extend(item.as_deref().and_then(start_of).map(<[u8]>::to_vec));
        }
        rest = rest.get(run + 1..).unwrap_or_default();
    }
    found
}

/// What is wrong with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is no base64, from there on.
    Base64 { at: usize },
    /// No key opens it.
    NoKey,
    /// It was not tried, because too many others do not open.
    NotTried,
}

/// Why a SealedSecret was not opened: each fault, with the items that have it. In the words of sealed-secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOpened(pub Vec<(Fault, Vec<String>)>);

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (fault, items)) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            match fault {
                Fault::Base64 { at } => write!(f, "illegal base64 data at input byte {at}")?,
                Fault::NoKey => f.write_str("no key could decrypt secret")?,
                Fault::NotTried => f.write_str("not tried, because too many others do not open")?,
            }
            write!(f, " ({})", items.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for NotOpened {}

/// Opens all items, or none. The key that has opened one is tried first for the next; they begin with the first. Returns which
/// it was at last.
pub fn open(
    sealed: &SealedSecret,
    keys: &[&SealingKey],
    first: usize,
) -> Result<(BTreeMap<String, SecretBytes>, usize), NotOpened> {
    let label = sealed.label();
    let (mut opened, mut faults) = (BTreeMap::new(), Vec::<(Fault, Vec<String>)>::new());
    let (mut last, mut in_vain) = (first, 0);
    for (name, text) in &sealed.items {
        let found = match base64::decode(text) {
            Err(at) => Err(Fault::Base64 { at }),
            Ok(_) if in_vain >= MOST_IN_VAIN => Err(Fault::NotTried),
            Ok(bytes) => {
                let order = [last].into_iter().chain((0..keys.len()).filter(|index| *index != last));
                let mut tried = order.filter_map(|index| Some((index, keys.get(index)?)));
                let found = tried.find_map(|(index, key)| {
                    in_vain += 1;
                    Some((index, open_one(&bytes, key, label.as_bytes())?))
                });
                found.ok_or(Fault::NoKey)
            }
        };
        match found {
            Ok((index, value)) => {
                (last, in_vain) = (index, in_vain.saturating_sub(1));
                opened.insert(name.clone(), value);
            }
            Err(fault) => match faults.iter_mut().find(|(known, _)| *known == fault) {
                Some((_, items)) => items.push(name.clone()),
                None => faults.push((fault, vec![name.clone()])),
            },
        }
    }
    if faults.is_empty() { Ok((opened, last)) } else { Err(NotOpened(faults)) }
}

fn open_one(bytes: &[u8], key: &SealingKey, label: &[u8]) -> Option<SecretBytes> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (encrypted, value) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    decrypt(&key.decrypt(encrypted, label)?, value)
}

/// The value, by the key of its own that each has: so the nonce may be the same.
fn decrypt(key: &[u8], encrypted: &[u8]) -> Option<SecretBytes> {
    let algorithm: &'static Algorithm = match key.len() {
        16 => &AES_128_GCM,
        24 => &AES_192_GCM,
        32 => &AES_256_GCM,
        _ => return None,
    };
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
    let mut value = SecretBytes::new(encrypted.to_vec());
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let length = key.open_in_place(nonce, Aad::empty(), &mut value).ok()?.len();
    value.truncate(length);
    Some(value)
}
