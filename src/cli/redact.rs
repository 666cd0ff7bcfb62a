//! Values that nobody should read in a log: taken out of what a command prints, or named to a CI system that does so.
//!
//! Pure: bytes in, bytes out. A value is known by its text, its lines, and the forms in which programs often print it.

use std::io::{self, Read, Write};
use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// A shorter value appears in any text, which would be unreadable without it.
pub const SHORTEST: usize = 4;

/// What is left of a value within the base64 of a longer text appears in other texts, too, when it is shorter.
const SHORTEST_WITHIN: usize = 8;

/// The width at which `base64` breaks its lines.
const BASE64_LINE: usize = 76;

/// What takes the place of a value.
const REDACTED: &[u8] = b"[redacted]";

/// All but the unreserved characters of RFC 3986; and all but these and slashes, which some leave as they are.
const STRICT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
pub const WITH_SLASHES: AsciiSet = STRICT.remove(b'/');

/// The forms of values, sorted, the shortest of them left out.
pub struct Forms(Vec<SecretBytes>);

impl Forms {
    pub fn of<'v>(values: impl IntoIterator<Item = &'v SecretBytes>) -> Self {
        let mut forms = Vec::new();
        let values = values.into_iter().map(|value| value.as_slice());
        for value in values.filter(|value| value.len() >= SHORTEST) {
            let mut add = |form: Vec<u8>| forms.push(SecretBytes::new(form));
            lines(value).for_each(|line| add(line.to_vec()));
            add(value.to_vec());
            // As it is, as `echo` hands it on, and as a shell has it that has cut off its end. The padding says nothing.
            let cut = value.trim_ascii_end();
            for text in [[value, &b""[..]], [value, b"\n"], [cut, b""], [cut, b"\n"]] {
                let text = SecretBytes::new(text.concat());
                let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&text));
                encoded.as_bytes().chunks(BASE64_LINE).for_each(|line| add(line.to_vec()));
                add(encoded.as_bytes().to_vec());
            }
            within_base64(value).for_each(|inner| add(inner.as_bytes().to_vec()));
            for set in [&STRICT, &WITH_SLASHES] {
                add(percent_encode(value, set).to_string().into_bytes());
            }
            let json = str::from_utf8(value).ok().and_then(|text| serde_json::to_string(text).ok());
            if let Some(text) =
                json.map(Zeroizing::new).as_deref().and_then(|json| json.get(1..json.len() - 1))
            {
                add(text.as_bytes().to_vec());
            }
        }
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort_by(|one, other| one.as_slice().cmp(other));
        forms.dedup();
        Self(forms)
    }

    /// Lines by which a job tells GitHub what to mask in its log from now on.
    pub fn github_masks(&self) -> SecretBytes {
        let mut masks = Zeroizing::new(Vec::new());
        for form in &self.0 {
            masks.extend_from_slice(b"::add-mask::");
            for &byte in form.iter() {
                match byte {
                    b'%' => masks.extend_from_slice(b"%25"),
                    b'\r' => masks.extend_from_slice(b"%0D"),
                    b'\n' => masks.extend_from_slice(b"%0A"),
                    byte => masks.push(byte),
                }
            }
            masks.push(b'\n');
        }
        masks
    }

    /// What finds them.
    pub fn redactor(self) -> Result<Redactor> {
        // Overlapping matches are wanted, all of them.
        let finder = AhoCorasick::new(self.0.iter().map(|form| form.as_slice()));
        let finder =
            finder.map_err(|error| Error::new(Kind::Other, "too many values to redact").caused_by(error))?;
        Ok(Redactor {
            longest: self.0.iter().map(|form| form.len()).max().unwrap_or(0),
            forms: self.0,
            finder,
        })
    }
}

/// The base64 of a value that appears in a longer text, as passwords do in Basic auth: for each number of bytes in
/// front of it, the characters that are made of its own bits alone. Fewer than [`SHORTEST_WITHIN`] are left out.
fn within_base64(value: &[u8]) -> impl Iterator<Item = Zeroizing<String>> {
    (0..3).filter_map(|before| {
        let text = SecretBytes::new([&[0; 2][..before], value].concat());
        let mut encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&text));
        // The last character may have bits of what follows, the first of what is in front.
        encoded.truncate(text.len() * 8 / 6);
        let inner = Zeroizing::new(encoded[(before * 8).div_ceil(6)..].to_owned());
        (inner.len() >= SHORTEST_WITHIN).then_some(inner)
    })
}

fn lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Takes values out of what a command prints.
pub struct Redactor {
    forms: Vec<SecretBytes>,
    longest: usize,
    finder: AhoCorasick,
}

impl Redactor {
    /// Copies all of `from` but the values. What may be the beginning of one is held back until it is known, and
    /// nothing else is.
    pub fn copy(&self, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
        let mut chunk = Zeroizing::new(vec![0; 1 << 16]);
        let mut state = State::default();
        loop {
            let count = match from.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            state.held.extend_from_slice(&chunk[..count]);
            let is_end = count == 0;
            let ready = if is_end { state.held.len() } else { state.held.len() - self.begun(&state.held) };
            to.write_all(&self.take(&mut state, ready))?;
            to.flush()?;
            if is_end {
                return Ok(());
            }
        }
    }

    /// How many bytes at the end of a text may be the beginning of a value.
    fn begun(&self, text: &[u8]) -> usize {
        let most = text.len().min(self.longest.saturating_sub(1));
        (1..=most).rev().find(|&length| self.is_beginning(&text[text.len() - length..])).unwrap_or(0)
    }

    fn is_beginning(&self, text: &[u8]) -> bool {
        // They are sorted: those that begin like this appear together, behind the text itself.
        let from = self.forms.partition_point(|form| form.as_slice() <= text);
        self.forms.get(from).is_some_and(|form| form.starts_with(text))
    }

    /// Takes the first bytes out of what is held, without the values that they belong to.
    fn take(&self, state: &mut State, ready: usize) -> Zeroizing<Vec<u8>> {
        let found = self.finder.find_overlapping_iter(state.held.as_slice());
        let mut hidden: Vec<Range<usize>> = found.map(|found| found.range()).collect();
        hidden.sort_by_key(|range| range.start);
        let mut output = Zeroizing::new(Vec::with_capacity(ready));
        // Where what is known to be of a value ends.
        let mut end = state.hidden;
        let mut at = 0;
        let mut ranges = hidden.into_iter().peekable();
        while at < ready {
            while let Some(range) = ranges.next_if(|range| range.start <= at) {
                end = end.max(range.end);
            }
            if at < end {
                if !state.told {
                    output.extend_from_slice(REDACTED);
                }
                state.told = true;
                at = end.min(ready);
            } else {
                let next = ranges.peek().map_or(ready, |range| range.start.min(ready));
                output.extend_from_slice(&state.held[at..next]);
                state.told = false;
                at = next;
            }
        }
        // One that has begun may reach further than what is written now.
        while let Some(range) = ranges.next_if(|range| range.start < ready) {
            end = end.max(range.end);
        }
        state.hidden = end.saturating_sub(ready);
        let rest = Zeroizing::new(state.held[ready..].to_vec());
        state.held = rest;
        output
    }
}

#[derive(Default)]
struct State {
    /// What was read and not written yet.
    held: Zeroizing<Vec<u8>>,
    /// How many bytes of it belong to a value that began before.
    hidden: usize,
    /// The last that was written stands for a value.
    told: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[&str]) -> Vec<SecretBytes> {
        values.iter().map(|value| SecretBytes::new(value.as_bytes().to_vec())).collect()
    }

    /// Gives a text in pieces.
    struct Pieces<'t>(&'t [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn redacted(known: &[&str], text: &str) -> String {
        let redactor = Forms::of(&values(known)).redactor().unwrap();
        let at_once = |size: usize| {
            let mut output = Vec::new();
            redactor.copy(Pieces(text.as_bytes(), size), &mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        let whole = at_once(usize::MAX);
        for size in 1..text.len() {
            assert_eq!(at_once(size), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn values_are_taken_out_however_they_arrive() {
        for (known, text, expected) in [
            (&["hunter2"][..], "a hunter2\nhunter2hunter2 hunter", "a [redacted]\n[redacted] hunter"),
            (&["hunter2", "hunter2000"], "hunter2000 hunter2001", "[redacted] [redacted]001"),
            // What two values share is not the end of either.
            (&["abcdef", "defghi"], "xabcdefghix", "x[redacted]x"),
            (&["aaaa"], "aaaaaa aaa", "[redacted] aaa"),
            (
                &["first line\nsecond line\nx"],
                "second line, first line\nsecond line\nx",
                "[redacted], [redacted]",
            ),
            (&["one\r\ntwo two"], "two two one", "[redacted] one"),
            (&["abc", ""], "abc", "abc"),
            // base64, `echo` before it, and in a query.
            (&["hunter2"], "aHVudGVyMg== aHVudGVyMgo=", "[redacted]== [redacted]="),
            (&["a b/c&d"], "?x=a%20b%2Fc%26d&y=a%20b/c%26d", "?x=[redacted]&y=[redacted]"),
            (&["say \"x\""], r#"{"a":"say \"x\""}"#, r#"{"a":"[redacted]"}"#),
        ] {
            assert_eq!(redacted(known, text), expected, "{known:?}");
        }
        let long = "0123456789".repeat(20);
        let encoded = STANDARD_NO_PAD.encode(&long);
        let broken: Vec<&str> =
            encoded.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
        assert_eq!(redacted(&[&long], &broken.join("\n")), ["[redacted]"; 4].join("\n"));
    }

    #[test]
    fn a_value_is_found_within_the_base64_of_a_longer_text() {
        let value = "correct horse";
        for before in ["", "u", "us", "user:", "user: "] {
            for after in ["", "\n", ", and more"] {
                let text = STANDARD_NO_PAD.encode(format!("{before}{value}{after}"));
                let output = redacted(&[value], &text);
                let shown = output.replace("[redacted]", "");
                // But for the characters that it shares with its neighbours.
                let neighbours = ((before.len() + after.len()) * 8).div_ceil(6) + 2;
                assert!(output.contains("[redacted]") && shown.len() <= neighbours, "{text}: {output}");
            }
        }
        // Of a short one too little is left.
        let text = STANDARD_NO_PAD.encode("u:abcde");
        assert_eq!(redacted(&["abcde"], &text), text);
    }

    #[test]
    fn nothing_else_is_held_back() {
        let redactor = Forms::of(&values(&["hunter2", "huge\nvalue"])).redactor().unwrap();
        for (text, held) in [
            ("Password: ", 0),
            ("a hunt", 4),
            ("a hunter2", 0),
            ("", 0),
            ("hu", 2),
            ("huge", 4),
            ("x valu", 4),
        ] {
            assert_eq!(redactor.begun(text.as_bytes()), held, "{text}");
        }
    }

    #[test]
    fn github_is_told_each_form_on_a_line_of_its_own() {
        let masks = Forms::of(&values(&["50%\r\nof it", "abc"])).github_masks();
        let masks = str::from_utf8(&masks).unwrap();
        let lines: Vec<&str> = masks.lines().collect();
        for expected in
            ["::add-mask::50%25%0D%0Aof it", "::add-mask::of it", "::add-mask::50%2525%250D%250Aof%2520it"]
        {
            assert!(lines.contains(&expected), "{expected} is not in {lines:?}");
        }
        assert!(masks.lines().all(|line| line.starts_with("::add-mask::")) && !masks.contains("abc"));
    }
}
