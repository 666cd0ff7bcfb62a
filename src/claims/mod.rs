//! What an encrypted file says of itself, compared with what its creation rule says: the one place that compares
//! them.
//!
//! Pure: a file and a rule in, typed differences out. None of what a file says of how it is encrypted is authenticated:
//! not which of its values are encrypted, not how many key groups it takes, not the place of a SealedSecret. Only what a
//! rule says *explicitly* binds a file that is there; a rule that is silent leaves it as it is. What is refused, what is
//! only told, and in which words, is for whoever asks; a file is never changed here.

mod leaves;
mod place;

pub use leaves::{
    Comment, Edit, Exposed, Says, SelectionChange, Written, change_of_selection, merged, stronger, written,
};
pub use place::{Pin, PlaceDifference};

use crate::config::{Policy, Selection};
use crate::document::{Document, Format};
use crate::encrypted_file::{EncryptedFile, KeyedPart};
use crate::error::Result;
use crate::policy;
use crate::rekey::{Change, Sharing, SharingChange};
use crate::sealed_secret::SealedSecret;
use crate::sops::{Encrypted, Metadata};

/// One way in which a file is not as its creation rule says.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// Another choice of which values are encrypted.
    Selection { file: Selection, rule: Selection, exposed: Exposure },
    /// Keys from another number of groups are needed, or there is another number of groups.
    Sharing(SharingChange),
    /// Others can open it.
    Recipients(Change),
    /// The MAC covers the encrypted values alone in one of them; true if that is the file.
    MacOnlyEncrypted(bool),
    /// A SealedSecret belongs elsewhere.
    Place(PlaceDifference),
}

/// What another choice of values leaves in plaintext that the rule says is encrypted.
#[derive(Debug, Clone, PartialEq)]
pub enum Exposure {
    /// These, in the order of the file; none when the file encrypts as much as its rule, or more.
    Leaves(Vec<Exposed>),
    /// It depends on the text of comments, which are encrypted: not known without a key.
    NeedsKey,
}

impl Difference {
    /// Whether the file hides less than its rule asks for: new values must not get into it. Who its recipients are is
    /// judged where a data key is made ([`crate::rekey::recipients`]), and does not count here.
    pub fn is_weaker(&self) -> bool {
        match self {
            Self::Selection { exposed: Exposure::Leaves(leaves), .. } => !leaves.is_empty(),
            Self::Selection { exposed: Exposure::NeedsKey, .. } => false,
            Self::Sharing(SharingChange { before, after }) => {
                before.required < after.required || before.groups < after.groups
            }
            Self::Place(place) => place.is_weaker(),
            Self::Recipients(_) | Self::MacOnlyEncrypted(_) => false,
        }
    }
}

/// In which state a document is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is in the file: comments that are encrypted cannot be read.
    Encrypted,
    /// Opened.
    Plaintext,
}

/// How a file differs from its rule, object by object: one list for a document, one for each SealedSecret.
pub fn of_file(file: &EncryptedFile, policy: &Policy) -> Result<Vec<Vec<Difference>>> {
    match file {
        EncryptedFile::Document(file) => of_document(file, policy).map(|found| vec![found]),
        EncryptedFile::Sealed(file) => {
            file.objects.iter().map(|(_, sealed)| of_sealed(sealed, policy)).collect()
        }
    }
}

/// How a document in SOPS's format differs from its rule. No key is needed.
pub fn of_document(file: &Encrypted, policy: &Policy) -> Result<Vec<Difference>> {
    let mut found = settings(&file.metadata, file.document(), Form::Encrypted, policy)?;
    found.extend(recipients(KeyedPart::Document(&file.metadata.keys), policy)?);
    Ok(found)
}

/// How a SealedSecret differs from its rule. No key is needed.
pub fn of_sealed(sealed: &SealedSecret, policy: &Policy) -> Result<Vec<Difference>> {
    let mut found = place_of_sealed(sealed, policy)?;
    found.extend(recipients(KeyedPart::Sealed(sealed), policy)?);
    Ok(found)
}

/// What a SealedSecret says of its place and its rule says otherwise.
pub fn place_of_sealed(sealed: &SealedSecret, policy: &Policy) -> Result<Vec<Difference>> {
    let Some(pin) = Pin::of(policy)? else { return Ok(Vec::new()) };
    Ok(pin.differences(sealed).into_iter().map(Difference::Place).collect())
}

/// How the settings of a document differ from its rule: which values are encrypted, how many groups it takes, what the
/// MAC covers. Of whom it is encrypted for nothing is said.
pub fn settings(
    metadata: &Metadata,
    document: &dyn Document,
    form: Form,
    policy: &Policy,
) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    found.extend(selection(metadata, document, form, policy)?);
    found.extend(sharing(metadata, policy).map(Difference::Sharing));
    // A rule cannot say that the MAC covers everything: not to mention it is what sops has for that.
    if policy.mac_only_encrypted && !metadata.mac_only_encrypted {
        found.push(Difference::MacOnlyEncrypted(false));
    } else if metadata.mac_only_encrypted && !policy.mac_only_encrypted {
        found.push(Difference::MacOnlyEncrypted(true));
    }
    Ok(found)
}

/// What a file says of which values are encrypted and its rule says explicitly, and otherwise.
fn selection(
    metadata: &Metadata,
    document: &dyn Document,
    form: Form,
    policy: &Policy,
) -> Result<Option<Difference>> {
    let file = &metadata.selection;
    // A binary file is encrypted as a whole, whatever anybody says.
    let rule = policy.selection.as_ref().filter(|rule| *rule != file && document.format() != Format::Binary);
    let Some(rule) = rule else { return Ok(None) };
    let needs_key = form == Form::Encrypted && (file.is_comment_rule() || rule.is_comment_rule());
    let exposed = match needs_key {
        true => Exposure::NeedsKey,
        false => Exposure::Leaves(leaves::exposed(document, file, rule, form)?),
    };
    Ok(Some(Difference::Selection { file: file.clone(), rule: rule.clone(), exposed }))
}

/// How the data key of a document is shared out, where its rule asks for something else.
fn sharing(metadata: &Metadata, policy: &Policy) -> Option<SharingChange> {
    let after = shared_by(policy)?;
    let before = Sharing::of(&metadata.keys);
    (before != after).then_some(SharingChange { before, after })
}

/// How a rule says that data keys are shared out; `None` when it names nobody.
fn shared_by(policy: &Policy) -> Option<Sharing> {
    let groups = policy.key_groups.len();
    let required = match policy.shamir_threshold {
        Some(threshold) if groups > 1 => threshold,
        _ => groups,
    };
    (groups > 0).then_some(Sharing { required, groups })
}

/// Who can open something, where its rule names others. How a SealedSecret is shared out is told here, too: what is
/// written into one gets a new data key, shared as the rule says.
fn recipients(holder: KeyedPart<'_>, policy: &Policy) -> Result<Option<Difference>> {
    let Some(keys) = policy::key_set(policy)? else { return Ok(None) };
    let mut change = Change::between(&holder.data_keys()?, &keys);
    if let KeyedPart::Document(_) = holder {
        change.sharing = None;
    }
    Ok((!change.is_empty()).then_some(Difference::Recipients(change)))
}

#[cfg(test)]
mod tests;
