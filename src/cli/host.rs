//! The outside as the command line gives it to the library: this process's environment, its terminal, its programs.
//!
//! The only place of the command line that reads the environment or starts programs for the library. Whether it may
//! ask a person is decided once, when it is made.

#![allow(clippy::disallowed_methods, reason = "what is disallowed elsewhere is done here")]

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::cli::audit_log::AuditLog;
use crate::cli::ui::Ui;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::{Command, Host, Ran};
use crate::journal::Journal;
use crate::os;
use crate::programs;
use crate::secret::{SecretBytes, SecretString};
use crate::shown::shown;

/// A program that fetches a key may wait for a touch or a password, but not for ever: a forgotten one must not hold
/// up a pipeline.
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// When to say what the command waits for.
const TELL_AFTER: Duration = Duration::from_secs(3);

/// The most that a program may print.
const OUTPUT_LIMIT: u64 = 16 << 20;

/// This process and the person in front of it.
#[derive(Clone)]
pub struct Terminal<'u> {
    ui: &'u Ui,
    interactive: bool,
    confirms_on_stdin: bool,
    audit_log: Option<Arc<AuditLog>>,
}

impl<'u> Terminal<'u> {
    /// One that may ask a person, and start age plugins, which ask for a touch.
    pub fn new(ui: &'u Ui) -> Self {
        Self { ui, interactive: true, confirms_on_stdin: false, audit_log: None }
    }

    /// The same that asks nobody: for what tools start, and for what works without a key as well.
    pub fn asking_nobody(&self) -> Self {
        Self { interactive: false, ..self.clone() }
    }

    /// Writes down what is opened and changed.
    pub fn logging_to(self, log: AuditLog) -> Self {
        Self { audit_log: Some(Arc::new(log)), ..self }
    }

    /// Runs a program that works with the person itself, such as an editor, on our standard streams. INT and QUIT are
    /// for that program while it runs.
    pub fn run_in_front(&self, command: &Command) -> io::Result<ExitStatus> {
        let _held = fs::hold_interrupts();
        let (mut child, _stopped) = fs::spawn_to_stop_with_us(&mut start(command)?)?;
        child.wait()
    }

    /// Whether there is somebody to ask.
    pub fn can_ask(&self) -> bool {
        self.interactive && os::terminal().is_ok()
    }

    /// Takes yes and no from standard input, as sops does: `echo y | sops updatekeys FILE`.
    pub fn confirming_on_stdin(mut self) -> Self {
        self.confirms_on_stdin = true;
        self
    }

    fn refuse_unless_interactive(&self, what: &str) -> Result<()> {
        if self.interactive {
            return Ok(());
        }
        Err(Error::new(Kind::Other, format!("this command never asks for {what}")))
    }

    /// Asks yes or no, where somebody who only presses Enter means yes.
    pub fn confirm_or_yes(&self, question: &str) -> Result<bool> {
        self.refuse_unless_interactive("a confirmation")?;
        let answer = self.ask(&format!("{question} [Y/n] "));
        let answer = answer.map_err(|error| cannot_ask("a confirmation", error))?;
        Ok(answer.is_some_and(|answer| matches!(answer.to_lowercase().as_str(), "" | "y" | "yes")))
    }

    /// Prints a question to the terminal and reads the answer's line; `None` where somebody ends the input instead.
    fn ask(&self, question: &str) -> io::Result<Option<String>> {
        self.ui.above_progress(|| {
            let (typed, mut screen) = os::terminal()?;
            screen.write_all(shown(question).as_bytes())?;
            let mut answer = String::new();
            if BufReader::new(typed).read_line(&mut answer)? == 0 {
                screen.write_all(b"\n")?;
                return Ok(None);
            }
            Ok(Some(answer.trim().to_owned()))
        })
    }

    fn ask_on_stdin(&self, question: &str) -> io::Result<String> {
        self.ui.above_progress(|| {
            io::stderr().write_all(shown(question).as_bytes())?;
            let mut answer = String::new();
            if io::stdin().lock().read_line(&mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(answer.trim().to_owned())
        })
    }
}

/// This process without anybody in front of it: for what asks Git while a command is at work.
pub struct Unattended;

impl Host for Unattended {
    fn env(&self, name: &str) -> Option<OsString> {
        variable(name)
    }

    fn start(&self, command: &Command) -> io::Result<Child> {
        start_in_pipes(command)
    }

    fn note(&self, _: &str) {}

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl Host for Terminal<'_> {
    fn env(&self, name: &str) -> Option<OsString> {
        variable(name)
    }

    fn home(&self) -> Option<PathBuf> {
        env::home_dir().filter(|home| !home.as_os_str().is_empty())
    }

    fn ask_passphrase(&self, prompt: &str) -> Result<SecretString> {
        self.refuse_unless_interactive("a passphrase")?;
        let answer = self.ui.above_progress(|| rpassword::prompt_password(shown(&format!("{prompt}: "))));
        if answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            // Ctrl-C comes as a signal too, and ends the process. Until it does there is nothing to say.
            thread::sleep(Duration::from_secs(1));
        }
        answer.map(Zeroizing::new).map_err(|error| cannot_ask("a passphrase", error))
    }

    fn ask_line(&self, prompt: &str) -> Result<String> {
        self.refuse_unless_interactive("an answer")?;
        let answer = self.ask(&format!("{prompt}: ")).map_err(|error| cannot_ask("an answer", error))?;
        answer.ok_or_else(|| not_given("an answer", io::ErrorKind::UnexpectedEof.into()))
    }

    fn confirm(&self, question: &str) -> Result<bool> {
        self.refuse_unless_interactive("a confirmation")?;
        let question = format!("{question} [y/N] ");
        let answer = if self.confirms_on_stdin {
            self.ask_on_stdin(&question).map_err(|error| not_given("a confirmation", error))?
        } else {
            self.ask(&question).map_err(|error| cannot_ask("a confirmation", error))?.unwrap_or_default()
        };
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    fn output_of(&self, command: &Command) -> Result<SecretBytes> {
        output_of(command, PROGRAM_LIMIT, self.ui)
    }

    fn run(&self, command: &Command, input: &[u8]) -> Result<Ran> {
        let mut program = start(command).map_err(|error| cannot_start(command, error))?;
        program.stdin(Stdio::piped()).stderr(Stdio::piped());
        run_to_end(command, &mut program, input, PROGRAM_LIMIT, self.ui).map(|(_, ran)| ran)
    }

    fn start(&self, command: &Command) -> io::Result<Child> {
        start_in_pipes(command)
    }

    fn write_private(&self, path: &Path, content: &[u8]) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_folders(folder, fs::Mode::Private)?;
        }
        fs::write_atomic(path, content, fs::Mode::Private)
    }

    fn journal(&self) -> Option<&dyn Journal> {
        self.audit_log.as_deref().map(|log| log as &dyn Journal)
    }

    fn may_run_plugins(&self) -> bool {
        self.interactive
    }

    fn note(&self, message: &str) {
        self.ui.note(message);
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The value of an environment variable; `None` when unset or empty.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn cannot_ask(what: &str, error: io::Error) -> Error {
    // There is no terminal, or it is not ours to open.
    if os::terminal().is_err() {
        return Error::new(Kind::Other, format!("there is no terminal to ask for {what}"))
            .advise("Run the command in a terminal, or pass what it needs in flags and variables.");
    }
    not_given(what, error)
}

fn not_given(what: &str, error: io::Error) -> Error {
    Error::new(Kind::Other, format!("{what} was needed, but not given")).caused_by(error)
}

/// The process that a command becomes. No relative entry of `PATH` leads to a program.
fn start(command: &Command) -> io::Result<std::process::Command> {
    let inherited = || env::var_os("PATH").filter(|_| !command.bare);
    let path = command.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
    let path = path.or_else(inherited);
    let kept = path.as_deref().and_then(programs::without_relative);
    let mut program = command.program.clone();
    if kept.is_some() {
        let at = programs::locate(path.as_deref(), Path::new(&program));
        if at.is_none() && programs::is_relative(path.as_deref(), Path::new(&program)) {
            return Err(io::Error::new(io::ErrorKind::NotFound, programs::IS_RELATIVE));
        }
        program = at.map_or(program.clone(), |at| os::start_as(program, at));
    }
    let mut started = std::process::Command::new(program);
    if command.bare {
        started.env_clear();
    }
    if command.silent {
        started.stderr(Stdio::null());
    }
    command.unset.iter().for_each(|name| _ = started.env_remove(name));
    started.args(&command.args).envs(command.env.iter().map(|(name, value)| (name, value)));
    // What it starts itself is found there, too.
    started.envs(kept.map(|path| ("PATH", path)));
    Ok(started)
}

fn cannot_start(command: &Command, error: io::Error) -> Error {
    Error::new(Kind::Other, format!("`{}` cannot be started", command.program.display())).caused_by(error)
}

fn start_in_pipes(command: &Command) -> io::Result<Child> {
    start(command)?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Runs a program to its end. Its standard input is empty: ours may be the document. What it has to say to a person
/// goes to standard error, which it shares with us.
fn output_of(command: &Command, limit: Duration, ui: &Ui) -> Result<SecretBytes> {
    let mut program = start(command).map_err(|error| cannot_start(command, error))?;
    program.stdin(Stdio::null());
    let (status, ran) = run_to_end(command, &mut program, &[], limit, ui)?;
    let failed = |why| Err(Error::new(Kind::Other, format!("`{}` {why}", command.program.display())));
    match status.code() {
        Some(0) => Ok(ran.stdout),
        Some(code) => failed(format!("exited with {code}")),
        None => failed("was stopped by a signal".to_owned()),
    }
}

/// Runs a program to its end, with `input` if its standard input is a pipe. Messages name the program alone: its
/// arguments may hold a key.
fn run_to_end(
    command: &Command,
    program: &mut std::process::Command,
    input: &[u8],
    limit: Duration,
    ui: &Ui,
) -> Result<(ExitStatus, Ran)> {
    let name = command.program.display();
    let failed = |why: String| Error::new(Kind::Other, format!("`{name}` {why}"));
    let (mut child, _stopped) = fs::spawn_to_stop_with_us(program.stdout(Stdio::piped()))
        .map_err(|error| cannot_start(command, error))?;
    let started = Instant::now();
    let left = || limit.saturating_sub(started.elapsed());

    if let Some(mut stdin) = child.stdin.take() {
        let input = Zeroizing::new(input.to_vec());
        // A program that does not want all of it says so by its exit.
        thread::spawn(move || _ = stdin.write_all(&input));
    }
    let (stdout, stderr) = (read_beside(child.stdout.take()), read_beside(child.stderr.take()));
    let mut output = stdout.recv_timeout(TELL_AFTER.min(limit));
    if let Err(RecvTimeoutError::Timeout) = output {
        ui.note(format!("waiting for `{name}`"));
        output = stdout.recv_timeout(left());
    }
    let said = stderr.recv_timeout(left());
    let status = match (&output, &said) {
        (Ok(_), Ok(_)) => wait(&mut child, left),
        _ => None,
    };
    let Some(status) = status else {
        // It may have ended this very moment.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(format!("did not finish within {} seconds, and was stopped", limit.as_secs())));
    };
    let stderr = said.ok().and_then(Result::ok).flatten().map(|bytes| bytes.to_vec()).unwrap_or_default();
    match output {
        Ok(Ok(Some(stdout))) => Ok((status, Ran { success: status.success(), stdout, stderr })),
        // What a program that failed printed is of no use.
        _ if !status.success() => {
            Ok((status, Ran { success: false, stdout: SecretBytes::default(), stderr }))
        }
        Ok(Err(error)) => Err(failed("printed nothing readable".to_owned()).caused_by(error)),
        _ => Err(failed(format!("printed more than {} MiB", OUTPUT_LIMIT >> 20))),
    }
}

/// Reads a stream of a child to its end on a thread of its own; nothing where there is none.
fn read_beside(stream: Option<impl io::Read + Send + 'static>) -> Receiver<io::Result<Option<SecretBytes>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let read = stream.map(|stream| fs::read_at_most(stream, OUTPUT_LIMIT, 0));
        // Nobody listens any more when the time is up.
        let _ = sender.send(read.unwrap_or(Ok(None)));
    });
    receiver
}

/// Waits for a child that has closed its output, which is about to end.
fn wait(child: &mut Child, left: impl Fn() -> Duration) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if !left().is_zero() => thread::sleep(Duration::from_millis(2)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::ColorWhen;

    fn run(line: &str, limit: Duration) -> Result<SecretBytes> {
        let ui = Ui::new(ColorWhen::Never, true, true);
        output_of(&Command::parse(line).unwrap(), limit, &ui)
    }

    #[test]
    fn a_program_gives_its_output() {
        let output = run("sh -c 'cat; printf \"a\\0b\"'", PROGRAM_LIMIT).unwrap();
        assert_eq!(*output, b"a\0b");
    }

    #[test]
    fn a_program_that_fails_is_named_without_its_arguments() {
        let cases = [
            ("sh -c 'exit 3' hunter2", "`sh` exited with 3"),
            ("sh -c 'kill -9 $$' hunter2", "`sh` was stopped by a signal"),
            (
                "/nowhere/get hunter2",
                "`/nowhere/get` cannot be started: No such file or directory (os error 2)",
            ),
        ];
        for (line, message) in cases {
            assert_eq!(run(line, PROGRAM_LIMIT).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        for line in ["sleep 60", "sh -c 'exec >&-; sleep 60'"] {
            let error = run(line, Duration::from_millis(50)).unwrap_err();
            assert!(error.to_string().contains("did not finish within"), "{error}");
        }
    }

    #[test]
    fn nobody_is_asked_when_that_is_not_allowed() {
        let ui = Ui::new(ColorWhen::Never, true, true);
        let host = Terminal::new(&ui).asking_nobody();
        assert!(
            host.ask_passphrase("x").is_err() && host.ask_line("x").is_err() && host.confirm("x").is_err()
        );
        assert!(!host.may_run_plugins());
    }
}
