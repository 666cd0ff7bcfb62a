//! Whom a rule lets in while Git merges, or has not ended a rebase, a merge, or cherry-picks, reverts or patches.
//!
//! Owns that a rule counts then only as far as one counted where it began, or else the list that the file had there. What a commit on
//! the way says may be in the working tree, and is nobody's decision yet.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::copies::{ToEncrypt, real, real_lookup};
use crate::config::{self, Configs, Policy, Searches, Selection, Weaker, absolute};
use crate::document::Format;
use crate::encrypted_file::{EncryptedFile, format_in};
use crate::error::{Error, Kind, Result};
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::rekey::names;
use crate::repo::copies::{alone, is_for_same};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::of_tree;
use crate::repo::git::sequence::{self, Course};
use crate::repo::git::tree::{self, Tree};
use crate::repo::git::{Git, root_of};
use crate::secret::SecretBytes;

/// The master keys that count for a file that is merged, by its rule; `None` where there is no rule, or it names none. `ours` is our
/// side of it.
pub fn rule_of(
    context: &Context,
    path: &Path,
    format: Format,
    ours: Option<&SecretBytes>,
) -> Result<Option<KeySet>> {
    let mut rule = policy::keys_of_file(&context.configs()?, path)?;
    let listed = ours.and_then(|ours| list_of(format, ours.clone()));
    for under_way in Watch::new(context, true)?.of(path)? {
        rule = under_way.limited(path, rule, listed.as_ref())?;
    }
    Ok(rule)
}

/// Whom both of these versions of a file list.
pub fn listed_in_both(format: Format, [one, other]: [Option<&SecretBytes>; 2]) -> KeySet {
    let listed = |bytes: Option<&SecretBytes>| {
        bytes.and_then(|bytes| list_of(format, bytes.clone())).unwrap_or_else(nobody)
    };
    narrowed(listed(one), &listed(other))
}

/// Tells of those who read these files only by what a step says, and of values that only by that stay in plaintext.
pub fn tell_of_rules<'p>(context: &Context, paths: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    if context.is_sops() {
        return Ok(());
    }
    let mut watch = Watch::new(context, false)?;
    paths.into_iter().try_for_each(|path| watch.tell(path, None).map(drop))
}

/// The same of what is about to be encrypted, once for each. It keeps nothing in plaintext.
pub fn tell_of_new(context: &Context, files: &[ToEncrypt<'_>]) {
    if let Err(error) = tell_of_all(context, files) {
        context.ui.warning_of(&error);
    }
}

fn tell_of_all(context: &Context, files: &[ToEncrypt<'_>]) -> Result<()> {
    if context.is_sops() {
        return Ok(());
    }
    let mut watch = Watch::new(context, false)?;
    for ToEncrypt { places, keys } in files {
        // Who is not decided yet may be whom the rule names.
        let readers = Some(*keys).filter(|keys| keys.groups.iter().any(|group| !group.is_empty()));
        for place in places {
            if watch.tell(place, readers)? {
                break;
            }
        }
    }
    Ok(())
}

const UNDER_WAY: &str = "a merge, rebase or the like is under way";

/// Refuses to send files where the config of one step says.
///
/// # Errors
/// [`Kind::Conflict`] while a rebase or the like is under way, for a file whose config commits have.
pub fn refuse_to_send<'p>(context: &Context, paths: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    if context.is_sops() {
        return Ok(());
    }
    let mut watch = Watch::new(context, false)?;
    for path in paths {
        for under_way in watch.of(path)? {
            if !under_way.is_own(path)? {
                let message = format!("{UNDER_WAY}, and its steps say where files are sent");
                let advice = "Finish it first. `git status` says how.";
                return Err(Error::new(Kind::Conflict, message).in_file(path).advise(advice));
            }
        }
    }
    Ok(())
}

/// What configs said where what is under way in the repositories of these folders began.
pub fn beginnings(context: &Context, folders: &BTreeSet<PathBuf>) -> Result<Vec<Configs>> {
    let mut watch = Watch::new(context, false)?;
    folders.iter().try_for_each(|folder| watch.top_of(folder).map(drop))?;
    let began = watch.by_top.into_values().flatten().flat_map(|under_way| under_way.began);
    Ok(began.map(|began| began.configs).collect())
}

/// What is under way in the repositories that matter for files, each of which is asked once.
struct Watch<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    /// What it is for is a step itself.
    is_merged: bool,
    by_top: BTreeMap<PathBuf, Option<UnderWay<'a>>>,
    /// The tops of the repositories of folders; `None` where nothing can be under way.
    tops: HashMap<PathBuf, Option<PathBuf>>,
}

impl<'a> Watch<'a> {
    fn new(context: &'a Context<'a>, is_merged: bool) -> Result<Self> {
        let (by_top, tops) = (BTreeMap::new(), HashMap::new());
        Ok(Self { context, configs: context.configs()?, is_merged, by_top, tops })
    }

    /// What is under way for a file.
    fn of(&mut self, path: &Path) -> Result<Vec<&UnderWay<'a>>> {
        let mut tops = BTreeSet::new();
        for folder in folders_for(&self.configs, path) {
            tops.extend(self.top_of(&folder)?);
        }
        if self.is_merged {
            // Git starts drivers where its own paths begin, and a link of the working tree may lead a path into another repository.
            let here = self.top_of(&real(Path::new(".")))?;
            tops.extend(here.filter(|top| spelled(path).starts_with(top)));
        }
        let found = self.by_top.iter().filter(|(top, _)| tops.contains(*top));
        Ok(found.filter_map(|(_, under_way)| under_way.as_ref()).collect())
    }

    /// The top of the repository of a folder, once it is known what is under way there.
    fn top_of(&mut self, folder: &Path) -> Result<Option<PathBuf>> {
        if let Some(known) = self.tops.get(folder) {
            return Ok(known.clone());
        }
        let host = self.context.host;
        let is_asked = self.is_merged || sequence::may_be_under_way(host, folder);
        let git = if is_asked { Git::of(host, folder).ok() } else { None };
        let top = git.as_ref().map(|git| git.top().to_path_buf());
        if let Some(git) = git
            && let Entry::Vacant(new) = self.by_top.entry(git.top().to_path_buf())
        {
            new.insert(UnderWay::in_repository(self.context, git, self.is_merged)?);
        }
        self.tops.insert(folder.to_path_buf(), top.clone());
        Ok(top)
    }

    /// Tells of those among these readers, or among all whom the rule names, whom only a step names, and of values that only by a step
    /// stay in plaintext. Whether there was something to tell.
    fn tell(&mut self, path: &Path, readers: Option<&KeySet>) -> Result<bool> {
        let context = self.context;
        let under_way = self.of(path)?;
        if under_way.is_empty() {
            return Ok(false);
        }
        let configs = context.configs()?;
        let rule = policy::keys_of_file(&configs, path)?;
        let mut limited = rule.clone();
        for under_way in &under_way {
            limited = under_way.limited(path, limited, None)?;
        }
        let today = configs.matching_policy(path)?;
        let mut weaker = Vec::new();
        for under_way in under_way {
            weaker.extend(today.as_ref().map(|today| under_way.weaker(path, today)).transpose()?.flatten());
        }
        let is_in = |key: &MasterKey, keys: &KeySet| keys.groups.iter().any(|group| key.is_among(group));
        let strangers: Vec<String> = rule
            .iter()
            .flat_map(|rule| &rule.groups)
            .flatten()
            .filter(|key| readers.is_none_or(|readers| is_in(key, readers)))
            .filter(|key| !limited.as_ref().is_some_and(|limited| is_in(key, limited)))
            .map(|key| format!("  {key}"))
            .collect();
        let shown = path.display();
        let is_told = !strangers.is_empty() || !weaker.is_empty();
        if let Some((before, today)) = weaker.first() {
            context.ui.warning(format!(
                "{shown}: {UNDER_WAY}; its rule encrypted more before (`{before}`, and now `{today}`)"
            ));
        }
        if !strangers.is_empty() {
            let message = format!("{shown}: {UNDER_WAY}; its rule did not name these before");
            context.ui.warning_list(message, strangers);
        } else if rule.is_none() && limited.is_some() && readers.is_none() {
            context.ui.warning(format!(
                "{shown}: {UNDER_WAY}, and the config of this step names nobody for it, so its own list counts"
            ));
        }
        Ok(is_told)
    }
}

/// The folders whose repositories matter for a file: in which its name is, each link on the way to it, the file itself, and its config,
/// where that is found and where it really is.
fn folders_for(configs: &Configs, path: &Path) -> BTreeSet<PathBuf> {
    // One that cannot be read is told by whoever needs it.
    let config = configs.config_for(path).ok().flatten();
    let of_config = config.iter().flat_map(|config| [spelled(config.path()), real(config.path())]);
    let name = spelled(path);
    let links = name.ancestors().skip(1).filter(|above| above.is_symlink()).map(Path::to_path_buf);
    let files = links.chain(of_config).chain([path.to_path_buf(), real(path)]);
    files.map(|file| folder_of(&file)).collect()
}

/// Something that Git has begun and not ended.
struct UnderWay<'a> {
    context: &'a Context<'a>,
    git: Git<'a>,
    /// The commit that it began on, or all of which it may be one; none where that is unknown.
    began: Vec<Commit>,
    is_one_step: bool,
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
    /// `is_merged`: what it is for is a step itself.
    fn in_repository(context: &'a Context<'a>, git: Git<'a>, is_merged: bool) -> Result<Option<Self>> {
        let course = match sequence::course(&git)? {
            None if is_merged => Course::of_head(&git)?,
            None => return Ok(None),
            Some(course) => course,
        };
        let read = |commit: &String| -> Result<Commit> {
            let lookup = real_lookup(context)?;
            let tree = Tree::of_commit(&git, commit)?;
            Ok(Commit { configs: of_tree(&git, &tree, lookup)?, tree })
        };
        let began = course.began.iter().map(read).collect::<Result<_>>()?;
        Ok(Some(Self { context, git, began, is_one_step: course.is_one_step }))
    }

    /// A rule with those alone who count. `ours` is the list of our side, which of a single step was there when it began, if maybe by
    /// another name.
    fn limited(&self, path: &Path, rule: Option<KeySet>, ours: Option<&KeySet>) -> Result<Option<KeySet>> {
        let is_own = self.is_own(path)?;
        if self.began.is_empty() {
            return Ok(if is_own { rule } else { Some(nobody()) });
        }
        let mut limited = rule;
        for (began, place) in
            self.began.iter().flat_map(|began| self.places(path).into_iter().map(move |place| (began, place)))
        {
            limited = match (limited, began.named(&place)) {
                (None, Some(began)) => Some(began),
                (Some(limited), Some(began)) => Some(narrowed(limited, &began)),
                (Some(limited), None) if is_own => Some(limited),
                // Nobody's rule says it, and both sides do.
                (None, None) if self.is_one_step => None,
                (limited, None) => {
                    let ours = ours.filter(|_| self.is_one_step).cloned();
                    let listed = ours.or_else(|| self.listed(began, &place)).unwrap_or_else(nobody);
                    Some(limited.map_or_else(|| listed.clone(), |limited| narrowed(limited, &listed)))
                }
            };
        }
        Ok(limited)
    }

    /// Whom the file in a place listed at the beginning.
    fn listed(&self, began: &Commit, place: &Path) -> Option<KeySet> {
        let name = place.strip_prefix(self.git.top()).ok()?;
        let tree::Entry::File(id) = began.tree.get(name)? else { return None };
        let format = Format::of_path(name);
        list_of(format, Blobs::open(&self.git).ok()?.read(id, format.most_bytes() as u64).ok()?)
    }

    /// Which values the rule had encrypted where it began, and which today, where those are fewer.
    fn weaker(&self, path: &Path, today: &Policy) -> Result<Option<(Selection, Selection)>> {
        if self.is_own(path)? {
            return Ok(None);
        }
        let searches = Searches::default();
        let places = self.places(path);
        let before = self.began.iter().flat_map(|began| {
            // One that cannot be read says nothing of values, and names nobody.
            let before = |place: &PathBuf| began.configs.rules_of_other_state(place).ok()?.0;
            places.iter().filter_map(before)
        });
        let mut weaker = before.flat_map(|before| config::than(&before, Some(today), &searches));
        Ok(weaker.find_map(|weaker| match weaker {
            Weaker::Selection { before, today, .. } => Some((before, today)),
            _ => None,
        }))
    }

    /// Whether the config of a file is the person's own: one that they named, or above the repository.
    fn is_own(&self, path: &Path) -> Result<bool> {
        let config = self.context.configs()?.config_for(path)?;
        let is_here = |place: PathBuf| place.starts_with(self.git.top());
        Ok(config
            .is_some_and(|config| ![spelled(config.path()), real(config.path())].into_iter().any(is_here)))
    }

    /// Where a file is in the repository: as it is spelled, which is what Git means, and where links of the working tree lead.
    fn places(&self, path: &Path) -> Vec<PathBuf> {
        let top = self.git.top();
        let (spelled, real) = (spelled(path), real(path));
        let there = path.file_name().map_or_else(|| real.clone(), |name| folder_of(path).join(name));
        let mut places = vec![spelled];
        if !places.contains(&there) {
            places.push(there);
        }
        // What is in a repository within is no file of this one, if something else is.
        let is_within = root_of(&real).is_some_and(|root| root != top && root.starts_with(top));
        let is_of_other = is_within && places.iter().any(|place| place.starts_with(top));
        if !is_of_other && !places.contains(&real) {
            places.push(real);
        }
        // The repository may be that of the config alone.
        if places.iter().any(|place| place.starts_with(top)) {
            places.retain(|place| place.starts_with(top));
        }
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

/// Whom an encrypted file lists: of several SealedSecrets, whom all do.
fn list_of(format: Format, bytes: SecretBytes) -> Option<KeySet> {
    let keys = EncryptedFile::parse(format_in(format, &bytes), bytes).ok()?.data_keys().ok()?;
    let listed = |wrapped| {
        let groups = names(wrapped);
        let threshold = (groups.len() > 1).then(|| wrapped.required());
        KeySet::of_groups(groups, threshold)
    };
    keys.iter().map(listed).reduce(|one, other| narrowed(one, &other))
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
