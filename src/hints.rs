//! Guesses at what somebody meant: the name that is nearest to one that is not there, and what mostly lies behind what
//! the YAML parser could not read.
//!
//! Below `config` and `document`, which both have names and YAML. It knows neither, and quotes nothing of a text.

use granit_parser::{ErrorKind, ScanError};

use crate::error::{Error, Kind};

/// The known name that was probably meant: few edits away, or begun or ended alike.
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
) -> Option<&'a str> {
    let known = known.into_iter();
    misspelt(name, known.clone()).or_else(|| {
        let name = comparable(name);
        let alike = |other: &&str| {
            let other = comparable(other);
            let is_alike = other.starts_with(&name) || other.ends_with(&name) || name.starts_with(&other);
            is_alike && name.len() > 2 && other.len() > 2
        };
        known.filter(alike).min_by_key(|other| other.len())
    })
}

/// The known name that is few edits away from `name`, and not only another number.
pub(crate) fn misspelt<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = comparable(name);
    let length = name.chars().count();
    let limit = if length < 2 { 0 } else { (length / 3).clamp(1, 3) };
    let without_digits = |name: &str| name.replace(|c: char| c.is_ascii_digit(), "");
    let near = |candidate: &'a str| {
        let other = comparable(candidate);
        let may_be = other.chars().count().abs_diff(length) <= limit
            && (other == name || without_digits(&other) != without_digits(&name));
        let distance = may_be.then(|| edit_distance(&name, &other))?;
        (distance <= limit).then_some((distance, candidate))
    };
    known.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The 1-based line of the first marker that Git has left where it could not merge.
pub(crate) fn conflict_line(text: &str) -> Option<usize> {
    text.lines().position(|line| line.starts_with("<<<<<<< ")).map(|index| index + 1)
}

/// The only known name that goes on where `name` ends, or where its parts between dots end: `app.yaml` for `app` and `a.yam`.
pub(crate) fn cut_short<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let goes_on = |other: &&str| {
        let mut parts = other.split('.');
        let is_begun = |part: &str| parts.next().is_some_and(|whole| whole.starts_with(part));
        other.starts_with(name) || name.split('.').all(is_begun)
    };
    let mut found = known.into_iter().filter(goes_on);
    found.next().filter(|_| !name.is_empty() && found.next().is_none())
}

/// A name as it is compared with others.
fn comparable(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// How many letters must be added, dropped, replaced, or swapped with their neighbour to make `a` of `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut above = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(above[j - 2] + 1);
            }
        }
        above = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

/// What is wrong with a YAML text, and what to look for.
pub(crate) fn yaml_error(kind: Kind, error: &ScanError, text: &str) -> Error {
    Error::new(kind, format!("broken YAML: {}", error.info()))
        .on_line(yaml_line(error, text))
        .advise(yaml_advice(error.kind()))
}

/// As editors and Git count lines. The parser also counts a lone carriage return.
fn yaml_line(error: &ScanError, text: &str) -> usize {
    // Of a tab the parser only says in which text it is.
    let tab = |offset: usize| match error.kind() {
        ErrorKind::TabInPlainScalar => {
            offset + text.get(offset..).and_then(|rest| rest.find("\n\t")).map_or(0, |at| at + 1)
        }
        _ => offset,
    };
    let before = error.marker().byte_offset().and_then(|offset| text.as_bytes().get(..tab(offset)));
    before.map_or(error.marker().line(), |before| 1 + before.iter().filter(|&&byte| byte == b'\n').count())
}

/// By the mistakes that people make, of which the parser sees where they lead.
fn yaml_advice(kind: &ErrorKind) -> &'static str {
    use ErrorKind as Is;
    match kind {
        Is::TabNotAllowed
        | Is::TabInBlockIndentation
        | Is::TabInIndentation
        | Is::TabAtBlockScalarStart
        | Is::TabInPlainScalar => "indent with spaces: YAML does not allow tabs there",
        Is::MappingValueNotAllowed | Is::InvalidColonPlacement => {
            "put a value that contains `: ` in quotes. If this line has none, a bracket or quote above is not \
             closed, or this line's indentation is wrong"
        }
        Is::SimpleKeyExpected | Is::InvalidSimpleKey => {
            "end a key with a colon and a space, as in `key: value`; indent text of several lines below its key"
        }
        Is::ExpectedBlockMappingKey
        | Is::ExpectedBlockSequenceEntry
        | Is::BlockSequenceEntryNotAllowed
        | Is::MappingKeyNotAllowed
        | Is::InvalidIndentation => {
            "indent this line like the others beside it; nothing may follow a value that ends in a quote, bracket or \
             brace"
        }
        Is::UnclosedQuotedScalar | Is::DocumentIndicatorInQuotedScalar => {
            "a quote is opened and not closed; if it belongs to the value, put the value in quotes of the other \
             kind"
        }
        Is::InvalidTrailingSingleQuotedScalar => {
            "nothing may follow a closing quote; if the quote belongs to the value, double it: 'it''s'"
        }
        Is::InvalidTrailingDoubleQuotedScalar => {
            "nothing may follow a closing quote; if the quote belongs to the value, put a backslash before it: \"a \
             \\\" b\""
        }
        Is::UnknownQuotedScalarEscape
        | Is::InvalidQuotedScalarHexEscape
        | Is::InvalidLowSurrogateHexEscape
        | Is::InvalidLowSurrogate
        | Is::MissingLowSurrogate
        | Is::UnpairedLowSurrogate
        | Is::InvalidUnicodeEscape => "double the backslash, or use single quotes, in which it needs none",
        Is::UnexpectedEofFlowSequence
        | Is::UnexpectedEofFlowMapping
        | Is::UnexpectedEofImplicitFlowMapping
        | Is::ExpectedFlowMappingSeparator
        | Is::ExpectedFlowSequenceSeparator
        | Is::MisplacedFlowCollectionEnd
        | Is::MismatchedFlowCollectionEnd { .. }
        | Is::UnclosedFlowCollection { .. }
        | Is::BlockEntryInFlowCollection
        | Is::FlowMappingValueAdjacentCollection
        | Is::InvalidFlowScalarIndent => {
            "a value that begins with `[` or `{` is a list or a map: close it, or put a string, such as a template's \
             `{{ ... }}`, in quotes"
        }
        Is::UnknownAnchor | Is::MissingAnchorOrAliasName => {
            "a value that begins with `*` or `&` names an anchor: put it in quotes if it is a string"
        }
        Is::ExpectedTagBang
        | Is::UndeclaredTagHandle
        | Is::InvalidTagTerminator
        | Is::MissingTagUri
        | Is::UnclosedVerbatimTag
        | Is::InvalidTagEscape => {
            "a value that begins with `!` names its type: put it in quotes if it is a string"
        }
        Is::UnexpectedCharacter { .. } | Is::PlainScalarStartsWithDashFlowIndicator => {
            "a value that begins with this character has to be in quotes"
        }
        Is::InvalidBlockScalarIndent | Is::ZeroBlockScalarIndent | Is::InvalidBlockScalarHeader => {
            "indent all lines of text below `|` or `>` alike, and further than the key"
        }
        Is::InvalidQuotedScalarIndent => {
            "a quote is opened and not closed, or the other lines of the quoted text are not indented"
        }
        Is::CommentInterceptedScalar => "move the comment: it cannot be between the lines of a value",
        Is::InvalidBlockEntryWhitespace | Is::InvalidMappingValueWhitespace => {
            "put a space after a dash, and after the colon of a key"
        }
        _ => "look for a missing quote, colon or space in this line and the one before it",
    }
}

#[cfg(test)]
mod tests {
    use granit_parser::Parser;

    use super::*;

    #[test]
    fn the_nearest_name_is_few_edits_away_or_begins_alike() {
        let known = ["age", "path_regex", "Password", "db-host"];
        let cases = [
            ("passwrod", Some("Password")),
            ("db_hots", Some("db-host")),
            ("path", Some("path_regex")),
            ("AGE", Some("age")),
            ("aeg", Some("age")),
            ("ag", Some("age")),
            ("a", None),
            ("nothing", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest("x", []), None);
        assert_eq!(misspelt("host2", ["host1"]), None);
    }

    #[test]
    fn a_name_that_was_cut_short_means_the_only_one_that_goes_on() {
        let known = ["app.yaml", "db.enc.yaml", "db.enc.json"];
        for (name, expected) in [
            ("app", Some("app.yaml")),
            ("a.yam", Some("app.yaml")),
            ("db.enc.y", Some("db.enc.yaml")),
            ("db", None),
            ("b.yaml", None),
            ("", None),
        ] {
            assert_eq!(cut_short(name, known), expected, "{name}");
        }
    }

    #[test]
    fn advice_is_about_the_mistake() {
        let advice = |text: &str| {
            let mut parser = Parser::new_from_str(text);
            let error = loop {
                match parser.next_event() {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error,
                    None => panic!("{text:?} is YAML"),
                }
            };
            yaml_advice(error.kind())
        };
        for (text, about) in [
            ("a: b: c\n", "contains `: `"),
            ("a:\n\tb: 1\n", "does not allow tabs"),
            ("a: 1\nb:2\nc: 3\n", "colon and a space"),
            ("a:\n  b: 1\n c: 2\n", "indent"),
            ("a: 'it's'\nb: 1\n", "'it''s'"),
            ("a: \"x\" y\n", "put a backslash before it"),
            ("a: \"x\nb: 1\n", "opened and not closed"),
            ("a: \"C:\\path\"\n", "double the backslash"),
            ("a: [1, 2\nb: 1\n", "bracket or quote above"),
            ("a: [1, 2\n", "begins with `[` or `{`"),
            ("a: {{ x }} y\n", "brace"),
            ("a: *b\n", "`*` or `&`"),
            ("a: !b!c d\n", "`!`"),
            ("a: @b\n", "this character"),
            ("a: `b\n", "this character"),
            ("a: 1\n- b\n", "indent"),
        ] {
            assert!(advice(text).contains(about), "{text:?}: {}", advice(text));
        }
    }
}
