//! Files that cannot be replaced by others: mount points, as a container has them (`docker run -v FILE:FILE`, `subPath`).
//!
//! Owns their being written over, which is not whole or nothing. So a whole copy is there from before the first byte is
//! written until after the last, and the error says where. All other files are replaced: see [`super::atomic`].

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::cleanup::hold_interrupts;
use crate::error::{Error, Kind, Result};

/// Whether something is mounted at this path, so that nothing can be renamed to it.
#[cfg(target_os = "linux")]
pub(super) fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
    let found = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_mount_point(_: &Path) -> bool {
    false
}

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
