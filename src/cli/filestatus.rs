use std::process::ExitCode;

use crate::cli::args::{FormatArgs, InputArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Say as JSON whether files are encrypted; no key is needed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant filestatus secrets.enc.yaml
  sealant filestatus secrets.enc.yaml | jq .encrypted")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    #[command(flatten)]
    formats: FormatArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("filestatus")
}
