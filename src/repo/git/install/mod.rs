//! What Git has to be told in a clone: which driver merges and shows secrets, for which files, and which hook looks at
//! what is committed.
//!
//! Owns what is written there, and takes back exactly that. Whatever somebody else has written stays as it is. Nothing is
//! written through a link that leads out of the repository (`own.rs`).

mod hook;
mod own;

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::fs::{self, Mode, Snapshot};
use crate::repo::git::Git;
use crate::secret::SecretBytes;
pub use hook::Event;
use hook::Hook;
use memchr::memmem;
use own::Own;

/// The drivers. Git gives these lines to a shell, and quotes what it puts into them or behind them.
///
/// Where branches have several common ancestors, Git merges these with each other first, by the driver that `recursive` names: by
/// any but ours, what both have and one side has taken out since would come back.
pub const SETTINGS: [(&str, &str); 6] = [
    (TEXTCONV, "sealant git textconv --"),
    ("merge.sealant.name", "Sealant: secrets, value by value"),
    (DRIVER, "sealant git merge %O %A %B --marker-size %L --path %P"),
    (RECURSIVE, "sealant-inner"),
    ("merge.sealant-inner.name", "Sealant: common ancestors"),
    (INNER, "sealant git merge --inner %O %A %B --marker-size %L --path %P"),
];
const TEXTCONV: &str = "diff.sealant.textconv";
const DRIVER: &str = "merge.sealant.driver";
pub const RECURSIVE: &str = "merge.sealant.recursive";
const INNER: &str = "merge.sealant-inner.driver";

/// What older versions have written, and what is ours to change and to take out.
const FORMER: [(&str, &str); 2] = [(TEXTCONV, "sealant git textconv"), (RECURSIVE, "binary")];

/// Git would keep what textconv prints, which is plaintext.
const CACHE: &str = "diff.sealant.cachetextconv";
const INFO_ATTRIBUTES: &str = "info/attributes";
const CACHE_REF: &str = "refs/notes/textconv/sealant";

/// Which files may hold secrets. The drivers look into each, and leave others to Git.
const PATTERNS: [&str; 5] = ["*.yaml", "*.yml", "*.json", "*.env", "*.ini"];
const BEGIN: &str = "# sealant: written by `sealant git install`";
const END: &str = "# sealant: end";

/// What a hook says that looks at what is staged.
pub const HOOK_LINE: &str = "sealant hook pre-commit";
const HOOK: &str = "#!/bin/sh
# Written by `sealant git install`; `sealant git install --uninstall` takes it away.
if ! command -v sealant > /dev/null; then
    echo 'sealant is not on the PATH, so this commit cannot be checked for secrets. Install it, or skip the check once: git commit --no-verify' >&2
    exit 1
fi
# Git has asked, not the pre-commit framework: what is staged counts.
unset PRE_COMMIT PRE_COMMIT_FROM_REF PRE_COMMIT_TO_REF
exec sealant hook pre-commit
";

/// The hook as older versions have written it.
const FORMER_HOOKS: [&str; 3] = [
    "#!/bin/sh
# Written by `sealant git install`; `sealant git install --uninstall` takes it away.
if ! command -v sealant > /dev/null; then
    echo 'sealant is not on the PATH, so nobody can tell whether a secret would be committed in clear' >&2
    exit 1
fi
exec sealant hook pre-commit
",
    "#!/bin/sh
# Written by `sealant git install`; `sealant git install --uninstall` takes it away.
if ! command -v sealant > /dev/null; then
    echo 'sealant is not on the PATH, so nobody can tell whether a secret would be committed in clear' >&2
    exit 1
fi
# Git has asked, not the pre-commit framework: what is staged counts.
unset PRE_COMMIT PRE_COMMIT_FROM_REF PRE_COMMIT_TO_REF
exec sealant hook pre-commit
",
    "#!/bin/sh
# Written by `sealant git install`; `sealant git install --uninstall` takes it away.
if ! command -v sealant > /dev/null; then
    echo 'sealant is not on the PATH, so nobody can tell whether a secret would be committed in plaintext' >&2
    exit 1
fi
# Git has asked, not the pre-commit framework: what is staged counts.
unset PRE_COMMIT PRE_COMMIT_FROM_REF PRE_COMMIT_TO_REF
exec sealant hook pre-commit
",
];

/// The most that any of the files may hold.
const LIMIT: u64 = 16 << 20;

/// Where the attributes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributes {
    /// `.gitattributes`, which is committed: for everybody.
    Committed,
    /// `info/attributes` of the clone: for this person alone.
    Info,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Written(PathBuf),
    Removed(PathBuf),
    AsItWas(PathBuf),
    /// Left to the person: what there is, and what to do.
    Left {
        what: String,
        advice: String,
    },
}

/// A clone and what it is told.
pub struct Setup<'a, 'h> {
    git: &'a Git<'h>,
    own: Own,
}

impl<'a, 'h> Setup<'a, 'h> {
    /// Git's folder is the top of the working tree.
    pub fn of(git: &'a Git<'h>) -> Result<Self> {
        Ok(Self { git, own: Own::of(git)? })
    }

    /// Tells Git all that it needs.
    pub fn install(&self, place: Attributes) -> Result<Vec<Step>> {
        self.refuse_links()?;
        let mut steps: Vec<Step> = self.stop_caching()?.into_iter().collect();
        steps.push(self.write_settings()?);
        steps.push(self.edit_attributes(place, with_block)?);
        steps.extend(self.overruled()?);
        for event in Event::ALL {
            steps.push(self.write_hook(event)?);
        }
        Ok(joined(steps))
    }

    /// Refuses what Git or we would write through, before anything is written.
    fn refuse_links(&self) -> Result<()> {
        for name in ["config", INFO_ATTRIBUTES] {
            self.own.refuse_link(&self.git.path_of(["rev-parse", "--git-path", name])?)?;
        }
        Ok(())
    }

    /// Takes back what [`Setup::install`] has written; nothing is said of what it has not.
    pub fn uninstall(&self) -> Result<Vec<Step>> {
        self.refuse_links()?;
        let mut steps = vec![self.remove_settings()?];
        for place in [Attributes::Committed, Attributes::Info] {
            steps.push(self.edit_attributes(place, without_block)?);
        }
        for event in Event::ALL {
            steps.push(self.remove_hook(event)?);
        }
        steps.retain(|step| !matches!(step, Step::AsItWas(_)));
        Ok(steps)
    }

    fn remove_hook(&self, event: Event) -> Result<Step> {
        let hook = self.hook(event)?;
        let shown = hook.path.display();
        if hook.is_ours() && !self.own.has(&hook.path) {
            return Ok(Step::Left {
                what: format!("{shown} is in a folder outside this repository"),
                advice: "Remove it there, if no other repository needs it.".to_owned(),
            });
        }
        if hook.is_ours() {
            fs::remove(&hook.path)?;
            return Ok(Step::Removed(hook.path));
        }
        if hook.calls_us() {
            return Ok(Step::Left {
                what: format!("{shown} calls sealant, but has other lines too"),
                advice: format!("Remove the line `{HOOK_LINE}` from it."),
            });
        }
        Ok(Step::AsItWas(hook.path))
    }

    fn setting(&self, name: &str) -> Result<Option<String>> {
        let answer = self.git.ask(["config", "--get", name])?;
        let value = String::from_utf8_lossy(&answer.stdout).trim_end_matches('\n').to_owned();
        Ok((answer.code == Some(0)).then_some(value))
    }

    fn config_path(&self) -> Result<PathBuf> {
        self.git.path_of(["rev-parse", "--git-path", "config"])
    }

    fn write_settings(&self) -> Result<Step> {
        let path = self.config_path()?;
        let mut is_new = false;
        for (name, value) in SETTINGS {
            if self.local_setting(name)?.as_deref() != Some(value) {
                self.git.run(["config", "--local", "--replace-all", name, value])?;
                is_new = true;
            }
        }
        is_new |= self.unset(FORMER)?;
        Ok(if is_new { Step::Written(path) } else { Step::AsItWas(path) })
    }

    fn local_setting(&self, name: &str) -> Result<Option<String>> {
        let answer = self.git.ask(["config", "--local", "--get-all", name])?;
        let value = String::from_utf8_lossy(&answer.stdout).trim_end_matches('\n').to_owned();
        Ok((answer.code == Some(0)).then_some(value))
    }

    fn remove_settings(&self) -> Result<Step> {
        let path = self.config_path()?;
        let was_there = self.unset(SETTINGS.into_iter().chain(FORMER))?;
        Ok(if was_there { Step::Removed(path) } else { Step::AsItWas(path) })
    }

    /// Takes out those of these settings that have just these values, and says whether there was one.
    fn unset(&self, settings: impl IntoIterator<Item = (&'static str, &'static str)>) -> Result<bool> {
        let mut was_there = false;
        for (name, value) in settings {
            if self.local_setting(name)?.as_deref() == Some(value) {
                self.git.run(["config", "--local", "--unset-all", name])?;
                was_there = true;
            }
        }
        Ok(was_there)
    }

    /// Whether Git keeps what textconv prints.
    pub fn caches(&self) -> Result<bool> {
        let answer = self.git.ask(["config", "--type=bool", "--get", CACHE])?;
        Ok(answer.code == Some(0) && answer.stdout.starts_with(b"true"))
    }

    fn stop_caching(&self) -> Result<Option<Step>> {
        if !self.caches()? {
            return Ok(None);
        }
        // It may be set elsewhere, which is not ours to change.
        self.git.ask(["config", "--local", "--unset-all", CACHE])?;
        if self.caches()? {
            return Err(Error::new(
                Kind::Conflict,
                format!("{CACHE} is true: Git would store plaintext in {CACHE_REF}"),
            )
            .advise(format!("`git config --show-origin {CACHE}` shows where it is set: remove it there.")));
        }
        Ok(Some(Step::Left {
            what: format!("{CACHE} was true, so Git may have stored plaintext in {CACHE_REF}: it is off now"),
            // Not run here: refs and their logs can be links, or name other refs, and Git follows both.
            advice: format!("`git update-ref -d {CACHE_REF} && git gc --prune=now` removes what it stored."),
        }))
    }

    fn attributes_path(&self, place: Attributes) -> Result<PathBuf> {
        match place {
            Attributes::Committed => Ok(self.git.top().join(".gitattributes")),
            Attributes::Info => self.git.path_of(["rev-parse", "--git-path", INFO_ATTRIBUTES]),
        }
    }

    fn edit_attributes(&self, place: Attributes, edit: impl Fn(&[u8]) -> Result<Vec<u8>>) -> Result<Step> {
        let path = self.attributes_path(place)?;
        if place == Attributes::Committed && path.is_symlink() {
            return Err(Error::new(Kind::Conflict, "is a link, and Git does not follow links here")
                .in_file(path)
                .advise("Replace it with a file, or use `--attributes info`."));
        }
        let old = read(&path)?;
        let snapshot = old.as_ref().map_or(Snapshot::absent(), |old| Snapshot::of(old));
        let new = edit(old.as_ref().map_or(&[][..], |old| old)).map_err(|error| error.in_file(&path))?;
        if old.as_ref().map_or(new.is_empty(), |old| **old == *new) {
            return Ok(Step::AsItWas(path));
        }
        if new.is_empty() {
            fs::remove(&path)?;
            return Ok(Step::Removed(path));
        }
        fs::create_parent(&path)?;
        fs::write_atomic_if_unchanged(&path, &new, Mode::Public, &snapshot)?;
        let is_in = contains(&new, BEGIN);
        Ok(if is_in { Step::Written(path) } else { Step::Removed(path) })
    }

    /// The kinds of files for which the attributes say something else, for a line of the person's own counts more.
    fn overruled(&self) -> Result<Option<Step>> {
        let others: Vec<&str> =
            PATTERNS.into_iter().filter(|pattern| !self.has_attributes(pattern).unwrap_or(false)).collect();
        Ok((!others.is_empty()).then(|| Step::Left {
            what: format!("other attributes take precedence for {}", others.join(", ")),
            advice: "Add `diff=sealant merge=sealant` to those lines whose files may hold secrets."
                .to_owned(),
        }))
    }

    /// Whether Git calls Sealant for files of this kind in the top folder.
    fn has_attributes(&self, pattern: &str) -> Result<bool> {
        let file = pattern.replace('*', "sealant");
        let output = self.git.run(["check-attr", "-z", "diff", "merge", "--", &file])?;
        // FILE, ATTRIBUTE, VALUE, twice.
        let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
        Ok(fields.get(2) == Some(&&b"sealant"[..]) && fields.get(5) == Some(&&b"sealant"[..]))
    }

    fn hook(&self, event: Event) -> Result<Hook<'_>> {
        Hook::read(self.git.top(), &self.git.hooks()?, event)
    }

    fn write_hook(&self, event: Event) -> Result<Step> {
        let hook = self.hook(event)?;
        let is_outdated = hook.is_outdated();
        if !is_outdated {
            if let Some(path) = hook.caller()? {
                return Ok(Step::AsItWas(path));
            }
            if let Some(left) = hook.missing()? {
                return Ok(left);
            }
        }
        if !self.own.has(&hook.path) {
            let folder = hook.path.parent().unwrap_or(&hook.path);
            let names = Event::ALL.map(Event::hook).join(", ");
            return Ok(Step::Left {
                what: format!(
                    "the hooks are in {}, outside this repository, where others may share them",
                    fs::real_folder(folder).display()
                ),
                advice: format!("If everybody wants it, add the line `{HOOK_LINE}` to these there: {names}."),
            });
        }
        if is_outdated {
            fs::write_atomic_if_unchanged(&hook.path, HOOK.as_bytes(), Mode::Executable, &hook.snapshot())?;
        } else {
            fs::create_parent(&hook.path)?;
            fs::create_new(&hook.path, HOOK.as_bytes(), Mode::Executable)?;
        }
        Ok(Step::Written(hook.path))
    }

    /// What there is.
    pub fn survey(&self) -> Result<Survey> {
        let (textconv, driver) = (self.setting(TEXTCONV)?, self.setting(DRIVER)?);
        let mut outdated = false;
        for (name, value) in SETTINGS {
            let found = self.setting(name)?;
            outdated |= match name {
                TEXTCONV | DRIVER => found.is_some_and(|found| found != value),
                // Where the driver is set, the others belong to it.
                RECURSIVE | INNER => driver.is_some() && found.as_deref() != Some(value),
                _ => false,
            };
        }
        let is_former =
            |(name, value): &(&str, &str)| Ok(self.local_setting(name)?.as_deref() == Some(*value));
        let former = FORMER.iter().map(is_former).collect::<Result<Vec<bool>>>()?;
        let outdated = outdated || former.contains(&true);
        let mut survey = Survey {
            attributes: PATTERNS.iter().any(|pattern| self.has_attributes(pattern).unwrap_or(false)),
            caches: self.caches()?,
            unseen: Vec::new(),
            left: Vec::new(),
            outdated,
            drivers: [textconv, driver],
        };
        for event in Event::ALL {
            let hook = self.hook(event)?;
            survey.outdated |= hook.is_outdated();
            if hook.caller()?.is_none() {
                survey.unseen.push(event);
                survey.left.extend(if hook.is_outdated() { None } else { hook.missing()? });
            }
        }
        survey.left = joined(survey.left);
        Ok(survey)
    }
}

/// Steps of which each is said once: what is left to a person for one reason is one step.
fn joined(steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        let same = |known: &&mut Step| match (&step, &**known) {
            (Step::Left { what, .. }, Step::Left { what: known, .. }) => what == known,
            (step, known) => step == known,
        };
        match (joined.iter_mut().find(same), step) {
            (Some(Step::Left { advice: known, .. }), Step::Left { advice, .. }) => {
                // What is to be done after all of it comes last, once.
                let is_new = |line: &&str| !advice.lines().any(|other| other == *line);
                let lines: Vec<&str> = known.lines().filter(is_new).chain(advice.lines()).collect();
                *known = lines.join("\n");
            }
            (Some(_), _) => {}
            (None, step) => joined.push(step),
        }
    }
    joined
}

/// What Git has been told in a clone.
pub struct Survey {
    /// Some files have the attributes: somebody has installed the drivers, maybe in another clone.
    pub attributes: bool,
    /// The command lines of textconv and of the merge driver.
    pub drivers: [Option<String>; 2],
    /// Something is not as it would be written today.
    pub outdated: bool,
    /// Git keeps what textconv prints.
    pub caches: bool,
    /// When Git commits, and runs nothing that has Sealant look at it.
    pub unseen: Vec<Event>,
    /// What of that only a person can change, for others own the hooks.
    pub left: Vec<Step>,
}

fn read(path: &Path) -> Result<Option<SecretBytes>> {
    match fs::read_found(path, LIMIT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == Kind::NoFile => Ok(None),
        Err(error) => Err(error),
    }
}

fn contains(text: &[u8], part: &str) -> bool {
    find(text, part).is_some()
}

fn find(text: &[u8], part: &str) -> Option<usize> {
    memmem::find(text, part.as_bytes())
}

/// Attributes with ours, as they are written today, at their beginning: of several lines about a file the last one counts,
/// and the person's own should.
fn with_block(text: &[u8]) -> Result<Vec<u8>> {
    let others = without_block(text)?;
    // As Git has them where it gives files the line ends of Windows.
    let end = if contains(text, "\r\n") { "\r\n" } else { "\n" };
    let mut block = format!("{BEGIN}{end}");
    for pattern in PATTERNS {
        // Neither Sealant nor sops can read an encrypted dotenv file with such line ends.
        let kept = if pattern == "*.env" { "-text " } else { "" };
        block += &format!("{pattern} {kept}diff=sealant merge=sealant{end}");
    }
    block += END;
    block += end;
    // A mark of UTF-8 stays in front, where Git skips it.
    let mark = if others.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    Ok([&others[..mark], block.as_bytes(), &others[mark..]].concat())
}

fn without_block(text: &[u8]) -> Result<Vec<u8>> {
    let Some(start) = find(text, BEGIN) else { return Ok(text.to_vec()) };
    let Some(length) = find(&text[start..], END) else {
        return Err(Error::new(Kind::Conflict, format!("the line `{END}` is missing"))
            .advise("Put it back after the lines of `sealant git install`, or remove all of them."));
    };
    let rest = &text[start + length + END.len()..];
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
    Ok([&text[..start], rest.strip_prefix(b"\n").unwrap_or(rest)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_and_go_and_leave_the_others_as_they_are() {
        for text in
            [&b""[..], b"*.yaml text", b"# x\r\n*.json -diff\r\n", b"\xef\xbb\xbf*.ini text\n", b"\xff\n"]
        {
            let with = with_block(text).unwrap();
            assert!(with.len() > text.len() && with.ends_with(&text[text.len().min(3)..]));
            assert_eq!(without_block(&with).unwrap(), text);
            assert_eq!(with_block(&with).unwrap(), with);
            // Git has given it the line ends of Windows.
            let windows =
                String::from_utf8_lossy(&with).replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
            assert_eq!(with_block(&windows).unwrap(), windows);
        }
        assert!(with_block(b"\xef\xbb\xbfx\n").unwrap().starts_with(b"\xef\xbb\xbf# sealant"));
        assert!(without_block(BEGIN.as_bytes()).is_err());
    }
}
