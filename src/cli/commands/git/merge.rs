use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::args::IdentityArgs;
use crate::cli::context::{Context, block_on};
use crate::cli::copies::{self, Merging};
use crate::cli::host::Terminal;
use crate::cli::merging;
use crate::config::absolute;
use crate::document::{Format, MAX_BINARY};
use crate::encrypted_file::{format_among, meant};
use crate::error::{Kind, Result};
use crate::fs::{self, Mode};
use crate::host::Host;
use crate::keys::KeySet;
use crate::keys::StartedBy;
use crate::repo::git::Git;
use crate::repo::git::install::RECURSIVE;
use crate::repo::git::merge::{Merge, MergeResult, Versions, markers};
use crate::repo::git::sequence::Sequence;
use crate::secret::{DataKey, SecretBytes};
use crate::shown::typed;

/// Merge three versions of a file as Git's merge driver
///
/// Documents are merged by their plaintexts, once all three MACs are verified; unchanged values keep their
/// ciphertexts. SealedSecrets are merged item by item, without a key. Files with nothing encrypted are merged as Git
/// does it. The result is written to OURS. Conflicts stay encrypted, between markers: `sealant resolve` resolves
/// them.
///
/// The exit code is 0 if everything was merged, 1 if there is a conflict, and above 128 if the merge failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  git config merge.sealant.driver \\
    'sealant git merge %O %A %B --marker-size %L --path %P'
  git config merge.sealant.recursive sealant-inner
  git config merge.sealant-inner.driver \\
    'sealant git merge --inner %O %A %B --marker-size %L --path %P'
  echo '*.yaml merge=sealant' >> .gitattributes")]
pub struct Args {
    /// The common ancestor, or an empty file if there is none
    base: PathBuf,

    /// Our version, which the result replaces
    ours: PathBuf,

    /// Their version
    theirs: PathBuf,

    /// How long the markers of conflicts are
    // A large number of an attribute comes from Git as a negative one.
    #[arg(long, value_name = "NUMBER", default_value_t = markers::MARKER_SIZE as i64, allow_negative_numbers = true)]
    marker_size: i64,

    /// What is merged are several common ancestors of the branches
    #[arg(long)]
    inner: bool,

    /// The path of the file in the repository, for its format and its creation rule
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    path: PathBuf,

    #[command(flatten)]
    identities: IdentityArgs,
}

/// Above 128, so that Git stops, and takes no failure for a merge.
pub const CANNOT: u8 = 129;

pub fn run(args: &Args, context: &Context) -> ExitCode {
    match merge(args, context) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            context.ui.error(&error);
            // Older versions of Git take any failure for a conflict.
            if is_inner(args, context.host)
                && let Err(error) =
                    leave_at_odds(args, read(&args.ours).ok().as_ref(), read(&args.theirs).ok().as_ref())
            {
                context.ui.error(&error);
            }
            CANNOT.into()
        }
    }
}

fn read(path: &Path) -> Result<SecretBytes> {
    fs::read_found(path, MAX_BINARY as u64)
}

/// Whether all came together.
fn merge(args: &Args, context: &Context) -> Result<bool> {
    let base = Some(read(&args.base)?).filter(|base| !base.is_empty());
    let versions = Versions { base, ours: read(&args.ours)?, theirs: read(&args.theirs)? };
    let is_inner = is_inner(args, context.host);
    if is_inner {
        // Older versions of Git go on with what is there even if this process is killed.
        leave_at_odds(args, Some(&versions.ours), Some(&versions.theirs))?;
    }
    let host = context.host.asking_nobody();
    let service = args.identities.key_service_of(&host, StartedBy::Program)?;
    let path = args.path.as_path();
    let has_made = |key: &DataKey| Sequence::of_path(&host, path).has_made(key);
    let each = [versions.base.as_ref(), Some(&versions.ours), Some(&versions.theirs)];
    let format = format_among(Format::of_path(path), each.into_iter().flatten().rev());
    if !is_inner && is_conflict_again(&versions, format) {
        return Ok(false);
    }
    let rule = || merging::rule_of(context, path, format, Some(&versions.ours));
    let files = [args.base.as_path(), args.ours.as_path(), args.theirs.as_path()];
    let let_in = |keys: &KeySet, opened: &[&DataKey]| {
        let Versions { base, ours, theirs } = versions.as_ref();
        let versions = Versions { base: Some(base), ours: Some(ours), theirs: Some(theirs) };
        let merging = Merging { path, format, versions, files: &files, allowed: &[] };
        copies::refuse_versions(context, &merging, keys, opened).map_err(|error| match error.kind() {
            // Before anything else, it has to be there.
            Kind::Read => error,
            // It is judged by the rules that are there now; those that are merged come after it.
            _ => error.advise("`sealant resolve FILE` looks again, with the rules that are merged by then."),
        })
    };
    let merge = Merge {
        host: &host,
        service: &service,
        path,
        format,
        rule: &rule,
        let_in: &let_in,
        has_made: &has_made,
        marker_size: args.markers(),
        now: host.now(),
    };
    let outcome = block_on(merge.file(&versions));
    let ours = is_inner.then_some(&versions.ours);
    settle(args, ours, context, &host, outcome)
}

impl Args {
    fn markers(&self) -> usize {
        usize::try_from(self.marker_size)
            .unwrap_or_default()
            .clamp(markers::MARKER_SIZE, markers::LONGEST_MARKER)
    }
}

/// Whether Git brings how a conflict was ended once into the same conflict (`rerere`): then it is the base, and our side too. Another
/// run has told of it, and its ciphertexts are others each time.
fn is_conflict_again(versions: &Versions<SecretBytes>, format: Format) -> bool {
    let is_marked = |file: &SecretBytes| !matches!(markers::Marked::read(file), Ok(None));
    versions.base.as_ref().is_some_and(is_marked)
        && is_marked(&versions.ours)
        && meant(format, &versions.theirs).is_some()
}

/// Whether Git merges common ancestors of what it is asked to merge: then it calls the driver that `git install` names for that, or,
/// where nobody has, asks for markers that are longer than the attributes say, by two or more.
fn is_inner(args: &Args, host: &dyn Host) -> bool {
    let said = || {
        let (git, name) = Git::of_file(host, &args.path).ok()?;
        let words = ["check-attr", "-z", "conflict-marker-size", "--"].map(OsStr::new);
        let said = git.run(words.into_iter().chain([name.as_os_str()])).ok()?;
        // FILE, ATTRIBUTE, VALUE
        said.split(|byte| *byte == 0).nth(2).and_then(marker_size)
    };
    // Where that cannot be told, nobody has set up what tells.
    let has_driver = || {
        let git = Git::of(host, Path::new(".")).ok();
        git.is_some_and(|git| {
            git.ask(["config", "--get", RECURSIVE]).is_ok_and(|answer| answer.code == Some(0))
        })
    };
    args.inner
        || args.marker_size < 0
        || said().map_or_else(|| !has_driver(), |size| args.marker_size >= size + 2)
}

/// How long Git makes markers where an attribute says so; `None` where that is the C library's to say, of a number that does not fit.
fn marker_size(said: &[u8]) -> Option<i64> {
    const USUAL: i64 = markers::MARKER_SIZE as i64;
    let said = std::str::from_utf8(said).unwrap_or_default();
    match said.parse::<i32>() {
        Ok(size) if size > 0 => Some(size.into()),
        Err(_) if said.contains(|letter: char| letter.is_ascii_digit()) => None,
        _ => Some(USUAL),
    }
}

/// Git takes what is in the place of our side for what both sides come from, whatever we answer. So it is something that neither
/// can have had: else what one of them has removed since would come back.
fn leave_at_odds(args: &Args, ours: Option<&SecretBytes>, theirs: Option<&SecretBytes>) -> Result<()> {
    let text = |side: Option<&'_ SecretBytes>| side.map_or_else(Vec::new, |side| side.to_vec());
    let marked =
        [b"<<<<<<< ours\n", &text(ours)[..], b"\n=======\n", &text(theirs), b"\n>>>>>>> theirs\n"].concat();
    fs::write_atomic(&args.ours, &SecretBytes::new(marked), Mode::Public)
}

/// `ours` is our side where something else is in its place.
fn settle(
    args: &Args,
    ours: Option<&SecretBytes>,
    context: &Context,
    host: &Terminal<'_>,
    outcome: MergeResult,
) -> Result<bool> {
    let (ui, path, name) = (context.ui, args.path.display(), typed(&args.path));
    let note_all = |notes: &[String]| notes.iter().for_each(|note| ui.note(format!("{path}: {note}")));
    let remember = |key: Option<DataKey>| {
        key.map_or(Ok(()), |key| Sequence::of_path(host, &args.path).remember(host, &key))
    };
    match outcome {
        MergeResult::Unwrappable(error) | MergeResult::Refused(error) if ours.is_some() => {
            ui.warning_of(&error.in_file(&args.path));
            ui.say(format!("{path}: the common ancestors of the two branches were not merged, so it is for you to choose."));
            Ok(false)
        }
        MergeResult::Plain => merge_as_text(args, ours, context, host),
        MergeResult::Clean { file, notes, new_key } => {
            note_all(&notes);
            remember(new_key)?;
            fs::write_atomic(&args.ours, &file, Mode::Public)?;
            Ok(true)
        }
        MergeResult::Conflict { file, paths, notes, new_key } => {
            note_all(&notes);
            remember(new_key)?;
            fs::write_atomic(&args.ours, &file, Mode::Public)?;
            ui.say_list(format!("{path}: both sides changed"), paths.iter().map(|path| format!("  {path}")));
            ui.say(format!("Finish it with `sealant resolve {name}`, then `git add {name}`."));
            Ok(false)
        }
        MergeResult::Unopened(error) => {
            ui.warning_of(&error.in_file(&args.path));
            ui.say(format!(
                "{path}: merged as text, which is not valid yet. Somebody with a key has to finish it: \
                 `sealant resolve {name}`"
            ));
            merge_as_text(args, ours, context, host)?;
            Ok(false)
        }
        MergeResult::Unwrappable(error) => {
            ui.error(&error.in_file(&args.path));
            ui.say(format!(
                "{path}: not merged, because that needs a new data key. Our side stays in the working tree. \
                 `sealant resolve {name}` merges it, and may ask you, start plugins and reach servers."
            ));
            Ok(false)
        }
        MergeResult::Refused(error) => {
            ui.error(&error.in_file(&args.path));
            ui.say(format!("{path}: not merged. Our side stays in the working tree."));
            Ok(false)
        }
    }
}

/// Leaves it to Git, whose own merge has no other labels to know either.
fn merge_as_text(
    args: &Args,
    ours: Option<&SecretBytes>,
    context: &Context,
    host: &Terminal<'_>,
) -> Result<bool> {
    if let Some(ours) = ours {
        fs::write_atomic(&args.ours, ours, Mode::Public)?;
    }
    let working_dir = &context.lookup()?.working_dir;
    let size = format!("--marker-size={}", args.markers());
    let [ours, base, theirs] = markers::LABELS;
    let words = ["merge-file", "-q", &size, "-L", ours, "-L", base, "-L", theirs, "--"].map(OsString::from);
    let files =
        [&args.ours, &args.base, &args.theirs].map(|file| absolute(file, working_dir).into_os_string());
    // How conflicts look is the clone's to say.
    let git = Git::find(host, working_dir).ok().flatten().unwrap_or_else(|| Git::without_repository(host));
    Ok(git.ask(words.into_iter().chain(files))?.code == Some(0))
}
