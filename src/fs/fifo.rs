//! Named pipes: one of ours that gives its content to one reader, and is on no disk, and those that a person names.
//!
//! Owns that none is waited for longer than there can be somebody at its other end.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::os;
use crate::secret::SecretBytes;

/// How often to look whether somebody has opened the pipe.
const INTERVAL: Duration = Duration::from_millis(2);

/// How long to wait for the other end of a pipe that is not ours.
const PATIENCE: Duration = Duration::from_secs(5);

/// A named pipe out of which its content can be read once, while this lives.
pub struct Fifo {
    path: PathBuf,
    dropped: Arc<AtomicBool>,
}

impl Fifo {
    pub(super) fn new(path: PathBuf, bytes: SecretBytes) -> Result<Self> {
        os::make_pipe(&path).map_err(|error| {
            Error::new(Kind::Write, "no named pipe can be made here")
                .in_file(&path)
                .caused_by(error)
                .advise("Use a file instead, with --no-fifo.")
        })?;
        let dropped = Arc::new(AtomicBool::new(false));
        let feed = {
            let (path, dropped) = (path.clone(), Arc::clone(&dropped));
            // A reader that goes before the end has had what it wanted.
            move || drop(feed(&path, &bytes, &dropped))
        };
        thread::Builder::new()
            .name("fifo".to_owned())
            .spawn(feed)
            .map_err(|error| Error::new(Kind::Other, "no thread can be started").caused_by(error))?;
        Ok(Self { path, dropped })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

/// Waits for a reader, and for no longer than there can be one: to open a pipe that nobody reads would wait for ever.
fn feed(path: &Path, bytes: &[u8], dropped: &AtomicBool) -> io::Result<()> {
    match open_while(path, || !dropped.load(Ordering::SeqCst))? {
        Some(mut pipe) => pipe.write_all(bytes),
        None => Ok(()),
    }
}

/// Opens a pipe to write into it, while it is worth waiting for a reader.
fn open_while(path: &Path, is_worth_it: impl Fn() -> bool) -> io::Result<Option<File>> {
    while is_worth_it() {
        match os::open_pipe_to_write(path)? {
            Some(pipe) => return Ok(Some(pipe)),
            None => thread::sleep(INTERVAL),
        }
    }
    Ok(None)
}

/// Opens a pipe that a person has named, to write into it, once somebody reads it.
pub(super) fn writer(path: &Path) -> io::Result<File> {
    let deadline = Instant::now() + PATIENCE;
    open_while(path, || Instant::now() < deadline)?.ok_or_else(|| nobody("reads"))
}

/// Opens a pipe that a person has named, to read it, once somebody writes into it.
pub(super) fn reader(path: &Path) -> io::Result<File> {
    os::open_pipe_to_read(path, PATIENCE)?.ok_or_else(|| nobody("writes"))
}

fn nobody(does: &str) -> io::Error {
    let seconds = PATIENCE.as_secs();
    io::Error::other(format!(
        "it is a named pipe, and after {seconds} seconds nobody {does} at its other end"
    ))
}
