use std::fmt;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::setsid;
use tempfile::TempDir;

use crate::capture::{Capture, Deadline};

/// Servers are ready within seconds, on a busy machine within tens of seconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// The shell that keeps a server: it waits for the end of its standard input, which the test process holds open, then
/// kills the server and removes its folder. Thereby both are gone when the [`Server`] is dropped, and also when the
/// test process ends in any other way: statics are not dropped, and neither is anything when a test run is killed.
///
/// On the lines `stop` and `start` it kills the server, and starts it again in the same folder.
const KEEPER: &str = r#"
    folder=$1
    shift
    "$@" 2>&1 &
    exec >/dev/null 2>&1
    while read -r command; do
        case $command in
            stop) kill -KILL $!; wait ;;
            start) "$@" & ;;
        esac
    done
    kill -KILL $!
    wait
    rm -rf "$folder"
"#;

/// A server that runs in a folder of its own, until it is dropped or the test process has ended.
pub(crate) struct Server {
    name: String,
    folder: PathBuf,
    keeper: Child,
    /// Dropping it ends the server.
    lifeline: Option<ChildStdin>,
    output: Capture,
}

/// Why a server did not start.
#[derive(Debug)]
pub(crate) struct NotStarted(String);

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Server {
    /// Starts a program in its folder, with nothing of the developer's own in its environment.
    #[track_caller]
    pub(crate) fn start(folder: TempDir, program: &Path, args: &[String]) -> Self {
        let name = format!("$ {} {}", program.display(), args.join(" "));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(folder.path()).arg(program).args(args);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder.path());
        command.current_dir(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C in the terminal of the tests must end the keeper after them, not with them.
        // SAFETY: setsid is async-signal-safe, and the closure allocates nothing.
        unsafe {
            command.pre_exec(|| Ok(setsid().map(drop)?));
        }
        let mut keeper = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let lifeline = keeper.stdin.take();
        let output = Capture::of(keeper.stdout.take().expect("stdout is a pipe"));
        Self { name, folder: folder.keep(), keeper, lifeline, output }
    }

    /// Waits until the server has written this text.
    pub(crate) fn wait_for(self, text: &str) -> Result<Self, NotStarted> {
        let deadline = Deadline::new(LIMIT);
        let found = self.output.wait_until(&deadline, |output| {
            output.bytes.windows(text.len()).any(|window| window == text.as_bytes()).then_some(())
        });
        match found {
            Some(()) => Ok(self),
            None if deadline.left().is_zero() => Err(self.not_started("was not ready in time")),
            None => Err(self.not_started("has ended")),
        }
    }

    /// Kills the server with SIGKILL. Its folder stays.
    pub(crate) fn stop(&self) {
        self.tell("stop");
    }

    /// Starts the server again, as it was started first. What it writes from then on is lost.
    pub(crate) fn start_again(&self) {
        self.tell("start");
    }

    fn tell(&self, command: &str) {
        let mut lifeline = self.lifeline.as_ref().expect("the keeper listens until the server is dropped");
        writeln!(lifeline, "{command}").expect("the keeper listens");
    }

    /// The folder of the server, removed with it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// All that the server has written so far, to standard output and standard error.
    pub(crate) fn output(&self) -> String {
        self.output.text()
    }

    fn not_started(&self, why: &'static str) -> NotStarted {
        NotStarted(format!("{}\n--- output\n{}\n---\n{why}", self.name, self.output()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifeline = None;
        // An error would mean that somebody else has waited for it: nothing is left to do.
        self.keeper.wait().ok();
    }
}

/// A folder for a server.
pub(crate) fn folder(name: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("sealant-test-{name}-"))
        .tempdir()
        .expect("a temporary directory")
}

/// Starts a server on a port that nobody listens on. Somebody may do so a moment later: then on another one.
#[track_caller]
pub(crate) fn on_free_port<T>(start: impl Fn(u16) -> Result<T, NotStarted>) -> T {
    let mut attempts = 5;
    loop {
        attempts -= 1;
        match start(free_port()) {
            Ok(server) => return server,
            Err(NotStarted(why)) if attempts > 0 && why.to_lowercase().contains("address already in use") => {
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a listener has an address").port()
}
