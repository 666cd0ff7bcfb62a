//! The only place that writes Secrets: those that objects ask for, and those with keys of our own. And the status of what asks
//! for them.
//!
//! Every write is bound to what was seen: a Secret that changed meanwhile, or was made by somebody faster, is a
//! conflict and is looked at again. So a replica that does not know yet that another one leads does no harm.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::engine::api::{ApiServer, Failure};
use crate::engine::object::{Key, Meta};
use crate::managed::decide::{self, Desired, Removals, Verdict, Write};
use crate::managed::reason;
use crate::managed::secret::{self, Items, MANAGER, Secret};
use crate::managed::status::Status;

/// Why something was not done.
#[derive(Debug)]
pub enum Trouble {
    /// Somebody was faster: look again.
    Conflict,
    /// What the API server says of it.
    Refused(Verdict),
    /// The API server is busy or gone, which has nothing to do with the object.
    Outage(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let refusal = match &failure {
            Failure::Silent => return Self::Outage(failure),
            Failure::Refused(refusal) if matches!(refusal.code, 429 | 502..=504) => {
                return Self::Outage(failure);
            }
            Failure::Refused(refusal) => refusal,
            Failure::TooLong | Failure::Unreadable => {
                return Self::Refused(Verdict::new(reason::API_SERVER_UNAVAILABLE, failure.to_string()));
            }
        };
        if refusal.causes.iter().any(|cause| cause == "NamespaceTerminating") {
            // Soon there will be nothing to do.
            return Self::Conflict;
        }
        let fields = &refusal.fields;
        let about = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
        let message = format!("{failure}{about}");
        match refusal.code {
            404 | 409 => Self::Conflict,
            500.. => Self::Refused(Verdict::new(reason::API_SERVER_UNAVAILABLE, message)),
            _ => Self::Refused(Verdict::new(reason::REFUSED, message)),
        }
    }
}

/// Does what was decided, and returns the Secret as it was written; `None` where there was nothing to do.
pub async fn secret(
    api: &ApiServer,
    key: &Key,
    write: &Write,
    current: Option<&Secret>,
    desired: &Desired,
    items: &Items,
) -> Result<Option<Secret>, Trouble> {
    let secrets = Secrets { api, at: Request::new(secret::path(key.namespace())), key, desired, items };
    let written = match (write, current) {
        (Write::Nothing, _) => return Ok(None),
        (Write::Create, _) => secrets.create().await?,
        (Write::Update(removals), Some(current)) => secrets.update(current, removals).await?,
        (Write::Recreate, Some(current)) => {
            secrets.try_to_create().await?;
            secrets.delete(&current.meta).await?;
            secrets.create().await?
        }
        (Write::Update(_) | Write::Recreate, None) => return Err(Trouble::Conflict),
    };
    Ok(Some(written))
}

/// What the API server answers to a deletion: a status, or the object that is still there.
#[derive(Deserialize)]
struct Answer {
    kind: String,
}

/// A version that no object has: the API server makes one where there is none, and refuses where there is.
pub const NOT_THERE: &str = "1";

/// The Secrets of a namespace, and the one that there should be.
struct Secrets<'w> {
    api: &'w ApiServer,
    at: Request,
    key: &'w Key,
    desired: &'w Desired,
    items: &'w Items,
}

impl Secrets<'_> {
    async fn create(&self) -> Result<Secret, Failure> {
        let body = self.manifest(json!({"resourceVersion": NOT_THERE}));
        self.patch(&PatchParams::apply(MANAGER), &Patch::Apply(&body)).await
    }

    /// Asks whether the Secret could be made, beside the one that is there: what cannot be made again is not deleted.
    async fn try_to_create(&self) -> Result<(), Failure> {
        let mut body = self.manifest(json!({"generateName": "sealant-"}));
        body["metadata"].as_object_mut().map(|metadata| metadata.remove("name"));
        let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
        self.api.ask::<IgnoredAny>(self.at.create(&params, body.to_string().into_bytes())).await.map(drop)
    }

    async fn update(&self, current: &Secret, removals: &Removals) -> Result<Secret, Failure> {
        let mut bound = bound(&current.meta);
        if removals.stale_owners {
            // Two controllers at once would be refused.
            bound = self::bound(&self.remove_owners(current, bound).await?.meta);
        }
        let body = self.manifest(bound);
        let applied = self.patch(&PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await?;
        let data = absent(removals.data.iter().filter(|key| applied.data.contains_key(*key)));
        let [labels, annotations] = [&removals.labels, &removals.annotations].map(|keys| absent(keys.iter()));
        if [&data, &labels, &annotations].into_iter().all(Map::is_empty) {
            return Ok(applied);
        }
        let mut body = json!({"metadata": self::bound(&applied.meta), "data": data});
        (body["metadata"]["labels"], body["metadata"]["annotations"]) = (labels.into(), annotations.into());
        self.patch(&merge(), &Patch::Merge(&body)).await
    }

    /// Puts our own owner reference in the place of those with an old UID, or of what the Secret was taken from; or none.
    async fn remove_owners(&self, current: &Secret, bound: Value) -> Result<Secret, Failure> {
        let claim = &self.desired.claim;
        let kept = current.meta.owners.iter().filter(|owner| !decide::goes(owner, self.desired));
        let owners: Vec<&OwnerReference> = kept.chain(self.desired.owned.then_some(claim)).collect();
        let mut body = json!({"metadata": bound});
        body["metadata"]["ownerReferences"] = json!(owners);
        self.patch(&merge(), &Patch::Merge(&body)).await
    }

    async fn patch(&self, params: &PatchParams, patch: &Patch<&Value>) -> Result<Secret, Failure> {
        self.api.ask(self.at.patch(self.key.name(), params, patch)).await
    }

    async fn delete(&self, current: &Meta) -> Result<(), Trouble> {
        let preconditions = Preconditions {
            uid: Some(current.uid.clone()),
            resource_version: Some(current.resource_version.clone()),
        };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let Answer { kind } = self.api.ask(self.at.delete(self.key.name(), &params)).await?;
        match kind == "Status" {
            true => Ok(()),
            // It is still there: a finalizer holds it.
            false => Err(Trouble::Refused(Verdict::new(reason::TERMINATING, reason::IS_GOING))),
        }
    }

    /// The whole of the Secret, with the values in `data`.
    fn manifest(&self, mut metadata: Value) -> Value {
        let Self { key, desired, items, .. } = self;
        metadata["name"] = json!(key.name());
        metadata["namespace"] = json!(key.namespace());
        metadata["labels"] = json!(desired.labels);
        metadata["annotations"] = json!(desired.annotations);
        if let Some(made_by) = &desired.made_by {
            metadata["annotations"][decide::MADE_BY] = json!(made_by.text);
        }
        if desired.owned {
            metadata["ownerReferences"] = json!([desired.claim]);
        }
        let data: serde_json::Map<_, _> = items
            .iter()
            .map(|(key, value)| (key.clone(), STANDARD.encode(value.as_slice()).into()))
            .collect();
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
}

/// Makes a Secret of this name and type with keys of our own, which nothing asks for. Returns whether it was made: somebody else may have
/// been faster, or we ourselves, before a watch has told of it. By the name it is one, however often it is asked for.
pub async fn key(
    api: &ApiServer,
    at: &Key,
    kind: &str,
    labels: Value,
    values: Value,
) -> Result<bool, Failure> {
    let metadata = json!({"name": at.name(), "namespace": at.namespace(), "labels": labels});
    let manifest = json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "stringData": values});
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let create =
        Request::new(secret::path(at.namespace())).create(&params, manifest.to_string().into_bytes());
    match api.ask::<IgnoredAny>(create).await {
        Ok(_) => Ok(true),
        Err(failure) if failure.code() == Some(409) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Writes the status of an object as it was seen.
pub async fn status(api: &ApiServer, path: String, meta: &Meta, status: &impl Status) -> Result<(), Trouble> {
    let body = json!({"metadata": bound(meta), "status": status});
    let request = Request::new(path).patch_subresource("status", &meta.name, &merge(), &Patch::Merge(&body));
    match api.ask::<IgnoredAny>(request).await {
        Ok(_) => Ok(()),
        // Nobody was faster: a next try brings the same, unless the object has just gone.
        Err(failure) if failure.code() == Some(404) => {
            let message = format!("it is gone, or its kind has no status: {failure}");
            Err(Trouble::Refused(Verdict::new(reason::REFUSED, message)))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// These keys, as a merge takes them away.
fn absent<'k>(keys: impl Iterator<Item = &'k String>) -> Map<String, Value> {
    keys.map(|key| (key.clone(), Value::Null)).collect()
}

fn merge() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// What binds a write to the object that was seen.
fn bound(seen: &Meta) -> Value {
    json!({"uid": seen.uid, "resourceVersion": seen.resource_version})
}
