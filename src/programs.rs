//! Where programs are.
//!
//! Owns that no relative entry of `PATH` leads to one: an empty entry, or `node_modules/.bin`, is a folder of whatever repository
//! somebody works in, and what is in one runs for nobody.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{MAIN_SEPARATOR_STR, Path, PathBuf};

use crate::os;

/// Said of a program that is nowhere else.
pub(crate) const IS_RELATIVE: &str =
    "PATH leads to it by a relative entry, so it could come from any repository, and is not started";

/// `PATH` without relative entries; `None` where it has none of these.
pub(crate) fn without_relative(path: &OsStr) -> Option<OsString> {
    let all: Vec<PathBuf> = env::split_paths(path).collect();
    let kept: Vec<&PathBuf> = all.iter().filter(|folder| folder.is_absolute()).collect();
    if kept.len() == all.len() {
        return None;
    }
    // An empty list means the current folder.
    let kept = env::join_paths(kept).ok().filter(|list| !list.is_empty());
    Some(kept.unwrap_or_else(|| MAIN_SEPARATOR_STR.into()))
}

/// Where a program is: at its path, or by an absolute entry of `path`.
pub(crate) fn locate(path: Option<&OsStr>, program: &Path) -> Option<PathBuf> {
    if !is_name(program) {
        return os::program_at(program);
    }
    let mut folders = env::split_paths(path?).filter(|folder| folder.is_absolute());
    folders.find_map(|folder| os::program_at(&folder.join(program)))
}

/// Whether the first entry of `path` that has a program is a relative one.
pub(crate) fn is_relative(path: Option<&OsStr>, program: &Path) -> bool {
    let found = path.filter(|_| is_name(program)).and_then(|path| {
        // An empty entry is the current folder.
        let folders = env::split_paths(path).map(|folder| Path::new(".").join(folder));
        folders.into_iter().find(|folder| os::program_at(&folder.join(program)).is_some())
    });
    found.is_some_and(|folder| !folder.is_absolute())
}

fn is_name(program: &Path) -> bool {
    program.components().count() == 1
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_folders_named_without_relative_count() {
        let kept = |path: &str| without_relative(OsStr::new(path));
        assert_eq!(kept("/usr/bin:/bin"), None);
        for path in ["/usr/bin:/bin:", ":/usr/bin:/bin", "/usr/bin::/bin", "bin:/usr/bin:./x:/bin:.."] {
            assert_eq!(kept(path), Some("/usr/bin:/bin".into()), "{path}");
        }
        for path in ["", ":", "bin", "./bin:."] {
            assert_eq!(kept(path), Some("/".into()), "{path}");
        }
        let found = |path: &str| locate(Some(OsStr::new(path)), Path::new("sh"));
        assert_eq!(found("/nowhere:/bin"), Some("/bin/sh".into()));
        assert_eq!(found("../../../../../../../../bin"), None);
        let by_a_relative_one = |path: &str| is_relative(Some(OsStr::new(path)), Path::new("sh"));
        assert!(by_a_relative_one("../../../../../../../../bin:/bin"));
        assert!(!by_a_relative_one("/bin:../../../../../../../../bin"));
    }
}
