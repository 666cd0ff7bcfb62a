//! What a sparse checkout leaves out of the working tree: it is in commits all the same, so it is looked at as the index has
//! it.

use std::path::{Path, PathBuf};

use crate::cli::args::plain_path;
use crate::cli::commands::check::report::Looked;
use crate::cli::context::Context;
use crate::cli::copies::real;
use crate::config::{Configs, absolute};
use crate::document::Format;
use crate::error::{Error, Result};
use crate::repo::before::{Before, Plans};
use crate::repo::git::absent::may_be_sparse;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes};

/// Looks at the files that are left out below what was `asked` for, which is the current folder if nothing was, and where
/// there is a base, at those that differ from it.
pub fn look(
    asked: &[PathBuf],
    base: Option<&str>,
    configs: &Configs,
    befores: &[Before],
    looked: &mut Looked,
    context: &Context,
) -> Result<()> {
    let working_dir = real(&context.lookup()?.working_dir);
    if !may_be_sparse(&working_dir) {
        return Ok(());
    }
    // Where Git does not answer, nobody says what it leaves out.
    let Ok(git) = Git::of(context.host, &working_dir) else { return Ok(()) };
    let folders: Vec<PathBuf> = match asked {
        [] => vec![working_dir.clone()],
        asked => asked.iter().map(|path| absolute(path, &working_dir)).collect(),
    };
    let changed = match base {
        Some(base) => Some(changes::since(&git, &changes::fork(&git, base)?)?),
        None => None,
    };
    let is_meant = |path: &Path| {
        let here = git.top().join(path);
        folders.iter().any(|folder| here.starts_with(folder))
            && changed.as_ref().is_none_or(|changed| changed.contains(path))
            && here.symlink_metadata().is_err()
    };
    let tree = Tree::of_index(&git)?;
    let absent = changes::not_checked_out(&git)?.into_iter().filter(|path| is_meant(path));
    let file = |path: PathBuf| match tree.get(&path) {
        Some(Entry::File(id)) => Some((git.top().join(path), id.clone())),
        _ => None,
    };
    let files: Vec<(PathBuf, ObjectId)> = absent.filter_map(file).collect();
    let ids: Vec<&ObjectId> = files.iter().map(|(_, id)| id).collect();
    let plan = |at: usize, size: u64| {
        let path = &files[at].0;
        let plans = Plans::of(Some(path), Format::of_path(path), size, configs, befores)?;
        Ok(plans.limit().map(|limit| (plans, limit as u64)))
    };
    let shown = |path: &Path| plain_path(path.strip_prefix(&working_dir).unwrap_or(path));
    let mut blobs = Blobs::open(&git)?;
    let (mut seen, mut last): (usize, Option<(usize, Error)>) = (0, None);
    for (at, read) in blobs.each(&ids, plan) {
        if let Some((at, error)) = last.take() {
            looked.add(&shown(&files[at].0), Err(error), context);
        }
        seen = at;
        let findings = read.and_then(|file| file.map_or(Ok(Vec::new()), |(plans, bytes)| plans.check(bytes)));
        match findings {
            Ok(findings) => looked.add(&shown(&files[at].0), Ok(findings), context),
            Err(error) => last = Some((at, error)),
        }
    }
    let Some((at, error)) = last else { return Ok(()) };
    if blobs.refuse_ended().is_ok() {
        looked.add(&shown(&files[at].0), Err(error), context);
        return Ok(());
    }
    // As in a partial clone, of which nothing is fetched.
    context.ui.warning(format!(
        "{} of the files that the sparse checkout leaves out were not checked: Git does not have their content here",
        files.len() - seen
    ));
    Ok(())
}
