//! Where paths really are: their links resolved, each folder and each link once.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

use crate::config::{Source, lock};

/// How many links are followed on the way of one path, as many as Linux does.
const MOST_FOLLOWED: usize = 40;

/// Real paths that are known. What leads in a circle stays somewhere in it; what does not exist has no links.
#[derive(Default)]
pub(crate) struct RealPaths(Mutex<HashMap<PathBuf, PathBuf>>);

impl RealPaths {
    /// Where an absolute path of a folder leads, which is asked again for what is below it.
    pub fn of_folder(&self, path: &Path, source: &dyn Source) -> PathBuf {
        self.resolved(path, source, &mut { MOST_FOLLOWED })
    }

    /// Where the absolute path of a file leads, if it is a link itself or in folders that are.
    pub fn of_file(&self, path: &Path, source: &dyn Source) -> PathBuf {
        let real = self.of_folder_of(path, source);
        if source.link(&real).is_some() { self.of_folder(&real, source) } else { real }
    }

    /// The same, but a link in the place of the file is one.
    pub fn of_folder_of(&self, path: &Path, source: &dyn Source) -> PathBuf {
        match path.parent().zip(path.file_name()) {
            Some((folder, name)) => self.of_folder(folder, source).join(name),
            None => self.of_folder(path, source),
        }
    }

    fn resolved(&self, path: &Path, source: &dyn Source, left: &mut usize) -> PathBuf {
        let (mut below, mut at) = (Vec::new(), path);
        let mut real = loop {
            if let Some(known) = lock(&self.0).get(at) {
                break known.clone();
            }
            let Some((above, last)) = at.parent().zip(at.components().next_back()) else {
                break at.to_path_buf();
            };
            below.push((at, last));
            at = above;
        };
        for (spelled, last) in below.into_iter().rev() {
            match last {
                Component::Normal(name) => real.push(name),
                Component::ParentDir => _ = real.pop(),
                _ => {}
            }
            // If no trials are left, paths stay as they are: resolving each on its own would give other results.
            if *left == 0 {
                continue;
            }
            if let (Component::Normal(_), Some(target)) = (last, source.link(&real)) {
                *left -= 1;
                let to = real.parent().unwrap_or(Path::new("/")).join(target);
                real = self.resolved(&to, source, left);
            }
            if *left > 0 {
                lock(&self.0).insert(spelled.to_path_buf(), real.clone());
            }
        }
        real
    }
}
