//! Files in UTF-16, which go-yaml reads and editors on Windows write.

use crate::secret::SecretBytes;

/// The text of a file in UTF-16, as PowerShell writes it; `None` for one that does not say so by its first two bytes.
pub fn of_utf16(file: &[u8]) -> Option<SecretBytes> {
    match file {
        [0xff, 0xfe, units @ ..] => Some(utf16(units, u16::from_le_bytes)),
        [0xfe, 0xff, units @ ..] => Some(utf16(units, u16::from_be_bytes)),
        _ => None,
    }
}

/// Text in UTF-16 in UTF-8.
pub fn utf16(units: &[u8], unit: fn([u8; 2]) -> u16) -> SecretBytes {
    // Nothing takes more than three bytes for two: the text is never moved, which would leave a copy.
    let mut text = String::with_capacity(units.len() / 2 * 3);
    let units = units.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    text.extend(char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)));
    SecretBytes::new(text.into_bytes())
}
