//! Signed statements of a program about itself: JSON Web Tokens (RFC 7519), by the cryptography of TLS.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::secret::SecretString;

/// How a statement is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Algorithm {
    Rs256,
    Ps256,
}

/// The claims, signed with a private key in PEM; `None` if it is not an RSA key. `key` says which key it is: the
/// name of a field of the header, and its value.
pub(crate) fn signed(
    algorithm: Algorithm,
    key: Option<(&str, &str)>,
    claims: &Value,
    private_key: &[u8],
) -> Option<SecretString> {
    let (name, scheme) = match algorithm {
        Algorithm::Rs256 => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
        Algorithm::Ps256 => ("PS256", SignatureScheme::RSA_PSS_SHA256),
    };
    let private_key = PrivateKeyDer::from_pem_slice(private_key).ok()?;
    let private_key = any_supported_type(&private_key).ok()?;
    let signer = private_key.choose_scheme(&[scheme])?;
    let mut header = json!({"alg": name, "typ": "JWT"});
    if let Some((field, value)) = key {
        header[field] = value.into();
    }
    let part = |value: &Value| BASE64.encode(value.to_string());
    let statement = format!("{}.{}", part(&header), part(claims));
    let signature = signer.sign(statement.as_bytes()).ok()?;
    Some(Zeroizing::new(format!("{statement}.{}", BASE64.encode(signature))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = include_bytes!("../../../fixtures/gcp/service-account.pem");

    #[test]
    fn a_statement_is_signed_as_openssl_signs_it() {
        // `printf %s HEADER.CLAIMS | openssl dgst -sha256 -sign fixtures/gcp/service-account.pem | base64`
        let token = signed(Algorithm::Rs256, Some(("kid", "1")), &json!({"iss": "a@b"}), KEY).unwrap();
        assert_eq!(*token, include_str!("../../../fixtures/gcp/statement.jwt").trim());
    }

    #[test]
    fn what_is_no_rsa_key_signs_nothing() {
        for key in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(signed(Algorithm::Ps256, None, &json!({}), key.as_bytes()).is_none());
        }
    }
}
