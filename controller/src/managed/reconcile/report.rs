//! Says what came of one object: in its status and in an event, where that is new, in the log and in metrics.

use std::collections::HashMap;
use std::time::Instant;

use super::apply::Done;
use super::{FAILURES_UNSAID, Managed};
use crate::engine::api::Failure;
use crate::engine::events::Event;
use crate::engine::metrics::{ByReason, ByState, ByVerb, OfKind};
use crate::engine::object::{Key, Meta};
use crate::managed::Next;
use crate::managed::decide::{Verdict, Write};
use crate::managed::memory::Settled;
use crate::managed::reason::Standing;
use crate::managed::slim::{self, Revision};
use crate::managed::status::{self, Finding, News, Status};
use crate::managed::write::{self, Trouble};
use crate::source::Source;

/// How metrics call objects that nothing was said of yet.
const PENDING: (&str, &str) = ("Pending", "pending");

impl<S: Source> Managed<S> {
    /// Says what has come out, where it is not said yet, and when to look again. `losses` are those of the keys that it was
    /// looked at with.
    pub(super) async fn conclude(
        &self,
        key: &Key,
        meta: &Meta,
        previous: &S::Status,
        done: Done,
        losses: u32,
    ) -> Next {
        let Done { verdict, written, secret_version, details, may_pass } = done;
        self.source.said(key, Some(verdict.reason));
        let verdict = Verdict { reason: S::WORDS.of(verdict.reason), ..verdict };
        let revision = Revision::of(meta, S::PREFIX);
        let secret_version = secret_version.as_deref();
        self.count_outcome(verdict.reason.name);
        let new =
            previous.after(Finding { verdict: &verdict, revision, secret_version, writer: self.writer });
        let settled = secret_version.map(|version| Settled {
            seen: slim::seen(slim::identity(meta), revision),
            secret_version: version.into(),
            losses,
        });
        let is_right = verdict.reason.standing == Standing::Good;
        let mut news = status::news(previous, &verdict, revision, &written, S::WORDS);
        let untold = self.memory.untold(key).filter(|_| is_right && written == Write::Nothing);
        let may_be_late = untold.is_none();
        match written {
            Write::Nothing => news = untold.or(news),
            _ => self.memory.wrote(key, news.as_ref(), Instant::now()),
        }
        // Somebody has changed what is not ours: all is right, and the status may say so a little later.
        if new != *previous
            && written == Write::Nothing
            && is_right
            && may_be_late
            && previous.is_but_for_version(&new)
            && let Some(wait) = self.memory.owe_status(key, Instant::now())
        {
            self.memory.settle(key, settled);
            return Next::Soon(wait);
        }
        if new != *previous
            && let Err(next) = self.write_status(key, meta, &new).await
        {
            return next;
        }
        if let Some(news) = news {
            self.tell(meta, news, &details);
        }
        self.memory.owe_nothing(key);
        if !is_right {
            return self.retry(key, verdict.reason, may_pass);
        }
        self.memory.settle(key, settled);
        Next::Wait
    }

    /// Writes the status, or says when it is tried again.
    async fn write_status(&self, key: &Key, meta: &Meta, new: &S::Status) -> Result<(), Next> {
        if !self.context.leadership.is_leader() {
            return Err(self.retry_conflict(key));
        }
        let path = S::path(&meta.namespace);
        let write = write::status(&self.context.api, path, meta, new);
        let written = tokio::time::timeout(self.patience, write).await;
        match written.unwrap_or(Err(Trouble::Outage(Failure::Silent))) {
            Ok(()) => {
                self.count_write_as("status");
                Ok(())
            }
            Err(Trouble::Conflict) => Err(self.retry_conflict(key)),
            Err(Trouble::Outage(failure)) => Err(self.retry_outage(key, &failure)),
            Err(Trouble::Refused(why)) => {
                self.source.said(key, None);
                // One that was just deleted is not there at the next try.
                let lasts = self.memory.attempts(key) >= FAILURES_UNSAID;
                if lasts && self.memory.cannot_say(key) {
                    tracing::warn!(kind = S::NAME, object = %key, reason = why.reason.name, "the status cannot be written, which is tried again until it can: {}", why.message);
                }
                Err(self.retry_failed(key))
            }
        }
    }

    /// Tells people, and the operator alone what nobody else may know.
    fn tell(&self, meta: &Meta, news: News, details: &str) {
        if !details.is_empty() {
            let (namespace, name) = (&meta.namespace, &meta.name);
            tracing::info!(kind = S::NAME, namespace, name, "its values could not be obtained: {details}");
        }
        self.context.events.tell(Event {
            namespace: meta.namespace.clone(),
            about: S::claim(meta),
            warning: news.warning,
            reason: news.reason,
            action: S::ACTION,
            note: news.message,
        });
    }

    fn count_outcome(&self, reason: &'static str) {
        self.context.metrics.reconciles.get_or_create(&ByReason { kind: S::NAME, reason }).inc();
    }

    pub(super) fn count_write(&self, write: &Write) {
        let verb = match write {
            Write::Nothing => return,
            Write::Create => "create",
            Write::Update(_) => "update",
            Write::Recreate => "recreate",
        };
        self.count_write_as(verb);
    }

    fn count_write_as(&self, verb: &'static str) {
        self.context.metrics.writes.get_or_create(&ByVerb { kind: S::NAME, verb }).inc();
    }

    fn count_as(&self, (reason, standing): (&'static str, &'static str), count: i64) {
        let label = ByState { kind: S::NAME, reason, standing };
        self.context.metrics.objects.get_or_create(&label).set(count);
    }

    /// Counts objects by what is said of them; one that does not lead says nothing.
    pub(super) fn count_by_reason(&self, leads: bool) {
        let counts = if leads { self.memory.count() } else { HashMap::new() };
        for reason in S::REASONS {
            let count = counts.get(reason.name).copied().unwrap_or_default();
            self.count_as((reason.name, reason.standing.name()), count);
        }
        // Nothing was said of these yet.
        let pending =
            if leads { self.objects.len().saturating_sub(counts.values().sum::<i64>() as usize) } else { 0 };
        self.count_as(PENDING, i64::try_from(pending).unwrap_or(i64::MAX));
        let outdated = if leads { self.outdated() } else { 0 };
        self.context.metrics.outdated.get_or_create(&OfKind { kind: S::NAME }).set(outdated);
    }
}
