//! A file in memory that has no name: for a program that outlives us.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::os;

/// A file that the programs which we start can open, and nobody else. It is gone when none of them has it any more.
pub struct Nameless {
    _file: File,
    path: PathBuf,
}

impl Nameless {
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let made = os::nameless_file()
            .and_then(|(mut file, path)| file.write_all(bytes).map(|()| Self { _file: file, path }));
        made.map_err(|error| Error::new(Kind::Write, "no file can be made in memory").caused_by(error))
    }

    /// What it is called in programs that we start, and those that they start.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
