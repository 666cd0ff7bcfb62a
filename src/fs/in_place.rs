//! Files that cannot be replaced by others: mount points, as a container has them (`docker run -v FILE:FILE`, `subPath`).
//!
//! Owns their being written over, which is not whole or nothing. So a whole copy is there from before the first byte is
//! written until after the last, and the error says where. All other files are replaced: see [`super::atomic`].

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::cleanup::hold_interrupts;
use crate::error::{Error, Kind, Result};

/// Writes over a file. What is written is in `copy`, too, which stays if this fails.
pub(super) fn overwrite(path: &Path, file: io::Result<File>, bytes: &[u8], copy: &Path) -> Result<()> {
    // Half of a file is worse than a moment's wait.
    let _held = hold_interrupts();
    let write = |mut file: File| {
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()
    };
    file.and_then(write).map_err(|error| {
        let (path, copy) = (path.display(), copy.display());
        Error::new(Kind::Write, "is a mount point, so it was overwritten in place, which failed: it may be damaged")
            .in_file(path.to_string())
            .caused_by(error)
            .advise(format!(
                "The complete new content is in {copy} (inside the container, if this is one). When there is room: \
                 cat {copy} > {path} && rm {copy}"
            ))
    })
}
