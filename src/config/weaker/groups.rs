//! Who can open together what is encrypted for key groups: which readers are enough by one rule, and were not by an earlier
//! one.

use crate::config::{KeySpec, Policy, RuleKey};
use crate::keys::{Shares, TooMany};

/// How many groups are needed.
pub(super) fn needed(policy: &Policy) -> usize {
    let groups = policy.key_groups.len();
    policy.shamir_threshold.map_or(groups, |threshold| threshold.min(groups))
}

/// The fewest readers who can open together what they could not before.
pub(super) fn enough(before: &Policy, today: &Policy) -> Result<Option<Vec<RuleKey>>, TooMany> {
    let (before, now) = (shares(before), shares(today));
    let Some(who) = now.enough_beyond(&[&before])? else { return Ok(None) };
    let mut found: Vec<RuleKey> = Vec::new();
    for key in today.key_groups.iter().flatten().filter(|key| who.contains(&&&key.spec)) {
        if !found.iter().any(|known| known.spec == key.spec) {
            found.push(key.clone());
        }
    }
    Ok(Some(found))
}

fn shares(policy: &Policy) -> Shares<&KeySpec> {
    let groups = policy.key_groups.iter().map(|group| group.iter().map(|key| &key.spec).collect());
    Shares::new(groups, needed(policy))
}
