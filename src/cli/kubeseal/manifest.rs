//! Secrets and SealedSecrets as kubeseal reads and writes them.
//!
//! YAML is read as Kubernetes' Go programs read it, by version 1.1: `yes` is true, and a value that is not a text becomes one
//! where a text belongs. A stream that begins with `{` is JSON.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Map, Value as Data, json};

use crate::bitnami::{API_VERSION, KIND, Scope, decode_base64};
use crate::document::{self, Document, Format, NodeId, NodeKind, Style, Value, to_data};
use crate::error::{Error, Kind, Result};
use crate::secret::{SecretBytes, SecretString};

/// Annotations in which programs keep the whole Secret.
const LAST_APPLIED: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "kubecfg.ksonnet.io/last-applied-configuration"];

/// A Secret that is to be sealed.
#[derive(Default)]
pub struct Secret {
    pub name: String,
    pub namespace: String,
    pub annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    /// What else of its metadata goes into the template.
    others: Map<String, Data>,
    kind: String,
    immutable: Option<bool>,
    /// Its values, those of `stringData` among them.
    pub values: BTreeMap<String, SecretBytes>,
}

impl Secret {
    /// Reads a document; `None` where it has nothing that a Secret has.
    pub fn read(document: &dyn Document) -> Result<Option<Self>> {
        let Some(&root) = document.tree().documents().first() else { return Ok(None) };
        Self::read_at(document, root)
    }

    /// Reads an object in a document, such as one of a List.
    pub fn read_at(document: &dyn Document, object: NodeId) -> Result<Option<Self>> {
        let reader = Reader { document };
        let (mut secret, mut is_empty) = (Self::default(), true);
        for (key, node) in reader.entries(object)? {
            is_empty = false;
            match key.as_str() {
                "metadata" => secret.read_metadata(&reader, node)?,
                "type" => secret.kind = reader.text(node)?.to_string(),
                "immutable" => secret.immutable = reader.truth(node)?,
                "data" => {
                    for (key, node) in reader.entries(node)? {
                        let text = reader.text(node)?;
                        let value = decode_base64(&text).map_err(|at| {
                            reader.refuse(node, &format!("illegal base64 data at input byte {at}"))
                        })?;
                        secret.values.entry(key).or_insert(value);
                    }
                }
                "stringData" => {
                    for (key, node) in reader.entries(node)? {
                        let value = SecretBytes::new(reader.text(node)?.as_bytes().to_vec());
                        secret.values.insert(key, value);
                    }
                }
                _ => {}
            }
        }
        Ok((!is_empty).then_some(secret))
    }

    fn read_metadata(&mut self, reader: &Reader<'_>, metadata: NodeId) -> Result<()> {
        for (key, node) in reader.entries(metadata)? {
            match key.as_str() {
                "name" => self.name = reader.text(node)?.to_string(),
                "namespace" => self.namespace = reader.text(node)?.to_string(),
                "labels" => self.labels = reader.texts(node)?,
                "annotations" => self.annotations = reader.texts(node)?,
                "generateName" | "finalizers" | "managedFields" => {
                    self.others.insert(key, to_data(reader.document, node)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn scope(&self) -> Scope {
        Scope::of(&self.annotations)
    }

    pub fn set_scope(&mut self, scope: Scope) {
        for one in [Scope::Namespace, Scope::Cluster] {
            let Some(annotation) = one.annotation() else { continue };
            self.annotations.remove(annotation);
            if one == scope {
                self.annotations.insert(annotation.to_owned(), "true".to_owned());
            }
        }
    }

    /// The SealedSecret with these items, its fields in the order in which Go writes them.
    pub fn sealed(&self, items: &BTreeMap<String, String>) -> Data {
        let mut metadata = Map::new();
        put(&mut metadata, "name", &self.name);
        let mut own = metadata.clone();
        put(&mut own, "namespace", &self.namespace);
        if let Some(annotation) = self.scope().annotation() {
            own.insert("annotations".to_owned(), json!({annotation: "true"}));
        }
        if let Some(name) = self.others.get("generateName") {
            metadata.insert("generateName".to_owned(), name.clone());
        }
        put(&mut metadata, "namespace", &self.namespace);
        let mut annotations = self.annotations.clone();
        annotations.retain(|key, _| !LAST_APPLIED.contains(&key.as_str()));
        for (key, texts) in [("labels", &self.labels), ("annotations", &annotations)] {
            if !texts.is_empty() {
                metadata.insert(key.to_owned(), json!(texts));
            }
        }
        for key in ["finalizers", "managedFields"] {
            if let Some(data) = self.others.get(key) {
                metadata.insert(key.to_owned(), data.clone());
            }
        }
        let mut template = Map::from_iter([("metadata".to_owned(), Data::Object(metadata))]);
        put(&mut template, "type", &self.kind);
        if let Some(immutable) = self.immutable {
            template.insert("immutable".to_owned(), immutable.into());
        }
        json!({
            "kind": KIND,
            "apiVersion": API_VERSION,
            "metadata": own,
            "spec": {"template": template, "encryptedData": items},
        })
    }
}

fn put(map: &mut Map<String, Data>, key: &str, text: &str) {
    if !text.is_empty() {
        map.insert(key.to_owned(), text.into());
    }
}

/// The documents of a stream, each by itself: one that cannot be read is an error of its own. A line of `---` parts those of
/// YAML; those of JSON follow each other.
pub fn documents(bytes: &SecretBytes) -> Result<Vec<Result<Box<dyn Document>>>> {
    let text = str::from_utf8(bytes).map_err(|_| {
        Error::new(Kind::Read, "no secrets found. Ensure the input is valid and UTF-8 encoded")
    })?;
    let (format, texts) = match text.trim_start().starts_with('{') {
        true => (Format::Json, json_texts(text)?),
        false => (Format::Yaml, yaml_texts(text)),
    };
    let texts = texts.into_iter().filter(|text| !text.trim().is_empty());
    Ok(texts.map(|text| document::parse(format, SecretBytes::new(text.into()), false)).collect())
}

/// The same with all documents of YAML in one, as they are in a file that is to be changed.
pub fn streams(bytes: &SecretBytes) -> Result<Vec<Box<dyn Document>>> {
    match bytes.trim_ascii_start().starts_with(b"{") {
        true => documents(bytes)?.into_iter().collect(),
        false => Ok(vec![document::parse(Format::Yaml, SecretBytes::new(bytes.to_vec()), false)?]),
    }
}

fn yaml_texts(text: &str) -> Vec<&str> {
    let (mut texts, mut from, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        if line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty()) {
            texts.push(&text[from..at]);
            from = end;
        }
        at = end;
    }
    texts.push(&text[from..]);
    texts
}

fn json_texts(text: &str) -> Result<Vec<&str>> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut texts, mut from) = (Vec::new(), 0);
    while let Some(value) = values.next() {
        value.map_err(|error| Error::new(Kind::Read, "this is not JSON").on_line(error.line()))?;
        texts.push(&text[from..values.byte_offset()]);
        from = values.byte_offset();
    }
    Ok(texts)
}

/// Reads fields of a document.
struct Reader<'d> {
    document: &'d dyn Document,
}

impl Reader<'_> {
    /// The entries of a map; none where there is null.
    fn entries(&self, node: NodeId) -> Result<Vec<(String, NodeId)>> {
        let (tree, source) = (self.document.tree(), self.document.source());
        let map = tree.resolve(node);
        match tree[map].kind {
            NodeKind::Map => {}
            NodeKind::Scalar if matches!(self.document.value(map)?, Value::Null) => return Ok(Vec::new()),
            _ => return Err(self.refuse(node, "it has to be a map")),
        }
        let mut entries = Vec::new();
        for entry in tree.entries(map) {
            let key = tree[entry].key.get(source);
            if key == "<<" {
                return Err(self.refuse(entry, "merge keys are not read here: write out what they merge"));
            }
            let written = source.get(tree[entry].key_span.range()).unwrap_or_default();
            let is_plain = !written.starts_with(['"', '\'']);
            let truth = Some(key).filter(|_| is_plain && self.is_yaml()).and_then(truth);
            entries.push((truth.map_or_else(|| key.to_owned(), |truth| truth.to_string()), entry));
        }
        Ok(entries)
    }

    fn is_yaml(&self) -> bool {
        self.document.format() == Format::Yaml
    }

    fn texts(&self, node: NodeId) -> Result<BTreeMap<String, String>> {
        let entries = self.entries(node)?.into_iter();
        entries.map(|(key, node)| Ok((key, self.text(node)?.to_string()))).collect()
    }

    /// A text, or in YAML what a value is as a text.
    fn text(&self, node: NodeId) -> Result<SecretString> {
        let text = match self.scalar(node)? {
            Value::Null => String::new(),
            Value::Str(bytes) => match str::from_utf8(&bytes) {
                Ok(text) => return Ok(SecretString::new(text.to_owned())),
                Err(_) => return Err(self.refuse(node, "it has to be text in UTF-8")),
            },
            Value::Time(text) => text,
            Value::Bool(truth) => truth.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
        };
        Ok(SecretString::new(text))
    }

    fn truth(&self, node: NodeId) -> Result<Option<bool>> {
        match self.scalar(node)? {
            Value::Null => Ok(None),
            Value::Bool(truth) => Ok(Some(truth)),
            _ => Err(self.refuse(node, "it has to be true or false")),
        }
    }

    /// A scalar, by version 1.1 of YAML: a time stays the text that it is.
    fn scalar(&self, node: NodeId) -> Result<Value> {
        let (tree, source) = (self.document.tree(), self.document.source());
        let node = tree.resolve(node);
        let Some(written) = Some(&tree[node]).filter(|node| node.kind == NodeKind::Scalar) else {
            return Err(self.refuse(node, "it has to be a string"));
        };
        let text = written.text.get(source);
        let is_plain = written.style == Style::Plain && self.is_yaml();
        match (self.document.value(node)?, truth(text)) {
            (Value::Str(_), Some(truth)) if is_plain => Ok(Value::Bool(truth)),
            (Value::Time(_), _) => Ok(Value::str(text)),
            (value, _) => Ok(value),
        }
    }

    fn refuse(&self, node: NodeId, why: &str) -> Error {
        let path = self.document.tree().path_of(self.document.source(), node);
        Error::new(Kind::Read, format!("{path}: {why}")).on_line(self.document.line(node))
    }
}

/// What a plain text is in YAML 1.1, if it is true or false.
fn truth(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A SealedSecret that was read: which one, and all that is in it.
pub struct Sealed {
    pub name: String,
    pub namespace: String,
    pub annotations: BTreeMap<String, String>,
    pub data: Data,
}

impl Sealed {
    /// Reads a document of a stream.
    pub fn read(document: &dyn Document, root: NodeId) -> Result<Self> {
        let reader = Reader { document };
        let mut found = Secret::default();
        for wanted in [("apiVersion", API_VERSION), ("kind", KIND)] {
            let entry = reader.entries(root)?.into_iter().find(|(key, _)| key == wanted.0);
            let text = entry.map(|(_, node)| reader.text(node)).transpose()?;
            if text.is_none_or(|text| text.as_str() != wanted.1) {
                let why = format!("this is not a {KIND} of {API_VERSION}");
                return Err(Error::new(Kind::Read, why).on_line(document.line(root)));
            }
        }
        for (key, node) in reader.entries(root)? {
            if key == "metadata" {
                found.read_metadata(&reader, node)?;
            }
        }
        let Secret { name, namespace, annotations, .. } = found;
        Ok(Self { name, namespace, annotations, data: to_data(document, root)? })
    }
}

/// An object as kubeseal prints it: YAML begins with `---` and has its keys sorted.
pub fn printed(object: &Data, format: Format) -> SecretString {
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(object).unwrap_or_default();
            // As Go writes it, for whoever puts it into HTML.
            let escaped = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
            SecretString::new(escaped + "\n")
        }
        _ => SecretString::new(format!("---\n{}", document::yaml_of(&sorted(object)))),
    }
}

fn sorted(data: &Data) -> Data {
    match data {
        Data::Object(map) => {
            let map: BTreeMap<&String, Data> = map.iter().map(|(key, data)| (key, sorted(data))).collect();
            Data::Object(map.into_iter().map(|(key, data)| (key.clone(), data)).collect())
        }
        Data::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Option<Secret>>> {
        let documents = documents(&SecretBytes::new(text.into())).unwrap();
        documents.into_iter().map(|document| Secret::read(&*document?)).collect()
    }

    #[test]
    fn yaml_is_read_by_its_old_rules_where_a_text_belongs() {
        let text =
            "metadata: {name: 5, namespace: n}\nstringData: {a: yes, b: 0x10, c: 2001-01-01, d: 'no'}\n";
        let secret = read(text).remove(0).unwrap().unwrap();
        assert_eq!((secret.name.as_str(), secret.namespace.as_str()), ("5", "false"));
        let values = secret.values.values().map(|value| str::from_utf8(value).unwrap());
        assert_eq!(values.collect::<Vec<_>>(), ["true", "16", "2001-01-01", "no"]);
        let keys = read("metadata: {labels: {n: '5', 'y': '6'}}\n").remove(0).unwrap().unwrap();
        assert_eq!(keys.labels.keys().collect::<Vec<_>>(), ["false", "y"]);
    }

    #[test]
    fn streams_are_taken_apart() {
        let names = |text: &str| {
            let secrets = read(text).into_iter().flatten().flatten();
            secrets.map(|secret| secret.name).collect::<Vec<_>>()
        };
        assert_eq!(names("---\nmetadata: {name: a}\n--- \n\n---\nmetadata: {name: b}\n"), ["a", "b"]);
        assert_eq!(
            names("{\"metadata\": {\"name\": \"a\"}} {\"metadata\": {\"name\": \"b\"}}\n"),
            ["a", "b"]
        );
        assert_eq!(names("a: [\n---\nmetadata: {name: b}\n"), ["b"]);
        assert!(read("# nothing\n").iter().flatten().flatten().next().is_none());
    }

    #[test]
    fn values_are_base64_or_texts_and_texts_win() {
        let secret = read("data: {a: eA==, b: eQ==}\nstringData: {b: z}\n").remove(0).unwrap().unwrap();
        let values = secret.values.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        assert_eq!(values.collect::<Vec<_>>(), [("a", &b"x"[..]), ("b", b"z")]);
        let error = read("data: {a: '$'}\n").remove(0).err().unwrap().to_string();
        assert!(error.contains("data.a: illegal base64 data at input byte 0"), "{error}");
    }
}
