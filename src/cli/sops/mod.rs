//! The command line of sops: what the program understands when it is called by that name.
//!
//! Owns what differs from our own commands: how words are read, how many files a command takes, and the exit codes that
//! sops has for what it does not find. The work is done by our commands, in sops's manners where they have two
//! ([`Dialect`]); no operation is written a second time here.
//!
//! Programs that call sops may read its standard error along with its standard output, as helm-secrets does: a command
//! that goes well says nothing there unless something is wrong with the file.

mod args;
mod words;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

use self::args::{Sops, Verb};
use crate::cli::args::{ChangeKeyArgs, FormatArgs, IdentityArgs, InputArgs};
use crate::cli::change::ChangeArgs;
use crate::cli::commands::{
    decrypt, edit, encrypt, exec_env, exec_file, filestatus, groups, keyservice, publish, rotate, set, unset,
    updatekeys,
};
use crate::cli::context::{self, Context, no_color};
use crate::cli::failures::finish;
use crate::cli::host::Terminal;
use crate::cli::ui::{ColorWhen, Ui};
use crate::cli::usage;
use crate::config::Dialect;
use crate::document::{Format, Spelled, TreePath};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::policy;

/// Act as sops: `sealant sops -d FILE`
///
/// A link to sealant with the name `sops` does the same: programs that run sops need no change.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  sealant sops --decrypt secrets.enc.yaml
  sealant link sops ~/.local/bin && sops -e -i secrets.yaml
  HELM_SECRETS_SOPS_PATH='sealant sops' helm secrets decrypt secrets.yaml"
)]
pub struct Args {
    /// The arguments of sops
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

/// The only flag of the kind that sops looks for before a command, though commands have it.
const MAC_ONLY_ENCRYPTED: &str = "mac_only_encrypted";

/// Runs a command line of sops, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    let command = args::command();
    let words = match words::spelled(words, &command) {
        Ok(words) => words,
        Err(error) => {
            let ui = Ui::new(ColorWhen::Auto, no_color(), true);
            return finish(&ui, Err(error.into()));
        }
    };
    let parsed = command.clone().try_get_matches_from(&words).and_then(|found| {
        let name = found.subcommand_name().map_or("sops".to_owned(), |name| format!("sops {name}"));
        Ok((Sops::from_arg_matches(&found)?, passed_over(&found, &command), name))
    });
    let (sops, passed_over, name) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return not_to_be_run(error, &words),
    };
    let ui = Ui::new(ColorWhen::Auto, no_color(), !sops.globals.verbose);
    let (config, dialect) = (sops.globals.config.clone(), Dialect::Sops);
    let host = Terminal::new(&ui).confirming_on_stdin();
    let host = context::logged(host, &name, config.as_deref(), dialect);
    let mut context = Context::new(&ui, &host, config, dialect);
    context.key_services = (sops.globals.keyservice.clone(), sops.globals.enable_local_keyservice);
    for flag in passed_over {
        ui.warning(format!(
            "--{flag} has no effect before the command (nor in sops): put it after the command"
        ));
    }
    let done = fs::wipe_on_signals().and_then(|()| dispatch(sops, &context));
    finish(&ui, done.map_err(anyhow::Error::from))
}

/// The flags that count only where no command is given.
fn passed_over(found: &ArgMatches, sops: &clap::Command) -> Vec<String> {
    if found.subcommand().is_none() {
        return Vec::new();
    }
    let is_given =
        |arg: &&clap::Arg| found.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let is_for_all = |arg: &clap::Arg| arg.is_global_set() || arg.get_id() == MAC_ONLY_ENCRYPTED;
    let flags = sops.get_arguments().filter(|arg| !is_for_all(arg)).filter(is_given);
    flags.filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
}

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
fn not_to_be_run(error: clap::Error, words: &[OsString]) -> ExitCode {
    let kind = error.kind();
    usage::tell(error, words, no_color());
    match kind {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        ErrorKind::ArgumentConflict => Kind::Conflict.exit_code().into(),
        ErrorKind::InvalidSubcommand => NO_SUCH_COMMAND.into(),
        _ => Kind::Other.exit_code().into(),
    }
}

/// What sops exits with below a command that has others.
const NO_SUCH_COMMAND: u8 = 3;

fn dispatch(sops: Sops, context: &Context) -> Result<ExitCode> {
    let encrypts = sops.flags.encrypt
        || matches!(sops.verb, Some(Verb::Encrypt(_) | Verb::Groups(_) | Verb::Publish(_)));
    refuse_key_services(encrypts, context)?;
    refuse_missing_config(context)?;
    in_sops_codes(context.configs()?.refuse_unreadable(), &CONFIG)?;
    let mac_only_encrypted = sops.flags.rules.mac_only_encrypted;
    let verb = match sops.verb {
        Some(verb) => verb,
        None if changes_missing_file(&sops.flags.words, &sops.flags.change)? => {
            return Ok(tell_missing_file_to_change(&sops.flags.words, context));
        }
        None => verb_of_flags(sops.flags, context)?,
    };
    match verb {
        Verb::Encrypt(mut args) => {
            args.rules.mac_only_encrypted |= mac_only_encrypted;
            encrypt_file(args, context)
        }
        Verb::Decrypt(args) => decrypt_file(args, context),
        Verb::Edit(mut args) => {
            args.rules.mac_only_encrypted |= mac_only_encrypted;
            edit_file(args, context)
        }
        Verb::Set(args) => set_value(args, context),
        Verb::Unset(args) => unset_value(args, context),
        Verb::Rotate(args) => rotate_file(args, context),
        Verb::Updatekeys(args) => update_keys(args, context),
        Verb::ExecEnv(args) => run_with_env(args, context),
        Verb::ExecFile(args) => run_with_file(args, context),
        Verb::Filestatus(args) => file_status(args, context),
        Verb::Completion(args) => complete(&args, context),
        Verb::Groups(args) => change_groups(args, context),
        Verb::Publish(args) => publish_files(args, context),
        Verb::Keyservice(args) => {
            keyservice::run(args, context).map_err(|error| error.with_kind(Kind::Other))
        }
    }
}

/// What flags without a command ask for, after the checks that sops makes for them alone.
fn verb_of_flags(flags: args::Flags, context: &Context) -> Result<Verb> {
    let Some(file) = flags.words.first().cloned().map(named) else {
        return Err(no_file());
    };
    let asked = [flags.decrypt, flags.encrypt, flags.rotate, flags.set.is_some()];
    if asked.iter().filter(|asked| **asked).count() > 1 {
        context
            .ui
            .warning("of --encrypt, --decrypt, --rotate and --set, only the last in this order takes effect");
    }
    let name = flags.filename_override.clone().unwrap_or_else(|| file.clone());
    let only_decrypts = asked == [true, false, false, false];
    if flags.decrypt || flags.encrypt || flags.rotate {
        refuse_missing(&file, Kind::NoFile)?;
    }
    let verb = flags.verb()?;
    if !only_decrypts {
        let configs = in_sops_codes(context.configs(), &CONFIG)?;
        if let Some(policy) = in_sops_codes(configs.policy_for(&name), &CONFIG)? {
            policy::key_set(&policy)?;
        }
    }
    Ok(verb)
}

fn encrypt_file(args: args::Encrypt, context: &Context) -> Result<ExitCode> {
    refuse_two_places(&args.place)?;
    if args.words.is_empty() && args.filename_override.is_none() && !args.place.in_place {
        return Err(Error::new(Kind::Conflict, "standard input has no name to choose a creation rule by")
            .advise("Give it a name with --filename-override NAME."));
    }
    let files = file_or_stdin(args.words, args.place.in_place, context)?;
    let args = encrypt::Args {
        inputs: InputArgs { files, filename_override: args.filename_override },
        outputs: args.place.into(),
        yes: false,
        onto: None,
        strip_last_applied: false,
        formats: known(args.formats),
        keys: args.keys,
        aws: args.aws,
        rules: args.rules,
        identities: IdentityArgs::default(),
    };
    code_in_sops_codes(encrypt::run(args, context), &CONFIG)
}

fn decrypt_file(args: args::Decrypt, context: &Context) -> Result<ExitCode> {
    refuse_two_places(&args.place)?;
    let files = file_or_stdin(args.words, args.place.in_place, context)?;
    args.extract.as_deref().map(TreePath::parse).transpose()?;
    let codes = ours_without_place(&args.place);
    let args = decrypt::Args {
        inputs: InputArgs { files, filename_override: args.filename_override },
        extract: args.extract,
        ignore_mac: args.ignore_mac,
        outputs: args.place.into(),
        formats: known(args.formats),
        identities: args.identities,
    };
    code_in_sops_codes(code_in_sops_codes(decrypt::run(args, context), codes), &ENCRYPTED)
}

fn edit_file(args: args::Edit, context: &Context) -> Result<ExitCode> {
    let file = only_file(args.words, context)?;
    if file.is_dir() {
        refuse_missing(&file, Kind::Read)?;
    }
    let mut formats = known(args.formats);
    if let Some(name) = args.filename_override {
        let format = Format::of_path(&name).to_string();
        formats.input_type.get_or_insert_with(|| format.clone());
        formats.output_type.get_or_insert(format);
    }
    let args = edit::Args {
        files: vec![file],
        show_master_keys: args.show_master_keys,
        plaintext: false,
        allow_recipient: Vec::new(),
        ignore_mac: args.ignore_mac,
        formats,
        identities: args.identities,
        keys: args.keys,
        aws: args.aws,
        rules: args.rules,
    };
    let code = code_in_sops_codes(edit::run(args, context), &ENCRYPTED)?;
    if code == Kind::NotModified.exit_code().into() {
        return Err(Error::new(Kind::NotModified, "File has not changed, exiting."));
    }
    Ok(code)
}

fn set_value(args: args::Set, context: &Context) -> Result<ExitCode> {
    if args.value_file && args.value_stdin {
        return Err(Error::new(Kind::Other, "--value-file and --value-stdin cannot be combined"));
    }
    let mut words = args.words.into_iter();
    let (file, path, value) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(file), Some(path), None, None) if args.value_stdin => (file, path, None),
        (Some(file), Some(path), Some(value), None) if !args.value_stdin => (file, path, Some(text(value)?)),
        _ => return Err(wrong_number("set takes a file, the path of a value, and the value as JSON")),
    };
    let args = set::Args {
        allow_recipient: Vec::new(),
        change: change(file, path, args.idempotent, args.ignore_mac, args.formats, args.identities)?,
        value,
        value_file: args.value_file,
        value_stdin: args.value_stdin,
        string: false,
        json: true,
        plaintext: false,
        place: Default::default(),
    };
    // The file itself was found; a value file that is not there is nothing that sops has a code for.
    code_in_sops_codes(in_sops_codes(set::run(args, context), &[Kind::NoFile]), &ENCRYPTED)
}

fn unset_value(args: args::Unset, context: &Context) -> Result<ExitCode> {
    let [file, path] = <[OsString; 2]>::try_from(args.words)
        .map_err(|_| wrong_number("unset takes a file, and the path of a value"))?;
    let change = change(file, path, args.idempotent, args.ignore_mac, args.formats, args.identities)?;
    code_in_sops_codes(unset::run(unset::Args { change }, context), &ENCRYPTED)
}

fn change(
    file: OsString,
    path: OsString,
    idempotent: bool,
    ignore_mac: bool,
    formats: FormatArgs,
    identities: IdentityArgs,
) -> Result<ChangeArgs> {
    let file = named(file);
    let args = ChangeArgs {
        file,
        path: text(path)?,
        idempotent,
        with_copies: false,
        dry_run: false,
        ignore_mac,
        formats: known(formats),
        identities,
    };
    Spelled::in_brackets(&args.path).map_err(|error| error.with_kind(Kind::SetFormat))?;
    refuse_missing(&args.file, Kind::Read)?;
    Ok(args)
}

fn rotate_file(args: args::Rotate, context: &Context) -> Result<ExitCode> {
    refuse_two_places(&args.place)?;
    if changes_missing_file(&args.words, &args.change)? {
        return Ok(tell_missing_file_to_change(&args.words, context));
    }
    let file = only_file(args.words, context)?;
    args.change.refuse_wrong_removals()?;
    refuse_missing(&file, Kind::Read)?;
    let codes = ours_without_place(&args.place);
    let args = rotate::Args {
        inputs: InputArgs { files: vec![file], filename_override: args.filename_override },
        outputs: args.place.into(),
        ignore_mac: args.ignore_mac,
        allow_copied: true,
        formats: known(args.formats),
        keys: args.change,
        aws: args.aws,
        identities: args.identities,
    };
    code_in_sops_codes(code_in_sops_codes(rotate::run(args, context), codes), &ENCRYPTED)
}

fn update_keys(args: args::Updatekeys, context: &Context) -> Result<ExitCode> {
    if args.words.is_empty() {
        let has_config = context.configs()?.of_working_dir()?.is_some();
        return Err(if has_config {
            no_file()
        } else {
            Error::new(Kind::Other, "there is no .sops.yaml here")
        });
    }
    let files: Vec<PathBuf> = args.words.into_iter().map(named).collect();
    let is_one = files.len() == 1;
    if let Some(folder) = files.iter().find(|file| file.is_dir()) {
        return Err(Error::new(Kind::Other, "is a folder, not a file").in_file(folder));
    }
    let args = updatekeys::Args {
        inputs: InputArgs { files, filename_override: None },
        yes: args.yes,
        add: None,
        rotate: false,
        settings: false,
        dry_run: false,
        report: Default::default(),
        formats: known(FormatArgs { input_type: args.input_type, output_type: None }),
        identities: args.identities,
    };
    let code = updatekeys::run(args, context).map_err(|error| error.with_kind(Kind::Other))?;
    let says_more = is_one && code == Kind::NoDataKey.exit_code().into();
    Ok(if says_more { code } else { generic(code) })
}

fn change_groups(args: args::Groups, context: &Context) -> Result<ExitCode> {
    let Some(mut command) = args.command else {
        return print_help("groups", context);
    };
    let file = match &mut command {
        groups::Command::Add(args) => &mut args.file,
        groups::Command::Delete(args) => {
            args.index()?;
            &mut args.file
        }
    };
    let named = file.file.take().map_or_else(PathBuf::new, |file| named(file.into()));
    refuse_missing(&named, Kind::Read)?;
    file.file = Some(named);
    groups::run(groups::Args { command }, context).map(generic).map_err(|error| error.with_kind(Kind::Other))
}

fn publish_files(args: args::Publish, context: &Context) -> Result<ExitCode> {
    if context.configs()?.of_working_dir()?.is_none() {
        return Err(Error::new(Kind::Other, "there is no .sops.yaml here"));
    }
    let file = only_file(args.words, context)?;
    if !file.exists() {
        return Err(Error::new(Kind::Other, "no such file").in_file(file));
    }
    let (yes, omit_extensions, recursive) = (args.yes, args.omit_extensions, args.recursive);
    let args = publish::Args {
        file: Some(file),
        yes,
        omit_extensions,
        recursive,
        plaintext: true,
        identities: args.identities,
    };
    in_sops_codes(publish::run(args, context), &ENCRYPTED)
}

fn run_with_env(args: args::ExecEnv, context: &Context) -> Result<ExitCode> {
    let (file, command) = file_and_command(args.words)?;
    if args.background {
        warn_of_background(context);
        if args.same_process {
            return Err(Error::new(Kind::Conflict, "--background and --same-process cannot be combined"));
        }
    }
    let args = exec_env::Args {
        more_files: Vec::new(),
        only: Vec::new(),
        file,
        command: vec![command],
        allow_env: Vec::new(),
        pristine: args.pristine,
        same_process: args.same_process,
        redact: false,
        mask: None,
        user: args.user,
        background: args.background,
        formats: FormatArgs::default(),
        identities: args.identities,
    };
    in_sops_codes(exec_env::run(args, context), &ENCRYPTED)
}

fn run_with_file(args: args::ExecFile, context: &Context) -> Result<ExitCode> {
    let (file, command) = file_and_command(args.words)?;
    if args.background {
        warn_of_background(context);
    }
    let args = exec_file::Args {
        file,
        command: vec![command],
        no_fifo: args.no_fifo,
        filename: args.filename.unwrap_or_else(|| exec_file::DEFAULT_NAME.into()),
        user: args.user,
        background: args.background,
        formats: known(args.formats),
        identities: args.identities,
    };
    in_sops_codes(exec_file::run(args, context), &ENCRYPTED)
}

fn file_status(args: args::Filestatus, context: &Context) -> Result<ExitCode> {
    let Some(file) = args.words.into_iter().next().map(named) else { return Err(no_file()) };
    refuse_missing(&file, Kind::Other)?;
    let mut formats = known(FormatArgs { input_type: args.input_type, output_type: None });
    // An encrypted binary file is JSON; anything else is an error to sops.
    let read = formats.input_type.as_deref().and_then(Format::from_name).unwrap_or(Format::of_path(&file));
    if read == Format::Binary {
        formats.input_type = Some(Format::Json.to_string());
    }
    let args = filestatus::Args { inputs: InputArgs { files: vec![file], filename_override: None }, formats };
    filestatus::run(args, context).map(generic)
}

fn complete(args: &args::Completion, context: &Context) -> Result<ExitCode> {
    let Some(shell) = args.shell else {
        return print_help("completion", context);
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "sops", &mut script);
    context.ui.out(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// As sops does for a command that was given nothing to do.
fn print_help(name: &str, context: &Context) -> Result<ExitCode> {
    let mut command = args::command();
    let help = command.find_subcommand_mut(name).map(|command| command.render_help().to_string());
    context.ui.out(help.unwrap_or_default().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Whether recipients are added or removed, and the file does not exist.
fn changes_missing_file(words: &[OsString], change: &ChangeKeyArgs) -> Result<bool> {
    let is_missing = words.first().is_some_and(|file| !named(file.clone()).exists());
    Ok(is_missing && change.wish()?.names_any())
}

fn tell_missing_file_to_change(words: &[OsString], context: &Context) -> ExitCode {
    let error = Error::new(Kind::Other, "no such file, so there are no recipients to change");
    context.ui.error(&error.in_file(named(words.first().cloned().unwrap_or_default())));
    NO_FILE_TO_CHANGE.into()
}

/// What sops exits with then.
const NO_FILE_TO_CHANGE: u8 = 49;

/// What of our codes sops has none for when it reads its config.
const CONFIG: [Kind; 2] = [Kind::Config, Kind::ConfigNotFound];

/// What of our codes sops has none for when it works on an encrypted file. That the file itself cannot be read is
/// found out before that.
const ENCRYPTED: [Kind; 5] = [Kind::Config, Kind::ConfigNotFound, Kind::Read, Kind::TreePath, Kind::Conflict];

/// What of our codes sops has none for when the result goes to standard output, and that cannot be written.
fn ours_without_place(place: &args::Place) -> &'static [Kind] {
    if place.in_place || place.output.is_some() { &[] } else { &[Kind::Write] }
}

/// An error with the exit code that sops has for it: of `ours` it has none, and takes 1.
fn in_sops_codes<T>(result: Result<T>, ours: &[Kind]) -> Result<T> {
    result.map_err(|error| if ours.contains(&error.kind()) { error.with_kind(Kind::Other) } else { error })
}

/// The same for a command that has told of its errors and ended with their code.
fn code_in_sops_codes(result: Result<ExitCode>, ours: &[Kind]) -> Result<ExitCode> {
    let code = in_sops_codes(result, ours)?;
    let is_ours = ours.iter().any(|kind| code == kind.exit_code().into());
    Ok(if is_ours { generic(code) } else { code })
}

fn generic(code: ExitCode) -> ExitCode {
    if code == ExitCode::SUCCESS { code } else { Kind::Other.exit_code().into() }
}

fn refuse_two_places(place: &args::Place) -> Result<()> {
    if place.in_place && place.output.is_some() {
        return Err(Error::new(Kind::Conflict, "--in-place and --output cannot be combined"));
    }
    Ok(())
}

/// The only file of a command that may do without: then it is standard input.
fn file_or_stdin(words: Vec<OsString>, in_place: bool, context: &Context) -> Result<Vec<PathBuf>> {
    if !words.is_empty() {
        let file = only_file(words, context)?;
        refuse_missing(&file, Kind::NoFile)?;
        return Ok(vec![file]);
    }
    if in_place {
        return Err(Error::new(Kind::Conflict, "--in-place has no place: standard input is read"));
    }
    Ok(Vec::new())
}

/// The only file of a command. As in sops, what comes after it is ignored.
fn only_file(words: Vec<OsString>, context: &Context) -> Result<PathBuf> {
    let mut words = words.into_iter();
    let file = words.next().map(named).ok_or_else(no_file)?;
    if let Some(next) = words.next() {
        context.ui.warning(format!("only the first file is used: {} is ignored", next.display()));
    }
    Ok(file)
}

fn warn_of_background(context: &Context) {
    context
        .ui
        .warning("--background is deprecated, and will be removed from sops: end the command with ` &`");
}

fn file_and_command(words: Vec<OsString>) -> Result<(PathBuf, OsString)> {
    let [file, command] = <[OsString; 2]>::try_from(words)
        .map_err(|_| Error::new(Kind::Other, "it takes a file, and a command in one argument"))?;
    let file = named(file);
    refuse_missing(&file, Kind::Read)?;
    Ok((file, command))
}

/// To sops `-` is a file like others, and no name the working directory.
fn named(word: OsString) -> PathBuf {
    match word.as_encoded_bytes() {
        b"-" => "./-".into(),
        b"" => ".".into(),
        _ => word.into(),
    }
}

fn text(word: OsString) -> Result<String> {
    word.into_string().map_err(|_| Error::new(Kind::SetFormat, "an argument is not UTF-8"))
}

/// `missing` is the kind of error that it is to a command when there is no such file.
fn refuse_missing(file: &Path, missing: Kind) -> Result<()> {
    if file.is_dir() {
        let kind = if missing == Kind::Other { missing } else { Kind::Read };
        return Err(Error::new(kind, "is a folder, not a file").in_file(file));
    }
    if !file.exists() {
        return Err(Error::new(missing, "no such file").in_file(file));
    }
    Ok(())
}

fn no_file() -> Error {
    Error::new(Kind::NoFile, "no file was given").advise("`sops --help` lists flags and commands.")
}

fn wrong_number(message: &str) -> Error {
    Error::new(Kind::NoFile, message)
}

/// A type that nobody knows counts as not given.
fn known(formats: FormatArgs) -> FormatArgs {
    let known = |name: Option<String>| name.filter(|name| Format::from_name(name).is_some());
    FormatArgs { input_type: known(formats.input_type), output_type: known(formats.output_type) }
}

/// Refuses to go on when nobody's keys are to be used.
fn refuse_key_services(encrypts: bool, context: &Context) -> Result<()> {
    let others = context.others()?;
    if others.uses_local || !others.services.is_empty() {
        return Ok(());
    }
    let kind = if encrypts { Kind::Other } else { Kind::NoDataKey };
    Err(Error::new(kind, "this machine's keys may not be used, and no other key service is named")
        .advise("Name a key service with --keyservice, or remove --enable-local-keyservice=false."))
}

/// sops does not even decrypt when the config that was asked for is not there.
fn refuse_missing_config(context: &Context) -> Result<()> {
    match context.lookup()?.explicit {
        Some(config) => refuse_missing(&config, Kind::Other),
        None => Ok(()),
    }
}
