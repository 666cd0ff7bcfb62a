use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::batch::Parsed;
use crate::cli::args::{ChangeKeyArgs, FormatArgs, IdentityArgs, InputArgs, OutputArgs};
use crate::cli::pipeline::{Item, Output, Pipeline, Summary, encrypted_or_named, in_two_steps};
use crate::cli::{Context, block_on};
use crate::config::Configs;
use crate::error::Result;
use crate::fs::Mode;
use crate::host::Host;
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::rekey::{self, Wish};
use crate::sops::MacCheck;

/// Encrypt files anew under a new data key
///
/// Whoever could decrypt before, and is no longer named, cannot decrypt what is set from now on. What they have seen
/// they have seen, and what is in Git's history they can still read: change the secrets themselves, too.
///
/// The recipients are those in the file. One that its creation rule does not name is refused, since anybody who can
/// write the file can name himself in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant rotate -i secrets.enc.yaml
  sealant rotate -i --rm-age age1leaver... secrets/
  sealant updatekeys --rotate secrets/     # for the recipients of the creation rule")]
pub struct Args {
    #[command(flatten)]
    pub(super) inputs: InputArgs,

    #[command(flatten)]
    pub(super) outputs: OutputArgs,

    /// For sops's command line alone: what somebody changed would be encrypted as if it were ours.
    #[arg(skip)]
    pub(super) ignore_mac: bool,

    #[command(flatten)]
    pub(super) formats: FormatArgs,

    #[command(flatten)]
    pub(super) keys: ChangeKeyArgs,

    #[command(flatten)]
    pub(super) identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let inputs = args.inputs.inputs()?;
    let destination = args.outputs.destination(&inputs)?;
    let formats = args.formats.input_only(context.ui)?;
    if !context.is_sops() {
        args.keys.warn_of_empty(context.ui);
    }
    let rotate = Rotate {
        context,
        configs: context.configs()?,
        only: (inputs.inputs.len() == 1).then(|| inputs.inputs[0].name.clone()),
        wish: args.keys.wish()?,
        missing: Mutex::default(),
    };
    rotate.missing().extend(rotate.wish.remove.iter().map(ToString::to_string));
    let check = if args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
    let service = args.identities.key_service(context.host)?;
    let pipeline = Pipeline {
        context,
        inputs,
        formats,
        destination,
        dry_run: args.outputs.dry_run,
        mode: Mode::Public,
        doing: "rotating",
        summary: Some(Summary { done: "rotated", skipped: "not encrypted" }),
    };
    let code = pipeline.run(|items| {
        in_two_steps(items, encrypted_or_named, |items| {
            let sources = items.into_iter().map(|item: Item| item.source).collect();
            let decide = |parsed: &Parsed| rotate.recipients(parsed);
            let rotated = block_on(rekey::rotate(&service, sources, context.host.now(), check, decide));
            rotated.into_iter().map(|result| result.map(|file| Some(Output::from(file)))).collect()
        })
    })?;
    for key in &*rotate.missing() {
        context.ui.warning(format!("no file names {key}, which was to be removed"));
    }
    Ok(code)
}

struct Rotate<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    /// What stands for the name of the only file, if there is only one; others stand for themselves.
    only: Option<Option<PathBuf>>,
    wish: Wish,
    /// Master keys to be removed that no file has named so far.
    missing: Mutex<BTreeSet<String>>,
}

impl Rotate<'_> {
    /// For whom a file is encrypted from now on.
    fn recipients(&self, file: &Parsed) -> Result<KeySet> {
        let current = &file.file.metadata.keys;
        let rule = match &self.only {
            Some(name) => name.as_deref().map(|name| self.rule(name)).transpose()?.flatten(),
            None => self.rule(&file.path)?,
        };
        for wrapped in current.groups.iter().flatten() {
            self.missing().remove(&wrapped.key.to_string());
        }
        let keys = match rekey::recipients(current, rule.as_ref(), &self.wish) {
            Err(error) if self.context.is_sops() => {
                // sops keeps whom the file names; whoever is no reason to refuse it is one to say so.
                let keys = rekey::recipients(current, None, &self.wish)?;
                self.context.ui.warning(error.in_file(&file.path));
                keys
            }
            keys => keys?,
        };
        let shown = file.path.display();
        match rule {
            None => self.context.ui.say(format!(
                "{shown}: no creation rule names recipients, so these of the file stay:{}",
                list(keys.groups.iter().flatten())
            )),
            Some(rule) => {
                let known = |key: &&MasterKey| rule.groups.iter().flatten().any(|named| named == *key);
                let new: Vec<_> = self.wish.add.iter().filter(|key| !known(key)).collect();
                if !new.is_empty() {
                    self.context.ui.note(format!(
                        "{shown}: add these to the creation rule, or the next rotation will refuse them:{}",
                        list(new)
                    ));
                }
            }
        }
        Ok(keys)
    }

    fn rule(&self, name: &Path) -> Result<Option<KeySet>> {
        match self.configs.matching_policy(name)? {
            Some(policy) => policy::key_set(&policy),
            None => Ok(None),
        }
    }

    fn missing(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list<'k>(keys: impl IntoIterator<Item = &'k MasterKey>) -> String {
    keys.into_iter().map(|key| format!("\n  {key}")).collect()
}
