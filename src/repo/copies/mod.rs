//! Files that share a data key or a ciphertext: one is a copy of the other, or of part of it.
//!
//! Anybody with access to the copy reads the content of the other, so two copies for different readers are a finding
//! ([`Copies::found`]), and nobody gets access whom the other place does not name ([`Copies::refuse`]). We compare
//! decoded bytes, so that a different spelling hides nothing. Pure, and linear in the files, which the caller lists.
//! Opens nothing, and quotes no value.

mod foreign;
mod held;
mod prints;
mod readers;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

pub use foreign::Foreign;
pub use held::{Held, are_of_one_key, held, held_in_broken, may_hold_remains};
use prints::Print;
pub use prints::{Places, Prints, Wrapped};
pub use readers::{Person, alone, is_for_same, let_same_others_in, lets_others_in, readers};
use readers::{Readers, are_same, is_wider};

use crate::error::{Error, Kind, Result};
use crate::keys::{KeySet, MasterKey};
use crate::repo::check::{Finding, Rule};
use crate::secret::DataKey;
use crate::sops::Trial;

/// How many shared values are named.
const SHOWN: usize = 20;

/// A file, by its name on the disk and as it is shown.
pub struct Named {
    pub path: PathBuf,
    pub shown: PathBuf,
}

/// Where something of the past counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaving(usize);

/// Places where what was elsewhere is for all who read there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Excused {
    pub places: BTreeSet<PathBuf>,
    /// Those where that is so only of what was there once, and is not any more.
    pub earlier: BTreeSet<PathBuf>,
}

/// The same.
pub enum Since {
    /// In all places but these.
    Elsewhere(Excused),
    /// In this one.
    At(PathBuf),
    /// In all that are not in this folder.
    Outside(PathBuf),
}

/// A holder in one of the files.
struct Unit {
    file: usize,
    held: Held,
    /// The readers, and whether a rule names them, as a number.
    readers: usize,
    /// Where it begins in a file that was looked at.
    line: Option<usize>,
    age: Age,
}

/// When something was in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Age {
    Present,
    /// It was there in another commit.
    Past,
    /// As well, and its readers are those before a change. What another file had then as well it has not from there.
    Before,
    /// As well, and its readers are those that the place had last. Whoever has come since to a place that was for no others
    /// has come by its rule, not by the move.
    Left(Leaving),
}

impl Unit {
    fn is_past(&self) -> bool {
        self.age != Age::Present
    }
}

impl Unit {
    /// Who may read this, as far as it counts for something that is elsewhere. Where a rule names the readers of that, whom
    /// this file alone names does not count: anybody can have written themselves into its list. Of the past
    /// every state is there, that before such a change as well.
    fn readers_beside(&self, by_rule: bool) -> Cow<'_, Readers> {
        match by_rule && !self.held.by_rule && !self.is_past() {
            true => Cow::Owned(Readers::nobody()),
            false => Cow::Borrowed(&self.held.readers),
        }
    }
}

/// Of those who hold the same and have the same readers the first two in different places: one of them is in another one than a
/// third.
struct Same {
    readers: usize,
    first: usize,
    second: Option<usize>,
}

/// Who should be able to read a file, and where it is.
struct Asking<'a> {
    path: &'a Path,
    wanted: &'a Readers,
    /// Those of the place, by its rule or else the file's list.
    here: &'a Readers,
    by_rule: bool,
    /// It is about what was in the place once.
    is_earlier: bool,
}

/// Why nobody is let in.
pub struct Refused {
    /// Of kind [`Kind::Conflict`], with what is shared. What to do about it is the caller's to say.
    pub error: Error,
    /// Those who could not read something that is or was elsewhere.
    pub strangers: Vec<String>,
}

/// What two files have in common.
struct Shared<'h> {
    has_key: bool,
    /// The paths of values, in the file that is asked about.
    values: Vec<&'h str>,
}

impl<'h> Shared<'h> {
    fn between(held: &'h Held, other: &Held) -> Self {
        let there: HashSet<Print> = other.prints().collect();
        let values = held.values.iter().filter(|(print, _)| there.contains(print)).map(|(_, path)| &**path);
        Self { has_key: held.keys.iter().any(|print| there.contains(print)), values: values.collect() }
    }
}

/// The readers of files, each set of them once.
pub struct Audiences<'c>(Vec<&'c Readers>);

impl Audiences<'_> {
    /// Whether something has readers other than these.
    pub fn reach_others_than(&self, keys: &KeySet) -> bool {
        let readers = Readers::of(keys);
        self.0.iter().any(|audience| is_wider(audience, &readers))
    }
}

/// Files and what they hold.
#[derive(Default)]
pub struct Copies {
    files: Vec<Named>,
    units: Vec<Unit>,
    leavings: Vec<Since>,
    /// What files that were looked at held before a change.
    before: HashMap<PathBuf, Vec<Held>>,
    readers: HashMap<(Readers, bool, Age), usize>,
    by_print: HashMap<Print, Vec<Same>>,
    /// Who has been let in to what is elsewhere.
    allowed: Readers,
}

impl Copies {
    /// Adds a file that is only compared with.
    pub fn add(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Present);
    }

    /// The same for a file of another commit. Its readers may be more: what has moved has moved.
    pub fn add_past(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Past);
    }

    /// As [`Copies::add_past`], by the rule of its place before a change.
    pub fn add_before(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Before);
    }

    /// What a file that was looked at held before a change.
    pub fn add_state_before(&mut self, path: PathBuf, held: Vec<(usize, Held)>) {
        self.before.entry(path).or_default().extend(held.into_iter().map(|(_, held)| held));
    }

    /// Adds how it is known of files who has come since.
    pub fn add_leaving(&mut self, since: Since) -> Leaving {
        self.leavings.push(since);
        Leaving(self.leavings.len() - 1)
    }

    /// As [`Copies::add_past`], for a file that has left its place. It was for the readers that the place had last.
    pub fn add_left(&mut self, file: Named, held: Vec<(usize, Held)>, leaving: Leaving) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Left(leaving));
    }

    /// Whether each of these is of a data key of what was added, which is one of `keys` or says so itself. Without anything of the
    /// past all is known.
    pub fn knows(&self, held: &[(usize, Held)], keys: &[&DataKey]) -> bool {
        let trials: Vec<Trial> = keys.iter().map(|key| Trial::of(key)).collect();
        let is_known = |held: &Held| {
            let mut its = trials.iter().filter(|trial| held.is_of(trial));
            held.proofs.iter().any(|print| self.by_print.contains_key(print))
                || its.any(|trial| self.units.iter().any(|unit| unit.held.is_of(trial)))
        };
        let is_known_past = |unit: &Unit| unit.is_past() && !unit.held.is_foreign;
        !self.units.iter().any(is_known_past) || held.iter().all(|(_, held)| is_known(held))
    }

    /// Who may read what was looked at.
    pub fn audiences(&self) -> Audiences<'_> {
        let mut seen = HashSet::new();
        let new = self.looked_at().filter(|unit| seen.insert(unit.readers));
        Audiences(new.map(|unit| &unit.held.readers).collect())
    }

    /// Whether one of these holds something that is in what was added.
    pub fn share(&self, held: &[(usize, Held)]) -> bool {
        held.iter().flat_map(|(_, held)| held.prints()).any(|print| self.by_print.contains_key(&print))
    }

    /// The same of what files hold.
    pub fn share_prints(&self, prints: &Prints) -> bool {
        prints.iter().any(|print| self.by_print.contains_key(print))
    }

    /// Where something of this is, of the files that are there.
    pub fn places<'p>(&self, of: impl Iterator<Item = &'p Prints>) -> Places<'_> {
        let wanted: HashSet<Print> = of.flat_map(Prints::iter).copied().collect();
        let mut places: HashMap<Print, BTreeSet<&Path>> = HashMap::new();
        for unit in self.units.iter().filter(|unit| !wanted.is_empty() && !unit.is_past()) {
            for print in unit.held.prints().filter(|print| wanted.contains(print)) {
                places.entry(print).or_default().insert(self.path_of(unit));
            }
        }
        Places(places)
    }

    fn path_of(&self, unit: &Unit) -> &Path {
        &self.files[unit.file].path
    }

    /// The files that were looked at.
    pub fn paths_looked_at(&self) -> impl Iterator<Item = &Path> {
        self.looked_at().map(|unit| self.files[unit.file].path.as_path())
    }

    fn looked_at(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| unit.line.is_some())
    }

    /// Whether nothing was added that holds anything.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Adds a file whose copies are findings; each of what it holds with the line that it begins on.
    pub fn add_looked_at(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(line, held)| (Some(line), held)), Age::Present);
    }

    fn add_units(&mut self, file: Named, units: impl Iterator<Item = (Option<usize>, Held)>, age: Age) {
        let at = self.files.len();
        self.files.push(file);
        for (line, held) in units {
            let next = self.readers.len();
            let readers = *self.readers.entry((held.readers.clone(), held.by_rule, age)).or_insert(next);
            let number = self.units.len();
            for print in held.prints() {
                let places = self.by_print.entry(print).or_default();
                match places.iter_mut().find(|same| same.readers == readers) {
                    // One that holds a thing twice is not listed yet itself, and versions of one file are one.
                    Some(same)
                        if self.units.get(same.first).is_some_and(|unit| {
                            unit.file != at && self.files[unit.file].path != self.files[at].path
                        }) =>
                    {
                        same.second.get_or_insert(number);
                    }
                    Some(_) => {}
                    None => places.push(Same { readers, first: number, second: None }),
                }
            }
            self.units.push(Unit { file: at, held, readers, line, age });
        }
    }

    /// Lets these in to whatever is elsewhere, or has left its place: a person says so, by their names.
    pub fn allow(&mut self, keys: &[MasterKey]) {
        self.allowed = Readers::each_of(keys);
    }

    /// What was looked at and holds the same as something that is for others, or was where fewer may read.
    pub fn found(&self) -> Vec<(&Path, Finding)> {
        let found = |unit: &Unit| {
            let line = unit.line?;
            let (rule, message, other) = self.copied(unit).or_else(|| self.moved(unit))?;
            let other = Some(self.files[other.file].shown.clone());
            let finding = Finding { other, ..Finding::new(line, rule, message) };
            Some((self.files[unit.file].shown.as_path(), finding))
        };
        self.looked_at().filter_map(found).collect()
    }

    fn copied(&self, unit: &Unit) -> Option<(Rule, String, &Unit)> {
        let is_other = |other: &Unit| {
            unit.held.by_rule != other.held.by_rule || !are_same(&unit.held.readers, &other.held.readers)
        };
        let (what, other) = self.shared(unit, |other, _| !other.is_past() && is_other(other))?;
        let whose = match (unit.held.by_rule, other.held.by_rule) {
            (true, false) => "for which no rule names readers",
            (false, true) if unit.held.readers == other.held.readers => {
                "for which a rule names readers, and for this file none does"
            }
            _ if unit.held.readers.own == other.held.readers.own => "which `publish` sends elsewhere",
            _ => "which has other readers",
        };
        Some((Rule::Copied, format!("{what} {}, {whose}", self.shown(other)), other))
    }

    /// What has left a place for one of more readers. What was there for more people is for fewer now.
    fn moved(&self, unit: &Unit) -> Option<(Rule, String, &Unit)> {
        let here = &self.files[unit.file].path;
        let is_narrower = |other: &Unit, print: Print| {
            other.is_past()
                && is_wider(&unit.held.readers, &other.held.readers)
                && self.is_of_move(other, here, false)
                && !(other.age == Age::Before && self.had_before(here, print, &other.held.readers))
        };
        let (what, other) = self.shared(unit, is_narrower)?;
        let (here, there) = (&unit.held.readers, &other.held.readers);
        let place = match here.are_sent_to(&here.strangers_to(there)) {
            true => "a path that `publish` sends elsewhere, or not at all",
            false => "a path with other readers",
        };
        Some((Rule::Moved, format!("{what} {}, {place}", self.shown(other)), other))
    }

    /// Whether some may read at `here` who could not where something of the past was: by its having moved there. A place that no
    /// rule was for at that time is judged as it is now.
    fn is_of_move(&self, past: &Unit, here: &Path, is_earlier: bool) -> bool {
        // Content that stays in place has not moved: `config-change` reports readers that a rule adds there.
        let is_elsewhere = self.files[past.file].path != here;
        let Age::Left(Leaving(leaving)) = past.age else { return is_elsewhere };
        match &self.leavings[leaving] {
            Since::Elsewhere(excused) => {
                let is_excused = excused.places.contains(here);
                !(is_excused || (is_earlier && excused.earlier.contains(here)))
            }
            Since::At(place) => here == place,
            Since::Outside(folder) => is_elsewhere && !here.starts_with(folder),
        }
    }

    /// Whether a file held this before a change, and was for no others than these.
    fn had_before(&self, path: &Path, print: Print, readers: &Readers) -> bool {
        let mut held = self.before.get(path).into_iter().flatten();
        held.any(|held| held.prints().any(|had| had == print) && !is_wider(&held.readers, readers))
    }

    /// What a unit has in common with another one of other readers of which `counts` says that it counts: its data key
    /// before its values.
    fn shared(&self, unit: &Unit, counts: impl Fn(&Unit, Print) -> bool) -> Option<(String, &Unit)> {
        let other = |print: &Print| {
            let places = self.by_print.get(print)?.iter().filter(|same| same.readers != unit.readers);
            let units = places.flat_map(|same| [Some(same.first), same.second]).flatten();
            units.map(|unit| &self.units[unit]).find(|other| counts(other, *print))
        };
        let of_key = || Some(("has the data key of".to_owned(), unit.held.keys.iter().find_map(&other)?));
        let of_value = |(print, path): &(Print, Box<str>)| {
            Some((format!("{path} has the ciphertext of a value in"), other(print)?))
        };
        of_key().or_else(|| unit.held.values.iter().find_map(of_value))
    }

    fn shown(&self, unit: &Unit) -> impl std::fmt::Display {
        self.files[unit.file].shown.display()
    }

    /// Refuses to wrap for `keys` where a file holds the same as another one that is for others: more of them could come to
    /// read it, or, where the other one is for more, a new data key would hide that it is a copy.
    pub fn refuse(&self, path: &Path, held: &[(usize, Held)], keys: &KeySet) -> Result<(), Refused> {
        self.refuse_among(path, held, keys, false)
    }

    /// The same for what this place held earlier, as far as it came from elsewhere.
    pub fn refuse_earlier(&self, path: &Path, held: &[(usize, Held)], keys: &KeySet) -> Result<(), Refused> {
        self.refuse_among(path, held, keys, true)
    }

    fn refuse_among(
        &self,
        path: &Path,
        held: &[(usize, Held)],
        keys: &KeySet,
        is_earlier: bool,
    ) -> Result<(), Refused> {
        let counts = |unit: &Unit| !is_earlier || self.files[unit.file].path != path;
        let wanted = Readers::of(keys);
        let ways: [fn(&Self, &Asking<'_>, &Unit) -> bool; 2] = [Self::is_denied, Self::is_ruled_there_alone];
        for is_refused in ways {
            for (_, held) in held {
                let asking =
                    Asking { path, wanted: &wanted, here: &held.readers, by_rule: held.by_rule, is_earlier };
                let places = held.prints().filter_map(|print| self.by_print.get(&print)).flatten();
                let units = places.flat_map(|same| [Some(same.first), same.second]).flatten();
                let mut units = units.map(|unit| &self.units[unit]);
                if let Some(unit) = units.find(|unit| is_refused(self, &asking, unit) && counts(unit)) {
                    return Err(self.refusal(&asking, unit, &Shared::between(held, &unit.held)));
                }
            }
        }
        Ok(())
    }

    /// The same for a document by its data key, once that is open: however it is wrapped here, it is that of another document
    /// if it opens the MAC of that one, or a value. `rule` is whom the creation rule of its place names.
    pub fn refuse_key(
        &self,
        path: &Path,
        data_key: &DataKey,
        rule: Option<&KeySet>,
        keys: &KeySet,
    ) -> Result<(), Refused> {
        let (wanted, trial) = (Readers::of(keys), Trial::of(data_key));
        let (here, by_rule) = Readers::of_place(rule, || wanted.clone());
        let asking = Asking { path, wanted: &wanted, here: &here, by_rule, is_earlier: false };
        let shared = Shared { has_key: true, values: Vec::new() };
        let is_refused = |unit: &&Unit| {
            (self.is_denied(&asking, unit) || self.is_ruled_there_alone(&asking, unit))
                && unit.held.samples.iter().any(|sample| trial.opens(sample))
        };
        let refused = self.units.iter().find(is_refused);
        refused.map_or(Ok(()), |unit| Err(self.refusal(&asking, unit, &shared)))
    }

    fn is_denied(&self, asking: &Asking<'_>, unit: &Unit) -> bool {
        self.denied(asking, unit).is_some()
    }

    /// Whether a rule names the readers of another place, and none those of this one: with a new data key, nobody would see any
    /// more under whose rule it was.
    fn is_ruled_there_alone(&self, asking: &Asking<'_>, unit: &Unit) -> bool {
        unit.held.by_rule
            && !asking.by_rule
            && self.files[unit.file].path != asking.path
            && (!unit.is_past() || self.is_of_move(unit, asking.path, asking.is_earlier))
    }

    /// Whom nothing of another place may be given that is asked for; `None` where all may have it.
    fn denied<'r>(&self, asking: &Asking<'r>, unit: &Unit) -> Option<&'r Readers> {
        if !unit.is_past() && self.files[unit.file].path == asking.path {
            return None;
        }
        let there = self.readers_beside(asking, unit);
        // With a new data key, nobody would see any more that the two places have different readers.
        let wider = [asking.wanted, asking.here].into_iter().find(|asked| is_wider(asked, &there));
        match unit.is_past() {
            true => wider.filter(|_| self.is_of_move(unit, asking.path, asking.is_earlier)),
            false => wider.or_else(|| is_wider(&unit.held.readers, asking.wanted).then_some(asking.wanted)),
        }
    }

    /// Who may read another place, or has been let in to what is there or has left it.
    fn readers_beside<'u>(&'u self, asking: &Asking<'_>, unit: &'u Unit) -> Cow<'u, Readers> {
        let readers = unit.readers_beside(asking.by_rule);
        match self.allowed.own.is_empty() {
            true => readers,
            false => Cow::Owned(readers.and(&self.allowed)),
        }
    }

    fn refusal(&self, asking: &Asking<'_>, unit: &Unit, shared: &Shared<'_>) -> Refused {
        let wanted = self.denied(asking, unit).unwrap_or(asking.wanted);
        let what = match (shared.has_key, shared.values.len()) {
            (true, 0) => "its data key".to_owned(),
            (true, 1) => "its data key and a value".to_owned(),
            (true, count) => format!("its data key and {count} values"),
            (false, 1) => "a value".to_owned(),
            (false, count) => format!("{count} values"),
        };
        let other = self.files[unit.file].shown.display();
        let readers = self.readers_beside(asking, unit);
        let (strangers, more) = (wanted.strangers_to(&readers), unit.held.readers.strangers_to(wanted));
        let is_sent = wanted.are_sent_to(&strangers);
        let enough = wanted.enough_beyond(&readers).filter(|who| strangers.is_empty() && !who.is_empty());
        let sends_more = strangers.is_empty() && enough.is_none() && unit.held.readers.are_sent_to(&more);
        let place = match unit.held.by_rule {
            _ if is_sent || sends_more => "which `publish`",
            true => "whose creation rule",
            false if asking.by_rule && !unit.is_past() => {
                "which has no creation rule that names its readers, and so"
            }
            false => "which",
        };
        let named = strangers.iter().filter(|_| !is_sent).map(|name| (*name).to_owned()).collect();
        let (what_is_wrong, list): (_, BTreeSet<&str>) = match enough {
            Some(enough) => ("asks for more keys than those of:", enough),
            None if is_sent => ("does not send to:", strangers),
            None if sends_more => ("also sends to:", more),
            None if !strangers.is_empty() => ("does not name:", strangers),
            None if !more.is_empty() => ("also names:", more),
            None if unit.held.by_rule && !asking.by_rule => {
                ("names its readers, as no rule does for this path", BTreeSet::new())
            }
            None => ("needs keys from a different number of groups", BTreeSet::new()),
        };
        let mut lines: Vec<String> = list.iter().map(|name| format!("  {name}")).collect();
        if !shared.values.is_empty() {
            lines.push("shared values:".to_owned());
            lines.extend(shared.values.iter().take(SHOWN).map(|path| format!("  {path}")));
        }
        if shared.values.len() > SHOWN {
            lines.push(format!("  and {} more", shared.values.len() - SHOWN));
        }
        let message = format!("shares {what} with {other}, {place} {what_is_wrong}");
        Refused { error: Error::new(Kind::Conflict, message).listing(lines), strangers: named }
    }
}
