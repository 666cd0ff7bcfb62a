//! Brings the Secret of one object to what it should be: reads both, gets the values, and writes what was decided.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use kube::api::GetParams;
use kube::core::Request;

use super::Managed;
use crate::engine::object::{Bare, Key, Meta};
use crate::engine::watch::Object;
use crate::managed::decide::{self, Desired, Others, Verdict, Write};
use crate::managed::reason;
use crate::managed::secret::{self, Items, Secret};
use crate::managed::slim::{self, Revision, Slim};
use crate::managed::status::Status;
use crate::managed::write::{self, Trouble};
use crate::source::{NoValues, Refused, Source};

/// An object that was read longer ago is looked at once more before anything is written for it. Until then it is enough that
/// the watch has told of no newer one.
const FRESH: Duration = Duration::from_secs(1);

/// What has come out.
pub(super) struct Done {
    pub(super) verdict: Verdict,
    pub(super) written: Write,
    pub(super) secret_version: Option<String>,
    /// What only the operator may know of it.
    pub(super) details: String,
    /// Whether the next try may bring the values, though nothing has changed that is seen from here.
    pub(super) may_pass: bool,
}

impl From<Verdict> for Done {
    fn from(verdict: Verdict) -> Self {
        let details = String::new();
        Self { verdict, written: Write::Nothing, secret_version: None, details, may_pass: false }
    }
}

impl From<Refused> for Done {
    fn from(Refused { verdict, details, may_pass }: Refused) -> Self {
        Self { details, may_pass, ..verdict.into() }
    }
}

/// Why nothing has come out.
pub(super) enum Stop {
    Trouble(Trouble),
    /// The values come later, if this ends.
    Later(BoxFuture<'static, ()>),
    /// They may come after a while.
    Full,
}

impl<T: Into<Trouble>> From<T> for Stop {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

/// An object in work.
struct Job<'j, F> {
    found: &'j F,
    desired: Desired,
    read: Instant,
    /// Once they are known.
    values: Option<Items>,
}

impl<S: Source> Managed<S> {
    /// The object as it is now.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<S::Found>, Trouble> {
        let at = Request::new(S::path(key.namespace()));
        Ok(self.context.api.find(at.get(key.name(), &GetParams::default())).await?)
    }

    /// Does all that is to be done for it, but for saying so.
    pub(super) async fn work(&self, key: &Key, found: &S::Found, read: Instant) -> Result<Done, Stop> {
        let desired = match self.source.desired(found) {
            Ok(desired) if S::LABELLED => desired.labelled(),
            Ok(desired) => desired,
            Err(verdict) => return Ok(verdict.into()),
        };
        let mut job = Job { found, desired, read, values: None };
        // Nothing was ever said of a new one, and there is no Secret of ours: then there is mostly none at all.
        let is_new = self.source.status(found).is_empty() && self.memory.attempts(key) == 0;
        if is_new && self.context.secrets.get(key).is_none() {
            match self.make(key, &mut job, None).await {
                Err(Stop::Trouble(Trouble::Conflict)) => {}
                made => return made,
            }
        }
        let secrets = Request::new(secret::path(key.namespace()));
        let current: Option<Secret> =
            self.context.api.find(secrets.get(key.name(), &GetParams::default())).await?;
        self.make(key, &mut job, current).await
    }

    /// Brings the Secret to what it should be.
    async fn make(
        &self,
        key: &Key,
        job: &mut Job<'_, S::Found>,
        current: Option<Secret>,
    ) -> Result<Done, Stop> {
        let marks = &self.context.marks;
        let desired = match decide::claimed(&job.desired, current.as_ref(), marks) {
            Ok(desired) => desired,
            Err(verdict) => return Ok(verdict.into()),
        };
        if desired.others != Others::Own {
            self.context.rooms.leave(key, S::NAME);
        } else if let Some(other) = self.context.rooms.enter(key, S::NAME) {
            return Ok(decide::is_taken(key.name(), &reason::has_room(other)).into());
        }
        let items = match job.values.take() {
            Some(items) => items,
            None => match self.source.values(job.found).await {
                Ok(items) => items,
                Err(NoValues::Refused(refused)) => return Ok(refused.into()),
                Err(NoValues::Later(later)) => return Err(Stop::Later(later)),
                Err(NoValues::Full) => return Err(Stop::Full),
            },
        };
        let items = &*job.values.insert(items);
        let write = match decide::write(current.as_ref(), &desired, items) {
            Ok(write) => write,
            Err(verdict) => return Ok(verdict.into()),
        };
        if write != Write::Nothing {
            self.may_write(job.found.meta(), job.read).await?;
        }
        let written =
            write::secret(&self.context.api, key, &write, current.as_ref(), &desired, items).await?;
        self.count_write(&write);
        let is_right = written.as_ref().is_none_or(|it| decide::is_right(it, &desired, items, marks));
        let verdict = match is_right {
            true => Verdict::new(S::WORDS.right, S::WORDS.in_sync),
            false => Verdict::new(reason::CONFLICT, reason::CHANGED_AT_ONCE),
        };
        let secret_version = written.or(current).map(|secret| secret.meta.resource_version);
        Ok(Done { written: write, secret_version, ..verdict.into() })
    }

    /// A write is bound to the Secret, and nothing else would keep one with an old view of the object from writing old
    /// values over new ones.
    async fn may_write(&self, meta: &Meta, read: Instant) -> Result<(), Trouble> {
        let told = self.objects.get(&meta.key());
        let is_newer =
            |told: &Slim| told.identity == slim::identity(meta) && told.revision.generation > meta.generation;
        if told.as_ref().is_some_and(is_newer) {
            return Err(Trouble::Conflict);
        }
        if read.elapsed() > FRESH {
            let at = Request::new(S::path(&meta.namespace));
            let found: Bare =
                self.context.api.ask(at.get_metadata(&meta.name, &GetParams::default())).await?;
            if !is_same(meta, &found.metadata, S::PREFIX) {
                return Err(Trouble::Conflict);
            }
        }
        if self.context.leadership.is_leader() { Ok(()) } else { Err(Trouble::Conflict) }
    }
}

/// Whether an object still asks for what it asked for.
fn is_same(seen: &Meta, found: &Meta, annotations: &str) -> bool {
    let revision = |meta: &Meta| Revision::of(meta, annotations);
    seen.uid == found.uid && revision(seen) == revision(found) && !found.is_being_deleted
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_object_that_has_changed_is_not_the_one_that_was_seen() {
        let meta = |change: Value| -> Meta {
            let mut body = json!({"name": "db", "uid": "u", "generation": 1, "resourceVersion": "1",
                "annotations": {"theirs": "1", "sealant.dev/x": "1"}});
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            serde_json::from_value(body).unwrap()
        };
        let seen = meta(json!({}));
        let same = json!({"resourceVersion": "2", "annotations": {"theirs": "2", "sealant.dev/x": "1"}});
        assert!(is_same(&seen, &meta(same), "sealant.dev/"));
        for change in [
            json!({"uid": "v"}),
            json!({"generation": 2}),
            json!({"annotations": {"sealant.dev/x": "1", "sealant.dev/suspend": "true"}}),
            json!({"annotations": {}}),
            json!({"deletionTimestamp": "2026-11-22T00:00:00Z"}),
        ] {
            assert!(!is_same(&seen, &meta(change.clone()), "sealant.dev/"), "{change}");
        }
    }
}
