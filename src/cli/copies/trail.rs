//! The versions that a file may come from: what Git has encrypted at its path, and at each path where its data key ever was, or
//! that of such a version.
//!
//! Owns which paths those are, and whether a data key was made for the readers of all places to which it came. A new data key that
//! somebody made elsewhere, and that a branch then moved along, is told by that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::iter;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::earlier::{State, Trees, states_of};
use super::past::Asked;
use super::{
    Holding, Place, held_of, is_for_secrets, known_rule_of, parsed, past_rule_of, real, rule_of,
    unknown_original,
};
use crate::cli::context::Context;
use crate::config::{Configs, absolute};
use crate::document::Format;
use crate::error::Result;
use crate::fs;
use crate::keys::KeySet;
use crate::repo::copies::{Places, Prints, Wrapped};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::of_commit;
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
    top: PathBuf,
    place: PathBuf,
    /// The commit, and those before it: a rule may change along with the file.
    commits: Vec<ObjectId>,
    content: ObjectId,
    before: Vec<ObjectId>,
}

impl Earlier {
    fn new(holding: Holding, came: Option<Came>) -> Self {
        let wrapped = holding.ours.as_ref().map(Wrapped::all_of).unwrap_or_default();
        Self { holding, wrapped, came }
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
}

impl Versions {
    /// What the index, and all commits that are left, have encrypted at the paths that lead to these files. Where no rule says who
    /// reads a file, nothing. `asked` is what else will be in them.
    pub fn read(context: &Context, files: &[PathBuf], asked: &Asked) -> Result<Self> {
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
        let gits: Vec<Git<'_>> =
            tops.into_iter().filter_map(|top| Git::find(context.host, top).ok().flatten()).collect();
        let mut repositories = Vec::new();
        for git in &gits {
            repositories.push(Repository::read(git, &configs)?);
        }
        let mut keys = Keys::default();
        repositories.iter().for_each(|repository| keys.add_all(repository.keys()));
        keys.add_all(ruled.par_iter().filter_map(|(_, place)| on_disk(place)).collect::<Vec<_>>());
        keys.add_all(asked.iter().map(|(place, prints)| (place.clone(), prints.clone())));
        keys.add_all(staged.iter().filter_map(|State { place, holding, .. }| {
            Some((real(paths[*place]), Prints::of_keys(holding.ours.as_ref()?)))
        }));

        let (on_trail, count) = keys.trails(ruled.iter().map(|(_, place)| place.as_path()));
        let of_file =
            ruled.iter().filter_map(|(file, place)| Some(((*file).clone(), *on_trail.get(&**place)?)));
        let mut versions =
            Self { of_file: of_file.collect(), trails: iter::repeat_with(Vec::new).take(count).collect() };
        for State { place, holding, .. } in staged {
            if let Some(trail) = versions.of_file.get(paths[place]) {
                versions.trails[*trail].push(Earlier::new(holding, None));
            }
        }
        for repository in &repositories {
            for (trail, version) in repository.versions(&on_trail, &configs)? {
                versions.trails[trail].push(version);
            }
        }
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
        let ruled: Vec<bool> =
            places.par_iter().map(|place| past_rule_of(place, configs).is_some()).collect();
        let of_ruled = history.versions.iter().filter(|version| ruled[version.path]);
        let of_ruled: HashSet<usize> = of_ruled.map(|version| version.blob).collect();
        let ids: Vec<&ObjectId> = history.blobs.iter().map(|blob| &blob.id).collect();
        let keys = |at: usize, bytes: &_| Some(Prints::of_keys(&parsed(history.blobs[at].format, bytes)?));
        // What is missing in a partial clone matters where a rule names readers.
        let counts = |at: usize| of_ruled.contains(&at);
        let unread = |at, error| counts(at).then(|| Err(unknown_original(error)));
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
    fn versions(&self, on_trail: &HashMap<&Path, usize>, configs: &Configs) -> Result<Vec<(usize, Earlier)>> {
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
        let unread = |_, error| Some(Err(unknown_original(error)));
        let held = held_of(&mut Blobs::open(self.git)?, &ids, counts, holding, unread)?;
        let version = |(at, holding): (usize, _)| {
            let (trail, version) = wanted[at];
            let commit = &commits[versions[version].commit];
            let came = Came {
                top: self.git.top().to_path_buf(),
                place: place(at).clone(),
                commits: iter::once(&commit.id).chain(&commit.parents).cloned().collect(),
                content: id(at).clone(),
                before: before[version].clone(),
            };
            (trail, Earlier::new(holding, Some(came)))
        };
        Ok(held.into_iter().map(version).collect())
    }
}

/// Whether each of these data keys of a file came to all of its places for all whom the rule there named at that time: then it was
/// made for its readers, whatever else has been there. `path` is where it is now.
pub(super) fn is_made_for_its_places(
    context: &Context,
    path: &Path,
    keys: &[Key<'_>],
    versions: &[Earlier],
) -> Result<bool> {
    let mut by_content: HashMap<&ObjectId, &Earlier> = HashMap::new();
    for version in versions {
        by_content.extend(version.came.as_ref().map(|came| (&came.content, version)));
    }
    let mut then = Then { context, known: HashMap::new() };
    for key in keys {
        let mut is_committed = false;
        for (version, came) in versions.iter().filter_map(|version| Some((version, version.came.as_ref()?))) {
            for list in version.having(key) {
                is_committed = true;
                let before = came.before.iter().filter_map(|id| by_content.get(id));
                let mut had = before.flat_map(|before| before.having(key));
                if had.any(|had| matches!(key, Key::Opened(_)) || had.is_same(list)) {
                    continue;
                }
                let rules = came.commits.iter().map(|commit| then.rule(&came.top, Some(commit), &came.place));
                let rules: Vec<KeySet> = rules.filter_map(Result::transpose).collect::<Result<_>>()?;
                if !rules.iter().any(|rule| list.is_for_all_of(rule)) {
                    return Ok(false);
                }
            }
        }
        if let (false, Key::Wrapped(key)) = (is_committed, key) {
            let today = rule_of(path, &context.configs()?).filter(|rule| !rule.is_only_sent());
            let place = real(path);
            let top = Place::of(context).roots_of(&place).first().map(|top| top.to_path_buf());
            let last = top.map(|top| then.rule(&top, None, &place)).transpose()?.flatten();
            if ![today, last].iter().flatten().any(|rule| key.is_for_all_of(rule)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The rules of commits.
struct Then<'a> {
    context: &'a Context<'a>,
    known: HashMap<(PathBuf, Option<ObjectId>), Option<Configs>>,
}

impl Then<'_> {
    /// Whom the rule of a place named in a commit, or in the last one; `None` where there was none, or it cannot be read.
    fn rule(&mut self, top: &Path, commit: Option<&ObjectId>, place: &Path) -> Result<Option<KeySet>> {
        let key = (top.to_path_buf(), commit.cloned());
        if !self.known.contains_key(&key) {
            let mut lookup = self.context.lookup()?;
            lookup.explicit = lookup.explicit.map(|path| absolute(&path, &lookup.working_dir));
            lookup.working_dir = real(&lookup.working_dir);
            let git = Git::find(self.context.host, top).ok().flatten();
            let head = git.as_ref().and_then(|git| changes::head(git).ok().flatten());
            let commit = commit.map(ObjectId::as_str).or(head.as_deref());
            let configs =
                git.as_ref().zip(commit).and_then(|(git, commit)| of_commit(git, commit, lookup).ok());
            self.known.insert(key.clone(), configs);
        }
        let configs = self.known.get(&key).and_then(Option::as_ref);
        Ok(configs.and_then(|configs| known_rule_of(place, configs)).filter(|rule| !rule.is_only_sent()))
    }
}
