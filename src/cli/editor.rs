//! Which editor a person wants, and where programs are.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host};
use crate::os;

/// The editor that `SOPS_EDITOR` or `EDITOR` name, else the first of the usual ones that is there.
pub(super) fn find(host: &dyn Host) -> Result<Command> {
    for variable in ["SOPS_EDITOR", "EDITOR"] {
        if let Some(line) = host.env_text(variable)? {
            return named(host, variable, &line);
        }
    }
    let usual =
        os::EDITORS.iter().find_map(|program| Some(os::start_as(program.into(), locate(host, program)?)));
    usual.map(|program| Command { program, ..Command::default() }).ok_or_else(|| {
        Error::new(
            Kind::NoEditor,
            format!("there is no editor: none of {} was found", os::EDITORS.join(", ")),
        )
        .advise(format!(
            "Set EDITOR to your editor's command, for instance `{}`.",
            os::how_to_set("EDITOR", "code --wait")
        ))
    })
}

fn named(host: &dyn Host, variable: &str, line: &str) -> Result<Command> {
    let wrong = |why: String| {
        Error::new(Kind::NoEditor, format!("{variable}: {why}"))
            .advise(format!("Set {variable} to the command of an editor that is installed."))
    };
    let command = Command::parse(line).map_err(|error| wrong(error.to_string()))?;
    match locate(host, Path::new(&command.program)) {
        Some(at) => Ok(Command { program: os::start_as(command.program, at), ..command }),
        None => Err(wrong(format!("there is no program `{}`", command.program.display()))),
    }
}

/// Where a program is: at its path, or in a folder of the `PATH`.
fn locate(host: &dyn Host, program: impl AsRef<Path>) -> Option<PathBuf> {
    let program = program.as_ref();
    if program.components().count() > 1 {
        return os::program_at(program);
    }
    let path = host.env("PATH")?;
    // An empty folder is the working directory, and what is in that is nobody's editor.
    let mut folders = std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty());
    folders.find_map(|folder| os::program_at(&folder.join(program)))
}
