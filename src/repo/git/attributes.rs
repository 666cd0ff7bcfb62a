//! What Git's attributes say about files, wherever they are: in `.gitattributes`, in the clone, or in a person's
//! settings.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::os;
use crate::repo::git::Git;

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
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<u8> = files.iter().flat_map(|file| [&os::slashed(file)[..], b"\0"].concat()).collect();
    let mut said = Vec::new();
    for source in [&[][..], &["--cached"]] {
        let args = ["check-attr", "-z", "--stdin"].iter().chain(source).chain(attributes);
        let output = git.run_on(args, &names)?;
        let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
        let specified = fields.chunks_exact(3).filter(|fields| fields[2] != b"unspecified");
        said.extend(specified.map(|fields| Said {
            file: os::name_of(fields[0]).into(),
            attribute: String::from_utf8_lossy(fields[1]).into_owned(),
            value: String::from_utf8_lossy(fields[2]).into_owned(),
        }));
    }
    Ok(said)
}
