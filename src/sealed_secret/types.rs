//! The resource as it is in files and in a cluster, and how large it may be.
//!
//! Owns names, order and bounds of the fields, for serde and for the schema of the CustomResourceDefinition alike; the
//! doc comments here are what `kubectl explain` shows. Knows no Kubernetes client: a controller puts [`Spec`] into a
//! resource of its own.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use super::wraps::GroupEntry;
pub use crate::keys::{AgeEntry, AwsKmsEntry, AzureKvEntry, GcpKmsEntry, VaultEntry};

/// The `apiVersion` of a SealedSecret.
pub const API_VERSION: &str = "sealant.dev/v1alpha1";

/// The `kind` of a SealedSecret.
pub const KIND: &str = "SealedSecret";

/// How many data keys a SealedSecret may have.
pub const MAX_DATA_KEYS: usize = 32;

/// How many wrappings the data keys of a SealedSecret may have together.
pub const MAX_WRAPS: usize = 2000;

/// How many items a SealedSecret may have.
pub const MAX_ITEMS: usize = 4096;

/// How many bytes the values of a Secret may have together: the bound of Kubernetes.
pub const MAX_DATA: usize = 1 << 20;

/// How long an item may be, with data key and base64.
const MAX_ITEM_TEXT: usize = (MAX_DATA + 40).div_ceil(3) * 4 + 9;

/// How many key groups a data key may be shared out to.
const MAX_GROUPS: usize = 32;

/// How long the type of a Secret may be.
const MAX_TYPE: usize = 4096;

/// How many labels or annotations a template may have.
const MAX_LABELS: usize = 1024;

/// A SealedSecret, as it is in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealedSecret {
    pub metadata: Metadata,
    pub spec: Spec,
}

/// The metadata of a SealedSecret, of which a file may leave out the namespace.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metadata {
    #[serde(default)]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Fields that Sealant does not know.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A Secret whose values are encrypted for a set of master keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// What the values are bound to: namespace and name (strict, the default), the namespace, or nothing (cluster).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,

    /// What becomes of the Secret when its SealedSecret is deleted: Delete (the default) or Retain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// The keys that the values are encrypted with, each wrapped for everybody who may decrypt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_DATA_KEYS))]
    pub data_keys: Vec<DataKeyEntry>,

    /// The encrypted values: the id of a data key, a colon, and base64 of nonce, ciphertext and tag.
    #[schemars(schema_with = "items_schema")]
    pub encrypted_data: BTreeMap<String, String>,

    /// What the Secret has besides its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// What a SealedSecret is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    // Without doc comments, which would make the schema of an enum one that Kubernetes does not take.
    #[default]
    Strict,
    Namespace,
    Cluster,
}

/// What becomes of the Secret when its SealedSecret is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    #[default]
    Delete,
    Retain,
}

/// A data key, wrapped for each master key that may open it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataKeyEntry {
    /// The first eight hexadecimal digits of the commitment.
    #[schemars(length(max = 8))]
    pub id: String,

    /// What the data key is checked against when it is opened: base64 of 32 bytes derived from it.
    #[schemars(length(max = 44))]
    pub commitment: String,

    /// For whom it is wrapped, unless it is shared out.
    #[serde(flatten)]
    pub wraps: GroupEntry,

    /// How many of the key groups it takes to open the data key; all of them when it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = MAX_GROUPS), extend("format" = "int32"))]
    pub shamir_threshold: Option<u32>,

    /// Groups of master keys, each of which opens one share of the data key; instead of lists beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_GROUPS))]
    pub key_groups: Vec<GroupEntry>,
}

/// What a Secret has besides its values. It is not encrypted, and not authenticated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    /// The type of the Secret; Opaque when it is absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TYPE))]
    pub kind: Option<String>,

    /// Whether the values of the Secret may never change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,

    /// Labels and annotations of the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,

    /// Items that are made of others, by Go's templates: {{ .password }} is the value of the item password. In plaintext.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "templates_schema")]
    pub data: BTreeMap<String, String>,
}

/// Labels and annotations of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TemplateMetadata {
    /// Labels of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub annotations: BTreeMap<String, String>,
}

/// One whole for server-side apply: an item that one tool has applied, and that Git drops after another took over, would
/// stay without its data key.
fn items_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "maxProperties": MAX_ITEMS,
        "additionalProperties": {"type": "string", "maxLength": MAX_ITEM_TEXT},
    })
}

fn labels_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_LABELS,
        "additionalProperties": {"type": "string", "maxLength": 256 << 10},
    })
}

fn templates_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_LABELS,
        "additionalProperties": {"type": "string", "maxLength": MAX_DATA},
    })
}
