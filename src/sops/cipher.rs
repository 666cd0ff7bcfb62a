//! The ciphertext of one value: `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]` (`aes/cipher.go` of sops).

use std::fmt;

use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce, Tag};
use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use rand::RngCore;
use zeroize::Zeroizing;

use crate::document::ValueKind;
use crate::error::{Error, Kind, Result};
use crate::keys::LENIENT;
use crate::secret::{DataKey, SecretBytes};

pub(super) const PREFIX: &str = "ENC[AES256_GCM,data:";

/// Length of the IVs that are written, in bytes. sops reads any length, but panics on `set` of others.
const IV_LEN: usize = 32;
const TAG_LEN: usize = 16;

/// Standard base64 as Go decodes it: padding required, spare bits of the last character ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A parsed ciphertext, borrowed from the text of a document.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    text: &'a str,
    data: &'a str,
    iv: &'a str,
    tag: &'a str,
    kind: &'a str,
}

impl<'a> Token<'a> {
    /// Whether a text claims to be a ciphertext, of whatever cipher.
    pub fn is_like(text: &str) -> bool {
        text.starts_with("ENC[")
    }

    /// Reads a ciphertext; what follows its `]` is ignored, as sops does.
    pub fn parse(text: &'a str) -> Result<Self> {
        let Some(rest) = text.strip_prefix(PREFIX) else {
            let unknown =
                text.strip_prefix("ENC[").and_then(|rest| rest.split_once(',')).map(|(cipher, _)| cipher);
            return Err(match unknown {
                Some(cipher) if cipher != "AES256_GCM" => {
                    broken(format!("unknown cipher `{}`", clip(cipher)))
                }
                _ => Error::new(
                    Kind::Decrypt,
                    "the value is not encrypted, but its rule says that it should be",
                )
                .by_hand()
                .advise("Remove the value with any editor, then add it with `sealant edit FILE`"),
            });
        };
        let parts = (|| {
            let (data, rest) = rest.split_once(",iv:")?;
            let (iv, rest) = rest.split_once(",tag:")?;
            let (tag, rest) = rest.split_once(",type:")?;
            let (kind, behind) = rest.split_once(']')?;
            let text = &text[..text.len() - behind.len()];
            Some(Self { text, data, iv, tag, kind })
        })();
        parts.ok_or_else(|| broken("the ciphertext is cut off"))
    }

    /// The ciphertext itself, without what followed it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// IV, tag and data, the same for each spelling of their base64 that a reader may take: for comparing alone.
    pub fn decoded(&self) -> Vec<u8> {
        let decode = |text: &str| LENIENT.decode(text.trim_end_matches('=')).unwrap_or_else(|_| text.into());
        [self.iv, self.tag, self.data].map(decode).concat()
    }

    /// Whether it has the form of what a cipher makes: base64, and an IV and a tag of the lengths that there are.
    pub fn is_well_formed(&self) -> bool {
        let length = |text: &str| BASE64.decode(text).ok().map(|bytes| bytes.len());
        self.kind().is_ok()
            && length(self.data).is_some()
            && matches!(length(self.iv), Some(12 | 16 | IV_LEN))
            && length(self.tag) == Some(TAG_LEN)
    }

    /// The type of the value inside.
    pub fn kind(&self) -> Result<ValueKind> {
        ValueKind::from_name(self.kind)
            .ok_or_else(|| broken(format!("unknown value type `{}`", clip(self.kind))))
    }
}

fn clip(text: &str) -> String {
    text.chars().take(20).collect()
}

fn broken(message: impl Into<String>) -> Error {
    Error::new(Kind::Decrypt, message)
}

/// Encrypts and decrypts the values of one document.
pub struct Cipher {
    key: DataKey,
    aes: AesGcm<Aes256, U32>,
}

impl Cipher {
    pub fn new(key: &DataKey) -> Self {
        Self { key: key.clone(), aes: AesGcm::new(key.as_bytes().into()) }
    }

    /// The ciphertext of a value's byte form, with a new random IV. `aad` is what it is bound to: the path of the
    /// value, or the time of the last change for a MAC.
    pub fn encrypt(&self, plaintext: &[u8], kind: ValueKind, aad: &str) -> Result<String> {
        let mut iv = [0; IV_LEN];
        // An IV is public. A generator that the system seeds makes it without a system call for each value.
        rand::thread_rng().fill_bytes(&mut iv);
        let mut data = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .aes
            .encrypt_in_place_detached(Nonce::from_slice(&iv), aad.as_bytes(), &mut data)
            .map_err(|_| Error::new(Kind::Encrypt, "the value is too large to encrypt"))?;
        let mut token = String::with_capacity(PREFIX.len() + data.len() * 4 / 3 + 96);
        token.push_str(PREFIX);
        BASE64.encode_string(data.as_slice(), &mut token);
        token.push_str(",iv:");
        BASE64.encode_string(iv, &mut token);
        token.push_str(",tag:");
        BASE64.encode_string(tag, &mut token);
        token.push_str(",type:");
        token.push_str(kind.name());
        token.push(']');
        Ok(token)
    }

    /// The byte form inside a ciphertext.
    pub fn decrypt(&self, token: &Token<'_>, aad: &str) -> Result<SecretBytes> {
        let decode = |what: &str, text: &str| {
            BASE64.decode(text).map_err(|_| broken(format!("the {what} of the ciphertext is not base64")))
        };
        let mut data = Zeroizing::new(decode("data", token.data)?);
        let iv = decode("IV", token.iv)?;
        let tag = decode("tag", token.tag)?;
        if tag.len() != TAG_LEN {
            return Err(broken("the tag of the ciphertext is not 16 bytes long"));
        }
        let (aad, tag, key) = (aad.as_bytes(), Tag::from_slice(&tag), self.key.as_bytes().into());
        let opened = match iv.len() {
            IV_LEN => self.aes.decrypt_in_place_detached(Nonce::from_slice(&iv), aad, &mut data, tag),
            12 => AesGcm::<Aes256, U12>::new(key).decrypt_in_place_detached(
                Nonce::from_slice(&iv),
                aad,
                &mut data,
                tag,
            ),
            16 => AesGcm::<Aes256, U16>::new(key).decrypt_in_place_detached(
                Nonce::from_slice(&iv),
                aad,
                &mut data,
                tag,
            ),
            length => return Err(broken(format!("an IV of {length} bytes"))),
        };
        opened.map_err(|_| {
            broken("the ciphertext cannot be decrypted")
                .advise("it was changed, moved from another place, or belongs to another data key: restore the file from Git")
        })?;
        Ok(data)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encrypted_opens_at_its_place_alone() {
        let cipher = Cipher::new(&DataKey::generate());
        let token = cipher.encrypt(b"foo", ValueKind::Str, "a:b:").unwrap();
        let parsed = Token::parse(&token).unwrap();
        assert_eq!(*cipher.decrypt(&parsed, "a:b:").unwrap(), b"foo");
        assert_eq!(cipher.decrypt(&parsed, "a:c:").unwrap_err().kind(), Kind::Decrypt);
        assert_eq!(parsed.kind().unwrap(), ValueKind::Str);
    }

    #[test]
    fn no_two_ciphertexts_share_an_iv() {
        let cipher = Cipher::new(&DataKey::generate());
        let iv = |token: &str| Token::parse(token).unwrap().iv.to_owned();
        let [a, b] = [0, 1].map(|_| cipher.encrypt(b"x", ValueKind::Str, "").unwrap());
        assert_ne!(iv(&a), iv(&b));
        assert_eq!(BASE64.decode(iv(&a)).unwrap().len(), 32);
    }

    #[test]
    fn broken_ciphertexts_say_what_is_wrong() {
        for (text, message) in [
            ("hello", "the value is not encrypted, but its rule says that it should be"),
            ("ENC[AES128,data:x]", "unknown cipher `AES128`"),
            ("ENC[AES256_GCM,data:AA==,iv:AA==", "the ciphertext is cut off"),
        ] {
            assert_eq!(Token::parse(text).err().unwrap().message(), message);
        }
        let cipher = Cipher::new(&DataKey::generate());
        let token = Token::parse("ENC[AES256_GCM,data:A*==,iv:AA==,tag:AA==,type:str]").unwrap();
        assert_eq!(
            cipher.decrypt(&token, "").unwrap_err().message(),
            "the data of the ciphertext is not base64"
        );
    }
}
