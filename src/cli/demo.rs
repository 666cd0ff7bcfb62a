use std::process::ExitCode;

use crate::cli::{Context, not_built};
use crate::error::Result;

/// Show in a minute what sealant does, in a folder of its own
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant demo")]
pub struct Args {}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("demo")
}
