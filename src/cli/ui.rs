//! All that the command line prints: results to standard output, everything for people to standard error.
//!
//! Owns colours, progress bars and tables, and the shape of errors. All text but what was asked for as a value goes
//! through [`shown`]: line breaks of ours are separate lines, never a character of a text. Standard output is pure data: errors, warnings and
//! notes are text on standard error whatever `--format` says, and a program goes by the exit code.

use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::cli::args::STDIN;
use crate::error::{Error, Kind, Result};
use crate::shown;

/// A command that is done sooner shows no progress bar.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();
const HELP: Style = AnsiColor::Green.on_default();
const HEADER: Style = Style::new().bold();

/// A number of things: `1 file`, `2 files`.
pub fn counted(number: usize, noun: impl Display) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

/// Prints for a person and for the program behind the pipe.
pub struct Ui {
    quiet: bool,
    colored_stdout: bool,
    colored_stderr: bool,
    progress: Mutex<Option<ProgressBar>>,
    /// The advice of the last error: what many files have in common is said once.
    advised: Mutex<Option<String>>,
    advisor: OnceLock<Advisor>,
}

/// What gives an error other advice than its own, if it does.
type Advisor = Box<dyn Fn(&Error) -> Option<String> + Send + Sync>;

impl Ui {
    /// `no_color` says what the environment asks for, which counts when `color` leaves it open.
    pub fn new(color: ColorWhen, no_color: bool, quiet: bool) -> Self {
        let colored = |is_terminal: bool| match color {
            ColorWhen::Auto => is_terminal && !no_color,
            ColorWhen::Always => true,
            ColorWhen::Never => false,
        };
        Self {
            quiet,
            colored_stdout: colored(io::stdout().is_terminal()),
            colored_stderr: colored(io::stderr().is_terminal()),
            progress: Mutex::default(),
            advised: Mutex::default(),
            advisor: OnceLock::new(),
        }
    }

    /// Has errors advised by what somebody else knows who gives other advice than the error's own, or none.
    pub fn advise_by(&self, advisor: impl Fn(&Error) -> Option<String> + Send + Sync + 'static) {
        // A command has one.
        let _ = self.advisor.set(Box::new(advisor));
    }

    /// The advice of an error, with the file that it is about in the place of `FILE`.
    fn advice_of(&self, error: &Error) -> Option<String> {
        match self.advisor.get().and_then(|advisor| advisor(error)) {
            Some(advice) => advice_of(&Error::new(error.kind(), "").in_file(error.file()?).advise(advice)),
            None => advice_of(error),
        }
    }

    /// Writes a result to standard output, as it is. A reader that has seen enough and closed the pipe is no error.
    pub fn out(&self, bytes: &[u8]) -> Result<()> {
        self.above_progress(|| {
            let mut stdout = io::stdout().lock();
            match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Error::new(Kind::Write, "standard output cannot be written").caused_by(error))
                }
                _ => Ok(()),
            }
        })
    }

    /// Writes a value to standard output, as it is, and ends the line for whoever reads it on a terminal.
    pub fn value(&self, bytes: &[u8]) -> Result<()> {
        let is_open = io::stdout().is_terminal() && !bytes.ends_with(b"\n");
        self.out(bytes)?;
        if is_open { self.out(b"\n") } else { Ok(()) }
    }

    /// Writes a line of text to standard output.
    pub fn line(&self, text: impl fmt::Display) -> Result<()> {
        self.lines([text])
    }

    /// Writes lines of text to standard output.
    pub fn lines<T: fmt::Display>(&self, lines: impl IntoIterator<Item = T>) -> Result<()> {
        let lines = lines.into_iter().map(|line| shown::line(&line.to_string()).into_owned() + "\n");
        self.out(lines.collect::<String>().as_bytes())
    }

    /// Writes a line of text to standard output, its parts in styles if there are colours.
    pub fn styled_line(&self, parts: &[(Style, &str)]) -> Result<()> {
        if !self.colored_stdout {
            return self.line(parts.iter().map(|(_, text)| *text).collect::<String>());
        }
        let styled = parts.iter().map(|(style, text)| format!("{style}{}{style:#}", shown::line(text)));
        self.out((styled.collect::<String>() + "\n").as_bytes())
    }

    /// Writes a line of plaintext that people want to see to standard output, without what would command a terminal: a pager
    /// is one, too.
    pub fn plaintext_line(&self, style: Style, line: &str) -> Result<()> {
        let text = line.strip_suffix("\r\n").or_else(|| line.strip_suffix('\n')).unwrap_or(line);
        let end = &line[text.len()..];
        self.out(format!("{}{end}", self.styled_out(style, &shown::plaintext_line(text))).as_bytes())
    }

    /// Writes a value as indented JSON to standard output.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        self.out(&json_text(value)?)
    }

    /// Writes rows under a header to standard output, in columns as wide as their widest cell.
    pub fn table(&self, header: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| shown::shown(cell).into_owned()).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(header.get(column).map(|title| title.len())).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (cell, width) in cells.zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            shown::line(line.trim_end()).into_owned()
        };
        let mut text = self.styled_out(HEADER, &line(&mut header.iter().copied())) + "\n";
        for row in &rows {
            text += &(line(&mut row.iter().map(String::as_str)) + "\n");
        }
        self.out(text.as_bytes())
    }

    /// Writes rows under a header to standard output as CSV (RFC 4180).
    pub fn csv(&self, header: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
        let lines = std::iter::once(&header).chain(rows).map(|row| {
            let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
            cells.join(",") + "\r\n"
        });
        self.out(lines.collect::<String>().as_bytes())
    }

    /// `text` in a style, if standard output has colours.
    fn styled_out(&self, style: Style, text: &str) -> String {
        if self.colored_stdout { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// Prints commands of a job to standard error, as they are.
    pub fn commands(&self, bytes: &[u8]) {
        // When standard error is gone there is nobody left to tell.
        self.above_progress(|| _ = io::stderr().write_all(bytes));
    }

    /// Prints text that clap has laid out to standard output.
    pub fn help(&self, text: &clap::builder::StyledStr) -> Result<()> {
        let text = if self.colored_stdout { text.ansi().to_string() } else { text.to_string() };
        self.out(text.as_bytes())
    }

    /// Tells how things went; `--quiet` silences it.
    pub fn say(&self, message: impl fmt::Display) {
        if !self.quiet {
            self.err(&shown::line(&message.to_string()));
        }
    }

    /// As [`Ui::say`], with lines below it.
    pub fn say_list(&self, message: impl fmt::Display, lines: impl IntoIterator<Item = String>) {
        self.say(message);
        if !self.quiet {
            self.below(lines);
        }
    }

    /// Tells what is good to know; `--quiet` silences it.
    pub fn note(&self, message: impl fmt::Display) {
        if !self.quiet {
            self.labelled(NOTE, "note:", &message.to_string());
        }
    }

    /// As [`Ui::note`], with lines below it.
    pub fn note_list(&self, message: impl fmt::Display, lines: impl IntoIterator<Item = String>) {
        self.note(message);
        if !self.quiet {
            self.below(lines);
        }
    }

    /// Tells what is not as it should be, though the command goes on.
    pub fn warning(&self, message: impl fmt::Display) {
        self.labelled(WARNING, "warning:", &message.to_string());
    }

    /// As [`Ui::warning`], with lines below it.
    pub fn warning_list(&self, message: impl fmt::Display, lines: impl IntoIterator<Item = String>) {
        self.warning(message);
        self.below(lines);
    }

    /// Tells as a warning what failed, though the command goes on.
    pub fn warning_of(&self, error: &Error) {
        self.warning_list(error.headline(), error.below().cloned());
    }

    /// Tells what failed, where, why, and what to do about it.
    pub fn error(&self, error: &Error) {
        self.labelled(ERROR, "error:", &error.headline());
        self.below(error.below().cloned());
        if self.is_new_advice(error)
            && let Some(advice) = self.advice_of(error)
        {
            let label = self.styled_err(HELP, "help:");
            self.err(&format!("  {label} {}", shown::line(&capitalized(&advice))));
        }
    }

    fn is_new_advice(&self, error: &Error) -> bool {
        let mut advised = self.advised.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = advised.as_deref() != error.advice();
        *advised = error.advice().map(str::to_owned);
        is_new
    }

    /// A bar that shows how many of `total` are done, on a terminal and when it takes long. It goes when it is dropped.
    pub fn progress(&self, what: &'static str, total: usize) -> Progress<'_> {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        *self.current() = Some(bar.clone());
        Progress { bar, since: Instant::now(), is_seen: !self.quiet && io::stderr().is_terminal(), ui: self }
    }

    /// Does something to the terminal, a question for instance, while no progress bar is in the way.
    pub fn above_progress<T>(&self, print: impl FnOnce() -> T) -> T {
        let bar = self.current().clone();
        match bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn labelled(&self, style: Style, label: &str, message: &str) {
        self.err(&format!("{} {}", self.styled_err(style, label), shown::line(message)));
    }

    fn below(&self, lines: impl IntoIterator<Item = String>) {
        lines.into_iter().for_each(|line| self.err(&shown::line(&line)));
    }

    fn styled_err(&self, style: Style, text: &str) -> String {
        if self.colored_stderr { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn err(&self, line: &str) {
        let line = shown::without_identities(line);
        // When standard error is gone there is nobody left to tell.
        self.above_progress(|| {
            let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
        });
    }
}

/// A result as JSON that may be shown on a terminal.
pub fn json_text(value: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(Kind::Emit, "the result cannot be written as JSON").caused_by(error))?;
    Ok((shown::json(text) + "\n").into_bytes())
}

/// A progress bar. Threads may share it.
pub struct Progress<'u> {
    ui: &'u Ui,
    bar: ProgressBar,
    since: Instant,
    /// There is a terminal for it.
    is_seen: bool,
}

impl Progress<'_> {
    /// One more is done.
    pub fn advance(&self) {
        if self.is_seen && self.bar.is_hidden() && self.since.elapsed() >= PROGRESS_AFTER {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(1);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        *self.ui.current() = None;
    }
}

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
pub fn usage(error: &clap::Error, no_color: bool) {
    // If nobody reads it, there is nobody to tell.
    if !error.use_stderr() {
        let _ = error.print();
        return;
    }
    let text = error.render();
    let text = match io::stderr().is_terminal() && !no_color {
        true => text.ansi().to_string(),
        // Arguments are quoted in it, and can be names of files.
        false => text.to_string().split_inclusive('\n').map(own_line).collect(),
    };
    let _ = io::stderr().write_all(shown::without_identities(&relabelled(&text)).as_bytes());
}

fn own_line(text: &str) -> String {
    let (text, end) = text.strip_suffix('\n').map_or((text, ""), |text| (text, "\n"));
    shown::line(text).into_owned() + end
}

/// A message of clap with its advice labelled and begun as ours is.
fn relabelled(text: &str) -> String {
    let line = |line: &str| match line.split_once("tip:") {
        Some((before, advice))
            if before.trim_start().is_empty() || before.trim_start().starts_with('\x1b') =>
        {
            let (style, advice) = advice.split_once(' ').unwrap_or(("", advice));
            format!("{before}help:{style} {}", capitalized(advice))
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The advice of an error, with the file that it is about in the place of `FILE`.
pub(super) fn advice_of(error: &Error) -> Option<String> {
    let advice = error.advice()?;
    let file = error.file().filter(|file| *file != Path::new(STDIN));
    Some(file.map_or_else(|| advice.to_owned(), |file| with_file(advice, &shown::typed(file))))
}

/// Advice with a name in the place of each `FILE`, but where that is a new file: after `-o` or `--output`.
pub(super) fn with_file(advice: &str, name: &str) -> String {
    const FILE: &str = "FILE";
    let mut words = advice.split(' ').peekable();
    let mut named = String::new();
    let mut before = "";
    while let Some(word) = words.next() {
        let rest = word
            .strip_prefix(FILE)
            .filter(|rest| !rest.starts_with(|char: char| char.is_alphanumeric() || char == '_'));
        match rest.filter(|_| !before.ends_with("-o") && !before.ends_with("--output")) {
            Some(rest) => named.extend([name, rest]),
            None => named.push_str(word),
        }
        if words.peek().is_some() {
            named.push(' ');
        }
        before = word;
    }
    named
}

/// Advice as it begins in print. Its end is left alone: it may be a command to copy.
pub(super) fn capitalized(advice: &str) -> String {
    let mut letters = advice.chars();
    let begin: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{begin}{}", letters.as_str())
}

/// A cell of CSV. What a spreadsheet would take for a formula is made a text: names come from files that others wrote.
fn csv_cell(text: &str) -> String {
    let text = shown::line(text);
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.into_owned() };
    match text.contains(['"', ',']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_csv_is_a_text_whatever_stands_in_it() {
        let cells = ["a b", "a,b", "say \"a\"", "=1+1", "-x,y"].map(csv_cell);
        assert_eq!(cells, ["a b", "\"a,b\"", "\"say \"\"a\"\"\"", "'=1+1", "\"'-x,y\""]);
    }

    #[test]
    fn advice_names_the_file_that_it_is_about() {
        let named = |advice| with_file(advice, "a b.yaml");
        assert_eq!(named("Run `x FILE`, then `y FILE ITEM`."), "Run `x a b.yaml`, then `y a b.yaml ITEM`.");
        for kept in ["`x -o FILE`", "`x --output FILE`.", "FILES", "set SOPS_AGE_KEY_FILE", "FILE_A"] {
            assert_eq!(named(kept), kept);
        }
    }

    #[test]
    fn advice_has_one_label() {
        let plain = "error: unexpected argument '--x' tip: y\n\n  tip: a similar argument exists: '--xy'\n\nUsage: z\n";
        assert_eq!(relabelled(plain), plain.replace("  tip: a", "  help: A"));
        assert_eq!(relabelled("  \x1b[32mtip:\x1b[0m to pass\n"), "  \x1b[32mhelp:\x1b[0m To pass\n");
    }
}
