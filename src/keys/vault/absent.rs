//! Stands where `Vault` is, in a program that is built without the feature `vault`.

use super::TransitKey;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretBytes;

/// No Vault: every request fails and says so.
pub struct Vault(());

impl Vault {
    pub(in crate::keys) async fn encrypt_many(
        &self,
        _: &dyn Host,
        requests: &[(&TransitKey, &[u8])],
    ) -> Vec<Result<String>> {
        requests.iter().map(|(key, _)| Err(absent(key))).collect()
    }

    pub(in crate::keys) async fn decrypt_many(
        &self,
        _: &dyn Host,
        requests: &[(&TransitKey, &str)],
    ) -> Vec<Result<SecretBytes>> {
        requests.iter().map(|(key, _)| Err(absent(key))).collect()
    }

    pub(in crate::keys) async fn rewrap_many(
        &self,
        _: &dyn Host,
        requests: &[(&TransitKey, &str)],
    ) -> Vec<Result<String>> {
        requests.iter().map(|(key, _)| Err(absent(key))).collect()
    }
}

fn absent(key: &TransitKey) -> Error {
    Error::new(Kind::NoDataKey, format!("{key}: this program was built without Vault"))
}
