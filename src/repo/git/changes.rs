//! Which files differ: staged from committed, one commit from another, the working tree from either.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::slice;

use crate::config::is_config;
use crate::error::{Error, Kind, Result};
use crate::hints;
use crate::os;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, configs, history, revision, sequence};
use crate::shown::typed;

/// Names alone, one for each path: whoever wants renamed content finds it under its new name. What a person has set for
/// `git diff` counts as little as their own programs for it.
const NAMES: [&str; 6] = ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv"];

/// The files that the next commit would add, change or delete.
pub fn staged(git: &Git) -> Result<Vec<PathBuf>> {
    // Where there is no commit yet, all that is staged.
    git.paths_of(NAMES.into_iter().chain(["--cached"]))
}

/// The sides of conflicts, and of those that were resolved since the last commit.
pub fn sides_of_conflicts(git: &Git) -> Result<Vec<(PathBuf, ObjectId)>> {
    let mut sides = Tree::versions_in(&git.run(["ls-files", "--unmerged", "-z"])?)?;
    sides.extend(resolved(git, Path::new(""))?);
    Ok(sides)
}

/// The sides of conflicts at a path, or below it, that were resolved since the last commit.
pub fn resolved(git: &Git, name: &Path) -> Result<Vec<(PathBuf, ObjectId)>> {
    let list = ["ls-files", "--resolve-undo", "-z", "--"].map(OsStr::new);
    let mut sides = Tree::versions_in(&git.run(list.into_iter().chain([Git::pathspec(name)]))?)?;
    // Git keeps them after the commit.
    if !sides.is_empty() && !sequence::may_be_under_way(git.host, git.top()) {
        let staged: BTreeSet<PathBuf> = staged(git)?.into_iter().collect();
        sides.retain(|(path, _)| staged.contains(path));
    }
    Ok(sides)
}

/// The files whose working tree is not what is staged.
pub fn unstaged(git: &Git) -> Result<BTreeSet<PathBuf>> {
    Ok(git.paths_of(NAMES)?.into_iter().collect())
}

/// The files that commits up to `to` have added, changed or deleted since they left `from`.
pub fn between(git: &Git, from: &str, to: &str) -> Result<Vec<PathBuf>> {
    let parting = Parting::of(git, from, to)?;
    let differ = |older: &str| {
        Ok(git.paths_of(NAMES.iter().chain(&[older, &parting.to, "--"]))?.into_iter().collect())
    };
    Ok(parting.changed(differ)?.into_iter().collect())
}

/// The files that differ from where HEAD has left another commit: in commits, staged, in the working tree, and new ones there.
pub fn since(git: &Git, parting: &Parting) -> Result<BTreeSet<PathBuf>> {
    parting.changed(|older| since_commit(git, older))
}

fn since_commit(git: &Git, older: &str) -> Result<BTreeSet<PathBuf>> {
    let mut changed = BTreeSet::new();
    for range in [&[older, "HEAD"][..], &["HEAD"], &["--cached", "HEAD"]] {
        changed.extend(git.paths_of(NAMES.iter().chain(range).chain(&["--"]))?);
    }
    changed.extend(git.paths_of(["ls-files", "-z", "--others", "--exclude-standard"])?);
    // Git does not look at these, though they are here.
    let is_here = |name: &PathBuf| git.top().join(name).symlink_metadata().is_ok();
    changed.extend(marked(git, |mark| mark != b'H')?.into_iter().filter(is_here));
    Ok(changed)
}

/// The files of HEAD that are in the working tree as they are there.
pub fn as_committed(git: &Git) -> Result<BTreeSet<PathBuf>> {
    let changed = since_commit(git, "HEAD")?;
    let tree = Tree::of_commit(git, "HEAD")?;
    let files =
        tree.iter().filter(|(name, entry)| matches!(entry, Entry::File(_)) && !changed.contains(*name));
    Ok(files.map(|(name, _)| name.clone()).collect())
}

/// Whether a commit is HEAD, or leads to it.
pub fn leads_to_head(git: &Git, commit: &str) -> Result<bool> {
    Ok(git.ask(["merge-base", "--is-ancestor", revision(commit)?, "HEAD"])?.code == Some(0))
}

/// What a change is about: files, and what is below the configs among them.
pub struct Changed {
    top: PathBuf,
    pub files: BTreeSet<PathBuf>,
    pub folders: BTreeSet<PathBuf>,
}

impl Changed {
    /// `folders` are those of [`folders_of_configs`].
    pub fn new(git: &Git, files: BTreeSet<PathBuf>, folders: BTreeSet<PathBuf>) -> Self {
        Self { top: git.top().to_path_buf(), files, folders }
    }

    /// Whether what is at a path may be another thing, or under another rule, than before. What is not of this repository was
    /// named by somebody.
    pub fn is_about(&self, path: &Path) -> bool {
        // A folder may have become a link, which has a name of its own.
        let is_changed = |name: &Path| {
            name.ancestors().any(|above| self.files.contains(above) || self.folders.contains(above))
        };
        path.strip_prefix(&self.top).map_or(true, is_changed)
    }
}

/// The files that need not be the same in the last commit, in the index and in the working tree: also those at which Git is
/// told not to look there, and all where objects stand for others, which Git then checks out.
pub fn apart(git: &Git) -> Result<BTreeSet<PathBuf>> {
    let mut apart = BTreeSet::new();
    if !git.run(["for-each-ref", "--count=1", "refs/replace/"])?.is_empty() {
        apart.extend(git.paths_of(["ls-files", "-z"])?);
        apart.extend(git.paths_of(["ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD"])?);
        return Ok(apart);
    }
    for range in [&[][..], &["HEAD"], &["--cached", "HEAD"]] {
        apart.extend(git.paths_of(NAMES.iter().chain(range).chain(&["--"]))?);
    }
    // Small letters are for what is assumed to be unchanged, and `S` for what is to be skipped.
    apart.extend(marked(git, |mark| mark != b'H')?);
    Ok(apart)
}

/// The files of the index that have such a mark.
fn marked(git: &Git, is_meant: impl Fn(u8) -> bool) -> Result<Vec<PathBuf>> {
    let listed = git.paths_of(["ls-files", "-z", "-v"])?.into_iter();
    let name = |line: PathBuf| match line.as_os_str().as_encoded_bytes() {
        [mark, b' ', name @ ..] if is_meant(*mark) => Some(PathBuf::from(os::name_of(name))),
        _ => None,
    };
    Ok(listed.filter_map(name).collect())
}

/// The folders of the configs among files that differ: what is below may be under other rules now. A config that is a link
/// differs with what it leads to. `tree` has the links, and `named` is a config that was asked for by name, from the top.
pub fn folders_of_configs<'p>(
    changed: impl IntoIterator<Item = &'p PathBuf>,
    tree: &Tree,
    named: Option<&Path>,
    blobs: &mut Blobs,
) -> Result<BTreeSet<PathBuf>> {
    let changed: BTreeSet<&Path> = changed.into_iter().map(PathBuf::as_path).collect();
    let parent = |path: &Path| path.parent().map(Path::to_path_buf);
    let mut folders: BTreeSet<PathBuf> =
        changed.iter().filter(|path| is_config(path)).filter_map(|path| parent(path)).collect();
    for (config, through) in configs::linked(tree, blobs)? {
        // What leads nowhere now may have gone with a folder that was a link.
        if through.iter().flat_map(|path| path.ancestors()).any(|path| changed.contains(path)) {
            folders.extend(parent(&config));
        }
    }
    if named.is_some_and(|named| changed.contains(named)) {
        folders.insert(PathBuf::new());
    }
    Ok(folders)
}

/// What Git ignores of the files below a folder, and folders that it ignores as a whole. Both are named from the top.
pub fn ignored(git: &Git, folder: &Path) -> Result<Vec<PathBuf>> {
    let args = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--"];
    git.paths_of(args.map(OsStr::new).into_iter().chain([Git::pathspec(folder)]))
}

/// The files of the index that a sparse checkout leaves out of the working tree.
pub fn not_checked_out(git: &Git) -> Result<Vec<PathBuf>> {
    marked(git, |mark| mark.eq_ignore_ascii_case(&b'S'))
}

/// The files below a folder that the last commit has. The index may be damaged or gone, and says nothing of them then.
pub fn committed(git: &Git, folder: &Path) -> Result<HashSet<PathBuf>> {
    let Some(head) = head(git)? else { return Ok(HashSet::new()) };
    let args = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", &head, "--"].map(OsStr::new);
    Ok(git.paths_of(args.into_iter().chain([Git::pathspec(folder)]))?.into_iter().collect())
}

/// Whether Git has a commit of this name.
pub fn is_commit(git: &Git, name: &str) -> bool {
    let name = revision(name).map(|name| format!("{name}^{{commit}}"));
    name.is_ok_and(|name| git.run(["rev-parse", "--quiet", "--verify", "--end-of-options", &name]).is_ok())
}

/// The files below a folder that are not as a commit has them, deleted ones too; in the working tree, or in the commit `to`.
pub fn from(git: &Git, commit: &str, to: Option<&str>, folder: &Path) -> Result<Vec<PathBuf>> {
    let (command, to) = match to {
        Some(to) => (["diff-tree", "-r"].as_slice(), Some(revision(to)?)),
        None => (["diff-index"].as_slice(), None),
    };
    let commits = [revision(commit)?].into_iter().chain(to);
    let args = NAMES.into_iter().skip(1).chain(commits).chain(["--"]);
    let args = command.iter().copied().chain(args).map(OsStr::new);
    let mut names = git.paths_of(args.chain([Git::pathspec(folder)]))?;
    // A file with a conflict is named twice.
    names.dedup();
    Ok(names)
}

/// Whether a commit has a folder of this name.
pub fn has_folder(git: &Git, commit: &str, name: &Path) -> Result<bool> {
    let args = ["ls-tree", "-d", "-z", "--name-only", "--full-tree", revision(commit)?, "--"].map(OsStr::new);
    Ok(!git.paths_of(args.into_iter().chain([name.as_os_str()]))?.is_empty())
}

/// Which of these files, named from the top folder, Git neither has in its index nor is told to ignore.
pub fn untracked(git: &Git, files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let args = ["ls-files", "-z", "--others", "--exclude-standard", "--"].map(OsStr::new);
    git.paths_of(args.into_iter().chain(files.iter().map(|file| file.as_os_str())))
}

/// The commit that HEAD is, if there is one yet.
pub fn head(git: &Git) -> Result<Option<String>> {
    let answer = git.ask(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
    Ok((answer.code == Some(0)).then(|| name_in(&answer.stdout)))
}

/// The same.
pub fn head_id(git: &Git) -> Result<Option<ObjectId>> {
    Ok(head(git)?.and_then(|head| ObjectId::parse(head.as_bytes())))
}

/// The most commits at which two may have parted, each of which costs as much as a look at all files.
const MOST_FORKS: usize = 16;

/// Where two commits have parted. That may be at several, once each was merged into the other: none of these is the one that
/// counts, and dates, by which Git would take one, are anybody's to write.
pub struct Parting {
    from: String,
    to: String,
    /// The last that both have; none where they have nothing in common.
    forks: Vec<String>,
}

impl Parting {
    pub fn of(git: &Git, from: &str, to: &str) -> Result<Self> {
        let id = |name: &str| {
            let commit = format!("{}^{{commit}}", unambiguous(git, name)?);
            Ok(name_in(&git.run(["rev-parse", "--verify", &commit])?))
        };
        let names = format!("`{from}` and `{to}`");
        let (from, to): (String, String) = (id(from)?, id(to)?);
        let args = ["merge-base", "--all", &from, &to];
        let answer = git.ask(args)?;
        let forks: Vec<String> = match answer.code {
            Some(0) => String::from_utf8_lossy(&answer.stdout).lines().map(str::to_owned).collect(),
            Some(1) => Vec::new(),
            _ => return Err(answer.into_error(&args)),
        };
        if forks.len() > MOST_FORKS {
            let message =
                format!("these diverged at more than {MOST_FORKS} commits, too many to compare with");
            return Err(Error::new(Kind::Read, message).advise(format!("Merge first: `git merge {from}`.")));
        }
        if is_cut(git, [&from, &to], &forks)? {
            let message =
                format!("{names} may have diverged at a commit that this shallow clone does not have");
            return Err(Error::new(Kind::Read, message).advise(format!("{HOW_TO_FETCH}.")));
        }
        Ok(Self { from, to, forks })
    }

    /// The commits with which the change is compared. Histories that have nothing in common are compared as they are.
    pub fn before(&self) -> &[String] {
        if self.forks.is_empty() { slice::from_ref(&self.from) } else { &self.forks }
    }

    /// What differs from one of these commits, and of several also from the other side: what is the same on both sides no merge
    /// of them changes.
    fn changed(&self, differ: impl Fn(&str) -> Result<BTreeSet<PathBuf>>) -> Result<BTreeSet<PathBuf>> {
        let mut changed = BTreeSet::new();
        for fork in self.before() {
            changed.extend(differ(fork)?);
        }
        if self.forks.len() > 1 {
            let differing = differ(&self.from)?;
            changed.retain(|path| differing.contains(path));
        }
        Ok(changed)
    }
}

/// Whether a shallow clone ends between these commits and where they have parted: at a commit without parents here that has
/// some in what was pushed. Then another way may lead to a later fork, which is the one that counts.
fn is_cut(git: &Git, commits: [&str; 2], forks: &[String]) -> Result<bool> {
    if !history::is_shallow(git)? {
        return Ok(false);
    }
    // The raw text of a commit names the parents that it was made with. Whatever charset it says it is in, it is not touched.
    let args = ["rev-list", "--max-parents=0", "--pretty=raw", "--encoding=none"].into_iter().chain(commits);
    let forks = ["--not"].into_iter().chain(forks.iter().map(String::as_str)).chain(["--"]);
    let firsts = git.run(args.chain(forks))?;
    Ok(firsts.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"parent ")))
}

/// The name of a commit, if it is that of one thing alone. Git would take a tag for the branch or the commit that was meant,
/// and anybody can push a tag, or a branch of such a name.
fn unambiguous<'n>(git: &Git, name: &'n str) -> Result<&'n str> {
    let name = revision(name)?;
    let end = [name.find(['~', '^', ':']), name.find("@{")].into_iter().flatten().min().unwrap_or(name.len());
    let (stem, steps) = name.split_at(end);
    let named = |folder| format!("{folder}{stem}");
    let mut full = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"].map(named).to_vec();
    full.push(format!("refs/remotes/{stem}/HEAD"));
    let listed = git.run(["for-each-ref", "--format=%(refname)"])?;
    let is_one = |line: &&str| full.iter().any(|full| full == line);
    let text = String::from_utf8_lossy(&listed);
    let refs: Vec<&str> = text.lines().filter(is_one).collect();
    let may_be_id = stem.len() >= SHORTEST_ID && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    let others = usize::from(may_be_id);
    let Some(last) = refs.last().filter(|_| refs.len() + others > 1) else { return Ok(name) };
    let id = if may_be_id { ", and may be the id of a commit" } else { "" };
    let message = format!("`{stem}` is the name of several: {}{id}", refs.join(", "));
    Err(Error::new(Kind::Read, message)
        .advise(format!("Say which one is meant by its full name, such as `{last}{steps}`.")))
}

/// The fewest digits by which Git takes a text for the id of a commit (`MINIMUM_ABBREV` of Git).
const SHORTEST_ID: usize = 4;

fn name_in(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

const HOW_TO_FETCH: &str = "CI clones often contain only the latest commits. Fetch the others: `git fetch --unshallow`, in \
                            GitHub `fetch-depth: 0`, in GitLab `GIT_DEPTH: 0`";

/// Where HEAD and `base` have parted; an error where that is not known.
pub fn fork(git: &Git, base: &str) -> Result<Parting> {
    let base = unambiguous(git, base)?;
    let is_known = |name: &str| {
        let commit = format!("{name}^{{commit}}");
        Ok::<_, Error>(git.ask(["rev-parse", "--verify", "--quiet", &commit])?.code == Some(0))
    };
    if !is_known(base)? {
        let error = Error::new(Kind::Read, format!("there is no commit `{base}` in this clone"));
        let known = git.run(["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes"])?;
        let known = String::from_utf8_lossy(&known);
        if let Some(meant) = hints::misspelt(base, known.lines()) {
            return Err(error.advise(format!("Did you mean the branch `{meant}`?")));
        }
        // A clone of one branch makes no other one of what it fetches by its name alone.
        let (remote, refspec) = match base.split_once('/') {
            Some((remote, branch)) => (remote, format!("{branch}:refs/remotes/{base}")),
            None => ("origin", format!("{base}:{base}")),
        };
        let (remote, refspec) = (typed(remote.as_ref()), typed(refspec.as_ref()));
        return Err(
            error.advise(format!("correct the name, or `git fetch {remote} {refspec}`. And {HOW_TO_FETCH}."))
        );
    }
    if !is_known("HEAD")? {
        return Err(Error::new(Kind::Read, "there is no commit yet to compare with")
            .advise("Remove --base to check all files."));
    }
    let parting = Parting::of(git, base, "HEAD")?;
    if !parting.forks.is_empty() {
        return Ok(parting);
    }
    let message = format!("HEAD and `{base}` have no commit in common");
    Err(Error::new(Kind::Read, message).advise("Name the branch that HEAD comes from."))
}
