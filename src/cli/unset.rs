use std::process::ExitCode;

use crate::cli::Context;
use crate::cli::change::ChangeArgs;
use crate::error::{Kind, Result};

/// Remove one value from an encrypted file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant unset secrets.enc.yaml '[\"database\"][\"password\"]'
  sealant unset --idempotent secrets.enc.yaml '[\"hosts\"][0]'")]
pub struct Args {
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let path = args.change.tree_path()?;
    args.change.run(context, |document| {
        let edits = path.unset(document)?;
        if edits.is_none() && !args.change.idempotent {
            path.find(document).map_err(|error| {
                let hint = error.advice().map(|hint| format!("{hint}\n")).unwrap_or_default();
                let idempotent = "With --idempotent, nothing to remove is no error.";
                error.with_kind(Kind::Other).advise(format!("{hint}{idempotent}"))
            })?;
        }
        Ok(edits)
    })
}
