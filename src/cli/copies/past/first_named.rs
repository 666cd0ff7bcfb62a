//! Which commits first named somebody for a place where something has moved.
//!
//! Owns one rule, with [`super::could_read`]: of what was once elsewhere, or gone, nothing is for somebody whom a rule left out there, unless they could read it
//! in every commit that first named them where it is now, and has been theirs since: it was there already, or in another place that is
//! for them, too. A merge names whom one of its sides did not, for what that side has.
//! Whoever writes commits can add to these, and take none of them away: rules that are for others on the way only refuse more.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::iter;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{LastRules, Looking, Recorded};
use crate::cli::copies::past_rule_of;
use crate::config::is_config;
use crate::error::{Error, Result};
use crate::keys::KeySet;
use crate::repo::copies::{Person, Prints};
use crate::repo::git::ancestry::Line;
use crate::repo::git::changes;
use crate::repo::git::tree::ObjectId;

/// Something that has left its place and is in one today, that one or another.
pub(super) struct Moving<'w> {
    pub prints: Prints,
    /// The place that it has left.
    pub own: &'w Path,
    /// The commits that brought all of it to where it is today; of what is back, none.
    pub came: Vec<usize>,
    /// Those that brought it to its own.
    pub made: Vec<usize>,
    /// Where all of this ever was.
    pub elsewhere: Vec<&'w Path>,
    /// The commits in which one of these places, or that where it is today, has it no more; of what is back, its own alone.
    pub lost: BTreeSet<ObjectId>,
    /// Those of its own place.
    pub lost_there: BTreeSet<ObjectId>,
}

/// Who reads something of that in a place today, and could not where it was by one of the rules there.
pub(super) struct Wish<'w> {
    pub left: usize,
    /// The number of that rule.
    pub keys: usize,
    pub place: &'w Path,
    /// It has been in this place on the way: whoever could read it there may have it where it is.
    pub is_between: bool,
    pub moving: Rc<Moving<'w>>,
    pub people: Vec<Stranger>,
}

/// Somebody, and where they were first named for the place, and for the one that it has left. `None` where that is unknown.
pub(super) struct Stranger {
    pub person: Person,
    pub named: Option<Rc<Vec<Naming>>>,
    pub named_there: Option<Rc<Vec<Naming>>>,
}

/// A commit whose rule for a place names somebody, and with parents whose rules do not.
pub(super) struct Naming {
    /// Those parents.
    pub before: Vec<ObjectId>,
    /// The commit; `None` for the working tree.
    pub commit: Option<ObjectId>,
    /// No parent's rule names them, or only of those where none ever did: what takes somebody out is not undone by a merge.
    pub is_new: bool,
    pub keys: KeySet,
}

/// Which commits that lead to HEAD first named somebody for a place.
pub(super) struct FirstNamed<'a, 'r> {
    pub recorded: &'a Recorded<'r>,
    pub looking: &'a Looking<'a>,
    head: Option<ObjectId>,
    /// Of these, those in which configs may have changed, with those in which that was last so for their parents; `None` where that is
    /// unknown.
    changes: Option<Vec<Change>>,
    /// All commits in which configs have changed.
    pub all: BTreeSet<usize>,
    lines: RefCell<HashMap<Vec<ObjectId>, Rc<Line>>>,
    told: RefCell<HashMap<PathBuf, Rc<Vec<Told>>>>,
    /// Those of the people who could read it in the places between, by their holders.
    between: RefCell<BTreeSet<(usize, usize, PathBuf, String)>>,
}

/// What the rule for a place says in a commit, and in its parents.
struct Told {
    commit: usize,
    keys: KeySet,
    before: Vec<Option<KeySet>>,
}

/// A commit in which configs may have changed, and those that say what its parents' configs said.
struct Change {
    commit: usize,
    before: Vec<usize>,
}

impl<'a, 'r> FirstNamed<'a, 'r> {
    pub fn of(
        recorded: &'a Recorded<'r>,
        looking: &'a Looking<'a>,
        last: &mut LastRules<'_>,
    ) -> Result<Self> {
        let ancestry = recorded.ancestry();
        let head = changes::head_id(recorded.git)?;
        // A config of another name may change in ways that are not known.
        let is_known = !last.states.places().any(|place| !is_config(place));
        let changing = last.changing()?.filter(|_| is_known);
        let number = head.as_ref().and_then(|head| ancestry.number(head));
        let all = changing.clone().unwrap_or_default();
        let changes = changing.zip(number).map(|(changing, head)| {
            let line: Line = ancestry.line([head]);
            let is_first = |commit: usize| ancestry.parents(commit).is_empty();
            let counts = |commit: usize| changing.contains(&commit) || is_first(commit);
            let mut known: HashMap<usize, usize> = HashMap::new();
            // What a commit changes no config in says what any of its parents says.
            let mut said_by = |parent: usize| {
                let (mut at, mut seen) = (parent, Vec::new());
                while let (false, None) = (counts(at), known.get(&at)) {
                    seen.push(at);
                    at = ancestry.parents(at)[0];
                }
                let found = known.get(&at).copied().unwrap_or(at);
                known.extend(seen.into_iter().map(|seen| (seen, found)));
                found
            };
            let commits = (0..recorded.history.commits.len()).filter(|at| line.has(*at) && counts(*at));
            let change = |commit: usize| Change {
                commit,
                before: ancestry.parents(commit).iter().map(|parent| said_by(*parent)).collect(),
            };
            commits.map(change).collect()
        });
        let (lines, told, between) = (RefCell::default(), RefCell::default(), RefCell::default());
        Ok(Self { recorded, looking, head, changes, all, lines, told, between })
    }

    pub fn line(&self, to: &[ObjectId]) -> Rc<Line> {
        let ancestry = self.recorded.ancestry();
        let line = || Rc::new(ancestry.line(to.iter().filter_map(|commit| ancestry.number(commit))));
        Rc::clone(self.lines.borrow_mut().entry(to.to_vec()).or_insert_with(line))
    }

    /// Where somebody was first named for a place: in commits, and in the working tree. `None` where that is unknown.
    pub fn naming(
        &self,
        place: &Path,
        person: &Person,
        last: &mut LastRules<'_>,
    ) -> Result<Option<Rc<Vec<Naming>>>> {
        let Some(head) = self.head.as_ref().filter(|_| self.changes.is_some()) else { return Ok(None) };
        let mut found = Vec::new();
        let told = self.told(place, last)?;
        let naming: Vec<&Told> = told.iter().filter(|told| person.is_new(&told.keys, None)).collect();
        for Told { commit, keys, before } in naming.iter().copied() {
            let name = self.recorded.name_of(*commit);
            let parents = &self.recorded.history.commits[*commit].parents;
            let is_new = |before: &Option<KeySet>| person.is_new(keys, before.as_ref());
            let new = parents.iter().zip(before).filter(|(_, before)| is_new(before));
            let new: Vec<ObjectId> = new.map(|(parent, _)| parent.clone()).collect();
            if parents.is_empty() || !new.is_empty() {
                let is_first = new.len() == parents.len();
                let were_named = || {
                    let line = self.line(&new);
                    naming.iter().any(|told| line.has(told.commit))
                };
                let is_new = is_first || !were_named();
                found.push(Naming { before: new, commit: Some(name.clone()), is_new, keys: keys.clone() });
            }
        }
        // A change as a whole is one step, too.
        for before in iter::once(head).chain(self.looking.before) {
            let Some(keys) = (self.looking.today)(place) else { continue };
            let configs = last.states.configs(before.as_str())?;
            if person.is_new(&keys, last.rule(&configs, place)) {
                found.push(Naming { before: vec![before.clone()], commit: None, is_new: true, keys });
            }
        }
        Ok(Some(Rc::new(found)))
    }

    /// The commits whose rule for a place is another one than that of one of their parents.
    fn told(&self, place: &Path, last: &mut LastRules<'_>) -> Result<Rc<Vec<Told>>> {
        if let Some(known) = self.told.borrow().get(place) {
            return Ok(Rc::clone(known));
        }
        let mut rule = |commit: usize| {
            let configs = last.states.configs(self.recorded.name_of(commit).as_str())?;
            Ok::<_, Error>(last.rule(&configs, place).cloned())
        };
        let mut found = Vec::new();
        for Change { commit, before } in self.changes.iter().flatten() {
            let Some(keys) = rule(*commit)? else { continue };
            let before = before.iter().map(|parent| rule(*parent)).collect::<Result<Vec<_>>>()?;
            if before.is_empty() || before.iter().any(|before| before.as_ref() != Some(&keys)) {
                found.push(Told { commit: *commit, keys, before });
            }
        }
        let found = Rc::new(found);
        self.told.borrow_mut().insert(place.to_path_buf(), Rc::clone(&found));
        Ok(found)
    }

    /// The places in commits to look at, from the top.
    pub fn asked<'w>(&'w self, wish: &'w Wish<'_>) -> impl Iterator<Item = (&'w ObjectId, &'w Path)> {
        let namings = wish.people.iter().flat_map(|who| [&who.named, &who.named_there]);
        let namings = namings.filter_map(Option::as_deref).flatten();
        let commits = namings.flat_map(|naming| naming.before.iter().chain(&naming.commit));
        let commits = commits.chain(wish.moving.lost.iter().filter(|_| !wish.people.is_empty()));
        commits.flat_map(move |commit| self.places_of(wish).map(move |name| (commit, name)))
    }

    pub fn places_of<'w>(&'w self, wish: &'w Wish<'_>) -> impl Iterator<Item = &'w Path> {
        let all = [wish.place].into_iter().chain(wish.moving.elsewhere.iter().copied());
        all.filter_map(|path| path.strip_prefix(self.recorded.git.top()).ok())
    }

    /// What today's rules say of somebody at a place, and those of where something that is under way began: of each whether it names
    /// them, if it names anybody.
    pub fn are_named_today<'s>(
        &'s self,
        path: &'s Path,
        person: &'s Person,
    ) -> impl Iterator<Item = Option<bool>> {
        let rules = self.looking.configs.iter().map(move |configs| past_rule_of(path, configs));
        rules.map(|keys| keys.map(|keys| person.is_among(&keys)))
    }

    /// Keeps in mind that somebody could read it in a place between.
    pub fn add_between(&self, wish: &Wish<'_>, person: &Person) {
        self.between.borrow_mut().insert(key_of(wish, wish.place, person));
    }

    /// Whether somebody could read it in such a place.
    pub fn could_between(&self, wish: &Wish<'_>, place: &Path, person: &Person) -> bool {
        self.between.borrow().contains(&key_of(wish, place, person))
    }
}

fn key_of(wish: &Wish<'_>, place: &Path, person: &Person) -> (usize, usize, PathBuf, String) {
    (wish.left, wish.keys, place.to_path_buf(), person.holders())
}
