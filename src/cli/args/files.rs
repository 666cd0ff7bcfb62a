//! Which files to read, as what, and where results go.

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::path::{Component, Path, PathBuf};

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::cli::context::Context;
use crate::cli::ui::Ui;
use crate::config::Dialect;
use crate::document::Format;
use crate::encrypted_file;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::secret::SecretBytes;
use crate::shown::typed;

/// What standard input is called in messages.
pub const STDIN: &str = "standard input";

/// The files to work on.
#[derive(Debug, Clone, Default, Args)]
pub struct InputArgs {
    /// Files, folders, patterns such as '**/*.enc.yaml', or `-` for standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Choose creation rule and file type as for a file of this name
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `None` is standard input.
    pub path: Option<PathBuf>,
    /// What creation rule and file type are chosen by; `None` for standard input without `--filename-override`.
    pub name: Option<PathBuf>,
    /// Named on the command line; else found in a folder or by a pattern, among files that may be none of ours.
    pub named: bool,
}

impl Input {
    /// One file that was named on the command line; `-` is standard input.
    pub fn of(file: &Path) -> Self {
        let path = (file != Path::new("-")).then(|| file.to_path_buf());
        Self { name: path.clone(), path, named: true }
    }

    /// A file that nobody has named by hand.
    pub fn found(file: &Path) -> Self {
        Self { path: Some(file.to_path_buf()), name: Some(file.to_path_buf()), named: false }
    }

    /// Reads all of it, at most `limit` bytes.
    pub fn read(&self, limit: usize) -> Result<SecretBytes> {
        if let Some(path) = &self.path {
            let read = if self.named { fs::read } else { fs::read_found };
            return read(path, limit as u64);
        }
        let cannot = |why: &str| Error::new(Kind::Read, format!("standard input {why}"));
        let bytes = fs::read_at_most(io::stdin().lock(), limit as u64, 0)
            .map_err(|error| cannot("cannot be read").caused_by(error))?;
        bytes.ok_or_else(|| cannot(&format!("is larger than {limit} bytes, the most that can be read")))
    }

    /// What to call it in a message.
    pub fn shown(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(STDIN))
    }
}

/// All there is to read.
#[derive(Debug, Default)]
pub struct Inputs {
    pub inputs: Vec<Input>,
    /// The links that were skipped in folders.
    pub links: Vec<PathBuf>,
    /// What looks like a leftover of a killed run, and was skipped in folders.
    pub leftovers: Vec<Input>,
    /// The folders that were looked through, called as what was found in them begins.
    pub folders: Vec<PathBuf>,
    /// The repositories in these.
    pub repositories: Vec<PathBuf>,
    /// How many files were left out since Git ignores them.
    pub ignored: usize,
    /// What could not be looked at.
    pub errors: Vec<Error>,
    /// There are several, or there could be: results can't all go to one place.
    pub many: bool,
}

/// How somebody finds the name of an encrypted file.
pub const LISTED: &str = "`sealant status` lists the files that are encrypted.";

impl Inputs {
    /// Says something else of files that are not there, and have no likely other name, than how to find encrypted ones.
    pub fn advise_missing(&mut self, advice: impl Fn(&Path) -> Option<String>) {
        for error in &mut self.errors {
            let file = error.file().filter(|_| error.advice() == Some(LISTED));
            if let Some(advice) = file.and_then(&advice) {
                *error = std::mem::replace(error, Error::new(Kind::NoFile, "")).advise(advice);
            }
        }
    }

    /// Whether all that was given is a pattern that no file matches.
    fn is_unmatched(&self) -> bool {
        self.inputs.is_empty() && !self.errors.is_empty() && !self.folders.is_empty()
    }
}

impl InputArgs {
    /// Whether standard input is meant.
    pub fn takes_stdin(&self) -> bool {
        self.files.is_empty() || self.files == [Path::new("-")]
    }

    /// The inputs that are meant. Without any FILE it is standard input, unless that is a terminal.
    pub fn inputs(&self) -> Result<Inputs> {
        let is_stdin = |path: &Path| path == Path::new("-");
        let name = &self.filename_override;
        let [only] = &self.files[..] else {
            if self.files.is_empty() {
                return self.only_stdin(io::stdin().is_terminal());
            }
            if name.is_some() {
                return Err(conflict("--filename-override names one file, and several were given"));
            }
            if self.files.iter().any(|file| is_stdin(file)) {
                return Err(conflict("standard input (`-`) cannot be read along with files"));
            }
            return Ok(self.walk(true));
        };
        if is_stdin(only) {
            return self.only_stdin(false);
        }
        let walk = self.walk(false);
        if walk.many && name.is_some() {
            return Err(conflict("--filename-override names one file, and a folder or pattern was given"));
        }
        Ok(walk)
    }

    fn only_stdin(&self, is_terminal: bool) -> Result<Inputs> {
        if is_terminal {
            return Err(Error::new(Kind::Usage, "no file was given")
                .advise("Name a file, or pipe one in. `-` stands for standard input."));
        }
        let input = Input { path: None, name: self.filename_override.clone(), named: true };
        Ok(Inputs { inputs: vec![input], ..Inputs::default() })
    }

    /// What is said of a file that is not there, and has no likely other name.
    fn looked_for(&self, error: Error) -> Error {
        let is_named = self.files.iter().any(|file| error.file() == Some(file.as_path()));
        if is_named { error.advise_if_missing(LISTED) } else { error }
    }

    fn walk(&self, many: bool) -> Inputs {
        let mut found = fs::walk(&self.files);
        let input = |path: PathBuf| Input {
            name: Some(self.filename_override.clone().unwrap_or_else(|| path.clone())),
            named: self.files.contains(&path),
            path: Some(path),
        };
        let inputs: Vec<_> = std::mem::take(&mut found.files).into_iter().map(input).collect();
        let leftovers = std::mem::take(&mut found.leftovers).into_iter().map(input).collect();
        // A folder has results of its own, however many files are in it.
        let many = many || !found.folders.is_empty() || inputs.len() > 1;
        let fs::Walk { links, folders, repositories, errors, .. } = found;
        let errors = errors.into_iter().map(|error| self.looked_for(error)).collect();
        Inputs { inputs, links, leftovers, folders, repositories, ignored: 0, errors, many }
    }
}

/// What the input is, and what the output should be.
#[derive(Debug, Clone, Default, Args)]
pub struct FormatArgs {
    /// Read the input as yaml, json, dotenv, ini or binary, whatever its name says
    #[arg(long, value_name = "TYPE")]
    pub input_type: Option<String>,

    /// Write the output as yaml, json, dotenv, ini or binary, whatever the input's name says
    #[arg(long, value_name = "TYPE")]
    pub output_type: Option<String>,
}

/// The types that flags ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Formats {
    pub input: Option<Format>,
    pub output: Option<Format>,
    /// Whether names alone say what a file is, or also what is in it.
    pub dialect: Dialect,
}

impl FormatArgs {
    /// The types that are asked for. As in sops, one that nobody knows counts as not given; but we say so.
    pub fn formats(&self, context: &Context) -> Formats {
        self.formats_in(context.ui, context.dialect)
    }

    fn formats_in(&self, ui: &Ui, dialect: Dialect) -> Formats {
        let format = |flag: &str, given: &Option<String>| {
            let given = given.as_deref().filter(|name| !name.is_empty())?;
            let format = Format::from_name(given);
            if format.is_none() {
                ui.warning(format!("{flag} {given}: there is no such type, so the file's name decides"));
            }
            format
        };
        Formats {
            input: format("--input-type", &self.input_type),
            output: format("--output-type", &self.output_type),
            dialect,
        }
    }

    /// The input's type, for a command that writes no other: there `--output-type` is an error.
    pub fn input_only(&self, context: &Context) -> Result<Formats> {
        match self.output_type {
            None => Ok(self.formats(context)),
            Some(_) => Err(conflict("--output-type has no meaning here: files keep their type")
                .advise("To convert a file, decrypt it with --output-type, then encrypt the result.")),
        }
    }
}

impl Formats {
    /// As what to read a file of this name.
    pub fn of_input(&self, name: Option<&Path>) -> Format {
        self.input.unwrap_or_else(|| by_name(name))
    }

    /// As what to read this content of a file of this name. To sops the name alone says it.
    pub fn of_content(&self, name: Option<&Path>, bytes: &SecretBytes) -> Format {
        match (self.input, self.dialect) {
            (None, Dialect::Sealant) => encrypted_file::format_in(by_name(name), bytes),
            _ => self.of_input(name),
        }
    }

    /// As what to write what came from a file of this name. As in sops, `--input-type` says nothing about it.
    pub fn of_output(&self, name: Option<&Path>) -> Format {
        self.output.unwrap_or_else(|| by_name(name))
    }

    /// As what to write what came from a file of this name and was `read` as something: the same, unless the command
    /// line asks for another. To sops the name alone says it.
    pub fn of_result(&self, read: Format, name: Option<&Path>, dialect: Dialect) -> Format {
        match (self.output, dialect) {
            (None, Dialect::Sealant) => read,
            _ => self.of_output(name),
        }
    }

    /// The same for what is encrypted: a document that becomes a binary file is written as JSON, as binary files are.
    pub fn of_encrypted(&self, read: Format, name: Option<&Path>, dialect: Dialect) -> Format {
        match self.of_result(read, name, dialect) {
            Format::Binary if read != Format::Binary && dialect == Dialect::Sops => Format::Json,
            written => written,
        }
    }
}

fn by_name(name: Option<&Path>) -> Format {
    name.map_or(Format::Binary, Format::of_path)
}

/// Where results go.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Replace each file with its result
    #[arg(short, long)]
    pub in_place: bool,

    /// Write the result to this file
    #[arg(short, long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(not_a_type))]
    pub output: Option<PathBuf>,

    /// Write the results into this folder, under the paths that were given
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,

    /// Write nothing: only say which files would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// Refuses the name of a type as an output file: kubectl and kubeseal take a type by `-o`, and plaintext would be left in a
/// file that nobody asked for.
fn not_a_type(file: PathBuf) -> Result<PathBuf, String> {
    match file.to_str().and_then(Format::from_name) {
        Some(format) => Err(format!(
            "this flag names a file. For the type: --output-type {0}; for a file of this name: --output ./{0}",
            format.name()
        )),
        None => Ok(file),
    }
}

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    InPlace,
    File(PathBuf),
    Folder(PathBuf),
}

/// Where the results of several files can go.
const SEVERAL: &str = "Add --in-place to replace the files, or --output-dir DIR to write copies.";

impl OutputArgs {
    /// As [`OutputArgs::destination`], of plaintext: it is not meant to lie in the repository.
    pub fn destination_of_plaintext(&self, inputs: &Inputs) -> Result<Destination> {
        self.destination(inputs).map_err(|error| match error.advice() == Some(SEVERAL) {
            true => error.advise(
                "Add --output-dir DIR to write the plaintext to another folder. --in-place leaves it here in the place of the \
                 encrypted files.",
            ),
            false => error,
        })
    }

    /// A command of ours with these flags, as it is typed.
    pub fn shown_in(&self, command: &str) -> String {
        let folder = self.output_dir.as_deref().map(|folder| format!(" --output-dir {}", typed(folder)));
        let in_place = if self.in_place { " -i" } else { "" };
        format!("sealant {command}{in_place}{}", folder.unwrap_or_default())
    }

    /// Where the results of `inputs` go; an error of kind [`Kind::Conflict`] when that cannot be.
    pub fn destination(&self, inputs: &Inputs) -> Result<Destination> {
        let destination = match (self.in_place, &self.output, &self.output_dir) {
            (false, None, None) => Destination::Stdout,
            (true, None, None) => Destination::InPlace,
            (false, Some(file), None) => Destination::File(file.clone()),
            (false, None, Some(folder)) => Destination::Folder(folder.clone()),
            _ => return Err(conflict("--in-place, --output and --output-dir cannot be combined")),
        };
        match &destination {
            // That nothing matches a pattern is for its own error to say.
            Destination::Stdout | Destination::File(_) if inputs.many && !inputs.is_unmatched() => {
                Err(conflict("the results of several files cannot go into one output").advise(SEVERAL))
            }
            Destination::InPlace | Destination::Folder(_)
                if inputs.inputs.iter().any(|input| input.path.is_none()) =>
            {
                Err(conflict("the result for standard input has no file to go to")
                    .advise("Remove the flag to print the result, or add --output FILE."))
            }
            Destination::Folder(_) => destination.refuse_collisions(inputs).map(|()| destination),
            _ => Ok(destination),
        }
    }
}

impl Destination {
    /// The file into which the result of `input` goes; `None` is standard output.
    pub fn path_for(&self, input: &Input) -> Option<PathBuf> {
        match self {
            Self::Stdout => None,
            Self::InPlace => input.path.clone(),
            Self::File(file) => Some(file.clone()),
            Self::Folder(folder) => input.path.as_deref().map(|path| folder.join(below(path))),
        }
    }

    /// Says that a result was only shown, on a terminal: `stays` says of the file what somebody may take to have changed.
    pub fn tell_only_shown(&self, inputs: &[Input], stays: &str, context: &Context) {
        let [Input { path: Some(path), .. }] = inputs else { return };
        if *self == Self::Stdout && !context.is_sops() && io::stdout().is_terminal() {
            let path = path.display();
            context.ui.note(format!("this was only printed, and {path} {stays}: add -i to replace the file"));
        }
    }

    fn refuse_collisions(&self, inputs: &Inputs) -> Result<()> {
        let mut taken = HashSet::new();
        let paths = inputs.inputs.iter().filter_map(|input| self.path_for(input));
        match paths.into_iter().find(|path| !taken.insert(path.clone())) {
            Some(twice) => Err(conflict("the results of two files would go into this one").in_file(twice)),
            None => Ok(()),
        }
    }
}

/// The path as it was given, without what would lead out of a folder.
fn below(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

fn conflict(message: &str) -> Error {
    Error::new(Kind::Conflict, message)
}

/// The path without the `./` that comes from looking through the folder that one is in.
pub fn plain_path(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Input {
        Input { path: Some(path.into()), name: Some(path.into()), named: true }
    }

    fn stdin() -> Input {
        Input { path: None, name: None, named: true }
    }

    fn inputs(inputs: Vec<Input>) -> Inputs {
        Inputs { many: inputs.len() > 1, inputs, ..Inputs::default() }
    }

    fn output(flags: &str) -> OutputArgs {
        OutputArgs {
            in_place: flags.contains('i'),
            output: flags.contains('o').then(|| "out".into()),
            output_dir: flags.contains('d').then(|| "dir".into()),
            dry_run: false,
        }
    }

    #[test]
    fn results_go_where_the_flags_say() {
        let one = inputs(vec![file("../a/./b.yaml")]);
        let cases =
            [("", None), ("i", Some("../a/./b.yaml")), ("o", Some("out")), ("d", Some("dir/a/b.yaml"))];
        for (flags, path) in cases {
            let destination = output(flags).destination(&one).unwrap();
            assert_eq!(destination.path_for(&one.inputs[0]), path.map(PathBuf::from), "{flags}");
        }
    }

    #[test]
    fn what_cannot_be_is_a_conflict() {
        let cases = [
            ("io", vec![file("a")]),
            ("id", vec![file("a")]),
            ("od", vec![file("a")]),
            ("", vec![file("a"), file("b")]),
            ("o", vec![file("a"), file("b")]),
            ("i", vec![stdin()]),
            ("d", vec![stdin()]),
            ("d", vec![file("a"), file("../a")]),
        ];
        for (flags, files) in cases {
            let error = output(flags).destination(&inputs(files)).unwrap_err();
            assert_eq!(error.kind(), Kind::Conflict, "{flags}: {error}");
        }
    }

    #[test]
    fn without_files_standard_input_is_read_but_not_a_terminal() {
        let args = InputArgs::default();
        assert_eq!(args.only_stdin(false).unwrap().inputs, [stdin()]);
        assert_eq!(args.only_stdin(true).unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn a_type_that_nobody_knows_falls_back_to_the_name() {
        let ui = Ui::new(crate::cli::ui::ColorWhen::Never, true, true);
        let args = FormatArgs { input_type: Some("yml".into()), output_type: Some("json".into()) };
        let formats = args.formats_in(&ui, Dialect::Sealant);
        assert_eq!(formats, Formats { output: Some(Format::Json), ..Formats::default() });
        assert_eq!(formats.of_input(Some(Path::new("a.env"))), Format::Dotenv);
        assert_eq!(formats.of_input(None), Format::Binary);
        assert_eq!(formats.of_output(Some(Path::new("a.env"))), Format::Json);
    }

    #[test]
    fn what_was_read_is_written_unless_sops_goes_by_the_name() {
        let name = Some(Path::new("a.conf"));
        let asked = Formats { output: Some(Format::Json), ..Formats::default() };
        for dialect in [Dialect::Sealant, Dialect::Sops] {
            assert_eq!(asked.of_result(Format::Yaml, name, dialect), Format::Json);
        }
        let none = Formats::default();
        assert_eq!(none.of_result(Format::Yaml, name, Dialect::Sealant), Format::Yaml);
        assert_eq!(none.of_result(Format::Yaml, name, Dialect::Sops), Format::Binary);
        assert_eq!(none.of_encrypted(Format::Yaml, name, Dialect::Sops), Format::Json);
    }
}
