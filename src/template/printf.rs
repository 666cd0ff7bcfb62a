//! How values are written: Go's `fmt`, of which `print`, `printf` and `{{ .x }}` are made.

use super::buffer::Buffer;
use super::error::Fault;
use super::numbers::{Precision, format_binary, format_float, format_hex};
use super::run::{Run, TOO_DEEP};
use super::text::{chars, count_chars, fits_backquotes, quote, quote_char};
use super::unicode::is_print;
use super::value::{Dict, List, Value};

/// How deep a value may be.
const MAX_DEPTH: usize = 200;

/// The largest width and precision that Go takes.
const MAX_WIDTH: i64 = 1_000_000;

/// A value as `{{ }}` writes it.
pub fn print_value(run: &mut Run, out: &mut Buffer, value: &Value) -> Result<(), Fault> {
    match value {
        Value::Missing => out.push(b"<no value>"),
        Value::Text(text) => out.push(text.bytes()),
        _ => Printer::new(run, out).argument(value, 'v')?,
    }
    Ok(())
}

/// `fmt.Sprint`: a space between two of which neither is a text.
pub fn print(run: &mut Run, out: &mut Buffer, values: &[Value]) -> Result<(), Fault> {
    let mut was_text = false;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if index > 0 && !is_text && !was_text {
            out.push(b" ");
        }
        Printer::new(run, out).argument(value, 'v')?;
        was_text = is_text;
    }
    Ok(())
}

/// `fmt.Sprintln`
pub fn println(run: &mut Run, out: &mut Buffer, values: &[Value]) -> Result<(), Fault> {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b" ");
        }
        Printer::new(run, out).argument(value, 'v')?;
    }
    out.push(b"\n");
    Ok(())
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%#v`: as Go source has it.
    source: bool,
}

struct Printer<'r> {
    run: &'r mut Run,
    out: &'r mut Buffer,
    flags: Flags,
    /// Within `%!d(string=…)`: a version is written as its fields there.
    is_bad: bool,
}

/// Where in a format it is, and at which argument.
struct Format<'f> {
    text: &'f [u8],
    at: usize,
    values: &'f [Value],
    argument: usize,
    is_reordered: bool,
    is_good: bool,
}

impl Format<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// `[3]`: the number of an argument. Whether there is one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.is_reordered = true;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let close = rest.iter().position(|byte| *byte == b']').filter(|_| rest.len() >= 3);
        let Some(close) = close else {
            self.is_good = false;
            self.at += 1;
            return false;
        };
        let (number, end) = digits(rest, 1, close);
        self.at += close + 1;
        let Some(number) = number.filter(|_| end == close) else {
            self.is_good = false;
            return false;
        };
        match number.checked_sub(1).filter(|number| *number < self.values.len()) {
            Some(number) => self.argument = number,
            None => self.is_good = false,
        }
        true
    }

    /// `*`: a width or precision that is an argument.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.argument)?;
        self.argument += 1;
        let number = match value {
            Value::Int(value) | Value::Int64(value) => *value,
            Value::Byte(value) => i64::from(*value),
            Value::Uint64(value) => i64::try_from(*value).ok()?,
            _ => return None,
        };
        (-MAX_WIDTH..=MAX_WIDTH).contains(&number).then_some(number)
    }

    fn number(&mut self) -> Option<usize> {
        let (number, end) = digits(self.text, self.at, self.text.len());
        self.at = end;
        number
    }
}

/// `parsenum`: digits from `begin`, and where they end; a number that is too large does not count.
fn digits(text: &[u8], begin: usize, end: usize) -> (Option<usize>, usize) {
    let mut number: Option<usize> = None;
    for at in begin..end {
        let Some(digit) = text.get(at).filter(|byte| byte.is_ascii_digit()) else { return (number, at) };
        let before = number.unwrap_or_default();
        if i64::try_from(before).is_ok_and(|number| number > MAX_WIDTH) {
            return (None, end);
        }
        number = Some(before * 10 + usize::from(digit - b'0'));
    }
    (number, end)
}

/// `fmt.Sprintf`
pub fn printf(run: &mut Run, out: &mut Buffer, format: &[u8], values: &[Value]) -> Result<(), Fault> {
    let mut printer = Printer::new(run, out);
    let mut format = Format { text: format, at: 0, values, argument: 0, is_reordered: false, is_good: true };
    while format.at < format.text.len() {
        format.is_good = true;
        let rest = &format.text[format.at..];
        let plain = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
        printer.out.push(&rest[..plain]);
        format.at += plain;
        if format.at < format.text.len() {
            format.at += 1;
            printer.verb(&mut format)?;
        }
        printer.run.step()?;
    }
    if !format.is_reordered && format.argument < values.len() {
        printer.flags = Flags::default();
        printer.out.push(b"%!(EXTRA ");
        for (index, value) in values[format.argument..].iter().enumerate() {
            if index > 0 {
                printer.out.push(b", ");
            }
            printer.out.push(value.type_name().as_bytes());
            if !value.is_nil() {
                printer.out.push(b"=");
                printer.argument(value, 'v')?;
            }
        }
        printer.out.push(b")");
    }
    Ok(())
}

impl<'r> Printer<'r> {
    fn new(run: &'r mut Run, out: &'r mut Buffer) -> Self {
        Self { run, out, flags: Flags::default(), is_bad: false }
    }

    /// One verb, after its `%`.
    fn verb(&mut self, format: &mut Format<'_>) -> Result<(), Fault> {
        self.flags = Flags::default();
        while let Some(byte) = format.peek() {
            match byte {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                _ => break,
            }
            format.at += 1;
        }
        let mut after_index = format.index();
        if format.peek() == Some(b'*') {
            format.at += 1;
            let width = format.star();
            if width.is_none() {
                self.out.push(b"%!(BADWIDTH)");
            }
            if width.is_some_and(|width| width < 0) {
                self.flags.minus = true;
                self.flags.zero = false;
            }
            self.flags.width = width.and_then(|width| usize::try_from(width.unsigned_abs()).ok());
            after_index = false;
        } else {
            self.flags.width = format.number();
            if after_index && self.flags.width.is_some() {
                format.is_good = false;
            }
        }
        if format.peek() == Some(b'.') && format.at + 1 < format.text.len() {
            format.at += 1;
            if after_index {
                format.is_good = false;
            }
            after_index = format.index();
            if format.peek() == Some(b'*') {
                format.at += 1;
                let precision = format.star().and_then(|precision| usize::try_from(precision).ok());
                if precision.is_none() {
                    self.out.push(b"%!(BADPREC)");
                }
                self.flags.precision = precision;
                after_index = false;
            } else {
                self.flags.precision = Some(format.number().unwrap_or_default());
            }
        }
        if !after_index {
            format.index();
        }
        let Some((verb, length)) = chars(format.text.get(format.at..).unwrap_or_default()).next() else {
            self.out.push(b"%!(NOVERB)");
            return Ok(());
        };
        format.at += length;
        if verb == '%' {
            self.out.push(b"%");
        } else if !format.is_good {
            self.bang(verb, b"(BADINDEX)");
        } else if let Some(value) = format.values.get(format.argument) {
            if verb == 'v' {
                self.flags.source = std::mem::take(&mut self.flags.sharp);
                // `%+v` adds names to fields of structs, and there are no structs here.
                self.flags.plus = false;
            }
            format.argument += 1;
            self.argument(value, verb)?;
        } else {
            self.bang(verb, b"(MISSING)");
        }
        Ok(())
    }

    fn bang(&mut self, verb: char, what: &[u8]) {
        self.out.push(b"%!");
        self.out.push_char(verb);
        self.out.push(what);
    }

    /// A verb that its value has not.
    fn bad(&mut self, value: &Value, verb: char) -> Result<(), Fault> {
        self.bang(verb, b"(");
        self.out.push(value.type_name().as_bytes());
        if !value.is_nil() {
            self.out.push(b"=");
            let was_bad = std::mem::replace(&mut self.is_bad, true);
            self.value(value, 'v', 0)?;
            self.is_bad = was_bad;
        }
        self.out.push(b")");
        Ok(())
    }

    fn argument(&mut self, value: &Value, verb: char) -> Result<(), Fault> {
        match (value, verb) {
            (Value::Missing | Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (_, 'T') => self.text(value.type_name().as_bytes()),
            (Value::List(_) | Value::Dict(_) | Value::Version(_), 'p') => return Err(ADDRESS),
            _ => self.value(value, verb, 0)?,
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) -> Result<(), Fault> {
        self.run.step()?;
        if depth > MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        if self.out.is_over() {
            return Ok(());
        }
        match value {
            Value::Missing | Value::Nil if depth == 0 => self.bad(value, verb)?,
            Value::Missing | Value::Nil if self.flags.source => self.out.push(b"interface {}(nil)"),
            Value::Missing | Value::Nil => self.out.push(b"<nil>"),
            Value::Bool(flag) => match verb {
                't' | 'v' => self.pad(if *flag { b"true" } else { b"false" }),
                _ => self.bad(value, verb)?,
            },
            Value::Int(number) | Value::Int64(number) => {
                self.integer(value, number.unsigned_abs(), *number < 0, true, verb)?;
            }
            Value::Byte(number) => self.integer(value, u64::from(*number), false, false, verb)?,
            Value::Uint64(number) => self.integer(value, *number, false, false, verb)?,
            Value::Float(number) => self.float(value, *number, verb)?,
            Value::Text(text) => match verb {
                'v' if self.flags.source => self.quoted(text.bytes()),
                'v' | 's' => self.text(text.bytes()),
                'x' | 'X' => self.hex(text.bytes(), verb == 'X'),
                'q' => self.quoted(text.bytes()),
                _ => self.bad(value, verb)?,
            },
            Value::Version(version) => {
                if self.is_bad || self.flags.source || !matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
                    return Err(Fault::value("a version can only be written as a text"));
                }
                let text = self.run.copy(version.to_string().as_bytes())?;
                self.value(&text, verb, depth)?;
            }
            Value::List(_) | Value::Dict(_) if verb == 'w' => self.bad(value, verb)?,
            Value::List(list) => self.list(value, list, verb, depth)?,
            Value::Dict(dict) => self.dict(value, dict, verb, depth)?,
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, list: &List, verb: char, depth: usize) -> Result<(), Fault> {
        let source = self.flags.source;
        if source {
            self.out.push(value.type_name().as_bytes());
            if list.items.is_none() {
                self.out.push(b"(nil)");
                return Ok(());
            }
        }
        self.out.push(if source { b"{" } else { b"[" });
        for (index, item) in list.to_vec().iter().enumerate() {
            if index > 0 {
                self.out.push(if source { b", " } else { b" " });
            }
            self.value(item, verb, depth + 1)?;
        }
        self.out.push(if source { b"}" } else { b"]" });
        Ok(())
    }

    fn dict(&mut self, value: &Value, dict: &Dict, verb: char, depth: usize) -> Result<(), Fault> {
        let source = self.flags.source;
        if source {
            self.out.push(value.type_name().as_bytes());
            if dict.entries.is_none() {
                self.out.push(b"(nil)");
                return Ok(());
            }
        }
        self.out.push(if source { b"{" } else { b"map[" });
        for (index, (key, item)) in dict.to_vec().into_iter().enumerate() {
            if index > 0 {
                self.out.push(if source { b", " } else { b" " });
            }
            self.value(&Value::Text(key), verb, depth + 1)?;
            self.out.push(b":");
            self.value(&item, verb, depth + 1)?;
        }
        self.out.push(if source { b"}" } else { b"]" });
        Ok(())
    }

    fn padding(&mut self, count: usize) {
        let byte: &[u8] = if self.flags.zero && !self.flags.minus { b"0" } else { b" " };
        self.out.push_times(byte, count);
    }

    fn pad(&mut self, text: &[u8]) {
        let width = match self.flags.width {
            None | Some(0) => 0,
            Some(width) => width.saturating_sub(count_chars(text)),
        };
        if !self.flags.minus {
            self.padding(width);
        }
        self.out.push(text);
        if self.flags.minus {
            self.padding(width);
        }
    }

    fn pad_without_zeros(&mut self, text: &[u8]) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        match self.flags.precision {
            None => text,
            Some(count) => {
                let length = chars(text).take(count).map(|(_, length)| length).sum();
                &text[..length]
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        self.pad(text);
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        let mut quoted = self.run.buffer();
        if self.flags.sharp && fits_backquotes(text) {
            quoted.push(b"`");
            quoted.push(text);
            quoted.push(b"`");
        } else {
            quote(&mut quoted, text, self.flags.plus);
        }
        match quoted.finish() {
            Ok(quoted) => self.pad(&quoted),
            Err(_) => self.out.push_times(b" ", usize::MAX),
        }
    }

    fn hex(&mut self, text: &[u8], upper: bool) {
        let length = self.flags.precision.map_or(text.len(), |count| count.min(text.len()));
        let Flags { space, sharp, .. } = self.flags;
        if length == 0 {
            return self.padding(self.flags.width.unwrap_or_default());
        }
        let mut width = 2 * length;
        if space {
            width = if sharp { 2 * width } else { width } + length - 1;
        } else if sharp {
            width += 2;
        }
        let padding = self.flags.width.unwrap_or_default().saturating_sub(width);
        if !self.flags.minus {
            self.padding(padding);
        }
        let prefix: &[u8] = if upper { b"0X" } else { b"0x" };
        let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        for (index, byte) in text[..length].iter().enumerate() {
            if space && index > 0 {
                self.out.push(b" ");
            }
            if sharp && (space || index == 0) {
                self.out.push(prefix);
            }
            self.out.push(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
        if self.flags.minus {
            self.padding(padding);
        }
    }

    fn integer(
        &mut self,
        value: &Value,
        number: u64,
        is_negative: bool,
        is_signed: bool,
        verb: char,
    ) -> Result<(), Fault> {
        let char = || {
            let code = if is_negative { None } else { u32::try_from(number).ok() };
            code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        match verb {
            'v' if self.flags.source && !is_signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(number, 16, is_negative, 'v');
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.digits(number, 10, is_negative, verb),
            'b' => self.digits(number, 2, is_negative, verb),
            'o' | 'O' => self.digits(number, 8, is_negative, verb),
            'x' | 'X' => self.digits(number, 16, is_negative, verb),
            'c' => self.pad(char().encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => {
                let mut quoted = self.run.buffer();
                quote_char(&mut quoted, char(), self.flags.plus);
                self.pad(&quoted.finish()?);
            }
            'U' => {
                let code = if is_negative { number.wrapping_neg() } else { number };
                let digits = self.flags.precision.map_or(4, |precision| precision.clamp(4, MAX_ZEROS));
                let mut text = format!("U+{code:0digits$X}");
                let shown = u32::try_from(code).ok().and_then(char::from_u32).filter(|char| is_print(*char));
                if let Some(char) = shown.filter(|_| self.flags.sharp) {
                    text.push_str(&format!(" '{char}'"));
                }
                self.pad_without_zeros(text.as_bytes());
            }
            _ => self.bad(value, verb)?,
        }
        Ok(())
    }

    fn digits(&mut self, number: u64, base: u32, is_negative: bool, verb: char) {
        let Flags { width, precision, minus, plus, space, zero, sharp, .. } = self.flags;
        if precision == Some(0) && number == 0 {
            let padding = width.unwrap_or_default();
            let zero = std::mem::take(&mut self.flags.zero);
            self.padding(padding);
            self.flags.zero = zero;
            return;
        }
        let least = match (precision, width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if zero && !minus => {
                width.saturating_sub(usize::from(is_negative || plus || space))
            }
            _ => 0,
        };
        let digits = match (base, verb) {
            (2, _) => format!("{number:b}"),
            (8, _) => format!("{number:o}"),
            (16, 'X') => format!("{number:X}"),
            (16, _) => format!("{number:x}"),
            _ => number.to_string(),
        };
        let zeros = least.saturating_sub(digits.len());
        let sign = match (is_negative, plus, space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let prefix = match (base, verb) {
            (_, 'O') => "0o",
            (2, _) if sharp => "0b",
            (8, _) if sharp && zeros == 0 && !digits.starts_with('0') => "0",
            (16, 'X') if sharp => "0X",
            (16, _) if sharp => "0x",
            _ => "",
        };
        if zeros > MAX_ZEROS {
            return self.out.push_times(b"0", usize::MAX);
        }
        let text = format!("{sign}{prefix}{}{digits}", "0".repeat(zeros));
        self.pad_without_zeros(text.as_bytes());
    }

    fn float(&mut self, value: &Value, number: f64, verb: char) -> Result<(), Fault> {
        let (verb, precision) = match verb {
            'v' => ('g', None),
            'g' | 'G' => (verb, None),
            'f' | 'e' | 'E' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            'b' | 'x' | 'X' => (verb, None),
            _ => return self.bad(value, verb),
        };
        let precision = self.flags.precision.or(precision);
        if precision.is_some_and(|precision| precision > MAX_ZEROS) {
            return Err(Fault::bound("a number has more digits than are allowed"));
        }
        let digits = precision.map_or(Precision::Shortest, Precision::Digits);
        let mut text = match verb {
            'b' if number.is_finite() => format_binary(number),
            'x' | 'X' if number.is_finite() => format_hex(number, digits, verb == 'X'),
            _ => format_float(number, verb, digits),
        };
        if !text.starts_with(['-', '+']) {
            text.insert(0, '+');
        }
        let Flags { plus, space, minus, zero, width, .. } = self.flags;
        if space && !plus && text.starts_with('+') {
            text.replace_range(..1, " ");
        }
        if !number.is_finite() {
            let text = if number.is_nan() && !space && !plus { &text[1..] } else { &text };
            self.pad_without_zeros(text.as_bytes());
            return Ok(());
        }
        if self.flags.sharp && verb != 'b' {
            text = with_point(&text, verb, precision);
        }
        if plus || !text.starts_with('+') {
            match width {
                Some(width) if zero && !minus && width > text.len() => {
                    self.out.push(&text.as_bytes()[..1]);
                    self.padding(width - text.len());
                    self.out.push(&text.as_bytes()[1..]);
                }
                _ => self.pad(text.as_bytes()),
            }
        } else {
            self.pad(&text.as_bytes()[1..]);
        }
        Ok(())
    }
}

const ADDRESS: Fault = Fault::value("`%p` writes an address, which is another one each time");

/// How many digits a number may be written with.
const MAX_ZEROS: usize = 10_000;

/// `%#g` and its like: with a point, and zeros up to the precision.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let mut wanted = match verb {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let is_hex = matches!(verb, 'x' | 'X');
    let split = if is_hex { text.find(['p', 'P']) } else { text.find(['e', 'E']) }.unwrap_or(text.len());
    let (number, tail) = text.split_at(split);
    let mut saw_digit = false;
    for byte in number.bytes().skip(1).filter(|byte| *byte != b'.') {
        saw_digit |= byte != b'0';
        if saw_digit {
            wanted = wanted.saturating_sub(1);
        }
    }
    let mut found = number.to_owned();
    if !number.contains('.') {
        if number.len() == 2 && number.ends_with('0') {
            wanted = wanted.saturating_sub(1);
        }
        found.push('.');
    }
    found.push_str(&"0".repeat(wanted));
    found.push_str(tail);
    found
}
