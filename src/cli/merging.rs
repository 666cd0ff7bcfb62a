//! Whom a rule lets in while a rebase, a merge that has stopped, or cherry-picks, reverts or patches are under way.
//!
//! Owns that a rule counts then only as far as one counted where these began, or else the list that the file had there. What a commit
//! on the way says is in the working tree at its step, and nobody has reviewed it by itself.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::copies::real;
use crate::config::{Configs, absolute};
use crate::document::Format;
use crate::encrypted_file::{EncryptedFile, format_in};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::rekey::names;
use crate::repo::copies::{alone, is_for_same};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::of_commit;
use crate::repo::git::sequence::{self, Course};
use crate::repo::git::tree::{self, Tree};
use crate::repo::git::{Git, root_of};

/// The master keys that count for a file, by its rule; `None` where there is no rule, or it names none.
pub fn rule_of(context: &Context, path: &Path) -> Result<Option<KeySet>> {
    let rule = policy::keys_of_file(&context.configs()?, path)?;
    match UnderWay::of(context, path)? {
        Some(under_way) => under_way.limited(path, rule),
        None => Ok(rule),
    }
}

/// Tells of those who read these files only by what a step says.
pub fn tell_of_rules<'p>(context: &Context, paths: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    if context.is_sops() {
        return Ok(());
    }
    let mut known: HashMap<Option<PathBuf>, Option<UnderWay<'_>>> = HashMap::new();
    let mut at_rest: HashSet<&Path> = HashSet::new();
    for path in paths {
        let parent = path.parent().unwrap_or(path);
        if at_rest.contains(parent) {
            continue;
        }
        let folder = folder_of(path);
        if !sequence::may_be_under_way(&folder) {
            at_rest.insert(parent);
            continue;
        }
        let under_way = match known.entry(root_of(&folder).map(Path::to_path_buf)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(UnderWay::of(context, path)?),
        };
        let Some(under_way) = under_way else { continue };
        let rule = policy::keys_of_file(&context.configs()?, path)?;
        let limited = under_way.limited(path, rule.clone())?;
        let is_counted =
            |key: &&MasterKey| limited.iter().flat_map(|rule| &rule.groups).any(|group| key.is_among(group));
        let strangers: Vec<MasterKey> = rule
            .iter()
            .flat_map(|rule| &rule.groups)
            .flatten()
            .filter(|key| !is_counted(key))
            .cloned()
            .collect();
        let shown = path.display();
        if !strangers.is_empty() {
            let message = format!("{shown}: {UNDER_WAY}, and only the config of this step names");
            context.ui.warning_list(message, strangers.iter().map(|key| format!("  {key}")));
        } else if rule.is_none() && limited.is_some() {
            context.ui.warning(format!(
                "{shown}: {UNDER_WAY}, and the config of this step names nobody for it, so its own list counts"
            ));
        }
    }
    Ok(())
}

/// Whether Git goes through several steps here.
pub fn is_in_sequence(host: &dyn Host) -> bool {
    let course = Git::of(host, Path::new(".")).and_then(|git| sequence::course(&git));
    course.is_ok_and(|course| course.is_some_and(|course| course.brings.is_none()))
}

const UNDER_WAY: &str = "a merge, rebase or the like is under way";

/// Refuses to send a file where the config of one step says.
///
/// # Errors
/// [`Kind::Conflict`] while a rebase or the like is under way, for a file whose config commits have.
pub fn refuse_to_send(context: &Context, path: &Path) -> Result<()> {
    if context.is_sops() || !sequence::may_be_under_way(&folder_of(path)) {
        return Ok(());
    }
    match UnderWay::of(context, path)? {
        Some(under_way) if !under_way.is_own(path)? => {
            Err(Error::new(Kind::Conflict, format!("{UNDER_WAY}, and its steps say where files are sent"))
                .in_file(path)
                .advise("Finish it first. `git status` says how."))
        }
        _ => Ok(()),
    }
}

/// What configs said where what is under way in the repositories of these folders began.
pub fn beginnings(context: &Context, folders: &BTreeSet<PathBuf>) -> Result<Vec<Configs>> {
    let mut found: BTreeMap<PathBuf, Configs> = BTreeMap::new();
    for folder in folders.iter().filter(|folder| sequence::may_be_under_way(folder)) {
        let Ok(git) = Git::of(context.host, folder) else { continue };
        let top = git.top().to_path_buf();
        if found.contains_key(&top) {
            continue;
        }
        let began = UnderWay::in_repository(context, git)?.and_then(|under_way| under_way.began);
        found.extend(began.map(|began| (top, began.configs)));
    }
    Ok(found.into_values().collect())
}

/// Something that Git has begun and not ended.
struct UnderWay<'a> {
    context: &'a Context<'a>,
    git: Git<'a>,
    /// The commit that it began on; `None` where that is unknown.
    began: Option<Commit>,
    /// Of a single step, what it brings there.
    brings: Option<Vec<Commit>>,
}

struct Commit {
    configs: Configs,
    tree: Tree,
}

impl Commit {
    /// Whom the rule of a place names; nobody, if it cannot be read.
    fn named(&self, place: &Path) -> Option<KeySet> {
        let named = policy::readers_of_other_state(&self.configs, place).unwrap_or_else(|_| Some(nobody()));
        named.as_ref().map(alone).filter(|named| !named.groups.is_empty())
    }
}

impl<'a> UnderWay<'a> {
    /// What is under way for a file; `None` where nothing is, or there is no repository.
    fn of(context: &'a Context<'a>, path: &Path) -> Result<Option<Self>> {
        // Git starts drivers where its own paths begin, and a link of the working tree may lead a path into another repository.
        if let Ok(git) = Git::of(context.host, Path::new("."))
            && spelled(path).starts_with(git.top())
            && let Some(under_way) = Self::in_repository(context, git)?
        {
            return Ok(Some(under_way));
        }
        match Git::of_file(context.host, path) {
            Ok((git, _)) => Self::in_repository(context, git),
            Err(_) => Ok(None),
        }
    }

    fn in_repository(context: &'a Context<'a>, git: Git<'a>) -> Result<Option<Self>> {
        let Some(Course { began, brings }) = sequence::course(&git)? else { return Ok(None) };
        let read = |commit: String| -> Result<Commit> {
            let mut lookup = context.lookup()?;
            lookup.explicit = lookup.explicit.map(|path| absolute(&path, &lookup.working_dir));
            lookup.working_dir = real(&lookup.working_dir);
            Ok(Commit { configs: of_commit(&git, &commit, lookup)?, tree: Tree::of_commit(&git, &commit)? })
        };
        let began = began.map(read).transpose()?;
        let brings = brings.map(|brings| brings.into_iter().map(read).collect::<Result<_>>()).transpose()?;
        Ok(Some(Self { context, git, began, brings }))
    }

    /// A rule with those alone who count.
    fn limited(&self, path: &Path, rule: Option<KeySet>) -> Result<Option<KeySet>> {
        let is_own = self.is_own(path)?;
        let mut limited = rule;
        for place in self.places(path) {
            let named = match &self.began {
                Some(began) => began.named(&place),
                None => Some(nobody()),
            };
            limited = match (limited, named) {
                (None, Some(began)) => Some(began),
                (Some(limited), None) if is_own => Some(limited),
                // Nobody's rule says it, and both sides do.
                (None, None) if self.brings.is_some() => None,
                (None, None) => Some(self.listed(&place)),
                (Some(limited), began) => {
                    Some(self.counting(limited, &began.unwrap_or_else(|| self.listed(&place)), &place))
                }
            };
        }
        Ok(limited)
    }

    /// Those of these who counted at the beginning, too. Of a single step, whom nothing that it brings names, a person has added
    /// since.
    fn counting(&self, keys: KeySet, began: &KeySet, place: &Path) -> KeySet {
        let Some(brings) = &self.brings else { return narrowed(keys, began) };
        let brought: Vec<KeySet> = brings.iter().filter_map(|commit| commit.named(place)).collect();
        let counts = |keys: &KeySet| includes(began, keys) || !brought.iter().any(|by| includes(by, keys));
        match &keys.groups[..] {
            [only] if began.groups.len() < 2 => {
                let counts = |key: &&MasterKey| counts(&KeySet::any_of(vec![(*key).clone()]));
                KeySet::any_of(only.iter().filter(counts).cloned().collect())
            }
            _ if counts(&keys) => keys,
            _ => narrowed(keys, began),
        }
    }

    /// Whom the file in a place listed at the beginning: nobody, if there was none.
    fn listed(&self, place: &Path) -> KeySet {
        self.list_of(place).unwrap_or_else(nobody)
    }

    fn list_of(&self, place: &Path) -> Option<KeySet> {
        let name = place.strip_prefix(self.git.top()).ok()?;
        let tree::Entry::File(id) = self.began.as_ref()?.tree.get(name)? else { return None };
        let format = Format::of_path(name);
        let bytes = Blobs::open(&self.git).ok()?.read(id, format.most_bytes() as u64).ok()?;
        let keys = EncryptedFile::parse(format_in(format, &bytes), bytes).ok()?.data_keys().ok()?;
        let listed = |wrapped| {
            let groups = names(wrapped);
            let threshold = (groups.len() > 1).then(|| wrapped.required());
            KeySet::of_groups(groups, threshold)
        };
        keys.iter().map(listed).reduce(|one, other| narrowed(one, &other))
    }

    /// Whether the config of a file is the person's own: one that they named, or above the repository.
    fn is_own(&self, path: &Path) -> Result<bool> {
        let config = self.context.configs()?.config_for(path)?;
        Ok(config.is_some_and(|config| !spelled(config.path()).starts_with(self.git.top())))
    }

    /// Where a file is in the repository: as it is spelled, which is what Git means, and where links of the working tree lead.
    fn places(&self, path: &Path) -> Vec<PathBuf> {
        let there = path.file_name().map_or_else(|| real(path), |name| folder_of(path).join(name));
        let mut places = vec![spelled(path), there];
        places.retain(|place| place.starts_with(self.git.top()));
        places.dedup();
        places
    }
}

/// These readers, as far as the others are as well. Who can open together is compared as a whole.
fn narrowed(mut keys: KeySet, by: &KeySet) -> KeySet {
    if keys.groups.len() > 1 || by.groups.len() > 1 {
        if !is_for_same(&alone(&keys), by) {
            keys.groups.iter_mut().for_each(Vec::clear);
        }
        return keys;
    }
    let counts = |key: &MasterKey| by.groups.iter().any(|group| key.is_among(group));
    keys.groups.iter_mut().for_each(|group| group.retain(counts));
    keys
}

/// Whether these are all among the others.
fn includes(others: &KeySet, keys: &KeySet) -> bool {
    narrowed(keys.clone(), others).groups == keys.groups
}

/// One group that nobody is in: such a rule names nobody, as against no rule.
fn nobody() -> KeySet {
    KeySet::any_of(Vec::new())
}

/// A path from the root, its own links let be.
fn spelled(path: &Path) -> PathBuf {
    absolute(path, &real(Path::new(".")))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => real(folder),
        _ => real(Path::new(".")),
    }
}
