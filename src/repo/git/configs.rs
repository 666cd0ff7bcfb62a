//! Configs as the index or a commit holds them, whatever stands in the working tree.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::config::{Disk, Source, is_config};
use crate::error::{Error, Kind, Result};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::{Entry, ObjectId, Tree};

/// The most that a config may hold.
const LIMIT: u64 = 16 << 20;

/// How many links may lead to one another.
const MOST_LINKS: usize = 8;

/// As many links of a path as Linux follows, and the longest path that it takes.
const MOST_FOLLOWED: usize = 40;
const LONGEST_PATH: u64 = 4096;

/// The configs of a tree.
pub struct Staged {
    top: PathBuf,
    /// A config that was asked for by name, and is not of this repository.
    foreign: Option<PathBuf>,
    texts: HashMap<PathBuf, Result<String, String>>,
    /// Where links lead, as they say it.
    links: HashMap<PathBuf, PathBuf>,
}

impl Staged {
    /// Reads the configs of a tree, and `explicit`, an absolute path that was asked for by name. Above `top`, the top
    /// folder of the working tree, no other counts.
    pub fn read(top: &Path, tree: &Tree, explicit: Option<&Path>, blobs: &mut Blobs) -> Result<Self> {
        let foreign = explicit.filter(|path| !path.starts_with(top)).map(Path::to_path_buf);
        let explicit = explicit.and_then(|path| path.strip_prefix(top).ok());
        let mut texts = HashMap::new();
        for (path, entry) in tree.iter() {
            if is_config(path) || explicit == Some(path) {
                let text = text(path, entry, tree, blobs)?;
                texts.insert(top.join(path), text);
            }
        }
        Ok(Self { top: top.to_path_buf(), foreign, texts, links: HashMap::new() })
    }

    /// Also knows where links lead from now on: else there are none.
    pub fn read_links(&mut self, tree: &Tree, blobs: &mut Blobs) -> Result<()> {
        let links = tree.iter().filter_map(|(path, entry)| match entry {
            Entry::Link(id) => Some((path, id)),
            _ => None,
        });
        let (paths, ids): (Vec<&PathBuf>, Vec<&ObjectId>) = links.unzip();
        for (at, read) in blobs.each(&ids, |_, _| Ok(Some(((), LONGEST_PATH)))) {
            // One that is longer leads nowhere.
            if let Ok(Some(((), target))) = read {
                self.links.insert(self.top.join(paths[at]), PathBuf::from(OsStr::from_bytes(&target)));
            }
        }
        Ok(())
    }

    /// A path without the links on its way, as they are staged; what leads in a circle stays.
    fn resolved(&self, path: &Path) -> PathBuf {
        let mut rest: Vec<PathBuf> = parts(path);
        let (mut real, mut followed) = (PathBuf::new(), 0);
        while let Some(part) = rest.pop() {
            match part.components().next() {
                Some(Component::ParentDir) => {
                    real.pop();
                    continue;
                }
                Some(Component::CurDir) => continue,
                _ => real.push(part),
            }
            if let Some(target) = self.links.get(&real).filter(|_| followed < MOST_FOLLOWED) {
                followed += 1;
                real.pop();
                rest.extend(parts(target));
            }
        }
        real
    }
}

impl Source for Staged {
    fn exists(&self, path: &Path) -> bool {
        self.texts.contains_key(path) || (self.foreign.as_deref() == Some(path) && Disk.exists(path))
    }

    fn read(&self, path: &Path) -> Result<String> {
        match self.texts.get(path) {
            Some(Ok(text)) => Ok(text.clone()),
            Some(Err(problem)) => Err(Error::new(Kind::Config, problem.clone()).in_file(path)),
            // The one that is not of this repository.
            None => Disk.read_named(path),
        }
    }

    fn target(&self, path: &Path) -> PathBuf {
        self.resolved(path)
    }

    fn real_folder(&self, folder: &Path) -> PathBuf {
        self.resolved(folder)
    }
}

/// The components of a path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

/// The configs of a tree that are links, each with the paths within the repository that it leads through.
pub fn linked(tree: &Tree, blobs: &mut Blobs) -> Result<Vec<(PathBuf, Vec<PathBuf>)>> {
    let mut found = Vec::new();
    for (path, entry) in tree.iter().filter(|(path, _)| is_config(path)) {
        let (mut at, mut entry, mut through) = (path.clone(), Some(entry), Vec::new());
        while let Some(Entry::Link(id)) = entry.filter(|_| through.len() < MOST_LINKS) {
            let target = blobs.read(id, LIMIT)?;
            let Some(next) = followed(&at, Path::new(OsStr::from_bytes(&target))) else { break };
            entry = tree.get(&next);
            through.push(next.clone());
            at = next;
        }
        if !through.is_empty() {
            found.push((path.clone(), through));
        }
    }
    Ok(found)
}

/// The text of a config, or what is wrong with it. Links within the repository are followed, as they are on disk.
fn text(path: &Path, entry: &Entry, tree: &Tree, blobs: &mut Blobs) -> Result<Result<String, String>> {
    let (mut path, mut entry) = (path.to_path_buf(), entry);
    for _ in 0..MOST_LINKS {
        let id = match entry {
            Entry::File(id) => {
                let mut bytes = blobs.read(id, LIMIT)?;
                return Ok(String::from_utf8(std::mem::take(&mut *bytes))
                    .map_err(|_| "the config is not valid UTF-8".to_owned()));
            }
            Entry::Link(id) => id,
            Entry::Unmerged => return Ok(Err("the config has a conflict that is not resolved".to_owned())),
            Entry::Submodule => return Ok(Err("the config is a submodule, not a file".to_owned())),
        };
        let target = blobs.read(id, LIMIT)?;
        let Some(next) = followed(&path, Path::new(OsStr::from_bytes(&target))) else { break };
        let Some(found) = tree.get(&next) else { break };
        (path, entry) = (next, found);
    }
    Ok(Err("the config is a link that leads to no file of the repository, so nobody else has it".to_owned()))
}

/// Where a link leads, if that is in the repository.
fn followed(link: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = link.parent()?.to_path_buf();
    for component in target.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_within_the_repository() {
        let to = |link: &str, target: &str| followed(Path::new(link), Path::new(target));
        assert_eq!(to("a/b/.sops.yaml", "../../.sops.yaml"), Some(".sops.yaml".into()));
        assert_eq!(to(".sops.yaml", "./conf/x.yaml"), Some("conf/x.yaml".into()));
        assert_eq!(to("a/.sops.yaml", "../../x"), None);
        assert_eq!(to(".sops.yaml", "/etc/x"), None);
    }
}
