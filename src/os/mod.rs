//! What each operating system does in its own way, as one interface: who may use a file, how one file takes another's place,
//! locks, links, pipes, signals, programs, the terminal, and how names are spelled.
//!
//! Owns every difference between Unix and Windows, so no other module asks which one it is on. It knows nothing of ours: it
//! takes paths, files and processes, and returns [`std::io::Result`]. It must never do less than was asked for and keep silent:
//! what a system cannot do is an error of the kind `Unsupported`.

#![allow(clippy::disallowed_methods, reason = "what is disallowed elsewhere is done here")]
#![cfg_attr(
    not(feature = "cli"),
    allow(dead_code, reason = "a library starts fewer things than the command line")
)]

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
mod system;

use std::io;

pub(crate) use system::*;

/// Who may use a file that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    /// Nobody but its owner; an error where the system cannot see to that.
    Owner,
    /// The same, but where nothing can be kept from anybody, and a file that is for others replaces one.
    OwnerAtFirst,
    /// Others may read it, as far as the system's own settings let them.
    All,
    /// They may run it, too.
    AllRun,
}

/// What came of asking for a lock.
#[cfg_attr(windows, expect(dead_code, reason = "a lock by name is held or not"))]
pub(crate) enum Asked {
    Held(PathLock),
    /// Somebody else has it, or another part of this process.
    Busy(Busy),
    /// It was the lock of a file that is gone: to be asked for at once.
    Again,
    /// There are no locks here.
    NoLocks,
}

/// What is told where a system has no such thing.
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux has everything"))]
pub(crate) fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}
