//! The variables that encrypted files hold, for the commands that hand them on: `exec-env` and `export`.
//!
//! Owns which files are read and in which order, and what is said of a file that was written as if a shell read it. What
//! may be handed to whom is the commands' to say.

use std::path::{Path, PathBuf};

use crate::batch;
use crate::cli::args::{Formats, IdentityArgs, Input};
use crate::cli::context::{Context, block_on};
use crate::cli::loaders::{is_detour, is_loader, leads_tokens_away};
use crate::cli::pipeline;
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretBytes;
use crate::shown::typed;

/// A variable, and the file that it comes from.
pub struct Variable {
    pub name: String,
    pub value: SecretBytes,
    pub file: PathBuf,
}

/// The variables of files; of two of one name the last counts. `only` names those that are wanted, if it names any.
pub fn read(
    files: &[&Path],
    only: &[String],
    formats: Formats,
    identities: &IdentityArgs,
    context: &Context,
) -> Result<Vec<Variable>> {
    let service = identities.key_service(context)?;
    let mut variables: Vec<Variable> = Vec::new();
    for file in files {
        let input = Input::of(file);
        let source = pipeline::as_taken(pipeline::read(&input, formats)?, context);
        let (is_dotenv, is_whole) = (source.format == Format::Dotenv, source.format == Format::Binary);
        let opened = block_on(batch::open_document(&service, source))?;
        let found = opened.file.variables(&opened.key).map_err(|error| error.in_file(input.shown()))?;
        let found: Vec<_> =
            found.into_iter().filter(|(name, _)| only.is_empty() || only.contains(name)).collect();
        if is_whole && !context.is_sops() {
            let (shown, file) = (input.shown().display(), typed(file));
            context.ui.warning(format!(
                "{shown}: it was encrypted as a whole, so all of it is in one variable, `data`. To have its values as variables: \
                 `sealant decrypt -i {file} && sealant encrypt -i --input-type dotenv {file}`"
            ));
        }
        if is_dotenv {
            found.iter().for_each(|(name, value)| tell_shell_syntax(input.shown(), name, value, context));
        }
        for (name, value) in found {
            variables.retain(|known| known.name != name);
            variables.push(Variable { name, value, file: input.shown().to_path_buf() });
        }
    }
    let missing: Vec<&str> = only
        .iter()
        .map(String::as_str)
        .filter(|name| !variables.iter().any(|variable| variable.name == *name))
        .collect();
    match missing.is_empty() {
        true => Ok(variables),
        false => Err(Error::new(Kind::TreePath, format!("there is no variable {}", missing.join(", ")))
            .in_file(files.last().copied().unwrap_or(Path::new("")))),
    }
}

/// Whether every shell takes this for the name of a variable.
pub fn is_name(name: &str) -> bool {
    let is_letter = |char: char| char.is_ascii_alphabetic() || char == '_';
    name.starts_with(is_letter) && name.chars().all(|char| is_letter(char) || char.is_ascii_digit())
}

/// Says what a line of a dotenv file means where a shell would read it in another way. The value is as sops has it, too.
fn tell_shell_syntax(file: &Path, name: &str, value: &[u8], context: &Context) {
    let shown = file.display();
    if name.starts_with("export ") || name.trim() != name {
        context.ui.warning(format!(
            "{shown}: the variable's name is {name:?}, spaces included: this file is not read by a shell"
        ));
    }
    let trimmed = value.trim_ascii();
    let is_in =
        |quote: u8| trimmed.len() > 1 && trimmed.first() == Some(&quote) && trimmed.last() == Some(&quote);
    if is_in(b'"') || is_in(b'\'') {
        context.ui.warning(format!("{shown}: the quotes around {name} are part of its value"));
    } else if value.windows(2).any(|pair| pair == b" #" || pair == b"\t#") {
        context.ui.warning(format!("{shown}: the text after `#` is part of the value of {name}"));
    }
}

/// What some variables make of whoever gets them, if others can write the file that they come from.
#[derive(Default)]
pub struct Dangerous<'v> {
    /// They decide what code runs.
    pub loaders: Vec<&'v Variable>,
    /// They decide who gets what is sent.
    pub detours: Vec<&'v Variable>,
}

impl<'v> Dangerous<'v> {
    /// Those of them that are not allowed by name.
    pub fn among(variables: &'v [Variable], allowed: &[String], host: &dyn Host) -> Self {
        let has = |wanted: &str| host.env(wanted).is_some_and(|value| !value.is_empty());
        let brings = |wanted: &str| {
            variables.iter().any(|one| one.name == wanted && !one.value.trim_ascii().is_empty())
        };
        let found = |is_one: &dyn Fn(&str) -> bool| -> Vec<&Variable> {
            let left = variables.iter().filter(|variable| !allowed.contains(&variable.name));
            left.filter(|variable| is_one(&variable.name)).collect()
        };
        Self {
            loaders: found(&is_loader),
            detours: found(&|name| is_detour(name) || leads_tokens_away(name, brings, has)),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &'v Variable> + '_ {
        self.loaders.iter().chain(&self.detours).copied()
    }

    /// An error that says what they would do.
    pub fn error(&self) -> Option<Error> {
        let names = |variables: &[&Variable]| {
            variables.iter().map(|variable| variable.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (code, sent) = (names(&self.loaders), names(&self.detours));
        let message = match (self.loaders.is_empty(), self.detours.is_empty()) {
            (true, true) => return None,
            (false, true) => format!("sets {code}, which lets anybody who can write the file run code"),
            (true, false) => {
                format!("sets {sent}, which lets anybody who can write the file read what the command sends")
            }
            (false, false) => format!(
                "sets {code}, which lets anybody who can write the file run code, and {sent}, which lets them read \
                 what the command sends"
            ),
        };
        let file = self.all().next().map(|variable| variable.file.clone()).unwrap_or_default();
        Some(Error::new(Kind::Conflict, message).in_file(file))
    }
}
