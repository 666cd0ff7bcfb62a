use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::batch::{self, Opened, Source};
use crate::claims::{Edit as Change, Pin};
use crate::cli::args::{AwsArgs, FormatArgs, Formats, IdentityArgs, Input, KeyArgs, RuleArgs, by_name};
use crate::cli::change::refuse_conversion;
use crate::cli::claims::{Claims, Strictness};
use crate::cli::context::{Context, block_on};
use crate::cli::copies;
use crate::cli::encryption::Encrypt;
use crate::cli::failures::Failures;
use crate::cli::merging;
use crate::cli::pipeline::{self, Item};
use crate::cli::recipients::Recipients;
use crate::cli::session::{Edited, Encryption, Session};
use crate::config::Selection;
use crate::document::{self, Format};
use crate::encrypted_file::{self, KeyedPart, OpenedFile, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode, Snapshot};
use crate::host::Host;
use crate::keys::KeyService;
use crate::rekey::Wish;
use crate::sealed_secret::{self, NewDataKey, OpenedKeys, SealedFile, SealedSecret};
use crate::secret::{DataKey, SecretBytes};
use crate::shown::typed;
use crate::sops::{Encrypted, MacCheck};

/// Edit files in plaintext, and encrypt your changes
///
/// The editor is $SOPS_EDITOR, else $EDITOR, else vim, nano or vi. A new file starts with an example. If you change
/// nothing, nothing is written, and the exit code is 200. A SealedSecret is shown as the Secret that it makes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant edit secrets.enc.yaml
  EDITOR='code --wait' sealant edit secrets.enc.yaml")]
pub struct Args {
    /// The files to edit, one after the other
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Also show the metadata, including recipients
    #[arg(short, long)]
    pub show_master_keys: bool,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    /// Allow new values in plaintext where an existing comment says so
    #[arg(long)]
    pub plaintext: bool,

    /// For SealedSecrets: keep this recipient although the creation rule does not name it; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    pub allow_recipient: Vec<String>,

    #[command(flatten)]
    pub formats: FormatArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub aws: AwsArgs,

    #[command(flatten)]
    pub rules: RuleArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    merging::tell_of_rules(context, args.files.iter().map(PathBuf::as_path))?;
    let edit = Edit {
        context,
        args: &args,
        formats: args.formats.formats(context),
        claims: Claims::new(context)?,
        session: Session::new(context)?,
        service: args.identities.key_service(context)?,
    };
    let mut failures = Failures::default();
    let mut any_written = false;
    for file in &args.files {
        match edit.file(file) {
            Ok(Edited::Written) => any_written = true,
            Ok(Edited::Unchanged) => {}
            Err(error) => failures.add(context.ui, &error.in_file(file)),
        }
    }
    if any_written || !failures.is_empty() {
        return Ok(failures.finish(context.ui));
    }
    Ok(Kind::NotModified.exit_code().into())
}

struct Edit<'a> {
    context: &'a Context<'a>,
    args: &'a Args,
    formats: Formats,
    claims: Claims<'a>,
    session: Session<'a>,
    service: KeyService<'a>,
}

impl Edit<'_> {
    fn file(&self, path: &Path) -> Result<Edited> {
        let input = Input::of(path);
        if input.path.is_none() {
            return Err(Error::new(Kind::Conflict, "standard input cannot be edited").advise("Name a file."));
        }
        let format = self.formats.of_input(Some(path));
        refuse_conversion(self.formats, format, self.context)?;
        self.refuse_to_show_as_binary(format, path)?;
        if !path.is_dir() {
            pipeline::refuse_outside(path, self.context)?;
            if self.missing_folder(path).is_none() {
                fs::check_writable(path)?;
            }
        }
        match pipeline::read(&input, self.formats) {
            Err(error) if error.kind() == Kind::NoFile => self.new_file(&input, path),
            source => self.encrypted(source?),
        }
    }

    fn encrypted(&self, source: Source) -> Result<Edited> {
        let Opened { path, snapshot, file } = block_on(batch::open_one(&self.service, source))?;
        match file {
            OpenedFile::Document(file, key) => self.document(&path, &snapshot, &file, &key),
            OpenedFile::Sealed(file, keys) => self.sealed(&path, &snapshot, &file, &keys),
        }
    }

    fn document(&self, path: &Path, snapshot: &Snapshot, file: &Encrypted, key: &DataKey) -> Result<Edited> {
        let with_metadata = self.args.show_master_keys;
        if with_metadata && file.format() == Format::Binary {
            return Err(Error::new(
                Kind::Conflict,
                "a binary file cannot be edited together with its metadata",
            )
            .advise("Remove --show-master-keys."));
        }
        // Better known before the work than after it.
        self.claims.refuse_shared_out_to_fewer(path, file)?;
        let check = if self.args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
        // Whoever keeps what it says then gives it a MAC by that.
        let is_broken = self.args.ignore_mac && file.open(key, MacCheck::Verify).is_err();
        let before = if with_metadata {
            SecretBytes::new(file.open(key, check)?.source().as_bytes().to_vec())
        } else {
            let plaintext = file.decrypt(key, check)?;
            self.warn(path, &plaintext.warnings);
            plaintext.bytes
        };
        let encrypt = |edited: SecretBytes| {
            let (document, metadata) = if with_metadata {
                file.adopt_with_metadata(edited)?
            } else {
                (file.adopt(edited)?, file.metadata.clone())
            };
            let old = document::parse_any(file.format(), before.clone(), with_metadata)?;
            let change = Change { before: &[&*old], after: &*document, selection: &metadata.selection };
            self.claims.review(path, &change, Strictness::Edit { plaintext: self.args.plaintext })?;
            let written = file.write(&*document, metadata, key, None, self.context.host.now())?;
            pipeline::retyped(written, file.format(), self.formats, Some(path), self.context)
        };
        match is_broken {
            true => self.session.even_unchanged().run(path, &before, snapshot, &encrypt),
            false => self.session(path, &before, snapshot, &encrypt),
        }
    }

    /// sops shows a file as the type that it will write, and a document is no binary file.
    fn refuse_to_show_as_binary(&self, format: Format, path: &Path) -> Result<()> {
        let shown = self.formats.of_result(format, Some(path), self.context.dialect);
        if shown != Format::Binary || format == Format::Binary {
            return Ok(());
        }
        Err(Error::new(Kind::Emit, format!("a {format} document cannot be edited as a binary file"))
            .advise(format!("Add --output-type {format}: the file's name says that it is binary.")))
    }

    /// SealedSecrets are shown as the Secrets that they make. What is changed gets a new data key.
    fn sealed(
        &self,
        path: &Path,
        snapshot: &Snapshot,
        file: &SealedFile,
        keys: &[OpenedKeys],
    ) -> Result<Edited> {
        if self.args.show_master_keys {
            let error =
                Error::new(Kind::Conflict, "a SealedSecret cannot be edited together with its recipients");
            return Err(error.advise(
                "Show them with `sealant inspect FILE`, change them with `sealant updatekeys FILE`.",
            ));
        }
        let wish =
            Wish { allow: by_name(&self.args.allow_recipient, &self.context.names()), ..Wish::default() };
        let recipients = Recipients::new(self.context, wish)?;
        let format = file.document.format();
        let before = sealed_secret::manifests(&file.unseal(keys)?, format)?;
        self.session(path, &before, snapshot, &|edited| {
            let edited = sealed_secret::secrets(&*document::parse(format, edited, false)?)?;
            let new_key = |sealed: &SealedSecret| {
                self.claims.refuse_other_place(path, sealed)?;
                // All that is in it was opened; where nothing is, nothing shows where it belongs.
                let is_known = !sealed.spec.encrypted_data.is_empty();
                let set = |flags: &str| format!("sealant set {flags} --value-stdin {} ITEM", typed(path));
                self.claims.refuse_unnamed_place(path, sealed, Pin::default(), is_known, &set)?;
                let keys = recipients.of(KeyedPart::Sealed(sealed), Some(path), path)?;
                copies::refuse_readers(self.context, path, file, &keys)?;
                block_on(NewDataKey::make(&self.service, &[&keys])).pop().unwrap_or_else(|| Err(no_answer()))
            };
            encrypted_file::write_sealed(file, &sealed_secret::adopt_all(file, keys, &edited, &new_key)?)
        })
    }

    /// The folder of a new file, if it is to be made. sops makes none.
    fn missing_folder<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
        (!self.context.is_sops() && folder.symlink_metadata().is_err()).then_some(folder)
    }

    /// A file that does not exist yet is encrypted as `encrypt` would do it.
    fn new_file(&self, input: &Input, path: &Path) -> Result<Edited> {
        self.refuse_misspelt(path)?;
        let keys = self.args.keys.using(&self.args.aws, self.context);
        let encrypt = Encrypt::new(self.context, self.formats, &keys, &self.args.rules)?;
        let format = self.formats.of_input(Some(path));
        let prepare = |bytes: SecretBytes| {
            let source = Source { path: path.to_path_buf(), format, bytes, snapshot: Snapshot::absent() };
            encrypt.plain(Item { input: input.clone(), source })
        };
        let text = |text: &str| SecretBytes::new(text.as_bytes().to_vec());

        // If no recipients are named, people want to know that before the work, not after it.
        let example = text(document::example(format));
        let recipe = prepare(example.clone())?.recipe;
        let is_kubernetes = format == Format::Yaml && recipe.selection == Selection::kubernetes();
        let example = if is_kubernetes { text(document::KUBERNETES_EXAMPLE) } else { example };
        self.session(path, &example, &Snapshot::absent(), &|edited| {
            let now = self.context.host.now();
            let encrypted = block_on(batch::encrypt(&self.service, &[prepare(edited)?], now)).pop();
            let encrypted = encrypted.unwrap_or_else(|| Err(no_answer()))?;
            if let Some(folder) = self.missing_folder(path) {
                fs::create_folders(folder, Mode::Public)?;
                self.context.ui.note(format!("made the folder {}", folder.display()));
            }
            Ok(encrypted)
        })
    }

    /// A name that ends like no type, beside a file of nearly that name, is a slip; two names of one type need not be.
    fn refuse_misspelt(&self, path: &Path) -> Result<()> {
        if self.context.is_sops() {
            return Ok(());
        }
        let Some(other) = fs::meant(path) else { return Ok(()) };
        let (format, meant) = (self.formats.of_input(Some(path)), self.formats.of_input(Some(&other)));
        let (file, other) = (typed(path), typed(&other));
        if format == Format::Binary && meant != Format::Binary {
            return Err(Error::new(Kind::NoFile, "no such file").in_file(path).advise(format!(
                "Did you mean `sealant edit {other}`? To make a new file of that name: `sealant edit --input-type {meant} {file}`"
            )));
        }
        let host = self.context.host;
        if host.can_ask()
            && !host.confirm(&format!("{file} is new, and {other} is there. Make a new file?"))?
        {
            return Err(Error::new(Kind::NoFile, "no such file")
                .in_file(path)
                .advise(format!("The other one: `sealant edit {other}`")));
        }
        Ok(())
    }

    /// Has a person edit a text until it can be encrypted and written.
    fn session(
        &self,
        path: &Path,
        before: &SecretBytes,
        snapshot: &Snapshot,
        encrypt: Encryption,
    ) -> Result<Edited> {
        self.session.run(path, before, snapshot, encrypt)
    }

    fn warn(&self, path: &Path, warnings: &[String]) {
        self.session.warn(path, warnings);
    }
}
