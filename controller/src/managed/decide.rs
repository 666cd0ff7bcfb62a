//! What to do about one Secret: a function of what it should be and of what is there.
//!
//! Knows no client, no clock, no key and no kind of source: everything that it needs is handed in, so that each row of
//! the design is a test without a cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use sealant::sealed_secret::WITH_OLD_VALUES;

use crate::engine::object::Meta;
use crate::managed::reason::{self, Reason, Words};
use crate::managed::secret::{Items, MANAGER, Secret, SetBy};

/// On Secrets that the controller makes: by it they are watched.
pub const MANAGED: &str = "sealant.dev/managed";

/// On Secrets that the controller makes: kind and name of what they were made from. Two kinds of objects may have one of the
/// same name, and a Secret that was retained has no owner that would tell them apart.
pub const MADE_BY: &str = "sealant.dev/made-by";

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
    pub labels: Vec<String>,
    /// Those that hold the Secret as it was once applied, with its old values, and those that go with a Secret's owner.
    pub annotations: Vec<String>,
    /// Objects that no longer own it: it is to be retained, or they are gone.
    pub stale_owners: bool,
}

/// The Secret that there should be. Its name and namespace are those of the object that asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// What asks for it.
    pub claim: OwnerReference,
    /// The same as an annotation; `None` for a kind that writes none, and goes by owner references alone.
    pub made_by: Option<MadeBy>,
    /// Annotations by which somebody lets a Secret of theirs be written.
    pub adopted_by: &'static [Adoption],
    /// A kind, as owner references have it, whose Secret of the same name becomes that of this object, as long as its values are the
    /// same: an object of this kind comes after one of that.
    pub comes_after: Option<Owner>,
    /// A kind that comes after this one: what it has taken over is left to it.
    pub comes_before: Option<Owner>,
    /// The owner whose Secret it is until then.
    pub taken_from: Option<OwnerReference>,
    /// As whom another controller has made such Secrets: what it has set, and is asked for no more, goes as ours does.
    pub earlier_managers: &'static [&'static str],
    /// What becomes of what others have put into the Secret. A source says [`Others::Stay`].
    pub others: Others,
    /// Whether the Secret goes with what asks for it.
    pub owned: bool,
    pub kind: String,
    pub immutable: bool,
    /// Whether it may be deleted and made again where it cannot be changed.
    pub remake: bool,
    /// How it is spoken of.
    pub words: &'static Words,
}

/// A kind of object: its API version and kind.
pub type Owner = (&'static str, &'static str);

/// What a Secret says that it was made by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeBy {
    /// The value of [`MADE_BY`]: the kind as metrics call it, a slash, and the name.
    pub text: String,
    /// What earlier versions wrote in its place: an annotation with the name alone. It is as good, so that nothing is written
    /// because of it, and goes with the next write.
    pub earlier: Option<(&'static str, String)>,
}

/// An annotation of a Secret by which its owner lets it be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Adoption {
    pub key: &'static str,
    pub value: &'static str,
    pub gives: Gives,
}

/// What somebody gives of their Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// The Secret, with the labels and annotations that are on it.
    It,
    /// The Secret, and none of what was in it stays.
    All,
    /// Room in it: it stays theirs, with what they keep there.
    Room,
}

/// What becomes of what others have put into a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Labels and annotations stay, values go.
    Stay,
    Go,
    /// It is not our Secret: values stay, too.
    Own,
}

/// What marks Secrets, whatever kind marks them.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// Labels of those that hold keys.
    pub keys: Vec<&'static str>,
    /// Annotations of those that were made, beside [`MADE_BY`].
    pub made: Vec<&'static str>,
    /// What they were made from.
    pub owners: Vec<Owner>,
}

impl Desired {
    /// The same with the label by which Secrets are watched.
    pub fn labelled(mut self) -> Self {
        self.labels.insert(MANAGED.to_owned(), "true".to_owned());
        self
    }
}

impl Marks {
    /// Whether a Secret holds keys by which objects are opened.
    pub fn is_key(&self, meta: &Meta) -> bool {
        self.keys.iter().any(|label| meta.labels.contains_key(*label))
    }

    /// Whether an annotation says that a kind of ours has made a Secret.
    fn is_marked(&self, meta: &Meta) -> bool {
        [MADE_BY].iter().chain(&self.made).any(|annotation| meta.annotations.contains_key(*annotation))
    }

    /// Whether a kind of ours has made a Secret, by its mark or by its owner.
    fn is_made(&self, meta: &Meta) -> bool {
        let is_ours = |owner: &OwnerReference| self.owners.iter().any(|kind| is_of_kind(owner, *kind));
        self.is_marked(meta) || controller(meta).is_some_and(is_ours)
    }

    /// What a Secret was made by, if it was made from an object, whoever has changed its labels since: whoever may write such
    /// an object must not be able to give the controller a key.
    pub fn maker(&self, meta: &Meta) -> Option<String> {
        let is_ours = meta.labels.contains_key(MANAGED) || self.is_marked(meta);
        match (is_ours, controller(meta)) {
            (true, _) => Some("the controller has made it".to_owned()),
            (false, Some(owner)) => Some(belongs(owner)),
            (false, None) => None,
        }
    }
}

/// What is to be written where this Secret is; or, before anything is opened, why nothing is.
pub fn claimed(desired: &Desired, current: Option<&Secret>, marks: &Marks) -> Result<Desired, Verdict> {
    // Whoever may write an object must not make a key, whatever its kind lets templates set.
    if let Some(label) = desired.labels.keys().find(|label| marks.keys.contains(&label.as_str())) {
        let why = format!("with the label {label} the Secret would hold keys of the controller");
        return Err(Verdict::new(reason::REFUSED, why));
    }
    let Some(current) = current else { return Ok(desired.clone()) };
    if let Some(owner) = successor(&current.meta, desired) {
        return Err(Verdict::new(reason::ALREADY_EXISTS, reason::superseded(owner)));
    }
    let claimed = claim(desired, current, marks).map_err(|why| is_taken(&desired.claim.name, &why))?;
    match current.meta.is_being_deleted {
        // Its end is an event of its own.
        true => Err(Verdict::new(reason::TERMINATING, reason::IS_GOING)),
        false => Ok(claimed),
    }
}

/// What is said of an object whose Secret is not its own.
pub fn is_taken(name: &str, why: &str) -> Verdict {
    Verdict::new(reason::ALREADY_EXISTS, format!("the Secret {name} exists: {why}"))
}

/// What to write, now that the values are known; an error where nothing can be.
pub fn write(current: Option<&Secret>, desired: &Desired, items: &Items) -> Result<Write, Verdict> {
    let Some(current) = current else { return Ok(Write::Create) };
    let same_data = match desired.others {
        Others::Own => items.iter().all(|(key, value)| current.data.get(key) == Some(value)),
        Others::Stay | Others::Go => current.data == *items,
    };
    if let Some(owner) = &desired.taken_from
        && (!same_data || current.kind != desired.kind)
    {
        let why = format!("{}, and has other values, or another type, than this object", belongs(owner));
        return Err(is_taken(&desired.claim.name, &why));
    }
    if has_to_be_remade(current, desired, same_data) {
        return match desired.remake && desired.others != Others::Own {
            true => Ok(Write::Recreate),
            false => Err(Verdict::new(reason::IMMUTABLE, desired.words.is_immutable)),
        };
    }
    let removals = removals(current, desired, items);
    match same_data && has_shell(current, desired, items) && removals == Removals::default() {
        true => Ok(Write::Nothing),
        false => Ok(Write::Update(removals)),
    }
}

/// Whether a Secret that was written is as it should be: webhooks may have changed it on its way.
pub fn is_right(written: &Secret, desired: &Desired, items: &Items, marks: &Marks) -> bool {
    claimed(desired, Some(written), marks).is_ok()
        && write(Some(written), desired, items) == Ok(Write::Nothing)
}

/// What may be written to a Secret that is there, or why nothing may.
fn claim(desired: &Desired, current: &Secret, marks: &Marks) -> Result<Desired, String> {
    let found = &current.meta;
    if marks.is_key(found) {
        return Err(reason::IS_KEY.to_owned());
    }
    let given = |gives| {
        let is_given = |adoption: &&Adoption| adoption.gives == gives;
        let mut annotations = desired.adopted_by.iter().filter(is_given);
        annotations.any(|adoption| found.is_annotated(adoption.key, adoption.value))
    };
    let is_given = given(Gives::It) || given(Gives::All);
    let owner = controller(found);
    let is_ours = match owner {
        Some(owner) => is_same_source(owner, &desired.claim),
        None => is_made_by(found, desired),
    };
    // What one kind of ours puts into a Secret, another that has made it would take out again.
    let has_room = given(Gives::Room) && (is_ours || !marks.is_made(found));
    let taken_from = owner.filter(|owner| {
        !is_ours
            && desired.comes_after.is_some_and(|kind| is_of_kind(owner, kind))
            && owner.name == desired.claim.name
    });
    match owner {
        Some(_) if taken_from.is_some() => {}
        Some(owner) if !is_ours && !has_room => return Err(belongs(owner)),
        None if !is_ours && !is_given && !has_room => return Err(desired.words.is_foreign.to_owned()),
        _ => {}
    }
    let mut desired = Desired { taken_from: taken_from.cloned(), ..desired.clone() };
    if taken_from.is_some() {
        return Ok(desired);
    }
    if has_room {
        desired.others = Others::Own;
        desired.owned &= is_ours || (is_given && owner.is_none());
        // It is as its owner has made it.
        (desired.kind, desired.immutable, desired.made_by) = (current.kind.clone(), false, None);
    } else if !is_ours && given(Gives::All) {
        desired.others = Others::Go;
    }
    Ok(desired)
}

/// The owner of a Secret that came after what asks for it.
fn successor<'s>(found: &'s Meta, desired: &Desired) -> Option<&'s OwnerReference> {
    let kind = desired.comes_before?;
    controller(found).filter(|owner| is_of_kind(owner, kind) && owner.name == desired.claim.name)
}

fn is_of_kind(owner: &OwnerReference, (version, kind): Owner) -> bool {
    owner.kind == kind && group(&owner.api_version) == group(version)
}

/// Whether an owner reference goes when the Secret is written: it is of what asks for it, as it once was, or of what it was taken from.
pub fn goes(owner: &OwnerReference, desired: &Desired) -> bool {
    let is_of_other = desired.taken_from.as_ref().is_some_and(|other| other.uid == owner.uid);
    is_same_source(owner, &desired.claim) || is_of_other
}

/// Whether a Secret says itself that it was made by what asks for this one.
fn is_made_by(found: &Meta, desired: &Desired) -> bool {
    let Some(wanted) = &desired.made_by else { return false };
    match (found.annotations.get(MADE_BY), &wanted.earlier) {
        (Some(text), _) => *text == wanted.text,
        (None, Some((key, name))) => found.is_annotated(key, name),
        (None, None) => false,
    }
}

fn belongs(owner: &OwnerReference) -> String {
    format!("it belongs to {} {}", owner.kind, owner.name)
}

/// The object that a Secret goes with.
fn controller(meta: &Meta) -> Option<&OwnerReference> {
    meta.owners.iter().find(|owner| owner.controller == Some(true))
}

/// One of the same kind and name counts as the same even when its UID is that of one that is gone.
pub fn is_same_source(owner: &OwnerReference, claim: &OwnerReference) -> bool {
    owner.kind == claim.kind
        && group(&owner.api_version) == group(&claim.api_version)
        && owner.name == claim.name
}

fn group(api_version: &str) -> &str {
    api_version.split('/').next().unwrap_or_default()
}

/// What others have put into a Secret that is not to be there.
fn removals(secret: &Secret, desired: &Desired, items: &Items) -> Removals {
    let unwanted = |found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| -> Vec<String> {
        found.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect()
    };
    let Meta { labels, annotations, owners, .. } = &secret.meta;
    let stale_owners = owners.iter().any(|owner| {
        let is_wanted = desired.owned && desired.claim.uid == owner.uid;
        goes(owner, desired) && !is_wanted
    });
    let data = || secret.data.keys().filter(|key| !items.contains_key(*key)).cloned().collect();
    let [mut labels, mut annotations] =
        [unwanted(labels, &desired.labels), unwanted(annotations, &desired.annotations)];
    match desired.others {
        Others::Own => Removals { stale_owners, ..Removals::default() },
        Others::Stay => {
            let earlier = secret.set_by(desired.earlier_managers);
            labels.retain(|key| earlier.labels.contains(key));
            annotations
                .retain(|key| WITH_OLD_VALUES.contains(&key.as_str()) || earlier.annotations.contains(key));
            Removals { data: data(), labels, annotations, stale_owners }
        }
        Others::Go => Removals { data: data(), labels, annotations, stale_owners },
    }
}

/// Whether it would have to change where Kubernetes lets nothing change.
fn has_to_be_remade(secret: &Secret, desired: &Desired, same_data: bool) -> bool {
    let has_to_change = !same_data || (!desired.immutable && desired.others != Others::Own);
    secret.kind != desired.kind || (secret.immutable && has_to_change)
}

/// Whether everything but the values is as it should be. Labels and annotations of others may be beside ours; those
/// that we once set and that are asked for no more may not.
fn has_shell(secret: &Secret, desired: &Desired, items: &Items) -> bool {
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
    let is_marked = desired.made_by.is_none() || is_made_by(&secret.meta, desired);
    let earlier = desired.made_by.iter().filter_map(|made_by| Some(made_by.earlier.as_ref()?.0));
    let marks: Vec<&str> = desired.made_by.iter().map(|_| MADE_BY).chain(earlier).collect();
    let SetBy { labels, annotations, data } = secret.set_by(&[MANAGER]);
    right_owner
        && (secret.immutable == desired.immutable || desired.others == Others::Own)
        && holds(&secret.meta.labels, &desired.labels)
        && holds(&secret.meta.annotations, &desired.annotations)
        && is_marked
        && labels.iter().all(|key| desired.labels.contains_key(key))
        && annotations
            .iter()
            .all(|key| marks.contains(&key.as_str()) || desired.annotations.contains_key(key))
        && data.iter().all(|key| items.contains_key(key))
}

#[cfg(test)]
mod tests {
    use sealant::secret::SecretBytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::keys::identities::LABEL;
    use crate::source::sealed::ask;
    use crate::source::sealed::resource::{self, ADOPT, MADE_BY_NAME, SealedSecret};

    fn sealed(change: impl FnOnce(&mut Value)) -> SealedSecret {
        ask::tests::sealed(change)
    }

    fn desired(sealed: &SealedSecret) -> Desired {
        ask::desired(sealed, None).labelled()
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
        annotations.insert(MADE_BY.to_owned(), desired.made_by.unwrap().text);
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
        let marks = crate::source::marks(crate::source::KINDS);
        let desired = claimed(&desired(sealed), current, &marks).map_err(|verdict| verdict.reason)?;
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
    fn no_object_makes_a_key_of_any_kind() {
        let marks = crate::source::marks(crate::source::KINDS);
        assert!(marks.keys.contains(&LABEL) && marks.keys.contains(&sealant::bitnami::KEY_LABEL));
        for label in &marks.keys {
            let mut desired = desired(&sealed(|_| {}));
            desired.labels.insert((*label).to_owned(), "active".to_owned());
            let refused = claimed(&desired, None, &marks).map_err(|verdict| verdict.reason);
            assert_eq!(refused.err(), Some(reason::REFUSED), "{label}");
        }
    }

    #[test]
    fn what_was_written_is_right_unless_it_was_changed_on_its_way() {
        let sealed = sealed(|_| {});
        let is_right = |change: &dyn Fn(&mut Secret)| {
            let written = secret(&sealed, &[("a", "1")], change);
            super::is_right(&written, &desired(&sealed), &items(&[("a", "1")]), &Marks::default())
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
            let labels = [MANAGED.to_owned(), "was-in-template".to_owned()].into();
            secret.managers = vec![(MANAGER.to_owned(), SetBy { labels, ..SetBy::default() })];
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
            secret.meta.labels.insert(LABEL.to_owned(), "active".to_owned());
        };
        assert_eq!(after(identity), Err(reason::ALREADY_EXISTS));
    }

    #[test]
    fn a_secret_of_the_kind_before_is_taken_over_if_its_values_are_the_same() {
        let (before, after) = crate::source::SUCCESSION;
        let successor = Desired { comes_after: Some(before), ..desired(&sealed(|_| {})) };
        let theirs = |name: &str, value: &str| {
            secret(&sealed(|_| {}), &[("a", value)], |secret| {
                secret.meta.owners = owner(
                    json!({"apiVersion": before.0, "kind": before.1, "name": name, "uid": "x", "controller": true}),
                );
                secret.meta.annotations.clear();
                secret.meta.labels.clear();
            })
        };
        let marks = crate::source::marks(crate::source::KINDS);
        let decided = |desired: &Desired, current: &Secret| {
            let claimed = claimed(desired, Some(current), &marks)?;
            write(Some(current), &claimed, &items(&[("a", "1")]))
        };
        let taken = decided(&successor, &theirs("db", "1")).unwrap();
        assert_eq!(taken, Write::Update(Removals { stale_owners: true, ..Removals::default() }));
        let claimed = claimed(&successor, Some(&theirs("db", "1")), &marks).unwrap();
        assert!(theirs("db", "1").meta.owners.iter().all(|owner| goes(owner, &claimed)));
        // Other values or another type, another name, a kind that comes after none: it is theirs.
        let is_theirs = |desired: &Desired, current: &Secret| {
            let refused = decided(desired, current).unwrap_err();
            assert_eq!(refused.reason, reason::ALREADY_EXISTS, "{}", refused.message);
            assert!(!refused.message.contains("superseded"));
        };
        is_theirs(&successor, &theirs("db", "2"));
        is_theirs(&successor, &theirs("other", "1"));
        is_theirs(&desired(&sealed(|_| {})), &theirs("db", "1"));
        is_theirs(&Desired { kind: "other".to_owned(), ..successor.clone() }, &theirs("db", "1"));

        // The one before leaves it alone, and says to whom.
        let earlier = Desired {
            claim: theirs("db", "1").meta.owners.remove(0),
            comes_before: Some(after),
            made_by: None,
            ..desired(&sealed(|_| {}))
        };
        let ours = secret(&sealed(|_| {}), &[("a", "1")], |_| {});
        let superseded = decided(&earlier, &ours).unwrap_err();
        assert!(
            superseded.message.starts_with("superseded by sealedsecrets.sealant.dev/db"),
            "{}",
            superseded.message
        );
        assert_eq!(decided(&earlier, &theirs("db", "1")).map(|_| ()), Ok(()));
    }

    /// What is asked for by a kind whose objects may be given a Secret, or room in one.
    fn given(gives: Gives) -> Desired {
        let annotation = |gives| match gives {
            Gives::It => &[Adoption { key: "given", value: "yes", gives: Gives::It }],
            Gives::All => &[Adoption { key: "given", value: "yes", gives: Gives::All }],
            Gives::Room => &[Adoption { key: "given", value: "yes", gives: Gives::Room }],
        };
        Desired { adopted_by: annotation(gives), made_by: None, ..desired(&sealed(|_| {})) }
    }

    /// A Secret of somebody else, with an annotation.
    fn theirs(change: impl FnOnce(&mut Value)) -> Secret {
        let mut secret = json!({"metadata": {"name": "db", "namespace": "shop", "uid": "s1", "resourceVersion": "7",
            "labels": {"theirs": "1"}, "annotations": {"given": "yes", "theirs": "1"}},
            "data": {"theirs": "MQ=="}});
        change(&mut secret);
        serde_json::from_value(secret).unwrap()
    }

    fn written(desired: &Desired, secret: &Secret) -> Result<(Desired, Write), Verdict> {
        let desired = claimed(desired, Some(secret), &Marks::default())?;
        let write = write(Some(secret), &desired, &items(&[("a", "1")]))?;
        Ok((desired, write))
    }

    #[test]
    fn what_somebody_gives_of_their_secret_decides_what_of_it_stays() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let values = Removals { data: texts(&["theirs"]), ..Removals::default() };
        let all = Removals {
            labels: texts(&["theirs"]),
            annotations: texts(&["given", "theirs"]),
            ..values.clone()
        };
        let cases =
            [(Gives::It, true, values), (Gives::All, true, all), (Gives::Room, false, Removals::default())];
        for (gives, owned, removals) in cases {
            let (desired, write) = written(&given(gives), &theirs(|_| {})).unwrap();
            assert_eq!((desired.owned, write), (owned, Write::Update(removals)), "{gives:?}");
        }
        // Another kind of ours has made it.
        let made =
            theirs(|secret| secret["metadata"]["annotations"][MADE_BY] = "wishes.example.com/db".into());
        assert_eq!(written(&given(Gives::Room), &made).unwrap_err().reason, reason::ALREADY_EXISTS);
        // It is not given twice, and what others put into it afterwards stays.
        let ours = theirs(|secret| secret["metadata"]["ownerReferences"] = json!([ours("u1")]));
        let (desired, _) = written(&given(Gives::All), &ours).unwrap();
        assert_eq!((desired.owned, desired.others), (true, Others::Stay));
    }

    /// What one kind has put into a Secret that another kind owns, that one would take out again, and so on for ever.
    #[test]
    fn a_secret_that_a_kind_of_ours_owns_has_room_for_no_other() {
        let owned = theirs(|secret| {
            secret["metadata"]["ownerReferences"] = json!([{"apiVersion": "bitnami.com/v1beta1", "kind": "SealedSecret",
                "name": "db", "uid": "x", "controller": true}]);
        });
        let may = |kinds: &[crate::source::Kind]| {
            claimed(&given(Gives::Room), Some(&owned), &crate::source::marks(kinds)).is_ok()
        };
        assert!(may(&[]) && !may(crate::source::KINDS));
    }

    /// Another controller has made it: what that has set is ours to take away, and what others have is theirs.
    #[test]
    fn what_an_earlier_controller_has_set_goes_when_it_is_asked_for_no_more() {
        let desired = Desired { earlier_managers: &["before"], ..given(Gives::All) };
        let found = |manager: &str| {
            let secret = theirs(|secret| {
                secret["metadata"]["ownerReferences"] = json!([ours("u1")]);
                let fields =
                    json!({"f:metadata": {"f:labels": {"f:theirs": {}}, "f:annotations": {"f:theirs": {}}}});
                secret["metadata"]["managedFields"] = json!([{"manager": manager, "fieldsV1": fields}]);
            });
            let Ok((_, Write::Update(removals))) = written(&desired, &secret) else { panic!("{manager}") };
            [removals.labels, removals.annotations]
        };
        assert_eq!(found("before"), [["theirs"], ["theirs"]]);
        assert_eq!(found("somebody"), [[""; 0]; 2]);
    }

    #[test]
    fn a_secret_with_room_is_never_made_again_and_what_is_asked_for_no_more_goes() {
        let room = Desired { immutable: true, remake: true, ..given(Gives::Room) };
        let with = |change: &dyn Fn(&mut Value)| {
            let secret = theirs(|secret| {
                secret["data"]["a"] = "MQ==".into();
                secret["metadata"]["labels"][MANAGED] = "true".into();
                change(secret);
            });
            written(&room, &secret).map(|(_, write)| write).map_err(|verdict| verdict.reason)
        };
        assert_eq!(with(&|_| {}), Ok(Write::Nothing));
        assert_eq!(with(&|secret| secret["immutable"] = true.into()), Ok(Write::Nothing));
        let changed = |secret: &mut Value| secret["data"]["a"] = "Mg==".into();
        assert_eq!(with(&changed), update());
        let frozen = |secret: &mut Value| {
            changed(secret);
            secret["immutable"] = true.into();
        };
        assert_eq!(with(&frozen), Err(reason::IMMUTABLE));
        // It is of the type that its owner has made it.
        let of_another_type = |secret: &mut Value| {
            changed(secret);
            secret["type"] = "kubernetes.io/tls".into();
        };
        assert_eq!(with(&of_another_type), update());
        let ours_before = |secret: &mut Value| {
            let fields = json!({"f:data": {"f:a": {}, "f:theirs": {}}});
            secret["metadata"]["managedFields"] =
                json!([{"manager": crate::managed::secret::MANAGER, "fieldsV1": fields}]);
        };
        assert_eq!(with(&ours_before), update());
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
            let set = SetBy {
                labels: [MANAGED.to_owned()].into(),
                annotations: [MADE_BY_NAME.to_owned()].into(),
                ..SetBy::default()
            };
            secret.managers = vec![(MANAGER.to_owned(), set)];
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
