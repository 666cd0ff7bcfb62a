//! The contract of Argo CD's config management plugins: an application's folder becomes manifests, without any key.
//!
//! Owns what is deployed and what is refused. What decides between safe and unsafe comes from the plugin's own
//! arguments ([`Options`]); applications may say harmless things alone ([`Parameters`]). All comes out or nothing.

mod helm;
mod parameters;
mod rebuilt;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use parameters::{Parameters, announcements};

use super::{Objects, Place, joined, place};
use crate::batch::{self, Source};
use crate::document::{Format, MAX_SOURCE};
use crate::encrypted_file;
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Snapshot};
use crate::host::{Command, Host};
use crate::keys::KeyService;
use crate::secret::SecretBytes;
use crate::sops::MacCheck;

/// What kustomize takes for its file.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const CHART: &str = "Chart.yaml";

/// What programs get of our environment. Older kustomize gives any variable to whoever names it in an env file, and
/// what it starts sees all: so an identity must not be among them, nor a token.
const PASSED: [&str; 6] =
    ["PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "ARGOCD_APP_SOURCE_PATH"];

/// What the plugin's own arguments say. Applications have no say in it.
#[derive(Debug, Default)]
pub struct Options {
    /// Decrypt what is encrypted with sops, instead of refusing it.
    pub decrypt: bool,
    /// An application may have no objects: with pruning, all that it had is deleted.
    pub allow_empty: bool,
    pub kustomize_args: Vec<OsString>,
    pub helm_args: Vec<OsString>,
    /// Variables that kustomize and helm get besides.
    pub pass_env: Vec<String>,
}

/// What manifests are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    Kustomize,
    Helm,
    Directory,
}

impl SourceKind {
    const ALL: [Self; 3] = [Self::Kustomize, Self::Helm, Self::Directory];

    fn name(self) -> &'static str {
        match self {
            Self::Kustomize => "kustomize",
            Self::Helm => "helm",
            Self::Directory => "directory",
        }
    }

    /// What a folder is, as Argo CD tells it.
    pub fn of(place: &Place) -> Self {
        let has = |name: &str| place.folder().join(name).is_file();
        if KUSTOMIZATIONS.into_iter().any(has) {
            return Self::Kustomize;
        }
        if has(CHART) { Self::Helm } else { Self::Directory }
    }
}

/// Manifests, and what people should know.
pub struct Generated {
    pub manifests: SecretBytes,
    pub notes: Vec<String>,
}

/// What one file holds or one program has printed.
struct Part {
    shown: PathBuf,
    format: Format,
    bytes: SecretBytes,
    objects: Objects,
    /// A file of the repository, which can be opened as a whole.
    is_file: bool,
}

impl Part {
    fn read(shown: impl Into<PathBuf>, format: Format, bytes: SecretBytes, is_file: bool) -> Result<Self> {
        let shown = shown.into();
        let objects = Objects::parse(format, bytes.clone()).map_err(|error| error.in_file(&shown))?;
        Ok(Self { shown, format, bytes, objects, is_file })
    }
}

/// One run.
pub struct Run<'a> {
    pub place: &'a Place,
    pub options: &'a Options,
    pub parameters: &'a Parameters,
    pub host: &'a dyn Host,
    pub service: &'a KeyService<'a>,
}

impl Run<'_> {
    /// The manifests of the application's folder.
    pub async fn folder(&self) -> Result<Generated> {
        let mut notes = Vec::new();
        let parts = match self.parameters.source.unwrap_or_else(|| SourceKind::of(self.place)) {
            SourceKind::Kustomize => vec![self.kustomize()?],
            SourceKind::Helm => vec![self.helm().await?],
            SourceKind::Directory => self.directory(&mut notes)?,
        };
        self.finish(parts, notes).await
    }

    /// The manifests that somebody else has made.
    pub async fn manifests(&self, bytes: SecretBytes) -> Result<Generated> {
        let part = Part::read("standard input", Format::Yaml, bytes, false)?;
        self.finish(vec![part], Vec::new()).await
    }

    fn kustomize(&self) -> Result<Part> {
        let folder = self.place.folder().into();
        let args = [OsString::from("build"), folder].into_iter().chain(self.options.kustomize_args.clone());
        let output = self.output_of("kustomize", args.collect(), false)?;
        Part::read("kustomize build", Format::Yaml, output, false)
    }

    fn directory(&self, notes: &mut Vec<String>) -> Result<Vec<Part>> {
        if self.parameters.recurse {
            self.place.refuse_links_out()?;
        }
        let mut parts = Vec::new();
        let folder = self.place.folder();
        for file in fs::files_below(folder, self.parameters.recurse)? {
            let shown = file.strip_prefix(folder).unwrap_or(&file).to_path_buf();
            let format = Format::of_path(&shown);
            if !matches!(format, Format::Yaml | Format::Json) {
                continue;
            }
            let part = Part::read(&shown, format, self.place.read(&shown)?, true)?;
            if part.objects.count() == 0 {
                continue;
            }
            if part.objects.is_something_else() {
                notes.push(format!("{}: not a manifest, skipped", shown.display()));
                continue;
            }
            parts.push(part);
        }
        Ok(parts)
    }

    /// Runs a program that makes manifests. What it is given from the environment is chosen; `silent` when it is given
    /// plaintext that its messages may quote.
    fn output_of(&self, program: &str, args: Vec<OsString>, silent: bool) -> Result<SecretBytes> {
        let names = PASSED.into_iter().chain(self.options.pass_env.iter().map(String::as_str));
        let root = (place::ROOT_VARIABLE.into(), self.place.root().into());
        let env = names.filter_map(|name| Some((name.into(), self.host.env(name)?))).chain([root]).collect();
        self.host.output_of(&Command {
            program: program.into(),
            args,
            env,
            bare: true,
            silent,
            ..Command::default()
        })
    }

    /// Decrypts where that is wanted, and lets nothing out that is encrypted.
    async fn finish(&self, parts: Vec<Part>, mut notes: Vec<String>) -> Result<Generated> {
        let parts = if self.options.decrypt { self.decrypted(parts, &mut notes).await? } else { parts };
        for part in &parts {
            part.objects.refuse_encrypted().map_err(|error| advise(error, part))?;
        }
        if parts.iter().map(|part| part.objects.count()).sum::<usize>() == 0 && !self.options.allow_empty {
            return Err(Error::new(Kind::EmptyFile, "it holds no Kubernetes objects").advise(
                "With pruning, Argo CD would delete everything that the application had. If you want that, add \
                 --allow-empty to the arguments in plugin.yaml.",
            ));
        }
        Ok(Generated { manifests: joined(parts.iter().map(|part| part.objects.source())), notes })
    }

    /// The parts with what is encrypted in them decrypted, in one request for all keys.
    async fn decrypted(&self, parts: Vec<Part>, notes: &mut Vec<String>) -> Result<Vec<Part>> {
        // What a program has printed is opened document by document: that is how it was encrypted.
        let mut pieces = Vec::new();
        for part in parts {
            if part.is_file || !part.objects.are_encrypted() {
                pieces.push(part);
                continue;
            }
            for text in part.objects.texts()? {
                let bytes = Zeroizing::new(text.as_bytes().to_vec());
                pieces.push(Part::read(&part.shown, Format::Yaml, bytes, false)?);
            }
        }
        let closed: Vec<usize> = (0..pieces.len()).filter(|&at| pieces[at].objects.are_encrypted()).collect();
        let source = |&at: &usize| source(&pieces[at].shown, pieces[at].format, pieces[at].bytes.clone());
        let opened = batch::open_documents(self.service, closed.iter().map(source).collect()).await;
        for (at, opened) in closed.into_iter().zip(opened) {
            let piece = &mut pieces[at];
            let mut plain = opened.and_then(|file| file.file.decrypt(&file.key, MacCheck::Verify));
            if !piece.is_file && plain.as_ref().is_err_and(|error| error.kind() == Kind::MacMismatch) {
                let rebuilt = rebuilt::open(self.service, self.place, piece.bytes.clone()).await;
                plain = rebuilt.and_then(|found| found.map_or(plain.map_err(not_found), Ok));
            }
            let plain = plain.map_err(|error| error.in_file(&piece.shown))?;
            let warning = |text: String| format!("{}: {text}", piece.shown.display());
            notes.extend(plain.warnings.into_iter().map(warning));
            *piece = Part::read(piece.shown.clone(), piece.format, plain.bytes, piece.is_file)?;
        }
        Ok(pieces)
    }
}

fn not_found(error: Error) -> Error {
    error.advise(
        "The file that it was made from is not in the repository, or is not YAML or JSON, so it cannot be \
                  verified.",
    )
}

fn source(shown: &Path, format: Format, bytes: SecretBytes) -> Source {
    Source { path: shown.to_path_buf(), format, snapshot: Snapshot::of(&bytes), bytes }
}

/// What to do about an object that may not be deployed.
fn advise(error: Error, part: &Part) -> Error {
    let error = match (error.kind(), part.is_file) {
        (Kind::AlreadyEncrypted, true) => error.advise(seal_it(&part.shown.display().to_string())),
        (Kind::AlreadyEncrypted, false) => error.advise(seal_it("FILE")),
        _ => error,
    };
    error.in_file(&part.shown)
}

/// How a file that is encrypted with sops becomes one that no key is needed for.
fn seal_it(file: &str) -> String {
    format!(
        "Seal it, and commit the result in its place: `sealant decrypt {file} | sealant seal --output sealed.yaml`. \
         Then only the controller in the cluster needs a key."
    )
}

/// The first file below a folder that is ours: with a SealedSecret, or encrypted with sops.
pub fn discover(place: &Place) -> Option<PathBuf> {
    let files = fs::walk(&[place.folder().to_path_buf()]).files;
    let is_ours = |file: &PathBuf| {
        let bytes = fs::read_found(file, MAX_SOURCE as u64);
        bytes.is_ok_and(|bytes| {
            let format = encrypted_file::format_in(Format::of_path(file), &bytes);
            encrypted_file::meant(format, &bytes).is_some()
        })
    };
    let found = files.into_iter().find(is_ours)?;
    Some(found.strip_prefix(place.folder()).map_or_else(|_| found.clone(), Path::to_path_buf))
}

/// A plaintext of one file.
async fn decrypt_file(
    service: &KeyService<'_>,
    shown: &Path,
    format: Format,
    bytes: SecretBytes,
) -> Result<SecretBytes> {
    let opened = batch::open_document(service, source(shown, format, bytes)).await?;
    let plain = opened.file.decrypt(&opened.key, MacCheck::Verify);
    plain.map(|plain| plain.bytes).map_err(|error| error.in_file(shown))
}
