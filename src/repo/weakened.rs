//! Where today's configs protect less than those of an earlier commit, whether a file shows it or not.
//!
//! Owns which of it is refused and which is only told, and the words. Refused is what leaves values to come less secret, or
//! less bound, than the rules said. Told is what is done every day and somebody has to look at: readers who are added, a rule
//! of its own for some of the files of a rule for all, a rule that goes along with its files.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeSet, HashMap, HashSet, btree_set};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{
    self, Config, Configs, Example, Parting, PinPart, Policy, Rerouted, RuleKey, Searches, Weakened, Weaker,
    is_config,
};
use crate::error::{Error, Result};
use crate::names::Names;
use crate::policy;
use crate::repo::before::Before;
use crate::repo::check::{Finding, Rule};
use crate::repo::git::tree::Tree;

impl Before {
    /// What is wrong with the configs of today, each with its path. `now` is what Git has of today's files.
    pub fn weakened(&self, today: &Configs, now: &Tree) -> Vec<(PathBuf, Result<Finding>)> {
        let (regions, searches) = (self.regions(), Searches::default());
        let (mut comparisons, mut found) = (Vec::new(), Vec::new());
        let inner = inner(&regions);
        let files = Files { before: self, today, now, left: Cell::new(MOST_LOOKED_AT) };
        for folder in &regions {
            match Comparison::of(self, today, folder, &inner[folder], &searches, &files) {
                Ok(comparison) => comparisons.push(comparison),
                Err((config, error)) => found.push((config, Err(error))),
            }
        }
        found.extend(self.out_of_sight(&regions));
        // A rule may be moved from one config to another.
        let new: Vec<&Policy> = comparisons.iter().flat_map(|comparison| &comparison.weakened.new).collect();
        let traces = OnceCell::new();
        let traces = || traces.get_or_init(|| self.traces(today, now, &regions));
        found.extend(comparisons.iter().flat_map(|comparison| comparison.findings(&new, &traces)));
        let mut told = BTreeSet::new();
        // What is said of a rule is said once, in however many folders it counts.
        found.retain(|(path, finding)| match finding {
            Ok(finding) => told.insert((path.clone(), finding.rule, finding.message.clone())),
            Err(_) => true,
        });
        found
    }

    /// Configs in submodules: which commit of these counts has changed, and nothing here says what that does to the rules.
    fn out_of_sight(&self, regions: &BTreeSet<PathBuf>) -> Vec<(PathBuf, Result<Finding>)> {
        let is_in_region = |config: &Path| config.parent().is_some_and(|folder| regions.contains(folder));
        let changed = self.in_submodules.iter().filter(|(config, _)| is_in_region(config));
        changed
            .map(|(config, submodule)| {
                let message = format!(
                    "in commit {} it leads into the submodule `{}`, so it is unknown what its rules said; compare them \
                     there",
                    self.commit,
                    submodule.display()
                );
                (self.top.join(config), Ok(Finding::new(1, Rule::ConfigChange, message)))
            })
            .collect()
    }

    /// What became of the files of earlier rules, region by region: each file is looked at once, and counts in all regions
    /// that it is in.
    fn traces(&self, today: &Configs, now: &Tree, regions: &BTreeSet<PathBuf>) -> HashMap<PathBuf, Traces> {
        let policy =
            |configs: &Configs, path: &Path| configs.matching_policy(&self.top.join(path)).ok().flatten();
        let mut traces: HashMap<PathBuf, Traces> = HashMap::new();
        for (tree, is_now) in [(&self.names, false), (now, true)] {
            let mut within = Within::of(regions);
            for file in tree.iter().map(|(path, _)| path) {
                let Some(region) = within.at(file).filter(|_| !is_config(file)) else { continue };
                let Some(earlier) = policy(&self.configs, file) else { continue };
                let rule = (earlier.rule.file.clone(), earlier.rule.index);
                let trace = traces.entry(region.clone()).or_default().entry(rule).or_default();
                match is_now {
                    true => {
                        trace.has = true;
                        trace.lost |= config::is_without_rule(&earlier, policy(today, file).as_ref());
                    }
                    false => trace.had = true,
                }
            }
        }
        for (region, above) in with_above(regions).rev() {
            let Some((above, inner)) = above.zip(traces.get(region).cloned()) else { continue };
            let outer = traces.entry(above.clone()).or_default();
            inner.into_iter().for_each(|(rule, trace)| outer.entry(rule).or_default().add(&trace));
        }
        traces
    }

    /// The folders whose files may be under other configs now, each without those below it.
    fn regions(&self) -> BTreeSet<PathBuf> {
        if self.is_explicit {
            return BTreeSet::from([PathBuf::new()]);
        }
        let configs = self.names.iter().map(|(path, _)| path).filter(|path| is_config(path));
        let folders = configs.filter_map(|path| path.parent().map(Path::to_path_buf));
        let is_of_change = |folder: &PathBuf| folder.ancestors().any(|above| self.folders.contains(above));
        folders.filter(is_of_change).chain(self.folders.iter().cloned()).collect()
    }
}

/// The files below a folder, by their configs before and today.
struct Comparison<'c> {
    before: &'c Before,
    folder: &'c Path,
    earlier: Option<Arc<Config>>,
    config: Option<Arc<Config>>,
    /// The config that findings are about.
    place: PathBuf,
    weakened: Weakened,
    searches: &'c Searches,
    files: &'c Files<'c>,
}

/// How many files are looked at, in all, for one that people know.
const MOST_LOOKED_AT: usize = 20_000;

/// The files that there are.
struct Files<'c> {
    before: &'c Before,
    today: &'c Configs,
    now: &'c Tree,
    /// How many may still be looked at: a config may have a thousand rules.
    left: Cell<usize>,
}

impl Files<'_> {
    /// A file below a folder that has these rules, before and today.
    fn with_rules(&self, folder: &Path, before: &Policy, today: Option<&Policy>) -> Option<&Path> {
        let rule = |policy: Result<Option<Policy>>| policy.ok().flatten().map(|policy| policy.rule);
        let is_one = |path: &Path| {
            let file = self.before.top.join(path);
            rule(self.today.matching_policy(&file)).as_ref() == today.map(|policy| &policy.rule)
                && rule(self.before.configs.matching_policy(&file)).as_ref() == Some(&before.rule)
        };
        let mut files =
            self.now.iter().map(|(path, _)| path.as_path()).filter(|path| path.starts_with(folder));
        files.find(|path| {
            let left = self.left.get();
            self.left.set(left.saturating_sub(1));
            left > 0 && !is_config(path) && is_one(path)
        })
    }
}

/// What became of the files of an earlier rule.
#[derive(Clone, Default)]
struct Trace {
    /// There were some.
    had: bool,
    /// There are some in its place.
    has: bool,
    /// For some of those there is no rule.
    lost: bool,
}

impl Trace {
    fn add(&mut self, other: &Self) {
        self.had |= other.had;
        self.has |= other.has;
        self.lost |= other.lost;
    }
}

/// Says of paths that come in their order in which region they are.
struct Within<'r> {
    next: Peekable<btree_set::Iter<'r, PathBuf>>,
    /// The regions that the last path was in, the innermost one last.
    open: Vec<&'r PathBuf>,
}

impl<'r> Within<'r> {
    fn of(regions: &'r BTreeSet<PathBuf>) -> Self {
        Self { next: regions.iter().peekable(), open: Vec::new() }
    }

    /// The innermost region.
    fn at(&mut self, path: &Path) -> Option<&'r PathBuf> {
        while let Some(region) = self.next.next_if(|region| region.as_path() <= path) {
            self.close(region);
            self.open.push(region);
        }
        self.close(path);
        self.open.last().copied()
    }

    fn close(&mut self, path: &Path) {
        while self.open.pop_if(|open| !path.starts_with(open)).is_some() {}
    }
}

/// Each region with the one around it, in their order.
fn with_above(regions: &BTreeSet<PathBuf>) -> impl DoubleEndedIterator<Item = (&PathBuf, Option<&PathBuf>)> {
    let mut within = Within::of(regions);
    let mut found = Vec::new();
    for region in regions {
        within.at(region);
        found.push((region, within.open.iter().rev().nth(1).copied()));
    }
    found.into_iter()
}

/// Those right below each region, as paths from there.
fn inner(regions: &BTreeSet<PathBuf>) -> HashMap<&PathBuf, BTreeSet<PathBuf>> {
    let mut inner: HashMap<_, _> = regions.iter().map(|region| (region, BTreeSet::new())).collect();
    for (region, above) in with_above(regions) {
        let Some((above, rest)) = above.and_then(|above| Some((above, region.strip_prefix(above).ok()?)))
        else {
            continue;
        };
        inner.entry(above).or_default().insert(rest.to_path_buf());
    }
    inner
}

/// By the config of the rule, and its number there.
type Traces = HashMap<(PathBuf, usize), Trace>;

impl<'c> Comparison<'c> {
    fn of(
        before: &'c Before,
        today: &'c Configs,
        folder: &'c Path,
        inner: &BTreeSet<PathBuf>,
        searches: &'c Searches,
        files: &'c Files<'c>,
    ) -> Result<Self, (PathBuf, Error)> {
        let path = before.top.join(folder);
        let file = path.join("file");
        // A config that made no sense said nothing.
        let earlier = before.configs.config_for(&file).ok().flatten();
        let config = today.config_for(&file).map_err(|error| (file.clone(), error))?;
        let place = config.as_ref().or(earlier.as_ref()).map_or(&*file, |config| config.path()).to_path_buf();
        let weakened = Config::weakened(config.as_deref(), earlier.as_deref(), &path, inner, searches);
        let weakened = weakened.map_err(|error| (place.clone(), error))?;
        Ok(Self { before, folder, earlier, config, place, weakened, searches, files })
    }

    fn findings<'t>(
        &self,
        new: &[&Policy],
        traces: &dyn Fn() -> &'t HashMap<PathBuf, Traces>,
    ) -> Vec<(PathBuf, Result<Finding>)> {
        let (weakened, commit) = (&self.weakened, &self.before.commit);
        let of_all = |rule, message: String| Finding::new(1, rule, message);
        let mut found = Vec::new();
        if weakened.is_too_much {
            found.push(of_all(Rule::Weakened, format!(
                "its rules, or those in commit {commit}, are too many or too large to compare, so it is unknown \
                 whether they protect less in files that do not exist yet"
            )));
        }
        if weakened.is_without_audit_log {
            let message =
                format!("an audit log is no longer required (`audit`), as it was in commit {commit}");
            found.push(of_all(Rule::Weakened, message));
        }
        found.extend(self.renamed().map(|message| of_all(Rule::Renamed, message)));
        found.extend(self.newly_named().into_iter().map(|message| of_all(Rule::ConfigChange, message)));
        found.extend(weakened.rerouted.iter().flat_map(|rerouted| self.rerouted(rerouted)));
        let mut excludes: BTreeSet<&String> = weakened.excludes.iter().collect();
        for parting in &weakened.partings {
            for weaker in &parting.weaker {
                if let Weaker::PassedBy { pattern } = weaker {
                    excludes.remove(pattern);
                }
                let Some(rule) = self.rule_of(parting, weaker, new, traces) else { continue };
                let of_rule = || parting.today.as_ref().map_or(1, |today| today.rule.line);
                let line = match weaker {
                    Weaker::Readers(keys) => keys.first().map_or_else(of_rule, |key| key.line),
                    _ => of_rule(),
                };
                found.push(Finding::new(line, rule, self.message(parting, weaker)));
            }
        }
        found.extend(excludes.into_iter().map(|pattern| {
            let message =
                format!("`check` skips `{pattern}` (`exclude`), which it did not in commit {commit}");
            of_all(Rule::ConfigChange, message)
        }));
        found.into_iter().map(|finding| (self.place.clone(), Ok(finding))).collect()
    }

    /// Where `publish` sends files now, and how they get there less protected.
    fn rerouted(&self, rerouted: &Rerouted) -> Vec<Finding> {
        let Rerouted { before, today, line, example, weaker } = rerouted;
        let commit = &self.before.commit;
        let file = self.folder.join(example);
        let file = file.display();
        let mut found = Vec::new();
        if before.as_ref() != Some(today) {
            let how = if today.takes_plaintext() { ", decrypted" } else { "" };
            let then = match before {
                Some(before) => format!("in commit {commit} to {before}"),
                None => format!("in commit {commit} nowhere"),
            };
            found.push(Finding::new(*line, Rule::ConfigChange, format!(
                "`sealant publish` sends files such as `{file}` to {today}{how}; {then} (`destination_rules`)"
            )));
        }
        let config = self.config.as_deref();
        found.extend(weaker.iter().map(|weaker| match weaker {
            Weaker::Readers(keys) => Finding::new(*line, Rule::ConfigChange, format!(
                "what `sealant publish` sends of files such as `{file}` is encrypted for these, too: {} \
                 (`recreation_rule`)",
                all_named(keys, config)
            )),
            Weaker::Selection { today, example: Some(example), .. } => Finding::new(*line, Rule::Weakened, format!(
                "{} is sent in plaintext by `sealant publish`, of files such as `{file}` (`recreation_rule: {today}`)",
                value(example)
            )),
            _ => Finding::new(*line, Rule::Weakened, format!(
                "what `sealant publish` sends of files such as `{file}` is protected less than in commit {commit}: \
                 its key groups, its MAC, or which values are encrypted (`recreation_rule`)"
            )),
        }));
        found
    }

    /// Names that were another key's.
    fn renamed(&self) -> impl Iterator<Item = String> {
        let names = self.config.iter().flat_map(|config| config.names().iter());
        names.filter_map(|(key, name)| {
            let before = self.earlier.as_ref()?.names().key_called(name).filter(|before| *before != key)?;
            let commit = &self.before.commit;
            Some(format!(
                "`{name}` is now the name of {key}, and in commit {commit} it was the name of {before}"
            ))
        })
    }

    /// New names of keys that no rule has: whoever types one after `--age` encrypts for that key. Those of rules are reported with
    /// their readers.
    fn newly_named(&self) -> Vec<String> {
        let (Some(config), Some(earlier)) = (&self.config, &self.earlier) else { return Vec::new() };
        let sets =
            config.policies().into_iter().flatten().filter_map(|policy| policy::key_set(&policy).ok()?);
        let ruled: HashSet<String> =
            sets.flat_map(|keys| keys.groups.into_iter().flatten().map(|key| key.id().to_owned())).collect();
        let is_new =
            |(key, name): &(&str, &str)| earlier.names().key_called(name).is_none() && !ruled.contains(*key);
        let message = |(key, name)| format!("`{name}` is a new name, of a key that no rule has: {key}");
        config.names().iter().filter(is_new).map(message).collect()
    }

    /// As what it is reported; `None` for what is no difference to anybody.
    fn rule_of<'t>(
        &self,
        parting: &Parting,
        weaker: &Weaker,
        new: &[&Policy],
        traces: &dyn Fn() -> &'t HashMap<PathBuf, Traces>,
    ) -> Option<Rule> {
        let gone = &parting.before;
        Some(match weaker {
            Weaker::Readers(_) => Rule::ConfigChange,
            Weaker::NoRule if gone.rule.path_regex.is_none() => self.rule_of_default(gone),
            Weaker::NoRule => return self.rule_of_none(gone, new, traces().get(self.folder)),
            _ if parting.is_default => Rule::ConfigChange,
            _ => Rule::Weakened,
        })
    }

    /// A rule for all is not for all any more: it gets a path_regex, which says which plaintext is secret, or it goes.
    fn rule_of_default(&self, gone: &Policy) -> Rule {
        let others = self.weakened.partings.iter().filter(|other| other.before.rule == gone.rule);
        let mut others = others.filter_map(|other| other.today.as_ref());
        match others.any(|policy| self.is_as_strict(gone, policy)) {
            true => Rule::ConfigChange,
            false => Rule::Weakened,
        }
    }

    /// A rule is gone, of all of its paths or of some. Files show whether it was moved, or is for what it was for.
    fn rule_of_none(&self, gone: &Policy, new: &[&Policy], traces: Option<&Traces>) -> Option<Rule> {
        let trace = traces.and_then(|traces| traces.get(&(gone.rule.file.clone(), gone.rule.index)));
        match trace {
            None | Some(Trace { lost: true, .. } | Trace { had: false, .. }) => Some(Rule::Weakened),
            Some(Trace { has: true, .. }) => Some(Rule::ConfigChange),
            _ if new.iter().any(|policy| self.is_as_strict(gone, policy)) => None,
            _ => Some(Rule::ConfigChange),
        }
    }

    fn is_as_strict(&self, gone: &Policy, policy: &Policy) -> bool {
        config::than(gone, Some(policy), self.searches).is_empty()
    }

    fn message(&self, parting: &Parting, weaker: &Weaker) -> String {
        let config = self.config.as_deref();
        let known = match weaker {
            Weaker::Readers(_) => self.files.with_rules(self.folder, &parting.before, parting.today.as_ref()),
            _ => None,
        };
        let file = known.map_or_else(|| self.folder.join(&parting.example), Path::to_path_buf);
        let file = file.display();
        let rule = &parting.before.rule;
        let name = rule.file.strip_prefix(&self.before.top).unwrap_or(&rule.file);
        let then = format!("{}:{} in commit {}", name.display(), rule.line, self.before.commit);
        match weaker {
            Weaker::NoRule if parting.today.is_some() => format!(
                "files such as `{file}` now match only a rule without a path_regex, for which plaintext is no \
                 finding, unlike {then}"
            ),
            Weaker::NoRule => format!("no rule matches files such as `{file}` any more, and {then} does"),
            Weaker::PassedBy { pattern } => format!(
                "`check` skips files such as `{file}` (`exclude: {pattern}`), and {then} says that they are secret"
            ),
            Weaker::Selection { before, today, example: Some(example) } => format!(
                "{} is no longer encrypted in files such as `{file}` (`{today}`), and by {then} it is (`{before}`)",
                value(example)
            ),
            Weaker::Selection { before, today, example: None } => format!(
                "it is unknown whether `{today}` encrypts as much in files such as `{file}` as `{before}` of {then}: \
                 it is too large to compare"
            ),
            Weaker::Threshold { before, today } => {
                format!(
                    "key groups that are needed for files such as `{file}`: {today}, and by {then} {before}"
                )
            }
            Weaker::Together(None) => format!(
                "it is unknown who can together open files such as `{file}` and could not by {then}: the key groups \
                 differ, and are too many to compare"
            ),
            Weaker::Together(Some(keys)) => format!(
                "{} by {then}: {}",
                match keys.len() {
                    1 => format!("this one now suffices to open files such as `{file}`, and did not"),
                    _ => format!("these together now suffice to open files such as `{file}`, and did not"),
                },
                all_named(keys, config)
            ),
            Weaker::Mac => format!(
                "the MAC of files such as `{file}` covers only encrypted values (`mac_only_encrypted`), and by \
                 {then} all values"
            ),
            Weaker::Pin { part, before, today: None } => format!(
                "SealedSecrets in files such as `{file}` are no longer pinned to the {} `{before}`, as they are by \
                 {then}",
                word(*part)
            ),
            Weaker::Pin { part, before, today: Some(today) } => format!(
                "SealedSecrets in files such as `{file}` are pinned to the {} `{today}`, and by {then} to `{before}`",
                word(*part)
            ),
            Weaker::Nobody => {
                format!("no recipients are named for files such as `{file}`, and {then} names some")
            }
            Weaker::Readers(keys) => {
                format!(
                    "files such as `{file}` have these new recipients: {}; {then} does not name them",
                    all_named(keys, config)
                )
            }
        }
    }
}

fn value(example: &Example) -> String {
    let named = match &example.keys[..] {
        [] => "a value".to_owned(),
        keys => format!("the value of a key such as `{}`", keys.join(".")),
    };
    match &example.comments[..] {
        [] if example.keys.is_empty() => "a value without a comment".to_owned(),
        [] => named,
        [comment] => format!("{named} with a comment such as `{comment}`"),
        comments => format!("{named} with comments such as `{}`", comments.join("` and `")),
    }
}

fn word(part: PinPart) -> &'static str {
    match part {
        PinPart::Scope => "scope",
        PinPart::Namespace => "namespace",
        PinPart::Name => "name",
    }
}

fn all_named(keys: &[RuleKey], config: Option<&Config>) -> String {
    let none = Names::default();
    policy::all_named(keys, config.map_or(&none, Config::names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_knows_what_is_around_it_and_in_it() {
        let set = |paths: &[&str]| -> BTreeSet<PathBuf> { paths.iter().map(PathBuf::from).collect() };
        let regions = set(&["a", "a/b", "a/b/c/d", "a/e", "a-b", "f/g"]);
        let mut within = Within::of(&regions);
        let files = ["0", "a/b/c/d/x", "a/b/z", "a/d", "a/e/x", "a/x", "a-b/x", "f/a", "f/g/x", "g"];
        let found: Vec<_> = set(&files)
            .iter()
            .map(|file| {
                format!("{} {}", file.display(), within.at(file).map_or("-", |at| at.to_str().unwrap()))
            })
            .collect();
        assert_eq!(
            found,
            [
                "0 -",
                "a/b/c/d/x a/b/c/d",
                "a/b/z a/b",
                "a/d a",
                "a/e/x a/e",
                "a/x a",
                "a-b/x a-b",
                "f/a -",
                "f/g/x f/g",
                "g -"
            ]
        );
        let inner = inner(&regions);
        let of = |region: &str| inner[&PathBuf::from(region)].clone();
        assert_eq!(of("a"), set(&["b", "e"]));
        assert_eq!((of("a/b"), of("a/e"), of("f/g")), (set(&["c/d"]), set(&[]), set(&[])));
        let top = set(&["", "a"]);
        assert_eq!(super::inner(&top)[&PathBuf::new()], set(&["a"]));
    }
}
