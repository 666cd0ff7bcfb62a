use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{FormatArgs, IdentityArgs, Input};
use crate::cli::context::{Context, block_on};
use crate::cli::pipeline;
use crate::error::Result;
use crate::keys::StartedBy;
use crate::repo::git::textconv::{Remark, Shown, textconv};
use crate::shown::typed;

/// Print a file as `git diff`, `git log -p` and `git show` show it
///
/// A document is printed decrypted, a SealedSecret as the Secret that it makes. Other files, and those that you have
/// no key for, are printed unchanged. Never set diff.sealant.cachetextconv: Git would store the plaintext.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  git config diff.sealant.textconv 'sealant git textconv --'
  echo '*.yaml diff=sealant' >> .gitattributes")]
pub struct Args {
    /// The file, or Git's temporary copy of it
    file: PathBuf,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let formats = FormatArgs { input_type: None, output_type: None }.formats(context);
    let source = pipeline::read(&Input::found(&args.file), formats)?;
    let host = context.host.asking_nobody();
    let Shown { text, remark } = match args.identities.key_service_of(&host, StartedBy::Program) {
        Ok(service) => block_on(textconv(&host, &service, source)),
        Err(error) => Shown { text: source.bytes, remark: Some(Remark::AsItIs(error)) },
    };
    match remark {
        Some(Remark::AsItIs(error)) => context.ui.note(format!("shown as it is: {error}")),
        Some(Remark::NotVerified) => context.ui.note(format!(
            "{}: both sides of the conflict are shown without verification: no MAC covers them until \
             `sealant resolve {}`",
            args.file.display(),
            typed(&args.file)
        )),
        None => {}
    }
    context.ui.out(&text)?;
    Ok(ExitCode::SUCCESS)
}
