//! What somebody has changed in an encrypted file without a key, as far as its MAC tells that without one.
//!
//! Whatever writes a file makes a new ciphertext of the MAC. So of two files with one ciphertext of it that hold other values,
//! at most one opens. This compares files, and knows nothing of where they come from.

use sha2::{Digest, Sha256};

use crate::document::NodeId;
use crate::error::Result;
use crate::sops::Encrypted;
use crate::sops::cipher::Token;
use crate::sops::leaves;

/// The first thing that is not what it was when the MAC was made.
#[derive(Debug, PartialEq, Eq)]
pub struct ByHand {
    /// From 1.
    pub line: usize,
    /// The path of the value; `None` where it is something of the metadata, or values are missing at the end.
    pub path: Option<String>,
}

/// What was changed in `now` since `before`, or the other way round, though both have one MAC. `None` where they have not, or
/// where all that the MAC binds is the same.
pub fn changed_by_hand(now: &Encrypted, before: &Encrypted) -> Result<Option<ByHand>> {
    if !have_one_mac(now, before) {
        return Ok(None);
    }
    let (values, earlier) = (bound(now)?, bound(before)?);
    let is_other =
        |at: usize| values.get(at).map(|(_, digest)| digest) != earlier.get(at).map(|(_, digest)| digest);
    let Some(at) = (0..values.len().max(earlier.len())).find(|&at| is_other(at)) else {
        let is_same = now.metadata.mac_aad()? == before.metadata.mac_aad()?
            && now.metadata.mac_only_encrypted == before.metadata.mac_only_encrypted;
        return Ok((!is_same).then_some(ByHand { line: 1, path: None }));
    };
    let document = now.document();
    Ok(Some(match values.get(at).or(values.last()) {
        Some(&(node, _)) => ByHand {
            line: document.line(node),
            path: values.get(at).map(|&(node, _)| document.tree().path_of(document.source(), node)),
        },
        None => ByHand { line: 1, path: None },
    }))
}

/// Whether all that the MAC of `before` binds is in `now`, in its order: what else is there was added.
pub fn only_added(now: &Encrypted, before: &Encrypted) -> Result<bool> {
    let now = bound(now)?;
    let mut rest = now.iter().map(|(_, digest)| digest);
    Ok(bound(before)?.iter().all(|(_, digest)| rest.any(|other| other == digest)))
}

/// Whether the MACs of two files are one ciphertext.
pub fn have_one_mac(one: &Encrypted, other: &Encrypted) -> bool {
    let mac =
        |file: &Encrypted| Token::parse(file.metadata.mac.as_deref()?).ok().map(|token| token.decoded());
    mac(one).is_some_and(|own| mac(other) == Some(own))
}

/// What the MAC binds, in its order: ciphertexts with what they are bound to themselves, and values in plaintext. Nobody can
/// tell from a digest here which of the two it was.
fn bound(file: &Encrypted) -> Result<Vec<(NodeId, [u8; 32])>> {
    let (document, metadata) = (file.document(), &file.metadata);
    let mut bound = Vec::new();
    leaves::for_each_encrypted(document, &metadata.selection, &mut |leaf| {
        if leaf.is_comment {
            return Ok(());
        }
        let text = document.tree()[leaf.node].text.get(document.source());
        let mut hash = Sha256::new();
        match Token::parse(text).ok().filter(|_| leaf.selected) {
            Some(token) => {
                hash.update(b"encrypted\0");
                hash.update(leaf.path);
                hash.update(b"\0");
                hash.update(token.decoded());
            }
            None if leaf.selected || !metadata.mac_only_encrypted => {
                hash.update(b"plaintext\0");
                document.value(leaf.node)?.with_plaintext(|bytes| hash.update(bytes));
            }
            None => return Ok(()),
        }
        bound.push((leaf.at, hash.finalize().into()));
        Ok(())
    })?;
    Ok(bound)
}
