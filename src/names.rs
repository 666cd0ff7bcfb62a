//! What people call recipients and other master keys: the one place that says how a name is shown.
//!
//! A name is a claim of whoever wrote the config, so it never comes without its key, or the end of it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// As many characters of a key as nobody makes another key for that ends in the same: of an age recipient some 76 bits.
const END: usize = 16;

/// Names of master keys, by the keys as configs and flags have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Arc<BTreeMap<String, String>>);

impl Names {
    /// Leaves out names that look like keys: people would take them for what they say.
    pub fn new(mut names: BTreeMap<String, String>) -> Self {
        names.retain(|_, name| !is_like_a_key(name));
        Self(Arc::new(names))
    }

    /// What this key is called.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The key that is called so.
    pub fn key_called(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(_, other)| are_one(other, name)).map(|(key, _)| key.as_str())
    }

    /// These names, and the others for keys that have none here.
    pub fn or(&self, others: &Names) -> Self {
        let both = others.0.iter().chain(self.0.iter());
        Self::new(both.map(|(key, name)| (key.clone(), name.clone())).collect())
    }

    /// Each key and its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, name)| (key.as_str(), name.as_str()))
    }

    /// Two keys that have one name, and that name.
    pub fn shared(&self) -> Option<(&str, &str, &str)> {
        self.iter().enumerate().find_map(|(at, (key, name))| {
            let (other, _) = self.iter().take(at).find(|(_, other)| are_one(other, name))?;
            Some((other, key, name))
        })
    }

    /// All of a key, and what it is called: where somebody decides about it.
    pub fn whole(&self, key: &str) -> String {
        self.beside(key, key.to_owned())
    }

    /// A key that is `shown` in another way, and what it is called.
    pub fn beside(&self, key: &str, shown: String) -> String {
        match self.get(key) {
            Some(name) => format!("{shown} ({name})"),
            None => shown,
        }
    }

    /// What a key is called with the end of the key; `None` for one without a name.
    pub fn short(&self, key: &str) -> Option<String> {
        self.get(key).map(|name| short(name, key))
    }
}

/// A name with the end of its key.
pub fn short(name: &str, key: &str) -> String {
    format!("{name} (...{})", end(key))
}

/// Whether a name begins as keys do, or is a fingerprint.
pub fn is_like_a_key(name: &str) -> bool {
    const BEGINNINGS: [&str; 7] = ["age1", "ssh-", "arn:", "http://", "https://", "projects/", "hckms:"];
    let name = name.trim().to_lowercase();
    let hex = || name.chars().filter(|char| !char.is_whitespace());
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || (hex().count() >= 16 && hex().all(|char| char.is_ascii_hexdigit()))
}

/// Whether people take two names for one.
fn are_one(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// The end of a key; what follows an SSH key is a comment, which anybody may write.
fn end(key: &str) -> String {
    let mut words = key.split_whitespace();
    let key = match words.next() {
        Some(kind) if kind.starts_with("ssh-") => words.next().unwrap_or(key),
        _ => key,
    };
    let from = key.chars().count().saturating_sub(END);
    key.chars().skip(from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_comes_without_the_end_of_its_key() {
        let names = [("age1xyz12345678", "Anna"), ("ssh-ed25519 AAAAkeyabcdefghabcdefgh ben@host", "Ben")];
        let names = Names::new(names.map(|(key, name)| (key.to_owned(), name.to_owned())).into());
        assert_eq!(names.short("age1xyz12345678").as_deref(), Some("Anna (...age1xyz12345678)"));
        let ssh = names.short("ssh-ed25519 AAAAkeyabcdefghabcdefgh ben@host");
        assert_eq!(ssh.as_deref(), Some("Ben (...abcdefghabcdefgh)"));
        assert_eq!(names.short("age1other"), None);
        assert_eq!(names.whole("age1xyz12345678"), "age1xyz12345678 (Anna)");
        assert_eq!(names.key_called("anna "), Some("age1xyz12345678"));
        assert_eq!(names.shared(), None);
    }

    #[test]
    fn two_keys_of_one_name_are_seen_whatever_its_case() {
        let names = [("age1x", "Anna"), ("age1y", " anna")];
        let names = Names::new(names.map(|(key, name)| (key.to_owned(), name.to_owned())).into());
        assert_eq!(names.shared(), Some(("age1x", "age1y", " anna")));
    }
}
