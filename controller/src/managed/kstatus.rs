//! A status in the form of kstatus, so that `kubectl wait`, Argo CD and Flux understand it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::managed::decide::Verdict;
use crate::managed::reason::Standing;
use crate::managed::slim::Revision;
use crate::managed::status::{FIRST_WRITER, Finding, Status};

/// What the controller has made of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kstatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
    /// Of the Secret when it was last seen to be right.
    pub secret_resource_version: Option<String>,
    /// Absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<u32>,
}

impl Kstatus {
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

impl Status for Kstatus {
    fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    fn right_version(&self, revision: Revision) -> Option<&str> {
        let is_right = self.is_true("Ready") && self.was_right(revision);
        self.secret_resource_version.as_deref().filter(|_| is_right)
    }

    fn writer(&self) -> u32 {
        self.writer.unwrap_or(FIRST_WRITER)
    }

    /// It has no place for annotations: this is for kinds whose annotations change nothing about a Secret that is right.
    fn was_right(&self, revision: Revision) -> bool {
        self.is_true("Synced") && self.observed_generation == revision.generation
    }

    fn says(&self, verdict: &Verdict) -> bool {
        self.condition("Synced").is_some_and(|known| {
            let is_worded = known.message == verdict.brief() || known.message == verdict.message;
            known.reason == verdict.reason.name && (is_worded || verdict.is_provisional)
        })
    }

    fn after(&self, finding: Finding<'_>) -> Self {
        after(self, finding, Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default())
    }

    fn is_but_for_version(&self, other: &Self) -> bool {
        let secret_resource_version = other.secret_resource_version.clone();
        Self { secret_resource_version, ..self.clone() } == *other
    }
}

fn after(previous: &Kstatus, finding: Finding<'_>, now: Timestamp) -> Kstatus {
    let Finding { verdict, revision: Revision { generation, .. }, secret_version, writer } = finding;
    let of = |name: &str, holds: bool, generation: Option<i64>| {
        let status = if holds { "True" } else { "False" };
        let since = previous.condition(name).filter(|known| known.status == status);
        // Who has it at length, from an earlier version, keeps it: nothing is written because of that.
        let is_said = since.is_some_and(|known| known.message == verdict.message);
        let is_whole = name == "Ready" || is_said;
        let kept = since.filter(|known| verdict.is_provisional && known.reason == verdict.reason.name);
        let message = if is_whole { &verdict.message } else { verdict.brief() };
        Condition {
            name: name.to_owned(),
            status: status.to_owned(),
            observed_generation: generation,
            last_transition_time: since.map_or(now, |known| known.last_transition_time),
            reason: verdict.reason.name.to_owned(),
            message: kept.map_or(message, |known| &known.message).to_owned(),
        }
    };
    let new = |name: &str, holds: bool| of(name, holds, generation);
    let standing = verdict.reason.standing;
    let conditions = match standing {
        Standing::Good => vec![new("Ready", true), new("Synced", true)],
        Standing::Waiting => vec![new("Ready", false), new("Reconciling", true), new("Synced", false)],
        Standing::Stalled => vec![new("Ready", false), new("Stalled", true), new("Synced", false)],
        Standing::Suspended => {
            // What was said of the Secret stays true; of the generation that it was said of.
            let seen = previous.observed_generation.filter(|generation| *generation > 0);
            let synced = of("Synced", false, seen);
            let kept = previous.conditions.iter().filter(|known| known.name != "Synced").cloned();
            let conditions = kept.chain([synced]).collect();
            return Kstatus { conditions, ..previous.clone() };
        }
    };
    let right_version = secret_version.filter(|_| standing == Standing::Good);
    Kstatus {
        observed_generation: generation,
        conditions,
        secret_resource_version: right_version.map(str::to_owned),
        writer: (writer != FIRST_WRITER).then_some(writer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed::decide::{Removals, Write};
    use crate::managed::reason::{self as shared, Reason};
    use crate::managed::status::news;
    use crate::source::sealed::reason::{self, WORDS};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn of(generation: i64) -> Revision {
        Revision { generation: Some(generation), annotations: 0 }
    }

    fn verdict(reason: Reason) -> Verdict {
        Verdict::new(reason, reason.name.to_lowercase())
    }

    fn status(previous: &Kstatus, reason: Reason, generation: i64, second: i64) -> Kstatus {
        let (verdict, version) = (verdict(reason), format!("v{generation}"));
        let finding = Finding {
            verdict: &verdict,
            revision: of(generation),
            secret_version: Some(&version),
            writer: FIRST_WRITER,
        };
        after(previous, finding, at(second))
    }

    fn shown(status: &Kstatus) -> Vec<String> {
        let show = |condition: &Condition| {
            let second = condition.last_transition_time.as_second();
            format!("{}={} {} {second}", condition.name, condition.status, condition.reason)
        };
        status.conditions.iter().map(show).collect()
    }

    #[test]
    fn conditions_are_those_of_kstatus_and_their_times_those_of_changes() {
        let good = status(&Kstatus::default(), reason::UNSEALED, 1, 10);
        assert_eq!(shown(&good), ["Ready=True Unsealed 10", "Synced=True Unsealed 10"]);
        assert_eq!(good.secret_resource_version.as_deref(), Some("v1"));
        assert_eq!(status(&good, reason::UNSEALED, 1, 20), good);

        let bad = status(&good, reason::BAD_CIPHERTEXT, 2, 30);
        let expected = [
            "Ready=False BadCiphertext 30",
            "Stalled=True BadCiphertext 30",
            "Synced=False BadCiphertext 30",
        ];
        assert_eq!(shown(&bad), expected);
        assert_eq!((bad.observed_generation, &bad.secret_resource_version), (Some(2), &None));
        let waiting = status(&bad, reason::VAULT_UNAVAILABLE, 2, 40);
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
        let verdict = Verdict::new(reason::NO_IDENTITY, "nothing opens it\nwanted, any of:\n  age1x");
        let finding =
            Finding { verdict: &verdict, revision: of(1), secret_version: None, writer: FIRST_WRITER };
        let status = after(&Kstatus::default(), finding, at(10));
        let message = |name: &str| status.condition(name).unwrap().message.as_str();
        assert_eq!(message("Ready"), verdict.message);
        assert_eq!([message("Stalled"), message("Synced")], ["nothing opens it"; 2]);
        assert_eq!(after(&status, finding, at(20)), status);
        assert_eq!(news(&status, &verdict, of(1), &Write::Nothing, &WORDS), None);
        let mut earlier = status;
        earlier.conditions.iter_mut().for_each(|condition| condition.message.clone_from(&verdict.message));
        assert_eq!(after(&earlier, finding, at(20)), earlier);
        assert_eq!(news(&earlier, &verdict, of(1), &Write::Nothing, &WORDS), None);
    }

    /// While a server hangs, each try begins with no answer and ends with an error: the error stays, and is told once.
    #[test]
    fn what_is_known_for_a_while_takes_nothing_back_that_is_known_better() {
        let no_answer = Verdict::provisional(reason::VAULT_UNAVAILABLE, "no answer");
        let error = Verdict::new(reason::VAULT_UNAVAILABLE, "https://vault: timed out\nwanted, any of:");
        let mut status = status(&Kstatus::default(), reason::UNSEALED, 1, 10);
        let mut told = Vec::new();
        for (second, verdict) in (20..).zip([&no_answer, &no_answer, &error, &no_answer, &error, &no_answer])
        {
            let finding = Finding { verdict, revision: of(1), secret_version: None, writer: FIRST_WRITER };
            told.extend(news(&status, verdict, of(1), &Write::Nothing, &WORDS).map(|news| news.message));
            let new = after(&status, finding, at(second));
            assert_eq!(new != status, [20, 22].contains(&second), "{second}");
            status = new;
        }
        assert_eq!(told, [&*no_answer.message, &*error.message]);
        assert_eq!(status.condition("Ready").unwrap().message, error.message);
    }

    #[test]
    fn suspension_leaves_what_was_said_of_the_secret() {
        let good = status(&Kstatus::default(), reason::UNSEALED, 1, 10);
        let suspended = status(&good, reason::SUSPENDED, 2, 20);
        assert_eq!(shown(&suspended), ["Ready=True Unsealed 10", "Synced=False Suspended 20"]);
        assert_eq!(suspended.observed_generation, Some(1));
        assert_eq!(status(&suspended, reason::SUSPENDED, 3, 30), suspended);
        let resumed = status(&suspended, reason::UNSEALED, 3, 40);
        assert_eq!(shown(&resumed), ["Ready=True Unsealed 10", "Synced=True Unsealed 40"]);
    }

    #[test]
    fn news_are_told_once() {
        let none = Kstatus::default();
        let good = status(&none, reason::UNSEALED, 1, 10);
        let bad = status(&none, shared::ALREADY_EXISTS, 1, 10);
        let update = || Write::Update(Removals::default());
        let told = |previous: &Kstatus, reason: Reason, generation: i64, write: Write| {
            let news = news(previous, &verdict(reason), of(generation), &write, &WORDS)?;
            Some((news.warning, news.reason, news.message))
        };
        let normal = |reason, message: &str| Some((false, reason, message.to_owned()));
        assert_eq!(told(&none, reason::UNSEALED, 1, Write::Create), normal("Unsealed", WORDS.created));
        assert_eq!(told(&good, reason::UNSEALED, 2, update()), normal("Unsealed", WORDS.updated));
        assert_eq!(told(&good, reason::UNSEALED, 1, update()), normal("Repaired", WORDS.had_changed));
        assert_eq!(told(&good, reason::UNSEALED, 1, Write::Create), normal("Repaired", WORDS.had_gone));
        assert_eq!(told(&good, reason::UNSEALED, 2, Write::Nothing), None);
        assert_eq!(told(&bad, reason::UNSEALED, 1, Write::Nothing), normal("Unsealed", "unsealed"));
        let warning = Some((true, "AlreadyExists", "alreadyexists".to_owned()));
        assert_eq!(told(&good, shared::ALREADY_EXISTS, 1, Write::Nothing), warning);
        assert_eq!(told(&bad, shared::ALREADY_EXISTS, 1, Write::Nothing), None);
    }
}
