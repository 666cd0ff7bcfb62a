use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::commands::help;
use crate::cli::context::Context;
use crate::cli::pipeline::refuse_outside;
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode, PrivateDir};
use crate::host::Command;

/// Show the manual page of a command, or write all of them
///
/// On a terminal the page is shown by `man`. Into a pipe or a file it is written as it is, in roff.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant man encrypt
  sealant man encrypt > sealant-encrypt.1
  sealant man --dir ~/.local/share/man/man1")]
pub struct Args {
    /// A command
    command: Vec<String>,

    /// Write all pages into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut root = help::command();
    root.build();
    if let Some(dir) = &args.dir {
        refuse_outside(dir, context)?;
        write_all(&root, dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let command = help::subcommand(&root, &args.command).ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no command `{}`", args.command.join(" ")))
            .advise("`sealant help` lists the commands.")
    })?;
    let (name, text) = page(command)?;
    if io::stdout().is_terminal() {
        return show(&name, &text, &args.command, context);
    }
    context.ui.out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Has `man` show a page, in a pager.
fn show(name: &str, text: &[u8], words: &[String], context: &Context) -> Result<ExitCode> {
    let folder = PrivateDir::new(context.host)?;
    let path = folder.create(name, text)?;
    let man = Command { program: "man".into(), args: vec!["-l".into(), path.into()], ..Command::default() };
    match context.host.run_in_front(&man) {
        Ok(status) if status.success() => Ok(ExitCode::SUCCESS),
        _ => Err(Error::new(Kind::Other, "`man` cannot show the page").advise(format!(
            "`sealant help {}` says the same. `sealant man --dir DIR` writes all pages.",
            words.join(" ")
        ))),
    }
}

fn write_all(root: &clap::Command, dir: &Path) -> Result<()> {
    fs::create_folders(dir, Mode::Public)?;
    let (name, text) = page(root)?;
    fs::write_below(dir, Path::new(&name), &text, Mode::Public)?;
    root.get_subcommands().try_for_each(|command| write_all(command, dir))
}

/// The name of a page's file and its text.
fn page(command: &clap::Command) -> Result<(String, Vec<u8>)> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone().after_help(None::<&str>))
        .manual("Sealant")
        .source(format!("sealant {}", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render(&mut text)
        .and_then(|()| section_as_it_is(&examples).to_writer(&mut text))
        .map_err(|error| Error::new(Kind::Emit, "the manual page cannot be written").caused_by(error))?;
    Ok((man.get_filename(), text))
}

/// The examples as a section whose lines stay: man would fill them like prose.
fn section_as_it_is(examples: &str) -> Roff {
    let mut section = Roff::new();
    let Some(lines) = examples.strip_prefix("Examples:\n") else { return section };
    section.control("SH", ["EXAMPLES"]).control("nf", []);
    lines.lines().for_each(|line| {
        section.text([roman(line)]);
    });
    section.control("fi", []);
    section
}
