//! What is wrong with a file of a repository, as far as it can be seen without any key.
//!
//! Pure: bytes and a creation rule in, findings out. Which leaves a rule selects is `sops`'s to say, for whom a file is
//! encrypted `rekey`'s. A finding never quotes a value.

mod claimed;
mod others;
mod plan;
mod rule;
mod text;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::config::{Policy, Selection};
use crate::document::{self, Document, Format, NodeId};
use crate::encrypted_file::{EncryptedFile, Holder};
use crate::error::Result;
use crate::policy;
use crate::rekey::Change;
use crate::sealed_secret::{self, SealedFile};
use crate::secret::SecretBytes;
use crate::sops::{self, Encrypted, kubernetes};
use others::is_about_secrets;
pub use plan::Plan;
pub use rule::Rule;
use text::{PrivateKey, Signs};

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// From 1.
    pub line: usize,
    pub rule: Rule,
    /// Lower case, without a final stop.
    pub message: String,
}

/// What is wrong with a file, in the order of its lines. An error when its creation rule makes no sense.
pub fn check(format: Format, file: SecretBytes, policy: Option<&Policy>) -> Result<Vec<Finding>> {
    let utf8 = text::of_utf16(&file);
    let is_utf16 = utf8.is_some();
    let file = utf8.unwrap_or(file);
    let signs = Signs::of(&file);
    let mut check = Check { policy, findings: Vec::new() };
    if is_utf16 && format != Format::Binary && signs.ciphertext && sops::looks_encrypted(&file) {
        check.add(1, Rule::Broken, "is in UTF-16, and encrypted files are read in UTF-8 alone");
    }
    for (line, kind) in signs.private_keys(&file) {
        check.add(line, Rule::PrivateKey, named(kind));
    }
    let covering = policy.filter(|policy| covers(policy, format));
    if (covering.is_some() || signs.may_matter) && !file.is_empty() {
        check.file(format, file, &signs, covering)?;
    }
    check.findings.sort();
    Ok(check.findings)
}

fn named(kind: PrivateKey) -> &'static str {
    match kind {
        PrivateKey::Age => "an age identity, which is a private key",
        PrivateKey::Vault | PrivateKey::OldVault => "a token of Vault or OpenBao",
    }
}

/// Whether a creation rule says of the files that it matches that they are secret. One that matches every file says
/// how to encrypt those that are; if it picks values by their names, these are secret wherever they stand.
fn covers(policy: &Policy, format: Format) -> bool {
    policy.rule.path_regex.is_some()
        || (format != Format::Binary && policy.selection.as_ref().is_some_and(Selection::encrypts_matches))
}

struct Check<'a> {
    policy: Option<&'a Policy>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, line: usize, rule: Rule, message: impl Into<String>) {
        self.findings.push(Finding { line, rule, message: message.into() });
    }

    fn broken(&mut self, error: &crate::Error) {
        // The cause goes along, the place does not: it is the finding's.
        let message = match std::error::Error::source(error) {
            Some(cause) => format!("{}: {cause}", error.message()),
            None => error.message().to_owned(),
        };
        self.add(error.line().unwrap_or(1), Rule::Broken, message);
    }

    fn file(
        &mut self,
        format: Format,
        file: SecretBytes,
        signs: &Signs,
        covering: Option<&Policy>,
    ) -> Result<()> {
        if text::is_lfs_pointer(&file) {
            if covering.is_some() {
                self.add(
                    1,
                    Rule::Broken,
                    "its content is kept by Git LFS and is not here, so nobody can look at it",
                );
            }
            return Ok(());
        }
        let is_envelope = format == Format::Binary && sops::is_meant_to_be_encrypted(format, &file);
        if format == Format::Binary && !is_envelope {
            if let Some(policy) = covering {
                self.add(
                    1,
                    Rule::Plaintext,
                    format!("is in clear, and {} says that it is encrypted", shown(policy)),
                );
            }
            return Ok(());
        }
        match document::parse(format, file.clone(), true) {
            Ok(document) => self.document(document, covering),
            Err(error) => {
                let selection = covering.map(|policy| policy.selection.clone().unwrap_or_default());
                let is_meant = is_envelope
                    || (signs.ciphertext && sops::looks_encrypted(&file))
                    || selection.is_some_and(|selection| !is_about_secrets(&selection));
                let template = std::str::from_utf8(&file).ok().filter(|_| format == Format::Yaml);
                if is_meant {
                    self.broken(&error);
                } else if let Some(line) = template.and_then(text::clear_line_of_template) {
                    self.add(line, Rule::Secret, "a Kubernetes Secret has a value in clear");
                }
                Ok(())
            }
        }
    }

    fn document(&mut self, document: Box<dyn Document>, covering: Option<&Policy>) -> Result<()> {
        let secrets = kubernetes::secrets(&*document);
        let mut reported = BTreeSet::new();
        if sops::is_meant(&*document) {
            self.last_applied(&*document);
            return self.encrypted(document, covering, &secrets, &mut reported);
        }
        let sealed = sealed_secret::objects(&*document);
        if let Some(policy) = covering.filter(|_| sealed.is_empty()) {
            self.plain(&*document, policy, &secrets, &mut reported);
        }
        self.secrets(&*document, &secrets, &reported);
        self.last_applied(&*document);
        if !sealed.is_empty() {
            match SealedFile::of(document) {
                Ok(file) => self.recipients(&EncryptedFile::Sealed(file))?,
                Err(error) => self.broken(&error),
            }
        }
        Ok(())
    }

    /// A document without metadata that a rule covers: told once, however much of it is in clear.
    fn plain(
        &mut self,
        document: &dyn Document,
        policy: &Policy,
        secrets: &[NodeId],
        reported: &mut BTreeSet<NodeId>,
    ) {
        let (selection, _) = policy::selection(document, policy.selection.clone());
        let found = self.clear(document, &selection, secrets);
        if let Some(&first) = found.first() {
            let message = match found.len() {
                1 => format!("a value is in clear that {} says is encrypted", shown(policy)),
                count => format!("{count} values are in clear that {} says are encrypted", shown(policy)),
            };
            self.add(line_of(document, first), Rule::Plaintext, message);
        }
        reported.extend(found);
    }

    fn encrypted(
        &mut self,
        document: Box<dyn Document>,
        covering: Option<&Policy>,
        secrets: &[NodeId],
        reported: &mut BTreeSet<NodeId>,
    ) -> Result<()> {
        let file = match Encrypted::of(document) {
            Ok(file) => file,
            Err(error) => {
                self.broken(&error);
                return Ok(());
            }
        };
        let document = file.document();
        // What a rule leaves unsaid is what encrypting by it would have done, if the file is its business at all.
        let of_rule = self.policy.and_then(|policy| {
            let asked = policy.selection.clone();
            let is_meant = asked.is_some() || covering.is_some();
            is_meant.then(|| (policy::selection(document, asked).0, shown(policy)))
        });
        let of_file = (file.metadata.selection.clone(), "its metadata".to_owned());
        for (selection, who) in [Some(of_file), of_rule].into_iter().flatten() {
            for node in self.clear(document, &selection, secrets) {
                if reported.insert(node) {
                    let path = document.tree().path_of(document.source(), node);
                    let message = format!("{path} is in clear, and {who} says that it is encrypted");
                    self.add(line_of(document, node), Rule::Plaintext, message);
                }
            }
        }
        self.secrets(document, secrets, reported);
        if file.metadata.mac.is_none() {
            let line = line_of_metadata(document);
            self.add(line, Rule::Broken, "has no MAC, so nobody can tell whether it was changed");
        }
        self.recipients(&EncryptedFile::Document(Box::new(file)))
    }

    /// The values that a selection says are encrypted and that are not.
    fn clear(&mut self, document: &dyn Document, selection: &Selection, secrets: &[NodeId]) -> Vec<NodeId> {
        let mut found = sops::in_clear(document, selection).unwrap_or_else(|error| {
            self.broken(&error);
            Vec::new()
        });
        if is_about_secrets(selection) {
            let tree = document.tree();
            let is_of_secret = |leaf| secrets.iter().any(|&secret| tree.contains(secret, leaf));
            found.retain(|&leaf| is_of_secret(leaf) || !others::is_of_data(document, selection, leaf));
        }
        found
    }

    /// Secrets of which something is in clear that no rule speaks of.
    fn secrets(&mut self, document: &dyn Document, secrets: &[NodeId], reported: &BTreeSet<NodeId>) {
        for &secret in secrets {
            let values = clear_values(document, secret);
            let Some(&first) = values.iter().find(|value| !reported.contains(value)) else { continue };
            let message = match values.len() {
                1 => "a Kubernetes Secret has a value in clear".to_owned(),
                count => format!("a Kubernetes Secret has {count} values in clear"),
            };
            self.add(line_of(document, first), Rule::Secret, message);
        }
    }

    fn last_applied(&mut self, document: &dyn Document) {
        for node in kubernetes::last_applied(document) {
            if sops::is_clear(document, node) && holds_values(document, node) {
                let message =
                    format!("the annotation {} holds the Secret in clear", kubernetes::LAST_APPLIED);
                self.add(line_of(document, node), Rule::LastApplied, message);
            }
        }
    }

    fn recipients(&mut self, file: &EncryptedFile) -> Result<()> {
        let Some(policy) = self.policy else { return Ok(()) };
        let Some(keys) = policy::key_set(policy)? else { return Ok(()) };
        let lines: Vec<usize> = match file {
            EncryptedFile::Document(file) => vec![line_of_metadata(file.document())],
            EncryptedFile::Sealed(file) => {
                file.objects.iter().map(|(node, _)| file.document.line(*node)).collect()
            }
        };
        for (holder, line) in file.holders().into_iter().zip(lines) {
            match holder.data_keys() {
                Ok(current) => {
                    let change = Change::between(&current, &keys);
                    if !change.is_empty() {
                        self.add(line, Rule::Recipients, told(&change, holder, policy));
                    }
                }
                Err(error) => self.broken(&error.on_line(line)),
            }
        }
        Ok(())
    }
}

/// The values of a Secret in clear, without those that are filled in later.
pub(super) fn clear_values(document: &dyn Document, secret: NodeId) -> Vec<NodeId> {
    let tree = document.tree();
    let is_filled_in =
        |node: NodeId| text::is_placeholder(tree[tree.resolve(node)].text.get(document.source()));
    let values = kubernetes::values(document, secret).into_iter();
    values.filter(|&node| sops::is_clear(document, node) && !is_filled_in(node)).collect()
}

/// Whether the copy of a Secret that kubectl has left has values in clear; one that cannot be read counts as such.
fn holds_values(document: &dyn Document, annotation: NodeId) -> bool {
    let tree = document.tree();
    let copy = tree[tree.resolve(annotation)].text.get(document.source()).trim();
    let copy = SecretBytes::new(copy.as_bytes().to_vec());
    document::parse(Format::Json, copy, true).map_or(true, |copy| {
        kubernetes::secrets(&*copy).iter().any(|&secret| !clear_values(&*copy, secret).is_empty())
    })
}

/// The line of an entry is that of its key: a block of text begins below it.
fn line_of(document: &dyn Document, node: NodeId) -> usize {
    match document.tree()[node].key_span {
        span if span.is_empty() => document.line(node),
        span => document.line_of(span.start()),
    }
}

fn line_of_metadata(document: &dyn Document) -> usize {
    let tree = document.tree();
    let mut entries = tree.documents().iter().flat_map(|&root| tree.entries(root));
    entries.find(|&entry| document.is_metadata(entry)).map_or(1, |entry| line_of(document, entry))
}

/// A rule as it is named in messages: the folder of its config is not worth a line.
fn shown(policy: &Policy) -> String {
    let file = policy.rule.file.file_name().unwrap_or_default().to_string_lossy();
    format!("{file}:{}", policy.rule.line)
}

fn told(change: &Change, holder: Holder<'_>, policy: &Policy) -> String {
    let list = |keys: Vec<String>| keys.join(", ");
    let of = |pick: fn(&crate::rekey::GroupChange) -> &Vec<crate::keys::MasterKey>| {
        list(change.groups.iter().flat_map(pick).map(ToString::to_string).collect())
    };
    let (missing, strange) = (of(|group| &group.added), of(|group| &group.removed));
    let what = match holder {
        Holder::Document(_) => "is not encrypted for whom",
        Holder::Sealed(_) => "the SealedSecret is not encrypted for whom",
    };
    let mut message = format!("{what} {} says", shown(policy));
    if !missing.is_empty() {
        message += &format!(": it lacks {missing}");
    }
    if !strange.is_empty() {
        message += &format!(
            "{} it has {strange}, whom the rule does not name",
            if missing.is_empty() { ":" } else { ";" }
        );
    }
    if missing.is_empty() && strange.is_empty() {
        message += ": keys of another number of groups are needed";
    }
    message
}

#[cfg(test)]
mod tests;
