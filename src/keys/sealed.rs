//! How a wrapped data key is written down in a SealedSecret: what a kind says of itself that can be in one.
//!
//! Each such kind has an [`Entry`] in its room, and its list in `sealed_secret/wraps.rs`. The fields are promised: they are
//! what the CustomResourceDefinition has, and the doc comments what `kubectl explain` shows.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{KeyKind, MasterKey, WrappedKey};
use crate::error::Result;

/// How long a recipient, an address or a path may be.
pub(crate) const LONGEST_NAME: usize = 4096;

/// How long a wrapped data key may be.
pub(crate) const LONGEST_ENC: usize = 16384;

/// How many texts a map of an entry may have.
const MOST_TEXTS: usize = 64;

/// A data key or a share of one, wrapped for one master key of a kind.
pub(crate) trait Entry: Clone + PartialEq + Sized {
    const KIND: KeyKind;

    /// Whether a server is asked to open it.
    const ASKS_A_SERVER: bool = true;

    /// What the key service opens; an error where it names no key, or would lead elsewhere.
    fn read(&self) -> Result<WrappedKey>;

    /// What is written for a key of this kind.
    fn of(key: &MasterKey, enc: &str) -> Option<Self>;

    fn enc_mut(&mut self) -> &mut String;
}

/// The schema of a map of texts in an entry.
pub(crate) fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MOST_TEXTS,
        "additionalProperties": {"type": "string", "maxLength": LONGEST_NAME},
    })
}
