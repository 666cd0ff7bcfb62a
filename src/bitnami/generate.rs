//! A new private key with its certificate, as the controller of sealed-secrets makes them: RSA with 4096 bits, and a certificate
//! without a name that is signed by its own key and is for encrypting only.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use jiff::Timestamp;
use pkcs8::PrivateKeyInfo;
use pkcs8::der::asn1::{AnyRef, ObjectIdentifier};
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use x509_cert::der::asn1::{BitString, GeneralizedTime, OctetString, UtcTime};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::AsExtension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate, Version};

use super::pem;
use crate::error::{Error, Kind, Result};
use crate::secret::SecretString;

/// `sha256WithRSAEncryption`.
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// What a Secret with a key holds, in PEM.
pub struct NewKey {
    /// `tls.key`, in the form of PKCS#1.
    pub key: SecretString,
    /// `tls.crt`.
    pub certificate: String,
}

/// Makes a key whose certificate is valid from `now` on. It takes a second or two.
pub fn generate(now: Timestamp, valid_for: Duration) -> Result<NewKey> {
    make(now, valid_for).ok_or_else(|| Error::new(Kind::Other, "a key for SealedSecrets cannot be made"))
}

fn make(now: Timestamp, valid_for: Duration) -> Option<NewKey> {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa4096).ok()?;
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
    let private: Pkcs8V1Der<'_> = key.as_der().ok()?;
    let pair = KeyPair::from_pkcs8(private.as_ref()).ok()?;
    let info = PrivateKeyInfo::try_from(private.as_ref()).ok()?;
    let certificate = certificate(&pair, public.as_ref(), now, valid_for)?;
    let certificate = (*pem("CERTIFICATE", &certificate)).clone();
    Some(NewKey { key: pem("RSA PRIVATE KEY", info.private_key), certificate })
}

fn certificate(pair: &KeyPair, public: &[u8], now: Timestamp, valid_for: Duration) -> Option<Vec<u8>> {
    let public = SubjectPublicKeyInfoOwned::from_der(public).ok()?;
    let name = Name::default();
    let print = Sha256::digest(public.subject_public_key.raw_bytes());
    let id = SubjectKeyIdentifier(OctetString::new(print.get(..20)?).ok()?);
    let extensions = vec![
        KeyUsage(KeyUsages::EncipherOnly.into()).to_extension(&name, &[]).ok()?,
        BasicConstraints { ca: true, path_len_constraint: None }.to_extension(&name, &[]).ok()?,
        id.to_extension(&name, &[]).ok()?,
    ];
    let mut serial = [0; 16];
    OsRng.fill_bytes(&mut serial);
    let algorithm = AlgorithmIdentifierOwned { oid: SHA256_WITH_RSA, parameters: Some(AnyRef::NULL.into()) };
    let until = now.checked_add(valid_for).ok()?;
    let tbs_certificate = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).ok()?,
        signature: algorithm.clone(),
        issuer: name.clone(),
        validity: Validity { not_before: time(now)?, not_after: time(until)? },
        subject: name,
        subject_public_key_info: public,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    };
    let mut signature = vec![0; pair.public_modulus_len()];
    let text = tbs_certificate.to_der().ok()?;
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &text, &mut signature).ok()?;
    let signature = BitString::from_bytes(&signature).ok()?;
    Certificate { tbs_certificate, signature_algorithm: algorithm, signature }.to_der().ok()
}

/// With two digits for the year as long as it has them.
fn time(at: Timestamp) -> Option<Time> {
    let since = Duration::from_secs(u64::try_from(at.as_second()).ok()?);
    let short = UtcTime::from_unix_duration(since).map(Time::UtcTime);
    short.or_else(|_| GeneralizedTime::from_unix_duration(since).map(Time::GeneralTime)).ok()
}
