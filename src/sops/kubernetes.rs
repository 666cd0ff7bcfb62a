//! What Sealant knows of Kubernetes manifests: which leaves of a Secret are secret, and where kubectl leaves a copy.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::{array, iter};

use crate::document::{Document, NodeId, NodeKind, Value};

/// Where kubectl keeps the manifest that was applied last, plaintext included.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The names of an object's entries that say what it is and what it holds.
const NAMES: [&str; 5] = ["apiVersion", "kind", "items", "data", "stringData"];
const API_VERSION: usize = 0;
const KIND: usize = 1;
const ITEMS: usize = 2;
const DATA: usize = 3;
const STRING_DATA: usize = 4;

/// The entry of a map with each of [`NAMES`].
type Head = [Option<NodeId>; NAMES.len()];

/// A `v1` Secret of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secret {
    /// The map.
    pub node: NodeId,
    head: Head,
}

impl Secret {
    /// Its map `data`, whose values are in base64.
    pub fn data(&self, document: &dyn Document) -> Option<NodeId> {
        self.head[DATA].map(|node| document.tree().resolve(node))
    }

    /// Its map `stringData`.
    pub fn string_data(&self, document: &dyn Document) -> Option<NodeId> {
        self.head[STRING_DATA].map(|node| document.tree().resolve(node))
    }
}

/// Whether every document of a file is a `v1` Secret, or a List of nothing else.
pub fn holds_only_secrets(document: &dyn Document) -> bool {
    holds_only_secrets_beside(document, &[])
}

/// As [`holds_only_secrets`], but for the documents that are `others`.
pub fn holds_only_secrets_beside(document: &dyn Document, others: &[NodeId]) -> bool {
    let objects = Objects::of(document);
    let roots = document.tree().documents().iter().filter(|root| !others.contains(root));
    let empty = |root: NodeId| document.tree().entries(root).next().is_none();
    roots.clone().any(|&root| !empty(root))
        && roots.into_iter().all(|&root| empty(root) || objects.holds_only_secrets(root))
}

/// Whether a value with these keys on the way to it, as [`crate::sops::Leaf::path`] has them, is in a field that a `v1` Secret
/// or a List of some has (Kubernetes API reference, core/v1 Secret).
pub fn is_in_secret(path: &str) -> bool {
    let mut keys = path.split(':');
    let first = keys.find(|key| *key != "items").unwrap_or_default();
    ["apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData"].contains(&first)
}

/// Every `v1` Secret of a document: alone, in Lists, and inside other objects.
///
/// Readers differ on whether a key or the one that a merge brings in counts, so a map is a Secret if it is one to any
/// of them. As to kubectl, `/v1` is `v1`, an object need not have an `apiVersion`, and what a Secret has as `items`
/// are Secrets.
pub fn secrets(document: &dyn Document) -> Vec<Secret> {
    let objects = Objects::of(document);
    let tree = document.tree();
    let (mut deployed, mut seen) = (HashSet::new(), HashSet::new());
    deployed.extend(tree.documents().iter().map(|&root| tree.resolve(root)));
    deployed.extend(objects.heads.keys().flat_map(|&map| items(document, map, &mut seen)));
    let is_secret = |map: &NodeId| {
        let says = objects.says.get(map).copied().unwrap_or_default();
        let may_be_blank = says.has(Says::NO_VERSION) || !says.has(Says::OTHER_VERSION);
        let is_core = says.has(Says::CORE) || (may_be_blank && deployed.contains(map));
        says.has(Says::SECRET) && is_core
    };
    // The items of a list need not say what they are.
    let mut open: Vec<NodeId> = objects.heads.keys().copied().filter(is_secret).collect();
    let (mut nodes, mut seen) = (BTreeSet::new(), HashSet::new());
    while let Some(map) = open.pop() {
        if nodes.insert(map) {
            open.extend(items(document, map, &mut seen));
        }
    }
    nodes.into_iter().map(|node| Secret { node, head: objects.head(node) }).collect()
}

/// The maps that a map has as `items`.
fn items(document: &dyn Document, map: NodeId, seen: &mut HashSet<NodeId>) -> Vec<NodeId> {
    let tree = document.tree();
    let lists = entries(document, map, &[NAMES[ITEMS]], seen).into_iter().map(|list| tree.resolve(list));
    let lists = lists.filter(|&list| tree[list].kind == NodeKind::List);
    let items = lists.flat_map(|list| tree.entries(list)).map(|item| tree.resolve(item));
    items.filter(|&item| tree[item].kind == NodeKind::Map).collect()
}

/// The entries of a map with these keys, and of all maps that merge keys bring into it but for those that were `seen`
/// before.
fn entries(document: &dyn Document, map: NodeId, keys: &[&str], seen: &mut HashSet<NodeId>) -> Vec<NodeId> {
    let (tree, source) = (document.tree(), document.source());
    let (mut found, mut open) = (Vec::new(), vec![map]);
    while let Some(map) = open.pop().map(|map| tree.resolve(map)) {
        if tree[map].kind != NodeKind::Map || !seen.insert(map) {
            continue;
        }
        for entry in tree.entries(map) {
            let key = tree[entry].key.get(source);
            if keys.contains(&key) {
                found.push(entry);
            } else if key == MERGE {
                open.extend(merged(document, entry));
            }
        }
    }
    found
}

/// What a merge key brings in: a map, or each map of a list.
fn merged(document: &dyn Document, entry: NodeId) -> impl Iterator<Item = NodeId> {
    let tree = document.tree();
    // A list that is an alias is refused by all who read YAML.
    let several = tree.entries(entry).filter(move |_| tree[entry].kind == NodeKind::List);
    iter::once(entry).chain(several)
}

/// The collections whose values were looked at: what aliases share is looked at once.
#[derive(Debug, Default)]
pub struct Seen {
    maps: HashSet<NodeId>,
    collections: HashSet<NodeId>,
}

/// The values of a Secret, without those of collections that were `seen` before.
pub fn values(document: &dyn Document, secret: &Secret, seen: &mut Seen) -> Vec<NodeId> {
    let tree = document.tree();
    let is_collection = |node: NodeId| matches!(tree[node].kind, NodeKind::Map | NodeKind::List);
    let mut values = Vec::new();
    let maps = entries(document, secret.node, &[NAMES[STRING_DATA], NAMES[DATA]], &mut seen.maps);
    let mut open: Vec<NodeId> = maps.into_iter().map(|map| tree.resolve(map)).collect();
    while let Some(collection) = open.pop() {
        if !is_collection(collection) || !seen.collections.insert(collection) {
            continue;
        }
        for node in tree.descendants(collection) {
            match tree[node].kind {
                NodeKind::Alias(_) if is_collection(tree.resolve(node)) => open.push(tree.resolve(node)),
                NodeKind::Scalar | NodeKind::Alias(_) => values.push(node),
                _ => {}
            }
        }
    }
    values
}

/// Whether this is an object of Kubernetes, of any kind.
pub fn is_object(document: &dyn Document, node: NodeId) -> bool {
    ["apiVersion", "kind"].into_iter().all(|key| entry(document, node, key).is_some())
}

/// The annotations of Secrets that carry their plaintext.
pub fn last_applied(document: &dyn Document) -> Vec<NodeId> {
    last_applied_of(document, &secrets(document))
}

/// Those of these Secrets.
pub fn last_applied_of(document: &dyn Document, secrets: &[Secret]) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = secrets.iter().map(|secret| secret.node).collect();
    for key in ["metadata", "annotations", LAST_APPLIED] {
        let mut seen = HashSet::new();
        nodes = nodes.into_iter().flat_map(|node| entries(document, node, &[key], &mut seen)).collect();
    }
    nodes
}

fn entry(document: &dyn Document, map: NodeId, key: &str) -> Option<NodeId> {
    let tree = document.tree();
    tree.entry(document.source(), tree.resolve(map), key)
}

/// The key by which a map brings in others.
const MERGE: &str = "<<";

/// What a map, or one that it brings in, says of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Says(u8);

impl Says {
    /// It is of kind Secret, or a list of them.
    const SECRET: u8 = 1;
    /// Its version is `v1`.
    const CORE: u8 = 2;
    /// Its version is another.
    const OTHER_VERSION: u8 = 4;
    /// Its version is blank.
    const NO_VERSION: u8 = 8;

    fn has(self, what: u8) -> bool {
        self.0 & what != 0
    }
}

/// What the maps of a document say of themselves, as whoever applies them reads it: merge keys followed, and each
/// map read once, however many aliases lead to it.
struct Objects<'d> {
    document: &'d dyn Document,
    heads: HashMap<NodeId, Head>,
    says: HashMap<NodeId, Says>,
}

impl<'d> Objects<'d> {
    fn of(document: &'d dyn Document) -> Self {
        let tree = document.tree();
        let mut objects = Self { document, heads: HashMap::new(), says: HashMap::new() };
        for &root in tree.documents() {
            for node in iter::once(root).chain(tree.descendants(root)) {
                if tree[node].kind == NodeKind::Map {
                    objects.read(node);
                }
            }
        }
        objects
    }

    /// An alias leads back to what was read before: this goes as deep as the text nests.
    fn read(&mut self, map: NodeId) -> (Head, Says) {
        if let (Some(head), Some(says)) = (self.heads.get(&map), self.says.get(&map)) {
            return (*head, *says);
        }
        let (tree, source) = (self.document.tree(), self.document.source());
        let (mut head, mut says, mut bases) = (Head::default(), Says::default(), Vec::new());
        for entry in tree.entries(map) {
            let key = tree[entry].key.get(source);
            if let Some(name) = NAMES.iter().position(|name| *name == key) {
                head[name] = Some(entry);
                says.0 |= self.said(name, entry);
            } else if key == MERGE {
                bases.extend(merged(self.document, entry));
            }
        }
        self.heads.insert(map, head);
        self.says.insert(map, says);
        for base in bases.into_iter().map(|base| tree.resolve(base)) {
            if tree[base].kind == NodeKind::Map {
                let (base, of_base) = self.read(base);
                head = array::from_fn(|name| head[name].or(base[name]));
                says.0 |= of_base.0;
            }
        }
        self.heads.insert(map, head);
        self.says.insert(map, says);
        (head, says)
    }

    /// What an entry says of its map.
    fn said(&self, name: usize, entry: NodeId) -> u8 {
        let is = |text: &str| is_text(self.document, entry, text);
        match name {
            KIND if is("Secret") || is("SecretList") => Says::SECRET,
            API_VERSION if is("v1") || is("/v1") => Says::CORE,
            API_VERSION if is("") || is("/") || is_null(self.document, entry) => Says::NO_VERSION,
            API_VERSION => Says::OTHER_VERSION,
            _ => 0,
        }
    }

    fn head(&self, node: NodeId) -> Head {
        self.heads.get(&self.document.tree().resolve(node)).copied().unwrap_or_default()
    }

    fn is_kind(&self, node: NodeId, kind: &str) -> bool {
        let head = self.head(node);
        let says =
            |name: usize, text: &str| head[name].is_some_and(|node| is_text(self.document, node, text));
        says(API_VERSION, "v1") && says(KIND, kind)
    }

    fn items(&self, list: NodeId) -> Option<NodeId> {
        let tree = self.document.tree();
        self.head(list)[ITEMS]
            .map(|items| tree.resolve(items))
            .filter(|&items| tree[items].kind == NodeKind::List)
    }

    fn holds_only_secrets(&self, node: NodeId) -> bool {
        let tree = self.document.tree();
        if self.is_kind(node, "Secret") {
            return true;
        }
        let of_secrets = self.is_kind(node, "SecretList");
        let is_list = of_secrets || (self.is_kind(node, "List") && tree.resolve(node) == node);
        let mut items = self.items(node).into_iter().flat_map(|items| tree.entries(items)).peekable();
        is_list && items.peek().is_some() && items.all(|item| of_secrets || self.holds_only_secrets(item))
    }
}

/// Whether a scalar stands for this text, whatever its tag.
fn is_text(document: &dyn Document, node: NodeId, text: &str) -> bool {
    let node = document.tree().resolve(node);
    document.tree()[node].kind == NodeKind::Scalar
        && document.value(node).is_ok_and(|value| value.as_str() == Some(text))
}

fn is_null(document: &dyn Document, node: NodeId) -> bool {
    let node = document.tree().resolve(node);
    document.tree()[node].kind == NodeKind::Scalar
        && document.value(node).is_ok_and(|value| matches!(value, Value::Null))
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
        let mut seen = Seen::default();
        let mut count = |secret| values(&*document, secret, &mut seen).len();
        assert_eq!([count(&found[0]), count(&found[1])], [2, 1]);
    }

    #[test]
    fn secrets_are_known_however_they_are_written() {
        let of = |text: &str| {
            let document = yaml(text);
            let (found, mut seen) = (secrets(&*document), Seen::default());
            let count = |secret| values(&*document, secret, &mut seen).len();
            (found.len(), found.iter().map(count).sum::<usize>())
        };
        for (text, expected) in [
            ("apiVersion: v1\nkind: \"\\x53ecret\"\ndata: {a: b}\n", (1, 1)),
            ("apiVersion: v1\nkind: !!binary U2VjcmV0\ndata: {a: b}\n", (1, 1)),
            ("apiVersion: !!str v1\nkind: !!str Secret\ndata: {a: b}\n", (1, 1)),
            ("x: {v: &v v1, k: &k Secret}\napiVersion: *v\nkind: *k\ndata: {a: b}\n", (1, 1)),
            ("x: &x {stringData: {a: b}}\napiVersion: v1\nkind: Secret\n<<: *x\n", (1, 1)),
            ("x: &x {apiVersion: v1, kind: Secret}\ny:\n  <<: [*x]\n  data: {a: b}\n", (2, 1)),
            ("x: &x {data: {a: b}}\ny: &y {<<: *x}\napiVersion: v1\nkind: Secret\n\"<<\": *y\n", (1, 1)),
            ("x: &x {a: b}\napiVersion: v1\nkind: Secret\ndata: {<<: *x, c: d}\n", (1, 2)),
            ("x: &x {a: b}\napiVersion: v1\nkind: Secret\ndata: *x\n", (1, 1)),
            ("apiVersion: v1\nkind: ConfigMap\n<<: {kind: Secret, stringData: {a: b}}\n", (1, 1)),
            ("apiVersion: v1\nkind: Secret\nstringData: {a: b}\n<<: {kind: ConfigMap}\n", (1, 1)),
            ("apiVersion: v1\nkind: Secret\nstringData: {a: b}\n<<: {stringData: {c: d}}\n", (1, 2)),
            ("apiVersion: v2\nkind: Secret\n<<: [{<<: {apiVersion: v1}}, {data: {a: b}}]\n", (1, 1)),
            ("apiVersion: v1\nkind: List\n<<: {kind: SecretList}\nitems: [{data: {a: b}}]\n", (2, 1)),
            (
                "apiVersion: v1\nkind: SecretList\nitems: []\n<<: {items: [{data: {a: b}, <<: {data: {c: d}}}]}\n",
                (2, 2),
            ),
            ("apiVersion: v1\nkind: Secret\nitems:\n- {data: {a: b}}\n", (2, 1)),
            ("apiVersion: /v1\nkind: Secret\ndata: {a: b}\n", (1, 1)),
            ("apiVersion: v1\nkind: List\nitems: [{apiVersion: /v1, kind: Secret, data: {a: b}}]\n", (1, 1)),
            ("kind: Secret\ndata: {a: b}\n", (1, 1)),
            ("apiVersion:\nkind: Secret\ndata: {a: b}\n", (1, 1)),
            ("apiVersion: v2\nkind: Secret\ndata: {a: b}\n<<: {apiVersion: }\n", (1, 1)),
            ("items: [{apiVersion: '', kind: Secret, data: {a: b}}]\n", (1, 1)),
            // A template may name a Secret without being one.
            ("valuesFrom:\n- {kind: Secret, data: {a: b}}\n", (0, 0)),
            ("apiVersion: x/v1\nkind: Secret\ndata: {a: b}\n", (0, 0)),
            (
                "apiVersion: v1\nkind: SecretList\nitems:\n- {data: {a: b}}\n- {kind: Secret, data: {c: d}}\n",
                (3, 2),
            ),
            (
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Secret, data: {a: b}}\n",
                (1, 1),
            ),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_aliases_share_is_looked_at_once() {
        // Each of these maps holds all that the one before it holds, twice.
        let mut text =
            "l0: &l0 {apiVersion: v1, kind: Secret, data: &d {a: b, c: *d0}}\n".replace(", c: *d0", "");
        for n in 1..2000 {
            let before = n - 1;
            text +=
                &format!("l{n}: &l{n} {{<<: [*l{before}, *l{before}], data: {{x: *d, y: *l{before}}}}}\n");
        }
        let document = yaml(&text);
        let found = secrets(&*document);
        assert_eq!(found.len(), 2000);
        let mut seen = Seen::default();
        let count: usize = found.iter().map(|secret| values(&*document, secret, &mut seen).len()).sum();
        assert!(count < 20_000, "{count}");
        holds_only_secrets(&*document);
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
