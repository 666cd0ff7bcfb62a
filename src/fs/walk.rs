//! From what a person types to the files that are meant.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;
use walkdir::{DirEntry, WalkDir};

use crate::error::{Error, Kind, Result};
use crate::fs::atomic;
use crate::fs::read::missing;
use crate::os;

/// What makes a path a pattern, unless a file has that very name.
const PATTERN_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

/// The files that were found, each once, and what could not be looked at.
#[derive(Debug, Default)]
pub struct Walk {
    /// In the order of the paths that were given, those of a folder or a pattern sorted by name.
    pub files: Vec<PathBuf>,
    /// The links that were skipped in folders.
    pub links: Vec<PathBuf>,
    /// What looks like a leftover of a killed run, and was skipped in folders. Anybody can give a file such a name.
    pub leftovers: Vec<PathBuf>,
    /// The folders that were looked through, called as what was found in them begins.
    pub folders: Vec<PathBuf>,
    /// The repositories in these, below their tops.
    pub repositories: Vec<PathBuf>,
    /// Paths that lead nowhere, and folders that cannot be read.
    pub errors: Vec<Error>,
}

/// The files that `paths` stand for: themselves, all within folders, all that match patterns such as `**/*.yaml`.
///
/// Within folders `.git`, links, and leftovers of killed runs are skipped; so are hidden files for a pattern that
/// does not name any, as in a shell. A file that is named itself is taken whatever it is.
pub fn walk(paths: &[PathBuf]) -> Walk {
    let mut walk = Walk::default();
    for path in paths {
        let found = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => walk.folder(path),
            Ok(_) => walk.push(path.clone()),
            Err(_) => match path.to_str().filter(|text| text.contains(PATTERN_CHARACTERS)) {
                Some(pattern) => walk.pattern(pattern),
                None => Err(missing(path)),
            },
        };
        walk.errors.extend(found.err());
    }
    if paths.len() > 1 {
        let mut seen = HashSet::new();
        walk.files.retain(|file| seen.insert(os::real_path(file).unwrap_or_else(|_| file.clone())));
    }
    walk
}

/// The files of a folder, and of those in it if `recurse`, sorted by name; links are followed, hidden ones passed by.
pub fn files_below(folder: &Path, recurse: bool) -> Result<Vec<PathBuf>> {
    let depth = if recurse { usize::MAX } else { 1 };
    let tree = WalkDir::new(folder).follow_links(true).max_depth(depth).sort_by_file_name();
    let enter = |entry: &DirEntry| entry.depth() == 0 || !is_hidden(entry.file_name());
    let mut files = Vec::new();
    for entry in tree.into_iter().filter_entry(enter) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_path_buf();
            Error::new(Kind::Read, "cannot be read").in_file(path).caused_by(error)
        })?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// The folders in a folder; none where it does not exist.
pub fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => folders.push(entry.into_path()),
            Ok(_) => {}
            Err(_) if folder.symlink_metadata().is_err() => return Ok(folders),
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(folders)
}

/// The symbolic links below a folder.
pub fn links(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut links = Vec::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.map_err(|error| {
            Error::new(Kind::Read, "the folder cannot be searched").in_file(folder).caused_by(error)
        })?;
        if entry.path_is_symlink() {
            links.push(entry.into_path());
        }
    }
    Ok(links)
}

impl Walk {
    fn push(&mut self, file: PathBuf) -> Result<()> {
        self.files.push(file);
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        self.folders.push(folder.to_path_buf());
        self.descend(WalkDir::new(folder), |path| Some(path.to_path_buf()));
        Ok(())
    }

    fn pattern(&mut self, pattern: &str) -> Result<()> {
        let components: Vec<_> = Path::new(pattern).components().collect();
        let is_pattern = |part: &Component| part.as_os_str().to_string_lossy().contains(PATTERN_CHARACTERS);
        let literal = components.iter().take_while(|part| !is_pattern(part)).count();
        let start: PathBuf = components[..literal].iter().collect();
        let names_hidden = components[literal..].iter().any(|part| is_hidden(part.as_os_str()));

        let wrong = |error| {
            Error::new(Kind::NoFile, format!("`{pattern}` is neither a file nor a pattern")).caused_by(error)
        };
        let normal = components.iter().collect::<PathBuf>().to_string_lossy().into_owned();
        let matcher =
            GlobBuilder::new(&normal).literal_separator(true).build().map_err(wrong)?.compile_matcher();

        let here = start.as_os_str().is_empty();
        let mut tree = WalkDir::new(if here { Path::new(".") } else { &start });
        if !pattern.contains("**") {
            tree = tree.max_depth(components.len() - literal);
        }
        self.folders.push(start.clone());
        let before = self.files.len();
        self.descend(tree, |path| {
            let path = if here { path.strip_prefix(".").unwrap_or(path) } else { path };
            let below = path.strip_prefix(&start).unwrap_or(path);
            let passed_by = !names_hidden && below.iter().any(is_hidden);
            (!passed_by && matcher.is_match(path)).then(|| path.to_path_buf())
        });
        if self.files.len() == before {
            return Err(Error::new(Kind::NoFile, format!("no file matches `{pattern}`")));
        }
        Ok(())
    }

    fn descend(&mut self, tree: WalkDir, wanted: impl Fn(&Path) -> Option<PathBuf>) {
        let mut repositories = Vec::new();
        let enter = |entry: &DirEntry| {
            let is_git = entry.depth() > 0 && entry.file_name() == ".git";
            // The folder itself is asked about in any case.
            if is_git && entry.depth() > 1 {
                repositories.extend(entry.path().parent().map(Path::to_path_buf));
            }
            !is_git
        };
        for entry in tree.sort_by_file_name().into_iter().filter_entry(enter) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    let is_leftover = atomic::is_leftover(entry.path());
                    let found = if is_leftover { &mut self.leftovers } else { &mut self.files };
                    found.extend(wanted(entry.path()));
                }
                Ok(entry) if entry.depth() > 0 && entry.path_is_symlink() => {
                    self.links.extend(wanted(entry.path()));
                }
                Ok(_) => {}
                Err(error) => self.errors.push(unreadable(error)),
            }
        }
        self.repositories.append(&mut repositories);
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn unreadable(error: walkdir::Error) -> Error {
    let path = error.path().map(Path::to_path_buf);
    let cause = error
        .into_io_error()
        .map_or_else(|| "a link leads back to itself".to_owned(), |error| error.to_string());
    let unreadable = Error::new(Kind::Read, "this folder cannot be listed").caused_by(cause);
    match path {
        Some(path) => unreadable.in_file(path),
        None => unreadable,
    }
}
