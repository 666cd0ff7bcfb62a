//! The command line: arguments, one call into the library, output.
//!
//! This file is the roof: the list of commands and the names that the program has. The commands are in `commands`, the
//! command line of sops in `sops`, and what commands share is beside them and knows none of them. No cryptography and no
//! YAML here; all printing goes through [`ui`].

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod args;
mod audit_log;
mod change;
mod child;
mod claims;
mod cluster;
mod commands;
mod committed;
mod complete;
mod context;
mod copies;
mod editor;
mod encryption;
mod failures;
mod fetch;
pub mod host;
#[cfg(feature = "bitnami")]
mod kubeseal;
mod loaders;
mod manifests;
mod merging;
mod migration;
mod pipeline;
mod recipients;
mod redact;
mod repository;
mod session;
mod sops;
mod typed_path;
pub mod ui;
mod unnamed;
mod usage;
mod variables;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{FromArgMatches, Parser, Subcommand};

use self::commands::{
    argocd, audit, blast_radius, check, completion, decrypt, demo, diff, doctor, edit, encrypt, exec_env,
    exec_file, explain, export, fetch_recipient, filestatus, get, git, groups, help, hook, init, inspect,
    keygen, keyservice, ksops, link, man, migrate, publish, recipient, resolve, rewrap, rotate, seal, set,
    status, unseal, unset, updatekeys, vault, who_can_decrypt,
};
use self::context::{Context, no_color};
use self::failures::finish;
use self::host::Terminal;
use self::ui::{ColorWhen, Ui};
use crate::config::Dialect;
use crate::fs;
use crate::keys::KeyKind;
use crate::os;

/// What `--version` prints: the commit is that of a release, whose build names it.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("SEALANT_COMMIT").unwrap_or("not a release");
    let [arch, os] = [std::env::consts::ARCH, std::env::consts::OS];
    let keys = KeyKind::ALL
        .into_iter()
        .filter(|kind| kind.names().is_supported)
        .map(KeyKind::name)
        .collect::<Vec<_>>()
        .join(", ");
    format!("{}\ncommit: {commit}\nplatform: {arch}-{os}\nkeys: {keys}", env!("CARGO_PKG_VERSION"))
});

/// Keep secrets in Git, encrypted, and use them from there
#[derive(Debug, Parser)]
#[command(name = "sealant", version, long_version = LONG_VERSION.as_str(), disable_help_subcommand = true)]
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
    #[command(aliases = ["cat", "view", "show"])]
    Decrypt(decrypt::Args),
    Edit(edit::Args),
    Get(get::Args),
    Set(set::Args),
    Unset(unset::Args),
    Rotate(rotate::Args),
    Updatekeys(updatekeys::Args),
    Rewrap(rewrap::Args),
    Recipient(recipient::Args),
    Groups(groups::Args),
    Publish(publish::Args),
    Keyservice(keyservice::Args),
    Diff(diff::Args),
    #[command(aliases = ["run", "exec"])]
    ExecEnv(exec_env::Args),
    ExecFile(exec_file::Args),
    Export(export::Args),
    Filestatus(filestatus::Args),
    Seal(seal::Args),
    Unseal(unseal::Args),
    Migrate(migrate::Args),
    Inspect(inspect::Args),
    FetchRecipient(fetch_recipient::Args),
    Check(check::Args),
    #[command(aliases = ["ls", "list"])]
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
    #[cfg(feature = "bitnami")]
    Kubeseal(kubeseal::Args),
    Link(link::Args),
    Completion(completion::Args),
    Man(man::Args),
    Help(help::Args),
}

/// Runs the command line `args`, the program's name first, and says how the process should end.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(args) = args_of("sops", &args) {
        return sops::run(args);
    }
    #[cfg(feature = "bitnami")]
    if let Some(words) = args_of("kubeseal", &args) {
        let name = if words.len() + 1 == args.len() { "kubeseal" } else { "sealant kubeseal" };
        return kubeseal::run(words, name);
    }
    if let [_, command, words @ ..] = &args[..]
        && command == complete::COMMAND
    {
        return complete(words);
    }
    let args = with_command(names_of_others(as_ksops(args)));
    let is_merge = matches!(&args[..], [_, git, merge, ..] if git == "git" && merge == "merge");
    let words = args.clone();
    let command = match &args[..] {
        [_] => help::command_in_short(),
        [_, flag] if flag == "-h" => help::command_in_short(),
        _ => help::command(),
    };
    let parsed = command.try_get_matches_from(args).and_then(|found| {
        let name = found.subcommand_name().unwrap_or_default().to_owned();
        Ok((Cli::from_arg_matches(&found)?, name))
    });
    let (Cli { globals, command }, name) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if is_merge && error.use_stderr() => {
            let _ = not_to_be_run(error, &words);
            return git::merge::CANNOT.into();
        }
        Err(error) => return not_to_be_run(error, &words),
    };
    let ui = Ui::new(globals.color, no_color(), globals.quiet);
    let (config, dialect) = (globals.config, Dialect::Sealant);
    let host = context::logged(Terminal::new(&ui), &name, config.as_deref(), dialect);
    let context = Context::new(&ui, &host, config, dialect);
    finish(&ui, fs::wipe_on_signals().map_err(anyhow::Error::from).and_then(|()| dispatch(command, &context)))
}

/// Prints what a shell may offer. Nobody is asked anything, and nothing is logged, in the middle of a line.
fn complete(words: &[OsString]) -> ExitCode {
    let ui = Ui::new(ColorWhen::Never, true, true);
    let host = Terminal::new(&ui).asking_nobody();
    let context = Context::new(&ui, &host, None, Dialect::Sealant);
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let found = complete::candidates(&words, &context);
    finish(&ui, ui.lines(found).map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from))
}

/// What belongs to the command line of another program, when ours is called by that name, or as `sealant sops`.
fn args_of<'a>(other: &str, args: &'a [OsString]) -> Option<&'a [OsString]> {
    match args {
        [name, args @ ..] if is_called(name, other) => Some(args),
        [_, command, args @ ..] if command == other => Some(args),
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
    let is_name = |arg: &OsString| {
        arg.as_encoded_bytes().starts_with(b"-") && Path::new(arg).symlink_metadata().is_ok()
    };
    let at = (first..args.len()).find(|&at| is_name(&args[at]));
    if let Some(at) = at.filter(|&at| !args[..at].iter().any(|arg| arg == "--")) {
        args.insert(at, "--".into());
    }
    args
}

/// The command line with `edit` in front of a file that is there, `sealant secrets.yaml`, and with what prints the version for
/// `version`. A misspelt command is never the name of a file that an editor would make.
fn with_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let Some(at) =
        args.iter().skip(1).position(|arg| !arg.as_encoded_bytes().starts_with(b"-")).map(|at| at + 1)
    else {
        return args;
    };
    let is_command =
        |word: &OsStr| word.to_str().is_some_and(|word| help::command().find_subcommand(word).is_some());
    // The word behind an option may be its value.
    if at != 1 || is_command(&args[at]) {
        return args;
    }
    if args[at] == "version" {
        args[at] = "--version".into();
    // A command behind the file is the one that is meant.
    } else if Path::new(&args[at]).is_file() && !args.get(at + 1).is_some_and(|word| is_command(word)) {
        args.insert(at, "edit".into());
    }
    args
}

fn is_called(word: &OsStr, name: &str) -> bool {
    os::program_name(word).is_some_and(|called| called == name)
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
        Command::Recipient(args) => recipient::run(args, context),
        Command::Groups(args) => groups::run(args, context),
        Command::Publish(args) => publish::run(args, context),
        Command::Keyservice(args) => keyservice::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::ExecEnv(args) => exec_env::run(args, context),
        Command::ExecFile(args) => exec_file::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Filestatus(args) => filestatus::run(args, context),
        Command::Seal(args) => seal::run(args, context),
        Command::Unseal(args) => unseal::run(args, context),
        Command::Migrate(args) => migrate::run(args, context),
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
        #[cfg(feature = "bitnami")]
        Command::Kubeseal(args) => Ok(kubeseal::run(&args.args, "sealant kubeseal")),
        Command::Link(args) => link::run(args, context),
        Command::Completion(args) => completion::run(args, context),
        Command::Man(args) => man::run(args, context),
        Command::Help(args) => help::run(args, context),
    };
    Ok(done?)
}

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
fn not_to_be_run(error: clap::Error, args: &[OsString]) -> ExitCode {
    let code = usage::exit_code(&error);
    usage::tell(error, args, no_color());
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        help::command().debug_assert();
    }
}
