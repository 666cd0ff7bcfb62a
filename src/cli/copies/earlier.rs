//! What Git has at the places of files that are about to be encrypted.
//!
//! Owns that a file which was decrypted in its place does not come to more readers by being encrypted again: it is held against
//! the encrypted file that the index or the last commit has there, as if its data key were to be wrapped for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Neighbours, Place, held_of, parsed, real, rule_of, unknown_original};
use crate::cli::context::Context;
use crate::document::Format;
use crate::encrypted_file::EncryptedFile;
use crate::error::{Error, Result};
use crate::keys::KeySet;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes};
use crate::shown::typed;

/// A file that is about to be encrypted.
pub struct ToEncrypt<'f> {
    /// What it counts as for rules, and where it is written.
    pub places: Vec<&'f Path>,
    pub keys: &'f KeySet,
}

/// For each of these files an error where it may not be encrypted, for it was for fewer when Git got it. By the name of sops
/// nothing is refused.
pub fn refuse_earlier(context: &Context, files: &[ToEncrypt<'_>]) -> Result<Vec<Result<()>>> {
    let mut refused: Vec<Result<()>> = files.iter().map(|_| Ok(())).collect();
    if context.is_sops() {
        return Ok(refused);
    }
    let each = files.iter().enumerate();
    let places: Vec<(usize, &Path)> = each
        .flat_map(|(file, ToEncrypt { places, .. })| places.iter().map(move |path| (file, *path)))
        .collect();
    let paths: Vec<&Path> = places.iter().map(|(_, path)| *path).collect();
    let states = states_of(context, &paths)?;
    if states.is_empty() {
        return Ok(refused);
    }
    let with_states = states.iter().map(|(at, _)| paths[*at]);
    let mut neighbours = Neighbours::of(context, with_states)?;
    states.iter().for_each(|(at, state)| neighbours.ask_about(paths[*at], [state]));
    neighbours.load()?;
    for (at, state) in &states {
        let (file, path) = places[*at];
        if let Err(error) = neighbours.refuse(path, state, files[file].keys) {
            refused[file] = Err(error.advise(restore(path)));
        }
    }
    Ok(refused)
}

fn restore(path: &Path) -> String {
    let path = typed(path);
    format!(
        "The encrypted file that Git has at this path came from there, and this is its plaintext. To let the readers of this \
         path read it: `git checkout HEAD -- {path}`, `sealant rotate -i --allow-copied {path}`, and commit it."
    )
}

/// The encrypted files that the index and the last commit have in these places, each with the number of the place.
fn states_of(context: &Context, paths: &[&Path]) -> Result<Vec<(usize, EncryptedFile)>> {
    let (place, configs) = (Place::of(context), context.configs()?);
    let mut by_root: BTreeMap<PathBuf, Vec<(usize, PathBuf)>> = BTreeMap::new();
    for (at, path) in paths.iter().enumerate() {
        let path = std::path::absolute(path).ok();
        let path = path.and_then(|path| Some(real(path.parent()?).join(path.file_name()?)));
        // Where no rule says who reads there, the person does.
        let Some(path) = path.filter(|path| rule_of(path, &configs).is_some()) else { continue };
        if let Some(root) = place.roots_of(&path).first() {
            by_root.entry(root.to_path_buf()).or_default().push((at, path));
        }
    }
    let mut states = Vec::new();
    for (root, places) in by_root {
        // Where Git does not answer, it has nothing.
        let Ok(git) = Git::of(context.host, &root) else { continue };
        states.extend(states_in(&git, &places)?);
    }
    states.sort_by_key(|(at, _)| *at);
    Ok(states)
}

fn states_in(git: &Git, places: &[(usize, PathBuf)]) -> Result<Vec<(usize, EncryptedFile)>> {
    let name = |path: &PathBuf| path.strip_prefix(git.top()).ok().map(Path::to_path_buf);
    let names: BTreeSet<PathBuf> = places.iter().filter_map(|(_, path)| name(path)).collect();
    let mut trees = vec![Tree::of_index(git)?];
    if let Some(head) = changes::head(git)? {
        trees.push(Tree::of_commit_at(git, &head, &names)?);
    }
    let mut found: BTreeSet<(usize, &ObjectId)> = BTreeSet::new();
    for (number, (_, path)) in places.iter().enumerate() {
        for tree in &trees {
            if let Some(Entry::File(id)) = name(path).and_then(|name| tree.get(&name)) {
                found.insert((number, id));
            }
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<(usize, &ObjectId)> = found.into_iter().collect();
    let ids: Vec<&ObjectId> = found.iter().map(|(_, id)| *id).collect();
    let format = |at: usize| Format::of_path(&places[found[at].0].1);
    let file = |at: usize, bytes: &_| parsed(format(at), bytes);
    let unread = |_, error: Error| Some(Err(unknown_original(error)));
    let states = held_of(&mut Blobs::open(git)?, &ids, format, file, unread)?;
    Ok(states.into_iter().map(|(at, state)| (places[found[at].0].0, state)).collect())
}
