//! The end of a merge that a person had to finish.
//!
//! Owns that a MAC is made only for what can be answered for: every value has to open under the data key at its place, Git
//! has to have a conflict at the file, and what is in none of the versions of that conflict is named.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use jiff::Timestamp;

use super::Git;
use super::merge::markers::Marked;
use super::merge::{
    self, Chosen, LetIn, Locked, NotChosen, Versions, differing, in_version, returned, without_unused_keys,
};
use crate::batch::{self, Source};
use crate::claims;
use crate::config::{Policy, Selection};
use crate::document::{self, Document, Edits, Format, NodeId, Value};
use crate::encrypted_file::{EncryptedFile, Meant, meant, no_answer};
use crate::error::{Error, Kind, Result};
use crate::fs::Snapshot;
use crate::host::Host;
use crate::keys::{KeyService, KeySet, WrappedDataKey};
use crate::sealed_secret::SealedFile;
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{self, Contents, Encrypted, Known, MacCheck};

/// The versions of a file in conflict, as Git's index has them; those that a side has deleted are not there.
#[derive(Debug, Default)]
pub struct Stages {
    pub base: Option<SecretBytes>,
    pub ours: Option<SecretBytes>,
    pub theirs: Option<SecretBytes>,
}

impl Stages {
    /// Asks Git. `None` when it has no conflict at the file.
    pub fn read(host: &dyn Host, file: &Path) -> Result<Option<Self>> {
        let (git, name) = Git::of_file(host, file)?;
        let list = ["ls-files", "--unmerged", "-z", "--"].map(OsStr::new);
        let listed = git.run(list.into_iter().chain([name.as_os_str()]))?;
        let mut stages = Self::default();
        let mut any = false;
        // `MODE ID STAGE`, a tab, the name.
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let fields = entry.split(|byte| *byte == b'\t').next().unwrap_or_default();
            let fields = String::from_utf8_lossy(fields).into_owned();
            if !fields.starts_with("100") {
                let message = "on one side it is a symbolic link or a repository, and no file";
                return Err(Error::new(Kind::Conflict, message).advise(
                    "Take a side with Git: `git checkout --ours FILE` or `--theirs`, then `git add FILE`.",
                ));
            }
            let mut fields = fields.split(' ').skip(1);
            let (Some(id), Some(stage)) = (fields.next(), fields.next()) else { continue };
            let blob = git.run(["cat-file", "blob", id])?;
            any = true;
            match stage {
                "1" => stages.base = Some(blob),
                "2" => stages.ours = Some(blob),
                _ => stages.theirs = Some(blob),
            }
        }
        Ok(any.then_some(stages))
    }

    /// The versions to merge; `None` when a side has deleted the file.
    pub fn versions(&self) -> Option<Versions<SecretBytes>> {
        let (ours, theirs) = (self.ours.clone()?, self.theirs.clone()?);
        Some(Versions { base: self.base.clone(), ours, theirs })
    }

    /// Those that there are.
    pub fn all(&self) -> impl Iterator<Item = &SecretBytes> {
        [&self.base, &self.ours, &self.theirs].into_iter().flatten()
    }
}

/// A file with the markers of our merge driver, which holds one document for each side.
pub enum Conflicted {
    Document { ours: Box<Encrypted>, theirs: Box<Encrypted> },
    Sealed,
}

impl Conflicted {
    /// `None` for what others have made: Git's merge of ciphertexts says nothing of what both sides changed.
    pub fn read(format: Format, marked: &Marked) -> Option<Self> {
        let parse = |text: &SecretBytes| EncryptedFile::parse(format, text.clone()).ok();
        match (parse(&marked.ours)?, parse(&marked.theirs)?) {
            (EncryptedFile::Document(ours), EncryptedFile::Document(theirs)) => {
                let is_one =
                    ours.metadata.mac == theirs.metadata.mac && ours.metadata.keys == theirs.metadata.keys;
                is_one.then_some(Self::Document { ours, theirs })
            }
            (EncryptedFile::Sealed(_), EncryptedFile::Sealed(_)) => Some(Self::Sealed),
            _ => None,
        }
    }
}

/// Both sides of a conflict in plaintext.
pub struct Sides {
    pub key: DataKey,
    pub ours: SecretBytes,
    pub theirs: SecretBytes,
}

impl Sides {
    /// Opens both. Values are spelled as the versions of the conflict spell them, where these are given.
    pub async fn open(
        service: &KeyService<'_>,
        path: &Path,
        ours: &Encrypted,
        theirs: &Encrypted,
        stages: &Stages,
    ) -> Result<Self> {
        let key = unwrap(service, path, ours).await?;
        let format = ours.format();
        let versions = PlainStages::open(service, path, format, stages).await?;
        let plain = |file: &Encrypted| {
            let plaintext = file.decrypt(&key, MacCheck::Ignore)?.bytes;
            let document = versions.respelled(document::parse(format, plaintext, false)?, false)?;
            document.plaintext_file()
        };
        Ok(Self { ours: plain(ours)?, theirs: plain(theirs)?, key })
    }

    /// The paths of the values about which the sides are at odds.
    pub fn paths(&self, format: Format) -> Result<Vec<String>> {
        differing(format, &self.ours, &self.theirs)
    }
}

impl Sides {
    /// Whether all that would be encrypted in a plaintext is in one of them.
    pub fn hold(&self, plaintext: &dyn Document, selection: &Selection) -> Result<bool> {
        let mut known = Contents::new();
        for side in [&self.ours, &self.theirs] {
            known.extend(sops::all_contents(&*document::parse(plaintext.format(), side.clone(), false)?)?);
        }
        Ok(sops::encrypted_contents(plaintext, selection)?.is_subset(&known))
    }
}

/// A new data key for a file in conflict, into which something comes that none of the versions has.
pub async fn renewed(
    service: &KeyService<'_>,
    (file, key): (&Encrypted, &DataKey),
    stages: &Stages,
    rule: Option<&KeySet>,
    let_in: &LetIn<'_>,
) -> Result<Chosen> {
    let side = |stage: &Option<SecretBytes>| match stage {
        Some(stage) => Encrypted::parse(file.format(), stage.clone()).map(|side| side.metadata.keys),
        // A side that deleted the file names nobody.
        None => Ok(WrappedDataKey { groups: Vec::new(), threshold: 0 }),
    };
    let (ours, theirs) = (side(&stages.ours)?, side(&stages.theirs)?);
    let old = Locked { key, wrapped: &file.metadata.keys, content: file };
    merge::renewed(service, old, [&ours, &theirs], rule, let_in).await.map_err(|failure| match failure {
        NotChosen::Unsettled(error) | NotChosen::Unwrappable(error) => error,
    })
}

async fn unwrap(service: &KeyService<'_>, path: &Path, file: &Encrypted) -> Result<DataKey> {
    let opened = batch::open_versions(service, path, &[&file.metadata.keys]).await.pop();
    opened.unwrap_or_else(|| Err(no_answer()))
}

/// A conflict that was resolved.
pub struct Resolved {
    pub bytes: Vec<u8>,
    /// What is in none of the versions, or gone though both sides have it.
    pub warnings: Vec<String>,
    /// What has to be done with the file first. It is valid as it is, and yet not resolved.
    pub left: Option<Error>,
}

impl Resolved {
    pub fn new(bytes: Vec<u8>, warnings: Vec<String>) -> Self {
        Self { bytes, warnings, left: None }
    }
}

/// An error when a file is not valid as it is.
pub async fn verify(service: &KeyService<'_>, source: &Source) -> Result<()> {
    if meant(source.format, &source.bytes).is_none() {
        return Ok(());
    }
    match EncryptedFile::parse(source.format, source.bytes.clone())? {
        EncryptedFile::Document(file) => {
            file.decrypt(&unwrap(service, &source.path, &file).await?, MacCheck::Verify).map(drop)
        }
        EncryptedFile::Sealed(_) => Ok(()),
    }
}

/// Makes a valid file of one without markers. `rule` is the creation rule of the file.
pub async fn finish(
    service: &KeyService<'_>,
    source: Source,
    stages: &Stages,
    rule: Option<&Policy>,
    now: Timestamp,
) -> Result<Resolved> {
    let Source { path, format, bytes, .. } = source;
    if meant(format, &bytes).is_none() {
        if stages.all().any(|stage| meant(format, stage).is_some()) {
            return Err(Error::new(
                Kind::Conflict,
                "the file is in plaintext, but a version of it is encrypted",
            )
            .advise("Encrypt it, `sealant encrypt -i FILE`, then `git add FILE`."));
        }
        return Ok(Resolved::new(bytes.to_vec(), Vec::new()));
    }
    match EncryptedFile::parse(format, bytes)? {
        EncryptedFile::Document(file) => finish_document(service, &path, &file, stages, rule, now).await,
        EncryptedFile::Sealed(file) => {
            let bytes = without_unused_keys(&file)?;
            // An item without its data key is refused by what reads it.
            let file = SealedFile::parse(format, SecretBytes::new(bytes.clone()))?;
            Ok(Resolved { left: brought_back(&file, stages)?, ..Resolved::new(bytes, Vec::new()) })
        }
    }
}

async fn finish_document(
    service: &KeyService<'_>,
    path: &Path,
    file: &Encrypted,
    stages: &Stages,
    rule: Option<&Policy>,
    now: Timestamp,
) -> Result<Resolved> {
    let key = unwrap(service, path, file).await?;
    if file.decrypt(&key, MacCheck::Verify).is_ok() {
        return Ok(Resolved::new(file.document().source().as_bytes().to_vec(), Vec::new()));
    }
    refuse_new_settings(file, stages)?;
    // The plaintext is complete only if every value opens where it is.
    let versions = PlainStages::open(service, path, file.format(), stages).await?;
    let plaintext = versions.respelled(file.open(&key, MacCheck::Ignore)?, true)?;
    refuse_weaker(file, &*plaintext, stages, rule)?;
    let known = versions.0.iter().map(|stage| stage.as_deref().map_or(Ok(Contents::new()), values));
    let known = known.collect::<Result<Vec<_>>>()?;
    let here = values(&*plaintext)?;
    let news = here.iter().filter(|value| !known.iter().any(|stage| stage.contains(*value)));
    let mut warnings: Vec<String> =
        news.map(|value| format!("{}: none of the merged versions has this value", value.shown())).collect();
    let paths =
        |values: &Contents| values.iter().map(|value| value.path().to_owned()).collect::<HashSet<_>>();
    if let [_, ours, theirs] = &known[..] {
        let (here, theirs) = (paths(&here), paths(theirs));
        let is_gone = |value: &&Known| theirs.contains(value.path()) && !here.contains(value.path());
        let gone = ours.iter().filter(is_gone);
        warnings.extend(
            gone.map(|value| format!("{}: this value is gone, though both sides have it", value.shown())),
        );
    }
    warnings.sort();
    warnings.dedup();
    let written = file.write(&*plaintext, file.metadata.clone(), &key, None, now)?;
    warnings.extend(written.warnings);
    Ok(Resolved::new(written.bytes, warnings))
}

/// An error that names a recipient whom one side has removed, and who could read with this file what they could not read as
/// that side left it.
fn brought_back(file: &SealedFile, stages: &Stages) -> Result<Option<Error>> {
    let format = file.document.format();
    let parse = |stage: &Option<SecretBytes>| {
        let sealed = stage.as_ref().filter(|stage| meant(format, stage) == Some(Meant::Sealed));
        sealed.map(|stage| SealedFile::parse(format, stage.clone())).transpose()
    };
    let base = parse(&stages.base);
    let sides = [("our side", &stages.ours, &stages.theirs), ("their side", &stages.theirs, &stages.ours)];
    for (name, side, other) in sides {
        let Some(side) = parse(side)? else { continue };
        let other = parse(other)?;
        // Common ancestors that were at odds are no file. Whom the other side has, this one may have removed.
        let Some(before) = base.as_ref().unwrap_or(&other) else { return Ok(None) };
        if let Some(key) = returned(before, &side, file)?.first() {
            let message = format!("{name} has removed {key}, who could read new values in this file");
            return Ok(Some(Error::new(Kind::Other, message).advise(
                "Remove their access with `sealant updatekeys --rotate FILE`, then run `sealant resolve FILE`. If \
                 they should stay: `git add FILE`.",
            )));
        }
    }
    Ok(None)
}

/// No MAC covers the settings, so they are those of a version as a whole.
pub fn refuse_new_settings(file: &Encrypted, stages: &Stages) -> Result<()> {
    let format = file.format();
    let encrypted = stages.all().filter(|stage| meant(format, stage) == Some(Meant::Document));
    let known = encrypted.filter_map(|stage| Encrypted::parse(format, stage.clone()).ok());
    let mut known: Vec<_> = known.map(|stage| stage.metadata).collect();
    let here = &file.metadata;
    known.retain(|stage| stage.selection == here.selection);
    let setting = match known.iter().find(|stage| stage.mac_only_encrypted == here.mac_only_encrypted) {
        Some(_) => return Ok(()),
        None if known.is_empty() => here.selection.to_string(),
        None => format!("mac_only_encrypted: {}", here.mac_only_encrypted),
    };
    let message = format!("none of the versions that were merged has the setting `{setting}`");
    Err(Error::new(Kind::Conflict, message).advise(
        "It says which values are encrypted, or checked. Use the setting of one of the versions; change it after the \
         merge.",
    ))
}

/// Settings that are those of a version may be those of the weaker side, or of the common ancestor: nothing comes into
/// plaintext by a merge that the rule and one of the sides encrypt.
pub fn refuse_weaker(
    file: &Encrypted,
    plaintext: &dyn Document,
    stages: &Stages,
    rule: Option<&Policy>,
) -> Result<()> {
    let side = |stage: &Option<SecretBytes>| {
        let stage = stage.as_ref().filter(|stage| meant(file.format(), stage) == Some(Meant::Document))?;
        Some(Encrypted::parse(file.format(), stage.clone()).ok()?.metadata.selection)
    };
    let here = &file.metadata.selection;
    let sides = [side(&stages.ours), side(&stages.theirs)];
    let sides = [&sides[0], &sides[1]].map(|side| side.as_ref().unwrap_or(here));
    let Some(first) = claims::merged(plaintext, here, sides, rule)?.into_iter().next() else { return Ok(()) };
    let message = format!(
        "{} would be in plaintext by `{here}`, but a version of it is encrypted",
        first.path(plaintext)
    );
    Err(Error::new(Kind::Conflict, message)
        .on_line(first.line(plaintext))
        .advise("Use the setting of the version that encrypts this value; change it after the merge."))
}

/// The versions of a conflict in plaintext: the base, ours, theirs. One that cannot be opened vouches for nothing.
struct PlainStages([Option<Box<dyn Document>>; 3]);

impl PlainStages {
    /// An error when one was tampered with: what is in it must not get a new MAC by way of a conflict.
    async fn open(service: &KeyService<'_>, path: &Path, format: Format, stages: &Stages) -> Result<Self> {
        let mut opened = [None, None, None];
        let stages = [
            ("the common ancestor", &stages.base),
            ("our side", &stages.ours),
            ("their side", &stages.theirs),
        ];
        for (number, (opened, (name, stage))) in opened.iter_mut().zip(stages).enumerate() {
            let Some(stage) = stage else { continue };
            let is_base = number == 0;
            *opened = match plain_stage(service, path, format, stage).await {
                Err(error) if error.kind() == Kind::NoDataKey => None,
                // Common ancestors that were at odds are no file: nothing comes from them.
                Err(_) if is_base && is_marked(stage) => None,
                stage => Some(stage.map_err(|error| in_version(name, &error))?),
            };
        }
        Ok(Self(opened))
    }

    /// A document whose numbers, times and the like are spelled as a version spells them: spellings are kept by the
    /// positions of values, which are others on each side of a conflict.
    fn respelled(&self, plaintext: Box<dyn Document>, with_metadata: bool) -> Result<Box<dyn Document>> {
        if plaintext.format() == Format::Binary {
            return Ok(plaintext);
        }
        let mut spellings: HashMap<Known, Vec<&str>> = HashMap::new();
        for version in self.0.iter().skip(1).flatten() {
            for_each_value(&**version, &mut |known, at| {
                spellings.entry(known).or_default().push(version.spelling(at));
            })?;
        }
        let mut edits = Edits::default();
        for_each_value(&*plaintext, &mut |known, at| {
            let Some(spelled) = spellings.get(&known) else { return };
            let is_text = matches!(plaintext.value(plaintext.tree().resolve(at)), Ok(Value::Str(_)) | Err(_));
            if let Some(spelling) =
                spelled.first().filter(|_| !is_text && !spelled.contains(&plaintext.spelling(at)))
            {
                edits.merge(plaintext.put_spelling(at, spelling));
            }
        })?;
        if edits.is_empty() {
            return Ok(plaintext);
        }
        let text = SecretBytes::new(edits.apply(plaintext.source()).as_bytes().to_vec());
        let respelled = document::parse(plaintext.format(), text, with_metadata)?;
        Ok(if values(&*respelled)? == values(&*plaintext)? { respelled } else { plaintext })
    }
}

fn is_marked(stage: &SecretBytes) -> bool {
    !matches!(Marked::read(stage), Ok(None))
}

async fn plain_stage(
    service: &KeyService<'_>,
    path: &Path,
    format: Format,
    stage: &SecretBytes,
) -> Result<Box<dyn Document>> {
    if meant(format, stage) != Some(Meant::Document) {
        return document::parse(format, stage.clone(), false);
    }
    let file = Encrypted::parse(format, stage.clone())?;
    let key = unwrap(service, path, &file).await?;
    document::parse(format, file.decrypt(&key, MacCheck::Verify)?.bytes, false)
}

fn for_each_value(document: &dyn Document, visit: &mut dyn FnMut(Known, NodeId)) -> Result<()> {
    sops::for_each_leaf(document, &Selection::default(), &mut |leaf| {
        if !leaf.is_comment {
            visit(Known::of(document, &leaf)?, leaf.at);
        }
        Ok(())
    })
}

fn values(document: &dyn Document) -> Result<Contents> {
    sops::contents(document, &Selection::default(), &|leaf, _| !leaf.is_comment)
}

/// A file as it is to be finished.
pub fn source(path: &Path, format: Format, bytes: SecretBytes) -> Source {
    Source { path: path.to_owned(), format, snapshot: Snapshot::of(&bytes), bytes }
}
