//! A Secret as it was found: what is compared with what it should be. Its values wipe themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealant::secret::SecretBytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::engine::api;
use crate::engine::object::Meta;
use crate::engine::watch::Object;

/// As whom the controller owns fields.
pub const MANAGER: &str = "sealant-controller";

/// The type of a Secret that names none.
pub const OPAQUE: &str = "Opaque";

/// The values of a Secret.
pub type Items = BTreeMap<String, SecretBytes>;

/// Where the API server has Secrets; those of all namespaces if none is named.
pub fn path(namespace: &str) -> String {
    api::path("api/v1", namespace, "secrets")
}

/// A Secret that is there.
#[derive(Clone, Deserialize)]
#[serde(from = "Stored")]
pub struct Secret {
    pub meta: Meta,
    pub kind: String,
    pub immutable: bool,
    pub data: Items,
    /// What each manager has set, as the API server remembers it.
    pub managers: Vec<(String, SetBy)>,
}

/// What one manager has set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetBy {
    pub labels: BTreeSet<String>,
    pub annotations: BTreeSet<String>,
    /// The keys of values.
    pub data: BTreeSet<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {}", self.meta.key())
    }
}

impl Secret {
    /// What any of these managers has set.
    pub fn set_by(&self, managers: &[&str]) -> SetBy {
        let found = self.managers.iter().filter(|(manager, _)| managers.contains(&manager.as_str()));
        found.fold(SetBy::default(), |mut all, (_, SetBy { labels, annotations, data })| {
            all.labels.extend(labels.iter().cloned());
            all.annotations.extend(annotations.iter().cloned());
            all.data.extend(data.iter().cloned());
            all
        })
    }
}

impl Object for Secret {
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

#[derive(Deserialize)]
struct Stored {
    metadata: StoredMeta,
    #[serde(rename = "type")]
    kind: Option<String>,
    immutable: Option<bool>,
    data: Option<BTreeMap<String, Encoded>>,
}

#[derive(Deserialize)]
struct StoredMeta {
    #[serde(flatten)]
    meta: Meta,
    #[serde(default, rename = "managedFields")]
    managed_fields: Value,
}

impl From<Stored> for Secret {
    fn from(stored: Stored) -> Self {
        let data = stored.data.unwrap_or_default().into_iter();
        Self {
            managers: managers(&stored.metadata.managed_fields),
            meta: stored.metadata.meta,
            kind: stored.kind.filter(|kind| !kind.is_empty()).unwrap_or_else(|| OPAQUE.to_owned()),
            immutable: stored.immutable.unwrap_or_default(),
            data: data.map(|(key, Encoded(value))| (key, value)).collect(),
        }
    }
}

fn managers(managed_fields: &Value) -> Vec<(String, SetBy)> {
    let set_by = |entry: &Value| {
        let of = |path: &str| -> BTreeSet<String> {
            let keys = entry["fieldsV1"].pointer(path).and_then(Value::as_object);
            let keys = keys.into_iter().flat_map(serde_json::Map::keys);
            keys.filter_map(|key| key.strip_prefix("f:")).map(str::to_owned).collect()
        };
        SetBy {
            labels: of("/f:metadata/f:labels"),
            annotations: of("/f:metadata/f:annotations"),
            data: of("/f:data"),
        }
    };
    let entries = managed_fields.as_array().into_iter().flatten();
    entries.filter_map(|entry| Some((entry["manager"].as_str()?.to_owned(), set_by(entry)))).collect()
}

/// A value, which the API server has in base64.
struct Encoded(SecretBytes);

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Encoded;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Encoded, E> {
                let value = STANDARD.decode(text).map_err(|_| E::custom("a value is not base64"))?;
                Ok(Encoded(SecretBytes::new(value)))
            }
            fn visit_unit<E: Error>(self) -> Result<Encoded, E> {
                Ok(Encoded(SecretBytes::new(Vec::new())))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_read_whatever_its_metadata_say() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "db", "namespace": "shop", "managedFields": [
                {"manager": "x", "time": "9999-12-31T23:59:59Z", "fieldsV1": 5},
                {"manager": MANAGER, "time": {}, "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}},
            ]},
            "data": {"a": "MQ==", "b": "", "c": null},
        }))
        .unwrap();
        assert_eq!((secret.kind.as_str(), secret.immutable, secret.data.len()), (OPAQUE, false, 3));
        assert_eq!(&*secret.data["a"], b"1");
        let ours = secret.set_by(&[MANAGER]);
        assert_eq!(ours.labels, ["a".to_owned()].into());
        assert!(ours.annotations.is_empty() && secret.set_by(&["x", "y"]) == SetBy::default());
        assert!(!format!("{secret:?}").contains("MQ=="));
        let broken = json!({"metadata": {"name": "db"}, "data": {"a": "hunter2 "}});
        let error = serde_json::from_value::<Secret>(broken).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
