//! The links that were found in folders. No file is looked at through them: it is where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::args::{Inputs, plain_path};
use crate::cli::commands::check::report::Looked;
use crate::cli::context::Context;
use crate::config::Configs;
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Walk};
use crate::os;
use crate::repo::check::{Finding, check_link, check_repository, check_target, unseen};

/// The most files that are held against rules through links to their folders.
pub const MOST_BELOW: usize = 100_000;

/// The most files of a repository within another one that rules are held against.
const MOST_WITHIN: usize = 10_000;

/// The most names that a link, and those to which it leads, may lead through.
pub const MOST_STEPS: usize = 500;

/// Looks at links; `top` is the folder beyond which nothing is looked at.
pub fn look(links: &[PathBuf], top: &Path, configs: &Configs, looked: &mut Looked, context: &Context) {
    let mut left = MOST_BELOW;
    for link in links {
        let findings =
            paths(link, top, &mut left, configs).and_then(|paths| check_link(link, paths, configs));
        let findings = findings.and_then(|finding| of_target(link, finding, configs));
        looked.add(&plain_path(link), findings, context);
    }
}

/// What is wrong with a link that is here, and with its target.
fn of_target(link: &Path, finding: Option<Finding>, configs: &Configs) -> Result<Vec<Finding>> {
    // One that is gone by now has none.
    let target = link.read_link().unwrap_or_default();
    let is_there =
        finding.is_some() || link.parent().unwrap_or(link).join(&target).symlink_metadata().is_ok();
    let mut findings = check_target(link, target.as_os_str().as_encoded_bytes(), is_there, configs)?;
    findings.extend(finding);
    Ok(findings)
}

/// The repositories within those that are looked at, each with files that were found in it.
pub fn files_within(inputs: &Inputs) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut within: BTreeMap<PathBuf, Vec<PathBuf>> =
        inputs.repositories.iter().map(|folder| (folder.clone(), Vec::new())).collect();
    if within.is_empty() {
        return within;
    }
    for path in inputs.inputs.iter().filter_map(|input| input.path.as_deref()) {
        for folder in path.ancestors().skip(1) {
            if let Some(files) = within.get_mut(folder).filter(|files| files.len() < MOST_WITHIN) {
                files.push(path.to_path_buf());
            }
        }
    }
    within
}

/// Looks at these.
pub fn look_at_repositories(
    within: &BTreeMap<PathBuf, Vec<PathBuf>>,
    configs: &Configs,
    looked: &mut Looked,
    context: &Context,
) {
    for (folder, files) in within {
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let finding = check_repository(folder, &files, configs);
        looked.add(&plain_path(folder), finding.map(|finding| finding.into_iter().collect()), context);
    }
}

/// The paths that lead through a link.
fn paths(link: &Path, top: &Path, left: &mut usize, configs: &Configs) -> Result<Vec<PathBuf>> {
    if steps(link) > MOST_STEPS {
        return Err(too_far());
    }
    match os::real_path(link) {
        Ok(target) if target.is_dir() && target.starts_with(top) => {
            if *left == 0 {
                return Err(too_many());
            }
            let Walk { files: paths, links, leftovers, .. } = fs::walk(&[link.to_path_buf()]);
            // What is no file takes as long to walk by.
            *left = left.saturating_sub(1 + paths.len() + links.len() + leftovers.len());
            if *left == 0 {
                return Err(too_many());
            }
            // A repository is looked at by itself, and a link to a folder above is one to all that it is in.
            if paths.is_empty() { unseen(link, configs) } else { Ok(paths) }
        }
        Ok(target) if target.is_file() => Ok(vec![link.to_path_buf()]),
        _ => unseen(link, configs),
    }
}

/// Through how many names a link and those behind it lead. Whoever looks where that is walks through them each time.
fn steps(link: &Path) -> usize {
    let (mut at, mut steps) = (link.to_path_buf(), 0);
    while let Ok(target) = at.read_link() {
        steps += 1 + target.as_os_str().as_encoded_bytes().iter().filter(|byte| **byte == b'/').count();
        if steps > MOST_STEPS {
            break;
        }
        at = at.parent().unwrap_or(Path::new("")).join(target);
    }
    steps
}

/// What is told of a link that leads through too many.
pub fn too_far() -> Error {
    Error::new(Kind::Read, format!("leads through more than {MOST_STEPS} folders, and was not looked at"))
}

/// What is told of a link that nobody has looked at.
pub fn too_many() -> Error {
    Error::new(
        Kind::Read,
        format!("the links here lead to more than {MOST_BELOW} files; some were not looked at"),
    )
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::{Dialect, Lookup};

    fn configs(top: &Path) -> Configs {
        Configs::new(Lookup { working_dir: top.to_path_buf(), explicit: None, dialect: Dialect::Sealant })
    }

    #[test]
    fn whatever_is_walked_by_behind_links_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        std::fs::create_dir(top.join("t")).unwrap();
        for number in 0..50 {
            symlink("nowhere", top.join(format!("t/{number}"))).unwrap();
        }
        symlink("t", top.join("link")).unwrap();
        let mut left = 120;
        let link = top.join("link");
        let configs = configs(&top);
        assert_eq!(paths(&link, &top, &mut left, &configs).unwrap(), unseen(&link, &configs).unwrap());
        assert_eq!(left, 69);
        assert!(paths(&link, &top, &mut left, &configs).is_ok());
        assert!(paths(&link, &top, &mut left, &configs).is_err());
        // Nothing is walked through any more.
        assert_eq!(left, 0);
        assert!(paths(&link, &top, &mut left, &configs).is_err());
    }

    #[test]
    fn a_chain_of_links_through_many_folders_is_told_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        std::fs::create_dir(top.join("d")).unwrap();
        for number in 0..39 {
            symlink(format!("{}c{}", "d/../".repeat(10), number + 1), top.join(format!("c{number}")))
                .unwrap();
        }
        symlink("c0", top.join("e")).unwrap();
        assert_eq!(steps(&top.join("c38")), 21);
        assert!(steps(&top.join("e")) > MOST_STEPS);
        let error = paths(&top.join("e"), top, &mut { MOST_BELOW }, &configs(top)).unwrap_err();
        assert!(error.to_string().contains("not looked at"), "{error}");
    }
}
