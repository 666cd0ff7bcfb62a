//! Which editor a person wants.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host};
use crate::os;
use crate::programs;

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

fn locate(host: &dyn Host, program: impl AsRef<Path>) -> Option<PathBuf> {
    programs::locate(host.env("PATH").as_deref(), program.as_ref())
}
