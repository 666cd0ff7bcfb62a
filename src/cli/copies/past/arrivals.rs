//! Who could read a place when something came to it that had left another place.
//!
//! Owns this: people added later to a place that had no other readers got access by its rule; people who could read
//! there before, or when the content came, did not. A merge brings the content of one parent to all the others, unless they
//! had it where it was first, for the same people.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{LastRules, Recorded};
use crate::cli::copies::known_rule_of;
use crate::error::Result;
use crate::keys::KeySet;
use crate::repo::copies::{Prints, lets_others_in};
use crate::repo::git::arrivals::{AtPlaces, Before};
use crate::repo::git::tree::ObjectId;
use crate::repo::git::{changes, left};

/// What was for some readers, and is in other places now: of each what that has of it.
pub(super) struct Wish<'c> {
    pub keys: KeySet,
    /// Where it was for these.
    pub own: PathBuf,
    pub places: BTreeMap<&'c Path, Prints>,
}

/// A content that a commit brought, or may have brought, to a place.
struct Version {
    commit: ObjectId,
    content: ObjectId,
    prints: Prints,
    is_merge: bool,
}

/// When contents came to places.
pub(super) struct Arrivals<'r> {
    recorded: &'r Recorded<'r>,
    by_place: HashMap<PathBuf, Vec<Version>>,
    before: Before,
    /// What is at these places in HEAD.
    at_head: Option<(ObjectId, AtPlaces)>,
    /// Places that are brought together just now have what is in no commit of HEAD's.
    asked: BTreeSet<PathBuf>,
}

impl<'r> Arrivals<'r> {
    /// For all places that we are asked about.
    pub fn of(recorded: &'r Recorded<'r>, wishes: &[Wish<'_>], asked: BTreeSet<PathBuf>) -> Result<Self> {
        let git = recorded.git;
        let wanted: BTreeSet<&Path> = wishes.iter().flat_map(|wish| wish.places.keys().copied()).collect();
        let numbers: HashMap<&Path, usize> =
            recorded.history.paths.iter().enumerate().map(|(at, name)| (name.as_path(), at)).collect();
        let names: Vec<&Path> =
            wanted.iter().filter_map(|place| place.strip_prefix(git.top()).ok()).collect();
        let mut found: Vec<(usize, ObjectId, ObjectId, bool)> = Vec::new();
        if !names.is_empty() {
            for version in &recorded.history.versions {
                if wanted.contains(&*recorded.paths[version.path]) {
                    let commit = recorded.history.commits[version.commit].id.clone();
                    found.push((
                        version.path,
                        commit,
                        recorded.history.blobs[version.blob].id.clone(),
                        false,
                    ));
                }
            }
            for (merge, name, content) in left::merged(git, &names)? {
                found.extend(numbers.get(&*name).map(|at| (*at, merge, content, true)));
            }
        }
        let changes: Vec<(&ObjectId, &Path)> =
            found.iter().map(|(at, commit, ..)| (commit, &*recorded.history.paths[*at])).collect();
        let before = Before::read(git, &changes)?;
        let at_head = match changes::head_id(git)?.filter(|_| !names.is_empty()) {
            Some(head) => {
                let at_head = AtPlaces::read(git, &names.iter().map(|name| (&head, *name)).collect())?;
                Some((head, at_head))
            }
            None => None,
        };
        let contents: Vec<(usize, &ObjectId)> =
            found.iter().map(|(at, _, content, _)| (*at, content)).collect();
        let mut by_place: HashMap<PathBuf, Vec<Version>> = HashMap::new();
        for (at, prints) in recorded.prints(&contents, |_, _| true)? {
            let (place, commit, content, is_merge) = found[at].clone();
            // Content that Git cannot deliver has been treated as an original already.
            let version = Version { commit, content, prints: prints.unwrap_or_default(), is_merge };
            by_place.entry(recorded.paths[place].clone()).or_default().push(version);
        }
        Ok(Self { recorded, by_place, before, at_head, asked })
    }

    /// The places that were for others when it came there, or had been for some who read there today.
    pub fn for_others(
        &self,
        wish: &Wish<'_>,
        today: &dyn Fn(&Path) -> Option<KeySet>,
        last: &mut LastRules<'_>,
    ) -> Result<BTreeSet<PathBuf>> {
        let mut found = BTreeSet::new();
        for (place, prints) in &wish.places {
            if !self.came_to_no_others(wish, (place, prints), today, last)? {
                found.insert(place.to_path_buf());
            }
        }
        Ok(found)
    }

    /// Whether it is known when this came to a place, and that was for no others then.
    pub fn came_to_no_others(
        &self,
        wish: &Wish<'_>,
        (place, prints): (&Path, &Prints),
        today: &dyn Fn(&Path) -> Option<KeySet>,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        let Wish { keys, own, .. } = wish;
        let today = Today { here: today(place), own: today(own) };
        // Nobody comes by a rule that is not there.
        if today.here.is_none() {
            return Ok(false);
        }
        let name = place.strip_prefix(self.recorded.git.top()).unwrap_or(place);
        let having: Vec<&Version> = self.having(place, prints).collect();
        let contents: HashSet<&ObjectId> = having.iter().map(|version| &version.content).collect();
        let has = |content: &ObjectId| contents.contains(content);
        let is_in_head = match &self.at_head {
            Some((head, at_head)) => at_head.get(head, name).is_some_and(has),
            None => false,
        };
        // It is coming right now, under today's rule: what comes back to its own place is judged by when that changed.
        if !is_in_head && (place != own || !self.asked.contains(place)) {
            return Ok(false);
        }
        let is_new = |version: &&&Version| {
            let having = self.before.having(&version.commit, name, has).count();
            if version.is_merge { having < self.before.parents(&version.commit).count() } else { having == 0 }
        };
        let came: BTreeSet<(&ObjectId, bool)> =
            having.iter().filter(is_new).map(|version| (&version.commit, version.is_merge)).collect();
        let came: Vec<(ObjectId, bool)> = came.into_iter().map(|(commit, is)| (commit.clone(), is)).collect();
        for (commit, is_merge) in &came {
            let is_excused = self.came_for(commit, place, keys, &today, last)?
                || (*is_merge && self.had_it_at_own(commit, wish, (place, prints), &today, last)?);
            if !is_excused {
                return Ok(false);
            }
        }
        Ok(!came.is_empty())
    }

    /// The versions of a place that have some of this.
    fn having<'a>(&'a self, place: &Path, prints: &'a Prints) -> impl Iterator<Item = &'a Version> {
        let all = self.by_place.get(place).into_iter().flatten();
        all.filter(|version| !version.prints.in_common(prints).is_empty())
    }

    /// Whether some of a place's readers today could already read it in an earlier commit, or we cannot tell.
    pub fn had_others(
        &self,
        commit: &ObjectId,
        place: &Path,
        keys: &KeySet,
        today: Option<&KeySet>,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        let history = (&self.recorded.history, self.recorded.ancestry());
        last.had_others(history, commit, place, keys, today)
    }

    /// Whether a place was for none but these when a commit brought something there, and nobody else who reads there today could
    /// do so before.
    fn came_for(
        &self,
        commit: &ObjectId,
        place: &Path,
        keys: &KeySet,
        today: &Today,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        let then = known_rule_of(place, &*last.states.configs(commit.as_str())?);
        Ok(then.is_some_and(|then| !lets_others_in(&then, keys))
            && !self.had_others(commit, place, keys, today.here.as_ref(), last)?)
    }

    /// The same for those who could read it at its own place in all parents of a merge that have it not here, and who could by
    /// today's rule for that place.
    fn had_it_at_own(
        &self,
        merge: &ObjectId,
        Wish { own, .. }: &Wish<'_>,
        (place, prints): (&Path, &Prints),
        today: &Today,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        let top = self.recorded.git.top();
        let (Ok(name), Ok(own_name), Some(own_today)) =
            (place.strip_prefix(top), own.strip_prefix(top), &today.own)
        else {
            return Ok(false);
        };
        let contents: HashSet<&ObjectId> =
            self.having(place, prints).map(|version| &version.content).collect();
        let having: BTreeSet<&ObjectId> =
            self.before.having(merge, name, |id| contents.contains(id)).collect();
        let others = self.before.parents(merge).filter(|parent| !having.contains(parent));
        let others: Vec<ObjectId> = others.cloned().collect();
        let there = others.iter().map(|parent| (parent, own_name)).collect();
        let there = AtPlaces::read(self.recorded.git, &there)?;
        for parent in &others {
            let held = there.get(parent, own_name).map(|id| last.prints_of(own, id)).unwrap_or_default();
            let then = known_rule_of(own, &*last.states.configs(parent.as_str())?);
            let Some(then) = then.filter(|_| !held.in_common(prints).is_empty()) else { return Ok(false) };
            for keys in [&then, own_today] {
                if !self.came_for(merge, place, keys, today, last)? {
                    return Ok(false);
                }
            }
        }
        Ok(!others.is_empty())
    }
}

/// Whom today's rules name.
struct Today {
    here: Option<KeySet>,
    /// Where something has left.
    own: Option<KeySet>,
}
