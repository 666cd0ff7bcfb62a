//! Merges three versions of a document in SOPS's format.
//!
//! Merges the plaintexts and encrypts the result: values that a side with the same data key has keep their ciphertexts.
//! All three MACs must verify, or something changed without the key would get a new MAC. Owns when a data key stays:
//! its maker may have kept it, so it never encrypts anything new.

use super::recipients::{self, Locked, NotChosen};
use super::{Merge, MergeResult, Merged, Texts, Versions, markers, text};
use crate::batch;
use crate::claims;
use crate::config::Selection;
use crate::diff::{Difference, FileState};
use crate::document::{self, Document, Format};
use crate::encrypted_file::{Meant, meant};
use crate::error::{Error, Kind, Result};
use crate::rekey::names;
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{self, Ciphertext, Contents, Encrypted, MacCheck, Metadata};

/// A version that was opened.
struct Version {
    file: Encrypted,
    key: DataKey,
    plaintext: SecretBytes,
}

impl Version {
    fn locked(&self) -> Locked<'_> {
        Locked { key: &self.key, wrapped: &self.file.metadata.keys, content: &self.file }
    }

    fn document(&self) -> Result<Box<dyn Document>> {
        document::parse(self.file.format(), self.plaintext.clone(), false)
    }
}

pub async fn merge(merge: &Merge<'_>, versions: &Versions<SecretBytes>) -> MergeResult {
    let parse = |name, file: &SecretBytes| {
        Encrypted::parse(merge.format, file.clone()).map_err(|error| in_version(name, &error))
    };
    // What was not encrypted yet when the sides parted has no MAC, and says nothing that the sides do not confirm.
    let was_plain =
        versions.base.as_ref().is_some_and(|base| meant(merge.format, base) != Some(Meant::Document));
    let encrypted = Versions { base: versions.base.as_ref().filter(|_| !was_plain), ..versions.as_ref() };
    let parsed = match encrypted.try_map(parse) {
        Ok(parsed) => parsed,
        Err(error) => return MergeResult::Refused(error),
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
        Err(NotChosen::Unsettled(error)) => MergeResult::Refused(error),
        Err(NotChosen::Unwrappable(error)) => MergeResult::Unwrappable(error),
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
async fn open(merge: &Merge<'_>, parsed: Versions<Encrypted>) -> Result<Versions<Version>, MergeResult> {
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
    keyed.map_err(MergeResult::Unopened)?.try_map(verify).map_err(MergeResult::Refused)
}

async fn bring_together(
    merge: &Merge<'_>,
    opened: &Versions<Version>,
    texts: Texts<'_>,
) -> Result<MergeResult, NotChosen> {
    match text::merge(merge.host, merge.format, texts)? {
        Merged::Clean(text) => {
            let settings = Settings::of(opened, &[&text])?;
            if let Some(side) = same_side(&settings, opened, &text)? {
                let file = side.file.document().source().as_bytes().to_vec();
                return Ok(MergeResult::Clean { file, notes: Vec::new(), new_key: None });
            }
            let writer = Writer::new(merge, opened, &settings, &[&text]).await?;
            let mut notes = writer.notes(opened);
            let file = match writer.side(opened, &text) {
                Some(side) => side.file.document().source().as_bytes().to_vec(),
                None => {
                    let Ciphertext { bytes, warnings } = writer.write(&text, &[])?;
                    notes.extend(warnings);
                    bytes
                }
            };
            Ok(MergeResult::Clean { file, notes, new_key: writer.new_key() })
        }
        Merged::Conflict { ours, theirs } => {
            let whole = [&opened.ours.plaintext, &opened.theirs.plaintext];
            let texts = [&ours, &theirs, whole[0], whole[1]];
            let writer = Writer::new(merge, opened, &Settings::of(opened, &texts)?, &texts).await?;
            let (file, [ours, theirs]) = match writer.conflict([&ours, &theirs]) {
                Ok(file) => (file, [&ours, &theirs]),
                // Something that can be read cannot always be encrypted.
                Err(_) => (writer.conflict(whole)?, whole),
            };
            let paths = differing(merge.format, ours, theirs)?;
            Ok(MergeResult::Conflict { file, paths, notes: writer.notes(opened), new_key: writer.new_key() })
        }
    }
}

/// The side that already equals the result of a merge, in plaintext and settings, if both sides changed the data key:
/// no third key is needed.
fn same_side<'v>(
    settings: &Settings<'_>,
    opened: &'v Versions<Version>,
    text: &SecretBytes,
) -> Result<Option<&'v Version>> {
    let locked = locked(opened);
    if recipients::gives_key(&locked) {
        return Ok(None);
    }
    let keys = recipients::merged_keys(&locked)?;
    let is_same =
        |side: &&Version| side.plaintext == *text && side.locked().keys() == keys && settings.are_of(side);
    Ok([&opened.ours, &opened.theirs].into_iter().find(is_same))
}

fn locked(opened: &Versions<Version>) -> Versions<Locked<'_>> {
    Versions {
        base: opened.base.as_ref().map(Version::locked),
        ours: opened.ours.locked(),
        theirs: opened.theirs.locked(),
    }
}

/// The paths of the values in which two plaintexts differ.
pub fn differing(format: Format, ours: &SecretBytes, theirs: &SecretBytes) -> Result<Vec<String>> {
    let (ours, theirs) = (FileState::plain(format, ours.clone())?, FileState::plain(format, theirs.clone())?);
    let difference = Difference::of(&ours, &theirs)?;
    Ok(difference.values.into_iter().map(|value| value.path).collect())
}

/// Which leaves of the merged file are encrypted, and what its MAC covers.
struct Settings<'v> {
    /// The version whose metadata layout it uses.
    carrier: &'v Version,
    selection: &'v Selection,
    mac_only_encrypted: bool,
}

impl<'v> Settings<'v> {
    /// Of the choices of values of the sides the stronger, for these texts: the weaker one may be forged, or older than the
    /// rule. The common ancestor is not asked: it is older still.
    fn of(opened: &'v Versions<Version>, texts: &[&SecretBytes]) -> Result<Self> {
        let Versions { base, ours, theirs } = opened;
        let carrier = if is_as_strong(ours, theirs, texts)? {
            ours
        } else if is_as_strong(theirs, ours, texts)? {
            theirs
        } else {
            return Err(Error::new(
                Kind::Conflict,
                "the two sides do not agree on which values are encrypted",
            )
            .advise("Encrypt one side like the other, and merge again."));
        };
        // Without the key nobody can change it: the MAC would fail.
        let mac_only = |version: &Version| version.file.metadata.mac_only_encrypted;
        let mac_only_encrypted = match mac_only(ours) == mac_only(theirs) {
            true => mac_only(ours),
            false => base.as_ref().is_some_and(|base| !mac_only(base)),
        };
        Ok(Self { carrier, selection: &carrier.file.metadata.selection, mac_only_encrypted })
    }

    fn are_of(&self, version: &Version) -> bool {
        let metadata = &version.file.metadata;
        metadata.selection == *self.selection && metadata.mac_only_encrypted == self.mac_only_encrypted
    }
}

/// Whether one version's choice encrypts all of these texts that the other's does.
fn is_as_strong(one: &Version, other: &Version, texts: &[&SecretBytes]) -> Result<bool> {
    let format = one.file.format();
    let [one, other] = [one, other].map(|version| &version.file.metadata.selection);
    for text in texts.iter().filter(|_| one != other) {
        let text = document::parse(format, SecretBytes::clone(text), false)?;
        if claims::stronger(&*text, one, other)? != Some(one) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a selection would leave in plaintext.
fn in_clear(plaintext: &dyn Document, selection: &Selection) -> Result<Contents> {
    sops::contents(plaintext, selection, &|leaf, value| !leaf.selected && !value.is_blank())
}

/// Whether a data key may stay for what came of a merge: each encrypted value and comment of it is in a version that had
/// this key already, at the same path; or an earlier step of the same sequence made the key here.
fn may_stay(
    merge: &Merge<'_>,
    opened: &Versions<Version>,
    selection: &Selection,
    texts: &[&SecretBytes],
    key: &DataKey,
) -> Result<bool> {
    // A merge adds nothing to the sides.
    if [&opened.ours, &opened.theirs].iter().all(|side| side.key == *key) || (merge.has_made)(key) {
        return Ok(true);
    }
    let mut known = Contents::new();
    for (_, version) in opened.as_ref().named().filter(|(_, version)| version.key == *key) {
        known.extend(sops::all_contents(&*version.document()?)?);
    }
    for text in texts {
        let text = document::parse(merge.format, SecretBytes::clone(text), false)?;
        if !sops::encrypted_contents(&*text, selection)?.is_subset(&known) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Encrypts the result of a merge.
struct Writer<'w> {
    /// Its settings, and its layout of the metadata.
    carrier: &'w Encrypted,
    metadata: Metadata,
    /// The versions with the same data key, whose ciphertexts stay.
    sources: Vec<&'w Encrypted>,
    key: DataKey,
    key_is_new: bool,
    /// What is in plaintext on a side already.
    in_clear: Contents,
    merge: &'w Merge<'w>,
}

impl<'w> Writer<'w> {
    /// For these texts, all under one data key.
    async fn new(
        merge: &'w Merge<'w>,
        opened: &'w Versions<Version>,
        settings: &Settings<'w>,
        texts: &[&SecretBytes],
    ) -> Result<Self, NotChosen> {
        let rule = (merge.rule)()?;
        let &Settings { carrier, selection, mac_only_encrypted } = settings;
        let stays = |key: &DataKey| may_stay(merge, opened, selection, texts, key);
        let recipients::Chosen { key, wrapped, is_new } =
            recipients::merged(merge.service, &locked(opened), rule.as_ref(), &stays, merge.let_in).await?;
        let mut metadata = carrier.file.metadata.for_keys(wrapped);
        (metadata.selection, metadata.mac_only_encrypted) = (selection.clone(), mac_only_encrypted);
        let sides = [&opened.ours, &opened.theirs];
        let mut known = Contents::new();
        for side in sides {
            known.extend(in_clear(&*side.document()?, &side.file.metadata.selection)?);
        }
        Ok(Self {
            carrier: &carrier.file,
            metadata,
            sources: sides.into_iter().filter(|side| side.key == key).map(|side| &side.file).collect(),
            key,
            key_is_new: is_new,
            in_clear: known,
            merge,
        })
    }

    fn new_key(&self) -> Option<DataKey> {
        self.key_is_new.then(|| self.key.clone())
    }

    fn write(&self, text: &SecretBytes, more: &[&Encrypted]) -> Result<Ciphertext> {
        let plaintext = self.carrier.adopt(text.clone())?;
        self.refuse_new_clear(&*plaintext)?;
        let sources: Vec<_> = self.sources.iter().chain(more).copied().collect();
        Encrypted::write_onto(&sources, &*plaintext, self.metadata.clone(), &self.key, self.merge.now)
    }

    /// The settings of one side, which no MAC covers, could leave in plaintext what the other has encrypted.
    fn refuse_new_clear(&self, plaintext: &dyn Document) -> Result<()> {
        let clear = in_clear(plaintext, &self.metadata.selection)?;
        let Some(new) = clear.difference(&self.in_clear).next() else { return Ok(()) };
        let path = new.shown();
        let message =
            format!("{path} would be in plaintext, but is encrypted on the side that it comes from");
        Err(Error::new(Kind::Conflict, message).advise(
            "The two sides do not agree on which values are encrypted. See what changed that, and encrypt both in \
             the same way.",
        ))
    }

    /// Both texts as one encrypted file, with markers around what differs.
    fn conflict(&self, [ours, theirs]: [&SecretBytes; 2]) -> Result<Vec<u8>> {
        let format = self.merge.format;
        let read = |bytes: Vec<u8>| Encrypted::parse(format, SecretBytes::new(bytes));
        let ours = read(self.write(ours, &[])?.bytes)?;
        // What is equal in both has one ciphertext.
        let theirs = read(self.write(theirs, &[&ours])?.bytes)?;
        // A MAC for each would be a conflict that nobody can resolve; `resolve` makes a new one.
        let theirs = theirs.with_metadata(&ours.metadata)?;
        let theirs =
            String::from_utf8(theirs).map_err(|_| Error::new(Kind::Emit, "a ciphertext is not text"))?;
        Ok(markers::marked(ours.document().source(), &theirs, self.merge.marker_size).into_bytes())
    }

    /// The side that already equals the result of the merge.
    fn side<'v>(&self, opened: &'v Versions<Version>, text: &SecretBytes) -> Option<&'v Version> {
        let is_same = |side: &&Version| {
            let (side_has, merged) = (&side.file.metadata, &self.metadata);
            side.plaintext == *text
                && side.key == self.key
                && side_has.keys == merged.keys
                && side_has.selection == merged.selection
                && side_has.mac_only_encrypted == merged.mac_only_encrypted
        };
        [&opened.ours, &opened.theirs].into_iter().find(is_same)
    }

    /// What a person should know.
    fn notes(&self, opened: &Versions<Version>) -> Vec<String> {
        let now = names(&self.metadata.keys).concat();
        let with_key = opened.as_ref().named().filter(|(_, version)| version.key == self.key);
        let before = with_key.flat_map(|(_, version)| names(&version.file.metadata.keys).concat());
        let mut notes: Vec<String> = Vec::new();
        let selections = [&opened.ours, &opened.theirs].map(|side| &side.file.metadata.selection);
        if selections[0] != selections[1] {
            let chosen = &self.metadata.selection;
            notes.push(format!(
                "the two sides do not agree on which values are encrypted: `{chosen}` encrypts more"
            ));
        }
        if self.key_is_new {
            notes.push(
                "the file has a new data key: neither side's was meant for everything that is in it now"
                    .to_owned(),
            );
            let listed = [&opened.ours, &opened.theirs].map(|side| names(&side.file.metadata.keys).concat());
            let new = now.iter().filter(|key| !listed.iter().all(|listed| listed.contains(key)));
            notes
                .extend(new.map(|key| format!("{key} can decrypt all of it now; only one side listed them")));
        }
        for gone in before.filter(|key| !now.contains(key)) {
            let note =
                format!("{gone} was removed, but still knows the data key: `sealant rotate` makes a new one");
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }
}
