use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs, KeyArgs, RuleArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Open a file decrypted in an editor, and encrypt what changed
///
/// The editor is $SOPS_EDITOR, else $EDITOR, else vim, nano or vi. A file that does not exist yet begins with an
/// example. Nothing is written when nothing was changed; the exit code is 200 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant edit secrets.enc.yaml
  EDITOR='code --wait' sealant edit secrets.enc.yaml")]
pub struct Args {
    /// The file to edit
    file: PathBuf,

    /// Show the metadata too, recipients among them
    #[arg(short, long)]
    show_master_keys: bool,

    /// Go on when the file is not what was encrypted
    #[arg(long)]
    ignore_mac: bool,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    rules: RuleArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("edit")
}
