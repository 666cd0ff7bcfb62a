//! Where a program calls us, and which files may be named from there: those of the repository, links resolved.

use std::path::{Path, PathBuf};

use crate::document::MAX_SOURCE;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::os;
use crate::secret::SecretBytes;

/// In which a run of ours tells programs that it starts, and these us, what the repository is: where we are called in a
/// base, nothing else says so. It can only take away: whoever sets it starts programs already, and gains nothing.
pub const ROOT_VARIABLE: &str = "SEALANT_REPOSITORY_ROOT";

/// What Argo CD sets for those that it starts. It hands on no `.git` that would say where a repository ends.
const OF_ARGOCD: [&str; 2] = ["ARGOCD_APP_NAME", "ARGOCD_APP_SOURCE_PATH"];

/// A folder of a repository.
pub struct Place {
    folder: PathBuf,
    root: Option<PathBuf>,
}

impl Place {
    /// A folder and the repository that it is in: as Argo CD says, which leaves `.git` out of what it hands on, else
    /// the nearest folder above that has one; and no more than `SEALANT_REPOSITORY_ROOT` allows. Where none is found, nothing
    /// above the folder may be named if that variable is set, or Argo CD has started us.
    pub fn of(folder: &Path, host: &dyn Host) -> Result<Self> {
        let folder = resolved(folder, folder)?;
        let source = host.env("ARGOCD_APP_SOURCE_PATH").map(PathBuf::from);
        let named = source.and_then(|source| above(&folder, &source));
        let found = named
            .or_else(|| folder.ancestors().find(|above| above.join(".git").exists()).map(Path::to_path_buf));
        let allowed = host.env(ROOT_VARIABLE).map(PathBuf::from);
        let is_closed = allowed.is_some() || OF_ARGOCD.into_iter().any(|name| host.env(name).is_some());
        let allowed = allowed.filter(|root| folder.starts_with(root));
        // Both are above the folder: the longer one is the narrower.
        let root = found.into_iter().chain(allowed).max_by_key(|root| root.components().count());
        let place = Self { folder, root };
        Ok(if is_closed { place.closed() } else { place })
    }

    /// The same, where nothing above the folder may be named if no repository is found.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.root.get_or_insert_with(|| self.folder.clone());
        self
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The repository, or the folder where none is known.
    pub fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(&self.folder)
    }

    /// The file that a path stands for. It is refused if it leads out of the repository, be it by a link.
    pub fn file(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        let refuse = |why: &str| {
            Error::new(Kind::Read, why)
                .in_file(path)
                .advise("Name a file of the repository, by a relative path.")
        };
        if path.to_string_lossy().contains("://") {
            return Err(refuse("this is a URL, and nothing is downloaded"));
        }
        if path.is_absolute() {
            return Err(refuse("absolute paths are not allowed"));
        }
        let file = resolved(&self.folder.join(path), path)?;
        match &self.root {
            Some(root) if !file.starts_with(root) => Err(refuse("this leads out of the repository")),
            _ => Ok(file),
        }
    }

    /// The file that a path stands for, and what is in it.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<SecretBytes> {
        let file = self.file(&path)?;
        fs::read_found(&file, MAX_SOURCE as u64)
    }

    /// Refuses links below the folder that lead out of the repository: programs that read all of it follow them.
    pub fn refuse_links_out(&self) -> Result<()> {
        let Some(root) = &self.root else { return Ok(()) };
        for link in fs::links(&self.folder)? {
            let leads_out = os::real_path(&link).is_ok_and(|target| !target.starts_with(root));
            if leads_out {
                let error = Error::new(Kind::Read, "this link leads out of the repository");
                return Err(error.in_file(link.strip_prefix(&self.folder).unwrap_or(&link)));
            }
        }
        Ok(())
    }
}

/// The folder above `folder` that `path` leads from.
fn above(folder: &Path, path: &Path) -> Option<PathBuf> {
    let path: PathBuf = path.components().filter(|part| part.as_os_str() != ".").collect();
    if !folder.ends_with(&path) || path.is_absolute() {
        return None;
    }
    folder.ancestors().nth(path.components().count()).map(Path::to_path_buf)
}

fn resolved(path: &Path, shown: &Path) -> Result<PathBuf> {
    os::real_path(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::NoFile, "no such file").in_file(shown),
        _ => Error::new(Kind::Read, "cannot be read").in_file(shown).caused_by(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_found_by_the_path_in_it() {
        let root = |folder: &str, path: &str| {
            above(Path::new(folder), Path::new(path)).map(|root| root.display().to_string())
        };
        assert_eq!(root("/tmp/x/apps/shop", "apps/shop").as_deref(), Some("/tmp/x"));
        assert_eq!(root("/tmp/x", ".").as_deref(), Some("/tmp/x"));
        assert_eq!(root("/tmp/x/apps", "./apps/").as_deref(), Some("/tmp/x"));
        assert_eq!(root("/tmp/x/base", "apps/shop"), None);
        assert_eq!(root("/tmp/x", "/tmp/x"), None);
    }
}
