use serde_json::{Value, json};

use super::super::keys::{Key, TOP, Table, Takes};
use super::super::re2::Patterns;
use super::super::schema::{self, Dialect};
use super::super::starter::{Preset, starter};
use super::json_schema;
use crate::names::Names;

/// A text that every key of texts takes.
const TEXT: &str = "https://vault.example/keys/name/version";

/// Why a value is not as a schema says, by the part of draft 7 that our schema uses.
fn complaint(schema: &Value, value: &Value, root: &Value, at: &str) -> Option<String> {
    let says = schema.as_object().expect("a schema");
    let of_type = |name: &Value| match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("an unknown type: {other}"),
    };
    let below = |name: &str| format!("{at}/{name}");
    says.iter().find_map(|(word, want)| match word.as_str() {
        "$schema" | "$id" | "definitions" | "title" | "description" => None,
        "$ref" => {
            let target = want.as_str().and_then(|path| root.pointer(path.strip_prefix('#')?));
            complaint(target.expect("a definition"), value, root, at)
        }
        "type" => {
            let mut types = want.as_array().map_or(std::slice::from_ref(want), Vec::as_slice).iter();
            (!types.any(of_type)).then(|| format!("{at}: not {want}"))
        }
        "anyOf" => {
            let mut among = want.as_array().expect("schemas").iter();
            (!among.any(|schema| complaint(schema, value, root, at).is_none()))
                .then(|| format!("{at}: none of {want}"))
        }
        "enum" => {
            let among = want.as_array().expect("values").contains(value);
            (!among).then(|| format!("{at}: not one of {want}"))
        }
        "minimum" => {
            let least = want.as_i64().expect("a number");
            value
                .as_i64()
                .filter(|number| *number < least)
                .map(|number| format!("{at}: {number} is less than {least}"))
        }
        "minLength" => value.as_str().filter(|text| text.is_empty()).map(|_| format!("{at}: empty")),
        "required" => {
            let names = want.as_array().expect("names").iter().filter_map(Value::as_str);
            let missing = names.clone().find(|name| value.is_object() && value.get(name).is_none());
            missing.map(|name| format!("{at}: {name} is missing"))
        }
        "items" => value.as_array()?.iter().find_map(|item| complaint(want, item, root, &below("*"))),
        "properties" => value
            .as_object()?
            .iter()
            .find_map(|(name, value)| complaint(want.get(name)?, value, root, &below(name))),
        "additionalProperties" => {
            let known = says.get("properties");
            let mut others = value
                .as_object()?
                .iter()
                .filter(|(name, _)| known.and_then(|known| known.get(name)).is_none());
            match want {
                Value::Bool(true) => None,
                Value::Bool(false) => others.next().map(|(name, _)| format!("{at}: unknown key {name}")),
                schema => others.find_map(|(name, value)| complaint(schema, value, root, &below(name))),
            }
        }
        other => panic!("this test does not know {other}"),
    })
}

fn schema_refuses(config: &Value) -> Option<String> {
    let schema = json_schema();
    complaint(&schema, config, &schema, "")
}

/// JSON is YAML.
fn sealant_refuses(config: &Value) -> Option<String> {
    schema::parse(&config.to_string(), Dialect::Sealant, &Patterns::default())
        .err()
        .map(|error| error.to_string())
}

/// A mapping of this table with all that it requires.
fn least(table: &Table) -> Value {
    let required = table.keys.iter().filter(|key| matches!(key.takes, Takes::Required));
    required.map(|key| (key.name.to_owned(), json!(TEXT))).collect::<serde_json::Map<_, _>>().into()
}

/// What makes a config of a value.
type Within<'a> = dyn Fn(Value) -> Value + 'a;

/// Shows each key of a table and of those below it, with what makes a config of a mapping that has the key.
fn each_key(
    table: &'static Table,
    config: &Within<'_>,
    seen: &mut Vec<&str>,
    show: &mut dyn FnMut(&Key, &Within<'_>),
) {
    if seen.contains(&table.id) {
        return;
    }
    seen.push(table.id);
    for key in table.keys {
        let with = |value: Value| {
            let mut map = least(table);
            map[key.name] = value;
            config(map)
        };
        show(key, &with);
        match key.takes {
            Takes::Map(below) => each_key(below, &with, seen, show),
            Takes::Maps(below) => each_key(below, &|map| with(json!([map])), seen, show),
            _ => {}
        }
    }
}

fn samples(takes: &Takes) -> (Vec<Value>, Vec<Value>) {
    let wrong_text = json!({"a": "b"});
    match takes {
        Takes::Text => (vec![json!(TEXT), Value::Null], vec![wrong_text, json!([TEXT])]),
        Takes::Required => (vec![json!(TEXT)], vec![wrong_text, Value::Null, json!("")]),
        Takes::OneOf(words) => (words.iter().map(|word| json!(word)).collect(), vec![wrong_text]),
        Takes::CommaTexts => {
            (vec![json!(TEXT), json!([TEXT, TEXT]), Value::Null], vec![wrong_text, json!([[TEXT]])])
        }
        Takes::Texts => (vec![json!([TEXT]), Value::Null], vec![json!(TEXT), json!([[TEXT]])]),
        Takes::TextsByName => (vec![json!({"a": "b"}), Value::Null], vec![json!(["a"]), json!({"a": ["b"]})]),
        Takes::Flag => (vec![json!(true), Value::Null], vec![json!(TEXT), json!([true])]),
        Takes::AtLeast(number) => (vec![json!(number), Value::Null], vec![json!(number - 1), json!(TEXT)]),
        Takes::Map(table) => (vec![least(table), Value::Null], vec![json!([least(table)]), json!(TEXT)]),
        Takes::Maps(table) => (vec![json!([least(table)]), Value::Null], vec![least(table), json!(TEXT)]),
    }
}

#[test]
fn the_schema_takes_what_sealant_takes_key_by_key() {
    let mut keys = 0;
    each_key(&TOP, &|config| config, &mut Vec::new(), &mut |key, with| {
        keys += 1;
        let (right, wrong) = samples(&key.takes);
        for config in right.into_iter().map(with) {
            assert_eq!((schema_refuses(&config), sealant_refuses(&config)), (None, None), "{config}");
        }
        let mut wrong: Vec<_> = wrong.into_iter().map(with).collect();
        let unknown = |below| {
            let mut map = least(below);
            map["no_such_key"] = json!(TEXT);
            map
        };
        match key.takes {
            Takes::Map(below) => wrong.push(with(unknown(below))),
            Takes::Maps(below) => wrong.push(with(json!([unknown(below)]))),
            _ => {}
        }
        for config in wrong {
            assert!(schema_refuses(&config).is_some() && sealant_refuses(&config).is_some(), "{config}");
        }
    });
    assert!(keys > 55, "{keys}");
}

/// Configs as people have them: the forms that the documentation of sops shows, and ours.
const CONFIGS: &[&str] = &[
    "creation_rules:\n    - pgp: >-\n        0123456789ABCDEF0123456789ABCDEF01234567,\n        89ABCDEF0123456789ABCDEF0123456789ABCDEF\n      age: >-\n        age1one,\n        age1two\n",
    "keys:\n  - &anna age1one\n  - &ci age1two\ncreation_rules:\n  - path_regex: secrets/[^/]+\\.(yaml|json|env|ini)$\n    key_groups:\n      - age:\n          - *anna\n          - *ci\n",
    r#"
creation_rules:
  - path_regex: \.dev\.yaml$
    kms: 'arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab+arn:aws:iam::111122223333:role/sops'
    aws_profile: dev
    pgp: ''
  - path_regex: \.prod\.yaml$
    gcp_kms: projects/shop/locations/global/keyRings/sops/cryptoKeys/sops
    azure_keyvault: https://shop.vault.azure.net/keys/sops/0123
    hckms: tr-west-1:0d0466b0-e727-4d9c-b35d-f84bb474a37f
    hc_vault_transit_uri: https://vault.example.com:8200/v1/sops/keys/shop
    encrypted_regex: ^(data|stringData)$
    mac_only_encrypted: true
  - shamir_threshold: 2
    unencrypted_comment_regex: public
    key_groups:
      - pgp: [0123456789ABCDEF0123456789ABCDEF01234567]
        merge:
          - age: [age1one]
      - kms:
          - arn: arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
            role: arn:aws:iam::111122223333:role/sops
            context: {app: shop}
            aws_profile: prod
        gcp_kms:
          - resource_id: projects/shop/locations/global/keyRings/sops/cryptoKeys/sops
      - azure_keyvault:
          - {vaultUrl: https://shop.vault.azure.net, key: sops, version: '0123'}
        hckms:
          - key_id: tr-west-1:0d0466b0-e727-4d9c-b35d-f84bb474a37f
        hc_vault:
          - https://vault.example.com:8200/v1/sops/keys/shop
destination_rules:
  - s3_bucket: sops-secrets
    s3_prefix: s3/
    path_regex: s3/*
    recreation_rule:
      pgp: 0123456789ABCDEF0123456789ABCDEF01234567
  - {gcs_bucket: sops-secrets, path_regex: gcs/*, omit_extensions: true}
  - {vault_path: sops/, vault_kv_mount_name: secret/, vault_kv_version: 2, path_regex: vault/*}
stores:
  yaml: {indent: 2}
  json: {indent: -1}
  json_binary: {indent: 2}
"#,
    "creation_rules:\n  - age: age1one\n    sealant: {scope: namespace, namespace: shop}\nsealant:\n  audit: true\n  check: {exclude: ['tests/**']}\n  recipients: {age1one: Anna}\n",
];

#[test]
fn the_schema_takes_configs_as_people_have_them() {
    let recipients = ["age1one".to_owned(), "https://vault.example.com/v1/transit/keys/shop".to_owned()];
    let fresh = [Preset::Everything, Preset::Kubernetes]
        .map(|preset| starter(&recipients, &Names::default(), preset));
    for text in CONFIGS.iter().copied().chain(fresh.iter().map(String::as_str)) {
        let config: Value = serde_yaml::from_str(text).expect("YAML");
        let refused = schema::parse(text, Dialect::Sealant, &Patterns::default()).err();
        assert_eq!((schema_refuses(&config), refused.map(|error| error.to_string())), (None, None), "{text}");
    }
}

/// The configs of sops's own tests, if `SEALANT_VECTORS` names the folder of the vectors (`tests/documents/vectors.rs`).
#[test]
#[allow(clippy::disallowed_methods, reason = "a test asks where its files are")]
fn the_schema_takes_the_configs_of_sops_itself() {
    let Some(folder) = std::env::var_os("SEALANT_VECTORS").filter(|folder| !folder.is_empty()) else {
        return;
    };
    let files = std::fs::read_dir(std::path::Path::new(&folder).join("sops/repo")).expect("vectors of sops");
    let configs = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.to_string_lossy().ends_with(".sops.yaml"));
    let taken = configs.map(|path| {
        let text = std::fs::read_to_string(&path).expect("a config");
        let refused = |text: &str, dialect| {
            schema::parse(text, dialect, &Patterns::default()).err().map(|error| error.to_string())
        };
        assert_eq!(refused(&text, Dialect::Sops), None, "{}", path.display());
        // sops reads past the old name of this key without a word; here people learn that it has no effect.
        let text = text.replace("reencryption_rule:", "recreation_rule:");
        let config: Value = serde_yaml::from_str(&text).expect("YAML");
        assert_eq!(
            (schema_refuses(&config), refused(&text, Dialect::Sealant)),
            (None, None),
            "{}",
            path.display()
        );
    });
    assert!(taken.count() > 0, "no config is among the vectors");
}
