use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::commands::git::install;
use crate::cli::commands::keygen;
use crate::cli::context::{Context, block_on};
use crate::cli::repository::{config_outside, refuse_deleted_config};
use crate::config::{Config, KeySpec, Policy, Preset, SOPS_NAME, starter};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::keys::vault::Vault;
use crate::keys::{Identities, Recipient, SourceReport, StartedBy, TransitKey};
use crate::names::Names;
use crate::os;
use crate::policy;
use crate::repo::git::Git;
use crate::repo::git::install::{Attributes, Setup, Step};
use crate::shown::typed;

/// Set up a repository: a key, a config, and what Git needs
///
/// Makes an identity and a `.sops.yaml`. It never overwrites anything. On a terminal, in a repository, it asks whether
/// to run `sealant git install`, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant init
  sealant init --preset kubernetes --git
  sealant init --vault https://vault.example.com:8200/transit/shop
  sealant init --recipient age1... \\
    --vault https://vault.example.com:8200/transit/shop")]
pub struct Args {
    /// Encrypt for this recipient or Vault transit key, and make no identity; may be repeated
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,

    /// Encrypt for this transit key of Vault or OpenBao, and make no identity; may be repeated
    #[arg(long = "vault", value_name = "ADDRESS/ENGINE/KEY")]
    transit_keys: Vec<String>,

    /// What the files are
    #[arg(long, value_enum, value_name = "PRESET", default_value_t)]
    preset: PresetArg,

    /// Also do what `sealant git install` does, and do not ask
    #[arg(long, conflicts_with = "no_git")]
    git: bool,

    /// Leave Git alone, and do not ask
    #[arg(long)]
    no_git: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum PresetArg {
    /// Encrypt every value
    #[default]
    Everything,
    /// Encrypt the data of Kubernetes Secrets, leave kind, names and labels readable
    Kubernetes,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let working_dir = context.lookup()?.working_dir;
    let config = context.configs()?.config_for(&working_dir.join(SOPS_NAME))?;
    let git = match args.no_git {
        true => None,
        false if args.git => Some(Git::needed(context.host, &working_dir)?),
        false => Git::find(context.host, &working_dir).unwrap_or_else(|none| {
            context.ui.warning(format!("Git is left alone: {}", none.into_error()));
            None
        }),
    };

    if config.is_none() {
        refuse_misnamed(context, &working_dir)?;
        git.as_ref().map_or(Ok(()), |git| refuse_deleted_config(git, &working_dir))?;
    }

    let mut recipients = Vec::new();
    for name in &args.transit_keys {
        let key = TransitKey::from_short(name).map_err(|error| error.in_file("--vault"))?;
        recipients.push(key.uri().to_owned());
        say_access(&key, context);
    }
    for recipient in &args.recipients {
        recipients.push(checked(recipient)?);
    }
    let mut founder = None;
    if recipients.is_empty() {
        recipients.push(own_recipient(context)?);
        founder = git.as_ref().and_then(Git::user_name);
    }
    let ui = context.ui;
    let Some(config) = config else {
        let (path, names) = write_config(&working_dir, &recipients, founder.as_deref(), args.preset)?;
        let readers: Vec<String> = recipients.iter().map(|recipient| names.whole(recipient)).collect();
        ui.say(format!("Config:   {} is new, for {}", path.display(), readers.join(", ")));
        if let Some(git) = git
            .as_ref()
            .filter(|git| git.name_of_folder(&working_dir).is_ok_and(|name| !name.as_os_str().is_empty()))
        {
            ui.note(format!(
                "its rules apply only to this folder; for all of {}, delete it and run `sealant init` there",
                git.top().display()
            ));
        }
        let mut next = set_up_git(git.as_ref(), args.git, context)?;
        if git.is_some() {
            let attributes = if next.is_to_commit { " .gitattributes" } else { "" };
            let command = format!("git add {SOPS_NAME}{attributes}");
            next.command(&command, "others need it, and the hook reads only what is staged");
        }
        next.command(
            "sealant edit secrets/app.yaml",
            "make a secret; `sealant encrypt -i secrets` encrypts files",
        );
        next.tell(context);
        return Ok(ExitCode::SUCCESS);
    };
    ui.say(format!("Config:   {}, unchanged", config.path().display()));
    let mut next = set_up_git(git.as_ref(), args.git, context)?;
    if next.is_to_commit {
        next.command("git add .gitattributes", "others need it");
    }
    if config.policies().is_empty() {
        next.lines.push(format!("it has no creation rules: delete it and run `sealant init` again, or add one (`creation_rules: [{{age: {}}}]`)", recipients.join(",")));
        next.tell(context);
        return Ok(ExitCode::SUCCESS);
    }
    match recipients.iter().find(|recipient| !names(&config, recipient)) {
        Some(missing) => next.lines.push(format!(
            "ask for access: `sealant recipient add {missing}` (with your name before the key, if you like), commit {SOPS_NAME}, \
             and open a pull request. `sealant check` tells whoever can decrypt how to let you in"
        )),
        None => match git.as_ref().map(|git| config_outside(config.path(), git, context)).transpose()?.flatten() {
            Some(outside) => {
                ui.warning_of(&outside);
                next.lines.push(outside.advice().unwrap_or_default().to_owned());
            }
            None if next.lines.is_empty() => {
                next.lines.push("nothing; `sealant doctor` checks your set-up".to_owned());
            }
            None => {}
        },
    }
    next.tell(context);
    Ok(ExitCode::SUCCESS)
}

/// A config under a name that nobody reads is the one that is meant.
fn refuse_misnamed(context: &Context, folder: &Path) -> Result<()> {
    let search = context.configs()?.explain(&folder.join(SOPS_NAME))?.search;
    let Some((misnamed, warning)) = search.misnamed.first().zip(search.warning()) else { return Ok(()) };
    let (from, to) = (typed(misnamed), typed(&misnamed.with_file_name(SOPS_NAME)));
    Err(Error::new(Kind::ConfigNotFound, warning)
        .advise(format!("Give it that name: `{}`", os::how_to_move(&from, &to))))
}

/// What is left for people to do.
#[derive(Default)]
struct Next {
    lines: Vec<String>,
    /// There are attributes that others need.
    is_to_commit: bool,
}

impl Next {
    /// A command, and what it is for.
    fn command(&mut self, command: &str, what_for: &str) {
        self.lines.push(format!("{command:<33}    # {what_for}"));
    }

    fn tell(mut self, context: &Context) {
        if self.is_to_commit {
            self.command("sealant git install", "once in every other clone");
        }
        match &self.lines[..] {
            [only] if !only.contains('\n') && !only.contains(" # ") => {
                context.ui.say(format!("Next:     {only}"))
            }
            lines => context.ui.say_list(
                "Next:",
                lines.iter().flat_map(|line| line.lines()).map(|line| format!("  {line}")),
            ),
        }
    }
}

/// Tells Git how to work with secrets, if the person wants that.
fn set_up_git(git: Option<&Git>, asked_for: bool, context: &Context) -> Result<Next> {
    let mut next = Next::default();
    let Some(git) = git else { return Ok(next) };
    let survey = Setup::of(git)?.survey()?;
    if survey.unseen.is_empty() && survey.drivers.iter().all(Option::is_some) {
        return Ok(next);
    }
    let question = "Set up Git in this clone: readable diffs, automatic merges, no plaintext in commits \
         (`sealant git install`)?";
    let is_wanted = asked_for || (context.host.can_ask() && context.host.confirm_or_yes(question)?);
    if !is_wanted {
        next.command("sealant git install", "readable diffs, automatic merges, no plaintext in commits");
        return Ok(next);
    }
    let steps = Setup::of(git)?.install(Attributes::Committed)?;
    next.is_to_commit = install::is_to_commit(&steps);
    let mut written = Vec::new();
    for step in steps {
        match step {
            Step::Written(path) | Step::Removed(path) => written.push(install::shown(&path, git)),
            Step::AsItWas(_) => {}
            // Nobody is protected before that is done.
            Step::Left { what, advice } => {
                next.lines.push(format!("{what}\n  {}", advice.replace('\n', "\n  ")))
            }
        }
    }
    if !written.is_empty() {
        context.ui.say(format!("Git:      set up: {}", written.join(", ")));
    }
    install::warn_of_path(context);
    Ok(next)
}

/// The recipient of the person's first age identity, which is made if there is none.
fn own_recipient(context: &Context) -> Result<String> {
    let sources = Identities::none().with_user_sources(context.host).survey(context.host);
    for source in &sources {
        // SSH keys are identities, too, but have another purpose: people who want to use them have to say so.
        let is_age =
            |recipient: &&String| recipient.starts_with("age1") && recipient.parse::<Recipient>().is_ok();
        if let Some(recipient) = source.recipients.iter().find(is_age) {
            context.ui.say(format!("Identity: {}, unchanged", source.name));
            return Ok(recipient.clone());
        }
    }
    refuse_beside_damaged(&sources, context)?;
    let is_beside = keygen::default_file(context.host)?.exists();
    let (path, recipient) = keygen::add_to_default_file(context.host, false)?;
    let is_new = if is_beside { "has a new identity, beside what was in it" } else { "is new" };
    context.ui.say(format!("Identity: {} {is_new}: keep a copy in a safe place", path.display()));
    Ok(recipient.to_string())
}

/// Refuses to make an identity where one was damaged: what that one opens, no other does.
fn refuse_beside_damaged(sources: &[SourceReport], context: &Context) -> Result<()> {
    let default = keygen::default_file(context.host)?;
    let is_damaged = |source: &&SourceReport| {
        let path = source.path.as_deref().unwrap_or(Path::new(&source.name));
        path == default && !source.problems.is_empty()
    };
    let Some(problem) = sources.iter().find(is_damaged).and_then(|source| source.problems.first()) else {
        return Ok(());
    };
    let (file, damaged) = (typed(&default), typed(&default.with_added_extension("damaged")));
    Err(Error::new(Kind::Conflict, problem).in_file(&default).advise(format!(
        "Bring the file back from a backup: a new identity opens nothing that the old one opened. If there is none: \
         `{}`, then `sealant init`, and ask for access",
        os::how_to_move(&file, &damaged)
    )))
}

/// Says what we may do with a transit key, as far as a server tells us now. That it does not is no reason to stop.
fn say_access(key: &TransitKey, context: &Context) {
    let vault = Vault::of_user(StartedBy::Person).naming([key]);
    let access = block_on(vault.access(context.host, &[key])).map(|access| access.into_iter().next());
    let may = match access {
        Ok(Some(access)) => access.described(),
        Ok(None) => return,
        Err(error) => format!("cannot be reached now: {}", error.message()),
    };
    context.ui.say(format!("Vault:    {key}: {may}"));
}

/// Whether any rule of a config names this recipient.
fn names(config: &Config, recipient: &str) -> bool {
    let keys = |policy: &Policy| policy::key_set(policy).ok().flatten().map(|keys| keys.groups.concat());
    let mut keys = config.policies().into_iter().flatten().filter_map(|policy| keys(&policy)).flatten();
    keys.any(|key| key.id() == recipient)
}

fn checked(recipient: &str) -> Result<String> {
    let spec = match recipient.contains("://") {
        true => KeySpec::HcVault(recipient.to_owned()),
        false => KeySpec::Age(recipient.to_owned()),
    };
    policy::master_key(&spec).map_err(|error| error.in_file("--recipient"))?;
    Ok(recipient.to_owned())
}

/// Writes the config, and says what it calls its recipients. The founder is named, so that others know whom to ask.
fn write_config(
    folder: &Path,
    recipients: &[String],
    founder: Option<&str>,
    preset: PresetArg,
) -> Result<(PathBuf, Names)> {
    let preset = match preset {
        PresetArg::Everything => Preset::Everything,
        PresetArg::Kubernetes => Preset::Kubernetes,
    };
    let path = folder.join(SOPS_NAME);
    let names = Names::new(recipients.iter().cloned().zip(founder.map(str::to_owned)).collect());
    let text = starter(recipients, &names, preset);
    fs::create_new(&path, text.as_bytes(), Mode::Public)?;
    Ok((path, names))
}
