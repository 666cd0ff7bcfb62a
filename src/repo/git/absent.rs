//! The configs that a sparse checkout leaves out of the working tree: their rules still count.

use std::path::{Path, PathBuf};

use super::blobs::Blobs;
use super::configs::Staged;
use super::tree::Tree;
use super::{Git, changes, root_of};
use crate::config::{Disk, Source, is_config};
use crate::error::Result;
use crate::host::Host;

/// The file system, and of what a sparse checkout leaves out of it the configs, as the index has them.
pub struct WithAbsent(Staged);

impl WithAbsent {
    /// Those of the repository around a folder; `None` where nothing is left out. Git is asked in sparse checkouts alone.
    pub fn around(host: &dyn Host, folder: &Path) -> Result<Option<Self>> {
        if !may_be_sparse(folder) {
            return Ok(None);
        }
        let git = Git::of(host, folder)?;
        let is_absent = |name: &PathBuf| is_config(name) && git.top().join(name).symlink_metadata().is_err();
        let absent: Vec<PathBuf> = changes::not_checked_out(&git)?.into_iter().filter(is_absent).collect();
        if absent.is_empty() {
            return Ok(None);
        }
        let mut tree = Tree::of_index(&git)?;
        tree.keep(|path| !is_config(path) || absent.iter().any(|one| one == path));
        Ok(Some(Self(Staged::read(git.top(), &tree, None, &mut Blobs::open(&git)?)?)))
    }
}

/// Whether a checkout may be sparse: Git keeps the patterns in a file, which a linked worktree or a submodule has elsewhere.
pub fn may_be_sparse(folder: &Path) -> bool {
    let Some(dir) = root_of(folder).map(|root| root.join(".git")) else { return false };
    !dir.is_dir() || dir.join("info/sparse-checkout").exists()
}

impl Source for WithAbsent {
    fn exists(&self, path: &Path) -> bool {
        Disk.exists(path) || self.0.exists(path)
    }

    fn read(&self, path: &Path) -> Result<String> {
        if self.0.exists(path) && !Disk.exists(path) { self.0.read(path) } else { Disk.read(path) }
    }

    fn read_named(&self, path: &Path) -> Result<String> {
        Disk.read_named(path)
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        Disk.link(path)
    }
}
