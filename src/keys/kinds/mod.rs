//! One room for each kind of master key, and those of them that a key service asks.
//!
//! A room owns how its keys are named, written down, and used. It knows no other room, no file format and no key
//! groups.

pub mod age;
pub mod aws_kms;
pub(crate) mod azure_kv;
pub(crate) mod gcp_kms;
pub mod hc_vault;
pub(crate) mod hckms;
pub mod pgp;

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

    /// Wraps each payload for its master key. `None` where nobody here can.
    pub async fn wrap(&self, host: &dyn Host, tasks: &[(&MasterKey, &[u8])]) -> Slots<Result<String>> {
        let mut slots: Slots<_> = tasks.iter().map(|_| None).collect();
        wrap_with(&self.age, host, tasks, &mut slots).await;
        wrap_with(&self.pgp, host, tasks, &mut slots).await;
        #[cfg(feature = "vault")]
        if let Some(vault) = &self.vault {
            wrap_with(vault, host, tasks, &mut slots).await;
        }
        #[cfg(feature = "aws")]
        if let Some(aws) = &self.aws {
            wrap_with(aws, host, tasks, &mut slots).await;
        }
        slots
    }

    /// Takes each step. An answer says which of the step's keys it is of. `None` where nobody here can.
    pub async fn open(
        &self,
        host: &dyn Host,
        steps: &[&Step<'_>],
    ) -> Slots<Result<(usize, SecretBytes), Vec<Failure>>> {
        let mut slots: Slots<_> = steps.iter().map(|_| None).collect();
        open_with(&self.age, host, steps, &mut slots).await;
        open_with(&self.pgp, host, steps, &mut slots).await;
        #[cfg(feature = "vault")]
        if let Some(vault) = &self.vault {
            open_with(vault, host, steps, &mut slots).await;
        }
        #[cfg(feature = "aws")]
        if let Some(aws) = &self.aws {
            open_with(aws, host, steps, &mut slots).await;
        }
        slots
    }

    /// Moves each wrapped key to the newest version of its master key; `Some(Ok(None))` where it is there already, `None`
    /// where nobody here can.
    pub async fn rewrap(&self, host: &dyn Host, keys: &[&WrappedKey]) -> Slots<Result<Option<String>>> {
        let mut slots: Slots<_> = keys.iter().map(|_| None).collect();
        rewrap_with(&self.age, host, keys, &mut slots).await;
        rewrap_with(&self.pgp, host, keys, &mut slots).await;
        #[cfg(feature = "vault")]
        if let Some(vault) = &self.vault {
            rewrap_with(vault, host, keys, &mut slots).await;
        }
        #[cfg(feature = "aws")]
        if let Some(aws) = &self.aws {
            rewrap_with(aws, host, keys, &mut slots).await;
        }
        slots
    }

    /// Where these kinds looked for what opens their keys.
    pub fn searched(&self, is_wanted: impl Fn(KeyKind) -> bool) -> Vec<Searched> {
        let age = is_wanted(KeyKind::Age).then(|| self.age.searched());
        age.into_iter().collect()
    }
}

async fn wrap_with<W: Worker>(
    worker: &W,
    host: &dyn Host,
    tasks: &[(&MasterKey, &[u8])],
    slots: &mut Slots<Result<String>>,
) {
    let own =
        tasks.iter().enumerate().filter_map(|(at, (key, payload))| Some((at, (W::own(key)?, *payload))));
    let (places, tasks): (Vec<usize>, Vec<_>) = own.unzip();
    if tasks.is_empty() {
        return;
    }
    fill(slots, places, worker.wrap_many(host, &tasks).await);
}

async fn open_with<W: Worker>(
    worker: &W,
    host: &dyn Host,
    steps: &[&Step<'_>],
    slots: &mut Slots<Result<(usize, SecretBytes), Vec<Failure>>>,
) {
    let (places, tries): (Vec<usize>, Vec<_>) =
        steps.iter().enumerate().filter_map(|(at, step)| Some((at, own_try::<W>(step)?))).unzip();
    if tries.is_empty() {
        return;
    }
    fill(slots, places, worker.open_many(host, &tries).await);
}

/// A step as a try of this worker, if its keys are of the worker's kind.
fn own_try<'a, W: Worker>(step: &'a Step<'_>) -> Option<Try<'a, W::Key>> {
    let keys =
        step.keys.iter().map(|wrapped| Some((W::own(&wrapped.key)?, *wrapped))).collect::<Option<_>>()?;
    Some(Try { keys, length: step.length })
}

async fn rewrap_with<W: Worker>(
    worker: &W,
    host: &dyn Host,
    keys: &[&WrappedKey],
    slots: &mut Slots<Result<Option<String>>>,
) {
    let own = keys
        .iter()
        .enumerate()
        .filter_map(|(at, wrapped)| Some((at, (W::own(&wrapped.key)?, &*wrapped.enc))));
    let (places, tasks): (Vec<usize>, Vec<_>) = own.unzip();
    if tasks.is_empty() {
        return;
    }
    fill(slots, places, worker.rewrap_many(host, &tasks).await);
}

fn fill<T>(slots: &mut Slots<T>, places: Vec<usize>, answers: Vec<T>) {
    for (place, answer) in places.into_iter().zip(answers) {
        slots[place] = Some(answer);
    }
}
