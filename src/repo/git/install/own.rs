//! What belongs to a repository: its working tree, and the folders in which Git keeps it.
//!
//! `.git` cannot be committed, but it can come out of somebody's archive, with links to other places, or with a file
//! `commondir` that says that its config is that of another repository. Git follows them. What is not written by Git
//! alone is written only where this says that it belongs here.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::os;
use crate::repo::git::Git;

/// Real paths.
pub(super) struct Own {
    top: PathBuf,
    git_dir: PathBuf,
    /// Of the main working tree, whose config and hooks count for all.
    common: PathBuf,
}

impl Own {
    pub fn of(git: &Git) -> Result<Self> {
        let folder = |question| Ok::<_, Error>(fs::real_folder(&git.path_of(["rev-parse", question])?));
        let (git_dir, common) = (folder("--absolute-git-dir")?, folder("--git-common-dir")?);
        Ok(Self { top: git.top().to_path_buf(), git_dir, common })
    }

    /// Whether a file is in this repository, once all links on the way to it are followed.
    pub fn has(&self, path: &Path) -> bool {
        // Of what is not there yet, nobody knows where `..` leads.
        let folder = path.parent().unwrap_or(path);
        let leads_up = folder.components().any(|part| part == Component::ParentDir);
        if leads_up && os::real_path(folder).is_err() {
            return false;
        }
        let target = fs::target(path);
        let real = fs::real_folder(target.parent().unwrap_or(&target));
        self.refuse_borrowed().is_ok()
            && [&self.top, &self.git_dir, &self.common].iter().any(|own| real.starts_with(own))
    }

    /// Refuses a file of Git's own that is kept elsewhere.
    pub fn refuse_link(&self, path: &Path) -> Result<()> {
        self.refuse_borrowed()?;
        if self.has(path) {
            return Ok(());
        }
        let target = fs::target(path);
        let real = fs::real_folder(target.parent().unwrap_or(&target));
        let real = real.join(target.file_name().unwrap_or_default());
        let message = format!("is a link to {}, outside this repository, and was left alone", real.display());
        Err(Error::new(Kind::Write, message)
            .in_file(path)
            .advise("If this clone is yours, replace the link with a file."))
    }

    /// Refuses a repository that is kept in another one without being a working tree of it.
    fn refuse_borrowed(&self) -> Result<()> {
        let is_worktree = self.git_dir.starts_with(self.common.join("worktrees"));
        if self.git_dir == self.common || is_worktree {
            return Ok(());
        }
        let message = format!(
            "says that this repository's config is that of {}, another repository",
            self.common.display()
        );
        Err(Error::new(Kind::Write, message).in_file(self.git_dir.join("commondir")).advise(
            "Remove this file, if the clone is yours. If it came in an archive, clone the repository again.",
        ))
    }
}
