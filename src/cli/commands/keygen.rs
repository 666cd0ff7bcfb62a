use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::args::Input;
use crate::cli::context::Context;
use crate::cli::pipeline;
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode, Snapshot};
use crate::host::Host;
use crate::keys::{self, Identities, NewIdentity, Recipient};
use crate::os;
use crate::repo::git::{Git, changes};
use crate::secret::{SecretBytes, SecretString};

/// Below this many characters a passphrase is guessed, though scrypt makes each guess slow.
const SHORT_PASSPHRASE: usize = 10;

/// An identity file is small.
const LARGEST_FILE: usize = 16 << 20;

/// Make an age identity, or print the recipient of one
///
/// The identity, the private half, goes to standard output or into a file that only you can read. The recipient, its
/// public half, is what others encrypt for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant keygen --default             # where sealant and sops look for it
  sealant keygen -o break-glass.txt
  sealant keygen -o break-glass.txt --passphrase
  sealant keygen -y                    # print your own recipients
  sealant keygen -y break-glass.txt    # print those of a file")]
pub struct Args {
    /// Write to this file, which must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Add the identity to your own, in $XDG_CONFIG_HOME/sops/age/keys.txt
    #[arg(long, conflicts_with_all = ["output", "recipients"])]
    default: bool,

    /// Make a post-quantum hybrid identity, which needs sops 3.12 or later
    #[arg(long, conflicts_with = "recipients")]
    pq: bool,

    /// Encrypt the identity with a passphrase, which is asked for
    #[arg(long, conflicts_with_all = ["default", "recipients"])]
    passphrase: bool,

    /// Print the recipients of the identities in FILE, or of your own
    #[arg(short = 'y', long)]
    recipients: bool,

    /// With -y: a file of identities, or `-` for standard input (default: piped input, or else your own)
    #[arg(value_name = "FILE", requires = "recipients")]
    input: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if args.recipients {
        print_recipients(&args, context)?;
    } else if args.default {
        let (path, recipient) = add_to_default_file(context.host, args.pq)?;
        context.ui.say(format!("Identity added to {}", path.display()));
        context.ui.say(format!("Public key: {recipient}"));
    } else {
        print_identity(&args, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_identity(args: &Args, context: &Context) -> Result<()> {
    if let Some(path) = &args.output {
        pipeline::refuse_outside(path, context)?;
        refuse_to_overwrite(path)?;
    }
    let NewIdentity { recipient, file } = keys::generate_identity(args.pq, context.host.now());
    let file = match args.passphrase {
        true => keys::lock_identity(&file, &new_passphrase(context)?)?,
        false => file,
    };
    match &args.output {
        Some(path) => {
            fs::write_atomic_if_unchanged(path, file.as_bytes(), Mode::Private, &Snapshot::absent())?;
            warn_of_git(path, context);
        }
        None => {
            if os::stdout_is_open_to_others() {
                context.ui.warning("others can read the file that the identity is written to: use -o FILE");
            }
            context.ui.out(file.as_bytes())?;
            if io::IsTerminal::is_terminal(&io::stdout()) {
                context.ui.note("it is saved nowhere; `sealant keygen --default` adds one to your own, -o FILE writes a file");
            }
        }
    }
    // On a terminal it was just shown, as a comment of the file.
    if args.output.is_some() || args.passphrase || !io::IsTerminal::is_terminal(&io::stdout()) {
        context.ui.say(format!("Public key: {recipient}"));
    }
    Ok(())
}

/// Warns of an identity that `git add .` would take.
fn warn_of_git(path: &Path, context: &Context) {
    let is_taken =
        |git: &Git, name: PathBuf| changes::untracked(git, &[name]).is_ok_and(|files| !files.is_empty());
    // Where there is no repository, there is nothing to warn of.
    if Git::of_file(context.host, path).is_ok_and(|(git, name)| is_taken(&git, name)) {
        let shown = path.display();
        context.ui.warning(format!(
            "{shown} is in a Git repository, and `git add .` would take it: move it out of there, or add it to .gitignore"
        ));
    }
}

/// A passphrase that was typed twice.
fn new_passphrase(context: &Context) -> Result<SecretString> {
    let passphrase = context.host.ask_passphrase("Passphrase of the new identity")?;
    if passphrase.is_empty() {
        return Err(Error::new(Kind::Usage, "the passphrase is empty"));
    }
    if passphrase.chars().count() < SHORT_PASSPHRASE {
        context.ui.warning("whoever gets the file guesses a passphrase this short: take several words");
    }
    match *context.host.ask_passphrase("Repeat it")? == *passphrase {
        true => Ok(passphrase),
        false => Err(Error::new(Kind::Usage, "the two passphrases differ: no identity was made")),
    }
}

/// The recipients of a file, of what is piped in, or of the person's own identities.
fn recipients(args: &Args, context: &Context) -> Result<Vec<String>> {
    let path = args.input.clone().filter(|path| path != Path::new("-"));
    let input = Input { name: path.clone(), path, named: true };
    let is_open = args.input.is_some() || !io::IsTerminal::is_terminal(&io::stdin());
    let content = if is_open { input.read(LARGEST_FILE)? } else { SecretBytes::default() };
    if args.input.is_none() && content.is_empty() {
        return own_recipients(context);
    }
    let recipients = keys::recipients_of(&content, &input.shown().to_string_lossy(), context.host)?;
    Ok(recipients.iter().map(ToString::to_string).collect())
}

fn own_recipients(context: &Context) -> Result<Vec<String>> {
    let sources = Identities::none().with_user_sources(context.host).survey(context.host);
    let mut recipients: Vec<String> = Vec::new();
    for recipient in sources.into_iter().flat_map(|source| source.recipients) {
        if !recipients.contains(&recipient) {
            recipients.push(recipient);
        }
    }
    match recipients.is_empty() {
        false => Ok(recipients),
        true => Err(Error::new(Kind::NoFile, "you have no identity yet")
            .advise("Make one: `sealant keygen --default`. To read one that is elsewhere, name its file.")),
    }
}

fn print_recipients(args: &Args, context: &Context) -> Result<()> {
    let recipients = recipients(args, context)?;
    let text: String = recipients.iter().map(|recipient| format!("{recipient}\n")).collect();
    match &args.output {
        Some(path) => {
            pipeline::refuse_outside(path, context)?;
            refuse_to_overwrite(path)?;
            fs::write_atomic_if_unchanged(path, text.as_bytes(), Mode::Public, &Snapshot::absent())
        }
        None => context.ui.out(text.as_bytes()),
    }
}

/// Where sops looks for a person's own identities.
pub fn default_file(host: &dyn Host) -> Result<PathBuf> {
    let folder = host.config_dir().ok_or_else(|| {
        Error::new(Kind::Other, "there is no folder for your identities: HOME is not set")
            .advise("Set HOME, or write the identity to another place with `sealant keygen -o FILE`.")
    })?;
    Ok(folder.join("sops/age/keys.txt"))
}

/// Makes an identity and adds it to a person's own.
pub fn add_to_default_file(host: &dyn Host, post_quantum: bool) -> Result<(PathBuf, Recipient)> {
    let path = default_file(host)?;
    let NewIdentity { recipient, file } = keys::generate_identity(post_quantum, host.now());
    let (content, before) = match fs::read(&path, LARGEST_FILE as u64) {
        Ok(before) => (appended(&path, &before, file.as_bytes())?, Snapshot::of(&before)),
        Err(error) if error.kind() == Kind::NoFile => {
            fs::create_folders(path.parent().unwrap_or(&path), Mode::Private)?;
            (SecretBytes::new(file.as_bytes().to_vec()), Snapshot::absent())
        }
        Err(error) => return Err(error),
    };
    fs::write_atomic_if_unchanged(&path, &content, Mode::Private, &before)?;
    Ok((path, recipient))
}

fn appended(path: &Path, before: &[u8], identity: &[u8]) -> Result<SecretBytes> {
    let start = before.trim_ascii_start();
    if start.starts_with(b"age-encryption") || start.starts_with(b"-----BEGIN") {
        return Err(Error::new(
            Kind::Conflict,
            "is encrypted, or not a list of identities: nothing can be added",
        )
        .in_file(path)
        .advise(
            "Write the identity to another file with -o FILE, and name that file in SOPS_AGE_KEY_FILE.",
        ));
    }
    let line_end: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
    Ok(SecretBytes::new([before, line_end, identity].concat()))
}

fn refuse_to_overwrite(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Error::new(Kind::Write, "already exists, and is not overwritten: it may hold an identity")
        .in_file(path)
        .advise("Choose another name, or move the file away first."))
}
