//! Creation rules: which master keys a file is encrypted for, and which of its leaves.
//!
//! Owns the config: finding it, reading it, and choosing the rule of a path. It makes no master keys and walks no
//! documents: a [`Policy`] says what to use, the caller uses it.

mod additions;
mod apart;
mod destination;
mod find;
mod json_schema;
mod keys;
mod links;
mod located;
mod re2;
mod schema;
mod selection;
mod starter;
mod weaker;
mod yaml;

use std::collections::HashMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use apart::Searches;
pub use destination::{Destination, KvPlace, KvVersion, Target};
pub use find::{
    Disk, Lookup, SEALANT_NAME, SOPS_NAME, Search, Source, absolute, is_config, is_meant_as_config,
};
pub use json_schema::json_schema;
pub use located::{Hidden, Located, Misled, TakenOver};
pub use schema::{Dialect, KeySpec, PinSpec, RuleKey, Stores};
pub use selection::{Selection, SelectionKind};
pub use starter::{Preset, starter};
pub use weaker::{Example, Parting, PinPart, Rerouted, Weakened, Weaker, is_without_rule, than};

use crate::error::{Error, Kind, Result};
use crate::names::Names;
use crate::shown;
use destination::DestinationRule;
use find::MAX_LEVELS;
pub(crate) use links::RealPaths;
use located::Standing;
use re2::Patterns;
use schema::{Rule, Schema};

/// What a creation rule says of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The groups of master keys; none when the rule names no key.
    pub key_groups: Vec<Vec<RuleKey>>,
    /// How many groups it takes, if the rule says so.
    pub shamir_threshold: Option<usize>,
    /// Which leaves, if the rule says so.
    pub selection: Option<Selection>,
    pub mac_only_encrypted: bool,
    /// Where SealedSecrets belong, if the rule says so.
    pub pin: Option<PinSpec>,
    /// What the config calls recipients and other master keys.
    pub names: Names,
    /// Where all this comes from.
    pub rule: RuleRef,
}

/// A creation rule's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRef {
    pub file: PathBuf,
    pub line: usize,
    /// Its number in the file, from 0.
    pub index: usize,
    /// `None` matches every path.
    pub path_regex: Option<String>,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (rule {})", self.file.display(), self.line, self.index + 1)
    }
}

/// Whether a creation rule was used for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialResult {
    Matches,
    DoesNotMatch,
    /// An earlier rule matched.
    NotTried,
}

/// A creation rule that was held against a path, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTrial {
    pub rule: RuleRef,
    pub verdict: TrialResult,
}

impl fmt::Display for RuleTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.rule.line)?;
        match (&self.rule.path_regex, self.verdict) {
            (Some(regex), TrialResult::Matches) => write!(f, "path_regex `{regex}` matches"),
            (Some(regex), TrialResult::DoesNotMatch) => write!(f, "path_regex `{regex}` does not match"),
            (Some(regex), TrialResult::NotTried) => {
                write!(f, "path_regex `{regex}` was not tried: an earlier rule matches")
            }
            (None, TrialResult::NotTried) => {
                f.write_str("no path_regex; was not tried: an earlier rule matches")
            }
            (None, _) => f.write_str("no path_regex: it matches every file"),
        }
    }
}

/// How the policy of a file came about: what `sealant explain` prints.
#[derive(Debug, Clone)]
pub struct Explanation {
    pub search: Search,
    /// The file's path as the rules see it: relative to the config's folder, or absolute when it lies outside.
    pub path: String,
    /// Every rule of the config, in its order; empty without a config or without `creation_rules`.
    pub trials: Vec<RuleTrial>,
}

impl Explanation {
    /// In words, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.search.lines();
        if self.search.found.is_none() {
            return lines;
        }
        if self.trials.is_empty() {
            lines.push("it has no creation rules, as if there were no config".to_owned());
            return lines;
        }
        lines.push(format!("its rules are matched against the path `{}`:", self.path));
        lines.extend(self.trials.iter().map(|trial| format!("  {trial}")));
        lines
    }
}

/// A config that was read.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    schema: Schema,
}

impl Config {
    /// Reads the text of the config at `path`, which is absolute: its folder is what rules are relative to.
    pub fn parse(text: &str, path: impl Into<PathBuf>, dialect: Dialect) -> Result<Self> {
        Self::parse_among(text, path.into(), dialect, &Patterns::default())
    }

    /// As [`Config::parse`], one of many.
    fn parse_among(text: &str, path: PathBuf, dialect: Dialect, patterns: &Patterns) -> Result<Self> {
        let schema = schema::parse(text, dialect, patterns).map_err(|error| error.in_file(&path))?;
        Ok(Self { path, schema })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether `check` passes a file by, of an absolute path.
    pub fn is_excluded_from_check(&self, file: &Path) -> bool {
        let path = self.path_for_rules(file);
        self.schema.check_exclude.iter().any(|pattern| pattern.is_match(&path))
    }

    /// The patterns of its rules.
    fn patterns(&self) -> impl Iterator<Item = &str> {
        self.schema.creation_rules.iter().flatten().filter_map(|rule| rule.pattern.as_deref())
    }

    /// Paths below a folder that its rules name, and files that could be in folders there that they name.
    fn places_below(&self, folder: &Path) -> Vec<PathBuf> {
        let here = self.path.parent().unwrap_or(Path::new(""));
        let files = self.patterns().filter_map(file_of).map(|file| here.join(file));
        let folders = self.patterns().filter_map(folder_of);
        let within = folders.flat_map(|named| FILES.map(|name| here.join(&named).join(name)));
        files.chain(within).filter(|path| path.starts_with(folder)).collect()
    }

    fn is_without_rules(&self) -> bool {
        self.schema.creation_rules.as_ref().is_none_or(Vec::is_empty)
    }

    /// What people here call recipients and other master keys.
    pub fn names(&self) -> &Names {
        &self.schema.names
    }

    /// How sops's stores indent.
    pub fn stores(&self) -> &Stores {
        &self.schema.stores
    }

    /// What the first rule that matches `file`, an absolute path, says of it; `None` when the config has no
    /// `creation_rules`; an error when it has, and none of them matches.
    pub fn policy_for(&self, file: &Path) -> Result<Option<Policy>> {
        self.policy_of(file, file)
    }

    /// The same for a file that the person has `spelled` so.
    fn policy_of(&self, file: &Path, spelled: &Path) -> Result<Option<Policy>> {
        match self.matching_policy(file)? {
            None if self.schema.creation_rules.is_some() => {
                Err(self.no_match(&self.path_for_rules(file), &shown::typed(spelled)))
            }
            found => Ok(found),
        }
    }

    /// As [`Config::policy_for`], but `None` when no rule matches.
    fn matching_policy(&self, file: &Path) -> Result<Option<Policy>> {
        self.first_match(file).map(|(index, rule)| self.policy(index, rule)).transpose()
    }

    fn matching_rule(&self, file: &Path) -> Option<RuleRef> {
        self.first_match(file).map(|(index, rule)| self.rule_ref(index, rule))
    }

    fn first_match(&self, file: &Path) -> Option<(usize, &Rule)> {
        let path = self.path_for_rules(file);
        let rules = self.schema.creation_rules.as_deref().unwrap_or_default();
        rules.iter().enumerate().find(|(_, rule)| matches(rule, &path))
    }

    /// What the first destination rule that matches says. To sops the path counts as it was `spelled`, to us as for creation
    /// rules.
    fn destination_for(&self, file: &Path, spelled: &Path, dialect: Dialect) -> Result<Option<Destination>> {
        let path = match dialect {
            Dialect::Sops => spelled.to_string_lossy().into_owned(),
            Dialect::Sealant => self.path_for_rules(file),
        };
        let matches =
            |rule: &DestinationRule| rule.path_regex.as_ref().is_none_or(|regex| regex.is_match(&path));
        let index = self.schema.destination_rules.iter().position(matches);
        index.map(|index| self.destination(index)).transpose()
    }

    fn destination(&self, index: usize) -> Result<Destination> {
        let rule = &self.schema.destination_rules[index];
        let [target] = &rule.targets[..] else {
            let count = if rule.targets.is_empty() { "none" } else { "several" };
            let message =
                format!("a destination rule names one place to send files to, but this one names {count}");
            let error = Error::new(Kind::Other, message).in_file(&self.path).on_line(rule.line);
            return Err(error.advise("Keep one of s3_bucket, gcs_bucket and vault_path."));
        };
        let recreation = rule.recreation.as_ref().filter(|rule| !rule.key_groups.is_empty());
        Ok(Destination {
            target: target.clone(),
            omit_extensions: rule.omit_extensions,
            recreation: recreation.map(|rule| self.policy(index, rule)).transpose()?,
            line: rule.line,
        })
    }

    /// What each destination rule says, in their order.
    pub fn destinations(&self) -> Vec<Result<Destination>> {
        (0..self.schema.destination_rules.len()).map(|index| self.destination(index)).collect()
    }

    /// What each rule says, in their order.
    pub fn policies(&self) -> Vec<Result<Policy>> {
        let rules = self.schema.creation_rules.as_deref().unwrap_or_default();
        rules.iter().enumerate().map(|(index, rule)| self.policy(index, rule)).collect()
    }

    /// Every rule, held against the path that [`Config::path_for_rules`] makes.
    fn trials(&self, path: &str) -> Vec<RuleTrial> {
        let rules = self.schema.creation_rules.as_deref().unwrap_or_default();
        let first = rules.iter().position(|rule| matches(rule, path));
        let verdict = |index| match first {
            Some(first) if index == first => TrialResult::Matches,
            Some(first) if index > first => TrialResult::NotTried,
            _ => TrialResult::DoesNotMatch,
        };
        let trial = |(index, rule)| RuleTrial { rule: self.rule_ref(index, rule), verdict: verdict(index) };
        rules.iter().enumerate().map(trial).collect()
    }

    fn policy(&self, index: usize, rule: &Rule) -> Result<Policy> {
        if let Some(empty) = rule.key_groups.iter().position(Vec::is_empty) {
            return Err(Error::new(Kind::Other, format!("key group {} of this rule has no keys", empty + 1))
                .in_file(&self.path)
                .on_line(rule.line));
        }
        schema::refuse_several(&rule.selections, rule.line).map_err(|error| error.in_file(&self.path))?;
        Ok(Policy {
            key_groups: rule.key_groups.clone(),
            shamir_threshold: rule.shamir_threshold,
            selection: rule.selections.first().cloned(),
            mac_only_encrypted: rule.mac_only_encrypted,
            pin: rule.pin.clone(),
            names: self.schema.names.clone(),
            rule: self.rule_ref(index, rule),
        })
    }

    fn rule_ref(&self, index: usize, rule: &Rule) -> RuleRef {
        RuleRef { file: self.path.clone(), line: rule.line, index, path_regex: rule.pattern.clone() }
    }

    /// The path that rules are matched against, with slashes on every system.
    fn path_for_rules(&self, file: &Path) -> String {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned();
        if cfg!(windows) { path.replace('\\', "/") } else { path }
    }

    fn no_match(&self, path: &str, spelled: &str) -> Error {
        let trials = self.trials(path).into_iter().map(|trial| format!("  {trial}"));
        let message = format!("no matching creation rules found for `{path}`");
        Error::new(Kind::Other, message).listing(trials).in_file(&self.path).advise(format!(
            "Move the file to a path that a rule matches, or add a rule for it: `sealant explain {spelled}` says how rules \
             are matched."
        ))
    }
}

/// What files may be called whose names nobody knows, one of each type.
pub const FILES: [&str; 6] = ["file", "file.yaml", "file.yml", "file.json", "file.env", "file.ini"];

/// The plain text that a path_regex begins with, and whether that is all of it.
fn plain_start(pattern: &str) -> (String, bool) {
    let start = ["(^|/)", "^", "(.*/)?", ".*/"].iter().find_map(|start| pattern.strip_prefix(start));
    let plain = start.unwrap_or(pattern).replace("\\.", "\0");
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '\0');
    let end = plain.find(|c| !is_plain(c)).unwrap_or(plain.len());
    (plain[..end].replace('\0', "."), matches!(&plain[end..], "" | "$"))
}

/// The folder that a path_regex begins with, if it begins with one: `secrets/` of `^secrets/.*`.
fn folder_of(pattern: &str) -> Option<String> {
    let (plain, _) = plain_start(pattern);
    let (folder, _) = plain.rsplit_once('/')?;
    (!folder.is_empty()).then(|| folder.to_owned())
}

/// The one file that a path_regex is for, if it is for one: `secrets/db.yaml` of `^secrets/db\.yaml$`.
fn file_of(pattern: &str) -> Option<String> {
    let (plain, is_all) = plain_start(pattern);
    (is_all && !plain.is_empty() && !plain.ends_with('/')).then_some(plain)
}

fn matches(rule: &Rule, path: &str) -> bool {
    rule.path_regex.as_ref().is_none_or(|regex| regex.is_match(path))
}

/// The nearest config on the way up from a folder, and how many folders it takes to find it; or that no folder has one.
#[derive(Clone)]
struct Nearest {
    config: Option<Arc<Config>>,
    levels: usize,
}

/// The configs of many files: each is looked for once per folder and read once.
pub struct Configs {
    lookup: Lookup,
    source: Box<dyn Source>,
    by_folder: Mutex<HashMap<PathBuf, Nearest>>,
    /// The same without those that are there by links of folders.
    without_links: Mutex<HashMap<PathBuf, Nearest>>,
    by_path: Mutex<HashMap<PathBuf, Arc<Config>>>,
    real: RealPaths,
    /// By a config, the nearest one above it that has rules.
    above_with_rules: Mutex<HashMap<PathBuf, Option<Arc<Config>>>>,
    patterns: Patterns,
}

impl Configs {
    /// Configs on disk.
    pub fn new(lookup: Lookup) -> Self {
        Self::from_source(lookup, Disk)
    }

    /// Configs from elsewhere, such as Git's index.
    pub fn from_source(lookup: Lookup, source: impl Source + 'static) -> Self {
        Self::from_boxed(lookup, Box::new(source))
    }

    /// As [`Configs::from_source`].
    pub fn from_boxed(lookup: Lookup, source: Box<dyn Source>) -> Self {
        Self {
            lookup,
            source,
            by_folder: Mutex::default(),
            without_links: Mutex::default(),
            by_path: Mutex::default(),
            real: RealPaths::default(),
            above_with_rules: Mutex::default(),
            patterns: Patterns::default(),
        }
    }

    /// Where a file is, and its config. The file need not exist.
    pub fn locate(&self, file: &Path) -> Result<Located<'_>> {
        Located::new(self, self.spelled(file), self.real(file))
    }

    /// Whether the folder of a file is reached through links; the file itself is not looked at.
    pub fn is_behind_link(&self, file: &Path) -> bool {
        let path = self.lookup.working_dir.join(file);
        self.with_real_folder(&path) != self.spelled(file)
    }

    /// The absolute path as it was named. What leads up does so from where a folder really is.
    fn spelled(&self, file: &Path) -> PathBuf {
        let path = self.lookup.working_dir.join(file);
        let parts: Vec<Component> = path.components().collect();
        let last_up = parts.iter().rposition(|part| *part == Component::ParentDir);
        match (last_up, self.dialect()) {
            (Some(at), Dialect::Sealant) => {
                let (up, rest) = parts.split_at(at + 1);
                let up = self.real.of_folder(&up.iter().collect::<PathBuf>(), &*self.source);
                up.join(rest.iter().collect::<PathBuf>())
            }
            _ => find::absolute(&path, &self.lookup.working_dir),
        }
    }

    /// What the config says of `file`; `None` when there is no config, or none with `creation_rules`. An error of kind
    /// [`Kind::Conflict`] when the path claims another rule than the file has.
    pub fn policy_for(&self, file: &Path) -> Result<Option<Policy>> {
        let located = self.locate(file)?;
        located.refuse_misled()?;
        let spelled = file.strip_prefix(&self.lookup.working_dir).unwrap_or(file);
        located.config().map_or(Ok(None), |config| config.policy_of(located.path(), spelled))
    }

    /// As [`Configs::policy_for`], but `None` also when no rule of the config matches.
    pub fn matching_policy(&self, file: &Path) -> Result<Option<Policy>> {
        let located = self.locate(file)?;
        located.refuse_misled()?;
        located.policy()
    }

    /// Where a file is to be published; `None` when no destination rule of its config matches.
    pub fn destination_for(&self, file: &Path) -> Result<Option<Destination>> {
        let located = self.locate(file)?;
        located.refuse_misled()?;
        let Some(config) = located.config() else { return Ok(None) };
        config.destination_for(located.path(), file, self.lookup.dialect)
    }

    /// As [`Configs::matching_policy`], with where the file is to be published. A destination rule that says nothing sensible
    /// sends nothing.
    pub fn rules_of(&self, file: &Path) -> Result<(Option<Policy>, Option<Destination>)> {
        let located = self.locate(file)?;
        located.refuse_misled()?;
        let policy = located.policy()?;
        let sent =
            |config: &Arc<Config>| config.destination_for(located.path(), file, self.dialect()).ok()?;
        Ok((policy, located.config().and_then(sent)))
    }

    /// The same of a place in another state of the working tree: links of today do not lead there, nor to configs above it.
    pub fn rules_of_other_state(&self, path: &Path) -> Result<(Option<Policy>, Option<Destination>)> {
        let path = find::absolute(path, &self.lookup.working_dir);
        let Some(config) = self.config_without_links(&path)? else { return Ok((None, None)) };
        let policy = config.matching_policy(&path)?;
        Ok((policy, config.destination_for(&path, &path, self.dialect()).ok().flatten()))
    }

    /// Where the config is that these rules come from, if there is one.
    pub fn place_of_other_state(&self, path: &Path) -> Result<Option<PathBuf>> {
        let path = find::absolute(path, &self.lookup.working_dir);
        Ok(self.config_without_links(&path)?.map(|config| config.path().to_path_buf()))
    }

    /// The config of `file`, if there is one. The file need not exist.
    pub fn config_for(&self, file: &Path) -> Result<Option<Arc<Config>>> {
        Ok(self.locate(file)?.config().cloned())
    }

    /// The config of an absolute path, its links let be.
    fn config_at(&self, path: &Path) -> Result<Option<Arc<Config>>> {
        self.nearest(path, &*self.source, &self.by_folder)
    }

    /// The config of an absolute path. What is found on the way up is known for all that is below.
    fn nearest(
        &self,
        path: &Path,
        source: &dyn Source,
        known: &Mutex<HashMap<PathBuf, Nearest>>,
    ) -> Result<Option<Arc<Config>>> {
        if self.lookup.explicit.is_some() || self.dialect() == Dialect::Sops {
            return self.search_in(path, source)?.found.map(|path| self.load(path)).transpose();
        }
        let working_dir = self.lookup.working_dir.as_path();
        for start in [path.parent().unwrap_or(path), working_dir] {
            let Nearest { config, levels } = self.nearest_above(start, source, known)?;
            if levels > MAX_LEVELS {
                return Err(find::too_deep(path));
            }
            if config.is_some() {
                return Ok(config);
            }
        }
        Ok(None)
    }

    fn nearest_above(
        &self,
        folder: &Path,
        source: &dyn Source,
        known: &Mutex<HashMap<PathBuf, Nearest>>,
    ) -> Result<Nearest> {
        let (mut passed, mut found) = (Vec::new(), Nearest { config: None, levels: 0 });
        for folder in folder.ancestors() {
            if let Some(known) = lock(known).get(folder) {
                found = known.clone();
                break;
            }
            passed.push(folder);
            if let Some(config) = find::config_in(folder, self.dialect(), source)? {
                found.config = Some(self.load(config)?);
                break;
            }
        }
        for folder in passed.into_iter().rev() {
            found.levels += 1;
            lock(known).insert(folder.to_path_buf(), found.clone());
        }
        Ok(found)
    }

    /// The rule for the files of a folder, of a config above it, that a config of the folder's own takes the place of. A rule
    /// for all paths says nothing of it. Patterns are held against `files` that are there, and against what could be.
    pub fn taken_over<'f>(
        &self,
        folder: &Path,
        files: impl IntoIterator<Item = &'f Path>,
    ) -> Result<Option<TakenOver>> {
        let file = self.real(&folder.join("file"));
        let Some(folder) = file.parent() else { return Ok(None) };
        let Some(above) = self.config_at(folder)? else { return Ok(None) };
        let possible = FILES.map(|name| folder.join(name)).into_iter().chain(above.places_below(folder));
        for file in possible.chain(files.into_iter().map(|file| self.real(file))) {
            let own = self.config_at(&file)?.filter(|own| own.path.starts_with(folder));
            let rule = above.matching_rule(&file).filter(|rule| rule.path_regex.is_some());
            if let Some((own, rule)) = own.zip(rule) {
                return Ok(Some(TakenOver { by: own.path.clone(), rule }));
            }
        }
        Ok(None)
    }

    /// Whether a rule names a folder that a path leads through.
    pub fn is_in_named_folder(&self, path: &Path) -> Result<bool> {
        let path = self.spelled(path);
        let Some(config) = self.config_at(&path)? else { return Ok(false) };
        let path = format!("/{}/", config.path_for_rules(&path));
        Ok(config.patterns().filter_map(folder_of).any(|folder| path.contains(&format!("/{folder}/"))))
    }

    /// The nearest config with rules above one that was found.
    fn above_with_rules(&self, config: &Arc<Config>) -> Result<Option<Arc<Config>>> {
        let (mut passed, mut at) = (Vec::new(), Some(Arc::clone(config)));
        while let Some(here) = at.as_ref().filter(|at| passed.is_empty() || at.is_without_rules()) {
            if let Some(known) = lock(&self.above_with_rules).get(&here.path).cloned() {
                at = known;
                break;
            }
            passed.push(here.path.clone());
            at = self.above(here)?;
        }
        lock(&self.above_with_rules).extend(passed.into_iter().map(|path| (path, at.clone())));
        Ok(at)
    }

    /// The next config above the folder of a config that was found.
    fn above(&self, config: &Config) -> Result<Option<Arc<Config>>> {
        let Some(folder) = config.path.parent().filter(|_| self.lookup.explicit.is_none()) else {
            return Ok(None);
        };
        let is_above = |other: &Arc<Config>| {
            other.path.parent().is_some_and(|above| folder.starts_with(above) && folder != above)
        };
        // Without one above, the config of the working directory counts, which may be anywhere.
        Ok(self.config_at(folder)?.filter(is_above))
    }

    /// What a path claims as it is spelled: by the config that is found through its links, and by the one that is above them,
    /// which may be for that very path. One that is both counts where it is: from within the link its rules would be about
    /// other paths.
    fn standings_claimed(&self, path: &Path) -> Result<Vec<Standing>> {
        let (through, above) = (self.config_at(path)?, self.config_without_links(path)?);
        let real = |config: &Config| self.with_real_folder(&config.path);
        let is_one =
            through.as_ref().zip(above.as_ref()).is_some_and(|(one, other)| real(one) == real(other));
        let of = |config: &Option<Arc<Config>>| self.standing(path, config.as_deref());
        if is_one {
            return Ok(vec![of(&above)]);
        }
        // A rule for all that is there says nothing of a link.
        let is_for_paths =
            |standing: &Standing| standing.rule.as_ref().is_some_and(|rule| rule.path_regex.is_some());
        Ok([of(&through)].into_iter().chain(Some(of(&above)).filter(is_for_paths)).collect())
    }

    /// The config of an absolute path, without those that are there by links of folders.
    fn config_without_links(&self, path: &Path) -> Result<Option<Arc<Config>>> {
        let working_dir = &self.lookup.working_dir;
        let source = find::WithoutLinks { source: &*self.source, real: &self.real, working_dir };
        self.nearest(path, &source, &self.without_links)
    }

    fn search(&self, path: &Path) -> Result<Search> {
        self.search_in(path, &*self.source)
    }

    fn search_in(&self, path: &Path, source: &dyn Source) -> Result<Search> {
        let mut search = Search::run(path, &self.lookup, source)?;
        if let Some(named) =
            search.found.as_mut().filter(|_| search.explicit && self.dialect() == Dialect::Sealant)
        {
            // Rules are relative to its folder, and files are matched where they really are.
            *named = self.with_real_folder(named);
        }
        Ok(search)
    }

    /// Where a path is that may claim a rule: by a config above it, or by one that was asked for by name. The one of
    /// the working directory, which counts where there is no other, is no claim.
    fn standing(&self, path: &Path, config: Option<&Config>) -> Standing {
        let is_below = |config: &&Config| config.path.parent().is_some_and(|folder| path.starts_with(folder));
        let is_below = config.as_ref().is_some_and(is_below);
        let real = |config: &Config| self.real.of_file(&config.path, &*self.source);
        let rule =
            config.and_then(|config| Some(RuleRef { file: real(config), ..config.matching_rule(path)? }));
        Standing { rule, is_below, is_explicit: self.lookup.explicit.is_some() }
    }

    fn dialect(&self) -> Dialect {
        self.lookup.dialect
    }

    /// Where a file really is.
    fn real(&self, file: &Path) -> PathBuf {
        self.real.of_file(&self.lookup.working_dir.join(file), &*self.source)
    }

    fn with_real_folder(&self, file: &Path) -> PathBuf {
        self.real.of_folder_of(file, &*self.source)
    }

    /// Whether whoever opens `file` has to keep an audit log. No config is needed to open files, so one that is wrong
    /// keeps nobody from it, unless it speaks of a log.
    pub fn requires_audit_log(&self, file: &Path) -> Result<bool> {
        let lookup = Lookup { dialect: Dialect::Sealant, explicit: None, ..self.lookup.clone() };
        let Some(path) = Search::run(&self.real(file), &lookup, &*self.source)?.found else {
            return Ok(false);
        };
        let text = self.source.read(&path)?;
        match schema::parse(&text, Dialect::Sops, &self.patterns) {
            Ok(schema) => Ok(schema.audit),
            Err(_) if !text.contains("audit") => Ok(false),
            Err(error) => Err(error.in_file(path)),
        }
    }

    /// How the policy of `file` comes about; an error when a config does not parse.
    pub fn explain(&self, file: &Path) -> Result<Explanation> {
        let located = self.locate(file)?;
        located.refuse_misled()?;
        let file = located.path().to_path_buf();
        let search = self.search(&file)?;
        let Some(found) = search.found.clone() else {
            return Ok(Explanation { search, path: file.to_string_lossy().into_owned(), trials: Vec::new() });
        };
        let config = self.load(found)?;
        let path = config.path_for_rules(&file);
        Ok(Explanation { search, trials: config.trials(&path), path })
    }

    /// A path by which a file of this name has a rule that its own path does not have; `None` where no rule says plainly
    /// which folder it is for.
    pub fn place_by_rule(&self, file: &Path) -> Option<PathBuf> {
        let config = self.config_for(file).ok()??;
        let (folder, name) = (config.path.parent()?, file.file_name()?);
        let rules = config.schema.creation_rules.iter().flatten();
        let folders = rules.filter_map(|rule| folder_of(rule.pattern.as_deref()?));
        let mut places = folders.map(|below| folder.join(below).join(name));
        places.find(|place| matches!(self.matching_policy(place), Ok(Some(policy)) if policy.rule.path_regex.is_some()))
    }

    /// How a person comes to a rule that names recipients of `file`, where none does.
    pub fn advice_for(&self, file: &Path) -> String {
        match self.config_for(file) {
            Ok(Some(config)) if config.is_without_rules() => format!(
                "Add a rule to {}, such as `creation_rules: [{{age: age1...}}]`",
                config.path.display()
            ),
            Ok(Some(config)) => format!(
                "No rule of {} matches it: change the path_regex of one, or add a rule",
                config.path.display()
            ),
            _ => "Run `sealant init` to make a config".to_owned(),
        }
    }

    /// Refuses a config of the working directory that is no YAML. What its rules say is not looked at.
    pub fn refuse_unreadable(&self) -> Result<()> {
        let Some(path) = self.of_working_dir()? else { return Ok(()) };
        schema::syntax(&self.read(&path)?).map_err(|error| error.in_file(&path))
    }

    /// The config of files in the working directory, if there is one.
    pub fn of_working_dir(&self) -> Result<Option<PathBuf>> {
        let file = self.lookup.working_dir.join("file");
        Ok(Search::run(&file, &self.lookup, &*self.source)?.found)
    }

    /// The text of a config that was found.
    pub fn text_of(&self, config: &Config) -> Result<String> {
        self.read(&config.path)
    }

    fn read(&self, path: &Path) -> Result<String> {
        match &self.lookup.explicit {
            Some(_) => self.source.read_named(path),
            None => self.source.read(path),
        }
    }

    fn load(&self, path: PathBuf) -> Result<Arc<Config>> {
        if let Some(config) = lock(&self.by_path).get(&path) {
            return Ok(Arc::clone(config));
        }
        let text = self.read(&path)?;
        let config = Arc::new(Config::parse_among(&text, path.clone(), self.lookup.dialect, &self.patterns)?);
        lock(&self.by_path).insert(path, Arc::clone(&config));
        Ok(config)
    }
}

/// A panic of another thread leaves a cache of whole entries, which can be used.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
