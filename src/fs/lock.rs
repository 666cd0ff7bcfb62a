//! One writer per file at a time, among our own processes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::fs::atomic::{folder_of, target_of};

/// How long to wait for another process.
const WAIT: Duration = Duration::from_secs(10);

/// How often to look whether it has finished.
const INTERVAL: Duration = Duration::from_millis(20);

/// The right to read a file, and write it once, with no other process of ours doing so in between.
///
/// It is an advisory lock on the file itself, or on its folder while there is no such file: nothing is left behind, and
/// it ends with the process however that ends. [`super::write_atomic`] puts another file into the locked one's place,
/// so a lock is good for one write, and is to be dropped after it. Whoever takes many takes them in one order (that of
/// [`super::walk`]), or two processes may wait for each other until they give up.
pub struct Lock {
    /// `None` for what is no regular file, and on file systems without locks.
    file: Option<File>,
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
                return Ok(Self { file: None });
            }
            let file = open(&target).map_err(cannot)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // While we waited the file may have been replaced: then this is the lock of one that is gone.
                Ok(()) if is_still(&file, &target).map_err(cannot)? => return Ok(Self { file: Some(file) }),
                Ok(()) => {}
                Err(Errno::NOTSUP | Errno::NOLCK) => return Ok(Self { file: None }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => thread::sleep(INTERVAL),
                Err(Errno::WOULDBLOCK) => return Err(held(path, &file, wait)),
                Err(error) => return Err(cannot(error.into())),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a child process that has just been forked has the file open as well.
        if let Some(file) = &self.file {
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

/// The file, or its folder when it is not there.
fn open(target: &Path) -> io::Result<File> {
    // For writing where we may: network file systems lock nothing else.
    let file = OpenOptions::new().read(true).write(true).open(target);
    file.or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => File::open(target),
        io::ErrorKind::NotFound => File::open(folder_of(target)),
        _ => Err(error),
    })
}

/// Whether `file` is what is at `target`, or is its folder and nothing is there.
fn is_still(file: &File, target: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::metadata(target) {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(opened.is_dir()),
        Err(error) => Err(error),
    }
}

fn held(path: &Path, file: &File, wait: Duration) -> Error {
    let holder = file.metadata().ok().and_then(|metadata| holder(metadata.ino()));
    let holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    let message = format!("has been locked by {holder} for {} seconds", wait.as_secs());
    Error::new(Kind::Write, message)
        .in_file(path)
        .advise("Wait for it to finish, or end it; then run the command again. Nothing was written.")
}

/// The process that holds a lock on this inode, where the kernel tells. It leaves lines out while others come and go.
fn holder(inode: u64) -> Option<u32> {
    (0..5).find_map(|_| listed_holder(inode))
}

fn listed_holder(inode: u64) -> Option<u32> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 08:02:131075 0 EOF`; waiting processes have `->` after the number.
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = fields[..] else { return None };
        let of_inode = place.rsplit(':').next()? == inode.to_string();
        pid.parse().ok().filter(|_| of_inode)
    })
}
