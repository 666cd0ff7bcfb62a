//! What is got once and used many times, until it ends: a token, an access key.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::problem::{Cause, Problem};
use crate::host::Host;

/// What ends sooner is replaced before it is used.
const SPARE: SignedDuration = SignedDuration::from_secs(60);

/// What may end.
pub(crate) trait Lasting {
    /// When; `None` for what we cannot replace.
    fn ends(&self) -> Option<Timestamp>;
}

/// Something that lasts, or why there is none. Held while it is got: that is done once.
pub(crate) struct Kept<T>(tokio::sync::Mutex<Option<Result<Arc<T>, Problem>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::default())
    }
}

impl<T: Lasting> Kept<T> {
    /// Uses it; once more with another one, when it has ended meanwhile.
    pub async fn with<R>(
        &self,
        host: &dyn Host,
        get: impl AsyncFn() -> Result<T, Problem>,
        using: impl AsyncFn(&T) -> Result<R, Problem>,
    ) -> Result<R, Problem> {
        let kept = self.get(host, &get).await?;
        match using(&kept).await {
            Err(problem) if problem.cause == Cause::Expired && kept.ends().is_some() => {
                self.forget(&kept).await;
                using(&*self.get(host, &get).await?).await
            }
            answer => answer,
        }
    }

    async fn get(
        &self,
        host: &dyn Host,
        get: &impl AsyncFn() -> Result<T, Problem>,
    ) -> Result<Arc<T>, Problem> {
        let mut slot = self.0.lock().await;
        let is_alive = |kept: &T| kept.ends().is_none_or(|ends| ends > host.now() + SPARE);
        match &*slot {
            Some(Ok(kept)) if is_alive(kept) => return Ok(Arc::clone(kept)),
            Some(Err(problem)) => return Err(problem.clone()),
            _ => {}
        }
        let got = get().await.map(Arc::new);
        *slot = Some(got.clone());
        got
    }

    async fn forget(&self, ended: &Arc<T>) {
        let mut slot = self.0.lock().await;
        if matches!(&*slot, Some(Ok(kept)) if Arc::ptr_eq(kept, ended)) {
            *slot = None;
        }
    }
}
