//! Makes keys, where that is asked for: the first, and a new one when the newest is too old. Only the replica that leads does
//! it, and no key is ever deleted or changed: what was sealed for an older one opens as before.
//!
//! A new key is named after the one before it, so that whoever makes it a second time finds it made.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use kube::api::GetParams;
use kube::core::Request;
use sealant::bitnami::{KEY_LABEL, NewKey, generate};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::engine::api::ApiServer;
use crate::engine::lease::Leadership;
use crate::engine::object::{Bare, Key};
use crate::managed::slim::Keys;
use crate::managed::{secret, write};
use crate::source::bitnami::keyring::{Current, Keyring};
use crate::source::bitnami::settings::BitnamiSettings;

/// How names of keys begin, and what else they are made of.
const PREFIX: &str = "sealed-secrets-key";
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// How many Secrets may have the name of a new key that are keys no more.
const MOST_TAKEN: u32 = 32;

/// How long a watch may take to tell of a key that was made.
const UNTIL_SEEN: Duration = Duration::from_secs(5);

/// From which age on it is said that nobody renews a key, and how often.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);
const SAID_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Makes keys.
pub struct Renewal {
    pub api: ApiServer,
    /// That of the keys.
    pub namespace: String,
    pub leadership: Leadership,
    pub ring: watch::Receiver<Keyring>,
    pub keys: watch::Receiver<Keys>,
    pub rule: Rule,
    /// How long a certificate may be sealed for.
    pub valid_for: Duration,
    /// One that is made and not written yet: it takes a second of a core.
    pub spare: Mutex<Option<NewKey>>,
}

/// When a key is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rule {
    /// How old one may be; zero where the first is all that is made.
    pub period: Option<Duration>,
    /// From when it has to be.
    pub cutoff: Option<Timestamp>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Now,
    After(Duration),
    /// Not by itself.
    Never,
    /// Nobody has asked for keys, and the newest is old.
    Unasked,
}

impl Rule {
    pub fn of(settings: &BitnamiSettings) -> Self {
        Self { period: settings.bitnami_key_renew_period, cutoff: settings.bitnami_key_cutoff_time }
    }

    fn due(self, newest: Option<Timestamp>, now: Timestamp) -> Due {
        let age = newest.map(|newest| Duration::try_from(now.duration_since(newest)).unwrap_or_default());
        if self.period.is_none() && self.cutoff.is_none() {
            return match age {
                Some(age) if age >= OLD => Due::Unasked,
                Some(age) => Due::After(OLD - age),
                None => Due::Never,
            };
        }
        // A time that has not come yet would make one key after the other.
        let is_cut_off =
            self.cutoff.is_some_and(|cutoff| cutoff <= now && newest.is_some_and(|newest| newest < cutoff));
        match (age, self.period.filter(|period| !period.is_zero())) {
            (None, _) => Due::Now,
            _ if is_cut_off => Due::Now,
            (Some(age), Some(period)) if age >= period => Due::Now,
            (Some(age), Some(period)) => Due::After(period - age),
            (Some(_), None) => Due::Never,
        }
    }
}

impl Renewal {
    /// Makes a key if it is time, and says when to look again.
    pub async fn fulfil(&self) -> anyhow::Result<Option<Duration>> {
        // The keys are not known yet: once they are, this runs again.
        if self.keys.borrow().held().is_none() {
            return Ok(None);
        }
        let newest = self.ring.borrow().current.clone();
        match self.rule.due(newest.as_ref().map(|newest| newest.since), Timestamp::now()) {
            Due::Now => self.make(newest.as_ref()).await,
            Due::After(wait) => Ok(Some(wait)),
            Due::Never => Ok(None),
            Due::Unasked => {
                let name = newest.map(|newest| newest.name).unwrap_or_default();
                tracing::warn!(
                    "nobody renews keys of bitnami.com, and the newest is older than 30 days: Secret {name}; \
                     --bitnami-key-renew-period=720h does"
                );
                Ok(Some(SAID_EVERY))
            }
        }
    }

    async fn make(&self, newest: Option<&Current>) -> anyhow::Result<Option<Duration>> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        let key = match spare {
            Some(key) => key,
            None => {
                let valid_for = self.valid_for;
                let made = tokio::task::spawn_blocking(move || generate(Timestamp::now(), valid_for));
                made.await.context("a key could not be made")??
            }
        };
        let written = self.write(newest, &key).await;
        if written.is_err() {
            *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        }
        written.map(|()| Some(UNTIL_SEEN))
    }

    /// Writes a key, unless somebody has been faster.
    async fn write(&self, newest: Option<&Current>, key: &NewKey) -> anyhow::Result<()> {
        for attempt in 0..MOST_TAKEN {
            anyhow::ensure!(self.leadership.is_leader(), "another replica leads");
            let name = name_after(newest, attempt);
            let at = Key::new(&self.namespace, &name);
            let labels = json!({KEY_LABEL: "active"});
            let values = json!({"tls.key": &*key.key, "tls.crt": key.certificate});
            if write::key(&self.api, &at, "kubernetes.io/tls", labels, values).await? {
                tracing::info!(
                    certificate = key.certificate,
                    "made a key for SealedSecrets of bitnami.com: Secret {name}"
                );
                return Ok(());
            }
            let request = Request::new(secret::path(&self.namespace)).get(&name, &GetParams::default());
            let there = self.api.find::<Bare>(request).await?;
            // One that was taken out of use keeps its name.
            if there.is_some_and(|there| {
                there.metadata.labels.get(KEY_LABEL).is_some_and(|role| role == "active")
            }) {
                return Ok(());
            }
        }
        anyhow::bail!("all names for a new key are taken by Secrets that are no keys")
    }
}

/// The name of the key that comes after this one.
fn name_after(newest: Option<&Current>, attempt: u32) -> String {
    let (name, since) = newest.map_or(("", Timestamp::UNIX_EPOCH), |newest| (&newest.name, newest.since));
    let print = Sha256::digest(format!("{name} {since} {attempt}"));
    let letters = print.iter().take(5).filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
    PREFIX.chars().chain(letters.map(|letter| char::from(*letter))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_key_is_made_when_it_is_asked_for_and_the_newest_is_too_old() {
        let (now, day) = (at("2026-11-29T12:00:00Z"), Some(24 * HOUR));
        let [yesterday, morning, october] =
            ["2026-11-28T11:00:00Z", "2026-11-29T10:00:00Z", "2026-10-01T00:00:00Z"]
                .map(|text| Some(at(text)));
        let due = |period, cutoff, newest| Rule { period, cutoff }.due(newest, now);
        for (period, cutoff, newest, expected) in [
            (None, None, None, Due::Never),
            (None, None, october, Due::Unasked),
            (day, None, None, Due::Now),
            (day, None, yesterday, Due::Now),
            (day, None, morning, Due::After(22 * HOUR)),
            (Some(Duration::ZERO), None, None, Due::Now),
            (Some(Duration::ZERO), None, october, Due::Never),
            (None, morning, yesterday, Due::Now),
            (None, yesterday, morning, Due::Never),
            (day, Some(at("2027-01-01T00:00:00Z")), morning, Due::After(22 * HOUR)),
        ] {
            assert_eq!(due(period, cutoff, newest), expected, "{period:?} {cutoff:?} {newest:?}");
        }
        // One from the future is new.
        assert_eq!(due(day, None, Some(at("2026-11-30T12:00:00Z"))), Due::After(24 * HOUR));
    }

    #[test]
    fn a_key_has_one_name_that_comes_after_another() {
        let current = |name: &str| Current {
            name: name.to_owned(),
            since: Timestamp::UNIX_EPOCH,
            certificate: "".into(),
        };
        let first = name_after(None, 0);
        assert!(first.starts_with(PREFIX) && first.len() == PREFIX.len() + 5, "{first}");
        let second = name_after(Some(&current(&first)), 0);
        assert_eq!(second, name_after(Some(&current(&first)), 0));
        let names = std::collections::BTreeSet::from([
            first.clone(),
            second,
            name_after(Some(&current(&first)), 1),
            name_after(None, 1),
        ]);
        assert_eq!(names.len(), 4);
    }
}
