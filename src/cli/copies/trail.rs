//! The versions that a file may come from: what Git has encrypted at its path, and at each path where its data key ever was, or
//! that of such a version.
//!
//! Owns which paths those are, and whether a data key was made for the readers of all places to which it came. A new data key that
//! somebody made elsewhere, and that a branch then moved along, is told by that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::earlier::{State, Trees, states_of};
use super::past::{Asked, LastRules, was_never_for_fewer};
use super::{Holding, Place, held_of, is_for_secrets, parsed, past_rule_of, real, rule_of};
use crate::cli::context::Context;
use crate::config::Configs;
use crate::document::Format;
use crate::error::Result;
use crate::fs;
use crate::repo::copies::{Places, Prints, Wrapped};
use crate::repo::git::ancestry::Ancestry;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::history::History;
use crate::repo::git::tree::ObjectId;
use crate::repo::git::{Git, changes, sides};
use crate::sops::Trial;

/// A data key of a file: as it is wrapped, or open. Anybody can put a wrap of theirs beside another one, or spell one otherwise.
pub(super) enum Key<'k> {
    Wrapped(Wrapped),
    Opened(&'k Trial),
}

/// What was encrypted at a place.
pub(super) struct Earlier {
    pub holding: Holding,
    wrapped: Vec<Wrapped>,
    /// How it came there; `None` for what is staged.
    came: Option<Came>,
}

/// A commit by which something came to a place, and what was there before.
struct Came {
    /// The number of the repository.
    repository: usize,
    place: PathBuf,
    commit: ObjectId,
    content: ObjectId,
    before: Vec<ObjectId>,
}

impl Earlier {
    fn new(holding: Holding, came: Option<Came>) -> Self {
        let wrapped = holding.ours.as_ref().map(Wrapped::all_of).unwrap_or_default();
        Self { holding, wrapped, came }
    }

    /// Whether it was in this place, and not where the file was before that.
    pub fn was_at(&self, place: &Path) -> bool {
        self.came.as_ref().is_none_or(|came| came.place == place)
    }

    /// Those of its data keys that are this one, as far as that can be told.
    fn having<'e>(&'e self, key: &'e Key<'_>) -> impl Iterator<Item = &'e Wrapped> {
        let is_opened = matches!(key, Key::Opened(trial) if self.holding.is_of(trial));
        self.wrapped.iter().filter(move |wrapped| match key {
            Key::Wrapped(key) => wrapped.is_same(key),
            Key::Opened(_) => is_opened,
        })
    }
}

/// The versions of some files.
#[derive(Default)]
pub(super) struct Versions {
    /// Which trail each file is on.
    of_file: HashMap<PathBuf, usize>,
    trails: Vec<Vec<Earlier>>,
    /// Of each repository its top, and what it has had.
    histories: Vec<(PathBuf, History)>,
}

impl Versions {
    /// What the index, and all commits that are left, have encrypted at the paths that lead to these files. Where no rule says who
    /// reads a file, nothing. `asked` is what else will be in them.
    ///
    /// Where all rules of today name the same readers (`is_one`), repositories count in which others have been named.
    pub fn read(context: &Context, files: &[PathBuf], asked: &[Asked], is_one: bool) -> Result<Self> {
        let configs = context.configs()?;
        let ruled: Vec<(&PathBuf, PathBuf)> = files
            .iter()
            .filter(|file| rule_of(file, &configs).is_some())
            .map(|file| (file, real(file)))
            .collect();
        if ruled.is_empty() {
            return Ok(Self::default());
        }
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let (staged, _) = states_of(context, &paths, Trees::Index)?;
        let roots = Place::of(context);
        let tops: BTreeSet<&Path> = ruled.iter().flat_map(|(_, place)| roots.roots_of(place)).collect();
        let gits = tops.into_iter().filter_map(|top| Git::find(context.host, top).ok().flatten());
        let mut gits: Vec<Git<'_>> = gits.collect();
        if is_one {
            let had_others = |git: &Git<'_>| Ok(!was_never_for_fewer(git, &[&configs], context)?);
            let had_others = gits.iter().map(had_others).collect::<Result<Vec<bool>>>()?;
            let mut had_others = had_others.into_iter();
            gits.retain(|_| had_others.next().unwrap_or(true));
        }
        let mut repositories = Vec::new();
        for git in &gits {
            repositories.push(Repository::read(git, &configs)?);
        }
        let mut keys = Keys::default();
        repositories.iter().for_each(|repository| keys.add_all(repository.keys()));
        keys.add_all(ruled.par_iter().filter_map(|(_, place)| on_disk(place)).collect::<Vec<_>>());
        keys.add_all(asked.iter().map(|asked| (asked.path.clone(), asked.prints.clone())));
        keys.add_all(staged.iter().filter_map(|State { place, holding, .. }| {
            Some((real(paths[*place]), Prints::of_keys(holding.ours.as_ref()?)))
        }));

        let (on_trail, count) = keys.trails(ruled.iter().map(|(_, place)| place.as_path()));
        let of_file =
            ruled.iter().filter_map(|(file, place)| Some(((*file).clone(), *on_trail.get(&**place)?)));
        let mut versions = Self {
            of_file: of_file.collect(),
            trails: iter::repeat_with(Vec::new).take(count).collect(),
            histories: Vec::new(),
        };
        for State { place, holding, .. } in staged {
            if let Some(trail) = versions.of_file.get(paths[place]) {
                versions.trails[*trail].push(Earlier::new(holding, None));
            }
        }
        for (number, repository) in repositories.iter().enumerate() {
            for (trail, version) in repository.versions(number, &on_trail, &configs)? {
                versions.trails[trail].push(version);
            }
        }
        drop(on_trail);
        versions.histories.extend(
            repositories
                .into_iter()
                .map(|repository| (repository.git.top().to_path_buf(), repository.history)),
        );
        Ok(versions)
    }

    /// Those of one of the files.
    pub fn of(&self, file: &Path) -> &[Earlier] {
        self.of_file.get(file).map(|trail| &*self.trails[*trail]).unwrap_or_default()
    }
}

/// The data keys of a file that is there.
fn on_disk(place: &Path) -> Option<(PathBuf, Prints)> {
    let format = Format::of_path(place);
    let bytes = fs::read_found(place, format.most_bytes() as u64).ok()?;
    Some((place.to_path_buf(), Prints::of_keys(&parsed(format, &bytes)?)))
}

/// Where data keys are, and ever were.
#[derive(Default)]
struct Keys {
    of_place: HashMap<PathBuf, Prints>,
}

impl Keys {
    fn add_all(&mut self, found: impl IntoIterator<Item = (PathBuf, Prints)>) {
        for (place, keys) in found {
            self.of_place.entry(place).or_default().add(&keys);
        }
    }

    /// The number of the trail on which each place is that leads to one of these, and how many trails there are: places are on one
    /// that had a data key in common.
    fn trails<'p>(&'p self, wanted: impl Iterator<Item = &'p Path>) -> (HashMap<&'p Path, usize>, usize) {
        let mut places = Places::default();
        self.of_place.iter().for_each(|(place, keys)| places.add(place, keys));
        let (mut found, mut count, mut seen) = (HashMap::new(), 0, Prints::default());
        for wanted in wanted {
            if found.contains_key(wanted) {
                continue;
            }
            let mut next = vec![wanted];
            while let Some(place) = next.pop() {
                if found.insert(place, count).is_some() {
                    continue;
                }
                let keys = self.of_place.get(place).map(|keys| keys.without(&seen)).unwrap_or_default();
                next.extend(places.of(&keys).into_keys());
                seen.add(&keys);
            }
            count += 1;
        }
        (found, count)
    }
}

/// What the commits of a repository have encrypted.
struct Repository<'g> {
    git: &'g Git<'g>,
    history: History,
    /// The paths of the history on the disk.
    places: Vec<PathBuf>,
    /// The data keys of each content that has some.
    keys: HashMap<usize, Prints>,
}

impl<'g> Repository<'g> {
    fn read(git: &'g Git<'g>, configs: &Configs) -> Result<Self> {
        let history = History::read_all_with_before(git, &sides::all(git)?)?;
        let places: Vec<PathBuf> = history.paths.iter().map(|path| git.top().join(path)).collect();
        let is_for_readers =
            |place: &PathBuf| is_for_secrets(place, configs) && past_rule_of(place, configs).is_some();
        let ruled: Vec<bool> = places.par_iter().map(is_for_readers).collect();
        let of_ruled = history.versions.iter().filter(|version| ruled[version.path]);
        let of_ruled: HashSet<usize> = of_ruled.map(|version| version.blob).collect();
        let ids: Vec<&ObjectId> = history.blobs.iter().map(|blob| &blob.id).collect();
        let keys = |at: usize, bytes: &_| Some(Prints::of_keys(&parsed(history.blobs[at].format, bytes)?));
        // What is missing in a partial clone matters where a rule names readers.
        let counts = |at: usize| of_ruled.contains(&at);
        let unread = |at, error| counts(at).then(|| Err(error));
        let found = held_of(&mut Blobs::open(git)?, &ids, counts, keys, unread)?;
        Ok(Self { git, keys: found.into_iter().collect(), places, history })
    }

    /// The data keys of each place.
    fn keys(&self) -> impl Iterator<Item = (PathBuf, Prints)> {
        let keys = |path: usize, blob| Some((self.places[path].clone(), self.keys.get(&blob)?.clone()));
        let all: HashSet<(usize, usize)> =
            self.history.versions.iter().map(|version| (version.path, version.blob)).collect();
        all.into_iter().filter_map(move |(path, blob)| keys(path, blob))
    }

    /// What was encrypted at places on trails, each with the number of its trail.
    fn versions(
        &self,
        number: usize,
        on_trail: &HashMap<&Path, usize>,
        configs: &Configs,
    ) -> Result<Vec<(usize, Earlier)>> {
        let History { versions, commits, blobs, before, .. } = &self.history;
        let trail = |at: usize| Some((*on_trail.get(&*self.places[versions[at].path])?, at));
        let wanted: Vec<(usize, usize)> = (0..versions.len()).filter_map(trail).collect();
        let place = |at: usize| &self.places[versions[wanted[at].1].path];
        let id = |at: usize| &blobs[versions[wanted[at].1].blob].id;
        let ids: Vec<&ObjectId> = (0..wanted.len()).map(id).collect();
        let counts = |at: usize| is_for_secrets(place(at), configs);
        let holding = |at: usize, bytes: &_| {
            Holding::of(Format::of_path(place(at)), bytes).filter(Holding::is_encrypted)
        };
        let unread = |_, error| Some(Err(error));
        let held = held_of(&mut Blobs::open(self.git)?, &ids, counts, holding, unread)?;
        let version = |(at, holding): (usize, _)| {
            let (trail, version) = wanted[at];
            let came = Came {
                repository: number,
                place: place(at).clone(),
                commit: commits[versions[version].commit].id.clone(),
                content: id(at).clone(),
                before: before[version].clone(),
            };
            (trail, Earlier::new(holding, Some(came)))
        };
        Ok(held.into_iter().map(version).collect())
    }
}

impl Versions {
    /// Whether each of these data keys of a file came to all of its places for all who read there today and could do so then or
    /// before: then it was made for its readers, whatever else has been there. `path` is where it is now.
    pub fn are_made_for_their_places(
        &self,
        context: &Context,
        path: &Path,
        keys: &[Key<'_>],
    ) -> Result<bool> {
        let versions = self.of(path);
        let mut by_content: HashMap<&ObjectId, &Earlier> = HashMap::new();
        for version in versions {
            by_content.extend(version.came.as_ref().map(|came| (&came.content, version)));
        }
        let find = |history: &(PathBuf, History)| Git::find(context.host, &history.0).ok().flatten();
        let gits: Vec<Option<Git<'_>>> = self.histories.iter().map(find).collect();
        let mut told: Vec<Told<'_>> = Vec::new();
        for ((_, history), git) in self.histories.iter().zip(&gits) {
            let Some(git) = git else { return Ok(false) };
            told.push(Told::of(git, history, context)?);
        }
        let configs = context.configs()?;
        for key in keys {
            let mut is_committed = false;
            for (version, came) in
                versions.iter().filter_map(|version| Some((version, version.came.as_ref()?)))
            {
                for list in version.having(key) {
                    is_committed = true;
                    let before = came.before.iter().filter_map(|id| by_content.get(id));
                    let mut had = before.flat_map(|before| before.having(key));
                    if had.any(|had| matches!(key, Key::Opened(_)) || had.is_same(list)) {
                        continue;
                    }
                    if !told[came.repository].came_made(list, came, &configs, &real(path))? {
                        return Ok(false);
                    }
                }
            }
            if let (false, Key::Wrapped(key)) = (is_committed, key) {
                let place = real(path);
                let Some(told) = told.iter_mut().find(|told| place.starts_with(told.git.top())) else {
                    return Ok(false);
                };
                let is_made = match changes::head_id(told.git)? {
                    Some(head) => told.is_made(key, &head, &place, &configs)?,
                    None => rule_of(path, &configs).is_some_and(|rule| key.is_for_all_of(&rule)),
                };
                if !is_made {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// What the configs of a repository's commits said.
struct Told<'g> {
    git: &'g Git<'g>,
    rules: LastRules<'g>,
}

impl<'g> Told<'g> {
    fn of(git: &'g Git<'g>, history: &'g History, context: &Context) -> Result<Self> {
        let ancestry = Arc::new(Ancestry::of(history));
        Ok(Self { git, rules: LastRules::of_context(git, history, ancestry, context)? })
    }

    /// Where no rule is for its place any more, those read it today who do so in this one.
    fn came_made(&mut self, key: &Wrapped, came: &Came, configs: &Configs, now: &Path) -> Result<bool> {
        let today = past_rule_of(&came.place, configs).or_else(|| past_rule_of(now, configs));
        self.rules.came_made(key, &came.commit, &came.place, today.as_ref())
    }

    fn is_made(&mut self, key: &Wrapped, head: &ObjectId, place: &Path, configs: &Configs) -> Result<bool> {
        let today = past_rule_of(place, configs);
        self.rules.is_made(key, head, place, today.as_ref())
    }
}
