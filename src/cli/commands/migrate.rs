use std::ffi::OsString;
use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::context::Context;
#[cfg(feature = "bitnami")]
use crate::cli::migration::sealed_secrets;
use crate::cli::migration::{ansible_vault, dotenvx, git_crypt, ksops, secrets, sops_secret};
use crate::error::{Error, Kind, Result};

/// Convert files of other programs, and plaintext Secrets
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate sealed-secrets --key ~/keys.yaml --dry-run apps/
  sealant migrate ansible-vault --vault-password-file ~/.vault-pass group_vars/
  sealant migrate secrets --dry-run .
  sealant migrate git-crypt secrets/")]
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
    SopsSecret(Box<sops_secret::Args>),
    Ksops(Box<ksops::Args>),
    GitCrypt(Box<git_crypt::Args>),
    Dotenvx(Box<dotenvx::Args>),
    /// Nothing to convert: both programs read and write the same files
    Sops(ByHand),
}

/// What is not migrated by this command.
#[derive(Debug, clap::Args)]
struct ByHand {
    /// Ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    args: Vec<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.source {
        #[cfg(feature = "bitnami")]
        Source::SealedSecrets(args) => sealed_secrets::run(*args, context),
        Source::AnsibleVault(args) => ansible_vault::run(*args, context),
        Source::Secrets(args) => secrets::run(*args, context),
        Source::SopsSecret(args) => sops_secret::run(*args, context),
        Source::Ksops(args) => ksops::run(*args, context),
        Source::GitCrypt(args) => git_crypt::run(*args, context),
        Source::Dotenvx(args) => dotenvx::run(*args, context),
        Source::Sops(_) => Err(Error::new(Kind::Other, "files of sops need no migration")
            .advise("Both programs read and write the same files. See what is there: `sealant status`.")),
    }
}
