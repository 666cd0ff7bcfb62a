use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, setsid};
use wait_timeout::ChildExt;

use crate::capture::{Capture, Deadline};
use crate::{Peers, Terminal};

/// No program under test has work for a minute: one that runs longer hangs, for instance at a prompt.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that is about to run, in an environment that holds nothing of the developer's own.
#[must_use = "nothing has run yet: call run() or on_terminal()"]
pub struct Run {
    command: Command,
    cwd: PathBuf,
    stdin: Option<Vec<u8>>,
    limit: Duration,
    of_windows: bool,
}

impl Run {
    pub(crate) fn new(program: &Path, args: &[&str], cwd: PathBuf) -> Self {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(&cwd);
        // A shell that starts the tests in the background makes them ignore Ctrl-C, and all that they start with them.
        // SAFETY: signal is async-signal-safe, and the closure allocates nothing.
        unsafe {
            command.pre_exec(|| {
                for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        Self { command, cwd, stdin: None, limit: LIMIT, of_windows: false }
    }

    /// One more argument, for instance a path.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// The name by which the program is called, for a program that acts by it.
    pub fn called_as(mut self, name: &str) -> Self {
        self.command.arg0(name);
        self
    }

    /// What the program reads from its standard input, which is empty otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// It is a program for Windows, which spells paths in its own way: tests see those that are there as they are here.
    pub(crate) fn of_windows(mut self, is_it: bool) -> Self {
        self.of_windows = is_it;
        // Each program that it starts takes wine a tenth of a second, and a command of ours may start many.
        self.limit *= if is_it { 3 } else { 1 };
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Puts the real programs first on the `PATH`, for one that starts another (age plugins, git drivers).
    #[track_caller]
    pub fn with_peers(self) -> Self {
        let mut path = OsString::from(Peers::get().directory());
        if let Some((_, Some(rest))) = self.command.get_envs().find(|(key, _)| *key == "PATH") {
            path.push(":");
            path.push(rest);
        }
        self.env("PATH", path)
    }

    /// Runs in a folder of the working directory instead of the working directory.
    pub fn cwd(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(self.cwd.join(folder));
        self
    }

    /// How long it may run, instead of a minute.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it cannot be started, or is not done within its time; then it is killed with all that it has started.
    #[track_caller]
    #[must_use = "check how it ended: ok() or code()"]
    pub fn run(mut self) -> Output {
        let name = self.to_string();
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A session of its own has no terminal: a program that wants to prompt fails at once, on a developer's
        // machine as in CI. And it is a process group, so that it can be killed together with its children.
        // SAFETY: setsid is async-signal-safe, and the closure allocates nothing.
        unsafe {
            self.command.pre_exec(|| Ok(setsid().map(drop)?));
        }
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let deadline = Deadline::new(self.limit);

        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), self.stdin) {
            // An error only means that the program did not want to read on, which is its right.
            thread::spawn(move || pipe.write_all(&bytes).ok());
        }
        let stdout = Capture::of(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Capture::of(child.stderr.take().expect("stderr is a pipe"));

        // The pipes are waited for, too: what the program has started may still hold them.
        let status = wait(&mut child, &deadline);
        let closed = stdout.wait_closed(&deadline) && stderr.wait_closed(&deadline);
        let (Some(status), true) = (status, closed) else {
            kill_group(&mut child);
            let what = match status {
                Some(_) => "ended, but left a process behind that holds its output open",
                None => "was not done",
            };
            panic!("{name}\n{what} after {:?}\n{}", self.limit, streams(&stdout.text(), &stderr.text()));
        };
        let (mut stdout, mut stderr) = (stdout.bytes(), stderr.text());
        if self.of_windows {
            let folder = self.command.get_current_dir().unwrap_or(&self.cwd);
            stderr = spelled_as_here(&stderr, folder);
            stdout = String::from_utf8(stdout)
                .map_or_else(|error| error.into_bytes(), |text| spelled_as_here(&text, folder).into());
        }
        Output { status: code_of(status), stdout, stderr, name }
    }

    /// Runs the program to its end, however long that takes, and says what it needed. For benchmarks: what it prints to
    /// standard output is thrown away.
    ///
    /// # Panics
    /// When it cannot be started, or fails.
    #[track_caller]
    #[allow(
        clippy::zombie_processes,
        reason = "`wait_with_usage` waits, which Child::wait cannot tell the usage by"
    )]
    pub fn measure(mut self) -> Usage {
        let name = self.to_string();
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stderr = Capture::of(child.stderr.take().expect("stderr is a pipe"));
        let (status, usage) = wait_with_usage(&child);
        let wall = start.elapsed();
        assert!(status.success(), "{name}\n{status}\n{}", stderr.text());
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.unsigned_abs())
                + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        Usage {
            wall,
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            // Linux counts in KiB.
            peak_bytes: usage.ru_maxrss.unsigned_abs() * 1024,
        }
    }

    /// Starts the program on a terminal of its own, for prompts and for what is only shown to people.
    #[track_caller]
    pub fn on_terminal(self) -> Terminal {
        let name = self.to_string();
        assert!(
            self.stdin.is_none(),
            "{name}\nits standard input is the terminal: use send_line() instead of stdin()"
        );
        Terminal::start(self.command, name, self.limit)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$ {}", self.command.get_program().to_string_lossy())?;
        self.command.get_args().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// What a run of a program needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// From its start to its end.
    pub wall: Duration,
    /// Of all cores.
    pub cpu: Duration,
    /// The most memory that it had at once. That of the process which started it counts as its own until it begins,
    /// so a benchmark keeps itself small.
    pub peak_bytes: u64,
}

/// How a program ended, and what it said.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; 128 and the signal's number for one that a signal ended, as in a shell.
    pub status: i32,
    /// Standard output; of a program on a terminal, all that the terminal showed.
    pub stdout: Vec<u8>,
    /// Standard error; empty for a program on a terminal.
    pub stderr: String,
    pub(crate) name: String,
}

impl Output {
    /// Asserts that the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert!(self.status == expected, "expected exit code {expected}\n{self}");
        self
    }

    /// Standard output as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap_or_else(|_| panic!("standard output is not UTF-8\n{self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, stdout, stderr, name } = self;
        write!(f, "{name}\nexit code: {status}\n{}", streams(&String::from_utf8_lossy(stdout), stderr))
    }
}

/// A text in which paths that begin in this folder are spelled `a/b` instead of `a\b`, and `/a` instead of `Z:\a`.
fn spelled_as_here(text: &str, folder: &Path) -> String {
    let is_end = |c: char| c.is_whitespace() || "\"'`,;()[]<>:".contains(c);
    let is_there = |path: &str| {
        path.split_once('/')
            .is_some_and(|(top, rest)| !rest.is_empty() && (top.is_empty() || folder.join(top).is_dir()))
    };
    let text = text.replace("Z:\\\\", "/").replace("Z:\\", "/");
    let words = text.split_inclusive(is_end).map(|word| {
        let path = word.replace("\\\\", "/").replace('\\', "/");
        let is_path = path != word && !word.starts_with('\\') && is_there(path.trim_end_matches(is_end));
        if is_path { path } else { word.to_owned() }
    });
    words.collect()
}

fn streams(stdout: &str, stderr: &str) -> String {
    format!("--- standard output\n{stdout}\n--- standard error\n{stderr}\n---")
}

pub(crate) fn code_of(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .expect("a process exits or is killed")
}

/// Waits for the end of a child. The standard library has no way to get its usage.
fn wait_with_usage(child: &Child) -> (ExitStatus, libc::rusage) {
    let mut status = 0;
    let pid = child.id().cast_signed();
    // SAFETY: all zeros is a value of this plain structure, and wait4 writes to nothing but the two given.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut usage), pid, "a child can be waited for");
        (ExitStatus::from_raw(status), usage)
    }
}

/// Kills the leader of a session with all that it has started.
pub(crate) fn kill_group(child: &mut Child) {
    let group = Pid::from_child(child);
    // "No such process" means that all are gone already.
    kill_process_group(group, Signal::KILL).ok();
    child.wait().ok();
}

/// How the program ended; nothing when the time is up.
pub(crate) fn wait(child: &mut Child, deadline: &Deadline) -> Option<ExitStatus> {
    child.wait_timeout(deadline.left()).expect("a child can be waited for")
}
