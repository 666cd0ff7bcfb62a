//! sprig's functions on dicts.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::error::Fault;
use super::super::run::{Run, TOO_DEEP};
use super::super::value::{Dict, Entries, Of, Text as Str, Value};
use super::lists::is_empty;
use super::{Any, Function, Param, Result, Text, any, dict, string_of, takes, takes_more, text};
use crate::secret::SecretBytes;

pub const TABLE: &[Function] = &[
    takes_more("dict", &[], Any, make),
    takes("get", &[Param::Dict, Text], |run, values| match dict(values, 0).get(text(values, 1)) {
        Some(value) => Ok(value),
        None => run.copy(b""),
    }),
    takes("set", &[Param::Dict, Text, Any], |run, values| {
        let dict = dict(values, 0);
        let entries = dict.entries.as_ref().ok_or(NO_DICT)?;
        run.step()?;
        entries.borrow_mut().insert(key(values, 1), any(values, 2));
        Ok(Value::Dict(dict))
    }),
    takes("unset", &[Param::Dict, Text], |_, values| {
        let dict = dict(values, 0);
        if let Some(entries) = &dict.entries {
            entries.borrow_mut().remove(text(values, 1));
        }
        Ok(Value::Dict(dict))
    }),
    takes("hasKey", &[Param::Dict, Text], |_, values| {
        Ok(Value::Bool(dict(values, 0).get(text(values, 1)).is_some()))
    }),
    takes_more("pluck", &[Text], Param::Dict, |run, values| {
        let found = (1..values.len()).filter_map(|index| dict(values, index).get(text(values, 0)));
        let found = found.collect();
        run.list(Of::Any, found)
    }),
    takes_more("keys", &[], Param::Dict, |run, values| {
        let keys = (0..values.len()).flat_map(|index| dict(values, index).to_vec());
        let keys = keys.map(|(key, _)| Value::Text(key)).collect();
        run.list(Of::Texts, keys)
    }),
    takes("values", &[Param::Dict], |run, values| {
        let found = dict(values, 0).to_vec().into_iter().map(|(_, value)| value).collect();
        run.list(Of::Any, found)
    }),
    takes_more("pick", &[Param::Dict], Text, |run, values| {
        let dict = dict(values, 0);
        let picked = (1..values.len()).filter_map(|at| Some((key(values, at), dict.get(text(values, at))?)));
        let picked = picked.collect();
        run.dict(Of::Any, picked)
    }),
    takes_more("omit", &[Param::Dict], Text, |run, values| {
        let mut entries: Entries = dict(values, 0).to_vec().into_iter().collect();
        (1..values.len()).for_each(|index| {
            entries.remove(text(values, index));
        });
        run.dict(Of::Any, entries)
    }),
    takes_more("merge", &[Param::Dict], Param::Dict, |run, values| merge_all(run, values, false)),
    takes_more("mustMerge", &[Param::Dict], Param::Dict, |run, values| merge_all(run, values, false)),
    takes_more("mergeOverwrite", &[Param::Dict], Param::Dict, |run, values| merge_all(run, values, true)),
    takes_more("mustMergeOverwrite", &[Param::Dict], Param::Dict, |run, values| merge_all(run, values, true)),
    takes_more("dig", &[], Any, dig),
];

const NO_DICT: Fault = Fault::value("got no dict to write to");

fn key(values: &[Value], index: usize) -> Str {
    match values.get(index) {
        Some(Value::Text(text)) => text.clone(),
        _ => Str::new(SecretBytes::default()),
    }
}

fn make(run: &mut Run, values: &[Value]) -> Result {
    let mut entries = Entries::new();
    for pair in values.chunks(2) {
        let key = string_of(run, &any(pair, 0))?;
        let value = match pair.get(1) {
            Some(value) => value.clone(),
            None => run.copy(b"")?,
        };
        entries.insert(key, value);
    }
    run.dict(Of::Any, entries)
}

fn dig(_: &mut Run, values: &[Value]) -> Result {
    let [keys @ .., otherwise, last] = values else {
        return Err(Fault::value("needs keys, a value for when they are missing, and a dict"));
    };
    if keys.is_empty() {
        return Err(Fault::value("needs keys, a value for when they are missing, and a dict"));
    }
    if !keys.iter().all(|key| matches!(key, Value::Text(_))) {
        return Err(Fault::value("got a key that is not a text"));
    }
    let mut found = last.clone();
    for key in keys {
        let Value::Dict(dict @ Dict { of: Of::Any, .. }) = found else {
            return Err(Fault::value("finds a value that is not a dict"));
        };
        match dict.get(text(std::slice::from_ref(key), 0)) {
            Some(next) => found = next,
            None => return Ok(otherwise.clone()),
        }
    }
    Ok(found)
}

/// `mergo`: what the first one lacks, or has empty, comes from the others; it is the first one that changes.
fn merge_all(run: &mut Run, values: &[Value], overwrites: bool) -> Result {
    let mut target = dict(values, 0);
    for index in 1..values.len() {
        let source = dict(values, index);
        if source.entries.is_none() {
            continue;
        }
        if target.entries.is_none()
            && let Value::Dict(made) = run.dict(Of::Any, Entries::new())?
        {
            target = made;
        }
        if let (Some(target), Some(source)) = (&target.entries, &source.entries) {
            merge(run, target, source, overwrites, 0)?;
        }
    }
    Ok(Value::Dict(target))
}

type Shared = Rc<RefCell<Entries>>;

fn merge(run: &mut Run, target: &Shared, source: &Shared, overwrites: bool, depth: usize) -> Result<()> {
    if depth > 100 {
        return Err(TOO_DEEP);
    }
    if Rc::ptr_eq(target, source) {
        return Ok(());
    }
    let entries: Vec<_> = source.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    run.steps(entries.len())?;
    for (key, value) in entries {
        let old = target.borrow().get(&key).cloned();
        if value.is_nil() {
            if overwrites {
                target.borrow_mut().insert(key, value);
            }
            continue;
        }
        if let (Some(Value::Dict(inner)), Value::Dict(source)) = (&old, &value)
            && let (Some(inner), Some(source)) = (&inner.entries, &source.entries)
        {
            merge(run, inner, source, overwrites, depth + 1)?;
        }
        let is_kept = old.as_ref().is_some_and(|old| !is_empty(old));
        let both_dicts = matches!((&old, &value), (Some(Value::Dict(_)), Value::Dict(_)));
        if is_kept && both_dicts {
            continue;
        }
        if overwrites || !is_kept {
            target.borrow_mut().insert(key, value);
        }
    }
    Ok(())
}
