//! What a document is, in SOPS's format and without any key: the one answer from which "encrypt it", "open it" and
//! "judge it" follow.

use crate::document::{self, Document, Format};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;
use crate::sops::leaves::Exempt;
use crate::sops::metadata::Metadata;
use crate::sops::{RESTORE, TOKEN, holds};

/// What a document is. *Encrypted* forbids a second encryption, and says nothing of what may be in plaintext in it.
#[derive(Debug)]
pub enum Nature {
    /// It has metadata that sops loads, and a MAC or a ciphertext.
    Encrypted,
    /// It has neither metadata nor a ciphertext.
    Plaintext,
    /// It has ciphertexts or parts of the metadata, and nobody can open it. Why, in the words of whoever tried to.
    Damaged(Error),
    /// Plaintext with an entry that is named as the metadata are.
    Reserved,
}

impl Nature {
    pub fn of(document: &dyn Document) -> Self {
        let is_clear = || !holds_tokens(document);
        let data = match document.metadata() {
            Ok(Some(data)) => data,
            Ok(None) if !is_clear() => return Self::Damaged(without_metadata()),
            Ok(None) if has_metadata(document) => return Self::Reserved,
            Ok(None) => return Self::Plaintext,
            Err(_) if is_clear() => return Self::Reserved,
            Err(error) => return Self::Damaged(error),
        };
        let says = |name: &str| data.get(name).is_some_and(|data| !data.is_null());
        match Metadata::from_data(&data) {
            Ok(metadata) if metadata.mac.is_some() || !is_clear() => Self::Encrypted,
            Ok(_) => Self::Damaged(Error::new(
                Kind::Other,
                "it has the metadata of an encrypted file, but neither a MAC nor a ciphertext",
            )),
            // No other program writes these.
            Err(error) if says("mac") || says("lastmodified") || !is_clear() => Self::Damaged(error),
            Err(_) => Self::Reserved,
        }
    }

    /// Whether it is meant to be encrypted, though it may be damaged.
    pub fn is_meant(&self) -> bool {
        matches!(self, Self::Encrypted | Self::Damaged(_))
    }

    /// Refuses what is no plaintext: nothing is encrypted a second time.
    pub fn refuse_encryption(self) -> Result<()> {
        match self {
            Self::Plaintext => Ok(()),
            Self::Encrypted => Err(super::already_encrypted()),
            Self::Damaged(why) => {
                let line = why.line();
                let message = format!("the file is encrypted already, but damaged: {}", why.message());
                let error = Error::new(Kind::AlreadyEncrypted, message).advise(RESTORE);
                Err(match line {
                    Some(line) => error.on_line(line),
                    None => error,
                })
            }
            Self::Reserved => Err(Error::new(
                Kind::AlreadyEncrypted,
                "an entry has the name under which encrypted files keep their metadata",
            )
            .advise("give it a name that does not begin with `sops`")),
        }
    }

    /// What of its metadata is not judged as values are.
    pub fn exempt(&self) -> Exempt {
        match self.is_meant() {
            true => Exempt::KnownMetadata,
            false => Exempt::Nothing,
        }
    }
}

pub(super) fn without_metadata() -> Error {
    Error::new(Kind::Other, "sops metadata not found, without which its values cannot be decrypted")
        .advise(RESTORE)
}

/// Whether any document of a file has an entry that is taken for metadata.
fn has_metadata(document: &dyn Document) -> bool {
    let tree = document.tree();
    let mut entries = tree.documents().iter().flat_map(|&root| tree.entries(root));
    entries.any(|entry| document.is_metadata(entry))
}

/// Whether a value or comment of a document is a ciphertext.
pub(super) fn holds_tokens(document: &dyn Document) -> bool {
    let tree = document.tree();
    let mut nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
    nodes.any(|node| tree[node].text.get(document.source()).starts_with(TOKEN) && !document.is_metadata(node))
}

/// Whether a document has a ciphertext anywhere, be it in its metadata.
pub fn holds_ciphertexts(document: &dyn Document) -> bool {
    let tree = document.tree();
    let mut nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
    nodes.any(|node| tree[node].text.get(document.source()).starts_with(TOKEN))
}

/// Whether a file is meant to be encrypted, though it may be broken: in folders full of other files, one that is must
/// not be skipped.
pub fn is_meant_to_be_encrypted(format: Format, file: &SecretBytes) -> bool {
    let has_token = holds(file, TOKEN);
    if format == Format::Binary {
        // Any text may speak of ciphertexts; an encrypted binary file is JSON.
        return has_token && file.trim_ascii_start().starts_with(b"{");
    }
    if super::looks_encrypted(file) || !may_be_more_than_plaintext(format, file) {
        return has_token;
    }
    document::parse(format, file.clone(), true)
        .map_or(has_token, |document| Nature::of(&*document).is_meant())
}

/// The types that an encrypted file may have beside that of its name, in the order in which they are tried. Only a filter:
/// without metadata there is none, and names can be spelled with escapes in YAML and JSON alone.
pub fn other_types(by_name: Format, file: &[u8]) -> &'static [Format] {
    // The names of metadata where each type has them: what is there makes it a file of its own type.
    let own = match by_name {
        Format::Yaml => "\nsops:",
        Format::Json => "\"sops\":",
        Format::Dotenv => "\nsops_",
        Format::Ini => "\n[sops]",
        Format::Binary => "",
    };
    if by_name != Format::Binary && holds(file, own) {
        return &[];
    }
    if holds(file, TOKEN) || holds(file, "lastmodified") {
        return &[Format::Json, Format::Yaml, Format::Ini, Format::Dotenv];
    }
    let is_read_with_escapes = matches!(by_name, Format::Yaml | Format::Json);
    match !is_read_with_escapes && may_be_more_than_plaintext(Format::Yaml, file) {
        true => &[Format::Json, Format::Yaml],
        false => &[],
    }
}

/// What a file is when it is read as a type; `None` where it cannot be read so. Only JSON of nothing but `data` and the
/// metadata is a binary file.
pub fn nature_as(format: Format, file: &SecretBytes) -> Option<Nature> {
    let document = document::parse(format, file.clone(), true).ok()?;
    let tree = document.tree();
    let is_other = |&root: &document::NodeId| tree.entries(root).count() != 2;
    if format == Format::Binary && tree.documents().iter().any(is_other) {
        return None;
    }
    Some(Nature::of(&*document))
}

/// Whether a file may be anything but plaintext, without parsing it. Only a filter: names and ciphertexts can be
/// spelled with escapes, and in YAML with tags.
pub fn may_be_more_than_plaintext(format: Format, file: &[u8]) -> bool {
    let is_spelled = |file: &[u8]| match format {
        Format::Yaml => file.iter().any(|byte| matches!(byte, b'\\' | b'!')),
        Format::Json | Format::Binary => file.contains(&b'\\'),
        Format::Dotenv | Format::Ini => false,
    };
    holds(file, document::METADATA_KEY) || holds(file, TOKEN) || is_spelled(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";
    const METADATA: &str =
        "lastmodified: '2026-01-01T00:00:00Z', version: 3.13.3, age: [{recipient: a, enc: b}]";

    fn nature(format: Format, text: &str) -> String {
        let document = document::parse(format, SecretBytes::new(text.into()), true).unwrap();
        match Nature::of(&*document) {
            Nature::Damaged(why) => format!("Damaged: {}", why.message()),
            nature => format!("{nature:?}"),
        }
    }

    #[test]
    fn a_document_is_one_of_four_things() {
        for (text, expected) in [
            (format!("a: {TOKEN}\nsops: {{{METADATA}, mac: x}}\n"), "Encrypted"),
            // Nothing of it was to be encrypted, or it was all empty.
            (format!("a: ''\nb: ~\nc: []\nsops: {{{METADATA}, mac: x}}\n"), "Encrypted"),
            (format!("a: {TOKEN}\nsops: {{{METADATA}}}\n"), "Encrypted"),
            (format!("# {TOKEN}\na: 1\nsops: {{{METADATA}, mac: x, unknown: {{a: 1}}}}\n"), "Encrypted"),
            (format!("a: {TOKEN}\n\"\\x73ops\": {{{METADATA}, mac: x}}\n"), "Encrypted"),
            (format!("a: {TOKEN}\n!!binary c29wcw==: {{{METADATA}, mac: x}}\n"), "Encrypted"),
            ("a: 1\n".to_owned(), "Plaintext"),
            (String::new(), "Plaintext"),
            (format!("a: |\n  b: {TOKEN}\n"), "Plaintext"),
            (
                format!("a: {TOKEN}\n"),
                "Damaged: sops metadata not found, without which its values cannot be decrypted",
            ),
            (
                format!("#{TOKEN}\na: 1\n"),
                "Damaged: sops metadata not found, without which its values cannot be decrypted",
            ),
            (
                format!("a: \"\\x45NC{}\"\n", &TOKEN[3..]),
                "Damaged: sops metadata not found, without which its values cannot be decrypted",
            ),
            (
                format!("a: 1\nsops: {{{METADATA}}}\n"),
                "Damaged: it has the metadata of an encrypted file, but neither a MAC nor a ciphertext",
            ),
            (
                "a: 1\nsops: {mac: x, version: 3.13.3}\n".to_owned(),
                "Damaged: the sops metadata cannot be used: lastmodified `` is not a time as in 2026-01-31T12:00:00Z",
            ),
            (
                format!("a: {TOKEN}\nsops: 1\n"),
                "Damaged: the entry \"sops\" is not a map, so it is not metadata",
            ),
            ("sops:\n    enabled: true\n".to_owned(), "Reserved"),
            ("sops: [1]\n".to_owned(), "Reserved"),
            ("a: 1\n---\nsops: 1\n".to_owned(), "Reserved"),
        ] {
            assert_eq!(nature(Format::Yaml, &text), expected, "{text}");
        }
        assert_eq!(nature(Format::Json, "{\"\\u0073ops\": {\"a\": 1}}"), "Reserved");
        assert_eq!(nature(Format::Dotenv, "A=1\nsops_pw=x\n"), "Reserved");
        assert_eq!(nature(Format::Ini, "[sops]\npw = x\n"), "Reserved");
    }

    #[test]
    fn what_is_meant_to_be_encrypted_is_not_passed_by() {
        let meant = |format, text: &str| is_meant_to_be_encrypted(format, &SecretBytes::new(text.into()));
        for (text, expected) in [
            (format!("a: {TOKEN}\nsops:\n    mac: x\n"), true),
            (format!("a: {TOKEN}\nsops: [\n"), true),
            (format!("a: {TOKEN}\n"), true),
            (format!("a: {TOKEN}\nb: [\n"), true),
            ("a: ''\nsops:\n    mac: x\n".to_owned(), true),
            (format!("a: ''\n\"\\x73ops\": {{{METADATA}, mac: x}}\n"), true),
            (format!("a: ''\n!!binary c29wcw==: {{{METADATA}, mac: x}}\n"), true),
            ("a: 1\nsops:\n    enabled: true\n".to_owned(), false),
            ("a: we use sops\n".to_owned(), false),
            ("a: we use sops\nb: [\n".to_owned(), false),
            (format!("a: |\n  b: {TOKEN}\n"), false),
            (String::new(), false),
        ] {
            assert_eq!(meant(Format::Yaml, &text), expected, "{text}");
        }
        assert!(meant(Format::Binary, &format!("{{\"data\": \"{TOKEN}\"}}")));
        assert!(!meant(Format::Binary, &format!("sops writes {TOKEN}\n")));
    }
}
