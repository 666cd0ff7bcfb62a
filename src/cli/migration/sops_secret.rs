//! SopsSecrets of isindir's operator: a list of Secrets in an object, encrypted with sops under `spec.secretTemplates`.
//!
//! Format: the operator's `api/v1alpha3/sopssecret_types.go`, and `createKubeSecretFromTemplate` of its controller: an entry is a Secret
//! of the object's namespace, whose `data` is base64 and wins over `stringData`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use memchr::memmem;

use super::files::{self, Files, OpenedParts, Opener};
use super::ours::Ours;
use super::sealing::Opened;
use super::{BoundArgs, CopyArgs, FileArgs, Origin};
use crate::batch::{self, Source};
use crate::cli::context::{Context, block_on};
use crate::document::{self, Document, NodeId, NodeKind, to_data};
use crate::encrypted_file::EncryptedFile;
use crate::error::{Error, Kind, Result};
use crate::sealed_secret::{OF_CLUSTER, Scope, Secret, objects_where};
use crate::shown::typed;
use crate::sops::{self, MacCheck};

const GROUP: &str = "isindir.github.com";
const OBJECT: &str = "SopsSecret";
const VERSION: &str = "isindir.github.com/v1alpha3";

/// Convert SopsSecrets of isindir's operator to SealedSecrets
///
/// Opens each with your identities, as `sealant decrypt` does, and seals every Secret that it lists for the recipients of
/// the file's creation rule, or of flags: among them has to be the cluster's (`sealant fetch-recipient`). The
/// SealedSecrets take the place of the whole file, which is replaced only after what was written opened to the same values. Names,
/// labels and annotations of the Secrets, which a SopsSecret encrypts, can be read afterwards.
///
/// This changes files, and nothing in the cluster. docs/moving-over.md has the steps there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate sops-secret --dry-run apps/
  sealant migrate sops-secret apps/shop/secrets.yaml
  sealant migrate sops-secret --namespace shop apps/shop/base/")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    copies: CopyArgs,

    #[command(flatten)]
    bound: BoundArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let origin = SopsSecrets { bound: args.bound };
    files::run(&origin, &args.files, args.copies, context)
}

struct SopsSecrets {
    bound: BoundArgs,
}

impl Origin for SopsSecrets {
    fn named(&self) -> &'static str {
        "SopsSecret of isindir.github.com"
    }

    fn command(&self) -> String {
        "sealant migrate sops-secret".to_owned()
    }
}

impl Files for SopsSecrets {
    fn may_be(&self, bytes: &[u8]) -> bool {
        memmem::find(bytes, GROUP.as_bytes()).is_some()
    }

    fn is(&self, document: &dyn Document) -> Result<bool> {
        let found = objects(document);
        let Some(&first) = found.first() else { return Ok(false) };
        let refuse = |why: &str, advice: &str| {
            Err(Error::new(Kind::Other, why).on_line(document.line(first)).advise(advice))
        };
        let (tree, source) = (document.tree(), document.source());
        if tree.documents().iter().any(|root| !found.contains(root)) {
            return refuse(
                "a SopsSecret is in one file with other objects",
                "Move it to a file of its own: `sealant decrypt -i FILE`, part them, and encrypt each.",
            );
        }
        let version = |node: NodeId| {
            let entry = tree.entry(source, node, "apiVersion").map(|entry| tree.resolve(entry));
            entry.map_or("", |entry| tree[entry].text.get(source))
        };
        if found.iter().any(|node| version(*node) != VERSION) {
            return refuse(
                "only v1alpha3 of SopsSecrets is migrated",
                "Bring it to v1alpha3 first, as the operator's page about upgrades of its API says.",
            );
        }
        if !sops::is_encrypted(document) {
            return refuse(
                "this SopsSecret is not encrypted",
                "Encrypt it first: `sealant encrypt -i FILE`; what is in a commit already has to be changed.",
            );
        }
        Ok(true)
    }

    fn parts(&self, source: &Source, _: &Path, _: Opener<'_>) -> Result<Vec<EncryptedFile>> {
        Ok(vec![EncryptedFile::parse(source.format, source.bytes.clone())?])
    }

    fn open(&self, source: Source, path: &Path, opener: Opener<'_>) -> Result<OpenedParts> {
        let opened = block_on(batch::open_document(opener.service, source))?;
        let plain = opened.file.decrypt(&opened.key, MacCheck::Verify)?;
        let shown = path.display();
        plain.warnings.iter().for_each(|warning| opener.context.ui.warning(format!("{shown}: {warning}")));
        let document = document::parse(opened.file.format(), plain.bytes, false)?;
        let mut all = Vec::new();
        for node in objects(&*document) {
            let object = Object { document: &*document, node };
            let entries = object.entries()?;
            let namespace = object.namespace().or_else(|| self.bound.namespace.clone());
            let mut left_out = object.left_out()?;
            for entry in entries {
                let of_entry = self.secret(&*document, entry, namespace.as_deref(), path);
                let opened = of_entry.map(|ours| Opened { ours, left_out: std::mem::take(&mut left_out) });
                all.push(opened.map_err(|error| error.on_line(document.line(entry))));
            }
        }
        Ok(OpenedParts { objects: all, keys: vec![opened.key] })
    }

    fn finish(&self, done: &[PathBuf], context: &Context) -> Result<()> {
        if !done.is_empty() {
            context.ui.note(
                "in the cluster, before these files are applied: `kubectl delete sopssecret NAME -n NAMESPACE \
                 --cascade=orphan`, and for each Secret `kubectl annotate secret NAME -n NAMESPACE sealant.dev/adopt=true`",
            );
        }
        Ok(())
    }
}

impl SopsSecrets {
    fn secret(
        &self,
        document: &dyn Document,
        entry: NodeId,
        namespace: Option<&str>,
        path: &Path,
    ) -> Result<Ours> {
        let mut secret = Secret::read_entry(document, entry)?;
        let name = secret.name.clone();
        if name.is_empty() {
            return Err(Error::new(Kind::Other, "an entry of secretTemplates has no name"));
        }
        if namespace.is_none() && self.bound.scope != Scope::Cluster {
            return Err(Error::new(
                Kind::Other,
                "its SopsSecret has no namespace, and its values are bound to one",
            )
            .about(format!("Secret {name}"))
            .advise(format!("Name it: `{} --namespace NAME {}`.", self.command(), typed(path))));
        }
        secret.namespace = namespace.map(str::to_owned);
        Ours::of(secret, self.bound.scope).map_err(|error| error.about(format!("Secret {name}")))
    }
}

fn objects(document: &dyn Document) -> Vec<NodeId> {
    let is_meant = |kind: &str, version: &str| {
        kind == OBJECT && version.split_once('/').is_some_and(|(group, _)| group == GROUP)
    };
    objects_where(document, &is_meant)
}

/// One of them, in plaintext.
struct Object<'d> {
    document: &'d dyn Document,
    node: NodeId,
}

impl Object<'_> {
    fn field(&self, of: NodeId, key: &str) -> Option<NodeId> {
        let tree = self.document.tree();
        tree.entry(self.document.source(), tree.resolve(of), key).map(|entry| tree.resolve(entry))
    }

    fn namespace(&self) -> Option<String> {
        let namespace = self.field(self.field(self.node, "metadata")?, "namespace")?;
        let text = self.document.tree()[namespace].text.get(self.document.source());
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    /// The Secrets that it lists.
    fn entries(&self) -> Result<Vec<NodeId>> {
        let tree = self.document.tree();
        let list = self.field(self.node, "spec").and_then(|spec| self.field(spec, "secretTemplates"));
        match list.filter(|list| tree[*list].kind == NodeKind::List) {
            Some(list) => Ok(tree.entries(list).collect()),
            None => Err(Error::new(Kind::Read, "it has no list spec.secretTemplates")
                .on_line(self.document.line(self.node))),
        }
    }

    /// What it has besides.
    fn left_out(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let tree = self.document.tree();
        let fields = [("metadata", &["name", "namespace"][..]), ("spec", &["secretTemplates"][..])];
        for (part, known) in fields {
            for entry in self.field(self.node, part).into_iter().flat_map(|map| tree.entries(map)) {
                let key = tree[entry].key.get(self.document.source());
                let is_of_cluster = part == "metadata" && OF_CLUSTER.contains(&key);
                if !known.contains(&key) && !is_of_cluster && !to_data(self.document, entry)?.is_null() {
                    found.push(format!("{part}.{key} of the SopsSecret"));
                }
            }
        }
        if tree.descendants(self.node).any(|node| tree[node].kind == NodeKind::Comment) {
            found.push("what comments of the SopsSecret say".to_owned());
        }
        Ok(found)
    }
}
