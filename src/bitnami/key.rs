//! The private key of a sealed-secrets controller.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use pkcs8::der::asn1::{AnyRef, ObjectIdentifier};
use pkcs8::{AlgorithmIdentifierRef, PrivateKeyInfo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::SecretBytes;

/// That of RSA keys: `rsaEncryption`.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// By which a key is told from others: of its public half.
pub type Print = [u8; 32];

/// A key that opens what was sealed for its certificate.
pub struct SealingKey {
    key: OaepPrivateDecryptingKey,
    print: Print,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// Why a Secret holds no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKey {
    /// There is no private key in PEM.
    NoKey,
    /// It is no RSA key of 2048 to 8192 bits.
    NotRsa,
    /// There is no certificate in PEM: nobody can have sealed for it.
    NoCertificate,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "it has no private key in PEM",
            Self::NotRsa => "its key is not an RSA key of 2048 to 8192 bits",
            Self::NoCertificate => "it has no certificate in PEM",
        })
    }
}

impl SealingKey {
    /// The key of a Secret of type `kubernetes.io/tls`: its `tls.key`, and its `tls.crt`, of which nothing is used but that it
    /// is there.
    pub fn read(key: &[u8], certificate: &[u8]) -> Result<Self, BadKey> {
        let key = Self::of_pem(key)?;
        CertificateDer::from_pem_slice(certificate).map_err(|_| BadKey::NoCertificate)?;
        Ok(key)
    }

    /// The first private key of a text in PEM.
    pub fn of_pem(key: &[u8]) -> Result<Self, BadKey> {
        let pkcs8 = match PrivateKeyDer::from_pem_slice(key).map_err(|_| BadKey::NoKey)? {
            PrivateKeyDer::Pkcs8(key) => Zeroizing::new(key.secret_pkcs8_der().to_vec()),
            PrivateKeyDer::Pkcs1(key) => wrapped(key.secret_pkcs1_der()).ok_or(BadKey::NotRsa)?,
            _ => return Err(BadKey::NotRsa),
        };
        let key = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| BadKey::NotRsa)?;
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| BadKey::NotRsa)?;
        let print = Sha256::digest(public.as_ref()).into();
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| BadKey::NotRsa)?;
        Ok(Self { key, print })
    }

    pub fn print(&self) -> &Print {
        &self.print
    }

    /// What was encrypted for it under this label.
    pub(super) fn decrypt(&self, encrypted: &[u8], label: &[u8]) -> Option<SecretBytes> {
        if encrypted.len() != self.key.key_size_bytes() {
            return None;
        }
        let mut text = SecretBytes::new(vec![0; self.key.min_output_size()]);
        let label = Some(label).filter(|label| !label.is_empty());
        let length = self.key.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut text, label).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// A key in the form of PKCS#1, in that of PKCS#8.
fn wrapped(pkcs1: &[u8]) -> Option<SecretBytes> {
    use pkcs8::der::Encode;
    let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) };
    PrivateKeyInfo::new(algorithm, pkcs1).to_der().ok().map(SecretBytes::new)
}
