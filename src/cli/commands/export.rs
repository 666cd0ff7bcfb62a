//! `sealant export`: the variables of files, quoted for the program that reads them next.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use memchr::memmem;
use serde_json::{Map, Value as Data};
use zeroize::Zeroizing;

use crate::cli::args::{FormatArgs, IdentityArgs};
use crate::cli::context::Context;
use crate::cli::redact::Forms;
use crate::cli::variables::{self, Dangerous, Variable, is_name};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretBytes;
use crate::shown::typed;

/// Print values of files as variables, for a shell and others
///
/// Values must not be nested. Of two variables of one name the last file's counts. Names are letters, digits and `_`.
///
/// Variables that make a program run code, or send data elsewhere, such as PATH, LD_PRELOAD and NODE_OPTIONS, are
/// refused unless --only names them: otherwise anybody who can write the file could run any code.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(sealant export app.enc.env)\"
  sealant export --format json --only DB_USER,DB_PASSWORD app.enc.yaml
  sealant export --format docker a.env | docker run --env-file /dev/stdin app
  sealant export --format github app.enc.env >> \"$GITHUB_ENV\"")]
pub struct Args {
    /// Encrypted files, or `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Who reads them: a shell, dotenv, Docker's --env-file, $GITHUB_ENV of a job, or JSON
    ///
    /// github also tells the job to mask the values in its log, on standard error, so it is refused elsewhere.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Syntax,

    /// Only these variables, by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    identities: IdentityArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Syntax {
    #[default]
    Shell,
    Dotenv,
    Docker,
    Github,
    Json,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if args.format == Syntax::Github && context.host.env("GITHUB_ACTIONS").is_none_or(|value| value != "true")
    {
        return Err(Error::new(
            Kind::Conflict,
            "--format github prints the values as masks of a job, and this is not a GitHub Actions job",
        )
        .advise("A runner that understands `::add-mask::` sets GITHUB_ACTIONS=true."));
    }
    let files: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    let formats = args.formats.input_only(context)?;
    let variables = variables::read(&files, &args.only, formats, &args.identities, context)?;
    let dangerous = Dangerous::among(&variables, &args.only, context.host);
    if let Some(error) = dangerous.error() {
        return Err(error.advise(only_these(&files, &variables, &dangerous)));
    }
    variables.iter().try_for_each(refuse_name)?;
    let text = match args.format {
        Syntax::Json => json(&variables)?,
        Syntax::Github => github(&variables, context)?,
        Syntax::Shell => lines(&variables, |variable| Ok(shell(variable)))?,
        Syntax::Dotenv => lines(&variables, dotenv)?,
        Syntax::Docker => lines(&variables, docker)?,
    };
    context.ui.out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The command that leaves out what is dangerous.
fn only_these(files: &[&Path], variables: &[Variable], dangerous: &Dangerous<'_>) -> String {
    let is_dangerous = |name: &str| dangerous.all().any(|variable| variable.name == name);
    let names = variables.iter().map(|variable| variable.name.as_str()).filter(|name| !is_dangerous(name));
    let names: Vec<&str> = names.collect();
    let files: Vec<String> = files.iter().map(|file| typed(file)).collect();
    match names.is_empty() {
        true => "If that is what the file is for, name them with --only.".to_owned(),
        false => format!(
            "Without them: `sealant export --only {} {}`. With them, if that is what the file is for: name them, too.",
            typed(Path::new(&names.join(","))),
            files.join(" ")
        ),
    }
}

fn refuse_name(variable: &Variable) -> Result<()> {
    if is_name(&variable.name) {
        return Ok(());
    }
    let message = format!("{:?} is not a valid variable name: use letters, digits and `_`", variable.name);
    Err(Error::new(Kind::Conflict, message)
        .in_file(&variable.file)
        .advise("Rename it: `sealant edit FILE`. Or leave it out with --only."))
}

/// One line for each variable, put together where it is wiped.
fn lines(variables: &[Variable], line: impl Fn(&Variable) -> Result<SecretBytes>) -> Result<SecretBytes> {
    let lines: Vec<SecretBytes> = variables.iter().map(line).collect::<Result<_>>()?;
    let mut all = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
    lines.iter().for_each(|line| all.extend_from_slice(line));
    Ok(all)
}

/// A line of these parts.
fn joined(parts: &[&[u8]]) -> SecretBytes {
    SecretBytes::new(parts.concat())
}

/// For `eval` of any shell of POSIX: between single quotes only they mean something.
fn shell(variable: &Variable) -> SecretBytes {
    let pieces: Vec<&[u8]> = variable.value.split(|&byte| byte == b'\'').collect();
    let value = Zeroizing::new(pieces.join(&br"'\''"[..]));
    joined(&[b"export ", variable.name.as_bytes(), b"='", &value, b"'\n"])
}

/// As Compose, Node.js, Python, Ruby and shells read it alike; what they do not is refused.
fn dotenv(variable: &Variable) -> Result<SecretBytes> {
    let value = text_of(variable)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    let quote = if value.chars().all(is_plain) {
        ""
    } else if !value.contains(['\'', '\\', '\r']) {
        "'"
    } else if !value.contains(['"', '\\', '$', '`', '\r', '\n']) {
        "\""
    } else {
        return Err(refused(variable, "programs that read dotenv files do not agree on how to quote it"));
    };
    let quote = quote.as_bytes();
    Ok(joined(&[variable.name.as_bytes(), b"=", quote, value.as_bytes(), quote, b"\n"]))
}

/// Docker takes the rest of a line as it is.
fn docker(variable: &Variable) -> Result<SecretBytes> {
    let value = text_of(variable)?;
    if value.contains(['\n', '\r']) {
        return Err(refused(variable, "Docker reads a variable from one line, and its value has more"));
    }
    Ok(joined(&[variable.name.as_bytes(), b"=", value.as_bytes(), b"\n"]))
}

/// For the file of a job's variables. The values are masked before anybody can see them.
fn github(variables: &[Variable], context: &Context) -> Result<SecretBytes> {
    let mark = loop {
        let mark = format!("sealant-{:032x}", rand::random::<u128>());
        let holds_it = |value: &[u8]| memmem::find(value, mark.as_bytes()).is_some();
        if !variables.iter().any(|variable| holds_it(&variable.value)) {
            break mark;
        }
    };
    let mark = mark.as_bytes();
    let text = lines(variables, |variable| {
        let value = text_of(variable)?;
        let name = variable.name.as_bytes();
        Ok(joined(&[name, b"<<", mark, b"\n", value.as_bytes(), b"\n", mark, b"\n"]))
    })?;
    context.ui.commands(&Forms::of(variables.iter().map(|variable| &variable.value)).github_masks());
    Ok(text)
}

fn json(variables: &[Variable]) -> Result<SecretBytes> {
    let mut entries = Map::new();
    for variable in variables {
        entries.insert(variable.name.clone(), Data::from(text_of(variable)?));
    }
    let text = serde_json::to_vec_pretty(&entries);
    let mut text =
        SecretBytes::new(text.map_err(|error| Error::new(Kind::Emit, "cannot be written").caused_by(error))?);
    text.push(b'\n');
    Ok(text)
}

fn text_of(variable: &Variable) -> Result<&str> {
    str::from_utf8(&variable.value).map_err(|_| refused(variable, "its value is not UTF-8"))
}

fn refused(variable: &Variable, why: &str) -> Error {
    Error::new(Kind::Emit, format!("{} cannot be written in this format: {why}", variable.name))
        .in_file(&variable.file)
        .advise("Use --format shell or json, or leave it out with --only.")
}
