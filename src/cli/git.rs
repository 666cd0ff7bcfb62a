mod merge;
mod textconv;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Context;
use crate::error::Result;

/// What Git calls: show encrypted files in diffs, merge them
///
/// Both are started by Git, so they ask for nothing, start no plugins, and of Vault servers ask only those that you have
/// named (VAULT_ADDR, SOPS_HC_VAULT_ALLOWLIST, your own config).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  git config diff.sealant.textconv 'sealant git textconv'
  git config merge.sealant.driver 'sealant git merge %O %A %B --marker-size %L --path %P'
  echo '*.yaml diff=sealant merge=sealant' >> .gitattributes")]
pub struct Args {
    #[command(subcommand)]
    command: GitCommand,
}

#[derive(Debug, Subcommand)]
enum GitCommand {
    Textconv(textconv::Args),
    Merge(merge::Args),
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        GitCommand::Textconv(args) => textconv::run(&args, context),
        GitCommand::Merge(args) => Ok(merge::run(&args, context)),
    }
}
