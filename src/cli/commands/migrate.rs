use std::ffi::OsString;
use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::context::Context;
#[cfg(feature = "bitnami")]
use crate::cli::migration::sealed_secrets;
use crate::cli::migration::{ansible_vault, secrets};
use crate::error::{Error, Kind, Result};

/// Convert files of other programs, and plaintext Secrets
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate sealed-secrets --key ~/keys.yaml --dry-run apps/
  sealant migrate ansible-vault --vault-password-file ~/.vault-pass group_vars/
  sealant migrate secrets --dry-run .
  sealant migrate git-crypt      # how, by hand")]
pub struct Args {
    #[command(subcommand)]
    source: Source,
}

/// What there is to migrate from: a line for each.
#[derive(Debug, Subcommand)]
enum Source {
    #[cfg(feature = "bitnami")]
    SealedSecrets(Box<sealed_secrets::Args>),
    AnsibleVault(Box<ansible_vault::Args>),
    Secrets(Box<secrets::Args>),
    /// Show how to move from sops (nothing to convert)
    Sops(ByHand),
    /// Say how to move from KSOPS
    Ksops(ByHand),
    /// Say how to move from the SopsSecrets of an operator
    SopsSecret(ByHand),
    /// Say how to move from git-crypt
    GitCrypt(ByHand),
    /// Say how to move from dotenvx
    Dotenvx(ByHand),
}

/// What is not migrated by this command.
#[derive(Debug, clap::Args)]
struct ByHand {
    /// Ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    args: Vec<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let (what, how) = match args.source {
        #[cfg(feature = "bitnami")]
        Source::SealedSecrets(args) => return sealed_secrets::run(*args, context),
        Source::AnsibleVault(args) => return ansible_vault::run(*args, context),
        Source::Secrets(args) => return secrets::run(*args, context),
        Source::Sops(_) => (
            "files of sops need no migration",
            "Both programs read and write the same files. See what is there: `sealant status`.",
        ),
        Source::Ksops(_) => (
            "generators of KSOPS need no migration",
            "Their files are those of sops. Let `sealant ksops` take the place of ksops (docs/kustomize.md); or, for the \
             controller, `sealant decrypt secret.enc.yaml | sealant seal --output secret.yaml`.",
        ),
        Source::SopsSecret(_) => (
            "SopsSecrets are not migrated by a command yet",
            "Seal the Secrets that the operator has made: `kubectl get secret NAME -n NAMESPACE -o yaml | sealant seal --output \
             NAME.yaml`. Then `kubectl delete sopssecret NAME -n NAMESPACE --cascade=orphan`, `kubectl annotate secret NAME -n \
             NAMESPACE sealant.dev/adopt=true`, and apply the new file.",
        ),
        Source::GitCrypt(_) => (
            "files of git-crypt are not migrated by a command yet",
            "With `git-crypt unlock` they are in plaintext: take the lines with filter=git-crypt out of .gitattributes, and \
             `sealant encrypt -i` each file. docs/moving-over.md has all steps.",
        ),
        Source::Dotenvx(_) => (
            "files of dotenvx are not migrated by a command yet",
            "For each file: `dotenvx decrypt --stdout -f .env | grep -v DOTENV_PUBLIC_KEY | sealant encrypt --input-type dotenv \
             --filename-override .env > NEW`, then put NEW in its place.",
        ),
    };
    Err(Error::new(Kind::Other, what).advise(how))
}
