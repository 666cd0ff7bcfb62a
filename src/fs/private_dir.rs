//! A folder for plaintext that nobody else can read, in memory where the system has such a place.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::fs::Fifo;
use crate::fs::cleanup::{self, Registered};
use crate::host::Host;
use crate::os::{self, Users};
use crate::secret::SecretBytes;

/// A folder that nobody else can look into, whose content, whoever put it there, is overwritten and removed when it is dropped.
pub struct PrivateDir {
    path: PathBuf,
    in_memory: bool,
    reader: Option<Reader>,
    _registered: Registered,
}

/// Another user than ours, for whom plaintext is.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    pub uid: u32,
    pub gid: u32,
}

impl PrivateDir {
    /// A new folder: in `XDG_RUNTIME_DIR` or `/dev/shm` if they are in memory, else among the temporary files.
    pub fn new(host: &dyn Host) -> Result<Self> {
        Self::new_for(host, None)
    }

    /// A new folder whose files are the reader's, if there is one: nobody else can read them, and nobody but us can put
    /// anything into the folder.
    pub fn new_for(host: &dyn Host, reader: Option<Reader>) -> Result<Self> {
        // Our own runtime folder lets nobody else in.
        let runtime = host.env("XDG_RUNTIME_DIR").filter(|_| reader.is_none()).map(PathBuf::from);
        let in_memory =
            runtime.into_iter().chain([PathBuf::from("/dev/shm")]).filter(|place| os::is_in_memory(place));
        for place in in_memory {
            if let Ok(folder) = Self::in_place(&place, true, reader) {
                return Ok(folder);
            }
        }
        let temporary = os::TEMPORARY.0.iter().find_map(|name| host.env(name));
        let temporary = temporary.map_or_else(|| PathBuf::from(os::TEMPORARY.1), PathBuf::from);
        Self::in_place(&temporary, false, reader)
    }

    fn in_place(place: &Path, in_memory: bool, reader: Option<Reader>) -> Result<Self> {
        let users = if reader.is_some() { Users::AllRun } else { Users::Owner };
        let mut builder = tempfile::Builder::new();
        builder.prefix("sealant-").rand_bytes(8);
        let made = builder.make_in(place, |path| os::create_folder(path, users));
        let folder = made.and_then(|made| Ok(made.into_temp_path().keep()?)).map_err(|error| {
            Error::new(Kind::Write, "cannot make a private folder for plaintext")
                .in_file(place)
                .caused_by(error)
                .advise(format!("Set {} to a folder that you can write to.", os::TEMPORARY.0[0]))
        })?;
        let registered = cleanup::register(&folder);
        Ok(Self { path: folder, in_memory, reader, _registered: registered })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is written here stays off the disks (swap aside).
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Writes a file of mode 0600, which must not be there yet, and returns its path.
    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path.join(name);
        let cannot = |error| Error::new(Kind::Write, "cannot be written").in_file(&path).caused_by(error);
        let mut file = os::create_file(&path, Users::Owner).map_err(cannot)?;
        file.write_all(bytes).map_err(cannot)?;
        self.hand_over(&path)?;
        Ok(path)
    }

    /// Makes a named pipe of mode 0600 out of which `bytes` can be read once.
    pub fn create_fifo(&self, name: &str, bytes: SecretBytes) -> Result<Fifo> {
        let fifo = Fifo::new(self.path.join(name), bytes)?;
        self.hand_over(fifo.path())?;
        Ok(fifo)
    }

    fn hand_over(&self, path: &Path) -> Result<()> {
        let Some(Reader { uid, gid }) = self.reader else { return Ok(()) };
        os::give_to(path, uid, gid).map_err(|error| {
            Error::new(Kind::Write, "cannot be given to another user").in_file(path).caused_by(error)
        })
    }

    /// Wipes and removes the folder, and tells when that is not possible.
    pub fn close(self) -> Result<()> {
        cleanup::wipe(&self.path).map_err(|error| {
            Error::new(Kind::Write, "plaintext is left here and cannot be removed")
                .in_file(&self.path)
                .caused_by(error)
                .advise(format!("Remove it yourself: rm -r {}", self.path.display()))
        })
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let _ = cleanup::wipe(&self.path);
    }
}
