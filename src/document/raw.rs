//! Bytes that are not UTF-8 in dotenv and INI files, whose values and comments sops takes as bytes.
//!
//! While such a file is a text, each of these bytes is a character of the last private plane, which nobody uses; a file
//! that does is refused. Nothing of this leaves a [`super::Document`] but by [`to_bytes`].

use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::secret::{SecretBytes, SecretString};

/// The character of the byte 0; those below 0x80 have none.
const PLANE: u32 = 0x10_FF00;

/// The byte for which a character stands.
fn byte_of(character: char) -> Option<u8> {
    let byte = u32::from(character).checked_sub(PLANE)?;
    u8::try_from(byte).ok().filter(|byte| !byte.is_ascii())
}

/// Whether a text holds characters that stand for bytes.
pub(super) fn holds_bytes(text: &str) -> bool {
    // They all begin so in UTF-8, and few others do.
    text.as_bytes().contains(&0xf4) && text.contains(|c| byte_of(c).is_some())
}

/// Whether bytes of this format may not be UTF-8.
pub(super) fn is_taken_by(format: Format) -> bool {
    matches!(format, Format::Dotenv | Format::Ini)
}

/// The text of bytes. An error where it holds a character that would stand for a byte.
pub(super) fn to_text(bytes: &[u8]) -> Result<SecretString> {
    let mut text = SecretString::new(String::with_capacity(bytes.len() * 4));
    for chunk in bytes.utf8_chunks() {
        if holds_bytes(chunk.valid()) {
            let message = "a character between U+10FF80 and U+10FFFF, which has no meaning";
            return Err(Error::new(Kind::Read, message).advise("remove it"));
        }
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|&byte| char::from_u32(PLANE + u32::from(byte))));
    }
    Ok(text)
}

/// The bytes of a text.
pub(super) fn of_text(text: &str) -> SecretBytes {
    if !holds_bytes(text) {
        return SecretBytes::new(text.as_bytes().to_vec());
    }
    let mut bytes = SecretBytes::new(Vec::with_capacity(text.len()));
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The file that a text of this format is.
pub fn to_bytes(format: Format, mut text: SecretString) -> SecretBytes {
    if is_taken_by(format) && holds_bytes(&text) {
        return of_text(&text);
    }
    SecretBytes::new(std::mem::take(&mut *text).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_back() {
        let all: Vec<u8> = (0..=u8::MAX).chain("é\u{10fffd}".bytes().take(2)).collect();
        let text = to_text(&all).unwrap();
        assert!(holds_bytes(&text));
        assert_eq!(*of_text(&text), all);
        assert_eq!(*to_bytes(Format::Dotenv, text), all);
        assert!(!holds_bytes("é\u{10ff7f}\u{10fe80}"));
        assert!(to_text("a\u{10ff80}".as_bytes()).is_err());
    }
}
