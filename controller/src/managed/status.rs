//! What an object says of its Secret, whatever form its kind has for that; and what people are told when that changes.

use serde::Serialize;

use crate::managed::decide::{Verdict, Write};
use crate::managed::reason::{Standing, Words};
use crate::managed::slim::Revision;

/// By which all Secrets were made before there was a number.
pub const FIRST_WRITER: u32 = 1;

/// What came of looking at an object, as far as its status is about it.
#[derive(Debug, Clone, Copy)]
pub struct Finding<'f> {
    pub verdict: &'f Verdict,
    /// Of the object as it was looked at.
    pub revision: Revision,
    /// Of the Secret as it is now.
    pub secret_version: Option<&'f str>,
    /// Of this controller.
    pub writer: u32,
}

/// The status of a kind of object. Nothing in it changes as long as nothing has happened, for each change is a write. What
/// has gone is written as null: a merge leaves what it does not name.
pub trait Status: Clone + PartialEq + Serialize + Send + Sync + 'static {
    /// Whether nothing was ever said.
    fn is_empty(&self) -> bool;

    /// The version of the Secret that is right by what it says of this revision of the object, if it says so: a restart
    /// has nothing to do while it is still this one. A kind whose annotations decide what is written keeps in its status by
    /// which it was.
    fn right_version(&self, revision: Revision) -> Option<&str>;

    /// By which [writer](crate::source::Source::WRITER) it was written: the first, where it has no place for others.
    fn writer(&self) -> u32 {
        FIRST_WRITER
    }

    /// Whether all was right with this revision of the object.
    fn was_right(&self, revision: Revision) -> bool;

    /// Whether it says this already.
    fn says(&self, verdict: &Verdict) -> bool;

    /// What it says after this.
    fn after(&self, finding: Finding<'_>) -> Self;

    /// Whether another version of the Secret is all that is new in the other.
    fn is_but_for_version(&self, other: &Self) -> bool;
}

/// What people are told about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
}

/// What is new, if anything is.
pub fn news(
    previous: &impl Status,
    verdict: &Verdict,
    revision: Revision,
    written: &Write,
    words: &Words,
) -> Option<News> {
    let is_right = verdict.reason.standing == Standing::Good;
    let was_right = previous.was_right(revision);
    let (reason, message) = match written {
        Write::Update(_) if is_right && was_right => (words.repaired, words.had_changed),
        Write::Create if is_right && was_right => (words.repaired, words.had_gone),
        Write::Create if is_right => (verdict.reason.name, words.created),
        Write::Update(_) if is_right => (verdict.reason.name, words.updated),
        Write::Recreate if is_right => (verdict.reason.name, words.recreated),
        _ => (verdict.reason.name, verdict.message.as_str()),
    };
    let wrote = is_right && *written != Write::Nothing;
    let warning = matches!(verdict.reason.standing, Standing::Waiting | Standing::Stalled);
    (wrote || !previous.says(verdict)).then(|| News { warning, reason, message: message.to_owned() })
}
