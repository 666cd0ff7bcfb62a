//! Where a config protects less than an earlier one, even for paths that do not exist.
//!
//! Owns the comparison of two configs, rule by rule: for each earlier rule, against what applies to some of its paths
//! today. It makes no findings, and does not know which files exist.

mod destinations;
mod groups;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use globset::GlobMatcher;

use crate::config::apart::{List, Pairs, Searches, Texts, TooMuch};
use crate::config::schema::Rule;
use crate::config::{Config, KeySpec, PinSpec, Policy, RuleKey, Selection};
use crate::error::Result;
use crate::keys::TooMany;

pub use destinations::Rerouted;

/// Something that is less secret, or less tightly bound, than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weaker {
    /// No rule covers these paths, or only one that calls no plaintext a secret.
    NoRule,
    /// `check` leaves them out.
    PassedBy { pattern: String },
    /// Fewer values are encrypted: this one is not; `None` where it is unknown.
    Selection { before: Selection, today: Selection, example: Option<Example> },
    /// Fewer key groups are needed.
    Threshold { before: usize, today: usize },
    /// These readers together are enough now, and were not before; `None` if unknown.
    Together(Option<Vec<RuleKey>>),
    /// The MAC covers only encrypted values.
    Mac,
    /// SealedSecrets may be for other places.
    Pin { part: PinPart, before: String, today: Option<String> },
    /// The rule names nobody.
    Nobody,
    /// These may read future versions.
    Readers(Vec<RuleKey>),
}

/// A value: what of the keys on the way to it and of the comments above them matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Example {
    /// The outermost one comes first.
    pub keys: Vec<String>,
    pub comments: Vec<String>,
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
    /// An audit log was required, and no longer is.
    pub is_without_audit_log: bool,
    /// Files that `publish` sends elsewhere, or for others.
    pub rerouted: Vec<Rerouted>,
    /// Patterns that make `check` leave out files that it did not leave out before.
    pub excludes: Vec<String>,
    /// The configs could not be compared as a whole.
    pub is_too_much: bool,
}

impl Config {
    /// What this config, or none, says less than an earlier one of the files below a folder. What is `outside` of it, below
    /// it, has configs of its own.
    pub fn weakened(
        today: Option<&Self>,
        before: Option<&Self>,
        folder: &Path,
        outside: &BTreeSet<PathBuf>,
        searches: &Searches,
    ) -> Result<Weakened> {
        Sides { today, before, folder, outside, searches }.compared()
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

    /// What the paths below a folder begin with when rules are compared with them.
    fn prefix_of(&self, folder: &Path) -> String {
        let mut prefix = self.path_for_rules(&folder.join("x"));
        prefix.pop();
        prefix
    }

    fn list_of_rules(&self, folder: &Path) -> Result<List, TooMuch> {
        let patterns = self.rules().iter().map(|rule| rule.pattern.as_deref().unwrap_or_default());
        List::of(patterns, self.prefix_of(folder)).ok_or(TooMuch)
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

/// Two configs, and the folder for which they are compared.
struct Sides<'c> {
    today: Option<&'c Config>,
    before: Option<&'c Config>,
    folder: &'c Path,
    outside: &'c BTreeSet<PathBuf>,
    searches: &'c Searches,
}

impl<'c> Sides<'c> {
    fn compared(&self) -> Result<Weakened> {
        let audits = |config: Option<&Config>| config.is_some_and(|config| config.schema.audit);
        let is_without_audit_log = audits(self.before) && !audits(self.today);
        let weakened = Weakened { is_without_audit_log, new: self.first_rules(), ..Weakened::default() };
        let added = self.added_excludes();
        let compared = || Ok::<_, TooMuch>((self.by_rules()?, self.by_excludes(&added)?, self.rerouted()?));
        let Ok((by_rules, by_excludes, rerouted)) = compared() else {
            return Ok(Weakened {
                is_too_much: true,
                excludes: added.iter().map(text).collect(),
                ..weakened
            });
        };
        let mut weakened = Weakened { rerouted, ..weakened };
        let new = by_rules.keys().filter(|pair| pair[0].is_none());
        weakened.new.extend(new.filter_map(|pair| self.today?.policy_at(pair[1]?)?.ok()));
        weakened.partings = self.partings(&by_rules)?;
        self.passed_by(&added, &by_excludes, &mut weakened);
        Ok(weakened)
    }

    /// The rules of today, if there was none before.
    fn first_rules(&self) -> Vec<Policy> {
        match self.before.is_some_and(|before| !before.rules().is_empty()) {
            true => Vec::new(),
            false => self.today.map(Config::policies).unwrap_or_default().into_iter().flatten().collect(),
        }
    }

    /// The earlier rule and the one of today that paths have; none where the rules are the same.
    fn by_rules(&self) -> Result<Rc<Pairs>, TooMuch> {
        let Some(before) = self.before.filter(|before| !before.rules().is_empty()) else {
            return Ok(Rc::default());
        };
        if self.today.is_some_and(|today| today.says_the_same(before, self.folder)) {
            return Ok(Rc::default());
        }
        let earlier = before.list_of_rules(self.folder)?;
        let todays = self.today.map_or(Ok(List::default()), |today| today.list_of_rules(self.folder))?;
        self.search([&earlier, &todays])
    }

    /// What was first of earlier excludes and, after them, of earlier rules, and what is of those that were added.
    fn by_excludes(&self, added: &[&GlobMatcher]) -> Result<Rc<Pairs>, TooMuch> {
        let Some(today) = self.today.filter(|_| !added.is_empty()) else { return Ok(Rc::default()) };
        let list = |excludes: Vec<&GlobMatcher>, config: &Config| List {
            patterns: excludes.iter().map(|exclude| exclude.glob().regex().to_owned()).collect(),
            prefix: config.prefix_of(self.folder),
        };
        let mut earlier = List::default();
        if let Some(before) = self.before {
            earlier = list(before.schema.check_exclude.iter().collect(), before);
            earlier.patterns.extend(before.list_of_rules(self.folder)?.patterns);
        }
        self.search([&earlier, &list(added.to_vec(), today)])
    }

    fn search(&self, lists: [&List; 2]) -> Result<Rc<Pairs>, TooMuch> {
        self.searches.pairs(lists, Texts::Paths { outside: self.outside.clone() })
    }

    /// The patterns by which the config of today has `check` pass files by, and the earlier one does not have them. The same
    /// text in a config of another folder is about other files.
    fn added_excludes(&self) -> Vec<&'c GlobMatcher> {
        let Some(today) = self.today else { return Vec::new() };
        let before = self
            .before
            .filter(|before| before.prefix_of(self.folder) == today.prefix_of(self.folder))
            .map_or(&[][..], |before| &before.schema.check_exclude);
        let known: HashSet<&str> = before.iter().map(|exclude| exclude.glob().glob()).collect();
        today.schema.check_exclude.iter().filter(|exclude| !known.contains(exclude.glob().glob())).collect()
    }

    /// Adds what `check` skips now, and did not: excludes, and the earlier rules that say of some of it that it is
    /// secret.
    fn passed_by(&self, added: &[&GlobMatcher], pairs: &Pairs, weakened: &mut Weakened) {
        let excludes_before = self.before.map_or(0, |before| before.schema.check_exclude.len());
        let mut hiding = BTreeSet::new();
        for (&[earlier, exclude], example) in pairs {
            let Some(exclude) = exclude.filter(|_| earlier.is_none_or(|at| at >= excludes_before)) else {
                continue;
            };
            hiding.insert(exclude);
            let then = earlier.and_then(|at| self.before?.policy_at(at - excludes_before)?.ok());
            let Some(then) = then.filter(Policy::names_secrets) else { continue };
            weakened.partings.push(Parting {
                before: then,
                today: None,
                example: PathBuf::from(example),
                weaker: vec![Weaker::PassedBy { pattern: text(&added[exclude]) }],
                is_default: false,
            });
        }
        weakened.excludes = hiding.into_iter().map(|at| text(&added[at])).collect();
    }

    fn partings(&self, pairs: &Pairs) -> Result<Vec<Parting>> {
        let Some(before) = self.before else { return Ok(Vec::new()) };
        let pattern =
            |config: &Config, index: usize| config.rules().get(index).and_then(|rule| rule.pattern.clone());
        // A rule for whatever has no other one still is one where some of its paths have no rule with a pattern.
        let is_still_default = |earlier: usize| {
            let mut others = pairs.keys().filter(|pair| pair[0] == Some(earlier)).map(|pair| pair[1]);
            let has_none = |index| self.today.is_some_and(|today| pattern(today, index).is_none());
            pattern(before, earlier).is_none() && others.any(|index| index.is_some_and(has_none))
        };
        let mut partings = Vec::new();
        for (&[earlier, index], example) in pairs {
            let Some(earlier) = earlier else { continue };
            // A config that made no sense counts as saying nothing.
            let Some(Ok(then)) = before.policy_at(earlier) else { continue };
            let now = self.today.zip(index).and_then(|(today, index)| today.policy_at(index)).transpose()?;
            let has_pattern = now.as_ref().is_some_and(|now| now.rule.path_regex.is_some());
            partings.push(Parting {
                weaker: than(&then, now.as_ref(), self.searches),
                is_default: has_pattern && is_still_default(earlier),
                before: then,
                today: now,
                example: PathBuf::from(example),
            });
        }
        Ok(partings)
    }
}

fn text(exclude: &&GlobMatcher) -> String {
    exclude.glob().glob().to_owned()
}

/// What a policy, or none, says less than an earlier one.
pub fn than(before: &Policy, today: Option<&Policy>, searches: &Searches) -> Vec<Weaker> {
    let Some(today) = today else { return vec![Weaker::NoRule] };
    let mut weaker = Vec::new();
    if is_without_rule(before, Some(today)) {
        weaker.push(Weaker::NoRule);
    }
    weaker.extend(selection(before, today, searches));
    weaker.extend(keys(before, today));
    if today.mac_only_encrypted && !before.mac_only_encrypted {
        weaker.push(Weaker::Mac);
    }
    weaker.extend(pin(before.pin.as_ref(), today.pin.as_ref()));
    weaker
}

/// Whether no rule, or none that calls plaintext secret, is for what an earlier one was for.
pub fn is_without_rule(before: &Policy, today: Option<&Policy>) -> bool {
    today.is_none_or(|today| before.names_secrets() && !today.names_secrets())
}

impl Policy {
    /// Whether the rule says of plaintext that it is a secret, in files of some type. One that matches every file says how
    /// to encrypt those that are.
    pub fn names_secrets(&self) -> bool {
        self.rule.path_regex.is_some() || self.selection.as_ref().is_some_and(Selection::encrypts_matches)
    }
}

fn selection(before: &Policy, today: &Policy, searches: &Searches) -> Option<Weaker> {
    if before.selection == today.selection {
        return None;
    }
    let [then, now] = [before, today].map(|policy| policy.selection.clone().unwrap_or_default());
    let example = then.loses(&now, searches);
    let is_weaker = !matches!(example, Ok(None));
    is_weaker.then(|| Weaker::Selection { before: then, today: now, example: example.ok().flatten() })
}

impl Selection {
    /// A value that is encrypted by this selection and not by another one.
    ///
    /// Each looks at all keys on the way to a value, or at all comments above it, and one that matches is enough. So where
    /// this one encrypts what matches, and the other leaves what matches in plaintext, any two keys lose a value.
    fn loses(&self, other: &Self, searches: &Searches) -> Result<Option<Example>, TooMuch> {
        if self.is_comment_rule() != other.is_comment_rule() {
            let [hidden, shown] = [self.example(true, searches)?, other.example(false, searches)?];
            return Ok(hidden.zip(shown).map(|(hidden, shown)| shown.above(hidden)));
        }
        let found = self.texts([self, other], searches)?;
        let text = |ours: bool, theirs: bool| found.get(&[ours, theirs].map(|is| is.then_some(0))).cloned();
        let alone = |text: Option<String>| text.map(|text| self.example_of(Some(text)));
        Ok(match (self.encrypts_matches(), other.encrypts_matches()) {
            (true, true) => alone(text(true, false)),
            (false, false) => alone(text(false, true)),
            (false, true) if self.is_comment_rule() => Some(Example::default()),
            (false, true) => alone(text(false, false)),
            (true, false) => alone(text(true, true))
                .or_else(|| Some(alone(text(false, true))?.above(alone(text(true, false))?))),
        })
    }

    /// A value that this selection encrypts, or does not.
    fn example(&self, is_encrypted: bool, searches: &Searches) -> Result<Option<Example>, TooMuch> {
        let matches = is_encrypted == self.encrypts_matches();
        if self.is_comment_rule() && !matches {
            return Ok(Some(self.example_of(None)));
        }
        let found = self.texts([self, self], searches)?;
        Ok(found.get(&[matches.then_some(0); 2]).map(|text| self.example_of(Some(text.clone()))))
    }

    fn example_of(&self, text: Option<String>) -> Example {
        let texts = text.into_iter().collect();
        match self.is_comment_rule() {
            true => Example { comments: texts, ..Example::default() },
            false => Example { keys: texts, ..Example::default() },
        }
    }

    /// Keys, or comments, by which of two selections match them.
    fn texts(&self, both: [&Self; 2], searches: &Searches) -> Result<Rc<Pairs>, TooMuch> {
        let list = |selection: &Self| List::of([selection.as_regex().as_str()], String::new()).ok_or(TooMuch);
        let texts = match self.is_comment_rule() {
            true => Texts::Comments,
            // A key with this ending says itself that its value stays in plaintext.
            false => Texts::Keys { without: Self::DEFAULT_SUFFIX },
        };
        searches.pairs([&list(both[0])?, &list(both[1])?], texts)
    }

    /// The pattern that it matches.
    fn as_regex(&self) -> String {
        use crate::config::SelectionKind::{EncryptedSuffix, UnencryptedSuffix};
        match self.kind() {
            UnencryptedSuffix | EncryptedSuffix => format!("{}$", regex::escape(self.pattern())),
            _ => self.pattern().to_owned(),
        }
    }
}

impl Example {
    /// A value under these keys and comments, and below them under those of another one.
    fn above(mut self, below: Self) -> Self {
        self.keys.extend(below.keys);
        self.comments.extend(below.comments);
        self
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
    let [then, now] = [before, today].map(groups::needed);
    if now < then {
        weaker.push(Weaker::Threshold { before: then, today: now });
    } else {
        match groups::enough(before, today) {
            Ok(None) => {}
            Ok(readers) => weaker.push(Weaker::Together(readers)),
            Err(TooMany) => weaker.push(Weaker::Together(None)),
        }
    }
    let mut known: HashSet<&KeySpec> = before.key_groups.iter().flatten().map(|key| &key.spec).collect();
    let added = today.key_groups.iter().flatten().filter(|key| known.insert(&key.spec));
    let added: Vec<RuleKey> = added.cloned().collect();
    if !added.is_empty() {
        weaker.push(Weaker::Readers(added));
    }
    weaker
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

    /// Whether such a pin is at least as strict.
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
