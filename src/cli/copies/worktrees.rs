//! Working trees of one repository that lie within one another, or below the folder that holds it.
//!
//! Owns that a file of one is no copy of the same file in another: each has the rules of its branch. What is committed there is in
//! the history of the repository, which is looked at; what is only on the disk there, is not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::around::Place;
use super::real;
use crate::cli::args::Inputs;
use crate::cli::context::Context;
use crate::document::MAX_BINARY;
use crate::error::Result;
use crate::fs;
use crate::repo::git::{Git, changes, is_kept_in, repository_of, submodule_name, trees_of};

/// Where something of a repository within another working tree, such as a submodule, would be in ours.
pub(super) struct Elsewhere {
    /// The top there, which may have none.
    pub place: PathBuf,
    /// Whether ours has it, too. Each working tree has its own checkout of a submodule, at the commit of its branch.
    pub is_here: bool,
    /// Files that are as in a commit that leads to the one that is checked out in ours: our history tells of them, and who came since.
    in_our_history: OnceLock<BTreeSet<PathBuf>>,
}

impl Elsewhere {
    /// Whether a file is the same as ours, or our history tells of it. `top` is that of its own repository.
    pub fn is_known(&self, top: &Path, file: &Path, context: &Context) -> bool {
        let Some(name) = file.strip_prefix(top).ok().filter(|_| self.is_here) else { return false };
        let known = || history_in(top, &self.place, context).unwrap_or_default();
        fs::are_same(file, &self.place.join(name), MAX_BINARY as u64)
            || self.in_our_history.get_or_init(known).contains(name)
    }

    /// Where a file would be. `top` is that of its own repository.
    pub fn place_of(&self, top: &Path, file: &Path) -> Option<PathBuf> {
        Some(self.place.join(file.strip_prefix(top).ok()?))
    }
}

/// The files of a repository that are as in a commit that leads to another one's; `None` where Git does not tell.
fn history_in(top: &Path, other: &Path, context: &Context) -> Option<BTreeSet<PathBuf>> {
    let git_at = |top| Git::find(context.host, top).ok().flatten();
    let (git, other) = (git_at(top)?, git_at(other)?);
    let commit = changes::head(&git).ok()??;
    changes::leads_to_head(&other, &commit).ok()?.then(|| changes::as_committed(&git).ok())?
}

/// The repositories within other working trees of those that we look at.
pub(super) fn nested_elsewhere(roots: &BTreeSet<PathBuf>) -> Result<BTreeMap<PathBuf, Elsewhere>> {
    let mut found = BTreeMap::new();
    for root in roots {
        let Some(repository) = repository_of(root) else { continue };
        let trees: BTreeSet<PathBuf> = trees_of(&repository)?.into_iter().collect();
        let mut others = trees.difference(roots).peekable();
        if others.peek().is_none() {
            continue;
        }
        // One tree may lie within another.
        let nested = |tree: &Path| -> Vec<PathBuf> {
            let nearest = |top: &Path| top.ancestors().find(|above| trees.contains(*above)) == Some(tree);
            let tops = fs::walk(&[tree.to_path_buf()]).repositories.into_iter().map(|top| real(&top));
            tops.filter(|top| !trees.contains(top) && nearest(top)).collect()
        };
        let ours: HashMap<PathBuf, PathBuf> =
            nested(root).into_iter().filter_map(|top| Some((submodule_name(&top)?, top))).collect();
        for tree in others {
            for top in nested(tree) {
                let Ok(name) = top.strip_prefix(tree) else { continue };
                let of_name = || submodule_name(&top).and_then(|name| ours.get(&name).cloned());
                let there =
                    Some(root.join(name)).filter(|there| there.join(".git").exists()).or_else(of_name);
                let is_here = there.is_some();
                let place = there.unwrap_or_else(|| root.join(name));
                found.insert(top, Elsewhere { place, is_here, in_our_history: OnceLock::new() });
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
    pub(super) fn new(
        found: impl IntoIterator<Item = PathBuf>,
        roots: &BTreeSet<PathBuf>,
        elsewhere: &BTreeMap<PathBuf, Elsewhere>,
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
