//! What every format must hold to, for the tests of the formats.

use serde_json::json;

use super::*;

pub const TOKEN: &str = "ENC[AES256_GCM,data:bm8=,iv:c2FsdA==,tag:dGFn/+==,type:str]";

pub fn read(format: Format, source: &str) -> Box<dyn Document> {
    try_read(format, source).unwrap()
}

pub fn try_read(format: Format, source: &str) -> Result<Box<dyn Document>> {
    parse(format, SecretBytes::new(source.as_bytes().to_vec()), true)
}

/// The message of the error that reading `source` gives, with its line.
pub fn refusal(format: Format, source: &str) -> String {
    try_read(format, source).err().map_or_else(|| panic!("{source:?} is accepted"), |error| error.to_string())
}

/// Metadata as sops writes it.
pub fn metadata() -> Data {
    json!({
        "age": [
            {"enc": "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl+/==\n-----END AGE ENCRYPTED FILE-----\n", "recipient": "age1a"},
            {"enc": "-----BEGIN AGE ENCRYPTED FILE-----\nYg==\n-----END AGE ENCRYPTED FILE-----\n", "recipient": "age1b"},
        ],
        "lastmodified": "2026-01-02T03:04:05Z",
        "mac": TOKEN,
        "unencrypted_suffix": "_unencrypted",
        "version": "3.13.3",
    })
}

/// Other metadata of the same file: a key gone, one new, entries of a list gone or new.
pub fn changed_metadata() -> [Data; 4] {
    let age = |names: &[&str]| {
        names.iter().map(|name| json!({"enc": "x\n", "recipient": name})).collect::<Vec<_>>()
    };
    let rest = json!({"lastmodified": "2027-01-02T03:04:05Z", "mac": TOKEN, "sealant_spelling": "#;`\"'", "version": "3.13.3"});
    [&["age1b"][..], &["age1a", "age1b", "age1c"], &["age1c"], &[]].map(|names| {
        let mut data = serde_json::Map::new();
        if !names.is_empty() {
            data.insert("age".to_owned(), age(names).into());
        }
        data.extend(rest.as_object().unwrap().clone());
        data.into()
    })
}

/// The scalars and comments that are data of the document and are encrypted when no rule says otherwise.
fn leaves(document: &dyn Document) -> Vec<NodeId> {
    let tree = document.tree();
    let all = tree.documents().iter().flat_map(|&root| tree.descendants(root));
    all.filter(|&node| !document.is_metadata(node) && !plain(document, node).is_blank()).collect()
}

fn plain(document: &dyn Document, node: NodeId) -> Value {
    match document.tree()[node].kind {
        NodeKind::Scalar => document.value(node).unwrap(),
        NodeKind::Comment => Value::str(document.tree()[node].text.get(document.source())),
        _ => Value::Null,
    }
}

fn apply(document: &dyn Document, edits: Edits) -> SecretString {
    edits.apply(document.source())
}

/// All leaves and the metadata of `source` can be replaced, read again, and put back to the same bytes.
pub fn assert_round_trip(format: Format, source: &str) -> String {
    let clear = read(format, source);
    let nodes = leaves(&*clear);
    let mut edits = clear.put_metadata(Some(&metadata())).unwrap();
    for &leaf in &nodes {
        edits.merge(clear.put_token(leaf, TOKEN));
    }
    let encrypted = apply(&*clear, edits).to_string();
    let document = read(format, &encrypted);
    assert_eq!(document.metadata().unwrap(), Some(metadata()), "the metadata of {encrypted:?}");
    assert!(document.put_metadata(Some(&metadata())).unwrap().is_empty());

    let tokens = leaves(&*document);
    assert_eq!(tokens.len(), nodes.len(), "the leaves of {encrypted:?}");
    let mut edits = document.put_metadata(None).unwrap();
    for (&leaf, &token) in nodes.iter().zip(&tokens) {
        let value = plain(&*clear, leaf);
        assert!(plain(&*document, token).same(&Value::str(TOKEN)), "{}", encrypted);
        let comment = clear.tree()[leaf].kind == NodeKind::Comment;
        let remembered = *clear.spelling_after_token(leaf, &value) != *clear.spelling(leaf);
        edits.merge(match (remembered, comment) {
            (true, _) => document.put_spelling(token, clear.spelling(leaf)),
            (false, true) => document.put_comment(token, value.as_str().unwrap()).unwrap(),
            (false, false) => document.put_value(token, &value).unwrap(),
        });
    }
    assert_eq!(*apply(&*document, edits), source, "put back from {encrypted:?}");
    assert_canonical(&*document, &*clear, &tokens, &nodes);

    for wanted in changed_metadata() {
        let text = apply(&*document, document.put_metadata(Some(&wanted)).unwrap()).to_string();
        let changed = read(format, &text);
        assert_eq!(changed.metadata().unwrap(), Some(wanted), "in {text:?}");
        let back = apply(&*changed, changed.put_metadata(Some(&metadata())).unwrap());
        let bare = |document: &dyn Document| apply(document, document.put_metadata(None).unwrap());
        assert_eq!(*bare(&*read(format, &back)), *bare(&*document), "from {text:?}");
    }
    encrypted
}

/// Without remembered spellings the bytes may differ, but not the values.
fn assert_canonical(document: &dyn Document, clear: &dyn Document, tokens: &[NodeId], nodes: &[NodeId]) {
    let mut edits = document.put_metadata(None).unwrap();
    for (&leaf, &token) in nodes.iter().zip(tokens) {
        let value = plain(clear, leaf);
        edits.merge(match clear.tree()[leaf].kind {
            NodeKind::Comment => document.put_comment(token, value.as_str().unwrap()).unwrap(),
            _ => document.put_value(token, &value).unwrap(),
        });
    }
    let text = apply(document, edits).to_string();
    let canonical = read(document.format(), &text);
    let values = leaves(&*canonical);
    assert_eq!(values.len(), nodes.len(), "{text:?}");
    for (&leaf, &value) in nodes.iter().zip(&values) {
        assert!(plain(clear, leaf).same(&plain(&*canonical, value)), "{text:?}");
        assert_eq!(
            clear.spelling_after_token(leaf, &plain(clear, leaf)).as_str(),
            canonical.spelling(value),
            "{text:?}"
        );
    }
}
