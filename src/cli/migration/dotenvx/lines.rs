//! The lines of a file of dotenvx, read as it reads them, and what they say as a dotenv file of sops, which knows neither quotes nor
//! comments behind a value.
//!
//! Format: `LINE` of dotenv, which dotenvx shares, and what dotenvx 2.38 does to a value: in quotes it takes `\n`, `\r` and `\t`
//! for what they mean, in all but single quotes it runs `$(...)`, and puts in variables where the value is not encrypted.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::{self, Format};
use crate::error::{Error, Kind, Result};
use crate::foreign::dotenvx;
use crate::secret::{SecretBytes, SecretString};

/// A line, or several where quotes hold them together.
pub enum Line<'t> {
    /// A comment, or an empty line.
    Kept(&'t str),
    /// What is of dotenvx alone.
    Dropped,
    Value(Value<'t>),
}

/// A value that has a name.
pub struct Value<'t> {
    pub key: &'t str,
    /// Without quotes.
    text: &'t str,
    quote: Option<char>,
    comment: Option<&'t str>,
    pub line: usize,
}

const PUBLIC_KEY: &str = "DOTENV_PUBLIC_KEY";

/// How the lines begin that dotenvx writes around a public key.
const BANNER: &str = "#/";

/// Reads a file.
pub fn read(text: &str) -> Result<Vec<Line<'_>>> {
    static START: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[ \t]*(?:export[ \t]+)?([\w.-]+)(?:[ \t]*=[ \t]*|:[ \t]+)").ok());
    let start = START.as_ref().ok_or_else(|| Error::new(Kind::Other, "a pattern cannot be used"))?;
    let (mut lines, mut rest, mut number) = (Vec::new(), text, 1);
    while !rest.is_empty() {
        let end = rest.find('\n').unwrap_or(rest.len());
        let first = rest[..end].trim_end_matches('\r');
        let mut taken = end;
        let trimmed = first.trim_start();
        lines.push(match start.captures(first) {
            _ if trimmed.starts_with(BANNER) => Line::Dropped,
            _ if trimmed.is_empty() || trimmed.starts_with('#') => Line::Kept(trimmed),
            Some(found) => {
                let key = found.get(1).map_or("", |key| key.as_str());
                let at = found.get(0).map_or(0, |start| start.end());
                let (value, length) = value(key, &rest[at..], number);
                taken = at + length;
                if key.starts_with(PUBLIC_KEY) { Line::Dropped } else { Line::Value(value) }
            }
            None => {
                return Err(Error::new(Kind::Read, "this is no KEY=VALUE, and dotenvx passes over it")
                    .on_line(number)
                    .advise("Remove the line, or put `#` before it."));
            }
        });
        number += 1 + rest[..taken].matches('\n').count();
        rest = rest[taken..].strip_prefix('\n').unwrap_or(&rest[taken..]);
    }
    Ok(lines)
}

/// The value that a text begins with, and how much of the text is its own, to the end of a line.
fn value<'t>(key: &'t str, text: &'t str, line: usize) -> (Value<'t>, usize) {
    let line_end = |from: usize| text[from..].find('\n').map_or(text.len(), |end| from + end);
    let comment = |rest: &'t str| rest.strip_prefix('#').map(|_| rest.trim_end());
    if let Some(quote) = text.chars().next().filter(|first| matches!(first, '\'' | '"' | '`')) {
        let ends =
            text[1..].match_indices(quote).map(|(at, _)| at + 1).filter(|&at| !text[..at].ends_with('\\'));
        if let Some(close) = ends.into_iter().next() {
            let end = line_end(close);
            let behind = text[close + 1..end].trim();
            if behind.is_empty() || behind.starts_with('#') {
                let value =
                    Value { key, text: &text[1..close], quote: Some(quote), comment: comment(behind), line };
                return (value, end);
            }
        }
    }
    let end = line_end(0);
    let (value, behind) = text[..end].split_at(text[..end].find('#').unwrap_or(end));
    (Value { key, text: value.trim(), quote: None, comment: comment(behind), line }, end)
}

impl Value<'_> {
    /// What is encrypted, if it is.
    pub fn ciphertext(&self) -> Result<Option<Vec<u8>>> {
        match (dotenvx::content(self.text), self.text.starts_with(dotenvx::MARK)) {
            (Some(content), _) => Ok(Some(content)),
            (None, false) => Ok(None),
            (None, true) => Err(self
                .refused("is a ciphertext that is cut off or broken")
                .advise("Restore the line from Git.")),
        }
    }

    /// What programs get that dotenvx starts. `opened` is what an encrypted one says.
    pub fn plaintext(&self, opened: Option<SecretBytes>) -> Result<SecretString> {
        let is_encrypted = opened.is_some();
        let text = match opened {
            Some(bytes) => {
                let text = std::str::from_utf8(&bytes).map_err(|_| self.refused("is no text in UTF-8"))?;
                SecretString::new(text.to_owned())
            }
            None if self.quote == Some('"') => {
                SecretString::new(self.text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t"))
            }
            None => SecretString::new(self.text.to_owned()),
        };
        let is_replaced = match (self.quote, is_encrypted) {
            (Some('\'' | '`'), _) if !is_encrypted => false,
            (Some('\''), _) => false,
            (_, true) => text.contains("$("),
            (_, false) => text.contains('$'),
        };
        if is_replaced {
            return Err(self
                .refused("has a `$`, which dotenvx replaces or runs when it reads the file")
                .advise(
                    "Write what it stands for: `dotenvx set KEY VALUE`, or put the value in single quotes.",
                ));
        }
        if text.contains("\\n") {
            return Err(self
                .refused("has the two characters \\n, which a dotenv file of sops takes for a line break")
                .advise("Move it to a file of another type, such as .env.yaml."));
        }
        Ok(text)
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(Kind::Emit, format!("the value of {} {why}", self.key)).on_line(self.line)
    }
}

/// The file as a dotenv file of sops, with these plaintexts of its values. What it says was read again.
pub fn written(lines: &[Line<'_>], plaintexts: &[SecretString]) -> Result<SecretBytes> {
    let mut parts: Vec<SecretString> = Vec::new();
    let mut values = plaintexts.iter();
    let mut wanted = Vec::new();
    for line in lines {
        match line {
            Line::Dropped => {}
            Line::Kept(text) => parts.push(SecretString::new(format!("{text}\n"))),
            Line::Value(Value { key, comment, .. }) => {
                let value = values.next().map_or("", |value| value.as_str());
                parts.extend(comment.map(|comment| SecretString::new(format!("{comment}\n"))));
                let spelled = SecretString::new(value.replace('\n', "\\n"));
                parts.push(SecretString::new([key, "=", &spelled, "\n"].concat()));
                wanted.push((*key, value));
            }
        }
    }
    // Empty lines that parted the banner from the rest.
    let first = parts.iter().position(|part| part.as_str() != "\n").unwrap_or(0);
    let parts = &parts[first..];
    let mut bytes = SecretBytes::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    let document = document::parse_any(Format::Dotenv, bytes.clone(), false)?;
    let tree = document.tree();
    let found = tree.documents().iter().flat_map(|root| tree.entries(*root));
    let found = found.map(|entry| Ok((tree[entry].key.get(document.source()), document.value(entry)?)));
    let found = found.collect::<Result<Vec<_>>>()?;
    let is_same = |(wanted, found): (&(&str, &str), &(&str, document::Value))| {
        wanted.0 == found.0 && Some(wanted.1) == found.1.as_str()
    };
    match found.len() == wanted.len() && wanted.iter().zip(&found).all(is_same) {
        true => Ok(bytes),
        false => Err(Error::new(Kind::Emit, "its values cannot be written as a dotenv file of sops")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(file: &str) -> Result<String> {
        let lines = read(file)?;
        let plaintexts = lines.iter().filter_map(|line| match line {
            Line::Value(value) => Some(value.plaintext(None)),
            _ => None,
        });
        let plaintexts = plaintexts.collect::<Result<Vec<_>>>()?;
        Ok(String::from_utf8(written(&lines, &plaintexts)?.to_vec()).unwrap())
    }

    #[test]
    fn values_are_those_of_dotenvx() {
        let file = "#/---\n#/ x /\n#/---\nDOTENV_PUBLIC_KEY=\"02ab\"\n\n# .env\nexport A=\"a\\nb\" # said\nB='a$X'\nJ=un quoted # c\nK=has#hash\n\
                    L=\"has # hash\"\nN=\"two\nlines\"\nH=\"q \\\"q\\\"\"\nE=\n Y: yaml\nU=\"open\nDOTENV_PUBLIC_KEY_X=1\nI=`x \"y\"`\r\nZ=1";
        let expected = "# .env\n# said\nA=a\\nb\nB=a$X\n# c\nJ=un quoted\n#hash\nK=has\nL=has # hash\nN=two\\nlines\nH=q \\\"q\\\"\nE=\n\
                        Y=yaml\nU=\"open\nI=x \"y\"\nZ=1\n";
        assert_eq!(text(file).unwrap(), expected);
        assert_eq!(text("").unwrap(), "");
    }

    #[test]
    fn what_dotenvx_would_replace_or_sops_reads_otherwise_is_refused_with_its_line() {
        for (file, line, why) in [
            ("A=1\nB=\"x$HOME\"\n", 2, "the value of B has a `$`"),
            ("A=\"1\n2\"\nB=$(id)\n", 3, "the value of B has a `$`"),
            ("B='a\\nb'\n", 1, "the two characters \\n"),
            ("A=1\nno value\n", 2, "this is no KEY=VALUE"),
        ] {
            let error = text(file).unwrap_err();
            assert_eq!(error.line(), Some(line), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
        let lines = read("A=\"encrypted:x\"\n").unwrap();
        let Line::Value(value) = &lines[0] else { panic!() };
        assert!(value.ciphertext().unwrap_err().to_string().contains("cut off or broken"));
        let run = value.plaintext(Some(SecretBytes::new(b"$(id)".to_vec()))).unwrap_err();
        assert!(run.to_string().contains("has a `$`"), "{run}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(file in "([ab#=:'\"`\\\\$ \n{é]|export |\r\n|encrypted:){0,40}") {
            let _ = text(&file);
        }
    }
}
