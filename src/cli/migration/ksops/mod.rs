//! Generators of KSOPS: each becomes the SealedSecrets of the Secrets that it makes, and a resource of its kustomization.

mod kustomization;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use memchr::memmem;

use self::kustomization::Kustomization;
use super::files::{self, Files, OpenedParts, Opener};
use super::ours::Ours;
use super::sealing::Opened;
use super::{BoundArgs, CopyArgs, FileArgs, Origin};
use crate::batch::Source;
use crate::cli::context::{Context, block_on};
use crate::cli::pipeline::{lines_of, replace};
use crate::document::{self, Document, Format, MAX_SOURCE, NodeId};
use crate::encrypted_file::{EncryptedFile, format_in};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::integrations::Place;
use crate::integrations::ksops::Generator;
use crate::sealed_secret::{self, Scope, Secret, objects_where};
use crate::secret::{SecretBytes, SecretString};
use crate::shown::typed;

const GENERATOR: &str = "ksops";

/// Annotations of a Secret that kustomize acts on, and takes off.
const NEEDS_HASH: &str = "kustomize.config.k8s.io/needs-hash";
const BEHAVIOR: &str = "kustomize.config.k8s.io/behavior";

/// What a kustomization changes in names, by which others then do not find the Secret.
const RENAMING: [&str; 2] = ["namePrefix", "nameSuffix"];

/// What a kustomization puts on objects, and so on a SealedSecret, but not on its Secret.
const ADDING: [&str; 3] = ["commonLabels", "labels", "commonAnnotations"];

/// Convert generators of KSOPS to SealedSecrets
///
/// Opens the files that a generator names with your identities, makes the Secrets that KSOPS makes, and puts
/// SealedSecrets of them in the place of the generator, for the recipients of its creation rule, or of flags: among them
/// has to be the cluster's (`sealant fetch-recipient`). Its line moves from `generators` to `resources` in the
/// kustomization, which then needs no plugin and no key. A file is replaced only after what was written opened to the
/// same values. The encrypted files stay: delete them when nothing else reads them.
///
/// Values are bound to the namespace of the kustomization that lists the generator, or else to that of the Secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant migrate ksops --dry-run overlays/
  sealant migrate ksops overlays/prod/secret-generator.yaml
  sealant migrate ksops --namespace shop base/")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    copies: CopyArgs,

    #[command(flatten)]
    bound: BoundArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let origin = Ksops {
        bound: args.bound,
        dry_run: args.files.dry_run,
        read: Mutex::default(),
        found: Mutex::default(),
    };
    files::run(&origin, &args.files, args.copies, context)
}

struct Ksops {
    bound: BoundArgs,
    dry_run: bool,
    /// The encrypted files of generators.
    read: Mutex<BTreeSet<PathBuf>>,
    /// Files with SealedSecrets, which a run that was cut off may have left among generators.
    found: Mutex<Vec<PathBuf>>,
}

impl Origin for Ksops {
    fn named(&self) -> &'static str {
        "generator of KSOPS"
    }

    fn command(&self) -> String {
        "sealant migrate ksops".to_owned()
    }
}

impl Files for Ksops {
    fn may_be(&self, bytes: &[u8]) -> bool {
        memmem::find(bytes, GENERATOR.as_bytes()).is_some()
    }

    fn is(&self, document: &dyn Document) -> Result<bool> {
        Ok(!objects_where(document, &|kind, _| kind == GENERATOR).is_empty())
    }

    fn parts(&self, source: &Source, path: &Path, opener: Opener<'_>) -> Result<Vec<EncryptedFile>> {
        let generator = Generator::parse(source.bytes.clone())?;
        let place = place_of(path, opener.context)?;
        let mut parts = Vec::new();
        for name in generator.paths() {
            let read = || {
                let bytes = place.read(name)?;
                EncryptedFile::parse(format_in(Format::of_path(Path::new(name)), &bytes), bytes)
            };
            let named = |error: Error| error.in_file(name).about(format!("named by {}", path.display()));
            let part = read().map_err(named)?;
            if matches!(part, EncryptedFile::Sealed(_)) {
                return Err(Error::new(Kind::Other, format!("it lists SealedSecrets already: {name}"))
                    .advise("List this file under `resources` of the kustomization, and no longer in the generator."));
            }
            parts.push(part);
        }
        Ok(parts)
    }

    fn open(&self, source: Source, path: &Path, opener: Opener<'_>) -> Result<OpenedParts> {
        let generator = Generator::parse(source.bytes)?;
        let place = place_of(path, opener.context)?;
        let Some(kustomization) = Kustomization::listing(path, place.root())? else {
            return Err(Error::new(Kind::Other, "no kustomization lists it under `generators`")
                .advise("List this file itself there, instead of its folder or its text."));
        };
        let shown = kustomization.path.display();
        if let Some(field) = RENAMING.iter().find(|field| kustomization.text(field).is_some()) {
            return Err(Error::new(
                Kind::Other,
                format!("{shown} has {field}, which changes the name of a SealedSecret, and not where others name its Secret"),
            )
            .advise("Write names out in the Secrets and where they are used, remove the field, and try again."));
        }
        let made = block_on(generator.generate(&place, opener.service)).map_err(|error| {
            let is_of_other = error.file().is_some();
            if is_of_other { error.about(format!("named by {}", path.display())) } else { error }
        })?;
        made.warnings.iter().for_each(|warning| opener.context.ui.warning(warning));
        let adds = ADDING.iter().filter(|field| kustomization.has(field));
        let mut left_out: Vec<String> =
            adds.map(|field| format!("what {field} of {shown} adds to its Secret")).collect();
        let mut opened = Vec::new();
        for text in &made.manifests {
            let secret = self.secret(text, &kustomization, path);
            opened.push(secret.map(|mut one| {
                one.left_out.append(&mut left_out);
                one
            }));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let read = generator.paths().into_iter().map(|name| folder.join(name));
        self.read.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
        Ok(OpenedParts { objects: opened, keys: made.keys })
    }

    fn found(&self, path: &Path) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_path_buf());
    }

    fn finish(&self, done: &[PathBuf], context: &Context) -> Result<()> {
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        for file in done.iter().chain(&found) {
            self.list(file, context)?;
        }
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.dry_run && !done.is_empty() {
            let files: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
            context.ui.say_list(
                "these generators no longer read these files, which still hold the values; delete them when nothing else reads them:",
                lines_of(files.into_iter(), usize::MAX),
            );
        }
        Ok(())
    }
}

impl Ksops {
    /// What becomes of a Secret that KSOPS makes.
    fn secret(&self, text: &SecretString, kustomization: &Kustomization, path: &Path) -> Result<Opened> {
        let document = document::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec()), false)?;
        let found = objects_where(&*document, &|kind, version| kind == "Secret" && version == "v1");
        let &[object] = &found[..] else {
            return Err(Error::new(Kind::Other, "it makes an object that is no Secret").advise(
                "Take the file with this object out of the generator, and keep it for `sealant ksops`, or in plaintext.",
            ));
        };
        self.sealed(&*document, object, kustomization, path)
    }

    fn sealed(
        &self,
        document: &dyn Document,
        object: NodeId,
        kustomization: &Kustomization,
        path: &Path,
    ) -> Result<Opened> {
        let mut secret = Secret::read(document, object)?;
        let name = secret.name.clone();
        let about = |error: Error| error.about(format!("Secret {name}"));
        let mut left_out = Vec::new();
        if secret.annotations.remove(NEEDS_HASH).is_some_and(|value| value == "true") {
            left_out.push("the hash at the end of its name".to_owned());
        }
        if let Some(behavior) = secret.annotations.remove(BEHAVIOR).filter(|behavior| behavior != "create") {
            return Err(about(
                Error::new(
                    Kind::Other,
                    format!("it has the behavior `{behavior}`: it changes a Secret of another kustomization"),
                )
                .advise("Migrate that other one, and write into it what this one changes."),
            ));
        }
        // kustomize puts its namespace on all objects.
        secret.namespace =
            kustomization.text("namespace").or(secret.namespace).or_else(|| self.bound.namespace.clone());
        if secret.namespace.is_none() && self.bound.scope != Scope::Cluster {
            return Err(about(
                Error::new(
                    Kind::Other,
                    "neither its kustomization nor itself names a namespace, and its values are bound to one",
                )
                .advise(format!(
                    "Name it: `{} --namespace NAME {}`.",
                    self.command(),
                    typed(path)
                )),
            ));
        }
        let ours = Ours::of(secret, self.bound.scope).map_err(about)?;
        Ok(Opened { ours, left_out })
    }

    /// Lists a file as a resource of its kustomization, unless that lists it nowhere else.
    fn list(&self, file: &Path, context: &Context) -> Result<()> {
        let place = place_of(file, context)?;
        let Some(found) = Kustomization::listing(file, place.root())? else { return Ok(()) };
        let in_file = |error: Error| error.in_file(&found.path);
        let bytes = found.moved().map_err(in_file)?;
        if !self.dry_run && !is_sealed(file) {
            return Ok(());
        }
        let (file, shown) = (file.display(), found.path.display());
        if self.dry_run {
            return context.ui.line(format!("would list {file} as a resource in {shown}"));
        }
        replace(&found.path, &bytes, &found.snapshot, context).map_err(in_file)?;
        context.ui.say(format!("{shown}: lists {file} as a resource"));
        Ok(())
    }
}

/// Whether a file holds SealedSecrets of ours: it may have been left as it was, since somebody else wrote to it.
fn is_sealed(file: &Path) -> bool {
    let bytes = fs::read_found(file, MAX_SOURCE as u64);
    let document = bytes.and_then(|bytes| document::parse(Format::Yaml, bytes, true));
    document.is_ok_and(|document| !sealed_secret::objects(&*document).is_empty())
}

/// The folder of a file, and the repository that it is in.
fn place_of(path: &Path, context: &Context) -> Result<Place> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    Ok(Place::of(folder, context.host)?.closed())
}
