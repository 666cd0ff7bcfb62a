//! Working trees of one repository that lie within one another, or below the folder that holds it.
//!
//! Owns that a file of one is no copy of the same file in another: each has the rules of its branch. What is committed there is in
//! the history of the repository, which is looked at; what is only on the disk there, is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Place, real};
use crate::cli::args::Inputs;
use crate::cli::context::Context;
use crate::error::Result;
use crate::fs;
use crate::repo::git::{is_kept_in, repository_of, submodule_name, trees_of};

/// The repositories within other working trees, such as submodules, that these have not at that path, nor by that name: Git makes a
/// working tree without them. Each with where it would be in one of these.
pub(super) fn nested_elsewhere(roots: &BTreeSet<PathBuf>) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut found = BTreeMap::new();
    for root in roots {
        let Some(repository) = repository_of(root) else { continue };
        let trees = trees_of(&repository)?;
        let others: Vec<PathBuf> = trees.into_iter().filter(|tree| tree != root).collect();
        if others.is_empty() {
            continue;
        }
        let nested = |tree: &Path| -> Vec<PathBuf> {
            let nested = fs::walk(&[tree.to_path_buf()]).repositories.into_iter().map(|top| real(&top));
            nested.filter(|top| top != tree && repository_of(top).as_ref() != Some(&repository)).collect()
        };
        let mut known: BTreeSet<PathBuf> =
            nested(root).iter().filter_map(|top| submodule_name(top)).collect();
        for tree in others {
            for top in nested(&tree) {
                let Ok(name) = top.strip_prefix(&tree) else { continue };
                let ours = root.join(name);
                let is_known = submodule_name(&top).is_some_and(|name| !known.insert(name));
                if !is_known && !ours.join(".git").exists() {
                    found.insert(top, ours);
                }
            }
        }
    }
    Ok(found)
}

/// The tops of repositories that were found.
#[derive(Default)]
pub struct Found {
    /// Other working trees of those that we look at.
    others: BTreeSet<PathBuf>,
    /// Repositories of their own, such as submodules.
    pub nested: BTreeSet<PathBuf>,
}

impl Found {
    /// `roots` are those that we look at.
    /// Of `elsewhere`, the submodules count though they are in other working trees.
    pub fn new(
        found: impl IntoIterator<Item = PathBuf>,
        roots: &BTreeSet<PathBuf>,
        elsewhere: &BTreeMap<PathBuf, PathBuf>,
    ) -> Self {
        let known: BTreeSet<PathBuf> = roots.iter().filter_map(|root| repository_of(root)).collect();
        let is_other = |top: &PathBuf| {
            !roots.contains(top) && repository_of(top).is_some_and(|repository| known.contains(&repository))
        };
        let found = found.into_iter().filter(|top| top.join(".git").exists());
        let (others, nested): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) = found.partition(is_other);
        // Each working tree has its own checkout of a submodule.
        let is_of_other = |top: &PathBuf| {
            !elsewhere.contains_key(top)
                && top.ancestors().any(|above| others.contains(above))
                && known.iter().any(|repository| is_kept_in(top, repository))
        };
        let nested = nested.into_iter().filter(|top| !is_of_other(top)).collect();
        Self { others, nested }
    }

    /// Those in the folders that a command takes files from.
    pub fn within(inputs: &Inputs, context: &Context) -> Self {
        if inputs.repositories.is_empty() {
            return Self::default();
        }
        let place = Place::of(context);
        let folders = inputs.folders.iter().map(|folder| real(&Path::new(".").join(folder)));
        let folders: Vec<PathBuf> = folders.collect();
        let roots = folders.iter().flat_map(|folder| place.roots_of(folder)).map(Path::to_path_buf).collect();
        Self::new(inputs.repositories.iter().map(|top| real(top)), &roots, &BTreeMap::new())
    }

    /// The same for `check`: of several working trees that are in none of these repositories, the first is no other one.
    pub fn in_folders(inputs: &Inputs, context: &Context) -> Self {
        let Self { mut others, nested } = Self::within(inputs, context);
        let mut seen = BTreeSet::new();
        let is_first = |top: &PathBuf| repository_of(top).is_none_or(|repository| seen.insert(repository));
        let (nested, more): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) = nested.into_iter().partition(is_first);
        others.extend(more);
        Self { others, nested }
    }

    /// The other working tree that has a file, if only in a submodule. What any other repository within it has is not of it.
    pub fn other_with(&self, file: &Path) -> Option<&Path> {
        if self.others.is_empty() {
            return None;
        }
        let is_top = |above: &&Path| self.others.contains(*above) || self.nested.contains(*above);
        self.others.get(file.ancestors().find(is_top)?).map(PathBuf::as_path)
    }
}
