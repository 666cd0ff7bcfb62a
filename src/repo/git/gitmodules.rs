//! What `.gitmodules` says: how submodules are called. Where they are is what [`super::gitlinks`] tells; this is anybody's claim.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::Git;
use crate::error::Result;
use crate::os;

pub(super) const NAME: &str = ".gitmodules";

/// The paths of submodules, by their names, as they are staged: none where there is no such file.
pub fn paths_by_name(git: &Git) -> Result<HashMap<PathBuf, PathBuf>> {
    let staged = format!(":{NAME}");
    let args = ["config", "--null", "--blob", &staged, "--get-regexp", r"^submodule\..*\.path$"];
    let answer = git.ask(args)?;
    let entry = |entry: &[u8]| {
        let at = entry.iter().position(|&byte| byte == b'\n')?;
        let name = entry[..at].strip_prefix(b"submodule.")?.strip_suffix(b".path")?;
        Some((PathBuf::from(os::name_of(name)), PathBuf::from(os::name_of(&entry[at + 1..]))))
    };
    let entries = answer.stdout.split(|&byte| byte == 0).filter_map(entry);
    Ok(entries.filter(|(_, path)| is_within(path)).collect())
}

/// Whether a path is one in a repository. Anybody can write anything there.
fn is_within(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
}
