//! Reading a file: one that a person has named, or one that was only found.
//!
//! Owns what may be opened at all, and that nobody waits for a pipe that has no other end. A pipe that a person names is
//! theirs to read; one that a repository has put into the place of a file is not opened, nor is a device ever: that may
//! wait for ever, or do something.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::fs::{atomic, fifo};
use crate::hints;
use crate::os;
use crate::secret::SecretBytes;
use crate::shown::typed;

/// Reads what a person has named: a file, a pipe or `/dev/stdin` that holds at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<SecretBytes> {
    let file = open_named(path).map_err(|error| cannot_open(path, error))?;
    let metadata = file.metadata().map_err(|error| cannot_open(path, error))?;
    read_open(path, file, &metadata, limit)
}

/// Opens what a person has named. What is open already, such as `/dev/stdin` and `<(...)`, is theirs whatever it is; a
/// named pipe is waited for, and not for ever. As a device only `/dev/null` is opened, the config of those who want none.
pub fn open_named(path: &Path) -> io::Result<File> {
    let metadata = fs::metadata(path)?;
    match os::special(path, metadata.file_type()) {
        Some(_) if is_open_already(path) || os::is_null(&metadata) => File::open(path),
        Some(_) if os::is_pipe(metadata.file_type()) => fifo::reader(path),
        Some(what) => Err(io::Error::other(format!("it is {what}, not a file"))),
        None => File::open(path),
    }
}

/// Whether a path is one of those by which the system calls what a process has open, as it is spelled: a link that leads to
/// one may be anybody's.
fn is_open_already(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || ["/dev/fd", "/proc/self/fd"].iter().any(|open| path.starts_with(open))
}

/// Refuses what is neither a file nor a folder, without opening it: for commands that look at a repository.
pub fn refuse_special(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !is_open_already(path) => refuse(path, &metadata),
        // What is not there is told by whoever reads it.
        _ => Ok(()),
    }
}

/// Smaller files are as fast read as looked at twice.
const LARGE: u64 = 1 << 20;

/// Reads a regular file that nobody has named: it was found in a folder, or a file of a repository names it. Links are
/// followed; pipes, devices and sockets are refused before they are opened.
pub fn read_found(path: &Path, limit: u64) -> Result<SecretBytes> {
    let (file, metadata) = open_found(path)?;
    read_open(path, file, &metadata, limit)
}

/// Whether two such files of at most `limit` bytes have the same content.
pub fn are_same(one: &Path, other: &Path, limit: u64) -> bool {
    let size = |path| fs::metadata(path).ok().filter(Metadata::is_file).map(|found| found.len());
    let is_of_one_size = size(one).is_some_and(|bytes| bytes <= limit && size(other) == Some(bytes));
    let read = |path| read_found(path, limit).ok();
    is_of_one_size && read(one).zip(read(other)).is_some_and(|(one, other)| *one == *other)
}

/// Opens such a file.
fn open_found(path: &Path) -> Result<(File, Metadata)> {
    let metadata = fs::metadata(path).map_err(|error| cannot_open(path, error))?;
    refuse(path, &metadata)?;
    // Should it be another file by now: opening it does not wait, and what was opened is looked at again.
    let file = os::open_unwaiting(path).map_err(|error| cannot_open(path, error))?;
    let metadata = file.metadata().map_err(|error| cannot_open(path, error))?;
    refuse(path, &metadata)?;
    Ok((file, metadata))
}

/// The first bytes of such a file.
pub fn start_of(path: &Path, most: u64) -> Result<SecretBytes> {
    let (file, _) = open_found(path)?;
    let start = read_at_most(file.take(most), most, most).map_err(|error| cannot_open(path, error))?;
    Ok(start.unwrap_or_default())
}

/// Whether a file that nobody has named is large and no text: it has a zero byte near its beginning, and is not in UTF-16.
/// What is encrypted is text.
pub fn is_large_binary(path: &Path) -> bool {
    let start = || -> Result<Option<SecretBytes>> {
        let (file, metadata) = open_found(path)?;
        let most = if metadata.len() < LARGE { 0 } else { 4096 };
        read_at_most(file.take(most), most, most).map_err(|error| cannot_open(path, error))
    };
    let Ok(Some(start)) = start() else { return false };
    start.contains(&0) && ![[0xff, 0xfe], [0xfe, 0xff]].iter().any(|mark| start.starts_with(mark))
}

fn read_open(path: &Path, file: File, metadata: &Metadata, limit: u64) -> Result<SecretBytes> {
    if metadata.is_dir() {
        let folder = Error::new(Kind::Read, "is a folder, not a file").in_file(path);
        return Err(folder.advise("Name a file that is in it."));
    }
    // A file that says how large it is need not be read to find out.
    let is_too_large = metadata.is_file() && metadata.len() > limit;
    let read = || read_at_most(file, limit, metadata.len()).map_err(|error| cannot_open(path, error));
    let bytes = if is_too_large { None } else { read()? };
    bytes.ok_or_else(|| {
        Error::new(Kind::Read, format!("is larger than {limit} bytes, the most that can be read"))
            .in_file(path)
    })
}

fn refuse(path: &Path, metadata: &Metadata) -> Result<()> {
    match os::special(path, metadata.file_type()) {
        None => Ok(()),
        Some(what) => Err(Error::new(Kind::Read, format!("is {what}, not a file, and was not opened"))
            .in_file(path)
            .advise("Put a file in its place, or remove it.")),
    }
}

/// Reads to the end; `None` when there are more than `limit` bytes.
pub fn read_at_most(mut from: impl Read, limit: u64, expected: u64) -> io::Result<Option<SecretBytes>> {
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

fn cannot_open(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        _ => Error::new(Kind::Read, "cannot be read").in_file(path).caused_by(error),
    }
}

pub(super) fn missing(path: &Path) -> Error {
    let message = match fs::read_link(path) {
        Ok(target) => format!("no such file: it is a link to {}, which is not there", target.display()),
        Err(_) => "no such file".to_owned(),
    };
    let error = Error::new(Kind::NoFile, message).in_file(path);
    match meant(path).or_else(|| begun(path)) {
        Some(other) => error.advise(format!("Did you mean {}?", typed(&other))),
        None => error,
    }
}

/// The file that was probably meant by a path where none is.
pub fn meant(path: &Path) -> Option<PathBuf> {
    beside(path).or_else(|| in_other_folder(path))
}

/// Further up or down, a file of the same name is another one.
const LEVELS: usize = 4;

/// The file of the same name that was probably meant: below a folder whose name was misspelt, the only one below the folder that
/// one is in, or in a folder above it.
fn in_other_folder(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let other = folder.and_then(beside).map(|other| other.join(name)).filter(|other| other.is_file());
    if other.is_some() || path.is_absolute() {
        return other;
    }
    let is_name = path.components().count() == 1;
    is_name.then(|| below(name)).flatten().or_else(|| above(path))
}

/// A file above, in the same repository: nobody means a file of another one.
fn above(path: &Path) -> Option<PathBuf> {
    let up = |levels| PathBuf::from("../".repeat(levels));
    let is_within = |levels: &usize| up(levels - 1).join(".git").symlink_metadata().is_err();
    let mut above = (1..=LEVELS).take_while(is_within).map(|levels| up(levels).join(path));
    above.find(|above| above.is_file())
}

/// The only file of this name below.
fn below(name: &OsStr) -> Option<PathBuf> {
    /// More files are not looked through for a guess.
    const MOST: usize = 5000;
    let is_shown =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    let below = WalkDir::new(".").max_depth(LEVELS).into_iter().filter_entry(is_shown).take(MOST).flatten();
    let mut found = below.filter(|entry| entry.file_type().is_file() && entry.file_name() == name);
    match (found.next(), found.next()) {
        (Some(only), None) => only.path().strip_prefix(".").ok().map(Path::to_path_buf),
        _ => None,
    }
}

/// The file beside one that is not there, of which the name was probably misspelt.
fn beside(path: &Path) -> Option<PathBuf> {
    let (name, others) = (path.file_name()?.to_str()?, names_beside(path)?);
    hints::misspelt(name, others.iter().map(String::as_str)).map(|meant| path.with_file_name(meant))
}

/// The file beside one that is not there, of which only the beginning was typed.
fn begun(path: &Path) -> Option<PathBuf> {
    let (name, others) = (path.file_name()?.to_str()?, names_beside(path)?);
    hints::cut_short(name, others.iter().map(String::as_str)).map(|meant| path.with_file_name(meant))
}

/// The names beside that of a file that is not there.
fn names_beside(path: &Path) -> Option<Vec<String>> {
    /// In a folder of more files it would take too long.
    const MOST: usize = 10_000;
    let name = path.file_name()?.to_str()?;
    // A link that leads nowhere is there itself; and nobody means a hidden file who types no dot.
    let is_like = |other: &String| *other != name && other.starts_with('.') == name.starts_with('.');
    let files = fs::read_dir(atomic::folder_of(path)).ok()?.take(MOST);
    Some(files.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(is_like).collect())
}
