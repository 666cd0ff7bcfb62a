//! The command line: arguments, one call into the library, output.
//!
//! One file per subcommand. Owns the exit codes of usage errors and the wiring of terminal, environment and flags to
//! the library. No cryptography and no YAML here; all printing goes through [`ui`].

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod argocd;
pub mod args;
mod audit;
mod blast_radius;
mod change;
mod check;
mod child;
mod claims;
mod completion;
mod copies;
mod decrypt;
mod demo;
mod diff;
mod doctor;
mod edit;
mod editor;
mod encrypt;
mod exec_env;
mod exec_file;
mod explain;
mod fetch_recipient;
mod filestatus;
mod get;
mod git;
mod help;
mod hook;
pub mod host;
mod init;
mod inspect;
mod keygen;
mod ksops;
mod man;
mod manifests;
mod pipeline;
mod recipients;
mod redact;
mod repository;
mod resolve;
mod rewrap;
mod rotate;
mod seal;
mod session;
mod set;
mod sops;
mod status;
pub mod ui;
mod unnamed;
mod unseal;
mod unset;
mod updatekeys;
mod usage;
mod vault;
mod who_can_decrypt;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{FromArgMatches, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::config::{Configs, Dialect, Lookup};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::repo::git::absent::WithAbsent;
pub use crate::shown::typed;
use host::Terminal;
use ui::{ColorWhen, Ui};

/// Secrets in Git, encrypted, byte for byte
#[derive(Debug, Parser)]
#[command(name = "sealant", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    globals: Globals,

    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Globals {
    /// Use this config instead of the .sops.yaml above the file [env: SOPS_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Print no notes and no progress, only warnings and errors
    #[arg(short, long, global = true)]
    quiet: bool,

    /// Use colours: auto, always or never
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        global = true,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: ColorWhen,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Keygen(keygen::Args),
    Doctor(doctor::Args),
    Explain(explain::Args),
    Demo(demo::Args),
    Encrypt(encrypt::Args),
    Decrypt(decrypt::Args),
    Edit(edit::Args),
    Get(get::Args),
    Set(set::Args),
    Unset(unset::Args),
    Rotate(rotate::Args),
    Updatekeys(updatekeys::Args),
    Rewrap(rewrap::Args),
    Diff(diff::Args),
    ExecEnv(exec_env::Args),
    ExecFile(exec_file::Args),
    Filestatus(filestatus::Args),
    Seal(seal::Args),
    Unseal(unseal::Args),
    Inspect(inspect::Args),
    FetchRecipient(fetch_recipient::Args),
    Check(check::Args),
    Status(status::Args),
    Git(git::Args),
    Hook(hook::Args),
    Resolve(resolve::Args),
    WhoCanDecrypt(who_can_decrypt::Args),
    BlastRadius(blast_radius::Args),
    Audit(audit::Args),
    Vault(vault::Args),
    Argocd(argocd::Args),
    Ksops(ksops::Args),
    Sops(sops::Args),
    Completion(completion::Args),
    Man(man::Args),
    Help(help::Args),
}

/// Runs the command line `args`, the program's name first, and says how the process shall end.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(args) = args_of_sops(&args) {
        return sops::run(args);
    }
    let args = names_of_others(as_ksops(args));
    let is_merge = matches!(&args[..], [_, git, merge, ..] if git == "git" && merge == "merge");
    let takes_value = usage::takes_value(&args);
    let parsed = help::command().try_get_matches_from(args).and_then(|found| {
        let name = found.subcommand_name().unwrap_or_default().to_owned();
        Ok((Cli::from_arg_matches(&found)?, name))
    });
    let (Cli { globals, command }, name) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if is_merge && error.use_stderr() => {
            let _ = not_to_be_run(error, takes_value);
            return git::merge::CANNOT.into();
        }
        Err(error) => return not_to_be_run(error, takes_value),
    };
    let ui = Ui::new(globals.color, no_color(), globals.quiet);
    let host = Terminal::new(&ui, true);
    let context = Context { ui: &ui, host: &host, config: globals.config, dialect: Dialect::Sealant };
    context.keep_journal(&name);
    finish(&ui, fs::wipe_on_signals().map_err(anyhow::Error::from).and_then(|()| dispatch(command, &context)))
}

/// What belongs to sops's command line, when the program is called by that name or as `sealant sops`.
fn args_of_sops(args: &[OsString]) -> Option<&[OsString]> {
    match args {
        [name, args @ ..] if is_called(name, "sops") => Some(args),
        [_, command, args @ ..] if command == "sops" => Some(args),
        _ => None,
    }
}

/// The command line of `sealant ksops`, when the program is called by that name.
fn as_ksops(args: Vec<OsString>) -> Vec<OsString> {
    match &args[..] {
        [name, rest @ ..] if is_called(name, "ksops") && rest != ["--version"] => {
            ["sealant", "ksops"].into_iter().map(OsString::from).chain(rest.iter().cloned()).collect()
        }
        _ => args,
    }
}

/// The command line with `--` before the first name of a file that looks like an option, where other programs put names
/// behind what somebody has written: `git diff` behind our textconv, the pre-commit framework behind our hook.
fn names_of_others(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_at = |words: [&str; 2]| args.windows(2).position(|pair| pair == words).map(|at| at + 2);
    let first = match (is_at(["hook", "pre-commit"]), is_at(["git", "textconv"])) {
        (Some(at), _) => at,
        // It is one name, behind everything else.
        (None, Some(at)) => at.max(args.len().saturating_sub(1)),
        (None, None) => return args,
    };
    let is_name =
        |arg: &OsString| arg.as_bytes().starts_with(b"-") && Path::new(arg).symlink_metadata().is_ok();
    let at = (first..args.len()).find(|&at| is_name(&args[at]));
    if let Some(at) = at.filter(|&at| !args[..at].iter().any(|arg| arg == "--")) {
        args.insert(at, "--".into());
    }
    args
}

fn is_called(word: &OsStr, name: &str) -> bool {
    Path::new(word).file_name() == Some(OsStr::new(name))
}

fn dispatch(command: Command, context: &Context) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Init(args) => init::run(args, context),
        Command::Keygen(args) => keygen::run(args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Explain(args) => explain::run(args, context),
        Command::Demo(args) => return demo::run(args, context),
        Command::Encrypt(args) => encrypt::run(args, context),
        Command::Decrypt(args) => decrypt::run(args, context),
        Command::Edit(args) => edit::run(args, context),
        Command::Get(args) => get::run(args, context),
        Command::Set(args) => set::run(args, context),
        Command::Unset(args) => unset::run(args, context),
        Command::Rotate(args) => rotate::run(args, context),
        Command::Updatekeys(args) => updatekeys::run(args, context),
        Command::Rewrap(args) => rewrap::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::ExecEnv(args) => exec_env::run(args, context),
        Command::ExecFile(args) => exec_file::run(args, context),
        Command::Filestatus(args) => filestatus::run(args, context),
        Command::Seal(args) => seal::run(args, context),
        Command::Unseal(args) => unseal::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::FetchRecipient(args) => fetch_recipient::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::Status(args) => status::run(args, context),
        Command::Git(args) => git::run(args, context),
        Command::Hook(args) => hook::run(args, context),
        Command::Resolve(args) => resolve::run(args, context),
        Command::WhoCanDecrypt(args) => who_can_decrypt::run(args, context),
        Command::BlastRadius(args) => blast_radius::run(args, context),
        Command::Audit(args) => audit::run(args, context),
        Command::Vault(args) => vault::run(args, context),
        Command::Argocd(args) => argocd::run(args, context),
        Command::Ksops(args) => ksops::run(args, context),
        Command::Sops(args) => Ok(sops::run(&args.args)),
        Command::Completion(args) => completion::run(args, context),
        Command::Man(args) => man::run(args, context),
        Command::Help(args) => help::run(args, context),
    };
    Ok(done?)
}

/// What a command has besides its own arguments.
pub struct Context<'a> {
    pub ui: &'a Ui,
    pub host: &'a Terminal<'a>,
    config: Option<PathBuf>,
    /// Whose manners to follow: called as sops, the program does as sops does.
    dialect: Dialect,
}

impl Context<'_> {
    /// Whether to do as sops does, where that is not what we would do.
    pub fn is_sops(&self) -> bool {
        self.dialect == Dialect::Sops
    }

    /// Lets what this command does be written down.
    fn keep_journal(&self, command: &str) {
        // Without a working directory no command does anything.
        if let Ok(lookup) = self.lookup() {
            audit::begin(command, lookup);
        }
    }

    /// Where configs are looked for.
    pub fn lookup(&self) -> Result<Lookup> {
        let working_dir = std::env::current_dir().map_err(|error| {
            Error::new(Kind::Read, "the working directory is not there any more").caused_by(error)
        })?;
        let explicit = self.config.clone().or_else(|| self.host.env("SOPS_CONFIG").map(PathBuf::from));
        Ok(Lookup { working_dir, explicit, dialect: self.dialect })
    }

    /// As sops, a path counts as it is spelled: says so where a link makes that another rule than the file's.
    pub fn tell_misled(&self, configs: &Configs, file: &Path) {
        let misled = || configs.locate(file)?.misled();
        if self.is_sops()
            && let Ok(Some(misled)) = misled()
        {
            self.ui.warning(format!("{}: {misled}", file.display()));
        }
    }

    /// The configs of the files that this command works on.
    pub fn configs(&self) -> Result<Configs> {
        let lookup = self.lookup()?;
        let absent = match self.is_sops() {
            true => None,
            false => WithAbsent::around(self.host, &lookup.working_dir)?,
        };
        Ok(match absent {
            Some(source) => Configs::from_source(lookup, source),
            None => Configs::new(lookup),
        })
    }
}

/// What failed of a command over many files. Each failure is told at once; together they make the exit code.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: Vec<Kind>,
    /// Messages of several lines that were told in full.
    told: HashSet<String>,
}

impl Failures {
    pub fn add(&mut self, ui: &Ui, error: &Error) {
        // Two hundred files that nobody here can open have one reason, which is not to be read two hundred times.
        let summary = error.message().trim_end_matches(':');
        let told = || format!("{summary}\n{}", error.below().cloned().collect::<Vec<_>>().join("\n"));
        match error.file() {
            Some(file) if error.below().next().is_some() && !self.told.insert(told()) => {
                ui.error(&Error::new(error.kind(), format!("{summary}, as above")).in_file(file));
            }
            _ => ui.error(error),
        }
        self.kinds.push(error.kind());
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The code that all failures share, else 1; 0 when there were none.
    pub fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    fn code(&self) -> u8 {
        match &self.kinds[..] {
            [] => 0,
            [first, rest @ ..] if rest.iter().all(|kind| kind == first) => first.exit_code(),
            _ => Kind::Other.exit_code(),
        }
    }
}

/// Waits for the key service. The only place that does. Connections live as long as the runtime that made them, so
/// there is one, made when it is first needed.
#[allow(clippy::panic, reason = "there is nothing to go on with")]
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let start = || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        // Not even an event queue can be had: nothing else would work either.
        Err(error) => panic!("the operating system gives no event queue: {error}"),
    };
    RUNTIME.get_or_init(start).block_on(future)
}

/// Tells why a command failed, and makes the exit code of it.
fn finish(ui: &Ui, result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error.downcast::<Error>(),
    };
    let error = error.unwrap_or_else(|other| Error::new(Kind::Other, format!("{other:#}")));
    ui.error(&error);
    error.kind().exit_code().into()
}

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
fn not_to_be_run(error: clap::Error, takes_value: bool) -> ExitCode {
    let code = usage::exit_code(&error);
    usage::tell(error, takes_value, no_color());
    code.into()
}

fn no_color() -> bool {
    host::variable("NO_COLOR").is_some() || host::variable("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        help::command().debug_assert();
    }

    #[test]
    fn failures_that_share_a_code_end_with_it() {
        let ui = Ui::new(ColorWhen::Never, true, true);
        let code = |kinds: &[Kind]| {
            let mut failures = Failures::default();
            kinds.iter().for_each(|kind| failures.add(&ui, &Error::new(*kind, "x")));
            failures.exit_code()
        };
        assert_eq!(code(&[]), ExitCode::SUCCESS);
        assert_eq!(code(&[Kind::NoDataKey, Kind::NoDataKey]), 128.into());
        assert_eq!(code(&[Kind::NoDataKey, Kind::Read]), 1.into());
    }
}
