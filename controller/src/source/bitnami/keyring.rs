//! The keys of a sealed-secrets controller: labelled Secrets of its namespace, read again when they change, and one without a
//! label, as its first versions made it.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::api::GetParams;
use kube::core::Request;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sealant::bitnami::{KEY_LABEL, SealingKey};
use tokio::sync::watch;

use crate::engine::api::ApiServer;
use crate::engine::metrics::{Metrics, PREFIX};
use crate::engine::retry::Backoff;
use crate::engine::watch::{Event, Object, Watch, What};
use crate::managed::decide::Marks;
use crate::managed::secret::{self, Secret};
use crate::managed::slim::{Held, Keys, digest};

/// The keys, the newest first.
#[derive(Debug, Clone, Default)]
pub struct Keyring(pub Arc<[Arc<SealingKey>]>);

/// How many keys there are. A copy counts into the same numbers.
#[derive(Clone, Default)]
pub struct KeyCounts {
    pub keys: Gauge,
    pub broken: Gauge,
}

impl KeyCounts {
    pub fn register(&self, registry: &mut Registry) {
        let all = registry.sub_registry_with_prefix(PREFIX);
        all.register("bitnami_keys", "Keys for SealedSecrets of bitnami.com", self.keys.clone());
        all.register("bitnami_broken_keys", "Those that cannot be used", self.broken.clone());
    }
}

/// Keeps the keys up to date.
pub struct Keeper {
    pub api: ApiServer,
    pub namespace: String,
    pub metrics: Arc<Metrics>,
    pub counts: KeyCounts,
    /// By which Secrets are known that are no keys.
    pub marks: Arc<Marks>,
    pub ring: watch::Sender<Keyring>,
    /// What is told of them to those who must not see keys.
    pub keys: watch::Sender<Keys>,
}

/// When a key was made, and its name: texts of times have their order.
type Place = (String, String);

/// A key, or none where there is one that cannot be used.
type Entry = Option<Arc<SealingKey>>;

/// A key from before there was the label: it may have none.
const UNLABELLED: &str = "sealed-secrets-key";

/// The longest wait before it is asked for again.
const BETWEEN_TRIES: Duration = Duration::from_secs(20);

/// The keys that were found.
#[derive(Default)]
struct Known {
    unlabelled: Option<(Place, Entry)>,
    keys: BTreeMap<Place, Entry>,
    /// What a list that is under way has found: until it is complete, nothing has gone.
    listed: BTreeMap<Place, Entry>,
    /// Whether they were listed once.
    is_complete: bool,
}

impl Keeper {
    pub async fn run(&self) {
        let known = Mutex::new(Known { unlabelled: self.unlabelled().await, ..Known::default() });
        let take = |event| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(event, Event::Refused) && !known.is_complete {
                self.keys.send_replace(Keys::Refused);
            } else if known.take_in(event, &self.marks) {
                self.announce(&known);
            }
        };
        let what = What {
            kind: "bitnami-keys",
            namespace: self.namespace.clone(),
            path: secret::path(&self.namespace),
            labels: Some(format!("{KEY_LABEL}=active")),
            bare: false,
        };
        Watch::new(self.api.clone(), what, Arc::clone(&self.metrics), take).run().await;
    }

    /// The key without a label, if there is one; it is looked for once. Without the right to read it there is nothing to
    /// find, and the list of the others says that the right is missing.
    async fn unlabelled(&self) -> Option<(Place, Entry)> {
        let mut backoff = Backoff::up_to(BETWEEN_TRIES);
        loop {
            let request = Request::new(secret::path(&self.namespace));
            match self.api.find::<Secret>(request.get(UNLABELLED, &GetParams::default())).await {
                Ok(Some(found)) if !found.meta.labels.contains_key(KEY_LABEL) => {
                    return Some((place(&found), key_of(&found, &self.marks)));
                }
                Ok(_) => return None,
                Err(failure) if failure.code() == Some(403) => return None,
                Err(failure) => backoff.wait(failure.retry_after()).await,
            }
        }
    }

    fn announce(&self, known: &Known) {
        let mut all = known.keys.clone();
        all.extend(known.unlabelled.clone());
        let ring: Arc<[_]> = all.values().rev().flatten().cloned().collect();
        self.counts.keys.set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
        self.counts.broken.set(i64::try_from(all.len() - ring.len()).unwrap_or(i64::MAX));
        let digests: HashSet<u32> = ring.iter().map(|key| digest(&hexadecimal(key.print()))).collect();
        let old = self.keys.borrow().held().cloned();
        if old.as_ref().is_some_and(|old| *old.digests == digests) {
            return;
        }
        let usable = all.iter().rev().filter(|(_, key)| key.is_some());
        let names: Vec<&str> = usable.map(|((_, name), _)| name.as_str()).collect();
        tracing::info!(keys = names.join(", "), "keys for SealedSecrets of bitnami.com: {}", names.len());
        // What was opened with one that is gone is looked at again.
        let has_lost = old.as_ref().is_some_and(|old| !old.digests.is_subset(&digests));
        let losses = old.map_or(0, |old| old.losses) + u32::from(has_lost);
        self.ring.send_replace(Keyring(ring));
        self.keys.send_replace(Keys::Held(Held { digests: Arc::new(digests), losses }));
    }
}

impl Known {
    /// Returns whether the keys may be others now.
    fn take_in(&mut self, event: Event<Secret>, marks: &Marks) -> bool {
        match event {
            Event::Begun => {
                self.listed.clear();
                return false;
            }
            Event::Listed(secret) => {
                self.listed.insert(place(&secret), key_of(&secret, marks));
                return false;
            }
            Event::Complete => {
                self.keys = std::mem::take(&mut self.listed);
                self.is_complete = true;
            }
            Event::Changed(secret) => {
                self.keys.insert(place(&secret), key_of(&secret, marks));
            }
            Event::Gone(secret) => drop(self.keys.remove(&place(&secret))),
            // What was known is known.
            Event::Refused => return false,
        }
        self.is_complete
    }
}

fn place(secret: &Secret) -> Place {
    (secret.meta().created.clone(), secret.meta().name.clone())
}

/// The key of a Secret. One that cannot be used is named, and stops no other.
fn key_of(secret: &Secret, marks: &Marks) -> Entry {
    let data = |key: &str| secret.data.get(key).map_or(&[][..], |value| value.as_slice());
    let read = match marks.maker(&secret.meta) {
        Some(maker) => Err(maker),
        None => SealingKey::read(data("tls.key"), data("tls.crt")).map_err(|bad| bad.to_string()),
    };
    let name = &secret.meta.name;
    read.inspect_err(|why| tracing::warn!("a key of bitnami.com cannot be used: Secret {name}: {why}"))
        .map(Arc::new)
        .ok()
}

fn hexadecimal(print: &[u8]) -> String {
    print.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
