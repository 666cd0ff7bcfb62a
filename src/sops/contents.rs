//! What a plaintext says at which place, by digests: whether one says anything that others do not.
//!
//! Owns when two values are the same one at the same place. Positions in lists do not count: values move in them. Nobody
//! can read a value here.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::leaves::{self, Leaf};
use crate::config::Selection;
use crate::document::{Document, Value, ValueKind};
use crate::error::Result;

/// A value or comment at its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Known {
    path: String,
    is_comment: bool,
    digest: [u8; 32],
}

impl Known {
    pub fn of(document: &dyn Document, leaf: &Leaf<'_>) -> Result<Self> {
        Ok(Self::at(leaf, &value(document, leaf)?))
    }

    fn at(leaf: &Leaf<'_>, value: &Value) -> Self {
        Self { path: leaf.path.to_owned(), is_comment: leaf.is_comment, digest: digest(value) }
    }

    /// The keys on the way to it, each followed by a colon.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its place, as messages name it.
    pub fn shown(&self) -> String {
        self.path.trim_end_matches(':').replace(':', ".")
    }
}

/// Some of the values and comments of a document.
pub type Contents = HashSet<Known>;

/// The values and comments of a plaintext that `wanted` lets by.
pub fn contents(
    plaintext: &dyn Document,
    selection: &Selection,
    wanted: &dyn Fn(&Leaf<'_>, &Value) -> bool,
) -> Result<Contents> {
    let mut found = Contents::new();
    leaves::for_each(plaintext, selection, &mut |leaf| {
        let value = value(plaintext, &leaf)?;
        if wanted(&leaf, &value) {
            found.insert(Known::at(&leaf, &value));
        }
        Ok(())
    })?;
    Ok(found)
}

/// What becomes ciphertext when a plaintext is encrypted.
pub fn encrypted_contents(plaintext: &dyn Document, selection: &Selection) -> Result<Contents> {
    contents(plaintext, selection, &|leaf, value| leaf.selected && !value.is_blank())
}

/// All that a plaintext says.
pub fn all_contents(plaintext: &dyn Document) -> Result<Contents> {
    contents(plaintext, &Selection::default(), &|_, _| true)
}

fn value(document: &dyn Document, leaf: &Leaf<'_>) -> Result<Value> {
    match leaf.is_comment {
        true => Ok(document.comment(leaf.node)),
        false => document.value(leaf.node),
    }
}

/// What tells a value from others: by its type and its byte form.
pub fn digest(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(value.kind().map_or("null", ValueKind::name));
    hash.update([0]);
    value.with_plaintext(|bytes| hash.update(bytes));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{self, Format};
    use crate::secret::SecretBytes;

    fn says_nothing_new(text: &str, old: &str) -> bool {
        let parse = |text: &str| document::parse(Format::Yaml, SecretBytes::new(text.into()), false).unwrap();
        let old = all_contents(&*parse(old)).unwrap();
        encrypted_contents(&*parse(text), &Selection::default()).unwrap().is_subset(&old)
    }

    #[test]
    fn what_is_new_is_known_by_place_type_and_value() {
        let old = "# note\na: x\nb: {a: y}\nl: [1, 2]\nf_unencrypted: z\n";
        for (text, nothing_new) in [
            (old, true),
            ("a: x\n", true),
            ("b: {a: y}\na: x\n", true),
            ("l: [2, 1]\n", true),
            ("a: ''\nc: null\n", true),
            ("c_unencrypted: new\n", true),
            ("a: y\n", false),
            ("b: {a: x}\n", false),
            ("c: x\n", false),
            ("l: ['1', 2]\n", false),
            ("l: [1, 3]\n", false),
            ("# other\na: x\n", false),
        ] {
            assert_eq!(says_nothing_new(text, old), nothing_new, "{text}");
        }
    }
}
