//! The Secret behind a SealedSecret, in plaintext: read from a manifest, and written as people read it.
//!
//! Owns what of a Secret's manifest counts, and that nothing in it is passed over: a misspelt field would lose values.
//! What becomes of labels and annotations when it is sealed is not decided here.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Data, json};
use zeroize::Zeroizing;

use super::check::check_item_name;
use crate::document::{self, Document, Format, NodeId, NodeKind, Value};
use crate::error::{Error, Kind, Result};
use crate::secret::{SecretBytes, SecretString};

/// Standard base64 as Kubernetes decodes it: padding required, spare bits of the last character ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Fields of a Secret's metadata that a cluster puts there, or that mean nothing outside of it.
const RUNTIME_FIELDS: [&str; 10] = [
    "managedFields",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generateName",
    "finalizers",
    "ownerReferences",
    "selfLink",
    "generation",
    "deletionTimestamp",
];

/// A Secret in plaintext.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret {
    pub name: String,
    pub namespace: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The `type`.
    pub kind: Option<String>,
    pub immutable: Option<bool>,
    pub items: BTreeMap<String, SecretBytes>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<_> = self.items.keys().collect();
        f.debug_struct("Secret").field("name", &self.name).field("items", &items).finish_non_exhaustive()
    }
}

impl Secret {
    /// Reads the `v1` Secret at a node of a plaintext document.
    pub fn read(document: &dyn Document, node: NodeId) -> Result<Self> {
        let reader = Reader { document };
        let mut secret = Self::default();
        for (key, node) in reader.entries(node, "the Secret")? {
            match key {
                "apiVersion" | "kind" | "status" => {}
                "metadata" => reader.metadata(node, &mut secret)?,
                "type" => secret.kind = Some(reader.text(node, key)?.to_owned()),
                "immutable" => secret.immutable = Some(reader.bool(node, key)?),
                "data" | "stringData" => {}
                _ => {
                    let advice = "A Secret has metadata, type, immutable, data and stringData.";
                    return Err(reader.error(node, format!("a Secret has no field `{key}`")).advise(advice));
                }
            }
        }
        // stringData comes last, since it wins over data, as in Kubernetes.
        reader.items(node, ["data", "stringData"], &mut secret)?;
        Ok(secret)
    }

    /// Reads an entry of a list of Secrets: with its name, labels and annotations beside its values, and without a namespace.
    /// In such a list `data` wins over `stringData`.
    pub fn read_entry(document: &dyn Document, node: NodeId) -> Result<Self> {
        let reader = Reader { document };
        let mut secret = Self::default();
        for (key, node) in reader.entries(node, "the entry")? {
            match key {
                "name" | "labels" | "annotations" => reader.metadatum(key, node, &mut secret)?,
                "type" => secret.kind = Some(reader.text(node, key)?.to_owned()),
                "data" | "stringData" => {}
                _ => return Err(reader.error(node, format!("an entry has no field `{key}`"))),
            }
        }
        reader.items(node, ["stringData", "data"], &mut secret)?;
        Ok(secret)
    }

    /// Its manifest in YAML, with the items at its end.
    pub fn to_yaml(&self) -> SecretString {
        let mut text = self.to_yaml_with(&|_| false);
        if self.items.is_empty() {
            text.push_str("stringData: {}\n");
        }
        text
    }

    /// The same, with these items in base64 even if they are text, and without a field for none at all.
    pub fn to_yaml_with(&self, is_binary: &dyn Fn(&str) -> bool) -> SecretString {
        let Spelled { texts, bytes } = self.spelled(is_binary);
        let mut parts = vec![SecretString::new(document::yaml_of(&self.head()))];
        let field = |name: &str| SecretString::new(name.to_owned());
        if !bytes.is_empty() {
            parts.push(field("data:\n"));
            parts.extend(bytes.iter().map(|(key, text)| document::yaml_entry(key, text, 2)));
        }
        if !texts.is_empty() {
            parts.push(field("stringData:\n"));
            parts.extend(texts.iter().map(|(key, text)| document::yaml_entry(key, text, 2)));
        }
        // With room for all of it no copy stays behind in a buffer that was outgrown.
        let mut out = SecretString::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
        out.extend(parts.iter().map(|part| part.as_str()));
        out
    }

    /// Its manifest in JSON.
    pub fn to_json(&self) -> Result<SecretString> {
        // What holds plaintext is written at once, without a copy of it on the way.
        struct Manifest<'a>(&'a Secret);
        struct Texts<'a>(&'a [(&'a str, &'a str)]);
        impl Serialize for Manifest<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                let Spelled { texts, bytes } = self.0.spelled(&|_| false);
                let bytes: Vec<_> = bytes.iter().map(|(key, text)| (*key, text.as_str())).collect();
                let mut map = serializer.serialize_map(None)?;
                for (key, data) in self.0.head().as_object().into_iter().flatten() {
                    map.serialize_entry(key, data)?;
                }
                if !bytes.is_empty() {
                    map.serialize_entry("data", &Texts(&bytes))?;
                }
                if bytes.is_empty() || !texts.is_empty() {
                    map.serialize_entry("stringData", &Texts(&texts))?;
                }
                map.end()
            }
        }
        impl Serialize for Texts<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().copied())
            }
        }
        // With room for all of it no copy stays behind in a buffer that was outgrown: a byte can become an escape of six.
        let items: usize = self.items.iter().map(|(key, value)| 16 + key.len() + 6 * value.len()).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(256 + 4 * self.head().to_string().len() + items));
        serde_json::to_writer_pretty(&mut *out, &Manifest(self))
            .map_err(|_| Error::new(Kind::Emit, "the Secret cannot be written as JSON"))?;
        out.push(b'\n');
        String::from_utf8(std::mem::take(&mut *out))
            .map(SecretString::new)
            .map_err(|_| Error::new(Kind::Emit, "the Secret cannot be written as JSON"))
    }

    /// The items that are text, and the others in base64.
    fn spelled(&self, is_binary: &dyn Fn(&str) -> bool) -> Spelled<'_> {
        let Spelled { mut texts, mut bytes } = Spelled::default();
        for (key, value) in &self.items {
            match std::str::from_utf8(value) {
                Ok(text) if !is_binary(key) => texts.push((key.as_str(), text)),
                _ => bytes.push((key.as_str(), Zeroizing::new(BASE64.encode(value.as_slice())))),
            }
        }
        Spelled { texts, bytes }
    }

    /// The manifest without its items.
    fn head(&self) -> Data {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), self.name.clone().into());
        if let Some(namespace) = &self.namespace {
            metadata.insert("namespace".to_owned(), namespace.clone().into());
        }
        for (field, map) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !map.is_empty() {
                metadata.insert(field.to_owned(), json!(map));
            }
        }
        let mut head = Map::new();
        head.insert("apiVersion".to_owned(), "v1".into());
        head.insert("kind".to_owned(), "Secret".into());
        head.insert("metadata".to_owned(), metadata.into());
        head.extend(self.kind.as_ref().map(|kind| ("type".to_owned(), kind.clone().into())));
        head.extend(self.immutable.map(|immutable| ("immutable".to_owned(), immutable.into())));
        Data::Object(head)
    }
}

/// The manifests of Secrets as one text.
pub fn manifests(secrets: &[Secret], format: Format) -> Result<SecretBytes> {
    let manifest = |secret: &Secret| match format {
        Format::Json => secret.to_json(),
        _ => Ok(secret.to_yaml()),
    };
    Ok(joined(&secrets.iter().map(manifest).collect::<Result<Vec<_>>>()?, format))
}

/// Several manifests as one output: documents of a YAML stream, or items of a List in JSON, which has no streams.
pub fn joined(manifests: &[SecretString], format: Format) -> SecretBytes {
    let mut parts: Vec<&str> = Vec::new();
    match (format, manifests) {
        (_, [only]) => parts.push(only),
        (Format::Json, _) => {
            parts.push("{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"List\",\n  \"items\": [");
            for (index, manifest) in manifests.iter().enumerate() {
                parts.push(if index == 0 { "" } else { "," });
                for line in manifest.lines() {
                    parts.extend(["\n    ", line]);
                }
            }
            parts.push("\n  ]\n}\n");
        }
        _ => {
            for (index, manifest) in manifests.iter().enumerate() {
                parts.extend([if index == 0 { "" } else { "---\n" }, manifest]);
            }
        }
    }
    // With room for all of it no copy stays behind in a buffer that was outgrown.
    let mut out = SecretBytes::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out
}

/// The items of a Secret by the field in which they stand.
#[derive(Default)]
struct Spelled<'s> {
    texts: Vec<(&'s str, &'s str)>,
    bytes: Vec<(&'s str, SecretString)>,
}

/// Decodes base64 as Kubernetes does, which passes over line breaks.
fn decode(text: &str) -> Option<SecretBytes> {
    if text.contains(['\n', '\r']) {
        let mut whole = SecretString::new(String::with_capacity(text.len()));
        whole.extend(text.split(['\n', '\r']));
        return BASE64.decode(whole.as_bytes()).ok().map(Zeroizing::new);
    }
    BASE64.decode(text).ok().map(Zeroizing::new)
}

/// Reads fields of a manifest. Errors name fields and lines, never values.
struct Reader<'d> {
    document: &'d dyn Document,
}

impl<'d> Reader<'d> {
    fn error(&self, node: NodeId, message: String) -> Error {
        Error::new(Kind::Read, message).on_line(self.document.line(node))
    }

    /// The entries of a map; none of what is null.
    fn entries(&self, map: NodeId, what: &str) -> Result<Vec<(&'d str, NodeId)>> {
        let (tree, source) = (self.document.tree(), self.document.source());
        let target = tree.resolve(map);
        match tree[target].kind {
            NodeKind::Map => {
                Ok(tree.entries(target).map(|entry| (tree[entry].key.get(source), entry)).collect())
            }
            _ if self.is_null(target) => Ok(Vec::new()),
            _ => Err(self.error(map, format!("{what} is not a map"))),
        }
    }

    fn entry(&self, map: NodeId, key: &str) -> Option<NodeId> {
        let tree = self.document.tree();
        tree.entry(self.document.source(), tree.resolve(map), key)
    }

    fn is_null(&self, node: NodeId) -> bool {
        self.document.tree()[node].kind == NodeKind::Scalar
            && matches!(self.document.value(node), Ok(Value::Null))
    }

    /// A string. What looks like a date is one, too, as Kubernetes reads it.
    fn text(&self, node: NodeId, what: &str) -> Result<&'d str> {
        let tree = self.document.tree();
        let target = tree.resolve(node);
        let scalar = tree[target].kind == NodeKind::Scalar;
        let value = if scalar { Some(self.document.value(target)?) } else { None };
        match value {
            Some(Value::Str(bytes)) if std::str::from_utf8(&bytes).ok() == Some(self.raw(target)) => {
                Ok(self.raw(target))
            }
            Some(Value::Time(_)) => Ok(self.raw(target)),
            Some(Value::Null) => Err(self
                .error(node, format!("{what} has no value"))
                .advise("Write \"\" for one that is empty.")),
            _ => Err(self
                .error(node, format!("{what} is not a string"))
                .advise("Put it in quotes, as Kubernetes requires.")),
        }
    }

    fn raw(&self, node: NodeId) -> &'d str {
        self.document.tree()[node].text.get(self.document.source())
    }

    fn bool(&self, node: NodeId, what: &str) -> Result<bool> {
        let target = self.document.tree().resolve(node);
        match self.document.tree()[target].kind {
            NodeKind::Scalar => match self.document.value(target)? {
                Value::Bool(bool) => Ok(bool),
                _ => Err(self.error(node, format!("{what} is neither true nor false"))),
            },
            _ => Err(self.error(node, format!("{what} is neither true nor false"))),
        }
    }

    /// Reads the values of these fields, of which the last wins.
    fn items(&self, node: NodeId, fields: [&str; 2], secret: &mut Secret) -> Result<()> {
        for field in fields {
            let map = self.entry(node, field);
            for (item, node) in map.map_or_else(|| Ok(Vec::new()), |map| self.entries(map, field))? {
                check_item_name(item).map_err(|error| error.on_line(self.document.line(node)))?;
                let text = self.text(node, &format!("{field}.{item}"))?;
                let bytes = match field {
                    "data" => decode(text).ok_or_else(|| {
                        self.error(node, format!("data.{item} is not base64")).advise(
                            "Values of data are base64; to write plain text, put it under stringData.",
                        )
                    })?,
                    _ => Zeroizing::new(text.as_bytes().to_vec()),
                };
                secret.items.insert(item.to_owned(), bytes);
            }
        }
        Ok(())
    }

    fn metadata(&self, metadata: NodeId, secret: &mut Secret) -> Result<()> {
        for (key, node) in self.entries(metadata, "metadata")? {
            match key {
                "name" | "namespace" | "labels" | "annotations" => self.metadatum(key, node, secret)?,
                _ if RUNTIME_FIELDS.contains(&key) || key == "deletionGracePeriodSeconds" => {}
                _ => {
                    let message = format!("the metadata of a Secret have no field `{key}`");
                    return Err(self.error(node, message));
                }
            }
        }
        Ok(())
    }

    /// One of the metadata that count.
    fn metadatum(&self, key: &str, node: NodeId, secret: &mut Secret) -> Result<()> {
        let what = format!("metadata.{key}");
        match key {
            "name" => secret.name = self.text(node, &what)?.to_owned(),
            "namespace" => secret.namespace = Some(self.text(node, &what)?.to_owned()),
            _ => {
                let entries = self.entries(node, &what)?.into_iter();
                let texts = entries.map(|(key, node)| {
                    Ok((key.to_owned(), self.text(node, &format!("{what}.{key}"))?.to_owned()))
                });
                let map = texts.collect::<Result<_>>()?;
                if key == "labels" { secret.labels = map } else { secret.annotations = map }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn read(text: &str) -> Result<Secret> {
        let document = yaml(text);
        Secret::read(&*document, document.tree().documents()[0])
    }

    fn reads(body: &str) -> Secret {
        read(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\n{body}")).unwrap()
    }

    #[test]
    fn several_manifests_are_a_stream_or_a_list() {
        let texts = |texts: &[&str]| -> Vec<SecretString> {
            texts.iter().map(|text| SecretString::new((*text).to_owned())).collect()
        };
        assert_eq!(*joined(&texts(&["a: 1\n"]), Format::Yaml), b"a: 1\n");
        assert_eq!(*joined(&texts(&["a: 1\n", "b: 2\n"]), Format::Yaml), b"a: 1\n---\nb: 2\n");
        assert_eq!(*joined(&texts(&["{}\n"]), Format::Json), b"{}\n");
        let list: serde_json::Value =
            serde_json::from_slice(&joined(&texts(&["{\n  \"a\": 1\n}\n", "{}\n"]), Format::Json)).unwrap();
        assert_eq!(list, serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [{"a": 1}, {}]}));
    }

    #[test]
    fn values_are_read_as_kubernetes_reads_them() {
        let cases = [
            ("data: {a: aHVudGVyMg==}", "a=hunter2"),
            ("data: {a: aHVudGVyMh==}", "a=hunter2"),
            ("data:\n  a: |\n    aHVu\n    dGVyMg==\n", "a=hunter2"),
            ("data: {a: ''}", "a="),
            ("stringData: {a: hunter2}", "a=hunter2"),
            ("stringData: {a: 2001-01-01}", "a=2001-01-01"),
            ("stringData: {a: 'yes'}", "a=yes"),
            ("stringData: {a: \"x\\ny\"}", "a=x\ny"),
            ("data: {a: eA==}\nstringData: {a: y}", "a=y"),
            ("stringData: {a: y}\ndata: {a: eA==}", "a=y"),
            ("data: &d {a: eA==}", "a=x"),
            ("stringData: {a: z}\ndata:\n", "a=z"),
        ];
        for (body, expected) in cases {
            assert_eq!(texts(&reads(body)), [expected], "{body}");
        }
        assert_eq!(*reads("data: {a: /w==}").items["a"], [0xff]);
    }

    #[test]
    fn what_is_no_secret_is_refused_with_its_line_and_without_its_value() {
        let cases = [
            ("data: {a: hunter2}", "line 1: data.a is not base64"),
            ("data: {a: aHVudGVyMg}", "line 1: data.a is not base64"),
            ("stringData: {a: 1234567}", "line 1: stringData.a is not a string"),
            ("stringData: {a: true}", "line 1: stringData.a is not a string"),
            ("stringData: {a: [hunter2]}", "line 1: stringData.a is not a string"),
            ("stringData: {a: }", "line 1: stringData.a has no value"),
            ("stringData: hunter2", "line 1: stringData is not a map"),
            ("stringData: {'a/b': x}", "line 1: \"a/b\" cannot be a key of a Secret"),
            ("stringdata: {a: hunter2}", "line 1: a Secret has no field `stringdata`"),
            ("metadata: {name: x, label: hunter2}", "line 1: the metadata of a Secret have no field `label`"),
            ("metadata: {name: 7}", "line 1: metadata.name is not a string"),
            ("immutable: 'true'", "line 1: immutable is neither true nor false"),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(!format!("{error} {:?}", error.advice()).contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_a_cluster_put_there_is_passed_over() {
        let fields = RUNTIME_FIELDS.map(|field| format!("{field}: {{a: [1]}}")).join(", ");
        let text =
            format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db, {fields}}}\nstatus: {{a: 1}}\n");
        assert_eq!(read(&text).unwrap(), Secret { name: "db".to_owned(), ..Secret::default() });
    }

    #[test]
    fn a_secret_is_written_for_people_and_reads_back() {
        let mut secret = secret(&[("password", "hunter2"), ("on", "yes"), ("pem", "-----\nx\n-----\n")]);
        secret.labels.insert("app".to_owned(), "on".to_owned());
        secret.kind = Some("Opaque".to_owned());
        secret.immutable = Some(true);
        secret.items.insert("bin".to_owned(), SecretBytes::new(vec![0xff, 0]));
        let text = secret.to_yaml();
        let expected = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\n  labels:\n    \
                        app: \"on\"\ntype: Opaque\nimmutable: true\ndata:\n  bin: /wA=\nstringData:\n  \"on\": \"yes\"\n  \
                        password: hunter2\n  pem: |\n    -----\n    x\n    -----\n";
        assert_eq!(*text, expected);
        assert_eq!(read(&text).unwrap(), secret);
        let json = secret.to_json().unwrap();
        assert_eq!(read(&json).unwrap(), secret);
        assert!(json.contains("\"stringData\": {\n    \"on\": \"yes\""), "{}", *json);
        let empty = Secret { name: "db".to_owned(), ..Secret::default() };
        assert!(empty.to_yaml().ends_with("stringData: {}\n"));
        assert_eq!(read(&empty.to_yaml()).unwrap(), empty);
        assert_eq!(read(&empty.to_json().unwrap()).unwrap(), empty);
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
