//! The command line of sops: what the program understands when it is called by that name.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::not_built;
use crate::cli::ui::Ui;
use crate::error::Result;

/// Understand a command line of sops: `sealant sops -d FILE`
///
/// A link to sealant named `sops` does the same: programs that start sops need no change.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  sealant sops --decrypt secrets.enc.yaml
  ln -s \"$(command -v sealant)\" ~/bin/sops && sops -e -i secrets.yaml"
)]
pub struct Args {
    /// The arguments of sops
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

pub fn run(_args: &[OsString], _ui: &Ui) -> Result<ExitCode> {
    not_built("sops")
}
