use std::process::ExitCode;

use crate::cli::args::{FormatArgs, InputArgs, KeyArgs, OutputArgs, RuleArgs};
use crate::cli::{Context, Failures, not_built};
use crate::error::Result;

/// Encrypt the values of files; everything else stays byte for byte
///
/// Who can decrypt, and which values are encrypted, is said by the creation rule of the file (`sealant explain FILE`),
/// or by flags, which go before it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant encrypt --age age1... secrets.yaml > secrets.enc.yaml
  sealant encrypt -i secrets/
  kubectl create secret generic db --from-literal=password=x --dry-run=client -o yaml \\
    | sealant encrypt --filename-override secrets/db.yaml - > secrets/db.yaml")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    #[command(flatten)]
    outputs: OutputArgs,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    rules: RuleArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let inputs = args.inputs.inputs()?;
    let mut failures = Failures::default();
    inputs.errors.iter().for_each(|error| failures.add(context.ui, error));
    let _destination = args.outputs.destination(&inputs)?;
    let _formats = args.formats.formats(context.ui);
    let _keys = args.keys.key_set(context.host)?;
    let _selection = args.rules.selection()?;
    not_built("encrypt")
}
