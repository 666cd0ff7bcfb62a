use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Run a command that reads a file decrypted, without leaving it on disk
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant exec-file kubeconfig.enc.yaml 'kubectl --kubeconfig {} get pods'
  sealant exec-file --no-fifo --filename app.json app.enc.json 'server --config {}'")]
pub struct Args {
    /// The encrypted file
    file: PathBuf,

    /// What to run, a line for /bin/sh in which {} stands for the path of the decrypted file
    command: String,

    /// Use a file in memory instead of a pipe, for programs that read it twice
    #[arg(long)]
    no_fifo: bool,

    /// Give the decrypted file this name
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,

    /// Run the command as this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("exec-file")
}
