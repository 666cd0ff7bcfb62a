//! `sealant help`, and how the list of commands is laid out.

use std::fmt::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::builder::StyledStr;

use crate::cli::Cli;
use crate::cli::context::Context;
use crate::config::json_schema;
use crate::error::{EXIT_CODES, Error, Kind, Result};
use crate::hints;

/// The commands as `sealant --help` lists them. A test sees to it that none is missing.
const GROUPS: &[(&str, &[&str])] = &[
    ("Start", &["init", "keygen", "doctor", "explain", "demo"]),
    (
        "Documents",
        &[
            "encrypt",
            "decrypt",
            "edit",
            "get",
            "set",
            "unset",
            "rotate",
            "updatekeys",
            "rewrap",
            "recipient",
            "groups",
            "publish",
            "diff",
            "exec-env",
            "exec-file",
            "export",
            "filestatus",
        ],
    ),
    ("Kubernetes", &["seal", "unseal", "inspect", "fetch-recipient"]),
    ("Repository", &["check", "status", "who-can-decrypt", "blast-radius", "audit"]),
    ("Git", &["git", "resolve", "hook"]),
    (
        "Integrations",
        &[
            "migrate",
            "argocd",
            "ksops",
            "vault",
            "keyservice",
            "sops",
            #[cfg(feature = "bitnami")]
            "kubeseal",
            "link",
        ],
    ),
    ("Shell", &["completion", "man", "help"]),
];

/// The commands of every day, which `sealant` alone shows: with a line for the others they fit on one screen.
const COMMON: &[&str] = &[
    "init",
    "encrypt",
    "decrypt",
    "edit",
    "get",
    "set",
    "diff",
    "exec-env",
    "recipient",
    "updatekeys",
    "check",
    "explain",
    "doctor",
    "seal",
];

/// The commands that read files, or change them, and write no other type.
const STAY_OF_THEIR_TYPE: &[&str] = &[
    "edit",
    "set",
    "unset",
    "rotate",
    "updatekeys",
    "rewrap",
    "inspect",
    "check",
    "status",
    "who-can-decrypt",
];

pub const TOPIC_EXIT_CODES: &str = "exit-codes";
pub const TOPIC_CONFIG_SCHEMA: &str = "config-schema";

/// Print help on a command, exit codes, or the config's schema
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant help encrypt
  sealant help git install
  sealant help exit-codes
  sealant help config-schema > config.schema.json    # for editors")]
pub struct Args {
    /// A command, such as `encrypt` or `git install`; or `exit-codes` or `config-schema`
    topic: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match &args.topic[..] {
        [topic] if topic == TOPIC_EXIT_CODES => print_exit_codes(context)?,
        [topic] if topic == TOPIC_CONFIG_SCHEMA => context.ui.json(&json_schema())?,
        topic => context.ui.help(&help_of(topic)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn help_of(topic: &[String]) -> Result<StyledStr> {
    let mut root = command();
    root.build();
    if topic.is_empty() {
        return Ok(root.render_help());
    }
    let mut found = subcommand(&root, topic).cloned().ok_or_else(|| {
        let error = Error::new(Kind::Usage, format!("there is no help on `{}`", topic.join(" ")));
        match hints::misspelt(&topic[0], root.get_subcommands().map(clap::Command::get_name)) {
            Some(meant) if topic[0] != meant => error.advise(format!("`sealant help {meant}`")),
            _ => error.advise("`sealant help` lists the commands, `sealant help exit-codes` the exit codes."),
        }
    })?;
    Ok(if has_long_help(&found) { found.render_long_help() } else { found.render_help() })
}

/// The command of one or more words, such as `git install`.
pub fn subcommand<'c>(root: &'c clap::Command, words: &[String]) -> Option<&'c clap::Command> {
    words.iter().try_fold(root, |command, word| command.find_subcommand(word))
}

/// Whether there is more to say than `-h` says; clap goes by the same to lay out `--help`.
fn has_long_help(command: &clap::Command) -> bool {
    let more = |arg: &clap::Arg| arg.get_long_help().is_some() || arg.is_hide_short_help_set();
    command.get_long_about().is_some() || command.get_arguments().any(more)
}

fn print_exit_codes(context: &Context) -> Result<()> {
    let codes =
        [(0, "success")].into_iter().chain(EXIT_CODES.iter().map(|(_, code, meaning)| (*code, *meaning)));
    let rows: Vec<_> = codes.map(|(code, meaning)| vec![format!("{code:>4}"), meaning.to_owned()]).collect();
    context.ui.table(&["code", "meaning"], &rows)
}

/// The whole command line, its commands in groups.
pub fn command() -> clap::Command {
    // There the flag of sops is understood, and says nothing new.
    let command = STAY_OF_THEIR_TYPE.iter().fold(Cli::command(), |command, name| {
        command.mut_subcommand(name, |command| command.mut_arg("output_type", |arg| arg.hide(true)))
    });
    // Nothing can be sealed for these, and trying it is an error that says so.
    let command = command.mut_subcommand("seal", |command| {
        ["pgp", "hckms"]
            .into_iter()
            .fold(command, |command, name| command.mut_arg(name, |arg| arg.hide(true)))
    });
    let header = command.get_styles().get_header();
    let mut list = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(list, "{header}{group}:{header:#}\n{}", listed(&command, names));
    }
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{list}{header}Global options:{header:#}\n{{options}}{{after-help}}"
    );
    command.help_template(template)
}

/// The same, which says less of itself: for somebody who typed `sealant` alone.
pub fn command_in_short() -> clap::Command {
    let command = command();
    let header = command.get_styles().get_header();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let list = listed(&command, COMMON);
    let text = format!(
        "{about}\n\n{header}Usage:{header:#} sealant COMMAND [OPTIONS] [FILE]...\n\n{list}\n`sealant help` lists all commands and options, and \
         `sealant help COMMAND`\nexplains one. `sealant demo` shows Sealant at work, in a temporary folder.\n"
    );
    command.override_help(text)
}

/// A line for each of these commands.
fn listed(command: &clap::Command, names: &[&str]) -> String {
    let literal = command.get_styles().get_literal();
    let line = |name: &&str| {
        let about = command.find_subcommand(name).and_then(clap::Command::get_about);
        let about = about.map(ToString::to_string).unwrap_or_default();
        format!("  {literal}{name:<16}{literal:#} {about}\n")
    };
    names.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_stands_in_one_group_and_has_examples() {
        let command = command();
        let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        let grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        assert_eq!(grouped.len(), names.len());
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), names.into_iter().collect());
        for command in command.get_subcommands() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.starts_with("Examples:\n"), "{}", command.get_name());
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    /// A line of prose is wrapped where there is room for it, but a command that is broken in two is no command.
    #[test]
    fn each_line_that_somebody_may_copy_fits_a_terminal_of_80_columns() {
        fn lines(command: &clap::Command) -> Vec<String> {
            let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let own = own.lines().filter(|line| line.starts_with(' ')).map(str::to_owned).collect::<Vec<_>>();
            own.into_iter().chain(command.get_subcommands().flat_map(lines)).collect()
        }
        let command = command();
        let listed = command.get_subcommands().filter_map(|command| command.get_about());
        let listed = listed.map(|about| format!("  {:<16} {about}", ""));
        let long: Vec<String> =
            lines(&command).into_iter().chain(listed).filter(|line| line.len() > 80).collect();
        assert!(long.is_empty(), "{}", long.join("\n"));
    }
}
