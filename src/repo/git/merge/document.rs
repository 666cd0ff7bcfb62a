//! Three versions of a document in SOPS's format brought together.
//!
//! Plaintexts are merged, and what came of them is encrypted again: what one of the sides has keeps its ciphertext. No merge
//! without the MACs of all three: what somebody changed without the key would get a new MAC by it.

use std::collections::HashSet;

use super::keyed::digest;
use super::recipients::{self, Locked};
use super::{Merge, Merged, Outcome, Texts, Versions, markers, text};
use crate::batch;
use crate::config::Selection;
use crate::diff::{Difference, State};
use crate::document::{self, Document, Format, Value};
use crate::error::{Error, Kind, Result};
use crate::rekey::names;
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{self, Ciphertext, Encrypted, MacCheck, Metadata};

/// A version that was opened.
struct Version {
    file: Encrypted,
    key: DataKey,
    plaintext: SecretBytes,
}

impl Version {
    fn locked(&self) -> Locked<'_> {
        Locked { key: &self.key, wrapped: &self.file.metadata.keys }
    }
}

pub async fn merge(merge: &Merge<'_>, versions: &Versions<SecretBytes>) -> Outcome {
    let parse = |name, file: &SecretBytes| {
        Encrypted::parse(merge.format, file.clone()).map_err(|error| in_version(name, &error))
    };
    // What was not encrypted yet when the sides parted has no MAC, and says nothing that the sides do not confirm.
    let was_plain =
        versions.base.as_ref().is_some_and(|base| !sops::is_meant_to_be_encrypted(merge.format, base));
    let encrypted = Versions { base: versions.base.as_ref().filter(|_| !was_plain), ..versions.as_ref() };
    let parsed = match encrypted.try_map(parse) {
        Ok(parsed) => parsed,
        Err(error) => return Outcome::Refused(error),
    };
    let opened = match open(merge, parsed).await {
        Ok(opened) => opened,
        Err(error) => return error,
    };
    let base = match (&versions.base, &opened.base) {
        (Some(base), None) => Some(&base[..]),
        (_, base) => base.as_ref().map(|base| &base.plaintext[..]),
    };
    let texts = Texts { base, ours: &opened.ours.plaintext, theirs: &opened.theirs.plaintext };
    match bring_together(merge, &opened, texts).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Refused(error),
    }
}

/// The error of a version, by its name.
pub fn in_version(name: &str, error: &Error) -> Error {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let named = Error::new(error.kind(), format!("{name}: {line}{}", error.message()));
    match error.advice() {
        Some(advice) => named.advise(advice.to_owned()),
        None => named,
    }
}

/// Opens all versions and verifies their MACs.
async fn open(merge: &Merge<'_>, parsed: Versions<Encrypted>) -> Result<Versions<Version>, Outcome> {
    let wrapped: Vec<_> = parsed.as_ref().named().map(|(_, file)| &file.metadata.keys).collect();
    let mut keys = batch::open_versions(merge.service, merge.path, &wrapped).await.into_iter();
    drop(wrapped);
    let keyed = parsed.try_map(|name, file| {
        let no_answer = || Err(Error::new(Kind::NoDataKey, "the key service gave no answer"));
        let key = keys.next().unwrap_or_else(no_answer).map_err(|error| in_version(name, &error))?;
        Ok((file, key))
    });
    let verify = |name, (file, key): (Encrypted, DataKey)| {
        let plaintext = file.decrypt(&key, MacCheck::Verify).map_err(|error| in_version(name, &error))?;
        Ok(Version { file, key, plaintext: plaintext.bytes })
    };
    keyed.map_err(Outcome::Unopened)?.try_map(verify).map_err(Outcome::Refused)
}

async fn bring_together(merge: &Merge<'_>, opened: &Versions<Version>, texts: Texts<'_>) -> Result<Outcome> {
    let locked = Versions {
        base: opened.base.as_ref().map(Version::locked),
        ours: opened.ours.locked(),
        theirs: opened.theirs.locked(),
    };
    let rule = (merge.rule)()?;
    let carrier = settings(opened)?;
    let (key, wrapped) = recipients::merged(merge.service, &locked, rule.as_ref()).await?;
    let writer = Writer {
        carrier: &carrier.file,
        metadata: carrier.file.metadata.for_keys(wrapped),
        in_clear: in_clear(&opened.ours)?.into_iter().chain(in_clear(&opened.theirs)?).collect(),
        sources: [&opened.ours, &opened.theirs]
            .into_iter()
            .filter(|side| side.key == key)
            .map(|side| &side.file)
            .collect(),
        key: &key,
        merge,
    };
    let mut notes = writer.notes(opened);
    match text::merge(merge.host, merge.format, texts)? {
        Merged::Clean(text) => {
            let same = [&opened.ours, &opened.theirs].into_iter().find(|side| writer.is_as(side, &text));
            let file = match same {
                Some(side) => side.file.document().source().as_bytes().to_vec(),
                None => {
                    let Ciphertext { bytes, warnings } = writer.write(&text, &[])?;
                    notes.extend(warnings);
                    notes.extend(writer.note_on_key(opened, &[&text]));
                    bytes
                }
            };
            Ok(Outcome::Clean { file, notes })
        }
        Merged::Conflict { ours, theirs } => {
            notes.extend(writer.note_on_key(opened, &[&ours, &theirs]));
            let (ours, theirs) = match writer.conflict(&ours, &theirs) {
                Ok(file) => return conflict(merge.format, file, &ours, &theirs, notes),
                // What can be read need not be what can be encrypted.
                Err(_) => (&opened.ours.plaintext, &opened.theirs.plaintext),
            };
            conflict(merge.format, writer.conflict(ours, theirs)?, ours, theirs, notes)
        }
    }
}

fn conflict(
    format: Format,
    file: Vec<u8>,
    ours: &SecretBytes,
    theirs: &SecretBytes,
    notes: Vec<String>,
) -> Result<Outcome> {
    Ok(Outcome::Conflict { file, paths: differing(format, ours, theirs)?, notes })
}

/// The paths of the values in which two plaintexts differ.
pub fn differing(format: Format, ours: &SecretBytes, theirs: &SecretBytes) -> Result<Vec<String>> {
    let (ours, theirs) = (State::plain(format, ours.clone())?, State::plain(format, theirs.clone())?);
    let difference = Difference::of(&ours, &theirs)?;
    Ok(difference.values.into_iter().map(|value| value.path).collect())
}

/// The version whose settings the merged file has: which leaves are encrypted, and what the MAC covers.
fn settings(opened: &Versions<Version>) -> Result<&Version> {
    let Versions { base, ours, theirs } = opened;
    let same = |a: &Version, b: &Version| {
        let (a, b) = (&a.file.metadata, &b.file.metadata);
        a.selection == b.selection && a.mac_only_encrypted == b.mac_only_encrypted
    };
    if same(ours, theirs) || base.as_ref().is_some_and(|base| same(base, theirs)) {
        return Ok(ours);
    }
    if base.as_ref().is_some_and(|base| same(base, ours)) {
        return Ok(theirs);
    }
    Err(Error::new(Kind::Conflict, "the sides do not agree on which values are encrypted")
        .advise("Encrypt one side as the other is, and merge again."))
}

/// A value or comment in clear: where, and its digest.
type Clear = (String, [u8; 32]);

fn in_clear(version: &Version) -> Result<HashSet<Clear>> {
    let plaintext = document::parse(version.file.format(), version.plaintext.clone(), false)?;
    clear_of(&*plaintext, &version.file.metadata.selection)
}

fn clear_of(plaintext: &dyn Document, selection: &Selection) -> Result<HashSet<Clear>> {
    let mut found = HashSet::new();
    sops::for_each_leaf(plaintext, selection, &mut |leaf| {
        if !leaf.selected {
            let value = match leaf.is_comment {
                true => Value::str(plaintext.tree()[leaf.node].text.get(plaintext.source())),
                false => plaintext.value(leaf.node)?,
            };
            if !value.is_blank() {
                found.insert((leaf.path.to_owned(), digest(&value)));
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Encrypts what came of a merge.
struct Writer<'w> {
    /// Its settings, and its layout of the metadata.
    carrier: &'w Encrypted,
    metadata: Metadata,
    /// The versions with the same data key, whose ciphertexts stay.
    sources: Vec<&'w Encrypted>,
    key: &'w DataKey,
    /// What stands in clear on a side already.
    in_clear: HashSet<Clear>,
    merge: &'w Merge<'w>,
}

impl Writer<'_> {
    fn write(&self, text: &SecretBytes, more: &[&Encrypted]) -> Result<Ciphertext> {
        let plaintext = self.carrier.adopt(text.clone())?;
        self.refuse_new_clear(&*plaintext)?;
        let sources: Vec<_> = self.sources.iter().chain(more).copied().collect();
        Encrypted::write_onto(&sources, &*plaintext, self.metadata.clone(), self.key, self.merge.now)
    }

    /// The settings of one side, which no MAC covers, could leave in clear what the other has encrypted.
    fn refuse_new_clear(&self, plaintext: &dyn Document) -> Result<()> {
        let clear = clear_of(plaintext, &self.metadata.selection)?;
        let Some((path, _)) = clear.iter().find(|clear| !self.in_clear.contains(*clear)) else {
            return Ok(());
        };
        let path = path.trim_end_matches(':').replace(':', ".");
        let message = format!("{path} would stand in clear, and is encrypted on the side that it comes from");
        Err(Error::new(Kind::Conflict, message).advise(
            "The sides do not agree on which values are encrypted. Look at what changed that, and encrypt both in one way.",
        ))
    }

    /// Both texts as one encrypted file, with markers around what differs.
    fn conflict(&self, ours: &SecretBytes, theirs: &SecretBytes) -> Result<Vec<u8>> {
        let format = self.merge.format;
        let read = |bytes: Vec<u8>| Encrypted::parse(format, SecretBytes::new(bytes));
        let ours = read(self.write(ours, &[])?.bytes)?;
        // What is equal in both has one ciphertext.
        let theirs = read(self.write(theirs, &[&ours])?.bytes)?;
        // A MAC for each would be a conflict that nobody can resolve; `resolve` makes a new one.
        let theirs = theirs.with_metadata(&ours.metadata)?;
        let theirs =
            String::from_utf8(theirs).map_err(|_| Error::new(Kind::Emit, "a ciphertext is no text"))?;
        Ok(markers::marked(ours.document().source(), &theirs, self.merge.marker_size).into_bytes())
    }

    /// Whether a side is already what came of the merge.
    fn is_as(&self, side: &Version, text: &SecretBytes) -> bool {
        let (side_has, merged) = (&side.file.metadata, &self.metadata);
        side.plaintext == *text
            && side.key == *self.key
            && side_has.keys == merged.keys
            && side_has.selection == merged.selection
            && side_has.mac_only_encrypted == merged.mac_only_encrypted
    }

    /// What a person should know.
    fn notes(&self, opened: &Versions<Version>) -> Vec<String> {
        let now = names(&self.metadata.keys).concat();
        let with_key = opened.as_ref().named().filter(|(_, version)| version.key == *self.key);
        let before = with_key.flat_map(|(_, version)| names(&version.file.metadata.keys).concat());
        let mut notes: Vec<String> = Vec::new();
        for gone in before.filter(|key| !now.contains(key)) {
            let note =
                format!("{gone} was removed, and still knows the data key: `sealant rotate` makes a new one");
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }

    /// Where values that were not theirs are now under a data key that theirs alone has: it takes no key to make one.
    fn note_on_key(&self, opened: &Versions<Version>, texts: &[&SecretBytes]) -> Option<String> {
        let is_theirs = opened.theirs.key == *self.key && opened.ours.key != *self.key;
        let has_more = texts.iter().any(|text| **text != opened.theirs.plaintext);
        (is_theirs && has_more).then(|| {
            "the data key is the one that their side made: `sealant rotate` if you do not know who that was".to_owned()
        })
    }
}
