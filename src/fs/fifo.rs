//! A named pipe that gives its content to one reader, and is on no disk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// How often to look whether somebody has opened the pipe.
const INTERVAL: Duration = Duration::from_millis(2);

/// A named pipe out of which its content can be read once, while this lives.
pub struct Fifo {
    path: PathBuf,
    dropped: Arc<AtomicBool>,
}

impl Fifo {
    pub(super) fn new(path: PathBuf, bytes: SecretBytes) -> Result<Self> {
        make(&path).map_err(|error| {
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
    while !dropped.load(Ordering::SeqCst) {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(pipe) => {
                rustix::fs::fcntl_setfl(&pipe, OFlags::empty())?;
                return std::fs::File::from(pipe).write_all(bytes);
            }
            Err(Errno::NXIO | Errno::INTR) => thread::sleep(INTERVAL),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(not(target_vendor = "apple"))]
fn make(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

#[cfg(target_vendor = "apple")]
fn make(_: &Path) -> io::Result<()> {
    let _ = FileType::Fifo;
    Err(io::ErrorKind::Unsupported.into())
}
