use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use crate::batch::{self, Opened, Source};
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input, KeyArgs, RuleArgs};
use crate::cli::change::refuse_conversion;
use crate::cli::encrypt::Encrypt;
use crate::cli::pipeline::{self, Item};
use crate::cli::recipients::Recipients;
use crate::cli::{Context, Failures, block_on, editor};
use crate::config::Selection;
use crate::document::{self, Format, MAX_BINARY};
use crate::encrypted_file::{self, Holder, OpenedFile, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Lock, Mode, PrivateDir, Snapshot};
use crate::host::{Command, Host};
use crate::keys::KeyService;
use crate::rekey::Wish;
use crate::sealed_secret::{self, NewDataKey, OpenedKeys, SealedFile, SealedSecret};
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{Ciphertext, Encrypted, MacCheck};

/// An editor that comes back sooner has hardly been read by anybody.
const GLANCE: Duration = Duration::from_millis(500);

/// Open files decrypted in an editor, and encrypt what changed
///
/// The editor is $SOPS_EDITOR, else $EDITOR, else vim, nano or vi. A file that does not exist yet begins with an
/// example. Nothing is written when nothing was changed; the exit code is 200 then. A SealedSecret is shown as the Secret
/// that it makes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant edit secrets.enc.yaml
  EDITOR='code --wait' sealant edit secrets.enc.yaml")]
pub struct Args {
    /// The files to edit, one after the other
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// Show the metadata too, recipients among them
    #[arg(short, long)]
    pub(super) show_master_keys: bool,

    /// Go on when the MAC does not match: the file is not what was encrypted
    #[arg(long)]
    pub(super) ignore_mac: bool,

    /// For SealedSecrets: keep this recipient, though the creation rule does not name it; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    pub(super) allow_recipient: Vec<String>,

    #[command(flatten)]
    pub(super) formats: FormatArgs,

    #[command(flatten)]
    pub(super) identities: IdentityArgs,

    #[command(flatten)]
    pub(super) keys: KeyArgs,

    #[command(flatten)]
    pub(super) rules: RuleArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let edit = Edit {
        context,
        args: &args,
        formats: args.formats.formats(context.ui),
        editor: editor::find(context.host)?,
        service: args.identities.key_service(context.host)?,
    };
    let mut failures = Failures::default();
    let mut any_written = false;
    for file in &args.files {
        match edit.file(file) {
            Ok(Outcome::Written) => any_written = true,
            Ok(Outcome::Unchanged) => {}
            Err(error) => failures.add(context.ui, &error.in_file(file)),
        }
    }
    if any_written || !failures.is_empty() {
        return Ok(failures.exit_code());
    }
    Ok(Kind::NotModified.exit_code().into())
}

/// What became of a file.
enum Outcome {
    Written,
    Unchanged,
}

/// Makes a file of what was edited.
type Encryption<'a> = &'a dyn Fn(SecretBytes) -> Result<Ciphertext>;

struct Edit<'a> {
    context: &'a Context<'a>,
    args: &'a Args,
    formats: Formats,
    editor: Command,
    service: KeyService<'a>,
}

impl Edit<'_> {
    fn file(&self, path: &Path) -> Result<Outcome> {
        let input = Input::of(path);
        if input.path.is_none() {
            return Err(Error::new(Kind::Conflict, "standard input cannot be edited").advise("Name a file."));
        }
        refuse_conversion(self.formats, self.formats.of_input(Some(path)))?;
        if !path.is_dir() {
            fs::check_writable(path)?;
        }
        match pipeline::read(&input, self.formats) {
            Err(error) if error.kind() == Kind::NoFile => self.new_file(&input, path),
            source => self.encrypted(source?),
        }
    }

    fn encrypted(&self, source: Source) -> Result<Outcome> {
        let Opened { path, snapshot, file } = block_on(batch::open_one(&self.service, source))?;
        match file {
            OpenedFile::Document(file, key) => self.document(&path, &snapshot, &file, &key),
            OpenedFile::Sealed(file, keys) => self.sealed(&path, &snapshot, &file, &keys),
        }
    }

    fn document(&self, path: &Path, snapshot: &Snapshot, file: &Encrypted, key: &DataKey) -> Result<Outcome> {
        let with_metadata = self.args.show_master_keys;
        if with_metadata && file.format() == Format::Binary {
            return Err(Error::new(
                Kind::Conflict,
                "a binary file cannot be shown together with its metadata",
            )
            .advise("Leave --show-master-keys out."));
        }
        let check = if self.args.ignore_mac { MacCheck::Ignore } else { MacCheck::Verify };
        let before = if with_metadata {
            SecretBytes::new(file.open(key, check)?.source().as_bytes().to_vec())
        } else {
            let plaintext = file.decrypt(key, check)?;
            self.warn(path, &plaintext.warnings);
            plaintext.bytes
        };
        self.session(path, &before, snapshot, &|edited| {
            let (document, metadata) = if with_metadata {
                file.adopt_with_metadata(edited)?
            } else {
                (file.adopt(edited)?, file.metadata.clone())
            };
            file.write(&*document, metadata, key, None, self.context.host.now())
        })
    }

    /// SealedSecrets are shown as the Secrets that they make. What is changed gets a new data key.
    fn sealed(
        &self,
        path: &Path,
        snapshot: &Snapshot,
        file: &SealedFile,
        keys: &[OpenedKeys],
    ) -> Result<Outcome> {
        if self.args.show_master_keys {
            let error =
                Error::new(Kind::Conflict, "a SealedSecret cannot be edited together with its recipients");
            return Err(
                error.advise("See them with `sealant inspect`, change them with `sealant updatekeys`.")
            );
        }
        let wish = Wish { allow: self.args.allow_recipient.clone(), ..Wish::default() };
        let recipients = Recipients::new(self.context, wish)?;
        let format = file.document.format();
        let before = sealed_secret::manifests(&file.unseal(keys)?, format)?;
        self.session(path, &before, snapshot, &|edited| {
            let edited = sealed_secret::secrets(&*document::parse(format, edited, false)?)?;
            let new_key = |sealed: &SealedSecret| {
                let keys = recipients.of(Holder::Sealed(sealed), Some(path), path)?;
                block_on(NewDataKey::make(&self.service, &[&keys])).pop().unwrap_or_else(|| Err(no_answer()))
            };
            encrypted_file::write_sealed(file, &sealed_secret::adopt_all(file, keys, &edited, &new_key)?)
        })
    }

    /// A file that does not exist yet is encrypted as `encrypt` would do it.
    fn new_file(&self, input: &Input, path: &Path) -> Result<Outcome> {
        let encrypt = Encrypt::new(self.context, self.formats, &self.args.keys, &self.args.rules)?;
        let format = self.formats.of_input(Some(path));
        let prepare = |bytes: SecretBytes| {
            let source = Source { path: path.to_path_buf(), format, bytes, snapshot: Snapshot::absent() };
            let plain = encrypt.prepare(Item { input: input.clone(), source })?;
            plain.ok_or_else(|| Error::new(Kind::Other, "no creation rule is for this file"))
        };
        let text = |text: &str| SecretBytes::new(text.as_bytes().to_vec());

        // That nobody says for whom is better known before the work than after it.
        let example = text(document::example(format));
        let recipe = prepare(example.clone())?.recipe;
        let is_kubernetes = format == Format::Yaml && recipe.selection == Selection::kubernetes();
        let example = if is_kubernetes { text(document::KUBERNETES_EXAMPLE) } else { example };
        self.session(path, &example, &Snapshot::absent(), &|edited| {
            let now = self.context.host.now();
            let encrypted = block_on(batch::encrypt(&self.service, &[prepare(edited)?], now)).pop();
            encrypted.unwrap_or_else(|| Err(Error::new(Kind::Other, "the key service gave no answer")))
        })
    }

    /// Has a person edit a text until it can be encrypted and written.
    fn session(
        &self,
        path: &Path,
        before: &SecretBytes,
        snapshot: &Snapshot,
        encrypt: Encryption,
    ) -> Result<Outcome> {
        let folder = PrivateDir::new(self.context.host)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let plain = folder.create(&name, before)?;
        loop {
            let time = self.run_editor(&plain)?;
            let edited = fs::read(&plain, MAX_BINARY as u64).map_err(|error| {
                Error::new(Kind::NoEditor, "the editor left no file that can be read; nothing was changed")
                    .caused_by(error.message().to_owned())
            })?;
            if edited == *before {
                folder.close()?;
                self.tell_unchanged(path, time);
                return Ok(Outcome::Unchanged);
            }
            let encrypted = match encrypt(edited) {
                Ok(encrypted) => encrypted,
                Err(error) => {
                    self.ask_to_go_on(error.in_file(path))?;
                    continue;
                }
            };
            match write(path, &encrypted, snapshot, self.context) {
                Ok(()) => {
                    folder.close()?;
                    self.warn(path, &encrypted.warnings);
                    self.context.ui.say(format!("{}: encrypted and written", path.display()));
                    return Ok(Outcome::Written);
                }
                Err(error) => match keep_beside(path, &encrypted) {
                    Ok(kept) => return Err(error.advise(what_was_kept(path, &kept))),
                    Err(_) => self.ask_to_go_on(error)?,
                },
            }
        }
    }

    fn run_editor(&self, file: &Path) -> Result<Duration> {
        let mut command = self.editor.clone();
        command.args.push(file.into());
        let failed = |why: String| {
            Error::new(Kind::NoEditor, format!("the editor `{}` {why}", command.program.display()))
                .advise("The file is as it was.")
        };
        let since = Instant::now();
        let ended = self.context.host.run_in_front(&command);
        let status = ended.map_err(|error| failed("cannot be started".to_owned()).caused_by(error))?;
        if !status.success() {
            return Err(failed(how_it_ended(status)));
        }
        Ok(since.elapsed())
    }

    /// Tells what is wrong and waits for the person; an error when there is none, or when it is given up.
    fn ask_to_go_on(&self, error: Error) -> Result<()> {
        let Context { ui, host, .. } = self.context;
        if !host.can_ask() {
            ui.note("there is no terminal to ask on: what was edited is gone, the file is as it was");
            return Err(error);
        }
        ui.error(&error);
        let mut question = "Press Enter to go back to the editor, or n to leave the file as it was";
        loop {
            match host.ask_line(question)?.trim().to_lowercase().as_str() {
                "" | "y" | "yes" => return Ok(()),
                "n" | "no" => return Err(Error::new(error.kind(), "given up: the file is as it was")),
                _ => question = "Enter or y goes back to the editor, n leaves the file as it was",
            }
        }
    }

    fn tell_unchanged(&self, path: &Path, time: Duration) {
        let ui = self.context.ui;
        ui.say(format!("{}: nothing was changed", path.display()));
        if time < GLANCE {
            ui.note("the editor came back at once. Some need an option to wait, as in EDITOR='code --wait'");
        }
    }

    fn warn(&self, path: &Path, warnings: &[String]) {
        for warning in warnings {
            self.context.ui.warning(format!("{}: {warning}", path.display()));
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with {code}"),
        None => "was stopped by a signal".to_owned(),
    }
}

fn write(path: &Path, file: &Ciphertext, snapshot: &Snapshot, context: &Context) -> Result<()> {
    let _lock = Lock::exclusive(path)?;
    pipeline::replace(path, &file.bytes, snapshot, context)
}

/// Saves a person's work where it is in nobody's way, under a name of the same type that is still free.
fn keep_beside(path: &Path, file: &Ciphertext) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mark = |mark: &str| match name.rsplit_once('.') {
        Some((stem, extension)) => path.with_file_name(format!("{stem}.{mark}.{extension}")),
        None => path.with_file_name(format!("{name}.{mark}")),
    };
    let mut names = (1..).map(|n| if n == 1 { mark("edited") } else { mark(&format!("edited-{n}")) });
    let kept = names.find(|name| !name.exists()).unwrap_or_default();
    fs::write_atomic_if_unchanged(&kept, &file.bytes, Mode::Public, &Snapshot::absent())?;
    Ok(kept)
}

fn what_was_kept(path: &Path, kept: &Path) -> String {
    let (path, kept) = (path.display(), kept.display());
    format!("What you edited is in {kept}, encrypted. See what differs with `sealant diff {path} {kept}`.")
}
