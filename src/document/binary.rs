//! Files without a shape. Encrypted, such a file is a JSON document with the ciphertext under `data` and the metadata
//! under `sops`, laid out as sops does.
//!
//! A plain one is held once, as it is: its [`Document::payload`] is the plaintext of its one leaf. Its `source` is the
//! envelope without the value, so that edits make the encrypted file, and no JSON text of the plaintext is ever made.
//! For the same reason a decrypted envelope has no edits: the plain file is the byte form of the value of `data`.

use super::*;

/// The envelope of sops (`BinaryStore` in `stores/json/store.go`) before its value and metadata are put in.
const ENVELOPE: &str = "{\n\t\"data\": \"\"\n}\n";
const DATA: &str = "data";

/// A binary file, or the encrypted envelope of one.
pub struct BinaryDocument {
    envelope: JsonDocument,
    payload: Option<SecretBytes>,
}

impl BinaryDocument {
    /// A plain file.
    pub fn from_bytes(file: SecretBytes) -> Result<Self> {
        let envelope = JsonDocument::parse(SecretString::new(ENVELOPE.to_owned()))?;
        Ok(Self { envelope, payload: Some(file) })
    }

    /// An encrypted file.
    pub fn parse_envelope(source: SecretString) -> Result<Self> {
        if ["age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE"]
            .iter()
            .any(|start| source.starts_with(start))
        {
            return Err(Error::new(Kind::Read, "this is a file of age, not of sops")
                .advise("open it with `age -d -i IDENTITY FILE`"));
        }
        if !source.trim_start().starts_with('{') {
            return Err(Error::new(Kind::Read, "this is not an encrypted binary file, which would be a JSON object").advise(
                "if it is yaml, json, dotenv or ini, say so with --input-type; if it is not encrypted yet, run \
                 `sealant encrypt`",
            ));
        }
        let envelope = JsonDocument::parse(source)?;
        data_of(&envelope)?;
        if let Some((message, line)) = repeated(&envelope) {
            return Err(Error::new(Kind::Read, message).on_line(line));
        }
        Ok(Self { envelope, payload: None })
    }
}

/// The string under `data`, which alone a binary file can be made of.
pub(super) fn data_of(document: &dyn Document) -> Result<NodeId> {
    let (tree, source) = (document.tree(), document.source());
    let entry = tree
        .documents()
        .first()
        .and_then(|&root| tree.entry(source, root, DATA))
        .map(|entry| tree.resolve(entry));
    entry.filter(|&entry| matches!(document.value(entry), Ok(Value::Str(_)))).ok_or_else(|| {
        let error = Error::new(Kind::Emit, format!("no binary data: there is no string under {DATA:?}"));
        error.advise(
            "this is probably not an encrypted binary file: name its format with --input-type or --output-type",
        )
    })
}

/// The content of a plain file whose envelope was edited as a document: it may have become another text, but nothing
/// else.
pub fn binary_content(envelope: SecretBytes) -> Result<SecretBytes> {
    let document = JsonDocument::parse(into_text(envelope)?)?;
    let is_alone = document.tree().documents().iter().all(|&root| document.tree().entries(root).count() == 1);
    match data_of(&document).and_then(|data| document.value(data)) {
        Ok(value) if is_alone => Ok(value.into_plaintext()),
        _ => Err(Error::new(
            Kind::SetFormat,
            format!("a binary file has one value, a string: its content, at [{DATA:?}]"),
        )
        .advise("change it with `sealant edit FILE`")),
    }
}

impl Document for BinaryDocument {
    fn format(&self) -> Format {
        Format::Binary
    }

    fn source(&self) -> &str {
        self.envelope.source()
    }

    fn into_source(self: Box<Self>) -> SecretString {
        Box::new(self.envelope).into_source()
    }

    fn tree(&self) -> &Tree {
        self.envelope.tree()
    }

    fn value(&self, leaf: NodeId) -> Result<Value> {
        match &self.payload {
            Some(payload) => Ok(Value::Str(payload.clone())),
            None => self.envelope.value(leaf),
        }
    }

    fn borrowed(&self, leaf: NodeId) -> Option<&str> {
        self.payload.is_none().then(|| self.envelope.borrowed(leaf)).flatten()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload.as_ref().map(|payload| payload.as_slice())
    }

    fn put_token(&self, leaf: NodeId, token: &str) -> Edits {
        self.envelope.put_token(leaf, token)
    }

    /// A file of bytes has one spelling: nothing has to be remembered.
    fn spelling_after_token(&self, leaf: NodeId, _: &Value) -> SecretString {
        SecretString::new(self.spelling(leaf).to_owned())
    }

    fn spelling(&self, leaf: NodeId) -> &str {
        self.envelope.spelling(leaf)
    }

    fn put_value(&self, _: NodeId, _: &Value) -> Result<Edits> {
        Err(Error::new(Kind::Emit, "a binary file has no paths in it: it is written as a whole"))
    }

    fn put_spelling(&self, leaf: NodeId, spelling: &str) -> Edits {
        self.envelope.put_spelling(leaf, spelling)
    }

    fn put_comment(&self, leaf: NodeId, text: &str) -> Result<Edits> {
        self.envelope.put_comment(leaf, text)
    }

    fn replace(&self, node: NodeId, data: &Data) -> Result<Edits> {
        self.envelope.replace(node, data)
    }

    fn insert(
        &self,
        container: NodeId,
        key: Option<&str>,
        before: Option<NodeId>,
        data: &Data,
    ) -> Result<Edits> {
        self.envelope.insert(container, key, before, data)
    }

    fn remove(&self, nodes: &[NodeId]) -> Result<Edits> {
        self.envelope.remove(nodes)
    }

    fn metadata(&self) -> Result<Option<Data>> {
        self.envelope.metadata()
    }

    fn put_metadata(&self, metadata: Option<&Data>) -> Result<Edits> {
        self.envelope.put_metadata(metadata)
    }

    fn is_metadata(&self, node: NodeId) -> bool {
        self.envelope.is_metadata(node)
    }

    fn plaintext_file(&self) -> Result<SecretBytes> {
        Ok(self.value(data_of(&self.envelope)?)?.into_plaintext())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::testing::{read, refusal};

    #[test]
    fn a_file_becomes_the_envelope_of_sops() {
        let bytes = vec![0, 0xff, b'"', b'\n'];
        let document = parse(Format::Binary, SecretBytes::new(bytes.clone()), false).unwrap();
        assert_eq!(document.payload(), Some(&bytes[..]));
        assert_eq!(*document.plaintext_file().unwrap(), bytes);
        let leaf = data_of(&*document).unwrap();
        assert_eq!(*document.value(leaf).unwrap().to_plaintext(), bytes);
        assert_eq!(
            *document.spelling_after_token(leaf, &document.value(leaf).unwrap()),
            *document.spelling(leaf)
        );

        let mut edits = document.put_token(leaf, "ENC[x]");
        edits.merge(document.put_metadata(Some(&json!({"mac": "m"}))).unwrap());
        let envelope = edits.apply(document.source());
        assert_eq!(*envelope, "{\n\t\"data\": \"ENC[x]\",\n\t\"sops\": {\n\t\t\"mac\": \"m\"\n\t}\n}\n");

        let document = read(Format::Binary, &envelope);
        assert_eq!(document.format(), Format::Binary);
        assert_eq!(document.metadata().unwrap(), Some(json!({"mac": "m"})));
        assert_eq!(document.value(data_of(&*document).unwrap()).unwrap().as_str(), Some("ENC[x]"));
    }

    #[test]
    fn an_edited_envelope_gives_a_content_and_nothing_else() {
        let content = |text: &str| binary_content(SecretBytes::new(text.into()));
        assert_eq!(**content("{\"data\": \"a\\nb\"}").unwrap(), *b"a\nb");
        for text in ["{}", "{\"data\": 1}", "{\"data\": {}}", "{\"data\": \"a\", \"b\": 1}"] {
            assert_eq!(content(text).unwrap_err().kind(), Kind::SetFormat, "{text}");
        }
    }

    #[test]
    fn an_envelope_without_data_is_refused() {
        for source in ["", "a: 1\n", "[]"] {
            assert!(
                refusal(Format::Binary, source).starts_with("this is not an encrypted binary file"),
                "{source:?}"
            );
        }
        for source in ["{}", "{\"data\": 1}", "{\"data\": {}}"] {
            assert_eq!(refusal(Format::Binary, source), "no binary data: there is no string under \"data\"");
        }
    }
}
