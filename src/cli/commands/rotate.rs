use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::batch::Parsed;
use crate::cli::args::{AwsArgs, ChangeKeyArgs, FormatArgs, IdentityArgs, InputArgs, OutputArgs};
use crate::cli::claims::Claims;
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::merging;
use crate::cli::pipeline::{self, Item, Output, Pipeline, Summary, encrypted_or_named, in_two_steps};
use crate::cli::recipients::Recipients;
use crate::cli::repository::inputs_to_write;
use crate::document::Format;
use crate::encrypted_file::KeyedPart;
use crate::error::Result;
use crate::fs::Mode;
use crate::host::Host;
use crate::keys::KeySet;
use crate::rekey::{self, Decide};
use crate::secret::DataKey;
use crate::sops::{Ciphertext, MacCheck};

/// Re-encrypt files with a new data key
///
/// People who are no longer named cannot decrypt values that are set from now on. They can still read Git's history,
/// and copies that they kept: so change the secrets themselves too.
///
/// The recipients of the file stay. One that its creation rule does not name is refused, because anybody who can
/// write the file can add themselves to it. A SealedSecret gets the recipients of the creation rule.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant rotate -i secrets.enc.yaml
  sealant updatekeys --rotate secrets/     # to the rule's recipients
  sealant recipient rm Ben --all-rules     # Ben leaves: out of rules and files")]
pub struct Args {
    #[command(flatten)]
    pub inputs: InputArgs,

    #[command(flatten)]
    pub outputs: OutputArgs,

    /// For sops's command line alone: what somebody changed would be encrypted as if it were ours.
    #[arg(skip)]
    pub ignore_mac: bool,

    /// Give a file to the readers of its rule, although it shares its data key or values with a file that has others
    ///
    /// Afterwards the two share nothing.
    #[arg(long)]
    pub allow_copied: bool,

    #[command(flatten)]
    pub formats: FormatArgs,

    #[command(flatten)]
    pub keys: ChangeKeyArgs,

    #[command(flatten)]
    pub aws: AwsArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let inputs = inputs_to_write(&args.inputs, context)?;
    let destination = args.outputs.destination(&inputs)?;
    let formats =
        if context.is_sops() { args.formats.formats(context) } else { args.formats.input_only(context)? };
    if !context.is_sops() {
        args.keys.warn_of_empty(context.ui);
    }
    let wish = args.keys.using(&args.aws, context).wish()?;
    let service = args.identities.key_service(context)?.naming(&wish.add);
    let recipients = Recipients::new(context, wish)?;
    let claims = Claims::new(context)?;
    let paths = inputs.inputs.iter().filter_map(|input| input.path.as_deref().or(input.name.as_deref()));
    merging::tell_of_rules(context, paths.clone())?;
    let neighbours = (!args.allow_copied).then(|| Neighbours::with_versions(context, paths)).transpose()?;
    neighbours.as_ref().map(Neighbours::load).transpose()?;
    let found = inputs.inputs.iter().filter(|input| !input.named).filter_map(|input| input.path.clone());
    let found: HashSet<PathBuf> = found.collect();
    // The name to use for the only file; several files keep their own.
    let only = (inputs.inputs.len() == 1).then(|| inputs.inputs[0].name.clone());
    let input = inputs.inputs.first().filter(|input| only.is_some() && input.path.is_none());
    let stands_for = input.and_then(|input| input.name.clone());
    let shown = (inputs.inputs.clone(), destination.clone());
    let check = if args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
    let readers = Readers { recipients: &recipients, claims: &claims, neighbours, found, only, stands_for };
    let over_files = Pipeline {
        context,
        inputs,
        formats,
        destination,
        dry_run: args.outputs.dry_run,
        mode: Mode::Public,
        doing: "rotating",
        summary: Some(Summary { done: "rotated", already: "", other: "not encrypted" }),
    };
    let code = over_files.run(|items| {
        in_two_steps(items, encrypted_or_named, |items| {
            let (read, sources): (Vec<_>, Vec<_>) = items
                .into_iter()
                .map(|Item { input, source }| {
                    let source = pipeline::as_taken(source, context);
                    ((source.format, input.name), source)
                })
                .unzip();
            let rotated = block_on(rekey::rotate(&service, sources, context.host.now(), check, &readers));
            let retyped = |(file, (format, name)): (Result<Ciphertext>, (Format, Option<PathBuf>))| {
                let file = pipeline::retyped(file?, format, formats, name.as_deref(), context)?;
                Ok(Some(Output::from(file)))
            };
            rotated.into_iter().zip(read).map(retyped).collect()
        })
    })?;
    if code == ExitCode::SUCCESS && !args.outputs.dry_run {
        shown.1.tell_only_shown(&shown.0, "is unchanged", context);
    }
    recipients.tell_missing();
    Ok(code)
}

/// For whom the files are under their new data keys.
struct Readers<'a> {
    recipients: &'a Recipients<'a>,
    claims: &'a Claims<'a>,
    /// None where copies are meant.
    neighbours: Option<Neighbours<'a>>,
    /// Those that nobody named.
    found: HashSet<PathBuf>,
    /// What the only file counts as, if it is not itself.
    only: Option<Option<PathBuf>>,
    /// What standard input stands for.
    stands_for: Option<PathBuf>,
}

impl Readers<'_> {
    fn place<'p>(&'p self, path: &'p Path) -> &'p Path {
        self.stands_for.as_deref().unwrap_or(path)
    }
}

impl Decide for Readers<'_> {
    fn keys(&self, parsed: &Parsed, holder: KeyedPart<'_>) -> Result<KeySet> {
        let name = self.only.as_ref().map_or(Some(parsed.path.as_path()), |name| name.as_deref());
        if self.found.contains(&parsed.path) {
            self.recipients.refuse_named_by_file_alone(holder, &parsed.path)?;
        }
        let keys = match self.neighbours {
            Some(_) => self.recipients.of(holder, name, &parsed.path)?,
            None => self.recipients.of_place(holder, name, &parsed.path)?,
        };
        if let Some(name) = name {
            self.claims.tell_settings(name, &parsed.file);
        }
        if let Some(neighbours) = &self.neighbours {
            neighbours.refuse(self.place(&parsed.path), &parsed.file, &keys)?;
        }
        Ok(keys)
    }

    fn admit(&self, path: &Path, data_key: &DataKey, keys: &KeySet) -> Result<()> {
        let refuse = |neighbours: &Neighbours<'_>| neighbours.refuse_key(self.place(path), data_key, keys);
        self.neighbours.as_ref().map_or(Ok(()), refuse)
    }
}
