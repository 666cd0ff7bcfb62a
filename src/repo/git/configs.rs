//! Configs as the index or a commit holds them, whatever is in the working tree.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::config::{Config, Configs, Dialect, Disk, Lookup, Source, absolute, is_config};
use crate::error::{Error, Kind, Result};
use crate::names::Names;
use crate::os;
use crate::repo::git::Git;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::history::{History, Scope};
use crate::repo::git::tree::{Entry, ObjectId, Tree};

/// The most that a config may hold.
const LIMIT: u64 = 16 << 20;

/// As many links of a path as Linux follows, and the longest path that it takes.
const MOST_FOLLOWED: usize = 40;
const LONGEST_PATH: u64 = 4096;

/// The most names that a config leads through, if it is a link.
const MOST_NAMES: usize = 4096;

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

    /// Also knows those of another repository.
    pub fn add(&mut self, other: Self) {
        self.texts.extend(other.texts);
        self.links.extend(other.links);
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
                self.links.insert(self.top.join(paths[at]), PathBuf::from(os::name_of(&target)));
            }
        }
        Ok(())
    }

    /// Through how many names a link leads, and those behind it.
    pub fn steps(&self, link: &Path) -> usize {
        let (mut at, mut steps) = (self.top.join(link), 0);
        for _ in 0..MOST_FOLLOWED {
            let Some(target) = self.links.get(&at) else { break };
            steps += target.components().count();
            at = absolute(target, at.parent().unwrap_or(&self.top));
        }
        steps
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

    fn link(&self, path: &Path) -> Option<PathBuf> {
        self.links.get(path).cloned()
    }
}

/// The configs of a commit.
pub fn of_commit(git: &Git, commit: &str, lookup: Lookup) -> Result<Configs> {
    of_tree(git, &Tree::of_commit(git, commit)?, lookup)
}

/// The configs of a tree.
pub fn of_tree(git: &Git, tree: &Tree, lookup: Lookup) -> Result<Configs> {
    let staged = Staged::read(git.top(), tree, lookup.explicit.as_deref(), &mut Blobs::open(git)?)?;
    Ok(Configs::from_source(lookup, staged))
}

/// What every version of each config calls keys, whether or not a commit still has it: those of HEAD's history, or of `all`
/// branches and tags. What cannot be read calls nobody anything.
pub fn names_in_history(git: &Git, all: bool) -> Result<Vec<(PathBuf, Names)>> {
    let history = History::read(git, &Scope { all, paths: Vec::new() }, |_| false)?;
    let mut blobs = Blobs::open(git)?;
    let mut found = Vec::new();
    for (path, versions) in history.configs {
        for id in versions.iter().filter(|id| !id.is_null()) {
            let text = blobs.read(id, LIMIT).ok();
            let text = text.and_then(|mut bytes| String::from_utf8(std::mem::take(&mut *bytes)).ok());
            let config =
                text.and_then(|text| Config::parse(&text, git.top().join(&path), Dialect::Sealant).ok());
            found.extend(config.map(|config| (path.clone(), config.names().clone())));
        }
    }
    Ok(found)
}

/// The components of a path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

/// A path without the links on its way; `target` says where one leads. What leads in a circle stays, and what leads out of the
/// folder that a relative path is in leads nowhere, as what leads through more than [`MOST_NAMES`].
fn walked(path: &Path, mut target: impl FnMut(&Path) -> Result<Option<PathBuf>>) -> Result<Option<PathBuf>> {
    let is_within = path.is_relative();
    let mut rest = parts(path);
    let (mut real, mut followed, mut names) = (PathBuf::new(), 0, 0);
    while let Some(part) = rest.pop() {
        names += 1;
        if names > MOST_NAMES {
            return Ok(None);
        }
        match part.components().next() {
            Some(Component::ParentDir) if is_within && real.as_os_str().is_empty() => return Ok(None),
            Some(Component::RootDir | Component::Prefix(_)) if is_within => return Ok(None),
            Some(Component::ParentDir) => {
                real.pop();
                continue;
            }
            Some(Component::CurDir) | None => continue,
            Some(_) => real.push(part),
        }
        if followed < MOST_FOLLOWED
            && let Some(target) = target(&real)?
        {
            followed += 1;
            real.pop();
            rest.extend(parts(&target));
        }
    }
    Ok(Some(real))
}

/// Where a path leads in a tree, folders that are links on its way among them, and all links that it leads through.
fn followed(path: &Path, tree: &Tree, blobs: &mut Blobs) -> Result<(Option<PathBuf>, Vec<PathBuf>)> {
    let mut through = Vec::new();
    let end = walked(path, |at| {
        let Some(Entry::Link(id)) = tree.get(at) else { return Ok(None) };
        through.push(at.to_path_buf());
        let target = blobs.read(id, LIMIT)?;
        // One that is longer leads nowhere.
        let is_path = target.len() as u64 <= LONGEST_PATH;
        Ok(is_path.then(|| PathBuf::from(os::name_of(&target))))
    })?;
    Ok((end, through))
}

/// The configs of a tree that are links, each with the paths within the repository that it leads through.
pub fn linked(tree: &Tree, blobs: &mut Blobs) -> Result<Vec<(PathBuf, Vec<PathBuf>)>> {
    let is_link = |(path, entry): &(&PathBuf, &Entry)| is_config(path) && matches!(entry, Entry::Link(_));
    let mut found = Vec::new();
    for (path, _) in tree.iter().filter(is_link) {
        let (end, mut through) = followed(path, tree, blobs)?;
        through.extend(end);
        found.push((path.clone(), through));
    }
    Ok(found)
}

/// The text of a config, or what is wrong with it. Links within the repository are followed, as they are on disk.
fn text(path: &Path, entry: &Entry, tree: &Tree, blobs: &mut Blobs) -> Result<Result<String, String>> {
    let end = match entry {
        Entry::Link(_) => followed(path, tree, blobs)?.0,
        _ => Some(path.to_path_buf()),
    };
    Ok(match end.and_then(|end| tree.get(&end)) {
        Some(Entry::File(id)) => {
            let mut bytes = blobs.read(id, LIMIT)?;
            String::from_utf8(std::mem::take(&mut *bytes))
                .map_err(|_| "the config is not valid UTF-8".to_owned())
        }
        Some(Entry::Unmerged) => Err("the config has a conflict that is not resolved".to_owned()),
        Some(Entry::Submodule(_)) => Err("the config is a submodule, not a file".to_owned()),
        Some(Entry::Link(_)) | None => {
            Err("the config is a link that leads to no file in the repository, so nobody else has it"
                .to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_within_the_repository() {
        let links = [
            ("a/b/.sops.yaml", "../../.sops.yaml"),
            (".sops.yaml", "./conf/x.yaml"),
            ("a/.sops.yaml", "../../x"),
            ("b/.sops.yaml", "/etc/x"),
            ("c/.sops.yaml", "../store/rules/x.yaml"),
            ("store", "a/../d"),
            ("d/rules", "./real"),
            ("e/.sops.yaml", "../loop/x"),
            ("loop", "loop"),
        ];
        let to = |path: &str| {
            let target =
                |at: &Path| Ok(links.iter().find(|(link, _)| at == Path::new(link)).map(|(_, to)| to.into()));
            walked(Path::new(path), target).unwrap()
        };
        assert_eq!(to("a/b/.sops.yaml"), Some("conf/x.yaml".into()));
        assert_eq!(to(".sops.yaml"), Some("conf/x.yaml".into()));
        assert_eq!(to("a/.sops.yaml"), None);
        assert_eq!(to("b/.sops.yaml"), None);
        assert_eq!(to("c/.sops.yaml"), Some("d/real/x.yaml".into()));
        assert_eq!(to("e/.sops.yaml"), Some("loop/x".into()));
        // Above the root is the root.
        assert_eq!(to("/../a"), Some("/a".into()));
    }
}
