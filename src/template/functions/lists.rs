//! sprig's functions on lists, and what goes on values of any type.

use super::super::error::Fault;
use super::super::run::Run;
use super::super::value::{List, Of, Value};
use super::reflection::deep_equal;
use super::{Any, Bool, Function, Int, Result, any, bool, int, rest, takes, takes_more};

pub const TABLE: &[Function] = &[
    takes_more("list", &[], Any, make),
    takes_more("tuple", &[], Any, make),
    takes("append", &[Any, Any], append),
    takes("mustAppend", &[Any, Any], append),
    takes("push", &[Any, Any], append),
    takes("mustPush", &[Any, Any], append),
    takes("prepend", &[Any, Any], prepend),
    takes("mustPrepend", &[Any, Any], prepend),
    takes("first", &[Any], first),
    takes("mustFirst", &[Any], first),
    takes("last", &[Any], last),
    takes("mustLast", &[Any], last),
    takes("rest", &[Any], all_but_first),
    takes("mustRest", &[Any], all_but_first),
    takes("initial", &[Any], initial),
    takes("mustInitial", &[Any], initial),
    takes("reverse", &[Any], reverse),
    takes("mustReverse", &[Any], reverse),
    takes("uniq", &[Any], unique),
    takes("mustUniq", &[Any], unique),
    takes("compact", &[Any], compact),
    takes("mustCompact", &[Any], compact),
    takes_more("without", &[Any], Any, without),
    takes_more("mustWithout", &[Any], Any, without),
    takes("has", &[Any, Any], has),
    takes("mustHas", &[Any, Any], has),
    takes_more("slice", &[Any], Any, slice),
    takes_more("mustSlice", &[Any], Any, slice),
    takes_more("concat", &[], Any, concat),
    takes("chunk", &[Int, Any], chunk),
    takes("mustChunk", &[Int, Any], chunk),
    takes_more("default", &[Any], Any, |_, values| {
        let given = any(values, 1);
        Ok(if is_empty(&given) { any(values, 0) } else { given })
    }),
    takes("empty", &[Any], |_, values| Ok(Value::Bool(is_empty(&any(values, 0))))),
    takes_more("coalesce", &[], Any, |_, values| {
        Ok(values.iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
    }),
    takes_more("all", &[], Any, |_, values| Ok(Value::Bool(!values.iter().any(is_empty)))),
    takes_more("any", &[], Any, |_, values| Ok(Value::Bool(values.iter().any(|value| !is_empty(value))))),
    takes("ternary", &[Any, Any, Bool], |_, values| Ok(any(values, usize::from(!bool(values, 2))))),
];

/// What sprig takes for nothing. A version is something.
pub fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

fn list(values: &[Value], index: usize) -> Result<List> {
    match any(values, index) {
        Value::List(list) => Ok(list),
        _ => Err(Fault::value("got a value that is not a list")),
    }
}

fn items(values: &[Value], index: usize) -> Result<Vec<Value>> {
    Ok(list(values, index)?.to_vec())
}

fn make(run: &mut Run, values: &[Value]) -> Result {
    run.list(Of::Any, values.to_vec())
}

fn append(run: &mut Run, values: &[Value]) -> Result {
    let mut items = items(values, 0)?;
    items.push(any(values, 1));
    run.list(Of::Any, items)
}

fn prepend(run: &mut Run, values: &[Value]) -> Result {
    let mut items = items(values, 0)?;
    items.insert(0, any(values, 1));
    run.list(Of::Any, items)
}

fn first(_: &mut Run, values: &[Value]) -> Result {
    Ok(list(values, 0)?.get(0).unwrap_or(Value::Nil))
}

fn last(_: &mut Run, values: &[Value]) -> Result {
    let list = list(values, 0)?;
    Ok(list.len().checked_sub(1).and_then(|last| list.get(last)).unwrap_or(Value::Nil))
}

fn all_but_first(run: &mut Run, values: &[Value]) -> Result {
    let mut items = items(values, 0)?;
    if items.is_empty() {
        return Ok(Value::List(List::nil(Of::Any)));
    }
    items.remove(0);
    run.list(Of::Any, items)
}

fn initial(run: &mut Run, values: &[Value]) -> Result {
    let mut items = items(values, 0)?;
    if items.pop().is_none() {
        return Ok(Value::List(List::nil(Of::Any)));
    }
    run.list(Of::Any, items)
}

fn reverse(run: &mut Run, values: &[Value]) -> Result {
    let mut items = items(values, 0)?;
    items.reverse();
    run.list(Of::Any, items)
}

fn contains(run: &mut Run, items: &[Value], item: &Value) -> Result<bool> {
    for known in items {
        if deep_equal(run, known, item, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unique(run: &mut Run, values: &[Value]) -> Result {
    let mut found = Vec::new();
    for item in items(values, 0)? {
        if !contains(run, &found, &item)? {
            found.push(item);
        }
    }
    run.list(Of::Any, found)
}

fn compact(run: &mut Run, values: &[Value]) -> Result {
    let mut items = items(values, 0)?;
    items.retain(|item| !is_empty(item));
    run.list(Of::Any, items)
}

fn without(run: &mut Run, values: &[Value]) -> Result {
    let mut found = Vec::new();
    for item in items(values, 0)? {
        if !contains(run, rest(values, 1), &item)? {
            found.push(item);
        }
    }
    run.list(Of::Any, found)
}

fn has(run: &mut Run, values: &[Value]) -> Result {
    if any(values, 1).is_nil() {
        return Ok(Value::Bool(false));
    }
    let items = items(values, 1)?;
    Ok(Value::Bool(contains(run, &items, &any(values, 0))?))
}

fn slice(run: &mut Run, values: &[Value]) -> Result {
    let list = list(values, 0)?;
    let items = list.to_vec();
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let place = |index: usize, otherwise: usize| match values.get(index) {
        Some(value) => super::index(super::numbers::to_int(value)),
        None => Some(otherwise),
    };
    let range = place(1, 0).zip(place(2, items.len()));
    let found = range.and_then(|(from, to)| items.get(from..to));
    let found = found.ok_or(Fault::value("got a position that is out of range"))?;
    run.list(list.of, found.to_vec())
}

fn concat(run: &mut Run, values: &[Value]) -> Result {
    let mut found = Vec::new();
    for index in 0..values.len() {
        found.append(&mut items(values, index)?);
    }
    if found.is_empty() {
        return Ok(Value::List(List::nil(Of::Any)));
    }
    run.list(Of::Any, found)
}

fn chunk(run: &mut Run, values: &[Value]) -> Result {
    let items = items(values, 1)?;
    let Some(size) = super::index(int(values, 0)).filter(|size| *size > 0) else {
        return Err(Fault::value("got a size that is not above 0"));
    };
    let chunks = items.chunks(size).map(|chunk| run.list(Of::Any, chunk.to_vec()));
    let chunks = chunks.collect::<Result<Vec<_>>>()?;
    run.list(Of::Lists, chunks)
}
