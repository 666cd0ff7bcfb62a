use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs, InputArgs, OutputArgs};
use crate::cli::{Context, not_built};
use crate::error::Result;

/// Encrypt files anew under a new data key
///
/// Whoever could decrypt before, and is no longer named, cannot decrypt what is set from now on. What they have seen
/// they have seen: change the secrets themselves, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant rotate -i secrets.enc.yaml
  sealant rotate -i --rm-age age1leaver... secrets/")]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,

    #[command(flatten)]
    outputs: OutputArgs,

    /// Let these age recipients decrypt, too
    #[arg(long, value_name = "RECIPIENT,...")]
    add_age: Vec<String>,

    /// No longer let these age recipients decrypt
    #[arg(long, value_name = "RECIPIENT,...")]
    rm_age: Vec<String>,

    /// Let these Vault transit keys decrypt, too
    #[arg(long, value_name = "URI,...")]
    add_hc_vault_transit: Vec<String>,

    /// No longer let these Vault transit keys decrypt
    #[arg(long, value_name = "URI,...")]
    rm_hc_vault_transit: Vec<String>,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(_: Args, _: &Context) -> Result<ExitCode> {
    not_built("rotate")
}
