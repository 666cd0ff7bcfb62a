//! Texts that are filled in later: what of them is a placeholder, and Secrets in files that are no YAML or JSON before
//! that, or never.
//!
//! Nothing is evaluated. A placeholder names where a value comes from; a literal is a value, wherever it is written.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::sops;

/// Stand for a template's expression that refers to something, for one that only spells a value out, and for one that says
/// which lines there are: private characters, which no file has.
const REFERENCE: char = '\u{e000}';
const LITERAL: char = '\u{e001}';
const STATEMENT: char = '\u{e002}';

/// What a statement begins with (Go's text/template). It makes no text.
const STATEMENTS: [&str; 9] = ["if", "else", "end", "with", "range", "define", "block", "break", "continue"];

/// Whether an expression that only spells a text out is all of a text.
pub fn is_literal(text: &str) -> bool {
    text.trim().strip_prefix(LITERAL) == Some("")
}

/// Functions of templates that make one text of others, or choose one, and bring in none of their own.
const TEXT_FUNCTIONS: &[&str] = &[
    "and",
    "b32dec",
    "b32enc",
    "b64dec",
    "b64enc",
    "cat",
    "coalesce",
    "compact",
    "concat",
    "default",
    "dict",
    "eq",
    "false",
    "first",
    "html",
    "indent",
    "initial",
    "join",
    "js",
    "last",
    "list",
    "lower",
    "md5sum",
    "merge",
    "ne",
    "nindent",
    "nospace",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "quote",
    "repeat",
    "replace",
    "rest",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "splitList",
    "squote",
    "string",
    "ternary",
    "title",
    "toJson",
    "toPrettyJson",
    "toRawJson",
    "toString",
    "toYaml",
    "toYamlPretty",
    "trim",
    "trimAll",
    "trimPrefix",
    "trimSuffix",
    "true",
    "trunc",
    "tuple",
    "untitle",
    "upper",
    "urlquery",
];

/// Whether a text is filled in later: nothing but references of templates and variables.
pub fn is_placeholder(text: &str) -> bool {
    let mut rest = text.trim();
    let is_any = !rest.is_empty();
    while let Some(after) = after_placeholder(rest) {
        rest = after.trim_start();
    }
    is_any && rest.is_empty()
}

fn after_placeholder(text: &str) -> Option<&str> {
    if let Some(after) = text.strip_prefix([REFERENCE, STATEMENT]) {
        return Some(after);
    }
    if let Some(inside) = text.strip_prefix("{{") {
        let length = expression_length(inside)?;
        return is_reference(&inside[..length]).then(|| &inside[length + 2..]);
    }
    let (name, after) = text.strip_prefix("${")?.split_once('}')?;
    is_variable(name).then_some(after)
}

/// How long the expression is that begins here: braces in its strings do not end it.
fn expression_length(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(b'"' | b'\''), b'\\') => _ = bytes.next(),
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'`') => quote = Some(byte),
            (None, b'}') if text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

/// `PASSWORD`, `PASSWORD:?why`, or `var.password` as Terraform has it. A default is a value.
fn is_variable(name: &str) -> bool {
    let name = name.split_once(":?").map_or(name, |(name, _)| name);
    let name = name.strip_suffix(":-").or_else(|| name.strip_suffix(":=")).unwrap_or(name);
    let fits = |is: fn(&u8) -> bool| {
        name.bytes().all(|byte| is(&byte) || byte.is_ascii_digit() || byte == b'_' || byte == b'.')
    };
    let is_path = || name.contains('.') && name.split('.').all(|part| !part.is_empty());
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins
        && ((!name.contains('.') && fits(u8::is_ascii_uppercase))
            || (is_path() && fits(u8::is_ascii_alphabetic)))
}

/// Whether a template's expression brings in something: `.Values.x`, `$x`, a variable, a function that looks a value up
/// or makes one. One that has literals and only functions that format them does not.
fn is_reference(expression: &str) -> bool {
    is_reference_beside(expression, &HashSet::new())
}

/// The same where some variables have values that are spelled out.
fn is_reference_beside(expression: &str, literals: &HashSet<&str>) -> bool {
    let (code, has_literal) = without_literals(expression);
    let is_word = |byte: char| byte.is_alphanumeric() || matches!(byte, '_' | '.' | '$');
    let mut words = code.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let is_literal = |word: &str| literals.contains(word);
    let has_literal = has_literal || words.clone().any(is_literal);
    let only_formats = |word: &str| has_literal && TEXT_FUNCTIONS.contains(&word);
    words.any(|word| !(is_number(word) || is_literal(word) || only_formats(word)))
}

/// What an expression assigns to a variable, and its name.
fn assigned(expression: &str) -> Option<(&str, &str)> {
    let (name, value) = expression.trim_matches(['-', ' ', '\t', '\n']).split_once('=')?;
    let name = name.strip_suffix(':').unwrap_or(name).trim();
    let is_name = name
        .strip_prefix('$')
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    is_name.then_some((name, value.trim()))
}

/// An expression without its strings, and whether it has any, or a number.
fn without_literals(expression: &str) -> (String, bool) {
    let (mut code, mut quote, mut has_literal) = (String::new(), None, false);
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some('"' | '\'') if c == '\\' => _ = chars.next(),
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => (quote, has_literal) = (Some(c), true),
            None => code.push(c),
        }
    }
    (code, has_literal)
}

static KIND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let before = r#"(?:^|[\s{,\[-])["']?kind["']?\s*:\s*(?:[!&]\S*\s+)*(?:[|>][-+0-9]*\s+)?"#;
    // A literal may be any kind, and nobody has a reason to write one there.
    Regex::new(&format!(r#"(?m){before}["']?(?:Secret(?:List)?|{LITERAL})["']?[ \t\r]*(?:$|[,}}#]|[ \t]#)"#))
        .ok()
});

static VALUES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:^|[\s{,])["']?(?:data|stringData)["']?[ \t]*:"#).ok());

/// Whether a text speaks of a Secret's values, or those of another object.
pub fn has_values(text: &str) -> bool {
    VALUES.as_ref().is_none_or(|values| values.is_match(text))
}

/// The first line of a Secret's values that is in plaintext, in a document of a stream that is no YAML or JSON as it is,
/// with marks in the place of expressions.
///
/// Looks at lines, indents and braces alone: what is below `data` or `stringData` in a text that says `kind: Secret`, and
/// is neither a key nor filled in later.
pub fn plain_line_of_secret(marked: &str) -> Option<usize> {
    let at = plain_value_of_part(marked)?;
    Some(1 + marked[..at].matches('\n').count())
}

/// A template with a mark in the place of each expression that makes a text; its lines stay where they are.
pub fn with_marks(text: &str) -> String {
    let text = &*match STATEMENT_OF_OTHERS.as_ref().filter(|_| text.contains("{%")) {
        Some(statement) => statement.replace_all(text, STATEMENT.encode_utf8(&mut [0; 4]) as &str),
        None => text.into(),
    };
    let (mut marked, mut rest) = (String::with_capacity(text.len()), text);
    // A quote that is never closed is text, here and further on.
    let mut has_quotes = true;
    let mut literals = HashSet::new();
    while let Some((before, inside)) = rest.split_once("{{") {
        marked.push_str(before);
        let is_comment = inside.trim_start_matches(['-', ' ']).starts_with("/*");
        let length = if has_quotes && !is_comment { expression_length(inside) } else { None };
        has_quotes = has_quotes && (is_comment || length.is_some());
        let Some(length) = length.or_else(|| inside.find("}}")) else {
            rest = inside;
            break;
        };
        let expression = &inside[..length];
        if holds_entries(expression) {
            marked.push_str("{{");
            marked.push_str(expression);
            rest = &inside[length..];
            continue;
        }
        let assigned = assigned(expression).filter(|_| !is_comment);
        let is_literal = || !is_reference_beside(expression, &literals);
        match () {
            // What assigns makes no text.
            () if is_comment || assigned.is_some() => {}
            () if is_statement(expression) => marked.push(STATEMENT),
            () => match (indent_of(expression), is_literal()) {
                // Lines of their own: nobody knows which, if they are not spelled out.
                (Some(_), false) => {}
                (Some(indent), true) => push_entry(&mut marked, indent),
                (None, false) => marked.push(REFERENCE),
                (None, true) => marked.push(LITERAL),
            },
        }
        if let Some((name, value)) = assigned {
            let is_literal = !matches!(value, "\"\"" | "``") && !is_reference_beside(value, &literals);
            if is_literal {
                literals.insert(name)
            } else {
                literals.remove(name)
            };
        }
        marked.extend(expression.chars().filter(|&c| c == '\n'));
        rest = &inside[length + 2..];
    }
    marked.push_str(rest);
    match marked.contains(STATEMENT) {
        true => marked.split_inclusive('\n').map(without_statements).collect(),
        false => marked,
    }
}

/// A statement of other templates, such as Jinja's, in one line.
static STATEMENT_OF_OTHERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{%[^\n]*?%\}").ok());

fn is_statement(expression: &str) -> bool {
    let word = expression.trim_start_matches(['-', ' ', '\t', '\n']);
    let end = word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len());
    STATEMENTS.contains(&&word[..end])
}

/// How far an expression indents the lines that it makes, if it does.
fn indent_of(expression: &str) -> Option<usize> {
    /// Deeper, nobody writes anything.
    const DEEPEST: usize = 100;
    let (_, indent) = expression.rsplit_once("indent ")?;
    let indent = indent.trim_start();
    let end = indent.find(|c: char| !c.is_ascii_digit()).unwrap_or(indent.len());
    Some(indent[..end].parse().unwrap_or(0).min(DEEPEST))
}

/// Adds an entry that is spelled out: on a line of its own, or behind a key.
fn push_entry(marked: &mut String, indent: usize) {
    let line = marked.rfind('\n').map_or(0, |at| at + 1);
    if marked[line..].trim_end().is_empty() {
        marked.truncate(line);
        marked.extend(std::iter::repeat_n(' ', indent));
        marked.extend([LITERAL, ':', ' ', LITERAL]);
    } else {
        marked.extend(['{', LITERAL, ':', ' ', LITERAL, '}']);
    }
}

/// A line without the statements around it, which say whether it is there.
fn without_statements(line: &str) -> Cow<'_, str> {
    if !line.contains(STATEMENT) {
        return line.into();
    }
    let is_around = |c: char| c == STATEMENT || c.is_whitespace();
    let indent = &line[..line.len() - line.trim_start().len()];
    let mut text = line.trim_matches(is_around).to_owned();
    for open in ['{', '['] {
        text = text.replace(&format!("{STATEMENT}{open}"), &open.to_string());
    }
    let end = if line.ends_with('\n') { "\n" } else { "" };
    format!("{indent}{text}{end}").into()
}

static ENTRY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"[\w"']\s*:(?:[^=]|$)"#).ok());

/// Whether what looks like an expression has lines of YAML in it: whoever wants to hide them puts braces around them.
fn holds_entries(expression: &str) -> bool {
    expression.contains('\n') && ENTRY.as_ref().is_none_or(|entry| entry.is_match(expression))
}

/// Without the lines that hold nothing but marks: they stand for lines of YAML, or for none.
pub fn without_lines_of_marks(marked: &str) -> String {
    let is_mark = |c: char| c.is_whitespace() || matches!(c, REFERENCE | LITERAL | STATEMENT);
    let lines = marked.split_inclusive('\n');
    lines.map(|line| if line.chars().all(is_mark) { "\n" } else { line }).collect()
}

/// Where the first value of a Secret in plaintext is in one document of a stream.
fn plain_value_of_part(part: &str) -> Option<usize> {
    let (kind, values) = (KIND.as_ref()?, VALUES.as_ref()?);
    if !kind.is_match(part) {
        return None;
    }
    let mut below: Option<usize> = None;
    let mut at = 0;
    while at < part.len() {
        let line = part[at..].split_inclusive('\n').next().unwrap_or_default();
        let (text, indent) = (line.trim(), line.len() - line.trim_start().len());
        let start = at;
        at += line.len();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        below = below.filter(|&outer| indent > outer);
        if below.is_some() {
            if is_plain_entry(text) {
                return Some(start);
            }
        } else if let Some(found) = values.find(line) {
            let value = line[found.end()..].trim_start_matches(|c: char| c.is_whitespace() || c == STATEMENT);
            if value.starts_with(LITERAL) && is_plain(value) {
                return Some(start);
            }
            if value.starts_with('{') {
                let open = start + line.len() - value.len();
                match flow(&part[open..]) {
                    Flow::Plain(at) => return Some(open + at),
                    // What is behind it may be the other one.
                    Flow::FilledIn(length) => at = open + length,
                }
            } else if value.trim_end().is_empty() || value.starts_with(['#', '&', '!', REFERENCE]) {
                below = Some(indent);
            }
        }
    }
    None
}

/// Whether a line below `data` has a value. A line that is partly filled in is let be.
fn is_plain_entry(text: &str) -> bool {
    let value = match text.split_once(": ") {
        Some((_, value)) => value.trim(),
        None => text.strip_suffix(':').map_or(text, |_| ""),
    };
    is_plain(value)
}

/// Whether a value, as it is spelled, is one that is in plaintext.
pub fn is_plain(value: &str) -> bool {
    let text = value.trim().trim_matches(['"', '\'']);
    let is_empty = matches!(text, "" | "|" | "|-" | "|+" | ">" | ">-" | ">+" | "{}" | "[]" | "null" | "~");
    let is_alias = value.starts_with('*');
    !(is_empty
        || is_alias
        || sops::is_ciphertext(text)
        || text.contains([REFERENCE, STATEMENT])
        || is_placeholder(text))
}

/// What a map in braces is found to be.
enum Flow {
    /// Where its first value in plaintext ends.
    Plain(usize),
    /// How long it is.
    FilledIn(usize),
}

/// Looks at the map in braces with which a text begins.
fn flow(text: &str) -> Flow {
    let (mut depth, mut quote, mut value): (usize, Option<char>, Option<String>) = (0, None, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let ends = quote.is_none() && matches!(c, ',' | '}');
        if ends && value.take().is_some_and(|value| is_plain(&value)) {
            return Flow::Plain(at);
        }
        match (quote, c) {
            (Some('"'), '\\') => _ = chars.next(),
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => (depth, value) = (depth + 1, None),
            (None, '}' | ']') if depth <= 1 => return Flow::FilledIn(at + 1),
            (None, '}' | ']') => depth -= 1,
            (None, ':') if value.is_none() => {
                value = Some(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(value) = value.as_mut() {
            value.push(c);
        }
    }
    Flow::FilledIn(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_names_where_a_value_comes_from() {
        for text in [
            "{{ .Values.a }}",
            "{{ .Values.a }}{{ .Values.b }}",
            "{{ .Values.a | default \"\" | b64enc | quote }}",
            "{{- include \"chart.password\" . -}}",
            "{{ $password }}",
            "{{ randAlphaNum 32 | b64enc }}",
            "{{ printf \"%s-%s\" .Release.Name \"}}\" }}",
            "{{ vault_password }}",
            "{{ lookup('env', 'PASSWORD') }}",
            "${PASSWORD}",
            "${DB_PASSWORD_2}",
            "${PASSWORD:?not set}",
            "${PASSWORD:-}",
            "${var.password}",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "",
            "${",
            "${}",
            "${hunter2}",
            "${PASSWORD:-hunter2}",
            "{{ \"hunter2\" }}",
            "{{ `hunter2` | b64enc }}",
            "{{ printf \"%s\" \"hunter2\" | quote }}",
            "{{ 'hunter2' }}",
            "{{ 12345 }}",
            "{{ }}",
            "{{ .Values.a",
            "{{ x }}hunter2{{ y }}",
            "${USER}:hunter2@${HOST}",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
