//! What a source has opened, as SealedSecrets of ours: sealed, proven, and put into the file that it was in.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use super::ours::Ours;
use super::{CopyArgs, FileArgs, Origin, Tools, over_files, proven};
use crate::cli::claims::Claims;
use crate::cli::context::{Context, block_on};
use crate::cli::copies::ToEncrypt;
use crate::cli::pipeline::{Item, Output, Taken};
use crate::cli::ui::counted;
use crate::config::Configs;
use crate::document::{Document, Format, NodeId};
use crate::error::{Error, Result};
use crate::keys::KeySet;
use crate::policy::{self, Overrides};
use crate::sealed_secret::{self, Binding, NewDataKey, OpenedKeys, SealedFile, SealedSecret, Secret};
use crate::secret::SecretBytes;

/// What becomes of an object.
pub struct Opened {
    pub ours: Ours,
    /// What it has and ours does not.
    pub left_out: Vec<String>,
}

/// A file whose objects were opened, and for whom they are.
pub struct Prepared {
    path: PathBuf,
    target: Target,
    keys: KeySet,
    objects: Vec<Ours>,
    warnings: Vec<String>,
}

impl Prepared {
    fn to_encrypt(&self) -> ToEncrypt<'_> {
        ToEncrypt { places: vec![&self.path], keys: &self.keys }
    }
}

/// Where SealedSecrets go.
pub enum Target {
    /// Into the places of these objects, one for one.
    Objects(Box<dyn Document>, Vec<NodeId>),
    /// They are the file then.
    File(Format),
}

impl Target {
    fn format(&self) -> Format {
        match self {
            Self::Objects(document, _) => document.format(),
            Self::File(format) => *format,
        }
    }

    /// An error about the object of that number.
    fn at(&self, number: usize, error: Error) -> Error {
        match self {
            Self::Objects(document, nodes) => match nodes.get(number) {
                Some(node) => error.on_line(document.line(*node)),
                None => error,
            },
            Self::File(_) => error,
        }
    }

    fn written(&self, sealed: &[(usize, &SealedSecret)]) -> Result<SecretBytes> {
        match self {
            Self::Objects(document, nodes) => {
                let placed: Vec<_> = sealed
                    .iter()
                    .filter_map(|(number, sealed)| Some((*nodes.get(*number)?, *sealed)))
                    .collect();
                sealed_secret::placed(&**document, &placed).map(SecretBytes::new)
            }
            Self::File(format) => {
                let manifest = |(_, sealed): &(usize, &SealedSecret)| {
                    sealed_secret::manifest(sealed, *format).map(Into::into)
                };
                let manifests = sealed.iter().map(manifest).collect::<Result<Vec<_>>>()?;
                Ok(sealed_secret::joined(&manifests, *format))
            }
        }
    }
}

/// Takes files that were named through `prepare`, and seals what is in them.
pub fn run(
    origin: &dyn Origin,
    args: &FileArgs,
    copies: CopyArgs,
    context: &Context,
    prepare: impl Fn(&Sealing<'_>, Item) -> Result<Taken<Prepared>> + Sync + Send,
    tell: impl FnOnce(&[PathBuf]) -> Result<()>,
) -> Result<ExitCode> {
    args.keys.warn_of_empty(context.ui);
    let keys = args.keys.using(&args.aws, context).key_set(context.host)?;
    let wanted = Overrides { keys, ..Overrides::default() };
    let (tools, inputs) = Tools::new(origin, args, copies, &wanted, context)?;
    let sealing = Sealing {
        tools,
        configs: context.configs()?,
        claims: Claims::new(context)?,
        wanted,
        done: Mutex::default(),
        failed: Mutex::default(),
    };
    let mut failures = over_files(
        inputs,
        args,
        "migrated already",
        context,
        |item| prepare(&sealing, item),
        |files| sealing.tools.encrypt_allowed(files, Prepared::to_encrypt, |files| sealing.seal(files)),
    );
    let failed = sealing.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.iter().for_each(|error| failures.add(context.ui, error));
    if let Err(error) = tell(&sealing.done.into_inner().unwrap_or_else(PoisonError::into_inner)) {
        failures.add(context.ui, &error);
    }
    Ok(failures.finish(context.ui))
}

/// For whom files are sealed, and what became of them.
pub struct Sealing<'a> {
    pub tools: Tools<'a>,
    configs: Configs,
    claims: Claims<'a>,
    wanted: Overrides,
    done: Mutex<Vec<PathBuf>>,
    /// What was left alone in files that were migrated otherwise.
    failed: Mutex<Vec<Error>>,
}

impl Sealing<'_> {
    /// For whom a file is: by flags, or else by its creation rule.
    pub fn keys(&self, path: &Path) -> Result<KeySet> {
        let in_file = |error: Error| error.in_file(path);
        let rule = match &self.wanted.keys {
            Some(_) => None,
            None => self.configs.matching_policy(path)?,
        };
        policy::keys(&self.wanted, rule.as_ref())
            .and_then(|keys| sealed_secret::refuse_foreign(&keys).map(|()| keys))
            .map_err(|error| match rule {
                Some(_) => in_file(error),
                None => {
                    let advice = self.configs.advice_for(path);
                    in_file(error.advise(format!("{advice}, or name recipients with --age.")))
                }
            })
    }

    /// Goes on with the objects that were opened, and tells of the others; where they are the file, all have to be.
    pub fn prepared(
        &self,
        path: PathBuf,
        target: impl FnOnce(Vec<usize>) -> Target,
        keys: KeySet,
        opened: Vec<Result<Opened>>,
    ) -> Result<Prepared> {
        let (mut objects, mut numbers, mut warnings, mut failed) = (vec![], vec![], vec![], vec![]);
        for (number, opened) in opened.into_iter().enumerate() {
            match opened {
                Ok(Opened { ours, left_out }) => {
                    warnings.extend(
                        left_out.iter().map(|what| format!("{}: {what} is left out", ours.secret.name)),
                    );
                    objects.push(ours);
                    numbers.push(number);
                }
                Err(error) => failed.push(error.in_file(&path)),
            }
        }
        let target = target(numbers);
        self.leave(failed, objects.is_empty() || matches!(target, Target::File(_)))?;
        Ok(Prepared { path, target, keys, objects, warnings })
    }

    /// Keeps what is to be told of objects; an error if nothing else is left of a file.
    fn leave(&self, mut failed: Vec<Error>, is_all: bool) -> Result<()> {
        let last = if is_all { failed.pop() } else { None };
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).append(&mut failed);
        last.map_or(Ok(()), Err)
    }

    /// Seals the objects of files, with one request to the key service. Results are in the order of the files.
    fn seal(&self, files: Vec<Prepared>) -> Vec<Result<Option<Output>>> {
        let sets = files.iter().flat_map(|file| file.objects.iter().map(|_| &file.keys));
        let sets: Vec<&KeySet> = sets.collect();
        let mut made = block_on(NewDataKey::make(&self.tools.service, &sets)).into_iter();
        let seal = |file: Prepared| {
            // All keys of a file are taken, whether one of them is an error or not.
            let keys = made.by_ref().take(file.objects.len()).collect();
            let path = file.path.clone();
            self.sealed(file, keys).map(Some).map_err(|error| error.in_file(path))
        };
        files.into_iter().map(seal).collect()
    }

    fn sealed(&self, file: Prepared, keys: Vec<Result<NewDataKey>>) -> Result<Output> {
        let Prepared { path, target, objects, mut warnings, .. } = file;
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for (number, (ours, key)) in objects.iter().zip(keys).enumerate() {
            let sealed = key.and_then(|key| {
                let opens = key.opened();
                let sealed = ours.seal(key)?;
                self.claims.refuse_other_place(&path, &sealed)?;
                Ok(Done { number, ours, sealed, opens })
            });
            match sealed {
                Ok(one) => done.push(one),
                Err(error) => {
                    let error = error.about(format!("SealedSecret {}", ours.secret.name));
                    failed.push(target.at(number, error).in_file(&path));
                }
            }
        }
        self.leave(
            failed,
            done.is_empty() || (matches!(target, Target::File(_)) && done.len() < objects.len()),
        )?;
        let placed: Vec<_> = done.iter().map(|one| (one.number, &one.sealed)).collect();
        let bytes = target.written(&placed)?;
        prove(target.format(), &bytes, &done)?;
        for Done { sealed, ours, .. } in &done {
            let name = &sealed.metadata.name;
            let found = sealed_secret::warnings(sealed, bytes.len());
            warnings.extend(found.into_iter().map(|warning| format!("{name}: {warning}")));
            warnings.extend(still_in_plaintext(&ours.secret, &bytes));
            let values = counted(sealed.spec.encrypted_data.len(), "value");
            let place = Binding::of(sealed)?.place();
            self.tools.context.ui.say(format!("{}: {values} of {place}", path.display()));
        }
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(path);
        Ok(Output { bytes, warnings })
    }
}

/// A value that is shorter may be there for another reason.
const SHORTEST_VALUE: usize = 8;

/// Where what is about to be written still has a value that is sealed in it: in a comment, for instance.
fn still_in_plaintext(secret: &Secret, bytes: &[u8]) -> Vec<String> {
    let long = secret.items.iter().filter(|(_, value)| value.trim_ascii().len() >= SHORTEST_VALUE);
    let found = long.filter_map(|(item, value)| {
        let at = memchr::memmem::find(bytes, value.trim_ascii())?;
        let line = memchr::memchr_iter(b'\n', &bytes[..at]).count() + 1;
        Some(format!("{}: line {line} still has the value of {item} in plaintext", secret.name))
    });
    found.collect()
}

/// An object that was sealed, and what opens it.
struct Done<'o> {
    number: usize,
    ours: &'o Ours,
    sealed: SealedSecret,
    opens: OpenedKeys,
}

/// Reads what is about to be written, and opens it: an error unless all of it makes the same values as what it replaces.
fn prove(format: Format, bytes: &SecretBytes, done: &[Done<'_>]) -> Result<()> {
    let written = SealedFile::parse(format, bytes.clone())?;
    for Done { ours, sealed, opens, .. } in done {
        let found = written.objects.iter().find(|(_, found)| found == sealed);
        proven(found.is_some_and(|(_, found)| ours.is_made_by(found, opens)))
            .map_err(|error| error.about(format!("SealedSecret {}", ours.secret.name)))?;
    }
    Ok(())
}
