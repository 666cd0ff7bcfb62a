//! SealedSecrets of Bitnami's sealed-secrets, opened with the keys of their controller, or by what it has made of them.

mod convert;
mod live;
mod opener;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::opener::Opener;
use super::objects::{self, Objects};
use super::sealing::Opened;
use super::{CopyArgs, FileArgs, Origin};
use crate::bitnami;
use crate::cli::context::Context;
use crate::document::{Document, NodeId};
use crate::error::Result;
use crate::repo::copies::Foreign;
use crate::sealed_secret;
use crate::shown::typed;

/// Convert SealedSecrets of Bitnami's sealed-secrets to Sealant's, in place
///
/// Opens them with the private keys of the controller, and seals their values for the recipients of the file's creation
/// rule, or of flags. Name, namespace, scope, labels, annotations and template stay, and so do comments and everything else in a
/// file. A file is replaced only after what was written opened to the same values. What cannot be migrated is named,
/// and left as it is.
///
/// This changes files, and nothing in the cluster. docs/moving-over.md has the steps there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  (umask 077; kubectl get secrets -n kube-system -o yaml \\
    -l sealedsecrets.bitnami.com/sealed-secrets-key > ~/keys.yaml)
  sealant migrate sealed-secrets --key ~/keys.yaml --dry-run apps/
  sealant migrate sealed-secrets --key ~/keys.yaml apps/
  sealant migrate sealed-secrets --cluster-keys --context prod clusters/prod/
  sealant migrate sealed-secrets --live-secrets apps/db.yaml   # without keys")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    copies: CopyArgs,

    #[command(flatten)]
    opener: OpenerArgs,

    /// The namespace of SealedSecrets that name none
    #[arg(short, long, value_name = "NAME", help_heading = None::<&str>)]
    namespace: Option<String>,
}

/// What opens them.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What opens them")]
pub struct OpenerArgs {
    /// Private keys of the controller: a Secret, a List of Secrets, or a key in PEM; may be repeated
    #[arg(long, value_name = "FILE,...", value_delimiter = ',')]
    key: Vec<String>,

    /// Get the private keys from the cluster, if you may read them there
    #[arg(long)]
    cluster_keys: bool,

    /// Take the values from the Secrets that the controller made, if you have no private key
    #[arg(long, conflicts_with_all = ["key", "cluster_keys"])]
    live_secrets: bool,

    /// Use this kubeconfig [env: KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Use this context of the kubeconfig, instead of the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The namespace of the controller
    #[arg(long, value_name = "NAME", default_value = "kube-system")]
    controller_namespace: String,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let opener = Opener::new(&args.opener, context)?;
    let origin = SealedSecrets { opener, args: args.opener, namespace: args.namespace };
    objects::run(&origin, &args.files, args.copies, context)
}

struct SealedSecrets {
    opener: Opener,
    args: OpenerArgs,
    namespace: Option<String>,
}

impl Origin for SealedSecrets {
    fn named(&self) -> &'static str {
        "SealedSecret of bitnami.com"
    }

    fn command(&self) -> String {
        let mut line = "sealant migrate sealed-secrets".to_owned();
        for key in &self.args.key {
            line += &format!(" --key {}", typed(Path::new(key)));
        }
        for (is_given, flag) in
            [(self.args.cluster_keys, "--cluster-keys"), (self.args.live_secrets, "--live-secrets")]
        {
            line += &if is_given { format!(" {flag}") } else { String::new() };
        }
        line
    }
}

impl Objects for SealedSecrets {
    fn may_be_in(&self, bytes: &[u8]) -> bool {
        // Not by the slash behind it: in JSON that may be escaped.
        bytes.windows(bitnami::GROUP.len()).any(|window| window == bitnami::GROUP.as_bytes())
    }

    fn objects(&self, document: &dyn Document) -> Vec<NodeId> {
        sealed_secret::objects_where(document, &bitnami::is_theirs)
    }

    fn open(&self, document: &dyn Document, object: NodeId, path: &Path) -> Result<Opened> {
        let namespace = self.namespace.as_deref();
        let again = |flag: &str| format!("{} {flag} {}", self.command(), typed(path));
        convert::opened(document, object, namespace, &self.opener, &again)
    }

    fn ciphertexts(&self, document: &dyn Document) -> Foreign {
        Foreign::in_document(document)
    }
}
