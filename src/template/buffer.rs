//! Texts that grow: up to a bound, and wiped wherever they were.

use zeroize::Zeroize;

use super::error::Fault;
use crate::secret::SecretBytes;

/// Holds no more than it may; what comes after that is dropped, and [`Buffer::finish`] fails.
pub struct Buffer {
    bytes: SecretBytes,
    limit: usize,
    is_over: bool,
}

pub const TOO_LONG: Fault = Fault::bound("a text becomes longer than is allowed");

impl Buffer {
    pub fn new(limit: usize) -> Self {
        Self { bytes: SecretBytes::default(), limit, is_over: false }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let length = self.bytes.len() + bytes.len();
        if self.is_over || length > self.limit {
            self.is_over = true;
            return;
        }
        if length > self.bytes.capacity() {
            // What is grown in place leaves its old bytes behind.
            let mut larger = SecretBytes::new(Vec::with_capacity(length.max(2 * self.bytes.capacity())));
            larger.extend_from_slice(&self.bytes);
            self.bytes.zeroize();
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub fn push_char(&mut self, char: char) {
        self.push(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    pub fn push_times(&mut self, bytes: &[u8], count: usize) {
        if bytes.len().saturating_mul(count) > self.limit {
            self.is_over = true;
        }
        for _ in 0..count {
            if self.is_over || bytes.is_empty() {
                return;
            }
            self.push(bytes);
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether more was written than it may hold, so that there is no point in going on.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    pub fn finish(self) -> Result<SecretBytes, Fault> {
        if self.is_over { Err(TOO_LONG) } else { Ok(self.bytes) }
    }
}
