//! Who can open what of an encrypted file, and what one master key is good for.
//!
//! Reads the metadata alone: no key is needed, and nothing of it is authenticated.

use serde::{Serialize, Serializer};

use crate::encrypted_file::EncryptedFile;
use crate::error::Result;
use crate::keys::{KeyKind, MasterKey, WrappedDataKey, version_of};
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
pub struct Asked(String);

impl Asked {
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this one.
    pub fn is(&self, key: &MasterKey, name: Option<&str>) -> bool {
        self.is_called(key.id(), name) || self.0 == key.to_string()
    }

    fn is_called(&self, id: &str, name: Option<&str>) -> bool {
        // What follows an SSH key is a comment, which anybody may write otherwise.
        let ssh = |text: &str| {
            let mut words = text.split_whitespace();
            let kind = words.next().filter(|kind| kind.starts_with("ssh-"))?;
            Some((kind.to_owned(), words.next()?.to_owned()))
        };
        self.0 == id || name == Some(&self.0) || (ssh(&self.0).is_some() && ssh(&self.0) == ssh(id))
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
    // The order of data keys is that of their ids, which says nothing to people.
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
    }
}
