use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::context::Context;
use crate::error::Result;
use crate::host::Host;
use crate::repo::git::Git;
use crate::repo::git::install::{Attributes, Setup, Step};

/// Set up this clone: readable diffs, merges, no plaintext in commits
///
/// Writes the drivers into the clone's .git/config, the attributes that call them into .gitattributes, and the hooks
/// that Git runs before it commits (pre-commit, pre-merge-commit and pre-applypatch). Existing hooks are not changed:
/// you are told what to add to them. Git copies neither drivers nor hooks to other clones, so everybody runs this
/// once per clone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant git install
  sealant git install --attributes info    # only for you: nothing to commit
  sealant git install --uninstall")]
pub struct Args {
    /// Where to list the files: in .gitattributes for everybody, or in this clone's .git/info/attributes
    #[arg(long, value_enum, value_name = "PLACE", default_value_t)]
    attributes: Place,

    /// Remove what was written
    #[arg(long, conflicts_with = "attributes")]
    uninstall: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Place {
    #[default]
    Committed,
    Info,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let git = Git::needed(context.host, &context.lookup()?.working_dir)?;
    let setup = Setup::of(&git)?;
    if args.uninstall {
        let steps = setup.uninstall()?;
        if steps.is_empty() {
            context.ui.say("nothing was installed here");
        }
        tell(steps, &git, context);
        return Ok(ExitCode::SUCCESS);
    }
    let place = match args.attributes {
        Place::Committed => Attributes::Committed,
        Place::Info => Attributes::Info,
    };
    let steps = Setup::of(&git)?.install(place)?;
    let is_to_commit = is_to_commit(&steps);
    tell(steps, &git, context);
    warn_of_path(context);
    if is_to_commit {
        context.ui.say("Next: commit .gitattributes; in every other clone, run `sealant git install` once");
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there are attributes that others need.
pub fn is_to_commit(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Written(path) if path.ends_with(".gitattributes")))
}

/// Warns where Git will not find us.
pub fn warn_of_path(context: &Context) {
    if !is_found(OsStr::new("sealant"), context.host) {
        context.ui.warning("sealant is not on the PATH, where Git will look for it");
    }
}

fn tell(steps: Vec<Step>, git: &Git, context: &Context) {
    for step in steps {
        match step {
            Step::Written(path) => context.ui.say(format!("written: {}", shown(&path, git))),
            Step::Removed(path) => context.ui.say(format!("removed: {}", shown(&path, git))),
            Step::AsItWas(path) => context.ui.say(format!("unchanged: {}", shown(&path, git))),
            Step::Left { what, advice } => context.ui.warning_list(what, advice.lines().map(str::to_owned)),
        }
    }
}

/// A path as it is called from the top of the working tree.
pub fn shown(path: &Path, git: &Git) -> String {
    path.strip_prefix(git.top()).unwrap_or(path).display().to_string()
}

/// Whether a program is where Git would find it.
pub fn is_found(program: &OsStr, host: &dyn Host) -> bool {
    if Path::new(program).is_absolute() {
        return Path::new(program).is_file();
    }
    let path = host.env("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
