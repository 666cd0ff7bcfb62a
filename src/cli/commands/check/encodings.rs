//! In which encodings files of the working tree are, as Git's attributes say.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cli::args::Input;
use crate::cli::context::Context;
use crate::config::is_config;
use crate::error::Result;
use crate::fs;
use crate::os;
use crate::repo::check::Encoding;
use crate::repo::git::attributes::{self, Said};
use crate::repo::git::{Git, root_of};

const ENCODING: &str = "working-tree-encoding";
const IDENT: &str = "ident";
const FILTER: &str = "filter";

/// The longest file of attributes that is looked at, in bytes. Git ignores longer ones (`ATTR_MAX_FILE_SIZE` in its attr.h).
const MOST_BYTES: u64 = 100 << 20;

/// Those that are not as Git has them, by the paths of the inputs.
pub fn of<'i>(inputs: &'i [Input], context: &Context) -> HashMap<&'i Path, Vec<Encoding>> {
    let mut folders: HashMap<&Path, Vec<&Path>> = HashMap::new();
    for path in inputs.iter().filter_map(|input| input.path.as_deref()) {
        folders.entry(path.parent().unwrap_or(path)).or_default().push(path);
    }
    let mut encodings: HashMap<&Path, Vec<Encoding>> = HashMap::new();
    let mut repositories: HashMap<PathBuf, Vec<(PathBuf, &Path)>> = HashMap::new();
    for (folder, paths) in folders {
        let Ok(real) = os::real_path(Path::new(".").join(folder)) else {
            // Its path may be too long to resolve, and Git may have its files in another encoding all the same.
            encodings.extend(paths.into_iter().map(|path| (path, vec![Encoding::Unknown])));
            continue;
        };
        let Some(root) = root_of(&real) else { continue };
        let below = real.strip_prefix(root).unwrap_or(&real);
        let named = paths.into_iter().filter_map(|path| Some((below.join(path.file_name()?), path)));
        repositories.entry(root.to_path_buf()).or_default().extend(named);
    }
    for (root, files) in &repositories {
        let found = of_repository(root, files, context).unwrap_or_else(|_| unanswered(root, files));
        for (path, encoding) in found {
            let of_file = encodings.entry(path).or_default();
            if !of_file.contains(&encoding) {
                of_file.push(encoding);
            }
        }
    }
    encodings
}

fn of_repository<'i>(
    root: &Path,
    files: &[(PathBuf, &'i Path)],
    context: &Context,
) -> Result<Vec<(&'i Path, Encoding)>> {
    let git = Git::of(context.host, root)?;
    let by_name: HashMap<&Path, &Path> = files.iter().map(|(name, path)| (name.as_path(), *path)).collect();
    let names: Vec<&Path> = files.iter().map(|(name, _)| name.as_path()).collect();
    let encoding = |said: Said| {
        let encoding = match (&said.attribute[..], &said.value[..]) {
            (IDENT, "unset") => None,
            (IDENT, _) => Some(Encoding::Ident),
            // Without a name it is no filter.
            (FILTER, "set" | "unset") => None,
            (FILTER, name) => {
                Some(Encoding::Filtered { name: name.to_owned(), is_config: is_config(&said.file) })
            }
            (_, value) => Encoding::of_attribute(value),
        };
        Some((*by_name.get(said.file.as_path())?, encoding?))
    };
    Ok(attributes::said(&git, &[ENCODING, IDENT, FILTER], &names)?.into_iter().filter_map(encoding).collect())
}

/// Where Git does not answer: all files are unknown if any attributes may speak of encodings.
fn unanswered<'i>(root: &Path, files: &[(PathBuf, &'i Path)]) -> Vec<(&'i Path, Encoding)> {
    let folders: HashSet<&Path> = files.iter().flat_map(|(name, _)| name.ancestors().skip(1)).collect();
    let mut places = folders.into_iter().map(|folder| root.join(folder).join(".gitattributes"));
    if !may_speak_of_them(&root.join(".git/info/attributes"))
        && !places.any(|place| may_speak_of_them(&place))
    {
        return Vec::new();
    }
    files.iter().map(|(_, path)| (*path, Encoding::Unknown)).collect()
}

fn may_speak_of_them(attributes: &Path) -> bool {
    let text = match fs::read_found(attributes, MOST_BYTES) {
        Ok(text) => text,
        Err(_) => return attributes.symlink_metadata().is_ok(),
    };
    match std::str::from_utf8(&text) {
        // A text in UTF-16 or UTF-32 is UTF-8, too, but for the zeros.
        Ok(text) => text.contains('\0') || words(text).any(|word| [ENCODING, IDENT].contains(&word)),
        Err(_) => true,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).map(|word| word.trim_start_matches('-'))
}
