//! What `set` and `unset` share: one change to one encrypted file, in place.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::batch::{self, Parsed};
use crate::claims::{Edit, Pin};
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input, LISTED};
use crate::cli::claims::{Claims, Strictness, tell_place};
use crate::cli::context::{Context, block_on};
use crate::cli::merging;
use crate::cli::pipeline;
use crate::cli::recipients::Recipients;
use crate::cli::typed_path::within;
use crate::document::{Document, Edits, Format, Spelled, TreePath, WithCopies};
use crate::encrypted_file::{self, EncryptedFile, KeyedPart, OpenedFile, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::Lock;
use crate::host::Host;
use crate::keys::KeyService;
use crate::rekey::Wish;
use crate::sealed_secret::{ItemPath, NewDataKey, SealedFile, SealedSecret};
use crate::shown::typed;
use crate::sops::{Ciphertext, MacCheck};

/// The change of a file, and how to come by the file.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// The encrypted file
    pub(super) file: PathBuf,

    /// The path of the value: database.password, users[0].name, '["an.odd.key"]'; of a SealedSecret the key of the item
    pub(super) path: String,

    /// Succeed and write nothing when there is nothing to change
    #[arg(long)]
    pub(super) idempotent: bool,

    /// Write nothing: only say whether the file would be written
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub(super) ignore_mac: bool,

    /// Where the value has a YAML anchor: also change its copies, the values of the anchor's aliases
    #[arg(long)]
    pub(super) with_copies: bool,

    #[command(flatten)]
    pub(super) formats: FormatArgs,

    #[command(flatten)]
    pub(super) identities: IdentityArgs,
}

impl ChangeArgs {
    /// The path into a document, as it was typed.
    pub fn spelled(&self, context: &Context) -> Result<Spelled> {
        let read = if context.is_sops() { Spelled::in_brackets } else { Spelled::parse };
        read(&self.path).map_err(wrong_path)
    }

    pub fn copies(&self) -> WithCopies {
        if self.with_copies { WithCopies::Change } else { WithCopies::Refuse }
    }

    /// Says what a change of a value does to others in YAML: to copies of an anchor, or to the copy that it is in.
    pub fn tell_copies(
        &self,
        path: &TreePath,
        document: &dyn Document,
        changes: bool,
        context: &Context,
    ) -> Result<()> {
        if !changes {
            return Ok(());
        }
        if let Some(copy) = path.copy_on_the_way(document) {
            context.ui.note(format!("{copy} was an alias, and is now a copy of its own"));
            return Ok(());
        }
        for copy in path.copies(document)? {
            context.ui.note(format!("{copy} is a copy of {path}, and changes with it"));
        }
        Ok(())
    }

    /// Applies a change to the file; when it gives none, nothing is written. `wish` is for SealedSecrets.
    pub fn run(&self, context: &Context, wish: Wish, change: impl Change) -> Result<ExitCode> {
        let input = Input::of(&self.file);
        let Some(path) = &input.path else {
            return Err(Error::new(Kind::Conflict, "standard input cannot be changed in place")
                .advise("Name a file."));
        };
        let formats = self.formats.formats(context);
        refuse_conversion(formats, formats.of_input(Some(path)), context)?;
        let service = self.identities.key_service(context)?;

        // From reading to writing: of two runs at once, the second one builds on the first. That there is no such file
        // is for reading to tell.
        let lock = Lock::exclusive(path);
        let source = pipeline::read(&input, formats).map_err(|error| match change.strictness() {
            _ if context.is_sops() => error,
            Some(_) => error.advise_if_missing("To make it: `sealant edit FILE`"),
            None => error.advise_if_missing(LISTED),
        });
        let source = pipeline::as_taken(source?, context);
        let format = source.format;
        let _lock = lock?;
        let parsed = batch::parse_one(source)?;
        let snapshot = parsed.snapshot;
        let retyped = |written| pipeline::retyped(written, format, formats, Some(path), context);
        let claims = Claims::new(context)?;
        merging::tell_of_rules(context, [path.as_path()])?;
        if change.strictness().is_none() {
            claims.tell_weaker(path, &parsed.file);
        }
        let mut sealed_for = None;
        let changed = match parsed.file {
            EncryptedFile::Sealed(file) => {
                let recipients = Recipients::new(context, wish)?;
                self.change_sealed(&file, &recipients, &claims, &service, change).map(|changed| {
                    let (file, sealed) = changed?;
                    sealed_for = sealed;
                    Some(file)
                })
            }
            EncryptedFile::Document(_) => self
                .change_document(parsed, context, &claims, &service, change)
                .and_then(|changed| changed.map(retyped).transpose()),
        };
        let Some(changed) = changed.map_err(|error| error.in_file(path))? else {
            return Ok(ExitCode::SUCCESS);
        };
        for warning in &changed.warnings {
            context.ui.warning(format!("{}: {warning}", path.display()));
        }
        if self.dry_run {
            context.ui.line(format!("would write {}", path.display()))?;
        } else {
            pipeline::replace(path, &changed.bytes, &snapshot, context)?;
        }
        if let Some(sealed) = sealed_for {
            tell_place(context, path, &sealed);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn change_document(
        &self,
        parsed: Parsed,
        context: &Context,
        claims: &Claims<'_>,
        service: &KeyService<'_>,
        change: impl Change,
    ) -> Result<Option<Ciphertext>> {
        change.check_document()?;
        let spelled = self.spelled(context)?;
        let strictness = change.strictness();
        if let (Some(_), EncryptedFile::Document(file)) = (strictness, &parsed.file) {
            claims.refuse_shared_out_to_fewer(&self.file, file)?;
        }
        let OpenedFile::Document(file, key) = block_on(batch::open_one_parsed(service, parsed))?.file else {
            return Err(no_answer());
        };
        let check = if self.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
        let selection = &file.metadata.selection;
        let review = |before: &dyn Document, after: &dyn Document| match strictness {
            Some(strictness) => {
                claims.review(&self.file, &Edit { before: &[before], after, selection }, strictness)
            }
            None => Ok(()),
        };
        let changed = |document: &dyn Document| {
            change.of_document(&within(&spelled, document).map_err(wrong_path)?, document)
        };
        file.change(&key, check, context.host.now(), changed, review)
    }

    /// No key is needed for this, unless the change itself asks for one; where there is one, it is seen whether the file
    /// is where it says. With the SealedSecret into which something was sealed.
    fn change_sealed(
        &self,
        file: &SealedFile,
        recipients: &Recipients<'_>,
        claims: &Claims<'_>,
        service: &KeyService<'_>,
        change: impl Change,
    ) -> Result<Option<(Ciphertext, Option<SealedSecret>)>> {
        let path = ItemPath::of(&self.path, file).map_err(wrong_path)?;
        let seals = change.strictness().is_some();
        let asked = change.place();
        let again = |flags: &str| {
            let item = typed(Path::new(&self.path));
            format!("sealant set {flags} --value-stdin {} {item}", typed(&self.file))
        };
        let new_key = |sealed: &SealedSecret| {
            claims.refuse_other_place(&self.file, sealed)?;
            let is_known = claims.is_known_place(&self.file, sealed, &self.identities)?;
            claims.refuse_unnamed_place(&self.file, sealed, asked.clone(), is_known, &again)?;
            let keys = recipients.of(KeyedPart::Sealed(sealed), Some(&self.file), &self.file)?;
            block_on(NewDataKey::make(service, &[&keys])).pop().unwrap_or_else(|| Err(no_answer()))
        };
        let Some((at, changed)) = change.of_sealed(&path, file, service, &new_key)? else { return Ok(None) };
        let mut new: Vec<_> = file.objects.iter().map(|_| None).collect();
        let sealed = seals.then(|| changed.clone());
        new[at] = Some(changed);
        Ok(Some((encrypted_file::write_sealed(file, &new)?, sealed)))
    }
}

fn wrong_path(error: Error) -> Error {
    error.with_kind(Kind::SetFormat)
}

/// What `set` and `unset` do to each of the two formats.
pub trait Change {
    /// What is done about new values that would be in plaintext; `None` for a change that writes none.
    fn strictness(&self) -> Option<Strictness> {
        None
    }

    /// The place for which a SealedSecret is, as somebody says.
    fn place(&self) -> Pin {
        Pin::default()
    }

    /// An error for flags that are about SealedSecrets alone.
    fn check_document(&self) -> Result<()> {
        Ok(())
    }

    /// The edits that change a document in plaintext; `None` when there is nothing to change.
    fn of_document(self, path: &TreePath, document: &dyn Document) -> Result<Option<Edits>>;

    /// The SealedSecret that changes, by its position, and what becomes of it; `None` when there is nothing to change.
    /// `new_key` makes a data key for it.
    fn of_sealed(
        self,
        path: &ItemPath,
        file: &SealedFile,
        service: &KeyService<'_>,
        new_key: &dyn Fn(&SealedSecret) -> Result<NewDataKey>,
    ) -> Result<Option<(usize, SealedSecret)>>;
}

/// A file that is changed in place stays what it is, but not to sops.
pub fn refuse_conversion(formats: Formats, format: Format, context: &Context) -> Result<()> {
    match formats.output {
        Some(other) if other != format && !context.is_sops() => {
            let message =
                format!("--output-type {other} would turn the file from {format} into another type");
            Err(Error::new(Kind::Conflict, message)
                .advise("Convert it separately, with `sealant decrypt --output-type` and `sealant encrypt`."))
        }
        _ => Ok(()),
    }
}
