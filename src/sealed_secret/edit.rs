//! Changes of a SealedSecret: items set, removed, and all of them brought to what a Secret says.
//!
//! No identity is needed to set an item: it gets a new data key, and the others keep their ciphertexts, which nobody
//! has to open for that.

use std::collections::BTreeMap;

use super::binding::Binding;
use super::check::check_item_name;
use super::cipher::Token;
use super::data_keys::{NewDataKey, OpenedKeys};
use super::file::SealedFile;
use super::seal::route;
use super::secret::Secret;
use super::types::{SealedSecret, Spec, Template};
use super::unseal::shell;
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// What becomes of items: a new value, or `None` for one that goes.
pub type Changes = BTreeMap<String, Option<SecretBytes>>;

/// Sets and removes items. What is set is encrypted under `key`, made for this change; nothing else is opened or
/// encrypted again, and data keys that no item uses any more go.
pub fn change(sealed: &SealedSecret, changes: &Changes, key: NewDataKey) -> Result<SealedSecret> {
    sealed.spec.check()?;
    let mut changed = sealed.clone();
    apply(&mut changed, changes, key)?;
    Ok(changed)
}

/// Removes items. An error names the first that is not there.
pub fn unset(sealed: &SealedSecret, items: &[&str]) -> Result<SealedSecret> {
    sealed.spec.check()?;
    let mut changed = sealed.clone();
    for item in items {
        if changed.spec.encrypted_data.remove(*item).is_none() {
            return Err(Error::new(Kind::TreePath, format!("there is no item `{item}`")));
        }
    }
    drop_unused(&mut changed.spec)?;
    Ok(changed)
}

/// What of a SealedSecret's items is not as an edited Secret has it.
pub fn difference(sealed: &SealedSecret, keys: &OpenedKeys, edited: &Secret) -> Result<Changes> {
    let current = keys.items(&sealed.spec, &Binding::of(sealed)?)?;
    let gone =
        current.keys().filter(|item| !edited.items.contains_key(*item)).map(|item| (item.clone(), None));
    let set = edited.items.iter().filter(|(item, value)| current.get(*item) != Some(value));
    Ok(gone.chain(set.map(|(item, value)| (item.clone(), Some(value.clone())))).collect())
}

/// Brings a SealedSecret to what a Secret says that was edited as a whole. `changes` are those of [`difference`]; `key`
/// is only needed when one of them sets an item.
///
/// Name and namespace stay: the values that did not change are bound to them.
pub fn adopt(
    sealed: &SealedSecret,
    edited: &Secret,
    changes: &Changes,
    key: Option<NewDataKey>,
) -> Result<SealedSecret> {
    sealed.spec.check()?;
    refuse_moved(sealed, edited)?;
    let mut changed = sealed.clone();
    let (before, routed) = (shell(sealed), route(edited)?);
    if (&before.labels, &before.annotations, &before.kind, before.immutable)
        != (&edited.labels, &edited.annotations, &edited.kind, edited.immutable)
    {
        changed.spec.template = routed.template;
        changed.metadata.labels.extend(routed.labels);
        changed.metadata.annotations.extend(routed.annotations);
    }
    match key {
        Some(key) => apply(&mut changed, changes, key)?,
        None if changes.values().any(Option::is_some) => {
            return Err(Error::new(Kind::Encrypt, "there is no new data key for the changed values"));
        }
        None => {
            changed.spec.encrypted_data.retain(|item, _| !changes.contains_key(item));
            drop_unused(&mut changed.spec)?;
        }
    }
    Ok(changed)
}

/// Brings the SealedSecrets of a file to what its Secrets say that were edited together, in their order. `None` for one
/// that did not change. `new_key` makes a data key for one of which an item was set.
pub fn adopt_all(
    file: &SealedFile,
    keys: &[OpenedKeys],
    edited: &[Secret],
    new_key: &dyn Fn(&SealedSecret) -> Result<NewDataKey>,
) -> Result<Vec<Option<SealedSecret>>> {
    if edited.len() != file.objects.len() {
        let message = format!(
            "there were {} Secrets in the file, and now there are {}",
            file.objects.len(),
            edited.len()
        );
        return Err(Error::new(Kind::Conflict, message)
            .advise("Add one with `sealant seal`; remove one from the encrypted file itself."));
    }
    let objects = file.objects.iter().map(|(_, sealed)| sealed);
    objects
        .zip(keys)
        .zip(edited)
        .map(|((sealed, keys), edited)| {
            let changes = difference(sealed, keys, edited)?;
            let sets = changes.values().any(Option::is_some);
            let key = if sets { Some(new_key(sealed)?) } else { None };
            let adopted = adopt(sealed, edited, &changes, key)?;
            Ok((adopted != *sealed).then_some(adopted))
        })
        .collect()
}

/// Puts the values, labels and annotations of a Secret into a SealedSecret, as kubeseal's `--merge-into` does: what
/// the Secret does not name stays. Its own name and namespace do not count.
pub fn merge_into(sealed: &SealedSecret, secret: &Secret, key: NewDataKey) -> Result<SealedSecret> {
    let mut changed = sealed.clone();
    let routed = route(secret)?;
    if let Some(Template { kind, immutable, metadata, data: _ }) = routed.template {
        let template = changed.spec.template.get_or_insert_default();
        template.kind = kind.or(template.kind.take());
        template.immutable = immutable.or(template.immutable);
        if let Some(metadata) = metadata {
            let present = template.metadata.get_or_insert_default();
            present.labels.extend(metadata.labels);
            present.annotations.extend(metadata.annotations);
        }
    }
    changed.metadata.labels.extend(routed.labels);
    changed.metadata.annotations.extend(routed.annotations);
    let changes = secret.items.iter().map(|(item, value)| (item.clone(), Some(value.clone()))).collect();
    change(&changed, &changes, key)
}

/// Encrypts all items again under one new data key, and drops the others.
pub fn rotate(sealed: &SealedSecret, keys: &OpenedKeys, key: NewDataKey) -> Result<SealedSecret> {
    let binding = Binding::of(sealed)?;
    let items = keys.items(&sealed.spec, &binding)?;
    let mut changed = sealed.clone();
    apply(&mut changed, &items.into_iter().map(|(item, value)| (item, Some(value))).collect(), key)?;
    Ok(changed)
}

fn apply(sealed: &mut SealedSecret, changes: &Changes, key: NewDataKey) -> Result<()> {
    let binding = Binding::of(sealed)?;
    let spec = &mut sealed.spec;
    for (item, value) in changes {
        match value {
            None => _ = spec.encrypted_data.remove(item),
            Some(value) => {
                check_item_name(item)?;
                spec.encrypted_data.insert(item.clone(), key.key.seal(&binding, item, value)?);
            }
        }
    }
    // Sorted by id, new ones get random places, and changes on two branches seldom in the same one.
    let at = spec.data_keys.partition_point(|entry| entry.id < key.entry.id);
    spec.data_keys.insert(at, key.entry);
    drop_unused(spec)?;
    spec.check()
}

/// Drops the data keys that no item uses.
pub(super) fn drop_unused(spec: &mut Spec) -> Result<()> {
    let items = spec.encrypted_data.iter();
    let used = items.map(|(item, text)| Ok(Token::parse(item, text)?.id)).collect::<Result<Vec<_>>>()?;
    spec.data_keys.retain(|entry| used.contains(&entry.id.as_str()));
    Ok(())
}

fn refuse_moved(sealed: &SealedSecret, edited: &Secret) -> Result<()> {
    let what = if edited.name != sealed.metadata.name {
        "name"
    } else if edited.namespace != sealed.metadata.namespace {
        "namespace"
    } else {
        return Ok(());
    };
    Err(Error::new(
        Kind::Conflict,
        format!("the {what} of a SealedSecret cannot be edited: its values are bound to it"),
    )
    .advise("Unseal it, change it, and seal it again: `sealant unseal FILE`, then `sealant seal`."))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{Options, Scope, seal, unseal};
    use super::*;

    fn ids(sealed: &SealedSecret) -> Vec<&str> {
        sealed.spec.data_keys.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn an_item_is_set_without_an_identity_and_under_a_key_of_its_own() {
        let [alice, bob] = [(); 2].map(|()| Person::new());
        let before = sealed(&[("a", "1"), ("b", "2")], &[&alice]);
        let after = set(&before, "b", "3", &[&alice, &bob]);
        assert_eq!(after.spec.encrypted_data["a"], before.spec.encrypted_data["a"]);
        assert_eq!(after.spec.data_keys.len(), 2);
        assert!(ids(&after).is_sorted());
        let id = |item: &str| Token::parse(item, &after.spec.encrypted_data[item]).unwrap().id.to_owned();
        assert_eq!(id("a"), before.spec.data_keys[0].id);
        assert_ne!(id("a"), id("b"));
        assert_eq!(texts(&unsealed(&after, &alice).unwrap()), ["a=1", "b=3"]);
        // Who made the first data key and kept it opens nothing that is set later.
        let kept = open(&before, &[&alice]).unwrap();
        assert!(kept.item(&after.spec, &Binding::of(&after).unwrap(), "b").is_err());
    }

    #[test]
    fn data_keys_go_with_the_last_item_that_uses_them() {
        let alice = Person::new();
        let before = sealed(&[("a", "1")], &[&alice]);
        let both = set(&before, "b", "2", &[&alice]);
        assert_eq!(ids(&unset(&both, &["a"]).unwrap()).len(), 1);
        assert_ne!(ids(&set(&before, "a", "2", &[&alice])), ids(&before));
        assert!(unset(&both, &["a", "b"]).unwrap().spec.data_keys.is_empty());
        assert_eq!(refusal(unset(&both, &["a", "c"])), "there is no item `c`");
        // A key that was made for nothing is not kept either.
        let nothing = change(&before, &changes(&[("a", None)]), new_key(&any_of(&[&alice]))).unwrap();
        assert!(nothing.spec.data_keys.is_empty() && nothing.spec.encrypted_data.is_empty());
    }

    #[test]
    fn a_rotation_leaves_one_data_key() {
        let [alice, bob] = [(); 2].map(|()| Person::new());
        let before = set(&sealed(&[("a", "1")], &[&alice, &bob]), "b", "2", &[&alice, &bob]);
        let after = rotate(&before, &open(&before, &[&alice]).unwrap(), new_key(&any_of(&[&alice]))).unwrap();
        assert_eq!(after.spec.data_keys.len(), 1);
        assert_eq!(texts(&unsealed(&after, &alice).unwrap()), ["a=1", "b=2"]);
        assert!(unsealed(&after, &bob).is_err());
        for (item, text) in &after.spec.encrypted_data {
            assert_ne!(text, &before.spec.encrypted_data[item]);
        }
    }

    #[test]
    fn what_was_edited_is_changed_and_nothing_else() {
        let alice = Person::new();
        let mut plain = secret(&[("a", "1"), ("b", "2"), ("c", "3")]);
        plain.labels.insert("app".to_owned(), "shop".to_owned());
        plain.annotations.insert("argocd.argoproj.io/sync-wave".to_owned(), "-1".to_owned());
        let before = seal(&plain, &Options::default(), new_key(&any_of(&[&alice]))).unwrap();
        let keys = open(&before, &[&alice]).unwrap();
        let mut edited = unseal(&before, &keys).unwrap();
        assert!(difference(&before, &keys, &edited).unwrap().is_empty());
        assert_eq!(adopt(&before, &edited, &Changes::new(), None).unwrap(), before);

        edited.items.remove("a");
        edited.items.insert("b".to_owned(), bytes("4"));
        edited.kind = Some("example.com/db".to_owned());
        let changes = difference(&before, &keys, &edited).unwrap();
        assert_eq!(changes, super::super::testing::changes(&[("a", None), ("b", Some("4"))]));
        assert!(refusal(adopt(&before, &edited, &changes, None)).contains("no new data key"));
        let after = adopt(&before, &edited, &changes, Some(new_key(&any_of(&[&alice])))).unwrap();
        assert_eq!(after.spec.encrypted_data["c"], before.spec.encrypted_data["c"]);
        assert_eq!(after.metadata, before.metadata);
        assert_eq!(unsealed(&after, &alice).unwrap(), edited);
    }

    #[test]
    fn the_place_of_a_sealed_secret_is_not_edited() {
        let alice = Person::new();
        let before = sealed(&[("a", "1")], &[&alice]);
        let keys = open(&before, &[&alice]).unwrap();
        let edit = |change: fn(&mut Secret)| {
            let mut edited = unseal(&before, &keys).unwrap();
            change(&mut edited);
            adopt(&before, &edited, &Changes::new(), None)
        };
        assert!(
            refusal(edit(|s| s.name = "other".to_owned())).starts_with("the name of a SealedSecret cannot")
        );
        assert!(refusal(edit(|s| s.namespace = None)).starts_with("the namespace of a SealedSecret cannot"));
        let forbidden = |s: &mut Secret| _ = s.labels.insert("sealant.dev/x".to_owned(), String::new());
        assert_eq!(refusal(edit(forbidden)), "a Secret that is sealed may not have sealant.dev/x");
    }

    #[test]
    fn a_secret_is_merged_into_what_is_sealed_for_another_place() {
        let alice = Person::new();
        let options = Options { scope: Some(Scope::Cluster), ..Options::default() };
        let mut target = secret(&[("a", "1"), ("b", "2")]);
        target.labels.insert("app".to_owned(), "shop".to_owned());
        let target = seal(&target, &options, new_key(&any_of(&[&alice]))).unwrap();
        let mut more = secret(&[("b", "3"), ("c", "4")]);
        more.name = "other".to_owned();
        more.namespace = None;
        more.labels.insert("tier".to_owned(), "db".to_owned());
        let merged = merge_into(&target, &more, new_key(&any_of(&[&alice]))).unwrap();
        let found = unsealed(&merged, &alice).unwrap();
        assert_eq!(texts(&found), ["a=1", "b=3", "c=4"]);
        assert_eq!(found.labels.len(), 2);
        assert_eq!((merged.metadata, merged.spec.scope), (target.metadata, Some(Scope::Cluster)));
    }

    #[test]
    fn what_is_set_has_to_fit_into_a_secret() {
        let alice = Person::new();
        let before = sealed(&[("a", "1")], &[&alice]);
        let set = |item: &str, value: &str| {
            refusal(change(&before, &changes(&[(item, Some(value))]), new_key(&any_of(&[&alice]))))
        };
        assert!(set("a/b", "x").contains("cannot be a key of a Secret"));
        assert!(set("b", &"x".repeat(1 << 20)).contains("Kubernetes allows at most 1048576"));
        assert_eq!(set("a", &"x".repeat(1 << 20)), "not refused");
    }
}
