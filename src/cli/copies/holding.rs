//! What a file holds that may be elsewhere, too.
//!
//! Owns what counts: documents of ours and of sops, SealedSecrets of sealed-secrets, and what is left of an encrypted file in anything
//! else. Opens nothing.

use crate::document::{self, Format};
use crate::encrypted_file::{EncryptedFile, format_in, meant};
use crate::keys::KeySet;
use crate::repo::copies::{self, Foreign, Held, Prints, held};
use crate::secret::SecretBytes;
use crate::sops::{self, Trial};

/// A file that holds what may be elsewhere, too: it is encrypted, or has SealedSecrets of sealed-secrets, or something of an
/// encrypted file is in it, in whatever it is wrapped.
pub(super) struct Holding {
    pub ours: Option<EncryptedFile>,
    foreign: Foreign,
    remains: Option<Remains>,
}

/// The text of a file that cannot be read as an encrypted one.
struct Remains {
    text: String,
    /// It is or was such a file itself; otherwise it may be somebody's notes.
    looks_encrypted: bool,
}

impl Remains {
    fn of(bytes: &SecretBytes) -> Option<Self> {
        let utf8 = document::of_utf16(bytes);
        let bytes = utf8.as_ref().unwrap_or(bytes);
        let looks_encrypted = sops::looks_encrypted(bytes);
        let counts = looks_encrypted || copies::may_hold_remains(bytes);
        counts.then(|| Self { text: String::from_utf8_lossy(bytes).into_owned(), looks_encrypted })
    }

    fn held(&self, rule: Option<&KeySet>) -> Vec<(usize, Held)> {
        vec![(1, copies::held_in_broken(&self.text, rule))]
    }
}

impl Holding {
    /// `None` for a file that holds nothing.
    pub fn of(format: Format, bytes: &SecretBytes) -> Option<Self> {
        let (ours, foreign) = (parsed(format, bytes), Foreign::of(format, bytes));
        let remains = if ours.is_none() { Remains::of(bytes) } else { None };
        let is_something = ours.is_some() || !foreign.is_empty() || remains.is_some();
        is_something.then_some(Self { ours, foreign, remains })
    }

    /// What it holds, by the rule of its place; `None` where that is nothing.
    pub fn held(&self, rule: Option<&KeySet>) -> Option<Vec<(usize, Held)>> {
        let mut all = self.ours.as_ref().map(|file| held(file, rule)).unwrap_or_default();
        all.extend(self.foreign.held(rule));
        let counts = |remains: &&Remains| remains.looks_encrypted || rule.is_some();
        all.extend(self.remains.iter().filter(counts).flat_map(|remains| remains.held(rule)));
        (!all.is_empty()).then_some(all)
    }

    /// Whether it is encrypted, or has something that is, and not only quotes it.
    pub fn is_encrypted(&self) -> bool {
        let looks_encrypted = self.remains.as_ref().is_some_and(|remains| remains.looks_encrypted);
        self.ours.is_some() || !self.foreign.is_empty() || looks_encrypted
    }

    /// Whether it is a document of this data key.
    pub fn is_of(&self, trial: &Trial) -> bool {
        let held = |file| held(file, None).iter().any(|(_, held)| held.is_of(trial));
        self.ours.as_ref().is_some_and(held)
    }

    /// The other program that has encrypted it.
    pub fn program(&self) -> Option<&'static str> {
        self.foreign.program().filter(|_| self.ours.is_none())
    }

    /// What is encrypted in it, without what it only quotes.
    pub fn encrypted(&self) -> Prints {
        let mut all = self.ours.as_ref().map(|file| held(file, None)).unwrap_or_default();
        all.extend(self.foreign.held(None));
        Prints::of(&all)
    }

    pub fn prints(&self) -> Prints {
        let mut prints = Prints::of(&self.held(None).unwrap_or_default());
        self.remains.iter().for_each(|remains| prints.add(&Prints::of(&remains.held(None))));
        prints
    }
}

/// An encrypted file; `None` for one that is not, or is broken.
pub(super) fn parsed(format: Format, bytes: &SecretBytes) -> Option<EncryptedFile> {
    let format = format_in(format, bytes);
    meant(format, bytes)?;
    EncryptedFile::parse(format, bytes.clone()).ok()
}
