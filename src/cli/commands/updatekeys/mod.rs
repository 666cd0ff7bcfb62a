mod newcomers;

use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::batch::{self, Parsed, Source};
use crate::claims::{self, SelectionChange};
use crate::cli::args::{
    Destination, FormatArgs, Formats, IdentityArgs, Input, InputArgs, Inputs, ReportArgs, plain_path,
};
use crate::cli::claims::{Claims, paths};
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::failures::Failures;
use crate::cli::merging;
use crate::cli::pipeline::{
    Item, NAMES_TOLD, Output, Pipeline, as_taken, encrypted_or_named, in_two_steps, lines_of,
};
use crate::cli::repository::inputs_to_write;
use crate::cli::ui::counted;
use crate::cli::unnamed::elsewhere;
use crate::config::{Configs, Policy, Selection};
use crate::document::Format;
use crate::encrypted_file::{EncryptedFile, KeyedPart, OpenedFile};
use crate::error::{Error, Kind, Result};
use crate::fs::{Mode, Snapshot};
use crate::host::Host;
use crate::keys::{self, KeyService, KeySet, MasterKey, WrappedDataKey};
use crate::names::{self, Names};
use crate::policy;
use crate::rekey::{self, Change, Decide, Readers};
use crate::secret::{DataKey, SecretBytes};
use crate::shown::typed;
use crate::sops::MacCheck;

/// Make files readable by exactly the recipients in .sops.yaml
///
/// The data key and all values stay the same, byte for byte. Removed recipients may have kept the data key: with
/// --rotate the files get a new one in the same step.
///
/// Which values a file encrypts does not change, unless --settings is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant updatekeys secrets.enc.yaml
  sealant updatekeys --dry-run .
  sealant updatekeys --rotate --yes .      # when somebody has left
  sealant updatekeys --add age1... secrets/db.yaml    # only this one
  sealant updatekeys --settings secrets/   # when a rule covers more values now")]
pub struct Args {
    #[command(flatten)]
    pub inputs: InputArgs,

    /// Do not ask before files are written
    #[arg(short, long)]
    pub yes: bool,

    /// Only add this recipient, by key or name, which the creation rules name
    ///
    /// Other differences between the files and their rules are listed, and stay.
    #[arg(long, value_name = "NAME|KEY", conflicts_with_all = ["rotate", "settings"])]
    pub add: Option<String>,

    /// Also make a new data key, so that removed recipients cannot decrypt new values
    #[arg(long)]
    pub rotate: bool,

    /// Also encrypt what the creation rule says: list the values that the file leaves in plaintext, then encrypt them
    ///
    /// This never turns an encrypted value into plaintext, whatever the rule says.
    #[arg(long)]
    pub settings: bool,

    /// Say what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub report: ReportArgs,

    #[command(flatten)]
    pub formats: FormatArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if args.inputs.takes_stdin() {
        return Err(Error::new(Kind::Usage, "updatekeys changes files in place, and no file was named")
            .advise("Name files or folders, as in `sealant updatekeys .`"));
    }
    let inputs = inputs_to_write(&args.inputs, context)?;
    let service = args.identities.key_service(context)?;
    let newcomer = args.add.as_deref().map(|key| policy::key_or_name(key, &context.names()));
    let newcomer = newcomer.transpose().map_err(|error| or_on_branch(error, args.add.as_deref()))?;
    let aim = newcomer.map_or(Aim::Rule, Aim::Add);
    let formats = args.formats.input_only(context)?;
    let update = Update::of(context, &service, formats, aim, args.rotate, &inputs)?;
    let update = Update { settings: args.settings, is_json: args.report.is_json(), ..update };
    let mut failures = Failures::default();
    let plans = update.plan(inputs, &mut failures);
    update.show(&plans)?;
    let work: Vec<Plan> = plans.into_iter().filter(|plan| args.rotate || !plan.up_to_date).collect();
    if !work.is_empty() && !args.dry_run && update.may_go_on(&work, args.yes)? {
        update.write(&service, work, &mut failures);
    }
    Ok(failures.finish(context.ui))
}

/// The error about a newcomer of whom nothing here knows: those who ask for access do so on a branch.
fn or_on_branch(error: Error, typed: Option<&str>) -> Error {
    if typed.is_none_or(|typed| names::is_like_a_key(typed) || keys::looks_secret(typed).is_some()) {
        return error;
    }
    let known = error.advice().unwrap_or_default().to_owned();
    error.advise(format!("{known} If they ask for access on a branch, go there first: `git switch BRANCH`"))
}

/// What a person is told who answered no.
pub(super) fn nothing_changed() -> Error {
    Error::new(Kind::Other, "cancelled: nothing was changed")
}

/// What of the creation rules comes into files.
#[derive(Debug, Clone)]
pub(super) enum Aim {
    /// All.
    Rule,
    /// One who is named comes in, and nobody else.
    Add(MasterKey),
    /// One who is not named any more goes, and nobody comes in.
    Take(MasterKey),
}

pub(super) struct Update<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    claims: Claims<'a>,
    neighbours: Neighbours<'a>,
    service: &'a KeyService<'a>,
    formats: Formats,
    aim: Aim,
    /// With a new data key.
    rotate: bool,
    settings: bool,
    is_json: bool,
    /// What keys were called before the change, where the config has names for them no more.
    earlier: Names,
}

/// What is to be done to a file.
#[derive(Serialize)]
pub(super) struct Plan {
    pub file: PathBuf,
    up_to_date: bool,
    #[serde(flatten)]
    pub change: Change,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsPlan>,
    #[serde(skip)]
    pub input: Input,
    /// Who can open the file, as people know them.
    #[serde(skip)]
    pub holders: Vec<String>,
    #[serde(skip)]
    readers: Readers,
    #[serde(skip)]
    policy: Policy,
    /// How many values whoever comes in can read.
    #[serde(skip)]
    values: usize,
    /// The file that the plan is for.
    #[serde(skip)]
    snapshot: Snapshot,
}

/// What another choice of which values are encrypted does to a file.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct SettingsPlan {
    /// As metadata have it, `encrypted_regex: ^data$` for instance.
    before: String,
    after: String,
    /// The values that are in plaintext, and are going to be encrypted.
    encrypts: Vec<String>,
    #[serde(skip)]
    selection: Selection,
}

impl SettingsPlan {
    /// For people, with the values that it encrypts.
    fn lines(&self) -> Vec<String> {
        let encrypts = self.encrypts.iter().map(|path| format!("    encrypts {path}"));
        iter::once(format!("  {} instead of {}", self.after, self.before)).chain(encrypts).collect()
    }
}

/// For whom the files are, as it was shown.
struct Planned<'a> {
    by_file: HashMap<PathBuf, (Readers, Snapshot)>,
    neighbours: &'a Neighbours<'a>,
}

impl Decide for Planned<'_> {
    fn keys(&self, parsed: &Parsed, holder: KeyedPart<'_>) -> Result<KeySet> {
        match self.by_file.get(&parsed.path) {
            Some((readers, snapshot)) if *snapshot == parsed.snapshot => readers.of(holder),
            _ => {
                let message = "was changed by somebody else in the meantime, and was left alone";
                Err(Error::new(Kind::Write, message).advise("Run the command again."))
            }
        }
    }

    fn admit(&self, path: &Path, data_key: &DataKey, keys: &KeySet) -> Result<()> {
        self.neighbours.refuse_key(path, data_key, keys)
    }
}

/// The keys of a file by their names, else as they are.
fn as_people_know(current: &[WrappedDataKey], policy: &Policy) -> Vec<String> {
    let mut known = Vec::new();
    for key in current.iter().flat_map(rekey::names).flatten() {
        let shown = policy.names.short(key.id()).unwrap_or_else(|| key.to_string());
        if !known.contains(&shown) {
            known.push(shown);
        }
    }
    known
}

/// The plans in groups of those that change the same, in the order of their first.
fn alike(plans: Vec<&Plan>) -> Vec<Vec<&Plan>> {
    let mut groups: Vec<Vec<&Plan>> = Vec::new();
    for plan in plans {
        match groups
            .iter_mut()
            .find(|group| group[0].change == plan.change && group[0].settings == plan.settings)
        {
            Some(group) => group.push(plan),
            None => groups.push(vec![plan]),
        }
    }
    groups
}

impl<'a> Update<'a> {
    /// One for these files.
    pub fn of(
        context: &'a Context<'a>,
        service: &'a KeyService<'a>,
        formats: Formats,
        aim: Aim,
        rotate: bool,
        inputs: &Inputs,
    ) -> Result<Self> {
        let claims = Claims::new(context)?;
        let paths = inputs.inputs.iter().filter_map(|input| input.path.as_deref());
        merging::tell_of_rules(context, paths.clone())?;
        let (configs, neighbours) = (context.configs()?, Neighbours::with_versions(context, paths)?);
        Ok(Self {
            context,
            configs,
            claims,
            neighbours,
            service,
            formats,
            aim,
            rotate,
            settings: false,
            is_json: false,
            earlier: Names::default(),
        })
    }

    /// The same where keys were called so before the change.
    pub fn naming(self, earlier: Names) -> Self {
        Self { earlier, ..self }
    }

    /// Reads the files and says what has to change. No key is needed.
    pub fn plan(&self, inputs: Inputs, failures: &mut Failures) -> Vec<Plan> {
        let (mut plans, mut without_rule) = (Vec::new(), Vec::new());
        self.pipeline(inputs, "reading").run_among(failures, |items| {
            in_two_steps(items, encrypted_or_named, |items| {
                let (inputs, sources): (Vec<Input>, Vec<_>) = items
                    .into_iter()
                    .map(|Item { input, source }| (input, as_taken(source, self.context)))
                    .unzip();
                let planned = batch::parse(sources).into_iter().zip(inputs).map(|(parsed, input)| {
                    let parsed = parsed?;
                    let name = input.name.as_deref().unwrap_or(&parsed.path);
                    let policy = match self.rule(name) {
                        // Somebody has encrypted it by flags, and a folder is not about it.
                        Err(error)
                            if error.kind() == Kind::Other && !input.named && !self.context.is_sops() =>
                        {
                            without_rule.push(parsed.path);
                            return Ok(None);
                        }
                        rule => rule?,
                    };
                    plans.push(self.plan_for(parsed, input, policy)?);
                    Ok(None)
                });
                planned.collect()
            })
        });
        if !without_rule.is_empty() {
            let files = without_rule.iter().map(PathBuf::as_path);
            self.context.ui.note_list(
                "no creation rule matches these, which are encrypted all the same and stay unchanged:",
                lines_of(files, NAMES_TOLD),
            );
        }
        plans
    }

    fn plan_for(&self, parsed: Parsed, input: Input, policy: Policy) -> Result<Plan> {
        let holders = parsed.file.holders().into_iter();
        let current = holders.map(|holder| holder.data_keys()).collect::<Result<Vec<_>>>()?.concat();
        let name = input.name.as_deref().unwrap_or(&parsed.path);
        let rule = keys_of_rule(&policy)?;
        let holders = as_people_know(&current, &policy);
        let readers = match &self.aim {
            Aim::Rule => Readers::OfRule(rule.clone()),
            Aim::Add(newcomer) => Readers::With { rule: rule.clone(), newcomer: newcomer.clone() },
            Aim::Take(leaver) => Readers::Without { rule: rule.clone(), leaver: leaver.clone() },
        };
        let keys =
            readers.of_all(&parsed.file.holders(), &rule).map_err(|error| error.in_file(&parsed.path))?;
        for wrapped in &current {
            rekey::refuse_new_foreign(wrapped, &keys, self.rotate)?;
        }
        let change = Change::between(&current, &keys);
        if self.rotate || change.lets_in() {
            self.neighbours.refuse(&parsed.path, &parsed.file, &keys)?;
        }
        if matches!(self.aim, Aim::Add(_)) {
            self.tell_others(&parsed.path, &Change::between(&current, &rule), &change, &policy);
        }
        let values = if change.lets_in() { parsed.file.count_values()? } else { 0 };
        let (file, snapshot) = (parsed.path.clone(), parsed.snapshot);
        let settings = match self.settings {
            true => self.settings(parsed, &policy).map_err(|error| error.in_file(&file))?,
            false => {
                self.claims.tell_settings(name, &parsed.file);
                None
            }
        };
        let up_to_date = change.is_empty() && settings.is_none();
        Ok(Plan { up_to_date, change, settings, input, holders, readers, policy, values, file, snapshot })
    }

    /// Says what else differs from the rule, and stays.
    fn tell_others(&self, path: &Path, all: &Change, done: &Change, policy: &Policy) {
        let done = done.lines(&policy.names);
        let others: Vec<String> =
            all.lines(&policy.names).into_iter().filter(|line| !done.contains(line)).collect();
        if !others.is_empty() {
            let shown = path.display();
            self.context.ui.note_list(
                format!("{shown}: this also differs from its creation rule, and stays unchanged:"),
                others,
            );
        }
    }

    /// What the rule's choice of values does to a document, which is opened for it.
    fn settings(&self, parsed: Parsed, policy: &Policy) -> Result<Option<SettingsPlan>> {
        let (EncryptedFile::Document(file), Some(selection)) = (&parsed.file, &policy.selection) else {
            return Ok(None);
        };
        if file.metadata.selection == *selection || file.format() == Format::Binary {
            return Ok(None);
        }
        let OpenedFile::Document(file, key) = block_on(batch::open_one_parsed(self.service, parsed))?.file
        else {
            return Ok(None);
        };
        let own = &file.metadata.selection;
        let plaintext = file.open(&key, MacCheck::Verify)?;
        let SelectionChange { hidden, exposed } = claims::change_of_selection(&*plaintext, own, selection)?;
        if !exposed.is_empty() {
            let message = format!(
                "these are encrypted by the file's `{own}`, and would be in plaintext by the rule's `{selection}`: \
                 {}",
                paths(&exposed, &*plaintext)
            );
            return Err(Error::new(Kind::Conflict, message).advise(
                "updatekeys never turns an encrypted value into plaintext. Change the rule, or, if you mean this, \
                 decrypt the file and encrypt it again: `sealant decrypt -i FILE`, then `sealant encrypt -i FILE`.",
            ));
        }
        let encrypts = hidden.into_iter().map(|leaf| leaf.path(&*plaintext)).collect();
        let (before, after) = (own.to_string(), selection.to_string());
        Ok(Some(SettingsPlan { before, after, encrypts, selection: selection.clone() }))
    }

    fn rule(&self, name: &Path) -> Result<Policy> {
        let found = self.configs.policy_for(name).map_err(|error| match error.kind() {
            Kind::Other if !self.context.is_sops() => {
                let by_hand = "To change its recipients without a rule: `sealant rotate -i --add-age KEY --rm-age KEY FILE`";
                let by_hand = by_hand.replace("FILE", &typed(&plain_path(name)));
                match elsewhere(&self.configs, name, "updatekeys", self.context) {
                    Some(advice) => error.advise(format!("{advice}. {by_hand}")),
                    None => error.advise(format!("Add a rule for it to the config. {by_hand}")),
                }
            }
            _ => error,
        });
        found?.ok_or_else(|| {
            let rotate = "change the recipients with `sealant rotate --add-age ... --rm-age ...`";
            Error::new(Kind::ConfigNotFound, "there is no config with creation rules that name recipients")
                .advise(format!("{}, or {rotate}.", self.configs.advice_for(name)))
        })
    }

    pub fn show(&self, plans: &[Plan]) -> Result<()> {
        let ui = self.context.ui;
        if self.is_json {
            return ui.json(&plans);
        }
        let (done, work): (Vec<&Plan>, Vec<&Plan>) =
            plans.iter().partition(|plan| plan.up_to_date && !self.rotate);
        match &done[..] {
            [] => {}
            [only] => ui.note(format!("{}: already up to date", only.file.display())),
            several => ui.note(format!("{} files: already up to date", several.len())),
        }
        let new_data_key = self.rotate.then(|| "  a new data key".to_owned());
        alike(work).into_iter().try_for_each(|plans| {
            let files = plans.iter().map(|plan| plain_path(&plan.file).display().to_string());
            let settings = plans[0].settings.iter().flat_map(SettingsPlan::lines);
            ui.lines(
                files
                    .chain(plans[0].change.lines(&plans[0].policy.names.or(&self.earlier)))
                    .chain(settings)
                    .chain(new_data_key.clone()),
            )
        })
    }

    /// Tells what this does not do, and asks, unless that was answered beforehand.
    fn may_go_on(&self, work: &[Plan], is_told: bool) -> Result<bool> {
        let ui = self.context.ui;
        if !self.rotate && work.iter().any(|plan| plan.change.removes()) {
            let rotate = if self.context.is_sops() { "`sops rotate -i FILE`" } else { "--rotate" };
            ui.warning(format!(
                "people who are removed can still decrypt: the data key stays the same, and older versions of the files \
                 are in Git's history. Give the files a new data key with {rotate}, and change the secrets where \
                 they come from."
            ));
        }
        if is_told {
            return Ok(true);
        }
        if !self.context.is_sops() {
            newcomers::tell(work, self.context);
        }
        let files = match work {
            [only] => only.file.display().to_string(),
            several => format!("these {} files", several.len()),
        };
        let go_on = self.context.host.confirm(&format!("Change {files}?")).map_err(|error| {
            let or = if self.context.is_sops() { "" } else { ", or --dry-run to only see what would change" };
            Error::new(error.kind(), error.to_string())
                .advise(format!("Add --yes to go on without being asked{or}."))
        })?;
        match (go_on, self.context.is_sops()) {
            (true, _) => Ok(true),
            (false, false) => Err(nothing_changed()),
            (false, true) => {
                ui.say("Nothing was changed.");
                Ok(false)
            }
        }
    }

    /// Changes the files, and says how many.
    pub fn write(&self, service: &KeyService<'_>, work: Vec<Plan>, failures: &mut Failures) {
        let (count, failed_before) = (work.len(), failures.count());
        let inputs = work.iter().map(|plan| plan.input.clone()).collect();
        let mut selections = HashMap::new();
        let mut by_file: HashMap<PathBuf, (Readers, Snapshot)> = HashMap::new();
        for Plan { file, readers, snapshot, settings, .. } in work {
            selections.extend(settings.map(|settings| (file.clone(), settings.selection)));
            by_file.insert(file, (readers, snapshot));
        }
        let planned = Planned { by_file, neighbours: &self.neighbours };
        let inputs = Inputs { inputs, many: true, ..Inputs::default() };
        self.pipeline(inputs, "updating").run_among(failures, |items| {
            let now = self.context.host.now();
            // sops does not look at the MAC here; it is told of.
            let check = if self.context.is_sops() { MacCheck::Ignore } else { MacCheck::Verify };
            let select = |item: Item| match selections.get(&item.source.path) {
                Some(selection) => self.selected(item, selection).map(Some),
                None => Ok(Some(item)),
            };
            in_two_steps(items, select, |items| {
                let sources = items.into_iter().map(|item| as_taken(item.source, self.context)).collect();
                let written = match self.rotate {
                    true => block_on(rekey::rotate(service, sources, now, MacCheck::Verify, &planned)),
                    false => block_on(rekey::update_keys(service, sources, check, &planned)),
                };
                written.into_iter().map(|result| result.map(|file| Some(Output::from(file)))).collect()
            })
        });
        if !self.context.is_sops() {
            let done = count.saturating_sub(failures.count() - failed_before);
            self.context.ui.say(format!("{} updated", counted(done, "file")));
        }
    }

    /// A document encrypted by another choice of values, for what else is done to it; on disk it is as it was.
    fn selected(&self, Item { input, source }: Item, selection: &Selection) -> Result<Item> {
        let (path, format, snapshot) = (source.path.clone(), source.format, source.snapshot);
        let opened = block_on(batch::open_document(self.service, source))?;
        let now = self.context.host.now();
        let written =
            rekey::select(&opened.file, &opened.key, selection, now).map_err(|error| error.in_file(&path))?;
        let source = Source { path, format, bytes: SecretBytes::new(written.bytes), snapshot };
        Ok(Item { input, source })
    }

    fn pipeline(&self, inputs: Inputs, doing: &'static str) -> Pipeline<'_> {
        Pipeline {
            context: self.context,
            inputs,
            formats: self.formats,
            destination: Destination::InPlace,
            dry_run: false,
            mode: Mode::Public,
            doing,
            summary: None,
        }
    }
}

fn keys_of_rule(policy: &Policy) -> Result<KeySet> {
    policy::key_set(policy)?.ok_or_else(|| {
        Error::new(Kind::Other, "the creation rule names no recipients")
            .in_file(&policy.rule.file)
            .on_line(policy.rule.line)
            .advise("Add a line such as `age: age1...` to the rule.")
    })
}
