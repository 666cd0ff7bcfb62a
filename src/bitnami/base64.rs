//! Base64 as Go reads it: line breaks anywhere, padding required, the last bits whatever they are.

use crate::secret::SecretBytes;

/// The bytes of a text, or where it is no base64, as Go counts.
pub fn decode(text: &str) -> Result<SecretBytes, usize> {
    let bytes = text.as_bytes();
    let mut decoded = SecretBytes::new(Vec::with_capacity(bytes.len() / 4 * 3 + 3));
    let mut at = 0;
    while let Some((values, next)) = quantum(bytes, at)? {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| values.get(index).copied().unwrap_or_default());
        let joined = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
        let [_, all @ ..] = joined.to_be_bytes();
        decoded.extend_from_slice(all.get(..values.len() - 1).unwrap_or_default());
        at = next;
    }
    Ok(decoded)
}

/// The next two to four digits, and where it goes on; `None` at the end.
fn quantum(bytes: &[u8], mut at: usize) -> Result<Option<(Vec<u8>, usize)>, usize> {
    let mut values = Vec::with_capacity(4);
    while values.len() < 4 {
        let Some(byte) = bytes.get(at).copied() else {
            return if values.is_empty() { Ok(None) } else { Err(at - values.len()) };
        };
        at += 1;
        match (value(byte), byte) {
            (Some(value), _) => values.push(value),
            (None, b'\r' | b'\n') => {}
            (None, b'=') if values.len() >= 2 => {
                let end = end_of_padding(bytes, at, values.len())?;
                return Ok(Some((values, end)));
            }
            _ => return Err(at - 1),
        }
    }
    Ok(Some((values, at)))
}

/// Where a text ends whose padding has begun before this.
fn end_of_padding(bytes: &[u8], mut at: usize, digits: usize) -> Result<usize, usize> {
    if digits == 2 {
        at = after_breaks(bytes, at);
        match bytes.get(at) {
            None => return Err(bytes.len()),
            Some(b'=') => at += 1,
            Some(_) => return Err(at - 1),
        }
    }
    let end = after_breaks(bytes, at);
    if end < bytes.len() { Err(end) } else { Ok(end) }
}

fn after_breaks(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_takes_is_taken_and_what_it_refuses_is_refused_at_the_same_place() {
        let good = [
            ("", ""),
            ("YQ==", "a"),
            ("YWI=", "ab"),
            ("YWJj", "abc"),
            ("\nY\r\nW\nJ j".replace(' ', "").as_str(), "abc"),
            ("YR==", "a"),
            ("YQ=\n=\n", "a"),
        ]
        .map(|(text, bytes)| (text.to_owned(), bytes));
        for (text, bytes) in good {
            assert_eq!(decode(&text).as_deref().map(Vec::as_slice), Ok(bytes.as_bytes()), "{text:?}");
        }
        // What `encoding/base64` says of each.
        let bad = [
            ("Y", 0),
            ("YQ", 0),
            ("YQ=", 3),
            ("=", 0),
            ("Y===", 1),
            ("YQ=a", 2),
            ("YQ==YQ==", 4),
            ("YWJjY", 4),
            ("YW Jj", 2),
            ("YWJj-_", 4),
        ];
        for (text, at) in bad {
            assert_eq!(decode(text).map(|_| ()), Err(at), "{text:?}");
        }
    }
}
