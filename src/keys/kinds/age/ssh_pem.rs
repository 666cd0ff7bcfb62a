//! Private SSH keys in the forms that OpenSSL gave them: PKCS#8, and PEM of RSA keys, with and without a passphrase.
//!
//! Owns the reading of these forms, which the age crate knows in part: each is given to it in one that it knows. Takes
//! what sops takes. Keys in OpenSSH's own form are left to the crate. Asks nobody, and shows nothing of a key.

use ::age::ssh;
use aes::{Aes128, Aes192, Aes256};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipher, BlockDecryptMut, KeyInit, KeyIvInit};
use curve25519_dalek::EdwardsPoint;
use des::{Des, TdesEde3};
use md5::Md5;
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::secret::{SecretBytes, SecretString};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A private key in one of these forms.
pub(super) enum Pem {
    Open(ssh::Identity),
    Locked(LockedPem),
    /// In a form or of a type that age cannot use: which.
    Unusable(&'static str),
}

/// A key in PEM with a passphrase. Its public half is in no part of it.
pub(super) struct LockedPem {
    cipher: Cipher,
    iv: Vec<u8>,
    key: Vec<u8>,
}

/// Ciphers of PEM (RFC 1421, and what OpenSSL has added).
#[derive(Clone, Copy)]
enum Cipher {
    Des,
    TripleDes,
    Aes128,
    Aes192,
    Aes256,
}

/// Reads a key. `None` for what is in none of these forms.
pub(super) fn read(content: &[u8]) -> Option<Pem> {
    let block = Block::read(std::str::from_utf8(content).ok()?)?;
    let usable = |key: Option<ssh::Identity>| key.map_or(Pem::Unusable("a damaged private key"), Pem::Open);
    Some(match block.label {
        "RSA PRIVATE KEY" if block.is_locked() => match block.cipher() {
            Some((cipher, iv)) => Pem::Locked(LockedPem { cipher, iv, key: block.body.to_vec() }),
            None => Pem::Unusable("a private key encrypted in a way that is not supported"),
        },
        "RSA PRIVATE KEY" => usable(rsa(&block.body)),
        "PRIVATE KEY" => match PrivateKeyInfo::try_from(block.body.as_slice()) {
            Ok(info) if info.algorithm.oid == RSA => usable(rsa(info.private_key)),
            Ok(info) if info.algorithm.oid == ED25519 => usable(ed25519(info.private_key)),
            Ok(_) => Pem::Unusable("an SSH key of another type than ssh-ed25519 and ssh-rsa"),
            Err(_) => usable(None),
        },
        "EC PRIVATE KEY" | "DSA PRIVATE KEY" => {
            Pem::Unusable("an SSH key of another type than ssh-ed25519 and ssh-rsa")
        }
        "ENCRYPTED PRIVATE KEY" => Pem::Unusable(
            "a passphrase-protected key in PKCS#8, which is not supported: `ssh-keygen -p -f FILE` changes the format",
        ),
        _ => return None,
    })
}

impl LockedPem {
    /// Decrypts the key. `None` for a wrong passphrase.
    pub fn open(&self, passphrase: &str) -> Option<ssh::Identity> {
        let decrypt = match self.cipher {
            Cipher::Des => decrypt::<Des>,
            Cipher::TripleDes => decrypt::<TdesEde3>,
            Cipher::Aes128 => decrypt::<Aes128>,
            Cipher::Aes192 => decrypt::<Aes192>,
            Cipher::Aes256 => decrypt::<Aes256>,
        };
        rsa(&decrypt(passphrase, &self.iv, &self.key)?)
    }
}

fn decrypt<C>(passphrase: &str, iv: &[u8], key: &[u8]) -> Option<SecretBytes>
where
    C: BlockCipher + BlockDecryptMut + KeyInit,
{
    let secret = derived(passphrase, iv.get(..8)?, C::key_size());
    let mut text = SecretBytes::new(key.to_vec());
    let length =
        Decryptor::<C>::new_from_slices(&secret, iv).ok()?.decrypt_padded_mut::<Pkcs7>(&mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

/// The key that OpenSSL makes of a passphrase (`EVP_BytesToKey` with MD5 and one round).
fn derived(passphrase: &str, salt: &[u8], length: usize) -> SecretBytes {
    let mut key = SecretBytes::new(Vec::with_capacity(length + 16));
    let mut last = SecretBytes::default();
    while key.len() < length {
        let hash = Md5::new().chain_update(&*last).chain_update(passphrase).chain_update(salt).finalize();
        last = SecretBytes::new(hash.to_vec());
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}

fn rsa(pkcs1: &[u8]) -> Option<ssh::Identity> {
    identity(&pem("RSA PRIVATE KEY", pkcs1))
}

/// Of a key in PKCS#8: a seed of 32 bytes, in an OCTET STRING of its own.
fn ed25519(key: &[u8]) -> Option<ssh::Identity> {
    let seed = key.strip_prefix(&[0x04, 0x20]).filter(|seed| seed.len() == 32)?;
    let mut scalar = Zeroizing::new([0; 32]);
    scalar.copy_from_slice(&Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)))[..32]);
    let public = EdwardsPoint::mul_base_clamped(*scalar).compress().to_bytes();
    identity(&pem("OPENSSH PRIVATE KEY", &openssh(seed, &public)))
}

/// A key of ed25519 in OpenSSH's own form (PROTOCOL.key of openssh-portable), without a passphrase.
fn openssh(seed: &[u8], public: &[u8; 32]) -> SecretBytes {
    const KIND: &[u8] = b"ssh-ed25519";
    const BLOCK: usize = 8;
    let string = |bytes: &mut Vec<u8>, value: &[u8]| {
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value);
    };
    let mut half = Vec::new();
    string(&mut half, KIND);
    string(&mut half, public);
    let mut private = SecretBytes::new(Vec::with_capacity(256));
    private.extend_from_slice(&[0; 8]);
    private.extend_from_slice(&half);
    string(&mut private, &Zeroizing::new([seed, public].concat()));
    string(&mut private, b"");
    // Whole blocks, filled up with 1, 2, 3.
    let missing = private.len().next_multiple_of(BLOCK) - private.len();
    private.extend((1..).take(missing));
    let mut key = SecretBytes::new(Vec::with_capacity(512));
    key.extend_from_slice(b"openssh-key-v1\0");
    for value in [b"none", b"none", &b""[..]] {
        string(&mut key, value);
    }
    key.extend_from_slice(&1_u32.to_be_bytes());
    string(&mut key, &half);
    string(&mut key, &private);
    key
}

fn pem(label: &str, body: &[u8]) -> SecretString {
    let body = SecretString::new(BASE64_STANDARD.encode(body));
    let mut text = SecretString::new(String::with_capacity(body.len() + body.len() / 64 + 100));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn identity(pem: &str) -> Option<ssh::Identity> {
    ssh::Identity::from_buffer(pem.as_bytes(), None).ok()
}

/// A block of PEM.
struct Block<'a> {
    label: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: SecretBytes,
}

impl<'a> Block<'a> {
    /// The first one in a text.
    fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim_end);
        let label = lines.find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))?;
        let end = format!("-----END {label}-----");
        let (mut headers, mut body) = (Vec::new(), SecretString::default());
        body.reserve(text.len());
        for line in lines {
            if line == end {
                let body = SecretBytes::new(BASE64_STANDARD.decode(body.as_bytes()).ok()?);
                return Some(Self { label, headers, body });
            }
            match line.split_once(": ") {
                Some(header) => headers.push(header),
                None => body.push_str(line),
            }
        }
        None
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    fn is_locked(&self) -> bool {
        self.header("Proc-Type").is_some_and(|value| value.contains("ENCRYPTED"))
    }

    /// How it is encrypted, with the initialization vector.
    fn cipher(&self) -> Option<(Cipher, Vec<u8>)> {
        let (name, iv) = self.header("DEK-Info")?.split_once(',')?;
        let cipher = match name {
            "DES-CBC" => Cipher::Des,
            "DES-EDE3-CBC" => Cipher::TripleDes,
            "AES-128-CBC" => Cipher::Aes128,
            "AES-192-CBC" => Cipher::Aes192,
            "AES-256-CBC" => Cipher::Aes256,
            _ => return None,
        };
        let pairs = iv.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let iv = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<Vec<u8>>>()?;
        Some((cipher, iv))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_of_these_forms_is_left_alone_or_named() {
        for (text, expected) in [
            ("", None),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", None),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n", None),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Some("damaged")),
            ("-----BEGIN RSA PRIVATE KEY-----\n\n-----END RSA PRIVATE KEY-----\n", Some("damaged")),
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", Some("another type")),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                Some("`ssh-keygen -p -f FILE`"),
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: RC2-40-CBC,00\n\nAAAA\n\
                 -----END RSA PRIVATE KEY-----\n",
                Some("not supported"),
            ),
        ] {
            let found = read(text.as_bytes());
            let why = match &found {
                Some(Pem::Unusable(why)) => Some(*why),
                Some(_) => Some("usable"),
                None => None,
            };
            assert_eq!(why.is_some(), expected.is_some(), "{text}");
            assert!(why.unwrap_or_default().contains(expected.unwrap_or_default()), "{text}: {why:?}");
        }
        assert!(read(&[0xff]).is_none());
    }

    #[test]
    fn a_broken_vector_or_ciphertext_is_as_a_wrong_passphrase() {
        for (iv, key) in [
            (vec![], vec![0; 16]),
            (vec![0; 8], vec![0; 16]),
            (vec![0; 16], vec![]),
            (vec![0; 16], vec![1; 5]),
        ] {
            let locked = LockedPem { cipher: Cipher::Aes128, iv, key };
            assert!(locked.open("x").is_none());
        }
    }
}
