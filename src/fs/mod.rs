//! Files: the only place that writes them, and what has to be so when it does.
//!
//! Owns atomic replacement, locks between our own processes, folders and pipes for plaintext, what happens to all of these when
//! the process is told to stop, and the walk over files and folders. It knows no formats.

#![allow(clippy::disallowed_methods, reason = "what is disallowed elsewhere is done here")]

mod append;
mod atomic;
#[cfg_attr(windows, path = "below_windows.rs")]
mod below;
mod cleanup;
mod fifo;
mod in_place;
mod lock;
mod nameless;
mod private_dir;
mod read;
mod real;
mod walk;

use std::fs::{self, File};
use std::io;
use std::path::Path;

pub use append::{append, read_lines};
pub use atomic::{
    HardLinks, Mode, Snapshot, check_writable, create_new, hard_links, is_leftover, write_atomic,
    write_atomic_if_unchanged,
};
pub use below::write_below;
pub use cleanup::{
    DivertedSignals, HeldInterrupts, StoppedWithUs, divert_signals, hold_interrupts, spawn_to_stop_with_us,
    wipe_all, wipe_on_signals,
};
pub use fifo::Fifo;
pub use lock::Lock;
pub use nameless::Nameless;
pub use private_dir::{PrivateDir, Reader};
pub use read::{
    are_same, is_large_binary, meant, open_named, read, read_at_most, read_found, refuse_special, start_of,
};
pub use real::{is_link, link_at, real_folder, target};
pub use walk::{Walk, files_below, folders_in, links, walk};

use crate::error::{Error, Kind, Result};
use crate::os::{self, Users};

/// Makes a folder, and those above it, where they are missing.
pub fn create_folders(path: &Path, mode: Mode) -> Result<()> {
    let users = match mode {
        Mode::Private | Mode::PrivateIfNew => Users::Owner,
        Mode::Public | Mode::Executable => Users::All,
    };
    create_with_parents(path, users)
        .map_err(|error| Error::new(Kind::Write, "this folder cannot be made").in_file(path).caused_by(error))
}

fn create_with_parents(path: &Path, users: Users) -> io::Result<()> {
    let made = match (os::create_folder(path, users), path.parent()) {
        (Err(error), Some(above)) if error.kind() == io::ErrorKind::NotFound => {
            create_with_parents(above, users)?;
            os::create_folder(path, users)
        }
        (made, _) => made,
    };
    // It may have been there, or have been made by another process meanwhile.
    made.or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })
}

/// Removes a file.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path)
        .map_err(|error| Error::new(Kind::Write, "cannot be removed").in_file(path).caused_by(error))
}

/// Puts a copy of a program at `to`, whole or not at all, that everybody may run.
pub fn install(from: &Path, to: &Path) -> Result<()> {
    let copy = || -> io::Result<()> {
        let make = |path: &Path| os::create_file(path, Users::AllRun);
        let mut copy = tempfile::Builder::new().make_in(atomic::folder_of(to), make)?;
        io::copy(&mut File::open(from)?, &mut copy)?;
        os::make_executable(copy.as_file())?;
        Ok(os::replace(copy.into_temp_path(), to)?)
    };
    copy().map_err(|error| atomic::cannot_create(to, atomic::folder_of(to), error))
}

/// Makes a program be at `at` as well, whole or not at all; what is there is replaced only if that is meant.
pub fn stand_in(program: &Path, at: &Path, replaces: bool) -> Result<()> {
    let link = || -> io::Result<()> {
        let made =
            tempfile::Builder::new().make_in(atomic::folder_of(at), |path| os::stand_in(program, path))?;
        let path = made.into_temp_path();
        let placed = if replaces { os::replace(path, at) } else { path.persist_noclobber(at) };
        Ok(placed?)
    };
    link().map_err(|error| atomic::cannot_create(at, atomic::folder_of(at), error))
}

/// The size of a file in bytes, if it can be told.
pub fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// Makes the folder that `path` is to appear in, and those above it.
pub fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).map_err(|error| {
        Error::new(Kind::Write, "the folder cannot be made").in_file(parent).caused_by(error)
    })
}

#[cfg(all(test, unix))]
mod tests;
