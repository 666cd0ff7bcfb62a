use std::process::ExitCode;

use clap::builder::styling::Style;
use serde::Serialize;

use crate::cli::args::{Destination, FormatArgs, InputArgs, ReportArgs};
use crate::cli::context::Context;
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, Pipeline, in_two_steps};
use crate::cli::ui::Ui;
use crate::config::Selection;
use crate::document::Format;
use crate::encrypted_file::{EncryptedFile, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::names::Names;
use crate::sealed_secret::{self, Binding, DataKeyOverview, Overview, SealedSecret, WrapOverview};
use crate::sops::Encrypted;

/// Show what is in encrypted files, and for whom; needs no key
///
/// For a SealedSecret: what it is bound to, its items, who can read each of them, and what Secret it makes. For a
/// SOPS document: who can decrypt it, which values are encrypted, and when and by which version it was written. None
/// of that is authenticated: anybody who can write to a file can change it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant inspect db.yaml
  sealant inspect --format json . | jq -r '.[] | select(.warnings != []).file'
  kubectl get sealedsecrets.sealant.dev -A -o yaml | sealant inspect")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    formats: FormatArgs,
}

/// What was found in a file.
#[derive(Serialize)]
struct Report {
    file: String,
    #[serde(flatten)]
    content: Content,
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Content {
    SealedSecret {
        #[serde(flatten)]
        overview: Overview,
        #[serde(skip)]
        place: String,
    },
    #[serde(rename = "SOPS")]
    Sops(Sops),
}

/// A SOPS document, seen from outside.
#[derive(Serialize)]
struct Sops {
    format: &'static str,
    last_modified: String,
    version: String,
    /// The setting that says which values are encrypted, and its pattern.
    selection: String,
    mac_only_encrypted: bool,
    encrypted_values: usize,
    /// Of how many groups it takes a master key.
    required: usize,
    groups: Vec<Vec<WrapOverview>>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let pipeline = Pipeline {
        context,
        inputs: args.inputs.inputs()?,
        formats: args.formats.input_only(context)?,
        destination: Destination::Stdout,
        dry_run: false,
        mode: Mode::Public,
        doing: "reading",
        summary: None,
    };
    let (mut failures, mut reports) = (Failures::default(), Vec::new());
    pipeline.run_among(&mut failures, |items| {
        in_two_steps(items, inspect, |found: Vec<Vec<Report>>| {
            let note = |found| {
                reports.extend(found);
                Ok(None)
            };
            found.into_iter().map(note).collect()
        })
    });
    if args.report.is_json() {
        context.ui.json(&reports)?;
    } else {
        let names = context.names();
        for (index, report) in reports.iter().enumerate() {
            if index > 0 {
                context.ui.line("")?;
            }
            report.print(context.ui, &names)?;
        }
        if reports.is_empty() && failures.is_empty() {
            context.ui.say("nothing in it is encrypted");
        }
    }
    Ok(failures.finish(context.ui))
}

/// What is in a file; `None` for one that was only found, and is not encrypted.
fn inspect(Item { input, source }: Item) -> Result<Option<Vec<Report>>> {
    let file = input.shown().display().to_string();
    let in_file = |error: Error| error.in_file(input.shown());
    let format = source.format;
    if meant(format, &source.bytes).is_none() {
        return if input.named { Err(in_file(not_encrypted())) } else { Ok(None) };
    }
    let reports = match EncryptedFile::parse(format, source.bytes).map_err(in_file)? {
        EncryptedFile::Document(encrypted) => of_sops(&file, &encrypted).map(|report| vec![report]),
        EncryptedFile::Sealed(found) => {
            found.objects.iter().map(|(_, sealed)| of_sealed(&file, sealed, format)).collect()
        }
    };
    reports.map(Some).map_err(in_file)
}

fn not_encrypted() -> Error {
    Error::new(Kind::Other, "this is neither a SealedSecret nor a SOPS document").advise(
        "`sealant seal` turns a Secret into a SealedSecret; `sealant encrypt` turns any document into a SOPS \
                 document.",
    )
}

fn of_sealed(file: &str, sealed: &SealedSecret, format: Format) -> Result<Report> {
    let overview = sealed_secret::overview(sealed)?;
    let mut warnings = sealed_secret::warnings(sealed, sealed_secret::manifest(sealed, format)?.len());
    if !overview.items.is_empty()
        && overview.data_keys.iter().all(|key| key.required == 1)
        && !overview.readers.iter().any(|reader| reader.all)
    {
        warnings
            .push("no single recipient can read all of it, so no controller can make the Secret".to_owned());
    }
    let place = match Binding::of(sealed) {
        Ok(place) => place.to_string(),
        Err(_) => "no namespace of its own: the one that it is applied in".to_owned(),
    };
    Ok(Report { file: file.to_owned(), content: Content::SealedSecret { overview, place }, warnings })
}

fn of_sops(file: &str, encrypted: &Encrypted) -> Result<Report> {
    let metadata = &encrypted.metadata;
    let sops = Sops {
        format: encrypted.format().name(),
        last_modified: metadata.last_modified.clone(),
        version: metadata.version.clone(),
        selection: metadata.selection.to_string(),
        mac_only_encrypted: metadata.mac_only_encrypted,
        encrypted_values: encrypted.count_encrypted()?,
        required: metadata.keys.required(),
        groups: WrapOverview::groups(&metadata.keys),
    };
    let warnings =
        metadata.mac.is_none().then(|| "it has no MAC: changes to it cannot be detected".to_owned());
    Ok(Report {
        file: file.to_owned(),
        content: Content::Sops(sops),
        warnings: warnings.into_iter().collect(),
    })
}

impl Report {
    fn print(&self, ui: &Ui, names: &Names) -> Result<()> {
        let (what, rows) = match &self.content {
            Content::SealedSecret { overview, place } => {
                (sealed_title(overview), sealed_rows(overview, place, names))
            }
            Content::Sops(sops) => (format!("SOPS document ({})", sops.format), sops_rows(sops, names)),
        };
        ui.styled_line(&[(Style::new().bold(), &self.file), (Style::new(), &format!(": {what}"))])?;
        let warnings = self.warnings.iter().map(|warning| ("warning", warning.clone()));
        let mut last = "";
        for (name, value) in rows.into_iter().chain(warnings) {
            let shown = if name == last { "" } else { name };
            last = name;
            ui.line(format!("  {shown:<10}  {value}"))?;
        }
        Ok(())
    }
}

fn sealed_title(overview: &Overview) -> String {
    let namespace = overview.namespace.as_ref().map(|namespace| format!("{namespace}/"));
    format!("SealedSecret {}{}", namespace.unwrap_or_default(), overview.name)
}

type Rows = Vec<(&'static str, String)>;

fn sealed_rows(overview: &Overview, place: &str, called: &Names) -> Rows {
    let mut rows: Rows = vec![("scope", format!("{}: {place}", overview.scope)), ("makes", made(overview))];
    let names = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
    let several = overview.data_keys.len() > 1;
    let mut items = overview.items.iter();
    rows.push((
        "items",
        if items.len() == 0 {
            "none".to_owned()
        } else {
            names(&mut items.by_ref().map(|item| item.name.as_str()))
        },
    ));
    for reader in &overview.readers {
        let name = called.beside(&reader.recipient, short(&reader.recipient))
            + &versions(&reader.recipient, overview);
        match &reader.items[..] {
            _ if reader.all => rows.push(("readers", name)),
            [] => rows.push(("only some", format!("{name}: nothing"))),
            items => rows.push(("only some", format!("{name}: {}", items.join(", ")))),
        }
    }
    for data_key in overview.data_keys.iter().filter(|data_key| several || data_key.required > 1) {
        let used = overview.items.iter().filter(|item| item.data_key == data_key.id);
        let used = names(&mut used.map(|item| item.name.as_str()));
        let used = if used.is_empty() { "nothing".to_owned() } else { used };
        rows.push(("data keys", format!("{}: {used}", data_key.id)));
        rows.extend(shared(data_key.required, &data_key.groups, called).map(|row| ("data keys", row)));
    }
    rows
}

/// What the controller makes of it.
fn made(overview: &Overview) -> String {
    let template = overview.template.clone().unwrap_or_default();
    let mut made = format!("a Secret of type {}", template.kind.as_deref().unwrap_or("Opaque"));
    if template.immutable == Some(true) {
        made += ", immutable";
    }
    let metadata = template.metadata.unwrap_or_default();
    for (what, map) in [("label", &metadata.labels), ("annotation", &metadata.annotations)] {
        if !map.is_empty() {
            let names: Vec<&str> = map.keys().map(String::as_str).collect();
            made += &format!(", {what}{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "));
        }
    }
    if overview.deletion_policy == sealed_secret::DeletionPolicy::Retain {
        made += ", which stays when this is deleted";
    }
    made
}

/// The versions of a transit key with which data keys were wrapped.
fn versions(recipient: &str, overview: &Overview) -> String {
    let holders = overview.data_keys.iter().flat_map(|key: &DataKeyOverview| key.groups.iter().flatten());
    let mut versions: Vec<u32> =
        holders.filter(|holder| holder.recipient == recipient).filter_map(|holder| holder.version).collect();
    versions.sort_unstable();
    versions.dedup();
    let shown: Vec<String> = versions.iter().map(ToString::to_string).collect();
    if shown.is_empty() { String::new() } else { format!(" (key version {})", shown.join(", ")) }
}

/// The groups of a data key that is shared out; nothing for one that is not.
fn shared(required: usize, groups: &[Vec<WrapOverview>], called: &Names) -> impl Iterator<Item = String> {
    let is_shared = groups.len() > 1;
    let head = is_shared.then(|| format!("  needs keys from {required} of {} groups", groups.len()));
    let group = move |(index, group): (usize, &Vec<WrapOverview>)| {
        let names: Vec<String> = group.iter().map(|key| holder(key, called)).collect();
        is_shared.then(|| format!("  group {}: {}", index + 1, names.join(", ")))
    };
    head.into_iter().chain(groups.iter().enumerate().filter_map(group).collect::<Vec<_>>())
}

fn holder(holder: &WrapOverview, called: &Names) -> String {
    let version = holder.version.map(|version| format!(" (key version {version})"));
    called.beside(&holder.recipient, short(&holder.recipient)) + &version.unwrap_or_default()
}

/// A recipient as people can take it in: post-quantum ones have two thousand characters.
fn short(recipient: &str) -> String {
    match (recipient.get(..20), recipient.get(recipient.len().saturating_sub(8)..)) {
        (Some(head), Some(tail)) if recipient.len() > 200 => format!("{head}...{tail}"),
        _ => recipient.to_owned(),
    }
}

fn sops_rows(sops: &Sops, called: &Names) -> Rows {
    let values = if sops.encrypted_values == 1 { "value" } else { "values" };
    let of = if sops.selection == Selection::default().to_string() {
        "of all".to_owned()
    } else {
        format!("chosen by {}", sops.selection)
    };
    let mut rows: Rows = vec![("encrypted", format!("{} {values}, {of}", sops.encrypted_values))];
    if sops.mac_only_encrypted {
        rows.push((
            "encrypted",
            "plaintext values are not protected against changes (mac_only_encrypted)".to_owned(),
        ));
    }
    rows.push(("written", format!("{}, by sops {} or compatible", sops.last_modified, sops.version)));
    match &sops.groups[..] {
        [only] => rows.extend(only.iter().map(|key| ("readers", holder(key, called)))),
        groups => rows.extend(
            shared(sops.required, groups, called).map(|row| ("readers", row.trim_start().to_owned())),
        ),
    }
    rows
}
