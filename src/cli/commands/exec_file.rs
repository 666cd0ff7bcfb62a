use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::batch;
use crate::cli::args::{FormatArgs, IdentityArgs, Input};
use crate::cli::child::Account;
use crate::cli::commands::decrypt::losses;
use crate::cli::context::{Context, block_on};
use crate::cli::{child, pipeline};
use crate::document;
use crate::error::{Error, Kind, Result};
use crate::fs::{Nameless, PrivateDir};
use crate::sops::MacCheck;

/// What the decrypted file is called if nobody says, as in sops.
pub const DEFAULT_NAME: &str = "tmp-file";

/// Run a command with a decrypted file that is not on disk
///
/// The command gets the path of a named pipe, which it can read once, from front to back. The pipe is removed when
/// the command ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant exec-file kubeconfig.enc.yaml 'kubectl --kubeconfig {} get pods'
  sealant exec-file kubeconfig.enc.yaml -- kubectl --kubeconfig {} get pods
  sealant exec-file --no-fifo --filename app.json app.enc.json 'app -c {}'")]
pub struct Args {
    /// The encrypted file
    pub file: PathBuf,

    /// What to run; {} is the path of the decrypted file. One argument is a line for /bin/sh, several are a program
    /// and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,

    /// Use a file instead of a pipe, in memory if possible: for programs that read it twice or seek in it
    #[arg(long)]
    pub no_fifo: bool,

    /// Give the decrypted file this name
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME, hide_default_value = true)]
    pub filename: PathBuf,

    /// Run the command as this user, with their groups, HOME, USER and LOGNAME: the file is theirs alone
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// For sops's command line alone: a shell does it with ` &`.
    #[arg(skip)]
    pub background: bool,

    #[command(flatten)]
    pub formats: FormatArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let name = plain_name(&args.filename)?;
    child::refuse_command_first("exec-file", &args.file, &args.command)?;
    if !args.command.iter().any(|word| word.to_string_lossy().contains("{}")) {
        context.ui.note("the command does not contain {}, which stands for the decrypted file");
    }
    let account = args.user.as_deref().map(Account::named).transpose()?;
    let input = Input::of(&args.file);
    let formats = args.formats.formats(context);
    let service = args.identities.key_service(context)?;
    let opened = block_on(batch::open_document(
        &service,
        pipeline::as_taken(pipeline::read(&input, formats)?, context),
    ))?;
    let in_file = |error: Error| error.in_file(input.shown());
    let format = opened.file.format();
    let wanted = formats.of_result(format, input.name.as_deref(), context.dialect);
    let plaintext = if wanted == format {
        opened.file.decrypt(&opened.key, MacCheck::Verify).map_err(in_file)?.bytes
    } else {
        let plaintext = opened.file.decrypt_to_convert(&opened.key, MacCheck::Verify).map_err(in_file)?.bytes;
        let document = document::parse_any(format, plaintext, false).map_err(in_file)?;
        document::convert(&*document, wanted, losses(context)).map_err(in_file)?
    };

    if args.background {
        return in_background(&args.command, &plaintext, account.as_ref());
    }

    let folder = PrivateDir::new_for(context.host, account.as_ref().map(Account::reader))?;
    let (path, _fifo) = if args.no_fifo {
        if !folder.is_in_memory() {
            context
                .ui
                .note("the decrypted file cannot be kept in memory: it is on disk until the command ends");
        }
        (folder.create(name, &plaintext)?, None)
    } else {
        let fifo = folder.create_fifo(name, plaintext)?;
        (fifo.path().to_path_buf(), Some(fifo))
    };
    let command = command(&args.command, &path, account.as_ref());
    let ended = child::run(command, account.as_ref(), None);
    folder.close()?;
    ended.map(|status| child::code_of(status, context.dialect))
}

fn command(words: &[OsString], path: &Path, account: Option<&Account>) -> Command {
    let mut command = child::command(words, Some(path.as_os_str()));
    child::in_the_name_of(&mut command, account);
    command
}

/// Starts a command that outlives us. Its file has no name that could be left behind: it is gone when nobody has it open
/// any more.
fn in_background(words: &[OsString], plaintext: &[u8], account: Option<&Account>) -> Result<ExitCode> {
    let file = Nameless::new(plaintext)?;
    child::start(command(words, file.path(), account), account)?;
    Ok(ExitCode::SUCCESS)
}

/// A name that leads into no other folder.
fn plain_name(name: &Path) -> Result<&str> {
    let mut parts = name.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) => only.to_str(),
        _ => None,
    }
    .ok_or_else(|| {
        Error::new(Kind::Conflict, format!("--filename {}: this is not a plain file name", name.display()))
    })
}
