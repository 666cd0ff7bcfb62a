//! Files of other programs that become documents of sops.
//!
//! What a source has opened is encrypted as `sealant encrypt -i` encrypts it: by the same rules, with the same refusals. Besides,
//! nothing that was encrypted may be in plaintext by the rule, and what was written has to open to the same values.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{CopyArgs, FileArgs, named_file, neighbours_of, refused_copy};
use crate::batch::{self, Plain, Source};
use crate::cli::args::{Destination, Formats, IdentityArgs, InputArgs, RuleArgs};
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::encryption::Encrypt;
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, Output, Passed, Pipeline, Summary, Taken, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::document;
use crate::encrypted_file;
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::host::Host;
use crate::keys::KeyService;
use crate::repo::copies::Foreign;
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{self, Ciphertext, Encrypted, MacCheck, Nature};

/// Something whose files become documents of sops.
pub trait Origin: Sync {
    /// What is looked for in a file, such as `ciphertext of ansible-vault`.
    fn named(&self) -> &'static str;

    /// The command that migrates from it, as it was given, without files.
    fn command(&self) -> String;

    /// Opens a file; `None` where nothing in it is of this source.
    fn open(&self, source: &Source) -> Result<Option<Opened>>;
}

/// A file that was opened.
pub struct Opened {
    pub plaintext: SecretBytes,
    pub was: Encryption,
    /// What of it may be in other files, too.
    pub ciphertexts: Foreign,
}

/// What of a file was encrypted.
pub enum Encryption {
    Whole,
    /// The values at these paths, in which each key is followed by a colon.
    Values(HashSet<String>),
}

/// Migrates the files that were named.
pub fn run(origin: &dyn Origin, args: &FileArgs, copies: CopyArgs, context: &Context) -> Result<ExitCode> {
    let keys = args.keys.using(&args.aws, context);
    let encrypt = Encrypt::new(context, Formats::default(), &keys, &RuleArgs::default())?;
    let typed = encrypt.wanted.keys.iter().flat_map(|keys| keys.groups.iter().flatten());
    let service = IdentityArgs::default().key_service(context)?.naming(typed);
    let inputs = inputs_to_write(&InputArgs { files: args.paths(), filename_override: None }, context)?;
    let neighbours = neighbours_of(copies, &inputs, context)?;
    let migration =
        Migration { origin, context, encrypt: &encrypt, service, neighbours, is_any: AtomicBool::new(false) };
    let pipeline = Pipeline {
        context,
        inputs,
        formats: Formats::default(),
        destination: Destination::InPlace,
        dry_run: args.dry_run,
        mode: Mode::Public,
        doing: "migrating",
        summary: Some(Summary { done: "migrated", already: "encrypted already", other: "left alone" }),
    };
    let mut failures = Failures::default();
    pipeline.run_among(&mut failures, |items| {
        in_two_steps(items, |item| migration.prepare(item), |files| migration.encrypt(files))
    });
    if !args.dry_run && migration.is_any.load(Ordering::Relaxed) {
        context.ui.note(
            "the history of Git keeps the old files: whoever has the old password or key can read them, until the \
             values are changed",
        );
    }
    Ok(failures.finish(context.ui))
}

struct Migration<'a> {
    origin: &'a dyn Origin,
    context: &'a Context<'a>,
    encrypt: &'a Encrypt<'a>,
    service: KeyService<'a>,
    /// `None` where copies may have other readers.
    neighbours: Option<Neighbours<'a>>,
    /// A file was migrated.
    is_any: AtomicBool,
}

impl Migration<'_> {
    /// Opens a file, and decides how it is encrypted.
    fn prepare(&self, Item { input, mut source }: Item) -> Result<Taken<Plain>> {
        let path: PathBuf = named_file(&input)?;
        let in_file = |error: Error| error.in_file(&path);
        let Some(Opened { plaintext, was, ciphertexts }) = self.origin.open(&source).map_err(in_file)? else {
            let nature = encrypted_file::nature(source.format, &source.bytes);
            return match (nature, input.named) {
                (Ok(Nature::Encrypted), _) => Ok(Taken::Passed(Passed::Already)),
                (_, true) => Err(in_file(Error::new(
                    Kind::Other,
                    format!("there is no {} in it", self.origin.named()),
                ))),
                (_, false) => Ok(Taken::Passed(Passed::Other)),
            };
        };
        source.format = Formats::default().of_content(input.name.as_deref(), &plaintext);
        source.bytes = plaintext;
        let plain = self.encrypt.plain(Item { input, source })?;
        refuse_plaintext(&plain, &was).map_err(|error| in_file(self.with_rule(error, &path)))?;
        if let Some(neighbours) = &self.neighbours {
            neighbours
                .refuse_foreign(&path, &ciphertexts, &plain.recipe.keys)
                .map_err(|error| refused_copy(error, &self.origin.command(), &path))?;
        }
        Ok(Taken::On(plain))
    }

    /// The error with the rule that has to change.
    fn with_rule(&self, error: Error, path: &Path) -> Error {
        let rule = self.encrypt.configs().matching_policy(path);
        match rule {
            Ok(Some(policy)) => {
                let file = policy.rule.file.file_name().unwrap_or_default().to_string_lossy();
                error.advise(format!("Let the rule at {file}:{} encrypt it, too.", policy.rule.line))
            }
            _ => error,
        }
    }

    /// Encrypts files, with one request to the key service.
    fn encrypt(&self, files: Vec<Plain>) -> Vec<Result<Option<Output>>> {
        let now = self.context.host.now();
        let done = self
            .encrypt
            .all(files, |files| block_on(batch::encrypt_checked(&self.service, files, now, prove)));
        self.is_any.fetch_or(done.iter().any(Result::is_ok), Ordering::Relaxed);
        done
    }
}

/// Refuses a rule that would make something public which is encrypted now.
fn refuse_plaintext(Plain { document, recipe, .. }: &Plain, was: &Encryption) -> Result<()> {
    let clear = sops::contents(&**document, &recipe.selection, &|leaf, value| {
        let was_encrypted = match was {
            Encryption::Whole => true,
            Encryption::Values(paths) => !leaf.is_comment && paths.contains(leaf.path),
        };
        !leaf.selected && !value.is_blank() && was_encrypted
    })?;
    let mut names: Vec<String> = clear.iter().map(sops::Known::shown).collect();
    names.sort();
    let Some(first) = names.first() else { return Ok(()) };
    let more = match names.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Err(Error::new(
        Kind::Conflict,
        format!("{first}{more} would be in plaintext by the rule, and is encrypted now"),
    ))
}

/// Opens what is about to be written: an error unless it says the same as what it is made of.
fn prove(plain: &Plain, written: &Ciphertext, key: &DataKey) -> Result<()> {
    let format = plain.document.format();
    let opened = Encrypted::parse(format, SecretBytes::new(written.bytes.clone()))?;
    let opened = opened.decrypt(key, MacCheck::Verify)?;
    let opened = document::parse_any(format, opened.bytes, false)?;
    match sops::all_contents(&*opened)? == sops::all_contents(&*plain.document)? {
        true => Ok(()),
        false => {
            let message = "what would be written does not open to the same values, so nothing was written";
            Err(Error::new(Kind::Encrypt, message))
        }
    }
}
