use std::process::ExitCode;

use memchr::memmem;

use crate::batch;
use crate::batch::Source;
use crate::cli::args::{Destination, Formats, IdentityArgs, Input, InputArgs, OutputArgs};
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::failures::Failures;
use crate::cli::manifests::ManifestArgs;
use crate::cli::pipeline::{Item, Output, Pipeline, Summary, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::document::Format;
use crate::encrypted_file::{EncryptedFile, Meant, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::keys::KeyService;
use crate::sealed_secret::{self, Binding, OpenedKeys, SealedFile, SealedSecret};
use crate::secret::SecretString;
use crate::shown::typed;

/// Decrypt SealedSecrets into Secrets
///
/// This needs an identity of your own, and contacts no cluster. Text values are printed under stringData, others
/// under data. Several SealedSecrets in one input become a stream in YAML, and a List in JSON; if one cannot be
/// unsealed, an error says so, and the others are printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant unseal db.yaml
  sealant unseal --item tls.key db.yaml > tls.key
  sealant unseal --output-dir /run/user/1000/plain apps/
  kubectl get sealedsecrets.sealant.dev db -o yaml | sealant unseal")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// Print only the value of this item, byte for byte
    #[arg(long, value_name = "KEY")]
    item: Option<String>,

    #[command(flatten)]
    outputs: OutputArgs,

    #[command(flatten)]
    manifest: ManifestArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

/// A file that was read.
struct Found {
    input: Input,
    format: Format,
    file: SealedFile,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let inputs = inputs_to_write(&args.inputs, context)?;
    let destination = args.outputs.destination_of_plaintext(&inputs)?;
    if inputs.many && args.item.is_some() {
        return Err(Error::new(Kind::Conflict, "--item is for one file, but several were given"));
    }
    let service = args.identities.key_service(context)?;
    let neighbours = Neighbours::of_plaintext(context, &inputs, &destination)?;
    let pipeline = Pipeline {
        context,
        inputs,
        formats: Formats::default(),
        destination: destination.clone(),
        dry_run: args.outputs.dry_run,
        mode: Mode::Private,
        doing: "unsealing",
        summary: Some(Summary { done: "unsealed", already: "", other: "no SealedSecrets" }),
    };
    let (mut failures, mut partial) = (Failures::default(), Vec::new());
    pipeline.run_among(&mut failures, |items| {
        in_two_steps(
            items,
            |item| read(item, neighbours.as_ref()),
            |files: Vec<Found>| {
                if let Some(item) = &args.item {
                    return files.iter().map(|file| value(file, item, &service).map(Some)).collect();
                }
                let wanted: Vec<_> = files
                    .iter()
                    .flat_map(|found| {
                        found.file.objects.iter().map(|(_, sealed)| (found.input.shown(), sealed, None))
                    })
                    .collect();
                let mut opened = block_on(batch::open_sealed(&service, &wanted)).into_iter();
                let unseal = |found: &Found| {
                    // All answers of a file are taken, whether one of them is an error or not.
                    let keys: Vec<_> = opened.by_ref().take(found.file.objects.len()).collect();
                    let target = args.manifest.of(&destination, found.format);
                    unsealed(found, keys, target, destination == Destination::Stdout, &mut partial).map(Some)
                };
                files.iter().map(unseal).collect()
            },
        )
    });
    for error in &partial {
        failures.add(context.ui, error);
    }
    Ok(failures.finish(context.ui))
}

/// Reads a file; `None` for one that was only found, and is not meant.
fn read(Item { input, mut source }: Item, neighbours: Option<&Neighbours>) -> Result<Option<Found>> {
    let in_file = |error: Error| error.in_file(input.shown());
    let format = source.format;
    let is_manifest = meant(source.format, &source.bytes) == Some(Meant::Sealed);
    if !is_manifest {
        return if input.named { Err(in_file(nothing_sealed(&source))) } else { Ok(None) };
    }
    if let Some(neighbours) = neighbours {
        let file = EncryptedFile::parse(format, source.bytes.clone()).map_err(in_file)?;
        neighbours.refuse_plaintext(&source.path, &file, None)?;
    }
    let file = SealedFile::parse(format, std::mem::take(&mut source.bytes)).map_err(in_file)?;
    if file.objects.is_empty() {
        let error = Error::new(Kind::Other, "there is no SealedSecret in it");
        return if input.named { Err(in_file(error)) } else { Ok(None) };
    }
    Ok(Some(Found { input, format, file }))
}

/// Why there is nothing to unseal in a file, and what to do instead.
fn nothing_sealed(source: &Source) -> Error {
    let holds = |needle: &[u8]| memmem::find(&source.bytes, needle).is_some();
    if meant(source.format, &source.bytes) == Some(Meant::Document) {
        return Error::new(Kind::Other, "this is a SOPS document, not a SealedSecret")
            .advise(format!("Decrypt it: `sealant decrypt {}`.", typed(&source.path)));
    }
    if holds(b"bitnami.com/") && holds(sealed_secret::KIND.as_bytes()) {
        return Error::new(
            Kind::Other,
            "this is a SealedSecret of Bitnami's sealed-secrets, which only its controller can open",
        )
        .advise(format!(
            "With the controller's private keys, `sealant migrate sealed-secrets --key KEYS.yaml {}` turns it into one of \
             Sealant's, and `kubeseal --recovery-unseal` prints it.",
            typed(&source.path)
        ));
    }
    Error::new(Kind::Other, "there is no SealedSecret in it")
        .advise("A SealedSecret has apiVersion sealant.dev/v1alpha1; `sealant seal` makes one.")
}

/// The value of one item of the one SealedSecret in a file.
fn value(Found { input, file, .. }: &Found, item: &str, service: &KeyService<'_>) -> Result<Output> {
    let open = || match &file.objects[..] {
        [(_, sealed)] => {
            let keys = block_on(batch::open_item(service, input.shown(), sealed, item))?;
            keys.item(&sealed.spec, &Binding::of(sealed)?, item)
        }
        several => {
            let message = format!("--item is for one SealedSecret, but there are {}", several.len());
            Err(Error::new(Kind::Conflict, message))
        }
    };
    open().map(|bytes| Output { bytes, warnings: Vec::new() }).map_err(|error| error.in_file(input.shown()))
}

/// The Secrets of a file. What could not be unsealed is told in `partial` when the others are printed; a file is
/// written with all of them or not at all.
fn unsealed(
    Found { input, file, .. }: &Found,
    keys: Vec<Result<OpenedKeys>>,
    format: Format,
    prints: bool,
    partial: &mut Vec<Error>,
) -> Result<Output> {
    let several = file.objects.len() > 1;
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    for ((node, sealed), keys) in file.objects.iter().zip(keys) {
        match keys.and_then(|keys| manifest(sealed, &keys, format)) {
            Ok(text) => texts.push(text),
            Err(error) => {
                let error = if several { error.about(named(sealed)) } else { error };
                errors.push(error.on_line(file.document.line(*node)).in_file(input.shown()));
            }
        }
    }
    let skips_others = file.document.tree().documents().len() > file.objects.len();
    match errors.pop() {
        Some(error) if texts.is_empty() || !prints => {
            partial.append(&mut errors);
            Err(error)
        }
        last => {
            partial.append(&mut errors);
            partial.extend(last);
            let others = "its other objects are left out".to_owned();
            let warnings = if skips_others { vec![others] } else { Vec::new() };
            Ok(Output { bytes: sealed_secret::joined(&texts, format), warnings })
        }
    }
}

fn manifest(sealed: &SealedSecret, keys: &OpenedKeys, format: Format) -> Result<SecretString> {
    let secret = sealed_secret::unseal(sealed, keys)?;
    match format {
        Format::Json => secret.to_json(),
        _ => Ok(secret.to_yaml()),
    }
}

fn named(sealed: &SealedSecret) -> String {
    let namespace = sealed.metadata.namespace.as_ref().map(|namespace| format!("{namespace}/"));
    format!("SealedSecret {}{}", namespace.unwrap_or_default(), sealed.metadata.name)
}
