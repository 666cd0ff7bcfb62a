//! What commands over many files have in common: read in chunks, work, write where the results go, tell of failures.

use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;

use crate::batch::{CHUNK_BYTES, CHUNK_FILES, Source};
use crate::cli::args::plain_path;
use crate::cli::args::{Destination, Formats, Input, Inputs};
use crate::cli::context::Context;
use crate::cli::failures::Failures;
use crate::cli::ui::Ui;
use crate::document::Format;
use crate::encrypted_file::{Meant, meant};
use crate::error::{Error, Result};
use crate::fs::{self, HardLinks, Lock, Mode, Snapshot};
use crate::journal::{self, Action, Entry};
use crate::repo::git::named_top;
use crate::repo::outside::Outside;
use crate::secret::SecretBytes;
use crate::sops::{self, Ciphertext};

/// A file to work on.
pub struct Item {
    pub input: Input,
    pub source: Source,
}

/// What became of a file.
pub struct Output {
    pub bytes: SecretBytes,
    pub warnings: Vec<String>,
}

impl From<Ciphertext> for Output {
    fn from(Ciphertext { bytes, warnings }: Ciphertext) -> Self {
        Self { bytes: SecretBytes::new(bytes), warnings }
    }
}

/// A command over files and where its results go.
pub struct Pipeline<'a> {
    pub context: &'a Context<'a>,
    pub inputs: Inputs,
    pub formats: Formats,
    pub destination: Destination,
    pub dry_run: bool,
    /// Who may read new files: ciphertext is public, plaintext private.
    pub mode: Mode,
    /// What the progress bar says, such as `encrypting`.
    pub doing: &'static str,
    /// What is said in the end of those that were worked on and of those that were skipped, when files were found
    /// and not named.
    pub summary: Option<Summary>,
}

/// The words for what became of files.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// Such as `encrypted`.
    pub done: &'static str,
    /// What is said of those that are [`Passed::Already`].
    pub already: &'static str,
    /// What is said of those that are [`Passed::Other`].
    pub other: &'static str,
}

/// What is said of files that are named, though nothing was done to them.
pub const LEFT_ALONE: &str = "left alone";

/// Why a file that was only found was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// It is what the command makes of files.
    Already,
    /// It is in plaintext and stays so, for no creation rule names it.
    Plaintext,
    /// The same, as somebody wants it who has been told.
    Declined,
    /// It is nothing that the command is about.
    Other,
}

/// A file on its way through a command, or why it goes no further.
pub enum Taken<T> {
    On(T),
    Passed(Passed),
}

impl<T> From<Option<T>> for Taken<T> {
    fn from(taken: Option<T>) -> Self {
        taken.map_or(Self::Passed(Passed::Other), Self::On)
    }
}

/// How many names of files are told at most, unless somebody wants to see what would be done.
pub(super) const NAMES_TOLD: usize = 20;

/// Names of files as lines below a message; of many the first ones.
pub(super) fn lines_of<'p>(files: impl ExactSizeIterator<Item = &'p Path>, most: usize) -> Vec<String> {
    let count = files.len();
    // To name one more is as short as to say that there is one.
    let told = if count == most.saturating_add(1) { count } else { most };
    let names = files.take(told).map(|file| format!("  {}", plain_path(file).display()));
    names.chain((count > told).then(|| format!("  and {} more", count - told))).collect()
}

/// The first of these files, and how many more there are, in one line.
fn first_of(files: &[&Path]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> =
        files.iter().take(SHOWN).map(|file| plain_path(file).display().to_string()).collect();
    let more = files.len().checked_sub(SHOWN).filter(|more| *more > 0);
    names.join(", ") + &more.map(|more| format!(" and {more} more")).unwrap_or_default()
}

/// What became of the files of a run.
#[derive(Default)]
struct Told<'i> {
    done: Vec<&'i Path>,
    plaintext: Vec<&'i Path>,
    declined: usize,
    already: usize,
    other: Vec<&'i Path>,
    failed: usize,
}

impl<'i> Told<'i> {
    fn note(&mut self, input: &'i Input, became: &Result<Became>) {
        match became {
            Ok(Became::Done) => self.done.push(input.shown()),
            Ok(Became::Passed(Passed::Plaintext)) => self.plaintext.push(input.shown()),
            Ok(Became::Passed(Passed::Declined)) => self.declined += 1,
            Ok(Became::Passed(Passed::Already)) => self.already += 1,
            Ok(Became::Passed(Passed::Other)) => self.other.push(input.shown()),
            Err(_) => self.failed += 1,
        }
    }

    /// For people, who gave a folder and cannot know what is in it.
    fn tell(&self, words: Summary, dry_run: bool, ignored: usize, ui: &Ui) {
        let most = if dry_run { usize::MAX } else { NAMES_TOLD };
        let paths = |paths: &[&'i Path]| lines_of(paths.iter().copied(), most);
        // Without a dry run, nothing has said yet what was written.
        if !dry_run && !self.done.is_empty() {
            ui.say_list(format!("{}:", words.done), paths(&self.done));
        }
        if !self.plaintext.is_empty() {
            ui.say_list("no creation rule matches these, which stay in plaintext:", paths(&self.plaintext));
        }
        let would = if dry_run { "would be " } else { "" };
        let done = format!("{} {would}{}", self.done.len(), words.done);
        let other = match words.other {
            LEFT_ALONE => format!("{LEFT_ALONE} ({})", first_of(&self.other)),
            other => other.to_owned(),
        };
        let counted = [
            (self.already, words.already),
            (self.plaintext.len() + self.declined, "in plaintext"),
            (self.other.len(), &*other),
            (ignored, "ignored by Git"),
            (self.failed, "failed"),
        ];
        let counts = counted.iter().filter(|(count, _)| *count > 0);
        let rest = counts.map(|(count, words)| format!(", {count} {words}"));
        ui.say(rest.fold(done, |told, one| told + &one));
    }
}

/// What became of a file.
enum Became {
    Done,
    Passed(Passed),
}

impl Pipeline<'_> {
    /// Works through the files. `work` gets as many as fit into memory and answers for each in order: its result, why it
    /// was skipped, or why it failed. A failure does not hold up other files.
    pub fn run(self, work: impl FnMut(Vec<Item>) -> Vec<Result<Taken<Output>>>) -> Result<ExitCode> {
        let mut failures = Failures::default();
        let ui = self.context.ui;
        self.run_among(&mut failures, work);
        Ok(failures.finish(ui))
    }

    /// As [`Pipeline::run`], for one step of several of a command.
    pub fn run_among(
        self,
        failures: &mut Failures,
        mut work: impl FnMut(Vec<Item>) -> Vec<Result<Taken<Output>>>,
    ) {
        let ui = self.context.ui;
        for error in &self.inputs.errors {
            failures.add(ui, error);
        }
        let progress = ui.progress(self.doing, self.inputs.inputs.len());
        let mut told = Told::default();
        for chunk in chunks(&self.inputs.inputs) {
            let (mut items, mut inputs) = (Vec::new(), Vec::new());
            for (input, read) in
                chunk.par_iter().map(|input| (input, read(input, self.formats))).collect::<Vec<_>>()
            {
                match read {
                    Ok(source) => {
                        inputs.push((input, source.snapshot));
                        items.push(Item { input: input.clone(), source });
                    }
                    Err(error) => {
                        failures.add(ui, &error);
                        told.note(input, &Err(error));
                    }
                }
            }
            let results = self.recorded(&inputs, work(items));
            let write = |(input, snapshot): &(&Input, Snapshot), result: Result<_>| {
                let written = result.and_then(|output| self.write(input, snapshot, output));
                progress.advance();
                written.map_err(|error| error.in_file(input.shown()))
            };
            let written: Vec<_> = match self.dry_run {
                // A list of what would be written is in the order of the files.
                true => inputs.iter().zip(results).map(|(input, result)| write(input, result)).collect(),
                false => at_once(inputs.len(), || {
                    let each = inputs.par_iter().zip(results.into_par_iter());
                    each.map(|(input, result)| write(input, result)).collect()
                }),
            };
            for ((input, _), became) in inputs.iter().zip(written) {
                told.note(input, &became);
                if let Err(error) = became {
                    failures.add(ui, &error);
                }
            }
        }
        drop(progress);
        if let Some(words) = self.summary.filter(|_| !self.inputs.folders.is_empty()) {
            told.tell(words, self.dry_run, self.inputs.ignored, ui);
        }
    }

    /// Writes down what is about to be written, or printed.
    fn recorded(
        &self,
        inputs: &[(&Input, Snapshot)],
        results: Vec<Result<Taken<Output>>>,
    ) -> Vec<Result<Taken<Output>>> {
        if self.dry_run {
            return results;
        }
        journal::recorded(self.context.host, results, |results| {
            let written = inputs.iter().zip(results).filter(|(_, result)| matches!(result, Ok(Taken::On(_))));
            let target = |input: &Input| {
                self.destination.path_for(input).unwrap_or_else(|| input.shown().to_path_buf())
            };
            written.map(|((input, _), _)| Entry::new(Action::Write, &target(input))).collect()
        })
    }

    /// Writes a result where it goes, if there is one.
    fn write(&self, input: &Input, snapshot: &Snapshot, output: Taken<Output>) -> Result<Became> {
        match output {
            Taken::On(output) => self.write_output(input, snapshot, output).map(|()| Became::Done),
            Taken::Passed(why) => Ok(Became::Passed(why)),
        }
    }

    fn write_output(&self, input: &Input, snapshot: &Snapshot, output: Output) -> Result<()> {
        let ui = self.context.ui;
        let Output { bytes, warnings } = output;
        for warning in warnings {
            ui.warning(format!("{}: {warning}", input.shown().display()));
        }
        let Some(path) = self.destination.path_for(input) else {
            return if self.dry_run { Ok(()) } else { ui.out(&bytes) };
        };
        if self.dry_run {
            return ui.line(format!("would write {}", path.display()));
        }
        if self.destination == Destination::InPlace {
            if Snapshot::of(&bytes) == *snapshot {
                return Ok(());
            }
            refuse_outside(&path, self.context)?;
            let _lock = Lock::exclusive(&path)?;
            let links = fs::hard_links(&path);
            fs::write_atomic_if_unchanged(&path, &bytes, self.mode, snapshot)?;
            note_parted(&path, links, ui);
            return Ok(());
        }
        match &self.destination {
            Destination::Folder(folder) => {
                refuse_outside(folder, self.context)?;
                let file = path.strip_prefix(folder).unwrap_or(&path);
                fs::write_below(folder, file, &bytes, self.mode)
            }
            _ => {
                refuse_outside(&path, self.context)?;
                fs::write_atomic(&path, &bytes, self.mode)
            }
        }
    }
}

/// An encrypted file as what sops takes it for: to it a binary file is a JSON document like others, whose one value is
/// under `data`. A document that begins with another key is read as JSON.
pub(super) fn as_taken(mut source: Source, context: &Context) -> Source {
    if context.is_sops() && source.format == Format::Binary && begins_as_json_tree(&source.bytes) {
        source.format = Format::Json;
    }
    source
}

fn begins_as_json_tree(bytes: &[u8]) -> bool {
    let inside = bytes.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| inside.starts_with(b"\"") && !inside.starts_with(b"\"data\""))
}

/// An encrypted result in the type that sops writes, where that is another than was `read`.
pub(super) fn retyped(
    written: Ciphertext,
    read: Format,
    formats: Formats,
    name: Option<&Path>,
    context: &Context,
) -> Result<Ciphertext> {
    let wanted = formats.of_encrypted(read, name, context.dialect);
    if wanted == read {
        return Ok(written);
    }
    let file = sops::Encrypted::parse(read, SecretBytes::new(written.bytes))?;
    Ok(Ciphertext { bytes: file.written_as(wanted)?, warnings: written.warnings })
}

/// Refuses to write through a link that leads out of the repository in which it is, or to Git's own files there: nobody has named
/// what would be written. By the name of sops it is said, and done, but for Git's own.
pub(super) fn refuse_outside(path: &Path, context: &Context) -> Result<()> {
    match Outside::of(path, || named_top(context.host))? {
        Some(outside) if context.is_sops() && !outside.is_of_git => {
            context.ui.warning(format!("{}: {outside}", path.display()));
            Ok(())
        }
        Some(outside) => Err(outside.refused(path)),
        None => Ok(()),
    }
}

/// Puts a result into the place of a file that was read before.
pub(super) fn replace(path: &Path, bytes: &[u8], snapshot: &Snapshot, context: &Context) -> Result<()> {
    refuse_outside(path, context)?;
    journal::record(context.host, Entry::new(Action::Write, path))?;
    let links = fs::hard_links(path);
    fs::write_atomic_if_unchanged(path, bytes, Mode::Public, snapshot)?;
    note_parted(path, links, context.ui);
    Ok(())
}

/// Tells that a file had other names, which keep its old content: sops, which writes over files, keeps them together.
fn note_parted(path: &Path, links: Option<HardLinks>, ui: &Ui) {
    let Some(HardLinks { others, inode }) = links else { return };
    let names = if others == 1 {
        "1 other name, which keeps".to_owned()
    } else {
        format!("{others} other names, which keep")
    };
    let path = path.display();
    ui.note(format!("{path} had {names} the old content (hard links): `find . -inum {inode}` finds them"));
}

/// How many files are written at once. Each waits for the disk twice, and the more do, the less each waits.
const WRITERS: usize = 16;

/// Runs work that mostly waits for the disk with more threads than there are cores.
fn at_once<T: Send>(files: usize, work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(WRITERS.min(files)).build() {
        Ok(pool) if files > 1 => pool.install(work),
        _ => work(),
    }
}

/// Reads an input, as what its name or a flag says it is.
pub fn read(input: &Input, formats: Formats) -> Result<Source> {
    let limit = formats.of_input(input.name.as_deref()).most_bytes();
    let bytes = input.read(limit).map_err(|error| error.in_file(input.shown()))?;
    let (format, snapshot) = (formats.of_content(input.name.as_deref(), &bytes), Snapshot::of(&bytes));
    Ok(Source { path: input.shown().to_path_buf(), format, bytes, snapshot })
}

/// Groups of files that fit into memory together.
pub(super) fn chunks(inputs: &[Input]) -> Vec<&[Input]> {
    let size = |input: &Input| input.path.as_deref().and_then(fs::size).unwrap_or(0);
    let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, input) in inputs.iter().enumerate() {
        let size = size(input);
        if at > start && (at - start == CHUNK_FILES || bytes + size > CHUNK_BYTES as u64) {
            chunks.push(&inputs[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    chunks.push(&inputs[start..]);
    chunks
}

/// Leaves out files that were only found in a folder and are not encrypted.
pub fn encrypted_or_named(item: Item) -> Result<Taken<Item>> {
    let is_ours = item.input.named || meant(item.source.format, &item.source.bytes).is_some();
    Ok(is_ours.then_some(item).into())
}

/// As [`encrypted_or_named`], for commands that know documents in SOPS's format alone.
pub fn documents_or_named(item: Item) -> Result<Taken<Item>> {
    Ok(match meant(item.source.format, &item.source.bytes) {
        _ if item.input.named => Taken::On(item),
        Some(Meant::Document) => Taken::On(item),
        Some(Meant::Sealed) => Taken::Passed(Passed::Already),
        None => Taken::Passed(Passed::Other),
    })
}

/// Runs `step` on each item, in parallel, and hands those that are left to `all` in one call.
pub fn in_two_steps<T: Send, S: Into<Taken<T>> + Send>(
    items: Vec<Item>,
    step: impl Fn(Item) -> Result<S> + Sync + Send,
    all: impl FnOnce(Vec<T>) -> Vec<Result<Option<Output>>>,
) -> Vec<Result<Taken<Output>>> {
    let stepped: Vec<Result<S>> = items.into_par_iter().map(step).collect();
    let (mut ready, mut results) = (Vec::new(), Vec::new());
    for result in stepped {
        results.push(match result.map(S::into) {
            Ok(Taken::On(item)) => {
                ready.push(item);
                None
            }
            Ok(Taken::Passed(why)) => Some(Ok(Taken::Passed(why))),
            Err(error) => Some(Err(error)),
        });
    }
    let mut done = all(ready).into_iter().map(|result| result.map(Taken::from));
    let missing = || Err(Error::new(crate::error::Kind::Other, "no result"));
    results.into_iter().map(|result| result.unwrap_or_else(|| done.next().unwrap_or_else(missing))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_document_is_told_from_a_binary_file_by_its_first_key() {
        for (text, is_tree) in [
            ("{\n\t\"user\": 1}", true),
            (" {\"sops\": {}}", true),
            ("{\"data\": \"ENC[]\"}", false),
            ("{ \"data\" : 1}", false),
            ("{}", false),
            ("user: a", false),
            ("", false),
        ] {
            assert_eq!(begins_as_json_tree(text.as_bytes()), is_tree, "{text}");
        }
    }
}
