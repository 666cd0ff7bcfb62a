//! Git, as the program that it is: nothing here reads a repository's files by itself.

pub mod history;

use std::ffi::{OsStr, OsString};
use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::{Command, Host};
use crate::secret::SecretBytes;

/// A repository, seen from a folder in it.
pub struct Git<'h> {
    host: &'h dyn Host,
    folder: PathBuf,
}

impl<'h> Git<'h> {
    /// The repository in which a folder stands; `None` when it stands in none.
    pub fn of(host: &'h dyn Host, folder: &Path) -> Option<Self> {
        root_of(folder).map(|_| Self { host, folder: folder.to_path_buf() })
    }

    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        // What stands in for objects here does not stand in for them elsewhere.
        let before = ["--no-replace-objects", "-C"].map(OsString::from);
        let before = before.into_iter().chain([self.folder.clone().into_os_string()]);
        let args = before.chain(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        Command { program: "git".into(), args: args.collect(), env: Vec::new() }
    }

    /// What a command of Git prints, which has to fit into memory.
    pub fn output(&self, args: &[&str]) -> Result<SecretBytes> {
        self.host.output_of(&self.command(args))
    }

    /// Feeds a command of Git, and lets `read` have what it prints, as it comes.
    pub fn stream(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: Vec<u8>,
        read: &mut dyn FnMut(&mut dyn BufRead) -> Result<()>,
    ) -> Result<()> {
        self.host.stream(&self.command(args), input, read)
    }
}

/// The topmost folder of the working tree in which a folder stands.
pub fn root_of(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|above| above.join(".git").exists())
}
