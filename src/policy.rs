//! From the names of master keys, as rules and flags give them, to the master keys themselves.
//!
//! The bridge between `config`, which makes no keys, and `keys`, which knows no config.

use crate::config::{KeySpec, Policy};
use crate::error::Result;
use crate::keys::{KeyKind, KeySet, MasterKey};

/// The master keys that a creation rule names; `None` when it names none.
pub fn key_set(policy: &Policy) -> Result<Option<KeySet>> {
    if policy.key_groups.is_empty() {
        return Ok(None);
    }
    let mut groups = Vec::new();
    for group in &policy.key_groups {
        let mut keys = Vec::new();
        for key in group {
            let at_rule = |error: crate::Error| error.in_file(&policy.rule.file).on_line(key.line);
            keys.push(master_key(&key.spec).map_err(at_rule)?);
        }
        groups.push(keys);
    }
    Ok(Some(KeySet { groups, threshold: policy.shamir_threshold }))
}

/// The master key of this name. One of a kind that Sealant does not speak is a [`MasterKey::Foreign`], named as it
/// would be in a file: it may stay in a file that has it, and to encrypt for it is an error.
pub fn master_key(spec: &KeySpec) -> Result<MasterKey> {
    let foreign = |kind, id: String| MasterKey::Foreign { kind, id };
    Ok(match spec {
        KeySpec::Age(recipient) => MasterKey::Age(recipient.parse()?),
        KeySpec::HcVault(uri) => foreign(KeyKind::HcVault, uri.clone()),
        // sops takes fingerprints as gpg prints them, in groups of four.
        KeySpec::Pgp(fingerprint) => foreign(KeyKind::Pgp, fingerprint.replace(' ', "")),
        KeySpec::Kms { arn, role: Some(role), .. } => foreign(KeyKind::Kms, format!("{arn}+{role}")),
        KeySpec::Kms { arn, role: None, .. } => foreign(KeyKind::Kms, arn.clone()),
        KeySpec::GcpKms(resource) => foreign(KeyKind::GcpKms, resource.clone()),
        KeySpec::Hckms(id) => foreign(KeyKind::HcKms, id.clone()),
        KeySpec::AzureKv { vault_url, name, version } => {
            let version = version.as_deref().unwrap_or_default();
            foreign(KeyKind::AzureKv, format!("{vault_url}/keys/{name}/{version}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Dialect};

    #[test]
    fn a_key_that_is_none_is_named_with_its_line() {
        let text = "creation_rules:\n  - key_groups:\n      - age:\n          - nonsense\n";
        let config = Config::parse(text, "/repo/.sops.yaml", Dialect::Sealant).unwrap();
        let policy = config.policies().remove(0).unwrap();
        let error = key_set(&policy).unwrap_err();
        assert_eq!(error.to_string(), "/repo/.sops.yaml:4: `nonsense` is not an age recipient");
    }

    #[test]
    fn a_rule_without_keys_has_no_key_set() {
        let text = "creation_rules:\n  - encrypted_regex: ^data$\n";
        let config = Config::parse(text, "/repo/.sops.yaml", Dialect::Sealant).unwrap();
        assert_eq!(key_set(&config.policies().remove(0).unwrap()).unwrap(), None);
    }
}
