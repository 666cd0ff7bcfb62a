//! A config that is left where another branch has a submodule, and ours has files.
//!
//! Owns that it names nobody for these files. Git leaves the working tree of a submodule where it is, as it would lose what only that
//! has; so what lies around our files is not what our branch has there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::real;
use crate::cli::context::Context;
use crate::config::Configs;
use crate::error::{Error, Kind, Result};
use crate::repo::git::tree::{Entry, Tree};
use crate::repo::git::{Git, are_of_one_repository, root_of};
use crate::shown::typed;

/// An error where the rule for one of these files is in such a config.
pub(super) fn refuse<'p>(
    context: &Context,
    configs: &Configs,
    files: impl IntoIterator<Item = &'p Path>,
) -> Result<()> {
    if context.is_sops() {
        return Ok(());
    }
    let config_of = |file: &Path| {
        let config = configs.config_for(&real(file)).ok().flatten();
        config.map(|config| real(config.path()))
    };
    let configs: BTreeSet<PathBuf> = files.into_iter().filter_map(config_of).collect();
    configs.iter().try_for_each(|config| refuse_config(context, config))
}

fn refuse_config(context: &Context, config: &Path) -> Result<()> {
    let Some(top) = config.parent().and_then(root_of) else { return Ok(()) };
    let Some(outer) = top.parent().and_then(root_of).filter(|outer| !are_of_one_repository(top, outer))
    else {
        return Ok(());
    };
    // Where Git does not open it, its history is told of elsewhere.
    let Ok(Some(git)) = Git::find(context.host, outer) else { return Ok(()) };
    let (Ok(folder), Ok(name)) = (top.strip_prefix(git.top()), config.strip_prefix(git.top())) else {
        return Ok(());
    };
    let staged = Tree::of_index_at(&git, &[folder])?;
    let is_file = |entry: &Entry| matches!(entry, Entry::File(_) | Entry::Unmerged);
    let has_files = staged.iter().any(|(path, entry)| path != folder && is_file(entry));
    if !has_files || staged.get(name).is_some() {
        return Ok(());
    }
    let message = format!(
        "its creation rules would be for files that Git has in {}, and it is not among them: {} is a repository of its own",
        git.top().display(),
        top.display()
    );
    let link = top.join(".git");
    let advice = match link.is_file() {
        true => format!(
            "It is left from a branch on which that is a submodule, whose repository Git keeps: `rm {} {}`",
            typed(&link),
            typed(config)
        ),
        false => format!("If it is left from another branch, move {} and this config away.", link.display()),
    };
    Err(Error::new(Kind::Config, message).in_file(config).advise(advice))
}
