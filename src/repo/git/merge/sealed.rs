//! Three versions of a file with SealedSecrets brought together, with a key or without.
//!
//! Each SealedSecret is merged by its items. Then all three versions are brought to what came of that, so that they differ
//! only in what else is in the file, which merges by lines.

use std::collections::BTreeMap;

use super::lines::{self, Side};
use super::{Merge, MergeResult, Versions, in_version, markers};
use crate::batch;
use crate::error::{Error, Kind, Result};
use crate::keys::MasterKey;
use crate::sealed_secret::{self, Binding, SealedFile, SealedSecret, Values};
use crate::secret::SecretBytes;

/// What a SealedSecret is known by in its file.
type Name = (String, String);

fn name(sealed: &SealedSecret) -> Name {
    (sealed.metadata.namespace.clone().unwrap_or_default(), sealed.metadata.name.clone())
}

pub async fn merge(merge: &Merge<'_>, versions: &Versions<SecretBytes>) -> MergeResult {
    let parse = |name, file: &SecretBytes| {
        SealedFile::parse(merge.format, file.clone()).map_err(|error| in_version(name, &error))
    };
    let merged = async {
        let files = versions.as_ref().try_map(parse)?;
        let files = Files { values: open(merge, &files).await, files };
        files.merge(merge)
    };
    merged.await.unwrap_or_else(MergeResult::Refused)
}

type Items = BTreeMap<Name, BTreeMap<String, SecretBytes>>;

/// The values of all versions, if all of them open.
async fn open(merge: &Merge<'_>, files: &Versions<SealedFile>) -> Option<Versions<Items>> {
    let all: Vec<_> = files.as_ref().named().flat_map(|(_, file)| file.objects.iter()).collect();
    let wanted: Vec<_> = all.iter().map(|(_, sealed)| (merge.path, sealed, None)).collect();
    let mut opened = batch::open_sealed(merge.service, &wanted).await.into_iter();
    files
        .as_ref()
        .try_map(|_, file| {
            let mut items = Items::new();
            for (_, sealed) in &file.objects {
                let keys = opened.next().unwrap_or_else(|| Err(Error::new(Kind::NoDataKey, "not opened")))?;
                items.insert(name(sealed), keys.items(&sealed.spec, &Binding::of(sealed)?)?);
            }
            Ok(items)
        })
        .ok()
}

struct Files {
    files: Versions<SealedFile>,
    values: Option<Versions<Items>>,
}

/// What came of SealedSecrets.
type Results = BTreeMap<Name, SealedSecret>;

impl Files {
    fn merge(&self, merge: &Merge<'_>) -> Result<MergeResult> {
        let (ours, mut conflicts) = self.objects(Side::Ours)?;
        let (theirs, _) = self.objects(Side::Theirs)?;
        let (ours, theirs) = with_all_data_keys(ours, theirs);
        let (ours_text, is_clean) = self.text(merge, &ours, Side::Ours)?;
        if is_clean && conflicts.is_empty() {
            self.check(merge, &ours_text, &ours)?;
            let file = self.without_unused(merge, ours_text)?;
            return Ok(MergeResult::Clean { file, notes: Vec::new(), new_key: None });
        }
        let (theirs_text, _) = self.text(merge, &theirs, Side::Theirs)?;
        if !is_clean {
            conflicts.push("what else is in the file".to_owned());
        }
        let text = |bytes: &SecretBytes| String::from_utf8_lossy(bytes).into_owned();
        let file = markers::marked(&text(&ours_text), &text(&theirs_text), merge.marker_size).into_bytes();
        Ok(MergeResult::Conflict { file, paths: conflicts, notes: Vec::new(), new_key: None })
    }

    /// What comes of those SealedSecrets that both sides have, with the side where the two are at odds.
    fn objects(&self, side: Side) -> Result<(Results, Vec<String>)> {
        let index = |file: &SealedFile| -> Result<Results> {
            let mut found = Results::new();
            for (_, sealed) in &file.objects {
                if found.insert(name(sealed), sealed.clone()).is_some() {
                    let message =
                        format!("there are two SealedSecrets `{}` in the file", sealed.metadata.name);
                    return Err(Error::new(Kind::Conflict, message).advise("Remove one, and merge again."));
                }
            }
            Ok(found)
        };
        let Versions { base, ours, theirs } = self.files.as_ref().try_map(|_, file| index(file))?;
        let (mut results, mut conflicts) = (Results::new(), Vec::new());
        for (name, ours) in &ours {
            let Some(theirs) = theirs.get(name) else { continue };
            let base = base.as_ref().and_then(|base| base.get(name));
            let values = self.values(name);
            let merged = match side {
                Side::Ours => sealed_secret::merge(base, ours, theirs, values.as_ref())?,
                Side::Theirs => {
                    let values = values.map(|Values { base, ours, theirs }| Values {
                        base,
                        ours: theirs,
                        theirs: ours,
                    });
                    sealed_secret::merge(base, theirs, ours, values.as_ref())?
                }
            };
            let of = format!("{}: ", name.1);
            conflicts.extend(merged.conflicts.into_iter().map(|path| of.clone() + &path));
            results.insert(name.clone(), merged.sealed);
        }
        Ok((results, conflicts))
    }

    fn values(&self, name: &Name) -> Option<Values> {
        let items = |items: &Items| items.get(name).cloned().unwrap_or_default();
        let Versions { base, ours, theirs } = self.values.as_ref()?;
        Some(Values {
            base: base.as_ref().map(items).unwrap_or_default(),
            ours: items(ours),
            theirs: items(theirs),
        })
    }

    /// The file with these SealedSecrets, with the side where the rest is at odds; and whether it is nowhere.
    fn text(&self, merge: &Merge<'_>, results: &Results, side: Side) -> Result<(SecretBytes, bool)> {
        let texts = self.files.as_ref().try_map(|_, file| {
            let new: Vec<_> =
                file.objects.iter().map(|(_, sealed)| results.get(&name(sealed)).cloned()).collect();
            file.rewritten(&new)
        })?;
        let base = texts.base.unwrap_or_default();
        let merged = lines::merge(merge.host, &base, &texts.ours, &texts.theirs)?;
        Ok((merged.with(side), merged.is_clean()))
    }

    /// Holds what came of lines against what came of SealedSecrets.
    fn check(&self, merge: &Merge<'_>, text: &SecretBytes, results: &Results) -> Result<()> {
        let differs = || {
            Error::new(Kind::Conflict, "the two sides cannot be merged line by line").advise(
                "Choose a side with `sealant resolve --ours FILE` or `--theirs`, and make the other side's \
                         changes again.",
            )
        };
        let file = SealedFile::parse(merge.format, text.clone()).map_err(|_| differs())?;
        let mut found = Results::new();
        for (_, sealed) in file.objects {
            if found.insert(name(&sealed), sealed).is_some() {
                return Err(differs());
            }
        }
        let is_there = |(name, sealed): (&Name, &SealedSecret)| found.get(name) == Some(sealed);
        if results.iter().all(is_there) { Ok(()) } else { Err(differs()) }
    }

    /// The file without the data keys that no item uses.
    fn without_unused(&self, merge: &Merge<'_>, text: SecretBytes) -> Result<Vec<u8>> {
        without_unused_keys(&SealedFile::parse(merge.format, text)?)
    }
}

/// A file with SealedSecrets whose data keys are all in use.
pub fn without_unused_keys(file: &SealedFile) -> Result<Vec<u8>> {
    let clean = |(_, sealed): &(_, SealedSecret)| sealed_secret::unset(sealed, &[]).map(Some);
    let clean = file.objects.iter().map(clean).collect::<Result<Vec<_>>>()?;
    file.rewritten(&clean)
}

/// Those whom `side` has taken out since the `base`, and who can open with `result` what they could not open as that side
/// left it.
pub fn returned(base: &SealedFile, side: &SealedFile, result: &SealedFile) -> Result<Vec<MasterKey>> {
    let find = |file: &SealedFile, wanted: &Name| {
        file.objects.iter().map(|(_, sealed)| sealed).find(|sealed| name(sealed) == *wanted).cloned()
    };
    let mut found = Vec::new();
    for (_, result) in &result.objects {
        let name = name(result);
        if let (Some(base), Some(side)) = (find(base, &name), find(side, &name)) {
            found.extend(sealed_secret::returned(&base, &side, result)?.into_iter().map(|(key, _)| key));
        }
    }
    Ok(found)
}

/// Both with the data keys of both, so that whichever item is chosen finds its own. [`without_unused_keys`] drops the
/// others.
fn with_all_data_keys(mut ours: Results, mut theirs: Results) -> (Results, Results) {
    for (name, ours) in &mut ours {
        let Some(theirs) = theirs.get_mut(name) else { continue };
        let missing = |from: &SealedSecret, to: &SealedSecret| {
            let has = |id: &str| to.spec.data_keys.iter().any(|entry| entry.id == id);
            from.spec.data_keys.iter().filter(|entry| !has(&entry.id)).cloned().collect::<Vec<_>>()
        };
        let (to_ours, to_theirs) = (missing(theirs, ours), missing(ours, theirs));
        for (sealed, more) in [(ours, to_ours), (theirs, to_theirs)] {
            sealed.spec.data_keys.extend(more);
            sealed.spec.data_keys.sort_by(|a, b| a.id.cmp(&b.id));
        }
    }
    (ours, theirs)
}
