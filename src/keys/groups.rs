//! Key groups: the shares of a data key, which of them stay when its master keys change, and the opening of as many as
//! it takes.
//!
//! Knows no kind of master key and asks none: what is to be wrapped or opened next is a [`Step`] or a task for the key
//! service.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::unopened::Failure;
use super::{KeyKind, KeySet, MasterKey, WrappedDataKey, WrappedKey, shamir};
use crate::error::{Error, Kind, Result};
use crate::secret::{DataKey, SecretBytes};

/// A share is as long as a data key and has its number behind it.
pub(super) const SHARE_LENGTH: usize = DataKey::LEN + 1;

/// The share of a new data key for each group, or the whole of it for the only one.
pub(super) fn new_payloads(data_key: &DataKey, keys: &KeySet) -> Result<Vec<SecretBytes>> {
    if keys.groups.is_empty() || keys.groups.iter().any(Vec::is_empty) {
        return Err(Error::new(Kind::Other, "empty key group provided: nobody could open the data key")
            .advise("name recipients with --age, or add a creation rule to .sops.yaml"));
    }
    match keys.groups.len() {
        1 => Ok(vec![Zeroizing::new(data_key.as_bytes().to_vec())]),
        groups => shamir::split(data_key.as_bytes(), groups, keys.required()),
    }
}

/// The threshold that a file says for these keys: none for a data key that is not shared.
pub(super) fn threshold(keys: &KeySet) -> usize {
    if keys.groups.len() > 1 { keys.required() } else { 0 }
}

/// What of a data key's wrappings stays, and what is missing: for which group, for whom, of what.
pub(super) struct Plan<'a> {
    pub groups: Vec<Vec<WrappedKey>>,
    pub threshold: usize,
    pub missing: Vec<(usize, &'a MasterKey, SecretBytes)>,
}

impl<'a> Plan<'a> {
    /// How `wrapped` comes to be for `keys`. `shares` are those of its groups that were opened.
    pub fn new(
        data_key: &DataKey,
        wrapped: &WrappedDataKey,
        keys: &'a KeySet,
        shares: &[Option<SecretBytes>],
    ) -> Result<Self> {
        let (kept, payloads, threshold) = match old_payloads(data_key, wrapped, keys, shares)? {
            // A number that nothing is shared out by is put right; none at all means every group.
            Some(payloads) if wrapped.groups.len() > 1 && wrapped.threshold > 0 => {
                (&wrapped.groups[..], payloads, wrapped.required())
            }
            Some(payloads) => (&wrapped.groups[..], payloads, wrapped.threshold),
            None => (&[][..], new_payloads(data_key, keys)?, threshold(keys)),
        };
        let mut plan = Self { groups: Vec::new(), threshold, missing: Vec::new() };
        for (index, (new, payload)) in keys.groups.iter().zip(payloads).enumerate() {
            let mut group: Vec<WrappedKey> = Vec::new();
            for kept in kept.get(index).into_iter().flatten().filter(|kept| kept.key.is_among(new)) {
                if !group.iter().any(|known| known.key == kept.key) {
                    group.push(kept.clone());
                }
            }
            let mut missing: Vec<&MasterKey> = Vec::new();
            for key in new {
                if !missing.contains(&key) && !group.iter().any(|known| known.key.is_named_by(key)) {
                    missing.push(key);
                }
            }
            plan.missing.extend(missing.into_iter().map(|key| (index, key, payload.clone())));
            plan.groups.push(group);
        }
        Ok(plan)
    }
}

/// What the keys of each group have wrapped; `None` when the data key has to be shared out again.
fn old_payloads(
    data_key: &DataKey,
    wrapped: &WrappedDataKey,
    keys: &KeySet,
    shares: &[Option<SecretBytes>],
) -> Result<Option<Vec<SecretBytes>>> {
    if !wrapped.is_shared_as(keys) {
        return Ok(None);
    }
    if wrapped.groups.len() == 1 {
        return Ok(Some(vec![Zeroizing::new(data_key.as_bytes().to_vec())]));
    }
    let known: Vec<(usize, &SecretBytes)> =
        shares.iter().enumerate().filter_map(|(index, share)| Some((index, share.as_ref()?))).collect();
    // Others may number their shares otherwise than by the groups; then nobody can tell what the others are.
    let is_numbered =
        |(index, share): &(usize, &SecretBytes)| share.last().is_some_and(|x| usize::from(*x) == index + 1);
    if known.len() < wrapped.required() || !known.iter().all(is_numbered) {
        return Ok(None);
    }
    let shares: Vec<_> = known.into_iter().map(|(_, share)| share.clone()).take(wrapped.required()).collect();
    // A group can hold what opens to a share that somebody has made up. With one of these, whoever knows it could tell the
    // true ones from the new one that they get.
    let is_of_it = |whole: SecretBytes| DataKey::from_slice(&whole).is_some_and(|whole| whole == *data_key);
    if !shamir::combine(&shares).is_ok_and(is_of_it) {
        return Ok(None);
    }
    let last_x = u8::try_from(wrapped.groups.len()).unwrap_or(u8::MAX);
    (1..=last_x).map(|x| shamir::share_at(&shares, x)).collect::<Result<_>>().map(Some)
}

/// A data key that is being opened.
pub(super) struct Opening<'a> {
    pub wrapped: &'a WrappedDataKey,
    /// How many groups have to be opened.
    pub needed: usize,
    groups: Vec<Group<'a>>,
}

/// A group of which one key has to open its payload.
struct Group<'a> {
    steps: VecDeque<Step<'a>>,
    payload: Option<SecretBytes>,
    failures: Vec<Failure>,
}

/// One try: with all keys of a kind, or with one key.
pub(super) struct Step<'a> {
    /// Of one kind, and at least one.
    pub keys: Vec<&'a WrappedKey>,
    /// The whole group, of which any key may have been used before.
    pub group: &'a [WrappedKey],
    /// Of the payload, in bytes.
    pub length: usize,
}

impl<'a> Opening<'a> {
    pub fn new(wrapped: &'a WrappedDataKey, order: &[KeyKind]) -> Self {
        let (length, needed) = match wrapped.groups.len() {
            1 => (DataKey::LEN, 1),
            _ => (SHARE_LENGTH, wrapped.required()),
        };
        let groups = wrapped.groups.iter().map(|group| Group::new(group, length, order)).collect();
        Self { wrapped, needed, groups }
    }

    /// What to try next for the first groups of which an answer is still needed, with the number of the group.
    pub fn next_steps(&mut self) -> Vec<(usize, Step<'a>)> {
        let opened = self.groups.iter().filter(|group| group.payload.is_some()).count();
        let closed = self.groups.iter_mut().enumerate().filter(|(_, group)| group.payload.is_none());
        let next = closed.filter_map(|(index, group)| Some((index, group.steps.pop_front()?)));
        next.take(self.needed.saturating_sub(opened)).collect()
    }

    pub fn record(&mut self, group: usize, answer: Result<SecretBytes, Vec<Failure>>) {
        match answer {
            Ok(payload) => self.groups[group].payload = Some(payload),
            Err(failures) => self.groups[group].failures.extend(failures),
        }
    }

    /// How many groups are open.
    pub fn opened(&self) -> usize {
        self.groups.iter().filter(|group| group.payload.is_some()).count()
    }

    /// The groups that are not, by their numbers from 0, each with what went wrong.
    pub fn closed(&self) -> Vec<(usize, Vec<Failure>)> {
        let groups = self.groups.iter().enumerate().filter(|(_, group)| group.payload.is_none());
        groups.map(|(index, group)| (index, group.failures.clone())).collect()
    }

    /// The data key, of as many groups as it takes.
    pub fn data_key(&self) -> Result<DataKey> {
        let payloads: Vec<&SecretBytes> =
            self.groups.iter().filter_map(|group| group.payload.as_ref()).collect();
        let bytes = match &payloads[..] {
            [whole] if self.needed == 1 => (*whole).clone(),
            shares => shamir::combine(&shares.iter().map(|share| (*share).clone()).collect::<Vec<_>>())?,
        };
        DataKey::from_slice(&bytes).ok_or_else(|| {
            let found = bytes.len();
            Error::new(Kind::NoDataKey, format!("the data key has {found} bytes instead of {}", DataKey::LEN))
        })
    }
}

impl<'a> Group<'a> {
    fn new(group: &'a [WrappedKey], length: usize, order: &[KeyKind]) -> Self {
        let mut kinds: Vec<KeyKind> = Vec::new();
        for wrapped in group.iter().filter(|wrapped| wrapped.key.is_supported()) {
            if !kinds.contains(&wrapped.key.kind()) {
                kinds.push(wrapped.key.kind());
            }
        }
        kinds.sort_by_key(|kind| order.iter().position(|named| named == kind).unwrap_or(order.len()));
        let mut steps = VecDeque::new();
        for kind in kinds {
            let of_kind = |wrapped: &&WrappedKey| wrapped.key.kind() == kind && wrapped.key.is_supported();
            let keys = group.iter().filter(of_kind);
            match kind.room().is_tried_together() {
                true => steps.push_back(Step { keys: keys.collect(), group, length }),
                false => steps.extend(keys.map(|key| Step { keys: vec![key], group, length })),
            }
        }
        Self { steps, payload: None, failures: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Recipient;

    fn key(name: &str) -> MasterKey {
        MasterKey::Age(Recipient::as_written(name))
    }

    fn wrapped(names: [&str; 3]) -> WrappedDataKey {
        let group = |name: &str| {
            vec![WrappedKey { key: key(name), enc: name.to_owned(), entry: serde_json::Map::new() }]
        };
        WrappedDataKey { groups: names.map(group).into(), threshold: 2 }
    }

    /// The third group loses its key, and gets another: a share of the old ones, or of new ones.
    fn keeps_shares(data_key: &DataKey, shares: &[Option<SecretBytes>]) -> bool {
        let keys = KeySet::of_groups(vec![vec![key("a")], vec![key("b")], vec![key("new")]], Some(2));
        let plan = Plan::new(data_key, &wrapped(["a", "b", "c"]), &keys, shares).unwrap();
        plan.missing.len() == 1
    }

    #[test]
    fn a_share_that_somebody_made_up_is_none_to_build_on() {
        let data_key = DataKey::generate();
        let shares = shamir::split(data_key.as_bytes(), 3, 2).unwrap();
        let opened = |first: SecretBytes| [Some(first), Some(shares[1].clone()), None];
        assert!(keeps_shares(&data_key, &opened(shares[0].clone())));
        let mut forged = shares[0].clone();
        forged[..DataKey::LEN].fill(0);
        assert!(!keeps_shares(&data_key, &opened(forged)));
    }
}
