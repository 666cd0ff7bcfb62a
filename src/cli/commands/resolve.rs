use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::batch::{self, Source};
use crate::claims::Edit;
use crate::cli::args::{FormatArgs, Formats, IdentityArgs, Input};
use crate::cli::claims::{Claims, Strictness};
use crate::cli::context::{Context, block_on};
use crate::cli::copies::Merging;
use crate::cli::failures::Failures;
use crate::cli::session::{Edited, Session};
use crate::cli::{copies, merging, pipeline};
use crate::config::Selection;
use crate::document::{self, Document};
use crate::encrypted_file::{EncryptedFile, Meant, format_among, meant};
use crate::error::{Error, Kind, Result};
use crate::fs::{Lock, Snapshot};
use crate::host::Host;
use crate::keys::{KeyService, KeySet, MasterKey};
use crate::policy;
use crate::repo::git::merge::markers::{self, Marked};
use crate::repo::git::merge::{self, Merge, Side};
use crate::repo::git::resolve::{self, Conflicted, Resolved, Sides, Stages};
use crate::repo::git::sequence::Sequence;
use crate::secret::{DataKey, SecretBytes, SecretString};
use crate::shown::typed;
use crate::sops::{Ciphertext, Encrypted, MacCheck};

/// Resolve a merge conflict in encrypted files
///
/// Without a flag, files without conflict markers get a new MAC; for others it lists the values that both sides
/// changed, and the exit code is 1. Files that were merged without a key are merged again first. If a file is just
/// one of the two sides, say so with --ours or --theirs. Values that no merged version has are listed. It never runs
/// `git add`: review the file, then stage it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant resolve secrets.enc.yaml
  sealant resolve --theirs secrets.enc.yaml && git add secrets.enc.yaml
  sealant resolve --edit secrets.enc.yaml
  sealant resolve --allow-recipient age1... secrets.enc.yaml    # who joined")]
pub struct Args {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Where the two conflict, take our side; in a file that was not merged, all of it
    #[arg(long, conflicts_with_all = ["theirs", "edit"])]
    ours: bool,

    /// Where the two conflict, take their side; in a file that was not merged, all of it
    #[arg(long, conflicts_with = "edit")]
    theirs: bool,

    /// Edit the plaintext with the markers, and encrypt the result
    #[arg(long)]
    edit: bool,

    /// Let this recipient in although the creation rule did not name them before the merge; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    allow_recipient: Vec<String>,

    #[command(flatten)]
    identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let resolve = Resolve {
        context,
        side: match (args.ours, args.theirs) {
            (true, _) => Some(Side::Ours),
            (_, true) => Some(Side::Theirs),
            _ => None,
        },
        edit: args.edit,
        allowed: {
            let names = context.names();
            args.allow_recipient.iter().map(|key| policy::key_or_name(key, &names)).collect::<Result<_>>()?
        },
        formats: FormatArgs { input_type: None, output_type: None }.formats(context),
        service: args.identities.key_service(context)?,
    };
    let mut failures = Failures::default();
    let mut all_done = true;
    for file in &args.files {
        match resolve.file(file) {
            Ok(done) => all_done &= done,
            Err(error) => failures.add(context.ui, &error.in_file(file)),
        }
    }
    Ok(match (failures.is_empty(), all_done) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => Kind::Other.exit_code().into(),
        (false, _) => failures.finish(context.ui),
    })
}

struct Resolve<'a> {
    context: &'a Context<'a>,
    side: Option<Side>,
    edit: bool,
    allowed: Vec<MasterKey>,
    formats: Formats,
    service: KeyService<'a>,
}

/// How a file has what a side has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Committed,
    /// Under another data key, for instance.
    Written,
}

/// Whether two texts differ at most by how their lines end: Git may change that where it checks them out.
fn is_same_text(one: &[u8], other: &[u8]) -> bool {
    let lines = |text: &[u8]| -> Vec<u8> {
        let mut plain = Vec::with_capacity(text.len());
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\r' || bytes.peek() != Some(&b'\n') {
                plain.push(byte);
            }
        }
        plain
    };
    one == other || (one.len() != other.len() && lines(one) == lines(other))
}

/// Whether an error is about a file other than the one that is merged, so that its advice is, too.
fn is_of_other(error: &Error, path: &Path) -> bool {
    error.file().is_some_and(|file| file != path)
}

/// A file on the disk, and what Git knows of it.
struct File<'f> {
    path: &'f Path,
    source: Source,
    stages: Stages,
}

impl Resolve<'_> {
    /// Whether nothing is left to do.
    fn file(&self, path: &Path) -> Result<bool> {
        let mut source = pipeline::read(&Input::of(path), self.formats)?;
        let Some(stages) = Stages::read(self.context.host, path)? else {
            return self.without_conflict(path, &source);
        };
        // The rule that is merged decides who gets what is in the file, so a config in conflict comes first.
        self.context.configs()?.matching_policy(path)?;
        // With markers in it a file is of no type.
        if self.formats.input.is_none() {
            source.format = format_among(source.format, stages.all());
        }
        let file = File { path, source, stages };
        match Marked::read(&file.source.bytes)? {
            Some(marked) => self.marked(&file, marked),
            None => self.unmarked(&file),
        }
    }

    /// What Git has no conflict at is no merge to be finished, and gets no MAC.
    fn without_conflict(&self, path: &Path, source: &Source) -> Result<bool> {
        if Marked::read(&source.bytes)?.is_some() {
            let message = "it has conflict markers, but Git has no conflict in it: it was staged or committed with them";
            return Err(Error::new(Kind::Conflict, message).advise(
                "After `git add`, `git checkout -m FILE` brings the conflict back. After a commit, `git restore --source=HEAD~ FILE` \
                 takes the version before it.",
            ));
        }
        block_on(resolve::verify(&self.service, source)).map_err(|error| match error.kind() {
            Kind::MacMismatch => {
                let message = "Git has no conflict in this file, and its content is not what was encrypted";
                Error::new(Kind::MacMismatch, message).advise(
                    "Restore it from Git. After `git add`, `git checkout -m FILE` brings the conflict back.",
                )
            }
            _ => error,
        })?;
        self.context.ui.say(format!("{}: there is nothing to resolve", path.display()));
        Ok(true)
    }

    fn unmarked(&self, file: &File<'_>) -> Result<bool> {
        if self.edit {
            return Err(Error::new(Kind::Conflict, "the file has no conflict markers")
                .advise("Resolve it without --edit, then edit it: `sealant edit FILE`."));
        }
        // What the other side has deleted has nothing more to it.
        let is_whole = self.is_encrypted(file) && file.stages.versions().is_some();
        match (self.side, self.side_of(file).filter(|_| is_whole)) {
            (None, Some((side, how))) => self.only(file, side, how),
            (None, None) => {
                if is_whole && self.is_document(file) && self.verifies(file, &file.source.bytes) {
                    self.tell_of_refusal(file)?;
                }
                self.finish(file, file.source.bytes.clone())
            }
            (Some(side), Some((held, As::Written))) if side == held => self.leave(file),
            (Some(side), Some(_)) => self.take(file, side),
            // A SealedSecret shows by its readers alone whether it is what it should be.
            (Some(_), None)
                if is_whole && !self.is_document(file) && self.verifies(file, &file.source.bytes) =>
            {
                self.finish(file, file.source.bytes.clone())
            }
            (Some(_), None) if is_whole && self.verifies(file, &file.source.bytes) => self.leave(file),
            (Some(side), None) => self.take(file, side),
        }
    }

    /// What somebody has brought together, or encrypted again, stays.
    fn leave(&self, file: &File<'_>) -> Result<bool> {
        self.context.ui.say(format!(
            "{}: no conflict is left in it, so it stays as it is. To begin again: git checkout -m {}",
            file.path.display(),
            typed(file.path)
        ));
        Ok(true)
    }

    fn is_document(&self, file: &File<'_>) -> bool {
        meant(file.source.format, &file.source.bytes) == Some(Meant::Document)
    }

    /// Where the sides cannot be merged, nobody knows whether what is there now has the changes of both.
    fn tell_of_refusal(&self, file: &File<'_>) -> Result<()> {
        if let merge::MergeResult::Refused(error) = self.merged_again(file)? {
            let why = match is_of_other(&error, file.path) {
                true => error.headline(),
                false => error.message().to_owned(),
            };
            self.context.ui.warning(format!(
                "{}: the sides were not merged, so look whether all changes of both are in it: {why}",
                file.path.display(),
            ));
        }
        Ok(())
    }

    fn verifies(&self, file: &File<'_>, bytes: &SecretBytes) -> bool {
        let source = resolve::source(file.path, file.source.format, bytes.clone());
        meant(file.source.format, bytes).is_some()
            && block_on(resolve::verify(&self.service, &source)).is_ok()
    }

    /// The side of which the file in the working tree has all values, and nothing of the other.
    fn side_of(&self, file: &File<'_>) -> Option<(Side, As)> {
        let stages = [(Side::Ours, &file.stages.ours), (Side::Theirs, &file.stages.theirs)];
        let is_as = |stage: &Option<SecretBytes>| {
            stage.as_ref().is_some_and(|stage| is_same_text(stage, &file.source.bytes))
        };
        if let Some((side, _)) = stages.iter().find(|(_, stage)| is_as(stage)) {
            return Some((*side, As::Committed));
        }
        let here = self.plaintext(file, &file.source.bytes, MacCheck::Verify)?;
        let holds = |stage: &Option<SecretBytes>| {
            stage.as_ref().is_some_and(|stage| {
                self.plaintext(file, stage, MacCheck::Verify).is_some_and(|plain| plain == here)
            })
        };
        match stages.map(|(_, stage)| holds(stage)) {
            [true, false] => Some((Side::Ours, As::Written)),
            [false, true] => Some((Side::Theirs, As::Written)),
            _ => None,
        }
    }

    /// `None` for what is no document, or is not what was encrypted.
    fn plaintext(&self, file: &File<'_>, bytes: &SecretBytes, check: MacCheck) -> Option<SecretBytes> {
        let source = resolve::source(file.path, file.source.format, bytes.clone());
        let opened = block_on(batch::open_document(&self.service, source)).ok()?;
        Some(opened.file.decrypt(&opened.key, check).ok()?.bytes)
    }

    /// All of a side, if it is what was encrypted.
    fn take(&self, file: &File<'_>, side: Side) -> Result<bool> {
        let chosen = match side {
            Side::Ours => file.stages.ours.clone(),
            Side::Theirs => file.stages.theirs.clone(),
        };
        let chosen = chosen.ok_or_else(|| {
            Error::new(Kind::NoFile, "this side has deleted the file").advise("Delete it too: `git rm FILE`.")
        })?;
        let source = resolve::source(file.path, file.source.format, chosen.clone());
        block_on(resolve::verify(&self.service, &source))?;
        self.tell_of_strangers(file, side, &source)?;
        self.finish(file, chosen)
    }

    /// A side may come from another path. Nobody gets access by its being here, but later nobody could tell.
    fn tell_of_strangers(&self, file: &File<'_>, side: Side, source: &Source) -> Result<()> {
        let Some(rule) = self.rule(file)? else { return Ok(()) };
        let parsed = EncryptedFile::parse(source.format, source.bytes.clone())?;
        let Err(error) = copies::refuse_file(self.context, file.path, &parsed, &rule) else { return Ok(()) };
        let other = if side == Side::Ours { "--theirs" } else { "--ours" };
        self.context.ui.warning_of(&error.in_file(file.path));
        self.context.ui.say(format!(
            "If it does not belong at this path: git checkout -m {0}, then sealant resolve {other} {0}",
            typed(file.path)
        ));
        Ok(())
    }

    /// What is there after a merge that was refused: the other side's changes come in, or are not lost without a word.
    fn only(&self, file: &File<'_>, side: Side, how: As) -> Result<bool> {
        let (this, other, flag) = match side {
            Side::Ours => ("our", "theirs", "--ours"),
            Side::Theirs => ("their", "ours", "--theirs"),
        };
        let mut advice = format!(
            "If you want that, say so: `sealant resolve {flag} FILE`. To merge again: `git checkout -m FILE`."
        );
        let mut listed = Vec::new();
        let why = match self.merged_again(file)? {
            merge::MergeResult::Refused(error) if is_of_other(&error, file.path) => return Err(error),
            merge::MergeResult::Refused(error) => {
                if let Some(first) = error.advice() {
                    let first = first.trim_end_matches('.');
                    advice = format!("{first}. To keep this side as it is: `sealant resolve {flag} FILE`");
                }
                listed.extend_from_slice(error.lines());
                format!(": {}", error.message())
            }
            merge::MergeResult::Conflict { file: merged, .. } if how == As::Written => {
                // Somebody may have taken this side of each conflict, and all else of both.
                let merged = Marked::read(&SecretBytes::new(merged))?.map(|marked| marked.take(side));
                let merged = merged.and_then(|merged| self.plaintext(file, &merged, MacCheck::Ignore));
                if merged.is_some() && merged == self.plaintext(file, &file.source.bytes, MacCheck::Verify) {
                    return self.finish(file, file.source.bytes.clone());
                }
                String::new()
            }
            merge::MergeResult::Conflict { .. } => String::new(),
            // What somebody has encrypted again is not written over.
            merge::MergeResult::Clean { .. } if how == As::Written => String::new(),
            outcome => return self.settle(file, outcome),
        };
        let message = format!("this is {this} side, without any change of {other}{why}");
        Err(Error::new(Kind::Other, message).listing(listed).advise(advice))
    }

    fn marked(&self, file: &File<'_>, marked: Marked) -> Result<bool> {
        let format = file.source.format;
        match Conflicted::read(format, &marked) {
            Some(conflicted) => self.conflicted(file, marked, &conflicted),
            None if self.is_encrypted(file) => self.merge_again(file),
            None => match self.side {
                Some(side) => self.finish(file, marked.take(side)),
                None => Err(Error::new(
                    Kind::Other,
                    "nothing is encrypted in this file: resolve it as you would any \
                                                 other",
                )),
            },
        }
    }

    fn is_encrypted(&self, file: &File<'_>) -> bool {
        let Stages { base, ours, theirs } = &file.stages;
        let is_encrypted = |stage: &SecretBytes| meant(file.source.format, stage).is_some();
        [base, ours, theirs].into_iter().flatten().any(is_encrypted)
    }

    /// What Git, or somebody without a key, has merged as text.
    fn merge_again(&self, file: &File<'_>) -> Result<bool> {
        match (self.merged_again(file)?, self.side) {
            (merge::MergeResult::Refused(_), Some(side)) => self.take(file, side),
            (outcome, _) => self.settle(file, outcome),
        }
    }

    fn merged_again(&self, file: &File<'_>) -> Result<merge::MergeResult> {
        let (host, format) = (self.context.host, file.source.format);
        let versions = file.stages.versions().ok_or_else(|| {
            Error::new(Kind::Conflict, "one side has deleted the file, the other has changed it").advise(format!(
                "Keep the file with `sealant resolve --ours {0}` or `--theirs`, or delete it with `git rm {0}`.",
                typed(file.path)
            ))
        })?;
        let rule = || self.rule(file);
        let has_made = |key: &DataKey| self.sequence(file).has_made(key);
        let merge = Merge {
            host,
            service: &self.service,
            path: file.path,
            format,
            rule: &rule,
            let_in: &|keys, opened| self.let_in(file, keys, opened),
            has_made: &has_made,
            marker_size: markers::MARKER_SIZE,
            now: host.now(),
        };
        Ok(block_on(merge.file(&versions)))
    }

    fn rule(&self, file: &File<'_>) -> Result<Option<KeySet>> {
        let rule = merging::rule_of(self.context, file.path, file.source.format, file.stages.ours.as_ref())?;
        if self.allowed.is_empty() {
            return Ok(rule);
        }
        let sides = [&file.stages.ours, &file.stages.theirs].map(Option::as_ref);
        let mut rule = rule.unwrap_or_else(|| merging::listed_in_both(file.source.format, sides));
        let named = policy::keys_of_file(&self.context.configs()?, file.path)?;
        let is_one = rule.groups.len() < 2;
        let is_named = |key: &&MasterKey| {
            named.as_ref().is_some_and(|named| named.groups.iter().any(|group| key.is_among(group)))
        };
        if let Some(unnamed) = self.allowed.iter().find(|key| !is_one && !is_named(key)) {
            let message =
                format!("it takes keys from several groups, and its creation rule has {unnamed} in none");
            return Err(Error::new(Kind::Conflict, message)
                .advise("Put the recipient into a group of the rule first."));
        }
        for (at, group) in rule.groups.iter_mut().enumerate() {
            // Each group is for some people, so who is let in comes into those that the rule has for them.
            let named = named.as_ref().and_then(|named| named.groups.get(at));
            let is_let = |key: &&MasterKey| is_one || named.is_some_and(|named| key.is_among(named));
            group.extend(self.allowed.iter().filter(is_let).cloned());
        }
        Ok(Some(rule))
    }

    fn let_in(&self, file: &File<'_>, keys: &KeySet, opened: &[&DataKey]) -> Result<()> {
        let Stages { base, ours, theirs } = &file.stages;
        let versions =
            merge::Versions { base: Some(base.as_ref()), ours: ours.as_ref(), theirs: theirs.as_ref() };
        let (path, format) = (file.path, file.source.format);
        let merging = Merging { path, format, versions, files: &[], allowed: &self.allowed };
        copies::refuse_versions(self.context, &merging, keys, opened)
    }

    fn sequence(&self, file: &File<'_>) -> Sequence {
        Sequence::of_file(self.context.host, file.path)
    }

    fn remember(&self, file: &File<'_>, new_key: Option<DataKey>) -> Result<()> {
        new_key.map_or(Ok(()), |key| self.sequence(file).remember(self.context.host, &key))
    }

    fn settle(&self, file: &File<'_>, outcome: merge::MergeResult) -> Result<bool> {
        match outcome {
            merge::MergeResult::Clean { file: bytes, notes, new_key } => {
                self.note(file, &notes);
                self.remember(file, new_key)?;
                self.write(file, Resolved::new(bytes, Vec::new()))
            }
            merge::MergeResult::Conflict { file: bytes, notes, new_key, .. } => {
                self.note(file, &notes);
                self.remember(file, new_key)?;
                let text = SecretBytes::new(bytes);
                let Some(marked) = Marked::read(&text)? else { return self.finish(file, text) };
                let Some(conflicted) = Conflicted::read(file.source.format, &marked) else {
                    return Err(Error::new(Kind::Conflict, "the two sides cannot be merged"));
                };
                if self.side.is_none() && !self.edit {
                    self.replace(file, &text)?;
                }
                self.conflicted(file, marked, &conflicted)
            }
            merge::MergeResult::Unopened(error)
            | merge::MergeResult::Unwrappable(error)
            | merge::MergeResult::Refused(error) => Err(error),
            merge::MergeResult::Plain => Err(Error::new(Kind::Other, "nothing is encrypted in this file")),
        }
    }

    fn conflicted(&self, file: &File<'_>, marked: Marked, conflicted: &Conflicted) -> Result<bool> {
        match (conflicted, self.side) {
            (_, Some(side)) => self.finish(file, marked.take(side)),
            (Conflicted::Document { ours, theirs }, None) if self.edit => self.edit(file, ours, theirs),
            (Conflicted::Document { ours, theirs }, None) => {
                let sides = block_on(Sides::open(&self.service, file.path, ours, theirs, &file.stages))?;
                self.list(file, &marked, &sides.paths(file.source.format)?)
            }
            (Conflicted::Sealed, None) if self.edit => {
                Err(Error::new(Kind::Conflict, "a conflict in a SealedSecret cannot be edited as plaintext")
                    .advise(
                        "Take a side with --ours or --theirs, or keep the lines of one with any editor; then \
                     `sealant edit FILE`.",
                    ))
            }
            (Conflicted::Sealed, None) => self.list(file, &marked, &[]),
        }
    }

    fn list(&self, file: &File<'_>, marked: &Marked, paths: &[String]) -> Result<bool> {
        let ui = self.context.ui;
        let lines: Vec<_> = marked.lines.iter().map(ToString::to_string).collect();
        let shown = file.path.display();
        ui.line(format!("{shown}: conflicts begin on line {}", lines.join(", ")))?;
        for path in paths {
            ui.line(format!("  {path}"))?;
        }
        ui.note(format!(
            "take a side: `sealant resolve --ours {0}` or `sealant resolve --theirs {0}`; or open it: \
             `sealant resolve --edit {0}`; or delete the markers and the lines of one side with any editor, then \
             `sealant resolve {0}`",
            typed(file.path)
        ));
        Ok(false)
    }

    /// Both sides in plaintext in an editor, with markers.
    fn edit(&self, file: &File<'_>, ours: &Encrypted, theirs: &Encrypted) -> Result<bool> {
        resolve::refuse_new_settings(ours, &file.stages)?;
        let sides = block_on(Sides::open(&self.service, file.path, ours, theirs, &file.stages))?;
        let text = |bytes: &SecretBytes| {
            std::str::from_utf8(bytes).map(|text| SecretString::new(text.to_owned())).map_err(|_| {
                Error::new(Kind::NoEditor, "the plaintext is not text")
                    .advise("Take a side with --ours or --theirs.")
            })
        };
        let marked = markers::marked(&text(&sides.ours)?, &text(&sides.theirs)?, markers::MARKER_SIZE);
        let before = SecretBytes::new(marked.into_bytes());
        let now = self.context.host.now();
        let (sequence, new_key) = (self.sequence(file), RefCell::new(None));
        let encrypt = |edited: SecretBytes| -> Result<Ciphertext> {
            if let Some(marked) = Marked::read(&edited)? {
                return Err(Error::new(Kind::Conflict, "the text still has a conflict in it")
                    .on_line(marked.lines[0]));
            }
            let plaintext = ours.adopt(edited)?;
            let policy = self.context.configs()?.matching_policy(file.path)?;
            resolve::refuse_weaker(ours, &*plaintext, &file.stages, policy.as_ref())?;
            self.review(file, &sides, &*plaintext, &ours.metadata.selection)?;
            let mut new_key = new_key.borrow_mut();
            if sides.hold(&*plaintext, &ours.metadata.selection)? || sequence.has_made(&sides.key) {
                *new_key = None;
                return Encrypted::write_onto(
                    &[ours, theirs],
                    &*plaintext,
                    ours.metadata.clone(),
                    &sides.key,
                    now,
                );
            }
            let rule = self.rule(file)?;
            let let_in = |keys: &KeySet, opened: &[&DataKey]| self.let_in(file, keys, opened);
            let old = (ours, &sides.key);
            let made = block_on(resolve::renewed(&self.service, old, &file.stages, rule.as_ref(), &let_in))?;
            let metadata = ours.metadata.for_keys(made.wrapped);
            let key = new_key.insert(made.key);
            ours.write(&*plaintext, metadata, &sides.key, Some(key), now)
        };
        match Session::new(self.context)?.run(file.path, &before, &file.source.snapshot, &encrypt)? {
            Edited::Written => {
                if new_key.borrow().is_some() {
                    let note = "the file has a new data key: the value that you typed is in none of the merged \
                                versions";
                    self.note(file, &[note.to_owned()]);
                }
                self.remember(file, new_key.take())?;
                self.tell(file);
                Ok(true)
            }
            Edited::Unchanged => Ok(false),
        }
    }

    /// What is in neither of the sides is new, and comes into no weaker place than by `edit`.
    fn review(
        &self,
        file: &File<'_>,
        sides: &Sides,
        edited: &dyn Document,
        selection: &Selection,
    ) -> Result<()> {
        let parse = |side: &SecretBytes| document::parse(file.source.format, side.clone(), false);
        let (ours, theirs) = (parse(&sides.ours)?, parse(&sides.theirs)?);
        let edit = Edit { before: &[&*ours, &*theirs], after: edited, selection };
        let strictness = Strictness::Edit { plaintext: false };
        Claims::new(self.context)?.review(file.path, &edit, strictness).map_err(|error| match error.kind() {
            Kind::Conflict => error.advise(format!(
                "Leave it out now. When the merge is done, add it: `sealant edit {}`",
                typed(file.path)
            )),
            _ => error,
        })
    }

    fn finish(&self, file: &File<'_>, bytes: SecretBytes) -> Result<bool> {
        let source = resolve::source(file.path, file.source.format, bytes);
        let rule = self.context.configs()?.matching_policy(file.path)?;
        let now = self.context.host.now();
        let resolved = block_on(resolve::finish(&self.service, source, &file.stages, rule.as_ref(), now))?;
        self.write(file, resolved)
    }

    fn write(&self, file: &File<'_>, Resolved { bytes, warnings, left }: Resolved) -> Result<bool> {
        self.warn(file, &warnings);
        self.replace(file, &bytes)?;
        if let Some(error) = left {
            return Err(error);
        }
        self.tell(file);
        Ok(true)
    }

    fn replace(&self, file: &File<'_>, bytes: &[u8]) -> Result<()> {
        if Snapshot::of(bytes) == file.source.snapshot {
            return Ok(());
        }
        let _lock = Lock::exclusive(file.path)?;
        pipeline::replace(file.path, bytes, &file.source.snapshot, self.context)
    }

    fn tell(&self, file: &File<'_>) {
        let shown = file.path.display();
        self.context.ui.say(format!("{shown}: resolved. Now: git add {}", typed(file.path)));
    }

    fn note(&self, file: &File<'_>, notes: &[String]) {
        notes.iter().for_each(|note| self.context.ui.note(format!("{}: {note}", file.path.display())));
    }

    fn warn(&self, file: &File<'_>, warnings: &[String]) {
        for warning in warnings {
            self.context.ui.warning(format!("{}: {warning}", file.path.display()));
        }
    }
}
