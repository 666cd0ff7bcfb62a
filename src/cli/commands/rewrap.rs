use std::process::ExitCode;

use serde::Serialize;

use crate::batch;
use crate::cli::args::{Destination, FormatArgs, IdentityArgs, InputArgs, ReportArgs};
use crate::cli::context::{Context, block_on};
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, Output, Pipeline, encrypted_or_named, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::rekey;
use crate::secret::SecretBytes;

/// Move files to the newest version of their Vault transit keys
///
/// After `vault write -f transit/keys/NAME/rotate`. Vault does the work: no data key or value comes here, and a token
/// that may only `rewrap` is enough. Values and the entries of age recipients stay the same, byte for byte. A whole
/// repository takes a few requests.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant rewrap .
  sealant rewrap --dry-run secrets/
  sealant status .          # which files are behind")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

/// What became of a file.
#[derive(Serialize)]
struct Done {
    file: String,
    rewrapped: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if args.inputs.takes_stdin() {
        return Err(Error::new(Kind::Usage, "rewrap changes files in place, and no file was named")
            .advise("Name files or folders, as in `sealant rewrap .`"));
    }
    let inputs = inputs_to_write(&args.inputs, context)?;
    let service = args.identities.key_service(context)?;
    let pipeline = Pipeline {
        context,
        inputs,
        formats: args.formats.input_only(context)?,
        destination: Destination::InPlace,
        dry_run: args.dry_run,
        mode: Mode::Public,
        doing: "rewrapping",
        summary: None,
    };
    let (mut failures, mut done) = (Failures::default(), Vec::new());
    pipeline.run_among(&mut failures, |items| {
        in_two_steps(items, encrypted_or_named, |items| {
            let sources = items.into_iter().map(|Item { source, .. }| source).collect();
            let rewrapped = block_on(rekey::rewrap(&service, batch::parse(sources)));
            let output = |result: Result<_>| {
                let (parsed, bytes): (batch::Parsed, Option<Vec<u8>>) = result?;
                done.push(Done { file: parsed.path.display().to_string(), rewrapped: bytes.is_some() });
                Ok(bytes.map(|bytes| Output { bytes: SecretBytes::new(bytes), warnings: Vec::new() }))
            };
            rewrapped.into_iter().map(output).collect()
        })
    });
    report(&done, &args, context)?;
    Ok(failures.finish(context.ui))
}

fn report(done: &[Done], args: &Args, context: &Context) -> Result<()> {
    if args.report.is_json() {
        return context.ui.json(&done);
    }
    if done.is_empty() {
        return Ok(());
    }
    let rewrapped = done.iter().filter(|done| done.rewrapped).count();
    let would = if args.dry_run { "would be " } else { "" };
    context.ui.note(format!(
        "{rewrapped} of {} {would}rewrapped; the others use no older version",
        files(done.len())
    ));
    Ok(())
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
