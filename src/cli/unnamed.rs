//! What to do with plaintext that was found in a folder and that no creation rule names.
//!
//! A rule without `path_regex` says how files are encrypted, not which files are secret: README.md and package.json
//! match it, too. So we ask people, scripts use a flag, and we list what stays in plaintext.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::cli::args::plain_path;
use crate::cli::context::Context;
use crate::cli::pipeline::{NAMES_TOLD, Passed, lines_of};
use crate::config::{Configs, Policy};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::os;
use crate::shown::typed;

/// What a command may do with files that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Take,
    Leave,
    /// Somebody was asked, and said so.
    Declined,
    /// Nobody could be asked.
    Open,
}

/// What one run of a command does with them.
pub(super) struct Unnamed {
    answer: Answer,
    left: AtomicUsize,
    /// A rule names some file of the run.
    names_one: AtomicBool,
}

impl Unnamed {
    /// Leaves alone files that no rule names, without a message.
    pub(super) fn left() -> Self {
        Self::answered(Answer::Leave)
    }

    /// Follows the flag, or else asks on a terminal about the files in `candidates`. A dry run does not ask.
    pub(super) fn ask(
        context: &Context,
        yes: bool,
        dry_run: bool,
        doing: &str,
        candidates: impl FnOnce() -> Vec<PathBuf>,
    ) -> Result<Self> {
        match yes {
            true => return Ok(Self::answered(Answer::Take)),
            false if dry_run => return Ok(Self::left()),
            false if !context.host.can_ask() => return Ok(Self::answered(Answer::Open)),
            false => {}
        }
        let files = candidates();
        if files.is_empty() {
            return Ok(Self::left());
        }
        let lines = lines_of(files.iter().map(PathBuf::as_path), NAMES_TOLD);
        context.ui.say_list("no creation rule names these files, which are in plaintext:", lines);
        let takes = context.host.confirm(&format!("{doing} them, too?"))?;
        Ok(Self::answered(if takes { Answer::Take } else { Answer::Declined }))
    }

    fn answered(answer: Answer) -> Self {
        Self { answer, left: AtomicUsize::default(), names_one: AtomicBool::default() }
    }

    /// Why plaintext that was found in a folder is skipped, if it is. `has_keys`: flags name the recipients.
    pub(super) fn passes_by(&self, rule: Option<&Policy>, has_keys: bool) -> Option<Passed> {
        self.note(rule);
        if is_named_by(rule) {
            return None;
        }
        if rule.is_none() && !has_keys {
            return Some(Passed::Plaintext);
        }
        match self.answer {
            Answer::Take => None,
            Answer::Declined => Some(Passed::Declined),
            Answer::Leave | Answer::Open => {
                self.left.fetch_add(1, Ordering::Relaxed);
                Some(Passed::Plaintext)
            }
        }
    }

    /// Notes that there is a file that a rule names, even if it is encrypted already.
    pub(super) fn note(&self, rule: Option<&Policy>) {
        self.names_one.fetch_or(is_named_by(rule), Ordering::Relaxed);
    }

    /// An error where nothing was done that somebody may have meant: nobody could be asked, and no rule names a file.
    /// `command` is what was given, without what it was given for.
    pub(super) fn refuse_nothing(&self, command: &str, folders: &[PathBuf]) -> Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        let Some(folder) = folders.first().filter(|_| left > 0 && self.answer == Answer::Open) else {
            return Ok(());
        };
        if self.names_one.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (files, they) =
            if left == 1 { ("1 file".to_owned(), "it") } else { (format!("{left} files"), "them") };
        let message = format!(
            "{files} stayed in plaintext: no path_regex of a creation rule matches {they}, and there is no terminal \
             to ask"
        );
        Err(Error::new(Kind::Other, message).in_file(folder).advise(format!(
            "Name the files, or give their rule a path_regex; or include all that are in plaintext there: \
             `{command} --yes {}`.",
            typed(folder)
        )))
    }
}

/// What somebody can do whose file no rule matches: move it to where one does, and run a command there; `None` where the rules
/// do not say plainly where that is. Of a file that is not there, the command makes it there.
pub(super) fn elsewhere(configs: &Configs, file: &Path, command: &str, context: &Context) -> Option<String> {
    let moved = Move::by_rule(configs, file, context)?;
    if !file.exists() {
        return Some(format!("Name a path that a rule matches: `sealant edit {}`", moved.to));
    }
    Some(format!("Move it to where a rule matches: `{} && sealant {command} {}`", moved.command(), moved.to))
}

/// A file and the path where a rule matches it, both as they are typed in the working directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Move {
    pub from: String,
    pub to: String,
    folder: Option<String>,
}

impl Move {
    /// `None` where the rules do not say plainly where that is, or where another file is.
    pub(super) fn by_rule(configs: &Configs, file: &Path, context: &Context) -> Option<Self> {
        let here = context.lookup().ok()?.working_dir;
        let place =
            configs.place_by_rule(&here.join(file)).filter(|place| place.symlink_metadata().is_err())?;
        let relative = |path: &Path| typed(&plain_path(path.strip_prefix(&here).unwrap_or(path)));
        let folder = place.parent().filter(|folder| !folder.exists()).map(relative);
        Some(Self { from: typed(&plain_path(file)), to: relative(&place), folder })
    }

    /// The commands that move the file.
    pub(super) fn command(&self) -> String {
        let made = self.folder.as_ref().map(|folder| os::how_to_make_folder(folder) + " && ");
        made.unwrap_or_default() + &os::how_to_move(&self.from, &self.to)
    }
}

/// Whether a rule says by its path that a file is its own.
pub(super) fn is_named_by(rule: Option<&Policy>) -> bool {
    rule.is_some_and(|rule| rule.rule.path_regex.is_some())
}
