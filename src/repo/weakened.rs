//! What the configs of today say less than those of an earlier commit, whether a file shows it or not.
//!
//! Owns which of it is refused and which is only told, and the words. Refused is what leaves values to come less secret, or
//! less bound, than the rules said. Told is what is done every day and somebody has to look at: readers who are added, a rule
//! of its own for some of the files of a rule for all, a rule that goes along with its files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{self, Config, Configs, Parting, PinPart, Policy, RuleKey, Selection, Weaker, is_config};
use crate::error::Result;
use crate::policy;
use crate::repo::before::Before;
use crate::repo::check::{Finding, Rule};
use crate::repo::git::tree::Tree;

impl Before {
    /// What is wrong with the configs of today, each with its path. `now` is what Git has of today's files.
    pub fn weakened(&self, today: &Configs, now: &Tree) -> Vec<(PathBuf, Result<Finding>)> {
        let regions = self.regions();
        let mut found = Vec::new();
        for folder in &regions {
            let inner: Vec<&Path> = regions
                .iter()
                .filter(|other| *other != folder)
                .filter_map(|other| other.strip_prefix(folder).ok())
                .collect();
            let comparison = Comparison { before: self, today, now, folder, inner: &inner };
            found.extend(comparison.run());
        }
        let mut told = BTreeSet::new();
        // What is said of a rule is said once, in however many folders it counts.
        found.retain(|(path, finding)| match finding {
            Ok(finding) => told.insert((path.clone(), finding.rule, finding.message.clone())),
            Err(_) => true,
        });
        found
    }

    /// The folders whose files may be under other configs now, each without those below it.
    fn regions(&self) -> BTreeSet<PathBuf> {
        if self.is_explicit {
            return BTreeSet::from([PathBuf::new()]);
        }
        let configs = self.tree.iter().map(|(path, _)| path).filter(|path| is_config(path));
        let folders = configs.filter_map(|path| path.parent().map(Path::to_path_buf));
        let is_of_change = |folder: &PathBuf| folder.ancestors().any(|above| self.folders.contains(above));
        folders.filter(is_of_change).chain(self.folders.iter().cloned()).collect()
    }
}

/// The files below a folder, by their configs before and today.
struct Comparison<'c> {
    before: &'c Before,
    today: &'c Configs,
    now: &'c Tree,
    folder: &'c Path,
    /// What is below it and has configs of its own.
    inner: &'c [&'c Path],
}

impl Comparison<'_> {
    fn run(&self) -> Vec<(PathBuf, Result<Finding>)> {
        let folder = self.before.top.join(self.folder);
        let file = folder.join("file");
        // A config that made no sense said nothing.
        let before = self.before.configs.config_for(&file).ok().flatten();
        let today = match self.today.config_for(&file) {
            Ok(today) => today,
            Err(error) => return vec![(file, Err(error))],
        };
        let is_here = |path: &Path| !self.inner.iter().any(|inner| path.starts_with(inner));
        let place = today.as_deref().or(before.as_deref()).map(Config::path).unwrap_or(&file).to_path_buf();
        let weakened = match Config::weakened(today.as_deref(), before.as_deref(), &folder, is_here) {
            Ok(weakened) => weakened,
            Err(error) => return vec![(place, Err(error))],
        };
        let mut found = Vec::new();
        let commit = &self.before.commit;
        if weakened.is_too_much {
            let message = format!(
                "its rules, or those in commit {commit}, are too many or too large to compare: nobody can tell what they say \
                 less of files that are not there yet"
            );
            found.push(Finding { line: 1, rule: Rule::Weakened, message });
        }
        let mut excludes: BTreeSet<&String> = weakened.excludes.iter().collect();
        for parting in &weakened.partings {
            for weaker in &parting.weaker {
                if let Weaker::PassedBy { pattern } = weaker {
                    excludes.remove(pattern);
                }
                let Some(rule) = self.rule_of(parting, weaker, today.as_deref()) else { continue };
                let line = parting.today.as_ref().map_or(1, |today| today.rule.line);
                let message = self.message(parting, weaker, today.as_deref());
                found.push(Finding { line, rule, message });
            }
        }
        found.extend(excludes.into_iter().map(|pattern| Finding {
            line: 1,
            rule: Rule::ConfigChange,
            message: format!("`check` passes by `{pattern}` (`exclude`), and did not in commit {commit}"),
        }));
        found.into_iter().map(|finding| (place.clone(), Ok(finding))).collect()
    }

    /// As what it is reported; `None` for what is no difference to anybody.
    fn rule_of(&self, parting: &Parting, weaker: &Weaker, today: Option<&Config>) -> Option<Rule> {
        Some(match weaker {
            Weaker::Readers(_) => Rule::ConfigChange,
            Weaker::NoRule => return self.rule_of_none(parting, today),
            _ if parting.is_default => Rule::ConfigChange,
            // What Secrets have anyway is spelled out.
            Weaker::Selection { today, .. }
                if *today == Selection::kubernetes() && parting.before.selection.is_none() =>
            {
                Rule::ConfigChange
            }
            _ => Rule::Weakened,
        })
    }

    /// A rule is gone, of all of its paths or of some. Files show whether it was moved, or went along with them.
    fn rule_of_none(&self, parting: &Parting, today: Option<&Config>) -> Option<Rule> {
        let is_moved = self.is_moved(&parting.before, today);
        if parting.before.rule.path_regex.is_none() {
            return Some(if is_moved { Rule::ConfigChange } else { Rule::Weakened });
        }
        let is_under = |path: &Path| {
            let policy = self.before.configs.matching_policy(&self.before.top.join(path)).ok().flatten();
            policy.is_some_and(|policy| policy.rule == parting.before.rule)
        };
        let has_none = |path: &Path| {
            let policy = self.today.matching_policy(&self.before.top.join(path)).ok().flatten();
            config::than(&parting.before, policy.as_ref()).contains(&Weaker::NoRule)
        };
        let files = |tree: &Tree, is_one: &dyn Fn(&Path) -> bool| {
            tree.at_or_below(self.folder).any(|(path, _)| !is_config(path) && is_one(path))
        };
        let had_files = files(&self.before.tree, &is_under);
        let lost_files = files(self.now, &|path| is_under(path) && has_none(path));
        match (lost_files, had_files, is_moved) {
            (true, ..) | (false, false, false) => Some(Rule::Weakened),
            (false, true, false) | (false, false, true) => Some(Rule::ConfigChange),
            (false, true, true) => None,
        }
    }

    /// Whether there is a new rule that says as much as one that is gone.
    fn is_moved(&self, gone: &Policy, today: Option<&Config>) -> bool {
        let before = self.before.configs.config_for(&gone.rule.file).ok().flatten();
        let earlier: BTreeSet<Option<String>> = before
            .iter()
            .flat_map(|config| config.policies())
            .flatten()
            .map(|policy| policy.rule.path_regex)
            .collect();
        let is_new = |policy: &Policy| {
            !earlier.contains(&policy.rule.path_regex) || policy.rule.file.parent() != gone.rule.file.parent()
        };
        let inner = self.inner.iter().filter_map(|inner| {
            self.today.config_for(&self.before.top.join(self.folder).join(inner).join("file")).ok().flatten()
        });
        let of_inner: Vec<Policy> = inner.flat_map(|config| config.policies()).flatten().collect();
        let of_today = today.map(Config::policies).unwrap_or_default().into_iter().flatten();
        of_today.chain(of_inner).any(|policy| is_new(&policy) && config::than(gone, Some(&policy)).is_empty())
    }

    fn message(&self, parting: &Parting, weaker: &Weaker, config: Option<&Config>) -> String {
        let file = self.folder.join(&parting.example);
        let file = file.display();
        let rule = &parting.before.rule;
        let name = rule.file.strip_prefix(&self.before.top).unwrap_or(&rule.file);
        let then = format!("{}:{} in commit {}", name.display(), rule.line, self.before.commit);
        match weaker {
            Weaker::NoRule if parting.today.is_some() => format!(
                "of files such as `{file}` only a rule without a path_regex speaks now, which calls no plaintext a secret, and {then} does"
            ),
            Weaker::NoRule => format!("no rule is for files such as `{file}` any more, and {then} is"),
            Weaker::PassedBy { pattern } => format!(
                "`check` passes by files such as `{file}` (`exclude: {pattern}`), and {then} says that they are secret"
            ),
            Weaker::Selection { before, today, example: Some(example) } => {
                let value = match before.is_comment_rule() && today.is_comment_rule() {
                    true => format!("the value with a comment such as `{example}`"),
                    false => format!("the value of a key such as `{example}`"),
                };
                format!(
                    "{value} is not encrypted any more in files such as `{file}` (`{today}`), and by {then} it is (`{before}`)"
                )
            }
            Weaker::Selection { before, today, example: None } => format!(
                "nobody can tell whether `{today}` encrypts as much in files such as `{file}` as `{before}` of {then}: it is \
                 too large to compare"
            ),
            Weaker::Threshold { before, today } => {
                format!(
                    "key groups that are needed for files such as `{file}`: {today}, and by {then} {before}"
                )
            }
            Weaker::Shares { key, before, today } => format!(
                "{} is in {today} key groups of files such as `{file}`, and by {then} in {before}",
                named(key, config)
            ),
            Weaker::Mac => format!(
                "the MAC of files such as `{file}` covers encrypted values alone (`mac_only_encrypted`), and by {then} all"
            ),
            Weaker::Pin { part, before, today: None } => format!(
                "SealedSecrets in files such as `{file}` are not pinned to the {} `{before}` any more, as they are by {then}",
                word(*part)
            ),
            Weaker::Pin { part, before, today: Some(today) } => format!(
                "SealedSecrets in files such as `{file}` are pinned to the {} `{today}`, and by {then} to `{before}`",
                word(*part)
            ),
            Weaker::Nobody => {
                format!("nobody is named who may read files such as `{file}`, and in {then} somebody is")
            }
            Weaker::Readers(keys) => {
                let keys: Vec<String> = keys.iter().map(|key| named(key, config)).collect();
                format!(
                    "files such as `{file}` are for these, too: {}; {then} does not name them",
                    keys.join(", ")
                )
            }
        }
    }
}

fn word(part: PinPart) -> &'static str {
    match part {
        PinPart::Scope => "scope",
        PinPart::Namespace => "namespace",
        PinPart::Name => "name",
    }
}

/// A reader, and what people call them: that is a claim, so the whole key is there.
fn named(key: &RuleKey, config: Option<&Config>) -> String {
    let Ok(key) = policy::master_key(&key.spec).map(|key| key.to_string()) else {
        return "a key that cannot be read".to_owned();
    };
    match config.and_then(|config| config.recipient_name(&key)) {
        Some(name) => format!("{key} ({name})"),
        None => key,
    }
}
