//! Objects of other programs in manifests, which become SealedSecrets of ours, one by one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use super::ours::Ours;
use super::{CopyArgs, FileArgs, named_file, neighbours_of, refused_copy};
use crate::batch::Source;
use crate::cli::args::{Destination, Formats, IdentityArgs, Input, InputArgs, plain_path};
use crate::cli::claims::Claims;
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Neighbours;
use crate::cli::failures::Failures;
use crate::cli::manifests;
use crate::cli::pipeline::{Item, Output, Passed, Pipeline, Summary, Taken, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::cli::ui::counted;
use crate::config::Configs;
use crate::document::{self, Document, Format, NodeId};
use crate::error::{Error, Kind, Result};
use crate::fs::Mode;
use crate::keys::{KeyService, KeySet};
use crate::policy::{self, Overrides};
use crate::repo::copies::Foreign;
use crate::sealed_secret::{self, Binding, NewDataKey, OpenedKeys, SealedFile, SealedSecret, Secret};
use crate::secret::SecretBytes;
use crate::shown::typed;
use crate::sops;

/// Something that is migrated from, object by object.
pub trait Origin: Sync {
    /// What one of its objects is called, such as `SealedSecret of bitnami.com`.
    fn named(&self) -> &'static str;

    /// The command that migrates from it, as it was given, without files.
    fn command(&self) -> String;

    /// Whether a file may hold some of its objects, without parsing it.
    fn may_be_in(&self, bytes: &[u8]) -> bool;

    /// Its objects in a document.
    fn objects(&self, document: &dyn Document) -> Vec<NodeId>;

    /// Opens one of them. `path` is that of the file.
    fn open(&self, document: &dyn Document, object: NodeId, path: &Path) -> Result<Opened>;

    /// What of them may be in other files, too.
    fn ciphertexts(&self, _: &dyn Document) -> Foreign {
        Foreign::default()
    }

    /// Whether a file of sops has none of them, whatever is in it.
    fn leaves_sops(&self) -> bool {
        false
    }

    /// Says what is good to know of files that were migrated, or would be.
    fn tell(&self, _: &[PathBuf], _: &Context) {}
}

/// What becomes of an object.
pub struct Opened {
    pub ours: Ours,
    /// What it has and ours does not.
    pub left_out: Vec<String>,
}

/// Migrates the files that were named.
pub fn run(origin: &dyn Origin, args: &FileArgs, copies: CopyArgs, context: &Context) -> Result<ExitCode> {
    args.keys.warn_of_empty(context.ui);
    let keys = args.keys.using(&args.aws, context).key_set(context.host)?;
    let wanted = Overrides { keys, ..Overrides::default() };
    let typed = wanted.keys.iter().flat_map(|keys| keys.groups.iter().flatten());
    let service = IdentityArgs::default().key_service(context)?.naming(typed);
    let inputs = inputs_to_write(&InputArgs { files: args.paths(), filename_override: None }, context)?;
    let neighbours = neighbours_of(copies, &inputs, context)?;
    let migration = Migration {
        origin,
        context,
        configs: context.configs()?,
        claims: Claims::new(context)?,
        wanted,
        service,
        neighbours,
        done: Mutex::default(),
        failed: Mutex::default(),
    };
    let pipeline = Pipeline {
        context,
        inputs,
        formats: Formats::default(),
        destination: Destination::InPlace,
        dry_run: args.dry_run,
        mode: Mode::Public,
        doing: "migrating",
        summary: Some(Summary { done: "migrated", already: "migrated already", other: "left alone" }),
    };
    let mut failures = Failures::default();
    pipeline.run_among(&mut failures, |items| {
        in_two_steps(items, |item| migration.prepare(item), |files| migration.seal(files))
    });
    let failed = migration.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.iter().for_each(|error| failures.add(context.ui, error));
    origin.tell(&migration.done.into_inner().unwrap_or_else(PoisonError::into_inner), context);
    Ok(failures.finish(context.ui))
}

struct Migration<'a> {
    origin: &'a dyn Origin,
    context: &'a Context<'a>,
    configs: Configs,
    claims: Claims<'a>,
    wanted: Overrides,
    service: KeyService<'a>,
    /// `None` where copies may have other readers.
    neighbours: Option<Neighbours<'a>>,
    done: Mutex<Vec<PathBuf>>,
    /// What was left alone in files that were migrated otherwise.
    failed: Mutex<Vec<Error>>,
}

/// A file whose objects were opened, and for whom they are.
struct Prepared {
    path: PathBuf,
    document: Box<dyn Document>,
    keys: KeySet,
    objects: Vec<(NodeId, Ours)>,
    warnings: Vec<String>,
}

impl Migration<'_> {
    /// Opens what is in a file, unless there is nothing of the source in it.
    fn prepare(&self, Item { input, source }: Item) -> Result<Taken<Prepared>> {
        let path = named_file(&input)?;
        let in_file = |error: Error| error.in_file(&path);
        let document = match self.read(&input, source) {
            Ok(Some(document)) => document,
            Ok(None) if input.named => return Err(in_file(self.nothing())),
            Ok(None) => return Ok(Taken::Passed(Passed::Other)),
            Err(error) => return Err(in_file(error)),
        };
        let found = self.origin.objects(&*document);
        if found.is_empty() {
            let is_ours = !sealed_secret::objects(&*document).is_empty();
            return match (is_ours, input.named) {
                (true, _) => Ok(Taken::Passed(Passed::Already)),
                (false, true) => Err(in_file(self.nothing())),
                (false, false) => Ok(Taken::Passed(Passed::Other)),
            };
        }
        let rule = match &self.wanted.keys {
            Some(_) => None,
            None => self.configs.matching_policy(&path)?,
        };
        let keys = policy::keys(&self.wanted, rule.as_ref())
            .and_then(|keys| sealed_secret::refuse_foreign(&keys).map(|()| keys))
            .map_err(|error| match rule {
                Some(_) => in_file(error),
                None => {
                    let advice = self.configs.advice_for(&path);
                    in_file(error.advise(format!("{advice}, or name recipients with --age.")))
                }
            })?;
        if let Some(neighbours) = &self.neighbours {
            let ciphertexts = self.origin.ciphertexts(&*document);
            neighbours
                .refuse_foreign(&path, &ciphertexts, &keys)
                .map_err(|error| refused_copy(error, &self.origin.command(), &path))?;
        }
        self.opened(path, document, keys, found).map(Taken::On)
    }

    /// Reads a manifest; `None` for any other file, and for a template of one.
    fn read(&self, input: &Input, source: Source) -> Result<Option<Box<dyn Document>>> {
        let Source { format, bytes, .. } = source;
        let utf8 = document::of_utf16(&bytes);
        let text = utf8.as_ref().unwrap_or(&bytes);
        let by_name = format;
        let may_be_in = self.origin.may_be_in(text);
        let Some(format) = manifests::format_in(format, &bytes) else { return Ok(None) };
        if !may_be_in && !sealed_secret::looks_sealed(text) {
            return Ok(None);
        }
        let is_template = memchr::memmem::find(text, b"{{").is_some();
        match document::parse(format, bytes.clone(), false) {
            Ok(document) if sops::is_encrypted(&*document) && self.origin.leaves_sops() => Ok(None),
            Ok(document) if sops::is_encrypted(&*document) && may_be_in => {
                let error = Error::new(Kind::AlreadyEncrypted, "it is encrypted with sops, too");
                Err(error.advise(format!("Decrypt it first: `sealant decrypt -i {}`.", typed(&plain_path(input.shown())))))
            }
            Ok(document) => Ok(Some(document)),
            // A file whose name is not that of a manifest is left alone, whatever it quotes.
            Err(_) if !input.named && (!may_be_in || by_name == Format::Binary) => Ok(None),
            Err(_) if manifests::parse(format, bytes).is_ok_and(|parts| parts.len() > 1) => {
                Err(Error::new(Kind::Read, "it holds several JSON objects one after the other").advise(
                    "Put them into a List: `jq -s '{apiVersion: \"v1\", kind: \"List\", items: .}' FILE > NEW.json`.",
                ))
            }
            Err(error) if is_template && !input.named => {
                let error = error.in_file(plain_path(input.shown()));
                let ui = self.context.ui;
                ui.note(format!("skipped, because it is a template and not a manifest yet: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn nothing(&self) -> Error {
        Error::new(Kind::Other, format!("there is no {} in it", self.origin.named()))
    }

    /// Opens the objects of a file: those that open go on, the others are told.
    fn opened(
        &self,
        path: PathBuf,
        document: Box<dyn Document>,
        keys: KeySet,
        found: Vec<NodeId>,
    ) -> Result<Prepared> {
        let (mut objects, mut warnings, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for node in found {
            match self.origin.open(&*document, node, &path) {
                Ok(Opened { ours, left_out }) => {
                    warnings.extend(
                        left_out.iter().map(|what| format!("{}: {what} is left out", ours.secret.name)),
                    );
                    objects.push((node, ours));
                }
                Err(error) => failed.push(error.on_line(document.line(node)).in_file(&path)),
            }
        }
        self.leave(failed, objects.is_empty())?;
        Ok(Prepared { path, document, keys, objects, warnings })
    }

    /// Keeps what is to be told of objects; an error if they are all that there was.
    fn leave(&self, mut failed: Vec<Error>, is_all: bool) -> Result<()> {
        let last = if is_all { failed.pop() } else { None };
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).append(&mut failed);
        last.map_or(Ok(()), Err)
    }

    /// Seals the objects of files, with one request to the key service. Results are in the order of the files.
    fn seal(&self, files: Vec<Prepared>) -> Vec<Result<Option<Output>>> {
        let sets = files.iter().flat_map(|file| file.objects.iter().map(|_| &file.keys));
        let sets: Vec<&KeySet> = sets.collect();
        let mut made = block_on(NewDataKey::make(&self.service, &sets)).into_iter();
        let seal = |file: Prepared| {
            // All keys of a file are taken, whether one of them is an error or not.
            let keys = made.by_ref().take(file.objects.len()).collect();
            let path = file.path.clone();
            self.sealed(file, keys).map(Some).map_err(|error| error.in_file(path))
        };
        files.into_iter().map(seal).collect()
    }

    fn sealed(&self, file: Prepared, keys: Vec<Result<NewDataKey>>) -> Result<Output> {
        let Prepared { path, document, objects, mut warnings, .. } = file;
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for ((node, ours), key) in objects.iter().zip(keys) {
            let sealed = key.and_then(|key| {
                let opens = key.opened();
                let sealed = ours.seal(key)?;
                self.claims.refuse_other_place(&path, &sealed)?;
                Ok(Done { node: *node, ours, sealed, opens })
            });
            match sealed {
                Ok(one) => done.push(one),
                Err(error) => {
                    let error = error.about(format!("SealedSecret {}", ours.secret.name));
                    failed.push(error.on_line(document.line(*node)).in_file(&path));
                }
            }
        }
        self.leave(failed, done.is_empty())?;
        let placed: Vec<_> = done.iter().map(|one| (one.node, &one.sealed)).collect();
        let bytes = SecretBytes::new(sealed_secret::placed(&*document, &placed)?);
        prove(document.format(), &bytes, &done)?;
        for Done { sealed, ours, .. } in &done {
            let name = &sealed.metadata.name;
            let found = sealed_secret::warnings(sealed, bytes.len());
            warnings.extend(found.into_iter().map(|warning| format!("{name}: {warning}")));
            warnings.extend(still_in_plaintext(&ours.secret, &bytes));
            let values = counted(sealed.spec.encrypted_data.len(), "value");
            let place = Binding::of(sealed)?.place();
            self.context.ui.say(format!("{}: {values} of {place}", path.display()));
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
    node: NodeId,
    ours: &'o Ours,
    sealed: SealedSecret,
    opens: OpenedKeys,
}

/// Reads what is about to be written, and opens it: an error unless all of it makes the same values as what it replaces.
fn prove(format: Format, bytes: &SecretBytes, done: &[Done<'_>]) -> Result<()> {
    let written = SealedFile::parse(format, bytes.clone())?;
    for Done { ours, sealed, opens, .. } in done {
        let found = written.objects.iter().find(|(_, found)| found == sealed);
        let is_same = found.is_some_and(|(_, found)| ours.is_made_by(found, opens));
        if !is_same {
            let message = "what would be written does not open to the same values, so nothing was written";
            return Err(
                Error::new(Kind::Encrypt, message).about(format!("SealedSecret {}", ours.secret.name))
            );
        }
    }
    Ok(())
}
