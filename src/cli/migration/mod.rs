//! What `sealant migrate` does to files, whatever wrote them.
//!
//! Each source is a file or folder here, and a line in the command: it opens what is in a file. What becomes a document of sops is
//! encrypted in `documents`; what becomes SealedSecrets is sealed in `sealing`, be it object by object (`objects`) or a file as a whole
//! (`files`). For whom that is, flags or the creation rule say; nobody is let in who reads neither place; and what was written opens to
//! the same values, before a file is replaced. Plaintext is in memory alone.

pub(in crate::cli) mod ansible_vault;
mod documents;
pub(in crate::cli) mod dotenvx;
mod files;
pub(in crate::cli) mod git_crypt;
pub(in crate::cli) mod ksops;
mod objects;
mod ours;
mod past;
#[cfg(feature = "bitnami")]
pub(in crate::cli) mod sealed_secrets;
mod sealing;
pub(in crate::cli) mod secrets;
pub(in crate::cli) mod sops_secret;

use std::path::{Path, PathBuf};

use crate::cli::args::{
    AwsArgs, Destination, Formats, IdentityArgs, Input, InputArgs, Inputs, KeyArgs, plain_path, scopes,
};
use crate::cli::context::Context;
use crate::cli::copies::{self, Neighbours, ToEncrypt};
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, LEFT_ALONE, Output, Passed, Pipeline, Summary, Taken, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::encrypted_file::EncryptedFile;
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::keys::{KeyService, KeySet};
use crate::policy::Overrides;
use crate::repo::copies::Foreign;
use crate::sealed_secret::Scope;
use crate::secret::DataKey;
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

/// What those take that migrate what is encrypted, or that Git has encrypted.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CopyArgs {
    /// Also migrate what shares a value with a file for other readers, which would then be for both
    #[arg(long, help_heading = None::<&str>)]
    allow_copied: bool,
}

/// What those take that make SealedSecrets of what may name no namespace.
#[derive(Debug, clap::Args)]
pub struct BoundArgs {
    /// The namespace of Secrets that name none
    #[arg(short, long, value_name = "NAME", help_heading = None::<&str>)]
    namespace: Option<String>,

    /// What values are bound to: strict (namespace and name, the default), namespace, or cluster
    #[arg(long, value_name = "SCOPE", help_heading = None::<&str>, value_parser = scopes(), hide_possible_values = true, default_value_t, hide_default_value = true)]
    scope: Scope,
}

impl FileArgs {
    fn paths(&self) -> Vec<PathBuf> {
        match self.paths.is_empty() {
            true => vec![PathBuf::from(".")],
            false => self.paths.clone(),
        }
    }
}

/// A program, or a way to keep values, that is migrated from.
pub trait Origin: Sync {
    /// What is looked for in a file, such as `ciphertext of ansible-vault`.
    fn named(&self) -> &'static str;

    /// The command that migrates from it, as it was given, without files.
    fn command(&self) -> String;

    /// Whether nothing is encrypted in its files.
    fn is_plaintext(&self) -> bool {
        false
    }
}

/// What a source works with, whatever becomes of its files.
pub struct Tools<'a> {
    context: &'a Context<'a>,
    origin: &'a dyn Origin,
    service: KeyService<'a>,
    /// Copies may have other readers.
    allows_copied: bool,
    /// `None` where they may, or nothing is encrypted that could be one.
    neighbours: Option<Neighbours<'a>>,
}

impl<'a> Tools<'a> {
    /// Those for the files that were named, and these files.
    fn new(
        origin: &'a dyn Origin,
        args: &FileArgs,
        copies: CopyArgs,
        wanted: &Overrides,
        context: &'a Context<'a>,
    ) -> Result<(Self, Inputs)> {
        let typed = wanted.keys.iter().flat_map(|keys| keys.groups.iter().flatten());
        let service = IdentityArgs::default().key_service(context)?.naming(typed);
        let inputs = inputs_to_write(&InputArgs { files: args.paths(), filename_override: None }, context)?;
        let allows_copied = copies.allow_copied;
        let neighbours = match allows_copied || origin.is_plaintext() {
            true => None,
            false => {
                let files = inputs.inputs.iter().filter_map(|input| input.path.as_deref());
                let neighbours = Neighbours::with_versions(context, files.collect::<Vec<_>>())?;
                // Before work in parallel asks for them.
                neighbours.load()?;
                Some(neighbours)
            }
        };
        Ok((Self { context, origin, service, allows_copied, neighbours }, inputs))
    }

    /// Refuses what is also in a file for other readers, who would get it by this one.
    fn refuse_copies(&self, path: &Path, of: Copied<'_>, keys: &KeySet) -> Result<()> {
        let Some(neighbours) = &self.neighbours else { return Ok(()) };
        let refused = match of {
            Copied::Foreign(foreign) => neighbours.refuse_foreign(path, foreign, keys),
            Copied::Opened(data_key) => neighbours.refuse_key(path, data_key, keys),
        };
        refused.map_err(|error| self.advised(error, path))
    }

    fn advised(&self, error: Error, path: &Path) -> Error {
        error.advise(format!(
            "Readers of one of the two could also read the other. Remove what was copied; or, if all of them may read it: \
             `{} --allow-copied {}`.",
            self.origin.command(),
            typed(path)
        ))
    }

    /// The same for the files that one is made of: each may have come to its place by way of others.
    fn refuse_copied_parts(&self, path: &Path, parts: &[EncryptedFile], keys: &KeySet) -> Result<()> {
        if self.neighbours.is_none() {
            return Ok(());
        }
        let refused = |part| copies::refuse_file(self.context, path, part, keys);
        parts.iter().try_for_each(refused).map_err(|error| self.advised(error, path))
    }

    /// Encrypts files, but for those that Git has encrypted for fewer readers, unless copies may have others.
    fn encrypt_allowed<T, R>(
        &self,
        files: Vec<T>,
        wanted: impl Fn(&T) -> ToEncrypt<'_>,
        encrypt: impl FnOnce(Vec<T>) -> Vec<Result<R>>,
    ) -> Vec<Result<R>> {
        copies::encrypt_allowed(self.context, self.allows_copied, files, wanted, encrypt)
    }

    /// What becomes of a file that has nothing of the source: that is an error for one that was named, unless it is what others become.
    fn passed<T>(&self, input: &Input, is_done: bool) -> Result<Taken<T>> {
        match (is_done, input.named) {
            (true, _) => Ok(Taken::Passed(Passed::Already)),
            (false, true) => {
                Err(Error::new(Kind::Other, format!("there is no {} in it", self.origin.named())))
            }
            (false, false) => Ok(Taken::Passed(Passed::Other)),
        }
    }
}

/// What of a file may be in others, too.
pub enum Copied<'a> {
    Foreign(&'a Foreign),
    /// Its data key, which may be wrapped otherwise there.
    Opened(&'a DataKey),
}

/// Takes each file through `prepare`, and those that fit into memory together through `make`; what comes of it replaces them.
fn over_files<T: Send>(
    inputs: Inputs,
    args: &FileArgs,
    already: &'static str,
    context: &Context,
    prepare: impl Fn(Item) -> Result<Taken<T>> + Sync + Send,
    make: impl Fn(Vec<T>) -> Vec<Result<Option<Output>>>,
) -> Failures {
    let pipeline = Pipeline {
        context,
        inputs,
        formats: Formats::default(),
        destination: Destination::InPlace,
        dry_run: args.dry_run,
        mode: Mode::Public,
        doing: "migrating",
        summary: Some(Summary { done: "migrated", already, other: LEFT_ALONE }),
    };
    let mut failures = Failures::default();
    pipeline.run_among(&mut failures, |items| in_two_steps(items, &prepare, &make));
    failures
}

/// The path of a file that can be replaced.
fn named_file(input: &Input) -> Result<PathBuf> {
    input
        .path
        .as_deref()
        .map(plain_path)
        .ok_or_else(|| Error::new(Kind::Conflict, "standard input cannot be replaced").advise("Name a file."))
}

/// An error unless what would be written was opened, and is the same as what it is made of.
fn proven(is_same: bool) -> Result<()> {
    match is_same {
        true => Ok(()),
        false => {
            let message = "what would be written does not open to the same values, so nothing was written";
            Err(Error::new(Kind::Encrypt, message))
        }
    }
}
