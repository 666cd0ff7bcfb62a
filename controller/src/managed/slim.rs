//! What is kept of an object that asks for a Secret while there is nothing to do for it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::engine::object::Meta;
use crate::managed::status::Status;

/// What is kept. There can be a hundred thousand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slim {
    pub identity: u64,
    pub revision: Revision,
    /// Of labels and annotations: whoever changes one wants it to be looked at.
    marked: u64,
    pub is_being_deleted: bool,
    is_valid: bool,
    pub is_never_settled: bool,
    /// The version of its Secret that its status says is right.
    pub right_version: Option<Box<str>>,
    /// Which [writer](crate::source::Source::WRITER) says so.
    pub writer: u32,
    keys: Box<[u32]>,
    has_others: bool,
    pub weight: u32,
}

/// What an object asks for, as far as that is seen without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revision {
    pub generation: Option<i64>,
    /// Of those of its annotations that ask something of the controller, which change without a new generation; 0 if there
    /// are none.
    pub annotations: u64,
}

impl Revision {
    /// Of an object whose annotations begin so that ask something.
    pub fn of(meta: &Meta, prefix: &str) -> Self {
        let asking = meta.annotations.iter().filter(|(key, _)| key.starts_with(prefix));
        let asking: Vec<&str> = asking.flat_map(|(key, value)| [key.as_str(), value.as_str()]).collect();
        let annotations = if asking.is_empty() { 0 } else { print(asking.into_iter()) };
        Self { generation: meta.generation, annotations }
    }
}

/// What the source says of it.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Whether it can be read.
    pub is_valid: bool,
    /// Whether something is to be said of it without its values: then it is never settled.
    pub is_never_settled: bool,
    /// About how many bytes it has.
    pub weight: u32,
    /// [Digests](digest) of the keys that open it, if it takes any.
    pub keys: Box<[u32]>,
    /// Whether something else may open it.
    pub has_others: bool,
}

/// What is known of the keys that a kind is opened with.
#[derive(Debug, Clone, Default)]
pub enum Keys {
    /// They were not listed yet.
    #[default]
    Unknown,
    /// They cannot be looked at now: what they would open is left as it is, and nothing else waits for them.
    Unavailable,
    Held(Held),
}

impl Keys {
    pub fn held(&self) -> Option<&Held> {
        match self {
            Self::Held(held) => Some(held),
            Self::Unknown | Self::Unavailable => None,
        }
    }

    /// It will take a while until they are known. Those that are known stay so. Returns whether that is new.
    pub fn make_unavailable(&mut self) -> bool {
        let is_new = matches!(self, Self::Unknown);
        if is_new {
            *self = Self::Unavailable;
        }
        is_new
    }
}

/// The keys that we hold, as far as it has to be known what they open.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// [Digests](digest) of them.
    pub digests: Arc<HashSet<u32>>,
    /// Goes up when some go: what was right before has to be looked at again.
    pub losses: u32,
}

impl Slim {
    /// Of an object whose annotations begin so that ask something.
    pub fn of(meta: &Meta, prefix: &str, status: &impl Status, about: About) -> Self {
        let About { is_valid, is_never_settled, weight, keys, has_others } = about;
        let revision = Revision::of(meta, prefix);
        Self {
            identity: identity(meta),
            revision,
            marked: print(texts(&meta.labels).chain([""]).chain(texts(&meta.annotations))),
            is_being_deleted: meta.is_being_deleted,
            is_valid,
            is_never_settled,
            right_version: status.right_version(revision).map(Into::into),
            writer: status.writer(),
            keys,
            has_others,
            weight,
        }
    }

    /// Whether one of these keys, or something else, may open it, as far as can be seen from here: then what its status
    /// says is believed at a start.
    pub fn may_be_opened(&self, held: &Held) -> bool {
        self.has_others || self.keys.is_empty() || self.keys.iter().any(|one| held.digests.contains(one))
    }

    /// Whether anything has changed that we go by: status is not among it, since we write that ourselves.
    pub fn differs_from(&self, old: &Self) -> bool {
        (self.identity, self.revision, self.marked, self.is_being_deleted, self.is_valid)
            != (old.identity, old.revision, old.marked, old.is_being_deleted, old.is_valid)
    }
}

fn texts(pairs: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    pairs.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()])
}

/// A digest of the uid: one that was deleted and made again is another.
pub fn identity(meta: &Meta) -> u64 {
    print([meta.uid.as_str()].into_iter())
}

/// A digest of which object there is, and what it asks for.
pub fn seen(identity: u64, revision: Revision) -> u64 {
    let generation = revision.generation.map(|generation| generation.to_string()).unwrap_or_default();
    print([&*identity.to_string(), &*generation, &*revision.annotations.to_string()].into_iter())
}

/// A digest of what a key is known by.
pub fn digest(text: &str) -> u32 {
    print([text].into_iter()) as u32
}

/// A short digest; who makes two that are equal confuses two states of their own object.
fn print<'t>(texts: impl Iterator<Item = &'t str>) -> u64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(8).fold(0, |print, byte| print << 8 | u64::from(*byte))
}
