//! What a config says less than an earlier one, for paths that need not be there.
//!
//! Owns the comparison of two configs, rule by rule: for each pair of an earlier rule and what is said today of some of its
//! paths. It makes no findings, and does not know which files there are.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::config::apart::{self, List, Pairs, Texts, TooMuch};
use crate::config::schema::Rule;
use crate::config::{Config, KeySpec, PinSpec, Policy, RuleKey, Selection};
use crate::error::Result;

/// Something that is secret, or bound, to a lesser degree than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weaker {
    /// No rule is for these paths, or only one that says of no plaintext that it is a secret.
    NoRule,
    /// `check` passes them by.
    PassedBy { pattern: String },
    /// Fewer values are encrypted: that of this key is not, or that with this comment; `None` where nobody can tell.
    Selection { before: Selection, today: Selection, example: Option<String> },
    /// Fewer key groups are needed.
    Threshold { before: usize, today: usize },
    /// One reader has more of the shares than before.
    Shares { key: RuleKey, before: usize, today: usize },
    /// The MAC covers encrypted values alone.
    Mac,
    /// SealedSecrets may belong elsewhere.
    Pin { part: PinPart, before: String, today: Option<String> },
    /// The rule names nobody.
    Nobody,
    /// These may read what comes.
    Readers(Vec<RuleKey>),
}

/// What of the place of a SealedSecret a rule pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinPart {
    Scope,
    Namespace,
    Name,
}

/// Paths of an earlier rule that have another one today, or none.
#[derive(Debug, Clone)]
pub struct Parting {
    pub before: Policy,
    /// The rule of today, if that is what says less.
    pub today: Option<Policy>,
    /// A path of which this is so, below the folder that was asked about.
    pub example: PathBuf,
    pub weaker: Vec<Weaker>,
    /// The earlier rule is for whatever has no other one, and still is.
    pub is_default: bool,
}

/// What comes of comparing two configs.
#[derive(Debug, Clone, Default)]
pub struct Weakened {
    pub partings: Vec<Parting>,
    /// What rules of today say of paths for which there was none.
    pub new: Vec<Policy>,
    /// There had to be an audit log, and has not to be any more.
    pub is_without_audit_log: bool,
    /// Patterns by which `check` passes files by, and did not before.
    pub excludes: Vec<String>,
    /// The configs could not be compared as a whole.
    pub is_too_much: bool,
}

impl Config {
    /// What this config, or none, says less than an earlier one of the files below a folder. `is_there` says of a path below
    /// it whether these are its configs.
    pub fn weakened(
        today: Option<&Self>,
        before: Option<&Self>,
        folder: &Path,
        is_there: impl Fn(&Path) -> bool,
    ) -> Result<Weakened> {
        let mut weakened = Weakened { excludes: added_excludes(today, before), ..Weakened::default() };
        let Some(before) = before else {
            weakened.new = today.map(Self::policies).unwrap_or_default().into_iter().flatten().collect();
            return Ok(weakened);
        };
        weakened.is_without_audit_log = before.schema.audit && !today.is_some_and(|today| today.schema.audit);
        if weakened.excludes.is_empty() && today.is_some_and(|today| today.says_the_same(before, folder)) {
            return Ok(weakened);
        }
        let is_there = |text: &str| is_there(Path::new(text));
        let rules = |config: Option<&Self>| config.and_then(|config| config.list_of_rules(folder));
        let excludes = today.map(|today| today.list_of(folder, &weakened.excludes)).unwrap_or_default();
        let Some(earlier) = rules(Some(before)) else { return Ok(weakened) };
        let todays = rules(today).unwrap_or_default();
        let compared = |list: &List| apart::pairs([&earlier, list], Texts::Paths, is_there);
        let (by_rules, by_excludes) =
            match compared(&todays).and_then(|pairs| Ok((pairs, compared(&excludes)?))) {
                Ok(compared) => compared,
                Err(TooMuch) => return Ok(Weakened { is_too_much: true, ..weakened }),
            };
        let new = by_rules
            .keys()
            .filter(|pair| pair[0].is_none())
            .filter_map(|pair| today?.policy_at(pair[1]?)?.ok());
        weakened.new = new.collect();
        weakened.partings = partings(today, before, &by_rules)?;
        weakened.partings.extend(passed_by(before, &by_excludes, &weakened.excludes));
        Ok(weakened)
    }

    fn rules(&self) -> &[Rule] {
        self.schema.creation_rules.as_deref().unwrap_or_default()
    }

    /// Whether the rules are the same, in the same order and about the same paths.
    fn says_the_same(&self, other: &Self, folder: &Path) -> bool {
        let same = |(one, other): (&Rule, &Rule)| one.says_the_same(other);
        self.prefix_of(folder) == other.prefix_of(folder)
            && self.rules().len() == other.rules().len()
            && self.rules().iter().zip(other.rules()).all(same)
    }

    /// What the paths below a folder begin with when rules are held against them.
    fn prefix_of(&self, folder: &Path) -> String {
        let mut prefix = self.path_for_rules(&folder.join("x"));
        prefix.pop();
        prefix
    }

    fn list_of_rules(&self, folder: &Path) -> Option<List> {
        let patterns = self.rules().iter().map(|rule| rule.pattern.as_deref().unwrap_or_default());
        List::of(patterns, self.prefix_of(folder)).filter(|list| !list.patterns.is_empty())
    }

    fn list_of(&self, folder: &Path, excludes: &[String]) -> List {
        let globs = self.schema.check_exclude.iter().map(|exclude| exclude.glob());
        let globs = excludes.iter().filter_map(|text| globs.clone().find(|glob| glob.glob() == text));
        List { patterns: globs.map(|glob| glob.regex().to_owned()).collect(), prefix: self.prefix_of(folder) }
    }

    /// What the rule at a place says.
    fn policy_at(&self, index: usize) -> Option<Result<Policy>> {
        self.rules().get(index).map(|rule| self.policy(index, rule))
    }
}

impl Rule {
    fn says_the_same(&self, other: &Self) -> bool {
        let specs = |rule: &Self| -> Vec<Vec<_>> {
            rule.key_groups.iter().map(|group| group.iter().map(|key| key.spec.clone()).collect()).collect()
        };
        let place = |rule: &Self| rule.pin.clone().map(|pin| PinSpec { line: 0, ..pin });
        self.pattern == other.pattern
            && self.shamir_threshold == other.shamir_threshold
            && self.selections == other.selections
            && self.mac_only_encrypted == other.mac_only_encrypted
            && place(self) == place(other)
            && specs(self) == specs(other)
    }
}

/// The patterns by which a config has `check` pass files by, and an earlier one does not.
fn added_excludes(today: Option<&Config>, before: Option<&Config>) -> Vec<String> {
    let texts = |config: &Config| -> Vec<String> {
        config.schema.check_exclude.iter().map(|exclude| exclude.glob().glob().to_owned()).collect()
    };
    let before = before.map(texts).unwrap_or_default();
    today.map(texts).unwrap_or_default().into_iter().filter(|text| !before.contains(text)).collect()
}

fn partings(today: Option<&Config>, before: &Config, pairs: &Pairs) -> Result<Vec<Parting>> {
    let pattern =
        |config: &Config, index: usize| config.rules().get(index).and_then(|rule| rule.pattern.clone());
    // A rule for whatever has no other one still is one where some of its paths have no rule with a pattern.
    let is_still_default = |earlier: usize| {
        let mut others = pairs.keys().filter(|pair| pair[0] == Some(earlier)).map(|pair| pair[1]);
        let has_none = |index| today.is_some_and(|today| pattern(today, index).is_none());
        pattern(before, earlier).is_none() && others.any(|index| index.is_some_and(has_none))
    };
    let mut partings = Vec::new();
    for (&[earlier, index], example) in pairs {
        let Some(earlier) = earlier else { continue };
        // One that made no sense said nothing.
        let Some(Ok(then)) = before.policy_at(earlier) else { continue };
        let now = today.zip(index).and_then(|(today, index)| today.policy_at(index)).transpose()?;
        let has_pattern = now.as_ref().is_some_and(|now| now.rule.path_regex.is_some());
        let is_default = has_pattern && is_still_default(earlier);
        let mut weaker = than(&then, now.as_ref());
        if is_default && !then.names_secrets() {
            // It says how to encrypt what has no rule of its own, and this has one now.
            weaker.retain(|weaker| !matches!(weaker, Weaker::Selection { .. }));
        }
        partings.push(Parting {
            before: then,
            today: now,
            example: PathBuf::from(example),
            weaker,
            is_default,
        });
    }
    Ok(partings)
}

/// The rules that say of plaintext that it is a secret, of some of whose paths `check` looks at none any more.
fn passed_by(before: &Config, pairs: &Pairs, excludes: &[String]) -> Vec<Parting> {
    let parting = |(pair, example): (&[Option<usize>; 2], &String)| {
        let &[Some(earlier), Some(exclude)] = pair else { return None };
        let then = before.policy_at(earlier)?.ok().filter(Policy::names_secrets)?;
        let weaker = vec![Weaker::PassedBy { pattern: excludes.get(exclude)?.clone() }];
        Some(Parting {
            before: then,
            today: None,
            example: PathBuf::from(example),
            weaker,
            is_default: false,
        })
    };
    pairs.iter().filter_map(parting).collect()
}

/// What a policy, or none, says less than an earlier one.
pub fn than(before: &Policy, today: Option<&Policy>) -> Vec<Weaker> {
    let Some(today) = today else { return vec![Weaker::NoRule] };
    let mut weaker = Vec::new();
    if before.rule.path_regex.is_some() && !today.names_secrets() {
        weaker.push(Weaker::NoRule);
    }
    weaker.extend(selection(before, today));
    weaker.extend(keys(before, today));
    if today.mac_only_encrypted && !before.mac_only_encrypted {
        weaker.push(Weaker::Mac);
    }
    weaker.extend(pin(before.pin.as_ref(), today.pin.as_ref()));
    weaker
}

impl Policy {
    /// Whether the rule says of plaintext that it is a secret, in files of some type. One that matches every file says how
    /// to encrypt those that are.
    pub fn names_secrets(&self) -> bool {
        self.rule.path_regex.is_some() || self.selection.as_ref().is_some_and(Selection::encrypts_matches)
    }
}

fn selection(before: &Policy, today: &Policy) -> Option<Weaker> {
    if before.selection == today.selection {
        return None;
    }
    let [then, now] = [before, today].map(|policy| policy.selection.clone().unwrap_or_default());
    let example = then.loses(&now);
    let is_weaker = !matches!(example, Ok(None));
    is_weaker.then(|| Weaker::Selection { before: then, today: now, example: example.ok().flatten() })
}

impl Selection {
    /// A key, or a comment, whose value is encrypted by this selection and not by another one.
    fn loses(&self, other: &Self) -> Result<Option<String>, TooMuch> {
        let list = |selection: &Self| List::of([selection.as_regex().as_str()], String::new()).ok_or(TooMuch);
        let [this, that] = [list(self)?, list(other)?];
        // A key of this ending says itself that its value is none to encrypt.
        let is_meant = |text: &str| self.is_comment_rule() || !text.ends_with(Self::DEFAULT_SUFFIX);
        let pairs = apart::pairs([&this, &that], Texts::Any, is_meant)?;
        // What is said of comments is neither so nor otherwise for a key.
        let is_mixed = self.is_comment_rule() != other.is_comment_rule();
        let may = |selection: &Self, matches: bool, encrypted: bool| {
            (is_mixed && selection.is_comment_rule())
                || (matches == selection.encrypts_matches()) == encrypted
        };
        let is_lost = |pair: &[Option<usize>; 2]| {
            may(self, pair[0].is_some(), true) && may(other, pair[1].is_some(), false)
        };
        let lost = pairs.into_iter().filter(|(pair, _)| is_lost(pair)).map(|(_, text)| text);
        Ok(lost.min_by_key(|text| text.chars().count()))
    }

    /// What it matches, as a pattern.
    fn as_regex(&self) -> String {
        use crate::config::SelectionKind::{EncryptedSuffix, UnencryptedSuffix};
        match self.kind() {
            UnencryptedSuffix | EncryptedSuffix => format!("{}$", regex::escape(self.pattern())),
            _ => self.pattern().to_owned(),
        }
    }
}

fn keys(before: &Policy, today: &Policy) -> Vec<Weaker> {
    if before.key_groups.is_empty() {
        return Vec::new();
    }
    if today.key_groups.is_empty() {
        return vec![Weaker::Nobody];
    }
    let mut weaker = Vec::new();
    let needed = |policy: &Policy| {
        let groups = policy.key_groups.len();
        policy.shamir_threshold.map_or(groups, |threshold| threshold.min(groups))
    };
    let [then, now] = [needed(before), needed(today)];
    if now < then {
        weaker.push(Weaker::Threshold { before: then, today: now });
    }
    let (then, now) = (shares(before), shares(today));
    let mut told = HashSet::new();
    let mut added = Vec::new();
    for key in today.key_groups.iter().flatten().filter(|key| told.insert(&key.spec)) {
        match (then.get(&key.spec).copied(), now.get(&key.spec).copied().unwrap_or_default()) {
            (None, _) => added.push(key.clone()),
            (Some(then), now) if now > then => {
                weaker.push(Weaker::Shares { key: key.clone(), before: then, today: now });
            }
            _ => {}
        }
    }
    if !added.is_empty() {
        weaker.push(Weaker::Readers(added));
    }
    weaker
}

/// In how many groups each key is.
fn shares(policy: &Policy) -> HashMap<&KeySpec, usize> {
    let mut shares = HashMap::new();
    for key in policy.key_groups.iter().flatten() {
        *shares.entry(&key.spec).or_default() += 1;
    }
    shares
}

fn pin(before: Option<&PinSpec>, today: Option<&PinSpec>) -> Vec<Weaker> {
    let lost = |part: PinPart| {
        let before = before.and_then(|pin| part.of(pin))?;
        let today = today.and_then(|pin| part.of(pin));
        let is_kept = today.as_ref().is_some_and(|today| part.is_within(today, &before));
        (!is_kept).then_some(Weaker::Pin { part, before, today })
    };
    let is_named = |part: &PinPart| {
        *part != PinPart::Scope || [before, today].into_iter().flatten().any(|pin| pin.scope.is_some())
    };
    [PinPart::Scope, PinPart::Namespace, PinPart::Name]
        .into_iter()
        .filter(is_named)
        .filter_map(lost)
        .collect()
}

impl PinPart {
    /// What is pinned. What is pinned to a namespace or a name has at most the scope that binds it to these.
    fn of(self, pin: &PinSpec) -> Option<String> {
        let bound = match (&pin.name, &pin.namespace) {
            (Some(_), _) => Some("strict"),
            (None, Some(_)) => Some("namespace"),
            (None, None) => None,
        };
        match self {
            Self::Scope => pin.scope.clone().or_else(|| bound.map(str::to_owned)),
            Self::Namespace => pin.namespace.clone(),
            Self::Name => pin.name.clone(),
        }
    }

    /// Whether what is pinned so is bound to no less.
    fn is_within(self, today: &str, before: &str) -> bool {
        let width = |scope: &str| ["strict", "namespace", "cluster"].iter().position(|name| *name == scope);
        match (self, width(today), width(before)) {
            (Self::Scope, Some(today), Some(before)) => today <= before,
            _ => today == before,
        }
    }
}

#[cfg(test)]
mod tests;
