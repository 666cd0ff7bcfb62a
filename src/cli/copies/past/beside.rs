//! Content of commits outside HEAD's history (other branches, reflogs, a merge in progress), and what merges in HEAD's
//! history took from one of their parents.
//!
//! Owns who that is for. Until two branches diverged, the common rules named the readers of each place; people added
//! since, on the other branch, got access by a rule. People whom the branch removed, or never had, did not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::{Came, LastRules, Left, Looking, PastRule, PastScope, Recorded, Since, counts};
use crate::cli::copies::past_rule_of;
use crate::error::{Error, Result};
use crate::keys::KeySet;
use crate::policy;
use crate::repo::copies::{Prints, let_same_others_in, lets_others_in};
use crate::repo::git::ancestry::{Ancestry, Line};
use crate::repo::git::at_places::{AtPlaces, Before};
use crate::repo::git::beside::Beside;
use crate::repo::git::tree::ObjectId;
use crate::repo::git::{changes, left};

/// A content of a commit, by its number.
#[derive(Clone, Copy)]
struct Candidate<'r> {
    place: usize,
    content: &'r ObjectId,
    commit: usize,
    /// The merge on the way to HEAD that has taken it; without one the commit is beside HEAD's.
    merge: Option<usize>,
}

impl Recorded<'_> {
    /// The rules of such commits for what they had in these places, as far as it is wanted.
    pub(super) fn beside_head(
        &self,
        places: &HashSet<usize>,
        looking: &Looking<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Left<'_>>> {
        let ancestry = self.ancestry();
        let beside = Beside::of(self.git, ancestry)?;
        let (mut candidates, mut on_the_way) = (Vec::new(), HashMap::<_, Vec<usize>>::new());
        for version in self.history.versions.iter().filter(|version| places.contains(&version.path)) {
            let (place, commit) = (version.path, version.commit);
            let content = &self.history.blobs[version.blob].id;
            match beside.has(commit) {
                true => candidates.push(Candidate { place, content, commit, merge: None }),
                false => on_the_way.entry((place, content)).or_default().push(commit),
            }
        }
        let is_named = last.states.has_named_config();
        candidates.extend(self.taken_by_merges(on_the_way.keys().copied(), is_named)?);
        let contents: BTreeSet<(usize, &ObjectId)> =
            candidates.iter().map(|candidate| (candidate.place, candidate.content)).collect();
        let contents: Vec<_> = contents.into_iter().collect();
        let (elsewhere, wanted) = (&looking.elsewhere, looking.wanted);
        let is_wanted = |place: usize, prints: &Prints| {
            elsewhere.have(prints) || (wanted != PastScope::Shared && self.is_gone(place))
        };
        let prints = self.prints(&contents, is_wanted)?.into_iter();
        let prints: HashMap<(usize, &ObjectId), Prints> =
            prints.map(|(at, seen)| (contents[at], seen.unwrap_or_default().prints)).collect();
        let others = elsewhere.places(prints.values());
        let audiences = elsewhere.copies.audiences();
        let forks = Forks { ancestry, beside: &beside };
        let mut found = Vec::new();
        for candidate in candidates {
            let Candidate { place, content, commit, merge } = candidate;
            let Some(prints) = prints.get(&(place, content)) else { continue };
            let path = &self.paths[place];
            let is_elsewhere = others.of(prints).keys().any(|here| *here != path);
            // Ignore commits that redo a change at the same place, as `git commit --amend` does.
            let is_done_again = merge.is_none() && !beside.is_named(self.name_of(commit));
            if is_done_again && !is_elsewhere && !self.is_gone(place) {
                continue;
            }
            let Some(keys) = past_rule_of(path, &*last.states.configs(self.name_of(commit).as_str())?) else {
                continue;
            };
            let mut rule = PastRule { keys: Some(keys), since: Since::Now, stayed: None };
            if !counts(&rule, wanted, &audiences) {
                continue;
            }
            let Some(keys) = rule.keys.take() else { continue };
            let came_before = on_the_way.get(&(place, content)).filter(|_| merge.is_none());
            if self.was_on_the_way(path, &keys, came_before, last)? {
                continue;
            }
            if let Some(merge) = merge
                && !self.brings_back_readers(path, &keys, &forks, (commit, merge), last)?
            {
                continue;
            }
            found.push((candidate, keys, forks.of(commit, merge)));
        }
        let name = |place: usize| self.history.paths[place].as_path();
        let at_forks = found.iter().flat_map(|(candidate, _, forks)| {
            forks.iter().map(|fork| (self.name_of(*fork), name(candidate.place)))
        });
        let at_forks = AtPlaces::read(self.git, &at_forks.collect())?;
        let mut left = Vec::new();
        for (Candidate { place, content, merge, .. }, keys, forks) in found {
            let mut stayed = Prints::default();
            for id in forks.iter().filter_map(|fork| at_forks.get(self.name_of(*fork), name(place))) {
                stayed.add(&last.encrypted_at(&self.paths[place], id));
            }
            if merge.is_none() && self.has_come_by_rule(place, &forks, &keys, looking, last)? {
                continue;
            }
            let (stayed, came) = (Arc::new(stayed), Came::At(self.paths[place].clone()));
            left.push(Left { place, content, keys, stayed, came, is_on_the_way: false });
        }
        Ok(left)
    }

    /// The contents that merges took from one parent while another parent has different configs, whose rules may name
    /// different readers.
    fn taken_by_merges<'r>(
        &'r self,
        contents: impl Iterator<Item = (usize, &'r ObjectId)>,
        is_named: bool,
    ) -> Result<Vec<Candidate<'r>>> {
        let Some(head) = changes::head(self.git)? else { return Ok(Vec::new()) };
        let mut wanted = left::Contents::new();
        let mut known: BTreeMap<(&Path, &ObjectId), (usize, &ObjectId)> = BTreeMap::new();
        for (place, content) in contents {
            let name = self.history.paths[place].as_path();
            wanted.entry(name.to_path_buf()).or_default().insert(content.clone());
            known.insert((name, content), (place, content));
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let taken = left::taken(self.git, &head, &wanted, is_named || self.history.has_linked_configs)?;
        let changes: Vec<(&ObjectId, &Path)> =
            taken.iter().map(|(merge, path, _)| (merge, &**path)).collect();
        let before = Before::read(self.git, &changes)?;
        let mut found = Vec::new();
        for (merge, path, content) in &taken {
            let Some(&(place, content)) = known.get(&(&**path, content)) else { continue };
            let ancestry = self.ancestry();
            let Some(merge_number) = ancestry.number(merge) else { continue };
            let having = before.having(merge, path, |id| id == content);
            found.extend(having.filter_map(|parent| {
                let commit = ancestry.number(parent)?;
                Some(Candidate { place, content, commit, merge: Some(merge_number) })
            }));
        }
        Ok(found)
    }

    /// Whether a merge gives a place readers that the content's own side does not have there, and that no commit of
    /// only the other side added. They could read there when the sides diverged, and the content's side has removed
    /// them since.
    fn brings_back_readers(
        &self,
        path: &Path,
        keys: &KeySet,
        forks: &Forks<'_>,
        (commit, merge): (usize, usize),
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        let configs = last.states.configs(self.name_of(merge).as_str())?;
        let merged = last.rule(&configs, path).cloned();
        if merged.as_ref().is_some_and(|merged| !lets_others_in(merged, keys)) {
            return Ok(false);
        }
        let (own, others) = forks.sides(commit, merge);
        let changes = last.changes()?;
        let mut lets_them_in = |commit: usize| {
            let configs = last.states.configs(self.name_of(commit).as_str())?;
            let then = last.rule(&configs, path);
            Ok::<_, Error>(then.is_some_and(|then| let_same_others_in(then, merged.as_ref(), keys)))
        };
        for change in changes.iter().copied() {
            if !others.has(change) || own.has(change) || !lets_them_in(change)? {
                continue;
            }
            // A merge that takes the rule of one of its parents adds nobody, nor does a first commit.
            let parents = forks.ancestry.parents(change);
            let mut is_of_parent = parents.is_empty();
            for parent in parents {
                is_of_parent = is_of_parent || lets_them_in(*parent)?;
            }
            if !is_of_parent {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the same came to its place for no others on the way to HEAD.
    fn was_on_the_way(
        &self,
        path: &Path,
        keys: &KeySet,
        commits: Option<&Vec<usize>>,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        for commit in commits.into_iter().flatten() {
            let configs = last.states.configs(self.name_of(*commit).as_str())?;
            if last.rule(&configs, path).is_some_and(|then| !lets_others_in(then, keys)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether all that read there today, and could not by the rules of this, have come since by the rule.
    fn has_come_by_rule(
        &self,
        place: usize,
        forks: &[usize],
        keys: &KeySet,
        looking: &Looking<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        let place = &self.paths[place];
        let today = (looking.today)(place);
        for fork in forks.iter().map(|fork| self.name_of(*fork)) {
            let then = policy::readers_of_other_state(&*last.states.configs(fork.as_str())?, place);
            let was_for_others = match then {
                Ok(then) => then.is_some_and(|then| let_same_others_in(&then, today.as_ref(), keys)),
                Err(_) => true,
            };
            if was_for_others || last.had_others(fork, place, keys, today.as_ref())? {
                return Ok(false);
            }
        }
        Ok(!forks.is_empty())
    }
}

/// Where commits diverged from those that count without them.
struct Forks<'a> {
    ancestry: &'a Ancestry,
    beside: &'a Beside<'a>,
}

impl Forks<'_> {
    /// From HEAD, or for what a merge has taken from its other parents.
    fn of(&self, commit: usize, merge: Option<usize>) -> Vec<usize> {
        match merge {
            Some(merge) => self.ancestry.forks(commit, &self.sides(commit, merge).1),
            None => self.beside.forks(commit),
        }
    }

    /// What leads to a parent of a merge, and to the others.
    fn sides(&self, parent: usize, merge: usize) -> (Line, Line) {
        let others = self.ancestry.parents(merge).iter().copied().filter(|other| *other != parent);
        (self.ancestry.line([parent]), self.ancestry.line(others))
    }
}
