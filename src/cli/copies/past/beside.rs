//! What was in commits beside those that HEAD leads to: of other branches, of reflogs, of what is being merged.
//!
//! Owns for whom that counts. Until a branch has parted from HEAD's its places were for whom the common rules named; whoever has
//! come to them since, on the way to HEAD, has come by a rule. Somebody whom the branch has taken away, or never had, has not.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arrivals::{Arrivals, Wish};
use super::{Came, LastRules, Left, Looking, PastRule, PastScope, Recorded, Since, counts};
use crate::cli::copies::{known_rule_of, past_rule_of};
use crate::error::Result;
use crate::keys::KeySet;
use crate::policy;
use crate::repo::copies::{Prints, let_same_others_in, lets_others_in};
use crate::repo::git::arrivals::AtPlaces;
use crate::repo::git::beside::Beside;
use crate::repo::git::tree::ObjectId;

/// A content of a commit beside HEAD's.
struct Candidate<'r> {
    place: usize,
    content: &'r ObjectId,
    commit: &'r ObjectId,
}

impl Recorded<'_> {
    /// The rules of such commits for what they had in these places, as far as it is wanted.
    pub(super) fn beside_head(
        &self,
        places: &HashSet<usize>,
        looking: &Looking<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Left<'_>>> {
        let mut beside = Beside::of(self.git)?;
        let history = &self.history;
        let (mut candidates, mut on_the_way) = (Vec::new(), HashMap::<_, Vec<&ObjectId>>::new());
        for version in history.versions.iter().filter(|version| places.contains(&version.path)) {
            let (commit, content) = (&history.commits[version.commit].id, &history.blobs[version.blob].id);
            match beside.has(commit) {
                true => candidates.push(Candidate { place: version.path, content, commit }),
                false => on_the_way.entry((version.path, content)).or_default().push(commit),
            }
        }
        let contents: BTreeSet<(usize, &ObjectId)> =
            candidates.iter().map(|candidate| (candidate.place, candidate.content)).collect();
        let contents: Vec<_> = contents.into_iter().collect();
        let (elsewhere, wanted) = (&looking.elsewhere, looking.wanted);
        let is_wanted = |place: usize, prints: &Prints| {
            elsewhere.have(prints) || (wanted != PastScope::Shared && self.is_gone(place))
        };
        let prints = self.prints(&contents, is_wanted)?.into_iter();
        let prints: HashMap<(usize, &ObjectId), Prints> =
            prints.map(|(at, prints)| (contents[at], prints.unwrap_or_default())).collect();
        let others = elsewhere.places(prints.values());
        let audiences = elsewhere.copies.audiences();
        let mut found = Vec::new();
        for candidate in candidates {
            let Candidate { place, content, commit } = candidate;
            let Some(prints) = prints.get(&(place, content)) else { continue };
            let path = &self.paths[place];
            let is_elsewhere = others.of(prints).keys().any(|here| *here != path);
            // Of the same place what somebody has done again is let be, as `git commit --amend` does.
            if !is_elsewhere && !beside.is_named(commit) && !self.is_gone(place) {
                continue;
            }
            let Some(keys) = past_rule_of(path, &*last.states.configs(commit.as_str())?) else { continue };
            let mut rule = PastRule { keys: Some(keys), since: Since::Now, stayed: None };
            if !counts(&rule, wanted, &audiences) {
                continue;
            }
            let Some(keys) = rule.keys.take() else { continue };
            if self.was_on_the_way(path, &keys, on_the_way.get(&(place, content)), last)? {
                continue;
            }
            found.push((candidate, keys, beside.forks(self.git, commit)?));
        }
        let name = |place: usize| self.history.paths[place].as_path();
        let at_forks = found
            .iter()
            .flat_map(|(candidate, _, forks)| forks.iter().map(|fork| (fork, name(candidate.place))));
        let at_forks = AtPlaces::read(self.git, &at_forks.collect())?;
        let (mut rest, mut wishes) = (Vec::new(), Vec::new());
        for (Candidate { place, content, .. }, keys, forks) in found {
            let mut stayed = Prints::default();
            for id in forks.iter().filter_map(|fork| at_forks.get(fork, name(place))) {
                stayed.add(&last.prints_of(&self.paths[place], id));
            }
            let places = others.of(&prints[&(place, content)].without(&stayed));
            wishes.push(Wish { keys, places });
            rest.push((place, content, forks, Arc::new(stayed)));
        }
        let mut arrivals = Arrivals::of(self, &wishes, elsewhere.asked_about())?;
        let mut left = Vec::new();
        for ((place, content, forks, stayed), wish) in rest.into_iter().zip(wishes) {
            let by_rule = self.come_by_rule(place, &forks, &wish, looking, &mut arrivals, last)?;
            left.push(Left { place, content, keys: wish.keys, stayed, came: Came::Beside(by_rule) });
        }
        Ok(left)
    }

    /// Whether the same came to its place for no others on the way to HEAD.
    fn was_on_the_way(
        &self,
        path: &Path,
        keys: &KeySet,
        commits: Option<&Vec<&ObjectId>>,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        for commit in commits.into_iter().flatten() {
            let then = known_rule_of(path, &*last.states.configs(commit.as_str())?);
            if then.is_some_and(|then| !lets_others_in(&then, keys)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The places to which all that read there today, and could not where this was, have come since by the rule.
    fn come_by_rule(
        &self,
        place: usize,
        forks: &[ObjectId],
        wish: &Wish<'_>,
        looking: &Looking<'_>,
        arrivals: &mut Arrivals<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<BTreeSet<PathBuf>> {
        let own = &self.paths[place];
        let mut found = BTreeSet::new();
        for (here, prints) in &wish.places {
            let today = (looking.today)(here);
            let mut was_for_no_others = !forks.is_empty();
            for fork in forks {
                let then = policy::keys_of_other_state(&*last.states.configs(fork.as_str())?, here);
                was_for_no_others &= match then {
                    Ok(Some(then)) => !let_same_others_in(&then, today.as_ref(), &wish.keys),
                    Ok(None) => *here == own,
                    Err(_) => false,
                };
                was_for_no_others = was_for_no_others
                    && !arrivals.had_others(fork, here, &wish.keys, today.as_ref(), last)?;
            }
            if was_for_no_others
                && (*here == own
                    || arrivals.came_to_no_others(here, prints, &wish.keys, today.as_ref(), last)?)
            {
                found.insert(here.to_path_buf());
            }
        }
        Ok(found)
    }
}
