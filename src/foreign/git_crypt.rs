//! The format of git-crypt, 2: a file as Git stores it, and a key as `git-crypt export-key` writes it (its `crypto.cpp` and `key.cpp`).
//!
//! A ciphertext is AES-256-CTR; its nonce is an HMAC-SHA1 of the plaintext, which tells whether a key is the right one, and makes one
//! ciphertext of each plaintext.

use aes::Aes256;
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// What a ciphertext begins with.
const HEADER: &[u8] = b"\0GITCRYPT\0";

/// Where a clone that is unlocked has its keys, in the folder of Git.
pub const FOLDER: &str = "git-crypt";

/// Whether a filter is that of git-crypt: it is called so, or so with the name of a key behind it.
pub fn is_filter(value: &str) -> bool {
    value.strip_prefix("git-crypt").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// What a file with keys begins with.
const KEY_HEADER: &[u8] = b"\0GITCRYPTKEY";

const NONCE: usize = 12;
const AES_KEY: usize = 32;
const MAC_KEY: usize = 64;

/// Nonce and ciphertext of a file that is encrypted.
pub fn content(file: &[u8]) -> Option<&[u8]> {
    file.strip_prefix(HEADER).filter(|content| content.len() > NONCE)
}

/// A key.
pub struct Key {
    aes: SecretBytes,
    mac: SecretBytes,
}

impl Key {
    /// All versions of a key in a file.
    pub fn all(file: &[u8]) -> Result<Vec<Self>> {
        let broken = || {
            Error::new(Kind::Read, "this is no key of git-crypt, or it is cut off")
                .advise("In a clone that is unlocked: `git-crypt export-key FILE`.")
        };
        let rest = file.strip_prefix(KEY_HEADER).ok_or_else(broken)?;
        let mut reader = Reader(rest);
        match reader.number().ok_or_else(broken)? {
            2 => {}
            _ => {
                return Err(Error::new(Kind::Read, "this key of git-crypt is of a version other than 2")
                    .advise("`git-crypt migrate-key OLD NEW` brings an old one to it."));
            }
        }
        // The name of the key, which says nothing of what it opens.
        reader.fields(|_, _| ()).ok_or_else(broken)?;
        let mut keys = Vec::new();
        while !reader.0.is_empty() {
            let (mut aes, mut mac) = (SecretBytes::default(), SecretBytes::default());
            let take = |id: u32, value: &[u8]| match id {
                3 => aes = SecretBytes::new(value.to_vec()),
                5 => mac = SecretBytes::new(value.to_vec()),
                _ => {}
            };
            reader.fields(take).ok_or_else(broken)?;
            if (aes.len(), mac.len()) != (AES_KEY, MAC_KEY) {
                return Err(broken());
            }
            keys.push(Self { aes, mac });
        }
        if keys.is_empty() { Err(broken()) } else { Ok(keys) }
    }

    /// The plaintext of what [`content`] found; `None` with another key, or where it was changed.
    pub fn open(&self, content: &[u8]) -> Option<SecretBytes> {
        let (nonce, ciphertext) = content.split_first_chunk::<NONCE>()?;
        let mut plaintext = SecretBytes::new(ciphertext.to_vec());
        self.cipher(nonce)?.apply_keystream(&mut plaintext);
        bool::from(self.nonce(&plaintext)?[..].ct_eq(nonce)).then_some(plaintext)
    }

    /// What git-crypt makes of a plaintext: nonce and ciphertext.
    pub fn content_of(&self, plaintext: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.nonce(plaintext)?;
        let mut content = nonce.to_vec();
        content.extend_from_slice(plaintext);
        self.cipher(&nonce)?.apply_keystream(&mut content[NONCE..]);
        Some(content)
    }

    fn nonce(&self, plaintext: &[u8]) -> Option<[u8; NONCE]> {
        let mac =
            Hmac::<Sha1>::new_from_slice(&self.mac).ok()?.chain_update(plaintext).finalize().into_bytes();
        mac.first_chunk().copied()
    }

    fn cipher(&self, nonce: &[u8; NONCE]) -> Option<Ctr32BE<Aes256>> {
        Ctr32BE::<Aes256>::new_from_slices(&self.aes, &[&nonce[..], &[0; 4]].concat()).ok()
    }
}

/// Reads fields: number, length and value each, up to the number 0.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    /// `None` where they are cut off, or one is not known and may not be passed over: those have odd numbers.
    fn fields(&mut self, mut take: impl FnMut(u32, &'b [u8])) -> Option<()> {
        loop {
            let id = self.number()?;
            if id == 0 {
                return Some(());
            }
            let length = usize::try_from(self.number()?).ok()?;
            let (value, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            match id {
                1 | 3 | 5 => take(id, value),
                _ if id % 2 == 0 => {}
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `git-crypt export-key` of git-crypt 0.7.
    const KEY: &str = "0047495443525950544b4559000000020000000000000001000000040000000000000003000000209a842eedde706d60 \
        46145e0ded9b8d00f900ac4d283bdceed852311c681b7e8c0000000500000040976a216a650ea782712ae85dcd0bf318 \
        09a1f6caf246978f6d5d049c058538fa4c664f478d453d3a5e252d4816d5ea676bce947e5a22bab0b30ad17fbf562216 \
        00000000";

    /// What it made of `password: hunter2\n`.
    const FILE: &str = "0047495443525950540031170601fa7d5f23690772955919c330d060b91c86db211a02fd292d6dfd";

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    #[test]
    fn what_git_crypt_wrote_opens_with_its_key_and_is_made_again() {
        let (key, file) = (Key::all(&unhex(KEY)).unwrap(), unhex(FILE));
        let content = content(&file).unwrap();
        let plaintext = key[0].open(content).unwrap();
        assert_eq!(plaintext.as_slice(), b"password: hunter2\n");
        assert_eq!(key[0].content_of(&plaintext).unwrap(), content);
        let changed: Vec<u8> =
            content.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 20)).collect();
        assert!(key[0].open(&changed).is_none());
        assert!(super::content(b"\0GITCRYPT\0short").is_none() && super::content(b"password: x").is_none());
    }

    #[test]
    fn a_key_that_is_cut_off_or_of_another_kind_is_refused() {
        let key = unhex(KEY);
        for length in 0..key.len() {
            assert!(Key::all(&key[..length]).is_err(), "{length}");
        }
        let with = |at: usize, byte: u8| {
            let mut changed = key.clone();
            changed[at] = byte;
            Key::all(&changed).is_ok()
        };
        // The format's version, and the number of the first field: 7 is not known, 8 may be passed over.
        assert!(!with(15, 3) && !with(23, 7) && with(23, 8));
    }
}
