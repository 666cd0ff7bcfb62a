//! What places on the way to HEAD have lost, in commits and since the last one.
//!
//! Owns which losses count: what was lost is in another file today, or in one that is asked about, and other places that were for
//! the same people have not had it all along.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arrivals::{Arrivals, Wish};
use super::{Came, Elsewhere, Holding, LastRules, Left, Looking, MOST_TRIALS, PastScope, Recorded};
use crate::cli::copies::{known_rule_of, past_rule_of};
use crate::config::Configs;
use crate::document::Format;
use crate::error::Result;
use crate::fs;
use crate::keys::KeySet;
use crate::repo::copies::{Places, Prints, lets_others_in};
use crate::repo::git::arrivals::AtPlaces;
use crate::repo::git::history::{not_understood, without_an_end};
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{changes, left};

impl Recorded<'_> {
    pub(super) fn left_on_the_way_to_head(
        &self,
        places: &HashSet<usize>,
        looking: &Looking<'_>,
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Left<'_>>> {
        let Looking { elsewhere, wanted, configs, today } = looking;
        let contents = self.contents(places, elsewhere, *wanted)?;
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let losses = self.losses(&contents)?;
        let next = self.next_contents(&losses)?;
        let nothing = Arc::new(Prints::default());
        let mut counting = Vec::new();
        for loss in &losses {
            let stayed = match &loss.next {
                Next::Nothing => &nothing,
                Next::Content(id) => next.get(&(loss.place, id)).unwrap_or(&nothing),
                Next::OnDisk(prints) => prints,
            };
            let is_gone = loss.next == Next::Nothing && self.is_gone(loss.place);
            let held = contents[&(loss.place, loss.content)].as_ref();
            let lost = held.map(|held| held.without(stayed)).unwrap_or_default();
            let counts = match held {
                Some(_) => elsewhere.have(&lost),
                None => is_gone,
            };
            if counts || (is_gone && *wanted != PastScope::Shared) {
                counting.push(Counting { loss, lost, stayed: Arc::clone(stayed) });
            }
        }
        let others = Others::of(elsewhere, &contents, counting.iter().map(|counting| &counting.lost));
        let around = self.around(&counting, &others)?;
        let befores =
            counting.iter().flat_map(|counting| counting.loss.before.iter().map(move |one| (counting, one)));
        let befores: Vec<(&Counting, &ObjectId)> = befores.collect();
        let mut found = Vec::new();
        for ((counting, before), keys) in befores.iter().zip(self.last_named(&befores, last)?) {
            // Without any rule, the file's own list is older than anybody added since.
            let since = |keys: &KeySet, last: &mut LastRules<'_>| {
                self.readers_since(configs, (counting.loss.place, counting.loss.content), keys, last)
            };
            let mut all = Vec::new();
            for keys in keys {
                all.extend(since(&keys, last)?);
                all.push(keys);
            }
            for keys in all {
                if counting.loss.next == Next::Nothing
                    || !self.is_kept(counting, (before, &keys), &others, &around, last)?
                {
                    found.push((*counting, keys));
                }
            }
        }
        let wish = |(counting, keys): &(&Counting, KeySet)| {
            let is_wider = |here: &Path| today(here).is_none_or(|today| lets_others_in(&today, keys));
            let places = others.today.of(&counting.lost).into_iter().filter(|(here, _)| is_wider(here));
            let own = self.paths[counting.loss.place].clone();
            Wish { keys: keys.clone(), own, places: places.collect() }
        };
        let wishes: Vec<Wish> = found.iter().map(wish).collect();
        let arrivals = Arrivals::of(self, &wishes, elsewhere.asked_about())?;
        let mut left = Vec::new();
        for ((Counting { loss, stayed, .. }, keys), wish) in found.into_iter().zip(&wishes) {
            let but = arrivals.for_others(wish, *today, last)?;
            let came = Came::Then { after: loss.after.clone(), but };
            left.push(Left {
                place: loss.place,
                content: loss.content,
                keys,
                stayed: Arc::clone(stayed),
                came,
            });
        }
        Ok(left)
    }

    /// For whom places were in commits that have what they have lost since: by their rules there, or else by the last ones that
    /// named somebody while it was in them. A rule that goes before the file lets nobody in.
    fn last_named(
        &self,
        befores: &[(&Counting<'_, '_>, &ObjectId)],
        last: &mut LastRules<'_>,
    ) -> Result<Vec<Vec<KeySet>>> {
        let ancestry = self.ancestry();
        let names_somebody = |keys: &Option<KeySet>| keys.as_ref().is_some_and(|keys| !keys.is_only_sent());
        let (mut named, mut dropped, mut left) = (Vec::new(), Vec::new(), MOST_TRIALS);
        for (counting, before) in befores {
            let place = &self.paths[counting.loss.place];
            let keys = past_rule_of(place, &*last.states.configs(before.as_str())?);
            let line = match ancestry.number(before) {
                Some(number) if !names_somebody(&keys) => Some(ancestry.line([number])),
                _ => None,
            };
            named.push(keys.into_iter().collect::<Vec<_>>());
            let mut known: HashMap<*const Configs, Option<KeySet>> = HashMap::new();
            let mut rule = |commit: usize, last: &mut LastRules<'_>| -> Result<Option<KeySet>> {
                let configs = last.states.configs(self.name_of(commit).as_str())?;
                left = left.checked_sub(1).ok_or_else(without_an_end)?;
                let keys =
                    known.entry(Arc::as_ptr(&configs)).or_insert_with(|| past_rule_of(place, &configs));
                Ok(keys.clone().filter(|_| names_somebody(keys)))
            };
            let mut drops = Vec::new();
            if let Some(line) = line {
                let changes = last.changes((&self.history, ancestry))?;
                for &change in changes.iter().filter(|change| line.has(**change)) {
                    if rule(change, last)?.is_some() {
                        continue;
                    }
                    for parent in ancestry.parents(change) {
                        drops.extend(rule(*parent, last)?.map(|keys| (change, *parent, keys)));
                    }
                }
            }
            dropped.push(drops);
        }
        let name = |counting: &Counting| self.history.paths[counting.loss.place].as_path();
        let asked = befores.iter().zip(&dropped).flat_map(|((counting, _), drops)| {
            let commits = drops.iter().flat_map(|(change, parent, _)| [*change, *parent]);
            commits.map(|commit| (self.name_of(commit), name(counting)))
        });
        let there = AtPlaces::read(self.git, &asked.collect())?;
        for (((counting, _), mut drops), named) in befores.iter().zip(dropped).zip(&mut named) {
            let (place, content) = (&self.paths[counting.loss.place], counting.loss.content);
            drops.retain(|(change, parent, _)| {
                [change, parent].into_iter().all(|commit| {
                    there.get(self.name_of(*commit), name(counting)).is_some_and(|id| {
                        let [then, lost] = [id, content].map(|id| last.prints_of(place, id));
                        id == content || !then.in_common(&lost).is_empty()
                    })
                })
            });
            // Whoever came by a later rule has come.
            let earlier = drops.iter().flat_map(|(_, parent, _)| ancestry.parents(*parent).iter().copied());
            let earlier = ancestry.line(earlier);
            drops.retain(|(_, parent, _)| !earlier.has(*parent));
            if !drops.is_empty() {
                *named = drops.into_iter().map(|(.., keys)| keys).collect();
            }
        }
        Ok(named)
    }

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
            found.push(Lost { place, content, next, before: loss.before, after: Some(loss.after) });
        }
        for &(place, content) in contents.keys() {
            let is_there = tree.get(&self.history.paths[place]) == Some(&Entry::File(content.clone()));
            if let Some(next) = self.next_since(place, content).filter(|_| is_there) {
                found.push(Lost { place, content, next, before: vec![commit.clone()], after: None });
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
                let prints = file.map(|file| file.prints()).unwrap_or_default();
                Some(Next::OnDisk(Arc::new(prints)))
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

    /// What the other places that have, or had, what was lost held before that and after.
    fn around(&self, counting: &[Counting<'_, '_>], others: &Others<'_>) -> Result<AtPlaces> {
        let mut names: Vec<(&Counting, Vec<PathBuf>)> = Vec::new();
        for counting in counting.iter().filter(|counting| counting.loss.next != Next::Nothing) {
            let shared = others.names(&others.shared(&counting.lost), &self.paths);
            let name = |path: &PathBuf| path.strip_prefix(self.git.top()).map(Path::to_path_buf).ok();
            names.push((counting, shared.iter().filter_map(name).collect()));
        }
        let mut asked = BTreeSet::new();
        for (Counting { loss, .. }, names) in &names {
            for commit in loss.before.iter().chain(&loss.after) {
                asked.extend(names.iter().map(|name| (commit, name.as_path())));
            }
        }
        AtPlaces::read(self.git, &asked)
    }

    /// Whether others that have what was lost had it before, in places for no others, and have it after: then it stays where it was
    /// in these, and nobody has it from the place that has lost it.
    fn is_kept(
        &self,
        Counting { loss, lost, .. }: &Counting<'_, '_>,
        (before, keys): (&ObjectId, &KeySet),
        others: &Others<'_>,
        around: &AtPlaces,
        last: &mut LastRules<'_>,
    ) -> Result<bool> {
        let mut rest = others.shared(lost);
        let configs = last.states.configs(before.as_str())?;
        for path in others.names(&rest, &self.paths) {
            let Ok(name) = path.strip_prefix(self.git.top()) else { continue };
            let here = known_rule_of(&path, &configs);
            if path == self.paths[loss.place] || here.is_none_or(|here| lets_others_in(&here, keys)) {
                continue;
            }
            let mut held = |commit: &ObjectId| match around.get(commit, name) {
                Some(id) => last.prints_of(&path, id),
                None => Arc::default(),
            };
            let then = held(before);
            let kept = match &loss.after {
                Some(after) => then.in_common(&held(after)),
                None => then.in_common(&others.on_disk(&path, &rest)),
            };
            rest = rest.without(&kept);
        }
        Ok(rest.is_empty())
    }
}

/// What came into the place of a content.
#[derive(PartialEq, Eq)]
enum Next {
    Nothing,
    Content(ObjectId),
    OnDisk(Arc<Prints>),
}

/// A content that has left its place, as [`left::Loss`]. What is not committed yet has no commit after it.
struct Lost<'r> {
    place: usize,
    content: &'r ObjectId,
    next: Next,
    before: Vec<ObjectId>,
    after: Option<ObjectId>,
}

/// One of them that counts, with what the place has lost by it and what has stayed.
struct Counting<'l, 'r> {
    loss: &'l Lost<'r>,
    lost: Prints,
    stayed: Arc<Prints>,
}

/// Where else is, or was, what places have lost.
struct Others<'c> {
    today: Places<'c>,
    /// By the numbers of places of the history.
    ever: Vec<(usize, &'c Prints)>,
}

impl<'c> Others<'c> {
    fn of(
        elsewhere: &Elsewhere<'c>,
        contents: &'c HashMap<(usize, &ObjectId), Option<Prints>>,
        lost: impl Iterator<Item = &'c Prints>,
    ) -> Self {
        let today = elsewhere.places(lost);
        let ever = contents.iter().filter_map(|((at, _), prints)| Some((*at, prints.as_ref()?)));
        Self { today, ever: ever.collect() }
    }

    /// What of this is in a file today, or asked about.
    fn shared(&self, prints: &Prints) -> Prints {
        let mut shared = Prints::default();
        self.today.of(prints).values().for_each(|found| shared.add(found));
        shared
    }

    /// The paths at which something of this is or was.
    fn names(&self, prints: &Prints, paths: &[PathBuf]) -> BTreeSet<PathBuf> {
        let today = self.today.of(prints);
        let ever = self.ever.iter().filter(|(_, ever)| !prints.in_common(ever).is_empty());
        today.keys().map(|path| path.to_path_buf()).chain(ever.map(|(at, _)| paths[*at].clone())).collect()
    }

    fn on_disk(&self, path: &Path, prints: &Prints) -> Prints {
        self.today.of(prints).remove(path).unwrap_or_default()
    }
}
