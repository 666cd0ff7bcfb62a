//! The hash over all values of a document that its MAC encrypts (`sops.go` and `cmd/sops/common` of sops).

use sha2::{Digest, Sha512};

use crate::document::Value;
use crate::secret::SecretString;

/// What a MAC over encrypted values alone begins with, so that it never equals one over all values: sha256("sops").
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b,
    0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// The largest integer that a float holds exactly.
const EXACT: u64 = 1 << 53;

/// SHA-512 over the byte forms of the values in document order. Keys, comments and nulls are not in it.
pub struct Mac {
    hash: Sha512,
    only_encrypted: bool,
}

impl Mac {
    pub fn new(only_encrypted: bool) -> Self {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self { hash, only_encrypted }
    }

    /// Adds a value; `encrypted` says whether it appears in the encrypted part.
    pub fn add(&mut self, value: &Value, encrypted: bool) {
        if self.only_encrypted && !encrypted {
            return;
        }
        value.with_plaintext(|bytes| self.hash.update(bytes));
    }

    /// Adds the content of a binary file.
    pub fn add_file(&mut self, file: &[u8]) {
        self.hash.update(file);
    }

    /// 128 upper-case hex digits.
    pub fn finish(self) -> SecretString {
        use std::fmt::Write;
        let mut hex = SecretString::default();
        for byte in self.hash.finalize() {
            _ = write!(hex, "{byte:02X}");
        }
        hex
    }
}

/// Whether a clear JSON integer is beyond what a float holds exactly, so that versions of sops hash it differently.
pub fn is_ambiguous_in_json(value: &Value) -> bool {
    matches!(value, Value::Int(int) if int.unsigned_abs() > EXACT)
}

/// What sops before 3.13.2, to which every JSON number was a float, hashed for a clear number of this spelling; `None`
/// where that is no other text.
pub fn in_old_json(value: &Value, spelling: &str) -> Option<Value> {
    match value {
        Value::Int(0) if spelling.starts_with('-') => Some(Value::Float(-0.0)),
        Value::Int(int) if is_ambiguous_in_json(value) => Some(Value::Float(*int as f64)),
        _ => None,
    }
}
