//! base64, base32, JSON and checksums.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use super::super::error::Fault;
use super::super::json;
use super::super::run::Run;
use super::super::value::Value;
use super::{Any, Function, Result, Text, any, takes, text};
use crate::secret::SecretBytes;

pub const TABLE: &[Function] = &[
    takes("b64enc", &[Text], |run, values| {
        run.text(SecretBytes::new(BASE64.encode(text(values, 0)).into_bytes()))
    }),
    takes("b64dec", &[Text], |run, values| match base64_decode(text(values, 0)) {
        Ok(found) => run.text(found),
        Err(at) => run.copy(format!("illegal base64 data at input byte {at}").as_bytes()),
    }),
    takes("b32enc", &[Text], |run, values| run.text(base32_encode(text(values, 0)))),
    takes("b32dec", &[Text], |run, values| match base32_decode(text(values, 0)) {
        Ok(found) => run.text(found),
        Err(at) => run.copy(format!("illegal base32 data at input byte {at}").as_bytes()),
    }),
    takes("sha1sum", &[Text], hash::<Sha1>),
    takes("sha256sum", &[Text], hash::<Sha256>),
    takes("sha512sum", &[Text], hash::<Sha512>),
    takes("adler32sum", &[Text], |run, values| {
        let (mut low, mut high) = (1u32, 0u32);
        for byte in text(values, 0) {
            low = (low + u32::from(*byte)) % 65521;
            high = (high + low) % 65521;
        }
        run.copy((high << 16 | low).to_string().as_bytes())
    }),
    takes("toJson", &[Any], |run, values| write(run, values, Style::Html, false)),
    takes("mustToJson", &[Any], |run, values| write(run, values, Style::Html, true)),
    takes("toPrettyJson", &[Any], |run, values| write(run, values, Style::Pretty, false)),
    takes("mustToPrettyJson", &[Any], |run, values| write(run, values, Style::Pretty, true)),
    takes("toRawJson", &[Any], |run, values| write(run, values, Style::Raw, true)),
    takes("mustToRawJson", &[Any], |run, values| write(run, values, Style::Raw, true)),
    takes("fromJson", &[Text], |run, values| Ok(json::parse(run, text(values, 0))?.value)),
    takes("mustFromJson", &[Text], |run, values| {
        let found = json::parse(run, text(values, 0))?;
        if found.is_whole { Ok(found.value) } else { Err(Fault::value("got a text that is not JSON")) }
    }),
];

pub use json::Style;

fn write(run: &mut Run, values: &[Value], style: Style, must: bool) -> Result {
    let mut out = run.buffer();
    match json::write(run, &mut out, &any(values, 0), style)? {
        true => run.written(out),
        false if must => Err(Fault::value("got a number that JSON does not have")),
        false => run.copy(b""),
    }
}

fn hash<D: Digest>(run: &mut Run, values: &[Value]) -> Result {
    let digest = D::digest(text(values, 0));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    run.text(SecretBytes::new(hex.into_bytes()))
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Decodes base64 as Go does: line breaks may be anywhere. The error is the position of the first wrong byte.
fn base64_decode(text: &[u8]) -> Result<SecretBytes, usize> {
    let plain =
        SecretBytes::new(text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect());
    match BASE64.decode(&*plain) {
        Ok(found) => Ok(SecretBytes::new(found)),
        Err(_) => Err(base64_fault(text)),
    }
}

/// Where Go says that base64 is wrong: `decodeQuantum` of `encoding/base64`.
fn base64_fault(text: &[u8]) -> usize {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_break = |byte: u8| matches!(byte, b'\r' | b'\n');
    let mut at = 0;
    loop {
        let mut count = 0;
        while count < 4 {
            let Some(&byte) = text.get(at) else {
                return at - count;
            };
            at += 1;
            if is_digit(byte) {
                count += 1;
            } else if !is_break(byte) {
                let skip = |mut at: usize| {
                    while text.get(at).copied().is_some_and(is_break) {
                        at += 1;
                    }
                    at
                };
                if byte != b'=' || count < 2 {
                    return at - 1;
                }
                if count == 2 {
                    at = skip(at);
                    match text.get(at) {
                        None => return text.len(),
                        Some(b'=') => at += 1,
                        Some(_) => return at - 1,
                    }
                }
                return skip(at);
            }
        }
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32_encode(text: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::new(Vec::with_capacity(text.len().div_ceil(5) * 8));
    for chunk in text.chunks(5) {
        let mut bytes = [0; 5];
        bytes[..chunk.len()].copy_from_slice(chunk);
        let bits = bytes.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let digits = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or_default();
            out.push(if index < digits { BASE32[digit] } else { b'=' });
        }
    }
    out
}

/// Decodes base32 as `encoding/base32` does. The error is the position of the first wrong byte.
fn base32_decode(text: &[u8]) -> Result<SecretBytes, usize> {
    let text: SecretBytes =
        SecretBytes::new(text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect());
    let mut out = SecretBytes::new(Vec::with_capacity(text.len() / 8 * 5 + 5));
    let mut rest = text.as_slice();
    let mut is_end = false;
    while !rest.is_empty() && !is_end {
        let mut digits = [0u8; 8];
        let mut length = 8;
        let mut index = 0;
        while index < 8 {
            let Some((&byte, after)) = rest.split_first() else {
                return Err(text.len() - rest.len() - index);
            };
            rest = after;
            if byte == b'=' && index >= 2 && rest.len() < 8 {
                if rest.len() + index < 7 {
                    return Err(text.len());
                }
                for k in 0..7 - index {
                    if rest.get(k).is_some_and(|byte| *byte != b'=') {
                        return Err(text.len() - rest.len() + k - 1);
                    }
                }
                length = index;
                is_end = true;
                if matches!(length, 1 | 3 | 6) {
                    return Err(text.len() - rest.len() - 1);
                }
                break;
            }
            let digit = BASE32.iter().position(|known| *known == byte);
            let Some(digit) = digit else { return Err(text.len() - rest.len() - 1) };
            digits[index] = u8::try_from(digit).unwrap_or_default();
            index += 1;
        }
        let bits = digits.iter().fold(0u64, |bits, digit| bits << 5 | u64::from(*digit));
        let bytes = bits.to_be_bytes();
        out.extend_from_slice(&bytes[3..3 + length * 5 / 8]);
    }
    Ok(out)
}
