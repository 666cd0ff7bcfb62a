//! What asks for a Secret: a folder for each kind of object, which says what its objects ask for and where the values come
//! from. Everything else is done for it: watching, reading, ownership, writing, status, events, retries.
//!
//! A new kind is a new folder with a type that implements [`Source`], and a line in [`KINDS`]. How it speaks is in that folder,
//! too: its status, its reasons and words, its annotations, and what goes on beside its objects. `wishes.rs`, which tests use,
//! is a small one that uses all of it.

pub mod bitnami;
pub mod permitted;
pub mod sealed;
#[cfg(test)]
pub mod wishes;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::sync::watch;

use crate::engine::api;
use crate::engine::object::{Key, Meta};
use crate::engine::watch::Object;
use crate::keys::metrics::KeyMetrics;
use crate::managed::Reconcile;
use crate::managed::decide::{Desired, Marks, Owner, Verdict};
use crate::managed::reason::{Reason, Words};
use crate::managed::reconcile::{Context, Managed};
use crate::managed::secret::Items;
use crate::managed::slim::{About, Keys};
use crate::managed::status::{self, Status};
use crate::settings::Settings;
use crate::source::permitted::Permitted;

/// The kinds that there are, each a folder. Another is one more line.
pub const KINDS: &[Kind] = &[Kind::of::<sealed::Sealed>(), Kind::of::<bitnami::Bitnami>()];

/// Where one kind takes over Secrets of another: those of the first become the second's, object by object of the same name, if these
/// have the same values.
pub const SUCCESSION: (Owner, Owner) = (
    (bitnami::Bitnami::API_VERSION, bitnami::Bitnami::KIND),
    (sealed::Sealed::API_VERSION, sealed::Sealed::KIND),
);

/// A kind of object, before it is known whether it is looked after: what all others have to know of it, and how it starts.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// [`Source::PREFIX`].
    pub prefix: &'static str,
    /// [`Source::LABELS_OF_KEYS`].
    pub labels_of_keys: &'static [&'static str],
    /// [`Source::MARKS`].
    pub marks: &'static [&'static str],
    /// As what its objects own Secrets: [`Source::API_VERSION`] and [`Source::KIND`].
    pub owner: Owner,
    /// [`Source::crd`].
    pub crd: fn() -> Option<Value>,
    pub start: fn(&mut Startup<'_>) -> Started,
}

/// A kind that is looked after; `None` if nobody wants it.
pub type Started = anyhow::Result<Option<Arc<dyn Reconcile>>>;

impl Kind {
    pub const fn of<S: Source>() -> Self {
        Self {
            prefix: S::PREFIX,
            labels_of_keys: S::LABELS_OF_KEYS,
            marks: S::MARKS,
            owner: (S::API_VERSION, S::KIND),
            crd: S::crd,
            start: start::<S>,
        }
    }
}

fn start<S: Source>(startup: &mut Startup<'_>) -> Started {
    let Some(source) = S::start(startup)? else { return Ok(None) };
    Ok(Some(Arc::new(Managed::new(source, startup.context.clone(), startup.watches))))
}

/// What marks Secrets, by all kinds together.
pub fn marks(kinds: &[Kind]) -> Marks {
    Marks {
        keys: kinds.iter().flat_map(|kind| kind.labels_of_keys).copied().collect(),
        made: kinds.iter().flat_map(|kind| kind.marks).copied().collect(),
        owners: kinds.iter().map(|kind| kind.owner).collect(),
    }
}

/// What a kind is started with.
pub struct Startup<'s> {
    pub settings: &'s Settings,
    /// That of the controller.
    pub namespace: &'s str,
    pub context: Context,
    pub permitted: Permitted,
    /// What is counted of keys, whatever kind they open.
    pub key_metrics: KeyMetrics,
    /// For metrics of its own.
    pub registry: &'s mut Registry,
    /// How many watches there are of each kind.
    pub watches: usize,
}

/// A kind of object that asks for one Secret, which has its name and is in its namespace.
pub trait Source: Sized + Send + Sync + 'static {
    /// As the API server has it.
    type Found: Object + Send + Sync;

    /// What its objects say of their Secrets.
    type Status: Status;

    /// Plural and group, as kubectl takes it: so metrics, logs and the Secrets that are made call it.
    const NAME: &'static str;

    /// As its objects have them: so they own Secrets.
    const API_VERSION: &'static str;
    const KIND: &'static str;

    /// How labels and annotations begin that are its own. On its objects such annotations ask something of the controller; no
    /// template of any kind may set one, whether or not this kind is looked after.
    const PREFIX: &'static str;

    /// What its events say was done, in a word.
    const ACTION: &'static str;

    /// Every reason that is said of its objects, those of any Secret among them.
    const REASONS: &'static [Reason];

    /// What is said of their Secrets.
    const WORDS: &'static Words;

    /// Labels of Secrets that hold keys which open its objects. No object of any kind may ask for such a Secret, whether or
    /// not this kind is looked after.
    const LABELS_OF_KEYS: &'static [&'static str] = &[];

    /// Annotations of Secrets that were made from it, beside those that all kinds write.
    const MARKS: &'static [&'static str] = &[];

    /// Whether each Secret that is made gets the label by which they are watched. Where one kind wants none, the metadata of all
    /// Secrets are watched.
    const LABELLED: bool;

    /// Which of its Secrets count as right at a start without being looked at: those whose status says that a controller of
    /// this number has made them. It goes up only in a release whose notes say what is then written again.
    const WRITER: u32 = status::FIRST_WRITER;

    /// The CustomResourceDefinition of its objects, if that is ours to install.
    fn crd() -> Option<Value> {
        None
    }

    /// Gets it ready; `None` if nobody wants it looked after.
    fn start(startup: &mut Startup<'_>) -> anyhow::Result<Option<Self>>;

    /// Where the API server has such objects; those of all namespaces if none is named.
    fn path(namespace: &str) -> String {
        let plural = Self::NAME.split('.').next().unwrap_or_default();
        api::path(&format!("apis/{}", Self::API_VERSION), namespace, plural)
    }

    /// Who one is, as the owner of a Secret.
    fn claim(meta: &Meta) -> OwnerReference {
        OwnerReference {
            api_version: Self::API_VERSION.to_owned(),
            kind: Self::KIND.to_owned(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        }
    }

    /// What is kept of one while there is nothing to do for it, beside what is kept of any.
    fn about(&self, found: &Self::Found) -> About;

    /// What was said of it last.
    fn status<'f>(&self, found: &'f Self::Found) -> &'f Self::Status;

    /// The keys that its values are opened with: its objects are looked at again when they change, and not before they are
    /// known. `None` if they take no keys.
    fn keys(&self) -> Option<watch::Receiver<Keys>> {
        None
    }

    /// One was seen as it is now, for metrics of its own.
    fn seen(&self, _found: &Self::Found) {}

    /// One is gone: nobody waits for its values any more.
    fn forget(&self, _key: &Key) {}

    /// This was said of one, in the reason that any kind has for it; or, without a reason, its status could not be written. For
    /// metrics of its own.
    fn said(&self, _key: &Key, _reason: Option<Reason>) {}

    /// The Secret that it asks for, without the values; or what is to be said of it without them.
    fn desired(&self, found: &Self::Found) -> Result<Desired, Verdict>;

    /// The values. Where they were opened, that is counted, and said in the audit log.
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
    /// lead, when the keys change, and after what is returned if anything is; and soon again when it fails. So it may be done
    /// again before a watch tells what it has made: what it makes has a name by which the second is refused.
    fn lead(&self, _objects: Objects) -> impl Future<Output = anyhow::Result<Option<Duration>>> + Send {
        std::future::ready(Ok(None))
    }
}

/// What there is of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objects {
    pub is_empty: bool,
    /// Whether there may be others, where it cannot be looked at now.
    pub is_partial: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kind looks for on Secrets is what no template may set: by its prefix.
    #[test]
    fn what_marks_secrets_is_reserved() {
        for kind in KINDS.iter().chain(&[Kind::of::<wishes::Wishes>()]) {
            let marks = kind.labels_of_keys.iter().chain(kind.marks);
            assert!(marks.clone().all(|mark| mark.starts_with(kind.prefix)), "{kind:?}");
            let permitted = Permitted::new(Vec::new(), &[*kind]);
            for mark in marks {
                assert_eq!(permitted.reserved([(*mark).to_owned()].iter(), &[]), Some(*mark));
            }
        }
    }
}
