//! What is around files: the folders in which copies of them may be, and the repositories whose history counts.
//!
//! Owns that this does not depend on where a command is started, and that all that counts for one working tree of a repository counts
//! for each. Reads nothing but where Git keeps its working trees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::real;
use rayon::prelude::*;

use super::worktrees::{self, Elsewhere, Found};
use crate::cli::context::Context;
use crate::error::Result;
use crate::fs;
use crate::host::Host;
use crate::repo::copies::Copies;
use crate::repo::git::{are_of_one_repository, is_left_over, named_top, repository_of, trees_of};

/// Where copies of some files may be.
pub(super) struct Around {
    /// The folders to look in.
    pub tops: BTreeSet<PathBuf>,
    /// The tops of the repositories that the files are in.
    pub roots: BTreeSet<PathBuf>,
}

/// What is in the folders to look in.
#[derive(Default)]
pub(super) struct Below {
    /// The files, without those of other working trees.
    pub files: Vec<PathBuf>,
    /// The tops of repositories within whose history counts, such as submodules: content may move from the outer one into them.
    pub nested: BTreeSet<PathBuf>,
    /// Those within other working trees.
    pub elsewhere: BTreeMap<PathBuf, Elsewhere>,
}

impl Around {
    /// What is around files that need not exist.
    pub fn files<'p>(context: &Context, files: impl IntoIterator<Item = &'p Path>) -> Result<Self> {
        let working_dir = real(&context.lookup()?.working_dir);
        let folder = |file: &Path| real(&working_dir.join(file)).parent().map(Path::to_path_buf);
        let folders: BTreeSet<PathBuf> = files.into_iter().filter_map(folder).collect();
        let place = Place::of(context);
        let roots = place.all_roots(&folders)?;
        Ok(Self { tops: place.tops(&working_dir, folders)?, roots })
    }

    /// The same for what was looked at. The current folder counts, or the other working trees of its repository in which the files
    /// are.
    pub fn looked_at(copies: &Copies, context: &Context) -> Result<Self> {
        let (place, here) = (Place::of(context), real(&context.lookup()?.working_dir));
        let folders = copies.paths_looked_at().filter_map(Path::parent).map(Path::to_path_buf);
        let roots = place.all_roots(&folders.collect())?;
        let top = place.roots_of(&here).first().map(|top| top.to_path_buf());
        let is_of_one = |root: &&PathBuf| top.as_ref().is_some_and(|top| are_of_one_repository(top, root));
        let folders = roots.iter().filter(is_of_one).cloned().collect();
        Ok(Self { tops: place.tops(&here, folders)?, roots })
    }

    /// What is in the folders, and in other working trees of the repositories.
    pub fn below(&self, context: &Context) -> Result<Below> {
        let elsewhere = worktrees::nested_elsewhere(&self.roots, context)?;
        // What is below one of them anyway is walked once.
        let is_apart = |top: &&PathBuf| !top.ancestors().any(|above| self.tops.contains(above));
        let all: BTreeSet<PathBuf> =
            self.tops.iter().chain(elsewhere.keys().filter(is_apart)).cloned().collect();
        let fs::Walk { files, repositories, .. } = fs::walk(&all.iter().cloned().collect::<Vec<_>>());
        let found = Found::new(repositories.into_iter().chain(all), &self.roots, &elsewhere);
        let counts = |file: &Path| {
            let other = || file.ancestors().find_map(|above| elsewhere.get_key_value(above));
            found.other_with(file).is_none()
                && !other().is_some_and(|(top, elsewhere)| elsewhere.is_known(top, file, context))
        };
        let files = files.into_par_iter().filter(|file| counts(file)).collect();
        // Of a submodule that ours has as well, the history is looked at there.
        let is_here = |top: &PathBuf| elsewhere.get(top).is_some_and(|elsewhere| elsewhere.here.is_some());
        let counts = |top: &PathBuf| !self.tops.contains(top) && !is_here(top) && !is_left_over(top);
        let nested = found.nested.into_iter().filter(counts).collect();
        Ok(Below { files, nested, elsewhere })
    }
}

/// How to recognize the top of a repository.
pub(super) struct Place {
    home: Option<PathBuf>,
    /// The top of the working tree that the environment names, which may have no `.git`.
    named: Option<PathBuf>,
}

impl Place {
    pub fn of(context: &Context) -> Self {
        Self { home: context.host.env("HOME").map(PathBuf::from), named: named_top(context.host) }
    }

    /// The tops of the repositories that a path is in, the nearest first. One within another one belongs to it, and what is around
    /// one of several working trees is no other repository. All of a home folder may be one, too, and is no project.
    pub fn roots_of<'p>(&self, path: &'p Path) -> Vec<&'p Path> {
        let above_home = |folder: &Path| self.home.as_deref().is_some_and(|home| home.starts_with(folder));
        let is_top = |above: &Path| above.join(".git").exists() || self.named.as_deref() == Some(above);
        let roots: Vec<&Path> = path.ancestors().filter(|above| is_top(above)).collect();
        let below = roots.iter().take_while(|root| !above_home(root)).count();
        roots.into_iter().take(below.max(1)).fold(Vec::new(), |mut nearer, root| {
            if !nearer.iter().any(|nearer| are_of_one_repository(nearer, root)) {
                nearer.push(root);
            }
            nearer
        })
    }

    /// The tops of the repositories that folders are in, and of those around other working trees of these: a submodule's own working
    /// tree is in another repository, and one that is linked to it need not be.
    fn all_roots(&self, folders: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>> {
        let mut roots: BTreeSet<PathBuf> =
            folders.iter().flat_map(|folder| self.roots_of(folder)).map(Path::to_path_buf).collect();
        let repositories: BTreeSet<PathBuf> = roots.iter().filter_map(|root| repository_of(root)).collect();
        for repository in repositories {
            for tree in trees_of(&repository)? {
                roots.extend(self.roots_of(&tree).into_iter().skip(1).map(Path::to_path_buf));
            }
        }
        Ok(roots)
    }

    /// The folders to look in for copies of what is in these. Neither Git nor the working directory matters: whether something is a
    /// copy does not depend on where a command is started.
    fn tops(&self, working_dir: &Path, mut folders: BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>> {
        let nearest = |folder| self.roots_of(folder).first().copied();
        let named: BTreeSet<&Path> = folders.iter().filter_map(|folder| nearest(folder)).collect();
        // From one working tree, files of another one may be named.
        let is_other = |here| !named.iter().any(|named| are_of_one_repository(named, here));
        if folders.is_empty() || nearest(working_dir).is_some_and(is_other) {
            folders.insert(working_dir.to_path_buf());
        }
        let top = |folder: &PathBuf| {
            let outermost = self.roots_of(folder).last().copied();
            let here = if folder.starts_with(working_dir) { working_dir } else { folder };
            outermost.unwrap_or(here).to_path_buf()
        };
        let mut tops: BTreeSet<PathBuf> = folders.iter().map(top).collect();
        tops.extend(self.all_roots(&folders)?);
        let is_outermost = |one: &&PathBuf| !one.ancestors().skip(1).any(|above| tops.contains(above));
        Ok(tops.iter().filter(is_outermost).cloned().collect())
    }
}
