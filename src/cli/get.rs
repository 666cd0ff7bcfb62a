use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Print one value of an encrypted file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant get secrets.enc.yaml '[\"database\"][\"password\"]'
  sealant get secrets.enc.yaml '[\"hosts\"][0]'")]
pub struct Args {
    /// The encrypted file
    file: PathBuf,

    /// The path of the value, '["a"][0]' for instance
    path: String,

    /// Go on when the file is not what was encrypted
    #[arg(long)]
    ignore_mac: bool,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("get")
}
