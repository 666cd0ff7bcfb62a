//! Manifests on their way into a cluster: taken apart into objects, and refused while anything in them is encrypted.
//!
//! The one place that says "nothing encrypted is left in here". Texts keep their bytes; nothing is decrypted here.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use zeroize::Zeroizing;

use crate::document::{self, Document, Format, METADATA_KEY, NodeId, NodeKind};
use crate::error::{Error, Kind, Result};
use crate::secret::{SecretBytes, SecretString};
use crate::sops::TOKEN;

/// Whoever decodes a Secret may be more lenient than the one who wrote it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How many wrappings are taken off a text, base64 or JSON, to look for a ciphertext: base64 three times, with JSON in
/// each. `.dockerconfigjson` is base64 of JSON with base64 in it.
const WRAPPINGS: usize = 6;

/// Kubernetes objects in YAML, as they are in a file or in what a program prints.
pub struct Objects {
    document: Box<dyn Document>,
    /// The objects of its documents, Lists taken apart, and the documents that are not empty.
    found: Vec<NodeId>,
    roots: Vec<NodeId>,
}

impl Objects {
    /// Reads objects. JSON becomes YAML: what is in a stream has to be read by those who know YAML alone.
    pub fn parse(format: Format, bytes: SecretBytes) -> Result<Self> {
        let mut document = document::parse(format, bytes, false)?;
        if format == Format::Json {
            let yaml = document::convert(&*document, Format::Yaml, document::Losses::Refused)?;
            document = document::parse(Format::Yaml, yaml, false)?;
        }
        let tree = document.tree();
        let is_empty = |root: NodeId| tree[root].kind == NodeKind::Map && tree.entries(root).next().is_none();
        let roots: Vec<NodeId> = tree.documents().iter().copied().filter(|&root| !is_empty(root)).collect();
        let mut found = Vec::new();
        roots.iter().for_each(|&root| collect(&*document, root, &mut found));
        Ok(Self { document, found, roots })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing in here claims to be an object, or a list of some: a file of values, say.
    pub fn is_something_else(&self) -> bool {
        let claims = |&node: &NodeId| {
            ["apiVersion", "kind"].into_iter().any(|key| entry(&*self.document, node, key).is_some())
        };
        !self.roots.iter().chain(&self.found).any(claims)
    }

    /// Whether one of them is encrypted with sops as a whole.
    pub fn are_encrypted(&self) -> bool {
        self.found.iter().chain(&self.roots).any(|&node| is_encrypted(&*self.document, node))
    }

    /// Refuses what may not be applied: what is no object, and any that a ciphertext of sops is left in, base64
    /// included. No key opens it where it would go, and a program would take it for the password.
    pub fn refuse_encrypted(&self) -> Result<()> {
        let document = &*self.document;
        for &node in self.roots.iter().chain(&self.found) {
            let refuse = |message: String| Error::new(Kind::Read, message).on_line(document.line(node));
            for key in ["apiVersion", "kind"] {
                if text(document, node, key).is_none_or(str::is_empty) {
                    return Err(refuse(format!("this is not a Kubernetes object: it has no `{key}`")));
                }
            }
            if is_encrypted(document, node) {
                let message = format!("{} is encrypted with sops", name(document, node));
                return Err(refuse(message).with_kind(Kind::AlreadyEncrypted));
            }
        }
        match self.roots.iter().find_map(|&root| leftover(document, root, WRAPPINGS)) {
            None => Ok(()),
            Some(node) => {
                let object = self.found.iter().rev().find(|&&object| document.tree().contains(object, node));
                let name = object.map_or_else(|| "an object".to_owned(), |&object| name(document, object));
                let path = document.tree().path_of(document.source(), node);
                let message = format!("{name} has a sops ciphertext instead of a value, at {path}");
                Err(Error::new(Kind::AlreadyEncrypted, message).on_line(document.line(node)))
            }
        }
    }

    /// The text of each document of the stream that is not empty, without the lines that part them.
    pub fn texts(&self) -> Result<Vec<&str>> {
        let source = self.document.source();
        let parts = parts(source);
        let part = |&root: &NodeId| {
            let at = self.document.tree()[root].span.start();
            let found = parts.iter().find(|(from, to)| (*from..*to).contains(&at));
            let refuse = || Error::new(Kind::Read, "this stream cannot be split into objects");
            found.map(|&(from, to)| &source[from..to]).ok_or_else(refuse)
        };
        self.roots.iter().map(part).collect()
    }

    /// All of it, as it was read.
    pub fn source(&self) -> &str {
        self.document.source()
    }
}

/// Documents of one stream. Each begins on a line of its own.
pub fn joined<'a>(texts: impl IntoIterator<Item = &'a str>) -> SecretBytes {
    let mut parts = Vec::new();
    for text in texts {
        let text = text.trim_start_matches('\u{feff}');
        let parted = parts.is_empty() || starts_document(text);
        parts.extend([if parted { "" } else { "---\n" }, text]);
        parts.push(if text.ends_with('\n') || text.is_empty() { "" } else { "\n" });
    }
    let mut out = SecretBytes::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out
}

/// Each line moved to the right, so that a document can be a value in another one.
pub(super) fn indented(text: &str, by: &str) -> SecretString {
    let lines = || text.trim_start_matches('\u{feff}').split_inclusive('\n');
    let is_blank = |line: &str| line.trim_matches(['\r', '\n']).is_empty();
    let room = lines().map(|line| line.len() + by.len()).sum::<usize>() + 1;
    let mut out = Zeroizing::new(String::with_capacity(room));
    for line in lines() {
        out.push_str(if is_blank(line) { "" } else { by });
        out.push_str(line);
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn starts_document(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    first.is_some_and(is_separator)
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Where the documents of a stream stand. No value of YAML can hold a line that parts them.
fn parts(source: &str) -> Vec<(usize, usize)> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    for line in source.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\r', '\n']);
        let ends = bare.strip_prefix("...").is_some_and(|rest| rest.trim().is_empty());
        if is_separator(bare) || ends {
            parts.push((start, at));
            start = at + 3;
        }
        at += line.len();
    }
    parts.push((start, source.len()));
    parts
}

/// The objects at a node: those of a List, else itself.
fn collect(document: &dyn Document, node: NodeId, found: &mut Vec<NodeId>) {
    let tree = document.tree();
    let node = tree.resolve(node);
    let items = text(document, node, "kind")
        .filter(|kind| kind.ends_with("List"))
        .and_then(|_| entry(document, node, "items"))
        .filter(|&items| tree[items].kind == NodeKind::List);
    match items {
        Some(items) => tree.entries(items).for_each(|item| collect(document, item, found)),
        None => found.push(node),
    }
}

fn entry(document: &dyn Document, node: NodeId, key: &str) -> Option<NodeId> {
    let tree = document.tree();
    tree.entry(document.source(), tree.resolve(node), key).map(|entry| tree.resolve(entry))
}

fn text<'d>(document: &'d dyn Document, node: NodeId, key: &str) -> Option<&'d str> {
    let tree = document.tree();
    let entry = entry(document, node, key).filter(|&entry| tree[entry].kind == NodeKind::Scalar)?;
    Some(tree[entry].text.get(document.source()))
}

fn is_encrypted(document: &dyn Document, node: NodeId) -> bool {
    entry(document, node, METADATA_KEY).is_some_and(|sops| document.tree()[sops].kind == NodeKind::Map)
}

/// What people call an object.
pub(super) fn name(document: &dyn Document, node: NodeId) -> String {
    let kind = text(document, node, "kind").unwrap_or("an object");
    let Some(metadata) = entry(document, node, "metadata") else { return kind.to_owned() };
    let part = |key| text(document, metadata, key).filter(|text| !text.is_empty());
    match (part("namespace"), part("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        _ => kind.to_owned(),
    }
}

/// The first node that holds a ciphertext: as its key, in its text, or in what its text is base64 or JSON of, that many
/// times over.
fn leftover(document: &dyn Document, root: NodeId, wrappings: usize) -> Option<NodeId> {
    let (tree, source) = (document.tree(), document.source());
    tree.descendants(root).find(|&node| {
        let node = &tree[node];
        let is_value = node.kind == NodeKind::Scalar;
        node.key.get(source).contains(TOKEN) || (is_value && holds_token(node.text.get(source), wrappings))
    })
}

fn holds_token(text: &str, wrappings: usize) -> bool {
    if text.contains(TOKEN) {
        return true;
    }
    let Some(wrappings) = wrappings.checked_sub(1) else { return false };
    if let Some(bytes) = decoded(text) {
        let is_text = |text: &str| holds_token(text, wrappings);
        return holds(&bytes, TOKEN.as_bytes()) || std::str::from_utf8(&bytes).is_ok_and(is_text);
    }
    json(text).is_some_and(|document| {
        document.tree().documents().iter().any(|&root| leftover(&*document, root, wrappings).is_some())
    })
}

/// What a text says, if it is an object or a list of JSON.
fn json(text: &str) -> Option<Box<dyn Document>> {
    text.trim_start().starts_with(['{', '[']).then_some(())?;
    // Files of JSON have an object at the top.
    let wrapped = Zeroizing::new([b"{\"\":", text.as_bytes(), b"}"].concat());
    document::parse(Format::Json, wrapped, false).ok()
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    memmem::find(bytes, needle).is_some()
}

/// What a text is base64 of, line breaks aside.
fn decoded(text: &str) -> Option<SecretBytes> {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if text.len() < TOKEN.len() || !text.bytes().all(|byte| is_one(byte) || byte.is_ascii_whitespace()) {
        return None;
    }
    let packed: SecretBytes = Zeroizing::new(text.bytes().filter(|&byte| is_one(byte)).collect());
    let mut bytes = Zeroizing::new(vec![0; packed.len()]);
    let length = BASE64.decode_slice(&packed[..], &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENC: &str = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";

    fn objects(text: &str) -> Objects {
        Objects::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec())).unwrap()
    }

    fn refusal(text: &str) -> String {
        objects(text).refuse_encrypted().map_or_else(|error| error.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn what_is_left_encrypted_is_found_wherever_it_hides() {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let docker = |auth: &str| format!("{{\"auths\": {{\"example.com\": {{\"auth\": \"{auth}\"}}}}}}");
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\n";
        let hidden = [
            format!("stringData:\n  a: {ENC}\n"),
            format!("stringData:\n  a: |\n    user=x\n    password={ENC}\n"),
            format!("stringData:\n  '{ENC}': a\n"),
            "stringData:\n  a: \"\\x45NC[AES256_GCM,data\"\n".to_owned(),
            format!("data:\n  a: {}\n", encode(ENC)),
            format!("data:\n  a: {}\n", encode(&format!("password={ENC}")).trim_end_matches('=')),
            format!("data:\n  a: |\n    {}\n    {}\n", &encode(ENC)[..20], &encode(ENC)[20..]),
            format!("x: &x {ENC}\ndata: {{a: *x}}\n"),
            format!("data:\n  a: {}\n", encode(&encode(&encode(ENC)))),
            format!("data:\n  a: {}\n", encode(&docker(&encode(&format!("user:{ENC}"))))),
            format!("stringData:\n  a: |\n    {}\n", docker(&encode(&format!("user:{ENC}")))),
            "stringData:\n  a: '[\"\\u0045NC[AES256_GCM,data\"]'\n".to_owned(),
        ];
        for body in hidden {
            let message = refusal(&format!("{head}{body}"));
            assert!(message.contains("Secret shop/db has a sops ciphertext"), "{body}: {message}");
        }
        let list = format!(
            "apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: a}}, data: {{b: '{ENC}'}}}}\n"
        );
        assert_eq!(
            refusal(&list),
            "line 4: Secret a has a sops ciphertext instead of a value, at items[0].data.b"
        );
    }

    #[test]
    fn what_is_meant_for_a_cluster_passes() {
        let text = "# ENC[AES256_GCM,...] is what sops writes\napiVersion: v1\nkind: ConfigMap\ndata: {a: ENC, b: RU5DWw==}\n";
        assert_eq!(refusal(text), "none");
        assert_eq!(refusal(&format!("{text}---\n# nothing\n---\n{text}")), "none");
        assert_eq!(objects(&format!("{text}---\n---\n{text}")).count(), 2);
    }

    #[test]
    fn what_is_encrypted_as_a_whole_or_no_object_is_named() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nsops: {mac: x}\n";
        assert_eq!(refusal(&format!("---\n---\n{secret}")), "line 3: Secret db is encrypted with sops");
        assert_eq!(refusal("a: 1\n"), "line 1: this is not a Kubernetes object: it has no `apiVersion`");
        assert!(refusal("apiVersion: v1\nkind: List\nitems: [{a: 1}]\n").contains("no `apiVersion`"));
        assert!(objects("a: 1\n").is_something_else());
        assert!(!objects("a: 1\n---\nkind: Secret\n").is_something_else());
        let list = "apiVersion: v1\nkind: SecretList\nitems: [{metadata: {name: a}}]\n";
        assert!(!objects(list).is_something_else());
        assert!(refusal(list).contains("no `apiVersion`"));
    }

    #[test]
    fn a_stream_is_taken_apart_and_put_together() {
        let text = "# head\n---\na: |\n  x\n  ---\n--- # two\n{b: 1}\n...\n---\n\n---\nc: 1";
        let found = objects(text);
        assert_eq!(found.texts().unwrap(), ["\na: |\n  x\n  ---\n", " # two\n{b: 1}\n", "\nc: 1"]);
        let joined = joined(["a: 1", "---\nb: 1\n", "# c\nc: 1\n"]);
        assert_eq!(String::from_utf8(joined.to_vec()).unwrap(), "a: 1\n---\nb: 1\n---\n# c\nc: 1\n");
        assert_eq!(*indented("a: |\n\n  x", "  "), "  a: |\n\n    x\n");
    }

    proptest! {
        #[test]
        fn every_document_of_a_stream_stands_in_one_part(lines in prop::collection::vec(prop::sample::select(vec![
            "---\n", "--- # x\n", "--- {a: 1}\n", "...\n", "a: 1\n", "b: |\n  ---\n  x\n", "# c\n", "\n", "{c: 3}\n", "---\r\n", "d: 'x\n  --- y'\n",
        ]), 0..12)) {
            let text = lines.concat();
            if let Ok(found) = Objects::parse(Format::Yaml, SecretBytes::new(text.into_bytes())) {
                let texts = found.texts().unwrap();
                prop_assert_eq!(texts.len(), found.roots.len());
                for text in &texts {
                    prop_assert_eq!(objects(text).roots.len(), 1);
                }
                let together = Objects::parse(Format::Yaml, joined(texts)).unwrap();
                prop_assert_eq!(together.count(), found.count());
            }
        }
    }
}
