//! What Git's history keeps of files that were in plaintext, and what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::pipeline::NAMES_TOLD;
use crate::document::Format;
use crate::error::Result;
use crate::repo::git::Git;
use crate::repo::git::NoGit;
use crate::repo::git::history::{Content, History, Scope};
use crate::secret::SecretBytes;
use crate::shown::typed;

/// How much of a commit's name is shown.
const SHORT: usize = 10;

/// Says which of these files are in plaintext in some commit. `is_plaintext` is asked of each of their versions.
pub fn tell(
    files: &[PathBuf],
    is_plaintext: &(dyn Fn(Format, SecretBytes) -> bool + Sync),
    context: &Context,
) {
    match committed(files, is_plaintext, context) {
        Ok(found) if found.is_empty() => {}
        Ok(found) => {
            let first = typed(&found[0].0);
            let rest = found.len().saturating_sub(NAMES_TOLD);
            let mut lines: Vec<String> = found.into_iter().take(NAMES_TOLD).map(|(_, line)| line).collect();
            lines.extend((rest > 0).then(|| format!("  and {rest} more")));
            let ui = context.ui;
            ui.warning_list(
                "Git's history keeps the plaintext of these, for everybody who has a clone:",
                lines,
            );
            ui.note(format!(
                "change these values where they are used, and then in their files, as with `sealant edit {first}`; rewriting the \
                 history does not take them out of anybody's clone"
            ));
        }
        Err(error) => {
            context.ui.warning("Git does not say whether its history has the plaintext of these files:");
            context.ui.warning_of(&error);
        }
    }
}

/// The files that are in plaintext in a commit, each with what is said of it.
fn committed(
    files: &[PathBuf],
    is_plaintext: &(dyn Fn(Format, SecretBytes) -> bool + Sync),
    context: &Context,
) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for (git, named) in by_repository(files, context)? {
        let scope = Scope { all: true, paths: named.keys().cloned().collect() };
        let history = History::read(&git, &scope, |path| named.contains_key(path))?;
        let blobs: Vec<usize> = (0..history.blobs.len()).collect();
        let mut plain = BTreeSet::new();
        let look = |blob: usize, content: Content| match content {
            Content::Bytes(bytes) => is_plaintext(history.blobs[blob].format, bytes),
            // Nobody can tell.
            Content::TooLarge | Content::Unread(_) => true,
        };
        history.read_blobs(&git, &blobs, look, |blob, is_plain| {
            if is_plain {
                plain.insert(blob);
            }
        })?;
        for (name, shown) in &named {
            let versions = history.versions.iter().filter(|version| plain.contains(&version.blob));
            let versions = versions.filter(|version| history.paths[version.path] == *name);
            let Some(first) = versions.map(|version| &history.commits[version.commit]).min_by_key(|c| c.time)
            else {
                continue;
            };
            let commit: String = first.id.as_str().chars().take(SHORT).collect();
            let day = first.time.strftime("%Y-%m-%d");
            found.push((shown.clone(), format!("  {}, since commit {commit} of {day}", shown.display())));
        }
    }
    found.sort();
    Ok(found)
}

/// The files of each repository: what each is called from its top, and what it is called here.
fn by_repository<'a>(
    files: &[PathBuf],
    context: &'a Context,
) -> Result<Vec<(Git<'a>, BTreeMap<PathBuf, PathBuf>)>> {
    let mut found: BTreeMap<PathBuf, (Git<'a>, BTreeMap<PathBuf, PathBuf>)> = BTreeMap::new();
    let working_dir = context.lookup()?.working_dir;
    let folders: BTreeSet<PathBuf> = files.iter().map(|file| folder_of(file, &working_dir)).collect();
    for folder in folders {
        let Some(git) = Git::find(context.host, &folder).map_err(NoGit::into_error)? else { continue };
        let below = git.name_of_folder(&folder)?;
        let here = files.iter().filter(|file| folder_of(file, &working_dir) == folder);
        let named = here.map(|file| (below.join(file.file_name().unwrap_or_default()), file.clone()));
        let top = git.top().to_path_buf();
        found.entry(top).or_insert_with(|| (git, BTreeMap::new())).1.extend(named);
    }
    Ok(found.into_values().collect())
}

fn folder_of(file: &Path, working_dir: &Path) -> PathBuf {
    working_dir.join(file.parent().unwrap_or(Path::new("")))
}
