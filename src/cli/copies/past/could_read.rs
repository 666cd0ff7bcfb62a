//! Whether somebody could read what has moved, in each commit that first named them for the place where it is, and since.
//!
//! Owns what counts as having been able to: a rule that named them for a place where a commit has all of it. Who was named when is
//! [`FirstNamed`]'s.

use std::path::{Path, PathBuf};

use super::LastRules;
use super::first_named::{FirstNamed, Moving, Naming, Stranger, Wish};
use crate::error::Result;
use crate::keys::KeySet;
use crate::repo::git::at_places::AtPlaces;
use crate::repo::git::tree::ObjectId;

/// One person's wish, and all that it is judged by.
struct Judging<'j, 'a, 'r, 'l> {
    first: &'j FirstNamed<'a, 'r>,
    wish: &'j Wish<'j>,
    who: &'j Stranger,
    /// What commits have at the places that matter.
    there: &'j AtPlaces,
    last: &'j mut LastRules<'l>,
}

impl FirstNamed<'_, '_> {
    /// Whether all these people could read all of this whenever they were first named for the place. `is_earlier`: of what was in the
    /// place once it is enough that it was there before.
    pub fn could_read(
        &self,
        wish: &Wish<'_>,
        is_earlier: bool,
        there: &AtPlaces,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        for who in &wish.people {
            if !(Judging { first: self, wish, who, there, last }).could(is_earlier)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps in mind who of these could read it in a place between.
    pub fn note(&self, wish: &Wish<'_>, there: &AtPlaces, last: &mut LastRules<'_>) -> Result<()> {
        for who in &wish.people {
            if (Judging { first: self, wish, who, there, last }).could(false)? {
                self.add_between(wish, &who.person);
            }
        }
        Ok(())
    }
}

impl Judging<'_, '_, '_, '_> {
    fn could(&mut self, is_earlier: bool) -> Result<bool> {
        let Some(named) = &self.who.named else { return Ok(false) };
        let reads_there = self.reads_there()?;
        let mut could_once = false;
        for naming in named.iter() {
            let could = (is_earlier && self.had_come(naming))
                || (self.could_then(naming)? && (reads_there || self.can_since(naming)?));
            could_once = could_once || (could && naming.is_new);
            if !could && !self.is_superseded(naming)? {
                return Ok(false);
            }
        }
        Ok(could_once)
    }

    fn had_come(&self, naming: &Naming) -> bool {
        let line = self.first.line(&naming.before);
        self.wish.moving.came.iter().any(|commit| line.has(*commit))
    }

    /// Whether what they were named for was nothing of this: it came later, and rules have always named them for its own place, too,
    /// whenever they named them here.
    fn is_superseded(&mut self, naming: &Naming) -> Result<bool> {
        let before = if naming.before.is_empty() { naming.commit.as_slice() } else { &naming.before };
        let line = self.first.line(before);
        let was_made = self.wish.moving.made.iter().any(|commit| line.has(*commit));
        Ok(!was_made && self.is_always_with()?)
    }

    /// Whether in all commits, and today, a rule for the place that names somebody comes with one for the other place that does so.
    fn is_always_with(&mut self) -> Result<bool> {
        let (wish, person) = (self.wish, &self.who.person);
        for commit in self.first.all.iter().chain(&wish.moving.made) {
            let configs = self.last.states.configs(self.first.recorded.name_of(*commit).as_str())?;
            let nobody = KeySet::of_groups(Vec::new(), None);
            let [here, own] =
                [wish.place, wish.moving.own].map(|path| self.last.rule(&configs, path).cloned());
            if here.is_some_and(|here| person.is_new(&here, Some(own.as_ref().unwrap_or(&nobody)))) {
                return Ok(false);
            }
        }
        Ok(self.first.are_named_today(wish.moving.own, person).all(|is_named| is_named == Some(true)))
    }

    /// Whether they could read all that those parents had which did not name them: by a parent's own rules, or by those of the commit,
    /// both where it was and where it is then. What is taken away from somebody in the commit that names them was not theirs.
    fn could_then(&mut self, Naming { before, commit, keys, .. }: &Naming) -> Result<bool> {
        // Today it is in the place, whose rule names them.
        let can = commit.as_ref().map_or(Ok(true), |commit| self.could_in(commit, Some(commit), keys))?;
        for parent in before {
            let could = self.could_in(parent, Some(parent), keys)?
                || (can && self.could_in(parent, commit.as_ref(), keys)?);
            if !could {
                return Ok(false);
            }
        }
        Ok(can || !before.is_empty())
    }

    /// Whether what they could read then was never gone again from all that is for them. Whoever asks to be let in could else first put
    /// something there, and bring it back when nobody thinks of them any more.
    fn can_since(&mut self, Naming { before, commit, keys, .. }: &Naming) -> Result<bool> {
        let wish = self.wish;
        let line = self.first.line(before);
        let ancestry = self.first.recorded.ancestry();
        let (earlier, since): (Vec<_>, Vec<_>) = wish.moving.lost.iter().partition(|lost| {
            let number = ancestry.number(lost);
            number.is_some_and(|lost| line.has(lost))
        });
        // What had never been gone from a place when they came was theirs, and is so when it is back.
        if wish.is_between || (wish.place == wish.moving.own && earlier.is_empty()) {
            return Ok(true);
        }
        for lost in since {
            if !self.could_in(lost, Some(lost), keys)? && !self.could_in(lost, commit.as_ref(), keys)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the rules for the place that it has left name them, and did so whenever it came there, or since while it was there and
    /// had never been gone: it is theirs, wherever it goes.
    fn reads_there(&mut self) -> Result<bool> {
        let (wish, who) = (self.wish, self.who);
        let Moving { own, made, lost_there, .. } = &*wish.moving;
        let Some(named) = who.named_there.as_ref().filter(|_| wish.place != *own) else { return Ok(false) };
        for Naming { before, .. } in named.iter() {
            let line = self.first.line(before);
            let ancestry = self.first.recorded.ancestry();
            let mut lost = lost_there.iter().filter_map(|lost| ancestry.number(lost));
            let was_there = !lost.any(|lost| line.has(lost))
                && before.iter().all(|parent| self.having(parent).iter().any(|path| path == own));
            if made.iter().any(|commit| line.has(*commit)) && !was_there {
                return Ok(false);
            }
        }
        Ok(self.first.are_named_today(own, &who.person).all(|is_named| is_named == Some(true)))
    }

    /// Whether they could read it in a commit by the rules of one, or by today's.
    fn could_in(&mut self, files: &ObjectId, rules: Option<&ObjectId>, keys: &KeySet) -> Result<bool> {
        for path in self.having(files) {
            if self.is_named(rules, keys, &path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The places where a commit has all of it.
    fn having(&mut self, commit: &ObjectId) -> Vec<PathBuf> {
        let (first, wish) = (self.first, self.wish);
        let top = first.recorded.git.top();
        let mut has = |name: &&Path| {
            let held = self.there.get(commit, name).map(|id| self.last.encrypted_at(&top.join(name), id));
            held.is_some_and(|held| wish.moving.prints.without(&held).is_empty())
        };
        first.places_of(wish).filter(|name| has(name)).map(|name| top.join(name)).collect()
    }

    /// Whether a commit's rule for a place lets them read it, and today's does not leave them out. Without a commit, today's alone.
    fn is_named(&mut self, commit: Option<&ObjectId>, keys: &KeySet, path: &Path) -> Result<bool> {
        let (first, wish, person) = (self.first, self.wish, &self.who.person);
        let counts = path == wish.place || path == wish.moving.own || first.could_between(wish, path, person);
        // Where today's rule leaves them out, they have left.
        let has_left = || first.are_named_today(path, person).any(|is_named| is_named == Some(false));
        if !counts || (path != wish.place && has_left()) {
            return Ok(false);
        }
        let then = match commit {
            Some(commit) => {
                let configs = self.last.states.configs(commit.as_str())?;
                self.last.rule(&configs, path).cloned()
            }
            None => (first.looking.today)(path),
        };
        Ok(then.is_some_and(|then| person.could_read(keys, &then)))
    }
}
