use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs, InputArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Let exactly those decrypt files whom the creation rules name
///
/// The data key stays: `sealant rotate` makes a new one, which is what you want when somebody has left.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant updatekeys secrets.enc.yaml
  sealant updatekeys --yes .")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// Do not ask before files are written
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("updatekeys")
}
