//! What of an object is gone by: its key, and the metadata that something here depends on.
//!
//! Whoever may write an object can write what another program's types cannot hold: a time of year 10000 in
//! `managedFields` is kept by the API server. So nothing is read that nobody needs, and what is read in another shape
//! than it should have counts as absent. An object is unreadable only if it has no name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::engine::queue::Tenant;
use crate::engine::watch::Object;

/// Namespace and name. Cheap to copy: many places know the same one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// With a `/` between them, which neither can have.
    text: Arc<str>,
}

impl Key {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { text: format!("{namespace}/{name}").into() }
    }

    pub fn namespace(&self) -> &str {
        self.text.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub fn name(&self) -> &str {
        self.text.split_once('/').map_or(&self.text, |(_, name)| name)
    }
}

/// An object of a kind: two kinds may each have one of the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ref {
    pub kind: &'static str,
    pub key: Key,
}

impl Tenant for Ref {
    fn tenant(&self) -> &str {
        self.key.tenant()
    }
}

impl Tenant for Key {
    fn tenant(&self) -> &str {
        self.namespace()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The metadata of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta {
    pub name: String,
    /// Empty if it has none.
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub generation: Option<i64>,
    /// As the API server writes it: these texts have the order of their times.
    pub created: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub owners: Vec<OwnerReference>,
    pub is_being_deleted: bool,
}

impl Meta {
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// Whether an annotation has this value.
    pub fn is_annotated(&self, key: &str, value: &str) -> bool {
        self.annotations.get(key).is_some_and(|found| found == value)
    }
}

/// The fields that are read, whatever is in them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    name: Value,
    namespace: Value,
    uid: Value,
    resource_version: Value,
    generation: Value,
    creation_timestamp: Value,
    labels: Value,
    annotations: Value,
    owner_references: Value,
    deletion_timestamp: Value,
}

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let name: String = or_absent(stored.name);
        if name.is_empty() {
            return Err(D::Error::custom("an object without a name"));
        }
        let owners: Vec<Value> = or_absent(stored.owner_references);
        Ok(Self {
            name,
            namespace: or_absent(stored.namespace),
            uid: or_absent(stored.uid),
            resource_version: or_absent(stored.resource_version),
            generation: or_absent(stored.generation),
            created: or_absent(stored.creation_timestamp),
            labels: texts(stored.labels),
            annotations: texts(stored.annotations),
            owners: owners.into_iter().filter_map(|owner| serde_json::from_value(owner).ok()).collect(),
            is_being_deleted: !stored.deletion_timestamp.is_null(),
        })
    }
}

/// A value in the shape that it should have, or none.
pub fn or_absent<T: DeserializeOwned + Default>(value: Value) -> T {
    serde_json::from_value(value).unwrap_or_default()
}

fn texts(value: Value) -> BTreeMap<String, String> {
    let text = |(key, value)| match value {
        Value::String(value) => Some((key, value)),
        _ => None,
    };
    or_absent::<Map<_, _>>(value).into_iter().filter_map(text).collect()
}

/// How deep a value may be nested. What is read of objects is flat beside it.
const DEEPEST: u8 = 64;

/// Any value, of which what is nested deeper counts as null: serde_json would refuse all of it, and whoever may write an
/// object can nest ten thousand deep.
#[derive(Debug, Clone, Default)]
pub struct Shallow(pub Value);

impl<'de> Deserialize<'de> for Shallow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Below(DEEPEST).deserialize(deserializer).map(Self)
    }
}

/// Reads a value so deep.
#[derive(Clone, Copy)]
struct Below(u8);

impl<'de> DeserializeSeed<'de> for Below {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0 {
            0 => IgnoredAny::deserialize(deserializer).map(|_| Value::Null),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Below {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Self(self.0 - 1))? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            values.insert(key, map.next_value_seed(Self(self.0 - 1))?);
        }
        Ok(values.into())
    }
}

/// An object of which nothing but the metadata is read.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Bare {
    pub metadata: Meta,
}

impl Object for Bare {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_another_shape_than_it_should_have_counts_as_absent() {
        let meta = |fields: Value| {
            let mut all = json!({"name": "db", "namespace": "shop", "labels": {"a": "1"}});
            all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            serde_json::from_value::<Meta>(all).unwrap()
        };
        let plain = meta(json!({}));
        assert_eq!((plain.key().to_string().as_str(), plain.labels.len()), ("shop/db", 1));
        for odd in [
            json!({"managedFields": [{"manager": "x", "time": "9999-12-31T23:59:59Z"}]}),
            json!({"managedFields": "x", "selfLink": 5, "finalizers": {}}),
            json!({"creationTimestamp": 5, "generation": "x", "annotations": [], "ownerReferences": [1, "x"]}),
            json!({"labels": {"a": "1", "b": 5, "c": null}, "uid": null}),
        ] {
            assert_eq!(meta(odd.clone()), plain, "{odd}");
        }
        let going = meta(json!({"deletionTimestamp": "99999-01-01T00:00:00Z"}));
        assert!(going.is_being_deleted && !plain.is_being_deleted);
        for nameless in [json!({}), json!({"name": 5}), json!({"name": ""})] {
            assert!(serde_json::from_value::<Meta>(nameless).is_err());
        }
    }

    #[test]
    fn what_is_nested_too_deep_counts_as_null_and_all_else_is_read() {
        let plain = json!({"a": [1, -1, 1.5, true, null, "x", {"b": {}}], "z": "last"});
        let read = |text: &str| serde_json::from_str::<Shallow>(text).unwrap().0;
        assert_eq!(read(&plain.to_string()), plain);
        assert_eq!(serde_json::from_value::<Shallow>(plain.clone()).unwrap().0, plain);
        let deep = format!("{{\"deep\": {}{}, \"z\": \"last\"}}", "[".repeat(9000), "]".repeat(9000));
        let found = read(&deep);
        assert_eq!((&found["z"], found["deep"].to_string().len()), (&json!("last"), 2 * 63 + 4));
        assert!(serde_json::from_str::<Shallow>(&deep[..deep.len() - 1]).is_err());
    }

    #[test]
    fn a_key_has_two_parts() {
        let key = Key::new("shop", "db");
        assert_eq!((key.namespace(), key.name(), key.to_string().as_str()), ("shop", "db", "shop/db"));
        let cluster = Key::new("", "db");
        assert_eq!((cluster.namespace(), cluster.name()), ("", "db"));
    }
}
