//! Where today's destination rules have `publish` send files, and earlier ones did not.

use std::path::{Path, PathBuf};

use super::{Sides, Weaker, keys, selection};
use crate::config::apart::{List, TooMuch};
use crate::config::destination::{Destination, DestinationRule, Target};
use crate::config::{Config, Policy};

/// Files that are sent elsewhere, or to the same place less protected.
#[derive(Debug, Clone)]
pub struct Rerouted {
    /// Where they were sent; `None` if they were not.
    pub before: Option<Target>,
    pub today: Target,
    /// Of today's rule.
    pub line: usize,
    /// A path of which this is so, below the folder that was asked about.
    pub example: PathBuf,
    /// How what is sent protects less than what was sent or, if nothing was, than the file's own rule.
    pub weaker: Vec<Weaker>,
}

impl DestinationRule {
    fn says_the_same(&self, other: &Self) -> bool {
        let is_same = match (&self.recreation, &other.recreation) {
            (Some(one), Some(other)) => one.says_the_same(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        is_same && self.pattern == other.pattern && self.targets == other.targets
    }
}

impl Config {
    fn destinations(&self) -> impl Iterator<Item = &DestinationRule> {
        self.schema.destination_rules.iter()
    }
}

impl Sides<'_> {
    /// What is sent where it was not. Rules that make no sense are left out: `publish` refuses them.
    pub(super) fn rerouted(&self) -> Result<Vec<Rerouted>, TooMuch> {
        let Some(today) = self.today.filter(|today| !today.schema.destination_rules.is_empty()) else {
            return Ok(Vec::new());
        };
        let is_as_before = |before: &Config| {
            let same = |(one, other): (&DestinationRule, &DestinationRule)| one.says_the_same(other);
            before.prefix_of(self.folder) == today.prefix_of(self.folder)
                && before.rules().len() == today.rules().len()
                && before.schema.destination_rules.len() == today.schema.destination_rules.len()
                && before.destinations().zip(today.destinations()).all(same)
        };
        if self.before.is_some_and(is_as_before) {
            return Ok(Vec::new());
        }
        let list = |config: &Config| {
            let patterns = config.destinations().map(|rule| rule.pattern.as_deref().unwrap_or_default());
            List::of(patterns, config.prefix_of(self.folder)).ok_or(TooMuch)
        };
        let earlier = self.before.map_or(Ok(List::default()), list)?;
        let pairs = self.search([&earlier, &list(today)?])?;
        let rerouted = |(&[earlier, index], example): (&[Option<usize>; 2], &String)| {
            let example = PathBuf::from(example);
            let now = today.destination(index?).ok()?;
            let then = self.before.zip(earlier).and_then(|(before, at)| before.destination(at).ok());
            let weaker = self.sent_for(then.as_ref(), &now, &example);
            let before = then.map(|then| then.target);
            let is_there = before.as_ref() == Some(&now.target) && weaker.is_empty();
            (!is_there).then_some(Rerouted { before, today: now.target, line: now.line, example, weaker })
        };
        Ok(pairs.iter().filter_map(rerouted).collect())
    }

    /// How what is sent protects less than what was sent or, if nothing was, than the file's own rule.
    fn sent_for(&self, then: Option<&Destination>, now: &Destination, example: &Path) -> Vec<Weaker> {
        let Some(now) = &now.recreation else { return Vec::new() };
        let own = || {
            let config = self.before.or(self.today)?;
            config.policy_for(&self.folder.join(example)).ok().flatten()
        };
        let Some(then) = then.and_then(|then| then.recreation.clone()).or_else(own) else {
            let readers = now.key_groups.iter().flatten().cloned().collect();
            return vec![Weaker::Readers(readers)];
        };
        // A rule that does not say which values are encrypted leaves that as it is in the file.
        let then = Policy {
            selection: then.selection.or_else(|| now.selection.as_ref().map(|_| Default::default())),
            ..then
        };
        let of_values = now.selection.as_ref().and_then(|_| selection(&then, now, self.searches));
        let mac = (now.mac_only_encrypted && !then.mac_only_encrypted).then_some(Weaker::Mac);
        of_values.into_iter().chain(keys(&then, now)).chain(mac).collect()
    }
}
