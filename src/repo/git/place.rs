//! Which repository a folder belongs to, and which environment Git gets when we ask about it.
//!
//! Owns that the answer never comes from the content of a repository. Git takes a folder that looks like a bare
//! repository for one, and files can look so. Here the top of the working tree is the folder that has `.git`, which no
//! commit can hold, or what the person's environment says; Git is asked there, and has to answer for that place.
//! `.git` itself is believed, as a folder and as a file that leads to one: it is the person's, as it is to Git.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::Git;
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::os;

/// Variables that tell Git about one repository. A hook has some of them. They say nothing about other repositories.
const ABOUT_ONE: [&str; 14] = [
    GIT_DIR,
    GIT_WORK_TREE,
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_PREFIX",
];
const GIT_DIR: &str = "GIT_DIR";
const GIT_WORK_TREE: &str = "GIT_WORK_TREE";

/// Where a repository keeps what it knows of each linked working tree.
const WORKTREES: &str = "worktrees";

/// Where it keeps the repositories of submodules.
const MODULES: &str = "modules";

/// The most that a `.git` file may hold.
const LINK_LIMIT: u64 = 64 << 10;

/// What Git opens in the folder of a repository before it answers anything, and at the top of a working tree.
const OPENED: [&str; 13] = [
    "HEAD",
    "commondir",
    "config",
    "config.worktree",
    "index",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "info/sparse-checkout",
    "objects/info/alternates",
    "packed-refs",
    "shallow",
    "gitdir",
];

/// Why there is no Git to ask about a folder that is in a repository.
#[derive(Debug)]
pub enum NoGit {
    /// Git fails, for example because the repository belongs to somebody else.
    Fails(Error),
    /// Git would answer for a place other than the one we asked about.
    Elsewhere(Error),
}

impl NoGit {
    pub fn into_error(self) -> Error {
        match self {
            Self::Fails(error) | Self::Elsewhere(error) => error,
        }
    }
}

/// Where Git is started, and what it is told there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The real path of the top of the working tree, or where there is not one of a folder that is in no repository.
    pub top: PathBuf,
    /// Variables that it gets instead of ours.
    pub env: Vec<(OsString, OsString)>,
    /// Variables of ours that it does not get.
    pub unset: Vec<OsString>,
}

impl Place {
    /// Where the objects of the repository are, and what belongs to them.
    pub fn common_dir(&self) -> PathBuf {
        self.git_dir().as_deref().map(common_dir_of).unwrap_or_default()
    }

    fn git_dir(&self) -> Option<PathBuf> {
        let named = self.env.iter().find(|(name, _)| name == GIT_DIR).map(|(_, value)| PathBuf::from(value));
        named.or_else(|| git_dir_of(&self.top).ok())
    }

    /// Where Git keeps what is under way, in this working tree and in all others of the repository.
    pub fn git_dirs(&self) -> Result<Vec<PathBuf>> {
        let common = self.common_dir();
        let linked = fs::folders_in(&common.join(WORKTREES))?;
        Ok(self.git_dir().into_iter().chain([common]).chain(linked).collect())
    }

    /// No repository at all, whatever the folder is that we are in.
    pub fn nowhere() -> Self {
        Self { env: vec![(GIT_DIR.into(), "/dev/null".into())], ..Self::strange("/".into()) }
    }

    /// A repository without a working tree. Git's config there may still say where one was.
    pub fn kept(git_dir: &Path) -> Result<Self> {
        let git_dir = real(git_dir)?;
        refuse_special(&git_dir, &git_dir)?;
        let env = [GIT_DIR, GIT_WORK_TREE].map(|name| (name.into(), git_dir.clone().into_os_string()));
        Ok(Self { env: env.to_vec(), ..Self::strange(git_dir) })
    }

    /// One that the environment says nothing about.
    fn strange(top: PathBuf) -> Self {
        Self { top, env: Vec::new(), unset: ABOUT_ONE.map(OsString::from).to_vec() }
    }

    /// One that the environment may say more about, such as which index is meant.
    fn ours(top: PathBuf) -> Self {
        Self { top, env: Vec::new(), unset: Vec::new() }
    }

    /// The place of the working tree that contains a folder; `None` outside of any.
    pub fn of(host: &dyn Host, folder: &Path) -> Result<Option<Self>, NoGit> {
        let folder = real(folder).map_err(NoGit::Fails)?;
        let here = real(Path::new(".")).map_err(NoGit::Fails)?;
        let own = root_of(&folder);
        let told = match told(host, &here) {
            // As in a hook of a bare repository that somebody pushes to: the variable is not about this folder.
            Err(_) if own.is_some() && own != root_of(&here) => None,
            told => told?,
        };
        if let Some(told) = told {
            // A repository within it is another one.
            let is_within = own.is_some_and(|own| own != told.top && own.starts_with(&told.top));
            if folder.starts_with(&told.top) && !is_within {
                return Ok(Some(told));
            }
            return own.map(|own| verified(host, Self::strange(own.to_path_buf()))).transpose();
        }
        let Some(own) = own else { return Ok(None) };
        let place = match root_of(&here) == Some(own) {
            true => Self::ours(own.to_path_buf()),
            false => Self::strange(own.to_path_buf()),
        };
        verified(host, place).map(Some)
    }
}

/// The topmost folder of the working tree in which a folder is.
pub fn root_of(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|above| above.join(".git").exists())
}

/// The top of the working tree that the environment names, which may have no `.git`.
pub fn named_top(host: &dyn Host) -> Option<PathBuf> {
    let git = is_named(host).then(|| Git::of(host, Path::new(".")).ok()).flatten()?;
    real(git.top()).ok()
}

/// Whether two working trees, by their real paths, are of one repository, so that each file of one is the same file in the other.
pub fn are_of_one_repository(one: &Path, other: &Path) -> bool {
    repository_of(one).is_some_and(|repository| repository_of(other) == Some(repository))
}

/// The repository that knows a working tree, by its real path, as its own. An archive can bring a `.git` file that names any
/// repository, so that one has to say the same: then nothing is hidden by such a file.
pub fn repository_of(top: &Path) -> Option<PathBuf> {
    let git_dir = git_dir_of(top).ok()?;
    let common = os::real_path(common_dir_of(&git_dir)).ok()?;
    let knows = match git_dir == common {
        true => main_tree_of(&common).as_deref() == Some(top),
        false => {
            git_dir.parent()? == common.join(WORKTREES) && linked_tree_of(&git_dir).as_deref() == Some(top)
        }
    };
    knows.then_some(common)
}

/// The working trees of a repository, by their real paths, the main one first.
pub fn trees_of(repository: &Path) -> Result<Vec<PathBuf>> {
    let linked = fs::folders_in(&repository.join(WORKTREES))?;
    let linked = linked.iter().filter_map(|git_dir| linked_tree_of(git_dir));
    let trees = main_tree_of(repository).into_iter().chain(linked);
    Ok(trees.filter(|tree| repository_of(tree).as_deref() == Some(repository)).collect())
}

/// The main working tree, as a repository knows it: Git tells that of a submodule where its working tree is.
fn main_tree_of(repository: &Path) -> Option<PathBuf> {
    let told = ["config.worktree", "config"].iter().find_map(|name| {
        let text = fs::read_found(&repository.join(name), LINK_LIMIT).ok()?;
        setting(&String::from_utf8_lossy(&text), "core", "worktree").map(PathBuf::from)
    });
    match told {
        Some(told) => os::real_path(repository.join(told)).ok(),
        None => repository.parent().map(Path::to_path_buf),
    }
}

/// A linked working tree, by the folder that its repository keeps for it.
fn linked_tree_of(git_dir: &Path) -> Option<PathBuf> {
    let text = fs::read_found(&git_dir.join("gitdir"), LINK_LIMIT).ok()?;
    let link = os::real_path(git_dir.join(os::name_of(text.trim_ascii_end()))).ok()?;
    Some(link.parent()?.to_path_buf())
}

/// A setting as Git itself writes it. Starting Git for each folder with a `.git` would take longer than all else; a setting that
/// somebody spelled in another way is not seen, and then a working tree counts as one of another repository.
fn setting(config: &str, section: &str, name: &str) -> Option<String> {
    let mut is_within = false;
    let mut found = None;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            is_within = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) == Some(section);
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_within)
            && key.trim_end() == name
        {
            found = Some(value.trim_start().trim_matches('"').to_owned());
        }
    }
    found
}

/// Whether a `.git` is left from where a submodule was: Git moves its working tree, and keeps what it cannot take away. What the
/// repository has is told by the tree that it knows.
pub fn is_left_over(top: &Path) -> bool {
    let Some(git_dir) =
        git_dir_of(top).ok().filter(|git_dir| git_dir.join("commondir").symlink_metadata().is_err())
    else {
        return false;
    };
    main_tree_of(&git_dir).is_some_and(|tree| tree != top && repository_of(&tree).as_ref() == Some(&git_dir))
}

/// What Git calls a submodule of a working tree, if it keeps the repository of that; each working tree has one of that name.
pub fn submodule_name(top: &Path, tree: &Path) -> Option<PathBuf> {
    let git_dir = git_dir_of(top).ok()?;
    let own = git_dir_of(tree).ok()?;
    let common = os::real_path(common_dir_of(&own)).ok()?;
    let name = [own, common].iter().find_map(|kept| git_dir.strip_prefix(kept.join(MODULES)).ok())?;
    Some(name.to_path_buf())
}

/// The repositories of submodules that a repository keeps, but for those of which one of these is a working tree.
pub fn kept_without_tree(repository: &Path, trees: &BTreeSet<&PathBuf>) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    let linked = fs::folders_in(&repository.join(WORKTREES))?;
    for git_dir in [repository.to_path_buf()].iter().chain(&linked) {
        add_kept(&git_dir.join(MODULES), &mut kept)?;
    }
    let mut found = Vec::new();
    for git_dir in kept.iter().filter_map(|git_dir| os::real_path(git_dir).ok()) {
        if !trees_of(&git_dir)?.iter().any(|tree| trees.contains(tree)) {
            found.push(git_dir);
        }
    }
    Ok(found)
}

/// A submodule may be called as a path is, and another one as what is below that; each may have submodules of its own.
fn add_kept(folder: &Path, kept: &mut Vec<PathBuf>) -> Result<()> {
    for below in fs::folders_in(folder)? {
        if below.join("HEAD").is_file() && below.join("objects").is_dir() {
            add_kept(&below.join(MODULES), kept)?;
            kept.push(below);
        } else {
            add_kept(&below, kept)?;
        }
    }
    Ok(())
}

/// Whether Git keeps what a working tree is of within another repository, as it does for a submodule. The tree says so.
pub fn is_kept_in(top: &Path, repository: &Path) -> bool {
    let git_dir = git_dir_of(top).ok().and_then(|git_dir| os::real_path(git_dir).ok());
    git_dir.is_some_and(|git_dir| git_dir.starts_with(repository))
}

/// Whether the environment names a repository or a working tree.
pub(super) fn is_named(host: &dyn Host) -> bool {
    [GIT_DIR, GIT_WORK_TREE].iter().any(|name| host.env(name).is_some())
}

/// The real path of a folder. Parts of it that no longer exist keep their names below those that do.
pub(super) fn real(folder: &Path) -> Result<PathBuf> {
    let cannot = |error| Error::new(Kind::NoFile, "cannot be looked at").in_file(folder).caused_by(error);
    let here = Path::new(".").join(folder);
    for above in here.ancestors() {
        match os::real_path(above) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            real => {
                let gone = here.strip_prefix(above).unwrap_or(Path::new("")).components();
                return Ok(real.map_err(cannot)?.components().chain(gone).collect());
            }
        }
    }
    Err(cannot(io::ErrorKind::NotFound.into()))
}

/// The place that the environment names, if it does.
fn told(host: &dyn Host, here: &Path) -> Result<Option<Place>, NoGit> {
    let path_of = |name: &str| host.env(name).map(|path| here.join(path));
    let (git_dir, work_tree) = (path_of(GIT_DIR), path_of(GIT_WORK_TREE));
    let work_tree = work_tree.map(|path| (GIT_WORK_TREE.into(), path.into_os_string()));
    let mut place = match (git_dir, &work_tree) {
        (None, None) => return Ok(None),
        // Without a working tree that is named it is the folder in which one is.
        (Some(git_dir), _) => {
            let env = vec![(GIT_DIR.into(), git_dir.into_os_string())];
            Place { env, ..Place::ours(here.to_path_buf()) }
        }
        (None, Some(_)) => match root_of(here) {
            Some(own) => Place::ours(own.to_path_buf()),
            None => return Ok(None),
        },
    };
    place.env.extend(work_tree);
    let Answer { top, git_dir } = ask(host, &place)?;
    place.env = vec![
        (GIT_DIR.into(), git_dir.into_os_string()),
        (GIT_WORK_TREE.into(), top.clone().into_os_string()),
    ];
    Ok(Some(Place { top, ..place }))
}

/// The place, once Git has answered for exactly that one.
fn verified(host: &dyn Host, place: Place) -> Result<Place, NoGit> {
    let said = git_dir_of(&place.top)?;
    refuse_special(&place.top, &said).map_err(NoGit::Fails)?;
    let Answer { top, git_dir } = ask(host, &place)?;
    let elsewhere = |what: &str, other: &Path| {
        let message = format!("Git answers for another {what}, {}", other.display());
        let advice = "`git rev-parse --show-toplevel --absolute-git-dir` there says the same. Fix core.worktree, or \
                      what `.git` contains: until then Sealant cannot tell which files Git has and ignores.";
        NoGit::Elsewhere(Error::new(Kind::Read, message).in_file(place.top.join(".git")).advise(advice))
    };
    if top != place.top {
        return Err(elsewhere("working tree", &top));
    }
    match os::real_path(&git_dir).is_ok_and(|real| real == said) {
        true => Ok(place),
        false => Err(elsewhere("repository", &git_dir)),
    }
}

/// Where a Git directory has what it shares with other working trees: itself, mostly.
fn common_dir_of(git_dir: &Path) -> PathBuf {
    match fs::read_found(&git_dir.join("commondir"), LINK_LIMIT) {
        Ok(text) => git_dir.join(os::name_of(text.trim_ascii_end())),
        Err(_) => git_dir.to_path_buf(),
    }
}

/// Refuses a repository in which Git would open a pipe or a device, and wait for it.
fn refuse_special(top: &Path, git_dir: &Path) -> Result<()> {
    let mut folders = vec![git_dir.to_path_buf()];
    let common = git_dir.join("commondir");
    if common.symlink_metadata().is_ok() {
        let text = fs::read_found(&common, LINK_LIMIT)?;
        folders.push(git_dir.join(os::name_of(text.trim_ascii_end())));
    }
    let opened = folders.iter().flat_map(|folder| OPENED.map(|name| folder.join(name)));
    // Git follows no links at the top of the working tree, and reads nothing where one leads to nothing.
    let of_top = super::READ_BY_GIT.map(|name| top.join(name)).into_iter().filter(|path| !path.is_symlink());
    let is_nothing = |path: &PathBuf| os::real_path(path).is_ok_and(|real| real == Path::new("/dev/null"));
    opened.chain(of_top).filter(|path| !is_nothing(path)).try_for_each(|path| fs::refuse_special(&path))
}

/// Where the repository of a working tree is, by its `.git`: a folder, or a file that names one.
pub(super) fn git_dir_of(top: &Path) -> Result<PathBuf, NoGit> {
    let path = top.join(".git");
    let not_one = || {
        let message = "is neither a Git repository nor a file that points to one";
        NoGit::Fails(Error::new(Kind::Read, message).in_file(&path))
    };
    let folder = match path.metadata() {
        Ok(found) if found.is_dir() => path.clone(),
        Ok(found) if found.is_file() => {
            let text = fs::read_found(&path, LINK_LIMIT).map_err(NoGit::Fails)?;
            let named = text.strip_prefix(b"gitdir: ").ok_or_else(not_one)?;
            let end = named.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
            top.join(os::name_of(&named[..end]))
        }
        _ => return Err(not_one()),
    };
    // What has no HEAD, Git skips on its way up.
    let is_one = folder.join("HEAD").symlink_metadata().is_ok();
    os::real_path(folder).ok().filter(|_| is_one).ok_or_else(not_one)
}

struct Answer {
    top: PathBuf,
    git_dir: PathBuf,
}

fn ask(host: &dyn Host, place: &Place) -> Result<Answer, NoGit> {
    let git = Git::at(host, place.clone());
    let path = |question| -> Result<PathBuf> {
        let mut answer = git.run(["rev-parse", question])?;
        let bytes = std::mem::take(&mut *answer);
        let end = bytes.len() - usize::from(bytes.ends_with(b"\n"));
        Ok(place.top.join(os::name_of(&bytes[..end])))
    };
    let answer =
        path("--show-toplevel").and_then(|top| Ok(Answer { top, git_dir: path("--absolute-git-dir")? }));
    answer.map_err(NoGit::Fails)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests make the files that they look at")]

    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_working_tree_is_of_the_repository_that_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let repository = |path: &str| {
            create_dir_all(at.join(path)).unwrap();
            write(at.join(path).join("HEAD"), "").unwrap();
        };
        let linked = |common: &str, name: &str, top: &str| {
            let git_dir = at.join(common).join("worktrees").join(name);
            create_dir_all(&git_dir).unwrap();
            create_dir_all(at.join(top)).unwrap();
            write(git_dir.join("HEAD"), "").unwrap();
            write(git_dir.join("commondir"), "../..\n").unwrap();
            write(git_dir.join("gitdir"), format!("{}\n", at.join(top).join(".git").display())).unwrap();
            write(at.join(top).join(".git"), format!("gitdir: {}\n", git_dir.display())).unwrap();
        };
        repository("a/.git");
        linked("a/.git", "f", "a/.worktrees/f");
        linked("a/.git", "g", "g");
        repository("bare/.bare");
        write(at.join("bare/.git"), "gitdir: ./.bare\n").unwrap();
        linked("bare/.bare", "main", "bare/main");
        // Paths may be relative to where they are.
        linked("bare/.bare", "feat", "bare/feat");
        write(at.join("bare/.bare/worktrees/feat/gitdir"), "../../../feat/.git\n").unwrap();
        repository("a/clone/.git");
        for (forged, names) in
            [("main", "../.git"), ("linked", "../.git/worktrees/f"), ("own", "made"), ("gone", "nowhere")]
        {
            create_dir_all(at.join("a").join(forged)).unwrap();
            write(at.join("a").join(forged).join(".git"), format!("gitdir: {names}\n")).unwrap();
        }
        create_dir_all(at.join("a/link")).unwrap();
        symlink(at.join("a/.worktrees/f/.git"), at.join("a/link/.git")).unwrap();
        // One that says itself that it is a working tree of ours.
        repository("a/own/made");
        write(at.join("a/own/made/commondir"), "../../.git\n").unwrap();
        write(at.join("a/own/made/gitdir"), at.join("a/own/.git").display().to_string()).unwrap();

        let is_one = |one: &str, other: &str| {
            let is_one = are_of_one_repository(&at.join(one), &at.join(other));
            assert_eq!(is_one, are_of_one_repository(&at.join(other), &at.join(one)), "{one} {other}");
            is_one
        };
        for (one, other) in [
            ("a", "a/.worktrees/f"),
            ("a", "g"),
            ("g", "a/.worktrees/f"),
            ("bare", "bare/main"),
            ("bare/main", "bare/feat"),
        ] {
            assert!(is_one(one, other), "{one} {other}");
        }
        for other in ["a/clone", "a/main", "a/linked", "a/own", "a/gone", "a/link", "bare", "bare/main"] {
            assert!(!is_one("a", other), "{other}");
            assert!(!is_one("a/.worktrees/f", other), "{other}");
        }
    }
}
