//! One writer per file at a time, among our own processes.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::fs::atomic::{folder_of, target_of};
use crate::os::{Asked, PathLock};

/// How long to wait for another process.
const WAIT: Duration = Duration::from_secs(10);

/// How often to look whether it has finished.
const INTERVAL: Duration = Duration::from_millis(20);

/// The right to read a file, and write it once, with no other process of ours doing so in between.
///
/// It is advisory: nothing is left behind, and it ends with the process however that ends. [`super::write_atomic`] puts another file into the locked one's place,
/// so a lock is good for one write, and is to be dropped after it. Whoever takes many takes them in one order (that of
/// [`super::walk`]), or two processes may wait for each other until they give up.
pub struct Lock {
    /// `None` for what is no regular file, and on file systems without locks.
    _lock: Option<PathLock>,
}

impl Lock {
    /// Waits until no other process writes the file, at most ten seconds.
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::exclusive_within(path, WAIT)
    }

    pub(super) fn exclusive_within(path: &Path, wait: Duration) -> Result<Self> {
        let cannot =
            |error: io::Error| Error::new(Kind::Write, "cannot be locked").in_file(path).caused_by(error);
        let deadline = Instant::now() + wait;
        loop {
            let target = target_of(path).map_err(cannot)?;
            if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
                return Ok(Self { _lock: None });
            }
            match PathLock::ask(&target, folder_of(&target)).map_err(cannot)? {
                Asked::Held(lock) => return Ok(Self { _lock: Some(lock) }),
                Asked::NoLocks => return Ok(Self { _lock: None }),
                Asked::Again => {}
                Asked::Busy(_) if Instant::now() < deadline => thread::sleep(INTERVAL),
                Asked::Busy(busy) => return Err(held(path, busy.holder(), wait)),
            }
        }
    }
}

fn held(path: &Path, holder: Option<u32>, wait: Duration) -> Error {
    let holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    let message = format!("has been locked by {holder} for {} seconds", wait.as_secs());
    Error::new(Kind::Write, message)
        .in_file(path)
        .advise("Wait for it to finish, or end it; then run the command again. Nothing was written.")
}
