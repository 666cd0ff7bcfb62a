//! For whom a file is encrypted, and which of its leaves: what flags ask for, else what its creation rule says.
//!
//! The bridge between `config`, which makes no keys, and `keys`, which knows no config. Recipients come from here
//! alone, never from what a file says of itself.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{Config, Configs, Destination, KeySpec, Policy, RuleKey, Selection};
use crate::document::{Document, Format, NodeId};
use crate::error::{Error, Kind, Result};
use crate::keys::{
    self, Fingerprint, KeyKind, KeySet, MasterKey, Recipient, Shares, TransitKey, aws, azure, gcp, huawei,
};
use crate::names::{self, Names};
use crate::sops::kubernetes;

/// What was asked for apart from the creation rule, by flags or the environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub keys: Option<KeySet>,
    pub selection: Option<Selection>,
    pub mac_only_encrypted: bool,
    pub threshold: Option<usize>,
    /// Kubernetes Secrets are documents like others, as to sops: all of their values are encrypted.
    pub all_of_kubernetes: bool,
}

/// How a file is encrypted.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub keys: KeySet,
    pub selection: Selection,
    pub mac_only_encrypted: bool,
    /// The selection was made because the file holds Kubernetes Secrets, not because anybody asked for it.
    pub is_preset: bool,
}

/// For whom to encrypt: as wanted, else as a creation rule says. An error when nobody names a recipient.
pub fn keys(wanted: &Overrides, rule: Option<&Policy>) -> Result<KeySet> {
    let keys = match (&wanted.keys, rule) {
        (Some(keys), _) => Some(keys.clone()),
        (None, Some(rule)) => key_set(rule)?,
        (None, None) => None,
    };
    let mut keys =
        keys.filter(|keys| keys.groups.iter().any(|group| !group.is_empty())).ok_or_else(|| match rule {
            Some(rule) => Error::new(Kind::Other, "the creation rule names no recipients")
                .in_file(&rule.rule.file)
                .on_line(rule.rule.line)
                .advise("Add a line such as `age: age1...` to the rule."),
            None => Error::new(Kind::Other, "no recipients are named, so nobody could decrypt it")
                .advise("Run `sealant init` to make a config, or name recipients with --age."),
        })?;
    keys.threshold = wanted.threshold.or(keys.threshold);
    Ok(keys)
}

/// How to encrypt `document`: as wanted, else as its creation rule says. An error when nobody names a recipient.
pub fn recipe(document: &dyn Document, wanted: &Overrides, rule: Option<&Policy>) -> Result<Recipe> {
    let keys = keys(wanted, rule)?;
    let asked = wanted.selection.clone().or_else(|| rule.and_then(|rule| rule.selection.clone()));
    let asked = asked.or_else(|| wanted.all_of_kubernetes.then(Selection::default));
    // A binary file is encrypted as a whole, and sops does not open one whose metadata say otherwise.
    let asked = if document.format() == Format::Binary { Some(Selection::default()) } else { asked };
    let (selection, is_preset) = selection(document, asked);
    let mac_only_encrypted = wanted.mac_only_encrypted || rule.is_some_and(|rule| rule.mac_only_encrypted);
    let mac_only_encrypted = mac_only_encrypted && document.format() != Format::Binary;
    Ok(Recipe { keys, selection, mac_only_encrypted, is_preset })
}

/// Which leaves of a plaintext document are encrypted when `asked` says so or nothing is said, and whether that is the
/// preset for Kubernetes Secrets.
pub fn selection(document: &dyn Document, asked: Option<Selection>) -> (Selection, bool) {
    selection_beside(document, asked, &[])
}

/// As [`selection`], for what of a document is beside `others`.
pub fn selection_beside(
    document: &dyn Document,
    asked: Option<Selection>,
    others: &[NodeId],
) -> (Selection, bool) {
    match asked {
        Some(selection) => (selection, false),
        None if kubernetes::holds_only_secrets_beside(document, others) => (Selection::kubernetes(), true),
        None => (Selection::default(), false),
    }
}

/// The master keys that the creation rule of a file names; `None` when there is no rule, or it names none.
pub fn keys_of_file(configs: &Configs, file: &Path) -> Result<Option<KeySet>> {
    match configs.matching_policy(file)? {
        Some(policy) => key_set(&policy),
        None => Ok(None),
    }
}

/// Who reads what is in a place: the master keys that its creation rule names, and where its destination rule sends it. `None`
/// when no rule says anything of that.
pub fn readers_of_file(configs: &Configs, file: &Path) -> Result<Option<KeySet>> {
    let (policy, destination) = configs.rules_of(file)?;
    readers(policy.as_ref(), destination.as_ref())
}

/// The same of a place in another state of the working tree ([`Configs::rules_of_other_state`]).
pub fn readers_of_other_state(configs: &Configs, path: &Path) -> Result<Option<KeySet>> {
    let (policy, destination) = configs.rules_of_other_state(path)?;
    readers(policy.as_ref(), destination.as_ref())
}

fn readers(policy: Option<&Policy>, destination: Option<&Destination>) -> Result<Option<KeySet>> {
    let keys = policy.map_or(Ok(None), key_set)?;
    let sent_to = destination.and_then(sent_to);
    if sent_to.is_none() {
        return Ok(keys);
    }
    Ok(Some(KeySet { sent_to, ..keys.unwrap_or_else(|| KeySet::of_groups(Vec::new(), None)) }))
}

/// To whom `publish` gives what is in a file, apart from those who read the file: a place that takes plaintext, or the
/// recipients for whom it is encrypted again.
fn sent_to(destination: &Destination) -> Option<Shares<String>> {
    match (&destination.target, &destination.recreation) {
        (target, _) if target.takes_plaintext() => {
            Some(Shares::new([BTreeSet::from([target.to_string()])], 1))
        }
        // With a recreation rule that cannot be read nothing is sent.
        (_, Some(rule)) => key_set(rule).ok().flatten().map(|keys| keys.shares()),
        (_, None) => None,
    }
}

/// Whether `publish` gives files of a config to anybody else.
pub fn sends_on(config: &Config) -> bool {
    config.destinations().iter().flatten().any(|destination| sent_to(destination).is_some())
}

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
    Ok(Some(KeySet::of_groups(groups, policy.shamir_threshold)))
}

/// The master key of this name. One of a kind that Sealant does not support is a [`MasterKey::Foreign`], named as it
/// would be in a file: it may stay in a file that has it, and to encrypt for it is an error.
pub fn master_key(spec: &KeySpec) -> Result<MasterKey> {
    let foreign = |kind, id: String| MasterKey::Foreign { kind, id };
    Ok(match spec {
        KeySpec::Age(recipient) => MasterKey::Age(recipient.parse()?),
        KeySpec::HcVault(uri) => MasterKey::Vault(TransitKey::parse(uri)?),
        KeySpec::Pgp(fingerprint) => Fingerprint::parse(fingerprint)
            .map_or_else(|_| foreign(KeyKind::Pgp, fingerprint.replace(' ', "")), MasterKey::Pgp),
        KeySpec::Kms { arn, role, context, aws_profile } => {
            aws::as_written(arn, role.as_deref(), context.clone(), aws_profile.as_deref())
        }
        KeySpec::GcpKms(resource_id) => gcp::as_written(resource_id),
        KeySpec::Hckms(id) => huawei::as_written(id),
        KeySpec::AzureKv { vault_url, name, version } => {
            azure::as_written(vault_url, name, version.as_deref().unwrap_or_default())
        }
    })
}

/// Readers, and what people call them: that is a claim, so the whole keys are there.
pub fn all_named(keys: &[RuleKey], names: &Names) -> String {
    let named = |key: &RuleKey| match master_key(&key.spec) {
        Ok(key) => names.beside(key.id(), key.to_string()),
        Err(_) => "a key that cannot be read".to_owned(),
    };
    keys.iter().map(named).collect::<Vec<_>>().join(", ")
}

/// The master key that somebody has typed: any kind of key as it is written, or what the config calls one. A name that looks
/// like a key is no name.
pub fn typed_key(text: &str, names: &Names) -> Result<MasterKey> {
    master_key(&KeySpec::of_text(text)).or_else(|error| match names.key_called(text) {
        Some(key) => master_key(&KeySpec::of_text(key)),
        None => Err(error),
    })
}

/// The same where nothing but a key or a name can be meant. What is neither is said to be no name, with those that there are.
pub fn key_or_name(text: &str, names: &Names) -> Result<MasterKey> {
    typed_key(text, names).map_err(|error| {
        if names::is_like_a_key(text) || keys::looks_secret(text).is_some() {
            return error;
        }
        let known: Vec<String> = names.iter().map(|(key, name)| names::short(name, key)).collect();
        let message = format!("`{text}` is neither a key nor a name in the config");
        let advice = match known.is_empty() {
            true => "`sealant recipient list` shows the keys of each rule.".to_owned(),
            false => format!("The config has these names: {}.", known.join(", ")),
        };
        Error::new(error.kind(), message).advise(advice)
    })
}

/// The master key of this name as it is taken out of files, where it may be none.
pub fn master_key_as_written(spec: &KeySpec) -> Result<MasterKey> {
    Ok(match spec {
        // Where a recipient may not even parse.
        KeySpec::Age(name) => MasterKey::Age(Recipient::as_written(name)),
        _ => master_key(spec)?,
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
