//! What to do about one SealedSecret: a function of it, of the Secret that is there, and of what could be opened.
//!
//! Knows no client, no clock and no key: everything that it needs is handed in, so that each row of the design is a
//! test without a cluster.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use sealant::error::{Error, Kind};
use sealant::sealed_secret::{DeletionPolicy, FORBIDDEN_TYPES, KIND, shell};
use sealant::secret::SecretBytes;

use crate::reasons::{self, Reason};
use crate::resource::{self, GROUP, SealedSecret};

/// As whom the controller owns fields.
pub const MANAGER: &str = "sealant-controller";

/// The type of a Secret whose template names none.
const OPAQUE: &str = "Opaque";

/// The values of a Secret.
pub type Items = BTreeMap<String, SecretBytes>;

/// How it stands about a SealedSecret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub reason: Reason,
    pub message: String,
}

impl Verdict {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What has to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Nothing,
    Create,
    Update(Removals),
    /// Delete it and make it again: only where it cannot be changed, and somebody wants it so.
    Recreate,
}

/// What an apply does not take away, for somebody else has put it there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    pub data: Vec<String>,
    /// Owners of our kind and name that are gone, and their successor.
    pub stale_owners: bool,
}

/// The Secret that there should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub name: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub owner: Option<OwnerReference>,
    pub kind: String,
    pub immutable: bool,
}

/// What whoever runs the controller has allowed.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Types of Secrets that would be refused.
    pub allowed_types: Vec<String>,
}

/// What can be said without a key: `None` when the SealedSecret has to be opened.
pub fn before_opening(sealed: &SealedSecret, policy: &Policy) -> Option<Verdict> {
    if sealed.is_annotated(resource::SUSPEND, "true") {
        return Some(Verdict::new(Reason::Suspended, reasons::SUSPENDED));
    }
    let template = sealed.spec.template.clone().unwrap_or_default();
    if let Err(error) = template.check() {
        return Some(Verdict::new(Reason::TemplateForbidden, error.message()));
    }
    let kind = template.kind.as_deref().unwrap_or(OPAQUE);
    if FORBIDDEN_TYPES.contains(&kind) && !policy.allowed_types.iter().any(|allowed| allowed == kind) {
        return Some(Verdict::new(Reason::TemplateForbidden, reasons::forbidden_type(kind)));
    }
    let checked = sealed.spec.check();
    checked.err().map(|error| Verdict::new(Reason::BadCiphertext, error.message()))
}

/// What can be said of the Secret that is there, before the SealedSecret is opened: `None` when it may be written.
pub fn about_current(sealed: &SealedSecret, current: Option<&Secret>) -> Option<Verdict> {
    let why = foreign(sealed, current?)?;
    let message = format!("the Secret {} exists: {why}", sealed.name());
    Some(Verdict::new(Reason::AlreadyExists, message))
}

/// Why it could not be opened.
pub fn not_opened(error: &Error) -> Verdict {
    let reason = match error.kind() {
        Kind::NoDataKey if error.may_pass() => Reason::VaultUnavailable,
        Kind::NoDataKey => Reason::NoIdentity,
        _ => Reason::BadCiphertext,
    };
    Verdict::new(reason, error.message())
}

/// What to write, now that it is open; an error where nothing can be.
pub fn write(
    sealed: &SealedSecret,
    current: Option<&Secret>,
    desired: &Desired,
    items: &Items,
) -> Result<Write, Verdict> {
    let Some(current) = current else { return Ok(Write::Create) };
    if is_being_deleted(current) {
        // It is made again when it is gone, which is an event of its own.
        return Ok(Write::Nothing);
    }
    let same_data = has_data(current, items);
    if has_to_be_remade(current, desired, same_data) {
        return match sealed.is_annotated(resource::ON_IMMUTABLE, "Recreate") {
            true => Ok(Write::Recreate),
            false => Err(Verdict::new(Reason::Immutable, reasons::IS_IMMUTABLE)),
        };
    }
    let removals = Removals {
        data: foreign_keys(current, items),
        stale_owners: owners(current).iter().any(|owner| {
            is_sealed_secret(owner, sealed.name()) && Some(&owner.uid) != sealed.metadata.uid.as_ref()
        }),
    };
    match same_data && has_shell(sealed, current, desired) && removals == Removals::default() {
        true => Ok(Write::Nothing),
        false => Ok(Write::Update(removals)),
    }
}

/// The Secret that a SealedSecret asks for, without its values.
pub fn desired(sealed: &SealedSecret) -> Desired {
    let made = shell(&sealed.sealed());
    let (mut labels, mut annotations) = (made.labels, made.annotations);
    labels.insert(resource::MANAGED.to_owned(), "true".to_owned());
    annotations.insert(resource::MADE_BY.to_owned(), sealed.name().to_owned());
    let retained = sealed.spec.deletion_policy == Some(DeletionPolicy::Retain);
    Desired {
        name: sealed.name().to_owned(),
        namespace: sealed.namespace().to_owned(),
        labels,
        annotations,
        owner: sealed.controller_owner_ref(&()).filter(|_| !retained),
        kind: made.kind.unwrap_or_else(|| OPAQUE.to_owned()),
        immutable: made.immutable.unwrap_or_default(),
    }
}

/// Why a Secret may not be written.
fn foreign(sealed: &SealedSecret, secret: &Secret) -> Option<String> {
    if secret.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(resource::IDENTITY)) {
        return Some(reasons::IS_IDENTITY.to_owned());
    }
    let annotation = |key: &str| secret.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    match owners(secret).iter().find(|owner| owner.controller == Some(true)) {
        Some(owner) if is_sealed_secret(owner, sealed.name()) => None,
        Some(owner) => Some(format!("it belongs to {} {}", owner.kind, owner.name)),
        None if annotation(resource::MADE_BY) == Some(sealed.name()) => None,
        None if annotation(resource::ADOPT) == Some("true") => None,
        None => Some(reasons::IS_FOREIGN.to_owned()),
    }
}

/// Whether a Secret was made from a SealedSecret, whoever has changed its labels since.
pub fn is_managed(metadata: &kube::api::ObjectMeta) -> bool {
    sealed_secret_of(metadata).is_some()
        || metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(resource::MANAGED))
}

/// The name of the SealedSecret that a Secret was made from.
pub fn sealed_secret_of(metadata: &kube::api::ObjectMeta) -> Option<&str> {
    let owners = metadata.owner_references.iter().flatten();
    let by_owner =
        owners.filter(|owner| is_sealed_secret(owner, &owner.name)).map(|owner| owner.name.as_str()).next();
    by_owner.or_else(|| metadata.annotations.as_ref()?.get(resource::MADE_BY).map(String::as_str))
}

/// One of our kind and name counts as ours even when its UID is that of a SealedSecret that is gone.
fn is_sealed_secret(owner: &OwnerReference, name: &str) -> bool {
    let group = owner.api_version.split('/').next();
    owner.kind == KIND && group == Some(GROUP) && owner.name == name
}

fn owners(secret: &Secret) -> &[OwnerReference] {
    secret.metadata.owner_references.as_deref().unwrap_or_default()
}

fn is_being_deleted(secret: &Secret) -> bool {
    secret.metadata.deletion_timestamp.is_some()
}

fn has_data(secret: &Secret, items: &Items) -> bool {
    let found = secret.data.as_ref();
    found.map_or(0, BTreeMap::len) == items.len()
        && found.into_iter().flatten().all(|(key, value)| items.get(key).is_some_and(|item| **item == value.0))
}

fn foreign_keys(secret: &Secret, items: &Items) -> Vec<String> {
    let found = secret.data.iter().flatten().map(|(key, _)| key);
    found.filter(|key| !items.contains_key(*key)).cloned().collect()
}

/// Whether it would have to change where Kubernetes lets nothing change.
fn has_to_be_remade(secret: &Secret, desired: &Desired, same_data: bool) -> bool {
    let is_immutable = secret.immutable == Some(true);
    secret.type_.as_deref().unwrap_or(OPAQUE) != desired.kind
        || (is_immutable && (!same_data || !desired.immutable))
}

/// Whether everything but the values is as it should be. Labels and annotations of others may stand beside ours; those
/// that we once set and that are asked for no more may not.
fn has_shell(sealed: &SealedSecret, secret: &Secret, desired: &Desired) -> bool {
    let holds = |found: Option<&BTreeMap<String, String>>, wanted: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| found.and_then(|found| found.get(key)) == Some(value))
    };
    let metadata = &secret.metadata;
    let asked_for = |field: &str, wanted: &BTreeMap<String, String>| {
        set_by_us(secret, field).into_iter().all(|key| wanted.contains_key(key))
    };
    let is_owner = |owner: &&OwnerReference| is_sealed_secret(owner, sealed.name());
    let found_owner = owners(secret).iter().find(is_owner);
    let right_owner = match (&desired.owner, found_owner) {
        (None, None) => true,
        (Some(wanted), Some(found)) => {
            wanted.uid == found.uid
                && found.controller == Some(true)
                && found.block_owner_deletion != Some(true)
        }
        _ => false,
    };
    right_owner
        && secret.immutable.unwrap_or_default() == desired.immutable
        && holds(metadata.labels.as_ref(), &desired.labels)
        && holds(metadata.annotations.as_ref(), &desired.annotations)
        && asked_for("f:labels", &desired.labels)
        && asked_for("f:annotations", &desired.annotations)
}

/// The labels or annotations that we have set, as the API server remembers it.
fn set_by_us<'s>(secret: &'s Secret, field: &str) -> BTreeSet<&'s str> {
    let entries = secret.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(MANAGER));
    let fields = ours.filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:metadata")?.get(field)?.as_object());
    fields.flat_map(|fields| fields.keys()).filter_map(|key| key.strip_prefix("f:")).collect()
}
