use std::io::{self, Read, Write};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{Command as PtyCommand, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

use crate::Output;
use crate::capture::{Capture, Deadline};
use crate::run::{code_of, kill_group, wait};

/// A program on a terminal of its own, 100 columns wide, and what the test types there.
///
/// ```no_run
/// # let test = sealant_test_support::Sandbox::new("");
/// let mut terminal = test.sealant(&["keygen", "--passphrase"]).on_terminal();
/// terminal.wait_for("Passphrase:");
/// terminal.send_hidden_line("correct horse");
/// let output = terminal.finish().ok();
/// assert!(!output.text().contains("correct horse"));
/// ```
///
/// A terminal ends its lines in `\r\n`. Each step has the time limit of the program, a minute if nothing else was said.
pub struct Terminal {
    name: String,
    limit: Duration,
    child: Child,
    keyboard: Arc<Pty>,
    screen: Capture,
    /// How much of the screen earlier calls of `wait_for` have gone through.
    seen: usize,
}

impl Terminal {
    #[track_caller]
    pub(crate) fn start(mut command: Command, name: String, limit: Duration) -> Self {
        command.env("TERM", "xterm-256color");
        let (pty, child_end) = open().unwrap_or_else(|error| panic!("cannot open a terminal: {error}"));
        pty.resize(Size::new(40, 100)).unwrap_or_else(|error| panic!("cannot resize a terminal: {error}"));
        let child = PtyCommand::from(command)
            .spawn(child_end)
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let keyboard = Arc::new(pty);
        let screen = Capture::of(SharedPty(Arc::clone(&keyboard)));
        Self { name, limit, child, keyboard, screen, seen: 0 }
    }

    /// Waits until the terminal shows this text, after what earlier calls have waited for. Returns all that came
    /// before it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Deadline::new(self.limit);
        let found = self.screen.wait_until(&deadline, |screen| {
            let new = &screen.bytes[self.seen..];
            let at = new.windows(text.len()).position(|window| window == text.as_bytes())?;
            Some((String::from_utf8_lossy(&new[..at]).into_owned(), self.seen + at + text.len()))
        });
        let Some((before, seen)) = found else {
            let why = if deadline.left().is_zero() { "its time is up" } else { "it has ended" };
            panic!("{}\nhas not shown {text:?}, and {why}\n{}", self.name, self.shown());
        };
        self.seen = seen;
        before
    }

    /// Types bytes as they are, for instance `"\x03"` for Ctrl-C.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        (&*self.keyboard)
            .write_all(bytes.as_ref())
            .unwrap_or_else(|error| panic!("{}\ncannot type on its terminal: {error}", self.name));
    }

    /// Types a line and presses Enter.
    #[track_caller]
    pub fn send_line(&mut self, line: &str) {
        self.send(format!("{line}\r"));
    }

    /// Types a line as soon as the program has turned the echo off, as it does for a passphrase. Typed a moment
    /// earlier, the line would be shown, or thrown away with the rest of the input.
    #[track_caller]
    pub fn send_hidden_line(&mut self, line: &str) {
        let deadline = Deadline::new(self.limit);
        while self.echoes() {
            let waiting = !deadline.left().is_zero() && self.is_running();
            assert!(waiting, "{}\nhas not turned the echo off\n{}", self.name, self.shown());
            thread::sleep(Duration::from_millis(5));
        }
        self.send_line(line);
    }

    /// All that the terminal has shown so far.
    pub fn transcript(&self) -> String {
        self.screen.text()
    }

    /// Waits until the program has ended. The terminal has one stream only: `stdout` is the whole transcript.
    #[track_caller]
    #[must_use = "check how it ended: ok() or code()"]
    pub fn finish(mut self) -> Output {
        let deadline = Deadline::new(self.limit);
        let Some(status) = wait(&mut self.child, &deadline) else {
            panic!("{}\nwas not done after {:?}\n{}", self.name, self.limit, self.shown());
        };
        if !self.screen.wait_closed(&deadline) {
            panic!("{}\nended, but left a process on its terminal\n{}", self.name, self.shown());
        }
        Output {
            status: code_of(status),
            stdout: self.screen.bytes(),
            stderr: String::new(),
            name: self.name.clone(),
        }
    }

    fn echoes(&self) -> bool {
        let modes =
            tcgetattr(&*self.keyboard).unwrap_or_else(|error| panic!("{}\nits terminal: {error}", self.name));
        modes.local_modes.contains(LocalModes::ECHO)
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    fn shown(&self) -> String {
        format!("--- terminal\n{}\n---", self.transcript())
    }
}

impl Drop for Terminal {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        if self.is_running() {
            kill_group(&mut self.child);
        }
    }
}

/// The reading half of a terminal that is also typed on.
struct SharedPty(Arc<Pty>);

impl Read for SharedPty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}
