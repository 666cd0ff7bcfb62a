//! One room for each kind of master key, and those of them that a key service asks.
//!
//! A room owns how its keys are named, written down, and used. It knows no other room, no file format and no key
//! groups.

pub mod age;
pub mod aws_kms;
pub(crate) mod azure_kv;
pub mod gcp_kms;
pub mod hc_vault;
pub(crate) mod hckms;
pub mod pgp;

use std::pin::Pin;

use super::groups::Step;
use super::kind::{MasterKey, Try, Worker};
use super::unopened::Failure;
use super::{Identities, KeyKind, WrappedKey};
use crate::error::Result;
use crate::host::Host;
use crate::secret::SecretBytes;

/// Where a kind looked for what opens its keys.
pub(super) struct Searched {
    pub title: &'static str,
    /// A line each, with what was found there.
    pub places: Vec<String>,
    /// A mistake of the person's, which is more to the point than that nothing fits.
    pub mistake: Option<String>,
    pub advice: &'static str,
}

/// What uses the keys of each kind.
pub(super) struct Workers {
    pub age: Identities,
    pgp: pgp::Gpg,
    #[cfg(feature = "vault")]
    pub vault: Option<hc_vault::Vault>,
    #[cfg(feature = "aws")]
    pub aws: Option<aws_kms::Kms>,
    #[cfg(feature = "gcp")]
    pub gcp: Option<gcp_kms::Kms>,
}

/// Slots for the answers to many requests, which the workers fill.
type Slots<T> = Vec<Option<T>>;

impl Workers {
    pub fn new(age: Identities) -> Self {
        Self {
            age,
            pgp: pgp::Gpg,
            #[cfg(feature = "vault")]
            vault: None,
            #[cfg(feature = "aws")]
            aws: None,
            #[cfg(feature = "gcp")]
            gcp: None,
        }
    }

    /// The same, of whom the user has named these keys.
    #[cfg(any(feature = "aws", feature = "vault"))]
    pub fn naming(self, keys: &[&MasterKey]) -> Self {
        Self {
            #[cfg(feature = "vault")]
            vault: self.vault.map(|vault| vault.naming(keys.iter().filter_map(|key| key.transit()))),
            #[cfg(feature = "aws")]
            aws: self.aws.map(|aws| aws.naming(keys.iter().filter_map(|key| aws_kms::Kms::own(key)))),
            ..self
        }
    }

    /// All that are there.
    fn all(&self) -> impl Iterator<Item = &dyn AnyWorker> {
        fn any<W: Worker>(worker: &W) -> &dyn AnyWorker {
            worker
        }
        let workers = [
            Some(any(&self.age)),
            Some(any(&self.pgp)),
            #[cfg(feature = "vault")]
            self.vault.as_ref().map(any),
            #[cfg(feature = "aws")]
            self.aws.as_ref().map(any),
            #[cfg(feature = "gcp")]
            self.gcp.as_ref().map(any),
        ];
        workers.into_iter().flatten()
    }

    /// Wraps each payload for its master key. `None` where nobody here can.
    pub async fn wrap(&self, host: &dyn Host, tasks: &[(&MasterKey, &[u8])]) -> Slots<Result<String>> {
        let mut slots: Slots<_> = tasks.iter().map(|_| None).collect();
        for worker in self.all() {
            worker.wrap(host, tasks, &mut slots).await;
        }
        slots
    }

    /// Takes each step. An answer says which of the step's keys it is of. `None` where nobody here can.
    pub async fn open(&self, host: &dyn Host, steps: &[&Step<'_>]) -> Slots<Opened> {
        let mut slots: Slots<_> = steps.iter().map(|_| None).collect();
        for worker in self.all() {
            worker.open(host, steps, &mut slots).await;
        }
        slots
    }

    /// Moves each wrapped key to the newest version of its master key; `Some(Ok(None))` where it is there already, `None`
    /// where nobody here can.
    pub async fn rewrap(&self, host: &dyn Host, keys: &[&WrappedKey]) -> Slots<Result<Option<String>>> {
        let mut slots: Slots<_> = keys.iter().map(|_| None).collect();
        for worker in self.all() {
            worker.rewrap(host, keys, &mut slots).await;
        }
        slots
    }

    /// Where these kinds looked for what opens their keys.
    pub fn searched(&self, is_wanted: impl Fn(KeyKind) -> bool) -> Vec<Searched> {
        let age = is_wanted(KeyKind::Age).then(|| self.age.searched());
        age.into_iter().collect()
    }
}

/// What comes of a try: which of its keys has opened it, and what.
type Opened = Result<(usize, SecretBytes), Vec<Failure>>;

type Done<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A worker of whatever kind, which picks what is its own and fills the slots of that.
trait AnyWorker {
    fn wrap<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a MasterKey, &'a [u8])],
        slots: &'a mut Slots<Result<String>>,
    ) -> Done<'a>;

    fn open<'a>(
        &'a self,
        host: &'a dyn Host,
        steps: &'a [&'a Step<'a>],
        slots: &'a mut Slots<Opened>,
    ) -> Done<'a>;

    fn rewrap<'a>(
        &'a self,
        host: &'a dyn Host,
        keys: &'a [&'a WrappedKey],
        slots: &'a mut Slots<Result<Option<String>>>,
    ) -> Done<'a>;
}

impl<W: Worker> AnyWorker for W {
    fn wrap<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a MasterKey, &'a [u8])],
        slots: &'a mut Slots<Result<String>>,
    ) -> Done<'a> {
        let (places, tasks) = own(tasks, |(key, payload)| Some((W::own(key)?, *payload)));
        Box::pin(async move {
            if !tasks.is_empty() {
                fill(slots, places, self.wrap_many(host, &tasks).await);
            }
        })
    }

    fn open<'a>(
        &'a self,
        host: &'a dyn Host,
        steps: &'a [&'a Step<'a>],
        slots: &'a mut Slots<Opened>,
    ) -> Done<'a> {
        let (places, tries) = own(steps, |step| own_try::<W>(step));
        Box::pin(async move {
            if !tries.is_empty() {
                fill(slots, places, self.open_many(host, &tries).await);
            }
        })
    }

    fn rewrap<'a>(
        &'a self,
        host: &'a dyn Host,
        keys: &'a [&'a WrappedKey],
        slots: &'a mut Slots<Result<Option<String>>>,
    ) -> Done<'a> {
        let (places, tasks) = own(keys, |wrapped| Some((W::own(&wrapped.key)?, &*wrapped.enc)));
        Box::pin(async move {
            if !tasks.is_empty() {
                fill(slots, places, self.rewrap_many(host, &tasks).await);
            }
        })
    }
}

/// What is a worker's own of many things, and where it is in them.
fn own<'a, T, O>(all: &'a [T], pick: impl Fn(&'a T) -> Option<O>) -> (Vec<usize>, Vec<O>) {
    all.iter().enumerate().filter_map(|(at, one)| Some((at, pick(one)?))).unzip()
}

/// A step as a try of this worker, if its keys are of the worker's kind.
fn own_try<'a, W: Worker>(step: &'a Step<'_>) -> Option<Try<'a, W::Key>> {
    let keys =
        step.keys.iter().map(|wrapped| Some((W::own(&wrapped.key)?, *wrapped))).collect::<Option<_>>()?;
    Some(Try { keys, length: step.length })
}

fn fill<T>(slots: &mut Slots<T>, places: Vec<usize>, answers: Vec<T>) {
    for (place, answer) in places.into_iter().zip(answers) {
        slots[place] = Some(answer);
    }
}
