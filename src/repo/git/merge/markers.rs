//! Git's markers of conflicts: written around what differs in two texts, and read again.

use similar::DiffOp;

use super::lines::{Side, differences};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// How markers of conflicts name the sides.
pub const LABELS: [&str; 3] = ["ours", "base", "theirs"];

/// The shortest markers that Git writes.
pub const MARKER_SIZE: usize = 7;

/// The longest that we write, whatever an attribute of the repository asks for (`conflict-marker-size`).
pub const LONGEST_MARKER: usize = 256;

/// Two texts as one, with Git's markers around what differs.
pub fn marked(ours: &str, theirs: &str, marker_size: usize) -> String {
    let end = match ours.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => "\r\n",
        _ => "\n",
    };
    let size = marker_size.clamp(MARKER_SIZE, LONGEST_MARKER);
    let marker = |mark: char, label: &str| {
        let space = if label.is_empty() { "" } else { " " };
        format!("{}{space}{label}{end}", mark.to_string().repeat(size))
    };
    let [ours, theirs] = [ours, theirs].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let mut text = String::new();
    for operation in differences(&ours, &theirs) {
        let (old, new) = (&ours[operation.old_range()], &theirs[operation.new_range()]);
        if matches!(operation, DiffOp::Equal { .. }) {
            text.extend(old.iter().copied());
            continue;
        }
        let mut push = |marker: &str, lines: &[&str]| {
            text.push_str(marker);
            text.extend(lines.iter().copied());
            if !text.ends_with('\n') {
                text.push_str(end);
            }
        };
        push(&marker('<', LABELS[0]), old);
        push(&marker('=', ""), new);
        push(&marker('>', LABELS[2]), &[]);
    }
    text
}

/// A text with markers of conflicts, taken apart.
#[derive(Debug)]
pub struct Marked {
    pub ours: SecretBytes,
    pub theirs: SecretBytes,
    /// The lines, from 1, on which conflicts begin.
    pub lines: Vec<usize>,
}

impl Marked {
    /// `None` for a text without markers; an error when they do not fit together.
    pub fn read(text: &[u8]) -> Result<Option<Self>> {
        let (mut ours, mut theirs) = (SecretBytes::default(), SecretBytes::default());
        let (mut lines, mut within) = (Vec::new(), 0);
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            match (marker(line), within) {
                (Some(b'<'), 0) => {
                    within = 1;
                    lines.push(number + 1);
                }
                (Some(b'|'), 1) => within = 2,
                (Some(b'='), 1 | 2) => within = 3,
                (Some(b'>'), 3) => within = 0,
                (Some(b'<' | b'>'), _) => {
                    return Err(Error::new(Kind::Read, "a single conflict marker is left here")
                        .on_line(number + 1)
                        .advise("Remove all markers of a conflict together."));
                }
                _ => {
                    if matches!(within, 0 | 1) {
                        ours.extend_from_slice(line);
                    }
                    if matches!(within, 0 | 3) {
                        theirs.extend_from_slice(line);
                    }
                }
            }
        }
        match (within, lines.last()) {
            (0, None) => Ok(None),
            (0, _) => Ok(Some(Self { ours, theirs, lines })),
            (_, line) => Err(Error::new(Kind::Read, "a conflict begins here and does not end")
                .on_line(line.copied().unwrap_or(1))
                .advise("Remove all markers of a conflict together.")),
        }
    }

    pub fn take(self, side: Side) -> SecretBytes {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }
}

/// The character of a marker: seven or more of one, then a space or the end of the line.
fn marker(line: &[u8]) -> Option<u8> {
    let mark = *line.first().filter(|byte| b"<|=>".contains(byte))?;
    let size = line.iter().take_while(|byte| **byte == mark).count();
    (size >= MARKER_SIZE && matches!(line.get(size), None | Some(b' ' | b'\r' | b'\n'))).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_taken_apart_again() {
        for (ours, theirs) in
            [("a\nb\nc\n", "a\nB\nc\nd\n"), ("", "x\n"), ("a\r\nb\r\n", "a\r\nc\r\n"), ("a\n", "")]
        {
            let text = marked(ours, theirs, 7);
            let read = Marked::read(text.as_bytes()).unwrap().unwrap();
            assert_eq!((&**read.ours, &**read.theirs), (ours.as_bytes(), theirs.as_bytes()), "{text}");
        }
        assert_eq!(
            marked("a\nb\nc", "a\nB\nc", 9),
            "a\n<<<<<<<<< ours\nb\n=========\nB\n>>>>>>>>> theirs\nc"
        );
        assert!(marked("a\n", "b\n", usize::MAX).len() < 1000);
        assert!(Marked::read(b"a: 1\n# =======\n").unwrap().is_none());
        for broken in ["<<<<<<< a\nb\n", "a\n>>>>>>> b\n", "<<<<<<< a\n<<<<<<< a\n=======\n>>>>>>> b\n"] {
            assert_eq!(Marked::read(broken.as_bytes()).unwrap_err().kind(), Kind::Read, "{broken}");
        }
    }
}
