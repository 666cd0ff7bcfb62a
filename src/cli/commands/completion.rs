use std::process::ExitCode;

use clap_complete::Shell;

use crate::cli::commands::help;
use crate::cli::context::Context;
use crate::error::Result;

/// Print a script that completes sealant's commands in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(sealant completion bash)    # in ~/.bashrc, or for this shell alone
  sealant completion bash > ~/.local/share/bash-completion/completions/sealant
  sealant completion zsh > \"${fpath[1]}/_sealant\"
  sealant completion fish > ~/.config/fish/completions/sealant.fish")]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::command(), "sealant", &mut script);
    context.ui.out(&script)?;
    Ok(ExitCode::SUCCESS)
}
