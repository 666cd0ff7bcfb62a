//! Another choice of which values of a document are encrypted, under the data key that it has.

use jiff::Timestamp;

use crate::config::Selection;
use crate::error::Result;
use crate::secret::DataKey;
use crate::sops::{Ciphertext, Encrypted, MacCheck};

/// Encrypts a document as another selection says. All of it is verified first; what was encrypted before keeps its
/// ciphertext. What the other selection would leave in plaintext that is encrypted now is for the caller to refuse
/// ([`crate::claims::change_of_selection`]).
pub fn select(file: &Encrypted, key: &DataKey, selection: &Selection, now: Timestamp) -> Result<Ciphertext> {
    let plaintext = file.open(key, MacCheck::Verify)?;
    file.write(&*plaintext, file.metadata.for_selection(selection.clone()), key, None, now)
}
