//! Text of others, as it may be shown: in one line, with nothing in it that commands a terminal or the log of a CI job.
//!
//! Names of files, recipients, keys of documents, words of servers and of Git: whoever writes them may have put an
//! escape sequence, a right-to-left mark or a line break into them. Messages are made of such texts, so a message is
//! shown by this as a whole, wherever it is printed, and its own line breaks are data ([`Error::listing`]), never a
//! character of its text. What was asked for as a value is no message, and is printed as it is.
//!
//! [`Error::listing`]: crate::error::Error::listing

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::os;
use crate::secret::SecretBytes;

/// The text with all that is not to be seen, or would be acted on, written out: `\n`, `\x1b`, `\u{202e}`. What has been
/// through this stays as it is.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + LONGER);
    text.chars().for_each(|c| push(c, &mut shown));
    Cow::Owned(shown)
}

/// How much longer a character becomes at most when it is written out.
const LONGER: usize = 8;

/// Adds a character as it is shown.
fn push(c: char, shown: &mut String) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        c if c.is_ascii() && is_hidden(c) => _ = write!(shown, "\\x{:02x}", u32::from(c)),
        c if is_hidden(c) => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
        c => shown.push(c),
    }
}

/// Plaintext of others for a person who wants to see it, as `git diff` shows it: as [`shown`], with its tabs and ends of lines.
/// What is no text stays as it is: Git says so of it.
pub fn plaintext(bytes: SecretBytes) -> SecretBytes {
    let text = str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0'));
    match text.and_then(with_lines) {
        Some(shown) => SecretBytes::new(shown.into_bytes()),
        None => bytes,
    }
}

/// A line of such plaintext, without its end, that is no command of a job either.
pub fn plaintext_line(text: &str) -> Cow<'_, str> {
    without_commands(with_lines(text).map_or(Cow::Borrowed(text), Cow::Owned))
}

/// As [`shown`], with tabs and ends of lines; `None` where nothing is to be written out.
fn with_lines(text: &str) -> Option<String> {
    let is_kept = |c: char| matches!(c, '\n' | '\t');
    let hidden = text.chars().filter(|&c| is_hidden(c) && !is_kept(c)).count();
    if hidden == 0 {
        return None;
    }
    // With room for all of it: what has to grow leaves a copy behind.
    let mut shown = String::with_capacity(text.len() + hidden * LONGER);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if is_kept(c) => shown.push(c),
            '\r' if rest.peek() == Some(&'\n') => shown.push(c),
            c => push(c, &mut shown),
        }
    }
    Some(shown)
}

/// A whole line, as [`shown`], and so that no CI system takes it for a command of the job: `::error::` at its beginning
/// (GitHub), `##vso[` (Azure), `##[group]` (both), `##teamcity[`.
pub fn line(text: &str) -> Cow<'_, str> {
    without_commands(shown(text))
}

/// The same for a line that has been made fit to be shown.
fn without_commands(text: Cow<'_, str>) -> Cow<'_, str> {
    let rest = text.trim_start();
    let text = match rest.strip_prefix("::") {
        Some(after) => Cow::Owned(format!("{}\\x3a:{after}", &text[..text.len() - rest.len()])),
        None => text,
    };
    match has_marker(&text) {
        true => Cow::Owned(text.replace("##", "#\\x23")),
        false => text,
    }
}

/// A text of ours without the age identities that somebody has typed in the place of something else, such as a file.
pub fn without_identities(text: &str) -> Cow<'_, str> {
    // A sentence may say how one begins.
    const BEGIN: &str = "AGE-SECRET-KEY-";
    const SHORTEST: usize = 16;
    let (mut found, mut rest) = (String::new(), text);
    while let Some(at) = rest.to_ascii_uppercase().find(BEGIN).map(|at| at + BEGIN.len()) {
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let end = rest[at..].find(|c| !is_of_it(c)).map_or(rest.len(), |length| at + length);
        found.push_str(&rest[..if end - at < SHORTEST { end } else { at }]);
        if end - at >= SHORTEST {
            found.push_str("...");
        }
        rest = &rest[end..];
    }
    if rest.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(found + rest) }
}

/// A path as a word of a shell, for a command that somebody copies: as it is where that will do, else in quotes. One that
/// begins as an option does is a path all the same.
pub fn typed(path: &Path) -> String {
    let is_like_option = path.as_os_str().as_encoded_bytes().starts_with(b"-");
    quoted(if is_like_option { "./" } else { "" }, path.as_os_str())
}

/// A word of a command, for somebody to copy.
pub fn word(word: &OsStr) -> String {
    quoted("", word)
}

fn quoted(here: &str, word: &OsStr) -> String {
    let bytes = word.as_encoded_bytes();
    let text = word.to_str().filter(|text| !text.chars().any(is_hidden)).map(|text| format!("{here}{text}"));
    let quoted = text.as_deref().and_then(os::quoted);
    quoted.map_or_else(|| format!("$'{here}{}'", escaped(bytes)), Cow::into_owned)
}

/// What is not to be seen by its bytes, as shells read them between `$'` and `'`.
fn escaped(bytes: &[u8]) -> String {
    let mut escaped = String::new();
    let bytewise = |bytes: &[u8], escaped: &mut String| {
        bytes.iter().for_each(|byte| _ = write!(escaped, "\\x{byte:02x}"));
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => escaped.extend(['\\', c]),
                c if is_hidden(c) => bytewise(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut escaped),
                c => escaped.push(c),
            }
        }
        bytewise(chunk.invalid(), &mut escaped);
    }
    escaped
}

/// JSON with nothing but what is seen in it, which means the same. (Outside of its texts JSON has only white space.)
pub fn json(text: String) -> String {
    let is_special = |c: char| is_hidden(c) && !matches!(c, '\n' | '\r' | '\t');
    if !text.chars().any(is_special) && !has_marker(&text) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '#' if shown.ends_with('#') => shown.push_str("\\u0023"),
            c if is_special(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    _ = write!(shown, "\\u{unit:04x}");
                }
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Whether there is `##`, then perhaps a word, then `[`.
fn has_marker(text: &str) -> bool {
    text.split("##")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with('['))
}

/// What is not seen, or changes how its neighbours are: control characters, Unicode's format characters (Cf: those
/// that turn the direction of writing, those without width, tags), its separators of lines, and letters without ink.
fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        for (text, expected) in [
            ("secrets/größe 東京 🦀.yaml", "secrets/größe 東京 🦀.yaml"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}]0;pwned\u{7}\u{7f}\0", "\\x1b]0;pwned\\x07\\x7f\\x00"),
            ("\u{9b}2J\u{85}", "\\u{9b}2J\\u{85}"),
            ("a\u{202e}b\u{2066}\u{200f}\u{61c}", "a\\u{202e}b\\u{2066}\\u{200f}\\u{61c}"),
            ("a\u{200b}\u{feff}\u{ad}\u{e0041}", "a\\u{200b}\\u{feff}\\u{ad}\\u{e0041}"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(shown(&shown(text)), expected, "it stays as it is");
            assert!(!expected.chars().any(is_hidden));
        }
        assert!(matches!(shown("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn plaintext_keeps_its_lines() {
        for (text, expected) in [
            ("a: 1\n\tb: größe\r\n", "a: 1\n\tb: größe\r\n"),
            ("a\x1b[2J\rb\r\n\u{202e}c\u{2028}d\x7f", "a\\x1b[2J\\rb\r\n\\u{202e}c\\u{2028}d\\x7f"),
            ("\0\x1b", "\0\x1b"),
        ] {
            let shown = plaintext(SecretBytes::new(text.as_bytes().to_vec()));
            assert_eq!(str::from_utf8(&shown).unwrap(), expected);
        }
        assert_eq!(**plaintext(SecretBytes::new(b"\xff\x1b".to_vec())), *b"\xff\x1b");
        for (line, expected) in [
            ("+\ta: 1", "+\ta: 1"),
            ("+\x1b[2J\u{202e}\0\r", "+\\x1b[2J\\u{202e}\\x00\\r"),
            (" ::error::x", " \\x3a:error::x"),
        ] {
            assert_eq!(plaintext_line(line), expected);
        }
    }

    #[test]
    fn no_line_is_a_command_of_a_job() {
        for (text, expected) in [
            ("::error::x", "\\x3a:error::x"),
            ("  ::stop-commands::x", "  \\x3a:stop-commands::x"),
            ("a\n::error::x", "a\\n::error::x"),
            ("a::b", "a::b"),
            ("a ##vso[task.complete]", "a #\\x23vso[task.complete]"),
            ("##[group]x", "#\\x23[group]x"),
            ("## a [b]", "## a [b]"),
            ("section_start:0:x\r\u{1b}[0K", "section_start:0:x\\r\\x1b[0K"),
        ] {
            assert_eq!(line(text), expected);
        }
    }

    #[test]
    fn an_identity_is_in_no_message() {
        let key = "1GFPYYSJZGFPYYSJZGFPYYSJZ";
        for (text, expected) in [
            (format!("AGE-SECRET-KEY-{key}: no such file"), "AGE-SECRET-KEY-...: no such file"),
            (
                format!("a `age-secret-key-pq-{key}` AGE-SECRET-KEY-{key}"),
                "a `age-secret-key-...` AGE-SECRET-KEY-...",
            ),
            ("it begins with AGE-SECRET-KEY-1".to_owned(), "it begins with AGE-SECRET-KEY-1"),
            (format!("AGE-SECRET-KEY-1, AGE-SECRET-KEY-{key}."), "AGE-SECRET-KEY-1, AGE-SECRET-KEY-...."),
        ] {
            assert_eq!(without_identities(&text), expected);
        }
    }

    #[test]
    fn paths_are_typed_as_a_shell_takes_them() {
        for (path, expected) in [
            (&b"a/b.yaml"[..], "a/b.yaml"),
            (b"a b", "'a b'"),
            (b"-x", "./-x"),
            (b"$HOME", "'$HOME'"),
            (b"it's", "\"it's\""),
            ("größe".as_bytes(), "'größe'"),
            (b"a\nb\x1b[2J", "$'a\\x0ab\\x1b[2J'"),
            ("\u{202e}'x\\".as_bytes(), "$'\\xe2\\x80\\xae\\'x\\\\'"),
            (b"-\xff", "$'./-\\xff'"),
        ] {
            let path = crate::os::name_of(path);
            let path = Path::new(&path);
            assert_eq!(typed(path), expected);
            let script = format!("printf %s {expected}");
            let printed = std::process::Command::new("bash").args(["-c", &script]).output().unwrap().stdout;
            let printed = printed.strip_prefix(b"./").unwrap_or(&printed);
            assert_eq!(printed, path.as_os_str().as_encoded_bytes(), "{expected}");
            assert_eq!(shown(expected), expected);
        }
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({ "a\u{202e}": "b\u{7f}\u{e0041}\n\u{1b}", "##[x": "##[x ###vso[" });
        let text = json(serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains("##") && !text.chars().any(|c| is_hidden(c) && c != '\n'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
