pub mod install;
pub mod merge;
mod textconv;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::error::Result;

/// Set up Git to show and merge secrets, and guard commits
///
/// `install` is for you; Git runs the others: they ask no questions, start no plugins, and contact only Vault servers
/// that you have named (VAULT_ADDR, SOPS_HC_VAULT_ALLOWLIST, your own config).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant git install
  sealant git install --uninstall")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Install(install::Args),
    Textconv(textconv::Args),
    Merge(merge::Args),
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Install(args) => install::run(args, context),
        Command::Textconv(args) => textconv::run(&args, context),
        Command::Merge(args) => Ok(merge::run(&args, context)),
    }
}
