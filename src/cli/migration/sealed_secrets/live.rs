//! The values of SealedSecrets from the Secrets that their controller has made of them.
//!
//! A file says which Secret is meant, and anybody can have written that. So the values count only where the cluster has opened the
//! very ciphertexts of the file: its SealedSecret of that name holds them, and owns the Secret.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

use super::opener::Server;
use crate::bitnami::{self, GROUP, KIND};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

pub struct Live(pub Server);

impl Live {
    /// The values of an object of a file.
    pub async fn values(&self, object: &bitnami::SealedSecret) -> Result<BTreeMap<String, SecretBytes>> {
        let Self(server) = self;
        let (namespace, name) = (&*object.namespace, &*object.name);
        if namespace.is_empty() {
            let message = "it has no namespace, so Sealant cannot tell which Secret holds its values";
            return Err(Error::new(Kind::Other, message).advise("Name it with --namespace."));
        }
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(GROUP, "v1alpha1", KIND),
            "sealedsecrets",
        );
        let objects = Api::<DynamicObject>::namespaced_with(server.client.clone(), namespace, &resource);
        let live = server.answer(objects.get(name)).await?;
        let annotations = live.metadata.annotations.clone().unwrap_or_default();
        let theirs = bitnami::SealedSecret::read(namespace, name, &annotations, &live.data["spec"]);
        if theirs.items != object.items || theirs.scope != object.scope {
            return Err(other(
                object,
                "the SealedSecret in the cluster has other values than the file",
                "Apply the file first, or get the keys with --cluster-keys.",
            ));
        }
        let secrets = Api::<Secret>::namespaced(server.client.clone(), namespace);
        let mut secret = server.answer(secrets.get(name)).await?;
        let mut data: BTreeMap<String, SecretBytes> = std::mem::take(&mut secret.data)
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, SecretBytes::new(value.0)))
            .collect();
        let owners = secret.metadata.owner_references.unwrap_or_default();
        let is_owner = owners.iter().any(|owner| Some(&owner.uid) == live.metadata.uid.as_ref());
        if !is_owner || !is_synced(&live) {
            return Err(other(
                object,
                "the controller has not made the Secret in the cluster from it",
                "See why: `kubectl describe sealedsecrets.bitnami.com`. With the keys of the cluster, --cluster-keys needs no Secret.",
            ));
        }
        let values = object.items.keys().map(|key| Some((key.clone(), data.remove(key)?)));
        values.collect::<Option<_>>().ok_or_else(|| {
            other(object, "the Secret in the cluster lacks values", "Get the keys with --cluster-keys.")
        })
    }
}

/// Whether the controller has made a Secret of the object as it is now.
fn is_synced(live: &DynamicObject) -> bool {
    let status = &live.data["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let is_synced =
        |condition: &serde_json::Value| condition["type"] == "Synced" && condition["status"] == "True";
    conditions.into_iter().any(is_synced) && status["observedGeneration"].as_i64() == live.metadata.generation
}

fn other(object: &bitnami::SealedSecret, message: &str, advice: &str) -> Error {
    let bitnami::SealedSecret { namespace, name, .. } = object;
    Error::new(Kind::Conflict, format!("{namespace}/{name}: {message}")).advise(advice)
}
