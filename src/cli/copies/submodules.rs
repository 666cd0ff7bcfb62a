//! Whom a submodule names by the commit that the repository around it has chosen.
//!
//! Owns that another commit, which somebody has checked out to look at it, names nobody for what the submodule has. Its own files are
//! its own business: this is about what moves from it to places around it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::around::{Around, Below};
use super::{past_rule_of, real_lookup};
use crate::cli::context::Context;
use crate::config::{Configs, Disk, Lookup, Source};
use crate::error::Result;
use crate::keys::KeySet;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::{self, Staged};
use crate::repo::git::tree::Tree;
use crate::repo::git::{Git, NoGit, changes, root_of};

/// The configs of submodules at the commits that were chosen, where others are checked out, by the tops of these.
#[derive(Default)]
pub(super) struct Chosen(BTreeMap<PathBuf, OfOne>);

struct OfOne {
    /// Where it would be in our working tree: what is around that is for files without a config of their own.
    place: PathBuf,
    now: Configs,
    past: Configs,
}

impl Chosen {
    /// Those of submodules that none of the files is in.
    pub fn read(around: &Around, below: &Below, context: &Context) -> Result<Self> {
        let lookup = real_lookup(context)?;
        if lookup.explicit.is_some() || context.is_sops() {
            return Ok(Self::default());
        }
        let all: BTreeSet<&PathBuf> = below.nested.iter().chain(below.elsewhere.keys()).collect();
        let mut by_outer: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for top in all.into_iter().filter(|top| !around.roots.contains(*top)) {
            if let Some(outer) = top.parent().and_then(root_of) {
                by_outer.entry(outer).or_default().push(top);
            }
        }
        let mut chosen = BTreeMap::new();
        for (outer, tops) in by_outer {
            // What Git does not open is told where its history is wanted.
            let Ok(Some(outer)) = Git::find(context.host, outer) else { continue };
            let names: Vec<&Path> =
                tops.iter().filter_map(|top| top.strip_prefix(outer.top()).ok()).collect();
            for name in changes::unstaged_at(&outer, &names).unwrap_or_default() {
                let top = outer.top().join(&name);
                let place = below.elsewhere.get(&top).map_or(&*top, |elsewhere| &elsewhere.place);
                let of_one = OfOne::read(&outer, &name, place, &lookup, context).unwrap_or_default();
                chosen.extend(of_one.map(|of_one| (top, of_one)));
            }
        }
        Ok(Self(chosen))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom the chosen commit names for a file.
    pub fn rule_of(&self, file: &Path) -> Option<KeySet> {
        let (top, of_one) = file.ancestors().find_map(|above| self.0.get_key_value(above))?;
        past_rule_of(&of_one.place.join(file.strip_prefix(top).ok()?), &of_one.now)
    }

    /// The configs for what a submodule had.
    pub fn for_past_of(&self, top: &Path) -> Option<&Configs> {
        self.0.get(top).map(|of_one| &of_one.past)
    }
}

impl OfOne {
    /// `None` where the commit that was chosen is not there.
    fn read(
        outer: &Git,
        name: &Path,
        place: &Path,
        lookup: &Lookup,
        context: &Context,
    ) -> Result<Option<Self>> {
        let git = Git::find(context.host, &outer.top().join(name)).map_err(NoGit::into_error)?;
        let Some((git, chosen)) = git.zip(Tree::submodule_of_index(outer, name)?) else { return Ok(None) };
        let tree = Tree::of_commit(&git, chosen.as_str())?;
        let of_place = Staged::read(place, &tree, None, &mut Blobs::open(&git)?)?;
        let now = Configs::from_source(lookup.clone(), Within { top: place.to_path_buf(), staged: of_place });
        let past = configs::of_tree(&git, &tree, lookup.clone())?;
        Ok(Some(Self { place: place.to_path_buf(), now, past }))
    }
}

/// The configs of a commit below the top of a submodule, and those of the disk around it.
struct Within {
    top: PathBuf,
    staged: Staged,
}

impl Within {
    fn source(&self, path: &Path) -> &dyn Source {
        if path.starts_with(&self.top) { &self.staged } else { &Disk }
    }
}

impl Source for Within {
    fn exists(&self, path: &Path) -> bool {
        self.source(path).exists(path)
    }

    fn read(&self, path: &Path) -> Result<String> {
        self.source(path).read(path)
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        self.source(path).link(path)
    }
}
