//! sprig's functions on texts.

use memchr::memmem;

use super::super::buffer::Buffer;
use super::super::error::{ErrorKind, Fault};
use super::super::printf;
use super::super::run::Run;
use super::super::text::{chars, quote};
use super::super::unicode::{
    is_digit, is_letter, is_lower, is_number, is_punct, is_space, is_title, is_upper, to_lower, to_title,
    to_upper,
};
use super::super::value::{Entries, List, Of, Value};
use super::{Any, Function, Int, Result, Text, any, index, int, string_of, takes, takes_more, text};
use crate::secret::SecretBytes;

pub const TABLE: &[Function] = &[
    takes("hello", &[], |run, _| run.copy(b"Hello!")),
    takes("fail", &[Text], |_, _| {
        Err(Fault { kind: ErrorKind::Failed, what: "ends the template, as its author asked" })
    }),
    takes("abbrev", &[Int, Text], |run, values| abbreviate(run, text(values, 1), 0, int(values, 0), 4)),
    takes("abbrevboth", &[Int, Int, Text], |run, values| {
        let (left, right, text) = (int(values, 0), int(values, 1), text(values, 2));
        let least = if left > 0 { 7 } else { 4 };
        abbreviate(run, text, left, right, least)
    }),
    takes("trunc", &[Int, Text], |run, values| run.copy(truncated(int(values, 0), text(values, 1)))),
    takes("trim", &[Text], |run, values| run.copy(trim(text(values, 0), is_space, true, true))),
    takes("upper", &[Text], |run, values| mapped(run, text(values, 0), to_upper)),
    takes("lower", &[Text], |run, values| mapped(run, text(values, 0), to_lower)),
    takes("title", &[Text], |run, values| title(run, text(values, 0))),
    takes("untitle", &[Text], |run, values| untitle(run, text(values, 0))),
    takes("substr", &[Int, Int, Text], |run, values| {
        let found = substring(int(values, 0), int(values, 1), text(values, 2));
        run.copy(found.ok_or(OUT_OF_RANGE)?)
    }),
    takes("repeat", &[Int, Text], |run, values| {
        let count = index(int(values, 0)).ok_or(Fault::value("got a negative count"))?;
        let mut out = run.buffer();
        out.push_times(text(values, 1), count);
        run.written(out)
    }),
    takes("trimall", &[Text, Text], trim_all),
    takes("trimAll", &[Text, Text], trim_all),
    takes("trimSuffix", &[Text, Text], |run, values| {
        let text_ = text(values, 1);
        run.copy(text_.strip_suffix(text(values, 0)).unwrap_or(text_))
    }),
    takes("trimPrefix", &[Text, Text], |run, values| {
        let text_ = text(values, 1);
        run.copy(text_.strip_prefix(text(values, 0)).unwrap_or(text_))
    }),
    takes("nospace", &[Text], |run, values| no_space(run, text(values, 0))),
    takes("initials", &[Text], |run, values| initials(run, text(values, 0))),
    takes("swapcase", &[Text], |run, values| swap_case(run, text(values, 0))),
    takes("snakecase", &[Text], |run, values| words(run, text(values, 0), '_')),
    takes("kebabcase", &[Text], |run, values| words(run, text(values, 0), '-')),
    takes("camelcase", &[Text], |run, values| camel_case(run, text(values, 0))),
    takes("wrap", &[Int, Text], |run, values| wrap(run, text(values, 1), int(values, 0), b"\n", false)),
    takes("wrapWith", &[Int, Text, Text], |run, values| {
        let separator = text(values, 1);
        let separator = if separator.is_empty() { b"\n" } else { separator };
        wrap(run, text(values, 2), int(values, 0), separator, true)
    }),
    takes("contains", &[Text, Text], |_, values| {
        Ok(Value::Bool(find(text(values, 1), text(values, 0)).is_some()))
    }),
    takes("hasPrefix", &[Text, Text], |_, values| {
        Ok(Value::Bool(text(values, 1).starts_with(text(values, 0))))
    }),
    takes("hasSuffix", &[Text, Text], |_, values| {
        Ok(Value::Bool(text(values, 1).ends_with(text(values, 0))))
    }),
    takes_more("quote", &[], Any, |run, values| {
        let mut out = run.buffer();
        for (index, value) in values.iter().filter(|value| !value.is_nil()).enumerate() {
            if index > 0 {
                out.push(b" ");
            }
            let text = string_of(run, value)?;
            quote(&mut out, text.bytes(), false);
        }
        run.written(out)
    }),
    takes_more("squote", &[], Any, |run, values| {
        let mut out = run.buffer();
        for (index, value) in values.iter().filter(|value| !value.is_nil()).enumerate() {
            out.push(if index > 0 { b" '" } else { b"'" });
            printf::print(run, &mut out, std::slice::from_ref(value))?;
            out.push(b"'");
        }
        run.written(out)
    }),
    takes_more("cat", &[], Any, |run, values| {
        let mut out = run.buffer();
        for (index, value) in values.iter().filter(|value| !value.is_nil()).enumerate() {
            if index > 0 {
                out.push(b" ");
            }
            printf::print(run, &mut out, std::slice::from_ref(value))?;
        }
        run.written(out)
    }),
    takes("indent", &[Int, Text], |run, values| indent(run, values, b"")),
    takes("nindent", &[Int, Text], |run, values| indent(run, values, b"\n")),
    takes("replace", &[Text, Text, Text], |run, values| {
        replace(run, text(values, 2), text(values, 0), text(values, 1))
    }),
    takes("plural", &[Text, Text, Int], |_, values| Ok(any(values, if int(values, 2) == 1 { 0 } else { 1 }))),
    takes("toString", &[Any], |run, values| Ok(Value::Text(string_of(run, &any(values, 0))?))),
    takes("toStrings", &[Any], |run, values| to_strings(run, &any(values, 0))),
    takes("join", &[Text, Any], |run, values| {
        let Value::List(texts) = to_strings(run, &any(values, 1))? else { return run.copy(b"") };
        let mut out = run.buffer();
        for (index, item) in texts.to_vec().iter().enumerate() {
            if index > 0 {
                out.push(text(values, 0));
            }
            out.push(text(std::slice::from_ref(item), 0));
        }
        run.written(out)
    }),
    takes("sortAlpha", &[Any], sort_alpha),
    takes("split", &[Text, Text], |run, values| {
        let parts = split(text(values, 1), text(values, 0), usize::MAX);
        numbered(run, &parts)
    }),
    takes("splitn", &[Text, Int, Text], |run, values| {
        let count = index(int(values, 1)).unwrap_or(usize::MAX);
        let parts = split(text(values, 2), text(values, 0), count);
        numbered(run, &parts)
    }),
    takes("splitList", &[Text, Text], |run, values| {
        let parts = split(text(values, 1), text(values, 0), usize::MAX);
        run.texts(&parts)
    }),
];

const OUT_OF_RANGE: Fault = Fault::value("got a position that is out of range");

pub fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    memmem::find(text, pattern)
}

/// A text from byte to byte, as far as Go would go.
fn slice(text: &[u8], from: i64, to: i64) -> Option<&[u8]> {
    text.get(index(from)?..index(to)?)
}

fn length(text: &[u8]) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

fn truncated(count: i64, text: &[u8]) -> &[u8] {
    let length = length(text);
    let found = match count {
        _ if count < 0 && count.saturating_add(length) > 0 => slice(text, length + count, length),
        _ if count >= 0 && length > count => slice(text, 0, count),
        _ => None,
    };
    found.unwrap_or(text)
}

fn substring(start: i64, end: i64, text: &[u8]) -> Option<&[u8]> {
    let length = length(text);
    match (start, end) {
        _ if start < 0 => slice(text, 0, end),
        _ if end < 0 || end > length => slice(text, start, length),
        _ => slice(text, start, end),
    }
}

fn abbreviate(run: &mut Run, text: &[u8], offset: i64, width: i64, least: i64) -> Result {
    if width < least || text.is_empty() || length(text) <= width {
        return run.copy(text);
    }
    let found = abbreviated(text, offset, width).ok_or(OUT_OF_RANGE)?;
    run.copy(&found)
}

/// `goutils.AbbreviateFull`
fn abbreviated(text: &[u8], mut offset: i64, width: i64) -> Option<SecretBytes> {
    let length = length(text);
    if text.is_empty() || width < 4 {
        return Some(SecretBytes::default());
    }
    if length <= width {
        return Some(SecretBytes::new(text.to_vec()));
    }
    offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let joined = |parts: [&[u8]; 3]| Some(SecretBytes::new(parts.concat()));
    if offset <= 4 {
        return joined([slice(text, 0, width - 3)?, b"...", b""]);
    }
    if width < 7 {
        return Some(SecretBytes::default());
    }
    if offset + width - 3 < length {
        let end = abbreviated(slice(text, offset, length)?, 0, width - 3)?;
        return joined([b"...", &end, b""]);
    }
    joined([b"...", slice(text, length - (width - 3), length)?, b""])
}

/// Without the characters at the ends that are of a kind.
pub fn trim(text: &[u8], is_cut: impl Fn(char) -> bool, left: bool, right: bool) -> &[u8] {
    let mut found = text;
    if left {
        let cut: usize = chars(found).take_while(|(char, _)| is_cut(*char)).map(|(_, length)| length).sum();
        found = &found[cut..];
    }
    if right {
        let mut end = 0;
        let mut at = 0;
        for (char, length) in chars(found) {
            at += length;
            if !is_cut(char) {
                end = at;
            }
        }
        found = &found[..end];
    }
    found
}

fn trim_all(run: &mut Run, values: &[Value]) -> Result {
    let cut: Vec<char> = chars(text(values, 0)).map(|(char, _)| char).collect();
    run.steps(cut.len().saturating_mul(text(values, 1).len()) / 64)?;
    run.copy(trim(text(values, 1), |char| cut.contains(&char), true, true))
}

fn mapped(run: &mut Run, text: &[u8], map: fn(char) -> char) -> Result {
    let mut out = run.buffer();
    chars(text).for_each(|(char, _)| out.push_char(map(char)));
    run.written(out)
}

/// `strings.Title`
fn title(run: &mut Run, text: &[u8]) -> Result {
    let is_separator = |char: char| match char {
        _ if char.is_ascii_alphanumeric() || char == '_' => false,
        _ if char.is_ascii() => true,
        _ => !is_letter(char) && !is_digit(char) && is_space(char),
    };
    let mut out = run.buffer();
    let mut before = ' ';
    for (char, _) in chars(text) {
        out.push_char(if is_separator(before) { to_title(char) } else { char });
        before = char;
    }
    run.written(out)
}

fn untitle(run: &mut Run, text: &[u8]) -> Result {
    let mut out = run.buffer();
    let mut is_first = true;
    for (char, _) in chars(text) {
        out.push_char(if is_first && !is_space(char) { to_lower(char) } else { char });
        is_first = is_space(char);
    }
    run.written(out)
}

/// `goutils.DeleteWhiteSpace`, which takes bytes for characters.
fn no_space(run: &mut Run, text: &[u8]) -> Result {
    if !text.iter().any(|byte| is_space(char::from(*byte))) {
        return run.copy(text);
    }
    let mut out = run.buffer();
    text.iter()
        .map(|byte| char::from(*byte))
        .filter(|char| !is_space(*char))
        .for_each(|char| out.push_char(char));
    run.written(out)
}

/// `goutils.Initials`, which takes bytes for characters.
fn initials(run: &mut Run, text: &[u8]) -> Result {
    let mut out = run.buffer();
    let mut after_gap = true;
    for char in text.iter().map(|byte| char::from(*byte)) {
        if after_gap && !is_space(char) {
            out.push_char(char);
        }
        after_gap = is_space(char);
    }
    run.written(out)
}

fn swap_case(run: &mut Run, text: &[u8]) -> Result {
    let mut out = run.buffer();
    let mut after_space = true;
    for (char, _) in chars(text) {
        if is_upper(char) || is_title(char) {
            out.push_char(to_lower(char));
            after_space = false;
        } else if is_lower(char) {
            out.push_char(if after_space { to_title(char) } else { to_upper(char) });
            after_space = false;
        } else {
            out.push_char(char);
            after_space = is_space(char);
        }
    }
    run.written(out)
}

/// `goutils.WrapCustom`
fn wrap(run: &mut Run, text: &[u8], width: i64, separator: &[u8], breaks_words: bool) -> Result {
    let width = index(width.max(1)).unwrap_or(1);
    let mut out = run.buffer();
    let mut at = 0;
    while text.len() - at > width && !out.is_over() {
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        let line = &text[at..=at + width];
        let end = match line.iter().rposition(|byte| *byte == b' ') {
            Some(space) => Some((at + space, at + space + 1)),
            None if breaks_words => Some((at + width, at + width)),
            None => {
                let space = text[at + width..].iter().position(|byte| *byte == b' ');
                space.map(|space| (at + width + space, at + width + space + 1))
            }
        };
        let Some((end, next)) = end else { break };
        out.push(&text[at..end]);
        out.push(separator);
        at = next;
    }
    out.push(&text[at..]);
    run.written(out)
}

fn indent(run: &mut Run, values: &[Value], before: &[u8]) -> Result {
    let count = index(int(values, 0)).ok_or(Fault::value("got a negative count"))?;
    let mut out = run.buffer();
    out.push(before);
    for (index, line) in text(values, 1).split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push(b"\n");
        }
        out.push_times(b" ", count);
        out.push(line);
        if out.is_over() {
            break;
        }
    }
    run.written(out)
}

fn replace(run: &mut Run, text: &[u8], old: &[u8], new: &[u8]) -> Result {
    let mut out = run.buffer();
    if old.is_empty() {
        out.push(new);
        let mut at = 0;
        for (_, length) in chars(text) {
            out.push(&text[at..at + length]);
            out.push(new);
            at += length;
        }
        return run.written(out);
    }
    for (index, part) in split(text, old, usize::MAX).into_iter().enumerate() {
        if index > 0 {
            out.push(new);
        }
        out.push(part);
    }
    run.written(out)
}

/// `strings.SplitN`: at most so many parts.
pub fn split<'t>(text: &'t [u8], separator: &[u8], count: usize) -> Vec<&'t [u8]> {
    let mut parts = Vec::new();
    if count == 0 {
        return parts;
    }
    let mut rest = text;
    if separator.is_empty() {
        for (_, length) in chars(text) {
            if parts.len() + 1 == count {
                break;
            }
            parts.push(&rest[..length]);
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        return parts;
    }
    let mut from = 0;
    for at in memmem::find_iter(text, separator).take(count - 1) {
        parts.push(&text[from..at]);
        from = at + separator.len();
    }
    rest = &text[from..];
    parts.push(rest);
    parts
}

/// The parts by names: `_0`, `_1` …
fn numbered(run: &mut Run, parts: &[&[u8]]) -> Result {
    let mut entries = Entries::new();
    for (index, part) in parts.iter().enumerate() {
        let key = run.raw_text(SecretBytes::new(format!("_{index}").into_bytes()))?;
        entries.insert(key, run.copy(part)?);
    }
    run.dict(Of::Texts, entries)
}

/// A list of texts, which is the same one if it is one already.
pub fn to_strings(run: &mut Run, value: &Value) -> Result {
    match value {
        Value::List(list) if list.of == Of::Texts => Ok(value.clone()),
        Value::List(list) => {
            let mut texts = Vec::new();
            for item in list.to_vec().iter().filter(|item| !item.is_nil()) {
                texts.push(Value::Text(string_of(run, item)?));
            }
            run.list(Of::Texts, texts)
        }
        Value::Missing | Value::Nil => run.list(Of::Texts, Vec::new()),
        _ => {
            let text = string_of(run, value)?;
            run.list(Of::Texts, vec![Value::Text(text)])
        }
    }
}

/// Sorts a list of texts where it is, as sprig does; of another one it makes a new one.
fn sort_alpha(run: &mut Run, values: &[Value]) -> Result {
    let value = any(values, 0);
    if !matches!(value, Value::List(_)) {
        let text = string_of(run, &value)?;
        return run.list(Of::Texts, vec![Value::Text(text)]);
    }
    let sorted = to_strings(run, &value)?;
    if let Value::List(List { items: Some(items), .. }) = &sorted {
        run.steps(items.borrow().len().saturating_mul(16))?;
        items.borrow_mut().sort_by(|a, b| bytes_of(a).cmp(bytes_of(b)));
    }
    Ok(sorted)
}

fn bytes_of(value: &Value) -> &[u8] {
    text(std::slice::from_ref(value), 0)
}

fn is_connector(char: char) -> bool {
    matches!(char, '-' | '_') || is_space(char)
}

/// `xstrings.ToPascalCase`
fn camel_case(run: &mut Run, text: &[u8]) -> Result {
    let mut out = run.buffer();
    let all: Vec<char> = chars(text).map(|(char, _)| char).collect();
    let leading = all.iter().take_while(|char| is_connector(**char)).count();
    let mut rest = all[leading..].iter().copied();
    all[..leading].iter().for_each(|char| out.push_char(*char));
    let Some(first) = rest.next() else {
        // A text of nothing else has its last one twice, there.
        all.last().into_iter().for_each(|char| out.push_char(*char));
        return run.written(out);
    };
    let mut current = to_upper(first);
    let mut after_upper = is_upper(first);
    for char in rest {
        let before = std::mem::replace(&mut current, char);
        if is_connector(char) && is_connector(before) {
            out.push_char(before);
        } else if is_connector(before) {
            after_upper = is_upper(char);
            current = to_upper(char);
        } else {
            if after_upper {
                if is_upper(char) {
                    current = to_lower(char);
                } else {
                    after_upper = false;
                }
            }
            out.push_char(before);
        }
    }
    out.push_char(current);
    run.written(out)
}

/// The kinds of words that `xstrings` divides a text into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

/// `xstrings.ToSnakeCase` and `xstrings.ToKebabCase`
fn words(run: &mut Run, text: &[u8], connector: char) -> Result {
    let mut out = run.buffer();
    if text.is_empty() {
        return run.written(out);
    }
    let (mut kind, mut word, mut remaining) = next_word(text);
    while !remaining.is_empty() {
        if kind != Word::Connector {
            push_lower(&mut out, kind, word, connector);
        }
        let (before, last) = (kind, word);
        (kind, word, remaining) = next_word(remaining);
        match before {
            Word::Number => {
                while matches!(kind, Word::Alphabet | Word::Number) {
                    push_lower(&mut out, kind, word, connector);
                    (kind, word, remaining) = next_word(remaining);
                }
                if !matches!(kind, Word::Invalid | Word::Punct | Word::Connector) {
                    out.push_char(connector);
                }
            }
            Word::Connector => push_lower(&mut out, before, last, connector),
            Word::Punct => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punct) {
                    out.push_char(connector);
                }
            }
            _ if remaining.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, remaining) = next_word(remaining);
                if kind != Word::Alphabet {
                    push_lower(&mut out, Word::Number, number, connector);
                    if !matches!(kind, Word::Connector | Word::Punct) {
                        out.push_char(connector);
                    }
                    continue;
                }
                out.push_char(connector);
                push_lower(&mut out, Word::Number, number, connector);
                while matches!(kind, Word::Alphabet | Word::Number) {
                    push_lower(&mut out, kind, word, connector);
                    (kind, word, remaining) = next_word(remaining);
                }
                if !matches!(kind, Word::Invalid | Word::Connector | Word::Punct) {
                    out.push_char(connector);
                }
            }
        }
    }
    push_lower(&mut out, kind, word, connector);
    run.written(out)
}

fn push_lower(out: &mut Buffer, kind: Word, word: &[u8], connector: char) {
    if !matches!(kind, Word::Upper | Word::Connector) {
        return out.push(word);
    }
    for (char, _) in chars(word) {
        out.push_char(match char {
            _ if is_connector(char) => connector,
            _ if is_upper(char) => to_lower(char),
            _ => char,
        });
    }
}

/// The next character that is one, with its length and that of what was passed over.
fn next_valid(text: &[u8], before: char) -> (char, usize) {
    let mut size = 0;
    for (char, length) in chars(text) {
        size += length;
        if char != char::REPLACEMENT_CHARACTER {
            return (char, size);
        }
    }
    (before, size)
}

/// `xstrings` takes the characters of Chinese for no letters.
fn is_alphabet(char: char) -> bool {
    let is_chinese =
        matches!(char, '\u{4e00}'..='\u{9fcc}' | '\u{3400}'..='\u{4d85}' | '\u{20000}'..='\u{2b81d}');
    is_letter(char) && !is_chinese
}

fn next_word(text: &[u8]) -> (Word, &[u8], &[u8]) {
    if text.is_empty() {
        return (Word::Invalid, text, text);
    }
    let (first, size) = next_valid(text, char::REPLACEMENT_CHARACTER);
    let mut offset = size;
    if first == char::REPLACEMENT_CHARACTER {
        return (Word::Invalid, &text[..offset], &text[offset..]);
    }
    let mut char = first;
    // As long as what comes is of a kind.
    let mut run_of = |offset: &mut usize, belongs: &dyn Fn(char) -> bool| {
        let mut last = 0;
        while *offset < text.len() {
            let (next, size) = next_valid(&text[*offset..], char);
            char = next;
            if size == 0 || !belongs(next) {
                return (last, Some(next));
            }
            last = size;
            *offset += size;
        }
        (last, None)
    };
    let is_lower_letter = |char| is_alphabet(char) && !is_upper(char);
    let kind = if is_connector(first) {
        run_of(&mut offset, &is_connector);
        Word::Connector
    } else if is_punct(first) {
        run_of(&mut offset, &is_punct);
        Word::Punct
    } else if is_upper(first) {
        let begin = offset;
        let (last, next) = run_of(&mut offset, &is_upper);
        if offset > begin {
            // Of "HTTPStatus", the S belongs to what follows.
            if next.is_some_and(is_alphabet) {
                offset -= last;
            }
        } else {
            run_of(&mut offset, &is_lower_letter);
        }
        Word::Upper
    } else if is_alphabet(first) {
        run_of(&mut offset, &is_lower_letter);
        Word::Alphabet
    } else if is_number(first) {
        run_of(&mut offset, &is_number);
        Word::Number
    } else {
        run_of(&mut offset, &|char| {
            !is_connector(char) && !is_alphabet(char) && !is_number(char) && !is_punct(char)
        });
        Word::Other
    };
    (kind, &text[..offset], &text[offset..])
}
