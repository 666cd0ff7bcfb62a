//! A Git that was started: what it prints, what it has to say of a failure, and its end.
//!
//! Owns that nobody waits for ever: a Git that is silent for too long is stopped, and so is one that nobody listens to. Nor
//! does it take all memory: it keeps the names of all files of a commit, and a few objects can make any number of these.

use std::ffi::OsString;
use std::io::{self, Read};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::Answer;
use crate::error::{Error, Result};
use crate::os;
use crate::secret::SecretBytes;

/// The most that is kept of what Git has to say about a failure.
const MESSAGE_LIMIT: u64 = 16 << 10;

/// How long it is waited for a message whose writer has ended. A program that Git has left behind may hold it open.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(1);

/// For how long this process has waited for Gits that said nothing, in milliseconds.
static IN_VAIN: AtomicU64 = AtomicU64::new(0);

/// For how long was waited for Gits that said nothing.
pub(super) fn waited_in_vain() -> Duration {
    Duration::from_millis(IN_VAIN.load(Ordering::Relaxed))
}

/// The most memory that it may take for what it reads and lists, in bytes: some million files in one commit.
const MEMORY: u64 = 2 << 30;

/// A child process, which is gone when this is.
pub(super) struct Running {
    args: Vec<OsString>,
    child: Child,
    message: Option<Receiver<String>>,
    patience: Duration,
}

impl Running {
    pub fn new(args: Vec<OsString>, mut child: Child, patience: Duration) -> Self {
        os::limit_memory(&child, MEMORY);
        let (sender, receiver) = mpsc::channel();
        let stderr = child.stderr.take();
        // Read to its end, so that Git never blocks on it.
        thread::spawn(move || {
            let Some(mut stderr) = stderr else { return };
            let mut message = Vec::new();
            // A failed read is not worth a second error, and maybe nobody listens any more.
            let _ = stderr.by_ref().take(MESSAGE_LIMIT).read_to_end(&mut message);
            let _ = io::copy(&mut stderr, &mut io::sink());
            let _ = sender.send(String::from_utf8_lossy(&message).into_owned());
        });
        Self { args, child, message: Some(receiver), patience }
    }

    /// Where it reads.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it prints.
    pub fn output(&mut self) -> Result<Output> {
        let stdout = self.child.stdout.take().ok_or_else(|| self.failed("gave no answer"))?;
        Ok(Output { stdout, patience: self.patience })
    }

    /// Waits for it to end by itself.
    pub fn end(mut self, stdout: SecretBytes) -> Result<Answer> {
        drop(self.input());
        let start = Instant::now();
        let code = loop {
            match self.child.try_wait().map_err(|error| self.unread(error))? {
                Some(status) => break status.code(),
                None if start.elapsed() < self.patience => thread::sleep(Duration::from_millis(1)),
                None => return Err(self.unread(io::ErrorKind::TimedOut.into())),
            }
        };
        Ok(Answer { code, stdout, message: self.message() })
    }

    /// Stops it, and says why it gave no answer.
    pub fn unread(&mut self, error: io::Error) -> Error {
        self.stop();
        if error.kind() == io::ErrorKind::TimedOut {
            let waited = self.patience.as_millis().try_into().unwrap_or(u64::MAX);
            IN_VAIN.fetch_add(waited, Ordering::Relaxed);
            return self.failed(&format!("was silent for {} s, and was stopped", self.patience.as_secs()));
        }
        self.failed("gave no answer").caused_by(error)
    }

    /// Stops it, for it has ended before its time, and says so with its own words if there are any.
    pub fn gone(&mut self) -> Error {
        self.stop();
        Answer { code: None, stdout: SecretBytes::default(), message: self.message() }
            .into_error_or(&self.args, "ended before it gave an answer")
    }

    pub fn failed(&self, how: &str) -> Error {
        super::failed(&self.args, how)
    }

    fn message(&mut self) -> String {
        let message = self.message.take();
        message.and_then(|message| message.recv_timeout(MESSAGE_PATIENCE).ok()).unwrap_or_default()
    }

    fn stop(&mut self) {
        drop(self.input());
        // It may have ended this very moment.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What Git prints. Reading fails when nothing came for too long.
pub(super) struct Output {
    stdout: ChildStdout,
    patience: Duration,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match os::wait_for_output(&self.stdout, self.patience)? {
            false => Err(io::ErrorKind::TimedOut.into()),
            true => self.stdout.read(buffer),
        }
    }
}
