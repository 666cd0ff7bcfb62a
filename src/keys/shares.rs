//! Who can open together what is shared out among groups of keys.
//!
//! Owns the one comparison of readerships, for rules (`config::weaker`) and for copies (`repo::copies`): a search, over how much of
//! the groups some have together. It does not tell who is named at all.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// The most steps that are made: some milliseconds, and enough for all readers of a dozen groups.
const MOST_STEPS: usize = 100_000;

/// There are more groups, or more ways to put readers together, than are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Groups of keys, in no order, and of how many of them it takes a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shares<K> {
    groups: Vec<BTreeSet<K>>,
    required: usize,
}

impl<K: Ord + Hash> Shares<K> {
    pub fn new(groups: impl IntoIterator<Item = BTreeSet<K>>, required: usize) -> Self {
        let mut groups: Vec<BTreeSet<K>> = groups.into_iter().collect();
        groups.sort();
        Self { groups, required: required.max(1) }
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.groups.iter().flatten()
    }

    /// The fewest readers who can open this together, and none of the others. Somebody whom no other names has the place of one
    /// reader there, and is not worth more than that.
    pub fn enough_beyond(&self, others: &[&Self]) -> Result<Option<Vec<&K>>, TooMany> {
        let is_as_safe = |other: &&Self| {
            let is_same = other.required <= self.required && other.groups == self.groups;
            is_same || (other.required == 1 && self.keys().all(|key| other.has(key)))
        };
        // One key is enough there, and so whoever is new.
        let is_open = matches!(others, [only] if only.required == 1);
        if is_open || others.iter().any(is_as_safe) {
            return Ok(None);
        }
        let readers = self.readers(others)?;
        let opens = |held: &Held| {
            let mut first = 0;
            others.iter().any(|other| {
                let of_it = held.before >> first;
                first += other.groups.len();
                let of_it = (0..other.groups.len()).filter(|at| of_it >> at & 1 == 1).count();
                of_it + held.new >= other.required
            })
        };
        let mut seen = HashSet::from([Held::default()]);
        let mut next = VecDeque::from([(Held::default(), Vec::new())]);
        let mut left = MOST_STEPS;
        while let Some((held, who)) = next.pop_front() {
            for (reader, key) in &readers {
                left = left.checked_sub(1).ok_or(TooMany)?;
                let both = held.with(reader);
                if both.today == held.today || opens(&both) {
                    continue;
                }
                let who: Vec<&K> = who.iter().copied().chain([*key]).collect();
                if both.today.count_ones() as usize >= self.required {
                    return Ok(Some(who));
                }
                if seen.insert(both) {
                    next.push_back((both, who));
                }
            }
        }
        Ok(None)
    }

    fn has(&self, key: &K) -> bool {
        self.groups.iter().any(|group| group.contains(key))
    }

    /// The readers, and what each has: of those who have the same, one.
    fn readers(&self, others: &[&Self]) -> Result<Vec<(Held, &K)>, TooMany> {
        let then = bits(others.iter().flat_map(|other| &other.groups))?;
        let now = bits(&self.groups)?;
        let mut seen = HashSet::new();
        let reader = |key| {
            let held = Held {
                before: then.get(key).copied().unwrap_or_default(),
                today: now.get(key).copied().unwrap_or_default(),
                new: usize::from(!then.contains_key(key)),
            };
            seen.insert(held).then_some((held, key))
        };
        Ok(self.keys().filter_map(reader).collect())
    }
}

/// What readers have together: groups of the others and of these, a bit for each, and how many of them are new.
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
}

/// In which groups each key is.
fn bits<'g, K: Ord + Hash>(
    groups: impl IntoIterator<Item = &'g BTreeSet<K>>,
) -> Result<HashMap<&'g K, u64>, TooMany> {
    let mut bits = HashMap::new();
    for (at, group) in groups.into_iter().enumerate() {
        let bit = u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).ok_or(TooMany)?;
        group.iter().for_each(|key| *bits.entry(key).or_default() |= bit);
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups as words, each key a letter, behind the number of those that are needed.
    fn shares(text: &str) -> Shares<char> {
        let (required, groups) = text.split_once(' ').unwrap();
        Shares::new(groups.split(' ').map(|group| group.chars().collect()), required.parse().unwrap())
    }

    #[test]
    fn whoever_opens_one_of_several_opens_nothing_new() {
        for (these, others, expected) in [
            ("1 va", &["1 v", "2 b a"][..], Some("a")),
            ("1 va", &["2 v ba"], Some("a")),
            ("1 va", &["1 v", "1 ab"], None),
            ("2 v ba ba", &["2 v ba"], Some("a")),
            ("2 v ba", &["2 v ba ba"], None),
            ("2 v a", &["2 v b", "2 b a"], Some("av")),
            ("2 v a", &["1 v", "2 b a"], None),
            ("2 b a", &["1 v", "2 b a"], None),
            ("1 v", &[], Some("v")),
        ] {
            let (these, others): (_, Vec<_>) =
                (shares(these), others.iter().map(|text| shares(text)).collect());
            let found = these.enough_beyond(&others.iter().collect::<Vec<_>>()).unwrap();
            let mut found: Option<Vec<char>> = found.map(|who| who.into_iter().copied().collect());
            found.iter_mut().for_each(|who| who.sort_unstable());
            assert_eq!(found, expected.map(|who| who.chars().collect()), "{these:?} {others:?}");
        }
    }
}
