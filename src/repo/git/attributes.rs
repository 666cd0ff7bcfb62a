//! What Git's attributes say of files, wherever they stand: in `.gitattributes`, in the clone, or in somebody's settings.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::repo::git::Git;

/// The most bytes of names in one command line.
const AT_ONCE: usize = 128 << 10;

/// The values of an attribute for files that are named from the top, without those for which it says nothing.
pub fn values(git: &Git, attribute: &str, files: &[&Path]) -> Result<Vec<(PathBuf, String)>> {
    let mut values = Vec::new();
    for files in portions(files) {
        let args = ["check-attr", "-z", attribute, "--"].map(OsStr::new);
        let output = git.run(args.into_iter().chain(files.iter().map(|file| file.as_os_str())))?;
        let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
        let said = fields.chunks_exact(3).filter(|fields| fields[2] != b"unspecified");
        values.extend(said.map(|fields| {
            (OsStr::from_bytes(fields[0]).into(), String::from_utf8_lossy(fields[2]).into_owned())
        }));
    }
    Ok(values)
}

/// Names in portions that fit into a command line.
fn portions<'f>(files: &'f [&'f Path]) -> Vec<&'f [&'f Path]> {
    let (mut portions, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, file) in files.iter().enumerate() {
        if bytes > AT_ONCE {
            portions.push(&files[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += file.as_os_str().len() + 1;
    }
    portions.push(&files[start..]);
    portions.retain(|files| !files.is_empty());
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_in_one_portion_each() {
        let names: Vec<PathBuf> = (0..20_000).map(|number| format!("folder/{number}.yaml").into()).collect();
        let names: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
        let portions = portions(&names);
        assert!(portions.len() > 1 && portions.iter().all(|portion| portion.len() < 10_000));
        assert_eq!(portions.concat(), names);
        assert!(super::portions(&[]).is_empty());
    }
}
