//! Whether Git runs a hook that calls Sealant, and who owns the hooks where it does not.
//!
//! Writes nothing. What Git would not run here and now is no hook, whatever a config says.

use std::path::{Path, PathBuf};

use Event::{Commit, Mail, Merge};

use serde::Deserialize;
use serde_json::Value;

use super::{FORMER_HOOKS, HOOK, HOOK_LINE, Step, contains, read};
use crate::error::Result;
use crate::fs::Snapshot;
use crate::os;
use crate::secret::SecretBytes;

/// What makes Git commit, and ask a hook before. It asks none before it commits a cherry-pick or a revert that has no
/// conflict, nor in a rebase, whatever `git rebase --continue` commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Commit,
    /// A merge without a conflict.
    Merge,
    /// A patch of `git am`.
    Mail,
}

impl Event {
    pub const ALL: [Self; 3] = [Commit, Merge, Mail];

    /// What Git calls the hook.
    pub fn hook(self) -> &'static str {
        match self {
            Commit => "pre-commit",
            Merge => "pre-merge-commit",
            Mail => "pre-applypatch",
        }
    }

    /// What the hook looks at.
    pub fn what(self) -> &'static str {
        match self {
            Commit => "what is committed",
            Merge => "what `git merge` commits",
            Mail => "what `git am` commits",
        }
    }

    /// What the framework calls it, today and formerly.
    fn stages(self) -> &'static [&'static str] {
        match self {
            Commit => &["pre-commit", "commit"],
            Merge => &["pre-merge-commit", "merge-commit"],
            Mail => &[],
        }
    }
}

/// The file that Git runs before it commits, or would run.
pub(super) struct Hook<'t> {
    top: &'t Path,
    event: Event,
    pub path: PathBuf,
    text: Option<SecretBytes>,
}

impl<'t> Hook<'t> {
    /// The hook in the folder of hooks.
    pub fn read(top: &'t Path, folder: &Path, event: Event) -> Result<Self> {
        let path = folder.join(event.hook());
        Ok(Self { top, event, text: read(&path)?, path })
    }

    /// Whether it was written by us, in any version.
    pub fn is_ours(&self) -> bool {
        self.is(HOOK) || self.is_outdated()
    }

    /// Whether an older version has written it.
    pub fn is_outdated(&self) -> bool {
        FORMER_HOOKS.iter().any(|former| self.is(former))
    }

    fn is(&self, text: &str) -> bool {
        self.text.as_ref().is_some_and(|found| **found == *text.as_bytes())
    }

    /// What it says, to tell whether it still says so.
    pub fn snapshot(&self) -> Snapshot {
        self.text.as_ref().map_or(Snapshot::absent(), |text| Snapshot::of(text))
    }

    /// The file that says that Sealant is called, where Git comes to it.
    pub fn caller(&self) -> Result<Option<PathBuf>> {
        if !self.is_run() {
            return Ok(None);
        }
        if self.calls_us() || self.passes_on()? {
            return Ok(Some(self.path.clone()));
        }
        let Some(manager) = self.manager() else { return Ok(None) };
        Ok(if self.is_named(&manager)? { self.config(&manager) } else { None })
    }

    /// What a person has to do first, where something else has the say about hooks.
    pub fn missing(&self) -> Result<Option<Step>> {
        if self.calls_us() && !self.is_run() {
            return Ok(Some(Step::Left {
                what: format!("{} is not executable, so Git does not run it", self.path.display()),
                advice: format!("Run `chmod +x {}`.", self.path.display()),
            }));
        }
        let Some(manager) = self.manager() else { return Ok(None) };
        let (what, advice) = match self.is_limited(&manager)? {
            true => manager.limited(),
            false => self.told(&manager),
        };
        // Its owner rewrites it, and keeps its mode.
        let Some(start) = manager.start(self.event).filter(|_| !self.is_run()) else {
            return Ok(Some(Step::Left { what, advice }));
        };
        let is_named = self.is_named(&manager)?;
        let what = format!("{what}, but has not installed a hook in this clone: commits are not checked");
        let then = format!("Run `{start}`.");
        Ok(Some(Step::Left { what, advice: if is_named { then } else { format!("{advice}\n{then}") } }))
    }

    /// Whether Git runs it.
    fn is_run(&self) -> bool {
        self.path.metadata().is_ok_and(|data| data.is_file() && os::says_it_may_be_run(&data) != Some(false))
    }

    fn says(&self, part: &str) -> bool {
        self.text.as_ref().is_some_and(|text| contains(text, part))
    }

    /// Whether it has our line.
    pub fn calls_us(&self) -> bool {
        self.text.as_ref().is_some_and(|text| has_line(text, HOOK_LINE))
    }

    /// Whether it runs the hook of a commit, as Git's own samples of the others do, and that one calls us.
    fn passes_on(&self) -> Result<bool> {
        let is_passed = |text: &SecretBytes| self.event != Commit && has_line(text, "hooks/pre-commit");
        if !self.text.as_ref().is_some_and(is_passed) {
            return Ok(false);
        }
        let folder = self.path.parent().unwrap_or(self.top);
        Ok(Self::read(self.top, folder, Commit)?.caller()?.is_some())
    }

    /// Who owns it. Where there is none yet, a config of a manager counts for the hook that every manager writes: one of
    /// ours beside it takes nothing from them.
    fn manager(&self) -> Option<Manager> {
        let is_there =
            |name: &str| self.text.is_none() && self.event == Commit && self.top.join(name).exists();
        if self.path.components().any(|part| part.as_os_str() == HUSKY) || is_there(HUSKY) {
            Some(Manager::Husky)
        } else if self.says("lefthook") || is_there(LEFTHOOK) {
            Some(Manager::Lefthook)
        } else if self.says("pre-commit.com") || is_there(FRAMEWORK) {
            Some(Manager::Framework)
        } else {
            self.text.as_ref().map(|_| Manager::Person)
        }
    }

    /// Where a manager is told what to run.
    fn config(&self, manager: &Manager) -> Option<PathBuf> {
        match manager {
            Manager::Framework => Some(self.top.join(FRAMEWORK)),
            Manager::Husky => {
                // Its own file in `_/` runs the one above it.
                let own = self.path.parent().filter(|folder| folder.ends_with("_")).and_then(Path::parent);
                Some(own.map_or_else(|| self.top.join(HUSKY), Path::to_path_buf).join(self.event.hook()))
            }
            Manager::Lefthook => Some(self.top.join(LEFTHOOK)),
            Manager::Person => None,
        }
    }

    /// Whether a manager is told to call Sealant.
    fn is_named(&self, manager: &Manager) -> Result<bool> {
        let Some(config) = self.config(manager) else { return Ok(false) };
        let Some(text) = read(&config)? else { return Ok(false) };
        Ok(match manager {
            Manager::Framework => has_entry(&text, self.event),
            Manager::Lefthook => has_command(&text, self.event),
            _ => has_line(&text, HOOK_LINE),
        })
    }

    /// Whether a manager is told so, but with something that may have it not run.
    fn is_limited(&self, manager: &Manager) -> Result<bool> {
        let Some(config) = self.config(manager) else { return Ok(false) };
        let is_mentioned = read(&config)?.is_some_and(|text| match manager {
            Manager::Framework => entries(&text, self.event).next().is_some(),
            Manager::Lefthook => {
                told_to_lefthook(&text, self.event).is_some_and(|told| told.to_string().contains(HOOK_LINE))
            }
            Manager::Husky | Manager::Person => false,
        });
        Ok(is_mentioned && !self.is_named(manager)?)
    }

    fn told(&self, manager: &Manager) -> (String, String) {
        let hook = self.event.hook();
        match manager {
            Manager::Framework => (
                format!("the pre-commit framework owns the hook ({FRAMEWORK})"),
                format!(
                    "Add Sealant to {FRAMEWORK}:\n- repo: {}\n  rev: v{}\n  hooks: [{{id: sealant-system}}]",
                    env!("CARGO_PKG_REPOSITORY"),
                    env!("CARGO_PKG_VERSION"),
                ),
            ),
            Manager::Husky => {
                ("husky owns the hooks".to_owned(), format!("Add the line `{HOOK_LINE}` to {HUSKY}/{hook}."))
            }
            Manager::Lefthook => (
                "lefthook owns the hooks".to_owned(),
                format!("Add to {LEFTHOOK}:\n{hook}: {{commands: {{sealant: {{run: {HOOK_LINE}}}}}}}"),
            ),
            Manager::Person => (
                format!("{} exists already, and was left alone", self.path.display()),
                format!("Add the line `{HOOK_LINE} || exit` to it."),
            ),
        }
    }
}

const FRAMEWORK: &str = ".pre-commit-config.yaml";
const HUSKY: &str = ".husky";
const LEFTHOOK: &str = "lefthook.yml";

/// Who writes a repository's hooks.
enum Manager {
    Framework,
    Husky,
    Lefthook,
    Person,
}

impl Manager {
    /// What to say where it is told to call Sealant, and not always.
    fn limited(&self) -> (String, String) {
        let (config, keys) = match self {
            Self::Lefthook => (LEFTHOOK, "`skip`, `only`, `glob`, `exclude` and the like"),
            _ => (FRAMEWORK, "`entry`, `args`, `language`, `files`, `exclude` and `types`"),
        };
        (
            format!(
                "{config} names Sealant's hook, but what stands beside it may keep it from running: commits may not be checked"
            ),
            format!("Remove from Sealant's entry in {config} what limits or replaces it: {keys}."),
        )
    }

    /// What makes it write its hook in a clone.
    fn start(&self, event: Event) -> Option<&'static str> {
        match self {
            Self::Framework if event == Merge => Some("pre-commit install --hook-type pre-merge-commit"),
            Self::Framework => Some("pre-commit install"),
            Self::Husky => Some("npx husky"),
            Self::Lefthook => Some("lefthook install"),
            Self::Person => None,
        }
    }
}

/// Whether a line of a script has this in it and not in a comment.
fn has_line(text: &[u8], part: &str) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| contains(without_comment(line), part))
}

/// Whether lefthook is told to call Sealant, in whatever form it is told, and always.
fn has_command(config: &[u8], event: Event) -> bool {
    told_to_lefthook(config, event).as_ref().is_some_and(always_calls_us)
}

/// What lefthook is told of an event.
fn told_to_lefthook(config: &[u8], event: Event) -> Option<Value> {
    let config: Value = serde_yaml::from_str(str::from_utf8(config).ok()?).ok()?;
    config.get(event.hook()).cloned()
}

/// Whether this or something in it is a command of ours, on the way to which nothing limits when it runs.
fn always_calls_us(told: &Value) -> bool {
    const LIMITS: [&str; 10] =
        ["skip", "only", "glob", "exclude", "files", "file_types", "root", "tags", "exclude_tags", "if"];
    match told {
        Value::String(text) => text.contains(HOOK_LINE),
        Value::Array(items) => items.iter().any(always_calls_us),
        Value::Object(entries) => {
            let is_limited =
                LIMITS.iter().any(|key| entries.get(*key).is_some_and(|value| *value != Value::Bool(false)));
            !is_limited && entries.values().any(always_calls_us)
        }
        _ => false,
    }
}

fn without_comment(line: &[u8]) -> &[u8] {
    let is_comment = |at: &usize| line[*at] == b'#' && (*at == 0 || line[*at - 1].is_ascii_whitespace());
    &line[..(0..line.len()).find(is_comment).unwrap_or(line.len())]
}

/// As far as it matters here.
#[derive(Deserialize)]
struct Framework {
    repos: Vec<Repo>,
    default_stages: Option<Vec<String>>,
    files: Option<String>,
    exclude: Option<String>,
}

#[derive(Deserialize)]
struct Repo {
    hooks: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    entry: Option<String>,
    stages: Option<Vec<String>>,
    language: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    files: Option<String>,
    exclude: Option<String>,
    types: Option<Vec<String>>,
    types_or: Option<Vec<String>>,
    exclude_types: Option<Vec<String>>,
}

impl Entry {
    fn is_ours(&self) -> bool {
        ["sealant", "sealant-system"].contains(&self.id.as_str()) || self.calls_us()
    }

    fn calls_us(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.contains(HOOK_LINE))
    }

    /// Whether it checks every commit, as far as one can see here.
    fn is_certain(&self) -> bool {
        let is_replaced = self.entry.is_some() && !self.calls_us();
        let is_program =
            !self.language.as_deref().is_some_and(|language| ["fail", "pygrep"].contains(&language));
        let is_passed = |arg: &String| ["--", "--fix"].contains(&arg.as_str());
        let is_any = |types: &Option<Vec<String>>| {
            types.as_ref().is_none_or(|types| types.iter().all(|one| one == "file"))
        };
        let is_all = |types: &Option<Vec<String>>| {
            types.as_ref().is_none_or(|types| types.is_empty() || types.iter().any(|one| one == "file"))
        };
        let has_no = |pattern: &Option<String>| pattern.as_ref().is_none_or(String::is_empty);
        !is_replaced
            && is_program
            && self.args.iter().all(is_passed)
            && has_no(&self.files)
            && has_no(&self.exclude)
            && is_any(&self.types)
            && is_all(&self.types_or)
            && self.exclude_types.as_ref().is_none_or(Vec::is_empty)
    }
}

/// Whether the framework is told to call Sealant, by our hooks or by a local one, and always.
fn has_entry(config: &[u8], event: Event) -> bool {
    entries(config, event).any(|is_certain| is_certain)
}

/// The entries of the framework's config that call Sealant at an event: whether it is certain that each one runs.
fn entries(config: &[u8], event: Event) -> impl Iterator<Item = bool> {
    let config = str::from_utf8(config).ok().and_then(|text| serde_yaml::from_str::<Framework>(text).ok());
    // The framework itself runs nothing by a config that it cannot read.
    let config = config.into_iter();
    config.flat_map(move |Framework { repos, default_stages, files, exclude }| {
        let is_for_all = lets_secrets_through(files.as_deref(), exclude.as_deref());
        let hooks = repos.into_iter().flat_map(|repo| repo.hooks).filter(Entry::is_ours);
        let hooks = hooks.filter(move |hook| {
            let stages = hook.stages.as_ref().or(default_stages.as_ref()).filter(|stages| !stages.is_empty());
            let is_meant = |stage: &String| event.stages().contains(&stage.as_str());
            stages.is_none_or(|stages| stages.iter().any(is_meant))
        });
        hooks.map(move |hook| is_for_all && hook.is_certain())
    })
}

/// Whether what the framework leaves out for all hooks are not the files that Sealant is for.
fn lets_secrets_through(files: Option<&str>, exclude: Option<&str>) -> bool {
    let matches =
        |pattern: &str, file: &str| regex::Regex::new(pattern).ok().map(|regex| regex.is_match(file));
    [".sops.yaml", "secrets/a.yaml", "a.yaml"].iter().all(|file| {
        files.is_none_or(|pattern| matches(pattern, file) == Some(true))
            && exclude.is_none_or(|pattern| pattern == "^$" || matches(pattern, file) == Some(false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_calls_nobody() {
        for (line, calls) in [
            ("sealant hook pre-commit || exit", true),
            ("\texec sealant hook pre-commit # who else", true),
            ("[ $# = 0 ] && sealant hook pre-commit", true),
            ("# sealant hook pre-commit", false),
            ("  #sealant hook pre-commit", false),
            ("true # sealant hook pre-commit", false),
            ("sealant check", false),
        ] {
            assert_eq!(has_line(format!("#!/bin/sh\n{line}\n").as_bytes(), HOOK_LINE), calls, "{line}");
        }
    }

    #[test]
    fn the_framework_runs_what_its_config_names() {
        for (hook, runs) in [
            ("{id: sealant}", true),
            ("{id: sealant-system, args: [--fix, --], stages: [pre-push, pre-commit]}", true),
            ("{id: mine, entry: sealant hook pre-commit, language: system, args: [--]}", true),
            ("{id: other} # id: sealant", false),
            ("{id: sealant-other}", false),
            ("{id: other, name: 'id: sealant'}", false),
            ("{id: sealant, stages: [pre-push]}", false),
            ("{id: sealant", false),
            ("{id: sealant, types_or: [file, symlink], args: ['--']}", true),
            ("{id: sealant, entry: 'true'}", false),
            ("{id: sealant, files: ^$}", false),
            ("{id: sealant, exclude: .*}", false),
            ("{id: sealant, types: [python]}", false),
            ("{id: sealant, types_or: [python]}", false),
            ("{id: sealant, exclude_types: [yaml]}", false),
            ("{id: sealant, args: [--help]}", false),
            ("{id: mine, entry: sealant hook pre-commit, language: pygrep}", false),
        ] {
            let config = format!("repos:\n- repo: x\n  rev: y\n  hooks:\n  - {hook}\n");
            assert_eq!(has_entry(config.as_bytes(), Commit), runs, "{hook}");
        }
        assert!(!has_entry(b"# id: sealant\nrepos: []\n", Commit));
        assert!(!has_entry(
            b"default_stages: [manual]\nrepos: [{repo: x, hooks: [{id: sealant}]}]\n",
            Commit
        ));
        for (patterns, runs) in [
            ("exclude: ^(vendor|docs)/", true),
            ("exclude: '.*'", false),
            ("files: ^$", false),
            ("exclude: ^secrets/", false),
            ("files: (?!x)", false),
        ] {
            let config = format!("{patterns}\nrepos: [{{repo: x, hooks: [{{id: sealant}}]}}]\n");
            assert_eq!(has_entry(config.as_bytes(), Commit), runs, "{patterns}");
        }
        let of_merges = b"repos: [{repo: x, hooks: [{id: sealant, stages: [pre-merge-commit]}]}]\n";
        assert!(!has_entry(of_merges, Commit) && has_entry(of_merges, Merge));
    }

    #[test]
    fn lefthook_runs_what_stands_below_the_hook() {
        let config = b"pre-commit: {jobs: [{run: sealant hook pre-commit}]}\npre-merge-commit: {jobs: []}\n";
        assert!(has_command(config, Commit) && !has_command(config, Merge) && !has_command(config, Mail));
        for (told, runs) in [
            ("{commands: {a: {run: sealant hook pre-commit, skip: false}}}", true),
            ("{commands: {a: {run: sealant hook pre-commit, skip: true}}}", false),
            ("{commands: {a: {run: sealant hook pre-commit, skip: [merge]}}}", false),
            ("{skip: true, commands: {a: {run: sealant hook pre-commit}}}", false),
            ("{jobs: [{run: sealant hook pre-commit, glob: '*.py'}]}", false),
            ("{jobs: [{run: true, skip: true}, {run: sealant hook pre-commit}]}", true),
        ] {
            assert_eq!(has_command(format!("pre-commit: {told}\n").as_bytes(), Commit), runs, "{told}");
        }
        assert!(!has_command(b"#pre-commit: {jobs: [{run: sealant hook pre-commit}]}\n", Commit));
    }
}
