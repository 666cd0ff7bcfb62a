//! The only place that writes Secrets, and the status of SealedSecrets.
//!
//! Every write is bound to what was seen: a Secret that changed meanwhile, or was made by somebody faster, is a
//! conflict and is looked at again. So a replica that does not know yet that another one leads does no harm.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams, Preconditions,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::store::Key;
use crate::managed::decide::{self, Desired, Items, MANAGER, Removals, Verdict, Write};
use crate::managed::reason::{self, Reason};
use crate::source::sealed::resource::{self, SealedSecret, Status};

/// Why a write was not done.
#[derive(Debug)]
pub enum Trouble {
    /// Somebody was faster: look again.
    Conflict,
    /// What the API server says of it.
    Refused(Verdict),
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Self::Refused(Verdict::new(Reason::ApiServerUnavailable, reason::NO_ANSWER));
        };
        // Messages of the API server and of admission webhooks can quote values: they are never passed on.
        let fields =
            status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.field.as_str());
        let fields: Vec<&str> = fields.filter(|field| !field.is_empty()).collect();
        let about = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
        let message = format!("the API server refuses it ({} {}){about}", status.code, status.reason);
        let mut causes = status.details.iter().flat_map(|details| &details.causes);
        if causes.any(|cause| cause.reason == "NamespaceTerminating") {
            // Soon there will be nothing to do.
            return Self::Conflict;
        }
        match status.code {
            404 | 409 => Self::Conflict,
            429 | 500.. => Self::Refused(Verdict::new(Reason::ApiServerUnavailable, message)),
            _ => Self::Refused(Verdict::new(Reason::Refused, message)),
        }
    }
}

/// Does what was decided, and returns the Secret as it was written; `None` where there was nothing to do.
pub async fn secret(
    client: &Client,
    write: &Write,
    current: Option<&Secret>,
    desired: &Desired,
    items: &Items,
) -> Result<Option<Secret>, Trouble> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &desired.namespace);
    let written = match (write, current) {
        (Write::Nothing, _) => return Ok(None),
        (Write::Create, _) => create(&secrets, desired, items).await?,
        (Write::Update(removals), Some(current)) => {
            update(&secrets, current, removals, desired, items).await?
        }
        (Write::Recreate, Some(current)) => {
            try_to_create(&secrets, desired, items).await?;
            delete(&secrets, &current.metadata, &desired.name).await?;
            create(&secrets, desired, items).await?
        }
        (Write::Update(_) | Write::Recreate, None) => return Err(Trouble::Conflict),
    };
    Ok(Some(written))
}

/// A version that no object has: the API server makes one where there is none, and refuses where there is.
pub const NOT_THERE: &str = "1";

async fn create(secrets: &Api<Secret>, desired: &Desired, items: &Items) -> Result<Secret, Trouble> {
    let body = manifest(desired, items, json!({"resourceVersion": NOT_THERE}));
    Ok(secrets.patch(&desired.name, &PatchParams::apply(MANAGER), &Patch::Apply(&body)).await?)
}

/// Asks whether the Secret could be made, beside the one that is there: what cannot be made again is not deleted.
async fn try_to_create(secrets: &Api<Secret>, desired: &Desired, items: &Items) -> Result<(), Trouble> {
    let mut body = manifest(desired, items, json!({"generateName": "sealant-"}));
    body["metadata"].as_object_mut().map(|metadata| metadata.remove("name"));
    let secret: Secret = serde_json::from_value(body).map_err(kube::Error::SerdeError)?;
    let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
    let tried = secrets.create(&params, &secret).await;
    wipe(Some(secret));
    wipe(Some(tried?));
    Ok(())
}

async fn update(
    secrets: &Api<Secret>,
    current: &Secret,
    removals: &Removals,
    desired: &Desired,
    items: &Items,
) -> Result<Secret, Trouble> {
    let mut bound = bound(&current.metadata);
    if removals.stale_owners {
        // Two controllers at once would be refused.
        bound = bound_after(remove_owners(secrets, current, bound, desired).await?);
    }
    let body = manifest(desired, items, bound);
    let params = PatchParams::apply(MANAGER).force();
    let applied = secrets.patch(&desired.name, &params, &Patch::Apply(&body)).await?;
    let left = |key: &&String| applied.data.as_ref().is_some_and(|data| data.contains_key(*key));
    let foreign: Vec<&String> = removals.data.iter().filter(left).collect();
    if foreign.is_empty() {
        return Ok(applied);
    }
    let gone: serde_json::Map<_, _> = foreign.into_iter().map(|key| (key.clone(), Value::Null)).collect();
    let body = json!({"metadata": self::bound(&applied.metadata), "data": gone});
    Ok(secrets.patch(&desired.name, &merge(), &Patch::Merge(&body)).await?)
}

/// Puts our own owner reference in the place of those with an old UID, or none.
async fn remove_owners(
    secrets: &Api<Secret>,
    current: &Secret,
    bound: Value,
    desired: &Desired,
) -> Result<Secret, Trouble> {
    let others = current.metadata.owner_references.iter().flatten();
    let kept = others.filter(|owner| !decide::is_sealed_secret(owner, &desired.name));
    let owners: Vec<&OwnerReference> = kept.chain(&desired.owner).collect();
    let mut body = json!({"metadata": bound});
    body["metadata"]["ownerReferences"] = json!(owners);
    Ok(secrets.patch(&desired.name, &merge(), &Patch::Merge(&body)).await?)
}

async fn delete(secrets: &Api<Secret>, current: &ObjectMeta, name: &str) -> Result<(), Trouble> {
    let preconditions =
        Preconditions { uid: current.uid.clone(), resource_version: current.resource_version.clone() };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match secrets.delete(name, &params).await?.left() {
        None => Ok(()),
        // It is still there: a finalizer holds it.
        held => {
            wipe(held);
            Err(Trouble::Refused(Verdict::new(Reason::Terminating, reason::IS_GOING)))
        }
    }
}

/// Whether a SealedSecret is still as it was seen. A write is bound to the Secret, and nothing else would keep one with
/// an old view from writing old values over new ones.
pub async fn is_current(client: &Client, seen: &SealedSecret) -> Result<(), Trouble> {
    let objects: Api<SealedSecret> = Api::namespaced(client.clone(), seen.namespace());
    let found = objects.get_metadata(seen.name()).await?;
    if is_same(&seen.metadata, &found.metadata) { Ok(()) } else { Err(Trouble::Conflict) }
}

fn is_same(seen: &ObjectMeta, found: &ObjectMeta) -> bool {
    seen.uid == found.uid
        && seen.generation == found.generation
        && resource::annotations_of_ours(seen).eq(resource::annotations_of_ours(found))
        && found.deletion_timestamp.is_none()
}

/// The status of a SealedSecret, of which nothing else has to be readable.
pub async fn current_status(client: &Client, key: &Key) -> Result<Status, Trouble> {
    let resource = ApiResource::erase::<SealedSecret>(&());
    let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), &key.namespace, &resource);
    let object = objects.get(&key.name).await?;
    Ok(object.data.get("status").and_then(|status| Status::deserialize(status).ok()).unwrap_or_default())
}

/// Writes the status of a SealedSecret as it was seen.
pub async fn status(client: &Client, sealed: &ObjectMeta, status: &Status) -> Result<(), Trouble> {
    let namespace = sealed.namespace.as_deref().unwrap_or_default();
    let objects: Api<kube::api::PartialObjectMeta<SealedSecret>> = Api::namespaced(client.clone(), namespace);
    let mut body = json!({"metadata": bound(sealed), "status": status});
    if status.secret_resource_version.is_none() {
        body["status"]["secretResourceVersion"] = Value::Null;
    }
    let name = sealed.name.as_deref().unwrap_or_default();
    objects.patch_status(name, &merge(), &Patch::Merge(&body)).await?;
    Ok(())
}

fn merge() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// What binds a write to the object that was seen.
fn bound(seen: &ObjectMeta) -> Value {
    json!({"uid": seen.uid, "resourceVersion": seen.resource_version})
}

fn bound_after(written: Secret) -> Value {
    bound(&written.metadata)
}

/// The whole of the Secret, with the values in `data`.
fn manifest(desired: &Desired, items: &Items, mut metadata: Value) -> Value {
    metadata["name"] = json!(desired.name);
    metadata["namespace"] = json!(desired.namespace);
    metadata["labels"] = json!(desired.labels);
    metadata["annotations"] = json!(desired.annotations);
    if let Some(owner) = &desired.owner {
        metadata["ownerReferences"] = json!([owner]);
    }
    let data: serde_json::Map<_, _> =
        items.iter().map(|(key, value)| (key.clone(), STANDARD.encode(value.as_slice()).into())).collect();
    let mut manifest = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": desired.kind,
        "data": data,
    });
    if desired.immutable {
        manifest["immutable"] = true.into();
    }
    manifest
}

/// Wipes the values of a Secret that was read.
pub fn wipe(secret: Option<Secret>) {
    for ByteString(value) in
        secret.and_then(|secret| secret.data).into_iter().flat_map(|data| data.into_values())
    {
        drop(zeroize::Zeroizing::new(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_that_has_changed_is_not_the_one_that_was_seen() {
        let meta = |change: Value| -> ObjectMeta {
            let mut body = json!({"uid": "u", "generation": 1, "resourceVersion": "1",
                "annotations": {"theirs": "1", "sealant.dev/x": "1"}});
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            serde_json::from_value(body).unwrap()
        };
        let seen = meta(json!({}));
        let same = json!({"resourceVersion": "2", "annotations": {"theirs": "2", "sealant.dev/x": "1"}});
        assert!(is_same(&seen, &meta(same)));
        for change in [
            json!({"uid": "v"}),
            json!({"generation": 2}),
            json!({"annotations": {"sealant.dev/x": "1", "sealant.dev/suspend": "true"}}),
            json!({"annotations": {}}),
            json!({"deletionTimestamp": "2026-11-22T00:00:00Z"}),
        ] {
            assert!(!is_same(&seen, &meta(change.clone())), "{change}");
        }
    }
}
