//! Nested data over the tree of a document: reading a subtree as data, and bringing a subtree to given data with as
//! few edits as that takes. Formats give the edits of single entries; which entries, is decided here for all of them.

use std::collections::{HashMap, HashSet};

use super::tree::AliasBudget;
use super::*;

/// The subtree at `node` as nested data: times as strings, comments left out.
pub fn to_data(document: &dyn Document, node: NodeId) -> Result<Data> {
    data_of(document, node, &mut AliasBudget::default(), None)
}

/// `via` is the outermost alias on the way to `node`.
fn data_of(
    document: &dyn Document,
    node: NodeId,
    budget: &mut AliasBudget,
    via: Option<NodeId>,
) -> Result<Data> {
    let tree = document.tree();
    let target = tree.resolve(node);
    let via = via.or((target != node).then_some(node));
    if let Some(alias) = via {
        let spent = budget.spend(tree, document.source(), node);
        spent.map_err(|error| error.on_line(document.line(alias)))?;
    }
    budget.depth += 1;
    let data = match tree[target].kind {
        NodeKind::Map => {
            let mut map = serde_json::Map::new();
            for entry in tree.entries(target) {
                let key = tree[entry].key.get(document.source()).to_owned();
                map.insert(key, data_of(document, entry, budget, via)?);
            }
            Data::Object(map)
        }
        NodeKind::List => {
            let items = tree.entries(target).map(|item| data_of(document, item, budget, via));
            Data::Array(items.collect::<Result<_>>()?)
        }
        _ => scalar_to_data(&document.value(target)?).map_err(|error| error.on_line(document.line(node)))?,
    };
    budget.depth -= 1;
    Ok(data)
}

/// A value as data; a time is a string.
pub fn scalar_to_data(value: &Value) -> Result<Data> {
    Ok(match value {
        Value::Null => Data::Null,
        Value::Bool(bool) => Data::Bool(*bool),
        Value::Int(int) => (*int).into(),
        Value::Float(float) => Data::from(*float),
        Value::Time(text) => text.clone().into(),
        Value::Str(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => return Err(Error::new(Kind::Emit, "a string of bytes that are not UTF-8")),
        },
    })
}

/// The typed value of scalar data.
pub(super) fn to_value(data: &Data) -> Value {
    match data {
        Data::Bool(bool) => Value::Bool(*bool),
        Data::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Data::String(text) => Value::str(text),
        Data::Null | Data::Array(_) | Data::Object(_) => Value::Null,
    }
}

/// The metadata that is as a map at `node`.
pub(super) fn nested_metadata(document: &dyn Document, node: Option<NodeId>) -> Result<Option<Data>> {
    let Some(node) = node else { return Ok(None) };
    let tree = document.tree();
    if tree[tree.resolve(node)].kind != NodeKind::Map {
        let message = format!("the entry {METADATA_KEY:?} is not a map, so it is not metadata");
        return Err(Error::new(Kind::Read, message).on_line(document.line(node)));
    }
    to_data(document, node).map(Some)
}

/// Brings the subtree at `node` to `data`. What is equal already keeps its bytes.
pub fn reconcile(document: &dyn Document, node: NodeId, data: &Data) -> Result<Edits> {
    let tree = document.tree();
    let entries: Vec<NodeId> = tree.entries(node).collect();
    match (tree[node].kind, data) {
        (NodeKind::Map, Data::Object(wanted)) => {
            let key = |entry: &NodeId| tree[*entry].key.get(document.source());
            if !entries.iter().any(|entry| wanted.contains_key(key(entry))) {
                return replace_unless_equal(document, node, data);
            }
            let present: Vec<_> = entries.iter().map(|entry| (key(entry), *entry)).collect();
            let wanted: Vec<_> = wanted.iter().map(|(key, data)| (key.as_str(), data)).collect();
            reconcile_entries(document, node, &present, &wanted)
        }
        (NodeKind::List, Data::Array(wanted)) if !entries.is_empty() && !wanted.is_empty() => {
            reconcile_items(document, node, &entries, wanted)
        }
        _ => replace_unless_equal(document, node, data),
    }
}

fn replace_unless_equal(document: &dyn Document, node: NodeId, data: &Data) -> Result<Edits> {
    if to_data(document, node)? == *data {
        return Ok(Edits::default());
    }
    document.replace(node, data)
}

/// Brings those entries of a map that are `present` to those that are `wanted`. New ones go before the entry that
/// follows them in `wanted` if both have the same order, else to the end of the map.
pub(super) fn reconcile_entries(
    document: &dyn Document,
    map: NodeId,
    present: &[(&str, NodeId)],
    wanted: &[(&str, &Data)],
) -> Result<Edits> {
    let positions: HashMap<&str, usize> =
        present.iter().enumerate().rev().map(|(at, (key, _))| (*key, at)).collect();
    let names: HashSet<&str> = wanted.iter().map(|(key, _)| *key).collect();
    let gone: Vec<_> = present.iter().filter(|(name, _)| !names.contains(name)).map(|(_, id)| *id).collect();
    let mut edits = if gone.is_empty() { Edits::default() } else { document.remove(&gone)? };
    let kept: Vec<_> = wanted.iter().map(|(key, _)| positions.get(key).copied()).collect();
    // Where the first entry of an item goes, the next one comes into its place: nothing is put between the two.
    let tree = document.tree();
    let is_item = tree.parent(map).is_some_and(|list| tree[list].kind == NodeKind::List);
    let moves_up = is_item && present.first().is_some_and(|(_, first)| gone.contains(first));
    let ordered = kept.iter().flatten().is_sorted() && !moves_up;
    for (index, (key, data)) in wanted.iter().enumerate() {
        edits.merge(match kept[index] {
            Some(at) => reconcile(document, present[at].1, data)?,
            None => {
                let next = kept[index..].iter().flatten().next().filter(|_| ordered);
                document.insert(map, Some(key), next.map(|&at| present[at].1), data)?
            }
        });
    }
    Ok(edits)
}

/// Brings the items of a list to `wanted`: equal ones at both ends stay, those between change one by one.
fn reconcile_items(
    document: &dyn Document,
    list: NodeId,
    items: &[NodeId],
    wanted: &[Data],
) -> Result<Edits> {
    let present = items.iter().map(|&item| to_data(document, item)).collect::<Result<Vec<_>>>()?;
    let head = present.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let (items, present, wanted) = (&items[head..], &present[head..], &wanted[head..]);
    let tail = present.iter().rev().zip(wanted.iter().rev()).take_while(|(a, b)| a == b).count();
    let next = items.get(items.len() - tail).copied();
    let (items, wanted) = (&items[..items.len() - tail], &wanted[..wanted.len() - tail]);

    let mut edits = Edits::default();
    for (&item, data) in items.iter().zip(wanted) {
        edits.merge(reconcile(document, item, data)?);
    }
    if items.len() > wanted.len() {
        edits.merge(document.remove(&items[wanted.len()..])?);
    }
    for data in wanted.iter().skip(items.len()) {
        edits.merge(document.insert(list, None, next, data)?);
    }
    Ok(edits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::testing::read;

    /// In YAML the first entry of an item is behind its dash.
    #[test]
    fn entries_of_an_item_come_and_go() {
        let source = "k:\n    - a: []\n      b: {}\n      c:\n        - 1\n      d: x\n    - e: 1\n";
        for wanted in 1..64_u32 {
            let names = ["0", "a", "b", "c", "d", "z"].into_iter().enumerate();
            let item: serde_json::Map<_, _> = names
                .filter(|(bit, _)| wanted & (1 << bit) != 0)
                .map(|(_, name)| {
                    (name.to_owned(), if name == "c" { serde_json::json!([1]) } else { "new".into() })
                })
                .collect();
            let data = serde_json::json!({"k": [item, {"e": 1}]});
            let document = read(Format::Yaml, source);
            let edits = reconcile(&*document, document.tree().documents()[0], &data).unwrap();
            let text = edits.apply(source);
            let after = read(Format::Yaml, &text);
            assert_eq!(to_data(&*after, after.tree().documents()[0]).unwrap(), data, "{}", *text);
        }
    }
}
