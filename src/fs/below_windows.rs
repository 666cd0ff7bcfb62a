//! Writing below a folder that a person has named, where somebody else may have put links.
//!
//! Each folder on the way is opened, looked at and kept open so that nobody can rename or remove it, so no link is followed,
//! whoever puts one there meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rand::RngCore;
use rand::rngs::OsRng;
use tempfile::TempPath;

use crate::error::{Error, Kind, Result};
use crate::fs::atomic::{self, cannot_create, cannot_write};
use crate::fs::{Mode, cleanup, create_folders};
use crate::os::{self, Access, Users};

/// As [`super::write_atomic`], into the folder `top`, which is made if it is missing, at the path `file` below it, and
/// never elsewhere: a link in place of the file or of a folder below `top` is refused.
pub fn write_below(top: &Path, file: &Path, bytes: &[u8], mode: Mode) -> Result<()> {
    create_folders(top, Mode::Public)?;
    let path = top.join(file);
    let Some(name) = path.file_name() else {
        return Err(Error::new(Kind::Write, "names no file").in_file(path));
    };
    let folders = open_folders(top, file)?;
    let existing = existing(&path).map_err(|error| error.in_file(&path))?;
    let existing = existing.map(|existing| atomic::holding(existing, mode));
    let temporary = path.with_file_name(atomic::temporary_name(name, OsRng.next_u64()));
    let mut made = os::create_file(&temporary, atomic::first_users(existing.is_some(), mode))
        .map_err(|error| cannot_create(&path, atomic::folder_of(&path), error))?;
    let _registered = cleanup::register(&temporary);
    let write = || -> io::Result<()> {
        let temporary = TempPath::try_from_path(&temporary)?;
        // An empty folder can be made a link while it is open. With our file in it it is not empty.
        folders.iter().try_for_each(Folder::refuse_link)?;
        atomic::fill(&mut made, bytes, existing.as_ref(), &mut |_| Ok(()))?;
        drop(made);
        Ok(os::replace(temporary, &path)?)
    };
    write().map_err(|error| cannot_write(&path, error))
}

/// A folder that nobody can rename or remove while this lives.
struct Folder {
    path: PathBuf,
    _open: File,
}

impl Folder {
    fn open(path: PathBuf) -> io::Result<Self> {
        const FILE_LIST_DIRECTORY: u32 = 0x1;
        const READ_AND_WRITE: u32 = 0x3;
        const AS_IT_IS: u32 = 0x0200_0000 | 0x0020_0000;
        let mut options = OpenOptions::new();
        options.access_mode(FILE_LIST_DIRECTORY).share_mode(READ_AND_WRITE).custom_flags(AS_IT_IS);
        let open = options.open(&path)?;
        Ok(Self { path, _open: open })
    }

    fn refuse_link(&self) -> io::Result<()> {
        match is_link(&fs::symlink_metadata(&self.path)?) {
            true => Err(io::Error::other("a folder on the way to it is a link: links are not followed here")),
            false => Ok(()),
        }
    }
}

/// Links of whatever kind: those to folders of other volumes count as well.
fn is_link(found: &fs::Metadata) -> bool {
    const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
    found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0
}

/// The folders between `top` and `file`, from above; those that are missing are made.
fn open_folders(top: &Path, file: &Path) -> Result<Vec<Folder>> {
    let mut path = top.to_path_buf();
    let mut folders = Vec::new();
    for component in file.parent().into_iter().flat_map(Path::components) {
        let Component::Normal(name) = component else {
            return Err(Error::new(Kind::Write, "would lead out of the folder").in_file(top.join(file)));
        };
        path.push(name);
        match os::create_folder(&path, Users::All) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::new(Kind::Write, "the folder cannot be made")
                    .in_file(path)
                    .caused_by(error));
            }
            _ => {}
        }
        let cannot = |error: io::Error| {
            Error::new(Kind::Write, "the folder cannot be opened").in_file(&path).caused_by(error)
        };
        let folder = Folder::open(path.clone()).map_err(cannot)?;
        if fs::symlink_metadata(&path).is_ok_and(|found| is_link(&found)) {
            return Err(link(&path).in_file(path));
        }
        folders.push(folder);
    }
    Ok(folders)
}

/// Who may use a file that is there already; an error for what is no regular file, or may not be written.
fn existing(path: &Path) -> Result<Option<Access>> {
    let cannot = |error: io::Error| Error::new(Kind::Write, "cannot be looked at").caused_by(error);
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(cannot)?,
    };
    if is_link(&found) {
        return Err(link(path));
    }
    if found.is_dir() {
        return Err(Error::new(Kind::Write, "is a folder, and cannot be written as a file"));
    }
    os::check_writable(path).map_err(|_| atomic::read_only())?;
    Access::of(path, &found).map(Some).map_err(cannot)
}

/// The refusal of a link.
fn link(path: &Path) -> Error {
    let target = fs::read_link(path).unwrap_or_default();
    let message =
        format!("is a link to {}, and was left alone: links are not followed here", target.display());
    Error::new(Kind::Write, message).advise("Remove it, or name another folder with --output-dir.")
}
