//! Whether a node of a document has the shape that a schema asks for: the schema of the CustomResourceDefinition, so
//! that a file is held to what a cluster holds it to.
//!
//! Knows as much of schemas as the types of this module make. Errors name fields and lines, never values: what stands
//! in the wrong place may be plaintext.

use serde_json::Value as Schema;

use crate::document::{Document, NodeId, NodeKind, Value};
use crate::error::{Error, Kind, Result};
use crate::hints::nearest;

/// Refuses a node that is not as the schema says. `path` is what messages call it.
pub(super) fn check(document: &dyn Document, node: NodeId, schema: &Schema, path: &str) -> Result<()> {
    let tree = document.tree();
    let target = tree.resolve(node);
    let wanted = schema["type"].as_str().unwrap_or_default();
    let refuse = |message: String| Error::new(Kind::Read, message).on_line(document.line(node));
    let found = match tree[target].kind {
        NodeKind::Map => "object",
        NodeKind::List => "array",
        _ => match document.value(target)? {
            // Kubernetes drops what is null.
            Value::Null => return Ok(()),
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::Str(_) | Value::Time(_) => "string",
        },
    };
    if found != wanted {
        let quotes = wanted == "string" && !matches!(found, "object" | "array");
        let error = refuse(format!("{path} is not {}", name_of(wanted)));
        return Err(if quotes { error.advise("Put it in quotes.") } else { error });
    }
    let limit = |name: &str| {
        schema[name].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let bounded = |name: &str, found: usize, what: &str| match limit(name) {
        limit if found > limit => {
            Err(refuse(format!("{path} has {found} {what}; at most {limit} are allowed")))
        }
        _ => Ok(()),
    };
    match wanted {
        "object" => {
            bounded("maxProperties", tree.entries(target).count(), "entries")?;
            check_entries(document, target, schema, path)
        }
        "array" => {
            bounded("maxItems", tree.entries(target).count(), "items")?;
            let mut items = tree.entries(target).enumerate();
            items.try_for_each(|(at, item)| check(document, item, &schema["items"], &format!("{path}[{at}]")))
        }
        "string" => {
            let text = tree[target].text.get(document.source());
            bounded("maxLength", text.chars().count(), "characters")?;
            match schema["enum"].as_array() {
                Some(names) if !names.iter().any(|name| name.as_str() == Some(text)) => {
                    let names: Vec<&str> = names.iter().filter_map(Schema::as_str).collect();
                    Err(refuse(format!("{path} is not one of {}", names.join(", "))))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether a schema has a place for a node, to which `way` leads.
pub(super) fn knows(document: &dyn Document, way: &[NodeId], schema: &Schema) -> bool {
    let tree = document.tree();
    let Some((&first, rest)) = way.split_first() else { return true };
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return true;
    }
    let is_item = tree.parent(first).is_some_and(|parent| tree[parent].kind == NodeKind::List);
    let deeper = match is_item {
        true => schema.get("items"),
        false => {
            let known = schema["properties"].get(tree[first].key.get(document.source()));
            known.or_else(|| schema.get("additionalProperties"))
        }
    };
    deeper.is_some_and(|deeper| knows(document, rest, deeper))
}

fn check_entries(document: &dyn Document, map: NodeId, schema: &Schema, path: &str) -> Result<()> {
    let (tree, source) = (document.tree(), document.source());
    let properties = schema["properties"].as_object();
    let anything = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for entry in tree.entries(map) {
        let key = tree[entry].key.get(source);
        let deeper = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let known = properties.and_then(|properties| properties.get(key));
        match (known, schema.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema)) => check(document, entry, schema, &deeper)?,
            _ if anything => {}
            _ => {
                let names: Vec<&str> =
                    properties.into_iter().flat_map(|map| map.keys().map(String::as_str)).collect();
                let mut message = format!("unknown field `{deeper}`");
                if let Some(name) = nearest(key, names) {
                    message.push_str(&format!("; did you mean `{name}`?"));
                }
                return Err(Error::new(Kind::Read, message).on_line(document.line(entry)));
            }
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Schema::as_str) {
        let entry = tree.entry(source, map, name);
        let is_null = |entry: NodeId| {
            let target = tree.resolve(entry);
            tree[target].kind == NodeKind::Scalar && matches!(document.value(target), Ok(Value::Null))
        };
        if entry.is_none_or(is_null) {
            let whole = if path.is_empty() { "the object".to_owned() } else { path.to_owned() };
            return Err(
                Error::new(Kind::Read, format!("{whole} has no `{name}`")).on_line(document.line(map))
            );
        }
    }
    Ok(())
}

fn name_of(kind: &str) -> &'static str {
    match kind {
        "object" => "a map",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        _ => "a string",
    }
}
