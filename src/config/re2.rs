//! Regular expressions as sops reads them: Go's RE2 syntax, compiled by the `regex` crate.
//!
//! Owns the differences between the two dialects and nothing else. A pattern means here what it means in Go, or it is
//! refused: one that only one of the two programs understands would encrypt different leaves in each.
//! Facts: <https://pkg.go.dev/regexp/syntax>, flags `Perl`.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use globset::{Glob, GlobMatcher};
use regex::{Regex, RegexBuilder, bytes};

/// Go's bound for the counts of `x{n,m}`.
const MAX_REPEAT: u32 = 1000;

/// The sizes within which a pattern is compiled, one after the other: what it takes is not told, only whether it fits.
/// The last one is the most that a pattern may take.
const SIZES: [usize; 6] = [4 << 10, 16 << 10, 64 << 10, 512 << 10, 4 << 20, 10 << 20];

/// The most that all patterns of the configs of a repository may take. Some thousands of usual ones do.
const MOST_TOGETHER: usize = 64 << 20;

/// What every pattern takes beside its size.
const OVERHEAD: usize = 8 << 10;

/// How many patterns of files are kept, and how large one may be for that. Most files of a repository have the same few.
const MOST_KEPT: usize = 64;
const MOST_KEPT_SIZE: usize = 64 << 10;

/// Compiles a pattern that is of no config, in Go's syntax, unless that was done lately.
pub(super) fn compile_of_file(pattern: &str) -> Result<Regex, String> {
    static KEPT: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept().get(pattern) {
        return Ok(known.clone());
    }
    let (regex, size) = compile(&translated(pattern)?)?;
    if size <= MOST_KEPT_SIZE + OVERHEAD && pattern.len() <= MOST_KEPT_SIZE {
        let mut kept = kept();
        if kept.len() == MOST_KEPT {
            kept.clear();
        }
        kept.insert(pattern.to_owned(), regex.clone());
    }
    Ok(regex)
}

/// Patterns that are compiled, each once. Somebody else may have written them, so they have a bound together: hundreds that
/// are within the bound of one would fill the memory.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    compiled: Mutex<Compiled>,
}

#[derive(Debug, Default)]
struct Compiled {
    by_pattern: HashMap<String, Regex>,
    globs: HashMap<String, GlobMatcher>,
    bytes: usize,
}

impl Patterns {
    /// Compiles a pattern in Go's syntax; the error says what is wrong with it, in words for its author.
    pub(super) fn compile(&self, pattern: &str) -> Result<Regex, String> {
        let mut compiled = self.compiled();
        if let Some(known) = compiled.by_pattern.get(pattern) {
            return Ok(known.clone());
        }
        let (regex, size) = compile(&translated(pattern)?)?;
        compiled.take(size)?;
        compiled.by_pattern.insert(pattern.to_owned(), regex.clone());
        Ok(regex)
    }

    /// Compiles a pattern of paths, which panics by itself where it is too large.
    pub fn compile_glob(&self, glob: &Glob) -> Result<GlobMatcher, String> {
        let mut compiled = self.compiled();
        if let Some(known) = compiled.globs.get(glob.regex()) {
            return Ok(known.clone());
        }
        let (_, size) = within_sizes(|size| bytes::RegexBuilder::new(glob.regex()).size_limit(size).build())?;
        compiled.take(size)?;
        let matcher = glob.compile_matcher();
        compiled.globs.insert(glob.regex().to_owned(), matcher.clone());
        Ok(matcher)
    }

    fn compiled(&self) -> MutexGuard<'_, Compiled> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Compiled {
    fn take(&mut self, size: usize) -> Result<(), String> {
        if self.bytes + size > MOST_TOGETHER {
            return Err(format!(
                "with this one the patterns of the configs here compile to more than {} MiB together",
                MOST_TOGETHER >> 20
            ));
        }
        self.bytes += size;
        Ok(())
    }
}

/// A pattern in Go's syntax as the `regex` crate takes it.
pub(super) fn translated(pattern: &str) -> Result<String, String> {
    Translator::new(pattern).run()
}

/// Compiles a translated pattern, and says how much it takes at most.
fn compile(translated: &str) -> Result<(Regex, usize), String> {
    within_sizes(|size| RegexBuilder::new(translated).size_limit(size).build())
}

fn within_sizes<R>(build: impl Fn(usize) -> Result<R, regex::Error>) -> Result<(R, usize), String> {
    let mut failed = String::new();
    for size in SIZES {
        match build(size) {
            Ok(regex) => return Ok((regex, size + OVERHEAD)),
            Err(regex::Error::CompiledTooBig(limit)) => {
                failed = format!("it compiles to more than {limit} bytes");
            }
            // The crate's message quotes the translated pattern under a caret: only its last line is about the cause.
            Err(other) => {
                let text = other.to_string();
                let cause = text.lines().last().unwrap_or_default();
                return Err(cause.strip_prefix("error: ").unwrap_or(cause).to_owned());
            }
        }
    }
    Err(failed)
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    /// The repetition operator that ended just here: Go refuses another one directly after it.
    last_repeat: Option<&'a str>,
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str) -> Self {
        Self { rest: pattern, out: String::with_capacity(pattern.len()), last_repeat: None }
    }

    fn run(mut self) -> Result<String, String> {
        while let Some(c) = self.rest.chars().next() {
            let before = self.last_repeat.take();
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '*' | '+' | '?' => self.repeat(1, before)?,
                '{' => match counted(self.rest)? {
                    Some(length) => self.repeat(length, before)?,
                    None => self.literal(),
                },
                '}' | ']' => self.literal(),
                _ => {
                    self.out.push(c);
                    self.skip(c.len_utf8());
                }
            }
        }
        Ok(self.out)
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn literal(&mut self) {
        if let Some(c) = self.rest.chars().next() {
            self.skip(c.len_utf8());
            push_literal(&mut self.out, c);
        }
    }

    fn repeat(&mut self, length: usize, before: Option<&str>) -> Result<(), String> {
        let lazy = usize::from(self.rest[length..].starts_with('?'));
        let operator = self.skip(length + lazy);
        if let Some(before) = before {
            return Err(format!("two repetition operators in a row: `{before}{operator}`"));
        }
        self.out.push_str(operator);
        self.last_repeat = Some(operator);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        if let Some(quoted) = self.rest.strip_prefix(r"\Q") {
            let (literal, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            literal.chars().for_each(|c| push_literal(&mut self.out, c));
            self.rest = rest;
            return Ok(());
        }
        let boundary = match self.rest.as_bytes().get(1) {
            Some(b'A') => Some(r"\A"),
            Some(b'z') => Some(r"\z"),
            Some(b'b') => Some(r"(?-u:\b)"),
            Some(b'B') => Some(r"(?-u:\B)"),
            _ => None,
        };
        if let Some(boundary) = boundary {
            self.skip(2);
            self.out.push_str(boundary);
            return Ok(());
        }
        let (item, rest) = class_escape(self.rest)?;
        self.rest = rest;
        match item {
            Item::Char(c) => push_literal(&mut self.out, c),
            Item::Set(set) => self.out.push_str(&set),
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        let Some(inner) = self.rest.strip_prefix("(?") else {
            self.out.push('(');
            self.skip(1);
            return Ok(());
        };
        if ["=", "!", "<=", "<!"].iter().any(|look| inner.starts_with(look)) {
            return Err("look-around, `(?=`, `(?!`, `(?<=`, `(?<!`, does not exist in this syntax".to_owned());
        }
        if let Some(named) = inner.strip_prefix("P<").or_else(|| inner.strip_prefix('<')) {
            let (name, rest) = named.split_once('>').ok_or("a group's name has no end: `>` is missing")?;
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("not a name for a group: `{name}`"));
            }
            // Go's names may begin with a digit, the crate's may not; that no name appears twice is checked there.
            self.out.push_str(&format!("(?P<_{name}>"));
            self.rest = rest;
            return Ok(());
        }
        let end = inner.find([':', ')']).ok_or("a group has no end: `)` is missing")?;
        if let Some(flag) = inner[..end].chars().find(|c| !"imsU-".contains(*c)) {
            return Err(format!("unknown flag `{flag}` in `(?{}`", &inner[..=end]));
        }
        let flags = self.skip("(?".len() + end + 1);
        self.out.push_str(flags);
        Ok(())
    }

    /// A bracketed class. It is written again, since `&&`, `--`, `~~` and `[` inside are operators for the crate
    /// alone.
    fn class(&mut self) -> Result<(), String> {
        let missing = || "a class has no end: `]` is missing".to_owned();
        let mut rest = &self.rest[1..];
        self.out.push('[');
        if let Some(negated) = rest.strip_prefix('^') {
            self.out.push('^');
            rest = negated;
        }
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if let Some((name, after)) = rest.strip_prefix("[:").and_then(|named| named.split_once(":]")) {
                if !POSIX.contains(&name.trim_start_matches('^')) {
                    return Err(format!("unknown class `[:{name}:]`"));
                }
                self.out.push_str(&format!("[:{name}:]"));
                rest = after;
                continue;
            }
            let (low, after) = class_item(rest).ok_or_else(missing)??;
            rest = after;
            let low = match low {
                Item::Set(set) => {
                    self.out.push_str(&set);
                    continue;
                }
                Item::Char(c) => c,
            };
            push_literal(&mut self.out, low);
            let Some(upper) = rest.strip_prefix('-').filter(|upper| !upper.starts_with(']')) else {
                continue;
            };
            let (high, after) = class_item(upper).ok_or_else(missing)??;
            match high {
                Item::Char(high) if high >= low => {
                    self.out.push('-');
                    push_literal(&mut self.out, high);
                    rest = after;
                }
                _ => {
                    return Err(format!(
                        "not a range of characters: `{low}-{}`",
                        &upper[..upper.len() - after.len()]
                    ));
                }
            }
        }
        self.out.push(']');
        self.rest = &rest[1..];
        Ok(())
    }
}

const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// What may appear in a class, and outside one as an escape.
enum Item {
    Char(char),
    /// A class in the crate's syntax.
    Set(String),
}

/// One character or escape of a class, and what follows; `None` at the end of the pattern.
fn class_item(rest: &str) -> Option<Result<(Item, &str), String>> {
    let c = rest.chars().next()?;
    Some(if c == '\\' { class_escape(rest) } else { Ok((Item::Char(c), &rest[c.len_utf8()..])) })
}

/// An escape that stands for a character or a set of them, and what follows it.
fn class_escape(rest: &str) -> Result<(Item, &str), String> {
    let mut chars = rest[1..].chars().peekable();
    let c = chars.next().ok_or(r"a `\` at the end escapes nothing")?;
    // Go's Perl classes are ASCII, and its `\s` has no vertical tab.
    let set = match c {
        'd' => Some("[0-9]"),
        'D' => Some("[^0-9]"),
        's' => Some(r"[\t\n\f\r ]"),
        'S' => Some(r"[^\t\n\f\r ]"),
        'w' => Some("[0-9A-Za-z_]"),
        'W' => Some("[^0-9A-Za-z_]"),
        _ => None,
    };
    if let Some(set) = set {
        return Ok((Item::Set(set.to_owned()), remaining(rest, chars)));
    }
    let character = match c {
        'p' | 'P' => {
            let set = property(c == 'P', &mut chars)?;
            return Ok((Item::Set(set), remaining(rest, chars)));
        }
        'a' => '\x07',
        'f' => '\x0c',
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'v' => '\x0b',
        'x' => hexadecimal(&mut chars).ok_or(r"not a character: `\x` wants two hex digits or `{...}`")?,
        '0'..='7' => octal(c, &mut chars)?,
        'C' => return Err(r"`\C`, one byte, is not supported".to_owned()),
        'Z' => return Err(r"`\Z` does not exist in this syntax; write `\z`".to_owned()),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        c => return Err(format!(r"unknown escape `\{c}`")),
    };
    Ok((Item::Char(character), remaining(rest, chars)))
}

fn remaining<'a>(all: &'a str, chars: Peekable<Chars<'a>>) -> &'a str {
    let left: usize = chars.map(char::len_utf8).sum();
    &all[all.len() - left..]
}

fn property(negated: bool, chars: &mut Peekable<Chars>) -> Result<String, String> {
    let first = chars.next().ok_or(r"`\p` wants a name")?;
    let name = match first {
        '{' => braced(chars).ok_or(r"a class `\p{...}` has no end: `}` is missing")?,
        letter => letter.to_string(),
    };
    let (negated, name) = match name.strip_prefix('^') {
        Some(name) => (!negated, name),
        None => (negated, name.as_str()),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(r"unknown class `\p{{{name}}}`"));
    }
    Ok(format!(r"\{}{{{name}}}", if negated { 'P' } else { 'p' }))
}

/// What is before the closing brace, if there is one.
fn braced(chars: &mut Peekable<Chars>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '}' => return Some(text),
            c => text.push(c),
        }
    }
}

fn hexadecimal(chars: &mut Peekable<Chars>) -> Option<char> {
    let digits = match chars.next()? {
        '{' => braced(chars)?,
        first => String::from_iter([first, chars.next()?]),
    };
    let only_digits = digits.chars().all(|c| c.is_ascii_hexdigit());
    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| only_digits)?;
    char::from_u32(code)
}

fn octal(first: char, chars: &mut Peekable<Chars>) -> Result<char, String> {
    let is_octal = |c: &char| ('0'..='7').contains(c);
    if first != '0' && !chars.peek().is_some_and(is_octal) {
        return Err(format!(r"back-references such as `\{first}` do not exist in this syntax"));
    }
    let mut code = first.to_digit(8).unwrap_or_default();
    for _ in 0..2 {
        let Some(digit) = chars.next_if(is_octal).and_then(|c| c.to_digit(8)) else {
            break;
        };
        code = code * 8 + digit;
    }
    char::from_u32(code).ok_or_else(|| "not a character".to_owned())
}

/// The length of `{n}`, `{n,}` or `{n,m}` at the start of `rest`; `None` where the brace stands for itself.
fn counted(rest: &str) -> Result<Option<usize>, String> {
    let Some(length) = rest.find('}') else {
        return Ok(None);
    };
    let inner = &rest[1..length];
    let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
    let is_count = |text: &str| {
        let canonical = text == "0" || !text.starts_with('0');
        !text.is_empty() && canonical && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !is_count(low) || !(high.is_empty() || is_count(high)) {
        return Ok(None);
    }
    let refused = || format!("not a repetition: `{}`; counts go up to {MAX_REPEAT}", &rest[..=length]);
    let low: u32 = low.parse().map_err(|_| refused())?;
    let high: u32 = if high.is_empty() { low } else { high.parse().map_err(|_| refused())? };
    if low > high || high > MAX_REPEAT {
        return Err(refused());
    }
    Ok(Some(length + 1))
}

fn push_literal(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        out.push_str(&format!(r"\x{:02X}", u32::from(c)));
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pattern, texts that match, texts that don't: what Go 1.26's `regexp.MatchString` says of each.
    const AGREED: &[(&str, &[&str], &[&str])] = &[
        ("", &["", "x"], &[]),
        ("^(data|stringData)$", &["data", "stringData"], &["database", "data\n"]),
        (r"\.ya?ml$", &["a.yaml", "a.yml"], &["ayaml", "a.yaml.bak"]),
        (r"^\d+$", &["12"], &["\u{0661}", "x"]),
        (r"^\D$", &["\u{0661}", "x"], &["1"]),
        (r"^\w+$", &["a_1"], &["\u{e9}"]),
        (r"^\W$", &["\u{e9}", "-"], &["a"]),
        (r"^\s$", &[" ", "\t", "\n"], &["\u{b}", "\u{a0}"]),
        (r"^[\s\d]$", &[" ", "1"], &["\u{b}", "\u{0661}"]),
        (r"^[^\D]$", &["1"], &["a", "\u{0661}"]),
        (r"\bkey\b", &["a key", "\u{e9}key"], &["keys"]),
        (r"a\Bb", &["ab"], &["a b"]),
        (r"^\Qa.b*\E+$", &["a.b*", "a.b**"], &["axb"]),
        (r"^\Qa.b", &["a.bc"], &["axb"]),
        (r"^(?P<n>a)(?<m>b)$", &["ab"], &["a"]),
        (r"^(?P<1>a)$", &["a"], &["b"]),
        (r"\Aa\z", &["a"], &["a\n", "ba"]),
        ("(?i)^secret$", &["SECRET", "\u{17f}ecret"], &["secrets"]),
        ("^(?i:a)b$", &["Ab"], &["AB"]),
        ("(?s)^a.b$", &["a\nb"], &["ab"]),
        ("(?m)^b$", &["a\nb"], &["ab"]),
        ("(?U)^a+$", &["aa"], &["b"]),
        ("^a{2}$", &["aa"], &["a", "a{2}"]),
        ("^a{2,}$", &["aaa"], &["a"]),
        ("^a{,2}$", &["a{,2}"], &["a"]),
        ("^a{x}$", &["a{x}"], &["a"]),
        ("^a{02}$", &["a{02}"], &["aa"]),
        ("^{$", &["{"], &[""]),
        ("^a]}$", &["a]}"], &["a"]),
        (r"^[a&&b]$", &["a", "&", "b"], &["c"]),
        (r"^[a[b]$", &["a", "[", "b"], &["]"]),
        (r"^[]a]$", &["]", "a"], &["b"]),
        (r"^[^]a]$", &["b"], &["]", "a"]),
        (r"^[a-]$", &["a", "-"], &["b"]),
        (r"^[-a]$", &["a", "-"], &["b"]),
        (r"^[a-c-e]$", &["a", "b", "-", "e"], &["d"]),
        (r"^[+--]$", &["+", ",", "-"], &["."]),
        (r"^[~~]$", &["~"], &["a"]),
        (r"^[[:alpha:]_]$", &["a", "_"], &["\u{e9}", "1"]),
        (r"^[[:^alpha:]]$", &["1", "\u{e9}"], &["a"]),
        (r"^[[:a]$", &["[", ":", "a"], &["b"]),
        (r"^\<\>\_\-\/$", &["<>_-/"], &["-"]),
        (r"^\x41\x{42}\101\0$", &["ABA\0"], &["AB"]),
        (r"^[\x41-\x43\]]$", &["B", "]"], &["D"]),
        (r"^\p{Greek}\PL\pL\p{^Greek}$", &["\u{3b1}1aa"], &["\u{3b1}1a\u{3b1}"]),
        (r"^a??b$", &["ab", "b"], &["a"]),
        ("^a # b$", &["a # b"], &["ab"]),
        ("a||b", &["", "x"], &[]),
        (r"^\b{start}$", &[], &["start"]),
        ("^.$", &["\u{1F511}"], &["ab", "\n"]),
    ];

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, matching, others) in AGREED {
            let regex =
                Patterns::default().compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            for text in *matching {
                assert!(regex.is_match(text), "{pattern} should match {text:?}");
            }
            for text in *others {
                assert!(!regex.is_match(text), "{pattern} should not match {text:?}");
            }
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_a_reason() {
        for (pattern, reason) in [
            ("a**", "two repetition operators in a row: `**`"),
            ("a+?*", "two repetition operators in a row: `+?*`"),
            ("a{2}{3}", "two repetition operators in a row: `{2}{3}`"),
            ("a{1001}", "not a repetition: `{1001}`; counts go up to 1000"),
            ("a{3,2}", "not a repetition: `{3,2}`; counts go up to 1000"),
            ("a{99999999999}", "not a repetition: `{99999999999}`; counts go up to 1000"),
            (r"a\C", r"`\C`, one byte, is not supported"),
            (r"a\Z", r"`\Z` does not exist in this syntax; write `\z`"),
            (r"(a)\1", r"back-references such as `\1` do not exist in this syntax"),
            (r"\h", r"unknown escape `\h`"),
            (r"\E", r"unknown escape `\E`"),
            ("a\\", r"a `\` at the end escapes nothing"),
            ("(?=a)", "look-around"),
            ("(?<!a)", "look-around"),
            ("(?x)a", "unknown flag `x` in `(?x)`"),
            ("(?P<a b>c)", "not a name for a group: `a b`"),
            ("(?P<a>b)(?P<a>c)", "duplicate capture group name"),
            ("[a", "a class has no end"),
            ("[", "a class has no end"),
            ("[b-a]", "not a range of characters: `b-a`"),
            (r"[a-\d]", r"not a range of characters: `a-\d`"),
            ("[a--c]", "not a range of characters: `a--`"),
            ("[[:alfa:]]", "unknown class `[:alfa:]`"),
            (r"\p{Greek=x}", r"unknown class `\p{Greek=x}`"),
            (r"\xg0", "not a character"),
            (r"\x4", "not a character"),
            (r"\x{41", "not a character"),
            (r"\x{110000}", "not a character"),
            (r"\p{Greek", r"a class `\p{...}` has no end"),
            ("(a", "unclosed group"),
            ("a)", "unopened group"),
            ("*a", "repetition operator missing expression"),
            ("a|*", "repetition operator missing expression"),
        ] {
            let error = Patterns::default().compile(pattern).expect_err(pattern);
            assert!(error.starts_with(reason), "{pattern}: {error}");
        }
    }

    #[test]
    fn patterns_have_a_bound_together_and_take_room_once() {
        let patterns = Patterns::default();
        for _ in 0..1000 {
            patterns.compile(r"\pL{100}").unwrap();
        }
        let error = (0..120).find_map(|number| patterns.compile(&format!(r"{number}\pL{{100}}")).err());
        assert!(error.unwrap().ends_with("more than 64 MiB together"));
        let patterns = Patterns::default();
        for number in 0..4000 {
            patterns.compile(&format!(r"^apps/team{number}/.*\.(json|ya?ml|env)$")).unwrap();
        }
    }
}
