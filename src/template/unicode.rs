//! Characters as Go's `unicode` knows them, for which a character is always mapped to one.
//!
//! Go 1.26 knows Unicode 15, and this program a newer one: of letters that came later, each knows what its Unicode says.

use std::sync::LazyLock;

use regex::Regex;

macro_rules! class {
    ($name:ident, $class:literal, $ascii:expr) => {
        pub fn $name(char: char) -> bool {
            static CLASS: LazyLock<Option<Regex>> =
                LazyLock::new(|| Regex::new(concat!("^[", $class, "]$")).ok());
            if char.is_ascii() {
                let is_ascii: fn(&char) -> bool = $ascii;
                return is_ascii(&char);
            }
            CLASS.as_ref().is_some_and(|class| class.is_match(char.encode_utf8(&mut [0; 4])))
        }
    };
}

class!(is_letter, r"\p{L}", char::is_ascii_alphabetic);
class!(is_digit, r"\p{Nd}", char::is_ascii_digit);
class!(is_number, r"\p{N}", char::is_ascii_digit);
class!(is_upper, r"\p{Lu}", char::is_ascii_uppercase);
class!(is_lower, r"\p{Ll}", char::is_ascii_lowercase);
class!(is_title, r"\p{Lt}", |_| false);
class!(is_punct, r"\p{P}", |char| {
    char.is_ascii_punctuation() && !matches!(char, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
});
class!(is_print, r"\p{L}\p{M}\p{N}\p{P}\p{S}", |char| matches!(char, ' '..='~'));

pub fn is_space(char: char) -> bool {
    char.is_whitespace()
}

fn one(char: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => char,
    }
}

pub fn to_upper(char: char) -> char {
    match char {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(char) + 8).unwrap_or(char)
        }
        '\u{1fb3}' => '\u{1fbc}',
        '\u{1fc3}' => '\u{1fcc}',
        '\u{1ff3}' => '\u{1ffc}',
        _ => one(char, char.to_uppercase()),
    }
}

pub fn to_lower(char: char) -> char {
    if char == 'İ' { 'i' } else { one(char, char.to_lowercase()) }
}

pub fn to_title(char: char) -> char {
    match char {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        '\u{10d0}'..='\u{10ff}' => char,
        _ => to_upper(char),
    }
}
