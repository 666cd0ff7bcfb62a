//! Files in UTF-16, which go-yaml reads and editors on Windows write.

use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// Whether a file says by its first two bytes that it is in UTF-16.
pub fn is_utf16(file: &[u8]) -> bool {
    matches!(file, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
}

/// A file for a parser of YAML, in UTF-8. An error for what is no text in UTF-16, though it says so.
pub(super) fn in_utf8(file: SecretBytes) -> Result<SecretBytes> {
    let to_unit = match &file[..] {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return Ok(file),
    };
    let (units, rest) = file[2..].as_chunks();
    let is_sound =
        rest.is_empty() && char::decode_utf16(units.iter().map(|&pair| to_unit(pair))).all(|c| c.is_ok());
    match is_sound {
        true => Ok(utf16(&file[2..], to_unit)),
        false => Err(Error::new(Kind::Read, "broken UTF-16").advise("save the file as UTF-8")),
    }
}

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
