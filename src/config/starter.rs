//! The config that `sealant init` writes.

use std::fmt::Write;

use crate::config::selection::Selection;
use crate::names::Names;

/// What kind of files a fresh config is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    /// Every value of the files that the rule matches.
    #[default]
    Everything,
    /// The `data` and `stringData` of Kubernetes Secrets; names and labels stay readable.
    Kubernetes,
}

/// The text of a fresh `.sops.yaml` for these recipients: age recipients and URIs of Vault transit keys. Those that have names
/// are named in it.
pub fn starter(recipients: &[String], names: &Names, preset: Preset) -> String {
    let (vault, age): (Vec<_>, Vec<_>) =
        recipients.iter().map(String::as_str).partition(|key| key.contains("://"));
    let mut text = String::from(
        "\
# Which files are encrypted, for whom, and which of their values. sops reads this file too.
# The first rule whose path_regex matches counts. It is matched against a file's path relative to this
# folder, and may match anywhere in it. `sealant explain FILE` says which rule a file has, and why.
creation_rules:
  # Files in a folder `secrets`, and files such as `db.enc.yaml`.
  - path_regex: (^|/)secrets/|\\.enc\\.(ya?ml|json|env|ini)$
",
    );
    if preset == Preset::Kubernetes {
        text.push_str("    # The values of Kubernetes Secrets; kind, name and labels stay readable.\n");
        let _ = writeln!(text, "    encrypted_regex: {}", Selection::KUBERNETES_REGEX);
    }
    text.push_str(
        "    # The owner of any of these keys can decrypt. After a change: `sealant updatekeys .`\n",
    );
    if !vault.is_empty() {
        let _ = writeln!(text, "    hc_vault_transit_uri: {}", vault.join(","));
    }
    match age.is_empty() {
        // A text with commas: older versions of sops read no list here.
        false => {
            let _ = writeln!(text, "    age: >-\n      {}", age.join(",\n      "));
        }
        true if vault.is_empty() => {
            text.push_str("    age: \"\" # age recipients, with commas between them\n")
        }
        true => {}
    }
    let mut title = "sealant:\n  recipients: # what people are called in messages\n";
    for (recipient, name) in names.iter() {
        // A text in JSON's quotes is one in YAML's.
        let _ = writeln!(text, "{title}    {recipient}: {}", serde_json::Value::from(name));
        title = "";
    }
    text
}
