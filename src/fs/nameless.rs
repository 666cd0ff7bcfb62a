//! A file in memory that has no name: for a program that outlives us.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::error::{Error, Kind, Result};

/// A file that the programs which we start can open, and nobody else. It is gone when none of them has it any more.
pub struct Nameless(File);

impl Nameless {
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let made = make().and_then(|mut file| file.write_all(bytes).map(|()| file));
        made.map(Self)
            .map_err(|error| Error::new(Kind::Write, "no file can be made in memory").caused_by(error))
    }

    /// What it is called in programs that we start, and those that they start.
    pub fn path(&self) -> PathBuf {
        format!("/dev/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(target_os = "linux")]
fn make() -> io::Result<File> {
    // Without CLOEXEC: who is started gets it.
    Ok(rustix::fs::memfd_create("sealant", rustix::fs::MemfdFlags::empty())?.into())
}

#[cfg(not(target_os = "linux"))]
fn make() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
