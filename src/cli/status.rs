use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::Serialize;

use crate::batch::{self, Parsed};
use crate::cli::args::{Destination, FormatArgs, InputArgs, ReportArgs};
use crate::cli::pipeline::{Item, Pipeline, encrypted_or_named, in_two_steps};
use crate::cli::{Context, Failures, block_on};
use crate::error::Result;
use crate::fs::Mode;
use crate::keys::vault::{StartedBy, Vault};
use crate::keys::{KeyKind, Recipient, TransitKey, WrappedDataKey};
use crate::repo::status::{self, KeyStatus, State, Versions};

/// Say who can decrypt files, and which hold an old version of a Vault transit key
///
/// No key is needed. Which version of a transit key is the newest is asked of its server, with a token that may read
/// the key; only servers are asked that you have named (VAULT_ADDR, or an allow-list), not those that only a file
/// names.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant status .
  sealant status secrets/ --format json | jq -r '.[] | select(.state == \"old\").file'
  sealant rewrap .          # move old ones to the newest version")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    formats: FormatArgs,
}

/// A file that was read.
struct Found {
    file: String,
    /// SealedSecrets have no such time.
    last_modified: Option<String>,
    keys: Vec<WrappedDataKey>,
}

#[derive(Serialize)]
struct Row {
    file: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    keys: Vec<KeyStatus>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut failures = Failures::default();
    let found = read(&args, context, &mut failures)?;
    let versions = ask_versions(&found, context, &mut failures);
    let rows: Vec<Row> = found
        .into_iter()
        .map(|Found { file, last_modified, keys }| {
            let keys = status::of_file(&keys, &versions);
            let state = keys.iter().map(|key| key.state).max().unwrap_or(State::Current);
            Row { file, state, last_modified, keys }
        })
        .collect();
    if args.report.is_json() {
        context.ui.json(&rows)?;
    } else {
        print(&rows, context)?;
    }
    Ok(failures.exit_code())
}

fn read(args: &Args, context: &Context, failures: &mut Failures) -> Result<Vec<Found>> {
    let pipeline = Pipeline {
        context,
        inputs: args.inputs.inputs()?,
        formats: args.formats.input_only(context.ui)?,
        destination: Destination::Stdout,
        dry_run: false,
        mode: Mode::Public,
        doing: "reading",
        summary: None,
    };
    let mut found = Vec::new();
    pipeline.run_among(failures, |items| {
        in_two_steps(items, encrypted_or_named, |items| {
            let sources = items.into_iter().map(|Item { source, .. }| source).collect();
            let note = |result: Result<Parsed>| {
                let Parsed { path, file, .. } = result?;
                let holders = file.holders().into_iter().map(|holder| holder.data_keys());
                found.push(Found {
                    file: path.display().to_string(),
                    last_modified: file.last_modified().map(str::to_owned),
                    keys: holders.collect::<Result<Vec<_>>>()?.concat(),
                });
                Ok(None)
            };
            batch::parse(sources).into_iter().map(note).collect()
        })
    });
    Ok(found)
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

fn print(rows: &[Row], context: &Context) -> Result<()> {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let keys: Vec<String> = row.keys.iter().map(|key| shown(key, &row.keys)).collect();
            vec![
                row.file.clone(),
                word(row.state).to_owned(),
                row.last_modified.clone().unwrap_or_default(),
                keys.join(", "),
            ]
        })
        .collect();
    context.ui.table(&["file", "state", "last modified", "master keys"], &cells)?;
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    if count(State::Expired) > 0 {
        context.ui.warning(format!(
            "{} hold a version of a transit key that decrypts nothing any more: lower min_decryption_version, run \
             `sealant rewrap`, and raise it again",
            count(State::Expired)
        ));
    }
    if count(State::Old) > 0 {
        context.ui.note(format!(
            "{} hold an old version of a transit key: `sealant rewrap` brings them to the newest",
            count(State::Old)
        ));
    }
    Ok(())
}

fn word(state: State) -> &'static str {
    match state {
        State::Current => "current",
        State::Unknown => "unknown",
        State::Old => "old",
        State::Expired => "expired",
    }
}

fn shown(key: &KeyStatus, all: &[KeyStatus]) -> String {
    let name = match key.kind {
        KeyKind::Age => Recipient::as_written(&key.id).short(),
        _ => key.id.clone(),
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
