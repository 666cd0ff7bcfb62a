use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs, InputArgs, OutputArgs};
use crate::cli::{Context, Failures, not_built};
use crate::error::Result;

/// Decrypt files, byte for byte as they were
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant decrypt secrets.enc.yaml
  sealant decrypt --extract '[\"database\"][\"password\"]' secrets.enc.yaml
  sealant decrypt --output-dir /run/user/1000/plain secrets/")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// Print only the value at this path, '["a"][0]' for instance
    #[arg(long, value_name = "PATH")]
    extract: Option<String>,

    /// Go on when the file is not what was encrypted
    #[arg(long)]
    ignore_mac: bool,

    #[command(flatten)]
    outputs: OutputArgs,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let inputs = args.inputs.inputs()?;
    let mut failures = Failures::default();
    inputs.errors.iter().for_each(|error| failures.add(context.ui, error));
    let _destination = args.outputs.destination(&inputs)?;
    let _formats = args.formats.formats(context.ui);
    let _service = args.identities.key_service(context.host)?;
    let _ = (args.extract, args.ignore_mac);
    not_built("decrypt")
}
