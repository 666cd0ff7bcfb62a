//! SealedSecrets in files: found in a document, read, and written back in place.
//!
//! What is written is read again and held against what was meant, before anybody gets to see it.

use std::collections::{HashMap, HashSet};
use std::iter;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Data, json};

use super::belongs::WITH_OLD_VALUES;
use super::check::Part;
use super::data_keys::OpenedKeys;
use super::secret::Secret;
use super::shape;
use super::types::{API_VERSION, KIND, SealedSecret, Spec};
use super::unseal::opened;
use crate::document::{
    self, Document, Edits, Format, METADATA_KEY, NodeId, NodeKind, Value, reconcile, to_data,
};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;
use crate::template::Template;

/// The schema of a whole SealedSecret, of which a file may hold more than the spec alone.
static SCHEMA: LazyLock<Data> = LazyLock::new(|| {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let metadata = json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "name": {"type": "string"},
            "namespace": {"type": "string"},
            "labels": texts,
            "annotations": texts,
        },
    });
    json!({
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": metadata,
            "spec": spec_schema(),
            "status": anything,
        },
    })
});

/// The schema of the spec, with everything in place and no references.
pub fn spec_schema() -> Data {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let mut schema = Data::from(settings.into_generator().into_root_schema_for::<Spec>());
    if let Some(schema) = schema.as_object_mut() {
        schema.shift_remove("$schema");
        schema.shift_remove("title");
    }
    schema
}

/// Whether a file may hold SealedSecrets, ours or somebody else's, without parsing it: for folders full of other files.
pub fn looks_sealed(file: &[u8]) -> bool {
    // Not by our group: in JSON its slash may be escaped.
    file.windows(KIND.len()).any(|window| window == KIND.as_bytes())
}

/// Whether the `apiVersion` is of our group.
fn is_ours(version: &str) -> bool {
    let group = |version: &str| version.split_once('/').map(|(group, _)| group.to_owned());
    group(version) == group(API_VERSION)
}

/// The SealedSecrets of a document, those of Lists included.
pub fn objects(document: &dyn Document) -> Vec<NodeId> {
    objects_where(document, &|kind, version| kind == KIND && is_ours(version))
}

/// The objects whose `kind` and `apiVersion` are meant, those of Lists included.
pub fn objects_where(document: &dyn Document, is_meant: &dyn Fn(&str, &str) -> bool) -> Vec<NodeId> {
    let mut found = Vec::new();
    for &root in document.tree().documents() {
        collect(document, root, is_meant, &mut found);
    }
    found
}

fn collect(
    document: &dyn Document,
    node: NodeId,
    is_meant: &dyn Fn(&str, &str) -> bool,
    found: &mut Vec<NodeId>,
) {
    let (tree, source) = (document.tree(), document.source());
    let entry = |key: &str| tree.entry(source, node, key);
    let text = |key: &str| {
        let entry = entry(key).map(|entry| tree.resolve(entry));
        let scalar = entry.filter(|&entry| tree[entry].kind == NodeKind::Scalar);
        scalar.map_or("", |entry| tree[entry].text.get(source))
    };
    if is_meant(text("kind"), text("apiVersion")) {
        found.push(node);
    } else if text("kind").ends_with("List") {
        let items = entry("items").filter(|&items| tree[items].kind == NodeKind::List);
        for item in items.into_iter().flat_map(|items| tree.entries(items)) {
            collect(document, item, is_meant, found);
        }
    }
}

/// What people write into the metadata of an object.
const OF_PEOPLE: [&str; 6] = ["name", "generateName", "namespace", "labels", "annotations", "finalizers"];

/// What a cluster writes there, or what only means something in it.
pub const OF_CLUSTER: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "managedFields",
    "selfLink",
];

/// Whether a node is a field, or a comment, of one of these SealedSecrets: what they have besides may be plaintext that
/// somebody put there.
pub fn is_own(document: &dyn Document, objects: &HashSet<NodeId>, node: NodeId) -> bool {
    let (tree, source) = (document.tree(), document.source());
    if !tree.is_below(objects, node) {
        return names_list(document, objects, node);
    }
    if tree[node].kind == NodeKind::Comment {
        return true;
    }
    let mut way: Vec<NodeId> = iter::successors(Some(node), |&node| tree.parent(node))
        .take_while(|node| !objects.contains(node))
        .collect();
    way.reverse();
    let keys: Vec<&str> = way.iter().map(|&node| tree[node].key.get(source)).collect();
    match keys.as_slice() {
        ["metadata", "annotations", name] | ["spec", "template", "metadata", "annotations", name]
            if WITH_OLD_VALUES.contains(name) =>
        {
            false
        }
        ["metadata", name, ..] => OF_PEOPLE.contains(name) || OF_CLUSTER.contains(name),
        // What is made of no other item is the item itself, in plaintext.
        ["spec", "template", "data", _] => match document.value(tree.resolve(node)) {
            Ok(Value::Str(text)) => str::from_utf8(&text)
                .is_ok_and(|text| Template::parse("", text).is_ok_and(|template| template.reads_items())),
            _ => false,
        },
        _ => shape::knows(document, &way, &SCHEMA),
    }
}

/// Whether a node says that these objects are in a List, as JSON has several.
fn names_list(document: &dyn Document, objects: &HashSet<NodeId>, node: NodeId) -> bool {
    let (tree, source) = (document.tree(), document.source());
    let says: &[&[u8]] = match tree[node].key.get(source) {
        "kind" => &[b"List", b"SealedSecretList"],
        "apiVersion" => &[b"v1", API_VERSION.as_bytes()],
        _ => return false,
    };
    let is_said =
        || matches!(document.value(tree.resolve(node)), Ok(Value::Str(text)) if says.contains(&&text[..]));
    let items = || tree.parent(node).and_then(|list| tree.entry(source, list, "items"));
    let is_theirs = || items().is_some_and(|items| tree.entries(items).any(|item| objects.contains(&item)));
    is_said() && is_theirs()
}

/// Reads the SealedSecret at a node, and refuses what none may be.
pub fn read(document: &dyn Document, node: NodeId) -> Result<SealedSecret> {
    let (tree, source) = (document.tree(), document.source());
    let entry = |map: NodeId, key: &str| tree.entry(source, tree.resolve(map), key);
    let on_line = |error: Error| error.on_line(document.line(node));
    if let Some(sops) = entry(node, METADATA_KEY) {
        return Err(Error::new(Kind::AlreadyEncrypted, "this SealedSecret is encrypted with sops, too")
            .on_line(document.line(sops))
            .advise("Decrypt it first: `sealant decrypt -i FILE`."));
    }
    shape::check(document, node, &SCHEMA, "")?;
    let data = without_nulls(to_data(document, node)?);
    if data["apiVersion"] != API_VERSION {
        let error = Error::new(
            Kind::Read,
            format!(
                "this version of Sealant knows only {API_VERSION} of \
                                                    SealedSecrets"
            ),
        );
        return Err(on_line(error).advise("A newer version of Sealant may know this one."));
    }
    // Everything that could be wrong was looked at; and serde's messages quote values.
    let sealed: SealedSecret = serde_json::from_value(data)
        .map_err(|_| on_line(Error::new(Kind::Read, "this is not a SealedSecret of Sealant's")))?;
    let spec = entry(node, "spec");
    let data_keys = || entry(spec?, "dataKeys");
    let items = || entry(spec?, "encryptedData");
    let line_of = |part: Part<'_>| {
        let found = match part {
            Part::DataKeys => data_keys(),
            Part::DataKey(index) => tree.entries(tree.resolve(data_keys()?)).nth(index),
            Part::Items => items(),
            Part::Item(item) => entry(items()?, item),
        };
        found.map(|node| document.line(node))
    };
    sealed.spec.check_parts(&line_of).map_err(on_line)?;
    if let Some(template) = &sealed.spec.template {
        let line = spec.and_then(|spec| entry(spec, "template")).map_or(node, |template| template);
        template.check().map_err(|error| error.on_line(document.line(line)))?;
    }
    Ok(sealed)
}

/// Kubernetes drops what is null.
fn without_nulls(data: Data) -> Data {
    match data {
        Data::Object(map) => Data::Object(
            map.into_iter()
                .filter(|(_, data)| !data.is_null())
                .map(|(key, data)| (key, without_nulls(data)))
                .collect(),
        ),
        other => other,
    }
}

/// A file with SealedSecrets in it, among whatever else.
pub struct SealedFile {
    pub document: Box<dyn Document>,
    /// In the order of the file.
    pub objects: Vec<(NodeId, SealedSecret)>,
}

impl SealedFile {
    /// Reads a file that may hold no SealedSecret at all. Errors name lines, not the file.
    pub fn parse(format: Format, bytes: SecretBytes) -> Result<Self> {
        Self::of(document::parse(format, bytes, true)?)
    }

    /// Reads the SealedSecrets of a document.
    pub fn of(document: Box<dyn Document>) -> Result<Self> {
        let objects = objects(&*document)
            .into_iter()
            .map(|node| Ok((node, read(&*document, node)?)))
            .collect::<Result<_>>()?;
        Ok(Self { document, objects })
    }

    /// The Secrets that its SealedSecrets make, with the data keys of each.
    pub fn unseal(&self, keys: &[OpenedKeys]) -> Result<Vec<Secret>> {
        self.objects.iter().zip(keys).map(|((_, sealed), keys)| opened(sealed, keys)).collect()
    }

    /// The file with what became of each of its SealedSecrets, in their order; `None` stays as it is.
    pub fn rewritten(&self, new: &[Option<SealedSecret>]) -> Result<Vec<u8>> {
        let changed = self.objects.iter().zip(new).filter_map(|((node, old), new)| {
            let new = new.as_ref().filter(|new| *new != old)?;
            Some(Rewrite { node: *node, old, new })
        });
        match &changed.collect::<Vec<_>>()[..] {
            [] => Ok(self.document.source().as_bytes().to_vec()),
            changed => rewrite(&*self.document, changed),
        }
    }
}

/// A SealedSecret of a document that was changed.
pub struct Rewrite<'a> {
    pub node: NodeId,
    pub old: &'a SealedSecret,
    pub new: &'a SealedSecret,
}

/// The document with SealedSecrets changed in place: what did not change keeps its bytes.
pub fn rewrite(document: &dyn Document, rewrites: &[Rewrite<'_>]) -> Result<Vec<u8>> {
    let mut edits = Edits::default();
    for Rewrite { node, old, new } in rewrites {
        let data = updated(&to_data(document, *node)?, &data_of(old)?, &data_of(new)?);
        edits.merge(reconcile(document, *node, &data)?);
    }
    let text = edits.apply(document.source());
    verify(document, rewrites, text.as_bytes()).map_err(|_| cannot_change())?;
    Ok(text.as_bytes().to_vec())
}

/// The document with SealedSecrets in the places of other objects. Entries that both have keep their place and their
/// comments, and everything around the objects keeps its bytes.
pub fn placed(document: &dyn Document, new: &[(NodeId, &SealedSecret)]) -> Result<Vec<u8>> {
    let mut edits = Edits::default();
    let mut wanted = HashMap::new();
    for (node, sealed) in new {
        let data = data_of(sealed)?;
        edits.merge(reconcile(document, *node, &data)?);
        wanted.insert(*node, data);
    }
    let text = edits.apply(document.source());
    verify_placed(document, &wanted, text.as_bytes()).map_err(|_| cannot_change())?;
    Ok(text.as_bytes().to_vec())
}

/// Reads what was written, and holds all of it against what was meant.
fn verify_placed(before: &dyn Document, wanted: &HashMap<NodeId, Data>, text: &[u8]) -> Result<()> {
    let after = document::parse(before.format(), SecretBytes::new(text.to_vec()), true)?;
    let (old, new) = (before.tree().documents(), after.tree().documents());
    let mut is_meant = old.len() == new.len();
    for (&old, &new) in old.iter().zip(new) {
        is_meant &= with_placed(before, old, wanted)? == to_data(&*after, new)?;
    }
    if is_meant { Ok(()) } else { Err(Error::new(Kind::Write, "it would differ")) }
}

fn with_placed(document: &dyn Document, node: NodeId, wanted: &HashMap<NodeId, Data>) -> Result<Data> {
    let tree = document.tree();
    if let Some(data) = wanted.get(&node) {
        return Ok(data.clone());
    }
    let deeper = |node: NodeId| with_placed(document, node, wanted);
    match tree[node].kind {
        NodeKind::Map => {
            let key = |entry: NodeId| tree[entry].key.get(document.source()).to_owned();
            tree.entries(node)
                .map(|entry| Ok((key(entry), deeper(entry)?)))
                .collect::<Result<_>>()
                .map(Data::Object)
        }
        NodeKind::List => tree.entries(node).map(deeper).collect::<Result<_>>().map(Data::Array),
        _ => to_data(document, node),
    }
}

fn cannot_change() -> Error {
    let error = Error::new(
        Kind::Write,
        "Sealant cannot make this change to the file without changing something else",
    );
    error.advise("Write its SealedSecrets without anchors and aliases, each entry on its own line.")
}

/// Reads what was written, and holds it against what was meant.
fn verify(before: &dyn Document, rewrites: &[Rewrite<'_>], text: &[u8]) -> Result<()> {
    let after = document::parse(before.format(), SecretBytes::new(text.to_vec()), true)?;
    let differ = || Error::new(Kind::Write, "it would differ");
    let (old, new) = (objects(before), objects(&*after));
    if old.len() != new.len() || before.tree().documents().len() != after.tree().documents().len() {
        return Err(differ());
    }
    for (&old, &new) in old.iter().zip(&new) {
        let meant = match rewrites.iter().find(|rewrite| rewrite.node == old) {
            Some(rewrite) => rewrite.new.clone(),
            None => read(before, old)?,
        };
        if read(&*after, new)? != meant {
            return Err(differ());
        }
    }
    for (&old, &new) in before.tree().documents().iter().zip(after.tree().documents()) {
        if without_objects(before, old)? != without_objects(&*after, new)? {
            return Err(differ());
        }
    }
    Ok(())
}

/// A document of a stream without what a rewrite may change in it.
fn without_objects(document: &dyn Document, root: NodeId) -> Result<Data> {
    fn strip(data: &mut Data) {
        let is_sealed = data["kind"] == KIND && data["apiVersion"].as_str().is_some_and(is_ours);
        let is_list = data["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        if let Some(map) = data.as_object_mut() {
            if is_sealed {
                map.shift_remove("metadata");
                map.shift_remove("spec");
            } else if is_list {
                map.get_mut("items").and_then(Data::as_array_mut).into_iter().flatten().for_each(strip);
            }
        }
    }
    let mut data = to_data(document, root)?;
    strip(&mut data);
    Ok(data)
}

/// What a file holds, brought from one state to another: what is equal in both stays as the file has it.
fn updated(file: &Data, old: &Data, new: &Data) -> Data {
    match (file, old, new) {
        _ if old == new => file.clone(),
        (Data::Object(file), Data::Object(old), Data::Object(new)) => {
            let mut map = Map::new();
            for (key, data) in new {
                map.insert(
                    key.clone(),
                    match (file.get(key), old.get(key)) {
                        (Some(file), Some(old)) => updated(file, old, data),
                        _ => data.clone(),
                    },
                );
            }
            // What the types do not know, or take for nothing.
            let others = file.iter().filter(|(key, _)| !old.contains_key(*key) && !new.contains_key(*key));
            map.extend(others.map(|(key, data)| (key.clone(), data.clone())));
            Data::Object(map)
        }
        _ => new.clone(),
    }
}

fn data_of(sealed: &SealedSecret) -> Result<Data> {
    let cannot = |_| Error::new(Kind::Emit, "the SealedSecret cannot be written");
    let mut data = json!({"apiVersion": API_VERSION, "kind": KIND});
    let body = serde_json::to_value(sealed).map_err(cannot)?;
    if let (Data::Object(data), Data::Object(body)) = (&mut data, body) {
        data.extend(body);
    }
    Ok(data)
}

/// The manifest of a new SealedSecret in YAML or JSON: block style, fields in the order of the types, items sorted.
pub fn manifest(sealed: &SealedSecret, format: Format) -> Result<String> {
    let data = data_of(sealed)?;
    match format {
        Format::Json => serde_json::to_string_pretty(&data)
            .map(|text| text + "\n")
            .map_err(|_| Error::new(Kind::Emit, "the SealedSecret cannot be written as JSON")),
        _ => Ok(document::yaml_of(&data)),
    }
}

/// The data keys and items of a SealedSecret, as they are put into another one by hand.
pub fn fragment(sealed: &SealedSecret, format: Format) -> Result<String> {
    let cannot = |_| Error::new(Kind::Emit, "the items cannot be written");
    let Spec { data_keys, encrypted_data, .. } = &sealed.spec;
    let data = json!({"spec": {"dataKeys": data_keys, "encryptedData": encrypted_data}});
    match format {
        Format::Json => serde_json::to_string_pretty(&data).map(|text| text + "\n").map_err(cannot),
        _ => Ok(document::yaml_of(&data)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::unset;
    use super::*;

    fn parse(format: Format, text: &str) -> Box<dyn Document> {
        document::parse(format, bytes(text), false).unwrap()
    }

    fn read_one(text: &str) -> Result<SealedSecret> {
        let document = yaml(text);
        read(&*document, objects(&*document)[0])
    }

    /// A file after a change of its first SealedSecret.
    fn changed(format: Format, text: &str, change: impl FnOnce(&SealedSecret) -> SealedSecret) -> String {
        let document = parse(format, text);
        let node = objects(&*document)[0];
        let old = read(&*document, node).unwrap();
        let new = change(&old);
        String::from_utf8(rewrite(&*document, &[Rewrite { node, old: &old, new: &new }]).unwrap()).unwrap()
    }

    #[test]
    fn a_manifest_has_the_order_of_the_design_and_reads_back() {
        let alice = Person::new();
        let mut plain = secret(&[("b", "2"), ("a", "1")]);
        plain.labels.insert("app".to_owned(), "shop".to_owned());
        plain.kind = Some("Opaque".to_owned());
        let sealed = super::super::seal(&plain, &Default::default(), new_key(&any_of(&[&alice]))).unwrap();
        let text = manifest(&sealed, Format::Yaml).unwrap();
        let outline: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with("          "))
            .map(|line| line.split_inclusive(':').next().unwrap().to_owned())
            .collect();
        let expected = "apiVersion:|kind:|metadata:|  name:|  namespace:|spec:|  scope:|  dataKeys:|    - id:|      \
                        commitment:|      age:|        - recipient:|  encryptedData:|    a:|    b:|  template:|    type:|    \
                        metadata:|      labels:|        app:";
        assert_eq!(outline.join("|"), expected, "{text}");
        assert!(
            text.contains("          enc: |\n            -----BEGIN AGE ENCRYPTED FILE-----\n"),
            "{text}"
        );
        assert_eq!(read_one(&text).unwrap(), sealed);
        let json = parse(Format::Json, &manifest(&sealed, Format::Json).unwrap());
        assert_eq!(read(&*json, objects(&*json)[0]).unwrap(), sealed);
        assert!(looks_sealed(text.as_bytes()) && !looks_sealed(b"kind: Secret\n"));
    }

    #[test]
    fn a_file_keeps_all_that_did_not_change() {
        let alice = Person::new();
        let text = manifest(&sealed(&[("a", "1"), ("c", "3")], &[&alice]), Format::Yaml).unwrap();
        let dressed = text
            .replace("kind: SealedSecret\n", "kind: SealedSecret # ours\n\n")
            .replace("encryptedData:\n", "encryptedData:\n    # the first\n")
            .replace("metadata:\n", "metadata:\n  labels: {}\n  annotations:\n");
        let stream = format!(
            "apiVersion: v1\nkind: Pod\nspec: {{a:   1}}\n---\n{dressed}status: {{ready: 1}}\n---\n{text}"
        );
        let after = changed(Format::Yaml, &stream, |old| set(old, "b", "2", &[&alice]));
        let line =
            |needle: &str| after.lines().position(|line| line.trim_start().starts_with(needle)).unwrap();
        assert!(line("a: ") < line("b: ") && line("b: ") < line("c: "));
        assert!(after.starts_with(stream.split("  dataKeys:").next().unwrap()));
        assert!(after.ends_with(&format!("status: {{ready: 1}}\n---\n{text}")));
        // And back again.
        let back = changed(Format::Yaml, &after, |old| unset(old, &["b"]).unwrap());
        assert_eq!(back, stream);
    }

    #[test]
    fn of_a_file_with_several_only_what_changed_is_written() {
        let alice = Person::new();
        let text = |items| manifest(&sealed(items, &[&alice]), Format::Yaml).unwrap();
        let (first, second) = (text(&[("a", "1")]), text(&[("b", "2")]));
        let stream = format!("{first}---\nkind: Pod # ours\n---\n{second}");
        let file = SealedFile::parse(Format::Yaml, bytes(&stream)).unwrap();
        let [(_, old), (_, other)] = &file.objects[..] else { panic!("{} objects", file.objects.len()) };
        assert_eq!(file.rewritten(&[None, Some(other.clone())]).unwrap(), stream.as_bytes());
        let new = set(old, "c", "3", &[&alice]);
        let after = String::from_utf8(file.rewritten(&[Some(new.clone()), None]).unwrap()).unwrap();
        assert!(after.ends_with(&format!("---\nkind: Pod # ours\n---\n{second}")));
        assert_eq!(SealedFile::parse(Format::Yaml, bytes(&after)).unwrap().objects[0].1, new);
        assert!(SealedFile::parse(Format::Yaml, bytes("kind: Pod\n")).unwrap().objects.is_empty());
    }

    #[test]
    fn json_is_changed_in_place_too() {
        let alice = Person::new();
        let text = manifest(&sealed(&[("a", "1")], &[&alice]), Format::Json).unwrap();
        let after = changed(Format::Json, &text, |old| set(old, "b", "2", &[&alice]));
        assert!(after.starts_with("{\n  \"apiVersion\""));
        let back = changed(Format::Json, &after, |old| unset(old, &["b"]).unwrap());
        assert_eq!(back, text);
    }

    #[test]
    fn a_change_that_cannot_be_made_in_place_is_refused() {
        let alice = Person::new();
        let text = manifest(&sealed(&[("a", "1")], &[&alice]), Format::Yaml).unwrap();
        let shared = text.replace("encryptedData:\n", "encryptedData: &items\n");
        let stream = format!("{shared}---\nkind: Pod\nitems: *items\n");
        // An alias of another document is none; one in the same document is.
        assert!(document::parse(Format::Yaml, bytes(&stream), false).is_err());
        let aliased = format!("{shared}status:\n  items: *items\n");
        let document = yaml(&aliased);
        let node = objects(&*document)[0];
        let old = read(&*document, node).unwrap();
        let new = set(&old, "b", "2", &[&alice]);
        let result = rewrite(&*document, &[Rewrite { node, old: &old, new: &new }]);
        assert!(refusal(result.map(|_| ())).contains("without changing something else"));
    }

    #[test]
    fn what_is_misspelt_or_misplaced_is_named_with_its_line() {
        let alice = Person::new();
        let text = manifest(&sealed(&[("a", "1")], &[&alice]), Format::Yaml).unwrap();
        let cases = [
            ("  scope: strict", "  scop: strict", "line 7: unknown field `spec.scop`; did you mean `scope`?"),
            (
                "  scope: strict",
                "  scope: global",
                "line 7: spec.scope is not one of strict, namespace, cluster",
            ),
            ("  scope: strict", "  scope: {a: 1}", "line 7: spec.scope is not a string"),
            (
                "      age:",
                "      ages:",
                "line 12: unknown field `spec.dataKeys[0].ages`; did you mean `age`?",
            ),
            ("kind: SealedSecret", "kind: SealedSecret\ndata: {}", "line 3: unknown field `data`"),
            ("  name: db", "  name: 7", "line 4: metadata.name is not a string"),
            (
                "v1alpha1",
                "v1beta7",
                "line 1: this version of Sealant knows only sealant.dev/v1alpha1 of SealedSecrets",
            ),
            (
                "    a: ",
                "    a: hunter2",
                "item `a` is not a ciphertext: it does not consist of the id of a data key, a colon, and base64",
            ),
            ("spec:", "sops: {}\nspec:", "line 6: this SealedSecret is encrypted with sops, too"),
            (
                "  encryptedData:",
                "  template: {data: {x: '{{ now }}hunter2'}}\n  encryptedData:",
                ": template.data: template, line 1, column 4: the function `now` is refused",
            ),
            (
                "  encryptedData:",
                "  template: {metadata: {labels: {a: 1}}}\n  encryptedData:",
                "spec.template.metadata.labels.a is not a string",
            ),
            (
                "  encryptedData:",
                "  encryptdData:",
                "unknown field `spec.encryptdData`; did you mean `encryptedData`?",
            ),
        ];
        for (from, to, message) in cases {
            let found = refusal(read_one(&text.replacen(from, to, 1)));
            assert!(found.contains(message), "{found:?} instead of {message:?}");
            assert!(found.starts_with("line "), "{found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
        let without = format!("{}  encryptedData:\n", text.split("  encryptedData:").next().unwrap());
        assert!(refusal(read_one(&without)).contains("spec has no `encryptedData`"));
    }

    #[test]
    fn what_is_null_is_not_there() {
        let alice = Person::new();
        let sealed = sealed(&[("a", "1")], &[&alice]);
        let text = manifest(&sealed, Format::Yaml).unwrap();
        let nulls = text.replace("  encryptedData:", "  deletionPolicy:\n  template: ~\n  encryptedData:");
        assert_eq!(read_one(&nulls).unwrap(), sealed);
        let after = changed(Format::Yaml, &nulls, |old| set(old, "b", "2", &[&alice]));
        assert!(after.contains("  deletionPolicy:\n  template: ~\n"));
    }

    #[test]
    fn sealed_secrets_are_found_in_streams_and_lists() {
        let item = "{apiVersion: sealant.dev/v1alpha1, kind: SealedSecret}";
        let list = format!("apiVersion: v1\nkind: List\nitems: [{item}, {{kind: Pod}}]\n");
        let text = format!("{list}---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n---\n{item}\n");
        assert_eq!(objects(&*yaml(&text)).len(), 2);
    }

    #[test]
    fn the_schema_is_one_that_kubernetes_takes() {
        let schema = spec_schema();
        let text = schema.to_string();
        for word in ["$ref", "anyOf", "oneOf", "\"default\":", "uint", "\"type\":["] {
            assert!(!text.contains(word), "{word} in {schema:#}");
        }
        assert_eq!(schema["properties"]["scope"]["enum"][0], "strict");
        assert_eq!(schema["required"], json!(["encryptedData"]));
        // Every list and map has its bound.
        fn bounded(schema: &Data, path: &str) {
            match schema["type"].as_str() {
                Some("array") => assert!(schema["maxItems"].is_u64(), "{path}"),
                Some("string") => {
                    assert!(schema["maxLength"].is_u64() || schema["enum"].is_array(), "{path}")
                }
                Some("object") if schema["additionalProperties"].is_object() => {
                    assert!(schema["maxProperties"].is_u64(), "{path}");
                    bounded(&schema["additionalProperties"], path);
                }
                _ => {}
            }
            bounded_below(schema, path);
        }
        fn bounded_below(schema: &Data, path: &str) {
            for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
                bounded(schema, &format!("{path}.{key}"));
            }
            if schema["items"].is_object() {
                bounded(&schema["items"], &format!("{path}[]"));
            }
        }
        bounded(&schema, "spec");
    }
}
