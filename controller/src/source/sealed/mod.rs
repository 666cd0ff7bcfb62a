//! The SealedSecret: its values are encrypted in it, and opened with the keys that we have.

pub mod ask;
mod duties;
pub mod reason;
pub mod resource;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sealant::error::Error;
use sealant::sealed_secret::{self, OpenedKeys, unseal, used_data_keys};
use sealant::secret::DataKey;
use serde_json::Value;
use tokio::sync::watch;

use crate::engine::health::Pulse;
use crate::engine::metrics::OfKind;
use crate::engine::object::{Key, Ref};
use crate::keys::asked::Opening;
use crate::keys::identities::{self, Keeper};
use crate::keys::metrics::KeyMetrics;
use crate::keys::opening::Opener;
use crate::keys::vault::ControllerHost;
use crate::keys::wanted::Wanted;
use crate::managed::decide::{Desired, Owner, Verdict};
use crate::managed::kstatus::Kstatus;
use crate::managed::reason::{Reason, Words};
use crate::managed::secret::Items;
use crate::managed::slim::{About, Keys};
use crate::source::permitted::Permitted;
use crate::source::{NoValues, Objects, Refused, SUCCESSION, Source, Startup};
use duties::Duties;
use resource::{Found, SealedSecret};

/// How long opening may take where no server is asked; `keys/asked.rs` knows how long servers are waited for.
const PATIENCE_TO_OPEN: Duration = Duration::from_secs(30);

/// SealedSecrets, and what opens them.
pub struct Sealed {
    opener: Opener,
    /// Of the thread that opens.
    pulse: Pulse,
    permitted: Permitted,
    /// Whose Secrets they may take over.
    comes_after: Option<Owner>,
    keeper: Keeper,
    keys: watch::Receiver<Keys>,
    duties: Duties,
    metrics: KeyMetrics,
}

impl Source for Sealed {
    type Found = Found;
    type Status = Kstatus;

    const NAME: &'static str = resource::NAME;
    const API_VERSION: &'static str = resource::API_VERSION;
    const KIND: &'static str = sealed_secret::KIND;
    const PREFIX: &'static str = resource::PREFIX;
    const ACTION: &'static str = "Unseal";
    const REASONS: &'static [Reason] = &reason::ALL;
    const WORDS: &'static Words = &reason::WORDS;
    const LABELS_OF_KEYS: &'static [&'static str] = &[identities::LABEL];
    const MARKS: &'static [&'static str] = &[resource::MADE_BY_NAME];
    const LABELLED: bool = true;

    fn crd() -> Option<Value> {
        Some(resource::crd())
    }

    fn start(startup: &mut Startup<'_>) -> anyhow::Result<Option<Self>> {
        let Startup { settings, namespace, context, .. } = startup;
        let host = ControllerHost::new(&settings.vault, &settings.clouds)
            .map_err(|error| anyhow::anyhow!("the settings of keys in clouds are wrong: {error}"))?;
        let host: &'static ControllerHost = Box::leak(Box::new(host));
        host.vault().map_err(|error| {
            let error = ControllerHost::by_flags(&error.to_string());
            anyhow::anyhow!("the settings of Vault are wrong: {error}")
        })?;
        let (metrics, pulse) = (startup.key_metrics.clone(), Pulse::new());
        let opener = Opener::start(metrics.clone(), pulse.clone()).context("no thread for opening")?;
        let (ring_sender, ring) = watch::channel(None);
        let (keys_sender, keys) = watch::channel(Keys::Unknown);
        let keeper = Keeper {
            api: context.api.clone(),
            namespace: (*namespace).to_owned(),
            files: settings.identity_file.clone(),
            host,
            opener: opener.clone(),
            metrics: Arc::clone(&context.metrics),
            key_metrics: metrics.clone(),
            marks: Arc::clone(&context.marks),
            ring: ring_sender,
            keys: keys_sender,
        };
        let duties = Duties {
            api: context.api.clone(),
            namespace: (*namespace).to_owned(),
            leadership: context.leadership.clone(),
            metrics: metrics.clone(),
            ring,
            may_generate: settings.generate_identity,
            has_others: !settings.identity_file.is_empty()
                || settings.vault.is_used()
                || settings.clouds.is_used(),
        };
        let permitted = startup.permitted.clone();
        // Where we look after both kinds, nobody else writes what we take from one for the other.
        let comes_after = settings.bitnami.bitnami.then_some(SUCCESSION.0);
        Ok(Some(Self { opener, pulse, permitted, comes_after, keeper, keys, duties, metrics }))
    }

    fn about(&self, found: &Found) -> About {
        let held = |sealed| ask::before_opening(sealed, &self.permitted).is_some();
        resource::about(found, found.sealed.as_ref().is_ok_and(held))
    }

    fn status<'f>(&self, found: &'f Found) -> &'f Kstatus {
        &found.status
    }

    fn keys(&self) -> Option<watch::Receiver<Keys>> {
        Some(self.keys.clone())
    }

    fn forget(&self, key: &Key) {
        self.opener.forget(&Ref { kind: Self::NAME, key: key.clone() });
    }

    fn desired(&self, found: &Found) -> Result<Desired, Verdict> {
        let sealed = found.sealed.as_ref().map_err(|error| invalid(error))?;
        match ask::before_opening(sealed, &self.permitted) {
            Some(verdict) => Err(verdict),
            None => Ok(ask::desired(sealed, self.comes_after)),
        }
    }

    async fn values(&self, found: &Found) -> Result<Items, NoValues> {
        let sealed = found.sealed.as_ref().map_err(|error| invalid(error))?;
        let opened = match wanted(sealed) {
            Ok(wanted) => match tokio::time::timeout(PATIENCE_TO_OPEN, self.opener.open(wanted)).await {
                Ok(Opening::Answered(opened)) => opened,
                Ok(Opening::Unanswered) => return Err(unanswered(sealed)),
                Ok(Opening::Later(later)) => return Err(NoValues::Later(later)),
                Ok(Opening::Full) => return Err(NoValues::Full),
                Err(_) => return Err(Verdict::new(reason::BUSY, reason::TAKES_LONG).into()),
            },
            Err(error) => Err(error),
        };
        match opened.and_then(|keys| items(sealed, keys)) {
            Ok(items) => {
                self.audit(sealed);
                Ok(items)
            }
            Err(error) => Err(NoValues::Refused(Refused {
                verdict: ask::not_opened(&error, sealed.spec()),
                details: error.details().join("\n"),
                may_pass: ask::asks_servers(sealed.spec()),
            })),
        }
    }

    async fn run(&self) {
        tokio::select! {
            () = self.keeper.run() => {}
            () = self.opener.has_ended() => {}
        }
    }

    fn is_alive(&self) -> bool {
        self.pulse.is_alive()
    }

    async fn lead(&self, objects: Objects) -> anyhow::Result<Option<Duration>> {
        self.duties.fulfil(objects).await
    }
}

/// The data keys that its items use.
fn wanted(sealed: &SealedSecret) -> Result<Wanted, Error> {
    let object = Ref { kind: Sealed::NAME, key: sealed.meta.key() };
    let wrapped = used_data_keys(sealed.spec())?.into_iter().map(|(_, wrapped)| wrapped);
    Ok(Wanted::new(object, wrapped.collect()))
}

/// The values, by the data keys that were wanted.
fn items(sealed: &SealedSecret, keys: Vec<DataKey>) -> Result<Items, Error> {
    let entries = used_data_keys(sealed.spec())?.into_iter().map(|(entry, _)| entry);
    let opened = OpenedKeys::of(entries.zip(keys).collect())?;
    Ok(unseal(&sealed.sealed, &opened)?.items)
}

impl Sealed {
    /// Who reads logs of a cluster learns that something was opened, never what was in it.
    fn audit(&self, sealed: &SealedSecret) {
        self.metrics.unseals.get_or_create(&OfKind { kind: Self::NAME }).inc();
        let data_keys: Vec<&str> = sealed.spec().data_keys.iter().map(|entry| entry.id.as_str()).collect();
        tracing::info!(
            target: "audit",
            kind = Self::NAME,
            namespace = sealed.namespace(),
            name = sealed.name(),
            uid = sealed.meta.uid,
            generation = sealed.meta.generation.unwrap_or_default(),
            scope = sealed.spec().scope.unwrap_or_default().name(),
            data_keys = data_keys.join(","),
            items = sealed.spec().encrypted_data.len(),
            "unsealed"
        );
    }
}

fn unanswered(sealed: &SealedSecret) -> NoValues {
    let verdict = Verdict::provisional(ask::unavailable(sealed.spec()), reason::NO_ANSWER);
    NoValues::Refused(Refused { verdict, details: String::new(), may_pass: true })
}

fn invalid(error: &str) -> Verdict {
    Verdict::new(reason::INVALID, format!("it cannot be read: {error}"))
}
