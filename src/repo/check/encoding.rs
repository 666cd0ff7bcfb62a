//! Files of which Git has other bytes than the working tree: it re-encodes what `working-tree-encoding` is set for, and
//! replaces parts of what `ident` is set for. What comes to others is what it has itself.
//!
//! Owns what of that is read here. Of the rest somebody would see plaintext in every commit, and nobody here.

use crate::document;
use crate::secret::SecretBytes;
use crate::sops;

/// In what encoding a file of a working tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// It says so by its first two bytes.
    Utf16,
    Utf16LittleEndian,
    Utf16BigEndian,
    /// One byte a character, of which the lower half is ASCII, and the next 32 are the control characters of Unicode: line
    /// breaks among them.
    Iso8859,
    /// One byte a character, of which the lower half is ASCII, and the upper one letters and signs.
    OfBytes,
    /// One that is not read, by its name.
    Other(String),
    /// The one that Git has, but for what it has between `$Id:` and `$`.
    Ident,
    /// What a filter of this name makes of what Git has, which is something else.
    Filtered {
        name: String,
        is_config: bool,
    },
    /// One that only Git can tell, and it does not answer.
    Unknown,
}

/// How Git begins what it puts in the place of a text that begins with `$Id:` (gitattributes(5), `ident`).
const IDENT: &[u8] = b"$Id: ";

impl Encoding {
    /// What the value of the attribute says; `None` where a file is as Git has it.
    pub fn of_attribute(value: &str) -> Option<Self> {
        let name: String =
            value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let is_one_of = |begins: &[&str]| {
            let number = begins.iter().find_map(|begin| name.strip_prefix(begin));
            number.is_some_and(|rest| rest.len() <= 2 && rest.bytes().all(|byte| byte.is_ascii_digit()))
        };
        Some(match &name[..] {
            // As Git names it where it says nothing.
            "" | "set" | "unset" | "unspecified" | "utf8" => return None,
            "utf16" | "utf16lebom" | "utf16bebom" => Self::Utf16,
            "utf16le" => Self::Utf16LittleEndian,
            "utf16be" => Self::Utf16BigEndian,
            "ascii" | "usascii" => Self::OfBytes,
            _ if is_one_of(&["iso8859", "latin"]) => Self::Iso8859,
            _ if is_one_of(&["windows125", "cp125"]) => Self::OfBytes,
            _ => Self::Other(value.to_owned()),
        })
    }

    /// The file in UTF-8, as far as it is read.
    pub fn read(&self, file: SecretBytes) -> SecretBytes {
        match self {
            Self::Utf16LittleEndian => document::utf16(&file, u16::from_le_bytes),
            Self::Utf16BigEndian => document::utf16(&file, u16::from_be_bytes),
            Self::Iso8859 => {
                SecretBytes::new(file.iter().map(|&byte| char::from(byte)).collect::<String>().into_bytes())
            }
            Self::OfBytes => SecretBytes::new(String::from_utf8_lossy(&file).into_owned().into_bytes()),
            Self::Utf16 | Self::Other(_) | Self::Ident | Self::Filtered { .. } | Self::Unknown => file,
        }
    }

    /// What of a file in it that Git reads itself is not so for others.
    pub fn misleads(&self) -> Option<String> {
        if let Self::Filtered { name, .. } = self {
            return Some(format!(
                "has `filter={name}`: Git has something else than what is here, so its settings apply in one place and not in \
                 the other, and nobody sees how they change"
            ));
        }
        let is_same = matches!(self, Self::Iso8859 | Self::OfBytes | Self::Ident | Self::Unknown);
        (!is_same).then(|| {
            "has one encoding here and another in Git (working-tree-encoding), and Git reads both: its settings \
             apply in one place and not in the other"
                .to_owned()
        })
    }

    /// What of a file in it is not seen here.
    pub fn unseen(&self, file: &[u8]) -> Option<String> {
        match self {
            Self::Other(name) => Some(format!(
                "is in {name} here, but in UTF-8 in Git (working-tree-encoding), so the committed content cannot be \
                 checked here"
            )),
            Self::Ident if holds_ident(file) => Some(
                "has the attribute `ident`, so what Git has between `$Id:` and `$` cannot be checked here"
                    .to_owned(),
            ),
            Self::Filtered { name, is_config } if *is_config || is_encrypted(file) => Some(format!(
                "has `filter={name}`: Git has something else than what is here, so nobody sees how it changes, or who could \
                 read it before"
            )),
            Self::Unknown => Some("may have another encoding than in Git, which gives no answer".to_owned()),
            _ => None,
        }
    }
}

/// Whether it looks like a file that is encrypted by us or sops.
fn is_encrypted(file: &[u8]) -> bool {
    sops::looks_encrypted(file) || memchr::memmem::find(file, b"sealant.dev/").is_some()
}

/// Whether Git has put something into a file, whatever encoding it wrote it in afterwards.
fn holds_ident(file: &[u8]) -> bool {
    let mut matched = 0;
    for &byte in file.iter().filter(|byte| **byte != 0) {
        // It begins with its only `$`, so there is nowhere else to begin again.
        matched = if byte == IDENT[matched] { matched + 1 } else { usize::from(byte == IDENT[0]) };
        if matched == IDENT.len() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_seen_in_every_encoding_that_has_zeros() {
        let wide: Vec<u8> = "a $$Id: 1f $".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (file, expected) in [(&b"# $Id: 1f $"[..], true), (&wide, true), (b"$Id$ $Id:$ $I$", false)] {
            assert_eq!(Encoding::Ident.unseen(file).is_some(), expected, "{file:?}");
        }
    }

    #[test]
    fn encodings_are_known_by_the_names_that_git_takes() {
        for value in ["unspecified", "unset", "set", "UTF-8", "utf8"] {
            assert_eq!(Encoding::of_attribute(value), None, "{value}");
        }
        for (value, expected) in [
            ("UTF-16LE", Encoding::Utf16LittleEndian),
            ("utf16be", Encoding::Utf16BigEndian),
            ("UTF-16LE-BOM", Encoding::Utf16),
            ("ISO-8859-1", Encoding::Iso8859),
            ("latin-1", Encoding::Iso8859),
            ("LATIN-GREEK-1", Encoding::Other("LATIN-GREEK-1".into())),
            ("ASCII//TRANSLIT", Encoding::Other("ASCII//TRANSLIT".into())),
            ("ISO-8859-1//TRANSLIT", Encoding::Other("ISO-8859-1//TRANSLIT".into())),
            ("CP1252", Encoding::OfBytes),
            ("UTF-7", Encoding::Other("UTF-7".into())),
            ("IBM037", Encoding::Other("IBM037".into())),
            ("UTF-32", Encoding::Other("UTF-32".into())),
        ] {
            assert_eq!(Encoding::of_attribute(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_read_is_read_as_utf_8() {
        let units = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let read = |encoding: Encoding, file: Vec<u8>| {
            String::from_utf8_lossy(&encoding.read(SecretBytes::new(file))).into_owned()
        };
        assert_eq!(read(Encoding::Utf16LittleEndian, units("größe: 1\n")), "größe: 1\n");
        assert_eq!(read(Encoding::Utf16BigEndian, vec![0, b'a', 0]), "a");
        assert_eq!(read(Encoding::Iso8859, b"gr\xf6\xdfe: 1\x85".to_vec()), "größe: 1\u{85}");
        assert_eq!(read(Encoding::OfBytes, b"gr\xf6\xdfe: 1".to_vec()), "gr\u{fffd}\u{fffd}e: 1");
    }
}
