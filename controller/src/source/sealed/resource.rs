//! The SealedSecret as a resource of a cluster, and the CustomResourceDefinition that `deploy/` ships.
//!
//! The spec, its bounds and its descriptions are the library's; here is what only a cluster has: status and columns.

use std::sync::Arc;

use sealant::sealed_secret::{self, AgeEntry, DataKeyEntry, Metadata, Spec};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::object::{Meta, Shallow, or_absent};
use crate::engine::watch::Object;
use crate::managed::kstatus::Kstatus;
use crate::managed::slim::{About, digest};
use crate::source::sealed::ask;

const GROUP: &str = "sealant.dev";
const VERSION: &str = "v1alpha1";
const PLURAL: &str = "sealedsecrets";

pub const API_VERSION: &str = "sealant.dev/v1alpha1";

/// As kubectl and metrics call them: there are others of this plural.
pub const NAME: &str = "sealedsecrets.sealant.dev";

/// How labels and annotations begin that are ours.
pub const PREFIX: &str = "sealant.dev/";

/// On Secrets of somebody else: a SealedSecret of this name may take them over.
pub const ADOPT: &str = "sealant.dev/adopt";

/// On Secrets, what earlier versions wrote: the name of the SealedSecret that they were made from.
pub const MADE_BY_NAME: &str = "sealant.dev/sealed-secret";

/// On SealedSecrets: nothing is written for them.
pub const SUSPEND: &str = "sealant.dev/suspend";

/// On SealedSecrets: what to do when an immutable Secret has to change.
pub const ON_IMMUTABLE: &str = "sealant.dev/on-immutable";

/// A SealedSecret as the API server has it: its spec may be one that nobody can read.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Stored")]
pub struct Found {
    pub meta: Meta,
    pub sealed: Result<SealedSecret, String>,
    pub status: Kstatus,
}

#[derive(Deserialize)]
struct Stored {
    metadata: Meta,
    #[serde(default)]
    spec: Shallow,
    #[serde(default)]
    status: Shallow,
}

impl From<Stored> for Found {
    fn from(Stored { metadata: meta, spec, status }: Stored) -> Self {
        let sealed = serde_json::from_value(spec.0).map(|spec| SealedSecret::new(meta.clone(), spec));
        Self { sealed: sealed.map_err(|error| error.to_string()), meta, status: or_absent(status.0) }
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

/// What is kept of a SealedSecret.
pub fn about(found: &Found, is_never_settled: bool) -> About {
    let spec = found.sealed.as_ref().ok().map(SealedSecret::spec);
    let (keys, has_others) = spec.map(openers).unwrap_or_default();
    About { is_valid: spec.is_some(), is_never_settled, weight: spec.map_or(0, weight), keys, has_others }
}

/// How many recipients are kept of a SealedSecret.
const MOST_RECIPIENTS: usize = 8;

/// What no keyring has.
const UNKNOWN: u32 = 0;

/// Digests of the recipients, and whether a server may open it. Of one that has more recipients than are kept, none are:
/// it is looked at.
fn openers(spec: &Spec) -> (Box<[u32]>, bool) {
    let has_servers = ask::asks_servers(spec);
    let recipients = wraps(spec).map(|wrap| digest(&wrap.recipient));
    let mut recipients: Vec<u32> = recipients.take(MOST_RECIPIENTS * 2).collect();
    recipients.sort_unstable();
    recipients.dedup();
    match recipients.len() > MOST_RECIPIENTS {
        true => ([UNKNOWN].into(), has_servers),
        false => (recipients.into(), has_servers),
    }
}

fn wraps(spec: &Spec) -> impl Iterator<Item = &AgeEntry> {
    let groups = spec.data_keys.iter().flat_map(DataKeyEntry::groups);
    groups.flat_map(|group| &group.age)
}

fn weight(spec: &Spec) -> u32 {
    let items = spec.encrypted_data.iter().map(|(key, text)| key.len() + text.len());
    let wraps = wraps(spec).map(|wrap| wrap.recipient.len() + wrap.enc.len());
    u32::try_from(items.chain(wraps).sum::<usize>()).unwrap_or(u32::MAX)
}

/// The CustomResourceDefinition.
pub fn crd() -> Value {
    let column = |name: &str, kind: &str, path: &str, priority: u8| json!({"name": name, "type": kind, "jsonPath": path, "priority": priority});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": NAME,
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
            "writer": {
                "type": "integer", "format": "int32",
                "description": "The number of the rules by which the Secret was made; absent for 1.",
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
    use crate::managed::slim::{Held, Slim};

    #[test]
    fn the_crd_that_ships_is_the_one_of_the_types() {
        let shipped: Value =
            serde_yaml::from_str(include_str!("../../../../deploy/crd/sealedsecrets.yaml")).unwrap();
        assert_eq!(
            shipped,
            crd(),
            "run `cargo run -p sealant-controller crd > deploy/crd/sealedsecrets.yaml`"
        );
    }

    /// An older API server took `template.data` ten thousand deep: such an object is named, and stops no other.
    #[test]
    fn a_template_that_is_nested_deeper_than_is_read_is_a_template() {
        let deep = format!("{}{}", "[".repeat(9000), "]".repeat(9000));
        let object = format!(
            r#"{{"metadata": {{"name": "db"}}, "spec": {{"encryptedData": {{}}, "dataKeys": [], "template": {{"data": {deep}}}}}, "status": {deep}}}"#
        );
        let found: Found = serde_json::from_str(&object).unwrap();
        assert!(found.sealed.is_err());
    }

    #[test]
    fn what_a_status_says_is_believed_only_of_what_our_keys_may_open() {
        let of = |recipients: &[&str], vault: bool| {
            let age: Vec<_> = recipients.iter().map(|one| json!({"recipient": one, "enc": "x"})).collect();
            let mut key = json!({"id": "00000000", "commitment": "x", "age": age});
            if vault {
                key["hcVault"] =
                    json!([{"address": "https://v", "enginePath": "t", "keyName": "k", "enc": "x"}]);
            }
            let object =
                json!({"metadata": {"name": "db"}, "spec": {"encryptedData": {}, "dataKeys": [key]}});
            let found: Found = serde_json::from_value(object).unwrap();
            Slim::of(&found.meta, PREFIX, &found.status, about(&found, false))
        };
        let digests = Arc::new([digest("age1ours"), digest("age1old")].into());
        let held = Held { digests, losses: 0 };
        assert!(of(&["age1theirs", "age1ours"], false).may_be_opened(&held));
        assert!(!of(&["age1theirs"], false).may_be_opened(&held));
        assert!(of(&["age1theirs"], true).may_be_opened(&held));
        // One of many is looked at, whoever is among them.
        let many: Vec<String> = (0..50).map(|index| format!("age1{index}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).chain(["age1ours"]).collect();
        assert!(!of(&many, false).may_be_opened(&held));
    }
}
