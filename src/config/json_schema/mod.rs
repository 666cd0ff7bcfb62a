//! The JSON schema of a config, made of the table that configs are read by. Editors complete and check by it.
//!
//! It is no stricter than Sealant, with one exception: a text is in quotes where YAML would read another type, such as a
//! number. SchemaStore, from which editors get it, wants draft 7, and of Ajv's strict mode that a value has one type, or is null.

use serde_json::{Map, Value, json};

use super::keys::{Key, TOP, Table, Takes};

/// Where it is on the web, below the repository's name.
const PLACE: &str = "main/docs/config.schema.json";

/// The schema, of draft 7.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut top = object(&TOP, &mut definitions);
    // Anything else at the top is a place for anchors, which a schema does not see.
    top.insert("additionalProperties".to_owned(), true.into());
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("$id".to_owned(), format!("https://raw.githubusercontent.com/{repository}/{PLACE}").into());
    schema.insert("title".to_owned(), "The config of Sealant and sops: .sops.yaml, .sealant.yaml".into());
    schema.extend(top);
    schema.insert("definitions".to_owned(), definitions.into());
    schema.into()
}

/// The schema of a mapping; those of mappings below it are added to the definitions.
fn object(table: &Table, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let properties: Map<String, Value> =
        table.keys.iter().map(|key| (key.name.to_owned(), property(key, definitions))).collect();
    let required: Vec<&str> =
        table.keys.iter().filter(|key| matches!(key.takes, Takes::Required)).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("type".to_owned(), json!(["object", "null"]));
    object.insert("additionalProperties".to_owned(), false.into());
    if !required.is_empty() {
        object.insert("required".to_owned(), required.into());
    }
    object.insert("properties".to_owned(), properties.into());
    object
}

fn property(key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let text = json!({"type": ["string", "null"]});
    let mut schema = match key.takes {
        Takes::Text => text,
        Takes::Required => json!({"type": "string", "minLength": 1}),
        Takes::OneOf(words) => {
            json!({"enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>()})
        }
        Takes::CommaTexts => json!({"anyOf": [text, {"type": "array", "items": text}]}),
        Takes::Texts => json!({"type": ["array", "null"], "items": text}),
        Takes::TextsByName => json!({"type": ["object", "null"], "additionalProperties": text}),
        Takes::Flag => json!({"type": ["boolean", "null"]}),
        Takes::AtLeast(least) => json!({"type": ["integer", "null"], "minimum": least}),
        Takes::Map(table) => reference(table, definitions),
        Takes::Maps(table) => json!({"type": ["array", "null"], "items": reference(table, definitions)}),
    };
    schema["description"] = key.about.into();
    schema
}

/// A reference to the definition of a mapping, which is made when it is first referred to. A key group may hold others.
fn reference(table: &Table, definitions: &mut Map<String, Value>) -> Value {
    if !definitions.contains_key(table.id) {
        definitions.insert(table.id.to_owned(), Value::Null);
        let object = object(table, definitions);
        definitions.insert(table.id.to_owned(), object.into());
    }
    json!({"$ref": format!("#/definitions/{}", table.id)})
}

#[cfg(test)]
mod tests;
