//! The values of a decrypted dotenv file as KSOPS puts them into a Secret, which reads it by godotenv.
//!
//! Unlike sops, that takes quotes off and comments away. It also puts other variables into values, which breaks every
//! password with a `$`; where it would, we refuse instead.

use regex::{Captures, Regex};
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::{SecretBytes, SecretString};

/// The variables of a file, in its order.
pub(super) fn values(file: &SecretBytes) -> Result<Vec<(String, SecretBytes)>> {
    let text = std::str::from_utf8(file).map_err(|_| Error::new(Kind::Read, "this is not text"))?;
    let text = Zeroizing::new(text.replace("\r\n", "\n"));
    let mut values = Vec::new();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(values);
        }
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let (key, value, next) = statement(rest).map_err(|error| error.on_line(line))?;
        values.push((key.to_owned(), Zeroizing::new(value.as_bytes().to_vec())));
        rest = next;
    }
}

/// White space within a line.
fn is_space(character: char) -> bool {
    matches!(character, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The first variable of a text, and what follows it: on its line, too, where the value has quotes.
fn statement(text: &str) -> Result<(&str, SecretString, &str)> {
    let (key, value) = key(text)?;
    let value = value.trim_start_matches(is_space);
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '\'' | '"')) else {
        let (line, rest) = value.split_at(value.find(['\n', '\r']).unwrap_or(value.len()));
        // The last ` #` of a line begins a comment.
        let comment = line.rmatch_indices('#').map(|(at, _)| at);
        let is_comment = |at: &usize| line[..*at].ends_with(is_space);
        let line = comment.filter(|&at| at > 0).find(is_comment).map_or(line, |at| &line[..at]);
        return Ok((key, without_variables(line.trim_matches(is_space), key)?, rest));
    };
    let body = &value[1..];
    let closing = body.match_indices(quote).map(|(at, _)| at).find(|&at| !body[..at].ends_with('\\'));
    let Some(closing) = closing else {
        return Err(Error::new(Kind::Read, format!("the quotes of {key} are not closed")));
    };
    let inner = body[..closing].trim_matches(quote);
    let value = match quote {
        '"' => without_variables(&unescaped(inner), key)?,
        _ => Zeroizing::new(inner.to_owned()),
    };
    Ok((key, value, &body[closing + 1..]))
}

/// The name that a text begins with, and what follows its `=`. What is no name is not shown: it may be the end of a value.
fn key(text: &str) -> Result<(&str, &str)> {
    let refuse = || {
        Error::new(
            Kind::Read,
            "this is not a `KEY=VALUE` line as KSOPS reads it, or it has text after a closing quote",
        )
        .advise("Correct the line: `sealant edit FILE`. A quote within quotes needs a backslash before it.")
    };
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with(is_space) => rest.trim_start_matches(is_space),
        _ => text,
    };
    let (key, value) = text.split_once(['=', ':']).ok_or_else(refuse)?;
    // The reader looks at bytes, and takes those of letters beyond ASCII for letters of Latin-1 or refuses them.
    let is_of_name = |character: char| {
        is_space(character) || character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
    };
    match key.chars().all(is_of_name) {
        true => Ok((key.trim_end(), value)),
        false => Err(refuse()),
    }
}

/// A value, unless it names a variable. Behind a backslash a `$` names none, and the backslash goes.
fn without_variables(value: &str, key: &str) -> Result<SecretString> {
    if !value.contains('$') {
        return Ok(Zeroizing::new(value.to_owned()));
    }
    let variable = Regex::new(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?")
        .map_err(|error| Error::new(Kind::Other, "a pattern cannot be used").caused_by(error))?;
    let is_named = |found: &Captures<'_>| found.get(1).is_none() && found.get(2).is_some();
    if variable.captures_iter(value).any(|found| is_named(&found)) {
        let message = format!("in the value of {key}, KSOPS would replace `$...` with a variable");
        return Err(Error::new(Kind::Read, message)
            .advise("To keep it as it is, put the value in single quotes: `sealant edit FILE`."));
    }
    let bare = |found: &Captures<'_>| found[0].strip_prefix('\\').unwrap_or(&found[0]).to_owned();
    Ok(Zeroizing::new(variable.replace_all(value, bare).into_owned()))
}

/// A value in double quotes, its escapes resolved but for that of a `$`.
fn unescaped(value: &str) -> SecretString {
    let mut out = Zeroizing::new(String::with_capacity(value.len()));
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('$')) => out.push_str("\\$"),
            ('\\', Some(other)) => out.push(other),
            (other, _) => {
                out.push(other);
                continue;
            }
        }
        characters.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>> {
        let values = values(&Zeroizing::new(text.as_bytes().to_vec()))?;
        let text = |bytes: SecretBytes| String::from_utf8(bytes.to_vec()).unwrap();
        Ok(values.into_iter().map(|(key, value)| (key, text(value))).collect())
    }

    #[test]
    fn values_are_those_of_godotenv() {
        let text = "# note\n\nA=1\nexport B = two words # said\nC='x \\n $HOME'\nD=\"a\\nb\\\"c\"\r\nE=\nF: y\nG=a#b\nJ=a\\$B\nK=\"a\\$B\" # said\nL='a' M=b\nH=\"two\nlines\"\nI=pa$$word";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x \\n $HOME"),
            ("D", "a\nb\"c"),
            ("E", ""),
            ("F", "y"),
            ("G", "a#b"),
            ("J", "a$B"),
            ("K", "a$B"),
            ("L", "a"),
            ("M", "b"),
            ("H", "two\nlines"),
            ("I", "pa$$word"),
        ];
        assert_eq!(read(text).unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_would_change_a_password_is_refused_without_showing_it() {
        for value in ["hunter$HOME", "\"${X}hunter\"", "$(HUNTER)", "hunter$2"] {
            let error = read(&format!("A=1\nP={value}\n")).unwrap_err();
            assert_eq!(error.line(), Some(2), "{error}");
            assert!(error.to_string().contains("the value of P") && !error.to_string().contains("unter"));
        }
        // Where its reader stops, no value is cut off.
        for value in ["\"a\"hunter\"", "'a'hunter'", "\"\"\"hunter\"\"\"", "'a'hunter # c", "a\rhunter"] {
            let error = read(&format!("A=1\nP={value}\n")).unwrap_err();
            assert!(!error.to_string().contains("unter"), "{error}");
        }
        assert!(read("A\n").is_err());
        assert!(read("A='x\n").unwrap_err().to_string().contains("not closed"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([ab#=:'\"\\\\$ \n{é]|export |\r\n){0,40}") {
            let _ = read(&text);
        }
    }
}
