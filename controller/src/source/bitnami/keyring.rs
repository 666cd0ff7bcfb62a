//! The keys of a sealed-secrets controller: labelled Secrets of its namespace, read again when they change, and one without a
//! label, as its first versions made it.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::GetParams;
use kube::core::Request;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sealant::bitnami::{Certificate, KEY_LABEL, SealingKey};
use tokio::sync::watch;

use crate::engine::api::{ApiServer, Failure};
use crate::engine::metrics::{Metrics, PREFIX};
use crate::engine::object::Meta;
use crate::engine::retry::Backoff;
use crate::engine::store::{Listed, Store};
use crate::engine::watch::{Event, Watch, What};
use crate::managed::decide::Marks;
use crate::managed::secret::{self, Secret};
use crate::managed::slim::{Held, Keys, digest};
use crate::source::bitnami::settings::KeyOrder;

/// The keys, the newest first.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    pub keys: Arc<[Arc<SealingKey>]>,
    /// Which of them is sealed for.
    pub current: Option<Current>,
}

/// The key that is sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Of its Secret.
    pub name: String,
    pub since: Timestamp,
    /// Its certificate, in PEM.
    pub certificate: Arc<str>,
}

/// How many keys there are. A copy counts into the same numbers.
#[derive(Clone, Default)]
pub struct KeyCounts {
    pub keys: Gauge,
    pub broken: Gauge,
    /// From when the one is that is sealed for.
    pub since: Gauge,
}

impl KeyCounts {
    pub fn register(&self, registry: &mut Registry) {
        let all = registry.sub_registry_with_prefix(PREFIX);
        all.register("bitnami_keys", "Keys for SealedSecrets of bitnami.com", self.keys.clone());
        all.register("bitnami_broken_keys", "Those that cannot be used", self.broken.clone());
        let what = "From when the key is that is sealed for";
        all.register("bitnami_newest_key_timestamp_seconds", what, self.since.clone());
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
    /// By which time it is decided which key is sealed for.
    pub order: KeyOrder,
    pub ring: watch::Sender<Keyring>,
    /// What is told of them to those who must not see keys.
    pub keys: watch::Sender<Keys>,
}

/// A key, or none where there is one that cannot be used. Texts of times have their order.
#[derive(Clone)]
struct Entry {
    created: String,
    name: String,
    key: Option<Arc<SealingKey>>,
    certificate: Option<Arc<Certificate>>,
}

impl Entry {
    /// As the key that is sealed for.
    fn as_current(&self, order: KeyOrder) -> Option<Current> {
        let certificate = self.certificate.as_ref()?;
        let since = match order {
            KeyOrder::CertNotBefore => certificate.not_before(),
            KeyOrder::SecretCreationTimestamp => self.created.parse().ok()?,
        };
        Some(Current { name: self.name.clone(), since, certificate: certificate.pem().into() })
    }
}

/// A key from before there was the label: it may have none.
const UNLABELLED: &str = "sealed-secrets-key";

/// The longest wait before it is asked for again, and how long an answer may take.
const BETWEEN_TRIES: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// The keys that were found.
struct Known {
    labelled: Store<Entry>,
    /// `None` until it was looked for.
    unlabelled: Mutex<Option<Option<Entry>>>,
}

impl Keeper {
    pub async fn run(&self) {
        let known = Known { labelled: Store::new(1), unlabelled: Mutex::default() };
        let take = |event| {
            // What a list finds is told at its end: all objects are looked at again for each word.
            let is_under_way = matches!(event, Event::Begun | Event::Listed(_));
            known.labelled.apply(0, event, |secret| self.entry(secret));
            if !is_under_way {
                self.tell(&known);
            }
        };
        let what = What {
            kind: "bitnami-keys",
            namespace: self.namespace.clone(),
            path: secret::path(&self.namespace),
            labels: Some(format!("{KEY_LABEL}=active")),
            bare: false,
        };
        let watch = Watch::new(self.api.clone(), what, Arc::clone(&self.metrics), take);
        tokio::join!(watch.run(), self.look_for_unlabelled(&known));
    }

    /// Looks for the key without a label, once. Without the right to read it there is nothing to find, and the list of the
    /// others says that the right is missing.
    async fn look_for_unlabelled(&self, known: &Known) {
        let mut backoff = Backoff::up_to(BETWEEN_TRIES);
        let found = loop {
            let request = Request::new(secret::path(&self.namespace));
            let find = self.api.find::<Secret>(request.get(UNLABELLED, &GetParams::default()));
            match tokio::time::timeout(PATIENCE, find).await.unwrap_or(Err(Failure::Silent)) {
                Ok(found) => break found.filter(|found| !found.meta.labels.contains_key(KEY_LABEL)),
                Err(failure) if failure.code() == Some(403) => break None,
                Err(failure) => {
                    tracing::warn!("cannot look for the Secret {UNLABELLED}, and tries again: {failure}");
                    self.say_unavailable();
                    backoff.wait(failure.retry_after()).await;
                }
            }
        };
        let found = found.map(|found| self.entry(&found));
        *known.unlabelled.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        self.tell(known);
    }

    /// Tells of the keys, once all of them are known.
    fn tell(&self, known: &Known) {
        let unlabelled = known.unlabelled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (known.labelled.listed(), unlabelled) {
            (Listed::Complete, Some(unlabelled)) => {
                self.announce(known.labelled.values().into_iter().chain(unlabelled).collect());
            }
            (Listed::Unavailable, _) => self.say_unavailable(),
            _ => {}
        }
    }

    /// They are not known, and it will take a while.
    fn say_unavailable(&self) {
        self.keys.send_if_modified(Keys::make_unavailable);
    }

    fn announce(&self, mut all: Vec<Entry>) {
        all.sort_by(|a, b| (&b.created, &b.name).cmp(&(&a.created, &a.name)));
        let ring: Arc<[_]> = all.iter().filter_map(|entry| entry.key.clone()).collect();
        self.counts.keys.set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
        self.counts.broken.set(i64::try_from(all.len() - ring.len()).unwrap_or(i64::MAX));
        let digests: HashSet<u32> = ring.iter().map(|key| digest(&hexadecimal(key.print()))).collect();
        // Of several of one time it is the one that was there first.
        let current = all.iter().filter_map(|entry| entry.as_current(self.order)).max_by_key(|key| key.since);
        self.counts.since.set(current.as_ref().map_or(0, |current| current.since.as_second()));
        let old = self.keys.borrow().held().cloned();
        if old.as_ref().is_some_and(|old| *old.digests == digests) {
            self.ring.send_if_modified(|ring| {
                let is_new = ring.current != current;
                ring.current = current;
                is_new
            });
            return;
        }
        let usable = all.iter().filter(|entry| entry.key.is_some());
        let names: Vec<&str> = usable.map(|entry| entry.name.as_str()).collect();
        tracing::info!(keys = names.join(", "), "keys for SealedSecrets of bitnami.com: {}", names.len());
        // What was opened with one that is gone is looked at again.
        let has_lost = old.as_ref().is_some_and(|old| !old.digests.is_subset(&digests));
        let losses = old.map_or(0, |old| old.losses) + u32::from(has_lost);
        self.ring.send_replace(Keyring { keys: ring, current });
        self.keys.send_replace(Keys::Held(Held { digests: Arc::new(digests), losses }));
    }

    /// The key of a Secret. One that cannot be used is named, and stops no other.
    fn entry(&self, secret: &Secret) -> Entry {
        let data = |key: &str| secret.data.get(key).map_or(&[][..], |value| value.as_slice());
        let read = match self.marks.maker(&secret.meta) {
            Some(maker) => Err(maker),
            None => SealingKey::read(data("tls.key"), data("tls.crt")).map_err(|bad| bad.to_string()),
        };
        let Meta { name, created, .. } = secret.meta.clone();
        let say = |why: &String| tracing::warn!("a key of bitnami.com cannot be used: Secret {name}: {why}");
        let key = read.inspect_err(say).map(Arc::new).ok();
        // What is sealed for another certificate, nobody would open.
        let is_its_own = |found: &Certificate| key.as_ref().is_some_and(|key| key.print() == found.print());
        let certificate = Certificate::read(data("tls.crt")).ok().filter(is_its_own).map(Arc::new);
        if key.is_some() && certificate.is_none() {
            tracing::warn!(
                "nothing is sealed for a key of bitnami.com: Secret {name}: its certificate cannot be read, or is for another key"
            );
        }
        Entry { created, name, key, certificate }
    }
}

fn hexadecimal(print: &[u8]) -> String {
    print.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
