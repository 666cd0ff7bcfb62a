//! Git, asked by running it: what is staged, what commits hold, what is set up.
//!
//! Owns how Git is started and what is made of its failures; the files beside it say what is asked. There is one place that
//! starts it, `Git::start`: at the real top of a working tree, as `place` finds it, and so that no program runs which a
//! repository names. Nobody else starts Git, and nobody starts it in a folder of a repository's content.

pub mod absent;
pub mod ancestry;
pub mod at_places;
pub mod attributes;
pub mod beside;
pub mod blame;
pub mod blobs;
pub mod changes;
pub mod configs;
pub mod gitlinks;
pub mod gitmodules;
pub mod history;
pub mod install;
pub mod left;
pub mod lfs;
pub mod merge;
mod place;
pub mod resolve;
mod running;
pub mod sequence;
pub mod sides;
pub mod textconv;
pub mod tree;
pub mod updated;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::{Command, Host};
use crate::os;
use crate::secret::SecretBytes;
use crate::shown;
use place::Place;
pub use place::{
    NoGit, are_of_one_repository, is_kept_in, is_left_over, kept_without_tree, named_top, repository_of,
    root_of, submodule_name, trees_of,
};
use running::Running;

/// What Git reads out of a working tree. It would not understand it encrypted.
const READ_BY_GIT: [&str; 4] = [".gitignore", ".gitattributes", ".gitmodules", ".mailmap"];

/// Those of them that it reads at the top of a working tree alone.
const READ_AT_TOP: [&str; 2] = [".gitmodules", ".mailmap"];

/// Whether Git itself reads this file.
pub fn reads(file: &Path) -> bool {
    let is_among =
        |names: &[&str]| file.file_name().is_some_and(|name| names.iter().any(|read| name == *read));
    let is_at_top = || file.with_file_name(".git").exists();
    is_among(&READ_BY_GIT) && (!is_among(&READ_AT_TOP) || is_at_top())
}

/// The most that one answer may hold: the names of some million files.
const OUTPUT_LIMIT: u64 = 512 << 20;

/// How long Git may be silent. A look through a million files on a slow disk is shorter.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long each may be once others have been for as long: there may be many repositories that are made to wait in.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);

/// What is said to Git whatever it is asked.
const SWITCHES: &[&str] = &[
    "--no-pager",
    // An object that replaces another one here does not where it is pushed.
    "--no-replace-objects",
    // A path is a path, whatever it looks like.
    "--literal-pathspecs",
    // A folder that only looks like a bare repository is not one, and no program looks at files for Git.
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "core.fsmonitor=false",
    // It says who a commit's parents are, and a clone by path takes it over as it is.
    "-c",
    "core.commitGraph=false",
    // No program verifies signatures.
    "-c",
    "log.showSignature=false",
    "-c",
    "i18n.logOutputEncoding=UTF-8",
    "-c",
    "advice.graftFileDeprecated=false",
    "-c",
    "log.showRoot=true",
    // How merges are shown is asked for each time: "remerge" would start the merge drivers that a repository names.
    "-c",
    "log.diffMerges=separate",
    "-c",
    "log.follow=false",
    "-c",
    "diff.orderFile=/dev/null",
    // Names of people are as their commits have them, and no file is opened that a config names for others.
    "-c",
    "log.mailmap=false",
    "-c",
    "mailmap.file=/dev/null",
];

/// No hook is run by what we do, neither one in a folder, nor, in newer Gits, one that a config names (`hook.NAME.command`):
/// these are switched off by what they are run for.
const NO_HOOKS: [&str; 10] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "hook.reference-transaction.enabled=false",
    "-c",
    "hook.post-index-change.enabled=false",
    "-c",
    "hook.post-checkout.enabled=false",
    "-c",
    "hook.pre-auto-gc.enabled=false",
];

/// What Git gets in its environment: nobody is asked for anything, no lock is taken for a mere look, nothing is fetched, by
/// whatever program, and messages are in one language.
const ENV: [(&str, &str); 9] = [
    // Many answers at a time, not each by itself.
    ("GIT_FLUSH", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    // What a commit comes from is what it says.
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_ALLOW_PROTOCOL", ""),
    ("GIT_EDITOR", ":"),
    ("GIT_SEQUENCE_EDITOR", ":"),
    ("LC_ALL", "C"),
];

/// What would make something else of a path, or of a difference.
const UNSET: [&str; 5] = [
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
];

/// What Git says where a repository belongs to somebody else, whatever its version.
const SAFE_DIRECTORY: &str = "safe.directory";

/// Git at the top of one working tree. What is in the environment counts: a hook is told there which index is meant.
#[derive(Clone)]
pub struct Git<'h> {
    host: &'h dyn Host,
    place: Place,
    patience: Duration,
}

/// How a run of Git ended.
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: SecretBytes,
    message: String,
}

impl<'h> Git<'h> {
    /// Git at the top of the working tree in which `folder` is; `None` where there is none.
    pub fn find(host: &'h dyn Host, folder: &Path) -> Result<Option<Self>, NoGit> {
        Ok(Place::of(host, folder)?.map(|place| Self::at(host, place)))
    }

    /// Git at the top of the working tree in which `folder` is.
    pub fn of(host: &'h dyn Host, folder: &Path) -> Result<Self> {
        Self::find(host, folder).map_err(NoGit::into_error)?.ok_or_else(|| {
            let folder = place::real(folder).unwrap_or_else(|_| folder.to_path_buf());
            Error::new(Kind::Read, "is not inside a Git repository").in_file(folder)
        })
    }

    /// The same for a command that is of no use elsewhere, and says so.
    pub fn needed(host: &'h dyn Host, folder: &Path) -> Result<Self> {
        Self::of(host, folder).map_err(|error| match error.advice() {
            Some(_) => error,
            None => error.advise("Go into a clone, or make a repository: `git init`."),
        })
    }

    /// Git for what it can do without a repository. No config of one counts; paths have to be absolute.
    pub fn without_repository(host: &'h dyn Host) -> Self {
        Self::at(host, Place::nowhere())
    }

    /// Git for a repository that is kept without a working tree: of a submodule that is not checked out.
    pub fn kept(host: &'h dyn Host, git_dir: &Path) -> Result<Self> {
        Ok(Self::at(host, Place::kept(git_dir)?))
    }

    fn at(host: &'h dyn Host, place: Place) -> Self {
        Self { host, place, patience: PATIENCE.saturating_sub(running::waited_in_vain()).max(LEAST_PATIENCE) }
    }

    /// The top folder of the working tree. Git is started there, and paths are relative to it.
    pub fn top(&self) -> &Path {
        &self.place.top
    }

    /// Git for a file, and what the file is called from its top; it need not exist. Links of folders are followed, the file
    /// may be one.
    pub fn of_file(host: &'h dyn Host, file: &Path) -> Result<(Self, PathBuf)> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let git = Self::of(host, folder)?;
        let name = git.name_of_folder(folder)?.join(file.file_name().unwrap_or_default());
        Ok((git, name))
    }

    /// What a folder of the working tree is called from its top; nothing, when it is the top.
    pub fn name_of_folder(&self, folder: &Path) -> Result<PathBuf> {
        let real = place::real(folder)?;
        let name = real.strip_prefix(self.top()).map(Path::to_path_buf);
        name.map_err(|_| {
            let message = format!("is not in the repository {}", self.top().display());
            Error::new(Kind::NoFile, message).in_file(folder)
        })
    }

    /// A name as a pathspec; an empty name gives none.
    pub fn pathspec(name: &Path) -> &OsStr {
        if name.as_os_str().is_empty() { OsStr::new(".") } else { name.as_os_str() }
    }

    /// What the person calls themselves in their commits; `None` where Git has not been told. A claim, as all of a config is.
    pub fn user_name(&self) -> Option<String> {
        let answer =
            self.ask(["config", "--get", "user.name"]).ok().filter(|answer| answer.code == Some(0))?;
        let name = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
    }

    /// Where Git LFS keeps contents.
    pub fn lfs_objects(&self) -> PathBuf {
        self.place.common_dir().join("lfs/objects")
    }

    /// What Git prints; an error when it fails.
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<SecretBytes> {
        let args = owned(args);
        let answer = self.ask(&args)?;
        if answer.code == Some(0) { Ok(answer.stdout) } else { Err(self.explained(answer, &args)) }
    }

    /// As [`Git::run`], for a command that reads.
    pub fn run_on<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I, input: &[u8]) -> Result<SecretBytes> {
        let args = owned(args);
        let mut running = self.start(args.clone())?;
        let stdin = running.input();
        let answer = thread::scope(|scope| {
            // Beside the reading, so that neither side waits for the other. Git need not read to the end: then it fails.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            self.answer_of(running)
        })?;
        if answer.code == Some(0) { Ok(answer.stdout) } else { Err(self.explained(answer, &args)) }
    }

    /// What Git prints and how it ends, for a command whose exit code is part of its answer.
    pub fn ask<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<Answer> {
        self.answer_of(self.start(owned(args))?)
    }

    fn answer_of(&self, mut running: Running) -> Result<Answer> {
        drop(running.input());
        match fs::read_at_most(running.output()?, OUTPUT_LIMIT, 0) {
            Ok(Some(stdout)) => running.end(stdout),
            Ok(None) => Err(running.failed(&format!("printed more than {} MiB", OUTPUT_LIMIT >> 20))),
            Err(error) => Err(running.unread(error)),
        }
    }

    /// Lets `read` have what Git prints as it comes, which need not fit into memory.
    pub fn stream<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        args: I,
        mut read: impl FnMut(&mut dyn BufRead) -> Result<()>,
    ) -> Result<()> {
        let args = owned(args);
        let mut running = self.start(args.clone())?;
        drop(running.input());
        read(&mut BufReader::with_capacity(1 << 16, running.output()?))?;
        let answer = running.end(SecretBytes::default())?;
        if answer.code == Some(0) { Ok(()) } else { Err(self.explained(answer, &args)) }
    }

    /// Whether this clone has not got all contents, and fetches them when they are needed (`git clone --filter`).
    pub fn is_partial(&self) -> Result<bool> {
        let settings = r"^(extensions\.partialclone|remote\..*\.promisor)$";
        Ok(self.ask(["config", "--get-regexp", settings])?.code == Some(0))
    }

    /// A path that Git prints.
    pub fn path_of<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<PathBuf> {
        Ok(self.path_in(&self.run(args)?))
    }

    fn path_in(&self, output: &[u8]) -> PathBuf {
        let path = output.strip_suffix(b"\n").unwrap_or(output);
        self.top().join(os::name_of(path))
    }

    /// Paths that Git prints with a zero byte behind each, as they are called from its top folder.
    pub fn paths_of<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<Vec<PathBuf>> {
        let output = self.run(args)?;
        let names = output.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| PathBuf::from(os::name_of(name))).collect())
    }

    /// Where Git looks for hooks.
    pub fn hooks(&self) -> Result<PathBuf> {
        let args = owned(["rev-parse", "--git-path", "hooks"]);
        let answer = self.answer_of(self.start_with(args.clone(), &[])?)?;
        if answer.code == Some(0) {
            Ok(self.path_in(&answer.stdout))
        } else {
            Err(self.explained(answer, &args))
        }
    }

    /// Starts Git. This is the only place that does.
    fn start(&self, args: Vec<OsString>) -> Result<Running> {
        self.start_with(args, &NO_HOOKS)
    }

    fn start_with(&self, args: Vec<OsString>, hooks: &[&str]) -> Result<Running> {
        let Place { top, env, unset } = &self.place;
        let switches = SWITCHES.iter().chain(hooks).map(OsString::from);
        let folder = ["-C".into(), top.clone().into_os_string()];
        // Git goes no way up from where it is started.
        let ceiling = top.parent().map(|above| ("GIT_CEILING_DIRECTORIES".into(), above.into()));
        let args = slashed_names(without_submodules(args));
        let filters = if is_one_of(&args, READS_NO_FILES) { Vec::new() } else { self.no_filters()? };
        let own = ENV.iter().map(|(name, value)| (name.into(), value.into()));
        let command = Command {
            program: "git".into(),
            args: folder.into_iter().chain(switches).chain(args.iter().cloned()).collect(),
            env: own.chain(ceiling).chain(env.iter().cloned()).chain(filters).collect(),
            unset: unset.iter().cloned().chain(UNSET.iter().map(OsString::from)).collect(),
            ..Command::default()
        };
        let child = self.host.start(&command).map_err(|error| {
            Error::new(Kind::Read, "`git` cannot be started")
                .caused_by(error)
                .advise("Install Git, and make sure that it is on the PATH.")
        })?;
        Ok(Running::new(args, child, self.patience))
    }

    /// Variables that switch off the filters which the repository's own config names: programs that Git would run over files
    /// of the working tree. Those of the person's settings (Git LFS) run.
    fn no_filters(&self) -> Result<Vec<(OsString, OsString)>> {
        const NAMES: &str = r"^filter\..*\.(clean|process|required)$";
        let listed = self.ask(["config", "-z", "--show-scope", "--name-only", "--get-regexp", NAMES])?.stdout;
        let fields: Vec<&[u8]> = listed.split(|byte| *byte == 0).collect();
        let names = fields.chunks_exact(2).filter(|pair| matches!(pair[0], b"local" | b"worktree"));
        let count = self.host.env_text("GIT_CONFIG_COUNT")?.and_then(|count| count.parse().ok()).unwrap_or(0);
        let mut env: Vec<(OsString, OsString)> = Vec::new();
        let mut next: usize = count;
        for name in names.map(|pair| pair[1]) {
            let off = if name.ends_with(b".required") { "false" } else { "" };
            env.push((format!("GIT_CONFIG_KEY_{next}").into(), os::name_of(name)));
            env.push((format!("GIT_CONFIG_VALUE_{next}").into(), off.into()));
            next += 1;
        }
        if next > count {
            env.push(("GIT_CONFIG_COUNT".into(), next.to_string().into()));
        }
        Ok(env)
    }

    /// Why a command failed, and the way out where the repository belongs to somebody else. That is the person's to say:
    /// we never pass it.
    fn explained(&self, answer: Answer, args: &[OsString]) -> Error {
        let is_strange = answer.message.contains(SAFE_DIRECTORY);
        let error = answer.into_error(args);
        match is_strange {
            true => error.advise(format!(
                "Git does not read repositories that belong to another user. If you trust it: \
                 `git config --global --add {SAFE_DIRECTORY} {}`",
                shown::typed(self.top())
            )),
            false => error,
        }
    }
}

/// Commands that do not look into files of the working tree: all others are taken to do so.
const READS_NO_FILES: &[&str] = &[
    "cat-file",
    "check-attr",
    "config",
    "diff-tree",
    "for-each-ref",
    "log",
    "ls-files",
    "ls-tree",
    "merge-base",
    "merge-file",
    "rev-list",
    "rev-parse",
];

fn is_one_of(args: &[OsString], commands: &[&str]) -> bool {
    args.first().is_some_and(|command| commands.iter().any(|known| command == known))
}

/// Names of files stand behind `--`, and Git has slashes in them.
fn slashed_names(mut args: Vec<OsString>) -> Vec<OsString> {
    let names = args.iter().position(|arg| arg == "--").map_or(args.len(), |at| at + 1);
    args[names..].iter_mut().for_each(|name| *name = os::name_of(&os::slashed(Path::new(name))));
    args
}

/// A submodule has a config of its own, whose programs Git would run over its files. And `.gitmodules` may say that Git is to pass
/// over its commits.
fn without_submodules(mut args: Vec<OsString>) -> Vec<OsString> {
    if is_one_of(&args, &["diff", "diff-index", "diff-tree", "log", "show"]) {
        args.insert(1, "--ignore-submodules=dirty".into());
    }
    args
}

fn owned<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Vec<OsString> {
    args.into_iter().map(|arg| arg.as_ref().to_owned()).collect()
}

impl Answer {
    /// Why the command failed.
    pub fn into_error<S: AsRef<OsStr>>(self, args: &[S]) -> Error {
        let how = match self.code {
            Some(code) => format!("exited with {code}"),
            None => "was stopped by a signal".to_owned(),
        };
        self.into_error_or(args, &how)
    }

    fn into_error_or<S: AsRef<OsStr>>(self, args: &[S], how: &str) -> Error {
        match self.message.trim() {
            "" => failed(args, how),
            message => failed(args, "failed").caused_by(in_one_line(message)),
        }
    }
}

/// What Git says, without the advice that it gives below an empty line: where we know one that fits, we give it ourselves.
fn in_one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn failed<S: AsRef<OsStr>>(args: &[S], how: &str) -> Error {
    let command = args.first().map(AsRef::as_ref).unwrap_or_default();
    Error::new(Kind::Read, format!("`git {}` {how}", command.display()))
}

/// A name for a commit that somebody has given. None of them begins as an option does.
pub fn revision(name: &str) -> Result<&str> {
    if name.is_empty() || name.starts_with('-') {
        return Err(Error::new(Kind::Other, format!("`{name}` is not the name of a commit")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::{Child, Stdio};

    use jiff::Timestamp;

    use super::*;
    use crate::host::Closed;

    /// A host on which every program is this shell script.
    struct Scripted(&'static str);

    impl Host for Scripted {
        fn env(&self, _: &str) -> Option<OsString> {
            None
        }
        fn start(&self, _: &Command) -> io::Result<Child> {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", self.0]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            shell.spawn()
        }
        fn note(&self, _: &str) {}
        fn now(&self) -> Timestamp {
            Closed.now()
        }
    }

    #[test]
    fn a_git_that_is_silent_is_stopped() {
        let scripts =
            ["sleep 60", "exec >&-; sleep 60", "sleep 60 & echo x", "echo x; exec >&- 2>&-; sleep 60"];
        for script in scripts {
            let host = Scripted(script);
            let git = Git { patience: Duration::from_millis(100), ..Git::without_repository(&host) };
            let start = std::time::Instant::now();
            let error = git.run(["log"]).unwrap_err().to_string();
            assert!(error.contains("`git log` was silent for 0 s, and was stopped"), "{script}: {error}");
            assert!(git.stream(["log"], drain).is_err(), "{script}");
            assert!(start.elapsed() < Duration::from_secs(20), "{script}");
        }
        let host = Scripted("sleep 60");
        let git = Git { patience: Duration::from_millis(100), ..Git::without_repository(&host) };
        let id = tree::ObjectId::parse(&[b'a'; 40]).unwrap();
        assert!(blobs::Blobs::open(&git).unwrap().read(&id, 1).is_err());
    }

    fn drain(output: &mut dyn BufRead) -> Result<()> {
        let drained = io::copy(output, &mut io::sink()).map(drop);
        drained.map_err(|error| Error::new(Kind::Read, "was not read").caused_by(error))
    }
}
