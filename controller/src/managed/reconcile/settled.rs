//! Whether there is anything to do for an object at all: what is right costs no request.

use std::time::Instant;

use super::Managed;
use crate::engine::object::Key;
use crate::engine::queue::Lane;
use crate::engine::store::Change;
use crate::managed::memory::Settled;
use crate::managed::slim::{self, Held, Slim};
use crate::source::Source;

impl<S: Source> Managed<S> {
    /// Whether nothing can have changed since everything was right: then not even a question is asked.
    pub(super) fn is_settled(&self, key: &Key, slim: &Slim) -> bool {
        let Some(version) = self.context.secrets.get(key).filter(|_| !slim.is_never_settled) else {
            return false;
        };
        let held = self.held();
        let by_status = slim.right_version.as_ref() == Some(&version)
            && slim.writer == self.writer
            && slim.may_be_opened(&held);
        let seen = slim::seen(slim.identity, slim.revision);
        let state = Settled { seen, secret_version: version, losses: held.losses };
        self.memory.is_settled(key, &state, by_status, Instant::now())
    }

    /// The keys of the source.
    pub(super) fn held(&self) -> Held {
        self.keys.as_ref().and_then(|keys| keys.borrow().held().cloned()).unwrap_or_default()
    }

    /// Whether its Secret is right as another release of the controller makes it.
    pub(super) fn is_of_another_writer(&self, slim: &Slim) -> bool {
        slim.right_version.is_some() && slim.writer != self.writer
    }

    /// How many there are of those.
    pub(super) fn outdated(&self) -> i64 {
        i64::try_from(self.objects.count(|slim| self.is_of_another_writer(slim))).unwrap_or(i64::MAX)
    }

    /// How urgently an object is to be looked at that the watch tells of, if it is.
    pub(super) fn saw(&self, change: &Change<Slim>) -> Option<Lane> {
        let is_new = match (&change.old, &change.new) {
            (Some(old), Some(new)) => new.differs_from(old),
            _ => true,
        };
        // Who begins to lead looks at everything.
        if !self.context.leadership.leads() {
            return None;
        }
        if !is_new {
            let is_right = |slim: Option<&Slim>| slim.is_some_and(|slim| slim.right_version.is_some());
            let has_lost = is_right(change.old.as_ref()) && !is_right(change.new.as_ref());
            let is_doubted = has_lost && self.memory.doubt(&change.key);
            return is_doubted.then_some(Lane::Backlog);
        }
        self.memory.reset(&change.key);
        Some(if change.listed { Lane::Backlog } else { Lane::Fresh })
    }
}
