//! What an earlier commit's configs say of files whose configs were changed since.
//!
//! Owns that nobody makes a secret plaintext by changing the rule along with it: a file of which the rules of the earlier
//! commit say more than those of today is a finding, whatever is in it. It reads no files. What no file shows is seen in
//! `weakened`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{Configs, Lookup};
use crate::document::Format;
use crate::error::Result;
use crate::repo::check::{Checked, Encoding, Finding, Plan, Rule, WHOLE};
use crate::repo::git::Git;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::configs::{self, Staged};
use crate::repo::git::history::not_understood;
use crate::repo::git::tree::{Entry, ObjectId, Tree};
use crate::repo::git::updated::Updated;
use crate::secret::SecretBytes;

/// How much of a commit's name is shown.
const SHORT: usize = 10;

/// The configs of an earlier commit.
pub struct Before {
    pub configs: Configs,
    pub id: ObjectId,
    /// A short name.
    pub(super) commit: String,
    pub top: PathBuf,
    pub tree: Tree,
    /// The same with what submodules had, where a change takes them to another commit.
    pub(super) names: Tree,
    /// Those in which a config has changed since.
    pub(super) folders: BTreeSet<PathBuf>,
    /// One config was named, and is for all files.
    pub(super) is_explicit: bool,
    /// The configs that are links into submodules, each with its submodule. What they said is in another repository.
    pub(super) in_submodules: Vec<(PathBuf, PathBuf)>,
}

impl Before {
    /// The configs of each of these commits, if one has changed since in any folder: these are `folders`, and those of configs in
    /// submodules. `now` is what there is today, and `submodules` those of it that differ.
    pub fn read_all(
        git: &Git,
        commits: &[String],
        (submodules, now): (&[PathBuf], &Tree),
        folders: &BTreeSet<PathBuf>,
        lookup: &Lookup,
        blobs: &mut Blobs,
    ) -> Result<Vec<Self>> {
        if folders.is_empty() && submodules.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for commit in commits {
            let tree = Tree::of_commit(git, commit)?;
            let updated = Updated::all(git, submodules, &tree, now);
            let folders: BTreeSet<PathBuf> =
                folders.iter().cloned().chain(updated.iter().flat_map(Updated::folders)).collect();
            if !folders.is_empty() {
                found.push(Self::read(git, commit, tree, &updated, folders, lookup.clone(), blobs)?);
            }
        }
        Ok(found)
    }

    fn read(
        git: &Git,
        commit: &str,
        tree: Tree,
        updated: &[Updated<'_>],
        folders: BTreeSet<PathBuf>,
        lookup: Lookup,
        blobs: &mut Blobs,
    ) -> Result<Self> {
        let mut staged = Staged::read(git.top(), &tree, lookup.explicit.as_deref(), blobs)?;
        let mut names = tree.clone();
        updated.iter().try_for_each(|updated| updated.add_before(&mut names, &mut staged))?;
        let id = ObjectId::parse(commit.as_bytes()).ok_or_else(not_understood)?;
        let commit = commit.get(..SHORT).unwrap_or(commit).to_owned();
        let is_explicit = lookup.explicit.is_some();
        let is_submodule = |path: &&Path| matches!(tree.get(path), Some(Entry::Submodule(_)));
        let in_submodule = |(config, through): (PathBuf, Vec<PathBuf>)| {
            let submodule = through.last()?.ancestors().find(is_submodule)?.to_path_buf();
            Some((config, submodule))
        };
        let in_submodules = configs::linked(&tree, blobs)?.into_iter().filter_map(in_submodule).collect();
        let (configs, top) = (Configs::from_source(lookup, staged), git.top().to_path_buf());
        Ok(Self { configs, id, commit, top, tree, names, folders, is_explicit, in_submodules })
    }
}

impl Before {
    /// What is wrong with a file that is skipped today.
    fn passed_by(&self, finding: Finding) -> Finding {
        let message = format!(
            "{}; the config in commit {} makes `check` report that, and today's config skips the file",
            finding.message, self.commit
        );
        Finding { rule: Rule::Weakened, message, ..finding }
    }
}

/// What the configs of several commits say.
pub fn configs(befores: &[Before]) -> impl Iterator<Item = &Configs> {
    befores.iter().map(|before| &before.configs)
}

/// How a file is looked at: by the rules of today, and by those of earlier commits.
pub struct Plans<'b> {
    today: Option<Plan>,
    before: Vec<(Plan, &'b Before)>,
}

impl<'b> Plans<'b> {
    pub fn of(
        name: Option<&Path>,
        format: Format,
        size: u64,
        configs: &Configs,
        befores: &'b [Before],
    ) -> Result<Self> {
        let today = Plan::of(name, format, size, configs)?;
        // A config that made no sense said nothing.
        let before = befores.iter().filter_map(|before| {
            let plan = Plan::of(name, format, size, &before.configs).ok()??;
            Some((plan, before))
        });
        let before = before.collect();
        Ok(Self { today, before })
    }

    fn all(&self) -> impl Iterator<Item = &Plan> + Clone {
        self.today.iter().chain(self.before.iter().map(|(plan, _)| plan))
    }

    /// The most that the file may hold; `None` for one that is skipped.
    pub fn limit(&self) -> Option<usize> {
        self.all().next().map(|plan| plan.limit)
    }

    /// A finding where the file is in an encoding that is not read, though values are looked for in it.
    pub fn unseen(&self, encoding: &Encoding, bytes: &[u8]) -> Option<Finding> {
        let mut plans = self.all();
        let message = match plans.clone().any(Plan::is_read_by_git) {
            true => encoding.misleads(),
            false => encoding.unseen(bytes).filter(|_| plans.any(Plan::is_about_values)),
        }?;
        Some(Finding::new(1, Rule::Encoding, message))
    }

    /// What is wrong with the config of the file, with its path.
    pub fn hidden(&self, is_encrypted: bool) -> Option<(PathBuf, Finding)> {
        self.today.as_ref()?.hidden(is_encrypted)
    }

    /// What is wrong with the file, and the file itself as [`Plan::check`] has it.
    pub fn check(&self, bytes: SecretBytes) -> Result<Checked> {
        let Checked { mut findings, file } = match (&self.today, &self.before[..]) {
            (Some(plan), []) => return plan.check(bytes),
            (Some(plan), _) => plan.check(bytes.clone())?,
            (None, _) => Checked::default(),
        };
        for (plan, before) in &self.before {
            match self.weakened(plan, before, &bytes) {
                Some(finding) => findings.push(finding),
                None if self.today.is_none() => {
                    let found = plan.check(bytes.clone())?.findings.into_iter();
                    findings.extend(found.map(|finding| before.passed_by(finding)));
                }
                None => {}
            }
        }
        findings.sort();
        Ok(Checked { findings, file })
    }

    /// A finding where a value is not secret any more that the earlier rules call secret.
    fn weakened(&self, plan: &Plan, before: &Before, bytes: &SecretBytes) -> Option<Finding> {
        let rule = plan.rule()?;
        let then = plan.secrets(bytes);
        let now = self.today.as_ref().map(|plan| plan.secrets(bytes)).unwrap_or_default();
        let kept = then.intersection(&now).count();
        // A file that cannot be taken apart, or is binary now, is secret as a whole.
        if kept == then.len() || now.contains(&WHOLE) {
            return None;
        }
        let then = then.len();
        let message = format!(
            "{rule} in commit {} says to encrypt {} of this file, and today's config {}",
            before.commit,
            counted(then),
            if kept == 0 { "none".to_owned() } else { format!("only {}", counted(kept)) }
        );
        Some(Finding::new(1, Rule::Weakened, message))
    }
}

fn counted(count: usize) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}
