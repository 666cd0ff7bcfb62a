//! The configs, and links, that a sparse checkout leaves out of the working tree: their rules still count.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blobs::Blobs;
use super::configs::Staged;
use super::place::git_dir_of;
use super::tree::Tree;
use super::{Git, changes};
use crate::config::{Disk, SOPS_NAME, Source, is_config};
use crate::error::{Error, Result};
use crate::fs;
use crate::host::Host;

/// The file system, and what the index has of the configs and links that are left out of it, in each repository that anybody
/// asks about. Git is asked once for each that may leave something out, and for no other.
pub struct WithAbsent {
    host: Box<dyn Host>,
    /// The top of the working tree in which a folder is.
    tops: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
    absent: Mutex<HashMap<PathBuf, Arc<Absent>>>,
}

/// What a repository leaves out; `None` where that is nothing.
type Absent = Result<Option<Staged>>;

impl WithAbsent {
    pub fn new(host: impl Host + 'static) -> Self {
        Self { host: Box::new(host), tops: Mutex::default(), absent: Mutex::default() }
    }

    /// What is left out of the repository in which a file is or would be.
    fn around(&self, path: &Path) -> Option<Arc<Absent>> {
        let top = self.top_of(path.parent()?)?;
        let mut known = lock(&self.absent);
        let absent = known.entry(top).or_insert_with_key(|top| Arc::new(absent(&*self.host, top)));
        Some(Arc::clone(absent))
    }

    /// As [`super::root_of`], which looks at each folder again.
    fn top_of(&self, folder: &Path) -> Option<PathBuf> {
        let mut known = lock(&self.tops);
        let (mut passed, mut top) = (Vec::new(), None);
        for folder in folder.ancestors() {
            if let Some(found) = known.get(folder) {
                top = found.clone();
                break;
            }
            passed.push(folder.to_path_buf());
            if folder.join(".git").exists() {
                top = Some(folder.to_path_buf());
                break;
            }
        }
        known.extend(passed.into_iter().map(|folder| (folder, top.clone())));
        top
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn absent(host: &dyn Host, top: &Path) -> Absent {
    if !may_leave_out(top) {
        return Ok(None);
    }
    let git = Git::of(host, top)?;
    let is_absent = |name: &PathBuf| git.top().join(name).symlink_metadata().is_err();
    let absent: HashSet<PathBuf> = changes::not_checked_out(&git)?.into_iter().filter(is_absent).collect();
    if absent.is_empty() {
        return Ok(None);
    }
    let (mut tree, mut blobs) = (Tree::of_index(&git)?, Blobs::open(&git)?);
    tree.keep(|path| !is_config(path) || absent.contains(path));
    // Called as the folder was: it may be reached by a link.
    let mut staged = Staged::read(top, &tree, None, &mut blobs)?;
    tree.keep(|path| absent.contains(path));
    staged.read_links(&tree, &mut blobs)?;
    Ok(Some(staged))
}

/// Whether the index of a working tree may have files that are left out of it, as a sparse checkout does. Git marks them by a bit
/// that only indexes of version 3 and later have, or those that are split (`CE_EXTENDED` and `do_write_index` in Git's
/// read-cache.c).
pub fn may_leave_out(top: &Path) -> bool {
    const HEADER: u64 = 8;
    const MAGIC: &[u8] = b"DIRC";
    const BEFORE_BITS: &[u8] = &[0, 0, 0, 2];
    // Without a repository there is no index.
    let Ok(dir) = git_dir_of(top) else { return false };
    let index = dir.join("index");
    if index.symlink_metadata().is_err() {
        return false;
    }
    let is_shared = |name: &OsStr| name.as_encoded_bytes().starts_with(b"sharedindex.");
    let is_split =
        || dir.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| is_shared(&entry.file_name())));
    // Of what is no index Git says nothing.
    let header = fs::start_of(&index, HEADER).unwrap_or_default();
    header.strip_prefix(MAGIC).is_some_and(|version| version != BEFORE_BITS || is_split())
}

/// The same error, for another file of the repository.
fn again(error: &Error) -> Error {
    let same = Error::new(error.kind(), error.headline());
    match error.advice() {
        Some(advice) => same.advise(advice),
        None => same,
    }
}

impl Source for WithAbsent {
    fn exists(&self, path: &Path) -> bool {
        let is_absent = || match self.around(path).as_deref() {
            Some(Ok(Some(absent))) => absent.exists(path),
            // Nobody knows, so whoever reads it learns why.
            Some(Err(_)) => path.ends_with(SOPS_NAME),
            Some(Ok(None)) | None => false,
        };
        Disk.exists(path) || (is_config(path) && is_absent())
    }

    fn read(&self, path: &Path) -> Result<String> {
        if Disk.exists(path) {
            return Disk.read(path);
        }
        match self.around(path).as_deref() {
            Some(Ok(Some(absent))) if absent.exists(path) => absent.read(path),
            Some(Err(error)) => Err(again(error)),
            _ => Disk.read(path),
        }
    }

    fn read_named(&self, path: &Path) -> Result<String> {
        Disk.read_named(path)
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        Disk.link(path).or_else(|| match self.around(path).as_deref() {
            Some(Ok(Some(absent))) => absent.link(path),
            _ => None,
        })
    }
}
