//! Replacing a file so that a crash at any instant leaves the old one or the new one, whole.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Kind, Result};
use crate::fs::{cleanup, fifo, in_place};
use crate::os::{self, Access, Users};

/// Who may read a file that did not exist before. One that did keeps its mode, but where plaintext comes to be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Plaintext or keys: 0600. What is there may be for its owner and group, and for nobody else any more.
    Private,
    /// Plaintext as sops writes it: what is there keeps its mode.
    PrivateIfNew,
    /// Ciphertext and configs: 0644, less the umask.
    Public,
    /// Scripts: 0755, less the umask.
    Executable,
}

/// What a file held when it was read, to tell whether somebody else has written it since.
///
/// The hash of its content: times and sizes miss a change within one tick of the clock, and cry over a mere `touch`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Snapshot(Option<[u8; 32]>);

impl Snapshot {
    /// Of a file that held these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Some(Sha256::digest(bytes).into()))
    }

    /// Of a file that was not there.
    pub fn absent() -> Self {
        Self(None)
    }

    fn now(path: &Path) -> io::Result<Self> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::absent()),
            file => file?,
        };
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash)?;
        Ok(Self(Some(hash.finalize().into())))
    }
}

/// Writes a file whole or not at all; a mount point alone is written over, with a whole copy beside it meanwhile.
///
/// A link stays, and what it leads to is replaced; mode and owner stay as far as we may set them. Anything that is no
/// regular file, such as a pipe or `/dev/stdout`, is written to as it is.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: Mode) -> Result<()> {
    write(path, bytes, mode, None, &mut |_| Ok(()))
}

/// As [`write_atomic`], unless the file is no longer what it was when it was read.
pub fn write_atomic_if_unchanged(path: &Path, bytes: &[u8], mode: Mode, read: &Snapshot) -> Result<()> {
    write(path, bytes, mode, Some(read), &mut |_| Ok(()))
}

/// Writes a file that must not be there yet. A link of its name counts as there, wherever it leads: nobody has named what
/// would be written then.
pub fn create_new(path: &Path, bytes: &[u8], mode: Mode) -> Result<()> {
    match fs::read_link(path) {
        Ok(target) => {
            let message = format!("is a link to {}, and Sealant does not write through it", target.display());
            Err(Error::new(Kind::Write, message)
                .in_file(path)
                .advise("Remove the link, or put a file in its place."))
        }
        Err(_) => write_atomic_if_unchanged(path, bytes, mode, &Snapshot::absent()),
    }
}

/// Fails if [`write_atomic`] would for want of permission: for those who ask a person to work before they write.
pub fn check_writable(path: &Path) -> Result<()> {
    let target = target_of(path).map_err(|error| cannot_write(path, error))?;
    if target.exists() {
        refuse_read_only(path, &target)?;
    }
    if os::is_mount_point(&target) {
        return Ok(());
    }
    let folder = folder_of(&target);
    os::check_writable(folder).map_err(|error| cannot_create(path, folder, error))
}

/// Other names of a file, which keep its old content when [`write_atomic`] gives this one to a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardLinks {
    pub others: u64,
    /// By which `find -inum` finds them.
    pub inode: u64,
}

/// The other names of a file that would be parted from it; `None` where there are none.
pub fn hard_links(path: &Path) -> Option<HardLinks> {
    let target = target_of(path).ok().filter(|target| !os::is_mount_point(target))?;
    os::hard_links(&target).map(|(others, inode)| HardLinks { others, inode })
}

fn refuse_read_only(path: &Path, target: &Path) -> Result<()> {
    os::check_writable(target).map_err(|_| read_only().in_file(path))
}

pub(super) fn read_only() -> Error {
    Error::new(Kind::Write, "is read-only")
        .advise(format!("Make it writable with `{}`.", os::HOW_TO_MAKE_WRITABLE))
}

/// Whether a file is what a killed run of [`write_atomic`] left behind. It may hold plaintext, and can be deleted.
pub fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.contains(MARK) && name.ends_with(SUFFIX)
}

const MARK: &str = ".sealant-";
const SUFFIX: &str = ".tmp";

/// What has just been done. Tests stop the process, or fail, after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    Attributes,
    Sync,
    Rename,
    SyncFolder,
}

pub(super) type AfterStep<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

pub(super) fn write(
    path: &Path,
    bytes: &[u8],
    mode: Mode,
    expected: Option<&Snapshot>,
    after: AfterStep,
) -> Result<()> {
    let target = target_of(path).map_err(|error| cannot_write(path, error))?;
    let existing = fs::metadata(path).ok();
    if existing.as_ref().is_some_and(Metadata::is_dir) {
        return Err(Error::new(Kind::Write, "is a folder, and cannot be written as a file").in_file(path));
    }
    let is_stream =
        ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"].iter().any(|open| path.starts_with(open));
    if is_stream || existing.as_ref().is_some_and(|existing| !existing.is_file()) {
        let is_named_pipe = !is_stream && existing.is_some_and(|existing| os::is_pipe(existing.file_type()));
        return write_through(path, bytes, is_named_pipe).map_err(|error| cannot_write(path, error));
    }
    if existing.is_some() {
        refuse_read_only(path, &target)?;
    }
    let folder = folder_of(&target);
    let access = existing.as_ref().map(|existing| Access::of(&target, existing)).transpose();
    let mut existing = access.map_err(|error| cannot_write(path, error))?.map(|access| holding(access, mode));
    let mut temporary = match create_temporary(&target, folder, existing.is_some(), mode) {
        Err(_) if os::is_mount_point(&target) => {
            // There everybody can look: nobody but us can read it.
            existing = None;
            let folder = std::env::temp_dir();
            create_temporary(&target, &folder, true, mode)
                .map_err(|error| cannot_create(path, &folder, error))?
        }
        temporary => temporary.map_err(|error| cannot_create(path, folder, error))?,
    };
    let registered = cleanup::register(temporary.path());
    fill(temporary.as_file_mut(), bytes, existing.as_ref(), after)
        .map_err(|error| cannot_write(path, error))?;
    if let Some(expected) = expected {
        refuse_if_changed(path, &target, expected)?;
    }
    match os::replace(temporary.into_temp_path(), &target) {
        Err(failed) if os::is_mount_point(&target) => {
            let copy = failed.path.keep().map_err(|error| cannot_write(path, error.error))?;
            // From here on it is all that is whole, and must not go with us.
            drop(registered);
            in_place::overwrite(path, OpenOptions::new().write(true).open(&target), bytes, &copy)?;
            fs::remove_file(&copy).map_err(|error| cannot_remove(path, &copy, error))
        }
        done => {
            let done = done.map_err(|error| error.error);
            done.and_then(|_| after(Step::Rename)).map_err(|error| cannot_write(path, error))?;
            synced(path, os::sync_folder(folder).and_then(|()| after(Step::SyncFolder)))
        }
    }
}

/// What is told when a file was written over, and the copy of it is still there.
pub(super) fn cannot_remove(path: &Path, copy: &Path, error: io::Error) -> Error {
    Error::new(Kind::Write, format!("was written, but a copy of it cannot be removed: {}", copy.display()))
        .in_file(path)
        .caused_by(error)
        .advise(format!("Remove it: rm {}", copy.display()))
}

/// What is told when a file was written, and its folder could perhaps not be synced.
pub(super) fn synced(path: &Path, result: io::Result<()>) -> Result<()> {
    result.map_err(|error| {
        Error::new(
            Kind::Write,
            "was written, but may not survive a power failure: its folder could not be synced",
        )
        .in_file(path)
        .caused_by(error)
    })
}

/// Who may use a temporary file: nobody but us, unless all may read the result.
pub(super) fn first_users(replaces: bool, mode: Mode) -> Users {
    match (replaces, mode) {
        (false, Mode::Public) => Users::All,
        (false, Mode::Executable) => Users::AllRun,
        (_, Mode::Private) | (false, Mode::PrivateIfNew) => Users::Owner,
        (true, _) => Users::OwnerAtFirst,
    }
}

/// The access to a file that comes to hold what such a mode is for.
pub(super) fn holding(access: Access, mode: Mode) -> Access {
    if mode == Mode::Private { access.without_others() } else { access }
}

/// What a temporary file is called before the part that is random.
fn prefix(name: &OsStr) -> String {
    let name: String = name.to_string_lossy().chars().take(50).collect();
    format!(".{name}{MARK}")
}

pub(super) fn temporary_name(name: &OsStr, random: u64) -> String {
    format!("{}{random:016x}{SUFFIX}", prefix(name))
}

/// The temporary file, beside the target on its file system if that can be.
fn create_temporary(target: &Path, folder: &Path, replaces: bool, mode: Mode) -> io::Result<NamedTempFile> {
    Builder::new()
        .prefix(&prefix(target.file_name().unwrap_or_default()))
        .suffix(SUFFIX)
        .rand_bytes(8)
        .make_in(folder, |path| os::create_file(path, first_users(replaces, mode)))
}

pub(super) fn fill(
    temporary: &mut File,
    bytes: &[u8],
    existing: Option<&Access>,
    after: AfterStep,
) -> io::Result<()> {
    after(Step::Create)?;
    temporary.write_all(bytes)?;
    after(Step::Write)?;
    if let Some(existing) = existing {
        existing.give(temporary)?;
    }
    after(Step::Attributes)?;
    temporary.sync_all()?;
    after(Step::Sync)
}

fn refuse_if_changed(path: &Path, target: &Path, expected: &Snapshot) -> Result<()> {
    let now = Snapshot::now(target).map_err(|error| cannot_write(path, error))?;
    if now == *expected {
        return Ok(());
    }
    let message = match (expected.0, now.0) {
        (None, _) => "was created by another program in the meantime, and was left alone",
        (_, None) => "was deleted by another program in the meantime, and was not written again",
        _ => "was changed by another program in the meantime, and was left alone",
    };
    Err(Error::new(Kind::Write, message)
        .in_file(path)
        .advise("Look at the file, then run the command again."))
}

fn write_through(path: &Path, bytes: &[u8], is_named_pipe: bool) -> io::Result<()> {
    let mut stream = match is_named_pipe {
        true => fifo::writer(path)?,
        false => OpenOptions::new().write(true).truncate(true).open(path)?,
    };
    stream.write_all(bytes)
}

/// The file that a path leads to, which may not exist.
pub(super) fn target_of(path: &Path) -> io::Result<PathBuf> {
    /// As many links as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut target = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("too many links lead from one to the next"))
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != OsStr::new("")).unwrap_or(Path::new("."))
}

pub(super) fn cannot_create(path: &Path, folder: &Path, error: io::Error) -> Error {
    let folder = folder.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::new(Kind::Write, format!("the folder {folder} is read-only"))
                .in_file(path)
                .caused_by(error)
                .advise("The new version is first written beside the file, so its folder must be writable.")
        }
        io::ErrorKind::NotFound => Error::new(Kind::Write, format!("the folder {folder} does not exist"))
            .in_file(path)
            .advise(format!("Make it first: `{}`", os::how_to_make_folder(&folder.to_string()))),
        _ => cannot_write(path, error),
    }
}

pub(super) fn cannot_write(path: &Path, error: io::Error) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "The file is unchanged. Make room on its disk, then run the command again."
        }
        io::ErrorKind::FileTooLarge => {
            "The file is unchanged. The limit is that of `ulimit -f`, or the disk's."
        }
        _ => "The file is unchanged.",
    };
    Error::new(Kind::Write, "cannot be written").in_file(path).caused_by(error).advise(advice)
}
