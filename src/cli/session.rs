//! A person edits plaintext, and what came of it is written encrypted: for all commands that open an editor.
//!
//! Owns that plaintext is only in a private folder and that nobody's work is lost.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::cli::context::Context;
use crate::cli::{editor, pipeline};
use crate::document::MAX_BINARY;
use crate::error::{Error, Kind, Result};
use crate::fs::{self, Lock, Mode, PrivateDir, Snapshot};
use crate::host::{Command, Host};
use crate::secret::SecretBytes;
use crate::sops::Ciphertext;

/// An editor that comes back sooner has hardly been read by anybody.
const GLANCE: Duration = Duration::from_millis(500);

/// Editors that cannot come back sooner than somebody leaves them.
const IN_TERMINAL: [&str; 11] =
    ["vi", "vim", "nvim", "view", "ex", "ed", "nano", "pico", "micro", "hx", "kak"];

/// What became of a file.
pub enum Edited {
    Written,
    Unchanged,
}

/// Makes a file of what was edited.
pub type Encryption<'a> = &'a dyn Fn(SecretBytes) -> Result<Ciphertext>;

/// An editor, and the person in front of it.
pub struct Session<'a> {
    context: &'a Context<'a>,
    editor: Command,
    /// Whether a text counts as edited though it is the same.
    even_unchanged: bool,
}

impl<'a> Session<'a> {
    pub fn new(context: &'a Context<'a>) -> Result<Self> {
        Ok(Self { context, editor: editor::find(context.host)?, even_unchanged: false })
    }

    /// The same, in which what was not changed is encrypted and written as well.
    pub fn even_unchanged(&self) -> Self {
        Self { context: self.context, editor: self.editor.clone(), even_unchanged: true }
    }

    /// Has a person edit a text until it can be encrypted and written.
    pub fn run(
        &self,
        path: &Path,
        before: &SecretBytes,
        snapshot: &Snapshot,
        encrypt: Encryption,
    ) -> Result<Edited> {
        let folder = PrivateDir::new(self.context.host)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let plain = folder.create(&name, before)?;
        loop {
            let time = self.run_editor(&plain)?;
            let edited = fs::read_found(&plain, MAX_BINARY as u64).map_err(|error| {
                Error::new(Kind::NoEditor, "the editor left no file that can be read; nothing was changed")
                    .caused_by(error.message().to_owned())
            })?;
            if edited == *before && !self.even_unchanged {
                folder.close()?;
                self.tell_unchanged(path, time);
                return Ok(Edited::Unchanged);
            }
            let encrypted = match encrypt(edited) {
                Ok(encrypted) => encrypted,
                Err(error) => {
                    self.ask_to_go_on(error.in_file(path))?;
                    continue;
                }
            };
            match write(path, &encrypted, snapshot, self.context) {
                Ok(()) => {
                    folder.close()?;
                    self.warn(path, &encrypted.warnings);
                    self.context.ui.say(format!("{}: encrypted and written", path.display()));
                    return Ok(Edited::Written);
                }
                Err(error) => match keep_beside(path, &encrypted) {
                    Ok(kept) => return Err(error.advise(what_was_kept(path, &kept))),
                    Err(_) => self.ask_to_go_on(error)?,
                },
            }
        }
    }

    fn run_editor(&self, file: &Path) -> Result<Duration> {
        let mut command = self.editor.clone();
        command.args.push(file.into());
        let failed = |why: String| {
            Error::new(Kind::NoEditor, format!("the editor `{}` {why}", command.program.display()))
                .advise("The file is unchanged.")
        };
        let since = Instant::now();
        let ended = self.context.host.run_in_front(&command);
        let status = ended.map_err(|error| failed("cannot be started".to_owned()).caused_by(error))?;
        if !status.success() {
            return Err(failed(how_it_ended(status)));
        }
        Ok(since.elapsed())
    }

    /// Tells what is wrong and waits for the person; an error when there is none, or when it is given up.
    fn ask_to_go_on(&self, error: Error) -> Result<()> {
        let Context { ui, host, .. } = self.context;
        if !host.can_ask() {
            ui.note("there is no terminal to ask on: your edits are lost, the file is unchanged");
            return Err(error);
        }
        ui.error(&error);
        let discarded = || Error::new(error.kind(), "edits discarded; the file is unchanged");
        let mut question = "Press Enter to go back to the editor, or n to discard your edits";
        let mut is_ended = false;
        loop {
            let answer = host.ask_line(question).map(|answer| answer.trim().to_lowercase());
            match answer.as_deref() {
                Ok("" | "y" | "yes") => return Ok(()),
                Ok("n" | "no") => return Err(discarded()),
                // One Ctrl-D is a slip; a terminal that is gone answers nothing else.
                Err(_) if is_ended => return Err(discarded()),
                _ => is_ended = answer.is_err(),
            }
            question = "Enter or y goes back to the editor, n discards your edits";
        }
    }

    fn tell_unchanged(&self, path: &Path, time: Duration) {
        let ui = self.context.ui;
        ui.say(format!("{}: nothing was changed", path.display()));
        if time < GLANCE && !self.is_in_terminal() {
            ui.note("the editor returned at once. Some need an option to wait, as in EDITOR='code --wait'");
        }
    }

    /// Whether the editor is known to stay in the terminal until it is left.
    fn is_in_terminal(&self) -> bool {
        let name = Path::new(&self.editor.program).file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| IN_TERMINAL.contains(&name))
    }

    pub fn warn(&self, path: &Path, warnings: &[String]) {
        for warning in warnings {
            self.context.ui.warning(format!("{}: {warning}", path.display()));
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with {code}"),
        None => "was stopped by a signal".to_owned(),
    }
}

fn write(path: &Path, file: &Ciphertext, snapshot: &Snapshot, context: &Context) -> Result<()> {
    let _lock = Lock::exclusive(path)?;
    pipeline::replace(path, &file.bytes, snapshot, context)
}

/// Saves a person's work where it is in nobody's way, under a name of the same type that is still free.
fn keep_beside(path: &Path, file: &Ciphertext) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mark = |mark: &str| match name.rsplit_once('.') {
        Some((stem, extension)) => path.with_file_name(format!("{stem}.{mark}.{extension}")),
        None => path.with_file_name(format!("{name}.{mark}")),
    };
    let mut names = (1..).map(|n| if n == 1 { mark("edited") } else { mark(&format!("edited-{n}")) });
    let kept = names.find(|name| !name.exists() && !name.is_symlink()).unwrap_or_default();
    fs::create_new(&kept, &file.bytes, Mode::Public)?;
    Ok(kept)
}

fn what_was_kept(path: &Path, kept: &Path) -> String {
    let (path, kept) = (path.display(), kept.display());
    format!("What you edited is in {kept}, encrypted. See what differs with `sealant diff {path} {kept}`.")
}
