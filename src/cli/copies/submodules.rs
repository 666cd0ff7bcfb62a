//! Whom rules name for submodules by what our own working tree has chosen of them: which commit, and at which place.
//!
//! Owns that another commit, or place, which somebody has checked out to look at it, in whichever working tree, names nobody for what a
//! submodule has; nor does a place to which it was moved, for those who could not read it where it was. A submodule's own files are its
//! own business: what was chosen counts for places outside of it.

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
use crate::repo::git::{Git, changes, gitmodules, root_of};

/// Rules for submodules, by the tops of these, beside those that are checked out.
#[derive(Default)]
pub(super) struct Chosen(BTreeMap<PathBuf, Vec<AtPlace>>);

/// The configs of a submodule at the commit that was chosen, at a place that it has or had in our working tree: what is around that is
/// for files without a config of their own.
struct AtPlace {
    place: PathBuf,
    /// `None` where nobody knows them: then they name nobody.
    configs: Option<Configs>,
    /// The top of it in ours, for whose own files they do not count.
    outside: Option<PathBuf>,
    /// It has this place no more.
    is_former: bool,
}

impl AtPlace {
    /// What is said of a file that the submodule has by this name.
    fn rule_of(&self, name: &Path) -> Option<ChosenRule> {
        let Self { place, configs, outside, is_former } = self;
        let file = place.join(name);
        let keys = match configs {
            // Its own config has moved along.
            Some(configs) if *is_former && configs.place_of_other_state(&file).ok()??.starts_with(place) => {
                None
            }
            Some(configs) => past_rule_of(&file, configs),
            None if *is_former => None,
            None => Some(KeySet::of_groups(Vec::new(), None)),
        };
        Some(ChosenRule { keys: keys?, outside: outside.clone(), former: is_former.then_some(file) })
    }
}

/// What a rule says of a file in a submodule.
pub(super) struct ChosenRule {
    pub keys: KeySet,
    /// The folder for whose files it does not count.
    pub outside: Option<PathBuf>,
    /// Where the file was, if that is a place that the submodule has no more.
    pub former: Option<PathBuf>,
}

impl Chosen {
    pub fn read(around: &Around, below: &Below, context: &Context) -> Result<Self> {
        let lookup = real_lookup(context)?;
        if lookup.explicit.is_some() || context.is_sops() {
            return Ok(Self::default());
        }
        let Below { nested, elsewhere, .. } = below;
        let all: BTreeSet<&PathBuf> = nested.iter().chain(elsewhere.keys()).collect();
        let mut by_outer: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for top in all {
            if let Some(outer) = top.parent().and_then(root_of) {
                by_outer.entry(outer).or_default().push(top);
            }
        }
        if by_outer.is_empty() {
            return Ok(Self::default());
        }
        let mut reading = Reading {
            elsewhere,
            context,
            lookup: &lookup,
            commits: BTreeMap::new(),
            staged: staged_places(elsewhere, context),
            former: BTreeMap::new(),
        };
        for root in &around.roots {
            reading.add_former(root, "HEAD")?;
        }
        let mut chosen = BTreeMap::new();
        for (outer, tops) in by_outer {
            for found in reading.commits_of(outer, &tops)? {
                let top = found.top;
                let found = reading.at_places(&found)?;
                if !found.is_empty() {
                    chosen.insert(top.to_path_buf(), found);
                }
            }
        }
        Ok(Self(chosen))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether rules for a file were chosen.
    pub fn has(&self, file: &Path) -> bool {
        file.ancestors().any(|above| self.0.contains_key(above))
    }

    /// What these say of a file: those of each submodule that it is in, as one may be within another.
    pub fn rules_of(&self, file: &Path) -> Vec<ChosenRule> {
        let tops = file.ancestors().filter_map(|above| self.0.get_key_value(above));
        let rules = tops.flat_map(|(top, places)| {
            let name = file.strip_prefix(top).unwrap_or(file);
            places.iter().filter_map(move |at| at.rule_of(name))
        });
        rules.collect()
    }
}

/// The commits of submodules that our working trees have staged, at the places of those of other working trees.
fn staged_places(elsewhere: &BTreeMap<PathBuf, Elsewhere>, context: &Context) -> BTreeMap<PathBuf, ObjectId> {
    let mut by_root: BTreeMap<&Path, BTreeSet<&PathBuf>> = BTreeMap::new();
    for Elsewhere { root, places, .. } in elsewhere.values() {
        by_root.entry(root).or_default().extend(places);
    }
    let staged = |(root, places): (&Path, BTreeSet<&PathBuf>)| {
        let git = Git::find(context.host, root).ok().flatten()?;
        let names: Vec<&Path> =
            places.iter().filter_map(|place| place.strip_prefix(git.top()).ok()).collect();
        let tree = Tree::of_index_at(&git, &names).ok()?;
        let found = places.into_iter().filter_map(move |place| {
            let commit = tree.submodule(place.strip_prefix(git.top()).ok()?)?;
            Some((place.clone(), commit.clone()))
        });
        Some(found.collect::<Vec<_>>())
    };
    by_root.into_iter().filter_map(staged).flatten().collect()
}

/// A submodule, and what ours has chosen of it.
struct Found<'r> {
    top: &'r Path,
    chosen: Choice,
}

/// What ours has chosen of a submodule.
enum Choice {
    /// Nothing: it is not there.
    Nothing,
    /// The commit that is checked out.
    ThisOne(ObjectId),
    /// Another one.
    Other(ObjectId),
    /// What ours has chosen around it has none in this place: nobody knows which rules count.
    Unknown,
}

/// Which commits of submodules ours has chosen.
struct Reading<'r> {
    elsewhere: &'r BTreeMap<PathBuf, Elsewhere>,
    context: &'r Context<'r>,
    lookup: &'r Lookup,
    /// Those of submodules that were looked at.
    commits: BTreeMap<&'r Path, ObjectId>,
    /// What our working trees have staged at the places of submodules of others.
    staged: BTreeMap<PathBuf, ObjectId>,
    former: BTreeMap<PathBuf, Vec<(PathBuf, ObjectId)>>,
}

impl<'r> Reading<'r> {
    /// Looks where a repository had submodules in the history of a commit.
    fn add_former(&mut self, top: &Path, commit: &str) -> Result<()> {
        // What Git does not open is told where its history is wanted.
        let Ok(Some(git)) = Git::find(self.context.host, top) else { return Ok(()) };
        let Some(commit) = Some(commit).filter(|commit| changes::is_commit(&git, commit)) else {
            return Ok(());
        };
        let former = gitmodules::former_places(&git, commit)?;
        if !former.is_empty() {
            let former = former.into_iter().map(|(name, commit)| (git.top().join(name), commit));
            self.former.insert(git.top().to_path_buf(), former.collect());
        }
        Ok(())
    }

    /// What was chosen of these submodules in one repository. Outer ones have been asked about before those within them.
    fn commits_of(&mut self, outer: &Path, tops: &[&'r Path]) -> Result<Vec<Found<'r>>> {
        let Ok(Some(git)) = Git::find(self.context.host, outer) else { return Ok(Vec::new()) };
        let named: Vec<(&Path, &Path)> =
            tops.iter().filter_map(|top| Some((*top, top.strip_prefix(git.top()).ok()?))).collect();
        let names: Vec<&Path> = named.iter().map(|(_, name)| *name).collect();
        let staged = Tree::of_index_at(&git, &names)?;
        let moved: BTreeSet<PathBuf> = changes::unstaged_at(&git, &names)?.into_iter().collect();
        let around = self.commits.get(git.top()).cloned();
        if let Some(around) = &around {
            self.add_former(git.top(), around.as_str())?;
        }
        let mut found = Vec::new();
        for (top, name) in named {
            let there = staged.submodule(name);
            let commit = match (&around, self.elsewhere.get(top)) {
                // Of one within another, the commit of that one says it.
                (Some(outer), _) => within(&git, outer, name),
                (None, Some(elsewhere)) => {
                    elsewhere.places.iter().find_map(|place| self.staged.get(place)).cloned()
                }
                (None, None) => there.cloned(),
            };
            let chosen = match commit {
                Some(commit) if moved.contains(name) || there != Some(&commit) => Choice::Other(commit),
                Some(commit) => Choice::ThisOne(commit),
                None if around.is_some() && there.is_some() => Choice::Unknown,
                None => Choice::Nothing,
            };
            if let Choice::ThisOne(commit) | Choice::Other(commit) = &chosen {
                self.commits.insert(top, commit.clone());
            }
            found.push(Found { top, chosen });
        }
        Ok(found)
    }

    /// The places of submodules in one of our working trees, with their commits.
    fn places_in(&self, root: &Path) -> Result<Vec<(PathBuf, ObjectId)>> {
        let Ok(Some(git)) = Git::find(self.context.host, root) else { return Ok(Vec::new()) };
        let paths: Vec<PathBuf> = gitmodules::paths_by_name(&git)?.into_values().collect();
        let names: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let staged = Tree::of_index_at(&git, &names)?;
        let place = |name: &&Path| Some((git.top().join(name), staged.submodule(name)?.clone()));
        Ok(names.iter().filter_map(place).collect())
    }

    /// The configs at the places of a submodule.
    fn at_places(&self, Found { top, chosen }: &Found<'_>) -> Result<Vec<AtPlace>> {
        let elsewhere = self.elsewhere.get(*top);
        let here = elsewhere.map_or(Some(*top), |elsewhere| elsewhere.here.as_deref());
        // The history of what only another tree has is read there, under what is around it there.
        let is_read_there = here.is_none();
        let outer = top.parent().and_then(root_of);
        let root = elsewhere.map(|elsewhere| &*elsewhere.root);
        let former = [root, outer].into_iter().flatten().find_map(|root| self.former.get(root));
        let former = former.map_or(&[][..], Vec::as_slice);
        let is_other = matches!(chosen, Choice::Other(_) | Choice::Unknown);
        if !is_other && !is_read_there && former.is_empty() {
            return Ok(Vec::new());
        }
        let Ok(Some(git)) = Git::find(self.context.host, top) else { return Ok(Vec::new()) };
        let commit = match chosen {
            Choice::ThisOne(commit) | Choice::Other(commit) => Some(commit.as_str()),
            Choice::Nothing => Some("HEAD"),
            Choice::Unknown => None,
        };
        let tree = commit.and_then(|commit| Tree::of_commit(&git, commit).ok());
        let mut blobs = Blobs::open(&git)?;
        let mut found = Vec::new();
        let mut add = |place: &Path, outside: Option<&Path>, is_former: bool| {
            let staged = match &tree {
                // A partial clone may have the commit without the files.
                Some(tree) => match Staged::read(place, tree, None, &mut blobs) {
                    Ok(staged) => Some(staged),
                    Err(_) => {
                        blobs = Blobs::open(&git)?;
                        None
                    }
                },
                None => None,
            };
            let configs = staged.map(|staged| {
                let source = Within { top: place.to_path_buf(), staged };
                Configs::from_source(self.lookup.clone(), source)
            });
            let (place, outside) = (place.to_path_buf(), outside.map(Path::to_path_buf));
            found.push(AtPlace { place, configs, outside, is_former });
            Ok::<_, Error>(())
        };
        if is_other || is_read_there {
            match elsewhere {
                Some(elsewhere) => elsewhere.places.iter().try_for_each(|place| add(place, here, false))?,
                None => add(top, here, false)?,
            }
        }
        // Another branch may have what ours has, by another name.
        let ours = match (chosen, elsewhere) {
            (Choice::Nothing, Some(elsewhere)) => self.places_in(&elsewhere.root)?,
            _ => Vec::new(),
        };
        let former: Vec<&(PathBuf, ObjectId)> = former.iter().chain(&ours).collect();
        if !former.is_empty() {
            let had = gitmodules::commits_in(&git, &former.iter().map(|(_, commit)| commit).collect())?;
            let places = former.iter().filter(|(place, commit)| place != top && had.contains(commit));
            let places: BTreeSet<&PathBuf> = places.map(|(place, _)| place).collect();
            places.into_iter().try_for_each(|place| add(place, None, true))?;
        }
        Ok(found)
    }
}

/// The commit of a submodule that a commit has by this name.
fn within(git: &Git, commit: &ObjectId, name: &Path) -> Option<ObjectId> {
    let tree = Tree::of_commit_at(git, commit.as_str(), &BTreeSet::from([name.to_path_buf()])).ok()?;
    tree.submodule(name).cloned()
}

/// The configs of a commit below the top of a submodule, and around it those of the disk.
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
