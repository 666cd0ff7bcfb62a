//! The bytes of a wrapped data key, however its text is laid out.
//!
//! For comparing alone: what opens a wrapped key reads it more strictly, or has a server do so.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::WrappedKey;

/// As lenient as any reader of these texts is: padding or none, and spare bits of the last character.
pub(crate) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl WrappedKey {
    /// What its text stands for, the same for each way of writing it down: without armor, line ends, the version of a
    /// transit key, and base64. Its master key does not count, for that has several spellings.
    pub fn decoded(&self) -> Vec<u8> {
        let body = armored(&self.enc).unwrap_or_else(|| without_version(self.enc.trim()).to_owned());
        let body: String = body.chars().filter(|char| !char.is_whitespace()).collect();
        let base64 = body.trim_end_matches('=').replace('-', "+").replace('_', "/");
        LENIENT.decode(base64).unwrap_or_else(|_| body.into_bytes())
    }
}

/// What wrapped keys stand for in a text that is otherwise anything: those of age in armor, also where its line ends are
/// written as `\n`, and of transit keys.
pub fn decoded_in(text: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    let armored = text.split(AGE_BEGIN).skip(1).filter_map(|rest| {
        let body = rest.split_once(AGE_END)?.0.replace("\\n", "").replace("\\r", "");
        LENIENT.decode(only_base64(&body)).ok()
    });
    let transit = text.split(TRANSIT).skip(1).filter_map(|rest| {
        let base64 = rest.trim_start_matches(|char: char| char.is_ascii_digit()).strip_prefix(':')?;
        let is_end = |char: char| !char.is_ascii_alphanumeric() && !matches!(char, '+' | '/');
        LENIENT.decode(base64.split(is_end).next()?).ok()
    });
    armored.chain(transit)
}

const AGE_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const AGE_END: &str = "-----END AGE ENCRYPTED FILE-----";
const TRANSIT: &str = "vault:v";

fn only_base64(text: &str) -> String {
    text.chars().filter(|char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/')).collect()
}

/// The base64 between the first and the last line of an armored text of age or PGP, without headers and checksum.
fn armored(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN "));
    lines.next()?;
    let body = lines.take_while(|line| !line.starts_with("-----END "));
    Some(body.filter(|line| !line.contains(':') && !line.starts_with('=')).collect())
}

/// `vault:v1:` says which version of a transit key it takes.
fn without_version(text: &str) -> &str {
    let rest = text.strip_prefix("vault:v").and_then(|rest| rest.split_once(':'));
    rest.map_or(text, |(_, base64)| base64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::KeyKind;
    use super::*;

    fn decoded(enc: &str) -> Vec<u8> {
        let entry = json!({"fp": "F", "enc": enc}).as_object().cloned().unwrap();
        WrappedKey::read(KeyKind::Pgp, &entry).unwrap().decoded()
    }

    #[test]
    fn wrapped_keys_are_found_in_any_text() {
        let text = "x: [}\n  -----BEGIN AGE ENCRYPTED FILE-----\r\n  YWdl\n\n  LWVu Yw==\n-----END AGE ENCRYPTED FILE-----\n\
                    {\"enc\":\"-----BEGIN AGE ENCRYPTED FILE-----\\nYWdl\\nLWVuYw==\\n-----END AGE ENCRYPTED FILE-----\\n\",\
                    \"enc\": 'vault:v12:YWdlLWVuYw=='} vault:v1 -----BEGIN AGE ENCRYPTED FILE-----";
        assert_eq!(decoded_in(text).collect::<Vec<_>>(), vec![b"age-enc"; 3]);
    }

    #[test]
    fn the_layout_of_a_text_does_not_count() {
        let begin = "-----BEGIN AGE ENCRYPTED FILE-----";
        let end = "-----END AGE ENCRYPTED FILE-----";
        for text in [
            format!("{begin}\nYWdl\nLWVuYw==\n{end}\n"),
            format!("\r\n{begin}\r\n\r\nYWdl\r\nLWVuYw==\r\n\r\n{end}\r\n"),
            format!("{begin}\nYWdlLWVuYx\n{end}"),
            "YWdlLWVuYw==".to_owned(),
            "YWdlLWVuYw".to_owned(),
            "vault:v1:YWdlLWVuYw==".to_owned(),
            "vault:v12:YWdlLWVuYx==\n".to_owned(),
            "-----BEGIN PGP MESSAGE-----\nVersion: x\n\nYWdlLWVuYw==\n=njUN\n-----END PGP MESSAGE-----"
                .to_owned(),
        ] {
            assert_eq!(decoded(&text), b"age-enc", "{text}");
        }
        assert_eq!(decoded("+/8"), decoded("-_8="));
        assert_eq!(decoded(" no base64! "), b"nobase64!");
    }
}
