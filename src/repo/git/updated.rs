//! Submodules that a change takes to another commit, or another place: what that does to their configs, where both commits are here.
//!
//! Owns that such a change is read as one of the files themselves. Where a commit is not here, nobody can tell, and nothing is said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Git;
use super::blobs::Blobs;
use super::configs::Staged;
use super::tree::{Entry, ObjectId, Tree};
use crate::config::is_config;
use crate::error::Result;

/// One of them.
pub struct Updated<'h> {
    /// What it is called from the top.
    name: PathBuf,
    git: Git<'h>,
    before: Tree,
    now: Tree,
}

impl<'h> Updated<'h> {
    /// Those of these submodules whose configs differ, and of those within them.
    pub fn all(git: &Git<'h>, submodules: &[PathBuf], before: &Tree, now: &Tree) -> Vec<Self> {
        let mut found = Vec::new();
        for updated in submodules.iter().filter_map(|name| Self::one(git, name, before, now)) {
            let Self { name, git, before, now } = &updated;
            let is_other = |(name, commit): &(&PathBuf, &ObjectId)| before.submodule(name) != Some(*commit);
            let within: Vec<PathBuf> =
                now.submodules().filter(is_other).map(|(name, _)| name.clone()).collect();
            let within = Self::all(git, &within, before, now).into_iter();
            let within = within.map(|within| Self { name: name.join(&within.name), ..within });
            found.extend(within);
            if configs_in(before).ne(configs_in(now)) {
                found.push(updated);
            }
        }
        found
    }

    /// A change may move it as well: then the repository that is there has what was at another place.
    fn one(git: &Git<'h>, name: &Path, before: &Tree, now: &Tree) -> Option<Self> {
        let folder = git.top().join(name);
        let git = Git::find(git.host, &folder).ok().flatten().filter(|git| git.top() == folder)?;
        let tree = |commit: &ObjectId| Tree::of_commit(&git, commit.as_str()).ok();
        let moved = || {
            let mut all: Vec<_> = before.submodules().collect();
            all.sort_by_key(|(path, _)| now.submodule(path).is_some());
            all.into_iter().find_map(|(_, commit)| tree(commit))
        };
        let then = before.submodule(name).and_then(tree).or_else(moved)?;
        Some(Self { name: name.to_path_buf(), before: then, now: tree(now.submodule(name)?)?, git })
    }

    /// The folders of the configs that differ.
    pub fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let (before, now): (BTreeSet<_>, BTreeSet<_>) =
            (configs_in(&self.before).collect(), configs_in(&self.now).collect());
        let changed: Vec<PathBuf> = before
            .symmetric_difference(&now)
            .filter_map(|(path, _)| path.parent())
            .map(Path::to_path_buf)
            .collect();
        changed.into_iter().map(|folder| self.name.join(folder))
    }

    /// Adds what it had to what a commit had.
    pub fn add_before(&self, tree: &mut Tree, staged: &mut Staged) -> Result<()> {
        self.add(&self.before, tree, staged)
    }

    /// Adds what it has to what there is now.
    pub fn add_now(&self, tree: &mut Tree, staged: &mut Staged) -> Result<()> {
        self.add(&self.now, tree, staged)
    }

    /// Adds the names of what it has now.
    pub fn add_names(&self, tree: &mut Tree) {
        tree.add_below(&self.name, &self.now);
    }

    fn add(&self, of: &Tree, tree: &mut Tree, staged: &mut Staged) -> Result<()> {
        tree.add_below(&self.name, of);
        staged.add(Staged::read(self.git.top(), of, None, &mut Blobs::open(&self.git)?)?);
        Ok(())
    }
}

fn configs_in(tree: &Tree) -> impl Iterator<Item = (&PathBuf, &Entry)> {
    tree.iter().filter(|(path, _)| is_config(path))
}
