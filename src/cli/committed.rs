//! What a commit has in plaintext already, or could have next: notes for people who encrypt and decrypt files.
//!
//! Refuses nothing, and says nothing where Git does not answer: the hook and `check` are there for that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::args::Input;
use crate::cli::context::Context;
use crate::cli::copies::real;
use crate::cli::ui::counted;
use crate::encrypted_file::is_encrypted;
use crate::error::Result;
use crate::fs;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::{Entry, Tree};
use crate::repo::git::{Git, changes};
use crate::shown::typed;

/// More files are not looked up for a note.
const MOST_FILES: usize = 1000;

/// Larger files are not read for a note.
const MOST_BYTES: u64 = 1 << 20;

/// Says which files the last commit has in plaintext that are encrypted now: their values stay in the history.
pub fn tell_plaintext_of_last_commit(inputs: &[Input], context: &Context) {
    if context.is_sops() || inputs.len() > MOST_FILES {
        return;
    }
    let files = plaintext_of_last_commit(inputs, context).unwrap_or_default();
    let [first, others @ ..] = &files[..] else { return };
    let files = match others.len() {
        0 => typed(first),
        more => format!("{} and {}", typed(first), counted(more, "other file")),
    };
    context.ui.note(format!(
        "the last commit has {files} in plaintext, and the history keeps it: replace the secrets themselves"
    ));
}

fn plaintext_of_last_commit(inputs: &[Input], context: &Context) -> Result<Vec<PathBuf>> {
    let git = Git::of(context.host, &context.lookup()?.working_dir)?;
    let Some(head) = changes::head(&git)? else { return Ok(Vec::new()) };
    let paths = inputs.iter().filter_map(|input| input.path.as_deref());
    let names: BTreeMap<PathBuf, &Path> = paths
        .filter_map(|path| Some((real(path).strip_prefix(git.top()).ok()?.to_path_buf(), path)))
        .collect();
    let tree = Tree::of_commit_at(&git, &head, &names.keys().cloned().collect())?;
    let mut blobs = Blobs::open(&git)?;
    let mut found = Vec::new();
    for (name, entry) in tree.iter() {
        let (Entry::File(id), Some(path)) = (entry, names.get(name)) else { continue };
        let Some(before) = blobs.read_up_to(id, MOST_BYTES)? else { continue };
        let is_now = || fs::read_found(path, MOST_BYTES).is_ok_and(|now| is_encrypted(path, &now));
        if !before.is_empty() && !is_encrypted(name, &before) && is_now() {
            found.push(path.to_path_buf());
        }
    }
    Ok(found)
}

/// Says that a new file with plaintext is one that nothing keeps out of a commit.
pub fn tell_unguarded(plaintext: &Path, context: &Context) {
    if !context.is_sops() && is_unguarded(plaintext, context).unwrap_or(false) {
        let file = typed(plaintext);
        context.ui.note(format!(
            "{file} is in plaintext, and no creation rule matches it: nothing keeps it out of a commit"
        ));
    }
}

fn is_unguarded(plaintext: &Path, context: &Context) -> Result<bool> {
    let (git, name) = Git::of_file(context.host, &real(plaintext))?;
    let is_covered =
        context.configs()?.matching_policy(plaintext)?.is_some_and(|policy| policy.rule.path_regex.is_some());
    Ok(!is_covered && changes::untracked(&git, std::slice::from_ref(&name))?.contains(&name))
}
