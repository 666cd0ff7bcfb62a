//! The ciphertext of one item, `ID:BASE64(nonce || ciphertext || tag)`, and the keys that come of a data key.
//!
//! Owns derivation, commitment and encryption. XChaCha20-Poly1305 does not commit to its key: one ciphertext can be
//! made that opens to two values under two keys. Hence the commitment, which every data key is held against when it
//! was opened.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::binding::{Binding, CONTEXT};
use crate::error::{Error, Kind, Result};
use crate::keys::LENIENT;
use crate::secret::{DataKey, SecretBytes};

/// Length of a commitment, in bytes.
pub(super) const COMMITMENT_LEN: usize = 32;

/// How many bytes of the commitment make the id of a data key.
const ID_BYTES: usize = 4;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// What a data key is known by, without telling anything of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commitment([u8; COMMITMENT_LEN]);

impl Commitment {
    /// Reads the canonical base64 of one.
    pub fn parse(text: &str) -> Option<Self> {
        BASE64.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub fn to_base64(self) -> String {
        BASE64.encode(self.0)
    }

    pub fn bytes(self) -> [u8; COMMITMENT_LEN] {
        self.0
    }

    /// The first digits of it: how items name their data key.
    pub fn id(&self) -> String {
        self.0[..ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is that of the data key from which `key` was derived. Takes as long for either answer.
    pub fn is_of(&self, key: &ItemKey) -> bool {
        self.0.ct_eq(&key.commitment.0).into()
    }
}

/// Encrypts and decrypts the items of one data key.
pub(super) struct ItemKey {
    pub commitment: Commitment,
    cipher: XChaCha20Poly1305,
}

impl ItemKey {
    pub fn derive(data_key: &DataKey) -> Self {
        let mut derived = Zeroizing::new([0; 2 * COMMITMENT_LEN]);
        // It fails for more than 8160 bytes alone.
        let _ =
            Hkdf::<Sha256>::new(None, data_key.as_bytes()).expand(CONTEXT.as_bytes(), derived.as_mut_slice());
        let (commitment, item_key) = derived.split_at(COMMITMENT_LEN);
        let mut copy = [0; COMMITMENT_LEN];
        copy.copy_from_slice(commitment);
        Self { commitment: Commitment(copy), cipher: XChaCha20Poly1305::new(item_key.into()) }
    }

    /// The text of an item, with a new random nonce.
    pub fn seal(&self, binding: &Binding, item: &str, plaintext: &[u8]) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        OsRng.fill_bytes(&mut nonce);
        self.seal_with_nonce(binding, item, plaintext, nonce)
    }

    fn seal_with_nonce(
        &self,
        binding: &Binding,
        item: &str,
        plaintext: &[u8],
        nonce: [u8; NONCE_LEN],
    ) -> Result<String> {
        // With room for all of it no copy of the plaintext stays behind in a buffer that was outgrown.
        let mut payload = Zeroizing::new(Vec::with_capacity(NONCE_LEN + plaintext.len() + TAG_LEN));
        payload.extend(nonce);
        payload.extend(plaintext);
        let tag = self
            .cipher
            .encrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &binding.associated_data(item),
                &mut payload[NONCE_LEN..],
            )
            .map_err(|_| Error::new(Kind::Encrypt, format!("item `{item}` is too large to encrypt")))?;
        payload.extend(tag);
        Ok(format!("{}:{}", self.commitment.id(), BASE64.encode(payload.as_slice())))
    }

    /// The value of an item that was sealed at this place.
    pub fn open(&self, binding: &Binding, item: &str, token: &Token<'_>) -> Result<SecretBytes> {
        let mut payload = Zeroizing::new(token.payload(item)?);
        let end = payload.len() - TAG_LEN;
        let tag = payload.split_off(end);
        let nonce: Vec<u8> = payload.drain(..NONCE_LEN).collect();
        self.cipher
            .decrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &binding.associated_data(item),
                &mut payload,
                Tag::from_slice(&tag),
            )
            .map_err(|_| {
                let message = format!("item `{item}` does not open as one that was sealed for {binding}");
                Error::new(Kind::Decrypt, message).advise(
                    "It was changed, or renamed, or sealed for another namespace, name or scope: get it again from \
                     where it came from, or seal it again.",
                )
            })?;
        Ok(payload)
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ItemKey({})", self.commitment.id())
    }
}

/// The text of an item, taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// Which data key opens it.
    pub id: &'a str,
    base64: &'a str,
}

impl<'a> Token<'a> {
    /// Reads the text of an item. An error never quotes it: it may be plaintext that got into the wrong place.
    pub fn parse(item: &str, text: &'a str) -> Result<Self> {
        let parts = text.split_once(':').filter(|(id, _)| is_id(id));
        let (id, base64) = parts.ok_or_else(|| {
            broken(item, "it does not consist of the id of a data key, a colon, and base64")
        })?;
        Ok(Self { id, base64 })
    }

    /// Nonce, ciphertext and tag, the same for each spelling of their base64: for comparing alone.
    pub fn decoded(&self) -> Vec<u8> {
        LENIENT.decode(self.base64.trim_end_matches('=')).unwrap_or_else(|_| self.base64.into())
    }

    /// Nonce, ciphertext and tag.
    fn payload(&self, item: &str) -> Result<Vec<u8>> {
        let payload = BASE64
            .decode(self.base64)
            .map_err(|_| broken(item, "what follows the colon is not canonical base64"))?;
        if payload.len() < NONCE_LEN + TAG_LEN {
            return Err(broken(item, "it is cut off"));
        }
        Ok(payload)
    }

    /// Checks the spelling, and tells the length of the value inside.
    pub fn plaintext_len(&self, item: &str) -> Result<usize> {
        Ok(self.payload(item)?.len() - NONCE_LEN - TAG_LEN)
    }
}

/// Whether a text can be the id of a data key.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 2 * ID_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn broken(item: &str, why: &str) -> Error {
    Error::new(Kind::Decrypt, format!("item `{item}` is not a ciphertext: {why}"))
        .advise("Get it again from where it came from, or seal it again.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed_secret::Scope;

    fn key(byte: u8) -> ItemKey {
        ItemKey::derive(&DataKey::from_slice(&[byte; 32]).unwrap())
    }

    fn strict(namespace: &str, name: &str) -> Binding {
        Binding::new(Scope::Strict, Some(namespace), name).unwrap()
    }

    fn open(key: &ItemKey, binding: &Binding, item: &str, text: &str) -> Result<SecretBytes> {
        key.open(binding, item, &Token::parse(item, text)?)
    }

    #[test]
    fn an_item_opens_in_its_place_alone() {
        let (key, home) = (key(1), strict("shop", "db"));
        let text = key.seal(&home, "password", b"hunter2").unwrap();
        assert_eq!(*open(&key, &home, "password", &text).unwrap(), b"hunter2");

        let places = [
            (strict("shop", "db"), "username"),
            (strict("shop", "cache"), "password"),
            (strict("other", "db"), "password"),
            (Binding::new(Scope::Namespace, Some("shop"), "db").unwrap(), "password"),
            (Binding::new(Scope::Cluster, Some("shop"), "db").unwrap(), "password"),
        ];
        for (binding, item) in &places {
            let error = open(&key, binding, item, &text).unwrap_err();
            assert_eq!(error.kind(), Kind::Decrypt, "{binding} {item}");
            let elsewhere = key.seal(binding, item, b"hunter2").unwrap();
            assert!(open(&key, &home, "password", &elsewhere).is_err(), "{binding} {item}");
            assert!(open(&key, binding, item, &elsewhere).is_ok(), "{binding} {item}");
        }
    }

    #[test]
    fn nothing_of_a_ciphertext_can_be_changed() {
        let (key, home) = (key(1), strict("shop", "db"));
        let text = key.seal(&home, "k", b"").unwrap();
        let payload = Token::parse("k", &text).unwrap().payload("k").unwrap();
        assert_eq!(payload.len(), 40);
        for at in 0..payload.len() {
            let mut changed = payload.clone();
            changed[at] ^= 1;
            let changed = format!("{}:{}", key.commitment.id(), BASE64.encode(changed));
            assert!(open(&key, &home, "k", &changed).is_err(), "byte {at}");
        }
        assert!(open(&super::tests::key(2), &home, "k", &text).is_err());
    }

    #[test]
    fn no_two_ciphertexts_share_a_nonce() {
        let (key, home) = (key(1), strict("shop", "db"));
        let [a, b] = [0, 1].map(|_| {
            let text = key.seal(&home, "k", b"x").unwrap();
            Token::parse("k", &text).unwrap().payload("k").unwrap()[..NONCE_LEN].to_vec()
        });
        assert_ne!(a, b);
    }

    #[test]
    fn what_is_no_ciphertext_says_why_and_is_not_quoted() {
        let good = key(1).seal(&strict("shop", "db"), "k", b"x").unwrap();
        let (id, base64) = good.split_once(':').unwrap();
        let cut = BASE64.encode(&BASE64.decode(base64).unwrap()[..39]);
        let loose = {
            // The last character before the padding holds bits that are spare: 41 bytes end in `X=`.
            let at = base64.len() - 2;
            let last = base64.as_bytes()[at];
            let other = if last == b'B' { 'C' } else { 'B' };
            format!("{id}:{}{other}=", &base64[..at])
        };
        let cases = [
            ("hunter2".to_owned(), "a colon"),
            (format!("{}:{base64}", &id[..7]), "a colon"),
            (format!("{}:{base64}", id.to_uppercase() + "F"), "a colon"),
            (format!("XXXXXXXX:{base64}"), "a colon"),
            (format!("{id}:hunter2"), "canonical base64"),
            (format!("{id}:{}", base64.trim_end_matches('=')), "canonical base64"),
            (format!("{id}: {base64}"), "canonical base64"),
            (format!("{id}:{base64}\n"), "canonical base64"),
            (loose, "canonical base64"),
            (format!("{id}:{cut}"), "cut off"),
            (format!("{id}:"), "cut off"),
        ];
        for (text, why) in cases {
            let error = Token::parse("k", &text).and_then(|token| token.plaintext_len("k")).unwrap_err();
            assert!(error.message().contains(why), "{text}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(Token::parse("k", &good).unwrap().plaintext_len("k").unwrap(), 1);
    }

    #[test]
    fn a_commitment_is_that_of_one_data_key() {
        let commitment = key(1).commitment;
        let read = Commitment::parse(&commitment.to_base64()).unwrap();
        assert!(read.is_of(&key(1)) && !read.is_of(&key(2)));
        assert!(is_id(&read.id()));
        for text in ["", "AAAA", &commitment.to_base64()[..43], &format!("{}\n", commitment.to_base64())] {
            assert!(Commitment::parse(text).is_none(), "{text:?}");
        }
    }

    /// The vectors of the format: every value on the way is as it says there, and so is the ciphertext.
    #[test]
    fn the_vectors_come_out_again() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../fixtures/sealed/cipher.json")).unwrap();
        let hex = |value: &serde_json::Value| -> Vec<u8> {
            let text = value.as_str().unwrap();
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let cases = vectors.as_array().unwrap();
        assert!(cases.len() >= 6);
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap();
            let key = ItemKey::derive(&DataKey::from_slice(&hex(&case["dataKey"])).unwrap());
            let scope = Scope::from_name(text("scope")).unwrap();
            let binding = Binding::new(scope, case["namespace"].as_str(), text("name")).unwrap();
            let (item, plaintext) = (text("item"), hex(&case["plaintext"]));
            assert_eq!(key.commitment.to_base64(), text("commitment"));
            assert_eq!(binding.associated_data(item), hex(&case["associatedData"]));
            let nonce = hex(&case["nonce"]).try_into().unwrap();
            assert_eq!(key.seal_with_nonce(&binding, item, &plaintext, nonce).unwrap(), text("encrypted"));
            assert_eq!(*open(&key, &binding, item, text("encrypted")).unwrap(), plaintext);
        }
    }
}
