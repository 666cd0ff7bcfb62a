use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Run a command with the values of a file in its environment
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant exec-env app.enc.env 'npm start'
  sealant exec-env --pristine app.enc.env env")]
pub struct Args {
    /// The encrypted file
    file: PathBuf,

    /// What to run, a line for /bin/sh
    command: String,

    /// Give the command no other environment
    #[arg(long)]
    pristine: bool,

    /// Become the command instead of starting it
    #[arg(long)]
    same_process: bool,

    /// Run the command as this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("exec-env")
}
