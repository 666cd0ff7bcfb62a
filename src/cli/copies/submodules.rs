//! Whom a submodule names by the commit that the repository around it has chosen.
//!
//! Owns that another commit, which somebody has checked out to look at it, names nobody for what the submodule has, in whichever working
//! tree: ours chooses. A submodule's own files are its own business: this is about what moves from it to places around it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::around::{Around, Below};
use super::worktrees::Elsewhere;
use super::{past_rule_of, real_lookup};
use crate::cli::context::Context;
use crate::config::{Configs, Disk, Lookup, Source};
use crate::error::{Error, Result};
use crate::keys::KeySet;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::Staged;
use crate::repo::git::tree::{ObjectId, Tree};
use crate::repo::git::{Git, NoGit, changes, root_of};

/// The configs of submodules at the commits that were chosen, where others are checked out, by the tops of these.
#[derive(Default)]
pub(super) struct Chosen(BTreeMap<PathBuf, OfOne>);

struct OfOne {
    /// For each place that it may have in our working tree: what is around that is for files without a config of their own.
    now: Vec<(PathBuf, Configs)>,
    /// For what it had, by the paths that it has.
    past: Configs,
}

impl Chosen {
    /// Those of submodules that none of the files is in.
    pub fn read(around: &Around, below: &Below, context: &Context) -> Result<Self> {
        let lookup = real_lookup(context)?;
        if lookup.explicit.is_some() || context.is_sops() {
            return Ok(Self::default());
        }
        let Below { nested, elsewhere, .. } = below;
        let all: BTreeSet<&PathBuf> = nested.iter().chain(elsewhere.keys()).collect();
        let mut by_outer: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for top in all.into_iter().filter(|top| !around.roots.contains(*top)) {
            if let Some(outer) = top.parent().and_then(root_of) {
                by_outer.entry(outer).or_default().push(top);
            }
        }
        let mut reading = Reading { elsewhere, context, commits: BTreeMap::new() };
        let mut chosen = BTreeMap::new();
        for (outer, tops) in by_outer {
            // What Git does not open is told where its history is wanted.
            for (top, commit) in reading.others_than_chosen(outer, &tops).unwrap_or_default() {
                let of_one = OfOne::read(top, &commit, elsewhere.get(top), &lookup, context);
                chosen.extend(of_one.unwrap_or_default().map(|of_one| (top.to_path_buf(), of_one)));
            }
        }
        Ok(Self(chosen))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom the chosen commit names for a file.
    pub fn rules_of(&self, file: &Path) -> Vec<KeySet> {
        let Some((top, of_one)) = file.ancestors().find_map(|above| self.0.get_key_value(above)) else {
            return Vec::new();
        };
        let name = file.strip_prefix(top).unwrap_or(file);
        let rule = |(place, configs): &(PathBuf, Configs)| past_rule_of(&place.join(name), configs);
        of_one.now.iter().filter_map(rule).collect()
    }

    /// The configs for what a submodule had.
    pub fn for_past_of(&self, top: &Path) -> Option<&Configs> {
        self.0.get(top).map(|of_one| &of_one.past)
    }
}

/// Which commits of submodules ours has chosen.
struct Reading<'r> {
    elsewhere: &'r BTreeMap<PathBuf, Elsewhere>,
    context: &'r Context<'r>,
    /// Those of submodules in other working trees that were looked at.
    commits: BTreeMap<&'r Path, ObjectId>,
}

impl<'r> Reading<'r> {
    /// Of these submodules in one repository, those of which another commit is checked out than ours has chosen, with that one.
    fn others_than_chosen(&mut self, outer: &Path, tops: &[&'r Path]) -> Result<Vec<(&'r Path, ObjectId)>> {
        let Some(git) = Git::find(self.context.host, outer).map_err(NoGit::into_error)? else {
            return Ok(Vec::new());
        };
        let named: Vec<(&Path, &Path)> =
            tops.iter().filter_map(|top| Some((*top, top.strip_prefix(git.top()).ok()?))).collect();
        let names: Vec<&Path> = named.iter().map(|(_, name)| *name).collect();
        let staged = Tree::of_index_at(&git, &names)?;
        let moved: BTreeSet<PathBuf> = changes::unstaged_at(&git, &names)?.into_iter().collect();
        let mut found = Vec::new();
        for (top, name) in named {
            let there = staged.submodule(name);
            let chosen = match self.elsewhere.get(top) {
                Some(elsewhere) => self.chosen_by_ours(&git, name, elsewhere)?,
                None => there.cloned(),
            };
            let Some(chosen) = chosen else { continue };
            if self.elsewhere.contains_key(top) {
                self.commits.insert(top, chosen.clone());
            }
            if moved.contains(name) || there != Some(&chosen) {
                found.push((top, chosen));
            }
        }
        Ok(found)
    }

    /// The commit that ours has chosen of a submodule, which `git`, in another working tree, has by this name.
    fn chosen_by_ours(
        &self,
        git: &Git,
        name: &Path,
        Elsewhere { root, places, .. }: &Elsewhere,
    ) -> Result<Option<ObjectId>> {
        // Of one within another, the commit of that one says it.
        if let Some(outer) = self.commits.get(git.top()) {
            let tree = Tree::of_commit_at(git, outer.as_str(), &BTreeSet::from([name.to_path_buf()]))?;
            return Ok(tree.submodule(name).cloned());
        }
        let Some(ours) = Git::find(self.context.host, root).map_err(NoGit::into_error)? else {
            return Ok(None);
        };
        let names: Vec<&Path> =
            places.iter().filter_map(|place| place.strip_prefix(ours.top()).ok()).collect();
        let staged = Tree::of_index_at(&ours, &names)?;
        Ok(names.iter().find_map(|name| staged.submodule(name)).cloned())
    }
}

impl OfOne {
    /// Where a repository in another working tree has not the commit that was chosen, rules around it count. Ours waits for its update.
    fn read(
        top: &Path,
        commit: &ObjectId,
        elsewhere: Option<&Elsewhere>,
        lookup: &Lookup,
        context: &Context,
    ) -> Result<Option<Self>> {
        let Some(git) = Git::find(context.host, top).map_err(NoGit::into_error)? else { return Ok(None) };
        let tree = match Tree::of_commit(&git, commit.as_str()) {
            Err(_) if elsewhere.is_none() => return Ok(None),
            tree => tree.unwrap_or_default(),
        };
        let mut blobs = Blobs::open(&git)?;
        let mut configs_at = |place: &Path, trees: Option<(PathBuf, PathBuf)>| {
            let staged = Staged::read(place, &tree, None, &mut blobs)?;
            let source = Within { top: place.to_path_buf(), staged, trees };
            Ok::<_, Error>(Configs::from_source(lookup.clone(), source))
        };
        let trees = elsewhere.map(|elsewhere| (elsewhere.tree.clone(), elsewhere.root.clone()));
        let past = configs_at(top, trees)?;
        let places = elsewhere.map_or_else(|| vec![top.to_path_buf()], |elsewhere| elsewhere.places.clone());
        let now = places.into_iter().map(|place| Ok((place.clone(), configs_at(&place, None)?)));
        Ok(Some(Self { now: now.collect::<Result<_>>()?, past }))
    }
}

/// The configs of a commit below the top of a submodule, and around it those of the disk.
struct Within {
    top: PathBuf,
    staged: Staged,
    /// Another working tree, in the place of which ours counts.
    trees: Option<(PathBuf, PathBuf)>,
}

impl Within {
    /// Where something is read, and by which path.
    fn source(&self, path: &Path) -> (&dyn Source, PathBuf) {
        if path.starts_with(&self.top) {
            return (&self.staged, path.to_path_buf());
        }
        let ours =
            self.trees.as_ref().and_then(|(tree, ours)| Some(ours.join(path.strip_prefix(tree).ok()?)));
        (&Disk, ours.unwrap_or_else(|| path.to_path_buf()))
    }
}

impl Source for Within {
    fn exists(&self, path: &Path) -> bool {
        let (source, path) = self.source(path);
        source.exists(&path)
    }

    fn read(&self, path: &Path) -> Result<String> {
        let (source, path) = self.source(path);
        source.read(&path)
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        let (source, path) = self.source(path);
        source.link(&path)
    }
}
