//! Two changed versions of a SealedSecret and the one that both come from, brought together, with a key or without.
//!
//! Owns what may come together. Values are bound to their place and their data key, so they are taken as they are,
//! each from one side; those of a side that moved to another place come all together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Data};

use super::edit::drop_unused;
use super::types::{DataKeyEntry, GroupEntry, Metadata, Scope, SealedSecret, Spec};
use crate::error::{Error, Kind, Result};
use crate::keys::MasterKey;
use crate::secret::SecretBytes;

/// What came of a merge.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// With our side where the two are at odds.
    pub sealed: SealedSecret,
    /// The paths at which both sides changed the same thing, and not to the same.
    pub conflicts: Vec<String>,
}

/// The values of the three versions, for those who could open all of them.
#[derive(Default)]
pub struct Values {
    pub base: BTreeMap<String, SecretBytes>,
    pub ours: BTreeMap<String, SecretBytes>,
    pub theirs: BTreeMap<String, SecretBytes>,
}

/// Merges `theirs` into `ours`. Without a `base`, all of both is new. Without `values`, an item counts as changed when
/// its ciphertext did, as it does in a rotation.
pub fn merge(
    base: Option<&SealedSecret>,
    ours: &SealedSecret,
    theirs: &SealedSecret,
    values: Option<&Values>,
) -> Result<Merged> {
    [Some(ours), Some(theirs), base].into_iter().flatten().try_for_each(|side| side.spec.check())?;
    let nothing = SealedSecret { metadata: Metadata::default(), spec: Spec::default() };
    let base = base.unwrap_or(&nothing);
    let mut merge = Merge { conflicts: Vec::new() };

    let [b, o, t] = [base, ours, theirs].map(|side| &side.spec);
    let mut metadata: Metadata = merge.typed("metadata", &base.metadata, &ours.metadata, &theirs.metadata)?;
    let mut spec = Spec {
        scope: merge.typed("spec.scope", &b.scope, &o.scope, &t.scope)?,
        deletion_policy: merge.typed(
            "spec.deletionPolicy",
            &b.deletion_policy,
            &o.deletion_policy,
            &t.deletion_policy,
        )?,
        template: merge.typed("spec.template", &b.template, &o.template, &t.template)?,
        ..Spec::default()
    };
    if place(ours) == place(theirs) {
        spec.encrypted_data = merge.items(b, o, t, values);
        spec.data_keys = merge.data_keys(b, o, t)?;
    } else {
        let side = if sealed_part(base) == sealed_part(ours) { theirs } else { ours };
        merge
            .conflicts
            .retain(|path| !["metadata.name", "metadata.namespace", "spec.scope"].contains(&&**path));
        if sealed_part(base) != sealed_part(ours) && sealed_part(base) != sealed_part(theirs) {
            merge.conflicts.push("spec.encryptedData".to_owned());
        }
        (metadata.name, metadata.namespace) = (side.metadata.name.clone(), side.metadata.namespace.clone());
        spec.scope = side.spec.scope;
        (spec.encrypted_data, spec.data_keys) =
            (side.spec.encrypted_data.clone(), side.spec.data_keys.clone());
    }
    drop_unused(&mut spec)?;
    merge.lost_recipients(b, &[o, t], &spec);
    merge.returned_recipients(b, o, &spec)?;
    merge.returned_recipients(b, t, &spec)?;
    spec.check()?;
    Ok(Merged { sealed: SealedSecret { metadata, spec }, conflicts: merge.conflicts })
}

/// What the values of a SealedSecret are bound to, as far as it says so.
fn place(sealed: &SealedSecret) -> (Scope, Option<&str>, Option<&str>) {
    let scope = sealed.spec.scope.unwrap_or_default();
    let namespace = sealed.metadata.namespace.as_deref().filter(|_| scope != Scope::Cluster);
    (scope, namespace, Some(sealed.metadata.name.as_str()).filter(|_| scope == Scope::Strict))
}

/// What of a SealedSecret means nothing when it is taken apart.
fn sealed_part(sealed: &SealedSecret) -> impl PartialEq + '_ {
    (place(sealed), &sealed.spec.encrypted_data, &sealed.spec.data_keys)
}

struct Merge {
    conflicts: Vec<String>,
}

impl Merge {
    fn items(
        &mut self,
        base: &Spec,
        ours: &Spec,
        theirs: &Spec,
        values: Option<&Values>,
    ) -> BTreeMap<String, String> {
        let [base, ours, theirs] = [base, ours, theirs].map(|spec| &spec.encrypted_data);
        let mut merged = ours.clone();
        for (item, &theirs) in &union(ours, theirs) {
            let (base, ours) = (base.get(*item), ours.get(*item));
            let same = |a: Option<&String>,
                        b: Option<&String>,
                        value: fn(&Values) -> [&BTreeMap<String, SecretBytes>; 2]| {
                let values = values.map(|values| value(values).map(|side| side.get(*item)));
                a == b || values.is_some_and(|[a, b]| a.is_some() && a == b)
            };
            // What only theirs encrypted again is theirs, though the value is the same: it is a rotation.
            let is_ours = || {
                same(ours, theirs, |v| [&v.ours, &v.theirs]) || same(base, theirs, |v| [&v.base, &v.theirs])
            };
            if base != ours && is_ours() {
                continue;
            }
            if !same(base, ours, |v| [&v.base, &v.ours]) {
                self.conflicts.push(format!("spec.encryptedData.{item}"));
                continue;
            }
            match theirs {
                Some(text) => _ = merged.insert((*item).clone(), text.clone()),
                None => _ = merged.remove(*item),
            }
        }
        merged
    }

    /// All data keys of both sides, each wrapped for those whom both sides leave in or one adds.
    fn data_keys(&mut self, base: &Spec, ours: &Spec, theirs: &Spec) -> Result<Vec<DataKeyEntry>> {
        fn find<'s>(spec: &'s Spec, id: &str) -> Option<&'s DataKeyEntry> {
            spec.data_keys.iter().find(|entry| entry.id == id)
        }
        let mut merged = Vec::new();
        for entry in &ours.data_keys {
            merged.push(match find(theirs, &entry.id) {
                Some(other) => self.data_key(find(base, &entry.id), entry, other)?,
                None => entry.clone(),
            });
        }
        for entry in theirs.data_keys.iter().filter(|entry| find(ours, &entry.id).is_none()) {
            let at = merged.partition_point(|other| other.id < entry.id);
            merged.insert(at, entry.clone());
        }
        Ok(merged)
    }

    fn data_key(
        &mut self,
        base: Option<&DataKeyEntry>,
        ours: &DataKeyEntry,
        theirs: &DataKeyEntry,
    ) -> Result<DataKeyEntry> {
        if ours.commitment != theirs.commitment {
            let message = format!("the two sides have different data keys with the id {}", ours.id);
            return Err(
                Error::new(Kind::Conflict, message).advise("Rotate one of the two sides, and merge again.")
            );
        }
        if ours == theirs || base == Some(theirs) {
            return Ok(ours.clone());
        }
        if base == Some(ours) {
            return Ok(theirs.clone());
        }
        let nobody = DataKeyEntry::default();
        let base = base.unwrap_or(&nobody);
        let mut merged = ours.clone();
        merged.wraps = GroupEntry::merged(&base.wraps, &ours.wraps, &theirs.wraps);
        // Shares of two splits do not fit together.
        let shared = [ours, theirs].iter().any(|entry| !entry.key_groups.is_empty());
        if shared || merged.wraps.is_empty() {
            self.conflicts.push(format!("spec.dataKeys.{}", ours.id));
            return Ok(ours.clone());
        }
        Ok(merged)
    }

    /// One side changed who can open a data key, and the other stopped using it: nobody has wrapped its successor for
    /// those who came.
    fn lost_recipients(&mut self, base: &Spec, sides: &[&Spec], merged: &Spec) {
        let find = |spec: &Spec, id: &str| spec.data_keys.iter().find(|entry| entry.id == id).map(names);
        for entry in base.data_keys.iter().filter(|entry| find(merged, &entry.id).is_none()) {
            let changed = |side: &&Spec| find(side, &entry.id).is_some_and(|found| found != names(entry));
            if sides.iter().any(changed) {
                self.conflicts.push(format!("spec.dataKeys.{}", entry.id));
            }
        }
    }

    /// One side has taken somebody out, and the other has made a new data key for them meanwhile, since nobody had told it:
    /// they would read the newest values.
    fn returned_recipients(&mut self, base: &Spec, side: &Spec, merged: &Spec) -> Result<()> {
        for (_, id) in returned_to(base, side, merged)? {
            let path = format!("spec.dataKeys.{id}");
            if !self.conflicts.contains(&path) {
                self.conflicts.push(path);
            }
        }
        Ok(())
    }

    fn typed<T: Serialize + DeserializeOwned>(
        &mut self,
        path: &str,
        base: &T,
        ours: &T,
        theirs: &T,
    ) -> Result<T> {
        let cannot = |_| Error::new(Kind::Read, format!("{path} cannot be merged"));
        let [base, ours, theirs] =
            [base, ours, theirs].map(|side| serde_json::to_value(side).map_err(cannot));
        let merged = self.data(path, &base?, &ours?, &theirs?);
        serde_json::from_value(merged).map_err(cannot)
    }

    /// Null stands for what is not there.
    fn data(&mut self, path: &str, base: &Data, ours: &Data, theirs: &Data) -> Data {
        if ours == theirs || theirs == base {
            return ours.clone();
        }
        if ours == base {
            return theirs.clone();
        }
        let (Data::Object(ours), Data::Object(theirs)) = (ours, theirs) else {
            self.conflicts.push(path.to_owned());
            return ours.clone();
        };
        let mut merged = Map::new();
        let theirs_only = theirs.keys().filter(|key| !ours.contains_key(*key));
        for key in ours.keys().chain(theirs_only) {
            let side = |map: &Map<String, Data>| map.get(key).cloned().unwrap_or_default();
            let data = self.data(
                &format!("{path}.{key}"),
                &base.get(key).cloned().unwrap_or_default(),
                &side(ours),
                &side(theirs),
            );
            if !data.is_null() {
                merged.insert(key.clone(), data);
            }
        }
        Data::Object(merged)
    }
}

/// Who can open a data key: its entry without what was wrapped.
fn names(entry: &DataKeyEntry) -> DataKeyEntry {
    let mut names = entry.clone();
    names.wraps.clear();
    names.key_groups.iter_mut().for_each(GroupEntry::clear);
    names
}

/// Those whom `side` has taken out since the `base`, and who can open with `result` what they could not open as that side
/// left it: each with the id of the data key that makes it so.
pub fn returned(
    base: &SealedSecret,
    side: &SealedSecret,
    result: &SealedSecret,
) -> Result<Vec<(MasterKey, String)>> {
    returned_to(&base.spec, &side.spec, &result.spec)
}

fn returned_to(base: &Spec, side: &Spec, result: &Spec) -> Result<Vec<(MasterKey, String)>> {
    let (base, side) = (readers(base)?, readers(side)?);
    let find = |keys: &Readers, id: &str| keys.iter().find(|(other, _)| other == id).cloned();
    // A data key that went may have been replaced by one for others.
    let has_new = side.iter().any(|(id, _)| find(&base, id).is_none());
    let everybody: Vec<_> = side.iter().flat_map(|(_, keys)| keys).cloned().collect();
    let mut removed = Vec::new();
    for (id, before) in &base {
        let after = match find(&side, id) {
            Some((_, after)) => after,
            None if has_new => everybody.clone(),
            None => continue,
        };
        removed.extend(before.iter().filter(|key| !after.contains(key)));
    }
    let mut returned = Vec::new();
    for (id, keys) in readers(result)? {
        let left = find(&side, &id).map(|(_, keys)| keys).unwrap_or_default();
        let is_back = |key: &MasterKey| removed.contains(&key) && !left.contains(key);
        returned.extend(keys.into_iter().filter(is_back).map(|key| (key, id.clone())));
    }
    Ok(returned)
}

/// The ids of data keys, each with its master keys, in whichever group.
type Readers = Vec<(String, Vec<MasterKey>)>;

fn readers(spec: &Spec) -> Result<Readers> {
    let of_entry = |entry: &DataKeyEntry| {
        let wrapped = entry.wrapped()?.groups.into_iter().flatten();
        Ok((entry.id.clone(), wrapped.map(|wrapped| wrapped.key).collect()))
    };
    spec.data_keys.iter().map(of_entry).collect()
}

/// All keys of two maps, with what the second has.
fn union<'m>(
    ours: &'m BTreeMap<String, String>,
    theirs: &'m BTreeMap<String, String>,
) -> BTreeMap<&'m String, Option<&'m String>> {
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    keys.into_iter().map(|key| (key, theirs.get(key))).collect()
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::super::testing::*;
    use super::super::{Options, rotate, seal, unset, update_keys};
    use super::*;
    use crate::sealed_secret::{Binding, Template, recipients};

    struct Case {
        alice: Person,
        base: SealedSecret,
    }

    fn case() -> Case {
        let alice = Person::new();
        let base = sealed(&[("a", "1"), ("b", "2"), ("c", "3")], &[&alice]);
        Case { alice, base }
    }

    impl Case {
        fn set(&self, item: &str, value: &str) -> SealedSecret {
            set(&self.base, item, value, &[&self.alice])
        }

        fn values(&self, sealed: &SealedSecret) -> BTreeMap<String, SecretBytes> {
            let keys = open(sealed, &[&self.alice]).unwrap();
            keys.items(&sealed.spec, &Binding::of(sealed).unwrap()).unwrap()
        }

        /// What it comes to without a key, both ways around.
        fn merge(&self, ours: &SealedSecret, theirs: &SealedSecret) -> (Vec<String>, Vec<String>) {
            let merged = merge(Some(&self.base), ours, theirs, None).unwrap();
            let reverse = merge(Some(&self.base), theirs, ours, None).unwrap();
            assert_eq!(merged.conflicts, reverse.conflicts);
            if merged.conflicts.is_empty() {
                assert_eq!(merged.sealed.spec.encrypted_data, reverse.sealed.spec.encrypted_data);
            }
            (texts(&unsealed(&merged.sealed, &self.alice).unwrap()), merged.conflicts)
        }
    }

    #[test]
    fn changes_of_different_items_come_together_without_a_key() {
        let case = case();
        let ours = set(&case.set("a", "10"), "new", "4", &[&case.alice]);
        let theirs = unset(&case.set("b", "20"), &["c"]).unwrap();
        let (found, conflicts) = case.merge(&ours, &theirs);
        assert_eq!(found, ["a=10", "b=20", "new=4"]);
        assert!(conflicts.is_empty());
    }

    #[test]
    fn one_item_changed_on_both_sides_is_a_conflict() {
        let case = case();
        let (found, conflicts) = case.merge(&case.set("a", "10"), &case.set("a", "11"));
        assert_eq!((&*found[0], &*conflicts), ("a=10", &["spec.encryptedData.a".to_owned()][..]));
        let (_, conflicts) = case.merge(&case.set("a", "10"), &unset(&case.base, &["a"]).unwrap());
        assert_eq!(conflicts, ["spec.encryptedData.a"]);
    }

    #[test]
    fn with_a_key_values_are_compared_and_not_ciphertexts() {
        let case = case();
        let keys = open(&case.base, &[&case.alice]).unwrap();
        let rotated = rotate(&case.base, &keys, new_key(&any_of(&[&case.alice]))).unwrap();
        let theirs = case.set("a", "10");
        let (_, conflicts) = case.merge(&rotated, &theirs);
        assert_eq!(conflicts, ["spec.encryptedData.a"]);
        let values = Values {
            base: case.values(&case.base),
            ours: case.values(&rotated),
            theirs: case.values(&theirs),
        };
        let merged = merge(Some(&case.base), &rotated, &theirs, Some(&values)).unwrap();
        assert_eq!(merged.conflicts, [""; 0]);
        assert_eq!(texts(&unsealed(&merged.sealed, &case.alice).unwrap()), ["a=10", "b=2", "c=3"]);
        // The same value on both sides is no conflict.
        let (ours, theirs) = (case.set("a", "10"), case.set("a", "10"));
        let values =
            Values { base: case.values(&case.base), ours: case.values(&ours), theirs: case.values(&theirs) };
        assert!(merge(Some(&case.base), &ours, &theirs, Some(&values)).unwrap().conflicts.is_empty());
        assert_eq!(merge(Some(&case.base), &ours, &theirs, None).unwrap().conflicts.len(), 1);
    }

    #[test]
    fn recipients_who_come_and_go_on_both_sides_come_together() {
        let case = case();
        let [bob, carol] = [(); 2].map(|()| Person::new());
        let base = sealed(&[("a", "1")], &[&case.alice, &bob]);
        let with = |people: &[&Person]| {
            let keys = open(&base, &[&case.alice]).unwrap();
            let (wanted, service) = (any_of(people), service(&[&case.alice]));
            let request = [(&base, &keys, &wanted)];
            let merged = pollster::block_on(super::super::update_keys(&service, &request));
            merged.into_iter().next().unwrap().unwrap()
        };
        let (ours, theirs) = (with(&[&case.alice, &bob, &carol]), with(&[&case.alice]));
        let merged = merge(Some(&base), &ours, &theirs, None).unwrap();
        assert_eq!(merged.conflicts, [""; 0]);
        assert_eq!(recipients(&merged.sealed.spec).unwrap(), Some(any_of(&[&case.alice, &carol])));
        assert!(unsealed(&merged.sealed, &carol).is_ok());
        // Nobody would be left.
        let merged = merge(Some(&base), &with(&[&bob]), &theirs, None).unwrap();
        assert_eq!(merged.conflicts, [format!("spec.dataKeys.{}", base.spec.data_keys[0].id)]);
        // Nobody has wrapped the new data key for who came to the old one.
        let keys = open(&base, &[&case.alice]).unwrap();
        let rotated = rotate(&base, &keys, new_key(&any_of(&[&case.alice]))).unwrap();
        let merged = merge(Some(&base), &rotated, &ours, None).unwrap();
        assert_eq!(merged.conflicts, [format!("spec.dataKeys.{}", base.spec.data_keys[0].id)]);
    }

    #[test]
    fn who_was_taken_out_does_not_come_back_with_a_new_value() {
        let case = case();
        let bob = Person::new();
        let base = sealed(&[("a", "1"), ("b", "2")], &[&case.alice, &bob]);
        let keys = open(&base, &[&case.alice]).unwrap();
        let only_alice = any_of(&[&case.alice]);
        let without = block_on(update_keys(&service(&[&case.alice]), &[(&base, &keys, &only_alice)]));
        let without = without.into_iter().next().unwrap().unwrap();
        let still = set(&base, "b", "newest", &[&case.alice, &bob]);
        let new = still.spec.data_keys.iter().find(|entry| entry.id != base.spec.data_keys[0].id).unwrap();
        for (ours, theirs) in [(&without, &still), (&still, &without)] {
            let merged = merge(Some(&base), ours, theirs, None).unwrap();
            assert_eq!(merged.conflicts, [format!("spec.dataKeys.{}", new.id)]);
        }
        // Nor when a new data key for the others took him out, and values tell that nothing else changed.
        let rotated = rotate(&base, &keys, new_key(&only_alice)).unwrap();
        let values = |sealed| case.values(sealed);
        for (ours, theirs) in [(&rotated, &still), (&still, &rotated)] {
            let values = Values { base: values(&base), ours: values(ours), theirs: values(theirs) };
            let merged = merge(Some(&base), ours, theirs, Some(&values)).unwrap();
            assert_eq!(merged.conflicts, [format!("spec.dataKeys.{}", new.id)]);
            assert!(merged.sealed.spec.data_keys.iter().all(|entry| entry.id != base.spec.data_keys[0].id));
        }
        let told = set(&base, "b", "newest", &[&case.alice]);
        assert_eq!(merge(Some(&base), &without, &told, None).unwrap().conflicts, [""; 0]);
    }

    #[test]
    fn who_moved_is_taken_whole_or_not_at_all() {
        let case = case();
        let renamed = |items: &[(&str, &str)]| {
            let secret = super::super::Secret { name: "cache".to_owned(), ..secret(items) };
            seal(&secret, &Options::default(), new_key(&any_of(&[&case.alice]))).unwrap()
        };
        let ours = renamed(&[("a", "1"), ("b", "2")]);
        let mut theirs = case.base.clone();
        theirs.spec.template = Some(Template { immutable: Some(true), ..Template::default() });
        for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
            let merged = merge(Some(&case.base), ours, theirs, None).unwrap();
            assert_eq!(merged.conflicts, [""; 0]);
            assert_eq!(merged.sealed.spec.template.as_ref().unwrap().immutable, Some(true));
            let found = unsealed(&merged.sealed, &case.alice).unwrap();
            assert_eq!((&*found.name, texts(&found)), ("cache", vec!["a=1".to_owned(), "b=2".to_owned()]));
        }
        let merged = merge(Some(&case.base), &ours, &case.set("a", "10"), None).unwrap();
        assert_eq!(merged.conflicts, ["spec.encryptedData"]);
        assert!(unsealed(&merged.sealed, &case.alice).is_ok());
    }

    #[test]
    fn what_stands_beside_the_values_is_merged_by_key() {
        let case = case();
        let labelled = |key: &str, value: &str| {
            let mut sealed = case.base.clone();
            let metadata = sealed.spec.template.get_or_insert_default().metadata.get_or_insert_default();
            metadata.labels.insert(key.to_owned(), value.to_owned());
            sealed.metadata.annotations.insert(format!("note-{key}"), value.to_owned());
            sealed
        };
        let merged = merge(Some(&case.base), &labelled("a", "1"), &labelled("b", "2"), None).unwrap();
        assert_eq!(merged.conflicts, [""; 0]);
        assert_eq!(merged.sealed.metadata.annotations.len(), 2);
        assert_eq!(merged.sealed.spec.template.unwrap().metadata.unwrap().labels.len(), 2);
        let merged = merge(Some(&case.base), &labelled("a", "1"), &labelled("a", "2"), None).unwrap();
        assert_eq!(merged.conflicts, ["metadata.annotations.note-a", "spec.template.metadata.labels.a"]);
    }

    #[test]
    fn without_a_base_all_is_new() {
        let case = case();
        let other = set(&sealed(&[("d", "4")], &[&case.alice]), "a", "9", &[&case.alice]);
        let merged = merge(None, &case.base, &other, None).unwrap();
        assert_eq!(merged.conflicts, ["spec.encryptedData.a"]);
        let found = unsealed(&merged.sealed, &case.alice).unwrap();
        assert_eq!(texts(&found), ["a=1", "b=2", "c=3", "d=4"]);
    }
}
