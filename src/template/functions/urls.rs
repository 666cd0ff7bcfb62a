//! Addresses, as `net/url` reads and writes them.

use std::net::Ipv6Addr;

use memchr::memchr;

use super::super::buffer::Buffer;
use super::super::error::Fault;
use super::super::value::{Dict, Entries, Of, Text as Str, Value};
use super::{Function, Param, Result, Text, dict, takes, text};
use crate::secret::SecretBytes;

pub const TABLE: &[Function] = &[
    takes("urlParse", &[Text], |run, values| {
        let url = Url::parse(text(values, 0)).ok_or(BAD)?;
        let parts = [
            ("scheme", &url.scheme),
            ("host", &url.host),
            ("hostname", &SecretBytes::new(host_name(&url.host).to_vec())),
            ("path", &url.path),
            ("query", &url.query),
            ("opaque", &url.opaque),
            ("fragment", &url.fragment),
            ("userinfo", &url.user.as_ref().map(|user| user.written()).unwrap_or_default()),
        ];
        let mut entries = Entries::new();
        for (name, part) in parts {
            entries.insert(Str::new(SecretBytes::new(name.as_bytes().to_vec())), run.copy(part)?);
        }
        run.dict(Of::Any, entries)
    }),
    takes("urlJoin", &[Param::Dict], |run, values| {
        let dict = dict(values, 0);
        let mut url = Url {
            scheme: part(&dict, b"scheme")?,
            host: part(&dict, b"host")?,
            path: part(&dict, b"path")?,
            query: part(&dict, b"query")?,
            opaque: part(&dict, b"opaque")?,
            fragment: part(&dict, b"fragment")?,
            ..Url::default()
        };
        let user = part(&dict, b"userinfo")?;
        if !user.is_empty() {
            let address = SecretBytes::new([b"proto://", user.as_slice(), b"@host"].concat());
            url.user = Url::parse(&address).ok_or(BAD)?.user;
        }
        let mut out = run.buffer();
        url.write(&mut out);
        run.written(out)
    }),
];

const BAD: Fault = Fault::value("got a text that is not an address");

fn part(dict: &Dict, name: &[u8]) -> Result<SecretBytes> {
    match dict.get(name) {
        None => Ok(SecretBytes::default()),
        Some(Value::Text(text)) => Ok(SecretBytes::new(text.bytes().to_vec())),
        Some(_) => Err(Fault::value("got a part of an address that is not a text")),
    }
}

/// The parts of an address, in which other characters are plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    Zone,
    User,
    Query,
    Fragment,
}

fn is_plain(byte: u8, place: Place) -> bool {
    use Place::{Fragment, Host, Path, Query, Zone};
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => true,
        b'$' | b'&' | b'+' | b'=' => place != Query,
        b',' | b';' => place != Query,
        b':' => matches!(place, Path | Host | Zone | Fragment),
        b'/' => matches!(place, Path | Fragment),
        b'@' => matches!(place, Path | Fragment),
        b'?' => place == Fragment,
        b'!' | b'(' | b')' | b'*' => matches!(place, Host | Zone | Fragment),
        b'"' | b'\'' | b'<' | b'>' | b'[' | b']' => matches!(place, Host | Zone),
        _ => false,
    }
}

fn escape(out: &mut Buffer, text: &[u8], place: Place) {
    for byte in text {
        match byte {
            b' ' if place == Place::Query => out.push(b"+"),
            _ if is_plain(*byte, place) => out.push(&[*byte]),
            _ => out.push(format!("%{byte:02X}").as_bytes()),
        }
    }
}

fn escaped(text: &[u8], place: Place) -> SecretBytes {
    let mut out = Buffer::new(text.len() * 3);
    escape(&mut out, text, place);
    out.finish().unwrap_or_default()
}

/// `url.QueryEscape`
pub fn escape_query(out: &mut Buffer, text: &[u8]) {
    escape(out, text, Place::Query);
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn unescape(text: &[u8], place: Place) -> Option<SecretBytes> {
    let mut out = SecretBytes::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'%' {
            if matches!(place, Place::Host | Place::Zone) && byte < 0x80 && !is_plain(byte, place) {
                return None;
            }
            out.push(byte);
            at += 1;
            continue;
        }
        let high = hex(*text.get(at + 1)?)?;
        let value = high << 4 | hex(*text.get(at + 2)?)?;
        let is_percent = value == b'%';
        if place == Place::Host && high < 8 && !is_percent {
            return None;
        }
        if place == Place::Zone && !is_percent && value != b' ' && !is_plain(value, Place::Host) {
            return None;
        }
        out.push(value);
        at += 3;
    }
    Some(out)
}

#[derive(Default)]
struct User {
    name: SecretBytes,
    password: Option<SecretBytes>,
}

impl User {
    fn written(&self) -> SecretBytes {
        let name = escaped(&self.name, Place::User);
        match &self.password {
            None => name,
            Some(password) => {
                SecretBytes::new([name.as_slice(), b":", &escaped(password, Place::User)].concat())
            }
        }
    }
}

/// An address in its parts.
#[derive(Default)]
struct Url {
    scheme: SecretBytes,
    opaque: SecretBytes,
    user: Option<User>,
    host: SecretBytes,
    path: SecretBytes,
    query: SecretBytes,
    fragment: SecretBytes,
}

fn cut(text: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match memchr(byte, text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

fn bytes(text: &[u8]) -> SecretBytes {
    SecretBytes::new(text.to_vec())
}

/// The scheme, if there is one, and what follows it.
fn scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Some((b"", text))
}

impl Url {
    /// `url.Parse`
    fn parse(text: &[u8]) -> Option<Self> {
        let (text, fragment) = cut(text, b'#');
        let mut url = Self::parse_before_fragment(text)?;
        url.fragment = unescape(fragment, Place::Fragment)?;
        Some(url)
    }

    fn parse_before_fragment(text: &[u8]) -> Option<Self> {
        let mut url = Self::default();
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return None;
        }
        if text == b"*" {
            url.path = bytes(text);
            return Some(url);
        }
        let (scheme, rest) = scheme(text)?;
        url.scheme = SecretBytes::new(scheme.to_ascii_lowercase());
        let (mut rest, query) = cut(rest, b'?');
        url.query = bytes(query);
        if !rest.starts_with(b"/") {
            if !scheme.is_empty() {
                url.opaque = bytes(rest);
                return Some(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return None;
            }
        }
        let has_authority = (!scheme.is_empty() || !rest.starts_with(b"///")) && rest.starts_with(b"//");
        if has_authority {
            let authority = &rest[2..];
            let end = memchr(b'/', authority).unwrap_or(authority.len());
            rest = &authority[end..];
            url.authority(&authority[..end])?;
        }
        url.path = unescape(rest, Place::Path)?;
        Some(url)
    }

    fn authority(&mut self, text: &[u8]) -> Option<()> {
        let Some(at) = text.iter().rposition(|byte| *byte == b'@') else {
            self.host = host(&self.scheme, text)?;
            return Some(());
        };
        self.host = host(&self.scheme, &text[at + 1..])?;
        let user = &text[..at];
        let fits =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%".contains(byte) || *byte == b'@';
        if !user.iter().all(fits) {
            return None;
        }
        let (name, password) = cut(user, b':');
        let password = match user.contains(&b':') {
            true => Some(unescape(password, Place::User)?),
            false => None,
        };
        self.user = Some(User { name: unescape(name, Place::User)?, password });
        Some(())
    }

    /// `url.URL.String`
    fn write(&self, out: &mut Buffer) {
        if !self.scheme.is_empty() {
            out.push(&self.scheme);
            out.push(b":");
        }
        if self.opaque.is_empty() {
            let has_authority = !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some();
            if has_authority {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.push(b"//");
                }
                if let Some(user) = &self.user {
                    out.push(&user.written());
                    out.push(b"@");
                }
                escape(out, &self.host, Place::Host);
            }
            let path = if *self.path == b"*" { bytes(b"*") } else { escaped(&self.path, Place::Path) };
            if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
                out.push(b"/");
            }
            if out.len() == 0 && cut(&path, b'/').0.contains(&b':') {
                out.push(b"./");
            }
            out.push(&path);
        } else {
            out.push(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b"?");
            out.push(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b"#");
            escape(out, &self.fragment, Place::Fragment);
        }
    }
}

fn is_port(text: &[u8]) -> bool {
    match text.split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

fn host(scheme: &[u8], text: &[u8]) -> Option<SecretBytes> {
    match text.iter().rposition(|byte| *byte == b'[') {
        Some(0) => {
            let close = text.iter().rposition(|byte| *byte == b']')?;
            let port = &text[close + 1..];
            if !is_port(port) {
                return None;
            }
            let name = &text[1..close];
            let name = match name.windows(3).position(|part| part == b"%25") {
                Some(zone) => {
                    let mut whole = unescape(&name[..zone], Place::Host)?;
                    whole.extend_from_slice(&unescape(&name[zone..], Place::Zone)?);
                    whole
                }
                None => unescape(name, Place::Host)?,
            };
            let (address, zone) = cut(&name, b'%');
            std::str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
            if name.contains(&b'%') && zone.is_empty() {
                return None;
            }
            Some(SecretBytes::new([b"[", name.as_slice(), b"]", port].concat()))
        }
        Some(_) => None,
        None => {
            if let Some(first) = memchr(b':', text) {
                let last = text.iter().rposition(|byte| *byte == b':').unwrap_or(first);
                let is_strict = matches!(scheme, b"http" | b"https");
                if !is_port(&text[if is_strict { first } else { last }..]) {
                    return None;
                }
            }
            unescape(text, Place::Host)
        }
    }
}

/// Without the port, and without brackets.
fn host_name(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|byte| *byte == b':').filter(|colon| is_port(&host[*colon..]));
    let name = colon.map_or(host, |colon| &host[..colon]);
    name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name)
}
