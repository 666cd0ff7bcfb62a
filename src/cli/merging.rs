//! Whom a rule lets in while a rebase, or several cherry-picks, reverts or patches, are under way.
//!
//! Owns that a rule counts then as far as it does where these began, or as far as the branch that is brought there adds somebody as a
//! whole. Each step has the config of its own commit in the working tree, which nobody has reviewed by itself.

use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::copies::real;
use crate::config::{Configs, absolute};
use crate::error::Result;
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::repo::git::Git;
use crate::repo::git::configs::of_commit;
use crate::repo::git::sequence::{self, Course};
use crate::repo::git::tree::Tree;

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
    let mut under_way = None;
    for path in paths {
        if under_way.is_none() {
            if !sequence::may_be_under_way(&folder_of(path)) {
                return Ok(());
            }
            under_way = Some(UnderWay::of(context, path)?);
        }
        let Some(Some(under_way)) = &under_way else { return Ok(()) };
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
        // A config that cannot be read names nobody.
        let configs = |commits: Vec<String>| -> Result<Vec<Configs>> {
            let mut found = Vec::new();
            for commit in commits {
                let mut lookup = context.lookup()?;
                lookup.explicit = lookup.explicit.map(|path| absolute(&path, &lookup.working_dir));
                lookup.working_dir = real(&lookup.working_dir);
                found.extend(of_commit(&git, &commit, lookup));
            }
            Ok(found)
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
        let (began, leads_to) = (named(&self.began, &place), named(&self.leads_to, &place));
        let before = named(&self.forks, &place);
        let counts =
            |key: &MasterKey| key.is_among(&began) || (key.is_among(&leads_to) && !key.is_among(&before));
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

fn named(configs: &[Configs], place: &Path) -> Vec<MasterKey> {
    let of = |configs: &Configs| policy::readers_of_other_state(configs, place).ok().flatten();
    configs.iter().filter_map(of).flat_map(|rule| rule.groups).flatten().collect()
}
