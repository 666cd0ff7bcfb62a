use std::path::Path;
use crate::{Error, Kind, Result, secret::SecretBytes};
pub fn read(path: &Path, _limit: u64) -> Result<SecretBytes> { std::fs::read(path).map(SecretBytes::new).map_err(|e| Error::new(Kind::Read, e.to_string())) }
