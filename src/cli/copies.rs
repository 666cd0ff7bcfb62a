//! The encrypted files of the repository that one is in, as far as they may be copies of one another.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::cli::Context;
use crate::config::Configs;
use crate::document::{Format, MAX_SOURCE};
use crate::encrypted_file::{EncryptedFile, format_in, is_meant_to_be_encrypted};
use crate::error::Result;
use crate::fs;
use crate::keys::KeySet;
use crate::policy;
use crate::repo::copies::{Copies, Held, Named, held};
use crate::repo::git::Git;
use crate::secret::SecretBytes;

/// The files of the repository, read when they are first asked for.
pub(super) struct Neighbours<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    copies: OnceLock<Copies>,
}

impl<'a> Neighbours<'a> {
    pub fn new(context: &'a Context<'a>) -> Result<Self> {
        Ok(Self { context, configs: context.configs()?, copies: OnceLock::new() })
    }

    /// Reads the files, in parallel: before other work in parallel asks for them.
    pub fn load(&self) -> Result<&Copies> {
        if let Some(copies) = self.copies.get() {
            return Ok(copies);
        }
        let mut copies = Copies::default();
        add_all(&mut copies, &self.configs, self.context)?;
        Ok(self.copies.get_or_init(|| copies))
    }

    /// Refuses to wrap a data key for `keys` where a file elsewhere, which shares it or a value, is not for all of them. By
    /// the name of sops nothing is refused.
    pub fn refuse(&self, path: &Path, file: &EncryptedFile, keys: &KeySet) -> Result<()> {
        if self.context.is_sops() {
            return Ok(());
        }
        let copies = self.load()?;
        copies.refuse(&real(path), &held(file, None), keys).map_err(|error| error.in_file(path))
    }
}

/// The same for versions of one file that are brought together.
pub(super) fn refuse_versions<'v>(
    context: &Context,
    path: &Path,
    format: Format,
    versions: impl IntoIterator<Item = &'v SecretBytes>,
    keys: &KeySet,
) -> Result<()> {
    let neighbours = Neighbours::new(context)?;
    for version in versions {
        let format = format_in(format, version);
        if is_meant_to_be_encrypted(format, version) {
            neighbours.refuse(path, &EncryptedFile::parse(format, version.clone())?, keys)?;
        }
    }
    Ok(())
}

/// Adds the encrypted files of the working tree, or of the folder that one is in where there is none.
pub(super) fn add_all(copies: &mut Copies, configs: &Configs, context: &Context) -> Result<()> {
    let working_dir = context.lookup()?.working_dir;
    // Where Git fails there is no other working tree than what is here.
    let git = Git::find(context.host, &working_dir).ok().flatten();
    let top = git.map_or_else(|| working_dir.clone(), |git| git.top().to_path_buf());
    let files = fs::walk(&[top]).files;
    let read = |path: &PathBuf| {
        let format = Format::of_path(path);
        let limit = fs::size(path).filter(|&size| size <= MAX_SOURCE as u64)?;
        let bytes = fs::read(path, limit.max(1)).ok()?;
        let held = held_by(path, format, &bytes, configs)?;
        let shown = path.strip_prefix(&working_dir).unwrap_or(path).to_path_buf();
        Some((Named { path: real(path), shown }, held))
    };
    let found: Vec<_> = files.par_iter().filter_map(read).collect();
    for (file, held) in found {
        copies.add(file, held);
    }
    Ok(())
}

/// What a file holds that another may hold as well; `None` for one that is not encrypted, or is broken.
pub(super) fn held_by(
    path: &Path,
    format: Format,
    bytes: &SecretBytes,
    configs: &Configs,
) -> Option<Vec<(usize, Held)>> {
    let format = format_in(format, bytes);
    if !is_meant_to_be_encrypted(format, bytes) {
        return None;
    }
    let file = EncryptedFile::parse(format, bytes.clone()).ok()?;
    let rule = policy::keys_of_file(configs, path).ok().flatten();
    Some(held(&file, rule.as_ref()))
}

/// The file that a path leads to.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
