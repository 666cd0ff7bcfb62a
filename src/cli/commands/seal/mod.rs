mod into;
mod values;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use memchr::memmem;
use rayon::prelude::*;

use crate::batch::Source;
use crate::cli::args::{
    AwsArgs, Destination, Formats, IdentityArgs, Input, InputArgs, Inputs, KeyArgs, OutputArgs, scopes,
};
use crate::cli::claims::Claims;
use crate::cli::context::{Context, block_on};
use crate::cli::copies::{self, ToEncrypt};
use crate::cli::encryption::refuse_for_others;
use crate::cli::failures::Failures;
use crate::cli::manifests::{self, ManifestArgs};
use crate::cli::merging;
use crate::cli::pipeline::{self, Item, Output, Passed, Pipeline, Summary, Taken, in_two_steps};
use crate::cli::repository::inputs_to_write;
use crate::cli::unnamed::{Unnamed, elsewhere, is_named_by};
use crate::config::{Configs, Policy};
use crate::document::{self, Document, Format, MAX_SOURCE};
use crate::encrypted_file::{Meant, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode};
use crate::keys::{KeyService, KeySet};
use crate::policy::{self, Overrides};
use crate::sealed_secret::{self, NewDataKey, Options, Scope, SealedSecret, Secret};
use crate::secret::SecretString;
use crate::shown::typed;
use crate::sops;
use crate::sops::kubernetes;

/// Turn Kubernetes Secrets into SealedSecrets, safe for Git
///
/// Reads the manifests of Secrets from files, folders or standard input. Apply the result with
/// `kubectl apply --server-side`; the controller in the cluster makes the Secrets. This command contacts no cluster.
///
/// The creation rule of the file, or flags, say who can unseal; the cluster's own recipient must be among them
/// (`sealant fetch-recipient`). Several Secrets in one input, a stream or a List, are sealed one by one, and written
/// as a stream in YAML or as a List in JSON. Labels and annotations of a Secret are not encrypted.
///
/// In a folder it seals the Secrets in files that the path_regex of a creation rule matches. On a terminal it asks
/// about others. It skips what Git ignores.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant seal secret.yaml > sealed.yaml
  sealant seal -i apps/            # every Secret that a creation rule covers
  kubectl create secret generic db -n shop --from-file=password \\
    --dry-run=client -o yaml | sealant seal --age \"$(sealant fetch-recipient)\" \\
    | kubectl apply --server-side -f -
  sealant seal -n shop --name db --from-file password=pw.txt --output db.yaml
  sealant seal --merge-into db.yaml --from-file password=-   # one value
  sealant seal --onto db.yaml --output db.yaml secret.yaml  # what changed")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    #[command(flatten)]
    outputs: OutputArgs,

    /// In a folder, also seal Secrets in files that no path_regex matches, without asking
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    manifest: ManifestArgs,

    /// Also seal a Secret without values
    #[arg(long)]
    allow_empty_data: bool,

    /// Make the Secret from files instead of a manifest: one value each, under KEY or the file's name; `-` is
    /// standard input
    #[arg(long, value_name = "[KEY=]PATH")]
    from_file: Vec<String>,

    /// Print only the sealed values of --from-file and their data key, to add to a SealedSecret yourself
    #[arg(long)]
    raw: bool,

    /// Add the values to this SealedSecret, in place; its other values do not change, and no identity is needed
    #[arg(long, value_name = "FILE")]
    merge_into: Option<PathBuf>,

    /// Keep the ciphertexts of values that did not change since this SealedSecret, which one of your identities must
    /// open
    #[arg(long, value_name = "OLD")]
    onto: Option<PathBuf>,

    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    keys: KeyArgs,

    /// With --merge-into or --onto: keep this recipient although the creation rule does not name it; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    allow_recipient: Vec<String>,

    #[command(flatten)]
    aws: AwsArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

/// What the values are bound to.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What the values are bound to")]
struct PlaceArgs {
    /// strict (namespace and name, the default), namespace, or cluster (any name in any namespace)
    #[arg(long, value_name = "SCOPE", value_parser = scopes(), hide_possible_values = true)]
    scope: Option<Scope>,

    /// The namespace of Secrets that name none
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// The name of the Secret, whatever its manifest says
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    args.refuse_conflicts()?;
    args.keys.warn_of_empty(context.ui);
    let keys = args.keys.using(&args.aws, context).key_set(context.host)?;
    let wanted = Overrides { keys, ..Overrides::default() };
    let named = wanted.keys.iter().flat_map(|keys| keys.groups.iter().flatten());
    let service = args.identities.key_service(context)?.naming(named);
    let mut seal = Seal {
        args: &args,
        context,
        configs: context.configs()?,
        claims: Claims::new(context)?,
        wanted,
        service,
        told: Mutex::default(),
        unnamed: Unnamed::left(),
    };
    merging::tell_of_rules(context, args.merge_into.as_deref())?;
    match &args.merge_into {
        Some(file) => seal.merge_into(file),
        None if args.raw || !args.from_file.is_empty() => seal.values(),
        None => seal.files(),
    }
}

impl Args {
    fn refuse_conflicts(&self) -> Result<()> {
        let outputs = &self.outputs;
        let places = outputs.in_place || outputs.output.is_some() || outputs.output_dir.is_some();
        let conflicts = [
            (self.merge_into.is_some() && self.onto.is_some(), "--merge-into and --onto cannot be combined"),
            (self.merge_into.is_some() && places, "--merge-into writes only to the file that it names"),
            (self.merge_into.is_some() && self.raw, "--merge-into and --raw cannot be combined"),
            (self.onto.is_some() && self.raw, "--onto and --raw cannot be combined"),
            (self.onto.is_some() && !self.from_file.is_empty(), "--onto takes a manifest, not --from-file"),
            (
                !self.from_file.is_empty() && !self.inputs.files.is_empty(),
                "--from-file makes the Secret, but a manifest was given too",
            ),
            (
                !self.from_file.is_empty() && (outputs.in_place || outputs.output_dir.is_some()),
                "with --from-file the result goes to standard output, or to a file with --output",
            ),
            (
                !self.allow_recipient.is_empty() && self.onto.is_none() && self.merge_into.is_none(),
                "--allow-recipient only applies to an existing SealedSecret, with --merge-into or --onto",
            ),
        ];
        match conflicts.into_iter().find(|(is_one, _)| *is_one) {
            Some((_, message)) => Err(Error::new(Kind::Conflict, message)),
            None => Ok(()),
        }
    }

    fn options(&self) -> Options {
        Options {
            scope: self.place.scope,
            namespace: self.place.namespace.clone(),
            allow_empty: self.allow_empty_data,
        }
    }
}

/// One run of the command.
struct Seal<'a> {
    args: &'a Args,
    context: &'a Context<'a>,
    configs: Configs,
    claims: Claims<'a>,
    wanted: Overrides,
    service: KeyService<'a>,
    /// Lists of recipients that were told.
    told: Mutex<HashSet<String>>,
    unnamed: Unnamed,
}

/// The Secrets of a file, and for whom they are.
struct Prepared {
    secrets: Vec<Secret>,
    keys: KeySet,
    format: Format,
    shown: PathBuf,
    /// By which creation rules may say what place they are for.
    names: Vec<PathBuf>,
    /// Where it is written, if that is a file.
    place: Option<PathBuf>,
}

impl Prepared {
    fn to_encrypt(&self) -> ToEncrypt<'_> {
        let places: BTreeSet<&Path> = self.names.iter().chain(&self.place).map(PathBuf::as_path).collect();
        ToEncrypt { places: places.into_iter().collect(), keys: &self.keys }
    }
}

impl Seal<'_> {
    /// Seals the Secrets of files.
    fn files(&mut self) -> Result<ExitCode> {
        let inputs = inputs_to_write(&self.args.inputs, self.context)?;
        let destination = self.args.outputs.destination(&inputs)?;
        if inputs.many && (self.args.onto.is_some() || self.args.place.name.is_some()) {
            let flag = if self.args.onto.is_some() { "--onto" } else { "--name" };
            let message = format!("{flag} is for one file, but several were given");
            return Err(Error::new(Kind::Conflict, message));
        }
        let (yes, dry_run) = (self.args.yes, self.args.outputs.dry_run);
        let unnamed = || self.unnamed_among(&inputs);
        self.unnamed = Unnamed::ask(self.context, yes, dry_run, "Seal", unnamed)?;
        let (folders, named) = (inputs.folders.clone(), inputs.inputs.clone());
        let pipeline = Pipeline {
            context: self.context,
            inputs,
            formats: Formats::default(),
            destination: destination.clone(),
            dry_run,
            mode: Mode::Public,
            doing: "sealing",
            summary: Some(Summary { done: "sealed", already: "sealed already", other: "no Secrets" }),
        };
        let mut failures = Failures::default();
        pipeline.run_among(&mut failures, |items| {
            let prepare = |item: Item| self.prepare(item, &destination);
            let seal = |files: Vec<Prepared>| match &self.args.onto {
                Some(old) => files.into_iter().map(|file| self.onto(old, file).map(Some)).collect(),
                None => self.seal(files),
            };
            in_two_steps(items, prepare, |files| {
                copies::encrypt_allowed(self.context, false, files, Prepared::to_encrypt, seal)
            })
        });
        if let Err(error) = self.unnamed.refuse_nothing(&self.args.outputs.shown_in("seal"), &folders) {
            failures.add(self.context.ui, &error);
        }
        if failures.is_empty() && !dry_run {
            destination.tell_only_shown(&named, "is still in plaintext", self.context);
        }
        Ok(failures.finish(self.context.ui))
    }

    /// Those of the inputs that were only found, hold a Secret in plaintext, and match no rule that names them.
    fn unnamed_among(&self, inputs: &Inputs) -> Vec<PathBuf> {
        let is_unnamed = |input: &Input| {
            let rule = self.configs.matching_policy(input.name.as_deref()?).ok()?;
            if is_named_by(rule.as_ref()) || (rule.is_none() && self.wanted.keys.is_none()) {
                return None;
            }
            let source = pipeline::read(input, Formats::default()).ok()?;
            matches!(found_in(&source), Found::Secrets).then(|| input.shown().to_path_buf())
        };
        let found = inputs.inputs.par_iter().filter(|input| !input.named);
        found.filter_map(is_unnamed).collect()
    }

    /// Whether a file that was only found is skipped.
    fn passed_by(&self, input: &Input, source: &Source) -> Result<Option<Passed>> {
        let rule = match input.name.as_deref() {
            Some(name) => self.configs.matching_policy(name)?,
            None => None,
        };
        match found_in(source) {
            Found::Secrets => Ok(self.unnamed.passes_by(rule.as_ref(), self.wanted.keys.is_some())),
            Found::Sealed => {
                self.unnamed.note(rule.as_ref());
                Ok(Some(Passed::Already))
            }
            Found::Template(error) => {
                let error = error.in_file(input.shown());
                self.context
                    .ui
                    .note(format!("skipped, because it is a template and not a manifest yet: {error}"));
                Ok(Some(Passed::Other))
            }
            Found::Broken if is_named_by(rule.as_ref()) => Ok(None),
            Found::Broken | Found::Other => Ok(Some(Passed::Other)),
        }
    }

    /// Reads a file and decides for whom it is sealed, unless it was only found, and is not meant.
    fn prepare(
        &self,
        Item { input, mut source }: Item,
        destination: &Destination,
    ) -> Result<Taken<Prepared>> {
        let in_file = |error: Error| error.in_file(input.shown());
        if !input.named
            && let Some(why) = self.passed_by(&input, &source)?
        {
            return Ok(Taken::Passed(why));
        }
        let format = format(&source).map_err(in_file)?;
        let output = match destination {
            Destination::File(file) => Some(file.as_path()),
            _ => None,
        };
        let name = self.args.onto.as_deref().or(input.name.as_deref()).or(output);
        let rule = match self.rule(name)? {
            // Plaintext that lies elsewhere is sealed as what it becomes.
            None => self.rule(output)?,
            found => found,
        };
        let documents = manifests::parse(format, std::mem::take(&mut source.bytes)).map_err(in_file)?;
        let secrets = self
            .secrets(&documents)
            .map_err(|error| self.of_sops(error, &input, &documents))
            .map_err(in_file)?;
        if let Some(path) = destination.path_for(&input).filter(|_| *destination != Destination::InPlace) {
            refuse_plaintext(&path)?;
        }
        let keys = match &self.args.onto {
            // It is decided for each of its objects, by these if somebody names them.
            Some(_) => policy::keys(&self.wanted, rule.as_ref())
                .unwrap_or_else(|_| KeySet::of_groups(Vec::new(), None)),
            None => self.keys(name, rule.as_ref()).map_err(in_file)?,
        };
        if self.wanted.keys.is_none() {
            let place = destination.path_for(&input);
            refuse_for_others(self.context, &self.configs, "seal", &input, place.as_deref(), &keys)?;
        }
        let format = self.args.manifest.of(destination, format);
        let names = [name, output].into_iter().flatten().map(Path::to_path_buf).collect();
        let place = destination.path_for(&input);
        Ok(Taken::On(Prepared { secrets, keys, format, shown: input.shown().to_path_buf(), names, place }))
    }

    /// The error of a Secret that sops has encrypted, with what makes a SealedSecret of it, beside it.
    fn of_sops(&self, error: Error, input: &Input, documents: &[Box<dyn Document>]) -> Error {
        let is_secret = documents.iter().any(|document| !kubernetes::secrets(&**document).is_empty())
            && documents.iter().all(|document| sealed_secret::objects(&**document).is_empty());
        let Some(path) =
            input.path.as_deref().filter(|_| error.kind() == Kind::AlreadyEncrypted && is_secret)
        else {
            return error;
        };
        let namespace =
            self.args.place.namespace.as_deref().map(|name| format!(" -n {}", typed(name.as_ref())));
        let (file, sealed) = (typed(path), typed(&beside(path)));
        error.advise(format!(
            "Seal what is in it into another file: `sealant decrypt {file} | sealant seal{} --filename-override {file} --output \
             {sealed}`. Then remove {file}.",
            namespace.unwrap_or_default()
        ))
    }

    /// The Secrets of a manifest, named as flags say.
    fn secrets(&self, documents: &[Box<dyn Document>]) -> Result<Vec<Secret>> {
        let secrets = documents.iter().map(|document| sealed_secret::secrets(&**document));
        let mut secrets = secrets.collect::<Result<Vec<_>>>()?.concat();
        if secrets.is_empty() {
            return Err(Error::new(Kind::EmptyFile, "there is no Secret in it"));
        }
        match (&self.args.place.name, &mut secrets[..]) {
            (None, _) => {}
            (Some(name), [only]) => only.name.clone_from(name),
            (Some(_), several) => {
                let message = format!("--name is the name of one Secret, but there are {}", several.len());
                return Err(Error::new(Kind::Conflict, message));
            }
        }
        Ok(secrets)
    }

    /// The creation rule of a file, if one matches.
    fn rule(&self, name: Option<&Path>) -> Result<Option<Policy>> {
        match name.filter(|_| self.wanted.keys.is_none()) {
            Some(name) => self.configs.matching_policy(name),
            None => Ok(None),
        }
    }

    /// For whom a new SealedSecret is.
    fn keys(&self, name: Option<&Path>, rule: Option<&Policy>) -> Result<KeySet> {
        let keys = policy::keys(&self.wanted, rule).map_err(|error| match (rule, name) {
            (Some(_), _) => error,
            (None, Some(name)) => self.no_rule(name, error),
            (None, None) => error.advise(
                "Name recipients with --age; or name the file that it goes to with --output or --filename-override, \
                 so that its creation rule applies.",
            ),
        })?;
        sealed_secret::refuse_foreign(&keys).map(|()| keys)
    }

    /// Why no rule says for whom a file is; `error` where there are no rules.
    fn no_rule(&self, name: &Path, error: Error) -> Error {
        let rules = elsewhere(&self.configs, name, "seal -i", self.context)
            .unwrap_or_else(|| self.configs.advice_for(name));
        let advice = format!("{rules}. Or name recipients with --age.");
        match self.context.lookup().and_then(|lookup| self.configs.policy_for(&lookup.working_dir.join(name)))
        {
            Err(none) if none.kind() == Kind::Other => none.advise(advice),
            _ => error.advise(advice),
        }
    }

    /// Tells what is good to know, once.
    fn tell_once(&self, message: String, list: Vec<String>) {
        let told = list.iter().fold(message.clone(), |told, line| told + "\n" + line);
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(told) {
            self.context.ui.say_list(message, list);
        }
    }

    /// Seals the Secrets of files, with one request to the key service. Results are in the order of the files.
    fn seal(&self, files: Vec<Prepared>) -> Vec<Result<Option<Output>>> {
        let sets: Vec<&KeySet> =
            files.iter().flat_map(|file| file.secrets.iter().map(|_| &file.keys)).collect();
        let mut made = block_on(NewDataKey::make(&self.service, &sets)).into_iter();
        let options = self.args.options();
        let seal = |file: &Prepared| {
            // All keys of a file are taken, whether one of them is an error or not.
            let keys: Vec<_> = made.by_ref().take(file.secrets.len()).collect();
            let several = file.secrets.len() > 1;
            let sealed = file.secrets.iter().zip(keys).map(|(secret, key)| {
                let sealed = key.and_then(|key| {
                    let sealed = sealed_secret::seal(secret, &options, key)?;
                    file.names.iter().try_for_each(|name| self.claims.refuse_other_place(name, &sealed))?;
                    Ok(sealed)
                });
                sealed.map_err(|error| if several { error.about(named(secret)) } else { error })
            });
            let sealed: Result<Vec<_>> = sealed.collect();
            sealed
                .and_then(|sealed| written(&sealed, file.format).map(Some))
                .map_err(|error| error.in_file(&file.shown))
        };
        files.iter().map(seal).collect()
    }
}

/// What a file that was only found is to this command.
enum Found {
    /// It has Secrets in plaintext.
    Secrets,
    Sealed,
    /// It is no manifest yet.
    Template(Error),
    /// It cannot be read.
    Broken,
    Other,
}

fn found_in(Source { format, bytes, .. }: &Source) -> Found {
    let utf8 = document::of_utf16(bytes);
    let bytes = utf8.as_ref().unwrap_or(bytes);
    let holds = |needle: &[u8]| memmem::find(bytes, needle).is_some();
    if !matches!(format, Format::Yaml | Format::Json) || !holds(b"Secret") {
        return Found::Other;
    }
    match manifests::parse(*format, bytes.clone()) {
        // One that sops has encrypted is sealed as little as one that is sealed.
        Ok(documents) if documents.iter().any(|document| sops::is_encrypted(&**document)) => Found::Other,
        Ok(documents) if hold_secrets(&documents) => Found::Secrets,
        Ok(_) if meant(*format, bytes) == Some(Meant::Sealed) => Found::Sealed,
        Ok(_) => Found::Other,
        Err(error) if holds(b"{{") => Found::Template(error),
        Err(_) => Found::Broken,
    }
}

/// As what to read a manifest.
fn format(source: &Source) -> Result<Format> {
    manifests::format_in(source.format, &source.bytes).ok_or_else(|| {
        let message = format!("a manifest is YAML or JSON, and this is a file of {}", source.format);
        Error::new(Kind::Read, message).advise("To seal the file as a value, give it with --from-file.")
    })
}

fn named(secret: &Secret) -> String {
    let name = if secret.name.is_empty() { "without a name" } else { &secret.name };
    format!("Secret {name}")
}

/// SealedSecrets as one manifest, and what people should know of them.
fn written(sealed: &[SealedSecret], format: Format) -> Result<Output> {
    let (mut texts, mut warnings) = (Vec::new(), Vec::new());
    for sealed in sealed {
        let text = SecretString::new(sealed_secret::manifest(sealed, format)?);
        let found = sealed_secret::warnings(sealed, text.len());
        warnings.extend(found.into_iter().map(|warning| format!("{}: {warning}", sealed.metadata.name)));
        texts.push(text);
    }
    Ok(Output { bytes: sealed_secret::joined(&texts, format), warnings })
}

fn hold_secrets(documents: &[Box<dyn Document>]) -> bool {
    documents.iter().any(|document| sealed_secret::holds_secrets(&**document))
}

/// Refuses to write over a Secret in plaintext: that is for `-i` to do.
fn refuse_plaintext(path: &Path) -> Result<()> {
    if !path.is_file() || fs::size(path).is_none_or(|size| size > MAX_SOURCE as u64) {
        return Ok(());
    }
    let bytes = fs::read_found(path, MAX_SOURCE as u64)?;
    let parsed =
        manifests::format_in(Format::of_path(path), &bytes).map(|format| manifests::parse(format, bytes));
    let Some(Ok(documents)) = parsed else { return Ok(()) };
    if !hold_secrets(&documents) {
        return Ok(());
    }
    let is_encrypted = documents.iter().any(|document| sops::is_encrypted(&**document));
    let (message, advice) = match is_encrypted {
        true => (
            "this file holds a Secret that sops has encrypted, which would be lost",
            format!("Write to another file: `--output {}`.", typed(&beside(path))),
        ),
        false => (
            "this file holds a Secret in plaintext, which would be lost",
            "Write to another file, or replace the Secret with its SealedSecret: `sealant seal -i FILE`."
                .to_owned(),
        ),
    };
    Err(Error::new(Kind::Conflict, message).in_file(path).advise(advice))
}

/// The file for the SealedSecret of a Secret that stays where it is: `db.sealed.yaml` of `db.yaml`.
fn beside(path: &Path) -> PathBuf {
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    path.with_extension(format!("sealed.{extension}"))
}
