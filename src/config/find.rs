//! Finding the config of a file.
//!
//! Owns the names of configs and the order of the folders in which they are looked for. Files and links are seen through
//! [`Source`] alone, since a hook reads Git's index instead of the folder.

use std::path::{Component, Path, PathBuf};

use crate::config::links::RealPaths;
use crate::config::schema::Dialect;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::os;
use crate::secret::SecretBytes;

/// sops's name for a config.
pub const SOPS_NAME: &str = ".sops.yaml";

/// Our own name for a config, of the same schema.
pub const SEALANT_NAME: &str = ".sealant.yaml";

/// What some people call a config, but neither sops nor we read.
const MISNAMED: &str = ".sops.yml";

/// How many folders are looked at on the way up, as many as sops does.
pub(super) const MAX_LEVELS: usize = 100;

/// The most that a config may hold.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Whether a file is a config by its name. Configs hold no secrets.
pub fn is_config(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    [SOPS_NAME, SEALANT_NAME].iter().any(|config| name == *config)
}

/// Whether a file is a config by its name, or meant as one.
pub fn is_meant_as_config(path: &Path) -> bool {
    is_config(path) || path.file_name().is_some_and(|name| name == MISNAMED)
}

/// Where configs are read from. Paths are absolute.
pub trait Source: Send + Sync {
    fn exists(&self, path: &Path) -> bool;
    /// Reads a config that was found.
    fn read(&self, path: &Path) -> Result<String>;
    /// Reads a config that a person has named.
    fn read_named(&self, path: &Path) -> Result<String> {
        self.read(path)
    }
    /// Where a link leads, as it is written in it; `None` for anything but a link.
    fn link(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
}

/// A source without files reached through linked folders, except links that lead to the working directory.
pub(super) struct WithoutLinks<'s> {
    pub source: &'s dyn Source,
    pub real: &'s RealPaths,
    pub working_dir: &'s Path,
}

impl Source for WithoutLinks<'_> {
    fn exists(&self, path: &Path) -> bool {
        let is_reached = |folder: &Path| {
            self.working_dir.starts_with(folder) || self.real.of_folder(folder, self.source) == folder
        };
        path.parent().is_some_and(is_reached) && self.source.exists(path)
    }

    fn read(&self, path: &Path) -> Result<String> {
        self.source.read(path)
    }
}

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Source for Disk {
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn read(&self, path: &Path) -> Result<String> {
        text(path, fs::read_found(path, MAX_CONFIG_BYTES)?)
    }

    fn read_named(&self, path: &Path) -> Result<String> {
        text(path, fs::read(path, MAX_CONFIG_BYTES)?)
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        // A name that is spelled in another way than it is written on the disk leads to that one.
        fs::link_at(path).or_else(|| os::other_name_on_disk(path))
    }
}

fn text(path: &Path, mut bytes: SecretBytes) -> Result<String> {
    String::from_utf8(std::mem::take(&mut *bytes))
        .map_err(|_| Error::new(Kind::Config, "the config is not valid UTF-8").in_file(path))
}

/// Where to look for configs, and whether to do it as sops does.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// An absolute path; relative ones are resolved against it.
    pub working_dir: PathBuf,
    /// From `--config` or `SOPS_CONFIG`: the only config there is.
    pub explicit: Option<PathBuf>,
    pub dialect: Dialect,
}

/// What a search for a config saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub dialect: Dialect,
    /// Asked for by name, so that no folder was searched.
    pub explicit: bool,
    /// The folders that were looked at, in this order.
    pub folders: Vec<PathBuf>,
    pub found: Option<PathBuf>,
    /// Files that were skipped since they only look like a config.
    pub misnamed: Vec<PathBuf>,
}

impl Search {
    /// Looks for the config of `file`, which need not exist.
    pub(super) fn run(file: &Path, lookup: &Lookup, source: &dyn Source) -> Result<Self> {
        let dialect = lookup.dialect;
        let mut search =
            Self { dialect, explicit: false, folders: Vec::new(), found: None, misnamed: Vec::new() };
        if let Some(explicit) = &lookup.explicit {
            let explicit = absolute(explicit, &lookup.working_dir);
            if !source.exists(&explicit) {
                return Err(Error::new(Kind::ConfigNotFound, "this config does not exist")
                    .in_file(explicit)
                    .advise("--config or SOPS_CONFIG names it: correct the path, or remove it."));
            }
            return Ok(Self { explicit: true, found: Some(explicit), ..search });
        }
        let file = absolute(file, &lookup.working_dir);
        let starts = match dialect {
            Dialect::Sealant => vec![file.parent().unwrap_or(&file), &lookup.working_dir],
            Dialect::Sops => vec![lookup.working_dir.as_path()],
        };
        for (level, folder) in starts.into_iter().flat_map(|start| start.ancestors().enumerate()) {
            match (level < MAX_LEVELS, dialect) {
                (true, _) => {}
                (false, Dialect::Sops) => continue,
                (false, Dialect::Sealant) => return Err(too_deep(&file)),
            }
            if search.folders.iter().any(|seen| seen == folder) {
                continue;
            }
            search.folders.push(folder.to_path_buf());
            search.found = config_in(folder, dialect, source)?;
            if search.found.is_some() {
                break;
            }
            let misnamed = folder.join(MISNAMED);
            if source.exists(&misnamed) {
                search.misnamed.push(misnamed);
            }
        }
        Ok(search)
    }

    /// The note about files that only look like a config.
    pub fn warning(&self) -> Option<String> {
        let first = self.misnamed.first()?;
        Some(format!("{} is not read: the config must be called {SOPS_NAME}", first.display()))
    }
}

impl Search {
    /// In words, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![match (&self.found, self.explicit) {
            (Some(found), true) => format!("the config {} was named by a flag or variable", found.display()),
            (Some(found), false) => format!("the config is {}", found.display()),
            (None, _) => "there is no config".to_owned(),
        }];
        if !self.folders.is_empty() {
            let names = match self.dialect {
                Dialect::Sealant => format!("{SOPS_NAME} and {SEALANT_NAME}"),
                Dialect::Sops => SOPS_NAME.to_owned(),
            };
            lines.push(format!("looked for {names} in:"));
        }
        lines.extend(self.folders.iter().map(|folder| format!("  {}", folder.display())));
        lines.extend(self.warning());
        lines
    }
}

/// The error for a file that is too far below: a config above may say that it is secret.
pub(super) fn too_deep(file: &Path) -> Error {
    let message = format!("is more than {MAX_LEVELS} folders deep, which is too deep to look for a config");
    Error::new(Kind::Config, message).in_file(file).advise("Move it further up.")
}

pub(super) fn config_in(folder: &Path, dialect: Dialect, source: &dyn Source) -> Result<Option<PathBuf>> {
    let [sops, sealant] = [SOPS_NAME, SEALANT_NAME].map(|name| folder.join(name));
    let ours = dialect == Dialect::Sealant && source.exists(&sealant);
    match (source.exists(&sops), ours) {
        (true, true) => {
            let message =
                format!("{} and {} are both configs of the same folder", sops.display(), sealant.display());
            Err(Error::new(Kind::Config, message)
                .advise("Put the rules of both into one of them, and delete the other."))
        }
        (true, false) => Ok(Some(sops)),
        (false, true) => Ok(Some(sealant)),
        (false, false) => Ok(None),
    }
}

/// The absolute path without `.` and `..`, as Go's `filepath.Abs` makes it: links are not followed.
pub fn absolute(path: &Path, working_dir: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in working_dir.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
