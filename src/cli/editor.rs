//! Which editor a person wants, and where programs are.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host};

/// What is tried when no variable names an editor, as in sops.
const USUAL: [&str; 3] = ["vim", "nano", "vi"];

/// The editor that `SOPS_EDITOR` or `EDITOR` name, else the first of the usual ones that is there.
pub(super) fn find(host: &dyn Host) -> Result<Command> {
    for variable in ["SOPS_EDITOR", "EDITOR"] {
        if let Some(line) = host.env_text(variable)? {
            return named(host, variable, &line);
        }
    }
    let usual = USUAL.into_iter().find(|program| locate(host, program).is_some());
    usual.map(|program| Command { program: program.into(), ..Command::default() }).ok_or_else(|| {
        Error::new(Kind::NoEditor, format!("there is no editor: none of {} was found", USUAL.join(", ")))
            .advise("Set EDITOR to your editor's command, for instance `export EDITOR='code --wait'`.")
    })
}

fn named(host: &dyn Host, variable: &str, line: &str) -> Result<Command> {
    let wrong = |why: String| {
        Error::new(Kind::NoEditor, format!("{variable}: {why}"))
            .advise(format!("Set {variable} to the command of an editor that is installed."))
    };
    let command = Command::parse(line).map_err(|error| wrong(error.to_string()))?;
    let program = command.program.display();
    match locate(host, Path::new(&command.program)) {
        Some(_) => Ok(command),
        None => Err(wrong(format!("there is no program `{program}`"))),
    }
}

/// Where a program is: at its path, or in a folder of the `PATH`.
fn locate(host: &dyn Host, program: impl AsRef<Path>) -> Option<PathBuf> {
    let program = program.as_ref();
    let can_run = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if program.components().count() > 1 {
        return Some(program.to_path_buf()).filter(can_run);
    }
    let path = host.env("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(can_run)
}
