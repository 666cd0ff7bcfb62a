//! One room for each kind of master key, and those of them that a key service asks.
//!
//! A room owns how its keys are named, written down, and used. It knows no other room, no file format and no key
//! groups.

pub mod age;
pub mod aws_kms;
pub mod azure_kv;
pub mod gcp_kms;
pub mod hc_vault;
pub mod hckms;
pub mod pgp;

use std::pin::Pin;

use super::groups::Step;
use super::kind::{MasterKey, Try, Worker, Wrapped};
use super::unopened::Failure;
#[cfg(feature = "cloud")]
use super::web::InCloud;
use super::{Allowed, Identities, KeyKind, StartedBy, WrappedKey};
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
    pub advice: String,
    /// The reader's own recipient, if one was found.
    pub own: Option<String>,
}

/// What uses the keys of each kind.
pub(super) struct Workers {
    pub age: Identities,
    pgp: pgp::Gpg,
    #[cfg(feature = "vault")]
    pub vault: Option<hc_vault::Vault>,
    clouds: Vec<Box<dyn AnyWorker>>,
}

/// Those that ask the servers of a cloud, with the user's own credentials, about those keys alone that are allowed.
#[cfg_attr(not(feature = "cloud"), allow(unused_variables, reason = "there is no cloud to tell"))]
fn clouds(started_by: StartedBy, allowed: Option<&Allowed>) -> Vec<Box<dyn AnyWorker>> {
    vec![
        #[cfg(feature = "aws")]
        Box::new(InCloud::new(aws_kms::Kms::of_user(started_by), allowed)),
        #[cfg(feature = "gcp")]
        Box::new(InCloud::new(gcp_kms::Kms::of_user(started_by), allowed)),
        #[cfg(feature = "azure")]
        Box::new(InCloud::new(azure_kv::Vaults::of_user(started_by), allowed)),
        #[cfg(feature = "huawei")]
        Box::new(InCloud::new(hckms::Kms::of_user(started_by), allowed)),
    ]
}

/// Slots for the answers to many requests, which the workers fill.
pub(super) type Slots<T> = Vec<Option<T>>;

impl Workers {
    pub fn new(age: Identities) -> Self {
        Self {
            age,
            pgp: pgp::Gpg,
            #[cfg(feature = "vault")]
            vault: None,
            clouds: Vec::new(),
        }
    }

    /// The same with those that ask the servers of clouds.
    pub fn with_clouds(self, started_by: StartedBy, allowed: Option<&Allowed>) -> Self {
        Self { clouds: clouds(started_by, allowed), ..self }
    }

    /// The same, of whom the user has named these keys.
    pub fn naming(mut self, keys: &[&MasterKey]) -> Self {
        #[cfg(feature = "vault")]
        {
            self.vault = self.vault.map(|vault| vault.naming(keys.iter().filter_map(|key| key.transit())));
        }
        self.clouds.iter_mut().for_each(|cloud| cloud.name(keys));
        self
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
        ];
        workers.into_iter().flatten().chain(self.clouds.iter().map(Box::as_ref))
    }

    /// Wraps each payload for its master key. `None` where nobody here can.
    pub async fn wrap(&self, host: &dyn Host, tasks: &[(&MasterKey, &[u8])]) -> Slots<Result<Wrapped>> {
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
pub(super) type Opened = Result<(usize, SecretBytes), Vec<Failure>>;

type Done<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A worker of whatever kind, which picks what is its own and fills the slots of that.
trait AnyWorker: Send + Sync {
    fn name(&mut self, keys: &[&MasterKey]);

    fn wrap<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a MasterKey, &'a [u8])],
        slots: &'a mut Slots<Result<Wrapped>>,
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
    fn name(&mut self, keys: &[&MasterKey]) {
        Worker::name(self, &keys.iter().filter_map(|key| W::own(key)).collect::<Vec<_>>());
    }

    fn wrap<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a MasterKey, &'a [u8])],
        slots: &'a mut Slots<Result<Wrapped>>,
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
