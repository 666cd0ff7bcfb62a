//! Links by which a path claims another rule than the file has to which it leads.

use std::path::{Path, PathBuf};

use crate::config::Configs;
use crate::error::Result;
use crate::repo::check::{Finding, Rule};

/// What is wrong with a link. `paths` are those that lead through it: to files of its folder, or itself.
pub fn check_link(
    link: &Path,
    paths: impl IntoIterator<Item = PathBuf>,
    configs: &Configs,
) -> Result<Option<Finding>> {
    if configs.locate(link)?.is_name_excluded_from_check()? {
        return Ok(None);
    }
    for path in paths {
        if let Some(misled) = configs.locate(&path)?.misled()?.filter(|misled| misled.is_worth_telling()) {
            return Ok(Some(Finding { line: 1, rule: Rule::Link, message: misled.to_string() }));
        }
    }
    Ok(None)
}

/// The paths that stand for a link to what is not to be seen here: it may be a file or a folder.
pub fn unseen(link: &Path) -> [PathBuf; 2] {
    [link.to_path_buf(), link.join("file")]
}
