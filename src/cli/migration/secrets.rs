//! Secrets in plaintext. Everybody who has a clone has what they said so far, which is told.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use memchr::memmem;

use super::objects::{self, Objects};
use super::ours::Ours;
use super::sealing::Opened;
use super::{BoundArgs, CopyArgs, FileArgs, Origin, past};
use crate::cli::context::Context;
use crate::cli::manifests;
use crate::document::{Document, Format, NodeId};
use crate::error::{Error, Kind, Result};
use crate::sealed_secret::{self, Scope, Secret};
use crate::secret::SecretBytes;
use crate::shown::typed;
use crate::sops;

/// Convert plaintext Secrets to SealedSecrets, in place
///
/// Seals each Secret for the recipients of the file's creation rule, or of flags. Labels, annotations, and comments around a Secret stay,
/// and so does everything else in a file, other objects among it. A file is replaced only after what was written
/// opened to the same values.
///
/// Git's history keeps the plaintext: this says which files have some there, and since when. Change those values.
///
/// Sealant's controller makes the Secrets in the cluster. If they are there already, let it take them over:
/// `kubectl annotate secret NAME -n NAMESPACE sealant.dev/adopt=true`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate secrets --dry-run .
  sealant migrate secrets apps/
  sealant migrate secrets --namespace shop apps/shop/base/")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    copies: CopyArgs,

    #[command(flatten)]
    bound: BoundArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let origin = Secrets { bound: args.bound };
    objects::run(&origin, &args.files, args.copies, context)
}

struct Secrets {
    bound: BoundArgs,
}

impl Origin for Secrets {
    fn named(&self) -> &'static str {
        "Secret in plaintext"
    }

    fn command(&self) -> String {
        "sealant migrate secrets".to_owned()
    }

    fn is_plaintext(&self) -> bool {
        true
    }
}

impl Objects for Secrets {
    fn may_be_in(&self, bytes: &[u8]) -> bool {
        let is_kind = |at: usize| {
            let between = |byte: &u8| matches!(byte, b'"' | b'\'' | b':' | b' ' | b'\t' | b'\r' | b'\n');
            let before = &bytes[..at];
            let end = before.iter().rposition(|byte| !between(byte)).map_or(0, |last| last + 1);
            before[..end].ends_with(b"kind")
        };
        memmem::find_iter(bytes, b"Secret").any(is_kind)
    }

    fn objects(&self, document: &dyn Document) -> Vec<NodeId> {
        in_plaintext(document)
    }

    fn open(&self, document: &dyn Document, object: NodeId, path: &Path) -> Result<Opened> {
        if kind(document, object) == SECRET_LIST {
            return Err(Error::new(Kind::Other, "a SecretList cannot hold SealedSecrets")
                .advise("Change its kind to List, and give each item `apiVersion: v1` and `kind: Secret`."));
        }
        let mut secret = Secret::read(document, object)?;
        refuse_made(&secret)?;
        if secret.namespace.as_deref().unwrap_or_default().is_empty() {
            secret.namespace.clone_from(&self.bound.namespace);
        }
        let name = secret.name.clone();
        if secret.namespace.is_none() && self.bound.scope != Scope::Cluster {
            return Err(Error::new(Kind::Other, "it has no namespace, and its values are bound to one")
                .about(format!("Secret {name}"))
                .advise(format!(
                    "Set metadata.namespace, or name it: `{} --namespace NAME {}`.",
                    self.command(),
                    typed(path)
                )));
        }
        let ours =
            Ours::of(secret, self.bound.scope).map_err(|error| error.about(format!("Secret {name}")))?;
        Ok(Opened { ours, left_out: Vec::new() })
    }

    fn leaves_sops(&self) -> bool {
        true
    }

    fn tell(&self, files: &[PathBuf], context: &Context) {
        past::tell(files, &is_plaintext, context);
    }
}

const SECRET_LIST: &str = "SecretList";

/// Types of Secrets whose values somebody else makes, and would get back as they once were.
const MADE: [(&str, &str, &str); 2] = [
    (
        "kubernetes.io/service-account-token",
        "the cluster makes its values",
        "Take its `data` out of the file: the cluster fills in a new token. To make the old one worthless, which can be read in \
         the file, delete the Secret in the cluster.",
    ),
    (
        "helm.sh/release.v1",
        "Helm keeps a release in it",
        "Take it out of the file: Helm writes it when it installs.",
    ),
];

fn refuse_made(Secret { name, kind, .. }: &Secret) -> Result<()> {
    match MADE.iter().find(|(made, ..)| kind.as_deref() == Some(*made)) {
        None => Ok(()),
        Some((kind, why, advice)) => {
            let message = format!("Secret {name}: it is of type {kind}: {why}, so it is not sealed");
            Err(Error::new(Kind::Other, message).advise(*advice))
        }
    }
}

/// The Secrets of a document that have values.
fn in_plaintext(document: &dyn Document) -> Vec<NodeId> {
    let (tree, source) = (document.tree(), document.source());
    let has_any = |node: NodeId, field: &str| {
        let entry = tree.entry(source, tree.resolve(node), field);
        entry.is_some_and(|entry| tree.entries(tree.resolve(entry)).next().is_some())
    };
    let is_meant = |kind: &str, version: &str| version == "v1" && matches!(kind, "Secret" | SECRET_LIST);
    let mut found = sealed_secret::objects_where(document, &is_meant);
    found.retain(|node| ["data", "stringData", "items"].iter().any(|field| has_any(*node, field)));
    found
}

fn kind(document: &dyn Document, object: NodeId) -> &str {
    let (tree, source) = (document.tree(), document.source());
    let entry = tree.entry(source, tree.resolve(object), "kind");
    entry.map_or("", |entry| tree[tree.resolve(entry)].text.get(source))
}

/// Whether a version of a file has Secrets in plaintext.
fn is_plaintext(format: Format, bytes: SecretBytes) -> bool {
    let Some(format) = manifests::format_in(format, &bytes) else { return false };
    let documents = manifests::parse(format, bytes).unwrap_or_default();
    documents.iter().any(|document| !sops::is_encrypted(&**document) && !in_plaintext(&**document).is_empty())
}
