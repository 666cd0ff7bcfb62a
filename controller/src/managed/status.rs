//! A verdict as status and as event.
//!
//! In kstatus form, so that `kubectl wait`, Argo CD and Flux understand it. Nothing in it changes as long as nothing
//! has happened, for each change is a write.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::managed::decide::{Verdict, Write};
use crate::managed::reason::{self, Reason, Standing};

/// Which Secrets count as right at a start without being looked at: those whose status says that a controller of this
/// number has made them. It goes up only in a release whose notes say what is then written again.
pub const WRITER: u32 = 1;

/// What the controller has made of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
    /// Of the Secret when it was last seen to be right: a restart has nothing to do while it is still this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_resource_version: Option<String>,
    /// Absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<u32>,
}

impl Status {
    /// By which [`WRITER`] it was written.
    pub fn writer(&self) -> u32 {
        self.writer.unwrap_or(1)
    }

    /// Whether another version of the Secret is all that is new.
    pub fn is_but_for_version(&self, other: &Self) -> bool {
        let secret_resource_version = other.secret_resource_version.clone();
        Self { secret_resource_version, ..self.clone() } == *other
    }

    pub fn condition(&self, name: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.name == name)
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.condition(name).is_some_and(|condition| condition.status == "True")
    }
}

/// A condition, as all of Kubernetes has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub name: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub last_transition_time: Timestamp,
    pub reason: String,
    pub message: String,
}

/// What people are told about a SealedSecret.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
}

/// The status after a verdict.
pub fn after(
    previous: &Status,
    verdict: &Verdict,
    generation: Option<i64>,
    secret_version: Option<String>,
    now: Timestamp,
) -> Status {
    let of = |name: &str, holds: bool, generation: Option<i64>| {
        let status = if holds { "True" } else { "False" };
        let since = previous.condition(name).filter(|known| known.status == status);
        // Who has it at length, from an earlier version, keeps it: nothing is written because of that.
        let is_said = since.is_some_and(|known| known.message == verdict.message);
        let is_whole = name == "Ready" || is_said;
        Condition {
            name: name.to_owned(),
            status: status.to_owned(),
            observed_generation: generation,
            last_transition_time: since.map_or(now, |known| known.last_transition_time),
            reason: verdict.reason.name().to_owned(),
            message: if is_whole { &verdict.message } else { verdict.brief() }.to_owned(),
        }
    };
    let new = |name: &str, holds: bool| of(name, holds, generation);
    let conditions = match verdict.reason.standing() {
        Standing::Good => vec![new("Ready", true), new("Synced", true)],
        Standing::Waiting => vec![new("Ready", false), new("Reconciling", true), new("Synced", false)],
        Standing::Stalled => vec![new("Ready", false), new("Stalled", true), new("Synced", false)],
        Standing::Suspended => {
            // What was said of the Secret stays true; of the generation that it was said of.
            let seen = previous.observed_generation.filter(|generation| *generation > 0);
            let synced = of("Synced", false, seen);
            let kept = previous.conditions.iter().filter(|known| known.name != "Synced").cloned();
            let conditions = kept.chain([synced]).collect();
            return Status { conditions, ..previous.clone() };
        }
    };
    let secret_resource_version = match verdict.reason {
        Reason::Unsealed => secret_version,
        _ => None,
    };
    let writer = (WRITER > 1).then_some(WRITER);
    Status { observed_generation: generation, conditions, secret_resource_version, writer }
}

/// What is new, if anything is.
pub fn news(previous: &Status, verdict: &Verdict, generation: Option<i64>, written: &Write) -> Option<News> {
    let was_good = previous.is_true("Synced") && previous.observed_generation == generation;
    let (reason, message) = match (verdict.reason, written) {
        (Reason::Unsealed, Write::Update(_)) if was_good => (reason::REPAIRED, reason::HAD_CHANGED),
        (Reason::Unsealed, Write::Create) if was_good => (reason::REPAIRED, reason::HAD_GONE),
        (Reason::Unsealed, Write::Create) => (Reason::Unsealed.name(), reason::CREATED),
        (Reason::Unsealed, Write::Update(_)) => (Reason::Unsealed.name(), reason::UPDATED),
        (Reason::Unsealed, Write::Recreate) => (Reason::Unsealed.name(), reason::RECREATED),
        (reason, Write::Nothing) | (reason, _) => (reason.name(), verdict.message.as_str()),
    };
    let known = previous.condition("Synced");
    let is_known = known.is_some_and(|known| {
        known.reason == verdict.reason.name()
            && (known.message == verdict.brief() || known.message == verdict.message)
    });
    let wrote = verdict.reason == Reason::Unsealed && *written != Write::Nothing;
    let warning = matches!(verdict.reason.standing(), Standing::Waiting | Standing::Stalled);
    (wrote || !is_known).then(|| News { warning, reason, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed::decide::Removals;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn verdict(reason: Reason) -> Verdict {
        Verdict::new(reason, reason.name().to_lowercase())
    }

    fn status(previous: &Status, reason: Reason, generation: i64, second: i64) -> Status {
        let version = Some(format!("v{generation}"));
        after(previous, &verdict(reason), Some(generation), version, at(second))
    }

    fn shown(status: &Status) -> Vec<String> {
        let show = |condition: &Condition| {
            let second = condition.last_transition_time.as_second();
            format!("{}={} {} {second}", condition.name, condition.status, condition.reason)
        };
        status.conditions.iter().map(show).collect()
    }

    #[test]
    fn conditions_are_those_of_kstatus_and_their_times_those_of_changes() {
        let good = status(&Status::default(), Reason::Unsealed, 1, 10);
        assert_eq!(shown(&good), ["Ready=True Unsealed 10", "Synced=True Unsealed 10"]);
        assert_eq!(good.secret_resource_version.as_deref(), Some("v1"));
        assert_eq!(status(&good, Reason::Unsealed, 1, 20), good);

        let bad = status(&good, Reason::BadCiphertext, 2, 30);
        let expected = [
            "Ready=False BadCiphertext 30",
            "Stalled=True BadCiphertext 30",
            "Synced=False BadCiphertext 30",
        ];
        assert_eq!(shown(&bad), expected);
        assert_eq!((bad.observed_generation, &bad.secret_resource_version), (Some(2), &None));
        let waiting = status(&bad, Reason::VaultUnavailable, 2, 40);
        let expected = [
            "Ready=False VaultUnavailable 30",
            "Reconciling=True VaultUnavailable 40",
            "Synced=False VaultUnavailable 30",
        ];
        assert_eq!(shown(&waiting), expected);
    }

    /// A long message is kept once: a cluster can have many that say the same at length.
    #[test]
    fn the_whole_message_is_that_of_ready_and_the_others_have_its_first_line() {
        let verdict = Verdict::new(Reason::NoIdentity, "nothing opens it\nwanted, any of:\n  age1x");
        let status = after(&Status::default(), &verdict, Some(1), None, at(10));
        let message = |name: &str| status.condition(name).unwrap().message.as_str();
        assert_eq!(message("Ready"), verdict.message);
        assert_eq!([message("Stalled"), message("Synced")], ["nothing opens it"; 2]);
        assert_eq!(after(&status, &verdict, Some(1), None, at(20)), status);
        assert_eq!(news(&status, &verdict, Some(1), &Write::Nothing), None);
        let mut earlier = status;
        earlier.conditions.iter_mut().for_each(|condition| condition.message.clone_from(&verdict.message));
        assert_eq!(after(&earlier, &verdict, Some(1), None, at(20)), earlier);
        assert_eq!(news(&earlier, &verdict, Some(1), &Write::Nothing), None);
    }

    #[test]
    fn suspension_leaves_what_was_said_of_the_secret() {
        let good = status(&Status::default(), Reason::Unsealed, 1, 10);
        let suspended = status(&good, Reason::Suspended, 2, 20);
        assert_eq!(shown(&suspended), ["Ready=True Unsealed 10", "Synced=False Suspended 20"]);
        assert_eq!(suspended.observed_generation, Some(1));
        assert_eq!(status(&suspended, Reason::Suspended, 3, 30), suspended);
        let resumed = status(&suspended, Reason::Unsealed, 3, 40);
        assert_eq!(shown(&resumed), ["Ready=True Unsealed 10", "Synced=True Unsealed 40"]);
    }

    #[test]
    fn news_are_told_once() {
        let none = Status::default();
        let good = status(&none, Reason::Unsealed, 1, 10);
        let bad = status(&none, Reason::AlreadyExists, 1, 10);
        let update = || Write::Update(Removals::default());
        let told = |previous: &Status, reason: Reason, generation: i64, write: Write| {
            let news = news(previous, &verdict(reason), Some(generation), &write)?;
            Some((news.warning, news.reason, news.message))
        };
        let normal = |reason, message: &str| Some((false, reason, message.to_owned()));
        assert_eq!(told(&none, Reason::Unsealed, 1, Write::Create), normal("Unsealed", reason::CREATED));
        assert_eq!(told(&good, Reason::Unsealed, 2, update()), normal("Unsealed", reason::UPDATED));
        assert_eq!(told(&good, Reason::Unsealed, 1, update()), normal("Repaired", reason::HAD_CHANGED));
        assert_eq!(told(&good, Reason::Unsealed, 1, Write::Create), normal("Repaired", reason::HAD_GONE));
        assert_eq!(told(&good, Reason::Unsealed, 2, Write::Nothing), None);
        assert_eq!(told(&bad, Reason::Unsealed, 1, Write::Nothing), normal("Unsealed", "unsealed"));
        let warning = Some((true, "AlreadyExists", "alreadyexists".to_owned()));
        assert_eq!(told(&good, Reason::AlreadyExists, 1, Write::Nothing), warning);
        assert_eq!(told(&bad, Reason::AlreadyExists, 1, Write::Nothing), None);
    }
}
