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

use crate::managed::reason::{self, Reason};
use crate::source::sealed::resource::{self, GROUP, SealedSecret};

/// As whom the controller owns fields.
pub const MANAGER: &str = "sealant-controller";

/// Longer messages are cut: a SealedSecret can have thousands of recipients, each with a name.
const LONGEST_MESSAGE: usize = 2000;

/// How many transit keys of one data key, or of a group of it, are tried: each takes requests that others wait for.
const MOST_TRANSIT_KEYS: usize = 16;

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
        let message = message.into();
        let end = message.char_indices().nth(LONGEST_MESSAGE).map(|(end, _)| end);
        Self { reason, message: end.map_or_else(|| message.clone(), |end| format!("{}...", &message[..end])) }
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
    /// SealedSecrets that own it no more: it is to be retained, or they are gone.
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
        return Some(Verdict::new(Reason::Suspended, reason::SUSPENDED));
    }
    let template = sealed.spec().template.clone().unwrap_or_default();
    if let Err(error) = template.check() {
        return Some(Verdict::new(Reason::TemplateForbidden, error.message()));
    }
    let kind = template.kind.as_deref().unwrap_or(OPAQUE);
    if FORBIDDEN_TYPES.contains(&kind) && !policy.allowed_types.iter().any(|allowed| allowed == kind) {
        return Some(Verdict::new(Reason::TemplateForbidden, reason::forbidden_type(kind)));
    }
    if let Err(error) = sealed.spec().check() {
        return Some(Verdict::new(Reason::BadCiphertext, error.message()));
    }
    let mut transit_keys = sealed.spec().data_keys.iter().flat_map(|entry| {
        [&entry.hc_vault].into_iter().chain(entry.key_groups.iter().map(|group| &group.hc_vault))
    });
    let too_many = transit_keys.any(|keys| keys.len() > MOST_TRANSIT_KEYS);
    too_many.then(|| Verdict::new(Reason::BadCiphertext, reason::too_many_transit_keys(MOST_TRANSIT_KEYS)))
}

/// What can be said of the Secret that is there, before the SealedSecret is opened: `None` when it may be written.
pub fn about_current(sealed: &SealedSecret, current: Option<&Secret>) -> Option<Verdict> {
    let current = current?;
    if let Some(why) = foreign(sealed, current) {
        let message = format!("the Secret {} exists: {why}", sealed.name());
        return Some(Verdict::new(Reason::AlreadyExists, message));
    }
    // Its end is an event of its own.
    is_being_deleted(current).then(|| Verdict::new(Reason::Terminating, reason::IS_GOING))
}

/// Why it could not be opened.
pub fn not_opened(error: &Error) -> Verdict {
    let reason = match error.kind() {
        Kind::NoDataKey if error.may_pass() => Reason::VaultUnavailable,
        Kind::NoDataKey => Reason::NoIdentity,
        _ => Reason::BadCiphertext,
    };
    // Which identities and files there are is nothing for all who may read a SealedSecret.
    let details = error.details();
    let is_refused = details.iter().any(|line| line.contains(" is not allowed"));
    let public = [error.message()].into_iter().chain(error.lines().iter().map(String::as_str));
    let not_allowed = is_refused.then_some(reason::NOT_ALLOWED);
    let more = (!details.is_empty()).then_some(reason::LOG_SAYS_MORE);
    let lines: Vec<&str> = public.chain(not_allowed).chain(more).collect();
    Verdict::new(reason, lines.join("\n"))
}

/// What to write, now that it is open; an error where nothing can be.
pub fn write(
    sealed: &SealedSecret,
    current: Option<&Secret>,
    desired: &Desired,
    items: &Items,
) -> Result<Write, Verdict> {
    let Some(current) = current else { return Ok(Write::Create) };
    let same_data = has_data(current, items);
    if has_to_be_remade(current, desired, same_data) {
        return match sealed.is_annotated(resource::ON_IMMUTABLE, "Recreate") {
            true => Ok(Write::Recreate),
            false => Err(Verdict::new(Reason::Immutable, reason::IS_IMMUTABLE)),
        };
    }
    let removals = Removals {
        data: foreign_keys(current, items),
        stale_owners: owners(current).iter().any(|owner| {
            let is_wanted = desired.owner.as_ref().is_some_and(|wanted| wanted.uid == owner.uid);
            is_sealed_secret(owner, sealed.name()) && !is_wanted
        }),
    };
    match same_data && has_shell(sealed, current, desired) && removals == Removals::default() {
        true => Ok(Write::Nothing),
        false => Ok(Write::Update(removals)),
    }
}

/// Whether a Secret that was written is as it should be: webhooks may have changed it on its way.
pub fn is_right(sealed: &SealedSecret, written: &Secret, desired: &Desired, items: &Items) -> bool {
    about_current(sealed, Some(written)).is_none()
        && write(sealed, Some(written), desired, items) == Ok(Write::Nothing)
}

/// The Secret that a SealedSecret asks for, without its values.
pub fn desired(sealed: &SealedSecret) -> Desired {
    let made = shell(&sealed.sealed);
    let (mut labels, mut annotations) = (made.labels, made.annotations);
    labels.insert(resource::MANAGED.to_owned(), "true".to_owned());
    annotations.insert(resource::MADE_BY.to_owned(), sealed.name().to_owned());
    let retained = sealed.spec().deletion_policy == Some(DeletionPolicy::Retain);
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
        return Some(reason::IS_IDENTITY.to_owned());
    }
    let annotation = |key: &str| secret.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    match owners(secret).iter().find(|owner| owner.controller == Some(true)) {
        Some(owner) if is_sealed_secret(owner, sealed.name()) => None,
        Some(owner) => Some(format!("it belongs to {} {}", owner.kind, owner.name)),
        None if annotation(resource::MADE_BY) == Some(sealed.name()) => None,
        None if annotation(resource::ADOPT) == Some("true") => None,
        None => Some(reason::IS_FOREIGN.to_owned()),
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
pub fn is_sealed_secret(owner: &OwnerReference, name: &str) -> bool {
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
        && found
            .into_iter()
            .flatten()
            .all(|(key, value)| items.get(key).is_some_and(|item| **item == value.0))
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
        (Some(wanted), Some(found)) => wanted.uid == found.uid && found.controller == Some(true),
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
    let fields =
        ours.filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:metadata")?.get(field)?.as_object());
    fields.flat_map(|fields| fields.keys()).filter_map(|key| key.strip_prefix("f:")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sealed(change: impl FnOnce(&mut Value)) -> SealedSecret {
        let mut object = json!({
            "metadata": {"name": "db", "namespace": "shop", "uid": "u1", "generation": 1, "annotations": {}},
            "spec": {"encryptedData": {}},
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn items(pairs: &[(&str, &str)]) -> Items {
        let item =
            |(key, value): &(&str, &str)| ((*key).to_owned(), SecretBytes::new(value.as_bytes().to_vec()));
        pairs.iter().map(item).collect()
    }

    /// The Secret as we would have made it from these items, and then changed.
    fn secret(sealed: &SealedSecret, pairs: &[(&str, &str)], change: impl FnOnce(&mut Secret)) -> Secret {
        let desired = desired(sealed);
        let mut secret: Secret = serde_json::from_value(json!({"type": desired.kind, "metadata": {
            "name": "db", "namespace": "shop", "labels": desired.labels, "annotations": desired.annotations,
            "ownerReferences": desired.owner.as_slice(), "resourceVersion": "7", "uid": "s1",
        }}))
        .unwrap();
        let data = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), k8s_openapi::ByteString(value.as_bytes().to_vec())));
        secret.data = Some(data.collect());
        secret.immutable = desired.immutable.then_some(true);
        change(&mut secret);
        secret
    }

    fn decided(sealed: &SealedSecret, current: Option<&Secret>) -> Result<Write, Reason> {
        if let Some(verdict) =
            before_opening(sealed, &Policy::default()).or_else(|| about_current(sealed, current))
        {
            return Err(verdict.reason);
        }
        write(sealed, current, &desired(sealed), &items(&[("a", "1")])).map_err(|verdict| verdict.reason)
    }

    /// What is decided about a Secret that was right, and then changed.
    fn after(change: impl FnOnce(&mut Secret)) -> Result<Write, Reason> {
        let sealed = sealed(|_| {});
        let secret = secret(&sealed, &[("a", "1")], change);
        decided(&sealed, Some(&secret))
    }

    fn update() -> Result<Write, Reason> {
        Ok(Write::Update(Removals::default()))
    }

    fn owner(value: Value) -> Option<Vec<OwnerReference>> {
        Some(vec![serde_json::from_value(value).unwrap()])
    }

    fn ours(uid: &str) -> Value {
        json!({"apiVersion": "sealant.dev/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": uid, "controller": true})
    }

    #[test]
    fn a_secret_is_made_where_there_is_none_and_left_alone_where_it_is_right() {
        assert_eq!(decided(&sealed(|_| {}), None), Ok(Write::Create));
        assert_eq!(after(|_| {}), Ok(Write::Nothing));
        assert_eq!(after(|secret| secret.immutable = Some(false)), Ok(Write::Nothing));
        // What others add beside ours is theirs.
        let others = |secret: &mut Secret| {
            let labels = secret.metadata.labels.as_mut().unwrap();
            labels.insert("theirs".to_owned(), "x".to_owned());
        };
        assert_eq!(after(others), Ok(Write::Nothing));
        let deleting = json!("2026-11-22T00:00:00Z");
        let deleting = |secret: &mut Secret| {
            secret.metadata.deletion_timestamp = serde_json::from_value(deleting).unwrap();
            secret.data = None;
        };
        assert_eq!(after(deleting), Err(Reason::Terminating));
    }

    #[test]
    fn what_was_written_is_right_unless_it_was_changed_on_its_way() {
        let sealed = sealed(|_| {});
        let is_right = |change: &dyn Fn(&mut Secret)| {
            let written = secret(&sealed, &[("a", "1")], change);
            super::is_right(&sealed, &written, &desired(&sealed), &items(&[("a", "1")]))
        };
        assert!(is_right(&|_| {}));
        assert!(!is_right(&|secret| secret.data = None));
        assert!(!is_right(&|secret| secret.metadata.annotations = None));
        assert!(!is_right(&|secret| secret.metadata.owner_references = None));
    }

    #[test]
    fn drift_is_repaired() {
        let data = |secret: &mut Secret, key: &str, value: &str| {
            let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
            secret.data.as_mut().unwrap().insert(key.to_owned(), value);
        };
        assert_eq!(after(|secret| data(secret, "a", "2")), update());
        assert_eq!(after(|secret| secret.data = None), update());
        let removals = Removals { data: vec!["b".to_owned()], stale_owners: false };
        assert_eq!(after(|secret| data(secret, "b", "2")), Ok(Write::Update(removals)));
        assert_eq!(after(|secret| secret.metadata.labels = None), update());
        assert_eq!(after(|secret| secret.metadata.annotations = None), update());
        assert_eq!(after(|secret| secret.metadata.owner_references = None), update());
        let stale = Removals { data: Vec::new(), stale_owners: true };
        assert_eq!(
            after(|secret| secret.metadata.owner_references = owner(ours("old"))),
            Ok(Write::Update(stale))
        );
        let once_ours = json!([{"manager": MANAGER, "operation": "Apply", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:was-in-template": {}, "f:sealant.dev/managed": {}}}}}]);
        let managed =
            |secret: &mut Secret| secret.metadata.managed_fields = serde_json::from_value(once_ours).unwrap();
        assert_eq!(after(managed), update());
    }

    #[test]
    fn a_secret_of_somebody_else_is_left_alone_unless_it_may_be_adopted() {
        let foreign = |change: &dyn Fn(&mut Secret)| {
            after(|secret| {
                secret.metadata.owner_references = None;
                secret.metadata.annotations = Some(BTreeMap::new());
                change(secret);
            })
        };
        let annotate = |secret: &mut Secret, key: &str, value: &str| {
            secret.metadata.annotations.as_mut().unwrap().insert(key.to_owned(), value.to_owned());
        };
        assert_eq!(foreign(&|_| {}), Err(Reason::AlreadyExists));
        assert_eq!(foreign(&|secret| annotate(secret, resource::ADOPT, "yes")), Err(Reason::AlreadyExists));
        assert_eq!(
            foreign(&|secret| annotate(secret, resource::MADE_BY, "other")),
            Err(Reason::AlreadyExists)
        );
        assert_eq!(foreign(&|secret| annotate(secret, resource::ADOPT, "true")), update());
        // It was made by us, and retained.
        assert_eq!(foreign(&|secret| annotate(secret, resource::MADE_BY, "db")), update());
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "db", "uid": "x", "controller": true});
        let namesake = json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": "x", "controller": true});
        for other in [deployment, namesake] {
            let owned = |secret: &mut Secret| {
                secret.metadata.owner_references = owner(other.clone());
                annotate(secret, resource::ADOPT, "true");
            };
            assert_eq!(foreign(&owned), Err(Reason::AlreadyExists));
        }
        // Identities are nobody's, whatever else they carry.
        let identity = |secret: &mut Secret| {
            secret
                .metadata
                .labels
                .as_mut()
                .unwrap()
                .insert(resource::IDENTITY.to_owned(), "active".to_owned());
        };
        assert_eq!(after(identity), Err(Reason::AlreadyExists));
    }

    #[test]
    fn what_cannot_change_is_made_again_only_on_demand() {
        let immutable = |annotation: Option<&str>, wanted: bool| {
            sealed(|object| {
                object["spec"]["template"] = json!({"immutable": wanted});
                if let Some(value) = annotation {
                    object["metadata"]["annotations"][resource::ON_IMMUTABLE] = value.into();
                }
            })
        };
        let found = |annotation, wanted, value: &str, change: &dyn Fn(&mut Secret)| {
            let sealed = immutable(annotation, wanted);
            let secret = secret(&sealed, &[("a", value)], |secret| {
                secret.immutable = Some(true);
                change(secret);
            });
            decided(&sealed, Some(&secret))
        };
        let same = |_: &mut Secret| {};
        assert_eq!(found(None, true, "1", &same), Ok(Write::Nothing));
        assert_eq!(found(None, true, "1", &|secret| secret.metadata.labels = None), update());
        assert_eq!(found(None, true, "2", &same), Err(Reason::Immutable));
        assert_eq!(found(None, false, "1", &same), Err(Reason::Immutable));
        assert_eq!(found(Some("recreate"), true, "2", &same), Err(Reason::Immutable));
        assert_eq!(found(Some("Recreate"), true, "2", &same), Ok(Write::Recreate));
        assert_eq!(after(|secret| secret.type_ = Some("x/y".to_owned())), Err(Reason::Immutable));
        // To become immutable is a change like any other.
        let sealed = immutable(None, true);
        let mutable = secret(&sealed, &[("a", "1")], |secret| secret.immutable = None);
        assert_eq!(decided(&sealed, Some(&mutable)), update());
    }

    #[test]
    fn a_retained_secret_has_no_owner() {
        let retained = sealed(|object| object["spec"]["deletionPolicy"] = "Retain".into());
        assert_eq!(desired(&retained).owner, None);
        let right = secret(&retained, &[("a", "1")], |_| {});
        assert_eq!(decided(&retained, Some(&right)), Ok(Write::Nothing));
        let stale = Removals { data: Vec::new(), stale_owners: true };
        let owned =
            secret(&retained, &[("a", "1")], |secret| secret.metadata.owner_references = owner(ours("u1")));
        assert_eq!(decided(&retained, Some(&owned)), Ok(Write::Update(stale)));
        let deleted = desired(&sealed(|_| {})).owner.unwrap();
        assert_eq!(serde_json::to_value(deleted).unwrap(), ours("u1"));
    }

    #[test]
    fn a_template_is_refused_before_anything_is_opened() {
        let policy = Policy { allowed_types: vec!["bootstrap.kubernetes.io/token".to_owned()] };
        let cases = [
            (json!({"type": "kubernetes.io/service-account-token"}), Some(Reason::TemplateForbidden)),
            (json!({"type": "bootstrap.kubernetes.io/token"}), None),
            (json!({"type": "kubernetes.io/tls"}), None),
            (json!({"data": {"a": "b"}}), Some(Reason::TemplateForbidden)),
            (
                json!({"metadata": {"labels": {"sealant.dev/identity": "active"}}}),
                Some(Reason::TemplateForbidden),
            ),
            (
                json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/managed": "true"}}}),
                Some(Reason::TemplateForbidden),
            ),
            (
                json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "x"}}}),
                Some(Reason::TemplateForbidden),
            ),
            (
                json!({"metadata": {"annotations": {"kubectl.kubernetes.io/x": "x"}}}),
                Some(Reason::TemplateForbidden),
            ),
        ];
        for (template, expected) in cases {
            let sealed = sealed(|object| object["spec"]["template"] = template.clone());
            assert_eq!(
                before_opening(&sealed, &policy).map(|verdict| verdict.reason),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn many_transit_keys_are_refused() {
        let reason = |count: usize, grouped: bool| {
            let entry =
                json!({"address": "https://v", "enginePath": "transit", "keyName": "k", "enc": "vault:v1:x"});
            let keys = vec![entry; count];
            let commitment = "A".repeat(43) + "=";
            let mut key = json!({"id": "00000000", "commitment": commitment});
            match grouped {
                false => key["hcVault"] = keys.into(),
                true => key["keyGroups"] = json!([{"hcVault": keys}, {"hcVault": keys}]),
            }
            let sealed = sealed(|object| object["spec"]["dataKeys"] = json!([key]));
            before_opening(&sealed, &Policy::default()).map(|verdict| verdict.message)
        };
        for grouped in [false, true] {
            assert_eq!(reason(MOST_TRANSIT_KEYS, grouped), None);
            let refused = Some(reason::too_many_transit_keys(MOST_TRANSIT_KEYS));
            assert_eq!(reason(MOST_TRANSIT_KEYS + 1, grouped), refused);
        }
    }

    #[test]
    fn suspension_comes_before_everything_else() {
        let suspended = |value: &str| {
            sealed(|object| {
                object["metadata"]["annotations"][resource::SUSPEND] = value.into();
                object["spec"]["template"] = json!({"data": {"a": "b"}});
            })
        };
        let reason = |sealed: &SealedSecret| before_opening(sealed, &Policy::default()).unwrap().reason;
        assert_eq!(reason(&suspended("true")), Reason::Suspended);
        assert_eq!(reason(&suspended("false")), Reason::TemplateForbidden);
    }

    #[test]
    fn what_did_not_open_waits_for_vault_or_for_a_person() {
        let error = |kind, passing| not_opened(&Error::new(kind, "x").passing(passing)).reason;
        assert_eq!(error(Kind::NoDataKey, true), Reason::VaultUnavailable);
        assert_eq!(error(Kind::NoDataKey, false), Reason::NoIdentity);
        assert_eq!(error(Kind::Decrypt, false), Reason::BadCiphertext);
        let closed = || Error::new(Kind::NoDataKey, "nothing opens it");
        let detailed = |lines: &[&str]| closed().detailing(lines.iter().map(ToString::to_string));
        let found = detailed(&["looked for identities in:", "  Secret team"]);
        let said = |error: &Error| not_opened(error).message;
        assert_eq!(said(&found), format!("nothing opens it\n{}", reason::LOG_SAYS_MORE));
        let failed = detailed(&["what went wrong:", "  /run/token: gone", "  https://x is not allowed"]);
        let expected = format!("nothing opens it\n{}\n{}", reason::NOT_ALLOWED, reason::LOG_SAYS_MORE);
        assert_eq!(said(&failed), expected);
        assert_eq!(said(&closed()), "nothing opens it");
        let wanted = closed().listing(["wanted, any of:".to_owned(), "  age1x".to_owned()]);
        assert_eq!(said(&wanted), "nothing opens it\nwanted, any of:\n  age1x");
        let long = Verdict::new(Reason::NoIdentity, "x".repeat(5000));
        assert_eq!(long.message.len(), LONGEST_MESSAGE + 3);
    }
}
