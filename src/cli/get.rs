use std::path::PathBuf;
use std::process::ExitCode;

use crate::batch;
use crate::cli::args::{FormatArgs, IdentityArgs, Input, ReportArgs};
use crate::cli::{Context, block_on, pipeline};
use crate::document::{self, TreePath};
use crate::error::Result;
use crate::sops::MacCheck;

/// Print one value of an encrypted file
///
/// A text is printed as it is, without a line end of our own but on a terminal; maps and lists in the type of the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant get secrets.enc.yaml '[\"database\"][\"password\"]'
  sealant get --format json secrets.enc.yaml '[\"hosts\"]' | jq length")]
pub struct Args {
    /// The encrypted file
    file: PathBuf,

    /// The path of the value, '["a"][0]' for instance
    path: String,

    /// Go on when the MAC does not match: the file is not what was encrypted
    #[arg(long)]
    ignore_mac: bool,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let path = TreePath::parse(&args.path)?;
    let input = Input::of(&args.file);
    let formats = args.formats.formats(context.ui);
    let service = args.identities.key_service(context.host)?;
    let opened = block_on(batch::open_one(&service, pipeline::read(&input, formats)?))?;

    let check = if args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
    let in_file = |error: crate::Error| error.in_file(input.shown());
    let plaintext = opened.file.decrypt(&opened.key, check).map_err(in_file)?;
    for warning in &plaintext.warnings {
        context.ui.warning(format!("{}: {warning}", input.shown().display()));
    }
    let format = opened.file.format();
    let document = document::parse(format, plaintext.bytes, false).map_err(in_file)?;
    let node = path.find(&*document).map_err(in_file)?;
    if args.report.is_json() {
        context.ui.json(&document::to_data(&*document, node).map_err(in_file)?)?;
    } else {
        let target = formats.output.unwrap_or(format);
        context.ui.value(&document::emit_value(&*document, node, target).map_err(in_file)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
