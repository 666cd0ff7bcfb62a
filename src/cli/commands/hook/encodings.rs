//! In which encodings others have what is staged, once Git has checked it out as attributes say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::repo::check::Encoding;
use crate::repo::git::Git;
use crate::repo::git::attributes::{self, Said};
use crate::secret::SecretBytes;

const ENCODING: &str = "working-tree-encoding";

/// Those that are not as Git has them, by the names of the files from the top.
pub fn of(files: &[&Path], git: &Git) -> Result<HashMap<PathBuf, Vec<Encoding>>> {
    let mut encodings: HashMap<PathBuf, Vec<Encoding>> = HashMap::new();
    for Said { file, value, .. } in attributes::said(git, &[ENCODING], files)? {
        if let Some(encoding) = Encoding::of_attribute(&value) {
            let of_file = encodings.entry(file).or_default();
            if !of_file.contains(&encoding) {
                of_file.push(encoding);
            }
        }
    }
    Ok(encodings)
}

/// What Git writes in the working tree for a content, where that may be a text again: who puts plaintext into such a file
/// has Git store something else.
pub fn written(encoding: &Encoding, content: &[u8]) -> Option<SecretBytes> {
    let to_bytes = match encoding {
        Encoding::Utf16LittleEndian => u16::to_le_bytes,
        Encoding::Utf16BigEndian => u16::to_be_bytes,
        _ => return None,
    };
    let text = str::from_utf8(content).ok()?;
    Some(SecretBytes::new(text.encode_utf16().flat_map(to_bytes).collect()))
}
