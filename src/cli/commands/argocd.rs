use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::args::{IdentityArgs, Input};
use crate::cli::context::{Context, block_on};
use crate::document::MAX_SOURCE;
use crate::error::Result;
use crate::integrations::Place;
use crate::integrations::argocd::{self, Options, Parameters, Run};
use crate::keys::StartedBy;

const DECRYPTS: &str = "--decrypt: Argo CD gets plaintext, keeps it in its cache and shows it to everyone who can \
                        query its repo-server; SealedSecrets avoid that";

/// Deploy SealedSecrets with Argo CD, as its plugin
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant argocd generate apps/shop       # what Argo CD would get
  kustomize build apps/shop | sealant argocd generate -
  sealant argocd discover apps/shop")]
pub struct Args {
    #[command(subcommand)]
    command: ArgocdCommand,
}

#[derive(Debug, Subcommand)]
enum ArgocdCommand {
    Generate(GenerateArgs),
    /// Print a sealed or encrypted file of the application, if any: that makes Argo CD use the plugin
    Discover(FolderArgs),
    /// Print the parameters of applications, as JSON
    Parameters(FolderArgs),
}

/// Print an application's manifests; fail if no controller could open something in them
///
/// A folder with a kustomization goes through `kustomize build`, and one with a chart through `helm template`; in any
/// other, manifests are read. SealedSecrets are printed unchanged. Anything encrypted with sops is refused: no key is
/// needed here, and there should be none. It prints everything or nothing, and an application without objects is an
/// error.
///
/// An application describes itself with its parameters `source`, `recurse`, `release-name` and `value-files`. The
/// flags here are for plugin.yaml: no parameter and no variable of an application can set them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant argocd generate
  sealant argocd generate --helm-arg=--skip-tests charts/shop
  kustomize build . | sealant argocd generate -")]
struct GenerateArgs {
    /// The application's folder, or `-` for manifests on standard input
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,

    /// Decrypt sops files with the identities that are available; Argo CD gets the plaintext
    #[arg(long)]
    decrypt: bool,

    /// Allow an application without objects: with pruning, Argo CD then deletes all that it had
    #[arg(long)]
    allow_empty: bool,

    /// Also pass this argument to kustomize; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    kustomize_arg: Vec<OsString>,

    /// Also pass this argument to helm; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    helm_arg: Vec<OsString>,

    /// Pass this environment variable to kustomize and helm; may be repeated
    #[arg(long, value_name = "NAME")]
    pass_env: Vec<String>,

    #[command(flatten)]
    identities: IdentityArgs,
}

/// Whose folder.
#[derive(Debug, clap::Args)]
struct FolderArgs {
    /// The application's folder
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        ArgocdCommand::Generate(args) => generate(args, context)?,
        ArgocdCommand::Discover(FolderArgs { folder }) => {
            if let Some(file) = argocd::discover(&place(&folder, context)?) {
                context.ui.line(file.display())?;
            }
        }
        ArgocdCommand::Parameters(FolderArgs { folder }) => {
            context.ui.json(&argocd::announcements(&place(&folder, context)?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn place(folder: &Path, context: &Context) -> Result<Place> {
    Place::of(folder, context.host).map(Place::closed)
}

fn generate(args: GenerateArgs, context: &Context) -> Result<()> {
    // Argo CD starts us, so we prompt nobody, and contact only allowed servers.
    let host = context.host.asking_nobody();
    let service = args.identities.key_service_of(&host, StartedBy::Program)?;
    let is_stdin = args.folder == Path::new("-");
    let place = place(if is_stdin { Path::new(".") } else { &args.folder }, context)?;
    let options = Options {
        decrypt: args.decrypt,
        allow_empty: args.allow_empty,
        kustomize_args: args.kustomize_arg,
        helm_args: args.helm_arg,
        pass_env: args.pass_env,
    };
    if options.decrypt {
        context.ui.warning(DECRYPTS);
    }
    let parameters = Parameters::of(&host)?;
    let run =
        Run { place: &place, options: &options, parameters: &parameters, host: &host, service: &service };
    let generated = match is_stdin {
        true => block_on(run.manifests(Input::of(&args.folder).read(MAX_SOURCE)?))?,
        false => block_on(run.folder())?,
    };
    generated.notes.iter().for_each(|note| context.ui.note(note));
    context.ui.out(&generated.manifests)
}
