//! Secrets in files that do not parse: what other readers of YAML take, and templates before they are filled in.
//!
//! What is YAML at all is looked at as such, however it is spelled ([`Lenient`]); of the rest lines are searched
//! ([`templates`]). Judges each document of a stream for itself.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::templates::{self, is_placeholder, is_plain};
use crate::document::{BREAKS_OF_OTHERS, Bound, Lenient, LenientKind};
use crate::error::{Error, Kind};

/// What a file that does not parse holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// A Secret with a value in plaintext on this line, from 1.
    Secret(usize),
    /// Something that only another reader could tell.
    MayHide,
    /// The same, spelled as nobody spells it who has nothing to hide.
    Hides,
    /// More than we look at.
    Beyond(Bound),
    /// No Secret in plaintext.
    Nothing,
}

/// What a text holds that is no YAML or JSON to us.
pub fn look(text: &str) -> Unread {
    let broken = with_breaks(text);
    let (mut start, mut found) = (0, Unread::Nothing);
    for end in ends_of_parts(&broken) {
        let part = &broken[start..end];
        match if is_empty(part) { Unread::Nothing } else { look_at_part(part) } {
            Unread::Secret(line) => {
                let breaks = broken[..start].matches('\n').count() + line - 1;
                return Unread::Secret(line_behind(text, breaks));
            }
            Unread::Beyond(bound) => found = Unread::Beyond(bound),
            Unread::Hides if !matches!(found, Unread::Beyond(_)) => found = Unread::Hides,
            Unread::MayHide if found == Unread::Nothing => found = Unread::MayHide,
            Unread::MayHide | Unread::Hides | Unread::Nothing => {}
        }
        start = end;
    }
    found
}

/// Whether a document has nothing but the line that separates it: there may be hundred thousands.
fn is_empty(part: &str) -> bool {
    part.strip_prefix("---").unwrap_or(part).trim().is_empty()
}

/// Why a file was not looked at.
pub fn beyond(bound: Bound) -> Error {
    Error::new(Kind::Read, bound.to_string())
        .advise("If the file is not secret, name it in `sealant: {check: {exclude: [...]}}`.")
}

/// With the line breaks that other readers of YAML see.
fn with_breaks(text: &str) -> Cow<'_, str> {
    match text.contains(BREAKS_OF_OTHERS) {
        true => text.replace(BREAKS_OF_OTHERS, "\n").into(),
        false => text.into(),
    }
}

/// The line of a file that is behind so many breaks, of which those of other readers end no line.
fn line_behind(text: &str, breaks: usize) -> usize {
    let all = text.chars().filter(|c| *c == '\n' || BREAKS_OF_OTHERS.contains(c));
    1 + all.take(breaks).filter(|c| *c == '\n').count()
}

/// Where the documents of a stream end.
fn ends_of_parts(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    let separators = text.match_indices("\n---").map(|(at, _)| at + 1);
    for end in separators.filter(|&at| separates(&text[at..])).chain([text.len()]) {
        ends_of_objects(&text[start..end], |at| ends.push(start + at));
        ends.push(end);
        start = end;
    }
    ends
}

/// Whether a text begins with what separates the documents of a stream for somebody.
fn separates(text: &str) -> bool {
    let rest = text.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '#'))
}

/// A document as it is read by others, in YAML that our parser takes: without the line that separates it, which kubectl lets
/// end in any blanks or a comment, and without the characters that only JSON may have. It has as many lines.
fn as_others_read(part: &str) -> Cow<'_, str> {
    let line = part.split(['\n', '\r']).next().unwrap_or_default();
    let is_separator = separates(line)
        && line
            .strip_prefix("---")
            .map(str::trim_start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
    let part = if is_separator { &part[line.len()..] } else { part };
    let begins = part.trim_start_matches(['\r', '\n']);
    let (before, body) = part.split_at(part.len() - begins.len());
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let is_strange = |c: char| {
        matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}') || (c.is_control() && !"\t\r\n".contains(c))
    };
    let mut read = match body.len() + before.len() == part.len() {
        true => Cow::from(part),
        false => Cow::from(format!("{before}{body}")),
    };
    if body.contains(is_strange) {
        read = read.replace(is_strange, "x").into();
    }
    if let Some(surrogates) = SURROGATES.as_ref().filter(|surrogates| surrogates.is_match(&read)) {
        read = surrogates.replace_all(&read, "\\u003f").into_owned().into();
    }
    read
}

/// Halves of characters, which JSON may have alone, and YAML never.
static SURROGATES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}").ok());

/// Where the objects of a stream of JSON end but for the last: whoever deploys it takes one behind the other.
fn ends_of_objects(part: &str, mut ends: impl FnMut(usize)) {
    let begins = part.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let inside = begins.strip_prefix('{').map(str::trim_start);
    if !inside.is_some_and(|inside| inside.starts_with(['"', '}'])) {
        return;
    }
    let begin = part.len() - begins.len();
    let (mut depth, mut in_text) = (0_usize, false);
    let mut bytes = part.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if in_text => _ = bytes.next(),
            b'"' => in_text = !in_text,
            b'{' if !in_text && depth == 0 && at > begin => {
                ends(at);
                depth = 1;
            }
            b'{' if !in_text => depth += 1,
            b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
}

fn look_at_part(part: &str) -> Unread {
    let part = &*as_others_read(part);
    let (raw, as_read) = Lenient::read_as_others(part);
    if raw.is_whole && !has_collections_as_keys(&raw) {
        let is_plain = |text: &str| is_plain(text) && !is_placeholder(text);
        let line = plain_line(&raw, &as_read, &is_plain).or_else(|| json_line(part));
        return line.map_or(Unread::Nothing, Unread::Secret);
    }
    let marked = templates::with_marks(part);
    let filled_in = templates::without_lines_of_marks(&marked);
    let (filled, filled_in) = Lenient::read_as_others(&filled_in);
    let by_lines = || templates::plain_line_of_secret(&marked).filter(|_| !filled.is_whole);
    let bound = raw.bound.or(filled.bound).filter(|_| !filled.is_whole);
    match (plain_line(&filled, &filled_in, &is_plain).or_else(by_lines).or_else(|| json_line(part)), bound) {
        (Some(line), _) => Unread::Secret(line),
        (None, Some(bound)) => Unread::Beyond(bound),
        _ if raw.is_whole || filled.is_whole => Unread::Nothing,
        _ if hides(part) => Unread::Hides,
        _ if may_hide(part) => Unread::MayHide,
        _ => Unread::Nothing,
    }
}

/// How many bytes are read again for objects of JSON in a text, beside four times its length: no program takes what has so many braces
/// that end nowhere.
const MOST_TRIED: usize = 4 << 20;

/// The line of a value in plaintext of a Secret in JSON with something that is no JSON before it or in it: comments, conflict
/// markers.
fn json_line(part: &str) -> Option<usize> {
    if !part.contains("ecret") && !part.contains("\\u") {
        return None;
    }
    let (mut from, mut left) = (0, part.len().saturating_mul(4).saturating_add(MOST_TRIED));
    while let Some(at) = part[from..].find('{').map(|at| from + at) {
        // Of brackets in a row the last one may begin an object.
        if part[at + 1..].trim_start().starts_with('{') {
            from = at + 1;
            continue;
        }
        let object = object_at_start(&part[at..]);
        left = left.checked_sub(object.len())?;
        let read = Lenient::read(&object);
        if let Some(line) = plain_line(&read, &object, &|text| is_plain(text) && !is_placeholder(text)) {
            return Some(part[..at].matches('\n').count() + line);
        }
        from = at + if read.is_whole { object.len() } else { 1 };
    }
    None
}

/// The object of JSON that a text begins with, with blanks in the place of comments and conflict markers.
fn object_at_start(text: &str) -> String {
    const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
    let mut object = String::new();
    let (mut depth, mut quote, mut is_line_start) = (0_usize, None, false);
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let skipped = match quote {
            Some(_) => 0,
            None if rest.starts_with("//")
                || (is_line_start && MARKERS.iter().any(|marker| rest.starts_with(marker))) =>
            {
                rest.find('\n').unwrap_or(rest.len())
            }
            None if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            None => 0,
        };
        if skipped > 0 {
            object.extend(rest[..skipped].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
            continue;
        }
        let mut length = char.len_utf8();
        match (quote, char) {
            (Some(_), '\\') => length += rest[1..].chars().next().map_or(0, char::len_utf8),
            (Some(open), _) if open == char => quote = None,
            (None, '"' | '\'') => quote = Some(char),
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        object.push_str(&rest[..length]);
        rest = &rest[length..];
        is_line_start = char == '\n';
        if depth == 0 {
            break;
        }
    }
    object
}

/// Whether a key is no string: `{{ x }}` is a map with a map for a key, and nothing that is deployed has one.
fn has_collections_as_keys(read: &Lenient) -> bool {
    read.nodes.iter().any(|node| match &node.kind {
        LenientKind::Map(entries) => entries.iter().any(|(key, _)| read.text(*key).is_none()),
        _ => false,
    })
}

/// How a name can be spelled so that lines cannot be searched for it: escapes and tags of keys and kinds.
static ODD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let key = r#""[^"]{0,200}\\[^"]{0,200}"\s*:|(?:^|[\s{,])!\S*\s+[^\s:]+\s*:|^[\s-]*\?\s"#;
    let kind = r#"kind["']?\s*:\s*(?:[!&*]|"[^"]{0,64}\\)"#;
    Regex::new(&format!("(?m){key}|{kind}")).ok()
});

/// Whether there may be a Secret in a document that nobody here can read: in one that is a template, only where names are
/// spelled as no template has them.
fn may_hide(part: &str) -> bool {
    let is_odd = ODD.as_ref().is_none_or(|odd| odd.is_match(part));
    is_odd || (!is_template(part) && templates::has_values(part))
}

/// The names by which a Secret is known, as they stand and in base64.
const NAMES: [&str; 6] = ["Secret", "SecretList", "kind", "data", "stringData", "items"];
const ENCODED: [&str; 6] =
    ["U2VjcmV0", "U2VjcmV0TGlzdA==", "a2luZA==", "ZGF0YQ==", "c3RyaW5nRGF0YQ==", "aXRlbXM="];

/// A word in double quotes with escapes, and one behind a tag.
static ESCAPED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let escape = r"\\x[[:xdigit:]]{2}|\\u[[:xdigit:]]{4}|\\U[[:xdigit:]]{8}|\\\r?\n[ \t]*";
    Regex::new(&format!(r#""((?:[A-Za-z0-9+/=]|{escape}){{1,120}})""#)).ok()
});
static TAGGED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:^|[\s,\[{:])!\S*\s+["']?([A-Za-z0-9+/=]{4,16})"#).ok());

/// A kind of Secrets, or one that an alias stands for; and values that one stands for.
static ANY_KIND: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"["']?kind["']?\s*:\s*(?:[&!]\S*\s+)*(?:["']?Secret(?:List)?\b|\*)"#).ok());
static ALIASED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:data|stringData|<<)["']?[ \t]*:\s+\*"#).ok());

/// Anchors, aliases, tags, merges and keys of several lines, without which lines can be searched.
static MARKS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?m)(?:^|[\s:,\[{])[*&!][A-Za-z0-9_!<]|<<["']?\s*:|^[\s-]*\?\s"#).ok());

/// Whether a document that nobody here can read holds what may be a Secret to others, though no rule is about it: a name
/// of one is spelled so that lines cannot be searched for it, or it says that it is one. A template may say so.
fn hides(part: &str) -> bool {
    let any = |regex: &LazyLock<Option<Regex>>, is: &dyn Fn(&str) -> bool| {
        let of = |regex: &Regex| {
            regex.captures_iter(part).filter_map(|found| found.get(1)).any(|word| is(word.as_str()))
        };
        regex.as_ref().is_none_or(of)
    };
    let is_escaped = any(&ESCAPED, &|word| {
        let plain = without_escapes(word);
        plain != word && (NAMES.contains(&&*plain) || ENCODED.contains(&&*plain))
    });
    let is_tagged = any(&TAGGED, &|word| ENCODED.contains(&word));
    let has = |regex: &LazyLock<Option<Regex>>| regex.as_ref().is_none_or(|regex| regex.is_match(part));
    let says = part.contains("Secret") && has(&ANY_KIND);
    let is_odd = has(&MARKS) && templates::has_values(part);
    is_escaped || is_tagged || (says && (has(&ALIASED) || (is_odd && !is_template(part))))
}

/// What a word in double quotes stands for.
fn without_escapes(word: &str) -> String {
    let (mut plain, mut rest) = (String::new(), word);
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let digits = match escape.as_bytes().first() {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => {
                rest = escape.trim_start();
                continue;
            }
        };
        let code = escape.get(1..=digits).and_then(|code| u32::from_str_radix(code, 16).ok());
        plain.extend(code.and_then(char::from_u32));
        rest = escape.get(1 + digits..).unwrap_or_default();
    }
    plain + rest
}

fn is_template(part: &str) -> bool {
    ["{{", "{%"].into_iter().any(|begin| part.contains(begin))
}

/// The first line of a Secret's values that is in plaintext.
fn plain_line(read: &Lenient, text: &str, is_plain: &dyn Fn(&str) -> bool) -> Option<usize> {
    let mut seen = vec![false; read.nodes.len()];
    let mut open = values_of_secrets(read);
    let mut first = None;
    while let Some(node) = open.pop() {
        let at = read.resolve(node);
        match &read.nodes[at].kind {
            LenientKind::Scalar(text) if is_plain(text) => {
                let at = read.nodes[node].at;
                first = Some(first.map_or(at, |first: usize| first.min(at)));
            }
            LenientKind::Map(entries) if !std::mem::replace(&mut seen[at], true) => {
                open.extend(entries.iter().map(|(_, value)| *value));
            }
            LenientKind::List(items) if !std::mem::replace(&mut seen[at], true) => open.extend(items),
            _ => {}
        }
    }
    first.map(|at| 1 + text[..at].matches('\n').count())
}

/// The `data` and `stringData` of all Secrets, merge keys followed: where one map brings in another, either may say what
/// it is, and hold the values. What a Secret, or a list of them, has as `items` are some.
fn values_of_secrets(read: &Lenient) -> Vec<usize> {
    let maps = Maps::of(read);
    let is_secret = |kind: &str| matches!(kind, "Secret" | "SecretList") || templates::is_literal(kind);
    let is_kind = |value| read.text(value).is_some_and(is_secret);
    let mut open = maps.reach(maps.with(&["kind"], is_kind), &maps.into);
    let (mut seen, mut secrets) = (vec![false; read.nodes.len()], Vec::new());
    while let Some(map) = open.pop() {
        if std::mem::replace(&mut seen[map], true) {
            continue;
        }
        secrets.push(map);
        open.extend(&maps.from[map]);
        for list in maps.entries(&[map], &["items"]) {
            if let LenientKind::List(items) = &read.nodes[read.resolve(list)].kind {
                open.extend(items.iter().map(|&item| read.resolve(item)));
            }
        }
    }
    maps.entries(&secrets, &["data", "stringData"])
}

/// The maps of a text, and which of them bring in which by merge keys.
struct Maps<'r> {
    read: &'r Lenient,
    /// From each map to those that it brings in.
    from: Vec<Vec<usize>>,
    /// And back.
    into: Vec<Vec<usize>>,
}

impl<'r> Maps<'r> {
    fn of(read: &'r Lenient) -> Self {
        let none = || vec![Vec::new(); read.nodes.len()];
        let mut maps = Self { read, from: none(), into: none() };
        let all: Vec<usize> = (0..read.nodes.len()).collect();
        for map in all {
            for merged in maps.entries(&[map], &["<<"]) {
                let merged = read.resolve(merged);
                let each = match &read.nodes[merged].kind {
                    LenientKind::List(items) => items.iter().map(|&item| read.resolve(item)).collect(),
                    _ => vec![merged],
                };
                each.iter().for_each(|&one| maps.into[one].push(map));
                maps.from[map].extend(each);
            }
        }
        maps
    }

    /// The values that some maps have under one of these keys.
    fn entries(&self, maps: &[usize], keys: &[&str]) -> Vec<usize> {
        let of_map = |&map: &usize| match &self.read.nodes[map].kind {
            LenientKind::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let is_asked =
            |(key, _): &&(usize, usize)| self.read.text(*key).is_some_and(|key| keys.contains(&key));
        maps.iter().flat_map(of_map).filter(is_asked).map(|(_, value)| *value).collect()
    }

    /// The maps with such a value under one of these keys.
    fn with(&self, keys: &[&str], is: impl Fn(usize) -> bool) -> Vec<usize> {
        let has = |map: &usize| self.entries(&[*map], keys).into_iter().any(&is);
        (0..self.read.nodes.len()).filter(has).collect()
    }

    /// Some maps, and all to which one comes from them.
    fn reach(&self, mut open: Vec<usize>, by: &[Vec<usize>]) -> Vec<usize> {
        let (mut seen, mut found) = (vec![false; self.read.nodes.len()], Vec::new());
        while let Some(map) = open.pop() {
            if !std::mem::replace(&mut seen[map], true) {
                found.push(map);
                open.extend(&by[map]);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of_secret(text: &str) -> Option<usize> {
        match look(text) {
            Unread::Secret(line) => Some(line),
            Unread::MayHide | Unread::Hides | Unread::Beyond(_) | Unread::Nothing => None,
        }
    }

    #[test]
    fn statements_around_values_hide_none() {
        let head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}\n";
        for (values, line) in [
            ("stringData: {{- with .Values.x }}\n  password: hunter2\n{{- end }}\n", 6),
            ("stringData: {{ .Values.x }}\n  password: hunter2\n", 6),
            ("stringData: {% if x %}\n  password: hunter2\n{% endif %}\n", 6),
            ("stringData:\n  {{ if .Values.x }}password: hunter2{{ end }}\n", 6),
            ("stringData:\n  {% if x %}password: hunter2{% endif %}\n", 6),
            ("{{ if .Values.x }}stringData:\n  password: hunter2{{ end }}\n", 6),
            ("stringData: {% if x %}{p: hunter2}{% endif %}\n", 5),
            ("stringData: {{ if .x }}{p: hunter2}{{ else }}{p: hunter3}{{ end }}\n", 5),
            ("stringData:\n  {{- dict \"p\" \"hunter2\" | toYaml | nindent 2 }}\n", 6),
            ("stringData: {{- dict \"p\" \"hunter2\" | toYaml | nindent 2 }}\n", 5),
            ("stringData: {{ dict \"p\" \"hunter2\" | toJson }}\n", 5),
            ("stringData:\n  p: {{ ternary \"hunter2\" \"hunter3\" true }}\n", 6),
            ("stringData:\n  p: {{ coalesce \"\" \"hunter2\" | quote }}\n", 6),
            ("data:\n  p: {{ sha256sum \"hunter2\" }}\n", 6),
        ] {
            assert_eq!(line_of_secret(&format!("{head}{values}")), Some(line), "{values}");
        }
        for values in [
            "stringData: {{- with .Values.x }}\n  password: {{ . }}\n{{- end }}\n",
            "stringData: {{- toYaml .Values.x | nindent 2 }}\ntype: Opaque\n",
            "stringData:\n  {{- toYaml .Values.x | nindent 2 }}\n",
            "stringData:\n  {{- dict \"p\" .Values.p | toYaml | nindent 2 }}\n",
            "stringData:\n  {{ if .Values.x }}password: {{ .Values.x }}{{ end }}\n",
            "stringData:\n  on: {{ if .Values.x }}\"true\"{{ else }}\"false\"{{ end }}\n",
            "stringData:\n  p: {{ ternary \"a\" \"b\" .Values.x }}\n",
            "stringData:\n  {% for x in y %}\n  {{ x }}: {{ y }}\n  {% endfor %}\n",
            "stringData: {% if x %}{p: {{ y }}}{% endif %}\n",
            "{{ if .Values.x }}stringData:\n  password: {{ .Values.x }}\n{{ end }}\n",
        ] {
            assert_eq!(line_of_secret(&format!("{head}{values}")), None, "{values}");
        }
    }

    #[test]
    fn a_template_may_name_values_and_not_hold_them() {
        let head =
            "{{- if .Values.on }}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}\n";
        for (values, expected) in [
            ("data:\n  a: {{ .Values.a | b64enc }}\n  b: ''\n{{- end }}\n", None),
            ("data:\n  a: aHVudGVyMg==\n{{- end }}\n", Some(7)),
            ("data: # b\n  a: {{ \"hunter2\" | b64enc }}\n{{- end }}\n", Some(7)),
            ("data:\n  {{- range .Values.a }}\n  {{ .b }}: {{ .c }}\n  {{- end }}\n", None),
            ("data:\n  {{/* hunter2 */}}\n  a: {{ .Values.a\n    | b64enc }}\n  b: c\n", Some(10)),
            ("stringData:\n  a: |\n    {{ .Values.a }}\n  # note\ntype: Opaque\n", None),
            ("stringData:\n  a: |\n    hunter2\n", Some(8)),
            ("stringData:\n  a: ${PASSWORD}\n", None),
            ("stringData:\n  a: x-{{ .Values.a }}\n", None),
            ("type: Opaque\n", None),
            ("stringData: {p: hunter2}\n", Some(6)),
            ("\"stringData\": { \"p\": \"hunter2\" }\n", Some(6)),
            ("stringData: {p: {{ .Values.p }}, q: \"{{ .Values.q }}\"}\n", None),
            ("stringData: {p: {{ .Values.p }},\n  q: hunter2}\n", Some(7)),
            ("stringData: {p: '', q: \"${PASSWORD}\"}\ntype: a\n", None),
            ("stringData: {p: {{ \"hunter2\" }}}\n", Some(6)),
            ("data: {}\n", None),
        ] {
            assert_eq!(line_of_secret(&format!("{head}{values}")), expected, "{values}");
        }
        assert_eq!(line_of_secret("kind: ConfigMap\ndata:\n  a: b\n---\nx: {{ y }}\n"), None);
        for kind in [
            "{{ \"Secret\" }}",
            "\"{{ \"Secret\" }}\"",
            "{{ print \"Sec\" \"ret\" }}",
            "{{ $k := \"Secret\" }}{{ $k }}",
            "Sec{{/* */}}ret",
        ] {
            let text = head.replace("Secret", kind) + "stringData:\n  a: hunter2\n{{- end }}\n";
            assert_eq!(line_of_secret(&text), Some(7), "{kind}");
        }
        let other = head.replace("Secret", "{{ .Values.kind }}") + "data:\n  a: b\n{{- end }}\n";
        assert_eq!(line_of_secret(&other), None);
        let by_variable = |before: &str, value: &str| {
            let text =
                format!("{{{{ {before} }}}}\n{head}stringData:\n  a: {{{{ {value} }}}}\n{{{{- end }}}}\n");
            line_of_secret(&text)
        };
        assert_eq!(by_variable("$x := \"hunter2\"", "$x | quote"), Some(8));
        assert_eq!(by_variable("$x := \"hunter2\" }}{{ $y := $x", "$y"), Some(8));
        assert_eq!(by_variable("$x := \"\"", "$x"), None);
        assert_eq!(by_variable("$x := \"hunter2\" }}{{ $x = .Values.x", "$x"), None);
        assert_eq!(by_variable("$x := .Values.x", "$x"), None);
        let second = format!("a: {{{{ b }}}}\n---\n{head}data:\n  a: aHVudGVyMg==\n");
        assert_eq!(line_of_secret(&second), Some(9));
        let secret =
            "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"kind\":\"Secret\",\"data\":{\"a\":\"b\"}}";
        assert_eq!(line_of_secret(secret), Some(1));
        let flow = "{{ x }}\n{apiVersion: v1, kind: Secret, stringData: {p: hunter2}}\n";
        assert_eq!(line_of_secret(flow), Some(2));
    }

    #[test]
    fn a_secret_is_known_however_it_is_spelled() {
        let secret_of = |kind: &str, values: &str| {
            line_of_secret(&format!("apiVersion: v1\n1: no key of sops\n{kind}\n{values}\n"))
        };
        let values = "stringData: {p: hunter2}";
        for kind in [
            "kind: Secret",
            "kind: \"\\x53ecret\"",
            "\"kind\": !!binary U2VjcmV0",
            "\"k\\x69nd\": Secret",
            "!!binary a2luZA==: Secret",
            "kind: &k Secret",
            "kind: ConfigMap\nkind: Secret",
            "? kind\n: Secret",
            "<<: {kind: Secret}",
            "<<: [{a: b}, {kind: Secret}]",
            "kind: ConfigMap\n<<: {kind: Secret}",
            "a: \"x\ny\"\nkind: Secret",
            "a: [-]\nkind: \"S\\x65cret\"",
        ] {
            assert_eq!(secret_of(kind, values), Some(3 + kind.lines().count()), "{kind}");
        }
        assert_eq!(secret_of("\"kind\" : >-\n  Secret", values), Some(5));
        assert_eq!(secret_of("x: &k Secret\nkind: *k", values), Some(5));
        assert_eq!(secret_of("x: &k {kind: Secret}\n<<: *k", values), Some(5));
        assert_eq!(secret_of("x: &k {stringData: {p: hunter2}}\nkind: Secret\n<<: *k", ""), Some(3));
        for values in [
            "\"string\\x44ata\": {p: hunter2}",
            "!!binary c3RyaW5nRGF0YQ==: {p: hunter2}",
            "data: [a, {b: c}]",
            "data: {}\nstringData: {p: {}, q: \"${hunter2}\"}",
            "data: {p: hunter2}\ndata: {}",
            "data: {p: 'ENC[hunter2'}",
            "data: {}\n<<: {data: {p: hunter2}}",
        ] {
            assert!(secret_of("kind: Secret", values).is_some(), "{values}");
        }
        for values in ["type: a", "data: {p: '', q: ~}", "data: {p: '${PASSWORD}'}", "datum: {p: q}"] {
            assert_eq!(secret_of("kind: Secret", values), None, "{values}");
        }
        assert_eq!(secret_of("kind: ConfigMap", "data: {p: hunter2}"), None);
        assert_eq!(line_of_secret("- kind: SecretList\n  items:\n  - data: {a: b}\n"), Some(3));
        assert_eq!(line_of_secret("1: a\nkind: Secret\nitems:\n- {items: [{data: {a: b}}]}\n"), Some(4));
        assert_eq!(line_of_secret("1: a\nkind: Secret\na: \"x\n---foo\"\ndata: {a: b}\n"), Some(5));
        for separator in ["---#", "---\u{a0}", "--- # a", "---\u{b}", "---\u{2003}#", "---\n\u{feff}"] {
            let text = format!("a: [\n{separator}\nkind: \"S\\x65cret\"\ndata: {{a: b}}\n");
            assert!(line_of_secret(&text).is_some(), "{separator:?}");
        }
        for odd in ["\\ud800", "\u{7f}", "\u{9f}", "\u{fffe}", "\u{2028}"] {
            let text = format!("{{\"a\":\"{odd}\",\"kind\":\"\\u0053ecret\",\"data\":{{\"a\":\"b\"}}}}");
            assert_eq!(line_of_secret(&text), Some(1), "{odd:?}");
        }
        assert_eq!(line_of_secret("a: [\n---\n- \"kind\": Secret\n  data: {a: b}\n"), Some(4));
        let stream = "{\"a\": \"}\"}{\"kind\":\"\\u0053ecret\"\n,\"data\": {\"a\": \"b\"}} {\"a\":{}}";
        assert_eq!(line_of_secret(stream), Some(2));
        assert_eq!(line_of_secret("{\"kind\": \"\\u0053ecret\", \"data\": {\"a\": \"b\"},}"), Some(1));
        // Braces hide nothing.
        let hidden = "# {{/*\napiVersion: v1\nkind: Secret\n1: a\nstringData: {p: hunter2}\n# */}}\n";
        assert_eq!(line_of_secret(hidden), Some(5));
        assert_eq!(line_of_secret(&format!("a: [\n{hidden}")), Some(6));
    }

    #[test]
    fn lines_are_those_of_editors() {
        let head = "apiVersion: v1\nkind: Secret\n";
        assert_eq!(line_of_secret(&format!("{head}# a\u{85}{{\nstringData:\n  a: b\n: {{")), Some(5));
        assert_eq!(line_of_secret(&format!("{head}# a\r# b\nstringData:\r  a: b\n")), Some(4));
    }

    #[test]
    fn what_nobody_can_read_hides_nothing() {
        let broken = "a: [}\n";
        for text in ["data: {p: q}", "{{ x }}\n? kind\n: x\nstringData: {p: hunter2}"] {
            assert_eq!(look(&format!("{broken}{text}\n")), Unread::MayHide, "{text}");
        }
        // Nobody spells these so who has nothing to hide, or says that it is a Secret and can be read by nobody.
        for text in [
            "kind: \"\\x53ecret\"\nstringData: {p: hunter2}",
            "{{ x }}\nkind: \"S\\x65cret\"\nstringData: {p: hunter2}",
            "{{ x }}\n\"k\\u0069nd\": Secret\nstringData: {p: hunter2}",
            "# {{ x }}\nkind: !!binary U2VjcmV0\nstringData: {p: hunter2}",
            "x: &a {p: hunter2}\nkind: Secret\nstringData: *a",
            "# {{ x }}\nx: &a {p: hunter2}\nkind: Secret\nstringData: *a",
            "x: &k Secret\nkind: *k\nstringData: {p: hunter2}",
        ] {
            let found = look(&format!("{broken}{text}\n"));
            assert!(matches!(found, Unread::Hides | Unread::Secret(_)), "{text}: {found:?}");
        }
        // What others have in files that are no YAML.
        for text in [
            "a: \"{\\\"data\\\": \\\"Secret\\\"}\"",
            "kind: {{ .kind }}\ndata: \"C:\\\\x64\\\\\"",
            "a: \"ZGF0YQ==\"\nkind: ConfigMap",
            "? a\n: b\nkind: ConfigMap\ndata: {a: b}",
            "kind: Secret\ndata: {a: ''}",
        ] {
            let found = look(&format!("{broken}{text}\n"));
            assert!(matches!(found, Unread::MayHide | Unread::Nothing), "{text}: {found:?}");
        }
        for text in [
            "a: b",
            "kind: ConfigMap\ndata:\n  a: {{ .Values.a }}\n  b: \"x\\n\"",
            "{% if a %}\nkind: ConfigMap\ndata: {a: b}\n{% endif %}",
            "kind: {{ .kind }}\ndata: {a: b}",
        ] {
            assert_eq!(look(&format!("{broken}{text}\n")), Unread::Nothing, "{text}");
        }
        assert_eq!(look("{% if a %}\nkind: Secret\ndata: {a: '{{ b }}'}\n{% endif %}\n"), Unread::Nothing);
        assert_eq!(look("{% if a %}\nkind: Secret\ndata: {a: b}\n{% endif %}\n"), Unread::Secret(3));
    }

    /// Each of which may begin an object that holds the Secret.
    #[test]
    fn braces_that_end_nowhere_hide_no_secret() {
        let secret = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"password":"aHVudGVyMg=="}}"#;
        for braces in [4, 5, 50] {
            let text = format!("{}{secret}\n", "// {\n".repeat(braces));
            assert_eq!(look(&text), Unread::Secret(braces + 1));
        }
    }

    #[test]
    fn looking_takes_no_longer_than_the_text_is_long() {
        let start = std::time::Instant::now();
        for text in [
            format!("1: a\n{}", "? ".repeat(20_000)),
            format!("1: a\nx: {}", "[".repeat(20_000)),
            format!("1: a\nkind: Secret\n{}", "{{a:\n".repeat(20_000) + "}}"),
            format!("kind: Secret\n{}", "\"\\".repeat(20_000)),
            "{}".repeat(20_000),
            format!("a: [\n{}", "---\n".repeat(250_000)),
            (0..5_000).fold(String::from("1: a\na: &a {kind: Secret, data: {a: ''}}\n"), |text, at| {
                text + &format!("b{at}: &a {{<<: *a, data: {{b: ''}}}}\n")
            }),
        ] {
            look(&text);
        }
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}
