//! What is wrong with a file in a repository, as far as one can see without any key.
//!
//! Pure: bytes and a creation rule in, findings out. Judges every leaf and comment, whatever the file says about
//! itself. `sops` says which ones a rule selects, `sealed_secret` what belongs to a SealedSecret, and `rekey` who a
//! file is encrypted for. A finding never quotes a value. Work is linear in the size of a file: somebody else wrote it.

mod claimed;
mod encoding;
mod lines;
mod links;
mod names;
mod others;
mod pending;
mod plan;
mod private_keys;
mod rule;
mod settings;
mod templates;
mod text;
mod unread;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::config::{Policy, Selection};
use crate::document::{self, Document, Format, NodeId};
use crate::encrypted_file::{self, EncryptedFile, KeyedPart, meant};
use crate::error::Result;
use crate::policy;
use crate::rekey::Change;
use crate::repo::git::lfs;
use crate::sealed_secret::{self, SealedFile};
use crate::secret::{SecretBytes, SecretString};
use crate::sops::kubernetes::{self, Secret};
use crate::sops::{self, Encrypted, Exempt, InPlaintext, Nature};
pub use claimed::WHOLE;
pub use encoding::Encoding;
use lines::Lines;
pub use links::{check_link, check_repository, check_target, unseen};
use others::{is_about_secrets, is_about_secrets_alone};
pub use pending::Pending;
pub use plan::Plan;
pub use rule::{Level, Rule};
use text::Signs;
use unread::Unread;

/// How many plaintext values of one file are listed one by one.
const MOST_TOLD: usize = 100;

/// How many characters of a path's beginning and end are shown at most.
const MOST_OF_PATH: usize = 100;

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// From 1.
    pub line: usize,
    pub rule: Rule,
    /// Lower case, without a final stop.
    pub message: String,
    /// Who is waiting for access, if nothing else is wrong with the readers.
    #[serde(skip)]
    pub pending: Option<Box<Pending>>,
    /// The file with which it shares something, called as in the message.
    #[serde(skip)]
    pub other: Option<PathBuf>,
}

impl Finding {
    pub fn new(line: usize, rule: Rule, message: impl Into<String>) -> Self {
        Self { line, rule, message: message.into(), pending: None, other: None }
    }

    /// Decides the order of findings, and which of them are the same.
    fn key(&self) -> (usize, Rule, &str) {
        (self.line, self.rule, &self.message)
    }
}

impl Ord for Finding {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Finding {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What was seen of a file.
#[derive(Default)]
pub struct Checked {
    /// What is wrong with it, in the order of its lines.
    pub findings: Vec<Finding>,
    /// The file itself, where it is an encrypted document that could be read.
    pub file: Option<EncryptedFile>,
}

/// Looks at a file. An error if its creation rule makes no sense.
pub fn check(format: Format, file: SecretBytes, policy: Option<&Policy>) -> Result<Checked> {
    let utf8 = document::of_utf16(&file);
    let is_unread = utf8.is_some() && !encrypted_file::may_be_wide(format);
    let file = utf8.unwrap_or(file);
    let signs = Signs::of(format, &file);
    let mut check = Check { policy, is_unread, findings: Vec::new(), file: None };
    if signs.private_key {
        for (line, kind) in private_keys::private_keys(&file) {
            check.add(line, Rule::PrivateKey, kind.description());
        }
    }
    let covering = policy.filter(|policy| covers(policy, format));
    if (covering.is_some() || signs.may_matter) && !file.is_empty() {
        check.file(format, file, &signs, covering)?;
    }
    check.findings.sort();
    Ok(Checked { findings: check.findings, file: check.file.filter(|_| !is_unread) })
}

/// Whether a creation rule says of the files that it matches that they are secret. One that matches every file says
/// how to encrypt those that are; if it picks values by their names, these are secret wherever they stand.
fn covers(policy: &Policy, format: Format) -> bool {
    policy.rule.path_regex.is_some()
        || (format != Format::Binary && policy.selection.as_ref().is_some_and(Selection::encrypts_matches))
}

struct Check<'a> {
    policy: Option<&'a Policy>,
    /// It is in an encoding in which no encrypted file of its type is read.
    is_unread: bool,
    findings: Vec<Finding>,
    file: Option<EncryptedFile>,
}

impl Check<'_> {
    fn add(&mut self, line: usize, rule: Rule, message: impl Into<String>) {
        self.findings.push(Finding::new(line, rule, message));
    }

    /// Adds a finding for each of these, and of many one for all others.
    fn add_each(
        &mut self,
        view: &View<'_>,
        nodes: &[NodeId],
        rule: Rule,
        what: &str,
        message: impl Fn(NodeId) -> String,
    ) {
        let (told, others) = nodes.split_at(nodes.len().min(MOST_TOLD));
        for &node in told {
            self.add(view.line_of(node), rule, message(node));
        }
        if let Some(&first) = others.first() {
            let message = format!("{} more {what} in plaintext that should be encrypted", others.len());
            self.add(view.line_of(first), rule, message);
        }
    }

    fn broken(&mut self, error: &crate::Error) {
        // Takes the cause but not the place, which the finding has already.
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
        if lfs::pointer(&file).is_some() {
            if covering.is_some() {
                self.add(1, Rule::Broken, "its content is in Git LFS and not here, so it cannot be checked");
            }
            return Ok(());
        }
        let is_envelope = format == Format::Binary && meant(format, &file).is_some();
        if format == Format::Binary && !is_envelope {
            if let Some(policy) = covering {
                self.add(
                    1,
                    Rule::Plaintext,
                    format!("is in plaintext, but {} says to encrypt it", shown(policy)),
                );
            }
            return Ok(());
        }
        match document::parse(format, file.clone(), true) {
            Ok(document) => self.document(document, covering),
            Err(error) => {
                let is_meant = is_envelope || (signs.ciphertext && meant(format, &file).is_some());
                match is_meant {
                    true => self.broken(&error),
                    false => return self.unread(format, &file, &error, covering),
                }
                Ok(())
            }
        }
    }

    /// A file that does not parse, and does not say that it is encrypted.
    fn unread(
        &mut self,
        format: Format,
        file: &[u8],
        error: &crate::Error,
        covering: Option<&Policy>,
    ) -> Result<()> {
        let selection = covering.map(|policy| policy.selection.clone().unwrap_or_default());
        if selection.is_some_and(|selection| !is_about_secrets_alone(&selection)) {
            self.broken(error);
            return Ok(());
        }
        if !matches!(format, Format::Yaml | Format::Json) {
            return Ok(());
        }
        // Programs that deploy JSON take it even if it is not valid text.
        let lossy = String::from_utf8_lossy(file).into_owned();
        match unread::look(&SecretString::new(lossy)) {
            Unread::Secret(line) => {
                self.add(line, Rule::Secret, "a Kubernetes Secret has a value in plaintext");
            }
            Unread::Hides => self.broken(error),
            Unread::MayHide if covering.is_some() => self.broken(error),
            Unread::Beyond(bound) => return Err(unread::beyond(bound)),
            Unread::MayHide | Unread::Nothing => {}
        }
        Ok(())
    }

    fn document(&mut self, document: Box<dyn Document>, covering: Option<&Policy>) -> Result<()> {
        let lines = Lines::of(document.source());
        let secrets = kubernetes::secrets(&*document);
        let nature = Nature::of(&*document);
        let view = View { document: &*document, lines: &lines, secrets: &secrets, exempt: nature.exempt() };
        self.last_applied(&view);
        if self.is_unread && nature.is_meant() {
            self.broken(&encrypted_file::in_utf16());
        }
        match nature {
            Nature::Encrypted => {
                self.encrypted(&view, covering)?;
                return self.metadata(document, &lines);
            }
            // A text that only mentions sops has no ciphertexts.
            Nature::Damaged(why) if covering.is_some() || sops::holds_ciphertexts(&*document) => {
                let line = why.line().unwrap_or_else(|| line_of_metadata(&view));
                self.broken(&why.on_line(line));
            }
            _ => {}
        }
        let sealed = sealed_secret::objects(&*document);
        let reported = match covering {
            Some(policy) => self.plain(&view, policy, &sealed),
            None => BTreeSet::new(),
        };
        self.secrets(&view, &reported);
        if !sealed.is_empty() {
            match SealedFile::of(document) {
                Ok(file) => self.recipients(&EncryptedFile::Sealed(file), &lines)?,
                Err(error) => self.broken(&error),
            }
        }
        Ok(())
    }

    /// A document that is not encrypted although a rule covers it: reported once, however much of it is in plaintext.
    fn plain(&mut self, view: &View<'_>, policy: &Policy, sealed: &[NodeId]) -> BTreeSet<NodeId> {
        let (selection, _) = policy::selection_beside(view.document, policy.selection.clone(), sealed);
        let mut found = self.in_plaintext(view, &selection);
        let objects: HashSet<NodeId> = sealed.iter().copied().collect();
        let is_own = |node: &NodeId| sealed_secret::is_own(view.document, &objects, *node);
        found.values.retain(|value| !is_own(value));
        found.comments.retain(|comment| !is_own(comment));
        let tell = |nodes: &[NodeId], one: &str, many: &str| {
            let line = nodes.iter().map(|&node| view.line_of(node)).min()?;
            let shown = shown(policy);
            Some((
                line,
                match nodes.len() {
                    1 => format!("{one} is in plaintext, but {shown} says to encrypt it"),
                    count => format!("{count} {many} are in plaintext, but {shown} says to encrypt them"),
                },
            ))
        };
        // Where values are in plaintext, nothing has been encrypted, and everybody sees it.
        if let Some((line, message)) = tell(&found.values, "a value", "values") {
            self.add(line, Rule::Plaintext, message);
        } else if let Some((line, message)) = tell(&found.comments, "a comment", "comments") {
            self.add(line, Rule::Comment, message);
        } else if view.document.tree().documents().is_empty()
            && !selection.encrypts_matches()
            && let Some(line) = text::first_line_with_text(view.document.source())
        {
            let message = format!("comments are in plaintext, but {} says to encrypt them", shown(policy));
            self.add(line, Rule::Comment, message);
        }
        found.values.into_iter().collect()
    }

    fn encrypted(&mut self, view: &View<'_>, covering: Option<&Policy>) -> Result<()> {
        let Some(data) = view.document.metadata()? else { return Ok(()) };
        let own = sops::Metadata::from_data(&data)?.selection;
        let of_file = (own.clone(), "the file's metadata".to_owned());
        // What a rule leaves unsaid is what encrypting by it would have done, if the file is its business at all.
        let of_rule = self.policy.and_then(|policy| {
            let asked = policy.selection.clone();
            let is_meant = asked.is_some() || covering.is_some();
            is_meant.then(|| (policy::selection(view.document, asked).0, shown(policy)))
        });
        let mut reported = BTreeSet::new();
        for (selection, who) in [Some(of_file), of_rule].into_iter().flatten() {
            let InPlaintext { values, comments } = self.in_plaintext(view, &selection);
            let new = |nodes: Vec<NodeId>, reported: &mut BTreeSet<NodeId>| -> Vec<NodeId> {
                nodes.into_iter().filter(|&node| reported.insert(node)).collect()
            };
            let values = new(values, &mut reported);
            self.add_each(view, &values, Rule::Plaintext, "values are", |node| {
                let path = path_of(view.document, node);
                format!("{path} is in plaintext, but {who} says to encrypt it")
            });
            let comments = new(comments, &mut reported);
            self.add_each(view, &comments, Rule::Comment, "comments are", |_| {
                format!("a comment is in plaintext, but {who} says to encrypt it")
            });
        }
        if covering.is_none() && self.policy.is_none_or(|policy| policy.selection.is_none()) {
            self.unasked(view, &own, &mut reported);
        }
        self.secrets(view, &reported);
        Ok(())
    }

    /// What the metadata of an encrypted document says.
    fn metadata(&mut self, document: Box<dyn Document>, lines: &Lines) -> Result<()> {
        let file = match Encrypted::of(document) {
            Ok(file) => file,
            Err(error) => {
                self.broken(&error);
                return Ok(());
            }
        };
        if file.metadata.mac.is_none() {
            let line = line_of_metadata_in(file.document(), lines);
            self.add(line, Rule::Broken, "has no MAC, so changes to it cannot be detected");
        }
        let file = EncryptedFile::Document(Box::new(file));
        self.recipients(&file, lines)?;
        self.file = Some(file);
        Ok(())
    }

    /// Values that a selection says are encrypted, but that are not.
    fn in_plaintext(&mut self, view: &View<'_>, selection: &Selection) -> InPlaintext {
        let document = view.document;
        let mut found = sops::in_plaintext(document, selection, view.exempt).unwrap_or_else(|error| {
            self.broken(&error);
            InPlaintext::default()
        });
        if is_about_secrets(selection) {
            let secrets: HashSet<NodeId> = view.secrets.iter().map(|secret| secret.node).collect();
            let is_meant = |&node: &NodeId| {
                document.tree().is_below(&secrets, node) || !others::is_of_data(document, selection, node)
            };
            found.values.retain(is_meant);
            found.comments.retain(is_meant);
        }
        found
    }

    /// Secrets with something in plaintext that no rule mentions.
    fn secrets(&mut self, view: &View<'_>, reported: &BTreeSet<NodeId>) {
        let mut seen = kubernetes::Seen::default();
        for secret in view.secrets {
            let values = clear_values(view.document, secret, &mut seen);
            let first = values
                .iter()
                .filter(|value| !reported.contains(value))
                .map(|&value| view.line_of(value))
                .min();
            let Some(line) = first else { continue };
            let message = match values.len() {
                1 => "a Kubernetes Secret has a value in plaintext".to_owned(),
                count => format!("a Kubernetes Secret has {count} values in plaintext"),
            };
            self.add(line, Rule::Secret, message);
        }
    }

    fn last_applied(&mut self, view: &View<'_>) {
        for node in kubernetes::last_applied_of(view.document, view.secrets) {
            if sops::is_clear(view.document, node) && holds_values(view.document, node) {
                let message =
                    format!("the annotation {} holds the Secret in plaintext", kubernetes::LAST_APPLIED);
                self.add(view.line_of(node), Rule::LastApplied, message);
            }
        }
    }

    fn recipients(&mut self, file: &EncryptedFile, at: &Lines) -> Result<()> {
        let Some(policy) = self.policy else { return Ok(()) };
        self.claims(file, policy, at)?;
        let Some(keys) = policy::key_set(policy)? else { return Ok(()) };
        let lines: Vec<usize> = match file {
            EncryptedFile::Document(file) => vec![line_of_metadata_in(file.document(), at)],
            EncryptedFile::Sealed(file) => {
                let begins = |node: &NodeId| file.document.tree()[*node].span.start();
                file.objects.iter().map(|(node, _)| at.of_offset(begins(node))).collect()
            }
        };
        for (holder, line) in file.holders().into_iter().zip(lines) {
            match holder.data_keys() {
                Ok(current) => {
                    let change = Change::between(&current, &keys);
                    if !change.is_empty() {
                        let pending = Pending::of(&change, &current, policy).map(Box::new);
                        let message = told(&change, holder, policy);
                        self.findings
                            .push(Finding { pending, ..Finding::new(line, Rule::Recipients, message) });
                    }
                }
                Err(error) => self.broken(&error.on_line(line)),
            }
        }
        Ok(())
    }
}

/// A document that we look at, and what we read from it.
struct View<'d> {
    document: &'d dyn Document,
    lines: &'d Lines,
    secrets: &'d [Secret],
    exempt: Exempt,
}

impl View<'_> {
    /// The line of an entry is that of its key: a block of text begins below it.
    fn line_of(&self, node: NodeId) -> usize {
        line_of(self.document, self.lines, node)
    }
}

/// The values of a Secret in plaintext, without those that are filled in later; each collection is looked at once.
pub(super) fn clear_values(
    document: &dyn Document,
    secret: &Secret,
    seen: &mut kubernetes::Seen,
) -> Vec<NodeId> {
    let tree = document.tree();
    let is_filled_in =
        |node: NodeId| templates::is_placeholder(tree[tree.resolve(node)].text.get(document.source()));
    let values = kubernetes::values(document, secret, seen).into_iter();
    values.filter(|&node| sops::is_clear(document, node) && !is_filled_in(node)).collect()
}

/// Whether the copy of a Secret that kubectl has left has values in plaintext; one that cannot be read counts as such.
fn holds_values(document: &dyn Document, annotation: NodeId) -> bool {
    let tree = document.tree();
    let copy = tree[tree.resolve(annotation)].text.get(document.source()).trim();
    let copy = SecretBytes::new(copy.as_bytes().to_vec());
    document::parse(Format::Json, copy, true).map_or(true, |copy| {
        let mut seen = kubernetes::Seen::default();
        kubernetes::secrets(&*copy).iter().any(|secret| !clear_values(&*copy, secret, &mut seen).is_empty())
    })
}

/// The path of a node as we show it: for a long one, the beginning and the end.
fn path_of(document: &dyn Document, node: NodeId) -> String {
    let path = document.tree().path_of(document.source(), node);
    let begin = path.char_indices().nth(MOST_OF_PATH).map(|(at, _)| at);
    let end = path.char_indices().rev().nth(MOST_OF_PATH - 1).map(|(at, _)| at);
    match begin.zip(end).filter(|(begin, end)| begin < end) {
        Some((begin, end)) => format!("{}...{}", &path[..begin], &path[end..]),
        None => path,
    }
}

fn line_of(document: &dyn Document, lines: &Lines, node: NodeId) -> usize {
    let node = &document.tree()[node];
    let span = if node.key_span.is_empty() { node.span } else { node.key_span };
    lines.of_offset(span.start())
}

fn line_of_metadata(view: &View<'_>) -> usize {
    line_of_metadata_in(view.document, view.lines)
}

fn line_of_metadata_in(document: &dyn Document, lines: &Lines) -> usize {
    let tree = document.tree();
    let mut entries = tree.documents().iter().flat_map(|&root| tree.entries(root));
    entries.find(|&entry| document.is_metadata(entry)).map_or(1, |entry| line_of(document, lines, entry))
}

/// A rule's name in messages, without the folder of its config.
fn shown(policy: &Policy) -> String {
    let file = policy.rule.file.file_name().unwrap_or_default().to_string_lossy();
    format!("{file}:{}", policy.rule.line)
}

fn told(change: &Change, holder: KeyedPart<'_>, policy: &Policy) -> String {
    let list = |keys: Vec<String>| keys.join(", ");
    let of = |pick: fn(&crate::rekey::GroupChange) -> &Vec<crate::keys::MasterKey>| {
        let named = |key: &crate::keys::MasterKey| policy.names.beside(key.id(), key.to_string());
        list(change.groups.iter().flat_map(pick).map(named).collect())
    };
    let (missing, strange) = (of(|group| &group.added), of(|group| &group.removed));
    let what = match holder {
        KeyedPart::Document(_) => "has other recipients than",
        KeyedPart::Sealed(_) => "the SealedSecret has other recipients than",
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
        message += ": it needs keys from a different number of groups";
    }
    message
}

#[cfg(test)]
mod tests;
