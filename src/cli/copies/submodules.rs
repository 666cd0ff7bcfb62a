//! Whom rules name for submodules by what our own working tree has chosen of them: which commit, and at which place.
//!
//! Owns that another commit, or place, which somebody has checked out to look at it, in whichever working tree, names nobody for what a
//! submodule has; nor does a place to which it was moved, for those who could not read it where it was. What is not known of a submodule
//! names nobody. Its own files are its own business: what was chosen counts for places outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::around::{Around, Below};
use super::past::{PastRule, Version, held_versions};
use super::placed::{self, Choice, Left, Placed};
use super::{past_rule_of, real_lookup};
use crate::cli::context::Context;
use crate::config::{Configs, Disk, Lookup, Source, is_config};
use crate::document::Format;
use crate::error::Result;
use crate::keys::KeySet;
use crate::repo::copies::{Copies, Held, is_for_same};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::Staged;
use crate::repo::git::history::{self, History};
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes, root_of, sides};

/// The most commits whose rules count, of a submodule without a working tree, and the most times that one place was left. With more,
/// nobody knows them.
const MOST_COMMITS: usize = 64;
const MOST_TIMES_LEFT: usize = 64;

/// Rules for submodules beside those that are checked out.
#[derive(Default)]
pub(super) struct Chosen<'c> {
    /// By their tops.
    by_top: BTreeMap<PathBuf, Vec<AtPlace>>,
    kept: Vec<Kept<'c>>,
}

/// The configs of a submodule at a commit, at a place that it has or had in our working tree: what is around that is for files without
/// a config of their own.
struct AtPlace {
    place: PathBuf,
    rules: Rules,
    /// The top of it in ours, for whose own files they do not count.
    outside: Option<PathBuf>,
    /// It has this place no more.
    is_former: bool,
    /// Its own configs have moved along.
    has_moved: bool,
}

/// What says who reads a submodule.
enum Rules {
    Of(Box<Configs>),
    /// The commit that was chosen, which is not here.
    NotHere,
    /// Ours has chosen none.
    Nothing,
}

/// A submodule that Git keeps without a working tree.
struct Kept<'c> {
    git: Git<'c>,
    contents: Contents,
    at: Vec<AtPlace>,
}

/// What there is at paths, each with a commit that has it.
type Contents = BTreeMap<(PathBuf, ObjectId), ObjectId>;

/// How much of what Git keeps counts.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    /// All that there ever was: somebody may get access.
    History,
    /// What ours has and had last: somebody looks.
    Commits,
}

impl AtPlace {
    /// Of what is not ours in any way, files count that may well be encrypted: it may be a large repository of others.
    fn counts(&self, name: &Path) -> bool {
        !matches!(self.rules, Rules::Nothing) || Format::of_path(name) != Format::Binary
    }

    /// What is said of a file that the submodule has by this name.
    fn rule_of(&self, name: &Path) -> Option<ChosenRule> {
        let file = self.place.join(name);
        let keys = match &self.rules {
            Rules::Of(configs)
                if self.has_moved && configs.place_of_other_state(&file).ok()??.starts_with(&self.place) =>
            {
                None
            }
            Rules::Of(configs) => past_rule_of(&file, configs),
            Rules::NotHere | Rules::Nothing => Some(KeySet::of_groups(Vec::new(), None)),
        };
        let former = self.is_former.then(|| file.clone());
        let is_ours = !matches!(self.rules, Rules::Nothing);
        Some(ChosenRule { keys: keys?, file, outside: self.outside.clone(), former, is_ours })
    }
}

/// What a rule says of a file in a submodule.
pub(super) struct ChosenRule {
    pub keys: KeySet,
    /// The file, at the place whose rule it is.
    file: PathBuf,
    /// The folder for whose files it does not count.
    pub outside: Option<PathBuf>,
    /// Where the file was, if that is a place that the submodule has no more.
    pub former: Option<PathBuf>,
    /// Ours has chosen a commit.
    pub is_ours: bool,
}

impl<'c> Chosen<'c> {
    pub fn read(around: &Around, below: &Below, extent: Extent, context: &'c Context) -> Result<Self> {
        let lookup = real_lookup(context)?;
        if lookup.explicit.is_some() || context.is_sops() {
            return Ok(Self::default());
        }
        let (all, left) = placed::read(around, below, context)?;
        let left = configs_before(&left, &all, context)?;
        let reading = Reading { below, lookup: &lookup, left, outer: configs_of_outer(&all)? };
        let mut chosen = Self::default();
        let at: Vec<Vec<AtPlace>> =
            all.par_iter().map(|placed| reading.at_places(placed)).collect::<Result<_>>()?;
        for (placed, at) in all.into_iter().zip(at) {
            match placed.is_kept {
                _ if at.is_empty() => {}
                true => chosen.kept.push(Kept::read(placed, at, extent)?),
                false => _ = chosen.by_top.insert(placed.top, at),
            }
        }
        Ok(chosen)
    }

    /// Whether all that is chosen is as it is checked out, and what is kept is for these readers alone.
    pub fn names_only(&self, one: &KeySet) -> bool {
        self.by_top.is_empty() && self.kept.iter().all(|kept| kept.names_only(one))
    }

    /// Whether rules for a file were chosen.
    pub fn has(&self, file: &Path) -> bool {
        file.ancestors().any(|above| self.by_top.contains_key(above))
    }

    /// What these say of a file: those of each submodule that it is in, as one may be within another.
    pub fn rules_of(&self, file: &Path) -> Vec<ChosenRule> {
        let tops = file.ancestors().filter_map(|above| self.by_top.get_key_value(above));
        let rules = tops.flat_map(|(top, places)| {
            let name = file.strip_prefix(top).unwrap_or(file);
            places.iter().filter_map(move |at| at.rule_of(name))
        });
        rules.collect()
    }

    /// Adds what submodules without a working tree ever had, as far as it is `wanted`. `today` are the configs of today.
    pub fn add_kept(
        &self,
        copies: &mut Copies,
        today: &Configs,
        wanted: impl Fn(&Copies, &[(usize, Held)]) -> bool + Sync,
    ) -> Result<()> {
        for kept in &self.kept {
            let found = held_versions(&mut Blobs::open(&kept.git)?, kept.versions(), today, |held| {
                wanted(copies, held)
            })?;
            found.into_iter().for_each(|found| found.add_to(copies));
        }
        Ok(())
    }
}

impl<'c> Kept<'c> {
    fn read(placed: Placed<'c>, at: Vec<AtPlace>, extent: Extent) -> Result<Self> {
        let is_ours = !matches!(placed.choice, Choice::Unknown | Choice::TooMany);
        let commits: Vec<String> =
            commits_of(&placed).iter().map(|commit| commit.as_str().to_owned()).collect();
        let git = placed.git;
        let contents = match extent {
            // What was chosen says who is named, not which versions there are.
            Extent::History => contents_ever(&git, &[sides::all(&git)?, commits].concat())?,
            Extent::Commits if is_ours => contents_of(&git, commits.iter().take(MOST_COMMITS))?,
            Extent::Commits => contents_of(&git, &changes::head(&git)?)?,
        };
        Ok(Self { git, contents, at })
    }

    fn rules_of(&self, path: &Path) -> impl Iterator<Item = ChosenRule> {
        self.at.iter().filter(|at| at.counts(path)).filter_map(|at| at.rule_of(path))
    }

    fn names_only(&self, one: &KeySet) -> bool {
        let paths: BTreeSet<&PathBuf> = self.contents.keys().map(|(path, _)| path).collect();
        paths.into_iter().flat_map(|path| self.rules_of(path)).all(|rule| is_for_same(&rule.keys, one))
    }

    fn versions(&self) -> Vec<Version> {
        let of_content = |((path, id), commit): (&(PathBuf, ObjectId), &ObjectId)| {
            let version = |rule: ChosenRule| Version {
                id: id.clone(),
                shown: format!("{} of commit {}", rule.file.display(), commit.short()).into(),
                path: rule.file,
                rules: vec![PastRule::now(rule.keys)],
            };
            self.rules_of(path).map(version).collect::<Vec<_>>()
        };
        self.contents.iter().flat_map(of_content).collect()
    }
}

/// All contents of the history of commits.
fn contents_ever(git: &Git, commits: &[String]) -> Result<Contents> {
    let history = History::read_all(git, commits)?;
    let content = |version: &history::Version| {
        let content = (history.paths[version.path].clone(), history.blobs[version.blob].id.clone());
        (content, history.commits[version.commit].id.clone())
    };
    Ok(history.versions.iter().map(content).collect())
}

/// Those of commits alone.
fn contents_of<'i>(git: &Git, commits: impl IntoIterator<Item = &'i String>) -> Result<Contents> {
    let mut contents = Contents::new();
    for commit in commits {
        let (tree, id) = (Tree::of_commit(git, commit)?, ObjectId::parse(commit.as_bytes()));
        let files = tree.iter().filter_map(|(path, entry)| match entry {
            Entry::File(blob) => Some(((path.clone(), blob.clone()), id.clone()?)),
            _ => None,
        });
        contents.extend(files);
    }
    Ok(contents)
}

/// The configs of our own repositories before a place was left, by that place, as far as a submodule was there; `None` if it was left
/// too often.
type LeftConfigs = BTreeMap<PathBuf, Option<Vec<Arc<Staged>>>>;

fn configs_before(left: &Left, placed: &[Placed<'_>], context: &Context) -> Result<LeftConfigs> {
    let former: BTreeSet<&PathBuf> = placed.iter().flat_map(|placed| placed.former.keys()).collect();
    let mut by_place: BTreeMap<&PathBuf, BTreeSet<(&PathBuf, &ObjectId)>> = BTreeMap::new();
    for (place, top, commit) in &left.before {
        if former.iter().any(|former| former.starts_with(place)) {
            by_place.entry(place).or_default().insert((top, commit));
        }
    }
    let read = |(top, commit): (&PathBuf, &ObjectId)| {
        let git = Git::of(context.host, top)?;
        let tree = Tree::of_commit(&git, commit.as_str())?;
        Ok(Arc::new(Staged::read(top, &tree, None, &mut Blobs::open(&git)?)?))
    };
    let read_all = |(place, commits): (&PathBuf, BTreeSet<(&PathBuf, &ObjectId)>)| {
        let all =
            (commits.len() <= MOST_TIMES_LEFT).then(|| commits.into_iter().map(read).collect::<Result<_>>());
        Ok((place.clone(), all.transpose()?))
    };
    by_place.into_iter().map(read_all).collect()
}

/// The configs of submodules that have others within them, at each of their places; `None` where nobody knows them.
fn configs_of_outer(all: &[Placed<'_>]) -> Result<BTreeMap<PathBuf, Option<Arc<Staged>>>> {
    let places_of = |placed: &'_ Placed<'_>| -> Vec<PathBuf> {
        placed.places.iter().chain(placed.former.keys()).cloned().collect()
    };
    let inner: BTreeSet<PathBuf> = all.iter().flat_map(places_of).collect();
    let has_inner = |place: &PathBuf| inner.iter().any(|inner| inner != place && inner.starts_with(place));
    let mut found: BTreeMap<PathBuf, Option<Arc<Staged>>> = BTreeMap::new();
    for placed in all {
        let places: Vec<PathBuf> = places_of(placed).into_iter().filter(has_inner).collect();
        let commits: Vec<&ObjectId> = match &placed.choice {
            _ if places.is_empty() => continue,
            Choice::Commits(commits) => commits.iter().collect(),
            // As it lies.
            Choice::Nothing if !placed.is_kept => continue,
            Choice::Nothing if !has_configs(&placed.git, &commits_of(placed))? => continue,
            _ => Vec::new(),
        };
        // Where a merge has not said which, nobody knows.
        let tree = match commits[..] {
            [commit] => Tree::of_commit(&placed.git, commit.as_str()).ok(),
            _ => None,
        };
        for place in places {
            let staged =
                tree.as_ref().map(|tree| Staged::read(&place, tree, None, &mut Blobs::open(&placed.git)?));
            let staged = staged.and_then(Result::ok).map(Arc::new);
            // Two that were at one place may say different things.
            found.entry(place).and_modify(|known| *known = None).or_insert(staged);
        }
    }
    Ok(found)
}

/// The commits of one without a working tree that say what it had.
fn commits_of(placed: &Placed<'_>) -> Vec<ObjectId> {
    let chosen = match &placed.choice {
        Choice::Commits(commits) => commits.iter().cloned().collect(),
        _ => Vec::new(),
    };
    let former = placed.former.values().flatten().cloned();
    let all: BTreeSet<ObjectId> = chosen.into_iter().chain(former).collect();
    all.into_iter().collect()
}

/// Whether the history of commits has configs.
fn has_configs(git: &Git, commits: &[ObjectId]) -> Result<bool> {
    let names: Vec<String> = commits.iter().map(|commit| commit.as_str().to_owned()).collect();
    Ok(!History::read_all(git, &names)?.configs.is_empty())
}

/// Which configs count for a submodule.
struct Reading<'r> {
    below: &'r Below,
    lookup: &'r Lookup,
    left: LeftConfigs,
    /// What is between these and a submodule, by the places of outer ones.
    outer: BTreeMap<PathBuf, Option<Arc<Staged>>>,
}

impl Reading<'_> {
    /// The configs at the places of a submodule.
    fn at_places(&self, placed: &Placed<'_>) -> Result<Vec<AtPlace>> {
        let Placed { git, top, is_kept, choice, places, former } = placed;
        let elsewhere = self.below.elsewhere.get(top);
        let outside = match elsewhere {
            _ if *is_kept => None,
            Some(elsewhere) => elsewhere.here.clone(),
            None => Some(top.clone()),
        };
        let unknown = |place: &Path| AtPlace {
            place: place.to_path_buf(),
            rules: match choice {
                Choice::Unknown | Choice::TooMany => Rules::Nothing,
                Choice::Nothing | Choice::Commits(_) => Rules::NotHere,
            },
            outside: outside.clone(),
            is_former: false,
            has_moved: false,
        };
        let commits: Vec<Option<ObjectId>> = match choice {
            Choice::Unknown => return Ok(vec![unknown(top)]),
            Choice::TooMany => {
                let place = Path::new("one of too many places");
                return Ok(vec![AtPlace { outside: None, is_former: true, ..unknown(place) }]);
            }
            Choice::Commits(commits) => commits.iter().cloned().map(Some).collect(),
            Choice::Nothing if *is_kept => {
                let mut commits = commits_of(placed);
                if commits.len() > MOST_COMMITS {
                    // Without configs of its own, all of them say the same.
                    if has_configs(git, &commits)? {
                        return Ok(former.keys().map(|place| unknown(place)).collect());
                    }
                    commits.truncate(1);
                }
                commits.into_iter().map(Some).collect()
            }
            Choice::Nothing if former.is_empty() => return Ok(Vec::new()),
            Choice::Nothing => vec![None],
        };
        let is_today = matches!(choice, Choice::Commits(_));
        let has_moved = !*is_kept || is_today;
        let mut found = Vec::new();
        for commit in commits {
            let name = commit.as_ref().map_or("HEAD", ObjectId::as_str);
            let tree = Tree::of_commit(git, name).ok();
            let mut blobs = Blobs::open(git)?;
            // A partial clone may have the commit without the files.
            let mut staged_at = |place: &Path| Staged::read(place, tree.as_ref()?, None, &mut blobs).ok();
            let is_as_on_disk = elsewhere.is_none()
                && !*is_kept
                && tree
                    .as_ref()
                    .zip(staged_at(top))
                    .is_some_and(|(tree, staged)| self.is_as_on_disk(top, tree, &staged));
            for place in places.iter().filter(|_| is_today && !is_as_on_disk) {
                found.push(match staged_at(place) {
                    Some(staged) => AtPlace { rules: self.rules(place, staged, None), ..unknown(place) },
                    None => unknown(place),
                });
            }
            for place in former.keys() {
                // What is checked out says as well which configs are its own, if nothing else does.
                let checked_out = || {
                    let tree = Tree::of_commit(git, "HEAD").ok()?;
                    Staged::read(place, &tree, None, &mut Blobs::open(git).ok()?).ok()
                };
                let of =
                    |rules| AtPlace { rules, outside: None, is_former: true, has_moved, ..unknown(place) };
                let Some(around) = self.around_former(place) else {
                    found.push(of(Rules::Nothing));
                    continue;
                };
                for around in around {
                    let staged = staged_at(place).or_else(checked_out);
                    found.push(of(staged.map_or(Rules::Nothing, |staged| self.rules(place, staged, around))));
                }
            }
        }
        Ok(found)
    }

    /// What is and was around a place that was left: today's are on the disk (`None`). Nothing if it was left too often.
    fn around_former(&self, place: &Path) -> Option<Vec<Option<Arc<Staged>>>> {
        let mut around = vec![None];
        for (_, configs) in self.left.iter().filter(|(left, _)| place.starts_with(left)) {
            around.extend(configs.as_ref()?.iter().cloned().map(Some));
        }
        Some(around)
    }

    /// Whether the configs that are checked out are those of a commit.
    fn is_as_on_disk(&self, top: &Path, tree: &Tree, staged: &Staged) -> bool {
        let chosen: BTreeSet<PathBuf> = tree
            .iter()
            .map(|(path, _)| path)
            .filter(|path| is_config(path))
            .map(|path| top.join(path))
            .collect();
        let is_own = |file: &&PathBuf| file.parent().and_then(root_of) == Some(top);
        let here = self.below.files.iter().filter(|file| file.starts_with(top) && is_config(file));
        let here: BTreeSet<PathBuf> = here.filter(is_own).cloned().collect();
        let is_same = |path: &PathBuf| {
            Disk.link(path).is_none()
                && matches!((Disk.read(path), staged.read(path)), (Ok(disk), Ok(chosen)) if disk == chosen)
        };
        chosen == here && chosen.iter().all(is_same)
    }

    fn rules(&self, place: &Path, staged: Staged, around: Option<Arc<Staged>>) -> Rules {
        let outer = self.outer.iter().rev().filter(|(outer, _)| *outer != place && place.starts_with(outer));
        let outer = outer.map(|(outer, staged)| Some((outer.clone(), staged.clone()?)));
        let Some(outer) = outer.collect() else { return Rules::NotHere };
        let source = Within { top: place.to_path_buf(), staged, outer, around };
        Rules::Of(Box::new(Configs::from_source(self.lookup.clone(), source)))
    }
}

/// The configs of a commit below the top of a submodule, around it those of what is chosen of outer ones, and around these those of
/// another commit, or of the disk.
struct Within {
    top: PathBuf,
    staged: Staged,
    /// The inner ones first.
    outer: Vec<(PathBuf, Arc<Staged>)>,
    around: Option<Arc<Staged>>,
}

impl Within {
    fn source(&self, path: &Path) -> &dyn Source {
        let outer = self.outer.iter().find(|(outer, _)| path.starts_with(outer));
        match (outer, &self.around) {
            _ if path.starts_with(&self.top) => &self.staged,
            (Some((_, outer)), _) => &**outer,
            (None, Some(around)) => &**around,
            (None, None) => &Disk,
        }
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
