//! Where files really are, whatever the links on the way to them are called.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::fs::atomic;

/// The file that a path leads to, which need not exist; of a path that leads in a circle, the path itself. Links of its
/// folders stay in it.
pub fn target(path: &Path) -> PathBuf {
    atomic::target_of(path).unwrap_or_else(|_: io::Error| path.to_path_buf())
}

/// A folder by its real path. What does not exist of it has no links, and stays as it is.
pub fn real_folder(folder: &Path) -> PathBuf {
    if let Ok(real) = folder.canonicalize() {
        return real;
    }
    let (Some(above), Some(last)) = (folder.parent(), folder.components().next_back()) else {
        return folder.to_path_buf();
    };
    let mut real = real_folder(above);
    match last {
        Component::Normal(name) => real.push(name),
        Component::ParentDir => {
            real.pop();
        }
        _ => {}
    }
    real
}

/// Whether something is a link.
pub fn is_link(path: &Path) -> bool {
    path.is_symlink()
}
