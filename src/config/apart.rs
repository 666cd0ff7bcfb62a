//! Texts that tell two lists of patterns apart: of each pair of patterns, one of either list, the shortest text of which
//! these are the first that match.
//!
//! Owns the search: all patterns run at once over all texts, as far as they are still in different states. So what is
//! not found is not there, or the search says that it was too much. It knows no rules.

use std::collections::{BTreeMap, HashSet, VecDeque};

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use crate::config::re2;

/// The most that one pattern may take here, and all of them, in bytes.
const MOST_OF_ONE: usize = 2 << 20;
const MOST_OF_ALL: usize = 32 << 20;

/// The most steps of patterns that a search takes, which is a fraction of a second.
const MOST_STEPS: usize = 5_000_000;

/// What texts are made of; what is read easily comes first. Of the characters that patterns do not tell apart one is taken.
const CHARACTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-./ABCDEFGHIJKLMNOPQRSTUVWXYZ @#%+=,:;~!$&'()*<>?[]^`{|}\"\\\u{e9}\u{3b1}\u{44f}\u{4e2d}";

/// A path without empty parts, `.` and `..`.
const PATH: &str = r"^\.{0,2}[^./][^/]*(/\.{0,2}[^./][^/]*)*$";

/// Of which texts is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// Keys and comments, which have at least one character.
    Any,
    /// Paths of files.
    Paths,
}

/// An ordered list of patterns, in the syntax of the `regex` crate.
#[derive(Debug, Default)]
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

/// All pairs that there are. Texts that are not `wanted` are passed by.
pub(super) fn pairs(
    lists: [&List; 2],
    texts: Texts,
    wanted: impl Fn(&str) -> bool,
) -> Result<Pairs, TooMuch> {
    let search = Search::new(lists, texts)?;
    search.run(wanted)
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
    characters: Vec<char>,
}

/// What was read so far: the first patterns that have matched, and where those are that still may.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Reached {
    first: [Option<usize>; 2],
    live: Vec<(usize, StateID)>,
    shape: StateID,
}

impl Search {
    fn new(lists: [&List; 2], texts: Texts) -> Result<Self, TooMuch> {
        let mut by_pattern: BTreeMap<(&str, &str), [Option<usize>; 2]> = BTreeMap::new();
        for (side, list) in lists.iter().enumerate() {
            for (rank, pattern) in list.patterns.iter().enumerate() {
                let ranks = by_pattern.entry((pattern, &list.prefix)).or_default();
                // The same pattern further down is never the first one.
                ranks[side].get_or_insert(rank);
            }
        }
        let mut bytes = 0;
        let mut runners = Vec::new();
        for ((pattern, prefix), ranks) in by_pattern {
            let runner = Runner::new(pattern, prefix, ranks)?;
            bytes += runner.dfa.memory_usage();
            if bytes > MOST_OF_ALL {
                return Err(TooMuch);
            }
            runners.push(runner);
        }
        let shape = Runner::new(if texts == Texts::Paths { PATH } else { "(?s)." }, "", [None; 2])?;
        let characters = representatives(runners.iter().chain([&shape]));
        Ok(Self { runners, shape, characters })
    }

    fn run(&self, wanted: impl Fn(&str) -> bool) -> Result<Pairs, TooMuch> {
        let mut pairs = Pairs::new();
        let start = self.start();
        let mut seen = HashSet::from([start.clone()]);
        let mut next = VecDeque::from([(start, String::new())]);
        let mut steps = 0;
        while let Some((reached, text)) = next.pop_front() {
            if let Some(first) = self.end(&reached)
                && !pairs.contains_key(&first)
                && wanted(&text)
            {
                pairs.insert(first, text.clone());
            }
            for &character in &self.characters {
                steps += reached.live.len() + 1;
                if steps > MOST_STEPS {
                    return Err(TooMuch);
                }
                let Some(reached) = self.step(&reached, character) else { continue };
                if seen.insert(reached.clone()) {
                    next.push_back((reached, format!("{text}{character}")));
                }
            }
        }
        Ok(pairs)
    }

    fn start(&self) -> Reached {
        let mut reached = Reached { first: [None; 2], live: Vec::new(), shape: self.shape.start };
        for (at, runner) in self.runners.iter().enumerate() {
            self.arrive(&mut reached, at, runner.start);
        }
        self.forget(&mut reached);
        reached
    }

    /// What is reached by one more character; `None` where no text of this shape goes on so.
    fn step(&self, from: &Reached, character: char) -> Option<Reached> {
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).as_bytes();
        let shape = self.shape.dfa.after(from.shape, bytes);
        if self.shape.dfa.is_dead_state(shape) {
            return None;
        }
        let mut reached = Reached { first: from.first, live: Vec::with_capacity(from.live.len()), shape };
        for &(at, state) in &from.live {
            self.arrive(&mut reached, at, self.runners[at].dfa.after(state, bytes));
        }
        self.forget(&mut reached);
        Some(reached)
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
        if !self.shape.matches_at_end(reached.shape) {
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
            .syntax(syntax::Config::new().utf8(false))
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

/// The characters without those that no pattern tells from an earlier one.
fn representatives<'r>(runners: impl Iterator<Item = &'r Runner>) -> Vec<char> {
    let classes: Vec<_> = runners.map(|runner| runner.dfa.byte_classes()).collect();
    let mut seen = HashSet::new();
    let is_new = |character: &char| {
        let bytes = character.to_string().into_bytes();
        let of_class = |classes: &regex_automata::util::alphabet::ByteClasses| {
            bytes.iter().map(|&byte| classes.get(byte)).collect::<Vec<u8>>()
        };
        seen.insert(classes.iter().map(|classes| of_class(classes)).collect::<Vec<_>>())
    };
    CHARACTERS.chars().filter(is_new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(patterns: &[&str]) -> List {
        List::of(patterns.iter().copied(), String::new()).unwrap()
    }

    fn found(one: &[&str], other: &[&str], texts: Texts) -> Vec<String> {
        let pairs = pairs([&list(one), &list(other)], texts, |_| true).unwrap();
        let shown = |place: Option<usize>| place.map_or("-".to_owned(), |place| place.to_string());
        pairs.iter().map(|([one, other], text)| format!("{}{} {text}", shown(*one), shown(*other))).collect()
    }

    #[test]
    fn each_pair_has_its_shortest_text() {
        assert_eq!(found(&["^secrets/"], &[], Texts::Paths), ["-- a", "0- secrets/a"]);
        assert_eq!(
            found(&["^secrets/"], &["^secrets/a"], Texts::Paths),
            ["-- a", "0- secrets/b", "00 secrets/a"]
        );
        assert_eq!(
            found(&[r"\.yaml$"], &["^k8s/", r"\.yaml$"], Texts::Paths),
            ["-- a", "-0 k8s/a", "00 k8s/.yaml", "01 .yaml"]
        );
        // The same, however it is spelled.
        assert_eq!(
            found(&[r"^a/.*\.ya?ml$"], &[r"\Aa/.*\.(yaml|yml)\z"], Texts::Paths),
            ["-- a", "00 a/.yml"]
        );
        assert_eq!(
            found(&["^(data|stringData)$"], &["^data$"], Texts::Any),
            ["-- a", "0- stringData", "00 data"]
        );
        assert_eq!(found(&[""], &["^[ -~]*$"], Texts::Any), ["0- \u{e9}", "00 a"]);
        assert_eq!(found(&["^x$", "^x$"], &["^[^x]$", "x"], Texts::Any), ["-- aa", "-0 a", "-1 ax", "01 x"]);
    }

    #[test]
    fn what_comes_before_is_seen_and_not_shown() {
        let outer = List { prefix: "secrets/".to_owned(), ..list(&["^secrets/a"]) };
        let pairs = pairs([&outer, &list(&["yaml$"])], Texts::Paths, |text| text != "a").unwrap();
        assert_eq!(pairs[&[Some(0), None]], "aa");
        assert_eq!(pairs[&[None, Some(0)]], "yaml");
    }

    #[test]
    fn paths_are_those_of_files() {
        let all = |one: &[&str]| found(one, &[], Texts::Paths);
        assert_eq!(all(&["^/"]), ["-- a"]);
        assert_eq!(all(&["/$"]), ["-- a"]);
        assert_eq!(all(&[r"^\.\./"]), ["-- a"]);
        assert_eq!(all(&[r"^\.env$"]), ["-- a", "0- .env"]);
        assert_eq!(all(&["x//y"]), ["-- a"]);
    }

    #[test]
    fn many_rules_are_compared_and_too_large_ones_are_told() {
        let many: Vec<String> =
            (0..200).map(|team| format!(r"^apps/team{team}/.*\.(json|ya?ml|env)$")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(pairs([&list(&many), &list(&many[1..])], Texts::Paths, |_| true).unwrap().len(), 201);
        let large = pairs([&list(&[r"\pL{100}"]), &list(&[])], Texts::Paths, |_| true);
        assert_eq!(large, Err(TooMuch));
        let far = pairs([&list(&["a.{20}b", "c.{20}d"]), &list(&["e.{20}f"])], Texts::Paths, |_| true);
        assert_eq!(far, Err(TooMuch));
    }
}
