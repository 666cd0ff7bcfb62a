use std::process::ExitCode;

use crate::cli::{Context, not_built};
use crate::error::Result;

/// Todo
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sealant explain")]
pub struct Args {
    file: String,
}

pub fn run(args: Args, _: &Context) -> Result<ExitCode> {
    let _ = args.file;
    not_built("explain")
}
