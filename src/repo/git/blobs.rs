//! The content of objects, read one after another from one `git cat-file --batch`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::repo::git::Git;
use crate::repo::git::history::cannot_read;
use crate::repo::git::running::{Output, Running};
use crate::repo::git::tree::ObjectId;
use crate::secret::SecretBytes;

/// How many objects are asked for before the first is read. Their names fit into a pipe, so neither side ever waits
/// for the other.
const AT_ONCE: usize = 256;

/// A running Git that is asked for objects.
pub struct Blobs {
    running: Running,
    stdin: Option<ChildStdin>,
    stdout: BufReader<Output>,
    ended: bool,
    top: PathBuf,
    lfs_objects: PathBuf,
}

/// Those of these objects that this clone has, without fetching any.
pub fn here(git: &Git, ids: &BTreeSet<&ObjectId>) -> Result<BTreeSet<ObjectId>> {
    let mut here = BTreeSet::new();
    let all = ["cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)"];
    git.stream(all, |output| {
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).map_err(cannot_read)? > 0 {
            let id = ObjectId::parse(line.trim_ascii_end()).filter(|id| ids.contains(id));
            here.extend(id);
            line.clear();
        }
        Ok(())
    })?;
    Ok(here)
}

impl Blobs {
    pub fn open(git: &Git) -> Result<Self> {
        let mut running = git.start(vec!["cat-file".into(), "--batch".into()])?;
        let stdout = BufReader::with_capacity(1 << 16, running.output()?);
        let (top, lfs_objects) = (git.top().to_path_buf(), git.lfs_objects());
        Ok(Self { stdin: running.input(), running, stdout, ended: false, top, lfs_objects })
    }

    /// The top of the working tree that they are of.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// Where Git LFS keeps contents.
    pub fn lfs_objects(&self) -> &Path {
        &self.lfs_objects
    }

    /// The content of one object.
    pub fn read(&mut self, id: &ObjectId, limit: u64) -> Result<SecretBytes> {
        self.ask(&[id])?;
        let read = self.next(id, |_| Ok(Some(((), limit))))?;
        read.map(|((), bytes)| bytes).ok_or_else(|| self.running.failed("gave no answer"))
    }

    /// The same; `None` for one that is larger.
    pub fn read_up_to(&mut self, id: &ObjectId, limit: u64) -> Result<Option<SecretBytes>> {
        self.ask(&[id])?;
        Ok(self.next(id, |size| Ok((size <= limit).then_some(((), limit))))?.map(|((), bytes)| bytes))
    }

    /// The contents of objects, in their order. `wanted` gets each one's place and size, and says what belongs to it
    /// and how large it may be; `None` passes it by. When Git ends before its time, the last result is an error.
    pub fn each<'b, T: 'b>(
        &'b mut self,
        ids: &'b [&'b ObjectId],
        wanted: impl Fn(usize, u64) -> Result<Option<(T, u64)>> + 'b,
    ) -> impl Iterator<Item = (usize, Result<Option<(T, SecretBytes)>>)> + 'b {
        (0..ids.len()).map_while(move |at| {
            if self.ended {
                return None;
            }
            let asked = match at % AT_ONCE {
                0 => self.ask(&ids[at..ids.len().min(at + AT_ONCE)]),
                _ => Ok(()),
            };
            Some((at, asked.and_then(|()| self.next(ids[at], |size| wanted(at, size)))))
        })
    }

    /// An error if Git has ended, so that answers may be missing.
    pub fn refuse_ended(&mut self) -> Result<()> {
        if self.ended { Err(self.gone()) } else { Ok(()) }
    }

    fn ask(&mut self, ids: &[&ObjectId]) -> Result<()> {
        let names: String = ids.iter().map(|id| format!("{}\n", id.as_str())).collect();
        let written = self.stdin.as_mut().map(|stdin| stdin.write_all(names.as_bytes()));
        written.unwrap_or(Ok(())).map_err(|_| self.gone())
    }

    /// Reads the next answer: `ID TYPE SIZE`, then the content and an end of line.
    fn next<T>(
        &mut self,
        id: &ObjectId,
        wanted: impl FnOnce(u64) -> Result<Option<(T, u64)>>,
    ) -> Result<Option<(T, SecretBytes)>> {
        let mut head = String::new();
        // A head is short; anything else is not Git.
        match (&mut self.stdout).take(1024).read_line(&mut head) {
            Ok(count) if count > 0 => {}
            _ => return Err(self.gone()),
        }
        let size = match head.split_whitespace().collect::<Vec<_>>()[..] {
            [name, "blob", size] if name == id.as_str() => size.parse().map_err(|_| self.gone())?,
            [name, "missing"] if name == id.as_str() => {
                let message = format!("Git does not have the content of the object {name}");
                return Err(Error::new(Kind::Read, message)
                    .advise("`git fsck` says what is missing. In a partial clone `git fetch --refetch --no-filter` fetches it."));
            }
            // Whatever this answers, it is not what was asked.
            _ => return Err(self.gone()),
        };
        // All of an answer is read, whatever becomes of it: the next one appears behind it.
        let verdict = match wanted(size) {
            Ok(Some((belongs, limit))) if size <= limit => Ok(Some(belongs)),
            Ok(Some((_, limit))) => Err(Error::new(
                Kind::Read,
                format!("is larger than {limit} bytes, the most that can be read"),
            )),
            other => other.map(|_| None),
        };
        let mut body = (&mut self.stdout).take(size);
        let read = match &verdict {
            Ok(Some(_)) => fs::read_at_most(&mut body, size, size).map(Option::unwrap_or_default),
            _ => std::io::copy(&mut body, &mut std::io::sink()).map(|_| SecretBytes::default()),
        };
        let complete = body.limit() == 0;
        let mut end = [0];
        let ended = self.stdout.read_exact(&mut end);
        match (read, complete, ended) {
            (Ok(bytes), true, Ok(())) => Ok(verdict?.map(|belongs| (belongs, bytes))),
            _ => Err(self.gone()),
        }
    }

    /// Git has ended, which it does not do by itself, or has said nothing for too long.
    fn gone(&mut self) -> Error {
        self.ended = true;
        drop(self.stdin.take());
        self.running.gone()
    }
}
