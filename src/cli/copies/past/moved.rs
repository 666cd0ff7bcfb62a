//! What has left a place, and is in another one today, or back in its own.
//!
//! Owns which part of a content that is, and whom the rules of that place named while it was there, in any commit. Who may have it
//! where it is now is [`FirstNamed`]'s to say.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::first_named::{FirstNamed, Moving, Stranger, Wish};
use super::{Came, Elsewhere, Holding, LastRules, Left, Looking, PastScope, Recorded, Seen};
use crate::cli::copies::past_rule_of;
use crate::document::Format;
use crate::error::Result;
use crate::fs;
use crate::keys::KeySet;
use crate::repo::copies::{Excused, Person, Places, Prints, lets_others_in};
use crate::repo::git::at_places::AtPlaces;
use crate::repo::git::history::not_understood;
use crate::repo::git::left::Loss;
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
        let left = self.what_left(&contents, &losses, looking)?;
        let rules = self.rules_of(&left, &contents, &losses, last)?;
        let first = FirstNamed::of(self, looking, last)?;
        let wishes = self.wishes(&left, &rules, &contents, looking, &first, last)?;
        let there =
            AtPlaces::read_files(self.git, &wishes.iter().flat_map(|wish| first.asked(wish)).collect())?;
        let mut excused: BTreeMap<(usize, usize), Excused> = BTreeMap::new();
        for wish in wishes.iter().filter(|wish| wish.is_between) {
            first.note(wish, &there, last)?;
        }
        for wish in wishes.iter().filter(|wish| !wish.is_between) {
            let excused = excused.entry((wish.left, wish.keys)).or_default();
            if first.could_read(wish, false, &there, last)? {
                excused.places.insert(wish.place.to_path_buf());
            } else if first.could_read(wish, true, &there, last)? {
                excused.earlier.insert(wish.place.to_path_buf());
            }
        }
        let mut found: Vec<Counting> = Vec::new();
        for (at, left) in left.iter().enumerate() {
            for (number, keys) in rules[at].iter().enumerate() {
                let mut excused = excused.remove(&(at, number)).unwrap_or_default();
                let own = &self.paths[left.place];
                let came = match (left.is_back, excused.places.contains(own)) {
                    (true, true) => continue,
                    (true, false) => Came::At(own.clone()),
                    (false, _) => {
                        // What other branches have for its own place is `beside`'s.
                        excused.places.insert(own.clone());
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
            let held = contents[&(left.place, left.content)].as_ref().map(|held| &held.prints);
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
    ) -> Result<Vec<HasLeft<'r>>> {
        let Looking { elsewhere, wanted, .. } = looking;
        let next = self.next_contents(losses)?;
        let held: Vec<&Prints> = contents.values().flatten().map(|held| &held.prints).collect();
        let (on_disk, all) =
            (elsewhere.on_disk(held.iter().copied()), elsewhere.places(held.iter().copied()));
        // What is in the place again, though a later file there had it not.
        let mut back: HashMap<(usize, &ObjectId), Prints> = HashMap::new();
        let mut lost_once: HashMap<(usize, &ObjectId), Prints> = HashMap::new();
        for loss in losses {
            let back = back.entry((loss.place, loss.content)).or_default();
            // What HEAD has there is not gone yet.
            let held = contents[&(loss.place, loss.content)].as_ref().filter(|_| loss.is_committed);
            let Some(held) = held else { continue };
            let nothing = Seen::default();
            let next = match &loss.next {
                Next::Nothing => &nothing,
                Next::Content(id) => next.get(&(loss.place, id)).unwrap_or(&nothing),
                Next::OnDisk(next) => next,
            };
            let path = &self.paths[loss.place];
            let lost = held.lost_to(next);
            lost_once.entry((loss.place, loss.content)).or_default().add(&lost);
            let at_place = |places: &Places| places.of(&lost).remove(path.as_path()).unwrap_or_default();
            let here = at_place(&on_disk);
            back.add(&here);
            back.add(&elsewhere.brought_to(path).in_common(&lost));
        }
        let mut of_place: HashMap<usize, Vec<&Prints>> = HashMap::new();
        for ((place, _), held) in contents {
            of_place.entry(*place).or_default().extend(held.as_ref().map(|held| &held.prints));
        }
        let mut found = Vec::new();
        for (&(place, content), held) in contents {
            let path = self.paths[place].as_path();
            let is_on_the_way = back.contains_key(&(place, content));
            let has_left =
                |prints: Prints, is_back: bool| HasLeft { place, content, prints, is_back, is_on_the_way };
            let parts = |prints: &Prints| {
                let of_place = of_place.get(&place).into_iter().flatten().copied();
                let asked = elsewhere.asked.iter().map(|asked| &asked.prints);
                let today = on_disk.of(prints).into_values().collect::<Vec<_>>();
                let all = of_place.chain(asked).chain(&today);
                prints.parts(all.filter(|held| !held.in_common(prints).is_empty()))
            };
            let is_gone = self.is_gone(place);
            let Some(Seen { prints: held, .. }) = held else {
                if is_gone {
                    found.push(has_left(Prints::default(), false));
                }
                continue;
            };
            let here = on_disk.of(held).remove(path).unwrap_or_default();
            // What a commit has taken away is for nobody else, though it is here again.
            let stayed = match lost_once.get(&(place, content)) {
                Some(lost) => here.without(lost),
                None => here,
            };
            let gone = held.without(&stayed);
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
        let changing = last.changing()?;
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
                let seen = contents.get(&(left.place, id)).and_then(Option::as_ref);
                id == left.content
                    || match seen {
                        Some(seen) => !seen.prints.in_common(&left.prints).is_empty(),
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
        contents: &Contents<'_>,
        looking: &Looking<'w>,
        first: &FirstNamed<'_, '_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Wish<'w>>>
    where
        Self: 'w,
    {
        let today = self.read_today(left, rules, looking);
        let traces = self.traces(left, &today, contents, last)?;
        let mut found = Vec::new();
        for (Today { at, place: today, readers, .. }, moving) in today.into_iter().zip(traces) {
            let between =
                moving.elsewhere.iter().filter(|between| **between != today && **between != moving.own);
            let places: Vec<_> = between.map(|between| (*between, true)).chain([(today, false)]).collect();
            for (number, keys) in rules[at].iter().enumerate() {
                for &(place, is_between) in &places {
                    let strangers =
                        Person::all_of(&readers).into_iter().filter(|person| !person.is_among(keys));
                    let strangers = strangers.map(|person| {
                        let named = first.naming(place, &person, last)?;
                        let named_there = first.naming(moving.own, &person, last)?;
                        Ok(Stranger { person, named, named_there })
                    });
                    let people = strangers.collect::<Result<_>>()?;
                    let moving = Rc::clone(&moving);
                    found.push(Wish { left: at, keys: number, place, is_between, moving, people });
                }
            }
        }
        Ok(found)
    }

    /// Where something of these is today that somebody reads there, and could not where it was.
    fn read_today<'w>(
        &'w self,
        left: &[HasLeft<'_>],
        rules: &[Vec<KeySet>],
        looking: &Looking<'w>,
    ) -> Vec<Today<'w>> {
        let today = looking.elsewhere.places(left.iter().map(|left| &left.prints));
        let mut found = Vec::new();
        for (at, left) in left.iter().enumerate() {
            let own = self.paths[left.place].as_path();
            for (place, prints) in today.of(&left.prints) {
                let readers = (looking.today)(place).filter(|readers| !readers.is_only_sent());
                let Some(readers) = readers.filter(|_| (place == own) == left.is_back) else { continue };
                if rules[at].iter().any(|keys| lets_others_in(&readers, keys)) {
                    found.push(Today { at, place, readers, prints });
                }
            }
        }
        found
    }

    /// How each of these has come and gone.
    fn traces<'w>(
        &'w self,
        left: &[HasLeft<'_>],
        today: &[Today<'w>],
        contents: &Contents<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Rc<Moving<'w>>>> {
        let mut ever = Places::default();
        for ((at, _), held) in contents {
            held.iter().for_each(|held| ever.add(&self.paths[*at], &held.prints));
        }
        let numbers: HashMap<&Path, usize> =
            self.paths.iter().enumerate().map(|(at, path)| (path.as_path(), at)).collect();
        let mut has = |number: usize, id: &ObjectId, prints: &Prints| match contents.get(&(number, id)) {
            Some(held) => held.as_ref().is_some_and(|held| prints.without(held.encrypted()).is_empty()),
            None => prints.without(&last.encrypted_at(&self.paths[number], id)).is_empty(),
        };
        let (mut found, mut wanted) = (Vec::new(), left::Contents::new());
        for Today { at, place, prints, .. } in today {
            let HasLeft { place: own, is_back, .. } = left[*at];
            let own = self.paths[own].as_path();
            let elsewhere = ever.of(prints).into_iter();
            let elsewhere = elsewhere.filter(|(_, held)| prints.without(held).is_empty());
            let elsewhere: Vec<&Path> = elsewhere.map(|(path, _)| path).collect();
            let mut brought = |place: &Path| -> Vec<(usize, &ObjectId)> {
                let Some(number) = numbers.get(place).copied() else { return Vec::new() };
                self.came_to(number).filter(|(_, id)| has(number, id, prints)).collect()
            };
            let mut commits = |place| brought(place).into_iter().map(|(commit, _)| commit).collect();
            let (made, came) = (commits(own), if is_back { Vec::new() } else { commits(place) });
            for place in elsewhere.iter().chain([place]).filter(|place| !is_back || **place == own) {
                if let Ok(name) = place.strip_prefix(self.git.top()) {
                    let ids = brought(place).into_iter().map(|(_, id)| id.clone());
                    wanted.entry(name.to_path_buf()).or_default().extend(ids);
                }
            }
            let (lost, lost_there) = (BTreeSet::new(), BTreeSet::new());
            found.push(Moving { prints: prints.clone(), own, came, made, elsewhere, lost, lost_there });
        }
        let head = changes::head(self.git)?;
        let losses = head.map_or(Ok(Vec::new()), |head| left::lost(self.git, &head, &wanted))?;
        let mut of_place: HashMap<PathBuf, Vec<Loss>> = HashMap::new();
        for loss in losses {
            of_place.entry(self.git.top().join(&loss.path)).or_default().push(loss);
        }
        for (moving, Today { at, place, .. }) in found.iter_mut().zip(today) {
            let places = moving.elsewhere.iter().chain([place]);
            for place in places.filter(|place| !left[*at].is_back || **place == moving.own) {
                let Some(number) = numbers.get(place).copied() else { continue };
                for Loss { content, next, after, .. } in of_place.get(*place).into_iter().flatten() {
                    let has_stayed = next.as_ref().is_some_and(|next| has(number, next, &moving.prints));
                    if !has_stayed && has(number, content, &moving.prints) {
                        moving.lost.insert(after.clone());
                        if *place == moving.own {
                            moving.lost_there.insert(after.clone());
                        }
                    }
                }
            }
        }
        Ok(found.into_iter().map(Rc::new).collect())
    }
}

/// Where something that has left a place is today.
struct Today<'w> {
    /// The number of what has left.
    at: usize,
    place: &'w Path,
    readers: KeySet,
    prints: Prints,
}

/// Contents of places that may have left them, by the numbers of the places; `None` for what Git does not give.
type Contents<'r> = HashMap<(usize, &'r ObjectId), Option<Seen>>;

/// A content, and a part of it that has left its place. Whatever that place held, and what is anywhere today or asked about, has all of
/// the part, or nothing.
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

impl Recorded<'_> {
    /// What the encrypted files of these places held that may have left them, by the numbers of the places.
    fn contents(
        &self,
        places: &HashSet<usize>,
        elsewhere: &Elsewhere<'_>,
        wanted: PastScope,
    ) -> Result<Contents<'_>> {
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
        Ok(found.into_iter().map(|(at, seen)| (all[at], seen)).collect())
    }

    /// When these contents have left their places, by commits and since the last one.
    fn losses<'r>(&'r self, contents: &Contents<'r>) -> Result<Vec<Lost<'r>>> {
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
            found.push(Lost { place, content, next, before: loss.before, is_committed: true });
        }
        for &(place, content) in contents.keys() {
            let is_there = tree.get(&self.history.paths[place]) == Some(&Entry::File(content.clone()));
            if let Some(next) = self.next_since(place, content).filter(|_| is_there) {
                found.push(Lost { place, content, next, before: vec![commit.clone()], is_committed: false });
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
                Some(file.map_or(Next::Nothing, |file| Next::OnDisk(Seen::of(&file))))
            }
            Some(Entry::File(id)) => (id != content).then(|| Next::Content(id.clone())),
            _ => None,
        }
    }

    /// What came into places, as far as that holds something.
    fn next_contents<'r>(&self, losses: &'r [Lost<'_>]) -> Result<HashMap<(usize, &'r ObjectId), Seen>> {
        let all = losses.iter().filter_map(|loss| match &loss.next {
            Next::Content(id) => Some((loss.place, id)),
            _ => None,
        });
        let all: Vec<(usize, &ObjectId)> = all.collect::<BTreeSet<_>>().into_iter().collect();
        let found = self.prints(&all, |_, _| true)?.into_iter();
        Ok(found.filter_map(|(at, seen)| Some((all[at], seen?))).collect())
    }
}

/// What came into the place of a content.
enum Next {
    Nothing,
    Content(ObjectId),
    OnDisk(Seen),
}

/// A content that has left its place, as [`left::Loss`]. What is not committed yet has no commit after it.
struct Lost<'r> {
    place: usize,
    content: &'r ObjectId,
    next: Next,
    before: Vec<ObjectId>,
    is_committed: bool,
}
