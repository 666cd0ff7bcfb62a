//! The command that `exec-env` and `exec-file` start: what it is, which user it runs as, its signals and output, and
//! how it ends.

mod account;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::{io, iter};

use crate::cli::redact::Redactor;
use crate::config::Dialect;
use crate::encrypted_file;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::os::{self, Process};
use crate::shown::{self, typed};

pub(super) use account::Account;

/// Turns words on the command line into a command: a single word is a line for the shell, as in sops; several are a
/// program and its arguments. `path`, if given, replaces `{}` in each.
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
        line => os::shell(&line.first().map(filled).unwrap_or_default()),
    }
}

fn replace(word: &OsStr, path: &OsStr) -> OsString {
    let (mut rest, mut filled) = (word.as_encoded_bytes(), Vec::new());
    while let Some(at) = rest.windows(2).position(|window| window == b"{}") {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(path.as_encoded_bytes());
        rest = &rest[at + 2..];
    }
    filled.extend_from_slice(rest);
    os::name_of(&filled)
}

/// A program is larger than a file of values, as a rule.
const SHORT: u64 = 1 << 20;

/// Whether a word of a command names an encrypted file.
pub(super) fn is_encrypted(word: &OsStr) -> bool {
    let path = Path::new(word);
    fs::read_found(path, SHORT).is_ok_and(|bytes| encrypted_file::is_encrypted(path, &bytes))
}

/// Answers those who name the command first and the file last: `exec` is what they run, such as `exec-env`.
pub(super) fn refuse_command_first(exec: &str, file: &Path, words: &[OsString]) -> Result<()> {
    let Some((last, between)) = words.split_last().filter(|_| file.symlink_metadata().is_err()) else {
        return Ok(());
    };
    if !is_encrypted(last) {
        return Ok(());
    }
    let command: Vec<String> = iter::once(file.as_os_str())
        .chain(between.iter().map(OsString::as_os_str))
        .map(shown::word)
        .collect();
    let (last, command) = (typed(Path::new(last)), command.join(" "));
    let advice = format!("The file comes first: `sealant {exec} {last} {command}`");
    Err(Error::new(Kind::NoFile, "no such file").in_file(file).advise(advice))
}

/// Gives a command the environment of the user that it runs as.
pub(super) fn in_the_name_of(command: &mut Command, account: Option<&Account>) {
    command.envs(account.map(Account::environment).into_iter().flatten());
}

/// Runs a command to its end, as `account` if given, and forwards signals to it. Its output goes through `redactor`, if
/// given.
pub(super) fn run(
    mut command: Command,
    account: Option<&Account>,
    redactor: Option<Redactor>,
) -> Result<ExitStatus> {
    if redactor.is_some() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let process: Arc<Mutex<Option<Process>>> = Arc::default();
    let lock = |process: &Mutex<Option<Process>>| *process.lock().unwrap_or_else(PoisonError::into_inner);
    let receiver = Arc::clone(&process);
    // A signal that comes while the child is being started waits for the lock.
    let mut starting = process.lock().unwrap_or_else(PoisonError::into_inner);
    let diverted = fs::divert_signals(move |signal| {
        if let Some(process) = lock(&receiver) {
            os::pass_on(signal, process);
        }
    });
    let spawned = spawn(&mut command, account);
    *starting = spawned.as_ref().ok().map(Process::of);
    drop(starting);
    let mut child = spawned?;
    let copies = redactor.map(|redactor| copies(Arc::new(redactor), &mut child)).unwrap_or_default();

    // Reap the child only once signals stop, or they would hit the process that gets its number next.
    os::wait_unreaped(&mut child);
    drop(diverted);
    let status = child
        .wait()
        .map_err(|error| Error::new(Kind::Other, "lost track of the command").caused_by(error))?;
    // Processes that it started may print more.
    for copy in copies {
        let _ = copy.join();
    }
    Ok(status)
}

/// Starts a command without waiting for it, reading from it or writing to it.
pub(super) fn start(mut command: Command, account: Option<&Account>) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn(&mut command, account).map(drop)
}

/// Replaces this process with a command. Returns an error, or not at all.
pub(super) fn replace_us(mut command: Command, account: Option<&Account>) -> Error {
    let error = match account {
        None => os::replace_us(&mut command),
        Some(account) => match account.act(|| os::replace_us(&mut command)) {
            Ok(error) => error,
            Err(error) => return error,
        },
    };
    cannot_start(&command, error)
}

fn spawn(command: &mut Command, account: Option<&Account>) -> Result<Child> {
    let spawned = match account {
        None => command.spawn(),
        Some(account) => account.act(|| command.spawn())?,
    };
    spawned.map_err(|error| cannot_start(command, error))
}

/// Copies a child's output to ours. When nobody reads ours any more, we stop reading the child's, too.
fn copies(redactor: Arc<Redactor>, child: &mut Child) -> Vec<JoinHandle<()>> {
    let other = Arc::clone(&redactor);
    let stdout =
        child.stdout.take().map(|from| thread::spawn(move || drop(redactor.copy(from, io::stdout()))));
    let stderr = child.stderr.take().map(|from| thread::spawn(move || drop(other.copy(from, io::stderr()))));
    stdout.into_iter().chain(stderr).collect()
}

fn cannot_start(command: &Command, error: std::io::Error) -> Error {
    let program = command.get_program().display();
    Error::new(Kind::Other, format!("`{program}` cannot be started")).caused_by(error)
}

/// The exit code of a command is ours. For one that a signal ended it is 128 and the signal's number, as in shells; to
/// sops it is 255.
pub(super) fn code_of(status: ExitStatus, dialect: Dialect) -> ExitCode {
    let of_signal =
        || os::signal_of(status).filter(|_| dialect == Dialect::Sealant).map(|signal| 128 + signal);
    let code = status.code().or_else(of_signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX).into()
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
}
