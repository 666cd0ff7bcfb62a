//! What Sealant knows of Kubernetes manifests: which leaves of a Secret are secret, and where kubectl leaves a copy.

use std::iter;

use crate::document::{Document, NodeId, NodeKind};

/// Where kubectl keeps the manifest that was applied last, plaintext included.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether every document of a file is a `v1` Secret, or a List of nothing else.
pub fn holds_only_secrets(document: &dyn Document) -> bool {
    let roots = document.tree().documents();
    let is_secret = |root: NodeId| {
        is_kind(document, root, "Secret")
            || (is_kind(document, root, "List")
                && items(document, root).is_some_and(|items| {
                    !items.is_empty() && items.iter().all(|&item| is_kind(document, item, "Secret"))
                }))
    };
    let empty = |root: NodeId| document.tree().entries(root).next().is_none();
    roots.iter().any(|&root| !empty(root)) && roots.iter().all(|&root| empty(root) || is_secret(root))
}

/// Every `v1` Secret of a document: alone, in Lists, and inside of other objects.
pub fn secrets(document: &dyn Document) -> Vec<NodeId> {
    let tree = document.tree();
    let nodes = tree.documents().iter().flat_map(|&root| iter::once(root).chain(tree.descendants(root)));
    nodes.filter(|&node| tree[node].kind == NodeKind::Map && is_kind(document, node, "Secret")).collect()
}

/// The values of a Secret.
pub fn values(document: &dyn Document, secret: NodeId) -> Vec<NodeId> {
    let tree = document.tree();
    let maps = ["data", "stringData"].into_iter().filter_map(|key| entry(document, secret, key));
    let values = maps.flat_map(|map| tree.descendants(tree.resolve(map)));
    values.filter(|&node| matches!(tree[node].kind, NodeKind::Scalar | NodeKind::Alias(_))).collect()
}

/// Whether this is an object of Kubernetes, of any kind.
pub fn is_object(document: &dyn Document, node: NodeId) -> bool {
    ["apiVersion", "kind"].into_iter().all(|key| entry(document, node, key).is_some())
}

/// The annotations of Secrets that carry their plaintext.
pub fn last_applied(document: &dyn Document) -> Vec<NodeId> {
    let annotation = |secret| {
        let annotations = entry(document, entry(document, secret, "metadata")?, "annotations")?;
        entry(document, annotations, LAST_APPLIED)
    };
    secrets(document).into_iter().filter_map(annotation).collect()
}

fn entry(document: &dyn Document, map: NodeId, key: &str) -> Option<NodeId> {
    let tree = document.tree();
    tree.entry(document.source(), tree.resolve(map), key)
}

fn is_kind(document: &dyn Document, object: NodeId, kind: &str) -> bool {
    let says = |key: &str, text: &str| {
        entry(document, object, key).is_some_and(|node| {
            let node = document.tree().resolve(node);
            document.tree()[node].kind == NodeKind::Scalar
                && document.tree()[node].text.get(document.source()) == text
        })
    };
    says("apiVersion", "v1") && says("kind", kind)
}

fn items(document: &dyn Document, object: NodeId) -> Option<Vec<NodeId>> {
    let tree = document.tree();
    let list = entry(document, object, "items").filter(|&node| tree[node].kind == NodeKind::List)?;
    is_kind(document, object, "List").then(|| tree.entries(list).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{self, Format};
    use crate::secret::SecretBytes;

    fn yaml(text: &str) -> Box<dyn Document> {
        document::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec()), false).unwrap()
    }

    #[test]
    fn secrets_are_known_alone_in_streams_and_in_lists() {
        let secret = "apiVersion: v1\nkind: Secret\ndata: {}\n";
        assert!(holds_only_secrets(&*yaml(secret)));
        assert!(holds_only_secrets(&*yaml(&format!("---\n{secret}---\n{secret}---\n"))));
        assert!(holds_only_secrets(&*yaml(
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret}\n"
        )));
        for other in [
            "apiVersion: v1\nkind: ConfigMap\n",
            &format!("{secret}---\nkind: Secret\n"),
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n",
            "---\n",
        ] {
            assert!(!holds_only_secrets(&*yaml(other)), "{other}");
        }
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let text = "kind: Template\nspec:\n  objects:\n  - apiVersion: v1\n    kind: Secret\n    data: {a: b, c: ''}\n\
                    ---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, stringData: {d: e}}\n";
        let document = yaml(text);
        let found = secrets(&*document);
        assert_eq!(found.len(), 2);
        let count = |secret| values(&*document, secret).len();
        assert_eq!([count(found[0]), count(found[1])], [2, 1]);
    }

    #[test]
    fn the_copy_that_kubectl_leaves_is_found() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {}\n";
        let document = yaml(text);
        let found = last_applied(&*document);
        assert_eq!(found.len(), 1);
        assert_eq!(document.line(found[0]), 6);
        assert!(last_applied(&*yaml("kind: Secret\n")).is_empty());
    }
}
