//! The `sops` block of an encrypted document: master keys, the rule, the MAC (`stores/stores.go` of sops).
//!
//! Read in every layout since sops 3.0 (order, case and spelling of values are free); written in place, so that keys
//! nobody here knows stay; a new block has the order of sops 3.13, every level sorted by key.

use serde_json::{Map, Value as Data};

use crate::config::{Selection, SelectionKind};
use crate::document::{Document, Format, NodeId, NodeKind};
use crate::error::Result;
use crate::keys::{KeyKind, WrappedDataKey, WrappedKey, get, set, text, unusable};
use crate::sops::cipher::Token;

/// The version that is written into new files: the newest sops whose format this is.
pub const SOPS_VERSION: &str = "3.13.3";

/// What the author wrote and does not come back by itself, each in an encrypted entry that sops ignores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Spellings,
    Aliases,
}

impl Kept {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spellings => "sealant_spelling",
            Self::Aliases => "sealant_aliases",
        }
    }
}

const KEY_GROUPS: &str = "key_groups";
const THRESHOLD: &str = "shamir_threshold";

/// What the metadata of a document says.
#[derive(Debug, Clone)]
pub struct Metadata {
    pub keys: WrappedDataKey,
    /// RFC 3339, as it appears in the file.
    pub last_modified: String,
    /// The encrypted MAC; files of any origin may lack it.
    pub mac: Option<String>,
    pub selection: Selection,
    pub mac_only_encrypted: bool,
    /// The version of sops that wrote it.
    pub version: String,
    /// Encrypted spellings.
    pub spellings: Option<String>,
    /// Encrypted names of aliases that were written out.
    pub aliases: Option<String>,
    /// The block as it was read.
    block: Map<String, Data>,
}

impl Metadata {
    /// The metadata of a new file, without MAC and time.
    pub fn new(keys: WrappedDataKey, selection: Selection, mac_only_encrypted: bool) -> Self {
        Self {
            keys,
            last_modified: String::new(),
            mac: None,
            selection,
            mac_only_encrypted,
            version: SOPS_VERSION.to_owned(),
            spellings: None,
            aliases: None,
            block: Map::new(),
        }
    }

    /// The same metadata for other master keys.
    #[must_use]
    pub fn for_keys(&self, keys: WrappedDataKey) -> Self {
        Self { keys, ..self.clone() }
    }

    /// The same metadata with another choice of which values are encrypted.
    #[must_use]
    pub fn for_selection(&self, selection: Selection) -> Self {
        let mut block = self.block.clone();
        // A new block gets it when it is written.
        if !block.is_empty() {
            SelectionKind::ALL.iter().for_each(|kind| set(&mut block, kind.field_name(), None));
            set(&mut block, selection.field_name(), Some(selection.pattern().into()));
        }
        Self { selection, block, ..self.clone() }
    }

    /// Reads a block as [`crate::document::Document::metadata`] gives it.
    pub fn from_data(data: &Data) -> Result<Self> {
        let block = data.as_object().cloned().ok_or_else(|| unusable("it is not a map"))?;
        let version = text(&block, "version")?.unwrap_or_default();
        check_version(&version)?;
        let last_modified = text(&block, "lastmodified")?.unwrap_or_default();
        normal_time(&last_modified)?;
        Ok(Self {
            keys: read_keys(&block)?,
            last_modified,
            mac: text(&block, "mac")?.filter(|mac| !mac.is_empty()),
            selection: read_selection(&block)?,
            mac_only_encrypted: flag(&block, "mac_only_encrypted")?,
            version,
            spellings: text(&block, Kept::Spellings.name())?,
            aliases: text(&block, Kept::Aliases.name())?,
            block,
        })
    }

    /// Whether a block says that a file is encrypted: with a version and a MAC, as sops decides it.
    pub fn is_complete(data: &Data) -> Result<bool> {
        let Some(block) = data.as_object() else { return Err(unusable("it is not a map")) };
        for name in ["version", "mac"] {
            if text(block, name)?.unwrap_or_default().is_empty() {
                return Ok(false);
            }
        }
        Self::from_data(data).map(|_| true)
    }

    /// The block to write into a file of this format: the one that was read with what changed, or a new one. A binary
    /// file has one value, and says nothing of which are encrypted.
    pub fn to_data(&self, format: Format) -> Data {
        let mut block = self.block.clone();
        let new = block.is_empty();
        if new || read_keys(&block).ok().as_ref() != Some(&self.keys) {
            write_keys(&mut block, &self.keys);
        }
        set(&mut block, "lastmodified", Some(self.last_modified.clone().into()));
        set(&mut block, "mac", self.mac.clone().map(Data::from));
        set(&mut block, "version", Some(self.version.clone().into()));
        for what in [Kept::Spellings, Kept::Aliases] {
            set(&mut block, what.name(), self.kept(what).map(Data::from));
        }
        if new {
            if format != Format::Binary {
                set(&mut block, self.selection.field_name(), Some(self.selection.pattern().into()));
            }
            set(&mut block, "mac_only_encrypted", self.mac_only_encrypted.then_some(Data::Bool(true)));
            block.sort_keys();
        }
        Data::Object(block)
    }

    /// What the MAC is bound to: the time of the last change as Go formats it again.
    pub fn mac_aad(&self) -> Result<String> {
        normal_time(&self.last_modified)
    }

    /// The entry in which something is kept.
    pub fn kept(&self, what: Kept) -> Option<&str> {
        match what {
            Kept::Spellings => self.spellings.as_deref(),
            Kept::Aliases => self.aliases.as_deref(),
        }
    }

    /// What such an entry is bound to.
    pub fn kept_aad(&self, what: Kept) -> Result<String> {
        Ok(format!("{}:{}", what.name(), self.mac_aad()?))
    }

    /// Whether a rule appears in the block, rather than sops's default.
    pub fn has_rule(&self) -> bool {
        self.block.is_empty()
            || SelectionKind::ALL.iter().any(|kind| get(&self.block, kind.field_name()).is_some())
    }
}

/// The fields of the block that are texts, numbers or flags, but for the selections.
const FIELDS: [&str; 8] = [
    "attention",
    "lastmodified",
    "mac",
    "version",
    "mac_only_encrypted",
    THRESHOLD,
    Kept::Spellings.name(),
    Kept::Aliases.name(),
];

/// Whether a scalar of a document's metadata is a field that sops or Sealant knows.
pub(super) fn is_known(document: &dyn Document, node: NodeId) -> bool {
    let names = names_to(document, node);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tree = document.tree();
    if !is_alone(names.last().copied(), tree[tree.resolve(node)].text.get(document.source())) {
        return false;
    }
    match names.as_slice() {
        [name] => FIELDS.contains(name) || SelectionKind::from_field(name).is_some(),
        [KEY_GROUPS, key @ ..] => is_field_of_key(key),
        key => is_field_of_key(key),
    }
}

/// Whether the text of a field has nothing beside what is read of it: a ciphertext, or an armor.
fn is_alone(field: Option<&str>, text: &str) -> bool {
    // Flat formats may spell line breaks out.
    let text = text.trim().trim_end_matches("\\n").trim_end();
    match field {
        Some("mac") => text.is_empty() || Token::parse(text).is_ok_and(|token| token.text() == text),
        Some("enc") if text.contains(ARMOR) => {
            let end = text.rfind(END_OF_ARMOR).map(|at| &text[at..]);
            text.starts_with(ARMOR)
                && text.matches(ARMOR).count() == 1
                && end.is_some_and(|end| end.ends_with("-----") && !end.contains('\n'))
        }
        _ => true,
    }
}

/// How an armor begins and ends, those of age and of OpenPGP alike.
const ARMOR: &str = "-----BEGIN ";
const END_OF_ARMOR: &str = "-----END ";

fn is_field_of_key(names: &[&str]) -> bool {
    let has =
        |kind: &str, field| KeyKind::from_name(kind).is_some_and(|kind| kind.names().fields.contains(&field));
    match names {
        [kind, field] => has(kind, field),
        // A map, of which each entry is a field of its own in flat formats.
        [kind, field @ "context", _] => has(kind, field),
        _ => false,
    }
}

/// The names that lead to a node of the metadata, as sops decodes them: in whatever case, flat keys taken apart, and
/// without the positions in lists.
fn names_to(document: &dyn Document, node: NodeId) -> Vec<String> {
    let tree = document.tree();
    let mut names = Vec::new();
    let mut at = node;
    while let Some(parent) = tree.parent(at) {
        if tree[parent].kind == NodeKind::Map {
            names.push(tree[at].key.get(document.source()).to_ascii_lowercase());
        }
        at = parent;
    }
    let is_flat = matches!(document.format(), Format::Dotenv | Format::Ini);
    if document.format() != Format::Dotenv {
        names.pop();
    }
    names.reverse();
    match names.as_slice() {
        [key] if is_flat => flat_names(key.strip_prefix("sops_").unwrap_or(key)),
        _ => names,
    }
}

fn flat_names(key: &str) -> Vec<String> {
    let without_position = |name: &str| match name.rsplit_once("__list_") {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        _ => name.to_owned(),
    };
    // A group of keys is a map in a list: its position is behind the name of the list.
    key.split("__map_").map(without_position).collect()
}

fn flag(block: &Map<String, Data>, name: &str) -> Result<bool> {
    match get(block, name) {
        None => Ok(false),
        Some(Data::Bool(bool)) => Ok(*bool),
        Some(Data::Number(number)) => Ok(number.as_f64() != Some(0.0)),
        Some(Data::String(text)) => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err(unusable(format!("`{name}` is neither true nor false"))),
        },
        Some(_) => Err(unusable(format!("`{name}` is neither true nor false"))),
    }
}

fn number(block: &Map<String, Data>, name: &str) -> Result<usize> {
    let parsed = match get(block, name) {
        None => Some(0),
        Some(Data::Number(number)) => number.as_u64(),
        Some(Data::String(text)) => {
            if text.is_empty() {
                Some(0)
            } else {
                text.parse().ok()
            }
        }
        Some(_) => None,
    };
    parsed
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| unusable(format!("`{name}` is not a number")))
}

/// sops wants a semantic version or something that begins with `1.`.
fn check_version(version: &str) -> Result<()> {
    if version.is_empty() {
        return Err(unusable("it has no version").advise(
            "part of the file is missing: restore it, `git restore --source=HEAD FILE`, or an older version that \
             `git log --oneline -- FILE` lists",
        ));
    }
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = core.split('.').collect();
    let semantic = parts.len() == 3
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if semantic || version.starts_with("1.") {
        return Ok(());
    }
    Err(unusable(format!("`{version}` is not a version")).advise("restore the line `version:` from Git"))
}

/// A time as Go's RFC 3339 writes it after reading: `+00:00` becomes `Z`, fractions of seconds go.
fn normal_time(time: &str) -> Result<String> {
    let bad = || unusable(format!("lastmodified `{time}` is not a time as in 2026-01-31T12:00:00Z"));
    time.parse::<jiff::Timestamp>().map_err(|_| bad())?;
    let (date, rest) = time.split_once('T').ok_or_else(bad)?;
    let at = rest.find(['Z', '+', '-']).ok_or_else(bad)?;
    let (clock, offset) = rest.split_at(at);
    let clock = clock.split('.').next().unwrap_or_default();
    let offset = if offset == "+00:00" || offset == "-00:00" { "Z" } else { offset };
    Ok(format!("{date}T{clock}{offset}"))
}

fn read_selection(block: &Map<String, Data>) -> Result<Selection> {
    let mut rules = Vec::new();
    for kind in SelectionKind::ALL {
        if let Some(pattern) = text(block, kind.field_name())?.filter(|pattern| !pattern.is_empty()) {
            rules.push((kind, pattern));
        }
    }
    match rules.as_slice() {
        [] => Ok(Selection::default()),
        [(kind, pattern)] => Selection::new(*kind, pattern.clone()),
        several => {
            let names: Vec<_> = several.iter().map(|(kind, _)| kind.field_name()).collect();
            Err(unusable(format!("it has more than one rule: {}", names.join(", "))))
        }
    }
}

fn read_keys(block: &Map<String, Data>) -> Result<WrappedDataKey> {
    let threshold = number(block, THRESHOLD)?;
    let flat = read_group(block)?;
    if !flat.is_empty() {
        return Ok(WrappedDataKey { groups: vec![flat], threshold });
    }
    let groups = match get(block, KEY_GROUPS) {
        Some(Data::Array(groups)) => groups.as_slice(),
        _ => &[],
    };
    let groups = groups
        .iter()
        .map(|group| read_group(group.as_object().ok_or_else(|| unusable("a key group is not a map"))?))
        .collect::<Result<Vec<_>>>()?;
    if groups.is_empty() {
        return Err(unusable("no keys found in the file"));
    }
    Ok(WrappedDataKey { groups, threshold })
}

fn read_group(group: &Map<String, Data>) -> Result<Vec<WrappedKey>> {
    let mut keys = Vec::new();
    for kind in KeyKind::LISTED {
        let entries = match get(group, kind.name()) {
            None => continue,
            Some(Data::Array(entries)) => entries,
            Some(Data::String(text)) if text.is_empty() => continue,
            Some(_) => return Err(unusable(format!("`{kind}` is not a list"))),
        };
        for entry in entries {
            let entry =
                entry.as_object().ok_or_else(|| unusable(format!("an entry of `{kind}` is not a map")))?;
            keys.push(WrappedKey::read(kind, entry)?);
        }
    }
    Ok(keys)
}

fn write_keys(block: &mut Map<String, Data>, keys: &WrappedDataKey) {
    let several = keys.groups.len() > 1;
    let flat = if several {
        Map::new()
    } else {
        keys.groups.first().map(|group| write_group(group)).unwrap_or_default()
    };
    for kind in KeyKind::LISTED {
        set(block, kind.name(), flat.get(kind.name()).cloned());
    }
    let groups = keys.groups.iter().map(|group| Data::Object(write_group(group))).collect();
    set(block, KEY_GROUPS, several.then_some(Data::Array(groups)));
    set(block, THRESHOLD, (keys.threshold > 0).then(|| keys.threshold.into()));
}

fn write_group(group: &[WrappedKey]) -> Map<String, Data> {
    let mut lists: Map<String, Data> = Map::new();
    for wrapped in group {
        let list = lists.entry(wrapped.key.kind().name()).or_insert_with(|| Data::Array(Vec::new()));
        if let Data::Array(entries) = list {
            entries.push(Data::Object(wrapped.to_entry()));
        }
    }
    lists.sort_keys();
    lists
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn block() -> Data {
        json!({
            "kms": null,
            "hc_vault": [],
            "age": [{"recipient": "age1x", "enc": "-----BEGIN"}],
            "lastmodified": "2026-11-21T22:40:22Z",
            "mac": "ENC[x]",
            "pgp": [{"created_at": "2026-01-01T00:00:00Z", "enc": "p", "fp": "F", "more": 1}],
            "encrypted_regex": "^data$",
            "version": "3.6.1",
            "unknown": {"a": 1},
        })
    }

    /// A field that is there twice, in different case, is changed where it is read.
    #[test]
    fn what_is_written_is_what_is_read() {
        let Data::Object(fields) = block() else { panic!("a block is a map") };
        let twice: Map<String, Data> =
            [("Mac".to_owned(), Data::from("junk"))].into_iter().chain(fields).collect();
        let mut metadata = Metadata::from_data(&Data::Object(twice)).unwrap();
        metadata.mac = Some("new".to_owned());
        let written = metadata.to_data(Format::Yaml);
        assert_eq!((&written["mac"], &written["Mac"]), (&Data::from("new"), &Data::from("junk")));
    }

    #[test]
    fn what_is_not_changed_is_written_as_it_was_read() {
        let metadata = Metadata::from_data(&block()).unwrap();
        assert_eq!(metadata.to_data(Format::Yaml), block());
        assert_eq!(metadata.keys.groups[0].len(), 2);
        assert_eq!(metadata.selection.pattern(), "^data$");
    }

    #[test]
    fn values_are_read_in_whatever_type_they_were_written() {
        let mut data = block();
        data["Mac_Only_Encrypted"] = json!("true");
        data["shamir_threshold"] = json!("2");
        let metadata = Metadata::from_data(&data).unwrap();
        assert!(metadata.mac_only_encrypted);
        assert_eq!(metadata.keys.threshold, 2);
    }

    #[test]
    fn what_sops_refuses_is_refused() {
        let with = |name: &str, value: Data| {
            let mut data = block();
            data[name] = value;
            Metadata::from_data(&data).unwrap_err()
        };
        assert!(with("version", json!("")).message().contains("no version"));
        assert!(with("version", json!("x.y")).message().contains("not a version"));
        assert!(with("unencrypted_suffix", json!("_x")).message().contains("more than one rule"));
        assert!(with("lastmodified", json!("yesterday")).message().contains("not a time"));
        let mut none = block();
        none["age"] = json!([]);
        none["pgp"] = json!([]);
        assert!(Metadata::from_data(&none).unwrap_err().message().contains("no keys"));
    }

    #[test]
    fn times_are_bound_as_go_formats_them() {
        for (written, bound) in [
            ("2026-11-21T22:40:22+00:00", "2026-11-21T22:40:22Z"),
            ("2026-11-21T22:40:22.123Z", "2026-11-21T22:40:22Z"),
            ("2026-11-21T22:40:22+02:00", "2026-11-21T22:40:22+02:00"),
        ] {
            assert_eq!(normal_time(written).unwrap(), bound);
        }
    }
}
