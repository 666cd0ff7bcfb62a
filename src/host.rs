//! What the outside gives, as a trait: environment, folders of the user, prompts, child processes, the clock.
//!
//! The library asks a [`Host`] and nothing else, so that what may prompt, read the environment or start programs
//! is decided in one place: the CLI's host has all of it, a controller's is closed.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Child;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::journal::Journal;
use crate::os;
use crate::secret::{SecretBytes, SecretString};

/// A program to run, its arguments and what its environment gets on top of ours.
#[derive(Debug, Clone, Default)]
pub struct Command {
    pub program: OsString,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// Variables of ours that it does not get.
    pub unset: Vec<OsString>,
    /// It gets nothing of our environment, only `env`.
    pub bare: bool,
    /// What it says on standard error is thrown away: it may quote plaintext that it was given.
    pub silent: bool,
}

impl Command {
    /// Splits a command line as a POSIX shell splits words, without running a shell.
    pub fn parse(line: &str) -> Result<Self> {
        let mut words = os::words(line)
            .filter(|words| !words.is_empty())
            .ok_or_else(|| Error::new(Kind::Other, format!("not a command line: `{line}`")))?
            .into_iter()
            .map(OsString::from);
        let program = words.next().unwrap_or_default();
        Ok(Self { program, args: words.collect(), ..Self::default() })
    }
}

/// A program that ran to its end.
pub struct Ran {
    /// It exited with 0.
    pub success: bool,
    pub stdout: SecretBytes,
    pub stderr: Vec<u8>,
}

/// The outside world as the library may see it. What a host does not say is closed: no home, no prompts, no programs.
pub trait Host: Send + Sync {
    /// The value of an environment variable; `None` when unset or empty.
    fn env(&self, name: &str) -> Option<OsString>;

    /// The user's home folder.
    fn home(&self) -> Option<PathBuf> {
        None
    }

    /// Asks the person at the terminal for a passphrase; an error when there is no terminal or prompting is not allowed.
    fn ask_passphrase(&self, _prompt: &str) -> Result<SecretString> {
        refuse("asking for a passphrase")
    }

    /// Asks the person at the terminal for a line that is no secret (age plugins do).
    fn ask_line(&self, _prompt: &str) -> Result<String> {
        refuse("asking a question")
    }

    /// Asks yes or no; an error when there is no terminal.
    fn confirm(&self, _question: &str) -> Result<bool> {
        refuse("asking a question")
    }

    /// Runs a program and returns what it prints to standard output; an error when it may not be run or fails.
    fn output_of(&self, _command: &Command) -> Result<SecretBytes> {
        refuse("running a program")
    }

    /// Runs a program to its end, with this standard input, and returns what it prints on both streams, however it ended.
    fn run(&self, command: &Command, _input: &[u8]) -> Result<Ran> {
        let name = command.program.display();
        Err(Error::new(Kind::Other, format!("running `{name}` is not possible here")))
    }

    /// Starts a program whose standard streams are pipes to us: for one that is told more than its arguments, or that
    /// has more to say than [`Host::output_of`] takes.
    fn start(&self, _: &Command) -> io::Result<Child> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "running a program is not possible here"))
    }

    /// Where it is written down what is opened and written; `None` where nobody asks for that.
    fn journal(&self) -> Option<&dyn Journal> {
        None
    }

    /// Whether age plugins (programs named `age-plugin-*` on the `PATH`) may be started.
    fn may_run_plugins(&self) -> bool {
        false
    }

    /// Tells the person something that is not the command's result: a warning, a hint.
    fn note(&self, message: &str);

    /// The time now.
    fn now(&self) -> Timestamp;

    /// The content of a file that holds a secret, such as an identity; files beyond 16 MiB are refused.
    fn read_secret(&self, path: &Path) -> io::Result<SecretBytes> {
        const LIMIT: u64 = 16 << 20;
        let file = fs::open_named(path)?;
        // With room for all of it no copy stays behind in a buffer that was outgrown (pipes have no length).
        let room = file.metadata()?.len().min(LIMIT) as usize + 1;
        let mut content = Zeroizing::new(Vec::with_capacity(room));
        file.take(LIMIT + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LIMIT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file has more than 16 MiB"));
        }
        Ok(content)
    }

    /// The content of a file with a token, which somebody else renews: it is read for each login.
    fn read_token(&self, path: &Path) -> io::Result<SecretBytes> {
        self.read_secret(path)
    }

    /// Writes a file that is the user's own, such as their settings, for them alone to read; one that is there keeps its
    /// mode. An error where that is not allowed.
    fn write_private(&self, _: &Path, _: &[u8]) -> Result<()> {
        Err(Error::new(Kind::Write, "writing files is not possible here"))
    }

    /// An environment variable that has to be text.
    fn env_text(&self, name: &str) -> Result<Option<String>> {
        self.env(name)
            .map(|value| {
                value.into_string().map_err(|_| Error::new(Kind::Other, format!("{name} is not valid UTF-8")))
            })
            .transpose()
    }

    /// The folder of the user's settings: `$XDG_CONFIG_HOME`, else what the operating system has for it.
    fn config_dir(&self) -> Option<PathBuf> {
        if let Some(dir) = self.env("XDG_CONFIG_HOME") {
            return Some(dir.into());
        }
        match os::SETTINGS.0.and_then(|variable| self.env(variable)) {
            Some(dir) => Some(dir.into()),
            None => Some(self.home()?.join(os::SETTINGS.1)),
        }
    }
}

/// A host that gives nothing: no environment, no files, no prompts, no programs. What a controller or a test starts from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Closed;

fn refuse<T>(what: &str) -> Result<T> {
    Err(Error::new(Kind::Other, format!("{what} is not possible here")))
}

impl Host for Closed {
    fn env(&self, _: &str) -> Option<OsString> {
        None
    }
    fn read_secret(&self, _: &Path) -> io::Result<SecretBytes> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "reading files is not possible here"))
    }
    fn note(&self, _: &str) {}
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
