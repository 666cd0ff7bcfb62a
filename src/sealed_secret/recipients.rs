//! Who can open a SealedSecret, as it says of itself, and other master keys for the data keys that it has.
//!
//! The list in a file is not authenticated: whoever can write to it can add themselves. So it decides nothing
//! where a creation rule does; that is for the caller to see to.

use super::data_keys::OpenedKeys;
use super::types::{SealedSecret, Spec};
use crate::error::{Error, Kind, Result};
use crate::keys::{KeyService, KeySet, MasterKey, WrappedDataKey};

/// The data keys as the key service knows them.
pub fn wrapped_data_keys(spec: &Spec) -> Result<Vec<WrappedDataKey>> {
    spec.data_keys.iter().map(|entry| entry.wrapped()).collect()
}

/// The master keys that every data key is wrapped for: those who can read all of it. `None` without data keys.
pub fn recipients(spec: &Spec) -> Result<Option<KeySet>> {
    let data_keys = wrapped_data_keys(spec)?;
    let Some((first, others)) = data_keys.split_first() else { return Ok(None) };
    let (count, required) = (first.groups.len(), first.required());
    if others.iter().any(|other| other.groups.len() != count || other.required() != required) {
        let message = "its data keys are not split in the same way, so it is unclear who should be able to open a new one";
        return Err(Error::new(Kind::Conflict, message)
            .advise("Name the recipients in a creation rule, then run `sealant updatekeys FILE`."));
    }
    let mut groups: Vec<Vec<MasterKey>> = Vec::new();
    for (at, group) in first.groups.iter().enumerate() {
        let mut names: Vec<MasterKey> = Vec::new();
        for wrapped in group {
            let everywhere =
                others.iter().all(|other| other.groups[at].iter().any(|found| found.key == wrapped.key));
            if everywhere && !names.contains(&wrapped.key) {
                names.push(wrapped.key.clone());
            }
        }
        groups.push(names);
    }
    if groups.iter().any(Vec::is_empty) {
        let message =
            "no recipient has every data key, so it is unclear who should be able to open a new one";
        return Err(Error::new(Kind::Conflict, message)
            .advise("Name the recipients in a creation rule, or with flags such as --age."));
    }
    Ok(Some(KeySet::of_groups(groups, (count > 1).then_some(required))))
}

/// Wraps the data keys of SealedSecrets for exactly these master keys, in one request, and changes nothing but
/// `dataKeys`. Whoever goes can still open what they could before: shutting somebody out takes
/// [`super::rotate`]. Before anybody comes, all items are opened: a data key that somebody has carried here from
/// elsewhere opens none of them, and is handed on to nobody. Results are in the order of the requests.
pub async fn update_keys(
    service: &KeyService<'_>,
    requests: &[(&SealedSecret, &OpenedKeys, &KeySet)],
) -> Vec<Result<SealedSecret>> {
    let rekeyed = OpenedKeys::rekey(service, requests).await;
    let finish = |((sealed, ..), data_keys): (&(&SealedSecret, &OpenedKeys, &KeySet), Result<_>)| {
        let spec = Spec { data_keys: data_keys?, ..sealed.spec.clone() };
        spec.check()?;
        Ok(SealedSecret { metadata: sealed.metadata.clone(), spec })
    };
    requests.iter().zip(rekeyed).map(finish).collect()
}

/// Moves what transit keys have wrapped to the newest versions of these keys, without learning any data key, in one
/// request. `None` for a SealedSecret of which nothing changes. Results are in the order of the specs.
pub async fn rewrap(service: &KeyService<'_>, sealed: &[&SealedSecret]) -> Vec<Result<Option<SealedSecret>>> {
    let wrapped: Vec<Result<Vec<WrappedDataKey>>> = sealed
        .iter()
        .map(|sealed| sealed.spec.check().and_then(|()| wrapped_data_keys(&sealed.spec)))
        .collect();
    let all: Vec<&WrappedDataKey> = wrapped.iter().flatten().flatten().collect();
    let mut answers = service.rewrap_many(&all).await.into_iter();
    let finish = |(sealed, wrapped): (&&SealedSecret, Result<Vec<WrappedDataKey>>)| {
        // All of its answers are taken before an error counts: what is left belongs to the next.
        let answers: Vec<_> = answers.by_ref().take(wrapped?.len()).collect();
        let mut changed = (*sealed).clone();
        let mut changes = false;
        for (entry, answer) in changed.spec.data_keys.iter_mut().zip(answers) {
            if let Some(wrapped) = answer? {
                *entry = entry.rewrapped(&wrapped)?;
                changes = true;
            }
        }
        Ok(changes.then_some(changed))
    };
    sealed.iter().zip(wrapped).map(finish).collect()
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::super::testing::*;
    use super::super::{Options, seal};
    use super::*;

    #[test]
    fn recipients_are_those_of_every_data_key() {
        let [a, b, c] = [(); 3].map(|()| Person::new());
        let first = sealed(&[("x", "1")], &[&a, &b]);
        assert_eq!(recipients(&first.spec).unwrap(), Some(any_of(&[&a, &b])));
        assert_eq!(recipients(&set(&first, "y", "2", &[&b, &c]).spec).unwrap(), Some(any_of(&[&b])));
        assert!(refusal(recipients(&set(&first, "y", "2", &[&c]).spec)).contains("it is unclear who"));
        let groups = KeySet::of_groups(vec![vec![a.key()], vec![b.key()]], None);
        let shared = super::super::change(&first, &changes(&[("y", Some("2"))]), new_key(&groups)).unwrap();
        assert!(refusal(recipients(&shared.spec)).contains("not split in the same way"));
        assert_eq!(recipients(&Spec::default()).unwrap(), None);
    }

    fn updated(sealed: &SealedSecret, by: &[&Person], keys: &KeySet) -> Result<SealedSecret> {
        let opened = open(sealed, by)?;
        block_on(update_keys(&service(by), &[(sealed, &opened, keys)])).remove(0)
    }

    #[test]
    fn other_recipients_change_nothing_but_the_data_keys() {
        let [a, b, c] = [(); 3].map(|()| Person::new());
        let before = set(&sealed(&[("x", "1")], &[&a, &b]), "y", "2", &[&a]);
        let after = updated(&before, &[&a], &any_of(&[&a, &c])).unwrap();
        assert_eq!(after.spec.encrypted_data, before.spec.encrypted_data);
        assert_eq!(recipients(&after.spec).unwrap(), Some(any_of(&[&a, &c])));
        assert_eq!(texts(&unsealed(&after, &c).unwrap()), ["x=1", "y=2"]);
        // What is wrapped for somebody who stays is kept, byte for byte.
        for (old, new) in before.spec.data_keys.iter().zip(&after.spec.data_keys) {
            assert_eq!((&old.id, &old.wraps.age[0]), (&new.id, &new.wraps.age[0]));
        }
        assert!(updated(&before, &[&b], &any_of(&[&a])).is_err());
    }

    #[test]
    fn a_data_key_is_shared_out_and_brought_together_again() {
        let [a, b, c] = [(); 3].map(|()| Person::new());
        let groups = KeySet::of_groups(vec![vec![a.key()], vec![b.key(), c.key()]], Some(2));
        let before = seal(&secret(&[("x", "1")]), &Options::default(), new_key(&any_of(&[&a]))).unwrap();
        let shared = updated(&before, &[&a], &groups).unwrap();
        assert!(open(&shared, &[&a]).is_err());
        let together = updated(&shared, &[&a, &c], &any_of(&[&b])).unwrap();
        assert_eq!(texts(&unsealed(&together, &b).unwrap()), ["x=1"]);
    }

    #[test]
    fn a_data_key_that_was_carried_here_is_not_handed_on() {
        let [a, b] = [(); 2].map(|()| Person::new());
        let secret_one = sealed(&[("x", "1")], &[&a]);
        let mut bait = sealed(&[("y", "2")], &[&a, &b]);
        let carried = secret_one.spec.data_keys[0].clone();
        let junk = format!("{}:{}", carried.id, "A".repeat(56));
        bait.spec.data_keys.push(carried);
        bait.spec.encrypted_data.insert("z".to_owned(), junk);
        let error = updated(&bait, &[&a], &any_of(&[&a, &b])).unwrap_err();
        assert_eq!(error.kind(), Kind::Decrypt);
        assert!(error.message().contains("`z`"), "{error}");
        // One that fails holds up no other.
        let opened = [&bait, &secret_one].map(|sealed| open(sealed, &[&a]).unwrap());
        let keys = any_of(&[&a, &b]);
        let requests = [(&bait, &opened[0], &keys), (&secret_one, &opened[1], &keys)];
        let results = block_on(update_keys(&service(&[&a]), &requests));
        assert!(results[0].is_err() && unsealed(results[1].as_ref().unwrap(), &b).is_ok());
    }

    #[test]
    fn a_key_that_was_swapped_is_not_handed_on() {
        let [a, b] = [(); 2].map(|()| Person::new());
        let mut swapped = sealed(&[("x", "1")], &[&a]);
        swapped.spec.data_keys[0].wraps.age =
            sealed(&[("x", "1")], &[&a]).spec.data_keys[0].wraps.age.clone();
        assert!(refusal(updated(&swapped, &[&a], &any_of(&[&a, &b]))).contains("commitment"));
    }
}
