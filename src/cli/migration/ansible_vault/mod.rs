//! Files and values of ansible-vault, opened with its passwords.

mod passwords;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;

use self::passwords::{PasswordArgs, Passwords};
use super::documents::{self, Documents, Encryption, Opened};
use super::{CopyArgs, FileArgs, Origin};
use crate::batch::Source;
use crate::cli::context::Context;
use crate::config::Selection;
use crate::document::{self, Document, Edits, Format, NodeId, NodeKind, Value};
use crate::error::{Error, Kind, Result};
use crate::foreign::ansible_vault::{self, HEADER, Vaulted};
use crate::repo::copies::Foreign;
use crate::secret::SecretBytes;
use crate::sops;

const PROGRAM: &str = "ansible-vault";

/// Convert files and values of ansible-vault to sops files
///
/// Opens whole files, and values with the tag !vault in YAML, and encrypts each file in its place as `sealant encrypt -i` does: for the
/// recipients of its creation rule, or of flags. Comments, order and formatting stay. A file is replaced only after what was
/// written opened to the same values, and if nothing that is encrypted now would be in plaintext. What cannot be migrated is named, and
/// left as it is.
///
/// In a file that was encrypted as a whole, the names of values are readable afterwards, as in any file of sops.
/// docs/terraform-ansible.md says how playbooks read it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate ansible-vault --vault-password-file ~/.vault-pass --dry-run .
  sealant migrate ansible-vault --vault-password-file ~/.vault-pass group_vars/
  sealant migrate ansible-vault --vault-id prod@~/.prod --vault-id dev@~/.dev .
  sealant migrate ansible-vault --vault-id prod@<(./pass-script) host_vars/")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    copies: CopyArgs,

    #[command(flatten)]
    passwords: PasswordArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let passwords = Passwords::new(&args.passwords, context)?;
    documents::run(&AnsibleVault { passwords, args: args.passwords }, &args.files, args.copies, context)
}

struct AnsibleVault {
    passwords: Passwords,
    args: PasswordArgs,
}

impl Origin for AnsibleVault {
    fn named(&self) -> &'static str {
        "ciphertext of ansible-vault"
    }

    fn command(&self) -> String {
        format!("sealant migrate ansible-vault{}", self.args.typed())
    }
}

impl Documents for AnsibleVault {
    fn open(&self, source: &Source) -> Result<Option<Opened>> {
        if source.bytes.starts_with(HEADER.as_bytes()) {
            let vaulted = Vaulted::parse(&source.bytes)?;
            let plaintext = self.passwords.open(&vaulted)?;
            let ciphertexts = Foreign::of_program(PROGRAM, [(1, vaulted.content())]);
            return Ok(Some(Opened { plaintext, was: Encryption::Whole, ciphertexts }));
        }
        if source.format != Format::Yaml || !ansible_vault::may_be_in(&source.bytes) {
            return Ok(None);
        }
        let document = document::parse(Format::Yaml, source.bytes.clone(), false)?;
        let values = values_of(&*document);
        if values.is_empty() { Ok(None) } else { self.open_values(&*document, values).map(Some) }
    }
}

impl AnsibleVault {
    /// Puts plaintexts in the places of values. All have to open: what is left would be encrypted once more.
    fn open_values(&self, document: &dyn Document, values: Vec<NodeId>) -> Result<Opened> {
        let (mut edits, mut plaintexts, mut ciphertexts) = (Edits::default(), HashMap::new(), Vec::new());
        for node in values {
            let line = document.line(node);
            let mut open = || {
                let text = document.value(node)?;
                let vaulted = Vaulted::parse(text.as_str().unwrap_or_default().as_bytes())?;
                let value = Value::Str(self.passwords.open(&vaulted)?);
                if value.as_str().is_none() {
                    return Err(Error::new(Kind::Emit, "what is encrypted is no text in UTF-8"));
                }
                edits.merge(document.put_value(node, &value)?);
                plaintexts.insert(node, value);
                ciphertexts.push((line, vaulted.content()));
                Ok(())
            };
            open().map_err(|error| error.on_line(line))?;
        }
        let text = edits.apply(document.source());
        let plaintext = SecretBytes::new(text.as_bytes().to_vec());
        prove(document, &*document::parse(Format::Yaml, plaintext.clone(), false)?, &plaintexts)?;
        let mut paths = HashSet::new();
        sops::for_each_leaf(document, &Selection::default(), &mut |leaf| {
            if plaintexts.contains_key(&leaf.node) {
                paths.insert(leaf.path.to_owned());
            }
            Ok(())
        })?;
        let ciphertexts = Foreign::of_program(PROGRAM, ciphertexts);
        Ok(Opened { plaintext, was: Encryption::Values(paths), ciphertexts })
    }
}

/// The values of a document that ansible decrypts: scalars with its tag.
fn values_of(document: &dyn Document) -> Vec<NodeId> {
    let tree = document.tree();
    let is_vaulted = |node: &NodeId| {
        let spelled = document.source().get(tree[*node].span.range()).unwrap_or_default();
        tree[*node].kind == NodeKind::Scalar
            && spelled.starts_with("!vault")
            && document
                .value(*node)
                .is_ok_and(|value| value.as_str().is_some_and(|text| text.trim_start().starts_with(HEADER)))
    };
    nodes_of(document).filter(is_vaulted).collect()
}

fn nodes_of(document: &dyn Document) -> impl Iterator<Item = NodeId> {
    let tree = document.tree();
    tree.documents().iter().flat_map(|root| tree.descendants(*root))
}

/// An error unless a document with plaintexts says the same as the one before, but for these.
fn prove(before: &dyn Document, after: &dyn Document, plaintexts: &HashMap<NodeId, Value>) -> Result<()> {
    let scalars = |document: &dyn Document| -> Vec<NodeId> {
        nodes_of(document).filter(|node| document.tree()[*node].kind == NodeKind::Scalar).collect()
    };
    let (old, new) = (scalars(before), scalars(after));
    let key =
        |document: &dyn Document, node: NodeId| document.tree()[node].key.get(document.source()).to_owned();
    let mut is_same = old.len() == new.len();
    for (old, new) in old.into_iter().zip(new) {
        let expected = plaintexts.get(&old).cloned().map_or_else(|| before.value(old), Ok)?;
        is_same &= sops::digest(&after.value(new)?) == sops::digest(&expected);
        is_same &= key(before, old) == key(after, new);
    }
    match is_same {
        true => Ok(()),
        false => Err(Error::new(Kind::Emit, "its values cannot be put in the places of the ciphertexts")
            .advise("Decrypt them with ansible-vault, and write them there in an editor.")),
    }
}
