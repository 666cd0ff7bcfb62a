//! The values that dotenvx encrypts, and its keys: ECIES on secp256k1, as eciesjs makes it.
//!
//! A value is `encrypted:` and base64 of an uncompressed public key of its own, a nonce of 16 bytes, the tag of AES-256-GCM, and the
//! ciphertext. The key is HKDF-SHA256 of that public key and the shared point. Nothing binds a value to its name.

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use k256::elliptic_curve::sec1::ToEncodedPoint;
use k256::{PublicKey, SecretKey};
use memchr::memmem;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::SecretBytes;

/// What an encrypted value begins with.
pub const MARK: &str = "encrypted:";

const POINT: usize = 65;
const NONCE: usize = 16;
const TAG: usize = 16;

/// The bytes of an encrypted value; `None` for any other.
pub fn content(value: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(value.strip_prefix(MARK)?).ok()?;
    (bytes.len() >= POINT + NONCE + TAG && bytes[0] == 4).then_some(bytes)
}

/// The encrypted values in a file of any type, each with its line.
pub fn found_in(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let (mut found, mut line, mut counted) = (Vec::new(), 1, 0);
    for at in memmem::find_iter(bytes, MARK) {
        let text = &bytes[at..];
        let length = text[MARK.len()..].iter().position(|byte| !is_base64(byte));
        let text = &text[..length.map_or(text.len(), |length| MARK.len() + length)];
        line += memchr::memchr_iter(b'\n', &bytes[counted..at]).count();
        counted = at;
        found.extend(std::str::from_utf8(text).ok().and_then(content).map(|content| (line, content)));
    }
    found
}

/// A private key.
pub struct PrivateKey(SecretKey);

impl PrivateKey {
    /// One as it is in `.env.keys` and in variables.
    pub fn parse(hex: &str) -> Option<Self> {
        let digits = hex.trim().as_bytes();
        let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
        let bytes = digits.chunks(2).map(pair).collect::<Option<Vec<u8>>>().map(Zeroizing::new)?;
        SecretKey::from_slice(&bytes).ok().map(Self)
    }

    /// The plaintext of what [`content`] found; `None` with another key, or where it was changed.
    pub fn open(&self, content: &[u8]) -> Option<SecretBytes> {
        let (point, rest) = content.split_at_checked(POINT)?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (tag, ciphertext) = rest.split_at_checked(TAG)?;
        let public = PublicKey::from_sec1_bytes(point).ok()?;
        let shared = (public.to_projective() * *self.0.to_nonzero_scalar()).to_affine();
        let shared = Zeroizing::new(shared.to_encoded_point(false).as_bytes().to_vec());
        let input = Zeroizing::new([point, &shared].concat());
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &input).expand(&[], &mut *key).ok()?;
        let cipher = AesGcm::<Aes256, U16>::new_from_slice(&*key).ok()?;
        let mut plaintext = SecretBytes::new(ciphertext.to_vec());
        let (nonce, tag) = (Nonce::<U16>::from_slice(nonce), Tag::from_slice(tag));
        cipher.decrypt_in_place_detached(nonce, &[], &mut plaintext, tag).ok()?;
        Some(plaintext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// dotenvx 2.38.2 made it of `world`.
    const VALUE: &str = "encrypted:BKuQgvHiWuc0GjP6cAv7PdWL4fheS3qQ2d5oABUZFS49zWm5jfrpk+pQZxtjAa80Qh7kMwaQhYmzIBHOazHxpSKKOOj3HwMse2e1nR5vYk8iO4jE0tXidmdq8w9pCIv4IK2GQV/h";
    const KEY: &str = "2a0cf795f2a2eb61a71a6f42c3cb9c145b6d4b9d42773b90abeffeacf5aededd";

    #[test]
    fn what_dotenvx_wrote_opens_with_its_key_alone() {
        let bytes = content(VALUE).unwrap();
        assert_eq!(PrivateKey::parse(KEY).unwrap().open(&bytes).unwrap().as_slice(), b"world");
        let other = PrivateKey::parse(&KEY.replace("2a0c", "2a0d")).unwrap();
        assert!(other.open(&bytes).is_none());
        for at in [3, 70, 85, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(PrivateKey::parse(KEY).unwrap().open(&changed).is_none(), "{at}");
        }
        for cut in ["encrypted:", "encrypted:AAAA", "encrypted:*", &VALUE[10..], ""] {
            assert!(content(cut).is_none(), "{cut}");
        }
        for no_key in ["", "2a", "zz", &"0".repeat(64), &"f".repeat(64), &KEY[1..]] {
            assert!(PrivateKey::parse(no_key).is_none(), "{no_key}");
        }
    }

    #[test]
    fn values_are_found_in_whatever_they_are_written() {
        let text = format!("# x\nA={VALUE}\n{{\"b\": \"{VALUE}\"}}\nC=encrypted:AAAA\n");
        let lines: Vec<usize> = found_in(text.as_bytes()).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [2, 3]);
        // Each byte is looked at a few times, however many marks there are.
        assert!(found_in(MARK.repeat(100_000).as_bytes()).is_empty());
    }
}
