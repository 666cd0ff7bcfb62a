//! Aliases of collections in the encrypted part: written out before a document is encrypted, put back when it was
//! decrypted.
//!
//! sops reads values at their places and knows no aliases: behind one there are as many places as it is used. Here it is
//! decided which aliases have to be written out; all that follows is what is done with the text so written. Their names are
//! kept in the metadata, as spellings are.

use std::collections::HashSet;

use crate::config::Selection;
use crate::document::{self, Copies, Document, Format, NodeId, NodeKind, WrittenAlias, WrittenOut};
use crate::error::{Error, Kind, Result};
use crate::secret::{SecretBytes, SecretString};
use crate::sops::cipher::Cipher;
use crate::sops::encrypt::at_leaf;
use crate::sops::leaves::{self, Leaf};
use crate::sops::metadata::{Kept, Metadata};
use crate::sops::spelling;

/// What is told where the entry does not open.
pub const LOST: &str = "sealant_aliases does not match the file, so aliases of maps and lists are decrypted as \
                        copies";

/// The aliases that were written out.
#[derive(Debug, Default)]
pub struct Aliases(Vec<WrittenAlias>);

/// A document without aliases that sops could not read the values of.
pub struct Expanded {
    pub document: Box<dyn Document>,
    pub aliases: Aliases,
}

/// Writes out the aliases of collections in which there will be ciphertexts; `None` when there are none. An error for what
/// sops could not read at all.
pub fn expand(document: &dyn Document, selection: &Selection) -> Result<Option<Expanded>> {
    if document.format() != Format::Yaml {
        return Ok(None);
    }
    document::check_start(document)?;
    document::check_merge_keys(document)?;
    if !document.tree().has_aliases() {
        return Ok(None);
    }
    let copies = copies(document, selection)?;
    let Some(first) = copies.keys().min() else { return Ok(None) };
    let cannot = |why: &str| {
        let message = format!("aliases of maps and lists cannot be expanded: {why}");
        Error::new(Kind::Encrypt, message)
            .on_line(document.line(*first))
            .advise("replace the aliases with the values yourself")
    };
    let WrittenOut { mut text, aliases } = document::write_out(document.source(), &copies)?;
    let text = SecretBytes::new(std::mem::take(&mut *text).into_bytes());
    let expanded = document::parse(Format::Yaml, text, true).map_err(|error| cannot(error.message()))?;
    // A comment behind an alias is within the copy.
    if selection.is_comment_rule() && selected(document, selection)? != selected(&*expanded, selection)? {
        return Err(cannot("a comment would then apply to other values"));
    }
    Ok(Some(Expanded { document: expanded, aliases: Aliases(aliases) }))
}

/// For each leaf whether it is to be encrypted.
fn selected(document: &dyn Document, selection: &Selection) -> Result<Vec<bool>> {
    let mut selected = Vec::new();
    leaves::for_each(document, selection, &mut |leaf| {
        if !leaf.is_comment {
            selected.push(leaf.selected);
        }
        Ok(())
    })?;
    Ok(selected)
}

/// The aliases of collections with a leaf that will be a ciphertext.
fn copies(document: &dyn Document, selection: &Selection) -> Result<Copies> {
    let tree = document.tree();
    let is_collection =
        |node: NodeId| matches!(tree[tree.resolve(node)].kind, NodeKind::Map | NodeKind::List);
    let mut copies = Copies::new();
    // Leaves that become ciphertexts in their own places.
    let mut encrypted = HashSet::new();
    leaves::for_each(document, selection, &mut |leaf| {
        if leaf.is_comment {
            return Ok(());
        }
        // A value that cannot be read is told of by the one who writes it.
        let is_blank = || document.value(leaf.node).is_ok_and(|value| value.is_blank());
        let becomes_ciphertext = leaf.selected && !is_blank();
        if leaf.at == leaf.node {
            if becomes_ciphertext {
                encrypted.insert(leaf.node);
            }
        } else if !leaf.selected && encrypted.contains(&leaf.node) {
            return Err(clear_alias(document, &leaf));
        } else if is_collection(leaf.at) {
            copies.entry(leaf.at).or_default().push(becomes_ciphertext);
        }
        Ok(())
    })?;
    copies.retain(|_, leaves| leaves.contains(&true));
    Ok(copies)
}

fn clear_alias(document: &dyn Document, leaf: &Leaf<'_>) -> Error {
    let message =
        "a plaintext value is an alias of an encrypted one, which sops would write in plaintext here";
    at_leaf(document, leaf, Error::new(Kind::Encrypt, message)).advise("write the value out instead")
}

impl Aliases {
    /// The entry of the metadata; `None` when there is nothing to keep.
    pub fn encrypt(&self, cipher: &Cipher, metadata: &Metadata) -> Result<Option<String>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        spelling::seal(&self.0, Kept::Aliases, cipher, metadata).map(Some)
    }

    /// Reads the entry. What does not open was written for another state of the file, and is left out.
    pub fn decrypt(cipher: &Cipher, metadata: &Metadata) -> Self {
        Self(spelling::unseal(Kept::Aliases, cipher, metadata).unwrap_or_default())
    }

    /// Whether there is an entry that does not open.
    pub fn are_lost(cipher: &Cipher, metadata: &Metadata) -> bool {
        metadata.aliases.is_some()
            && spelling::unseal::<Vec<WrittenAlias>>(Kept::Aliases, cipher, metadata).is_none()
    }

    /// Puts the aliases back into a decrypted text, where they still say the same.
    pub fn put_back(&self, text: SecretString) -> SecretString {
        document::put_back(text, &self.0)
    }
}
