//! What a repository contained at other times, if it may be in one of today's files.
//!
//! Owns which rules count for a place in the past: today's, those before a change if that is known, and for content
//! that has left, the last ones that the place had while the content was there. Removing a rule along with the file, or
//! putting another file in its place, changes nothing for the old content. What is in other places since, or back,
//! is [`moved`]'s; what other commits and merges have for the same place [`beside`]'s.

mod beside;
mod could_read;
mod first_named;
mod moved;
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::{Holding, held_of, is_for_secrets, past_rule_of, real, real_lookup};
use crate::cli::context::Context;
use crate::config::{Configs, Lookup, absolute, is_config};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::keys::KeySet;
use crate::policy;
use crate::repo::copies;
use crate::repo::copies::{Audiences, Copies, Excused, Held, Leaving, Named, Places, Prints, lets_others_in};
use crate::repo::git::ancestry::{Ancestry, Line};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::{self, Staged};
use crate::repo::git::history::{History, is_shallow};
use crate::repo::git::left::{self, EverConfig};
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes, sides};
use crate::shown::typed;
pub(super) use rules::LastRules;

/// Which of the past is added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PastScope {
    /// Content of a file that we looked at, and that was in a place with other readers.
    Shared,
    /// Content of a place whose readers a rule names.
    Ruled,
    /// The same for decrypting, which gives nobody access yet.
    RuledIfKnown,
    /// All.
    All,
}

/// Until when a rule was that of a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// It is the rule today, or the place has changed since the last commit.
    Now,
    /// It was the rule before a change.
    Change,
    /// It was the last that the place had.
    Leaving(Leaving),
}

/// Who could read something.
#[derive(Clone)]
pub(super) struct PastRule {
    pub keys: Option<KeySet>,
    pub since: Since,
    /// What has stayed there: the rule is about the rest.
    pub stayed: Option<Arc<Prints>>,
}

impl PastRule {
    /// One of today.
    pub fn now(keys: KeySet) -> Self {
        Self { keys: Some(keys), since: Since::Now, stayed: None }
    }

    /// For all that was there, by the configs of today, which are the first, or by those before a change.
    pub fn of(configs: &[&Configs], path: &Path) -> Vec<Self> {
        let since = iter::once(Since::Now).chain(iter::repeat(Since::Change));
        let of_config = |(configs, since): (&&Configs, _)| Self {
            keys: past_rule_of(path, configs),
            since,
            stayed: None,
        };
        configs.iter().zip(since).map(of_config).collect()
    }
}

/// The most contents of configs that are tried on every place, and how often a rule is tried on a path for it.
const MOST_STATES: usize = 64;
const MOST_TRIALS: usize = 2_000_000;

/// How many commits are walked by to see where contents were first: seconds.
const MOST_STEPS_OF_LINES: usize = 200_000_000;

/// A path that somebody asks about, which need not be on the disk.
#[derive(Clone)]
pub(super) struct Asked {
    pub path: PathBuf,
    pub prints: Prints,
    /// What comes to the path.
    pub brought: Prints,
}

/// What of the past is looked for.
pub(super) struct Sought<'a> {
    pub wanted: PastScope,
    pub asked: &'a [Asked],
    /// The commits before a change that is looked at.
    pub before: &'a [ObjectId],
    /// Who else has to be named for a place.
    pub also: &'a (dyn Fn(&Path) -> Vec<KeySet> + Sync),
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
    sought: &Sought<'_>,
    is_one: bool,
    context: &Context,
) -> Result<()> {
    let wanted = sought.wanted;
    let is_looking = matches!(wanted, PastScope::Shared | PastScope::RuledIfKnown);
    if is_one && was_never_for_fewer(git, configs, context)? && (is_looking || !has_other_staged_config(git)?)
    {
        // Looking gives nobody access, and most CI clones are shallow like this one.
        return if is_looking { Ok(()) } else { refuse_shallow(git, is_shallow(git)?) };
    }
    let recorded = Recorded::read(git)?;
    let has_other_configs = recorded.has_other_configs(context)?;
    let today = |path: &Path| configs.first().and_then(|configs| past_rule_of(path, configs));
    let LastReaders { rules: lost, on_the_way } =
        match has_other_configs || recorded.has_configs_within_others() {
            true => recorded.lost(copies, configs, sought, &today, context)?,
            false => LastReaders::default(),
        };
    let is_narrower = |path: &Path, rules: &[PastRule]| {
        let today = today(path);
        let mut then = rules.iter().filter_map(|rule| rule.keys.as_ref());
        then.any(|then| today.as_ref().is_none_or(|today| lets_others_in(today, then)))
    };
    if !is_looking {
        refuse_shallow(git, recorded.history.is_shallow)?;
    } else if recorded.history.is_shallow && (!is_one || has_other_configs) {
        context.ui.note(format!("{IS_SHALLOW}; {}", how_to_fetch(git)));
    }
    let audiences = copies.audiences();
    let staged = recorded.staged(configs, sought, &audiences, context)?;
    let mut were_narrower = lost.iter().map(|((path, _), rules)| is_narrower(&recorded.paths[*path], rules));
    let mut are_staged = staged.iter().map(|version| is_narrower(&version.path, &version.rules));
    if is_one && !were_narrower.any(|was| was) && !are_staged.any(|is| is) {
        return Ok(());
    }
    let mut rules: HashMap<usize, Vec<PastRule>> = HashMap::new();
    for (at, path) in recorded.paths.iter().enumerate() {
        let mut counting = PastRule::of(configs, path);
        counting.extend((sought.also)(path).into_iter().map(PastRule::now));
        counting.retain(|rule| counts(rule, wanted, &audiences));
        if !counting.is_empty() {
            rules.insert(at, counting);
        }
    }
    let mut versions = recorded.versions(&rules, wanted == PastScope::Shared);
    // For a place that is gone, its last rule counts, not one of today's, which is not about it.
    let is_lost = |at: usize, id: &ObjectId| on_the_way.contains(&(at, id)) && recorded.is_gone(at);
    versions.retain(|(at, version)| !is_lost(*at, &version.id));
    let mut versions: Vec<Version> = versions.into_iter().map(|(_, version)| version).collect();
    let commits = recorded.commits();
    versions.extend(lost.into_iter().filter_map(|((at, id), mut rules)| {
        rules.extend((sought.also)(&recorded.paths[at]).into_iter().map(PastRule::now));
        rules.retain(|rule| counts(rule, wanted, &audiences));
        let commit = *commits.get(&(at, id)).filter(|_| !rules.is_empty())?;
        Some(recorded.version(at, id, commit, rules))
    }));
    recorded.leave_first_places_out(&mut versions, copies, &today, context)?;
    versions.extend(staged);
    let is_wanted = |held: &[_]| wanted != PastScope::Shared || copies.share(held);
    let Some(configs) = configs.first() else { return Ok(()) };
    for found in held_versions(&mut Blobs::open(git)?, versions, configs, is_wanted)? {
        found.add_to(copies);
    }
    Ok(())
}

/// Given that all of today's rules name the same readers: whether nothing has ever left its place in any commit, and no
/// place ever had fewer readers than today.
pub(super) fn was_never_for_fewer(git: &Git, configs: &[&Configs], context: &Context) -> Result<bool> {
    let mut lookup = context.lookup()?;
    let today = configs.first().and_then(|configs| past_rule_of(&git.top().join("file"), configs));
    let (Some(today), None) = (today, &lookup.explicit) else { return Ok(false) };
    if left::any(git)? {
        return Ok(false);
    }
    lookup.working_dir = real(&lookup.working_dir);
    let mut blobs = Blobs::open(git)?;
    for EverConfig { path, file } in left::configs_ever(git)? {
        let Some(file) = file else { return Ok(false) };
        let staged = Staged::read(git.top(), &Tree::of_file(&path, &file), None, &mut blobs)?;
        let ever = Configs::from_source(lookup.clone(), staged);
        let Ok(Some(config)) = ever.config_for(&git.top().join(&path).with_file_name("file")) else {
            return Ok(false);
        };
        for policy in config.policies() {
            // A rule that names nobody said nothing about readers.
            match policy.and_then(|policy| policy::key_set(&policy)) {
                Ok(then) if then.as_ref().is_none_or(|then| !lets_others_in(&today, then)) => {}
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// Whether a config is staged that is not so on the disk.
fn has_other_staged_config(git: &Git) -> Result<bool> {
    Ok(changes::unstaged(git)?.iter().any(|name| is_config(name)))
}

const IS_SHALLOW: &str =
    "it is unknown which files came from paths with other readers, because this clone is shallow";

fn how_to_fetch(git: &Git) -> String {
    format!("first `git -C {} fetch --unshallow`", typed(git.top()))
}

/// A shallow clone does not show where a file was before, or who could read it there, so nobody gets access.
fn refuse_shallow(git: &Git, is_shallow: bool) -> Result<()> {
    let message = || format!("{IS_SHALLOW}, so no recipients are added: {}", how_to_fetch(git));
    if is_shallow { Err(Error::new(Kind::Read, message()).in_file(git.top())) } else { Ok(()) }
}

/// Whether what a rule was for may matter.
fn counts(rule: &PastRule, wanted: PastScope, audiences: &Audiences<'_>) -> bool {
    match (wanted, &rule.keys) {
        (PastScope::Shared, keys) => keys.as_ref().is_some_and(|keys| audiences.reach_others_than(keys)),
        (PastScope::Ruled | PastScope::RuledIfKnown, keys) => keys.is_some(),
        (PastScope::All, _) => true,
    }
}

/// What Git knows about a repository.
struct Recorded<'g> {
    git: &'g Git<'g>,
    history: History,
    ancestry: OnceLock<Arc<Ancestry>>,
    /// The versions of the history by their paths.
    by_place: OnceLock<HashMap<usize, Vec<usize>>>,
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
        let (index, unstaged) = (Tree::of_index(git)?, changes::unstaged(git)?);
        let (ancestry, by_place) = (OnceLock::new(), OnceLock::new());
        Ok(Self { git, paths, history, ancestry, by_place, index, unstaged })
    }

    fn ancestry(&self) -> &Arc<Ancestry> {
        self.ancestry.get_or_init(|| Arc::new(Ancestry::of(&self.history)))
    }

    /// The commits that have brought contents to a place, with these.
    fn came_to(&self, place: usize) -> impl Iterator<Item = (usize, &ObjectId)> {
        let by_place = self.by_place.get_or_init(|| {
            let mut by_place: HashMap<usize, Vec<usize>> = HashMap::new();
            for (at, version) in self.history.versions.iter().enumerate() {
                by_place.entry(version.path).or_default().push(at);
            }
            by_place
        });
        let versions = by_place.get(&place).into_iter().flatten().map(|at| &self.history.versions[*at]);
        versions.map(|version| (version.commit, &self.history.blobs[version.blob].id))
    }

    /// The name of a commit of the history.
    fn name_of(&self, commit: usize) -> &ObjectId {
        &self.history.commits[commit].id
    }

    /// Whether there is no file today.
    fn is_gone(&self, place: usize) -> bool {
        let name = &self.history.paths[place];
        match self.index.get(name) {
            Some(Entry::File(_)) => {
                self.unstaged.contains(name)
                    && !self.paths[place].symlink_metadata().is_ok_and(|found| found.is_file())
            }
            Some(Entry::Unmerged) => false,
            _ => true,
        }
    }

    /// Whether a config ever said something different from today. We do not look for that in a config named on the
    /// command line.
    fn has_other_configs(&self, context: &Context) -> Result<bool> {
        let is_as_ever = |path: &Path, entry: &Entry| {
            let ever = self.history.configs.get(path);
            !self.unstaged.contains(path)
                && matches!(entry, Entry::File(id) if ever.is_some_and(|ever| ever.len() == 1 && ever.contains(id)))
        };
        let mut staged = self.index.iter().filter(|(path, _)| is_config(path));
        let mut known = self.history.configs.keys();
        Ok(context.lookup()?.explicit.is_some()
            || known.any(|path| self.index.get(path).is_none())
            || staged.any(|(path, entry)| !is_as_ever(path, entry)))
    }

    /// Whether commits show whom a place's rule of today named before: not where its config is above the repository, or unknown to
    /// Git. One that was asked for by name and is elsewhere says what it always said.
    fn has_config_of(&self, path: &Path, configs: &Configs, lookup: &Lookup) -> bool {
        let Ok(Some(config)) = configs.place_of_other_state(path) else { return false };
        match real(&absolute(&config, &lookup.working_dir)).strip_prefix(self.git.top()) {
            Ok(name) => matches!(self.index.get(name), Some(Entry::File(_))),
            Err(_) => lookup.explicit.is_some(),
        }
    }

    /// Whether one config is in a folder of another: before it came, that one's rules were for its files.
    fn has_configs_within_others(&self) -> bool {
        let folders: Vec<&Path> = self.history.configs.keys().filter_map(|path| path.parent()).collect();
        folders.iter().any(|one| folders.iter().any(|other| one != other && one.starts_with(other)))
    }

    /// The rules that places had last for contents that have left them, as far as these are wanted.
    fn lost(
        &self,
        copies: &mut Copies,
        configs: &[&Configs],
        &Sought { wanted, asked, before, .. }: &Sought<'_>,
        today: &dyn Fn(&Path) -> Option<KeySet>,
        context: &Context,
    ) -> Result<LastReaders<'_>> {
        let lookup = real_lookup(context)?;
        let is_known =
            |path: &Path| configs.first().is_some_and(|configs| self.has_config_of(path, configs, &lookup));
        let today: &dyn Fn(&Path) -> Option<KeySet> = &|path| today(path).filter(|_| is_known(path));
        // What is looked at has excuses of its own for what there was before a change.
        let configs = if wanted == PastScope::Shared { &configs[..configs.len().min(1)] } else { configs };
        let mut any_asked = Prints::default();
        asked.iter().for_each(|asked| any_asked.add(&asked.prints));
        let looking = Looking {
            elsewhere: Elsewhere { copies: &*copies, asked, any_asked },
            wanted,
            configs,
            before,
            today,
        };
        let places = self.once_for_fewer(&lookup, wanted, today, copies)?;
        let mut found = LastReaders::default();
        if places.is_empty() {
            return Ok(found);
        }
        let mut last = LastRules::of(self.git, lookup.clone(), &self.history, Arc::clone(self.ancestry()))?;
        let mut left = self.moved(&places, &looking, &mut last)?;
        left.extend(self.beside_head(&places, &looking, &mut last)?);
        // Where today's rule is one that it left under, or for fewer, that still counts.
        let is_for_others = |left: &Left| {
            today(&self.paths[left.place]).is_none_or(|today| lets_others_in(&today, &left.keys))
        };
        let of_today = left.iter().filter(|left| !is_for_others(left));
        let of_today: HashSet<_> = of_today.map(|left| (left.place, left.content)).collect();
        let on_the_way = left.iter().filter(|left| left.is_on_the_way);
        let on_the_way = on_the_way.map(|left| (left.place, left.content));
        found.on_the_way = on_the_way.filter(|left| !of_today.contains(left)).collect();
        for Left { place, content, keys, stayed, came, .. } in left {
            let rule = PastRule { keys: Some(keys), since: last.since(came, copies), stayed: Some(stayed) };
            found.rules.entry((place, content)).or_default().push(rule);
        }
        Ok(found)
    }

    /// The places for which any config named fewer readers than today's; content of the others counts under today's
    /// rule. All places, if there are too many configs to tell.
    fn once_for_fewer(
        &self,
        lookup: &Lookup,
        wanted: PastScope,
        today: &dyn Fn(&Path) -> Option<KeySet>,
        copies: &Copies,
    ) -> Result<HashSet<usize>> {
        let all = 0..self.paths.len();
        let states =
            || self.history.configs.iter().flat_map(|(path, ids)| ids.iter().map(move |id| (path, id)));
        if lookup.explicit.is_some() || states().count() > MOST_STATES {
            return Ok(all.collect());
        }
        let audiences = copies.audiences();
        let today: Vec<Option<KeySet>> = self.paths.iter().map(|path| today(path)).collect();
        let (mut found, mut blobs, mut trials) = (HashSet::new(), Blobs::open(self.git)?, 0);
        for (config, id) in states().filter(|(_, id)| !id.is_null()) {
            let tree = Tree::of_file(config, id);
            // A config that Git cannot deliver may have said anything.
            let Ok(staged) = Staged::read(self.git.top(), &tree, None, &mut blobs) else {
                return Ok(all.collect());
            };
            let configs = Configs::from_source(lookup.clone(), staged);
            let folder = config.parent().map(|folder| self.git.top().join(folder));
            let rules = folder.as_ref().and_then(|folder| configs.config_for(&folder.join("file")).ok()?);
            trials += rules.map_or(0, |rules| rules.policies().len() + rules.destinations().len())
                * self.paths.len();
            if trials > MOST_TRIALS {
                return Ok(all.collect());
            }
            for at in all.clone().filter(|at| !found.contains(at)).collect::<Vec<_>>() {
                let path = &self.paths[at];
                if !folder.as_ref().is_some_and(|folder| path.starts_with(folder)) {
                    continue;
                }
                let Some(then) = past_rule_of(path, &configs) else { continue };
                let is_for_fewer = today[at].as_ref().is_none_or(|today| lets_others_in(today, &then));
                if is_for_fewer && (wanted != PastScope::Shared || audiences.reach_others_than(&then)) {
                    found.insert(at);
                }
            }
        }
        Ok(found)
    }

    /// What these contents hold, as far as it is wanted; `None` for what Git does not give, which is an error where its place
    /// turns out to count.
    fn prints(
        &self,
        contents: &[(usize, &ObjectId)],
        wanted: impl Fn(usize, &Prints) -> bool + Sync,
    ) -> Result<Vec<(usize, Option<Seen>)>> {
        let ids: Vec<&ObjectId> = contents.iter().map(|(_, id)| *id).collect();
        let hold = |at: usize, bytes: &_| {
            let place = contents[at].0;
            let seen = Seen::of(&Holding::of(Format::of_path(&self.paths[place]), bytes)?);
            wanted(place, &seen.prints).then_some(Some(seen))
        };
        // Pictures and the like, which Git LFS keeps everywhere, come and go.
        let counts = |at: usize| Format::of_path(&self.paths[contents[at].0]) != Format::Binary;
        held_of(&mut Blobs::open(self.git)?, &ids, counts, hold, |_, _| Some(Ok(None)))
    }

    /// The newest commit that brought each content to a place.
    fn commits(&self) -> BTreeMap<(usize, &ObjectId), usize> {
        let mut found = BTreeMap::new();
        for version in &self.history.versions {
            let id = &self.history.blobs[version.blob].id;
            found.entry((version.path, id)).or_insert(version.commit);
        }
        found
    }

    /// Whoever copies a file to another place takes nothing from those who read it where it was first: for these places, what came
    /// elsewhere later is no move. Of a branch that was squashed, the first commit is gone: so a place where the file had not all whom
    /// its rule named is not the first one.
    fn leave_first_places_out(
        &self,
        versions: &mut [Version],
        copies: &mut Copies,
        today: &dyn Fn(&Path) -> Option<KeySet>,
        context: &Context,
    ) -> Result<()> {
        let mut rules = LastRules::of_context(self.git, &self.history, Arc::clone(self.ancestry()), context)?;
        let mut arrivals: HashMap<&ObjectId, BTreeMap<&Path, Vec<usize>>> = HashMap::new();
        for version in &self.history.versions {
            let of_blob = arrivals.entry(&self.history.blobs[version.blob].id).or_default();
            of_blob.entry(&self.paths[version.path]).or_default().push(version.commit);
        }
        let mut left = MOST_STEPS_OF_LINES;
        let mut leavings: BTreeMap<BTreeSet<PathBuf>, Leaving> = BTreeMap::new();
        for version in versions {
            let places = arrivals.get(&version.id).filter(|places| places.len() > 1);
            let Some((places, came)) = places.and_then(|places| Some((places, places.get(&*version.path)?)))
            else {
                continue;
            };
            let Some(rest) = left.checked_sub(came.len() * self.history.commits.len()) else { return Ok(()) };
            left = rest;
            // In the history before each of its arrivals, a first place has had it.
            let before =
                |commit: &usize| self.ancestry().line(self.ancestry().parents(*commit).iter().copied());
            let lines: Vec<Line> = came.iter().map(before).collect();
            let is_first =
                |commits: &[usize]| lines.iter().all(|line| commits.iter().any(|commit| line.has(*commit)));
            let first = places.iter().filter(|(_, commits)| is_first(commits));
            let mut of_made = BTreeSet::new();
            for (path, commits) in first {
                let commits: Vec<&ObjectId> = commits.iter().map(|commit| self.name_of(*commit)).collect();
                if rules.made_for_all_of(path, &version.id, &commits, today(path).as_ref())? {
                    of_made.insert(path.to_path_buf());
                }
            }
            let mut first = of_made;
            if first.is_empty() {
                continue;
            }
            first.insert(version.path.clone());
            let leaving = leavings.entry(first).or_insert_with_key(|first| {
                copies.add_leaving(copies::Since::Elsewhere(Excused {
                    places: first.clone(),
                    ..Excused::default()
                }))
            });
            let of_today = version.rules.iter_mut().filter(|rule| rule.since == Since::Now);
            of_today.for_each(|rule| rule.since = Since::Leaving(*leaving));
        }
        Ok(())
    }

    /// All contents that were ever at places that have rules.
    fn versions(
        &self,
        rules: &HashMap<usize, Vec<PastRule>>,
        leave_out_present: bool,
    ) -> Vec<(usize, Version)> {
        // What is as in the index is looked at anyway.
        let is_present = |path: usize, id: &ObjectId| {
            let name = &self.history.paths[path];
            !self.unstaged.contains(name) && self.index.get(name) == Some(&Entry::File(id.clone()))
        };
        let version = |((at, id), commit): ((usize, &ObjectId), usize)| {
            let rules = rules.get(&at).filter(|_| !leave_out_present || !is_present(at, id))?;
            Some((at, self.version(at, id, commit, rules.clone())))
        };
        self.commits().into_iter().filter_map(version).collect()
    }

    /// What is staged alone: it is neither on the disk nor in a commit. The configs that are staged with it count as well.
    fn staged(
        &self,
        configs: &[&Configs],
        &Sought { wanted, also, .. }: &Sought<'_>,
        audiences: &Audiences<'_>,
        context: &Context,
    ) -> Result<Vec<Version>> {
        let in_commits: HashSet<(&Path, &ObjectId)> =
            self.commits().into_keys().map(|(at, id)| (&*self.history.paths[at], id)).collect();
        let file = |name: &PathBuf| match self.index.get(name) {
            Some(Entry::File(id)) if !in_commits.contains(&(&**name, id)) => {
                Some((self.git.top().join(name), name.clone(), id.clone()))
            }
            _ => None,
        };
        let files: Vec<_> = self.unstaged.iter().filter_map(file).collect();
        let staged = match !files.is_empty() && self.unstaged.iter().any(|name| is_config(name)) {
            true => Some(configs::of_tree(self.git, &self.index, real_lookup(context)?)?),
            false => None,
        };
        let version = |(path, name, id): (PathBuf, PathBuf, ObjectId)| {
            let mut rules = PastRule::of(configs, &path);
            rules.extend(also(&path).into_iter().map(PastRule::now));
            rules.extend(staged.as_ref().and_then(|staged| past_rule_of(&path, staged)).map(PastRule::now));
            rules.retain(|rule| counts(rule, wanted, audiences));
            let shown = format!("{} as it is staged", name.display()).into();
            (!rules.is_empty()).then_some(Version { id, path, shown, rules })
        };
        Ok(files.into_iter().filter_map(version).collect())
    }

    fn version(&self, at: usize, id: &ObjectId, commit: usize, rules: Vec<PastRule>) -> Version {
        let (name, commit) = (self.history.paths[at].display(), self.history.commits[commit].id.short());
        let shown = format!("{name} of commit {commit}").into();
        Version { id: id.clone(), path: self.paths[at].clone(), shown, rules }
    }
}

/// The last rules of places for what has left them.
#[derive(Default)]
struct LastReaders<'r> {
    rules: BTreeMap<(usize, &'r ObjectId), Vec<PastRule>>,
    /// What has left them on the way to HEAD.
    on_the_way: HashSet<(usize, &'r ObjectId)>,
}

/// What a content holds.
#[derive(Default)]
struct Seen {
    prints: Prints,
    /// What of that is encrypted in it, where it only quotes some: anybody can quote what was there to make it look as if it still were.
    encrypted: Option<Prints>,
}

impl Seen {
    fn of(holding: &Holding) -> Self {
        let (prints, encrypted) = (holding.prints(), holding.encrypted());
        Self { encrypted: Some(encrypted).filter(|encrypted| *encrypted != prints), prints }
    }

    fn encrypted(&self) -> &Prints {
        self.encrypted.as_ref().unwrap_or(&self.prints)
    }

    /// What the next content of the place has not any more, or only quotes.
    fn lost_to(&self, next: &Self) -> Prints {
        let mut lost = self.prints.without(&next.prints);
        lost.add(&self.encrypted().without(next.encrypted()));
        lost
    }
}

/// A content that a place had by a rule, and has not any more.
struct Left<'r> {
    place: usize,
    content: &'r ObjectId,
    keys: KeySet,
    stayed: Arc<Prints>,
    came: Came,
    /// A commit that leads to HEAD has lost it, or it is lost since.
    is_on_the_way: bool,
}

/// Where that counts.
#[derive(PartialEq, Eq, Hash)]
enum Came {
    /// In all places but these.
    Elsewhere(Excused),
    /// In this one.
    At(PathBuf),
}

/// What is looked for.
struct Looking<'c> {
    elsewhere: Elsewhere<'c>,
    wanted: PastScope,
    /// Those of today, and where something that is under way began.
    configs: &'c [&'c Configs],
    /// The commits before a change that is looked at.
    before: &'c [ObjectId],
    today: &'c dyn Fn(&Path) -> Option<KeySet>,
}

/// What is in files of today, or asked about.
struct Elsewhere<'c> {
    copies: &'c Copies,
    asked: &'c [Asked],
    /// All that is asked about.
    any_asked: Prints,
}

impl<'c> Elsewhere<'c> {
    /// Whether a file has some of it.
    fn have(&self, prints: &Prints) -> bool {
        !prints.in_common(&self.any_asked).is_empty() || self.copies.share_prints(prints)
    }

    /// What comes to a path.
    fn brought_to(&self, path: &Path) -> Prints {
        let mut brought = Prints::default();
        self.asked.iter().filter(|asked| asked.path == path).for_each(|asked| brought.add(&asked.brought));
        brought
    }

    /// Where these are in files of today.
    fn on_disk<'p>(&self, of: impl Iterator<Item = &'p Prints>) -> Places<'c> {
        self.copies.places(of)
    }

    /// The same with what is asked about.
    fn places<'p>(&self, of: impl Iterator<Item = &'p Prints>) -> Places<'c> {
        let mut places = self.copies.places(of);
        self.asked.iter().for_each(|asked| places.add(&asked.path, &asked.prints));
        places
    }
}

/// What a version holds, by one of its rules.
pub(super) struct Found {
    file: Named,
    held: Vec<(usize, Held)>,
    since: Since,
}

impl Found {
    pub fn add_to(self, copies: &mut Copies) {
        match self.since {
            Since::Leaving(leaving) => copies.add_left(self.file, self.held, leaving),
            Since::Change => copies.add_before(self.file, self.held),
            Since::Now => copies.add_past(self.file, self.held),
        }
    }
}

/// What versions hold, as far as it is wanted. `configs` are those of today.
pub(super) fn held_versions(
    blobs: &mut Blobs,
    versions: Vec<Version>,
    configs: &Configs,
    wanted: impl Fn(&[(usize, Held)]) -> bool + Sync,
) -> Result<Vec<Found>> {
    let ids: Vec<&ObjectId> = versions.iter().map(|version| &version.id).collect();
    let hold = |at: usize, bytes: &_| {
        let Version { path, shown, rules, .. } = &versions[at];
        let file = Holding::of(Format::of_path(path), bytes)?;
        let by_rule = |rule: &PastRule| {
            let mut held = file.held(rule.keys.as_ref())?;
            if let Some(stayed) = &rule.stayed {
                held = held.into_iter().map(|(line, held)| (line, held.without(stayed))).collect();
            }
            let named = Named { path: path.clone(), shown: shown.clone() };
            wanted(&held).then_some(Found { file: named, held, since: rule.since })
        };
        Some(rules.iter().filter_map(by_rule).collect::<Vec<Found>>())
    };
    let counts = |at: usize| is_for_secrets(&versions[at].path, configs);
    let unread = |at: usize, error: Error| Some(Err(error.in_file(&versions[at].shown)));
    let found = held_of(blobs, &ids, counts, hold, unread)?;
    Ok(found.into_iter().flat_map(|(_, found)| found).collect())
}
