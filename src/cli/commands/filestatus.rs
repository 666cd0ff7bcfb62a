use std::process::ExitCode;

use rayon::prelude::*;
use serde::Serialize;

use crate::cli::args::{Destination, FormatArgs, InputArgs};
use crate::cli::context::Context;
use crate::cli::pipeline::{Item, Pipeline};
use crate::encrypted_file::{Meant, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::sops;

/// Print as JSON whether files are encrypted; needs no key
///
/// Prints `{"encrypted":true}` or `{"encrypted":false}`; the exit code is 0 in both cases. For several files it
/// prints one line each, with the name under "file".
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant filestatus secrets.enc.yaml
  sealant filestatus secrets.enc.yaml | jq .encrypted
  sealant filestatus secrets/ | jq -r 'select(.encrypted | not).file'")]
pub struct Args {
    #[command(flatten)]
    pub inputs: InputArgs,

    #[command(flatten)]
    pub formats: FormatArgs,
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    encrypted: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let inputs = args.inputs.inputs()?;
    let many = inputs.many;
    let status = |Item { input, source }: Item| {
        let file = many.then(|| input.shown().display().to_string());
        let is_sealed = !context.is_sops() && meant(source.format, &source.bytes) == Some(Meant::Sealed);
        let encrypted = is_sealed || sops::status(source.format, source.bytes)?;
        let status = Status { file, encrypted };
        serde_json::to_string(&status)
            .map_err(|error| Error::new(Kind::Emit, "cannot tell whether it is encrypted").caused_by(error))
    };
    let pipeline = Pipeline {
        context,
        inputs,
        formats: args.formats.input_only(context)?,
        destination: Destination::Stdout,
        dry_run: false,
        mode: Mode::Public,
        doing: "looking at files",
        summary: None,
    };
    pipeline.run(|items| {
        let lines: Vec<Result<String>> = items.into_par_iter().map(status).collect();
        lines.into_iter().map(|line| context.ui.line(line?).map(|()| None.into())).collect()
    })
}
