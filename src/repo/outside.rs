//! Links that lead from a path in a repository to somewhere outside.
//!
//! Anybody who may commit can add one, so writing through it would write to a place that nobody named. A link outside
//! of any repository is the person's own, and one that stays inside its repository is harmless.

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
}

impl Outside {
    /// Of a path that need not exist; `None` where no link leads out of its repository.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let cannot = |error| Error::new(Kind::Read, "cannot be looked at").in_file(path).caused_by(error);
        let (mut here, mut links) = (PathBuf::new(), Vec::new());
        for component in std::path::absolute(path).map_err(cannot)?.components() {
            match component {
                Component::Normal(name) => {
                    let next = here.join(name);
                    if fs::is_link(&next) {
                        let target = fs::target(&next);
                        links.extend(root_of(&here).map(|top| (next, top.to_path_buf())));
                        here = fs::real_folder(&target);
                    } else {
                        here = next;
                    }
                }
                Component::ParentDir => _ = here.pop(),
                other => here.push(other),
            }
        }
        let leads_out = links.into_iter().find(|(_, top)| !here.starts_with(top));
        Ok(leads_out.map(|(link, top)| Self { link, top, target: here }))
    }

    /// The refusal to write there.
    pub fn refused(&self, path: &Path) -> Error {
        Error::new(Kind::Conflict, format!("{self}, and Sealant does not write there"))
            .in_file(path)
            .advise(format!("If you mean that place, name it: {}", shown::typed(&self.target)))
    }
}

impl std::fmt::Display for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { link, top, target } = self;
        let link = link.strip_prefix(top).unwrap_or(link);
        write!(f, "leads out of its repository, to {}, through the link {}", target.display(), link.display())
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
        for made in ["a/.git", "a/sub/.git", "a/in", "b/in"] {
            std::fs::create_dir_all(at.join(made)).unwrap();
        }
        for (target, link) in [
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
            let outside = Outside::of(&at.join(path)).unwrap()?;
            let below = |path: &Path| path.strip_prefix(&at).unwrap_or(path).display().to_string();
            Some(format!("{} {} {}", below(&outside.link), below(&outside.top), below(&outside.target)))
        };
        for (path, expected) in [
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
