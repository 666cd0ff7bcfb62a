//! What Git's attributes say of files, wherever they stand: in `.gitattributes`, in the clone, or in somebody's settings.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::repo::git::Git;

/// The most bytes of names in one command line.
const AT_ONCE: usize = 128 << 10;

/// What is said of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// From the top.
    pub file: PathBuf,
    pub attribute: String,
    pub value: String,
}

/// What is said of files that are named from the top: by the attributes in the working tree, and by those in the index, by
/// which Git checks out. Both count, for either may be what nobody can read.
pub fn said(git: &Git, attributes: &[&str], files: &[&Path]) -> Result<Vec<Said>> {
    let mut said = Vec::new();
    for files in portions(files) {
        for source in [&[][..], &["--cached"]] {
            let args = ["check-attr", "-z"].iter().chain(source).chain(attributes).chain(&["--"]);
            let args = args.map(OsStr::new).chain(files.iter().map(|file| file.as_os_str()));
            let output = git.run(args)?;
            let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
            let specified = fields.chunks_exact(3).filter(|fields| fields[2] != b"unspecified");
            said.extend(specified.map(|fields| Said {
                file: OsStr::from_bytes(fields[0]).into(),
                attribute: String::from_utf8_lossy(fields[1]).into_owned(),
                value: String::from_utf8_lossy(fields[2]).into_owned(),
            }));
        }
    }
    Ok(said)
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
