mod loaders;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::batch;
use crate::cli::args::{FormatArgs, IdentityArgs, Input};
use crate::cli::child::Account;
use crate::cli::context::{Context, block_on};
use crate::cli::redact::{Forms, Redactor, SHORTEST};
use crate::cli::{child, pipeline};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretBytes;
use crate::shown::typed;
use loaders::{is_detour, is_loader, leads_tokens_away};

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
  sealant exec-env --redact app.enc.env ./deploy.sh          # its log shows no values
  sealant exec-env --mask github app.enc.env ./deploy.sh     # nor does the rest of the job's")]
pub struct Args {
    /// The encrypted file
    pub file: PathBuf,

    /// What to run: one argument is a line for /bin/sh, several are a program and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,

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

    let input = Input::of(&args.file);
    let service = args.identities.key_service(context)?;
    let source = pipeline::as_taken(pipeline::read(&input, args.formats.input_only(context)?)?, context);
    let opened = block_on(batch::open_document(&service, source))?;
    let variables = opened.file.variables(&opened.key).map_err(|error| error.in_file(input.shown()))?;
    refuse_loaders(&args, &variables, context)?;
    let redactor = hide(&args, &variables, context)?;
    for (name, value) in variables {
        command.env(name, OsStr::from_bytes(&value));
    }

    if args.same_process {
        return Err(child::replace_us(command, account.as_ref()));
    }
    if args.background {
        return child::start(command, account.as_ref()).map(|()| ExitCode::SUCCESS);
    }
    child::run(command, account.as_ref(), redactor).map(|status| child::code_of(status, context.dialect))
}

/// Refuses variables that decide what code is run, or who gets what is sent, but for those that are named. sops takes them
/// all.
fn refuse_loaders(args: &Args, variables: &[(String, SecretBytes)], context: &Context) -> Result<()> {
    let has = |wanted: &str| variables.iter().any(|(name, _)| name == wanted);
    let is_detour = |name: &str| is_detour(name) || leads_tokens_away(name, has);
    let found = |is_one: &dyn Fn(&str) -> bool| -> Vec<&str> {
        let names = variables.iter().map(|(name, _)| name.as_str());
        names.filter(|name| is_one(name) && !args.allow_env.iter().any(|allowed| allowed == name)).collect()
    };
    let (loaders, detours) = (found(&is_loader), found(&is_detour));
    let (code, sent) = (loaders.join(", "), detours.join(", "));
    let message = match (loaders.is_empty(), detours.is_empty()) {
        (true, true) => return Ok(()),
        (false, true) => format!("sets {code}, which lets anybody who can write the file run code"),
        (true, false) => {
            format!("sets {sent}, which lets anybody who can write the file read what the command sends")
        }
        (false, false) => format!(
            "sets {code}, which lets anybody who can write the file run code, and {sent}, which lets them read what \
             the command sends"
        ),
    };
    let error = Error::new(Kind::Conflict, message).in_file(&args.file);
    if context.is_sops() {
        context.ui.warning(error);
        return Ok(());
    }
    let found = loaders.iter().chain(&detours);
    let flags: String = found.map(|name| format!(" --allow-env {}", typed(Path::new(name)))).collect();
    Err(error.advise(format!(
        "If that is what the file is for: `sealant exec-env{flags} {} COMMAND`.",
        typed(&args.file)
    )))
}

/// Does what is asked for to keep the values out of a log.
fn hide(args: &Args, variables: &[(String, SecretBytes)], context: &Context) -> Result<Option<Redactor>> {
    if !args.redact && args.mask.is_none() {
        return Ok(None);
    }
    let short = variables.iter().filter(|(_, value)| (1..SHORTEST).contains(&value.len()));
    let short: Vec<&str> = short.map(|(name, _)| name.as_str()).collect();
    if !short.is_empty() {
        let (count, names) = (SHORTEST, short.join(", "));
        context.ui.warning(format!(
            "not redacted, because values of fewer than {count} bytes appear in any text: {names}"
        ));
    }
    let forms = Forms::of(variables.iter().map(|(_, value)| value));
    if args.mask.is_some() {
        context.ui.out(&forms.github_masks())?;
    }
    args.redact.then(|| forms.redactor()).transpose()
}
