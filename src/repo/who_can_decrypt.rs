//! Who can open what of an encrypted file, and what one master key is good for.
//!
//! Reads the metadata alone: no key is needed, and nothing of it is authenticated.

use serde::{Serialize, Serializer};

use crate::encrypted_file::EncryptedFile;
use crate::error::{Error, Kind, Result};
use crate::hints::nearest;
use crate::keys::{KeyKind, MasterKey, Recipient, TransitKey, WrappedDataKey, version_of};
use crate::sealed_secret::{self, SealedSecret};

/// A data key of a file: what it opens, and who can open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The SealedSecret, as `namespace/name`; `None` for a document in SOPS's format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The items of the SealedSecret, where others of its items are open to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<String>>,
    /// Of how many groups it takes a master key.
    pub required: usize,
    pub groups: Vec<Vec<Reader>>,
}

/// A master key that opens a data key, or a share of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reader {
    #[serde(serialize_with = "as_name")]
    pub kind: KeyKind,
    /// As configs and flags have it.
    pub id: String,
    /// What people here call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of the transit key, when the data key was wrapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

fn as_name<S: Serializer>(kind: &KeyKind, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// What somebody with one master key can do about a data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    Alone,
    /// With master keys of that many more groups.
    With(usize),
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Alone => f.write_str("alone"),
            Self::With(1) => f.write_str("with 1 other"),
            Self::With(others) => write!(f, "with {others} others"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A master key that somebody asks about: as configs have it, or by the name that people gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    text: String,
    /// In the one spelling of those that mean the same.
    id: String,
}

impl Asked {
    pub fn new(text: &str) -> Self {
        let text = text.trim().to_owned();
        Self { id: spelled(&text), text }
    }

    /// Whether it can only be a key, whatever names there are.
    pub fn is_key(&self) -> bool {
        let (uri, _) = self.id.split_once(" (namespace ").unwrap_or((&self.id, ""));
        TransitKey::from_short(uri).is_ok() || self.id.parse::<Recipient>().is_ok()
    }

    /// Whether it is this one.
    pub fn is(&self, key: &MasterKey, name: Option<&str>) -> bool {
        self.is_called(key.id(), name) || self.text == key.to_string()
    }

    fn is_called(&self, id: &str, name: Option<&str>) -> bool {
        self.text == id || name == Some(&self.text) || self.id == spelled(id)
    }

    /// For one that nothing was found of: an error if it is neither one of these `names` nor can be a master key at all.
    /// "Nothing" about somebody whose name is misspelt would be taken for an answer. `otherwise` says how to find the key.
    pub fn check<'n>(&self, names: impl IntoIterator<Item = &'n str>, otherwise: &str) -> Result<()> {
        let names: Vec<&str> = names.into_iter().collect();
        if names.contains(&self.text.as_str()) || self.is_key() {
            return Ok(());
        }
        let Err(error) = self.id.parse::<Recipient>() else { return Ok(()) };
        let lower = self.id.to_lowercase();
        // If a text looks like a key, we say what is wrong with it; we must not show a secret one.
        if ["age1", "ssh-"].iter().any(|start| lower.starts_with(start))
            || ["secret-key", "age-plugin-"].iter().any(|part| lower.contains(part))
        {
            return Err(error);
        }
        let message =
            format!("`{}` is neither a recipient nor a Vault key, and no config has such a name", self.text);
        let near = nearest(&self.text, names.iter().copied());
        let meant = near.map_or_else(String::new, |name| format!("Did you mean `{name}`? "));
        Err(Error::new(Kind::Other, message).advise(format!("{meant}{otherwise}")))
    }
}

/// The one spelling of a master key: slashes too many in the address of a Vault key are left out, recipients in capital
/// letters are written in small ones, and what follows an SSH key is a comment, which anybody may write otherwise.
fn spelled(id: &str) -> String {
    if let Some((scheme, rest)) = id.split_once("://") {
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let uri = format!("{scheme}://{}", parts.join("/"));
        return TransitKey::from_short(&uri).map_or(uri, |key| key.uri().to_owned());
    }
    if id.starts_with("AGE1") && !id.contains(|letter: char| letter.is_ascii_lowercase()) {
        return id.to_ascii_lowercase();
    }
    let mut words = id.split_whitespace();
    match (words.next().filter(|kind| kind.starts_with("ssh-")), words.next()) {
        (Some(kind), Some(key)) => format!("{kind} {key}"),
        _ => id.to_owned(),
    }
}

/// What the holder of a master key can do about a data key; `None` when it is not wrapped for it.
pub fn share(wrapped: &WrappedDataKey, is_it: impl Fn(&MasterKey) -> bool) -> Option<Share> {
    let groups = wrapped.groups.iter().map(|group| group.iter().any(|wrapped| is_it(&wrapped.key)));
    share_of(groups, wrapped.required())
}

fn share_of(groups: impl Iterator<Item = bool>, required: usize) -> Option<Share> {
    let held = groups.filter(|held| *held).count();
    match required.saturating_sub(held) {
        _ if held == 0 => None,
        0 => Some(Share::Alone),
        others => Some(Share::With(others)),
    }
}

impl Access {
    fn new(wrapped: &WrappedDataKey, name: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut groups: Vec<Vec<Reader>> = Vec::new();
        for group in &wrapped.groups {
            let mut readers: Vec<Reader> = Vec::new();
            for wrapped in group {
                let id = wrapped.key.id().to_owned();
                let reader = Reader {
                    kind: wrapped.key.kind(),
                    name: name(&id),
                    version: version_of(&wrapped.enc),
                    id,
                };
                if !readers.contains(&reader) {
                    readers.push(reader);
                }
            }
            groups.push(readers);
        }
        Self { object: None, items: None, required: wrapped.required(), groups }
    }

    /// What the holder of a master key can do about it.
    pub fn share(&self, asked: &Asked) -> Option<Share> {
        let is_it = |reader: &Reader| asked.is_called(&reader.id, reader.name.as_deref());
        share_of(self.groups.iter().map(|group| group.iter().any(is_it)), self.required)
    }
}

/// Who can open what of a file. `name` says what people call a recipient.
pub fn of_file(file: &EncryptedFile, name: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Access>> {
    match file {
        EncryptedFile::Document(file) => Ok(vec![Access::new(&file.metadata.keys, name)]),
        EncryptedFile::Sealed(file) => {
            let found = file.objects.iter().map(|(_, sealed)| of_sealed(sealed, name));
            Ok(found.collect::<Result<Vec<_>>>()?.concat())
        }
    }
}

/// One entry for all items, unless they are not open to the same.
fn of_sealed(sealed: &SealedSecret, name: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Access>> {
    let object = sealed_secret::place(sealed);
    let mut found: Vec<(Access, Vec<String>)> = Vec::new();
    for (entry, wrapped) in sealed_secret::used_data_keys(&sealed.spec)? {
        let access = Access { object: Some(object.clone()), ..Access::new(&wrapped, name) };
        let items = sealed_secret::items_of(&sealed.spec, &entry.id).map(str::to_owned);
        match found.iter_mut().find(|(known, _)| *known == access) {
            Some((_, known)) => known.extend(items),
            None => found.push((access, items.collect())),
        }
    }
    // Data keys are ordered by their ids, which mean nothing to people.
    found.iter_mut().for_each(|(_, items)| items.sort());
    found.sort_by(|(_, one), (_, other)| one.cmp(other));
    let several = found.len() > 1;
    let with_items = |(access, items)| Access { items: several.then_some(items), ..access };
    Ok(found.into_iter().map(with_items).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Recipient, WrappedKey};

    fn wrapped(groups: &[&str], threshold: usize) -> WrappedDataKey {
        let key = |name: &str| WrappedKey {
            key: MasterKey::Age(Recipient::as_written(name)),
            enc: String::new(),
            entry: Default::default(),
        };
        WrappedDataKey {
            groups: groups.iter().map(|group| group.split(' ').map(key).collect()).collect(),
            threshold,
        }
    }

    fn share_of_a(groups: &[&str], threshold: usize) -> Option<String> {
        let asked = Asked::new("a");
        let found = share(&wrapped(groups, threshold), |key| asked.is(key, None));
        let access = Access::new(&wrapped(groups, threshold), &|_| None);
        assert_eq!(access.share(&asked), found);
        found.map(|share| share.to_string())
    }

    #[test]
    fn a_share_counts_groups() {
        assert_eq!(share_of_a(&["b a"], 0).as_deref(), Some("alone"));
        assert_eq!(share_of_a(&["b"], 0), None);
        assert_eq!(share_of_a(&["a", "b", "c"], 2).as_deref(), Some("with 1 other"));
        assert_eq!(share_of_a(&["a", "b", "c"], 0).as_deref(), Some("with 2 others"));
        assert_eq!(share_of_a(&["a", "a b", "c"], 2).as_deref(), Some("alone"));
        assert_eq!(share_of_a(&["b", "c"], 2), None);
    }

    #[test]
    fn a_recipient_is_known_by_its_name_and_an_ssh_key_without_its_comment() {
        let key = |text: &str| MasterKey::Age(Recipient::as_written(text));
        assert!(Asked::new("Anna's laptop").is(&key("age1x"), Some("Anna's laptop")));
        assert!(Asked::new("ssh-ed25519 AAAA anna@new").is(&key("ssh-ed25519 AAAA anna@old"), None));
        assert!(!Asked::new("ssh-ed25519 AAAB").is(&key("ssh-ed25519 AAAA"), None));
        assert!(!Asked::new("age1x").is(&key("age1y"), None));
        assert!(Asked::new("AGE1X").is(&key("age1x"), None));
        assert!(!Asked::new("AGE1x").is(&key("age1x"), None));
    }

    #[test]
    fn a_vault_key_is_known_by_each_of_its_spellings() {
        let entry = |address: &str, engine: &str| {
            let entry =
                serde_json::json!({"vault_address": address, "engine_path": engine, "key_name": "shop"});
            let serde_json::Value::Object(entry) = entry else { unreachable!() };
            WrappedKey::read(KeyKind::HcVault, &entry).unwrap().key
        };
        let vault = MasterKey::Vault(TransitKey::new("https://vault:8200", None, "transit", "shop").unwrap());
        for asked in [
            "https://vault:8200/v1/transit/keys/shop",
            "https://vault:8200//v1/transit//keys/shop/",
            "https://vault:8200/transit/shop",
        ] {
            let asked = Asked::new(asked);
            for key in
                [&vault, &entry("https://vault:8200/", "transit/"), &entry("https://vault:8200", "/transit")]
            {
                assert!(asked.is(key, None), "{asked:?} {key}");
            }
            assert!(!asked.is(&entry("https://vault:8201/", "transit/"), None));
            assert!(asked.check([], "").is_ok());
        }
    }

    #[test]
    fn what_can_be_nobody_is_an_error_that_shows_no_secret() {
        let said = |asked: &str| {
            Asked::new(asked).check(["Anna's laptop"], "Look again.").map_err(|error| error.to_string())
        };
        assert!(said("Anna's laptop").is_ok());
        assert!(said("age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy").is_ok());
        assert!(said("AGE1YH642FMRN40K5E2XJ8KFK9V0ZCTT8XX9FT2PWJLTQR6UXD3X4EUSKWQTDY").is_ok());
        assert!(said("https://vault:8200/v1/transit/keys/shop (namespace team/a)").is_ok());
        assert!(said("Anna laptp").unwrap_err().contains("`Anna laptp` is neither a recipient"));
        assert!(said("age1yh642").is_err());
        let secret = format!("AGE-SECRET-KEY-{}", "1HH3WRGUC".repeat(6));
        for asked in [format!("x {secret}"), secret] {
            assert!(!said(&asked).unwrap_err().contains("HH3WRGUC"), "{asked}");
        }
    }
}
