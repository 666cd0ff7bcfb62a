//! The SealedSecret as a resource of a cluster, and the CustomResourceDefinition that `deploy/` ships.
//!
//! The spec, its bounds and its descriptions are the library's; here is what only a cluster has: status and columns.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use sealant::sealed_secret::{self, Metadata, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub const GROUP: &str = "sealant.dev";
const VERSION: &str = "v1alpha1";
const PLURAL: &str = "sealedsecrets";

/// On Secrets that the controller makes: by it they are watched.
pub const MANAGED: &str = "sealant.dev/managed";

/// On Secrets that the controller makes: the name of their SealedSecret, which can be longer than a label.
pub const MADE_BY: &str = "sealant.dev/sealed-secret";

/// On Secrets of somebody else: the SealedSecret of this name may take them over.
pub const ADOPT: &str = "sealant.dev/adopt";

/// On SealedSecrets: nothing is written for them.
pub const SUSPEND: &str = "sealant.dev/suspend";

/// On SealedSecrets: what to do when an immutable Secret has to change.
pub const ON_IMMUTABLE: &str = "sealant.dev/on-immutable";

/// On Secrets in the controller's namespace that hold identities.
pub const IDENTITY: &str = "sealant.dev/identity";

/// What annotations ask of us: they change without a new generation.
pub fn annotations_of_ours(metadata: &ObjectMeta) -> impl Iterator<Item = (&String, &String)> {
    metadata.annotations.iter().flatten().filter(|(key, _)| key.starts_with("sealant.dev/"))
}

/// A SealedSecret of a cluster. Those can be large: what is sealed is never copied.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Stored")]
pub struct SealedSecret {
    pub metadata: ObjectMeta,
    /// What the library knows of it.
    pub sealed: Arc<sealed_secret::SealedSecret>,
    pub status: Option<Status>,
}

/// As the API server has it.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    metadata: ObjectMeta,
    spec: Spec,
    status: Option<Status>,
}

impl From<Stored> for SealedSecret {
    fn from(Stored { metadata, spec, status }: Stored) -> Self {
        let known = Metadata {
            name: metadata.name.clone().unwrap_or_default(),
            namespace: metadata.namespace.clone(),
            ..Metadata::default()
        };
        Self { metadata, sealed: Arc::new(sealed_secret::SealedSecret { metadata: known, spec }), status }
    }
}

impl SealedSecret {
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Whether an annotation has this value.
    pub fn is_annotated(&self, key: &str, value: &str) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.and_then(|annotations| annotations.get(key)).is_some_and(|found| found == value)
    }

    pub fn spec(&self) -> &Spec {
        &self.sealed.spec
    }
}

impl kube::Resource for SealedSecret {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        sealed_secret::KIND.into()
    }
    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }
    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What the controller has made of a SealedSecret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
    /// Of the Secret when it was last seen to be right: a restart has nothing to do while it is still this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_resource_version: Option<String>,
}

impl Status {
    pub fn condition(&self, name: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.name == name)
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.condition(name).is_some_and(|condition| condition.status == "True")
    }
}

/// A condition, as all of Kubernetes has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub name: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub last_transition_time: Timestamp,
    pub reason: String,
    pub message: String,
}

/// The CustomResourceDefinition.
pub fn crd() -> Value {
    let column = |name: &str, kind: &str, path: &str, priority: u8| json!({"name": name, "type": kind, "jsonPath": path, "priority": priority});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{PLURAL}.{GROUP}"),
            "labels": {"app.kubernetes.io/name": "sealant", "app.kubernetes.io/part-of": "sealant"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": sealed_secret::KIND,
                "listKind": "SealedSecretList",
                "plural": PLURAL,
                "singular": "sealedsecret",
                "shortNames": ["sls"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status", 0),
                    column("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason", 0),
                    column("Message", "string", ".status.conditions[?(@.type=='Ready')].message", 1),
                    column("Scope", "string", ".spec.scope", 1),
                    column("Age", "date", ".metadata.creationTimestamp", 0),
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": "A Secret that is safe to commit: its values are encrypted for a set of master keys.",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "spec": sealed_secret::spec_schema(),
                        "status": status_schema(),
                    },
                }},
            }],
        },
    })
}

fn status_schema() -> Value {
    let text = |bound: u32, description: &str| json!({"type": "string", "maxLength": bound, "description": description});
    json!({
        "type": "object",
        "description": "What the controller has made of it.",
        // As long as the controller has said nothing, kstatus takes it for in progress, and not for done.
        "default": {"observedGeneration": -1},
        "properties": {
            "observedGeneration": {
                "type": "integer", "format": "int64",
                "description": "The generation that the conditions are about.",
            },
            "secretResourceVersion": text(64, "The resourceVersion of the Secret when it was last seen to be right."),
            "conditions": {
                "type": "array",
                "description": "Ready and Synced, and one of Reconciling and Stalled while they are not.",
                "maxItems": 16,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
                    "properties": {
                        "type": text(316, "Ready, Synced, Reconciling or Stalled."),
                        "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it is so."},
                        "observedGeneration": {
                            "type": "integer", "format": "int64", "minimum": 0,
                            "description": "The generation that the condition is about.",
                        },
                        "lastTransitionTime": {
                            "type": "string", "format": "date-time", "description": "Since when it is so.",
                        },
                        "reason": text(1024, "Why, in one word."),
                        "message": text(32768, "Why, in words."),
                    },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crd_that_ships_is_the_one_of_the_types() {
        let shipped: Value = serde_yaml::from_str(include_str!("../../../../deploy/base/crd.yaml")).unwrap();
        assert_eq!(shipped, crd(), "run `cargo run -p sealant-controller crd > deploy/base/crd.yaml`");
    }
}
