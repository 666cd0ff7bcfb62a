//! `sealant recipient`: who may read the files of a config's rules.
//!
//! Owns which rules are meant, and that the config is written only once all files concerned were opened and verified. How a
//! config is written is `rule_edit`'s, what becomes of files `updatekeys`'s.

mod rules;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use self::rules::{Chosen, Target};
use crate::batch;
use crate::cli::args::{Formats, IdentityArgs, Input, InputArgs, Inputs, ReportArgs, plain_path};
use crate::cli::commands::updatekeys::{Aim, Plan, Update, nothing_changed};
use crate::cli::context::{Context, block_on};
use crate::cli::failures::Failures;
use crate::cli::pipeline::{read, refuse_outside};
use crate::cli::repository::inputs_to_write;
use crate::cli::ui::counted;
use crate::config::{Configs, KeySpec, Policy};
use crate::encrypted_file::{EncryptedFile, OpenedFile, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode, Snapshot};
use crate::host::Host;
use crate::keys::{self, KeyService, MasterKey};
use crate::names::{self, Names};
use crate::os;
use crate::policy;
use crate::repo::git::{Git, changes};
use crate::rule_edit;
use crate::shown::typed;
use crate::sops::MacCheck;

/// How many files a list names.
const SHOWN: usize = 20;

/// List, add or remove the recipients of creation rules
///
/// Changes the creation rules of the config, and the files of these rules with them. The config keeps its comments,
/// anchors and layout.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant recipient list
  sealant recipient add Anna age1... --for secrets/db.yaml
  sealant recipient rm Anna --all-rules")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(alias = "ls")]
    List(ListArgs),
    Add(AddArgs),
    #[command(aliases = ["remove", "delete"])]
    Rm(RmArgs),
}

/// List the recipients of creation rules, with their names
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only the rule of this file, which need not exist
    #[arg(value_name = "FILE", conflicts_with = "rule")]
    file: Option<PathBuf>,

    /// Only this rule, counted from 1
    #[arg(long, value_name = "N")]
    rule: Option<usize>,

    #[command(flatten)]
    report: ReportArgs,
}

/// Which rules are meant.
#[derive(Debug, clap::Args)]
struct RuleArgs {
    /// In the rule of this file or path
    #[arg(long = "for", value_name = "PATH", conflicts_with_all = ["rule", "all_rules"])]
    path: Option<PathBuf>,

    /// In this rule, by its number in `sealant recipient list`
    #[arg(long, value_name = "N", conflicts_with = "all_rules")]
    rule: Option<usize>,

    /// In every rule
    #[arg(long)]
    all_rules: bool,

    /// In this key group of the rule, counted from 1
    #[arg(long, value_name = "N")]
    group: Option<usize>,
}

impl RuleArgs {
    /// The flags as they are typed, each after a space.
    fn typed(&self) -> String {
        let path = self.path.as_deref().map(|path| format!(" --for {}", typed(path)));
        let rule = self.rule.map(|number| format!(" --rule {number}"));
        let all = self.all_rules.then(|| " --all-rules".to_owned());
        let group = self.group.map(|number| format!(" --group {number}"));
        [path, rule, all, group].into_iter().flatten().collect()
    }
}

/// What is done, and how.
#[derive(Debug, clap::Args)]
struct DoArgs {
    /// Do not ask before anything is written
    #[arg(short, long)]
    yes: bool,

    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    identities: IdentityArgs,
}

/// Give somebody access to a rule's files
///
/// Writes the key into the rule, and wraps the files' data keys for it, and for no other new key. Before anything is
/// written, all files are opened and verified. Files that none of your identities opens are listed, with the command
/// for those who can open them.
///
/// KEY is an age or SSH recipient, a PGP fingerprint, an ARN, a key of Google Cloud, Azure or Huawei Cloud, or the
/// URI of a transit key. NAME is what to call it in messages.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "sealant recipient add [OPTIONS] [NAME] <KEY>",
    after_help = "\
Examples:
  sealant recipient add Anna age1... --for secrets/db.yaml
  sealant recipient add \"ssh-ed25519 AAAA... anna\" --rule 2
  sealant recipient add --all-rules \\
    https://vault.example.com/v1/transit/keys/shop"
)]
struct AddArgs {
    /// A name for the key, and the key
    #[arg(value_name = "[NAME] KEY", required = true, num_args = 1..)]
    words: Vec<String>,

    #[command(flatten)]
    rules: RuleArgs,

    #[command(flatten)]
    act: DoArgs,
}

/// Remove a recipient from rules and their files, which get a new data key
///
/// They may have kept what they could read before: change these values where they come from. The command lists what
/// else they can read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant recipient rm Anna --all-rules
  sealant recipient rm age1... --for secrets/db.yaml")]
struct RmArgs {
    /// The key, or its name in the config
    #[arg(value_name = "NAME|KEY")]
    who: String,

    #[command(flatten)]
    rules: RuleArgs,

    /// Keep the data keys, so the removed recipient can still decrypt new values
    #[arg(long)]
    keep_data_key: bool,

    #[command(flatten)]
    act: DoArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::List(args) => list(&args, context),
        Command::Add(args) => add(&args, context),
        Command::Rm(args) => remove(&args, context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<ExitCode> {
    let target = Target::of(args.file.as_deref(), context)?;
    let chosen = match (&args.file, args.rule) {
        (Some(_), _) => vec![target.rule_of_path()?],
        (None, Some(number)) => vec![target.numbered(number)?],
        (None, None) => (0..target.policies.len()).collect(),
    };
    let policies = chosen.iter().map(|at| &target.policies[*at]);
    if args.report.is_json() {
        let rule = |policy: &Policy| {
            let key = |key: &MasterKey| json!({"kind": key.kind().name(), "id": key.id(), "name": policy.names.get(key.id())});
            let keys = policy::key_set(policy)?.unwrap_or_else(|| crate::keys::KeySet::any_of(Vec::new()));
            let groups: Vec<Vec<_>> =
                keys.groups.iter().map(|group| group.iter().map(key).collect()).collect();
            Ok(json!({
                "config": policy.rule.file,
                "line": policy.rule.line,
                "rule": policy.rule.index + 1,
                "path_regex": policy.rule.path_regex,
                "required_groups": keys.required(),
                "groups": groups,
            }))
        };
        context.ui.json(&policies.map(rule).collect::<Result<Vec<_>>>()?)?;
    } else {
        for policy in policies {
            context.ui.line(format!("{}:", target.shown(policy, context)))?;
            context.ui.lines(readers(policy)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whom a rule names, a line each.
fn readers(policy: &Policy) -> Result<Vec<String>> {
    let Some(keys) = policy::key_set(policy)? else { return Ok(vec!["  nobody".to_owned()]) };
    let named = |key: &MasterKey| policy.names.beside(key.id(), key.to_string());
    Ok(match &keys.groups[..] {
        [only] => only.iter().map(|key| format!("  {}", named(key))).collect(),
        groups => {
            let mut lines =
                vec![format!("  keys from {} of {} groups are needed", keys.required(), groups.len())];
            for (at, group) in groups.iter().enumerate() {
                lines.push(format!("  group {}", at + 1));
                lines.extend(group.iter().map(|key| format!("    {}", named(key))));
            }
            lines
        }
    })
}

fn add(args: &AddArgs, context: &Context) -> Result<ExitCode> {
    let (name, key) = name_and_key(&args.words);
    let name = name.as_deref();
    if key.trim().is_empty() {
        return Err(Error::new(Kind::Usage, "the key is empty")
            .advise("Their key is what `sealant keygen -y` prints on their machine."));
    }
    let spec = KeySpec::of_text(&key);
    let master =
        policy::master_key(&spec).map_err(|error| without_key(of_file(error, name, &key), &args.words))?;
    if let Some(why) = master.why_unsupported() {
        return Err(Error::new(Kind::Other, why).advise(master.instead()));
    }
    let target = Target::of(args.rules.path.as_deref(), context)?;
    let chosen = target.choose(&args.rules, |_| true, context)?;
    let mut text = target.text.clone();
    for at in &chosen {
        let place = target.place(*at, args.rules.group)?;
        let after = target.parsed(&text)?;
        if !has(&after.policies().swap_remove(*at)?, place.group, &master) {
            text = rule_edit::add(&text, place, &spec)?;
        }
    }
    if let Some(name) = name {
        text = named(&text, &target.names, name, &master, &args.rules)?;
    }
    let task =
        Task { aim: Aim::Add(master.clone()), rotate: false, act: &args.act, master, target, chosen, text };
    task.run(context)
}

/// A name, if there is one, and the key, which may be several words, as in a `.pub` file, or come first.
fn name_and_key(words: &[String]) -> (Option<String>, String) {
    let is_ssh = |word: &String| word.starts_with("ssh-") && !word.contains(' ');
    let is_key = |word: &String| policy::master_key(&KeySpec::of_text(word)).is_ok();
    let (name, key) = match (words.iter().position(is_ssh), words) {
        (Some(at), _) if words.len() > at + 1 => words.split_at(at),
        (_, [key, name @ ..]) if is_key(key) && !name.last().is_some_and(is_key) => (name, &words[..1]),
        _ => words.split_at(words.len().saturating_sub(1)),
    };
    let name = name.join(" ").trim().to_owned();
    ((words.len() > key.len()).then_some(name), key.join(" "))
}

/// The error for what is no key, but the name of a file that may hold one.
fn of_file(error: Error, name: Option<&str>, key: &str) -> Error {
    if !Path::new(key).is_file() {
        return error;
    }
    /// A key is shorter.
    const MOST: u64 = 64 << 10;
    let name = name.map(|name| typed(name.as_ref()) + " ").unwrap_or_default();
    let file = typed(key.as_ref());
    let error = Error::new(Kind::Usage, "this is a file, and not a key").in_file(key);
    let Ok(text) = fs::read_found(Path::new(key), MOST) else { return error };
    let text = String::from_utf8_lossy(&text);
    let public = match private_key(&text) {
        None => format!("cat {file}"),
        Some(PrivateKey::Age) => format!("sealant keygen -y {file}"),
        Some(PrivateKey::Ssh) => format!("ssh-keygen -y -f {file}"),
    };
    error.advise(format!("Give the public key that is in it: `sealant recipient add {name}\"$({public})\"`"))
}

/// A key that is never given on a command line.
enum PrivateKey {
    Age,
    Ssh,
}

/// Which private key a text holds, if it holds one.
fn private_key(text: &str) -> Option<PrivateKey> {
    let is_age = |line: &str| line.trim_start().to_ascii_uppercase().starts_with("AGE-SECRET-KEY-");
    let is_ssh = |line: &str| line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY");
    text.lines().find_map(|line| match line {
        line if is_age(line) || line.starts_with("-----BEGIN AGE ENCRYPTED FILE") => Some(PrivateKey::Age),
        line if is_ssh(line) => Some(PrivateKey::Ssh),
        _ => None,
    })
}

/// The error for a name without a key.
fn without_key(error: Error, words: &[String]) -> Error {
    let [word] = words else { return error };
    if names::is_like_a_key(word) || keys::looks_secret(word).is_some() || error.kind() == Kind::Usage {
        return error;
    }
    Error::new(Kind::Usage, format!("`{word}` is no key")).advise(format!(
        "If that is their name, their key goes behind it: `sealant recipient add {} KEY`. `sealant keygen -y` prints it on \
         their machine.",
        typed(word.as_ref())
    ))
}

/// The config with this name for the key.
fn named(text: &str, names: &Names, name: &str, key: &MasterKey, rules: &RuleArgs) -> Result<String> {
    if name.to_lowercase().contains("secret-key") || name.is_empty() {
        return Err(Error::new(Kind::Usage, "a recipient cannot have this name")
            .advise("NAME goes before KEY: `sealant recipient add NAME KEY`"));
    }
    match (names.key_called(name), names.get(key.id())) {
        (Some(other), _) if other == key.id() => Ok(text.to_owned()),
        (Some(other), _) => {
            let mut numbered = (2..).map(|number| format!("{} {number}", name.trim()));
            let free = numbered.find(|name| names.key_called(name).is_none()).unwrap_or_default();
            Err(Error::new(Kind::Conflict, format!("`{name}` is the name of another key: {other}")).advise(format!(
                "Give the new key a name of its own: `sealant recipient add {} {}{}`. If the other key is lost, then remove it: \
                 `sealant recipient rm {} --all-rules`.",
                typed(free.as_ref()),
                typed(key.id().as_ref()),
                rules.typed(),
                typed(names.get(other).unwrap_or(other).as_ref())
            )))
        }
        (None, Some(known)) => {
            Err(Error::new(Kind::Conflict, format!("the config calls this key `{known}`"))
                .advise("Leave out the name, or change it in the config."))
        }
        (None, None) => rule_edit::name(text, key.id(), name),
    }
}

/// Whether a rule names a key, in one of its groups or in any.
fn has(policy: &Policy, group: Option<usize>, key: &MasterKey) -> bool {
    let groups = policy.key_groups.iter().enumerate();
    groups
        .filter(|(at, _)| group.is_none_or(|group| group == *at))
        .any(|(_, keys)| keys.iter().any(|one| policy::master_key(&one.spec).is_ok_and(|one| one == *key)))
}

fn remove(args: &RmArgs, context: &Context) -> Result<ExitCode> {
    let target = Target::of(args.rules.path.as_deref(), context)?;
    let master = policy::key_or_name(&args.who, &target.names)?;
    let chosen = target.choose(&args.rules, |policy| has(policy, None, &master), context)?;
    let mut text = target.text.clone();
    for at in &chosen {
        text = taken_out(&target, &text, *at, args.rules.group, &master)?;
    }
    let after = target.parsed(&text)?;
    let is_named = |policy: Result<Policy>| policy.is_ok_and(|policy| has(&policy, None, &master));
    if !after.policies().into_iter().any(is_named) {
        text = rule_edit::unname(&text, master.id())?;
    }
    let task = Task {
        aim: Aim::Take(master.clone()),
        rotate: !args.keep_data_key,
        act: &args.act,
        master,
        target,
        chosen,
        text,
    };
    task.run(context)
}

/// The config without a key in a rule.
fn taken_out(
    target: &Target,
    text: &str,
    at: usize,
    group: Option<usize>,
    key: &MasterKey,
) -> Result<String> {
    let mut text = text.to_owned();
    let policy = &target.policies[at];
    let has_groups = target.has_groups(at)?;
    let groups = (0..policy.key_groups.len()).filter(|index| group.is_none_or(|group| group == index + 1));
    for index in groups {
        let now = target.parsed(&text)?.policies().swap_remove(at)?;
        if !has(&now, Some(index), key) {
            continue;
        }
        if now.key_groups.get(index).is_some_and(|keys| keys.len() == 1) {
            let left = match has_groups {
                true => format!("key group {} of rule {} would have no recipients left", index + 1, at + 1),
                false => format!("rule {} would have no recipients left", at + 1),
            };
            return Err(Error::new(Kind::Conflict, left)
                .in_file(target.config.path())
                .advise("Add another recipient first: `sealant recipient add KEY --rule N`"));
        }
        let place = rule_edit::Place { rule: at, group: has_groups.then_some(index) };
        text = rule_edit::remove(&text, place, key)?;
    }
    Ok(text)
}

/// Says that files which are not in the working tree stay as they are.
fn tell_left_out(files: &[PathBuf], context: &Context) {
    if files.is_empty() {
        return;
    }
    let more =
        files.len().checked_sub(SHOWN).filter(|more| *more > 0).map(|more| format!("  and {more} more"));
    let lines = files.iter().take(SHOWN).map(|file| format!("  {}", file.display())).chain(more);
    let message = "a sparse checkout leaves these out, and this key can still decrypt them. When they are here, run \
                   `sealant updatekeys --rotate .`:";
    context.ui.warning_list(message, lines);
}

/// Refuses a config that is a link to one of another folder: that one's rules would change as well.
fn refuse_linked(config: &Path) -> Result<()> {
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(real), Ok(folder)) = (os::real_path(config), os::real_path(folder)) else { return Ok(()) };
    if real.parent() == Some(&*folder) {
        return Ok(());
    }
    let here = os::real_path(Path::new(".")).unwrap_or_default();
    let target = real.strip_prefix(here).unwrap_or(&real);
    let message = format!("is a link to {}, whose rules are for more than this folder", target.display());
    let advice = format!("To change it there, for all of them: add `--config {}`.", typed(target));
    Err(Error::new(Kind::Conflict, message).in_file(config).advise(advice))
}

/// A change of a config, with its files.
struct Task<'a> {
    aim: Aim,
    rotate: bool,
    act: &'a DoArgs,
    master: MasterKey,
    target: Target,
    chosen: Chosen,
    /// The config as it is to be.
    text: String,
}

impl Task<'_> {
    fn run(self, context: &Context) -> Result<ExitCode> {
        refuse_outside(self.target.config.path(), context)?;
        refuse_linked(self.target.config.path())?;
        let after = self.target.parsed(&self.text)?;
        let reached = self.target.changed(&after)?;
        self.refuse_unnamed(&reached, context)?;
        if self.text == self.target.text {
            context.ui.note("the config says so already");
        }
        let changed = context.with_config_text(self.target.config.path(), self.text.clone());
        let service = self.act.identities.key_service(&changed)?;
        let (inputs, others) = self.inputs(&reached, &changed)?;
        let left_out = if self.is_addition() { Vec::new() } else { self.left_out(&reached, &changed)? };
        let update =
            Update::of(&changed, &service, Formats::default(), self.aim.clone(), self.rotate, &inputs)?;
        let update = update.naming(self.target.names.clone());
        let mut failures = Failures::default();
        let plans = update.plan(inputs, &mut failures);
        let work: Vec<Plan> = plans.into_iter().filter(|plan| !plan.change.is_empty()).collect();
        if self.is_addition() && !failures.is_empty() {
            context.ui.say("Nothing was changed.");
            return Ok(failures.finish(context.ui));
        }
        let (work, closed) = self.openable(work, &service, context, &mut failures);
        if self.is_addition() && !failures.is_empty() {
            context.ui.say("Nothing was changed.");
            return Ok(failures.finish(context.ui));
        }
        self.show(&reached, context)?;
        update.show(&work)?;
        self.tell_closed(&closed, context);
        if !self.is_addition() && service.holds(&self.master) {
            context.ui.warning(
                "this is your own key: after this you cannot open these files, nor let yourself in again",
            );
        }
        if self.act.dry_run || !self.may_go_on(&reached, work.len(), context)? {
            return Ok(failures.finish(context.ui));
        }
        if self.text != self.target.text {
            let read = Snapshot::of(self.target.text.as_bytes());
            let (path, text) = (self.target.config.path(), self.text.as_bytes());
            fs::write_atomic_if_unchanged(path, text, Mode::Public, &read)?;
        }
        if !work.is_empty() {
            update.write(&service, work, &mut failures);
        }
        tell_left_out(&left_out, context);
        self.tell_after(others, context);
        self.fail_closed(&closed, &mut failures, context);
        Ok(failures.finish(context.ui))
    }

    fn is_addition(&self) -> bool {
        matches!(self.aim, Aim::Add(_))
    }

    fn named(&self) -> String {
        let after = self.target.parsed(&self.text).map(|config| config.names().clone()).unwrap_or_default();
        self.target.names.or(&after).beside(self.master.id(), self.master.to_string())
    }

    /// The files of the rules that change, and all others around the config.
    fn inputs(&self, reached: &[usize], changed: &Context) -> Result<(Inputs, Inputs)> {
        let here = changed.lookup()?.working_dir;
        let folder = self.target.config.path().parent().unwrap_or(Path::new("/"));
        let folder = match here.as_path() == folder {
            true => PathBuf::from("."),
            false => folder.strip_prefix(&here).unwrap_or(folder).to_path_buf(),
        };
        let args = InputArgs { files: vec![folder], filename_override: None };
        let mut all = inputs_to_write(&args, changed)?;
        let configs = changed.configs()?;
        let is_concerned = |input: &Input| {
            input.name.as_deref().is_some_and(|name| self.is_reached(name, reached, &configs))
        };
        let inputs = std::mem::take(&mut all.inputs);
        let (concerned, rest) = inputs.into_iter().partition(is_concerned);
        Ok((Inputs { inputs: concerned, ..all }, Inputs { inputs: rest, ..Inputs::default() }))
    }

    /// Whether a file is under one of these rules, or one that somebody chose.
    fn is_reached(&self, file: &Path, reached: &[usize], configs: &Configs) -> bool {
        configs.matching_policy(file).ok().flatten().is_some_and(|policy| {
            policy.rule.file == self.target.config.path()
                && (reached.contains(&policy.rule.index) || self.chosen.contains(&policy.rule.index))
        })
    }

    /// The files under these rules that a sparse checkout leaves out.
    fn left_out(&self, reached: &[usize], changed: &Context) -> Result<Vec<PathBuf>> {
        let folder = self.target.config.path().parent().unwrap_or(Path::new("/"));
        let Ok(git) = Git::of(changed.host, folder) else { return Ok(Vec::new()) };
        let configs = changed.configs()?;
        let names = changes::not_checked_out(&git)?.into_iter();
        Ok(names.filter(|name| self.is_reached(&git.top().join(name), reached, &configs)).collect())
    }

    /// The plans whose files an identity opens, all of them verified, and the files of the others.
    fn openable(
        &self,
        work: Vec<Plan>,
        service: &KeyService<'_>,
        context: &Context,
        failures: &mut Failures,
    ) -> (Vec<Plan>, Vec<Plan>) {
        let (mut open, mut closed) = (Vec::new(), Vec::new());
        for plan in work {
            let verified = read(&plan.input, Formats::default()).and_then(|source| {
                let opened = block_on(batch::open(service, vec![source])).pop();
                opened.unwrap_or_else(|| Err(crate::encrypted_file::no_answer()))
            });
            let verified = verified.and_then(|opened| match opened.file {
                OpenedFile::Document(document, key) => document.open(&key, MacCheck::Verify).map(drop),
                OpenedFile::Sealed(file, keys) => file.unseal(&keys).map(drop),
            });
            match verified {
                Ok(()) => open.push(plan),
                Err(error) if error.kind() == Kind::NoDataKey => closed.push(plan),
                Err(error) => failures.add(context.ui, &error.in_file(&plan.file)),
            }
        }
        (open, closed)
    }

    /// Nobody is asked with `--yes`: then no rule changes that was not named.
    fn refuse_unnamed(&self, reached: &[usize], context: &Context) -> Result<()> {
        let unnamed = reached.iter().filter(|at| !self.chosen.contains(at));
        let unnamed: Vec<String> = unnamed
            .map(|at| format!("  {}", self.target.shown(&self.target.policies[*at], context)))
            .collect();
        if unnamed.is_empty() || !self.act.yes || self.act.dry_run {
            return Ok(());
        }
        let message = "the list is shared through an anchor or a merge key, and these rules, which you did not name, \
                       would change too:";
        Err(Error::new(Kind::Conflict, message).listing(unnamed).in_file(self.target.config.path()).advise(
            "Add --all-rules if every rule is meant, or leave out --yes to be asked. To change one rule alone, write its \
             list out in the config.",
        ))
    }

    /// What changes in the config.
    fn show(&self, reached: &[usize], context: &Context) -> Result<()> {
        let ui = context.ui;
        if reached.is_empty() {
            return Ok(());
        }
        let sign = if self.is_addition() { '+' } else { '-' };
        let rules =
            reached.iter().map(|at| format!("  {}", self.target.shown(&self.target.policies[*at], context)));
        ui.lines(rules.chain([format!("    {sign} {}", self.named())]))?;
        let more = reached.iter().filter(|at| !self.chosen.contains(at)).count();
        if more > 0 {
            ui.warning(format!(
                "the list is shared through an anchor or a merge key: {more} of these rules change too, though you \
                 did not name them"
            ));
        }
        Ok(())
    }

    fn may_go_on(&self, reached: &[usize], files: usize, context: &Context) -> Result<bool> {
        // Where nothing would be written, there is nothing to ask.
        if self.act.yes || (files == 0 && self.text == self.target.text) {
            return Ok(true);
        }
        let (act, place) = if self.is_addition() { ("Add", "to") } else { ("Remove", "from") };
        let config = self.target.config.path().file_name().unwrap_or_default();
        let rules = (!reached.is_empty())
            .then(|| format!("{} of {}", counted(reached.len(), "rule"), config.display()));
        let files = (files > 0).then(|| counted(files, "file"));
        let places: Vec<String> = rules.into_iter().chain(files).collect();
        let places = if places.is_empty() { config.display().to_string() } else { places.join(" and ") };
        let question = format!("{act} {} {place} {places}?", self.named());
        let go_on = context.host.confirm(&question).map_err(|error| {
            Error::new(error.kind(), error.to_string())
                .advise("Add --yes to go on without being asked, or --dry-run to only see what would change.")
        })?;
        match go_on {
            true => Ok(true),
            false => Err(nothing_changed()),
        }
    }

    /// Says which files nobody here opens.
    fn tell_closed(&self, closed: &[Plan], context: &Context) {
        if closed.is_empty() {
            return;
        }
        let lines = closed.iter().take(SHOWN).map(|plan| format!("  {}", plain_path(&plan.file).display()));
        let more = closed.len().checked_sub(SHOWN).filter(|more| *more > 0);
        let more = more.map(|more| format!("  and {more} more"));
        context.ui.warning_list(
            format!("none of your identities opens {}; left unchanged:", counted(closed.len(), "file")),
            lines.chain(more),
        );
    }

    /// Who can open a file, but for the one that it is about.
    fn helpers(&self, plan: &Plan) -> String {
        let them = [Some(self.master.to_string()), self.target.names.short(self.master.id())];
        let is_other = |holder: &&String| self.is_addition() || !them.contains(&Some((*holder).clone()));
        let others: Vec<&str> = plan.holders.iter().filter(is_other).map(String::as_str).collect();
        others.join(", ")
    }

    /// Says who can finish what was begun here.
    fn fail_closed(&self, closed: &[Plan], failures: &mut Failures, context: &Context) {
        let Some(first) = closed.first() else { return };
        let files: Vec<String> =
            closed.iter().take(SHOWN).map(|plan| typed(&plain_path(&plan.file))).collect();
        let command = match self.is_addition() {
            true => format!("updatekeys --add {}", typed(self.master.id().as_ref())),
            false => "updatekeys --rotate".to_owned(),
        };
        let error = Error::new(
            Kind::NoDataKey,
            format!(
                "{} could not be updated; somebody with access has to do it",
                counted(closed.len(), "file")
            ),
        );
        failures.add(
            context.ui,
            &error.advise(format!(
                "Whoever has one of these keys can finish it, once the config is committed: {}. The command: `sealant {command} {}`",
                self.helpers(first),
                files.join(" ")
            )),
        );
    }

    /// What is left to do for people.
    fn tell_after(&self, others: Inputs, context: &Context) {
        if self.is_addition() {
            return;
        }
        let still: Vec<PathBuf> = others
            .inputs
            .iter()
            .filter_map(|input| {
                let source = read(input, Formats::default()).ok()?;
                meant(source.format, &source.bytes)?;
                let file = EncryptedFile::parse(source.format, source.bytes).ok()?;
                let data_keys = file.data_keys().ok()?;
                let mut keys = data_keys.iter().flat_map(|data_key| data_key.groups.iter().flatten());
                keys.any(|wrapped| wrapped.key.is_meant_by(&self.master)).then_some(source.path)
            })
            .collect();
        if !still.is_empty() {
            let more = still.len().checked_sub(SHOWN).filter(|more| *more > 0);
            let more = more.map(|more| format!("  and {more} more"));
            let lines =
                still.iter().take(SHOWN).map(|file| format!("  {}", plain_path(file).display())).chain(more);
            context
                .ui
                .warning_list("this key can still decrypt these, by other rules or without one:", lines);
        }
        let keeps = if self.rotate {
            ""
        } else {
            " It decrypts new values too, because the data keys stay the same."
        };
        context.ui.warning(format!(
            "whoever has this key may have kept what it decrypted, which stays in Git's history.{keeps} So change these \
             values where they come from: `sealant blast-radius --recipient {}` lists them.",
            typed(self.master.id().as_ref())
        ));
    }
}
