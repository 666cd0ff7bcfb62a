//! In which encodings files of the working tree are, as Git's attributes say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::args::Input;
use crate::error::Result;
use crate::repo::check::Encoding;
use crate::repo::git::{Git, attributes, root_of};

const ATTRIBUTE: &str = "working-tree-encoding";

/// Those that are not as Git has them, by the paths of the inputs. Where Git does not answer, it re-encodes nothing.
pub fn of<'i>(inputs: &'i [Input], context: &Context) -> HashMap<&'i Path, Encoding> {
    let mut folders: HashMap<&Path, Vec<&Path>> = HashMap::new();
    for path in inputs.iter().filter_map(|input| input.path.as_deref()) {
        folders.entry(path.parent().unwrap_or(path)).or_default().push(path);
    }
    let mut repositories: HashMap<PathBuf, Vec<(PathBuf, &Path)>> = HashMap::new();
    for (folder, paths) in folders {
        let Ok(real) = Path::new(".").join(folder).canonicalize() else { continue };
        let Some(root) = root_of(&real) else { continue };
        let below = real.strip_prefix(root).unwrap_or(&real);
        let named = paths.into_iter().filter_map(|path| Some((below.join(path.file_name()?), path)));
        repositories.entry(root.to_path_buf()).or_default().extend(named);
    }
    let found = repositories.iter().filter_map(|(root, files)| of_repository(root, files, context).ok());
    found.flatten().collect()
}

fn of_repository<'i>(
    root: &Path,
    files: &[(PathBuf, &'i Path)],
    context: &Context,
) -> Result<Vec<(&'i Path, Encoding)>> {
    let git = Git::of(context.host, root)?;
    let by_name: HashMap<&Path, &Path> = files.iter().map(|(name, path)| (name.as_path(), *path)).collect();
    let names: Vec<&Path> = files.iter().map(|(name, _)| name.as_path()).collect();
    let values = attributes::values(&git, ATTRIBUTE, &names)?.into_iter();
    let encoding = |(name, value): (PathBuf, String)| {
        Some((*by_name.get(name.as_path())?, Encoding::of_attribute(&value)?))
    };
    Ok(values.filter_map(encoding).collect())
}
