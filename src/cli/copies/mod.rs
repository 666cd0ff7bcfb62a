//! The encrypted files of the repository that one is in, as far as they may be copies of one another.

mod past;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::cli::context::Context;
use crate::config::{Configs, Policy};
use crate::document::{self, Format, MAX_SOURCE};
use crate::encrypted_file::{EncryptedFile, format_in, meant};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::keys::KeySet;
use crate::policy;
use crate::repo::copies::{Copies, Held, Named, held, is_for_same};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::merge::Versions;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::{Git, changes, root_of};
use crate::secret::{DataKey, SecretBytes};
use crate::shown::typed;
use crate::{repo, sops};
use past::{PastRule, Version, Wanted};

/// Which versions out of the history count: a file may have been elsewhere before.
enum Past {
    /// Where a creation rule names readers today. Where none does, a file's own list is
    /// older than whoever came since.
    Ruled,
    /// All, of this file, which Git merges.
    All(PathBuf),
}

/// The files of the repositories in which some files are, read when they are first asked for.
pub(super) struct Neighbours<'a> {
    context: &'a Context<'a>,
    configs: Configs,
    tops: BTreeSet<PathBuf>,
    /// What is no neighbour, though it is there.
    left_out: Vec<PathBuf>,
    past: Past,
    /// The tops of the repositories with the files.
    roots: BTreeSet<PathBuf>,
    copies: OnceLock<Copies>,
}

impl<'a> Neighbours<'a> {
    /// Those of these files.
    pub fn of<'p>(context: &'a Context<'a>, files: impl IntoIterator<Item = &'p Path>) -> Result<Self> {
        let working_dir = real(&context.lookup()?.working_dir);
        let folders = folders_of(&working_dir, files);
        let roots = folders.iter().flat_map(|folder| roots_of(folder, context)).map(Path::to_path_buf);
        Ok(Self {
            context,
            configs: context.configs()?,
            past: Past::Ruled,
            roots: roots.collect(),
            tops: tops(context, working_dir, folders),
            left_out: Vec::new(),
            copies: OnceLock::new(),
        })
    }

    /// Reads the files, in parallel: before other work in parallel asks for them.
    pub fn load(&self) -> Result<&Copies> {
        if let Some(copies) = self.copies.get() {
            return Ok(copies);
        }
        let mut copies = Copies::default();
        let files = files_below(&self.tops);
        let is_one = is_one_readership(&files, &self.configs);
        add_files(files, &self.left_out, &mut copies, &self.configs, self.context)?;
        add_absent(&self.tops, &mut copies, &self.configs, self.context);
        if !self.context.is_sops() {
            self.add_past(&mut copies, is_one)?;
        }
        Ok(self.copies.get_or_init(|| copies))
    }

    fn add_past(&self, copies: &mut Copies, is_one: bool) -> Result<()> {
        let configs = [Some(&self.configs), None];
        let (mut roots, mut wanted) = (self.roots.clone(), Wanted::Ruled);
        if let Past::All(file) = &self.past {
            wanted = Wanted::All;
            match Git::of_file(self.context.host, file) {
                Ok((git, _)) => {
                    past::add(copies, &git, configs, wanted, is_one, self.context)?;
                    roots.remove(git.top());
                }
                Err(_) if is_one => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        for root in roots {
            // Where Git does not answer, there is no history.
            let Ok(git) = Git::of(self.context.host, &root) else { continue };
            past::add(copies, &git, configs, wanted, is_one, self.context)?;
        }
        Ok(())
    }

    /// Refuses to wrap a data key for `keys` where a file elsewhere, which shares it or a value, is not for all of them. By
    /// the name of sops nothing is refused.
    pub fn refuse(&self, path: &Path, file: &EncryptedFile, keys: &KeySet) -> Result<()> {
        if self.context.is_sops() {
            return Ok(());
        }
        let copies = self.load()?;
        let rule = rule_of(path, &self.configs);
        copies
            .refuse(&real(path), &held(file, rule.as_ref()), keys)
            .map_err(|error| error.advise(part_them(path)).in_file(path))
    }

    /// The same for a document whose data key is open: it may be that of a file elsewhere, and wrapped in another way.
    pub fn refuse_key(&self, path: &Path, data_key: &DataKey, keys: &KeySet) -> Result<()> {
        if self.context.is_sops() {
            return Ok(());
        }
        let (copies, rule) = (self.load()?, rule_of(path, &self.configs));
        copies
            .refuse_key(&real(path), data_key, rule.as_ref(), keys)
            .map_err(|error| error.advise(part_them(path)))
    }

    /// Refuses versions of which none was in any commit: who could read them where they come from, nobody can tell.
    fn refuse_unknown(&self, path: &Path, versions: &[&EncryptedFile]) -> Result<()> {
        if self.context.is_sops() || versions.is_empty() {
            return Ok(());
        }
        let (copies, rule) = (self.load()?, rule_of(path, &self.configs));
        if versions.iter().any(|version| copies.knows(&held(version, rule.as_ref()))) {
            return Ok(());
        }
        let message = "what is merged into this file is in no commit to which a branch, tag or reflog leads: nobody can \
                       tell who could read it where it was";
        let advice = "Keep its commit, `git branch NAME COMMIT`, and merge again.";
        Err(Error::new(Kind::Conflict, message).advise(advice).in_file(path))
    }
}

fn part_them(path: &Path) -> String {
    format!(
        "Whoever may read one of the two would come to read the other. If the copy is meant, part the two: \
         `sealant rotate -i --allow-copied {}`. Else take out what was copied.",
        typed(path)
    )
}

/// The same for versions of one file that are brought together. `files` are the versions on the disk, `opened` their data keys.
pub(super) fn refuse_versions(
    context: &Context,
    path: &Path,
    files: &[&Path],
    format: Format,
    versions: Versions<Option<&SecretBytes>>,
    keys: &KeySet,
    opened: &[&DataKey],
) -> Result<()> {
    let mut neighbours = Neighbours::of(context, [path])?;
    neighbours.left_out = files.iter().map(|file| real(file)).collect();
    neighbours.past = Past::All(path.to_path_buf());
    let parse = |version: Option<&SecretBytes>| {
        let version = version.filter(|version| meant(format_in(format, version), version).is_some());
        version.map(|bytes| EncryptedFile::parse(format_in(format, bytes), bytes.clone())).transpose()
    };
    let [base, ours, theirs] = [versions.base.flatten(), versions.ours, versions.theirs].map(parse);
    let (base, ours, theirs) = (base?, ours?, theirs?);
    for version in [&base, &ours, &theirs].into_iter().flatten() {
        neighbours.refuse(path, version, keys)?;
    }
    opened.iter().try_for_each(|data_key| neighbours.refuse_key(path, data_key, keys))?;
    let brought: Vec<&EncryptedFile> = [&base, &theirs].into_iter().flatten().collect();
    neighbours.refuse_unknown(path, &brought)
}

/// Adds the encrypted files of the working tree around the current folder, or of that folder where there is none.
pub(super) fn add_all(copies: &mut Copies, configs: &Configs, context: &Context) -> Result<()> {
    let working_dir = real(&context.lookup()?.working_dir);
    let tops = tops(context, working_dir, BTreeSet::new());
    add_files(files_below(&tops), &[], copies, configs, context)?;
    add_absent(&tops, copies, configs, context);
    Ok(())
}

/// As [`add_all`], of what a sparse checkout leaves out alone: the rest was looked at.
pub(super) fn add_left_out(copies: &mut Copies, configs: &Configs, context: &Context) -> Result<()> {
    let working_dir = real(&context.lookup()?.working_dir);
    add_absent(&tops(context, working_dir, BTreeSet::new()), copies, configs, context);
    Ok(())
}

/// Adds what was once at a place of which a rule names the readers, and is in a file that was looked at, where more may read.
/// `before` is what configs said before a change. Reads only what is not as the index has it, at places that fewer may read than
/// one of those files.
pub(super) fn add_past(
    copies: &mut Copies,
    configs: &Configs,
    before: Option<&Configs>,
    context: &Context,
) -> Result<()> {
    let working_dir = real(&context.lookup()?.working_dir);
    let files = files_below(&tops(context, working_dir, BTreeSet::new()));
    let is_one = before.is_none() && is_one_readership(&files, configs);
    let roots: BTreeSet<PathBuf> =
        copies.paths_looked_at().flat_map(|path| roots_of(path, context)).map(Path::to_path_buf).collect();
    for root in roots {
        // Where Git does not answer, there is no history.
        let Ok(git) = Git::of(context.host, &root) else { continue };
        past::add(copies, &git, [Some(configs), before], Wanted::Shared, is_one, context)?;
    }
    Ok(())
}

/// As [`add_past`], of what one commit has and a change takes away or replaces: paths are those of Git.
pub(super) fn add_replaced(
    copies: &mut Copies,
    tree: &Tree,
    changed: &[PathBuf],
    configs: [Option<&Configs>; 2],
    blobs: &mut Blobs,
) {
    let version = |path: &PathBuf| match tree.get(path) {
        Some(Entry::File(id)) => {
            let rules = configs.iter().flatten().filter_map(|configs| past_rule_of(path, configs));
            let rules = rules.map(|keys| PastRule { keys: Some(keys), leaving: None }).collect();
            let shown = format!("{} of the commit before", path.display()).into();
            Some(Version { id: id.clone(), path: path.clone(), shown, rules })
        }
        _ => None,
    };
    let versions = changed.iter().filter_map(version).filter(|version| !version.rules.is_empty()).collect();
    for found in past::held_versions(blobs, versions, |held| copies.share(held)) {
        found.add_to(copies);
    }
}

/// The folders that files are in.
fn folders_of<'p>(working_dir: &Path, files: impl IntoIterator<Item = &'p Path>) -> BTreeSet<PathBuf> {
    let folder = |file: &Path| real(&working_dir.join(file)).parent().map(Path::to_path_buf);
    files.into_iter().filter_map(folder).collect()
}

/// The tops of the repositories that a path is in, the nearest first. One within another one belongs to it. All of a home folder
/// may be one, too, and is no project.
fn roots_of<'p>(path: &'p Path, context: &Context) -> Vec<&'p Path> {
    let home = context.host.env("HOME").map(PathBuf::from);
    let above_home = |folder: &Path| home.as_deref().is_some_and(|home| home.starts_with(folder));
    let roots: Vec<&Path> = path.ancestors().filter(|above| above.join(".git").exists()).collect();
    let below = roots.iter().take_while(|root| !above_home(root)).count();
    roots.into_iter().take(below.max(1)).collect()
}

/// The folders to look in for copies of these files. Neither Git nor the folder that one is in has a say: what is a copy
/// of something does not change with where a command is started.
fn tops(context: &Context, working_dir: PathBuf, mut folders: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let top = |folder: &Path| {
        let outermost = roots_of(folder, context).last().copied();
        let here = if folder.starts_with(&working_dir) { working_dir.as_path() } else { folder };
        outermost.unwrap_or(here).to_path_buf()
    };
    if folders.is_empty() || root_of(&working_dir).is_some() {
        folders.insert(working_dir.clone());
    }
    let tops: BTreeSet<PathBuf> = folders.iter().map(|folder| top(folder)).collect();
    let is_outermost = |one: &&PathBuf| !one.ancestors().skip(1).any(|above| tops.contains(above));
    tops.iter().filter(is_outermost).cloned().collect()
}

fn files_below(tops: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    fs::walk(&tops.iter().cloned().collect::<Vec<_>>()).files
}

/// Whether every place is under a rule, and all rules name the same readers: then no file was ever where others read it.
/// `files` are all that are there, configs among them.
fn is_one_readership(files: &[PathBuf], configs: &Configs) -> bool {
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let of_folder = |folder: &&Path| configs.config_for(&folder.join("file")).ok().flatten();
    let found: Option<Vec<_>> = folders.iter().map(of_folder).collect();
    let Some(found) = found else { return false };
    let found: BTreeMap<_, _> = found.iter().map(|config| (config.path(), config)).collect();
    let mut all: Vec<KeySet> = Vec::new();
    for config in found.values() {
        let policies = config.policies();
        let is_for_all =
            |policy: &Result<Policy>| policy.as_ref().is_ok_and(|policy| policy.rule.path_regex.is_none());
        if !policies.last().is_some_and(is_for_all) {
            return false;
        }
        let keys = policies.into_iter().map(|policy| policy::key_set(&policy.ok()?).ok().flatten());
        let Some(keys) = keys.collect::<Option<Vec<_>>>() else { return false };
        all.extend(keys);
    }
    all.windows(2).all(|two| is_for_same(&two[0], &two[1]))
}

fn add_files(
    mut files: Vec<PathBuf>,
    left_out: &[PathBuf],
    copies: &mut Copies,
    configs: &Configs,
    context: &Context,
) -> Result<()> {
    let working_dir = real(&context.lookup()?.working_dir);
    files.retain(|file| !left_out.contains(file));
    let read = |path: &PathBuf| {
        let format = Format::of_path(path);
        let limit = fs::size(path).filter(|&size| size <= MAX_SOURCE as u64)?;
        let bytes = fs::read_found(path, limit.max(1)).ok()?;
        let held =
            held_by(path, format, &bytes, configs).or_else(|| held_in_broken(path, &bytes, configs))?;
        let shown = path.strip_prefix(&working_dir).unwrap_or(path).to_path_buf();
        Some((Named { path: real(path), shown }, held))
    };
    let found: Vec<_> = files.par_iter().filter_map(read).collect();
    for (file, held) in found {
        copies.add(file, held);
    }
    Ok(())
}

/// A file, and what it holds, each with the line that it begins on.
type NamedHeld = (Named, Vec<(usize, Held)>);

/// Adds the encrypted files of a sparse checkout that are not in the working tree. Where Git does not answer, there are none.
fn add_absent(tops: &BTreeSet<PathBuf>, copies: &mut Copies, configs: &Configs, context: &Context) {
    for (file, held) in tops.iter().filter_map(|top| absent(top, configs, context).ok()).flatten() {
        copies.add(file, held);
    }
}

fn absent(top: &Path, configs: &Configs, context: &Context) -> Result<Vec<NamedHeld>> {
    let git = Git::of(context.host, top)?;
    let names = changes::not_checked_out(&git)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let tree = Tree::of_index(&git)?;
    let file = |name: PathBuf| match tree.get(&name) {
        Some(Entry::File(id)) => Some((git.top().join(&name), id.clone())),
        _ => None,
    };
    let files: Vec<(PathBuf, ObjectId)> = names.into_iter().filter_map(file).collect();
    let held = held_in_blobs(&mut Blobs::open(&git)?, &files, configs).into_iter();
    let named = |at: usize| {
        let path: &PathBuf = &files[at].0;
        Named { path: path.clone(), shown: path.strip_prefix(git.top()).unwrap_or(path).to_path_buf() }
    };
    Ok(held.map(|(at, held)| (named(at), held)).collect())
}

/// What files hold whose content is in Git, each with its number; what cannot be read is no copy of anything.
pub(super) fn held_in_blobs(
    blobs: &mut Blobs,
    files: &[(PathBuf, ObjectId)],
    configs: &Configs,
) -> Vec<(usize, Vec<(usize, Held)>)> {
    let ids: Vec<&ObjectId> = files.iter().map(|(_, id)| id).collect();
    let path = |at: usize| &files[at].0;
    held_of(blobs, &ids, |at, bytes| held_in_git(path(at), bytes, configs))
}

fn held_of<T: Send>(
    blobs: &mut Blobs,
    ids: &[&ObjectId],
    held: impl Fn(usize, &SecretBytes) -> Option<T> + Sync,
) -> Vec<(usize, T)> {
    let limit = MAX_SOURCE as u64;
    let hold = |(at, read): (usize, Result<Option<((), SecretBytes)>>)| {
        let ((), bytes) = read.ok()??;
        Some((at, held(at, &bytes)?))
    };
    let read = blobs.each(ids, |_, size| Ok((size <= limit).then_some(((), limit))));
    let mut found: Vec<_> = read.par_bridge().filter_map(hold).collect();
    found.sort_by_key(|(at, _)| *at);
    found
}

/// The same for a file that is or was encrypted, and cannot be read as such. Where a rule names readers, whatever is left of it
/// counts, in whatever it is wrapped; elsewhere it may be somebody's notes.
fn held_in_broken(path: &Path, bytes: &SecretBytes, configs: &Configs) -> Option<Vec<(usize, Held)>> {
    let utf8 = document::of_utf16(bytes);
    let bytes = utf8.as_ref().unwrap_or(bytes);
    let rule = rule_of(path, configs);
    let counts = sops::looks_encrypted(bytes) || (rule.is_some() && repo::copies::may_hold_remains(bytes));
    if !counts {
        return None;
    }
    Some(vec![(1, repo::copies::held_in_broken(&String::from_utf8_lossy(bytes), rule.as_ref()))])
}

/// Whom the rule of a file names: nobody where it cannot be read.
fn rule_of(path: &Path, configs: &Configs) -> Option<KeySet> {
    policy::keys_of_file(configs, path).unwrap_or_else(nobody)
}

/// The same of a place in Git, to which no link of the working tree leads.
fn past_rule_of(path: &Path, configs: &Configs) -> Option<KeySet> {
    policy::keys_of_other_state(configs, path).unwrap_or_else(nobody)
}

fn nobody(_: Error) -> Option<KeySet> {
    Some(KeySet { groups: Vec::new(), threshold: None })
}

/// What a file holds that another may hold as well; `None` for one that is not encrypted, or is broken.
pub(super) fn held_by(
    path: &Path,
    format: Format,
    bytes: &SecretBytes,
    configs: &Configs,
) -> Option<Vec<(usize, Held)>> {
    held_under(format, bytes, || rule_of(path, configs))
}

/// The same for a content in Git. The links of the working tree do not lead to its place.
fn held_in_git(path: &Path, bytes: &SecretBytes, configs: &Configs) -> Option<Vec<(usize, Held)>> {
    held_under(Format::of_path(path), bytes, || past_rule_of(path, configs))
}

fn held_under(
    format: Format,
    bytes: &SecretBytes,
    rule: impl FnOnce() -> Option<KeySet>,
) -> Option<Vec<(usize, Held)>> {
    let file = parsed(format, bytes)?;
    Some(held(&file, rule().as_ref()))
}

/// An encrypted file; `None` for one that is not, or is broken.
fn parsed(format: Format, bytes: &SecretBytes) -> Option<EncryptedFile> {
    let format = format_in(format, bytes);
    meant(format, bytes)?;
    EncryptedFile::parse(format, bytes.clone()).ok()
}

/// The file that a path leads to.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
