//! Where files really are, whatever the links on the way to them are called.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::fs::atomic;
use crate::os;

/// The file that a path leads to, which need not exist; of a path that leads in a circle, the path itself. Links of its
/// folders stay in it.
pub fn target(path: &Path) -> PathBuf {
    atomic::target_of(path).unwrap_or_else(|_: io::Error| path.to_path_buf())
}

/// How many links to what does not exist are followed on the way to a folder.
const MOST_LINKS: usize = 40;

/// A folder by its real path. What does not exist of it has no links, and stays as it is; so does what leads in a circle.
pub fn real_folder(folder: &Path) -> PathBuf {
    real_within(folder, &mut { MOST_LINKS })
}

fn real_within(folder: &Path, links: &mut usize) -> PathBuf {
    if let Ok(real) = os::real_path(folder) {
        return real;
    }
    let (Some(above), Some(last)) = (folder.parent(), folder.components().next_back()) else {
        return folder.to_path_buf();
    };
    let mut real = real_within(above, links);
    match last {
        Component::Normal(name) => real.push(name),
        Component::ParentDir => {
            real.pop();
        }
        _ => {}
    }
    // A link to what is not there leads to its place all the same: a folder may come there.
    if *links == 0 || !is_link(&real) {
        return real;
    }
    *links -= 1;
    let to = target(&real);
    if to == real { real } else { real_within(&to, links) }
}

/// Where a link leads, as it is written in it; `None` for anything but a link.
pub fn link_at(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// Whether something is a link.
pub fn is_link(path: &Path) -> bool {
    path.is_symlink()
}
