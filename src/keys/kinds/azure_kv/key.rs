//! The name of a key of Azure Key Vault: the address of its vault, its name there, and its version.
//!
//! Owns the one constructor that checks it, and whose hosts are Azure's own. Names come from files of a repository, and
//! become the host and the path that a plaintext data key is sent to.

use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::keys::kind::Complaint;

/// The domains of vaults and of managed HSMs, in each of Azure's clouds.
#[cfg(feature = "azure")]
const DOMAINS: [&str; 8] = [
    "vault.azure.net",
    "vault.azure.cn",
    "vault.usgovcloudapi.net",
    "vault.microsoftazure.de",
    "managedhsm.azure.net",
    "managedhsm.azure.cn",
    "managedhsm.usgovcloudapi.net",
    "managedhsm.microsoftazure.de",
];

const FORM: &str = "It has the form https://VAULT.vault.azure.net/keys/NAME/VERSION, or without a version: \
                    `az keyvault key list --vault-name VAULT --query [].kid` lists them.";

/// A key of Azure Key Vault, as a file or a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    vault_url: String,
    name: String,
    /// `None`, which a rule may have: the newest one when something is encrypted, any when it is decrypted.
    version: Option<String>,
    id: String,
}

impl Key {
    /// A key by the address of its vault, its name and its version; an error for anything else.
    pub fn new(vault_url: &str, name: &str, version: &str) -> Result<Self> {
        let vault_url = vault_url.trim_end_matches('/');
        let id = id(vault_url, name, version);
        if let Err(why) = check(vault_url, name, version) {
            let message = format!("`{id}` is not the URL of a key of Azure Key Vault: {why}");
            return Err(Error::new(Kind::Other, message).advise(FORM));
        }
        let version = (!version.is_empty()).then(|| version.to_owned());
        Ok(Self { vault_url: vault_url.to_owned(), name: name.to_owned(), version, id })
    }

    /// `https://VAULT.vault.azure.net`.
    pub fn vault_url(&self) -> &str {
        &self.vault_url
    }

    /// Its name in the vault.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version; `None` where a rule leaves it to the vault.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// How sops shows it: its URL with the version, which may be empty.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same without a version: whoever may use one version of a key may use all.
    pub fn of_any_version(&self) -> String {
        id(&self.vault_url, &self.name, "")
    }

    /// Whether `name` means this key: without a version it means it in any.
    pub fn is_meant_by(&self, name: &Self) -> bool {
        let is_version = name.version.is_none() || name.version == self.version;
        self.vault_url == name.vault_url && self.name == name.name && is_version
    }

    /// Host and port of its vault.
    #[cfg(feature = "azure")]
    pub(super) fn host(&self) -> &str {
        self.vault_url.strip_prefix(SCHEME).unwrap_or_default()
    }

    /// Whether its host is one of Azure's own, and not one that somebody has made up.
    #[cfg(feature = "azure")]
    pub(super) fn is_at_azure(&self) -> bool {
        let (vault, domain) = self.host().split_once('.').unwrap_or_default();
        !vault.is_empty() && DOMAINS.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }

    /// The name of the vault, as the tools of Azure want it.
    #[cfg(feature = "azure")]
    pub(super) fn vault(&self) -> &str {
        self.host().split('.').next().unwrap_or_default()
    }

    /// The same in this version.
    #[cfg(feature = "azure")]
    pub(super) fn in_version(&self, version: &str) -> Result<Self> {
        Self::new(&self.vault_url, &self.name, version)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "azure_kv {}", self.id)
    }
}

/// How sops shows a key (`ToString` of its key source).
pub(super) fn id(vault_url: &str, name: &str, version: &str) -> String {
    format!("{vault_url}/keys/{name}/{version}")
}

/// What is wrong with what is no key, by what sops would show of it.
pub(super) fn complaint(id: &str) -> Option<Complaint> {
    let parts = id.split_once("/keys/").and_then(|(vault, key)| Some((vault, key.split_once('/')?)));
    let checked = match parts {
        Some((vault, (name, version))) => check(vault, name, version),
        None => Err("it has no `/keys/` followed by a name"),
    };
    checked.err().map(|why| Complaint { why: Some(why), form: FORM })
}

pub(super) const SCHEME: &str = "https://";

/// Whether this is the URL of a key, or the beginning of one with its vault; else what is wrong with it.
pub(super) fn check_beginning(text: &str) -> Result<(), &'static str> {
    let at_vault = text.strip_prefix(SCHEME).unwrap_or_default();
    let (host, path) = at_vault.split_once('/').unwrap_or((at_vault, "keys"));
    let vault = format!("{SCHEME}{host}");
    match path.split('/').collect::<Vec<_>>()[..] {
        ["keys"] => check(&vault, "x", ""),
        ["keys", name] => check(&vault, name, ""),
        ["keys", name, version] => check(&vault, name, version),
        _ => Err("it has no /keys/NAME after the vault"),
    }
}

/// Whether this names a key; else what is wrong with it.
fn check(vault_url: &str, name: &str, version: &str) -> Result<(), &'static str> {
    let host = vault_url.strip_prefix(SCHEME).ok_or("it does not begin with https://")?;
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| !label.is_empty() && is_plain(label);
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !host.split('.').all(is_label) || !port.is_none_or(is_port) {
        return Err("its vault is not an address");
    }
    if name.is_empty() || !is_plain(name) {
        return Err("the name of a key has only letters, digits and dashes");
    }
    match is_plain(version) {
        true => Ok(()),
        false => Err("its version is not valid"),
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_as_sops_shows_it() {
        for (vault, version, shown) in [
            ("https://v.vault.azure.net", "1", "azure_kv https://v.vault.azure.net/keys/k-1/1"),
            ("https://v.vault.azure.net/", "", "azure_kv https://v.vault.azure.net/keys/k-1/"),
        ] {
            assert_eq!(Key::new(vault, "k-1", version).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_could_lead_a_data_key_elsewhere_is_refused() {
        for (vault, name, version) in [
            ("", "k", "1"),
            ("http://v.vault.azure.net", "k", "1"),
            ("https://evil.test/?x=.vault.azure.net", "k", "1"),
            ("https://evil.test#.vault.azure.net", "k", "1"),
            ("https://v@evil.test", "k", "1"),
            ("https://v..vault.azure.net", "k", "1"),
            ("https://v.vault.azure.net:x", "k", "1"),
            ("https://v.vault.azure.net/a", "k", "1"),
            ("https://v.vault.azure.net", "", "1"),
            ("https://v.vault.azure.net", "..", "1"),
            ("https://v.vault.azure.net", "k/..", "1"),
            ("https://v.vault.azure.net", "k", "1/../../secrets"),
            ("https://v.vault.azure.net", "k", "1?x"),
            ("https://v.vault.azure.net", "k\n", "1"),
        ] {
            assert!(Key::new(vault, name, version).is_err(), "{vault} {name} {version}");
            assert!(complaint(&id(vault, name, version)).is_some(), "{vault} {name} {version}");
        }
    }

    #[cfg(feature = "azure")]
    #[test]
    fn a_host_is_azures_or_somebody_elses() {
        for (host, is_azures) in [
            ("v.vault.azure.net", true),
            ("v.managedhsm.usgovcloudapi.net", true),
            ("v.vault.azure.net:8443", false),
            ("vault.azure.net", false),
            ("a.b.vault.azure.net", false),
            ("v.vault.azure.net.evil.test", false),
            ("evilvault.azure.net", false),
        ] {
            let key = Key::new(&format!("https://{host}"), "k", "1").unwrap();
            assert_eq!(key.is_at_azure(), is_azures, "{host}");
        }
    }

    #[test]
    fn a_name_without_a_version_means_the_key_in_any() {
        let key = |version| Key::new("https://v.vault.azure.net", "k", version).unwrap();
        assert!(key("1").is_meant_by(&key("")) && key("1").is_meant_by(&key("1")));
        assert!(!key("1").is_meant_by(&key("2")) && !key("").is_meant_by(&key("1")));
    }
}
