//! The files of a repository, for commands that look through all of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::args::{InputArgs, Inputs};
use crate::error::Result;
use crate::fs;
use crate::repo::git::{Git, NoGit, changes};

/// What a command does with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Where Git fails, nothing is ignored: that hides nothing.
    Look,
    /// Where Git fails, nothing is written: it could be what Git ignores.
    Write,
}

/// The inputs that are meant; without any, the folder that one is in. What Git ignores is left out. Files that are called
/// as our own leftovers are not: whoever looks for what is wrong must find it under every name.
pub(super) fn inputs(mut args: InputArgs, purpose: Purpose, context: &Context) -> Result<Inputs> {
    if args.files.is_empty() {
        args.files.push(PathBuf::from("."));
    }
    let mut inputs = args.inputs()?;
    let leftovers = std::mem::take(&mut inputs.leftovers);
    inputs.inputs.extend(leftovers);
    refuse_special(&mut inputs);
    leave_out_ignored(&mut inputs, &args.files, purpose, context)?;
    Ok(inputs)
}

/// Nobody waits for a pipe where all that was meant was to look at what is there.
fn refuse_special(inputs: &mut Inputs) {
    let Inputs { inputs, errors, .. } = inputs;
    inputs.retain(|input| {
        let refused = input.path.as_deref().filter(|_| input.named).map(fs::refuse_special);
        match refused {
            Some(Err(error)) => {
                errors.push(error);
                false
            }
            _ => true,
        }
    });
}

/// Leaves out what Git ignores of what was found in folders: results of builds, a plaintext beside its ciphertext. What
/// is in the index or in the last commit stays, ignored or not. Where there is no repository, nothing is ignored.
fn leave_out_ignored(
    inputs: &mut Inputs,
    paths: &[PathBuf],
    purpose: Purpose,
    context: &Context,
) -> Result<()> {
    let mut left_out = Ignored::default();
    for folder in paths.iter().filter(|path| path.is_dir()) {
        match ignored(folder, context) {
            Ok(Ignored { paths, committed }) => {
                left_out.paths.extend(paths);
                left_out.committed.extend(committed);
            }
            Err(NoGit::Fails(error)) if purpose == Purpose::Look => {
                let advice = error.advice().map(|advice| format!("\n{advice}")).unwrap_or_default();
                context.ui.warning(format!(
                    "{}: Git does not tell what it ignores, so that is looked at, too: {error}{advice}",
                    folder.display()
                ));
            }
            Err(none) => return Err(none.into_error()),
        }
    }
    let is_left_out = |path: &Path| {
        path.ancestors().any(|above| left_out.paths.contains(above)) && !left_out.committed.contains(path)
    };
    inputs.links.retain(|link| !is_left_out(link));
    inputs.inputs.retain(|input| input.named || !input.path.as_deref().is_some_and(is_left_out));
    Ok(())
}

/// What Git ignores, called as what is found in the folders that were named.
#[derive(Default)]
struct Ignored {
    paths: HashSet<PathBuf>,
    /// What it would not be told to ignore if the index were whole.
    committed: HashSet<PathBuf>,
}

/// What Git ignores below a folder.
fn ignored(folder: &Path, context: &Context) -> Result<Ignored, NoGit> {
    let Some(git) = Git::find(context.host, folder)? else { return Ok(Ignored::default()) };
    let below = || {
        let name = git.name_of_folder(folder)?;
        // A folder that is ignored as a whole, or in one that is, was named all the same.
        let named = |path: PathBuf| {
            let below = path.strip_prefix(&name).ok().filter(|path| !path.as_os_str().is_empty())?;
            Some(folder.join(below))
        };
        let paths: HashSet<PathBuf> = changes::ignored(&git, &name)?.into_iter().filter_map(named).collect();
        let committed = match paths.is_empty() {
            true => HashSet::new(),
            false => changes::committed(&git, &name)?.into_iter().filter_map(named).collect(),
        };
        Ok(Ignored { paths, committed })
    };
    below().map_err(NoGit::Fails)
}

/// The path without the `./` that comes from looking through the folder that one is in.
pub(super) fn plain_path(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}
