//! The certificate of a sealed-secrets controller: what values are sealed for.
//!
//! Only its key, its first and its last day count, as for kubeseal. It is usually signed by itself, so whoever can change it on
//! its way can read what is sealed for it.

use std::fmt;

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use x509_cert::der::{Decode, Encode};
use x509_cert::time::Time;

use super::key::Print;
use super::pem;

/// A public key with its first and its last day.
pub struct Certificate {
    key: OaepPublicEncryptingKey,
    not_before: Timestamp,
    not_after: Timestamp,
    print: Print,
    der: CertificateDer<'static>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate(until {})", self.not_after)
    }
}

/// Why values cannot be sealed for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadCertificate {
    /// The text has no certificate in PEM.
    None,
    /// It cannot be parsed.
    Broken,
    /// Its key is not an RSA key of 2048 to 8192 bits.
    NotRsa,
}

impl Certificate {
    /// The first certificate of a text in PEM.
    pub fn read(pem: &[u8]) -> Result<Self, BadCertificate> {
        let der = CertificateDer::from_pem_slice(pem).map_err(|_| BadCertificate::None)?;
        let parsed = x509_cert::Certificate::from_der(&der).map_err(|_| BadCertificate::Broken)?;
        let parsed = parsed.tbs_certificate;
        let key = parsed.subject_public_key_info.to_der().map_err(|_| BadCertificate::Broken)?;
        let print = Sha256::digest(&key).into();
        let key = PublicEncryptingKey::from_der(&key).map_err(|_| BadCertificate::NotRsa)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| BadCertificate::NotRsa)?;
        let (not_before, not_after) = (at(parsed.validity.not_before)?, at(parsed.validity.not_after)?);
        Ok(Self { key, not_before, not_after, print, der })
    }

    /// From when on it may be used: of several, the newest is sealed for.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when it may be used; what was sealed before opens afterwards, too.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Of the key that it is for, as [`SealingKey::print`](super::SealingKey::print).
    pub fn print(&self) -> &Print {
        &self.print
    }

    /// As kubeseal takes it.
    pub fn pem(&self) -> String {
        (*pem("CERTIFICATE", &self.der)).clone()
    }

    /// A short text, encrypted under this label.
    pub(super) fn encrypt(&self, text: &[u8], label: &[u8]) -> Option<Vec<u8>> {
        let mut encrypted = vec![0; self.key.ciphertext_size()];
        let label = Some(label).filter(|label| !label.is_empty());
        let length = self.key.encrypt(&OAEP_SHA256_MGF1SHA256, text, &mut encrypted, label).ok()?.len();
        encrypted.truncate(length);
        Some(encrypted)
    }
}

fn at(time: Time) -> Result<Timestamp, BadCertificate> {
    let second = i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| BadCertificate::Broken)?;
    Timestamp::from_second(second).map_err(|_| BadCertificate::Broken)
}
