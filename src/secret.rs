//! Types that hold key material and plaintext: wiped when dropped, never printed, never cloned by accident.

use std::fmt;

use rand::RngCore;
use rand::rngs::OsRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Text that may be plaintext of a secret: wiped when dropped.
pub type SecretString = Zeroizing<String>;

/// Bytes that may be plaintext of a secret: wiped when dropped.
pub type SecretBytes = Zeroizing<Vec<u8>>;

/// The 32 bytes from which the leaves of one document are encrypted.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; DataKey::LEN]);

impl DataKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A new key from the operating system's random numbers.
    pub fn generate() -> Self {
        let mut key = Self([0; Self::LEN]);
        OsRng.fill_bytes(&mut key.0);
        key
    }

    /// The key with these bytes, or `None` when there are not exactly 32 of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl PartialEq for DataKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for DataKey {}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}
