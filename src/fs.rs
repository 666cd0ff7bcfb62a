//! Files: the only place that writes them, and what has to be so when it does.
//!
//! Owns atomic replacement, locks between our own processes, folders and pipes for plaintext, what happens to all of these when
//! the process is told to stop, and the walk over files and folders. It knows no formats.

#![allow(clippy::disallowed_methods, reason = "what is disallowed elsewhere is done here")]

mod append;
mod atomic;
mod cleanup;
mod fifo;
mod lock;
mod private_dir;
mod walk;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use append::{append, read_lines};
pub use atomic::{Mode, Snapshot, check_writable, is_leftover, write_atomic, write_atomic_if_unchanged};
pub use cleanup::{
    DivertedSignals, HeldInterrupts, StoppedWithUs, divert_signals, hold_interrupts, spawn_to_stop_with_us,
    wipe_all, wipe_on_signals,
};
pub use fifo::Fifo;
pub use lock::Lock;
pub use private_dir::PrivateDir;
pub use walk::{Walk, files_below, links, walk};

use crate::error::{Error, Kind, Result};
use crate::hints;
use crate::secret::SecretBytes;

/// Reads a file, a pipe or `/dev/stdin` that holds at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<SecretBytes> {
    let cannot = |error: io::Error| Error::new(Kind::Read, "cannot be read").in_file(path).caused_by(error);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(path)),
        file => file.map_err(cannot)?,
    };
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        let folder = Error::new(Kind::Read, "is a folder, not a file").in_file(path);
        return Err(folder.advise("Name a file that is in it."));
    }
    let bytes = read_at_most(file, limit, metadata.len()).map_err(cannot)?;
    bytes.ok_or_else(|| {
        Error::new(Kind::Read, format!("is larger than {limit} bytes, the most that can be read"))
            .in_file(path)
    })
}

/// Reads to the end; `None` when there are more than `limit` bytes.
pub(crate) fn read_at_most(
    mut from: impl Read,
    limit: u64,
    expected: u64,
) -> io::Result<Option<SecretBytes>> {
    // One byte more than expected, so that the end is seen without growing.
    let capacity = usize::try_from(expected.min(limit)).unwrap_or_default().max(4096) + 1;
    let mut bytes = Zeroizing::new(vec![0; capacity]);
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            // By hand: a vector that grows by itself leaves a copy of what it held in freed memory.
            let mut larger = Zeroizing::new(vec![0; filled * 2]);
            larger[..filled].copy_from_slice(&bytes);
            bytes = larger;
        }
        match from.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled as u64 > limit {
            return Ok(None);
        }
    }
    bytes.truncate(filled);
    Ok(Some(bytes))
}

/// Makes a folder, and those above it, where they are missing.
pub fn create_folders(path: &Path, mode: Mode) -> Result<()> {
    let bits = match mode {
        Mode::Private => 0o700,
        Mode::Public | Mode::Executable => 0o777,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(bits)
        .create(path)
        .map_err(|error| Error::new(Kind::Write, "this folder cannot be made").in_file(path).caused_by(error))
}

/// Removes a file.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path)
        .map_err(|error| Error::new(Kind::Write, "cannot be removed").in_file(path).caused_by(error))
}

fn missing(path: &Path) -> Error {
    let message = match fs::read_link(path) {
        Ok(target) => format!("no such file: it is a link to {}, which is not there", target.display()),
        Err(_) => "no such file".to_owned(),
    };
    let error = Error::new(Kind::NoFile, message).in_file(path);
    match beside(path) {
        Some(other) => error.advise(format!("There is {}.", other.display())),
        None => error,
    }
}

/// The file beside one that is not there, of which the name was probably misspelt.
fn beside(path: &Path) -> Option<PathBuf> {
    /// In a folder of more files it would take too long.
    const MOST: usize = 10_000;
    let name = path.file_name()?.to_str()?;
    let files = fs::read_dir(atomic::folder_of(path)).ok()?.take(MOST);
    let files: Vec<_> = files.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    // A link that leads nowhere is there itself.
    let name = hints::misspelt(name, files.iter().map(String::as_str).filter(|other| *other != name))?;
    Some(path.with_file_name(name))
}

/// What this machine is called, as far as the operating system tells.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The number of the user as whom this process runs.
pub fn user_id() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Puts a copy of a program at `to`, whole or not at all, that everybody may run.
pub fn install(from: &Path, to: &Path) -> Result<()> {
    let copy = || -> io::Result<()> {
        let mut copy = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempfile_in(atomic::folder_of(to))?;
        io::copy(&mut File::open(from)?, &mut copy)?;
        copy.as_file().set_permissions(fs::Permissions::from_mode(0o755))?;
        copy.persist(to)?;
        Ok(())
    };
    copy().map_err(|error| atomic::cannot_create(to, atomic::folder_of(to), error))
}

/// The size of a file in bytes, if it can be told.
pub fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// Makes the folder that `path` is to stand in, and those above it.
pub fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).map_err(|error| {
        Error::new(Kind::Write, "the folder cannot be made").in_file(parent).caused_by(error)
    })
}

#[cfg(test)]
mod tests;
