//! Texts brought together line by line, by Git itself, which does not get to see them.
//!
//! Git merges files. So that no plaintext is ever in one, it is given the numbers of lines instead of lines: to a merge by
//! lines it only matters which of them are equal.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::Hash;
use std::time::Instant;

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use crate::diff::PATIENCE;
use crate::error::{Error, Kind, Result};
use crate::fs::PrivateDir;
use crate::host::Host;
use crate::repo::git::Git;
use crate::secret::SecretBytes;

/// The lines of a text, each with its end.
pub type Lines<'t> = Vec<&'t [u8]>;

/// Which of two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Ours,
    Theirs,
}

/// A part of a merged text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    Merged(Lines<'t>),
    Conflict { base: Lines<'t>, ours: Lines<'t>, theirs: Lines<'t> },
}

/// What came of two texts and the one that both come from.
#[derive(Debug)]
pub struct LineMerge<'t>(Vec<Part<'t>>);

/// Merges texts as `git merge-file` does.
pub fn merge<'t>(host: &dyn Host, base: &'t [u8], ours: &'t [u8], theirs: &'t [u8]) -> Result<LineMerge<'t>> {
    let mut numbers = Numbers::default();
    let folder = PrivateDir::new(host)?;
    let mut args: Vec<OsString> = ["merge-file", "-p", "-q", "--diff3"].map(OsString::from).into();
    for (name, text) in [("ours", ours), ("base", base), ("theirs", theirs)] {
        args.push(folder.create(name, numbers.of(text).as_bytes())?.into());
    }
    let answer = Git::without_repository(host).ask(args)?;
    folder.close()?;
    // The code is the number of conflicts, up to 127.
    if !matches!(answer.code, Some(0..=127)) {
        return Err(not_merged());
    }
    let parts = numbers.read(&answer.stdout).ok_or_else(not_merged)?;
    Ok(LineMerge(parts))
}

fn not_merged() -> Error {
    Error::new(Kind::Other, "`git merge-file` gave no merge")
}

impl<'t> LineMerge<'t> {
    pub fn is_clean(&self) -> bool {
        !self.0.iter().any(|part| matches!(part, Part::Conflict { .. }))
    }

    /// The text with one side where the two are at odds.
    pub fn with(&self, side: Side) -> SecretBytes {
        let lines = self.0.iter().flat_map(|part| match (part, side) {
            (Part::Merged(lines), _)
            | (Part::Conflict { ours: lines, .. }, Side::Ours)
            | (Part::Conflict { theirs: lines, .. }, Side::Theirs) => lines,
        });
        joined(lines.copied())
    }

    /// The same with both sides where they changed different lines, though side by side, which to Git is a conflict.
    pub fn refined(&self) -> Self {
        let refine = |part: &Part<'t>| match part {
            Part::Merged(lines) => vec![Part::Merged(lines.clone())],
            Part::Conflict { base, ours, theirs } => refined(base, ours, theirs),
        };
        Self(self.0.iter().flat_map(refine).collect())
    }
}

fn joined<'t>(lines: impl Iterator<Item = &'t [u8]>) -> SecretBytes {
    let lines: Lines<'t> = lines.collect();
    let mut text = Vec::with_capacity(lines.iter().map(|line| line.len()).sum::<usize>() + 1);
    for (number, line) in lines.iter().enumerate() {
        text.extend_from_slice(line);
        // The last line of one side may have got another behind it.
        if !line.ends_with(b"\n") && number + 1 < lines.len() {
            text.push(b'\n');
        }
    }
    SecretBytes::new(text)
}

pub(super) fn differences<T: Hash + Ord>(old: &[T], new: &[T]) -> Vec<DiffOp> {
    capture_diff_slices_deadline(Algorithm::Myers, old, new, Some(Instant::now() + PATIENCE))
}

/// A change of lines: which of the base go, and what comes in their place.
#[derive(PartialEq, Eq)]
struct Edit<'t> {
    start: usize,
    end: usize,
    new: Lines<'t>,
}

fn edits<'t>(base: &Lines<'t>, side: &Lines<'t>) -> Vec<Edit<'t>> {
    let operations = differences(base, side);
    let changes = operations.iter().filter(|operation| !matches!(operation, DiffOp::Equal { .. }));
    let mut edits = Vec::new();
    for change in changes {
        let (old, new) = (change.old_range(), change.new_range());
        if old.len() == new.len() {
            // Line for line: that is how values change.
            let pairs =
                old.zip(new).map(|(old, new)| Edit { start: old, end: old + 1, new: vec![side[new]] });
            edits.extend(pairs);
        } else {
            edits.push(Edit { start: old.start, end: old.end, new: side[new].to_vec() });
        }
    }
    edits
}

/// A conflict with no more in it than the lines that both sides changed. What was added at one place comes in the order
/// ours, theirs.
fn refined<'t>(base: &Lines<'t>, ours: &Lines<'t>, theirs: &Lines<'t>) -> Vec<Part<'t>> {
    let ours = edits(base, ours);
    let is_of_both = |edit: &Edit<'_>| ours.contains(edit);
    let theirs: Vec<_> = edits(base, theirs).into_iter().filter(|edit| !is_of_both(edit)).collect();
    let mut all: Vec<(bool, &Edit<'t>)> = ours.iter().map(|edit| (false, edit)).collect();
    all.extend(theirs.iter().map(|edit| (true, edit)));
    all.sort_by_key(|(is_theirs, edit)| (edit.start, edit.end, *is_theirs));

    let (mut parts, mut at) = (Vec::new(), 0);
    let mut left = &all[..];
    while let [(_, first), ..] = left {
        let (start, mut end, mut count) = (first.start, first.end, 1);
        while let Some((_, next)) = left.get(count).filter(|(_, next)| next.start < end) {
            end = end.max(next.end);
            count += 1;
        }
        let (group, rest) = left.split_at(count);
        let of = |side: bool| {
            let edits = group.iter().filter(|(is_theirs, _)| *is_theirs == side).map(|(_, edit)| *edit);
            changed(base, start, end, edits)
        };
        parts.push(Part::Merged(base[at..start].to_vec()));
        parts.push(match group {
            [(_, only)] => Part::Merged(only.new.clone()),
            _ => Part::Conflict { base: base[start..end].to_vec(), ours: of(false), theirs: of(true) },
        });
        (at, left) = (end, rest);
    }
    parts.push(Part::Merged(base[at..].to_vec()));
    parts
}

/// A stretch of the base with some edits.
fn changed<'e, 't: 'e>(
    base: &Lines<'t>,
    start: usize,
    end: usize,
    edits: impl Iterator<Item = &'e Edit<'t>>,
) -> Lines<'t> {
    let (mut lines, mut at) = (Lines::new(), start);
    for edit in edits {
        lines.extend(&base[at..edit.start]);
        lines.extend(&edit.new);
        at = edit.end;
    }
    lines.extend(&base[at..end]);
    lines
}

/// Lines as numbers: equal ones have the same.
#[derive(Default)]
struct Numbers<'t> {
    lines: Lines<'t>,
    by_line: HashMap<&'t [u8], usize>,
}

/// For lines without a letter or digit: Git joins conflicts that only such lines part.
const MARKS: &[u8; 10] = b"!#$%&()*+,";

impl<'t> Numbers<'t> {
    fn of(&mut self, text: &'t [u8]) -> String {
        let mut numbers = String::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let next = self.lines.len();
            let number = *self.by_line.entry(line).or_insert(next);
            if number == next {
                self.lines.push(line);
            }
            let digits = number.to_string();
            match line.iter().any(u8::is_ascii_alphanumeric) {
                true => numbers.push_str(&digits),
                false => {
                    numbers.extend(digits.bytes().map(|digit| char::from(MARKS[usize::from(digit - b'0')])));
                }
            }
            numbers.push('\n');
        }
        numbers
    }

    fn line(&self, number: &str) -> Option<&'t [u8]> {
        let digit = |byte: u8| match MARKS.iter().position(|mark| *mark == byte) {
            Some(digit) => char::from_digit(u32::try_from(digit).ok()?, 10),
            None => Some(char::from(byte)),
        };
        let digits: String = number.bytes().map(digit).collect::<Option<_>>()?;
        self.lines.get(digits.parse::<usize>().ok()?).copied()
    }

    /// What Git made of the numbers.
    fn read(&self, output: &[u8]) -> Option<Vec<Part<'t>>> {
        let mut parts = vec![Part::Merged(Lines::new())];
        // 0 outside conflicts, else the part of one.
        let mut within = 0;
        for line in std::str::from_utf8(output).ok()?.lines() {
            let mark = line.as_bytes().first()?;
            match (mark, within) {
                (b'<', 0) => {
                    within = 1;
                    let (base, ours, theirs) = Default::default();
                    parts.push(Part::Conflict { base, ours, theirs });
                }
                (b'|', 1) => within = 2,
                (b'=', 2) => within = 3,
                (b'>', 3) => {
                    within = 0;
                    parts.push(Part::Merged(Lines::new()));
                }
                (b'<' | b'|' | b'=' | b'>', _) => return None,
                _ => {
                    let line = self.line(line)?;
                    match parts.last_mut()? {
                        Part::Conflict { ours: lines, .. } if within == 1 => lines.push(line),
                        Part::Conflict { base: lines, .. } if within == 2 => lines.push(line),
                        Part::Conflict { theirs: lines, .. } | Part::Merged(lines) => lines.push(line),
                    }
                }
            }
        }
        (within == 0).then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Lines<'_> {
        text.as_bytes().split_inclusive(|byte| *byte == b'\n').collect()
    }

    fn side_by_side(base: &str, ours: &str, theirs: &str) -> Option<String> {
        let merged = LineMerge(refined(&lines(base), &lines(ours), &lines(theirs)));
        merged.is_clean().then(|| String::from_utf8(merged.with(Side::Ours).to_vec()).unwrap())
    }

    #[test]
    fn changes_side_by_side_come_together() {
        let base = "a\nb\nc\n";
        assert_eq!(side_by_side(base, "A\nb\nc\n", "a\nB\nc\n").unwrap(), "A\nB\nc\n");
        assert_eq!(side_by_side(base, "a\nb\nc\no\n", "a\nb\nc\nt\n").unwrap(), "a\nb\nc\no\nt\n");
        assert_eq!(side_by_side(base, "a\nb\nc\no", "a\nb\nc\nt\n").unwrap(), "a\nb\nc\no\nt\n");
        assert_eq!(side_by_side(base, "A\no\nb\nc\n", "a\nt\nb\nc\n").unwrap(), "A\no\nt\nb\nc\n");
        assert_eq!(side_by_side(base, "b\nc\n", "a\nB\nc\n").unwrap(), "B\nc\n");
        assert_eq!(side_by_side(base, "a\nX\nc\n", "a\nY\nc\n"), None);
        assert_eq!(side_by_side(base, "a\nc\n", "a\nY\nc\n"), None);
        assert_eq!(side_by_side("", "x\n", "x\n").unwrap(), "x\n");
    }

    #[test]
    fn a_conflict_is_no_larger_than_it_must_be() {
        let (base, ours, theirs) = ("a\nb\nc\n", "A\nB\nc\n", "a\nX\nC\n");
        let merged =
            LineMerge(vec![Part::Conflict { base: lines(base), ours: lines(ours), theirs: lines(theirs) }]);
        let text = |side| String::from_utf8(merged.refined().with(side).to_vec()).unwrap();
        assert_eq!((text(Side::Ours).as_str(), text(Side::Theirs).as_str()), ("A\nB\nC\n", "A\nX\nC\n"));
        let merged =
            LineMerge(refined(&lines("a\nb\nc\nd\n"), &lines("A\nb\nX\nd\n"), &lines("a\nb\nY\nD\n")));
        let text = |side| String::from_utf8(merged.with(side).to_vec()).unwrap();
        assert_eq!(
            (text(Side::Ours).as_str(), text(Side::Theirs).as_str()),
            ("A\nb\nX\nD\n", "A\nb\nY\nD\n")
        );
    }

    #[test]
    fn numbers_stand_for_lines() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.of(b"a\n\nb\na\nb"), "0\n#\n2\n0\n3\n");
        let parts =
            numbers.read(b"0\n<<<<<<< ours\n#\n||||||| base\n=======\n2\n>>>>>>> theirs\n3\n").unwrap();
        let conflict = Part::Conflict { base: vec![], ours: vec![b"\n"], theirs: vec![b"b\n"] };
        assert_eq!(parts, [Part::Merged(vec![b"a\n"]), conflict, Part::Merged(vec![b"b"])]);
    }
}
