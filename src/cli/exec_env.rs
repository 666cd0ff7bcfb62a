use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::batch;
use crate::cli::args::{FormatArgs, IdentityArgs, Input};
use crate::cli::{Context, block_on, child, pipeline};
use crate::error::Result;

/// Run a command with the values of a file in its environment
///
/// Of a YAML stream it is the first document. Its values must not be nested.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant exec-env app.enc.env 'npm start | tee log'
  sealant exec-env app.enc.env -- npm start       # without a shell
  sealant exec-env --pristine app.enc.env env")]
pub struct Args {
    /// The encrypted file
    pub(super) file: PathBuf,

    /// What to run: one argument is a line for /bin/sh, several are a program and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    pub(super) command: Vec<OsString>,

    /// Give the command no other environment
    #[arg(long)]
    pub(super) pristine: bool,

    /// Become the command instead of starting it
    #[arg(long)]
    pub(super) same_process: bool,

    /// Run the command as this user
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,

    #[command(flatten)]
    pub(super) formats: FormatArgs,

    #[command(flatten)]
    pub(super) identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut command = child::command(&args.command, None);
    if let Some(user) = &args.user {
        let (uid, gid) = child::user(user)?;
        command.uid(uid).gid(gid);
    }
    if args.pristine {
        command.env_clear();
    }

    let input = Input::of(&args.file);
    let service = args.identities.key_service(context.host)?;
    let source = pipeline::read(&input, args.formats.input_only(context.ui)?)?;
    let opened = block_on(batch::open_document(&service, source))?;
    let variables = opened.file.variables(&opened.key).map_err(|error| error.in_file(input.shown()))?;
    for (name, value) in variables {
        command.env(name, OsStr::from_bytes(&value));
    }

    if args.same_process {
        let error = command.exec();
        return Err(child::cannot_start(&command, error));
    }
    child::run(command)
}
