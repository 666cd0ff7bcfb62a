//! Logs of which only the end grows, with a line that depends on the one before it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::fs::{Mode, create_folders, open_named};
use crate::os::{self, Users};

/// No line of a log is longer.
const LONGEST: u64 = 1 << 20;

/// Appends to a file of its owner alone what `lines` makes of its last line, in one write, with no other process of ours in
/// between. It is on the disk when this returns. A file that is open to others is refused.
pub fn append(path: &Path, lines: impl FnOnce(Option<&[u8]>) -> String) -> Result<()> {
    if let Some(folder) = path.parent() {
        create_folders(folder, Mode::Private)?;
    }
    let write = || -> io::Result<()> {
        let mut file = os::open_to_append(path, Users::Owner)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if os::is_open_to_others(&file)? {
            return Err(io::Error::other("others may read or write it"));
        }
        os::wait_for_lock(&file)?;
        let last = last_line(&mut file)?;
        let mut text = lines(last.as_deref());
        // What a crash has cut off stays a line of its own.
        if !ends_a_line(&mut file)? {
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    write().map_err(|error| Error::new(Kind::Write, "cannot be appended to").in_file(path).caused_by(error))
}

/// Calls `line` with each line of a file, without its line break.
pub fn read_lines(path: &Path, mut line: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let cannot = |error: io::Error| Error::new(Kind::Read, "cannot be read").in_file(path).caused_by(error);
    let file = match open_named(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::new(Kind::NoFile, "no such file").in_file(path));
        }
        file => file.map_err(cannot)?,
    };
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    while (&mut reader).take(LONGEST).read_until(b'\n', &mut bytes).map_err(cannot)? > 0 {
        line(bytes.strip_suffix(b"\n").unwrap_or(&bytes))?;
        bytes.clear();
    }
    Ok(())
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last == [b'\n'])
}

fn last_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST)))?;
    let mut end = Vec::new();
    file.take(LONGEST).read_to_end(&mut end)?;
    if end.last() == Some(&b'\n') {
        end.pop();
    }
    let start = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((length > 0).then(|| end.split_off(start)))
}
