//! Working trees of one repository that lie within one another, or below the folder that holds it.
//!
//! Owns that a file of one is no copy of the same file in another: each has the rules of its branch. What is committed there is in
//! the history of the repository, which is looked at; what is only on the disk there, is not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Place, real};
use crate::cli::args::Inputs;
use crate::cli::context::Context;
use crate::error::Result;
use crate::host::Host;
use crate::repo::git::tree::{Entry, Tree};
use crate::repo::git::{Git, is_kept_in, repository_of};

/// The submodules that a main working tree has, and one of these linked to it has not: Git makes it without them.
pub(super) fn submodules_of_main(roots: &BTreeSet<PathBuf>, host: &dyn Host) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for root in roots {
        let Some(repository) = repository_of(root) else { continue };
        let main = repository.parent().filter(|main| *main != root.as_path());
        let Some(main) = main.filter(|main| repository_of(main).as_ref() == Some(&repository)) else {
            continue;
        };
        // Around a bare repository there is no working tree.
        let Ok(git) = Git::of(host, main) else { continue };
        let tree = Tree::of_index(&git)?;
        let submodules = tree.iter().filter(|(_, entry)| **entry == Entry::Submodule);
        let is_main_alone = |path: &&PathBuf| !root.join(path).join(".git").exists();
        let submodules = submodules.map(|(path, _)| path).filter(is_main_alone);
        found.extend(submodules.map(|path| main.join(path)).filter(|top| top.join(".git").exists()));
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
    pub fn new(found: impl IntoIterator<Item = PathBuf>, roots: &BTreeSet<PathBuf>) -> Self {
        let known: BTreeSet<PathBuf> = roots.iter().filter_map(|root| repository_of(root)).collect();
        let is_other = |top: &PathBuf| {
            !roots.contains(top) && repository_of(top).is_some_and(|repository| known.contains(&repository))
        };
        let found = found.into_iter().filter(|top| top.join(".git").exists());
        let (others, nested): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) = found.partition(is_other);
        // Each working tree has its own checkout of a submodule.
        let is_of_other = |top: &PathBuf| {
            top.ancestors().any(|above| others.contains(above))
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
        Self::new(inputs.repositories.iter().map(|top| real(top)), &roots)
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
