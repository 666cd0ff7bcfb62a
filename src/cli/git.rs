pub(super) mod install;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Context;
use crate::error::Result;

/// Let Git show, merge and guard secrets
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
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Install(args) => install::run(args, context),
    }
}
