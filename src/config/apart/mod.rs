//! Texts that tell two lists of patterns apart: of each pair of patterns, one of either list, the shortest text of which
//! these are the first that match.
//!
//! Owns the search: all patterns run at once over all texts, as far as they are still in different states. So what is
//! not found is not there, or the search says that it was too much. It knows no rules.

mod left_out;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use crate::config::re2;

use left_out::{At, LeftOut};

/// The most that one pattern may take here, and all of them, in bytes.
const MOST_OF_ONE: usize = 2 << 20;
const MOST_OF_ALL: usize = 32 << 20;

/// The most steps of patterns that a search takes, which is a fraction of a second.
const MOST_STEPS: usize = 5_000_000;

/// The most that all searches of a comparison take together: as many of the largest as this, and thousands of those that
/// people write.
const MOST_LARGE: usize = 8;

/// What is read easily comes first in a text; of the bytes that patterns do not tell apart one is taken.
const READABLE: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-./ABCDEFGHIJKLMNOPQRSTUVWXYZ @#%+=,:;~!$&'()*<>?[]^`{|}\"\\\u{e9}\u{3b1}\u{44f}\u{4e2d}";

/// At least one character, in UTF-8.
const TEXT: &str = "(?s)^.+$";

/// A path without empty parts, `.` and `..`. No path has a NUL in it.
const PATH: &str =
    r"(?s)^(\.{0,2}[^./\x00][^/\x00]*|\.{3}[^/\x00]*)(/(\.{0,2}[^./\x00][^/\x00]*|\.{3}[^/\x00]*))*$";

/// Of which texts is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Texts {
    /// Keys, which have at least one character; not those of this ending.
    Keys { without: &'static str },
    /// Comments, which have at least one character, too.
    Comments,
    /// Paths of files; not those below these folders.
    Paths { outside: BTreeSet<PathBuf> },
}

impl Texts {
    fn shape(&self) -> &'static str {
        match self {
            Self::Keys { .. } | Self::Comments => TEXT,
            Self::Paths { .. } => PATH,
        }
    }

    fn left_out(&self) -> LeftOut {
        match self {
            Self::Keys { without } => LeftOut::ending(without),
            Self::Comments => LeftOut::nothing(),
            Self::Paths { outside } => LeftOut::below(outside),
        }
    }
}

/// An ordered list of patterns, in the syntax of the `regex` crate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct List {
    pub patterns: Vec<String>,
    /// What comes before each text: it is not shown, and the patterns see it.
    pub prefix: String,
}

impl List {
    /// Of patterns in Go's syntax; they have been compiled before.
    pub fn of<'p>(patterns: impl IntoIterator<Item = &'p str>, prefix: String) -> Option<Self> {
        let patterns = patterns.into_iter().map(re2::translated).collect::<Result<_, _>>().ok()?;
        Some(Self { patterns, prefix })
    }
}

/// The patterns or the texts are too many to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

/// The places in the two lists of the first patterns that match, and a text of which this is so.
pub(super) type Pairs = BTreeMap<[Option<usize>; 2], String>;

/// The searches of one comparison: they share what they may take, and none is made twice. Whoever writes a thousand
/// configs takes no more time than who writes one.
#[derive(Debug)]
pub struct Searches {
    left: Cell<Left>,
    known: RefCell<HashMap<([List; 2], Texts), Found>>,
}

type Found = Result<Rc<Pairs>, TooMuch>;

/// What the searches may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    bytes: usize,
    steps: usize,
}

impl Default for Searches {
    fn default() -> Self {
        Self::of_large(MOST_LARGE)
    }
}

impl Searches {
    /// As many as this of the largest ones.
    pub(super) fn of_large(count: usize) -> Self {
        let left = Left { bytes: count * MOST_OF_ALL, steps: count * MOST_STEPS };
        Self { left: Cell::new(left), known: RefCell::default() }
    }

    /// All pairs that there are.
    pub(super) fn pairs(&self, lists: [&List; 2], texts: Texts) -> Found {
        let asked = (lists.map(List::clone), texts);
        if let Some(known) = self.known.borrow().get(&asked) {
            return known.clone();
        }
        let mut left = self.left.get();
        let search = Search::new(lists, &asked.1, &mut left.bytes);
        let found = search.and_then(|search| search.run(&mut left.steps)).map(Rc::new);
        self.left.set(left);
        self.known.borrow_mut().insert(asked, found.clone());
        found
    }
}

/// A pattern, and where it is in each list.
struct Runner {
    dfa: dense::DFA<Vec<u32>>,
    ranks: [Option<usize>; 2],
    start: StateID,
}

struct Search {
    runners: Vec<Runner>,
    shape: Runner,
    left_out: LeftOut,
    bytes: Classes,
}

/// What was read so far: the first patterns that have matched, and where those are that still may. All that a text is asked
/// at its end has to be in here: of all texts that come to the same, only the first goes on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Reached {
    first: [Option<usize>; 2],
    live: Vec<(usize, StateID)>,
    shape: StateID,
    left_out: At,
}

/// Bytes by whether any pattern, or the shape of texts, tells them apart.
type Classes = Vec<Vec<u8>>;

impl Search {
    /// Takes of the bytes that are left what its patterns take.
    fn new(lists: [&List; 2], texts: &Texts, left: &mut usize) -> Result<Self, TooMuch> {
        let mut by_pattern: BTreeMap<(&str, &str), [Option<usize>; 2]> = BTreeMap::new();
        for (side, list) in lists.iter().enumerate() {
            for (rank, pattern) in list.patterns.iter().enumerate() {
                let ranks = by_pattern.entry((pattern, &list.prefix)).or_default();
                // The same pattern further down is never the first one.
                ranks[side].get_or_insert(rank);
            }
        }
        let mut here = MOST_OF_ALL;
        let mut runners = Vec::new();
        for ((pattern, prefix), ranks) in by_pattern {
            let runner = Runner::new(pattern, prefix, ranks);
            let taken = runner.as_ref().map_or(MOST_OF_ONE, |runner| runner.dfa.memory_usage());
            for left in [&mut here, &mut *left] {
                *left = left.checked_sub(taken).ok_or(TooMuch)?;
            }
            runners.push(runner?);
        }
        let shape = Runner::new(texts.shape(), "", [None; 2])?;
        let bytes = classes(runners.iter().chain([&shape]));
        Ok(Self { runners, shape, left_out: texts.left_out(), bytes })
    }

    /// Takes of the steps that are left those that it makes.
    fn run(&self, left: &mut usize) -> Result<Pairs, TooMuch> {
        let mut here = MOST_STEPS.min(*left);
        let all = here;
        let found = self.within(&mut here);
        *left -= all - here;
        found
    }

    fn within(&self, left: &mut usize) -> Result<Pairs, TooMuch> {
        let mut pairs = Pairs::new();
        let start = self.start();
        let mut seen = HashSet::from([start.clone()]);
        let mut next = VecDeque::from([(start, Vec::new())]);
        while let Some((reached, text)) = next.pop_front() {
            if let Some(first) = self.end(&reached) {
                pairs.entry(first).or_insert_with(|| String::from_utf8_lossy(&text).into_owned());
            }
            for byte in self.bytes_after(&reached) {
                let Some(shape) = self.shape_after(&reached, byte) else { continue };
                *left = left.checked_sub(reached.live.len() + 1).ok_or(TooMuch)?;
                let reached = self.step(&reached, byte, shape);
                if !self.left_out.is_all(reached.left_out) && seen.insert(reached.clone()) {
                    next.push_back((reached, [&text[..], &[byte]].concat()));
                }
            }
        }
        Ok(pairs)
    }

    fn start(&self) -> Reached {
        let left_out = self.left_out.start();
        let mut reached = Reached { first: [None; 2], live: Vec::new(), shape: self.shape.start, left_out };
        for (at, runner) in self.runners.iter().enumerate() {
            self.arrive(&mut reached, at, runner.start);
        }
        self.forget(&mut reached);
        reached
    }

    /// One byte of each class, and those by which it depends what is left out.
    fn bytes_after(&self, reached: &Reached) -> impl Iterator<Item = u8> {
        let at = reached.left_out;
        let of_class =
            move |class: &Vec<u8>| class.iter().copied().find(|&byte| !self.left_out.marks(at, byte));
        self.bytes.iter().filter_map(of_class).chain(self.left_out.marked(at))
    }

    /// Where the shape of texts is after one more byte; `None` where no text goes on so.
    fn shape_after(&self, from: &Reached, byte: u8) -> Option<StateID> {
        let shape = self.shape.dfa.after(from.shape, &[byte]);
        (!self.shape.dfa.is_dead_state(shape)).then_some(shape)
    }

    /// What is reached by one more byte.
    fn step(&self, from: &Reached, byte: u8, shape: StateID) -> Reached {
        let left_out = self.left_out.after(from.left_out, byte);
        let mut reached =
            Reached { first: from.first, live: Vec::with_capacity(from.live.len()), shape, left_out };
        for &(at, state) in &from.live {
            self.arrive(&mut reached, at, self.runners[at].dfa.after(state, &[byte]));
        }
        self.forget(&mut reached);
        reached
    }

    fn arrive(&self, reached: &mut Reached, at: usize, state: StateID) {
        let runner = &self.runners[at];
        if runner.dfa.is_match_state(state) {
            runner.count(&mut reached.first);
        } else if !runner.dfa.is_dead_state(state) {
            reached.live.push((at, state));
        }
    }

    /// Leaves out patterns that cannot be the first any more.
    fn forget(&self, reached: &mut Reached) {
        let first = reached.first;
        let is_late = |side: usize, rank: usize| first[side].is_some_and(|first| first < rank);
        let counts = |at: usize| {
            let ranks = self.runners[at].ranks.iter().enumerate();
            ranks.filter_map(|(side, rank)| Some((side, (*rank)?))).any(|(side, rank)| !is_late(side, rank))
        };
        reached.live.retain(|(at, _)| counts(*at));
    }

    /// The pair of a text that ends here, if one may.
    fn end(&self, reached: &Reached) -> Option<[Option<usize>; 2]> {
        if !self.shape.matches_at_end(reached.shape) || self.left_out.is_end(reached.left_out) {
            return None;
        }
        let mut first = reached.first;
        for &(at, state) in &reached.live {
            if self.runners[at].matches_at_end(state) {
                self.runners[at].count(&mut first);
            }
        }
        Some(first)
    }
}

impl Runner {
    fn new(pattern: &str, prefix: &str, ranks: [Option<usize>; 2]) -> Result<Self, TooMuch> {
        let limit = Some(MOST_OF_ONE);
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .match_kind(MatchKind::All)
            .accelerate(false)
            .dfa_size_limit(limit)
            .determinize_size_limit(limit);
        let dfa = dense::Builder::new()
            .configure(config)
            // `.*` is how people write "whatever comes", and nobody means names without line breaks by it.
            .syntax(syntax::Config::new().utf8(false).dot_matches_new_line(true))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(limit))
            .build(pattern)
            .map_err(|_| TooMuch)?;
        let start = dfa.start_state(&start::Config::new().anchored(Anchored::No)).map_err(|_| TooMuch)?;
        let start = dfa.after(start, prefix.as_bytes());
        Ok(Self { dfa, ranks, start })
    }

    fn matches_at_end(&self, state: StateID) -> bool {
        self.dfa.is_match_state(state) || self.dfa.is_match_state(self.dfa.next_eoi_state(state))
    }

    /// Counts this pattern among those that have matched.
    fn count(&self, first: &mut [Option<usize>; 2]) {
        for (first, rank) in first.iter_mut().zip(self.ranks) {
            *first = match (*first, rank) {
                (Some(first), Some(rank)) => Some(first.min(rank)),
                (first, rank) => first.or(rank),
            };
        }
    }
}

trait After {
    /// The state after some bytes; one that matches is the last, for what has matched goes on doing so.
    fn after(&self, state: StateID, bytes: &[u8]) -> StateID;
}

impl After for dense::DFA<Vec<u32>> {
    fn after(&self, state: StateID, bytes: &[u8]) -> StateID {
        bytes.iter().fold(state, |state, &byte| {
            if self.is_match_state(state) { state } else { self.next_state(state, byte) }
        })
    }
}

/// The bytes by what the patterns make of them; what is read easily comes first.
fn classes<'r>(runners: impl Iterator<Item = &'r Runner>) -> Classes {
    let of_runners: Vec<_> = runners.map(|runner| runner.dfa.byte_classes()).collect();
    let mut places = HashMap::new();
    let mut classes = Classes::new();
    let mut taken = HashSet::new();
    for byte in READABLE.bytes().chain(0..=u8::MAX).filter(|byte| taken.insert(*byte)) {
        let class: Vec<_> = of_runners.iter().map(|of| of.get(byte)).collect();
        let place = *places.entry(class).or_insert(classes.len());
        if place == classes.len() {
            classes.push(Vec::new());
        }
        classes[place].push(byte);
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(patterns: &[&str]) -> List {
        List::of(patterns.iter().copied(), String::new()).unwrap()
    }

    fn keys() -> Texts {
        Texts::Keys { without: "_plain" }
    }

    fn paths() -> Texts {
        Texts::Paths { outside: BTreeSet::new() }
    }

    fn pairs(lists: [&List; 2], texts: Texts) -> Found {
        Searches::default().pairs(lists, texts)
    }

    fn found(one: &[&str], other: &[&str], texts: Texts) -> Vec<String> {
        let pairs = pairs([&list(one), &list(other)], texts).unwrap();
        let shown = |place: Option<usize>| place.map_or("-".to_owned(), |place| place.to_string());
        pairs.iter().map(|([one, other], text)| format!("{}{} {text}", shown(*one), shown(*other))).collect()
    }

    #[test]
    fn each_pair_has_its_shortest_text() {
        assert_eq!(found(&["^secrets/"], &[], paths()), ["-- a", "0- secrets/a"]);
        assert_eq!(found(&["^secrets/"], &["^secrets/a"], paths()), ["-- a", "0- secrets/b", "00 secrets/a"]);
        assert_eq!(
            found(&[r"\.yaml$"], &["^k8s/", r"\.yaml$"], paths()),
            ["-- a", "-0 k8s/a", "00 k8s/.yaml", "01 .yaml"]
        );
        // The same, however it is spelled.
        assert_eq!(found(&[r"^a/.*\.ya?ml$"], &[r"\Aa/.*\.(yaml|yml)\z"], paths()), ["-- a", "00 a/.yml"]);
        assert_eq!(
            found(&["^(data|stringData)$"], &["^data$"], keys()),
            ["-- a", "0- stringData", "00 data"]
        );
        assert_eq!(found(&[""], &["^[ -~]*$"], keys()), ["0- \0", "00 a"]);
        assert_eq!(found(&["^x$", "^x$"], &["^[^x]$", "x"], keys()), ["-- aa", "-0 a", "-1 ax", "01 x"]);
    }

    #[test]
    fn what_comes_before_is_seen_and_not_shown() {
        let outer = List { prefix: "secrets/".to_owned(), ..list(&["^secrets/a"]) };
        let outside = BTreeSet::from([PathBuf::from("a")]);
        let pairs = pairs([&outer, &list(&["yaml$"])], Texts::Paths { outside }).unwrap();
        assert_eq!(pairs[&[Some(0), None]], "aa");
        assert_eq!(pairs[&[None, Some(0)]], "yaml");
    }

    /// A text that is left out is no reason to leave out another one that comes to the same.
    #[test]
    fn what_is_left_out_hides_nothing_else() {
        let below = |folders: &[&str]| Texts::Paths { outside: folders.iter().map(PathBuf::from).collect() };
        let all = ["a", "secrets", "k8s/a", "x/secrets"];
        assert_eq!(found(&["(^|/)secrets/"], &[], below(&["secrets"])), ["-- a", "0- a/secrets/a"]);
        assert_eq!(found(&["(^|/)secrets/"], &[], below(&all)), ["-- b", "0- b/secrets/a"]);
        assert_eq!(found(&["^secrets/"], &[], below(&["secrets/a", "secrets/b"])), ["-- a", "0- secrets/0"]);
        assert_eq!(found(&["^secrets/"], &[], below(&["secrets"])), ["-- a"]);
        assert_eq!(found(&["^secrets$"], &[], below(&["secrets"])), ["-- a"]);
        assert_eq!(found(&["^secrets"], &[], below(&["secrets"])), ["-- a", "0- secretsa"]);
        assert_eq!(found(&["^[ab]/x"], &[], below(&["a"])), ["-- b", "0- b/x"]);
        let keys = |one: &[&str], other: &[&str]| found(one, other, Texts::Keys { without: "_plain" });
        assert_eq!(keys(&["^p(.{0,5}|.{9})$"], &[]), ["-- a", "0- p"]);
        let (long, short) =
            ("^p.*$", "^p(.{0,5}|.{7,}|[^_].{5}|.[^p].{4}|.{2}[^l].{3}|.{3}[^a].{2}|.{4}[^i].|.{5}[^n])$");
        assert_eq!(keys(&[long], &[short]), ["-- a", "00 p"]);
        let short = "^p(.{0,5}|[^_].{5}|.[^p].{4}|.{2}[^l].{3}|.{3}[^a].{2}|.{4}[^i].|.{5}[^n])$";
        assert_eq!(keys(&[long], &[short]), ["-- a", "0- paaaaaaa", "00 p"]);
    }

    /// Hundreds of folders with configs of their own take no more than their names.
    #[test]
    fn many_folders_are_left_out() {
        let outside =
            (0..500).map(|at| PathBuf::from(format!("apps/team-{:02}/{at:03}/deploy", at % 40))).collect();
        let rules = list(&["(^|/)secrets/", r"\.enc\.ya?ml$", r"^apps/[^/]+/[^/]+/deploy/"]);
        let searches = Searches::of_large(1);
        let found = searches.pairs([&rules, &List::default()], Texts::Paths { outside }).unwrap();
        assert_eq!(found[&[Some(2), None]], "apps/a/a/deploy/a");
        let taken = MOST_STEPS - searches.left.get().steps;
        assert!(taken < MOST_STEPS / 4, "{taken}");
    }

    #[test]
    fn paths_are_those_of_files() {
        let all = |one: &[&str]| found(one, &[], paths());
        assert_eq!(all(&["^/"]), ["-- a"]);
        assert_eq!(all(&["/$"]), ["-- a"]);
        assert_eq!(all(&[r"^\.\./"]), ["-- a"]);
        assert_eq!(all(&[r"^\.env$"]), ["-- a", "0- .env"]);
        assert_eq!(all(&["x//y"]), ["-- a"]);
        assert_eq!(all(&[r"^\.\.$"]), ["-- a"]);
        assert_eq!(all(&[r"^a/\.\.\."]), ["-- a", "0- a/..."]);
        assert_eq!(all(&[r"\.{4}b/"]), ["-- a", "0- ....b/a"]);
        assert_eq!(all(&[r"(?s)^a\n"]), ["-- a", "0- a\n"]);
        assert_eq!(all(&[r"\x00"]), ["-- a"]);
    }

    #[test]
    fn every_character_is_tried() {
        let others = ['\u{80}', '\u{f6}', '\u{3b2}', '\u{5bc6}', '\u{1f511}', '\u{10ffff}'];
        for character in (0..=0x7f_u8).map(char::from).chain(others) {
            let all_others = format!("^[^\\x{{{:02x}}}]*$", u32::from(character));
            let other = if character == 'a' { "b" } else { "a" };
            let expected = [format!("-- {character}"), format!("0- {other}")];
            assert_eq!(found(&[&all_others], &[], keys()), expected);
        }
        assert_eq!(found(&["_plain$"], &[], keys()), ["-- a"]);
        assert_eq!(found(&["^gr\u{f6}\u{df}e/"], &[], paths()), ["-- a", "0- gr\u{f6}\u{df}e/a"]);
        assert_eq!(
            found(&["^\u{43f}\u{440}"], &["^\u{43f}[^\u{440}]"], keys()),
            ["-- a", "-0 \u{43f}a", "0- \u{43f}\u{440}"]
        );
        let below = Texts::Paths { outside: BTreeSet::from([PathBuf::from("gr\u{f6}\u{df}e")]) };
        assert_eq!(found(&["^gr\u{f6}"], &[], below), ["-- a", "0- gr\u{f6}"]);
    }

    #[test]
    fn a_dot_stands_for_whatever_comes() {
        assert_eq!(found(&["^a/.*$"], &["^a/"], paths()), ["-- a", "00 a/a"]);
        assert_eq!(found(&["^a/.*$"], &["^a/[^\n]*$"], paths()), ["-- a", "0- a/\n", "00 a/a"]);
    }

    #[test]
    fn searches_share_what_they_may_take_and_none_is_made_twice() {
        let searches = Searches::of_large(1);
        let search = |patterns: &[&str]| searches.pairs([&list(patterns), &list(&[])], paths());
        let known = search(&["^a"]).unwrap();
        let left = searches.left.get();
        assert!(Rc::ptr_eq(&known, &search(&["^a"]).unwrap()));
        assert_eq!(searches.left.get(), left);
        // What is too large by itself takes its part.
        assert_eq!(search(&["a.{20}b"]), Err(TooMuch));
        assert_eq!(searches.left.get().bytes, left.bytes - MOST_OF_ONE);
        assert_eq!(search(&["a.{8}b", "c.{8}d"]), Err(TooMuch));
        assert_eq!(search(&["^b"]), Err(TooMuch));
        assert_eq!(search(&["^a"]), Ok(known));
    }

    #[test]
    fn many_rules_are_compared_and_too_large_ones_are_told() {
        let many: Vec<String> =
            (0..200).map(|team| format!(r"^apps/team{team}/.*\.(json|ya?ml|env)$")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(pairs([&list(&many), &list(&many[1..])], paths()).unwrap().len(), 201);
        let large = pairs([&list(&[r"\pL{100}"]), &list(&[])], paths());
        assert_eq!(large, Err(TooMuch));
        let far = pairs([&list(&["a.{20}b", "c.{20}d"]), &list(&["e.{20}f"])], paths());
        assert_eq!(far, Err(TooMuch));
    }
}
