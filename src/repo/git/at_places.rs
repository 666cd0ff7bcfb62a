//! What commits have at places, asked for many at once, and which commits brought contents there.
//!
//! Owns that Git is started once, however many commits there are and however often one of these names the same parent; and that a
//! content has come by a commit if none of its parents has it there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::beside::commits_in;
use super::tree::{Entry, ObjectId, Tree};
use super::{Git, history};
use crate::error::{Error, Kind, Result};
use crate::os;

/// The most places of commits that are asked for: several seconds of Git's time.
const MOST: usize = 5_000_000;

/// Of a commit that is asked for more, all is read at once: else Git looks each of them up in the whole of its folder.
const MANY: usize = 100;

/// The most bytes that their names may have together.
const MOST_BYTES: usize = 512 << 20;

/// The files that commits have at places, which are named from the top.
#[derive(Default)]
pub struct AtPlaces(HashMap<ObjectId, HashMap<PathBuf, ObjectId>>);

impl AtPlaces {
    pub fn read(git: &Git, asked: &BTreeSet<(&ObjectId, &Path)>) -> Result<Self> {
        let length =
            |(commit, place): &(&ObjectId, &Path)| commit.as_str().len() + place.as_os_str().len() + 2;
        if asked.len() > MOST || asked.iter().map(length).sum::<usize>() > MOST_BYTES {
            let message = "encrypted files have been moved or replaced too often in its history to tell who could read them";
            return Err(Error::new(Kind::Read, message)
                .advise("Work in a clone of recent history: `git clone --depth 1000 URL`."));
        }
        let mut found = Self::default();
        let mut count: HashMap<&ObjectId, usize> = HashMap::new();
        asked.iter().for_each(|(commit, _)| *count.entry(commit).or_default() += 1);
        let (many, few): (BTreeSet<_>, BTreeSet<_>) =
            asked.iter().partition(|(commit, _)| count[*commit] >= MANY);
        for commit in many.iter().map(|(commit, _)| *commit).collect::<BTreeSet<_>>() {
            let tree = Tree::of_commit(git, commit.as_str())?;
            for (_, place) in many.range((commit, Path::new(""))..).take_while(|(other, _)| *other == commit)
            {
                if let Some(Entry::File(id)) = tree.get(place) {
                    found.add(commit, place, id.clone());
                }
            }
        }
        let asked = &few;
        // Git reads a line for each, and a name may have an end of line in it.
        let is_odd = |place: &Path| place.as_os_str().as_encoded_bytes().contains(&b'\n');
        let (odd, even): (Vec<_>, Vec<_>) = asked.iter().partition(|(_, place)| is_odd(place));
        for (commit, place) in odd {
            if let Some(id) = Tree::entry_of_commit(git, commit.as_str(), place)? {
                found.add(commit, place, id);
            }
        }
        let line = |(commit, place): &(&ObjectId, &Path)| {
            [commit.as_str().as_bytes(), b":", &os::slashed(place), b"\n"].concat()
        };
        let input: Vec<u8> = even.iter().flat_map(line).collect();
        let answers = match even.is_empty() {
            true => return Ok(found),
            false => git.run_on(["cat-file", "--batch-check=%(objectname)"], &input)?,
        };
        let answers: Vec<&[u8]> =
            answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        if answers.len() != even.len() {
            return Err(history::not_understood());
        }
        for ((commit, place), answer) in even.into_iter().zip(answers) {
            // Of what is not there Git repeats the name.
            if let Some(id) = ObjectId::parse(answer) {
                found.add(commit, place, id);
            }
        }
        Ok(found)
    }

    /// The same of files alone: what a link says is no file.
    pub fn read_files(git: &Git, asked: &BTreeSet<(&ObjectId, &Path)>) -> Result<Self> {
        let mut by_commit: BTreeMap<&ObjectId, BTreeSet<PathBuf>> = BTreeMap::new();
        for (commit, place) in asked {
            by_commit.entry(commit).or_default().insert(place.to_path_buf());
        }
        let mut found = Self::default();
        for (commit, places) in by_commit {
            let tree = match places.len() < MANY {
                true => Tree::of_commit_at(git, commit.as_str(), &places)?,
                false => Tree::of_commit(git, commit.as_str())?,
            };
            for place in &places {
                if let Some(Entry::File(id)) = tree.get(place) {
                    found.add(commit, place, id.clone());
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, commit: &ObjectId, place: &Path, id: ObjectId) {
        self.0.entry(commit.clone()).or_default().insert(place.to_path_buf(), id);
    }

    pub fn get(&self, commit: &ObjectId, place: &Path) -> Option<&ObjectId> {
        self.0.get(commit)?.get(place)
    }
}

/// What was in the parents of commits at the places that these changed.
#[derive(Default)]
pub struct Before {
    parents: HashMap<ObjectId, BTreeSet<ObjectId>>,
    contents: AtPlaces,
}

impl Before {
    /// For commits, each with a place, named from the top.
    pub fn read(git: &Git, changes: &[(&ObjectId, &Path)]) -> Result<Self> {
        if changes.is_empty() {
            return Ok(Self::default());
        }
        let commits: BTreeSet<&ObjectId> = changes.iter().map(|(commit, _)| *commit).collect();
        let names: String = commits.iter().map(|commit| format!("{}\n", commit.as_str())).collect();
        let listed =
            git.run_on(["rev-list", "--no-walk=unsorted", "--parents", "--stdin"], names.as_bytes())?;
        let mut parents = HashMap::new();
        for names in commits_in(&listed)? {
            let mut names = names.into_iter();
            if let Some(commit) = names.next() {
                parents.insert(commit, names.collect::<BTreeSet<_>>());
            }
        }
        let of_parents = changes.iter().flat_map(|(commit, place)| {
            parents.get(*commit).into_iter().flatten().map(|parent| (parent, *place))
        });
        let contents = AtPlaces::read(git, &of_parents.collect())?;
        Ok(Self { parents, contents })
    }

    /// The parents of a commit.
    pub fn parents(&self, commit: &ObjectId) -> impl Iterator<Item = &ObjectId> {
        self.parents.get(commit).into_iter().flatten()
    }

    /// The parents of a commit that have one of these contents at a place.
    pub fn having<'b>(
        &'b self,
        commit: &ObjectId,
        place: &'b Path,
        is_one: impl Fn(&ObjectId) -> bool + 'b,
    ) -> impl Iterator<Item = &'b ObjectId> {
        let parents = self.parents.get(commit).into_iter().flatten();
        parents.filter(move |parent| self.contents.get(parent, place).is_some_and(&is_one))
    }
}
