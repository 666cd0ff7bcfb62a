//! Who can open together what is encrypted for key groups: which readers are enough by one rule, and were not by an earlier
//! one.
//!
//! Owns the search, over how much of the groups readers have together. It does not tell who is named by a rule at all.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::config::apart::TooMuch;
use crate::config::{KeySpec, Policy, RuleKey};

/// The most steps that are made: some milliseconds, and enough for all readers of a dozen groups.
const MOST_STEPS: usize = 100_000;

/// How many groups are needed.
pub(super) fn needed(policy: &Policy) -> usize {
    let groups = policy.key_groups.len();
    policy.shamir_threshold.map_or(groups, |threshold| threshold.min(groups))
}

/// The fewest readers who can open together what they could not before. Somebody new has the place of one reader, and is not
/// worth more than that.
pub(super) fn enough(before: &Policy, today: &Policy) -> Result<Option<Vec<RuleKey>>, TooMuch> {
    let needs = [needed(before), needed(today)];
    if needs[0] <= 1 || (needs[0] <= needs[1] && counted(before) == counted(today)) {
        return Ok(None);
    }
    let readers = readers(before, today)?;
    let mut seen = HashSet::from([Held::default()]);
    let mut next = VecDeque::from([(Held::default(), Vec::new())]);
    let mut left = MOST_STEPS;
    while let Some((held, who)) = next.pop_front() {
        for (reader, key) in &readers {
            left = left.checked_sub(1).ok_or(TooMuch)?;
            let both = held.with(reader);
            if both.today == held.today || both.counted_before() >= needs[0] {
                continue;
            }
            let who: Vec<&RuleKey> = who.iter().copied().chain([*key]).collect();
            if both.today.count_ones() as usize >= needs[1] {
                return Ok(Some(who.into_iter().cloned().collect()));
            }
            if seen.insert(both) {
                next.push_back((both, who));
            }
        }
    }
    Ok(None)
}

/// What readers have together: groups of either rule, a bit for each, and how many of them are new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Held {
    before: u64,
    today: u64,
    new: usize,
}

impl Held {
    fn with(&self, other: &Self) -> Self {
        let (before, today) = (self.before | other.before, self.today | other.today);
        Self { before, today, new: self.new + other.new }
    }

    fn counted_before(&self) -> usize {
        self.before.count_ones() as usize + self.new
    }
}

/// The readers of today, and what each has: of those who have the same, one.
fn readers<'p>(before: &Policy, today: &'p Policy) -> Result<Vec<(Held, &'p RuleKey)>, TooMuch> {
    let (then, now) = (groups(before)?, groups(today)?);
    let mut seen = HashSet::new();
    let reader = |key: &'p RuleKey| {
        let held = Held {
            before: then.get(&key.spec).copied().unwrap_or_default(),
            today: now.get(&key.spec).copied().unwrap_or_default(),
            new: usize::from(!then.contains_key(&key.spec)),
        };
        seen.insert(held).then_some((held, key))
    };
    Ok(today.key_groups.iter().flatten().filter_map(reader).collect())
}

/// In which groups each key is.
fn groups(policy: &Policy) -> Result<HashMap<&KeySpec, u64>, TooMuch> {
    let mut groups = HashMap::new();
    for (at, group) in policy.key_groups.iter().enumerate() {
        let bit = 1_u64.checked_shl(u32::try_from(at).map_err(|_| TooMuch)?).ok_or(TooMuch)?;
        group.iter().for_each(|key| *groups.entry(&key.spec).or_default() |= bit);
    }
    Ok(groups)
}

/// The groups as sets of keys, in whatever order.
fn counted(policy: &Policy) -> HashMap<Vec<&KeySpec>, usize> {
    let mut counted = HashMap::new();
    for group in &policy.key_groups {
        let mut keys: Vec<_> = group.iter().map(|key| &key.spec).collect();
        keys.sort();
        *counted.entry(keys).or_default() += 1;
    }
    counted
}
