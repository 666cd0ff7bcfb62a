//! What has left a place, and is in another one today, or back in its own.
//!
//! Owns one rule: of what was once elsewhere, or gone, nothing is for somebody whom a rule did not name where it was, unless they
//! could read it in every commit that first named them where it is now. Whoever writes commits can add to these, and take none of
//! them away: rules that are for others on the way only refuse more.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::{Came, Elsewhere, Holding, LastRules, Left, Looking, PastScope, Recorded};
use crate::cli::copies::past_rule_of;
use crate::document::Format;
use crate::error::Result;
use crate::fs;
use crate::keys::KeySet;
use crate::repo::copies::{Person, Places, Prints, lets_others_in};
use crate::repo::git::ancestry::Line;
use crate::repo::git::arrivals::AtPlaces;
use crate::repo::git::history::not_understood;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{changes, left};

impl Recorded<'_> {
    pub(super) fn moved(
        &self,
        places: &HashSet<usize>,
        looking: &Looking<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Left<'_>>> {
        let elsewhere = &looking.elsewhere;
        let contents = self.contents(places, elsewhere, looking.wanted)?;
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let losses = self.losses(&contents)?;
        let left = self.what_left(&contents, &losses, looking, last)?;
        let rules = self.rules_of(&left, &contents, &losses, last)?;
        let today = elsewhere.places(left.iter().map(|left| &left.prints));
        let first = FirstNamed::of(self, looking, last)?;
        let wishes = self.wishes(&left, &rules, &today, &contents, &first, last)?;
        let there = AtPlaces::read(self.git, &wishes.iter().flat_map(|wish| first.asked(wish)).collect())?;
        let mut excused: BTreeMap<(usize, usize), BTreeSet<PathBuf>> = BTreeMap::new();
        for wish in &wishes {
            if first.could_read(wish, &there, last)? {
                excused.entry((wish.left, wish.keys)).or_default().insert(wish.place.to_path_buf());
            }
        }
        let mut found: Vec<Counting> = Vec::new();
        for (at, left) in left.iter().enumerate() {
            for (number, keys) in rules[at].iter().enumerate() {
                let mut excused = excused.remove(&(at, number)).unwrap_or_default();
                let own = &self.paths[left.place];
                let came = match (left.is_back, excused.contains(own)) {
                    (true, true) => continue,
                    (true, false) => Came::At(own.clone()),
                    (false, _) => {
                        // What other branches have for its own place is `beside`'s.
                        excused.insert(own.clone());
                        Came::Elsewhere(excused)
                    }
                };
                found.push(Counting { left, keys, came, prints: left.prints.clone() });
            }
        }
        Ok(self.as_left(found, &contents))
    }

    /// Parts of one content that count alike are one.
    fn as_left<'r>(&'r self, found: Vec<Counting<'_, 'r>>, contents: &Contents<'r>) -> Vec<Left<'r>> {
        let mut together: Vec<Counting> = Vec::new();
        for counting in found {
            let is_same = |known: &&mut Counting| {
                (known.left.place, known.left.content) == (counting.left.place, counting.left.content)
                    && known.came == counting.came
                    && known.keys == counting.keys
            };
            let known = together.iter_mut().rev().take_while(|known| {
                (known.left.place, known.left.content) == (counting.left.place, counting.left.content)
            });
            match known.into_iter().find(is_same) {
                Some(known) => known.prints.add(&counting.prints),
                None => together.push(counting),
            }
        }
        let left = |Counting { left, keys, came, prints }| {
            let held = contents[&(left.place, left.content)].as_ref();
            Left {
                place: left.place,
                content: left.content,
                keys: KeySet::clone(keys),
                stayed: Arc::new(held.map(|held| held.without(&prints)).unwrap_or_default()),
                came,
                is_on_the_way: left.is_on_the_way,
            }
        };
        together.into_iter().map(left).collect()
    }

    /// What of these contents is not in its place any more; and what has left it and is there again, or will be.
    fn what_left<'r>(
        &'r self,
        contents: &Contents<'r>,
        losses: &[Lost<'r>],
        looking: &Looking<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<HasLeft<'r>>> {
        let Looking { elsewhere, wanted, .. } = looking;
        let next = self.next_contents(losses)?;
        let held: Vec<&Prints> = contents.values().flatten().collect();
        let (on_disk, all) =
            (elsewhere.on_disk(held.iter().copied()), elsewhere.places(held.iter().copied()));
        // What is in the place again, though a later file there had it not.
        let mut back: HashMap<(usize, &ObjectId), Prints> = HashMap::new();
        for loss in losses {
            let back = back.entry((loss.place, loss.content)).or_default();
            let Some(held) = &contents[&(loss.place, loss.content)] else { continue };
            let nothing = Prints::default();
            let stayed = match &loss.next {
                Next::Nothing => &nothing,
                Next::Content(id) => next.get(&(loss.place, id)).map_or(&nothing, |next| &**next),
                Next::OnDisk(next) => &next.prints(),
            };
            let path = &self.paths[loss.place];
            let lost = held.without(stayed);
            let at_place = |places: &Places| places.of(&lost).remove(path.as_path()).unwrap_or_default();
            let here = at_place(&on_disk);
            back.add(&here);
            let asked = at_place(&all).without(&here);
            if asked.is_empty() {
                continue;
            }
            // What is merged may have a new data key there: it is gone if the next file has no value of its name.
            back.add(&match &loss.next {
                Next::Nothing => asked,
                Next::Content(id) => last.removed(path, loss.content, id).in_common(&asked),
                Next::OnDisk(next) => last.removed_by(path, loss.content, Some(next)).in_common(&asked),
            });
        }
        let mut of_place: HashMap<usize, Vec<&Prints>> = HashMap::new();
        for ((place, _), held) in contents {
            of_place.entry(*place).or_default().extend(held);
        }
        let mut found = Vec::new();
        for (&(place, content), held) in contents {
            let path = self.paths[place].as_path();
            let is_on_the_way = back.contains_key(&(place, content));
            let has_left =
                |prints: Prints, is_back: bool| HasLeft { place, content, prints, is_back, is_on_the_way };
            let parts = |prints: &Prints| {
                let of_place = of_place.get(&place).into_iter().flatten().copied();
                prints.parts(of_place.filter(|held| !held.in_common(prints).is_empty()))
            };
            let is_gone = self.is_gone(place);
            let Some(held) = held else {
                if is_gone {
                    found.push(has_left(Prints::default(), false));
                }
                continue;
            };
            let here = on_disk.of(held).remove(path).unwrap_or_default();
            let gone = held.without(&here);
            let is_elsewhere = all.of(&gone).keys().any(|here| *here != path);
            if is_elsewhere || (is_gone && *wanted != PastScope::Shared) {
                found.extend(parts(&gone).into_iter().map(|part| has_left(part, false)));
            }
            if let Some(back) = back.get(&(place, content)).filter(|back| !back.is_empty()) {
                found.extend(parts(back).into_iter().map(|part| has_left(part, true)));
            }
        }
        Ok(found)
    }

    /// Whom rules named for the places of these, in all commits that have them there: each rule that somebody is missing in whom no
    /// other one leaves out.
    fn rules_of(
        &self,
        left: &[HasLeft<'_>],
        contents: &Contents<'_>,
        losses: &[Lost<'_>],
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Vec<KeySet>>> {
        let mut befores: HashMap<(usize, &ObjectId), Vec<&ObjectId>> = HashMap::new();
        for loss in losses {
            befores.entry((loss.place, loss.content)).or_default().extend(&loss.before);
        }
        let changing = last.changing((&self.history, self.ancestry()))?;
        let (mut rules, mut asked) = (Vec::new(), Vec::new());
        let add = |all: &mut Vec<KeySet>, keys: KeySet| {
            if !all.contains(&keys) {
                all.push(keys);
            }
        };
        for left in left {
            let path = &self.paths[left.place];
            let mut all = Vec::new();
            let has = |id: &ObjectId, last: &mut LastRules<'_>| {
                let prints = contents.get(&(left.place, id)).and_then(Option::as_ref);
                id == left.content
                    || match prints {
                        Some(prints) => !prints.in_common(&left.prints).is_empty(),
                        None => !last.prints_of(path, id).in_common(&left.prints).is_empty(),
                    }
            };
            let came = self
                .came_to(left.place)
                .filter(|(_, id)| has(id, last))
                .map(|(commit, _)| self.name_of(commit));
            let came: Vec<&ObjectId> = came.collect();
            let before = befores.get(&(left.place, left.content)).into_iter().flatten().copied();
            for commit in came.into_iter().chain(before) {
                let keys = past_rule_of(path, &*last.states.configs(commit.as_str())?);
                keys.into_iter().for_each(|keys| add(&mut all, keys));
            }
            for &change in changing.iter().flat_map(|changing| changing.iter()) {
                let configs = last.states.configs(self.name_of(change).as_str())?;
                let Some(keys) = last.rule(&configs, path) else { continue };
                if all.iter().all(|known| lets_others_in(known, keys)) {
                    asked.push((rules.len(), change, keys.clone()));
                }
            }
            rules.push(all);
        }
        let place = |at: usize| &*self.history.paths[left[at].place];
        let there = asked.iter().map(|(at, change, _)| (self.name_of(*change), place(*at)));
        let there = AtPlaces::read(self.git, &there.collect())?;
        for (at, change, keys) in asked {
            let Some(id) = there.get(self.name_of(change), place(at)) else { continue };
            let left = &left[at];
            if id == left.content
                || !last.prints_of(&self.paths[left.place], id).in_common(&left.prints).is_empty()
            {
                add(&mut rules[at], keys);
            }
        }
        Ok(rules)
    }

    /// Whoever reads these today at other places, or where they are back, and could not where they were.
    fn wishes<'w>(
        &'w self,
        left: &'w [HasLeft<'_>],
        rules: &[Vec<KeySet>],
        today: &'w Places<'_>,
        contents: &Contents<'_>,
        first: &FirstNamed<'_, '_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Wish<'w>>>
    where
        Self: 'w,
    {
        let mut ever = Places::default();
        for ((at, _), held) in contents {
            held.iter().for_each(|held| ever.add(&self.paths[*at], held));
        }
        let arrivals = |number: usize, prints: &Prints, last: &mut LastRules<'_>| -> Vec<usize> {
            let path = &self.paths[number];
            let mut has = |id: &ObjectId| match contents.get(&(number, id)) {
                Some(held) => held.as_ref().is_some_and(|held| prints.without(held).is_empty()),
                None => prints.without(&last.prints_of(path, id)).is_empty(),
            };
            self.came_to(number).filter(|(_, id)| has(id)).map(|(commit, _)| commit).collect()
        };
        let numbers: HashMap<&Path, usize> =
            self.paths.iter().enumerate().map(|(at, path)| (path.as_path(), at)).collect();
        let mut found = Vec::new();
        for (at, left) in left.iter().enumerate().filter(|(at, _)| !rules[*at].is_empty()) {
            let own = self.paths[left.place].as_path();
            for (place, prints) in today.of(&left.prints) {
                if (place == own) != left.is_back {
                    continue;
                }
                let readers = (first.looking.today)(place).filter(|readers| !readers.is_only_sent());
                let Some(readers) = readers else { continue };
                let elsewhere = ever.of(&prints).into_iter();
                let elsewhere = elsewhere.filter(|(_, held)| prints.without(held).is_empty());
                let elsewhere: Vec<&Path> = elsewhere.map(|(path, _)| path).collect();
                let number = numbers.get(place).filter(|_| !left.is_back);
                let came = number.map(|number| arrivals(*number, &prints, last)).unwrap_or_default();
                let made = arrivals(left.place, &prints, last);
                for (number, keys) in rules[at].iter().enumerate() {
                    let mut people = Vec::new();
                    for person in Person::all_of(&readers) {
                        if !person.is_among(keys) {
                            people.push((first.naming(place, &person, last)?, person));
                        }
                    }
                    found.push(Wish {
                        left: at,
                        keys: number,
                        place,
                        prints: prints.clone(),
                        own,
                        came: came.clone(),
                        made: made.clone(),
                        people,
                        elsewhere: elsewhere.clone(),
                    });
                }
            }
        }
        Ok(found)
    }
}

/// Contents of places that may have left them, by the numbers of the places; `None` for what Git does not give.
type Contents<'r> = HashMap<(usize, &'r ObjectId), Option<Prints>>;

/// A content, and a part of it that has left its place. Whatever that place held has all of the part, or nothing.
struct HasLeft<'r> {
    place: usize,
    content: &'r ObjectId,
    prints: Prints,
    /// It is in its place again, or will be; else it is not.
    is_back: bool,
    /// A commit that leads to HEAD has lost it, or it is lost since.
    is_on_the_way: bool,
}

/// What of a content counts, for one of the rules of its place.
struct Counting<'c, 'r> {
    left: &'c HasLeft<'r>,
    keys: &'c KeySet,
    came: Came,
    prints: Prints,
}

/// Who reads something of that in a place today, and could not where it was by one of the rules there.
struct Wish<'w> {
    left: usize,
    /// The number of that rule.
    keys: usize,
    place: &'w Path,
    prints: Prints,
    /// The place that it has left.
    own: &'w Path,
    /// The commits that brought all of it to the place; of what is back there, none.
    came: Vec<usize>,
    /// Those that brought it to its own.
    made: Vec<usize>,
    /// Where all of this ever was.
    elsewhere: Vec<&'w Path>,
    people: Vec<(Option<Rc<Vec<Naming>>>, Person)>,
}

/// A commit whose rule for a place names somebody, and whose parents' rules do not.
struct Naming {
    /// What they may have read before: in the parents; in the commit itself, if it is the first one.
    before: Vec<ObjectId>,
    /// The commit; `None` for the working tree.
    commit: Option<ObjectId>,
    keys: KeySet,
}

/// Which commits that lead to HEAD first named somebody for a place.
struct FirstNamed<'a, 'r> {
    recorded: &'a Recorded<'r>,
    looking: &'a Looking<'a>,
    head: Option<ObjectId>,
    /// Of these, those in which configs may have changed, with those in which that was last so for their parents; `None` where that is
    /// unknown.
    changes: Option<Vec<Change>>,
    lines: RefCell<HashMap<Vec<ObjectId>, Rc<Line>>>,
}

/// A commit in which configs may have changed, and those that say what its parents' configs said.
struct Change {
    commit: usize,
    before: Vec<usize>,
}

impl<'a, 'r> FirstNamed<'a, 'r> {
    fn of(recorded: &'a Recorded<'r>, looking: &'a Looking<'a>, last: &mut LastRules<'_>) -> Result<Self> {
        let ancestry = recorded.ancestry();
        let head = changes::head_id(recorded.git)?;
        let changing = last.changing((&recorded.history, ancestry))?;
        let number = head.as_ref().and_then(|head| ancestry.number(head));
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
        Ok(Self { recorded, looking, head, changes, lines: RefCell::default() })
    }

    fn line(&self, to: &[ObjectId]) -> Rc<Line> {
        let ancestry = self.recorded.ancestry();
        let line = || Rc::new(ancestry.line(to.iter().filter_map(|commit| ancestry.number(commit))));
        Rc::clone(self.lines.borrow_mut().entry(to.to_vec()).or_insert_with(line))
    }

    /// Where somebody was first named for a place: in commits, and in the working tree. `None` where that is unknown.
    fn naming(
        &self,
        place: &Path,
        person: &Person,
        last: &mut LastRules<'_>,
    ) -> Result<Option<Rc<Vec<Naming>>>> {
        let (Some(changes), Some(head)) = (&self.changes, &self.head) else { return Ok(None) };
        let recorded = self.recorded;
        let mut rule = |commit: &ObjectId| {
            let configs = last.states.configs(commit.as_str())?;
            Ok::<_, crate::error::Error>(last.rule(&configs, place).cloned())
        };
        let mut found = Vec::new();
        for Change { commit, before } in changes {
            let name = recorded.name_of(*commit);
            let Some(keys) = rule(name)? else { continue };
            let mut is_first = person.is_new(&keys, None);
            for parent in before {
                is_first = is_first && person.is_new(&keys, rule(recorded.name_of(*parent))?.as_ref());
            }
            if is_first {
                let parents = recorded.history.commits[*commit].parents.clone();
                let before = if parents.is_empty() { vec![name.clone()] } else { parents };
                found.push(Naming { before, commit: Some(name.clone()), keys });
            }
        }
        if let Some(keys) = (self.looking.today)(place)
            && person.is_new(&keys, rule(head)?.as_ref())
        {
            found.push(Naming { before: vec![head.clone()], commit: None, keys });
        }
        Ok(Some(Rc::new(found)))
    }

    /// The places in commits to look at, from the top.
    fn asked<'w>(&'w self, wish: &'w Wish<'_>) -> impl Iterator<Item = (&'w ObjectId, &'w Path)> {
        let namings = wish.people.iter().filter_map(|(naming, _)| naming.as_deref()).flatten();
        let commits = namings.flat_map(|naming| &naming.before);
        commits.flat_map(move |commit| self.places_of(wish).map(move |name| (commit, name)))
    }

    fn places_of<'w>(&'w self, wish: &'w Wish<'_>) -> impl Iterator<Item = &'w Path> {
        let all = [wish.place].into_iter().chain(wish.elsewhere.iter().copied());
        all.filter_map(|path| path.strip_prefix(self.recorded.git.top()).ok())
    }

    /// Whether all these people could read all of this whenever they were first named for the place: there, or where today's rule
    /// still names them.
    fn could_read(&self, wish: &Wish<'_>, there: &AtPlaces, last: &mut LastRules<'_>) -> Result<bool> {
        for (naming, person) in &wish.people {
            let Some(naming) = naming.as_ref().filter(|naming| !naming.is_empty()) else { return Ok(false) };
            for naming in naming.iter() {
                if !self.could_then(wish, person, naming, there, last)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// What today's rules say of somebody at a place, and those of where something that is under way began: of each whether it names
    /// them, if it names anybody.
    fn are_named_today<'s>(
        &'s self,
        path: &'s Path,
        person: &'s Person,
    ) -> impl Iterator<Item = Option<bool>> {
        let rules = self.looking.configs.iter().map(move |configs| past_rule_of(path, configs));
        rules.map(|keys| keys.map(|keys| person.is_among(&keys)))
    }

    fn could_then(
        &self,
        wish: &Wish<'_>,
        person: &Person,
        Naming { before, commit, keys }: &Naming,
        there: &AtPlaces,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        // It was there, or has been: what is there again is judged by itself.
        let line = self.line(before);
        let was_there = |commits: &[usize]| commits.iter().any(|commit| line.has(*commit));
        if was_there(&wish.came) {
            return Ok(true);
        }
        for name in self.places_of(wish) {
            let path = self.recorded.git.top().join(name);
            // Where today's rule leaves them out, they have left.
            if path != wish.place
                && self.are_named_today(&path, person).any(|is_named| is_named == Some(false))
            {
                continue;
            }
            for parent in before {
                let Some(id) = there.get(parent, name) else { continue };
                if !wish.prints.without(&last.prints_of(&path, id)).is_empty() {
                    continue;
                }
                for commit in [Some(parent), commit.as_ref()] {
                    let then = match commit {
                        Some(commit) => {
                            let configs = last.states.configs(commit.as_str())?;
                            last.rule(&configs, &path).cloned()
                        }
                        None => (self.looking.today)(&path),
                    };
                    if then.is_some_and(|then| person.could_read(keys, &then)) {
                        return Ok(true);
                    }
                }
            }
        }
        // What came later to a place whose rules have always named them whenever those here did was never for fewer.
        Ok(!was_there(&wish.made) && self.is_always_with(wish, person, last)?)
    }

    /// Whether all rules for the place that name somebody, and today's, come with rules for the other place that do so.
    fn is_always_with(&self, wish: &Wish<'_>, person: &Person, last: &mut LastRules<'_>) -> Result<bool> {
        for Change { commit, .. } in self.changes.iter().flatten() {
            let configs = last.states.configs(self.recorded.name_of(*commit).as_str())?;
            let nobody = KeySet::of_groups(Vec::new(), None);
            let [here, own] = [wish.place, wish.own].map(|path| last.rule(&configs, path).cloned());
            if here.is_some_and(|here| person.is_new(&here, Some(own.as_ref().unwrap_or(&nobody)))) {
                return Ok(false);
            }
        }
        Ok(self.are_named_today(wish.own, person).all(|is_named| is_named == Some(true)))
    }
}

impl Recorded<'_> {
    /// What the encrypted files of these places held that may have left them, by the numbers of the places.
    fn contents(
        &self,
        places: &HashSet<usize>,
        elsewhere: &Elsewhere<'_>,
        wanted: PastScope,
    ) -> Result<HashMap<(usize, &ObjectId), Option<Prints>>> {
        let versions = self.history.versions.iter();
        let all = versions.map(|version| (version.path, &self.history.blobs[version.blob].id));
        let all = all.filter(|(at, _)| places.contains(at));
        let all: Vec<(usize, &ObjectId)> = all.collect::<BTreeSet<_>>().into_iter().collect();
        let gone: HashSet<usize> = match wanted {
            PastScope::Shared => HashSet::new(),
            _ => places.iter().copied().filter(|&at| self.is_gone(at)).collect(),
        };
        let is_wanted = |at: usize, prints: &Prints| gone.contains(&at) || elsewhere.have(prints);
        let found = self.prints(&all, is_wanted)?;
        Ok(found.into_iter().map(|(at, prints)| (all[at], prints)).collect())
    }

    /// When these contents have left their places, by commits and since the last one.
    fn losses<'r>(
        &'r self,
        contents: &HashMap<(usize, &'r ObjectId), Option<Prints>>,
    ) -> Result<Vec<Lost<'r>>> {
        let mut wanted = left::Contents::new();
        let mut by_name: HashMap<&Path, usize> = HashMap::new();
        let ids: HashSet<&'r ObjectId> = contents.keys().map(|(_, id)| *id).collect();
        for &(at, id) in contents.keys() {
            by_name.insert(&self.history.paths[at], at);
            wanted.entry(self.history.paths[at].clone()).or_default().insert(id.clone());
        }
        let Some(head) = changes::head(self.git)? else { return Ok(Vec::new()) };
        let tree = Tree::of_commit(self.git, &head)?;
        let commit = ObjectId::parse(head.as_bytes()).ok_or_else(not_understood)?;
        let mut found = Vec::new();
        for loss in left::losses(self.git, &head, &wanted)? {
            let Some(&place) = by_name.get(&*loss.path) else { continue };
            let Some(&content) = ids.get(&loss.content) else { continue };
            let next = loss.next.map_or(Next::Nothing, Next::Content);
            found.push(Lost { place, content, next, before: loss.before });
        }
        for &(place, content) in contents.keys() {
            let is_there = tree.get(&self.history.paths[place]) == Some(&Entry::File(content.clone()));
            if let Some(next) = self.next_since(place, content).filter(|_| is_there) {
                found.push(Lost { place, content, next, before: vec![commit.clone()] });
            }
        }
        Ok(found)
    }

    /// What came since the last commit into a place where that has this content; `None` where it is still there.
    fn next_since(&self, place: usize, content: &ObjectId) -> Option<Next> {
        let (name, path) = (&self.history.paths[place], &self.paths[place]);
        match self.index.get(name) {
            _ if self.is_gone(place) => Some(Next::Nothing),
            Some(Entry::File(_)) if self.unstaged.contains(name) => {
                let format = Format::of_path(path);
                let bytes = fs::read_found(path, format.most_bytes() as u64).ok();
                let file = bytes.and_then(|bytes| Holding::of(format, &bytes));
                Some(file.map_or(Next::Nothing, |file| Next::OnDisk(Box::new(file))))
            }
            Some(Entry::File(id)) => (id != content).then(|| Next::Content(id.clone())),
            _ => None,
        }
    }

    /// What came into places, as far as that holds something.
    fn next_contents<'r>(
        &self,
        losses: &'r [Lost<'_>],
    ) -> Result<HashMap<(usize, &'r ObjectId), Arc<Prints>>> {
        let all = losses.iter().filter_map(|loss| match &loss.next {
            Next::Content(id) => Some((loss.place, id)),
            _ => None,
        });
        let all: Vec<(usize, &ObjectId)> = all.collect::<BTreeSet<_>>().into_iter().collect();
        let found = self.prints(&all, |_, _| true)?.into_iter();
        Ok(found.filter_map(|(at, prints)| Some((all[at], Arc::new(prints?)))).collect())
    }
}

/// What came into the place of a content.
enum Next {
    Nothing,
    Content(ObjectId),
    OnDisk(Box<Holding>),
}

/// A content that has left its place, as [`left::Loss`]. What is not committed yet has no commit after it.
struct Lost<'r> {
    place: usize,
    content: &'r ObjectId,
    next: Next,
    before: Vec<ObjectId>,
}
