//! The command that `exec-env` and `exec-file` start: what it is, signals for it, what it prints, and how it ends.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::cli::redact::Redactor;
use crate::config::Dialect;
use crate::error::{Error, Kind, Result};
use crate::fs;

const SHELL: &str = "/bin/sh";

/// The command that words on the command line stand for: one is a line for the shell, as in sops; several are a
/// program and its arguments. In each, `path` takes the place of `{}`, if there is one.
pub(super) fn command(words: &[OsString], path: Option<&OsStr>) -> Command {
    let filled = |word: &OsString| match path {
        Some(path) => replace(word, path),
        None => word.clone(),
    };
    match words {
        [program, args @ ..] if !args.is_empty() => {
            let mut command = Command::new(filled(program));
            command.args(args.iter().map(filled));
            command
        }
        line => {
            let mut command = Command::new(SHELL);
            command.arg("-c").args(line.iter().map(filled));
            command
        }
    }
}

fn replace(word: &OsStr, path: &OsStr) -> OsString {
    let (mut rest, mut filled) = (word.as_bytes(), Vec::new());
    while let Some(at) = rest.windows(2).position(|window| window == b"{}") {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(path.as_bytes());
        rest = &rest[at + 2..];
    }
    filled.extend_from_slice(rest);
    OsString::from_vec(filled)
}

/// Runs a command to its end, and gives it the signals that we get. What it prints goes through `redactor`, if there is
/// one.
pub(super) fn run(mut command: Command, redactor: Option<Redactor>) -> Result<ExitStatus> {
    if redactor.is_some() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let child_pid: Arc<Mutex<Option<Pid>>> = Arc::default();
    let lock = |pid: &Mutex<Option<Pid>>| *pid.lock().unwrap_or_else(PoisonError::into_inner);
    let receiver = Arc::clone(&child_pid);
    // A signal that comes while the child is being started waits for the lock.
    let mut starting = child_pid.lock().unwrap_or_else(PoisonError::into_inner);
    let diverted = fs::divert_signals(move |signal| {
        if let Some(pid) = lock(&receiver) {
            pass_on(signal, pid);
        }
    });
    let spawned = command.spawn();
    *starting = spawned.as_ref().ok().map(Pid::from_child);
    drop(starting);
    let mut child = spawned.map_err(|error| cannot_start(&command, error))?;
    let pid = Pid::from_child(&child);
    let copies = redactor.map(|redactor| copies(Arc::new(redactor), &mut child)).unwrap_or_default();

    // Not taken from the process table before signals stop: they would go to whoever gets its number next.
    let ended = || rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    while ended().err() == Some(Errno::INTR) {}
    drop(diverted);
    let status =
        child.wait().map_err(|error| Error::new(Kind::Other, "the command is lost").caused_by(error))?;
    // What it has started may have more to say.
    for copy in copies {
        let _ = copy.join();
    }
    Ok(status)
}

/// Copies what a child prints to where we print. When nobody reads that any more, the child is not read, either.
fn copies(redactor: Arc<Redactor>, child: &mut Child) -> Vec<JoinHandle<()>> {
    let other = Arc::clone(&redactor);
    let stdout =
        child.stdout.take().map(|from| thread::spawn(move || drop(redactor.copy(from, io::stdout()))));
    let stderr = child.stderr.take().map(|from| thread::spawn(move || drop(other.copy(from, io::stderr()))));
    stdout.into_iter().chain(stderr).collect()
}

pub(super) fn cannot_start(command: &Command, error: std::io::Error) -> Error {
    let program = command.get_program().display();
    Error::new(Kind::Other, format!("`{program}` cannot be started")).caused_by(error)
}

/// The exit code of a command is ours. For one that a signal ended it is 128 and the signal's number, as in shells; to
/// sops it is 255.
pub(super) fn code_of(status: ExitStatus, dialect: Dialect) -> ExitCode {
    let of_signal = || status.signal().filter(|_| dialect == Dialect::Sealant).map(|signal| 128 + signal);
    let code = status.code().or_else(of_signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX).into()
}

fn pass_on(signal: i32, pid: Pid) {
    let Some(signal) = Signal::from_named_raw(signal) else { return };
    // The terminal has given it to the child already, and programs take a second one for impatience.
    if matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground() {
        return;
    }
    // It may have ended this very moment.
    let _ = rustix::process::kill_process(pid, signal);
}

fn is_in_foreground() -> bool {
    File::open("/dev/tty")
        .is_ok_and(|terminal| rustix::termios::tcgetpgrp(&terminal) == Ok(rustix::process::getpgrp()))
}

/// The user and group number of a user in /etc/passwd.
pub(super) fn user(name: &str) -> Result<(u32, u32)> {
    const PASSWD: &str = "/etc/passwd";
    let users = fs::read(PASSWD.as_ref(), 64 << 20)?;
    let users = String::from_utf8_lossy(&users);
    let found = users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [user, _, uid, gid, ..] = fields[..] else { return None };
        (user == name).then_some(Some((uid.parse().ok()?, gid.parse().ok()?))).flatten()
    });
    found.ok_or_else(|| Error::new(Kind::Other, format!("there is no user `{name}` in {PASSWD}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str], path: Option<&str>) -> Vec<String> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let command = command(&words, path.map(OsStr::new));
        let program = command.get_program().to_string_lossy().into_owned();
        let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        std::iter::once(program).chain(args).collect()
    }

    #[test]
    fn one_word_is_a_line_for_the_shell() {
        assert_eq!(shown(&["env | sort"], None), ["/bin/sh", "-c", "env | sort"]);
        assert_eq!(shown(&["a {}; b {}"], Some("/p")), ["/bin/sh", "-c", "a /p; b /p"]);
        assert_eq!(shown(&["a {}"], None), ["/bin/sh", "-c", "a {}"]);
    }

    #[test]
    fn several_words_are_a_program_and_its_arguments() {
        assert_eq!(shown(&["cat", "-n", "{}", "x={}"], Some("/p")), ["cat", "-n", "/p", "x=/p"]);
    }

    #[test]
    fn users_are_found_by_name() {
        assert_eq!(user("root").unwrap(), (0, 0));
        assert!(user("nobody-of-this-name").unwrap_err().to_string().contains("no user"));
    }
}
