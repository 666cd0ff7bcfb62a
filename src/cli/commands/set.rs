use std::iter;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use serde::de::IgnoredAny;
use serde_json::Value as Data;

use crate::batch;
use crate::claims::Pin;
use crate::cli::args::{Input, PlaceArgs, by_name};
use crate::cli::change::{Change, ChangeArgs};
use crate::cli::claims::{Strictness, refuse_other_than_asked};
use crate::cli::context::{Context, block_on};
use crate::cli::typed_path::{Text, refuse_swapped, text_at};
use crate::cli::ui::counted;
use crate::cli::variables::is_name;
use crate::document::{self, Document, Edits, Format, MAX_SOURCE, NodeKind, TreePath, data_from_json};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::KeyService;
use crate::rekey::Wish;
use crate::sealed_secret::{self, Binding, ItemPath, NewDataKey, SealedFile, SealedSecret};
use crate::secret::SecretBytes;
use crate::shown::{typed, word};

/// Set one value of an encrypted file
///
/// Without VALUE, it asks on the terminal and does not show what you type. A VALUE in quotes, a number, true, false,
/// null, a list or a map is read as JSON, and anything else as a string. It is always a string where the old value is
/// a string, in dotenv and INI files, in a Secret, and from a prompt, a file or standard input. In `data` of a Secret
/// it is encoded as base64. --json and --string override this.
///
/// Missing maps on the path are created, and a position right behind a list appends. All other values keep their
/// ciphertexts.
///
/// An item of a SealedSecret can be set without any identity: it gets a data key of its own, for the recipients that
/// the creation rule names. Then --namespace, or the rule, has to say which place it is sealed for, because anybody
/// can write another place into the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant set secrets.enc.yaml database.password
  sealant set secrets.enc.yaml database.port 5432
  sealant set --json secrets.enc.yaml hosts '[\"a\", \"b\"]'
  sealant set --value-file secrets.enc.yaml tls.key key.pem
  printf %s \"$PASSWORD\" | sealant set --value-stdin app.enc.yaml db.password
  sealant set --namespace shop sealedsecret.yaml password")]
pub struct Args {
    #[command(flatten)]
    pub change: ChangeArgs,

    /// The new value. Others on this machine can see it: leave it out to be asked, or use --value-stdin or --value-file
    #[arg(help_heading = None::<&str>, allow_hyphen_values = true)]
    pub value: Option<String>,

    /// VALUE is the path of a file that holds the value
    #[arg(long, conflicts_with = "value_stdin", requires = "value", help_heading = None::<&str>)]
    pub value_file: bool,

    /// Take the value from standard input
    #[arg(long, conflicts_with = "value", help_heading = None::<&str>)]
    pub value_stdin: bool,

    /// Take the value as a string, including a line break at its end
    #[arg(long, conflicts_with = "json", help_heading = None::<&str>)]
    pub string: bool,

    /// The value is JSON
    #[arg(long, help_heading = None::<&str>)]
    pub json: bool,

    /// Allow a new value in plaintext where the file's settings or comments say so and no rule says otherwise
    #[arg(long, help_heading = None::<&str>)]
    pub plaintext: bool,

    /// For SealedSecrets: keep this recipient although the creation rule does not name it; may be repeated
    #[arg(long, value_name = "RECIPIENT", help_heading = None::<&str>)]
    pub allow_recipient: Vec<String>,

    #[command(flatten)]
    pub place: PlaceArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    refuse_swapped("set", &args.change.file, &args.change.path)?;
    refuse_assignment(&args, context)?;
    let (bytes, is_argument) = match &args.value {
        Some(file) if args.value_file => (Input::of(Path::new(file)).read(MAX_SOURCE)?, false),
        Some(value) if value == "-" => {
            return Err(Error::new(Kind::Usage, "`-` does not mean standard input here")
                .advise("For standard input: --value-stdin. For the text `-`: --json '\"-\"'"));
        }
        Some(value) => (SecretBytes::new(value.clone().into_bytes()), true),
        None if args.value_stdin => (Input::of(Path::new("-")).read(MAX_SOURCE)?, false),
        None => {
            // Nobody is to type for nothing.
            Input::of(&args.change.file).read(MAX_SOURCE)?;
            (asked(&args, context)?, false)
        }
    };
    let value = Value { bytes, is_argument, args: &args, context };
    if value.is_json() {
        value.as_json()?;
    }
    let wish = Wish { allow: by_name(&args.allow_recipient, &context.names()), ..Wish::default() };
    args.change.run(context, wish, value)
}

/// Refuses `PATH=VALUE` in one word, and does not repeat the value.
fn refuse_assignment(args: &Args, context: &Context) -> Result<()> {
    let Some((path, _)) = args.change.path.split_once('=') else { return Ok(()) };
    if args.value.is_some() || args.value_stdin || path.contains('[') || context.is_sops() {
        return Ok(());
    }
    let (file, path) = (typed(&args.change.file), typed(Path::new(path)));
    Err(Error::new(Kind::Usage, "PATH and VALUE are two words, without `=` between them").advise(format!(
        "To be asked for the value: `sealant set {file} {path}`. For a key with `=` in its name: '[\"a=b\"]'."
    )))
}

/// A value that somebody types twice, unseen.
fn asked(args: &Args, context: &Context) -> Result<SecretBytes> {
    if !context.host.can_ask() {
        return Err(Error::new(Kind::Usage, "no value was given, and there is no terminal to ask on")
            .advise("Add VALUE, or pipe it in with --value-stdin."));
    }
    let what = format!("New value of {} in {}", args.change.path, args.change.file.display());
    let value = context.host.ask_passphrase(&what)?;
    if *context.host.ask_passphrase("Repeat it")? != *value {
        return Err(Error::new(Kind::SetFormat, "the two values differ: nothing was changed"));
    }
    Ok(SecretBytes::new(value.as_bytes().to_vec()))
}

/// A value to be set, as it was given.
struct Value<'a> {
    bytes: SecretBytes,
    /// It was an argument, in which JSON can be told from text by its looks.
    is_argument: bool,
    args: &'a Args,
    context: &'a Context<'a>,
}

impl Value<'_> {
    /// Whether nothing but JSON will do.
    fn is_json(&self) -> bool {
        let is_text_to_sops = self.args.string;
        self.args.json || (self.context.is_sops() && !is_text_to_sops)
    }

    fn as_json(&self) -> Result<Data> {
        let data = data_from_json(&self.bytes).map_err(|error| {
            let error = error.with_kind(Kind::SetFormat);
            match error.advice() {
                Some(_) => error,
                None => error.advise("A string is JSON in double quotes: '\"text\"'."),
            }
        })?;
        if self.context.is_sops() && data.is_array() {
            return Err(Error::new(Kind::SetFormat, "sops sets no whole list")
                .advise("Set one item, '[\"list\"][0]' for instance, or use `sealant set`."));
        }
        Ok(data)
    }

    /// The text as it was given, or within the quotes of a JSON text.
    fn as_text(&self) -> Result<String> {
        if self.is_argument
            && !self.args.string
            && let Ok(Data::String(text)) = data_from_json(&self.bytes)
        {
            return Ok(text);
        }
        let text = std::str::from_utf8(&self.bytes);
        text.map(str::to_owned)
            .map_err(|_| Error::new(Kind::SetFormat, "the value is not UTF-8, so it cannot be a string"))
    }

    /// The value for a place of a document.
    fn at(&self, path: &TreePath, document: &dyn Document) -> Result<Data> {
        if self.is_json() {
            return self.as_json();
        }
        if self.args.string {
            return self.as_text().map(Data::String);
        }
        match text_at(path, document) {
            Some(Text::Base64) => {
                self.context.ui.note(format!(
                    "{path} was encoded as base64, as `data` of a Secret is; --string takes a value as it is"
                ));
                // Any bytes may be in there.
                let bytes = match self.is_argument {
                    true => SecretBytes::new(self.as_text()?.into_bytes()),
                    false => self.bytes.clone(),
                };
                Ok(Data::String(STANDARD.encode(&*bytes)))
            }
            Some(Text::Plain) => self.as_text().map(Data::String),
            None if !self.is_argument => self.as_text().map(Data::String),
            None => match data_from_json(&self.bytes) {
                // The same key twice, or a number that is too large: still meant as JSON.
                Err(_) if serde_json::from_slice::<IgnoredAny>(&self.bytes).is_ok() => self.as_json(),
                Err(_) | Ok(Data::String(_)) => self.as_text().map(Data::String),
                Ok(_) if was_text(path, document) => {
                    self.context.ui.note(format!(
                        "{path} is a string, and stays one; --json takes the value as JSON, as sops does"
                    ));
                    self.as_text().map(Data::String)
                }
                Ok(data) => Ok(data),
            },
        }
    }

    /// Refuses what somebody hardly means: values that go for another one, keys in the place of one with dots, a position with
    /// none before it. sops does all that.
    fn refuse_slips(&self, path: &TreePath, document: &dyn Document, value: &Data) -> Result<()> {
        if self.context.is_sops() || path.parent().is_none() || document.format() == Format::Binary {
            return Ok(());
        }
        let change = &self.args.change;
        let file = typed(&change.file);
        let shown = |path: &TreePath| word(path.to_string().as_ref());
        let refuse =
            |message: String, advice: String| Err(Error::new(Kind::SetFormat, message).advise(advice));
        if let Some(above) = value_above(path, document) {
            return refuse(
                format!("{above} holds a value, and a map with {path} would replace it"),
                format!("To replace it, remove it first: `sealant unset {file} {}`", shown(&above)),
            );
        }
        if let Some(one) = path.as_one_key(document).filter(|_| !change.path.contains('[')) {
            return refuse(
                format!("keys here have dots in them, and {path} would make a map"),
                format!("For one key: `sealant set {file} {}`. For a map: {}", shown(&one), shown(path)),
            );
        }
        if let Some((list, items)) = path.gap(document).filter(|_| !self.args.json) {
            let next = word(format!("{list}[{items}]").as_ref());
            let has = if items == 0 {
                "has no items yet".to_owned()
            } else {
                format!("has {}", counted(items, "item"))
            };
            return refuse(
                format!("the list {list} {has}, so the next one is [{items}]"),
                format!("To add one: `sealant set {file} {next}`"),
            );
        }
        let lost = path.find(document).map_or(0, |old| document.tree().entries(old).count());
        if lost == 0 || self.args.json || value.is_object() || value.is_array() {
            return Ok(());
        }
        refuse(
            format!("{path} holds {}, and one value would replace it", counted(lost, "value")),
            format!("To replace it, remove it first: `sealant unset {file} {}`", shown(path)),
        )
    }

    /// Says that no shell gets a value of this name. sops says nothing of it.
    fn tell_no_variable(&self, path: &TreePath, document: &dyn Document) {
        let keys = path.keys().filter(|_| document.format() == Format::Dotenv && !self.context.is_sops());
        let Some([name]) = keys.as_deref() else { return };
        if !is_name(name) {
            self.context.ui.warning(format!(
                "`{name}` is not a valid variable name, so `sealant export` refuses it, and shells do not see it: use letters, \
                 digits and `_`"
            ));
        }
    }

    /// The bytes of an item: those of a file or of standard input as they are.
    fn as_item(&self) -> Result<SecretBytes> {
        if !self.is_json() && !self.is_argument {
            return Ok(self.bytes.clone());
        }
        if !self.is_json() {
            return Ok(SecretBytes::new(self.as_text()?.into_bytes()));
        }
        match self.as_json()? {
            Data::String(text) => Ok(SecretBytes::new(text.into_bytes())),
            _ => Err(Error::new(
                Kind::SetFormat,
                "an item of a SealedSecret is a string, and this value is not",
            )
            .advise("Write it as JSON in double quotes, '\"5432\"', or remove --json.")),
        }
    }
}

/// Where a path leads through a value that is no map or list, and goes for one: `password` of `password.foo`.
fn value_above(path: &TreePath, document: &dyn Document) -> Option<TreePath> {
    let mut above = iter::successors(path.parent(), TreePath::parent);
    let (way, node) = above.find_map(|way| way.find(document).ok().map(|node| (way, node)))?;
    let is_value = document.tree()[node].kind == NodeKind::Scalar
        && !matches!(document.value(node), Ok(document::Value::Null));
    is_value.then_some(way)
}

/// Whether the value that is there is a text.
fn was_text(path: &TreePath, document: &dyn Document) -> bool {
    let Ok(old) = path.find(document) else { return false };
    document.tree()[old].kind == NodeKind::Scalar
        && matches!(document.value(old), Ok(document::Value::Str(_)))
}

impl Change for Value<'_> {
    fn strictness(&self) -> Option<Strictness> {
        Some(Strictness::Set { plaintext: self.args.plaintext })
    }

    fn place(&self) -> Pin {
        self.args.place.pin()
    }

    fn check_document(&self) -> Result<()> {
        if self.args.place.pin() == Pin::default() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Conflict,
            "--scope, --namespace and --name are for SealedSecrets, and this is another document",
        )
        .advise("Leave them out."))
    }

    fn of_document(self, path: &TreePath, document: &dyn Document) -> Result<Option<Edits>> {
        let value = self.at(path, document)?;
        self.refuse_slips(path, document, &value)?;
        let edits = path.set(document, &value, self.args.change.copies())?;
        self.args.change.tell_copies(path, document, edits.is_some(), self.context)?;
        if let Some(nearly) = path.nearly(document) {
            self.context.ui.note(nearly);
        }
        self.tell_no_variable(path, document);
        Ok(if self.args.change.idempotent { edits } else { edits.or(Some(Edits::default())) })
    }

    fn of_sealed(
        self,
        path: &ItemPath,
        file: &SealedFile,
        service: &KeyService<'_>,
        new_key: &dyn Fn(&SealedSecret) -> Result<NewDataKey>,
    ) -> Result<Option<(usize, SealedSecret)>> {
        let value = self.as_item()?;
        let at = path.find_or_add(file)?;
        let sealed = &file.objects[at].1;
        refuse_other_than_asked(&self.args.place.pin(), sealed)?;
        if self.args.change.idempotent && sealed.spec.encrypted_data.contains_key(&path.item) {
            // Only somebody who can open it can see whether it has this value already.
            let keys = block_on(batch::open_item(service, &self.args.change.file, sealed, &path.item))?;
            if keys.item(&sealed.spec, &Binding::of(sealed)?, &path.item)? == value {
                return Ok(None);
            }
        }
        let changes = [(path.item.clone(), Some(value))].into();
        Ok(Some((at, sealed_secret::change(sealed, &changes, new_key(sealed)?)?)))
    }
}
