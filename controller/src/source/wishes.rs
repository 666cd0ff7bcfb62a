//! A kind of object that nothing but tests knows: its text becomes a Secret. It is all that another kind needs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use sealant::secret::SecretBytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::api;
use crate::engine::object::Meta;
use crate::engine::watch::Object;
use crate::managed::decide::{Desired, MADE_BY, MANAGED, Verdict};
use crate::managed::reason;
use crate::managed::secret::{self, Items};
use crate::managed::slim::{About, Slim};
use crate::managed::status::Status;
use crate::source::{NoValues, Source};

pub struct Wishes;

#[derive(Deserialize)]
pub struct Wish {
    metadata: Meta,
    text: String,
    #[serde(default)]
    immutable: bool,
    #[serde(default)]
    status: Status,
}

impl Object for Wish {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

impl Source for Wishes {
    type Found = Wish;

    const KIND: &'static str = "wishes.example.com";

    fn path(&self, namespace: &str) -> String {
        api::path("apis/example.com/v1", namespace, "wishes")
    }

    fn slim(&self, found: &Wish) -> Slim {
        Slim::of(&found.metadata, &found.status, About { is_valid: true, ..About::default() })
    }

    fn status<'f>(&self, found: &'f Wish) -> &'f Status {
        &found.status
    }

    fn claim(&self, meta: &Meta) -> OwnerReference {
        OwnerReference {
            api_version: "example.com/v1".to_owned(),
            kind: "Wish".to_owned(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            controller: Some(true),
            ..OwnerReference::default()
        }
    }

    fn desired(&self, found: &Wish) -> Result<Desired, Verdict> {
        let Meta { name, namespace, .. } = found.metadata.clone();
        Ok(Desired {
            labels: [(MANAGED.to_owned(), "true".to_owned())].into(),
            annotations: [].into(),
            made_by: format!("{}/{name}", Self::KIND),
            adopted_by: &[],
            claim: self.claim(&found.metadata),
            owned: true,
            kind: secret::OPAQUE.to_owned(),
            immutable: found.immutable,
            remake: found.immutable,
            name,
            namespace,
        })
    }

    async fn values(&self, found: &Wish) -> Result<Items, NoValues> {
        Ok([("text".to_owned(), SecretBytes::new(found.text.clone().into_bytes()))].into())
    }
}

/// A new one.
pub fn wish() -> Value {
    json!({"metadata": {"name": "w", "namespace": "shop", "uid": "u", "generation": 1,
        "resourceVersion": "5"}, "text": "a pony"})
}

/// The Secret that the wish becomes.
pub fn granted(version: &str) -> Value {
    let owner =
        json!({"apiVersion": "example.com/v1", "kind": "Wish", "name": "w", "uid": "u", "controller": true});
    json!({"metadata": {"name": "w", "namespace": "shop", "resourceVersion": version,
        "labels": {MANAGED: "true"}, "annotations": {MADE_BY: "wishes.example.com/w"}, "ownerReferences": [owner]},
        "data": {"text": "YSBwb255"}})
}

/// What the status of a wish says whose Secret has this version.
pub fn fulfilled(version: &str) -> Value {
    let condition = |name: &str| {
        json!({"type": name, "status": "True", "reason": "Unsealed", "observedGeneration": 1,
        "message": reason::IN_SYNC, "lastTransitionTime": "2026-11-28T00:00:00Z"})
    };
    json!({"observedGeneration": 1, "secretResourceVersion": version,
        "conditions": [condition("Ready"), condition("Synced")]})
}
