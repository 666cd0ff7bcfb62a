//! Adds master keys to the creation rules of a config, and takes them out: all else of its text stays as it is.
//!
//! Owns how each way to write a list of keys goes on: a text with commas on one line or several, a list of texts, one behind
//! an anchor or a merge key. What an edit comes to is for the caller to see, by reading the config again.

use serde_json::{Value as Data, json};

use crate::config::KeySpec;
use crate::document::{self, Document, Edits, Format, NodeId, NodeKind, Span, Style};
use crate::error::{Error, Kind, Result};
use crate::keys::MasterKey;
use crate::policy;
use crate::secret::SecretBytes;

/// How deep merge keys are followed.
const MOST_MERGES: usize = 16;

/// Where in a config keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the rule, from 0.
    pub rule: usize,
    /// The number of the key group, from 0; `None` for a rule without groups.
    pub group: Option<usize>,
}

/// The text of a config with a key more.
pub fn add(text: &str, place: Place, key: &KeySpec) -> Result<String> {
    let config = Parsed::of(text)?;
    let map = config.map_at(place)?;
    let item = match place.group {
        Some(_) => item_of_group(key),
        None => Data::String(flat(key)),
    };
    let edits = match config.field(map, field(key, place), 0).map(|node| config.resolve(node)) {
        None => {
            let value = if place.group.is_some() { json!([item]) } else { item };
            config.document.insert(map, Some(field(key, place)), None, &value)?
        }
        Some(list) if config.kind(list) == NodeKind::List => {
            config.document.insert(list, None, None, &item)?
        }
        Some(scalar) if config.parts(scalar).is_empty() => config.document.replace(scalar, &item)?,
        Some(scalar) => config.append(scalar, &flat(key))?,
    };
    Ok(config.applied(edits))
}

/// The text of a config without a key that is there.
pub fn remove(text: &str, place: Place, key: &MasterKey) -> Result<String> {
    let config = Parsed::of(text)?;
    let map = config.map_at(place)?;
    for name in FIELDS {
        let Some(entry) = config.field(map, name, 0) else { continue };
        let node = config.resolve(entry);
        let items: Vec<NodeId> = match config.kind(node) {
            NodeKind::List => config.entries(node),
            _ => vec![node],
        };
        for item in &items {
            let found = config.specs(*item, name, place);
            let Some(at) = found.iter().position(|spec| is_of(spec, key)) else { continue };
            let edits = match (found.len(), items.len()) {
                (1, 1) => config.document.remove(&[entry])?,
                (1, _) => config.document.remove(&[*item])?,
                _ => config.cut(config.resolve(*item), at)?,
            };
            return Ok(config.applied(edits));
        }
    }
    Err(by_hand(format!("the text that names {key} was not found in rule {}", place.rule + 1)))
}

/// The text of a config that gives a key a name.
pub fn name(text: &str, key: &str, name: &str) -> Result<String> {
    let config = Parsed::of(text)?;
    let root = config.root()?;
    let own = config.field(root, "sealant", 0).map(|node| config.resolve(node));
    let names = own.and_then(|own| config.field(own, "recipients", 0)).map(|node| config.resolve(node));
    let is_map = |node: &NodeId| config.kind(*node) == NodeKind::Map;
    let value = Data::String(name.to_owned());
    let edits = match (own.filter(is_map), names.filter(is_map)) {
        (_, Some(names)) => config.document.insert(names, Some(key), None, &value)?,
        (Some(own), None) => config.document.insert(own, Some("recipients"), None, &json!({key: value}))?,
        (None, None) => {
            config.document.insert(root, Some("sealant"), None, &json!({"recipients": {key: value}}))?
        }
    };
    Ok(config.applied(edits))
}

/// The text of a config in which a key has no name.
pub fn unname(text: &str, key: &str) -> Result<String> {
    let config = Parsed::of(text)?;
    let own = config.field(config.root()?, "sealant", 0).map(|node| config.resolve(node));
    let names = own.and_then(|own| config.field(own, "recipients", 0)).map(|node| config.resolve(node));
    let Some(mut entry) = names.and_then(|names| config.field(names, key, 0)) else {
        return Ok(text.to_owned());
    };
    // Nothing is left that holds nothing.
    let tree = config.document.tree();
    while let Some(map) = tree.parent(entry).filter(|map| config.entries(*map).len() == 1) {
        match tree.parent(map) {
            Some(_) => entry = map,
            None => break,
        }
    }
    Ok(config.applied(config.document.remove(&[entry])?))
}

/// Whether a rule has key groups.
pub fn has_groups(text: &str, rule: usize) -> Result<bool> {
    let config = Parsed::of(text)?;
    let map = config.map_at(Place { rule, group: None })?;
    Ok(config
        .field(map, "key_groups", 0)
        .is_some_and(|groups| !config.entries(config.resolve(groups)).is_empty()))
}

/// The fields of a rule or a group that hold keys.
const FIELDS: [&str; 8] =
    ["age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri", "hc_vault"];

fn field(key: &KeySpec, place: Place) -> &'static str {
    match key {
        KeySpec::Age(_) => "age",
        KeySpec::Pgp(_) => "pgp",
        KeySpec::Kms { .. } => "kms",
        KeySpec::GcpKms(_) => "gcp_kms",
        KeySpec::Hckms(_) => "hckms",
        KeySpec::AzureKv { .. } => "azure_keyvault",
        KeySpec::HcVault(_) if place.group.is_some() => "hc_vault",
        KeySpec::HcVault(_) => "hc_vault_transit_uri",
    }
}

/// A key as a rule without groups has it.
fn flat(key: &KeySpec) -> String {
    match key {
        KeySpec::Age(text)
        | KeySpec::Pgp(text)
        | KeySpec::GcpKms(text)
        | KeySpec::Hckms(text)
        | KeySpec::HcVault(text) => text.clone(),
        KeySpec::Kms { arn, role, .. } => match role {
            Some(role) => format!("{arn}+{role}"),
            None => arn.clone(),
        },
        KeySpec::AzureKv { vault_url, name, version } => match version {
            Some(version) => format!("{vault_url}/keys/{name}/{version}"),
            None => format!("{vault_url}/keys/{name}"),
        },
    }
}

/// A key as an item of a key group.
fn item_of_group(key: &KeySpec) -> Data {
    match key {
        KeySpec::Kms { arn, role: Some(role), .. } => json!({"arn": arn, "role": role}),
        KeySpec::Kms { arn, .. } => json!({"arn": arn}),
        KeySpec::GcpKms(id) => json!({"resource_id": id}),
        KeySpec::Hckms(id) => json!({"key_id": id}),
        KeySpec::AzureKv { vault_url, name, version } => {
            let version = version.as_deref().unwrap_or_default();
            json!({"vaultUrl": vault_url, "key": name, "version": version})
        }
        key => Data::String(flat(key)),
    }
}

fn is_of(spec: &KeySpec, key: &MasterKey) -> bool {
    policy::master_key(spec).is_ok_and(|named| named == *key || named.id() == key.id())
}

fn by_hand(why: String) -> Error {
    Error::new(Kind::Config, why).advise("Edit the config yourself, and run `sealant updatekeys .`")
}

/// A config, to be edited.
struct Parsed {
    document: Box<dyn Document>,
}

impl Parsed {
    fn of(text: &str) -> Result<Self> {
        let document = document::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec()), false)?;
        Ok(Self { document })
    }

    fn applied(&self, edits: Edits) -> String {
        edits.apply(self.document.source()).to_string()
    }

    fn root(&self) -> Result<NodeId> {
        let root = self.document.tree().documents().first().copied();
        root.ok_or_else(|| by_hand("the config is empty".to_owned()))
    }

    fn resolve(&self, node: NodeId) -> NodeId {
        self.document.tree().resolve(node)
    }

    fn kind(&self, node: NodeId) -> NodeKind {
        self.document.tree()[node].kind
    }

    fn entries(&self, node: NodeId) -> Vec<NodeId> {
        self.document.tree().entries(node).collect()
    }

    fn text(&self, node: NodeId) -> &str {
        self.document.tree()[self.resolve(node)].text.get(self.document.source())
    }

    /// The rule, or the key group of one.
    fn map_at(&self, place: Place) -> Result<NodeId> {
        let missing = |what: &str| by_hand(format!("{what} was not found in the config's text"));
        let nth = |list: Option<NodeId>, at: usize| {
            let list = self.resolve(list?);
            self.entries(list).get(at).map(|node| self.resolve(*node))
        };
        let rules = self.field(self.root()?, "creation_rules", 0);
        let rule = nth(rules, place.rule).ok_or_else(|| missing(&format!("rule {}", place.rule + 1)))?;
        let Some(group) = place.group else { return Ok(rule) };
        let groups = self.field(rule, "key_groups", 0);
        nth(groups, group).ok_or_else(|| missing(&format!("key group {}", group + 1)))
    }

    /// The entry of a map with this key, its own or one that it merges.
    fn field(&self, map: NodeId, key: &str, depth: usize) -> Option<NodeId> {
        let (tree, source) = (self.document.tree(), self.document.source());
        let map = tree.resolve(map);
        if tree[map].kind != NodeKind::Map || depth > MOST_MERGES {
            return None;
        }
        if let Some(own) = tree.entry(source, map, key) {
            return Some(own);
        }
        let merged = tree.entries(map).filter(|entry| tree[*entry].key.get(source) == "<<");
        merged.map(|entry| tree.resolve(entry)).find_map(|entry| match tree[entry].kind {
            NodeKind::List => tree.entries(entry).find_map(|one| self.field(one, key, depth + 1)),
            _ => self.field(entry, key, depth + 1),
        })
    }

    /// The keys that a text names, without blanks around them.
    fn parts(&self, scalar: NodeId) -> Vec<&str> {
        self.text(scalar).split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// The keys that an item of a list names, or all of a text.
    fn specs(&self, item: NodeId, field: &str, place: Place) -> Vec<KeySpec> {
        let node = self.resolve(item);
        if self.kind(node) != NodeKind::Map {
            let spec = |part: &&str| match field {
                "age" => KeySpec::Age((*part).to_owned()),
                "pgp" => KeySpec::Pgp((*part).to_owned()),
                "hc_vault" | "hc_vault_transit_uri" => KeySpec::HcVault((*part).to_owned()),
                _ => KeySpec::of_text(part),
            };
            return self.parts(node).iter().map(spec).collect();
        }
        let text = |name: &str| self.field(node, name, 0).map(|node| self.text(node).to_owned());
        let spec = match (field, place.group) {
            ("kms", Some(_)) => text("arn").map(|arn| KeySpec::kms(&arn, None)),
            ("gcp_kms", Some(_)) => text("resource_id").map(KeySpec::GcpKms),
            ("hckms", Some(_)) => text("key_id").map(KeySpec::Hckms),
            ("azure_keyvault", Some(_)) => text("vaultUrl").zip(text("key")).map(|(vault_url, name)| {
                let version = text("version").filter(|version| !version.is_empty());
                KeySpec::AzureKv { vault_url, name, version }
            }),
            _ => None,
        };
        spec.into_iter().collect()
    }

    /// Where the parts of a text are in the source, in their order.
    fn spans(&self, scalar: NodeId) -> Result<Vec<Span>> {
        let span = self.document.tree()[scalar].span;
        let source = self.document.source();
        let mut at = span.start();
        let mut spans = Vec::new();
        for part in self.parts(scalar) {
            let rest = source.get(at..span.end()).unwrap_or_default();
            let Some(found) = rest.find(part) else {
                return Err(by_hand(format!(
                    "Sealant cannot edit the list in which `{part}` is: it is spelled with escapes or line breaks"
                )));
            };
            spans.push(Span::new(at + found, at + found + part.len()));
            at += found + part.len();
        }
        Ok(spans)
    }

    /// Adds a key to a text that has some, as those before it are written.
    fn append(&self, scalar: NodeId, key: &str) -> Result<Edits> {
        let (tree, source) = (self.document.tree(), self.document.source());
        let spans = self.spans(scalar)?;
        let Some(last) = spans.last() else { return self.document.replace(scalar, &json!(key)) };
        // A comma within braces would end the text.
        let is_in_flow = std::iter::successors(tree.parent(scalar), |&node| tree.parent(node))
            .any(|node| tree[node].style == Style::Flow);
        if is_in_flow && tree[scalar].style == Style::Plain {
            let all: Vec<&str> = self.parts(scalar).into_iter().chain([key]).collect();
            return self.document.replace(scalar, &json!(all.join(",")));
        }
        let separator = match &spans[..] {
            [.., one, other] => source.get(one.end()..other.start()).unwrap_or(",").to_owned(),
            _ if matches!(tree[scalar].style, Style::Folded | Style::Literal) => {
                let line = source[..last.start()].rfind('\n').map_or(0, |at| at + 1);
                format!(",\n{}", &source[line..last.start()])
            }
            _ => ",".to_owned(),
        };
        Ok(Edits::insert(last.end(), format!("{separator}{key}")))
    }

    /// Takes a key out of a text that has several.
    fn cut(&self, scalar: NodeId, at: usize) -> Result<Edits> {
        let spans = self.spans(scalar)?;
        let span = match (spans.get(at), spans.get(at + 1)) {
            (Some(this), Some(next)) => Span::new(this.start(), next.start()),
            (Some(this), None) => {
                let before =
                    at.checked_sub(1).and_then(|at| spans.get(at)).map_or(this.start(), |one| one.end());
                Span::new(before, this.end())
            }
            (None, _) => return Err(by_hand("a key was not found in the config's text".to_owned())),
        };
        Ok(Edits::replace(span, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
    const B: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";
    const C: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

    fn place(rule: usize, group: Option<usize>) -> Place {
        Place { rule, group }
    }

    /// Adds C where `A` and `B` are, and takes it out again.
    #[track_caller]
    fn there_and_back(before: &str, after: &str, place: Place) {
        let named = |text: &str| text.replace('A', A).replace('B', B).replace('C', C);
        let (before, after) = (named(before), named(after));
        let key = KeySpec::of_text(C);
        assert_eq!(add(&before, place, &key).unwrap(), after);
        let removed = remove(&after, place, &policy::master_key(&key).unwrap()).unwrap();
        assert_eq!(removed, before);
    }

    #[test]
    fn each_form_stays_as_it_is() {
        for (before, after) in [
            ("age: A", "age: A,C"),
            ("age: 'A'  # x", "age: 'A,C'  # x"),
            ("age: \"A, B\"", "age: \"A, B, C\""),
            ("age: [A, B]", "age: [A, B, C]"),
            ("age: [A] # x", "age: [A, C] # x"),
            ("age:\n      - A # a\n      - B # b", "age:\n      - A # a\n      - B # b\n      - C"),
            ("age: >-\n      A,\n      B", "age: >-\n      A,\n      B,\n      C"),
            ("age: |\n      A", "age: |\n      A,\n      C"),
            ("age: A,\n      B", "age: A,\n      B,\n      C"),
        ] {
            let config = |rule: &str| {
                format!("# head\ncreation_rules:\n  - path_regex: ^a/ # p\n    {rule}\n\n  - pgp: x\n")
            };
            there_and_back(&config(before), &config(after), place(0, None));
        }
    }

    #[test]
    fn anchors_and_merges_are_edited_where_they_are() {
        there_and_back(
            "x: &team [A]\ncreation_rules:\n  - age: *team\n  - age: *team\n",
            "x: &team [A, C]\ncreation_rules:\n  - age: *team\n  - age: *team\n",
            place(1, None),
        );
        there_and_back(
            "x: &base\n  age: A\ncreation_rules:\n  - <<: *base\n    path_regex: b\n",
            "x: &base\n  age: A,C\ncreation_rules:\n  - <<: *base\n    path_regex: b\n",
            place(0, None),
        );
        // An alias in a list goes, and what it stands for stays.
        let text = format!("x: [&c {C}]\ncreation_rules:\n  - age:\n      - {A}\n      - *c\n");
        let key = policy::master_key(&KeySpec::of_text(C)).unwrap();
        let removed = remove(&text, place(0, None), &key).unwrap();
        assert_eq!(removed, format!("x: [&c {C}]\ncreation_rules:\n  - age:\n      - {A}\n"));
    }

    #[test]
    fn in_braces_a_text_gets_quotes() {
        let text = format!("creation_rules: [{{age: {A}}}]\n");
        let added = add(&text, place(0, None), &KeySpec::of_text(C)).unwrap();
        assert!(added.contains(&format!("{A},{C}")), "{added}");
        assert!(matches!(added.find(A).map(|at| &added[at - 1..at]), Some("'" | "\"")), "{added}");
    }

    #[test]
    fn key_groups_and_all_kinds() {
        there_and_back(
            "creation_rules:\n  - key_groups:\n      - age:\n          - A\n      - age: [B]\n",
            "creation_rules:\n  - key_groups:\n      - age:\n          - A\n          - C\n      - age: [B]\n",
            place(0, Some(0)),
        );
        let base = format!("creation_rules:\n  - age: {A}\n  - key_groups:\n      - age: [{A}]\n");
        for key in [
            "arn:aws:kms:eu-west-1:111122223333:key/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef",
            "https://vault:8200/v1/transit/keys/k",
            "85D77543B3D624B63CEA9E6DBC17301B491B3F21",
            "eu-west-1:01234567-89ab-cdef-0123-456789abcdef",
        ] {
            let spec = KeySpec::of_text(key);
            assert!(!matches!(spec, KeySpec::Age(_)), "{key}");
            for place in [place(0, None), place(1, Some(0))] {
                let added = add(&base, place, &spec).unwrap();
                let config = crate::config::Config::parse(&added, "/.sops.yaml", Default::default()).unwrap();
                let policy = config.policies().remove(place.rule).unwrap();
                let keys = policy::key_set(&policy).unwrap().unwrap();
                let master = policy::master_key(&spec).unwrap();
                assert!(keys.groups[0].contains(&master), "{added}");
                assert_eq!(remove(&added, place, &master).unwrap(), base, "{added}");
            }
        }
    }

    #[test]
    fn names_are_added_and_taken_out() {
        let base = format!("creation_rules:\n  - age: {A}\n");
        let named = name(&base, A, "Ann's laptop").unwrap();
        let config = crate::config::Config::parse(&named, "/.sops.yaml", Default::default()).unwrap();
        assert_eq!(config.names().get(A), Some("Ann's laptop"));
        let both = name(&named, B, "Ben").unwrap();
        assert_eq!(unname(&both, B).unwrap(), named);
        assert_eq!(unname(&named, A).unwrap(), base);
    }
}
