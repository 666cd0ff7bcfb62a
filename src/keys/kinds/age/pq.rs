//! Post-quantum age keys: `age1pq1...` recipients and `AGE-SECRET-KEY-PQ-1...` identities, native to age since 1.3.
//!
//! Own code, because version 0.12 of the age crate has no such type; it goes when the crate gets one. It implements
//! the crate's public traits and is used through them alone: nothing else may build on the KEM or the HPKE below.
//!
//! The format is the `mlkem768x25519` stanza of the age specification (c2sp.org/age): HPKE (RFC 9180) in base mode
//! with HKDF-SHA256, ChaCha20-Poly1305 and the hybrid KEM MLKEM768-X25519, which is X-Wing
//! (draft-connolly-cfrg-xwing-kem, draft-ietf-hpke-pq). The C2SP/CCTV vectors in `fixtures/age` pin it down.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use ::age::secrecy::ExposeSecret;
use ::age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Hrp;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::{Hkdf, HkdfExtract};
use ml_kem::kem::{Decapsulate, DecapsulationKey, Encapsulate, EncapsulationKey};
use ml_kem::{EncodedSizeUser, KemCore, MlKem768, MlKem768Params};
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::Sha256;
use sha3::digest::{Digest, ExtendableOutput, Update, XofReader};
use sha3::{Sha3_256, Shake256};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use crate::secret::SecretString;

/// The length in characters of a recipient.
pub(super) const RECIPIENT_LENGTH: usize = 1959;

const RECIPIENT_PREFIX: Hrp = Hrp::parse_unchecked("age1pq");
const IDENTITY_PREFIX: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");
const STANZA_TAG: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// Age files with this label take no recipients without it: one that is not post-quantum would undo the protection.
const LABEL: &str = "postquantum";
const TAG_BYTES: usize = 16;

/// `"HPKE" || KEM 0x647a || KDF 0x0001 || AEAD 0x0003`.
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
/// X-Wing's label, which is a picture: `\./` over `/^\`.
const XWING_LABEL: &[u8] = br"\.//^\";

const MLKEM_PUBLIC_BYTES: usize = 1184;
const MLKEM_CIPHERTEXT_BYTES: usize = 1088;
const X25519_BYTES: usize = 32;

/// A post-quantum recipient.
pub(super) struct Recipient {
    mlkem: EncapsulationKey<MlKem768Params>,
    x25519: PublicKey,
}

impl Recipient {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (encoded, x25519) = bytes.split_at_checked(MLKEM_PUBLIC_BYTES)?;
        let mlkem = EncapsulationKey::from_bytes(encoded.try_into().ok()?);
        // FIPS 203, 7.2: a key whose numbers are not reduced is no key.
        let canonical = mlkem.as_bytes().as_slice() == encoded;
        let x25519: [u8; X25519_BYTES] = x25519.try_into().ok()?;
        canonical.then_some(Self { mlkem, x25519: x25519.into() })
    }

    /// X-Wing's encapsulation: the shared secret and its ciphertext.
    fn encapsulate(&self) -> Option<(Zeroizing<[u8; 32]>, Vec<u8>)> {
        let (mlkem_ciphertext, mut mlkem_secret) = self.mlkem.encapsulate(&mut OsRng).ok()?;
        let ephemeral = StaticSecret::random_from_rng(OsRng);
        let x25519_ciphertext = PublicKey::from(&ephemeral);
        let x25519_secret = contributory(ephemeral.diffie_hellman(&self.x25519))?;
        let secret = combine(&mlkem_secret, &x25519_secret, &x25519_ciphertext, &self.x25519);
        mlkem_secret.zeroize();
        Some((secret, [mlkem_ciphertext.as_slice(), x25519_ciphertext.as_bytes()].concat()))
    }
}

impl FromStr for Recipient {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode(text, RECIPIENT_PREFIX)?;
        Self::from_bytes(&bytes).ok_or("invalid MLKEM768-X25519 public key")
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.mlkem.as_bytes().as_slice(), self.x25519.as_bytes()].concat();
        f.write_str(&bech32_encode(RECIPIENT_PREFIX, &bytes))
    }
}

impl ::age::Recipient for Recipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let broken = || EncryptError::Io(std::io::Error::other("invalid MLKEM768-X25519 public key"));
        let (secret, enc) = self.encapsulate().ok_or_else(broken)?;
        let (cipher, nonce) = hpke_context(&secret);
        let body = cipher.encrypt(&nonce, &file_key.expose_secret()[..]).map_err(|_| broken())?;
        let stanza =
            Stanza { tag: STANZA_TAG.to_owned(), args: vec![BASE64_STANDARD_NO_PAD.encode(enc)], body };
        Ok((vec![stanza], HashSet::from([LABEL.to_owned()])))
    }
}

/// A post-quantum identity.
pub(super) struct Identity {
    seed: Zeroizing<[u8; 32]>,
    mlkem: DecapsulationKey<MlKem768Params>,
    x25519: StaticSecret,
}

impl Identity {
    pub(super) fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(&mut *seed);
        Self::from_seed(seed)
    }

    /// X-Wing's key expansion: SHAKE-256 of the seed gives d and z of ML-KEM and the X25519 key.
    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let mut expanded = Shake256::default().chain(seed.as_slice()).finalize_xof();
        let mut next = || {
            let mut bytes = Zeroizing::new([0; 32]);
            expanded.read(&mut *bytes);
            bytes
        };
        let (d, z, x25519) = (next(), next(), next());
        let (mlkem, _) = MlKem768::generate_deterministic(&(*d).into(), &(*z).into());
        Self { seed, mlkem, x25519: StaticSecret::from(*x25519) }
    }

    pub(super) fn to_public(&self) -> Recipient {
        Recipient { mlkem: self.mlkem.encapsulation_key().clone(), x25519: PublicKey::from(&self.x25519) }
    }

    /// The identity as it appears in an identity file.
    pub(super) fn to_secret_string(&self) -> SecretString {
        let mut text = Zeroizing::new(bech32_encode(IDENTITY_PREFIX, &*self.seed));
        text.make_ascii_uppercase();
        text
    }

    /// X-Wing's decapsulation. `None` when `enc` is malformed; an `enc` for somebody else gives another secret.
    fn decapsulate(&self, enc: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let (mlkem_ciphertext, x25519_ciphertext) = enc.split_at_checked(MLKEM_CIPHERTEXT_BYTES)?;
        let x25519_ciphertext: [u8; X25519_BYTES] = x25519_ciphertext.try_into().ok()?;
        let x25519_ciphertext = PublicKey::from(x25519_ciphertext);
        let x25519_secret = contributory(self.x25519.diffie_hellman(&x25519_ciphertext))?;
        let mut mlkem_secret = self.mlkem.decapsulate(mlkem_ciphertext.try_into().ok()?).ok()?;
        let secret =
            combine(&mlkem_secret, &x25519_secret, &x25519_ciphertext, &PublicKey::from(&self.x25519));
        mlkem_secret.zeroize();
        Some(secret)
    }
}

impl FromStr for Identity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode(text, IDENTITY_PREFIX)?;
        let seed: [u8; 32] = bytes.as_slice().try_into().map_err(|_| "incorrect identity length")?;
        Ok(Self::from_seed(Zeroizing::new(seed)))
    }
}

impl ::age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA_TAG {
            return None;
        }
        let invalid = Some(Err(DecryptError::InvalidHeader));
        let [enc] = &stanza.args[..] else {
            return invalid;
        };
        if stanza.body.len() != FILE_KEY_BYTES + TAG_BYTES {
            return invalid;
        }
        let Some(secret) = BASE64_STANDARD_NO_PAD.decode(enc).ok().and_then(|enc| self.decapsulate(&enc))
        else {
            return invalid;
        };
        let (cipher, nonce) = hpke_context(&secret);
        // ML-KEM rejects implicitly: whether the stanza is ours shows only here.
        let file_key = Zeroizing::new(cipher.decrypt(&nonce, &stanza.body[..]).ok()?);
        Some(Ok(FileKey::init_with_mut(|bytes| bytes.copy_from_slice(&file_key))))
    }
}

fn decode(text: &str, prefix: Hrp) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    bech32_decode(
        text,
        |_| "invalid Bech32",
        |found| {
            if found == prefix { Ok(()) } else { Err("another type of key") }
        },
        |_, bytes| Ok(Zeroizing::new(bytes.collect())),
    )
}

/// X-Wing's combiner.
fn combine(
    mlkem: &[u8],
    x25519: &SharedSecret,
    ciphertext: &PublicKey,
    public: &PublicKey,
) -> Zeroizing<[u8; 32]> {
    let hash = Digest::chain_update(Sha3_256::new(), mlkem)
        .chain_update(x25519.as_bytes())
        .chain_update(ciphertext.as_bytes())
        .chain_update(public.as_bytes())
        .chain_update(XWING_LABEL);
    Zeroizing::new(hash.finalize().into())
}

/// RFC 9180, 7.1.4: an all-zero X25519 result comes from a point of low order.
fn contributory(secret: SharedSecret) -> Option<SharedSecret> {
    secret.was_contributory().then_some(secret)
}

/// RFC 9180, 5.1: the key schedule in base mode, for the first and only message.
fn hpke_context(shared_secret: &[u8; 32]) -> (ChaCha20Poly1305, Nonce) {
    let (psk_id_hash, _) = labeled_extract(&[], b"psk_id_hash", &[]);
    let (info_hash, _) = labeled_extract(&[], b"info_hash", INFO);
    let context = [&[0][..], &*psk_id_hash, &*info_hash].concat();
    let (_, secret) = labeled_extract(shared_secret, b"secret", &[]);
    let mut key = Zeroizing::new([0; 32]);
    labeled_expand(&secret, b"key", &context, &mut *key);
    let mut nonce = Nonce::default();
    labeled_expand(&secret, b"base_nonce", &context, &mut nonce);
    (ChaCha20Poly1305::new(Key::from_slice(&*key)), nonce)
}

fn labeled_extract(salt: &[u8], label: &[u8], input: &[u8]) -> (Zeroizing<[u8; 32]>, Hkdf<Sha256>) {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in [b"HPKE-v1", SUITE, label, input] {
        extract.input_ikm(part);
    }
    let (key, hkdf) = extract.finalize();
    (Zeroizing::new(key.into()), hkdf)
}

fn labeled_expand(secret: &Hkdf<Sha256>, label: &[u8], context: &[u8], out: &mut [u8]) {
    let length = [0, out.len() as u8];
    #[allow(clippy::expect_used, reason = "the length is ours and never too large")]
    secret
        .expand_multi_info(&[&length, b"HPKE-v1", SUITE, label, context], out)
        .expect("HKDF-SHA256 gives up to 8160 bytes; 32 at most are asked for");
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;

    use ::age::armor::ArmoredReader;
    use ::age::{Decryptor, Encryptor};
    use sha2::Sha256;

    use super::*;

    /// One file of the C2SP/CCTV test suite: lines of `key: value`, an empty line, an age file.
    struct Vector {
        header: Vec<(String, String)>,
        file: Vec<u8>,
    }

    impl Vector {
        fn read(path: &Path) -> Self {
            let bytes = std::fs::read(path).unwrap();
            let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
            let header = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let header = header.lines().map(|line| {
                let (key, value) = line.split_once(": ").unwrap();
                (key.to_owned(), value.to_owned())
            });
            Self { header: header.collect(), file: bytes[end + 2..].to_vec() }
        }

        fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
            self.header.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
        }

        /// The outcome in the words of the test suite, and the payload's SHA-256.
        fn open(&self) -> Result<String, &'static str> {
            let identities: Vec<Box<dyn ::age::Identity>> = self
                .all("identity")
                .map(|text| match text.parse::<Identity>() {
                    Ok(identity) => Box::new(identity) as _,
                    Err(_) => Box::new(text.parse::<::age::x25519::Identity>().unwrap()) as _,
                })
                .collect();
            let outcome = |error| match error {
                DecryptError::NoMatchingKeys => "no match",
                DecryptError::InvalidMac => "HMAC failure",
                _ => "header failure",
            };
            let mut payload = Vec::new();
            Decryptor::new_buffered(ArmoredReader::new(&self.file[..]))
                .and_then(|file| file.decrypt(identities.iter().map(|identity| &**identity)))
                .map_err(outcome)?
                .read_to_end(&mut payload)
                .map_err(|_| "payload failure")?;
            Ok(Sha256::digest(&payload).iter().map(|byte| format!("{byte:02x}")).collect())
        }
    }

    #[test]
    fn the_cctv_vectors_come_out_as_they_should() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/age/cctv");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let vector = Vector::read(&path);
            let expected = match vector.all("expect").next().unwrap() {
                "success" => Ok(vector.all("payload").next().unwrap().to_owned()),
                failure => Err(failure),
            };
            assert_eq!(vector.open(), expected, "{}", path.display());
            seen += 1;
        }
        assert_eq!(seen, 19);
    }

    #[test]
    fn keys_survive_their_text() {
        let identity = Identity::generate();
        let text = identity.to_secret_string();
        assert!(text.starts_with("AGE-SECRET-KEY-PQ-1"));
        assert_eq!(*text.parse::<Identity>().unwrap().seed, *identity.seed);
        let recipient = identity.to_public().to_string();
        assert!(recipient.starts_with("age1pq1") && recipient.len() == RECIPIENT_LENGTH);
        assert_eq!(recipient.parse::<Recipient>().unwrap().to_string(), recipient);
    }

    #[test]
    fn what_is_wrapped_opens_with_its_identity_alone() {
        let (ours, other) = (Identity::generate(), Identity::generate());
        let file = ::age::encrypt(&ours.to_public(), b"payload").unwrap();
        assert_eq!(::age::decrypt(&ours, &file).unwrap(), b"payload");
        assert!(matches!(::age::decrypt(&other, &file), Err(DecryptError::NoMatchingKeys)));
    }

    #[test]
    fn a_file_never_mixes_post_quantum_and_other_recipients() {
        let pq = Identity::generate().to_public();
        let classic = ::age::x25519::Identity::generate().to_public();
        let recipients: [&dyn ::age::Recipient; 2] = [&pq, &classic];
        assert!(matches!(
            Encryptor::with_recipients(recipients.into_iter()),
            Err(EncryptError::IncompatibleRecipients { .. })
        ));
    }

    #[test]
    fn malformed_keys_are_refused() {
        assert!("age1pq1qqqq".parse::<Recipient>().is_err());
        assert!(Recipient::from_bytes(&[0xff; MLKEM_PUBLIC_BYTES + X25519_BYTES]).is_none());
        assert!(Recipient::from_bytes(&[0; MLKEM_PUBLIC_BYTES]).is_none());
        let recipient = bech32_encode(RECIPIENT_PREFIX, &[7; 32]);
        assert!(recipient.parse::<Identity>().is_err());
        assert!(bech32_encode(IDENTITY_PREFIX, &[7; 31]).to_uppercase().parse::<Identity>().is_err());
    }
}
