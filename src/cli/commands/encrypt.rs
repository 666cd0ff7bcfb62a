use std::path::PathBuf;
use std::process::ExitCode;

use crate::batch::{self, Plain};

use crate::cli::args::{
    AwsArgs, Destination, FormatArgs, IdentityArgs, InputArgs, KeyArgs, OutputArgs, RuleArgs,
};
use crate::cli::committed::tell_plaintext_of_last_commit;
use crate::cli::context::{Context, block_on};
use crate::cli::encryption::Encrypt;
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, LEFT_ALONE, Pipeline, Summary, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::cli::unnamed::Unnamed;
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::host::Host;

/// Encrypt values in files; all else stays byte for byte
///
/// The creation rule of the file (`sealant explain FILE`), or flags, say who can decrypt, and which values are
/// encrypted.
///
/// In a folder it encrypts the files that the path_regex of a creation rule matches. On a terminal it asks about
/// other files in plaintext. It skips files that Git ignores, configs, identities, and files that Git itself reads.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant encrypt --age age1... secrets.yaml > secrets.enc.yaml
  sealant encrypt -i secrets/
  sealant encrypt --onto secrets.enc.yaml --output secrets.enc.yaml secrets.yaml
  kubectl create secret generic db --from-literal=password=x \\
    --dry-run=client -o yaml | sealant encrypt --output secrets/db.yaml

For standard input the name of the output file decides the type and the creation rule. Without one its content \
decides: what is not clearly YAML, JSON, INI or dotenv is encrypted as a whole, and a note says so.")]
pub struct Args {
    #[command(flatten)]
    pub inputs: InputArgs,

    #[command(flatten)]
    pub outputs: OutputArgs,

    /// In a folder, also encrypt files that no path_regex matches, without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Keep the ciphertexts of this encrypted file if no value was changed or added; else make a new data key
    #[arg(long, value_name = "OLD")]
    pub onto: Option<PathBuf>,

    /// Remove the annotation in which kubectl keeps a Secret's plaintext
    #[arg(long)]
    pub strip_last_applied: bool,

    #[command(flatten)]
    pub formats: FormatArgs,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub aws: AwsArgs,

    #[command(flatten)]
    pub rules: RuleArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut inputs = inputs_to_write(&args.inputs, context)?;
    let destination = args.outputs.destination(&inputs)?;
    if let (Destination::File(file), false) = (&destination, context.is_sops()) {
        // What has no name is called as what it becomes.
        inputs.inputs.iter_mut().for_each(|input| _ = input.name.get_or_insert_with(|| file.clone()));
    }
    if args.onto.is_some() && inputs.many {
        return Err(Error::new(
            Kind::Conflict,
            "--onto names the old state of one file, but several files were given",
        ));
    }
    let formats = args.formats.formats(context);
    let mut encrypt = Encrypt::new(context, formats, &args.keys.using(&args.aws, context), &args.rules)?;
    inputs.advise_missing(|file| encrypt.advice_to_make(file));
    encrypt.destination = destination.clone();
    encrypt.strip_last_applied = args.strip_last_applied;
    let (yes, dry_run) = (args.yes, args.outputs.dry_run);
    encrypt.unnamed = Unnamed::ask(context, yes, dry_run, "Encrypt", || encrypt.unnamed_among(&inputs))?;
    let (folders, named) = (inputs.folders.clone(), inputs.inputs.clone());
    let typed = encrypt.wanted.keys.iter().flat_map(|keys| keys.groups.iter().flatten());
    let service = args.identities.key_service(context)?.naming(typed);
    let pipeline = Pipeline {
        context,
        inputs,
        formats,
        destination,
        dry_run,
        mode: Mode::Public,
        doing: "encrypting",
        summary: Some(Summary { done: "encrypted", already: "encrypted already", other: LEFT_ALONE }),
    };
    let mut failures = Failures::default();
    pipeline.run_among(&mut failures, |items| {
        let prepare = |item: Item| encrypt.prepare(item);
        in_two_steps(items, prepare, |files: Vec<Plain>| {
            encrypt.all(files, |files| match &args.onto {
                Some(old) => vec![encrypt.onto(old, files, &service)],
                None => block_on(batch::encrypt(&service, files, context.host.now())),
            })
        })
    });
    if let Err(error) = encrypt.unnamed.refuse_nothing(&args.outputs.shown_in("encrypt"), &folders) {
        failures.add(context.ui, &error);
    }
    if failures.is_empty() && !dry_run {
        encrypt.destination.tell_only_shown(&named, "is still in plaintext", context);
        if encrypt.destination == Destination::InPlace {
            tell_plaintext_of_last_commit(&named, context);
        }
    }
    Ok(failures.finish(context.ui))
}
