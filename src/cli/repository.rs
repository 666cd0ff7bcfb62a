//! Which files a command takes from folders: the one place that says which ones are left alone.
//!
//! What happens to a file that was found, and whether it is one of ours, is up to the command.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::cli::args::{InputArgs, Inputs, plain_path};
use crate::cli::context::Context;
use crate::cli::copies::FoundRepositories;
use crate::config::{SEALANT_NAME, SOPS_NAME, is_meant_as_config};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::keys;
use crate::os;
use crate::repo::git::tree::Tree;
use crate::repo::git::{self, Git, NoGit, changes};
use crate::shown::typed;

/// What a command does with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// If Git fails, nothing counts as ignored, which hides nothing.
    Look,
    /// If Git fails, nothing is written, since Git could be ignoring it.
    Write,
}

/// The inputs of a command that only looks; without any, the working directory. Leaves out files that Git ignores, but
/// not files named like our own leftovers: somebody looking for problems must find them under any name.
pub(super) fn inputs(mut args: InputArgs, purpose: Purpose, context: &Context) -> Result<Inputs> {
    if args.files.is_empty() {
        args.files.push(PathBuf::from("."));
    }
    let mut inputs = args.inputs()?;
    let leftovers = std::mem::take(&mut inputs.leftovers);
    inputs.inputs.extend(leftovers);
    refuse_special(&mut inputs);
    leave_out_ignored(&mut inputs, purpose, context)?;
    Ok(inputs)
}

/// The same for a command about what is encrypted: what was found in folders and can only be something else is not read.
pub(super) fn encrypted_inputs(args: InputArgs, context: &Context) -> Result<Inputs> {
    let mut inputs = inputs(args, Purpose::Look, context)?;
    let is_other = |path: &Path| Format::of_path(path) == Format::Binary && fs::is_large_binary(path);
    inputs.inputs.retain(|input| input.named || !input.path.as_deref().is_some_and(is_other));
    Ok(inputs)
}

/// The inputs that are meant by a command that writes what comes of them. Of what was found in folders it takes neither
/// what Git ignores nor what Git and Sealant read themselves.
pub(super) fn inputs_to_write(args: &InputArgs, context: &Context) -> Result<Inputs> {
    let mut inputs = args.inputs()?;
    leave_out_ignored(&mut inputs, Purpose::Write, context)?;
    leave_out_other_trees(&mut inputs, context);
    let settings = keys::vault::settings_file(context.host).and_then(|path| os::real_path(path).ok());
    let is_settings = |path: &Path| settings.is_some() && os::real_path(path).ok() == settings;
    let is_own = |path: &Path| git::reads(path) || is_meant_as_config(path) || is_settings(path);
    inputs.inputs.retain(|input| input.named || !input.path.as_deref().is_some_and(is_own));
    Ok(inputs)
}

/// The files in a folder, Git's own rules aside, without those of other working trees of its repository, except for sops.
pub(super) fn files_in(folder: &Path, context: &Context) -> Result<Vec<PathBuf>> {
    let args = InputArgs { files: vec![folder.to_path_buf()], filename_override: None };
    let mut inputs = args.inputs()?;
    if !context.is_sops() {
        leave_out_other_trees(&mut inputs, context);
    }
    Ok(inputs.inputs.into_iter().filter_map(|input| input.path).collect())
}

/// What is wrong with a config above the repository: only this machine has it. A config that somebody named is meant so.
pub(super) fn config_outside(config: &Path, git: &Git, context: &Context) -> Result<Option<Error>> {
    let lookup = context.lookup()?;
    if config.starts_with(git.top()) || lookup.explicit.is_some() {
        return Ok(None);
    }
    let copy = git.top().join(config.file_name().unwrap_or_default());
    let copy = copy.strip_prefix(&lookup.working_dir).unwrap_or(&copy);
    let message = format!(
        "this config is outside of the repository {}: the hook does not use it, and nobody else gets it",
        git.top().display()
    );
    let (original, copy) = (typed(config), typed(copy));
    Ok(Some(
        Error::new(Kind::Config, message)
            .in_file(config)
            .advise(format!("Give the repository its own: `cp {original} {copy} && git add {copy}`")),
    ))
}

/// Refuses a new config where the last commit has one that is gone from the working tree: a new one names other readers.
pub(super) fn refuse_deleted_config(git: &Git, folder: &Path) -> Result<()> {
    let folder = git.name_of_folder(folder)?;
    let names = folder.ancestors().flat_map(|folder| [SOPS_NAME, SEALANT_NAME].map(|name| folder.join(name)));
    let is_deleted = |name: &PathBuf| {
        // There may be no commit yet.
        git.top().join(name).symlink_metadata().is_err()
            && Tree::entry_of_commit(git, "HEAD", name).is_ok_and(|entry| entry.is_some())
    };
    let Some(name) = names.into_iter().find(is_deleted) else { return Ok(()) };
    let file = git.top().join(&name);
    Err(Error::new(Kind::ConfigNotFound, "the config was deleted, and the last commit has it").in_file(&file).advise(
        format!(
            "Get it back: `git restore --source=HEAD --staged --worktree -- {}`. For a new one, commit the deletion first",
            typed(&Path::new(&"../".repeat(folder.components().count())).join(name))
        ),
    ))
}

/// A command that only looks does not wait for a pipe.
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
fn leave_out_ignored(inputs: &mut Inputs, purpose: Purpose, context: &Context) -> Result<()> {
    let mut left_out = Ignored::default();
    // For a command that only looks, a nested repository hides nothing.
    let inner: &[PathBuf] = if purpose == Purpose::Write { &inputs.repositories } else { &[] };
    for folder in inputs.folders.iter().chain(inner) {
        if left_out.holds(folder) {
            continue;
        }
        match ignored(folder, context) {
            Ok(Ignored { paths, committed }) => {
                left_out.paths.extend(paths);
                left_out.committed.extend(committed);
            }
            Err(NoGit::Fails(error)) if purpose == Purpose::Look => {
                let advice = error.advice().map(|advice| format!(". {advice}")).unwrap_or_default();
                context.ui.warning(format!(
                    "{}: Git does not say what it ignores, so ignored files are included: {error}{advice}",
                    folder.display()
                ));
            }
            Err(none) => return Err(none.into_error()),
        }
    }
    inputs.links.retain(|link| !left_out.holds(link));
    let before = inputs.inputs.len();
    inputs
        .inputs
        .retain(|input| input.named || !input.path.as_deref().is_some_and(|path| left_out.holds(path)));
    inputs.ignored = before - inputs.inputs.len();
    Ok(())
}

/// Leaves out what was found in other working trees of the repository of a folder that was named: it is another branch's.
fn leave_out_other_trees(inputs: &mut Inputs, context: &Context) {
    let found = FoundRepositories::within(inputs, context);
    let other_of = |path: &Path| found.other_with(&os::real_path(path).ok()?).map(Path::to_path_buf);
    let mut left_out = BTreeSet::new();
    inputs.inputs.retain(|input| {
        let other = input.path.as_deref().filter(|_| !input.named).and_then(other_of);
        left_out.extend(other.clone());
        other.is_none()
    });
    let here =
        context.lookup().ok().and_then(|lookup| os::real_path(lookup.working_dir).ok()).unwrap_or_default();
    for tree in left_out {
        let tree = tree.strip_prefix(&here).unwrap_or(&tree).display();
        context.ui.note(format!(
            "{tree}: another working tree of this repository. Its files are left out unless you name it"
        ));
    }
}

/// What Git ignores, called as what is found in the folders that were named.
#[derive(Default)]
struct Ignored {
    paths: HashSet<PathBuf>,
    /// What it would not be told to ignore if the index were whole.
    committed: HashSet<PathBuf>,
}

impl Ignored {
    fn holds(&self, path: &Path) -> bool {
        let path = plain_path(path);
        path.ancestors().any(|above| self.paths.contains(above)) && !self.committed.contains(&path)
    }
}

/// What Git ignores below a folder.
fn ignored(folder: &Path, context: &Context) -> Result<Ignored, NoGit> {
    // The pattern `*.yaml` looks through a folder without a name.
    let real = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Some(git) = Git::find(context.host, real)? else { return Ok(Ignored::default()) };
    let below = || {
        let name = git.name_of_folder(real)?;
        // The person named this folder, even if it or a folder above it is ignored.
        let named = |path: PathBuf| {
            let below = path.strip_prefix(&name).ok().filter(|path| !path.as_os_str().is_empty())?;
            Some(plain_path(&folder.join(below)))
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
