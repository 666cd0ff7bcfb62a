//! The functions of `text/template` itself.

use std::rc::Rc;

use super::super::buffer::Buffer;
use super::super::error::Fault;
use super::super::printf;
use super::super::run::Run;
use super::super::text::chars;
use super::super::unicode::is_print;
use super::super::value::Value;
use super::urls::escape_query;
use super::{Any, Function, Result, Text, any, rest, takes, takes_more, text};

pub const TABLE: &[Function] = &[
    // Both are a part of the language: what decides early leaves the rest alone.
    takes_more("and", &[Any], Any, |_, values| Ok(any(values, 0))),
    takes_more("or", &[Any], Any, |_, values| Ok(any(values, 0))),
    takes("not", &[Any], |_, values| Ok(Value::Bool(!any(values, 0).is_true()))),
    takes_more("html", &[], Any, |run, values| escaped(run, values, html)),
    takes_more("js", &[], Any, |run, values| escaped(run, values, js)),
    takes_more("urlquery", &[], Any, |run, values| escaped(run, values, escape_query)),
    takes_more("index", &[Any], Any, index),
    takes("len", &[Any], |_, values| length(&any(values, 0))),
    takes_more("print", &[], Any, |run, values| {
        let mut out = run.buffer();
        printf::print(run, &mut out, values)?;
        run.written(out)
    }),
    takes_more("println", &[], Any, |run, values| {
        let mut out = run.buffer();
        printf::println(run, &mut out, values)?;
        run.written(out)
    }),
    takes_more("printf", &[Text], Any, |run, values| {
        let mut out = run.buffer();
        printf::printf(run, &mut out, text(values, 0), rest(values, 1))?;
        run.written(out)
    }),
    takes_more("eq", &[Any], Any, equal),
    takes("ne", &[Any, Any], |run, values| Ok(Value::Bool(!equal(run, values)?.is_true()))),
    takes("lt", &[Any, Any], |_, values| Ok(Value::Bool(less(values)?))),
    takes("le", &[Any, Any], |run, values| Ok(Value::Bool(less_or_equal(run, values)?))),
    takes("gt", &[Any, Any], |run, values| Ok(Value::Bool(!less_or_equal(run, values)?))),
    takes("ge", &[Any, Any], |_, values| Ok(Value::Bool(!less(values)?))),
];

fn length(value: &Value) -> Result {
    let length = match value {
        Value::Text(text) => text.bytes().len(),
        Value::List(list) => list.len(),
        Value::Dict(dict) => dict.len(),
        Value::Missing | Value::Nil => return Err(Fault::value("got nothing, which has no length")),
        _ => return Err(Fault::value("got a value that has no length")),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(_: &mut Run, values: &[Value]) -> Result {
    let mut item = any(values, 0);
    if item.is_nil() {
        return Err(Fault::value("got nothing to look into"));
    }
    for key in rest(values, 1) {
        item = match item {
            Value::Missing | Value::Nil => return Err(Fault::value("got nothing to look into")),
            Value::Dict(dict) => match key {
                Value::Text(key) => dict.get(key.bytes()).unwrap_or_else(|| Value::zero(dict.of)),
                _ => return Err(Fault::value("got a key that is not a text")),
            },
            Value::Text(text) => {
                let byte = place(key)?.and_then(|place| text.bytes().get(place).copied());
                Value::Byte(byte.ok_or(OUT_OF_RANGE)?)
            }
            Value::List(list) => place(key)?.and_then(|place| list.get(place)).ok_or(OUT_OF_RANGE)?,
            _ => return Err(Fault::value("got a value that has no items")),
        };
    }
    Ok(item)
}

const OUT_OF_RANGE: Fault = Fault::value("got an index that is out of range");

fn place(key: &Value) -> Result<Option<usize>> {
    match key {
        Value::Int(number) | Value::Int64(number) => Ok(usize::try_from(*number).ok()),
        Value::Byte(number) => Ok(Some(usize::from(*number))),
        Value::Uint64(number) => Ok(usize::try_from(*number).ok()),
        _ => Err(Fault::value("got an index that is not a whole number")),
    }
}

/// What two values have in common, by which they can be compared.
#[derive(PartialEq, Clone, Copy)]
enum Kind {
    None,
    Bool,
    Int,
    Uint,
    Float,
    Text,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Bool,
        Value::Int(_) | Value::Int64(_) => Kind::Int,
        Value::Byte(_) | Value::Uint64(_) => Kind::Uint,
        Value::Float(_) => Kind::Float,
        Value::Text(_) => Kind::Text,
        _ => Kind::None,
    }
}

fn whole(value: &Value) -> i128 {
    match value {
        Value::Int(number) | Value::Int64(number) => i128::from(*number),
        Value::Byte(number) => i128::from(*number),
        Value::Uint64(number) => i128::from(*number),
        _ => 0,
    }
}

const INCOMPARABLE: Fault = Fault::value("got values of types that cannot be compared");

fn equal(_: &mut Run, values: &[Value]) -> Result {
    let first = any(values, 0);
    let others = rest(values, 1);
    if others.is_empty() {
        return Err(Fault::value("got only one value, and needs another to compare it with"));
    }
    for other in others {
        if are_equal(&first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

#[allow(clippy::float_cmp)]
fn are_equal(a: &Value, b: &Value) -> Result<bool> {
    let is_whole = |kind| matches!(kind, Kind::Int | Kind::Uint);
    match (kind(a), kind(b)) {
        (one, other) if is_whole(one) && is_whole(other) => Ok(whole(a) == whole(b)),
        (one, other) if one != other => match a.is_nil() || b.is_nil() {
            true => Ok(false),
            false => Err(INCOMPARABLE),
        },
        _ => match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
            (Value::Float(a), Value::Float(b)) => Ok(a == b),
            (Value::Text(a), Value::Text(b)) => Ok(a == b),
            (Value::Version(a), Value::Version(b)) => Ok(Rc::ptr_eq(a, b)),
            _ if !a.is_nil() && !b.is_nil() && a.kind_name() != b.kind_name() => Err(INCOMPARABLE),
            _ if is_empty_pointer(a) || is_empty_pointer(b) => Ok(is_empty_pointer(a) == is_empty_pointer(b)),
            _ => Err(INCOMPARABLE),
        },
    }
}

/// Whether it is Go's nil, of whichever type.
fn is_empty_pointer(value: &Value) -> bool {
    match value {
        Value::Missing | Value::Nil => true,
        Value::List(list) => list.items.is_none(),
        Value::Dict(dict) => dict.entries.is_none(),
        _ => false,
    }
}

fn less(values: &[Value]) -> Result<bool> {
    let (a, b) = (any(values, 0), any(values, 1));
    match (kind(&a), kind(&b)) {
        (Kind::Int | Kind::Uint, Kind::Int | Kind::Uint) => Ok(whole(&a) < whole(&b)),
        _ => match (&a, &b) {
            (Value::Float(a), Value::Float(b)) => Ok(a < b),
            (Value::Text(a), Value::Text(b)) => Ok(a < b),
            _ => Err(INCOMPARABLE),
        },
    }
}

fn less_or_equal(run: &mut Run, values: &[Value]) -> Result<bool> {
    Ok(less(values)? || equal(run, values)?.is_true())
}

/// The values as a template writes them, then with some characters written in another way.
fn escaped(run: &mut Run, values: &[Value], escape: fn(&mut Buffer, &[u8])) -> Result {
    let mut plain = run.buffer();
    match values {
        [Value::Text(text)] => plain.push(text.bytes()),
        _ => {
            // As `print`, but for what is not there.
            let missing = run.copy(b"<no value>")?;
            let values: Vec<Value> = values
                .iter()
                .map(|value| if value.is_nil() { missing.clone() } else { value.clone() })
                .collect();
            printf::print(run, &mut plain, &values)?;
        }
    }
    let plain = plain.finish()?;
    let mut out = run.buffer();
    escape(&mut out, &plain);
    run.written(out)
}

fn html(out: &mut Buffer, text: &[u8]) {
    for byte in text {
        match byte {
            0 => out.push("\u{fffd}".as_bytes()),
            b'"' => out.push(b"&#34;"),
            b'\'' => out.push(b"&#39;"),
            b'&' => out.push(b"&amp;"),
            b'<' => out.push(b"&lt;"),
            b'>' => out.push(b"&gt;"),
            _ => out.push(&[*byte]),
        }
    }
}

fn js(out: &mut Buffer, text: &[u8]) {
    let mut at = 0;
    for (char, length) in chars(text) {
        let bytes = &text[at..at + length];
        at += length;
        match char {
            '\\' | '\'' | '"' => {
                out.push(b"\\");
                out.push(bytes);
            }
            '<' | '>' | '&' | '=' | '\0'..='\x1f' => {
                out.push(format!("\\u{:04X}", u32::from(char)).as_bytes());
            }
            _ if char.is_ascii() || is_print(char) => out.push(bytes),
            _ => out.push(format!("\\u{:04X}", u32::from(char)).as_bytes()),
        }
    }
}
