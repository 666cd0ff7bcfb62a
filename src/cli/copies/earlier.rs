//! What Git has at the places of files that are about to be encrypted, whoever has encrypted it, and wherever links lead.
//!
//! Owns that a file which was decrypted in its place does not come to more readers by being encrypted again: it is held against
//! what the index or the last commit has there, as if its data key were to be wrapped for them. Also that readers whom only a step of
//! what is under way names are told. `encrypt`, `seal`, `migrate` and `--fix` ask here.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::{Path, PathBuf};

use super::{Holding, Neighbours, Place, held_of, is_for_secrets, left_behind, real, rule_of};
use crate::cli::context::Context;
use crate::cli::merging;
use crate::config::{Configs, RealPaths};
use crate::document::Format;
use crate::encrypted_file::no_answer;
use crate::error::{Error, Kind, Result};
use crate::keys::KeySet;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::Staged;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes};
use crate::shown::typed;

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

/// Encrypts those of some files that were for no fewer readers when Git got them, or all if somebody `allows_copied`. Results are in
/// the order of the files.
pub fn encrypt_allowed<T, R>(
    context: &Context,
    allows_copied: bool,
    mut files: Vec<T>,
    wanted: impl Fn(&T) -> ToEncrypt<'_>,
    encrypt: impl FnOnce(Vec<T>) -> Vec<Result<R>>,
) -> Vec<Result<R>> {
    let to_encrypt: Vec<ToEncrypt<'_>> = files.iter().map(wanted).collect();
    let refused = match allows_copied {
        true => {
            merging::tell_of_new(context, &to_encrypt);
            Ok(files.iter().map(|_| Ok(())).collect())
        }
        false => refused(context, &to_encrypt),
    };
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
    merging::tell_of_new(context, files);
    let each = files.iter().enumerate();
    let places: Vec<(usize, &Path)> = each
        .flat_map(|(file, ToEncrypt { places, .. })| places.iter().map(move |path| (file, *path)))
        .collect();
    let paths: Vec<&Path> = places.iter().map(|(_, path)| *path).collect();
    left_behind::refuse(context, &context.configs()?, paths.iter().copied())?;
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
                None => neighbours.refuse_versions_but(asked, files[file].keys, Vec::new),
            });
        if let Err(error) = is_refused {
            let error =
                if error.kind() == Kind::Conflict { error.advise(restore(path, holding)) } else { error };
            refused[file] = Err(error);
        }
    }
    Ok(refused)
}

fn restore(path: &Path, holding: &Holding) -> String {
    let path = typed(path);
    let let_in = match holding.program() {
        Some(program) => format!("sealant migrate {program} --allow-copied {path}"),
        None => format!("sealant rotate -i --allow-copied {path}"),
    };
    format!(
        "The encrypted file that Git has at this path came from there, and this is its plaintext. To let the readers of this \
         path read it: `git checkout HEAD -- {path}`, `{let_in}`, and commit it. That replaces the plaintext: if it has changes of yours, \
         copy it out of the repository first, and make them again with `sealant edit {path}`."
    )
}

/// What Git has encrypted for a place.
pub(super) struct State {
    /// The number of the place.
    pub place: usize,
    /// Where it is, as it is shown: in the place itself, or where a link leads.
    path: PathBuf,
    pub holding: Holding,
}

/// The number of a place, and where what Git has for it may be.
type Sought = (usize, PathBuf);

/// Where Git is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trees {
    Index,
    IndexAndHead,
}

/// What the index and the last commit have in these places that somebody has encrypted. Links are followed as they are in the
/// working tree, in the index and in the last commit, but not out of the outermost repository of a place. Also whether there is a
/// repository that Git does not open.
pub(super) fn states_of(context: &Context, paths: &[&Path], trees: Trees) -> Result<(Vec<State>, bool)> {
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
    let unread = |_, error: Error| Some(Err(error));
    let states = held_of(&mut blobs, &ids, counts, holding, unread)?.into_iter();
    let states = states.map(|(at, holding)| {
        let (place, path, _) = &found[at];
        State { place: *place, path: path.clone(), holding }
    });
    Ok((states.collect(), elsewhere))
}
