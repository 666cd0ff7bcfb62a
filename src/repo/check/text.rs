//! What is seen in the bytes of a file before anybody parses it: whether parsing it, or looking for private keys, is
//! worth the while. Most files of a repository are looked at here and no further.

use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::document::Format;
use crate::repo::check::private_keys;

/// One pass over a file: all that anything is decided by begins with one of these.
static SIGNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let plain =
        r"ENC\[AES256_GCM|Secret|sops|(?i:age-secret-key-)|hv[sbr]\.|\bs\.|PRIVATE KEY|PuTTY-User-Key-File-";
    Regex::new(&format!("{plain}|{}", private_keys::signs_of_encoded().join("|"))).ok()
});

/// How a name can be spelled so that it does not appear: by escapes, or in YAML by a tag. NEL and the separators of
/// lines and paragraphs may be breaks that an escape takes back, or stand before a tag: few files have any.
static ESCAPES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?-u)\\[xuU\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9]").ok());
static TAGS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?m-u)(?:^|[\s,\[{:])!").ok());

/// What a file's bytes speak of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Something that only parsing can tell.
    pub may_matter: bool,
    /// A ciphertext of sops.
    pub ciphertext: bool,
    pub private_key: bool,
}

impl Signs {
    pub fn of(format: Format, file: &[u8]) -> Self {
        let mut signs = Self::default();
        let Some(regex) = &*SIGNS else {
            return Self { may_matter: true, ciphertext: true, private_key: true };
        };
        for found in regex.find_iter(file) {
            match found.as_bytes() {
                b"Secret" | b"sops" => signs.may_matter = true,
                sign if sign.starts_with(b"ENC[") => (signs.may_matter, signs.ciphertext) = (true, true),
                _ => signs.private_key = true,
            }
        }
        signs.may_matter = signs.may_matter || may_be_spelled(format, file);
        signs
    }
}

/// Whether a name may be spelled otherwise than it reads.
fn may_be_spelled(format: Format, file: &[u8]) -> bool {
    let has = |regex: &LazyLock<Option<Regex>>| regex.as_ref().is_none_or(|regex| regex.is_match(file));
    match format {
        // Whoever deploys JSON reads it as YAML.
        Format::Yaml | Format::Json => has(&ESCAPES) || has(&TAGS),
        _ => false,
    }
}

/// The first line, from 1, that is not blank.
pub fn first_line_with_text(text: &str) -> Option<usize> {
    text.lines()
        .position(|line| !line.trim_matches(['#', ' ', '\t', '\r', '-', '.']).is_empty())
        .map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_files_are_not_worth_parsing() {
        assert_eq!(Signs::of(Format::Binary, b"fn main() {}\n\xff\x00 \\u0053 !"), Signs::default());
        assert_eq!(Signs::of(Format::Yaml, b"a: b!\nc: \"d \\n e\"\n"), Signs::default());
        for (format, text) in [
            (Format::Yaml, "kind: Secret"),
            (Format::Yaml, "kind: \"\\x53ecret\""),
            (Format::Yaml, "kind: \"Sec\\\nret\""),
            (Format::Yaml, "kind: \"Sec\\\u{85}ret\""),
            (Format::Yaml, "kind: \"Sec\\\u{2028}ret\""),
            (Format::Json, "{kind:\u{2029}!!binary U2VjcmV0}"),
            (Format::Yaml, "kind: !!binary U2VjcmV0"),
            (Format::Json, "{\"kind\":!!binary U2VjcmV0}"),
            (Format::Json, "{\"kind\": \"\\u0053ecret\"}"),
        ] {
            assert!(Signs::of(format, text.as_bytes()).may_matter, "{text}");
        }
        assert!(Signs::of(Format::Yaml, b"a: ENC[AES256_GCM,").ciphertext);
    }
}
