//! Where today's destination rules have `publish` send files, and earlier ones did not.

use std::path::{Path, PathBuf};

use super::{Sides, Weaker, keys, selection};
use crate::config::apart::{List, TooMuch};
use crate::config::destination::{Destination, DestinationRule, Target};
use crate::config::{Config, Dialect, Policy};
use crate::error::Result;

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

impl Rerouted {
    fn of(now: Destination, example: &str) -> Self {
        let Destination { target: today, line, .. } = now;
        Self { before: None, today, line, example: PathBuf::from(example), weaker: Vec::new() }
    }
}

impl Config {
    /// Whether the destination rules are the same, and match the same paths.
    fn sends_the_same(&self, other: &Self, folder: &Path) -> bool {
        let same = |(one, other): (&DestinationRule, &DestinationRule)| one.says_the_same(other);
        self.prefix_of(folder) == other.prefix_of(folder)
            && self.schema.destination_rules.len() == other.schema.destination_rules.len()
            && self.schema.destination_rules.iter().zip(&other.schema.destination_rules).all(same)
    }

    fn list_of_destinations(&self, folder: &Path) -> Result<List, TooMuch> {
        let rules = self.schema.destination_rules.iter();
        let patterns = rules.map(|rule| rule.pattern.as_deref().unwrap_or_default());
        List::of(patterns, self.prefix_of(folder)).ok_or(TooMuch)
    }

    /// Where a file is sent, by our rules for paths.
    fn destination_of(&self, file: &Path) -> Result<Option<Destination>> {
        self.destination_for(file, file, Dialect::Sealant)
    }
}

impl Sides<'_> {
    /// What is sent where it was not. Rules that make no sense are left out: `publish` refuses them.
    pub(super) fn rerouted(&self) -> Result<Vec<Rerouted>, TooMuch> {
        let Some(today) = self.today.filter(|today| !today.schema.destination_rules.is_empty()) else {
            return Ok(Vec::new());
        };
        if self.before.is_some_and(|before| before.sends_the_same(today, self.folder)) {
            return Ok(Vec::new());
        }
        let destinations = today.list_of_destinations(self.folder)?;
        let earlier =
            self.before.map_or(Ok(List::default()), |before| before.list_of_destinations(self.folder))?;
        let mut found = Vec::new();
        for (&[earlier, index], example) in self.search([&earlier, &destinations])?.iter() {
            let Some(now) = index.and_then(|index| today.destination(index).ok()) else { continue };
            let then = self.before.zip(earlier).and_then(|(before, at)| before.destination(at).ok());
            let both = then.as_ref().and_then(|then| then.recreation.as_ref()).zip(now.recreation.as_ref());
            let weaker = both.map_or(Vec::new(), |(then, now)| self.sent_for(Some(then), now));
            let before = then.map(|then| then.target);
            if before.as_ref() != Some(&now.target) || !weaker.is_empty() {
                found.push(Rerouted { before, weaker, ..Rerouted::of(now, example) });
            }
        }
        // Where only one of the two is encrypted again, the other is as the creation rule says, and there are many of these.
        let Some(rules) = self.before.or(self.today) else { return Ok(found) };
        let creation = rules.list_of_rules(self.folder)?;
        for (&[rule, index], example) in self.search([&creation, &destinations])?.iter() {
            let Some(now) = index.and_then(|index| today.destination(index).ok()) else { continue };
            let path = self.folder.join(example);
            let then = self.before.and_then(|before| before.destination_of(&path).ok().flatten());
            let (target, then) =
                (then.as_ref().map(|then| then.target.clone()), then.and_then(|then| then.recreation));
            let own = rule.and_then(|rule| rules.policy_at(rule)?.ok());
            let weaker = match (then, &now.recreation) {
                (None, Some(again)) => self.sent_for(own.as_ref(), again),
                (Some(then), None) => own.map_or(Vec::new(), |own| self.sent_for(Some(&then), &own)),
                _ => Vec::new(),
            };
            if !weaker.is_empty() {
                // That it goes elsewhere was told.
                found.push(Rerouted {
                    before: target.or_else(|| Some(now.target.clone())),
                    weaker,
                    ..Rerouted::of(now, example)
                });
            }
        }
        Ok(found)
    }

    /// How what is sent protects less than what was sent or, if nothing was, than the file's own rule.
    fn sent_for(&self, then: Option<&Policy>, now: &Policy) -> Vec<Weaker> {
        let Some(then) = then else {
            let readers = now.key_groups.iter().flatten().cloned().collect();
            return vec![Weaker::Readers(readers)];
        };
        // A rule that does not say which values are encrypted leaves that as it is in the file.
        let of_values = now.selection.as_ref().and_then(|_| selection(then, now, self.searches));
        let mac = (now.mac_only_encrypted && !then.mac_only_encrypted).then_some(Weaker::Mac);
        of_values.into_iter().chain(keys(then, now)).chain(mac).collect()
    }
}
