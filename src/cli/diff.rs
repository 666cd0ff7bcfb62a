use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs, ReportArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Show which values differ between two files, encrypted or not
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant diff old.enc.yaml new.enc.yaml
  sealant diff secrets.yaml secrets.enc.yaml

The exit code is 0 when nothing differs, 1 when something does, another one when the files could not be read.")]
pub struct Args {
    /// The file before
    old: PathBuf,

    /// The file after
    new: PathBuf,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("diff")
}
