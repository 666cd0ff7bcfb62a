//! What `set` and `unset` share: one change to one encrypted file, in place.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::batch;
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input};
use crate::cli::{Context, block_on, pipeline};
use crate::document::{Document, Edits, Format, TreePath};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Lock, Mode};
use crate::host::Host;
use crate::sops::MacCheck;

/// The change of a file, and how to come by the file.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// The encrypted file
    pub(super) file: PathBuf,

    /// The path of the value, '["a"][0]' for instance
    pub(super) path: String,

    /// Succeed and write nothing when there is nothing to change
    #[arg(long)]
    pub(super) idempotent: bool,

    /// Do everything but write: say whether the file would be written
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Go on when the MAC does not match: the file is not what was encrypted
    #[arg(long)]
    pub(super) ignore_mac: bool,

    #[command(flatten)]
    pub(super) formats: FormatArgs,

    #[command(flatten)]
    pub(super) identities: IdentityArgs,
}

impl ChangeArgs {
    pub fn tree_path(&self) -> Result<TreePath> {
        TreePath::parse(&self.path).map_err(|error| error.with_kind(Kind::SetFormat))
    }

    /// Applies `change` to the file; when it gives no edits, nothing is written.
    pub fn run(
        &self,
        context: &Context,
        change: impl FnOnce(&dyn Document) -> Result<Option<Edits>>,
    ) -> Result<ExitCode> {
        let input = Input::of(&self.file);
        let Some(path) = &input.path else {
            return Err(Error::new(Kind::Conflict, "standard input cannot be changed in place")
                .advise("Name a file."));
        };
        let formats = self.formats.formats(context.ui);
        refuse_conversion(formats, formats.of_input(Some(path)))?;
        let service = self.identities.key_service(context.host)?;

        // From reading to writing: of two runs at once, the second one builds on the first. That there is no such file
        // is for reading to tell.
        let lock = Lock::exclusive(path);
        let source = pipeline::read(&input, formats)?;
        let _lock = lock?;
        let opened = block_on(batch::open_one(&service, source))?;
        let check = if self.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
        let changed = opened.file.change(&opened.key, check, context.host.now(), change);
        let Some(changed) = changed.map_err(|error| error.in_file(path))? else {
            return Ok(ExitCode::SUCCESS);
        };
        for warning in &changed.warnings {
            context.ui.warning(format!("{}: {warning}", path.display()));
        }
        if self.dry_run {
            context.ui.line(format!("would write {}", path.display()))?;
        } else {
            fs::write_atomic_if_unchanged(path, &changed.bytes, Mode::Public, &opened.snapshot)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A file that is changed in place stays what it is.
pub fn refuse_conversion(formats: Formats, format: Format) -> Result<()> {
    match formats.output {
        Some(other) if other != format => {
            let message =
                format!("--output-type {other} would turn the file from {format} into another type");
            Err(Error::new(Kind::Conflict, message).advise(
                "Convert it apart from this with `sealant decrypt --output-type` and `sealant encrypt`.",
            ))
        }
        _ => Ok(()),
    }
}
