//! Links that lead from a path in a repository to somewhere outside, or into what Git keeps for itself.
//!
//! Anybody who may commit can add one, so writing through it would write to a place that nobody named: into `.git`, the settings
//! and hooks that Git runs programs by. A link outside of any repository is the person's own, and one that stays among the files of
//! its repository is harmless.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::repo::git::root_of;
use crate::shown;

/// A link, and where a path leads through it.
#[derive(Debug, PartialEq, Eq)]
pub struct Outside {
    pub link: PathBuf,
    /// The repository that contains the link.
    pub top: PathBuf,
    /// Where the path really is.
    pub target: PathBuf,
    /// It is Git's own.
    pub is_of_git: bool,
}

impl Outside {
    /// Of a path that need not exist; `None` where no link leads out of its repository. `named` is asked for the top of the working
    /// tree that the environment names, which may have no `.git`.
    pub fn of(path: &Path, named: impl FnOnce() -> Option<PathBuf>) -> Result<Option<Self>> {
        let (links, here) = links_of(path, named)?;
        // Of what leads there, any link counts: behind the person's own, there may be another one.
        let of_git = links.first().filter(|_| is_of_git(&here)).cloned();
        let is_of_git = of_git.is_some();
        let ruled = links.into_iter().filter_map(|(top, link)| Some((top?, link)));
        let mut leads_out = ruled.filter(|(top, _)| !here.starts_with(top));
        let found = match of_git {
            Some((top, link)) => Some((top.unwrap_or_default(), link)),
            None => leads_out.next(),
        };
        Ok(found.map(|(top, link)| Self { link, top, target: here, is_of_git }))
    }

    /// The refusal to write there.
    pub fn refused(&self, path: &Path) -> Error {
        let advice = match self.is_of_git {
            true => format!(
                "Git runs programs by what is there. If you mean that file, name it: {}; otherwise remove the link.",
                shown::typed(&self.target)
            ),
            false => format!("If you mean that place, name it: {}", shown::typed(&self.target)),
        };
        Error::new(Kind::Conflict, format!("{self}, and Sealant does not write there"))
            .in_file(path)
            .advise(advice)
    }
}

/// Refuses a path on which a link of a repository is, wherever that leads: it is for a file of which somebody knows the name.
pub fn refuse_links(path: &Path, named: impl FnOnce() -> Option<PathBuf>) -> Result<()> {
    let (links, _) = links_of(path, named)?;
    let of_repository = links.into_iter().find_map(|(top, link)| Some((top?, link)));
    of_repository.map_or(Ok(()), |(top, link)| {
        let link = shown::typed(link.strip_prefix(top).unwrap_or(&link));
        let message = format!("{link} is a link of this repository, and nothing is written through it");
        Err(Error::new(Kind::Conflict, message)
            .in_file(path)
            .advise("Remove the link, or name another file."))
    })
}

/// A link, with the top of the repository in which it is.
type Link = (Option<PathBuf>, PathBuf);

/// The links on a path, and where the path really is.
fn links_of(path: &Path, named: impl FnOnce() -> Option<PathBuf>) -> Result<(Vec<Link>, PathBuf)> {
    let cannot = |error| Error::new(Kind::Read, "cannot be looked at").in_file(path).caused_by(error);
    let (mut here, mut links) = (PathBuf::new(), Vec::new());
    for component in std::path::absolute(path).map_err(cannot)?.components() {
        match component {
            Component::Normal(name) => {
                let next = here.join(name);
                if fs::is_link(&next) {
                    let target = fs::target(&next);
                    links.push((next, root_of(&here).map(Path::to_path_buf)));
                    here = fs::real_folder(&target);
                } else {
                    here = next;
                }
            }
            Component::ParentDir => _ = here.pop(),
            other => here.push(other),
        }
    }
    let named = if links.iter().any(|(_, top)| top.is_none()) { named() } else { None };
    let of_named = |link: &Path| named.clone().filter(|top| link.starts_with(top));
    let links = links.into_iter().map(|(link, top)| (top.or_else(|| of_named(&link)), link));
    Ok((links.collect(), here))
}

/// Whether a path is of what Git keeps of a repository. A working tree may be in a folder of Git's: what is below its top is not of
/// that.
fn is_of_git(path: &Path) -> bool {
    let top = path.parent().and_then(root_of);
    let below = top.and_then(|top| path.strip_prefix(top).ok());
    let is_there = |folder: &Path| ["HEAD", "objects", "refs"].iter().all(|name| folder.join(name).exists());
    let levels = below.map_or(usize::MAX, |below| below.components().count());
    below.unwrap_or(path).components().any(|part| is_name_of_git(part.as_os_str()))
        || path.ancestors().take(levels).any(is_there)
}

/// Whether a name is that of Git's own folder, also where the file system takes others for the same.
pub fn is_name_of_git(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let name = name.trim_end_matches([' ', '.']);
    name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
}

impl std::fmt::Display for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { link, top, target, is_of_git } = self;
        let link = link.strip_prefix(top).unwrap_or(link);
        let place = if *is_of_git { "into what Git keeps for itself" } else { "out of its repository" };
        write!(f, "leads {place}, to {}, through the link {}", target.display(), link.display())
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests make the files that they look at")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_leads_out_of_the_repository_in_which_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        for made in [
            "a/.git/hooks",
            "a/sub/.git",
            "a/in",
            "a/deep",
            "b/in",
            "bare/objects",
            "bare/refs",
            "bare/tree/in",
            "c/own/objects",
            "c/own/refs",
        ] {
            std::fs::create_dir_all(at.join(made)).unwrap();
        }
        std::fs::write(at.join("c/own/HEAD"), "").unwrap();
        std::fs::write(at.join("a/deep/.git"), "gitdir: ../.git").unwrap();
        // A working tree in the folder of a bare clone.
        std::fs::write(at.join("bare/HEAD"), "").unwrap();
        std::fs::write(at.join("bare/tree/.git"), "gitdir: ../worktrees/tree").unwrap();
        for (target, link) in [
            (".git/config", "a/settings"),
            (".git", "a/gitdir"),
            ("../a/gitdir", "b/gitdir"),
            ("in/x", "bare/tree/within"),
            ("bare", "mine"),
            ("../config", "bare/tree/up"),
            ("deep/.git", "a/named"),
            ("own/config", "c/settings"),
            ("../b/in/x", "c/file"),
            ("../b/in/x", "a/file"),
            ("../b/in", "a/folder"),
            ("in", "a/within"),
            ("file", "a/through"),
            ("../../b/new", "a/in/dangling"),
            ("../in/x", "a/sub/up"),
            ("../a/in/x", "b/into"),
            ("../a/file", "b/through"),
            ("loop", "a/loop"),
        ] {
            symlink(target, at.join(link)).unwrap();
        }
        let found = |path: &str| {
            let outside = Outside::of(&at.join(path), || Some(at.join("c"))).unwrap()?;
            let below = |path: &Path| path.strip_prefix(&at).unwrap_or(path).display().to_string();
            Some(format!("{} {} {}", below(&outside.link), below(&outside.top), below(&outside.target)))
        };
        for (path, expected) in [
            ("a/settings", Some("a/settings a a/.git/config")),
            ("a/gitdir/hooks/pre-commit", Some("a/gitdir a a/.git/hooks/pre-commit")),
            ("a/named", Some("a/named a a/deep/.git")),
            ("a/.git/config", None),
            ("b/gitdir/config", Some("b/gitdir  a/.git/config")),
            ("bare/tree/within", None),
            ("mine/tree/in/x", None),
            ("mine/config", Some("mine  bare/config")),
            ("bare/tree/up", Some("bare/tree/up bare/tree bare/config")),
            ("c/settings", Some("c/settings c c/own/config")),
            ("c/file", Some("c/file c b/in/x")),
            ("a/file", Some("a/file a b/in/x")),
            ("a/folder/new/x", Some("a/folder a b/in/new/x")),
            ("a/folder/../y", Some("a/folder a b/y")),
            ("a/through", Some("a/through a b/in/x")),
            ("a/in/dangling", Some("a/in/dangling a b/new")),
            ("a/sub/up", Some("a/sub/up a/sub a/in/x")),
            ("a/in/x", None),
            ("a/within/x", None),
            ("b/into", None),
            ("b/in/x", None),
            ("a/folder/../../a/in/x", None),
            ("a/loop", None),
        ] {
            assert_eq!(found(path).as_deref(), expected, "{path}");
        }
        // The person's own link leads to one that somebody committed.
        assert_eq!(found("b/through"), None);
    }
}
