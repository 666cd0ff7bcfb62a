//! Files of other programs that become documents of sops.
//!
//! What a source has opened is encrypted as `sealant encrypt -i` encrypts it: by the same rules, with the same refusals. Besides,
//! nothing that was encrypted may be in plaintext by the rule, and what was written has to open to the same values.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Copied, CopyArgs, FileArgs, Origin, Tools, named_file, over_files, proven};
use crate::batch::{self, Plain, Source};
use crate::cli::args::{Formats, RuleArgs};
use crate::cli::context::{Context, block_on};
use crate::cli::encryption::{Encrypt, to_encrypt};
use crate::cli::pipeline::{Item, Output, Taken};
use crate::document;
use crate::encrypted_file;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::repo::copies::Foreign;
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{self, Ciphertext, Encrypted, MacCheck, Nature};

/// Something whose files become documents of sops.
pub trait Documents: Origin {
    /// Opens a file; `None` where nothing in it is of this source.
    fn open(&self, source: &Source) -> Result<Option<Opened>>;

    /// Says what is good to know, once files were migrated.
    fn tell(&self, context: &Context) {
        context.ui.note(
            "the history of Git keeps the old files: whoever has the old password or key can read them, until the \
             values are changed",
        );
    }
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
pub fn run(origin: &dyn Documents, args: &FileArgs, copies: CopyArgs, context: &Context) -> Result<ExitCode> {
    let keys = args.keys.using(&args.aws, context);
    let encrypt = Encrypt::new(context, Formats::default(), &keys, &RuleArgs::default())?;
    let (tools, inputs) = Tools::new(origin, args, copies, &encrypt.wanted, context)?;
    let migration = Migration { origin, tools, encrypt: &encrypt, is_any: AtomicBool::new(false) };
    let failures = over_files(
        inputs,
        args,
        "encrypted already",
        context,
        |item| migration.prepare(item),
        |files| migration.encrypt(files),
    );
    if !args.dry_run && migration.is_any.load(Ordering::Relaxed) {
        origin.tell(context);
    }
    Ok(failures.finish(context.ui))
}

struct Migration<'a> {
    origin: &'a dyn Documents,
    tools: Tools<'a>,
    encrypt: &'a Encrypt<'a>,
    /// A file was migrated.
    is_any: AtomicBool,
}

impl Migration<'_> {
    /// Opens a file, and decides how it is encrypted.
    fn prepare(&self, Item { input, mut source }: Item) -> Result<Taken<Plain>> {
        let path = named_file(&input)?;
        let in_file = |error: Error| error.in_file(&path);
        let Some(Opened { plaintext, was, ciphertexts }) = self.origin.open(&source).map_err(in_file)? else {
            let nature = encrypted_file::nature(source.format, &source.bytes);
            return self.tools.passed(&input, matches!(nature, Ok(Nature::Encrypted))).map_err(in_file);
        };
        source.format = Formats::default().of_content(input.name.as_deref(), &plaintext);
        source.bytes = plaintext;
        let plain = self.encrypt.plain(Item { input, source })?;
        refuse_plaintext(&plain, &was).map_err(|error| in_file(self.with_rule(error, &path)))?;
        self.tools.refuse_copies(&path, Copied::Foreign(&ciphertexts), &plain.recipe.keys)?;
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
        let Tools { context, service, .. } = &self.tools;
        let now = context.host.now();
        let done = self.tools.encrypt_allowed(files, to_encrypt, |files| {
            let written = block_on(batch::encrypt_checked(service, &files, now, prove));
            written.into_iter().map(|file| Ok(Some(Output::from(file?)))).collect()
        });
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
    proven(sops::all_contents(&*opened)? == sops::all_contents(&*plain.document)?)
}
