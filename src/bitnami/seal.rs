//! Sealing a value, as kubeseal does.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::certificate::Certificate;
use crate::error::{Error, Kind, Result};
use crate::secret::DataKey;

/// A value as an item, in base64; `label` is what it is bound to.
pub fn seal(value: &[u8], label: &str, certificate: &Certificate) -> Result<String> {
    let cannot = || Error::new(Kind::Encrypt, "the value cannot be encrypted for the certificate");
    // Each item has a key of its own, so the nonce may be the same.
    let key = DataKey::generate();
    let encrypted = certificate.encrypt(key.as_bytes(), label.as_bytes()).ok_or_else(cannot)?;
    let length = u16::try_from(encrypted.len()).map_err(|_| cannot())?;
    let cipher = UnboundKey::new(&AES_256_GCM, key.as_bytes()).map_err(|_| cannot())?;
    let mut sealed = zeroize::Zeroizing::new(value.to_vec());
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    LessSafeKey::new(cipher)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut *sealed)
        .map_err(|_| cannot())?;
    Ok(STANDARD.encode([&length.to_be_bytes()[..], &encrypted, &sealed].concat()))
}
