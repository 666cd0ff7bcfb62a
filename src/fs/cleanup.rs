//! What must not outlive the process: temporary files, folders with plaintext, and programs that have it open.
//!
//! Each is registered while it lives, and removed or stopped when the process is told to stop.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::error::{Error, Kind, Result};
use crate::os::{self, Process};

static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static HELD: AtomicUsize = AtomicUsize::new(0);
static DIVERTED: Mutex<Option<Handler>> = Mutex::new(None);
static CHILDREN: Mutex<Vec<Process>> = Mutex::new(Vec::new());

/// What is done with a signal, by its number.
type Handler = Box<dyn Fn(i32) + Send>;

/// How long a program may take to stop.
const CHILD_LIMIT: Duration = Duration::from_secs(1);

pub(super) fn live() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A path that is removed when the process is told to stop, until this is dropped.
pub(super) struct Registered(PathBuf);

pub(super) fn register(path: &Path) -> Registered {
    live().insert(path.to_path_buf());
    Registered(path.to_path_buf())
}

impl Drop for Registered {
    fn drop(&mut self) {
        live().remove(&self.0);
    }
}

/// Removes every temporary file and every folder of plaintext that is alive.
pub fn wipe_all() {
    wipe_each(&live());
}

fn wipe_each(paths: &BTreeSet<PathBuf>) {
    for path in paths {
        // Whatever fails, the others have their turn; there is nobody left to tell.
        let _ = wipe(path);
    }
}

/// From now on, signals that ask this process to end wipe all that [`wipe_all`] does, and end it. Call it before the first
/// plaintext is written.
pub fn wipe_on_signals() -> Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.set(()).is_err() {
        return Ok(());
    }
    let handle = |signal| {
        if os::is_interrupt(signal) && HELD.load(Ordering::SeqCst) > 0 {
            return;
        }
        if let Some(handle) = &*diverted() {
            handle(signal);
            return;
        }
        // The registry stays locked until the end: nothing new comes to life behind our back.
        let live = live();
        stop_children();
        wipe_each(&live);
        os::end_by(signal)
    };
    os::on_signals(handle)
        .map_err(|error| Error::new(Kind::Other, "cannot watch for signals").caused_by(error))
}

/// Lets INT and QUIT pass until the guard is dropped: at a terminal they reach us and the editor that we started, and
/// are meant for the editor.
#[must_use]
pub fn hold_interrupts() -> HeldInterrupts {
    HELD.fetch_add(1, Ordering::SeqCst);
    HeldInterrupts(())
}

/// The guard of [`hold_interrupts`].
pub struct HeldInterrupts(());

impl Drop for HeldInterrupts {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Gives signals to `handle` until the guard is dropped, instead of ending: for a process that lives as long as the
/// program that it has started.
#[must_use]
pub fn divert_signals(handle: impl Fn(i32) + Send + 'static) -> DivertedSignals {
    *diverted() = Some(Box::new(handle));
    DivertedSignals(())
}

/// The guard of [`divert_signals`].
pub struct DivertedSignals(());

impl Drop for DivertedSignals {
    fn drop(&mut self) {
        *diverted() = None;
    }
}

fn diverted() -> MutexGuard<'static, Option<Handler>> {
    DIVERTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child process that is told to stop (TERM) when we are, until the guard is dropped: an editor without us
/// would keep plaintext open, and a terminal that somebody else reads from.
pub fn spawn_to_stop_with_us(command: &mut Command) -> io::Result<(Child, StoppedWithUs)> {
    // Locked over the start: a signal that comes right after it finds the child.
    let mut children = children();
    let child = command.spawn()?;
    let process = Process::of(&child);
    children.push(process);
    Ok((child, StoppedWithUs(process)))
}

/// The guard of [`spawn_to_stop_with_us`].
pub struct StoppedWithUs(Process);

impl Drop for StoppedWithUs {
    fn drop(&mut self) {
        children().retain(|child| *child != self.0);
    }
}

fn children() -> MutexGuard<'static, Vec<Process>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops the children, and gives them a moment to end: an editor saves its swap file before it does.
fn stop_children() {
    for child in children().iter() {
        os::stop(*child);
    }
    let deadline = Instant::now() + CHILD_LIMIT;
    while !children().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Removes what is at a path; the files of a folder are overwritten before. What is not there is no error.
pub(super) fn wipe(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            overwrite_all(path);
            fs::remove_dir_all(path)
        }
        // A temporary file is not overwritten: it may be renamed under our hands, and is then the user's file.
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn overwrite_all(folder: &Path) {
    for entry in WalkDir::new(folder).into_iter().filter_map(std::result::Result::ok) {
        // Only files: to open a pipe would wait for its other end, and a link leads elsewhere.
        if entry.file_type().is_file() {
            // What cannot be overwritten can still be removed.
            let _ = overwrite(entry.path());
        }
    }
}

fn overwrite(path: &Path) -> io::Result<()> {
    os::make_writable(path)?;
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    let zeros = [0; 1 << 16];
    while left > 0 {
        let count = left.min(zeros.len() as u64);
        file.write_all(&zeros[..count as usize])?;
        left -= count;
    }
    file.sync_data()
}
