//! Working trees of one repository that lie within one another, or below the folder that holds it.
//!
//! Owns that a file of one is no copy of the same file in another: each has the rules of its branch. What is committed there is in
//! the history of the repository, which is looked at; what is only on the disk there, is not.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::OnceLock;

use super::around::Place;
use super::real;
use crate::cli::args::Inputs;
use crate::cli::context::Context;
use crate::document::MAX_BINARY;
use crate::error::Result;
use crate::fs;
use crate::repo::git::{
    Git, changes, gitlinks, gitmodules, is_kept_in, is_left_over, repository_of, root_of, submodule_name,
    trees_of,
};

/// A repository within another working tree, such as a submodule.
pub(super) struct Elsewhere {
    /// Our working tree.
    pub root: PathBuf,
    /// Where it would be in ours: where our commit has the submodule of that name, and at its path there.
    pub places: Vec<PathBuf>,
    /// Which of these ours has. Each working tree has its own checkout of a submodule, at the commit of its branch.
    pub here: Option<PathBuf>,
    /// Files that are as in a commit that leads to the one that is checked out in ours: our history tells of them, and who came since.
    in_our_history: OnceLock<BTreeSet<PathBuf>>,
}

impl Elsewhere {
    fn new(root: &Path, top: &Path, places: Vec<PathBuf>, context: &Context) -> Self {
        let is_same = |place: &&PathBuf| place.join(".git").exists() && are_same(top, place, context);
        let here = places.iter().find(is_same).cloned();
        Self { root: root.to_path_buf(), places, here, in_our_history: OnceLock::new() }
    }

    /// Whether a file is the same as ours, or our history tells of it. `top` is that of its own repository.
    pub fn is_known(&self, top: &Path, file: &Path, context: &Context) -> bool {
        let (Some(here), Ok(name)) = (&self.here, file.strip_prefix(top)) else { return false };
        let known = || history_in(top, here, context).unwrap_or_default();
        fs::are_same(file, &here.join(name), MAX_BINARY as u64)
            || self.in_our_history.get_or_init(known).contains(name)
    }
}

/// Whether two repositories are of one project: what is checked out in one is known in the other. By its name or its place, anything
/// may be in the place of a submodule.
fn are_same(one: &Path, other: &Path, context: &Context) -> bool {
    let git_at = |top| Git::find(context.host, top).ok().flatten();
    let (Some(one), Some(other)) = (git_at(one), git_at(other)) else { return false };
    let knows = |one: &Git, other: &Git| {
        let head = changes::head_id(other).ok().flatten();
        gitlinks::commits_in(one, &head).is_ok_and(|known| !known.is_empty())
    };
    knows(&one, &other) || knows(&other, &one)
}

/// The files of a repository that are as in a commit that leads to another one's; `None` where Git does not tell.
fn history_in(top: &Path, other: &Path, context: &Context) -> Option<BTreeSet<PathBuf>> {
    let git_at = |top| Git::find(context.host, top).ok().flatten();
    let (git, other) = (git_at(top)?, git_at(other)?);
    let commit = changes::head(&git).ok()??;
    changes::leads_to_head(&other, &commit).ok()?.then(|| changes::as_committed(&git).ok())?
}

/// The repositories within other working trees of those that we look at, by their tops.
pub(super) fn nested_elsewhere(
    roots: &BTreeSet<PathBuf>,
    context: &Context,
) -> Result<BTreeMap<PathBuf, Elsewhere>> {
    let mut found: BTreeMap<PathBuf, Elsewhere> = BTreeMap::new();
    for root in roots {
        let Some(repository) = repository_of(root) else { continue };
        let trees: BTreeSet<PathBuf> = trees_of(&repository)?.into_iter().collect();
        // One tree may lie within another.
        let is_of = |tree: &Path, top: &Path| {
            top != tree && top.ancestors().find(|above| trees.contains(*above)) == Some(tree)
        };
        let names = OnceCell::new();
        for tree in trees.difference(roots) {
            let tops = fs::walk(slice::from_ref(tree)).repositories.into_iter().map(|top| real(&top));
            let tops = tops.filter(|top| is_of(tree, top) && !is_left_over(top));
            // The outer ones come first.
            for top in tops.collect::<BTreeSet<_>>() {
                let Ok(name) = top.strip_prefix(tree) else { continue };
                let outer = top.parent().and_then(root_of).and_then(|outer| found.get_key_value(outer));
                let mut places: Vec<PathBuf> = match outer {
                    Some((outer, elsewhere)) => {
                        let within = top.strip_prefix(outer).unwrap_or(name);
                        elsewhere.places.iter().map(|place| place.join(within)).collect()
                    }
                    None => {
                        let names: &HashMap<_, _> = names.get_or_init(|| names_of_submodules(root, context));
                        let named = submodule_name(&top, tree).and_then(|name| names.get(&name));
                        named.map(|path| root.join(path)).into_iter().collect()
                    }
                };
                if !places.contains(&root.join(name)) {
                    places.push(root.join(name));
                }
                found.insert(top.clone(), Elsewhere::new(root, &top, places, context));
            }
        }
    }
    Ok(found)
}

/// Where the submodules of a working tree are, by the names that Git has for them.
fn names_of_submodules(root: &Path, context: &Context) -> HashMap<PathBuf, PathBuf> {
    let git = Git::find(context.host, root).ok().flatten();
    git.and_then(|git| gitmodules::paths_by_name(&git).ok()).unwrap_or_default()
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
