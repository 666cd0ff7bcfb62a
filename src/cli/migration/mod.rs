//! What `sealant migrate` does to files, whatever wrote them.
//!
//! Each source is a folder here, and a line in the command: it opens what is in a file. What becomes a SealedSecret is sealed in
//! `objects`; what becomes a document of sops is encrypted in `documents`. For whom that is, flags or the creation rule say; nobody is let
//! in who reads neither place; and what was written opens to the same values, before a file is replaced. Plaintext is in memory alone.

pub(in crate::cli) mod ansible_vault;
mod documents;
mod objects;
mod ours;
mod past;
#[cfg(feature = "bitnami")]
pub(in crate::cli) mod sealed_secrets;
pub(in crate::cli) mod secrets;

use std::path::{Path, PathBuf};

use crate::cli::args::{AwsArgs, Input, Inputs, KeyArgs, plain_path};
use crate::cli::context::Context;
use crate::cli::copies::Neighbours;
use crate::error::{Error, Kind, Result};
use crate::shown::typed;

/// What all sources take.
#[derive(Debug, clap::Args)]
pub struct FileArgs {
    /// Files, folders, or patterns such as '**/*.yaml'; by default the folder that you are in
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Write nothing: only say which files would be written
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    aws: AwsArgs,
}

/// What those take that migrate what is encrypted.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CopyArgs {
    /// Also migrate what shares a value with a file for other readers, which would then be for both
    #[arg(long)]
    allow_copied: bool,
}

impl FileArgs {
    fn paths(&self) -> Vec<PathBuf> {
        match self.paths.is_empty() {
            true => vec![PathBuf::from(".")],
            false => self.paths.clone(),
        }
    }
}

/// The path of a file that can be replaced.
fn named_file(input: &Input) -> Result<PathBuf> {
    input
        .path
        .as_deref()
        .map(plain_path)
        .ok_or_else(|| Error::new(Kind::Conflict, "standard input cannot be replaced").advise("Name a file."))
}

/// What may be copies of the files; `None` where copies may have other readers.
fn neighbours_of<'a>(
    args: CopyArgs,
    inputs: &Inputs,
    context: &'a Context<'a>,
) -> Result<Option<Neighbours<'a>>> {
    if args.allow_copied {
        return Ok(None);
    }
    let neighbours = Neighbours::of(context, inputs.inputs.iter().filter_map(|input| input.path.as_deref()))?;
    // Before work in parallel asks for them.
    neighbours.load()?;
    Ok(Some(neighbours))
}

fn refused_copy(error: Error, command: &str, path: &Path) -> Error {
    error.advise(format!(
        "Readers of one of the two could also read the other. Remove what was copied; or, if all of them may read it: \
         `{command} --allow-copied {}`.",
        typed(path)
    ))
}
