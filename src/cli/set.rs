use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Set one value of an encrypted file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant set secrets.enc.yaml '[\"database\"][\"port\"]' 5432
  sealant set secrets.enc.yaml '[\"name\"]' '\"a text is JSON, in quotes\"'
  pass show db | jq -R | sealant set --value-stdin secrets.enc.yaml '[\"password\"]'
  sealant set --value-file secrets.enc.yaml '[\"users\"]' users.json")]
pub struct Args {
    /// The encrypted file
    file: PathBuf,

    /// The path of the value, '["a"][0]' for instance; what is missing on the way is made
    path: String,

    /// The new value, as JSON. Others on this machine can see it: --value-stdin hides it
    #[arg(required_unless_present = "value_stdin")]
    value: Option<String>,

    /// VALUE is a file that holds the value
    #[arg(long, conflicts_with = "value_stdin")]
    value_file: bool,

    /// Read the value from standard input
    #[arg(long, conflicts_with = "value")]
    value_stdin: bool,

    /// Write nothing when the value is there already
    #[arg(long)]
    idempotent: bool,

    /// Go on when the file is not what was encrypted
    #[arg(long)]
    ignore_mac: bool,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("set")
}
