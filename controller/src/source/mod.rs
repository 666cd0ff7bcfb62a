//! What asks for a Secret: a folder for each kind of resource, which says what its objects ask for and where the values
//! come from. Everything else is done for it: watching, reading, ownership, writing, status, events, retries.
//!
//! A new kind is a new folder with a [`Source`], and a line in [`KINDS`]. How it speaks is in that folder, too: its status, its
//! reasons and words, its annotations, and what goes on beside its objects. `wishes.rs`, which tests use, is a small one that
//! uses all of it.

pub mod bitnami;
pub mod policy;
pub mod sealed;
#[cfg(test)]
pub mod wishes;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::engine::object::{Key, Meta};
use crate::engine::watch::Object;
use crate::keys::metrics::KeyMetrics;
use crate::managed::Reconcile;
use crate::managed::decide::{Desired, Marks, Verdict};
use crate::managed::reason::{Reason, Words};
use crate::managed::reconcile::{Context, Managed};
use crate::managed::secret::Items;
use crate::managed::slim::{About, Keys};
use crate::managed::status::Status;
use crate::settings::Settings;

/// The kinds that there are, each a folder. Another is one more line.
pub const KINDS: &[Kind] = &[sealed::KIND, bitnami::KIND];

/// A kind of object, before it is known whether it is looked after.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Labels of Secrets that hold keys which open its objects. No object of any kind may ask for such a Secret, whether or
    /// not this kind is looked after.
    pub labels_of_keys: &'static [&'static str],
    /// Annotations of Secrets that were made from it, beside those that all kinds write.
    pub marks: &'static [&'static str],
    pub start: fn(&mut Startup<'_>) -> Started,
}

/// A kind that is looked after; `None` if nobody wants it.
pub type Started = anyhow::Result<Option<Arc<dyn Reconcile>>>;

/// What marks Secrets, by all kinds together.
pub fn marks(kinds: &[Kind]) -> Marks {
    Marks {
        keys: kinds.iter().flat_map(|kind| kind.labels_of_keys).copied().collect(),
        made: kinds.iter().flat_map(|kind| kind.marks).copied().collect(),
    }
}

/// What a kind is started with.
pub struct Startup<'s> {
    pub settings: &'s Settings,
    /// That of the controller.
    pub namespace: &'s str,
    pub context: Context,
    /// What is counted of keys, whatever kind they open.
    pub key_metrics: KeyMetrics,
    /// For metrics of its own.
    pub registry: &'s mut Registry,
    /// How many watches there are of each kind.
    pub watches: usize,
}

impl Startup<'_> {
    /// Looks after the objects of a source.
    pub fn manage<S: Source>(&self, source: S) -> Arc<dyn Reconcile> {
        Arc::new(Managed::new(source, self.context.clone(), self.watches))
    }
}

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

    /// Whether each Secret that is made carries the label by which they are watched. Where one does not, the metadata of all
    /// Secrets are.
    const LABELLED: bool = true;

    /// Where the API server has such objects; those of all namespaces if none is named.
    fn path(&self, namespace: &str) -> String;

    /// What is kept of one while there is nothing to do for it, beside what is kept of any.
    fn about(&self, found: &Self::Found) -> About;

    /// What was said of it last.
    fn status<'f>(&self, found: &'f Self::Found) -> &'f Self::Status;

    /// Who it is, as the owner of a Secret.
    fn claim(&self, meta: &Meta) -> OwnerReference;

    /// The keys that its values are opened with: its objects are looked at again when they change, and not before they are
    /// known. `None` if they take no keys.
    fn keys(&self) -> Option<watch::Receiver<Keys>> {
        None
    }

    /// One is gone: nobody waits for its values any more.
    fn forget(&self, _key: &Key) {}

    /// The Secret that it asks for, without the values; or what is to be said of it without them.
    fn desired(&self, found: &Self::Found) -> Result<Desired, Verdict>;

    /// The values.
    fn values(&self, found: &Self::Found) -> impl Future<Output = Result<Items, NoValues>> + Send;

    /// What goes on beside its objects as long as the controller runs, on each replica: to watch its keys, for instance. Where
    /// it ends, the controller does.
    fn run(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Whether that goes on.
    fn is_alive(&self) -> bool {
        true
    }

    /// What only the replica that leads does beside its objects, such as to make a key. It is done when that replica begins to
    /// lead, when the keys change, and after what is returned if anything is; and soon again when it fails.
    fn lead(&self, _objects: Objects) -> impl Future<Output = anyhow::Result<Option<Duration>>> + Send {
        std::future::ready(Ok(None))
    }
}

/// What there is of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objects {
    pub is_empty: bool,
    /// Whether there may be others in a namespace that cannot be looked at.
    pub is_refused: bool,
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
