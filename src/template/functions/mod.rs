//! The functions that a template may call: those of `text/template`, and those of sprig that depend on nothing but what they
//! are given.
//!
//! A room for each kind of thing, with its functions as a table. Those that exist elsewhere and not here are in [`refused`],
//! with the reason.

mod builtin;
mod dicts;
mod encoding;
mod lists;
mod numbers;
mod paths;
mod reflection;
pub mod refused;
mod regexes;
mod text;
mod urls;
pub mod versions;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::error::{ErrorKind, Fault, Located};
use super::run::Run;
use super::value::{Dict, Value};

pub type Result<T = Value, E = Fault> = std::result::Result<T, E>;

/// What a function takes at a place: a value of exactly this type of Go's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    Any,
    Text,
    Int,
    Bool,
    Float,
    /// A `map[string]interface{}`, which the items of a Secret are not.
    Dict,
}

use Param::{Any, Bool, Float, Int, Text};

/// A function, with what it takes first, and of what it takes any number after that.
pub struct Function {
    pub name: &'static str,
    pub fixed: &'static [Param],
    pub rest: Option<Param>,
    pub body: fn(&mut Run, &[Value]) -> Result,
}

/// A function that takes so many values.
const fn takes(
    name: &'static str,
    fixed: &'static [Param],
    body: fn(&mut Run, &[Value]) -> Result,
) -> Function {
    Function { name, fixed, rest: None, body }
}

/// A function that takes any number of values after the first ones.
const fn takes_more(
    name: &'static str,
    fixed: &'static [Param],
    rest: Param,
    body: fn(&mut Run, &[Value]) -> Result,
) -> Function {
    Function { name, fixed, rest: Some(rest), body }
}

/// sprig's come last, for its `slice` is the one that there is.
const TABLES: [&[Function]; 11] = [
    builtin::TABLE,
    dicts::TABLE,
    encoding::TABLE,
    lists::TABLE,
    numbers::TABLE,
    paths::TABLE,
    reflection::TABLE,
    regexes::TABLE,
    text::TABLE,
    urls::TABLE,
    versions::TABLE,
];

static ALL: LazyLock<HashMap<&'static str, &'static Function>> =
    LazyLock::new(|| TABLES.iter().flat_map(|table| table.iter()).map(|it| (it.name, it)).collect());

/// The names of all functions, in order.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = ALL.keys().copied().collect();
    names.sort_unstable();
    names
}

/// The function that a template calls by this name.
pub fn find(at: usize, name: &str) -> Result<&'static Function, Located> {
    if let Some(function) = ALL.get(name) {
        return Ok(function);
    }
    let (kind, what) = match refused::reason(name) {
        Some(what) => (ErrorKind::RefusedFunction, what),
        None => (ErrorKind::UnknownFunction, "there is no function {}"),
    };
    Err(Located::about(at, name, Fault { kind, what }))
}

fn text(values: &[Value], index: usize) -> &[u8] {
    match values.get(index) {
        Some(Value::Text(text)) => text.bytes(),
        _ => &[],
    }
}

fn int(values: &[Value], index: usize) -> i64 {
    match values.get(index) {
        Some(Value::Int(number)) => *number,
        _ => 0,
    }
}

fn bool(values: &[Value], index: usize) -> bool {
    matches!(values.get(index), Some(Value::Bool(true)))
}

fn dict(values: &[Value], index: usize) -> Dict {
    match values.get(index) {
        Some(Value::Dict(dict)) => dict.clone(),
        _ => Dict::nil(),
    }
}

fn any(values: &[Value], index: usize) -> Value {
    values.get(index).cloned().unwrap_or(Value::Nil)
}

fn rest(values: &[Value], index: usize) -> &[Value] {
    values.get(index..).unwrap_or_default()
}

/// A number as the index that Go makes of it, or none where Go panics.
fn index(number: i64) -> Option<usize> {
    usize::try_from(number).ok()
}

/// A text as sprig makes one of any value.
fn string_of(run: &mut Run, value: &Value) -> Result<super::value::Text> {
    if let Value::Text(text) = value {
        return Ok(text.clone());
    }
    let mut out = run.buffer();
    super::printf::print(run, &mut out, std::slice::from_ref(value))?;
    let written = out.finish()?;
    run.raw_text(written)
}
