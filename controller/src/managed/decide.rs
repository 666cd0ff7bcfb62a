//! What to do about one Secret: a function of what it should be and of what is there.
//!
//! Knows no client, no clock, no key and no kind of source: everything that it needs is handed in, so that each row of
//! the design is a test without a cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use sealant::sealed_secret::WITH_OLD_VALUES;

use crate::engine::object::Meta;
use crate::managed::reason::{self, Reason, Words};
use crate::managed::secret::{Items, Secret};

/// On Secrets that the controller makes: by it they are watched.
pub const MANAGED: &str = "sealant.dev/managed";

/// On Secrets that the controller makes: kind and name of what they were made from. Two kinds of objects may have one of the
/// same name, and a Secret that was retained has no owner that would tell them apart.
pub const MADE_BY: &str = "sealant.dev/made-by";

/// What earlier versions wrote in its place, of the one kind that there was: the name alone. It is as good, so that nothing
/// is written because of it, and goes with the next write.
const MADE_BY_NAME: &str = "sealant.dev/sealed-secret";
const KIND_OF_NAME: &str = "sealedsecrets.sealant.dev";

/// On Secrets in the controller's namespace that hold identities.
pub const IDENTITY: &str = "sealant.dev/identity";

/// Longer messages are cut: an object can have thousands of recipients, each with a name.
const LONGEST_MESSAGE: usize = 2000;

/// What is to be said of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub reason: Reason,
    pub message: String,
    /// Whether more will be known in a while: what an object says already for the same reason is as good.
    pub is_provisional: bool,
}

impl Verdict {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        let end = message.char_indices().nth(LONGEST_MESSAGE).map(|(end, _)| end);
        let message = end.map_or_else(|| message.clone(), |end| format!("{}...", &message[..end]));
        Self { reason, message, is_provisional: false }
    }

    /// One that says what is known until more is.
    pub fn provisional(reason: Reason, message: impl Into<String>) -> Self {
        Self { is_provisional: true, ..Self::new(reason, message) }
    }

    /// The message without what it goes on to list.
    pub fn brief(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
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
    /// Annotations that hold the Secret as it was once applied, with its old values.
    pub annotations: Vec<String>,
    /// Objects that no longer own it: it is to be retained, or they are gone.
    pub stale_owners: bool,
}

/// The Secret that there should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub name: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// What asks for it.
    pub claim: OwnerReference,
    /// The same as an annotation: its kind as metrics call it, a slash, and its name.
    pub made_by: String,
    /// Annotations by which somebody lets a Secret of theirs be taken over.
    pub adopted_by: &'static [(&'static str, &'static str)],
    /// Whether the Secret goes with what asks for it.
    pub owned: bool,
    pub kind: String,
    pub immutable: bool,
    /// Whether it may be deleted and made again where it cannot be changed.
    pub remake: bool,
    /// How it is spoken of.
    pub words: &'static Words,
}

/// What can be said of the Secret that is there, before anything is opened: `None` when it may be written.
pub fn about_current(desired: &Desired, current: Option<&Secret>) -> Option<Verdict> {
    let current = current?;
    if let Some(why) = foreign(desired, current) {
        let message = format!("the Secret {} exists: {why}", desired.name);
        return Some(Verdict::new(reason::ALREADY_EXISTS, message));
    }
    // Its end is an event of its own.
    current.meta.is_being_deleted.then(|| Verdict::new(reason::TERMINATING, reason::IS_GOING))
}

/// What to write, now that the values are known; an error where nothing can be.
pub fn write(current: Option<&Secret>, desired: &Desired, items: &Items) -> Result<Write, Verdict> {
    let Some(current) = current else { return Ok(Write::Create) };
    let same_data = current.data == *items;
    if has_to_be_remade(current, desired, same_data) {
        return match desired.remake {
            true => Ok(Write::Recreate),
            false => Err(Verdict::new(reason::IMMUTABLE, desired.words.is_immutable)),
        };
    }
    let removals = Removals {
        data: foreign_keys(current, items),
        annotations: with_old_values(&current.meta, desired),
        stale_owners: current.meta.owners.iter().any(|owner| {
            let is_wanted = desired.owned && desired.claim.uid == owner.uid;
            is_same_source(owner, &desired.claim) && !is_wanted
        }),
    };
    match same_data && has_shell(current, desired) && removals == Removals::default() {
        true => Ok(Write::Nothing),
        false => Ok(Write::Update(removals)),
    }
}

/// Whether a Secret that was written is as it should be: webhooks may have changed it on its way.
pub fn is_right(written: &Secret, desired: &Desired, items: &Items) -> bool {
    about_current(desired, Some(written)).is_none()
        && write(Some(written), desired, items) == Ok(Write::Nothing)
}

/// Why a Secret may not be written.
fn foreign(desired: &Desired, secret: &Secret) -> Option<String> {
    let meta = &secret.meta;
    if meta.labels.contains_key(IDENTITY) {
        return Some(reason::IS_IDENTITY.to_owned());
    }
    match meta.owners.iter().find(|owner| owner.controller == Some(true)) {
        Some(owner) if is_same_source(owner, &desired.claim) => None,
        Some(owner) => Some(format!("it belongs to {} {}", owner.kind, owner.name)),
        None if made_by(meta).as_ref() == Some(&desired.made_by) => None,
        None if desired.adopted_by.iter().any(|(key, value)| meta.is_annotated(key, value)) => None,
        None => Some(desired.words.is_foreign.to_owned()),
    }
}

/// What a Secret was made by, as it says itself.
fn made_by(meta: &Meta) -> Option<String> {
    let by_name = || meta.annotations.get(MADE_BY_NAME).map(|name| format!("{KIND_OF_NAME}/{name}"));
    meta.annotations.get(MADE_BY).cloned().or_else(by_name)
}

/// Whether a Secret was made by the controller from one of these kinds of objects, whoever has changed its labels since.
pub fn is_managed(meta: &Meta, kinds: &[&str]) -> bool {
    let is_ours = |owner: &OwnerReference| {
        kinds.iter().any(|kind| kind.split_once('.').is_some_and(|(_, of)| of == group(owner)))
    };
    let is_owned = meta.owners.iter().any(is_ours);
    is_owned || made_by(meta).is_some() || meta.labels.contains_key(MANAGED)
}

/// One of the same kind and name counts as the same even when its UID is that of one that is gone.
pub fn is_same_source(owner: &OwnerReference, claim: &OwnerReference) -> bool {
    owner.kind == claim.kind && group(owner) == group(claim) && owner.name == claim.name
}

fn group(owner: &OwnerReference) -> &str {
    owner.api_version.split('/').next().unwrap_or_default()
}

fn with_old_values(meta: &Meta, desired: &Desired) -> Vec<String> {
    let kept = WITH_OLD_VALUES.iter().filter(|key| meta.annotations.contains_key(**key));
    kept.filter(|key| !desired.annotations.contains_key(**key)).map(|key| (*key).to_owned()).collect()
}

fn foreign_keys(secret: &Secret, items: &Items) -> Vec<String> {
    secret.data.keys().filter(|key| !items.contains_key(*key)).cloned().collect()
}

/// Whether it would have to change where Kubernetes lets nothing change.
fn has_to_be_remade(secret: &Secret, desired: &Desired, same_data: bool) -> bool {
    secret.kind != desired.kind || (secret.immutable && (!same_data || !desired.immutable))
}

/// Whether everything but the values is as it should be. Labels and annotations of others may stand beside ours; those
/// that we once set and that are asked for no more may not.
fn has_shell(secret: &Secret, desired: &Desired) -> bool {
    let holds = |found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| found.get(key) == Some(value))
    };
    let found_owner = secret.meta.owners.iter().find(|owner| is_same_source(owner, &desired.claim));
    let right_owner = match (desired.owned, found_owner) {
        (false, None) => true,
        // A version that is served no more would keep the garbage collector from finding the owner.
        (true, Some(found)) => {
            found.uid == desired.claim.uid
                && found.controller == Some(true)
                && found.api_version == desired.claim.api_version
        }
        _ => false,
    };
    right_owner
        && secret.immutable == desired.immutable
        && holds(&secret.meta.labels, &desired.labels)
        && holds(&secret.meta.annotations, &desired.annotations)
        && made_by(&secret.meta).as_ref() == Some(&desired.made_by)
        && secret.set_by_us.labels.iter().all(|key| desired.labels.contains_key(key))
        && secret.set_by_us.annotations.iter().all(|key| {
            [MADE_BY, MADE_BY_NAME].contains(&key.as_str()) || desired.annotations.contains_key(key)
        })
}

#[cfg(test)]
mod tests {
    use sealant::secret::SecretBytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::source::sealed::ask::{self, desired};
    use crate::source::sealed::resource::{self, ADOPT, SealedSecret};

    fn sealed(change: impl FnOnce(&mut Value)) -> SealedSecret {
        ask::tests::sealed(change)
    }

    fn items(pairs: &[(&str, &str)]) -> Items {
        let item =
            |(key, value): &(&str, &str)| ((*key).to_owned(), SecretBytes::new(value.as_bytes().to_vec()));
        pairs.iter().map(item).collect()
    }

    /// The Secret as we would have made it from these items, and then changed.
    fn secret(sealed: &SealedSecret, pairs: &[(&str, &str)], change: impl FnOnce(&mut Secret)) -> Secret {
        let desired = desired(sealed);
        let owners = if desired.owned { vec![desired.claim] } else { Vec::new() };
        let mut annotations = desired.annotations;
        annotations.insert(MADE_BY.to_owned(), desired.made_by);
        let mut secret: Secret = serde_json::from_value(json!({"type": desired.kind, "metadata": {
            "name": "db", "namespace": "shop", "labels": desired.labels, "annotations": annotations,
            "ownerReferences": owners, "resourceVersion": "7", "uid": "s1",
        }}))
        .unwrap();
        secret.data = items(pairs);
        secret.immutable = desired.immutable;
        change(&mut secret);
        secret
    }

    fn decided(sealed: &SealedSecret, current: Option<&Secret>) -> Result<Write, Reason> {
        let desired = desired(sealed);
        if let Some(verdict) = about_current(&desired, current) {
            return Err(verdict.reason);
        }
        write(current, &desired, &items(&[("a", "1")])).map_err(|verdict| verdict.reason)
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

    fn owner(value: Value) -> Vec<OwnerReference> {
        vec![serde_json::from_value(value).unwrap()]
    }

    fn ours(uid: &str) -> Value {
        json!({"apiVersion": "sealant.dev/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": uid, "controller": true})
    }

    #[test]
    fn a_secret_is_made_where_there_is_none_and_left_alone_where_it_is_right() {
        assert_eq!(decided(&sealed(|_| {}), None), Ok(Write::Create));
        assert_eq!(after(|_| {}), Ok(Write::Nothing));
        assert_eq!(after(|secret| secret.immutable = false), Ok(Write::Nothing));
        // What others add beside ours is theirs.
        let others = |secret: &mut Secret| {
            secret.meta.labels.insert("theirs".to_owned(), "x".to_owned());
        };
        assert_eq!(after(others), Ok(Write::Nothing));
        let deleting = |secret: &mut Secret| {
            secret.meta.is_being_deleted = true;
            secret.data.clear();
        };
        assert_eq!(after(deleting), Err(reason::TERMINATING));
    }

    #[test]
    fn what_was_written_is_right_unless_it_was_changed_on_its_way() {
        let sealed = sealed(|_| {});
        let is_right = |change: &dyn Fn(&mut Secret)| {
            let written = secret(&sealed, &[("a", "1")], change);
            super::is_right(&written, &desired(&sealed), &items(&[("a", "1")]))
        };
        assert!(is_right(&|_| {}));
        assert!(!is_right(&|secret| secret.data.clear()));
        assert!(!is_right(&|secret| secret.meta.annotations.clear()));
        assert!(!is_right(&|secret| secret.meta.owners.clear()));
    }

    #[test]
    fn drift_is_repaired() {
        let data = |secret: &mut Secret, key: &str, value: &str| {
            secret.data.insert(key.to_owned(), SecretBytes::new(value.as_bytes().to_vec()));
        };
        assert_eq!(after(|secret| data(secret, "a", "2")), update());
        assert_eq!(after(|secret| secret.data.clear()), update());
        let removals = Removals { data: vec!["b".to_owned()], ..Removals::default() };
        assert_eq!(after(|secret| data(secret, "b", "2")), Ok(Write::Update(removals)));
        assert_eq!(after(|secret| secret.meta.labels.clear()), update());
        assert_eq!(after(|secret| secret.meta.annotations.clear()), update());
        assert_eq!(after(|secret| secret.meta.owners.clear()), update());
        let kept = WITH_OLD_VALUES[0];
        let annotate =
            |secret: &mut Secret| drop(secret.meta.annotations.insert(kept.to_owned(), "x".to_owned()));
        let removals = Removals { annotations: vec![kept.to_owned()], ..Removals::default() };
        assert_eq!(after(annotate), Ok(Write::Update(removals)));
        let stale = Removals { stale_owners: true, ..Removals::default() };
        assert_eq!(after(|secret| secret.meta.owners = owner(ours("old"))), Ok(Write::Update(stale)));
        let of_old_version = |secret: &mut Secret| {
            secret.meta.owners[0].api_version = "sealant.dev/v1alpha0".to_owned();
        };
        assert_eq!(after(of_old_version), update());
        let managed = |secret: &mut Secret| {
            secret.set_by_us.labels = [MANAGED.to_owned(), "was-in-template".to_owned()].into();
        };
        assert_eq!(after(managed), update());
    }

    #[test]
    fn a_secret_of_somebody_else_is_left_alone_unless_it_may_be_adopted() {
        let foreign = |change: &dyn Fn(&mut Secret)| {
            after(|secret| {
                secret.meta.owners.clear();
                secret.meta.annotations.clear();
                change(secret);
            })
        };
        let annotate = |secret: &mut Secret, key: &str, value: &str| {
            secret.meta.annotations.insert(key.to_owned(), value.to_owned());
        };
        assert_eq!(foreign(&|_| {}), Err(reason::ALREADY_EXISTS));
        assert_eq!(foreign(&|secret| annotate(secret, ADOPT, "yes")), Err(reason::ALREADY_EXISTS));
        for other in ["sealedsecrets.sealant.dev/other", "sealedsecrets.bitnami.com/db", "db"] {
            assert_eq!(
                foreign(&|secret| annotate(secret, MADE_BY, other)),
                Err(reason::ALREADY_EXISTS),
                "{other}"
            );
        }
        assert_eq!(foreign(&|secret| annotate(secret, MADE_BY_NAME, "other")), Err(reason::ALREADY_EXISTS));
        // What says more counts, where both are there.
        let both = |secret: &mut Secret| {
            annotate(secret, MADE_BY_NAME, "db");
            annotate(secret, MADE_BY, "sealedsecrets.bitnami.com/db");
        };
        assert_eq!(foreign(&both), Err(reason::ALREADY_EXISTS));
        assert_eq!(foreign(&|secret| annotate(secret, ADOPT, "true")), update());
        // It was made by us, and retained.
        assert_eq!(foreign(&|secret| annotate(secret, MADE_BY, "sealedsecrets.sealant.dev/db")), update());
        assert_eq!(foreign(&|secret| annotate(secret, MADE_BY_NAME, "db")), update());
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "db", "uid": "x", "controller": true});
        let namesake = json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": "x", "controller": true});
        for other in [deployment, namesake] {
            let owned = |secret: &mut Secret| {
                secret.meta.owners = owner(other.clone());
                annotate(secret, ADOPT, "true");
            };
            assert_eq!(foreign(&owned), Err(reason::ALREADY_EXISTS));
        }
        // Identities are nobody's, whatever else they carry.
        let identity = |secret: &mut Secret| {
            secret.meta.labels.insert(IDENTITY.to_owned(), "active".to_owned());
        };
        assert_eq!(after(identity), Err(reason::ALREADY_EXISTS));
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
                secret.immutable = true;
                change(secret);
            });
            decided(&sealed, Some(&secret))
        };
        let same = |_: &mut Secret| {};
        assert_eq!(found(None, true, "1", &same), Ok(Write::Nothing));
        assert_eq!(found(None, true, "1", &|secret| secret.meta.labels.clear()), update());
        assert_eq!(found(None, true, "2", &same), Err(reason::IMMUTABLE));
        assert_eq!(found(None, false, "1", &same), Err(reason::IMMUTABLE));
        assert_eq!(found(Some("recreate"), true, "2", &same), Err(reason::IMMUTABLE));
        assert_eq!(found(Some("Recreate"), true, "2", &same), Ok(Write::Recreate));
        assert_eq!(after(|secret| secret.kind = "x/y".to_owned()), Err(reason::IMMUTABLE));
        // To become immutable is a change like any other.
        let sealed = immutable(None, true);
        let mutable = secret(&sealed, &[("a", "1")], |secret| secret.immutable = false);
        assert_eq!(decided(&sealed, Some(&mutable)), update());
    }

    /// As the controller of 79ed1a3 has made it: what says the same in other words is no reason to write.
    #[test]
    fn a_secret_of_an_earlier_version_is_right() {
        let earlier = |secret: &mut Secret| {
            secret.meta.annotations.remove(MADE_BY);
            secret.meta.annotations.insert(MADE_BY_NAME.to_owned(), "db".to_owned());
            secret.set_by_us = crate::managed::secret::SetByUs {
                labels: [MANAGED.to_owned()].into(),
                annotations: [MADE_BY_NAME.to_owned()].into(),
            };
        };
        assert_eq!(after(earlier), Ok(Write::Nothing));
        let of_another_name = |secret: &mut Secret| {
            earlier(secret);
            secret.meta.annotations.insert(MADE_BY_NAME.to_owned(), "x".to_owned());
        };
        assert_eq!(after(of_another_name), update());
    }

    #[test]
    fn a_retained_secret_has_no_owner() {
        let retained = sealed(|object| object["spec"]["deletionPolicy"] = "Retain".into());
        assert!(!desired(&retained).owned);
        let right = secret(&retained, &[("a", "1")], |_| {});
        assert_eq!(decided(&retained, Some(&right)), Ok(Write::Nothing));
        let stale = Removals { stale_owners: true, ..Removals::default() };
        let owned = secret(&retained, &[("a", "1")], |secret| secret.meta.owners = owner(ours("u1")));
        assert_eq!(decided(&retained, Some(&owned)), Ok(Write::Update(stale)));
        let deleted = desired(&sealed(|_| {}));
        assert!(deleted.owned);
        assert_eq!(serde_json::to_value(deleted.claim).unwrap(), ours("u1"));
    }
}
