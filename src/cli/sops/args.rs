//! The flags and commands of sops, as clap sees them.
//!
//! Owns their names and which command has which. Where a flag means what it means to a command of ours, that command's
//! group of arguments is used. What is done with them is not decided here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::args::{AwsArgs, ChangeKeyArgs, FormatArgs, IdentityArgs, KeyArgs, OutputArgs, RuleArgs};
use crate::cli::commands::{groups, keyservice};
use crate::error::{Error, Kind, Result};
use crate::sops::SOPS_VERSION;

/// Scripts take the first number of it for the version of sops, and it is one: of the sops that we do as.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{SOPS_VERSION} (sealant {})", env!("CARGO_PKG_VERSION")));

/// Edit encrypted files, as sops does, but byte for byte
///
/// Without a command or one of -d, -e, -r and --set, the file is opened in an editor.
#[derive(Debug, Parser)]
#[command(
    name = "sops",
    version = VERSION.as_str(),
    disable_version_flag = true,
    override_usage = "sops [FLAGS] FILE\n       sops COMMAND [FLAGS] [FILE]"
)]
pub struct Sops {
    #[command(flatten)]
    pub globals: Globals,

    #[command(flatten)]
    pub flags: Flags,

    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What is before or behind a command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Use this config instead of the .sops.yaml above the working directory [env: SOPS_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// Print more about what is done
    #[arg(long, global = true)]
    pub verbose: bool,

    /// Accepted, without effect: files keep their bytes
    #[arg(long, value_name = "N", global = true, allow_negative_numbers = true, hide_short_help = true)]
    indent: Option<i64>,

    /// Also use these key services, tcp://HOST:PORT or unix:///PATH; may be repeated [env: SOPS_KEYSERVICE]
    #[arg(long, value_name = "URI", global = true, hide_short_help = true)]
    pub keyservice: Vec<String>,

    /// Use the keys of this machine [env: SOPS_ENABLE_LOCAL_KEYSERVICE]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_short_help = true)]
    pub enable_local_keyservice: Option<bool>,

    /// Accepted, without effect: sealant never looks for a newer version
    #[arg(long, global = true, hide = true)]
    disable_version_check: bool,

    /// Accepted, without effect: sealant never looks for a newer version
    #[arg(long, global = true, hide = true)]
    check_for_updates: bool,

    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// What sops understands without a command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options without a command")]
pub struct Flags {
    /// Decrypt the file
    #[arg(short, long)]
    pub decrypt: bool,

    /// Encrypt the file
    #[arg(short, long)]
    pub encrypt: bool,

    /// Encrypt the file again under a new data key
    #[arg(short, long)]
    pub rotate: bool,

    /// Set one value: its path, a space, and the value as JSON
    #[arg(long, value_name = "PATH VALUE")]
    pub set: Option<String>,

    #[command(flatten)]
    pub place: Place,

    /// With -d, print only the value at this path
    #[arg(long, value_name = "PATH")]
    pub extract: Option<String>,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    /// Also show the metadata while editing, including recipients
    #[arg(short, long)]
    pub show_master_keys: bool,

    /// Choose creation rule and file type as for a file of this name
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub change: ChangeKeyArgs,

    #[command(flatten)]
    pub rules: RuleArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Where the result goes; to standard output by default.
#[derive(Debug, Default, Args)]
pub struct Place {
    /// Replace the file with the result
    #[arg(short, long)]
    pub in_place: bool,

    /// Write the result to this file
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl From<Place> for OutputArgs {
    fn from(Place { in_place, output }: Place) -> Self {
        Self { in_place, output, ..Self::default() }
    }
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Encrypt(Encrypt),
    Decrypt(Decrypt),
    Edit(Edit),
    Set(Set),
    Unset(Unset),
    Rotate(Rotate),
    Updatekeys(Updatekeys),
    ExecEnv(ExecEnv),
    ExecFile(ExecFile),
    Filestatus(Filestatus),
    Completion(Completion),
    Groups(Groups),
    Publish(Publish),
    Keyservice(keyservice::Args),
}

/// Encrypt a file, or standard input
#[derive(Debug, Default, Args)]
pub struct Encrypt {
    #[command(flatten)]
    pub place: Place,

    /// Choose creation rule and file type as for a file of this name; needed for standard input
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub rules: RuleArgs,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Decrypt a file, or standard input
#[derive(Debug, Default, Args)]
pub struct Decrypt {
    #[command(flatten)]
    pub place: Place,

    /// Print only the value at this path, '["a"][0]' for instance
    #[arg(long, value_name = "PATH")]
    pub extract: Option<String>,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    /// Choose the file type as for a file of this name
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Open a file decrypted in an editor
#[derive(Debug, Default, Args)]
pub struct Edit {
    /// Also show the metadata, including recipients
    #[arg(short, long)]
    pub show_master_keys: bool,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    /// Choose the file type as for a file of this name
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub rules: RuleArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// What sops takes and makes nothing of, either.
#[derive(Debug, Default, Args)]
struct Unused {
    #[arg(long, value_name = "N", hide = true)]
    shamir_secret_sharing_threshold: Option<i64>,
}

/// Set one value of an encrypted file
#[derive(Debug, Default, Args)]
pub struct Set {
    #[command(flatten)]
    unused: Unused,

    /// VALUE is the path of a file that holds the value
    #[arg(long)]
    pub value_file: bool,

    /// Take the value from standard input
    #[arg(long)]
    pub value_stdin: bool,

    /// Write nothing if the file already has this value
    #[arg(long)]
    pub idempotent: bool,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file, the path of the value, and the value as JSON
    #[arg(value_name = "FILE PATH VALUE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Remove one value from an encrypted file
#[derive(Debug, Default, Args)]
pub struct Unset {
    #[command(flatten)]
    unused: Unused,

    /// Succeed when there is no such value
    #[arg(long)]
    pub idempotent: bool,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file, and the path of the value
    #[arg(value_name = "FILE PATH")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Encrypt a file again under a new data key
#[derive(Debug, Default, Args)]
pub struct Rotate {
    #[command(flatten)]
    pub place: Place,

    /// Continue when the MAC does not match, so the file was changed
    #[arg(long)]
    pub ignore_mac: bool,

    /// Choose the file type as for a file of this name
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub change: ChangeKeyArgs,

    #[command(flatten)]
    pub identities: IdentityArgs,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Make files readable by exactly the recipients in .sops.yaml
#[derive(Debug, Default, Args)]
pub struct Updatekeys {
    /// Do not ask before files are written
    #[arg(short, long)]
    pub yes: bool,

    /// Read the files as yaml, json, dotenv, ini or binary, whatever their names say
    #[arg(long, value_name = "TYPE")]
    pub input_type: Option<String>,

    /// The files
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Run a command with the values of a file as variables
#[derive(Debug, Default, Args)]
pub struct ExecEnv {
    /// Give the command no other variables
    #[arg(long)]
    pub pristine: bool,

    /// Become the command instead of starting it
    #[arg(long)]
    pub same_process: bool,

    /// Run the command as this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// Do not wait for the command (deprecated)
    #[arg(long, hide_short_help = true)]
    pub background: bool,

    /// The file, and the command
    #[arg(value_name = "FILE COMMAND")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Run a command that reads a file decrypted
#[derive(Debug, Default, Args)]
pub struct ExecFile {
    /// Use a file instead of a pipe
    #[arg(long)]
    pub no_fifo: bool,

    /// Give the decrypted file this name
    #[arg(long, value_name = "NAME")]
    pub filename: Option<PathBuf>,

    /// Run the command as this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// Do not wait for the command (deprecated)
    #[arg(long, hide_short_help = true)]
    pub background: bool,

    #[command(flatten)]
    pub formats: FormatArgs,

    /// The file, and the command, in which {} stands for the path of the decrypted file
    #[arg(value_name = "FILE COMMAND")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Print as JSON whether a file is encrypted
#[derive(Debug, Default, Args)]
pub struct Filestatus {
    /// Read the file as yaml, json, dotenv, ini or binary, whatever its name says
    #[arg(long, value_name = "TYPE")]
    pub input_type: Option<String>,

    /// The file
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,
}

/// Change the key groups of a file
#[derive(Debug, Args)]
pub struct Groups {
    #[command(subcommand)]
    pub command: Option<groups::Command>,
}

/// Send files to the places that destination rules name
#[derive(Debug, Args)]
pub struct Publish {
    /// Do not ask before something is sent
    #[arg(short, long)]
    pub yes: bool,

    /// Leave out file name extensions
    #[arg(long)]
    pub omit_extensions: bool,

    /// Take the files of a folder and those below it
    #[arg(long)]
    pub recursive: bool,

    /// The file
    #[arg(value_name = "FILE")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

/// Print a script that completes sops's commands in a shell
#[derive(Debug, Args)]
pub struct Completion {
    /// The shell
    pub shell: Option<Shell>,
}

/// The whole command line, without what our groups of arguments have and sops does not need.
pub fn command() -> clap::Command {
    let hide = |arg: clap::Arg| arg.hide(true);
    let mut command = Sops::command()
        .mut_arg("allow_recipient", hide)
        .mut_subcommand("rotate", |rotate| rotate.mut_arg("allow_recipient", hide))
        .mut_subcommand("groups", |groups| {
            let as_in_sops = |command: clap::Command| {
                command.mut_arg("allow_recipient", hide).mut_arg("file", |file| file.required(false))
            };
            groups.mut_subcommand("add", as_in_sops).mut_subcommand("delete", as_in_sops)
        });
    command.build();
    command
}

impl Flags {
    /// The command that these flags stand for. As in sops, of several the last counts, in the order encrypt, decrypt,
    /// rotate, set.
    pub fn verb(self) -> Result<Verb> {
        let Self {
            place, filename_override, formats, words, keys, rules, identities, ignore_mac, aws, ..
        } = self;
        if let Some(set) = self.set {
            let (path, value) = split(&set)?;
            let words = words.into_iter().take(1).chain([path.into(), value.into()]).collect();
            return Ok(Verb::Set(Set { ignore_mac, formats, words, identities, ..Set::default() }));
        }
        if self.rotate {
            let change = self.change;
            return Ok(Verb::Rotate(Rotate {
                place,
                ignore_mac,
                filename_override,
                formats,
                words,
                change,
                identities,
                aws,
            }));
        }
        if self.decrypt {
            let extract = self.extract;
            return Ok(Verb::Decrypt(Decrypt {
                place,
                extract,
                ignore_mac,
                filename_override,
                formats,
                words,
                identities,
            }));
        }
        if self.encrypt {
            return Ok(Verb::Encrypt(Encrypt { place, filename_override, formats, words, keys, rules, aws }));
        }
        let show_master_keys = self.show_master_keys;
        Ok(Verb::Edit(Edit {
            show_master_keys,
            ignore_mac,
            filename_override,
            formats,
            words,
            keys,
            rules,
            identities,
            aws,
        }))
    }
}

/// The path and the value of `--set`.
fn split(set: &str) -> Result<(&str, &str)> {
    let end = set.find("] ").map(|at| at + 1);
    end.map(|end| (&set[..end], &set[end + 1..])).ok_or_else(|| {
        Error::new(Kind::SetFormat, "--set takes a path, a space, and a value as JSON")
            .advise("For instance --set '[\"database\"][\"port\"] 5432'.")
    })
}
