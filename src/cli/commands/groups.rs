use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::batch::Parsed;
use crate::cli::args::{AwsArgs, Destination, FormatArgs, IdentityArgs, Input, Inputs, KeyArgs, by_name};
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::pipeline::{Item, Output, Pipeline, Taken, as_taken, retyped};
use crate::config::Configs;
use crate::encrypted_file::KeyedPart;
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::keys::{KeySet, MasterKey, WrappedDataKey};
use crate::policy;
use crate::rekey::{self, Change, Decide, GroupsChange, Regrouping};
use crate::secret::DataKey;
use crate::shown::typed;
use crate::sops::MacCheck;

/// Add key groups to a file, or remove them
///
/// The threshold says from how many groups a key is needed to decrypt: any one key of each group. If creation rules
/// say who reads a file, write the groups there (`key_groups`, `shamir_threshold`) and run `sealant updatekeys`: it
/// does the same for all files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant groups add -i -f prod.enc.yaml --age age1auditor...
  sealant groups add -i -f prod.enc.yaml --age age1auditor... \\
    --shamir-secret-sharing-threshold 2
  sealant groups delete -i -f prod.enc.yaml 1     # the second one")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Add(Box<Add>),
    Delete(Delete),
}

/// Add a group: decrypting then takes one more key, unless you set a threshold
///
/// The data key stays the same, and is split again. Anybody who could decrypt the file alone can still decrypt older
/// versions of it.
#[derive(Debug, Default, clap::Args)]
pub struct Add {
    #[command(flatten)]
    pub file: FileArgs,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub aws: AwsArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Remove a group: its keys no longer count
///
/// The data key stays the same, and is split again. Together with others, the removed keys can still decrypt older
/// versions of the file: `sealant rotate` makes a new data key.
#[derive(Debug, Default, clap::Args)]
pub struct Delete {
    #[command(flatten)]
    pub file: FileArgs,

    /// Which group, counted from 0
    #[arg(value_name = "INDEX")]
    index: Vec<String>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// The file, what becomes of it, and who may be in it.
#[derive(Debug, Default, clap::Args)]
pub struct FileArgs {
    /// The encrypted file
    #[arg(short, long, value_name = "FILE", required = true)]
    pub file: Option<PathBuf>,

    /// Replace the file with the result
    #[arg(short, long)]
    pub in_place: bool,

    /// How many groups are needed to decrypt from now on
    #[arg(long, value_name = "N")]
    pub shamir_secret_sharing_threshold: Option<usize>,

    /// Keep this recipient although the creation rule does not name it; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    pub allow_recipient: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Add(args) => {
            let Add { file, keys, aws, identities } = *args;
            let group = keys.using(&aws, context).named()?;
            regroup(file, GroupsChange::Add(group), &identities, context)
        }
        Command::Delete(args) => {
            let change = GroupsChange::Delete(args.index()?);
            regroup(args.file, change, &args.identities, context)
        }
    }
}

impl Delete {
    /// Which group.
    pub fn index(&self) -> Result<usize> {
        let [index] = &self.index[..] else {
            return Err(Error::new(Kind::Other, "give the number of one group, counted from 0"));
        };
        let wrong = |_| Error::new(Kind::Other, format!("`{index}` is not the number of a group"));
        index.parse().map_err(wrong)
    }
}

fn regroup(
    args: FileArgs,
    change: GroupsChange,
    identities: &IdentityArgs,
    context: &Context,
) -> Result<ExitCode> {
    let file =
        args.file.ok_or_else(|| Error::new(Kind::NoFile, "no file was given: name it with -f FILE"))?;
    let added: &[MasterKey] = match &change {
        GroupsChange::Add(group) => group,
        GroupsChange::Delete(_) => &[],
    };
    let service = identities.key_service(context)?.naming(added);
    let neighbours = Neighbours::with_versions(context, [file.as_path()])?;
    let threshold = args.shamir_secret_sharing_threshold;
    let wish = Regrouping { change, threshold, allow: by_name(&args.allow_recipient, &context.names()) };
    let readers = Readers { context, configs: context.configs()?, neighbours, wish: &wish };
    let formats = FormatArgs::default().formats(context);
    let destination = if args.in_place { Destination::InPlace } else { Destination::Stdout };
    let over_file = Pipeline {
        context,
        inputs: Inputs { inputs: vec![Input::of(&file)], ..Inputs::default() },
        formats,
        destination,
        dry_run: false,
        mode: Mode::Public,
        doing: "changing groups",
        summary: None,
    };
    // sops does not check the MAC here; we report it.
    let check = if context.is_sops() { MacCheck::Ignore } else { MacCheck::Verify };
    over_file.run(|items| {
        let formats_read: Vec<_> = items.iter().map(|item| item.source.format).collect();
        let sources = items.into_iter().map(|Item { source, .. }| as_taken(source, context)).collect();
        let written = block_on(rekey::update_keys(&service, sources, check, &readers));
        let retyped = |(result, read): (Result<_>, _)| {
            let written = retyped(result?, read, formats, Some(&file), context)?;
            Ok(Taken::On(Output::from(written)))
        };
        written.into_iter().zip(formats_read).map(retyped).collect()
    })
}

/// For whom the file is from now on.
struct Readers<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    neighbours: Neighbours<'a>,
    wish: &'a Regrouping,
}

impl Decide for Readers<'_> {
    fn keys(&self, parsed: &Parsed, holder: KeyedPart<'_>) -> Result<KeySet> {
        let KeyedPart::Document(current) = holder else {
            return Err(Error::new(
                Kind::Conflict,
                "a SealedSecret always has the groups of its creation rule",
            )
            .advise("Change the rule, and run `sealant updatekeys FILE`."));
        };
        self.context.tell_misled(&self.configs, &parsed.path);
        let rule = policy::keys_of_file(&self.configs, &parsed.path)?;
        let keys = match rekey::regrouped(current, rule.as_ref(), self.wish) {
            Err(error) if self.context.is_sops() && rule.is_some() => {
                // sops keeps the recipients that the file names. Where we do not refuse that, we say so.
                let keys = rekey::regrouped(current, None, self.wish)?;
                self.context.ui.warning_of(&error.in_file(&parsed.path));
                keys
            }
            keys => keys?,
        };
        self.neighbours.refuse(&parsed.path, &parsed.file, &keys)?;
        self.tell(&parsed.path, current, &keys, rule.as_ref());
        Ok(keys)
    }

    fn admit(&self, path: &Path, data_key: &DataKey, keys: &KeySet) -> Result<()> {
        self.neighbours.refuse_key(path, data_key, keys)
    }
}

impl Readers<'_> {
    /// Says what changes, and what the rule does not know of.
    fn tell(&self, path: &Path, current: &WrappedDataKey, keys: &KeySet, rule: Option<&KeySet>) {
        let (ui, shown) = (self.context.ui, path.display());
        let change = Change::between(std::slice::from_ref(current), keys);
        ui.say_list(format!("{shown}:"), change.lines(&self.context.names()));
        let others = || {
            keys.groups
                .iter()
                .flatten()
                .filter(|key| current.groups.iter().flatten().any(|old| old.key == **key))
        };
        match rule {
            None => ui.say_list(
                format!("{shown}: no creation rule names recipients, so the file keeps these:"),
                others().map(|key| format!("  {key}")),
            ),
            Some(rule) if rule != keys => ui.note(format!(
                "{shown}: its creation rule differs, and `sealant updatekeys {}` will make the file match the rule \
                 again",
                typed(path)
            )),
            Some(_) => {}
        }
    }
}
