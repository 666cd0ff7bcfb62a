//! JSON as `encoding/json` reads and writes it. Not by `serde_json`: numbers are floats with Go's last digit, texts are bytes,
//! which may not be UTF-8, and nesting too deep is an error.

use super::buffer::Buffer;
use super::error::Fault;
use super::numbers::{Precision, format_float, parse_float};
use super::run::{Run, TOO_DEEP};
use super::text::chars;
use super::value::{Entries, Of, Value};
use crate::secret::SecretBytes;

/// How deep it may go.
const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// With `<`, `>` and `&` as escapes.
    Html,
    /// The same over many lines.
    Pretty,
    Raw,
}

/// Writes a value; false for one that JSON has not.
pub fn write(run: &mut Run, out: &mut Buffer, value: &Value, style: Style) -> Result<bool, Fault> {
    Writer { run, out, style }.value(value, 0)
}

struct Writer<'r> {
    run: &'r mut Run,
    out: &'r mut Buffer,
    style: Style,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<bool, Fault> {
        self.run.step()?;
        if depth > MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        if self.out.is_over() {
            return Ok(true);
        }
        match value {
            Value::Missing | Value::Nil => self.out.push(b"null"),
            Value::Bool(value) => self.out.push(value.to_string().as_bytes()),
            Value::Int(value) | Value::Int64(value) => self.out.push(value.to_string().as_bytes()),
            Value::Byte(value) => self.out.push(value.to_string().as_bytes()),
            Value::Uint64(value) => self.out.push(value.to_string().as_bytes()),
            Value::Float(value) if !value.is_finite() => return Ok(false),
            Value::Float(value) => self.out.push(float(*value).as_bytes()),
            Value::Text(text) => self.text(text.bytes()),
            Value::Version(version) => self.text(version.to_string().as_bytes()),
            Value::List(list) if list.items.is_none() => self.out.push(b"null"),
            Value::List(list) => {
                self.out.push(b"[");
                let items = list.to_vec();
                for (index, item) in items.iter().enumerate() {
                    self.line(index > 0, depth + 1);
                    if !self.value(item, depth + 1)? {
                        return Ok(false);
                    }
                }
                self.end(items.is_empty(), depth);
                self.out.push(b"]");
            }
            Value::Dict(dict) if dict.entries.is_none() => self.out.push(b"null"),
            Value::Dict(dict) => {
                self.out.push(b"{");
                let entries = dict.to_vec();
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.line(index > 0, depth + 1);
                    self.text(key.bytes());
                    self.out.push(if self.style == Style::Pretty { b": " } else { b":" });
                    if !self.value(value, depth + 1)? {
                        return Ok(false);
                    }
                }
                self.end(entries.is_empty(), depth);
                self.out.push(b"}");
            }
        }
        Ok(true)
    }

    fn line(&mut self, is_next: bool, depth: usize) {
        if is_next {
            self.out.push(b",");
        }
        if self.style == Style::Pretty {
            self.out.push(b"\n");
            self.out.push_times(b"  ", depth);
        }
    }

    fn end(&mut self, is_empty: bool, depth: usize) {
        if !is_empty {
            self.line(false, depth);
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b"\"");
        let mut at = 0;
        for (char, length) in chars(text) {
            let bytes = &text[at..at + length];
            at += length;
            let escaped = match char {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\u{2028}' => "\\u2028",
                '\u{2029}' => "\\u2029",
                char::REPLACEMENT_CHARACTER if length == 1 => "\\ufffd",
                '\0'..='\x1f' | '<' | '>' | '&' if char < ' ' || self.style != Style::Raw => {
                    self.out.push(format!("\\u{:04x}", u32::from(char)).as_bytes());
                    continue;
                }
                _ => {
                    self.out.push(bytes);
                    continue;
                }
            };
            self.out.push(escaped.as_bytes());
        }
        self.out.push(b"\"");
    }
}

fn float(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format_float(value, 'f', Precision::Shortest);
    }
    let text = format_float(value, 'e', Precision::Shortest);
    // e-09 is e-9 there.
    match text.rsplit_once("e-0") {
        Some((digits, exponent)) => format!("{digits}e-{exponent}"),
        None => text,
    }
}

/// What was read, and whether all of it could be.
pub struct Parsed {
    pub value: Value,
    pub is_whole: bool,
}

/// Reads a text: nothing, if it is no JSON.
pub fn parse(run: &mut Run, text: &[u8]) -> Result<Parsed, Fault> {
    let mut parser = Parser { run, text, at: 0, has_overflow: false };
    let value = parser.value(0);
    parser.skip();
    let is_end = parser.at == text.len();
    let has_overflow = parser.has_overflow;
    match value {
        Ok(value) if is_end => Ok(Parsed { value, is_whole: !has_overflow }),
        Ok(_) | Err(Stop::Syntax) => Ok(Parsed { value: Value::Nil, is_whole: false }),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

enum Stop {
    Syntax,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

struct Parser<'r> {
    run: &'r mut Run,
    text: &'r [u8],
    at: usize,
    has_overflow: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, Stop> {
        if !self.text.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err(Stop::Syntax);
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        self.run.step()?;
        if depth > MAX_DEPTH {
            return Err(TOO_DEEP.into());
        }
        self.skip();
        match self.peek() {
            Some(b'n') => self.word(b"null", Value::Nil),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'"') => {
                let text = self.string()?;
                Ok(self.run.text(text)?)
            }
            Some(b'[') => self.list(depth),
            Some(b'{') => self.dict(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(Stop::Syntax),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stop> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip();
        if !self.take(b']') {
            loop {
                items.push(self.value(depth + 1)?);
                self.skip();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(Stop::Syntax);
                }
            }
        }
        Ok(self.run.list(Of::Any, items)?)
    }

    fn dict(&mut self, depth: usize) -> Result<Value, Stop> {
        self.at += 1;
        let mut entries = Entries::new();
        self.skip();
        if !self.take(b'}') {
            loop {
                self.skip();
                if self.peek() != Some(b'"') {
                    return Err(Stop::Syntax);
                }
                let key = self.string()?;
                let key = self.run.raw_text(key)?;
                self.skip();
                if !self.take(b':') {
                    return Err(Stop::Syntax);
                }
                let value = self.value(depth + 1)?;
                entries.insert(key, value);
                self.skip();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(Stop::Syntax);
                }
            }
        }
        Ok(self.run.dict(Of::Any, entries)?)
    }

    fn digits(&mut self) -> bool {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > begin
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let begin = self.at;
        self.take(b'-');
        if !self.take(b'0') && !self.digits() {
            return Err(Stop::Syntax);
        }
        if self.take(b'.') && !self.digits() {
            return Err(Stop::Syntax);
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if !self.digits() {
                return Err(Stop::Syntax);
            }
        }
        match parse_float(&self.text[begin..self.at]) {
            Some(float) => Ok(Value::Float(float)),
            None => {
                self.has_overflow = true;
                Ok(Value::Nil)
            }
        }
    }

    fn string(&mut self) -> Result<SecretBytes, Stop> {
        self.at += 1;
        let mut out = self.run.buffer();
        loop {
            let byte = self.peek().ok_or(Stop::Syntax)?;
            match byte {
                b'"' => {
                    self.at += 1;
                    break;
                }
                b'\\' => self.escape(&mut out)?,
                0..0x20 => return Err(Stop::Syntax),
                _ => {
                    let (char, length) = chars(&self.text[self.at..]).next().ok_or(Stop::Syntax)?;
                    out.push_char(char);
                    self.at += length;
                }
            }
        }
        Ok(out.finish()?)
    }

    fn escape(&mut self, out: &mut Buffer) -> Result<(), Stop> {
        let kind = self.text.get(self.at + 1).copied().ok_or(Stop::Syntax)?;
        let char = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex(self.at).ok_or(Stop::Syntax)?;
                self.at += 6;
                let low = if (0xd800..0xdc00).contains(&high) { self.hex(self.at) } else { None };
                let char = match low.filter(|low| (0xdc00..0xe000).contains(low)) {
                    Some(low) => {
                        self.at += 6;
                        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                    }
                    None => char::from_u32(high),
                };
                out.push_char(char.unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(());
            }
            _ => return Err(Stop::Syntax),
        };
        self.at += 2;
        out.push_char(char);
        Ok(())
    }

    /// The number of `\uXXXX`.
    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let digits = std::str::from_utf8(digits).ok()?;
        u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }
}
