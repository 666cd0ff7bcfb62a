use std::path::Path;
use std::process::ExitCode;

use serde_json::Value as Data;

use crate::batch;
use crate::claims::Pin;
use crate::cli::args::Input;
use crate::cli::args::PlaceArgs;
use crate::cli::change::{Change, ChangeArgs};
use crate::cli::claims::{Strictness, refuse_other_than_asked};
use crate::cli::context::{Context, block_on};
use crate::document::{Document, Edits, MAX_SOURCE, TreePath, data_from_json};
use crate::error::{Error, Kind, Result};
use crate::keys::KeyService;
use crate::rekey::Wish;
use crate::sealed_secret::{self, Binding, ItemPath, NewDataKey, SealedFile, SealedSecret};
use crate::secret::SecretBytes;

/// Set one value of an encrypted file
///
/// The value is JSON: a text in quotes, a number, true, false, null, a list or a map. What is missing on the way to it
/// is made, and a position behind the end of a list appends. All other values keep their ciphertexts.
///
/// An item of a SealedSecret is set without any identity: it gets a data key of its own, for those whom the creation
/// rule names. It takes a text, or the bytes of --value-file and --value-stdin as they are. For what place it is sealed
/// has to be said then, by --namespace or in the rule: a file says what whoever wrote it wants.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant set secrets.enc.yaml '[\"database\"][\"port\"]' 5432
  sealant set secrets.enc.yaml '[\"name\"]' '\"a text is JSON, in quotes\"'
  sealant set --string secrets.enc.yaml '[\"name\"]' 'a text as it is'
  sealant set --string --value-file secrets.enc.yaml '[\"tls\"][\"key\"]' key.pem
  printf %s \"$PASSWORD\" | sealant set --string --value-stdin secrets.enc.yaml '[\"password\"]'
  printf %s \"$PASSWORD\" | sealant set --namespace shop --value-stdin sealedsecret.yaml password")]
pub struct Args {
    #[command(flatten)]
    pub change: ChangeArgs,

    /// The new value, as JSON. Others on this machine can see it: --value-stdin and --value-file hide it
    #[arg(required_unless_present = "value_stdin", help_heading = None::<&str>, allow_hyphen_values = true)]
    pub value: Option<String>,

    /// VALUE is the path of a file that holds the value
    #[arg(long, conflicts_with = "value_stdin", help_heading = None::<&str>)]
    pub value_file: bool,

    /// Take the value from standard input
    #[arg(long, conflicts_with = "value", help_heading = None::<&str>)]
    pub value_stdin: bool,

    /// The value is not JSON but a text, taken as it is: a line end at its end belongs to it
    #[arg(long, help_heading = None::<&str>)]
    pub string: bool,

    /// Write a new value in plaintext, too, where the file's settings or comments say so and no rule says otherwise
    #[arg(long, help_heading = None::<&str>)]
    pub plaintext: bool,

    /// For SealedSecrets: keep this recipient, though the creation rule does not name it; may be repeated
    #[arg(long, value_name = "RECIPIENT", help_heading = None::<&str>)]
    pub allow_recipient: Vec<String>,

    #[command(flatten)]
    pub place: PlaceArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let bytes = match &args.value {
        Some(file) if args.value_file => Input::of(Path::new(file)).read(MAX_SOURCE)?,
        Some(value) => SecretBytes::new(value.clone().into_bytes()),
        None => Input::of(Path::new("-")).read(MAX_SOURCE)?,
    };
    let value = Value { bytes, args: &args, context };
    if !value.is_raw() {
        value.as_json()?;
    }
    let wish = Wish { allow: args.allow_recipient.clone(), ..Wish::default() };
    args.change.run(context, wish, value)
}

/// A value to be set, as it was given.
struct Value<'a> {
    bytes: SecretBytes,
    args: &'a Args,
    context: &'a Context<'a>,
}

impl Value<'_> {
    fn as_json(&self) -> Result<Data> {
        let data = data_from_json(&self.bytes).map_err(|error| {
            let error = error.with_kind(Kind::SetFormat);
            match error.advice() {
                Some(_) => error,
                None => error.advise(
                    "A text is JSON in double quotes: '\"text\"'. Or add --string to take it as it is.",
                ),
            }
        })?;
        if self.context.is_sops() && data.is_array() {
            return Err(Error::new(Kind::SetFormat, "sops sets no whole list")
                .advise("Set one item, '[\"list\"][0]' for instance, or use `sealant set`."));
        }
        Ok(data)
    }

    /// Whether it may be something else than JSON.
    fn is_raw(&self) -> bool {
        self.args.string || self.args.value_file || self.args.value_stdin
    }

    /// The bytes of an item: those of a file or of standard input as they are.
    fn as_item(&self) -> Result<SecretBytes> {
        if self.is_raw() {
            return Ok(self.bytes.clone());
        }
        match self.as_json()? {
            Data::String(text) => Ok(SecretBytes::new(text.into_bytes())),
            _ => Err(Error::new(Kind::SetFormat, "an item of a SealedSecret is a text, and this is none")
                .advise(
                    "Write it as JSON in double quotes, '\"5432\"', or add --string to take it as it is.",
                )),
        }
    }
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
            "--scope, --namespace and --name are about SealedSecrets, and this is a document",
        )
        .advise("Leave them out."))
    }

    fn of_document(self, path: &TreePath, document: &dyn Document) -> Result<Option<Edits>> {
        let value = match self.args.string {
            true => std::str::from_utf8(&self.bytes)
                .map_err(|_| Error::new(Kind::SetFormat, "the value is not UTF-8, and cannot be a text"))?
                .into(),
            false => self.as_json()?,
        };
        let edits = path.set(document, &value, self.args.change.copies())?;
        self.args.change.tell_copies(path, document, edits.is_some(), self.context)?;
        if let Some(nearly) = path.nearly(document) {
            self.context.ui.note(nearly);
        }
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
            // Whether it has this value already is only to be seen by whoever can open it.
            let keys = block_on(batch::open_item(service, &self.args.change.file, sealed, &path.item))?;
            if keys.item(&sealed.spec, &Binding::of(sealed)?, &path.item)? == value {
                return Ok(None);
            }
        }
        let changes = [(path.item.clone(), Some(value))].into();
        Ok(Some((at, sealed_secret::change(sealed, &changes, new_key(sealed)?)?)))
    }
}
