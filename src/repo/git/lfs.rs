//! Files that Git LFS keeps: what Git has of them is a pointer, and their content is beside it, or on a server.
//!
//! Owns the form of a pointer and where its content is in a clone (the specification and `docs/api` of git-lfs). Nothing is
//! fetched.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind};
use crate::fs;
use crate::secret::SecretBytes;

/// How a pointer begins, and the most that one holds.
const BEGIN: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:";
const LIMIT: usize = 1024;

/// Says where the content of a file is kept: `version`, `oid` and `size`, and nothing else.
pub struct Pointer<'p> {
    /// The SHA-256 of the content, in lower case.
    id: &'p str,
}

/// The pointer that a file is.
pub fn pointer(file: &[u8]) -> Option<Pointer<'_>> {
    let text = str::from_utf8(file).ok().filter(|text| text.len() <= LIMIT)?;
    let (id, size) = text.strip_prefix(BEGIN)?.strip_suffix('\n')?.split_once("\nsize ")?;
    let is_id = id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_size = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    (is_id && is_size).then_some(Pointer { id })
}

impl Pointer<'_> {
    /// The content, if a clone has it below this folder, `lfs/objects` of its Git directory.
    pub fn content(&self, objects: &Path, limit: u64) -> Option<SecretBytes> {
        let file = objects.join(&self.id[..2]).join(&self.id[2..4]).join(self.id);
        let content = fs::read_found(&file, limit).ok()?;
        let digest: String = Sha256::digest(&*content).iter().map(|byte| format!("{byte:02x}")).collect();
        (digest == self.id).then_some(content)
    }
}

/// What is said of a content that is not in the clone.
pub fn not_here() -> Error {
    Error::new(Kind::Read, "its content is in Git LFS and not here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_three_lines_and_nothing_else() {
        let pointer = format!("{BEGIN}{}\nsize 12345\n", "0a".repeat(32));
        assert!(super::pointer(pointer.as_bytes()).is_some());
        for other in [
            format!("{pointer}kind: Secret\n"),
            format!("kind: Secret\n{pointer}"),
            pointer.replace("size", "kind: Secret\nsize"),
            pointer.replace("oid", "ext-0-x sha256:00\noid"),
            pointer.replace("0a0a\n", "0a0g\n"),
            pointer.replace("0a0a\n", "0a\n"),
            pointer.replace("12345", "hunter2"),
            pointer.replace("12345", ""),
            pointer.replace("12345", &"1".repeat(1024)),
            pointer.trim_end().to_owned(),
            "version https://git-lfs.github.com/spec/v1\nkind: Secret\n".to_owned(),
        ] {
            assert!(super::pointer(other.as_bytes()).is_none(), "{other}");
        }
    }
}
