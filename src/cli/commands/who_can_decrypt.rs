use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use crate::batch::{self, Parsed};
use crate::cli::args::plain_path;
use crate::cli::args::{Destination, FormatArgs, InputArgs, ListFormat};
use crate::cli::context::Context;
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, Pipeline, in_two_steps};
use crate::cli::repository;
use crate::config::Config;
use crate::encrypted_file::meant;
use crate::error::Result;
use crate::fs::Mode;
use crate::keys::{KeyKind, Recipient};
use crate::names;
use crate::repo::who_can_decrypt::{self, Access, Asked, Reader, Share};

/// List who can decrypt which files; needs no key
///
/// Lists the recipients of every encrypted file, and of each item of a SealedSecret where items differ. It says if a
/// file needs keys from several groups. Without FILE it lists the current folder, except for what Git ignores. Files
/// that are not encrypted are not listed.
///
/// Recipients appear by name if the config has one: `sealant: {recipients: {age1...: Anna's laptop}}`.
///
/// The recipients in a file are not authenticated: anybody who can write to the file can add or remove some. Who may
/// use a key in Vault is up to Vault's policies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant who-can-decrypt
  sealant who-can-decrypt --recipient age1...    # or a name from the config
  sealant who-can-decrypt production/ --format csv > access.csv")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    /// Only what this recipient or Vault key can decrypt, alone or with others
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Option<String>,

    /// Print the list for people, as JSON, or as CSV for a spreadsheet
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ListFormat,

    #[command(flatten)]
    formats: FormatArgs,
}

/// What of a file its recipients can open.
#[derive(Serialize)]
struct Row {
    file: String,
    #[serde(flatten)]
    access: Access,
    /// What the recipient that was asked about can do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens: Option<Share>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let asked = args.recipient.as_deref().map(Asked::new);
    let pipeline = Pipeline {
        context,
        formats: args.formats.input_only(context)?,
        inputs: repository::encrypted_inputs(args.inputs, context)?,
        destination: Destination::Stdout,
        dry_run: false,
        mode: Mode::Public,
        doing: "reading",
        summary: None,
    };
    let configs = context.configs()?;
    let mut known = Vec::from_iter(configs.config_for(&context.lookup()?.working_dir.join("any"))?);
    let (mut failures, mut rows) = (Failures::default(), Vec::new());
    pipeline.run_among(&mut failures, |items| {
        in_two_steps(items, encrypted, |items| {
            let (names, sources): (Vec<_>, Vec<_>) =
                items.into_iter().map(|Item { input, source }| (input.name, source)).unzip();
            let note = |(parsed, name): (Result<Parsed>, Option<PathBuf>)| {
                let Parsed { path, file, .. } = parsed?;
                let file_name = plain_path(&path).display().to_string();
                let config = name.map(|file| configs.config_for(&file)).transpose()?.flatten();
                known.extend(config.clone().filter(|_| asked.is_some()));
                for access in who_can_decrypt::of_file(&file, &namer(config))? {
                    let opens = asked.as_ref().and_then(|asked| access.share(asked));
                    if asked.is_none() || opens.is_some() {
                        rows.push(Row { file: file_name.clone(), access, opens });
                    }
                }
                Ok(None)
            };
            batch::parse(sources).into_iter().zip(names).map(note).collect()
        })
    });
    if let Some(asked) = asked.filter(|_| rows.is_empty()) {
        let names = known.iter().flat_map(|config| config.names().iter()).map(|(_, name)| name);
        asked.check(names, ALL_KEYS)?;
    }
    match args.format {
        ListFormat::Json => context.ui.json(&rows)?,
        ListFormat::Csv => csv(&rows, context)?,
        // Nothing is said of what could not be read.
        ListFormat::Table if rows.is_empty() && !failures.is_empty() => {}
        ListFormat::Table if rows.is_empty() => context.ui.say(match &args.recipient {
            Some(_) => "nothing here is encrypted for this recipient",
            None => "nothing is encrypted here",
        }),
        ListFormat::Table => table(&rows, context)?,
    }
    Ok(failures.finish(context.ui))
}

/// How to find a key whose name nobody knows.
const ALL_KEYS: &str = "`sealant who-can-decrypt --format csv` lists the recipients and keys of all files.";

/// Nobody has to name encrypted files alone.
fn encrypted(item: Item) -> Result<Option<Item>> {
    Ok(meant(item.source.format, &item.source.bytes).map(|_| item))
}

/// What the config of a file calls recipients.
fn namer(config: Option<Arc<Config>>) -> impl Fn(&str) -> Option<String> {
    move |recipient: &str| config.as_ref()?.names().get(recipient).map(str::to_owned)
}

fn table(rows: &[Row], context: &Context) -> Result<()> {
    let asked = rows.iter().any(|row| row.opens.is_some());
    let sealed = rows.iter().any(|row| row.access.object.is_some());
    let cells = rows.iter().map(|Row { file, access, opens }| {
        let mut cells = vec![file.clone()];
        if sealed {
            cells.push(what(access));
        }
        cells.push(match opens {
            Some(share) => share.to_string(),
            None => groups(access),
        });
        cells
    });
    let last = if asked { "can decrypt it" } else { "who can decrypt it" };
    let header = if sealed { vec!["file", "what", last] } else { vec!["file", last] };
    context.ui.table(&header, &cells.collect::<Vec<_>>())
}

/// The SealedSecret, and its items where they are not open to the same.
fn what(access: &Access) -> String {
    let object = access.object.clone().unwrap_or_default();
    match &access.items {
        Some(items) => format!("{object}: {}", items.join(", ")),
        None => object,
    }
}

fn groups(access: &Access) -> String {
    let names: Vec<String> =
        access.groups.iter().map(|group| group.iter().map(shown).collect::<Vec<_>>().join(", ")).collect();
    match &names[..] {
        [only] => only.clone(),
        several => format!("{} of these together: {}", access.required, several.join(" | ")),
    }
}

fn shown(reader: &Reader) -> String {
    match (&reader.name, reader.kind) {
        (Some(name), _) => names::short(name, &reader.id),
        (None, KeyKind::Age) => Recipient::as_written(&reader.id).short(),
        (None, _) => reader.id.clone(),
    }
}

/// One line for each recipient of each row.
fn csv(rows: &[Row], context: &Context) -> Result<()> {
    let header =
        ["file", "object", "items", "required", "groups", "group", "kind", "recipient", "name", "opens"];
    let mut cells = Vec::new();
    for Row { file, access, opens } in rows {
        for (number, reader) in access
            .groups
            .iter()
            .enumerate()
            .flat_map(|(at, group)| group.iter().map(move |reader| (at + 1, reader)))
        {
            cells.push(vec![
                file.clone(),
                access.object.clone().unwrap_or_default(),
                access.items.as_ref().map(|items| items.join(" ")).unwrap_or_default(),
                access.required.to_string(),
                access.groups.len().to_string(),
                number.to_string(),
                reader.kind.to_string(),
                reader.id.clone(),
                reader.name.clone().unwrap_or_default(),
                opens.map(|share| share.to_string()).unwrap_or_default(),
            ]);
        }
    }
    context.ui.csv(&header, &cells)
}
