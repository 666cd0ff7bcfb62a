//! Whom a rule lets in while a rebase, or several cherry-picks, reverts or patches, are under way.
//!
//! Owns that a rule counts then as far as it does where these began, or as far as the branch that is brought there adds somebody as a
//! whole. Each step has the config of its own commit in the working tree, which nobody has reviewed by itself.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::copies::real;
use crate::config::{Configs, absolute};
use crate::error::{Error, Kind, Result};
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::repo::copies::{alone, is_for_same};
use crate::repo::git::configs::of_commit;
use crate::repo::git::sequence::{self, Course};
use crate::repo::git::tree::Tree;
use crate::repo::git::{Git, root_of};

/// The master keys that the rule of a file names; `None` where there is no rule, or it names none.
pub fn rule_of(context: &Context, path: &Path) -> Result<Option<KeySet>> {
    let rule = policy::keys_of_file(&context.configs()?, path)?;
    let Some(rule) = rule else { return Ok(None) };
    Ok(Some(match UnderWay::of(context, path)? {
        Some(under_way) => under_way.limited(path, rule)?,
        None => rule,
    }))
}

/// Tells of those whom the rules of these files name only in this step.
pub fn tell_of_rules<'p>(context: &Context, paths: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    if context.is_sops() {
        return Ok(());
    }
    let mut known: HashMap<Option<PathBuf>, Option<UnderWay<'_>>> = HashMap::new();
    let mut at_rest: HashSet<&Path> = HashSet::new();
    for path in paths {
        let parent = path.parent().unwrap_or(path);
        if at_rest.contains(parent) {
            continue;
        }
        let folder = folder_of(path);
        if !sequence::may_be_under_way(&folder) {
            at_rest.insert(parent);
            continue;
        }
        let under_way = match known.entry(root_of(&folder).map(Path::to_path_buf)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(UnderWay::of(context, path)?),
        };
        let Some(under_way) = under_way else { continue };
        let Some(rule) = policy::keys_of_file(&context.configs()?, path)? else { continue };
        let limited = under_way.limited(path, rule.clone())?;
        let is_counted = |key: &&MasterKey| limited.groups.iter().any(|group| key.is_among(group));
        let strangers: Vec<&MasterKey> =
            rule.groups.iter().flatten().filter(|key| !is_counted(key)).collect();
        if !strangers.is_empty() {
            let message = format!(
                "{}: a rebase, cherry-pick or the like is under way, and only the config of this step names",
                path.display()
            );
            context.ui.warning_list(message, strangers.iter().map(|key| format!("  {key}")));
        }
    }
    Ok(())
}

/// Refuses to send a file where the config of one step says.
///
/// # Errors
/// [`Kind::Conflict`] while a rebase or the like is under way, for a file whose config commits have.
pub fn refuse_to_send(context: &Context, path: &Path) -> Result<()> {
    if context.is_sops() || !sequence::may_be_under_way(&folder_of(path)) {
        return Ok(());
    }
    match UnderWay::of(context, path)? {
        Some(under_way) if under_way.is_of_commits(path)? => Err(Error::new(
            Kind::Conflict,
            "a rebase, cherry-pick or the like is under way, and its steps say where files are sent",
        )
        .in_file(path)
        .advise("Finish it first. `git status` says how.")),
        _ => Ok(()),
    }
}

/// What configs said where it began, and where it leads to.
struct UnderWay<'a> {
    context: &'a Context<'a>,
    git: Git<'a>,
    began: Vec<Configs>,
    leads_to: Vec<Configs>,
    /// Where what it leads to left what it began with.
    forks: Vec<Configs>,
    index: Tree,
}

impl<'a> UnderWay<'a> {
    /// `None` where nothing is, or there is no repository.
    fn of(context: &'a Context<'a>, path: &Path) -> Result<Option<Self>> {
        let git = match Git::of_file(context.host, path) {
            Ok((git, _)) => git,
            Err(error) => match Git::of(context.host, Path::new(".")) {
                // What is in the way of the file is in the way of an answer.
                Ok(git) if sequence::course(&git)?.is_some() => return Err(error),
                _ => return Ok(None),
            },
        };
        let Some(Course { began, leads_to, forks }) = sequence::course(&git)? else { return Ok(None) };
        let configs = |commits: Vec<String>| -> Result<Vec<Configs>> {
            let of = |commit: &String| {
                let mut lookup = context.lookup()?;
                lookup.explicit = lookup.explicit.map(|path| absolute(&path, &lookup.working_dir));
                lookup.working_dir = real(&lookup.working_dir);
                of_commit(&git, commit, lookup)
            };
            commits.iter().map(of).collect()
        };
        let (began, leads_to, forks) = (configs(began)?, configs(leads_to)?, configs(forks)?);
        let index = Tree::of_index(&git)?;
        Ok(Some(Self { context, began, leads_to, forks, index, git }))
    }

    /// A rule with those alone who count. What commits do not have, they do not change.
    fn limited(&self, path: &Path, mut rule: KeySet) -> Result<KeySet> {
        if !self.is_of_commits(path)? {
            return Ok(rule);
        }
        let place = Self::place(path);
        let began = rules(&self.began, &place).unwrap_or_default();
        // Where it is unknown what these had before, nobody can tell whom they add.
        let forks = rules(&self.forks, &place).filter(|_| !self.forks.is_empty() && !self.began.is_empty());
        let leads_to = rules(&self.leads_to, &place).filter(|_| forks.is_some()).unwrap_or_default();
        let forks = forks.unwrap_or_default();
        let has_groups = |rules: &[KeySet]| rules.iter().any(|rule| rule.groups.len() > 1);
        let is_as = |rules: &[KeySet]| rules.iter().any(|other| is_for_same(&rule, other));
        if has_groups(std::slice::from_ref(&rule)) || has_groups(&began) {
            // Who can open together is compared as a whole.
            let is_counted = is_as(&began) || (is_as(&leads_to) && !is_as(&forks));
            if !is_counted {
                rule.groups.iter_mut().for_each(Vec::clear);
            }
            return Ok(rule);
        }
        let named = |key: &MasterKey, rules: &[KeySet]| {
            rules.iter().flat_map(|rule| &rule.groups).any(|group| key.is_among(group))
        };
        let counts = |key: &MasterKey| named(key, &began) || (named(key, &leads_to) && !named(key, &forks));
        rule.groups.iter_mut().for_each(|group| group.retain(counts));
        Ok(rule)
    }

    /// Whether the config of a file is one that commits have. One above the repository, or that Git does not know, is the person's.
    fn is_of_commits(&self, path: &Path) -> Result<bool> {
        let Some(config) = self.context.configs()?.config_for(path)? else { return Ok(true) };
        let is_known = |path: &Path| {
            let name = path.strip_prefix(self.git.top()).ok();
            name.is_some_and(|name| self.index.get(name).is_some())
        };
        Ok(is_known(&Self::place(config.path())) || is_known(&real(config.path())))
    }

    fn place(path: &Path) -> PathBuf {
        path.file_name().map_or_else(|| real(path), |name| folder_of(path).join(name))
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => real(folder),
        _ => real(Path::new(".")),
    }
}

/// What configs say of a place; `None` where one cannot be read.
fn rules(configs: &[Configs], place: &Path) -> Option<Vec<KeySet>> {
    let rules: Result<Vec<_>> =
        configs.iter().map(|configs| policy::readers_of_other_state(configs, place)).collect();
    Some(rules.ok()?.into_iter().flatten().map(|rule| alone(&rule)).collect())
}
