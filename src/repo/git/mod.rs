//! Git, asked by running it: what is staged, what commits hold, what is set up.
//!
//! Owns how Git is started and what is made of its failures; the files beside it say what is asked.

pub mod blobs;
pub mod changes;
pub mod configs;
pub mod history;
pub mod install;
pub mod merge;
pub mod resolve;
pub mod sequence;
pub mod textconv;
pub mod tree;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr};
use std::thread::{self, JoinHandle};

use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::{Command, Host};
use crate::secret::SecretBytes;

/// The most that one answer may hold: the names of some million files.
const OUTPUT_LIMIT: u64 = 512 << 20;

/// The most that is kept of what Git has to say about a failure.
const MESSAGE_LIMIT: u64 = 16 << 10;

/// Git in one folder. What is in the environment counts: a hook is told there which index is meant.
#[derive(Clone)]
pub struct Git<'h> {
    host: &'h dyn Host,
    folder: PathBuf,
}

/// How a run of Git ended.
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: SecretBytes,
    message: String,
}

impl<'h> Git<'h> {
    pub fn in_folder(host: &'h dyn Host, folder: impl Into<PathBuf>) -> Self {
        Self { host, folder: folder.into() }
    }

    /// Git in the top folder of the working tree in which `folder` is.
    pub fn at_top(host: &'h dyn Host, folder: impl Into<PathBuf>) -> Result<Self> {
        let here = Self::in_folder(host, folder);
        let top = here.path_of(["rev-parse", "--show-toplevel"])?;
        Ok(Self::in_folder(host, top))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What Git prints; an error when it fails.
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<SecretBytes> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let answer = self.ask(&args)?;
        if answer.code == Some(0) { Ok(answer.stdout) } else { Err(answer.into_error(&args)) }
    }

    /// What Git prints and how it ends, for a command whose exit code is part of its answer.
    pub fn ask<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<Answer> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let mut child = self.start(&args)?;
        drop(child.stdin.take());
        let message = message_of(child.stderr.take());
        let stdout = child.stdout.take().map_or(Ok(None), |out| fs::read_at_most(out, OUTPUT_LIMIT, 0));
        let cannot = |error| failed(&args, "gave no answer").caused_by(error);
        let Some(stdout) = stdout.map_err(cannot)? else {
            // It waits for somebody to read on.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(&args, &format!("printed more than {} MiB", OUTPUT_LIMIT >> 20)));
        };
        let code = child.wait().map_err(cannot)?.code();
        Ok(Answer { code, stdout, message: message.join().unwrap_or_default() })
    }

    /// Lets `read` have what Git prints as it comes, which need not fit into memory.
    pub fn stream<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        args: I,
        mut read: impl FnMut(&mut dyn BufRead) -> Result<()>,
    ) -> Result<()> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let mut child = self.start(&args)?;
        drop(child.stdin.take());
        let message = message_of(child.stderr.take());
        let done =
            child.stdout.take().map_or(Ok(()), |out| read(&mut BufReader::with_capacity(1 << 16, out)));
        if done.is_err() {
            // It waits for somebody to read on.
            let _ = child.kill();
        }
        let ended = child.wait().map_err(|error| failed(&args, "gave no answer").caused_by(error));
        done?;
        let code = ended?.code();
        let answer =
            Answer { code, stdout: SecretBytes::default(), message: message.join().unwrap_or_default() };
        if code == Some(0) { Ok(()) } else { Err(answer.into_error(&args)) }
    }

    /// A path that Git prints.
    pub fn path_of<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<PathBuf> {
        let output = self.run(args)?;
        let path = output.strip_suffix(b"\n").unwrap_or(&output);
        Ok(self.folder.join(OsStr::from_bytes(path)))
    }

    /// Paths that Git prints with a zero byte behind each, as they stand below its folder.
    pub fn paths_of<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<Vec<PathBuf>> {
        let output = self.run(args)?;
        let names = output.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
    }

    fn start(&self, args: &[OsString]) -> Result<Child> {
        // What stands in for an object here does not do so where it is pushed.
        let folder = ["--no-replace-objects".into(), "-C".into(), self.folder.clone().into_os_string()];
        // Nobody is asked for a password, no lock is taken for a mere look, and messages are in one language.
        let env = [("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0"), ("LC_ALL", "C")];
        let command = Command {
            program: "git".into(),
            args: folder.into_iter().chain(args.iter().cloned()).collect(),
            env: env.map(|(name, value)| (name.into(), value.into())).to_vec(),
            ..Command::default()
        };
        self.host.start(&command).map_err(|error| {
            Error::new(Kind::Read, "`git` cannot be started")
                .caused_by(error)
                .advise("Install Git, and see to it that it is on the PATH.")
        })
    }
}

impl Answer {
    /// Why the command failed.
    pub fn into_error<S: AsRef<OsStr>>(self, args: &[S]) -> Error {
        let message = self.message.trim().replace('\n', "; ");
        match (message.is_empty(), self.code) {
            (false, _) => failed(args, "failed").caused_by(message),
            (true, Some(code)) => failed(args, &format!("exited with {code}")),
            (true, None) => failed(args, "was stopped by a signal"),
        }
    }
}

fn failed<S: AsRef<OsStr>>(args: &[S], how: &str) -> Error {
    let command = args.iter().map(AsRef::as_ref).find(|arg| !arg.as_bytes().starts_with(b"-"));
    Error::new(Kind::Read, format!("`git {}` {how}", command.unwrap_or_default().display()))
}

/// Reads what Git has to say to its end, so that it never waits for somebody to do so.
fn message_of(stderr: Option<ChildStderr>) -> JoinHandle<String> {
    thread::spawn(move || {
        let Some(mut stderr) = stderr else { return String::new() };
        let mut message = Vec::new();
        // What cannot be read is not worth a second failure.
        let _ = stderr.by_ref().take(MESSAGE_LIMIT).read_to_end(&mut message);
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        String::from_utf8_lossy(&message).into_owned()
    })
}

/// A name for a commit that somebody has given. None of them begins as an option does.
pub fn revision(name: &str) -> Result<&str> {
    if name.is_empty() || name.starts_with('-') {
        return Err(Error::new(Kind::Other, format!("`{name}` is no name of a commit")));
    }
    Ok(name)
}

/// The topmost folder of the working tree in which a folder stands.
pub fn root_of(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|above| above.join(".git").exists())
}
