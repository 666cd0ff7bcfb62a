//! What Git has and the working tree does not: what a sparse checkout leaves out, and of a branch what is committed or staged
//! and is something else here. It comes to others all the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::Since;
use crate::cli::args::plain_path;
use crate::cli::commands::check::Seen;
use crate::cli::commands::check::links::MOST_BELOW;
use crate::cli::commands::check::report::{Found, Looked};
use crate::cli::commands::hook::{self, Target, encodings};
use crate::cli::context::Context;
use crate::config::{Configs, Lookup, absolute};
use crate::error::Result;
use crate::fs;
use crate::os;
use crate::repo::before::Before;
use crate::repo::check::Finding;
use crate::repo::git::absent::may_leave_out;
use crate::repo::git::blobs::{self, Blobs};
use crate::repo::git::changes::{self, Changed};
use crate::repo::git::configs::Staged;
use crate::repo::git::tree::{Entry, Tree};
use crate::repo::git::{Git, root_of};
use crate::shown::typed;

/// What was asked for, each path as it was named and where it really is; the current folder if that was nothing.
pub struct Asked(Vec<(PathBuf, PathBuf)>);

impl Asked {
    pub fn new(named: &[PathBuf], working_dir: &Path) -> Self {
        let here = [PathBuf::new()];
        let named = if named.is_empty() { &here[..] } else { named };
        let real = |path: &PathBuf| fs::real_folder(&absolute(path, working_dir));
        Self(named.iter().map(|path| (path.clone(), real(path))).collect())
    }

    /// The tops of the working trees in which it is.
    fn tops(&self) -> BTreeSet<PathBuf> {
        self.0.iter().filter_map(|(_, real)| root_of(real)).map(Path::to_path_buf).collect()
    }

    /// What a file is called, by its real path, if it is part of it.
    fn shown(&self, path: &Path) -> Option<PathBuf> {
        self.0.iter().find_map(|(named, real)| Some(plain_path(&named.join(path.strip_prefix(real).ok()?))))
    }
}

/// Looks at what sparse checkouts leave out: in the repositories of what was asked for, and in those `within`. Where a branch
/// is looked at, that is what it has changed.
pub fn look_at_left_out(
    asked: &Asked,
    within: &[PathBuf],
    changed: Option<&Changed>,
    (configs, befores): (&Configs, &[Before]),
    hiding: &mut BTreeMap<PathBuf, Finding>,
    looked: &mut Looked,
    context: &Context,
) -> Result<()> {
    let tops = asked.tops().into_iter().chain(within.iter().filter_map(|within| os::real_path(within).ok()));
    for top in tops.collect::<BTreeSet<_>>().into_iter().filter(|top| may_leave_out(top)) {
        // Where Git does not answer, nobody says what it leaves out.
        let Ok(git) = Git::of(context.host, &top) else { continue };
        let is_meant = |name: &PathBuf| {
            let path = git.top().join(name);
            let is_changed = || changed.is_none_or(|changed| changed.is_about(&path));
            asked.shown(&path).is_some() && is_changed() && path.symlink_metadata().is_err()
        };
        let names: Vec<PathBuf> = changes::not_checked_out(&git)?.into_iter().filter(is_meant).collect();
        if names.is_empty() {
            continue;
        }
        let (seen, unseen) = look(&git, &Tree::of_index(&git)?, names, configs, befores)?;
        for (path, seen) in seen {
            let findings = seen.map(|Seen { findings, hiding: hides, .. }| {
                hiding.extend(hides);
                findings
            });
            looked.add(&asked.shown(&path).unwrap_or(path), findings, context);
        }
        if unseen > 0 {
            context.ui.warning(format!(
                "{unseen} of the files that the sparse checkout leaves out were not checked: this is a partial clone, without \
                 their content"
            ));
        }
    }
    Ok(())
}

/// What a branch has in its last commit, or staged, and something else in the working tree: what of that shows values stays in
/// what others get, whatever is here. What was `found` here is not told again. Each version counts with its own configs.
pub fn look_at_versions(
    asked: &Asked,
    since: &Since,
    configs: &Configs,
    found: &[Found],
    context: &Context,
) -> Result<Versions> {
    let Some(changed) = &since.changed else { return Ok(Versions::default()) };
    let here = context.lookup()?;
    let git = Git::needed(context.host, &here.working_dir)?;
    let apart = changes::apart(&git)?;
    if apart.is_empty() {
        return Ok(Versions::default());
    }
    let explicit = here.explicit.as_deref().map(|path| absolute(path, &here.working_dir));
    let named = explicit.as_deref().and_then(|path| path.strip_prefix(git.top()).ok());
    let mut blobs = Blobs::open(&git)?;
    let folders = changes::folders_of_configs(&apart, &since.now, named, &mut blobs)?;
    let other_configs = |tree: &Tree, blobs: &mut Blobs| {
        let staged = Staged::read(git.top(), tree, explicit.as_deref(), blobs)?;
        let (working_dir, explicit) = (git.top().to_path_buf(), explicit.clone());
        Ok::<_, crate::error::Error>(Configs::from_source(
            Lookup { working_dir, explicit, dialect: here.dialect },
            staged,
        ))
    };
    let head = Tree::of_commit(&git, "HEAD")?;
    let is_meant = |name: &Path| {
        let is_apart = name.ancestors().any(|above| apart.contains(above) || folders.contains(above));
        let path = git.top().join(name);
        is_apart && changed.is_about(&path) && asked.shown(&path).is_some()
    };
    let mut others = Versions::default();
    for (tree, is_head) in [(&head, true), (&since.now, false)] {
        let place = if is_head { "in the last commit" } else { "staged" };
        let is_other = |(name, entry): &(&PathBuf, &Entry)| {
            is_head || !folders.is_empty() || head.get(name) != Some(entry)
        };
        let meant = tree.iter().filter(|(name, _)| is_meant(name)).filter(is_other);
        let names: Vec<PathBuf> = meant.map(|(name, _)| name.clone()).collect();
        let own = if folders.is_empty() { None } else { Some(other_configs(tree, &mut blobs)?) };
        let configs = own.as_ref().unwrap_or(configs);
        let (seen, unseen) = look(&git, tree, names, configs, &since.befores)?;
        if unseen > 0 {
            context.ui.warning(format!(
                "{unseen} files {place} were not checked: this is a partial clone, without their content"
            ));
        }
        let mut told: Vec<(PathBuf, Vec<Finding>)> = Vec::new();
        for (path, seen) in seen {
            let shown = asked.shown(&path).unwrap_or_else(|| path.clone());
            told.push((shown, seen.map_err(|error| error.in_file(&path))?.findings));
        }
        for before in since.befores.iter().filter(|_| own.is_some()) {
            for (config, finding) in before.weakened(configs, tree) {
                let shown = config.strip_prefix(&here.working_dir).unwrap_or(&config).to_path_buf();
                told.push((shown, vec![finding?]));
            }
        }
        for (file, findings) in told {
            for finding in findings.into_iter().filter(|finding| finding.rule.shows_values()) {
                let is_same = |known: &Found| known.file == file && known.finding.rule == finding.rule;
                if !found.iter().chain(&others.found).any(is_same) {
                    let message = format!("{place}: {}", finding.message);
                    others.found.push(Found::new(&file, Finding { message, ..finding }));
                    let files = if is_head { &mut others.committed } else { &mut others.staged };
                    files.insert(file.clone());
                }
            }
        }
    }
    Ok(others)
}

/// Versions of files that are not as they are here.
#[derive(Default)]
pub struct Versions {
    pub found: Vec<Found>,
    committed: BTreeSet<PathBuf>,
    staged: BTreeSet<PathBuf>,
}

impl Versions {
    /// Says what to do about them.
    pub fn tell(&self, context: &Context) {
        let names =
            |files: &BTreeSet<PathBuf>| files.iter().map(|file| typed(file)).collect::<Vec<_>>().join(" ");
        let line = |command, files: &BTreeSet<PathBuf>| {
            (!files.is_empty()).then(|| format!("  {command} {}    # if it is right here", names(files)))
        };
        let lines = [line("git add --", &self.staged), line("git commit --", &self.committed)];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        if !lines.is_empty() {
            context.ui.say_list(
                "What is committed or staged is not what is here. Whoever gets that commit gets the values in it: replace them.",
                lines,
            );
        }
    }
}

/// What is wrong with files and links as a tree has them, by their real paths, and how many a partial clone does not have: nothing
/// is fetched. Where Git gives no answer in any other clone, that is an error: something may hide behind it. All names are
/// from the top.
#[allow(clippy::type_complexity, reason = "a list and a number")]
fn look(
    git: &Git,
    tree: &Tree,
    names: Vec<PathBuf>,
    configs: &Configs,
    befores: &[Before],
) -> Result<(Vec<(PathBuf, Result<Seen>)>, usize)> {
    let path = |name: &Path| git.top().join(name);
    let (mut targets, mut files, mut links) = (Vec::new(), Vec::new(), BTreeSet::new());
    for name in &names {
        match tree.get(name) {
            Some(Entry::File(id)) => {
                targets.push(Target { path: path(name), id: id.clone() });
                files.push(name.as_path());
            }
            Some(Entry::Link(_)) => drop(links.insert(name.clone())),
            Some(Entry::Submodule(_) | Entry::Unmerged) | None => {}
        }
    }
    let encodings = encodings::of(&files, git)?.into_iter();
    let encodings: HashMap<PathBuf, Vec<_>> = encodings.map(|(name, of)| (path(&name), of)).collect();
    let mut blobs = Blobs::open(git)?;
    let mut looked = hook::look(&targets, &encodings, &mut blobs, configs, befores);
    let mut unseen = 0;
    if let Err(error) = blobs.refuse_ended() {
        if !git.is_partial()? {
            return Err(error);
        }
        // Git ends at the first content that this clone lacks: the others are looked at all the same.
        let here = blobs::here(git, &targets.iter().map(|target| &target.id).collect())?;
        let count = targets.len();
        targets.retain(|target| here.contains(&target.id));
        unseen = count - targets.len();
        blobs = Blobs::open(git)?;
        looked = hook::look(&targets, &encodings, &mut blobs, configs, befores);
        blobs.refuse_ended()?;
    }
    let mut seen: Vec<_> = targets.into_iter().map(|target| target.path).zip(looked).collect();
    let mut left = MOST_BELOW;
    let ids = links.iter().filter_map(|link| match tree.get(link) {
        Some(Entry::Link(id)) => Some(id),
        _ => None,
    });
    if unseen > 0 && !links.is_empty() {
        let here = blobs::here(git, &ids.collect())?;
        let count = links.len();
        links.retain(|link| matches!(tree.get(link), Some(Entry::Link(id)) if here.contains(id)));
        unseen += count - links.len();
    }
    for (name, told) in hook::read_targets(&links, tree, &mut blobs)? {
        let target = told.target.as_ref().map(|target| &target[..]);
        let findings = hook::of_link(&path(&name), &name, target, tree, git.top(), &mut left, configs);
        seen.push((path(&name), findings.map(|findings| Seen { findings, ..Seen::default() })));
    }
    Ok((seen, unseen))
}
