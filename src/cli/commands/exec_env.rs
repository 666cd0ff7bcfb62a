use std::ffi::OsString;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::args::{FormatArgs, IdentityArgs};
use crate::cli::child;
use crate::cli::child::Account;
use crate::cli::context::Context;
use crate::cli::redact::{Forms, Redactor, SHORTEST};
use crate::cli::variables::{self, Dangerous, Variable};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::os;
use crate::shown::{self, typed};

/// Run a command with the values of a file as variables
///
/// Values must not be nested. Of a YAML stream only the first document counts.
///
/// Variables that make a loader, a shell or a language run code, such as LD_PRELOAD, PATH, BASH_ENV and NODE_OPTIONS,
/// are refused unless --allow-env names them: otherwise anybody who can write the file could run any code. So are
/// proxies and certificates, such as HTTPS_PROXY and SSL_CERT_FILE, which could expose what the command sends; and
/// VAULT_ADDR in a file without VAULT_TOKEN, which would send your token there. docs/sops.md lists them.
///
/// --redact and --mask recognize a value as it is, each of its lines, and its forms in base64, in a URL and in JSON.
/// Values of fewer than four bytes appear in any text, so they are left alone, with a warning.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant exec-env app.enc.env 'npm start | tee log'
  sealant exec-env app.enc.env -- npm start       # without a shell
  sealant exec-env --pristine app.enc.env env
  sealant exec-env --file local.enc.env app.enc.env npm start    # of both files
  sealant exec-env --only DB_USER,DB_PASSWORD app.enc.env psql
  sealant exec-env --redact app.enc.env ./deploy.sh     # no values in its log
  sealant exec-env --mask github app.enc.env ./deploy.sh   # in all of the job's")]
pub struct Args {
    /// The encrypted file
    pub file: PathBuf,

    /// What to run: one argument is a line for /bin/sh, several are a program and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,

    /// Also read this file, after the others: of two variables of one name the last counts; may be repeated
    #[arg(long = "file", value_name = "FILE")]
    pub more_files: Vec<PathBuf>,

    /// Pass on only these variables, by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Pass this variable on, though it can make programs run code, or send data elsewhere; may be repeated
    #[arg(long, value_name = "NAME")]
    pub allow_env: Vec<String>,

    /// Give the command no other variables
    #[arg(long)]
    pub pristine: bool,

    /// Become the command instead of starting it
    #[arg(long)]
    pub same_process: bool,

    /// Replace the values with `[redacted]` in the command's output
    ///
    /// Its standard output and error are then pipes, not a terminal. What it writes elsewhere does not change.
    #[arg(long, conflicts_with = "same_process")]
    pub redact: bool,

    /// Before the command starts, tell the CI system to mask the values in the job's log from now on
    ///
    /// They are printed to standard output, in plaintext, and only a runner of GitHub Actions removes that from the
    /// log: so this is refused unless GITHUB_ACTIONS is `true`.
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub mask: Option<Mask>,

    /// Run the command as this user, with their groups, HOME, USER and LOGNAME
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

/// Who can be told to mask values while a job runs. GitLab cannot: there, use --redact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mask {
    Github,
}

const GITHUB: &str = "GITHUB_ACTIONS";

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if args.mask == Some(Mask::Github) && context.host.env(GITHUB).is_none_or(|value| value != "true") {
        return Err(Error::new(
            Kind::Conflict,
            "--mask github prints the values, and this is not a GitHub Actions job",
        )
        .advise(format!("Use --redact here. A runner that understands `::add-mask::` sets {GITHUB}=true.")));
    }
    let mut command = child::command(&args.command, None);
    let account = args.user.as_deref().map(Account::named).transpose()?;
    if args.pristine {
        command.env_clear();
    }
    child::in_the_name_of(&mut command, account.as_ref());

    let files: Vec<&Path> = iter::once(&args.file).chain(&args.more_files).map(PathBuf::as_path).collect();
    child::refuse_command_first("exec-env", &args.file, &args.command)?;
    refuse_second_file(&args)?;
    let formats = args.formats.input_only(context)?;
    let variables = variables::read(&files, &args.only, formats, &args.identities, context)?;
    refuse_dangerous(&args, &variables, context)?;
    let redactor = hide(&args, &variables, context)?;
    for Variable { name, value, .. } in &variables {
        let value = os::value_of(value).ok_or_else(|| {
            Error::new(
                Kind::Conflict,
                format!("the value of {name} is not UTF-8, and no variable can hold it here"),
            )
        })?;
        command.env(name, value);
    }

    if args.same_process {
        return Err(child::replace_us(command, account.as_ref()));
    }
    if args.background {
        return child::start(command, account.as_ref()).map(|()| ExitCode::SUCCESS);
    }
    child::run(command, account.as_ref(), redactor).map(|status| child::code_of(status, context.dialect))
}

/// Answers those who name a second file where the command has to be.
fn refuse_second_file(args: &Args) -> Result<()> {
    let Some(second) = args.command.first().map(Path::new).filter(|_| args.command.len() > 1) else {
        return Ok(());
    };
    if !child::is_encrypted(second.as_os_str()) {
        return Ok(());
    }
    let command: Vec<String> = args.command[1..].iter().map(|word| shown::word(word)).collect();
    Err(Error::new(Kind::Usage, "is an encrypted file, where the command should be").in_file(second).advise(
        format!(
            "To read both: `sealant exec-env --file {} {} {}`",
            typed(second),
            typed(&args.file),
            command.join(" ")
        ),
    ))
}

/// Refuses variables that decide what code is run, or who gets what is sent, but for those that are named. sops takes them
/// all.
fn refuse_dangerous(args: &Args, variables: &[Variable], context: &Context) -> Result<()> {
    let dangerous = Dangerous::among(variables, &args.allow_env, context.host);
    let Some(error) = dangerous.error() else { return Ok(()) };
    if context.is_sops() {
        context.ui.warning(error);
        return Ok(());
    }
    let flags: String = dangerous
        .all()
        .map(|variable| format!(" --allow-env {}", typed(Path::new(&variable.name))))
        .collect();
    Err(error.advise(format!(
        "If that is what the file is for: `sealant exec-env{flags} {} COMMAND`.",
        typed(&args.file)
    )))
}

/// Does what is asked for to keep the values out of a log.
fn hide(args: &Args, variables: &[Variable], context: &Context) -> Result<Option<Redactor>> {
    if !args.redact && args.mask.is_none() {
        return Ok(None);
    }
    let short = variables.iter().filter(|variable| (1..SHORTEST).contains(&variable.value.len()));
    let short: Vec<&str> = short.map(|variable| variable.name.as_str()).collect();
    if !short.is_empty() {
        let (count, names) = (SHORTEST, short.join(", "));
        context.ui.warning(format!(
            "not redacted, because values of fewer than {count} bytes appear in any text: {names}"
        ));
    }
    let forms = Forms::of(variables.iter().map(|variable| &variable.value));
    if args.mask.is_some() {
        context.ui.out(&forms.github_masks())?;
    }
    args.redact.then(|| forms.redactor()).transpose()
}
