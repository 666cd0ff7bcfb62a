//! sprig's functions on types, and equality through and through.

use std::rc::Rc;

use super::super::error::Fault;
use super::super::run::{Run, TOO_DEEP};
use super::super::value::{Entries, Value};
use super::{Any, Function, Result, Text, any, takes, text};

pub const TABLE: &[Function] = &[
    takes("typeOf", &[Any], |run, values| run.copy(any(values, 0).type_name().as_bytes())),
    takes("kindOf", &[Any], |run, values| run.copy(any(values, 0).kind_name().as_bytes())),
    takes("typeIs", &[Text, Any], |_, values| {
        Ok(Value::Bool(text(values, 0) == any(values, 1).type_name().as_bytes()))
    }),
    takes("typeIsLike", &[Text, Any], |_, values| {
        let (name, found) = (text(values, 0), any(values, 1).type_name());
        let is_pointer = found.strip_prefix('*').is_some_and(|found| found.as_bytes() == name);
        Ok(Value::Bool(name == found.as_bytes() || is_pointer))
    }),
    takes("kindIs", &[Text, Any], |_, values| {
        Ok(Value::Bool(text(values, 0) == any(values, 1).kind_name().as_bytes()))
    }),
    takes("deepEqual", &[Any, Any], |run, values| {
        Ok(Value::Bool(deep_equal(run, &any(values, 0), &any(values, 1), 0)?))
    }),
    takes("deepCopy", &[Any], copy),
    takes("mustDeepCopy", &[Any], copy),
];

const MAX_DEPTH: usize = 100;

/// `reflect.DeepEqual`
#[allow(clippy::float_cmp)]
pub fn deep_equal(run: &mut Run, a: &Value, b: &Value, depth: usize) -> Result<bool, Fault> {
    run.step()?;
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    Ok(match (a, b) {
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Byte(a), Value::Byte(b)) => a == b,
        (Value::Uint64(a), Value::Uint64(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Version(a), Value::Version(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.of != b.of || a.items.is_none() != b.items.is_none() || a.len() != b.len() {
                return Ok(false);
            }
            if a.items.as_ref().zip(b.items.as_ref()).is_some_and(|(a, b)| Rc::ptr_eq(a, b)) {
                return Ok(true);
            }
            for (a, b) in a.to_vec().iter().zip(&b.to_vec()) {
                if !deep_equal(run, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Dict(a), Value::Dict(b)) => {
            if a.of != b.of || a.entries.is_none() != b.entries.is_none() || a.len() != b.len() {
                return Ok(false);
            }
            if a.entries.as_ref().zip(b.entries.as_ref()).is_some_and(|(a, b)| Rc::ptr_eq(a, b)) {
                return Ok(true);
            }
            for ((key, a), (other, b)) in a.to_vec().iter().zip(&b.to_vec()) {
                if key != other || !deep_equal(run, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

fn copy(run: &mut Run, values: &[Value]) -> Result {
    match any(values, 0) {
        Value::Missing | Value::Nil => Err(Fault::value("got nothing to copy")),
        value => deep_copy(run, &value, 0),
    }
}

fn deep_copy(run: &mut Run, value: &Value, depth: usize) -> Result {
    run.step()?;
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    match value {
        Value::List(list) if list.items.is_some() => {
            let items = list.to_vec();
            let copies = items.iter().map(|item| deep_copy(run, item, depth + 1));
            let copies = copies.collect::<Result<Vec<_>>>()?;
            run.list(list.of, copies)
        }
        Value::Dict(dict) if dict.entries.is_some() => {
            let mut entries = Entries::new();
            for (key, value) in dict.to_vec() {
                entries.insert(key, deep_copy(run, &value, depth + 1)?);
            }
            run.dict(dict.of, entries)
        }
        _ => Ok(value.clone()),
    }
}
