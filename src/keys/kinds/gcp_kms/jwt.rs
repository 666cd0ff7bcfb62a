//! Signed statements of a service account: JSON Web Tokens (RFC 7519) with RS256, by the cryptography of TLS.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::secret::SecretString;

/// The claims, signed with a private key in PEM; `None` for a key that is none of RSA.
pub(super) fn signed(claims: &Value, private_key: &str, key_id: Option<&str>) -> Option<SecretString> {
    let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes()).ok()?;
    let key = any_supported_type(&key).ok()?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(key_id) = key_id {
        header["kid"] = key_id.into();
    }
    let part = |value: &Value| BASE64.encode(value.to_string());
    let statement = format!("{}.{}", part(&header), part(claims));
    let signature = signer.sign(statement.as_bytes()).ok()?;
    Some(Zeroizing::new(format!("{statement}.{}", BASE64.encode(signature))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../../../fixtures/gcp/service-account.pem");

    #[test]
    fn a_statement_is_signed_as_openssl_signs_it() {
        // `printf %s HEADER.CLAIMS | openssl dgst -sha256 -sign fixtures/gcp/service-account.pem | base64`
        let token = signed(&json!({"iss": "a@b"}), KEY, Some("1")).unwrap();
        assert_eq!(*token, include_str!("../../../../fixtures/gcp/statement.jwt").trim());
    }

    #[test]
    fn what_is_no_rsa_key_signs_nothing() {
        for key in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(signed(&json!({}), key, None).is_none());
        }
    }
}
