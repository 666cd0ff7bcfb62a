mod ages;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use crate::batch::{self, Parsed};
use crate::cli::args::plain_path;
use crate::cli::args::{Destination, FormatArgs, Input, InputArgs, ReportArgs};
use crate::cli::context::{Context, block_on};
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, Pipeline, encrypted_or_named, in_two_steps};
use crate::cli::repository;
use crate::config::Config;
use crate::error::{Kind, Result};
use crate::fs::Mode;
use crate::keys::StartedBy;
use crate::keys::vault::Vault;
use crate::keys::{KeyKind, Recipient, TransitKey, WrappedDataKey};
use crate::policy;
use crate::rekey::Change;
use crate::repo::status::{self, KeyStatus, Versions, WrapState};
use crate::repo::values::Values;
use ages::{Ages, FileAges, ValueAge};

/// Show how old values are, and which Vault keys are outdated
///
/// Without FILE it reads the current folder, except for what Git ignores. No key is needed. It asks the server of a
/// transit key for the newest version, with a token that may read the key. It contacts only servers that you have
/// named (VAULT_ADDR, or an allow-list), not those that only a file names.
///
/// In a Git repository the age of a value is that of its ciphertext: the time since the first commit of HEAD's
/// history that has it, in any file. New recipients (`updatekeys`) and a new version of a transit key (`rewrap`) do
/// not change it. Setting a value starts it again, and so does `rotate`, although the value stays the same: without a
/// key the two look alike, so the value itself may be older. Uncommitted values are 0 days old.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant status .
  sealant status --values secrets/
  sealant status --max-age 90d .    # for CI: fails when a value is older
  sealant status --format json . | jq -r '.[] | select(.state == \"old\").file'
  sealant rewrap .          # move old ones to the newest version")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// List each value with its age
    #[arg(long)]
    values: bool,

    /// Exit with code 1 if a value is older than this: 90d, 12w or 1y
    #[arg(long, value_name = "AGE", value_parser = ages::parse)]
    max_age: Option<i64>,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    formats: FormatArgs,
}

/// A file that was read.
struct Found {
    file: String,
    /// `None` for standard input.
    path: Option<PathBuf>,
    /// SealedSecrets have no such time.
    last_modified: Option<String>,
    keys: Vec<WrappedDataKey>,
    values: Values,
    config: Option<Arc<Config>>,
    /// What its creation rule would change.
    change: Option<Change>,
}

#[derive(Serialize)]
struct Row {
    file: String,
    state: WrapState,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    /// What is not as the creation rule says about who can decrypt.
    #[serde(skip_serializing_if = "Option::is_none")]
    differs_from_rule: Option<Change>,
    /// Of a file in a Git repository.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    ages: Option<FileAges>,
    keys: Vec<KeyStatus>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut failures = Failures::default();
    let found = read(args.inputs, &args.formats, context, &mut failures)?;
    let versions = ask_versions(&found, context, &mut failures);
    let mut ages = Ages::of(&found, args.values || args.max_age.is_some(), context, &mut failures);
    let rows: Vec<Row> = found
        .into_iter()
        .map(|found| {
            let ages = ages.of_file(&found, args.values);
            let Found { file, last_modified, keys, change, config, .. } = found;
            let named = |key: KeyStatus| {
                let name = config.as_ref().and_then(|config| config.names().get(&key.id)).map(str::to_owned);
                KeyStatus { name, ..key }
            };
            let keys: Vec<_> = status::of_file(&keys, &versions).into_iter().map(named).collect();
            let state = keys.iter().map(|key| key.state).max().unwrap_or(WrapState::Current);
            Row { file, state, last_modified, differs_from_rule: change, ages, keys }
        })
        .collect();
    match (args.report.is_json(), args.values) {
        (true, _) => context.ui.json(&rows)?,
        (false, _) if rows.is_empty() => {
            if failures.is_empty() {
                context.ui.say("nothing is encrypted here");
            }
        }
        (false, true) => print_values(&rows, context)?,
        (false, false) => print(&rows, context)?,
    }
    let is_too_old = args.max_age.is_some_and(|limit| ages.hold(limit, context, &mut failures));
    Ok(match (failures.is_empty(), is_too_old) {
        (true, true) => Kind::Other.exit_code().into(),
        // Not the code that says that something is too old.
        (false, _) if args.max_age.is_some() && failures.code() == Kind::Other.exit_code() => {
            Kind::Read.exit_code().into()
        }
        _ => failures.finish(context.ui),
    })
}

fn read(
    inputs: InputArgs,
    formats: &FormatArgs,
    context: &Context,
    failures: &mut Failures,
) -> Result<Vec<Found>> {
    let pipeline = Pipeline {
        context,
        inputs: repository::encrypted_inputs(inputs, context)?,
        formats: formats.input_only(context)?,
        destination: Destination::Stdout,
        dry_run: false,
        mode: Mode::Public,
        doing: "reading",
        summary: None,
    };
    let configs = context.configs()?;
    let mut found = Vec::new();
    pipeline.run_among(failures, |items| {
        in_two_steps(items, encrypted_or_named, |items| {
            let (inputs, sources): (Vec<_>, Vec<_>) =
                items.into_iter().map(|Item { input, source }| (input, source)).unzip();
            let note = |(result, input): (Result<Parsed>, Input)| {
                let Parsed { path, file, .. } = result?;
                let holders = file.holders().into_iter().map(|holder| holder.data_keys());
                let keys = holders.collect::<Result<Vec<_>>>()?.concat();
                let policy = input.name.as_deref().map(|name| configs.matching_policy(name)).transpose()?;
                let rule = policy.flatten().map(|policy| policy::key_set(&policy)).transpose()?.flatten();
                let change = rule.map(|rule| Change::between(&keys, &rule));
                let config =
                    input.name.as_deref().map(|name| configs.config_for(name)).transpose()?.flatten();
                found.push(Found {
                    config,
                    file: plain_path(&path).display().to_string(),
                    path: input.path,
                    last_modified: file.last_modified().map(str::to_owned),
                    values: Values::of(&file)?,
                    change: change.filter(|change| !change.is_empty()),
                    keys,
                });
                Ok(None)
            };
            batch::parse(sources).into_iter().zip(inputs).map(note).collect()
        })
    });
    Ok(found)
}

/// The transit keys of all files below the folder that one is in. What cannot be read is told, and has none.
pub fn transit_keys_here(context: &Context) -> Vec<TransitKey> {
    let found = read(InputArgs::default(), &FormatArgs::default(), context, &mut Failures::default());
    let all = found.iter().flatten().flat_map(|found| found.keys.iter().flat_map(status::transit_keys));
    all.cloned().collect()
}

/// Asks each server once about each of its keys.
fn ask_versions(found: &[Found], context: &Context, failures: &mut Failures) -> Versions {
    let all = found.iter().flat_map(|found| found.keys.iter().flat_map(status::transit_keys));
    let keys: BTreeMap<&TransitKey, ()> = all.map(|key| (key, ())).collect();
    let keys: Vec<&TransitKey> = keys.into_keys().collect();
    let vault = Vault::of_user(StartedBy::Program);
    let answers = if keys.is_empty() { Vec::new() } else { block_on(vault.versions(context.host, &keys)) };
    let mut versions = Versions::new();
    for (key, answer) in keys.into_iter().zip(answers) {
        if let Err(error) = &answer {
            failures.add(context.ui, error);
        }
        versions.insert(key.clone(), answer.ok());
    }
    versions
}

/// The ages are shown where there are any.
fn print(rows: &[Row], context: &Context) -> Result<()> {
    let has_ages = rows.iter().any(|row| row.ages.is_some());
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let keys: Vec<String> = row.keys.iter().map(|key| shown(key, &row.keys)).collect();
            let oldest = row.ages.as_ref().and_then(|ages| ages.oldest_value.as_ref());
            let mut cells = vec![row.file.clone(), word(row.state).to_owned()];
            cells.push(row.last_modified.clone().unwrap_or_default());
            cells.extend(has_ages.then(|| oldest.map(|oldest| oldest.age.to_string()).unwrap_or_default()));
            cells.push(keys.join(", "));
            cells
        })
        .collect();
    let header = ["file", "state", "last modified", "oldest value", "master keys"];
    let header: Vec<&str> = header.into_iter().filter(|name| has_ages || *name != "oldest value").collect();
    context.ui.table(&header, &cells)?;
    let strange = rows.iter().filter(|row| row.differs_from_rule.is_some()).count();
    if strange > 0 {
        context.ui.note(format!(
            "{strange} have other recipients than their creation rule says: `sealant check` shows which, and \
             `sealant updatekeys --rotate` fixes them"
        ));
    }
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    if count(WrapState::Expired) > 0 {
        context.ui.warning(format!(
            "{} use a version of a transit key that can no longer decrypt: lower min_decryption_version, run \
             `sealant rewrap`, and raise it again",
            count(WrapState::Expired)
        ));
    }
    if count(WrapState::Old) > 0 {
        context.ui.note(format!(
            "{} use an old version of a transit key: `sealant rewrap` moves them to the newest",
            count(WrapState::Old)
        ));
    }
    Ok(())
}

fn print_values(rows: &[Row], context: &Context) -> Result<()> {
    let cells = rows.iter().flat_map(|row| {
        let ages = row.ages.iter().flat_map(|ages| ages.values.iter().flatten());
        ages.map(|ValueAge { value, age }| {
            let since = age.since.map(|since| since.strftime("%Y-%m-%d").to_string());
            vec![row.file.clone(), value.clone(), age.to_string(), since.unwrap_or_default()]
        })
    });
    context.ui.table(&["file", "value", "age", "changed or rotated"], &cells.collect::<Vec<_>>())
}

fn word(state: WrapState) -> &'static str {
    match state {
        WrapState::Current => "current",
        WrapState::Unknown => "unknown",
        WrapState::Old => "old",
        WrapState::Expired => "expired",
    }
}

fn shown(key: &KeyStatus, all: &[KeyStatus]) -> String {
    let name = match (&key.name, key.kind) {
        (Some(name), _) => crate::names::short(name, &key.id),
        (None, KeyKind::Age) => Recipient::as_written(&key.id).short(),
        (None, _) => key.id.clone(),
    };
    let version = match (key.version, key.versions) {
        (Some(version), Some(versions)) => format!(" v{version} of v{}", versions.latest_version),
        (Some(version), None) => format!(" v{version}"),
        _ => String::new(),
    };
    let group = match all.iter().any(|other| other.group > 1) {
        true => format!("{}: ", key.group),
        false => String::new(),
    };
    format!("{group}{name}{version}")
}
