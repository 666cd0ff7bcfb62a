//! What Git has at the places of files that are about to be encrypted, whoever has encrypted it, and wherever links lead.
//!
//! Owns that a file which was decrypted in its place does not come to more readers by being encrypted again: it is held against
//! what the index or the last commit has there, as if its data key were to be wrapped for them. `encrypt`, `seal` and `migrate` ask
//! here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;
use std::path::{Path, PathBuf};

use super::{
    Holding, Neighbours, Place, held_of, is_for_secrets, known_rule_of, real, rule_of, unknown_original,
};
use crate::cli::context::Context;
use crate::config::{Configs, RealPaths, absolute};
use crate::document::Format;
use crate::encrypted_file::no_answer;
use crate::error::{Error, Kind, Result};
use crate::keys::KeySet;
use crate::repo::copies::Wrapped;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::{Staged, of_commit};
use crate::repo::git::history::History;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes, sides};
use crate::shown::typed;
use crate::sops::Trial;

/// How often a link may lead from one repository into another.
const MOST_REPOSITORIES: usize = 8;

/// A file that is about to be encrypted.
pub struct ToEncrypt<'f> {
    /// What it counts as for rules, and where it is written.
    pub places: Vec<&'f Path>,
    pub keys: &'f KeySet,
}

/// An error where something may not be encrypted, for it was for fewer readers when Git got it.
pub fn refuse_earlier(context: &Context, file: ToEncrypt<'_>) -> Result<()> {
    refused(context, &[file])?.into_iter().collect()
}

/// Encrypts those of some files that were for no fewer readers when Git got them. Results are in the order of the files.
pub fn encrypt_allowed<T, R>(
    context: &Context,
    mut files: Vec<T>,
    wanted: impl Fn(&T) -> ToEncrypt<'_>,
    encrypt: impl FnOnce(Vec<T>) -> Vec<Result<R>>,
) -> Vec<Result<R>> {
    let refused = refused(context, &files.iter().map(wanted).collect::<Vec<_>>());
    let refused = refused.unwrap_or_else(|error| {
        let others = files.iter().skip(1).map(|_| Err(Error::new(error.kind(), "not encrypted, as above")));
        let others: Vec<Result<()>> = others.collect();
        iter::once(Err(error)).chain(others).collect()
    });
    let mut is_let = refused.iter().map(Result::is_ok);
    files.retain(|_| is_let.next().unwrap_or(false));
    let mut done = if files.is_empty() { Vec::new() } else { encrypt(files) }.into_iter();
    let mut next = || done.next().unwrap_or_else(|| Err(no_answer()));
    refused.into_iter().map(|refused| refused.and_then(|()| next())).collect()
}

/// For each of these files an error where it may not be encrypted, for it was for fewer when Git got it. By the name of sops
/// nothing is refused.
fn refused(context: &Context, files: &[ToEncrypt<'_>]) -> Result<Vec<Result<()>>> {
    let mut refused: Vec<Result<()>> = files.iter().map(|_| Ok(())).collect();
    if context.is_sops() {
        return Ok(refused);
    }
    let each = files.iter().enumerate();
    let places: Vec<(usize, &Path)> = each
        .flat_map(|(file, ToEncrypt { places, .. })| places.iter().map(move |path| (file, *path)))
        .collect();
    let paths: Vec<&Path> = places.iter().map(|(_, path)| *path).collect();
    let (states, is_unopened) = states_of(context, &paths, Trees::IndexAndHead)?;
    if states.is_empty() && !is_unopened {
        return Ok(refused);
    }
    let with_states = states.iter().map(|state| paths[state.place]);
    let all = paths.iter().copied().filter(|_| is_unopened);
    let mut neighbours = Neighbours::with_versions(context, with_states.chain(all).collect::<Vec<_>>())?;
    states.iter().for_each(|state| neighbours.ask_about_prints(paths[state.place], state.holding.prints()));
    neighbours.load()?;
    // Whoever wants to encrypt a file is not kept from it: it would stay in plaintext.
    if let Err(error) = neighbours.refuse_unopened() {
        context.ui.warning_of(&error);
    }
    for State { place, path, holding } in &states {
        let (file, asked) = places[*place];
        let is_refused =
            neighbours.refuse_holding(asked, holding, files[file].keys).and_then(|()| match &holding.ours {
                Some(ours) => neighbours.refuse_versions(asked, ours, files[file].keys),
                None => Ok(()),
            });
        if let Err(error) = is_refused {
            let error =
                if error.kind() == Kind::Conflict { error.advise(restore(path, holding)) } else { error };
            refused[file] = Err(error);
        }
    }
    Ok(refused)
}

/// A data key of a file: as it is wrapped, or open. Anybody can put a wrap of theirs beside another one, or spell one otherwise.
pub(super) enum Key<'k> {
    Wrapped(Wrapped),
    Opened(&'k Trial),
}

/// What was encrypted at the place of a file.
pub(super) struct Earlier {
    /// The file, as it was asked about.
    pub file: PathBuf,
    pub holding: Holding,
    wrapped: Vec<Wrapped>,
    /// How it came there; `None` for what is staged.
    came: Option<Came>,
}

/// A commit by which something came to a place, and what was there before.
struct Came {
    top: PathBuf,
    /// The commit, and those before it: a rule may change along with the file.
    commits: Vec<ObjectId>,
    content: ObjectId,
    before: Vec<ObjectId>,
}

impl Earlier {
    fn new(file: &Path, holding: Holding, came: Option<Came>) -> Self {
        let wrapped = holding.ours.as_ref().map(Wrapped::all_of).unwrap_or_default();
        Self { file: file.to_path_buf(), holding, wrapped, came }
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

/// What the index, and all commits that are left, have encrypted for these places, whatever leads to them. Where no rule says who
/// reads there, nothing.
pub(super) fn versions_of(context: &Context, files: &[PathBuf]) -> Result<Vec<Earlier>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (states, _) = states_of(context, &paths, Trees::Index)?;
    let staged = states.into_iter().map(|state| Earlier::new(&files[state.place], state.holding, None));
    let mut found: Vec<Earlier> = staged.collect();
    found.extend(committed(context, files)?);
    Ok(found)
}

/// What commits have encrypted in these places.
fn committed(context: &Context, files: &[PathBuf]) -> Result<Vec<Earlier>> {
    let (roots, configs) = (Place::of(context), context.configs()?);
    let mut by_root: BTreeMap<PathBuf, Vec<(&PathBuf, PathBuf)>> = BTreeMap::new();
    for file in files.iter().filter(|file| rule_of(file, &configs).is_some()) {
        let path = real(file);
        for root in roots.roots_of(&path) {
            by_root.entry(root.to_path_buf()).or_default().push((file, path.clone()));
        }
    }
    let mut found = Vec::new();
    for (root, files) in by_root {
        let Ok(Some(git)) = Git::find(context.host, &root) else { continue };
        let named = |path: &PathBuf| path.strip_prefix(git.top()).ok().map(Path::to_path_buf);
        let names: BTreeSet<PathBuf> = files.iter().filter_map(|(_, path)| named(path)).collect();
        let history = History::read_files(&git, &sides::all(&git)?, &names)?;
        let mut by_path: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
        for (at, version) in history.versions.iter().enumerate() {
            by_path.entry(&history.paths[version.path]).or_default().push(at);
        }
        let of_file = |(file, path): &(&PathBuf, PathBuf)| {
            let versions = named(path).and_then(|name| by_path.get(&*name)).into_iter().flatten();
            versions.map(|at| ((*file).clone(), *at)).collect::<Vec<_>>()
        };
        let versions: Vec<(PathBuf, usize)> = files.iter().flat_map(of_file).collect();
        let id = |at: usize| &history.blobs[history.versions[versions[at].1].blob].id;
        let ids: Vec<&ObjectId> = (0..versions.len()).map(id).collect();
        let counts = |at: usize| is_for_secrets(&versions[at].0, &configs);
        let holding = |at: usize, bytes: &_| {
            Holding::of(Format::of_path(&versions[at].0), bytes).filter(Holding::is_encrypted)
        };
        let unread = |_, error: Error| Some(Err(unknown_original(error)));
        let held = held_of(&mut Blobs::open(&git)?, &ids, counts, holding, unread)?;
        found.extend(held.into_iter().map(|(at, holding)| {
            let (file, version) = &versions[at];
            let commit = &history.commits[history.versions[*version].commit];
            let commits = iter::once(&commit.id).chain(&commit.parents).cloned().collect();
            let before = history.before[*version].clone();
            let came = Came { top: git.top().to_path_buf(), commits, content: id(at).clone(), before };
            Earlier::new(file, holding, Some(came))
        }));
    }
    Ok(found)
}

/// Whether each of these data keys of a file came to its place for all whom the rule there named at that time: then it was made
/// for this place, whatever else has been there.
pub(super) fn is_made_for_its_place(
    context: &Context,
    path: &Path,
    keys: &[Key<'_>],
    versions: &[&Earlier],
) -> Result<bool> {
    let place = real(path);
    let mut by_content: HashMap<&ObjectId, &Earlier> = HashMap::new();
    for version in versions {
        by_content.extend(version.came.as_ref().map(|came| (&came.content, *version)));
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
                let rules = came.commits.iter().map(|commit| then.rule(&came.top, Some(commit), &place));
                let rules: Vec<KeySet> = rules.filter_map(Result::transpose).collect::<Result<_>>()?;
                if !rules.iter().any(|rule| list.is_for_all_of(rule)) {
                    return Ok(false);
                }
            }
        }
        if let (false, Key::Wrapped(key)) = (is_committed, key) {
            let today = rule_of(path, &context.configs()?).filter(|rule| !rule.is_only_sent());
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

fn restore(path: &Path, holding: &Holding) -> String {
    let path = typed(path);
    let let_in = match holding.program() {
        Some(program) => format!("sealant migrate {program} --allow-copied {path}"),
        None => format!("sealant rotate -i --allow-copied {path}"),
    };
    format!(
        "The encrypted file that Git has at this path came from there, and this is its plaintext. To let the readers of this \
         path read it: `git checkout HEAD -- {path}`, `{let_in}`, and commit it."
    )
}

/// What Git has encrypted for a place.
struct State {
    /// The number of the place.
    place: usize,
    /// Where it is, as it is shown: in the place itself, or where a link leads.
    path: PathBuf,
    holding: Holding,
}

/// The number of a place, and where what Git has for it may be.
type Sought = (usize, PathBuf);

/// Where Git is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trees {
    Index,
    IndexAndHead,
}

/// What the index and the last commit have in these places that somebody has encrypted. Links are followed as they are in the
/// working tree, in the index and in the last commit, but not out of the outermost repository of a place. Also whether there is a
/// repository that Git does not open.
fn states_of(context: &Context, paths: &[&Path], trees: Trees) -> Result<(Vec<State>, bool)> {
    let (roots, configs) = (Place::of(context), context.configs()?);
    let working_dir = real(&context.lookup()?.working_dir);
    let mut within: Vec<Option<PathBuf>> = Vec::new();
    let mut next: Vec<Sought> = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let path = std::path::absolute(path).unwrap_or_default();
        let own = path.parent().zip(path.file_name()).map(|(folder, name)| real(folder).join(name));
        within.push(own.as_deref().and_then(|own| roots.roots_of(own).last().map(|root| root.to_path_buf())));
        next.extend(own.into_iter().chain([real(&path)]).map(|path| (at, path)));
    }
    let (mut found, mut seen, mut is_unopened) = (Vec::new(), BTreeSet::new(), false);
    for _ in 0..MOST_REPOSITORIES {
        let mut by_root: BTreeMap<PathBuf, Vec<Sought>> = BTreeMap::new();
        for (at, path) in next.drain(..) {
            let is_within = within[at].as_ref().is_some_and(|root| path.starts_with(root));
            if is_within && seen.insert((at, path.clone())) {
                let root = roots.roots_of(&path).first().map(|root| root.to_path_buf());
                by_root.entry(root.unwrap_or_default()).or_default().push((at, path));
            }
        }
        for (root, places) in by_root {
            let git = match Git::find(context.host, &root) {
                Ok(Some(git)) => git,
                Ok(None) => continue,
                Err(_) => {
                    is_unopened = true;
                    continue;
                }
            };
            let (states, elsewhere) = states_in(&git, &places, trees, &roots, &configs)?;
            found.extend(states);
            next.extend(elsewhere);
        }
    }
    // Where no rule says who reads there, the person does.
    let is_ruled = |path: &Path| rule_of(path, &configs).is_some();
    found.retain(|state: &State| is_ruled(paths[state.place]) || is_ruled(&state.path));
    for state in &mut found {
        state.path = state.path.strip_prefix(&working_dir).unwrap_or(&state.path).to_path_buf();
    }
    found.sort_by_key(|state| state.place);
    Ok((found, is_unopened))
}

/// Those of one repository, and the places in others to which its links lead.
fn states_in(
    git: &Git,
    places: &[Sought],
    wanted: Trees,
    roots: &Place,
    configs: &Configs,
) -> Result<(Vec<State>, Vec<Sought>)> {
    let mut blobs = Blobs::open(git)?;
    let mut trees = vec![Tree::of_index(git)?];
    let head = if wanted == Trees::IndexAndHead { changes::head(git)? } else { None };
    trees.extend(head.map(|head| Tree::of_commit(git, &head)).transpose()?);
    // A file in conflict has several versions there.
    let sides = changes::sides_of_conflicts(git)?;
    let (mut found, mut elsewhere) = (BTreeSet::new(), Vec::new());
    for tree in &trees {
        let mut links = Staged::read(git.top(), &Tree::default(), None, &mut blobs)?;
        links.read_links(tree, &mut blobs)?;
        let real_paths = RealPaths::default();
        for (place, path) in places {
            let path = real_paths.of_file(path, &links);
            let name = path.strip_prefix(git.top()).ok();
            let of_place = sides.iter().filter(|(side, _)| name == Some(side.as_path()));
            found.extend(of_place.map(|(_, id)| (*place, path.clone(), id)));
            match name.and_then(|name| tree.get(name)) {
                Some(Entry::File(id)) => _ = found.insert((*place, path, id)),
                _ if roots.roots_of(&path).first() != Some(&git.top()) => elsewhere.push((*place, path)),
                _ => {}
            }
        }
    }
    let found: Vec<(usize, PathBuf, &ObjectId)> = found.into_iter().collect();
    let ids: Vec<&ObjectId> = found.iter().map(|(.., id)| *id).collect();
    let counts = |at: usize| is_for_secrets(&found[at].1, configs);
    let holding = |at: usize, bytes: &_| {
        Holding::of(Format::of_path(&found[at].1), bytes).filter(Holding::is_encrypted)
    };
    let unread = |_, error: Error| Some(Err(unknown_original(error)));
    let states = held_of(&mut blobs, &ids, counts, holding, unread)?.into_iter();
    let states = states.map(|(at, holding)| {
        let (place, path, _) = &found[at];
        State { place: *place, path: path.clone(), holding }
    });
    Ok((states.collect(), elsewhere))
}
