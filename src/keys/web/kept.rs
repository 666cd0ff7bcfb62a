//! What is got once and used many times, until it ends: a token, an access key.

use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};

use super::problem::{Cause, Problem};
use crate::host::Host;

/// What ends sooner is replaced before it is used.
const SPARE: SignedDuration = SignedDuration::from_secs(60);

/// How long it is taken for granted that there is none: who runs for long has to see that there is one again.
const GIVEN_UP_FOR: SignedDuration = SignedDuration::from_secs(20);

/// What may end.
pub(crate) trait Lasting {
    /// When; `None` for what we cannot replace.
    fn ends(&self) -> Option<Timestamp>;
}

/// Something that lasts, or why there is none. Held while it is got: that is done once.
pub(crate) struct Kept<T>(tokio::sync::Mutex<Option<Got<T>>>);

/// What was got; else why not, and when that was tried.
type Got<T> = Result<Arc<T>, (Problem, Timestamp)>;

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
        let now = host.now();
        let is_alive = |kept: &T| kept.ends().is_none_or(|ends| ends > now + SPARE);
        match &*slot {
            Some(Ok(kept)) if is_alive(kept) => return Ok(Arc::clone(kept)),
            Some(Err((problem, since))) if now < *since + GIVEN_UP_FOR => return Err(problem.clone()),
            _ => {}
        }
        let got = get().await.map(Arc::new);
        *slot = Some(got.clone().map_err(|problem| (problem, now)));
        got
    }

    async fn forget(&self, ended: &Arc<T>) {
        let mut slot = self.0.lock().await;
        if matches!(&*slot, Some(Ok(kept)) if Arc::ptr_eq(kept, ended)) {
            *slot = None;
        }
    }
}

/// What is made when it is first needed: who uses no key of a kind needs none. What cannot be made is tried again the next time.
pub(crate) struct Made<T>(OnceLock<T>);

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Made<T> {
    pub fn get(&self, make: impl FnOnce() -> Result<T, Problem>) -> Result<&T, Problem> {
        match self.0.get() {
            Some(made) => Ok(made),
            None => make().map(|made| self.0.get_or_init(|| made)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pollster::block_on;

    use super::*;

    struct Thing;

    impl Lasting for Thing {
        fn ends(&self) -> Option<Timestamp> {
            None
        }
    }

    /// Its clock is where it was put, in seconds.
    struct Clock(AtomicUsize);

    impl Host for Clock {
        fn env(&self, _: &str) -> Option<OsString> {
            None
        }
        fn note(&self, _: &str) {}
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::SeqCst) as i64).unwrap()
        }
    }

    #[test]
    fn that_there_is_none_is_taken_for_granted_for_a_while() {
        let (kept, asked, clock) = (Kept::default(), AtomicUsize::new(0), Clock(AtomicUsize::new(1)));
        let get = async || match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Problem::new(Cause::Down, "down")),
            _ => Ok(Thing),
        };
        let is_there = || block_on(kept.with(&clock, &get, async |_| Ok(()))).is_ok();
        assert!(!is_there() && !is_there());
        clock.0.fetch_add(GIVEN_UP_FOR.as_secs() as usize, Ordering::SeqCst);
        assert!(is_there() && is_there());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_cannot_be_made_is_tried_again() {
        let made = Made::default();
        assert!(made.get(|| Err(Problem::new(Cause::Other, "no"))).is_err());
        assert_eq!(made.get(|| Ok(1)).ok(), Some(&1));
        assert_eq!(made.get(|| Ok(2)).ok(), Some(&1));
    }
}
