//! The values of a decrypted dotenv file as KSOPS puts them into a Secret, which reads it by godotenv.
//!
//! Unlike sops, that takes quotes off and comments away. It also puts other variables into values, which breaks every
//! password with a `$`; where it would, we refuse instead.

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::{SecretBytes, SecretString};

/// The variables of a file, in its order.
pub(super) fn values(file: &SecretBytes) -> Result<Vec<(String, SecretBytes)>> {
    let text = std::str::from_utf8(file).map_err(|_| Error::new(Kind::Read, "this is no text"))?;
    let mut values = Vec::new();
    let mut rest = text;
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

/// The first variable of a text, and what follows it.
fn statement(text: &str) -> Result<(&str, SecretString, &str)> {
    let refuse = |message: &str| Error::new(Kind::Read, message.to_owned());
    let end = text.find(['=', ':', '\n']).filter(|&at| !text[at..].starts_with('\n'));
    let at = end.ok_or_else(|| refuse("this is no line `KEY=VALUE`"))?;
    let key = text[..at].trim();
    let key =
        key.strip_prefix("export").filter(|key| key.starts_with(char::is_whitespace)).unwrap_or(key).trim();
    let value = text[at + 1..].trim_start_matches([' ', '\t', '\r']);
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '\'' | '"')) else {
        let (line, rest) = value.split_once('\n').unwrap_or((value, ""));
        // The last ` #` of a line begins a comment.
        let comment = line.rmatch_indices('#').map(|(at, _)| at);
        let is_comment = |at: &usize| line[..*at].ends_with(char::is_whitespace);
        let line = comment.filter(|&at| at > 0).find(is_comment).map_or(line, |at| &line[..at]);
        return Ok((key, plain(line.trim(), key)?, rest));
    };
    let body = &value[1..];
    let closing = body.match_indices(quote).map(|(at, _)| at).find(|&at| !body[..at].ends_with('\\'));
    let closing = closing.ok_or_else(|| refuse(&format!("the quotes of {key} are not closed")))?;
    let inner = body[..closing].trim_matches(quote);
    let value = if quote == '"' { unescaped(&plain(inner, key)?) } else { Zeroizing::new(inner.to_owned()) };
    let rest = &body[closing + 1..];
    Ok((key, value, rest.split_once('\n').map_or("", |(_, rest)| rest)))
}

/// A value in which no variable is named.
fn plain(value: &str, key: &str) -> Result<SecretString> {
    let named = |(at, _): (usize, &str)| {
        let next = value[at + 1..].trim_start_matches(['(', '{']).bytes().next();
        let is_name =
            next.is_some_and(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        is_name || value[..at].ends_with('\\')
    };
    if value.match_indices('$').any(named) {
        let message = format!("in the value of {key}, KSOPS would put a variable in the place of `$...`");
        return Err(Error::new(Kind::Read, message)
            .advise("To have it as it is, put the value into single quotes: `sealant edit FILE`."));
    }
    Ok(Zeroizing::new(value.to_owned()))
}

/// A value in double quotes, its escapes resolved.
fn unescaped(value: &str) -> SecretString {
    let mut out = Zeroizing::new(String::with_capacity(value.len()));
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
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
        let text = "# note\n\nA=1\nexport B = two words # said\nC='x \\n $HOME'\nD=\"a\\nb\\\"c\"\r\nE=\nF: y\nG=a#b\nH=\"two\nlines\"\nI=pa$$word";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x \\n $HOME"),
            ("D", "a\nb\"c"),
            ("E", ""),
            ("F", "y"),
            ("G", "a#b"),
            ("H", "two\nlines"),
            ("I", "pa$$word"),
        ];
        assert_eq!(read(text).unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_would_change_a_password_is_refused_without_showing_it() {
        for value in ["hunter$HOME", "\"${X}hunter\"", "$(HUNTER)", "hunter\\$2"] {
            let error = read(&format!("A=1\nP={value}\n")).unwrap_err();
            assert_eq!(error.line(), Some(2), "{error}");
            assert!(error.to_string().contains("the value of P") && !error.to_string().contains("unter"));
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
