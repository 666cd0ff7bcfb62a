//! Which command fixes a finding: one that works for the file as it is now.
//!
//! The table of rules says what each kind of finding means. Here we look at a file again where its owner would change
//! it, in the working tree. This changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cli::args::Formats;
use crate::cli::commands::check::report::Found;
use crate::cli::context::Context;
use crate::cli::ui::with_file;
use crate::cli::unnamed::Move;
use crate::config::{Configs, Policy, is_config};
use crate::document::{self, Format};
use crate::encrypted_file::{Meant, format_in, meant};
use crate::fs;
use crate::hints::conflict_line;
use crate::host::Host;
use crate::repo::altered::Whole;
use crate::repo::check::{Rule, check};
use crate::repo::git::Git;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::Tree;
use crate::secret::SecretBytes;
use crate::shown::typed;

/// How many files we list per rule: whoever has fixed these runs the check again.
const MOST_SHOWN: usize = 20;

/// We do not read a larger file again for this.
const MOST_READ: u64 = 1 << 20;

/// Where the checked files are, and which rules apply to them.
pub struct Place<'a> {
    /// The folder that file names are relative to; empty for the working directory.
    pub folder: &'a Path,
    /// The files are in Git's index, or in commits.
    pub is_staged: bool,
    /// Some of the findings have been encrypted since.
    pub is_fixed: bool,
    pub configs: &'a Configs,
}

/// What fixes a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// `is_data`: of a type that holds values.
    Encrypt {
        strips: bool,
        is_data: bool,
    },
    /// Nothing is wrong in the working tree.
    Stage,
    /// It is staged, and not in the working tree any more.
    StageRemoval,
    /// No creation rule names recipients.
    AddRule {
        strips: bool,
    },
    /// No rule matches it where it is, and one does elsewhere.
    Move {
        strips: bool,
        to: Move,
    },
    MakeConfig,
    /// Somebody added values to an encrypted file, on these lines.
    TakeOut(BTreeSet<usize>),
    /// A Secret next to SealedSecrets, which no command seals or encrypts.
    Separate,
    /// `staged`: Git takes it for resolved, markers and all.
    Resolve {
        staged: bool,
    },
    Recipients,
    Settings {
        rule_first: bool,
    },
    /// It shares something with another file, and this is to be thought of.
    Part(&'static str),
    /// A commit has it whole; `because` it says something that is to be known.
    Restore {
        commit: String,
        because: &'static str,
    },
    /// It is the result of a merge, which Git can bring back.
    MergeAgain,
    Inspect,
    /// Plaintext that cannot be read as its type, on this line.
    Repair(Option<usize>),
    /// Out of the next commit; `known`: the last one has it.
    Unstage {
        known: bool,
    },
}

impl Step {
    fn last_commit() -> Self {
        Self::Restore { commit: "HEAD".to_owned(), because: "back to the last commit" }
    }

    /// Whether one command fixes many files.
    fn takes_many(&self) -> bool {
        matches!(
            self,
            Self::Encrypt { .. }
                | Self::Stage
                | Self::StageRemoval
                | Self::Recipients
                | Self::Settings { rule_first: false }
                | Self::Unstage { .. }
        )
    }

    /// The line to type for these files: a command, followed by what to do or know before it.
    fn line(&self, names: &str, is_staged: bool) -> String {
        let (command, before) = self.command(names);
        let stages = is_staged
            && !matches!(
                self,
                Self::Stage
                    | Self::StageRemoval
                    | Self::MakeConfig
                    | Self::Inspect
                    | Self::Separate
                    | Self::Restore { .. }
                    | Self::Unstage { .. }
            );
        let names = match self {
            Self::Move { to, .. } => format!("{names} {}", to.to),
            _ => names.to_owned(),
        };
        let stage = if stages { format!(" && git add {names}") } else { String::new() };
        let before = before.map(|before| format!("    # {before}")).unwrap_or_default();
        format!("  {command}{stage}{before}")
    }

    fn command(&self, names: &str) -> (String, Option<String>) {
        let strip = |strips: &bool| if *strips { " --strip-last-applied" } else { "" };
        let plain = |command: &str| (format!("sealant {command} {names}"), None);
        match self {
            Self::Encrypt { strips, is_data } => {
                let (command, _) = plain(&format!("encrypt -i{}", strip(strips)));
                let other = "if it is no secret: move it, or add it to `check.exclude` of the config";
                (command, (!is_data).then(|| other.to_owned()))
            }
            Self::Stage => (format!("git add {names}"), Some("the working tree is in order".to_owned())),
            Self::StageRemoval => (
                format!("git rm --cached -q -- {names}"),
                Some("staged under this name, though the file is gone".to_owned()),
            ),
            Self::AddRule { strips } => {
                let (command, _) = plain(&format!("encrypt -i{}", strip(strips)));
                (command, Some(format!("once a creation rule matches it: no rule matches {names} now")))
            }
            Self::Move { strips, to } => {
                let encrypted = format!("sealant encrypt -i{} {}", strip(strips), to.to);
                (
                    format!("{} && {encrypted}", to.command()),
                    Some(format!("or add a rule for {names}: none matches it now")),
                )
            }
            Self::MakeConfig => {
                ("sealant init".to_owned(), Some(format!("there is no config yet for {names}")))
            }
            Self::TakeOut(lines) => {
                let numbers: Vec<String> = lines.iter().map(usize::to_string).collect();
                let which = if numbers.len() == 1 { "line" } else { "lines" };
                let before = format!("first remove {which} {}, then add the value here", numbers.join(", "));
                (plain("edit").0, Some(before))
            }
            Self::Separate => (
                plain("inspect").0,
                Some("shows what is sealed; move the rest to a file of its own, and encrypt that".to_owned()),
            ),
            Self::Resolve { staged: false } => plain("resolve"),
            Self::Resolve { staged: true } => Self::MergeAgain.command(names),
            Self::Repair(line) => {
                let place = line.map_or_else(|| "it".to_owned(), |line| format!("line {line}"));
                (plain("encrypt -i").0, Some(format!("first fix {place}, which cannot be read")))
            }
            Self::Recipients => plain("updatekeys"),
            Self::Settings { rule_first: false } => plain("updatekeys --settings"),
            Self::Settings { rule_first: true } => (
                plain("updatekeys --settings").0,
                Some("once the rule says which values are secret".to_owned()),
            ),
            Self::Part(when) => (plain("rotate -i --allow-copied").0, Some((*when).to_owned())),
            Self::Restore { commit, because } => (
                format!("git restore --source={commit} --staged --worktree -- {names}"),
                Some((*because).to_owned()),
            ),
            Self::MergeAgain => (
                format!("git checkout -m {names} && sealant resolve {names}"),
                Some("do the merge again".to_owned()),
            ),
            Self::Inspect => (plain("inspect").0, Some("says what is wrong".to_owned())),
            Self::Unstage { known: true } => (format!("git restore --staged -- {names}"), None),
            Self::Unstage { known: false } => (
                format!("git rm --cached -f -q -- {names}"),
                Some("keeps it on disk, out of the commit".to_owned()),
            ),
        }
    }
}

/// Says what to do about findings: once for each rule, with a command for each file.
pub fn tell(found: &[Found], place: &Place<'_>, context: &Context) {
    let mut files: BTreeMap<Rule, BTreeMap<&Path, BTreeSet<usize>>> = BTreeMap::new();
    let is_broken: BTreeSet<&Path> = found
        .iter()
        .filter(|found| found.finding.rule == Rule::Broken)
        .map(|found| found.file.as_path())
        .collect();
    let copies = copies(found, place, context.host);
    for Found { file, finding, .. } in found {
        // One new data key is enough, and the copy is to have it, not the original.
        let is_copied_by = finding.other.as_deref().is_some_and(|other| copies.contains(other));
        if finding.rule == Rule::Copied && is_copied_by && !copies.contains(file.as_path()) {
            continue;
        }
        // Of half a file, what is left says nothing that could be mended.
        if is_broken.contains(file.as_path())
            && matches!(finding.rule, Rule::Settings | Rule::OwnSettings | Rule::Recipients)
        {
            continue;
        }
        // Requests for access are reported separately, so that nobody gets access by accident.
        if finding.pending.is_some() && !place.is_staged {
            continue;
        }
        files.entry(finding.rule).or_default().entry(file).or_default().insert(finding.line);
    }
    for (rule, files) in files {
        tell_rule(rule, &files, place, context);
    }
}

/// The files that share something with others and are in no commit yet: those are the copies.
fn copies<'f>(found: &'f [Found], place: &Place<'_>, host: &dyn Host) -> BTreeSet<&'f Path> {
    let copied = found.iter().filter(|found| found.finding.rule == Rule::Copied);
    let files: BTreeSet<&Path> = copied.map(|found| found.file.as_path()).collect();
    let is_new = |file: &&Path| in_last_commit(&place.folder.join(file), host).is_none();
    files.into_iter().take(MOST_SHOWN).filter(is_new).collect()
}

fn tell_rule(rule: Rule, files: &BTreeMap<&Path, BTreeSet<usize>>, place: &Place<'_>, context: &Context) {
    let mut lines: Vec<(Step, String)> = Vec::new();
    for (file, numbers) in files.iter().take(MOST_SHOWN) {
        let Some(step) = place.step(rule, file, numbers, context) else { continue };
        let name = place.typed(file);
        match lines.iter_mut().find(|(known, _)| step.takes_many() && *known == step) {
            Some((_, names)) => names.extend([" ", &name]),
            None => lines.push((step, name)),
        }
    }
    let advice = match (lines.is_empty(), files.keys().next()) {
        (false, Some(file)) => with_file(rule.besides(), &place.typed(file)),
        (true, Some(file)) => with_file(rule.advice(), &place.typed(file)),
        (_, None) => rule.advice().to_owned(),
    };
    let more = files.len().saturating_sub(MOST_SHOWN);
    let more =
        (more > 0 && !lines.is_empty()).then(|| format!("  and {more} more files, which are named above"));
    let lines = lines.into_iter().map(|(step, names)| step.line(&names, place.is_staged));
    let title = format!("{}: {advice}", rule.id());
    context.ui.say_list(title.trim_end(), lines.chain(more));
}

impl Place<'_> {
    /// A file's name as you would type it in the working directory.
    fn typed(&self, file: &Path) -> String {
        match self.is_here() {
            true => typed(file),
            false => typed(&self.folder.join(file)),
        }
    }

    fn is_here(&self) -> bool {
        self.folder.as_os_str().is_empty()
    }

    fn step(&self, rule: Rule, file: &Path, lines: &BTreeSet<usize>, context: &Context) -> Option<Step> {
        let path = self.folder.join(file);
        if fs::size(&path).is_some_and(|size| size > MOST_READ) {
            return None;
        }
        match rule {
            Rule::Plaintext | Rule::Comment | Rule::Secret | Rule::LastApplied => {
                self.encrypted_by(rule, &path, lines, context)
            }
            Rule::Recipients if self.is_staged && self.is_mended(rule, &path) => Some(Step::Stage),
            Rule::Recipients => Some(Step::Recipients),
            Rule::Settings => Some(Step::Settings { rule_first: false }),
            Rule::OwnSettings => Some(Step::Settings { rule_first: true }),
            Rule::Copied => Some(Step::Part(match in_last_commit(&path, context.host) {
                Some(_) => "if both are meant; else remove the one that is a copy",
                None => "if both are meant; else remove it",
            })),
            Rule::Moved => Some(Step::Part("if it is meant for the readers of its new path")),
            Rule::Broken => Some(self.repaired_by(&path, context.host)),
            Rule::Weakened
                if is_config(file)
                    && path.symlink_metadata().is_err()
                    && in_last_commit(&path, context.host).is_some() =>
            {
                Some(Step::last_commit())
            }
            Rule::Altered => match whole(&path, context.host)? {
                Whole::InMerge => Some(Step::MergeAgain),
                Whole::Commit(commit) => {
                    Some(Step::Restore { commit, because: "goes back to what can be opened" })
                }
            },
            Rule::PrivateKey if self.is_staged => {
                Some(Step::Unstage { known: in_last_commit(&path, context.host).is_some() })
            }
            _ => None,
        }
    }

    /// What fixes values in plaintext.
    fn encrypted_by(
        &self,
        rule: Rule,
        path: &Path,
        lines: &BTreeSet<usize>,
        context: &Context,
    ) -> Option<Step> {
        let Some((format, bytes)) = read(path) else {
            return self.is_staged.then_some(Step::StageRemoval);
        };
        if is_conflict(&bytes) {
            return Some(Step::Resolve { staged: self.is_staged });
        }
        if (self.is_staged || self.is_fixed) && self.is_mended(rule, path) {
            return self.is_staged.then_some(Step::Stage);
        }
        let strips = rule == Rule::LastApplied;
        Some(match meant(format, &bytes) {
            Some(Meant::Sealed) => Step::Separate,
            // Values that its own settings leave in plaintext were there when it was encrypted.
            Some(Meant::Document) if rule == Rule::Plaintext && !finds(rule, format, &bytes, None) => {
                Step::Settings { rule_first: false }
            }
            // A value that was replaced is not back when the new one is removed.
            Some(Meant::Document) => match Whole::of_replaced(context.host, path, &bytes).ok().flatten() {
                Some(Whole::InMerge) => Step::MergeAgain,
                Some(Whole::Commit(commit)) => {
                    Step::Restore { commit, because: "then change the value with `sealant edit`" }
                }
                None => Step::TakeOut(lines.clone()),
            },
            None if self.policy(path).is_some() => {
                Step::Encrypt { strips, is_data: format != Format::Binary }
            }
            None if self.configs.config_for(path).is_ok_and(|config| config.is_none()) => Step::MakeConfig,
            None => match Move::by_rule(self.configs, path, context) {
                Some(to) => Step::Move { strips, to },
                None => Step::AddRule { strips },
            },
        })
    }

    fn repaired_by(&self, path: &Path, host: &dyn Host) -> Step {
        let now = read(path);
        if now.as_ref().is_some_and(|(_, bytes)| is_conflict(bytes)) {
            return Step::Resolve { staged: self.is_staged };
        }
        if self.is_staged && now.is_some() && self.is_mended(Rule::Broken, path) {
            return Step::Stage;
        }
        let before = in_last_commit(path, host);
        let is_whole = |bytes: &SecretBytes| {
            let format = format_in(Formats::default().of_input(Some(path)), bytes);
            let is_other = now.as_ref().is_none_or(|(_, now)| **now != **bytes);
            is_other && !finds(Rule::Broken, format, bytes, self.policy(path).as_ref())
        };
        match now {
            _ if before.as_ref().is_some_and(is_whole) => Step::last_commit(),
            // Nothing in it is encrypted yet: encrypting says what keeps it from being read.
            Some((format, bytes)) if meant(format, &bytes).is_none() && self.policy(path).is_some() => {
                match document::parse(format, bytes, false) {
                    Err(error) => Step::Repair(error.line()),
                    Ok(_) => Step::Encrypt { strips: false, is_data: true },
                }
            }
            _ => Step::Inspect,
        }
    }

    /// Whether the working tree has none of these findings.
    fn is_mended(&self, rule: Rule, path: &Path) -> bool {
        read(path).is_some_and(|(format, bytes)| !finds(rule, format, &bytes, self.policy(path).as_ref()))
    }

    fn policy(&self, path: &Path) -> Option<Policy> {
        self.configs.matching_policy(path).ok().flatten()
    }
}

/// Where a file is whole that was changed without a key.
fn whole(path: &Path, host: &dyn Host) -> Option<Whole> {
    let (_, bytes) = read(path)?;
    Whole::find(host, path, &bytes).ok()?
}

/// What the last commit has of a file.
fn in_last_commit(path: &Path, host: &dyn Host) -> Option<SecretBytes> {
    let (git, name) = Git::of_file(host, path).ok()?;
    let id = Tree::entry_of_commit(&git, "HEAD", &name).ok()??;
    let limit = Formats::default().of_input(Some(&name)).most_bytes() as u64;
    Blobs::open(&git).ok()?.read(&id, limit).ok()
}

fn read(path: &Path) -> Option<(Format, SecretBytes)> {
    let format = Formats::default().of_input(Some(path));
    let bytes = fs::read_found(path, format.most_bytes() as u64).ok()?;
    Some((format_in(format, &bytes), bytes))
}

fn is_conflict(bytes: &SecretBytes) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| conflict_line(text).is_some())
}

/// Whether a rule finds anything. A file that cannot be checked counts as a finding.
fn finds(rule: Rule, format: Format, bytes: &SecretBytes, policy: Option<&Policy>) -> bool {
    check(format, bytes.clone(), policy)
        .map_or(true, |checked| checked.findings.iter().any(|finding| finding.rule == rule))
}
