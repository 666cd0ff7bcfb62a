//! What configs said in other commits, of many commits of one repository.
//!
//! Owns that each state of the configs is read once, however many commits have it, and that there is an end to how many are
//! asked for. Which commits matter is the caller's to say.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Configs, Lookup};
use crate::error::{Error, Kind, Result};
use crate::repo::git::Git;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::Staged;
use crate::repo::git::tree::{Entry, Tree};

/// The most commits that are asked for their configs: a minute of Git's time.
const MOST_COMMITS: usize = 10_000;

/// The configs of commits.
pub struct States<'g, 'h> {
    git: &'g Git<'h>,
    lookup: Lookup,
    /// All places where a config ever was, from the top.
    places: BTreeSet<PathBuf>,
    blobs: Blobs,
    by_commit: HashMap<String, Arc<Configs>>,
    by_state: Vec<(Tree, Arc<Configs>)>,
}

impl<'g, 'h> States<'g, 'h> {
    /// `places` are all where a config ever was, from the top; a config that was asked for by name is at an absolute path.
    pub fn of(git: &'g Git<'h>, lookup: Lookup, mut places: BTreeSet<PathBuf>) -> Result<Self> {
        let named = lookup.explicit.as_deref().and_then(|path| path.strip_prefix(git.top()).ok());
        places.extend(named.map(PathBuf::from));
        let (by_commit, by_state) = (HashMap::new(), Vec::new());
        Ok(Self { git, lookup, places, blobs: Blobs::open(git)?, by_commit, by_state })
    }

    /// All places where a config ever was, and the one that was asked for by name.
    pub fn places(&self) -> impl Iterator<Item = &PathBuf> {
        self.places.iter()
    }

    /// Whether one was asked for by name: what it says may change in any commit.
    pub fn has_named_config(&self) -> bool {
        self.lookup.explicit.is_some()
    }

    /// What configs said in a commit.
    pub fn configs(&mut self, commit: &str) -> Result<Arc<Configs>> {
        if let Some(known) = self.by_commit.get(commit) {
            return Ok(Arc::clone(known));
        }
        if self.by_commit.len() >= MOST_COMMITS {
            return Err(too_many());
        }
        let configs = self.read(commit)?;
        self.by_commit.insert(commit.to_owned(), Arc::clone(&configs));
        Ok(configs)
    }

    fn read(&mut self, commit: &str) -> Result<Arc<Configs>> {
        let mut tree = Tree::of_commit_at(self.git, commit, &self.places)?;
        // A link leads to what is no config by its name, and says nothing of how that was.
        if tree.iter().any(|(_, entry)| matches!(entry, Entry::Link(_))) {
            tree = Tree::of_commit(self.git, commit)?;
        } else if let Some((_, configs)) = self.by_state.iter().find(|(known, _)| *known == tree) {
            return Ok(Arc::clone(configs));
        }
        let explicit = self.lookup.explicit.as_deref();
        let staged = Staged::read(self.git.top(), &tree, explicit, &mut self.blobs)?;
        let configs = Arc::new(Configs::from_source(self.lookup.clone(), staged));
        self.by_state.push((tree, Arc::clone(&configs)));
        Ok(configs)
    }
}

fn too_many() -> Error {
    let message = format!("encrypted files were moved or deleted in more than {MOST_COMMITS} commits");
    Error::new(Kind::Read, message).advise(
        "Work in a clone of recent history: `git clone --depth 1000 URL`. `git log --diff-filter=D --oneline` lists \
         the commits.",
    )
}
