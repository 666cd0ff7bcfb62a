//! The links that were found in folders. No file is looked at through them: it is where it is.

use std::path::{Path, PathBuf};

use crate::cli::args::plain_path;
use crate::cli::commands::check::report::Looked;
use crate::cli::context::Context;
use crate::config::Configs;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::repo::check::{Finding, check_link, check_repository, unseen};

/// The most files that are held against rules through links to their folders.
pub const MOST_BELOW: usize = 100_000;

/// Looks at links; `top` is the folder beyond which nothing is looked at.
pub fn look(links: &[PathBuf], top: &Path, configs: &Configs, looked: &mut Looked, context: &Context) {
    let mut left = MOST_BELOW;
    for link in links {
        let findings = paths(link, top, &mut left).and_then(|paths| check_link(link, paths, configs));
        looked.add(
            &plain_path(link),
            findings.map(|finding| finding.into_iter().collect::<Vec<Finding>>()),
            context,
        );
    }
}

/// Looks at the repositories within those that are looked at.
pub fn look_at_repositories(folders: &[PathBuf], configs: &Configs, looked: &mut Looked, context: &Context) {
    for folder in folders {
        let finding = check_repository(folder, configs);
        looked.add(&plain_path(folder), finding.map(|finding| finding.into_iter().collect()), context);
    }
}

/// The paths that lead through a link.
fn paths(link: &Path, top: &Path, left: &mut usize) -> Result<Vec<PathBuf>> {
    match link.canonicalize() {
        Ok(target) if target.is_dir() && target.starts_with(top) => {
            let paths = if *left == 0 { Vec::new() } else { fs::walk(&[link.to_path_buf()]).files };
            *left = left.checked_sub(paths.len()).filter(|_| *left > 0).ok_or_else(too_many)?;
            // A repository is looked at by itself, and a link to a folder above is one to all that it is in.
            Ok(if paths.is_empty() { unseen(link).into() } else { paths })
        }
        Ok(target) if target.is_file() => Ok(vec![link.to_path_buf()]),
        _ => Ok(unseen(link).into()),
    }
}

/// What is told of a link that nobody has looked at.
pub fn too_many() -> Error {
    Error::new(
        Kind::Read,
        format!("the links here lead to more than {MOST_BELOW} files, and were not all looked at"),
    )
}
