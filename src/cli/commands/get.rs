use std::path::PathBuf;
use std::process::ExitCode;

use crate::batch::{self, Parsed};
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input, LISTED, ReportArgs};
use crate::cli::context::{Context, block_on};
use crate::cli::pipeline;
use crate::cli::typed_path::{refuse_swapped, within};
use crate::document::{self, NodeKind, Spelled, Value};
use crate::encrypted_file::{EncryptedFile, OpenedFile, no_answer};
use crate::error::{Error, Kind, Result};
use crate::keys::KeyService;
use crate::sealed_secret::{Binding, ItemPath, SealedFile};
use crate::sops::MacCheck;

/// Print one value of an encrypted file
///
/// A single value is printed as it is; only on a terminal a line break is added. Maps and lists are printed in the
/// format of the file. If a key with dots in its name exists, PATH means that key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant get secrets.enc.yaml database.password
  sealant get --format json secrets.enc.yaml hosts | jq length
  sealant get sealedsecret.yaml tls.crt")]
pub struct Args {
    /// The encrypted file
    file: PathBuf,

    /// The path of the value: database.password, users[0].name, '["an.odd.key"]'; of a SealedSecret the key of the item
    path: String,

    /// Continue when the MAC does not match, so the file was changed
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
    refuse_swapped("get", &args.file, &args.path)?;
    let input = Input::of(&args.file);
    let formats = args.formats.formats(context);
    let service = args.identities.key_service(context)?;
    let source = pipeline::read(&input, formats).map_err(|error| error.advise_if_missing(LISTED));
    let parsed = batch::parse_one(source?)?;
    let shown = match parsed.file {
        EncryptedFile::Sealed(file) => show_item(&args, &file, context, &service),
        EncryptedFile::Document(_) => show_value(&args, parsed, formats, context, &service),
    };
    shown.map_err(|error| error.in_file(input.shown()))?;
    Ok(ExitCode::SUCCESS)
}

fn show_value(
    args: &Args,
    parsed: Parsed,
    formats: Formats,
    context: &Context,
    service: &KeyService<'_>,
) -> Result<()> {
    let spelled = Spelled::parse(&args.path)?;
    let shown = parsed.path.display().to_string();
    let OpenedFile::Document(file, key) = block_on(batch::open_one_parsed(service, parsed))?.file else {
        return Err(no_answer());
    };
    let check = if args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
    let plaintext = file.decrypt(&key, check)?;
    for warning in &plaintext.warnings {
        context.ui.warning(format!("{shown}: {warning}"));
    }
    let format = file.format();
    let document = document::parse_any(format, plaintext.bytes, false)?;
    let node = within(&spelled, &*document)?.find(&*document)?;
    if args.report.is_json() {
        return context.ui.json(&document::to_data(&*document, node)?);
    }
    let value = document::emit_value(&*document, node, formats.output.unwrap_or(format))?;
    let is_text = matches!(document.value(node), Ok(Value::Str(_)));
    let is_one = document.tree()[node].kind == NodeKind::Scalar;
    // A number ends with the line end of its document, which is not its own.
    let end = if is_one && !is_text { value.trim_ascii_end().len() } else { value.len() };
    context.ui.value(&value[..end])
}

/// Opens nothing but the data key of this item.
fn show_item(args: &Args, file: &SealedFile, context: &Context, service: &KeyService<'_>) -> Result<()> {
    let path = ItemPath::of(&args.path, file)?;
    let (_, sealed) = &file.objects[path.find(file)?];
    let keys = block_on(batch::open_item(service, &args.file, sealed, &path.item))?;
    let value = keys.item(&sealed.spec, &Binding::of(sealed)?, &path.item)?;
    if !args.report.is_json() {
        return context.ui.value(&value);
    }
    let text = std::str::from_utf8(&value).map_err(|_| {
        Error::new(Kind::Emit, format!("item `{}` is not UTF-8, and cannot be written as JSON", path.item))
            .advise("Remove --format to get its bytes.")
    })?;
    context.ui.json(&text)
}
