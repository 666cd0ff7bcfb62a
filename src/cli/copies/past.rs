//! What was in a repository at other times, as far as it may be in a file of today.
//!
//! Owns by which rules a place of the past counts: by those of today, by those before a change where that is known, and where
//! its file has left it, by those that it had last. Whoever takes a rule away along with the file changes nothing for
//! what was there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{held_of, parsed, past_rule_of, real, unknown_original};
use crate::cli::context::Context;
use crate::config::{Configs, Lookup, absolute, is_config};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::keys::KeySet;
use crate::repo::copies::{Audiences, Copies, Held, Leaving, Named, held, lets_others_in};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::history::History;
use crate::repo::git::left::{self, Left};
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes, sides};
use crate::repo::states::States;
use crate::shown::typed;

/// Which of the past is added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PastScope {
    /// What is in a file that was looked at, and was where others read.
    Shared,
    /// What was at a place of which a rule names the readers.
    Ruled,
    /// All.
    All,
}

/// For whom something was.
#[derive(Clone)]
pub(super) struct PastRule {
    pub keys: Option<KeySet>,
    /// By the rule that the place had last, before this state.
    pub leaving: Option<Leaving>,
}

/// A content that was once at a place.
pub(super) struct Version {
    pub id: ObjectId,
    pub path: PathBuf,
    pub shown: PathBuf,
    pub rules: Vec<PastRule>,
}

/// Adds what was in a repository. The first configs are those of today, the others those before a change. Where all rules of
/// today name the same readers (`is_one`), nothing counts unless others were named where something has left.
pub(super) fn add(
    copies: &mut Copies,
    git: &Git,
    configs: &[&Configs],
    wanted: PastScope,
    is_one: bool,
    context: &Context,
) -> Result<()> {
    if is_one && !left::any(git)? {
        return Ok(());
    }
    let recorded = Recorded::read(git)?;
    let last = recorded.last_rules(copies, wanted, context)?;
    let today = |path: &Path| configs.first().and_then(|configs| past_rule_of(path, configs));
    let was_narrower = |(path, rules): (&usize, &Vec<PastRule>)| {
        let today = today(&recorded.paths[*path]);
        let mut then = rules.iter().filter_map(|rule| rule.keys.as_ref());
        then.any(|then| today.as_ref().is_none_or(|today| lets_others_in(today, then)))
    };
    if is_one && !last.iter().any(was_narrower) {
        return Ok(());
    }
    if recorded.history.is_shallow {
        tell_shallow(git, wanted, context)?;
    }
    let audiences = copies.audiences();
    let mut rules: HashMap<usize, Vec<PastRule>> = HashMap::new();
    for (at, path) in recorded.paths.iter().enumerate() {
        let of_configs = configs.iter().map(|configs| past_rule_of(path, configs));
        let of_configs = of_configs.map(|keys| PastRule { keys, leaving: None });
        let all = of_configs.chain(last.get(&at).into_iter().flatten().cloned());
        let counting: Vec<PastRule> = all.filter(|rule| counts(rule, wanted, &audiences)).collect();
        if !counting.is_empty() {
            rules.insert(at, counting);
        }
    }
    let versions = recorded.versions(&rules, wanted == PastScope::Shared);
    let is_wanted = |held: &[_]| wanted != PastScope::Shared || copies.share(held);
    for found in held_versions(&mut Blobs::open(git)?, versions, is_wanted)? {
        found.add_to(copies);
    }
    Ok(())
}

/// In a shallow clone nobody can tell where a file was before. Nobody is let in then; whoever only looks is told.
fn tell_shallow(git: &Git, wanted: PastScope, context: &Context) -> Result<()> {
    let message =
        "it is unknown which files came from paths with other readers, because this clone is shallow";
    let fetch = format!("first `git -C {} fetch --unshallow`", typed(git.top()));
    if wanted == PastScope::Shared {
        context.ui.note(format!("{message}; {fetch}"));
        return Ok(());
    }
    Err(Error::new(Kind::Read, format!("{message}, so no recipients are added: {fetch}")).in_file(git.top()))
}

/// Whether what a rule was for may matter.
fn counts(rule: &PastRule, wanted: PastScope, audiences: &Audiences<'_>) -> bool {
    match (wanted, &rule.keys) {
        (PastScope::Shared, keys) => keys.as_ref().is_some_and(|keys| audiences.reach_others_than(keys)),
        (PastScope::Ruled, keys) => keys.is_some(),
        (PastScope::All, _) => true,
    }
}

/// What Git knows of a repository.
struct Recorded<'g> {
    git: &'g Git<'g>,
    history: History,
    /// The paths of the history on the disk.
    paths: Vec<PathBuf>,
    /// What is staged, and what of it is another on the disk.
    index: Tree,
    unstaged: BTreeSet<PathBuf>,
}

impl<'g> Recorded<'g> {
    fn read(git: &'g Git<'g>) -> Result<Self> {
        let history = sides::history(git)?;
        let paths = history.paths.iter().map(|path| git.top().join(path)).collect();
        Ok(Self { git, paths, history, index: Tree::of_index(git)?, unstaged: changes::unstaged(git)? })
    }

    fn is_gone(&self, name: &Path) -> bool {
        match self.index.get(name) {
            Some(Entry::File(_)) => {
                self.unstaged.contains(name)
                    && !self.git.top().join(name).symlink_metadata().is_ok_and(|found| found.is_file())
            }
            Some(Entry::Unmerged) => false,
            _ => true,
        }
    }

    /// Whether a config ever said something else than today.
    fn has_other_configs(&self) -> bool {
        let is_as_ever = |path: &Path, entry: &Entry| {
            let ever = self.history.configs.get(path);
            !self.unstaged.contains(path)
                && matches!(entry, Entry::File(id) if ever.is_some_and(|ever| ever.len() == 1 && ever.contains(id)))
        };
        let mut staged = self.index.iter().filter(|(path, _)| is_config(path));
        let mut known = self.history.configs.keys();
        known.any(|path| self.index.get(path).is_none())
            || staged.any(|(path, entry)| !is_as_ever(path, entry))
    }

    /// The rules that places had last which files have left, by the paths of the history, as far as what was there is wanted.
    fn last_rules(
        &self,
        copies: &mut Copies,
        wanted: PastScope,
        context: &Context,
    ) -> Result<BTreeMap<usize, Vec<PastRule>>> {
        let mut lookup = context.lookup()?;
        lookup.explicit = lookup.explicit.map(|path| absolute(&path, &lookup.working_dir));
        lookup.working_dir = real(&lookup.working_dir);
        if lookup.explicit.is_none() && !self.has_other_configs() {
            return Ok(BTreeMap::new());
        }
        let gone = self.gone(copies, wanted)?;
        let names = gone.iter().map(|&at| self.history.paths[at].clone()).collect();
        let left = left::places(self.git, &self.history, &names)?;
        let mut last = LastRules::of(self.git, lookup, &self.history)?;
        let mut found = BTreeMap::new();
        for at in gone {
            if let Some(left) = left.get(&self.history.paths[at]) {
                found.insert(at, last.of_place(&self.paths[at], left, copies)?);
            }
        }
        Ok(found)
    }

    /// The places at which encrypted files were that are not there any more.
    fn gone(&self, copies: &Copies, wanted: PastScope) -> Result<BTreeSet<usize>> {
        let gone = self.history.paths.iter().enumerate().filter(|(_, name)| self.is_gone(name));
        let gone: HashMap<usize, Vec<PastRule>> = gone.map(|(at, _)| (at, Vec::new())).collect();
        let contents: BTreeSet<(usize, &ObjectId)> = self
            .history
            .versions
            .iter()
            .filter(|version| gone.contains_key(&version.path))
            .map(|version| (version.path, &self.history.blobs[version.blob].id))
            .collect();
        let contents: Vec<(usize, &ObjectId)> = contents.into_iter().collect();
        let ids: Vec<&ObjectId> = contents.iter().map(|(_, id)| *id).collect();
        let is_wanted = |at: usize, bytes: &_| {
            let file = parsed(Format::of_path(&self.paths[contents[at].0]), bytes)?;
            (wanted != PastScope::Shared || copies.share(&held(&file, None))).then_some(())
        };
        // What cannot be read may be wanted; it is an error where its place turns out to count.
        let found = held_of(&mut Blobs::open(self.git)?, &ids, is_wanted, |_, _| Some(Ok(())))?;
        Ok(found.into_iter().map(|(at, ())| contents[at].0).collect())
    }

    /// All contents that were ever at places that have rules.
    fn versions(&self, rules: &HashMap<usize, Vec<PastRule>>, leave_out_present: bool) -> Vec<Version> {
        let mut found = BTreeMap::new();
        for version in self.history.versions.iter().filter(|version| rules.contains_key(&version.path)) {
            let id = &self.history.blobs[version.blob].id;
            found.entry((version.path, id)).or_insert(version.commit);
        }
        // What is as in the index is looked at anyway.
        let is_present = |path: usize, id: &ObjectId| {
            let name = &self.history.paths[path];
            !self.unstaged.contains(name) && self.index.get(name) == Some(&Entry::File(id.clone()))
        };
        let found = found.into_iter().filter(|((path, id), _)| !leave_out_present || !is_present(*path, id));
        let version = |((at, id), commit): ((usize, &ObjectId), usize)| {
            let (name, commit) = (self.history.paths[at].display(), self.history.commits[commit].id.short());
            let shown = format!("{name} of commit {commit}").into();
            Version { id: id.clone(), path: self.paths[at].clone(), shown, rules: rules[&at].clone() }
        };
        found.map(version).collect()
    }
}

/// The rules that places had before files left them.
struct LastRules<'g> {
    states: States<'g, 'g>,
    /// By the configs.
    leavings: HashMap<*const Configs, Leaving>,
}

impl<'g> LastRules<'g> {
    fn of(git: &'g Git<'g>, lookup: Lookup, history: &History) -> Result<Self> {
        let places = history.configs.keys().cloned().collect();
        Ok(Self { states: States::of(git, lookup, places)?, leavings: HashMap::new() })
    }

    fn of_place(&mut self, path: &Path, left: &Left, copies: &mut Copies) -> Result<Vec<PastRule>> {
        let mut rules = Vec::new();
        for commit in &left.before {
            let keys = past_rule_of(path, &*self.states.configs(commit)?);
            // Where no rule was, the file's own list is older than whoever came since.
            if keys.is_some() {
                rules.push(PastRule { keys, leaving: self.leaving(left.after.as_deref(), copies)? });
            }
        }
        Ok(rules)
    }

    fn leaving(&mut self, after: Option<&str>, copies: &mut Copies) -> Result<Option<Leaving>> {
        let Some(after) = after else { return Ok(None) };
        let configs = self.states.configs(after)?;
        let known = self.leavings.entry(Arc::as_ptr(&configs));
        let new = || copies.add_leaving(Box::new(move |path| past_rule_of(path, &configs)));
        Ok(Some(*known.or_insert_with(new)))
    }
}

/// What a version holds, by one of its rules.
pub(super) struct Found {
    file: Named,
    held: Vec<(usize, Held)>,
    leaving: Option<Leaving>,
}

impl Found {
    pub fn add_to(self, copies: &mut Copies) {
        match self.leaving {
            Some(leaving) => copies.add_left(self.file, self.held, leaving),
            None => copies.add_past(self.file, self.held),
        }
    }
}

/// What versions hold, as far as it is wanted.
pub(super) fn held_versions(
    blobs: &mut Blobs,
    versions: Vec<Version>,
    wanted: impl Fn(&[(usize, Held)]) -> bool + Sync,
) -> Result<Vec<Found>> {
    let ids: Vec<&ObjectId> = versions.iter().map(|version| &version.id).collect();
    let hold = |at: usize, bytes: &_| {
        let Version { path, shown, rules, .. } = &versions[at];
        let file = parsed(Format::of_path(path), bytes)?;
        let by_rule = |rule: &PastRule| {
            let held = held(&file, rule.keys.as_ref());
            let named = Named { path: path.clone(), shown: shown.clone() };
            wanted(&held).then_some(Found { file: named, held, leaving: rule.leaving })
        };
        Some(rules.iter().filter_map(by_rule).collect::<Vec<Found>>())
    };
    let found = held_of(blobs, &ids, hold, |_, error| Some(Err(unknown_original(error))))?;
    Ok(found.into_iter().flat_map(|(_, found)| found).collect())
}
