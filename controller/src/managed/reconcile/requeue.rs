//! When an object is looked at again after something went wrong, or is put aside until an answer is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::{CONFLICTS_UNSAID, Managed};
use crate::engine::api::Failure;
use crate::engine::object::{Key, Ref};
use crate::engine::queue::Lane;
use crate::engine::retry::wait;
use crate::managed::Next;
use crate::managed::reason::{Again, Reason, Standing};
use crate::source::Source;

/// The longest wait before something is tried again that may go away by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The longest wait where a person has to do something first.
const LONGEST_STALLED: Duration = Duration::from_secs(600);

/// How often one that waits for room looks again, though nobody has called it.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(5);

/// How many times in a row a Secret is repaired without a wait.
const REPAIRS_AT_ONCE: u32 = 10;

impl<S: Source> Managed<S> {
    /// Gives the worker back until then: everything is read again afterwards, and nothing of it takes memory meanwhile.
    pub(super) fn look_again_after(&self, key: &Key, later: BoxFuture<'static, ()>) -> Next {
        let (queue, object) = (Arc::clone(&self.context.queue), Ref { kind: S::NAME, key: key.clone() });
        tokio::spawn(async move {
            later.await;
            queue.push(object, Lane::Fresh);
        });
        Next::Wait
    }

    /// After a verdict.
    pub(super) fn retry(&self, key: &Key, reason: Reason, may_pass: bool) -> Next {
        let attempts = self.memory.fail(key, Some(reason.name));
        let longest = match reason.standing {
            Standing::Stalled => LONGEST_STALLED,
            _ => LONGEST_WAIT,
        };
        match reason.again {
            Again::ByItself => Next::Retry(wait(attempts, longest)),
            Again::ByServers if may_pass => Next::Retry(wait(attempts, longest)),
            Again::ByServers | Again::OnChange => Next::Wait,
        }
    }

    /// Where others that are large are worked on: nothing was asked yet. It is called when there is room, and looks again in
    /// case that one before it does not come.
    pub(super) fn wait_for_room(&self) -> Next {
        Next::Soon(LOOK_FOR_ROOM)
    }

    /// After a conflict, which is nobody's fault as long as there are few.
    pub(super) fn retry_conflict(&self, key: &Key) -> Next {
        self.context.metrics.conflicts.inc();
        let attempts = self.memory.fail(key, None);
        match attempts <= CONFLICTS_UNSAID {
            true => Next::Soon(wait(attempts, LONGEST_WAIT) / 4),
            false => Next::Retry(wait(attempts, LONGEST_WAIT)),
        }
    }

    /// The API server is busy or gone: that is a state of its own and not of the object, of which nothing is said.
    pub(super) fn retry_outage(&self, key: &Key, failure: &Failure) -> Next {
        self.context.metrics.outages.inc();
        if self.context.breaker.failed(failure.retry_after()) {
            tracing::warn!("all work is paused: {failure}");
        }
        self.retry_failed(key)
    }

    /// What could not be done or said, whatever it was.
    pub(super) fn retry_failed(&self, key: &Key) -> Next {
        Next::Retry(wait(self.memory.fail(key, None), LONGEST_WAIT))
    }

    /// How long to wait before repairing a Secret: if something keeps changing it back, we repair it less and less
    /// often.
    pub(super) fn wait_before_repair(&self, key: &Key) -> Option<Duration> {
        let lately = self.memory.writes(key, Instant::now());
        lately.checked_sub(REPAIRS_AT_ONCE).map(|more| wait(more + 1, LONGEST_WAIT))
    }
}
