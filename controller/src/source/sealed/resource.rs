//! The SealedSecret as a resource of a cluster, and the CustomResourceDefinition that `deploy/` ships.
//!
//! The spec, its bounds and its descriptions are the library's; here is what only a cluster has: status and columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use sealant::sealed_secret::{self, Metadata, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::engine::api;
use crate::engine::object::{Meta, or_absent};
use crate::engine::watch::Object;

pub const GROUP: &str = "sealant.dev";
const VERSION: &str = "v1alpha1";
const PLURAL: &str = "sealedsecrets";

/// On SealedSecrets: nothing is written for them.
pub const SUSPEND: &str = "sealant.dev/suspend";

/// On SealedSecrets: what to do when an immutable Secret has to change.
pub const ON_IMMUTABLE: &str = "sealant.dev/on-immutable";

/// What annotations ask of us: they change without a new generation.
pub fn annotations_of_ours(meta: &Meta) -> impl Iterator<Item = (&String, &String)> {
    meta.annotations.iter().filter(|(key, _)| key.starts_with("sealant.dev/"))
}

/// Where the API server has SealedSecrets; those of all namespaces if none is named.
pub fn path(namespace: &str) -> String {
    api::path(&format!("apis/{GROUP}/{VERSION}"), namespace, PLURAL)
}

/// A SealedSecret as the API server has it: its spec may be one that nobody can read.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Stored")]
pub struct Found {
    pub meta: Meta,
    pub spec: Result<Spec, String>,
    pub status: Status,
}

#[derive(Deserialize)]
struct Stored {
    metadata: Meta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl From<Stored> for Found {
    fn from(Stored { metadata, spec, status }: Stored) -> Self {
        let spec = serde_json::from_value(spec).map_err(|error| error.to_string());
        Self { meta: metadata, spec, status: or_absent(status) }
    }
}

impl Object for Found {
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// A SealedSecret of a cluster. Those can be large: what is sealed is never copied.
#[derive(Debug, Clone)]
pub struct SealedSecret {
    pub meta: Meta,
    /// What the library knows of it.
    pub sealed: Arc<sealed_secret::SealedSecret>,
}

impl SealedSecret {
    pub fn new(meta: Meta, spec: Spec) -> Self {
        let known = Metadata {
            name: meta.name.clone(),
            namespace: Some(meta.namespace.clone()),
            ..Metadata::default()
        };
        Self { meta, sealed: Arc::new(sealed_secret::SealedSecret { metadata: known, spec }) }
    }

    pub fn name(&self) -> &str {
        &self.meta.name
    }

    pub fn namespace(&self) -> &str {
        &self.meta.namespace
    }

    pub fn spec(&self) -> &Spec {
        &self.sealed.spec
    }
}

/// Who owns the Secret of a SealedSecret.
pub fn owner(meta: &Meta) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/{VERSION}"),
        kind: sealed_secret::KIND.to_owned(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// What is kept of a SealedSecret while there is nothing to do for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slim {
    pub identity: u64,
    pub generation: Option<i64>,
    /// Of labels and annotations.
    asked: u64,
    pub is_being_deleted: bool,
    is_valid: bool,
    /// Something is to be said of it before it is opened.
    pub is_held: bool,
    /// The version of its Secret that its status says is right.
    pub right_version: Option<Box<str>>,
    /// About how many bytes it has.
    pub weight: u32,
}

impl Slim {
    pub fn of(found: &Found, is_held: bool) -> Self {
        let Found { meta, spec, status } = found;
        let is_right = status.is_true("Ready")
            && status.is_true("Synced")
            && status.observed_generation == meta.generation;
        let version = status.secret_resource_version.as_deref().filter(|_| is_right);
        Self {
            identity: identity(meta),
            generation: meta.generation,
            asked: print(texts(&meta.labels).chain([""]).chain(texts(&meta.annotations))),
            is_being_deleted: meta.is_being_deleted,
            is_valid: spec.is_ok(),
            is_held,
            right_version: version.map(Into::into),
            weight: spec.as_ref().map_or(0, weight),
        }
    }

    /// Whether anything has changed that we go by: status is not among it, since we write that ourselves.
    pub fn differs_from(&self, old: &Self) -> bool {
        (self.identity, self.generation, self.asked, self.is_being_deleted, self.is_valid)
            != (old.identity, old.generation, old.asked, old.is_being_deleted, old.is_valid)
    }
}

fn texts(pairs: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    pairs.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()])
}

/// A digest of the uid: one that was deleted and made again is another.
pub fn identity(meta: &Meta) -> u64 {
    print([meta.uid.as_str()].into_iter())
}

/// A short digest; who makes two that are equal confuses two states of their own object.
fn print<'t>(texts: impl Iterator<Item = &'t str>) -> u64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(8).fold(0, |print, byte| print << 8 | u64::from(*byte))
}

fn weight(spec: &Spec) -> u32 {
    let items = spec.encrypted_data.iter().map(|(key, text)| key.len() + text.len());
    let wraps = spec.data_keys.iter().flat_map(|entry| {
        let grouped = entry.key_groups.iter().flat_map(|group| &group.age);
        entry.age.iter().chain(grouped).map(|wrap| wrap.recipient.len() + wrap.enc.len())
    });
    u32::try_from(items.chain(wraps).sum::<usize>()).unwrap_or(u32::MAX)
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
            // With it go all SealedSecrets and their Secrets: no tool takes it away because it is in no folder any more.
            "annotations": {
                "argocd.argoproj.io/sync-options": "Prune=false",
                "helm.sh/resource-policy": "keep",
                "kustomize.toolkit.fluxcd.io/prune": "disabled",
            },
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
