//! Texts as Go has them: bytes, of which most are UTF-8; and how they are quoted.

use super::buffer::Buffer;
use super::unicode::is_print;

/// The characters of a text, each with its length; a byte that is not UTF-8 is U+FFFD, with a length of one.
pub fn chars(text: &[u8]) -> Chars<'_> {
    Chars { rest: text }
}

pub struct Chars<'t> {
    rest: &'t [u8],
}

impl Iterator for Chars<'_> {
    type Item = (char, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.rest.first()?;
        if first < 0x80 {
            self.rest = &self.rest[1..];
            return Some((char::from(first), 1));
        }
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let found = self.rest.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (char, length) = match found.and_then(|text| text.chars().next()) {
            Some(char) => (char, length),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        self.rest = &self.rest[length..];
        Some((char, length))
    }
}

pub fn count_chars(text: &[u8]) -> usize {
    chars(text).count()
}

pub fn push_char(text: &mut Vec<u8>, char: char) {
    text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The first character of a text in quotes, and whether it is one, or a byte; and what comes after.
pub fn unescape(text: &str, quote: char) -> Option<(u32, bool, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote {
        return None;
    }
    if first != '\\' {
        return Some((u32::from(first), true, chars.as_str()));
    }
    let escaped = chars.next()?;
    let rest = chars.as_str();
    let digits = |length: usize, base: u32| {
        let digits = rest.get(..length)?;
        let is_digits = digits.chars().all(|char| char.is_digit(base));
        let value = u32::from_str_radix(digits, base).ok().filter(|_| is_digits)?;
        Some((value, rest.get(length..)?))
    };
    let simple = |char: char| Some((u32::from(char), false, rest));
    match escaped {
        'a' => simple('\x07'),
        'b' => simple('\x08'),
        'f' => simple('\x0c'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\x0b'),
        'x' => digits(2, 16).map(|(value, rest)| (value, false, rest)),
        'u' | 'U' => {
            let (value, rest) = digits(if escaped == 'u' { 4 } else { 8 }, 16)?;
            char::from_u32(value)?;
            Some((value, true, rest))
        }
        '0'..='7' => {
            let (low, rest) = digits(2, 8)?;
            let value = (escaped.to_digit(8)? << 6) | low;
            (value < 256).then_some((value, false, rest))
        }
        '\\' => simple('\\'),
        '\'' | '"' if escaped == quote => simple(quote),
        _ => None,
    }
}

/// Writes a text in quotes, as `%q` does; with only ASCII, as `%+q` does.
pub fn quote(out: &mut Buffer, text: &[u8], only_ascii: bool) {
    out.push(b"\"");
    let mut at = 0;
    for (char, length) in chars(text) {
        if char == char::REPLACEMENT_CHARACTER && length == 1 {
            out.push(format!("\\x{:02x}", text[at]).as_bytes());
        } else {
            escape(out, char, '"', only_ascii);
        }
        at += length;
    }
    out.push(b"\"");
}

/// Writes a character in quotes.
pub fn quote_char(out: &mut Buffer, char: char, only_ascii: bool) {
    out.push(b"'");
    escape(out, char, '\'', only_ascii);
    out.push(b"'");
}

fn escape(out: &mut Buffer, char: char, quote: char, only_ascii: bool) {
    let code = u32::from(char);
    if char == quote || char == '\\' {
        out.push(b"\\");
        out.push_char(char);
    } else if is_print(char) && (char.is_ascii() || !only_ascii) {
        out.push_char(char);
    } else {
        let short = match char {
            '\x07' => 'a',
            '\x08' => 'b',
            '\x0c' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\x0b' => 'v',
            _ => {
                let escaped = match code {
                    0..0x20 | 0x7f => format!("\\x{code:02x}"),
                    0x20..0x10000 => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                };
                return out.push(escaped.as_bytes());
            }
        };
        out.push(b"\\");
        out.push_char(short);
    }
}

/// Whether a text can be between backquotes.
pub fn fits_backquotes(text: &[u8]) -> bool {
    chars(text).all(|(char, length)| match length {
        1 => {
            char != char::REPLACEMENT_CHARACTER
                && (char >= ' ' || char == '\t')
                && char != '`'
                && char != '\x7f'
        }
        _ => char != '\u{feff}',
    })
}
