use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

use crate::batch;
use crate::cli::args::{IdentityArgs, ListFormat};
use crate::cli::context::{Context, block_on};
use crate::cli::failures::Failures;
use crate::cli::ui::counted;
use crate::config::absolute;
use crate::error::{Error, Kind, Result};
use crate::keys::MasterKey;
use crate::keys::StartedBy;
use crate::names::Names;
use crate::repo::blast_radius::{self, Exposed, Fate, Found};
use crate::repo::git::history::Scope;
use crate::repo::git::{Git, NoGit, configs};
use crate::repo::who_can_decrypt::Asked;

/// List what somebody could ever decrypt; needs no key
///
/// For somebody who leaves, or a lost laptop: shows which values to change. It searches every version of every file,
/// on all branches and tags, including deleted files.
///
/// "live" is a value whose ciphertext is still the same at HEAD. "re-encrypted" is one with another ciphertext at
/// HEAD: of a new value, or of the same value under a new data key (`rotate`). Without a key nobody can tell which,
/// so treat it as known until you have replaced it; "changed" is one that --compare has found to be new. "gone" is
/// one that HEAD does not have, though it may still be in use.
///
/// Somebody who could open one version may have kept its data key, and can read values that were set under it later:
/// these are listed with "by a kept data key". Values that were once in plaintext, in a file that is encrypted in
/// other versions, are listed for every recipient. Comments are not listed.
///
/// It cannot see commits that no branch or tag reaches, other clones, or what was sent in other ways. The exit code
/// is 0 whatever is listed, and not 0 if something could not be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant blast-radius --recipient age1...
  sealant blast-radius --recipient \"Anna's laptop\" --format csv > replace.csv
  sealant blast-radius --recipient age1... --compare   # with a key: changed?
  sealant blast-radius --recipient age1... --since 2026-01-31 production/")]
pub struct Args {
    /// The recipient or other key, or the name that the config has for it, or had in an earlier version
    #[arg(long, value_name = "RECIPIENT")]
    recipient: String,

    /// Skip values that were replaced or removed on all branches before this day
    #[arg(long, value_name = "DATE")]
    since: Option<String>,

    /// Look only at the history of HEAD, not at other branches and tags
    #[arg(long)]
    head: bool,

    /// With a key: decrypt re-encrypted values, and say whether they changed
    ///
    /// It also finds a data key that was kept although all values under it are new. It shows no value, asks for no
    /// passphrase, starts no plugin, and contacts only Vault servers that you have named. What none of your
    /// identities opens stays `re-encrypted`.
    #[arg(long)]
    compare: bool,

    /// Print the list for people, as JSON, or as CSV for a spreadsheet
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ListFormat,

    /// Look only at the history of these files and folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let working_dir = context.lookup()?.working_dir;
    let git = Git::find(context.host, &working_dir).map_err(NoGit::into_error)?.ok_or_else(|| {
        Error::new(Kind::Read, "this folder is not in a Git repository, so there is no history to look at")
            .advise("Go into a clone of the repository.")
    })?;
    let since = args.since.as_deref().map(day).transpose()?;
    let asked = Whom::of(&args.recipient, &git, !args.head, context)?;
    let is_it = |key: &MasterKey| asked.is(key);
    let scope = Scope { all: !args.head, paths: named(args.paths, &git, &working_dir)? };
    let host = context.host.asking_nobody();
    let service = args.identities.key_service_of(&host, StartedBy::Program)?;
    let mut open = |sources| block_on(batch::open(&service, sources));
    let open: Option<&mut blast_radius::Open<'_>> = if args.compare { Some(&mut open) } else { None };
    let found = blast_radius::find(&git, &scope, since, is_it, open)?;
    let mut failures = Failures::default();
    found.unread.iter().for_each(|error| failures.add(context.ui, error));
    if found.is_shallow {
        failures.add(context.ui, &shallow());
    }
    if !found.is_known {
        asked.check()?;
        context.ui.warning("no version of any file names this recipient: is it spelled as in the files?");
    }
    if found.closed > 0 {
        context.ui.note(format!("{} versions were not compared: no identity opens them", found.closed));
    }
    match args.format {
        ListFormat::Json => context.ui.json(&found.exposed)?,
        ListFormat::Csv => context.ui.csv(HEADER, &rows(&found.exposed, |exposed| exposed.commit.clone()))?,
        ListFormat::Table => {
            let short = |exposed: &Exposed| exposed.commit.chars().take(10).collect();
            if !found.exposed.is_empty() {
                context.ui.table(HEADER, &rows(&found.exposed, short))?;
            }
            tell(&found, args.compare, context);
        }
    }
    Ok(failures.finish(context.ui))
}

/// Whom somebody asks about.
struct Whom {
    asked: Asked,
    /// What the config calls keys today.
    names: Names,
    /// What it, and other configs, have called them in any version.
    earlier: Vec<(PathBuf, Names)>,
    /// The keys that are meant, where only an earlier version has the name.
    keys: BTreeSet<String>,
}

impl Whom {
    /// Finds the keys that go by a name: `recipient rm` has taken it out of today's config.
    fn of(text: &str, git: &Git<'_>, all: bool, context: &Context) -> Result<Self> {
        let config = context.configs()?.config_for(&context.lookup()?.working_dir.join("any"))?;
        let names = config.map(|config| config.names().clone()).unwrap_or_default();
        let asked = Asked::new(text);
        let earlier = if asked.is_key() { Vec::new() } else { configs::names_in_history(git, all)? };
        let mut whom = Self { asked, names, earlier, keys: BTreeSet::new() };
        let key_in = |names: &Names| {
            names.iter().find(|(_, name)| *name == text.trim()).map(|(key, _)| key.to_owned())
        };
        let today = key_in(&whom.names);
        let called = whom.earlier.iter().filter_map(|(config, names)| Some((key_in(names)?, config)));
        let mut called: Vec<_> = called.filter(|(key, _)| today.as_ref() != Some(key)).collect();
        called.sort();
        called.dedup_by(|one, other| one.0 == other.0);
        let lines = called.iter().map(|(key, config)| format!("  {key} ({})", config.display()));
        let lines: Vec<_> = lines.collect();
        match &today {
            _ if called.is_empty() => {}
            Some(key) => context.ui.warning_list(
                format!("this is about {key}; earlier, `{text}` was the name of these keys, so ask about them, too:"),
                lines,
            ),
            None => {
                whom.keys = called.iter().map(|(key, _)| key.clone()).collect();
                context.ui.note_list(format!("`{text}` is the name of this key in an earlier config:"), lines);
            }
        }
        Ok(whom)
    }

    fn is(&self, key: &MasterKey) -> bool {
        self.keys.contains(key.id()) || self.asked.is(key, self.names.get(key.id()))
    }

    /// An error where nobody can be meant.
    fn check(&self) -> Result<()> {
        let earlier = self.earlier.iter().flat_map(|(_, names)| names.iter());
        let names = self.names.iter().chain(earlier).map(|(_, name)| name);
        self.asked.check(names, GIVE_THE_KEY)
    }
}

/// How to ask about somebody whose name no config ever had.
const GIVE_THE_KEY: &str = "Give the key itself, as in `sealant blast-radius --recipient age1...`: \
                            `git log --all -p -- .sops.yaml` shows the keys of earlier configs.";

/// Files and folders as they are called from the top of the working tree. The history knows more of them than there are.
fn named(paths: Vec<PathBuf>, git: &Git, working_dir: &Path) -> Result<Vec<PathBuf>> {
    let name = |path: PathBuf| {
        let name = absolute(&path, working_dir).strip_prefix(git.top()).map(Path::to_path_buf);
        name.map_err(|_| {
            let message = format!("is not in the repository {}", git.top().display());
            Error::new(Kind::NoFile, message).in_file(path)
        })
    };
    paths.into_iter().map(name).collect()
}

/// Nobody may take the list for a whole one.
fn shallow() -> Error {
    Error::new(Kind::Read, "this clone is shallow: what came before its first commits was not looked at")
        .advise("Fetch the rest: `git fetch --unshallow`.")
}

const HEADER: &[&str] = &["state", "file", "value", "readable", "versions", "newest", "commit"];

fn rows(found: &[Exposed], commit: impl Fn(&Exposed) -> String) -> Vec<Vec<String>> {
    let row = |exposed: &Exposed| {
        vec![
            word(exposed.state).to_owned(),
            shown(&exposed.file),
            exposed.value.clone(),
            exposed.way.to_string(),
            exposed.versions.to_string(),
            exposed.time.strftime("%Y-%m-%d").to_string(),
            commit(exposed),
        ]
    };
    found.iter().map(row).collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn word(state: Fate) -> &'static str {
    match state {
        Fate::Live => "live",
        Fate::ReEncrypted => "re-encrypted",
        Fate::Gone => "gone",
        Fate::Changed => "changed",
    }
}

fn tell(found: &Found, is_compared: bool, context: &Context) {
    let count = |state| found.exposed.iter().filter(|exposed| exposed.state == state).count();
    let commits = counted(found.commits, "commit");
    context.ui.say(match found.exposed.len() {
        0 => format!("nothing in {commits} could be decrypted by this recipient"),
        values => format!(
            "{} in {commits}: {} live, {} re-encrypted, {} gone{}",
            counted(values, "value"),
            count(Fate::Live),
            count(Fate::ReEncrypted),
            count(Fate::Gone),
            match count(Fate::Changed) {
                0 => String::new(),
                changed => format!(", {changed} changed"),
            }
        ),
    });
    if count(Fate::Changed) < found.exposed.len() {
        let but = if count(Fate::Changed) > 0 { " but the changed ones" } else { "" };
        context
            .ui
            .say(format!("Treat all{but} as known, and replace them at their source, such as the database."));
    }
    if count(Fate::ReEncrypted) > 0 && !is_compared {
        context.ui.say(
            "re-encrypted: has another ciphertext now, perhaps of the same value. With your key, --compare says which \
             have changed.",
        );
    }
}

/// A day, from its first moment in UTC, or a moment.
fn day(text: &str) -> Result<Timestamp> {
    let day = text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC)).map(|day| day.timestamp());
    text.parse().or(day).map_err(|_| {
        Error::new(Kind::Other, format!("--since: `{text}` is not a date"))
            .advise("Write it as 2026-01-31, or as 2026-01-31T12:00:00Z.")
    })
}
