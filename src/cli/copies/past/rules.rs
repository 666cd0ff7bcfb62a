//! What the configs of commits said of places.
//!
//! Owns that a state of the configs is asked once for each place, and that there is an end to how often; and whom the rules of all
//! commits up to one have named.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use super::{Came, Holding, MOST_TRIALS, Since};
use crate::cli::context::Context;
use crate::cli::copies::{known_rule_of, real_lookup};
use crate::config::{Configs, Lookup, is_config};
use crate::document::Format;
use crate::error::Result;
use crate::keys::KeySet;
use crate::repo::copies;
use crate::repo::copies::{Copies, Leaving, Prints, Wrapped, alone, let_same_others_in};
use crate::repo::git::ancestry::Ancestry;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::history::History;
use crate::repo::git::tree::ObjectId;
use crate::repo::git::{Git, left};
use crate::repo::states::States;

/// The rules that places had before files left them.
pub struct LastRules<'g> {
    git: &'g Git<'g>,
    history: &'g History,
    ancestry: Arc<Ancestry>,
    pub(super) states: States<'g, 'g>,
    blobs: Blobs,
    prints: HashMap<(Format, ObjectId), Arc<Prints>>,
    encrypted: HashMap<(Format, ObjectId), Arc<Prints>>,
    leavings: HashMap<Came, Leaving>,
    /// What states of the configs said of places.
    rules: HashMap<(*const Configs, PathBuf), Option<KeySet>>,
    /// What configs said in a commit and before it; `None` where that is unknown.
    until: HashMap<ObjectId, Option<Rc<Vec<Arc<Configs>>>>>,
    changes: OnceLock<Rc<BTreeSet<usize>>>,
    /// How many more times we may ask what a state of the configs said about a place.
    trials_left: usize,
}

impl<'g> LastRules<'g> {
    pub(super) fn of(
        git: &'g Git<'g>,
        lookup: Lookup,
        history: &'g History,
        ancestry: Arc<Ancestry>,
    ) -> Result<Self> {
        let places = history.configs.keys().cloned().collect();
        let states = States::of(git, lookup, places)?;
        let (prints, leavings, rules, until) =
            (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        let (blobs, encrypted) = (Blobs::open(git)?, HashMap::new());
        let (changes, trials_left) = (OnceLock::new(), MOST_TRIALS);
        Ok(Self {
            git,
            history,
            ancestry,
            states,
            blobs,
            prints,
            encrypted,
            leavings,
            rules,
            until,
            changes,
            trials_left,
        })
    }

    /// Those of the configs that a command looks up.
    pub fn of_context(
        git: &'g Git<'g>,
        history: &'g History,
        ancestry: Arc<Ancestry>,
        context: &Context,
    ) -> Result<Self> {
        Self::of(git, real_lookup(context)?, history, ancestry)
    }

    /// The commits in which configs may have changed: any, where one is a link or was asked for by name.
    pub(super) fn changes(&self) -> Result<Rc<BTreeSet<usize>>> {
        match self.states.has_named_config() || self.history.has_linked_configs {
            true => Ok(Rc::new((0..self.history.commits.len()).collect())),
            false => self.changes_by_name(),
        }
    }

    /// The commits in which configs have changed, and one that was asked for by name; `None` where that is unknown, since a config is or
    /// was a link.
    pub(super) fn changing(&self) -> Result<Option<BTreeSet<usize>>> {
        if self.history.has_linked_configs {
            return Ok(None);
        }
        let named: HashSet<PathBuf> =
            self.states.places().filter(|place| !is_config(place)).cloned().collect();
        let history = self.history;
        let of_named = history.versions.iter().filter(|version| named.contains(&history.paths[version.path]));
        let of_named = of_named.map(|version| version.commit).filter(|_| !named.is_empty());
        let by_name = self.changes_by_name()?;
        Ok(Some(by_name.iter().copied().chain(of_named).collect()))
    }

    /// The commits in which what is a config by its name has changed. A merge that takes each from one of its parents may say what none
    /// of them does.
    fn changes_by_name(&self) -> Result<Rc<BTreeSet<usize>>> {
        if let Some(known) = self.changes.get() {
            return Ok(Rc::clone(known));
        }
        let history = self.history;
        let configs: Vec<&Path> = history.configs.keys().map(PathBuf::as_path).collect();
        let merges = left::merges_at(self.git, &configs)?;
        let merges = merges.iter().filter_map(|merge| self.ancestry.number(merge));
        let changes = history.config_changes.iter().copied().chain(merges).collect();
        Ok(Rc::clone(self.changes.get_or_init(|| Rc::new(changes))))
    }

    /// What a state of the configs says of a place. It is kept, and so a state is no other one's later.
    pub(super) fn rule(&mut self, configs: &Arc<Configs>, place: &Path) -> Option<&KeySet> {
        let key = (Arc::as_ptr(configs), place.to_path_buf());
        self.rules.entry(key).or_insert_with(|| known_rule_of(place, configs)).as_ref()
    }

    fn holding_of(&mut self, path: &Path, id: &ObjectId) -> Option<Holding> {
        let format = Format::of_path(path);
        let bytes = self.blobs.read(id, format.most_bytes() as u64).ok()?;
        Holding::of(format, &bytes)
    }

    /// The data keys of a content at a path, where that is one of our files.
    fn keys_of(&mut self, path: &Path, id: &ObjectId) -> Option<Vec<Wrapped>> {
        Some(Wrapped::all_of(&self.holding_of(path, id)?.ours?))
    }

    /// Whether a content at a path was made for its readers, in each of these commits. Where that cannot be told, it was not.
    pub(super) fn made_for_all_of(
        &mut self,
        path: &Path,
        id: &ObjectId,
        commits: &[&ObjectId],
        today: Option<&KeySet>,
    ) -> Result<bool> {
        let Some(keys) = self.keys_of(path, id) else { return Ok(false) };
        for (key, commit) in keys.iter().flat_map(|key| commits.iter().map(move |commit| (key, commit))) {
            if !self.came_made(key, commit, path, today)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a data key that came to a place by a commit lists all who read there `today` and could do so before: what the rule said
    /// in between, if only in one commit, does not matter. A rule that comes along with it lets in whom it adds.
    pub fn came_made(
        &mut self,
        key: &Wrapped,
        commit: &ObjectId,
        place: &Path,
        today: Option<&KeySet>,
    ) -> Result<bool> {
        let Some(number) = self.ancestry.number(commit) else { return Ok(false) };
        if !self.is_ruled(commit, place) {
            return Ok(false);
        }
        let history = self.history;
        for parent in &history.commits[number].parents {
            if self.had_readers(parent, place, key.listed(), today)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same of one that is in no commit, on top of this one.
    pub fn is_made(
        &mut self,
        key: &Wrapped,
        head: &ObjectId,
        place: &Path,
        today: Option<&KeySet>,
    ) -> Result<bool> {
        Ok(self.is_ruled(head, place) && !self.had_readers(head, place, key.listed(), today)?)
    }

    fn is_ruled(&mut self, commit: &ObjectId, place: &Path) -> bool {
        let configs = self.states.configs(commit.as_str());
        configs.is_ok_and(|configs| self.rule(&configs, place).is_some_and(|rule| !rule.is_only_sent()))
    }

    /// Whether some of a place's readers today could already read it in this commit or an earlier one, and are not among these, or we
    /// cannot tell.
    pub(super) fn had_others(
        &mut self,
        commit: &ObjectId,
        place: &Path,
        keys: &KeySet,
        today: Option<&KeySet>,
    ) -> Result<bool> {
        self.had(commit, place, &|then| let_same_others_in(then, today, keys))
    }

    /// The same without those to whom `publish` sends what is there: no list has them.
    fn had_readers(
        &mut self,
        commit: &ObjectId,
        place: &Path,
        keys: &KeySet,
        today: Option<&KeySet>,
    ) -> Result<bool> {
        let today = today.map(alone);
        self.had(commit, place, &|then| let_same_others_in(&alone(then), today.as_ref(), keys))
    }

    fn had(&mut self, commit: &ObjectId, place: &Path, is_so: &dyn Fn(&KeySet) -> bool) -> Result<bool> {
        let Some(states) = self.states_until(commit)? else { return Ok(true) };
        let Some(left) = self.trials_left.checked_sub(states.len()) else { return Ok(true) };
        self.trials_left = left;
        Ok(states.iter().any(|state| self.rule(state, place).is_some_and(is_so)))
    }

    /// What configs said in a commit and before it; `None` where that is not known by the commits that have changed one.
    fn states_until(&mut self, commit: &ObjectId) -> Result<Option<Rc<Vec<Arc<Configs>>>>> {
        if let Some(known) = self.until.get(commit) {
            return Ok(known.clone());
        }
        let history = self.history;
        let states = match self.ancestry.number(commit).filter(|_| !history.has_linked_configs) {
            None => None,
            Some(number) => {
                let line = self.ancestry.line([number]);
                let changing = self.changing()?.unwrap_or_default();
                let mut states: Vec<Arc<Configs>> = Vec::new();
                for change in changing.into_iter().filter(|change| line.has(*change)) {
                    let state = self.states.configs(history.commits[change].id.as_str())?;
                    if !states.iter().any(|known| Arc::ptr_eq(known, &state)) {
                        states.push(state);
                    }
                }
                Some(Rc::new(states))
            }
        };
        self.until.insert(commit.clone(), states.clone());
        Ok(states)
    }

    /// What is encrypted in a content at a path, without what that only quotes.
    pub(super) fn encrypted_at(&mut self, path: &Path, id: &ObjectId) -> Arc<Prints> {
        let format = Format::of_path(path);
        if let Some(known) = self.encrypted.get(&(format, id.clone())) {
            return Arc::clone(known);
        }
        let prints = self.holding_of(path, id).map(|holding| holding.encrypted()).unwrap_or_default();
        let prints = Arc::new(prints);
        self.encrypted.insert((format, id.clone()), Arc::clone(&prints));
        prints
    }

    /// What a content at a path holds: nothing that Git does not give.
    pub(super) fn prints_of(&mut self, path: &Path, id: &ObjectId) -> Arc<Prints> {
        let format = Format::of_path(path);
        if let Some(known) = self.prints.get(&(format, id.clone())) {
            return Arc::clone(known);
        }
        let bytes = self.blobs.read(id, format.most_bytes() as u64);
        let file = bytes.ok().and_then(|bytes| Holding::of(format, &bytes));
        let prints = Arc::new(file.map(|file| file.prints()).unwrap_or_default());
        self.prints.insert((format, id.clone()), Arc::clone(&prints));
        prints
    }

    pub(super) fn since(&mut self, came: Came, copies: &mut Copies) -> Since {
        let leaving = self.leavings.entry(came).or_insert_with_key(|came| {
            copies.add_leaving(match came {
                Came::Elsewhere(excused) => copies::Since::Elsewhere(excused.clone()),
                Came::At(place) => copies::Since::At(place.clone()),
            })
        });
        Since::Leaving(*leaving)
    }
}
