pub(in crate::cli::commands) mod encodings;
mod requests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use rayon::prelude::*;

use crate::cli::args::{Formats, Input};
use crate::cli::commands::check::report::{self, Found, Looked};
use crate::cli::commands::check::{Seen, fix, links, mend};
use crate::cli::context::Context;
use crate::cli::copies;
use crate::cli::encryption::Encrypt;
use crate::cli::repository::config_outside;
use crate::config::{Configs, Lookup, SEALANT_NAME, SOPS_NAME, absolute};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::os;
use crate::repo::altered::Earlier;
use crate::repo::before::{self, Before, Plans};
use crate::repo::check::{Checked, Encoding, Finding, check_link, check_target, unseen};
use crate::repo::copies::{Copies, Named};
use crate::repo::git::blobs::Blobs;
use crate::repo::git::changes::Parting;
use crate::repo::git::configs::Staged;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::updated::Updated;
use crate::repo::git::{Git, changes};
use crate::secret::SecretBytes;

/// What Git's hooks run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant git install    # writes the hook
  sealant hook pre-commit
  sealant hook pre-commit --fix")]
pub struct Args {
    #[command(subcommand)]
    hook: Hook,
}

#[derive(Debug, Subcommand)]
enum Hook {
    PreCommit(PreCommitArgs),
}

/// Keep plaintext secrets out of a commit; needs no key
///
/// Checks what is staged as `check` checks files, with the staged configs: it ignores the working tree, a config
/// above the repository, and SOPS_CONFIG. Links are not followed, and submodules not entered. If a config is staged,
/// all files that it covers are checked. An untracked config that covers a staged file fails the commit, because
/// nobody else would have its rules.
///
/// With PRE_COMMIT_FROM_REF and PRE_COMMIT_TO_REF, which the pre-commit framework sets for a push and for --from-ref
/// and --to-ref, it checks what these commits change; when Git runs it before a commit, also what is staged. If FILE
/// looks like an option but such a file exists, everything that is staged is checked.
///
/// The exit code is 0 if nothing was found, or only warnings, 1 if something was found, and another if something could
/// not be checked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant hook pre-commit
  sealant hook pre-commit --fix
  sealant hook pre-commit secrets/db.yaml")]
struct PreCommitArgs {
    /// Look at these files instead of all that are staged
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Encrypt the files found in plaintext; what is staged does not change, and the commit fails
    ///
    /// A file that differs between the working tree and the index is left alone. Nothing is staged: review the
    /// result, then stage it.
    #[arg(long)]
    fix: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.hook {
        Hook::PreCommit(args) => pre_commit(args, context),
    }
}

/// A file that is to be looked at, and where its content is.
pub(super) struct Target {
    pub path: PathBuf,
    pub id: ObjectId,
}

impl Target {
    fn file(&self) -> Named {
        Named { path: self.path.clone(), shown: self.path.clone() }
    }
}

/// What would come to others.
enum Incoming {
    /// What is staged.
    Index,
    /// What the second commit has, and changes since the first.
    Commits(String, String),
}

fn pre_commit(args: PreCommitArgs, context: &Context) -> Result<ExitCode> {
    let here = context.lookup()?;
    let git = Git::needed(context.host, &here.working_dir)?;
    let mut looked = Looked::default();
    for state in states(context.host)? {
        look_at(&state, &args, &git, &here, &mut looked, context)?;
    }
    looked.failures.tell_rest(context.ui);
    Ok(looked.exit_code())
}

/// The states to look at. Variables can add one, but switch off none: before a commit Git always says which index it is
/// about, and then that index counts.
fn states(host: &dyn Host) -> Result<Vec<Incoming>> {
    let [from, to] = ["PRE_COMMIT_FROM_REF", "PRE_COMMIT_TO_REF"].map(|name| host.env_text(name));
    let commits = from?.zip(to?).map(|(from, to)| Incoming::Commits(from, to));
    let is_before_commit = host.env("GIT_INDEX_FILE").is_some();
    let index = (commits.is_none() || is_before_commit).then_some(Incoming::Index);
    Ok(index.into_iter().chain(commits).collect())
}

impl Incoming {
    fn tree(&self, git: &Git) -> Result<Tree> {
        match self {
            Self::Index => Tree::of_index(git),
            Self::Commits(_, to) => Tree::of_commit(git, to),
        }
    }

    fn changed(&self, git: &Git) -> Result<Vec<PathBuf>> {
        match self {
            Self::Index => changes::staged(git),
            Self::Commits(from, to) => changes::between(git, from, to),
        }
    }

    /// The commits that it comes after.
    fn before(&self, git: &Git) -> Result<Vec<String>> {
        match self {
            Self::Index => Ok(changes::head(git)?.into_iter().collect()),
            Self::Commits(from, to) => Ok(Parting::of(git, from, to)?.before().to_vec()),
        }
    }
}

fn look_at(
    state: &Incoming,
    args: &PreCommitArgs,
    git: &Git,
    here: &Lookup,
    looked: &mut Looked,
    context: &Context,
) -> Result<()> {
    let (tree, changed) = (state.tree(git)?, state.changed(git)?);
    // Whoever gives a file the name of an option makes nothing clean.
    let looks_like_option = |file: &PathBuf| file.as_os_str().as_encoded_bytes().starts_with(b"-");
    let mut paths = match args.files.is_empty() || args.files.iter().any(looks_like_option) {
        true => changed.iter().cloned().collect(),
        false => BTreeSet::new(),
    };
    paths.extend(named(&args.files, &tree, git, &here.working_dir, context)?);
    let mut blobs = Blobs::open(git)?;
    // What somebody has in the environment is no rule of the repository.
    let explicit = context.config.as_deref().map(|path| absolute(path, &here.working_dir));
    let named_config = explicit.as_deref().and_then(|path| path.strip_prefix(git.top()).ok());
    let folders = changes::folders_of_configs(&changed, &tree, named_config, &mut blobs)?;
    for folder in &folders {
        paths.extend(tree.at_or_below(folder).map(|(path, _)| path.clone()));
    }
    let found_before = looked.found.len();
    // The framework names no links to a hook that asks for files.
    let is_link = |path: &&PathBuf| matches!(tree.get(path), Some(Entry::Link(_)));
    let links: BTreeSet<PathBuf> = paths.iter().chain(&changed).filter(is_link).cloned().collect();
    let mut targets = targets(paths, &tree, looked, context);
    let told = read_targets(&links, &tree, &mut blobs)?;
    // Where links are checked out as files, Git takes what somebody writes into one for the target of a link.
    let is_text = |told: &Told| told.target.as_ref().is_none_or(|target| target.contains(&b'\n'));
    let texts = told.iter().filter(|(_, told)| is_text(told));
    targets.extend(texts.map(|(path, told)| Target { path: path.clone(), id: told.id.clone() }));
    let names: Vec<&Path> = targets.iter().map(|target| target.path.as_path()).collect();
    let encodings = encodings::of(&names, git)?;

    if matches!(state, Incoming::Index) && explicit.is_none() {
        tell_untracked_configs(&targets, git, &tree, looked, context)?;
        tell_config_outside(&targets, git, context)?;
    }
    let args_config = explicit.clone();
    let lookup = Lookup { working_dir: git.top().to_path_buf(), explicit, dialect: here.dialect };
    let commits = state.before(git)?;
    let submodules = tree.submodules_among(&changed);
    let befores = Before::read_all(git, &commits, (&submodules, &tree), &folders, &lookup, &mut blobs)?;
    let mut staged = Staged::read(git.top(), &tree, lookup.explicit.as_deref(), &mut blobs)?;
    let names = with_submodules(git, &submodules, &commits, &tree, &mut staged)?;
    if !links.is_empty() {
        staged.read_links(&tree, &mut blobs)?;
    }
    let (links, too_far): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
        links.into_iter().partition(|link| staged.steps(link) <= links::MOST_STEPS);
    for link in too_far {
        looked.add(&link, Err(links::too_far()), context);
    }
    let configs = Configs::from_source(lookup, staged);
    let (mut copies, mut hiding) = (Copies::default(), BTreeMap::new());
    for (target, seen) in targets.iter().zip(look(&targets, &encodings, &mut blobs, &configs, &befores)) {
        let findings = seen.map(|Seen { findings, held, hiding: hides }| {
            if let Some((config, finding)) = hides {
                hiding.entry(config).or_insert(finding);
            }
            if let Some(held) = held {
                copies.add_looked_at(target.file(), held);
            }
            findings
        });
        looked.add(&target.path, findings, context);
    }
    if !copies.is_empty() {
        let mut add = || {
            add_others(&mut copies, &targets, &tree, git, &mut blobs, &configs)?;
            let configs: Vec<&Configs> = iter::once(&configs).chain(before::configs(&befores)).collect();
            commits.iter().try_for_each(|commit| {
                let tree = Tree::of_commit(git, commit)?;
                copies::add_replaced(&mut copies, &tree, &changed, &configs, &mut blobs)
            })
        };
        // What may have been copied is not said to be clean.
        add().unwrap_or_else(|error| looked.failures.add(context.ui, &error));
    }
    let altered = altered(state, &targets, &tree, &changed, &commits, git, &mut blobs)?;
    drop(blobs);
    for (file, finding) in altered {
        // Plaintext in an encrypted file is told of, and whoever removes it learns whether that was all.
        let is_told = |found: &Found| found.file == file && found.finding.rule.is_of_contents();
        if !looked.found[found_before..].iter().any(is_told) {
            looked.add(&file, Ok(vec![finding]), context);
        }
    }
    for (file, finding) in copies.found() {
        looked.add(file, Ok(vec![finding]), context);
    }
    look_at_links(&links, &told, &tree, git, &configs, looked, context);
    let hiding = hiding.into_iter().map(|(config, finding)| (config, Ok(finding)));
    looked.add_configs(hiding.collect(), git.top(), context);
    for before in &befores {
        looked.add_configs(before.weakened(&configs, &names), git.top(), context);
    }

    // Of what is staged, that is the last commit.
    let last = before::configs(&befores).next();
    let last = last.filter(|_| matches!(state, Incoming::Index) && args_config.is_none());
    let requests = last.map(|last| requests::Requests::of(last, &configs, git, &changed)).transpose()?;
    if let Some(requests) = requests.flatten() {
        requests.let_by(&mut looked.found[found_before..], &tree, git, context)?;
    }
    let found = &looked.found[found_before..];
    report::print(found, context)?;
    let encrypt = Encrypt::by_rules(context, Formats::default(), configs);
    if args.fix && !found.is_empty() {
        match state {
            Incoming::Index => fix(looked, git, &here.working_dir, &encrypt, context)?,
            Incoming::Commits(..) => {
                context.ui.warning("--fix changes nothing here: what was checked is already committed")
            }
        }
    }
    let folder = if git.top() == here.working_dir { Path::new("") } else { git.top() };
    let place = mend::Place { folder, is_staged: true, is_fixed: args.fix, configs: encrypt.configs() };
    mend::tell(found, &place, context);
    if !found.is_empty() {
        looked.tell_count(targets.len(), context);
    }
    Ok(())
}

/// What there will be, with what is in these submodules, which the change takes to other commits. Adds their configs.
fn with_submodules(
    git: &Git,
    submodules: &[PathBuf],
    commits: &[String],
    tree: &Tree,
    staged: &mut Staged,
) -> Result<Tree> {
    let mut names = tree.clone();
    if submodules.is_empty() {
        return Ok(names);
    }
    for commit in commits {
        let updated = Updated::all(git, submodules, &Tree::of_commit(git, commit)?, tree);
        updated.iter().try_for_each(|updated| updated.add_now(&mut names, staged))?;
    }
    Ok(names)
}

/// The paths below the top folder that files on the command line stand for.
fn named(
    files: &[PathBuf],
    tree: &Tree,
    git: &Git,
    working_dir: &Path,
    context: &Context,
) -> Result<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    for file in files {
        let path = absolute(file, working_dir);
        let below = path.strip_prefix(git.top()).map_err(|_| {
            let message = format!("is not in the repository {}", git.top().display());
            Error::new(Kind::NoFile, message).in_file(file)
        })?;
        let mut found = tree.at_or_below(below).map(|(path, _)| path.clone()).peekable();
        if found.peek().is_none() {
            context.ui.note(format!("{}: not staged, so it would not be committed", file.display()));
        }
        paths.extend(found);
    }
    Ok(paths)
}

/// Tells of configs in the working tree that are about files that would be committed, and would not be committed
/// themselves: by them something may be secret that nobody looks at.
fn tell_untracked_configs(
    targets: &[Target],
    git: &Git,
    tree: &Tree,
    looked: &mut Looked,
    context: &Context,
) -> Result<()> {
    let folders: BTreeSet<&Path> =
        targets.iter().flat_map(|target| target.path.ancestors().skip(1)).collect();
    let configs = folders.iter().flat_map(|folder| [SOPS_NAME, SEALANT_NAME].map(|name| folder.join(name)));
    let is_here_alone = |path: &PathBuf| tree.get(path).is_none() && git.top().join(path).is_file();
    let configs: Vec<PathBuf> = configs.filter(is_here_alone).collect();
    let mut untracked = changes::untracked(git, &configs)?;
    untracked.extend(configs.iter().filter(|config| tree.announces(config)).cloned());
    for config in configs.iter().filter(|config| !untracked.contains(config)) {
        context.ui.note(format!(
            "{}: Git ignores this config, so its rules are not applied, here or anywhere else",
            config.display()
        ));
    }
    for config in untracked {
        let message = "this config is not staged, but files that it covers are";
        let advice = format!(
            "Stage it with `git add {}`, because others need its rules too; or have Git ignore it.",
            config.display()
        );
        looked.add(&config, Err(Error::new(Kind::Config, message).advise(advice)), context);
    }
    Ok(())
}

/// Warns of a config above the repository by which a staged file would have a rule, and of which nobody else knows.
fn tell_config_outside(targets: &[Target], git: &Git, context: &Context) -> Result<()> {
    let configs = context.configs()?;
    let outside = targets.iter().find_map(|target| {
        let policy = configs.matching_policy(&git.top().join(&target.path)).ok()??;
        let is_meant = policy.rule.path_regex.is_some() && !policy.rule.file.starts_with(git.top());
        is_meant.then_some(policy.rule.file)
    });
    let Some(error) = outside.map(|config| config_outside(&config, git, context)).transpose()?.flatten()
    else {
        return Ok(());
    };
    context.ui.warning(format!("{}. {}", error.headline(), error.advice().unwrap_or_default()));
    Ok(())
}

/// What is at the paths and has a content of its own.
fn targets(paths: BTreeSet<PathBuf>, tree: &Tree, looked: &mut Looked, context: &Context) -> Vec<Target> {
    let mut targets = Vec::new();
    for path in paths {
        match tree.get(&path) {
            Some(Entry::File(id)) => targets.push(Target { id: id.clone(), path }),
            Some(Entry::Unmerged) => {
                let error = Error::new(Kind::Read, "has a conflict that is not resolved");
                looked.add(
                    &path,
                    Err(error.advise(
                        "Resolve it, and stage the result: `sealant resolve FILE`, then `git add FILE`.",
                    )),
                    context,
                );
            }
            Some(Entry::Link(_) | Entry::Submodule(_)) | None => {}
        }
    }
    targets
}

/// What is staged of a link.
pub(super) struct Told {
    id: ObjectId,
    /// `None` for one that is longer than any path.
    pub target: Option<SecretBytes>,
}

/// Reads where links lead.
pub(super) fn read_targets(
    links: &BTreeSet<PathBuf>,
    tree: &Tree,
    blobs: &mut Blobs,
) -> Result<BTreeMap<PathBuf, Told>> {
    /// More than any system takes for a path.
    const MOST: u64 = 1 << 16;
    let id = |link: &PathBuf| match tree.get(link) {
        Some(Entry::Link(id)) => Some((link.clone(), id.clone())),
        _ => None,
    };
    let links: Vec<(PathBuf, ObjectId)> = links.iter().filter_map(id).collect();
    let ids: Vec<&ObjectId> = links.iter().map(|(_, id)| id).collect();
    let mut told = BTreeMap::new();
    for (at, read) in blobs.each(&ids, |_, size| Ok((size <= MOST).then_some(((), MOST)))) {
        let target = read?.map(|((), target)| target);
        let (link, id) = links[at].clone();
        told.insert(link, Told { id, target });
    }
    Ok(told)
}

/// Looks at links as they are staged.
fn look_at_links(
    links: &BTreeSet<PathBuf>,
    told: &BTreeMap<PathBuf, Told>,
    tree: &Tree,
    git: &Git,
    configs: &Configs,
    looked: &mut Looked,
    context: &Context,
) {
    let mut left = links::MOST_BELOW;
    for link in links {
        let target = told.get(link).and_then(|told| told.target.as_ref()).map(|target| &target[..]);
        let findings = of_link(link, link, target, tree, git.top(), &mut left, configs);
        looked.add(link, findings, context);
    }
}

/// What is wrong with a link as a tree has it: `name` is that from the top, and `link` the path by which configs know it.
pub(super) fn of_link(
    link: &Path,
    name: &Path,
    target: Option<&[u8]>,
    tree: &Tree,
    top: &Path,
    left: &mut usize,
    configs: &Configs,
) -> Result<Vec<Finding>> {
    let located = configs.locate(link)?;
    let real = located.real().strip_prefix(top).ok();
    let below = real
        .into_iter()
        .flat_map(|real| tree.at_or_below(real).filter_map(move |(path, _)| path.strip_prefix(real).ok()));
    let mut paths: Vec<PathBuf> = below.take(*left + 1).map(|rest| link.join(rest)).collect();
    *left = left.checked_sub(paths.len()).ok_or_else(links::too_many)?;
    if paths.is_empty() {
        paths = unseen(link, configs)?;
    }
    let finding = check_link(link, paths, configs)?;
    let Some(target) = target else { return Ok(finding.into_iter().collect()) };
    let here = top.join(name.parent().unwrap_or(name)).join(os::name_of(target));
    let mut staged = real.into_iter().flat_map(|real| tree.at_or_below(real));
    let is_there =
        finding.is_some() || here.symlink_metadata().is_ok() || staged.any(|(path, _)| path != name);
    let mut findings = check_target(link, target, is_there, configs)?;
    findings.extend(finding);
    Ok(findings)
}

/// Looks at contents while others are being read. Findings are in the order of the targets; if Git dies early, the
/// last one is an error, and the rest is missing.
pub(super) fn look(
    targets: &[Target],
    encodings: &HashMap<PathBuf, Vec<Encoding>>,
    blobs: &mut Blobs,
    configs: &Configs,
    befores: &[Before],
) -> Vec<Result<Seen>> {
    let ids: Vec<&ObjectId> = targets.iter().map(|target| &target.id).collect();
    let plan = |at: usize, size: u64| {
        let path = &targets[at].path;
        let plans = Plans::of(Some(path), Format::of_path(path), size, configs, befores)?;
        Ok(plans.limit().map(|limit| (plans, limit as u64)))
    };
    let check = |(at, read): (usize, Result<Option<_>>)| {
        let seen = read.and_then(|file: Option<(Plans, SecretBytes)>| {
            let Some((plans, bytes)) = file else { return Ok(Seen::default()) };
            let path = &targets[at].path;
            let Checked { mut findings, file } = plans.check(bytes.clone())?;
            let held = copies::held_by(path, Format::of_path(path), &bytes, file, configs);
            let hiding = plans.hidden(held.is_some());
            for encoding in encodings.get(path).into_iter().flatten() {
                findings.extend(plans.unseen(encoding, &bytes));
                if let Some(written) = encodings::written(encoding, &bytes) {
                    findings.extend(plans.check(written)?.findings);
                }
            }
            findings.sort();
            findings.dedup();
            Ok(Seen { findings, held, hiding })
        });
        (at, seen)
    };
    let mut looked: Vec<_> = blobs.each(&ids, plan).par_bridge().map(check).collect();
    looked.sort_by_key(|(at, _)| *at);
    looked.into_iter().map(|(_, seen)| seen).collect()
}

/// Encrypted files that were changed without a key since they were committed last.
fn altered(
    state: &Incoming,
    targets: &[Target],
    tree: &Tree,
    changed: &[PathBuf],
    commits: &[String],
    git: &Git,
    blobs: &mut Blobs,
) -> Result<Vec<(PathBuf, Finding)>> {
    let changed: HashSet<&PathBuf> = changed.iter().collect();
    let is_file = |target: &&Target| matches!(tree.get(&target.path), Some(Entry::File(_)));
    let targets: Vec<&Target> =
        targets.iter().filter(is_file).filter(|target| changed.contains(&target.path)).collect();
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let paths = targets.iter().map(|target| target.path.clone()).collect();
    let earlier = Earlier::in_commits(git, commits, &paths)?;
    let earlier = match state {
        Incoming::Index => earlier.and_sides(git)?,
        Incoming::Commits(..) => earlier,
    };
    let mut found = Vec::new();
    for Target { path, id } in targets {
        found.extend(earlier.look_in(path, id, blobs)?.map(|finding| (path.clone(), finding)));
    }
    Ok(found)
}

/// Adds what else would be in the commit and is encrypted.
fn add_others(
    copies: &mut Copies,
    targets: &[Target],
    tree: &Tree,
    git: &Git,
    blobs: &mut Blobs,
    configs: &Configs,
) -> Result<()> {
    let looked_at: HashSet<&Path> = targets.iter().map(|target| target.path.as_path()).collect();
    let other = |(path, entry): (&PathBuf, &Entry)| match entry {
        Entry::File(id) if !looked_at.contains(path.as_path()) => Some((path.clone(), id.clone())),
        _ => None,
    };
    let others: Vec<_> = tree.iter().filter_map(other).collect();
    let audiences = copies.audiences();
    let found =
        copies::held_in_blobs(git, blobs, &others, configs, &|keys| audiences.reach_others_than(keys))?;
    for (at, held) in found {
        let path = &others[at].0;
        copies.add(Named { path: path.clone(), shown: path.clone() }, held);
    }
    Ok(())
}

/// Encrypts files in plaintext in the working tree, where that is what is staged.
fn fix(looked: &Looked, git: &Git, working_dir: &Path, encrypt: &Encrypt, context: &Context) -> Result<()> {
    let unstaged = changes::unstaged(git)?;
    let mut inputs = Vec::new();
    for path in fix::plaintext_files(&looked.found) {
        if unstaged.contains(&path) {
            context.ui.warning(format!(
                "{}: not changed: the working tree differs from what is staged; stage the whole file, or stash the \
                 rest",
                path.display()
            ));
            continue;
        }
        let path = if git.top() == working_dir { path } else { git.top().join(path) };
        inputs.push(Input { name: Some(path.clone()), path: Some(path), named: true });
    }
    fix::encrypt(inputs, Formats::default(), encrypt, context)
}
