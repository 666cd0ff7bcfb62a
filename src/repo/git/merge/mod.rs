//! A merge of one file, as Git asks a driver for it.
//!
//! Owns which of the ways of merging a file takes, and that no way makes a valid file of versions that were tampered with.
//! It reads and writes no files: whoever calls it brings three versions and writes what comes of them.

mod document;
mod keyed;
mod lines;
pub mod markers;
mod recipients;
mod sealed;
mod text;

use std::path::Path;

use jiff::Timestamp;

use crate::document::Format;
use crate::encrypted_file::{Meant, meant};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::{KeyService, KeySet};
use crate::secret::{DataKey, SecretBytes};
pub use document::{differing, in_version};
pub use lines::Side;
pub use recipients::{Chosen, LetIn, Locked, NotChosen, renewed};
pub use sealed::{returned, without_unused_keys};
pub use text::{Merged, Texts};

/// Three versions of something. There is no base where both sides added it.
#[derive(Debug, Clone, Copy)]
pub struct Versions<T> {
    pub base: Option<T>,
    pub ours: T,
    pub theirs: T,
}

impl<T> Versions<T> {
    pub fn as_ref(&self) -> Versions<&T> {
        Versions { base: self.base.as_ref(), ours: &self.ours, theirs: &self.theirs }
    }

    /// Each with how it is called in messages.
    pub fn named(self) -> impl Iterator<Item = (&'static str, T)> {
        let others = [("our side", self.ours), ("their side", self.theirs)];
        self.base.map(|base| ("the common ancestor", base)).into_iter().chain(others)
    }

    /// The same of each.
    pub fn try_map<U>(self, mut of: impl FnMut(&'static str, T) -> Result<U>) -> Result<Versions<U>> {
        Ok(Versions {
            base: self.base.map(|base| of("the common ancestor", base)).transpose()?,
            ours: of("our side", self.ours)?,
            theirs: of("their side", self.theirs)?,
        })
    }
}

/// What it takes to merge a file.
pub struct Merge<'a> {
    pub host: &'a dyn Host,
    pub service: &'a KeyService<'a>,
    /// The file's place in the repository.
    pub path: &'a Path,
    pub format: Format,
    /// Whom the creation rule of the file names, if there is one.
    pub rule: &'a dyn Fn() -> Result<Option<KeySet>>,
    /// Whether these may be let in.
    pub let_in: &'a LetIn<'a>,
    /// Whether an earlier step of the rebase or cherry-pick that is under way made this data key here.
    pub has_made: &'a dyn Fn(&DataKey) -> bool,
    /// How long markers of conflicts are.
    pub marker_size: usize,
    pub now: Timestamp,
}

/// What came of a merge.
#[derive(Debug)]
pub enum MergeResult {
    /// The file is merged; and its data key if it was made for that.
    Clean { file: Vec<u8>, notes: Vec<String>, new_key: Option<DataKey> },
    /// The file with markers around what both sides changed, and the paths of these values.
    Conflict { file: Vec<u8>, paths: Vec<String>, notes: Vec<String>, new_key: Option<DataKey> },
    /// There is no key: as Git merges text, and nothing that may be used as it is.
    Unopened(Error),
    /// It takes a wrapped data key that cannot be made by who is asked here; our side stays in the working tree.
    Unwrappable(Error),
    /// It is for a person to decide; our side stays in the working tree.
    Refused(Error),
    /// Nothing in it is encrypted: as Git merges text.
    Plain,
}

const MAKE_AGAIN: &str = "Choose a side with `sealant resolve --ours FILE` or `--theirs`, and make the other side's changes again.";

impl Merge<'_> {
    /// Merges three versions of a file.
    pub async fn file(&self, versions: &Versions<SecretBytes>) -> MergeResult {
        let content = |file: &SecretBytes| meant(self.format, file);
        let sides = (content(&versions.ours), content(&versions.theirs));
        // Git has merged several common ancestors with each other, by this driver.
        let is_marked =
            versions.base.as_ref().is_some_and(|base| !matches!(markers::Marked::read(base), Ok(None)));
        if is_marked && sides != (None, None) {
            let message = "the branches have several common ancestors, which are at odds, so nobody can tell what each side \
                           has changed";
            return MergeResult::Refused(Error::new(Kind::Conflict, message).advise(MAKE_AGAIN));
        }
        let base = versions.base.as_ref().and_then(content);
        match sides {
            (None, None) => MergeResult::Plain,
            (Some(Meant::Document), Some(Meant::Document)) if base != Some(Meant::Sealed) => {
                document::merge(self, versions).await
            }
            (Some(Meant::Sealed), Some(Meant::Sealed)) if base != Some(Meant::Document) => {
                sealed::merge(self, versions).await
            }
            _ => MergeResult::Refused(
                Error::new(
                    Kind::Conflict,
                    "the two sides are not encrypted in the same way, or one is in plaintext",
                )
                .advise(MAKE_AGAIN),
            ),
        }
    }
}
