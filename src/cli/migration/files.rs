//! Files that become SealedSecrets as a whole. What is in them was encrypted with sops: it is opened with the keys of whoever migrates.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::sealing::{self, Opened, Prepared, Sealing, Target};
use super::{Copied, CopyArgs, FileArgs, Origin, named_file};
use crate::batch::Source;
use crate::cli::context::Context;
use crate::cli::manifests;
use crate::cli::pipeline::{Item, Taken};
use crate::document::{self, Document, Format};
use crate::encrypted_file::EncryptedFile;
use crate::error::{Error, Result};
use crate::keys::KeyService;
use crate::sealed_secret;
use crate::secret::DataKey;

/// Something whose files become SealedSecrets.
pub trait Files: Origin {
    /// Whether a file may be one of its own, without parsing it.
    fn may_be(&self, bytes: &[u8]) -> bool;

    /// Whether it is one. An error says why it is one that cannot be migrated.
    fn is(&self, document: &dyn Document) -> Result<bool>;

    /// The encrypted files that one is made of, itself among them.
    fn parts(&self, source: &Source, path: &Path, opener: Opener<'_>) -> Result<Vec<EncryptedFile>>;

    /// Opens what it makes. `path` is that of the file.
    fn open(&self, source: Source, path: &Path, opener: Opener<'_>) -> Result<OpenedParts>;

    /// Is told of a file with SealedSecrets of ours, which a run before this one may have made.
    fn found(&self, _: &Path) {}

    /// Does what is left to do for files that were migrated, or would be.
    fn finish(&self, done: &[PathBuf], context: &Context) -> Result<()>;
}

/// What was in the parts of one.
pub struct OpenedParts {
    pub objects: Vec<Result<Opened>>,
    /// The data keys that opened them.
    pub keys: Vec<DataKey>,
}

/// What opens a file.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    pub service: &'a KeyService<'a>,
    pub context: &'a Context<'a>,
}

/// Migrates the files that were named.
pub fn run(origin: &dyn Files, args: &FileArgs, copies: CopyArgs, context: &Context) -> Result<ExitCode> {
    let finish = |done: &[PathBuf]| origin.finish(done, context);
    sealing::run(origin, args, copies, context, |sealing, item| prepare(origin, sealing, item), finish)
}

fn prepare(
    origin: &dyn Files,
    sealing: &Sealing<'_>,
    Item { input, source }: Item,
) -> Result<Taken<Prepared>> {
    let (path, tools) = (named_file(&input)?, &sealing.tools);
    let in_file = |error: Error| error.in_file(&path);
    let may_be = origin.may_be(&source.bytes);
    let format = manifests::format_in(source.format, &source.bytes);
    let Some(format) = format.filter(|_| may_be || sealed_secret::looks_sealed(&source.bytes)) else {
        return tools.passed(&input, false).map_err(in_file);
    };
    let document = match document::parse(format, source.bytes.clone(), true) {
        Ok(document) => document,
        // A file whose name is not that of a manifest is left alone, whatever it quotes.
        Err(_) if !input.named && (!may_be || source.format == Format::Binary) => {
            return tools.passed(&input, false);
        }
        Err(error) => return Err(in_file(error)),
    };
    if !may_be || !origin.is(&*document).map_err(in_file)? {
        let is_ours = !sealed_secret::objects(&*document).is_empty();
        if is_ours {
            origin.found(&path);
        }
        return tools.passed(&input, is_ours).map_err(in_file);
    }
    let keys = sealing.keys(&path)?;
    let source = Source { format, ..source };
    let opener = Opener { service: &tools.service, context: tools.context };
    let parts = origin.parts(&source, &path, opener).map_err(in_file)?;
    tools.refuse_copied_parts(&path, &parts, &keys)?;
    let OpenedParts { objects, keys: opened } = origin.open(source, &path, opener).map_err(in_file)?;
    for data_key in &opened {
        tools.refuse_copies(&path, Copied::Opened(data_key), &keys).map_err(in_file)?;
    }
    sealing.prepared(path, |_| Target::File(format), keys, objects).map(Taken::On)
}
