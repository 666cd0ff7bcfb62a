use std::cell::OnceCell;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value as Data, json};

use crate::batch::{self, Source};
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input, ReportArgs, plain_path};
use crate::cli::context::{Context, block_on};
use crate::cli::failures::Failures;
use crate::cli::pipeline;
use crate::cli::ui::with_file;
use crate::config::Configs;
use crate::diff::{self, Change, Difference, Fact, FileState, ValueChange};
use crate::document::{self, Value};
use crate::encrypted_file::{Meant, OpenedFile, meant, nature};
use crate::error::{Error, Kind, Result};
use crate::fs::Snapshot;
use crate::keys::KeyService;
use crate::names::Names;
use crate::os;
use crate::repo::git::tree::Tree;
use crate::repo::git::{Git, changes, configs};
use crate::shown::typed;
use crate::sops::{MacCheck, Nature};

const HEADER: Style = Style::new().bold();
const PLACE: Style = AnsiColor::Cyan.on_default();
const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();

/// Show the changes between two versions of files, decrypted
///
/// One file is compared with its version at HEAD, and two files with each other. Without a file, all encrypted files
/// below this folder are compared with HEAD; of a folder, those below it. A commit or branch before the files means
/// --from, and OLD..NEW means --from and --to. Added and removed recipients and rules are shown too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant diff secrets.enc.yaml
  sealant diff main --names-only
  sealant diff v1..v2 secrets.enc.yaml
  sealant diff old.enc.yaml new.enc.yaml
  sealant diff secrets.yaml secrets.enc.yaml

The exit code is 0 if nothing differs, 1 if something does, and another if a file could not be read.")]
pub struct Args {
    /// One file, or an old and a new one; `-` is standard input. A commit, or OLD..NEW, may come first
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Compare any number of files with this commit or branch, instead of HEAD
    #[arg(long, value_name = "REVISION")]
    from: Option<String>,

    /// Compare with this commit or branch, instead of the working tree
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,

    /// Show which values differ, but no values; --redact is the same
    #[arg(long, alias = "redact")]
    names_only: bool,

    /// With --format json: also print the values
    #[arg(long, conflicts_with = "names_only")]
    show_values: bool,

    /// Continue when a MAC does not match, so a file was changed
    #[arg(long)]
    ignore_mac: bool,

    #[command(flatten)]
    report: ReportArgs,

    /// Read the files as yaml, json, dotenv, ini or binary, whatever their names say
    #[arg(long, value_name = "TYPE")]
    input_type: Option<String>,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if args.show_values && !args.report.is_json() {
        return Err(Error::new(
            Kind::Conflict,
            "--show-values is for --format json: text output shows them anyway",
        ));
    }
    let formats = FormatArgs { input_type: args.input_type.clone(), output_type: None };
    let comparison = Comparison {
        context,
        formats: formats.formats(context),
        check: if args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify },
        service: args.identities.key_service(context)?,
        configs: context.configs()?,
        earlier: OnceCell::new(),
    };
    let (range, _) = comparison.range(&args);
    let pairs = comparison.pairs(&args).map_err(could_not_look)?;

    let mut failures = Failures::default();
    let mut reports = Vec::new();
    let mut any_difference = false;
    for pair in comparison.open(pairs) {
        let compared = pair.and_then(|pair| Ok((Difference::of(&pair.old.state, &pair.new.state)?, pair)));
        let (difference, pair) = match compared {
            Ok(compared) => compared,
            Err(error) => {
                failures.add(context.ui, &could_not_look(error));
                continue;
            }
        };
        if difference.is_empty() {
            continue;
        }
        any_difference = true;
        let names = comparison.names(range, &pair.file, &difference);
        match (args.report.is_json(), args.names_only) {
            (true, _) => reports.push(as_json(&pair, &difference, &names, args.show_values)?),
            (false, true) => print_names(context, &pair, &difference, &names)?,
            (false, false) => print_text(context, &pair, &difference, &names)?,
        }
    }
    if args.report.is_json() {
        context.ui.json(&reports)?;
    }
    match failures.is_empty() {
        false => Ok(failures.finish(context.ui)),
        true if any_difference => Ok(ExitCode::FAILURE),
        true => Ok(ExitCode::SUCCESS),
    }
}

/// The exit code 1 means that something differs, so that no failure may have it.
fn could_not_look(error: Error) -> Error {
    if error.kind() == Kind::Other { error.with_kind(Kind::Read) } else { error }
}

/// One of two states of a file: what was read, later what it says. `label` names it in the output.
struct Side<T> {
    label: String,
    state: T,
}

/// Two states of a file.
struct Pair<T> {
    /// By which its config is found.
    file: PathBuf,
    old: Side<T>,
    new: Side<T>,
}

/// The states that are compared: of commits, where they are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Range<'r> {
    /// [`HEAD`], if it is not named.
    from: Option<&'r str>,
    /// The working tree, if it is not named.
    to: Option<&'r str>,
}

impl Range<'_> {
    /// What is left out of `OLD..NEW` is HEAD to Git.
    fn or_head(self) -> Self {
        let or_head = |name: Option<_>| name.map(|name: &str| if name.is_empty() { HEAD } else { name });
        Self { from: or_head(self.from), to: or_head(self.to) }
    }
}

const HEAD: &str = "HEAD";

struct Comparison<'a> {
    context: &'a Context<'a>,
    formats: Formats,
    check: MacCheck,
    service: KeyService<'a>,
    configs: Configs,
    /// The configs of the commits that are compared.
    earlier: OnceCell<Vec<Configs>>,
}

impl Comparison<'_> {
    /// What is to be compared, read; `None` for a state in which there is no such file.
    fn pairs(&self, args: &Args) -> Result<Vec<Pair<Option<Source>>>> {
        let (range, files) = self.range(args);
        let named = [range.from, range.to].into_iter().flatten();
        if let Some(revision) = named.clone().find(|revision| revision.starts_with('-')) {
            return Err(Error::new(Kind::Conflict, format!("`{revision}` is not a revision")));
        }
        if let Ok(git) = Git::of(self.context.host, Path::new("."))
            && let Some(missing) = named.clone().find(|name| *name != HEAD && !changes::is_commit(&git, name))
        {
            return Err(no_commit(Kind::Read, "no such commit or branch", missing));
        }
        let is_ranged = named.count() > 0;
        match files {
            [old, new] if !is_ranged => Ok(vec![self.two_files(old, new)?]),
            [] => self.below(range, Path::new(".")),
            files if is_ranged || files.len() == 1 => {
                let pairs = files.iter().map(|file| match self.is_folder(range, file) {
                    true => self.below(range, file),
                    false => Ok(vec![self.within(range, file)?]),
                });
                Ok(pairs.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
            }
            _ => Err(Error::new(Kind::Usage, "at most two files can be compared, and more were given")
                .advise("Add --from HEAD to compare each with its committed version.")),
        }
    }

    fn two_files(&self, old: &Path, new: &Path) -> Result<Pair<Option<Source>>> {
        let is_stdin = |path: &Path| path == Path::new("-");
        if is_stdin(old) && is_stdin(new) {
            return Err(Error::new(Kind::Conflict, "standard input cannot be both files"));
        }
        let side = |file: &Path, other: &Path| {
            let mut input = Input::of(file);
            input.name.get_or_insert_with(|| other.to_path_buf());
            let source = pipeline::read(&input, self.formats).map_err(|error| or_commit(error, file))?;
            Ok(Side { label: input.shown().display().to_string(), state: Some(source) })
        };
        let file = if is_stdin(new) { old } else { new };
        Ok(Pair { file: file.to_path_buf(), old: side(old, new)?, new: side(new, old)? })
    }

    /// What people call the recipients of a file: somebody who was removed has a name only in the config of before.
    fn names(&self, range: Range<'_>, file: &Path, difference: &Difference) -> Names {
        let names_in = |configs: &Configs, file: &Path| {
            configs.config_for(file).ok().flatten().map(|config| config.names().clone()).unwrap_or_default()
        };
        let Ok(lookup) = self.context.lookup() else { return Names::default() };
        let names = names_in(&self.configs, &lookup.working_dir.join(file));
        let mut recipients = difference.facts.iter().filter_map(|(_, fact)| fact.recipient());
        if recipients.all(|key| names.get(key.id()).is_some()) {
            return names;
        }
        let Ok((git, name)) = Git::of_file(self.context.host, file) else { return names };
        let earlier = self.earlier.get_or_init(|| {
            let commits = [range.to, Some(range.from.unwrap_or(HEAD))].into_iter().flatten();
            commits.filter_map(|commit| configs::of_commit(&git, commit, lookup.clone()).ok()).collect()
        });
        let file = git.top().join(name);
        earlier.iter().fold(names, |names, configs| names.or(&names_in(configs, &file)))
    }

    /// The states that are meant, and the files. What stands first is a commit if no file is called so and Git knows it.
    fn range<'r>(&self, args: &'r Args) -> (Range<'r>, &'r [PathBuf]) {
        let asked = Range { from: args.from.as_deref(), to: args.to.as_deref() };
        let [first, files @ ..] = &args.files[..] else { return (asked, &args.files) };
        let is_free = asked == Range::default() && first.symlink_metadata().is_err();
        let Some(first) = first.to_str().filter(|_| is_free) else { return (asked, &args.files) };
        let range = match first.split_once("..") {
            Some((from, to)) => Range { from: Some(from), to: Some(to.trim_start_matches('.')) }.or_head(),
            None => Range { from: Some(first), to: None },
        };
        let git = Git::of(self.context.host, Path::new("."));
        let is_commit = |name: &str| git.as_ref().is_ok_and(|git| changes::is_commit(git, name));
        if ![range.from, range.to].into_iter().flatten().all(is_commit) {
            return (asked, &args.files);
        }
        // A second commit, as `git diff` takes it.
        let second = files.first().filter(|second| range.to.is_none() && second.symlink_metadata().is_err());
        match second.and_then(|second| second.to_str()).filter(|second| is_commit(second)) {
            Some(second) => (Range { to: Some(second), ..range }, &files[1..]),
            None => (range, files),
        }
    }

    /// A file in two states.
    fn within(&self, range: Range<'_>, file: &Path) -> Result<Pair<Option<Source>>> {
        let from = range.from.unwrap_or(HEAD);
        let now = match range.to {
            Some(to) => self.at_revision(to, file)?,
            None => match pipeline::read(&Input::of(file), self.formats) {
                Err(error) if error.kind() == Kind::NoFile => None,
                source => Some(source?),
            },
        };
        let then = self.at_revision(from, file)?;
        if now.is_none() && then.is_none() {
            let to = range.to.map_or("here".to_owned(), |to| format!("in {to}"));
            let message = format!("no such file {to} or in {from}");
            let error = Error::new(Kind::NoFile, message).in_file(file);
            return Err(if range == Range::default() { or_commit(error, file) } else { error });
        }
        let side = |revision: Option<&str>, state: Option<Source>| {
            let label = match (&state, revision) {
                (Some(_), Some(revision)) => in_git(revision, file),
                (Some(_), None) => file.display().to_string(),
                (None, _) => "/dev/null".to_owned(),
            };
            Side { label, state }
        };
        Ok(Pair { file: file.to_path_buf(), old: side(Some(from), then), new: side(range.to, now) })
    }

    fn at_revision(&self, revision: &str, file: &Path) -> Result<Option<Source>> {
        let (git, name) = Git::of_file(self.context.host, file).map_err(nothing_to_compare)?;
        let Some(id) = Tree::entry_of_commit(&git, revision, &name).map_err(nothing_to_compare)? else {
            return Ok(None);
        };
        let bytes = git.run(["cat-file", "blob", id.as_str()]).map_err(nothing_to_compare)?;
        Ok(Some(Source {
            path: in_git(revision, file).into(),
            format: self.formats.of_content(Some(file), &bytes),
            snapshot: Snapshot::of(&bytes),
            bytes,
        }))
    }

    /// Whether this is a folder in any of the states.
    fn is_folder(&self, range: Range<'_>, path: &Path) -> bool {
        if path.is_dir() {
            return true;
        }
        let Ok((git, name)) = Git::of_file(self.context.host, path) else { return false };
        let mut commits = [Some(range.from.unwrap_or(HEAD)), range.to].into_iter().flatten();
        commits.any(|commit| changes::has_folder(&git, commit, &name).unwrap_or(false))
    }

    /// The files below a folder that differ, but for those that are encrypted in neither state.
    fn below(&self, range: Range<'_>, folder: &Path) -> Result<Vec<Pair<Option<Source>>>> {
        let names = || {
            let (git, name) = match folder.is_dir() {
                true => {
                    let git = Git::of(self.context.host, folder)?;
                    let name = git.name_of_folder(folder)?;
                    (git, name)
                }
                false => Git::of_file(self.context.host, folder)?,
            };
            let names = changes::from(&git, range.from.unwrap_or(HEAD), range.to, &name)?.into_iter();
            let below = |path: PathBuf| {
                path.strip_prefix(&name).map(|below| plain_path(&folder.join(below))).unwrap_or(path)
            };
            Ok(names.map(below).collect::<Vec<_>>())
        };
        let pairs = names().map_err(nothing_to_compare)?.into_iter().map(|file| self.within(range, &file));
        let is_ours = |pair: &Pair<Option<Source>>| {
            [&pair.old.state, &pair.new.state].into_iter().flatten().any(is_encrypted)
        };
        Ok(pairs.collect::<Result<Vec<_>>>()?.into_iter().filter(is_ours).collect())
    }

    /// Opens the states of all files, with one request for their data keys.
    fn open(&self, pairs: Vec<Pair<Option<Source>>>) -> Vec<Result<Pair<FileState>>> {
        let (mut encrypted, mut labels) = (Vec::new(), Vec::new());
        let mut others = Vec::new();
        for Pair { file, old, new } in pairs {
            labels.push((file, old.label, new.label));
            for source in [old.state, new.state] {
                others.push(match source {
                    Some(source) if is_encrypted(&source) => {
                        encrypted.push(source);
                        None
                    }
                    plain => Some(plain),
                });
            }
        }
        let mut opened = block_on(batch::open(&self.service, encrypted)).into_iter();
        let mut states = others.into_iter().map(|other| match other {
            Some(None) => Ok(FileState::absent()),
            Some(Some(Source { path, format, bytes, .. })) => {
                FileState::plain(format, bytes).map_err(|error| error.in_file(path))
            }
            None => {
                let opened =
                    opened.next().unwrap_or_else(|| Err(Error::new(Kind::Read, "was not opened")))?;
                let state = match &opened.file {
                    OpenedFile::Document(file, key) => FileState::encrypted(file, key, self.check),
                    OpenedFile::Sealed(file, keys) => FileState::sealed(file, keys),
                };
                state.map_err(|error| error.in_file(opened.path))
            }
        });
        let mut next = || states.next().unwrap_or_else(|| Ok(FileState::absent()));
        let pair = |(file, old, new): (PathBuf, String, String)| {
            // What was in a commit is called by that, too, and no command takes such a name.
            let in_file = |error: Error| {
                let advice = error.advice().filter(|_| error.file() != Some(file.as_path()));
                match advice.map(|advice| with_file(advice, &typed(&file))) {
                    Some(advice) => error.advise(advice),
                    None => error,
                }
            };
            let (before, after) = (next().map_err(in_file), next().map_err(in_file));
            Ok(Pair {
                old: Side { label: old, state: before? },
                new: Side { label: new, state: after? },
                file,
            })
        };
        labels.into_iter().map(pair).collect()
    }
}

/// The error of a file that is not there, for what may have been meant as a commit.
fn or_commit(error: Error, typed: &Path) -> Error {
    let name = typed.to_string_lossy();
    let may_be_commit =
        typed.extension().is_none() || ["~", "^", "@{", ".."].iter().any(|sign| name.contains(sign));
    let is_above = typed.components().any(|part| part == Component::ParentDir);
    if error.kind() != Kind::NoFile || !may_be_commit || is_above {
        return error;
    }
    no_commit(Kind::NoFile, "no such file, commit or branch", &name)
}

fn no_commit(kind: Kind, message: &str, name: &str) -> Error {
    Error::new(kind, message).in_file(name).advise("`git log --oneline` lists the commits.")
}

fn nothing_to_compare(error: Error) -> Error {
    let advice = error.advice().map(str::to_owned);
    let usual =
        || "It takes a repository with a commit. To compare two files: sealant diff OLD NEW".to_owned();
    Error::new(Kind::Read, "Git gives nothing to compare with")
        .advise(advice.unwrap_or_else(usual))
        .caused_by(error)
}

fn is_encrypted(source: &Source) -> bool {
    // A file that cannot be parsed is reported as what it claims to be.
    let Source { format, bytes, .. } = source;
    matches!(nature(*format, bytes), Ok(Nature::Encrypted)) || meant(*format, bytes) == Some(Meant::Sealed)
}

fn print_text(
    context: &Context,
    pair: &Pair<FileState>,
    difference: &Difference,
    names: &Names,
) -> Result<()> {
    let ui = context.ui;
    ui.styled_line(&[(HEADER, &format!("--- {}", pair.old.label))])?;
    ui.styled_line(&[(HEADER, &format!("+++ {}", pair.new.label))])?;
    if !difference.facts.is_empty() {
        ui.styled_line(&[(PLACE, "@@ who can decrypt, and what is encrypted @@")])?;
    }
    for (change, fact) in &difference.facts {
        let (sign, style) = sign(*change);
        ui.styled_line(&[(style, &format!("{sign}{}", fact.named(names)))])?;
    }
    if !difference.text {
        return Ok(());
    }
    let Some(text) = diff::unified(&pair.old.state, &pair.new.state) else {
        return ui.line("The contents are not text, and differ.");
    };
    for line in text.split_inclusive('\n') {
        let style = match line.as_bytes().first() {
            Some(b'@') => PLACE,
            Some(b'+') => ADDED,
            Some(b'-') => REMOVED,
            _ => Style::new(),
        };
        ui.plaintext_line(style, line)?;
    }
    Ok(())
}

fn print_names(
    context: &Context,
    pair: &Pair<FileState>,
    difference: &Difference,
    names: &Names,
) -> Result<()> {
    let ui = context.ui;
    ui.styled_line(&[(HEADER, name_of(pair))])?;
    let facts = difference.facts.iter().map(|(change, fact)| (*change, fact.named(names)));
    let values = difference.values.iter().map(|value| (value.change, value.path.clone()));
    for (change, what) in facts.chain(values) {
        let (sign, style) = sign(change);
        ui.styled_line(&[(style, &format!("{sign} {what}"))])?;
    }
    if difference.facts.is_empty() && difference.values.is_empty() {
        ui.styled_line(&[(CHANGED, "~ comments or layout only")])?;
    }
    Ok(())
}

fn as_json(
    pair: &Pair<FileState>,
    difference: &Difference,
    names: &Names,
    with_values: bool,
) -> Result<Data> {
    let value = |ValueChange { path, change, old, new }: &ValueChange| {
        let mut entry = json!({"path": path, "change": name(*change)});
        if with_values {
            entry["old"] = data(old)?;
            entry["new"] = data(new)?;
        }
        Ok(entry)
    };
    let fact = |(change, fact): &(Change, Fact)| {
        let mut entry = json!({"change": name(*change), "fact": fact.named(&Names::default())});
        if let Some(called) = fact.recipient().and_then(|key| names.get(key.id())) {
            entry["name"] = called.into();
        }
        entry
    };
    Ok(json!({
        "old": pair.old.label,
        "new": pair.new.label,
        "values": difference.values.iter().map(value).collect::<Result<Vec<_>>>()?,
        "metadata": difference.facts.iter().map(fact).collect::<Vec<_>>(),
        "text": difference.text,
    }))
}

fn data(values: &[Value]) -> Result<Data> {
    match values {
        [] => Ok(Data::Null),
        [value] => document::scalar_to_data(value),
        values => values.iter().map(document::scalar_to_data).collect(),
    }
}

/// The file itself, or the one before if there is none after.
fn name_of(pair: &Pair<FileState>) -> &str {
    if pair.new.label == "/dev/null" { &pair.old.label } else { &pair.new.label }
}

fn sign(change: Change) -> (char, Style) {
    match change {
        Change::Added => ('+', ADDED),
        Change::Removed => ('-', REMOVED),
        Change::Changed => ('~', CHANGED),
    }
}

fn name(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

/// A file in a commit, as Git takes it.
fn in_git(revision: &str, file: &Path) -> String {
    format!("{revision}:{}", String::from_utf8_lossy(&os::slashed(file)))
}
