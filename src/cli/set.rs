use std::path::Path;
use std::process::ExitCode;

use serde_json::Value as Data;

use crate::cli::Context;
use crate::cli::args::Input;
use crate::cli::change::ChangeArgs;
use crate::document::{Edits, MAX_SOURCE, data_from_json};
use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// Set one value of an encrypted file
///
/// The value is JSON: a text in quotes, a number, true, false, null, a list or a map. What is missing on the way to it
/// is made, and a position behind the end of a list appends. All other values keep their ciphertexts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant set secrets.enc.yaml '[\"database\"][\"port\"]' 5432
  sealant set secrets.enc.yaml '[\"name\"]' '\"a text is JSON, in quotes\"'
  sealant set --string secrets.enc.yaml '[\"name\"]' 'a text as it is'
  sealant set --string --value-file secrets.enc.yaml '[\"tls\"][\"key\"]' key.pem
  printf %s \"$PASSWORD\" | sealant set --string --value-stdin secrets.enc.yaml '[\"password\"]'")]
pub struct Args {
    #[command(flatten)]
    pub(super) change: ChangeArgs,

    /// The new value, as JSON. Others on this machine can see it: --value-stdin and --value-file hide it
    #[arg(required_unless_present = "value_stdin", help_heading = None::<&str>)]
    pub(super) value: Option<String>,

    /// VALUE is the path of a file that holds the value
    #[arg(long, conflicts_with = "value_stdin", help_heading = None::<&str>)]
    pub(super) value_file: bool,

    /// Take the value from standard input
    #[arg(long, conflicts_with = "value", help_heading = None::<&str>)]
    pub(super) value_stdin: bool,

    /// The value is not JSON but a text, taken as it is: a line end at its end belongs to it
    #[arg(long, help_heading = None::<&str>)]
    pub(super) string: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let path = args.change.tree_path()?;
    let value = value(&args)?;
    args.change.run(context, |document| {
        let edits = path.set(document, &value)?;
        if let Some(nearly) = path.nearly(document) {
            context.ui.note(nearly);
        }
        Ok(if args.change.idempotent { edits } else { edits.or(Some(Edits::default())) })
    })
}

fn value(args: &Args) -> Result<Data> {
    let bytes = match &args.value {
        Some(file) if args.value_file => Input::of(Path::new(file)).read(MAX_SOURCE)?,
        Some(value) => SecretBytes::new(value.clone().into_bytes()),
        None => Input::of(Path::new("-")).read(MAX_SOURCE)?,
    };
    if args.string {
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::new(Kind::SetFormat, "the value is not UTF-8, and cannot be a text"))?;
        return Ok(text.into());
    }
    data_from_json(&bytes).map_err(|error| {
        let error = error.with_kind(Kind::SetFormat);
        match error.advice() {
            Some(_) => error,
            None => error
                .advise("A text is JSON in double quotes: '\"text\"'. Or add --string to take it as it is."),
        }
    })
}
