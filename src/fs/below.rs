//! Writing below a folder that a person has named, where somebody else may have put links.
//!
//! Each component is opened from the one before it, so no link is followed, whoever puts one there meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rand::RngCore;
use rand::rngs::OsRng;
use rustix::fs::{AtFlags, FileType, Mode as Bits, OFlags, RawMode};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::fs::atomic::{self, cannot_create, cannot_write};
use crate::fs::{Mode, cleanup, create_folders, in_place};
use crate::os::{self, Access};

/// As [`super::write_atomic`], into the folder `top`, which is made if it is missing, at the path `file` below it, and
/// never elsewhere: a link in place of the file or of a folder below `top` is refused.
pub fn write_below(top: &Path, file: &Path, bytes: &[u8], mode: Mode) -> Result<()> {
    create_folders(top, Mode::Public)?;
    let folder = open_folder(top, file)?;
    let path = top.join(file);
    let Some(name) = path.file_name() else {
        return Err(Error::new(Kind::Write, "names no file").in_file(path));
    };
    let existing = existing(&folder, name).map_err(|error| error.in_file(&path))?;
    let existing = existing.map(|existing| atomic::holding(existing, mode));
    let temporary = atomic::temporary_name(name, OsRng.next_u64());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let bits = os::file_mode(atomic::first_users(existing.is_some(), mode));
    // It has half the bits on macOS.
    let bits = Bits::from_raw_mode(bits as RawMode);
    let made = rustix::fs::openat(&folder, &temporary, flags, bits)
        .map_err(|error| cannot_create(&path, atomic::folder_of(&path), error.into()))?;
    let copy = path.with_file_name(&temporary);
    let registered = cleanup::register(&copy);
    let remove = || rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty());
    let filled = atomic::fill(&mut File::from(made), bytes, existing.as_ref(), &mut |_| Ok(()));
    match filled.and_then(|()| Ok(rustix::fs::renameat(&folder, &temporary, &folder, name)?)) {
        Ok(()) => atomic::synced(&path, os::sync_open_folder(&File::from(folder))),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            drop(registered);
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&folder, name, flags, Bits::empty());
            in_place::overwrite(&path, file.map(File::from).map_err(Into::into), bytes, &copy)?;
            remove().map_err(|error| atomic::cannot_remove(&path, &copy, error.into()))
        }
        Err(error) => {
            // That it stays behind is not worth a second failure.
            let _ = remove();
            Err(cannot_write(&path, error))
        }
    }
}

/// The folder that `file` is to be in, below `top`; those that are missing are made.
fn open_folder(top: &Path, file: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cannot = |path: &Path, error: io::Error| {
        Error::new(Kind::Write, "the folder cannot be opened").in_file(path).caused_by(error)
    };
    let mut path = top.to_path_buf();
    let mut folder =
        rustix::fs::open(top, flags, Bits::empty()).map_err(|error| cannot(top, error.into()))?;
    for component in file.parent().into_iter().flat_map(Path::components) {
        let Component::Normal(name) = component else {
            return Err(Error::new(Kind::Write, "would lead out of the folder").in_file(top.join(file)));
        };
        path.push(name);
        match rustix::fs::mkdirat(&folder, name, Bits::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                let error = io::Error::from(error);
                return Err(Error::new(Kind::Write, "the folder cannot be made")
                    .in_file(path)
                    .caused_by(error));
            }
        }
        folder = match rustix::fs::openat(&folder, name, flags | OFlags::NOFOLLOW, Bits::empty()) {
            Ok(folder) => folder,
            Err(error) => {
                return Err(link(&folder, name).unwrap_or_else(|| cannot(&path, error.into())).in_file(path));
            }
        };
    }
    Ok(folder)
}

/// What a file has that is there already; an error for what is no regular file, or may not be written.
fn existing(folder: &OwnedFd, name: &OsStr) -> Result<Option<Access>> {
    let found = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        found => found.map_err(|error| {
            Error::new(Kind::Write, "cannot be looked at").caused_by(io::Error::from(error))
        })?,
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => {
            return Err(Error::new(Kind::Write, "is a folder, and cannot be written as a file"));
        }
        _ => {
            let other = || Error::new(Kind::Write, "is not a regular file, and was left alone");
            return Err(link(folder, name).unwrap_or_else(other));
        }
    }
    rustix::fs::accessat(folder, name, rustix::fs::Access::WRITE_OK, AtFlags::empty())
        .map_err(|_| atomic::read_only())?;
    Ok(Some(Access::found(&found)))
}

/// The refusal of a link; `None` for anything else.
fn link(folder: &OwnedFd, name: &OsStr) -> Option<Error> {
    let target = rustix::fs::readlinkat(folder, name, Vec::new()).ok()?;
    let message =
        format!("is a link to {}, and was left alone: links are not followed here", target.to_string_lossy());
    Some(Error::new(Kind::Write, message).advise("Remove it, or name another folder with --output-dir."))
}
