//! What only the replica that leads does for SealedSecrets as a whole: it makes the first identity, and publishes recipients.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::api::ApiServer;
use crate::engine::lease::Leadership;
use crate::keys::identities::{self, Ring};
use crate::keys::metrics::KeyMetrics;
use crate::source::Objects;

/// How often what is published is looked at again: somebody may have deleted or edited it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The duties of the leader.
pub struct Duties {
    pub api: ApiServer,
    /// That of the controller.
    pub namespace: String,
    pub leadership: Leadership,
    pub metrics: KeyMetrics,
    pub ring: watch::Receiver<Option<Arc<Ring>>>,
    /// Whether a first identity may be made, by the settings.
    pub may_generate: bool,
    /// Whether something else is configured by which SealedSecrets are opened.
    pub has_others: bool,
}

impl Duties {
    /// Does what there is to do, and says when to look at it again. A first identity is made where there never was one, not
    /// where all have just gone: without one, it is not looked at again before something changes.
    pub async fn fulfil(&self, objects: Objects) -> anyhow::Result<Option<Duration>> {
        let Some(ring) = self.ring.borrow().clone() else { return Ok(None) };
        if ring.is_empty() {
            return self.make_first_identity(&ring, objects).await.map(|()| None);
        }
        identities::publish(&self.api, &self.namespace, &ring, &self.metrics, &self.leadership).await?;
        Ok(Some(LOOK_AGAIN))
    }

    /// Only where nothing is configured and nothing is sealed: a second identity could open nothing that is there.
    async fn make_first_identity(&self, ring: &Ring, objects: Objects) -> anyhow::Result<()> {
        if ring.is_configured() {
            tracing::warn!("there is no identity that can be used");
            return Ok(());
        }
        if self.has_others {
            return Ok(());
        }
        if objects.is_partial {
            anyhow::bail!("some namespaces cannot be read: no first identity is made until they can");
        }
        if !objects.is_empty || !self.may_generate {
            tracing::warn!("there is no identity: label a Secret with {}: active", identities::LABEL);
            return Ok(());
        }
        if identities::were_published(&self.api, &self.namespace).await? {
            tracing::warn!(
                "there is no identity, but recipients of one are published: bring its Secret back"
            );
            return Ok(());
        }
        Ok(identities::generate(&self.api, &self.namespace).await?)
    }
}
