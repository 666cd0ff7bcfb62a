use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;

use crate::batch::{self, OpenedDocument};
use crate::cli::args::{Destination, FormatArgs, IdentityArgs, InputArgs, Inputs, OutputArgs};
use crate::cli::committed::tell_unguarded;
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::pipeline::{self, Item, Output, Pipeline, Summary, documents_or_named, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::cli::typed_path::within;
use crate::document::{self, Document, Format, Losses, Spelled};
use crate::encrypted_file::{EncryptedFile, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::keys;
use crate::secret::{DataKey, SecretBytes};
use crate::shown::typed;
use crate::sops::{Encrypted, MacCheck, Plaintext};

/// Decrypt files, byte for byte as they were
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant decrypt secrets.enc.yaml
  sealant decrypt --extract database.password secrets.enc.yaml
  sealant decrypt --output-dir /run/user/1000/plain secrets/")]
pub struct Args {
    #[command(flatten)]
    pub inputs: InputArgs,

    /// Print only the value at this path: database.password, '["an.odd.key"]'
    #[arg(long, value_name = "PATH")]
    pub extract: Option<String>,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    #[command(flatten)]
    pub outputs: OutputArgs,

    #[command(flatten)]
    pub formats: FormatArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// An identity file is small.
const LONGEST_IDENTITY: u64 = 1 << 20;

/// To age, `-i` names an identity, and here it replaces files: nothing is replaced if one of them is an identity.
fn refuse_identities(inputs: &Inputs, destination: &Destination) -> Result<()> {
    let is_identity = |path: &&Path| {
        let start = fs::read(path, LONGEST_IDENTITY);
        start.is_ok_and(|bytes| keys::holds_only_identities(&bytes))
    };
    let named = inputs.inputs.iter().filter(|input| input.named).filter_map(|input| input.path.as_deref());
    let found = match destination {
        Destination::InPlace if named.clone().nth(1).is_some() => named.clone().find(is_identity),
        _ => None,
    };
    let Some(identity) = found else { return Ok(()) };
    let rest = named.filter(|path| *path != identity).map(typed).collect::<Vec<_>>().join(" ");
    Err(Error::new(Kind::Conflict, "is an identity, and `-i` replaces files (`--in-place`)")
        .in_file(identity)
        .advise(format!(
            "To decrypt with this identity: `sealant decrypt --identity {} {rest}`",
            typed(identity)
        )))
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let inputs = inputs_to_write(&args.inputs, context)?;
    let destination = args.outputs.destination_of_plaintext(&inputs)?;
    refuse_identities(&inputs, &destination)?;
    let formats = args.formats.formats(context);
    let read = if context.is_sops() { Spelled::in_brackets } else { Spelled::parse };
    let extract = args.extract.as_deref().map(read).transpose()?;
    let check = if args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
    let service = args.identities.key_service(context)?;
    let neighbours = Neighbours::of_plaintext(context, &inputs, &destination)?;
    let file = match &destination {
        Destination::File(file) if !args.outputs.dry_run => Some(file.clone()),
        _ => None,
    };
    let over_files = Pipeline {
        context,
        inputs,
        formats,
        destination,
        dry_run: args.outputs.dry_run,
        mode: if context.is_sops() { Mode::PrivateIfNew } else { Mode::Private },
        doing: "decrypting",
        summary: Some(Summary {
            done: "decrypted",
            already: "SealedSecrets, which `sealant unseal` opens",
            other: "not encrypted",
        }),
    };
    let code = over_files.run(|items| {
        in_two_steps(items, documents_or_named, |items| {
            let (names, sources): (Vec<_>, Vec<_>) = items
                .into_iter()
                .map(|Item { input, source }| (input.name, pipeline::as_taken(source, context)))
                .unzip();
            let opened = block_on(batch::open_documents(&service, sources));
            let decrypt = |(opened, name): (Result<OpenedDocument>, &Option<_>)| {
                let OpenedDocument { file, key, path, .. } = opened?;
                let file = match &neighbours {
                    Some(neighbours) => refuse_copied(neighbours, &path, file, &key)?,
                    None => file,
                };
                let target = formats.of_result(file.format(), name.as_deref(), context.dialect);
                let plaintext = match target == file.format() {
                    true => file.decrypt(&key, check)?,
                    false => file.decrypt_to_convert(&key, check)?,
                };
                show(plaintext, file.format(), target, extract.as_ref(), losses(context)).map(Some)
            };
            opened.into_par_iter().zip(&names).map(decrypt).collect()
        })
    });
    if let Some(file) = file {
        tell_unguarded(&file, context);
    }
    code
}

/// A file, unless it is a copy of one for others in whose place its plaintext would be.
fn refuse_copied(neighbours: &Neighbours, path: &Path, file: Encrypted, key: &DataKey) -> Result<Encrypted> {
    let file = EncryptedFile::Document(Box::new(file));
    neighbours.refuse_plaintext(path, &file, Some(key))?;
    match file {
        EncryptedFile::Document(file) => Ok(*file),
        EncryptedFile::Sealed(_) => Err(no_answer()),
    }
}

/// The plaintext as it was asked for: whole or one value of it, in its own format or another.
fn show(
    plaintext: Plaintext,
    format: Format,
    target: Format,
    extract: Option<&Spelled>,
    losses: Losses,
) -> Result<Output> {
    let Plaintext { bytes, warnings } = plaintext;
    let bytes = match extract {
        None if target == format => bytes,
        None => document::convert(&*parse(format, bytes)?, target, losses)?,
        Some(path) => {
            let document = parse(format, bytes)?;
            let node = within(path, &*document)?.find(&*document)?;
            document::emit_value(&*document, node, target)?
        }
    };
    Ok(Output { bytes, warnings })
}

/// sops passes over what a type cannot hold.
pub fn losses(context: &Context) -> Losses {
    if context.is_sops() { Losses::AsSops } else { Losses::Refused }
}

fn parse(format: Format, bytes: SecretBytes) -> Result<Box<dyn Document>> {
    document::parse_any(format, bytes, false)
}
