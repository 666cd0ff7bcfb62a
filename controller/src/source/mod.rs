//! What asks for a Secret: a folder for each kind of resource, which says what its objects ask for and where the values
//! come from. Everything else is done for it: watching, reading, ownership, writing, status, events, retries.
//!
//! A new kind is a new folder with a [`Source`], and a line in `run.rs`. How it speaks is in that folder, too: its status, its
//! reasons and words, and its annotations. `wishes.rs`, which tests use, is a small one.

pub mod sealed;
#[cfg(test)]
pub mod wishes;

use futures_util::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use tokio::sync::watch;

use crate::engine::object::{Key, Meta};
use crate::engine::watch::Object;
use crate::managed::decide::{Desired, Verdict};
use crate::managed::reason::{Reason, Words};
use crate::managed::secret::Items;
use crate::managed::slim::{Held, Slim};
use crate::managed::status::Status;

/// A kind of object that asks for a Secret of its name.
pub trait Source: Send + Sync + 'static {
    /// As the API server has it.
    type Found: Object + Send + Sync;

    /// What its objects say of their Secrets.
    type Status: Status;

    /// Plural and group, as kubectl takes it: so metrics, logs and the Secrets that are made call it.
    const KIND: &'static str;

    /// How annotations of its objects begin that ask something of the controller.
    const ANNOTATIONS: &'static str;

    /// What its events say was done, in a word.
    const ACTION: &'static str;

    /// Every reason that is said of its objects, those of any Secret among them.
    const REASONS: &'static [Reason];

    /// What is said of their Secrets.
    const WORDS: &'static Words;

    /// Where the API server has such objects; those of all namespaces if none is named.
    fn path(&self, namespace: &str) -> String;

    /// What is kept of one while there is nothing to do for it.
    fn slim(&self, found: &Self::Found) -> Slim;

    /// What was said of it last.
    fn status<'f>(&self, found: &'f Self::Found) -> &'f Self::Status;

    /// Who it is, as the owner of a Secret.
    fn claim(&self, meta: &Meta) -> OwnerReference;

    /// The keys that its values are opened with: its objects are looked at again when they change. `None` if they take no
    /// keys; the channel holds `None` until the keys are known.
    fn keys(&self) -> Option<watch::Receiver<Option<Held>>> {
        None
    }

    /// One is gone: nobody waits for its values any more.
    fn forget(&self, _key: &Key) {}

    /// The Secret that it asks for, without the values; or what is to be said of it without them.
    fn desired(&self, found: &Self::Found) -> Result<Desired, Verdict>;

    /// The values.
    fn values(&self, found: &Self::Found) -> impl Future<Output = Result<Items, NoValues>> + Send;
}

/// Why there are no values.
pub enum NoValues {
    /// There will be none before something changes, or passes.
    Refused(Refused),
    /// Somebody else is asked for them, who has not answered yet: no worker waits for that. When this ends, the object is
    /// looked at again.
    Later(BoxFuture<'static, ()>),
    /// Too much waits for such answers already: nothing is said of the object, and it is tried again after a while.
    Full,
}

/// What is to be said of an object without values.
#[derive(Debug)]
pub struct Refused {
    pub verdict: Verdict,
    /// What only the operator may know of it.
    pub details: String,
    /// Whether the next try may bring them, though nothing has changed that is seen from here.
    pub may_pass: bool,
}

impl From<Verdict> for NoValues {
    fn from(verdict: Verdict) -> Self {
        Self::Refused(Refused { verdict, details: String::new(), may_pass: false })
    }
}
