use std::process::ExitCode;

use clap_complete::Shell;

use crate::cli::commands::help;
use crate::cli::context::Context;
use crate::error::Result;

/// Print a script that completes sealant's commands in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(sealant completion bash)    # in ~/.bashrc, or only for this shell
  sealant completion bash > ~/.local/share/bash-completion/completions/sealant
  sealant completion zsh > \"${fpath[1]}/_sealant\"
  sealant completion fish > ~/.config/fish/completions/sealant.fish
  sealant completion powershell | Out-String | iex    # in $PROFILE")]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::command(), "sealant", &mut script);
    context.ui.out(asking(args.shell, &String::from_utf8_lossy(&script)).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The script with what the program itself is asked for: keys of a document, names of recipients.
fn asking(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => script.replace("complete -F _sealant ", "complete -F _sealant_asking ") + BASH,
        Shell::Zsh => {
            let script = script.replace("compdef _sealant sealant", "compdef _sealant_asking sealant");
            ZSH.to_owned()
                + &script.replace(
                    "    _sealant \"$@\"\n",
                    "    compdef _sealant_asking sealant\n    _sealant_asking \"$@\"\n",
                )
        }
        Shell::Fish => script.to_owned() + FISH,
        _ => script.to_owned(),
    }
}

/// Words are given to `sealant` on the PATH, never to a program of the folder.
const BASH: &str = r#"
_sealant_asking() {
    local candidate found=()
    while IFS= read -r candidate; do
        found+=("$(printf '%q' "$candidate")")
    done < <(sealant __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    case "${found[0]-}" in
        '') _sealant "$@" ;;
        '\<programs\>') COMPREPLY=($(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")) ;;
        *) COMPREPLY=("${found[@]}") ;;
    esac
}
"#;

const ZSH: &str = r#"#compdef sealant

_sealant_asking() {
    local -a found
    found=("${(@f)$(sealant __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    case "${found[1]-}" in
        '') _sealant "$@" ;;
        '<programs>') _command_names -e ;;
        *) compadd -- "${found[@]}" ;;
    esac
}

"#;

const FISH: &str = r#"
function __sealant_asking
    sealant __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c sealant -n '__fish_seen_subcommand_from get set unset recipient help man completion' -a '(__sealant_asking)'
complete -c sealant -n '__fish_seen_subcommand_from help man completion' -f
complete -c sealant -n '__fish_seen_subcommand_from who-can-decrypt blast-radius' -l recipient -x -a '(__sealant_asking)'
complete -c sealant -n '__fish_seen_subcommand_from recipient; and __fish_seen_subcommand_from rm' -f
complete -c sealant -n '__fish_seen_subcommand_from encrypt edit seal groups' -l age -x -a '(__sealant_asking)'
complete -c sealant -n '__fish_seen_subcommand_from rotate' -l add-age -x -a '(__sealant_asking)'
complete -c sealant -n '__fish_seen_subcommand_from rotate' -l rm-age -x -a '(__sealant_asking)'
complete -c sealant -n '__fish_seen_subcommand_from rotate groups edit set seal' -l allow-recipient -x -a '(__sealant_asking)'
complete -c sealant -n '__fish_seen_subcommand_from updatekeys' -l add -x -a '(__sealant_asking)'
complete -c sealant -n '__fish_seen_subcommand_from exec-env' -a '(__fish_complete_subcommand --fcs-skip=3)'
"#;
