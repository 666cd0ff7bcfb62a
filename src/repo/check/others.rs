//! What a rule about Kubernetes Secrets means in objects that are none.

use std::iter;

use crate::config::Selection;
use crate::document::{Document, NodeId};
use crate::sops::kubernetes;

/// The keys of a Secret's values.
const VALUES: [&str; 2] = ["data", "stringData"];

/// Whether a selection is about Kubernetes Secrets, as Flux's manual has it for all files: the `data` of a ConfigMap
/// are not meant, for nothing else has `stringData`.
pub fn is_about_secrets(selection: &Selection) -> bool {
    selection.encrypts_matches() && selection.matches_key("stringData")
}

/// Whether a selection is about nothing but Secrets, as far as names show that are secrets themselves.
pub fn is_about_secrets_alone(selection: &Selection) -> bool {
    const OTHERS: [&str; 6] = ["password", "token", "secret", "key", "value", "a"];
    is_about_secrets(selection) && !OTHERS.iter().any(|name| selection.matches_key(name))
}

/// Whether a leaf is selected for nothing but standing below an object's own `data` or `stringData`.
pub fn is_of_data(document: &dyn Document, selection: &Selection, leaf: NodeId) -> bool {
    let (source, tree) = (document.source(), document.tree());
    let way = iter::successors(Some(leaf), |&node| tree.parent(node));
    let mut selecting = way.filter(|&node| selection.matches_key(tree[node].key.get(source)));
    match (selecting.next(), selecting.next()) {
        (Some(only), None) => {
            VALUES.contains(&tree[only].key.get(source))
                && tree.parent(only).is_some_and(|object| kubernetes::is_object(document, object))
        }
        _ => false,
    }
}
