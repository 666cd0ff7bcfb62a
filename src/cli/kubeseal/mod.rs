//! The command line of kubeseal, which seals for the controller of sealed-secrets: what the program understands when it is
//! called by that name.
//!
//! Owns what kubeseal does and says, exit codes included. Differences are on purpose: what cannot be read of a stream makes a
//! warning and is not dropped, a file that is merged into keeps its form, comments and scope, and what was sealed is encrypted again
//! without the controller where its key is given. Cryptography is in [`crate::bitnami`].

mod controller;
mod flags;
pub(in crate::cli) mod manifest;
pub(in crate::cli) mod recovery;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use reqwest::Url;
use serde_json::{Map, Value as Data};

use self::controller::Controller;
use self::flags::{Flags, Unread};
use self::manifest::{Sealed, Secret};
use crate::bitnami::{BadCertificate, Certificate, Scope, seal};
use crate::cli::args::{Input, STDIN};
use crate::cli::context::{Context, block_on, no_color};
use crate::cli::failures::finish;
use crate::cli::fetch::fetch;
use crate::cli::host::Terminal;
use crate::cli::pipeline::refuse_outside;
use crate::cli::ui::{ColorWhen, Ui};
use crate::config::Dialect;
use crate::document::{self, Document, Edits, Format, MAX_SOURCE, NodeId, reconcile, to_data};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode, Snapshot};
use crate::host::Host;
use crate::keys::web::is_here;
use crate::secret::{SecretBytes, SecretString};

/// Act as kubeseal: `sealant kubeseal --cert FILE`
///
/// A link to sealant with the name `kubeseal` does the same: scripts that run kubeseal need no change. It seals for the
/// controller of sealed-secrets; `sealant seal` seals for Sealant's.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  sealant kubeseal --fetch-cert > cert.pem
  sealant kubeseal --cert cert.pem --format yaml < secret.yaml > sealed.yaml
  sealant link kubeseal ~/.local/bin && kubeseal --help"
)]
pub struct Args {
    /// The arguments of kubeseal
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

/// What kubeseal exits with where a flag is wrong.
const WRONG_FLAG: u8 = 2;

/// Runs a command line of kubeseal, without the program's `name`, by which it was called.
pub fn run(words: &[OsString], name: &str) -> ExitCode {
    let ui = Ui::new(ColorWhen::Auto, no_color(), false);
    let host = Terminal::new(&ui);
    let flags = match Flags::read(words, &host) {
        Ok(flags) => flags,
        Err(Unread::Help) => return tell_usage(&ui, None, ExitCode::SUCCESS),
        Err(Unread::Wrong(message)) => return tell_usage(&ui, Some(&message), WRONG_FLAG.into()),
    };
    let context = Context::new(&ui, &host, None, Dialect::Sealant);
    let done = fs::wipe_on_signals().and_then(|()| Kubeseal { flags, context: &context }.run());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What it advises is typed as it was called.
            let called = |name: &str| format!("`{name} --");
            let advice = error.advice().map(|advice| advice.replace(&called("kubeseal"), &called(name)));
            ui.error(&match advice {
                Some(advice) => error.advise(advice),
                None => error,
            });
            Kind::Other.exit_code().into()
        }
    }
}

/// As pflag does it, the heading of the list goes to standard error, and all else to standard output.
fn tell_usage(ui: &Ui, wrong: Option<&str>, code: ExitCode) -> ExitCode {
    ui.say("Usage of kubeseal:");
    let said = ui.out(flags::list().as_bytes()).and_then(|()| wrong.map_or(Ok(()), |wrong| ui.line(wrong)));
    finish(ui, said.map(|()| code).map_err(anyhow::Error::from))
}

struct Kubeseal<'c> {
    flags: Flags,
    context: &'c Context<'c>,
}

impl Kubeseal<'_> {
    /// Does what is asked for. In this order, whatever flags are given together.
    fn run(&self) -> Result<()> {
        let (flags, ui) = (&self.flags, self.context.ui);
        if flags.is_deprecated {
            ui.line("Flag --rotate has been deprecated, please use --re-encrypt instead")?;
        }
        if flags.is_set("version") {
            return ui.line(format!("kubeseal version: {VERSION} (sealant {})", env!("CARGO_PKG_VERSION")));
        }
        if flags.is_set("help") {
            ui.line("Usage of kubeseal:")?;
            return ui.out(flags::list().as_bytes());
        }
        if !flags.list("from-file").is_empty() && !flags.is_set("raw") {
            return Err(other("--from-file requires --raw"));
        }
        let file = flags.given("secret-file").map(Path::new);
        if let Some(file) = file.filter(|file| !file.exists()) {
            return Err(other("Could not read file specified with --secret-file")
                .advise(format!("There is no file {}.", file.display())));
        }
        let output = flags.given("sealed-secret-file").map(Path::new);
        if flags.is_set("recovery-unseal") {
            let keys = recovery::keys(flags.list("recovery-private-key"))?;
            let (document, root) = single(&self.input()?).map_err(|error| self.in_input(error))?;
            let sealed = Sealed::read(&*document, root).map_err(|error| self.in_input(error))?;
            let secret = recovery::unsealed(&sealed, &keys, self.format()?)?;
            return self.write(output, &secret, Mode::Private);
        }
        if flags.is_set("validate") {
            return self.validate();
        }
        if flags.is_set("re-encrypt") {
            return self.write(output.or(file), &self.encrypted_again()?, Mode::Public);
        }
        if flags.is_set("fetch-cert") {
            return self.write(output, &self.certificate_text()?, Mode::Public);
        }
        let certificate = self.certificate()?;
        if let Some(file) = flags.given("merge-into") {
            return self.merge_into(Path::new(file), &certificate);
        }
        let sealed = match flags.is_set("raw") {
            true => SecretString::new(self.sealed_value(&certificate)?),
            false => self.sealed(&certificate)?,
        };
        self.write(output, sealed.as_bytes(), Mode::Public)
    }

    fn host(&self) -> &dyn Host {
        self.context.host
    }

    /// The objects to work on, of a file or of standard input. At a terminal it says that it waits for them.
    fn input(&self) -> Result<SecretBytes> {
        match self.flags.given("secret-file") {
            Some(file) => Input::of(Path::new(file)).read(MAX_SOURCE),
            None => {
                self.tell_terminal("expecting json/yaml k8s resource in stdin");
                Input::of(Path::new("-")).read(MAX_SOURCE)
            }
        }
    }

    fn tell_terminal(&self, what: &str) {
        if io::stdin().is_terminal() {
            self.context.ui.say(format!("(tty detected: {what})"));
        }
    }

    /// What the objects to work on are called in errors.
    fn in_input(&self, error: Error) -> Error {
        error.in_file(self.flags.given("secret-file").unwrap_or(STDIN))
    }

    /// What results are written in: the name of the file that is written has the last word.
    fn format(&self) -> Result<Format> {
        let by_name = self.flags.given("sealed-secret-file").map(Path::new).and_then(Path::extension);
        if by_name.is_some_and(|name| name == "yaml" || name == "yml") {
            return Ok(Format::Yaml);
        }
        match self.flags.text("format").to_lowercase().as_str() {
            "json" | "" => Ok(Format::Json),
            "yaml" => Ok(Format::Yaml),
            _ => Err(other(&format!("unsupported output format: {}", self.flags.text("format")))),
        }
    }

    fn write(&self, output: Option<&Path>, bytes: &[u8], mode: Mode) -> Result<()> {
        match output {
            Some(file) => {
                refuse_outside(file, self.context)?;
                fs::write_atomic(file, bytes, mode)
            }
            None => self.context.ui.out(bytes),
        }
    }

    /// The certificate that was named, or that of the controller, in PEM.
    fn certificate_text(&self) -> Result<SecretBytes> {
        let Some(place) = self.flags.given("cert") else {
            let fetched =
                block_on(async { Controller::of(&self.flags, self.host()).await?.certificate().await });
            return Ok(SecretBytes::new(fetched?.into_bytes()));
        };
        // A scheme of one letter is a drive of Windows.
        match Url::parse(place).ok().filter(|url| url.scheme().len() > 1) {
            Some(url) if url.scheme() == "file" => read_named(Path::new(url.path())),
            Some(url) => {
                if url.scheme() == "http" && !is_here(&url) {
                    self.context.ui.warning(format!(
                        "{url}: anybody who can change the certificate on its way can read what you seal: use https"
                    ));
                }
                fetch(self.host(), &url, "the certificate")
            }
            None => read_named(Path::new(place)),
        }
    }

    fn certificate(&self) -> Result<Certificate> {
        let certificate = Certificate::read(&self.certificate_text()?).map_err(|bad| {
            other(match bad {
                BadCertificate::None => "data does not contain any valid RSA or ECDSA certificates",
                BadCertificate::Broken => "the certificate cannot be parsed",
                BadCertificate::NotRsa => {
                    "expected RSA public key but found another one, or one that is not of 2048 to 8192 bits"
                }
            })
        })?;
        let until = certificate.not_after();
        if self.host().now() > until {
            let until = until.to_zoned(TimeZone::UTC).strftime("%B %-d, %Y").to_string();
            return Err(other(&format!("failed to encrypt using an expired certificate on {until}"))
                .advise("Get the newest: `kubeseal --fetch-cert`."));
        }
        Ok(certificate)
    }

    fn scope(&self) -> Scope {
        [Scope::Cluster, Scope::Namespace]
            .into_iter()
            .find(|scope| scope.name() == self.flags.text("scope"))
            .unwrap_or_default()
    }

    /// The Secrets of the input. A document that cannot be read makes a warning, and the others are sealed.
    fn secrets(&self) -> Result<Vec<Secret>> {
        let mut found = Vec::new();
        for document in manifest::documents(&self.input()?)? {
            match document {
                Ok(document) => found.extend(Secret::read(&*document)?),
                Err(error) => self.context.ui.warning_of(&error),
            }
        }
        match found.is_empty() {
            true => Err(other("no secrets found. Ensure the input is valid and UTF-8 encoded")),
            false => Ok(found),
        }
    }

    fn sealed(&self, certificate: &Certificate) -> Result<SecretString> {
        let format = self.format()?;
        let mut text = SecretString::default();
        for secret in self.secrets()? {
            let object = self.seal(secret, self.flags.given("name"), certificate)?;
            text.push_str(&manifest::printed(&object, format));
        }
        Ok(text)
    }

    /// Seals a Secret, under another name where one is given.
    fn seal(&self, mut secret: Secret, name: Option<&str>, certificate: &Certificate) -> Result<Data> {
        if secret.values.is_empty() && !self.flags.is_set("allow-empty-data") {
            return Err(other(
                "secret.data is empty in input Secret, assuming this is an error and aborting. To work with empty \
                 data, --allow-empty-data can be used",
            ));
        }
        if let Some(name) = name {
            name.clone_into(&mut secret.name);
        }
        if secret.name.is_empty() {
            return Err(other("missing metadata.name in input Secret")
                .advise("Name it in the Secret, or with --name."));
        }
        if self.scope() != Scope::Strict {
            secret.set_scope(self.scope());
        }
        let scope = secret.scope();
        if scope != Scope::Cluster {
            self.find_namespace(&mut secret)?;
        }
        let label = scope.label(&secret.namespace, &secret.name);
        let items =
            secret.values.iter().map(|(key, value)| Ok((key.clone(), seal(value, &label, certificate)?)));
        let items = items.collect::<Result<BTreeMap<_, _>>>()?;
        Ok(secret.sealed(&items))
    }

    /// The Secret's own namespace, which has to be that of the flag, or the one around us.
    fn find_namespace(&self, secret: &mut Secret) -> Result<()> {
        let found = controller::namespace(&self.flags, self.host());
        match (&found, secret.namespace.as_str()) {
            (None, "") => Err(other("secret must declare a namespace")
                .advise("Name it in the Secret, or with --namespace.")),
            (Some((given, true)), own) if !own.is_empty() && own != given => Err(other(&format!(
                "namespace mismatch: input secret is in namespace {own:?} but {given:?} was specified"
            ))),
            (Some((around, _)), "") => {
                secret.namespace.clone_from(around);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A single value, in base64.
    fn sealed_value(&self, certificate: &Certificate) -> Result<String> {
        let (scope, name) = (self.scope(), self.flags.text("name"));
        let missing = |flag: &str| {
            other(&format!("must provide the --{flag} flag with --raw and --scope {}", scope.name()))
        };
        let mut namespace = String::new();
        if scope != Scope::Cluster {
            namespace = controller::namespace(&self.flags, self.host())
                .map(|(namespace, _)| namespace)
                .ok_or_else(|| missing("namespace"))?;
            if name.is_empty() && scope == Scope::Strict {
                return Err(missing("name"));
            }
        }
        let value = match self.flags.list("from-file") {
            [] => {
                self.tell_terminal("expecting a secret to encrypt in stdin");
                Input::of(Path::new("-")).read(MAX_SOURCE)?
            }
            [file] => read_named(Path::new(file.split_once('=').map_or(file.as_str(), |(_, file)| file)))?,
            _ => {
                return Err(other(
                    "must provide only one --from-file when encrypting a single item with --raw",
                ));
            }
        };
        seal(&value, &scope.label(&namespace, name), certificate)
    }

    /// Puts the items of the input into a SealedSecret that there is, under its name and in its scope.
    fn merge_into(&self, file: &Path, certificate: &Certificate) -> Result<()> {
        refuse_outside(file, self.context)?;
        let bytes = read_named(file)?;
        let snapshot = Snapshot::of(&bytes);
        let in_file = |error: Error| error.in_file(file);
        let (document, root) = single(&bytes).map_err(in_file)?;
        let sealed = Sealed::read(&*document, root).map_err(in_file)?;
        let scope = Scope::of(&sealed.annotations);
        let mut secrets = self.secrets()?;
        for secret in &secrets {
            self.refuse_other_place(secret, &sealed, scope).map_err(in_file)?;
        }
        let mut data = sealed.data;
        for mut secret in secrets.drain(..) {
            secret.set_scope(scope);
            if !sealed.namespace.is_empty() {
                secret.namespace.clone_from(&sealed.namespace);
            }
            let new = self.seal(secret, Some(&sealed.name), certificate)?;
            merge(&mut data["spec"]["encryptedData"], &new["spec"]["encryptedData"]);
            for key in ["labels", "annotations"] {
                merge(
                    &mut data["spec"]["template"]["metadata"][key],
                    &new["spec"]["template"]["metadata"][key],
                );
            }
        }
        let text = changed(&*document, &[(root, data)]).map_err(in_file)?;
        fs::write_atomic_if_unchanged(file, text.as_bytes(), Mode::Public, &snapshot)
    }

    /// Refuses a file that is for another place than the Secret is, or opens in more places: whoever wrote the file could read the
    /// Secret's values there.
    fn refuse_other_place(&self, secret: &Secret, sealed: &Sealed, scope: Scope) -> Result<()> {
        let is_given = !self.flags.list("scope").is_empty();
        let wanted = if is_given { self.scope() } else { secret.scope() };
        let named = |flag: &str, own: &str| self.flags.given(flag).unwrap_or(own).to_owned();
        let bound = [
            ("name", named("name", &secret.name), &sealed.name, scope == Scope::Strict),
            ("namespace", named("namespace", &secret.namespace), &sealed.namespace, scope != Scope::Cluster),
        ];
        for (what, wanted, found, counts) in bound {
            if counts && !wanted.is_empty() && !found.is_empty() && wanted != *found {
                let message = format!("its {what} is {found:?}, but that of the Secret is {wanted:?}");
                return Err(other(&message).advise(format!(
                    "Merge into the file of {wanted:?}, or take the {what} out of the Secret, and it is sealed for {found:?}."
                )));
            }
        }
        let (found, name) = (scope.name(), wanted.name());
        match scope.cmp(&wanted) {
            Ordering::Greater => Err(other(&format!(
                "its scope is {found}, so an item of the Secret, whose scope is {name}, would open in more places"
            ))
            .advise(format!("If it may, add --scope {found}."))),
            Ordering::Less if is_given => {
                Err(other(&format!("its scope is {found}, so an item with --scope {name} would not open"))
                    .advise("Leave out --scope."))
            }
            _ => Ok(()),
        }
    }

    /// Asks the controller whether it can open the SealedSecrets of the input.
    fn validate(&self) -> Result<()> {
        let objects = all(&self.input()?)
            .map_err(|error| other("unable to decrypt sealed secret").caused_by(error))?
            .into_iter()
            .flat_map(|(_, objects)| objects)
            .collect::<Vec<_>>();
        block_on(async {
            let controller = Controller::of(&self.flags, self.host()).await?;
            for (_, Sealed { name, data, .. }) in &objects {
                controller.verify(name, data.to_string().into_bytes()).await?;
            }
            Ok(())
        })
    }

    /// The SealedSecrets of the input under the newest key: only their items change.
    fn encrypted_again(&self) -> Result<SecretBytes> {
        let again = recovery::Again::of(&self.flags, || self.certificate(), self.host())?;
        let mut text = SecretBytes::default();
        for (document, objects) in all(&self.input()?).map_err(|error| self.in_input(error))? {
            let again = |(root, sealed): (NodeId, Sealed)| {
                let items = again.items(&sealed)?;
                let mut data = sealed.data;
                merge(&mut data["spec"]["encryptedData"], &items);
                Ok((root, data))
            };
            let objects = objects.into_iter().map(again).collect::<Result<Vec<_>>>()?;
            text.extend_from_slice(changed(&*document, &objects)?.as_bytes());
        }
        Ok(text)
    }
}

/// The upstream version whose flags, texts and files these are; what scripts compare.
const VERSION: &str = "v0.40.0";

fn other(message: &str) -> Error {
    Error::new(Kind::Other, message.to_owned())
}

/// Reads a file that a flag names.
fn read_named(file: &Path) -> Result<SecretBytes> {
    match file.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(other(&format!("open {}: no such file or directory", file.display())))
        }
        _ => Input::of(file).read(MAX_SOURCE),
    }
}

/// SealedSecrets, and the document that they are in.
type InDocument = (Box<dyn Document>, Vec<(NodeId, Sealed)>);

/// The SealedSecrets of a stream.
fn all(bytes: &SecretBytes) -> Result<Vec<InDocument>> {
    let read = |document: Box<dyn Document>| {
        let roots = document.tree().documents().iter().copied();
        let roots = roots.filter(|&root| document.tree().entries(root).next().is_some());
        let objects = roots.map(|root| Ok((root, Sealed::read(&*document, root)?))).collect::<Result<_>>()?;
        Ok((document, objects))
    };
    manifest::streams(bytes)?.into_iter().map(read).collect()
}

/// The only document of a file.
fn single(bytes: &SecretBytes) -> Result<(Box<dyn Document>, NodeId)> {
    let mut found = manifest::streams(bytes)?;
    match (found.pop(), found.len()) {
        (Some(document), 0) if document.tree().documents().len() == 1 => {
            let root = document.tree().documents()[0];
            Ok((document, root))
        }
        _ => Err(other("one SealedSecret is expected in it")),
    }
}

/// Puts the entries of one map into another, which may be missing.
fn merge(into: &mut Data, new: &Data) {
    let Some(new) = new.as_object().filter(|new| !new.is_empty()) else { return };
    if !into.is_object() {
        *into = Data::Object(Map::new());
    }
    for (key, data) in new {
        into[key] = data.clone();
    }
}

/// The text of a document with other data at these roots: what is equal keeps its bytes.
fn changed(document: &dyn Document, objects: &[(NodeId, Data)]) -> Result<SecretString> {
    let mut edits = Edits::default();
    for (root, data) in objects {
        edits.merge(reconcile(document, *root, data)?);
    }
    let text = edits.apply(document.source());
    let after = document::parse(document.format(), SecretBytes::new(text.as_bytes().to_vec()), false)?;
    let wanted = |at: usize, root: NodeId| {
        let new = objects.iter().find(|(changed, _)| *changed == root).map(|(_, data)| data.clone());
        let new = new.map_or_else(|| to_data(document, root), Ok)?;
        let found = after.tree().documents().get(at).map(|&root| to_data(&*after, root)).transpose()?;
        Ok::<_, Error>(found == Some(new))
    };
    let roots = document.tree().documents();
    for (at, &root) in roots.iter().enumerate() {
        if after.tree().documents().len() != roots.len() || !wanted(at, root)? {
            return Err(other("Sealant cannot make this change to the file without changing something else")
                .advise("Write it without anchors and aliases, each entry on its own line."));
        }
    }
    Ok(text)
}
